"""OpenAI's stream events: previews on the way, then each picture, or an error."""

import time
from typing import Literal

import orjson
import pybase64

from limner.api.errors import NotDone, fault_of
from limner.api.facts import background_of, ended_at, quality_of
from limner.api.shapes import openai_shape
from limner.api.stream import Emit, event
from limner.app import Limner
from limner.core.errors import LimnerError
from limner.core.events import Ended, JobEvent, Message, Progress
from limner.core.job import Job
from limner.core.request import GenerateRequest

Stage = Literal["image_generation", "image_edit"]
"""What stands before the dot in an event's name."""
_NO_TOKENS = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "total_tokens": 0,
}


class Sketches:
    """Which previews to pass on: of `wanted`, the k-th once k / (wanted + 1) of the way is done.

    A model that shows its first preview late is caught up with, by later previews and never by the same one.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._shown = 0
        self._last: bytes | None = None

    def next(self, done: float, preview: bytes | None) -> int | None:
        """The index under which `preview` is due when `done` (0 to 1) of the way is behind, or None."""
        due = min(self._wanted, int(done * (self._wanted + 1)))
        if preview is None or preview == self._last or self._shown >= due:
            return None
        self._last = preview
        self._shown += 1
        return self._shown - 1


class Painting:
    """Turns one job's messages into OpenAI's events."""

    def __init__(self, limner: Limner, request: GenerateRequest, stage: Stage) -> None:
        self._limner = limner
        self._stage = stage
        self._request = request
        self._sketches = Sketches(request.partial_images)

    async def write(self, message: Message, emit: Emit) -> None:
        """Tell what of `message` OpenAI's clients listen for."""
        match message:
            case JobEvent():
                return
            case Progress(preview=preview):
                index = self._sketches.next(_done(message), preview)
                if index is not None and preview is not None:
                    await emit(self._partial(preview, index))
            case Ended(job=job) if job.state == "succeeded":
                for image in job.images:
                    await emit(self._completed(job, await self._limner.open(image), image.format))
            case Ended(job=job):
                await emit(error_event(NotDone(job)))

    def _partial(self, preview: bytes, index: int) -> bytes:
        size = self._request.size
        return _picture_event(
            f"{self._stage}.partial_image",
            preview,
            created_at=int(time.time()),
            size=f"{size[0]}x{size[1]}" if size else "auto",
            quality=quality_of(self._request) or "auto",
            background=background_of(self._request),
            output_format="png",
            partial_image_index=index,
        )

    def _completed(self, job: Job, picture: bytes, output_format: str) -> bytes:
        first = job.images[0]
        return _picture_event(
            f"{self._stage}.completed",
            picture,
            created_at=ended_at(job),
            size=f"{first.width}x{first.height}",
            quality=quality_of(job.request) or "auto",
            background=background_of(job.request),
            output_format=output_format,
            usage=_NO_TOKENS,  # the SDKs' event type demands it; no tokens were counted
        )


def error_event(error: LimnerError) -> bytes:
    """The last event of a stream that failed."""
    return event("error", orjson.dumps({"type": "error"} | openai_shape(fault_of(error))))


def _done(progress: Progress) -> float:
    """How far it is, by time or by steps: a slow last stage must not keep previews back until it is over."""
    by_steps = (progress.step or 0) / progress.steps if progress.steps else 0.0
    return max(progress.fraction, by_steps)


def _picture_event(name: str, picture: bytes, **fields: object) -> bytes:
    rest = orjson.dumps({"type": name, **fields})
    return event(name, b'{"b64_json":"', pybase64.b64encode(picture), b'",', rest[1:])
