"""Processes of the laboratory: each a real one with its own id, made by a copy of a process that has imported
everything already, so that a death costs tenths of a second and not a second."""

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Literal

from limner.lab.harm import Line, Weather, install

Role = Literal["serve", "worker"]

_LOOK_S = 0.01


class Member:
    """One process. `died` is -9 for one that was killed."""

    def __init__(self, name: str, process: ForkServerProcess) -> None:
        self.name = name
        self._process = process

    @property
    def pid(self) -> int:
        """The operating system's id."""
        assert self._process.pid is not None  # noqa: S101 - it was started
        return self._process.pid

    @property
    def died(self) -> int | None:
        """The exit code, None while it lives."""
        return self._process.exitcode

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing where it has ended by itself."""
        if self.died is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def ended(self, patience_s: float) -> bool:
        """Whether it ends within that time."""
        until = time.monotonic() + patience_s
        while self.died is None:
            if time.monotonic() > until:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    async def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        self.signal(signal.SIGKILL)
        await self.ended(30.0)


class Crew:
    """Starts processes that read `environ`; what they say goes to `log`."""

    def __init__(self, environ: Mapping[str, str], cwd: Path, log: Path, weather: Path) -> None:
        self._environ = dict(environ)
        self._cwd, self._log, self._weather = cwd, log, weather
        self._context = context()

    def start(self, name: str, role: Role, line: Line | None = None, **more: str) -> Member:
        """Start one; returns at once. `more` are variables of its own."""
        given = (role, line, _Place(self._environ | more, str(self._cwd), str(self._log), str(self._weather)))
        process = self._context.Process(target=_live, args=given, name=name, daemon=True)
        process.start()
        return Member(name, process)


def context() -> "multiprocessing.context.ForkServerContext":
    """Where processes come from: copies of one that has done nothing but import."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(["limner.lab.warm"])
    return found


def redirect(log: str) -> None:
    """Let this process say to a file what it says."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a process finds itself."""

    environ: dict[str, str]
    cwd: str
    log: str
    weather: str


def _live(role: Role, line: Line | None, place: _Place) -> None:
    from limner.cli import main  # noqa: PLC0415 - in the new process, after its surroundings are set

    redirect(place.log)
    os.chdir(place.cwd)
    os.environ.clear()
    os.environ.update(place.environ)
    install(Weather(Path(place.weather)), line)
    _leave(main, [role])


def _leave(main: Callable[[list[str]], int], arguments: list[str]) -> None:
    sys.exit(main(arguments))
