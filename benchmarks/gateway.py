"""The HTTP door with full journalling before a vendor that answers at once: rate, CPU, memory.

    python -m benchmarks.gateway [--seconds 5] [--concurrency 1,16,128] [--picture-kb 2,1500]
                                 [--peer] [--gzip]

The vendor (`benchmarks.upstream`) speaks OpenAI's API and sends a picture of its own at once, so that what is
measured is the server: the door, validation, the plan, three commits of which two are waited for on disk, the
call, the picture's file, the answer. With `--peer` LiteLLM's proxy, which keeps no journal and no picture,
does the same in the same run; it is installed below `build/peer` the first time. With `--gzip` the client
says that it takes packed answers, as OpenAI's SDK does: the peer packs then, Limner does not. CPU is the
server process's own, from the kernel, divided by the requests it answered.
"""

import argparse
import asyncio
import atexit
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import aiohttp
import uvloop

from benchmarks.client import ask

COLUMNS = ("server", "KiB", "conc", "req/s", "p50 ms", "p99 ms", "CPU ms/req", "peak MB", "ready s")
PEER = Path("build/peer")
PEER_NEEDS = "litellm[proxy]"
KEY = "sk-benchmark"


# -- the client ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Figures:
    rps: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    peak_mb: float


async def load(server: "Server", concurrency: int, seconds: float, *, gzip: bool = False) -> Figures:
    """Ask for pictures for `seconds` from `concurrency` connections."""
    headers = {"authorization": f"Bearer {KEY}"} | ({"accept-encoding": "gzip, deflate"} if gzip else {})
    body = {
        "prompt": "a red fox in the snow",
        "model": server.model,
        "size": "512x512",
        "response_format": "b64_json",
    }
    url = f"{server.url}/v1/images/generations"
    await ask(url, headers, body, concurrency, 0.5)
    cpu, began = cpu_s(server.pid), time.perf_counter()
    latencies = await ask(url, headers, body, concurrency, seconds)
    took, used = time.perf_counter() - began, cpu_s(server.pid) - cpu
    latencies.sort()
    return Figures(
        rps=len(latencies) / took,
        p50_ms=median(latencies) * 1000,
        p99_ms=latencies[int(len(latencies) * 0.99)] * 1000,
        cpu_ms=used / len(latencies) * 1000,
        peak_mb=peak_mb(server.pid),
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


async def answers(server: "Server") -> None:
    """Wait until the server is there."""
    async with aiohttp.ClientSession() as http:
        for _ in range(600):
            try:
                async with http.get(f"{server.url}{server.alive}"):
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
    raise SystemExit(f"{server.name} did not start")


# -- the servers -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Server:
    """One that is running."""

    name: str
    url: str
    pid: int
    model: str
    alive: str


@contextmanager
def running(*command: str, cwd: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """A program, until the block ends."""
    program = subprocess.Popen(
        command, cwd=cwd, env=os.environ | environ, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        yield program
    finally:
        program.send_signal(signal.SIGTERM)
        program.wait()


@contextmanager
def vendor(kilobytes: int) -> Iterator[str]:
    """The address of the vendor's API."""
    with running(sys.executable, "-m", "benchmarks.upstream", str(kilobytes), cwd=".") as program:
        yield f"http://127.0.0.1:{int(program.stdout.readline())}/v1"


@contextmanager
def limner(upstream: str) -> Iterator[Server]:
    """`limner serve` in a home of its own."""
    home = folder()
    port = free_port()
    environ = {
        "LIMNER_HOME": home,
        "LIMNER_LOG_LEVEL": "error",
        "LIMNER_PORT": str(port),
        "LIMNER_GRPC_PORT": "0",
        "LIMNER_CONCURRENCY": "256",
        "LIMNER_OPENAI_COMPATIBLE_URL": upstream,
    }
    with running(sys.executable, "-m", "limner", "serve", cwd=home, **environ) as program:
        url = f"http://127.0.0.1:{port}"
        yield Server("limner", url, program.pid, "openai-compatible/instant", "/healthz")


@contextmanager
def litellm(upstream: str) -> Iterator[Server]:
    """LiteLLM's proxy with one worker, as its documentation sets it up for images."""
    if not (PEER / "bin" / "litellm").exists():
        subprocess.run([sys.executable, "-m", "venv", PEER], check=True)
        subprocess.run([PEER / "bin" / "pip", "install", "--quiet", PEER_NEEDS], check=True)
    home = folder()
    parameters = {"model": "openai/instant", "api_base": upstream, "api_key": "none"}
    entry = {
        "model_name": "instant",
        "litellm_params": parameters,
        "model_info": {"mode": "image_generation"},
    }
    config = Path(home) / "config.json"  # JSON is YAML
    config.write_text(
        json.dumps(
            {
                "model_list": [entry],
                "general_settings": {"master_key": KEY},
                "litellm_settings": {"drop_params": True},
            }
        )
    )
    port = free_port()
    command = [str((PEER / "bin" / "litellm").absolute()), "--config", str(config), "--port", str(port)]
    with running(*command, "--host", "127.0.0.1", cwd=home, LITELLM_LOG="ERROR") as program:
        yield Server("litellm", f"http://127.0.0.1:{port}", program.pid, "instant", "/health/liveliness")


def folder() -> str:
    """A folder that is removed when all has been measured: some file systems make files slowly for a minute
    after many others were removed."""
    made = tempfile.mkdtemp(prefix="limner-bench-")
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


async def measure(
    serve: Callable[[str], AbstractContextManager[Server]],
    kilobytes: int,
    concurrencies: list[int],
    seconds: float,
    *,
    gzip: bool,
) -> list[float]:
    """One server for one size of picture, all concurrencies; the requests per second of each."""
    rates = []
    with vendor(kilobytes) as upstream, serve(upstream) as server:
        began = time.perf_counter()
        await answers(server)
        ready = time.perf_counter() - began
        for concurrency in concurrencies:
            it = await load(server, concurrency, seconds, gzip=gzip)
            figures = (it.rps, it.p50_ms, it.p99_ms, it.cpu_ms, it.peak_mb, ready)
            row = "".join(f"{one:>11.2f}" for one in figures)
            print(f"{server.name:>11}{kilobytes:>11}{concurrency:>11}{row}", flush=True)
            rates.append(it.rps)
    return rates


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--concurrency", default="1,16,128")
    parser.add_argument("--picture-kb", default="2,1500")
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--gzip", action="store_true")
    given = parser.parse_args()
    concurrencies = [int(one) for one in given.concurrency.split(",")]
    print("".join(f"{name:>11}" for name in COLUMNS))
    for kilobytes in map(int, given.picture_kb.split(",")):
        ours = uvloop.run(measure(limner, kilobytes, concurrencies, given.seconds, gzip=given.gzip))
        if given.peer:
            theirs = uvloop.run(measure(litellm, kilobytes, concurrencies, given.seconds, gzip=given.gzip))
            ratios = ", ".join(
                f"{a / b:.1f}x at {c}" for a, b, c in zip(ours, theirs, concurrencies, strict=True)
            )
            print(f"requests per second, limner to litellm, {kilobytes} KiB: {ratios}", flush=True)


if __name__ == "__main__":
    main()
