"""Connections to the database: one writer with group commit, a few readers.

All writes that wait at the same moment share one transaction and so one fsync. A write is a function of a
connection; when one of a group fails, the group is rolled back and each runs in a transaction of its own,
so that a write must change nothing but the database.
"""

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from limner.core.errors import SetupError, StorageError
from limner.store.connections import Taken

T = TypeVar("T")
_GROUP = 256
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # a row that was committed survives a power cut, and these rows are money
    "wal_autocheckpoint=8000",  # 32 MB: pages that change often are written back once, not eight times
    "foreign_keys=ON",
    "busy_timeout=5000",
)
_READERS = 4


@dataclass(frozen=True, slots=True)
class _Write:
    act: Callable[[Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"


class Database:
    """A SQLite file with one owner; `url` is SQLAlchemy's of it. Closed by `close`."""

    shared: ClassVar[bool] = False

    def __init__(self, url: str) -> None:
        self.url = url
        self.place = url.removeprefix("sqlite:///")
        self._engine = _engine(url)
        self._writes: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._writer = threading.Thread(target=self._write_all, name="limner-writer", daemon=True)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="limner-reader")

    def start(self) -> None:
        """Begin to write; call it once the file is known to be sound."""
        self._writer.start()

    async def write(self, act: Callable[[Connection], T]) -> T:
        """Run `act` in a transaction and return its result once that is on disk.

        Raises what `act` raises, `Taken` for a key that exists, and `StorageError` when the disk or database
        refuses. Once handed over, the write happens even if the caller is cancelled.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._writes.put(_Write(act, loop, future))
        return await future

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
        if self._writer.is_alive():
            self._writes.put(None)
            self._writer.join()
        self._readers.shutdown()
        self._engine.dispose()

    def _read(self, act: Callable[[Connection], T]) -> T:
        try:
            with self._engine.connect() as connection:
                return act(connection)
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise told(error, self.place) from error

    def _write_all(self) -> None:
        with self._engine.connect() as connection:
            while (first := self._writes.get()) is not None:
                group, closing = self._group(first)
                _settle(self._commit(connection, group))
                if closing:
                    return

    def _group(self, first: _Write) -> tuple[list[_Write], bool]:
        group = [first]
        while len(group) < _GROUP:
            try:
                following = self._writes.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return group, True
            group.append(following)
        return group, False

    def _commit(self, connection: Connection, group: list[_Write]) -> "list[tuple[_Write, Any]]":
        # Begun and ended on the driver: SQLAlchemy's own way costs more than the statements in between.
        driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # SQLite's
        try:
            # IMMEDIATE: the lock is taken before anything is read, so no write has to be repeated.
            driver.execute("BEGIN IMMEDIATE")
            results = [(write, write.act(connection)) for write in group]
            driver.execute("COMMIT")
            return results
        except Exception as error:  # noqa: BLE001 - whatever a write raises belongs to its caller
            if driver.in_transaction:
                driver.execute("ROLLBACK")
            if len(group) == 1:
                return [(group[0], told(error, self.place))]
        finally:
            connection.rollback()  # forgets what SQLAlchemy began by itself; the driver has ended it
        return [pair for write in group for pair in self._commit(connection, [write])]


def _settle(results: "list[tuple[_Write, Any]]") -> None:
    """Hand the results to the event loops that wait for them, one wake-up per loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Write, Any]]] = {}
    for write, result in results:
        by_loop.setdefault(write.loop, []).append((write, result))
    for loop, pairs in by_loop.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, pairs)


def _resolve(pairs: "list[tuple[_Write, Any]]") -> None:
    for write, result in pairs:
        if write.future.done():
            continue
        if isinstance(result, Exception):
            write.future.set_exception(result)
        else:
            write.future.set_result(result)


def told(error: Exception, file: str) -> Exception:
    """The database's error as one of ours, with the way out; other errors as they are."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(cause, sqlite3.Error):
        said = str(cause)
        code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_OK)
        if code in (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY):
            return Taken(said)
        match code & 0xFF:
            case sqlite3.SQLITE_FULL:
                return StorageError(f"the disk that holds {file} is full; free some space and try again")
            case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_IOERR:
                return StorageError(
                    f"{file} cannot be written: {said}; check the folder's permissions and disk"
                )
            case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
                return SetupError(
                    f"{file} is not a sound Limner database: {said}; restore it from a backup, "
                    "or move it away and start again (pictures in the storage folder stay)"
                )
            case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                return StorageError(f"{file} is locked by another program; close it and try again")
            case _:
                return error
    return error


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
