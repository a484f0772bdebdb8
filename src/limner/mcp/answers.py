"""What each tool answers: a sentence, small previews, links to the whole, and the facts as JSON."""

from collections.abc import Sequence
from typing import Literal

import pybase64
from mcp import types
from pydantic import BaseModel, ConfigDict

from limner.core.errors import LimnerError
from limner.core.job import Artifact, Job
from limner.core.money import Usd, show
from limner.core.quote import Note, Quote
from limner.core.request import MIME, Operation, Tier
from limner.mcp.purse import Purse

SCHEME = "limner://images/"
MAX_SAID = 1_000
ERROR = "limner/error"
"""Where an answer's `_meta` says `code`, `message` and `field` of what went wrong."""
Status = Literal["needs_confirmation", "running", "asks", "succeeded", "failed", "canceled"]


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Picture(_Answer):
    """One finished picture."""

    id: str
    uri: str
    """Read it as a resource, or name it to `edit`."""
    digest: str
    width: int
    height: int
    format: str
    size_bytes: int
    seed: int | None
    provider: str
    model: str
    project: str
    prompt: str


class Money(_Answer):
    """What this session may spend, in US dollars; None: no ceiling is set."""

    ceiling_usd: Usd | None
    spent_usd: Usd
    """What its orders cost, and may still cost."""
    left_usd: Usd | None


class Quoted(_Answer):
    """What an order would cost and how it would be bent."""

    quote: str
    """Order with this token: it never costs more than `price_usd`."""
    price_usd: Usd | None
    """For all pictures together; None: nobody knows."""
    provider: str
    model: str
    tier: Tier
    width: int
    height: int
    count: int
    seconds: float | None
    valid_until: float
    """Unix seconds."""
    notes: tuple[Note, ...]
    """What would be bent or ignored."""
    session: Money


class Drawn(_Answer):
    """What became of an order."""

    status: Status
    """`needs_confirmation`: nothing was ordered, `quote` says what it costs. `asks`: the job waits for a
    person's decision. `running`: call `job` later."""
    message: str
    job_id: str | None = None
    cost_usd: Usd | None = None
    """None: not known, or not known yet."""
    provider: str | None = None
    model: str | None = None
    seed: int | None = None
    images: tuple[Picture, ...] = ()
    notes: tuple[Note, ...] = ()
    """What was bent or ignored."""
    quote: Quoted | None = None
    session: Money


class ListedModel(_Answer):
    """A model at one provider."""

    id: str
    name: str
    provider: str
    tier: Tier
    operations: tuple[Operation, ...]
    price: str
    """For people: `free`, or dollars by unit."""
    max_count: int
    default_size: str
    max_side: int
    styles: tuple[str, ...]
    options: tuple[str, ...]


class Models(_Answer):
    """Some of the catalog."""

    models: tuple[ListedModel, ...]
    more: int
    """How many fit besides these."""


class Found(_Answer):
    """Pictures, newest first."""

    images: tuple[Picture, ...]
    next: str | None
    """`before` of the next call; None: there is nothing more."""
    looked_at: int
    """Orders that were searched."""


def picture(artifact: Artifact) -> Picture:
    """As models read it."""
    return Picture(
        id=artifact.id,
        uri=f"{SCHEME}{artifact.id}",
        digest=artifact.digest,
        width=artifact.width,
        height=artifact.height,
        format=artifact.format,
        size_bytes=artifact.size_bytes,
        seed=artifact.seed,
        provider=artifact.provider,
        model=artifact.model,
        project=artifact.project,
        prompt=artifact.recipe.prompt[:MAX_SAID],
    )


def money(purse: Purse) -> Money:
    """How far the purse is used."""
    return Money(ceiling_usd=purse.ceiling, spent_usd=purse.spent, left_usd=purse.left)


def quoted(quote: Quote, purse: Purse) -> Quoted:
    """As models read it."""
    return Quoted(
        quote=quote.token,
        price_usd=quote.price_usd,
        provider=quote.provider,
        model=quote.model,
        tier=quote.tier,
        width=quote.width,
        height=quote.height,
        count=quote.count,
        seconds=quote.seconds,
        valid_until=quote.valid_until,
        notes=quote.notes,
        session=money(purse),
    )


def drawn(job: Job, purse: Purse) -> Drawn:
    """What the job has come to."""
    first = job.images[0] if job.images else None
    asked = job.receipt.attempts[-1] if job.receipt.attempts else None
    shown = first or asked
    return Drawn(
        status=_status(job),
        message=_said(job),
        job_id=job.id,
        cost_usd=job.receipt.cost_usd,
        provider=shown.provider if shown else None,
        model=shown.model if shown else None,
        seed=first.seed if first else job.request.seed,
        images=tuple(picture(one) for one in job.images),
        notes=job.receipt.notes,
        session=money(purse),
    )


def unconfirmed(quote: Quoted) -> Drawn:
    """Nothing was ordered: the price comes first."""
    said = f"Nothing is ordered yet. {quote.provider}/{quote.model} asks {show(quote.price_usd)}"
    message = (
        f"{said} for {quote.count} at {quote.width}x{quote.height}. If the person agrees, call again with "
        "the same arguments, confirm=true and this quote."
    )
    return Drawn(status="needs_confirmation", message=message, quote=quote, session=quote.session)


def result(
    answer: BaseModel, said: str, more: Sequence[types.ContentBlock] = (), *, failed: bool = False
) -> types.CallToolResult:
    """The answer in both forms."""
    return types.CallToolResult(
        content=[types.TextContent(text=said), *more],
        structured_content=answer.model_dump(mode="json"),
        is_error=failed,
    )


def refusal(error: LimnerError) -> types.CallToolResult:
    """What went wrong, for the model to mend. Its code is not in the structured content: that must be as the
    tool's schema says, or clients refuse it."""
    message = str(error)[:MAX_SAID]
    field = getattr(error, "field", None)
    inside = {"code": error.code, "message": message} | ({"field": field} if field else {})
    return types.CallToolResult(
        content=[types.TextContent(text=message)], is_error=True, _meta={ERROR: inside}
    )


def preview(small: bytes) -> types.ImageContent:
    """A small WebP for the model to look at."""
    return types.ImageContent(data=pybase64.b64encode(small).decode(), mime_type="image/webp")


def link(artifact: Artifact) -> types.ResourceLink:
    """Where the whole picture is."""
    return types.ResourceLink(
        uri=f"{SCHEME}{artifact.id}",
        name=artifact.file,
        description=f"{artifact.width}x{artifact.height}: {artifact.recipe.prompt[:200]}",
        mime_type=MIME[artifact.format],
        size=artifact.size_bytes,
    )


def _status(job: Job) -> Status:
    match job.state:
        case "queued" | "running" | "waiting" | "storing":
            return "running"
        case "needs_confirmation":
            return "asks"
        case "succeeded" | "failed" | "canceled":
            return job.state


def _said(job: Job) -> str:
    match _status(job):
        case "succeeded":
            cost = show(job.receipt.cost_usd)
            return f"Drawn: {len(job.images)} for {cost}. Each link below is the whole picture."
        case "failed":
            return (job.error.message if job.error else f"job {job.id} failed")[:MAX_SAID]
        case "canceled":
            return f"Job {job.id} was cancelled."
        case "asks":
            asked = job.confirmation.message if job.confirmation else ""
            return f"A person must decide, with `limner jobs decide {job.id}`: {asked}"[:MAX_SAID]
        case "running" | "needs_confirmation":
            return f"Job {job.id} is {job.state}. Call job with its id and wait_s to wait for it."
