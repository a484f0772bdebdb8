"""The bodies of the engine's HTTP protocol."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_SIDE_PX = 2048

Side = Annotated[int, Field(ge=64, le=MAX_SIDE_PX, multiple_of=8)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
State = Literal["queued", "drawing", "done", "failed", "canceled"]

Condition = Literal["loading", "ok", "failing"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Order(_Body):
    """Pictures to draw: one for each seed. The caller chooses the id; the same id twice is one order."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,100}$")]
    model: str
    prompt: Annotated[str, Field(min_length=1, max_length=10_000)]
    negative_prompt: Annotated[str, Field(max_length=10_000)] = ""
    width: Side
    height: Side
    steps: Annotated[int, Field(ge=1, le=100)]
    guidance_scale: Annotated[float, Field(ge=1, le=30)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, max_length=20)]
    previews: bool = False


class Status(_Body):
    """How an order stands. ``version`` grows at each change; ``step``, ``steps`` count over all pictures."""

    id: str
    state: State
    version: int
    step: int
    steps: int
    fraction: float
    images: int
    preview: int
    """Version at which the newest preview came; 0 while there is none."""
    queue_position: int
    """Pictures of earlier orders still to be drawn."""
    error: str | None
    device: str
    seconds: float
    """Drawing time so far, summed over the pictures."""
    notes: tuple[str, ...] = ()
    """What was changed to draw it: words unknown to the model, a prompt cut short, a picture enlarged."""


class ModelCard(_Body):
    """A model the engine can draw with."""

    id: str
    name: str
    version: str
    loaded: bool
    bytes: int
    native_px: int
    default_steps: int
    default_guidance: float
    max_side: int = MAX_SIDE_PX


class Health(_Body):
    """How the engine is. While ``loading`` it takes orders already; ``reason`` says why it is failing."""

    status: Condition
    reason: str
    engine_version: str
    device: str
    threads: int
    waiting: int
    drawing: int


class Error(_Body):
    """What was wrong; ``code`` is for programs, ``message`` for people."""

    code: str
    message: str


class ErrorBody(_Body):
    """The body of every answer with a status of 400 or more."""

    error: Error
