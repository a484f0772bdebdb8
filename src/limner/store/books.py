"""What the ledger says: how much was spent on what, how far bounds are used, and whether the books agree."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, func, or_, select
from sqlalchemy.engine import Connection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from limner.core.job import AttemptState
from limner.core.money import from_micros
from limner.core.usage import AccountTotal, Audit, UsageBy, UsageGroup, UsageReport, total
from limner.store.money import Slide, Window, lately, spent, within
from limner.store.schema import artifacts, attempts, jobs, ledger
from limner.store.statements import OPERATOR

_DAY_S = 86_400.0
_EPOCH = date(1970, 1, 1).toordinal()
_MOST_MISMATCHES = 100
_AT_ONCE = 1000


class day_number(GenericFunction[int]):  # noqa: N801 - an SQL function is written like one
    """The day in UTC, counted from 1970, of a time in Unix seconds."""

    inherit_cache = True


@compiles(day_number, "sqlite")
def _sqlite_day(element: day_number, compiler: SQLCompiler, **_: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    return f"CAST({compiler.process(element.clauses)} / 86400.0 AS INTEGER)"


@compiles(day_number, "postgresql")
def _postgres_day(element: day_number, compiler: SQLCompiler, **_: Any) -> str:  # noqa: ANN401 - SQLAlchemy's hook
    return f"CAST(floor({compiler.process(element.clauses)} / 86400.0) AS INTEGER)"


@dataclass(slots=True)
class _Sums:
    """What one group adds up to; money in micro-dollars."""

    orders: int = 0
    pictures: int = 0
    estimated: int = 0
    actual: int = 0
    reserved: int = 0
    unknown: int = 0
    unpriced: int = 0

    def add(self, more: "_Sums") -> None:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(more, one.name))

    def shown(self, group: str) -> UsageGroup:
        return UsageGroup(
            group=group,
            orders=self.orders,
            pictures=self.pictures,
            estimated_usd=from_micros(self.estimated),
            actual_usd=from_micros(self.actual),
            reserved_usd=from_micros(self.reserved),
            unknown_usd=from_micros(self.unknown),
            unpriced=self.unpriced,
        )


def usage(connection: Connection, first_day: date, last_day: date, by: UsageBy) -> UsageReport:
    """All orders placed on these days, both included, in UTC. Days and months come in order, the rest by
    what they cost, dearest first."""
    since, until = _begins(first_day), _begins(last_day) + _DAY_S
    found: dict[str, _Sums] = {}
    for key, sums in _added(connection, by, since, until):
        found.setdefault(_named(by, key), _Sums()).add(sums)
    order = sorted(found.items())
    if by not in ("day", "month"):
        order.sort(key=lambda pair: -(pair[1].actual + pair[1].reserved + pair[1].unknown))
    groups = tuple(sums.shown(name) for name, sums in order)
    return UsageReport(first_day=first_day, last_day=last_day, by=by, data=groups, total=total(groups))


def _added(connection: Connection, by: UsageBy, since: float, until: float) -> Iterable[tuple[Any, _Sums]]:
    """The parts of each group's sums."""
    key, booked_key = _keys(by)
    placed = and_(
        attempts.c.submitted_at >= since, attempts.c.submitted_at < until, attempts.c.state != "refused"
    )
    no_price = and_(attempts.c.price_reserved.is_(None), attempts.c.price_actual.is_(None))
    of_jobs = attempts.join(jobs, jobs.c.id == attempts.c.job_id)
    orders = select(key, func.count(), func.sum(case((no_price, 1), else_=0))).select_from(of_jobs)
    for name, count, unpriced in connection.execute(orders.where(placed).group_by(key)):
        yield name, _Sums(orders=count, unpriced=unpriced)
    with_pictures = of_jobs.join(artifacts, artifacts.c.attempt_id == attempts.c.id)
    pictures = select(key, func.count()).select_from(with_pictures).where(placed).group_by(key)
    for name, count in connection.execute(pictures):
        yield name, _Sums(pictures=count)
    booked = (
        select(booked_key, attempts.c.state, ledger.c.kind, func.sum(ledger.c.micros))
        .select_from(ledger.join(attempts, attempts.c.id == ledger.c.attempt_id))
        .where(ledger.c.ordered_at >= since, ledger.c.ordered_at < until)
        .group_by(booked_key, attempts.c.state, ledger.c.kind)
    )
    for name, state, kind, micros in connection.execute(booked):
        yield name, _booked(state, kind, int(micros))


def _keys(by: UsageBy) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    """What orders, and entries of the ledger, are grouped by."""
    match by:
        case "day" | "month":
            return day_number(attempts.c.submitted_at), day_number(ledger.c.ordered_at)
        case "user":
            return jobs.c.tenant, ledger.c.tenant
        case "project":
            return jobs.c.project, ledger.c.project
        case "provider":
            return attempts.c.provider, ledger.c.provider
        case "account":
            return attempts.c.account, ledger.c.account
        case "model":
            return attempts.c.model, attempts.c.model


def _named(by: UsageBy, key: Any) -> str:  # noqa: ANN401 - what the column holds
    if by == "day":
        return date.fromordinal(_EPOCH + key).isoformat()
    return date.fromordinal(_EPOCH + key).isoformat()[:7] if by == "month" else str(key)


