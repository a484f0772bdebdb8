"""What a process of the laboratory can suffer from inside: death at a line of the journal, a clock that
jumps, a disk that is full, vendors that are waited for less long. Only the laboratory's own entry point
installs it."""

import functools
import os
import signal
import sqlite3
import struct
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from mmap import ACCESS_READ, ACCESS_WRITE, mmap
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from limner.blobs.store import Blobs
from limner.core.errors import StorageError
from limner.providers import find as providers
from limner.store.database import Database
from limner.store.store import Store

When = Literal["before", "after"]

LINES: tuple[str, ...] = (
    "enqueue",
    "begin",
    "submit",
    "hold",
    "keep",
    "answered",
    "put",
    "link",
    "finish",
    "give_up",
    "again",
    "ask",
    "end",
    "claim",
)
"""Acts that a death can come before or after: the journal's verbs, those of the pictures' store, and the
order itself (`submit`, after which the vendor has answered and nothing of it is on disk)."""

CALL_S = 8.0
"""The longest that one call to a vendor may take here; vendors' own are 60 to 1,800."""
LAG_S = 2.0

_WEATHER = struct.Struct("dd")


@dataclass(frozen=True, slots=True)
class Line:
    """Where a process kills itself: at the `nth` call of an act."""

    act: str
    when: When
    nth: int


class Weather:
    """What the runner tells all processes while they run, in a file they share: their clocks' offset in
    seconds, and whether the disk is full."""

    def __init__(self, path: Path, *, write: bool = False) -> None:
        if write:
            path.write_bytes(_WEATHER.pack(0.0, 0.0))
        with path.open("r+b" if write else "rb") as file:
            self._map = mmap(file.fileno(), _WEATHER.size, access=ACCESS_WRITE if write else ACCESS_READ)

    @property
    def offset_s(self) -> float:
        """How far the wall clock is off."""
        return float(_WEATHER.unpack_from(self._map)[0])

    @property
    def full(self) -> bool:
        """Nothing can be written."""
        return bool(_WEATHER.unpack_from(self._map)[1])

    def tell(self, *, offset_s: float = 0.0, full: bool = False) -> None:
        """Change it, for everybody at once."""
        _WEATHER.pack_into(self._map, 0, offset_s, float(full))


def install(weather: Weather, line: Line | None) -> None:
    """Expose this process to the weather, and to a death of its own where one is set."""
    _impatient()
    _clock(weather)
    _disk(weather)
    if line is not None:
        _death(line)


def _impatient() -> None:
    for kind in providers.installed().values():
        kind.timeout_s = min(kind.timeout_s, CALL_S)
        kind.lag_s = min(kind.lag_s, LAG_S)


def _clock(weather: Weather) -> None:
    """The wall clock, and SQLite's, which is the same clock of the same machine."""
    time.time = _shifted(time.time, weather)

    @event.listens_for(Engine, "connect")
    def _(raw: object, _record: object) -> None:
        if isinstance(raw, sqlite3.Connection):
            raw.create_function("julianday", 1, lambda _now: time.time() / 86_400 + 2_440_587.5)


def _shifted(real: Callable[[], float], weather: Weather) -> Callable[[], float]:
    return lambda: real() + weather.offset_s


def _disk(weather: Weather) -> None:
    """Full as a disk is: what was written of a transaction is undone, and no picture is written."""
    write = Database.write

    async def written(self: Database, act: Callable[[Connection], Any], **how: bool) -> Any:  # noqa: ANN401 - any result
        return await write(self, functools.partial(_no_room, weather, act), **how)

    Database.write = written  # type: ignore[method-assign]  # the laboratory's own process
    for name in ("put", "keep", "link"):
        setattr(Blobs, name, _roomless(getattr(Blobs, name), weather))


def _no_room(weather: Weather, act: Callable[[Connection], Any], connection: Connection) -> Any:  # noqa: ANN401 - as above
    result = act(connection)
    if weather.full:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error
    return result


def _roomless(real: Callable[..., Awaitable[Any]], weather: Weather) -> Callable[..., Awaitable[Any]]:
    async def act(*args: object, **kwargs: object) -> Any:  # noqa: ANN401 - as the real one
        if weather.full:
            raise StorageError("the disk of the pictures is full; free some space and try again")
        return await real(*args, **kwargs)

    return act


def _death(line: Line) -> None:
    if line.act == "submit":
        owners: list[type] = [one for one in providers.installed().values() if "submit" in vars(one)]
    else:
        owners = [kind for kind in (Store, Blobs) if hasattr(kind, line.act)]
    counting = _Countdown(line)
    for owner in owners:
        setattr(owner, line.act, counting.around(getattr(owner, line.act)))


class _Countdown:
    """Counts calls of an act, and ends the process at one of them."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._left = line.nth

    def around(self, real: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(real)
        async def act(*args: object, **kwargs: object) -> Any:  # noqa: ANN401 - as the real one
            self._left -= 1
            last = self._left == 0
            if last and self._line.when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = await real(*args, **kwargs)
            if last:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return act
