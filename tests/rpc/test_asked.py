import pytest

from limner.core.errors import InvalidRequest
from limner.core.request import GenerateRequest, Policy
from limner.rpc.asked import order, varied
from limner.rpc.starweave_pb2 import ImageRequest, ImageSettings


def test_a_whole_request_in_limners_words():
    asked = ImageRequest(
        prompt="a fox",
        model="house",
        user_id="mia",
        settings=ImageSettings(
            width=256, height=512, steps=9, guidance_scale=7.3, seed=4, style="house style"
        ),
    )
    assert order(asked) == GenerateRequest(
        prompt="a fox",
        model="house",
        user="mia",
        width=256,
        height=512,
        steps=9,
        guidance_scale=7.3,
        seed=4,
        style="house style",
        policy=Policy(any_style=True),
    )


@pytest.mark.parametrize(
    ("model", "settings", "size"),
    [
        ("", None, (512, 512)),
        ("stabilityai/stable-diffusion-2-1", None, (768, 768)),
        ("stabilityai/stable-diffusion-2-1", ImageSettings(width=512), (512, 768)),
        ("house", None, None),
        ("house", ImageSettings(height=256), (512, 256)),
    ],
)
def test_the_size_that_is_meant(model: str, settings: ImageSettings | None, size: tuple[int, int] | None):
    assert order(ImageRequest(prompt="a fox", model=model, settings=settings)).size == size


def test_empty_settings_are_settings_and_say_seed_0():
    assert order(ImageRequest(prompt="a fox", settings=ImageSettings())).seed == 0
    assert order(ImageRequest(prompt="a fox")).seed is None


def test_a_text_that_is_too_long_is_never_echoed():
    with pytest.raises(InvalidRequest) as caught:
        order(ImageRequest(prompt="a fox", settings=ImageSettings(style="s" * 10_000)))
    assert len(str(caught.value)) < 200


def test_a_variation_without_a_first_seed_is_the_base():
    base = GenerateRequest(prompt="a fox")
    assert varied(base, None, 2) is base
    assert varied(base, 7, 2).seed == 9


def test_the_last_of_what_was_said_before_goes_with_the_order():
    said = [f"turn {number}" for number in range(30)]
    prompting = order(ImageRequest(prompt="a fox", context=[*said, " ", "x" * 5000])).prompting
    assert prompting is not None
    assert prompting.context == (*said[-19:], "x" * 4000)
    assert order(ImageRequest(prompt="a fox", context=[""])).prompting is None


def test_a_turn_that_cannot_be_kept_is_named_as_the_client_knows_it():
    with pytest.raises(InvalidRequest, match=r"context\.0 holds a NUL byte at position 1"):
        order(ImageRequest(prompt="a fox", context=["a\0b"]))


def test_a_style_of_limners_own_is_put_into_words():
    asked = order(ImageRequest(prompt="a fox", settings=ImageSettings(style="Pixel Art")))
    assert asked.style is None
    assert asked.prompting is not None
    assert (asked.prompting.style_preset, asked.prompting.context) == ("pixel-art", ())
