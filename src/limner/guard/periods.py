"""Days and months, in UTC: everybody's are the same, wherever the server stands."""

from datetime import UTC, datetime

HOUR_S = 3600.0
DAY_S = 86_400.0


def day(at: float) -> tuple[float, float]:
    """Beginning and end of the day that holds `at`, Unix seconds; the end is the next day's beginning."""
    since = at // DAY_S * DAY_S
    return since, since + DAY_S


def month(at: float) -> tuple[float, float]:
    """Beginning and end of the month that holds `at`, Unix seconds."""
    first = datetime.fromtimestamp(at, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    return first.timestamp(), following.timestamp()


def shown(at: float) -> str:
    """For people: `2026-11-21 00:00 UTC`."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
