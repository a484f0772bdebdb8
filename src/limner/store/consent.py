"""What people decide about jobs that ask, and answers that come after their order was given up. Each function
is the inside of one transaction.

Nothing here carries a lease's epoch: a late answer beats `unknown` whoever holds the job. The attempt's state
is the guard instead, so that an order is decided on, found or released once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.engine import Connection

from limner.core.errors import Conflict, InvalidRequest
from limner.core.events import EventType, JobEvent
from limner.core.job import Artifact, AttemptState, Decided, Failure, Job, JobState
from limner.core.quote import Note
from limner.core.request import MAX_COUNT, GenerateRequest
from limner.store import rows, steps
from limner.store import statements as sql
from limner.store.rows import OpenAttempt, Ticket, Work
from limner.store.schema import UNDER_WAY, attempts, clock, jobs

WRITTEN_OFF = "written_off"
"""The code of a job that ended because its lost order was given up."""

_LOST = attempts.c.state == "unknown"
LOST = (
    select(attempts, jobs.c.state.label("job_state"), jobs.c.request)
    .join(jobs, jobs.c.id == attempts.c.job_id)
    .where(_LOST)
    .order_by(attempts.c.id)
)
LOST_OF = select(attempts).where(_LOST, attempts.c.job_id == sql.JOB).order_by(attempts.c.n.desc())
HOOKED = select(attempts).where(attempts.c.hook == bindparam("token"))
_END = (
    update(attempts)
    .where(attempts.c.id == sql.KEY, attempts.c.state == bindparam("was"))
    .values(
        state=bindparam("new_state"),
        how=bindparam("new_how"),
        error=bindparam("new_error"),
        price_actual=bindparam("actual"),
        decided=bindparam("said"),
    )
)
_AGREE = update(attempts).where(attempts.c.id == sql.KEY, _LOST).values(decided=bindparam("said"))
_HINT = (
    update(attempts)
    .where(attempts.c.id == sql.KEY, attempts.c.state.in_(("submitting", "unknown")))
    .values(ticket=bindparam("new_ticket"))
)
_FREED = {
    "lease_owner": None,
    "lease_until": 0.0,
    "lease_epoch": jobs.c.lease_epoch + 1,
    "confirmation": bindparam("asked"),
}
"""Whoever still holds the job must not write any more."""
_REOPEN = (
    update(jobs)
    .where(jobs.c.id == sql.JOB)
    .values(
        _FREED
        | {
            "state": "queued",
            "error": None,
            "finished_at": None,
            "tries": 0,
            "not_before": 0.0,
            "account": None,
            "expires_at": clock() + jobs.c.deadline_s,
        }
    )
)
_END_JOB = (
    update(jobs)
    .where(jobs.c.id == sql.JOB)
    .values(
        _FREED
        | {
            "state": bindparam("new_state"),
            "error": bindparam("new_error"),
            "notes": bindparam("new_notes"),
            "finished_at": bindparam("at"),
        }
    )
)
_NOTES = update(jobs).where(jobs.c.id == sql.JOB).values(notes=bindparam("new_notes"))
_SOON = update(jobs).where(jobs.c.id == sql.JOB, jobs.c.state == "queued").values(not_before=0.0)


@dataclass(frozen=True, slots=True)
class Lost:
    """An order that is `unknown`, with what is told of it."""

    attempt: OpenAttempt
    job_state: JobState
    prompt: str
    price: int | None
    """Micro-dollars that stay reserved."""
    error: Failure | None
    decided: Decided | None


@dataclass(frozen=True, slots=True)
class Late:
    """An answer to an order that was given up as unknown, with the pictures made of it."""

    attempt: OpenAttempt
    """With `how` it was learnt."""
    images: tuple[Artifact, ...]
    notes: tuple[Note, ...]
    price: int | None
    """What it cost in micro-dollars, None when nobody knows."""
    at: float
    decided: Decided | None = None
    """Who brought it, when a person did."""


def lost(connection: Connection) -> list[Lost]:
    """Every order that is unknown, oldest first."""
    return [_lost(row) for row in connection.execute(LOST)]


def decide(connection: Connection, job_id: str, decided: Decided) -> Job:
    """Buy again, write off, or do not go on; said once more it changes nothing. Raises `NotFound`,
    `InvalidRequest` for what is no answer to what the job asks, and `Conflict` when nothing is asked any
    more."""
    work = _locked(connection, job_id)
    if said_before(work.job, decided):
        return work.job
    check(work.job, decided)
    match decided.decision:
        case "pay_again":
            _pay_again(connection, work, decided)
        case "write_off":
            _write_off(connection, work, decided)
        case "cancel":
            values = _job_values(work.job, "canceled", work.job.receipt.notes, decided.at)
            connection.execute(_END_JOB, values | {"asked": _answered(work.job, decided)})
            _record(connection, work, "canceled", "canceled", at=decided.at, message=f"says {decided.by}")
        case "delivered" | "accept":
            raise ValueError(f"{decided.decision} is not a decision that ends here")
    return steps.work(connection, job_id).job


def said_before(job: Job, decided: Decided) -> bool:
    """Has the same person decided just this, and has nothing been asked since? Whoever did not hear the
    answer says it again."""
    last = _last(job)
    return not job.choices and last is not None and (last.decision, last.by) == (decided.decision, decided.by)


def _last(job: Job) -> Decided | None:
    """What was decided about the job last."""
    said = [one.decided for one in job.receipt.attempts]
    said += [job.confirmation.decided] if job.confirmation else []
    return max((one for one in said if one is not None), key=lambda one: one.at, default=None)


def check(job: Job, decided: Decided) -> None:
    """May this be said of the job? Raises as `decide`."""
    if decided.decision in job.choices:
        return
    if job.choices:
        raise InvalidRequest(
            f"job {job.id} cannot be told {decided.decision}; choose one of {', '.join(job.choices)}",
            "decision",
        )
    last = _last(job)
    if last is not None:
        when = datetime.fromtimestamp(last.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        raise Conflict(
            f"job {job.id} was decided before: {last.decision} by {last.by} at {when}; it is {job.state} now"
        )
    raise Conflict(f"job {job.id} asks nothing: it is {job.state}")


def settle(connection: Connection, late: Late) -> Job | None:
    """Book what a lost order brought after all, and keep its pictures whatever the job came to since; None
    when its outcome is known. A picture in hand also says better than a list that it was bought."""
    work = _locked(connection, late.attempt.job_id)
    if late.decided is not None:
        check(work.job, late.decided)
    pays = steps.charged(late.price, work.job)
    if _end(connection, late.attempt, "settled", pays, late.decided):
        steps.book(connection, late.attempt, ("release", steps.reserved(late.attempt)))
    elif not _end(connection, late.attempt, "settled", pays, late.decided, was="refused"):
        return None
    steps.settle(connection, late.attempt, late.price, work.job)
    for one in _appended(work, late.images):
        sql.ADD_ARTIFACT.run(connection, rows.artifact_values(one, late.attempt.id))
    _show(connection, work, late)
    return steps.work(connection, work.job.id).job


def clear(connection: Connection, attempt: OpenAttempt, why: Failure, at: float) -> Job | None:
    """The vendor certainly has not charged for the order: its reservation is released, and a job that asks
    about it is taken up again. None when the order is not unknown any more."""
    work = _locked(connection, attempt.job_id)
    asks = "pay_again" in work.job.choices and work.job.state == "needs_confirmation"
    learnt = Decided(decision="pay_again", by="the vendor", at=at) if asks else None
    if not _end(connection, attempt, "refused", None, learnt, error=why):
        return None
    steps.book(connection, attempt, ("release", steps.reserved(attempt)))
    if asks:
        connection.execute(_REOPEN, {"job": work.job.id, "asked": None})
        _record(connection, work, "retrying", "queued", at=at, message=why.message)
    return steps.work(connection, work.job.id).job


def hooked(connection: Connection, token: str) -> OpenAttempt | None:
    """The order that a vendor's call names, None when there is none."""
    row = connection.execute(HOOKED, {"token": token}).first()
    return None if row is None else rows.to_open_attempt(row)


