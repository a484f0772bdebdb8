"""The HTTP door with full journalling and an instant provider: requests per second and CPU per request.

    python -m benchmarks.gateway [--seconds 5] [--concurrency 1,16,64] [--picture-kb 2,1500]

The provider answers at once with a picture, so that what is measured is Limner: the door, validation, the
plan, two commits on disk (synchronous FULL), two blobs, the answer. CPU is the server process's own, from
the kernel, divided by the requests it answered. When `litellm` is installed its image route is measured
beside it, against a server of the same picture; it keeps no journal.
"""

import argparse
import asyncio
import os
import signal
import socket
import struct
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp

PROMPT = {"prompt": "a red fox in the snow", "model": "instant", "size": "512x512", "response_format": "b64_json"}


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


# -- the server under test, in a process of its own -----------------------------------------------------


def serve(home: str, fd: int, kilobytes: int) -> None:
    """Limner as `limner serve` runs it, with one provider that answers at once."""
    from limner.app import Limner
    from limner.catalog.model import Model
    from limner.cli.serve import run_server
    from limner.config import load
    from limner.providers.base import Call, Done, Outcome, Provider, Recovery

    picture = png(kilobytes)

    class Instant(Provider):
        name = "instant"
        base_url = "http://127.0.0.1:1/"
        recovery = Recovery.BLIND

        async def submit(self, call: Call) -> Outcome:
            return Done((picture,) * call.request.count)

    model = Model.model_validate(
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
    settings = load(environ={"LIMNER_HOME": home, "LIMNER_LOG_LEVEL": "error", "LIMNER_CONCURRENCY": "256"}).settings
    limner = Limner(settings, providers={"instant": Instant}, models=[model])
    run_server(limner, socket.socket(fileno=fd))


# -- the client ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    rps: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    peak_mb: float


async def load(url: str, pid: int, concurrency: int, seconds: float) -> Figures:
    """Ask for pictures for `seconds` from `concurrency` connections."""
    latencies: list[float] = []
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def one() -> None:
            began = time.perf_counter()
            async with http.post(url, json=PROMPT) as answer:
                body = await answer.read()
                if answer.status != 200:
                    raise SystemExit(f"{answer.status}: {body[:300]!r}")
            latencies.append(time.perf_counter() - began)

        async def client(until: float) -> None:
            while time.perf_counter() < until:
                await one()

        await asyncio.gather(*(one() for _ in range(concurrency)))
        latencies.clear()
        cpu, began = cpu_s(pid), time.perf_counter()
        await asyncio.gather(*(client(began + seconds) for _ in range(concurrency)))
        took, used = time.perf_counter() - began, cpu_s(pid) - cpu
    latencies.sort()
    return Figures(
        rps=len(latencies) / took,
        p50_ms=median(latencies) * 1000,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1000,
        cpu_ms=used / len(latencies) * 1000,
        peak_mb=peak_mb(pid),
    )


def cpu_s(pid: int) -> float:
    """User and system CPU seconds of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mb(pid: int) -> float:
    """Peak resident memory, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


async def answers(url: str) -> None:
    """Wait until the server is there."""
    async with aiohttp.ClientSession() as http:
        for _ in range(300):
            try:
                async with http.get(f"{url}/healthz"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
    raise SystemExit("the server did not start")


async def measure(kilobytes: int, concurrencies: list[int], seconds: float) -> None:
    """One server for one size of picture, all concurrencies."""
    with tempfile.TemporaryDirectory() as home, socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.gateway", "--serve", home,
            "--fd", str(listener.fileno()), "--picture-kb", str(kilobytes), pass_fds=(listener.fileno(),),
        )  # fmt: skip
        try:
            await answers(url)
            ready = time.perf_counter() - began
            for concurrency in concurrencies:
                it = await load(f"{url}/v1/images/generations", process.pid, concurrency, seconds)
                print(
                    f"{kilobytes:>8} {concurrency:>4} {it.rps:>9.0f} {it.p50_ms:>8.2f} {it.p99_ms:>8.2f} "
                    f"{it.cpu_ms:>10.3f} {it.peak_mb:>8.0f} {ready:>8.2f}",
                    flush=True,
                )
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--concurrency", default="1,16,64")
    parser.add_argument("--picture-kb", default="2,1500")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    parser.add_argument("--fd", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.fd, int(given.picture_kb))
        return
    print(f"{'KiB':>8} {'conc':>4} {'req/s':>9} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms/req':>10} {'peak MB':>8} {'ready s':>8}")
    for kilobytes in map(int, given.picture_kb.split(",")):
        asyncio.run(measure(kilobytes, [int(one) for one in given.concurrency.split(",")], given.seconds))


if __name__ == "__main__":
    main()
