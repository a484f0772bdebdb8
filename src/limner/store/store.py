"""The journal. Each method is one transaction with a name from the story.

Writes that follow a claim are fenced: they carry the lease's epoch and raise `Fenced` when somebody else
has claimed the job since.

A write that raised `StorageError` may have happened all the same, when the connection broke as it was
committed; so each may be repeated. What finds its own rows there was written before: the job by its id,
everything fenced by its first event, an order given up by its attempt's state. The rest says the same twice.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from datetime import date
from typing import Any, TypeVar

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.engine import Connection

from limner.core.errors import Billed, LimnerError, NotFound
from limner.core.events import JobEvent
from limner.core.job import Artifact, Decided, Failure, Job, JobState
from limner.core.quote import Target
from limner.core.usage import Audit, UsageBy, UsageReport
from limner.store import agree, books, consent, line, money, projects, rows, steps
from limner.store import statements as sql
from limner.store.connections import Connections, Taken
from limner.store.prompts import PromptStore
from limner.store.rows import NewJob, OpenAttempt, Standing, Ticket, Work
from limner.store.schema import UNDER_WAY, answers, artifacts, attempts, events, inputs, jobs

T = TypeVar("T")


class Store:
    """The tables behind their verbs. `owner` names this process among those that claim jobs; `caps` say how
    many orders an account bears at once."""

    def __init__(
        self,
        database: Connections,
        owner: str,
        rules: money.Rules | None = None,
        caps: Mapping[str, int] | None = None,
    ) -> None:
        self._database = database
        self.owner = owner
        self.prompts = PromptStore(database)
        self._rules = rules or money.Unbounded()
        self._projects: set[str] = set()
        """Projects that are known to have a row."""
        self.caps = caps or {}

    @property
    def connections(self) -> Connections:
        """The database, for what else is kept in it."""
        return self._database

    @property
    def shared(self) -> bool:
        """Several processes may be at work here, and the clock of leases is another machine's."""
        return self._database.shared

    # -- writes ------------------------------------------------------------------------------------------

    async def enqueue(
        self,
        new: NewJob,
        events_: Sequence[JobEvent],
        attempt: OpenAttempt | None = None,
        lease_s: float = 0.0,
        *,
        first: Target | None = None,
    ) -> Job | None:
        """Write the job; with `attempt`, claimed by us and with its first order in the same commit. Without,
        `first` is the target it would ask now.

        Returns None when it was written, or the job that used the same client key before. Raises `Conflict`
        when that job's request was another one, `OverLimit` and `OverBudget` when it may not be ordered,
        and `Full` when the account of `attempt` bears no more.
        """
        target = first if attempt is None else attempt.target
        windows, slides = money.bounds(self._rules, new, target)

        def act(connection: Connection) -> Job | LimnerError | None:
            money.hold(connection, (*windows, *slides))
            earlier = None if new.client_key is None else steps.by_key(connection, new.tenant, new.client_key)
            if earlier is not None:
                return steps.same(connection, earlier, new)
            refusal = money.refused(connection, new, target, windows, slides)
            if refusal is None and attempt is not None:
                refusal = self._full(connection, attempt)
            if refusal is not None:
                return refusal  # not raised: writes that share the transaction need not run again
            if new.job.request.project not in self._projects:
                projects.ensure(connection, new.job.request.project, new.tenant)
            values = rows.job_values(new)
            if attempt is None:
                sql.ADD_JOB.run(connection, values)
            else:
                sql.ADD_LEASED_JOB.run(connection, values | {"owner": self.owner, "lease_s": lease_s})
                steps.begin(connection, attempt, epoch=1)
            steps.record(connection, events_)
            return None

        try:
            answer = await self._database.write(act)
        except Taken:  # the key, by another process meanwhile; or the id, by this very write
            return await self._database.read(lambda connection: steps.written(connection, new))
        if isinstance(answer, LimnerError):
            raise answer
        if answer is None:
            self._projects.add(new.job.request.project)
        return answer

    async def earlier(self, tenant: str, client_key: str, fingerprint: str) -> Job | None:
        """The job that used the client key before, None when there is none. Raises `Conflict`."""

        def act(connection: Connection) -> Job | None:
            found = steps.by_key(connection, tenant, client_key)
            return None if found is None else steps.agreeing(connection, found, client_key, fingerprint)

        return await self._database.read(act)

    async def claim(self, limit: int, lease_s: float, held: Collection[str] = ()) -> list[Work]:
        """Take up to `limit` jobs that nobody holds and whose time has come, as `line.next_jobs` says who is
        next. `held` are those this process works on, whatever their leases say."""

        def act(connection: Connection) -> list[Work]:
            found = line.next_jobs(connection, limit, held, self.caps)
            if not found:
                return []
            connection.execute(
                sql.LEASE, [{"job": one, "owner": self.owner, "lease_s": lease_s} for one in found]
            )
            return [steps.work(connection, one) for one in found]

        return await self._database.write(act, long=True)

    async def expire(self, limit: int, at: float) -> list[tuple[Job, JobEvent]]:
        """End jobs that waited in line until their deadlines; with the event that says so."""
        overdue = await self._database.read(
            lambda connection: connection.execute(line.OVERDUE, {"limit": 1}).first()
        )
        if overdue is None:
            return []
        return await self._database.write(lambda connection: line.expire(connection, limit, at), long=True)

    async def shift(self, by_s: float) -> None:
        """The clock that leases and deadlines are read by was set by so much: they move with it."""
        await self._database.write(
            lambda connection: connection.execute(sql.SHIFT, {"by_s": by_s}), long=True
        )

    async def renew(self, lease_s: float, held: Collection[str]) -> dict[str, int]:
        """Keep these jobs of this owner, in one statement: the epochs of those that are still held, by id.
        Others it took and does not know of, since the answer to its claim was lost, run out and are claimed
        again."""
        values = {"held": list(held), "owner": self.owner, "lease_s": lease_s}

        def act(connection: Connection) -> dict[str, int]:
            return {row.id: row.lease_epoch for row in connection.execute(sql.RENEW, values)}

        return await self._database.write(act)

    async def release(self) -> None:
        """Hand over every job this owner holds: whoever claims next goes on with it at once."""
        await self._database.write(lambda connection: connection.execute(sql.RELEASE, {"owner": self.owner}))

    async def take_over(self) -> None:
        """End the leases of whoever owned the file before: the file's lock says that it is gone."""
        await self._database.write(lambda connection: connection.execute(sql.TAKE_OVER), long=True)

    async def begin(self, attempt: OpenAttempt, epoch: int, events_: Sequence[JobEvent]) -> None:
        """Write an attempt before its order is sent, with its reservation. Raises `OverBudget` and `Full`."""

        def act(connection: Connection) -> LimnerError | None:
            refusal = money.unaffordable(connection, self._rules, attempt) or self._full(connection, attempt)
            if refusal is None:
                steps.fence(connection, attempt.job_id, epoch, state="running")
                if attempt.n == 1:
                    sql.FIRST_ORDER.run(connection, {"job": attempt.job_id})
                steps.begin(connection, attempt, epoch)
                steps.record(connection, events_)
            return refusal

        refusal = await self._once(act, events_)
        if refusal is not None:
            raise refusal

    async def hold(
        self, attempt: OpenAttempt, epoch: int, ticket: Ticket, events_: Sequence[JobEvent]
    ) -> None:
        """Write the ticket before the first poll."""

        def act(connection: Connection) -> None:
            steps.fence(connection, attempt.job_id, epoch, state="waiting")
            sql.HOLD.run(connection, {"key": attempt.id, "new_ticket": rows.dump_ticket(ticket)})
            steps.record(connection, events_)

        await self._once(act, events_)

    async def answered(
        self, attempt: OpenAttempt, epoch: int, data: bytes, events_: Sequence[JobEvent]
    ) -> None:
        """The answer as it came, before anything in it is read; empty when a blob holds it. It survives the
        process's death at once, and a power cut as soon as anything waits for the disk: here nothing does."""

        def act(connection: Connection) -> None:
            steps.fence(connection, attempt.job_id, epoch, state="storing")
            sql.ANSWERED.run(connection, {"key": attempt.id})
            sql.ADD_ANSWER.run(connection, {"attempt_id": attempt.id, "data": data})
            steps.record(connection, events_)

        await self._once(act, events_, soon=True)

    async def give_up(self, attempt: OpenAttempt, epoch: int, failure: Failure, billed: Billed) -> None:
        """The order failed: `refused` releases its reservation, `unknown` (maybe charged) keeps it, and
        `settled` (charged without a picture) settles it."""

        def act(connection: Connection) -> None:
            steps.fence(connection, attempt.job_id, epoch)
            reserved = steps.reserved(attempt)
            given_up = sql.GIVE_UP.run(
                connection,
                {
                    "key": attempt.id,
                    "new_state": rows.ENDED_AS[billed],
                    "new_how": attempt.how,
                    "new_error": failure.model_dump_json(),
                    "actual": reserved if billed == "yes" else None,
                },
            )
            if not given_up:
                return  # by this very write, before
            if billed != "maybe":
                steps.book(connection, attempt, ("release", reserved))
            if billed == "yes":
                steps.book(connection, attempt, ("settle", reserved))

        await self._database.write(act)

    async def finish(
        self, job: Job, epoch: int, attempt: OpenAttempt, price: int | None, events_: Sequence[JobEvent]
    ) -> None:
        """The end of a job that has its pictures: artifacts, settlement (`price` in micro-dollars, the
        vendor's) and state in one commit. `job` is in its final state."""

        def act(connection: Connection) -> None:
            steps.end(connection, job, epoch)
            sql.END_ATTEMPT.run(
                connection,
                {
                    "key": attempt.id,
                    "new_state": "settled",
                    "new_how": attempt.how,
                    "new_error": None,
                    "actual": steps.charged(price, job),
                },
            )
            for one in job.images:
                sql.ADD_ARTIFACT.run(connection, rows.artifact_values(one, attempt.id))
            steps.book(connection, attempt, ("release", steps.reserved(attempt)))
            steps.settle(connection, attempt, price, job)
            steps.record(connection, events_)

        await self._once(act, events_)

    async def end(self, job: Job, epoch: int, events_: Sequence[JobEvent]) -> None:
        """The end of a job without pictures: failed or cancelled."""

        def act(connection: Connection) -> None:
            steps.end(connection, job, epoch)
            steps.record(connection, events_)

        await self._once(act, events_)

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

        await self._once(act, events_)

    async def decide(self, job_id: str, decided: Decided) -> Job:
        """What a person said about a job that asks, or about its lost order: once. Raises `NotFound`,
        `InvalidRequest` and `Conflict`."""
        return await self._database.write(lambda connection: consent.decide(connection, job_id, decided))

    async def settle_late(self, late: consent.Late) -> Job | None:
        """What a lost order brought after all: never fenced. None when it is not unknown any more."""
        return await self._database.write(lambda connection: consent.settle(connection, late))

    async def clear(self, attempt: OpenAttempt, why: Failure, at: float) -> Job | None:
        """A lost order was certainly not charged. None when it is not unknown any more."""
        return await self._database.write(lambda connection: consent.clear(connection, attempt, why, at))

    async def hint(self, attempt: OpenAttempt, ticket: Ticket) -> None:
        """A vendor's call told the ticket of an order that has none."""
        await self._database.write(lambda connection: consent.hint(connection, attempt, ticket))

    async def accept_price(
        self, job_id: str, ceiling_micros: int | None, event: JobEvent, by: str = "local"
    ) -> Job:
        """A person accepts what a job asked: it may cost as much (None: nobody knows how much), and is queued
        again. The event is numbered here. Raises `NotFound`, and `Conflict` when it asks for no price."""

        def act(connection: Connection) -> Job:
            return agree.accept_price(connection, job_id, ceiling_micros, event, by)

        return await self._database.write(act)

    async def again(
        self,
        job: Job,
        epoch: int,
        after_s: float,
        events_: Sequence[JobEvent],
        account: str | None = None,
        *,
        without_ticket: OpenAttempt | None = None,
    ) -> None:
        """Put the job back, to be claimed in `after_s` seconds: a retry is a row, not a sleep. With `account`
        not before that one has room. An order `without_ticket` whose vendor has called meanwhile is asked
        about at once."""

        def act(connection: Connection) -> None:
            steps.fence(connection, job.id, epoch)
            values = {"new_tries": job.tries, "after_s": after_s, "for_account": account}
            connection.execute(sql.AGAIN, {"job": job.id} | values)
            if without_ticket is not None and consent.ticket(connection, without_ticket.id) is not None:
                consent.soon(connection, job.id)
            steps.record(connection, events_)

        await self._once(act, events_)

    async def request_cancel(self, job_id: str, at: float) -> Job:
        """Mark the job; one that waits with no open order is cancelled at once and for free."""

        def act(connection: Connection) -> Job:
            connection.execute(sql.LOCK_JOB, {"job": job_id})  # nobody begins an order between look and act
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
            ),
            long=True,
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
            return [steps.to_event(row) for row in found]

        return await self._database.read(act)

    async def standing(self, held: Collection[str]) -> dict[str, Standing]:
        """How jobs stand that this process holds, by id: were they taken, or is a cancel wished for?"""

        def act(connection: Connection) -> dict[str, Standing]:
            found = connection.execute(sql.STANDING, {"held": list(held)}).all()
            return {row.id: Standing(row.lease_epoch, row.cancel_requested) for row in found}

        return await self._database.read(act)

    async def news(self, seen: Mapping[str, int]) -> tuple[list[JobEvent], list[Job]]:
        """Of these jobs (id to number of the last event known) the later events, and those that ended."""

        def act(connection: Connection) -> tuple[list[JobEvent], list[Job]]:
            later = or_(*(and_(events.c.job_id == job, events.c.seq > seq) for job, seq in seen.items()))
            told = connection.execute(select(events).where(later).order_by(events.c.job_id, events.c.seq))
            over = connection.execute(sql.ENDED, {"jobs": list(seen)}).all()
            return [steps.to_event(row) for row in told], steps.with_details(connection, over)

        return await self._database.read(act)

    async def lost(self) -> list[consent.Lost]:
        """Every order whose outcome is unknown, oldest first."""
        return await self._database.read(consent.lost)

    async def hooked(self, token: str) -> OpenAttempt | None:
        """The order that a vendor's call names, None when there is none."""
        return await self._database.read(lambda connection: consent.hooked(connection, token))

    async def unsettled(self, account: str) -> list[OpenAttempt]:
        """The account's orders that are under way or unknown."""
        return await self._database.read(lambda connection: consent.unsettled(connection, account))

    async def ticket(self, attempt_id: str) -> Ticket | None:
        """What an order can be asked by now, None when by nothing."""
        return await self._database.read(lambda connection: consent.ticket(connection, attempt_id))

    async def others(self, attempt: OpenAttempt) -> frozenset[str]:
        """The vendor's ids of the job's other orders, where their tickets have one."""
        return await self._database.read(lambda connection: consent.others(connection, attempt))

    async def image(self, image_id: str) -> Artifact:
        """A picture by id. Raises `NotFound`."""
        there = (artifacts.c.id == image_id, artifacts.c.status == "active")
        return await self._image(select(artifacts).where(*there), image_id)

    async def image_at(self, project: str, provider: str, file: str) -> Artifact:
        """A picture by its place in storage. Raises `NotFound`."""
        place = (artifacts.c.project == project, artifacts.c.provider == provider, artifacts.c.file == file)
        there = (*place, artifacts.c.status == "active")
        return await self._image(select(artifacts).where(*there), f"{project}/{provider}/{file}")

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

    async def answers_open(self) -> bool:
        """Is there an answer that has come and is not settled yet?"""

        def act(connection: Connection) -> bool:
            came = select(attempts.c.id).where(UNDER_WAY, attempts.c.state == "answered").limit(1)
            return connection.execute(came).first() is not None

        return await self._database.read(act)

    async def remember_input(self, digest: str, size_bytes: int) -> None:
        """A picture was sent in: it is kept, whether or not a request names it yet."""

        def act(connection: Connection) -> None:
            known = connection.execute(select(inputs.c.digest).where(inputs.c.digest == digest)).first()
            if known is None:
                sql.ADD_INPUT.run(connection, {"digest": digest, "size_bytes": size_bytes})

        with suppress(Taken):  # by another process, meanwhile
            await self._database.write(act)

    async def referenced(self, digests: Collection[str]) -> set[str]:
        """Of these digests, those that some picture's record names, made here or sent in."""

        def act(connection: Connection) -> set[str]:
            made = select(artifacts.c.digest).where(artifacts.c.digest.in_(digests))
            sent = select(inputs.c.digest).where(inputs.c.digest.in_(digests))
            return {*connection.execute(made).scalars(), *connection.execute(sent).scalars()}

        return await self._database.read(act)

    async def places(self, job_ids: Collection[str]) -> line.Line:
        """The line, and where the queued ones among these jobs stand in it."""
        return await self._database.read(lambda connection: line.line(connection, job_ids))

    async def usage(self, first_day: date, last_day: date, by: UsageBy) -> UsageReport:
        """Orders placed on these days, both included, in UTC."""
        return await self._database.read(lambda connection: books.usage(connection, first_day, last_day, by))

    async def used(self, windows: Sequence[money.Window]) -> list[tuple[int, int]]:
        """Of each bound on money: micro-dollars charged, and reserved or unknown."""
        return await self._database.read(lambda connection: books.used(connection, windows))

    async def ordered(self, slides: Sequence[money.Slide], at: float) -> list[int]:
        """Of each bound on pictures: how many count at `at`."""
        return await self._database.read(lambda connection: books.ordered(connection, slides, at))

    async def users(self, since: float) -> list[str]:
        """Who ordered anything since."""
        return await self._database.read(lambda connection: books.users(connection, since))

    async def audit(self) -> Audit:
        """Whether the ledger says what the orders say."""
        return await self._database.read(books.audit)

    async def open_jobs(self) -> int:
        """How many jobs have not ended."""

        def act(connection: Connection) -> int:
            return int(connection.execute(sql.COUNT_OPEN).scalar_one())

        return await self._database.read(act)

    async def _once(
        self, act: Callable[[Connection], T], events_: Sequence[JobEvent], *, soon: bool = False
    ) -> T | None:
        """Write; what finds its own first event there was written before. Raises `Taken` for another's."""
        try:
            return await self._database.write(act, soon=soon)
        except Taken:
            if not events_ or not await self._has(events_[0]):
                raise
            return None

    async def _has(self, event: JobEvent) -> bool:
        found = await self.events(event.job_id, event.seq - 1)
        return bool(found) and (found[0].type, found[0].at) == (event.type, event.at)

    def _full(self, connection: Connection, attempt: OpenAttempt) -> line.Full | None:
        account = attempt.target.account
        return line.full(connection, account, attempt.id, self.caps.get(account))

    async def _image(self, query: Any, name: str) -> Artifact:  # noqa: ANN401 - a select; its generic says nothing
        row = await self._database.read(lambda connection: connection.execute(query).first())
        if row is None:
            raise NotFound(f"no picture {name[:200]!r}")
        return rows.to_artifact(row)
