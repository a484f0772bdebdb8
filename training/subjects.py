"""The things a picture can be of: each is drawn in its own space (foot at the origin, y up, height 1)."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from training.creatures import cat, fox, owl, rabbit, robot
from training.palette import PAINT, RGB, WINDOW_LIGHT, mix
from training.pen import Pen, ring

WHITE: RGB = (248, 246, 240)
DARK: RGB = (52, 46, 58)
WOOD: RGB = (116, 76, 48)
GLASS: RGB = (178, 216, 240)


def _dark(color: RGB, share: float = 0.35) -> RGB:
    return mix(color, (30, 20, 40), share)


def _pale(color: RGB, share: float = 0.5) -> RGB:
    return mix(color, (255, 255, 255), share)


def _contrast(color: RGB) -> RGB:
    """White beside a colour, or slate beside white."""
    return (120, 132, 156) if min(color) > 200 else WHITE


def _window(pen: Pen, left: float, low: float, right: float, high: float) -> None:
    shines = pen.time in ("night", "dusk")
    pen.box(left, low, right, high, WINDOW_LIGHT if shines else GLASS, glow=shines)


def lighthouse(pen: Pen, color: RGB) -> None:
    pen.blob(
        [(-0.42, -0.02), (-0.3, 0.12), (-0.02, 0.14), (0.28, 0.12), (0.42, -0.02), (0.0, -0.05)],
        (112, 104, 108),
    )
    bands, low, high, wide, slim = 5, 0.08, 0.7, 0.16, 0.1
    for band in range(bands):
        a, b = band / bands, (band + 1) / bands
        ya, yb = low + (high - low) * a, low + (high - low) * b
        wa, wb = wide + (slim - wide) * a, wide + (slim - wide) * b
        pen.poly([(-wa, ya), (wa, ya), (wb, yb), (-wb, yb)], color if band % 2 == 0 else _contrast(color))
    pen.box(-0.15, 0.7, 0.15, 0.745, DARK)
    shines = pen.time in ("night", "dusk", "sunset")
    if shines and pen.style not in ("line art", "neon"):
        for side in (-1, 1):
            pen.poly(
                [(0, 0.81), (side * 0.95, 0.98), (side * 0.95, 0.7)],
                (255, 240, 160),
                glow=True,
                edge=False,
                alpha=0.4,
            )
    pen.box(-0.085, 0.745, 0.085, 0.875, (255, 232, 110) if shines else (255, 244, 190), glow=True)
    pen.poly([(-0.13, 0.875), (0.13, 0.875), (0, 1.0)], color)


def castle(pen: Pen, color: RGB) -> None:
    roof = (176, 60, 60) if max(color) - min(color) < 30 else _dark(color, 0.45)
    for x, width, top in ((0.0, 0.13, 0.66), (-0.42, 0.115, 0.54), (0.42, 0.115, 0.54)):
        pen.box(x - width, 0, x + width, top, color if x else _dark(color, 0.12))
        pen.poly([(x - width * 1.3, top), (x + width * 1.3, top), (x, top + 0.3)], roof)
    pen.box(-0.42, 0, 0.42, 0.34, color)
    for x in (-0.25, 0.0, 0.25):
        pen.box(x - 0.06, 0.33, x + 0.06, 0.42, color)
    pen.blob(
        [(-0.11, -0.04), (-0.11, 0.12), (-0.1, 0.24), (0.1, 0.24), (0.11, 0.12), (0.11, -0.04)], (84, 54, 42)
    )
    for x, y in ((-0.42, 0.34), (0.42, 0.34), (0.0, 0.5)):
        _window(pen, x - 0.04, y, x + 0.04, y + 0.11)


def house(pen: Pen, color: RGB) -> None:
    pen.box(0.24, 0.66, 0.38, 0.98, (150, 84, 70))
    pen.box(-0.5, 0, 0.5, 0.5, color)
    roof = (186, 70, 56) if PAINT["red"] != color else (96, 74, 84)
    pen.poly([(-0.64, 0.48), (0.64, 0.48), (0.0, 0.96)], roof)
    pen.box(-0.12, 0, 0.12, 0.32, WOOD if color != PAINT["brown"] else (70, 44, 34))
    for x in (-0.31, 0.31):
        _window(pen, x - 0.1, 0.2, x + 0.1, 0.38)


def windmill(pen: Pen, color: RGB) -> None:
    pen.poly([(-0.24, 0), (0.24, 0), (0.13, 0.62), (-0.13, 0.62)], color)
    pen.blob([(-0.22, 0.58), (-0.12, 0.82), (0.12, 0.82), (0.22, 0.58)], (150, 76, 56))
    pen.box(-0.07, 0, 0.07, 0.2, WOOD)
    hub = (0.0, 0.62)
    for quarter in range(4):
        angle = math.pi / 4 + quarter * math.pi / 2
        ux, uy = math.cos(angle), math.sin(angle)

        def at(along: float, across: float, ux: float = ux, uy: float = uy) -> tuple[float, float]:
            return hub[0] + ux * along - uy * across, hub[1] + uy * along + ux * across

        pen.poly(
            [at(0.1, 0.0), at(0.5, 0.0), at(0.5, 0.13), at(0.1, 0.13)],
            _contrast(color) if color[2] < 200 else (250, 226, 170),
        )
        pen.stroke([hub, at(0.5, 0.0)], WOOD, 0.032)
    pen.oval(*hub, 0.05, 0.05, DARK)


def sailboat(pen: Pen, color: RGB) -> None:
    pen.stroke([(0.0, 0.1), (0.0, 0.98)], WOOD, 0.035)
    pen.poly([(0.05, 0.26), (0.05, 0.96), (0.5, 0.26)], color)
    pen.poly([(-0.05, 0.26), (-0.05, 0.84), (-0.4, 0.26)], _contrast(color))
    pen.poly(
        [(-0.54, 0.2), (0.58, 0.2), (0.4, 0.0), (-0.38, 0.0)],
        WOOD if color != PAINT["brown"] else (86, 52, 34),
    )
    pen.box(-0.52, 0.15, 0.55, 0.21, color)


def balloon(pen: Pen, color: RGB) -> None:
    for x in (-1, 1):
        pen.stroke([(x * 0.16, 0.3), (x * 0.07, 0.14)], WOOD, 0.022)
    envelope = [(-0.1, 0.24), (-0.36, 0.5), (-0.42, 0.9), (0, 1.1), (0.42, 0.9), (0.36, 0.5), (0.1, 0.24)]
    pen.blob(envelope, color)
    stripe = _pale(color, 0.62) if min(color) < 200 else (150, 170, 210)
    pen.blob(
        [(-0.06, 0.24), (-0.25, 0.5), (-0.26, 0.9), (0, 1.06), (0.26, 0.9), (0.25, 0.5), (0.06, 0.24)], stripe
    )
    pen.blob(
        [(-0.03, 0.24), (-0.11, 0.5), (-0.11, 0.9), (0, 1.04), (0.11, 0.9), (0.11, 0.5), (0.03, 0.24)], color
    )
    pen.box(-0.1, 0.0, 0.1, 0.15, (160, 106, 60), round_=0.03)


def car(pen: Pen, color: RGB) -> None:
    pen.blob([(-0.5, 0.4), (-0.4, 0.92), (0.0, 0.98), (0.36, 0.92), (0.56, 0.4), (0, 0.36)], color)
    pen.poly([(-0.34, 0.5), (-0.26, 0.8), (-0.03, 0.82), (-0.03, 0.5)], GLASS)
    pen.poly([(0.06, 0.5), (0.06, 0.82), (0.26, 0.8), (0.38, 0.5)], GLASS)
    pen.box(-0.82, 0.14, 0.82, 0.54, color, round_=0.12)
    for x in (-0.46, 0.46):
        pen.oval(x, 0.16, 0.19, 0.19, (42, 40, 48))
        pen.oval(x, 0.16, 0.085, 0.085, (200, 202, 210), edge=False)
    pen.oval(0.76, 0.4, 0.06, 0.07, (255, 240, 150), glow=True)


def rocket(pen: Pen, color: RGB) -> None:
    pen.blob(
        [(-0.13, 0.2), (-0.12, 0.04), (0.0, -0.16), (0.12, 0.04), (0.13, 0.2)],
        (255, 140, 30),
        glow=True,
        edge=False,
    )
    pen.blob(
        [(-0.06, 0.2), (-0.05, 0.08), (0.0, -0.02), (0.05, 0.08), (0.06, 0.2)],
        (255, 232, 120),
        glow=True,
        edge=False,
    )
    for side in (-1, 1):
        pen.poly([(side * 0.14, 0.46), (side * 0.36, 0.12), (side * 0.14, 0.2)], color)
    body = _contrast(color) if min(color) < 200 else (190, 200, 216)
    pen.blob([(-0.14, 0.14), (-0.24, 0.46), (-0.16, 0.84), (0.16, 0.84), (0.24, 0.46), (0.14, 0.14)], body)
    pen.blob([(-0.15, 0.72), (-0.13, 0.8), (0.0, 1.12), (0.13, 0.8), (0.15, 0.72), (0.0, 0.7)], color)
    pen.oval(0, 0.53, 0.095, 0.095, (90, 170, 232))


def tree(pen: Pen, color: RGB) -> None:
    pen.poly([(-0.1, 0), (0.1, 0), (0.07, 0.45), (-0.07, 0.45)], WOOD)
    crown = ring(0, 0.66, 0.4, 9, 0.3)
    for x, y in ((-0.22, 0.52), (0.22, 0.52), (-0.16, 0.76), (0.16, 0.76)):
        pen.oval(x, y, 0.22, 0.2, color)
    pen.blob([(x * 0.98, y) for x, y in crown], color)
    for x, y, r in ((-0.1, 0.72, 0.1), (0.14, 0.62, 0.08)):
        pen.oval(x, y, r, r * 0.85, _pale(color, 0.22), edge=False)


def flower(pen: Pen, color: RGB) -> None:
    stem = (60, 146, 66)
    pen.stroke([(0, 0.0), (0, 0.6)], stem, 0.055)
    for side, y in ((-1, 0.16), (1, 0.24)):
        pen.blob([(0, y), (side * 0.12, y + 0.14), (side * 0.32, y + 0.12), (side * 0.18, y - 0.02)], stem)
    for x, y in ring(0, 0.7, 0.19, 6, math.pi / 6):
        pen.oval(x, y, 0.135, 0.135, color)
    pen.oval(0, 0.7, 0.12, 0.12, (252, 206, 50) if color[:2] != PAINT["yellow"][:2] else (140, 82, 34))


def mushroom(pen: Pen, color: RGB) -> None:
    pen.blob(
        [(-0.19, -0.03), (-0.13, 0.2), (-0.13, 0.52), (0.13, 0.52), (0.13, 0.2), (0.19, -0.03), (0, -0.02)],
        (246, 234, 212),
    )
    pen.blob(
        [(-0.58, 0.4), (-0.44, 0.86), (0, 1.12), (0.44, 0.86), (0.58, 0.4), (0.2, 0.44), (-0.2, 0.44)], color
    )
    spot = WHITE if min(color) < 200 else (206, 120, 112)
    for x, y, r in ((-0.24, 0.6, 0.085), (0.03, 0.8, 0.105), (0.27, 0.6, 0.08)):
        pen.oval(x, y, r, r * 0.9, spot, edge=False)


Draw = Callable[[Pen, RGB], None]


@dataclass(frozen=True, slots=True)
class Subject:
    """`tall` scales the height so that wide and slim things fill alike; `kind` says where it stands."""

    draw: Draw
    tall: float = 1.0
    kind: str = "ground"


SUBJECTS: dict[str, Subject] = {
    "lighthouse": Subject(lighthouse, 1.3, "rock"),
    "castle": Subject(castle, 1.12),
    "house": Subject(house, 0.95),
    "windmill": Subject(windmill, 1.12),
    "sailboat": Subject(sailboat, 1.08, "water"),
    "balloon": Subject(balloon, 1.16, "air"),
    "car": Subject(car, 0.68),
    "rocket": Subject(rocket, 1.2, "air"),
    "robot": Subject(robot, 1.06),
    "cat": Subject(cat),
    "fox": Subject(fox),
    "owl": Subject(owl, 1.0),
    "rabbit": Subject(rabbit, 1.08),
    "tree": Subject(tree, 1.16),
    "flower": Subject(flower, 1.12),
    "mushroom": Subject(mushroom, 0.94),
}
