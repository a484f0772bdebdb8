from datetime import UTC, datetime

import pytest

from limner.guard.periods import day, month, shown


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("moment", "since", "until"),
    [
        ("2026-11-20T00:00:00", "2026-11-20", "2026-11-21"),
        ("2026-11-20T23:59:59.999999", "2026-11-20", "2026-11-21"),
        ("2028-02-29T12:00:00", "2028-02-29", "2028-03-01"),
    ],
)
def test_a_day_is_from_midnight_to_midnight_in_utc(moment, since, until):
    assert day(at(moment)) == (at(since), at(until))


@pytest.mark.parametrize(
    ("moment", "since", "until"),
    [
        ("2026-11-01T00:00:00", "2026-11-01", "2026-12-01"),
        ("2026-11-30T23:59:59.999", "2026-11-01", "2026-12-01"),
        ("2026-12-31T23:59:59", "2026-12-01", "2027-01-01"),
        ("2028-02-29T12:00:00", "2028-02-01", "2028-03-01"),
    ],
)
def test_a_month_is_from_its_first_to_the_next_ones_first_in_utc(moment, since, until):
    assert month(at(moment)) == (at(since), at(until))


def test_a_time_is_shown_with_its_zone():
    assert shown(at("2026-11-21T00:00:00")) == "2026-11-21 00:00 UTC"