def _booked(state: AttemptState, kind: str, micros: int) -> _Sums:
    """Where entries of the ledger count, by what became of their orders."""
    if kind == "settle":
        return _Sums(actual=micros)
    match state:
        case "submitting" | "accepted" | "answered":
            return _Sums(reserved=micros) if kind == "reserve" else _Sums()
        case "unknown":
            return _Sums(unknown=micros) if kind == "reserve" else _Sums()
        case "settled" | "written_off":
            return _Sums(estimated=micros) if kind == "reserve" else _Sums()
        case "refused":
            return _Sums()


def _begins(day: date) -> float:
    """A day's beginning in UTC, Unix seconds."""
    return (day.toordinal() - _EPOCH) * _DAY_S


def used(connection: Connection, windows: Sequence[Window]) -> list[tuple[int, int]]:
    """Of each window: micro-dollars charged, and reserved or unknown."""
    charged = func.coalesce(func.sum(case((ledger.c.kind == "settle", ledger.c.micros), else_=0)), 0)
    found = []
    for one in windows:
        all_, of_it = connection.execute(select(spent(), charged).where(*within(one))).one()
        found.append((int(of_it), int(all_) - int(of_it)))
    return found


def ordered(connection: Connection, slides: Sequence[Slide], at: float) -> list[int]:
    """Of each limit: pictures that count at `at`."""
    query = select(func.coalesce(func.sum(jobs.c.images), 0))
    return [int(connection.execute(query.where(*lately(one, at))).scalar_one()) for one in slides]


def users(connection: Connection, since: float) -> list[str]:
    """Who ordered anything since, by name."""
    query = select(jobs.c.tenant).where(jobs.c.created_at >= since).distinct()
    return sorted(connection.execute(query).scalars())


def audit(connection: Connection) -> Audit:
    """Compare each order with its entries in the ledger, on one view of the database."""
    looked_at = 0
    wrong: list[str] = []
    found = connection.execute(_ENTRIES, execution_options={"yield_per": _AT_ONCE})
    for row in found:
        looked_at += 1
        booked = (int(row.reserve), int(row.release), int(row.settle))
        owed = _owed(row.state, row.price_reserved or 0, row.price_actual or 0)
        if booked != owed and len(wrong) < _MOST_MISMATCHES:
            wrong.append(
                f"order {row.id} ({row.state}) should have reserved, released and settled {owed} "
                f"micro-dollars, and the ledger has {booked}"
            )
        if row.foreign and len(wrong) < _MOST_MISMATCHES:
            wrong.append(f"order {row.id}: {row.foreign} of its entries name another payer, account or time")
    kinds = (_sum("reserve"), _sum("release"), _sum("settle"))
    by_account = select(ledger.c.account, *kinds).group_by(ledger.c.account).order_by(ledger.c.account)
    totals = tuple(_total(name, *map(int, sums)) for name, *sums in connection.execute(by_account))
    return Audit(orders=looked_at, accounts=totals, mismatches=tuple(wrong))


def _owed(state: AttemptState, reserved: int, actual: int) -> tuple[int, int, int]:
    """What should have been reserved, released and settled for an order, micro-dollars."""
    match state:
        case "submitting" | "accepted" | "answered" | "unknown":
            return reserved, 0, 0
        case "refused":
            return reserved, reserved, 0
        case "settled" | "written_off":
            return reserved, reserved, actual


def _total(account: str, reserved: int, released: int, settled: int) -> AccountTotal:
    return AccountTotal(
        account=account,
        reserved_usd=from_micros(reserved),
        released_usd=from_micros(released),
        settled_usd=from_micros(settled),
        open_usd=from_micros(reserved - released),
    )


def _sum(kind: str, *which: ColumnElement[bool]) -> ColumnElement[int]:
    counts = and_(ledger.c.kind == kind, *which)
    return func.coalesce(func.sum(case((counts, ledger.c.micros), else_=0)), 0).label(kind)


def _entries() -> Select[Any]:
    """Every order with its sums in the ledger, and how many entries do not fit it."""
    callers = ledger.c.tenant != OPERATOR
    foreign = or_(
        ledger.c.kind.not_in(("reserve", "release", "settle")),
        ledger.c.micros <= 0,
        and_(callers, or_(ledger.c.tenant != jobs.c.tenant, ledger.c.project != jobs.c.project)),
        ledger.c.provider != attempts.c.provider,
        ledger.c.account != attempts.c.account,
        ledger.c.ordered_at != attempts.c.submitted_at,
    )
    order = (attempts.c.id, attempts.c.state, attempts.c.price_reserved, attempts.c.price_actual)
    return (
        select(*order, _sum("reserve"), _sum("release"), _sum("settle", callers))
        .add_columns(func.coalesce(func.sum(case((foreign, 1), else_=0)), 0).label("foreign"))
        .select_from(
            attempts.join(jobs, jobs.c.id == attempts.c.job_id).outerjoin(
                ledger, ledger.c.attempt_id == attempts.c.id
            )
        )
        .group_by(*order)
        .order_by(attempts.c.id)
    )


_ENTRIES = _entries()
