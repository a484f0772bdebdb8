"""The head of a request is bounded as its body is: the server alone waits for ever, for lines without end."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 64 << 10
"""Bytes of the address and all headers together. Long cookies behind a proxy need some 16 KiB."""
HEAD_S = 30.0
"""Seconds a client has to send it, from connecting or from its first byte."""


class BoundedHead(HttpToolsProtocol):
    """Hangs up on a head that does not end. One that ended, and is too long, is answered by `Edge`."""

    _came = 0
    """Bytes of a head that has not ended, but for those that came with its first ones."""
    _late: asyncio.TimerHandle | None = None
    """Set while a head is awaited."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its parent
        """Somebody is there."""
        super().connection_made(transport)
        self._await()

    def connection_lost(self, exc: Exception | None) -> None:
        """And has left."""
        self._ended()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._came = 0
        self._await()

    def on_headers_complete(self) -> None:
        """It ended."""
        self._ended()
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Some of it came, or of the body."""
        self._came += len(data)
        super().data_received(data)
        if self._late is not None and self._came > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response(f"The head of the request is longer than {MAX_HEAD:,} bytes.")

    def _await(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_S, self.transport.close)

    def _ended(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
