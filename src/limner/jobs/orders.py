"""One order as its provider gets it, and what it cost in the end."""

import logging
from decimal import Decimal, InvalidOperation

from limner.core.money import from_micros, to_micros
from limner.jobs.means import Means
from limner.providers.base import Call, Done
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
