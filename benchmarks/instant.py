"""The server that `benchmarks.gateway` measures: `limner serve` with a provider that answers at once."""

import os
import socket
import struct
import sys
import zlib

from limner.app import Limner
from limner.catalog.model import Model
from limner.cli.serve import run_server
from limner.config import load
from limner.providers.base import Call, Done, Outcome, Provider, Recovery


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


class Instant(Provider):
    """Sends the same picture for every order."""

    name = "instant"
    base_url = "http://127.0.0.1:1/"
    recovery = Recovery.BLIND
    picture: bytes

    async def submit(self, call: Call) -> Outcome:
        return Done((self.picture,) * call.request.count)


MODEL = Model.model_validate(
    {
        "id": "instant",
        "name": "Instant",
        "description": "Answers at once.",
        "provider": "instant",
        "ref": "instant",
        "tier": "standard",
        "sizes": {"default": (512, 512), "max_side": 1024},
        "max_count": 10,
        "free_style": True,
        "price": {"usd": "0.01", "unit": "image", "source": "made up", "read_on": "2026-01-01"},
    }
)


def main(home: str, descriptor: int, kilobytes: int) -> None:
    Instant.picture = png(kilobytes)
    environ = {"LIMNER_HOME": home, "LIMNER_LOG_LEVEL": "error", "LIMNER_CONCURRENCY": "256"}
    limner = Limner(load(environ=environ).settings, providers={"instant": Instant}, models=[MODEL])
    run_server(limner, socket.socket(fileno=descriptor))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
