"""What Gemini's stand-in reads and counts: requests, the models' limits, tokens and what they cost."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import ROUND_UP, Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic.alias_generators import to_camel, to_snake

_MILLION = Decimal(1_000_000)
_MOST_BYTES = 20 * 1024 * 1024
_PICTURE_IN = 560
_THINKING = {"MINIMAL": 150, "MEDIUM": 600, "HIGH": 1500}
_MIMES = ("image/png", "image/jpeg", "image/webp", "image/heic", "image/heif")
_HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
_THRESHOLDS = ("BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE", "OFF")

_TEN: dict[str, tuple[int, int]] = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
}
_SHAPES = _TEN | {"1:4": (512, 2048), "4:1": (2048, 512), "1:8": (384, 3072), "8:1": (3072, 384)}


@dataclass(frozen=True, slots=True)
class Tokens:
    """What one order used."""

    text_in: int
    image_in: int
    image_out: int
    thoughts: int

    def told(self) -> dict[str, JsonValue]:
        """As `usageMetadata`."""
        told = self.only_read() | {
            "candidatesTokenCount": self.image_out,
            "thoughtsTokenCount": self.thoughts,
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": self.image_out}],
        }
        return told | {"totalTokenCount": self.text_in + self.image_in + self.image_out + self.thoughts}

    def only_read(self) -> dict[str, JsonValue]:
        """As `usageMetadata` of an answer without a picture."""
        details: list[JsonValue] = [{"modality": "TEXT", "tokenCount": self.text_in}]
        if self.image_in:
            details.append({"modality": "IMAGE", "tokenCount": self.image_in})
        read = self.text_in + self.image_in
        return {"promptTokenCount": read, "totalTokenCount": read, "promptTokensDetails": details}

    def twice(self) -> "Tokens":
        """For two pictures."""
        return replace(self, image_out=2 * self.image_out)


@dataclass(frozen=True, slots=True)
class Model:
    """One model's limits and its prices in dollars per million tokens."""

    shapes: Mapping[str, tuple[int, int]]
    sizes: Mapping[str, int]
    """Tokens of one picture by size class."""
    told_size: bool
    """Whether a request may name the size class."""
    told_thinking: bool
    most_inputs: int
    read_usd: Decimal
    picture_usd: Decimal
    word_usd: Decimal

    def usd(self, tokens: Tokens) -> Decimal:
        """Dollars for them, up to the next millionth."""
        read = (tokens.text_in + tokens.image_in) * self.read_usd
        micros = read + tokens.image_out * self.picture_usd + tokens.thoughts * self.word_usd
        return micros.to_integral_value(ROUND_UP) / _MILLION


MODELS = {
    "gemini-nano-banana-2.1": Model(
        shapes=_SHAPES,
        sizes={"1K": 1120, "2K": 1680, "4K": 3600},
        told_size=True,
        told_thinking=True,
        most_inputs=14,
        read_usd=Decimal("1.50"),
        picture_usd=Decimal(30),
        word_usd=Decimal("7.50"),
    ),
    "gemini-3-pro-image": Model(
        shapes=_TEN,
        sizes={"1K": 1120, "2K": 1120, "4K": 2000},
        told_size=True,
        told_thinking=False,
        most_inputs=14,
        read_usd=Decimal(2),
        picture_usd=Decimal(120),
        word_usd=Decimal(12),
    ),
    "gemini-3.1-flash-lite-image": Model(
        shapes=_TEN,
        sizes={"1K": 1120},
        told_size=False,
        told_thinking=False,
        most_inputs=3,
        read_usd=Decimal("0.25"),
        picture_usd=Decimal(30),
        word_usd=Decimal("1.50"),
    ),
}
"""What is served; every other name is 404."""


