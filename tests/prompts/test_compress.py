import pytest

from limner.prompts.compress import Demand, Shortfall, asked, asked_again, key_terms, lacks, read
from tests.prompts.scripted import LONG

DEMAND = Demand("a red fox", 100, 80, ("fox", "sharp focus"))


def test_key_terms_are_subject_style_quality_technique_composition_quotes_and_what_must_not_be_there():
    assert key_terms(LONG) == (
        "painting",
        "fox",
        "resting",
        "snow",
        "river",
        "watercolor",
        "highly detailed",
        "sharp focus",
        "4k",
        "lens",
        "85mm",
        "f/1.4",
        "close-up",
        "rule of thirds",
        "open late",
        "no people",
    )


def test_the_question_names_limits_and_terms_and_keeps_the_prompt_apart():
    system, user = asked(DEMAND)
    assert "fewer than 101 characters; aim for 80" in system.content
    assert "word for word: fox; sharp focus" in system.content
    assert (system.role, user.role, user.content) == ("system", "user", "a red fox")
    assert "a red fox" not in system.content


def test_the_second_question_says_what_was_wrong():
    *_, wrong, again = asked_again(DEMAND, "an owl", Shortfall(None, ("fox",)))
    assert (wrong.role, wrong.content) == ("assistant", "an owl")
    assert "it lacks fox" in again.content


@pytest.mark.parametrize(
    ("answer", "prompt"),
    [
        ("  a fox\n", "a fox"),
        ("```\na fox\n```", "a fox"),
        ("```text\na fox\n```", "a fox"),
        ("Optimized prompt: a fox", "a fox"),
        ('"a fox"', "a fox"),
        ('a "red" fox', 'a "red" fox'),
        ('"red" and "blue"', '"red" and "blue"'),
        ("a\x00 f\x1bo\u202ex", "a fox"),
        ("", ""),
    ],
)
def test_an_answer_is_read_without_what_models_put_around_it(answer, prompt):
    assert read(answer) == prompt


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("a Fox, SHARP-focus", None),
        ("foxes in sharp  focus", None),
        ("a fox", Shortfall(None, ("sharp focus",))),
        ("a fox in sharp focus" + "!" * 100, Shortfall(120)),
        ("x" * 101, Shortfall(101, ("fox", "sharp focus"))),
        (" \u200b", Shortfall(None, unusable="it is empty")),
        ("I'm sorry, but a fox in sharp focus", Shortfall(None, unusable="it is no prompt")),
    ],
)
def test_a_text_is_used_when_it_is_short_enough_and_holds_every_term(text, lacking):
    assert lacks(text, DEMAND) == lacking


def test_a_shortfall_is_said_in_words():
    assert str(Shortfall(3100, ("fox", "4k"))) == "it has 3,100 characters; it lacks fox, 4k"
