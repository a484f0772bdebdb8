"""Files and forms: what is no picture is not kept, and what is no form is not read."""

import base64
import json

import pytest

from tests.hostile.house import clean, named
from tests.hostile.pictures import GOOD, HOSTILE

JSON = {"content-type": "application/json"}
FORMS = ("/v1/images/edits", "/v1/images/variations")
KINDS = ("image/png", "application/octet-stream")


def test_what_is_no_picture_is_not_kept_as_an_input(house):
    for name, data in (HOSTILE | {"zero bytes": b""}).items():
        for kind in KINDS:
            with named(name):
                clean(house.web.post("/v1/inputs", content=data, headers={"content-type": kind}), 400)


def test_what_is_no_picture_is_not_kept_at_hugging_faces_door(house):
    for name, data in (HOSTILE | {"zero bytes": b""}).items():
        for path in ("/models/sketch", "/hf-inference/models/sketch"):
            with named(name):
                clean(house.web.post(path, content=data, headers={"content-type": "image/png"}), 400)


@pytest.mark.parametrize("path", FORMS)
def test_what_is_no_picture_is_refused_in_a_form(house, path):
    for name, data in (HOSTILE | {"zero bytes": b""}).items():
        for field in ("image", "image[]"):
            with named(name):
                files = {field: ("fox.png", data, "image/png")}
                clean(house.web.post(path, data={"prompt": "a red fox"}, files=files), 400)


def test_a_mask_that_is_no_picture_is_refused_and_its_picture_may_stay(running):
    for name, data in HOSTILE.items():
        files = {"image": ("fox.png", GOOD, "image/png"), "mask": ("mask.png", data, "image/png")}
        with named(name):
            clean(running.web.post("/v1/images/edits", data={"prompt": "fox"}, files=files), 400)
    assert running.web.get("/v1/jobs").json()["data"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/images/edits", lambda text: {"prompt": "fox", "images": [{"image_url": _data(text)}]}),
        ("/sdapi/v1/img2img", lambda text: {"prompt": "fox", "init_images": [text or "?"]}),
        ("/sdapi/v1/extra-single-image", lambda text: {"image": text or "?"}),
        ("/models/sketch", lambda text: {"inputs": text or "?", "parameters": {"prompt": "fox"}}),
    ],
)
def test_what_is_no_picture_is_refused_inside_json(house, path, body):
    for name, data in HOSTILE.items():
        with named(name):
            text = base64.b64encode(data).decode()
            clean(house.web.post(path, content=json.dumps(body(text)), headers=JSON), 400, 413)
    for text in (
        "!!!!",
        "iVBORw0KGgo",
        "iVBORw0KGgo=",
        "A",
        "AAA",
        "é" * 8,
        "\x00",
        " ",
        "iVBORw0K\nGgo=",
        "=" * 64,
        "data:image/png;base64",
        "data:;base64,AAAA",
        "data:image/png,AAAA",
        "-_-_",
        "A" * 60_001,
    ):
        with named(text):
            clean(house.web.post(path, content=json.dumps(body(text)), headers=JSON), 400)


def _data(text: str) -> str:
    return f"data:image/png;base64,{text}"


@pytest.mark.parametrize("path", [*FORMS, "/v1/inputs", "/models/sketch"])
def test_100_megabytes_are_not_read_to_their_end(house, path):
    sent = 0

    def pieces():
        nonlocal sent
        for _ in range(100):
            sent += 1
            yield b"\x89" * (1 << 20)

    kind = "multipart/form-data; boundary=x" if path in FORMS else "image/png"
    answer = house.web.post(path, content=pieces(), headers={"content-type": kind})
    clean(answer, 413)
    assert sent < 100
    length = {"content-type": kind, "content-length": str(100 << 20)}
    declared = "".join(f"{name}: {value}\r\n" for name, value in length.items())
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{declared}Connection: close\r\n\r\n"
    assert house.say(head.encode()).split(b" ", 2)[1] in (b"413", b"")


# -- forms -----------------------------------------------------------------------------------------------


def part(name: str = 'name="prompt"', data: bytes = b"fox", more: str = "", kind: str = "form-data") -> bytes:
    return f"--x\r\nContent-Disposition: {kind}; {name}\r\n{more}\r\n".encode("latin-1") + data + b"\r\n"


