"""Pictures that show what was asked: colours of their own, the vendor's name, prompt, seed and index."""

import io
import struct
import textwrap
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

Format = Literal["png", "jpeg", "webp"]

_LARGEST = 8192
_RUNS = 3
"""zlib's strategy for runs: the fastest here, and small enough."""
_SOFT = (232, 234, 240, 255)
_SKETCH = 96
"""Longest side of the small picture that is drawn and then enlarged: soft, and fast."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What to draw. Sizes are pixels; `source` is the encoded picture that an edit starts from."""

    vendor: str
    prompt: str
    width: int
    height: int
    seed: int = 0
    index: int = 0
    source: bytes | None = None


def draw(drawing: Drawing, format: Format = "png") -> bytes:  # noqa: A002 - the word of every vendor
    """The encoded picture: exactly that size, and the same bytes for the same drawing.

    Raises `ValueError` for a size below 1 or above 8192, or when the source is no picture.
    """
    if not (1 <= drawing.width <= _LARGEST and 1 <= drawing.height <= _LARGEST):
        raise ValueError(f"a picture has 1 to {_LARGEST} pixels a side, not {drawing.width}x{drawing.height}")
    picture = _sketch(drawing).resize((drawing.width, drawing.height), Image.Resampling.BILINEAR)
    foot = _label(picture, drawing)
    if drawing.source is not None:
        _show(picture, drawing.source, foot)
    return _encoded(picture, format)


def _encoded(picture: Image.Image, format: Format) -> bytes:  # noqa: A002 - as in draw
    file = io.BytesIO()
    match format:
        case "png":
            picture.save(file, "PNG", compress_level=1, compress_type=_RUNS)
        case "jpeg":
            picture.save(file, "JPEG", quality=90)
        case "webp":
            picture.save(file, "WEBP", quality=85, method=0)
    return file.getvalue()


def _sketch(drawing: Drawing) -> Image.Image:
    """Two colours and some soft shapes, all from a digest of what was asked."""
    said = f"{drawing.vendor}\n{drawing.prompt}\n{drawing.seed}\n{drawing.index}"
    dice = sha256(said.encode("utf-8", "replace")).digest()
    scale = _SKETCH / max(drawing.width, drawing.height)
    size = (max(8, round(drawing.width * scale)), max(8, round(drawing.height * scale)))
    hue = dice[0]
    corners = Image.new("HSV", (2, 2))
    corners.putdata(
        [
            (hue, 150, 235),
            ((hue + 20) % 256, 140, 200),
            ((hue + 60) % 256, 150, 150),
            ((hue + 90) % 256, 160, 110),
        ]
    )
    sketch = corners.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    brush = ImageDraw.Draw(sketch, "RGBA")
    for at in range(1, 25, 4):
        x, y, r, tone = dice[at : at + 4]
        middle, radius = (x * size[0] // 255, y * size[1] // 255), 6 + r * max(size) // 900
        colour = (255, 250, 235, 60) if tone % 2 else (20, 20, 50, 60)
        brush.circle(middle, radius, fill=colour)
    return sketch.filter(ImageFilter.GaussianBlur(1.5))


def _label(picture: Image.Image, drawing: Drawing) -> int:
    """Vendor and prompt on a band at the top, seed and index at the foot; returns where the band ends."""
    brush = ImageDraw.Draw(picture, "RGBA")
    width, height = picture.size
    points = max(8, min(width, height) // 16)
    text = ImageFont.load_default(max(8, points * 2 // 3))
    edge = points // 2
    lines = _wrapped(drawing.prompt, text, width - 2 * edge)
    end = edge * 2 + points + len(lines) * points
    brush.rectangle((0, 0, width, end), fill=(18, 20, 30, 215))
    head = ImageFont.load_default(points)
    brush.text((edge, edge + points // 2), drawing.vendor, fill="white", font=head, anchor="lm")
    for number, line in enumerate(lines, 1):
        brush.text((edge, edge + points * number + points * 3 // 4), line, fill=_SOFT, font=text, anchor="lm")
    foot = f"seed {drawing.seed}  #{drawing.index}"
    brush.text((edge, height - edge), foot, fill=_SOFT, font=text, anchor="ls")
    return end


def _wrapped(prompt: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> list[str]:
    """The prompt's first words as lines of about `width` pixels."""
    columns = max(4, int(width / max(1.0, font.getlength("lighthouse") / 10)))
    printable = "".join(one if one.isprintable() else " " for one in prompt[:400])
    return textwrap.wrap(printable, columns, max_lines=3, placeholder=" ...")


def _show(picture: Image.Image, source: bytes, top: int) -> None:
    """Hang the source, dimmed, below the label, so that an edit shows what it started from."""
    margin = max(1, min(picture.size) // 24)
    room = (picture.width - 2 * margin, picture.height - top - 3 * margin)
    try:
        hung = Image.open(io.BytesIO(source)).convert("RGB")
    except (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError) as error:
        raise ValueError(f"the source is no picture: {error}") from error
    if min(room) > 0:
        hung.thumbnail(room)
        left = (picture.width - hung.width) // 2
        picture.paste(ImageEnhance.Brightness(hung).enhance(0.75), (left, top + margin))
