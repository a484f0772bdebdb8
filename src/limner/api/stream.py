"""Server-sent events over a watch. The response itself holds the watch open: an async generator must not
yield from inside one (PEP 789)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from limner.core.errors import LimnerError
from limner.core.events import Message

KEEP_ALIVE_S = 15.0
"""Seconds between comments that tell proxies and clients that the stream lives."""

Emit = Callable[[bytes], Awaitable[None]]
Watch = AbstractAsyncContextManager[AsyncIterator[Message]]


def event(name: str, *data: bytes, number: int | None = None) -> bytes:
    """One event. `data`, in pieces, is JSON without line breaks; `Last-Event-ID` resumes after `number`."""
    identity = b"" if number is None else b"id: %d\n" % number
    return b"".join((identity, b"event: ", name.encode(), b"\ndata: ", *data, b"\n\n"))


class EventStream(Response):
    """Writes a watch as it happens. A client that leaves stops the waiting and nothing else.

    `write` turns each message into events. `fault` is the last event when the watch or `write` fails; what
    fails before the stream begins (an unknown job) is raised, and answered with its own status.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        watch: Watch,
        write: Callable[[Message, Emit], Awaitable[None]],
        fault: Callable[[LimnerError], bytes],
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.status_code = 200
        self.background = None
        self._watch = watch
        self._write = write
        self._fault = fault
        self.init_headers({"cache-control": "no-store", "x-accel-buffering": "no"} | dict(headers or {}))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream until the watch ends or the client leaves."""

        async def emit(data: bytes) -> None:
            await send({"type": "http.response.body", "body": data, "more_body": True})

        async with self._watch as messages, anyio.create_task_group() as tasks:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
            tasks.start_soon(_keep_alive, emit)
            await self._tell(messages, emit)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            tasks.cancel_scope.cancel()

    async def _tell(self, messages: AsyncIterator[Message], emit: Emit) -> None:
        try:
            async for message in messages:
                await self._write(message, emit)
        except LimnerError as error:
            await emit(self._fault(error))


async def _until_gone(receive: Receive, waiting: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    waiting.cancel()


async def _keep_alive(emit: Emit) -> None:
    while True:
        await anyio.sleep(KEEP_ALIVE_S)
        await emit(b": keep-alive\n\n")
