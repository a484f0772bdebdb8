"""`/mcp` of a real server: the library's own client, and everybody who is none."""

import base64
import json
import socket
from decimal import Decimal

import httpx
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from limner.mcp import http as door
from limner.mcp.http import MAX_BODY_BYTES, McpDoor
from tests.mcp.house import Easel

HEAD = {"accept": "application/json, text/event-stream", "content-type": "application/json"}
KEYS = "ann=ann-has-a-long-key,bob=bob-has-a-long-key"
OIL = {"prompt": "a red fox", "model": "oil"}


def hello(version: str) -> dict[str, object]:
    client = {"name": "test", "version": "1"}
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": client}
    return {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}


def opened(url: str, version: str = "2025-06-18", **headers: str) -> tuple[dict[str, str], dict[str, object]]:
    """The headers of a new session, and the server's answer."""
    answer = httpx.post(f"{url}/mcp", json=hello(version), headers=HEAD | headers)
    assert answer.status_code == 200, answer.text
    session = HEAD | headers | {"mcp-session-id": answer.headers["mcp-session-id"]}
    started = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    assert httpx.post(f"{url}/mcp", json=started, headers=session).status_code == 202
    return session, said(answer)["result"]


def said(answer: httpx.Response) -> dict[str, object]:
    """The last message of an answer, whether it came as JSON or as events."""
    if answer.headers["content-type"].startswith("application/json"):
        return answer.json()
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    return json.loads(lines[-1])


def called(url: str, session: dict[str, str], tool: str, arguments: dict[str, object]) -> dict[str, object]:
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call"}
    message = call | {"params": {"name": tool, "arguments": arguments}}
    answer = httpx.post(f"{url}/mcp", json=message, headers=session, timeout=30)
    assert answer.status_code == 200, answer.text
    return said(answer)["result"]


def bought(url: str, session: dict[str, str], order: dict[str, object]) -> dict[str, object]:
    quote = called(url, session, "quote", order)["structuredContent"]["quote"]
    return called(url, session, "generate", order | {"confirm": True, "quote": quote})


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_client_lists_quotes_orders_finds_reads_and_changes_pictures(serve, mode):
    async with Client(f"{serve()}/mcp", mode=mode) as client:
        assert len((await client.list_tools()).tools) == 7
        asked = await client.call_tool("generate", OIL)
        quote = asked.structured_content["quote"]["quote"]
        heard = []

        async def hear(progress, total, message):
            heard.append(progress)

        told = await client.call_tool(
            "generate", OIL | {"confirm": True, "quote": quote}, progress_callback=hear
        )
        assert told.structured_content["session"]["spent_usd"] == 0.04
        assert heard
        uri = told.structured_content["images"][0]["uri"]
        (content,) = (await client.read_resource(uri)).contents
        assert base64.b64decode(content.blob).startswith(b"\x89PNG")
        assert [str(one.uri) for one in (await client.list_resources()).resources] == [uri]
        edited = await client.call_tool("edit", {"prompt": "bluer", "model": "sketch", "images": [uri]})
        assert edited.structured_content["status"] == "succeeded"
        assert len((await client.call_tool("search", {"words": "fox"})).structured_content["images"]) == 1


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_older_clients_are_spoken_to_in_their_version(serve, version):
    url = serve()
    session, told = opened(url, version)
    assert told["protocolVersion"] == version
    assert told["serverInfo"]["name"] == "limner"
    answer = called(url, session, "generate", {"prompt": "a red fox", "model": "sketch"})
    kinds = [block["type"] for block in answer["content"]]
    assert kinds[:2] == ["text", "image"]
    assert not answer.get("isError")


def test_a_version_nobody_knows_is_answered_with_one_we_speak(serve):
    _, told = opened(serve(), "1999-01-01")
    assert told["protocolVersion"] == "2025-11-25"


def test_each_session_has_a_ceiling_of_its_own_and_an_id_nobody_can_guess(serve):
    url = serve()
    first, second = opened(url)[0], opened(url)[0]
    marble = {"prompt": "a bust", "model": "marble"}
    assert bought(url, first, marble)["structuredContent"]["session"]["left_usd"] == 0.4
    assert called(url, first, "generate", marble)["isError"]
    assert bought(url, second, marble)["structuredContent"]["session"]["left_usd"] == 0.4
    assert first["mcp-session-id"] != second["mcp-session-id"]
    assert len(first["mcp-session-id"]) >= 32


