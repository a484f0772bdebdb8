"""Keys, addresses and models of accounts, from tables and from variables."""

from pathlib import Path

import platformdirs
import pytest
from pydantic import SecretStr

from limner.config import Account, AccountSettings, Settings, accounts_of, load, shown
from limner.config.settings import OF_A_PROVIDER
from limner.core.errors import SetupError
from limner.providers.find import installed

OPENAI = {"key_env": ("OPENAI_API_KEY",), "url_env": ("OPENAI_BASE_URL",), "model_env": ("OPENAI_MODEL",)}
OLLAMA = {"url_env": ("OLLAMA_HOST",), "usual": "http://127.0.0.1:11434/"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(platformdirs, "user_data_path", lambda _name: tmp_path / "data")
    return tmp_path


def settings(tables=None, **variables) -> Settings:
    return Settings(
        accounts={name: AccountSettings(**table) for name, table in (tables or {}).items()},
        variables={name: SecretStr(value) for name, value in variables.items()},
    )


def refused(provider: str, found: Settings, **names) -> str:
    with pytest.raises(SetupError) as caught:
        accounts_of(provider, found, **names)
    return str(caught.value)


def read(folder: Path, toml: str = "", dotenv: str = "", **environ: str) -> Settings:
    (folder / "limner.toml").write_text(toml)
    (folder / ".env").write_text(dotenv)
    return load(cwd=folder, environ=environ).settings


# -- variables -------------------------------------------------------------------------------------------


def test_without_anything_there_is_one_account_named_like_its_provider():
    assert accounts_of("openai", settings(), **OPENAI) == (Account(name="openai", provider="openai"),)


def test_limners_own_names_win_over_the_vendors():
    vendors = {"OPENAI_API_KEY": "sk-theirs", "OPENAI_BASE_URL": "http://theirs", "OPENAI_MODEL": "theirs"}
    ours = {"LIMNER_OPENAI_KEY": "sk-ours", "LIMNER_OPENAI_URL": "http://ours", "LIMNER_OPENAI_MODEL": "ours"}
    theirs = Account(name="openai", provider="openai", url="http://theirs", key="sk-theirs", model="theirs")
    assert accounts_of("openai", settings(**vendors), **OPENAI) == (theirs,)
    changed = theirs.model_copy(update={"url": "http://ours", "key": "sk-ours", "model": "ours"})
    assert accounts_of("openai", settings(**vendors, **ours), **OPENAI) == (changed,)


def test_of_a_vendors_own_names_the_first_that_is_set_counts():
    found = settings(HF_TOKEN="hf-1", HUGGINGFACE_API_KEY="hf-2")
    (one,) = accounts_of("huggingface", found, key_env=("HF_TOKEN", "HUGGINGFACE_API_KEY"))
    assert one.key == "hf-1"


def test_a_name_with_a_dash_is_written_with_an_underscore():
    found = settings(LIMNER_OPENAI_COMPATIBLE_URL="http://127.0.0.1:8080/v1")
    (one,) = accounts_of("openai-compatible", found)
    assert (one.name, one.url) == ("openai-compatible", "http://127.0.0.1:8080/v1")


def test_several_addresses_are_several_accounts_with_one_key():
    found = settings(LIMNER_A1111_URL=" http://a:7860/ , ,https://b/sd/", LIMNER_A1111_KEY="me:secret")
    assert accounts_of("a1111", found) == (
        Account(name="a1111", provider="a1111", url="http://a:7860", key="me:secret"),
        Account(name="a1111-2", provider="a1111", url="https://b/sd", key="me:secret"),
    )


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:5000", "http://127.0.0.1:5000"),
        (":5000", "http://127.0.0.1:5000"),
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box/ollama/", "http://gpu-box:11434/ollama"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:5000", "http://[::1]:5000"),
        ("https://gpu-box", "https://gpu-box"),
        ("http://me:pw@gpu-box:1/x", "http://me:pw@gpu-box:1/x"),
    ],
)
def test_a_bare_host_is_made_an_address_with_the_providers_port(given: str, meant: str):
    (one,) = accounts_of("ollama", settings(OLLAMA_HOST=given), **OLLAMA)
    assert one.url == meant


