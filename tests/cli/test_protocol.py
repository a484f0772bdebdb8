"""Where Chainlit keeps the protocol's library back, everything else works and MCP says why it does not."""

import httpx
import pytest

from limner.api.app import create_app
from limner.cli import protocol
from limner.cli.later import Later
from limner.config import Settings
from limner.core.errors import SetupError
from tests.api.fakes import FakeLimner

SAID = (
    "MCP is not served here: it needs the package mcp 2, and Chainlit keeps it at 1.30.0. "
    "Limner in another environment, without the extra chainlit, serves it."
)


@pytest.fixture
def old(monkeypatch):
    monkeypatch.setattr(protocol, "version", lambda _name: "1.30.0")


@pytest.mark.parametrize("found", ["2.0.0", "2.3.0", "10.1"])
def test_a_library_that_is_new_enough_is_used(monkeypatch, found):
    monkeypatch.setattr(protocol, "version", lambda _name: found)
    protocol.check_mcp()
    assert protocol.mcp_missing() is None


def test_the_command_says_so(old):
    with pytest.raises(SetupError) as raised:
        protocol.check_mcp()
    assert str(raised.value) == SAID


async def test_the_door_says_so_and_the_others_answer(old, home):
    limner = FakeLimner()
    limner.settings = Settings(home=home)
    transport = httpx.ASGITransport(create_app(limner, doors=[Later(limner)]))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as http:
        mcp = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "initialize"})
        health = await http.get("/healthz")
    assert mcp.status_code == 501
    assert mcp.json() == {"jsonrpc": "2.0", "id": None, "error": {"code": -32603, "message": SAID}}
    assert health.status_code == 200
