from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_models_are_listed_with_their_price(limner: Run):
    ran = limner("models")
    assert ran.code == 0
    assert ran.out.splitlines()[0].split() == ["model", "provider", "tier", "price", "size", "what"]
    assert ran.out.splitlines()[1].split()[:5] == ["starter", "local", "fast", "free", "512x512"]
    assert limner("models", "--json").json[0]["id"] == "starter"


def test_settings_are_shown_with_their_source_and_secrets_masked(
    limner: Run, here: Path, monkeypatch: pytest.MonkeyPatch
):
    (here / "limner.toml").write_text("port = 1001\n")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    monkeypatch.setenv("DATABASE_URL", "postgres://db/shop")
    ran = limner("config")
    rows = {line.split()[0]: line.split()[1:] for line in ran.out.splitlines()}
    assert rows["port"] == ["1001", "limner.toml:1"]
    assert rows["variables"] == ["OPENAI_API_KEY", "environment", "OPENAI_API_KEY"]
    assert rows["host"] == ["127.0.0.1"]
    assert "DATABASE_URL is set and not used: it is no SQLite file" in ran.out
    told = limner("config", "--json")
    assert told.json["settings"]["port"] == {"value": 1001, "source": "limner.toml:1"}
    assert list(told.json["unused"]) == ["DATABASE_URL"]
    assert "very-secret" not in ran.out + told.out
