"""What Runware takes: its tasks field by field, its models with what they cost, its errors."""

import re
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic.alias_generators import to_camel

from limner.simulator.journal import parsed
from limner.simulator.vendor import ErrorWord, Unreadable

_UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
_CIVITAI = re.compile(r"^civitai:\d+@\d+$")
_MICRO = Decimal("0.000001")
_TIERS = (512 * 512, 1024 * 1024, 2 * 1024 * 1024)
Task = dict[str, Any]
"""A task, a result or an error: JSON whose fields its type decides."""
ERRORS: dict[ErrorWord, tuple[int, str, str]] = {
    "no_key": (401, "missingApiKey", "Missing API key."),
    "bad_key": (401, "invalidApiKey", "Invalid API key. Get one at https://my.runware.ai/signup"),
    "forbidden": (403, "accountSuspended", "This account is suspended."),
    "no_money": (402, "insufficientCredits", "Insufficient credits."),
    "rate_limited": (429, "rateLimitExceeded", "Rate limit exceeded."),
    "server_error": (500, "internalServerError", "Internal server error."),
    "overloaded": (503, "noAvailableServer", "No server is available for this model."),
}


class Complaint(Exception):
    """One error object of an answer, and the HTTP status that goes with it."""

    def __init__(self, code: str, message: str, status: int = 400, **more: JsonValue) -> None:
        super().__init__(message)
        self.status = status
        self.error: Task = {"code": code, "message": message, **more}

    def about(self, task: Task) -> Task:
        """The error with the task it belongs to."""
        known = {name: task[name] for name in ("taskType", "taskUUID") if name in task}
        return self.error | known


@dataclass(frozen=True, slots=True)
class Offer:
    """One model. `usd` is one picture's price up to 512x512, 1, 2 and 4 megapixels; more steps than `steps`
    cost in proportion."""

    usd: tuple[str, str, str, str]
    steps: int | None = None
    default_steps: int | None = None
    negative: bool = False
    below: bool = False
    """Takes pictures below `inputs` only."""
    multiple: int = 64
    sides: tuple[int, int] = (128, 2048)
    task: Literal["imageInference", "upscale"] = "imageInference"

    def price(self, width: int, height: int, steps: int | None) -> Decimal:
        """Dollars for one picture, in whole micro-dollars."""
        tier = next((at for at, pixels in enumerate(_TIERS) if width * height <= pixels), len(_TIERS))
        usd = Decimal(self.usd[tier])
        if self.steps is not None:
            usd = usd * max(self.steps, steps or self.default_steps or self.steps) / self.steps
        return usd.quantize(_MICRO, ROUND_UP)


def _flat(usd: str, **more: object) -> Offer:
    return Offer((usd,) * 4, below=True, **more)  # type: ignore[arg-type]  # fields of Offer, written out below


_MODELS = {
    "runware:100@1": Offer(("0.0006", "0.0013", "0.0026", "0.0052"), 4, 4),
    "runware:101@1": Offer(("0.0017", "0.0034", "0.0068", "0.0136"), 25, 28),
    "runware:107@1": Offer(("0.0044", "0.00875", "0.0175", "0.035"), 25, 28, below=True),
    "runware:97@1": Offer(("0.00375", "0.0075", "0.015", "0.03"), 25, 30, negative=True),
    "runware:97@2": Offer(("0.003", "0.006", "0.012", "0.024"), 28, 28),
    "runware:97@3": Offer(("0.0019", "0.0038", "0.0076", "0.0152"), 16, 16),
    "civitai:101055@128078": Offer(("0.001", "0.002", "0.004", "0.008"), 25, 30, negative=True),
    "runware:102@1": _flat("0.005"),
    "runware:106@1": _flat("0.0105", multiple=16),
    "runware:108@1": _flat("0.0058", multiple=16, negative=True),
    "runware:400@1": _flat("0.0096", multiple=16, sides=(512, 2048)),
    "runware:400@2": _flat("0.0008", multiple=16),
    "runware:400@4": _flat("0.0006", multiple=16),
    "runware:z-image@turbo": _flat("0.0006", multiple=16),
    "bfl:2@1": _flat("0.04", multiple=32, sides=(256, 1440)),
    "bfl:5@1": _flat("0.03", multiple=16, sides=(256, 2048)),
    "bfl:7@1": _flat("0.07", multiple=16, sides=(256, 2048)),
} | {f"runware:{number}@1": _flat("0.0038", task="upscale") for number in range(500, 505)}
_FINE_TUNE = Offer(("0.001", "0.002", "0.004", "0.008"), 25, 30, negative=True)


def offer(model: str) -> Offer:
    """The model of an AIR id; any id of Civitai's is a fine-tune. Raises `Complaint`."""
    found = _MODELS.get(model) or (_FINE_TUNE if _CIVITAI.match(model) else None)
    if found is None:
        raise Complaint(
            "invalidModel",
            f"Invalid value for 'model' parameter. No model is known as '{model[:80]}'.",
            parameter="model",
        )
    return found


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)

    task_type: str
    task_uuid: Annotated[str, Field(alias="taskUUID", pattern=_UUID)]


