"""From one format to another, with the same bytes for the same input every time."""

from io import BytesIO

from PIL import Image

from limner.core.request import Format
from limner.imaging.decode import decode
from limner.imaging.sniff import InvalidImage, sniff

_LONGEST: dict[Format, int] = {"png": 0x7FFFFFFF, "jpeg": 65_500, "webp": 16_383}


def convert(data: bytes, to: Format, quality: int | None = None) -> bytes:
    """The picture as `to`; unchanged, metadata and all, when that is what it is already.

    `quality` runs from 0 to 100 (None: 90 for JPEG, 88 for WebP) and means nothing for PNG. Transparency
    becomes white in JPEG. A converted picture carries no metadata but its colour profile. Raises
    `InvalidImage` when the input cannot be read or is too long for the new format.
    """
    kind = sniff(data)
    if kind.format == to:
        return data
    if max(kind.width, kind.height) > _LONGEST[to]:
        raise InvalidImage(
            f"{kind.width}x{kind.height} pixels do not fit in a {to} file, whose sides end at {_LONGEST[to]}"
        )
    return encode(decode(data), to, quality)


def encode(image: Image.Image, to: Format, quality: int | None = None) -> bytes:
    """The file of an RGB or RGBA picture; `quality` as in `convert`. `info` may hold an `icc_profile`."""
    out = BytesIO()
    profile = image.info.get("icc_profile")
    match to:
        case "png":
            image.save(out, "PNG", optimize=False, compress_level=6, icc_profile=profile)
        case "jpeg":
            level = 90 if quality is None else max(1, quality)  # libjpeg knows no 0
            sampling = "4:4:4" if level > 90 else "4:2:0"
            on_white(image).save(out, "JPEG", quality=level, subsampling=sampling, icc_profile=profile)
        case "webp":
            level = 88 if quality is None else quality
            image.save(out, "WEBP", quality=level, method=4, icc_profile=profile)
    return out.getvalue()


def on_white(image: Image.Image) -> Image.Image:
    """The picture without transparency, as it looks on white paper."""
    if image.mode != "RGBA":
        return image
    paper = Image.new("RGBA", image.size, "white")
    paper.alpha_composite(image)
    return paper.convert("RGB")
