"""What is behind the subject: the sky with its sun or moon, the land, and the weather in front."""

import math
import random
from collections.abc import Callable

from training import palette
from training.palette import RGB, WINDOW_LIGHT, mix
from training.pen import SIDE, Pen

HORIZON = 160
LAYOUTS = 3
_GLOOM = {"clear": 1.0, "cloudy": 0.95, "rain": 0.82, "snow": 0.95, "fog": 0.97}
_GRAY = {"clear": 0.0, "cloudy": 0.14, "rain": 0.3, "snow": 0.16, "fog": 0.2}


def gloom(weather: str) -> float:
    """How much of the light the weather lets through."""
    return _GLOOM[weather]


def _far(pen: Pen, color: RGB, share: float) -> RGB:
    """A colour seen from afar: part of it is the horizon's."""
    return mix(color, palette.SKY[pen.time][1], share) if pen.style not in ("line art", "neon") else color


def _layout(kind: str, number: int) -> random.Random:
    return random.Random(f"{kind}{number}")


# Sky


def sky(pen: Pen, weather: str) -> None:
    if pen.style == "line art":
        pen.backdrop(palette.paper(pen.time, 0.0), palette.paper(pen.time, 1.0))
        return
    if pen.style == "neon":
        pen.backdrop(palette.tube_sky(pen.time, 0.0), palette.tube_sky(pen.time, 1.0))
        return
    top, low = palette.SKY[pen.time]
    gray = _GRAY[weather]

    def dull(color: RGB) -> RGB:
        level = palette.brightness(color) * (0.86 if weather == "rain" else 1.0)
        return mix(color, (level, level, level * 1.06), gray)

    pen.backdrop(dull(top), dull(low))


def lights(pen: Pen, number: int) -> None:
    """The sun, its half, or the moon and stars: the time of day's own sign."""

    sun = palette.SUN[pen.time]
    pen.marks = True
    match pen.time:
        case "day":
            pen.oval(208, 44, 24, 24, sun, glow=True)
        case "sunrise":
            for radius, alpha in ((62, 0.25), (48, 0.4), (34, 1.0)):
                pen.oval(52, HORIZON, radius, radius, sun, glow=True, edge=alpha == 1.0, alpha=alpha)
        case "sunset":
            pen.oval(196, HORIZON - 10, 60, 60, (255, 190, 70), glow=True, edge=False, alpha=0.4)
            pen.oval(196, HORIZON - 10, 42, 42, sun, glow=True)
        case "dusk":
            _stars(pen, _layout("dusk stars", number), 7, 70)
        case _:
            _stars(pen, _layout("stars", number), 22, 130)
            _moon(pen, 204, 50, 26)
    pen.marks = False


def _stars(pen: Pen, rng: random.Random, count: int, low: float) -> None:
    color = (255, 250, 220) if pen.style != "line art" or pen.time == "night" else (70, 56, 120)
    for _ in range(count):
        px, py, r = 8 * rng.randint(1, 31), 8 * rng.randint(1, round(low / 8)), rng.choice((1.8, 2.4, 3.2))
        pen.oval(px, py, r, r, color, glow=True, edge=pen.style == "line art")


def _moon(pen: Pen, x: float, y: float, radius: float) -> None:
    outer = [(x + radius * math.cos(a), y + radius * math.sin(a)) for a in _arc(-2.3, 2.3, 20)]
    inner = [
        (x - 10 + radius * 0.72 * math.cos(a), y + radius * 0.8 * math.sin(a)) for a in _arc(1.9, -1.9, 20)
    ]
    pen.poly(outer + inner, palette.SUN["night"], glow=True)


def _arc(start: float, end: float, count: int) -> list[float]:
    return [start + (end - start) * i / (count - 1) for i in range(count)]


def clouds(pen: Pen, weather: str, number: int) -> None:
    """Heaps of cloud for every weather but clear; rain and snow clouds close the top of the sky."""
    if weather in ("clear", "fog"):
        return
    rng = _layout("clouds", number)
    base: RGB = {"cloudy": (250, 250, 252), "rain": (122, 130, 148), "snow": (214, 222, 234)}[weather]
    color = (
        mix(pen.lit(base), palette.SKY[pen.time][1], 0.25) if pen.style not in ("line art", "neon") else base
    )
    places = [(44, 40), (128, 30), (212, 42)] if weather != "cloudy" else [(60, 56), (176, 40), (232, 96)]
    for px, py in places:
        _cloud(
            pen,
            px + 8 * rng.randint(-2, 2),
            py + 8 * rng.randint(-1, 1),
            1.25 if weather != "cloudy" else 1.1,
            color,
        )


