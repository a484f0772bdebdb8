"""A vendor in this process: it does what its script says and keeps its own bill."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from datetime import date
from decimal import Decimal
from functools import cache
from io import BytesIO
from typing import ClassVar

from PIL import Image

from limner.app import Limner
from limner.catalog.model import Model, Price, Sizes, Steps
from limner.config import Settings
from limner.core.errors import ProviderError
from limner.core.events import Ended, JobEvent
from limner.core.job import Job
from limner.core.quote import Target
from limner.core.request import GenerateRequest
from limner.providers.base import Call, Done, Health, Outcome, Pending, Provider, Recovery, Ticket
from limner.store.database import Database
from limner.store.store import Store


@cache
def png(width=64, height=64, colour="teal", fmt="PNG"):
    out = BytesIO()
    Image.new("RGB", (width, height), colour).save(out, fmt)
    return out.getvalue()


class Desk:
    """What a vendor was asked and what it answers. An answer is an outcome, an error to raise, or an async
    function of the call or ticket; the last one is given again and again."""

    def __init__(self, submits=None, polls=None, find=None, probe=None):
        self.submits = list(submits or [Done((png(),))])
        self.polls = list(polls or [Done((png(),))])
        self.found = find
        self.health = probe or Health(ok=True)
        self.bill: list[str] = []
        self.polled: list[Ticket] = []
        self.canceled: list[Ticket] = []
        self.calls: list[Call] = []
        self.sought: list[str] = []


class Vendor(Provider):
    """One provider whose desk is set by a subclass; see `vendor`."""

    name: ClassVar[str] = "easel"
    base_url: ClassVar[str] = "http://127.0.0.1:9/"
    recovery: ClassVar[Recovery] = Recovery.TICKETED
    needs_key: ClassVar[bool] = False
    timeout_s: ClassVar[float] = 0.0
    lag_s: ClassVar[float] = 0.0
    desk: ClassVar[Desk]

    async def submit(self, call: Call) -> Outcome:
        self.desk.bill.append(call.key)
        self.desk.calls.append(call)
        return await _said(self.desk.submits, call)

    async def poll(self, ticket: Ticket) -> Outcome:
        self.desk.polled.append(ticket)
        return await _said(self.desk.polls, ticket)

    async def find(self, call: Call) -> Ticket | None:
        self.desk.sought.append(call.key)
        if isinstance(self.desk.found, ProviderError):
            raise self.desk.found
        return self.desk.found

    async def cancel(self, ticket: Ticket) -> None:
        self.desk.canceled.append(ticket)

    async def probe(self) -> Health:
        if isinstance(self.desk.health, ProviderError):
            raise self.desk.health
        return self.desk.health


async def _said(answers: list, about) -> Outcome:
    answer = answers.pop(0) if len(answers) > 1 else answers[0]
    if callable(answer):
        answer = await answer(about)
    if isinstance(answer, Exception):
        raise answer
    return answer


def vendor(desk: Desk, name="easel", recovery=Recovery.TICKETED) -> type[Vendor]:
    return type(name.title(), (Vendor,), {"name": name, "recovery": recovery, "desk": desk})


def queued(number="7", fraction=None) -> Pending:
    return Pending({"id": number}, after_s=0.0, fraction=fraction)


def done(count=1) -> Done:
    return Done(tuple(png(colour=colour) for colour in ("teal", "navy", "olive")[:count]))


async def never(_about):
    """An answer that does not come."""
    await asyncio.Event().wait()


def model(provider="easel", usd: str | None = "0.04", **changes) -> Model:
    price = None
    if usd is not None:
        price = Price(usd=Decimal(usd), unit="image", source="a test", read_on=date(2026, 1, 1))
    fields = {
        "id": f"{provider}-model",
        "name": provider.title(),
        "description": "A model of a test.",
        "provider": provider,
        "ref": f"{provider}/one",
        "tier": "standard",
        "sizes": Sizes(default=(64, 64), max_side=1024),
        "steps": Steps(default=12, max=30, fast=8, standard=12, quality=20, ultra=30),
        "guidance": 4.0,
        "max_count": 4,
        "styles": ("flat",),
        "price": price,
    }
    return Model(**fields | changes)


def target(provider, usd="0.04") -> Target:
    price = None if usd is None else Decimal(usd)
    return Target(
        model="m",
        provider=provider,
        account=provider,
        ref="m",
        tier="fast",
        request=request(),
        price_usd=price,
        seconds=None,
    )


def settings(home, **changes) -> Settings:
    return Settings(**{"home": home, "concurrency": 4, "deadline_s": 60.0} | changes)


def limner(home, *kinds: type[Provider], models: Sequence[Model] | None = None, **changes) -> Limner:
    """Limner at `home` with these vendors only; without `models` each has one at 4 cents."""
    catalog = [model(kind.name) for kind in kinds] if models is None else models
    return Limner(settings(home, **changes), providers={kind.name: kind for kind in kinds}, models=catalog)


def request(**changes) -> GenerateRequest:
    return GenerateRequest(**{"prompt": "a red fox", "seed": 7} | changes)


async def messages(app: Limner, job_id: str, after=0) -> list:
    async with app.watch(job_id, after) as following:
        return [one async for one in following]


def kinds_of(heard: Sequence) -> list[str]:
    """Types of the stored events, and `end` for the last message."""
    return [
        one.type if isinstance(one, JobEvent) else "end" for one in heard if isinstance(one, JobEvent | Ended)
    ]


async def states(app: Limner, job_id: str) -> list[str]:
    return [event.type for event in await app._now.store.events(job_id, 0)]


async def until(condition, patience_s=10.0):
    """Wait for a condition, an async function or a plain one; patience is a bound for a hanging test only."""
    async with asyncio.timeout(patience_s):
        while True:
            met = condition()
            if asyncio.iscoroutine(met):
                met = await met
            if met:
                return
            await asyncio.sleep(0.005)


def rows(home, sql: str) -> list[tuple]:
    """Straight from the file, past Limner."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(home / "limner.db")) as connection:
        return connection.execute(sql).fetchall()


def ledger(home) -> list[tuple[str, int]]:
    return rows(home, "SELECT kind, micros FROM ledger ORDER BY id")


def asked(job: Job) -> tuple[str, str | None, str | None]:
    """The job's state, what a person is asked about, and what became of its last order."""
    reason = None if job.confirmation is None else job.confirmation.reason
    error = job.receipt.attempts[-1].error if job.receipt.attempts else None
    return job.state, reason, None if error is None else error.code


def receipt(job: Job) -> list[tuple[str, str, str]]:
    """Who was asked, what came of it, and how that was learnt."""
    return [(one.provider, one.state, one.how) for one in job.receipt.attempts]


@asynccontextmanager
async def opened(home, owner="me"):
    """A store of a fresh or existing file, without a worker."""
    from limner.store.migrate import migrate

    database = Database(f"sqlite:///{home / 'limner.db'}")
    try:
        migrate(database)
        database.start()
        yield Store(database, owner=owner)
    finally:
        database.close()
