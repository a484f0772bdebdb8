"""Together AI: FLUX and many others behind one POST that answers with the pictures."""

import binascii
from collections.abc import Mapping
from typing import Literal

import pybase64
from pydantic import AliasPath, BaseModel, ConfigDict, Field, JsonValue, RootModel, ValidationError

from limner.core.errors import Malformed, ProviderError, Refused, Rejected, Unauthorized
from limner.core.shapes import media_type, nearest_ratio
from limner.providers.base import Call, Done, Health, Outcome, Provider, Recovery
from limner.wire import by_status

_SHOWN = 200
_MODERATION = ("nsfw", "safety", "moderat")


class _Dialect(BaseModel):
    """How one model is spoken to; the API has one door and many tongues."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ratios: tuple[str, ...] = ()
    """Not empty: the model is told a shape from this list instead of pixels."""
    guidance: Literal["guidance_scale", "guidance"] = "guidance_scale"
    source: Literal["image_url", "reference_images"] = "image_url"
    output_format: bool = False
    """Whether the model may be told the file format; the others choose."""


class _Item(BaseModel):
    """One picture. `type` may be missing, so what is not null decides."""

    b64_json: str | None = None
    url: str | None = None


class _Answer(BaseModel):
    data: tuple[_Item, ...]


class _Trouble(BaseModel):
    message: str = Field(validation_alias=AliasPath("error", "message"))
    type: str | None = Field(None, validation_alias=AliasPath("error", "type"))
    code: str | None = Field(None, validation_alias=AliasPath("error", "code"))


class _Models(RootModel[tuple[JsonValue, ...]]):
    """A bare array."""


class Together(Provider):
    """Together AI. No order id, no list of past orders, no count of what was used."""

    name = "together"
    base_url = "https://api.together.ai/v1/"
    recovery = Recovery.BLIND
    key_env = ("TOGETHER_API_KEY",)
    timeout_s = 180.0  # large pictures take tens of seconds, and a queue may stand before them

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By status and code; that moderation declined is told by the text alone."""
        if status < 400:
            return None
        try:
            told = _Trouble.model_validate_json(body)
        except ValidationError:
            return by_status(status, headers, body)
        said = f"{told.code or told.type}: {told.message[:_SHOWN]}"
        match status:
            case 401 | 402:
                return Unauthorized(said)
            case 400 | 422 if any(word in told.message.lower() for word in _MODERATION):
                return Refused(f"Together declined: {said}")
            case 403 | 404:
                # The prompt is too long, the account may not use this model, or the model is gone.
                return Rejected(said)
            case _:
                return by_status(status, headers, said.encode())

    async def submit(self, call: Call) -> Outcome:
        """Order the pictures and read them from the answer; all of them come, or none."""
        answer = await self.wire.post("images/generations", into=_Answer, json=_order(call))
        if not answer.data:
            raise Malformed("Together's answer is fine and holds no picture")
        if any(item.url for item in answer.data):
            return Done(links=tuple(_link(item) for item in answer.data))
        return Done(tuple(_decoded(item) for item in answer.data))

    async def probe(self) -> Health:
        """List the models, which needs a good key and costs nothing."""
        await self.wire.get("models", into=_Models)
        return Health(ok=True)


def _order(call: Call) -> dict[str, JsonValue]:
    wish, dialect = call.request, _Dialect.model_validate(call.dialect)
    order: dict[str, JsonValue] = {
        "model": call.model,
        "prompt": wish.prompt if wish.style is None else f"{wish.prompt}, {wish.style} style",
        "n": wish.count,
        "response_format": "base64",
        "steps": wish.steps,
        "seed": wish.seed,
        "negative_prompt": wish.negative_prompt,
        dialect.guidance: wish.guidance_scale,
        "output_format": ("png" if wish.format == "png" else "jpeg") if dialect.output_format else None,
    }
    order |= _shape(dialect, *(wish.size or (1024, 1024))) | _sources(call, dialect) | wish.options
    return {name: value for name, value in order.items() if value is not None}


def _shape(dialect: _Dialect, width: int, height: int) -> dict[str, JsonValue]:
    if dialect.ratios:
        return {"aspect_ratio": nearest_ratio(width, height, dialect.ratios)}
    return {"width": width, "height": height}


def _sources(call: Call, dialect: _Dialect) -> dict[str, JsonValue]:
    shown = [f"data:{media_type(data)};base64,{pybase64.b64encode_as_string(data)}" for data in call.inputs]
    match dialect.source:
        case _ if not shown:
            return {}
        case "image_url":
            return {"image_url": shown[0]}
        case "reference_images":
            return {"reference_images": [*shown]}


def _link(item: _Item) -> str:
    if item.url is None and item.b64_json is None:
        raise Malformed("Together's answer holds a picture that is neither bytes nor an address")
    return item.url or f"data:image/png;base64,{item.b64_json}"


def _decoded(item: _Item) -> bytes:
    if item.b64_json is None:
        raise Malformed("Together's answer holds a picture that is neither bytes nor an address")
    try:
        return pybase64.b64decode(item.b64_json, validate=True)
    except binascii.Error as error:
        raise Malformed(f"Together's picture is not base64: {error}") from error
