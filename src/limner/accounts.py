"""Every account of every provider that is switched on: how it is reached, and how the planner sees it."""

import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import aiohttp

from limner.catalog.load import Catalog
from limner.config import Account as NamedAccount
from limner.config import Settings, accounts_of
from limner.core.errors import NoRoute, ProviderError, SetupError
from limner.core.quote import Target
from limner.providers.base import Provider
from limner.router.account import Account
from limner.router.breaker import Circuit
from limner.router.pulse import Pulse
from limner.wire import Wire

_WELL_S = 300.0
_ILL_S = 10.0
"""How long a provider's word is remembered: that it is away, only for a moment, since somebody may be
starting it."""


@dataclass(frozen=True, slots=True)
class Engine:
    """The local engine: one whose address is set, or a child that is watched here."""

    url: str
    token: str
    obstacle: Callable[[], str | None] | None = None
    """Why the child cannot serve now, None when it can."""


@dataclass(frozen=True, slots=True)
class Opened:
    """One account, ready to be asked."""

    name: str
    provider: Provider
    unset: str | None = None
    """What is missing before it can be used."""
    model: str | None = None
    watched: Callable[[], str | None] | None = None
    """Says what keeps it from serving, for an account that somebody here watches; its orders' failures then
    say nothing more."""

    @property
    def local(self) -> bool:
        """It runs on the user's own machines."""
        return self.provider.self_hosted


@dataclass(frozen=True, slots=True)
class _Heard:
    """What a provider said of itself."""

    reason: str | None
    changes: int
    until: float


class Accounts:
    """Read by the planner, and by whoever places an order. Raises `SetupError` for two of one name."""

    def __init__(
        self,
        opened: Iterator[Opened],
        pulse: Pulse,
        caps: Mapping[str, int] | None = None,
        off: Callable[[str], bool] = lambda _provider: False,
    ) -> None:
        self._opened: dict[str, Opened] = {}
        for one in opened:
            twin = self._opened.setdefault(one.name, one)
            if twin is not one:
                raise SetupError(
                    f"limner.toml: two accounts are called {one.name!r}, at {twin.provider.name} and at "
                    f"{one.provider.name}; give the table [accounts.{one.name}] another name"
                )
        self._of: dict[str, list[Opened]] = {}
        for one in self._opened.values():
            self._of.setdefault(one.provider.name, []).append(one)
        self._pulse = pulse
        self._caps = caps or {}
        self._off = off
        self._heard: dict[str, _Heard] = {}

    def __iter__(self) -> Iterator[Opened]:
        return iter(self._opened.values())

    def now(self, providers: Collection[str] | None = None) -> list[Account]:
        """All accounts as they stand, or those of some providers."""
        now = time.monotonic()
        if providers is None:
            return [self.shown(one, now) for one in self._opened.values()]
        return [self.shown(one, now) for name in providers for one in self._of.get(name, ())]

    def shown(self, one: Opened, now: float) -> Account:
        """One account as it stands."""
        off = one.unset is None and self._off(one.provider.name)
        if off:
            obstacle: str | None = f"Image generation disabled for {one.provider.name}"
        elif one.watched is not None:
            obstacle = one.watched()
        else:
            obstacle = one.unset or self._pulse.obstacle(one.name, now)
        return Account(
            provider=one.provider.name,
            name=one.name,
            obstacle=obstacle,
            passing=one.watched is None and one.unset is None and not off,
            local=one.local,
            configured=one.unset is None,
            model=one.model,
            cap=self._caps.get(one.name),
            load=self._pulse.load(one.name),
            latency_s=self._pulse.latency_s(one.name),
        )

    def obstacle(self, one: Opened) -> str | None:
        """Why the account cannot be asked now, None when it can."""
        return self.shown(one, time.monotonic()).obstacle

    def circuit(self, one: Opened) -> Circuit:
        """The account's breaker as it is shown."""
        return self._pulse.circuit(one.name, time.monotonic(), time.time())

    async def health(self, one: Opened) -> str | None:
        """Why the account cannot be used, by its state and by asking the provider; None when it can.

        The provider's word is remembered for a while, or until something about the account changes.
        """
        obstacle = self.shown(one, time.monotonic()).obstacle
        if obstacle is not None or one.watched is not None:
            return obstacle
        heard = self._heard.get(one.name)
        changes = self._pulse.changes(one.name)
        if heard is None or heard.changes != changes or time.monotonic() > heard.until:
            reason = await _asked(one.provider)
            remembered_s = _WELL_S if reason is None else _ILL_S
            heard = self._heard[one.name] = _Heard(reason, changes, time.monotonic() + remembered_s)
        return heard.reason

    def provider(self, target: Target) -> Provider:
        """Who serves the target. Raises `NoRoute` for an account that is not there any more."""
        if target.account not in self._opened:
            raise NoRoute(
                f"{target.name}: the account {target.account} is not set up here any more", passing=True
            )
        return self._opened[target.account].provider


