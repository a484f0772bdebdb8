"""What clients of the unified API send, and what it means in Limner's words."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, ValidationError

from limner.api.errors import Unprocessable, invalid, unprocessable
from limner.catalog.model import Model
from limner.chat.names import provider_of
from limner.core.errors import InvalidRequest
from limner.core.prompting import Prompting
from limner.core.request import MAX_PROMPT, MAX_SEED, Format, GenerateRequest, Policy
from limner.core.text import clean_text
from limner.prompts.limits import THRESHOLD

MAX_BATCH = 10
KNOWN = ("leonardo", "runware", "gemini", "comfyui")
"""Providers that every client of the unified API knows, in the order they are asked."""
CALLED = {
    "count": "num_images",
    "model": "model_id",
    "style": "preset_style",
    "format": "output_format",
    "options": "provider_params",
    "scene": "scene_id",
    "project": "project_id",
}
"""Our field names as the callers know them."""

AspectRatio = Literal["1:1", "16:9", "9:16", "4:3", "3:4"]
OutputFormat = Literal["jpg", "jpeg", "png", "webp"]
Side = Annotated[int, Field(ge=128, le=2048)]
Seed = Annotated[int, Field(ge=1, le=MAX_SEED)]

_LONG_SIDE = 512
_MULTIPLE = 8


class UnifiedOrder(BaseModel):
    """A request for pictures. Names that are not listed here are left out, and told in `metadata.notes`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: Annotated[str, Field(min_length=1)]
    """At most 10,000 characters; what is longer is 400."""
    negative_prompt: str | None = None
    width: Side | None = 512
    height: Side | None = 512
    aspect_ratio: AspectRatio | None = None
    """Overrides width and height: the longer side is 512."""
    num_images: Annotated[int, Field(ge=1, le=20)] = 1
    seed: Seed | None = None
    model_id: Annotated[str, Field(max_length=200)] | None = None
    """The provider's own id, or any name of the catalog."""
    preset_style: Annotated[str, Field(max_length=200)] | None = "DYNAMIC"
    """Also `CREATIVE`, `PHOTOGRAPHY`, `SKETCH_BW`; left out for models that have no such style."""
    guidance_scale: Annotated[float, Field(ge=1, le=30, allow_inf_nan=False)] | None = 7.5
    steps: Annotated[int, Field(ge=10, le=100)] | None = 30
    output_format: OutputFormat = "png"
    provider: Annotated[str, Field(max_length=200)] | None = None
    """`leonardo`, `runware` (also `leonardo_ai`, `runware_ai`), `gemini`, `comfyui`, or another of Limner's;
    null: chosen. It is asked first; with `enable_fallback` others may follow."""
    provider_params: dict[str, JsonValue] | None = None
    """What only that provider's model understands, such as ComfyUI's `workflow_overrides`."""
    project_id: UUID
    scene_id: UUID | None = None
    max_cost_usd: Annotated[Decimal, Field(ge=0, allow_inf_nan=False)] | None = None
    """Limner's own: nothing dearer is bought, and nothing whose price nobody knows."""


class QuickOrder(BaseModel):
    """The same with few fields, in a JSON body or in the query."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: Annotated[str, Field(min_length=1)]
    negative_prompt: str | None = None
    width: Side | None = 512
    height: Side | None = 512
    num_images: Annotated[int, Field(ge=1, le=8)] = 1
    provider: Annotated[str, Field(max_length=200)] | None = None
    seed: Seed | None = None
    project_id: UUID

    def in_full(self) -> UnifiedOrder:
        """As a request with every field."""
        return UnifiedOrder.model_validate(self.model_dump())


class BatchOrder(BaseModel):
    """1 to 10 requests; another number is 400."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    requests: list[UnifiedOrder]


class PromptBody(BaseModel):
    """A prompt to look at."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: Annotated[str, Field(min_length=1), AfterValidator(clean_text)]
    force_optimize: bool = False


def sides(ratio: AspectRatio) -> tuple[int, int]:
    """Pixels: the longer side 512, the shorter in proportion, both down to a multiple of 8."""
    wide, high = (int(part) for part in ratio.split(":"))
    longer = max(wide, high)
    width, height = (int(_LONG_SIDE * part / longer) // _MULTIPLE * _MULTIPLE for part in (wide, high))
    return width, height


def check_length(*texts: str | None) -> None:
    """Raises `InvalidRequest` for a prompt that is too long, which is 400 at every endpoint."""
    for text in texts:
        if text is not None and len(text) > MAX_PROMPT:
            raise InvalidRequest(
                f"the prompt is {len(text):,} characters long; at most {MAX_PROMPT:,} are accepted", "prompt"
            )


def provider_named(name: str | None, known: Iterable[str], where: str = "body") -> str | None:
    """The provider by its short name. Raises `Unprocessable` for one that nobody knows."""
    if not name:
        return None
    found = provider_of(name)
    names = (*KNOWN, *(one for one in known if one not in KNOWN))
    if found not in names:
        raise unprocessable("provider", f"is none of {', '.join(names)}", where)
    return found


def wish(
    order: UnifiedOrder, provider: str | None, project: str, models: Sequence[Model], policy: Policy
) -> GenerateRequest:
    """The same in Limner's words. Raises `Unprocessable`."""
    width, height = sides(order.aspect_ratio) if order.aspect_ratio else (order.width, order.height)
    try:
        return GenerateRequest(
            prompt=order.prompt,
            negative_prompt=order.negative_prompt or None,
            provider=None if policy.fallback else provider,
            model=_model(order.model_id, provider, models),
            count=order.num_images,
            width=width or 512,
            height=height or 512,
            seed=order.seed,
            style=order.preset_style or None,
            guidance_scale=order.guidance_scale,
            steps=order.steps,
            format=format_of(order.output_format),
            project=project,
            scene=str(order.scene_id) if order.scene_id else None,
            options=order.provider_params or {},
            prompting=Prompting(optimize=True) if len(order.prompt) > THRESHOLD else None,
            policy=policy,
        )
    except ValidationError as error:
        raise finding(invalid(error, CALLED)) from error


def policy_of(
    provider: str | None, max_cost_usd: Decimal | None, *, fallback: bool, providers: int
) -> Policy:
    """How the clients of the unified API are served: each provider once, in their order. Asking for fallback
    they accept other models and prices, but what is free is never replaced by what is not."""
    return Policy(
        prefer="unified",
        fallback=fallback,
        substitutes=True,
        dearer=True,
        first=provider,
        providers=providers,
        again=False,
        any_style=True,
        max_cost_usd=max_cost_usd,
    )


def finding(error: InvalidRequest) -> Unprocessable:
    """What is wrong with a field, in the caller's words."""
    first = (error.field or "").partition(".")[0]
    field = CALLED.get(first, first) or None
    return unprocessable(field, str(error).removeprefix(f"{error.field}: "))


def format_of(output: OutputFormat) -> Format:
    """Limner's word for it."""
    match output:
        case "jpg" | "jpeg":
            return "jpeg"
        case "png" | "webp":
            return output


def _model(name: str | None, provider: str | None, models: Sequence[Model]) -> str | None:
    """A provider's own id means that provider's model, also where it takes any id."""
    if not name or provider is None:
        return name or None
    here = [model for model in models if model.provider == provider]
    if not any(model.known_as(name) for model in here) and any(model.open for model in here):
        return f"{provider}/{name}"
    return name
