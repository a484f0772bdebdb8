"""A Limner on an event loop of its own thread, so that any number of loops may ask it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from limner.app import Limner
from limner.core.errors import SetupError

T = TypeVar("T")
_CLOSED = "this AIModelManager was closed; make another one"


class LimnerThread:
    """Started by the first who needs it, once. The thread does not keep the process alive: a program that
    forgets to stop it ends all the same, and the journal takes that as any other end."""

    def __init__(self, build: Callable[[], Limner]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._ready: Future[Limner] | None = None
        self._closed = False
        self._thread: threading.Thread
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event

    @property
    def closed(self) -> bool:
        """Whether it was stopped."""
        return self._closed

    async def started(self) -> Limner:
        """The running Limner. Raises `SetupError`: when it cannot start, after which it may be tried again,
        and once it was stopped."""
        with self._lock:
            if self._closed:
                raise SetupError(_CLOSED)
            if self._ready is None or (self._ready.done() and self._ready.exception() is not None):
                self._ready = Future()
                self._thread = threading.Thread(
                    target=asyncio.run, args=(self._live(self._ready),), name="limner", daemon=True
                )
                self._thread.start()
        return await asyncio.shield(asyncio.wrap_future(self._ready))

    async def ask(self, verb: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What `verb` comes to, run beside the Limner. Who stops waiting cancels `verb`, and no order.

        Raises `SetupError` when it is stopped meanwhile.
        """
        with self._lock:
            if self._closed:
                raise SetupError(_CLOSED)
            asked = asyncio.run_coroutine_threadsafe(verb(), self._loop)
        try:
            return await asyncio.wrap_future(asked)
        except asyncio.CancelledError:
            if self.closed and not _being_cancelled():
                raise SetupError(_CLOSED) from None
            raise

    def stop(self) -> None:
        """End it and wait for that; what it was asked meanwhile ends with `SetupError`."""
        with self._lock:
            running, self._closed = not self._closed and self._ready is not None, True
        if not running or self._ready is None:
            return
        if self._ready.exception() is None:  # else it never ran, which whoever started it was told
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _live(self, ready: Future[Limner]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        try:
            async with self._build() as limner:
                ready.set_result(limner)
                await self._stop.wait()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)


def _being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
