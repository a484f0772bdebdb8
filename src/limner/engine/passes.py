"""In which sizes a picture is drawn. Pure.

A model draws well near the area it was trained on. Larger pictures are composed there first, then enlarged
and drawn over with a few steps; past ``REFINE_AREA`` the finished pixels are enlarged. Smaller ones are drawn
at the least area the model knows and reduced. All sides drawn are multiples of ``GRID_PX``; the rest is cut
off evenly.
"""

import math
from dataclasses import dataclass

from limner.engine.values import Size

GRID_PX = 32
ONE_PASS = 1.6  # times the native area
REFINE_AREA = 768 * 768
REFINE_STRENGTH = 0.4
REFINE_SHARE = 0.4  # of the steps asked for
LEAST_REFINE_STEPS = 3


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of the sampler; ``strength`` is how far into the schedule it starts."""

    size: Size
    steps: int
    strength: float = 1.0


def plan(asked: Size, steps: int, native_px: int) -> tuple[Pass, ...]:
    """The passes for a picture of the size ``asked``. The last may miss it: then scale and cut."""
    native = native_px * native_px
    if asked.area < native / 4:
        return (Pass(_near(asked, native / 4), steps),)
    target = _cover(asked)
    if asked.area <= native * ONE_PASS:
        return (Pass(target, steps),)
    if target.area > REFINE_AREA:
        target = _near(asked, REFINE_AREA)
    refine = max(LEAST_REFINE_STEPS, round(steps * REFINE_SHARE))
    return Pass(_near(asked, native), steps), Pass(target, refine, REFINE_STRENGTH)


def _cover(size: Size) -> Size:
    return Size(*(math.ceil(side / GRID_PX) * GRID_PX for side in (size.width, size.height)))


def _near(size: Size, area: float) -> Size:
    scale = math.sqrt(area / size.area)
    return Size(*(max(1, round(side * scale / GRID_PX)) * GRID_PX for side in (size.width, size.height)))
