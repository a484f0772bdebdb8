"""Small pictures for lists."""

from PIL import Image

from limner.core.errors import InvalidRequest
from limner.imaging.convert import encode
from limner.imaging.decode import decode

MAX_SIDE = 2048
_QUALITY = 80


def thumbnail(data: bytes, side: int = 256) -> bytes:
    """A WebP whose longer side is at most `side` pixels (1 to 2048): keeps the aspect, never enlarges.

    Same input, same bytes. Raises `InvalidRequest` for a side out of range, `InvalidImage` for the picture.
    """
    if not 1 <= side <= MAX_SIDE:
        raise InvalidRequest(f"a thumbnail of side {side}; give 1 to {MAX_SIDE} pixels", field="side")
    image = decode(data)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return encode(image, "webp", _QUALITY)
