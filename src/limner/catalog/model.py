"""An entry of the catalog."""

from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from limner.core.quote import PriceUnit
from limner.core.request import Operation, Tier


class Price(BaseModel):
    """Dollars per unit, with where and when it was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: Annotated[Decimal, Field(ge=0)]
    unit: PriceUnit
    source: str
    read_on: date


class Sizes(BaseModel):
    """What sizes a model draws, in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: tuple[int, int]
    min_side: int = 64
    max_side: int
    multiple_of: int = 8
    max_pixels: int | None = None
    drawn_pixels: int | None = None
    """Larger pictures are drawn at this many pixels and enlarged; None when every size is drawn in full."""


class Steps(BaseModel):
    """Denoising steps a model accepts, and what each preset asks for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: int
    max: int = 100
    fast: int
    standard: int
    quality: int
    ultra: int


class Model(BaseModel):
    """One model at one provider. `id` is shared by all providers that serve it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    name: str
    description: str
    provider: str
    ref: str
    """The vendor's own name."""
    tier: Tier
    operations: frozenset[Operation] = frozenset({"generate"})
    aliases: tuple[str, ...] = ()
    """Other names it answers to."""
    stands_in_for: tuple[str, ...] = ()
    """Well-known names that nothing here serves under their own id; using one is told in a note."""
    sizes: Sizes
    steps: Steps | None = None
    guidance: Annotated[float, Field(ge=1, le=30)] | None = None
    """Default guidance scale; None when the model takes none."""
    max_count: int = 1
    max_prompt: int = 10_000
    takes_seed: bool = True
    takes_negative: bool = True
    styles: tuple[str, ...] = ()
    free_style: bool = False
    """True when `style` may be any words, False when it must be one of `styles`."""
    max_words: int | None = None
    """Words of a prompt that the model reads; None when it is the characters that count."""
    words_file: str | None = None
    """Path inside the package of the tokenizer whose vocabulary is all the model knows."""
    price: Price | None = None
    """None: unknown, shown as unknown, refused by a budget."""
    seconds_per_megapixel: float | None = None
    retired: date | None = None
    successor: str | None = None

    def known_as(self, name: str) -> bool:
        """True when the caller's `name` means this model."""
        return name in (self.id, self.ref, f"{self.provider}/{self.id}", *self.aliases, *self.stands_in_for)
