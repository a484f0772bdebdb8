"""The catalogue in the shape of the two-phase clients: `{"image": {"providers", "qualityTiers"}}`. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from limner.catalog.fit import Misfit, fit
from limner.catalog.load import Listing
from limner.catalog.model import Model
from limner.catalog.price import estimate_usd
from limner.chat.names import Size, capabilities, current, key_of, read_size, shown, supports_style
from limner.chat.tool import SIZES
from limner.core.request import GenerateRequest, Tier
from limner.router.policy import KEYWORDS, TIERS

PRIORITIES: Mapping[tuple[str, str], int] = {
    ("together", "sdxl"): 1,
    ("together", "sd-2.1"): 2,
    ("together", "playground-v2.5"): 3,
}
"""Of models that are retired and so have none here, as the clients know them."""
TYPICAL_USD: Mapping[Tier, float] = {"ultra": 0.12, "high": 0.04, "standard": 0.002, "fast": 0.001}
"""The clients' own rule of thumb; what a picture costs is in its offer."""
ABOUT: Mapping[Tier, str] = {
    "ultra": "The finest there is",
    "high": "Fine detail",
    "standard": "Good for most pictures",
    "fast": "Drafts, cheap and quick",
}
_RECOMMENDED = 3


class _Camel(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)


class CatalogueModel(_Camel):
    """One model. `pricing` has `unit`, `default`, and an entry for each size or quality that costs
    otherwise."""

    id: str
    type: Literal["image", "image-edit"]
    quality_tier: Tier
    context_window: int
    """Characters of a prompt."""
    supported_sizes: list[str]
    supported_qualities: list[str] | None = None
    pricing: dict[str, str | bool | float]
    capabilities: list[str]
    styles: list[str] | None = None
    fallback_priority: int
    available: bool
    """It is not retired, and its provider is set up here."""
    deprecated: bool
    note: str | None = None


class CatalogueProvider(_Camel):
    """One provider with its models by key."""

    name: str
    type: str
    api_base: str
    supports_styles: bool
    models: dict[str, CatalogueModel]


class CatalogueTier(_Camel):
    """What a quality means. `recommendedModels` are `provider:key`."""

    description: str
    keywords: list[str]
    recommended_models: list[str]
    typical_cost: float


class ImageCatalogue(_Camel):
    """The section `image`."""

    description: str
    providers: dict[str, CatalogueProvider]
    quality_tiers: dict[Tier, CatalogueTier]


class Catalogue(_Camel):
    """What `GET /chat/models` answers."""

    image: ImageCatalogue


def catalogue(listings: Iterable[Listing], addresses: Mapping[str, str], ready: frozenset[str]) -> Catalogue:
    """Every model that goes by a name of its own. `addresses` are the providers' by name, `ready` those that
    are set up."""
    drawing = [one for one in listings if _named(one.models)]
    providers = {
        one.provider: CatalogueProvider(
            name=one.entry.title,
            type=one.provider,
            api_base=addresses.get(one.provider, ""),
            supports_styles=any(supports_style(model) for model in one.models),
            models={key_of(model): _model(model, one.models, ready) for model in _named(one.models)},
        )
        for one in drawing
    }
    everything = [model for one in drawing for model in _named(one.models)]
    return Catalogue(
        image=ImageCatalogue(
            description="Models that draw pictures from text",
            providers=providers,
            quality_tiers={tier: _tier(tier, everything, ready) for tier in TIERS},
        )
    )


def _named(models: Iterable[Model]) -> list[Model]:
    return [model for model in models if not model.open]


def _model(model: Model, models: Sequence[Model], ready: frozenset[str]) -> CatalogueModel:
    qualities = model.options.get("quality", {}).get("enum")
    heir = current(models, model)
    note = None if model.retired is None else f"Retired on {model.retired}; {heir.ref} draws in its place."
    return CatalogueModel(
        id=model.ref,
        type="image" if "generate" in model.operations else "image-edit",
        quality_tier=model.tier,
        context_window=model.max_prompt,
        supported_sizes=[shown(size) for size in _sizes(model)],
        supported_qualities=[str(one) for one in qualities] if isinstance(qualities, list) else None,
        pricing=_pricing(model),
        capabilities=capabilities(model),
        styles=list(model.styles) or None,
        fallback_priority=PRIORITIES.get((model.provider, model.id), model.fallback_priority),
        available=model.retired is None and model.provider in ready,
        deprecated=model.retired is not None,
        note=note,
    )


def _sizes(model: Model) -> list[Size]:
    """Those that are listed, else the clients' own that it draws, else its usual one."""
    own = [size for size in map(read_size, SIZES) if _drawn(model, size) == size]
    return list(model.sizes.listed) or own or [model.sizes.default]


def _drawn(model: Model, size: Size) -> Size | None:
    fitted = fit(_order(model, size), model)
    return None if isinstance(fitted, Misfit) else fitted.request.size


def _order(model: Model, size: Size, quality: str | None = None) -> GenerateRequest:
    able = "generate" in model.operations
    return GenerateRequest(
        prompt="x",
        operation="generate" if able else "variation",
        inputs=() if able else ("0" * 64,),
        width=size[0],
        height=size[1],
        options={} if quality is None else {"quality": quality},
    )


def _price(model: Model, size: Size, quality: str | None = None) -> Decimal | None:
    fitted = fit(_order(model, size, quality), model)
    return None if isinstance(fitted, Misfit) else estimate_usd(fitted.request, model)


def _pricing(model: Model) -> dict[str, str | bool | float]:
    """By the longer side where sizes cost differently, `quality_side` where qualities do, too."""
    usual = _price(model, model.sizes.default)
    found: dict[str, str | bool | float] = {"unit": "per_image"}
    if usual is not None:
        found["default"] = float(usual)
        found["free"] = usual == 0
    words = model.options.get("quality", {}).get("enum")
    qualities: list[str | None] = [str(one) for one in words] if isinstance(words, list) else [None]
    by_name: dict[str, float] = {}
    for quality in qualities:
        for size in model.sizes.listed or (model.sizes.default,):
            price = _price(model, size, quality)
            name = f"{max(size)}" if quality is None else f"{quality}_{max(size)}"
            if price is not None:
                by_name[name] = max(float(price), by_name.get(name, 0.0))
    return {**found, **by_name} if len(set(by_name.values())) > 1 else found


def _tier(tier: Tier, models: Iterable[Model], ready: frozenset[str]) -> CatalogueTier:
    able = [m for m in models if m.tier == tier and m.retired is None and "generate" in m.operations]
    best = sorted(able, key=lambda m: (m.provider not in ready, m.fallback_priority))[:_RECOMMENDED]
    return CatalogueTier(
        description=ABOUT[tier],
        keywords=list(KEYWORDS[tier]),
        recommended_models=[f"{model.provider}:{key_of(model)}" for model in best],
        typical_cost=TYPICAL_USD[tier],
    )
