"""Writing what must not be lost while the disk or database is away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from limner.core.errors import StorageError

T = TypeVar("T")
_log = logging.getLogger(__name__)
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0


async def steadily(act: Callable[[], Awaitable[T]], what: str) -> T:
    """Repeat `act` until the storage takes it; what it holds stays in memory meanwhile."""
    wait = _FIRST_WAIT_S
    while True:
        try:
            return await act()
        except StorageError as error:
            _log.error("storage refuses the %s, trying again in %.1f s: %s", what, wait, error)
            await asyncio.sleep(wait)
            wait = min(_LONGEST_WAIT_S, wait * 2)
