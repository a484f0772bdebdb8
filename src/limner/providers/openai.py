"""OpenAI's images API: one answer that holds the pictures, or a stream with previews before the picture."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import ClassVar

from pydantic import BaseModel, JsonValue

from limner.core.errors import (
    Malformed,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unauthorized,
)
from limner.providers.answers import SHOWN, Encoded, IfReadable, readable
from limner.providers.base import Call, Done, Health, Outcome, Pending, Provider, Recovery, Usage
from limner.providers.orders import Fields, file
from limner.wire import Event, Part, by_status, retry_after_s

_IN_STREAM = 500  # as which a problem told within a stream counts: the picture was begun, it may be charged
_KEY = re.compile(r"\b(?:sk|sess)-[\w*-]+")
_WAIT = re.compile(r"again (?:in|after) (\d+(?:\.\d+)?) ?s")
_NO_CREDIT = re.compile("insufficient_quota|billing_hard_limit|credit_balance|_(spend|usage)_limit_exceeded")


class _Details(BaseModel):
    text_tokens: int
    image_tokens: int


class _Usage(BaseModel):
    input_tokens_details: _Details
    output_tokens: int


class _Picture(BaseModel):
    b64_json: Encoded | None = None
    url: str | None = None


class _Images(BaseModel):
    data: list[_Picture]
    usage: IfReadable[_Usage] = None


class _Problem(BaseModel):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None
    moderation_details: dict[str, JsonValue] | None = None


class _Failure(BaseModel):
    error: _Problem


class _Event(BaseModel):
    type: str
    b64_json: Encoded = b""
    partial_image_index: int = 0
    usage: IfReadable[_Usage] = None


class _Models(BaseModel):
    data: list[JsonValue]


class OpenAI(Provider):
    """Synchronous, and without an id to ask again by: an order whose answer is lost counts as charged."""

    name = "openai"
    base_url = "https://api.openai.com/v1/"
    recovery = Recovery.BLIND
    key_env: ClassVar[tuple[str, ...]] = ("OPENAI_API_KEY",)
    url_env: ClassVar[tuple[str, ...]] = ("OPENAI_BASE_URL",)
    timeout_s = 240.0
    marks: ClassVar[tuple[str, ...]] = ("c2pa", "synthid")
    """What it puts into every picture."""

    @staticmethod
    def classify(status: int, headers: Mapping[str, str], body: bytes) -> ProviderError | None:
        """By code and type: its 429 is too many requests or an empty purse."""
        told = readable(body, _Failure) if status >= 400 else None
        if told is None:
            return by_status(status, headers, body)
        problem = told.error
        message = _KEY.sub("(key)", problem.message or str(problem.code))[:SHOWN]
        said = f"{status}: {message}"
        if problem.code in ("moderation_blocked", "content_policy_violation"):
            drawn = (problem.moderation_details or {}).get("moderation_stage") == "output"
            return Refused(said, billed="maybe" if drawn or status == _IN_STREAM else "no")
        if _NO_CREDIT.search(f"{problem.type} {problem.code}"):
            return Unauthorized(said)
        if status == 403 and re.search("must be verified|Missing scopes", message):
            return Rejected(said)  # the key is good for other models and acts; there is no code to tell
        if status == 429:
            wait = _WAIT.search(message)  # image limits may come without the header
            return RateLimited(said, after_s=retry_after_s(headers, float(wait[1]) if wait else 1.0))
        return by_status(status, headers, message.encode())

    async def submit(self, call: Call) -> Outcome:
        """Place the order. One picture may be asked for with previews; several come at once, without."""
        fields = self.fields(call)
        form = [*_texts(fields), *_files(call)] if call.inputs else None
        path, json = ("images/generations", fields) if form is None else ("images/edits", None)
        if "stream" not in fields:
            return self._done(await self.wire.post(path, into=_Images, json=json, form=form))
        async with self.wire.events(path, json=json, form=form) as events:
            async for event in events:
                if event.data != b"[DONE]" and (done := self._heard(event, call)):
                    return done
        raise Malformed("the stream ended without the picture")

    def fields(self, call: Call) -> Fields:
        """All of the order but its files. Unknown names are an error there, so nothing is sent by chance."""
        wish = call.request
        prompt = wish.prompt if wish.style is None else f"{wish.prompt}\n\nStyle: {wish.style}"
        fields: Fields = {"model": call.model, "prompt": prompt, "n": wish.count}
        fields |= {"size": f"{wish.width}x{wish.height}", "output_format": wish.format}
        if wish.compression is not None and wish.format != "png":
            fields["output_compression"] = wish.compression
        if wish.user is not None:
            fields["safety_identifier"] = sha256(wish.user.encode()).hexdigest()
        if wish.partial_images and wish.count == 1:
            fields |= {"stream": True, "partial_images": wish.partial_images}
        return fields | wish.options

    async def probe(self) -> Health:
        """List the models. A key that is restricted to drawing may not, and is a good key."""
        try:
            await self.wire.get("models", into=_Models)
        except Rejected as error:
            return Health(ok=True, reason=str(error))
        return Health(ok=True)

    def _heard(self, event: Event, call: Call) -> Done | None:
        """The finished order when this event of a stream is the last."""
        said = event.read(_Event)
        match said.type:
            case "image_generation.partial_image" | "image_edit.partial_image":
                fraction = (said.partial_image_index + 1) / (call.request.partial_images + 1)
                call.report(Pending({}, fraction=fraction, preview=said.b64_json))
            case "image_generation.completed" | "image_edit.completed":
                return self._done(_Images(data=[_Picture(b64_json=said.b64_json)], usage=said.usage))
            case "error":
                raise self.classify(_IN_STREAM, {}, event.data) or TimedOut("the stream broke off")
            case _:
                pass  # the picture still comes: a word we do not know may not cost us it
        return None

    def _done(self, answer: _Images) -> Done:
        images = tuple(picture.b64_json for picture in answer.data if picture.b64_json)
        links = () if images else tuple(picture.url for picture in answer.data if picture.url)
        if not images and not links:
            raise Malformed("the answer holds no picture")
        return Done(images, links=links, usage=_usage(answer.usage), marks=self.marks)


def _usage(usage: _Usage | None) -> Usage | None:
    if usage is None:
        return None
    text, image = usage.input_tokens_details.text_tokens, usage.input_tokens_details.image_tokens
    return Usage(tokens={"text_in": text, "image_in": image, "image_out": usage.output_tokens})


def _texts(fields: Mapping[str, JsonValue]) -> list[Part]:
    return [Part(name, "true" if value is True else str(value)) for name, value in fields.items()]


def _files(call: Call) -> list[Part]:
    """The inputs, `image[]` when there are several, and the mask."""
    name = "image" if len(call.inputs) == 1 else "image[]"
    files = [file(name, picture) for picture in call.inputs]
    return files if call.mask is None else [*files, file("mask", call.mask)]
