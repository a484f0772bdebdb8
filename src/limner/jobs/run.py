"""Run one job: finish the order that is open, else plan and walk, then store what was bought."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation

import structlog

from limner.blobs.store import Blobs
from limner.core.errors import (
    Canceled,
    LimnerError,
    Malformed,
    NoRoute,
    ProviderError,
    RateLimited,
    StorageError,
    TimedOut,
    Unavailable,
    Unknown,
)
from limner.core.events import Ended, EventType, JobEvent, Progress
from limner.core.ids import uuid7
from limner.core.job import Artifact, Failure, Job, JobState, Recipe, cost_usd
from limner.core.money import to_micros
from limner.core.quote import Note, Route, Target
from limner.core.request import EXTENSION, GenerateRequest, Policy
from limner.imaging.sniff import InvalidImage
from limner.jobs import pictures
from limner.jobs.answer import pack, unpack
from limner.jobs.drive import Order, drive
from limner.jobs.hub import Hub
from limner.jobs.reconcile import MAX_TRIES, may_fall_back, may_repeat, next_step, wait_s
from limner.jobs.steady import steadily
from limner.jobs.walk import Bought, Failures, walk
from limner.providers.base import Call, Done, Pending, Provider, Recovery, Ticket
from limner.router.pulse import Pulse
from limner.store.rows import OpenAttempt, Work
from limner.store.store import Fenced, Store

_log = structlog.get_logger()
_NOT_IN_A_RECIPE = {"count": 1, "partial_images": 0, "user": None, "project": "default", "policy": Policy()}
"""A picture's file travels: it says how it was made, not who asked or how it was to be routed."""
SMALL_ANSWER = 64 * 1024
"""Bytes up to which a raw answer is kept in the database."""


@dataclass(frozen=True, slots=True)
class Means:
    """All that running a job needs; built once by the app."""

    store: Store
    blobs: Blobs
    hub: Hub
    pulse: Pulse
    plan: Callable[[GenerateRequest], Route]
    provider: Callable[[Target], Provider]
    version: str


@dataclass(frozen=True, slots=True)
class Again:
    """The job was put back and may be claimed in `after_s` seconds."""

    after_s: float


class _Undecided(LimnerError):
    """What became of the open order cannot be learnt yet: the job is put back, and whoever claims it asks."""


