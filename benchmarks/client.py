"""A client that costs little beside what it measures: the same request again and again, kept alive."""

import asyncio
import json
import time
from urllib.parse import urlsplit


class Connection(asyncio.Protocol):
    """Sends the request as soon as the answer to the one before is whole, until `until`."""

    def __init__(self, request: bytes, until: float) -> None:
        self.latencies: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._until = until
        self._head = b""
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            head, end, body = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = b""
            self._left = _length(head, body) - len(body)
        if self._left == 0:
            self._answered()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server closed the connection"))

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(self._request)

    def _answered(self) -> None:
        now = time.perf_counter()
        self.latencies.append(now - self._began)
        if now < self._until:
            self._send()
        else:
            self.done.set_result(None)
            self._transport.close()


def _length(head: bytes, body: bytes) -> int:
    """The body's bytes. Raises `SystemExit` for an answer that is none."""
    lines = head.lower().split(b"\r\n")
    if b" 200 " not in lines[0]:
        raise SystemExit(f"{lines[0]!r}: {body[:300]!r}")
    return next(int(line[15:]) for line in lines if line.startswith(b"content-length:"))


async def ask(
    url: str, headers: dict[str, str], body: object, connections: int, seconds: float
) -> list[float]:
    """Post the body for so many seconds; the latencies in seconds."""
    where = urlsplit(url)
    said = json.dumps(body).encode()
    lines = [f"POST {where.path} HTTP/1.1", f"host: {where.netloc}", "content-type: application/json"]
    lines += [f"content-length: {len(said)}", *(f"{name}: {value}" for name, value in headers.items())]
    request = "\r\n".join(lines).encode() + b"\r\n\r\n" + said
    until = time.perf_counter() + seconds
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: Connection(request, until), where.hostname, where.port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(one.done for _, one in made))
    return [latency for _, one in made for latency in one.latencies]
