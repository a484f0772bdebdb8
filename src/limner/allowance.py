"""Who may spend how much: what the settings say as rules, and how far they are used."""

from collections.abc import Sequence

from limner.config import Settings
from limner.core.money import from_micros, to_micros
from limner.core.usage import LOCAL_USER, BudgetStanding, LimitStanding, Standings
from limner.guard.budgets import Budget, Window
from limner.guard.limits import Limit, Slide
from limner.guard.periods import DAY_S, month
from limner.guard.rules import Rules
from limner.guard.scope import Scope
from limner.store.store import Store


def rules(settings: Settings) -> Rules:
    """The budgets and limits that are set. Whoever works on this machine without an identity falls under the
    tables only."""
    usual = settings.default_day_usd
    return Rules(
        budgets=tuple(
            Budget(
                name,
                Scope(one.user, one.project, one.account),
                None if one.day_usd is None else to_micros(one.day_usd),
                None if one.month_usd is None else to_micros(one.month_usd),
            )
            for name, one in settings.budgets.items()
        ),
        limits=tuple(
            Limit(name, Scope(one.user, one.project), one.images_per_hour, one.images_per_day)
            for name, one in settings.limits.items()
        ),
        usual_day_micros=None if usual is None else to_micros(usual),
        usual_hour=settings.default_images_per_hour,
        usual_day=settings.default_images_per_day,
        exempt=frozenset({LOCAL_USER}),
    )


async def standings(store: Store, rules_: Rules, at: float) -> Standings:
    """Every budget and limit as it stands at `at`, Unix seconds; the usual ones of users who ordered in this
    month or in the last day."""
    users = await store.users(min(month(at)[0], at - DAY_S))
    windows, slides = rules_.all_windows(users, at), rules_.all_slides(users)
    used, ordered = await store.used(windows), await store.ordered(slides, at)
    return Standings(
        budgets=tuple(_budget(one, *sums) for one, sums in zip(windows, used, strict=True)),
        limits=_limits(slides, ordered),
    )


def _budget(window: Window, spent: int, reserved: int) -> BudgetStanding:
    return BudgetStanding(
        name=window.name,
        user=window.scope.user,
        project=window.scope.project,
        account=window.scope.account,
        period=window.period,
        limit_usd=from_micros(window.micros),
        spent_usd=from_micros(spent),
        reserved_usd=from_micros(reserved),
        left_usd=from_micros(max(0, window.micros - spent - reserved)),
        resets_at=window.until,
    )


def _limits(slides: Sequence[Slide], ordered: Sequence[int]) -> tuple[LimitStanding, ...]:
    return tuple(
        LimitStanding(
            name=one.name,
            user=one.scope.user,
            project=one.scope.project,
            period=one.period,
            limit=one.pictures,
            used=used,
            left=max(0, one.pictures - used),
        )
        for one, used in zip(slides, ordered, strict=True)
    )
