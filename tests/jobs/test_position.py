import pytest

from limner.core.job import Waiting
from limner.jobs.position import Pace, ahead, waiting
from limner.jobs.slots import Slots
from limner.router.pulse import Pulse
from limner.store.line import Lane, Line, Place
from tests.fakes import target


def lane(tenant, size, first, priority=0, account="easel"):
    return Lane(tenant, priority, account, size, first)


def place(rank, account="easel", wait_s=0.0):
    return Place("m", "me", 0, account, rank, wait_s)


def line(*lanes, **shares):
    return Line(lanes, shares, ())


@pytest.mark.parametrize(
    ("standing", "mine", "expected"),
    [
        (line(lane("me", 3, "a")), place(2), 2),
        (line(lane("me", 1, "m"), lane("you", 9, "n")), place(0), 0),
        (line(lane("me", 1, "m"), lane("you", 9, "a")), place(0), 1),
        (line(lane("me", 3, "m"), lane("you", 9, "n")), place(2), 4),
        (line(lane("me", 3, "m"), lane("you", 1, "n")), place(2), 3),
        (line(lane("me", 1, "m"), lane("you", 9, "n"), me=2), place(0), 2),
        (line(lane("me", 1, "m"), lane("you", 9, "a"), you=2), place(0), 0),
        (line(lane("me", 1, "m"), lane("you", 4, "z", priority=3)), place(0), 4),
        (line(lane("me", 1, "m"), lane("you", 4, "a", priority=-3)), place(0), 0),
        (
            line(lane("me", 1, "m"), lane("you", 2, "a"), lane("you", 2, "b", account="loom"), me=9),
            place(0),
            4,
        ),
    ],
)
def test_before_a_job_go_higher_priorities_older_ones_and_others_until_they_draw_level(
    standing, mine, expected
):
    assert ahead(standing, mine) == expected


def pace(total=4, **caps):
    return Pace(Slots(total, 0), caps, Pulse(5, 600.0))


def test_nothing_is_expected_while_nobody_knows_how_long_an_order_takes():
    assert waiting(line(lane("me", 1, "m")), place(0), pace()) == Waiting(position=1, expected_s=None)
    assert waiting(line(lane("me", 1, "m")), place(0, account=None), pace()).expected_s is None


def test_the_wait_is_reckoned_by_the_slots_and_by_how_long_orders_took():
    seen = pace()
    seen.pulse.succeeded("easel", 10.0)
    assert waiting(line(lane("me", 8, "a")), place(7), seen) == Waiting(position=8, expected_s=20.0)


def test_before_the_first_order_the_catalogs_word_counts():
    told = pace()
    told.expect(target("easel").model_copy(update={"seconds": 6.0}))
    told.expect(target("easel"))
    assert waiting(line(lane("me", 2, "a")), place(1), told).expected_s == 3.0


def test_at_an_account_with_a_bound_only_those_count_who_wait_for_it():
    seen = pace(total=8, easel=2)
    seen.pulse.succeeded("easel", 10.0)
    standing = line(lane("me", 3, "a"), lane("me", 5, "b", account="loom"))
    assert waiting(standing, place(2), seen).expected_s == 15.0


def test_a_job_that_is_put_back_waits_at_least_until_its_time():
    seen = pace()
    seen.pulse.succeeded("easel", 1.0)
    assert waiting(line(lane("me", 1, "m")), place(0, wait_s=30.0), seen).expected_s == 30.0


def test_people_read_it_in_words():
    assert str(Waiting(position=3, expected_s=None)) == "position 3"
    assert str(Waiting(position=3, expected_s=0.2)) == "position 3, about 1 s"
