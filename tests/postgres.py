"""A PostgreSQL server of the tests' own: made when the first test asks for it, gone with this process."""

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

_PATIENCE_S = 30.0
_SETTINGS = {
    "listen_addresses": "",
    "autovacuum": "off",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "shared_buffers": "16MB",
    "deadlock_timeout": "50ms",
    "log_min_messages": "fatal",
}


class Server:
    """One server in a folder of its own, reached over a socket there; anybody on this machine is let in."""

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.folder = Path(tempfile.mkdtemp(prefix="limner-pg-"))
        if os.geteuid() == 0:  # PostgreSQL refuses to be root
            user = pwd.getpwnam("postgres")
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None
        options = ("-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        subprocess.run(
            [*self._as_another(), programs / "initdb", "-D", self.folder / "data", *options],
            check=True,
            capture_output=True,
        )

    def url(self, name: str) -> str:
        """Where Limner finds a database of this server."""
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def start(self) -> None:
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *self._as_another(),
                    *(self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder),
                    *settings,
                ],
                stdout=log,
                stderr=log,
            )
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self.ask("postgres", "SELECT 1")
            except psycopg.OperationalError:
                if time.monotonic() > until or self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
            else:
                return
            time.sleep(0.05)

    def stop(self, how: str = "fast") -> None:
        """As its own program stops it: fast ends the sessions, immediate is a crash."""
        data = self.folder / "data"
        subprocess.run(
            [*self._as_another(), self.programs / "pg_ctl", "stop", "-D", data, "-m", how],
            check=True,
            capture_output=True,
        )
        self._process.wait(_PATIENCE_S)

    def ask(self, name: str, sql: str, *values: object) -> list[tuple]:
        """Straight from the database, past Limner."""
        with closing(psycopg.connect(self.url(name), autocommit=True)) as connection:
            cursor = connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _as_another(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=INT"]


@cache
def server() -> Server:
    """The server all tests share. Skips the test where PostgreSQL is not installed."""
    # Debian keeps what is not for users off the PATH, one folder per version.
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *map(Path, os.get_exec_path())]
    programs = next((place for place in places if (place / "initdb").exists()), None)
    if programs is None:
        pytest.skip("PostgreSQL is not installed (apt install postgresql)")
    made = Server(programs)
    atexit.register(made.end)
    made.start()
    return made


@cache
def _migrated() -> str:
    """A database with the journal's tables, to be copied."""
    from limner.store.migrate import migrate
    from limner.store.postgres import Postgres

    server().ask("postgres", "CREATE DATABASE migrated")
    database = Postgres(server().url("migrated"))
    migrate(database)
    database.close()
    return "migrated"


@contextmanager
def fresh(*, migrated: bool = True):
    """The name of a database of one test's own."""
    name = f"test_{uuid4().hex[:12]}"
    template = _migrated() if migrated else "template1"
    server().ask("postgres", f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    try:
        yield name
    finally:
        server().ask("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
