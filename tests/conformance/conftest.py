"""Every test that takes a `vendor` is run for every provider that draws, found as Limner finds them."""

import asyncio
from functools import cache, lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import pytest

from limner.catalog import load
from limner.core.errors import RateLimited
from limner.jobs import drive
from limner.simulator import pictures
from limner.simulator.faults import CoreKind, VendorKind
from limner.simulator.vendor import Order
from tests.conformance.scene import HASTE, drawing, plays, stand_ins

READ = cache(load._read)
DRAW = lru_cache(64)(pictures.draw)
"""Every scene has a Limner and vendors of its own; catalogs and most pictures are the same for all."""


def pytest_generate_tests(metafunc):
    if "vendor" not in metafunc.fixturenames:
        return
    vendors = sorted(set(drawing()) & set(stand_ins()))
    if "kind" not in metafunc.fixturenames:
        metafunc.parametrize("vendor", vendors)
        return
    kinds = [*get_args(CoreKind), *get_args(VendorKind)]
    pairs = [(vendor, kind) for vendor in vendors for kind in kinds if plays(vendor, kind)]
    metafunc.parametrize(("vendor", "kind"), pairs)


@pytest.fixture(autouse=True)
def _brisk(monkeypatch):
    """Limner waits as long as the stand-ins need, not as long as the vendors: a hundredth."""
    pause, limited = drive._pause, RateLimited.__init__

    async def short(seconds, canceled, *, waking):
        await pause(min(seconds / HASTE, 0.01), canceled, waking=waking)

    def soon(error, message, after_s=1.0):
        limited(error, message, after_s / HASTE)

    monkeypatch.setattr("limner.jobs.drive._pause", short)
    monkeypatch.setattr("limner.jobs.drive._FAULT_WAIT_S", 0.01)
    monkeypatch.setattr("limner.jobs.drive._CANCEL_GRACE_S", 0.2)
    monkeypatch.setattr("limner.jobs.run.wait_s", lambda tries, jitter, asked_s: max(0.01, asked_s))
    monkeypatch.setattr(RateLimited, "__init__", soon)


@pytest.fixture(autouse=True)
def _made_once(monkeypatch):
    monkeypatch.setattr("limner.catalog.load._read", READ)
    monkeypatch.setattr("limner.simulator.pictures.draw", DRAW)


@pytest.fixture
def home(tmp_path):
    """In memory where there is such a place: a journal waits for its disk, and there are many here."""
    memory = Path("/dev/shm")
    if not memory.is_dir():
        yield tmp_path / "home"
        return
    with TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


@pytest.fixture
def held(monkeypatch):
    """An order that meets `slow` stays at the vendor until this is set, however busy the machine is."""
    released = asyncio.Event()

    async def wait(_vendor, _seconds):
        async with asyncio.timeout(60):
            await released.wait()

    monkeypatch.setattr("limner.simulator.play._wait", wait)
    return released


@pytest.fixture
def seen(monkeypatch):
    """The kinds of faults that vendors have played themselves."""
    found = set()
    has = Order.has

    def noted(order, kind):
        if has(order, kind):
            found.add(kind)
            return True
        return False

    monkeypatch.setattr(Order, "has", noted)
    return found
