"""A project: what pictures belong together, and whose they are."""

from datetime import datetime
from typing import Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

from limner.core.job import JobState

_NAMES = UUID("6b1f5c1e-6c0e-5d0b-9c39-9a1b1c7f2d10")

JobStatus = Literal["pending", "processing", "completed", "failed"]
"""How a job stands, in the words of the programs before Limner."""


class Project(BaseModel):
    """One project. Orders name it by `slug`, the clients of the programs before Limner by `id`."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    slug: str
    """What requests and paths in storage call it: for most the id itself."""
    name: str
    description: str | None
    created_at: datetime
    updated_at: datetime


def project_id(slug: str) -> UUID:
    """The id of the project that is called so: the same every time."""
    try:
        given = UUID(slug)
    except ValueError:
        given = None
    return given if given is not None and str(given) == slug else uuid5(_NAMES, slug)


def status_of(state: JobState) -> JobStatus:
    """A job that waits for a person counts as pending, so that nobody orders it again."""
    match state:
        case "queued" | "needs_confirmation":
            return "pending"
        case "running" | "waiting" | "storing":
            return "processing"
        case "succeeded":
            return "completed"
        case "failed" | "canceled":
            return "failed"
