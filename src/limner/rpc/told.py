"""What is told to a gRPC client: a finished job as its message, a failure as its sentence. Pure."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from uuid import uuid4

from limner.core.errors import InvalidRequest, LimnerError, NoRoute
from limner.core.job import Artifact, Job
from limner.core.request import MIME
from limner.rpc.asked import MAX_SEED, RANDOM_SEED
from limner.rpc.starweave_pb2 import GenerationMetadata, ImageResponse

MAX_SENTENCE = 1_000
MAX_NAME = 200
Facts = tuple[tuple[str, str], ...]
"""Trailing metadata."""


def new_id() -> str:
    """For an answer without a job, and for all variations of one call together."""
    return str(uuid4())


def picture(request_id: str, job: Job, data: bytes, more: Mapping[str, str]) -> ImageResponse:
    """The job's picture. `more` goes into `debug_info`."""
    image = job.images[0]
    took_ms = round((job.receipt.seconds or 0) * 1000)
    said = GenerationMetadata(
        model=image.model,
        generation_time_ms=took_ms,
        seed=_seed(image),
        debug_info={**_debug(job, image), "generation_time_ms": str(took_ms), **more},
    )
    said.generated_at.FromMilliseconds(round(image.created_at * 1000))
    return ImageResponse(request_id=request_id, image_data=data, format=MIME[image.format], metadata=said)


def failure(request_id: str, error: LimnerError, model: str, prefix: str) -> ImageResponse:
    """The failure as these clients know it. `prefix` begins what is wrong with the request itself."""
    return ImageResponse(request_id=request_id, error=_sentence(error, model, prefix))


def ended_badly(request_id: str, job: Job, prefix: str) -> ImageResponse:
    """A job that came to no picture."""
    return ImageResponse(request_id=request_id, error=_why(job, prefix))


def facts(jobs: Sequence[Job]) -> Facts:
    """Each job's id, and what all came to when that is known of all."""
    told = [("x-limner-job", job.id) for job in jobs]
    costs = [job.receipt.cost_usd for job in jobs]
    known = [cost for cost in costs if cost is not None]
    if jobs and len(known) == len(costs):
        told.append(("x-limner-cost-usd", f"{sum(known):f}"))
    return tuple(told)


def notes(job: Job, ignored: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
    """What was bent or left out, as one line of `debug_info`; nothing when all was done as asked."""
    said = [(note.field, note.message) for note in job.receipt.notes] + list(ignored.items())
    return {"notes": cut("; ".join(f"{field}: {text}" for field, text in said), MAX_SENTENCE)} if said else {}


def cut(text: str, limit: int) -> str:
    """At most `limit` characters, and none that UTF-8 cannot carry."""
    short = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return short.encode("utf-8", "replace").decode()


def _sentence(error: LimnerError, model: str, prefix: str) -> str:
    match error:
        case NoRoute() | InvalidRequest(field="model"):
            return _not_available(model)
        case InvalidRequest():
            return cut(f"{prefix}{error}", MAX_SENTENCE)
        case _:
            return cut(str(error), MAX_SENTENCE) or error.code


def _why(job: Job, prefix: str) -> str:
    if job.state == "needs_confirmation" and job.confirmation is not None:
        said = " or ".join(f"`limner jobs decide {job.id} {one}`" for one in job.confirmation.choices)
        return cut(f"{job.confirmation.message} Decide with {said}.", MAX_SENTENCE)
    if job.error is None:
        return f"job {job.id} ended as {job.state}"
    match job.error.code:
        case "no_route":
            return _not_available(job.request.model or "")
        case InvalidRequest.code:
            return cut(f"{prefix}{job.error.message}", MAX_SENTENCE)
        case _:
            return cut(job.error.message, MAX_SENTENCE) or job.error.code


def _not_available(model: str) -> str:
    return f"Model {cut(model, MAX_NAME)} is not available or failed to load"


def _seed(image: Artifact) -> int:
    """The seed as int32; -1 where none was used, or one that int32 cannot hold."""
    known = image.seed is not None and 0 <= image.seed <= MAX_SEED
    return image.seed if known and image.seed is not None else RANDOM_SEED


def _debug(job: Job, image: Artifact) -> dict[str, str]:
    """What is not known says so: the keys are always there."""
    sent = image.recipe.request
    cost = job.receipt.cost_usd
    return {
        "width": str(image.width),
        "height": str(image.height),
        "steps": _or_none(sent.steps),
        "guidance_scale": _or_none(sent.guidance_scale),
        "seed": _or_none(image.seed),
        "model": image.model,
        "device": image.provider,
        "dtype": "unknown",
        "provider": image.provider,
        "requested_model": job.request.model or "",
        "job_id": job.id,
        "cost_usd": "unknown" if cost is None else f"{cost:f}",
    }


def _or_none(value: float | None) -> str:
    return "none" if value is None else str(value)
