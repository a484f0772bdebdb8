"""Run one job: buy what it asks for, then store what was bought, put it back, or end it."""

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass, replace
from typing import Literal

from limner.core.errors import (
    Canceled,
    LimnerError,
    Malformed,
    NoRoute,
    OverBudget,
    StorageError,
    Unknown,
)
from limner.core.job import Confirmation, Job
from limner.core.money import to_micros
from limner.core.quote import Note, Target
from limner.imaging.sniff import InvalidImage
from limner.jobs import ceiling, consent
from limner.jobs.ask import Ask
from limner.jobs.buying import Buying
from limner.jobs.hang import Hung, hang, show
from limner.jobs.holding import Came, Holding, Undecided
from limner.jobs.means import Means
from limner.jobs.orders import price
from limner.jobs.reconcile import MAX_TRIES, may_repeat, wait_s
from limner.jobs.record import failure
from limner.jobs.slots import Slot
from limner.jobs.steady import steadily
from limner.jobs.walk import Bought, Failures
from limner.store.rows import Work
from limner.store.steps import Fenced

_log = logging.getLogger(__name__)
_STARVED_WAIT_S = 5.0
FULL_WAIT_S = 1.0


@dataclass(frozen=True, slots=True)
class Again:
    """The job was put back and may be claimed in `after_s` seconds."""

    after_s: float


