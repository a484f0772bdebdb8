"""A PostgreSQL server for one run, from Debian's package, gone when the run ends."""

import asyncio
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from limner.core.errors import SetupError

_START_S = 30.0
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",  # processes are killed here, not the machine
    "max_connections": "200",
    "log_min_messages": "fatal",
}


class Cluster:
    """`async with Cluster(names) as cluster:` every name is a role that can be cut off by itself."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._programs = programs()
        self._folder = Path(tempfile.mkdtemp(prefix="limner-lab-pg-"))
        self._server: subprocess.Popen[bytes] | None = None

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self._start)
        for name in self._names:
            await self._ask(f'CREATE ROLE "{name}" LOGIN SUPERUSER')
        await self._ask("CREATE DATABASE limner")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.terminate()
            await asyncio.to_thread(self._server.wait)
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, name: str) -> str:
        """The database as one of the names reaches it."""
        return f"postgresql://{name}@/limner?host={self._folder}"

    @asynccontextmanager
    async def cut(self, name: str) -> AsyncIterator[None]:
        """Within the block that name has no connection and gets none."""
        await self._ask(f'ALTER ROLE "{name}" NOLOGIN')
        ended = f"pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'"
        await self._ask(f"SELECT {ended}")
        try:
            yield
        finally:
            await self._ask(f'ALTER ROLE "{name}" LOGIN')

    async def _ask(self, sql: str) -> None:
        await asyncio.to_thread(self._asked, sql)

    def _asked(self, sql: str) -> None:
        command: list[str | Path] = [self._programs / "psql", "-h", self._folder, "-U", "postgres"]
        subprocess.run([*command, "-qAtc", sql, "postgres"], check=True, capture_output=True)  # noqa: S603 - our own

    def _start(self) -> None:
        if os.geteuid() == 0:  # PostgreSQL refuses to be root
            user = pwd.getpwnam("postgres")
            os.chown(self._folder, user.pw_uid, user.pw_gid)
        data = self._folder / "data"
        made = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        subprocess.run(  # noqa: S603 - our own
            [*_as_another(), self._programs / "initdb", "-D", data, *made], check=True, capture_output=True
        )
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(  # noqa: S603 - our own
                [*_as_another(), self._programs / "postgres", "-D", data, "-k", self._folder, *settings],
                stdout=log,
                stderr=log,
            )
        ready: list[str | Path] = [self._programs / "pg_isready", "-h", self._folder, "-q"]
        for _ in range(int(_START_S * 20)):
            if subprocess.run(ready, check=False).returncode == 0:  # noqa: S603 - our own
                return
            self._server.poll()
            if self._server.returncode is not None:
                break
        raise SetupError(f"PostgreSQL did not start: {(self._folder / 'log').read_text()[-500:]}")


def programs() -> Path:
    """The folder of PostgreSQL's programs. Raises `SetupError` where there are none."""
    # Debian keeps what is not for users off the PATH, one folder per version.
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *map(Path, os.get_exec_path())]
    found = next((place for place in places if (place / "initdb").exists()), None)
    if found is None:
        raise SetupError("PostgreSQL is not installed; on Debian: apt install postgresql")
    return found


def _as_another() -> list[str]:
    """Not as root, and not longer than this process."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=INT"]
