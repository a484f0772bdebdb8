"""The journal. Each method is one transaction with a name from the story.

Writes that follow a claim are fenced: they carry the lease's epoch and raise `Fenced` when somebody else
has claimed the job since.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from limner.core.errors import Conflict, LimnerError, NotFound
from limner.core.events import JobEvent
from limner.core.job import Artifact, Failure, Job, JobState
from limner.core.money import to_micros
from limner.store import rows
from limner.store.database import Database
from limner.store.prepared import Prepared
from limner.store.rows import NewJob, OpenAttempt, Ticket, Work
from limner.store.schema import OPEN_STATES, answers, artifacts, attempts, clock, events, jobs, ledger

_OPEN_ATTEMPT = ("submitting", "accepted", "answered")


class Fenced(LimnerError):
    """Somebody else claimed the job since; what this worker holds of it is no longer its to write."""

    code = "fenced"


class Store:
    """The tables behind their verbs. `owner` names this process among those that claim jobs."""

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self.owner = owner

    # -- writes ------------------------------------------------------------------------------------------

    async def enqueue(
        self,
        new: NewJob,
        events_: Sequence[JobEvent],
        attempt: OpenAttempt | None = None,
        lease_s: float = 0.0,
    ) -> Job | None:
        """Write the job; with `attempt`, claimed by us and with its first order in the same commit.

        Returns None when it was written, or the job that used the same client key before. Raises `Conflict`
        when that job's request was another one.
        """

        def act(connection: Connection) -> Job | None:
            if new.client_key is not None:
                earlier = connection.execute(_BY_KEY, {"tenant": new.tenant, "key": new.client_key}).first()
                if earlier is not None:
                    return _same(connection, earlier, new.client_key, new.fingerprint)
            values = rows.job_values(new)
            if attempt is None:
                _ADD_JOB.run(connection, values)
            else:
                _ADD_LEASED_JOB.run(connection, values | {"owner": self.owner, "lease_s": lease_s})
                _begin(connection, attempt, epoch=1)
            _record(connection, events_)
            return None

        return await self._database.write(act)

    async def earlier(self, tenant: str, client_key: str, fingerprint: str) -> Job | None:
        """The job that used the client key before, None when there is none. Raises `Conflict`."""

        def act(connection: Connection) -> Job | None:
            found = connection.execute(_BY_KEY, {"tenant": tenant, "key": client_key}).first()
            return None if found is None else _same(connection, found, client_key, fingerprint)

        return await self._database.read(act)

    async def claim(self, limit: int, lease_s: float) -> list[Work]:
        """Take up to `limit` jobs that nobody holds and whose time has come: by priority, then by age."""

        def act(connection: Connection) -> list[Work]:
            found = connection.execute(_CLAIMABLE, {"owner": self.owner, "limit": limit}).scalars().all()
            if not found:
                return []
            connection.execute(
                _LEASE, [{"job": one, "owner": self.owner, "lease_s": lease_s} for one in found]
            )
            return [_work(connection, one) for one in found]

        return await self._database.write(act)

    async def renew(self, lease_s: float) -> None:
        """Keep all jobs this owner holds, in one statement."""
        await self._database.write(
            lambda connection: connection.execute(_RENEW, {"owner": self.owner, "lease_s": lease_s})
        )

    async def release(self) -> None:
        """Hand over every job this owner holds: whoever claims next goes on with it at once."""
        await self._database.write(lambda connection: connection.execute(_RELEASE, {"owner": self.owner}))

    async def take_over(self) -> None:
        """End the leases of whoever owned the file before: the file's lock says that it is gone."""
        await self._database.write(lambda connection: connection.execute(_TAKE_OVER))

    async def begin(self, attempt: OpenAttempt, epoch: int, events_: Sequence[JobEvent]) -> None:
        """Write an attempt before its order is sent, with its reservation."""

        def act(connection: Connection) -> None:
            _fence(connection, attempt.job_id, epoch, state="running")
            _begin(connection, attempt, epoch)
            _record(connection, events_)

        await self._database.write(act)

    async def hold(
        self, attempt: OpenAttempt, epoch: int, ticket: Ticket, events_: Sequence[JobEvent]
    ) -> None:
        """Write the ticket before the first poll."""

        def act(connection: Connection) -> None:
            _fence(connection, attempt.job_id, epoch, state="waiting")
            _HOLD.run(connection, {"key": attempt.id, "new_ticket": rows.dump_ticket(ticket)})
            _record(connection, events_)

        await self._database.write(act)

    async def answered(
        self, attempt: OpenAttempt, epoch: int, data: bytes, events_: Sequence[JobEvent]
    ) -> None:
        """The answer as it came, before anything in it is read; empty when a blob holds it."""

        def act(connection: Connection) -> None:
            _fence(connection, attempt.job_id, epoch, state="storing")
            _ANSWERED.run(connection, {"key": attempt.id})
            _ADD_ANSWER.run(connection, {"attempt_id": attempt.id, "data": data})
            _record(connection, events_)

        await self._database.write(act)

    async def give_up(self, attempt: OpenAttempt, epoch: int, failure: Failure, *, charged: bool) -> None:
        """The order failed: `refused` releases its reservation, `unknown` (maybe charged) keeps it."""

        def act(connection: Connection) -> None:
            _fence(connection, attempt.job_id, epoch)
            state = "unknown" if charged else "refused"
            _END_ATTEMPT.run(
                connection,
                {
                    "key": attempt.id,
                    "new_state": state,
                    "new_how": attempt.how,
                    "new_error": failure.model_dump_json(),
                    "actual": None,
                },
            )
            if not charged:
                _book(connection, attempt, ("release", _reserved(attempt)))

        await self._database.write(act)

    async def finish(
        self, job: Job, epoch: int, attempt: OpenAttempt, price: int | None, events_: Sequence[JobEvent]
    ) -> None:
        """The end of a job that has its pictures: artifacts, settlement (`price` in micro-dollars) and state
        in one commit. `job` is in its final state."""

        def act(connection: Connection) -> None:
            _end(connection, job, epoch)
            _END_ATTEMPT.run(
                connection,
                {
                    "key": attempt.id,
                    "new_state": "settled",
                    "new_how": attempt.how,
                    "new_error": None,
                    "actual": price,
                },
            )
            for one in job.images:
                _ADD_ARTIFACT.run(connection, rows.artifact_values(one, attempt.id))
            _book(connection, attempt, ("release", _reserved(attempt)), ("settle", price))
            _record(connection, events_)

        await self._database.write(act)

    async def end(self, job: Job, epoch: int, events_: Sequence[JobEvent]) -> None:
        """The end of a job without pictures: failed or cancelled."""

        def act(connection: Connection) -> None:
            _end(connection, job, epoch)
            _record(connection, events_)

        await self._database.write(act)

    async def again(self, job: Job, epoch: int, after_s: float, events_: Sequence[JobEvent]) -> None:
        """Put the job back, to be claimed in `after_s` seconds: a retry is a row, not a sleep."""

        def act(connection: Connection) -> None:
            _fence(connection, job.id, epoch)
            connection.execute(_AGAIN, {"job": job.id, "new_tries": job.tries, "after_s": after_s})
            _record(connection, events_)

        await self._database.write(act)

    async def request_cancel(self, job_id: str, at: float) -> Job:
        """Mark the job; one that waits with no open order is cancelled at once and for free."""

        def act(connection: Connection) -> Job:
            work = _work(connection, job_id)
            if work.job.final:
                return work.job
            if work.job.state in ("queued", "needs_confirmation") and work.attempt is None:
                connection.execute(_CANCEL_NOW, {"job": job_id, "at": at})
                _record(
                    connection,
                    [JobEvent(job_id=job_id, seq=work.seq + 1, type="canceled", state="canceled", at=at)],
                )
            else:
                connection.execute(_CANCEL_LATER, {"job": job_id})
            return _work(connection, job_id).job

        return await self._database.write(act)

    async def forget_answers(self, attempt_ids: Sequence[str]) -> None:
        """The pictures made of these answers are safe on disk: the raw bytes may go."""
        await self._database.write(
            lambda connection: connection.execute(
                delete(answers).where(answers.c.attempt_id.in_(attempt_ids))
            )
        )

    # -- reads -------------------------------------------------------------------------------------------

    async def job(self, job_id: str) -> Job:
        """A job with its pictures and receipt. Raises `NotFound`."""
        return await self._database.read(lambda connection: _work(connection, job_id).job)

    async def jobs(
        self, state: JobState | None, project: str | None, limit: int, before: str | None
    ) -> list[Job]:
        """Newest first, `before` excluded."""

        def act(connection: Connection) -> list[Job]:
            query = select(jobs).order_by(jobs.c.id.desc()).limit(limit)
            if state is not None:
                query = query.where(jobs.c.state == state)
            if project is not None:
                query = query.where(jobs.c.project == project)
            if before is not None:
                query = query.where(jobs.c.id < before)
            return _with_details(connection, connection.execute(query).all())

        return await self._database.read(act)

    async def events(self, job_id: str, after: int) -> list[JobEvent]:
        """Stored events of a job with `seq` above `after`, in order."""

        def act(connection: Connection) -> list[JobEvent]:
            found = connection.execute(_EVENTS, {"job": job_id, "after": after}).all()
            return [JobEvent(**row._mapping) for row in found]  # noqa: SLF001 - the documented mapping

        return await self._database.read(act)

    async def image(self, image_id: str) -> Artifact:
        """A picture by id. Raises `NotFound`."""
        return await self._image(select(artifacts).where(artifacts.c.id == image_id), image_id)

    async def image_at(self, project: str, provider: str, file: str) -> Artifact:
        """A picture by its place in storage. Raises `NotFound`."""
        place = (artifacts.c.project == project, artifacts.c.provider == provider, artifacts.c.file == file)
        return await self._image(select(artifacts).where(*place), f"{project}/{provider}/{file}")

    async def answer(self, attempt_id: str) -> bytes | None:
        """The raw answer of an attempt, empty when a blob holds it, None when there is none."""

        def act(connection: Connection) -> bytes | None:
            return connection.execute(_GET_ANSWER, {"key": attempt_id}).scalar_one_or_none()

        return await self._database.read(act)

    async def settled_answers(self, age_s: float, limit: int) -> list[tuple[str, tuple[Artifact, ...]]]:
        """Attempts of jobs that ended over `age_s` seconds ago and whose raw answers are still held, with
        the pictures made of them."""

        def act(connection: Connection) -> list[tuple[str, tuple[Artifact, ...]]]:
            found = connection.execute(_SETTLED_ANSWERS, {"age_s": age_s, "limit": limit}).scalars().all()
            return [(one, _images_of(connection, one)) for one in found]

        return await self._database.read(act)

    async def open_jobs(self) -> int:
        """How many jobs have not ended."""

        def act(connection: Connection) -> int:
            return int(connection.execute(_COUNT_OPEN).scalar_one())

        return await self._database.read(act)

    async def _image(self, query: Any, name: str) -> Artifact:  # noqa: ANN401 - a select; its generic says nothing
        row = await self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise NotFound(f"no picture {name[:200]!r}")
        return rows.to_artifact(row)