def unsettled(connection: Connection, account: str) -> list[OpenAttempt]:
    """An account's orders that are under way or unknown."""
    at = select(attempts).where(attempts.c.account == account)
    found = [connection.execute(at.where(states)).all() for states in (UNDER_WAY, _LOST)]
    return [rows.to_open_attempt(row) for some in found for row in some]


def hint(connection: Connection, attempt: OpenAttempt, ticket: Ticket) -> None:
    """A vendor's call told the ticket of an order whose answer is not there: it is asked by it at once."""
    connection.execute(_HINT, {"key": attempt.id, "new_ticket": rows.dump_ticket(ticket)})
    soon(connection, attempt.job_id)


def soon(connection: Connection, job_id: str) -> None:
    """A job that waits for its time waits no longer."""
    connection.execute(_SOON, {"job": job_id})


def ticket(connection: Connection, attempt_id: str) -> Ticket | None:
    """What the order can be asked by as the journal has it now."""
    row = connection.execute(select(attempts).where(attempts.c.id == sql.KEY), {"key": attempt_id}).first()
    return None if row is None else rows.to_open_attempt(row).ticket


def _locked(connection: Connection, job_id: str) -> Work:
    connection.execute(sql.LOCK_JOB, {"job": job_id})
    return steps.work(connection, job_id)


