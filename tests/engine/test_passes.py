import pytest

from limner.engine import passes
from limner.engine.passes import GRID_PX, REFINE_AREA, Pass
from limner.engine.protocol import MAX_SIDE_PX
from limner.engine.values import Size


def plan(width, height, steps=10, native_px=256):
    return passes.plan(Size(width, height), steps, native_px)


def test_the_native_size_is_drawn_in_one_pass():
    assert plan(256, 256) == (Pass(Size(256, 256), 10),)


def test_sides_off_the_grid_are_drawn_on_the_next_grid_line():
    assert plan(264, 216) == (Pass(Size(288, 224), 10),)


def test_a_large_picture_is_composed_at_native_area_and_then_refined():
    first, second = plan(512, 512)
    assert first == Pass(Size(256, 256), 10)
    assert second.size == Size(512, 512)
    assert second.strength < 1
    assert second.steps < 10


def test_the_first_pass_keeps_the_shape():
    first, second = plan(1024, 512)
    assert first.size == Size(352, 192)
    assert second.size == Size(1024, 512)


def test_a_very_large_picture_is_refined_at_less_and_enlarged():
    *_, last = plan(1536, 1536)
    assert last.size.area <= REFINE_AREA


def test_a_small_picture_is_drawn_at_the_native_area_and_reduced():
    assert plan(64, 64) == (Pass(Size(256, 256), 10),)
    assert plan(128, 64) == (Pass(Size(352, 192), 10),)


@pytest.mark.parametrize("width", range(64, MAX_SIDE_PX + 1, 184))
@pytest.mark.parametrize("height", range(64, MAX_SIDE_PX + 1, 184))
def test_every_size_has_a_plan_on_the_grid_and_of_bounded_cost(width, height):
    for one in plan(width, height):
        assert one.size.width % GRID_PX == one.size.height % GRID_PX == 0
        assert 0 < one.size.area <= REFINE_AREA * 1.1
        assert one.steps >= 1
