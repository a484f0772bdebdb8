import asyncio

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from pydantic import BaseModel

from limner.core.errors import (
    Lost,
    Malformed,
    RateLimited,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from limner.wire import Wire, by_status, retry_after_s, session


class Word(BaseModel):
    text: str


@pytest.fixture
async def desk():
    """A server whose answers a test sets, with the requests it got."""

    class Desk:
        asked: list
        answer = staticmethod(lambda: web.json_response({"text": "hello"}))

    found = Desk()
    found.asked = []

    async def handle(request):
        found.asked.append((request.method, request.path, await request.text(), dict(request.headers)))
        answer = found.answer()
        return await answer if asyncio.iscoroutine(answer) else answer

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handle)
    async with TestServer(app) as server:
        found.url = str(server.make_url("/v2"))
        yield found


@pytest.fixture
async def http():
    async with session() as http:
        yield http


@pytest.fixture
def wire(desk, http):
    return Wire(http, desk.url, {"Authorization": "Bearer key"}, timeout_s=5.0)


async def test_an_answer_is_parsed_and_the_call_carries_key_and_body(desk, wire):
    assert await wire.post("orders", into=Word, json={"a": "ü"}) == Word(text="hello")
    ((method, path, body, headers),) = desk.asked
    assert (method, path, body) == ("POST", "/v2/orders", '{"a":"ü"}')
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer key", "application/json")
    assert wire.address == f"{desk.url}/"


async def test_bytes_come_as_they_are_and_a_delete_reads_nothing(desk, wire):
    desk.answer = lambda: web.Response(body=b"\x89PNG")
    assert await wire.fetch("a.png") == b"\x89PNG"
    await wire.delete("orders/7")
    assert [(method, path) for method, path, *_ in desk.asked] == [
        ("GET", "/v2/a.png"),
        ("DELETE", "/v2/orders/7"),
    ]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, Rejected),
        (401, Unauthorized),
        (402, Unauthorized),
        (403, Unauthorized),
        (404, Lost),
        (408, TimedOut),
        (410, Lost),
        (422, Rejected),
        (429, RateLimited),
        (500, TimedOut),
        (503, Unavailable),
        (504, TimedOut),
    ],
)
async def test_a_status_is_an_error_of_ours(desk, wire, status, error):
    desk.answer = lambda: web.Response(status=status, text="because")
    with pytest.raises(error, match=f"{status}: because") as caught:
        await wire.get("x", into=Word)
    assert type(caught.value) is error
    assert len(desk.asked) == 1


async def test_an_order_cannot_be_lost_before_it_is_accepted(desk, wire):
    desk.answer = lambda: web.Response(status=404, text="no such model")
    with pytest.raises(Rejected, match="no such model"):
        await wire.post("orders", into=Word, json={})


def test_a_good_status_is_no_error_and_long_texts_are_cut():
    assert by_status(204, {}, b"") is None
    assert len(str(by_status(400, {}, b"x" * 10_000))) < 300


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("", 1.0), ("soon", 1.0), ("-3", 1.0), ("٣", 1.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 1.0)],
)
def test_retry_after_is_read_in_seconds(header, seconds):
    assert retry_after_s({"Retry-After": header}) == seconds
    assert by_status(429, {"Retry-After": header}, b"").after_s == seconds


@pytest.mark.parametrize("body", ["", "[]", "<html>", '{"text": 7}', "{"])
async def test_an_answer_that_cannot_be_read_is_malformed(desk, wire, body):
    desk.answer = lambda: web.Response(text=body)
    with pytest.raises(Malformed, match="cannot read"):
        await wire.get("x", into=Word)


async def test_a_redirect_is_not_followed(desk, wire):
    desk.answer = lambda: web.Response(status=302, headers={"Location": "http://203.0.113.9/"})
    with pytest.raises(Malformed):
        await wire.get("x", into=Word)
    assert len(desk.asked) == 1


async def test_a_refused_connection_is_unavailable_for_every_method(http):
    wire = Wire(http, f"http://127.0.0.1:{unused_port()}", {})
    with pytest.raises(Unavailable, match="cannot be reached"):
        await wire.get("x", into=Word)
    with pytest.raises(Unavailable, match="cannot be reached"):
        await wire.post("x", into=Word, json={})


async def test_a_connection_that_cannot_be_made_in_time_was_no_order(http, monkeypatch, wire):
    def hang(*_args, **_kwargs):
        raise aiohttp.ConnectionTimeoutError("Connection timeout to host")

    monkeypatch.setattr(http, "request", hang)
    with pytest.raises(Unavailable, match="cannot be reached: Connection timeout"):
        await wire.post("x", into=Word, json={})


async def test_a_post_without_an_answer_may_have_arrived_and_is_sent_once(desk, http):
    async def late():
        await asyncio.sleep(0.5)
        return web.Response()

    desk.answer = late
    wire = Wire(http, desk.url, {}, timeout_s=0.1)
    with pytest.raises(TimedOut, match=r"did not answer in 0\.1 s"):
        await wire.post("orders", into=Word, json={})
    with pytest.raises(Unavailable, match="did not answer"):
        await wire.get("orders", into=Word)
    assert [method for method, *_ in desk.asked] == ["POST", "GET"]


async def test_a_connection_broken_after_the_order_was_sent_is_never_sent_again(http):
    posts = []

    async def rude(reader, writer):
        posts.append((await reader.readuntil(b"\r\n\r\n")).split()[0])
        writer.close()

    server = await asyncio.start_server(rude, "127.0.0.1", 0)
    wire = Wire(http, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", {})
    async with server:
        with pytest.raises(TimedOut, match="broke the connection"):
            await wire.post("orders", into=Word, json={})
        assert posts == [b"POST"]
        with pytest.raises(Unavailable, match="broke the connection"):
            await wire.get("orders", into=Word)


async def test_a_vendor_may_read_its_own_errors(desk, http):
    wire = Wire(http, desk.url, {}, classify=lambda status, headers, body: Unauthorized("no credit"))
    with pytest.raises(Unauthorized, match="no credit"):
        await wire.get("x", into=Word)


def test_an_address_is_told_without_the_password_it_carries():
    wire = Wire(None, "https://me:hush@h.example:1/v1", {})
    assert (wire.address, wire.host) == ("https://h.example:1/v1/", "h.example")
    assert Wire(None, "http://[::1]:7860", {}).address == "http://[::1]:7860/"


async def test_a_fault_does_not_show_the_password_of_the_address():
    address = f"127.0.0.1:{unused_port()}"
    async with session() as http:
        with pytest.raises(Unavailable) as caught:
            await Wire(http, f"http://me:hush@{address}", {}).get("x", into=Word)
    assert str(caught.value).startswith(f"http://{address}/ cannot be reached: ")
    assert "hush" not in str(caught.value)
