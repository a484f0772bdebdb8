"""What strangers may send as pictures, at the real house: kept or refused cleanly, and never half-way."""

import asyncio
import base64
import hashlib
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from PIL import Image

from limner.api.app import create_app
from tests.fakes import Desk, limner, model, png, vendor

URL = "/v1/images/edits"
OPERATIONS = {"generate", "edit", "inpaint", "variation"}
LIMIT = 1 << 20


pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class House:
    """One for all: what a test sends must leave nothing that another would notice."""

    http: httpx.AsyncClient
    desk: Desk
    home: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory):
    home, desk = tmp_path_factory.mktemp("house"), Desk()
    easel = model(operations=OPERATIONS, max_inputs=16)
    app = create_app(limner(home, vendor(desk), models=[easel]), max_upload_bytes=LIMIT)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://limner.test") as client,
    ):
        yield House(client, desk, home)


@pytest.fixture
def http(house):
    return house.http


@pytest.fixture
def desk(house):
    house.desk.calls.clear()
    return house.desk


def saved(image, fmt, **how):
    out = BytesIO()
    image.save(out, fmt, **how)
    return out.getvalue()


def plain(mode="RGB", size=(64, 64)):
    return Image.new(mode, size, 90 if mode in ("L", "P") else (90,) * len(mode))


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(plain(size=(128, 64)), "JPEG", exif=exif)


