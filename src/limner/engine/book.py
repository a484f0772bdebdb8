"""The orders and how they stand: written by the painter's thread, read by the doors, one lock around it.

Nothing is on disk: a finished order is kept for a while, then forgotten; drawing it again costs only time.
"""

import asyncio
import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from limner.engine.problems import Closing, Conflict, Full, NotReady, UnknownOrder
from limner.engine.protocol import Order, State, Status

Draw = Callable[[], bytes]

OPEN: frozenset[State] = frozenset({"queued", "drawing"})


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the book holds."""

    pictures: int = 256
    finished_bytes: int = 256 * 2**20
    finished_s: float = 3600


@dataclass(slots=True)
class _Picture:
    step: int = 0
    fraction: float = 0.0
    seconds: float = 0.0
    png: bytes | None = None
    preview: Draw | None = None


@dataclass(slots=True)
class _Entry:
    order: Order
    arrived: float
    steps: int
    pictures: list[_Picture]
    state: State = "queued"
    version: int = 1
    preview: int = 0
    error: str | None = None
    notes: tuple[str, ...] = ()
    ended_at: float | None = None
    watchers: list[Callable[[], None]] = field(default_factory=list)

    @property
    def missing(self) -> int:
        return sum(p.png is None for p in self.pictures) if self.state in OPEN else 0

    @property
    def kept_bytes(self) -> int:
        return sum(len(p.png) for p in self.pictures if p.png)


class Book:
    """All orders of one engine. Safe to use from any thread."""

    def __init__(
        self, limits: Limits | None = None, device: str = "cpu", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limits = limits or Limits()
        self._device = device
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._lock = threading.Lock()
        self._news = threading.Condition(self._lock)
        self._arrivals: list[str] = []
        self._closed = False
        self._picture_s = 1.0  # running mean

    # For the doors

    def submit(self, order: Order, steps: int) -> tuple[Status, bool]:
        """Take an order of ``steps`` steps a picture; the second value says whether it is new.

        Raises ``Conflict``, ``Full``, ``Closing``.
        """
        with self._lock:
            now = self._clock()
            self._forget(now)
            if known := self._entries.get(order.id):
                if known.order != order:
                    raise Conflict(f"{order.id} is the id of another order; choose a new one")
                return self._status(known), False
            if self._closed:
                raise Closing("the engine is shutting down; order again when it is back")
            self._admit(len(order.seeds))
            entry = _Entry(order, now, steps, [_Picture() for _ in order.seeds])
            self._entries[order.id] = entry
            self._arrivals.append(order.id)
            self._news.notify_all()
            return self._status(entry), True

    def status(self, id_: str) -> Status:
        """How the order stands. Raises ``UnknownOrder``."""
        with self._lock:
            return self._status(self._entry(id_))

    async def watch(self, id_: str, after: int, wait_s: float) -> Status:
        """The status once its version is past ``after`` or it has ended; at the latest after ``wait_s``."""
        changed = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has gone, and its waiter with it
                loop.call_soon_threadsafe(changed.set)

        with self._lock:
            entry = self._entry(id_)
            entry.watchers.append(wake)
        try:
            async with asyncio.timeout(wait_s):
                while entry.version <= after and entry.state in OPEN and not self._closed:
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            pass
        finally:
            with self._lock:
                entry.watchers.remove(wake)
        with self._lock:
            return self._status(entry)

    def image(self, id_: str, index: int) -> bytes:
        """A finished picture. Raises ``UnknownOrder``, ``NotReady``."""
        with self._lock:
            png = self._picture(id_, index).png
        if png is None:
            raise NotReady(f"{id_}: picture {index} is not ready")
        return png

    def preview(self, id_: str, index: int) -> bytes:
        """The newest preview, or the picture once it is finished. Raises ``UnknownOrder``, ``NotReady``."""
        with self._lock:
            picture = self._picture(id_, index)
            png, draw = picture.png, picture.preview
        if png is not None:
            return png
        if draw is None:
            raise NotReady(f"{id_}: no preview of picture {index}")
        return draw()

    def cancel(self, id_: str) -> Status:
        """Stop between two steps; an order that has ended stays as it is. Raises ``UnknownOrder``."""
        with self._lock:
            entry = self._entry(id_)
            if entry.state in OPEN:
                self._end(entry, "canceled")
            return self._status(entry)

    def load(self) -> tuple[int, int]:
        """Pictures not finished of orders waiting, and of orders being drawn."""
        with self._lock:
            waiting = sum(e.missing for e in self._entries.values() if e.state == "queued")
            return waiting, sum(e.missing for e in self._entries.values()) - waiting

    def close(self) -> None:
        """Take no more orders, and answer everyone who waits."""
        with self._lock:
            self._closed = True
            self._news.notify_all()
            for entry in self._entries.values():
                _wake(entry)

    # For the painter

    def arrivals(self, *, wait: bool) -> list[tuple[Order, float]]:
        """Orders that came since the last call, with when.

        With ``wait`` it returns only when there is one or the book is closed.
        """
        with self._news:
            while wait and not self._arrivals and not self._closed:
                self._news.wait()
            ids, self._arrivals = self._arrivals, []
            entries = [self._entries[id_] for id_ in ids if id_ in self._entries]
            return [(entry.order, entry.arrived) for entry in entries if entry.state in OPEN]

    def is_open(self, id_: str) -> bool:
        """Whether the order still wants drawing."""
        with self._lock:
            entry = self._entries.get(id_)
            return entry is not None and entry.state in OPEN

    def begun(self, id_: str, notes: tuple[str, ...]) -> None:
        """The first stroke of an order."""
        with self._change(id_) as entry:
            if entry:
                entry.state, entry.notes = "drawing", notes

    def stepped(
        self, id_: str, index: int, *, step: int, fraction: float, seconds: float, preview: Draw | None
    ) -> None:
        """One step of one picture; ``preview``, if there is a new one, is drawn only when someone asks."""
        with self._change(id_) as entry:
            if entry:
                picture = entry.pictures[index]
                picture.step, picture.fraction = step, fraction
                picture.seconds += seconds
                if preview:
                    picture.preview, entry.preview = preview, entry.version + 1

    def finished(self, id_: str, index: int, png: bytes, seconds: float) -> None:
        """One picture is ready; with the last one the order is done."""
        with self._change(id_) as entry:
            if not entry:
                return
            seconds += entry.pictures[index].seconds
            entry.pictures[index] = _Picture(entry.steps, 1.0, seconds, png)
            self._picture_s += 0.2 * (seconds - self._picture_s)
            if all(p.png for p in entry.pictures):
                self._end(entry, "done")
                self._forget(self._clock())

    def failed(self, id_: str, why: str) -> None:
        """The order cannot be drawn."""
        with self._change(id_) as entry:
            if entry:
                entry.error = why
                self._end(entry, "failed")

    # Under the lock

    @contextlib.contextmanager
    def _change(self, id_: str) -> Iterator[_Entry | None]:
        """An open order, changed as one; nothing when it has been cancelled or forgotten meanwhile."""
        with self._lock:
            entry = self._entries.get(id_)
            if entry is None or entry.state not in OPEN:
                yield None
                return
            yield entry
            if entry.state in OPEN:
                _bump(entry)

    def _end(self, entry: _Entry, state: State) -> None:
        entry.state, entry.ended_at = state, self._clock()
        for picture in entry.pictures:
            picture.preview = None
        _bump(entry)

    def _entry(self, id_: str) -> _Entry:
        self._forget(self._clock())
        if id_ not in self._entries:
            raise UnknownOrder(f"{id_}: no such order, or finished and forgotten; order it again")
        return self._entries[id_]

    def _picture(self, id_: str, index: int) -> _Picture:
        pictures = self._entry(id_).pictures
        if index >= len(pictures):
            raise NotReady(f"{id_}: has {len(pictures)} pictures, counted from 0")
        return pictures[index]

    def _admit(self, pictures: int) -> None:
        missing = sum(entry.missing for entry in self._entries.values())
        excess = missing + pictures - self._limits.pictures
        if excess > 0:
            raise Full(min(60, math.ceil(excess * self._picture_s)))

    def _forget(self, now: float) -> None:
        ended = sorted(
            (entry for entry in self._entries.values() if entry.ended_at is not None),
            key=lambda entry: entry.ended_at or 0,
        )
        kept = sum(entry.kept_bytes for entry in ended)
        for entry in ended:
            old = now - (entry.ended_at or 0) > self._limits.finished_s
            newest = entry is ended[-1]  # whatever its size: someone is about to fetch it
            if not old and (newest or kept <= self._limits.finished_bytes):
                break
            kept -= entry.kept_bytes
            del self._entries[entry.order.id]

    def _status(self, entry: _Entry) -> Status:
        count = len(entry.pictures)
        return Status(
            id=entry.order.id,
            state=entry.state,
            version=entry.version,
            step=sum(p.step for p in entry.pictures),
            steps=entry.steps * count,
            fraction=round(sum(p.fraction for p in entry.pictures) / count, 4),
            images=sum(p.png is not None for p in entry.pictures),
            preview=entry.preview,
            queue_position=self._ahead(entry),
            error=entry.error,
            device=self._device,
            seconds=round(sum(p.seconds for p in entry.pictures), 3),
            notes=entry.notes,
        )

    def _ahead(self, entry: _Entry) -> int:
        if entry.state != "queued":
            return 0
        return sum(e.missing for e in self._entries.values() if e.arrived < entry.arrived)


def _bump(entry: _Entry) -> None:
    entry.version += 1
    _wake(entry)


def _wake(entry: _Entry) -> None:
    for wake in entry.watchers:
        wake()
