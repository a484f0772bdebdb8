"""A vendor's call: whose it is, and what it sets going. What it says of the outcome is never believed."""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace

from limner.core.errors import NotFound
from limner.jobs import inquiry
from limner.jobs.means import Means
from limner.providers.base import Provider
from limner.store.rows import OpenAttempt

_log = logging.getLogger(__name__)


async def heard(
    means: Means, provider: str, token: str, headers: Mapping[str, str], body: bytes
) -> OpenAttempt | None:
    """Wake whoever waits for the order; the order itself when it was given up and is to be looked up.

    A call that comes twice, late, out of turn or before the order's own answer does no harm. Raises
    `NotFound` for a token that no order has, and for a call without the vendor's signature where we can tell.
    """
    attempt = await means.store.hooked(token)
    if attempt is None or attempt.target.provider != provider:
        raise NotFound("no order waits for this call")
    vendor = means.provider(attempt.target)
    secret = means.hooks.secret(attempt.target.account)
    if not await vendor.verify(headers, body, secret, time.time()):
        _log.warning("a call about %s is not signed as %s signs; it is not heard", attempt.id, provider)
        raise NotFound("no order waits for this call")
    if attempt.state in ("submitting", "unknown") and attempt.ticket is None:
        ticket = vendor.told(attempt.target.ref, body)
        if ticket is not None:
            await means.store.hint(attempt, ticket)
            attempt = replace(attempt, ticket=ticket)
    means.hooks.called(attempt.id)
    return attempt if attempt.state == "unknown" else None


async def heard_at(
    means: Means, account: str, provider: Provider, headers: Mapping[str, str], body: bytes
) -> list[OpenAttempt] | None:
    """A vendor calls an account's one address about one of its orders. Wake whoever waits for the one with
    that ticket; what was given up is to be looked up. None when the call is not the vendor's.

    An order whose answer was lost has no ticket, and is not looked for sooner: such calls come about every
    order of the account, ours or not, and each look in vain would cost the lost one a try.
    """
    secret = means.hooks.secret(account)
    if secret is None or not await provider.verify(headers, body, secret, time.time()):
        return None
    ticket = provider.told("", body)
    if ticket is None:
        return []
    there = await means.store.unsettled(account)
    meant = [one for one in there if one.ticket is not None and one.ticket.get("id") == ticket["id"]]
    for one in meant:
        means.hooks.called(one.id)
    return [one for one in meant if one.state == "unknown"]


async def look_up(means: Means, attempt: OpenAttempt) -> None:
    """Ask about an order that was given up, since its vendor has called."""
    try:
        found = await inquiry.ask(means, attempt, "webhook")
    except Exception:  # noqa: BLE001 - a task of its own: the outermost edge
        _log.exception("order %s could not be looked up", attempt.id)
    else:
        _log.info("its vendor called about %s: %s", attempt.id, found.message)
