"""Which size a model is asked for when the caller wants one. Pure."""

from math import isqrt, log, sqrt

from limner.catalog.model import Sizes
from limner.core.request import Preset

Size = tuple[int, int]

_PRESET_SIDE: dict[Preset, int] = {"fast": 256, "standard": 512, "quality": 1024, "ultra": 1024}


def why_not(size: Size, sizes: Sizes) -> tuple[str, str] | None:
    """The field at fault and the reason why the size is not drawn; None when it is."""
    width, height = size
    if sizes.listed:
        known = ", ".join(f"{w}x{h}" for w, h in sizes.listed[:20])
        return None if size in sizes.listed else ("width", f"{width}x{height} is not one of {known}")
    for side, name in zip(size, ("width", "height"), strict=True):
        if not sizes.min_side <= side <= sizes.max_side:
            return name, f"{name} {side} is outside {sizes.min_side} to {sizes.max_side} pixels"
        if side % sizes.multiple_of:
            below = side - side % sizes.multiple_of
            return name, (
                f"{name} {side} is not a multiple of {sizes.multiple_of}; "
                f"nearest are {below} and {below + sizes.multiple_of}"
            )
    if sizes.max_pixels is not None and width * height > sizes.max_pixels:
        return "width", f"{width}x{height} is more than {sizes.max_pixels:,} pixels"
    if sizes.min_pixels is not None and width * height < sizes.min_pixels:
        return "width", f"{width}x{height} is fewer than {sizes.min_pixels:,} pixels"
    if sizes.max_ratio is not None and max(size) > sizes.max_ratio * min(size):
        return "width", f"{width}x{height} is longer than {sizes.max_ratio:g} to 1"
    return None


def nearest(size: Size, sizes: Sizes) -> Size:
    """The size the model draws that is closest: shape counts more than area. Always one it draws."""
    if sizes.listed:
        return min(sizes.listed, key=lambda one: _distance(one, size))
    width, height = (float(side) for side in size)
    if sizes.max_ratio is not None and max(width, height) > sizes.max_ratio * min(width, height):
        # Leave half a step of room, since rounding below may stretch it again.
        longest = min(width, height) * sizes.max_ratio * 0.98
        width, height = min(width, longest), min(height, longest)
    factor = _factor(width, height, sizes)
    found = _rounded(width * factor, height * factor, sizes)
    return found if why_not(found, sizes) is None else sizes.default


def by_preset(preset: Preset, sizes: Sizes) -> Size:
    """A square of the preset's side, as near as the model comes to it without enlarging."""
    side = _PRESET_SIDE[preset]
    if sizes.drawn_pixels is not None:
        side = min(side, isqrt(sizes.drawn_pixels))
    return (side, side) if why_not((side, side), sizes) is None else nearest((side, side), sizes)


def _distance(one: Size, wanted: Size) -> float:
    shape = abs(log(one[0] / one[1]) - log(wanted[0] / wanted[1]))
    area = abs(log(one[0] * one[1]) - log(wanted[0] * wanted[1]))
    return 4 * shape + area


def _factor(width: float, height: float, sizes: Sizes) -> float:
    """How much to enlarge or shrink so that sides and area come into range; the upper limits win."""
    factor = max(1.0, sizes.min_side / min(width, height))
    if sizes.min_pixels is not None:
        factor = max(factor, sqrt(sizes.min_pixels / (width * height)))
    factor = min(factor, sizes.max_side / max(width, height))
    if sizes.max_pixels is not None:
        factor = min(factor, sqrt(sizes.max_pixels / (width * height)))
    return factor


def _rounded(width: float, height: float, sizes: Sizes) -> Size:
    """Both sides to multiples, down where that keeps the area allowed and up where the area is too small."""
    step = sizes.multiple_of
    lowest, highest = -(-sizes.min_side // step) * step, sizes.max_side - sizes.max_side % step

    def side(value: float, *, up: bool) -> int:
        whole = (int(value) // step + (1 if up and value % step > 1e-6 else 0)) * step
        return min(max(whole, lowest), highest)

    for up in (False, True):
        found = side(width, up=up), side(height, up=up)
        if why_not(found, sizes) is None:
            return found
    return side(width, up=False), side(height, up=True)
