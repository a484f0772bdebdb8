"""Answers that come after their order was given up: the picture is kept, and the money booked as it was.

A late answer beats `unknown` whoever holds the job, so nothing here is fenced by a lease.
"""

import time
from dataclasses import replace

from limner.core.events import Ended
from limner.core.job import Decided, Job
from limner.core.money import to_micros
from limner.imaging.sniff import InvalidImage
from limner.jobs.answer import pack
from limner.jobs.ceiling import overcharged
from limner.jobs.hang import hang, show
from limner.jobs.means import Means
from limner.jobs.orders import price
from limner.providers.base import Done
from limner.store.consent import Late
from limner.store.rows import OpenAttempt


async def take(means: Means, attempt: OpenAttempt, done: Done, decided: Decided | None = None) -> Job | None:
    """Keep what a lost order brought, and book it; None when somebody else has done so or decided before.

    Raises `InvalidImage` when it holds no picture, what fetching its addresses raises, and `StorageError`;
    each leaves the order unknown, with the answer kept.
    """
    if decided is None:  # a person's file is at hand until it was taken
        done = await _kept_whole(means, attempt, done)
    if not done.images:
        raise InvalidImage("it holds none")

    job = await means.store.job(attempt.job_id)
    images, notes = await hang(job, attempt.target, done, means.version, means.blobs.put)
    await show(means.blobs, images)
    cost = price(attempt, done, means) if decided is None else attempt.target.price_usd
    _, over = overcharged(cost, job.ceiling_usd)
    micros = None if cost is None else to_micros(cost)
    late = Late(attempt, images, (*notes, *over), micros, time.time(), decided)
    taken = await means.store.settle_late(late)
    if taken is not None:  # else whoever goes on with the order finds the answer there
        await means.blobs.drop(attempt.id)
    return taken


async def tell(means: Means, job: Job) -> None:
    """Tell those who watch the job here what was written without a worker; they drop what they have seen."""
    for event in await means.store.events(job.id, 0):
        means.hub.publish(job.id, event)
    if job.resting:
        means.hub.publish(job.id, Ended(job))


async def _kept_whole(means: Means, attempt: OpenAttempt, done: Done) -> Done:
    """On disk before anything in it is looked at, then with the pictures its addresses name."""
    await means.blobs.keep(attempt.id, pack(done))
    if not done.links:
        return done
    host = means.provider(attempt.target).wire.host
    images = [await means.fetch(link, host) for link in done.links]
    whole = replace(done, images=(*done.images, *images), links=())
    await means.blobs.keep(attempt.id, pack(whole))
    return whole
