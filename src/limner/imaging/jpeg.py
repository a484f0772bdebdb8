"""JPEG segments: EXIF in and out without touching a pixel (ITU-T T.81 annex B)."""

import struct
from collections.abc import Iterator

from limner.imaging.sniff import STANDALONE, InvalidImage

EXIF = b"Exif\0\0"
RECIPE = b"Limner recipe\0"
"""Begins our own APP1 segments, for recipes that EXIF's 64 KB cannot hold: then a number from 1, how many
there are (one byte each), and that part of the JSON, the way ICC profiles are cut."""
MAX_BODY = 65_533
_APP0, _APP1, _COMMENT, _SCAN, _END = 0xE0, 0xE1, 0xFE, 0xDA, 0xD9
_PART = MAX_BODY - len(RECIPE) - 2


def segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """(marker, start, end) of each segment before the pixels, marker and length included. Raises
    `InvalidImage`."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in {_SCAN, _END}:
            return
        if marker == 0xFF or marker in STANDALONE:
            at += 1 if marker == 0xFF else 2  # a fill byte, or a marker without a body
            continue
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if end < at + 4 or end > len(data):
            raise InvalidImage(f"jpeg segment at byte {at} ends outside the file")
        yield marker, at, end
        at = end
    raise InvalidImage(f"jpeg without pixels: no scan follows byte {at}")


def with_exif(data: bytes, exif: bytes, recipe: bytes = b"") -> bytes:
    """The same file with this EXIF block (at most 65,527 bytes) in place of any other, and `recipe` in
    segments of our own when it is not empty."""
    at = 2
    dropped: list[tuple[int, int]] = []
    for marker, start, end in segments(data):
        if marker == _APP0 and start == at:  # JFIF wants to come first
            at = end
        elif marker == _APP1 and data.startswith((EXIF, RECIPE), start + 4):
            dropped.append((start, end))
    out = [data[:at], _segment(EXIF + exif), *_parts(recipe)]
    for start, end in dropped:
        out.append(data[at:start])
        at = end
    out.append(data[at:])
    return b"".join(out)


def _parts(recipe: bytes) -> list[bytes]:
    parts = [recipe[at : at + _PART] for at in range(0, len(recipe), _PART)]
    return [_segment(RECIPE + bytes([number, len(parts)]) + part) for number, part in enumerate(parts, 1)]


def _segment(body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, _APP1, len(body) + 2) + body


def exif_of(data: bytes) -> bytes:
    """The EXIF block, empty when there is none."""
    for marker, start, end in segments(data):
        if marker == _APP1 and data.startswith(EXIF, start + 4):
            return data[start + 4 + len(EXIF) : end]
    return b""


def recipe_of(data: bytes) -> bytes:
    """The recipe from segments of our own; empty when there are none or one is missing."""
    parts: dict[int, bytes] = {}
    total = 0
    for marker, start, end in segments(data):
        if marker == _APP1 and data.startswith(RECIPE, start + 4) and end - start >= 6 + len(RECIPE):
            head = start + 4 + len(RECIPE)
            parts[data[head]], total = data[head + 2 : end], data[head + 1]
    return (
        b"".join(parts[number] for number in sorted(parts)) if set(parts) == set(range(1, total + 1)) else b""
    )


def comment_of(data: bytes) -> str | None:
    """The first COM segment."""
    for marker, start, end in segments(data):
        if marker == _COMMENT:
            return data[start + 4 : end].rstrip(b"\0").decode("utf-8", "replace")
    return None
