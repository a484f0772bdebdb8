"""Accounts at providers: what `[accounts.NAME]` tables and the providers' own variables say. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from limner.config.settings import AccountSettings, Settings
from limner.core.errors import SetupError


class Account(BaseModel):
    """One account as it will be used; `key` is plain, so this is never printed."""

    model_config = ConfigDict(frozen=True)

    name: str
    provider: str
    url: str = ""
    """Empty: the provider's own address."""
    key: Annotated[str, Field(repr=False)] = ""
    model: str | None = None


def accounts_of(
    provider: str,
    settings: Settings,
    *,
    key_env: Sequence[str] = (),
    url_env: Sequence[str] = (),
    model_env: Sequence[str] = (),
) -> tuple[Account, ...]:
    """The provider's accounts: its tables in limner.toml, else one per address that its variables name.

    What a table leaves out is taken from the variables. Without any there is one account, perhaps without a
    key.
    """
    prefix = f"LIMNER_{provider.upper().replace('-', '_')}"
    key = _variable(settings, f"{prefix}_KEY", *key_env)
    urls = _addresses(_variable(settings, f"{prefix}_URL", *url_env), prefix)
    model = _variable(settings, f"{prefix}_MODEL", *model_env) or None
    tables = {n: a for n, a in settings.accounts.items() if (a.provider or n) == provider}
    if tables:
        return tuple(_from_table(name, provider, one, key, model) for name, one in tables.items())
    return tuple(
        Account(name=name, provider=provider, url=url, key=key, model=model)
        for name, url in _named(provider, urls)
    )


def _from_table(name: str, provider: str, table: AccountSettings, key: str, model: str | None) -> Account:
    return Account(
        name=name,
        provider=provider,
        url=table.url,
        key=key if table.key is None else table.key.get_secret_value(),
        model=table.model or model,
    )


def _named(provider: str, urls: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The first account is named like its provider, further ones with a number."""
    for n, url in enumerate(urls or ("",), 1):
        yield provider if n == 1 else f"{provider}-{n}", url


def _variable(settings: Settings, *names: str) -> str:
    return next((settings.variables[n].get_secret_value() for n in names if n in settings.variables), "")


def _addresses(text: str, prefix: str) -> tuple[str, ...]:
    """Addresses separated by commas. Raises `SetupError`."""
    urls = [url.strip().rstrip("/") for url in text.split(",") if url.strip()]
    for n, url in enumerate(urls):
        whole = url if "://" in url else f"http://{url}"  # OLLAMA_HOST is often a bare host:port
        if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", whole):
            raise SetupError(f"{prefix}_URL: {url[:80]!r} is not an address such as http://127.0.0.1:8188")
        urls[n] = whole
    return tuple(urls)
