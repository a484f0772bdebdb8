"""`POST /v1/images/generations`: OpenAI's shape, for unmodified SDKs. The hot path of the HTTP door."""

import re
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import orjson
import pybase64
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import idempotency_key, read
from limner.api.errors import ModelNotFound, NotDone, cut, fault_of, invalid, openai_shape
from limner.api.reference import BODY, EVENTS, IDEMPOTENCY_KEY, answer, openai_errors, takes
from limner.api.stream import Emit, EventStream, event
from limner.app import Limner
from limner.core.errors import InvalidRequest, LimnerError
from limner.core.events import Ended, JobEvent, Message, Progress
from limner.core.job import Job
from limner.core.quote import Note
from limner.core.request import MAX_SEED, GenerateRequest, Preset

Quality = Literal[
    "auto", "low", "medium", "high", "xhigh", "max", "standard", "hd", "fast", "quality", "ultra"
]
Told = Literal["low", "medium", "high", "xhigh"]

PRESET: Mapping[Quality, Preset | None] = {
    "auto": None,
    "low": "fast",
    "fast": "fast",
    "medium": "standard",
    "standard": "standard",
    "high": "quality",
    "hd": "quality",
    "quality": "quality",
    "xhigh": "ultra",
    "max": "ultra",
    "ultra": "ultra",
}
TOLD: Mapping[Preset, Told] = {"fast": "low", "standard": "medium", "quality": "high", "ultra": "xhigh"}
CALLED = {
    "count": "n",
    "width": "size",
    "height": "size",
    "format": "output_format",
    "compression": "output_compression",
}
"""Our field names as OpenAI's callers know them."""
FACTS = (
    "x-limner-attempts",
    "x-limner-cost-usd",
    "x-limner-ignored",
    "x-limner-job",
    "x-limner-model",
    "x-limner-notes",
    "x-limner-provider",
    "x-limner-seed",
    "x-request-id",
)
MAX_NOTES = 2_000
"""Bytes of the `x-limner-notes` header at most: proxies refuse long headers."""

_SIZE = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_DALLE_STYLES = ("vivid", "natural")
_NO_TOKENS = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}


class ImagesBody(BaseModel):
    """OpenAI's request for pictures. Names not listed here are left out, and told in `x-limner-ignored`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    prompt: str
    model: str | None = None
    n: Annotated[int, Field(ge=1, le=10)] | None = None
    size: str | None = None
    """`auto`, or width and height in pixels such as `512x512`."""
    quality: Quality | None = None
    """OpenAI's words or Limner's presets: low = fast, medium = standard, high = hd = quality, xhigh = max =
    ultra."""
    output_format: Literal["png", "jpeg", "webp"] | None = None
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    background: Literal["auto", "opaque", "transparent"] | None = None
    response_format: Literal["url", "b64_json"] | None = None
    """Default: `url` for `dall-e-*`, `b64_json` otherwise, as at OpenAI."""
    stream: bool | None = None
    partial_images: Annotated[int, Field(ge=0, le=3)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    """Limner's own: the same seed draws the same picture."""
    style: str | None = None
    """A style of the model; OpenAI's `vivid` and `natural` are accepted and change nothing."""
    moderation: Literal["auto", "low"] | None = None
    """Accepted; what is refused is the server's to decide."""
    user: str | None = None
    safety_identifier: str | None = None

    @property
    def wants_url(self) -> bool:
        """Answer with addresses instead of bytes?"""
        if self.response_format is None:
            return not self.stream and (self.model or "").startswith("dall-e-")
        return self.response_format == "url"

    @property
    def unused(self) -> tuple[str, ...]:
        """Accepted names that change nothing here."""
        return ("style",) if self.style in _DALLE_STYLES else ()

    def order(self) -> GenerateRequest:
        """The same wish in Limner's words. Raises `InvalidRequest` with the caller's field name."""
        if self.background == "transparent":
            raise InvalidRequest(
                "background: no model here draws transparency; use opaque or auto", "background"
            )
        if self.stream and self.response_format == "url":
            raise InvalidRequest("response_format: a stream carries b64_json only", "response_format")
        width, height = self._sides()
        try:
            return GenerateRequest(
                prompt=self.prompt,
                model=self.model,
                count=self.n or 1,
                width=width,
                height=height,
                quality=PRESET[self.quality or "auto"],
                format=self.output_format or "png",
                compression=self.output_compression,
                seed=self.seed,
                style=None if self.style in _DALLE_STYLES else self.style,
                partial_images=(self.partial_images or 0) if self.stream else 0,
                user=self.safety_identifier or self.user or None,
            )
        except ValidationError as error:
            raise invalid(error, CALLED) from error

    def _sides(self) -> tuple[int | None, int | None]:
        if self.size is None or self.size == "auto":
            return None, None
        match = _SIZE.fullmatch(self.size)
        if match is None:
            raise InvalidRequest("size: must be auto or WIDTHxHEIGHT in pixels, such as 512x512", "size")
        return int(match[1]), int(match[2])


