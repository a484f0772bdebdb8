"""A vendor's address that can be closed: connections to it are refused then, as by a machine that is down."""

import asyncio
from contextlib import suppress
from typing import Self
from urllib.parse import urlsplit

from limner.lab.house import free_port

_CHUNK = 64 * 1024


class Door:
    """`async with Door(url) as door:` passes on what comes to `door.url` for as long as it is open."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._here = free_port()
        self.url = parts._replace(netloc=f"127.0.0.1:{self._here}").geturl()
        self._server: asyncio.Server | None = None
        self._passing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> None:
        """Let everybody in."""
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self._here)

    async def close(self) -> None:
        """Refuse whoever comes; who is in is thrown out."""
        if self._server is None:
            return
        self._server.close()
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - asyncio runs each connection in a task
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)
        try:
            theirs, there = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.transport.abort()
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_copy(reader, there))
                both.create_task(_copy(theirs, writer))
        except* OSError:
            pass  # one side is gone
        finally:
            await _hang_up(there)
            await _hang_up(writer)


async def _hang_up(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()
    with suppress(OSError):
        await writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with suppress(OSError):
        writer.write_eof()
