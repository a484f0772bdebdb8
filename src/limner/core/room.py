"""How many bytes of vendors' answers are held in memory at once. What waits stays with the vendor's sockets:
flow control holds it back there."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

LARGE = 64 * 1024
"""Bytes from which an answer asks for room."""
GUESS = 4 * 1024 * 1024
"""Bytes an answer counts as that does not say how long it is."""
_PATIENCE_S = 2.0
"""An answer that was paid is read after this, room or not: a vendor may hang up on who does not listen."""


class Room:
    """Room for `size` bytes, shared by all orders of a process; first come, first served. What an order needs
    beside its answer, to decode and store it, is about as much again."""

    def __init__(self, size: int = 32 * 1024 * 1024) -> None:
        self._size = self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def seat(self) -> AsyncIterator[None]:
        """What is taken inside, by this task and its children, is given back at the end."""
        seat = _Seat(self)
        token = _SEAT.set(seat)
        try:
            yield
        finally:
            _SEAT.reset(token)
            self._give(seat.taken)

    async def _take(self, size: int) -> bool:
        """False when the wait was too long, or would be in vain."""
        if size > self._size:
            return False
        if size <= self._free and not self._waiting:
            self._free -= size
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._give(size)  # it came at the same moment
            else:
                self._waiting.remove((size, turn))
                self._give(0)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def _give(self, size: int) -> None:
        self._free += size
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, turn = self._waiting.popleft()
            self._free -= wanted
            turn.set_result(None)


class _Seat:
    """What one order holds: its largest answer so far, since each takes the place of the one before."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.taken = 0

    async def take(self, size: int) -> None:
        more = size - self.taken
        if more > 0 and await self.room._take(more):  # noqa: SLF001 - the other half of the same thing
            self.taken = size


_SEAT: ContextVar[_Seat | None] = ContextVar("seat", default=None)


async def make_room(size: int) -> None:
    """Wait until an answer of that many bytes may be read, at most 2 seconds. Does nothing for small ones,
    and outside of a seat."""
    seat = _SEAT.get()
    if seat is not None and size >= LARGE:
        await seat.take(size)