class Run:
    """One holding of one job, from claim to end, to being put back, or to losing the lease."""

    def __init__(self, work: Work, means: Means, canceled: asyncio.Event, slot: Slot) -> None:
        self._held = Holding(work, means, canceled, slot)
        self._buying = Buying(self._held)

    @property
    def at_stake(self) -> bool:
        """An order is open that may cost money."""
        return self._held.open is not None and not self._held.open.target.free

    @property
    def accounts(self) -> frozenset[str]:
        """Who was asked for the job so far."""
        return frozenset(one.account for one in self._held.record.tried)

    async def to_end(self) -> Again | None:
        """Run; `Again` when the job was put back. Cancelling the task leaves order and lease as they are."""
        try:
            try:
                return await self._to_end()
            except StorageError as error:
                return await self._starved(error)
            except Came as found:
                return await self._with_what_came(found.job)
        except Fenced as error:
            _log.warning("lease lost: %s", error)
            return None

    async def _starved(self, error: StorageError) -> Again:
        """The disk stays full and the work is free: tell who waits, go on with the job when there is room."""
        record = self._held.record
        said = StorageError(f"{error} (the job is kept, and goes on once there is room)")
        record.tell_unfinished(failure(said))
        event = record.event("retrying", "queued", str(error))
        await steadily(
            lambda: self._held.means.store.again(record.job, self._held.epoch, _STARVED_WAIT_S, [event]),
            "job",
        )
        record.tell(event)
        return Again(_STARVED_WAIT_S)

    async def broke(self, error: Exception) -> None:
        """End a job that a mistake in our code or a provider's has stopped, so that nobody waits in vain."""
        if self._held.record.over:
            return
        if self._held.open is not None:
            await self._held.give_up(
                self._held.open, Unknown(f"it broke here: {type(error).__name__}: {error}")
            )
        await self._without_pictures(
            "failed",
            LimnerError(f"a mistake in Limner or a provider: {type(error).__name__}; the log says more"),
        )

    async def _to_end(self) -> Again | None:
        try:
            result = await self._buying.buy()
        except Canceled:
            return await self._without_pictures("canceled", None)
        except Ask as question:
            return await self._asked(question.confirmation)
        except Undecided as error:
            if error.known_at is not None:
                return await self._put_back(error, max(0.0, error.known_at - time.time()))
            return await self._put_back_or_fail(error, after_s=0.0, limited=False)
        except NoRoute as error:
            # It was accepted, so somebody could serve it then: wait for them if waiting may help.
            if error.passing and self._held.record.job.request.policy.again:
                return await self._put_back_or_fail(error, after_s=0.0, limited=False)
            return await self._failed(error)
        except LimnerError as error:
            if isinstance(error, Fenced | StorageError | Came):
                raise
            return await self._failed(error)
        if isinstance(result, Failures):
            return await self._after(result)
        return await self._with_pictures(result)

    async def _after(self, result: Failures) -> Again | None:
        """Nobody has drawn it."""
        if self._held.canceled.is_set():
            return await self._without_pictures("canceled", None)
        if result.busy:
            return await self._back_in_line(result)
        again = result.repeatable and self._held.record.job.request.policy.again
        if again and (result.free or self._held.record.job.tries < MAX_TRIES):
            return await self._put_back_or_fail(result.error, result.after_s, limited=not result.free)
        dearer = ceiling.after(self._held.means, self._held.record.job, result)
        if dearer is not None and consent.unanswered(self._held.record.tried) is None:
            return await self._asked(dearer)
        return await self._failed(result.error)

    async def _with_pictures(self, bought: Bought) -> Again | None:
        attempt, done = bought.attempt, bought.done
        try:
            images, notes = bought.hung or await self._hang(bought)
        except InvalidImage as error:
            fault = Malformed(f"{attempt.target.name} answered with something that is no picture: {error}")
            await self._held.give_up(attempt, fault)
            if may_repeat(fault, attempt.target) or self._who_may_follow():
                return await self._put_back_or_fail(fault, after_s=0.0, limited=True)
            return await self._failed(fault)
        await self._held.steadily(lambda: show(self._held.means.blobs, images), "pictures")
        cost = price(attempt, done, self._held.means)
        charged, over = ceiling.overcharged(cost, self._held.record.job.ceiling_usd)
        self._held.record.note(replace(attempt, state="settled"), None, charged)
        canceled = self._held.canceled.is_set()
        state: Literal["canceled", "succeeded"] = "canceled" if canceled else "succeeded"
        told = (*attempt.target.notes, *notes, *over)
        self._held.record.end(state, images=images, notes=told, canceled=canceled)
        event = self._held.record.event(state, state)
        job, micros = self._held.record.job, None if cost is None else to_micros(cost)
        await self._held.steadily(
            lambda: self._held.means.store.finish(job, self._held.epoch, attempt, micros, [event]), "end"
        )
        if not self._held.small:
            with contextlib.suppress(StorageError):  # the janitor drops it later
                await self._held.means.blobs.drop(attempt.id)
        self._held.record.tell_end(event)
        return None

    async def _hang(self, bought: Bought) -> Hung:
        """Where the journal holds the raw answer the files can be made again, and the janitor syncs them."""
        held, blobs, synced = self._held, self._held.means.blobs, not self._held.small
        if not bought.done.images:
            raise InvalidImage("it holds none")

        async def save(data: bytes) -> str:
            return await held.steadily(lambda: blobs.put(data, synced=synced), "picture")

        return await hang(held.record.job, bought.attempt.target, bought.done, held.means.version, save)

    async def _with_what_came(self, job: Job) -> Again | None:
        """The pictures of a lost order are the job's."""
        self._held.record.job = job
        canceled = self._held.canceled.is_set()
        state: Literal["canceled", "succeeded"] = "canceled" if canceled else "succeeded"
        note = Note(field="attempts", message="what an earlier order had lost was found later")
        self._held.record.end(state, images=job.images, notes=(*job.receipt.notes, note), canceled=canceled)
        event = self._held.record.event(state, state)
        await self._held.steadily(
            lambda: self._held.means.store.end(self._held.record.job, self._held.epoch, [event]), "end"
        )
        self._held.record.tell_end(event)
        return None

    async def _without_pictures(
        self, state: Literal["canceled", "failed"], error: LimnerError | None
    ) -> Again | None:
        if state == "failed":
            await self._held.look_what_came()
        said = None if error is None else failure(error)
        self._held.record.end(state, error=said, canceled=self._held.canceled.is_set())
        event = self._held.record.event(state, state, None if error is None else str(error))
        await self._held.steadily(
            lambda: self._held.means.store.end(self._held.record.job, self._held.epoch, [event]), "end"
        )
        self._held.record.tell_end(event)
        return None

    async def _asked(self, confirmation: Confirmation) -> Again | None:
        """The job rests until a person decides; those who wait for it are told."""
        await self._held.look_what_came()
        self._held.record.ask(confirmation)
        event = self._held.record.event("asked", "needs_confirmation", confirmation.message)
        await self._held.steadily(
            lambda: self._held.means.store.ask(self._held.record.job, self._held.epoch, [event]), "question"
        )
        self._held.record.tell_end(event)
        return None

    async def _failed(self, error: LimnerError) -> Again | None:
        """Nobody else may be asked: the job ends, unless an order may have been charged for nothing. Then the
        policy says whether it is bought again, or a person is asked."""
        lost, policy = consent.unanswered(self._held.record.tried), self._held.record.job.request.policy
        if self._held.canceled.is_set():
            return await self._without_pictures("canceled", None)
        if lost is None or not consent.asks(lost, policy):
            dearer = ceiling.instead(self._held.means, self._held.record.job, error)
            if dearer is not None:
                return await self._asked(dearer)
            return await self._without_pictures("failed", error)
        if not self._late(0.0) and self._may_pay_again():
            return await self._put_back(error, 0.0)
        return await self._asked(consent.question(lost))

    def _may_pay_again(self) -> bool:
        """Does the policy have money for somebody who can serve now?"""
        if consent.room_usd(self._held.record.tried, self._held.record.job.request.policy) == 0:
            return False
        return any(not one.free for one in self._who_may_follow())

    def _who_may_follow(self) -> tuple[Target, ...]:
        """Those who may be asked after what was tried, without asking anybody."""
        job = self._held.record.job
        try:
            targets = ceiling.targets_for(self._held.means, job)
        except (Ask, NoRoute, OverBudget):
            return ()
        return consent.may_follow(targets, self._held.record.tried, job.request.policy)

    def _late(self, wait: float) -> bool:
        return wait > self._held.deadline.left_s

    async def _put_back_or_fail(self, error: LimnerError, after_s: float, *, limited: bool) -> Again | None:
        """Try again later, unless the deadline or, where tries cost, the number of tries is reached."""
        tries = self._held.record.job.tries
        wait = wait_s(min(tries, MAX_TRIES), random.random(), after_s)  # noqa: S311 - spreads retries, guards nothing
        if self._late(wait) or (limited and tries >= MAX_TRIES):
            if self._held.open is not None:
                lost = Unknown(f"{error}; given up at the deadline")
                error = error if self._held.open.target.free else lost
                await self._held.give_up(self._held.open, lost)
            return await self._failed(error)
        return await self._put_back(error, wait)

    async def _back_in_line(self, full: Failures) -> Again:
        """Nobody who would do has room: wait in line, for the one account or to look again at several. It is
        no try, and nothing has happened that anybody need be told."""
        accounts = {target.account for target, _ in full.said}
        account, wait = (accounts.pop(), 0.0) if len(accounts) == 1 else (None, FULL_WAIT_S)
        await self._held.steadily(
            lambda: self._held.means.store.again(self._held.record.job, self._held.epoch, wait, [], account),
            "job",
        )
        return Again(wait)

    async def _put_back(self, error: LimnerError, wait: float) -> Again:
        """A retry is a row with its time, not a sleep."""
        self._held.record.again()
        event = self._held.record.event("retrying", "queued", f"{error}; again in {wait:.1f} s")
        await self._held.steadily(
            lambda: self._held.means.store.again(
                self._held.record.job,
                self._held.epoch,
                wait,
                [event],
                without_ticket=self._held.without_ticket,
            ),
            "retry",
        )
        self._held.record.tell(event)
        return Again(wait)