class _Weight(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    model: str
    weight: Annotated[float, Field(ge=-4, le=4)] = 1.0


class Inputs(BaseModel):
    """Pictures by image id, data URI or base64."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)

    image: str | None = None
    seed_image: str | None = None
    mask_image: str | None = None
    reference_images: list[str] = []


class Output(_Strict):
    """What every task that makes pictures takes."""

    model: str
    output_type: Literal["URL", "base64Data", "dataURI"] = "URL"
    output_format: Literal["JPG", "PNG", "WEBP"] = "JPG"
    output_quality: Annotated[int, Field(ge=20, le=99)] = 95
    include_cost: bool = False
    delivery_method: Literal["sync", "async"] = "sync"
    webhook_url: Annotated[str | None, Field(alias="webhookURL")] = None
    upload_endpoint: str | None = None
    ttl: Annotated[int, Field(ge=60)] | None = None
    inputs: Inputs = Inputs()


class Inference(Output):
    """Task `imageInference`."""

    positive_prompt: Annotated[str, Field(min_length=2, max_length=3000)]
    negative_prompt: Annotated[str, Field(min_length=2, max_length=3000)] | None = None
    width: int
    height: int
    steps: Annotated[int, Field(ge=1, le=100)] | None = None
    cfg_scale: Annotated[float | None, Field(alias="CFGScale", ge=0, le=50)] = None
    scheduler: str | None = None
    strength: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)] | None = None
    number_results: Annotated[int, Field(ge=1, le=20)] = 1
    seed_image: str | None = None
    mask_image: str | None = None
    reference_images: list[str] = []
    lora: list[_Weight] = []
    safety: dict[str, JsonValue] | None = None
    check_nsfw: Annotated[bool, Field(alias="checkNSFW")] = False
    provider_settings: dict[str, JsonValue] | None = None
    accelerator_options: dict[str, JsonValue] | None = None


class Upscale(Output):
    """Task `upscale`."""

    upscale_factor: Annotated[int, Field(ge=2, le=4)] = 2


def read(task: Task, kind: type[Output]) -> Output:
    """The task by its fields. Raises `Complaint` about the first that is wrong."""
    try:
        return kind.model_validate(task)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise _complaint(first["type"], name, first["msg"]) from error


def _complaint(kind: str, name: str, said: str) -> Complaint:
    titled = name[:1].upper() + name[1:].partition(".")[0]
    match kind:
        case "extra_forbidden":
            return Complaint("unknownParameter", f"Unknown parameter '{name}'.", parameter=name)
        case "missing":
            return Complaint(f"missing{titled}", f"Missing required parameter '{name}'.", parameter=name)
        case _:
            message = f"Invalid value for '{name}' parameter. {said}."
            return Complaint(f"invalid{titled}", message, parameter=name)


def check(asked: Inference, model: Offer) -> None:
    """What the model itself refuses. Raises `Complaint`."""
    for name, side in (("width", asked.width), ("height", asked.height)):
        least, most = model.sides
        if not least <= side <= most or side % model.multiple:
            raise Complaint(
                f"invalid{name.title()}",
                f"Invalid value for '{name}' parameter. Image {name} must be an integer value between "
                f"{least} and {most}, in multiples of '{model.multiple}'.",
                parameter=name,
                type="integer",
                min=least,
                max=most,
                multiplier=model.multiple,
            )
    older = asked.seed_image or asked.mask_image or asked.reference_images
    if model.below and older:
        raise Complaint("unknownParameter", "Unknown parameter 'seedImage'.", parameter="seedImage")
    if asked.negative_prompt and not model.negative:
        message = "The parameter 'negativePrompt' is not supported by this model."
        raise Complaint("unsupportedParameter", message, parameter="negativePrompt")
    seeded = asked.seed_image or asked.inputs.seed_image
    if (asked.strength is not None or asked.mask_image or asked.inputs.mask_image) and not seeded:
        message = "The parameters 'strength' and 'maskImage' require 'seedImage'."
        raise Complaint("missingSeedImage", message, parameter=["strength", "maskImage", "seedImage"])


def tasks_in(body: bytes) -> list[Task]:
    """The list in a body. Raises `Unreadable`."""
    value = parsed(body)
    tasks = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    if not isinstance(value, list) or not tasks or len(tasks) < len(value):
        raise Unreadable("The request body must be a JSON array of task objects.")
    return tasks


def costs(body: bytes) -> bool:
    """Whether there is a task in it that is charged."""
    return any(task.get("taskType") in ("imageInference", "upscale") for task in tasks_in(body))


def key_in(body: bytes) -> str | None:
    """The key in an authentication task in front of the others."""
    known = parsed(body)
    first = known[0] if isinstance(known, list) and known else None
    if isinstance(first, dict) and first.get("taskType") == "authentication":
        return str(first.get("apiKey", "")) or None
    return None
