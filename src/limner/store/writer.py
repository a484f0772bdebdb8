"""The one writer of a SQLite file: group commit in the event loop, fsync in a thread.

All writes that wait at the same moment share one transaction, and all transactions that wait for the disk
share one fsync. A short write takes some 20 microseconds, so it runs in the event loop: in a thread of its
own every statement would change hands with the loop over Python's lock, which costs more than the statement.
What takes long is done in a thread: fsync, checkpoints, writes that say so, and waiting for a lock that
another program has on the file.

A commit that is not on disk yet survives the death of this process, since the kernel has it, but no power
cut; so the fsync after it is what a caller waits for.
"""

import asyncio
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.engine import Connection

from limner.core.errors import StorageError
from limner.store.faults import is_locked, told

T = TypeVar("T")
_log = logging.getLogger(__name__)
_PRAGMAS = (
    "synchronous=NORMAL",  # the fsync after a commit is ours, and so are checkpoints: in SQLite's hands
    "wal_autocheckpoint=0",  # both would stop the event loop
    "busy_timeout=0",
)
_PATIENCE_MS = 5000
"""How long a lock of another program on the file is waited for, in the thread."""
_CHECKPOINT_WRITES = 1500
"""Writes between checkpoints: 15 to 40 MB of log, so that pages that change often are written back once."""
_SOON_S = 0.01
"""How long what may come to disk a little later waits for company."""
_GROUP = 64
"""Writes of one transaction, so that a crowd of them stops the event loop for a few milliseconds only."""
_fsync = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


