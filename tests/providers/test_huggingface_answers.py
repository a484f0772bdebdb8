import json
from io import BytesIO

import pytest
from PIL import Image

from limner.core.errors import Malformed, Refused, Rejected
from limner.providers.base import Done, Pending
from limner.providers.huggingface_answers import outcome
from limner.wire import Answer


def encoded(colour, kind):
    out = BytesIO()
    Image.new("RGB", (64, 64), colour).save(out, kind)
    return out.getvalue()


def test_an_error_under_status_200_is_no_picture_and_was_not_charged():
    answer = Answer(200, {"Content-Type": "application/json; charset=utf-8"}, b'{"error":"worker died"}')
    with pytest.raises(Rejected, match="worker died"):
        outcome("hf-inference", answer)


def test_anything_else_where_a_picture_was_due_may_have_been_charged():
    for mime, body in (("text/html", b"<html>"), ("application/json", b"{}"), ("image/png", b"")):
        with pytest.raises(Malformed, match=f"{mime} where a picture was due"):
            outcome("hf-inference", Answer(200, {"Content-Type": mime}, body))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_half_a_picture_is_none_and_a_black_one_was_declined(kind):
    whole, black = encoded("teal", kind), encoded("black", kind)
    assert outcome("hf-inference", Answer(200, {}, whole)) == Done((whole,))
    with pytest.raises(Malformed, match="the picture cannot be read"):
        outcome("hf-inference", Answer(200, {}, whole[: len(whole) // 2]))
    with pytest.raises(Refused, match="all black") as caught:
        outcome("hf-inference", Answer(200, {}, black))
    assert caught.value.billed == "yes"


def test_wavespeeds_address_is_asked_below_the_router_and_nowhere_else():
    body = {
        "data": {
            "status": "created",
            "urls": {"get": "https://elsewhere.example/api/v3/predictions/7/result"},
        }
    }
    answer = Answer(200, {}, json.dumps(body).encode())
    path = "wavespeed/api/v3/predictions/7/result"
    assert outcome("wavespeed", answer) == Pending({"partner": "wavespeed", "path": path}, 1.0)
    body["data"]["urls"]["get"] = "https://elsewhere.example/steal"
    with pytest.raises(Malformed, match="no address to ask again at"):
        outcome("wavespeed", Answer(200, {}, json.dumps(body).encode()))
