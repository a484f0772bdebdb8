"""The settings themselves, and the names they go by elsewhere."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import platformdirs
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SecretStr,
)

from limner.config.bounds import BudgetSettings, LimitSettings
from limner.config.values import (
    Address,
    CallerKeys,
    Dollars,
    Names,
    Pictures,
    Seconds,
    Secret,
    TableName,
    Text,
    Whole,
    blob_place,
    database,
    folder,
)

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "console", "json"]
LanguageApi = Literal["ollama", "openai"]
Switch = Literal["on", "off"]


_LEVELS = Text("debug|info|warning|error", "one of debug, info, warning, error", lower=True)
_FORMATS = Text("auto|console|json", "one of auto, console, json", lower=True)
_LANGUAGE_APIS = Text("ollama|openai", "one of ollama, openai", lower=True)
_SWITCH = Text("on|off", "on or off", lower=True)


class AccountSettings(BaseModel):
    """One `[accounts.NAME]` table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: str = Field("", description="The provider; empty: the table's name.")
    url: Address = Field("", description="Its address; empty: from the environment, else the provider's own.")
    key: Secret | None = Field(None, description="Its key; unset: from the environment.")
    model: str | None = Field(None, description="The vendor's name of the model for orders that name none.")
    concurrency: Annotated[int, Whole(1, 100_000)] | None = Field(
        None, description="Orders it takes at once; more wait in line. Unset: what its provider is known for."
    )
    webhook_secret: Secret | None = Field(
        None,
        description="What its vendor proves calls with: Replicate's `whsec_...`, Leonardo's callback secret.",
    )


