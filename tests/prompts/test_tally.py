import pytest

from limner.core.shelf import Arm, Liking
from limner.prompts.tally import arm, best, bounds, leader, likings


@pytest.mark.parametrize(
    ("kept", "deleted", "low", "high"),
    [(0, 0, 0.0, 1.0), (5, 5, 0.2366, 0.7634), (10, 0, 0.7225, 1.0), (0, 10, 0.0, 0.2775)],
)
def test_the_bounds_are_wilsons(kept, deleted, low, high):
    assert bounds(kept, deleted) == (low, high)


def test_an_arm_nobody_drew_is_empty():
    assert arm("a@1", {}) == Arm(template="a@1", jobs=0, kept=0, deleted=0, low=0.0, high=1.0)


def test_a_leader_is_certain_or_there_is_none():
    counts = {"a@1": (40, 36, 4), "b@1": (40, 10, 30)}
    assert leader([arm("a@1", counts), arm("b@1", counts)]) == "a@1"
    assert leader([arm("a@1", {"a@1": (3, 2, 1)}), arm("b@1", {"b@1": (3, 1, 2)})]) is None
    assert leader([arm("a@1", {}), arm("b@1", {})]) is None


def test_likings_come_with_the_best_first():
    found = likings([("oil", 0, 4), ("ink", 4, 0), ("anime", 1, 1)])
    assert [one.name for one in found] == ["ink", "anime", "oil"]
    assert found[0] == Liking(name="ink", kept=4, deleted=0, low=0.5101, high=1.0)


def test_what_was_judged_often_enough_and_kept_more_often_than_not_is_suggested():
    assert best(likings([("ink", 2, 0)])) is None
    assert best(likings([("ink", 2, 2)])) is None
    assert best(likings([("ink", 2, 1), ("oil", 9, 1)])) == "oil"