# -- statements: built once, compiled once ---------------------------------------------------------------

_JOB: BindParameter[str] = bindparam("job")
_KEY: BindParameter[str] = bindparam("key")
_ADD_JOB = Prepared(insert(jobs), rows.JOB_COLUMNS)
_ADD_LEASED_JOB = Prepared(
    insert(jobs).values(
        lease_owner=bindparam("owner"), lease_until=clock() + bindparam("lease_s"), lease_epoch=1
    ),
    rows.JOB_COLUMNS,
)
_BY_KEY = select(jobs.c.id, jobs.c.fingerprint).where(
    jobs.c.tenant == bindparam("tenant"), jobs.c.client_key == bindparam("key")
)
_CLAIMABLE = (
    select(jobs.c.id)
    .where(
        jobs.c.state.in_(OPEN_STATES),
        jobs.c.not_before <= clock(),
        jobs.c.lease_until <= clock(),
        # A clock that jumps must not make a worker take from itself what it is working on.
        or_(jobs.c.lease_owner.is_(None), jobs.c.lease_owner != bindparam("owner")),
    )
    .order_by(jobs.c.priority.desc(), jobs.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_LEASE = (
    update(jobs)
    .where(jobs.c.id == _JOB)
    .values(
        lease_owner=bindparam("owner"),
        lease_until=clock() + bindparam("lease_s"),
        lease_epoch=jobs.c.lease_epoch + 1,
        started_at=func.coalesce(jobs.c.started_at, clock()),
    )
)
_RENEW = (
    update(jobs)
    .where(jobs.c.lease_owner == bindparam("owner"), jobs.c.state.in_(OPEN_STATES))
    .values(lease_until=clock() + bindparam("lease_s"))
)
_RELEASE = (
    update(jobs)
    .where(jobs.c.lease_owner == bindparam("owner"), jobs.c.state.in_(OPEN_STATES))
    .values(lease_owner=None, lease_until=0.0, lease_epoch=jobs.c.lease_epoch + 1)
)
_TAKE_OVER = (
    update(jobs)
    .where(jobs.c.state.in_(OPEN_STATES), jobs.c.lease_owner.is_not(None))
    .values(lease_owner=None, lease_until=0.0, lease_epoch=jobs.c.lease_epoch + 1)
)
_FENCE = update(jobs).where(jobs.c.id == _JOB, jobs.c.lease_epoch == bindparam("epoch"))
_FENCE_STATE = Prepared(_FENCE.values(state=bindparam("new_state")))
_FENCE_ONLY = Prepared(_FENCE.values(lease_epoch=jobs.c.lease_epoch))
_END_JOB = Prepared(
    _FENCE.values(
        state=bindparam("new_state"),
        finished_at=bindparam("at"),
        notes=bindparam("new_notes"),
        error=bindparam("new_error"),
        lease_owner=None,
        lease_until=0.0,
    )
)
_AGAIN = (
    update(jobs)
    .where(jobs.c.id == _JOB)
    .values(
        state="queued",
        tries=bindparam("new_tries"),
        not_before=clock() + bindparam("after_s"),
        lease_owner=None,
        lease_until=0.0,
    )
)
_CANCEL_NOW = (
    update(jobs)
    .where(jobs.c.id == _JOB)
    .values(
        state="canceled",
        cancel_requested=True,
        finished_at=bindparam("at"),
        lease_epoch=jobs.c.lease_epoch + 1,
        lease_owner=None,
        lease_until=0.0,
    )
)
_CANCEL_LATER = update(jobs).where(jobs.c.id == _JOB).values(cancel_requested=True)
_ADD_ATTEMPT = Prepared(insert(attempts), rows.ATTEMPT_COLUMNS)
_HOLD = Prepared(
    update(attempts).where(attempts.c.id == _KEY).values(state="accepted", ticket=bindparam("new_ticket"))
)
_ANSWERED = Prepared(update(attempts).where(attempts.c.id == _KEY).values(state="answered"))
_END_ATTEMPT = Prepared(
    update(attempts)
    .where(attempts.c.id == _KEY)
    .values(
        state=bindparam("new_state"),
        how=bindparam("new_how"),
        error=bindparam("new_error"),
        price_actual=bindparam("actual"),
    )
)
_ADD_ANSWER = Prepared(insert(answers), ("attempt_id", "data"))
_GET_ANSWER = select(answers.c.data).where(answers.c.attempt_id == _KEY)
_SETTLED_ANSWERS = (
    select(answers.c.attempt_id)
    .join(attempts, attempts.c.id == answers.c.attempt_id)
    .join(jobs, jobs.c.id == attempts.c.job_id)
    .where(
        # What was bought and could not be read stays: somebody may want to look at it.
        attempts.c.state == "settled",
        jobs.c.finished_at < clock() - bindparam("age_s"),
    )
    .limit(bindparam("limit"))
)
_ADD_ARTIFACT = Prepared(insert(artifacts), rows.ARTIFACT_COLUMNS)
_ADD_EVENT = Prepared(insert(events), rows.EVENT_COLUMNS)
_ADD_LEDGER = Prepared(insert(ledger).values(at=clock()), ("job_id", "attempt_id", "kind", "micros"))
_GET_JOB = select(jobs).where(jobs.c.id == _JOB)
_ATTEMPTS = select(attempts).where(attempts.c.job_id == _JOB).order_by(attempts.c.n)
_IMAGES = select(artifacts).where(artifacts.c.job_id == _JOB).order_by(artifacts.c.idx)
_LAST_SEQ = select(func.coalesce(func.max(events.c.seq), 0)).where(events.c.job_id == _JOB)
_EVENTS = (
    select(events).where(events.c.job_id == _JOB, events.c.seq > bindparam("after")).order_by(events.c.seq)
)
_COUNT_OPEN = select(func.count()).select_from(jobs).where(jobs.c.state.in_(OPEN_STATES))


# -- steps inside a transaction --------------------------------------------------------------------------


def _same(connection: Connection, earlier: Any, key: str, fingerprint: str) -> Job:  # noqa: ANN401 - a row of two columns
    if earlier.fingerprint != fingerprint:
        raise Conflict(f"the idempotency key {key!r} was used before with another request")
    return _work(connection, earlier.id).job


def _fence(connection: Connection, job_id: str, epoch: int, state: JobState | None = None) -> None:
    """Prove that the lease is still ours, and move the job to `state` if one is given."""
    if state is None:
        touched = _FENCE_ONLY.run(connection, {"job": job_id, "epoch": epoch})
    else:
        touched = _FENCE_STATE.run(connection, {"job": job_id, "epoch": epoch, "new_state": state})
    if touched != 1:
        raise Fenced(f"job {job_id} was claimed by another worker")


def _end(connection: Connection, job: Job, epoch: int) -> None:
    touched = _END_JOB.run(
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


def _begin(connection: Connection, attempt: OpenAttempt, epoch: int) -> None:
    _ADD_ATTEMPT.run(connection, rows.attempt_values(attempt, epoch))
    _book(connection, attempt, ("reserve", _reserved(attempt)))


def _reserved(attempt: OpenAttempt) -> int | None:
    price = attempt.target.price_usd
    return None if price is None else to_micros(price)


def _book(connection: Connection, attempt: OpenAttempt, *entries: tuple[str, int | None]) -> None:
    """Append to the ledger; what costs nothing, or nobody knows, leaves no row."""
    for kind, micros in entries:
        if micros:
            _ADD_LEDGER.run(
                connection,
                {"job_id": attempt.job_id, "attempt_id": attempt.id, "kind": kind, "micros": micros},
            )


def _record(connection: Connection, events_: Sequence[JobEvent]) -> None:
    for event in events_:
        _ADD_EVENT.run(connection, event.__dict__)


def _work(connection: Connection, job_id: str) -> Work:
    row = connection.execute(_GET_JOB, {"job": job_id}).first()
    if row is None:
        raise NotFound(f"no job {job_id[:200]!r}")
    tried = connection.execute(_ATTEMPTS, {"job": job_id}).all()
    images = connection.execute(_IMAGES, {"job": job_id}).all()
    seq = int(connection.execute(_LAST_SEQ, {"job": job_id}).scalar_one())
    job = rows.to_job(
        row, tuple(rows.to_attempt(one) for one in tried), tuple(rows.to_artifact(one) for one in images)
    )
    unfinished = [one for one in tried if one.state in _OPEN_ATTEMPT]
    attempt = rows.to_open_attempt(unfinished[-1]) if unfinished else None
    return Work(job, row.lease_epoch, seq, row.deadline_s, attempt)


def _images_of(connection: Connection, attempt_id: str) -> tuple[Artifact, ...]:
    found = connection.execute(select(artifacts).where(artifacts.c.attempt_id == attempt_id)).all()
    return tuple(rows.to_artifact(one) for one in found)


def _with_details(connection: Connection, found: Sequence[Any]) -> list[Job]:
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