@dataclass(frozen=True, slots=True)
class _Write:
    act: Callable[[Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    long: bool
    soon: bool


_Results = list[tuple[_Write, Any]]


class _Locked(Exception):
    """Another program has the file, and the event loop does not wait for it."""


class Writer:
    """Writes on a connection of its own to the file at `place`, which is in WAL mode."""

    def __init__(self, connection: Connection, place: str) -> None:
        self._connection = connection
        self._driver: sqlite3.Connection = connection.connection.driver_connection  # type: ignore[assignment]  # SQLite's
        for pragma in _PRAGMAS:
            self._driver.execute(f"PRAGMA {pragma}")
        self._driver.execute("SELECT count(*) FROM sqlite_master").fetchone()  # whoever reads makes the log
        self._place = place
        self._log_file = os.open(f"{place}-wal", os.O_RDWR)
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="limner-writer", daemon=True)
        self._turn = threading.Lock()  # whose the connection is
        self._lists = threading.Lock()  # of what follows
        self._waiting: list[_Write] = []
        self._flushing = False  # somebody is to look at what waits
        self._unsynced: _Results = []
        self._syncing = False  # the thread is to sync
        self._owing = False  # something is to be synced soon
        self._written = 0  # since the last checkpoint
        self._broken: StorageError | None = None
        self._thread.start()

    async def write(self, act: Callable[[Connection], T], *, long: bool, soon: bool) -> T:
        """As `Connections.write`."""
        if self._broken is not None:
            raise self._broken
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._lists:
            self._waiting.append(_Write(act, loop, future, long, soon))
            first, self._flushing = not self._flushing, True
        if first:
            loop.call_soon(self._flush)
        return await future

    def close(self) -> None:
        """Commit and sync what was handed over."""
        while group := self._next():
            self._settle(self._commit(group))
        self._tasks.put(self._sync)
        self._tasks.put(None)
        self._thread.join()
        os.close(self._log_file)
        self._connection.close()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except Exception:  # noqa: BLE001 - without this thread nobody would ever be told anything
                _log.exception("the journal's thread stumbled")

    # -- commit ------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        """In the event loop."""
        group = self._next()
        if self._written >= _CHECKPOINT_WRITES or any(write.long for write in group):
            self._tasks.put(partial(self._flush_aside, group))
            return
        try:
            results = self._commit(group, patient=False)
        except _Locked:
            self._tasks.put(partial(self._flush_aside, group))
            return
        self._settle(results)
        self._flush_rest()

    def _flush_aside(self, group: list[_Write]) -> None:
        """In the thread. Other writes wait meanwhile, and the event loop goes on."""
        if self._written >= _CHECKPOINT_WRITES:
            self._checkpoint()
        self._driver.execute(f"PRAGMA busy_timeout={_PATIENCE_MS}")
        results = self._commit(group)
        self._driver.execute("PRAGMA busy_timeout=0")
        self._settle(results)
        self._flush_rest()

    def _next(self) -> list[_Write]:
        with self._lists:
            group, self._waiting = self._waiting[:_GROUP], self._waiting[_GROUP:]
        return group

    def _flush_rest(self) -> None:
        """Look again for what was handed over meanwhile."""
        with self._lists:
            self._flushing = bool(self._waiting)
            if self._flushing:
                self._waiting[0].loop.call_soon_threadsafe(self._flush)

    def _commit(self, group: list[_Write], *, patient: bool = True) -> _Results:
        """Raises `_Locked` when somebody else has the file and we are not patient."""
        if not group:
            return []
        # Begun and ended on the driver: SQLAlchemy's own way costs more than the statements in between.
        try:
            with self._turn:
                # IMMEDIATE: the lock is taken before anything is read, so no write has to be repeated.
                self._driver.execute("BEGIN IMMEDIATE")
                results = [(write, write.act(self._connection)) for write in group]
                self._driver.execute("COMMIT")
                self._written += len(group)
            return results
        except Exception as error:  # whatever a write raises belongs to its caller
            if self._driver.in_transaction:
                self._driver.execute("ROLLBACK")
            elif not patient and is_locked(error):
                raise _Locked from error
            if len(group) == 1:
                return [(group[0], told(error, self._place))]
        finally:
            self._connection.rollback()  # forgets what SQLAlchemy began by itself; the driver has ended it
        return [pair for write in group for pair in self._commit([write])]

    def _checkpoint(self) -> None:
        """Bring the log into the file; what a reader still needs of it stays for the next time."""
        try:
            with self._turn:
                self._driver.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:  # the log only grows: whoever writes is told what is wrong
            _log.warning("the log of %s could not be brought into it: %s", self._place, error)
        self._written = 0

    # -- sync --------------------------------------------------------------------------------------------

    def _settle(self, results: _Results) -> None:
        """Tell at once who need not wait for the disk, the others when it has what they wrote."""
        ready: _Results = []
        waiting: _Results = []
        for write, result in results:
            at_once = write.soon or isinstance(result, Exception)
            (ready if at_once else waiting).append((write, result))
        _tell(ready)
        with self._lists:
            if waiting:
                self._unsynced += waiting
                self._ask_for_sync()
            elif ready and not self._owing:
                self._owing = True
                loop = ready[0][0].loop
                _call(loop, partial(loop.call_later, _SOON_S, self._pay))

    def _pay(self) -> None:
        with self._lists:
            if self._owing:
                self._ask_for_sync()

    def _ask_for_sync(self) -> None:
        if not self._syncing:
            self._syncing = True
            self._tasks.put(self._sync)

    def _sync(self) -> None:
        """In the thread: everything committed by now."""
        with self._lists:
            results, self._unsynced = self._unsynced, []
            self._syncing = self._owing = False
        try:
            _fsync(self._log_file)
        except OSError as error:
            # What the kernel could not write it forgets: only who reads the file anew knows what is there.
            self._broken = StorageError(
                f"the disk did not take what was written to {self._place}: {error.strerror}; "
                "nothing more is written until Limner is started again on a sound disk"
            )
            _log.critical("%s", self._broken)
            results = [(write, self._broken) for write, _ in results]
        _tell(results)


def _tell(results: _Results) -> None:
    """Hand the results to the event loops that wait for them, one wake-up per loop."""
    by_loop: dict[asyncio.AbstractEventLoop, _Results] = {}
    for pair in results:
        by_loop.setdefault(pair[0].loop, []).append(pair)
    for loop, pairs in by_loop.items():
        _call(loop, partial(_resolve, pairs))


def _call(loop: asyncio.AbstractEventLoop, act: Callable[[], object]) -> None:
    """In the loop: now when we are in it, else as soon as it can."""
    if asyncio._get_running_loop() is loop:  # noqa: SLF001 - documented, public but for its name
        act()
    elif not loop.is_closed():
        loop.call_soon_threadsafe(act)


def _resolve(results: _Results) -> None:
    for write, result in results:
        if write.future.done():
            continue
        if isinstance(result, Exception):
            write.future.set_exception(result)
        else:
            write.future.set_result(result)
