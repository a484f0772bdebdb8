"""Bad input at every door: a clean 4xx in that door's shape, nothing ordered, the server alive."""

import socket

import pytest

from tests.api.conftest import MAX_BODY

IMAGES, JOBS, QUOTES = "/v1/images/generations", "/v1/jobs", "/v1/quotes"
GOOD = {"prompt": "a red fox"}

RAW = [
    ("empty body", b"", None),
    ("malformed", b'{"prompt": "fox"', None),
    ("trailing words", b'{"prompt": "fox"} and more', None),
    ("array", b'[{"prompt": "fox"}]', None),
    ("null", b"null", None),
    ("number", b"1", None),
    ("deeply nested arrays", b"[" * 30_000 + b"]" * 30_000, None),
    ("deeply nested objects", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, None),
    ("nested inside a field", b'{"prompt":' + b"[" * 25_000 + b"]" * 25_000 + b"}", None),
    ("a name twice", b'{"prompt": "fox", "prompt": "cat"}', "prompt"),
    ("a name twice within", b'{"prompt": "fox", "policy": {"strict": true, "strict": false}}', "strict"),
    ("NaN", b'{"prompt": "fox", "seed": NaN}', None),
    ("Infinity", b'{"prompt": "fox", "seed": -Infinity}', None),
    ("a number of 60,000 digits", b'{"prompt": "fox", "seed": ' + b"9" * 60_000 + b"}", None),
    ("a huge exponent", b'{"prompt": "fox", "seed": 1e400}', "seed"),
    ("invalid UTF-8", b'{"prompt": "\xff\xfe"}', None),
    ("an overlong UTF-8 form", b'{"prompt": "\xc0\xaf"}', None),
    ("UTF-16", '{"prompt": "fox"}'.encode("utf-16"), None),
    ("a byte order mark", b'\xef\xbb\xbf{"prompt": "fox"}', None),
    ("a lone surrogate", b'{"prompt": "\\ud800"}', None),
    ("a lone surrogate as a name", b'{"prompt": "fox", "\\udfff": 1}', None),
    ("a raw newline in a string", b'{"prompt": "a\nb"}', None),
    ("single quotes", b"{'prompt': 'fox'}", None),
]

PROMPTS = [
    ("absent", {}),
    ("null", {"prompt": None}),
    ("empty", {"prompt": ""}),
    ("blank", {"prompt": " \t\n　\u200b"}),
    ("10,001 characters", {"prompt": "x" * 10_001}),
    ("a NUL", {"prompt": "fox\x00cat"}),
    ("a number", {"prompt": 7}),
    ("a list", {"prompt": ["fox"]}),
    ("an object", {"prompt": {"text": "fox"}}),
]

OPENAI = [
    *[
        ({"size": size}, "size")
        for size in (
            "0x0",
            "0x512",
            "-512x512",
            "512",
            "512x",
            "x512",
            "512x512x3",
            "512X512",
            "512\u00d7512",
            "\u0665\u0661\u0662x\u0665\u0661\u0662",
            "\uff15\uff11\uff12x\uff15\uff11\uff12",  # full-width digits
            " 512x512",
            "512x512\n",
            "0512x512",
            "999999x999999",
            "4097x64",
            "1e3x64",
            "100x100",
            "big",
            "",
            512,
            [512, 512],
            "9" * 5_000 + "x1",
        )
    ],
    *[({"n": n}, "n") for n in (0, 11, -1, "two", "2", True, 1.5, 10**30, [1])],
    *[({"seed": seed}, "seed") for seed in (-1, 2**63, 10**40, 1.5, "7", True)],
    ({"output_format": "gif"}, "output_format"),
    ({"output_format": "PNG"}, "output_format"),
    ({"output_compression": 101}, "output_compression"),
    ({"quality": "best"}, "quality"),
    ({"background": "transparent"}, "background"),
    ({"background": "green"}, "background"),
    ({"response_format": "b64"}, "response_format"),
    ({"response_format": "url", "stream": True}, "response_format"),
    ({"stream": "yes"}, "stream"),
    ({"stream": 1}, "stream"),
    ({"partial_images": 4, "stream": True}, "partial_images"),
    ({"moderation": "off"}, "moderation"),
    ({"style": "no such style"}, "style"),
    ({"style": ""}, "style"),
    ({"style": "x" * 201}, "style"),
    ({"style": "a\x00b"}, "style"),
    ({"model": ""}, "model"),
    ({"model": 7}, "model"),
    ({"model": "a\x00b"}, "model"),
    ({"model": "x" * 201}, "model"),
    ({"user": "x" * 201}, "user"),
]

