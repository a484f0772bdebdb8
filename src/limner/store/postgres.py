"""Connections to PostgreSQL, where several processes work in one database.

Each write is a transaction of its own, READ COMMITTED, in one of a few threads. Whoever writes about a job
changes or locks the job's row first, so that no two decide about it from the same view.

A transaction that was cut off is run again for a moment, also where the connection broke during COMMIT and
it may have happened: the journal's verbs bear that (see `Store`).
"""

import asyncio
import logging
import select
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.pool import QueuePool

from limner.core.errors import SetupError, StorageError
from limner.store.connections import Taken

if TYPE_CHECKING:
    import psycopg  # an extra: SQLAlchemy imports it when there is a database to reach

T = TypeVar("T")
_log = logging.getLogger(__name__)
_WRITERS = 4
_READERS = 4
_WAITS_S = (0.0, 0.05, 0.2, 0.5)
"""Before each repetition of a transaction that was cut off; who must write for certain goes on by himself."""
_SESSION = (
    # A process that was frozen in the middle of a transaction must not keep the job's row from the others.
    "SET idle_in_transaction_session_timeout = '10s'",
    "SET lock_timeout = '10s'",
)
_CONNECT = {"connect_timeout": 5, "keepalives_idle": 30, "tcp_user_timeout": 15_000}
"""A server that vanished without a word is noticed; the address may say otherwise."""

Fault = Literal["taken", "race", "gone", "full", "crowded", "standby", "forbidden", "ill", "other"]


class Postgres:
    """A PostgreSQL database at a `postgresql://` address. Raises `SetupError` when its driver is missing."""

    shared: ClassVar[bool] = True

    def __init__(self, url: str) -> None:
        address = make_url(url)
        self.place = address.set(query={}).render_as_string(hide_password=True)
        self._engine = _engine(address)
        self._views = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="limner-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="limner-reader")

    def start(self) -> None:
        """Nothing to begin: threads start when there is something to write."""

    async def write(self, act: Callable[[Connection], T], *, long: bool = False, soon: bool = False) -> T:
        """Run `act` in a transaction and return its result once that is on disk; see `Connections`. All
        writes run in threads, and each waits for the server's disk."""
        loop = asyncio.get_running_loop()
        writing = loop.run_in_executor(self._writers, self._steadily, self._engine, act)
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])  # who stops hands over all it has taken, its last claim included
            raise

    async def read(self, act: Callable[[Connection], T]) -> T:
        """Run `act` on one view of everything committed so far."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._steadily, self._views, act)

    def begin(self, act: Callable[[Connection], T]) -> T:
        """Run `act` in a transaction of its own, blocking: for migrations and set-up."""
        return self._steadily(self._engine, act)

    def close(self) -> None:
        """Finish what was handed over, then close all connections."""
        self._writers.shutdown()
        self._readers.shutdown()
        self._engine.dispose()

    def _steadily(self, engine: Engine, act: Callable[[Connection], T]) -> T:
        """Run, and run again what was cut off or lost a race. Raises our errors."""
        waits = list(_WAITS_S)
        while True:
            try:
                return _transaction(engine, act)
            except Exception as error:
                fault = _fault(error)
                if fault not in ("gone", "race") or not waits:
                    raise told(error, self.place) from error
                _log.info("the database cut a transaction off, running it again: %s", _said(error))
                time.sleep(waits.pop(0))


def _transaction(engine: Engine, act: Callable[[Connection], T]) -> T:
    with engine.connect() as connection:
        driver: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # psycopg's
        try:
            result = act(connection)
            # On the driver: SQLAlchemy does not know of statements that ran on the driver's cursor.
            driver.commit()
        except BaseException:
            if driver.closed:
                connection.invalidate()
            raise
        return result


def told(error: Exception, place: str) -> Exception:
    """The database's error as one of ours, with the way out; other errors as they are."""
    match _fault(error):
        case "taken":
            return Taken(_said(error))
        case "race":
            return StorageError(f"{place} is too busy with other writes; try again")
        case "gone":
            return StorageError(
                f"{place} cannot be reached: {_said(error)}; check that PostgreSQL runs there and that "
                "LIMNER_DATABASE_URL names it, its user and its password"
            )
        case "full":
            return StorageError(f"the disk of {place} is full: {_said(error)}; free some space there")
        case "crowded":
            return StorageError(
                f"{place} has no connection left; raise its max_connections, or run fewer processes "
                f"(each takes up to {_WRITERS + _READERS})"
            )
        case "standby":
            return StorageError(f"{place} is a read-only standby; let LIMNER_DATABASE_URL name the primary")
        case "ill":
            return StorageError(f"{place} refuses: {_said(error)}; the server's log says more")
        case "forbidden":
            return SetupError(
                f"{place} forbids it: {_said(error)}; let its user own the database, or "
                "GRANT CREATE, USAGE ON SCHEMA public to it"
            )
        case "other":
            return error


def _fault(error: Exception) -> Fault:
    """By PostgreSQL's code; a connection that broke, or was never made, has none."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    match getattr(cause, "sqlstate", ""):
        case "":
            return "other"
        case None:
            lost = type(cause).__name__ in ("OperationalError", "InterfaceError", "ConnectionTimeout")
            return _refusal(str(cause)) if lost else "other"
        case "23505":
            return "taken"
        case "40001" | "40P01" | "55P03":  # serialization failure, deadlock, lock_timeout
            return "race"
        case "53100":
            return "full"
        case "53300":
            return "crowded"
        case "25006":
            return "standby"
        case "42501":
            return "forbidden"
        case "25P03":  # idle_in_transaction_session_timeout: this process was frozen for a while
            return "gone"
        case str(code) if code.startswith(("08", "57P")):  # connection exceptions, operator's intervention
            return "gone"
        case str(code) if code.startswith(("53", "54", "57", "58", "XX")):  # resources, limits, system
            return "ill"
        case _:
            return "other"


def _refusal(said: str) -> Fault:
    """A connection that was refused comes without a code: libpq tells it in words only."""
    full = ("too many clients", "too many connections", "remaining connection slots")
    return "crowded" if any(words in said for words in full) else "gone"


def _said(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    told = getattr(
        getattr(cause, "diag", None), "message_primary", None
    )  # without the statement, which is ours
    return " ".join((told or str(cause)).split())[:300]


def _engine(address: URL) -> Engine:
    try:
        engine = create_engine(
            address.set(drivername="postgresql+psycopg"),
            poolclass=QueuePool,
            pool_size=_WRITERS + _READERS,
            max_overflow=0,
            isolation_level="READ COMMITTED",
            connect_args={name: value for name, value in _CONNECT.items() if name not in address.query},
            hide_parameters=True,
        )
    except ModuleNotFoundError as error:
        raise SetupError(
            f"the driver for PostgreSQL is missing ({error.name}): pip install 'psycopg[binary]', "
            "or Limner with its extra postgres"
        ) from error

    event.listen(engine, "connect", _prepare)
    event.listen(engine, "checkout", _alive)
    return engine


def _prepare(raw: "psycopg.Connection", _record: object) -> None:
    with raw.cursor() as cursor:
        for statement in _SESSION:
            cursor.execute(statement)
    raw.commit()


def _alive(raw: "psycopg.Connection", _record: object, _proxy: object) -> None:
    """An idle session has nothing to say: what can be read there are the server's last words."""
    waiting = select.poll()
    waiting.register(raw.fileno(), select.POLLIN)
    if waiting.poll(0):
        raise InvalidatePoolError
