from hypothesis import given
from hypothesis import strategies as st

from limner.router.breaker import Breaker, Circuit


def failed(times, breaker=None):
    breaker = breaker or Breaker(3, 10.0)
    for at in times:
        breaker = breaker.failed(at)
    return breaker


def test_it_opens_at_the_threshold_for_the_window_and_then_half_opens():
    breaker = failed([0, 1, 2])
    assert [breaker.state(now) for now in (2, 11.9, 12)] == ["OPEN", "OPEN", "HALF_OPEN"]
    assert [breaker.admits(now) for now in (2, 11.9, 12)] == [False, False, True]


def test_failures_that_are_too_old_do_not_count():
    assert failed([0, 9, 11]).state(11) == "CLOSED"
    assert failed([0, 9, 11, 12]).state(12) == "OPEN"


def test_half_open_admits_one_probe_a_window():
    breaker = failed([0, 1, 2]).probe(12)
    assert [breaker.admits(now) for now in (12, 21.9, 22)] == [False, False, True]


def test_a_probe_that_fails_opens_it_for_another_window():
    breaker = failed([0, 1, 2]).probe(12).failed(13)
    assert [breaker.state(now) for now in (13, 22.9, 23)] == ["OPEN", "OPEN", "HALF_OPEN"]
    assert breaker.admits(23)


def test_a_success_closes_it_and_forgets():
    assert failed([0, 1, 2]).probe(12).succeeded() == Breaker(3, 10.0)


def test_a_closed_breaker_knows_no_probe():
    assert Breaker(3, 10.0).probe(5) == Breaker(3, 10.0)


@given(st.lists(st.tuples(st.sampled_from("fspw"), st.floats(0.01, 8)), max_size=40))
def test_whatever_happens_it_is_open_only_after_enough_failures_and_always_reopens_to_a_probe(story):
    breaker, now, since_success = Breaker(3, 10.0), 0.0, 0
    for act, passes in story:
        now += passes
        match act:
            case "f":
                breaker, since_success = breaker.failed(now), since_success + 1
            case "s":
                breaker, since_success = breaker.succeeded(), 0
            case "p":
                breaker = breaker.probe(now)
        if breaker.state(now) != "CLOSED":
            assert since_success >= 3
        assert breaker.admits(now) == (
            breaker.state(now) == "CLOSED"
            or (
                breaker.state(now) == "HALF_OPEN"
                and (breaker.probing_since is None or now - breaker.probing_since >= 10)
            )
        )
        assert breaker.admits(now + 20)


def test_the_record_of_a_breaker_is_what_clients_read():
    breaker = Breaker(threshold=2, window_s=600.0)
    assert breaker.record(10.0, wall=1000.0) == Circuit("CLOSED", 0, None, True, 2, 600_000, None)
    breaker = breaker.failed(10.0)
    assert breaker.record(15.0, wall=1005.0) == Circuit("CLOSED", 1, 1000.0, True, 2, 600_000, None)
    breaker = breaker.failed(20.0)
    assert breaker.record(30.0, wall=1020.0) == Circuit("OPEN", 2, 1010.0, False, 2, 600_000, 590_000)
    assert breaker.record(620.0, wall=1610.0).state == "HALF_OPEN"
    assert breaker.record(620.0, wall=1610.0).recovery_in_ms is None
    assert breaker.succeeded().record(621.0, wall=1611.0).failure_count == 0
