"""What the caller wants, in one shape for every door and every provider."""

import hashlib
import json
from decimal import Decimal
from typing import Annotated, Literal, Self, TypedDict
from unicodedata import category

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)

from limner.core.prompting import Prompting
from limner.core.text import Name, clean_text

MAX_PROMPT = 10_000
MAX_SIDE = 4096
MAX_COUNT = 20
MAX_SEED = 2**63 - 1
MAX_INPUTS = 16
MAX_OPTIONS = 64

Operation = Literal["generate", "edit", "inpaint", "image-to-image", "variation", "upscale"]
"""`edit` follows words; `inpaint` fills where a mask says; `image-to-image` paints over by `strength`;
`variation` and `upscale` need no words."""
Tier = Literal["fast", "standard", "high", "ultra"]
Preset = Literal["fast", "standard", "quality", "ultra"]
Format = Literal["png", "jpeg", "webp"]
OnUnknown = Literal["ask", "never", "auto"]
RoutePolicy = Literal[
    "local-first", "tier", "cheapest", "fastest", "balanced", "listed", "unified", "commands", "two-phase"
]
"""The last three are the fixed orders of the programs before Limner."""

MIME: dict[Format, str] = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
EXTENSION: dict[Format, str] = {"png": "png", "jpeg": "jpg", "webp": "webp"}


def clean_prompt(text: str) -> str:
    """A prompt says something: at least one visible character, and at most 10,000 in all."""
    if len(text) > MAX_PROMPT:
        raise ValueError(f"is {len(text):,} characters long; at most {MAX_PROMPT:,} are accepted")
    clean_text(text)
    if not says_something(text):
        raise ValueError("is empty; say what the picture shows")
    return text


def says_something(text: str) -> bool:
    """True when at least one character is visible by itself: a letter, digit, sign or symbol, and not only
    what marks or joins others."""
    return any(category(char)[0] in "LNPS" for char in text)


def clean_negative(text: str) -> str:
    """Like a prompt, but it may be empty."""
    if len(text) > MAX_PROMPT:
        raise ValueError(f"is {len(text):,} characters long; at most {MAX_PROMPT:,} are accepted")
    return clean_text(text)


