from decimal import Decimal

import pytest

from limner.core.errors import OverBudget
from limner.core.job import Attempt, Job, JobState, Receipt
from limner.core.request import GenerateRequest
from limner.mcp import purse as module
from limner.mcp.purse import Purse, Purses


def job(state: JobState, cost: str | None, ceiling: str = "0.04", attempts: int = 1) -> Job:
    tried = Attempt(
        n=1,
        state="settled",
        provider="easel",
        account="easel",
        model="oil",
        why="first choice",
        how="direct",
        price_usd=None if cost is None else Decimal(cost),
        submitted_at=0,
    )
    return Job(
        id="a",
        state=state,
        request=GenerateRequest(prompt="a red fox"),
        created_at=0,
        ceiling_usd=Decimal(ceiling),
        receipt=Receipt(attempts=(tried,) * attempts, cost_usd=None if cost is None else Decimal(cost)),
    )


def test_an_order_counts_at_its_price_until_its_cost_is_known():
    purse = Purse(Decimal(1))
    purse.hold("a", Decimal("0.04"), None)
    purse.settle(job("running", None))
    assert (purse.spent, purse.left, purse.unsettled) == (Decimal("0.04"), Decimal("0.96"), ("a",))
    purse.settle(job("succeeded", "0.03"))
    assert (purse.spent, purse.left, purse.unsettled) == (Decimal("0.03"), Decimal("0.97"), ())


def test_an_order_that_ended_without_a_known_cost_stays_counted():
    purse = Purse(Decimal(1))
    purse.hold("a", Decimal("0.04"), None)
    purse.settle(job("failed", None))
    assert (purse.spent, purse.unsettled) == (Decimal("0.04"), ("a",))


def test_an_order_that_ended_before_anybody_was_asked_costs_nothing():
    purse = Purse(Decimal(1))
    purse.hold("a", Decimal("0.04"), None)
    purse.settle(job("canceled", None, attempts=0))
    assert purse.spent == 0


def test_a_dearer_price_that_a_person_agreed_to_is_counted():
    purse = Purse(Decimal(1))
    purse.hold("a", Decimal("0.04"), None)
    purse.settle(job("running", None, ceiling="0.50"))
    assert purse.left == Decimal("0.50")


def test_an_order_given_again_under_its_key_counts_once():
    purse = Purse(Decimal(1))
    assert not purse.knows("k")
    purse.hold("a", Decimal("0.04"), "k")
    purse.hold("a", Decimal("0.04"), "k")
    assert purse.knows("k")
    assert not purse.knows(None)
    assert purse.spent == Decimal("0.04")


@pytest.mark.parametrize(
    ("price", "said"),
    [
        (Decimal("1.01"), "this costs $1.01, and $1.00 of this session's ceiling of $1.00"),
        (None, "nobody knows"),
    ],
)
def test_what_is_not_within_the_ceiling_is_refused(price, said):
    with pytest.raises(OverBudget, match=said.replace("$", r"\$")):
        Purse(Decimal(1)).check(price)


def test_exactly_what_is_left_may_be_spent():
    purse = Purse(Decimal(1))
    purse.check(Decimal(1))
    purse.hold("a", Decimal(1), None)
    with pytest.raises(OverBudget, match=r"\$0.00 of this session's"):
        purse.check(Decimal("0.000001"))
    purse.check(Decimal(0))


def test_without_a_ceiling_everything_may_be_bought():
    purse = Purse(None)
    purse.check(None)
    purse.check(Decimal(10**6))
    assert purse.left is None


def test_with_a_window_what_was_ordered_long_ago_counts_no_more(monkeypatch):
    now = 1_000_000.0
    monkeypatch.setattr(module.time, "time", lambda: now)
    purse = Purses(Decimal(1)).of_caller("ann")
    purse.hold("a", Decimal("0.60"), None)
    now += 86_399
    assert purse.left == Decimal("0.40")
    now += 2
    assert purse.left == Decimal(1)


def test_sessions_and_callers_have_purses_of_their_own_and_few_sessions_are_forgotten(monkeypatch):
    monkeypatch.setattr(module, "MAX_SESSIONS", 2)
    purses = Purses(Decimal(1))
    first = purses.of_session("1")
    assert purses.of_session("1") is first
    assert purses.of_session("2") is not first
    assert purses.of_session("1") is first
    purses.of_session("3")
    assert purses.of_session("1") is first
    assert purses.of_caller("1") is not first
