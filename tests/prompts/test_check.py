"""Contract 2: what `/validate-prompt` answers."""

from limner.prompts.analyse import analyse
from limner.prompts.check import CheckFacts, PromptCheck, checked, needs_model
from limner.prompts.optimise import Outcome


def test_a_short_prompt_is_valid_and_the_model_is_not_asked():
    assert checked("a fox", None) == PromptCheck(
        success=True,
        result="valid",
        original_prompt="a fox",
        optimized_prompt="a fox",
        original_length=5,
        optimized_length=5,
        size_reduction=0,
        reduction_percentage=0.0,
        optimization_time=None,
        error_message=None,
        metadata=CheckFacts(analysis=analyse("a fox")),
    )


def test_a_shortened_one_tells_how_much_was_saved_with_two_decimals():
    prompt = "x" * 4500
    found = checked(prompt, Outcome("y" * 2790, "m", 1.23456, 2))
    assert found == PromptCheck(
        success=True,
        result="optimized",
        original_prompt=prompt,
        optimized_prompt="y" * 2790,
        original_length=4500,
        optimized_length=2790,
        size_reduction=1710,
        reduction_percentage=38.0,
        optimization_time=1.235,
        error_message=None,
        metadata=CheckFacts(analysis=analyse(prompt), model="m", asks=2),
    )
    assert checked("x" * 3001, Outcome("y" * 2001, "m", 1, 1)).reduction_percentage == 33.32


def test_one_that_could_not_be_shortened_stays_as_it_was_and_says_why():
    found = checked("x" * 4000, Outcome(None, "m", 0.5, 3, "away", down=True))
    assert (found.success, found.result, found.optimized_prompt == "x" * 4000, found.down) == (
        False,
        "optimization_failed",
        True,
        True,
    )
    assert found.error_message == "m did not shorten the prompt: away"


def test_one_above_10000_is_too_long():
    found = checked("x" * 10_001, None)
    assert (found.success, found.result) == (False, "too_long")
    assert found.error_message == "the prompt is 10,001 characters long; at most 10,000 are accepted"


def test_that_the_model_is_away_is_for_the_door_and_not_in_the_answer():
    assert "down" not in checked("x", Outcome(None, "m", 0, 1, "away", down=True)).model_dump()


def test_the_model_is_needed_above_3000_and_where_it_is_forced():
    needed = [
        (len_, force)
        for len_ in (5, 3000, 3001, 10_000, 10_001)
        for force in (False, True)
        if needs_model("x" * len_, force=force)
    ]
    assert needed == [(5, True), (3000, True), (3001, False), (3001, True), (10_000, False), (10_000, True)]
    assert not needs_model(" ", force=True)