def bomb(width, height):
    """A PNG of 100 bytes whose header promises many pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    )


FRAMES = [plain("RGBA"), Image.new("RGBA", (64, 64), (1, 2, 3, 4))]
TAKEN = {
    "png": png(),
    "jpeg": saved(plain(), "JPEG"),
    "webp": saved(plain(), "WEBP"),
    "a jpeg in ink": saved(plain("CMYK"), "JPEG"),
    "a turned jpeg": turned(),
    "an animated png": saved(FRAMES[0], "PNG", save_all=True, append_images=FRAMES[1:]),
    "a palette": saved(plain("P"), "PNG"),
}
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
REFUSED = {
    "nothing": b"",
    "text": b"this is no picture",
    "svg with a script": SVG,
    "gif": saved(plain("P"), "GIF"),
    "tiff": saved(plain(), "TIFF"),
    "html": b"<!doctype html><script>alert(1)</script>",
    "a bomb": bomb(30_000, 30_000),
    "more pixels than the format has": bomb(0x7FFFFFFF, 0x7FFFFFFF),
    "no pixels": bomb(0, 0),
    "a cut off png": png(256, 256)[:-20],
    "a cut off jpeg": saved(plain(size=(256, 256)), "JPEG")[:400],
    "only a head": b"\x89PNG\r\n\x1a\n",
    "a zip": b"PK\x03\x04" + b"\0" * 100,
}


@pytest.mark.parametrize("data", TAKEN.values(), ids=TAKEN)
@pytest.mark.parametrize("kind", ["image/png", "text/html", "application/octet-stream"])
async def test_a_whole_picture_reaches_the_vendor_whatever_it_is_declared_as(http, desk, data, kind):
    answer = await http.post(URL, data={"prompt": "a hat"}, files={"image": ("../../x.svg", data, kind)})
    assert answer.status_code == 200, answer.text
    assert [call.inputs for call in desk.calls] == [(data,)]


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("name", ["image", "mask"])
async def test_what_is_no_picture_is_refused_and_nothing_of_it_stays(http, desk, house, data, name):
    files = {"image": ("a.png", png(), "image/png")} | {name: ("a.png", data, "image/png")}
    answer = await http.post(URL, data={"prompt": "a hat"}, files=files)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (400, name, "invalid_value")
    assert len(error["message"]) < 300
    assert desk.calls == []
    digest = hashlib.sha256(data).hexdigest()
    assert not [path for path in house.home.rglob("*") if digest in path.name]
    again = await http.post(URL, data={"prompt": "a hat"}, files={"image": ("a.png", png(), "image/png")})
    assert again.status_code == 200


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (png(32, 32), "mask: is 32x32 and the picture 64x64"),
        (saved(plain(), "JPEG"), "mask: must be a PNG"),
    ],
)
async def test_a_mask_fits_its_picture(http, desk, mask, said):
    files = {"image": ("a.png", png(), "image/png"), "mask": ("m.png", mask, "image/png")}
    answer = await http.post(URL, data={"prompt": "a hat"}, files=files)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], desk.calls) == (400, "mask", [])
    assert error["message"].startswith(said)


@pytest.mark.parametrize(
    ("path", "size"), [(URL, LIMIT + 1), (URL, 100 << 20), ("/v1/images/variations", LIMIT + 1)]
)
async def test_more_than_the_limit_is_413_as_a_form(http, path, size):
    answer = await http.post(path, files={"image": ("a.png", bytes(size), "image/png")})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("path", [URL, "/v1/moderations"])
async def test_more_than_the_limit_is_413_as_json(http, path):
    answer = await http.post(path, json={"input": "x" * LIMIT})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


async def test_json_of_very_many_tiny_values_is_refused_unread(tmp_path):
    body = b'{"prompt":"a hat","images":[' + b"{}," * 400_000 + b"{}]}"
    app = create_app(limner(tmp_path, vendor(Desk()), models=[model(operations=OPERATIONS)]))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://limner.test") as client:
        answer = await client.post(URL, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        400,
        "the body holds more than 100,000 values; send fewer",
    )


@pytest_asyncio.fixture(loop_scope="module")
async def neighbour():
    """A server on this machine that nobody outside should make us ask; it counts who does."""
    seen = []

    async def serve(reader, writer):
        seen.append(await reader.readline())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/a.png",
        "http://localhost:{port}/a.png",
        "http://[::1]:{port}/a.png",
        "http://[::ffff:127.0.0.1]:{port}/a.png",
        "http://0.0.0.0:{port}/a.png",
        "http://2130706433:{port}/a.png",
        "http://127.1:{port}/a.png",
        "http://user:pass@127.0.0.1:{port}/a.png",
        "http://limner.test@127.0.0.1:{port}/a.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/a.png",
        "http://192.168.0.1/a.png",
        "http://[fe80::1]/a.png",
        "file:///etc/passwd",
        "ftp://127.0.0.1:{port}/a.png",
        "gopher://127.0.0.1:{port}/a.png",
        "//127.0.0.1:{port}/a.png",
        "javascript:alert(1)",
        "data:text/html;base64,PHNjcmlwdD4=",
        "data:image/png;base64,!!!!",
        "data:image/svg+xml;base64," + base64.b64encode(SVG).decode(),
        "http://",
        "http://\x00/",
        "nonsense",
    ],
)
async def test_addresses_of_this_machines_networks_are_refused_and_never_asked(http, desk, neighbour, url):
    port, seen = neighbour
    url = url.format(port=port)
    answer = await http.post(URL, json={"prompt": "a hat", "images": [{"image_url": url}]})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, "image")
    assert len(error["message"]) < 400
    assert (seen, desk.calls) == ([], [])


async def test_a_picture_drawn_here_is_edited_by_the_address_it_was_given(http, desk):
    made = await http.post("/v1/images/generations", json={"prompt": "a fox", "response_format": "url"})
    url = made.json()["data"][0]["url"]
    answer = await http.post(URL, json={"prompt": "a hat", "images": [{"image_url": url}]})
    assert answer.status_code == 200
    assert (await http.get(url)).content == desk.calls[1].inputs[0]


async def test_a_picture_that_was_sent_before_is_named_by_its_digest(http, desk):
    kept = await http.post("/v1/inputs", content=png(), headers={"content-type": "image/png"})
    file_id = kept.json()["digest"]
    answer = await http.post(URL, json={"prompt": "a hat", "images": [{"file_id": file_id}]})
    assert (answer.status_code, desk.calls[0].inputs) == (200, (png(),))


async def test_an_unknown_digest_is_refused(http, desk):
    answer = await http.post(URL, json={"prompt": "a hat", "images": [{"file_id": "0" * 64}]})
    assert (answer.status_code, answer.json()["error"]["param"], desk.calls) == (400, "image", [])


async def test_the_same_form_twice_under_one_key_is_bought_once(http, desk):
    files = {"image": ("a.png", png(), "image/png")}
    headers = {"Idempotency-Key": "k-1"}
    answers = [await http.post(URL, data={"prompt": "a hat"}, files=files, headers=headers) for _ in range(2)]
    assert [one.status_code for one in answers] == [200, 200]
    assert answers[0].content == answers[1].content
    assert len(desk.calls) == 1
