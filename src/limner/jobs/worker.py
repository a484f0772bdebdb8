"""Claims jobs, keeps their leases, runs them side by side, and stops them when it must."""

import asyncio
import contextlib
import logging

from limner.core.errors import StorageError
from limner.jobs.means import Means
from limner.jobs.run import Run
from limner.store.rows import Work

_log = logging.getLogger(__name__)
_POLL_S = 1.0
"""Safety net: claims are woken by whoever queues a job."""
_CLAIM_AT_ONCE = 32
_CLOCK_GRAIN_S = 0.005
"""SQLite's clock ticks in milliseconds: woken a tick too early, a retry would wait for the next poll."""


class Worker:
    """Runs at most `concurrency` jobs at once. `start` inside a task group, `stop` before it ends."""

    def __init__(self, means: Means, *, concurrency: int, lease_s: float) -> None:
        self._means = means
        self._lease_s = lease_s
        self._free = concurrency
        self._wishes: dict[str, asyncio.Event] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._more = False
        """The last claim took all it had room for, so that more jobs may be waiting for a slot."""
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
        if self._free <= 0 or self._tasks is None or self._stopped:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        """A reserved slot was not needed."""
        self._free += 1
        if self._more:
            self._wake.set()

    def take(self, work: Work) -> None:
        """Run a job in a reserved slot."""
        if self._tasks is None:
            raise RuntimeError("the worker was not started")
        if self._stopped:
            return  # it is on disk: whoever opens the home next goes on with it
        wish = asyncio.Event()
        if work.job.cancel_requested:
            wish.set()
        self._wishes[work.job.id] = wish
        task = self._tasks.create_task(self._run(work, wish), name=f"job {work.job.id}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def wake(self) -> None:
        """There may be something to claim."""
        self._wake.set()

    def stop_order(self, job_id: str) -> None:
        """The user wants this job stopped; does nothing when it does not run here."""
        if job_id in self._wishes:
            self._wishes[job_id].set()

    async def _run(self, work: Work, wish: asyncio.Event) -> None:
        run = Run(work, self._means, wish)
        try:
            again = await run.to_end()
            if again is not None:
                asyncio.get_running_loop().call_later(again.after_s + _CLOCK_GRAIN_S, self._wake.set)
        except Exception as error:  # noqa: BLE001 - the outermost edge
            _log.exception("job %s broke", work.job.id)
            await _end(run, work, error)
        finally:
            del self._wishes[work.job.id]
            self.give_back()

    async def _claiming(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._claim()
            except StorageError as error:
                _log.warning("cannot claim jobs: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._wake.wait()

    async def _claim(self) -> None:
        slots = 0
        while slots < _CLAIM_AT_ONCE and self.reserve():
            slots += 1
        if not slots:
            self._more = True
            return
        claimed: list[Work] = []
        try:
            claimed = await self._means.store.claim(slots, self._lease_s)
        finally:
            self._free += slots - len(claimed)
        self._more = len(claimed) == slots
        for work in claimed:
            self.take(work)

    async def _renewing(self) -> None:
        while True:
            await asyncio.sleep(self._lease_s / 3)
            if self._running:
                try:
                    await self._means.store.renew(self._lease_s)
                except StorageError as error:
                    _log.warning("cannot renew leases: %s", error)


async def _end(run: Run, work: Work, error: Exception) -> None:
    try:
        await run.broke(error)
    except Exception:  # noqa: BLE001 - nothing left to try: it is taken up again after a restart
        _log.exception("job %s broke and could not be ended", work.job.id)