def _lost(row: Any) -> Lost:  # noqa: ANN401 - a row
    shown = rows.to_attempt(row)
    return Lost(
        attempt=rows.to_open_attempt(row),
        job_state=row.job_state,
        prompt=GenerateRequest.model_validate_json(row.request).prompt,
        price=row.price_reserved,
        error=shown.error,
        decided=shown.decided,
    )


def _asked_about(connection: Connection, work: Work) -> OpenAttempt:
    """The last order that is unknown and undecided; `check` has seen that there is one."""
    n = max(one.n for one in work.job.receipt.attempts if one.undecided)
    found = connection.execute(LOST_OF, {"job": work.job.id}).all()
    return next(rows.to_open_attempt(row) for row in found if row.n == n)


def _pay_again(connection: Connection, work: Work, decided: Decided) -> None:
    attempt = _asked_about(connection, work)
    connection.execute(_AGREE, {"key": attempt.id, "said": decided.model_dump_json()})
    connection.execute(_REOPEN, {"job": work.job.id, "asked": _answered(work.job, decided)})
    said = f"pay again, says {decided.by}"
    _record(connection, work, "decided", "queued", at=decided.at, message=said)


def _write_off(connection: Connection, work: Work, decided: Decided) -> None:
    """What was reserved is charged; a job that has its pictures, or that nobody wants, stays as it is."""
    attempt, job = _asked_about(connection, work), work.job
    reserved = steps.reserved(attempt)
    _end(connection, attempt, "written_off", reserved, decided, error=_error_of(job, attempt))
    steps.book(connection, attempt, ("release", reserved), ("settle", reserved))
    said = f"written off, says {decided.by}"
    if job.state not in ("needs_confirmation", "failed"):
        return _record(connection, work, "decided", job.state, at=decided.at, message=said)
    failure = Failure(
        code=WRITTEN_OFF,
        message=f"{decided.by} gave the order at {attempt.target.name} up as charged: no picture came",
    )
    values = _job_values(job, "failed", job.receipt.notes, decided.at, failure)
    connection.execute(_END_JOB, values | {"asked": _answered(job, decided)})
    return _record(connection, work, "decided", "failed", at=decided.at, message=said)


