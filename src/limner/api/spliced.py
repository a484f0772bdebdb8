"""JSON with pictures in it, as base64, read from storage piece by piece: a slow client holds a piece in
memory and not the pictures."""

from collections.abc import AsyncIterator, Mapping, Sequence

import pybase64
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from limner.app import Limner
from limner.core.job import Artifact

PIECE = 3 << 17
"""Bytes of a file that are read at once; a multiple of three, so that the base64 of pieces is the whole's."""


class Spliced(Response):
    """`parts` in order: bytes as they are, and pictures as base64. A file that is gone before the first byte
    was sent raises `NotFound`; one that goes later cuts the answer off."""

    media_type = "application/json"

    def __init__(self, limner: Limner, parts: Sequence[bytes | Artifact], headers: Mapping[str, str]) -> None:
        self.status_code = 200
        self.background = None
        self._limner = limner
        self._parts = parts
        length = sum(len(one) if isinstance(one, bytes) else _encoded(one.size_bytes) for one in parts)
        self.init_headers({"content-length": str(length)} | dict(headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all parts."""
        begun = False
        async for piece in self._pieces():
            if not begun:
                begun = True
                start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                await send(start)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pieces(self) -> AsyncIterator[bytes]:
        """Texts travel with the piece that follows them: small ones cost as much to send as large ones."""
        held: list[bytes] = []
        for part in self._parts:
            if isinstance(part, bytes):
                held.append(part)
                continue
            for start in range(0, part.size_bytes, PIECE):
                data = await self._limner.part(part, start, PIECE)
                held.append(pybase64.b64encode(data))
                yield b"".join(held)
                held.clear()
        yield b"".join(held)


def _encoded(size: int) -> int:
    """Characters of base64 for `size` bytes."""
    return -(-size // 3) * 4
