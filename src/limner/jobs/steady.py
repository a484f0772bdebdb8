"""Writing what must not be lost while the disk or database is away."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from limner.core.errors import StorageError

T = TypeVar("T")
_log = logging.getLogger(__name__)
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0


async def steadily(act: Callable[[], Awaitable[T]], what: str, patience_s: float | None = None) -> T:
    """Repeat `act` until the storage takes it; what it holds stays in memory meanwhile.

    With `patience_s` it raises the last `StorageError` once that many seconds have passed: for what can be
    made again for nothing.
    """
    began, wait = time.monotonic(), _FIRST_WAIT_S
    while True:
        try:
            return await act()
        except StorageError as error:
            if patience_s is not None and time.monotonic() - began + wait > patience_s:
                raise
            level = logging.ERROR if wait == _FIRST_WAIT_S else logging.INFO
            _log.log(level, "storage refuses the %s, trying again until it takes it: %s", what, error)
            await asyncio.sleep(wait)
            wait = min(_LONGEST_WAIT_S, wait * 2)
