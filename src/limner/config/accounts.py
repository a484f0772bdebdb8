"""Accounts at providers: what `[accounts.NAME]` tables and the providers' own variables say. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated
from urllib.parse import urlsplit

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
    usual: str = "",
) -> tuple[Account, ...]:
    """The provider's accounts: its tables in limner.toml, else one per address that its variables name.

    What a table leaves out is taken from the variables. Without any there is one account, perhaps without a
    key. `usual` is the provider's own address: a bare host gets its port.
    """
    prefix = f"LIMNER_{provider.upper().replace('-', '_')}"
    key = _variable(settings, f"{prefix}_KEY", *key_env)
    urls = _addresses(_variable(settings, f"{prefix}_URL", *url_env), prefix, usual)
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


def _addresses(text: str, prefix: str, usual: str) -> tuple[str, ...]:
    """Addresses separated by commas. Raises `SetupError`."""
    return tuple(_address(url.strip().rstrip("/"), prefix, usual) for url in text.split(",") if url.strip())


def _address(url: str, prefix: str, usual: str) -> str:
    """One address; a bare `host` or `host:port`, as Ollama's own variable holds it, is made a whole one."""
    if "://" not in url:
        # 0.0.0.0 is where a server listens: whoever asks it says 127.0.0.1.
        host, colon, port = re.sub(r"^0\.0\.0\.0\b", "127.0.0.1", url).partition(":")
        url = f"http://{host}:{port}" if colon else f"http://{host}:{urlsplit(usual).port or 80}"
    if not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
        raise SetupError(f"{prefix}_URL: {url[:80]!r} is not an address such as http://127.0.0.1:8188")
    return url
