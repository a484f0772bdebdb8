"""Which models stay in memory. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Need:
    """A model some order waits for."""

    model: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in memory; ``used_at`` on any rising clock."""

    model: str
    bytes: int
    used_at: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What to drop, then what to load."""

    evict: tuple[str, ...] = ()
    load: tuple[str, ...] = ()


def plan(wanted: Sequence[Need], loaded: Sequence[Loaded], free_bytes: int) -> Plan:
    """Make room for ``wanted``, most urgent first, by dropping what was used longest ago.

    The most urgent model is always loaded, even where the figures say it cannot fit: they are estimates, and
    only trying tells. The others get only room that is there without dropping a wanted model.
    """
    urgency = {need.model: i for i, need in enumerate(wanted)}
    present = {one.model for one in loaded}
    idle = sorted((one for one in loaded if one.model not in urgency), key=lambda one: one.used_at)
    rivals = sorted((one for one in loaded if one.model in urgency), key=lambda one: -urgency[one.model])
    evict: list[str] = []
    load: list[str] = []
    for need in wanted:
        if need.model in present:
            continue
        urgent = need is wanted[0]
        victims = [one for one in (idle + rivals if urgent else idle) if one.model not in evict]
        chosen, room = _make_room(need.bytes, victims, free_bytes)
        if room < need.bytes and not urgent:
            continue
        evict += chosen
        load.append(need.model)
        free_bytes = max(0, room - need.bytes)
    return Plan(tuple(evict), tuple(load))


def _make_room(need: int, victims: Sequence[Loaded], free: int) -> tuple[list[str], int]:
    chosen = []
    for victim in victims:
        if free >= need:
            break
        chosen.append(victim.model)
        free += victim.bytes
    return chosen, free
