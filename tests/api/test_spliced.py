import base64
import json
from types import SimpleNamespace

import pytest

from limner.api.spliced import PIECE, Spliced
from limner.core.errors import NotFound


class Shelf:
    """Files by digest, and what was read of them."""

    def __init__(self, **files: bytes) -> None:
        self.files = files
        self.read: list[tuple[str, int]] = []

    async def part(self, artifact, start: int, size: int) -> bytes:
        if artifact.digest not in self.files:
            raise NotFound("gone")
        data = self.files[artifact.digest][start : start + size]
        self.read.append((artifact.digest, len(data)))
        return data


def picture(digest: str, size: int):
    return SimpleNamespace(digest=digest, size_bytes=size)


async def sent(response) -> tuple[list[dict], bytes]:
    messages: list[dict] = []

    async def send(message: dict) -> None:
        messages.append(message)

    await response({}, None, send)
    return messages, b"".join(one.get("body", b"") for one in messages)


@pytest.mark.parametrize("size", [1, 2, 3, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE + 5])
async def test_the_pieces_make_the_base64_of_the_whole_and_its_length_is_told_before(size, monkeypatch):
    data = bytes(range(256)) * (size // 256 + 1)
    shelf = Shelf(a=data[:size])
    response = Spliced(shelf, [b'{"p":"', picture("a", size), b'"}'], {"x-fact": "1"})
    messages, body = await sent(response)
    assert json.loads(body) == {"p": base64.b64encode(data[:size]).decode()}
    headers = dict(messages[0]["headers"])
    assert headers[b"content-length"] == str(len(body)).encode()
    assert (headers[b"content-type"], headers[b"x-fact"]) == (b"application/json", b"1")
    assert [one.get("more_body") for one in messages[1:]] == [True] * (len(messages) - 2) + [False]
    assert max(length for _, length in shelf.read) <= PIECE


async def test_several_pictures_follow_each_other_and_texts_alone_need_no_file():
    shelf = Shelf(a=b"abc", b=b"de")
    _, body = await sent(Spliced(shelf, [b"[", picture("a", 3), b",", picture("b", 2), b"]"], {}))
    assert body == b"[YWJj,ZGU=]"
    _, alone = await sent(Spliced(shelf, [b'{"url":', b'"x"}'], {}))
    assert alone == b'{"url":"x"}'


async def test_a_file_that_is_gone_is_told_before_anything_was_sent():
    with pytest.raises(NotFound):
        await sent(Spliced(Shelf(), [b"{", picture("a", 3)], {}))


async def test_a_file_that_goes_later_cuts_the_answer_off():
    messages: list[dict] = []

    async def send(message: dict) -> None:
        messages.append(message)

    shelf = Shelf(a=bytes(PIECE))
    with pytest.raises(NotFound):
        await Spliced(shelf, [picture("a", PIECE), b",", picture("b", 3)], {})({}, None, send)
    assert messages[-1]["more_body"] is True
