"""A vendor with OpenAI's images API that answers every order at once with the same picture: what the
benchmarks put behind the servers they compare."""

import asyncio
import base64
import os
import struct
import sys
import zlib


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


def answer(kilobytes: int) -> bytes:
    """The whole HTTP answer, head and body."""
    picture = base64.b64encode(png(kilobytes))
    body = b'{"created":1795132800,"data":[{"b64_json":"' + picture + b'"}]}'
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Vendor(asyncio.Protocol):
    """Reads one request after the other; `whole` is said to each."""

    def __init__(self, whole: bytes) -> None:
        self._whole = whole
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
            self._transport.write(self._whole)


async def serve(kilobytes: int) -> None:
    """Answer at a free port, which is printed."""
    whole = answer(kilobytes)
    server = await asyncio.get_running_loop().create_server(lambda: Vendor(whole), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve(int(sys.argv[1])))
