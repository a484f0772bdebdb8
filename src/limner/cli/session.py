"""What the commands share: the settings, the door to Limner, and an end by signal."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeAlias, TypeVar

import anyio

from limner.app import Limner
from limner.cli import words
from limner.cli.logs import configure
from limner.cli.remote import Remote
from limner.config import Loaded, Settings, load
from limner.core.errors import HomeInUse

Door: TypeAlias = Limner | Remote
"""Limner in this process, or the one that serves this home already."""

T = TypeVar("T")
_PATIENCE_S = 60.0
_RETRY_S = 0.2
STOP = (signal.SIGINT, signal.SIGTERM)


def settings(overrides: Mapping[str, object] | None = None, *, debug: bool = False) -> Loaded:
    """Read the settings for a command that answers a person: only errors are logged, and to stderr."""
    loaded = load(overrides=overrides)
    configure("debug" if debug else "error", "console")
    return loaded


@asynccontextmanager
async def entered(chosen: Settings, *, idle: bool = False) -> AsyncIterator[Door]:
    """Limner on this home; where a server owns it, that server. An `idle` one runs no jobs.

    Another command that owns the home is waited for; raises HomeInUse when it takes too long.
    """
    async with AsyncExitStack() as stack:
        yield await _door(stack, chosen, idle=idle)


async def _door(stack: AsyncExitStack, chosen: Settings, *, idle: bool) -> Door:
    until = anyio.current_time() + _PATIENCE_S
    told = False
    while True:
        try:
            return await stack.enter_async_context(Limner(chosen, idle=idle))
        except HomeInUse as owner:
            if owner.url is not None:
                return await stack.enter_async_context(
                    Remote(owner.url, key=next(iter(chosen.callers.values()), None))
                )
            if anyio.current_time() > until:
                raise
            if not told:
                told = True
                words.warn("waiting for another limner to finish with this home")
        await anyio.sleep(_RETRY_S)


def run(work: Callable[[], Awaitable[T]]) -> T:
    """Run one command's work. Ctrl-C or SIGTERM cancels it, its own clean-up included; a second one kills.

    Raises KeyboardInterrupt when it was interrupted.
    """
    return anyio.run(_interruptible, work)


async def _interruptible(work: Callable[[], Awaitable[T]]) -> T:
    scope = anyio.CancelScope()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for number in STOP:
            loop.remove_signal_handler(number)
        scope.cancel()

    for number in STOP:
        loop.add_signal_handler(number, stop)
    try:
        with scope:
            return await work()
    finally:
        for number in STOP:
            loop.remove_signal_handler(number)
    raise KeyboardInterrupt
