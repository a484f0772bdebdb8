"""WebP chunks: EXIF in and out without touching a pixel (RFC 9649)."""

import struct
from collections.abc import Iterator

from limner.imaging.sniff import InvalidImage, sniff

_ALPHA, _EXIF = 0x10, 0x08


def chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(name, body) of each chunk. Raises `InvalidImage` where one ends outside the file."""
    end = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    at = 12
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > end:
            raise InvalidImage(f"webp chunk {name!r} says {length:,} bytes, {end - at - 8:,} are left")
        yield name, data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2


def with_exif(data: bytes, exif: bytes) -> bytes:
    """The same file with this EXIF chunk in place of any other; a simple file becomes an extended one."""
    found = list(chunks(data))
    if not found:
        raise InvalidImage("webp without a chunk")
    if found[0][0] != b"VP8X":
        found.insert(0, (b"VP8X", _header(data, *found[0])))
    name, header = found[0]
    kept = [(name, body) for name, body in found[1:] if name != b"EXIF"]
    # The order is fixed: the picture, then EXIF, then XMP.
    at = next((index for index, (name, _) in enumerate(kept) if name == b"XMP "), len(kept))
    kept.insert(at, (b"EXIF", exif))
    flagged = bytes([header[0] | _EXIF]) + header[1:]
    body = b"WEBP" + b"".join(_chunk(name, body) for name, body in [(name, flagged), *kept])
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _header(data: bytes, name: bytes, body: bytes) -> bytes:
    """The VP8X body that a simple file does without."""
    kind = sniff(data)
    alpha = name == b"VP8L" and bool(body[4] & 0x10)
    sides = (kind.width - 1).to_bytes(3, "little") + (kind.height - 1).to_bytes(3, "little")
    return bytes([_ALPHA if alpha else 0, 0, 0, 0]) + sides


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body + b"\0" * (len(body) % 2)


def exif_of(data: bytes) -> bytes:
    """The EXIF chunk, empty when there is none."""
    return next((body for name, body in chunks(data) if name == b"EXIF"), b"")
