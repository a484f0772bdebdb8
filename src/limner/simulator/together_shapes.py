"""What Together's stand-in reads: requests, and the models' limits and prices."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

_MILLION = Decimal(1_000_000)
_RATIOS = {
    "1:1": (1024, 1024),
    "4:3": (1184, 880),
    "3:4": (880, 1184),
    "3:2": (1248, 832),
    "2:3": (832, 1248),
    "16:9": (1392, 752),
    "9:16": (752, 1392),
    "21:9": (1568, 672),
    "9:21": (672, 1568),
}
_WIDE = ((1024, 1024), (1248, 832), (1184, 864), (1152, 896), (1344, 768), (1536, 672))
_GOOGLE = frozenset(
    (one[turn] * times, one[1 - turn] * times) for one in _WIDE for turn in (0, 1) for times in (1, 2, 4)
)
Source = Literal["image_url", "reference_images"]


@dataclass(frozen=True, slots=True)
class Model:
    """One model's limits and price."""

    usd: str = "0"
    """Dollars by `unit`; 0 where nobody published a figure."""
    unit: Literal["image", "megapixel"] = "image"
    most_steps: int = 0
    """0: it takes none."""
    paid_steps: int | None = None
    """More than these cost in proportion."""
    multiple_of: int = 16
    sources: tuple[Source, ...] = ()
    shaped: bool = False
    """It takes `aspect_ratio` and no pixels."""
    upsamples: bool = False
    google: bool = False
    """It draws a fixed list of sizes."""

    def price(self, width: int, height: int, steps: int | None) -> Decimal:
        """Dollars for one picture."""
        effort = Decimal(1)
        if self.paid_steps is not None and steps is not None:
            effort = max(effort, Decimal(steps) / self.paid_steps)
        area = Decimal(width * height) / _MILLION if self.unit == "megapixel" else Decimal(1)
        return Decimal(self.usd) * area * effort


_BOTH: tuple[Source, ...] = ("image_url", "reference_images")
_FLUX = "black-forest-labs/FLUX"
MODELS = {
    f"{_FLUX}.1-schnell": Model("0.0027", "megapixel", most_steps=4, paid_steps=4),
    f"{_FLUX}.1.1-pro": Model("0.04"),
    f"{_FLUX}.1-kontext-pro": Model("0.04", most_steps=50, sources=("image_url",), shaped=True),
    f"{_FLUX}.1-kontext-max": Model("0.08", most_steps=50, sources=("image_url",), shaped=True),
    f"{_FLUX}.2-dev": Model(
        "0.0154", most_steps=50, paid_steps=20, sources=("reference_images",), upsamples=True
    ),
    f"{_FLUX}.2-pro": Model("0.03", sources=_BOTH, upsamples=True),
    f"{_FLUX}.2-flex": Model(most_steps=50, sources=_BOTH, upsamples=True),
    f"{_FLUX}.2-max": Model("0.07", upsamples=True),
    "Qwen/Qwen-Image": Model("0.0058", most_steps=50, multiple_of=8),
    "Qwen/Qwen-Image-2.0": Model("0.04", multiple_of=8),
    "Qwen/Qwen-Image-2.0-Pro": Model(multiple_of=8),
    "ByteDance-Seed/Seedream-3.0": Model("0.018", multiple_of=8),
    "ByteDance-Seed/Seedream-4.0": Model("0.03", multiple_of=8),
    "ideogram/ideogram-3.0": Model("0.06", multiple_of=8),
    "ideogram/ideogram-4.0": Model(multiple_of=8),
    "HiDream-ai/HiDream-I1-Full": Model("0.009", "megapixel", most_steps=50, multiple_of=8),
    "HiDream-ai/HiDream-I1-Dev": Model("0.0045", "megapixel", most_steps=50, multiple_of=8),
    "HiDream-ai/HiDream-I1-Fast": Model("0.0032", "megapixel", most_steps=50, multiple_of=8),
    "RunDiffusion/Juggernaut-pro-flux": Model("0.0049", "megapixel", most_steps=50),
    "Rundiffusion/Juggernaut-Lightning-Flux": Model("0.0017", "megapixel", most_steps=50),
    "Lykon/DreamShaper": Model("0.0006", "megapixel", most_steps=50, multiple_of=8),
    "stabilityai/stable-diffusion-3-medium": Model("0.0019", "megapixel", most_steps=50, multiple_of=8),
    "google/gemini-3-pro-image": Model(sources=("reference_images",), google=True),
    "google/flash-image-3.1-lite": Model(google=True),
    "openai/gpt-image-1.5": Model(),
    "example/not-in-any-list": Model(),
}
"""What is served, by ids that are case-sensitive; every other name is 404."""


