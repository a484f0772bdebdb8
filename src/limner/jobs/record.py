"""The job in a worker's hand: its value as it changes, its numbered events, its receipt."""

import time
from decimal import Decimal

from limner.core.errors import LimnerError
from limner.core.events import Ended, EventType, JobEvent, Progress
from limner.core.job import Artifact, Attempt, Confirmation, Failure, JobState, cost_usd
from limner.core.quote import Note
from limner.jobs.deadline import Overdue
from limner.jobs.hub import Hub
from limner.providers.base import Pending
from limner.store.rows import OpenAttempt, Work


class Record:
    """Kept in step with the rows by whoever writes them. `over` once the end is on disk."""

    def __init__(self, work: Work, hub: Hub) -> None:
        self.job = work.job
        self.over = False
        self._hub = hub
        self._seq = work.seq
        self._drawing_since: float | None = None

    @property
    def tried(self) -> tuple[Attempt, ...]:
        """The attempts so far, in order."""
        return self.job.receipt.attempts

    def event(self, kind: EventType, state: JobState, message: str | None = None) -> JobEvent:
        """The job's next event, to be stored and then told."""
        self._seq += 1
        return JobEvent(
            job_id=self.job.id, seq=self._seq, type=kind, state=state, at=time.time(), message=message
        )

    def take_back(self, event: JobEvent) -> None:
        """The event was not stored: the next one has its number."""
        self._seq = event.seq - 1

    def tell(self, event: JobEvent) -> None:
        """Tell those who watch about an event that is on disk."""
        self._hub.publish(event.job_id, event)

    def tell_end(self, event: JobEvent) -> None:
        """The last event, and the job as it ended."""
        self.over = True
        self.tell(event)
        self._hub.publish(self.job.id, Ended(self.job))

    def tell_unfinished(self, said: Failure) -> None:
        """Those who wait need not wait longer, though the job is not over."""
        self._hub.publish(self.job.id, Ended(self.job.model_copy(update={"state": "failed", "error": said})))

    def note(self, attempt: OpenAttempt, error: Failure | None = None, price: Decimal | None = None) -> None:
        """Show an attempt in the receipt as it stands now; `price` is what it really cost."""
        shown = attempt.shown(error)
        if price is not None:
            shown = shown.model_copy(update={"price_usd": price})
        others = tuple(one for one in self.tried if one.n != attempt.n)
        receipt = self.job.receipt.model_copy(update={"attempts": (*others, shown)})
        self.job = self.job.model_copy(update={"receipt": receipt})

    def again(self) -> None:
        """One more try was used up."""
        self.job = self.job.model_copy(update={"tries": self.job.tries + 1})

    def end(
        self,
        state: JobState,
        *,
        error: Failure | None = None,
        images: tuple[Artifact, ...] = (),
        notes: tuple[Note, ...] | None = None,
        canceled: bool,
    ) -> None:
        """The job's final value; not yet on disk."""
        now = time.time()
        receipt = self.job.receipt.model_copy(
            update={
                "notes": self.job.receipt.notes if notes is None else notes,
                "seconds": max(0.0, now - self.job.created_at),
                "cost_usd": cost_usd(self.tried),
            }
        )
        self.job = self.job.model_copy(
            update={
                "state": state,
                "error": error,
                "images": images,
                "finished_at": now,
                "receipt": receipt,
                "cancel_requested": self.job.cancel_requested or canceled,
            }
        )

    def ask(self, confirmation: Confirmation) -> None:
        """The job waits for a person; not yet on disk."""
        receipt = self.job.receipt.model_copy(update={"cost_usd": cost_usd(self.tried)})
        self.job = self.job.model_copy(
            update={"state": "needs_confirmation", "confirmation": confirmation, "receipt": receipt}
        )

    def report(self, pending: Pending) -> None:
        """Publish how far the order is, with an estimate of what is left."""
        if pending.fraction is None:
            return
        now = time.monotonic()
        if pending.fraction > 0 and self._drawing_since is None:
            self._drawing_since = now
        eta = None
        if self._drawing_since is not None and now > self._drawing_since and pending.fraction > 0:
            eta = (now - self._drawing_since) * (1 - pending.fraction) / pending.fraction
        progress = Progress(self.job.id, pending.fraction, pending.step, pending.steps, pending.preview, eta)
        self._hub.publish(self.job.id, progress)


def failure(error: LimnerError) -> Failure:
    """An error as the journal and the receipt keep it."""
    if isinstance(error, Overdue):
        return error.said
    details: dict[str, str] = getattr(error, "failures", None) or getattr(error, "reasons", None) or {}
    return Failure(code=error.code, message=str(error), details=details)
