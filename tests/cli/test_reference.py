from pathlib import Path

import pytest

from limner.cli import reference
from limner.config import Settings


def test_the_pages_are_what_the_code_says():
    assert reference.main(["--check"]) == 0


def test_a_stale_page_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(reference, "__file__", str(tmp_path / "src" / "limner" / "cli" / "reference.py"))
    assert reference.main(["--check"]) == 1
    assert str(tmp_path / "docs" / "settings.md") in capsys.readouterr().err
    assert reference.main(["--write"]) == 0
    assert reference.main(["--check"]) == 0


def test_every_setting_and_command_has_its_place():
    page = reference.settings_page()
    assert [name for name in Settings.model_fields if f"| `{name}` |" not in page] == []
    commands = [line for line in reference.cli_page().splitlines() if line.startswith("## ")]
    assert commands == [
        f"## limner {name}"
        for name in (
            "generate", "serve", "grpc", "simulate", "lab", "worker", "mcp", "chat", "engine",
            "models", "providers",
            "jobs", "usage", "prompt", "styles", "audit", "reconcile", "inspect", "replay", "config",
            "version",
        )
    ]  # fmt: skip
