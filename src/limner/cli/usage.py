"""The commands about money: usage and audit."""

import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Literal, get_args

from limner.cli import session, view, words
from limner.cli.show import show
from limner.core.errors import InvalidRequest
from limner.core.usage import Audit, BudgetStanding, Standings, UsageBy, UsageGroup, UsageReport, as_csv, span

GROUPINGS: tuple[UsageBy, ...] = get_args(UsageBy)
Form = Literal["table", "csv", "json"]


def usage(first: str | None, last: str | None, *, by: str, form: Form, debug: bool) -> None:
    """What was spent, and what is left."""
    grouping = next((known for known in GROUPINGS if known == by), None)
    if grouping is None:
        raise InvalidRequest(f"--by must be one of {', '.join(GROUPINGS)}, not {by[:60]!r}", "by")
    first_day, last_day = span(first, last, time.time())

    async def ask() -> tuple[UsageReport, Standings]:
        async with session.entered(chosen, idle=True) as door:
            return await door.usage(first_day, last_day, grouping), await door.standings()

    chosen = session.settings(debug=debug).settings
    report, standings = session.run(ask)
    match form:
        case "csv":
            sys.stdout.write(as_csv(report))
        case "json":
            words.print_json(
                report.model_dump(mode="json") | {"standings": standings.model_dump(mode="json")}
            )
        case "table":
            columns = (
                report.by,
                "orders",
                "pictures",
                "estimated",
                "actual",
                "under way",
                "unknown",
                "no price",
            )
            show(columns, map(_row, (*report.data, report.total)))
            _left(standings)


def _row(one: UsageGroup) -> tuple[str, ...]:
    amounts = (one.estimated_usd, one.actual_usd, one.reserved_usd, one.unknown_usd)
    return one.group, str(one.orders), str(one.pictures), *map(_usd, amounts), str(one.unpriced)


def _usd(amount: Decimal) -> str:
    """Amounts in a column: to the cent, and further where there is more."""
    whole, _, cents = f"{amount:f}".partition(".")
    return f"${whole}.{cents.rstrip('0'):0<2}"


def _left(standings: Standings) -> None:
    """Budgets and limits, where there are any."""
    rows = [*map(_budget, standings.budgets), *_limits(standings)]
    if rows:
        view.out().print()
        show(("bound", "of", "used", "left", "free again"), rows)


def _budget(one: BudgetStanding) -> tuple[str, ...]:
    whom = ", ".join(name for name in (one.user, one.project, one.account) if name) or "everybody"
    until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(one.resets_at))
    bound = f"{one.name}: {_usd(one.limit_usd)} a {one.period}"
    return bound, whom, _usd(one.spent_usd + one.reserved_usd), _usd(one.left_usd), until


def _limits(standings: Standings) -> Iterator[tuple[str, ...]]:
    for one in standings.limits:
        whom = ", ".join(name for name in (one.user, one.project) if name) or "everybody"
        yield f"{one.name}: {one.limit} pictures in any {one.period}", whom, str(one.used), str(one.left), ""


def audit(*, as_json: bool, debug: bool) -> int:
    """Whether the ledger says what the orders say: 0 when it does."""

    async def ask() -> Audit:
        async with session.entered(chosen, idle=True) as door:
            return await door.audit()

    chosen = session.settings(debug=debug).settings
    found = session.run(ask)
    if as_json:
        words.print_json(found.model_dump(mode="json"))
    else:
        show(
            ("account", "reserved", "released", "settled", "open"),
            (
                (one.account, *map(_usd, (one.reserved_usd, one.released_usd, one.settled_usd, one.open_usd)))
                for one in found.accounts
            ),
        )
        for sentence in found.mismatches:
            words.warn(sentence)
        if not found.mismatches:
            view.out().print(f"{found.orders} orders, and the ledger agrees with each")
    return 1 if found.mismatches else 0
