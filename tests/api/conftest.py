import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from limner.api.app import create_app
from tests.api.fakes import FakeLimner

MAX_BODY = 64 << 10


@pytest.fixture(scope="package")
def house() -> tuple[FakeLimner, FastAPI]:
    limner = FakeLimner()
    return limner, create_app(limner, max_body_bytes=MAX_BODY, version="9.9.9")


@pytest.fixture
def limner(house: tuple[FakeLimner, FastAPI]) -> FakeLimner:
    house[0].reset()
    return house[0]


@pytest.fixture
async def http(limner: FakeLimner, house: tuple[FakeLimner, FastAPI]) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(house[1])
    async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client:
        yield client


@pytest.fixture
def server(limner: FakeLimner, house: tuple[FakeLimner, FastAPI]) -> Iterator[str]:
    """The address of a real server over `limner`, on a free loopback port."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    config = uvicorn.Config(house[1], log_config=None, ws="none")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
    thread.start()
    while not running.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    running.should_exit = True
    thread.join()
    listening.close()
