"""A vendor with OpenAI's images API that answers every order at once with a picture of its own: what the
benchmarks put behind the servers they compare."""

import asyncio
import base64
import itertools
import os
import struct
import sys
import zlib
from collections.abc import Iterator


def png(kilobytes: int, side: int = 512) -> bytes:
    """A valid PNG of about that many kilobytes: a plain picture with a private chunk of noise."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress((b"\0" + bytes(side * 3)) * side, 9)
    padding = os.urandom(max(0, kilobytes * 1024 - len(rows) - 100))
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", rows)
        + chunk(b"liMn", padding)
        + chunk(b"IEND", b"")
    )


def answer(kilobytes: int) -> tuple[bytes, bytes]:
    """The whole HTTP answer, head and body, without 16 characters of the noise: each picture has its own."""
    picture = base64.b64encode(png(kilobytes))
    body = b'{"created":1795132800,"data":[{"b64_json":"' + picture + b'"}]}'
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    gap = len(body) - 160
    return head.encode() + body[:gap], body[gap + 16 :]


class Vendor(asyncio.Protocol):
    """Reads one request after the other; to each it says the two parts with a number between them."""

    def __init__(self, parts: tuple[bytes, bytes], numbers: Iterator[int]) -> None:
        self._parts = parts
        self._numbers = numbers
        self._held = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._held += data
        while (end := self._held.find(b"\r\n\r\n")) >= 0:
            head = self._held[:end].lower()
            length = 0
            for line in head.split(b"\r\n"):
                if line.startswith(b"content-length:"):
                    length = int(line[15:])
            if len(self._held) < end + 4 + length:
                return
            self._held = self._held[end + 4 + length :]
            first, rest = self._parts
            self._transport.writelines((first, b"%016d" % next(self._numbers), rest))


async def serve(kilobytes: int) -> None:
    """Answer at a free port, which is printed."""
    parts, numbers = answer(kilobytes), itertools.count()
    server = await asyncio.get_running_loop().create_server(lambda: Vendor(parts, numbers), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
