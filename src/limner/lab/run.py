"""One run: vendors, processes, customers and havoc; then quiet, and a look at what is left."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

import aiohttp

from limner.app import Limner
from limner.core.job import Failure
from limner.core.lost import Reconciled
from limner.lab.crew import Crew
from limner.lab.customers import Customers
from limner.lab.doors import Door
from limner.lab.facts import Facts, read
from limner.lab.havoc import Havoc, Post, storms
from limner.lab.house import House
from limner.lab.invariants import Expected, violations
from limner.lab.orders import Mix, Wish, orders, recoveries
from limner.lab.peek import OPEN, Peek
from limner.lab.postgres import Cluster
from limner.lab.report import Figures, counted
from limner.lab.vendors import Account, Vendors

Tell = Callable[[str], None]
Backend = Literal["sqlite", "postgres"]

_AHEAD = 80
"""Orders that may be placed before the first kill."""
_AT_ONCE = 12
_PATIENCE_S = 420.0
_ASKING_S = 240.0
_EMPTY = (b"", b"{}", b"\xff", b'{"status": "succeeded"}')
_FORGED = b'{"id": "forged", "request_id": "forged", "status": "succeeded"}'
_EXCUSED = ("is full; free some space", "storage refuses the", "cannot be reached: ")
"""Errors that a full disk or a database out of reach brings into the log."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to be."""

    seed: int
    jobs: int
    kills: int = 0
    database: Backend = "sqlite"
    name: str = "havoc"
    mix: Mix = field(default_factory=Mix)
    schedule: str = ""
    """Faults by chance, as `limner simulate --faults` takes them."""
    stormy: bool = True
    """Clocks jump and disks are full."""
    decide: bool = True
    """In the end a person answers some of the jobs that ask."""
    per_s: float | None = None
    """Orders per second; None is as fast as they are taken."""
    speed: float = 200.0
    tables: str = ""
    """More of limner.toml."""
    more: dict[str, str] = field(default_factory=dict)
    """Variables for every process."""
    doors: tuple[str, ...] = ()
    """Vendors whose address can be closed."""


@dataclass(slots=True)
class Run:
    """What belongs together while a plan is carried out."""

    plan: Plan
    house: House
    vendors: Vendors
    havoc: Havoc
    customers: Customers
    peek: Peek
    tell: Tell
    wishes: list[Wish]
    posted: Counter[str] = field(default_factory=Counter)
    consented: set[str] = field(default_factory=set)
    doors: dict[str, Door] = field(default_factory=dict)
    found_late: int = 0
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


async def experiment(plan: Plan, folder: Path, tell: Tell = lambda _said: None) -> Figures:
    """Carry it out in an empty folder. Raises `SetupError` where this machine lacks what it needs."""
    began = time.monotonic()
    async with set_up(plan, folder, tell) as run:
        await _busy(run)
        tell("everything is ordered; now it is quiet, and all must come to rest")
        waiting = Counter(await run.vendors.waiting())
        await rest(run)
        facts = await facts_of(run)
        simulator = [f"the simulator made a mistake: {one}" for one in await run.vendors.mistakes()]
    return figures_of(run, facts, waiting, [*run.wrong, *simulator], time.monotonic() - began)


@asynccontextmanager
async def set_up(plan: Plan, folder: Path, tell: Tell) -> AsyncIterator[Run]:
    """Everything is there, and nobody is started yet."""
    async with (
        _database(plan, folder) as cluster,
        _vendors(plan, folder) as vendors,
        _doors(plan, vendors) as doors,
    ):
        house = House(folder, "" if cluster is None else cluster.url("runner"), dict(plan.more))
        accounts = [_behind(one, doors) for one in vendors.accounts]
        house.furnish(accounts, plan.tables)
        house.sky()
        with Peek(house.url) as peek:
            crew = Crew(house.environ(), folder, house.log, house.weather)
            posts = _posts(house, cluster)
            havoc = Havoc(
                crew,
                posts,
                plan.seed,
                busy=lambda: peek.number(OPEN),
                cut=None if cluster is None else cluster.cut,
            )
            ports = house.ports[: sum(one.role == "serve" for one in posts)]
            wishes = orders(plan.seed, plan.jobs, plan.mix)
            customers = Customers(vendors, ports, plan.seed)
            try:
                yield Run(plan, house, vendors, havoc, customers, peek, tell, wishes, doors=doors)
            finally:
                await havoc.abandon()


@asynccontextmanager
async def _doors(plan: Plan, vendors: Vendors) -> AsyncIterator[dict[str, Door]]:
    async with AsyncExitStack() as stack:
        chosen = [one for one in vendors.accounts if one.provider in plan.doors]
        yield {one.provider: await stack.enter_async_context(Door(one.url)) for one in chosen}


