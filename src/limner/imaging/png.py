"""PNG chunks: texts in and out without touching a pixel (PNG specification, third edition, 5 and 11.3.3)."""

import struct
import zlib
from collections.abc import Iterator

from limner.imaging.sniff import PNG_MAGIC, InvalidImage

MAX_TEXT = 1 << 20
"""Bytes of one text, decompressed; a longer one is not read."""
MAX_TEXTS = 4 << 20
"""Bytes of all texts of a file; those after it are not read."""
_AFTER_HEADER = len(PNG_MAGIC) + 25
_TEXTS = frozenset({b"tEXt", b"zTXt", b"iTXt"})


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, end) of each chunk up to IEND, length and CRC included. Raises `InvalidImage`."""
    at, size = len(PNG_MAGIC), len(data)
    while at < size:
        if at + 12 > size:
            raise InvalidImage(f"png cut off after {size:,} bytes")
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > size:
            raise InvalidImage(f"png chunk {name!r} says {length:,} bytes, {size - at - 12:,} are left")
        yield name, at, end
        if name == b"IEND":
            return
        at = end
    raise InvalidImage(f"png cut off after {size:,} bytes: no IEND chunk")


def with_texts(data: bytes, texts: dict[str, str]) -> bytes:
    """The same file with these texts right after its header, in place of those of the same names."""
    names = tuple(name.encode("latin-1") + b"\0" for name in texts)
    out = [data[:_AFTER_HEADER], *(text_chunk(name, text) for name, text in texts.items())]
    kept_from = _AFTER_HEADER
    for name, start, end in chunks(data):
        if name in _TEXTS and data.startswith(names, start + 8):
            out.append(data[kept_from:start])
            kept_from = end
    out.append(data[kept_from:])
    return b"".join(out)


def text_chunk(name: str, text: str) -> bytes:
    """tEXt when the text is Latin-1, else iTXt in UTF-8; uncompressed."""
    try:
        return _chunk(b"tEXt", name.encode("latin-1") + b"\0" + text.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", name.encode("latin-1") + b"\0\0\0\0\0" + text.encode())


def texts(data: bytes) -> dict[str, str]:
    """All texts by name; of several with one name the first. Unreadable ones say why in place of the text."""
    found: dict[str, str] = {}
    left = MAX_TEXTS
    for chunk, start, end in chunks(data):
        if chunk in _TEXTS and left > 0:
            body = data[start + 8 : end - 4]
            keyword, separator, rest = body.partition(b"\0")
            name = keyword.decode("latin-1")
            if separator and 0 < len(name) < 80 and name not in found:
                found[name] = _text(chunk, rest)
                left -= len(found[name]) + len(name)
    return found


def _text(chunk: bytes, rest: bytes) -> str:
    if len(rest) > MAX_TEXT:
        return f"({len(rest):,} bytes: too long to show)"
    try:
        match chunk:
            case b"tEXt":
                return rest.decode("latin-1")
            case b"zTXt":
                return _inflate(rest[1:]).decode("latin-1")
            case _:
                compressed, tail = rest[0], rest[2:]
                _language, _translated, text = tail.split(b"\0", 2)
                return (_inflate(text) if compressed else text).decode()
    except (ValueError, IndexError, zlib.error) as error:
        return f"(unreadable: {error})"


def _inflate(packed: bytes) -> bytes:
    inflater = zlib.decompressobj()
    text = inflater.decompress(packed, MAX_TEXT)
    if inflater.unconsumed_tail:
        raise ValueError(f"more than {MAX_TEXT:,} bytes when unpacked")
    return text


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(name)))