async def test_a_protocol_without_sessions_counts_by_caller_whatever_id_is_made_up(serve):
    url = serve()
    marble = {"prompt": "a bust", "model": "marble"}
    for made_up in ("one", "two"):
        http = create_mcp_http_client(headers={"mcp-session-id": made_up})
        async with http, Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client:
            told = await client.call_tool("generate", marble)
            if quote := (told.structured_content or {}).get("quote"):
                told = await client.call_tool("generate", marble | {"confirm": True, "quote": quote["quote"]})
    assert told.meta["limner/error"]["code"] == "over_budget"
    assert len(Easel.orders) == 1


def test_a_session_ends_with_delete_and_is_then_unknown(serve):
    url = serve()
    session, _ = opened(url)
    assert httpx.delete(f"{url}/mcp", headers=session).status_code == 200
    answer = httpx.post(f"{url}/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"}, headers=session)
    assert answer.status_code == 404


def test_sessions_are_bounded_in_number(serve, monkeypatch):
    monkeypatch.setattr(door, "MAX_SESSIONS", 2)
    url = serve()
    first, _ = opened(url)
    opened(url)
    assert httpx.post(f"{url}/mcp", json=hello("2025-06-18"), headers=HEAD).status_code == 503
    assert httpx.delete(f"{url}/mcp", headers=first).status_code == 200
    opened(url)


def test_where_keys_are_configured_one_is_needed_and_a_session_is_its_openers_alone(serve):
    url = serve(api_keys=KEYS)
    ann, bob = ({"authorization": f"Bearer {name}-has-a-long-key"} for name in ("ann", "bob"))
    refused = httpx.post(f"{url}/mcp", json=hello("2025-06-18"), headers=HEAD)
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert refused.json()["error"]["code"] == -32600
    session, _ = opened(url, **ann)
    message = {"jsonrpc": "2.0", "id": 7, "method": "tools/list"}
    assert httpx.post(f"{url}/mcp", json=message, headers=session).status_code == 200
    assert httpx.post(f"{url}/mcp", json=message, headers=session | bob).status_code == 404


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        (None, 200),
        ("http://localhost:6274", 200),
        ("http://127.0.0.1:9", 200),
        ("https://paint.example", 200),
        ("https://paint.example.evil.example", 403),
        ("http://paint.example", 403),
        ("https://evil.example", 403),
        ("http://localhost.evil.example", 403),
        ("null", 403),
        ("", 403),
        ("file://", 403),
        ("http://[", 403),
    ],
)
async def test_web_pages_of_other_sites_may_not_call(limner, origin, status):
    mounted = McpDoor(limner, ceiling=Decimal(1), public_url="https://paint.example")
    async with mounted.running(), httpx.AsyncClient(transport=httpx.ASGITransport(mounted)) as client:
        headers = HEAD if origin is None else HEAD | {"origin": origin}
        answer = await client.post("http://paint.example/mcp", json=hello("2025-06-18"), headers=headers)
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("asked", "origin", "status"),
    [
        ("http://10.0.0.5:8003/mcp", "http://10.0.0.5:8003", 200),
        ("http://10.0.0.5:8003/mcp", "http://10.0.0.6:8003", 403),
        ("http://rebound.example:8003/mcp", "http://rebound.example:8003", 403),
    ],
)
async def test_the_same_address_is_trusted_by_number_and_not_by_name(limner, asked, origin, status):
    mounted = McpDoor(limner, ceiling=Decimal(1))
    async with mounted.running(), httpx.AsyncClient(transport=httpx.ASGITransport(mounted)) as client:
        answer = await client.post(asked, json=hello("2025-06-18"), headers=HEAD | {"origin": origin})
    assert answer.status_code == status


