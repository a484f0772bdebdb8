"""Buttons that draw a picture elsewhere, each with its price. What they order is kept here, not in them."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from limner.chat.commands import shown
from limner.chat.events import Choice
from limner.chat.verbs import Verbs
from limner.core.errors import NoRoute, OverBudget
from limner.core.ids import uuid7
from limner.core.quote import Offer
from limner.core.request import GenerateRequest, Policy

_REMEMBERED = 50
_SHOWN = 3
_WIDE = {"substitutes": True, "dearer": True}


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a button orders."""

    choice: Choice
    description: str
    request: GenerateRequest


@dataclass(slots=True)
class Choices:
    """The buttons of one conversation that were not pressed yet."""

    _waiting: dict[str, Chosen] = field(default_factory=dict)

    def take(self, identity: str) -> Chosen | None:
        """What the button orders, once: pressed again, it orders nothing."""
        return self._waiting.pop(identity, None)

    async def others(
        self, limner: Verbs, description: str, request: GenerateRequest, without: Iterable[str] = ()
    ) -> tuple[Choice, ...]:
        """Who else would draw it, whatever it costs: all but the providers `without`."""
        anybody = {"provider": None, "model": None, "policy": Policy(prefer="commands", **_WIDE)}
        return await self._found(limner, description, request.model_copy(update=anybody), without)

    async def dearer(self, limner: Verbs, description: str, request: GenerateRequest) -> tuple[Choice, ...]:
        """Who of those that the request allows would draw it without its limit, the cheapest first."""
        policy = Policy(prefer="cheapest", **_WIDE)
        return await self._found(limner, description, request.model_copy(update={"policy": policy}), ())

    async def _found(
        self, limner: Verbs, description: str, request: GenerateRequest, without: Iterable[str]
    ) -> tuple[Choice, ...]:
        """At a price that is known, whatever it is."""
        wide = request.model_copy(update={"quote": None})
        try:
            quote = await limner.estimate(wide)
        except NoRoute:
            return ()
        left_out = set(without)
        offers = [one for one in (*quote.route, *quote.alternatives) if one.provider not in left_out]
        return tuple(self._keep(description, wide, *one) for one in _first_of_each(offers)[:_SHOWN])

    def _keep(self, description: str, request: GenerateRequest, offer: Offer, usd: Decimal) -> Choice:
        """A button for it, remembered."""
        choice = Choice(uuid7(), shown(offer.provider), offer.model, usd)
        policy = Policy(prefer="commands", fallback=False, max_cost_usd=usd)
        named = {"provider": offer.provider, "model": offer.model, "policy": policy}
        self._waiting[choice.identity] = Chosen(choice, description, request.model_copy(update=named))
        while len(self._waiting) > _REMEMBERED:
            del self._waiting[next(iter(self._waiting))]
        return choice


def _first_of_each(offers: Iterable[Offer]) -> list[tuple[Offer, Decimal]]:
    """Those whose price is known, with it; each model once."""
    found: dict[tuple[str, str], tuple[Offer, Decimal]] = {}
    for one in offers:
        if one.price_usd is not None:
            found.setdefault((one.provider, one.model), (one, one.price_usd))
    return list(found.values())


async def quoted(limner: Verbs, chosen: Chosen) -> GenerateRequest:
    """The order, held to the price on the button. Raises `OverBudget` when it costs more by now, and as
    `estimate` does."""
    quote = await limner.estimate(chosen.request)
    if quote.price_usd is None or quote.price_usd > chosen.choice.price_usd:
        raise OverBudget(f"{chosen.choice.provider} asks another price by now; ask again with `/image`")
    return chosen.request.model_copy(update={"quote": quote.token})
