"""Keeps the embedded engine running as a child process behind one address.

The parent owns the listening socket and the child inherits it: a restarted engine has the same address,
and a caller that connects in between waits in the socket's queue instead of being refused. The child
leaves when the parent does, because it holds the other end of a pipe.
"""

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections import deque

from limner.core.errors import SetupError

_log = logging.getLogger(__name__)
_RESTARTS = 5
_WITHIN_S = 60.0
_KILLED = (-signal.SIGKILL, -signal.SIGTERM)
_AFTER_A_KILL_S = 0.05
_LEAVE_S = 3.0
_LAST_LINES = 20
_LONGEST_LINE = 1 << 20


class Supervisor:
    """Starts the engine, restarts it when it dies, and says why when it cannot.

    A crash loop (5 deaths of its own within a minute) or an exit that a restart cannot mend (code 2 or 3:
    wrong arguments, broken weights) ends it: the socket closes, so that callers are refused at once. An
    engine that was killed from outside is simply started again.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        self.token = secrets.token_urlsafe(24)
        self.obstacle: str | None = None
        self.pid: int | None = None
        self.restarts = 0
        self._threads = threads
        # The child inherits this process's environment; settings still come from `config` alone.
        self._environ = dict(os.environ)
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._task: asyncio.Task[None] | None = None

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin; returns before the engine is ready, since a connection waits for it."""
        self._task = tasks.create_task(self._run(), name="engine supervisor")

    async def stop(self) -> None:
        """End the engine and release the address."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._socket.close()

    async def _run(self) -> None:
        deaths: deque[float] = deque(maxlen=_RESTARTS)
        while True:
            try:
                code, said = await self._live()
            except OSError as error:
                self._give_up(f"the engine cannot start: {error}")
                return
            self.pid = None
            _log.warning("engine ended with code %d: %s", code, said[-1] if said else "it said nothing")
            if code in _KILLED:
                # Somebody else's doing says nothing about whether the next life works.
                self.restarts += 1
                await asyncio.sleep(_AFTER_A_KILL_S)
                continue
            deaths.append(time.monotonic())
            if code in (2, 3):
                self._give_up(f"the engine cannot start: {said[-1] if said else f'exit code {code}'}")
                return
            if len(deaths) == _RESTARTS and deaths[-1] - deaths[0] < _WITHIN_S:
                self._give_up(f"the engine died {_RESTARTS} times within a minute, last with code {code}")
                return
            self.restarts += 1

    def _give_up(self, reason: str) -> None:
        self.obstacle = reason
        self._socket.close()
        _log.error("engine given up: %s", reason)

    async def _live(self) -> tuple[int, list[str]]:
        """One life of the child: its exit code and the last lines it said."""
        process = await asyncio.create_subprocess_exec(
            *self._command(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            pass_fds=(self._socket.fileno(),),
            env=self._environ | {"LIMNER_ENGINE_TOKEN": self.token},
            start_new_session=True,
            limit=_LONGEST_LINE,
        )
        self.pid = process.pid
        said: deque[str] = deque(maxlen=_LAST_LINES)
        try:
            if process.stderr is None:
                raise SetupError("the engine's standard error could not be opened")
            async for line in process.stderr:
                said.append(line.decode("utf-8", "replace").rstrip())
                _log.debug("engine: %s", said[-1])
            return await process.wait(), list(said)
        finally:
            await _end(process)

    def _command(self) -> list[str]:
        command = [
            sys.executable,
            "-P",  # a `numpy.py` in the folder somebody stands in is none of ours
            "-m",
            "limner.engine",
            "--fd",
            str(self._socket.fileno()),
            "--exit-with-parent",
        ]
        return [*command, "--threads", str(self._threads)] if self._threads else command


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ask the child to leave by closing its pipe, then insist. Safe for one that already left.

    What it still says is read to the end: a pipe left unread would outlive the event loop and complain. A
    timer and no `asyncio.timeout`: in early versions of Python 3.11 that ends badly inside a task that is
    being cancelled.
    """
    insisting = asyncio.get_running_loop().call_later(_LEAVE_S, _kill, process)
    try:
        await process.communicate()
    finally:
        insisting.cancel()


def _kill(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):  # it left meanwhile
        process.kill()
