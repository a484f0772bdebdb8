"""Bodies that are no JSON object, or none that a door takes: each of them, at every door that reads one."""

import gzip
import json
import zlib

import httpx
import pytest

from tests.hostile.doors import DOORS, FOX, Door
from tests.hostile.house import House, clean, named

RAW = {
    "empty": b"",
    "blank": b" \r\n\t ",
    "malformed": b'{"prompt": "fox"',
    "trailing-words": b'{"prompt": "fox"} and more',
    "trailing-comma": b'{"prompt": "fox",}',
    "two-documents": b'{"prompt": "fox"}{"prompt": "fox"}',
    "array": b'[{"prompt": "fox"}]',
    "null": b"null",
    "true": b"true",
    "number": b"1",
    "string": b'"a red fox"',
    "deep-arrays": b"[" * 30_000 + b"]" * 30_000,
    "deep-objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "deep-and-open": b"[" * 60_000,
    "nested-in-a-field": b'{"prompt":' + b"[" * 25_000 + b"]" * 25_000 + b"}",
    "names-twice": b'{"prompt": "fox", "prompt": "cat"}',
    "names-twice-within": b'{"prompt": "fox", "policy": {"strict": true, "strict": false}}',
    "NaN": b'{"prompt": "fox", "seed": NaN}',
    "Infinity": b'{"prompt": "fox", "seed": Infinity}',
    "minus-Infinity": b'{"prompt": "fox", "seed": -Infinity}',
    "a-number-of-60000-digits": b'{"prompt": "fox", "seed": ' + b"9" * 60_000 + b"}",
    "invalid-UTF-8": b'{"prompt": "\xff\xfe"}',
    "overlong-UTF-8": b'{"prompt": "\xc0\xaf"}',
    "a-surrogate-in-UTF-8": b'{"prompt": "\xed\xa0\x80"}',
    "UTF-16": '{"prompt": "fox"}'.encode("utf-16"),
    "UTF-32": '{"prompt": "fox"}'.encode("utf-32"),
    "a-byte-order-mark": b'\xef\xbb\xbf{"prompt": "fox"}',
    "a-raw-newline": b'{"prompt": "a\nb"}',
    "a-raw-NUL": b'{"prompt": "a\x00b"}',
    "single-quotes": b"{'prompt': 'fox'}",
    "a-comment": b'{"prompt": "fox" /* red */}',
    "hexadecimal": b'{"prompt": "fox", "seed": 0x10}',
    "a-leading-zero": b'{"prompt": "fox", "seed": 007}',
    "YAML": b"prompt: a red fox\n",
    "XML": b"<prompt>a red fox</prompt>",
    "a-form": b"prompt=a+red+fox",
    "HTML": b"<script>alert(1)</script>",
    "a-picture": b"\x89PNG\r\n\x1a\n" + b"\x00" * 64,
    "a-zip": b"PK\x03\x04" + b"\x00" * 64,
    "a-million-blanks-short": b" " * 60_000,
    "pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94",
}
JSON = {"content-type": "application/json"}
TYPES = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "text/html",
    "image/svg+xml",
    "application/xml",
    "application/jsonx",
    "json",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "x" * 5_000,
)
CODINGS = ("gzip", "deflate", "br", "zstd", "compress", "gzip, gzip", "x" * 3_000)
PROMPTS = {
    "absent": ...,
    "null": None,
    "empty": "",
    "blank": " \t\n\u3000\u200b",
    "only bidi marks": "\u202e\u2066\u200f",
    "only joiners": "\u200d\u2060\ufeff",
    "10,001 characters": "x" * 10_001,
    "10,001 emoji": "\U0001f98a" * 10_001,
    "a NUL": "fox\x00cat",
    "a lone surrogate": "\ud800",
    "a number": 7,
    "true": True,
    "a list": [FOX],
    "an object": {"text": FOX},
}
DRAWS = (
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/jobs",
    "/v1/quotes",
    "/unified/generate",
    "/unified/generate/quick",
    "/generate-image",
    "/sdapi/v1/txt2img",
)
at_every_door = pytest.mark.parametrize("door", DOORS, ids=str)


def send(house: House, door: Door, body: bytes, **headers: str) -> httpx.Response:
    return house.web.request(door.method, door.path, content=body, headers=JSON | door.more | headers)


@at_every_door
def test_what_is_no_json_object_is_refused(house, door):
    for name, body in RAW.items():
        with named(name):
            # Hugging Face's client declares a bare picture as JSON: one that is none is refused as a picture.
            clean(send(house, door, body), door.bad)


@at_every_door
def test_another_type_is_refused(house, door):
    for kind in TYPES:
        forms = door.path == "/v1/images/edits" and kind.startswith("multipart")
        with named(kind):
            answer = send(house, door, json.dumps(door.body).encode(), **{"content-type": kind})
            clean(answer, 400 if forms else 415)


@at_every_door
def test_a_packed_body_is_not_unpacked(house, door):
    plain = json.dumps(door.body).encode()
    packed = {"gzip": gzip.compress(plain), "deflate": zlib.compress(plain)}
    for coding in CODINGS:
        with named(coding):
            clean(send(house, door, packed.get(coding, plain), **{"content-encoding": coding}), 415)


@at_every_door
def test_a_body_larger_than_is_read_is_413_declared_or_not(house, door):
    def pieces():
        for _ in range(door.limit // (1 << 16) + 2):
            yield b" " * (1 << 16)

    clean(send(house, door, b" " * (door.limit + 70_000)), 413)
    clean(house.web.request(door.method, door.path, content=pieces(), headers=JSON | door.more), 413)


@pytest.mark.parametrize("door", [door for door in DOORS if door.path in DRAWS], ids=str)
def test_a_prompt_that_says_nothing_or_too_much_is_refused(house, door):
    for name, prompt in PROMPTS.items():
        body = {key: value for key, value in (door.body | {"prompt": prompt}).items() if value is not ...}
        with named(name):
            text = json.dumps(body, ensure_ascii="surrogate" in name)
            clean(send(house, door, text.encode()), 400, door.wrong)
