"""Names that earlier clients have for providers, models and sizes, and what they are here. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from limner.catalog.model import Model
from limner.core.errors import InvalidRequest
from limner.core.request import Operation, Tier
from limner.router.policy import TIERS

Size = tuple[int, int]

PROVIDERS: Mapping[str, str] = {
    "ollama_local": "ollama",
    "leonardo_ai": "leonardo",
    "runware_ai": "runware",
}
"""Other spellings of a provider, to ours."""
KEYS: Mapping[tuple[str, str], str] = {
    ("together", "sdxl"): "stable-diffusion-xl",
    ("together", "sd-2.1"): "stable-diffusion-2-1",
    ("together", "playground-v2.5"): "playground-v2-5",
}
"""Keys of the clients' own catalogue where they are not our ids."""
CAPABILITIES: Mapping[Operation, str] = {
    "generate": "text-to-image",
    "edit": "image-editing",
    "inpaint": "inpainting",
    "image-to-image": "image-to-image",
    "variation": "variations",
    "upscale": "upscaling",
}
STYLES = ("natural", "vivid")


def provider_of(name: str) -> str:
    """A provider as it is called here."""
    return PROVIDERS.get(name, name)


def key_of(model: Model) -> str:
    """The model's key in the clients' catalogue."""
    return KEYS.get((model.provider, model.id), model.id)


def entry_of(models: Iterable[Model], provider: str, name: str) -> Model | None:
    """The provider's own entry of that name, None when it has none."""
    here = (model for model in models if model.provider == provider and not model.open)
    return next((model for model in here if model.known_as(name)), None)


def current(models: Sequence[Model], model: Model) -> Model:
    """Who draws for the model: itself, or the one that took its place."""
    if model.retired is None or model.successor is None:
        return model
    return entry_of(models, model.provider, model.successor) or model


def capabilities(model: Model) -> list[str]:
    """What the model can do, in the clients' words."""
    able: list[str] = [word for operation, word in CAPABILITIES.items() if operation in model.operations]
    return [*able, "styles"] if supports_style(model) else able


def supports_style(model: Model) -> bool:
    """Does it know the two styles that the clients offer?"""
    return set(STYLES) <= set(model.styles)


def as_tier(word: str) -> Tier | None:
    """The tier a client's `quality` names, None for any other word."""
    return next((tier for tier in TIERS if tier == word.casefold()), None)


def shown(size: Size) -> str:
    """`1024x768`."""
    return f"{size[0]}x{size[1]}"


def read_size(text: str) -> Size:
    """Pixels of `1024x768`. Raises `InvalidRequest`."""
    width, _, height = text.partition("x")
    sides = [side for side in (width, height) if side.isascii() and side.isdigit() and len(side) <= 5]
    if len(sides) != 2:
        raise InvalidRequest("size: must be WIDTHxHEIGHT in pixels, such as 1024x1024", "size")
    return int(sides[0]), int(sides[1])