class Settings(BaseModel):
    """All of Limner's settings, checked. Reading them from files and the environment is `load`'s."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=False)

    home: Annotated[Path, AfterValidator(folder)] = Field(
        default_factory=lambda: platformdirs.user_data_path("limner"),
        description="The folder that holds all state: journal, pictures, secrets. Made when missing.",
    )
    host: Annotated[str, Text(r"[A-Za-z0-9.:_%\[\]-]+", "a host name or an IP address")] = Field(
        "127.0.0.1", description="The address `limner serve` listens at."
    )
    port: Annotated[int, Whole(1, 65535)] = Field(8003, description="The port `limner serve` listens at.")
    grpc_host: Annotated[str, Text(r"([A-Za-z0-9.:_%\[\]-]+)?", "a host name or an IP address, or empty")] = (
        Field("", description="The address the gRPC service listens at. Empty: as `host`.")
    )
    grpc_port: Annotated[int, Whole(0, 65535)] = Field(
        50051, description="The port the gRPC service listens at; 0 turns it off."
    )
    grpc_concurrency: Annotated[int, Whole(1, 10_000)] = Field(
        10, description="gRPC calls that may wait for pictures at once; more are refused."
    )
    grpc_cert: Annotated[Path, AfterValidator(folder)] | None = Field(
        None, description="PEM file of the certificate that gRPC shows. Unset: plaintext."
    )
    grpc_key: Annotated[Path, AfterValidator(folder)] | None = Field(
        None, description="PEM file of the certificate's key; goes with `grpc_cert`."
    )
    public_url: Address = Field(
        "",
        description="What clients reach the server at, for links in answers. Empty: as the request said.",
    )
    database_url: Annotated[str, AfterValidator(database)] = Field(
        "",
        description=(
            "The journal: `sqlite:///path/to/file`, or `postgresql://user:password@host/database` for "
            "several processes. Empty: `limner.db` in the home folder."
        ),
    )
    blob_url: Annotated[str, AfterValidator(blob_place)] = Field(
        "", description="The folder of the pictures; `memory://` forgets them. Empty: `storage` in the home."
    )
    engine_url: Address = Field(
        "",
        description="An engine that runs elsewhere. Empty: one is started with the server and ends with it.",
    )
    engine_token: Secret | None = Field(None, description="The token the engine at `engine_url` asks for.")
    engine_threads: Annotated[int, Whole(1, 1024)] | None = Field(
        None, description="Threads the started engine computes with. Unset: one per processor."
    )
    concurrency: Annotated[int, Whole(1, 1024)] = Field(
        16, description="Jobs that run at once; others queue."
    )
    waiting: Annotated[int, Whole(0, 100_000)] = Field(
        1000, description="Jobs besides those that only wait for a vendor which has their order."
    )
    deadline_s: Annotated[float, Seconds(1, 86_400)] = Field(
        600.0, description="Seconds a job may take from its acceptance, unless its request says otherwise."
    )
    lease_s: Annotated[float, Seconds(1, 3600)] = Field(
        15.0, description="Seconds after which a job of a worker that died is taken up by another."
    )
    max_body_bytes: Annotated[int, Whole(1024, 1 << 30)] = Field(
        1 << 20, description="Bytes a request's body may have."
    )
    max_upload_bytes: Annotated[int, Whole(1024, 1 << 30)] = Field(
        50 << 20, description="Bytes a body may have that carries pictures, all of them together."
    )
    breaker_failures: Annotated[int, Whole(1, 1000)] = Field(
        5, description="Failures within the window that make a provider rest."
    )
    breaker_window_s: Annotated[float, Seconds(1, 86_400)] = Field(
        600.0, description="Seconds failures count for, and that a provider then rests."
    )
    disabled_providers: Annotated[tuple[str, ...], Names()] = Field(
        (), description="Providers that are never asked."
    )
    api_keys: CallerKeys | None = Field(
        None,
        description=(
            "Callers and their keys, as `NAME=KEY,NAME=KEY`; keys of 16 characters or more. Unset: everybody "
            "who reaches the server is the local user and no key is asked for."
        ),
    )
    quote_secret: Secret | None = Field(
        None,
        description=(
            "What quotes are signed with, the same for all that share a journal; at least 16 characters. "
            "Unset: the file `quote.key` in the home."
        ),
    )
    quote_valid_s: Annotated[float, Seconds(1, 86_400)] = Field(
        900.0, description="Seconds a quote may be accepted for."
    )
    mcp_session_usd: Annotated[Decimal | None, Dollars(off=True)] = Field(
        Decimal(1),
        description=(
            "Dollars that one session of a language model may spend through MCP. Protocols without sessions: "
            "one caller in 24 hours."
        ),
    )
    prompt_rewriting: Annotated[Switch, _SWITCH] = Field(
        "on",
        description=(
            "Whether prompts are ever rewritten, where a request or its door asks for it: made shorter, "
            "enhanced, put into a template or style. `off`: all are sent as they came."
        ),
    )
    language_api: Annotated[LanguageApi, _LANGUAGE_APIS] = Field(
        "ollama", description="How the language model that rewrites prompts and chats is spoken to."
    )
    language_url: Address = Field(
        "",
        description=(
            "The language model's address; with `language_api` `openai` the one that ends in `/v1`. Empty: "
            "Ollama's, from the environment or http://127.0.0.1:11434; with `openai` https://api.openai.com/v1."
        ),
    )
    language_model: Annotated[str, Text(r"[\x21-\x7e]{1,200}", "the name of a model, without blanks")] = (
        Field("gpt-oss:20b", description="The language model.")
    )
    language_key: Secret | None = Field(None, description="The key that its server asks for.")
    log_level: Annotated[LogLevel, _LEVELS] = Field(
        "info", description="The least important line that is logged."
    )
    log_format: Annotated[LogFormat, _FORMATS] = Field(
        "auto", description="How lines are logged. `auto`: coloured on a terminal, else JSON."
    )
    catalog_dir: Annotated[Path, AfterValidator(folder)] | None = Field(
        None,
        description="Folder of catalog files that change or add models. Unset: `catalog` in the home.",
    )
    accounts: dict[str, AccountSettings] = Field(
        {},
        description=(
            "Accounts at providers: tables `[accounts.NAME]` with `provider` (default: the name), `url`, "
            "`key`, `model`. Without a table the key, address and model come from the environment."
        ),
    )
    default_day_usd: Annotated[Decimal | None, Dollars(off=True)] = Field(
        Decimal(10),
        description=(
            "Dollars that each identified user may spend a day, in UTC, unless a budget names the user. "
            "Free pictures are never bounded by money."
        ),
    )
    default_images_per_hour: Annotated[int | None, Pictures(off=True)] = Field(
        10,
        description=(
            "Pictures that each identified user may order in any hour, free ones too, unless a limit names "
            "the user."
        ),
    )
    default_images_per_day: Annotated[int | None, Pictures(off=True)] = Field(
        50, description="The same in any 24 hours."
    )
    budgets: dict[TableName, BudgetSettings] = Field(
        {},
        description=(
            "Tables `[budgets.NAME]`: `user`, `project`, `account` say whose orders count, all that are set "
            "together, none: everybody's; `day_usd`, `month_usd` what they may come to."
        ),
    )
    limits: dict[TableName, LimitSettings] = Field(
        {},
        description=(
            "Tables `[limits.NAME]`: `user`, `project` say whose orders count; `images_per_hour`, "
            "`images_per_day` how many pictures they may ask for."
        ),
    )
    variables: dict[str, SecretStr] = Field(
        {},
        description=(
            "Keys, addresses and models of providers that the environment holds, under "
            "`LIMNER_<PROVIDER>_KEY`, `_URL`, `_MODEL` or the vendor's own names. Not for limner.toml."
        ),
    )

    @property
    def callers(self) -> dict[str, str]:
        """Each caller's key by name; empty: no key is asked for."""
        pairs = self.api_keys.get_secret_value().split(",") if self.api_keys else []
        return {name: key for name, _, key in (pair.partition("=") for pair in pairs)}

    @property
    def catalog(self) -> Path:
        """The folder of the user's catalog files."""
        return self.catalog_dir or self.home / "catalog"

    @property
    def shared(self) -> bool:
        """The journal is a server's, and several processes may work on it."""
        return self.database_url.startswith("postgresql:")

    @property
    def database_path(self) -> Path:
        """The journal's file, where it is one."""
        return (
            Path(self.database_url.removeprefix("sqlite:///"))
            if self.database_url
            else self.home / "limner.db"
        )

    @property
    def blobs(self) -> str:
        """The folder of the pictures, or `memory://`."""
        return self.blob_url or str(self.home / "storage")


