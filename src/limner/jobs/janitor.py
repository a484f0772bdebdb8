"""Lets raw answers go once the pictures made of them are safe on disk, and mends pictures that are not.

Nothing is swept while an answer is kept as files that no record names yet.

A small picture's file is not synced when its job ends: its raw answer is, in the journal, and from that the
same file can be made again. Some time later, when the kernel has written the file by itself and syncing it
costs next to nothing, the file is synced and the raw answer forgotten. A file lost to a power cut in between
is made again from the answer.
"""

import asyncio
import logging
import time

from limner.blobs.store import Blobs
from limner.core.errors import LimnerError, Malformed, Unknown
from limner.core.job import Artifact
from limner.imaging.sniff import InvalidImage
from limner.jobs import pictures
from limner.jobs.kept import kept_answer
from limner.store.store import Store

_log = logging.getLogger(__name__)
_EVERY_S = 20.0
_AGE_S = 60.0
_AT_ONCE = 200
_SWEEP_EVERY_S = 6 * 3600.0
_ORPHAN_AGE_S = 24 * 3600.0
"""Far longer than a picture waits between its file and its record."""


class Janitor:
    """One per process that owns a store."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs

    async def work(self) -> None:
        """Tidy after the last owner, then now and then, until cancelled."""
        age_s, sweep_at = 0.0, time.monotonic()
        while True:
            tidied = 0
            try:
                tidied = await self.tidy(age_s)
                if time.monotonic() >= sweep_at and not await self._store.answers_open():
                    sweep_at = time.monotonic() + _SWEEP_EVERY_S
                    await self._blobs.sweep(_ORPHAN_AGE_S, self._store.referenced)
            except LimnerError as error:
                _log.error("raw answers stay for now: %s", error)
            age_s = _AGE_S
            if tidied < _AT_ONCE:
                await asyncio.sleep(_EVERY_S)

    async def tidy(self, age_s: float) -> int:
        """Secure pictures of jobs that ended over `age_s` seconds ago; how many answers were forgotten."""
        settled = await self._store.settled_answers(age_s, _AT_ONCE)
        for attempt_id, made in settled:
            for artifact in made:
                if not await self._blobs.secure(artifact.digest, artifact.size_bytes):
                    await self._mend(attempt_id, artifact)
            await self._blobs.drop(attempt_id)
        if settled:
            await self._store.forget_answers([attempt_id for attempt_id, _ in settled])
        return len(settled)

    async def _mend(self, attempt_id: str, artifact: Artifact) -> None:
        """Make the file again from the raw answer; the recipe holds no time, so the bytes are the same."""
        try:
            kept = await kept_answer(self._store, self._blobs, attempt_id)
            if kept is None:
                _log.error("picture %s is gone from storage, and its answer, too", artifact.id)
                return
            data = kept.done.images[artifact.index]
            picture = await pictures.finish(data, artifact.recipe.request, artifact.recipe)
        except (Malformed, Unknown, InvalidImage, IndexError) as error:
            _log.error("picture %s cannot be made again: %s", artifact.id, error)
            return
        digest = await self._blobs.put(picture.data)
        _log.warning("picture %s mended, same bytes: %s", artifact.id, digest == artifact.digest)
