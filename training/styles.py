"""What turns a drawing into a painting: work on the finished pixels, with textures that are the same every
time.

Fixed textures keep a style easy to learn: a small network learns one weave of brush strokes, not a family
of them.
"""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from training.pen import SIDE

Pixels = NDArray[np.uint8]
Field = NDArray[np.float32]


def apply(style: str, picture: Pixels, mask: Pixels) -> Pixels:
    """The finished picture [S, S, 3]; the mask of the subject steers the size of the strokes."""
    scale = len(picture) // SIDE
    match style:
        case "watercolor":
            return _watercolor(picture, scale)
        case "oil painting":
            return _oil(picture, mask, scale)
        case "pixel art":
            return _pixels(picture, scale)
        case "neon":
            return _glow(picture, scale)
        case _:
            return picture


@cache
def _noise(seed: int, grain: int, scale: int) -> Field:
    """Smooth noise [S, S] in -1..1; `grain` is the size of its spots in units of a 256th of the side."""
    cells = SIDE // grain + 3
    coarse = np.random.default_rng(seed).uniform(-1, 1, (cells, cells)).astype(np.float32)
    step = grain * scale
    field = cv2.resize(coarse, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(field[: SIDE * scale, : SIDE * scale])


@cache
def _grid(scale: int) -> tuple[Field, Field]:
    y, x = np.mgrid[0 : SIDE * scale, 0 : SIDE * scale].astype(np.float32)
    return x, y


@cache
def _sheet(scale: int) -> Field:
    """How much paint the paper took [S, S, 1]: none at the ragged border."""
    x, y = (axis / scale for axis in _grid(scale))
    inset = np.minimum(np.minimum(x, SIDE - 1 - x), np.minimum(y, SIDE - 1 - y))
    ragged = inset + 6.5 * _noise(11, 32, scale) + 3.0 * _noise(12, 12, scale)
    return np.clip((ragged - 11) / 3, 0, 1)[..., None]


def _watercolor(picture: Pixels, scale: int) -> Pixels:
    x, y = _grid(scale)
    shift = 2.4 * scale
    wobbly = cv2.remap(
        picture,
        x + shift * _noise(1, 20, scale),
        y + shift * _noise(2, 20, scale),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT,
    )
    wet = cv2.bilateralFilter(wobbly, 5, 40, 3).astype(np.float32)
    pale = 255 - (255 - wet) * 0.84
    pools = 1 + 0.085 * _noise(3, 42, scale) + 0.05 * _noise(4, 18, scale)
    gray = cv2.cvtColor(wobbly, cv2.COLOR_RGB2GRAY).astype(np.float32)
    rims = np.clip(cv2.GaussianBlur(gray, (0, 0), 3.5 * scale) - gray, 0, 40) / 255
    painted = 255 - (255 - pale) * (pools + 0.9 * rims)[..., None]
    paper = np.array((252, 250, 244), np.float32)
    mixed = painted * _sheet(scale) + paper * (1 - _sheet(scale))
    return np.clip(mixed, 0, 255).astype(np.uint8)


@cache
def _strokes(
    seed: int, length: int, width: int, count: int, scale: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Field]:
    """Where each pixel takes its colour from (rows, columns), and the relief of its brush stroke."""
    rng = np.random.default_rng(seed)
    side = SIDE * scale
    owner = np.zeros((side, side), np.int32)
    relief = np.zeros((side, side), np.float32)
    spots = rng.uniform(0, SIDE, (count, 2))
    spots[0] = SIDE / 2
    for index, (px, py) in enumerate(spots):
        angle = 0.5 + 0.9 * float(_noise(21, 64, 1)[int(py), int(px)])
        dx, dy = np.cos(angle) * length / 2, np.sin(angle) * length / 2
        start = round((px - dx) * scale), round((py - dy) * scale)
        end = round((px + dx) * scale), round((py + dy) * scale)
        cv2.line(owner, start, end, index, width * scale)
        cv2.line(relief, start, end, float(rng.uniform(-1, 1)), width * scale)
    rows = np.clip(spots[:, 1] * scale, 0, side - 1).astype(np.int64)[owner]
    columns = np.clip(spots[:, 0] * scale, 0, side - 1).astype(np.int64)[owner]
    return rows, columns, relief


def _oil(picture: Pixels, mask: Pixels, scale: int) -> Pixels:
    coarse = _strokes(5, 18, 7, 4500, scale)
    fine = _strokes(6, 9, 3, 16000, scale)
    soft = cv2.GaussianBlur(picture, (0, 0), 1.2 * scale)
    wide = soft[coarse[0], coarse[1]].astype(np.float32) * (1 + 0.12 * coarse[2])[..., None]
    near = 0.5 * (picture[fine[0], fine[1]].astype(np.float32) + picture) * (1 + 0.1 * coarse[2])[..., None]
    grown = cv2.dilate(mask, np.ones((4 * scale + 1, 4 * scale + 1), np.uint8))
    share = cv2.GaussianBlur(grown, (0, 0), 2 * scale).astype(np.float32)[..., None] / 255
    mixed = wide * (1 - share) + near * share
    gray = mixed.mean(2, keepdims=True)
    return np.clip(gray + (mixed - gray) * 1.12, 0, 255).astype(np.uint8)


def _pixels(picture: Pixels, scale: int) -> Pixels:
    block = 8 * scale
    small = cv2.resize(picture, (SIDE // 8, SIDE // 8), interpolation=cv2.INTER_AREA).astype(np.float32)
    steps = np.round(np.clip(128 + (small - 128) * 1.1, 0, 255) / 255 * 9) / 9 * 255
    return np.ascontiguousarray(steps.astype(np.uint8).repeat(block, 0).repeat(block, 1))


def _glow(picture: Pixels, scale: int) -> Pixels:
    bright = np.clip(picture.astype(np.float32) - 70, 0, 255)
    halo = (
        cv2.GaussianBlur(bright, (0, 0), 6 * scale) * 0.75 + cv2.GaussianBlur(bright, (0, 0), 2 * scale) * 0.3
    )
    return np.clip(picture + halo, 0, 255).astype(np.uint8)
