"""For the simulator's tests: the fixture that ships with it, and one vendor of our own to play faults on."""

import aiohttp
import pytest_asyncio

from limner.simulator.app import Simulator
from limner.simulator.fixture import simulator  # noqa: F401 - a fixture for every test in this folder
from tests.simulator.easel import Easel


@pytest_asyncio.fixture
async def sim():
    """A simulator of Easel alone; an exception in it fails the test."""
    async with Simulator(vendors=[Easel]) as running:
        yield running
    assert running.mistakes == []


@pytest_asyncio.fixture
async def http():
    """A client that carries Easel's good key."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer easel-emu"}) as session:
        yield session


@pytest_asyncio.fixture
async def bare():
    """A client without a key."""
    async with aiohttp.ClientSession() as session:
        yield session