async def _asked(provider: Provider) -> str | None:
    try:
        health = await provider.probe()
    except ProviderError as error:
        return str(error)
    return None if health.ok else health.reason


def open_accounts(
    kinds: Mapping[str, type[Provider]],
    settings: Settings,
    catalog: Catalog,
    http: aiohttp.ClientSession,
    engine: Engine | None,
) -> Iterator[Opened]:
    """Every account the settings name, with its wire. Raises `SetupError` for accounts of no provider."""
    _check_names(settings, kinds)
    for name, kind in kinds.items():
        if name == "local" and engine is not None:
            yield Opened(name, kind(_wire(http, kind, engine.url, engine.token)), watched=engine.obstacle)
            continue
        entry = catalog.entry(name)
        for one in _named(kind, settings):
            provider = kind(_wire(http, kind, one.url or kind.base_url, one.key))
            unset = (entry.cannot_draw if entry else None) or _missing(kind, one.key, one.url)
            yield Opened(one.name, provider, unset, one.model)


def set_up(kinds: Mapping[str, type[Provider]], settings: Settings) -> frozenset[str]:
    """Providers that have an account which lacks nothing, as far as the settings tell."""
    return frozenset(
        name
        for name, kind in kinds.items()
        if name == "local" or any(not _missing(kind, one.key, one.url) for one in _named(kind, settings))
    )


def caps(kinds: Mapping[str, type[Provider]], settings: Settings) -> dict[str, int]:
    """How many orders each account takes at once, of those that do not take any number."""
    found = {
        one.name: kind.concurrency if one.concurrency is None else one.concurrency
        for name, kind in kinds.items()
        if name != "local"  # the engine keeps a book of its own
        for one in _named(kind, settings)
    }
    return {name: cap for name, cap in found.items() if cap is not None}


def _named(kind: type[Provider], settings: Settings) -> tuple[NamedAccount, ...]:
    return accounts_of(
        kind.name,
        settings,
        key_env=kind.key_env,
        url_env=kind.url_env,
        model_env=kind.model_env,
        usual=kind.base_url,
    )


def _wire(http: aiohttp.ClientSession, kind: type[Provider], url: str, key: str) -> Wire:
    return Wire(http, url, kind.auth(key), classify=kind.classify, timeout_s=kind.timeout_s, hosts=kind.hosts)


def _missing(kind: type[Provider], key: str, url: str) -> str | None:
    """What must be set before an account at the provider can be used; None when nothing."""
    prefix = f"LIMNER_{kind.name.upper().replace('-', '_')}"
    if kind.self_hosted and not url:
        return f"No address configured for {kind.name}: set {(*kind.url_env, f'{prefix}_URL')[0]}"
    if kind.needs_key and not key:
        return f"No API key configured for {kind.name}: set {(*kind.key_env, f'{prefix}_KEY')[0]}"
    return None


def _check_names(settings: Settings, kinds: Mapping[str, type[Provider]]) -> None:
    """Raises `SetupError` for settings of a provider that nobody has installed."""
    known = {*kinds, *settings.disabled_providers}
    said = f"known: {', '.join(sorted(known))}"
    for name, table in settings.accounts.items():
        if (table.provider or name) not in known:
            other = table.provider or name
            raise SetupError(f"limner.toml: [accounts.{name}]: no provider is called {other[:60]!r}; {said}")
    for variable in settings.variables:
        match = re.fullmatch(r"LIMNER_([A-Z0-9_]+)_(KEY|URL|MODEL)", variable)
        if match and match[1].lower().replace("_", "-") not in known:
            other = match[1].lower()
            raise SetupError(
                f"{variable} is not a setting of Limner: no provider is called {other!r}; {said}"
            )