FILE = part('name="image"; filename="fox.png"', GOOD, "Content-Type: image/png\r\n")
END = b"--x--\r\n"
BAD_FORMS: dict[str, bytes] = {
    "empty": b"",
    "only its end": END,
    "no end": part() + FILE,
    "only the boundary": b"--x",
    "cut off in a head": part() + b'--x\r\nContent-Disposition: form-data; name="im',
    "cut off in a file": part() + FILE[:-20],
    "another boundary": part().replace(b"--x", b"--y") + b"--y--\r\n",
    "words before": b"fox" * 400 + part() + FILE,
    "no head": b"--x\r\n\r\nfox\r\n" + FILE + END,
    "no name": part("") + FILE + END,
    "an empty name": part('name=""') + FILE + END,
    "a name of 4,000": part(f'name="{"n" * 4_000}"') + FILE + END,
    "a head of 64 KiB": part(more=f"X-Fox: {'x' * 65_536}\r\n") + FILE + END,
    "4,000 heads": part(more="X-Fox: x\r\n" * 4_000) + FILE + END,
    "an attachment": part(kind="attachment") + FILE + END,
    "a text twice": part() + part() + FILE + END,
    "5,000 parts": b"".join(part(f'name="n{n}"') for n in range(5_000)) + FILE + END,
    "200 files": FILE * 200 + END,
    "40 pictures": part() + FILE * 40 + END,
    "a text of 600 KB": part(data=b"x" * 600_000) + FILE + END,
    "a text that is no UTF-8": part(data=b"\xff\xfe") + FILE + END,
    "a prompt of 10,001": part(data=b"x" * 10_001) + FILE + END,
    "a NUL in a text": part(data=b"fox\0") + FILE + END,
    "a form inside": part(
        'name="image"; filename="f"', part() + END, "Content-Type: multipart/mixed; boundary=y\r\n"
    )
    + END,
    "a picture as text": part() + part('name="image"', b"fox") + END,
    "no picture": part() + END,
    "a number that is none": part('name="n"', b"two") + part() + FILE + END,
    "n of 11": part('name="n"', b"11") + part() + FILE + END,
    "n of NaN": part('name="n"', b"NaN") + part() + FILE + END,
    "n of 10 digits more": part('name="n"', b"1" * 5_000) + part() + FILE + END,
    "a size that is none": part('name="size"', b"512") + part() + FILE + END,
    "a model nobody knows": part('name="model"', b"nobody" * 30) + part() + FILE + END,
    "a format nobody writes": part('name="output_format"', b"gif") + part() + FILE + END,
    "two masks": part() + FILE + part('name="mask"; filename="m"', GOOD) * 2 + END,
    "bare line feeds": (part() + FILE + END).replace(b"\r\n", b"\n"),
    "a header without a colon": part(more="X-Fox\r\n") + FILE + END,
    "a NUL in a header": part(more="X-Fox: a\0b\r\n") + FILE[:40] + END,
}


@pytest.mark.parametrize("path", FORMS)
def test_what_is_no_form_is_refused(house, path):
    kind = {"content-type": "multipart/form-data; boundary=x"}
    for name, body in BAD_FORMS.items():
        if name == "two masks" and path.endswith("variations"):
            continue  # masks are not read there
        with named(name):
            clean(house.web.post(path, content=body, headers=kind), 400, 404)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "boundary",
    [
        "",
        "; boundary=",
        '; boundary=""',
        "; boundary=" + "b" * 201,
        "; boundary=" + "b" * 30_000,
        "; boundary=y",
        "; charset=x",
    ],
)
def test_a_form_with_an_odd_boundary_is_refused(house, path, boundary):
    kind = {"content-type": f"multipart/form-data{boundary}"}
    clean(house.web.post(path, content=part() + FILE + END, headers=kind), 400)


NAMES = (
    "../../../../etc/cron.d/fox.png",
    "..\\..\\windows\\fox.png",
    "/etc/passwd",
    "C:\\fox.png",
    "fox.png\\x00.sh",
    "fox\\r\\nX-Evil: 1",
    "f" * 4_000,
    "%2e%2e%2ffox.png",
    "",
    ".",
    "CON",
    "\u202egnp.xof",
    "$(touch /tmp/fox)",
    "'; drop table jobs; --",
)


@pytest.mark.parametrize("path", FORMS)
def test_a_files_name_becomes_no_path_and_no_header(running, path):
    before = {one for one in running.left()[1] if not one.startswith(("blobs/", "images/"))}
    for name in NAMES:
        files = {"image": (name, GOOD, "image/png")}
        with named(name):
            answer = running.web.post(path, data={"prompt": "a red fox", "n": "99"}, files=files)
            clean(answer, 400)
            assert "x-evil" not in answer.headers
    assert {one for one in running.left()[1] if not one.startswith(("blobs/", "images/"))} == before
