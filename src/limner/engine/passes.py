"""In which sizes a picture is drawn. Pure.

A model draws well only near the area it was trained on. Smaller pictures are drawn there and reduced. Larger
ones are composed there, then enlarged and drawn over with a few steps, which must be gentle: the model puts
small things where it sees large ones. Past ``REFINE_AREA`` the finished pixels are enlarged. All sides drawn
are multiples of ``GRID_PX``; the rest is cut off evenly.
"""

import math
from dataclasses import dataclass

from limner.engine.values import Size

GRID_PX = 32
NEAR_NATIVE = 0.8, 1.25  # times the native area: drawn in one pass at the size asked for
REFINE_AREA = 768 * 768
REFINE_STRENGTH = 0.04  # more, and the model begins to draw anew at the wrong scale (seen at 0.07)
REFINE_SHARE = 0.2  # of the steps asked for
LEAST_REFINE_STEPS = 2


@dataclass(frozen=True, slots=True)
class Pass:
    """One run of the sampler; ``strength`` is how far into the schedule it starts."""

    size: Size
    steps: int
    strength: float = 1.0


def plan(asked: Size, steps: int, native_px: int) -> tuple[Pass, ...]:
    """The passes for a picture of the size ``asked``. The last may miss it: then scale and cut."""
    native = native_px * native_px
    least, most = (native * share for share in NEAR_NATIVE)
    if asked.area < least:
        return (Pass(_near(asked, native), steps),)
    target = _cover(asked)
    if asked.area <= most:
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
