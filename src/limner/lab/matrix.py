"""Every provider, broken in every way its stand-in knows, beside another provider that works."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from limner.app import Limner
from limner.catalog.load import parse, shipped_tables
from limner.config import AccountSettings, Settings
from limner.core.job import Job
from limner.core.money import to_micros
from limner.core.request import GenerateRequest, Policy
from limner.lab.orders import recoveries
from limner.lab.report import Figures
from limner.lab.run import Tell
from limner.providers import find as providers
from limner.providers.base import Provider
from limner.simulator import find as simulators
from limner.simulator.app import Simulator
from limner.simulator.faults import KINDS, Kind

_CALL_S = 3.0
_LAG_S = 0.3
_DEADLINE_S = 60.0
"""More than anybody needs: vendors, Limner and the runner share one process, on a machine with other work."""
_SHORT_S = 9.0
"""Where an order uses up its share of the time, and the spare has the rest."""
_AT_ONCE = 10
_APART: tuple[Kind, ...] = ("no_money", "bad_key", "rate_limited", "huge", "never_ends")
"""After the first three an account rests, and while a huge picture is made the whole process stands still: a
Limner of its own meets each."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One order at a provider that is broken in one way."""

    provider: str
    spare: str
    kind: Kind
    state: str
    """How the job ended, or the code it ended with."""
    by: str | None
    """Who drew it."""
    unknown: int
    """Its orders with an unknown outcome."""


async def matrix(seed: int, orders: int = 1, tell: Tell = lambda _said: None, only: str = "") -> Figures:
    """Each broken in turn, beside a spare that is free and beside one that is paid; `orders` of each kind."""
    began = time.monotonic()
    cells: list[Cell] = []
    wrong: list[str] = []
    for broken in sorted(recoveries()):
        if only in ("", broken):
            for spare in spares(broken):
                found, said = await _pair(broken, spare, seed, orders)
                cells += found
                wrong += said
            tell(_line(broken, cells))
    served = [one for one in cells if one.spare in _free() and not _final(one)]
    well = sum(one.state == "succeeded" for one in served)
    share = well / max(1, len(served))
    if share < 0.99:
        wrong.append(f"{100 * share:.2f} % succeeded where another could serve: wanted are 99 %")
    return Figures(
        name="matrix",
        seed=seed,
        jobs=dict(Counter(one.state for one in cells).most_common()),
        faults=dict(Counter(one.kind for one in cells).most_common()),
        unknown=sum(one.unknown for one in cells),
        seconds=time.monotonic() - began,
        notes=(
            f"{len(cells)} orders; beside a free spare {100 * share:.2f} % of {len(served)} succeeded",
            *(_line(broken, cells) for broken in sorted({one.provider for one in cells})),
        ),
        violations=tuple(wrong),
    )


def _final(cell: Cell) -> bool:
    """Nobody else is asked for what a vendor's moderation declined."""
    return cell.state == "refused"


def spares(broken: str) -> tuple[str, str]:
    """Who is beside it: one that draws for nothing, and so may always be asked, and one that is paid."""
    return ("a1111" if broken == "comfyui" else "comfyui"), ("fal" if broken == "runware" else "runware")


def _free() -> frozenset[str]:
    return frozenset({"a1111", "comfyui"})


def _line(broken: str, cells: Iterable[Cell]) -> str:
    mine = [one for one in cells if one.provider == broken]
    by = Counter(one.by or "nobody" for one in mine)
    ends = Counter(one.state for one in mine if one.state != "succeeded")
    drawn = ", ".join(f"{count} by {name}" for name, count in by.most_common() if name != "nobody")
    rest = ", ".join(f"{count} {state}" for state, count in ends.most_common())
    return f"{broken}: {len(mine)} orders; drawn: {drawn}; not drawn: {rest or 'none'}"


async def _pair(broken: str, spare: str, seed: int, orders: int) -> tuple[list[Cell], list[str]]:
    """All kinds at once, but those that others would suffer from."""
    at_once = [kind for kind in KINDS if kind not in _APART]
    cells, wrong = await _scene(broken, spare, seed, at_once, orders)
    for kind in _APART:
        more, said = await _scene(broken, spare, seed, [kind], orders)
        cells += more
        wrong += said
    return cells, wrong


