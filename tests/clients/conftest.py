"""A whole Limner whose vendors are stand-ins, for clients that know nothing of it."""

import asyncio
import os
import re
import signal
import socket
from pathlib import Path

import pytest
import pytest_asyncio
import uvicorn

from limner.api.app import create_app
from limner.app import Limner
from limner.cli.simulate import simulated
from limner.config import Settings
from limner.simulator.app import Simulator

PATIENCE_S = 120
NOWHERE = "http://127.0.0.1:9"
VENDORS = ("openai", "a1111")
"""Who draws: OpenAI, and one who knows variations."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory):
    """The address of a Limner that answers over HTTP."""
    home = tmp_path_factory.mktemp("house")
    async with Simulator(seed=7) as simulator:
        settings = simulated(Settings(home=home), simulator)
        accounts = {name: one for name, one in settings.accounts.items() if name in VENDORS}
        settings = settings.model_copy(update={"accounts": accounts, "disabled_providers": ("local",)})
        limner = Limner(settings)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = uvicorn.Config(create_app(limner), log_config=None, lifespan="off", ws="none")
            server = uvicorn.Server(config)
            server.capture_signals = _no_signals
            async with limner:
                serving = asyncio.create_task(server.serve(sockets=[listener]))
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
                server.should_exit = True
                await serving
        assert simulator.mistakes == []


class _no_signals:  # noqa: N801 - stands in for a method
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return None


async def run(*command: object, home: Path) -> tuple[int, str]:
    """How it ended and what it said, without keys or addresses of whoever runs the tests."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), NOWHERE)
    own = {"no_proxy": "127.0.0.1,localhost", "HOME": str(home), "PATH": os.environ["PATH"]}
    said = home / "said.txt"
    with said.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *map(str, command),
            cwd=home,
            env=proxies | own,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            code = await asyncio.wait_for(process.wait(), PATIENCE_S)
        except TimeoutError:
            process.send_signal(signal.SIGABRT)
            code = await process.wait()
    return code, said.read_text(encoding="utf-8", errors="replace")


def passed(code: int, said: str) -> bool:
    """Ended well, with at least one check."""
    return code == 0 and re.search(r"^ok: [1-9]\d* checks\n\Z", said, re.MULTILINE) is not None
