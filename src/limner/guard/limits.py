"""Limits: how many pictures a user, a project or everybody together may order in the last hour or day."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from limner.core.errors import OverLimit
from limner.guard.periods import DAY_S, HOUR_S
from limner.guard.scope import Scope

Order = tuple[float, int]
"""When it was accepted, Unix seconds, and how many pictures it asked for."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Pictures in an hour and in a day; None is no bound. The scope's account does not matter."""

    name: str
    scope: Scope
    hour: int | None = None
    day: int | None = None


@dataclass(frozen=True, slots=True)
class Slide:
    """One limit over the last hour or day."""

    name: str
    scope: Scope
    period: Literal["hour", "day"]
    pictures: int

    @property
    def seconds(self) -> float:
        """How long an order counts."""
        return HOUR_S if self.period == "hour" else DAY_S

    @property
    def key(self) -> str:
        """The same for all orders that this limit counts together."""
        return f"limit {self.name} {self.scope}"

    def refusal(self, orders: Sequence[Order], wanted: int, at: float) -> OverLimit | None:
        """Why `wanted` more pictures may not be ordered at `at`; None when they may. `orders` are those that
        count, oldest first; the error says in how many seconds enough of them will count no more."""
        used = sum(pictures for _, pictures in orders)
        if used + wanted <= self.pictures:
            return None
        bound = f"limit {self.name!r} ({self.scope}: {_pictures(self.pictures)} in any {self.period})"
        if wanted > self.pictures:
            return OverLimit(f"{bound}: {wanted} at once are too many; order fewer", self.seconds)
        for accepted_at, pictures in orders:
            used -= pictures
            if used + wanted <= self.pictures:
                after_s = max(1.0, accepted_at + self.seconds - at)
                said = f"{bound}: no room for {wanted} more now; try again in {_shown(after_s)}"
                return OverLimit(said, after_s)
        raise AssertionError("without any order there is room for what the limit allows")


def slides(limits: Iterable[Limit]) -> Iterator[Slide]:
    """The hour and the day of each limit."""
    for one in limits:
        if one.hour is not None:
            yield Slide(one.name, one.scope, "hour", one.hour)
        if one.day is not None:
            yield Slide(one.name, one.scope, "day", one.day)


def _pictures(count: int) -> str:
    return "1 picture" if count == 1 else f"{count} pictures"


def _shown(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
