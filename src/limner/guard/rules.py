"""All budgets and limits that are set, and which of them an order falls under."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from limner.guard.budgets import Budget, Window, windows
from limner.guard.limits import Limit, Slide, slides
from limner.guard.scope import Scope

USUAL = "usual"
"""The name of the budget and the limit that every identified user has who has none of their own."""


@dataclass(frozen=True, slots=True)
class Rules:
    """`usual` ones are every identified user's, each for themselves; a table that names the user replaces
    them. The `exempt` are not identified, and fall under the tables only."""

    budgets: tuple[Budget, ...] = ()
    limits: tuple[Limit, ...] = ()
    usual_day_micros: int | None = None
    usual_hour: int | None = None
    usual_day: int | None = None
    exempt: frozenset[str] = field(default_factory=frozenset)

    @property
    def idle(self) -> bool:
        """No order falls under any budget."""
        return not self.budgets and self.usual_day_micros is None

    def windows(self, user: str, project: str, account: str, at: float) -> tuple[Window, ...]:
        """What bounds the money of an order that is placed at `at`, Unix seconds."""
        applying = [one for one in self._budgets([user]) if one.scope.covers(user, project, account)]
        return tuple(windows(applying, at))

    def slides(self, user: str, project: str) -> tuple[Slide, ...]:
        """What bounds the pictures of an order."""
        applying = [one for one in self._limits([user]) if one.scope.covers(user, project, None)]
        return tuple(slides(applying))

    def all_windows(self, users: Collection[str], at: float) -> tuple[Window, ...]:
        """Every budget as it stands at `at`, the usual one of each of these users included."""
        return tuple(windows(self._budgets(users), at))

    def all_slides(self, users: Collection[str]) -> tuple[Slide, ...]:
        """Every limit, the usual one of each of these users included."""
        return tuple(slides(self._limits(users)))

    def _budgets(self, users: Collection[str]) -> Iterator[Budget]:
        yield from self.budgets
        own = {one.scope for one in self.budgets}
        for scope in self._usual(users, own):
            yield Budget(USUAL, scope, self.usual_day_micros)

    def _limits(self, users: Collection[str]) -> Iterator[Limit]:
        yield from self.limits
        own = {one.scope for one in self.limits}
        for scope in self._usual(users, own):
            yield Limit(USUAL, scope, self.usual_hour, self.usual_day)

    def _usual(self, users: Collection[str], own: Collection[Scope]) -> Iterator[Scope]:
        for user in users:
            if user not in self.exempt and Scope(user=user) not in own:
                yield Scope(user=user)
