"""Rows to nouns and back."""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, JsonValue, TypeAdapter
from sqlalchemy.engine import Row

from limner.core.errors import Billed
from limner.core.job import (
    Artifact,
    Attempt,
    AttemptState,
    Confirmation,
    Decided,
    Failure,
    How,
    Job,
    JobState,
    Receipt,
    Recipe,
    cost_usd,
)
from limner.core.money import from_micros, to_micros
from limner.core.quote import Note, PassedOver, Priced, Route, Target
from limner.core.request import GenerateRequest

Ticket = dict[str, JsonValue]

_NOTES = TypeAdapter(tuple[Note, ...])
_PASSED = TypeAdapter(tuple[PassedOver, ...])
_TICKET = TypeAdapter(dict[str, JsonValue])


class _Explained(BaseModel):
    """Of a stored target, what receipts show."""

    priced: Priced | None = None


JOB_COLUMNS = (
    "id", "tenant", "project", "state", "request", "fingerprint", "client_key", "priority", "created_at",
    "started_at", "deadline_s", "notes", "passed_over", "cancel_requested", "images", "account", "ceiling",
    "confirmation",
)  # fmt: skip
ATTEMPT_COLUMNS = (
    "id", "job_id", "n", "state", "provider", "account", "model", "why", "how", "target", "price_reserved",
    "submitted_at", "deadline_at", "epoch", "hook",
)  # fmt: skip
ARTIFACT_COLUMNS = (
    "id", "job_id", "attempt_id", "idx", "digest", "size_bytes", "width", "height", "format", "seed",
    "project", "provider", "model", "file", "recipe", "created_at",
)  # fmt: skip
EVENT_COLUMNS = ("job_id", "seq", "type", "state", "at", "message")


ENDED_AS: dict[Billed, AttemptState] = {"no": "refused", "maybe": "unknown", "yes": "settled"}
"""The state of an attempt that brought no picture, by what is known of its bill."""


@dataclass(frozen=True, slots=True)
class NewJob:
    """What `enqueue` writes first."""

    job: Job
    tenant: str
    client_key: str | None
    fingerprint: str
    """Of the request as the caller sent it; empty without a key, since only by that it is looked at."""
    deadline_s: float
    """From the first order."""
    priority: int = 0
    account: str | None = None
    """The account that is asked first, as things were when the job was accepted."""


@dataclass(frozen=True, slots=True)
class OpenAttempt:
    """One order at one target: written before its POST, finished before anything new is planned."""

    job_id: str
    n: int
    target: Target
    why: str
    submitted_at: float
    deadline_at: float
    state: AttemptState = "submitting"
    how: How = "direct"
    ticket: Ticket | None = None
    hook: str | None = None
    """What the vendor's call names this order by, None when it is not told to call."""

    @property
    def id(self) -> str:
        """Our key at the vendor: unique per attempt, the same after a restart."""
        return f"{self.job_id}-{self.n}"

    def shown(self, error: Failure | None = None) -> Attempt:
        """As the receipt shows it."""
        return Attempt(
            n=self.n,
            state=self.state,
            provider=self.target.provider,
            account=self.target.account,
            model=self.target.model,
            why=self.why,
            how=self.how,
            price_usd=self.target.price_usd,
            submitted_at=self.submitted_at,
            priced=self.target.priced,
            error=error,
        )


@dataclass(frozen=True, slots=True)
class Work:
    """A job somebody holds: the row, the fence, and the order that may still be open."""

    job: Job
    epoch: int
    seq: int
    """Number of the job's last stored event."""
    deadline_s: float
    attempt: OpenAttempt | None = None
    route: Route | None = None
    """Given when the job was just planned and `attempt`, its first order, is written but not yet sent."""
    left_s: float | None = None
    """Until its deadline, by the database's clock; None: all of it."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job that is held stands in the journal."""

    epoch: int
    """Another one than the holder's: the lease was lost."""
    cancel_requested: bool


