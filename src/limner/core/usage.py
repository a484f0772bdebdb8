"""What was spent, what may still be spent, and whether the books agree."""

import csv
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO
from typing import Literal

from pydantic import BaseModel, ConfigDict

from limner.core.errors import InvalidRequest
from limner.core.money import FREE, Usd

UsageBy = Literal["day", "month", "user", "project", "provider", "account", "model"]
LOCAL_USER = "local"
"""Whoever works on this machine without an identity."""


class UsageGroup(BaseModel):
    """The orders of one day, user, provider and so on. Orders count on the day they were placed, in UTC,
    however long they took."""

    model_config = ConfigDict(frozen=True)

    group: str
    orders: int
    """Placed at a provider; those that were certainly not charged are left out."""
    pictures: int
    estimated_usd: Usd
    """What had been reserved for the orders that are settled."""
    actual_usd: Usd
    """What those were charged in the end."""
    reserved_usd: Usd
    """For orders under way."""
    unknown_usd: Usd
    """For orders that may have been charged: counted as spent until somebody learns more."""
    unpriced: int
    """Orders whose price nobody knows: they are in none of the sums."""


class UsageReport(BaseModel):
    """Orders from the first to the last day, both included, in UTC."""

    model_config = ConfigDict(frozen=True)

    first_day: date
    last_day: date
    by: UsageBy
    data: tuple[UsageGroup, ...]
    total: UsageGroup


class BudgetStanding(BaseModel):
    """How far a budget is used now. What is None does not matter to it."""

    model_config = ConfigDict(frozen=True)

    name: str
    user: str | None
    project: str | None
    account: str | None
    period: Literal["day", "month"]
    limit_usd: Usd
    spent_usd: Usd
    reserved_usd: Usd
    """For orders under way, and for those that may have been charged."""
    left_usd: Usd
    resets_at: float
    """Unix seconds: the next midnight, or first of a month, in UTC."""


class LimitStanding(BaseModel):
    """How far a limit on pictures is used now. What is None does not matter to it."""

    model_config = ConfigDict(frozen=True)

    name: str
    user: str | None
    project: str | None
    period: Literal["hour", "day"]
    """The last 3,600 seconds, or the last 86,400: it slides."""
    limit: int
    used: int
    left: int


class Standings(BaseModel):
    """Every budget and limit that is set; of the usual ones, those of users who ordered lately."""

    model_config = ConfigDict(frozen=True)

    budgets: tuple[BudgetStanding, ...]
    limits: tuple[LimitStanding, ...]


class AccountTotal(BaseModel):
    """The ledger's sums for one account."""

    model_config = ConfigDict(frozen=True)

    account: str
    reserved_usd: Usd
    released_usd: Usd
    settled_usd: Usd
    open_usd: Usd
    """Reserved and not released: under way, or unknown."""


class Audit(BaseModel):
    """Whether the ledger says what the orders say."""

    model_config = ConfigDict(frozen=True)

    orders: int
    """How many were looked at."""
    accounts: tuple[AccountTotal, ...]
    mismatches: tuple[str, ...]
    """One sentence each, the first hundred; empty when the books agree."""


def total(groups: "tuple[UsageGroup, ...]") -> UsageGroup:
    """All groups together."""

    def usd(amounts: "list[Decimal]") -> Decimal:
        return sum(amounts, FREE)

    return UsageGroup(
        group="total",
        orders=sum(one.orders for one in groups),
        pictures=sum(one.pictures for one in groups),
        estimated_usd=usd([one.estimated_usd for one in groups]),
        actual_usd=usd([one.actual_usd for one in groups]),
        reserved_usd=usd([one.reserved_usd for one in groups]),
        unknown_usd=usd([one.unknown_usd for one in groups]),
        unpriced=sum(one.unpriced for one in groups),
    )


def span(first: str | None, last: str | None, now: float) -> tuple[date, date]:
    """The first and last day that were written; what is None is the month that holds the last day, and today
    in UTC. Raises `InvalidRequest`."""
    last_day = datetime.fromtimestamp(now, UTC).date() if last is None else _day("to", last)
    first_day = last_day.replace(day=1) if first is None else _day("from", first)
    if first_day > last_day:
        raise InvalidRequest(f"from: {first_day} is after {last_day}; give the earlier day first", "from")
    return first_day, last_day


def _day(name: str, text: str) -> date:
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{name}: {text[:40]!r} is no day; write it as in 2026-11-20", name) from None


_COLUMNS = tuple(UsageGroup.model_fields)


def as_csv(report: UsageReport) -> str:
    """One line per group under a heading, as RFC 4180 has it; without the total, which programs add up.

    A name that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    out = StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow((report.by, *_COLUMNS[1:]))
    for one in report.data:
        writer.writerow(_cell(getattr(one, name)) for name in _COLUMNS)
    return out.getvalue()


def _cell(value: str | int | Decimal) -> str:
    if not isinstance(value, str):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else value
