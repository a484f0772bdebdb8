from types import SimpleNamespace

import pytest

from limner.jobs import looks
from limner.jobs.looks import Looks

VENDOR = SimpleNamespace(timeout_s=60.0, lag_s=15.0)


def attempt(identity: str = "a", submitted_at: float = 1_000.0):
    return SimpleNamespace(id=identity, submitted_at=submitted_at)


class Clock:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("wall", "passed_s", "left_s"),
    [
        (1_000.0, 0.0, 75.0),
        (1_070.0, 70.0, 5.0),
        (1_075.0, 75.0, 0.0),
        # Somebody set the time of day forward: the lag still passes here.
        (9_000.0, 0.0, 15.0),
        (9_000.0, 14.0, 1.0),
        (9_000.0, 15.0, 0.0),
        # Set back, the order's own time still passes there.
        (500.0, 100.0, 575.0),
    ],
)
def test_a_list_tells_once_both_clocks_say_so(wall, passed_s, left_s):
    clock = Clock()
    seen = Looks(clock)
    seen.known_in_s(attempt(), VENDOR, 1_000.0)
    clock.now += passed_s
    assert seen.known_in_s(attempt(), VENDOR, wall) == left_s


def test_each_order_has_its_own_first_look():
    clock = Clock()
    seen = Looks(clock)
    seen.known_in_s(attempt("a"), VENDOR, 9_000.0)
    clock.now += 15.0
    assert seen.known_in_s(attempt("b"), VENDOR, 9_000.0) == 15.0
    assert seen.known_in_s(attempt("a"), VENDOR, 9_000.0) == 0.0


def test_what_is_remembered_is_bounded_and_forgetting_only_waits_again(monkeypatch):
    monkeypatch.setattr(looks, "_MOST", 2)
    clock = Clock()
    seen = Looks(clock)
    for identity in "abc":
        seen.known_in_s(attempt(identity), VENDOR, 9_000.0)
    clock.now += 15.0
    assert [seen.known_in_s(attempt(one), VENDOR, 9_000.0) for one in "cba"] == [0.0, 0.0, 15.0]
