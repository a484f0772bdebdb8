import subprocess
import sys

import pytest

from limner import __version__
from limner.cli import main
from tests.cli.conftest import ENVIRON, Run


def test_help_and_version_load_none_of_the_heavy_parts():
    probe = (
        "import sys; from limner.cli import main; main(['version']); main(['--help']); "
        "heavy = {'aiohttp', 'fastapi', 'sqlalchemy', 'PIL', 'numpy', 'uvicorn', 'onnxruntime'}; "
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False, env=ENVIRON
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"limner {__version__} (Python ")
    assert "generate" in ran.stdout


def test_version_as_json(limner: Run):
    assert limner("version", "--json").json["limner"] == __version__


def test_an_unknown_command_is_told_with_the_nearest(limner: Run):
    ran = limner("genrate")
    assert ran.code == 2
    assert ran.err.startswith("limner: No such command 'genrate'.")
    assert "generate" in ran.err


def test_a_wrong_setting_ends_every_command_with_its_place(limner: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LIMNER_PORT", "x")
    for command in (["config"], ["generate", "fox"], ["jobs"], ["serve"], ["worker"]):
        ran = limner(*command)
        assert (ran.code, ran.err) == (1, "limner: LIMNER_PORT=x: must be a whole number from 1 to 65535\n")


def test_a_fault_of_ours_is_one_line_and_a_traceback_only_when_asked_for(
    limner: Run, monkeypatch: pytest.MonkeyPatch
):
    def broken(**_: object) -> None:
        raise RuntimeError("out of paint")

    monkeypatch.setattr("limner.cli.show.config", broken)
    ran = limner("config")
    line = "limner: unexpected RuntimeError: out of paint"
    assert (ran.code, ran.err) == (1, f"{line}; LIMNER_DEBUG=1 shows where\n")
    monkeypatch.setenv("LIMNER_DEBUG", "1")
    assert "Traceback" in limner("config").err
    monkeypatch.delenv("LIMNER_DEBUG")
    told = limner("config", "--json")
    assert (told.code, told.json["error"]["code"]) == (1, "internal")


def test_ctrl_c_is_130(limner: Run, monkeypatch: pytest.MonkeyPatch):
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("limner.cli.show.config", interrupted)
    ran = limner("config")
    assert (ran.code, ran.err) == (130, "limner: interrupted\n")


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 2
    said = capsys.readouterr()
    assert "Commands" in said.out + said.err
