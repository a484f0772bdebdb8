"""How fast the local engine draws: ``python -m benchmarks.engine [--peer]``. Prints a table; asserts nothing.

A fresh engine process for the start figure, then orders over HTTP as a client sends them: 256 px at 1, 4 and
16 orders at once, 512 px one at a time. The peer is the same network in torch (diffusers'
UNet2DConditionModel and AutoencoderTiny, random weights, same calls), on as many threads, in this process
after the engine has left; without torch and diffusers it is left out and the table says so.
"""

import argparse
import asyncio
import importlib.util
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

PROMPT = "a red lighthouse by the sea at sunset"


@dataclass(frozen=True, slots=True)
class Result:
    what: str
    pictures: int
    wall_s: float
    latencies_s: tuple[float, ...]

    def __str__(self) -> str:
        line = sorted(self.latencies_s)
        p50, p95 = statistics.median(line), line[min(len(line) - 1, int(len(line) * 0.95))]
        return f"{self.what:34} {self.pictures / self.wall_s:8.2f} {p50:8.2f} {p95:8.2f}"


@contextmanager
def engine(threads: int | None) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        command = [
            sys.executable,
            "-m",
            "limner.engine",
            "--fd",
            str(listener.fileno()),
            "--exit-with-parent",
        ]
        command += ["--threads", str(threads)] if threads else []
        child = subprocess.Popen(
            command, pass_fds=[listener.fileno()], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            child.kill()
            child.wait()


async def draw(http: httpx.AsyncClient, model: str, seed: int, side: int, steps: int) -> float:
    """One order from sending it to having its picture, in seconds."""
    started = time.perf_counter()
    order = {"id": f"{os.getpid()}-{time.time_ns()}-{seed}", "model": model, "prompt": PROMPT}
    size = {"width": side, "height": side, "steps": steps, "guidance_scale": 4.0, "seeds": [seed]}
    answer = await http.post("/orders", json=order | size)
    status = answer.raise_for_status().json()
    while status["state"] in {"queued", "drawing"}:
        query = {"wait": 30, "after": status["version"]}
        status = (await http.get(f"/orders/{order['id']}", params=query)).json()
    (await http.get(f"/orders/{order['id']}/images/0")).raise_for_status()
    return time.perf_counter() - started


async def load(http: httpx.AsyncClient, model: dict, side: int, at_once: int, count: int) -> Result:
    slots = asyncio.Semaphore(at_once)

    async def one(seed: int) -> float:
        async with slots:
            return await draw(http, model["id"], seed, side, model["default_steps"])

    started = time.perf_counter()
    latencies = await asyncio.gather(*(one(seed) for seed in range(count)))
    what = f"engine, {side} px, {at_once} at once"
    return Result(what, count, time.perf_counter() - started, tuple(latencies))


async def measure(count: int, threads: int | None) -> int:
    started = time.perf_counter()
    with engine(threads) as address:
        async with httpx.AsyncClient(base_url=address, timeout=120) as http:
            (model,) = (await http.get("/models")).json()
            first_s = await draw(http, model["id"], 1, 256, model["default_steps"])
            cold_s = time.perf_counter() - started
            health = (await http.get("/health")).json()
            named = f"{model['name']} {model['version']}, {model['bytes'] / 1e6:.1f} MB"
            print(f"{named}, {health['threads']} threads")
            print(f"process start to first picture {cold_s:.2f} s (of it the order {first_s:.2f} s)")
            print(f"{'':34} {'pics/s':>8} {'p50 s':>8} {'p95 s':>8}")
            for at_once in (1, 4, 16):
                print(await load(http, model, 256, at_once, max(count, at_once)))
            print(await load(http, model, 512, 1, max(4, count // 4)))
            return int(health["threads"])


def peer(count: int, threads: int, steps: int = 10) -> None:
    missing = [name for name in ("torch", "diffusers") if importlib.util.find_spec(name) is None]
    if missing:
        print(f"peer (diffusers on torch): left out, not installed: {', '.join(missing)}")
        return
    import torch

    from training.autoencoder import build
    from training.text import LENGTH, WIDTH
    from training.unet import Denoiser

    torch.set_num_threads(threads)
    unet, vae = Denoiser().eval(), build().eval()

    def one() -> float:
        started = time.perf_counter()
        with torch.inference_mode():
            x, c = torch.randn(2, vae.config.latent_channels, 32, 32), torch.randn(2, LENGTH, WIDTH)
            for t in range(steps):
                out = unet(x, torch.full((2,), float(t)), c)
            vae.decode(out[:1])
        return time.perf_counter() - started

    one()
    latencies = tuple(one() for _ in range(min(count, 5)))
    print(Result("peer: diffusers on torch, 256 px", len(latencies), sum(latencies), latencies))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=32, help="pictures for each line")
    parser.add_argument("--threads", type=int, help="the engine's threads; all cores if left out")
    parser.add_argument("--peer", action="store_true", help="also measure diffusers on torch")
    options = parser.parse_args()
    threads = asyncio.run(measure(options.count, options.threads))
    if options.peer:
        peer(options.count, threads)


if __name__ == "__main__":
    main()
