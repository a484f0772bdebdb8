"""A Limner that may die at any write, with a second worker beside its own."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeVar

from sqlalchemy.engine import Connection

from limner.app import Limner
from limner.core.errors import StorageError
from limner.jobs.slots import Slots
from limner.jobs.worker import Worker
from limner.store.connections import Connections
from limner.store.store import Store
from tests.fakes import limner, model, until
from tests.model.world import PRICES, World

T = TypeVar("T")
When = Literal["before", "after"]


class Mortal:
    """A database whose process dies at a write: before it, or after it was committed."""

    shared = False

    def __init__(self, real: Connections) -> None:
        self._real = real
        self.place = real.place
        self.dead = False
        self._left: int | None = None
        self._when: When = "before"

    def die_at(self, nth: int, when: When) -> None:
        """The `nth` write from now, 1 for the next, is the last."""
        self._left, self._when = nth, when

    async def write(self, act: Callable[[Connection], T], **how: bool) -> T:
        """As the real one, while alive."""
        self._alive()
        if self._left is not None:
            self._left -= 1
            self.dead = self._left == 0
        if self.dead and self._when == "before":
            self._alive()
        result = await self._real.write(act, **how)
        self._alive()
        return result

    async def read(self, act: Callable[[Connection], T]) -> T:
        """As the real one, while alive."""
        self._alive()
        return await self._real.read(act)

    def _alive(self) -> None:
        if self.dead:
            raise StorageError("nobody is there any more")


@dataclass
class House:
    """One home, one event loop; between calls the loop stands still, and so does all that runs in it."""

    home: Path
    world: World

    def __post_init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self.clients: set[asyncio.Task[object]] = set()
        self.run(self._open())

    def run(self, act: Awaitable[T]) -> T:
        """Let the loop run until `act` is done; its patience is a bound for a hanging test only."""
        return self._loop.run_until_complete(asyncio.wait_for(act, 30))

    def go_on(self, seconds: float) -> None:
        """Let everything run for a while; of a process that died a new one takes the place."""
        self.run(self._heed(seconds))
        if self.mortal.dead:
            self.crash()

    def crash(self) -> None:
        """The process is gone without a word, and the next one is there."""
        self.mortal.dead = True
        self.restart()

    def restart(self) -> None:
        """Leave in order, and open anew."""
        self.run(self._close())
        self.run(self._open())

    def close(self) -> None:
        """The end of the test."""
        self.run(self._close())
        self._loop.close()

    def leave(self) -> None:
        """Every client that waits goes away."""
        self.run(self._gone())

    def draw(self, act: Awaitable[object]) -> None:
        """A client that waits for its picture."""
        task = self._loop.create_task(_quietly(act))
        self.clients.add(task)
        task.add_done_callback(self.clients.discard)

    def rob(self) -> None:
        """All leases are ended, as if they had run out: whoever is quicker has the jobs."""
        self.run(_quietly(self.app._now.store.take_over()))
        self.second.wake()
        self.app._now.worker.wake()

    async def _open(self) -> None:
        opened = self._loop.create_future()
        self._left = asyncio.Event()
        self._life = self._loop.create_task(self._live(opened))
        await opened

    async def _live(self, opened: "asyncio.Future[None]") -> None:
        models = [model(name, usd) for name, usd in PRICES.items()]
        kinds = self.world.kinds().values()
        house = limner(
            self.home, *kinds, models=models, breaker_failures=1000, public_url="http://127.0.0.1:9"
        )
        async with house as app, asyncio.TaskGroup() as tasks:
            self.app = app
            self.second = self._second_worker(app)
            self.second.start(tasks)
            opened.set_result(None)
            await self._left.wait()
            await self.second.stop()

    def _second_worker(self, app: Limner) -> Worker:
        now = app._now
        self.mortal = Mortal(now.store._database)
        now.store._database = self.mortal
        store = Store(self.mortal, owner="second", rules=now.store._rules)  # type: ignore[arg-type]  # all it uses
        return Worker(replace(now.means, store=store), Slots(4, 1000), lease_s=15.0)

    async def _heed(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self.mortal.dead:
            return
        for worker in (self.second, self.app._now.worker):
            try:
                worker.heed(await self.app._now.store.standing(worker.held()))
            except StorageError:
                return

    async def _close(self) -> None:
        await self._gone()
        self._left.set()
        await self._life

    async def _gone(self) -> None:
        for client in self.clients:
            client.cancel()
        await asyncio.gather(*self.clients, return_exceptions=True)

    def settle(self) -> None:
        """Wait until every job has come to rest."""
        self.run(until(self._rested, 25.0))

    async def _rested(self) -> bool:
        await self._heed(0.0)
        return all(job.resting for job in await self.app.jobs(limit=200))


async def _quietly(act: Awaitable[object]) -> None:
    try:
        await act
    except StorageError:
        return  # its server died
