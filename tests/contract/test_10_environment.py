"""Contract 10, variables that users have set already: each does what it says, or is told as unused.

Where settings come from and who wins is proven in `tests/test_config.py` and
`tests/config/test_accounts.py`.
"""

import pytest

from limner.config import Settings, accounts_of, load
from limner.core.errors import SetupError
from limner.providers.find import installed

KEYS = {
    "OPENAI_API_KEY": "openai",
    "TOGETHER_API_KEY": "together",
    "REPLICATE_API_TOKEN": "replicate",
    "GEMINI_API_KEY": "gemini",
    "LEONARDO_API_KEY": "leonardo",
    "RUNWARE_API_KEY": "runware",
    "GROQ_API_KEY": "groq",
    "HUGGINGFACE_API_KEY": "huggingface",
}
ADDRESSES = {"OLLAMA_BASE_URL": "ollama", "COMFYUI_URL": "comfyui"}
MODELS = {"OLLAMA_IMAGE_MODEL": "ollama", "HUGGINGFACE_IMAGE_MODEL": "huggingface"}
SETTINGS = {
    "PORT": ("9000", "port", 9000),
    "CIRCUIT_BREAKER_FAILURE_THRESHOLD": ("7", "breaker_failures", 7),
    "CIRCUIT_BREAKER_TIMEOUT_MS": ("90000", "breaker_window_s", 90.0),
    "LOCAL_STORAGE_PATH": ("/srv/pictures", "blob_url", "/srv/pictures"),
    "DATABASE_URL": ("sqlite:////srv/limner.db", "database_url", "sqlite:////srv/limner.db"),
}
FLAGS = {
    f"ENABLE_IMAGE_GENERATION_{name}": name.lower() for name in ("OPENAI", "TOGETHER", "REPLICATE", "GEMINI")
}
UNUSED = {
    **dict.fromkeys(
        ("SUPABASE_URL", "SUPABASE_ANON_KEY", "SUPABASE_SERVICE_KEY"), "this version has no use for it"
    ),
    **dict.fromkeys(
        ("CUDA_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION", "HCC_AMDGPU_TARGET"),
        "the engine of this version draws on the processor",
    ),
    "TORCH_DTYPE": "the engine of this version computes in float32",
    "HF_HOME": "this version downloads no models",
    "GROQ_IMAGE_MODEL": "Groq has no model that draws",
}
ALL = {
    *("OPENAI_API_KEY", "TOGETHER_API_KEY", "REPLICATE_API_TOKEN", "GEMINI_API_KEY", "LEONARDO_API_KEY"),
    *("RUNWARE_API_KEY", "GROQ_API_KEY", "HUGGINGFACE_API_KEY"),
    *("ENABLE_IMAGE_GENERATION_OPENAI", "ENABLE_IMAGE_GENERATION_TOGETHER"),
    *("ENABLE_IMAGE_GENERATION_REPLICATE", "ENABLE_IMAGE_GENERATION_GEMINI"),
    *("CIRCUIT_BREAKER_FAILURE_THRESHOLD", "CIRCUIT_BREAKER_TIMEOUT_MS"),
    *("OLLAMA_BASE_URL", "OLLAMA_IMAGE_MODEL", "GROQ_IMAGE_MODEL", "HUGGINGFACE_IMAGE_MODEL", "COMFYUI_URL"),
    *("LOCAL_STORAGE_PATH", "PORT", "DATABASE_URL", "SUPABASE_URL", "SUPABASE_ANON_KEY"),
    *("SUPABASE_SERVICE_KEY", "CUDA_VISIBLE_DEVICES", "TORCH_DTYPE", "HF_HOME", "HSA_OVERRIDE_GFX_VERSION"),
    "HCC_AMDGPU_TARGET",
}


@pytest.fixture
def read(tmp_path):
    """The settings of a machine that has these variables and no others."""

    def of(**environ):
        return load(cwd=tmp_path, environ={"LIMNER_HOME": str(tmp_path / "home")} | environ)

    return of


def account(loaded, provider):
    """How the provider is reached."""
    kind = installed()[provider]
    names = {"key_env": kind.key_env, "url_env": kind.url_env, "model_env": kind.model_env}
    (found,) = accounts_of(provider, loaded.settings, **names, usual=kind.base_url)
    return found


def test_every_name_of_the_contract_is_in_one_of_these_tables():
    tables = (KEYS, ADDRESSES, MODELS, SETTINGS, FLAGS, UNUSED)
    assert {name for table in tables for name in table} == ALL
    assert sum(len(table) for table in tables) == len(ALL)


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_its_providers(read, name):
    assert account(read(**{name: "a-key"}), KEYS[name]).key == "a-key"


@pytest.mark.parametrize("name", ADDRESSES)
def test_an_address_is_its_providers(read, name):
    assert account(read(**{name: "http://127.0.0.1:4000"}), ADDRESSES[name]).url == "http://127.0.0.1:4000"


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_what_its_provider_draws_with_when_none_is_named(read, name):
    assert account(read(**{name: "maker/model"}), MODELS[name]).model == "maker/model"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_name_from_before_is_the_setting(read, name):
    given, setting, value = SETTINGS[name]
    assert getattr(read(**{name: given}).settings, setting) == value
    assert getattr(Settings(), setting) != value


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_that_is_off_switches_its_provider_off(read, name):
    assert read(**{name: "false"}).settings.disabled_providers == (FLAGS[name],)
    assert read(**{name: "0"}).settings.disabled_providers == (FLAGS[name],)


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", ["true", "1", "TRUE", ""])
def test_a_flag_that_is_true_or_1_or_unset_is_on(read, name, value):
    assert read(**{name: value}).settings.disabled_providers == ()


def test_a_flag_that_is_no_word_for_on_or_off_is_refused(read):
    with pytest.raises(SetupError, match="ENABLE_IMAGE_GENERATION_OPENAI=perhaps: must be true or false"):
        read(ENABLE_IMAGE_GENERATION_OPENAI="perhaps")


@pytest.mark.parametrize("name", UNUSED)
def test_what_this_version_has_no_use_for_is_told_and_changes_nothing(read, name):
    loaded = read(**{name: "0"})
    assert loaded.unused == {name: UNUSED[name]}
    assert loaded.settings == read().settings


def test_a_database_that_is_no_file_is_another_programs(read):
    loaded = read(DATABASE_URL="postgresql://user:word@db/shop")
    assert (loaded.settings.database_url, list(loaded.unused)) == ("", ["DATABASE_URL"])


def test_unset_they_are_the_contracts_defaults(read):
    settings = read().settings
    assert (settings.port, settings.breaker_failures, settings.breaker_window_s) == (8003, 5, 600.0)
    assert settings.blobs.endswith("/storage")


def test_all_of_them_at_once_are_read(read):
    words = {name: given for name, (given, _, _) in SETTINGS.items()}
    values = dict.fromkeys(KEYS, "k") | dict.fromkeys(ADDRESSES, "http://h:1") | dict.fromkeys(MODELS, "m")
    loaded = read(**values, **words, **dict.fromkeys(FLAGS, "true"), **dict.fromkeys(UNUSED, "x"))
    assert set(loaded.unused) == set(UNUSED)
    assert set(loaded.settings.variables) == {*KEYS, *ADDRESSES, *MODELS}
