import re

import httpx
import pytest
from structlog.testing import capture_logs

from limner.api.app import create_app
from limner.api.middleware import Edge


def client(limner, server: str = "127.0.0.1", **options) -> httpx.AsyncClient:
    """A client whose requests arrive at `server`'s address."""
    app = create_app(limner, **options)

    async def arriving(scope, receive, send):
        await app({**scope, "server": (server, 8003)}, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(arriving), base_url="http://127.0.0.1:8003")


async def test_every_answer_has_a_request_id_and_a_plain_one_is_kept(http):
    made = (await http.get("/healthz")).headers["x-request-id"]
    kept = (await http.get("/nowhere", headers={"x-request-id": "trace-1"})).headers["x-request-id"]
    forged = (await http.get("/healthz", headers={"x-request-id": "a b;c"})).headers["x-request-id"]
    assert kept == "trace-1"
    assert [bool(re.fullmatch(r"[0-9a-f-]{36}", id_)) for id_ in (made, forged)] == [True, True]
    assert made != forged


@pytest.mark.parametrize("origin", ["https://studio.example", "null"])
async def test_any_origin_may_read_the_answers_and_the_facts(http, origin):
    answer = await http.get("/v1/models", headers={"origin": origin})
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "x-limner-cost-usd" in answer.headers["access-control-expose-headers"].split(", ")
    preflight = await http.options(
        "/v1/jobs",
        headers={
            "origin": origin,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type, idempotency-key",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-headers"] == "content-type, idempotency-key"


async def test_origins_can_be_limited(limner):
    async with client(limner, cors_origins=["https://studio.example"]) as http:
        own = await http.get("/v1/models", headers={"origin": "https://studio.example"})
        other = await http.get("/v1/models", headers={"origin": "https://evil.example"})
    assert own.headers["access-control-allow-origin"] == "https://studio.example"
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:8003", "localhost:8003", "localhost", "[::1]:8003", "limner.localhost", "draw.example", ""],
)
async def test_on_loopback_its_own_names_are_served(limner, host):
    async with client(limner, public_url="https://draw.example") as http:
        answer = await http.get("/healthz", headers={"host": host})
    assert answer.status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8003"])
async def test_on_loopback_a_foreign_name_is_refused(limner, host):
    async with client(limner) as http:
        answer = await http.post("/v1/jobs", json={"prompt": "a red fox"}, headers={"host": host})
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, "wrong_host")
    assert limner.orders == []


async def test_on_another_address_any_name_is_served(limner):
    async with client(limner, server="192.0.2.7") as http:
        assert (await http.get("/healthz", headers={"host": "draw.example"})).status_code == 200


@pytest.mark.parametrize("path", ["/v1/models", "/readyz"])
async def test_a_fault_of_ours_is_logged_and_answered_in_the_doors_shape(http, limner, path, monkeypatch):
    async def bug():
        raise ZeroDivisionError("a secret of the inside")

    monkeypatch.setattr(limner, "ready", bug)
    monkeypatch.setattr(limner, "models", lambda: 1 // 0)
    with capture_logs() as logged:
        answer = await http.get(path, headers={"x-request-id": "r-1", "origin": "https://studio.example"})
    assert answer.status_code == 500
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.json()["error"]["message"] == "Limner failed here; its log tells more under request r-1"
    assert logged == [
        {
            "event": "request failed",
            "log_level": "error",
            "exc_info": True,
            "method": "GET",
            "path": path,
            "request": "r-1",
        }
    ]


async def test_a_fault_after_the_answer_began_cuts_the_connection():
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    transport = httpx.ASGITransport(Edge(app, who=lambda _: "local"))
    async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as http:
        with pytest.raises(ZeroDivisionError), capture_logs() as logged:
            await http.get("/")
    assert [entry["event"] for entry in logged] == ["request failed"]


async def test_a_client_that_leaves_before_its_body_came_is_no_fault(limner):
    sent = []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/jobs",
        "raw_path": b"/v1/jobs",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "server": ("limner.test", None),
        "scheme": "http",
    }

    async def receive():
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    with capture_logs() as logged:
        await create_app(limner)(scope, receive, send)
    assert (sent, limner.orders) == ([], [])
    assert [entry["log_level"] for entry in logged] == ["debug"]
