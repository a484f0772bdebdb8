from dataclasses import replace

from limner.engine import batch
from limner.engine.batch import TURN_S, Group, Waiting
from limner.engine.values import Size

SMALL, LARGE = Group("m", Size(256, 256)), Group("m", Size(512, 512))


def waiting(order, arrived=0.0, *, index=0, group=SMALL, spent_s=0.0):
    return Waiting(order, index, group, arrived, spent_s)


def names(chosen):
    return [(one.order, one.index) for one in chosen]


def test_nobody_waiting_means_nothing_to_do():
    assert batch.next([], {"m": 4}) == ()


def test_the_oldest_goes_first():
    line = [waiting("b", 2), waiting("a", 1), waiting("c", 3)]
    assert names(batch.next(line, {"m": 2})) == [("a", 0), ("b", 0)]


def test_only_pictures_of_one_model_and_size_share_a_step():
    line = [waiting("a", 1), waiting("b", 2, group=LARGE), waiting("c", 3)]
    assert names(batch.next(line, {"m": 8})) == [("a", 0), ("c", 0)]


def test_an_odd_size_has_its_turn_when_it_is_the_oldest():
    line = [waiting("odd", 1, group=LARGE), *(waiting(f"s{i}", 2 + i) for i in range(10))]
    assert names(batch.next(line, {"m": 8})) == [("odd", 0)]


def test_an_order_of_ten_does_not_block_an_order_of_one():
    line = [waiting("ten", 0, index=i) for i in range(10)] + [waiting("one", 0.5)]
    assert names(batch.next(line, {"m": 2})) == [("ten", 0), ("one", 0)]


def test_a_picture_that_has_begun_is_finished_before_a_younger_one_begins():
    line = [waiting("young", 0.1), waiting("begun", 0.0, spent_s=TURN_S * 0.9)]
    assert names(batch.next(line, {"m": 1})) == [("begun", 0)]


def test_a_long_picture_makes_room_after_its_turn():
    line = [waiting("short", 0.1), waiting("long", 0.0, spent_s=TURN_S)]
    assert names(batch.next(line, {"m": 1})) == [("short", 0)]


def test_nobody_starves_while_others_keep_coming():
    step_s, needs_s = 0.5, 2.0  # four times as much is ordered as can be drawn
    line, now = [waiting("patient", 0.0, index=9, group=LARGE)], 0.0
    for i in range(200):
        line.append(waiting(f"n{i}", now))
        (chosen,) = batch.next(line, {"m": 1})
        if chosen.order == "patient":
            return
        now += step_s
        line.remove(chosen)
        if chosen.spent_s + step_s < needs_s:
            line.append(replace(chosen, spent_s=chosen.spent_s + step_s))
    raise AssertionError("it never had a turn")


def test_a_model_not_known_to_batch_steps_one_at_a_time():
    assert names(batch.next([waiting("a", 1), waiting("b", 2)], {})) == [("a", 0)]
