"""From untrusted bytes to pixels."""

import struct
import zlib
from io import BytesIO

from PIL import Image

from limner.imaging.sniff import InvalidImage, sniff

MAX_PIXELS = 64_000_000

# What Pillow's three decoders raise for broken files, beside its own bomb error.
_BROKEN = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AssertionError,  # a palette that is not there
    struct.error,
    zlib.error,
)


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The first frame as RGB, or RGBA where the file has transparency, fully loaded.

    Keeps an ICC profile that describes RGB in `info` and nothing else of the file's metadata; does not turn
    by EXIF orientation. Raises `InvalidImage` for more than `max_pixels` (checked before any is decoded, and
    never above Pillow's own bomb limit of 89 million), for truncated and for broken files.
    """
    kind = sniff(data)
    limit = min(max_pixels, Image.MAX_IMAGE_PIXELS or max_pixels)
    if kind.width * kind.height > limit:
        raise InvalidImage(
            f"{kind.format} of {kind.width}x{kind.height} pixels; at most {limit:,} pixels are decoded"
        )
    if kind.format == "png" and not _ends(data):
        raise InvalidImage(f"png cut off after {len(data)} bytes")
    try:
        with Image.open(BytesIO(data), formats=[kind.format]) as opened:
            opened.load()
            return _plain(opened)
    except (*_BROKEN, Image.DecompressionBombError) as error:
        raise InvalidImage(f"{kind.format} of {len(data):,} bytes cannot be decoded: {error}") from error


def _ends(data: bytes) -> bool:
    """Pillow forgives a PNG that stops early when enough pixels came; a picture cut off is not whole."""
    return b"IEND\xaeB`\x82" in data[-4096:] or b"IEND\xaeB`\x82" in data


def _plain(image: Image.Image) -> Image.Image:
    profile = image.info.get("icc_profile") if image.mode in {"RGB", "RGBA", "P"} else None
    if image.mode.startswith("I"):  # 16 bits a sample: Pillow's own conversion clips instead of scaling
        image = image.point(lambda value: value / 257).convert("L")
    plain = image.convert("RGBA" if image.has_transparency_data else "RGB")
    plain.info = {"icc_profile": profile} if profile else {}
    return plain