def clean_options(options: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Refuse what JSON cannot hold: numbers that are none, and lone surrogates."""
    try:
        json.dumps(options, allow_nan=False, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("hold text that is not valid Unicode (a lone surrogate); send UTF-8 text") from None
    except ValueError:
        raise ValueError("hold a number that JSON does not know, such as NaN; send a finite one") from None
    return options


ProjectName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
SceneId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
InputName = Annotated[
    str, Field(pattern=r"^([0-9a-f]{64}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})$")
]
"""An input picture: the SHA-256 of its bytes, or the id of a picture made here."""

WORDLESS: frozenset[Operation] = frozenset({"variation", "upscale"})
"""Operations that need no prompt."""
_INPUTS: dict[Operation, tuple[int, int]] = {
    "generate": (0, 0),
    "edit": (1, MAX_INPUTS),
    "inpaint": (1, MAX_INPUTS),
    "image-to-image": (1, 1),
    "variation": (1, 1),
    "upscale": (1, 1),
}
"""How many input pictures an operation takes, least and most."""


class Policy(BaseModel):
    """How the caller wants to be served, and how far the price and the picture may bend."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prefer: RoutePolicy = "local-first"
    fallback: bool = True
    strict: bool = False
    """Refuse instead of bending a size, seed or style."""
    substitutes: bool = False
    """Fall back to models of another tier too."""
    dearer: bool = False
    """Fall back to what costs more, or nobody knows how much, too; but from what is free never."""
    first: Name | None = None
    """The provider that is asked first where it can serve; the request's `provider` allows no other."""
    providers: Annotated[int, Field(ge=1, le=100)] | None = None
    """At most so many providers are asked."""
    again: bool = True
    """Ask the same once more, later, when nobody could serve."""
    any_style: bool = False
    """A style that a model does not list is left out, with a note, instead of passing the model over."""
    max_cost_usd: Annotated[Decimal, Field(ge=0)] | None = None
    confirm_above_usd: Annotated[Decimal, Field(ge=0)] | None = None
    """What costs more waits for a person to agree before it is bought."""
    on_unknown: OnUnknown = "ask"
    """When an answer is lost at a vendor that cannot be asked again: wait for a person to decide, end the
    job, or buy again by itself."""
    auto_usd: Annotated[Decimal, Field(ge=0)] = Decimal(0)
    """With `on_unknown` `auto`: the most that may be paid again for one job."""
    deadline_s: Annotated[float, Field(gt=0, le=86_400)] | None = None
    """Seconds from acceptance; None uses the server's default."""


class GenerateRequest(BaseModel):
    """One order. Sizes are pixels; what is None is chosen by the preset or the model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: Operation = "generate"
    prompt: Annotated[str, AfterValidator(clean_negative)]
    negative_prompt: Annotated[str, AfterValidator(clean_negative)] | None = None
    inputs: Annotated[tuple[InputName, ...], Field(max_length=MAX_INPUTS, validate_default=True)] = ()
    """Pictures the operation works on, the main one first."""
    mask: Annotated[InputName | None, Field(validate_default=True)] = None
    """PNG of the first input's size; where it is transparent the picture is painted anew."""
    strength: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    """How far `image-to-image` goes from its input: 0 keeps it, 1 ignores it."""
    scale: Annotated[float, Field(gt=1, le=8, allow_inf_nan=False)] | None = None
    """How many times longer `upscale` makes each side."""
    model: Name | None = None
    provider: Name | None = None
    count: Annotated[int, Field(ge=1, le=MAX_COUNT)] = 1
    width: Side | None = None
    height: Side | None = None
    steps: Annotated[int, Field(ge=1, le=100)] | None = None
    guidance_scale: Annotated[float, Field(ge=1, le=30, allow_inf_nan=False)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    """Picture i of several uses seed + i. None: drawn at acceptance and recorded."""
    style: Name | None = None
    quality: Preset | None = None
    tier: Tier | None = None
    """Only models of this tier; without it the policy decides."""
    format: Format = "png"
    compression: Annotated[int, Field(ge=0, le=100)] | None = None
    """JPEG and WebP: 100 keeps most detail. Ignored for PNG, which loses nothing."""
    partial_images: Annotated[int, Field(ge=0, le=3)] = 0
    """How many previews the caller wants to see on the way."""
    project: ProjectName = "default"
    scene: SceneId | None = None
    """What the picture belongs to within its project: the caller's own mark."""
    user: Name | None = None
    quote: Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(clean_text)] | None = None
    """A quote that is accepted: the job never costs more than it says."""
    priority: Annotated[int, Field(ge=-9, le=9)] = 0
    """Higher ones are begun first."""
    options: Annotated[
        dict[Name, JsonValue], Field(max_length=MAX_OPTIONS), AfterValidator(clean_options)
    ] = {}
    """What only this model understands, by the names its catalog entry lists."""
    prompting: Prompting | None = None
    """How the prompt is to be rewritten before it is sent; None: not at all."""
    policy: Policy = Policy()

    @field_validator("prompt")
    @classmethod
    def _words(cls, prompt: str, info: ValidationInfo) -> str:
        return prompt if info.data.get("operation") in WORDLESS else clean_prompt(prompt)

    @field_validator("inputs")
    @classmethod
    def _as_many_as_it_takes(cls, inputs: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        operation: Operation = info.data.get("operation", "generate")
        least, most = _INPUTS[operation]
        if not least <= len(inputs) <= most:
            wanted = f"{least}" if least == most else f"{least} to {most}"
            raise ValueError(f"{operation} takes {wanted} input pictures, not {len(inputs)}")
        return inputs

    @field_validator("mask")
    @classmethod
    def _masked_as_needed(cls, mask: str | None, info: ValidationInfo) -> str | None:
        operation: Operation = info.data.get("operation", "generate")
        if (mask is None) == (operation == "inpaint"):
            said = "needs a mask" if mask is None else "takes no mask; the operation for it is inpaint"
            raise ValueError(f"{operation} {said}")
        return mask

    @model_validator(mode="after")
    def _both_sides(self) -> Self:
        if (self.width is None) != (self.height is None):
            given, missing = ("width", "height") if self.height is None else ("height", "width")
            raise ValueError(f"{given} was given without {missing}; give both or neither")
        if self.seed is not None and self.seed + self.count - 1 > MAX_SEED:
            raise ValueError(f"seed {self.seed} is too large for {self.count} pictures; at most {MAX_SEED}")
        return self

    @property
    def asked_prompt(self) -> str:
        """The prompt as the caller wrote it, also where it was rewritten since."""
        done = None if self.prompting is None else self.prompting.done
        return self.prompt if done is None else done.prompt

    @property
    def size(self) -> "tuple[int, int] | None":
        """(width, height) in pixels when both are known."""
        return (self.width, self.height) if self.width and self.height else None

    def fingerprint(self) -> str:
        """SHA-256 of the canonical form: equal requests have equal fingerprints on every door."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class RequestFields(TypedDict, total=False):
    """The fields of `GenerateRequest` as keyword arguments, for callers that write them out."""

    operation: Operation
    negative_prompt: str | None
    inputs: tuple[str, ...]
    mask: str | None
    strength: float | None
    scale: float | None
    model: str | None
    provider: str | None
    count: int
    width: int | None
    height: int | None
    steps: int | None
    guidance_scale: float | None
    seed: int | None
    style: str | None
    quality: Preset | None
    tier: Tier | None
    format: Format
    compression: int | None
    partial_images: int
    project: str
    scene: str | None
    user: str | None
    quote: str | None
    priority: int
    options: dict[str, JsonValue]
    prompting: Prompting | None
    policy: Policy