async def _scene(
    broken: str, spare: str, seed: int, kinds: Sequence[Kind], orders: int
) -> tuple[list[Cell], list[str]]:
    stand_ins = simulators.installed()
    with tempfile.TemporaryDirectory(prefix="limner-lab-") as folder:
        vendors = [stand_ins[broken], stand_ins[spare]]
        async with (
            Simulator(seed=seed, vendors=vendors, speed=500.0) as sim,
            _limner(Path(folder), sim, broken, spare) as limner,
        ):
            names = [(kind, f"{broken}-{kind}-{n}") for kind in kinds for n in range(orders)]
            for kind, name in names:
                sim.fault(kind, broken, prompt=f"[[order:{name}]]")
            room = asyncio.Semaphore(_AT_ONCE)
            jobs = await asyncio.gather(*(_drawn(limner, kind, name, room) for kind, name in names))
            wrong = _out_of_pocket(sim, jobs, [name for _, name in names], spare)
            wrong += [f"{broken} beside {spare}: {one}" for one in (await limner.audit()).mismatches]
            wrong += [f"{broken}: the simulator made a mistake: {one}" for one in sim.mistakes]
            met = Counter(asked.fault for asked in sim.requests(broken) if asked.fault)
            wrong += [f"{broken}: nobody met {kind}" for kind in kinds if met[kind] < orders]
            listed = {one.job_id for one in await limner.lost()}
    wrong += [
        f"job {job.id}: an order is unknown, and nobody is told"
        for job in jobs
        if _unknown(job) and job.id not in listed
    ]
    return [_cell(broken, spare, kind, job) for (kind, _), job in zip(names, jobs, strict=True)], wrong


async def _drawn(limner: Limner, kind: Kind, name: str, room: asyncio.Semaphore) -> Job:
    async with room:
        return await limner.draw(_request(name, _SHORT_S if kind == "never_ends" else _DEADLINE_S))


def _limner(home: Path, sim: Simulator, broken: str, spare: str) -> Limner:
    """With the broken provider first, by the policy that takes them as they are listed."""
    accounts = {
        name: AccountSettings.model_validate(
            {
                "url": sim.base(name),
                "key": sim.key(name) or None,
                "model": sim.vendors[name].any_model,
                "concurrency": 100,  # who waits for room would be drawn by the spare
            }
        )
        for name in (broken, spare)
    }
    kinds = {name: _hasty(providers.installed()[name]) for name in (broken, spare)}
    settings = Settings(home=home, accounts=accounts, breaker_failures=1000)
    models = [model for name in kinds for model in parse(shipped_tables()[name]).models]
    return Limner(settings, providers=kinds, models=models)


def _hasty(kind: type[Provider]) -> type[Provider]:
    return type(kind.__name__, (kind,), {"timeout_s": _CALL_S, "lag_s": _LAG_S})


def _request(name: str, deadline_s: float) -> GenerateRequest:
    return GenerateRequest(
        prompt=f"a red fox [[order:{name}]]",
        width=1024,
        height=1024,
        policy=Policy(prefer="listed", substitutes=True, max_cost_usd=Decimal("0.2"), deadline_s=deadline_s),
    )


def _out_of_pocket(sim: Simulator, jobs: Sequence[Job], names: Sequence[str], spare: str) -> list[str]:
    """The bill is what was settled, and of orders whose outcome is unknown at most what is held."""
    wrong = []
    for job, name in zip(jobs, names, strict=True):
        lines = [line for line in sim.bill.lines if line.name == name]
        billed = sum(to_micros(line.usd) for line in lines)
        settled = _micros(job, "settled")
        held = _micros(job, "unknown")
        grain = len(lines)
        if not settled - grain <= billed <= settled + held + grain:
            wrong.append(
                f"{name} beside {spare}: {billed} micro-dollars billed, {settled} settled, {held} unknown"
            )
    return wrong


def _micros(job: Job, state: str) -> int:
    prices = [one.price_usd for one in job.receipt.attempts if one.state == state]
    return sum(to_micros(price) for price in prices if price is not None)


def _unknown(job: Job) -> int:
    return sum(one.state == "unknown" for one in job.receipt.attempts)


def _cell(broken: str, spare: str, kind: Kind, job: Job) -> Cell:
    state = job.error.code if job.error else job.state
    by = job.images[0].provider if job.images else None
    return Cell(broken, spare, kind, state, by, _unknown(job))