class _Strict(BaseModel):
    """Google reads camelCase and snake_case, and refuses a field it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Blob(_Strict):
    """A picture inside the request."""

    mime_type: str
    data: str


class _Part(_Strict):
    text: str | None = None
    inline_data: Blob | None = None
    file_data: JsonValue = None
    thought: bool = False
    thought_signature: str | None = None


class _Content(_Strict):
    role: str = "user"
    parts: tuple[_Part, ...]


class _ImageConfig(_Strict):
    aspect_ratio: str = "1:1"
    image_size: str | None = None


class _Thinking(_Strict):
    thinking_level: str = "MEDIUM"
    include_thoughts: bool = False


class _Config(_Strict):
    response_modalities: tuple[str, ...] = ("TEXT", "IMAGE")
    image_config: _ImageConfig = _ImageConfig()
    thinking_config: _Thinking | None = None
    seed: Annotated[int, Field(ge=-(2**31), lt=2**31)] | None = None
    candidate_count: int = 1
    temperature: float | None = None
    top_p: float | None = None
    top_k: float | None = None
    max_output_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()
    response_mime_type: str | None = None
    response_schema: JsonValue = None


class _Safety(_Strict):
    category: str
    threshold: str


class Ask(_Strict):
    """The body of `generateContent`."""

    contents: tuple[_Content, ...]
    generation_config: _Config = _Config()
    safety_settings: tuple[_Safety, ...] = ()
    system_instruction: _Content | None = None
    tools: tuple[JsonValue, ...] = ()

    @property
    def words(self) -> str:
        """All the text."""
        return " ".join(part.text for one in self.contents for part in one.parts if part.text is not None)

    @property
    def pictures(self) -> list[Blob]:
        """All the pictures, first to last."""
        parts = [part for one in self.contents for part in one.parts]
        return [part.inline_data for part in parts if part.inline_data is not None]


def pixels(ask: Ask) -> tuple[int, int]:
    """Width and height of the picture asked for."""
    config = ask.generation_config.image_config
    times = int((config.image_size or "1K").removesuffix("K"))
    width, height = _SHAPES[config.aspect_ratio]
    return width * times, height * times


def count(ask: Ask, model: Model) -> Tokens:
    """Tokens of an order."""
    thinking = ask.generation_config.thinking_config or _Thinking()
    return Tokens(
        text_in=-(-len(ask.words) // 4),
        image_in=_PICTURE_IN * len(ask.pictures),
        image_out=model.sizes[ask.generation_config.image_config.image_size or "1K"],
        thoughts=_THINKING[thinking.thinking_level.upper()],
    )


def wrong(ask: Ask, model: Model, size_bytes: int) -> tuple[str, str] | None:
    """The field that is wrong and what to say of it, None when all is fine."""
    if size_bytes > _MOST_BYTES:
        return "contents", f"Request payload size exceeds the limit: {_MOST_BYTES} bytes."
    if not ask.words.strip() and not ask.pictures:
        return "contents", "contents is not specified"
    if ask.tools:
        return "tools", "Tool use is not supported for this model."
    return _wrong_config(ask.generation_config, model) or _wrong_pictures(ask, model) or _wrong_safety(ask)


def _wrong_config(config: _Config, model: Model) -> tuple[str, str] | None:
    size, ratio = config.image_config.image_size, config.image_config.aspect_ratio
    field = "generation_config.image_config"
    if not set(config.response_modalities) <= {"TEXT", "IMAGE"}:
        return "generation_config.response_modalities", "The requested combination of response modalities ..."
    if config.candidate_count != 1:
        return "generation_config.candidate_count", "Multiple candidates is not enabled for this model"
    if config.response_schema is not None or config.response_mime_type is not None:
        return "generation_config.response_mime_type", "JSON mode is not enabled for this model"
    if ratio not in model.shapes:
        return f"{field}.aspect_ratio", f"aspect_ratio must be one of {', '.join(model.shapes)}, not {ratio}"
    if size is not None and not (model.told_size and size in model.sizes):
        able = ", ".join(model.sizes) if model.told_size else "left out"
        return f"{field}.image_size", f"image_size must be {able}, not {size}"
    return _wrong_thinking(config, model)


def _wrong_thinking(config: _Config, model: Model) -> tuple[str, str] | None:
    if config.thinking_config is None:
        return None
    field, level = "generation_config.thinking_config.thinking_level", config.thinking_config.thinking_level
    if not model.told_thinking:
        return field, "Thinking level is not supported for this model."
    return None if level.upper() in _THINKING else (field, f"Invalid value at '{field}', \"{level}\"")


def _wrong_pictures(ask: Ask, model: Model) -> tuple[str, str] | None:
    if len(ask.pictures) > model.most_inputs:
        return "contents", f"Number of images in the request exceeds {model.most_inputs}"
    for picture in ask.pictures:
        if picture.mime_type not in _MIMES:
            return "contents", f"Unsupported MIME type: {picture.mime_type}"
    return None


def _wrong_safety(ask: Ask) -> tuple[str, str] | None:
    for one in ask.safety_settings:
        if one.category.removeprefix("HARM_CATEGORY_") not in _HARMS or one.threshold not in _THRESHOLDS:
            return "safety_settings", f"Invalid value at 'safety_settings', {one.category} {one.threshold}"
    return None


def complaint(error: ValidationError) -> tuple[str, str]:
    """A field and a message as Google words them, for the first thing that is wrong with a body."""
    first = error.errors(include_url=False)[0]
    names = [f"[{one}]" if isinstance(one, int) else f".{to_snake(one)}" for one in first["loc"]]
    field = "".join(names).removeprefix(".")
    match first["type"]:
        case "extra_forbidden":
            parent = "".join(names[:-1]).removeprefix(".")
            where = f" at '{parent}'" if parent else ""
            said = f'Unknown name "{first["loc"][-1]}"{where}: Cannot find field.'
        case "json_invalid":
            said = "Expected an object."
        case _:
            said = f"Invalid value at '{field}': {first['msg']}"
    return field, f"Invalid JSON payload received. {said}"
