import pytest
from hypothesis import given
from hypothesis import strategies as st

from limner.catalog.fit import Fitted, Misfit, fit
from limner.catalog.model import Sizes, Steps
from limner.core.quote import Note
from limner.core.request import GenerateRequest, Policy
from tests.fakes import model, request

PLAIN = {"steps": None, "guidance": None, "takes_seed": False, "takes_negative": False}


def test_what_was_left_open_is_set_by_the_model():
    fitted = fit(request(), model())
    assert fitted == Fitted(request(width=64, height=64, steps=12, guidance_scale=4.0), ())


@pytest.mark.parametrize(
    ("quality", "side", "steps"),
    [("fast", 256, 8), ("standard", 512, 12), ("quality", 1024, 20), ("ultra", 1024, 30)],
)
def test_a_preset_sets_size_and_steps(quality, side, steps):
    fitted = fit(request(quality=quality), model())
    assert (fitted.request.size, fitted.request.steps) == ((side, side), steps)


def test_what_was_given_wins_over_the_preset():
    fitted = fit(request(quality="ultra", width=128, height=64, steps=3), model())
    assert (fitted.request.size, fitted.request.steps, fitted.notes) == ((128, 64), 3, ())


def test_everything_a_model_cannot_take_is_told():
    fitted = fit(request(steps=5, guidance_scale=7, negative_prompt="rain"), model(**PLAIN))
    sent = fitted.request
    assert (sent.steps, sent.guidance_scale, sent.seed, sent.negative_prompt) == (None, None, None, None)
    assert fitted.notes == tuple(
        Note(field=field, message="ignored: the model takes none")
        for field in ("steps", "guidance_scale", "seed", "negative_prompt")
    )


def test_steps_above_the_models_most_are_lowered_with_a_note():
    fitted = fit(request(steps=99), model())
    assert (fitted.request.steps, fitted.notes) == (30, (Note(field="steps", message="99 lowered to 30"),))


def test_strict_refuses_what_would_be_bent():
    found = fit(request(steps=99, policy=Policy(strict=True)), model())
    assert found == Misfit("steps", "strict: 99 lowered to 30")


def test_a_model_that_stands_in_says_so():
    fitted = fit(request(model="dall-e-3"), model(stands_in_for=("dall-e-3",)))
    assert fitted.notes == (
        Note(field="model", message="dall-e-3 is not set up here; easel-model draws instead"),
    )


@pytest.mark.parametrize(
    ("changes", "of_model", "misfit"),
    [
        ({}, {"operations": frozenset()}, Misfit("operation", "does not generate; it can draw nothing")),
        ({"count": 5}, {}, Misfit("count", "draws at most 4 pictures an order")),
        ({"prompt": "x" * 11}, {"max_prompt": 10}, Misfit("prompt", "reads at most 10 characters")),
        ({"style": "oil"}, {}, Misfit("style", "unknown style 'oil'; knows flat")),
        ({"style": "oil"}, {"styles": ()}, Misfit("style", "unknown style 'oil'; knows none")),
        (
            {"width": 32, "height": 64},
            {},
            Misfit("width", "width 32 is outside 64 to 1024 pixels"),
        ),
        (
            {"width": 64, "height": 70},
            {},
            Misfit("height", "height 70 is not a multiple of 8; nearest are 64 and 72"),
        ),
        (
            {"width": 128, "height": 128},
            {"sizes": Sizes(default=(64, 64), max_side=1024, max_pixels=10_000)},
            Misfit("width", "128x128 is more than 10,000 pixels"),
        ),
    ],
)
def test_what_a_model_cannot_do_is_a_misfit_with_its_reason(changes, of_model, misfit):
    assert fit(request(**changes), model(**of_model)) == misfit


@pytest.mark.parametrize("style", ["flat", "FLAT"])
def test_a_known_style_is_known_in_any_case(style):
    assert isinstance(fit(request(style=style), model()), Fitted)


def test_a_model_of_free_style_takes_any_words():
    assert isinstance(fit(request(style="as on a stamp"), model(free_style=True)), Fitted)


def test_words_a_model_does_not_know_are_told_once_each_and_at_most_twelve():
    prompt = "a red fox zog zog " + " ".join(f"w{n}x" for n in range(14))
    fitted = fit(request(prompt=prompt, negative_prompt="BLUE"), model(), frozenset({"a", "red", "fox"}))
    told = ", ".join(["zog", *(f"w{n}x" for n in range(11))])
    assert fitted.notes == (
        Note(field="prompt", message=f"words it does not know, not drawn: {told} and 3 more"),
        Note(field="negative_prompt", message="words it does not know, not drawn: blue"),
    )


SIDES = st.integers(1, 128).map(lambda n: 8 * n)


