"""Accounts at providers: what `[accounts.NAME]` tables and the providers' own variables say. Pure."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from limner.config.settings import AccountSettings, Settings, masked
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
    concurrency: int | None = None
    """Orders it takes at once, None when its provider says."""


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
    key. `usual` is the provider's own address: a bare host gets its port. Raises `SetupError` for a variable
    that cannot be meant.
    """
    prefix = f"LIMNER_{provider.upper().replace('-', '_')}"
    key = _key(settings, f"{prefix}_KEY", *key_env)
    urls = _addresses(*_variable(settings, f"{prefix}_URL", *url_env), usual)
    model = _variable(settings, f"{prefix}_MODEL", *model_env)[1] or None
    tables = {n: a for n, a in settings.accounts.items() if (a.provider or n) == provider}
    if not tables:
        return tuple(
            Account(name=name, provider=provider, url=url, key=key, model=model)
            for name, url in _named(provider, urls)
        )
    if len(urls) > 1 and (open_ := [name for name, one in tables.items() if not one.url]):
        raise SetupError(
            f"limner.toml: [accounts.{open_[0]}] has no url, and the environment names {len(urls)}; say which"
        )
    given = Account(name="", provider=provider, url="".join(urls), key=key, model=model)
    return tuple(_over(given, name, table) for name, table in tables.items())


def _over(given: Account, name: str, table: AccountSettings) -> Account:
    """What the table says, over what the variables say."""
    key = given.key if table.key is None else table.key.get_secret_value()
    return Account(
        name=name,
        provider=given.provider,
        url=table.url or given.url,
        key=key,
        model=table.model or given.model,
        concurrency=table.concurrency,
    )


def _named(provider: str, urls: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The first account is named like its provider, further ones with a number."""
    for n, url in enumerate(urls or ("",), 1):
        yield provider if n == 1 else f"{provider}-{n}", url


def _variable(settings: Settings, *names: str) -> tuple[str, str]:
    """The first of the variables that is set, and its value."""
    set_ = (name for name in names if name in settings.variables)
    return next(((name, settings.variables[name].get_secret_value()) for name in set_), ("", ""))


def _key(settings: Settings, *names: str) -> str:
    """The key, fit for a header. Raises `SetupError`."""
    name, key = _variable(settings, *names)
    if not re.fullmatch(r"[\x21-\x7e]*", key):
        raise SetupError(f"{name}=********: must be one line of printable ASCII without blanks")
    return key


def _addresses(name: str, text: str, usual: str) -> tuple[str, ...]:
    """Addresses separated by commas. Raises `SetupError` naming the variable."""
    urls = [url.strip() for url in text.split(",") if url.strip()]
    try:
        return tuple(_address(url, usual) for url in urls)
    except ValueError:
        shown = "********" if "@" in text else masked(text)
        said = f"{name}={shown}: must be addresses such as http://127.0.0.1:8188, separated by commas"
        raise SetupError(said) from None


def _address(url: str, usual: str) -> str:
    """One address; a bare `host`, `:port` or `host:port`, as Ollama's own variable holds it, is made a whole
    one. Raises ValueError."""
    if "://" not in url:
        # 0.0.0.0, or nothing, is where a server listens: whoever asks it says 127.0.0.1.
        url = "http://" + re.sub(r"^(0\.0\.0\.0)?(?=[:/]|$)", "127.0.0.1", url)
        parts = urlsplit(url)
        port = parts.port or urlsplit(usual).port or 80
        url = url if parts.port else parts._replace(netloc=f"{parts.netloc.rstrip(':')}:{port}").geturl()
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0 or not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", url):
        raise ValueError(url)
    return url.rstrip("/")
