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


def test_models_of_providers_that_are_not_set_up_are_only_counted(limner: Run):
    ran = limner("models")
    assert {row["provider"] for row in limner("models", "--json").json} == {"local"}
    assert "providers that are not set up: limner models --all" in ran.err
    assert "limner models --all" not in limner("models", "--all").err


def test_all_models_are_listed_with_retired_ones_marked(limner: Run):
    everything = limner("models", "--all")
    listed = limner("models", "--all", "--json").json
    assert {row["provider"] for row in listed} > {"local", "openai"}
    assert all("dialect" not in row for row in listed)
    lines = {tuple(line.split()[:2]): line for line in everything.out.splitlines()[1:]}
    assert {(row["id"], row["provider"]) for row in listed} == set(lines)
    for row in listed:
        line = lines[row["id"], row["provider"]]
        assert (f"retired {row['retired']}; " in line) == (row["retired"] is not None)


def test_one_providers_models_are_listed_whether_or_not_it_is_set_up(limner: Run):
    assert {row["provider"] for row in limner("models", "--provider", "openai", "--json").json} == {"openai"}
    assert limner("models", "--provider", "openai").err == ""


def test_a_key_sets_a_provider_up(limner: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hush")
    assert {row["provider"] for row in limner("models", "--json").json} == {"local", "openai"}
    monkeypatch.setenv("ENABLE_IMAGE_GENERATION_OPENAI", "false")
    assert {row["provider"] for row in limner("models", "--json").json} == {"local"}
    ran = limner("models", "--provider", "openai")
    assert (ran.code, ran.err.startswith("limner: no provider is called 'openai'; known: ")) == (2, True)


def test_a_provider_that_is_not_there_is_refused_with_those_that_are(limner: Run):
    ran = limner("models", "--provider", "opnai")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("limner: no provider is called 'opnai'; known: ")
    assert "openai" in ran.err


def test_accounts_and_keys_are_shown_by_name_only(limner: Run, here: Path, monkeypatch: pytest.MonkeyPatch):
    (here / "limner.toml").write_text(
        '[accounts.work]\nprovider = "openai"\nkey = "sk-hush"\nurl = "http://me:hush@h"\n'
    )
    monkeypatch.setenv("OLLAMA_HOST", "http://me:hush@h")
    for arguments in (["config"], ["config", "--json"], ["models", "--json"], ["providers"]):
        ran = limner(*arguments)
        assert "hush" not in ran.out + ran.err
    rows = {line.split()[0]: line.split()[1:] for line in limner("config").out.splitlines()}
    assert rows["accounts"] == ["work", "limner.toml:1"]
    assert rows["variables"][0] == "OLLAMA_HOST"


def test_a_wrong_account_is_told_without_its_secrets(limner: Run, here: Path):
    (here / "limner.toml").write_text('[accounts.work]\nkey = "sk hush"\nurl = "hush"\ncolour = "hush"\n')
    ran = limner("config")
    assert (ran.code, ran.out) == (1, "")
    assert "hush" not in ran.err
    assert "limner.toml:1: accounts.work.key = ********: must be one line" in ran.err
    assert "accounts.work.colour = ********: is not known; an account has provider, url, key" in ran.err
