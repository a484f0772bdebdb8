"""The model that ships with the package. What its pictures show is judged elsewhere; here, that it works."""

import io
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from limner.engine import drawing, onnx_backend, pixels, weights
from limner.engine.backend import Offer
from limner.engine.values import Prompt, Size
from tests.engine.conftest import order, running

MAX_BYTES = 16 * 2**20


@pytest.fixture(scope="module")
def starter() -> Offer:
    offer = onnx_backend.offer(weights.STARTER, threads=1)
    backend = offer.open()
    return Offer(offer.card, lambda: backend)


async def drawn(starter, **changes):
    wanted = order(**{"model": starter.card.id, "width": 256, "height": 256} | changes)
    async with running(starter) as engine:
        await engine.post(wanted)
        status = await engine.ended()
        assert status["state"] == "done", status
        return [engine.book.image("one", i) for i in range(len(wanted.seeds))], status


def test_it_is_small_enough_to_ship(starter):
    assert starter.card.bytes < MAX_BYTES


def test_every_word_of_its_vocabulary_is_known_to_its_tokenizer(starter):
    kinds = json.loads((weights.STARTER / "model.json").read_text())["vocabulary"].values()
    named = [word for kind in kinds if isinstance(kind, dict) for words in kind.values() for word in words]
    other = [word for kind in kinds if isinstance(kind, list) for word in kind]
    assert [word for word in named + other if starter.open().encode(Prompt(word)).notes] == []


def test_its_preview_map_fits_its_latents(starter):
    facts = starter.open().facts
    assert facts.preview_matrix.shape == (facts.channels, 3)


def test_its_sketches_resemble_what_is_decoded(starter):
    backend = starter.open()
    wanted = order(width=256, height=256)
    one = drawing.begin(wanted, 1, backend.facts, backend.encode(drawing.prompt(wanted)))
    while not one.done:
        one = drawing.advance(one, backend.denoise(*drawing.rows(one)))
    sketch = pixels.sketch(one.x0, backend.facts)
    picture = pixels.resize(backend.decode(one.x0), Size(*sketch.shape[1::-1]))
    assert np.corrcoef(sketch.ravel(), picture.ravel())[0, 1] > 0.8


@pytest.mark.parametrize(("width", "height"), [(256, 256), (200, 328), (512, 288), (64, 64)])
async def test_it_draws_every_size_that_can_be_asked_for(starter, width, height):
    (png,), _ = await drawn(starter, width=width, height=height, steps=2)
    assert Image.open(io.BytesIO(png)).size == (width, height)


async def test_a_seed_gives_the_same_bytes_in_any_company(starter):
    alone, _ = await drawn(starter, seeds=(5,))
    crowded, _ = await drawn(starter, seeds=(4, 5, 6))
    assert crowded[1] == alone[0]
    assert len({*crowded}) == 3


async def test_the_prompt_and_the_negative_prompt_both_change_the_picture(starter):
    pictures = [
        (await drawn(starter, prompt=prompt, negative_prompt=negative))[0][0]
        for prompt, negative in [("a red house", ""), ("a blue car", ""), ("a red house", "night")]
    ]
    shown = [np.asarray(Image.open(io.BytesIO(png))).astype(float) for png in pictures]
    for one, other in itertools.combinations(shown, 2):
        assert np.abs(one - other).mean() > 0.5


async def test_a_word_it_never_learned_is_named_in_the_answer(starter):
    _, status = await drawn(starter, prompt="a red zyxwvut")
    assert status["notes"] == ["words the model does not know: zyxwvut"]
