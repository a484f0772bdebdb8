"""Connections to a SQLite file: one writer, a few readers."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from limner.store.faults import told
from limner.store.writer import Writer

T = TypeVar("T")
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # a row that was committed survives a power cut, and these rows are money
    "foreign_keys=ON",
    "busy_timeout=5000",
)
_READERS = 4


class Database:
    """A SQLite file with one owner; `url` is SQLAlchemy's of it. Closed by `close`."""

    shared: ClassVar[bool] = False

    def __init__(self, url: str) -> None:
        self.url = url
        self.place = url.removeprefix("sqlite:///")
        self._engine = _engine(url)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="limner-reader")
        self._writer: Writer | None = None

    def start(self) -> None:
        """Begin to write; call it once the file is known to be sound."""
        self._writer = Writer(self._engine.connect(), self.place)

    async def write(self, act: Callable[[Connection], T], *, long: bool = False, soon: bool = False) -> T:
        """Run `act` in a transaction and return its result once that is on disk; see `Connections`."""
        if self._writer is None:
            raise RuntimeError(f"{self.place} is not open for writing")
        return await self._writer.write(act, long=long, soon=soon)

    async def read(self, act: Callable[[Connection], T]) -> T:
        """Run `act` on a reader's connection, which sees everything committed so far."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, act)

    def begin(self, act: Callable[[Connection], T]) -> T:
        """Run `act` in a transaction of its own, blocking: for migrations and set-up."""
        try:
            with self._engine.begin() as connection:
                return act(connection)
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise told(error, self.place) from error

    def close(self) -> None:
        """Finish what was handed over, then close all connections."""
        if self._writer is not None:
            self._writer.close()
        self._readers.shutdown()
        self._engine.dispose()

    def _read(self, act: Callable[[Connection], T]) -> T:
        try:
            with self._engine.connect() as connection:
                return act(connection)
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise told(error, self.place) from error


def _engine(url: str) -> Engine:
    engine = create_engine(
        url, poolclass=QueuePool, pool_size=_READERS + 2, connect_args={"check_same_thread": False}
    )

    @event.listens_for(engine, "connect")
    def _prepare(raw: sqlite3.Connection, _record: object) -> None:
        raw.isolation_level = None  # we say BEGIN ourselves, see below
        cursor = raw.cursor()
        for pragma in _PRAGMAS:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if not connection.connection.driver_connection.in_transaction:  # type: ignore[union-attr]  # SQLite's
            connection.exec_driver_sql("BEGIN")

    return engine
