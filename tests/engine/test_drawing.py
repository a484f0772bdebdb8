import numpy as np

from limner.engine import drawing
from limner.engine.values import Conditioning
from tests.engine.conftest import order

SIZED = {"width": 256, "height": 256}


def begin(backend, wanted, seed=1):
    return drawing.begin(wanted, seed, backend.facts, backend.encode(drawing.prompt(wanted)))


def steps(backend, one):
    while not one.stage_done:
        one = drawing.advance(one, backend.denoise(*drawing.rows(one)))
        yield one


def test_the_same_seed_starts_from_the_same_noise_and_another_from_another(backend):
    first, again, other = (begin(backend, order(), seed) for seed in (1, 1, 2))
    assert np.array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)


def test_seeds_are_taken_up_to_the_largest_allowed(backend):
    assert not np.array_equal(begin(backend, order(), 2**63 - 1).x, begin(backend, order(), 2**63 - 2).x)


def test_guidance_goes_from_the_unconditional_answer_through_the_conditional_one(backend):
    wanted = order(guidance_scale=3.0, steps=1)
    one = begin(backend, wanted)
    out = np.stack([np.full_like(one.x, 1.0), np.full_like(one.x, 2.0)])
    row = one.table[0]
    assert np.allclose(drawing.advance(one, out).x, row.a * one.x + row.b * 4.0)


def test_the_first_row_is_asked_with_the_negative_text_and_the_second_with_the_prompt(backend):
    hidden = np.arange(2 * 6 * 8, dtype=np.float32).reshape(2, 6, 8)
    one = drawing.begin(order(), 1, backend.facts, Conditioning(hidden))
    x, t, c = drawing.rows(one)
    assert np.array_equal(x[0], x[1])
    assert t.tolist() == [999, 999]
    assert c is hidden


def test_steps_and_fraction_rise_over_both_passes_and_one_is_left_for_decoding(backend):
    one = begin(backend, order(**SIZED))
    seen = [(one.steps_done, one.fraction)]
    for now in steps(backend, one):
        seen.append((now.steps_done, now.fraction))
        one = now
    assert not one.done
    one = drawing.rise(one, backend.decode(one.x), backend)
    for now in steps(backend, one):
        seen.append((now.steps_done, now.fraction))
        one = now
    assert one.done
    assert [step for step, _ in seen] == list(range(len(seen)))
    assert sorted({fraction for _, fraction in seen}) == [fraction for _, fraction in seen]
    assert seen[-1][1] < 1


def test_the_second_pass_starts_from_the_first_ones_picture_with_new_noise(backend):
    *_, done = steps(backend, begin(backend, order(**SIZED)))
    risen = drawing.rise(done, backend.decode(done.x), backend)
    assert risen.x.shape == (4, 32, 32)
    assert risen.table[0].t < 999
    assert 0.01 < np.abs(risen.x - risen.x0).mean() < 2


def test_an_order_with_previews_sees_one_decoded_in_the_middle_of_the_first_pass(backend):
    wanted = [drawing.wants_decoding(one) for one in steps(backend, begin(backend, order(previews=True)))]
    assert wanted == [False, True, False, False]
    assert not any(drawing.wants_decoding(one) for one in steps(backend, begin(backend, order())))


def test_a_picture_that_is_enlarged_says_so(backend):
    assert drawing.notes(order(width=1536, height=1024), backend.facts) == ("drawn at 928x640 and enlarged",)
    assert drawing.notes(order(width=512, height=512), backend.facts) == ()
