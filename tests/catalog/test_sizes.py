from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.catalog.load import shipped
from limner.catalog.model import Sizes
from limner.catalog.sizes import by_preset, nearest, why_not

SIDES = st.integers(1, 4096)
WANTED = st.tuples(SIDES, SIDES)


@st.composite
def sizes(draw) -> Sizes:
    """Any shape of limits that at least lets the model's own default through."""
    step = draw(st.sampled_from([1, 2, 8, 16, 32, 64]))
    default = tuple(step * draw(st.integers(1, 2048 // step)) for _ in range(2))
    short, long, pixels = min(default), max(default), default[0] * default[1]
    return Sizes(
        default=default,
        min_side=draw(st.integers(1, short)),
        max_side=draw(st.integers(long, 4096)),
        multiple_of=step,
        min_pixels=draw(st.none() | st.integers(1, pixels)),
        max_pixels=draw(st.none() | st.integers(pixels, 1 << 24)),
        max_ratio=draw(st.none() | st.floats(1.001 * long / short, 5000)),
        listed=draw(st.just(()) | st.lists(WANTED, max_size=8).map(lambda more: (default, *more))),
        nearest=True,
    )


@given(WANTED, sizes())
def test_the_nearest_size_is_always_one_the_model_draws(wanted, limits):
    found = nearest(wanted, limits)
    assert why_not(found, limits) is None


@given(WANTED, sizes())
def test_a_size_the_model_draws_is_its_own_nearest(wanted, limits):
    found = nearest(wanted, limits)
    assert nearest(found, limits) == found


@given(sizes(), st.sampled_from(["fast", "standard", "quality", "ultra"]))
def test_a_preset_gives_a_size_the_model_draws(limits, preset):
    assert why_not(by_preset(preset, limits), limits) is None


@given(st.data())
def test_every_shipped_model_has_a_nearest_size_for_every_wish(data):
    model = data.draw(st.sampled_from(shipped()))
    wanted = data.draw(WANTED)
    assert why_not(model.sizes.default, model.sizes) is None
    assert why_not(nearest(wanted, model.sizes), model.sizes) is None
    for preset in ("fast", "standard", "quality", "ultra"):
        assert why_not(by_preset(preset, model.sizes), model.sizes) is None


@given(WANTED, st.sampled_from([1, 8, 16, 32]), st.integers(1 << 18, 1 << 21))
def test_the_shape_is_kept_as_far_as_the_limits_let_it(wanted, step, pixels):
    limits = Sizes(default=(512, 512), min_side=64, max_side=4096, multiple_of=step, max_pixels=pixels)
    width, height = found = nearest(wanted, limits)
    if max(wanted) > 8 * min(wanted):
        return  # so long that a limit of the sides must bend it
    # Each side is moved by less than a step, besides what both are scaled by.
    room = 2 * step / min(found) + 2 / min(wanted)
    assert abs(log(width / height) - log(wanted[0] / wanted[1])) <= room


@given(WANTED)
def test_upright_stays_upright_and_lying_stays_lying(wanted):
    limits = Sizes(default=(1024, 1024), min_side=256, max_side=1536, multiple_of=64, max_pixels=1_572_864)
    width, height = nearest(wanted, limits)
    assert (width - height) * (wanted[0] - wanted[1]) >= 0


FREE = Sizes(default=(512, 512), min_side=64, max_side=1024)
LISTED = Sizes(default=(1024, 1024), max_side=1536, listed=[(1024, 1024), (1536, 1024), (1024, 1536)])


@pytest.mark.parametrize(
    ("wanted", "limits", "found"),
    [
        ((500, 300), FREE, (496, 296)),
        ((2048, 1024), FREE, (1024, 512)),
        ((32, 32), FREE, (64, 64)),
        ((32, 64), FREE, (64, 128)),
        ((512, 512), FREE.model_copy(update={"min_pixels": 1 << 20}), (1024, 1024)),
        ((1024, 1024), FREE.model_copy(update={"max_pixels": 1 << 18}), (512, 512)),
        ((1024, 64), FREE.model_copy(update={"max_ratio": 2.0}), (120, 64)),
        ((4096, 1), FREE, (1024, 64)),
        ((1920, 1080), LISTED, (1536, 1024)),
        ((1080, 1920), LISTED, (1024, 1536)),
        ((64, 64), LISTED, (1024, 1024)),
    ],
)
def test_the_nearest_size_is_the_one_people_expect(wanted, limits, found):
    assert nearest(wanted, limits) == found


@pytest.mark.parametrize(
    ("size", "limits", "said"),
    [
        ((512, 512), FREE, None),
        ((56, 512), FREE, ("width", "width 56 is outside 64 to 1024 pixels")),
        ((512, 1032), FREE, ("height", "height 1032 is outside 64 to 1024 pixels")),
        ((512, 515), FREE, ("height", "height 515 is not a multiple of 8; nearest are 512 and 520")),
        (
            (512, 512),
            FREE.model_copy(update={"max_pixels": 100_000}),
            ("width", "512x512 is more than 100,000 pixels"),
        ),
        (
            (512, 512),
            FREE.model_copy(update={"min_pixels": 300_000}),
            ("width", "512x512 is fewer than 300,000 pixels"),
        ),
        (
            (1024, 256),
            FREE.model_copy(update={"max_ratio": 2.5}),
            ("width", "1024x256 is longer than 2.5 to 1"),
        ),
        ((512, 512), LISTED, ("width", "512x512 is not one of 1024x1024, 1536x1024, 1024x1536")),
        ((1536, 1024), LISTED, None),
    ],
)
def test_a_size_that_is_not_drawn_says_why(size, limits, said):
    assert why_not(size, limits) == said


def test_what_is_drawn_small_and_enlarged_is_drawn_small_for_a_preset():
    enlarged = FREE.model_copy(update={"drawn_pixels": 256 * 256})
    assert [by_preset(one, enlarged) for one in ("fast", "standard", "quality")] == [(256, 256)] * 3
