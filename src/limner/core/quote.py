"""What is promised before anything is bought: a route with its price and all that will be bent."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from limner.core.money import Usd
from limner.core.request import GenerateRequest, Tier

PriceUnit = Literal["image", "megapixel", "second", "token", "call"]


class Note(BaseModel):
    """Something asked for that was bent, ignored or not understood; never bent silently."""

    model_config = ConfigDict(frozen=True)

    field: str
    message: str


class PassedOver(BaseModel):
    """A candidate the route does not use, and why."""

    model_config = ConfigDict(frozen=True)

    target: str
    reason: str


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


class Alternative(BaseModel):
    """Another target that would do, for a person to choose."""

    model_config = ConfigDict(frozen=True)

    model: str
    provider: str
    tier: Tier
    price_usd: Usd | None
    seconds: float | None


class Quote(BaseModel):
    """An estimate costs nothing and buys nothing."""

    model_config = ConfigDict(frozen=True)

    model: str
    provider: str
    tier: Tier
    width: int
    height: int
    steps: int | None
    count: int
    price_usd: Usd | None
    seconds: float | None
    notes: tuple[Note, ...]
    alternatives: tuple[Alternative, ...]
    passed_over: tuple[PassedOver, ...]
