import pytest

from limner.core.errors import InvalidRequest
from limner.prompts.templates import check, ref, render, variables

TEXT = "{prompt}, {mood} light, by {artist}, {mood}"


def test_the_variables_are_the_names_besides_prompt_each_once():
    assert variables(TEXT) == ("mood", "artist")
    assert variables("{prompt} {{mood}} {Mood} {} {0} {a.b} {x!r}") == ()


def test_a_template_is_filled():
    filled = render(TEXT, "a fox", {"mood": "soft", "artist": "nobody"})
    assert filled == "a fox, soft light, by nobody, soft"


def test_what_is_filled_in_is_text_and_is_not_filled_again():
    assert render("{prompt} {a}", "{a} {{", {"a": "{prompt}"}) == "{a} {{ {prompt}"


def test_double_braces_are_braces_and_other_braces_stay():
    assert render("{{{prompt}}} {} {Mood} {a.b} {0}", "x", {}) == "{x} {} {Mood} {a.b} {0}"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"mood": "soft"}, "for this template lacks artist; it takes mood, artist"),
        ({"mood": "", "artist": "", "x": ""}, "for this template holds x, unknown to it"),
    ],
)
def test_values_that_are_missing_or_belong_nowhere_are_refused(values, said):
    with pytest.raises(InvalidRequest, match=said) as caught:
        render(TEXT, "a fox", values)
    assert caught.value.field == "prompting.variables"


def test_a_result_above_10000_characters_is_refused():
    with pytest.raises(InvalidRequest, match=r"gives 10,001 characters") as caught:
        render("{prompt}!", "x" * 10_000, {})
    assert caught.value.field == "prompting.template"


def test_a_template_without_a_place_for_the_prompt_is_refused():
    check("{prompt}")
    for text in ("a fox", "{{prompt}}", "{ prompt }"):
        with pytest.raises(InvalidRequest, match=r"must hold \{prompt\}"):
            check(text)


def test_a_reference_may_name_a_version():
    assert (ref("moody"), ref("moody@12")) == (("moody", None), ("moody", 12))
