import anyio
import pytest
from starlette.requests import Request

from limner.api import multipart
from limner.api.errors import BodyTooLarge, BodyTooSlow, WrongContentType
from limner.api.multipart import MAX_PARTS, MAX_TEXT, Form, Upload, read_form
from limner.core.errors import InvalidRequest

LIMIT = 1 << 20
TYPE = 'multipart/form-data; boundary="b"'


def part(name, data=b"x", *, extra="", kind=""):
    head = f'Content-Disposition: form-data; name="{name}"{extra}\r\n'
    head += f"Content-Type: {kind}\r\n" if kind else ""
    return head.encode() + b"\r\n" + data


def form(*parts, boundary=b"b", end=b"--\r\n"):
    return b"".join(b"--" + boundary + b"\r\n" + one + b"\r\n" for one in parts) + b"--" + boundary + end


def request(body, kind=TYPE, *, pieces=1, headers=(), hangs=False):
    size = max(1, -(-len(body) // pieces))
    chunks = [body[at : at + size] for at in range(0, len(body), size)]

    async def receive():
        if not chunks and hangs:
            await anyio.sleep_forever()
        chunk = chunks.pop(0) if chunks else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks) or hangs}

    sent = [(b"content-type", kind.encode("latin-1")), *headers] if kind is not None else [*headers]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": sent}, receive)


async def refusal(body, kind=TYPE, **more):
    with pytest.raises(InvalidRequest) as caught:
        await read_form(request(body, kind, **more), LIMIT)
    return str(caught.value), caught.value.field


@pytest.mark.parametrize("pieces", [1, 3, 10_000])
async def test_texts_and_files_come_out_as_they_were_sent_however_they_arrive(pieces):
    body = form(
        part("prompt", "ein Fuchs 🦊\r\n--c no end".encode()),
        part("image[]", b"\x89PNG\r\n\x00", extra='; filename="a.png"', kind="image/png"),
        part("image[]", b"second", extra='; filename=""', kind="IMAGE/WEBP; q=1"),
        part("n", b"2", kind="text/plain; charset=utf-8"),
        part("blob", b"\xff", kind="image/jpeg"),
        part("empty", b""),
    )
    assert await read_form(request(body, pieces=pieces), LIMIT) == Form(
        {"prompt": "ein Fuchs 🦊\r\n--c no end", "n": "2", "empty": ""},
        (
            Upload("image[]", "a.png", "image/png", b"\x89PNG\r\n\x00"),
            Upload("image[]", "", "image/webp", b"second"),
            Upload("blob", "", "image/jpeg", b"\xff"),
        ),
    )


async def test_files_are_found_by_name_and_one_that_stands_alone_comes_once():
    files = tuple(Upload(name, "", "image/png", b"") for name in ("image", "image[]", "mask", "mask"))
    sent = Form({}, files)
    assert sent.of("image", "image[]") == files[:2]
    assert (sent.one("image"), sent.one("markup")) == (files[0], None)
    with pytest.raises(InvalidRequest, match="mask: is given 2 times; give it once"):
        sent.one("mask")


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "..\\\\..\\\\boot.ini", "/dev/null", "a\tb", "x" * 3000]
)
async def test_a_file_name_is_never_more_than_a_short_word(name):
    body = form(part("image", extra=f'; filename="{name}"', kind="image/png"))
    (file,) = (await read_form(request(body), LIMIT)).files
    assert len(file.filename) <= 200


MANY = [part(f"f{i}") for i in range(10_000)]
FILE = '; filename="a.png"'


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (form(part("a")), "multipart/form-data", "boundary must have 1 to 200 bytes, not 0"),
        (form(part("a")), f"multipart/form-data; boundary={'b' * 10_240}", "not 10240"),
        (form(part("a"), part("a")), TYPE, "a: is given twice; give it once"),
        (form(b"Content-Type: text/plain\r\n\r\nx"), TYPE, "a part of the form has no name"),
        (form(b"Content-Disposition: form-data\r\n\r\nx"), TYPE, "a part of the form has no name"),
        (form(b'Content-Disposition: form-data; name=""\r\n\r\nx'), TYPE, "a part of the form has no name"),
        (form(b'Content-Disposition: attachment; name="a"\r\n\r\nx'), TYPE, "a part of the form has no name"),
        (form(b"\r\nx"), TYPE, "a part of the form has no name"),
        (form(part("n" * 129)), TYPE, "a part's name is longer than 128 characters"),
        (form(part("a", kind='multipart/mixed; boundary="c"')), TYPE, "a: holds a form of its own"),
        (form(part("a", b"\xff\xfe")), TYPE, "a: is not UTF-8"),
        (
            form(b'Content-Disposition: form-data; name="\xff"\r\n\r\nx'),
            TYPE,
            "a name in the form: is not UTF-8",
        ),
        (form(part("a", b"x" * (MAX_TEXT + 1))), TYPE, "a: a text field has at most 262,144 bytes"),
        (form(*MANY[: MAX_PARTS + 1]), TYPE, "the form has more than 128 parts"),
        (form(*MANY), TYPE, "the form has more than 128 parts"),
        (form(part("a", kind="x" * 9000)), TYPE, ""),
        (form(b"X: y\r\n" * 2000 + part("a")), TYPE, ""),
        (form(part("a", extra=FILE), end=b""), TYPE, "the form is cut off: its last boundary is missing"),
        (form(part("a", extra=FILE))[:40], TYPE, "the form is cut off: its last boundary is missing"),
        (b"", TYPE, "the form is cut off: its last boundary is missing"),
        (b"\x00" * 1000, TYPE, "the form cannot be read"),
        (form(part("a"), boundary=b"other"), TYPE, "the form cannot be read"),
        (b'{"prompt": "a fox"}', TYPE, "the form cannot be read"),
    ],
)
@pytest.mark.parametrize("pieces", [1, 200])
async def test_what_is_no_honest_form_is_refused_with_a_short_reason(body, kind, said, pieces):
    message, _ = await refusal(body, kind, pieces=pieces)
    assert said in message
    assert len(message) < 300


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/mixed; boundary=b", ""])
async def test_another_type_is_refused_by_its_type(kind):
    with pytest.raises(WrongContentType, match="send multipart/form-data"):
        await read_form(request(form(part("a")), kind), LIMIT)


async def test_a_packed_form_is_refused():
    with pytest.raises(WrongContentType, match="encoded as gzip"):
        await read_form(request(b"", headers=[(b"content-encoding", b"gzip")]), LIMIT)


async def test_a_form_larger_than_the_limit_is_refused_and_nothing_of_it_is_held():
    body = form(part("image", b"x" * (LIMIT + 1), extra=FILE))
    with pytest.raises(BodyTooLarge, match="1,048,576"):
        await read_form(request(body, pieces=50), LIMIT)


async def test_a_form_that_does_not_arrive_in_time_is_refused(monkeypatch):
    monkeypatch.setattr(multipart, "UPLOAD_S", 0.01)
    with pytest.raises(BodyTooSlow):
        await read_form(request(form(part("a"))[:20], hangs=True), LIMIT)
