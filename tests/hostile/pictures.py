"""Files that claim to be pictures."""

# ruff: noqa: E501 - a table of many odd things is read by its rows
import struct
import zlib

from tests.api.fakes import png

GOOD = png(8, 8, 7)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def claims(width: int, height: int, rows: bytes = b"", depth: int = 8, color: int = 0) -> bytes:
    """A PNG whose head says this size, whatever follows."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return GOOD[:8] + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><script>alert(1)</script></svg>'
BOMB = zlib.compress(b"\0" * (50 << 20), 9)
HOSTILE: dict[str, bytes] = {
    "one byte": b"\x89",
    "only the signature": GOOD[:8],
    "cut off in its head": GOOD[:20],
    "cut off in its rows": GOOD[:-20],
    "without an end": GOOD[:-12],
    "30,000 x 30,000": claims(30_000, 30_000),
    "30,000 x 30,000 in full": claims(30_000, 30_000, b"\0" * (30 << 20)),
    "4 billion pixels a side": claims(2**32 - 1, 2**32 - 1),
    "2 billion x 1": claims(2**31 - 1, 1),
    "no pixels": claims(0, 0),
    "no width": claims(0, 64),
    "an unknown depth": claims(8, 8, b"\0" * 72, depth=7),
    "an unknown colour": claims(8, 8, b"\0" * 72, color=5),
    "a palette without colours": claims(8, 8, b"\0" * 72, color=3),
    "rows that are no deflate": GOOD[:33] + chunk(b"IDAT", b"\xff" * 40) + chunk(b"IEND", b""),
    "rows of another size": claims(8, 8, b"\0"),
    "a bomb in a text chunk, no rows": GOOD[:33]
    + chunk(b"zTXt", b"Comment\0\0" + BOMB)
    + chunk(b"IEND", b""),
    "a bomb as colour profile, no rows": GOOD[:33] + chunk(b"iCCP", b"x\0\0" + BOMB) + chunk(b"IEND", b""),
    "a chunk longer than the file": GOOD[:33] + struct.pack(">I", 2**31 - 1) + b"IDAT" + b"\0" * 40,
    "no head": GOOD[:8] + GOOD[33:],
    "SVG with a script": SVG,
    "SVG after an XML head": b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    + SVG,
    "HTML": b"<!doctype html><script>alert(1)</script>",
    "HTML behind a signature": GOOD[:8] + b"<html><script>alert(1)</script></html>",
    "a GIF": b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;",
    "a BMP": b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0\0\0\x02\0\0\0\x01\0\x18\0" + b"\0" * 40,
    "a TIFF": b"II*\0\x08\0\0\0" + b"\0" * 64,
    "an ICO": b"\0\0\x01\0\x01\0\x10\x10\0\0\x01\0\x20\0" + b"\0" * 64,
    "a PSD": b"8BPS\0\x01" + b"\0" * 64,
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file\n",
    "a PDF": b"%PDF-1.7\n",
    "a zip": b"PK\x03\x04" + b"\0" * 64,
    "a gzip": b"\x1f\x8b\x08" + b"\0" * 64,
    "a program": b"\x7fELF" + b"\0" * 64,
    "a video": b"\0\0\0\x18ftypmp42" + b"\0" * 64,
    "an AVIF": b"\0\0\0\x1cftypavif" + b"\0" * 64,
    "an ImageMagick script": b"push graphic-context\nfill 'url(https://example.com/x.jpg\"|ls \"-la)'\n",
    "a JPEG's first bytes": b"\xff\xd8\xff\xe0",
    "a JPEG of 65,535 a side": b"\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff\x03\x01\x22\0\x02\x11\x01\x03\x11\x01\xff\xd9",
    "a RIFF that is no WebP": b"RIFF\x24\0\0\0WAVEfmt " + b"\0" * 64,
    "a WebP of 16,384 a side": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x3f\0\xff\x3f\0",
    "a WebP cut off": b"RIFF\x16\0\0\0WEBPVP8 \xff\xff\xff\xff\0\0\0\x9d\x01*\x08\0\x08\0",
    "random bytes": bytes(range(256)) * 4,
    "text": "ein Fuchs ".encode("utf-16") * 40,
}
