"""Forms with files: `multipart/form-data`, read while it arrives, within limits, each thing said once."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import python_multipart
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from limner.api.body import pour
from limner.api.errors import WrongContentType, cut
from limner.core.errors import InvalidRequest

UPLOAD_S = 120.0
"""Seconds a client has to send a whole form."""
MAX_PARTS = 128
MAX_TEXT = 1 << 18
"""Bytes of one text field."""
MAX_NAME = 128
_MAX_HEADERS = 8 << 10
"""Bytes of one part's headers."""
_MAX_BOUNDARY = 200
"""RFC 2046 allows 70; some clients make longer ones."""
logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of every form that is not well made


@dataclass(frozen=True, slots=True)
class Upload:
    """One file. `filename` is what the client calls it: for people, never a path here."""

    name: str
    filename: str
    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Form:
    """What was sent: each text field once, and the files in their order."""

    texts: Mapping[str, str]
    files: tuple[Upload, ...]

    def of(self, *names: str) -> tuple[Upload, ...]:
        """The files under any of these names."""
        return tuple(one for one in self.files if one.name in names)

    def one(self, name: str) -> Upload | None:
        """The file under a name that stands for one, None without it. Raises `InvalidRequest` for several."""
        found = self.of(name)
        if len(found) > 1:
            raise InvalidRequest(f"{name}: is given {len(found)} times; give it once", name)
        return found[0] if found else None


def is_form(request: Request) -> bool:
    """Whether the body is declared as a form with files."""
    return _declared(request)[0] == "multipart/form-data"


async def read_form(request: Request, limit: int) -> Form:
    """The form, of `limit` bytes at most. A part with a file name, or of another type than text, is a file.

    Raises `BodyTooLarge`, `BodyTooSlow`, `WrongContentType`, and `InvalidRequest` for what is no form, for
    parts without a name, text fields given twice, nested forms, and more than 128 parts.
    """
    kind, boundary = _declared(request)
    if kind != "multipart/form-data":
        raise WrongContentType(f"the body is declared as {cut(kind, 64)!r}; send multipart/form-data")
    if not 1 <= len(boundary) <= _MAX_BOUNDARY:
        raise InvalidRequest(f"the form's boundary must have 1 to {_MAX_BOUNDARY} bytes, not {len(boundary)}")
    reading = _Reading(boundary)
    await pour(request, reading.write, limit, UPLOAD_S)
    return reading.end()


@dataclass(slots=True)
class _Part:
    headers: dict[bytes, bytes] = field(default_factory=dict)
    header_bytes: int = 0
    name: str = ""
    filename: str | None = None
    content_type: str = ""
    data: bytearray = field(default_factory=bytearray)

    @property
    def is_file(self) -> bool:
        plain = self.content_type in ("", "text/plain", "application/json")
        return self.filename is not None or not plain

    def begin(self) -> None:
        """Its headers are there: whose is it? Raises `InvalidRequest`."""
        kind, words = parse_options_header(self.headers.get(b"content-disposition"))
        if kind.lower() != b"form-data" or not words.get(b"name"):
            raise InvalidRequest('a part of the form has no name; each needs form-data; name="..."')
        self.name = _text(words[b"name"], None)
        if len(self.name) > MAX_NAME:
            raise InvalidRequest(f"a part's name is longer than {MAX_NAME} characters")
        if b"filename" in words:
            self.filename = cut(words[b"filename"].decode("utf-8", "replace"))
        kind, _ = parse_options_header(self.headers.get(b"content-type"))
        self.content_type = cut(kind.decode("latin-1").lower(), 64)
        if self.content_type.startswith("multipart/"):
            raise InvalidRequest(f"{cut(self.name, 64)}: holds a form of its own; send one flat form")

    def add(self, data: bytes) -> None:
        self.data += data
        if not self.is_file and len(self.data) > MAX_TEXT:
            name = cut(self.name, 64)
            raise InvalidRequest(f"{name}: a text field has at most {MAX_TEXT:,} bytes", name)


class _Reading:
    """Parts as they come. Once something is wrong, the rest is let go by unread."""

    def __init__(self, boundary: bytes) -> None:
        self._texts: dict[str, str] = {}
        self._files: list[Upload] = []
        self._part = _Part()
        self._header = (bytearray(), bytearray())
        self._parts = 0
        self._state: Literal["open", "whole", "wrong"] = "open"
        self._fault: InvalidRequest | None = None
        self._parser = python_multipart.MultipartParser(
            boundary,
            {
                "on_part_begin": self._part_begin,
                "on_header_field": lambda data, start, end: self._headed(0, data[start:end]),
                "on_header_value": lambda data, start, end: self._headed(1, data[start:end]),
                "on_header_end": self._header_end,
                "on_headers_finished": self._part_named,
                "on_part_data": lambda data, start, end: self._part.add(data[start:end]),
                "on_part_end": self._part_end,
                "on_end": self._end,
            },
        )

    def write(self, data: bytes) -> None:
        if self._fault is not None or not data:
            return
        try:
            self._parser.write(data)
        except InvalidRequest as error:
            self._fault = error
        except MultipartParseError as error:
            self._fault = InvalidRequest(f"the form cannot be read: {cut(str(error))}")
        if self._fault is not None:
            self._files.clear()
            self._part = _Part()

    def end(self) -> Form:
        """The whole form. Raises `InvalidRequest`."""
        if self._fault is not None:
            raise self._fault
        if self._state != "whole":
            raise InvalidRequest("the form is cut off: its last boundary is missing")
        return Form(self._texts, tuple(self._files))

    def _part_begin(self) -> None:
        self._part = _Part()
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise InvalidRequest(f"the form has more than {MAX_PARTS} parts")

    def _headed(self, which: Literal[0, 1], data: bytes) -> None:
        self._header[which].extend(data)
        self._part.header_bytes += len(data)
        if self._part.header_bytes > _MAX_HEADERS:
            raise InvalidRequest(f"a part's headers are longer than {_MAX_HEADERS:,} bytes")

    def _header_end(self) -> None:
        name, value = (bytes(one) for one in self._header)
        self._part.headers[name.lower()] = value
        self._header = (bytearray(), bytearray())

    def _part_named(self) -> None:
        self._part.begin()

    def _part_end(self) -> None:
        part = self._part
        if part.is_file:
            upload = Upload(part.name, part.filename or "", part.content_type, bytes(part.data))
            self._files.append(upload)
            return
        shown = cut(part.name, 64)
        if part.name in self._texts:
            raise InvalidRequest(f"{shown}: is given twice; give it once", shown)
        self._texts[part.name] = _text(bytes(part.data), shown)

    def _end(self) -> None:
        self._state = "whole"


def _declared(request: Request) -> tuple[str, bytes]:
    """The body's type, and the boundary it names."""
    kind, words = parse_options_header(request.headers.get("content-type", ""))
    return kind.decode("latin-1").lower(), words.get(b"boundary", b"")


def _text(data: bytes, name: str | None) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        said = f"{name or 'a name in the form'}: is not UTF-8; send UTF-8 text"
        raise InvalidRequest(said, name) from error
