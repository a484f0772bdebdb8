import subprocess
import sys

import anyio
import httpx

from limner.api.app import create_app
from limner.cli.later import Later
from limner.config import Settings
from tests.api.fakes import FakeLimner

HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"},
    },
}
HEADERS = {"Accept": "application/json, text/event-stream", "Host": "127.0.0.1"}


async def test_the_first_callers_open_the_door_once_and_all_are_answered(home, monkeypatch):
    limner = FakeLimner()
    limner.settings = Settings(home=home)
    later = Later(limner)
    opened = []
    opening = later._open

    async def counted(*, task_status):
        opened.append(task_status)
        await opening(task_status=task_status)

    monkeypatch.setattr(later, "_open", counted)
    transport = httpx.ASGITransport(create_app(limner, doors=[later]))
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=HEADERS) as http,
        anyio.create_task_group() as later.tasks,
    ):
        answers: list[httpx.Response] = []

        async def knock() -> None:
            answers.append(await http.post("/mcp", json=HELLO))

        async with anyio.create_task_group() as callers:
            for _ in range(3):
                callers.start_soon(knock)
        later.tasks.cancel_scope.cancel()
    assert [one.status_code for one in answers] == [200, 200, 200]
    assert len({one.headers["mcp-session-id"] for one in answers}) == 3
    assert len(opened) == 1


def test_a_server_does_not_load_what_nobody_has_asked_for():
    loaded = "import sys; import limner.cli.serve; print('mcp' in sys.modules, 'grpc' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert said.stdout == "False False\n"
