import math

import numpy as np
import pytest

from limner.engine import samplers
from limner.engine.samplers import CLEAN

COSINE = samplers.levels("squaredcos_cap_v2", 1000)


def draw(sampler, model, x, steps, prediction="v_prediction"):
    at = samplers.times(steps, 1000)
    x0 = np.zeros_like(x)
    for row in samplers.table(sampler, at, COSINE, prediction):
        out = model(x, row.t)
        x, x0 = row.advance(x, out, x0), row.x0(x, out)
    return x


def velocity_of_a_gaussian(mean, spread):
    """The exact answer for data drawn from a normal distribution: the posterior mean, told as a velocity."""

    def model(x, t):
        level = COSINE[t]
        total = level.signal**2 * spread**2 + level.noise**2
        x0 = mean + level.signal * spread**2 / total * (x - level.signal * mean)
        eps = (x - level.signal * x0) / level.noise
        return level.signal * eps - level.noise * x0

    return model


def test_picture_and_noise_always_make_up_one():
    assert all(math.isclose(level.signal**2 + level.noise**2, 1) for level in COSINE)
    assert COSINE[0].noise < 0.01
    assert COSINE[-1].noise > 0.999


def test_trailing_times_begin_at_the_very_end_and_leading_times_stop_at_the_beginning():
    assert samplers.times(4, 1000) == (999, 749, 499, 249)
    assert samplers.times(4, 1000, "leading") == (750, 500, 250, 0)


def test_a_strength_under_one_starts_that_far_into_the_schedule():
    assert samplers.times(4, 1000, strength=0.4) == (399, 299, 199, 99)


def test_times_never_repeat_even_when_there_are_fewer_of_them_than_steps():
    assert samplers.times(100, 1000, strength=0.002) == (1, 0)


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "ddim"])
@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon", "sample"])
def test_the_last_step_ends_at_the_models_idea_of_the_picture(sampler, prediction):
    *_, last = samplers.table(sampler, (500, 100), COSINE, prediction)
    assert (last.a, last.b, last.c) == pytest.approx((last.p, last.q, 0.0))


@pytest.mark.parametrize("sampler", ["dpmpp_2m", "ddim"])
def test_a_perfect_model_of_a_gaussian_draws_that_gaussian(sampler):
    noise = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    drawn = draw(sampler, velocity_of_a_gaussian(mean=2.0, spread=0.5), noise, steps=50)
    assert drawn.mean() == pytest.approx(2.0, abs=0.02)
    assert drawn.std() == pytest.approx(0.5, abs=0.02)


def test_the_second_order_solver_is_closer_than_the_first_order_one_after_ten_steps():
    noise = np.random.default_rng(0).standard_normal(20_000).astype(np.float32)
    model = velocity_of_a_gaussian(mean=0.0, spread=0.5)
    missed = {s: abs(draw(s, model, noise, steps=10).std() - 0.5) for s in ("dpmpp_2m", "ddim")}
    assert missed["dpmpp_2m"] < missed["ddim"] / 2


def test_the_three_predictions_of_one_picture_draw_the_same():
    noise = np.random.default_rng(0).standard_normal(100)
    velocity = velocity_of_a_gaussian(mean=1.0, spread=0.5)

    def picture(x, t):
        return COSINE[t].signal * x - COSINE[t].noise * velocity(x, t)

    def noise_in(x, t):
        return COSINE[t].noise * x + COSINE[t].signal * velocity(x, t)

    drawn = draw("dpmpp_2m", velocity, noise, 10)
    assert np.allclose(draw("dpmpp_2m", picture, noise, 10, "sample"), drawn, atol=1e-6)
    assert np.allclose(draw("dpmpp_2m", noise_in, noise, 10, "epsilon"), drawn, atol=1e-6)


def test_the_linear_schedules_end_in_noise_as_well():
    for schedule in ("linear", "scaled_linear"):
        assert samplers.levels(schedule, 1000)[-1].noise > 0.95
    assert CLEAN.noise == 0
