"""Identifiers that sort by time."""

import secrets
import time
from uuid import UUID


def uuid7() -> str:
    """A version 7 UUID (RFC 9562, 5.7): 48 bits of Unix milliseconds, then 74 random bits."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(UUID(int=value))
