"""One order as its provider gets it, and what it cost in the end."""

import logging
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from limner.core.money import from_micros, to_micros
from limner.jobs.means import Means
from limner.providers.base import Call, Done, Provider, Ticket
from limner.store.rows import OpenAttempt

_log = logging.getLogger(__name__)


def call_of(attempt: OpenAttempt, webhook: str | None = None) -> Call:
    """The order without the pictures it works on: enough to look for it."""
    target = attempt.target
    return Call(
        key=attempt.id,
        model=target.ref,
        request=target.request,
        dialect=target.dialect,
        at=attempt.submitted_at,
        webhook=webhook,
    )


async def sought(means: Means, provider: Provider, attempt: OpenAttempt) -> Ticket | None:
    """Look for the order at its vendor, among orders that may look like it. Raises as `Provider.find`."""
    return await provider.find(replace(call_of(attempt), others=await means.store.others(attempt)))


def price(attempt: OpenAttempt, done: Done, means: Means) -> Decimal | None:
    """What it cost, in whole micro-dollars: the vendor's figure, else by the vendor's count, else
    the quote; an unreadable figure never fails a picture."""
    usd = _told(attempt, done, means)
    return None if usd is None else from_micros(to_micros(usd))


def _told(attempt: OpenAttempt, done: Done, means: Means) -> Decimal | None:
    if done.cost_usd is None:
        counted = None if done.usage is None else means.settled(attempt.target, done.usage)
        return attempt.target.price_usd if counted is None else counted
    try:
        usd = Decimal(done.cost_usd)
    except InvalidOperation:
        usd = Decimal(-1)
    if usd.is_finite() and usd >= 0:
        return usd
    _log.warning("cost of attempt %s cannot be read: %.80r", attempt.id, done.cost_usd)
    return attempt.target.price_usd
