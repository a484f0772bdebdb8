from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from limner.app import Limner
from tests.mcp.house import entered, make, serving

_SDK = Path(__file__).parents[2] / "build" / "mcp-typescript" / "node_modules"
collect_ignore = [] if _SDK.exists() else ["test_typescript.py"]


@pytest.fixture
async def limner(home):
    async with entered(home) as running:
        yield running


@pytest.fixture
def serve(home) -> Iterator[Callable[..., str]]:
    """Start a server; its address."""
    with ExitStack() as stack:

        def start(**settings: object) -> str:
            limner: Limner = make(home, **settings)
            return stack.enter_context(serving(limner))

        yield start