def test_a_bare_host_of_a_provider_without_a_port_is_asked_at_80():
    (one,) = accounts_of("x", settings(LIMNER_X_URL="box"), usual="https://x.example/")
    assert one.url == "http://box:80"


@pytest.mark.parametrize(
    "given",
    [
        "http://",
        "http://:80",
        "ftp://h",
        "h:99999",
        "http://h:0",
        "h:abc",
        "http://h?key=1",
        "http://h#x",
        "a b",
        "http://a,b c",
        "file:///etc/passwd",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_refused_under_the_name_it_was_given_by(given: str):
    said = refused("ollama", settings(OLLAMA_HOST=given), **OLLAMA)
    assert (
        said == f"OLLAMA_HOST={given}: must be addresses such as http://127.0.0.1:8188, separated by commas"
    )


@pytest.mark.parametrize("given", ["ftp://me:hush@h", "me:hush@h:abc"])
def test_a_wrong_address_does_not_show_its_password(given: str):
    said = refused("ollama", settings(LIMNER_OLLAMA_URL=given), **OLLAMA)
    assert said.startswith("LIMNER_OLLAMA_URL=********: must be addresses")


@pytest.mark.parametrize("key", ["sk-1\r\nX-Evil: 1", "sk 1", "sk-ö", "sk-\x7f"])
def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(key: str):
    said = refused("openai", settings(OPENAI_API_KEY=key), **OPENAI)
    assert said == "OPENAI_API_KEY=********: must be one line of printable ASCII without blanks"


# -- tables ----------------------------------------------------------------------------------------------


def test_a_table_is_an_account_and_what_it_leaves_out_comes_from_the_variables():
    variables = {"OPENAI_API_KEY": "sk-1", "OPENAI_MODEL": "m", "OPENAI_BASE_URL": "http://proxy"}
    tables = {"openai": {"model": "n"}, "work": {"provider": "openai", "key": "sk-2", "url": "https://work"}}
    assert accounts_of("openai", settings(tables, **variables), **OPENAI) == (
        Account(name="openai", provider="openai", url="http://proxy", key="sk-1", model="n"),
        Account(name="work", provider="openai", url="https://work", key="sk-2", model="m"),
    )


def test_tables_of_others_are_not_ours():
    tables = {"work": {"provider": "openai", "key": "sk-2"}, "openai-compatible": {"url": "http://h"}}
    (one,) = accounts_of("openai", settings(tables), **OPENAI)
    assert (one.name, one.url) == ("work", "")


def test_a_table_without_an_address_does_not_choose_among_several():
    found = settings({"ollama": {"model": "m"}}, OLLAMA_HOST="a,b")
    said = refused("ollama", found, **OLLAMA)
    assert said == "limner.toml: [accounts.ollama] has no url, and the environment names 2; say which"
    with_url = settings({"ollama": {"url": "http://c"}}, OLLAMA_HOST="a,b")
    assert [one.url for one in accounts_of("ollama", with_url, **OLLAMA)] == ["http://c"]


def test_tables_are_read_from_the_file(home: Path):
    toml = (
        '[accounts.work]\nprovider = "openai"\nkey = "sk-2"\nurl = "https://work.example/v1/"\nmodel = "m"\n'
    )
    found = read(home, toml, "OPENAI_API_KEY=sk-1\n")
    assert accounts_of("openai", found, **OPENAI) == (
        Account(name="work", provider="openai", url="https://work.example/v1", key="sk-2", model="m"),
    )


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (
            '[accounts.a]\ncolour = "red"',
            (
                "limner.toml:1: accounts.a.colour = ********: "
                f"is not known; an account has {', '.join(AccountSettings.model_fields)}"
            ),
        ),
        (
            '[accounts.a]\nurl = "h:1"',
            (
                "limner.toml:1: accounts.a.url = ********: "
                "must be an address such as http://127.0.0.1:50053, or empty"
            ),
        ),
        ('\naccounts = "x"', "limner.toml:2: accounts = ********: must be tables, as in [accounts.openai]"),
        (
            "accounts.a = 3",
            "limner.toml:1: accounts.a = ********: must be a table, as in [accounts.openai]",
        ),
        (
            '[variables]\nOPENAI_API_KEY = "sk-secret"',
            "limner.toml:1: 'variables' is not a setting of Limner; `limner config` lists them all",
        ),
    ],
)
def test_a_wrong_table_is_told_with_its_line_and_without_its_content(home: Path, toml: str, said: str):
    with pytest.raises(SetupError) as caught:
        read(home, toml)
    assert str(caught.value) == said