def _cloud(pen: Pen, x: float, y: float, size: float, color: RGB) -> None:
    points = [
        (-46, 12),
        (-48, -12),
        (-24, -14),
        (-14, -34),
        (14, -32),
        (22, -16),
        (46, -14),
        (48, 12),
        (0, 16),
    ]
    pen.blob([(x + px * size, y + py * size) for px, py in points], color, glow=pen.style != "neon")


# Land: each draws from the horizon down and returns nothing


def _ground(pen: Pen, level: float, color: RGB, wave: float = 0.0, phase: float = 0.0) -> None:
    top = [(x, level + wave * math.sin(x / 41 + phase)) for x in range(-16, SIDE + 17, 8)]
    pen.poly([(-16, SIDE + 16), *top, (SIDE + 16, SIDE + 16)], color)


def _plain(pen: Pen, horizon: float, number: int) -> None:
    _ground(pen, horizon, (150, 172, 128))


def _sea(pen: Pen, horizon: float, number: int) -> None:
    water = (44, 124, 186)
    _ground(
        pen,
        horizon,
        mix(water, palette.SKY[pen.time][1], 0.22) if pen.style not in ("line art", "neon") else water,
    )
    rng = _layout("sea", number)
    foam = mix(pen.lit((210, 236, 250)), palette.SKY[pen.time][1], 0.3)
    for row in range(5):
        y = horizon + 12 + row * 16
        for _ in range(3):
            px = 8 * rng.randint(0, 28)
            pen.stroke(
                [(px, y), (px + 14 + 4 * row, y)],
                foam if pen.style not in ("line art", "neon") else (120, 190, 240),
                4.0,
                glow=True,
            )


def _mountains(pen: Pen, horizon: float, number: int) -> None:
    peaks = [
        [(40, 96, 80), (210, 104, 84), (124, 72, 92)],
        [(196, 84, 90), (60, 76, 92), (136, 112, 70)],
        [(128, 88, 96), (28, 64, 84), (228, 66, 88)],
    ]
    for x, top, half in peaks[number]:
        pen.poly(
            [(x - half, horizon + 8), (x + half, horizon + 8), (x, top)], _far(pen, (104, 108, 136), 0.28)
        )
        drop = (horizon + 8 - top) * 0.3
        side = half * 0.3
        cap = [
            (x, top),
            (x + side, top + drop),
            (x + side * 0.3, top + drop * 0.72),
            (x - side * 0.3, top + drop * 1.1),
            (x - side, top + drop),
        ]
        pen.poly(cap, (246, 249, 255), edge=pen.style in ("line art", "neon"))
    _ground(pen, horizon, (108, 152, 96), 3)


def _forest(pen: Pen, horizon: float, number: int) -> None:
    rng = _layout("forest", number)
    for depth, (color, lift, step) in enumerate((((64, 118, 92), 70, 32), ((36, 92, 62), 46, 40))):
        for column in range(-1, 9):
            x = column * step + 8 * rng.randint(0, 2) + depth * 16
            top = horizon - lift - 8 * rng.randint(0, 3)
            _pine(pen, x, horizon + 10, top, _far(pen, color, 0.2 * (1 - depth)))
    _ground(pen, horizon + 4, (66, 122, 62), 2)


def _pine(pen: Pen, x: float, foot: float, top: float, color: RGB) -> None:
    height = foot - top
    pen.poly([(x - height * 0.28, foot), (x + height * 0.28, foot), (x, top + height * 0.3)], color)
    pen.poly(
        [(x - height * 0.22, foot - height * 0.42), (x + height * 0.22, foot - height * 0.42), (x, top)],
        color,
    )


def _desert(pen: Pen, horizon: float, number: int) -> None:
    _ground(pen, horizon - 6, _far(pen, (226, 170, 104), 0.15), 12, number * 2.1)
    for x, tall in ((30, 64), (226, 48)) if number != 1 else ((34, 46), (218, 66)):
        _cactus(pen, x, horizon + 20, tall)
    _ground(pen, horizon + 16, (238, 190, 116), 8, number * 1.3 + 2)


def _cactus(pen: Pen, x: float, foot: float, tall: float) -> None:
    green = (70, 140, 84)
    width = tall * 0.13
    for side, low in ((-1, 0.4), (1, 0.55)):
        pen.box(
            x, foot - tall * low, x + side * tall * 0.32, foot - tall * low - width * 1.5, green, edge=False
        )
        pen.box(
            x + side * tall * 0.32 - width * 0.8,
            foot - tall * low,
            x + side * tall * 0.32 + width * 0.8,
            foot - tall * (low + 0.3),
            green,
            round_=width * 0.8,
        )
    pen.box(x - width, foot, x + width, foot - tall, green, round_=width)


