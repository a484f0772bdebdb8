"""Run one job: finish the order that is open, else plan and walk, then store what was bought."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from limner.core.errors import (
    Canceled,
    LimnerError,
    Malformed,
    NoRoute,
    OverBudget,
    ProviderError,
    RateLimited,
    Rejected,
    StorageError,
    TimedOut,
    Unavailable,
    Unknown,
)
from limner.core.job import Confirmation, Job
from limner.core.money import to_micros
from limner.core.quote import Note, Target
from limner.imaging.sniff import InvalidImage, sniff
from limner.jobs import ceiling, consent, late
from limner.jobs.answer import pack, unpack
from limner.jobs.ask import Ask
from limner.jobs.ceiling import Ceiling
from limner.jobs.deadline import Deadline, Overdue
from limner.jobs.drive import Order, drive
from limner.jobs.hang import hang
from limner.jobs.means import Means
from limner.jobs.orders import call_of, price
from limner.jobs.reconcile import MAX_TRIES, listed_by, may_fall_back, may_repeat, next_step, wait_s
from limner.jobs.record import Record, failure
from limner.jobs.slots import Slot
from limner.jobs.steady import steadily
from limner.jobs.walk import Bought, Failures, walk
from limner.providers.base import Call, Done, Provider, Recovery, Ticket
from limner.store.line import Full, overdue
from limner.store.rows import ENDED_AS, OpenAttempt, Work
from limner.store.steps import Fenced

_log = logging.getLogger(__name__)
T = TypeVar("T")
_FREE_PATIENCE_S = 10.0
_STARVED_WAIT_S = 5.0
FULL_WAIT_S = 1.0
SMALL_ANSWER = 64 * 1024
"""Bytes up to which a raw answer is kept in the database."""


@dataclass(frozen=True, slots=True)
class Again:
    """The job was put back and may be claimed in `after_s` seconds."""

    after_s: float


class _Came(LimnerError):
    """What an order was given up for has come after all: nothing more is bought for `job`."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"job {job.id} has its pictures")
        self.job = job


class _Undecided(LimnerError):
    """What became of the open order cannot be learnt yet: the job is put back, and whoever claims it asks.

    With `known_at`, Unix seconds, it can be learnt then, whatever the deadline: nobody is told sooner that
    money may be gone.
    """

    def __init__(self, message: str, known_at: float | None = None) -> None:
        super().__init__(message)
        self.known_at = known_at


