"""An order placed, awaited and answered in OpenAI's shape: what all of its image endpoints have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import orjson
from pydantic import BaseModel, JsonValue
from starlette.requests import Request
from starlette.responses import Response

from limner.api.body import idempotency_key
from limner.api.caller import caller
from limner.api.errors import ModelNotFound, NotDone
from limner.api.facts import Told, background_of, ended_at, facts, ignored, quality_of, told_notes
from limner.api.image_body import CALLED
from limner.api.image_stream import Painting, Stage, error_event
from limner.api.spliced import Spliced
from limner.api.stream import EventStream
from limner.app import Limner
from limner.core.errors import InvalidRequest
from limner.core.job import Artifact, Job
from limner.core.quote import Note
from limner.core.request import GenerateRequest


class OpenAIImage(BaseModel):
    """One picture: its bytes or its address, never both."""

    b64_json: str | None = None
    url: str | None = None
    revised_prompt: str | None = None
    """The prompt as it was sent, where `prompting` had it rewritten."""


class OpenAIImages(BaseModel):
    """OpenAI's answer. Limner counts no tokens, so there is no `usage`: see `x-limner-cost-usd`."""

    created: int
    data: list[OpenAIImage]
    background: Literal["opaque", "transparent"]
    output_format: Literal["png", "jpeg", "webp"]
    quality: Told | None = None
    """Present when the caller chose one."""
    size: str


@dataclass(frozen=True, slots=True)
class Wish:
    """How the answer is to look, and what it must tell."""

    stage: Stage = "image_generation"
    stream: bool = False
    url: bool = False
    unused: tuple[str, ...] = ()
    """Names that were sent and change nothing."""
    notes: tuple[Note, ...] = ()
    """What was bent before the order was placed."""


class Answers:
    """`public_url` is how clients reach this server; empty: as the request came."""

    def __init__(self, limner: Limner, public_url: str) -> None:
        self._limner = limner
        self._public_url = public_url.rstrip("/")

    def base(self, request: Request) -> str:
        """The address of this server as the client knows it."""
        return self._public_url or str(request.base_url).rstrip("/")

    async def serve(self, request: Request, order: GenerateRequest, wish: Wish) -> Response:
        """Place the order and answer with its pictures, or with the stream of its making."""
        key = idempotency_key(request)
        told = ignored(wish.unused)
        try:
            if order.options:
                self._must_draw_transparency(order)
            if wish.stream:
                job = await self._limner.generate(order, key=key, by=caller(request))
                return self._stream(job, wish.stage, told | told_notes(wish.notes))
            job = await self._limner.draw(order, key=key, by=caller(request))
        except InvalidRequest as error:
            raise in_openai_words(error, order, self._limner) from error
        if job.state != "succeeded":
            raise NotDone(job)
        items = _items(job, self.base(request) if wish.url else None)
        return Spliced(self._limner, _answer(job, items), facts(job, wish.notes) | told)

    def _must_draw_transparency(self, order: GenerateRequest) -> None:
        """Everybody who may be asked can, or it is refused: a picture that cannot be used would be bought."""
        for model in self._limner.meant(order):
            able = "transparent" in _words(model.options.get("background", {}))
            if not able and order.operation in model.operations:
                said = f"background: {model.provider}/{model.id} draws no transparency; use opaque or auto"
                raise InvalidRequest(f"{said}, or name a model and a provider who can", "background")

    def _stream(self, job: Job, stage: Stage, told: Mapping[str, str]) -> EventStream:
        return EventStream(
            self._limner.watch(job.id),
            Painting(self._limner, job.request, stage).write,
            error_event,
            {"x-limner-job": job.id} | dict(told),
        )


def _revised(job: Job) -> bytes:
    """The rest of an item: the prompt as it was sent, where it was rewritten on the way."""
    if job.request.prompt == job.request.asked_prompt:
        return b""
    return b',"revised_prompt":' + orjson.dumps(job.request.prompt)


def _items(job: Job, base: str | None) -> list[bytes | Artifact]:
    """The items of `data` in pieces, each item with a comma behind it. Base64 needs no escaping: pictures are
    spliced in, and megabytes pass no JSON encoder."""
    end = _revised(job) + b"},"
    if base is not None:
        return [orjson.dumps({"url": f"{base}{image.path}"})[:-1] + end for image in job.images]
    return [part for image in job.images for part in (b'{"b64_json":"', image, b'"' + end)]


def _words(schema: Mapping[str, JsonValue]) -> Sequence[JsonValue]:
    """The words an option may have."""
    words = schema.get("enum")
    return words if isinstance(words, list) else ()


def in_openai_words(error: InvalidRequest, order: GenerateRequest, limner: Limner) -> InvalidRequest:
    """Field names as the caller knows them, and OpenAI's own error for a model nobody has."""
    name = order.model
    if error.field == "model" and name and not any(m.known_as(name) for m in limner.models()):
        return ModelNotFound(str(error), "model")
    field = error.field
    return InvalidRequest(str(error), CALLED.get(field, field) if field is not None else None)


def _answer(job: Job, items: Sequence[bytes | Artifact]) -> list[bytes | Artifact]:
    first = job.images[0]
    rest: dict[str, object] = {"background": background_of(job.request), "output_format": first.format}
    quality = quality_of(job.request)
    if quality:
        rest["quality"] = quality
    rest["size"] = f"{first.width}x{first.height}"
    *others, last = items
    end = last[:-1] if isinstance(last, bytes) else b""  # without the comma
    head = b'{"created":%d,"data":[' % ended_at(job)
    return [head, *others, end + b"]," + orjson.dumps(rest)[1:]]
