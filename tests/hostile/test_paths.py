"""Paths, methods, hosts, keys and queries that nobody in good faith sends."""

# ruff: noqa: E501 - a table of many odd things is read by its rows
import re
from urllib.parse import quote

import httpx
import pytest

from limner.api.app import create_app
from limner.app import Limner
from limner.config import Settings
from tests.hostile.house import clean, named

UP = (
    "../../../../etc/passwd",
    "..%2f..%2f..%2fetc%2fpasswd",
    "%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "%252e%252e%252f%252e%252e%252fetc%252fpasswd",
    "..%5c..%5cwindows%5cwin.ini",
    "..\\..\\windows\\win.ini",
    "....//....//etc/passwd",
    "..;/..;/etc/passwd",
    "%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
    "%e0%80%ae%e0%80%ae/etc/passwd",
    "%uff0e%uff0e/etc/passwd",
    "\uff0e\uff0e/etc/passwd",
    "..%00/etc/passwd",
    "%00",
    "%0d%0aX-Evil:%201",
    "%ff%fe",
    "~root",
    "file:%2f%2f%2fetc%2fpasswd",
    "C:%5cfox.png",
    "%2fetc%2fpasswd",
    ".env",
    "con.png",
    "fox.png%20",
    "fox\u202egnp.exe",
    "x" * 6_000,
)
BELOW = (
    "/storage/",
    "/storage/images/",
    "/storage/images/default/",
    "/storage/images/default/easel/",
    "/v1/images/",
    "/v1/jobs/",
    "/v1/models/",
    "/v1/templates/",
    "/v1/experiments/",
    "/unified/jobs/",
    "/projects/",
    "/models/",
    "/hf-inference/models/",
    "/sdapi/v1/",
    "/docs/",
    "/",
)


@pytest.mark.parametrize("below", BELOW)
def test_no_path_leads_out_of_the_house(house, below):
    for up in UP:
        with named(below + up):
            answer = house.web.get(httpx.URL(house.url + "/x").copy_with(raw_path=_raw(below + up)))
            clean(answer, 404, 405, 422)
            assert "x-evil" not in answer.headers
            assert "root:x" not in answer.text


def _raw(path: str) -> bytes:
    return quote(path, safe="/%;\\:~$.").encode()


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_an_odd_id_is_refused_whatever_is_to_be_done_with_it(house, method):
    for path in (
        "/v1/jobs/{}/cancel",
        "/v1/jobs/{}/decide",
        "/v1/images/{}",
        "/projects/{}",
        "/v1/providers/{}",
        "/v1/hooks/easel/{}",
        "/v1/hooks/{}/1234",
        "/v1/experiments/{}/end",
    ):
        for up in UP:
            with named(path + up):
                url = httpx.URL(house.url + "/x").copy_with(raw_path=_raw(path.format(up)))
                clean(house.web.request(method, url, content=b"{}"), 400, 404, 405, 415, 422)


def _routes() -> dict[str, set[str]]:
    """Every address, with the ways it takes."""
    ways: dict[str, set[str]] = {}
    for route in create_app(Limner(Settings())).routes:
        path = re.sub(r"{project_id[^}]*}", "00000000-0000-4000-8000-000000000000", route.path)
        ways.setdefault(re.sub(r"{[^}]*}", "a1", path), set()).update(getattr(route, "methods", None) or ())
    return ways


@pytest.mark.parametrize("method", ["TRACE", "PATCH", "PUT", "DELETE", "POST", "GET"])
def test_another_way_is_405_and_told_the_right_ones(house, method):
    for path, ways in _routes().items():
        if method in ways or path == "/mcp":
            continue
        with named(path):
            answer = house.web.request(method, path)
            clean(answer, 405)
            assert set(answer.headers["allow"].split(", ")) == ways


@pytest.mark.parametrize("method", ["TRACE", "PATCH", "PUT", "OPTIONS"])
def test_another_way_is_405_at_the_protocols_door_too(house, method):
    answer = house.web.request(method, "/mcp")
    clean(answer, 405)
    assert answer.headers["allow"] == "GET, POST, DELETE"


