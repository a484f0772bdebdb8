import csv
from datetime import date
from decimal import Decimal
from io import StringIO

import pytest

from limner.core.errors import InvalidRequest
from limner.core.usage import UsageGroup, UsageReport, as_csv, span, total

NOON = 1_795_176_000.0
"""2026-11-20 12:00 UTC"""
HEAD = "orders,pictures,estimated_usd,actual_usd,reserved_usd,unknown_usd,unpriced"


def group(name: str, usd: str = "0.04") -> UsageGroup:
    amount = Decimal(usd)
    return UsageGroup(
        group=name,
        orders=1,
        pictures=2,
        estimated_usd=amount,
        actual_usd=amount,
        reserved_usd=amount,
        unknown_usd=amount,
        unpriced=3,
    )


def report(*groups: UsageGroup, by="user") -> UsageReport:
    day = date(2026, 11, 20)
    return UsageReport(first_day=day, last_day=day, by=by, data=groups, total=total(groups))


def test_a_total_adds_up_everything_exactly():
    assert total((group("a", "0.1"), group("b", "0.2"))) == UsageGroup(
        group="total",
        orders=2,
        pictures=4,
        estimated_usd=Decimal("0.3"),
        actual_usd=Decimal("0.3"),
        reserved_usd=Decimal("0.3"),
        unknown_usd=Decimal("0.3"),
        unpriced=6,
    )


def test_csv_has_a_heading_and_a_line_per_group_without_the_total():
    assert as_csv(report(group("ann"), group("bob", "0.000001"))) == (
        f"user,{HEAD}\r\nann,1,2,0.04,0.04,0.04,0.04,3\r\nbob,1,2,0.000001,0.000001,0.000001,0.000001,3\r\n"
    )


def test_csv_of_nothing_is_its_heading():
    assert as_csv(report(by="day")) == f"day,{HEAD}\r\n"


@pytest.mark.parametrize("name", ['a,"b"', "line\nbreak", "x\r\ny", "ünï", ""])
def test_any_name_survives_csv(name):
    read = list(csv.reader(StringIO(as_csv(report(group(name))), newline="")))
    assert read[1][0] == name


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
def test_a_name_is_never_a_formula(name):
    read = list(csv.reader(StringIO(as_csv(report(group(name))), newline="")))
    assert read[1][0] == f"'{name}"


@pytest.mark.parametrize(
    ("first", "last", "meant"),
    [
        (None, None, (date(2026, 11, 1), date(2026, 11, 20))),
        ("2026-11-19", None, (date(2026, 11, 19), date(2026, 11, 20))),
        (None, "2026-02-28", (date(2026, 2, 1), date(2026, 2, 28))),
        ("2025-12-31", "2026-01-01", (date(2025, 12, 31), date(2026, 1, 1))),
        ("2026-11-20", "2026-11-20", (date(2026, 11, 20), date(2026, 11, 20))),
        ("0001-01-01", "9999-12-31", (date.min, date.max)),
    ],
)
def test_days_that_are_left_out_are_today_and_its_month(first, last, meant):
    assert span(first, last, NOON) == meant


@pytest.mark.parametrize(
    ("first", "last", "field", "said"),
    [
        (
            "2026-11-21",
            "2026-11-20",
            "from",
            "from: 2026-11-21 is after 2026-11-20; give the earlier day first",
        ),
        ("yesterday", None, "from", "from: 'yesterday' is no day; write it as in 2026-11-20"),
        (None, "2026-02-30", "to", "to: '2026-02-30' is no day; write it as in 2026-11-20"),
        (None, "20261120", "to", "to: '20261120' is no day; write it as in 2026-11-20"),
        (None, "\u0662026-11-20", "to", "to: '\u0662026-11-20' is no day; write it as in 2026-11-20"),
        (None, "0000-01-01", "to", "to: '0000-01-01' is no day; write it as in 2026-11-20"),
    ],
)
def test_what_is_no_day_is_refused_by_name(first, last, field, said):
    with pytest.raises(InvalidRequest) as refusal:
        span(first, last, NOON)
    assert (str(refusal.value), refusal.value.field) == (said, field)
