"""Claims jobs, keeps their leases, runs them side by side, and stops them when it must."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass

from limner.core.errors import StorageError
from limner.core.events import Ended
from limner.jobs.means import Means
from limner.jobs.run import Run
from limner.jobs.slots import Slot, Slots
from limner.store.rows import Standing, Work

_log = logging.getLogger(__name__)
_POLL_S = 1.0
"""Safety net: claims are woken by whoever queues a job."""
_CLAIM_AT_ONCE = 32
_RENEWALS = 3
"""In the time of one lease, so that a single one may fail."""
_CLOCK_SET_S = 5.0
"""Smaller steps are corrections of a clock that runs unevenly."""
_CLOCK_GRAIN_S = 0.005
"""SQLite's clock ticks in milliseconds: woken a tick too early, a retry would wait for the next poll."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A job that runs here."""

    epoch: int
    wish: asyncio.Event
    run: Run
    task: "asyncio.Task[None]"
    slot: Slot


class Worker:
    """Runs as many jobs as there are slots. `start` inside a task group, `stop` before it ends."""

    def __init__(self, means: Means, slots: Slots, *, lease_s: float) -> None:
        self._means = means
        self._lease_s = lease_s
        self._slots = slots
        slots.on_free(self._slot_free)
        self._held: dict[str, _Held] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._more = False
        """More jobs may be waiting: the last claim took all it had room for, or an account has room again."""
        self._looked_at = 0.0
        self._offset = time.time() - time.monotonic()
        """Of the wall clock to the monotonic one: it changes when the wall clock is set."""
        self._tasks: asyncio.TaskGroup | None = None
        self._loops: list[asyncio.Task[None]] = []
        self._stopped = False

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to claim and to renew."""
        self._tasks = tasks
        self._loops = [
            tasks.create_task(self._claiming(), name="claims"),
            tasks.create_task(self._renewing(), name="leases"),
        ]

    async def stop(self) -> None:
        """Stop working: orders stay where they are, leases are handed over, nothing is cancelled."""
        self._stopped = True
        for task in (*self._loops, *self._running):
            task.cancel()
        await asyncio.gather(*self._loops, *self._running, return_exceptions=True)
        with contextlib.suppress(StorageError):  # a lease that cannot be handed over runs out by itself
            await self._means.store.release()

    def reserve(self) -> bool:
        """Take a slot for a job about to be written as ours; give it to `take` or `give_back`."""
        return self._tasks is not None and not self._stopped and self._slots.reserve()

    def give_back(self) -> None:
        """A reserved slot was not needed."""
        self._slots.give_back()

    def take(self, work: Work, since: float) -> None:
        """Run a job in a reserved slot; `since` is a moment on the monotonic clock before it was leased."""
        if self._tasks is None:
            raise RuntimeError("the worker was not started")
        if self._stopped:
            return  # it is on disk: whoever opens the home next goes on with it
        wish = asyncio.Event()
        if work.job.cancel_requested:
            wish.set()
        slot = Slot(self._slots, since + self._lease_s)
        run = Run(work, self._means, wish, slot)
        task = self._tasks.create_task(self._run(work, run, slot), name=f"job {work.job.id}")
        self._held[work.job.id] = _Held(work.epoch, wish, run, task, slot)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def wake(self) -> None:
        """There may be something to claim."""
        self._wake.set()

    def stop_order(self, job_id: str) -> None:
        """The user wants this job stopped; does nothing when it does not run here."""
        if job_id in self._held:
            self._held[job_id].wish.set()

    def held(self) -> frozenset[str]:
        """Ids of the jobs that run here."""
        return frozenset(self._held)

    def heed(self, standing: Mapping[str, Standing]) -> None:
        """Follow what other processes wrote about jobs that run here: stop the orders of those to be
        cancelled, and leave those alone that were taken. What may have been bought is still waited for: a
        late answer beats an unknown one."""
        for job_id, found in standing.items():
            held = self._held.get(job_id)
            if held is None:
                continue
            if found.epoch > held.epoch and not held.run.at_stake:
                _log.warning("lease lost: job %s was claimed by another worker", job_id)
                held.task.cancel()
            elif found.cancel_requested:
                held.wish.set()

    def _slot_free(self) -> None:
        if self._more:
            self._wake.set()

    async def _run(self, work: Work, run: Run, slot: Slot) -> None:
        try:
            again = await run.to_end()
            if again is not None:
                asyncio.get_running_loop().call_later(again.after_s + _CLOCK_GRAIN_S, self._wake.set)
        except Exception as error:  # noqa: BLE001 - the outermost edge
            _log.exception("job %s broke", work.job.id)
            await _end(run, work, error)
        finally:
            if (held := self._held.get(work.job.id)) is not None and held.run is run:
                del self._held[work.job.id]  # else it was claimed here again meanwhile
            self._more = self._more or not run.accounts.isdisjoint(self._means.store.caps)
            slot.close()

    async def _claiming(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._mind_the_clock()
                await self._claim()
                await self._end_overdue()
            except StorageError as error:
                _log.warning("cannot claim jobs: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._wake.wait()

    async def _mind_the_clock(self) -> None:
        """Leases and deadlines follow the clock of a journal that is ours alone, when somebody sets it or the
        machine slept."""
        offset = time.time() - time.monotonic()
        by_s = offset - self._offset
        if abs(by_s) < _CLOCK_SET_S or self._means.store.shared:
            return
        _log.warning("the clock was set by %.0f s: leases and deadlines follow it", by_s)
        await self._means.store.shift(by_s)
        self._offset = offset

    async def _end_overdue(self) -> None:
        """End jobs whose time in line is over; looked for about once a second."""
        now = time.monotonic()
        if now < self._looked_at + _POLL_S:
            return
        self._looked_at = now
        for job, event in await self._means.store.expire(_CLAIM_AT_ONCE, time.time()):
            self._means.hub.publish(job.id, event)
            self._means.hub.publish(job.id, Ended(job))

    async def _claim(self) -> None:
        slots = 0
        while slots < _CLAIM_AT_ONCE and self.reserve():
            slots += 1
        if not slots:
            self._more = True
            return
        claimed: list[Work] = []
        since = time.monotonic()
        try:
            claimed = await self._means.store.claim(slots, self._lease_s, self._held)
        finally:
            self._slots.free += slots - len(claimed)
        self._more = len(claimed) == slots
        for work in claimed:
            self.take(work, since)

    async def _renewing(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / _RENEWALS)
            if self._running:
                try:
                    await self._renew()
                except StorageError as error:
                    _log.warning("cannot renew leases: %s", error)

    async def _renew(self) -> None:
        since = time.monotonic()
        renewed = await self._means.store.renew(self._lease_s, self._held)
        for job_id, held in self._held.items():
            if renewed.get(job_id) == held.epoch:
                held.slot.held_until = since + self._lease_s


async def _end(run: Run, work: Work, error: Exception) -> None:
    try:
        await run.broke(error)
    except Exception:  # noqa: BLE001 - nothing left to try: it is taken up again when its lease has run out
        _log.exception("job %s broke and could not be ended", work.job.id)