QUERIES = {
    "/v1/jobs": (
        "limit=0", "limit=201", "limit=-1", "limit=two", "limit=1e3", "limit=" + "9" * 400, "limit=", "limit=NaN",
        "state=odd", "state=", "project=../x", "project=" + "p" * 65, "project=a%00b", "before=../x",
        "before=" + "x" * 5_000, "before=%f0%28%8c%28",
    ),
    "/v1/images/image-1/thumbnail": ("side=15", "side=1025", "side=-1", "side=two", "side=" + "9" * 400),
    "/v1/jobs/job-1/events": ("after=-1", "after=two", "after=2147483648", "after=" + "9" * 400),
    "/unified/jobs": ("limit=0", "limit=1001", "limit=two", "project_id=7", "project_id=" + "x" * 5_000, "status=odd",
                      "provider=nobody", "provider=" + "n" * 5_000, "provider=a%00b"),
    "/sdapi/v1/progress": ("skip_current_image=perhaps", "skip_current_image=" + "x" * 5_000),
    "/v1/usage": ("days=-1&by=odd", "by=" + "x" * 5_000, "format=odd"),
}  # fmt: skip


@pytest.mark.parametrize("path", QUERIES)
def test_an_odd_query_is_refused(house, path):
    for query in QUERIES[path]:
        with named(query):
            clean(house.web.get(f"{path}?{query}"), 400, 422)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "evil.example:80",
        "[::2]",
        "0.0.0.0",
        "127.0.0.1@evil.example",
        "evil.example#127.0.0.1",
        "x" * 4_000,
        "\u2139localhost".encode("utf-8"),
        "2130706433",
    ],
)
@pytest.mark.parametrize(
    "path", ["/v1/jobs", "/v1/images/generations", "/unified/generate", "/mcp", "/sdapi/v1/txt2img"]
)
def test_a_foreign_name_on_loopback_is_421(house, path, host):
    clean(
        house.web.post(path, content=b"{}", headers={"host": host, "content-type": "application/json"}), 421
    )


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "file://", "http://127.0.0.1.evil.example", "x" * 4_000]
)
def test_a_page_of_another_site_may_not_speak_the_protocol(house, origin):
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    clean(house.web.post("/mcp", json=ping, headers={"origin": origin}), 403)


KEYS = (
    "",
    " ",
    "k" * 256,
    "k" * 30_000,
    "ключ".encode(),
    b"a\x01b",
    b"a\tb",
    b"\x7f",
    b"\xff\xfe",
    b"a\x0bb",
)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/images/generations", {"prompt": "fox"}),
        ("/v1/jobs", {"prompt": "fox"}),
        ("/unified/generate", {"prompt": "fox", "project_id": "00000000-0000-4000-8000-000000000000"}),
        ("/unified/generate/quick", {"prompt": "fox", "project_id": "00000000-0000-4000-8000-000000000000"}),
        ("/generate-image", {"prompt": "fox", "provider": "openai", "model": "dall-e-3"}),
        ("/models/sketch", {"inputs": "fox"}),
        ("/sdapi/v1/txt2img", {"prompt": "fox"}),
    ],
)
def test_an_odd_idempotency_key_is_refused_where_pictures_are_ordered(house, path, body):
    for key in ("", "k" * 256, "k" * 30_000, "\u043a\u043b\u044e\u0447".encode(), b"a\tb", b"\xff\xfe"):
        with named(key):
            clean(house.web.post(path, json=body, headers={"idempotency-key": key}), 400, 422)


def test_an_odd_request_id_is_not_taken_over(house):
    for given in ("x" * 65, "a b", "a;b", "<script>", "\u043a".encode(), "../x", "", '"'):
        with named(given):
            told = house.web.get("/v1/jobs/none-1", headers={"x-request-id": given}).headers["x-request-id"]
            assert re.fullmatch(r"[0-9a-f-]{36}", told)


def test_many_and_long_headers_are_refused_or_passed_over(house):
    many = {f"x-fox-{n}": "fox" for n in range(200)}
    clean(house.web.get("/v1/jobs/none-1", headers=many), 404)
    clean(house.web.get("/v1/jobs/none-1", headers={"cookie": "c" * 30_000}), 404)
    for path in (
        "/v1/jobs",
        "/v1/models",
        "/unified/jobs",
        "/sdapi/v1/options",
        "/models/sketch",
        "/mcp",
        "/docs",
    ):
        with named(path):
            clean(house.web.get(path, headers={"cookie": "c" * 70_000}), 431)
            clean(house.web.get(path, headers={f"x-fox-{n}": "fox" * 9 for n in range(2_000)}), 431)
            clean(house.web.get(path + "?" + "q" * 60_000, headers={"cookie": "c" * 9_000}), 431)
    clean(house.web.get("/v1/jobs/job-1/events", headers={"last-event-id": "9" * 30_000}), 400)
    clean(house.web.get("/v1/images/image-1/file", headers={"range": "bytes=" + "0-1," * 4_000}), 404)
    clean(house.web.get("/v1/images/image-1/file", headers={"if-none-match": '"' + "x" * 30_000}), 404)
    clean(house.web.post("/models/sketch", content=b"{", headers={"accept": "image/png;q=1e999," * 900}), 400)