def job_values(new: NewJob) -> dict[str, Any]:
    """The row of a new job."""
    job = new.job
    return {
        "id": job.id,
        "tenant": new.tenant,
        "project": job.request.project,
        "state": job.state,
        "request": job.request.model_dump_json(),
        "fingerprint": new.fingerprint,
        "client_key": new.client_key,
        "priority": new.priority,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "deadline_s": new.deadline_s,
        "lasts_s": new.deadline_s,
        "notes": dump_notes(job.receipt.notes),
        "passed_over": _PASSED.dump_json(job.receipt.passed_over).decode(),
        "cancel_requested": False,
        "images": job.request.count,
        "account": new.account,
        "ceiling": None if job.ceiling_usd is None else to_micros(job.ceiling_usd),
        "confirmation": None if job.confirmation is None else job.confirmation.model_dump_json(),
    }


def attempt_values(attempt: OpenAttempt, epoch: int) -> dict[str, Any]:
    """The row of a new attempt."""
    price = attempt.target.price_usd
    return {
        "id": attempt.id,
        "job_id": attempt.job_id,
        "n": attempt.n,
        "state": attempt.state,
        "provider": attempt.target.provider,
        "account": attempt.target.account,
        "model": attempt.target.model,
        "why": attempt.why,
        "how": attempt.how,
        "target": attempt.target.model_dump_json(),
        "price_reserved": None if price is None else to_micros(price),
        "submitted_at": attempt.submitted_at,
        "deadline_at": attempt.deadline_at,
        "epoch": epoch,
        "hook": attempt.hook,
    }


def artifact_values(artifact: Artifact, attempt_id: str) -> dict[str, Any]:
    """The row of a finished picture."""
    return artifact.__dict__ | {
        "idx": artifact.index,
        "attempt_id": attempt_id,
        "recipe": artifact.recipe.model_dump_json(),
    }


def to_artifact(row: Row[Any]) -> Artifact:
    """A finished picture."""
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a mapping
    values["index"] = values.pop("idx")
    del values["attempt_id"], values["status"]
    return Artifact(**values | {"recipe": Recipe.model_validate_json(row.recipe)})


def to_attempt(row: Row[Any]) -> Attempt:
    """An attempt as the receipt shows it: what it really cost once that is known."""
    micros = row.price_reserved if row.price_actual is None else row.price_actual
    return Attempt(
        n=row.n,
        state=row.state,
        provider=row.provider,
        account=row.account,
        model=row.model,
        why=row.why,
        how=row.how,
        price_usd=None if micros is None else from_micros(micros),
        submitted_at=row.submitted_at,
        priced=_Explained.model_validate_json(row.target).priced,
        error=load_failure(row.error),
        decided=None if row.decided is None else Decided.model_validate_json(row.decided),
    )


def to_open_attempt(row: Row[Any]) -> OpenAttempt:
    """An attempt to go on with."""
    return OpenAttempt(
        job_id=row.job_id,
        n=row.n,
        target=Target.model_validate_json(row.target),
        why=row.why,
        submitted_at=row.submitted_at,
        deadline_at=row.deadline_at,
        state=row.state,
        how=row.how,
        ticket=None if row.ticket is None else load_ticket(row.ticket),
        hook=row.hook,
    )


def to_job(row: Row[Any], attempts: tuple[Attempt, ...], images: tuple[Artifact, ...]) -> Job:
    """A job with its pictures and receipt."""
    state: JobState = row.state
    seconds = None if row.finished_at is None else max(0.0, row.finished_at - row.created_at)
    return Job(
        id=row.id,
        state=state,
        request=GenerateRequest.model_validate_json(row.request),
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        tries=row.tries,
        cancel_requested=row.cancel_requested,
        images=images,
        error=load_failure(row.error),
        ceiling_usd=None if row.ceiling is None else from_micros(row.ceiling),
        confirmation=(
            None if row.confirmation is None else Confirmation.model_validate_json(row.confirmation)
        ),
        receipt=Receipt(
            attempts=attempts,
            cost_usd=cost_usd(attempts),
            notes=_NOTES.validate_json(row.notes),
            passed_over=_PASSED.validate_json(row.passed_over),
            seconds=seconds,
        ),
    )


def dump_notes(notes: tuple[Note, ...]) -> str:
    """Notes as JSON text."""
    return _NOTES.dump_json(notes).decode()


def load_ticket(text: str) -> Ticket:
    """A ticket from its JSON text."""
    return _TICKET.validate_json(text)


def dump_ticket(ticket: Ticket) -> str:
    """A ticket as JSON text."""
    return _TICKET.dump_json(ticket).decode()


def load_failure(text: str | None) -> Failure | None:
    """A failure from its JSON text."""
    return None if text is None else Failure.model_validate_json(text)
