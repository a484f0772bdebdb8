"""What a vendor stands on: clock, chance, pictures, files. One stage for all, a world for each vendor."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from uuid import UUID

from limner.simulator import pictures
from limner.simulator.faults import Fault, Schedule, Script, Sight, marked, unmarked
from limner.simulator.journal import Asked, Bill, Journal, Line, body_shown, carries_key, hide

_LONGEST_SLEEP_S = 1.0
_LONGEST_WORK_S = 0.3
_FILES_BYTES = 512 * 1024 * 1024


class Unreadable(ValueError):
    """A request that is not what the vendor takes; answered with `Vendor.unreadable`."""


@dataclass(frozen=True, slots=True)
class File:
    """Bytes at an address, until `dies_at` (Unix seconds of the simulator's clock; None is for ever)."""

    data: bytes
    mime: str
    dies_at: float | None


class Shelf:
    """Files by id; when they are too many bytes the oldest go."""

    def __init__(self) -> None:
        self._files: dict[str, File] = {}
        self._bytes = 0

    def put(self, id: str, file: File) -> None:  # noqa: A002 - the noun of the admin and the bill
        """Keep a file."""
        self._files[id] = file
        self._bytes += len(file.data)
        while self._bytes > _FILES_BYTES and len(self._files) > 1:
            self._bytes -= len(self._files.pop(next(iter(self._files))).data)

    def get(self, id: str, now: float) -> File | None:  # noqa: A002 - as in put
        """The file, None when there is none or its time is over."""
        file = self._files.get(id)
        return None if file is None or (file.dies_at is not None and now >= file.dies_at) else file

    def clear(self) -> None:
        """Forget them all."""
        self._files.clear()
        self._bytes = 0


class Stage:
    """All that is shared in one simulator."""

    def __init__(self, *, seed: int | None, schedule: Schedule, speed: float) -> None:
        self.seed = Random().getrandbits(32) if seed is None else seed  # noqa: S311 - pictures and faults, no secrets
        self.schedule = schedule
        self.speed = speed
        self.url = ""
        self.twin_url = ""
        self.foreign_url = ""
        self.foreign_asks = 0
        self.journal = Journal()
        self.bill = Bill()
        self.script = Script()
        self.files = Shelf()
        self.foreign_files = Shelf()
        self.mistakes: list[str] = []
        self.keys: tuple[str, ...] = ()
        self.stopped = asyncio.Event()
        self._offset_s = 0.0
        self._chance: dict[str, Random] = {}

    def now(self) -> float:
        """Unix seconds by the simulator's clock."""
        return time.time() + self._offset_s

    @property
    def offset_s(self) -> float:
        """How far the simulator's clock is ahead of the machine's."""
        return self._offset_s

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        self._offset_s += seconds

    def fault(self, sight: Sight) -> Fault | None:
        """What goes wrong with this request: the script decides, then a marker, then chance."""
        found = self.script.take(sight) or marked(sight)
        return found or (
            self.schedule.draw(sight.vendor, self._random(sight.vendor)) if sight.order else None
        )

    def reset(self) -> None:
        """Forget requests, charges, faults, files and the clock's offset; chance begins anew."""
        self.journal.clear()
        self.bill.lines.clear()
        self.script.clear()
        self.mistakes.clear()
        self.files.clear()
        self.foreign_files.clear()
        self.foreign_asks = 0
        self._offset_s = 0.0
        self._chance.clear()

    def _random(self, vendor: str) -> Random:
        """Each vendor has its own chance, so that traffic at one does not change another's."""
        return self._chance.setdefault(vendor, Random(f"{self.seed} {vendor}"))  # noqa: S311 - no secret


class World:
    """What one vendor may use."""

    def __init__(self, stage: Stage, vendor: str) -> None:
        self._stage = stage
        self._vendor = vendor
        self.random = Random(f"{stage.seed} {vendor} world")  # noqa: S311 - repeatable, no secret
        """Seeded; for a vendor's own chance."""

    @property
    def url(self) -> str:
        """The simulator's address without a slash at the end, as in `http://127.0.0.1:8091`."""
        return self._stage.url

    @property
    def home(self) -> str:
        """The vendor's own address without a slash at the end: `{url}/{name}`."""
        return f"{self._stage.url}/{self._vendor}"

    @property
    def twin_url(self) -> str:
        """The same simulator on another port, for vendors that send their clients elsewhere to poll."""
        return self._stage.twin_url

    def now(self) -> float:
        """Unix seconds by the simulator's clock, which tests may advance."""
        return self._stage.now()

    async def sleep(self, seconds: float) -> None:
        """Wait as a vendor would: divided by the simulator's speed, at most 1 s."""
        await asyncio.sleep(min(seconds / self._stage.speed, _LONGEST_SLEEP_S))

    def seconds(self, typical: float) -> float:
        """How long work that typically takes `typical` seconds takes here: by the speed, at most 0.3 s."""
        return min(typical / self._stage.speed, _LONGEST_WORK_S)

    def new_id(self) -> str:
        """A UUID; repeatable by the simulator's seed."""
        return str(UUID(int=self.random.getrandbits(128), version=4))

    async def picture(
        self,
        vendor: str,
        prompt: str,
        width: int,
        height: int,
        *,
        seed: int = 0,
        index: int = 0,
        format: pictures.Format = "png",  # noqa: A002 - the word of every vendor
        source: bytes | None = None,
    ) -> bytes:
        """A picture of exactly that size, the same for the same arguments; `source` is the picture edited.

        Raises `Unreadable` for a size below 1 or above 8192, or when `source` is no picture.
        """
        drawing = pictures.Drawing(vendor, unmarked(prompt), width, height, seed, index, source)
        try:
            return await asyncio.to_thread(pictures.draw, drawing, format)
        except ValueError as error:
            raise Unreadable(str(error)) from error

    def file(self, data: bytes, mime: str, ttl_s: float | None = None, name: str = "picture") -> str:
        """Put bytes at an address of this vendor that needs no key; returns the address.

        Who sends a key there is refused with 403. After `ttl_s` seconds of the simulator's clock, 404.
        """
        id = self.new_id()  # noqa: A001 - as in the address
        dies_at = None if ttl_s is None else self.now() + ttl_s
        self._stage.files.put(id, File(data, mime, dies_at))
        return f"{self.home}/files/{id}/{name}"

    def lookup(self, id: str) -> File | None:  # noqa: A002 - as in the address
        """The file behind an address, None when there is none or its time is over."""
        return self._stage.files.get(id, self.now())

    def mistaken(self, what: str) -> None:
        """Note a mistake of the simulator itself, so that a test can fail for it."""
        self._stage.mistakes.append(what)

    def foreign_url(self, data: bytes, mime: str) -> str:
        """An address on another host that does serve the bytes; a careful client never asks it.

        How often it was asked is `Simulator.foreign_asks`.
        """
        id = self.new_id()  # noqa: A001 - as in the address
        self._stage.foreign_files.put(id, File(data, mime, None))
        return f"{self._stage.foreign_url}/{id}/picture"

    def charge(
        self,
        usd: Decimal | str,
        images: int = 1,
        id: str | None = None,  # noqa: A002 - as in the bill
        name: str = "",
    ) -> Line:
        """Write a line of the bill; an order's own `charge` is the way to do it."""
        line = Line(self.now(), self._vendor, self.new_id() if id is None else id, _price(usd), images, name)
        self._stage.bill.lines.append(line)
        return line

    def note(
        self,
        method: str,
        path: str,
        body: bytes,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Asked:
        """Write a request into the journal, without its keys."""
        keys, said, given = self._stage.keys, query or {}, headers or {}
        asked = Asked(
            at=self.now(),
            vendor=self._vendor,
            method=method,
            path=path,
            headers=hide(given, keys),
            query=hide(said, keys),
            body=body_shown(body, keys),
            carried_key=carries_key(given, said, keys),
        )
        self._stage.journal.add(asked)
        return asked

    def fault(self, path: str, text: str, *, order: bool) -> Fault | None:
        """What goes wrong with a request; counts it as played. Raises `InvalidRequest` for a bad marker."""
        return self._stage.fault(Sight(self._vendor, path, text, order))

    @property
    def stopped(self) -> asyncio.Event:
        """Set when the simulator goes."""
        return self._stage.stopped


def _price(usd: Decimal | str) -> Decimal:
    try:
        price = Decimal(usd)
    except ArithmeticError as error:
        raise ValueError(f"{usd!r} is no amount of dollars") from error
    if not (price.is_finite() and price >= 0):
        raise ValueError(f"{usd!r} is no amount of dollars from 0 up")
    return price
