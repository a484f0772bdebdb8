import pytest

from limner.guard.limits import Limit, Slide, slides
from limner.guard.scope import Scope

HOUR = Slide("usual", Scope(user="ann"), "hour", 10)
NOW = 100_000.0


def test_a_limit_has_a_slide_for_each_of_its_bounds():
    assert list(slides([Limit("usual", Scope(user="ann"), 10, 50), Limit("none", Scope())])) == [
        HOUR,
        Slide("usual", Scope(user="ann"), "day", 50),
    ]
    assert (HOUR.seconds, Slide("x", Scope(), "day", 1).seconds) == (3600.0, 86_400.0)


@pytest.mark.parametrize(
    ("orders", "wanted", "fits"),
    [([], 10, True), ([], 11, False), ([(NOW, 9)], 1, True), ([(NOW, 9)], 2, False), ([(NOW, 10)], 1, False)],
)
def test_pictures_are_counted_not_orders(orders, wanted, fits):
    assert (HOUR.refusal(orders, wanted, NOW) is None) is fits


@pytest.mark.parametrize(
    ("wanted", "after_s"),
    [(1, 600.0), (2, 600.0), (3, 1800.0), (6, 1800.0), (7, 3590.0), (10, 3590.0)],
)
def test_the_wait_lasts_until_enough_of_the_oldest_count_no_more(wanted, after_s):
    orders = [(NOW - 3000, 2), (NOW - 1800, 4), (NOW - 10, 4)]
    refusal = HOUR.refusal(orders, wanted, NOW)
    assert refusal.after_s == after_s


def test_a_limit_that_was_lowered_meanwhile_still_says_when():
    refusal = HOUR.refusal([(NOW - 3000, 40), (NOW - 1800, 40)], 1, NOW)
    assert refusal.after_s == 1800.0


def test_nobody_is_told_to_come_back_at_once():
    assert HOUR.refusal([(NOW - 3600, 10)], 1, NOW).after_s == 1.0


def test_more_at_once_than_the_limit_allows_is_said_to_be_too_many():
    refusal = HOUR.refusal([], 11, NOW)
    assert (str(refusal), refusal.after_s) == (
        "limit 'usual' (user ann: 10 pictures in any hour): 11 at once are too many; order fewer",
        3600.0,
    )


@pytest.mark.parametrize(
    ("age_s", "said"), [(3540, "60 s"), (3000, "10 min"), (0, "60 min")], ids=["seconds", "minutes", "hour"]
)
def test_a_refusal_names_the_limit_and_the_wait(age_s, said):
    assert str(HOUR.refusal([(NOW - age_s, 10)], 1, NOW)) == (
        f"limit 'usual' (user ann: 10 pictures in any hour): no room for 1 more now; try again in {said}"
    )


def test_a_long_wait_is_told_in_hours():
    day = Slide("d", Scope(), "day", 1)
    assert str(day.refusal([(NOW, 1)], 1, NOW)) == (
        "limit 'd' (everybody: 1 picture in any day): no room for 1 more now; try again in 24.0 h"
    )


def test_what_is_counted_together_has_one_key():
    assert HOUR.key == "limit usual user ann"
