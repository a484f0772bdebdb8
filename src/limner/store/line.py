"""The line of queued jobs: who is next, how many orders an account bears, who has waited too long. Each
function is the inside of one transaction."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Integer

from limner.core.errors import RateLimited
from limner.core.events import JobEvent
from limner.core.job import Failure, Job
from limner.store import steps
from limner.store.schema import IS_BEGUN, IS_QUEUED, UNDER_WAY, attempts, clock, jobs


class Full(RateLimited):
    """The account has as many orders under way as it bears: another one would do, or this one later."""

    code = "busy"


class turn(GenericFunction[int]):  # noqa: N801 - an SQL function is written like one
    """Wait until no other transaction decides about the account of that name. SQLite writes one at a time."""

    type = Integer()
    inherit_cache = True


@compiles(turn, "sqlite")
def _sqlite_turn(element: turn, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    return f"length({compiler.process(element.clauses, **options)})"


@compiles(turn, "postgresql")
def _postgres_turn(element: turn, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    return f"pg_advisory_xact_lock(hashtextextended({compiler.process(element.clauses, **options)}, 0))"


def _free() -> ColumnElement[bool]:
    """Nobody holds the job, and its time has come."""
    return and_(jobs.c.lease_until <= clock(), jobs.c.not_before <= clock())


TURN = select(turn(bindparam("account")))
LOAD = (
    # What was answered is the vendor's no more.
    select(func.count())
    .select_from(attempts)
    .where(
        attempts.c.account == bindparam("account"),
        UNDER_WAY,
        attempts.c.state != "answered",
        attempts.c.id != bindparam("key"),
    )
)
LOADS = (
    select(attempts.c.account, func.count().label("orders"))
    .where(UNDER_WAY, attempts.c.state != "answered")
    .group_by(attempts.c.account)
)
BEGUN = (
    select(jobs.c.id)
    .where(IS_BEGUN, jobs.c.lease_until <= clock())
    .order_by(jobs.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
ANY = select(jobs.c.id).where(IS_QUEUED).limit(1)
# In the order of the small index, which SQLite would not look at to group by tenant.
SHARES = select(jobs.c.tenant).where(IS_BEGUN).order_by(jobs.c.id)
LOCK = (
    select(jobs.c.id)
    .where(jobs.c.id.in_(bindparam("heads", expanding=True)), IS_QUEUED, _free())
    .with_for_update(skip_locked=True)
)
OVERDUE = (
    select(jobs.c.id)
    .where(
        IS_QUEUED,
        jobs.c.expires_at <= clock(),
        jobs.c.lease_until <= clock(),
        # Whose orders came to something, or may have, is for a worker to end.
        ~exists().where(attempts.c.job_id == jobs.c.id),
    )
    .order_by(jobs.c.expires_at)
    .limit(bindparam("limit"))
)
LOCK_OVERDUE = OVERDUE.with_for_update(skip_locked=True)


def _eligible() -> ColumnElement[bool]:
    """The job may be begun: its account has room, and this claim has not looked at it."""
    return and_(
        or_(
            jobs.c.account.is_(None),
            jobs.c.account.not_in(bindparam("full", expanding=True)),
            jobs.c.expires_at <= clock(),  # to be ended
        ),
        jobs.c.id.not_in(bindparam("seen", expanding=True)),
        _free(),
    )


def _heads() -> Any:  # noqa: ANN401 - a select; its generic says nothing
    """Each tenant's next job. The tenants are found one after the other in the index, however long the line
    is, and so is the head of each."""
    first = select(func.min(jobs.c.tenant).label("tenant")).where(IS_QUEUED).cte("tenants", recursive=True)
    following = select(func.min(jobs.c.tenant)).where(IS_QUEUED, jobs.c.tenant > first.c.tenant)
    tenants = first.union_all(
        select(following.correlate(first).scalar_subquery()).where(first.c.tenant.is_not(None))
    )
    head = (
        select(jobs.c.id)
        .where(
            IS_QUEUED,
            jobs.c.tenant == tenants.c.tenant,
            _eligible(),
        )
        .order_by(jobs.c.priority.desc(), jobs.c.id)
        .limit(1)
        .correlate(tenants)
        .scalar_subquery()
    )
    heads = select(head.label("head")).where(tenants.c.tenant.is_not(None)).subquery("heads")
    return select(jobs.c.id, jobs.c.tenant, jobs.c.priority, jobs.c.account).join(
        heads, jobs.c.id == heads.c.head
    )


HEADS = _heads()
OF_TENANT = (
    select(jobs.c.id, jobs.c.tenant, jobs.c.priority, jobs.c.account)
    .where(IS_QUEUED, jobs.c.tenant == bindparam("tenant"), _eligible())
    .order_by(jobs.c.priority.desc(), jobs.c.id)
    .limit(bindparam("limit"))
)


def full(connection: Connection, account: str, attempt_id: str, cap: int | None) -> Full | None:
    """Why the account bears no further order; None leaves room for one, kept until the transaction ends."""
    if cap is None:
        return None
    connection.execute(TURN, {"account": account})
    under_way = connection.execute(LOAD, {"account": account, "key": attempt_id}).scalar_one()
    if under_way < cap:
        return None
    return Full(f"{account} has {under_way} orders under way and takes {cap} at once")


def next_jobs(
    connection: Connection, limit: int, held: Collection[str], caps: Mapping[str, int]
) -> list[str]:
    """Up to `limit` jobs to be leased now, in the order in which they are begun.

    First those that were begun and left: money and dying links hang on them. Then by priority; among equals
    from the tenant that has the fewest under way, so that tenants take turns; then by age. Jobs that wait
    for an account without room stay where they are.
    """
    # A clock that jumps must not make a worker take from itself what it is working on.
    left = connection.execute(BEGUN, {"limit": limit + len(held)}).scalars()
    taken = [one for one in left if one not in held][:limit]
    if len(taken) < limit and connection.execute(ANY).first() is not None:
        taken += _from_line(connection, limit - len(taken), held, caps)
    return taken


def _from_line(
    connection: Connection, limit: int, held: Collection[str], caps: Mapping[str, int]
) -> list[str]:
    room = _room(connection, caps)
    share: Counter[str] = Counter()
    taken: list[str] = []
    seen: list[str] = []
    while len(taken) < limit:
        full = [account for account, seats in room.items() if seats <= 0]
        heads = _next(connection, {"full": full, "seen": seen}, limit - len(taken))
        if not heads:
            break
        if not share:
            share = _shares(connection)
        chosen = _round(heads, share, room, limit - len(taken))
        seen += [one.id for one in chosen]
        free = {*connection.execute(LOCK, {"heads": [one.id for one in chosen]}).scalars()}
        mine = [one for one in chosen if one.id in free and one.id not in held]
        taken += [one.id for one in mine]
        for one in mine:
            share[one.tenant] += 1
            if one.account in room:
                room[one.account] -= 1
    return taken


def _next(connection: Connection, values: Mapping[str, Any], limit: int) -> Sequence[Any]:
    """The head of each tenant; where only one waits nobody takes turns, and all that are wanted."""
    heads = connection.execute(HEADS, values).all()
    if len(heads) != 1 or limit == 1:
        return heads
    return connection.execute(OF_TENANT, {**values, "tenant": heads[0].tenant, "limit": limit}).all()


def _room(connection: Connection, caps: Mapping[str, int]) -> dict[str, int]:
    """Orders that each capped account would still take."""
    if not caps:
        return {}
    loads = {row.account: row.orders for row in connection.execute(LOADS)}
    return {account: cap - loads.get(account, 0) for account, cap in caps.items()}


def _round(heads: Sequence[Any], share: Counter[str], room: Mapping[str, int], limit: int) -> list[Any]:
    """Who of the heads goes first: the highest priority, then whose tenant has least; no more than an
    account has room for."""
    top = max(one.priority for one in heads)
    least = min(share[one.tenant] for one in heads if one.priority == top)
    first = sorted(
        (one for one in heads if (one.priority, share[one.tenant]) == (top, least)), key=lambda one: one.id
    )
    asked: Counter[str] = Counter()
    chosen = []
    for one in first[:limit]:
        asked[one.account] += 1
        seats = room.get(one.account, limit)
        if seats <= 0 or asked[one.account] <= seats:  # at a full account only what is to be ended is a head
            chosen.append(one)
    return chosen


def expire(connection: Connection, limit: int, at: float) -> list[tuple[Job, JobEvent]]:
    """End jobs whose deadline passed before a first order of theirs could be placed."""
    return [
        _expired(connection, one, at)
        for one in connection.execute(LOCK_OVERDUE, {"limit": limit}).scalars().all()
    ]


def _expired(connection: Connection, job_id: str, at: float) -> tuple[Job, JobEvent]:
    work = steps.work(connection, job_id)
    said = overdue(work.deadline_s, work.job)
    receipt = work.job.receipt.model_copy(update={"seconds": max(0.0, at - work.job.created_at)})
    job = work.job.model_copy(
        update={"state": "failed", "error": said, "finished_at": at, "receipt": receipt, "waiting": None}
    )
    event = JobEvent(
        job_id=job_id, seq=work.seq + 1, type="failed", state="failed", at=at, message=said.message
    )
    steps.end(connection, job, work.epoch)
    steps.record(connection, [event])
    return job, event


def overdue(deadline_s: float, job: Job) -> Failure:
    """Why a job ends that waited for longer than it may: what it met last, if it got so far."""
    met = [one.error for one in job.receipt.attempts if one.error is not None]
    if met:
        return met[-1]
    return Failure(
        code="deadline",
        message=f"no order could be placed within {deadline_s:g} s; order again when less is waiting, or "
        "allow more time (policy.deadline_s)",
    )


@dataclass(frozen=True, slots=True)
class Lane:
    """Jobs that wait alike."""

    tenant: str
    priority: int
    account: str | None
    size: int
    first: str
    """Id of the oldest."""


@dataclass(frozen=True, slots=True)
class Place:
    """One job in the line."""

    id: str
    tenant: str
    priority: int
    account: str | None
    rank: int
    """How many of the tenant's own jobs of this priority are older."""
    wait_s: float
    """Until it may be begun at all."""


