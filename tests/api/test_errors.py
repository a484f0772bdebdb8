import pytest
from pydantic import ValidationError

from limner.api.errors import RULES, Fault, cut, fault_of, invalid
from limner.api.shapes import limner_shape, openai_shape, respond
from limner.core import errors
from limner.core.errors import Exhausted, InvalidRequest, LimnerError, NoRoute, OverLimit
from limner.core.request import GenerateRequest


def every(kind: type[LimnerError]) -> list[type[LimnerError]]:
    return [kind, *(below for child in kind.__subclasses__() for below in every(child))]


def test_every_error_of_limner_has_a_rule():
    known = [kind for kind in every(LimnerError) if kind.__module__ == errors.__name__]
    assert [kind.__name__ for kind in known if kind.code not in RULES] == []


def test_what_may_have_been_billed_is_never_to_be_sent_again():
    billed = [kind for kind in every(LimnerError) if getattr(kind, "billed", "no") != "no"]
    assert billed
    assert [kind.__name__ for kind in billed if RULES[kind.code].again] == []


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (InvalidRequest("bad", "seed"), Fault("invalid_request", "bad", "seed")),
        (NoRoute("none", {"a/b": "no key"}), Fault("no_route", "none", details={"a/b": "no key"})),
        (OverLimit("slow", 0.2), Fault("over_limit", "slow", headers={"retry-after": "1"})),
        (Exhausted("all", {"a/b": "down"}), Fault("exhausted", "all", details={"a/b": "down"})),
        (LimnerError("x" * 5_000), Fault("error", "x" * 999 + "…")),
    ],
)
def test_a_fault_is_read_off_class_and_attributes(error, fault):
    assert fault_of(error) == fault


def test_the_two_shapes():
    fault = Fault("invalid_request", "bad seed", "seed", {"a/b": "no"})
    assert openai_shape(fault) == {
        "error": {
            "message": "bad seed",
            "type": "invalid_request_error",
            "param": "seed",
            "code": "invalid_value",
        }
    }
    assert limner_shape(fault) == {
        "error": {
            "code": "invalid_request",
            "message": "bad seed",
            "field": "seed",
            "details": {"a/b": "no"},
        }
    }


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/v1/images/generations", {"message", "type", "param", "code"}),
        ("/v1/models/x", {"message", "type", "param", "code"}),
        ("/v1/jobs", {"message", "code"}),
    ],
)
def test_the_path_decides_the_shape(path, inside):
    import json

    assert set(json.loads(respond(Fault("not_found", "gone"), path).body)["error"]) == inside


def test_an_echo_is_short_and_always_utf_8():
    assert cut("ab", 2) == "ab"
    assert cut("abc", 2) == "a…"
    assert cut("a\ud800b") == "a?b"


@pytest.mark.parametrize(
    ("wish", "message", "field"),
    [
        ({}, "prompt: is missing", "prompt"),
        ({"prompt": " "}, "prompt: is empty; say what the picture shows", "prompt"),
        ({"prompt": "x", "zoom": 1}, "zoom: is not known here; remove it", "zoom"),
        ({"prompt": "x", "width": 64}, "width was given without height; give both or neither", None),
        (
            {"prompt": "x", "seed": -1, "count": 0},
            "n: Input should be greater than or equal to 1 (and 1 more)",
            "n",
        ),
    ],
)
def test_the_first_fault_of_a_body_is_said_in_the_callers_words(wish, message, field):
    with pytest.raises(ValidationError) as caught:
        GenerateRequest.model_validate(wish)
    error = invalid(caught.value, {"count": "n"})
    assert (str(error), error.field) == (message, field)
