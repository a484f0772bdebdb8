"""What the journal asks of a database, whichever it is."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from sqlalchemy.engine import Connection

T = TypeVar("T")


class Taken(Exception):
    """A row with that key exists already."""


class Connections(Protocol):
    """A database that was not started reads and is set up; a started one writes, too."""

    @property
    def place(self) -> str:
        """Where it is, as people may see it: no password."""

    @property
    def shared(self) -> bool:
        """Several processes may be at work in it; else all leases are its one owner's."""

    def start(self) -> None:
        """Begin to write; call it once the database is known to be sound."""

    async def write(self, act: Callable[[Connection], T], *, long: bool = False, soon: bool = False) -> T:
        """Run `act` in a transaction and return its result once that is on disk.

        `act` may run twice, and must change nothing but the database. Raises what it raises, `Taken` for a
        key that exists, and `StorageError` when the database refuses or cannot be reached: then the write
        may still have happened, so that whoever repeats it must bear its having happened. Once handed over,
        it happens even if the caller is cancelled.

        `long` says that it takes more than a moment. What may come to disk `soon` is returned once it
        survives the death of this process; a power cut in the next hundredth of a second may still undo it.
        """

    async def read(self, act: Callable[[Connection], T]) -> T:
        """Run `act` on one view of everything committed so far."""

    def begin(self, act: Callable[[Connection], T]) -> T:
        """Run `act` in a transaction of its own, blocking: for migrations and set-up."""

    def close(self) -> None:
        """Finish what was handed over, then close all connections."""