SECRETS = frozenset(
    name
    for name, field in Settings.model_fields.items()
    if "SecretStr" in str(field.annotation) or name == "accounts"
)
"""Settings that are never shown."""
ALIASES: dict[str, str] = {
    "PORT": "port",
    "DATABASE_URL": "database_url",
    "LOCAL_STORAGE_PATH": "blob_url",
    "CIRCUIT_BREAKER_FAILURE_THRESHOLD": "breaker_failures",
    "CIRCUIT_BREAKER_TIMEOUT_MS": "breaker_window_s",
}
"""Names that programs before Limner used; within one source the LIMNER_ name wins over them."""

FLAG = re.compile(r"ENABLE_IMAGE_GENERATION_([A-Z0-9_]+)")
"""Flags that switch one provider off or on."""

OF_A_PROVIDER = re.compile(r"LIMNER_[A-Z0-9_]+_(KEY|URL|MODEL)|[A-Z0-9_]+_(KEY|TOKEN|URL|HOST|MODEL)")
"""Variables that may be a provider's: which are, the providers say."""

UNUSED: dict[str, str] = {
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
"""Names that programs before Limner used and this version has no use for, with the reason."""

NOT_VARIABLES = frozenset({"accounts", "budgets", "limits", "variables"})
"""Settings that are tables: no environment variable sets them."""

BY_VARIABLE = {
    f"LIMNER_{name.upper()}": name for name in Settings.model_fields if name not in NOT_VARIABLES
} | ALIASES
"""Every environment variable that is a setting."""


def shown(settings: Settings) -> dict[str, Any]:
    """Every setting as plain JSON, secrets masked: what people and logs may see."""
    return {name: _shown(value) for name, value in settings.model_dump(mode="json").items()}


def _shown(value: JsonValue) -> JsonValue:
    """Text masked, also the address inside a table."""
    if isinstance(value, dict):
        return {name: _shown(one) for name, one in value.items()}
    return masked(value) if isinstance(value, str) else value


def masked(value: object) -> str:
    """The value as one short line, without the password an address may carry."""
    text = re.sub(r"(://[^/@\s:]*):.*@", r"\1:********@", str(value))  # up to the last @: it may hold more
    text = re.sub(r"([?&]\w*password)=[^&\s]*", r"\1=********", text)
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= 80 else text[:77] + "..."
