"""The package's Python example runs as it stands."""

import re
import runpy
from pathlib import Path

import pytest

import limner

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def _examples():
    yield pytest.param(_BLOCK.findall(limner.__doc__), id="limner")


@pytest.mark.parametrize("blocks", list(_examples()))
def test_an_example_runs_as_it_is_written(blocks, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(
        "PYTHONPATH", str(Path(limner.__file__).parents[1])
    )  # the engine starts in this folder
    assert blocks
    for number, block in enumerate(blocks):
        script = tmp_path / f"example{number}.py"
        script.write_text(block)
        runpy.run_path(str(script), run_name="__main__")
    saved = [path for path in tmp_path.iterdir() if path.suffix in {".png", ".jpg", ".webp"}]
    assert saved
    assert all(path.stat().st_size > 100 for path in saved)
