import base64

import pytest

from limner.providers import orders
from limner.wire import Part
from tests.fakes import request

PNG = b"\x89PNG\r\n\x1a\n..."
JPEG = b"\xff\xd8\xff..."


def test_what_is_not_set_is_not_sent_and_what_is_empty_is():
    fields = {"seed": None, "steps": 0, "words": "", "list": [], "flag": False}
    assert orders.given(fields) == {"steps": 0, "words": "", "list": [], "flag": False}


@pytest.mark.parametrize(
    ("ratios", "said"),
    [
        ((), {"width": 1216, "height": 704}),
        (("1:1", "16:9", "9:16"), {"aspect_ratio": "16:9"}),
        (("2:3", "1:1"), {"aspect_ratio": "1:1"}),
    ],
)
def test_a_size_is_told_in_pixels_or_as_the_nearest_of_the_shapes_there_are(ratios, said):
    assert orders.shape(request(width=1216, height=704), ratios) == said


def test_a_picture_is_told_as_text_and_as_an_address_with_its_type():
    text = base64.b64encode(JPEG).decode()
    assert orders.base64(JPEG) == text
    assert orders.data_url(JPEG) == f"data:image/jpeg;base64,{text}"


def test_a_picture_in_a_form_is_a_file_with_its_type():
    assert orders.file("mask", PNG) == Part("mask", PNG, "picture.png", "image/png")
