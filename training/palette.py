"""Colours: of things, of the sky at each time of day, and what the light of that time does to a thing."""

RGB = tuple[float, float, float]

PAINT: dict[str, RGB] = {
    "red": (216, 44, 42),
    "orange": (244, 130, 30),
    "yellow": (250, 208, 46),
    "green": (58, 160, 72),
    "blue": (44, 104, 214),
    "purple": (134, 66, 182),
    "pink": (246, 128, 176),
    "brown": (134, 84, 46),
    "white": (248, 247, 243),
    "black": (38, 37, 44),
    "gray": (144, 147, 156),
}

SKY: dict[str, tuple[RGB, RGB]] = {  # zenith, horizon
    "sunrise": ((150, 188, 236), (255, 196, 186)),
    "day": ((52, 140, 238), (186, 226, 250)),
    "sunset": ((186, 48, 70), (255, 164, 44)),
    "dusk": ((62, 38, 118), (206, 104, 178)),
    "night": ((7, 11, 40), (28, 44, 104)),
}

LIGHT: dict[str, RGB] = {
    "sunrise": (1.02, 0.93, 0.92),
    "day": (1.0, 1.0, 1.0),
    "sunset": (0.98, 0.70, 0.54),
    "dusk": (0.64, 0.50, 0.78),
    "night": (0.30, 0.38, 0.64),
}

SUN: dict[str, RGB] = {
    "sunrise": (255, 238, 150),
    "day": (255, 226, 60),
    "sunset": (255, 92, 40),
    "dusk": (255, 220, 240),
    "night": (250, 246, 214),
}

INK: RGB = (34, 32, 44)
NIGHT_INK: RGB = (214, 222, 250)
WINDOW_LIGHT: RGB = (255, 222, 110)


def mix(first: RGB, second: RGB, share: float) -> RGB:
    """`share` of the second colour in the first."""
    r, g, b = (x * (1 - share) + y * share for x, y in zip(first, second, strict=True))
    return (r, g, b)


def shade(color: RGB, light: RGB) -> RGB:
    r, g, b = (min(255.0, max(0.0, x * y)) for x, y in zip(color, light, strict=True))
    return (r, g, b)


def brightness(color: RGB) -> float:
    return 0.3 * color[0] + 0.59 * color[1] + 0.11 * color[2]


def vivid(color: RGB) -> RGB:
    """The colour as a neon tube: as bright and as pure as its hue allows; grays become white or dim
    violet.
    """
    top, low = max(color), min(color)
    if top - low < 24:
        return (236, 240, 255) if top > 200 else (150, 150, 172) if top > 90 else (84, 80, 120)
    reach = 215 if top > 150 else 120
    r, g, b = (40 + reach * ((x - low) / (top - low)) ** 1.15 for x in color)
    return (r, g, b)


def paper(time: str, height: float) -> RGB:
    """Line art's paper at a height of the sky (0 zenith, 1 horizon): the sky's tint, pale, or navy at
    night.
    """
    tint = mix(*SKY[time], height)
    match time:
        case "night":
            return mix((20, 26, 66), tint, 0.25)
        case "day":
            return mix((255, 255, 255), tint, 0.22)
        case "dusk":
            return mix((255, 255, 255), tint, 0.52)
        case _:
            return mix((255, 255, 255), tint, 0.5)


def tube_sky(time: str, height: float) -> RGB:
    """Neon's sky: nearly black at the zenith, the time's own glow at the horizon."""
    glow: dict[str, RGB] = {
        "sunrise": (250, 150, 190),
        "day": (30, 190, 250),
        "sunset": (255, 110, 20),
        "dusk": (150, 50, 220),
        "night": (10, 16, 52),
    }
    strength = 0.12 + 0.78 * height**1.6
    return mix((8, 6, 24), glow[time], strength)
