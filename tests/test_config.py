from pathlib import Path

import platformdirs
import pytest
from pydantic import SecretStr, ValidationError

from limner.config import Loaded, Names, Settings, Source, load, shown
from limner.core.errors import SetupError

NO_JOURNAL = "must be sqlite:///path/limner.db or postgresql://user:password@host/database, or empty"
NOT_POSTGRES = (
    "must be like postgresql://user:password@host:5432/database; "
    "in user and password, write @ : / ? # % as %40 %3A %2F %3F %23 %25"
)
ONLY_FOLDERS = "this version keeps its pictures in a folder; give its path, or leave it empty"


def read(folder: Path, environ: dict[str, str] | None = None, **overrides: object) -> Loaded:
    return load(cwd=folder, environ=environ or {}, overrides=overrides)


def refused(folder: Path, environ: dict[str, str] | None = None, **overrides: object) -> list[str]:
    with pytest.raises(SetupError) as caught:
        read(folder, environ, **overrides)
    return str(caught.value).splitlines()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, apart from the current folder."""
    home = tmp_path / "data"
    home.mkdir()
    monkeypatch.setattr(platformdirs, "user_data_path", lambda _name: home)
    return home


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def test_without_any_source_the_defaults_are_in_force(folder: Path, home: Path):
    loaded = read(folder)
    assert loaded.settings == Settings(home=home)
    assert set(loaded.sources.values()) == {Source("default", name) for name in Settings.model_fields}
    assert loaded.unused == {}
    assert loaded.settings.database_path == home / "limner.db"
    assert loaded.settings.blobs == str(home / "storage")
    assert (loaded.settings.host, loaded.settings.port, loaded.settings.concurrency) == (
        "127.0.0.1",
        8003,
        16,
    )


def test_each_source_wins_over_the_one_before(folder: Path):
    (folder / "limner.toml").write_text("# mine\nport = 1001\nhost = 'a'\nconcurrency = 1\ndeadline_s = 1\n")
    (folder / ".env").write_text("LIMNER_HOST=b\n\nexport LIMNER_CONCURRENCY=2\nLIMNER_DEADLINE_S=2\n")
    loaded = read(folder, {"LIMNER_CONCURRENCY": "3", "LIMNER_DEADLINE_S": "3"}, deadline_s="4")
    settings, sources = loaded.settings, loaded.sources
    assert (settings.port, settings.host, settings.concurrency, settings.deadline_s) == (1001, "b", 3, 4.0)
    assert sources["port"] == Source("limner.toml", "port", Path("limner.toml"), 2)
    assert sources["host"] == Source(".env", "LIMNER_HOST", Path(".env"), 1)
    assert sources["concurrency"] == Source("environment", "LIMNER_CONCURRENCY")
    assert sources["deadline_s"] == Source("command line", "--deadline-s")


def test_sources_are_said_as_people_look_for_them():
    said = [
        str(Source("limner.toml", "port", Path("limner.toml"), 2)),
        str(Source(".env", "PORT", Path(".env"), 7)),
        str(Source("environment", "PORT")),
        str(Source("command line", "--port")),
        str(Source("default", "port")),
    ]
    assert said == ["limner.toml:2", ".env:7", "environment PORT", "--port", "default"]


def test_the_file_in_the_home_is_read_when_the_current_folder_has_none(folder: Path, home: Path):
    (home / "limner.toml").write_text("port = 1002\n")
    assert read(folder).settings.port == 1002
    (folder / "limner.toml").write_text("port = 1003\n")
    assert read(folder).settings.port == 1003


def test_the_home_of_the_environment_is_searched_too(folder: Path, tmp_path: Path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "limner.toml").write_text("port = 1004\n")
    loaded = read(folder, {"LIMNER_HOME": str(tmp_path / "other")})
    assert (loaded.settings.port, loaded.settings.home) == (1004, tmp_path / "other")


def test_limner_config_names_another_file(folder: Path):
    (folder / "limner.toml").write_text("port = 1\n")
    (folder / "mine.toml").write_text("port = 1005\n")
    assert read(folder, {"LIMNER_CONFIG": "mine.toml"}).settings.port == 1005
    assert refused(folder, {"LIMNER_CONFIG": "gone.toml"}) == [
        "LIMNER_CONFIG=gone.toml: there is no such file"
    ]


def test_names_from_before_are_read_and_limner_names_win_over_them(folder: Path, tmp_path: Path):
    before = {
        "PORT": "9000",
        "LOCAL_STORAGE_PATH": str(tmp_path / "pictures"),
        "DATABASE_URL": f"sqlite:///{tmp_path}/j.db",
        "CIRCUIT_BREAKER_FAILURE_THRESHOLD": "7",
        "CIRCUIT_BREAKER_TIMEOUT_MS": "1500",
        "OPENAI_API_KEY": "sk-1",
        "HUGGINGFACE_API_KEY": "hf-1",
    }
    settings = read(folder, before).settings
    assert settings == Settings(
        home=settings.home,
        port=9000,
        blob_url=str(tmp_path / "pictures"),
        database_url=f"sqlite:///{tmp_path}/j.db",
        breaker_failures=7,
        breaker_window_s=1.5,
        variables={"OPENAI_API_KEY": SecretStr("sk-1"), "HUGGINGFACE_API_KEY": SecretStr("hf-1")},
    )
    assert settings.database_path == tmp_path / "j.db"
    assert read(folder, {**before, "LIMNER_PORT": "9001"}).settings.port == 9001


def test_flags_switch_single_providers_off_and_on(folder: Path):
    (folder / "limner.toml").write_text('disabled_providers = ["Gemini", "together"]\n')
    flags = {"ENABLE_IMAGE_GENERATION_OPENAI": "false", "ENABLE_IMAGE_GENERATION_GEMINI": "1"}
    loaded = read(folder, flags)
    assert set(loaded.settings.disabled_providers) == {"together", "openai"}
    assert loaded.sources["disabled_providers"].kind == "environment"
    assert read(folder, {**flags, "LIMNER_DISABLED_PROVIDERS": "a, b"}).settings.disabled_providers == (
        "a",
        "b",
    )


def test_an_empty_variable_counts_as_not_set(folder: Path):
    (folder / ".env").write_text("LIMNER_PORT=\nPORT\n")
    assert read(folder, {"LIMNER_HOST": "", "LIMNER_OPENAI_API_KEY": ""}).settings.port == 8003


def test_dotenv_values_may_be_quoted_and_refer_to_others(folder: Path):
    (folder / ".env").write_text(
        "NAME=10.0.0.1\nLIMNER_HOST=\"${NAME}\"\nLIMNER_ENGINE_URL='http://${HOST}:1/'\n"
    )
    settings = read(folder, {"HOST": "h"}).settings
    assert (settings.host, settings.engine_url) == ("10.0.0.1", "http://h:1")


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('\n\nport = "eighty"', 'limner.toml:3: port = "eighty": must be a whole number from 1 to 65535'),
        ("port = 0", "limner.toml:1: port = 0: must be a whole number from 1 to 65535"),
        ("port = true", "limner.toml:1: port = True: must be a whole number from 1 to 65535"),
        ("port = 80.0", "limner.toml:1: port = 80.0: must be a whole number from 1 to 65535"),
        ("prot = 80", "limner.toml:1: 'prot' is not a setting of Limner; did you mean port?"),
        (
            "[server]\nport = 80",
            "limner.toml:1: 'server' is not a setting of Limner; `limner config` lists them all",
        ),
        (
            'log_level = "loud"',
            'limner.toml:1: log_level = "loud": must be one of debug, info, warning, error',
        ),
        ("deadline_s = nan", "limner.toml:1: deadline_s = nan: must be a number of seconds from 1 to 86400"),
        ('host = "a b"', 'limner.toml:1: host = "a b": must be a host name or an IP address'),
        (
            'engine_url = "h:1"',
            'limner.toml:1: engine_url = "h:1": must be an address such as http://127.0.0.1:50053, or empty',
        ),
        (
            'database_url = "mysql://me:pw@db/x"',
            f'limner.toml:1: database_url = "mysql://me:********@db/x": {NO_JOURNAL}',
        ),
        (
            'database_url = "postgresql://me:p@w/1@db/x"',
            f'limner.toml:1: database_url = "postgresql://me:********@db/x": {NOT_POSTGRES}',
        ),
        (
            'blob_url = "s3://bucket"',
            f'limner.toml:1: blob_url = "s3://bucket": {ONLY_FOLDERS}',
        ),
        (
            '[accounts.openai]\nkey = "sk one"',
            (
                "limner.toml:1: accounts.openai.key = ********: "
                "must be one line of printable ASCII without blanks"
            ),
        ),
        (
            "disabled_providers = [1]",
            f"limner.toml:1: disabled_providers = [1]: must be {Names().accepts}",
        ),
        ('host = ["a"]', "limner.toml:1: host = ['a']: must be a host name or an IP address"),
        ("database_url = 1", "limner.toml:1: database_url = 1: must be text"),
        ("home = 3", "limner.toml:1: home = 3: must be the path of a folder"),
    ],
)
def test_a_wrong_value_in_the_file_is_told_with_its_line_and_what_is_accepted(
    folder: Path, toml: str, said: str
):
    (folder / "limner.toml").write_text(toml)
    assert refused(folder) == [said]


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"LIMNER_PORT": "eighty"}, "LIMNER_PORT=eighty: must be a whole number from 1 to 65535"),
        ({"LIMNER_PORT": "٣"}, "LIMNER_PORT=٣: must be a whole number from 1 to 65535"),
        ({"LIMNER_PORT": "8_0"}, "LIMNER_PORT=8_0: must be a whole number from 1 to 65535"),
        ({"LIMNER_PORT": "9" * 5000}, f"LIMNER_PORT={'9' * 77}...: must be a whole number from 1 to 65535"),
        ({"LIMNER_DEADLINE_S": "٣"}, "LIMNER_DEADLINE_S=٣: must be a number of seconds from 1 to 86400"),
        ({"PORT": "x"}, "PORT=x: must be a whole number from 1 to 65535"),
        ({"LIMNER_PROT": "1"}, "LIMNER_PROT is not a setting of Limner; did you mean LIMNER_PORT?"),
        (
            {"ENABLE_IMAGE_GENERATION_OPENAI": "si"},
            "ENABLE_IMAGE_GENERATION_OPENAI=si: must be true or false",
        ),
        (
            {"CIRCUIT_BREAKER_TIMEOUT_MS": "1"},
            "CIRCUIT_BREAKER_TIMEOUT_MS=1: must be a whole number from 1000 to 86400000 (milliseconds)",
        ),
        (
            {"LIMNER_DATABASE_URL": "postgresql://db?password=pw"},
            f"LIMNER_DATABASE_URL=postgresql://db?password=********: {NOT_POSTGRES}",
        ),
        ({"LIMNER_LOG_FORMAT": "\x1b[1m"}, "LIMNER_LOG_FORMAT=?[1m: must be one of auto, console, json"),
    ],
)
def test_a_wrong_variable_is_told_by_its_name(folder: Path, environ: dict[str, str], said: str):
    assert refused(folder, environ) == [said]


def test_a_wrong_option_is_told_as_it_was_typed(folder: Path):
    assert refused(folder, port=70000) == ["--port 70000: must be a whole number from 1 to 65535"]


def test_everything_wrong_is_told_at_once(folder: Path):
    (folder / "limner.toml").write_text("prot = 1\nconcurrency = 0\n")
    (folder / ".env").write_text("# mine\n\nLIMNER_LEASE_S=x\nLIMNER_HOTS=h\nLIMNER_X='\n")
    assert sorted(refused(folder, {"LIMNER_PORT": "x"})) == [
        ".env:3: LIMNER_LEASE_S=x: must be a number of seconds from 1 to 3600",
        ".env:4: LIMNER_HOTS is not a setting of Limner; did you mean LIMNER_HOST?",
        '.env:5: "LIMNER_X=\'" cannot be read; write NAME=value',
        "LIMNER_PORT=x: must be a whole number from 1 to 65535",
        "limner.toml:1: 'prot' is not a setting of Limner; did you mean port?",
        "limner.toml:2: concurrency = 0: must be a whole number from 1 to 1024",
    ]


def test_a_file_that_is_no_toml_is_told_with_its_line(folder: Path):
    (folder / "limner.toml").write_text("port = 1\nhost = localhost\n")
    way_out = 'write one `name = value` per line, text in "quotes"'
    assert refused(folder) == [f"limner.toml:2: Invalid value at column 8; {way_out}"]
    (folder / "limner.toml").write_text("port = 1\nhost = [")
    assert refused(folder) == [f"limner.toml:2: Invalid value; {way_out}"]


def test_a_file_that_cannot_be_read_is_named(folder: Path):
    (folder / "limner.toml").write_bytes(b"port = 1 # \xff\n")
    assert refused(folder) == [f"{folder}/limner.toml is not UTF-8 text (byte 11); save it as UTF-8"]


def test_a_broken_line_of_another_program_in_dotenv_is_left_alone(folder: Path):
    (folder / ".env").write_text("OTHER='\nLIMNER_PORT=1006\n")
    assert read(folder).settings.port == 1006


def test_what_is_meant_for_others_is_left_alone_and_reported(folder: Path):
    loaded = read(
        folder,
        {
            "DATABASE_URL": "postgres://db/shop",
            "SUPABASE_URL": "http://x",
            "LIMNER_PORT": "tcp://10.0.0.1:8003",
            "LIMNER_PORT_8003_TCP": "tcp://10.0.0.1:8003",
            "LIMNER_SERVICE_HOST": "10.0.0.1",
            "LIMNER_DEBUG": "1",
        },
    )
    assert loaded.settings == Settings(home=loaded.settings.home)
    assert loaded.unused == {
        "DATABASE_URL": "it is no SQLite file, so it is taken to be meant for another program",
        "SUPABASE_URL": "this version has no use for it",
        "LIMNER_PORT": "Kubernetes sets it for a service named limner",
    }


def test_secrets_never_show(folder: Path):
    loaded = read(folder, {"OPENAI_API_KEY": "sk-very-secret", "LIMNER_ENGINE_TOKEN": "token-very-secret"})
    assert loaded.settings.engine_token == SecretStr("token-very-secret")
    assert "very-secret" not in repr(loaded) + str(shown(loaded.settings))


def test_relative_paths_start_at_the_current_folder_and_a_tilde_is_the_users_home(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", "/home/me")
    settings = Settings(home=Path("~/limner"), blob_url="pictures", database_url="sqlite:///j.db")
    assert settings.home == Path("/home/me/limner")
    assert settings.blobs == str(folder / "pictures")
    assert settings.database_path == folder / "j.db"
    assert Settings(blob_url="memory://").blobs == "memory://"


def test_settings_cannot_be_changed_and_know_no_other_names():
    with pytest.raises(ValidationError):
        Settings(port=1).port = 2
    with pytest.raises(ValidationError):
        Settings(prot=1)


@pytest.mark.parametrize(
    ("url", "read_as"),
    [
        ("postgresql://db/limner", "postgresql://db/limner"),
        (
            "postgres://me:p%40w@db.example.com:5433/limner",
            "postgresql://me:p%40w@db.example.com:5433/limner",
        ),
        ("postgresql://me@[::1]/limner?sslmode=require", "postgresql://me@[::1]/limner?sslmode=require"),
        ("postgresql:///limner?host=/run/postgresql", "postgresql:///limner?host=/run/postgresql"),
    ],
)
def test_a_shared_journal_is_an_address(url: str, read_as: str):
    settings = Settings(database_url=url)
    assert (settings.database_url, settings.shared) == (read_as, True)


def test_the_password_of_a_shared_journal_is_never_shown():
    for url in (
        "postgresql://me:hunter2@db/limner",
        "postgresql://me@db/limner?password=hunter2&sslmode=require",
    ):
        assert "hunter2" not in str(shown(Settings(database_url=url)))