def _behind(account: Account, doors: Mapping[str, Door]) -> Account:
    door = doors.get(account.provider)
    return account if door is None else account.model_copy(update={"url": door.url})


def _vendors(plan: Plan, folder: Path) -> Vendors:
    return Vendors(plan.seed, str(folder / "vendors.log"), schedule=plan.schedule, speed=plan.speed)


@asynccontextmanager
async def _database(plan: Plan, folder: Path) -> AsyncIterator[Cluster | None]:
    if plan.database == "sqlite":
        yield None
        return
    async with Cluster(("runner", *_SHARED)) as cluster:
        yield cluster


_SHARED = ("server-1", "server-2", "worker-1", "worker-2")


def _posts(house: House, cluster: Cluster | None) -> list[Post]:
    if cluster is None:
        return [Post("server", "serve", {}, house.ports[0])]
    posts = []
    for number, name in enumerate(_SHARED):
        environ = {
            "LIMNER_DATABASE_URL": cluster.url(name),
            "LIMNER_PORT": str(house.ports[number % 2]),
        }
        serves = name.startswith("server")
        posts.append(
            Post(
                name,
                "serve" if serves else "worker",
                environ,
                house.ports[number % 2] if serves else None,
            )
        )
    return posts


async def _busy(run: Run) -> None:
    """Customers, kills, storms and false calls, until all is ordered and all kills are done."""
    plan = run.plan
    run.posted.update(wish.fault for wish in run.wishes if wish.fault is not None)
    async with asyncio.TaskGroup() as group:
        around = [group.create_task(_progress(run)), group.create_task(_false_calls(run))]
        if plan.stormy:
            weather = run.house.sky()
            around.append(
                group.create_task(storms(weather, run.havoc.tally, plan.seed, disk=plan.database == "sqlite"))
            )
        killing = group.create_task(run.havoc.wreak(plan.kills))
        await run.customers.buy(run.wishes, _gate(run), _AT_ONCE)
        await killing
        for one in around:
            one.cancel()


def _gate(run: Run) -> Callable[[int], Awaitable[None]]:
    """Orders keep step with the kills, so that each meets work under way."""
    plan, tally = run.plan, run.havoc.tally
    began = time.monotonic()

    async def wait(number: int) -> None:
        if plan.per_s is not None:
            await asyncio.sleep(max(0.0, began + number / plan.per_s - time.monotonic()))
        while tally.kills < plan.kills and number > _AHEAD + plan.jobs * tally.kills / plan.kills:  # noqa: ASYNC110 - each waits for its own
            await asyncio.sleep(0.02)

    return wait


async def _progress(run: Run) -> None:
    while True:
        await asyncio.sleep(10)
        tally, sales = run.havoc.tally, run.customers.sales
        run.tell(
            f"{len(sales.accepted)}/{run.plan.jobs} jobs accepted, {await run.peek.number(OPEN)} open, "
            f"{tally.kills}/{run.plan.kills} kills"
        )


async def _false_calls(run: Run) -> None:
    """Calls that no vendor made, made again, too late or out of order: they must change nothing."""
    random = Random(f"calls {run.plan.seed}")  # noqa: S311 - repeatable, no secret
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as http:
        while True:
            await asyncio.sleep(random.uniform(0.2, 1.0))
            known = await run.peek.rows(
                "SELECT provider, hook FROM attempts WHERE hook IS NOT NULL ORDER BY id DESC LIMIT 40"
            )
            calls = [(one[0], one[1], random.choice(_EMPTY)) for one in known]
            strangers = [("replicate", "0" * 48, _FORGED), ("fal", "f" * 48, _FORGED)]
            for provider, token, body in random.choices([*calls, *strangers], k=3):
                await _call(run, http, f"/v1/hooks/{provider}/{token}", body)


async def _call(run: Run, http: aiohttp.ClientSession, path: str, body: bytes) -> None:
    try:
        async with http.post(f"http://127.0.0.1:{run.house.ports[0]}{path}", data=body) as answer:
            if answer.status >= 500 and answer.status not in (503, 507):
                run.wrong.append(f"a false call was answered {answer.status}")
    except (aiohttp.ClientError, TimeoutError):
        return  # it was just killed


async def rest(run: Run) -> None:
    """No fault any more: all must come to rest; then the vendors are asked, and a person decides on some."""
    run.tell(f"kills done: {run.havoc.tally.kills}; open jobs: {await run.peek.number(OPEN)}")
    await run.vendors.calm()
    await answering(run)
    await run.havoc.change_shift(60.0)
    await answering(run)
    await until_quiet(run)
    await _reconcile(run)
    if run.plan.decide:
        await _decide(run)
        await until_quiet(run)
    await answering(run)
    await run.havoc.end()