@given(
    quality=st.sampled_from([None, "fast", "standard", "quality", "ultra"]),
    low=SIDES,
    span=st.integers(0, 1024),
    multiple=st.sampled_from([1, 8, 16, 64]),
    pixels=st.one_of(st.none(), st.integers(64 * 64, 1 << 20)),
)
def test_a_preset_never_asks_for_a_size_the_model_cannot_draw(quality, low, span, multiple, pixels):
    default = -(-low // multiple) * multiple
    if pixels is not None and default * default > pixels:
        pixels = None
    sizes = Sizes(
        default=(default, default),
        min_side=low,
        max_side=max(default, low + span),
        multiple_of=multiple,
        max_pixels=pixels,
    )
    first = fit(request(quality=quality), model(sizes=sizes))
    assert isinstance(first, Fitted)
    width, height = first.request.size
    assert isinstance(fit(request(width=width, height=height), model(sizes=sizes)), Fitted)


@given(st.integers(1, 100), st.sampled_from(["fast", "standard", "quality", "ultra", None]))
def test_steps_are_never_above_the_models_most(steps, quality):
    few = Steps(default=4, max=6, fast=2, standard=4, quality=8, ultra=99)
    for wanted in (GenerateRequest(prompt="x", steps=steps, quality=quality), request(quality=quality)):
        assert fit(wanted, model(steps=few)).request.steps <= 6


DIGEST = "0" * 64


def notes(wanted, **of_model):
    fitted = fit(request(**wanted), model(**of_model))
    assert isinstance(fitted, Fitted)
    return [(note.field, note.message) for note in fitted.notes], fitted.request


def test_steps_below_the_models_fewest_are_raised_with_a_note():
    told, sent = notes({"steps": 2}, steps=Steps(default=20, min=10))
    assert (told, sent.steps) == ([("steps", "2 raised to 10")], 10)


def test_guidance_above_the_models_most_is_lowered_with_a_note():
    told, sent = notes({"guidance_scale": 12.5}, max_guidance=10.0)
    assert (told, sent.guidance_scale) == ([("guidance_scale", "12.5 lowered to 10")], 10.0)
    assert notes({"guidance_scale": 10.0}, max_guidance=10.0)[0] == []


@pytest.mark.parametrize(
    ("seed", "count", "sent", "said"),
    [
        (99, 1, 99, []),
        (98, 2, 98, []),
        (99, 2, 0, [("seed", "99 is above 99; 0 is used")]),
        (100, 1, 0, [("seed", "100 is above 99; 0 is used")]),
        (250, 1, 50, [("seed", "250 is above 99; 50 is used")]),
    ],
)
def test_a_seed_above_the_models_most_is_brought_into_its_range_with_a_note(seed, count, sent, said):
    told, fitted = notes({"seed": seed, "count": count}, max_seed=99)
    assert (told, fitted.seed) == (said, sent)
    assert fitted.seed + count - 1 <= 99


@given(st.integers(0, 2**63 - 10), st.integers(1, 4), st.sampled_from([99, 2**31 - 1, 4294967295, None]))
def test_every_seed_of_an_order_is_one_the_model_takes(seed, count, highest):
    fitted = fit(request(seed=seed, count=count), model(max_seed=highest))
    assert fitted.request.seed >= 0
    assert highest is None or fitted.request.seed + count - 1 <= highest


def test_a_drawn_seed_is_used_and_not_told():
    fitted = fit(request(seed=None), model(), seed=5)
    assert (fitted.request.seed, fitted.notes) == (5, ())
    assert fit(request(seed=None), model(takes_seed=False), seed=5).request.seed is None


def test_a_bent_and_an_enlarged_size_are_told():
    bends = Sizes(default=(64, 64), max_side=1024, nearest=True, drawn_pixels=256 * 256)
    told, sent = notes({"width": 1025, "height": 513}, sizes=bends)
    assert sent.size == (1024, 512)
    assert told == [
        ("size", "1025x513 is not drawn; 1024x512 is the nearest"),
        ("size", "drawn with 65,536 pixels and enlarged to 524,288"),
    ]


def test_a_prompt_longer_than_a_model_reads_is_told():
    told, _ = notes({"prompt": "a red fox in the snow"}, max_words=3)
    assert told == [("prompt", "only its first 3 words are read")]
    assert notes({"prompt": "a red fox"}, max_words=3)[0] == []


def test_more_pictures_than_a_model_takes_are_a_misfit():
    found = fit(request(operation="edit", inputs=(DIGEST,) * 2), model(operations={"edit"}, max_inputs=1))
    assert found == Misfit("inputs", "takes at most 1 input pictures")


@pytest.mark.parametrize(
    ("operation", "given", "said"),
    [
        ("generate", {"strength": 0.5, "scale": 2.0}, ["strength", "scale"]),
        ("image-to-image", {"strength": 0.5}, []),
        ("inpaint", {"strength": 0.5, "mask": DIGEST}, []),
        ("edit", {"scale": 2.0}, ["scale"]),
        ("upscale", {"scale": 2.0}, []),
        ("upscale", {"strength": 0.5}, ["strength"]),
    ],
)
def test_what_an_operation_has_no_use_for_is_told(operation, given, said):
    inputs = () if operation == "generate" else (DIGEST,)
    told, _ = notes({"operation": operation, "inputs": inputs} | given, operations={operation})
    assert told == [(field, f"ignored: {operation} has none") for field in said]
