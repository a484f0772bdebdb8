"""fal: a queue of models by path; a ticket of three addresses, then the result; no list of orders."""

from collections.abc import Mapping
from contextlib import suppress
from math import ceil
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, JsonValue

from limner.core.errors import Lost, Malformed, ProviderError, Refused, Rejected
from limner.core.shapes import nearest_ratio
from limner.providers.answers import SHOWN, readable
from limner.providers.base import Call, Done, Health, Outcome, Pending, Provider, Recovery, Ticket, Usage
from limner.providers.fal_calls import Keys, fresh, ticket_of
from limner.providers.orders import Fields, data_url, given
from limner.wire import Wire, by_status

_ASK_S = 0.5
_MEGAPIXEL = 1024 * 1024
_RATIOS = ("21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21")
_NOBODY = "fal-ai/flux/requests/00000000-0000-4000-8000-000000000000/status"


class _Dialect(BaseModel, frozen=True, extra="forbid"):
    size: Literal["image_size", "aspect_ratio", "as_input"] = "image_size"
    image: Literal["image_url", "image_urls"] | None = None
    counts: bool = True
    """It takes `num_images`."""


class _Accepted(BaseModel):
    status_url: str
    response_url: str
    cancel_url: str


class _Status(BaseModel):
    status: Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    error: JsonValue = None
    error_type: str | None = None


class _Image(BaseModel):
    url: str
    width: int | None = None
    height: int | None = None


class _Result(BaseModel):
    images: tuple[_Image, ...]
    seed: int | None = None
    has_nsfw_concepts: tuple[bool, ...] | None = None


class _Detail(BaseModel):
    type: str = ""
    msg: str = ""


class _Fault(BaseModel):
    detail: str | tuple[_Detail, ...] = ""
    error_type: str = ""


class Fal(Provider):
    """fal's queue. A lost answer to an order cannot be looked up; an order that has its ticket can."""

    name = "fal"
    base_url = "https://queue.fal.run/"
    recovery = Recovery.BLIND
    key_env = ("FAL_KEY",)
    key_prefix = "Key "
    hosts = ("rest.fal.ai",)
    webhooks = True
    lag_s = 60.0

    def __init__(self, wire: Wire) -> None:
        super().__init__(wire)
        self._keys = Keys(wire)

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By type. A server error with a type is the model's own: the order failed and is not billed."""
        if status < 400:
            return None
        fault = readable(body, _Fault) or _Fault(detail=body[:SHOWN].decode("utf-8", "replace"))
        types = {fault.error_type, headers.get("X-Fal-Error-Type", "")}
        details = () if isinstance(fault.detail, str) else fault.detail
        types |= {one.type for one in details}
        told = fault.detail if isinstance(fault.detail, str) else "; ".join(one.msg for one in details)
        said = f"{status}: {told}"[:SHOWN]
        if "content_policy_violation" in types:
            return Refused(said)
        if types - {""} and status >= 500:
            return Rejected(f"the model failed: {said}")
        return Rejected(said) if details else by_status(status, headers, body)

    async def submit(self, call: Call) -> Outcome:
        """Put the order into the queue; the addresses that come back are kept as they are."""
        calling = "" if call.webhook is None else f"?fal_webhook={quote(call.webhook, safe='')}"
        accepted = await self.wire.post(call.model + calling, into=_Accepted, json=_body(call))
        ticket: Ticket = {
            "status": accepted.status_url,
            "result": accepted.response_url,
            "cancel": accepted.cancel_url,
        }
        return Pending(ticket, after_s=_ASK_S)

    async def poll(self, ticket: Ticket) -> Outcome:
        """How far is it? `COMPLETED` is finished, not succeeded."""
        status = await self.wire.get(str(ticket["status"]), into=_Status)
        match status.status:
            case "IN_QUEUE" | "IN_PROGRESS":
                return Pending(ticket, after_s=_ASK_S)
            case "COMPLETED" if status.error is not None or status.error_type is not None:
                said = f"{status.error_type or 'failed'}: {status.error}"[:SHOWN]
                raise Refused(said) if status.error_type == "content_policy_violation" else Rejected(said)
            case "COMPLETED":
                return _done(await self.wire.get(str(ticket["result"]), into=_Result))

    @staticmethod
    def told(model: str, body: bytes) -> Ticket | None:
        """A call names the order, which the queue keeps under the first two parts of the model's path."""
        return ticket_of(model, body)

    async def verify(self, headers: Mapping[str, str], body: bytes, secret: str | None, now: float) -> bool:
        """Signed by one of the vendor's keys and at most 5 minutes off? Its keys are public: no secret."""
        return fresh(headers, now) and await self._keys.fit(headers, body)

    async def cancel(self, ticket: Ticket) -> None:
        """Ask to stop; what already runs may finish and be billed."""
        with suppress(Rejected):  # it had already ended, which the next poll tells
            await self.wire.send("PUT", str(ticket["cancel"]))

    async def probe(self) -> Health:
        """Ask after an order that nobody placed: a good key is told that it does not exist."""
        with suppress(Lost):
            await self.wire.send("GET", _NOBODY)
        return Health(ok=True)


def _body(call: Call) -> Fields:
    wish, dialect = call.request, _Dialect.model_validate(call.dialect)
    fields: Fields = {
        "prompt": wish.prompt,
        "negative_prompt": wish.negative_prompt or None,
        "num_inference_steps": wish.steps,
        "guidance_scale": wish.guidance_scale,
        "seed": wish.seed,
        "num_images": wish.count if dialect.counts else None,
        "output_format": "jpeg" if wish.format == "jpeg" else "png",
        "strength": wish.strength if call.inputs else None,
    }
    match dialect.size:
        case "image_size":
            fields["image_size"] = {"width": wish.width, "height": wish.height}
        case "aspect_ratio":
            fields["aspect_ratio"] = nearest_ratio(wish.width or 1, wish.height or 1, _RATIOS)
        case "as_input":
            pass
    pictures: list[JsonValue] = [data_url(picture) for picture in call.inputs]
    if pictures and dialect.image is not None:
        fields[dialect.image] = pictures if dialect.image == "image_urls" else pictures[0]
    return {**given(fields), **wish.options}


def _done(result: _Result) -> Done:
    """The pictures that are not blacked out. The black ones are billed like the others."""
    if not result.images:
        raise Malformed("the order is finished and has no picture")
    flags = result.has_nsfw_concepts or ()
    seen = [image for i, image in enumerate(result.images) if not (i < len(flags) and flags[i])]
    if not seen:
        raise Refused("has_nsfw_concepts: the safety checker blacked out every picture", billed="yes")
    seeds = () if result.seed is None or len(result.images) > 1 else (result.seed,)
    return Done(links=tuple(image.url for image in seen), seeds=seeds, usage=_usage(result))


def _usage(result: _Result) -> Usage | None:
    """Megapixels as fal bills them: 1024x1024 is one, and what is begun is paid for."""
    sizes = [(image.width or 0) * (image.height or 0) for image in result.images]
    return (
        Usage(tokens={"megapixels": sum(ceil(size / _MEGAPIXEL) for size in sizes)}) if all(sizes) else None
    )
