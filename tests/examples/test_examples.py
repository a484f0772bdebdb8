"""Every Python example of the package and the documentation runs as it stands."""

import re
import runpy
from pathlib import Path

import pytest

import limner

_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
_ROOT = Path(__file__).parents[2]
_PAGES = ("README.md", "docs/library.md", "docs/manager.md", "docs/quickstart.md")
_CLIENT = re.compile(r"^(from|import) (openai|huggingface_hub|webuiapi|grpc)\b", re.MULTILINE)


def _blocks(text):
    """The examples of a page; those for other people's clients need a server: the doors' tests run them."""
    return [block for block in _BLOCK.findall(text) if not _CLIENT.search(block)]


def _examples():
    pages = {"limner": limner.__doc__} | {page: (_ROOT / page).read_text() for page in _PAGES}
    for name, text in pages.items():
        for number, block in enumerate(_blocks(text), start=1):
            yield pytest.param(block, id=f"{name}-{number}")


@pytest.mark.parametrize("block", list(_examples()))
def test_an_example_runs_as_it_is_written(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIMNER_HOME", str(tmp_path / "home"))
    # The engine's process starts in this folder, where the package may not be importable.
    monkeypatch.setenv("PYTHONPATH", str(Path(limner.__file__).parents[1]))
    script = tmp_path / "example.py"
    script.write_text(block)
    runpy.run_path(str(script), run_name="__main__")
    for name in re.findall(r'"(\w+\.png)"', block):
        assert (tmp_path / name).stat().st_size > 100


def test_every_page_with_examples_is_looked_at():
    pages = [str(path.relative_to(_ROOT)) for path in (_ROOT / "docs").glob("*.md")]
    assert [page for page in pages if _blocks((_ROOT / page).read_text()) and page not in _PAGES] == []
