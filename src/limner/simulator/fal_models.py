"""What fal's models take and cost. A bad field is found when the model runs, not when the order is queued."""

import binascii
import io
from base64 import b64decode
from decimal import Decimal
from typing import Annotated, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

MEGAPIXEL = 1024 * 1024

Preset = Literal["square_hd", "square", "portrait_4_3", "portrait_16_9", "landscape_4_3", "landscape_16_9"]
_PRESETS: dict[Preset, tuple[int, int]] = {
    "square_hd": (1024, 1024),
    "square": (512, 512),
    "portrait_4_3": (768, 1024),
    "portrait_16_9": (576, 1024),
    "landscape_4_3": (1024, 768),
    "landscape_16_9": (1024, 576),
}
Ratio = Literal["21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21"]
_RATIOS: dict[Ratio, tuple[int, int]] = {
    "21:9": (3136, 1344),
    "16:9": (2752, 1536),
    "4:3": (2368, 1792),
    "3:2": (2496, 1664),
    "1:1": (2048, 2048),
    "2:3": (1664, 2496),
    "3:4": (1792, 2368),
    "9:16": (1536, 2752),
    "9:21": (1344, 3136),
}
Side = Annotated[int, Field(ge=64, le=4096)]


class BadField(Exception):
    """Why a model refuses its input, as the list under `detail`."""

    def __init__(self, detail: list[JsonValue]) -> None:
        super().__init__(str(detail))
        self.detail = detail


class Size(BaseModel):
    """A size that is none of the presets."""

    model_config = ConfigDict(extra="forbid", strict=True)

    width: Side
    height: Side


class Input(BaseModel):
    """What every model takes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: Annotated[str, Field(min_length=1)]
    seed: int | None = None
    sync_mode: bool = False
    output_format: Literal["jpeg", "png"] = "jpeg"
    enable_safety_checker: bool = True

    @property
    def count(self) -> int:
        """Pictures."""
        return 1

    def size(self) -> tuple[int, int]:
        """Pixels of each picture. Raises `BadField`."""
        raise NotImplementedError

    def source(self) -> bytes | None:
        """The picture it starts from. Raises `BadField`."""
        return None


class _Counted(Input):
    num_images: Annotated[int, Field(ge=1, le=4)] = 1

    @property
    def count(self) -> int:
        """Pictures."""
        return self.num_images


class _Sized(Input):
    image_size: Size | Preset = "landscape_4_3"

    def size(self) -> tuple[int, int]:
        """As asked, or the preset's."""
        asked = self.image_size
        return (asked.width, asked.height) if isinstance(asked, Size) else _PRESETS[asked]


class _Dev(_Sized, _Counted):
    num_inference_steps: Annotated[int, Field(ge=1, le=50)] = 28
    guidance_scale: Annotated[float, Field(ge=1, le=20)] = 3.5
    acceleration: Literal["none", "regular", "high"] = "none"


class _Schnell(_Dev):
    num_inference_steps: Annotated[int, Field(ge=1, le=12)] = 4


class _Flux2(_Dev):
    num_inference_steps: Annotated[int, Field(ge=4, le=50)] = 28
    guidance_scale: Annotated[float, Field(ge=0, le=20)] = 2.5
    acceleration: Literal["none", "regular", "high"] = "regular"
    enable_prompt_expansion: bool = False


class _Flex(_Sized):
    num_inference_steps: Annotated[int, Field(ge=2, le=50)] = 28
    guidance_scale: Annotated[float, Field(ge=1.5, le=10)] = 3.5
    safety_tolerance: Literal["1", "2", "3", "4", "5"] = "2"
    enable_prompt_expansion: bool = True


class _Pro2(_Sized):
    safety_tolerance: Literal["1", "2", "3", "4", "5"] = "2"


class _Pro(_Sized, _Counted):
    safety_tolerance: Literal["1", "2", "3", "4", "5", "6"] = "2"
    enhance_prompt: bool = False


