"""`POST /v1/images/generations`: OpenAI's shape, for unmodified SDKs. The hot path of the HTTP door."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import orjson
import pybase64
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from limner.api.body import idempotency_key, read
from limner.api.caller import caller
from limner.api.errors import ModelNotFound, NotDone, invalid
from limner.api.facts import FACTS, Told, ended_at, facts, ignored, quality_of
from limner.api.image_stream import Painting, error_event
from limner.api.reference import BODY, EVENTS, IDEMPOTENCY_KEY, answer, openai_errors, takes
from limner.api.stream import EventStream
from limner.app import Limner
from limner.core.errors import InvalidRequest
from limner.core.job import Job
from limner.core.request import MAX_SEED, GenerateRequest, Preset

Quality = Literal[
    "auto", "low", "medium", "high", "xhigh", "max", "standard", "hd", "fast", "quality", "ultra"
]

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
CALLED = {
    "count": "n",
    "width": "size",
    "height": "size",
    "format": "output_format",
    "compression": "output_compression",
}
"""Our field names as OpenAI's callers know them."""
_PATH = "/v1/images/generations"
_SIZE = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})")
_DALLE_STYLES = ("vivid", "natural")


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
    provider: str | None = None
    """Limner's own: who is to draw it."""
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
                provider=self.provider,
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
        """Add the route twice: the plain one serves, FastAPI's behind it documents. The body is read by hand,
        so that FastAPI's own handling would only cost its time."""
        app.router.routes.append(Route(_PATH, self.generate, methods=["POST"]))
        app.add_api_route(
            _PATH,
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
                job = await self._limner.generate(order, key=key, by=caller(request))
                return self._stream(job, told)
            job = await self._limner.draw(order, key=key, by=caller(request))
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
        # Base64 needs no escaping: it is spliced in: megabytes pass no JSON encoder and are copied once.
        parts: list[bytes] = []
        for image in job.images:
            parts += (b'{"b64_json":"', pybase64.b64encode(await self._limner.open(image)), b'"},')
        return parts

    def _base(self, request: Request) -> str:
        return self._public_url or str(request.base_url).rstrip("/")

    def _stream(self, job: Job, told: Mapping[str, str]) -> EventStream:
        return EventStream(
            self._limner.watch(job.id),
            Painting(self._limner, job.request).write,
            error_event,
            {"x-limner-job": job.id} | dict(told),
        )


def _answer(job: Job, items: Sequence[bytes]) -> bytes:
    first = job.images[0]
    rest: dict[str, object] = {"background": "opaque", "output_format": first.format}
    quality = quality_of(job.request)
    if quality:
        rest["quality"] = quality
    rest["size"] = f"{first.width}x{first.height}"
    head = b'{"created":%d,"data":[' % ended_at(job)
    return b"".join((head, *items[:-1], items[-1][:-1], b"],", orjson.dumps(rest)[1:]))
