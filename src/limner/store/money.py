"""What bounds an order, checked in the transaction that reserves it.

A bound is decided by a sum over the ledger or over the jobs. Between the sum and the row that adds to it
nobody else may add: SQLite has one writer, and elsewhere whoever decides takes the turn of each bound.
An order never counts against itself, so that a write that is repeated decides the same.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy import ColumnElement, and_, bindparam, case, func, select
from sqlalchemy.engine import Connection

from limner.core.errors import LimnerError, OverBudget, OverLimit
from limner.core.money import to_micros
from limner.core.quote import Target
from limner.store.line import turn
from limner.store.rows import NewJob, OpenAttempt
from limner.store.schema import jobs, ledger

_TURN = select(turn(bindparam("key")))


class Scope(Protocol):
    """Whose orders count; what is None does not matter."""

    @property
    def user(self) -> str | None: ...  # noqa: D102 - the class says it
    @property
    def project(self) -> str | None: ...  # noqa: D102 - the class says it
    @property
    def account(self) -> str | None: ...  # noqa: D102 - the class says it


class Window(Protocol):
    """A bound on money for orders placed from `since` until before `until`, Unix seconds."""

    @property
    def scope(self) -> Scope: ...  # noqa: D102 - the class says it
    @property
    def since(self) -> float: ...  # noqa: D102 - the class says it
    @property
    def until(self) -> float: ...  # noqa: D102 - the class says it
    @property
    def key(self) -> str: ...  # noqa: D102 - the class says it

    def refusal(self, held: int, price: int | None, target: str) -> OverBudget | None:
        """Why not, when `held` micro-dollars are spent or reserved."""


class Slide(Protocol):
    """A bound on pictures ordered in the last `seconds`."""

    @property
    def scope(self) -> Scope: ...  # noqa: D102 - the class says it
    @property
    def seconds(self) -> float: ...  # noqa: D102 - the class says it
    @property
    def key(self) -> str: ...  # noqa: D102 - the class says it

    def refusal(self, orders: Sequence[tuple[float, int]], wanted: int, at: float) -> OverLimit | None:
        """Why not, after these orders (when, how many pictures), oldest first."""


class Rules(Protocol):
    """All bounds there are."""

    @property
    def idle(self) -> bool:
        """Nobody's money is bounded."""

    def windows(self, user: str, project: str, account: str, at: float) -> Sequence[Window]:
        """What bounds the money of an order placed at `at`."""

    def slides(self, user: str, project: str) -> Sequence[Slide]:
        """What bounds the pictures of an order."""


class Unbounded:
    """No bounds at all."""

    idle = True

    def windows(self, user: str, project: str, account: str, at: float) -> Sequence[Window]:
        """None."""
        return ()

    def slides(self, user: str, project: str) -> Sequence[Slide]:
        """None."""
        return ()


def bounds(rules: Rules, new: NewJob, target: Target | None) -> tuple[Sequence[Window], Sequence[Slide]]:
    """What bounds a new job that asks `target` first: its money and its pictures."""
    job = new.job
    slides = rules.slides(new.tenant, job.request.project)
    if target is None or target.free:
        return (), slides
    return rules.windows(new.tenant, job.request.project, target.account, job.created_at), slides


def hold(connection: Connection, held: Iterable[Window | Slide]) -> None:
    """Nobody else decides about these until this transaction ends. Before anything else is looked at."""
    for key in sorted({one.key for one in held}):  # in order, so that no two wait for each other
        connection.execute(_TURN, {"key": key})


def refused(
    connection: Connection,
    new: NewJob,
    target: Target | None,
    windows: Sequence[Window],
    slides: Sequence[Slide],
) -> LimnerError | None:
    """Why the new job is not accepted; None when it is. The limit that lasts longest is the one told."""
    over = [_over_limit(connection, one, new) for one in slides]
    longest = max((one for one in over if one is not None), key=lambda one: one.after_s, default=None)
    if longest is not None or target is None:
        return longest
    return _over_budget(connection, windows, target, f"{new.job.id}-1")


def unaffordable(connection: Connection, rules: Rules, attempt: OpenAttempt) -> OverBudget | None:
    """Why a later order of a job may not be placed; None when it may. What is free always may."""
    if rules.idle or attempt.target.free:
        return None
    payer = connection.execute(
        select(jobs.c.tenant, jobs.c.project).where(jobs.c.id == attempt.job_id)
    ).one_or_none()
    if payer is None:
        return None  # whoever writes the attempt says that its job is gone
    windows = rules.windows(payer.tenant, payer.project, attempt.target.account, attempt.submitted_at)
    hold(connection, windows)
    return _over_budget(connection, windows, attempt.target, attempt.id)


def _over_budget(
    connection: Connection, windows: Sequence[Window], target: Target, own: str
) -> OverBudget | None:
    price = None if target.price_usd is None else to_micros(target.price_usd)
    for one in windows:
        everything = int(connection.execute(select(spent()).where(*within(one))).scalar_one())
        mine = select(spent()).where(*within(one), ledger.c.attempt_id == own)
        held = everything - int(connection.execute(mine).scalar_one())
        error = one.refusal(held, price, target.name)
        if error is not None:
            return error
    return None


def spent() -> ColumnElement[int]:
    """Micro-dollars that the ledger's rows come to: charged, or reserved and neither charged nor released."""
    signed = case((ledger.c.kind == "release", -ledger.c.micros), else_=ledger.c.micros)
    return func.coalesce(func.sum(signed), 0)


def within(window: Window) -> list[ColumnElement[bool]]:
    """Which rows of the ledger count."""
    return [
        ledger.c.ordered_at >= window.since,
        ledger.c.ordered_at < window.until,
        *_of(window.scope, ledger.c.tenant, ledger.c.project, ledger.c.account),
    ]


def _over_limit(connection: Connection, slide: Slide, new: NewJob) -> OverLimit | None:
    at = new.job.created_at
    mine = jobs.c.id == new.job.id
    query = select(jobs.c.created_at, jobs.c.images).where(*lately(slide, at), ~mine)
    found = connection.execute(query.order_by(jobs.c.created_at)).all()
    return slide.refusal([(row.created_at, row.images) for row in found], new.job.request.count, at)


def lately(slide: Slide, at: float) -> list[ColumnElement[bool]]:
    """Which jobs count."""
    return [jobs.c.created_at > at - slide.seconds, *_of(slide.scope, jobs.c.tenant, jobs.c.project)]


def _of(scope: Scope, user: Any, project: Any, account: Any = None) -> list[ColumnElement[bool]]:  # noqa: ANN401 - columns
    wanted = ((user, scope.user), (project, scope.project), (account, scope.account))
    return [and_(column == name) for column, name in wanted if column is not None and name is not None]
