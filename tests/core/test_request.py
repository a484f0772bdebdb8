import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from limner.core.request import EXTENSION, MAX_PROMPT, MAX_SEED, MIME, GenerateRequest, Policy


def why(**fields) -> str:
    with pytest.raises(ValidationError) as caught:
        GenerateRequest(**{"prompt": "a fox"} | fields)
    (first,) = caught.value.errors()
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


@pytest.mark.parametrize(
    "prompt", ["\ufe0f\ufe0f", "\u0301", "\u200d\u2060", "", " ", "\n\t", "\u200b", "\u2060 \ufeff"]
)
def test_a_prompt_that_says_nothing_is_refused(prompt):
    assert why(prompt=prompt) == "prompt: Value error, is empty; say what the picture shows"


@pytest.mark.parametrize("prompt", ["x", "狐", "🦊", "\u0627", "a\nb", "\u0301x", "x" * MAX_PROMPT])
def test_a_prompt_in_any_script_is_accepted_as_it_is(prompt):
    assert GenerateRequest(prompt=prompt).prompt == prompt


def test_text_that_no_database_can_hold_is_refused_with_its_place():
    assert why(prompt="a\x00b") == "prompt: Value error, holds a NUL byte at position 1; remove it"
    assert "NUL byte at position 3" in why(negative_prompt="abc\x00")
    assert "NUL byte" in why(model="\x00")


def test_a_lone_surrogate_is_refused_with_its_place():
    # Pydantic refuses such text before our own check sees it, on some of its versions.
    with pytest.raises(ValidationError):
        GenerateRequest(prompt="ab\ud800")


@pytest.mark.parametrize("field", ["prompt", "negative_prompt"])
def test_a_text_that_is_too_long_is_refused_with_both_lengths(field):
    assert why(**{field: "x" * (MAX_PROMPT + 1)}) == (
        f"{field}: Value error, is 10,001 characters long; at most 10,000 are accepted"
    )


def test_a_negative_prompt_may_be_empty():
    assert GenerateRequest(prompt="a fox", negative_prompt="").negative_prompt == ""


@pytest.mark.parametrize(("given", "missing"), [("width", "height"), ("height", "width")])
def test_one_side_without_the_other_is_refused(given, missing):
    assert why(**{given: 64}) == (f": Value error, {given} was given without {missing}; give both or neither")


def test_the_last_of_several_seeds_must_fit_too():
    assert GenerateRequest(prompt="a fox", seed=MAX_SEED).seed == MAX_SEED
    assert "is too large for 2 pictures" in why(seed=MAX_SEED, count=2)


@pytest.mark.parametrize(
    "fields",
    [
        {"width": 0, "height": 64},
        {"width": 4097, "height": 64},
        {"count": 0},
        {"count": 21},
        {"steps": 0},
        {"steps": 101},
        {"guidance_scale": 0.5},
        {"guidance_scale": float("nan")},
        {"guidance_scale": float("inf")},
        {"seed": -1},
        {"compression": 101},
        {"partial_images": 4},
        {"project": "../etc"},
        {"project": ""},
        {"project": "x" * 65},
        {"format": "gif"},
        {"quality": "best"},
        {"operation": "steal"},
        {"colour": "red"},
        {"model": ""},
    ],
)
def test_values_outside_their_range_are_refused_by_name(fields):
    assert why(**fields).split(":")[0] in fields


@pytest.mark.parametrize(
    "fields", [{"max_cost_usd": -1}, {"deadline_s": 0}, {"deadline_s": 1e9}, {"luck": 1}]
)
def test_a_policy_is_checked_too(fields):
    with pytest.raises(ValidationError):
        Policy(**fields)


def test_a_size_is_known_when_both_sides_are():
    assert GenerateRequest(prompt="a fox", width=64, height=96).size == (64, 96)
    assert GenerateRequest(prompt="a fox").size is None


@given(st.text(min_size=1, max_size=30), st.integers(0, MAX_SEED))
def test_equal_requests_have_equal_fingerprints_and_survive_json(text, seed):
    try:
        request = GenerateRequest(prompt=text, seed=seed)
    except ValidationError:
        return
    again = GenerateRequest.model_validate_json(request.model_dump_json())
    assert (again, again.fingerprint()) == (request, request.fingerprint())
    assert request.model_copy(update={"format": "webp"}).fingerprint() != request.fingerprint()


def test_every_format_has_a_type_and_an_extension():
    assert MIME.keys() == EXTENSION.keys()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "hold a number that JSON does not know, such as NaN; send a finite one"),
        ([1, {"x": float("inf")}], "hold a number that JSON does not know, such as NaN; send a finite one"),
        ("\udcff", "hold text that is not valid Unicode (a lone surrogate); send UTF-8 text"),
        ({"\ud800": 1}, "hold text that is not valid Unicode (a lone surrogate); send UTF-8 text"),
    ],
)
def test_options_hold_only_what_json_can(value, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        GenerateRequest(prompt="x", options={"a": value})


@pytest.mark.parametrize("value", [None, True, 10**30, -0.5, "ü", [], {"a": [1, {"b": None}]}])
def test_options_survive_the_journal(value):
    request = GenerateRequest(prompt="x", options={"a": value})
    assert GenerateRequest.model_validate_json(request.model_dump_json()) == request
