"""What the OpenAI stand-in accepts as an order, and what it charges."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import BytesIO
from math import ceil
from typing import Annotated, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

_MILLION = Decimal(1_000_000)
_SQUARE = 1024 * 1024
_STANDARD_SIZES = ((1024, 1024), (1536, 1024), (1024, 1536))
_PREVIEW_TOKENS = 100
_LARGEST_MASK = 4 * 1024 * 1024
_LARGEST_INPUT = 50 * 1024 * 1024
_LONGEST_INPUT = 8192

Drawn = Literal["low", "medium", "high", "xhigh", "max"]


class Fault(Exception):
    """A request that is refused with status 400."""

    def __init__(
        self, message: str, param: str | None, code: str | None = "invalid_value", *, user: bool = True
    ) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.type = "image_generation_user_error" if user else "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Engine:
    """One model. Prices are dollars per million tokens; `shut` is the day from which it is gone."""

    text_in: str
    image_in: str
    image_out: str
    any_size: bool = True
    finer: bool = False
    """Knows quality xhigh and max."""
    fidelity: tuple[str, ...] = ()
    shut: str | None = None


_CURRENT = Engine("5", "8", "30")
_FINER = Engine("5", "8", "30", finer=True)
_OLDER = Engine("5", "8", "32", any_size=False, fidelity=("high", "low"), shut="2026-12-01")
ENGINES = {
    "gpt-image-1": Engine("5", "10", "40", any_size=False, shut="2026-10-23"),
    "gpt-image-1-mini": Engine("2", "2.5", "8", any_size=False, fidelity=("low",), shut="2026-12-01"),
    "gpt-image-1.5": _OLDER,
    "gpt-image-1.5-2025-12-16": _OLDER,
    "chatgpt-image-latest": _OLDER,
    "gpt-image-2": _CURRENT,
    "gpt-image-2-2026-04-21": _CURRENT,
    "gpt-image-2.5-sunburst": _FINER,
    "gpt-image-2.5-sunburst-2026-09-08": _FINER,
    "gpt-image-2.5-flare": _FINER,
    "gpt-image-2.5-flare-2026-09-08": _FINER,
    "gpt-image-2.6-sunburst": _CURRENT,
    "gpt-image-2.6-flare": _CURRENT,
    "dall-e-2": Engine("0", "0", "0", shut="2026-05-12"),
    "dall-e-3": Engine("0", "0", "0", shut="2026-05-12"),
}
_TOKENS: dict[Drawn, tuple[int, int]] = {
    "low": (196, 160),
    "medium": (1760, 1360),
    "high": (7024, 5490),
    "xhigh": (14048, 10980),
    "max": (28096, 21960),
}
"""By quality: of a picture of 1024x1024, and of the two oblong standard sizes."""
_OLD_TOKENS: dict[Drawn, tuple[int, int]] = {"low": (272, 400), "medium": (1056, 1568), "high": (4160, 6208)}


class Wish(BaseModel):
    """An order with the vendor's defaults: who forgets the quality pays for high."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = "dall-e-2"
    prompt: Annotated[str, Field(min_length=1, max_length=32_000)]
    n: Annotated[int, Field(ge=1, le=10)] = 1
    size: str = "auto"
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max"] = "auto"
    output_format: Literal["png", "jpeg", "webp"] = "png"
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    background: Literal["auto", "opaque", "transparent"] = "auto"
    moderation: Literal["auto", "low"] = "auto"
    stream: bool = False
    partial_images: Annotated[int, Field(ge=0, le=3)] = 0
    complexity: Literal["low", "medium", "high"] | None = None
    safety_identifier: str = ""
    user: str = ""
    input_fidelity: Literal["high", "low"] | None = None

    @property
    def drawn(self) -> Drawn:
        """The quality it is drawn at."""
        return "high" if self.quality == "auto" else self.quality

    @property
    def pixels(self) -> tuple[int, int]:
        """Width and height; call `judge` first."""
        if self.size == "auto":
            return (1024, 1024)
        width, height = self.size.split("x")
        return int(width), int(height)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of an order, and the dollars they cost."""

    text_in: int
    image_in: int
    out: int
    usd: Decimal

    def as_json(self) -> dict[str, JsonValue]:
        """As answers tell it."""
        return {
            "input_tokens": self.text_in + self.image_in,
            "input_tokens_details": {"text_tokens": self.text_in, "image_tokens": self.image_in},
            "output_tokens": self.out,
            "output_tokens_details": {"image_tokens": self.out, "text_tokens": 0},
            "total_tokens": self.text_in + self.image_in + self.out,
        }


def read(fields: dict[str, JsonValue], *, texts: bool, day: str) -> Wish:
    """The order in these fields; `texts` when they are an edit's form, `day` is today. Raises `Fault`."""
    if "input_fidelity" in fields and not texts:
        raise _unknown("input_fidelity")
    given = {name: value for name, value in fields.items() if value is not None}
    engine = engine_of(str(given.get("model", "dall-e-2")), day)
    try:
        wish = Wish.model_validate(given, strict=not texts)
    except ValidationError as error:
        raise _why(error) from error
    _judge(wish, engine)
    return wish


def engine_of(model: str, day: str) -> Engine:
    """The model of that name. Raises `Fault` when there is none, or no more."""
    engine = ENGINES.get(model)
    if engine is None or (engine.shut is not None and day >= engine.shut):
        raise Fault(f"The model '{model}' does not exist.", "model")
    return engine