class Ask(BaseModel):
    """The body of an order. Fields it does not know are ignored, as at Together."""

    model_config = ConfigDict(frozen=True)

    model: str
    prompt: str
    width: int | None = None
    height: int | None = None
    aspect_ratio: str | None = None
    steps: int | None = None
    n: int = 1
    seed: int | None = None
    negative_prompt: str | None = None
    guidance_scale: float | None = None
    guidance: float | None = None
    response_format: str = "url"
    output_format: str = "jpeg"
    image_url: str | None = None
    reference_images: tuple[str, ...] = ()
    image_loras: tuple[JsonValue, ...] = ()
    prompt_upsampling: bool = True
    """True unless told otherwise: who forgets it gets another prompt drawn."""

    @property
    def source(self) -> str | None:
        """The main picture of an edit."""
        return self.image_url or next(iter(self.reference_images), None)

    @property
    def words(self) -> str:
        """What is drawn."""
        rewritten = MODELS[self.model].upsamples and self.prompt_upsampling
        return f"{self.prompt}, cinematic, richly detailed" if rewritten else self.prompt

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of each picture."""
        if MODELS[self.model].shaped:
            return _RATIOS[self.aspect_ratio or "1:1"]
        return 1024 if self.width is None else self.width, 1024 if self.height is None else self.height


def wrong(ask: Ask) -> tuple[str, str] | None:
    """The parameter that is wrong and what to say of it, None when all is fine."""
    model = MODELS[ask.model]
    if not ask.prompt:
        return "prompt", "prompt must not be empty"
    if not 1 <= ask.n <= 4:
        return "n", "n must be between 1 and 4"
    if ask.response_format not in ("base64", "url"):
        return "response_format", "response_format must be one of: base64, url"
    if ask.output_format not in ("jpeg", "png"):
        return "output_format", "output_format must be one of: jpeg, png"
    if len(ask.image_loras) > 2:
        return "image_loras", "image_loras may have at most 2 entries"
    return _wrong_steps(ask, model) or _wrong_size(ask, model) or _wrong_source(ask, model)


def _wrong_steps(ask: Ask, model: Model) -> tuple[str, str] | None:
    if ask.steps is None or 1 <= ask.steps <= model.most_steps:
        return None
    said = (
        f"must be between 1 and {model.most_steps}" if model.most_steps else "is not supported by this model"
    )
    return "steps", f"steps {said}"


def _wrong_size(ask: Ask, model: Model) -> tuple[str, str] | None:
    if model.shaped:
        if ask.width is not None or ask.height is not None:
            return "width", "width and height are not supported by this model; use aspect_ratio"
        known = ask.aspect_ratio in (None, *_RATIOS)
        return None if known else ("aspect_ratio", f"aspect_ratio must be one of: {', '.join(_RATIOS)}")
    if model.google:
        return None if ask.size in _GOOGLE else ("width", f"{ask.size[0]}x{ask.size[1]} is not supported")
    for name, side in zip(("width", "height"), ask.size, strict=True):
        if not 256 <= side <= 1920:
            return name, f"{name} must be between 256 and 1920"
        if side % model.multiple_of:
            return name, f"{name} must be a multiple of {model.multiple_of}"
    return None


def _wrong_source(ask: Ask, model: Model) -> tuple[str, str] | None:
    if ask.image_url is not None and "image_url" not in model.sources:
        return "image_url", "image_url is not supported by this model"
    if ask.reference_images and "reference_images" not in model.sources:
        return "reference_images", "reference_images is not supported by this model"
    return None
