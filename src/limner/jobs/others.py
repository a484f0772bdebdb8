"""What other processes on the same journal do to the jobs that run here or are watched here.

The row is the truth and nobody is called: each process looks about once a second, at all its jobs together.
"""

import asyncio
import logging

from limner.core.errors import StorageError
from limner.core.events import Ended
from limner.jobs.hub import Hub
from limner.jobs.worker import Worker
from limner.store.store import Store

_log = logging.getLogger(__name__)
_EVERY_S = 1.0


class Others:
    """One per process that shares its journal. What runs here is told by its run, all else by this."""

    def __init__(self, store: Store, worker: Worker, hub: Hub) -> None:
        self._store = store
        self._worker = worker
        self._hub = hub
        self._seen: dict[str, int] = {}
        """Number of the last event told, by job."""

    async def work(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(_EVERY_S)
            try:
                await self.look()
            except StorageError as error:
                _log.warning("cannot see what other processes do: %s", error)

    async def look(self) -> None:
        """Heed what became of the jobs that run here, and tell of those that are watched here."""
        held = self._worker.held()
        if held:
            self._worker.heed(await self._store.standing(held))
        elsewhere = self._hub.watched() - self._worker.held()
        self._seen = {job_id: self._seen.get(job_id, 0) for job_id in elsewhere}
        if elsewhere:
            await self._tell()

    async def _tell(self) -> None:
        events, ended = await self._store.news(self._seen)
        for event in events:
            self._hub.publish(event.job_id, event)
            self._seen[event.job_id] = event.seq
        for job in ended:
            self._hub.publish(job.id, Ended(job))
