"""Together AI: FLUX and many others behind one POST that answers with the pictures."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel

from limner.core.errors import Malformed, ProviderError, Refused, Rejected, Unauthorized
from limner.providers.answers import Encoded, Trouble, readable
from limner.providers.base import Call, Done, Outcome, Provider, Recovery
from limner.providers.orders import Fields, data_url, given, shape
from limner.wire import by_status

_MODERATION = ("nsfw", "safety", "moderat")


class _Dialect(BaseModel, frozen=True, extra="forbid"):
    """How one model is spoken to; the API has one door and many tongues."""

    ratios: tuple[str, ...] = ()
    """Not empty: the model is told a shape from this list instead of pixels."""
    guidance: Literal["guidance_scale", "guidance"] = "guidance_scale"
    source: Literal["image_url", "reference_images"] = "image_url"
    output_format: bool = False
    """Whether the model may be told the file format; the others choose."""


class _Item(BaseModel):
    """One picture. `type` may be missing, so what is not null decides."""

    b64_json: Encoded | None = None
    url: str | None = None


class _Answer(BaseModel):
    data: tuple[_Item, ...]


class Together(Provider):
    """Together AI. No order id, no list of past orders, no count of what was used."""

    name = "together"
    base_url = "https://api.together.ai/v1/"
    recovery = Recovery.BLIND
    key_env = ("TOGETHER_API_KEY",)
    timeout_s = 180.0  # large pictures take tens of seconds, and a queue may stand before them
    probe_path = "models"

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By status and code; that moderation declined is told by the text alone."""
        told = readable(body, Trouble) if status >= 400 else None
        if told is None:
            return by_status(status, headers, body)
        match status:
            case 401 | 402:
                return Unauthorized(told.said)
            case 400 | 422 if any(word in told.message.lower() for word in _MODERATION):
                return Refused(f"Together declined: {told.said}")
            case 403 | 404:
                # The prompt is too long, the account may not use this model, or the model is gone.
                return Rejected(told.said)
            case _:
                return by_status(status, headers, told.said.encode())

    async def submit(self, call: Call) -> Outcome:
        """Order the pictures and read them from the answer; all of them come, or none."""
        answer = await self.wire.post("images/generations", into=_Answer, json=_order(call))
        if not answer.data:
            raise Malformed("Together's answer is fine and holds no picture")
        if any(item.url for item in answer.data):
            return Done(links=tuple(_link(item) for item in answer.data))
        return Done(tuple(_bytes(item) for item in answer.data))


def _order(call: Call) -> Fields:
    wish, dialect = call.request, _Dialect.model_validate(call.dialect)
    order: Fields = {
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
    return given(order | shape(wish, dialect.ratios) | _sources(call, dialect) | wish.options)


def _sources(call: Call, dialect: _Dialect) -> Fields:
    shown = [data_url(picture) for picture in call.inputs]
    match dialect.source:
        case _ if not shown:
            return {}
        case "image_url":
            return {"image_url": shown[0]}
        case "reference_images":
            return {"reference_images": [*shown]}


def _link(item: _Item) -> str:
    return item.url or data_url(_bytes(item))


def _bytes(item: _Item) -> bytes:
    if item.b64_json is None:
        raise Malformed("Together's answer holds a picture that is neither bytes nor an address")
    return item.b64_json