class _Ultra(_Counted):
    aspect_ratio: Ratio = "16:9"
    raw: bool = False
    safety_tolerance: Literal["1", "2", "3", "4", "5", "6"] = "2"
    enhance_prompt: bool = False

    def size(self) -> tuple[int, int]:
        """Of the shape."""
        return _RATIOS[self.aspect_ratio]


class _FromPicture(_Counted):
    image_url: str
    guidance_scale: Annotated[float, Field(ge=1, le=20)] = 3.5

    def source(self) -> bytes:
        """The bytes of its data URL; nothing is fetched here."""
        head, _, data = self.image_url.partition(";base64,")
        try:
            return b64decode(data, validate=True) if head.startswith("data:image/") else _unread()
        except binascii.Error:
            return _unread()

    def size(self) -> tuple[int, int]:
        """The picture's own."""
        try:
            return Image.open(io.BytesIO(self.source())).size
        except OSError:
            _unread("image_load_error")
            raise


class _Over(_FromPicture):
    strength: Annotated[float, Field(ge=0.01, le=1)] = 0.95
    num_inference_steps: Annotated[int, Field(ge=10, le=50)] = 40
    acceleration: Literal["none", "regular", "high"] = "none"


class _Kontext(_FromPicture):
    aspect_ratio: Ratio | None = None
    safety_tolerance: Literal["1", "2", "3", "4", "5", "6"] = "2"
    enhance_prompt: bool = False


MODELS: dict[str, type[Input]] = {
    "fal-ai/flux/schnell": _Schnell,
    "fal-ai/flux/dev": _Dev,
    "fal-ai/flux/dev/image-to-image": _Over,
    "fal-ai/flux-2": _Flux2,
    "fal-ai/flux-2-pro": _Pro2,
    "fal-ai/flux-2-flex": _Flex,
    "fal-ai/flux-pro/v1.1": _Pro,
    "fal-ai/flux-pro/v1.1-ultra": _Ultra,
    "fal-ai/flux-pro/kontext": _Kontext,
    "fal-ai/flux-pro/kontext/max": _Kontext,
    "fal-ai/qwen-image": _Dev,
}
_PER_MEGAPIXEL = {
    "fal-ai/flux/schnell": "0.003",
    "fal-ai/flux/dev": "0.025",
    "fal-ai/flux/dev/image-to-image": "0.03",
    "fal-ai/flux-2": "0.012",
    "fal-ai/flux-2-flex": "0.05",
    "fal-ai/flux-pro/v1.1": "0.04",
    "fal-ai/qwen-image": "0.02",
}
_PER_IMAGE = {
    "fal-ai/flux-pro/v1.1-ultra": "0.06",
    "fal-ai/flux-pro/kontext": "0.04",
    "fal-ai/flux-pro/kontext/max": "0.08",
}


def price_usd(model: str, size: tuple[int, int], count: int) -> Decimal:
    """Dollars for so many pictures of that size; a megapixel that is begun is paid whole."""
    megapixels = -(-size[0] * size[1] // MEGAPIXEL)
    if model in _PER_IMAGE:
        return Decimal(_PER_IMAGE[model]) * count
    if model == "fal-ai/flux-2-pro":
        return (Decimal("0.03") + Decimal("0.015") * (megapixels - 1)) * count
    return Decimal(_PER_MEGAPIXEL[model]) * megapixels * count


def checked(model: str, fields: JsonValue) -> Input:
    """The input of a model. Raises `BadField`."""
    try:
        return MODELS[model].model_validate(fields)
    except ValidationError as error:
        raise BadField(
            [
                {
                    "loc": ["body", *fault["loc"]],
                    "msg": fault["msg"],
                    "type": fault["type"],
                    "url": fault["url"],
                }
                for fault in error.errors(include_input=False)
            ]
        ) from error


def _unread(word: str = "file_download_error") -> bytes:
    """Raises `BadField`: the picture cannot be had, or is none."""
    raise BadField([{"loc": ["body", "image_url"], "msg": "Failed to load the image.", "type": word}])
