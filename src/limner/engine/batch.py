"""Which pictures take the next denoising step together. Pure.

Every waiting picture has a moment it is due: when its order came, later by one turn for each picture of the
same order before it and for each turn it has already had. The smallest goes first. So short pictures are
finished in the order they came, a long one makes room every ``TURN_S``, an order of ten does not block an
order of one, and nothing starves: whoever comes later is due later.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from limner.engine.values import Size

TURN_S = 2.0


@dataclass(frozen=True, slots=True)
class Group:
    """What pictures must share to be stepped in one call: the model and the size."""

    model: str
    size: Size


@dataclass(frozen=True, slots=True)
class Waiting:
    """A picture between two of its steps."""

    order: str
    index: int
    group: Group
    arrived: float  # seconds on any rising clock
    spent_s: float  # drawing time it has had

    @property
    def due(self) -> float:
        """When its turn is."""
        return self.arrived + TURN_S * (self.index + math.floor(self.spent_s / TURN_S))


def next(  # noqa: A001  (read as batch.next)
    waiting: Sequence[Waiting], limits: Mapping[str, int]
) -> tuple[Waiting, ...]:
    """The pictures of the next step, first due first; ``limits`` says how many each model steps at once."""
    line = sorted(waiting, key=lambda picture: (picture.due, picture.arrived, picture.index))
    if not line:
        return ()
    group = line[0].group
    same = [picture for picture in line if picture.group == group]
    return tuple(same[: limits.get(group.model, 1)])
