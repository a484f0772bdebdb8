"""Drive one order of a job to its pictures: its answer is kept whole before anything in it is looked at."""

import logging
import time
from dataclasses import replace

from limner.core.errors import (
    LimnerError,
    Malformed,
    ProviderError,
    Rejected,
    StorageError,
    TimedOut,
    Unavailable,
)
from limner.imaging.sniff import InvalidImage, sniff
from limner.jobs import late
from limner.jobs.answer import pack
from limner.jobs.drive import Order, drive
from limner.jobs.hang import Hung, hang
from limner.jobs.holding import Holding, Undecided
from limner.jobs.orders import call_of
from limner.jobs.walk import Bought
from limner.providers.base import Call, Done, Provider, Recovery, Ticket
from limner.store.rows import OpenAttempt
from limner.store.steps import Fenced

_log = logging.getLogger(__name__)
SMALL_ANSWER = 64 * 1024
"""Bytes up to which a raw answer is kept in the database."""


class Ordering:
    """Places and awaits the orders of one holding."""

    def __init__(self, held: Holding) -> None:
        self._held = held

    async def order(self, attempt: OpenAttempt, ticket: Ticket | None, *, followed: bool = False) -> Bought:
        """Drive the order; its answer is kept whole before anything in it is looked at. One that is
        `followed` leaves some of the time to those who could be asked after it."""
        async with self._held.means.room.seat():
            done = await self._driven(attempt, ticket, followed=followed)
            try:
                hung = await self._keep(attempt, done)
            except Fenced:
                await self._too_late(attempt, done)
                raise
            if hung is not None:
                return Bought(attempt, replace(done, images=()), hung)
            return await self.fetched(attempt, done)

    async def _driven(self, attempt: OpenAttempt, ticket: Ticket | None, *, followed: bool) -> Done:
        """The vendor's answer. What fails is written down."""
        means = self._held.means
        provider = means.provider(attempt.target)
        order = Order(
            provider,
            await self._call(attempt) if ticket is None else call_of(attempt),
            self._held.deadline.of_order(followed=followed),
            self._held.canceled,
            ticket,
            paid=not attempt.target.free,
        )
        accepted = ticket is not None
        if accepted:
            self._leave_slot(provider)

        async def save(fresh: Ticket) -> None:
            nonlocal accepted
            accepted = True
            event = self._held.record.event("accepted", "waiting")
            await self._held.steadily(
                lambda: means.store.hold(attempt, self._held.epoch, fresh, [event]), "ticket"
            )
            self._held.record.tell(event)
            self._leave_slot(provider)

        began = time.monotonic()
        expected = means.hooks.expected(provider, attempt.target.account, attempt.hook)
        if attempt.how == "direct" and self._held.slot.overslept:
            # Whoever may have taken the job meanwhile must be able to rely on there being no order.
            overslept = Unavailable("not sent: this process stood still for longer than its lease")
            await self._held.give_up(attempt, overslept)
            raise overslept
        try:
            with (
                means.pulse.ordering(attempt.target.account, began),
                means.hooks.listening(attempt.id, expected=expected) as called,
            ):
                done = await drive(replace(order, called=called), save, self._held.record.report)
        except ProviderError as error:
            means.pulse.failed(attempt.target.account, error, time.monotonic())
            if order.paid and not accepted and isinstance(error, TimedOut | Malformed):
                self._look_for(attempt, provider, error)
            await self._held.give_up(attempt, error)
            raise
        finally:
            self._held.slot.back()
        took_s = time.monotonic() - began if ticket is None else None
        means.pulse.succeeded(attempt.target.account, took_s)
        return done

    def _leave_slot(self, provider: Provider) -> None:
        """What waits for a vendor keeps nobody else waiting; what is drawn on our own machines does."""
        if not provider.self_hosted:
            self._held.slot.leave()

    @staticmethod
    def _look_for(attempt: OpenAttempt, provider: Provider, error: ProviderError) -> None:
        """Raises `Undecided` where a lost order can be looked for, or may be called about."""
        said = f"{attempt.target.name}: {error}"
        if provider.recovery is Recovery.NAMED:
            raise Undecided(said) from error
        if provider.recovery is Recovery.TICKETED or attempt.hook is not None:
            raise Undecided(said, known_at=time.time()) from error

    async def _too_late(self, attempt: OpenAttempt, done: Done) -> None:
        """Somebody else has the job, but what was bought is here: it is kept for whoever asks about it."""
        try:
            job = await late.take(self._held.means, attempt, done)
        except (InvalidImage, LimnerError) as error:
            _log.warning("the late answer to %s is kept, and not yet taken: %s", attempt.id, error)
            return
        if job is not None:
            await late.tell(self._held.means, job)

    async def _call(self, attempt: OpenAttempt) -> Call:
        """The order as the provider gets it, with the pictures it works on. Where they cannot be read nothing
        was sent, and nothing is owed."""
        wanted, blobs = attempt.target.request, self._held.means.blobs
        try:
            inputs = tuple([await blobs.get(digest) for digest in wanted.inputs])
            mask = None if wanted.mask is None else await blobs.get(wanted.mask)
        except LimnerError as error:
            await self._held.give_up(attempt, Rejected(f"not sent: {error}"))
            raise
        webhook = self._held.means.hooks.address(attempt.target.provider, attempt.hook)
        return replace(call_of(attempt, webhook), inputs=inputs, mask=mask, report=self._held.record.report)

    async def fetched(self, attempt: OpenAttempt, done: Done) -> Bought:
        """The answer with its pictures, fetched from where the vendor put them and kept like the answer."""
        if not done.links:
            return await self._seen(attempt, done)
        host = self._held.means.provider(attempt.target).wire.host
        try:
            images = [await self._held.means.fetch(link, host) for link in done.links]
        except Unavailable as error:
            raise Undecided(f"{attempt.target.name}: {error}") from error
        except ProviderError as error:
            await self._held.give_up(attempt, error)
            raise
        whole = replace(done, images=(*done.images, *images), links=())
        self._held.small = False
        hung = await self._hung(attempt, whole)
        answer = pack(whole) if hung is None else _with_files(whole, hung)
        await self._held.steadily(lambda: self._held.means.blobs.keep(attempt.id, answer), "pictures")
        if hung is not None:
            return Bought(attempt, replace(whole, images=()), hung)
        return await self._seen(attempt, whole)

    async def _seen(self, attempt: OpenAttempt, done: Done) -> Bought:
        """What holds something that is no picture cannot be read: who is free may still be asked.
        Raises `Malformed`."""
        try:
            for data in done.images:
                sniff(data)
        except InvalidImage as error:
            fault = Malformed(f"{attempt.target.name} answered with something that is no picture: {error}")
            await self._held.give_up(attempt, fault)
            raise fault from error
        return Bought(attempt, done)

    async def _keep(self, attempt: OpenAttempt, done: Done) -> Hung | None:
        """The answer is kept before anything it says is believed: a small one beside the journal's row; large
        pictures as the files they become, written once and not twice; what cannot become one as it came."""
        means, hung = self._held.means, None
        small = sum(map(len, done.images)) <= SMALL_ANSWER
        if not small and not done.links:
            hung = await self._hung(attempt, done)
        data = _with_files(done, hung) if hung is not None else pack(done)
        self._held.small = small or hung is not None
        if not self._held.small or (hung is not None and means.store.shared):
            # A journal of our own has the names of the files at once; another one's answer takes a while,
            # in which a death would leave files that nobody knows of.
            synced = hung is None
            await self._held.steadily(lambda: means.blobs.keep(attempt.id, data, synced=synced), "answer")
        row = data if self._held.small else b""
        event = self._held.record.event("storing", "storing")
        await self._held.steadily(
            lambda: means.store.answered(attempt, self._held.epoch, row, [event]), "answer"
        )
        self._held.record.tell(event)
        return hung

    async def _hung(self, attempt: OpenAttempt, done: Done) -> Hung | None:
        """The pictures as synced files; None when they are to be kept as they came."""
        held = self._held

        async def save(data: bytes) -> str:
            return await held.steadily(lambda: held.means.blobs.put(data), "picture")

        try:
            return await hang(held.record.job, attempt.target, done, held.means.version, save)
        except InvalidImage:
            return None
        except StorageError:
            raise
        except Exception:  # noqa: BLE001 - whatever breaks in our own finishing, what was bought is kept
            _log.exception("the pictures of %s are kept as they came", attempt.id)
            return None


def _with_files(done: Done, hung: Hung) -> bytes:
    """The answer, with its pictures as the files that were made of them."""
    return pack(replace(done, images=()), tuple(image.digest for image in hung[0]))
