"""One holding of one job, from claim to end: what its parts share, and what each of them may have to do."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TypeVar

from limner.core.errors import LimnerError, ProviderError
from limner.core.job import Job
from limner.core.quote import Target
from limner.jobs.deadline import Deadline
from limner.jobs.means import Means
from limner.jobs.record import Record, failure
from limner.jobs.slots import Slot
from limner.jobs.steady import steadily
from limner.store.rows import ENDED_AS, OpenAttempt, Work

T = TypeVar("T")
FREE_PATIENCE_S = 10.0


class Came(LimnerError):
    """What an order was given up for has come after all: nothing more is bought for `job`."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"job {job.id} has its pictures")
        self.job = job


class Undecided(LimnerError):
    """What became of the open order cannot be learnt yet: the job is put back, and whoever claims it asks.

    With `known_at`, Unix seconds, it can be learnt then, whatever the deadline: nobody is told sooner that
    money may be gone.
    """

    def __init__(self, message: str, known_at: float | None = None) -> None:
        super().__init__(message)
        self.known_at = known_at


class Holding:
    """The job in a worker's hand. Writes are fenced by `epoch`; `canceled` is set to have it stopped."""

    def __init__(self, work: Work, means: Means, canceled: asyncio.Event, slot: Slot) -> None:
        self.means = means
        self.canceled = canceled
        self.slot = slot
        self.record = Record(work, means.hub)
        self.epoch = work.epoch
        self.deadline = Deadline(work)
        self.open = work.attempt
        self.route = work.route
        self.patience_s: float | None = None
        if self.open is not None:
            self.be_patient(self.open.target)
        self.small = False  # the journal itself holds the raw answer

    @property
    def without_ticket(self) -> OpenAttempt | None:
        """The open order, where nothing is known here to ask for it by."""
        return self.open if self.open is not None and self.open.ticket is None else None

    def be_patient(self, target: Target) -> None:
        """What may have been bought at the target is held as long as it takes; what is free, a while."""
        self.patience_s = FREE_PATIENCE_S if target.free else None

    async def steadily(self, act: Callable[[], Awaitable[T]], what: str) -> T:
        """What may have been bought is held for as long as the process lives; free work only for a while."""
        return await steadily(act, what, self.patience_s)

    async def give_up(self, attempt: OpenAttempt, error: ProviderError) -> None:
        """The order brought no picture; what it may have cost stays counted."""
        billed = "no" if attempt.target.free else error.billed
        said = failure(error)
        await self.steadily(lambda: self.means.store.give_up(attempt, self.epoch, said, billed), "attempt")
        self.record.note(replace(attempt, state=ENDED_AS[billed]), said)
        self.open = None

    async def look_what_came(self) -> None:
        """Raises `Came` where another order was under way while a lost one brought its pictures. Without one
        the job is ended as they come, and whoever holds it is fenced."""
        if not self.record.tried:
            return
        job = await self.steadily(lambda: self.means.store.job(self.record.job.id), "question")
        if job.images:
            raise Came(job)
