import pytest

from limner.api.encoded import is_picture, picture
from limner.core.errors import InvalidRequest


@pytest.mark.parametrize(
    "text",
    [
        "aGVsbG8=",
        "data:image/png;base64,aGVsbG8=",
        "DATA:image/svg+xml;BASE64,aGVsbG8=",
        "data:;base64,aGVsbG8=",
    ],
)
def test_base64_is_read_with_and_without_the_head_of_a_data_url(text):
    assert picture(text, "image") == b"hello"


@pytest.mark.parametrize(
    "text",
    ["aGVsbG8", "hello!", "http://127.0.0.1/a.png", "data:image/png,hello", "aGVs\nbG8=", "ä" * 100_000],
)
def test_what_is_no_base64_is_refused_by_its_field_and_not_repeated(text):
    with pytest.raises(InvalidRequest, match=r"^image: is no picture in base64$") as caught:
        picture(text, "image")
    assert caught.value.field == "image"


@pytest.mark.parametrize(
    ("text", "whether"),
    [
        ("iVBORw0KGgoAAAA", True),
        ("/9j/4AAQ", True),
        ("UklGRh4A", True),
        ("data:image/png;base64,iVBORw0KGgo", True),
        ("a red fox", False),
        ("", False),
    ],
)
def test_a_picture_is_told_from_a_prompt(text, whether):
    assert is_picture(text) is whether