def _city(pen: Pen, horizon: float, number: int) -> None:
    rng = _layout("city", number)
    for column in range(8):
        x = column * 32
        top = horizon - 8 * rng.randint(5, 13)
        tone = rng.choice(((112, 122, 150), (138, 128, 150), (96, 112, 140)))
        pen.box(x, horizon + 8, x + 32, top, _far(pen, tone, 0.18))
        shines = pen.time in ("night", "dusk")
        for row in range(int((horizon - top) // 16)):
            for px in (x + 5, x + 19):
                if rng.random() < 0.75:
                    pen.box(
                        px,
                        top + 6 + row * 16,
                        px + 8,
                        top + 14 + row * 16,
                        WINDOW_LIGHT if shines else (206, 226, 240),
                        glow=shines,
                        edge=False,
                    )
    _ground(pen, horizon + 4, (104, 104, 116))
    for x in range(8, SIDE, 64):
        pen.box(x, 232, x + 32, 238, (244, 226, 130), edge=False)


def _meadow(pen: Pen, horizon: float, number: int) -> None:
    _ground(pen, horizon - 14, _far(pen, (120, 186, 104), 0.25), 12, number * 2.0)
    _ground(pen, horizon + 6, (96, 176, 76), 9, number * 2.0 + 2.4)
    rng = _layout("meadow", number)
    for _ in range(16):
        px, py = 8 * rng.randint(0, 31), 8 * rng.randint(round(horizon / 8) + 3, 31)
        color = rng.choice(((250, 110, 150), (252, 220, 80), (255, 255, 255), (180, 110, 220)))
        pen.oval(px, py, 4.2, 4.2, color, edge=pen.style == "neon")


def _snow(pen: Pen, horizon: float, number: int) -> None:
    rng = _layout("snow", number)
    for x in (16, 64, 200, 240):
        _pine(
            pen,
            x + 8 * rng.randint(-1, 1),
            horizon + 8,
            horizon - 48 - 8 * rng.randint(0, 2),
            _far(pen, (88, 138, 132), 0.3),
        )
    _ground(pen, horizon, _far(pen, (226, 236, 248), 0.1), 6, number * 2.0)
    _ground(pen, horizon + 30, (246, 250, 255), 6, number * 2.0 + 2)


Land = Callable[[Pen, float, int], None]
LANDS: dict[str, Land] = {
    "plain": _plain,
    "sea": _sea,
    "mountains": _mountains,
    "forest": _forest,
    "desert": _desert,
    "city": _city,
    "meadow": _meadow,
    "snow": _snow,
}


def shore(pen: Pen) -> None:
    """Sand in front of the sea, for things that cannot float."""
    points = [(-16, 216), (60, 200), (128, 194), (196, 200), (272, 216), (272, 272), (-16, 272)]
    pen.blob([(-40, 290), *points, (290, 290)], (240, 212, 156))


# Weather in front of everything


def weather_front(pen: Pen, weather: str, number: int) -> None:
    rng = _layout(weather, number)
    match weather:
        case "rain":
            slant = -10
            color = {"day": (70, 110, 190), "sunrise": (96, 110, 190), "sunset": (110, 60, 120)}.get(
                pen.time, (150, 180, 240)
            )
            for index in range(40):
                x, y = (
                    32 * (index % 8) + 8 * rng.randint(0, 3),
                    64 + 40 * (index // 8) + 8 * rng.randint(0, 2),
                )
                pen.stroke([(x, y), (x + slant, y + 24)], color, 3.6, glow=True, alpha=0.85)
        case "snow":
            for index in range(48):
                x, y = (
                    32 * (index % 8) + 8 * rng.randint(0, 3),
                    16 + 40 * (index // 8) + 8 * rng.randint(0, 4),
                )
                radius = rng.choice((3.4, 4.4, 5.4))
                pen.oval(x, y, radius, radius, (255, 255, 255), glow=True, edge=pen.style == "line art")
        case "fog":
            haze = mix(palette.SKY[pen.time][1], pen.lit((226, 230, 236)), 0.5)
            if pen.style == "neon":
                haze = mix(palette.tube_sky(pen.time, 0.9), (150, 150, 190), 0.35)
            if pen.style == "line art":
                haze = palette.paper(pen.time, 0.5)
            for y, half, alpha in ((110, 20, 0.4), (160, 22, 0.5), (212, 26, 0.5)):
                _band(pen, y, half, haze, alpha=alpha, number=number)
        case _:
            pass


def _band(pen: Pen, y: float, half: float, color: RGB, *, alpha: float, number: int) -> None:
    style, pen.style = pen.style, "flat"
    for spread in (1.0, 0.6):
        top = [(x, y - half * spread + 7 * math.sin(x / 30 + number + y)) for x in range(-16, SIDE + 17, 16)]
        low = [(x, y + half * spread + 7 * math.sin(x / 36 + number)) for x in range(SIDE + 16, -17, -16)]
        pen.poly(top + low, color, glow=True, edge=False, alpha=alpha * 0.75)
    pen.style = style