def usage(wish: Wish, inputs: Sequence[bytes], previews: int) -> Usage:
    """What the order costs when it is drawn with so many previews."""
    engine = ENGINES[wish.model]
    text_in = 3 + len(wish.prompt.encode()) // 4
    image_in = sum(_input_tokens(data) for data in inputs)
    out = wish.n * _picture_tokens(wish, engine) + previews * _PREVIEW_TOKENS
    prices = (
        (text_in, engine.text_in),
        (image_in, engine.image_in),
        (out, engine.image_out),
    )
    usd = sum((tokens * Decimal(price) / _MILLION for tokens, price in prices), Decimal(0))
    return Usage(text_in, image_in, out, usd)


def read_files(files: Iterable[tuple[str, bytes]]) -> tuple[bytes, ...]:
    """The input pictures among a form's files. Raises `Fault` for what is no picture, is too large or has
    another name, and for a mask of another size than the first picture."""
    parts = list(files)
    inputs = tuple(data for name, data in parts if name in ("image", "image[]"))
    masks = [data for name, data in parts if name == "mask"]
    unknown = [name for name, _ in parts if name not in ("image", "image[]", "mask")]
    if unknown:
        raise _unknown(unknown[0])
    if not 1 <= len(inputs) <= 16:
        raise Fault("Between 1 and 16 images are needed.", "image", "missing_required_parameter", user=False)
    sizes = [_size_of(data, "image") for data in inputs]
    if any(len(data) >= _LARGEST_INPUT for data in inputs):
        raise Fault("Each image must be smaller than 50 MB.", "image", "image_too_large")
    for mask in masks[:1]:
        if len(mask) >= _LARGEST_MASK or not mask.startswith(b"\x89PNG"):
            raise Fault("The mask must be a PNG of less than 4 MB.", "mask", "invalid_mask")
        if _size_of(mask, "mask") != sizes[0]:
            raise Fault("The mask must have the same size as the image.", "mask", "invalid_mask")
    return inputs


def broken_file(param: str) -> Fault:
    """A file that is no picture, or only the beginning of one."""
    return Fault("Invalid image file or mode for image.", param, "invalid_image_file")


def _size_of(data: bytes, param: str) -> tuple[int, int]:
    try:
        with Image.open(BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as picture:
            size = picture.size
    except (OSError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise broken_file(param) from error
    if max(size) > _LONGEST_INPUT:
        raise Fault("The image has too many pixels.", param, "invalid_image_file")
    return size


def _input_tokens(data: bytes) -> int:
    width, height = _size_of(data, "image")
    return 2 * ceil(min(width * height, _SQUARE) / 2048)


def _picture_tokens(wish: Wish, engine: Engine) -> int:
    width, height = wish.pixels
    square, oblong = (_TOKENS if engine.any_size else _OLD_TOKENS)[wish.drawn]
    if (width, height) in _STANDARD_SIZES:
        return square if width == height else oblong
    return ceil(square * width * height / _SQUARE)


def _unknown(name: str) -> Fault:
    return Fault(f"Unknown parameter: '{name}'.", name, "unknown_parameter", user=False)


def _why(error: ValidationError) -> Fault:
    first = error.errors()[0]
    name = str(first["loc"][0])
    match first["type"]:
        case "extra_forbidden":
            return _unknown(name)
        case "missing":
            return Fault(
                f"Missing required parameter: '{name}'.", name, "missing_required_parameter", user=False
            )
        case "literal_error":
            said = f"Invalid value: '{first['input']}'. Supported values are: {first['ctx']['expected']}."
            return Fault(said, name)
        case _:
            return Fault(f"Invalid '{name}': {first['msg']}.", name)


def _judge(wish: Wish, engine: Engine) -> None:
    """What no single field can tell. Raises `Fault`."""
    if wish.quality in ("xhigh", "max") and not engine.finer:
        raise Fault(
            f"Invalid value: '{wish.quality}'. Supported values are: 'low', 'medium', 'high', 'auto'.",
            "quality",
        )
    if wish.output_compression not in (None, 100) and wish.output_format == "png":
        raise Fault("Compression less than 100 is not supported for PNG output format.", "output_compression")
    if wish.background == "transparent" and wish.output_format == "jpeg":
        raise Fault("Transparent background is not supported for JPEG output format.", "background")
    if wish.input_fidelity is not None and wish.input_fidelity not in engine.fidelity:
        raise Fault(
            f"The model '{wish.model}' does not support input_fidelity '{wish.input_fidelity}'.",
            "input_fidelity",
            "invalid_input_fidelity_model",
        )
    if wish.partial_images and not wish.stream:
        raise Fault("partial_images needs stream to be true.", "partial_images")
    if wish.size != "auto":
        _judge_size(wish.size, engine)


def _judge_size(size: str, engine: Engine) -> None:
    sides = size.split("x")
    if len(sides) != 2 or not all(side.isascii() and side.isdigit() and len(side) < 6 for side in sides):
        raise Fault(f"Invalid size '{size}'. Expected WIDTHxHEIGHT or 'auto'.", "size")
    width, height = (int(side) for side in sides)
    if not engine.any_size:
        if (width, height) not in _STANDARD_SIZES:
            raise Fault(
                f"Invalid value: '{size}'. Supported values are: '1024x1024', '1024x1536', '1536x1024'.",
                "size",
            )
        return
    faults = {
        "Width and height must both be divisible by 16.": width % 16 or height % 16 or not width * height,
        "The longest edge must be less than or equal to 3840.": max(width, height) > 3840,
        "The aspect ratio must be between 1:3 and 3:1.": max(width, height) > 3 * min(width, height),
        "The area must be between 655360 and 8294400 pixels.": not 655_360 <= width * height <= 8_294_400,
    }
    for said, wrong in faults.items():
        if wrong:
            raise Fault(f"Invalid size '{size}'. {said}", "size")
