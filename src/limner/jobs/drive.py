"""Drive one order to its end: submit, save the ticket, poll, report."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from limner.core.errors import (
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Report, Ticket

_log = logging.getLogger(__name__)
Save = Callable[[Ticket], Awaitable[None]]

_POLL_FAULTS = 8
"""Passing faults in a row while polling before a free order is given up: about 11 s with the waits."""
_FAULT_WAIT_S = 0.1
_LONGEST_FAULT_WAIT_S = 5.0
_CANCEL_GRACE_S = 10.0
_LAST_WORD_S = 5.0
_RESUME_GRACE_S = 30.0
"""An accepted order that outlived its worker is asked for at least this long, however late it is."""


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
    paid: bool = True
    """Then faults while polling are waited out until the deadline: they say nothing about what was bought."""
    called: asyncio.Event | None = None
    """Set when the vendor has called about the order: it is asked at once."""


async def drive(order: Order, save: Save, report: Report) -> Done:
    """The finished order.

    The ticket is saved before the first poll. A passing fault while polling is not a failure of the order
    and never places it again. Raises `ProviderError`. When `canceled` is set the vendor is told and the
    outcome still awaited, since what came is charged; cancelling the task leaves the vendor's order running.
    """
    saved = order.ticket
    outcome: Outcome
    # From here on a clock that is set ends nothing early and keeps nothing alive.
    ends = time.monotonic() + order.deadline_at - time.time()
    if saved is None:
        outcome = await _submitted(order)
    else:
        outcome = Pending(saved, after_s=0.0)
        ends = max(ends, time.monotonic() + _RESUME_GRACE_S)
    told = False
    faults = 0
    while isinstance(outcome, Pending):
        if outcome.ticket != saved:
            saved = outcome.ticket
            await save(saved)
        report(outcome)
        if order.canceled.is_set() and not told:
            told = True
            await _stop(order.provider, saved)
            ends = min(ends, time.monotonic() + _CANCEL_GRACE_S)
        if time.monotonic() > ends:
            await _stop(order.provider, saved)
            return await _last_word(order, saved)
        left_s = max(0.0, ends - time.monotonic())
        await _until_called(
            order.called, _pause(min(outcome.after_s, left_s), order.canceled, waking=not told)
        )
        try:
            outcome = await order.provider.poll(saved)
            faults = 0
        except (Unavailable, RateLimited, TimedOut, Unauthorized) as fault:
            faults += 1
            if faults == _POLL_FAULTS and not order.paid:
                raise
            outcome = Pending(saved, _wait_s(fault, faults))
    return outcome


async def _submitted(order: Order) -> Outcome:
    """The order placed, or given up waiting for at the deadline: it may have arrived."""
    try:
        async with asyncio.timeout(max(1.0, order.deadline_at - time.time())):
            return await order.provider.submit(order.call)
    except TimeoutError as error:
        raise TimedOut("the provider did not answer by the deadline") from error


async def _stop(provider: Provider, ticket: Ticket) -> None:
    """Ask the vendor to stop; that it could not be asked changes nothing about what is awaited."""
    try:
        await provider.cancel(ticket)
    except ProviderError as error:
        _log.warning("order at %s could not be stopped: %s", provider.name, error)


async def _last_word(order: Order, ticket: Ticket) -> Done:
    """What a stopped order came to. Raises `Refused`, or `TimedOut`, which is not charged where the vendor
    says so."""
    said = "the order was not finished by its deadline and was stopped"
    try:
        async with asyncio.timeout(_LAST_WORD_S):
            outcome = await order.provider.poll(ticket)
    except Refused:
        raise
    except Rejected as error:
        raise TimedOut(f"{said}: {error}", billed=error.billed if order.paid else "maybe") from error
    except (ProviderError, TimeoutError) as error:
        raise TimedOut(said) from error
    if isinstance(outcome, Done):
        return outcome
    raise TimedOut(said)


def _wait_s(fault: ProviderError, nth: int) -> float:
    """Seconds after the nth passing fault in a row."""
    asked = fault.after_s if isinstance(fault, RateLimited) else 0.0
    return max(asked, min(_LONGEST_FAULT_WAIT_S, _FAULT_WAIT_S * 2.0 ** min(nth - 1, 10)))


async def _until_called(called: asyncio.Event | None, pause: Coroutine[None, None, None]) -> None:
    """Pause, until the vendor calls at the latest."""
    if called is None:
        await pause
        return
    async with asyncio.TaskGroup() as waiting:
        pausing, hearing = waiting.create_task(pause), waiting.create_task(called.wait())
        await asyncio.wait((pausing, hearing), return_when=asyncio.FIRST_COMPLETED)
        pausing.cancel()
        hearing.cancel()
    called.clear()


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
