"""Drive one order to its end: submit, save the ticket, poll, report."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import structlog

from limner.core.errors import ProviderError, RateLimited, TimedOut, Unavailable
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Report, Ticket

_log = structlog.get_logger()
Save = Callable[[Ticket], Awaitable[None]]

_POLL_FAULTS = 8
"""Passing faults in a row while polling before the order is given up: about 25 s with the waits between."""
_FAULT_WAIT_S = 0.1
_CANCEL_GRACE_S = 10.0


@dataclass(frozen=True, slots=True)
class Order:
    """One order to drive. `deadline_at` is Unix seconds, counted from the first order of the job."""

    provider: Provider
    call: Call
    deadline_at: float
    canceled: asyncio.Event
    """Set when the user wants the order stopped."""
    ticket: Ticket | None = None
    """Given when the order was accepted before."""


async def drive(order: Order, save: Save, report: Report) -> Done:
    """The finished order.

    The ticket is saved before the first poll. A passing fault while polling is not a failure of the order
    and never places it again. Raises `ProviderError`. When `canceled` is set the vendor is told and the
    outcome still awaited, since what came is charged; cancelling the task leaves the vendor's order running.
    """
    saved = order.ticket
    outcome: Outcome
    outcome = await order.provider.submit(order.call) if saved is None else Pending(saved, after_s=0.0)
    told = False
    while isinstance(outcome, Pending):
        if outcome.ticket != saved:
            saved = outcome.ticket
            await save(saved)
        report(outcome)
        if order.canceled.is_set() and not told:
            told = True
            await _stop(order.provider, saved)
            order = replace(order, deadline_at=min(order.deadline_at, time.time() + _CANCEL_GRACE_S))
        if time.time() > order.deadline_at:
            await _stop(order.provider, saved)
            raise TimedOut("the order was not finished by its deadline and was stopped")
        await _pause(outcome.after_s, order.canceled, waking=not told)
        outcome = await _poll(order, saved)
    return outcome


async def _stop(provider: Provider, ticket: Ticket) -> None:
    """Ask the vendor to stop; that it could not be asked changes nothing about what is awaited."""
    try:
        await provider.cancel(ticket)
    except ProviderError as error:
        _log.warning("order could not be stopped", provider=provider.name, error=str(error))


async def _poll(order: Order, ticket: Ticket) -> Outcome:
    fault: ProviderError | None = None
    for nth in range(_POLL_FAULTS):
        try:
            return await order.provider.poll(ticket)
        except (Unavailable, RateLimited, TimedOut) as error:
            fault = error
            asked = error.after_s if isinstance(error, RateLimited) else 0.0
            await _pause(max(asked, _FAULT_WAIT_S * 2**nth), order.canceled, waking=False)
        if time.time() > order.deadline_at:
            break
    raise fault or TimedOut("the order was not finished by its deadline")


async def _pause(seconds: float, canceled: asyncio.Event, *, waking: bool) -> None:
    """Wait; a wish to cancel ends the wait early when `waking`."""
    if not waking or canceled.is_set():
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await canceled.wait()
    except TimeoutError:
        return
