"""Only the chat window's own pages reach it."""

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from limner.chat.ui.gate import Gate

HERE = "http://127.0.0.1:8000"


async def page(_request):
    return PlainTextResponse("here")


async def line(websocket):
    await websocket.accept()
    await websocket.send_text("here")
    await websocket.close()


GATE = Gate(Starlette(routes=[Route("/", page), WebSocketRoute("/ws", line)]))


async def answer(**headers):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(GATE), base_url=HERE) as http:
        return await http.get("/", headers=headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": HERE},
        {"host": "localhost:8000", "origin": "http://localhost:8000"},
        {"host": "LOCALHOST"},
        {"host": "[::1]:8000"},
        {"host": "127.9.9.9:1"},
    ],
    ids=str,
)
async def test_its_own_pages_are_let_in_and_may_load_nothing_from_elsewhere(headers):
    found = await answer(**headers)
    assert (found.status_code, found.text) == (200, "here")
    assert found.headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "http" not in found.headers["content-security-policy"]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": ""},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost.evil.example:8000"},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://127.0.0.1:8000.evil.example"},
    ],
    ids=str,
)
async def test_other_pages_are_refused(headers):
    found = await answer(**headers)
    assert (found.status_code, found.text) == (403, "The chat answers pages of its own address only.")


def test_a_connection_is_held_to_the_same():
    with TestClient(GATE, base_url=HERE) as client:
        with client.websocket_connect("/ws", headers={"origin": HERE, "host": "127.0.0.1:8000"}) as open_line:
            assert open_line.receive_text() == "here"
        with (
            pytest.raises(WebSocketDisconnect) as refused,
            client.websocket_connect("/ws", headers={"origin": "http://evil.example"}),
        ):
            pass
    assert refused.value.code == 1008
