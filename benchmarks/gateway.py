"""The HTTP door with full journalling and an instant provider: requests per second and CPU per request.

    python -m benchmarks.gateway [--seconds 5] [--concurrency 1,16,64] [--picture-kb 2,1500]

The provider answers at once with a picture, so that what is measured is Limner: the door, validation, the
plan, three commits on disk (synchronous FULL), the picture's file, the answer. CPU is the server process's
own, from the kernel, divided by the requests it answered.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp

PROMPT = {
    "prompt": "a red fox in the snow",
    "model": "instant",
    "size": "512x512",
    "response_format": "b64_json",
}
COLUMNS = ("KiB", "conc", "req/s", "p50 ms", "p99 ms", "CPU ms/req", "peak MB", "ready s")


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
    with (
        tempfile.TemporaryDirectory() as home,
        socket.create_server(("127.0.0.1", 0), backlog=2048) as listener,
    ):
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "benchmarks.instant", home, str(listener.fileno()), str(kilobytes)),
            pass_fds=(listener.fileno(),),
        )
        try:
            await answers(url)
            ready = time.perf_counter() - began
            for concurrency in concurrencies:
                it = await load(f"{url}/v1/images/generations", process.pid, concurrency, seconds)
                figures = (it.rps, it.p50_ms, it.p99_ms, it.cpu_ms, it.peak_mb, ready)
                print(
                    f"{kilobytes:>11}{concurrency:>11}" + "".join(f"{one:>11.2f}" for one in figures),
                    flush=True,
                )
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--concurrency", default="1,16,64")
    parser.add_argument("--picture-kb", default="2,1500")
    given = parser.parse_args()
    print("".join(f"{name:>11}" for name in COLUMNS))
    for kilobytes in map(int, given.picture_kb.split(",")):
        asyncio.run(measure(kilobytes, [int(one) for one in given.concurrency.split(",")], given.seconds))


if __name__ == "__main__":
    main()
