"""An entry of the catalog."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from limner.core.quote import PriceUnit
from limner.core.request import Operation, Preset, Tier

Usd = Annotated[Decimal, Field(ge=0)]


class PriceRow(BaseModel):
    """A price for some orders only: every condition given must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: Usd
    operation: Operation | None = None
    options: dict[str, JsonValue] = {}
    """Values the order's options must have."""
    size: tuple[int, int] | None = None
    max_pixels: int | None = None


class Price(BaseModel):
    """Dollars per unit, with where and when it was read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: Usd
    """When no row fits."""
    unit: PriceUnit
    """`second`: of the model's typical `seconds`, settled by what was really used."""
    rows: tuple[PriceRow, ...] = ()
    """Looked through in order; the first that fits is the price."""
    steps: int | None = None
    """More steps than this cost in proportion."""
    whole_megapixels: bool = False
    """Each picture's megapixels are rounded up."""
    preview_usd: Usd = Decimal(0)
    """For each preview asked for."""
    input_usd: Usd = Decimal(0)
    """For each input picture."""
    tokens: dict[str, Usd] = {}
    """Dollars per million tokens by kind, to settle by what the vendor counted; the rest is the estimate."""
    source: str
    read_on: date


class Sizes(BaseModel):
    """What sizes a model draws, in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: tuple[int, int]
    min_side: int = 64
    max_side: int
    multiple_of: int = 8
    min_pixels: int | None = None
    max_pixels: int | None = None
    max_ratio: float | None = None
    """Longer side by shorter side."""
    listed: tuple[tuple[int, int], ...] = ()
    """All sizes there are, for models that draw no others."""
    nearest: bool = False
    """Another size is moved to the nearest there is, with a note; else it is a misfit."""
    drawn_pixels: int | None = None
    """Larger pictures are drawn at this many pixels and enlarged; None when every size is drawn in full."""


class Steps(BaseModel):
    """Denoising steps a model accepts, and what each preset asks for; one left out asks for `default`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: int
    min: int = 1
    max: int = 100
    fast: int | None = None
    standard: int | None = None
    quality: int | None = None
    ultra: int | None = None


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
    max_inputs: int = 1
    """Input pictures of an edit."""
    aliases: tuple[str, ...] = ()
    """Other names it answers to."""
    stands_in_for: tuple[str, ...] = ()
    """Well-known names that nothing here serves under their own id; using one is told in a note."""
    open: bool = False
    """Any `provider/name` means this entry, with the vendor's own name after the slash."""
    sizes: Sizes
    steps: Steps | None = None
    guidance: Annotated[float, Field(ge=0, le=30)] | None = None
    """Default guidance scale; None when the model takes none."""
    max_guidance: float = 30.0
    max_count: int = 1
    max_prompt: int = 10_000
    takes_seed: bool = True
    max_seed: int | None = None
    takes_negative: bool = True
    styles: tuple[str, ...] = ()
    free_style: bool = False
    """True when `style` may be any words, False when it must be one of `styles`."""
    options: dict[str, dict[str, JsonValue]] = {}
    """What only this model understands: JSON Schema of each option by name. A `default` is always sent."""
    presets: dict[Preset, dict[str, JsonValue]] = {}
    """Options that a preset sets."""
    dialect: dict[str, JsonValue] = {}
    """How this model is spoken to, for the provider alone."""
    max_words: int | None = None
    """Words of a prompt that the model reads; None when it is the characters that count."""
    words_file: str | None = None
    """Path inside the package of the tokenizer whose vocabulary is all the model knows."""
    price: Price | None = None
    """None: unknown, shown as unknown, refused by a budget."""
    seconds: float | None = None
    """Typical time of one order, whatever its size."""
    seconds_per_megapixel: float | None = None
    fallback_priority: int = 100
    """Among models of one tier, 1 is asked first."""
    retired: date | None = None
    """The day from which the vendor refuses it; it may lie ahead."""
    successor: str | None = None
    """Id of the model at the same provider that serves its name."""

    def known_as(self, name: str) -> bool:
        """True when the caller's `name` means this model."""
        # Asked of every entry for every order: no text is built for those it does not mean.
        if name in (self.id, self.ref) or name in self.aliases or name in self.stands_in_for:
            return name != ""
        provider, slash, own = name.partition("/")
        if not slash or provider != self.provider:
            return False
        return self.open or own in (self.id, self.ref)


class Models(tuple[Model, ...]):
    """All entries of a catalog, in order; remembers what a name means, since most orders say the same few."""

    _MOST = 1000

    def __init__(self, _models: Iterable[Model] = ()) -> None:
        self._named: dict[str, tuple[Model, ...]] = {}

    @classmethod
    def of(cls, models: Iterable[Model]) -> "Models":
        """These entries, as they are where they are such a list already."""
        return models if isinstance(models, cls) else cls(models)

    def known_as(self, name: str) -> tuple[Model, ...]:
        """The entries that the caller's `name` means."""
        found = self._named.get(name)
        if found is None:
            found = tuple(model for model in self if model.known_as(name))
            if len(self._named) >= self._MOST:  # somebody makes up names
                self._named.clear()
            self._named[name] = found
        return found


class ProviderEntry(BaseModel):
    """What the catalog says of a provider."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    """Its name for people."""
    description: str
    website: str
    """Where its API is documented."""
    cannot_draw: str | None = None
    """Why it is never asked for pictures, for providers that are known and serve none."""
