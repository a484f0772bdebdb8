"""Contract 8: words for detail and focus, unless there are some; and the language model's better ones."""

import dataclasses

import pytest

from limner.prompts.enhance import enhanced, improve, sum_up
from limner.prompts.optimise import Outcome
from tests.prompts.scripted import DOWN, Scripted


@pytest.mark.parametrize("prompt", ["a fox", "A painting, detailed and sharp"])
def test_words_for_detail_and_focus_are_added(prompt):
    assert enhanced(prompt) == f"{prompt}, highly detailed, sharp focus"


@pytest.mark.parametrize(
    "word", ["highly detailed", "professional", "Sharp Focus", "INTRICATE", "award-winning"]
)
def test_a_prompt_that_has_one_of_the_words_stays_as_it_is(word):
    assert enhanced(f"a fox, {word} fur") == f"a fox, {word} fur"


def test_nothing_is_added_beyond_10000_characters():
    assert enhanced("x" * 9_970) == "x" * 9_970 + ", highly detailed, sharp focus"
    assert enhanced("x" * 9_971) == "x" * 9_971


async def test_the_model_improves_a_prompt_and_must_keep_its_keywords():
    model = Scripted("a red fox at dawn, rim light")
    outcome = dataclasses.replace(await improve(model, "a red fox"), seconds=0)
    assert outcome == Outcome("a red fox at dawn, rim light", "scripted", 0, 1)
    assert "Keep each of these words: red; fox" in model.asked[0][0][0].content
    lost = await improve(Scripted("an owl at dawn"), "a red fox")
    assert (lost.text, lost.why) == (None, "the answer will not do: it lacks red, fox")


async def test_the_model_sums_up_a_conversation_with_what_is_wanted_now():
    model = Scripted("a blue fox in snow")
    outcome = await sum_up(model, "make it blue", ["a fox", "in\nsnow"])
    assert outcome.text == "a blue fox in snow"
    assert model.asked[0][0][1].content == "Earlier:\n- a fox\n- in snow\nNow: make it blue"


async def test_a_model_that_is_away_improves_nothing():
    outcome = await improve(Scripted(DOWN), "a red fox")
    assert (outcome.text, outcome.down, outcome.asks) == (None, True, 3)
