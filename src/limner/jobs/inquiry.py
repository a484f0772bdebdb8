"""Asks vendors what became of orders whose outcome is unknown, and takes what is found."""

import asyncio
import time
from dataclasses import replace

from limner.core.errors import (
    LimnerError,
    NoRoute,
    ProviderError,
    Refused,
    Rejected,
    StorageError,
    Unknown,
)
from limner.core.job import Decision, How
from limner.core.lost import AskedBy, Finding, LostOrder, Outcome
from limner.core.money import from_micros
from limner.imaging.sniff import InvalidImage
from limner.jobs import late
from limner.jobs.kept import kept_answer
from limner.jobs.means import Means
from limner.jobs.orders import sought
from limner.jobs.reconcile import listed_by
from limner.jobs.record import failure
from limner.providers.base import Done, Pending, Provider, Recovery, Ticket
from limner.store.consent import Lost
from limner.store.rows import OpenAttempt

_AT_ONCE = 8
_PROMPT = 80
"""Characters of a prompt that a list shows."""


async def lost_orders(means: Means) -> tuple[LostOrder, ...]:
    """Every order whose outcome is unknown, oldest first."""
    found = await means.store.lost()
    jobs = {one.attempt.job_id for one in found}
    read = {job_id: await means.store.job(job_id) for job_id in sorted(jobs)}
    return tuple(_shown(means, one, read[one.attempt.job_id].choices) for one in found)


async def ask_all(means: Means) -> tuple[Finding, ...]:
    """Ask about every one of them, a few at a time. Raises `StorageError`, once all are asked."""
    room = asyncio.Semaphore(_AT_ONCE)

    async def asked(attempt: OpenAttempt) -> Finding | StorageError:
        async with room:
            try:
                return await ask(means, attempt)
            except StorageError as error:
                return error

    async with asyncio.TaskGroup() as asking:
        tasks = [asking.create_task(asked(one.attempt)) for one in await means.store.lost()]
    found: list[Finding] = []
    for one in tasks:
        said = one.result()
        if isinstance(said, StorageError):
            raise said
        found.append(said)
    return tuple(found)


async def ask(means: Means, attempt: OpenAttempt, how: How | None = None) -> Finding:
    """Learn what became of one order, and take it: its pictures, or that nothing was charged."""
    try:
        learnt, by = await _learnt(means, attempt)
    except (Rejected, Refused) as error:
        if error.billed == "no":
            return await _cleared(means, attempt, error)
        return _finding(attempt, "silent", str(error))
    except LimnerError as error:
        return _finding(attempt, "silent", str(error))
    if learnt is None:
        return await _cleared(means, attempt, Rejected("the vendor certainly has no such order"))
    if isinstance(learnt, Pending):
        return _finding(attempt, "working", "the vendor is still at work on it")
    try:
        job = await late.take(means, replace(attempt, how=how or by), learnt)
    except (InvalidImage, LimnerError) as error:
        return _finding(attempt, "silent", f"what came cannot be taken: {error}")
    if job is None:
        return _finding(attempt, "silent", "somebody else has settled it meanwhile")
    await late.tell(means, job)
    return _finding(attempt, "found", f"{len(learnt.images) or len(learnt.links)} pictures")


async def _cleared(means: Means, attempt: OpenAttempt, error: ProviderError) -> Finding:
    job = await means.store.clear(attempt, failure(error), time.time())
    if job is None:
        return _finding(attempt, "silent", "somebody else has settled it meanwhile")
    await late.tell(means, job)
    return _finding(attempt, "not_charged", str(error))


async def _learnt(means: Means, attempt: OpenAttempt) -> tuple[Done | Pending | None, How]:
    """The answer and how it was learnt; None when there certainly is no such order. Raises `ProviderError`
    where asking tells nothing, and `NoRoute` where the account is gone."""
    kept = await kept_answer(means.store, means.blobs, attempt.id)
    if kept is not None:
        return kept.done, "direct"
    provider = means.provider(attempt.target)
    if attempt.ticket is not None:
        return await provider.poll(attempt.ticket), "resumed"
    ticket = await _sought(means, provider, attempt)
    if ticket is None:
        return None, "list"
    await means.store.hint(attempt, ticket)
    return await provider.poll(ticket), "list"


async def _sought(means: Means, provider: Provider, attempt: OpenAttempt) -> Ticket | None:
    """Look for an order that has no ticket. Raises `Unknown` where not finding it says nothing."""
    if provider.recovery is Recovery.BLIND:
        raise Unknown(f"{provider.name} cannot be asked about an order whose answer is lost")
    ticket = await sought(means, provider, attempt)
    if ticket is not None:
        return ticket
    if provider.recovery is Recovery.NAMED:
        raise Unknown(f"{provider.name} does not know the order, or not any more")
    if time.time() < listed_by(attempt, provider):
        raise Unknown(f"{provider.name} does not list the order yet; ask again in a minute")
    return None


def _finding(attempt: OpenAttempt, outcome: Outcome, message: str) -> Finding:
    return Finding(job_id=attempt.job_id, n=attempt.n, outcome=outcome, message=message)


def _shown(means: Means, one: Lost, choices: tuple[Decision, ...]) -> LostOrder:
    attempt, target = one.attempt, one.attempt.target
    return LostOrder(
        job_id=attempt.job_id,
        n=attempt.n,
        job_state=one.job_state,
        provider=target.provider,
        account=target.account,
        model=target.model,
        amount_usd=None if one.price is None else from_micros(one.price),
        submitted_at=attempt.submitted_at,
        prompt=one.prompt[:_PROMPT],
        message=one.error.message if one.error else "",
        asked_by=_asked_by(means, attempt),
        choices=choices if one.decided is None else (),
        decided=one.decided,
    )


def _asked_by(means: Means, attempt: OpenAttempt) -> AskedBy:
    if attempt.ticket is not None:
        return "ticket"
    try:
        recovery = means.provider(attempt.target).recovery
    except NoRoute:
        return "nothing"
    match recovery:
        case Recovery.NAMED:
            return "id"
        case Recovery.TICKETED:
            return "list"
        case Recovery.BLIND:
            return "nothing"