class OpenAIImage(BaseModel):
    """One picture: its bytes or its address, never both."""

    b64_json: str | None = None
    url: str | None = None


class OpenAIImages(BaseModel):
    """OpenAI's answer. Limner counts no tokens, so there is no `usage`: see `x-limner-cost-usd`."""

    created: int
    data: list[OpenAIImage]
    background: Literal["opaque"]
    output_format: Literal["png", "jpeg", "webp"]
    quality: Told | None = None
    """Present when the caller chose one."""
    size: str


class Images:
    """The door. `public_url` is how clients reach this server; empty: as the request came."""

    def __init__(self, limner: Limner, *, max_body_bytes: int, public_url: str) -> None:
        self._limner = limner
        self._limit = max_body_bytes
        self._public_url = public_url.rstrip("/")

    def mount(self, app: FastAPI) -> None:
        """Add the routes."""
        app.add_api_route(
            "/v1/images/generations",
            self.generate,
            methods=["POST"],
            tags=["OpenAI"],
            summary="Draw pictures",
            description=(
                "OpenAI's images API. With `stream` the answer is `text/event-stream`: "
                "`image_generation.partial_image` (previews, always PNG) and `image_generation.completed`, "
                "or `error`. Facts that OpenAI's body has no place for ride in `x-limner-*` headers."
            ),
            response_model=OpenAIImages,
            responses=answer(200, "The pictures", EVENTS, headers=FACTS)
            | openai_errors(*BODY, 402, 404, 409, 429, 502, 503, 504, 507),
            openapi_extra=takes(ImagesBody, IDEMPOTENCY_KEY),
        )

    async def generate(self, request: Request) -> Response:
        """Draw what was asked and answer in OpenAI's shape."""
        body, unknown = await read(request, ImagesBody, self._limit)
        order = body.order()
        key = idempotency_key(request)
        told = ignored((*unknown, *body.unused))
        try:
            if body.stream:
                job = await self._limner.generate(order, key=key)
                return self._stream(job, told)
            job = await self._limner.draw(order, key=key)
        except InvalidRequest as error:
            raise self._in_openai_words(error, order) from error
        if job.state != "succeeded":
            raise NotDone(job)
        items = await self._items(job, self._base(request) if body.wants_url else None)
        return Response(_answer(job, items), 200, facts(job) | told, "application/json")

    def _in_openai_words(self, error: InvalidRequest, order: GenerateRequest) -> InvalidRequest:
        """Field names as the caller knows them, and OpenAI's own error for a model nobody has."""
        name = order.model
        if error.field == "model" and name and not any(m.known_as(name) for m in self._limner.models()):
            return ModelNotFound(str(error), "model")
        field = error.field
        return InvalidRequest(str(error), CALLED.get(field, field) if field is not None else None)

    async def _items(self, job: Job, base: str | None) -> list[bytes]:
        """The items of `data` in pieces, each item with a comma behind it."""
        if base is not None:
            return [orjson.dumps({"url": f"{base}{image.path}"}) + b"," for image in job.images]
        # Base64 needs no escaping: it is spliced in, so that megabytes pass no JSON encoder and are copied once.
        parts: list[bytes] = []
        for image in job.images:
            parts += (b'{"b64_json":"', pybase64.b64encode(await self._limner.open(image)), b'"},')
        return parts

    def _base(self, request: Request) -> str:
        return self._public_url or str(request.base_url).rstrip("/")

    def _stream(self, job: Job, told: Mapping[str, str]) -> EventStream:
        return EventStream(
            self._limner.watch(job.id),
            _Stream(self._limner, job.request).write,
            _error_event,
            {"x-limner-job": job.id} | dict(told),
        )


class Sketches:
    """Which previews to pass on: of `wanted`, the k-th when k / (wanted + 1) of the way is done."""

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._reached = 0
        self._shown = 0

    def next(self, fraction: float) -> int | None:
        """The index of the sketch that is due, or None. Steps jumped over are not made up for."""
        due = min(self._wanted, int(fraction * (self._wanted + 1)))
        if due <= self._reached:
            return None
        self._reached = due
        self._shown += 1
        return self._shown - 1


