"""Vendors of every recovery class that keep one bill, and witness what they are asked for."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Literal, get_args

from limner.core.errors import (
    Lost,
    Malformed,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unavailable,
    Unknown,
)
from limner.providers.base import Call, Done, Outcome, Pending, Provider, Recovery, Ticket
from tests.fakes import Desk, png, rows, vendor

Reception = Literal[
    "works",
    "refuses",
    "refuses and charges",
    "rejects",
    "limits",
    "is away",
    "loses the order",
    "loses the answer",
    "garbles the answer",
    "hangs without the order",
    "hangs with the order",
]
RECEPTIONS: tuple[Reception, ...] = get_args(Reception)
Listing = Literal["whole", "away", "several look alike"]
LISTINGS: tuple[Listing, ...] = get_args(Listing)

RECOVERIES = {
    "blind": Recovery.BLIND,
    "ticketed": Recovery.TICKETED,
    "named": Recovery.NAMED,
    "free": Recovery.BLIND,
}
PRICES = {"blind": "0.04", "ticketed": "0.05", "named": "0.06", "free": "0"}
CHARGES = {"blind": None, "ticketed": "0.03", "named": None, "free": None}
"""What a vendor says it took, where it says so."""


def charged(name: str) -> int:
    """Micro-dollars that one picture costs there."""
    return int(Decimal(CHARGES[name] or PRICES[name]) * 1_000_000)


@dataclass
class World:
    """What all vendors know. A rule sets how the next order is received; then they work again."""

    home: Path
    reception: Reception = "works"
    listing: Listing = "whole"
    slow: bool = False
    """Whoever asks is told to come again."""
    forgetful: bool = False
    """Tickets are not known any more."""
    bill: Counter[str] = field(default_factory=Counter)
    """Charges by order."""
    barren: set[str] = field(default_factory=set)
    """Orders that were charged and refused."""
    vendor_of: dict[str, str] = field(default_factory=dict)
    agreed: Counter[str] = field(default_factory=Counter)
    """How often a person or the policy let a job be bought again."""
    hooks: list[tuple[str, str]] = field(default_factory=list)
    """Calls that the vendors may make: provider and token."""
    broken: list[str] = field(default_factory=list)
    """What the vendors saw that must not be."""
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def kinds(self) -> dict[str, type[Provider]]:
        """The providers' classes."""
        return {name: self._kind(name) for name in RECOVERIES}

    def heal(self) -> None:
        """Everybody is well, and tells all there is to tell."""
        self.reception, self.listing, self.slow, self.forgetful = "works", "whole", False, False
        self.release()

    def release(self) -> None:
        """Orders that hang come to their end."""
        self.released.set()
        self.released = asyncio.Event()

    def paid(self, job_id: str) -> list[str]:
        """Orders of a job that were charged for a picture."""
        return [key for key in self.bill if key.startswith(job_id) and key not in self.barren]

    def _kind(self, name: str) -> type[Provider]:
        world = self

        async def submit(call: Call) -> Outcome:
            return await world._received(name, call)

        kind = vendor(Desk([submit], [self._asked]), name, RECOVERIES[name])

        async def find(_self: Provider, call: Call) -> Ticket | None:
            return world._sought(call)

        kind.find = find  # type: ignore[method-assign]  # a vendor that looks its orders up in this world
        kind.webhooks = name == "ticketed"
        return kind

    async def _received(self, name: str, call: Call) -> Outcome:
        self._witness(call.key)
        self.vendor_of[call.key] = name
        if call.webhook:
            self.hooks.append((name, call.webhook.rsplit("/", 1)[1]))
        reception, self.reception = self.reception, "works"
        match reception:
            case "refuses":
                raise Refused("not that")
            case "refuses and charges":
                self._charge(name, call.key)
                self.barren.add(call.key)
                raise Refused("not that", billed="maybe" if name == "free" else "yes")
            case "rejects":
                raise Rejected("not so")
            case "limits":
                raise RateLimited("slowly", after_s=0.0)
            case "is away":
                raise Unavailable("away")
            case "loses the order":
                raise TimedOut("no answer")
            case "hangs without the order":
                await self.released.wait()
                raise TimedOut("no answer")
            case "loses the answer":
                self._charge(name, call.key)
                raise TimedOut("no answer")
            case "garbles the answer":
                self._charge(name, call.key)
                raise Malformed("no words")
            case "hangs with the order":
                self._charge(name, call.key)
                await self.released.wait()
            case "works":
                self._charge(name, call.key)
        return self._answer(name) if RECOVERIES[name] is Recovery.BLIND else Pending({"id": call.key}, 0.0)

    def _witness(self, key: str) -> None:
        """An order is in the journal, open, before it is sent."""
        found = rows(self.home, f"SELECT state FROM attempts WHERE id = '{key}'")
        if found != [("submitting",)]:
            self.broken.append(f"{key} was sent while the journal said {found}")

    def _charge(self, name: str, key: str) -> None:
        if name == "free" or (RECOVERIES[name] is Recovery.NAMED and key in self.bill):
            return  # the second order under a name is the first one
        self.bill[key] += 1
        job_id = key.rsplit("-", 1)[0]
        if len(self.paid(job_id)) > 1 + self.agreed[job_id]:
            self.broken.append(f"{key} was bought in the place of {self.paid(job_id)}, and nobody agreed")

    async def _asked(self, ticket: Ticket) -> Outcome:
        key = str(ticket["id"])
        if self.forgetful:
            raise Lost(f"no order {key}")
        return Pending(ticket, 0.01) if self.slow else self._answer(self.vendor_of[key])

    def _sought(self, call: Call) -> Ticket | None:
        match self.listing:
            case "away":
                raise Unavailable("no list now")
            case "several look alike":
                raise Unknown("several look alike")
            case "whole":
                return {"id": call.key} if self.bill[call.key] and call.key not in self.barren else None

    @staticmethod
    def _answer(name: str) -> Done:
        return Done((png(),), cost_usd=CHARGES[name])
