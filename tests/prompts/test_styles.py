import re

import pytest

from limner.core.errors import InvalidRequest
from limner.prompts.styles import style, styles


def test_there_are_at_least_twenty_styles_each_with_words_for_both_prompts():
    assert len(styles()) >= 20
    for one in styles():
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]*", one.name)
        assert one.negative
        assert 1 <= len(one.positive) <= 150


def test_the_usual_ones_are_there():
    names = {one.name for one in styles()}
    assert names >= {"watercolour", "oil", "line-art", "pixel-art", "photographic", "cinematic", "anime"}


def test_no_spelling_means_two_styles():
    spellings = [re.sub(r"[\s_-]", "", word) for one in styles() for word in (one.name, *one.also)]
    assert sorted(set(spellings)) == sorted(spellings)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("watercolour", "watercolour"),
        ("Watercolor", "watercolour"),
        ("WATER colour", "watercolour"),
        ("oil_painting", "oil"),
        ("Pixel Art", "pixel-art"),
        ("8-bit", "pixel-art"),
        ("PHOTOGRAPHY", "photographic"),
        ("sketch_bw", "sketch-bw"),
    ],
)
def test_a_style_goes_by_all_its_spellings(written, name):
    assert style(written).name == name


def test_an_unknown_style_is_refused_with_those_that_are_near():
    with pytest.raises(InvalidRequest, match=r"no style 'watercolr' \(near: watercolour\)") as caught:
        style("watercolr")
    assert caught.value.field == "prompting.style_preset"


def test_a_long_unknown_name_is_not_echoed():
    with pytest.raises(InvalidRequest) as caught:
        style("x" * 200)
    assert len(str(caught.value)) < 150