class Run:
    """One holding of one job, from claim to end, to being put back, or to losing the lease."""

    def __init__(self, work: Work, means: Means, canceled: asyncio.Event, slot: Slot) -> None:
        self._means = means
        self._canceled = canceled
        self._slot = slot
        self._record = Record(work, means.hub)
        self._epoch = work.epoch
        self._deadline = Deadline(work)
        self._open = work.attempt
        self._route = work.route
        self._patience_s = _FREE_PATIENCE_S if self._open is not None and self._open.target.free else None
        self._small = False
        """The journal itself holds the raw answer."""

    @property
    def at_stake(self) -> bool:
        """An order is open that may cost money."""
        return self._open is not None and not self._open.target.free

    @property
    def accounts(self) -> frozenset[str]:
        """Who was asked for the job so far."""
        return frozenset(one.account for one in self._record.tried)

    async def to_end(self) -> Again | None:
        """Run; `Again` when the job was put back. Cancelling the task leaves order and lease as they are."""
        try:
            try:
                return await self._to_end()
            except StorageError as error:
                return await self._starved(error)
            except _Came as found:
                return await self._with_what_came(found.job)
        except Fenced as error:
            _log.warning("lease lost: %s", error)
            return None

    async def _starved(self, error: StorageError) -> Again:
        """The disk stays full and the work is free: tell who waits, go on with the job when there is room."""
        record = self._record
        said = StorageError(f"{error} (the job is kept, and goes on once there is room)")
        record.tell_unfinished(failure(said))
        event = record.event("retrying", "queued", str(error))
        await steadily(
            lambda: self._means.store.again(record.job, self._epoch, _STARVED_WAIT_S, [event]), "job"
        )
        record.tell(event)
        return Again(_STARVED_WAIT_S)

    async def _steadily(self, act: Callable[[], Awaitable[T]], what: str) -> T:
        """What may have been bought is held for as long as the process lives; free work only for a while."""
        return await steadily(act, what, self._patience_s)

    async def broke(self, error: Exception) -> None:
        """End a job that a mistake in our code or a provider's has stopped, so that nobody waits in vain."""
        if self._record.over:
            return
        if self._open is not None:
            await self._give_up(self._open, Unknown(f"it broke here: {type(error).__name__}: {error}"))
        await self._without_pictures(
            "failed",
            LimnerError(f"a mistake in Limner or a provider: {type(error).__name__}; the log says more"),
        )

    async def _to_end(self) -> Again | None:
        try:
            result = await self._buy()
        except Canceled:
            return await self._without_pictures("canceled", None)
        except Ask as question:
            return await self._asked(question.confirmation)
        except _Undecided as error:
            if error.known_at is not None:
                return await self._put_back(error, max(0.0, error.known_at - time.time()))
            return await self._put_back_or_fail(error, after_s=0.0, limited=False)
        except NoRoute as error:
            # It was accepted, so somebody could serve it then: wait for them if waiting may help.
            if error.passing:
                return await self._put_back_or_fail(error, after_s=0.0, limited=False)
            return await self._failed(error)
        except LimnerError as error:
            if isinstance(error, Fenced | StorageError | _Came):
                raise
            return await self._failed(error)
        if isinstance(result, Failures):
            return await self._after(result)
        return await self._with_pictures(result)

    async def _after(self, result: Failures) -> Again | None:
        """Nobody has drawn it."""
        if self._canceled.is_set():
            return await self._without_pictures("canceled", None)
        if result.busy:
            return await self._back_in_line(result)
        if result.repeatable and (result.free or self._record.job.tries < MAX_TRIES):
            return await self._put_back_or_fail(result.error, result.after_s, limited=not result.free)
        dearer = ceiling.after(self._means, self._record.job, result)
        if dearer is not None and consent.unanswered(self._record.tried) is None:
            return await self._asked(dearer)
        return await self._failed(result.error)

    # -- buying ------------------------------------------------------------------------------------------

    async def _buy(self) -> Bought | Failures:
        request = self._record.job.request
        if self._route is not None:
            return await walk(self._route.targets, request, self._place)
        outcome: Bought | Failures = Failures(())
        if self._open is not None:
            outcome = await self._resume(self._open)
        if isinstance(outcome, Bought) or outcome.repeatable:
            return outcome
        if self._canceled.is_set():
            raise Canceled(f"job {self._record.job.id} was cancelled")
        targets = ceiling.targets_for(self._means, self._record.job)
        for asked, error in outcome.said:
            targets = tuple(
                one
                for one in targets
                if one.name != asked.name and may_fall_back(error, one, request, free=asked.free)
            )
        targets = consent.may_follow(targets, self._record.tried, request.policy)
        lost = consent.unanswered(self._record.tried)
        if lost is not None and not targets and not outcome.said:
            raise Unknown(f"{lost.provider}/{lost.model} may have charged; nothing is bought in its place")
        walked = await walk(targets, request, self._place)
        return walked if isinstance(walked, Bought) else Failures((*outcome.said, *walked.said))

    async def _place(self, target: Target, why: str) -> Bought:
        if self._open is None:
            if self._canceled.is_set():
                raise Canceled(f"job {self._record.job.id} was cancelled")
            await self._look_what_came()
            Ceiling.of(self._record.job).check(target, self._record.job.request)
            self._open = await self._begin(target, why)
        return await self._order(self._open, None)

    async def _begin(self, target: Target, why: str) -> OpenAttempt:
        """The attempt is on disk before its order is sent."""
        tried = self._record.tried
        if self._deadline.left_s <= 0 and why == "first choice":
            raise Overdue(overdue(self._deadline.whole_s, self._record.job))
        if not tried:
            self._deadline.restart()
        if tried and why == "first choice":
            why = consent.why(tried, self._record.job.request.policy)
        attempt = OpenAttempt(
            job_id=self._record.job.id,
            n=len(tried) + 1,
            target=target,
            why=why,
            submitted_at=time.time(),
            deadline_at=self._deadline.at,
            hook=self._means.hooks.token(self._means.provider(target)),
        )
        event = self._record.event("running", "running", f"{target.name}: {why}")
        self._patience_s = _FREE_PATIENCE_S if target.free else None
        try:
            await self._steadily(lambda: self._means.store.begin(attempt, self._epoch, [event]), "attempt")
        except (Full, OverBudget):
            self._record.take_back(event)
            raise
        self._record.tell(event)
        self._record.note(attempt)
        return attempt

    async def _resume(self, attempt: OpenAttempt) -> Bought | Failures:
        """Finish what was left open, before anything new is planned."""
        kept = await self._means.blobs.kept(attempt.id)
        if kept is None:
            kept = await self._means.store.answer(attempt.id)
            self._small = bool(kept)
        try:
            if kept:
                return await self._fetched(attempt, unpack(kept))
            provider = self._means.provider(attempt.target)
            match next_step(attempt, provider.recovery):
                case "poll" if attempt.state == "submitting":
                    # Its own answer is lost; the vendor has called since.
                    return await self._order(replace(attempt, how="webhook"), attempt.ticket)
                case "poll" | "submit":
                    return await self._order(replace(attempt, how="resumed"), attempt.ticket)
                case "find":
                    ticket = await self._find(provider, attempt)
                    if ticket is None and provider.recovery is Recovery.NAMED:
                        # It never arrived; if it did after all, its own name refuses the second one.
                        return await self._order(replace(attempt, how="same-key"), None)
                    if ticket is None:
                        self._wait_for_the_vendor(attempt, provider)
                        raise Unavailable(f"{attempt.target.name}: the order never arrived: it is not listed")
                    return await self._order(replace(attempt, how="list"), ticket)
                case "unknown":
                    if attempt.hook is not None:
                        self._wait_for_the_vendor(attempt, provider)
                    raise Unknown(
                        f"{attempt.target.name}: the answer was lost and cannot be asked for again; "
                        "it counts as charged"
                    )
        except ProviderError as error:
            if self._open is not None:
                await self._give_up(attempt, error)
            return Failures(((attempt.target, error),))

    @staticmethod
    def _wait_for_the_vendor(attempt: OpenAttempt, provider: Provider) -> None:
        """Raises `_Undecided` while the order may still turn up in the list, or the vendor still call."""
        known_at = listed_by(attempt, provider)
        if time.time() < known_at:
            raise _Undecided(
                f"{attempt.target.name}: the order's answer was lost, and it has not turned up yet", known_at
            )

    async def _find(self, provider: Provider, attempt: OpenAttempt) -> Ticket | None:
        """Is the order there? Any failure to ask leaves the question open."""
        try:
            return await provider.find(call_of(attempt))
        except (Unavailable, RateLimited, TimedOut) as error:
            raise _Undecided(f"{attempt.target.name} cannot be asked about the order: {error}") from error
        except ProviderError as error:
            raise Unknown(f"{attempt.target.name} cannot be asked about the order: {error}") from error

    async def _order(self, attempt: OpenAttempt, ticket: Ticket | None) -> Bought:
        """Drive the order; its answer is kept whole before anything in it is looked at."""
        means = self._means
        provider = means.provider(attempt.target)
        order = Order(
            provider,
            await self._call(attempt) if ticket is None else call_of(attempt),
            self._deadline.at,
            self._canceled,
            ticket,
            paid=not attempt.target.free,
        )
        accepted = ticket is not None
        if accepted:
            self._leave_slot(provider)

        async def save(fresh: Ticket) -> None:
            nonlocal accepted
            accepted = True
            event = self._record.event("accepted", "waiting")
            await self._steadily(lambda: means.store.hold(attempt, self._epoch, fresh, [event]), "ticket")
            self._record.tell(event)
            self._leave_slot(provider)

        began = time.monotonic()
        if attempt.how == "direct" and self._slot.overslept:
            # Whoever may have taken the job meanwhile must be able to rely on there being no order.
            overslept = Unavailable("not sent: this process stood still for longer than its lease")
            await self._give_up(attempt, overslept)
            raise overslept
        try:
            with (
                means.pulse.ordering(attempt.target.account, began),
                means.hooks.listening(attempt.id, attempt.hook) as called,
            ):
                done = await drive(replace(order, called=called), save, self._record.report)
        except ProviderError as error:
            means.pulse.failed(attempt.target.account, error, time.monotonic())
            if order.paid and not accepted and isinstance(error, TimedOut | Malformed):
                self._look_for(attempt, provider, error)
            await self._give_up(attempt, error)
            raise
        finally:
            self._slot.back()
        took_s = time.monotonic() - began if ticket is None else None
        means.pulse.succeeded(attempt.target.account, took_s)
        try:
            await self._keep(attempt, pack(done))
        except Fenced:
            await self._too_late(attempt, done)
            raise
        return await self._fetched(attempt, done)

    def _leave_slot(self, provider: Provider) -> None:
        """What waits for a vendor keeps nobody else waiting; what is drawn on our own machines does."""
        if not provider.self_hosted:
            self._slot.leave()

    @staticmethod
    def _look_for(attempt: OpenAttempt, provider: Provider, error: ProviderError) -> None:
        """Raises `_Undecided` where a lost order can be looked for, or may be called about."""
        said = f"{attempt.target.name}: {error}"
        if provider.recovery is Recovery.NAMED:
            raise _Undecided(said) from error
        if provider.recovery is Recovery.TICKETED or attempt.hook is not None:
            raise _Undecided(said, known_at=time.time()) from error

    async def _too_late(self, attempt: OpenAttempt, done: Done) -> None:
        """Somebody else has the job, but what was bought is here: it is kept for whoever asks about it."""
        try:
            job = await late.take(self._means, attempt, done)
        except (InvalidImage, LimnerError) as error:
            _log.warning("the late answer to %s is kept, and not yet taken: %s", attempt.id, error)
            return
        if job is not None:
            await late.tell(self._means, job)

    async def _call(self, attempt: OpenAttempt) -> Call:
        """The order as the provider gets it, with the pictures it works on. Where they cannot be read nothing
        was sent, and nothing is owed."""
        wanted, blobs = attempt.target.request, self._means.blobs
        try:
            inputs = tuple([await blobs.get(digest) for digest in wanted.inputs])
            mask = None if wanted.mask is None else await blobs.get(wanted.mask)
        except LimnerError as error:
            await self._give_up(attempt, Rejected(f"not sent: {error}"))
            raise
        webhook = self._means.hooks.address(attempt.target.provider, attempt.hook)
        return replace(call_of(attempt, webhook), inputs=inputs, mask=mask, report=self._record.report)

    async def _fetched(self, attempt: OpenAttempt, done: Done) -> Bought:
        """The answer with its pictures, fetched from where the vendor put them and kept like the answer."""
        if not done.links:
            return await self._seen(attempt, done)
        host = self._means.provider(attempt.target).wire.host
        try:
            images = [await self._means.fetch(link, host) for link in done.links]
        except Unavailable as error:
            raise _Undecided(f"{attempt.target.name}: {error}") from error
        except ProviderError as error:
            await self._give_up(attempt, error)
            raise
        whole = replace(done, images=(*done.images, *images), links=())
        self._small = False
        await self._steadily(lambda: self._means.blobs.keep(attempt.id, pack(whole)), "pictures")
        return await self._seen(attempt, whole)

    async def _seen(self, attempt: OpenAttempt, done: Done) -> Bought:
        """What holds something that is no picture cannot be read: who is free may still be asked.
        Raises `Malformed`."""
        try:
            for data in done.images:
                sniff(data)
        except InvalidImage as error:
            fault = Malformed(f"{attempt.target.name} answered with something that is no picture: {error}")
            await self._give_up(attempt, fault)
            raise fault from error
        return Bought(attempt, done)

    async def _keep(self, attempt: OpenAttempt, answer: bytes) -> None:
        """The answer is on disk before anything in it is looked at: small ones beside the journal's row,
        where they share its fsync, large ones as a blob."""
        means = self._means
        self._small = len(answer) <= SMALL_ANSWER
        if not self._small:
            await self._steadily(lambda: means.blobs.keep(attempt.id, answer), "answer")
        event = self._record.event("storing", "storing")
        data = answer if self._small else b""
        await self._steadily(lambda: means.store.answered(attempt, self._epoch, data, [event]), "answer")
        self._record.tell(event)

    async def _give_up(self, attempt: OpenAttempt, error: ProviderError) -> None:
        billed = "no" if attempt.target.free else error.billed
        said = failure(error)
        await self._steadily(lambda: self._means.store.give_up(attempt, self._epoch, said, billed), "attempt")
        self._record.note(replace(attempt, state=ENDED_AS[billed]), said)
        self._open = None

    # -- ends --------------------------------------------------------------------------------------------

    async def _with_pictures(self, bought: Bought) -> Again | None:
        attempt, done = bought.attempt, bought.done
        try:
            if not done.images:
                raise InvalidImage("it holds none")
            images, notes = await hang(
                self._record.job, attempt.target, done, self._means.version, self._save
            )
        except InvalidImage as error:
            fault = Malformed(f"{attempt.target.name} answered with something that is no picture: {error}")
            await self._give_up(attempt, fault)
            if may_repeat(fault, attempt.target):
                return await self._put_back_or_fail(fault, after_s=0.0, limited=True)
            return await self._failed(fault)
        cost = price(attempt, done, self._means)
        charged, over = ceiling.overcharged(cost, self._record.job.ceiling_usd)
        self._record.note(replace(attempt, state="settled"), None, charged)
        canceled = self._canceled.is_set()
        state: Literal["canceled", "succeeded"] = "canceled" if canceled else "succeeded"
        told = (*attempt.target.notes, *notes, *over)
        self._record.end(state, images=images, notes=told, canceled=canceled)
        event = self._record.event(state, state)
        job, micros = self._record.job, None if cost is None else to_micros(cost)
        await self._steadily(
            lambda: self._means.store.finish(job, self._epoch, attempt, micros, [event]), "end"
        )
        if not self._small:
            with contextlib.suppress(StorageError):  # the janitor drops it later
                await self._means.blobs.drop(attempt.id)
        self._record.tell_end(event)
        return None

    async def _save(self, data: bytes, shown: str) -> str:
        """Where the journal holds the raw answer the file can be made again: the janitor syncs it later."""
        blobs, synced = self._means.blobs, not self._small
        digest = await self._steadily(lambda: blobs.put(data, synced=synced), "picture")
        await self._steadily(lambda: blobs.link(digest, shown), "picture")
        return digest

    async def _look_what_came(self) -> None:
        """Raises `_Came` where another order was under way while a lost one brought its pictures. Without one
        the job is ended as they come, and whoever holds it is fenced."""
        if not self._record.tried:
            return
        job = await self._steadily(lambda: self._means.store.job(self._record.job.id), "question")
        if job.images:
            raise _Came(job)

    async def _with_what_came(self, job: Job) -> Again | None:
        """The pictures of a lost order are the job's."""
        self._record.job = job
        canceled = self._canceled.is_set()
        state: Literal["canceled", "succeeded"] = "canceled" if canceled else "succeeded"
        note = Note(field="attempts", message="what an earlier order had lost was found later")
        self._record.end(state, images=job.images, notes=(*job.receipt.notes, note), canceled=canceled)
        event = self._record.event(state, state)
        await self._steadily(lambda: self._means.store.end(self._record.job, self._epoch, [event]), "end")
        self._record.tell_end(event)
        return None

    async def _without_pictures(
        self, state: Literal["canceled", "failed"], error: LimnerError | None
    ) -> Again | None:
        if state == "failed":
            await self._look_what_came()
        said = None if error is None else failure(error)
        self._record.end(state, error=said, canceled=self._canceled.is_set())
        event = self._record.event(state, state, None if error is None else str(error))
        await self._steadily(lambda: self._means.store.end(self._record.job, self._epoch, [event]), "end")
        self._record.tell_end(event)
        return None

    async def _asked(self, confirmation: Confirmation) -> Again | None:
        """The job rests until a person decides; those who wait for it are told."""
        await self._look_what_came()
        self._record.ask(confirmation)
        event = self._record.event("asked", "needs_confirmation", confirmation.message)
        await self._steadily(
            lambda: self._means.store.ask(self._record.job, self._epoch, [event]), "question"
        )
        self._record.tell_end(event)
        return None

    async def _failed(self, error: LimnerError) -> Again | None:
        """Nobody else may be asked: the job ends, unless an order may have been charged for nothing. Then the
        policy says whether it is bought again, or a person is asked."""
        lost, policy = consent.unanswered(self._record.tried), self._record.job.request.policy
        if self._canceled.is_set():
            return await self._without_pictures("canceled", None)
        if lost is None or not consent.asks(lost, policy):
            dearer = ceiling.instead(self._means, self._record.job, error)
            if dearer is not None:
                return await self._asked(dearer)
            return await self._without_pictures("failed", error)
        if not self._late(0.0) and self._may_pay_again():
            return await self._put_back(error, 0.0)
        return await self._asked(consent.question(lost))

    def _may_pay_again(self) -> bool:
        """Does the policy have money for somebody who can serve now?"""
        job = self._record.job
        if consent.room_usd(self._record.tried, job.request.policy) == 0:
            return False
        try:
            targets = ceiling.targets_for(self._means, job)
        except (Ask, NoRoute, OverBudget):
            return False
        return any(
            not one.free for one in consent.may_follow(targets, self._record.tried, job.request.policy)
        )

    def _late(self, wait: float) -> bool:
        return wait > self._deadline.left_s

    async def _put_back_or_fail(self, error: LimnerError, after_s: float, *, limited: bool) -> Again | None:
        """Try again later, unless the deadline or, where tries cost, the number of tries is reached."""
        tries = self._record.job.tries
        wait = wait_s(min(tries, MAX_TRIES), random.random(), after_s)  # noqa: S311 - spreads retries, guards nothing
        if self._late(wait) or (limited and tries >= MAX_TRIES):
            if self._open is not None:
                lost = Unknown(f"{error}; given up at the deadline")
                error = error if self._open.target.free else lost
                await self._give_up(self._open, lost)
            return await self._failed(error)
        return await self._put_back(error, wait)

    async def _back_in_line(self, full: Failures) -> Again:
        """Nobody who would do has room: wait in line, for the one account or to look again at several. It is
        no try, and nothing has happened that anybody need be told."""
        accounts = {target.account for target, _ in full.said}
        account, wait = (accounts.pop(), 0.0) if len(accounts) == 1 else (None, FULL_WAIT_S)
        await self._steadily(
            lambda: self._means.store.again(self._record.job, self._epoch, wait, [], account), "job"
        )
        return Again(wait)

    async def _put_back(self, error: LimnerError, wait: float) -> Again:
        """A retry is a row with its time, not a sleep."""
        self._record.again()
        event = self._record.event("retrying", "queued", f"{error}; again in {wait:.1f} s")
        await self._steadily(
            lambda: self._means.store.again(self._record.job, self._epoch, wait, [event]), "retry"
        )
        self._record.tell(event)
        return Again(wait)
