"""Which partner of Hugging Face serves what, what each takes, and what it charges."""

from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Partner = Literal["hf-inference", "fal-ai", "together", "nscale", "replicate", "wavespeed", "zai-org"]

_MICRO = Decimal("0.000001")
_UNPUBLISHED = Decimal("0.01")
"""Charged where a partner's price is not known: a figure of this simulator's own."""


@dataclass(frozen=True, slots=True)
class Served:
    """One model at one partner. Its price is per megapixel where `by_area`, else per picture."""

    partner: Partner
    model: str
    """Hugging Face's name."""
    id: str
    """The partner's name."""
    usd: Decimal = _UNPUBLISHED
    by_area: bool = False
    seconds: float = 3.0
    steps: int = 50
    """The most it takes."""

    def price(self, width: int, height: int) -> Decimal:
        """Dollars for one picture, to the micro-dollar."""
        area = Decimal(width * height) / 1_000_000 if self.by_area else Decimal(1)
        return (self.usd * area).quantize(_MICRO, ROUND_UP)


def _second(model: str, seconds: float = 10.0) -> Served:
    """At Hugging Face itself, where the time of computing is what is charged."""
    return Served("hf-inference", model, model, Decimal("0.00012") * Decimal(str(seconds)), seconds=seconds)


_SCHNELL = "black-forest-labs/FLUX.1-schnell"
_DEV = "black-forest-labs/FLUX.1-dev"
_SDXL = "stabilityai/stable-diffusion-xl-base-1.0"

SERVED = (
    Served("fal-ai", _SCHNELL, "fal-ai/flux/schnell", Decimal("0.003"), by_area=True, steps=12),
    Served("together", _SCHNELL, _SCHNELL, Decimal("0.0027"), by_area=True, steps=4),
    Served("nscale", _SCHNELL, _SCHNELL),
    Served("fal-ai", _DEV, "fal-ai/flux/dev", Decimal("0.025"), by_area=True, seconds=6.0),
    Served("wavespeed", _DEV, "wavespeed-ai/flux-dev", seconds=6.0),
    Served("wavespeed", "Tongyi-MAI/Z-Image-Turbo", "wavespeed-ai/z-image/turbo"),
    Served("replicate", "Qwen/Qwen-Image-2512", "qwen/qwen-image-2512", seconds=6.0),
    Served("zai-org", "zai-org/GLM-Image", "glm-image", seconds=6.0),
    Served("nscale", _SDXL, _SDXL),
    _second(_SDXL),
    _second("stabilityai/stable-diffusion-3-medium-diffusers"),
    _second("stable-diffusion-v1-5/stable-diffusion-v1-5"),
)

Side = Annotated[int, Field(ge=64, le=2048)]
Seed = Annotated[int, Field(ge=0, le=4_294_967_295)]
Steps = Annotated[int, Field(ge=1)] | None
Words = Annotated[str, Field(min_length=1)]
SizeText = Annotated[str, Field(pattern=r"^[1-9]\d{1,3}x[1-9]\d{1,3}$")]
_SHAPES = {
    "1:1": (1328, 1328),
    "16:9": (1664, 928),
    "9:16": (928, 1664),
    "4:3": (1472, 1104),
    "3:4": (1104, 1472),
    "3:2": (1584, 1056),
    "2:3": (1056, 1584),
}


class Wish(BaseModel):
    """What every partner is asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: Words
    seed: Seed | None = None


class Sides(Wish):
    """In two numbers and the most usual words: WaveSpeed."""

    width: Side = 1024
    height: Side = 1024
    num_inference_steps: Steps = None
    guidance_scale: Annotated[float, Field(ge=0, le=30)] | None = None
    negative_prompt: str | None = None


class _Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: Seed | None = None
    width: Side = 1024
    height: Side = 1024
    num_inference_steps: Steps = None
    guidance_scale: Annotated[float, Field(ge=0, le=30)] | None = None
    negative_prompt: str | None = None
    scheduler: str | None = None


class Inference(BaseModel):
    """hf-inference: words and parameters apart."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    inputs: Words
    parameters: _Parameters = _Parameters()

    @property
    def wish(self) -> Sides:
        """As one."""
        return Sides(prompt=self.inputs, **self.parameters.model_dump(exclude={"scheduler"}))


class ImageSize(BaseModel):
    """fal's own way to say it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: Side
    height: Side


class Fal(Wish):
    """A size in an object, and JPEG unless PNG is asked for."""

    image_size: ImageSize = ImageSize(width=1024, height=768)
    num_inference_steps: Steps = None
    guidance_scale: Annotated[float, Field(ge=1, le=20)] | None = None
    num_images: Literal[1] = 1
    output_format: Literal["jpeg", "png"] = "jpeg"
    enable_safety_checker: bool = True


class Together(Wish):
    """Addresses unless base64 is asked for, and `steps` by its short name."""

    model: str
    width: Side = 1024
    height: Side = 1024
    steps: Steps = None
    n: Literal[1] = 1
    response_format: Literal["base64", "url"] = "url"
    guidance_scale: float | None = None
    negative_prompt: str | None = None


class Nscale(Wish):
    """A size as text, and no steps."""

    model: str
    size: SizeText = "1024x1024"
    response_format: Literal["b64_json", "url"] = "b64_json"
    negative_prompt: str | None = None


class Replicate(Wish):
    """Qwen-Image there: shapes instead of sizes."""

    aspect_ratio: Literal["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"] = "16:9"
    negative_prompt: str | None = None


class Zai(Wish):
    """A size as text."""

    model: str
    size: SizeText = "1280x1280"


def size_of(wish: Wish) -> tuple[int, int]:
    """Width and height of the picture it is, in pixels."""
    match wish:
        case Fal(image_size=size):
            return size.width, size.height
        case Sides() | Together():
            return wish.width, wish.height
        case Replicate():
            return _SHAPES[wish.aspect_ratio]
        case Nscale() | Zai():
            width, _, height = wish.size.partition("x")
            return int(width), int(height)
        case _:
            return 1024, 1024


def steps_of(wish: Wish) -> int:
    """0 where none are asked for."""
    match wish:
        case Fal() | Sides():
            return wish.num_inference_steps or 0
        case Together():
            return wish.steps or 0
        case _:
            return 0
