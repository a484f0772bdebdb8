import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.core import errors
from limner.core.request import Policy
from limner.jobs.reconcile import may_fall_back, may_repeat, next_step, wait_s
from limner.providers.base import Recovery
from limner.store.rows import OpenAttempt
from tests.fakes import request, target

PAID, FREE, UNPRICED = target("a"), target("local", "0"), target("c", None)
KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.ProviderError) and kind is not errors.ProviderError
]


@pytest.mark.parametrize(
    ("ticket", "wanted", "recovery"),
    list(itertools.product([{"id": "7"}, None], [PAID, FREE, UNPRICED], Recovery)),
)
def test_the_next_step_of_every_open_order(ticket, wanted, recovery):
    attempt = OpenAttempt("job", 1, wanted, "first choice", 0.0, 0.0, ticket=ticket)
    expected = {
        Recovery.NAMED: "find",  # by our own id
        Recovery.TICKETED: "find",
        Recovery.BLIND: "unknown",
    }[recovery]
    if wanted is FREE and recovery is not Recovery.NAMED:
        expected = "submit"
    if ticket:
        expected = "poll"
    assert next_step(attempt, recovery) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_where_money_may_have_been_taken_only_free_orders_are_repeated(kind):
    error = kind("said")
    assert may_repeat(error, PAID) == (kind in (errors.RateLimited, errors.Unavailable))
    assert may_repeat(error, UNPRICED) == (kind in (errors.RateLimited, errors.Unavailable))
    billed = (errors.TimedOut, errors.Malformed, errors.Lost, errors.Unknown)
    assert may_repeat(error, FREE) == (kind in (errors.RateLimited, errors.Unavailable, *billed))


@pytest.mark.parametrize("kind", KINDS)
def test_who_may_follow_whom(kind):
    error = kind("said")
    never = kind in (errors.Refused, errors.Exhausted)
    billed = kind in (errors.TimedOut, errors.Malformed, errors.Lost, errors.Unknown)
    assert may_fall_back(error, FREE, request()) is (not never)
    assert may_fall_back(error, PAID, request()) is (not never and not billed)
    assert may_fall_back(error, UNPRICED, request()) is (not never and not billed)
    assert may_fall_back(error, FREE, request(policy=Policy(fallback=False))) is False


@given(st.integers(0, 1000), st.floats(0, 1), st.one_of(st.none(), st.floats(0, 1000)))
def test_a_wait_is_never_shorter_than_asked_and_else_at_most_45_seconds(tries, jitter, asked):
    wait = wait_s(tries, jitter, asked)
    assert wait >= (asked or 0.0)
    assert wait <= max(45.0, asked or 0.0)


def test_waits_double():
    assert [wait_s(tries, 0.5) for tries in range(4)] == [0.25, 0.5, 1.0, 2.0]