LIMNER = [
    ({"width": 0, "height": 0}, "width"),
    ({"width": -64, "height": 64}, "width"),
    ({"width": 64, "height": 4_097}, "height"),
    ({"width": 64, "height": 10**30}, "height"),
    ({"width": "64", "height": 64}, "width"),
    ({"width": 64.5, "height": 64}, "width"),
    ({"width": 100, "height": 100}, "width"),
    ({"width": 64}, None),
    ({"count": 0}, "count"),
    ({"count": 21}, "count"),
    ({"count": "two"}, "count"),
    ({"count": True}, "count"),
    ({"seed": -1}, "seed"),
    ({"seed": 2**63}, "seed"),
    ({"seed": 1.5}, "seed"),
    ({"steps": 0}, "steps"),
    ({"steps": 101}, "steps"),
    ({"guidance_scale": 0.5}, "guidance_scale"),
    ({"guidance_scale": "7"}, "guidance_scale"),
    ({"format": "gif"}, "format"),
    ({"format": "jpg"}, "format"),
    ({"compression": 101}, "compression"),
    ({"quality": "hd"}, "quality"),
    ({"operation": "enlarge"}, "operation"),
    ({"operation": "upscale"}, "inputs"),
    ({"operation": "inpaint", "inputs": ["0" * 64]}, "mask"),
    ({"inputs": ["0" * 64]}, "inputs"),
    ({"mask": "0" * 64}, "mask"),
    ({"operation": "edit", "inputs": ["../../etc/passwd"]}, "inputs.0"),
    ({"operation": "edit", "inputs": ["http://169.254.169.254/"]}, "inputs.0"),
    ({"operation": "edit", "inputs": ["0" * 64] * 17}, "inputs"),
    ({"operation": "edit", "inputs": ["0" * 64], "mask": "0" * 64}, "mask"),
    ({"strength": 1.1}, "strength"),
    ({"scale": 1}, "scale"),
    ({"options": {str(n): n for n in range(65)}}, "options"),
    ({"options": []}, "options"),
    ({"model": "no such model"}, "model"),
    ({"provider": "no such provider"}, "provider"),
    ({"style": "no such style"}, "style"),
    ({"negative_prompt": "x" * 10_001}, "negative_prompt"),
    ({"project": "../../etc"}, "project"),
    ({"project": "a\n"}, "project"),
    ({"project": ""}, "project"),
    ({"policy": {"max_cost_usd": -1}}, "policy.max_cost_usd"),
    ({"policy": {"deadline_s": 0}}, "policy.deadline_s"),
    ({"policy": {"prefer": "free"}}, "policy.prefer"),
    ({"policy": []}, "policy"),
    ({"no_such_field": 1}, "no_such_field"),
]


async def refused(http, limner, path: str, status: int, field: str | None, **sent) -> None:
    answer = await http.post(path, **sent)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    if path == IMAGES:
        assert error.keys() == {"message", "type", "param", "code"}
        assert error["param"] == field
    else:
        assert error.keys() <= {"code", "message", "field"}
        assert error.get("field") == field
    assert error["message"]
    assert len(answer.content) < 700, "long input is not echoed"
    assert limner.orders == []
    assert (await http.post(path, json=GOOD)).status_code in (200, 202), "the server still serves"


