"""JSON with pictures in it, as base64, read from storage piece by piece: a slow client holds a piece in
memory and not the pictures."""

from collections.abc import AsyncIterator, Mapping, Sequence

import pybase64
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from limner.app import Limner
from limner.core.job import Artifact

PIECE = 3 << 16
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
        self._length = sum(len(one) if isinstance(one, bytes) else _length(one.size_bytes) for one in parts)
        self.init_headers({"content-length": str(self._length)} | dict(headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all parts."""
        sent = 0
        async for piece in self._pieces():
            if not sent:
                start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
                await send(start)
            sent += len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": sent < self._length})

    async def _pieces(self) -> AsyncIterator[bytes]:
        """What is small travels with what follows it: it costs as much to send as something large."""
        held: list[bytes] = []
        length = 0
        for part in self._parts:
            for start in (0,) if isinstance(part, bytes) else range(0, part.size_bytes, PIECE):
                held.append(part if isinstance(part, bytes) else await self._encoded(part, start))
                length += len(held[-1])
                if length >= PIECE:
                    yield b"".join(held)
                    held, length = [], 0
        if held:
            yield b"".join(held)

    async def _encoded(self, picture: Artifact, start: int) -> bytes:
        return pybase64.b64encode(await self._limner.part(picture, start, PIECE))


def _length(size: int) -> int:
    """Characters of base64 for `size` bytes."""
    return -(-size // 3) * 4
