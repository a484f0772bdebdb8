"""Bytes that are no HTTP, or two kinds of it at once, said to a real server on a socket."""

# ruff: noqa: E501 - a table of many odd things is read by its rows
import socket
import struct

import pytest

from tests.hostile.house import MAX_BODY, named

HEAD = b"Host: 127.0.0.1\r\nConnection: close\r\n"
JOB = b'{"prompt": "fox"}'
POST = b"POST /v1/jobs HTTP/1.1\r\n" + HEAD + b"Content-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"
GARBAGE: dict[str, bytes] = {
    "nonsense": b"nonsense\r\n\r\n",
    "binary": bytes(range(256)) * 8,
    "NULs": b"\0" * 512,
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x55" * 512,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 64,
    "SSH": b"SSH-2.0-OpenSSH_9.6\r\n",
    "SOCKS": b"\x05\x01\x00",
    "SMTP": b"EHLO fox.example\r\nMAIL FROM:<fox@fox.example>\r\n",
    "no version": b"GET /nothing\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\n" + HEAD + b"\r\n",
    "an odd version": b"GET / HTTP/1.x\r\n" + HEAD + b"\r\n",
    "an odd method": b"BREW /v1/jobs HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a method in lower case": b"get /v1/jobs HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a method of 64 KB": b"G" * 65_536 + b" / HTTP/1.1\r\n" + HEAD + b"\r\n",
    "no path": b"GET  HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a blank in the path": b"GET /v1/jobs /x HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a NUL in the path": b"GET /v1/\0jobs HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a path of 1 MB": b"GET /" + b"x" * (1 << 20) + b" HTTP/1.1\r\n" + HEAD + b"\r\n",
    "a proxy's request": b"GET http://169.254.169.254/latest/ HTTP/1.1\r\n" + HEAD + b"\r\n",
    "CONNECT": b"CONNECT 127.0.0.1:22 HTTP/1.1\r\n" + HEAD + b"\r\n",
    "the star": b"OPTIONS * HTTP/1.1\r\n" + HEAD + b"\r\n",
    "TRACE": b"TRACE /v1/jobs HTTP/1.1\r\n" + HEAD + b"X-Secret: fox\r\n\r\n",
    "a header without a colon": POST + b"nonsense\r\n\r\n",
    "a header without a name": POST + b": fox\r\n\r\n",
    "a blank before the colon": POST + b"Content-Length : 17\r\n\r\n" + JOB,
    "a NUL in a header": POST + b"X-Fox: a\0b\r\nContent-Length: 17\r\n\r\n" + JOB,
    "a header of 1 MB": POST + b"X-Fox: " + b"x" * (1 << 20) + b"\r\nContent-Length: 17\r\n\r\n" + JOB,
    "a key of 1 MB": POST + b"Idempotency-Key: " + b"k" * (1 << 20) + b"\r\nContent-Length: 17\r\n\r\n" + JOB,
    "20,000 headers": POST + b"X-Fox: fox\r\n" * 20_000 + b"Content-Length: 17\r\n\r\n" + JOB,
    "an obsolete fold": POST + b"X-Fox: a\r\n b\r\nIdempotency-Key: k\r\n \r\nContent-Length: 0\r\n\r\n",
    "a length that is none": POST + b"Content-Length: fox\r\n\r\n" + JOB,
    "a length below nothing": POST + b"Content-Length: -1\r\n\r\n" + JOB,
    "a length with a sign": POST + b"Content-Length: +17\r\n\r\n" + JOB,
    "a length in hexadecimal": POST + b"Content-Length: 0x11\r\n\r\n" + JOB,
    "a length of 30 digits": POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n" + JOB,
    "a length of 19 digits": POST + b"Content-Length: 9223372036854775807\r\n\r\n" + JOB,
    "two lengths": POST + b"Content-Length: 17\r\nContent-Length: 5\r\n\r\n" + JOB,
    "two lengths in one": POST + b"Content-Length: 17, 5\r\n\r\n" + JOB,
    "a length and chunks": CHUNKED + b"Content-Length: 5\r\n\r\n11\r\n" + JOB + b"\r\n0\r\n\r\n",
    "chunks and a length": POST
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n11\r\n"
    + JOB
    + b"\r\n0\r\n\r\n",
    "another coding": POST + b"Transfer-Encoding: fox\r\n\r\n" + JOB,
    "chunks that are packed": POST
    + b"Transfer-Encoding: gzip, chunked\r\nContent-Encoding: gzip\r\n\r\n0\r\n\r\n",
    "chunks, then something": POST
    + b"Transfer-Encoding: chunked, fox\r\n\r\n11\r\n"
    + JOB
    + b"\r\n0\r\n\r\n",
    "a chunk of odd size": CHUNKED + b"\r\nfox\r\n" + JOB + b"\r\n0\r\n\r\n",
    "a chunk of no size": CHUNKED + b"\r\n\r\n" + JOB + b"\r\n0\r\n\r\n",
    "a chunk below nothing": CHUNKED + b"\r\n-11\r\n" + JOB + b"\r\n0\r\n\r\n",
    "a chunk of 2^64": CHUNKED + b"\r\n10000000000000000\r\n" + JOB + b"\r\n0\r\n\r\n",
    "a chunk of 2^63": CHUNKED + b"\r\n7fffffffffffffff\r\n" + JOB + b"\r\n0\r\n\r\n",
    "a chunk shorter than it says": CHUNKED + b"\r\n20\r\n" + JOB + b"\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"\r\n5\r\n" + JOB + b"\r\n0\r\n\r\n",
    "an endless extension": CHUNKED + b"\r\n11;" + b"x" * (1 << 20) + b"\r\n" + b" " * 17 + b"\r\n0\r\n\r\n",
    "no last chunk": CHUNKED + b"\r\n11\r\n" + JOB + b"\r\n",
    "a body cut off": POST + b"Content-Length: 1000\r\n\r\n" + JOB,
    "too much in chunks": CHUNKED + b"\r\n" + (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 4 + b"0\r\n\r\n",
    "too much at once": POST + b"Content-Length: %d\r\n\r\n" % (MAX_BODY * 4) + b" " * MAX_BODY * 4,
    "no body": POST + b"\r\n",
    "a second request in the body": POST + b"Content-Length: 0\r\n\r\n",
    "an upgrade": POST + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 1\r\n\r\n{",
    "two hosts": b"POST /v1/jobs HTTP/1.1\r\nHost: evil.example\r\n"
    + HEAD
    + b"Content-Length: 17\r\n\r\n"
    + JOB,
    "a foreign host": b"GET /v1/jobs HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    "up and out": b"GET /storage/images/../../../../etc/passwd HTTP/1.1\r\n" + HEAD + b"\r\n",
    "up and out in code": b"GET /storage/images/%2e%2e%2f%2e%2e%2fetc%2fpasswd HTTP/1.1\r\n" + HEAD + b"\r\n",
    "two slashes": b"GET //etc/passwd HTTP/1.1\r\n" + HEAD + b"\r\n",
    "HTTP/1.0 without a body": b"POST /v1/jobs HTTP/1.0\r\n\r\n",
    "HTTP/1.0 with chunks": b"POST /v1/jobs HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfox\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_request_is_refused_and_orders_nothing(house, name):
    answers = [part for part in house.say(GARBAGE[name]).split(b"HTTP/1.1 ") if part]
    for one in answers:  # none at all: it hung up
        assert one[:1] == b"4", (name, one[:200])
        assert b"root:x" not in one
        assert b"Traceback" not in one
        assert len(one) < 2_000


def test_what_rides_behind_a_refusal_is_its_own_request(house):
    """A second request that the first one's length leaves over is read as such, or not at all."""
    smuggled = b"GET /v1/jobs/none-1 HTTP/1.1\r\n" + HEAD + b"\r\n"
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n\r\n{}"
    answers = house.say(head + smuggled, whole=False).split(b"HTTP/1.1 ")[1:]
    assert [one[:3] for one in answers] == [b"400", b"404"]


def test_a_head_without_end_is_hung_up_on(house):
    for endless in (
        b"GET /v1/jobs?" + b"q" * (8 << 20),
        POST + b"X-Fox: " + b"x" * (8 << 20),
        POST + b"X-Fox: x\r\n" * (1 << 20),
    ):
        answer = house.say(endless, whole=False)
        assert answer[:12] in (b"HTTP/1.1 400", b""), answer[:200]


def test_who_says_nothing_holds_up_nobody(house):
    silent = [socket.create_connection(house.place) for _ in range(50)]
    half = [socket.create_connection(house.place) for _ in range(50)]
    try:
        for wire in half:
            wire.sendall(POST + b"Content-Length: 100000\r\n\r\n{")
        assert house.web.get("/healthz").status_code == 200
    finally:
        for wire in (*silent, *half):
            # hang up without a word
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            wire.close()


@pytest.mark.parametrize(
    "path", ["/v1/jobs", "/v1/inputs", "/unified/generate", "/v1/images/edits", "/models/sketch", "/mcp"]
)
def test_a_body_that_never_comes_is_given_up(house, monkeypatch, path):
    monkeypatch.setattr("limner.api.body.BODY_S", 0.1)
    monkeypatch.setattr("limner.api.multipart.UPLOAD_S", 0.1)
    monkeypatch.setattr("limner.mcp.http.BODY_S", 0.1)
    kind = b"image/png" if path == "/v1/inputs" else b"application/json"
    kind = b"multipart/form-data; boundary=x" if path.endswith("edits") else kind
    head = b"POST " + path.encode() + b" HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: " + kind
    answer = house.say(head + b"\r\nContent-Length: 5000\r\n\r\n{", whole=False)
    assert answer.split(b" ", 2)[1] == b"408"
    assert b"connection: close" in answer


def test_a_body_in_drops_counts_from_its_first(house, monkeypatch):
    monkeypatch.setattr("limner.api.body.BODY_S", 0.3)
    with socket.create_connection(house.place, timeout=20) as wire:
        wire.sendall(POST + b"Content-Length: 100000\r\n\r\n")
        wire.settimeout(0.01)
        answer, tries = b"", 0
        while not answer and tries < 1_000:
            tries += 1
            try:
                wire.sendall(b" ")
                answer = wire.recv(4_096)
            except TimeoutError:
                continue
    assert answer.split(b" ", 2)[1] == b"408"


def test_who_leaves_in_the_middle_leaves_nothing(house):
    for sent in (
        POST,
        POST + b"Content-Length: 17\r\n\r\n",
        POST + b"Content-Length: 17\r\n\r\n" + JOB[:5],
        CHUNKED + b"\r\n11\r\n",
    ):
        with named(sent), socket.create_connection(house.place) as wire:
            wire.sendall(sent)
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
