"""`POST /v1/inputs` over the real Limner, with what the open network sends."""

import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest

from limner.api.app import create_app
from limner.app import Limner
from tests.fakes import Desk, limner, model, png, vendor
from tests.test_inputs import bomb, file

LIMIT = 32 * 1024 * 1024


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
async def app(home, desk) -> AsyncIterator[Limner]:
    painter = model(operations={"generate", "edit", "inpaint"}, max_inputs=2)
    async with limner(home, vendor(desk), models=[painter]) as app:
        yield app


@pytest.fixture
async def http(app) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(app))
    async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client:
        yield client


async def test_a_picture_is_handed_over_and_worked_on(http, desk):
    data, hole = file("JPEG"), file("PNG", mode="RGBA")
    answer = await http.post("/v1/inputs", content=data, headers={"content-type": "image/jpeg"})
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "digest": hashlib.sha256(data).hexdigest(),
            "size_bytes": len(data),
            "width": 48,
            "height": 32,
            "format": "jpeg",
        },
    )
    mask = (await http.post("/v1/inputs", content=hole)).json()["digest"]
    wish = {
        "prompt": "a red fox",
        "operation": "inpaint",
        "inputs": [answer.json()["digest"]],
        "mask": mask,
        "width": 64,
        "height": 64,
    }
    quote = await http.post("/v1/quotes", json=wish)
    assert (quote.status_code, desk.bill) == (200, [])
    job = await http.post("/v1/jobs", json=wish)
    assert job.status_code == 202
    told = await http.get(f"/v1/jobs/{job.json()['id']}/events")
    assert '"state":"succeeded"' in told.text.replace(" ", "")
    assert (desk.calls[0].inputs, desk.calls[0].mask) == ((data,), hole)


LABELS = ["image/png", "image/jpeg", "IMAGE/WEBP; charset=binary", "application/octet-stream", ""]


async def test_what_it_is_is_read_from_the_file_and_not_from_its_label(http):
    for headers in ({}, *({"content-type": label} for label in LABELS)):
        answer = await http.post("/v1/inputs", content=png(), headers=headers)
        assert (answer.status_code, answer.json()["format"]) == (201, "png")


OTHERS = ["application/json", "multipart/form-data; boundary=x", "text/plain", "image/svg+xml", "image/gif"]


async def test_another_content_type_is_415(http):
    for declared in OTHERS:
        answer = await http.post("/v1/inputs", content=png(), headers={"content-type": declared})
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "wrong_content_type")
        kind = declared.partition(";")[0]
        assert answer.json()["error"]["message"] == (
            f"the body is declared as {kind}; send a picture as image/png, jpeg or webp"
        )


HOSTILE = [
    (b"", "the picture is empty"),
    (b"<svg onload=alert(1)>", "not a PNG, JPEG or WebP file"),
    (b"\xff\xd8\xff" + b"\0" * 50, "jpeg"),
    (png()[:-9], "png cut off"),
    (bomb(65_000, 65_000), "at most 64,000,000 pixels"),
    (b"RIFF\x10\0\0\0WEBPVP8 ", "webp cut off"),
    (b"\x89PNG\r\n\x1a\n\x00", "png cut off"),
]


async def test_a_hostile_file_is_400_and_nothing_is_kept(http, home):
    for data, said in HOSTILE:
        answer = await http.post("/v1/inputs", content=data, headers={"content-type": "image/png"})
        error = answer.json()["error"]
        assert (answer.status_code, error["code"], error["field"]) == (400, "invalid_request", "inputs")
        assert said in error["message"]
    assert [path for path in (home / "storage").glob("blobs/**/*") if path.is_file()] == []


async def test_the_largest_file_is_taken_and_one_byte_more_is_413(http):
    whole = png() + b"\0" * (LIMIT - len(png()))
    assert (await http.post("/v1/inputs", content=whole)).status_code == 201
    answer = await http.post("/v1/inputs", content=whole + b"\0")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


async def test_a_stream_of_33_mib_without_a_length_is_413(http):
    async def endless():
        for _ in range(33):
            yield b"\0" * (1 << 20)

    answer = await http.post("/v1/inputs", content=endless())
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


async def test_a_packed_body_is_415(http):
    answer = await http.post("/v1/inputs", content=png(), headers={"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert answer.json()["error"]["message"] == "the body is encoded as gzip; send it as it is"


async def test_only_post_is_known(http):
    for method in ("GET", "PUT", "DELETE"):
        assert (await http.request(method, "/v1/inputs")).status_code == 405


NOWHERE = "0" * 64
WISHES = [
    ({"operation": "edit", "inputs": [NOWHERE]}, "inputs"),
    ({"operation": "edit", "inputs": ["01a1f940-c6dd-7ffd-9603-57ce89e91f39"]}, "inputs"),
    ({"operation": "edit", "inputs": ["../../etc/passwd"]}, "inputs.0"),
    ({"operation": "edit", "inputs": [NOWHERE] * 17}, "inputs"),
    ({"operation": "edit", "inputs": NOWHERE}, "inputs"),
    ({"operation": "edit"}, "inputs"),
    ({"operation": "inpaint", "inputs": [NOWHERE]}, "mask"),
    ({"operation": "sculpt"}, "operation"),
    ({"operation": "upscale", "inputs": [NOWHERE], "scale": 1}, "scale"),
    ({"operation": "image-to-image", "inputs": [NOWHERE], "strength": 1.5}, "strength"),
    ({"options": {str(n): n for n in range(65)}}, "options"),
]


@pytest.mark.parametrize("door", ["/v1/quotes", "/v1/jobs"])
async def test_an_order_with_pictures_that_cannot_be_meant_is_400_by_field(http, desk, door):
    answers = [await http.post(door, json={"prompt": "a red fox"} | wish) for wish, _ in WISHES]
    assert [one.status_code for one in answers] == [400] * len(WISHES)
    assert [one.json()["error"]["field"] for one in answers] == [field for _, field in WISHES]
    assert desk.bill == []


async def test_an_option_that_no_database_can_hold_is_400(http, desk):
    body = b'{"prompt": "a fox", "options": {"x": "\\ud800"}}'
    answer = await http.post("/v1/jobs", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert desk.bill == []
