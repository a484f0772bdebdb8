"""What one session may spend: held before an order, corrected when its cost is known."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from decimal import Decimal

import anyio

from limner.core.errors import OverBudget
from limner.core.ids import uuid7
from limner.core.job import Job
from limner.core.money import FREE, show

DAY_S = 86_400.0
MAX_SESSIONS = 10_000
"""Sessions whose spending is remembered; they outlive the session, so that none is forgotten too early."""


@dataclass(slots=True)
class _Hold:
    usd: Decimal
    at: float
    open: bool = True
    """Its cost may still change."""


@dataclass(slots=True)
class Purse:
    """Orders of one session against its ceiling, in dollars; None bounds nothing. With `window_s`, what was
    ordered longer ago counts no more. Every order is placed under `lock`, one after the other."""

    ceiling: Decimal | None
    window_s: float | None = None
    lock: anyio.Lock = field(default_factory=anyio.Lock)
    _holds: dict[str, _Hold] = field(default_factory=dict)
    _keys: dict[str, str] = field(default_factory=dict)

    @property
    def spent(self) -> Decimal:
        """What all orders that count have cost, or may cost."""
        self._forget()
        return sum((one.usd for one in self._holds.values()), FREE)

    @property
    def left(self) -> Decimal | None:
        """What may still be spent."""
        return None if self.ceiling is None else max(FREE, self.ceiling - self.spent)

    @property
    def unsettled(self) -> tuple[str, ...]:
        """Jobs whose cost may still change."""
        return tuple(name for name, hold in self._holds.items() if hold.open)

    def knows(self, key: str | None) -> bool:
        """An order under this idempotency key is counted already."""
        return key is not None and key in self._keys

    def check(self, price: Decimal | None) -> None:
        """Raises `OverBudget` when an order at this price is not within the ceiling."""
        left = self.left
        if left is None:
            return
        if price is None:
            raise OverBudget(
                "nobody knows what this costs, and a session with a spending ceiling buys only at known "
                "prices; choose another model with list_models"
            )
        if price > left:
            raise OverBudget(
                f"this costs {show(price)}, and {_dollars(left)} of this session's ceiling of "
                f"{_dollars(self.ceiling)} are left; choose something cheaper, or ask the person who runs "
                "Limner to raise mcp_session_usd"
            )

    def hold(self, job_id: str, price: Decimal | None, key: str | None) -> None:
        """Count an order at its price until its cost is known."""
        self._holds.setdefault(job_id, _Hold(price or FREE, time.time()))
        if key is not None:
            self._keys[key] = job_id

    def hold_for_good(self, price: Decimal | None) -> None:
        """Count an order that nobody knows to have been placed, or not."""
        self._holds[uuid7()] = _Hold(price or FREE, time.time(), open=False)

    def settle(self, job: Job) -> None:
        """Count what the job has come to, if it is one of this session's."""
        held = self._holds.get(job.id)
        if held is None or not held.open:
            return
        held.usd = max(held.usd, job.ceiling_usd or FREE)  # a person may have agreed to a dearer price
        cost = job.receipt.cost_usd if job.receipt.attempts else FREE
        if job.final and cost is not None:
            held.usd, held.open = cost, any(one.undecided for one in job.receipt.attempts)

    def _forget(self) -> None:
        if self.window_s is None:
            return
        since = time.time() - self.window_s
        for name in [name for name, hold in self._holds.items() if hold.at < since]:
            del self._holds[name]


class Purses:
    """One for each session, kept by this process."""

    def __init__(self, ceiling: Decimal | None) -> None:
        self._ceiling = ceiling
        self._sessions: OrderedDict[str, Purse] = OrderedDict()
        self._callers: dict[str, Purse] = {}

    def of_session(self, session_id: str) -> Purse:
        """The purse of a session with an id of ours."""
        purse = self._sessions.setdefault(session_id, Purse(self._ceiling))
        self._sessions.move_to_end(session_id)
        if len(self._sessions) > MAX_SESSIONS:
            self._sessions.popitem(last=False)
        return purse

    def of_caller(self, by: str) -> Purse:
        """The purse of a caller whose protocol knows no sessions: what counts is the last 24 hours."""
        return self._callers.setdefault(by, Purse(self._ceiling, window_s=DAY_S))


def _dollars(usd: Decimal | None) -> str:
    """As `show`, but nothing left is `$0.00`, not free."""
    return show(usd) if usd else "$0.00"
