import base64

import pytest
from pydantic import BaseModel, ValidationError

from limner.providers.answers import Encoded, IfReadable, Trouble, readable, wait_s, words

LONG = bytes(range(256)) * 3


class _Count(BaseModel):
    pieces: int


class _Answer(BaseModel):
    picture: Encoded | None = None
    count: IfReadable[_Count] = None


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(LONG).decode(),
        f"data:image/png;base64,{base64.b64encode(LONG).decode()}",
        base64.encodebytes(LONG).decode(),
        base64.encodebytes(LONG).decode().replace("\n", "\r\n"),
    ],
    ids=["bare", "data URL", "in lines", "in lines as in a mail"],
)
def test_a_picture_comes_as_base64_in_several_dresses(text):
    assert _Answer(picture=text) == _Answer(picture=LONG)


@pytest.mark.parametrize("text", ["<html>", "YQ=", "a", "größe", "YQ==!"])
def test_text_that_is_no_base64_is_an_error_that_names_its_field(text):
    with pytest.raises(ValidationError) as caught:
        _Answer.model_validate({"picture": text})
    assert [fault["loc"] for fault in caught.value.errors()] == [("picture",)]


@pytest.mark.parametrize("told", [None, {}, {"pieces": "many"}, [1], "three", 3])
def test_an_odd_count_never_costs_the_picture_it_came_with(told):
    assert _Answer.model_validate({"picture": "YQ==", "count": told}) == _Answer(picture=b"a", count=None)


def test_a_count_that_can_be_read_is_read():
    assert _Answer.model_validate({"count": {"pieces": 3}}).count == _Count(pieces=3)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b"[]", b'{"pieces": "x"}', b"\xff", b"null"])
def test_words_of_somebody_else_are_not_read(body):
    assert readable(body, _Count) is None


def test_words_of_the_vendor_are_read():
    assert readable(b'{"pieces": 3, "more": 1}', _Count) == _Count(pieces=3)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ({"message": "no", "type": "bad", "code": "worse"}, "worse: no"),
        ({"message": "no", "type": "bad", "code": None}, "bad: no"),
        ({"message": "no"}, "no"),
        ({"message": "x" * 500, "code": "long"}, f"long: {'x' * 200}"),
    ],
)
def test_an_error_is_told_by_its_code_or_its_type(error, said):
    assert Trouble.model_validate({"error": error}).said == said


@pytest.mark.parametrize(
    ("body", "headers", "after_s"),
    [
        (b'{"retry_after": 2.5}', {"Retry-After": "9"}, 2.5),
        (b'{"retry_after": 1e9}', {"Retry-After": "9"}, 9.0),
        (b'{"retry_after": -1}', {}, 5.0),
        (b"slow down", {"Retry-After": "9"}, 9.0),
        (b"slow down", {}, 5.0),
    ],
)
def test_how_long_to_stay_away_is_said_in_the_body_else_in_the_header(body, headers, after_s):
    assert wait_s(body, headers, default=5.0) == after_s


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"error": "too late"}', "too late"),
        (b'{"error": {"message": "too late", "code": 7, "id": "hidden"}}', "too late 7"),
        (
            b'{"detail": [{"msg": "too wide", "type": "size"}, {"msg": "too high"}]}',
            "too wide size; too high",
        ),
        (b'{"error": null, "title": "Oh"}', "Oh"),
        (b"<html>502</html>", "<html>502</html>"),
        (b"x" * 500, "x" * 200),
        (b"{}", ""),
        (b"", ""),
    ],
)
def test_what_an_error_says_is_found_under_any_of_the_usual_names(body, said):
    assert words(body) == said
