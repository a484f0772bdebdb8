"""Buy what a job asks for: finish the order that is open, else walk the route."""

import time
from dataclasses import replace

from limner.core.errors import (
    Canceled,
    OverBudget,
    ProviderError,
    RateLimited,
    TimedOut,
    Unavailable,
    Unknown,
)
from limner.core.quote import Target
from limner.jobs import ceiling, consent
from limner.jobs.ceiling import Ceiling
from limner.jobs.deadline import Overdue
from limner.jobs.holding import Holding, Undecided
from limner.jobs.kept import kept_answer
from limner.jobs.ordering import Ordering
from limner.jobs.orders import sought
from limner.jobs.reconcile import may_fall_back, next_step
from limner.jobs.walk import Bought, Failures, walk
from limner.providers.base import Provider, Recovery, Ticket
from limner.store.line import Full, overdue
from limner.store.rows import OpenAttempt


class Buying:
    """The buying of one holding. Raises `Undecided`, `Ask`, `Came`, `Canceled` and what planning raises."""

    def __init__(self, held: Holding) -> None:
        self._held = held
        self._ordering = Ordering(held)

    async def buy(self) -> Bought | Failures:
        """The answer that was bought, or what everybody said."""
        request = self._held.record.job.request
        if self._held.route is not None:
            return await walk(self._held.route.targets, request, self._place)
        outcome: Bought | Failures = Failures(())
        if self._held.open is not None:
            outcome = await self._resume(self._held.open)
        if isinstance(outcome, Bought) or outcome.repeatable:
            return outcome
        if self._held.canceled.is_set():
            raise Canceled(f"job {self._held.record.job.id} was cancelled")
        targets = ceiling.targets_for(self._held.means, self._held.record.job)
        for asked, error in outcome.said:
            targets = tuple(
                one
                for one in targets
                if one.name != asked.name and may_fall_back(error, one, request, free=asked.free)
            )
        targets = consent.may_follow(targets, self._held.record.tried, request.policy)
        lost = consent.unanswered(self._held.record.tried)
        if lost is not None and not targets and not outcome.said:
            raise Unknown(f"{lost.provider}/{lost.model} may have charged; nothing is bought in its place")
        walked = await walk(targets, request, self._place)
        return walked if isinstance(walked, Bought) else Failures((*outcome.said, *walked.said))

    async def _place(self, target: Target, why: str, followed: bool) -> Bought:
        if self._held.open is None:
            if self._held.canceled.is_set():
                raise Canceled(f"job {self._held.record.job.id} was cancelled")
            await self._held.look_what_came()
            Ceiling.of(self._held.record.job).check(target, self._held.record.job.request)
            self._held.open = await self._begin(target, why, followed=followed)
        return await self._ordering.order(self._held.open, None, followed=followed)

    async def _begin(self, target: Target, why: str, *, followed: bool) -> OpenAttempt:
        """The attempt is on disk before its order is sent."""
        tried = self._held.record.tried
        if self._held.deadline.left_s <= 0:
            if why == "first choice":
                raise Overdue(overdue(self._held.deadline.whole_s, self._held.record.job))
            raise Unavailable("not asked: the job's time is up")
        if not tried:
            self._held.deadline.restart()
        if tried and why == "first choice":
            why = consent.why(tried, self._held.record.job.request.policy)
        attempt = OpenAttempt(
            job_id=self._held.record.job.id,
            n=len(tried) + 1,
            target=target,
            why=why,
            submitted_at=time.time(),
            deadline_at=self._held.deadline.of_order(followed=followed),
            hook=self._held.means.hooks.token(self._held.means.provider(target)),
        )
        event = self._held.record.event("running", "running", f"{target.name}: {why}")
        self._held.be_patient(target)
        try:
            await self._held.steadily(
                lambda: self._held.means.store.begin(attempt, self._held.epoch, [event]), "attempt"
            )
        except (Full, OverBudget):
            self._held.record.take_back(event)
            raise
        self._held.record.tell(event)
        self._held.record.note(attempt)
        return attempt

    async def _resume(self, attempt: OpenAttempt) -> Bought | Failures:
        """Finish what was left open, before anything new is planned."""
        means = self._held.means
        try:
            kept = await kept_answer(means.store, means.blobs, attempt.id)
            if kept is not None:
                self._held.small = kept.in_journal
                return await self._ordering.fetched(attempt, kept.done)
            provider = self._held.means.provider(attempt.target)
            match next_step(attempt, provider.recovery):
                case "poll" if attempt.state == "submitting":
                    # Its own answer is lost; the vendor has called since.
                    return await self._ordering.order(replace(attempt, how="webhook"), attempt.ticket)
                case "poll" | "submit":
                    return await self._ordering.order(replace(attempt, how="resumed"), attempt.ticket)
                case "find":
                    ticket = await self._find(provider, attempt)
                    if ticket is None and provider.recovery is Recovery.NAMED:
                        # It never arrived; if it did after all, its own name refuses the second one.
                        return await self._ordering.order(replace(attempt, how="same-key"), None)
                    if ticket is None:
                        self._wait_for_the_vendor(attempt, provider)
                        raise Unavailable(f"{attempt.target.name}: the order never arrived: it is not listed")
                    if provider.recovery is Recovery.TICKETED:
                        # Kept before it is asked by, so that a later order of the job is not taken for it.
                        await self._held.steadily(lambda: means.store.hint(attempt, ticket), "ticket")
                    return await self._ordering.order(replace(attempt, how="list"), ticket)
                case "unknown":
                    if attempt.hook is not None:
                        self._wait_for_the_vendor(attempt, provider)
                    raise Unknown(
                        f"{attempt.target.name}: the answer was lost and cannot be asked for again; "
                        "it counts as charged"
                    )
        except ProviderError as error:
            if self._held.open is not None:
                await self._held.give_up(attempt, error)
            return Failures(((attempt.target, error),))

    def _wait_for_the_vendor(self, attempt: OpenAttempt, provider: Provider) -> None:
        """Raises `Undecided` while the order may still turn up in the list, or the vendor still call."""
        now = time.time()
        left_s = self._held.means.looks.known_in_s(attempt, provider, now)
        if left_s > 0:
            said = f"{attempt.target.name}: the order's answer was lost, and it has not turned up yet"
            raise Undecided(said, now + left_s)

    async def _find(self, provider: Provider, attempt: OpenAttempt) -> Ticket | None:
        """Is the order there? Any failure to ask leaves the question open."""
        try:
            return await sought(self._held.means, provider, attempt)
        except (Unavailable, RateLimited, TimedOut) as error:
            raise Undecided(f"{attempt.target.name} cannot be asked about the order: {error}") from error
        except ProviderError as error:
            raise Unknown(f"{attempt.target.name} cannot be asked about the order: {error}") from error
