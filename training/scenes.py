"""A scene's facts, how they are drawn by chance, and how they become a picture and a mask."""

import random
from dataclasses import dataclass

import numpy as np

from training import settings, styles
from training.palette import PAINT
from training.pen import Pen
from training.subjects import SUBJECTS
from training.vocabulary import DEFAULT_COLOR, SETTINGS, STYLES, TIMES, WEATHER

PLACES = (112, 128, 128, 144)  # on the denoiser's own cells of 16 pixels
HEIGHT = {None: 136.0, "big": 164.0, "small": 92.0}


@dataclass(frozen=True, slots=True)
class Spec:
    """What a picture shows. `color` None is the subject's own; `side` and `size` None are the middle and
    normal.
    """

    subject: str | None
    setting: str = "plain"
    time: str = "day"
    weather: str = "clear"
    style: str = "flat"
    color: str | None = None
    count: int = 1
    side: str | None = None
    size: str | None = None

    @property
    def shown_color(self) -> str | None:
        return (self.color or DEFAULT_COLOR[self.subject]) if self.subject else None

    @property
    def shown_setting(self) -> str:
        """A boat that was placed nowhere is at sea."""
        return "sea" if self.subject == "sailboat" and self.setting == "plain" else self.setting


def draw_spec(rng: random.Random) -> Spec:
    """Facts by chance: subjects and styles evenly, one picture in twelve without a subject."""
    setting = rng.choice(["plain"] * 5 + [name for name in SETTINGS if name != "plain"] * 2)
    facts = {
        "time": rng.choice([*TIMES, "day"]),
        "weather": rng.choice(["clear"] * 8 + [name for name in WEATHER if name != "clear"]),
        "style": rng.choice([*STYLES, "flat"]),
    }
    if rng.random() < 1 / 12:
        return Spec(None, rng.choice([name for name in SETTINGS if name != "plain"]), **facts)
    subject = rng.choice(list(SUBJECTS))
    color = rng.choice(list(PAINT)) if rng.random() < 0.55 else None
    count = rng.choices((1, 2, 3), (8, 1, 1))[0]
    side = rng.choice(("left", "right")) if count == 1 and rng.random() < 0.12 else None
    size = rng.choice(("small", "big")) if count == 1 and rng.random() < 0.15 else None
    if subject == "sailboat" and rng.random() < 0.6:
        setting = "sea"
    return Spec(subject, setting, **facts, color=color, count=count, side=side, size=size)


@dataclass(frozen=True, slots=True)
class Layout:
    """What a spec leaves open: which of the fixed lands, and where the subjects stand.

    That is little on purpose. A small network that has to leave a place open draws the mean of all places:
    with a sun on either side it drew two suns.
    """

    number: int
    standings: list[tuple[float, float, float]]


def layout(spec: Spec, seed: int) -> Layout:
    """The same for the same arguments."""
    rng = random.Random(seed)
    return Layout(rng.randrange(settings.LAYOUTS), _standings(spec, rng) if spec.subject else [])


def _standings(spec: Spec, rng: random.Random) -> list[tuple[float, float, float]]:
    """(x, foot y, height) of every subject; all but height on the grid of eight pixels."""
    thing = SUBJECTS[spec.subject or ""]
    height = HEIGHT[spec.size] * thing.tall
    foot = {"ground": 224, "rock": 224, "water": 208, "air": 200}[thing.kind]
    match spec.count:
        case 2:
            return [(72, foot, height * 0.66), (184, foot, height * 0.66)]
        case 3:
            return [(48, foot, height * 0.48), (128, foot, height * 0.48), (208, foot, height * 0.48)]
        case _ if spec.side == "left":
            return [(72, foot, height * 0.9)]
        case _ if spec.side == "right":
            return [(184, foot, height * 0.9)]
        case _:
            lift = 24 if thing.kind == "air" and spec.size == "small" else 0
            return [(rng.choice(PLACES), foot - lift, height)]


def render(spec: Spec, seed: int, *, scale: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The picture [S, S, 3] and the subject's mask [S / 8, S / 8], uint8; the same for the same arguments.

    S is 256 times the scale: the same drawing with everything in it larger.
    """
    plan = layout(spec, seed)
    pen = Pen(spec.style, spec.time, settings.gloom(spec.weather), scale=scale)
    settings.sky(pen, spec.weather)
    settings.lights(pen, plan.number)
    settings.clouds(pen, spec.weather, plan.number)
    land = spec.shown_setting
    settings.LANDS[land](pen, settings.HORIZON, plan.number)
    if spec.subject is not None:
        thing = SUBJECTS[spec.subject]
        if land == "sea" and thing.kind == "ground":
            settings.shore(pen)
        for x, foot, height in plan.standings:
            with pen.placed(x, foot, height):
                thing.draw(pen, PAINT[spec.shown_color or "red"])
    settings.weather_front(pen, spec.weather, plan.number)
    picture, mask = pen.finish()
    finished = styles.apply(spec.style, picture, mask)
    side = 32 * scale
    cells = mask.reshape(side, 8, side, 8).mean((1, 3))  # [S / 8, S / 8]
    return finished, cells.astype(np.uint8)
