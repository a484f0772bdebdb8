"""Steps inside a transaction, shared by the verbs of `Store`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection

from limner.core.errors import Conflict, LimnerError, NotFound
from limner.core.events import JobEvent
from limner.core.job import Artifact, Job, JobState
from limner.core.money import to_micros
from limner.store import rows
from limner.store import statements as sql
from limner.store.connections import Taken
from limner.store.rows import NewJob, OpenAttempt, Work
from limner.store.schema import artifacts, attempts


class Fenced(LimnerError):
    """Somebody else claimed the job since; what this worker holds of it is no longer its to write."""

    code = "fenced"


def by_key(connection: Connection, tenant: str, key: str) -> Any | None:  # noqa: ANN401 - a row
    """The id and fingerprint of the job that used the key, None when there is none."""
    return connection.execute(sql.BY_KEY, {"tenant": tenant, "key": key}).first()


def agreeing(connection: Connection, earlier: Any, key: str, fingerprint: str) -> Job:  # noqa: ANN401 - a row
    """The job that used the key first. Raises `Conflict` when its request was another one."""
    if earlier.fingerprint != fingerprint:
        raise Conflict(f"the idempotency key {key!r} was used before with another request")
    return work(connection, earlier.id).job


def same(connection: Connection, earlier: Any, new: NewJob) -> Job | None:  # noqa: ANN401 - a row
    """The job that used the new one's key; None when that is the new one itself. Raises `Conflict`."""
    if earlier.id == new.job.id:
        return None
    return agreeing(connection, earlier, new.client_key or "", new.fingerprint)


def written(connection: Connection, new: NewJob) -> Job | None:
    """What is there of a job that could not be added: as `same`. Raises `Taken` when it is neither."""
    if connection.execute(sql.GET_JOB, {"job": new.job.id}).first() is not None:
        return None
    earlier = None if new.client_key is None else by_key(connection, new.tenant, new.client_key)
    if earlier is None:
        raise Taken(f"job {new.job.id} is in the way of another")
    return same(connection, earlier, new)


def to_event(row: Any) -> JobEvent:  # noqa: ANN401 - a row
    """A stored event."""
    return JobEvent(**row._mapping)  # noqa: SLF001 - SQLAlchemy's documented way to a mapping


def fence(connection: Connection, job_id: str, epoch: int, state: JobState | None = None) -> None:
    """Prove that the lease is still ours, and move the job to `state` if one is given."""
    if state is None:
        touched = sql.FENCE_ONLY.run(connection, {"job": job_id, "epoch": epoch})
    else:
        touched = sql.FENCE_STATE.run(connection, {"job": job_id, "epoch": epoch, "new_state": state})
    if touched != 1:
        raise Fenced(f"job {job_id} was claimed by another worker")


def end(connection: Connection, job: Job, epoch: int) -> None:
    """Write the job's final state, if the lease is still ours."""
    touched = sql.END_JOB.run(
        connection,
        {
            "job": job.id,
            "epoch": epoch,
            "new_state": job.state,
            "at": job.finished_at,
            "new_notes": rows.dump_notes(job.receipt.notes),
            "new_error": None if job.error is None else job.error.model_dump_json(),
        },
    )
    if touched != 1:
        raise Fenced(f"job {job.id} was claimed by another worker")


def begin(connection: Connection, attempt: OpenAttempt, epoch: int) -> None:
    """Write an attempt and its reservation."""
    sql.ADD_ATTEMPT.run(connection, rows.attempt_values(attempt, epoch))
    book(connection, attempt, ("reserve", reserved(attempt)))


def reserved(attempt: OpenAttempt) -> int | None:
    """Micro-dollars the attempt holds until it is settled, None when its price is not known."""
    price = attempt.target.price_usd
    return None if price is None else to_micros(price)


