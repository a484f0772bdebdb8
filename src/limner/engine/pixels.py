"""Finished pixels: scaled, cut, encoded. The same pixels give the same bytes."""

import io

import numpy as np
from PIL import Image

from limner.engine.passes import GRID_PX
from limner.engine.values import Array, Facts, Latents, Pixels, Size

PNG_LEVEL = 4  # 2 % larger than zlib's 6 in half the time (measured)
PREVIEW_SIDE_PX = 128


def fit(pixels: Pixels, size: Size) -> Pixels:
    """Cut out the centre; scale first (Lanczos) if too small, or too large by a grid cell or more."""
    height, width = pixels.shape[:2]
    scale = max(size.width / width, size.height / height)
    too_large = min(width - size.width, height - size.height) >= GRID_PX
    if scale > 1 or too_large:
        wide, high = max(size.width, round(width * scale)), max(size.height, round(height * scale))
        pixels = resize(pixels, Size(wide, high))
        height, width = high, wide
    top, left = (height - size.height) // 2, (width - size.width) // 2
    return pixels[top : top + size.height, left : left + size.width]


def resize(pixels: Pixels, size: Size) -> Pixels:
    """Lanczos to exactly ``size``."""
    image = Image.fromarray(pixels).resize((size.width, size.height), Image.Resampling.LANCZOS)
    return np.asarray(image)


def png(pixels: Pixels) -> bytes:
    """A plain PNG without metadata."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG", compress_level=PNG_LEVEL)
    return out.getvalue()


def quantise(image: Array) -> Pixels:
    """[3, H, W] in -1..1 -> [H, W, 3] in 0..255."""
    levels = np.clip(np.rint((image + 1) * 127.5), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def sketch(latents: Latents, facts: Facts) -> Pixels:
    """A small true likeness of latents by the model's linear map, without its decoder."""
    colours = np.einsum("chw,cr->hwr", latents, facts.preview_matrix) + facts.preview_bias  # [H, W, 3]
    small = np.clip(np.rint(colours * 255), 0, 255).astype(np.uint8)
    height, width = small.shape[:2]
    times = max(facts.factor // 2, -(-PREVIEW_SIDE_PX // min(height, width)))
    image = Image.fromarray(small).resize((width * times, height * times), Image.Resampling.BICUBIC)
    return np.asarray(image)
