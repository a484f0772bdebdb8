"""Hugging Face's partners: what the answer of each means, and what their errors say. Pure."""

import re
from collections.abc import Iterable
from io import BytesIO
from typing import Annotated, Literal
from urllib.parse import urlsplit

from PIL import Image
from pydantic import BaseModel, Field, JsonValue

from limner.core.errors import Lost, Malformed, ProviderError, Refused, Rejected
from limner.core.shapes import media_type
from limner.providers.answers import SHOWN, Encoded, told_in, words
from limner.providers.base import Done, Outcome, Pending, Ticket
from limner.providers.huggingface_orders import Partner
from limner.wire import Answer

_DECLINED = re.compile(
    r"nsfw|content_policy|moderat|flagged|\bE005\b|\b1301\b|safety (system|check|filter)", re.IGNORECASE
)
"""They share no code for a refusal: this is fal's type, together's and replicate's words, Z.ai's number."""
_POLL_S = 1.0
_BLACK = 2
"""Of 255; JPEG may lighten black a little."""


class _Ticket(BaseModel):
    partner: Partner


class _Link(BaseModel):
    url: str


class _Fal(BaseModel):
    images: list[_Link]
    seed: int | None = None
    has_nsfw_concepts: list[bool] = []


class _Encoded(BaseModel):
    b64_json: Encoded


class _Images(BaseModel):
    data: Annotated[list[_Encoded], Field(min_length=1)]


class _Prediction(BaseModel):
    id: str
    status: Literal["starting", "processing", "succeeded", "failed", "canceled", "aborted"]
    output: str | list[str] | None = None
    error: str | None = None


class _Task(BaseModel):
    status: Literal["created", "processing", "completed", "failed"]
    urls: dict[str, str] = {}
    outputs: list[str] | None = None
    error: str | None = None


class _Wavespeed(BaseModel):
    data: _Task


class _Zai(BaseModel):
    id: str = ""
    task_status: Literal["PROCESSING", "SUCCESS", "FAIL"]
    image_result: list[_Link] = []
    error: JsonValue = None


def outcome(partner: Partner, answer: Answer, ticket: Ticket | None = None) -> Outcome:
    """What an answer means, to an order or, with its ticket, to a question about it."""
    match partner:
        case "hf-inference":
            return _bytes(answer)
        case "fal-ai":
            return _fal(answer.read(_Fal))
        case "together" | "nscale":
            return _seen(answer.read(_Images).data[0].b64_json)
        case "replicate":
            return _predicted(answer.read(_Prediction))
        case "wavespeed":
            task = answer.read(_Wavespeed).data
            return _waved(ticket or {"partner": partner, "path": _path(task)}, task)
        case "zai-org":
            made = answer.read(_Zai)
            path = f"zai-org/api/paas/v4/async-result/{made.id}"
            return _zai(ticket or {"partner": partner, "path": path}, made)


def named(ticket: Ticket) -> Partner:
    """The partner a ticket is from."""
    return _Ticket.model_validate(ticket).partner


def declined(text: str) -> bool:
    """Whether a partner's words mean that it will not draw this."""
    return _DECLINED.search(text) is not None


def _path(task: _Task) -> str:
    """Where to ask again: the path of the partner's address, below the router instead of its own host."""
    path = urlsplit(task.urls.get("get", "")).path
    if not path.startswith("/api/"):
        raise Malformed(f"wavespeed tells no address to ask again at: {path[:100]!r}")
    return f"wavespeed{path}"


def _bytes(answer: Answer) -> Outcome:
    if media_type(answer.body) != "application/octet-stream":
        return _seen(answer.body)
    if answer.mime == "application/json" and (said := words(answer.body)):
        raise Rejected(said[:SHOWN])  # an error under status 200: nothing was drawn
    raise Malformed(f"{answer.mime or 'an answer without a type'} where a picture was due")


def _seen(data: bytes) -> Done:
    """A picture that is whole, and not what a safety checker makes of one, which is charged all the same."""
    try:
        with Image.open(BytesIO(data)) as picture:
            lit = any(picture.convert("L").histogram()[_BLACK + 1 :])
    except (OSError, Image.DecompressionBombError) as fault:
        raise Malformed(f"the picture cannot be read: {fault}") from fault
    if not lit:
        raise Refused("the picture is all black: the safety checker's way to decline", billed="yes")
    return Done((data,))


def _fal(made: _Fal) -> Outcome:
    if any(made.has_nsfw_concepts):
        raise Refused("fal-ai's checker blackened the picture", billed="yes")
    return _done((link.url for link in made.images), () if made.seed is None else (made.seed,))


def _predicted(made: _Prediction) -> Outcome:
    match made.status:
        case "starting" | "processing":
            return Pending({"partner": "replicate", "path": f"replicate/v1/predictions/{made.id}"}, _POLL_S)
        case "succeeded":
            return _done([made.output] if isinstance(made.output, str) else made.output or [])
        case "failed" | "aborted":
            raise _failed(made.error or made.status)
        case "canceled":
            raise Lost("the prediction was cancelled at replicate")


def _waved(ticket: Ticket, task: _Task) -> Outcome:
    match task.status:
        case "created" | "processing":
            return Pending(ticket, _POLL_S)
        case "completed":
            return _done(task.outputs or [])
        case "failed":
            raise _failed(task.error or "without a reason")


def _zai(ticket: Ticket, made: _Zai) -> Outcome:
    match made.task_status:
        case "PROCESSING":
            return Pending(ticket, _POLL_S)
        case "SUCCESS":
            return _done(link.url for link in made.image_result)
        case "FAIL":
            raise _failed(told_in(made.error) or "without a reason")


def _done(links: Iterable[str], seeds: tuple[int, ...] = ()) -> Done:
    found = tuple(links)
    if not found:
        raise Malformed("finished without a picture")
    return Done(links=found, seeds=seeds)


def _failed(why: str) -> ProviderError:
    """Final, not charged, and not a fault of the asking, which would be waited out."""
    return Refused(why[:SHOWN]) if declined(why) else Rejected(f"it failed: {why[:SHOWN]}")