class _Stream:
    """Turns one job's messages into OpenAI's events."""

    def __init__(self, limner: Limner, request: GenerateRequest) -> None:
        self._limner = limner
        self._request = request
        self._sketches = Sketches(request.partial_images)

    async def write(self, message: Message, emit: Emit) -> None:
        match message:
            case JobEvent():
                return
            case Progress(preview=None):
                return
            case Progress():
                index = self._sketches.next(message.fraction)
                if index is not None and message.preview is not None:
                    await emit(self._partial(message.preview, index))
            case Ended(job=job) if job.state == "succeeded":
                for image in job.images:
                    await emit(self._completed(job, await self._limner.open(image), image.format))
            case Ended(job=job):
                await emit(_error_event(NotDone(job)))

    def _partial(self, preview: bytes, index: int) -> bytes:
        size = self._request.size
        return _picture_event(
            "image_generation.partial_image",
            preview,
            created_at=int(time.time()),
            size=f"{size[0]}x{size[1]}" if size else "auto",
            quality=_told(self._request) or "auto",
            background="opaque",
            output_format="png",
            partial_image_index=index,
        )

    def _completed(self, job: Job, picture: bytes, output_format: str) -> bytes:
        first = job.images[0]
        return _picture_event(
            "image_generation.completed",
            picture,
            created_at=_ended_at(job),
            size=f"{first.width}x{first.height}",
            quality=_told(job.request) or "auto",
            background="opaque",
            output_format=output_format,
            usage=_NO_TOKENS,  # the SDKs' event type demands it; no tokens were counted
        )


def facts(job: Job) -> dict[str, str]:
    """What OpenAI's body has no place for. Values are plain ASCII on one line."""
    receipt = job.receipt
    told = {"x-limner-job": job.id, "x-limner-attempts": str(len(receipt.attempts))}
    if job.images:
        first = job.images[0]
        told["x-limner-provider"] = _plain(first.provider)
        told["x-limner-model"] = _plain(first.model)
        if first.seed is not None:
            told["x-limner-seed"] = str(first.seed)
    if receipt.cost_usd is not None:
        told["x-limner-cost-usd"] = f"{receipt.cost_usd:f}"
    if receipt.notes:
        told["x-limner-notes"] = _notes(receipt.notes)
    return told


def ignored(names: Sequence[str]) -> dict[str, str]:
    """The header that names what was sent and not used; empty when all was."""
    if not names:
        return {}
    plain = [name if _PLAIN_NAME.fullmatch(name) else "?" for name in names[:20]]
    return {"x-limner-ignored": ", ".join(plain)}


def _notes(notes: Sequence[Note]) -> str:
    """As many whole notes as fit the header, as JSON in ASCII."""
    kept: list[str] = []
    room = MAX_NOTES - len("[]")
    for note in notes:
        text = _ascii_json({"field": cut(note.field, 64), "message": cut(note.message)})
        room -= len(text) + len(",")
        if room < 0:
            break
        kept.append(text)
    return f"[{','.join(kept)}]"


def _ascii_json(value: object) -> str:
    text = orjson.dumps(value).decode()
    if text.isascii():
        return text
    return "".join(char if char.isascii() else _escape(char) for char in text)


def _escape(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _plain(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text[:200])


def _told(request: GenerateRequest) -> Told | None:
    return TOLD[request.quality] if request.quality else None


def _ended_at(job: Job) -> int:
    return int(job.finished_at or job.created_at)


def _answer(job: Job, items: Sequence[bytes]) -> bytes:
    first = job.images[0]
    rest: dict[str, object] = {"background": "opaque", "output_format": first.format}
    quality = _told(job.request)
    if quality:
        rest["quality"] = quality
    rest["size"] = f"{first.width}x{first.height}"
    head = b'{"created":%d,"data":[' % _ended_at(job)
    return b"".join((head, *items[:-1], items[-1][:-1], b"],", orjson.dumps(rest)[1:]))


def _picture_event(name: str, picture: bytes, **fields: object) -> bytes:
    rest = orjson.dumps({"type": name, **fields})
    return event(name, b'{"b64_json":"', pybase64.b64encode(picture), b'",', rest[1:])


def _error_event(error: LimnerError) -> bytes:
    return event("error", orjson.dumps({"type": "error"} | openai_shape(fault_of(error))))