@dataclass(frozen=True, slots=True)
class Line:
    """The line as it stands, with the places that were asked for."""

    lanes: tuple[Lane, ...]
    shares: Mapping[str, int]
    """Jobs under way by tenant."""
    places: tuple[Place, ...]


LANES = (
    select(
        jobs.c.tenant,
        jobs.c.priority,
        jobs.c.account,
        func.count().label("size"),
        func.min(jobs.c.id).label("first"),
    )
    .where(IS_QUEUED)
    .group_by(jobs.c.tenant, jobs.c.priority, jobs.c.account)
)


def _places() -> Any:  # noqa: ANN401 - a select; its generic says nothing
    mine = jobs.alias("mine")
    older = select(func.count()).where(
        IS_QUEUED, jobs.c.tenant == mine.c.tenant, jobs.c.priority == mine.c.priority, jobs.c.id < mine.c.id
    )
    return select(
        mine.c.id,
        mine.c.tenant,
        mine.c.priority,
        mine.c.account,
        older.correlate(mine).scalar_subquery().label("rank"),
        (mine.c.not_before - clock()).label("wait_s"),
    ).where(mine.c.id.in_(bindparam("asked", expanding=True)), mine.c.state == "queued")


PLACES = _places()


def line(connection: Connection, job_ids: Collection[str]) -> Line:
    """Where the queued ones among these jobs stand."""
    places = tuple(Place(**row._mapping) for row in connection.execute(PLACES, {"asked": list(job_ids)}))  # noqa: SLF001 - SQLAlchemy's documented way to a mapping
    lanes = tuple(Lane(**row._mapping) for row in connection.execute(LANES))  # noqa: SLF001 - the same
    return Line(lanes, _shares(connection), places)


def _shares(connection: Connection) -> Counter[str]:
    return Counter(connection.execute(SHARES).scalars())
