"""The vendors' own clients take the simulator for their vendor, each in an environment of its own."""

import asyncio
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from limner.simulator.app import Simulator
from tools import sdks

SDKS = sdks.find()
PATIENCE_S = 120
AT_ONCE = 4  # most of what they do is waiting
NOWHERE = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Outcome:
    """How a script ended, what it said, and what broke in the simulator meanwhile."""

    code: int
    said: str
    mistakes: list[str]


def environ(home: Path) -> dict[str, str]:
    """No key or address of whoever runs the tests; for all but this machine, a proxy that leads nowhere."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), NOWHERE)
    own = {"no_proxy": "127.0.0.1,127.0.0.2,localhost", "HOME": str(home), "PATH": os.environ["PATH"]}
    return proxies | own


async def run(sdk: sdks.Sdk, url: str, home: Path) -> tuple[int, str]:
    """A script that hangs is aborted, and says where it was."""
    said = home / "said.txt"
    with said.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *(sdk.python, "-X", "faulthandler", sdk.script, url),
            cwd=home,
            env=environ(home),
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


async def outcome(sdk: sdks.Sdk, home: Path, seats: asyncio.Semaphore) -> Outcome:
    async with seats, Simulator(seed=7) as simulator:
        code, said = await run(sdk, simulator.url, home)
    return Outcome(code, said, simulator.mistakes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[sdks.Sdk, Outcome]:
    """Of the scripts that were asked for and can run: several at once, each with a simulator of its own."""
    asked = [item.callspec.params["sdk"] for item in request.session.items if item.path == request.path]
    seats = asyncio.Semaphore(AT_ONCE)
    async with asyncio.TaskGroup() as group:
        tasks = {
            sdk: group.create_task(outcome(sdk, tmp_path_factory.mktemp(sdk.script.stem), seats))
            for sdk in asked
            if sdk.python.exists()
        }
    return {sdk: task.result() for sdk, task in tasks.items()}


@pytest.mark.parametrize("sdk", SDKS, ids=[sdk.script.stem for sdk in SDKS])
def test_a_vendors_own_client_works_with_the_simulator(sdk: sdks.Sdk, outcomes: dict[sdks.Sdk, Outcome]):
    if sdk not in outcomes:
        pytest.skip(f"{' '.join(sdk.pins)} is not installed; make sdks does that")
    found = outcomes[sdk]
    assert (found.code, found.mistakes) == (0, []), found.said
    assert re.search(r"^ok: [1-9]\d* checks\n\Z", found.said, re.MULTILINE), found.said
