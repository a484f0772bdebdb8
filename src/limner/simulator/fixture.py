"""The simulator as a pytest fixture: `pytest_plugins = ["limner.simulator.fixture"]`."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from limner.simulator.app import Simulator


@pytest_asyncio.fixture
async def simulator() -> AsyncIterator[Simulator]:
    """Every installed vendor on a free port, seed 7; fails the test when a vendor's handler raised."""
    async with Simulator(seed=7) as running:
        yield running
    if running.mistakes:
        pytest.fail(f"the simulator made mistakes of its own: {'; '.join(running.mistakes)}")