class Run:
    """One holding of one job, from claim to end, to being put back, or to losing the lease."""

    def __init__(self, work: Work, means: Means, canceled: asyncio.Event) -> None:
        self._means = means
        self._canceled = canceled
        self._job = work.job
        self._epoch = work.epoch
        self._seq = work.seq
        self._deadline_s = work.deadline_s
        self._open = work.attempt
        self._route = work.route
        self._drawing_since: float | None = None
        self._small = False
        """The journal itself holds the raw answer."""
        self._over = False
        """The end is on disk: nothing may be written any more."""

    async def to_end(self) -> Again | None:
        """Run; `Again` when the job was put back. Cancelling the task leaves order and lease as they are."""
        try:
            return await self._to_end()
        except Fenced as error:
            _log.warning("lease lost", job=self._job.id, error=str(error))
            return None

    async def broke(self, error: Exception) -> None:
        """End a job that a mistake in our code or a provider's has stopped, so that nobody waits in vain."""
        if self._over:
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
        except (NoRoute, _Undecided) as error:
            # It was accepted, so somebody could serve it then: wait for them until the deadline.
            return await self._put_back_or_fail(error, after_s=0.0, limited=False)
        except LimnerError as error:
            if isinstance(error, Fenced):
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
        request = self._job.request
        if self._route is not None:
            return await walk(self._route.targets, request, self._place)
        outcome: Bought | Failures = Failures(())
        if self._open is not None:
            outcome = await self._resume(self._open)
        if isinstance(outcome, Bought) or outcome.repeatable:
            return outcome
        if self._canceled.is_set():
            raise Canceled(f"job {self._job.id} was cancelled")
        targets = self._means.plan(request).targets
        for asked, error in outcome.said:
            targets = tuple(
                one for one in targets if one.name != asked.name and may_fall_back(error, one, request)
            )
        lost = [one for one in self._job.receipt.attempts if one.state == "unknown"]
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
                raise Canceled(f"job {self._job.id} was cancelled")
            self._open = await self._begin(target, why)
        return await self._order(self._open, None)

    async def _begin(self, target: Target, why: str) -> OpenAttempt:
        """The attempt is on disk before its order is sent."""
        tried = self._job.receipt.attempts
        now = time.time()
        first = tried[0].submitted_at if tried else now
        if tried and why == "first choice":
            failure = tried[-1].error
            why = f"again: {failure.code}" if failure else "again"
        attempt = OpenAttempt(
            job_id=self._job.id,
            n=len(tried) + 1,
            target=target,
            why=why,
            submitted_at=now,
            deadline_at=first + self._deadline_s,
        )
        event = self._event("running", "running", f"{target.name}: {why}")
        await steadily(lambda: self._means.store.begin(attempt, self._epoch, [event]), "attempt")
        self._tell(event)
        self._note_attempt(attempt, None)
        return attempt

    async def _resume(self, attempt: OpenAttempt) -> Bought | Failures:
        """Finish what was left open, before anything new is planned."""
        kept = await self._means.store.answer(attempt.id)
        self._small = bool(kept)
        if not kept:
            kept = await self._means.blobs.kept(attempt.id)
        try:
            if kept is not None:
                return Bought(attempt, unpack(kept))
            provider = self._means.provider(attempt.target)
            match next_step(attempt, provider.recovery):
                case "poll" | "submit":
                    return await self._order(replace(attempt, how="resumed"), attempt.ticket)
                case "find":
                    ticket = await self._find(provider, attempt)
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
            return await provider.find(self._call(attempt))
        except (Unavailable, RateLimited, TimedOut) as error:
            raise _Undecided(f"{attempt.target.name} cannot be asked about the order: {error}") from error
        except ProviderError as error:
            raise Unknown(f"{attempt.target.name} cannot be asked about the order: {error}") from error

    def _call(self, attempt: OpenAttempt) -> Call:
        return Call(key=attempt.id, model=attempt.target.ref, request=attempt.target.request)

    async def _order(self, attempt: OpenAttempt, ticket: Ticket | None) -> Bought:
        """Drive the order; its answer is kept whole before anything in it is looked at."""
        means = self._means
        means.pulse.ordered(attempt.target.account, time.monotonic())
        provider = means.provider(attempt.target)
        order = Order(
            provider,
            self._call(attempt),
            attempt.deadline_at,
            self._canceled,
            ticket,
            paid=not attempt.target.free,
        )
        accepted = ticket is not None

        async def save(fresh: Ticket) -> None:
            nonlocal accepted
            accepted = True
            event = self._event("accepted", "waiting")
            await steadily(lambda: means.store.hold(attempt, self._epoch, fresh, [event]), "ticket")
            self._tell(event)

        try:
            done = await drive(order, save, self._report)
        except ProviderError as error:
            means.pulse.failed(attempt.target.account, error, time.monotonic())
            if (
                order.paid
                and not accepted
                and isinstance(error, TimedOut)
                and provider.recovery is not Recovery.BLIND
            ):
                raise _Undecided(f"{attempt.target.name}: {error}") from error
            await self._give_up(attempt, error)
            raise
        means.pulse.succeeded(attempt.target.account)
        await self._keep(attempt, pack(done))
        return Bought(attempt, done)

    async def _keep(self, attempt: OpenAttempt, answer: bytes) -> None:
        """The answer is on disk before anything in it is looked at: small ones beside the journal's row,
        where they share its fsync, large ones as a blob."""
        means = self._means
        self._small = len(answer) <= SMALL_ANSWER
        if not self._small:
            await steadily(lambda: means.blobs.keep(attempt.id, answer), "answer")
        event = self._event("storing", "storing")
        data = answer if self._small else b""
        await steadily(lambda: means.store.answered(attempt, self._epoch, data, [event]), "answer")
        self._tell(event)

    async def _give_up(self, attempt: OpenAttempt, error: ProviderError) -> None:
        charged = error.billed != "no" and not attempt.target.free
        failure = _failure(error)
        await steadily(
            lambda: self._means.store.give_up(attempt, self._epoch, failure, charged=charged), "attempt"
        )
        self._note_attempt(replace(attempt, state="unknown" if charged else "refused"), failure)
        self._open = None

    # -- ends --------------------------------------------------------------------------------------------

    async def _with_pictures(self, bought: Bought) -> Again | None:
        attempt, done = bought.attempt, bought.done
        try:
            if not done.images:
                raise InvalidImage("it holds none")
            artifacts, notes = await self._artifacts(attempt, done)
        except InvalidImage as error:
            fault = Malformed(f"{attempt.target.name} answered with something that is no picture: {error}")
            await self._give_up(attempt, fault)
            if may_repeat(fault, attempt.target):
                return await self._put_back_or_fail(fault, after_s=0.0, limited=True)
            return await self._without_pictures("failed", fault)
        price = _price(attempt, done)
        self._note_attempt(replace(attempt, state="settled"), None, price)
        state: JobState = "canceled" if self._canceled.is_set() else "succeeded"
        job = self._ended(state, None, artifacts, (*attempt.target.notes, *notes))
        event = self._event("canceled" if state == "canceled" else "succeeded", state)
        micros = None if price is None else to_micros(price)
        await steadily(lambda: self._means.store.finish(job, self._epoch, attempt, micros, [event]), "end")
        self._over = True
        if not self._small:
            with contextlib.suppress(StorageError):  # the janitor drops it later
                await self._means.blobs.drop(attempt.id)
        self._tell(event)
        self._means.hub.publish(job.id, Ended(job))
        return None

    async def _without_pictures(self, state: JobState, error: LimnerError | None) -> Again | None:
        job = self._ended(state, None if error is None else _failure(error), (), self._job.receipt.notes)
        event = self._event(
            "canceled" if state == "canceled" else "failed", state, None if error is None else str(error)
        )
        await steadily(lambda: self._means.store.end(job, self._epoch, [event]), "end")
        self._over = True
        self._tell(event)
        self._means.hub.publish(job.id, Ended(job))
        return None

    async def _put_back_or_fail(self, error: LimnerError, after_s: float, *, limited: bool) -> Again | None:
        """Try again later, unless the deadline or, where tries cost, the number of tries is reached."""
        tries = self._job.tries
        wait = wait_s(min(tries, MAX_TRIES), random.random(), after_s)  # noqa: S311 - spreads retries, guards nothing
        tried = self._job.receipt.attempts
        first = tried[0].submitted_at if tried else self._job.created_at
        if (limited and tries >= MAX_TRIES) or time.time() + wait > first + self._deadline_s:
            if self._open is not None:
                lost = Unknown(f"{error}; given up at the deadline")
                error = error if self._open.target.free else lost
                await self._give_up(self._open, lost)
            return await self._without_pictures("failed", error)
        self._job = self._job.model_copy(update={"tries": tries + 1})
        event = self._event("retrying", "queued", f"{error}; again in {wait:.1f} s")
        await steadily(lambda: self._means.store.again(self._job, self._epoch, wait, [event]), "retry")
        self._tell(event)
        return Again(wait)

    async def _artifacts(self, attempt: OpenAttempt, done: Done) -> tuple[tuple[Artifact, ...], list[Note]]:
        artifacts: list[Artifact] = []
        notes: list[Note] = []
        for index, data in enumerate(done.images):
            artifact, said = await self._artifact(attempt, done, index, data)
            artifacts.append(artifact)
            notes += said
        missing = attempt.target.request.count - len(artifacts)
        if missing > 0:
            notes.append(
                Note(field="count", message=f"the provider sent {len(artifacts)} pictures, {missing} fewer")
            )
        return tuple(artifacts), notes

    async def _artifact(
        self, attempt: OpenAttempt, done: Done, index: int, data: bytes
    ) -> tuple[Artifact, tuple[Note, ...]]:
        sent = attempt.target.request
        seed = (
            done.seeds[index] if index < len(done.seeds) else None if sent.seed is None else sent.seed + index
        )
        recipe = Recipe(
            limner=self._means.version,
            prompt=self._job.request.prompt,
            request=sent.model_copy(update={"seed": seed} | _NOT_IN_A_RECIPE),
            provider=attempt.target.provider,
            model=attempt.target.model,
            engine=done.engine,
        )
        picture = await pictures.finish(data, sent, recipe)
        # Where the journal holds the raw answer the file can be made again: the janitor syncs it later.
        synced = not self._small
        digest = await steadily(lambda: self._means.blobs.put(picture.data, synced=synced), "picture")
        identity = uuid7()
        artifact = Artifact(
            id=identity,
            job_id=self._job.id,
            index=index,
            digest=digest,
            size_bytes=len(picture.data),
            width=picture.kind.width,
            height=picture.kind.height,
            format=picture.kind.format,
            seed=seed,
            project=sent.project,
            provider=attempt.target.provider,
            model=attempt.target.model,
            file=f"{identity}.{EXTENSION[picture.kind.format]}",
            created_at=time.time(),
            recipe=recipe,
        )
        await steadily(
            lambda: self._means.blobs.link(
                digest, f"images/{artifact.project}/{artifact.provider}/{artifact.file}"
            ),
            "picture",
        )
        return artifact, picture.notes

    # -- telling -----------------------------------------------------------------------------------------

    def _ended(
        self,
        state: JobState,
        failure: Failure | None,
        artifacts: tuple[Artifact, ...],
        notes: tuple[Note, ...],
    ) -> Job:
        now = time.time()
        receipt = self._job.receipt.model_copy(
            update={
                "notes": notes,
                "seconds": max(0.0, now - self._job.created_at),
                "cost_usd": cost_usd(self._job.receipt.attempts),
            }
        )
        self._job = self._job.model_copy(
            update={
                "state": state,
                "error": failure,
                "images": artifacts,
                "finished_at": now,
                "receipt": receipt,
                "cancel_requested": self._job.cancel_requested or self._canceled.is_set(),
            }
        )
        return self._job

    def _note_attempt(
        self, attempt: OpenAttempt, failure: Failure | None, price: Decimal | None = None
    ) -> None:
        """Keep the receipt in step with the rows."""
        shown = attempt.shown(failure)
        if price is not None:
            shown = shown.model_copy(update={"price_usd": price})
        others = tuple(one for one in self._job.receipt.attempts if one.n != attempt.n)
        receipt = self._job.receipt.model_copy(update={"attempts": (*others, shown)})
        self._job = self._job.model_copy(update={"receipt": receipt})

    def _event(self, kind: EventType, state: JobState, message: str | None = None) -> JobEvent:
        self._seq += 1
        return JobEvent(
            job_id=self._job.id, seq=self._seq, type=kind, state=state, at=time.time(), message=message
        )

    def _tell(self, event: JobEvent) -> None:
        self._means.hub.publish(event.job_id, event)

    def _report(self, pending: Pending) -> None:
        if pending.fraction is None:
            return
        now = time.monotonic()
        if pending.fraction > 0 and self._drawing_since is None:
            self._drawing_since = now
        eta = None
        if self._drawing_since is not None and now > self._drawing_since and pending.fraction > 0:
            eta = (now - self._drawing_since) * (1 - pending.fraction) / pending.fraction
        self._means.hub.publish(
            self._job.id,
            Progress(self._job.id, pending.fraction, pending.step, pending.steps, pending.preview, eta),
        )


def _failure(error: LimnerError) -> Failure:
    details: dict[str, str] = getattr(error, "failures", None) or getattr(error, "reasons", None) or {}
    return Failure(code=error.code, message=str(error), details=details)


def _price(attempt: OpenAttempt, done: Done) -> Decimal | None:
    """What it cost: the vendor's figure, else the quote; an unreadable figure never fails a picture."""
    if done.cost_usd is None:
        return attempt.target.price_usd
    try:
        return Decimal(done.cost_usd)
    except InvalidOperation:
        _log.warning("vendor's cost cannot be read", attempt=attempt.id, said=done.cost_usd)
        return attempt.target.price_usd
