"""Identifiers that sort by time."""

import os
import time

_BITS = 10
"""Bytes of chance in one identifier."""
_CHANCE = bytearray()
"""Fetched for many at once: each call of the system for it takes longer than all the rest."""
_FETCHED = 256 * _BITS


def uuid7() -> str:
    """A version 7 UUID (RFC 9562, 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(_chance())
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _chance() -> bytes:
    """Never the same bytes twice, also when several threads ask: taking a slice off the end is one step."""
    try:
        return bytes(_CHANCE.pop() for _ in range(_BITS))
    except IndexError:
        _CHANCE.extend(os.urandom(_FETCHED))
        return os.urandom(_BITS)


os.register_at_fork(after_in_child=_CHANCE.clear)
