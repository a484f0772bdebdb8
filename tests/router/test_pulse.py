import pytest

from limner.core.errors import RateLimited, Refused, Rejected, Unauthorized, Unavailable
from limner.router.pulse import Pulse


def test_an_account_nobody_complained_about_may_be_used():
    assert Pulse(2, 10.0).obstacle("easel", 0.0) is None


def test_failures_of_the_provider_open_its_breaker_and_nobody_elses():
    pulse = Pulse(2, 10.0)
    pulse.failed("easel", Unavailable("503"), 0.0)
    assert pulse.obstacle("easel", 1.0) is None
    pulse.failed("easel", Unavailable("503"), 1.0)
    assert pulse.obstacle("easel", 2.0) == "Circuit breaker OPEN for easel"
    assert pulse.obstacle("mural", 2.0) is None
    assert pulse.obstacle("easel", 11.0) is None


@pytest.mark.parametrize("error", [Rejected("no"), Refused("no"), RateLimited("slow", 0.0)])
def test_a_callers_mistake_opens_nothing(error):
    pulse = Pulse(1, 10.0)
    pulse.failed("easel", error, 0.0)
    assert pulse.obstacle("easel", 0.0) is None


def test_an_account_rests_as_long_as_the_vendor_asked():
    pulse = Pulse(2, 10.0)
    pulse.failed("easel", RateLimited("slow down", 30.0), 100.0)
    assert pulse.obstacle("easel", 110.0) == "rests for 20 s: slow down"
    assert pulse.obstacle("easel", 130.0) is None


def test_a_bad_key_rests_for_five_minutes_or_until_an_order_succeeds():
    pulse = Pulse(2, 10.0)
    pulse.failed("easel", Unauthorized("bad key"), 0.0)
    assert pulse.obstacle("easel", 299.0) == "rests for 1 s: bad key"
    pulse.succeeded("easel")
    assert pulse.obstacle("easel", 1.0) is None


def test_one_order_probes_a_breaker_that_is_half_open():
    pulse = Pulse(1, 10.0)
    pulse.failed("easel", Unavailable("503"), 0.0)
    assert pulse.obstacle("easel", 10.0) is None
    with pulse.ordering("easel", 10.0):
        assert pulse.obstacle("easel", 11.0) == "Circuit breaker OPEN for easel"
    pulse.succeeded("easel")
    assert pulse.obstacle("easel", 11.0) is None


def test_orders_under_way_are_the_accounts_load():
    pulse = Pulse(2, 10.0)
    with pulse.ordering("easel", 0.0), pulse.ordering("easel", 0.0), pulse.ordering("mural", 0.0):
        assert (pulse.load("easel"), pulse.load("mural"), pulse.load("fresco")) == (2, 1, 0)
    assert pulse.load("easel") == 0


def test_latency_follows_what_was_seen_newer_orders_counting_more():
    pulse = Pulse(2, 10.0)
    assert pulse.latency_s("easel") is None
    pulse.succeeded("easel", 10.0)
    assert pulse.latency_s("easel") == 10.0
    pulse.succeeded("easel", 20.0)
    assert pulse.latency_s("easel") == 12.0
    pulse.succeeded("easel")
    assert pulse.latency_s("easel") == 12.0


def test_a_change_of_what_is_known_is_counted():
    pulse = Pulse(1, 10.0)
    pulse.failed("easel", Rejected("no"), 0.0)
    pulse.succeeded("easel", 1.0)
    assert pulse.changes("easel") == 0
    pulse.failed("easel", Unavailable("503"), 0.0)
    assert pulse.changes("easel") == 1
    assert pulse.circuit("easel", 0.0, 100.0).state == "OPEN"
    pulse.succeeded("easel", 1.0)
    assert pulse.changes("easel") == 2
    assert pulse.circuit("easel", 0.0, 100.0).state == "CLOSED"
