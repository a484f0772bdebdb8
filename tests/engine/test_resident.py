from limner.engine import resident
from limner.engine.resident import Loaded, Need, Plan


def test_what_is_loaded_stays_while_there_is_room():
    assert resident.plan([Need("b", 4)], [Loaded("a", 4, 1.0)], free_bytes=4) == Plan(load=("b",))


def test_what_was_used_longest_ago_goes_first():
    loaded = [Loaded("old", 4, 1.0), Loaded("older", 4, 0.5), Loaded("new", 4, 2.0)]
    assert resident.plan([Need("x", 8)], loaded, free_bytes=1) == Plan(evict=("older", "old"), load=("x",))


def test_no_more_is_dropped_than_needed():
    loaded = [Loaded("a", 4, 1.0), Loaded("b", 4, 2.0)]
    assert resident.plan([Need("x", 4)], loaded, free_bytes=0) == Plan(evict=("a",), load=("x",))


def test_a_loaded_model_is_not_loaded_again():
    assert resident.plan([Need("a", 4)], [Loaded("a", 4, 1.0)], free_bytes=0) == Plan()


def test_a_less_urgent_model_does_not_push_out_a_wanted_one():
    loaded = [Loaded("first", 4, 1.0)]
    assert resident.plan([Need("first", 4), Need("second", 4)], loaded, free_bytes=0) == Plan()


def test_the_most_urgent_model_may_push_out_a_less_urgent_one():
    loaded = [Loaded("second", 4, 9.0)]
    expected = Plan(evict=("second",), load=("first",))
    assert resident.plan([Need("first", 4), Need("second", 4)], loaded, free_bytes=0) == expected


def test_the_most_urgent_model_is_tried_even_if_the_figures_say_it_cannot_fit():
    assert resident.plan([Need("giant", 100)], [], free_bytes=10) == Plan(load=("giant",))