@pytest.mark.parametrize("name", ["LIMNER_ACCOUNTS", "LIMNER_VARIABLES"])
def test_tables_are_no_variables(home: Path, name: str):
    with pytest.raises(SetupError, match=f"{name} is not a setting of Limner"):
        read(home, **{name: "{}"})


# -- where variables come from ---------------------------------------------------------------------------


def test_the_environment_wins_over_dotenv_name_by_name(home: Path):
    found = read(home, dotenv="OPENAI_API_KEY=sk-1\nFAL_KEY= fal-1 \nEMPTY_KEY=\n", OPENAI_API_KEY="sk-2")
    assert found.variables == {"OPENAI_API_KEY": SecretStr("sk-2"), "FAL_KEY": SecretStr("fal-1")}


def test_variables_that_are_settings_are_no_providers(home: Path):
    found = read(
        home,
        LIMNER_PUBLIC_URL="http://p",
        LIMNER_ENGINE_URL="http://e",
        LIMNER_ENGINE_TOKEN="t",
        DATABASE_URL="postgres://db",
        SUPABASE_URL="http://s",
        LIMNER_SERVICE_HOST="10.0.0.1",
    )
    assert (found.variables, found.public_url, found.engine_url) == ({}, "http://p", "http://e")


def test_every_variable_that_a_provider_asks_for_is_read():
    asked = {
        name
        for kind in installed().values()
        for name in (*kind.key_env, *kind.url_env, *kind.model_env)
        if not OF_A_PROVIDER.fullmatch(name)
    }
    assert asked == set()


@pytest.mark.parametrize(
    ("flag", "off"),
    [
        ("ENABLE_IMAGE_GENERATION_HUGGINGFACE", "huggingface"),
        ("ENABLE_IMAGE_GENERATION_OPENAI_COMPATIBLE", "openai-compatible"),
        ("ENABLE_IMAGE_GENERATION_A1111", "a1111"),
    ],
)
def test_any_provider_has_a_flag(home: Path, flag: str, off: str):
    for word in ("false", "0", "no", "OFF"):
        assert read(home, **{flag: word}).disabled_providers == (off,)
    for word in ("true", "1", "Yes", "on"):
        assert read(home, f'disabled_providers = ["{off}"]', **{flag: word}).disabled_providers == ()


# -- secrets ---------------------------------------------------------------------------------------------


def test_no_secret_is_ever_shown(home: Path):
    toml = '[accounts.a]\nprovider = "openai"\nkey = "sk-hush-1"\nurl = "http://me:hush-2@h"\n'
    loaded_settings = read(home, toml, GITHUB_TOKEN="hush-3", OLLAMA_HOST="http://me:hush-4@h")
    told = shown(loaded_settings)
    assert "hush" not in str(told)
    assert (told["accounts"]["a"]["url"], told["accounts"]["a"]["key"]) == (
        "http://me:********@h",
        "**********",
    )
    assert told["variables"] == {"GITHUB_TOKEN": "**********", "OLLAMA_HOST": "**********"}
    (one,) = accounts_of("openai", loaded_settings)
    assert "sk-hush-1" not in repr(one)


def test_an_account_that_lacks_a_dash_is_not_the_one_that_has_it():
    found = settings(LIMNER_OPENAI_COMPATIBLE_KEY="sk-1")
    assert accounts_of("openai", found) == (Account(name="openai", provider="openai"),)