async def answering(run: Run) -> None:
    """Servers are up, and workers had the time to come up."""
    until = time.monotonic() + 60
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(5)) as http:
        while time.monotonic() < until:
            try:
                async with http.get(url_of(run, "/healthz")) as answer:
                    if answer.status == 200:
                        break
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(0.05)
        else:
            run.wrong.append("the server does not answer within 60 s of its start")
    if run.plan.database == "postgres":
        await asyncio.sleep(2.0)


async def until_quiet(run: Run) -> None:
    """Wait until no job is open."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        if await run.peek.number(OPEN) == 0:
            return
        await asyncio.sleep(0.2)
    run.wrong.append(f"not every job came to rest within {_PATIENCE_S:g} s of quiet")


async def _reconcile(run: Run) -> None:
    async with client() as http, http.post(url_of(run, "/v1/reconcile")) as answer:
        found = Reconciled.model_validate_json(await answer.read())
    run.found_late = sum(one.outcome == "found" for one in found.findings)
    run.tell(f"asked the vendors about {len(found.findings)} lost orders: {run.found_late} found")


async def _decide(run: Run) -> None:
    """A person pays again for some and writes some off; the rest stay as they are."""
    random = Random(f"person {run.plan.seed}")  # noqa: S311 - repeatable, no secret
    rows = await run.peek.rows(
        "SELECT id, client_key FROM jobs WHERE state = 'needs_confirmation' ORDER BY client_key"
    )
    names = {one[0]: str(one[1]).removeprefix("lab-") for one in rows}
    async with client() as http:
        for job_id, name in names.items():
            word = random.choice(("pay_again", "write_off", None, None))
            if word is None:
                continue
            async with http.post(url_of(run, f"/v1/jobs/{job_id}/decide"), json={"decision": word}) as answer:
                if answer.status != 200:
                    run.wrong.append(f"{word} for job {job_id} was answered {answer.status}")
            if word == "pay_again":
                run.consented.add(name)


def client() -> aiohttp.ClientSession:
    """For questions that take a while."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_ASKING_S))


def url_of(run: Run, path: str) -> str:
    """At the first server."""
    return f"http://127.0.0.1:{run.house.ports[0]}{path}"


async def facts_of(run: Run) -> Facts:
    """Everything that is left, through Limner where it says it, else from the rows."""
    async with Limner(run.house.settings(), idle=True) as limner:
        lost = await limner.lost()
        audit = await limner.audit()
    reported = {(one.job_id, one.provider) for one in lost}
    bill = await run.vendors.bill()
    return await asyncio.to_thread(
        read, run.house.url, run.house.home / "storage", bill, reported, audit.mismatches
    )


def figures_of(
    run: Run, facts: Facts, waiting: Counter[str], wrong: Sequence[str], seconds: float
) -> Figures:
    """What the run came to, with every promise that was broken."""
    tally, sales = run.havoc.tally, run.customers.sales
    expected = Expected(
        accepted=sales.accepted,
        faults={wish.name: wish.fault for wish in run.wishes if wish.fault is not None},
        recoveries=recoveries(),
        consented=frozenset(run.consented),
    )
    kills = dict(tally.lines.most_common()) | ({"random": tally.random} if tally.random else {})
    broken = [*violations(facts, expected), *wrong, *sales.wrong, *tally.wrong, *_mistakes(run.house.log)]
    return Figures.model_validate(
        counted(facts)
        | {
            "name": run.plan.name,
            "seed": run.plan.seed,
            "database": run.plan.database,
            "failures": dict(Counter(_codes(facts)).most_common()),
            "declined": sales.declined,
            "kills": kills,
            "kills_under_load": tally.under_load,
            "frozen": tally.frozen,
            "cut": tally.cut,
            "jumps": tally.jumps,
            "full": tally.full,
            "faults": dict((run.posted - waiting).most_common()),
            "found_late": run.found_late,
            "seconds": seconds,
            "notes": run.notes,
            "violations": broken,
        }
        | ({"p50_s": None, "p95_s": None} if tally.jumps else {})  # no clock measured them
    )


def _codes(facts: Facts) -> Iterator[str]:
    for job in facts.jobs:
        if job.state == "failed":
            yield Failure.model_validate_json(job.error).code


def _mistakes(log: Path) -> list[str]:
    """What a process said that no fault of a vendor excuses."""
    found = []
    for line in log.read_text(errors="replace").splitlines() if log.exists() else ():
        try:
            said = json.loads(line)
        except ValueError:
            said = {"level": "error" if line.startswith("Traceback") else "info", "event": line}
        if not isinstance(said, dict) or said.get("level") not in ("error", "critical"):
            continue
        if not any(words in str(said) for words in _EXCUSED):
            found.append(f"log: {str(said)[:600]}")
    return found[:20]
