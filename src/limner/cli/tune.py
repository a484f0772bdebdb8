"""Process-wide settings of a server, made once when everything is loaded."""

import ctypes
import gc
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h


def settle() -> None:
    """Keep what is loaded out of the collector's way, and large buffers inside the process.

    Without the first, full collections of some 100,000 objects that never die stall answers for tens of
    milliseconds. Without the second, glibc gives every buffer of a picture back to the kernel and faults
    it in again, about half the CPU of a 1.5 MB answer; the price is up to 100 MB more kept after a burst.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 25, 25)
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
        if mallopt is not None:
            mallopt(_M_MMAP_THRESHOLD, 32 << 20)
            mallopt(_M_TRIM_THRESHOLD, 64 << 20)
            mallopt(_M_ARENA_MAX, 2)
