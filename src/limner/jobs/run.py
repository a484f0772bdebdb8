"""Run one job: finish the order that is open, else plan and walk, then store what was bought."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Literal, TypeVar

from limner.core.errors import (
    Canceled,
    LimnerError,
    Malformed,
    NoRoute,
    ProviderError,
    RateLimited,
    Rejected,
    StorageError,
    TimedOut,
    Unavailable,
    Unknown,
)
from limner.core.job import Confirmation
from limner.core.money import to_micros
from limner.core.quote import Target
from limner.imaging.sniff import InvalidImage
from limner.jobs.answer import pack, unpack
from limner.jobs.drive import Order, drive
from limner.jobs.hang import hang
from limner.jobs.means import Means
from limner.jobs.reconcile import MAX_TRIES, may_fall_back, may_repeat, next_step, wait_s
from limner.jobs.record import Record, failure
from limner.jobs.seed import as_asked, drawn_seed
from limner.jobs.steady import steadily
from limner.jobs.walk import Bought, Failures, walk
from limner.providers.base import Call, Done, Provider, Recovery, Ticket
from limner.store.rows import ENDED_AS, OpenAttempt, Work
from limner.store.steps import Fenced

_log = logging.getLogger(__name__)
T = TypeVar("T")
_FREE_PATIENCE_S = 10.0
_STARVED_WAIT_S = 5.0
SMALL_ANSWER = 64 * 1024
"""Bytes up to which a raw answer is kept in the database."""


@dataclass(frozen=True, slots=True)
class Again:
    """The job was put back and may be claimed in `after_s` seconds."""

    after_s: float


class Ask(LimnerError):
    """Nothing more is done before a person has said something; `confirmation` is what they are asked."""

    def __init__(self, confirmation: Confirmation) -> None:
        super().__init__(confirmation.message)
        self.confirmation = confirmation


class _Undecided(LimnerError):
    """What became of the open order cannot be learnt yet: the job is put back, and whoever claims it asks."""


class Run:
    """One holding of one job, from claim to end, to being put back, or to losing the lease."""

    def __init__(self, work: Work, means: Means, canceled: asyncio.Event) -> None:
        self._means = means
        self._canceled = canceled
        self._record = Record(work, means.hub)
        self._epoch = work.epoch
        self._deadline_s = work.deadline_s
        self._open = work.attempt
        self._route = work.route
        self._patience_s = _FREE_PATIENCE_S if self._open is not None and self._open.target.free else None
        self._small = False
        """The journal itself holds the raw answer."""

    async def to_end(self) -> Again | None:
        """Run; `Again` when the job was put back. Cancelling the task leaves order and lease as they are."""
        try:
            try:
                return await self._to_end()
            except StorageError as error:
                return await self._starved(error)
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
            return await self._put_back_or_fail(error, after_s=0.0, limited=False)
        except NoRoute as error:
            # It was accepted, so somebody could serve it then: wait for them if waiting may help.
            if error.passing:
                return await self._put_back_or_fail(error, after_s=0.0, limited=False)
            return await self._without_pictures("failed", error)
        except LimnerError as error:
            if isinstance(error, Fenced | StorageError):
                raise
            return await self._without_pictures("failed", error)
        if isinstance(result, Failures):
            if self._canceled.is_set():
                return await self._without_pictures("canceled", None)
            if result.repeatable:
                return await self._put_back_or_fail(result.error, result.after_s, limited=not result.free)
            return await self._without_pictures("failed", result.error)
        return await self._with_pictures(result)

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
        job_id = self._record.job.id
        targets = self._means.plan(as_asked(request, job_id), drawn_seed(job_id)).targets
        for asked, error in outcome.said:
            targets = tuple(
                one for one in targets if one.name != asked.name and may_fall_back(error, one, request)
            )
        lost = [one for one in self._record.job.receipt.attempts if one.state == "unknown"]
        if lost:
            targets = tuple(one for one in targets if one.free)
            if not targets and not outcome.said:
                raise Unknown(
                    f"{lost[-1].provider}/{lost[-1].model} may have charged; nothing is bought in its place"
                )
        walked = await walk(targets, request, self._place)
        return walked if isinstance(walked, Bought) else Failures((*outcome.said, *walked.said))

    async def _place(self, target: Target, why: str) -> Bought:
        if self._open is None:
            if self._canceled.is_set():
                raise Canceled(f"job {self._record.job.id} was cancelled")
            self._open = await self._begin(target, why)
        return await self._order(self._open, None)

    async def _begin(self, target: Target, why: str) -> OpenAttempt:
        """The attempt is on disk before its order is sent."""
        tried = self._record.tried
        now = time.time()
        if tried and why == "first choice":
            last = tried[-1].error
            why = f"again: {last.code}" if last else "again"
        attempt = OpenAttempt(
            job_id=self._record.job.id,
            n=len(tried) + 1,
            target=target,
            why=why,
            submitted_at=now,
            deadline_at=(self._record.first_order_at if tried else now) + self._deadline_s,
        )
        event = self._record.event("running", "running", f"{target.name}: {why}")
        self._patience_s = _FREE_PATIENCE_S if target.free else None
        await self._steadily(lambda: self._means.store.begin(attempt, self._epoch, [event]), "attempt")
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
                case "poll" | "submit":
                    return await self._order(replace(attempt, how="resumed"), attempt.ticket)
                case "find":
                    ticket = await self._find(provider, attempt)
                    if ticket is None and provider.recovery is Recovery.NAMED:
                        # It never arrived; if it did after all, its own name refuses the second one.
                        return await self._order(replace(attempt, how="same-key"), None)
                    if ticket is None:
                        raise Unknown(
                            f"{attempt.target.name}: the order's answer was lost and it is not listed"
                        )
                    return await self._order(replace(attempt, how="list"), ticket)
                case "unknown":
                    raise Unknown(
                        f"{attempt.target.name}: the answer was lost and cannot be asked for again; "
                        "it counts as charged"
                    )
        except ProviderError as error:
            if self._open is not None:
                await self._give_up(attempt, error)
            return Failures(((attempt.target, error),))

    async def _find(self, provider: Provider, attempt: OpenAttempt) -> Ticket | None:
        """Is the order there? Any failure to ask leaves the question open."""
        try:
            return await provider.find(_call(attempt))
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
            await self._call(attempt) if ticket is None else _call(attempt),
            attempt.deadline_at,
            self._canceled,
            ticket,
            paid=not attempt.target.free,
        )
        accepted = ticket is not None

        async def save(fresh: Ticket) -> None:
            nonlocal accepted
            accepted = True
            event = self._record.event("accepted", "waiting")
            await self._steadily(lambda: means.store.hold(attempt, self._epoch, fresh, [event]), "ticket")
            self._record.tell(event)

        try:
            with means.pulse.ordering(attempt.target.account, time.monotonic()):
                done = await drive(order, save, self._record.report)
        except ProviderError as error:
            means.pulse.failed(attempt.target.account, error, time.monotonic())
            if (
                order.paid
                and not accepted
                and isinstance(error, TimedOut | Malformed)
                and provider.recovery is not Recovery.BLIND
            ):
                raise _Undecided(f"{attempt.target.name}: {error}") from error
            await self._give_up(attempt, error)
            raise
        means.pulse.succeeded(attempt.target.account)
        await self._keep(attempt, pack(done))
        return await self._fetched(attempt, done)

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
        return replace(_call(attempt), inputs=inputs, mask=mask, report=self._record.report)

    async def _fetched(self, attempt: OpenAttempt, done: Done) -> Bought:
        """The answer with its pictures, fetched from where the vendor put them and kept like the answer."""
        if not done.links:
            return Bought(attempt, done)
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
        return Bought(attempt, whole)

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
            return await self._without_pictures("failed", fault)
        price = _price(attempt, done, self._means)
        self._record.note(replace(attempt, state="settled"), None, price)
        canceled = self._canceled.is_set()
        state: Literal["canceled", "succeeded"] = "canceled" if canceled else "succeeded"
        self._record.end(state, images=images, notes=(*attempt.target.notes, *notes), canceled=canceled)
        event = self._record.event(state, state)
        job, micros = self._record.job, None if price is None else to_micros(price)
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

    async def _without_pictures(
        self, state: Literal["canceled", "failed"], error: LimnerError | None
    ) -> Again | None:
        said = None if error is None else failure(error)
        self._record.end(state, error=said, canceled=self._canceled.is_set())
        event = self._record.event(state, state, None if error is None else str(error))
        await self._steadily(lambda: self._means.store.end(self._record.job, self._epoch, [event]), "end")
        self._record.tell_end(event)
        return None

    async def _asked(self, confirmation: Confirmation) -> Again | None:
        """The job rests until a person decides; those who wait for it are told."""
        self._record.ask(confirmation)
        event = self._record.event("asked", "needs_confirmation", confirmation.message)
        await self._steadily(
            lambda: self._means.store.ask(self._record.job, self._epoch, [event]), "question"
        )
        self._record.tell_end(event)
        return None

    async def _put_back_or_fail(self, error: LimnerError, after_s: float, *, limited: bool) -> Again | None:
        """Try again later, unless the deadline or, where tries cost, the number of tries is reached."""
        tries = self._record.job.tries
        wait = wait_s(min(tries, MAX_TRIES), random.random(), after_s)  # noqa: S311 - spreads retries, guards nothing
        late = time.time() + wait > self._record.first_order_at + self._deadline_s
        if late or (limited and tries >= MAX_TRIES):
            if self._open is not None:
                lost = Unknown(f"{error}; given up at the deadline")
                error = error if self._open.target.free else lost
                await self._give_up(self._open, lost)
            return await self._without_pictures("failed", error)
        self._record.again()
        event = self._record.event("retrying", "queued", f"{error}; again in {wait:.1f} s")
        await self._steadily(
            lambda: self._means.store.again(self._record.job, self._epoch, wait, [event]), "retry"
        )
        self._record.tell(event)
        return Again(wait)


def _call(attempt: OpenAttempt) -> Call:
    target = attempt.target
    return Call(
        key=attempt.id,
        model=target.ref,
        request=target.request,
        dialect=target.dialect,
        at=attempt.submitted_at,
    )


def _price(attempt: OpenAttempt, done: Done, means: Means) -> Decimal | None:
    """What it cost: the vendor's figure, else by the vendor's count, else the quote; an unreadable figure
    never fails a picture."""
    if done.cost_usd is None:
        counted = None if done.usage is None else means.settled(attempt.target, done.usage)
        return attempt.target.price_usd if counted is None else counted
    try:
        return Decimal(done.cost_usd)
    except InvalidOperation:
        _log.warning("cost of attempt %s cannot be read: %.80r", attempt.id, done.cost_usd)
        return attempt.target.price_usd
