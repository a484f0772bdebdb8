"""What verdicts on pictures come to: shares that are kept, with their bounds. Pure."""

from collections.abc import Mapping, Sequence
from math import sqrt

from limner.core.shelf import Arm, Liking

Counts = Sequence[tuple[str, int, int]]
"""Each with how often it was kept and deleted."""
_Z = 1.96
"""Of a 95 % interval."""
_ENOUGH = 3
"""Pictures of one kind that must have been judged before it is suggested."""


def leader(results: Sequence[Arm]) -> str | None:
    """The template whose pictures are kept more often for certain: its bounds lie above all others'."""
    best = max(results, key=lambda one: one.low)
    certain = all(best.low > one.high for one in results if one is not best)
    return best.template if certain else None


def bounds(kept: int, deleted: int) -> tuple[float, float]:
    """The bounds of the share that is kept, at 95 % (Wilson's interval); 0 and 1 where nothing is known."""
    n = kept + deleted
    if not n:
        return 0.0, 1.0
    share, z2 = kept / n, _Z * _Z
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def arm(ref: str, counts: Mapping[str, tuple[int, int, int]]) -> Arm:
    """One template of a test: jobs, kept and deleted by `counts`."""
    jobs, kept, deleted = counts.get(ref, (0, 0, 0))
    low, high = bounds(kept, deleted)
    return Arm(template=ref, jobs=jobs, kept=kept, deleted=deleted, low=low, high=high)


def likings(counts: Counts) -> tuple[Liking, ...]:
    """The best first."""
    found = [
        Liking(name=name, kept=kept, deleted=deleted, low=low, high=high)
        for name, kept, deleted in counts
        for low, high in (bounds(kept, deleted),)
    ]
    return tuple(sorted(found, key=lambda one: (-one.low, one.name)))


def best(likings: Sequence[Liking]) -> str | None:
    """The first that was judged often enough and kept more often than not."""
    enough = (one for one in likings if one.kept + one.deleted >= _ENOUGH and one.kept > one.deleted)
    return next((one.name for one in enough), None)
