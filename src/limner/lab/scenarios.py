"""The scenarios by name: each a run of its own, with checks beside the promises that always hold."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from pydantic import JsonValue

from limner.core.job import Job
from limner.lab.customers import Customers
from limner.lab.house import REST_S
from limner.lab.orders import Mix, Wish, recoveries
from limner.lab.report import Figures
from limner.lab.run import (
    Plan,
    Run,
    Tell,
    answering,
    client,
    facts_of,
    figures_of,
    rest,
    set_up,
    until_quiet,
    url_of,
)

Act = Callable[[Run], Awaitable[None]]

PRIMARY, SECOND, THIRD = "runware", "replicate", "fal"
"""Cheapest first."""
_FEW = (PRIMARY, SECOND, THIRD)
BREAKER_FAILURES = 5
REALISTIC = (
    "*:rate_limited=0.02,*:overloaded=0.01,*:error_before=0.005,*:html_502=0.003,*:slow=0.05,"
    "*:slow_body=0.02,*:cut_before=0.001,*:cut_after=0.001,*:job_fails=0.003,*:fewer_images=0.001"
)
"""What a bad day looks like: one order in nine meets something."""
BUYERS = 64
BUDGET_USD = Decimal("0.05")


@dataclass(frozen=True, slots=True)
class Scenario:
    """A run with a name."""

    text: str
    plan: Callable[[int, int], Plan]
    """Of a seed and a number of jobs."""
    act: Act


async def play(name: str, seed: int, jobs: int, folder: Path, tell: Tell = lambda _said: None) -> Figures:
    """One of `SCENARIOS`, in an empty folder."""
    scenario = SCENARIOS[name]
    plan = scenario.plan(seed, jobs)
    began = time.monotonic()
    async with set_up(plan, folder, tell) as run:
        await run.havoc.wreak(0)
        await answering(run)
        await scenario.act(run)
        await rest(run)
        facts = await facts_of(run)
        simulator = [f"the simulator made a mistake: {one}" for one in await run.vendors.mistakes()]
    wrong = [*run.wrong, *simulator]
    return figures_of(run, facts, Counter(), wrong, time.monotonic() - began)


# -- acts --------------------------------------------------------------------------------------------------


async def _all_up(run: Run) -> None:
    """Everybody draws: every job that is not cancelled succeeds, whoever is named."""
    jobs = await _ordered(run, run.wishes)
    _expect(run, [job for job in jobs if job.state != "succeeded"], "did not succeed with all vendors up")


async def _primary_down(run: Run) -> None:
    """The cheapest refuses connections: the others serve, and it bills nothing."""
    await run.doors[PRIMARY].close()
    jobs = await _ordered(run, plain(run, run.plan.jobs))
    _expect(run, [job for job in jobs if job.state != "succeeded"], f"did not succeed without {PRIMARY}")
    fallen = sum(len(job.receipt.attempts) > 1 for job in jobs)
    run.notes.append(f"{fallen} of {len(jobs)} jobs fell back from {PRIMARY}")
    if not fallen:
        run.wrong.append(f"nobody asked {PRIMARY}, although it was the cheapest")
    if any(line.vendor == PRIMARY for line in await run.vendors.bill()):
        run.wrong.append(f"{PRIMARY} billed something through a closed door")


async def _breaker(run: Run) -> None:
    """After so many failures the primary is left alone; after its rest it is tried and used again."""
    await run.doors[PRIMARY].close()
    await _ordered(run, plain(run, BREAKER_FAILURES + 3))
    state = await _circuit(run)
    if state != "OPEN":
        run.wrong.append(f"the breaker is {state} after {BREAKER_FAILURES + 3} failures in a row")
    spared = await _ordered(run, plain(run, 5, "spared-"))
    asked = [job for job in spared if any(one.provider == PRIMARY for one in job.receipt.attempts)]
    _expect(run, asked, f"asked {PRIMARY} although its breaker was open")
    await run.doors[PRIMARY].open()
    while await _circuit(run) == "OPEN":  # noqa: ASYNC110 - it is the server that changes
        await asyncio.sleep(0.2)
    jobs = await _ordered(run, plain(run, run.plan.jobs, "after-"))
    back = sum(job.receipt.attempts[-1].provider == PRIMARY for job in jobs)
    run.notes.append(f"breaker OPEN, then {await _circuit(run)}; {back} of {len(jobs)} jobs went back")
    if await _circuit(run) != "CLOSED" or not back:
        run.wrong.append("the breaker did not close after the provider was back")


async def _recovers(run: Run) -> None:
    """Jobs that name a provider which is down wait for it, and are drawn when it is back."""
    await run.doors[PRIMARY].close()
    names: dict[str, JsonValue] = {"provider": PRIMARY, "model": "flux-1-schnell"}
    wishes = [_naming(wish, names) for wish in plain(run, run.plan.jobs)]
    ordering = asyncio.create_task(_ordered(run, wishes))
    await asyncio.sleep(2.0)
    await run.doors[PRIMARY].open()
    jobs = await ordering
    _expect(run, [job for job in jobs if job.state != "succeeded"], f"did not wait for {PRIMARY}")


async def _all_down(run: Run) -> None:
    """Nobody can be reached: jobs end with a reason for each provider, and nothing is bought."""
    for door in run.doors.values():
        await door.close()
    wishes = [_hasty(wish) for wish in plain(run, run.plan.jobs)]
    jobs = await _ordered(run, wishes)
    _expect(run, [job for job in jobs if job.state != "failed"], "did not fail with all vendors down")
    for job in jobs:
        missing = [name for name in _FEW if name not in _told(job)]
        if missing:
            run.wrong.append(f"job {job.id} says nothing of {', '.join(missing)}: {_told(job)[:200]}")
    if await run.vendors.bill():
        run.wrong.append("something was billed with all vendors down")
    declined = run.customers.sales.declined
    run.notes.append(f"{len(jobs)} jobs failed, {sum(declined.values())} orders were declined: {declined}")
    for door in run.doors.values():
        await door.open()
    await asyncio.sleep(2 * REST_S)
    after = await _ordered(run, plain(run, 5, "after-"))
    _expect(run, [job for job in after if job.state != "succeeded"], "did not succeed once all were back")


def _told(job: Job) -> str:
    """All that a job says about why nobody drew it: its error, and its receipt."""
    passed = [f"{one.target}: {one.reason}" for one in job.receipt.passed_over]
    asked = [f"{one.provider}: {one.error.message}" for one in job.receipt.attempts if one.error]
    return "; ".join([job.error.message if job.error else "", *asked, *passed])


async def _mixed(run: Run) -> None:
    """A realistic mix of faults: above 95 % succeed, 95 % of them within 30 s."""
    jobs = await _ordered(run, run.wishes)
    well = sum(job.state == "succeeded" for job in jobs)
    took = sorted(job.receipt.seconds or 0.0 for job in jobs if job.state == "succeeded")
    share, p95 = well / max(1, len(jobs)), took[int(0.95 * len(took))] if took else 0.0
    run.notes.append(f"{100 * share:.2f} % of {len(jobs)} jobs succeeded, p95 {p95:.1f} s")
    if share < 0.95 or p95 > 30:
        run.wrong.append(f"{100 * share:.2f} % succeeded with p95 {p95:.1f} s: wanted are 95 % and 30 s")


async def _buyers(run: Run) -> None:
    """Many buy at the same moment, and the budget is not exceeded by a micro-dollar."""
    wishes = plain(run, max(BUYERS, run.plan.jobs))
    jobs = await _ordered(run, wishes, at_once=BUYERS)
    spent = Decimal(await _spent(run)) / 1_000_000
    run.notes.append(
        f"{BUYERS} buyers at once: ${spent} of ${BUDGET_USD} spent, "
        f"{sum(job.state == 'succeeded' for job in jobs)} jobs drawn, {run.customers.sales.declined} declined"
    )
    if spent > BUDGET_USD:
        run.wrong.append(f"${spent} were spent or reserved of a budget of ${BUDGET_USD}")
    stopped = [job for job in jobs if job.error is not None and job.error.code == "over_budget"]
    if not stopped and not run.customers.sales.declined.get("over_budget"):
        run.wrong.append("the budget declined nobody: it was not tested")


async def _clocks(run: Run) -> None:
    """The wall clock is set an hour forth and back with work under way: no job ends early."""
    run.posted.clear()
    ordering = asyncio.create_task(_ordered(run, run.wishes))
    weather = run.house.sky()
    for offset_s in (3600.0, 0.0, -3600.0, 0.0):
        await asyncio.sleep(2.0)
        weather.tell(offset_s=offset_s)
        run.havoc.tally.jumps += 1
    jobs = await ordering
    _expect(run, [job for job in jobs if job.state != "succeeded"], "did not outlive a clock that jumps")


# -- parts of acts ---------------------------------------------------------------------------------------


def plain(run: Run, count: int, prefix: str = "plain-") -> list[Wish]:
    """Orders of one model that all of the few serve; the cheapest is asked first."""
    policy: dict[str, JsonValue] = {
        "prefer": "cheapest",
        "max_cost_usd": "0.01",
        "substitutes": True,
        "deadline_s": 120,
    }
    found = []
    for number in range(count):
        name = f"{prefix}{run.plan.seed}-{number}"
        body: dict[str, JsonValue] = {
            "prompt": f"a red fox [[order:{name}]]",
            "model": "flux-1-schnell",
            "width": 512,
            "height": 512,
            "policy": policy,
        }
        found.append(Wish(number, name, body, None))
    return found


def _naming(wish: Wish, names: dict[str, JsonValue]) -> Wish:
    return Wish(wish.number, wish.name, wish.body | names, PRIMARY)


def _hasty(wish: Wish) -> Wish:
    policy = wish.body["policy"]
    assert isinstance(policy, dict)  # noqa: S101 - `plain` made it
    return Wish(wish.number, wish.name, wish.body | {"policy": policy | {"deadline_s": 6}}, None)


async def _ordered(run: Run, wishes: Sequence[Wish], at_once: int = 12) -> list[Job]:
    """Order them, and wait until all that were accepted have come to rest."""

    async def gate(number: int) -> None:
        if run.plan.per_s is not None:
            await asyncio.sleep(max(0.0, began + number / run.plan.per_s - time.monotonic()))

    began = time.monotonic()
    buying = Customers(run.vendors, run.house.ports[:1], run.plan.seed)
    buying.sales = run.customers.sales
    await buying.buy(wishes, gate, at_once)
    await until_quiet(run)
    accepted = run.customers.sales.accepted
    async with client() as http:
        found = []
        for wish in wishes:
            if wish.name in accepted:
                async with http.get(url_of(run, f"/v1/jobs/{accepted[wish.name]}")) as answer:
                    found.append(Job.model_validate_json(await answer.read()))
    return found


async def _spent(run: Run) -> int:
    """Micro-dollars that count against a budget: charged, or in reserve."""
    kinds = "CASE kind WHEN 'release' THEN -micros ELSE micros END"
    return await run.peek.number(f"SELECT coalesce(sum({kinds}), 0) FROM ledger")  # noqa: S608 - our own words


async def _circuit(run: Run) -> str:
    async with client() as http, http.get(url_of(run, "/v1/providers")) as answer:
        told = await answer.json()
    states = [one["circuit"]["state"] for one in told["data"] if one["name"] == PRIMARY]
    return str(states[0])


def _expect(run: Run, wrong: Sequence[Job], what: str) -> None:
    for job in wrong[:5]:
        said = job.error.message if job.error else (job.confirmation.message if job.confirmation else "")
        run.wrong.append(f"job {job.id} ({job.request.prompt}) {what}: {job.state}, {said[:200]}")


def _others(few: Sequence[str]) -> str:
    return ",".join(["local", *sorted(set(recoveries()) - set(few))])


def _calm(seed: int, jobs: int) -> Plan:
    return Plan(seed, jobs, name="", mix=Mix(faults=0, cancels=0), stormy=False, decide=False)


def _few(seed: int, jobs: int) -> Plan:
    more = {"LIMNER_DISABLED_PROVIDERS": _others(_FEW)}
    return Plan(seed, jobs, name="", mix=Mix(), stormy=False, decide=False, more=more, doors=_FEW)


def _resting(seed: int, jobs: int) -> Plan:
    """Breakers stay open for longer than the orders take that must be spared."""
    plan = _few(seed, jobs)
    return replace(plan, more=plan.more | {"LIMNER_BREAKER_WINDOW_S": "15"})


def _fault_mix(seed: int, jobs: int) -> Plan:
    return Plan(
        seed,
        jobs,
        mix=Mix(faults=0, cancels=0, named=0.0),
        schedule=REALISTIC,
        stormy=False,
        decide=False,
        per_s=4.0,
    )


def _budget(seed: int, jobs: int) -> Plan:
    more = {"LIMNER_DISABLED_PROVIDERS": _others(_FEW)}
    tables = f"[budgets.lab]\nday_usd = {BUDGET_USD}\n"
    return Plan(seed, jobs, tables=tables, stormy=False, decide=False, more=more)


SCENARIOS: dict[str, Scenario] = {
    "all-up": Scenario("every vendor works", _calm, _all_up),
    "primary-down": Scenario("the cheapest vendor refuses connections", _few, _primary_down),
    "breaker": Scenario("a breaker opens, spares the vendor, and closes again", _resting, _breaker),
    "provider-recovers": Scenario("jobs that name a vendor wait until it is back", _few, _recovers),
    "all-down": Scenario("nobody can be reached: told, and nothing bought", _few, _all_down),
    "fault-mix": Scenario("a realistic mix of faults: 95 % and 30 s", _fault_mix, _mixed),
    "budget": Scenario("64 buyers at once under one budget", _budget, _buyers),
    "clock": Scenario("the clock is set an hour forth and back", _calm, _clocks),
}
"""By name. `week`, `matrix` and `havoc` are not run by `play`."""
