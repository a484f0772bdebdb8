from decimal import Decimal

import pytest

from limner.core.job import Attempt, Confirmation, Decided, Failure
from limner.core.request import Policy
from limner.jobs.consent import asks, may_follow, question, room_usd, unanswered, why
from tests.fakes import target

ASK, NEVER = Policy(), Policy(on_unknown="never")
AUTO = Policy(on_unknown="auto", auto_usd=Decimal("0.10"))
SAID = Decided(decision="pay_again", by="Ada", at=5.0)


def attempt(n=1, state="unknown", code="timed_out", usd="0.04", decided=None) -> Attempt:
    return Attempt(
        n=n,
        state=state,
        provider="easel",
        account="easel",
        model="m",
        why="first choice",
        how="direct",
        price_usd=None if usd is None else Decimal(usd),
        submitted_at=1.0,
        error=Failure(code=code, message="no answer"),
        decided=decided,
    )


LOST, AGREED = attempt(), attempt(decided=SAID)
REFUSED = attempt(2, "refused", "unavailable")


@pytest.mark.parametrize(
    ("tried", "found"),
    [
        ((), None),
        ((attempt(state="settled"),), None),
        ((LOST,), LOST),
        ((LOST, REFUSED), LOST),
        ((AGREED,), None),
        ((AGREED, REFUSED), None),
        ((LOST, attempt(2, decided=SAID)), None),
        ((AGREED, attempt(2)), attempt(2)),
        ((attempt(state="written_off"),), None),
    ],
)
def test_the_last_lost_order_stands_in_the_way_until_somebody_has_agreed(tried, found):
    assert unanswered(tried) == found


@pytest.mark.parametrize("code", ["timed_out", "malformed", "lost", "unknown"])
def test_a_person_is_asked_where_there_may_be_a_picture(code):
    assert asks(attempt(code=code), ASK) is True
    assert asks(attempt(code=code), AUTO) is True
    assert asks(attempt(code=code), NEVER) is False


@pytest.mark.parametrize("code", ["refused", "rejected"])
def test_nobody_is_asked_to_buy_the_same_refusal_again(code):
    assert asks(attempt(code=code), ASK) is False


FREE, CHEAP, DEAR, UNPRICED = target("a", "0"), target("b", "0.04"), target("c", "0.11"), target("d", None)


@pytest.mark.parametrize(
    ("tried", "policy", "left"),
    [
        ((), ASK, (FREE, CHEAP, DEAR, UNPRICED)),
        ((LOST,), ASK, (FREE,)),
        ((LOST,), NEVER, (FREE,)),
        ((LOST,), AUTO, (FREE, CHEAP)),
        ((LOST, attempt(2, usd="0.07")), AUTO, (FREE,)),
        ((AGREED,), ASK, (FREE, CHEAP, DEAR, UNPRICED)),
    ],
)
def test_what_may_follow_a_lost_order_unasked_is_free_or_within_the_policys_money(tried, policy, left):
    assert may_follow((FREE, CHEAP, DEAR, UNPRICED), tried, policy) == left


@pytest.mark.parametrize(
    ("tried", "usd"),
    [
        ((), "0"),
        ((LOST,), "0.10"),
        ((LOST, attempt(2)), "0.06"),
        ((LOST, attempt(2), REFUSED.model_copy(update={"n": 3})), "0.06"),
        ((LOST, attempt(2), attempt(3)), "0.02"),
        ((LOST, attempt(2, usd="0.2")), "0"),
        ((LOST, attempt(2, usd=None)), "0"),
    ],
)
def test_the_policys_money_is_spent_once(tried, usd):
    assert room_usd(tried, AUTO) == Decimal(usd)
    assert room_usd(tried, ASK) == 0


@pytest.mark.parametrize(
    ("tried", "policy", "said"),
    [
        ((AGREED,), ASK, "again: Ada agreed to pay again"),
        ((LOST,), AUTO, "again: the policy pays up to $0.10 again"),
        ((AGREED, REFUSED), ASK, "again: unavailable"),
        ((REFUSED.model_copy(update={"error": None}),), ASK, "again"),
    ],
)
def test_another_order_says_who_agreed_to_it(tried, policy, said):
    assert why(tried, policy) == said


def test_a_question_names_the_vendor_the_money_and_the_ways_out():
    assert question(LOST) == Confirmation(
        reason="unknown",
        message=(
            "easel/m took the order and its answer is lost (no answer). $0.04 counts as charged, and "
            "nothing is bought in its place before a person says so: pay_again buys another, write_off gives "
            "it up as charged, delivered hands over the picture if it came by another way. "
            "`limner reconcile --ask`, or POST /v1/reconcile, asks the vendor once more."
        ),
        choices=("pay_again", "write_off", "delivered"),
        target="easel/m",
        price_usd=Decimal("0.04"),
    )
    assert "). an unknown price counts" in question(attempt(usd=None)).message
