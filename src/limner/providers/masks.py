"""Masks as vendors want them: ours are clear where the picture is painted anew, theirs often white."""

import asyncio
from io import BytesIO

from PIL import Image

from limner.core.errors import Rejected


async def white_where_clear(mask: bytes) -> bytes:
    """A grey PNG of the mask's size. Raises `Rejected` when the mask is no picture."""
    return await asyncio.to_thread(_white_where_clear, mask)


def _white_where_clear(mask: bytes) -> bytes:
    try:
        with Image.open(BytesIO(mask)) as picture:
            white = picture.convert("RGBA").getchannel("A").point(lambda alpha: 255 - alpha)
    except (OSError, Image.DecompressionBombError) as fault:
        raise Rejected("the mask is no picture") from fault
    out = BytesIO()
    white.save(out, "PNG", compress_level=1)
    return out.getvalue()
