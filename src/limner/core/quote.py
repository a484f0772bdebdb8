"""What is promised before anything is bought: a route with its price and all that will be bent."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from limner.core.money import FREE, Usd
from limner.core.request import GenerateRequest, Operation, Tier

PriceUnit = Literal["image", "megapixel", "second", "token", "call"]


class Note(BaseModel):
    """Something asked for that was bent, ignored or not understood; never bent silently."""

    model_config = ConfigDict(frozen=True)

    field: str
    message: str


def rewritten(request: GenerateRequest) -> tuple[Note, ...]:
    """What was done to the prompt, to be told with the picture."""
    done = None if request.prompting is None else request.prompting.done
    steps = () if done is None else done.steps
    return tuple(
        Note(field="negative_prompt" if one.step == "negative" else "prompt", message=one.said)
        for one in steps
    )


class PassedOver(BaseModel):
    """A candidate the route does not use, and why."""

    model_config = ConfigDict(frozen=True)

    target: str
    reason: str


class PricePart(BaseModel):
    """One term of a price: so many units at so much each."""

    model_config = ConfigDict(frozen=True)

    what: str
    """For people: `pictures`, `megapixels`, `seconds`, `order`, `previews`, `input pictures` or
    `prompt tokens`."""
    unit: PriceUnit
    usd: Usd
    """Of one unit."""
    amount: Usd
    """Units, not dollars."""

    @property
    def total_usd(self) -> Decimal:
        """What this term comes to."""
        return self.usd * self.amount


class Priced(BaseModel):
    """How a price came about, by the catalog of the day. The parts add up to it."""

    model_config = ConfigDict(frozen=True)

    parts: tuple[PricePart, ...]
    source: str
    """Where the vendor says so."""
    read_on: date

    @property
    def total_usd(self) -> Decimal:
        """The price."""
        return sum((part.total_usd for part in self.parts), FREE)


class Target(BaseModel):
    """One model at one account, with the request as it will be sent there."""

    model_config = ConfigDict(frozen=True)

    model: str
    """Catalog id, shared by all providers that serve the model."""
    provider: str
    account: str
    ref: str
    """The vendor's own name of the model."""
    tier: Tier
    request: GenerateRequest
    """As it will be sent: size, steps, guidance, seed and options are set."""
    dialect: dict[str, JsonValue] = {}
    """How the model is spoken to, by the catalog of the day; for the provider alone."""
    price_usd: Usd | None
    """For all pictures together; None is unknown, never 0."""
    priced: Priced | None = None
    """How the price came about; None where it is unknown."""
    seconds: float | None
    """Typical time to the last picture, None when not known."""
    notes: tuple[Note, ...] = ()

    @property
    def name(self) -> str:
        """`provider/model`, as shown to people."""
        return f"{self.provider}/{self.model}"

    @property
    def free(self) -> bool:
        """True when an order here certainly costs nothing."""
        return self.price_usd is not None and self.price_usd == 0


class Route(BaseModel):
    """The ordered targets, with those passed over and why."""

    model_config = ConfigDict(frozen=True)

    targets: tuple[Target, ...]
    passed_over: tuple[PassedOver, ...] = ()
    alternatives: tuple[Target, ...] = ()
    """The next best by the caller's policy, whether or not they may be fallen back to."""


class Offer(BaseModel):
    """A target as a quote tells of it."""

    model_config = ConfigDict(frozen=True)

    model: str
    provider: str
    account: str
    tier: Tier
    price_usd: Usd | None
    seconds: float | None
    notes: tuple[Note, ...] = ()


class Constraints(BaseModel):
    """What the quoted model can do, for a person or a form to stay within. Sizes are pixels."""

    model_config = ConfigDict(frozen=True)

    operations: tuple[Operation, ...]
    max_count: int
    max_prompt: int
    """Characters."""
    max_inputs: int
    min_side: int
    max_side: int
    multiple_of: int
    min_pixels: int | None
    max_pixels: int | None
    sizes: tuple[tuple[int, int], ...]
    """All sizes there are; empty where any within the limits is drawn."""
    other_sizes: bool
    """Another size is moved to the nearest there is, and a note says so; else it is refused."""
    styles: tuple[str, ...]
    any_style: bool
    """`style` may be any words."""
    options: dict[str, dict[str, JsonValue]]
    """JSON Schema of each option by name."""


class Quote(BaseModel):
    """An estimate costs nothing and buys nothing. Accepted by its `token`, it is a promise: the job never
    costs more than `price_usd`."""

    model_config = ConfigDict(frozen=True)

    model: str
    provider: str
    tier: Tier
    width: int
    height: int
    steps: int | None
    count: int
    price_usd: Usd | None
    priced: Priced | None = None
    """How the price comes about; None where it is unknown."""
    seconds: float | None
    notes: tuple[Note, ...]
    route: tuple[Offer, ...] = ()
    """Who is asked, in this order, the quoted one first."""
    alternatives: tuple[Offer, ...]
    """The three next best, whatever they cost."""
    passed_over: tuple[PassedOver, ...]
    constraints: Constraints | None = None
    token: str = ""
    """Accepts the quote as `quote` of the same request."""
    valid_until: float = 0.0
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What an accepted quote holds us to: who draws first, and at what price."""

    provider: str
    account: str
    model: str
    ref: str
    price_usd: Decimal | None
    """None: the quote said that its price is unknown, and promises none."""
    notes: str
    """Digest of what was told to be bent."""

    @property
    def name(self) -> str:
        """`provider/model`, as shown to people."""
        return f"{self.provider}/{self.model}"
