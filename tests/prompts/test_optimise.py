"""Contract 2: prompts above 3,000 characters are shortened, and the original is used where that fails."""

import dataclasses

import pytest

from limner.core.errors import Malformed, RateLimited, Rejected, TimedOut, Unauthorized
from limner.prompts.compress import key_terms
from limner.prompts.optimise import Outcome, shorten
from tests.prompts.scripted import DOWN, LONG, Scripted

GOOD = ", ".join(key_terms(LONG))


def timeless(outcome: Outcome) -> Outcome:
    assert outcome.seconds >= 0
    return dataclasses.replace(outcome, seconds=0)


async def test_a_good_answer_is_used():
    model = Scripted(GOOD)
    assert timeless(await shorten(model, LONG)) == Outcome(GOOD, "scripted", 0, 1)


async def test_the_model_is_asked_at_temperature_0_3_for_120_seconds_with_2800_as_the_aim():
    model = Scripted(GOOD)
    await shorten(model, LONG)
    (((system, user), temperature, timeout_s),) = model.asked
    assert (temperature, timeout_s, user.content) == (0.3, 120, LONG)
    assert "fewer than 3000 characters; aim for 2800" in system.content


async def test_an_answer_that_falls_short_is_sent_back_once_with_what_was_missing():
    model = Scripted("a dog", GOOD)
    assert timeless(await shorten(model, LONG)) == Outcome(GOOD, "scripted", 0, 2)
    assert "it lacks painting, fox" in model.asked[1][0][-1].content


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("", "it is empty"),
        (GOOD + "x" * 3000, f"it has {len(GOOD) + 3000:,} characters"),
        ("I cannot do that", "it is no prompt"),
        (GOOD.replace("no people", ""), "it lacks no people"),
    ],
)
async def test_after_two_answers_that_fall_short_there_is_no_text(answer, why):
    outcome = timeless(await shorten(Scripted(answer), LONG))
    assert outcome == Outcome(None, "scripted", 0, 2, f"the answer will not do: {why}")


@pytest.mark.parametrize(
    "error", [DOWN, TimedOut("late"), Malformed("odd")], ids=lambda error: type(error).__name__
)
async def test_what_may_pass_is_tried_twice_more(error):
    assert timeless(await shorten(Scripted(error), LONG)) == Outcome(
        None, "scripted", 0, 3, str(error), down=True
    )
    assert (await shorten(Scripted(error, error, GOOD), LONG)).text == GOOD


@pytest.mark.parametrize(
    "error", [Unauthorized("no"), Rejected("no"), RateLimited("no")], ids=lambda error: type(error).__name__
)
async def test_what_will_not_pass_at_once_is_not_tried_again(error):
    outcome = timeless(await shorten(Scripted(error), LONG))
    assert outcome == Outcome(None, "scripted", 0, 1, "no", down=True)


async def test_room_is_left_for_what_is_added_later():
    model = Scripted(GOOD)
    await shorten(model, LONG, room=100)
    assert "fewer than 2900 characters; aim for 2700" in model.asked[0][0][0].content


async def test_a_short_prompt_may_not_become_longer():
    assert (await shorten(Scripted("a very red fox"), "a red fox")).text is None
    assert (await shorten(Scripted("red fox"), "a red fox")).text == "red fox"


async def test_a_long_fault_is_told_in_short():
    outcome = await shorten(Scripted(Rejected("x" * 999)), LONG)
    assert len(outcome.why) == 200