def test_a_foreign_host_is_refused_on_loopback(serve):
    answer = httpx.post(f"{serve()}/mcp", json=hello("2025-06-18"), headers=HEAD | {"host": "evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, -32600)


DEEP = b"[" * 200_000
ID = {"jsonrpc": "2.0", "method": "ping"}
HOSTILE = {
    "a batch of 10,000": (json.dumps([ID | {"id": n} for n in range(10_000)]).encode(), 400),
    "nothing": (b"", 400),
    "no JSON": (b"x{", 400),
    "no UTF-8": (b"\xff\xfe{}", 400),
    "null": (b"null", 400),
    "a number": (b"1e999", 400),
    "nested deeply": (DEEP, 400),
    "nested deeply in arguments": (b'{"jsonrpc":"2.0","id":1,"params":' + DEEP, 400),
    "a long id": (json.dumps(ID | {"id": "i" * 20_000}).encode(), 400),
    "an id of many digits": (b'{"jsonrpc":"2.0","method":"ping","id":' + b"9" * 6_000 + b"}", 400),
    "an object as id": (json.dumps(ID | {"id": {"a": 1}}).encode(), 400),
    "a longer body than is read": (b'{"a":"' + b"x" * MAX_BODY_BYTES + b'"}', 413),
}


@pytest.fixture(scope="module")
def one_server(tmp_path_factory):
    from tests.mcp.house import make, serving

    with serving(make(tmp_path_factory.mktemp("home"))) as url:
        yield url


@pytest.mark.parametrize("version", [None, "2025-11-25", "2026-07-28", "9999-01-01", "x" * 5_000])
@pytest.mark.parametrize("what", HOSTILE)
def test_what_is_no_message_is_refused_and_the_server_lives(one_server, what, version):
    body, status = HOSTILE[what]
    headers = HEAD if version is None else HEAD | {"mcp-protocol-version": version}
    if version is None:
        headers = opened(one_server)[0]
    answer = httpx.post(f"{one_server}/mcp", content=body, headers=headers, timeout=30)
    assert answer.status_code == status
    assert len(answer.content) < 2_000
    assert httpx.get(f"{one_server}/healthz").status_code == 200


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"method": "no/such"}, -32601),
        ({"method": "tools/call"}, -32602),
        ({"method": "tools/call", "params": {"name": 7}}, -32602),
        ({"method": "tools/call", "params": {"name": "x" * 100_000, "arguments": {}}}, -32602),
        ({"method": "tools/call", "params": {"name": "generate", "arguments": "prompt"}}, -32602),
        ({"method": "tools/call", "params": [1, 2]}, -32602),
        ({"method": "resources/read", "params": {"uri": "file:///etc/passwd"}}, -32602),
        ({"method": "resources/read", "params": {"uri": "limner://images/../x"}}, -32602),
        ({"method": "resources/read", "params": {"uri": "limner://images/nobody-1"}}, -32602),
    ],
)
def test_a_wrong_call_is_an_error_of_the_protocol(one_server, message, code):
    session, _ = opened(one_server)
    answer = httpx.post(f"{one_server}/mcp", json={"jsonrpc": "2.0", "id": 1} | message, headers=session)
    told = said(answer)
    if "error" in told:
        assert told["error"]["code"] in (code, -32600)
        assert len(json.dumps(told)) < 2_000
    else:
        pytest.fail(f"not refused: {str(told)[:200]}")


def test_ten_megabytes_of_prompt_are_refused_as_a_prompt(one_server):
    session, _ = opened(one_server)
    told = called(one_server, session, "generate", {"prompt": "x" * 10_000_000})
    assert told["isError"]
    assert len(told["content"][0]["text"]) < 300


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", HEAD, 400),
        ("GET", HEAD | {"mcp-session-id": "a-guess"}, 404),
        ("DELETE", HEAD, 400),
        ("DELETE", HEAD | {"mcp-session-id": "a-guess"}, 404),
        ("POST", {"content-type": "text/plain"}, 415),
        ("POST", {}, 415),
        ("PUT", HEAD, 405),
        ("PATCH", HEAD, 405),
        ("HEAD", HEAD, 405),
    ],
)
def test_other_ways_to_ask_are_refused(one_server, method, headers, status):
    answer = httpx.request(
        method, f"{one_server}/mcp", headers=headers, content=b"{}" if method == "POST" else None
    )
    assert answer.status_code == status
    if status == 405:
        assert answer.headers["allow"] == "GET, POST, DELETE"


def test_a_body_that_never_ends_is_given_up(serve, monkeypatch):
    monkeypatch.setattr(door, "BODY_S", 0.2)
    url = serve()
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as line:
        line.sendall(
            b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        assert line.recv(1000).startswith(b"HTTP/1.1 408 ")
