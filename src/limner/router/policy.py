"""In which order those that could serve are asked. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from limner.catalog.model import Model
from limner.core.quote import Target
from limner.core.request import GenerateRequest, RoutePolicy, Tier
from limner.router.account import Account

Rank = tuple[Decimal | float | int | bool, ...]

TIERS: tuple[Tier, ...] = ("ultra", "high", "standard", "fast")
KEYWORDS: dict[Tier, tuple[str, ...]] = {
    "ultra": ("photorealistic", "ultra", "4k", "professional", "highest quality"),
    "high": ("high quality", "detailed", "artistic", "realistic"),
    "standard": ("standard", "normal", "regular", "illustration"),
    "fast": ("fast", "quick", "draft", "sketch", "simple"),
}
"""Words of a prompt that ask for a tier, as the clients of before use them."""

ORDERS: dict[RoutePolicy, tuple[str, ...]] = {
    "unified": ("leonardo", "runware", "gemini", "comfyui"),
    "commands": ("ollama", "groq", "huggingface", "openai"),
    "two-phase": ("openai", "together", "gemini", "replicate"),
}
"""The fixed orders of the programs before Limner; everybody else comes after them."""

_UNKNOWN_LAST = Decimal("Infinity")
_USUAL_S = 10.0
"""Taken for an order's time where neither the account nor the catalog tells one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A target that could serve, with what orders it among others."""

    target: Target
    account: Account
    model: Model

    @property
    def bent(self) -> bool:
        """The picture will not have the size that was asked for."""
        return any(note.field == "size" for note in self.target.notes)

    @property
    def price(self) -> Decimal:
        """An unknown one counts as the highest."""
        return _UNKNOWN_LAST if self.target.price_usd is None else self.target.price_usd

    @property
    def seconds(self) -> float:
        """Typical time of the order; unknown counts as the longest."""
        return float("inf") if self.target.seconds is None else self.target.seconds

    @property
    def burden(self) -> float:
        """How long until an order placed now would be done, roughly: what is under way, and how quick the
        account was lately."""
        pace = self.account.latency_s or self.target.seconds or _USUAL_S
        return float("inf") if self.account.full else (self.account.load + 1) * pace


def tier_of(prompt: str) -> Tier:
    """The best tier one of whose words occurs in the prompt; `standard` without any."""
    text = prompt.lower()
    return next((tier for tier in TIERS if any(word in text for word in KEYWORDS[tier])), "standard")


def wanted_tier(request: GenerateRequest) -> Tier | None:
    """The only tier that may serve: the one that was named, or by the policy `tier` the prompt's. A model
    that was named is of the tier it is."""
    if request.model is not None:
        return None
    if request.tier is None and request.policy.prefer in ("tier", "two-phase"):
        return tier_of(request.prompt)
    return request.tier


def ordered(choices: Sequence[Choice], prefer: RoutePolicy) -> list[Choice]:
    """Best first. The size that was asked for comes before anything but the user's own machines; the sort is
    stable, so that the catalog's order decides between equals."""
    return sorted(choices, key=_rank(prefer, choices))


def _rank(prefer: RoutePolicy, choices: Sequence[Choice]) -> Callable[[Choice], Rank]:
    match prefer:
        case "local-first":
            return lambda c: (not c.account.local, c.bent, c.price, *_quality(c), c.burden)
        case "tier":
            return lambda c: (c.bent, c.model.fallback_priority, c.price, c.burden)
        case "cheapest":
            return lambda c: (c.bent, c.price, *_quality(c), c.burden)
        case "fastest":
            return lambda c: (c.bent, c.account.latency_s or c.seconds, c.price, c.burden)
        case "balanced":
            return lambda c: (c.bent, c.burden, c.price)
        case "listed":
            return lambda _choice: ()
        case "unified":
            listed = _listed(choices)
            return lambda c: (
                _place(c, ORDERS["unified"]),
                c.bent,
                listed[c.model.id, c.target.provider],
                c.burden,
            )
        case "commands" | "two-phase":
            order = ORDERS[prefer]
            return lambda c: (_place(c, order), c.bent, c.model.fallback_priority, c.price, c.burden)


def _quality(choice: Choice) -> tuple[int, int]:
    return TIERS.index(choice.target.tier), choice.model.fallback_priority


def _listed(choices: Sequence[Choice]) -> dict[tuple[str, str], int]:
    """Where the catalog lists each model: a provider's first one is its default."""
    names = dict.fromkeys((choice.model.id, choice.target.provider) for choice in choices)
    return {name: n for n, name in enumerate(names)}


def _place(choice: Choice, order: Sequence[str]) -> int:
    provider = choice.target.provider
    return order.index(provider) if provider in order else len(order)
