import contextlib
import threading
from pathlib import Path

import httpx
import pytest

from limner.engine import onnx_backend, weights
from limner.engine.app import create_app
from limner.engine.backend import Offer
from limner.engine.book import Book, Limits
from limner.engine.onnx_backend import OnnxBackend
from limner.engine.painter import Painter
from limner.engine.protocol import Order
from tests.engine import tiny


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tiny.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def backend(folder) -> OnnxBackend:
    return OnnxBackend(folder, weights.manifest(folder), threads=1)


@pytest.fixture
def offer(folder) -> Offer:
    return onnx_backend.offer(folder, threads=1)


def order(**changes) -> Order:
    fields = {
        "id": "one",
        "model": "tiny",
        "prompt": "a red fox",
        "width": 128,
        "height": 128,
        "steps": 4,
        "guidance_scale": 4.0,
        "seeds": (1,),
    }
    return Order(**fields | changes)


class Gated:
    """A backend that takes a step only when the test lets it."""

    def __init__(self, real, together=1, broken=False):
        self.facts, self.device, self.together = real.facts, real.device, together
        self.rows = []
        self._real = real
        self._broken = broken
        self._steps = threading.Semaphore(0)

    def allow(self, steps):
        self._steps.release(steps)

    def denoise(self, x, t, c):
        self._steps.acquire()
        if self._broken:
            raise RuntimeError("out of paint")
        self.rows.append(len(x))
        return self._real.denoise(x, t, c)

    def __getattr__(self, name):
        return getattr(self._real, name)


class Engine:
    """A painter with its book and doors."""

    def __init__(self, offer: Offer, limits: Limits | None = None, token: str = "") -> None:
        self.book = Book(limits)
        self.painter = Painter([offer], self.book)
        self.app = create_app(self.painter, self.book, threads=1, token=token)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://engine")

    async def post(self, wanted: Order | dict) -> httpx.Response:
        body = wanted.model_dump(mode="json") if isinstance(wanted, Order) else wanted
        return await self.http.post("/orders", json=body)

    async def ended(self, id_: str = "one") -> dict:
        status = {"state": "queued", "version": 0}
        while status["state"] in {"queued", "drawing"}:
            query = {"wait": 5, "after": status["version"]}
            status = (await self.http.get(f"/orders/{id_}", params=query)).json()
        return status


@contextlib.asynccontextmanager
async def running(offer: Offer, **options):
    engine = Engine(offer, **options)
    engine.painter.start()
    try:
        yield engine
    finally:
        await engine.http.aclose()
        engine.painter.stop(wait_s=0)


def gated(offer: Offer, backend, **options) -> tuple[Offer, Gated]:
    gate = Gated(backend, **options)
    return Offer(offer.card, lambda: gate), gate