def _end(
    connection: Connection,
    attempt: OpenAttempt,
    state: AttemptState,
    actual: int | None,
    decided: Decided | None,
    *,
    error: Failure | None = None,
    was: AttemptState = "unknown",
) -> bool:
    """End an order that is in the state `was`; False when it is not."""
    row = connection.execute(
        select(attempts.c.decided).where(attempts.c.id == sql.KEY), {"key": attempt.id}
    ).first()
    said = decided.model_dump_json() if decided is not None else None if row is None else row.decided
    values = {
        "key": attempt.id,
        "was": was,
        "new_state": state,
        "new_how": attempt.how,
        "new_error": None if error is None else error.model_dump_json(),
        "actual": actual,
        "said": said,
    }
    return connection.execute(_END, values).rowcount == 1


def _error_of(job: Job, attempt: OpenAttempt) -> Failure | None:
    return next(one.error for one in job.receipt.attempts if one.n == attempt.n)


def _appended(work: Work, images: Sequence[Artifact]) -> list[Artifact]:
    """The pictures with their places: behind those that are there, or that an open order may still bring."""
    first = max((one.index + 1 for one in work.job.images), default=0)
    if _under_way(work):
        first = max(first, MAX_COUNT)
    return [one.model_copy(update={"index": first + place}) for place, one in enumerate(images)]


def _under_way(work: Work) -> bool:
    """A worker goes on with the job, or will: it has another order. One that is about to place another is
    fenced instead."""
    return work.attempt is not None


def _show(connection: Connection, work: Work, late: Late) -> None:
    """The job with the pictures that came: done where it was waiting for them, else with a note."""
    job, target = work.job, late.attempt.target
    brought = "was brought by " + late.decided.by if late.decided else "was found later"
    note = Note(
        field="attempts", message=f"what attempt {late.attempt.n} at {target.name} had lost {brought}"
    )
    if _under_way(work):  # its worker numbers the events, and writes the notes at its end
        return
    notes = (*job.receipt.notes, *late.notes, note)
    if job.state in ("succeeded", "canceled"):
        connection.execute(_NOTES, {"job": job.id, "new_notes": rows.dump_notes(notes)})
        kind: EventType = "decided" if late.decided else "storing"
        _record(connection, work, kind, job.state, at=late.at, message=note.message)
        return
    values = _job_values(job, "succeeded", (*target.notes, *late.notes, note), late.at)
    connection.execute(_END_JOB, values | {"asked": late.decided and _answered(job, late.decided)})
    _record(connection, work, "succeeded", "succeeded", at=late.at, message=note.message)


def _answered(job: Job, decided: Decided) -> str | None:
    """What the job asked, with what was said to it."""
    asked = job.confirmation
    return None if asked is None else asked.model_copy(update={"decided": decided}).model_dump_json()


def _job_values(
    job: Job, state: JobState, notes: tuple[Note, ...], at: float, error: Failure | None = None
) -> dict[str, Any]:
    return {
        "job": job.id,
        "new_state": state,
        "new_error": None if error is None else error.model_dump_json(),
        "new_notes": rows.dump_notes(notes),
        "at": at,
    }


def _record(
    connection: Connection, work: Work, kind: EventType, state: JobState, *, at: float, message: str
) -> None:
    event = JobEvent(job_id=work.job.id, seq=work.seq + 1, type=kind, state=state, at=at, message=message)
    steps.record(connection, [event])


def others(connection: Connection, attempt: OpenAttempt) -> frozenset[str]:
    """The vendor's ids in the tickets of the job's other attempts."""
    found = connection.execute(
        select(attempts.c.ticket).where(
            attempts.c.job_id == attempt.job_id,
            attempts.c.n != attempt.n,
            attempts.c.ticket.is_not(None),
        )
    )
    tickets = [rows.load_ticket(text) for text in found.scalars()]
    return frozenset(str(one["id"]) for one in tickets if "id" in one)
