from io import BytesIO

import pytest
from PIL import Image

from limner.core.errors import Rejected
from limner.providers.masks import white_where_clear


def encoded(picture):
    out = BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


async def test_what_is_clear_becomes_white_and_what_is_opaque_black():
    mask = Image.new("RGBA", (3, 2), (255, 255, 255, 255))
    mask.putpixel((0, 0), (9, 9, 9, 0))
    mask.putpixel((1, 0), (9, 9, 9, 100))
    with Image.open(BytesIO(await white_where_clear(encoded(mask)))) as white:
        assert (white.mode, white.size) == ("L", (3, 2))
        assert white.tobytes() == bytes([255, 155, 0, 0, 0, 0])


async def test_a_mask_that_clears_nothing_is_black():
    with Image.open(BytesIO(await white_where_clear(encoded(Image.new("RGB", (2, 1), "white"))))) as white:
        assert white.tobytes() == bytes([0, 0])


@pytest.mark.parametrize("data", [b"", b"no picture", encoded(Image.new("RGBA", (64, 64)))[:40]])
async def test_what_is_no_picture_is_rejected(data):
    with pytest.raises(Rejected, match="the mask is no picture"):
        await white_where_clear(data)
