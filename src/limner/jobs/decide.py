"""What a person says about a job that asks, carried out."""

import time
from dataclasses import replace

from limner.core.errors import Conflict, InvalidRequest
from limner.core.events import JobEvent
from limner.core.job import Decided, Decision, Job
from limner.core.money import show, to_micros
from limner.imaging.sniff import InvalidImage
from limner.jobs import late
from limner.jobs.means import Means
from limner.providers.base import Done
from limner.store import consent
from limner.store.rows import OpenAttempt


async def decide(means: Means, job_id: str, decision: Decision, by: str, picture: bytes | None) -> Job:
    """Once, and at once on disk: the same word of the same person, said again, is answered with the job as it
    is now. `picture` comes with `delivered` and with nothing else.

    Raises `NotFound`, `InvalidRequest`, `Conflict` and `StorageError`.
    """
    decided = Decided(decision=decision, by=by, at=time.time())
    if (picture is None) == (decision == "delivered"):
        said = "needs the picture that came" if picture is None else "takes no picture"
        raise InvalidRequest(f"{decision} {said}", "picture")
    match decision:
        case "accept":
            job = await _accepted(means, job_id, decided)
        case "pay_again" | "write_off" | "cancel":
            job = await means.store.decide(job_id, decided)
        case "delivered":
            job = await _delivered(means, job_id, decided, picture or b"")
    await late.tell(means, job)
    return job


async def _accepted(means: Means, job_id: str, decided: Decided) -> Job:
    """The price that was told is the new ceiling."""
    job = await means.store.job(job_id)
    if consent.said_before(job, decided):
        return job
    consent.check(job, decided)
    told = None if job.confirmation is None else job.confirmation.price_usd
    said = f"{show(told)} accepted, says {decided.by}"
    event = JobEvent(job_id=job_id, seq=1, type="decided", state="queued", at=decided.at, message=said)
    return await means.store.accept_price(
        job_id, None if told is None else to_micros(told), event, decided.by
    )


async def _delivered(means: Means, job_id: str, decided: Decided, picture: bytes) -> Job:
    """The picture is hung like any other; its order is charged as it was reserved."""
    job = await means.store.job(job_id)
    if consent.said_before(job, decided):
        return job
    consent.check(job, decided)
    attempt = await _undecided(means, job)
    try:
        taken = await late.take(means, attempt, Done((picture,)), decided)
    except InvalidImage as error:
        raise InvalidRequest(f"what was delivered is no picture: {error}", "picture") from error
    if taken is None:
        raise Conflict(f"job {job_id}: the lost order was settled meanwhile")
    return taken


async def _undecided(means: Means, job: Job) -> OpenAttempt:
    """The order that the job asks about, to be learnt of from a person."""
    n = max(one.n for one in job.receipt.attempts if one.undecided)
    lost = await means.store.lost()
    found = [one.attempt for one in lost if (one.attempt.job_id, one.attempt.n) == (job.id, n)]
    if not found:
        raise Conflict(f"job {job.id}: the lost order was settled meanwhile")
    return replace(found[0], how="person")
