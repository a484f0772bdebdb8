"""What a file is, from its first bytes: no decode, some microseconds."""

import struct
from dataclasses import dataclass

from limner.core.errors import LimnerError
from limner.core.request import Format

PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
PNG_END = b"IEND\xaeB`\x82"
JPEG_MAGIC = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
_TAIL = 64 * 1024
"""Some programs write bytes of their own behind the end mark."""
STANDALONE = frozenset({0x01, *range(0xD0, 0xD8)})
"""JPEG markers that have no length and no body."""
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers; the three left out are tables, a reserved one and arithmetic conditioning."""


class InvalidImage(LimnerError):
    """The bytes are not a picture that can be read; the message says what is wrong with them."""

    code = "invalid_image"


@dataclass(frozen=True, slots=True)
class Kind:
    """What the header says. Pixels; not proof that the rest of the file is whole."""

    format: Format
    width: int
    height: int


def sniff(data: bytes) -> Kind:
    """Format and size of a PNG, JPEG or WebP file. Raises `InvalidImage` for anything else."""
    if data.startswith(PNG_MAGIC):
        kind = _png(data)
    elif data.startswith(JPEG_MAGIC):
        kind = _jpeg(data)
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        kind = _webp(data)
    elif not data:
        raise InvalidImage("the picture is empty: 0 bytes")
    else:
        raise InvalidImage(f"not a PNG, JPEG or WebP file: it starts with {data[:12]!r}")
    if not (kind.width and kind.height):
        raise InvalidImage(f"{kind.format} of {kind.width}x{kind.height} pixels: a side is 0")
    return kind


def check_whole(data: bytes, kind: Kind) -> None:
    """Raises `InvalidImage` for a file that stops before its format's end mark; decodes nothing."""
    match kind.format:
        case "png":
            whole = data.endswith(PNG_END) or PNG_END in data[-_TAIL:]
        case "jpeg":
            whole = data.endswith(JPEG_END) or JPEG_END in data[-_TAIL:]
        case "webp":
            whole = len(data) >= int.from_bytes(data[4:8], "little") + 8
    if not whole:
        raise InvalidImage(f"{kind.format} cut off after {len(data):,} bytes")


def _png(data: bytes) -> Kind:
    if len(data) < 33:
        raise InvalidImage(f"png cut off after {len(data)} bytes, within its header")
    length, name, width, height = struct.unpack_from(">I4sII", data, 8)
    if (length, name) != (13, b"IHDR"):
        raise InvalidImage("png whose first chunk is not a header (IHDR)")
    if width > 0x7FFFFFFF or height > 0x7FFFFFFF:
        raise InvalidImage(f"png of {width}x{height} pixels: more than the format allows")
    return Kind("png", width, height)


def _jpeg(data: bytes) -> Kind:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            raise InvalidImage(f"jpeg with no marker where one must be, at byte {at}")
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker in STANDALONE:
            at += 2
        elif marker in _FRAMES:
            if at + 9 > len(data):
                break
            height, width = struct.unpack_from(">HH", data, at + 5)
            return Kind("jpeg", width, height)
        elif marker in {0xD9, 0xDA}:
            raise InvalidImage("jpeg whose pixels come before its frame header")
        else:
            length = int.from_bytes(data[at + 2 : at + 4], "big")
            if length < 2:
                raise InvalidImage(f"jpeg segment of length {length} at byte {at}")
            at += 2 + length
    raise InvalidImage(f"jpeg cut off after {len(data)} bytes, before its frame header")


def _webp(data: bytes) -> Kind:
    if len(data) < 30:
        raise InvalidImage(f"webp cut off after {len(data)} bytes, within its header")
    match data[12:16]:
        case b"VP8 ":
            if data[23:26] != b"\x9d\x01\x2a":
                raise InvalidImage("webp (lossy) without its frame start code")
            width, height = struct.unpack_from("<HH", data, 26)
            return Kind("webp", width & 0x3FFF, height & 0x3FFF)
        case b"VP8L":
            if data[20] != 0x2F:
                raise InvalidImage("webp (lossless) without its signature byte")
            bits = int.from_bytes(data[21:25], "little")
            return Kind("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
        case b"VP8X":
            width = int.from_bytes(data[24:27], "little") + 1
            height = int.from_bytes(data[27:30], "little") + 1
            return Kind("webp", width, height)
        case other:
            raise InvalidImage(f"webp whose first chunk is {other!r}, not a picture")
