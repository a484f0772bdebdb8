from decimal import Decimal

from limner.allowance import rules
from limner.config import BudgetSettings, LimitSettings, Settings
from limner.core.usage import BudgetStanding, LimitStanding, Standings
from limner.guard.budgets import Budget
from limner.guard.limits import Limit
from limner.guard.periods import day, month
from limner.guard.rules import Rules
from limner.guard.scope import Scope
from tests.fakes import Desk, limner, request, vendor


def test_settings_become_rules_in_micro_dollars(home):
    settings = Settings(
        home=home,
        budgets={
            "team": BudgetSettings(
                user="ann", project="zoo", account="easel", day_usd="0.000001", month_usd=2
            )
        },
        limits={"team": LimitSettings(user="ann", project="zoo", images_per_hour=3, images_per_day=4)},
    )
    assert rules(settings) == Rules(
        (Budget("team", Scope("ann", "zoo", "easel"), 1, 2_000_000),),
        (Limit("team", Scope("ann", "zoo"), 3, 4),),
        usual_day_micros=10_000_000,
        usual_hour=10,
        usual_day=50,
        exempt=frozenset({"local"}),
    )


def test_what_is_off_is_no_rule(home):
    off = dict.fromkeys(("default_day_usd", "default_images_per_hour", "default_images_per_day"), "off")
    assert rules(Settings(home=home, **off)) == Rules(exempt=frozenset({"local"}))


async def test_standings_show_every_budget_and_the_usual_ones_of_those_who_ordered(home):
    tables = {"budgets": {"zoo": {"project": "zoo", "month_usd": "0.03"}}, "default_images_per_day": "off"}
    async with limner(home, vendor(Desk()), **tables) as app:
        job = await app.draw(request(), by="ann")
        await app.draw(request())
        told = await app.standings()
    at = job.created_at
    nobody = {"user": None, "project": None, "account": None}
    nothing = {"spent_usd": Decimal(0), "reserved_usd": Decimal(0)}
    zoo = nobody | nothing | {"project": "zoo", "limit_usd": Decimal("0.03"), "left_usd": Decimal("0.03")}
    ann = nobody | nothing | {"user": "ann", "limit_usd": Decimal(10), "left_usd": Decimal("9.96")}
    assert told == Standings(
        budgets=(
            BudgetStanding(name="zoo", period="month", resets_at=month(at)[1], **zoo),
            BudgetStanding(
                name="usual", period="day", resets_at=day(at)[1], **ann | {"spent_usd": Decimal("0.04")}
            ),
        ),
        limits=(
            LimitStanding(name="usual", user="ann", project=None, period="hour", limit=10, used=1, left=9),
        ),
    )


async def test_a_budget_that_was_lowered_below_what_is_spent_has_nothing_left(home):
    async with limner(home, vendor(Desk())) as app:
        await app.draw(request())
    async with limner(home, vendor(Desk()), budgets={"all": {"day_usd": "0.01"}}) as app:
        (standing,) = (await app.standings()).budgets
    assert (standing.spent_usd, standing.left_usd) == (Decimal("0.04"), Decimal(0))
