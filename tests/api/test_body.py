import anyio
import pytest
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request

from limner.api import body
from limner.api.body import idempotency_key, read
from limner.api.errors import BodyTooLarge, BodyTooSlow, WrongContentType
from limner.core.errors import InvalidRequest


class Wish(BaseModel):
    model_config = ConfigDict(extra="ignore")

    prompt: str
    n: int = 1


def request(*chunks: bytes, **headers: str) -> Request:
    coming = iter(chunks)

    async def receive():
        chunk = next(coming, None)
        if chunk is None:
            await anyio.sleep_forever()
        return {"type": "http.request", "body": chunk, "more_body": chunk != b""}

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"content_type": "application/json"},
        {"content_type": "Application/JSON; charset=utf-8"},
        {"content_type": "application/problem+json"},
        {"content_encoding": "identity"},
    ],
)
async def test_a_body_in_pieces_is_read_whole_with_the_names_nobody_knows(kind):
    sent = request(b'{"prompt": "f', b'ox", "n": 2, "zoom": 1, "tilt": 2}', b"", **kind)
    assert await read(sent, Wish, 1_000) == (Wish(prompt="fox", n=2), ("zoom", "tilt"))


@pytest.mark.parametrize(
    "kind",
    [
        {"content_type": "text/plain"},
        {"content_type": "application/x-www-form-urlencoded"},
        {"content_type": "multipart/form-data; boundary=x"},
        {"content_type": "text/json+json"},
        {"content_encoding": "gzip"},
    ],
)
async def test_anything_but_plain_json_is_refused_unread(kind):
    with pytest.raises(WrongContentType):
        await read(request(**kind), Wish, 1_000)


async def test_a_declared_length_far_above_the_limit_is_refused_unread():
    with pytest.raises(BodyTooLarge, match="larger than 10 bytes"):
        await read(request(content_length=str(11 + body.DRAIN)), Wish, 10)
    with pytest.raises(BodyTooLarge):
        await read(request(content_length="9" * 5_000), Wish, 10)


async def test_a_body_a_little_too_large_is_read_to_its_end_so_that_the_client_hears_why():
    with pytest.raises(BodyTooLarge):
        await read(request(b"{" * 6, b" " * 5, b" " * 5, b""), Wish, 10)


async def test_a_body_that_grows_without_end_is_left_unread():
    with pytest.raises(BodyTooLarge):
        await read(request(*[b" " * (1 << 20)] * 9), Wish, 10)


async def test_a_body_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(body, "BODY_S", 0.01)
    with pytest.raises(BodyTooSlow):
        await read(request(b'{"prompt"'), Wish, 1_000)


@pytest.mark.parametrize(
    ("sent", "message", "field"),
    [
        (b"", "the body is empty; send a JSON object", None),
        (b"\xff{}", "the body is not UTF-8 at byte 0; send UTF-8 text", None),
        (b"[1]", 'the body must be a JSON object, such as {"prompt": "a red fox"}', None),
        (b"null", 'the body must be a JSON object, such as {"prompt": "a red fox"}', None),
        (b'{"prompt": "x", "prompt": "y"}', "prompt: is given twice; give it once", "prompt"),
        (b'{"prompt": "x", "n": NaN}', "the body holds NaN, which is not JSON; send a number", None),
        (b'{"prompt": 7}', "prompt: Input should be a valid string", "prompt"),
        (b'{"prompt": "x", "n": true}', "n: Input should be a valid integer", "n"),
        (b'{"prompt": "x", "n": 2.0}', "n: Input should be a valid integer", "n"),
        (b'{"prompt": "x", "n": "2"}', "n: Input should be a valid integer", "n"),
    ],
)
async def test_what_is_wrong_with_a_body_is_said(sent, message, field):
    with pytest.raises(InvalidRequest) as caught:
        await read(request(sent, b""), Wish, 1_000)
    assert (str(caught.value), caught.value.field) == (message, field)


@pytest.mark.parametrize("key", ["k", "a key with spaces", "x" * 255])
def test_a_plain_key_is_kept(key):
    assert idempotency_key(request(idempotency_key=key)) == key


@pytest.mark.parametrize("key", ["", "x" * 256, "x" * 100_000, "ключ", "a\tb", "a\x7f"])
def test_an_odd_key_is_refused(key):
    with pytest.raises(InvalidRequest) as caught:
        idempotency_key(request(idempotency_key=key))
    assert caught.value.field == "Idempotency-Key"


def test_no_key_is_no_key():
    assert idempotency_key(request()) is None
