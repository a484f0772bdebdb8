"""What a watcher sees. State changes are stored and numbered per job; progress is published and forgotten."""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from limner.core.job import Job, JobState

EventType = Literal[
    "queued",
    "running",
    "accepted",
    "retrying",
    "storing",
    "asked",
    "decided",
    "succeeded",
    "failed",
    "canceled",
]


class JobEvent(BaseModel):
    """A stored step of a job's life; `seq` counts from 1 within the job and resumes a broken stream."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    seq: int
    type: EventType
    state: JobState
    at: float
    """Unix seconds."""
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """A moment on the way. `fraction` runs from 0 to 1 and never back within one attempt."""

    job_id: str
    fraction: float
    step: int | None = None
    steps: int | None = None
    preview: bytes | None = None
    """Newest preview, an encoded PNG."""
    eta_s: float | None = None
    """Estimated seconds left."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The last message of every watch: the job in its final state, with its pictures and receipt."""

    job: Job


Message = JobEvent | Progress | Ended
