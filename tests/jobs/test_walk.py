import pytest

from limner.core.errors import (
    Exhausted,
    Lost,
    Malformed,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
    Unknown,
)
from limner.core.request import Policy
from limner.jobs.walk import Bought, Failures, walk
from limner.store.rows import OpenAttempt
from tests.fakes import done, request, target

A, B, LOCAL = target("a"), target("b"), target("local", "0")


class Placer:
    """Places orders by a table of provider to outcome, and keeps the list of those placed."""

    def __init__(self, **outcomes):
        self.outcomes = outcomes
        self.placed = []
        self.followed = {}

    async def __call__(self, wanted, why, followed):
        self.placed.append((wanted.provider, why))
        self.followed[wanted.provider] = followed
        outcome = self.outcomes[wanted.provider]
        if isinstance(outcome, ProviderError):
            raise outcome
        return Bought(OpenAttempt("job", 1, wanted, why, 0.0, 0.0), outcome)


async def test_the_first_answer_ends_the_walk():
    placer = Placer(a=done(), b=done())
    found = await walk([A, B], request(), placer)
    assert isinstance(found, Bought)
    assert (found.attempt.target, placer.placed) == (A, [("a", "first choice")])


@pytest.mark.parametrize(
    "error", [Rejected("no"), Unavailable("down"), Unauthorized("key"), RateLimited("slow down")]
)
async def test_what_was_certainly_not_charged_goes_on_at_the_next_target(error):
    placer = Placer(a=error, b=done())
    assert isinstance(await walk([A, B], request(), placer), Bought)
    assert placer.placed == [("a", "first choice"), ("b", f"fallback: a/m: {error.code}")]


async def test_a_refusal_is_never_taken_to_another_judge():
    placer = Placer(a=Refused("not this"), b=done(), local=done())
    assert await walk([A, B, LOCAL], request(), placer) == Failures(((A, placer.outcomes["a"]),))
    assert placer.placed == [("a", "first choice")]


@pytest.mark.parametrize("error", [TimedOut("?"), Malformed("?"), Lost("?"), Unknown("?")])
async def test_after_what_may_have_been_charged_only_free_targets_follow(error):
    placer = Placer(a=error, b=done(), local=done())
    found = await walk([A, B, LOCAL], request(), placer)
    assert isinstance(found, Bought)
    assert [provider for provider, _ in placer.placed] == ["a", "local"]


async def test_a_free_target_that_fails_does_not_reopen_the_way_to_paid_ones():
    placer = Placer(a=TimedOut("?"), b=done(), local=Unavailable("down"))
    found = await walk([A, LOCAL, B], request(), placer)
    assert isinstance(found, Failures)
    assert [provider for provider, _ in placer.placed] == ["a", "local"]


async def test_without_fallback_the_first_failure_is_the_last():
    placer = Placer(a=Rejected("no"), b=done())
    found = await walk([A, B], request(policy=Policy(fallback=False)), placer)
    assert isinstance(found, Failures)
    assert placer.placed == [("a", "first choice")]


def test_one_failure_speaks_for_itself_and_several_are_told_together():
    rejected, down = Rejected("no"), Unavailable("down")
    assert Failures(((A, rejected),)).error is rejected
    both = Failures(((A, rejected), (B, down))).error
    assert isinstance(both, Exhausted)
    assert (str(both), both.failures) == ("a/m: no; b/m: down", {"a/m": "no", "b/m": "down"})


@pytest.mark.parametrize(
    ("said", "repeatable", "free"),
    [
        (((A, Rejected("no")),), False, True),
        (((A, Unavailable("down")),), True, False),
        (((LOCAL, Unavailable("down")),), True, True),
        (((LOCAL, Lost("gone")),), True, True),
        (((A, TimedOut("?")),), False, True),
        (((A, TimedOut("?")), (LOCAL, Unavailable("down"))), True, True),
        (((A, Unavailable("down")), (B, Refused("not this"))), False, False),
        ((), False, True),
    ],
)
def test_what_may_be_asked_again_and_whether_that_is_free(said, repeatable, free):
    failures = Failures(said)
    assert (failures.repeatable, failures.free) == (repeatable, free)


def test_the_longest_wait_anybody_asked_for_is_kept():
    said = ((A, RateLimited("slow", 3.0)), (B, RateLimited("slower", 9.0)), (LOCAL, Unavailable("down")))
    assert Failures(said).after_s == 9.0
    assert Failures(()).after_s == 0.0


@pytest.mark.parametrize(
    ("targets", "policy", "followed"),
    [
        ([A, B], Policy(), {"a": False, "b": False}),  # what may be charged is not bought elsewhere
        ([A, LOCAL], Policy(), {"a": True, "local": False}),
        ([LOCAL, A, B], Policy(), {"local": True, "a": False, "b": False}),
        ([A, LOCAL], Policy(fallback=False), {"a": False}),
    ],
)
async def test_an_order_is_told_whether_anybody_could_be_asked_after_it(targets, policy, followed):
    placer = Placer(a=Unavailable("down"), b=Unavailable("down"), local=Unavailable("down"))
    await walk(targets, request(policy=policy), placer)
    assert placer.followed == followed
