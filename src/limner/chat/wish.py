"""What a button orders: the same request when it is offered, when it is pressed, and when somebody else draws
it, so that the price before is the price after. Pure."""

from dataclasses import dataclass, replace
from decimal import Decimal

from pydantic import ValidationError

from limner.catalog.fit import Misfit, fit
from limner.catalog.model import Model
from limner.catalog.price import estimate_usd
from limner.chat.names import STYLES, Size, as_tier, current, entry_of, supports_style
from limner.core.errors import InvalidRequest
from limner.core.money import from_micros, to_micros
from limner.core.quote import Note
from limner.core.request import GenerateRequest, Policy, Preset, Tier

HIGHEST_USD = Decimal(1000)
"""A ceiling that no picture meets: what has no known price is not drawn at these doors."""
_FINER = frozenset({"hd", "ultra"})


def whole(usd: Decimal) -> Decimal:
    """In whole micro-dollars, as the ledger charges it: what is offered must not differ from that."""
    return from_micros(to_micros(usd))


@dataclass(frozen=True, slots=True)
class Wish:
    """One picture of one model at one provider."""

    prompt: str
    provider: str
    model: str
    """A name the provider's model goes by."""
    size: Size = (1024, 1024)
    quality: str = ""
    """A tier, `hd`, or any other word a client has for it; empty: none was said."""
    style: str = "natural"
    max_usd: Decimal | None = None
    """The most it may cost, whoever draws it; None: what it costs where it was asked for."""

    def meant(self, models: tuple[Model, ...]) -> "Wish":
        """With the name of the very entry that is meant: the one at `hd` where there is one, and any name at
        a provider that serves any."""
        entry = entry_of(models, self.provider, self.model)
        if entry is not None:
            finer = entry_of(models, self.provider, f"{entry.id}-hd") if self.quality in _FINER else None
            return replace(self, model=(finer or entry).id)
        prefix = f"{self.provider}/"
        takes_any = any(model.open and model.provider == self.provider for model in models)
        if takes_any and not self.model.startswith(prefix):
            return replace(self, model=f"{prefix}{self.model}")
        return self

    def drawn_by(self, models: tuple[Model, ...]) -> Model | None:
        """The catalog's entry of who draws it, None for a model that only its vendor knows."""
        entry = entry_of(models, self.provider, self.model)
        return None if entry is None else current(models, entry)

    def tier(self, models: tuple[Model, ...]) -> Tier:
        """Among whom somebody else is looked for: the tier that was said, else the model's own."""
        entry = self.drawn_by(models)
        return as_tier(self.quality) or (entry.tier if entry else "standard")

    def request(self, models: tuple[Model, ...], *, quote: str | None = None) -> GenerateRequest:
        """The order. Raises `InvalidRequest`."""
        width, height = self.size
        try:
            return GenerateRequest(
                prompt=self.prompt,
                provider=self.provider,
                model=self.model,
                width=width,
                height=height,
                quality=self._preset(),
                style=self.style if self._styled(models) else None,
                policy=Policy(
                    prefer="two-phase",
                    fallback=False,
                    max_cost_usd=HIGHEST_USD if self.max_usd is None else self.max_usd,
                ),
                quote=quote,
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = {"width": "size", "height": "size"}.get(name := str(first["loc"][0]), name)
            raise InvalidRequest(f"{field}: {first['msg']}"[:300], field) from error

    def price_usd(self, models: tuple[Model, ...]) -> Decimal | None:
        """What it costs by the catalog, whether or not it can be drawn now; None when nobody knows."""
        entry = self.drawn_by(models)
        if entry is None:
            return None
        fitted = fit(self.request(models), entry)
        usd = None if isinstance(fitted, Misfit) else estimate_usd(fitted.request, entry)
        return None if usd is None else whole(usd)

    def notes(self, models: tuple[Model, ...]) -> tuple[Note, ...]:
        """What of the client's words changes nothing."""
        entry = self.drawn_by(models)
        found = []
        tier = as_tier(self.quality)
        if entry is not None and tier not in (None, entry.tier):
            said = f"{tier} is not what {entry.id} is: it draws as a model of the tier {entry.tier}"
            found.append(Note(field="quality", message=said))
        elif self.quality and tier is None and self._preset() is None:
            found.append(Note(field="quality", message="the word is not known and changes nothing"))
        if self.style not in (STYLES[0], "") and not self._styled(models):
            found.append(Note(field="style", message="ignored: the model has no styles"))
        return tuple(found)

    def _preset(self) -> Preset | None:
        return "quality" if self.quality.casefold() == "hd" else None

    def _styled(self, models: tuple[Model, ...]) -> bool:
        entry = self.drawn_by(models)
        return entry is not None and supports_style(entry) and self.style in STYLES
