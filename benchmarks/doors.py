"""What each HTTP door costs over the verbs: CPU of one request whose order is done at once.

    python -m benchmarks.doors [--requests 2000]

The app is called as an ASGI server calls it, without a socket: routing, middleware, reading, checking, the
answer. The Limner behind it has drawn already and takes next to nothing, which is measured by itself and
taken off.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from uuid import UUID

from fastapi import FastAPI

from limner.api.app import create_app
from limner.core.job import Job
from limner.core.request import GenerateRequest
from tests.api.fakes import FakeLimner

PROJECT = "7d444840-9dc0-11d1-b245-5ffdce74fad2"


@dataclass(frozen=True)
class Door:
    name: str
    path: str
    body: Mapping[str, object]


DOORS = (
    Door("OpenAI images", "/v1/images/generations", {"prompt": "a red fox", "model": "house"}),
    Door("native jobs", "/v1/jobs", {"prompt": "a red fox", "model": "house"}),
    Door(
        "unified", "/unified/generate", {"prompt": "a red fox", "project_id": PROJECT, "provider": "comfyui"}
    ),
    Door("Hugging Face", "/models/house", {"inputs": "a red fox"}),
    Door("web UI", "/sdapi/v1/txt2img", {"prompt": "a red fox", "width": 64, "height": 64}),
)


class Projects:
    """Every project is the default one."""

    async def slug(self, _project: UUID, _by: str) -> str:
        return "default"


class Ready(FakeLimner):
    """Draws the first order, and answers all that follow with it."""

    def reset(self) -> None:
        super().reset()
        self.job: Job | None = None

    projects = Projects()

    def listings(self) -> list[SimpleNamespace]:
        return [SimpleNamespace(provider="comfyui")]

    async def generate(self, request: GenerateRequest, *, key: str | None = None, by: str = "local") -> Job:
        if self.job is None:
            self.job = await super().generate(request)
        return self.job


async def ask(app: FastAPI, door: Door, body: bytes) -> int:
    """One request; its status."""
    status = 0
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": door.path,
        "raw_path": door.path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"host", b"127.0.0.1"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
        "server": ("127.0.0.1", 8003),
        "client": ("127.0.0.1", 50000),
        "state": {},
    }
    sent = False

    async def receive() -> dict[str, object]:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, object]) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = int(str(message["status"]))

    await app(scope, receive, send)
    return status


async def measure(requests: int) -> None:
    limner = Ready()
    app = create_app(limner)
    order = GenerateRequest(prompt="a red fox", model="house")
    began = time.process_time()
    for _ in range(requests):
        await limner.draw(order)
    verb_ms = (time.process_time() - began) / requests * 1000
    print(f"{'the verb itself':<16}{verb_ms:>8.3f} ms")
    for door in DOORS:
        limner.reset()
        body = json.dumps(door.body).encode()
        for _ in range(50):
            status = await ask(app, door, body)
            if status not in (200, 202):
                raise SystemExit(f"{door.name}: {status}")
        began = time.process_time()
        for _ in range(requests):
            await ask(app, door, body)
        cost_ms = (time.process_time() - began) / requests * 1000 - verb_ms
        print(f"{door.name:<16}{cost_ms:>8.3f} ms over it", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=2000)
    asyncio.run(measure(parser.parse_args().requests))


if __name__ == "__main__":
    main()