@pytest.mark.parametrize("path", [IMAGES, JOBS, QUOTES])
@pytest.mark.parametrize(("body", "field"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
async def test_a_body_that_is_no_json_object(http, limner, path, body, field):
    await refused(http, limner, path, 400, field, content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize("path", [IMAGES, JOBS, QUOTES])
@pytest.mark.parametrize("body", [row[1] for row in PROMPTS], ids=[row[0] for row in PROMPTS])
async def test_a_prompt_that_is_none(http, limner, path, body):
    await refused(http, limner, path, 400, "prompt", json=body)


@pytest.mark.parametrize(("fields", "param"), OPENAI, ids=[str(row[0])[:40] for row in OPENAI])
async def test_a_bad_field_at_openais_door(http, limner, fields, param):
    await refused(http, limner, IMAGES, 400, param, json=GOOD | fields)


async def test_an_unknown_model_at_openais_door(http, limner):
    await refused(http, limner, IMAGES, 404, "model", json=GOOD | {"model": "no such model"})


@pytest.mark.parametrize("path", [JOBS, QUOTES])
@pytest.mark.parametrize(("fields", "field"), LIMNER, ids=[str(row[0])[:40] for row in LIMNER])
async def test_a_bad_field_at_limners_door(http, limner, path, fields, field):
    await refused(http, limner, path, 400, field, json=GOOD | fields)


@pytest.mark.parametrize("path", [IMAGES, JOBS, QUOTES])
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "x" * 5_000])
async def test_a_wrong_content_type(http, limner, path, kind):
    await refused(http, limner, path, 415, None, content=b'{"prompt": "fox"}', headers={"content-type": kind})


@pytest.mark.parametrize("path", [IMAGES, JOBS, QUOTES])
async def test_a_body_too_large_by_its_header_and_in_pieces(http, limner, path):
    async def pieces():
        for _ in range(MAX_BODY // 1_024 + 1):
            yield b" " * 1_024

    await refused(http, limner, path, 413, None, content=b" " * (MAX_BODY + 1))
    limner.orders.clear()
    await refused(http, limner, path, 413, None, content=pieces())


@pytest.mark.parametrize("path", [IMAGES, JOBS])
@pytest.mark.parametrize("key", ["", "x" * 256, "x" * 50_000, "ключ", "a\x01b"])
async def test_an_odd_idempotency_key(http, limner, path, key):
    headers = {"idempotency-key": key.encode()}
    await refused(http, limner, path, 400, "Idempotency-Key", json=GOOD, headers=headers)


@pytest.mark.parametrize(
    ("path", "allow"),
    [
        (IMAGES, "POST"),
        ("/v1/models", "GET, HEAD"),
        (JOBS, "GET, HEAD, POST"),
        (QUOTES, "POST"),
        ("/v1/jobs/job-1/cancel", "POST"),
        ("/v1/images/image-1/file", "GET, HEAD"),
        ("/healthz", "GET, HEAD"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(http, path, allow):
    answer = await http.delete(path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allow)
    assert answer.json()["error"]["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/v1/images/paintings", {"message", "type", "param", "code"}),
        ("/v1/images/", {"message", "type", "param", "code"}),
        ("/v1/chat/completions", {"message", "code"}),
        ("/" + "x" * 5_000, {"message", "code"}),
        ("/%00%ff", {"message", "code"}),
    ],
)
async def test_an_address_where_nothing_is(http, path, inside):
    answer = await http.post(path, json=GOOD)
    assert (answer.status_code, set(answer.json()["error"])) == (404, inside)
    assert len(answer.content) < 500


def say(server: str, sent: bytes) -> bytes:
    """What the server answers to these very bytes on a connection of their own."""
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as wire:
        wire.sendall(sent)
        wire.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: wire.recv(65_536), b""))


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET /storage/images/../../../etc/passwd HTTP/1.1", b"404"),
        (b"GET /storage/images/default/local/../../../../etc/passwd HTTP/1.1", b"404"),
        (b"GET //etc/passwd HTTP/1.1", b"404"),
        (b"GET /storage/images/default/local/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1", b"404"),
        (b"BREW /v1/jobs HTTP/1.1", b"400"),
        (b"nonsense", b"400"),
    ],
)
def test_odd_request_lines_on_the_wire(server, line, status):
    answer = say(server, line + b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert answer.split(b" ", 2)[1] == status
    assert b"root:" not in answer
    healthy = say(server, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
    assert healthy.startswith(b"HTTP/1.1 200")


def test_a_megabyte_where_a_key_should_be_is_refused_on_the_wire(server, limner):
    body = b'{"prompt": "fox"}'
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: %d\r\n" % len(
        body
    )
    answer = say(server, head + b"Idempotency-Key: " + b"k" * (1 << 20) + b"\r\n\r\n" + body)
    assert answer.split(b" ", 2)[1] in (b"400", b"431")
    assert limner.orders == []


def test_an_endless_chunked_body_is_refused_on_the_wire(server, limner):
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    answer = say(server, head + b"Connection: close\r\n\r\n" + chunk * 4 + b"0\r\n\r\n")
    assert answer.split(b" ", 2)[1] == b"413"
    assert limner.orders == []
