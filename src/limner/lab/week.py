"""A week of orders on a clock of its own: who is asked, who rests, what is tried again, are the real
decisions; vendors that fail, and the time they take, are drawn by chance."""

import heapq
import time as clock
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cache
from random import Random
from typing import TypeVar

from limner.catalog.load import parse, shipped_tables
from limner.catalog.model import Model
from limner.core.errors import NoRoute, ProviderError, RateLimited, TimedOut, Unavailable
from limner.core.quote import Target
from limner.core.request import GenerateRequest, Policy
from limner.jobs.reconcile import MAX_TRIES, wait_s
from limner.jobs.walk import Bought, walk
from limner.lab.report import Figures, percentile
from limner.providers import find as providers
from limner.providers.base import Done, Provider, Recovery
from limner.router.account import Account
from limner.router.plan import plan
from limner.router.pulse import Pulse
from limner.store.rows import OpenAttempt

WEEK_S = 7 * 86_400.0
_DEADLINE_S = 600.0
_BREAKER = (5, 600.0)
"""As the settings have it: failures, and seconds."""

VENDORS = ("runware", "together", "fal", "replicate", "leonardo")
_REQUEST = GenerateRequest(
    prompt="a red fox",
    model="flux-1-schnell",
    width=512,
    height=512,
    seed=1,
    policy=Policy(prefer="cheapest", max_cost_usd=Decimal("0.01"), deadline_s=_DEADLINE_S),
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Chances:
    """How vendors behave. Each is up for hours and down for minutes, by exponential chance; while it is up,
    one order in so many still fails."""

    up_s: float = 36 * 3600.0
    down_s: float = 20 * 60.0
    unavailable: float = 0.01
    rate_limited: float = 0.005
    silent: float = 0.0005
    """Taken and never answered."""
    every_s: float = 30.0
    """Between two orders, on average."""


@dataclass(slots=True)
class _Vendor:
    kind: type[Provider]
    seconds: float
    changes: list[float] = field(default_factory=list)
    """When it went down, came up, went down and so on."""

    def down(self, now: float) -> bool:
        return sum(at <= now for at in self.changes) % 2 == 1


class _Silent(Exception):
    """The order's outcome is to be learnt later, or never."""


@dataclass(slots=True)
class _Week:
    random: Random
    chances: Chances
    vendors: dict[str, _Vendor]
    pulse: Pulse = field(default_factory=lambda: Pulse(*_BREAKER))
    ends: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    took: list[float] = field(default_factory=list)

    def accounts(self, now: float) -> list[Account]:
        return [Account(name, name, self.pulse.obstacle(name, now)) for name in self.vendors]

    def begin(self, accepted: float, now: float, tries: int) -> tuple[float, int] | None:
        """One holding of a job; when it is to be taken up again, None when it has ended."""
        try:
            route = plan(_REQUEST, _models(), self.accounts(now), today=date(2026, 11, 20))
        except NoRoute as error:
            return self.again(accepted, now, tries, 0.0, limited=not error.passing)
        spent = [now]
        try:
            result = _now(walk(route.targets, _REQUEST, lambda target, *_: self.place(target, spent)))
        except _Silent:
            return None
        if isinstance(result, Bought):
            self.ends["succeeded"] += 1
            self.took.append(spent[0] - accepted)
            return None
        if not result.repeatable:
            self.ends["failed"] += 1
            return None
        return self.again(accepted, spent[0], tries, result.after_s, limited=True)

    def again(
        self, accepted: float, now: float, tries: int, after_s: float, *, limited: bool
    ) -> tuple[float, int] | None:
        wait = wait_s(min(tries, MAX_TRIES), self.random.random(), after_s)
        if now + wait > accepted + _DEADLINE_S or (limited and tries >= MAX_TRIES):
            self.ends["failed"] += 1
            return None
        return now + wait, tries + 1

    async def place(self, target: Target, spent: list[float]) -> Bought:
        """One order; the time it took is added up."""
        vendor, now = self.vendors[target.provider], spent[0]
        with self.pulse.ordering(target.account, now):
            error = self.error(vendor, now)
            spent[0] += self.random.uniform(0.5, 2.0) * vendor.seconds if error is None else 0.3
            if error is None:
                self.pulse.succeeded(target.account, spent[0] - now)
                return Bought(_attempt(target, now), Done(()))
            self.met[error.code] += 1
            self.pulse.failed(target.account, error, spent[0])
            if isinstance(error, TimedOut):
                self.learn(vendor.kind, now)
                raise _Silent
        raise error

    def error(self, vendor: _Vendor, now: float) -> ProviderError | None:
        chance = self.chances
        if vendor.down(now):
            return Unavailable("connection refused")
        drawn = self.random.random()
        if drawn < chance.silent:
            return TimedOut("no answer")
        if drawn < chance.silent + chance.rate_limited:
            return RateLimited("too many requests", 2.0)
        return (
            Unavailable("500") if drawn < chance.silent + chance.rate_limited + chance.unavailable else None
        )

    def learn(self, kind: type[Provider], now: float) -> None:
        """Where the vendor can be asked, its picture is found once it is listed; else a person is asked."""
        if kind.recovery is Recovery.BLIND:
            self.ends["needs_confirmation"] += 1
            return
        self.ends["succeeded"] += 1
        self.took.append(kind.timeout_s + (kind.lag_s if kind.recovery is Recovery.TICKETED else 1.0))


def week(seed: int, chances: Chances | None = None, length_s: float = WEEK_S) -> Figures:
    """Live through it."""
    began = clock.monotonic()
    random = Random(f"week {seed}")  # noqa: S311 - repeatable, no secret
    chosen = chances or Chances()
    lived = _Week(random, chosen, _vendors(random, chosen, length_s))
    queue = [(at, at, 0) for at in _arrivals(random, chosen.every_s, length_s)]
    heapq.heapify(queue)
    accepted = len(queue)
    while queue:
        now, since, tries = heapq.heappop(queue)
        again = lived.begin(since, now, tries)
        if again is not None:
            heapq.heappush(queue, (again[0], since, again[1]))
    took = sorted(lived.took)
    well = lived.ends["succeeded"] / accepted
    outages = sum(len(one.changes) // 2 for one in lived.vendors.values())
    return Figures(
        name="week",
        seed=seed,
        database="none",
        jobs=dict(lived.ends.most_common()),
        faults=dict(lived.met.most_common()),
        p50_s=percentile(took, 0.5),
        p95_s=percentile(took, 0.95),
        seconds=clock.monotonic() - began,
        notes=(
            f"{length_s / 86_400:g} simulated days, {len(lived.vendors)} vendors, {outages} outages",
            f"{100 * well:.3f} % of accepted jobs ended well",
        ),
        violations=() if well > 0.999 else (f"{100 * well:.3f} % of accepted jobs ended well, not 99.9 %",),
    )


def _arrivals(random: Random, every_s: float, length_s: float) -> list[float]:
    found, at = [], 0.0
    while (at := at + random.expovariate(1 / every_s)) < length_s:
        found.append(at)
    return found


def _vendors(random: Random, chances: Chances, length_s: float) -> dict[str, _Vendor]:
    kinds = providers.installed()
    found = {}
    for name in VENDORS:
        changes, at = [], 0.0
        while at < length_s:
            at += random.expovariate(1 / chances.up_s)
            changes.append(at)
            at += random.expovariate(1 / chances.down_s)
            changes.append(at)
        seconds = next((one.seconds for one in _models() if one.provider == name and one.seconds), 3.0)
        found[name] = _Vendor(kinds[name], seconds, changes)
    return found


@cache
def _models() -> tuple[Model, ...]:
    tables = shipped_tables()
    return tuple(
        model for name in VENDORS for model in parse(tables[name]).models if model.known_as("flux-1-schnell")
    )


def _attempt(target: Target, now: float) -> OpenAttempt:
    return OpenAttempt(
        job_id="week", n=1, target=target, why="", submitted_at=now, deadline_at=now + _DEADLINE_S
    )


def _now(act: Coroutine[None, None, T]) -> T:
    """Run what never waits."""
    try:
        act.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("the week's vendors answer at once")
