"""Identifiers that sort by time."""

import os
import time

_BYTES = 10
"""Of chance in one identifier."""
_CHANCE: list[int] = []
"""Fetched for many at once: each call of the system for it takes longer than all the rest."""
_FETCHED = 256


def uuid7() -> str:
    """A version 7 UUID (RFC 9562, 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | _chance()
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _chance() -> int:
    """Never the same number twice, also when several threads ask: taking one off the end is one step."""
    try:
        return _CHANCE.pop()
    except IndexError:
        fetched = os.urandom(_FETCHED * _BYTES)
        _CHANCE.extend(int.from_bytes(fetched[at : at + _BYTES]) for at in range(0, len(fetched), _BYTES))
        return int.from_bytes(os.urandom(_BYTES))


os.register_at_fork(after_in_child=_CHANCE.clear)
