"""The journal. Each method is one transaction with a name from the story.

Writes that follow a claim are fenced: they carry the lease's epoch and raise `Fenced` when somebody else
has claimed the job since.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.engine import Connection

from limner.core.errors import Billed, NotFound
from limner.core.events import JobEvent
from limner.core.job import Artifact, Failure, Job, JobState
from limner.store import rows, steps
from limner.store import statements as sql
from limner.store.database import Database
from limner.store.rows import NewJob, OpenAttempt, Ticket, Work
from limner.store.schema import answers, artifacts, inputs, jobs


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
                earlier = connection.execute(
                    sql.BY_KEY, {"tenant": new.tenant, "key": new.client_key}
                ).first()
                if earlier is not None:
                    return steps.same(connection, earlier, new.client_key, new.fingerprint)
            values = rows.job_values(new)
            if attempt is None:
                sql.ADD_JOB.run(connection, values)
            else:
                sql.ADD_LEASED_JOB.run(connection, values | {"owner": self.owner, "lease_s": lease_s})
                steps.begin(connection, attempt, epoch=1)
            steps.record(connection, events_)
            return None

        return await self._database.write(act)

    async def earlier(self, tenant: str, client_key: str, fingerprint: str) -> Job | None:
        """The job that used the client key before, None when there is none. Raises `Conflict`."""

        def act(connection: Connection) -> Job | None:
            found = connection.execute(sql.BY_KEY, {"tenant": tenant, "key": client_key}).first()
            return None if found is None else steps.same(connection, found, client_key, fingerprint)

        return await self._database.read(act)

    async def claim(self, limit: int, lease_s: float) -> list[Work]:
        """Take up to `limit` jobs that nobody holds and whose time has come: by priority, then by age."""

        def act(connection: Connection) -> list[Work]:
            found = connection.execute(sql.CLAIMABLE, {"owner": self.owner, "limit": limit}).scalars().all()
            if not found:
                return []
            connection.execute(
                sql.LEASE, [{"job": one, "owner": self.owner, "lease_s": lease_s} for one in found]
            )
            return [steps.work(connection, one) for one in found]

        return await self._database.write(act)

    async def renew(self, lease_s: float) -> None:
        """Keep all jobs this owner holds, in one statement."""
        await self._database.write(
            lambda connection: connection.execute(sql.RENEW, {"owner": self.owner, "lease_s": lease_s})
        )

    async def release(self) -> None:
        """Hand over every job this owner holds: whoever claims next goes on with it at once."""
        await self._database.write(lambda connection: connection.execute(sql.RELEASE, {"owner": self.owner}))

    async def take_over(self) -> None:
        """End the leases of whoever owned the file before: the file's lock says that it is gone."""
        await self._database.write(lambda connection: connection.execute(sql.TAKE_OVER))

    async def begin(self, attempt: OpenAttempt, epoch: int, events_: Sequence[JobEvent]) -> None:
        """Write an attempt before its order is sent, with its reservation."""

        def act(connection: Connection) -> None:
            steps.fence(connection, attempt.job_id, epoch, state="running")
            steps.begin(connection, attempt, epoch)
            steps.record(connection, events_)

        await self._database.write(act)

    async def hold(
        self, attempt: OpenAttempt, epoch: int, ticket: Ticket, events_: Sequence[JobEvent]
    ) -> None:
        """Write the ticket before the first poll."""

        def act(connection: Connection) -> None:
            steps.fence(connection, attempt.job_id, epoch, state="waiting")
            sql.HOLD.run(connection, {"key": attempt.id, "new_ticket": rows.dump_ticket(ticket)})
            steps.record(connection, events_)

        await self._database.write(act)

    async def answered(
        self, attempt: OpenAttempt, epoch: int, data: bytes, events_: Sequence[JobEvent]
    ) -> None:
        """The answer as it came, before anything in it is read; empty when a blob holds it."""

        def act(connection: Connection) -> None:
            steps.fence(connection, attempt.job_id, epoch, state="storing")
            sql.ANSWERED.run(connection, {"key": attempt.id})
            sql.ADD_ANSWER.run(connection, {"attempt_id": attempt.id, "data": data})
            steps.record(connection, events_)

        await self._database.write(act)

    async def give_up(self, attempt: OpenAttempt, epoch: int, failure: Failure, billed: Billed) -> None:
        """The order failed: `refused` releases its reservation, `unknown` (maybe charged) keeps it, and
        `settled` (charged without a picture) settles it."""

        def act(connection: Connection) -> None:
            steps.fence(connection, attempt.job_id, epoch)
            reserved = steps.reserved(attempt)
            sql.END_ATTEMPT.run(
                connection,
                {
                    "key": attempt.id,
                    "new_state": rows.ENDED_AS[billed],
                    "new_how": attempt.how,
                    "new_error": failure.model_dump_json(),
                    "actual": reserved if billed == "yes" else None,
                },
            )
            if billed != "maybe":
                steps.book(connection, attempt, ("release", reserved))
            if billed == "yes":
                steps.book(connection, attempt, ("settle", reserved))

        await self._database.write(act)

    async def finish(
        self, job: Job, epoch: int, attempt: OpenAttempt, price: int | None, events_: Sequence[JobEvent]
    ) -> None:
        """The end of a job that has its pictures: artifacts, settlement (`price` in micro-dollars) and state
        in one commit. `job` is in its final state."""

        def act(connection: Connection) -> None:
            steps.end(connection, job, epoch)
            sql.END_ATTEMPT.run(
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
                sql.ADD_ARTIFACT.run(connection, rows.artifact_values(one, attempt.id))
            steps.book(connection, attempt, ("release", steps.reserved(attempt)), ("settle", price))
            steps.record(connection, events_)

        await self._database.write(act)

    async def end(self, job: Job, epoch: int, events_: Sequence[JobEvent]) -> None:
        """The end of a job without pictures: failed or cancelled."""

        def act(connection: Connection) -> None:
            steps.end(connection, job, epoch)
            steps.record(connection, events_)

        await self._database.write(act)

    async def ask(self, job: Job, epoch: int, events_: Sequence[JobEvent]) -> None:
        """The job waits for a person; `job` is in `needs_confirmation` and holds what is asked."""
        if job.confirmation is None:
            raise ValueError(f"job {job.id} asks nothing")
        asked = job.confirmation.model_dump_json()

        def act(connection: Connection) -> None:
            values = {"asked": asked, "new_notes": rows.dump_notes(job.receipt.notes)}
            if sql.ASK.run(connection, {"job": job.id, "epoch": epoch} | values) != 1:
                raise steps.Fenced(f"job {job.id} was claimed by another worker")
            steps.record(connection, events_)

        await self._database.write(act)

    async def again(self, job: Job, epoch: int, after_s: float, events_: Sequence[JobEvent]) -> None:
        """Put the job back, to be claimed in `after_s` seconds: a retry is a row, not a sleep."""

        def act(connection: Connection) -> None:
            steps.fence(connection, job.id, epoch)
            connection.execute(sql.AGAIN, {"job": job.id, "new_tries": job.tries, "after_s": after_s})
            steps.record(connection, events_)

        await self._database.write(act)

    async def request_cancel(self, job_id: str, at: float) -> Job:
        """Mark the job; one that waits with no open order is cancelled at once and for free."""

        def act(connection: Connection) -> Job:
            work = steps.work(connection, job_id)
            if work.job.final:
                return work.job
            if work.job.state in ("queued", "needs_confirmation") and work.attempt is None:
                connection.execute(sql.CANCEL_NOW, {"job": job_id, "at": at})
                steps.record(
                    connection,
                    [JobEvent(job_id=job_id, seq=work.seq + 1, type="canceled", state="canceled", at=at)],
                )
            else:
                connection.execute(sql.CANCEL_LATER, {"job": job_id})
            return steps.work(connection, job_id).job

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
        return await self._database.read(lambda connection: steps.work(connection, job_id).job)

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
            return steps.with_details(connection, connection.execute(query).all())

        return await self._database.read(act)

    async def events(self, job_id: str, after: int) -> list[JobEvent]:
        """Stored events of a job with `seq` above `after`, in order."""

        def act(connection: Connection) -> list[JobEvent]:
            found = connection.execute(sql.EVENTS, {"job": job_id, "after": after}).all()
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
            return connection.execute(sql.GET_ANSWER, {"key": attempt_id}).scalar_one_or_none()

        return await self._database.read(act)

    async def settled_answers(self, age_s: float, limit: int) -> list[tuple[str, tuple[Artifact, ...]]]:
        """Attempts of jobs that ended over `age_s` seconds ago and whose raw answers are still held, with
        the pictures made of them."""

        def act(connection: Connection) -> list[tuple[str, tuple[Artifact, ...]]]:
            found = connection.execute(sql.SETTLED_ANSWERS, {"age_s": age_s, "limit": limit}).scalars().all()
            return [(one, steps.images_of(connection, one)) for one in found]

        return await self._database.read(act)

    async def remember_input(self, digest: str, size_bytes: int) -> None:
        """A picture was sent in: it is kept, whether or not a request names it yet."""

        def act(connection: Connection) -> None:
            known = connection.execute(select(inputs.c.digest).where(inputs.c.digest == digest)).first()
            if known is None:
                sql.ADD_INPUT.run(connection, {"digest": digest, "size_bytes": size_bytes})

        await self._database.write(act)

    async def referenced(self, digests: Collection[str]) -> set[str]:
        """Of these digests, those that some picture's record names, made here or sent in."""

        def act(connection: Connection) -> set[str]:
            made = select(artifacts.c.digest).where(artifacts.c.digest.in_(digests))
            sent = select(inputs.c.digest).where(inputs.c.digest.in_(digests))
            return {*connection.execute(made).scalars(), *connection.execute(sent).scalars()}

        return await self._database.read(act)

    async def open_jobs(self) -> int:
        """How many jobs have not ended."""

        def act(connection: Connection) -> int:
            return int(connection.execute(sql.COUNT_OPEN).scalar_one())

        return await self._database.read(act)

    async def _image(self, query: Any, name: str) -> Artifact:  # noqa: ANN401 - a select; its generic says nothing
        row = await self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise NotFound(f"no picture {name[:200]!r}")
        return rows.to_artifact(row)
