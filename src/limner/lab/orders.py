"""What the laboratory orders: many small pictures of many kinds, the same for the same seed. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources.abc import Traversable
from random import Random
from typing import Literal

from pydantic import JsonValue

from limner.catalog.fit import Fitted, fit
from limner.catalog.load import parse, shipped_tables
from limner.catalog.price import estimate_usd
from limner.core.request import GenerateRequest
from limner.providers import find as providers
from limner.providers.base import Recovery
from limner.simulator import find as simulators
from limner.simulator.faults import KINDS, Kind

Again = Literal["no", "same", "other"]
"""Whether an order is sent twice under one key: never, as it was, or with another body."""

_SIDE = 256
_MODELS = 3
"""Of each provider: the smallest pictures, the cheapest first."""
_HEAVY: frozenset[Kind] = frozenset({"huge", "hang", "never_ends"})
_PATIENCE_S = 1800.0
_SHORT_PATIENCE_S = 12.0


@dataclass(frozen=True, slots=True)
class Offer:
    """One model of one provider, at the smallest size it draws."""

    provider: str
    model: str
    recovery: Recovery
    free: bool


@dataclass(frozen=True, slots=True)
class Wish:
    """One order and what befalls it."""

    number: int
    name: str
    """In its prompt, its key, the vendors' bill."""
    body: dict[str, JsonValue]
    provider: str | None
    fault: Kind | None = None
    """Met by the first order that a vendor gets for it."""
    cancel: bool = False
    again: Again = "no"


@cache
def menu() -> tuple[Offer, ...]:
    """What can be ordered: of every provider that has a stand-in, some models with known prices."""
    found: list[Offer] = []
    stand_ins = simulators.installed()
    for name, kind in providers.installed().items():
        table = shipped_tables().get(name)
        if table is not None and name in stand_ins:
            found += [Offer(name, model, kind.recovery, free) for model, free in _small(table)]
    return tuple(found)


def _small(table: Traversable) -> list[tuple[str, bool]]:
    """Models by id, and whether they cost nothing."""
    listing = parse(table)
    fitting = []
    for model in () if listing.entry.cannot_draw else listing.models:
        if model.retired or model.open or "generate" not in model.operations:
            continue
        wanted = GenerateRequest(prompt="a red fox", width=_SIDE, height=_SIDE, seed=1)
        fitted = fit(wanted, model)
        price = estimate_usd(fitted.request, model) if isinstance(fitted, Fitted) else None
        if isinstance(fitted, Fitted) and price is not None:
            width, height = fitted.request.size or (1, 1)
            fitting.append((width * height, price, model.id))
    return [(name, price == 0) for _, price, name in sorted(fitting)[:_MODELS]]


def recoveries() -> dict[str, Recovery]:
    """How each provider on the menu can be asked again."""
    return {offer.provider: offer.recovery for offer in menu()}


@dataclass(frozen=True, slots=True)
class Mix:
    """How much of what: shares of all orders, 0 to 1."""

    faults: float = 0.25
    cancels: float = 0.03
    twice: float = 0.06
    kinds: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind != "huge")
    providers: tuple[str, ...] = ()
    """Only these; empty is all."""
    named: float = 0.8
    """Orders that name a provider and a model."""


def orders(seed: int, count: int, mix: Mix, prefix: str = "") -> list[Wish]:
    """The orders of a run."""
    random = Random(f"orders {seed}")  # noqa: S311 - repeatable, no secret
    offers = [one for one in menu() if not mix.providers or one.provider in mix.providers]
    return [_wish(random, f"{prefix}{seed}-{number}", number, offers, mix) for number in range(count)]


def _wish(random: Random, name: str, number: int, offers: Sequence[Offer], mix: Mix) -> Wish:
    offer = random.choice(offers)
    fault = random.choice(mix.kinds) if random.random() < mix.faults else None
    named = random.random() < mix.named
    policy: dict[str, JsonValue] = {
        "deadline_s": _SHORT_PATIENCE_S if fault in _HEAVY else _PATIENCE_S,
        "substitutes": random.random() < 0.5,
        "prefer": random.choice(("local-first", "cheapest", "fastest", "balanced")),
    }
    body: dict[str, JsonValue] = {
        "prompt": f"a red fox [[order:{name}]]",
        "width": _SIDE,
        "height": _SIDE,
        "priority": random.choice((-1, 0, 0, 0, 1)),
        "policy": policy,
    }
    if named:
        body |= {"provider": offer.provider, "model": offer.model}
    again: Again = random.choice(("same", "same", "other")) if random.random() < mix.twice else "no"
    return Wish(
        number=number,
        name=name,
        body=body,
        provider=offer.provider if named else None,
        fault=fault,
        cancel=random.random() < mix.cancels,
        again=again,
    )
