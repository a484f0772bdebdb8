"""Budgets: how much money a user, a project, an account or everybody together may spend a day or a month."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from limner.core.errors import OverBudget
from limner.core.money import from_micros, show
from limner.guard import periods
from limner.guard.scope import Scope


@dataclass(frozen=True, slots=True)
class Budget:
    """Micro-dollars a day and a month; None is no bound."""

    name: str
    scope: Scope
    day_micros: int | None = None
    month_micros: int | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """One budget on one day or in one month: `since` to `until`, Unix seconds, `until` excluded."""

    name: str
    scope: Scope
    period: Literal["day", "month"]
    micros: int
    since: float
    until: float

    @property
    def key(self) -> str:
        """The same for all orders that this budget counts together."""
        return f"budget {self.name} {self.scope}"

    def refusal(self, held: int, price: int | None, target: str) -> OverBudget | None:
        """Why the target may not be asked when `held` is spent or reserved already; None when it may."""
        bound = f"budget {self.name!r} ({self.scope}: {_usd(self.micros)} a {self.period})"
        if price is None:
            return OverBudget(
                f"{bound}: the price of {target} is unknown, and what is unknown fits no budget; "
                "name a model with a price"
            )
        if held + price <= self.micros:
            return None
        return OverBudget(
            f"{bound}: {_usd(held)} is spent or reserved, and {target} costs {_usd(price)}; "
            f"the next {self.period} begins at {periods.shown(self.until)}; "
            "what is free may be drawn meanwhile"
        )


def windows(budgets: Iterable[Budget], at: float) -> Iterator[Window]:
    """The day and the month of each budget that hold `at`."""
    for one in budgets:
        if one.day_micros is not None:
            yield Window(one.name, one.scope, "day", one.day_micros, *periods.day(at))
        if one.month_micros is not None:
            yield Window(one.name, one.scope, "month", one.month_micros, *periods.month(at))


def _usd(micros: int) -> str:
    """Nothing spent is $0.00, not `free`."""
    return show(from_micros(micros)) if micros else "$0.00"