def book(connection: Connection, attempt: OpenAttempt, *entries: tuple[str, int | None]) -> None:
    """Append to the ledger; what costs nothing, or nobody knows, leaves no row."""
    for kind, micros in entries:
        if micros:
            sql.ADD_LEDGER.run(
                connection,
                {
                    "job_id": attempt.job_id,
                    "of_job": attempt.job_id,
                    "attempt_id": attempt.id,
                    "kind": kind,
                    "micros": micros,
                    "project": attempt.target.request.project,
                    "provider": attempt.target.provider,
                    "account": attempt.target.account,
                    "ordered_at": attempt.submitted_at,
                },
            )


def charged(price: int | None, job: Job) -> int | None:
    """What the caller pays of a vendor's price in micro-dollars: no more than was agreed."""
    ceiling = None if job.ceiling_usd is None else to_micros(job.ceiling_usd)
    return price if price is None or ceiling is None else min(price, ceiling)


def settle(connection: Connection, attempt: OpenAttempt, price: int | None, job: Job) -> None:
    """Book a charge. What the vendor takes beyond what was agreed with the caller is the operator's loss, so
    that the ledger's sum stays the vendor's bill."""
    pays = charged(price, job)
    book(connection, attempt, ("settle", pays))
    if price is not None and pays is not None and price > pays:
        sql.ADD_LOSS.run(
            connection,
            {
                "job_id": attempt.job_id,
                "attempt_id": attempt.id,
                "kind": "settle",
                "micros": price - pays,
                "provider": attempt.target.provider,
                "account": attempt.target.account,
                "ordered_at": attempt.submitted_at,
            },
        )


def record(connection: Connection, events_: Sequence[JobEvent]) -> None:
    """Append to the job's events."""
    for event in events_:
        message = event.message
        if message is not None and "\x00" in message:  # a vendor's words; PostgreSQL's text holds no NUL
            message = message.replace("\x00", "\ufffd")
        sql.ADD_EVENT.run(connection, {**event.__dict__, "message": message})


def work(connection: Connection, job_id: str) -> Work:
    """A job with all that is needed to go on with it. Raises `NotFound`."""
    row = connection.execute(sql.GET_JOB, {"job": job_id}).first()
    if row is None:
        raise NotFound(f"no job {job_id[:200]!r}")
    tried = connection.execute(sql.ATTEMPTS, {"job": job_id}).all()
    images = connection.execute(sql.IMAGES, {"job": job_id}).all()
    seq = int(connection.execute(sql.LAST_SEQ, {"job": job_id}).scalar_one())
    job = rows.to_job(
        row, tuple(rows.to_attempt(one) for one in tried), tuple(rows.to_artifact(one) for one in images)
    )
    unfinished = [one for one in tried if one.state in sql.OPEN_ATTEMPT]
    attempt = rows.to_open_attempt(unfinished[-1]) if unfinished else None
    return Work(job, row.lease_epoch, seq, row.deadline_s, attempt, left_s=row.left_s)


def images_of(connection: Connection, attempt_id: str) -> tuple[Artifact, ...]:
    """The pictures made of one attempt's answer."""
    found = connection.execute(select(artifacts).where(artifacts.c.attempt_id == attempt_id)).all()
    return tuple(rows.to_artifact(one) for one in found)


def with_details(connection: Connection, found: Sequence[Any]) -> list[Job]:
    """Jobs with their attempts and pictures, in three statements however many there are."""
    ids = [row.id for row in found]
    tried = connection.execute(
        select(attempts).where(attempts.c.job_id.in_(ids)).order_by(attempts.c.job_id, attempts.c.n)
    ).all()
    images = connection.execute(
        select(artifacts).where(artifacts.c.job_id.in_(ids)).order_by(artifacts.c.job_id, artifacts.c.idx)
    ).all()
    return [
        rows.to_job(
            row,
            tuple(rows.to_attempt(one) for one in tried if one.job_id == row.id),
            tuple(rows.to_artifact(one) for one in images if one.job_id == row.id),
        )
        for row in found
    ]
