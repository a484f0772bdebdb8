import numpy as np
import pytest

from limner.engine import weights
from limner.engine.onnx_backend import OnnxBackend
from limner.engine.values import Prompt


def rows(backend, pairs, side=16, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2 * pairs, backend.facts.channels, side, side), dtype=np.float32)
    t = np.repeat(np.linspace(10, 990, pairs, dtype=np.float32), 2)
    hidden = backend.encode(Prompt("a red fox", "snow")).hidden
    return x, t, np.concatenate([hidden] * pairs)


def test_a_prompt_becomes_an_unconditional_and_a_conditional_row(backend):
    hidden = backend.encode(Prompt("a red fox", "snow")).hidden
    assert hidden.shape == (2, 6, 8)
    assert np.array_equal(hidden[0], backend.encode(Prompt("snow")).hidden[1])


def test_unknown_words_are_named_once(backend):
    found = backend.encode(Prompt("a purple Purple gnu"))
    assert found.notes == ("words the model does not know: purple, gnu",)


def test_a_prompt_too_long_is_cut_and_says_so(backend):
    found = backend.encode(Prompt("a red fox a blue fox a red fox"))
    assert found.notes == ("the model reads 4 words; the rest was left out",)
    assert backend.encode(Prompt("a red fox")).notes == ()


@pytest.mark.parametrize("threads", [1, 2, 3, 5])
def test_a_row_is_the_same_bits_alone_and_in_company(folder, threads):
    backend = OnnxBackend(folder, weights.manifest(folder), threads)
    x, t, c = rows(backend, pairs=4)
    together = backend.denoise(x, t, c)
    for i in range(0, len(x), 2):
        alone = backend.denoise(x[i : i + 2], t[i : i + 2], c[i : i + 2])
        assert np.array_equal(alone, together[i : i + 2])


def test_decoding_gives_a_picture_of_eight_times_the_sides_and_encoding_takes_it_back(backend):
    latents = np.random.default_rng(0).standard_normal((4, 16, 24), dtype=np.float32)
    picture = backend.decode(latents)
    assert picture.shape == (128, 192, 3)
    assert picture.dtype == np.uint8
    assert backend.encode_pixels(picture).shape == latents.shape


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_the_same_number_of_threads_gives_the_same_bits_in_another_process_life(folder, threads):
    one, other = (OnnxBackend(folder, weights.manifest(folder), threads) for _ in range(2))
    asked = rows(one, pairs=2, side=32)
    expected = one.denoise(*asked)
    assert all(np.array_equal(each.denoise(*asked), expected) for each in (one, other, one))
