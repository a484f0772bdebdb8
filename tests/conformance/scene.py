"""One Limner and the stand-ins of the vendors it orders from, from the request to the bill."""

import re
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import getsource
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from PIL import Image

from limner.app import Limner
from limner.catalog.load import beside, parse, shipped_tables
from limner.catalog.model import Model
from limner.config import Settings
from limner.config.settings import AccountSettings
from limner.core.job import Job
from limner.core.money import to_micros
from limner.core.request import GenerateRequest, Policy
from limner.providers import find as providers
from limner.providers.base import Provider, Recovery
from limner.simulator import find as simulators
from limner.simulator.app import Simulator
from limner.simulator.faults import CoreKind, Kind
from limner.simulator.vendor import Vendor
from limner.store.database import Database
from limner.store.migrate import migrate

PATIENT = Policy(fallback=False, on_unknown="never", deadline_s=20)
"""One vendor alone; the deadline is a bound for a test that hangs."""


HASTE = 100
"""How many times shorter Limner's waits are here."""


@cache
def stand_ins() -> dict[str, type[Vendor]]:
    """Every vendor that can be simulated, by name."""
    return simulators.installed()


@cache
def installed() -> dict[str, type[Provider]]:
    """Every provider there is, by name."""
    return providers.installed()


@cache
def drawing() -> dict[str, type[Provider]]:
    """Every installed provider that draws at a vendor, by name."""
    return {
        name: kind
        for name, kind in installed().items()
        if name != "local" and any(model.retired is None for model in models(name))
    }


@cache
def models(provider: str) -> tuple[Model, ...]:
    """The provider's part of the catalog, empty when it draws nothing."""
    table = shipped_tables().get(provider) or beside(installed()[provider].__module__, provider)
    if table is None:
        return ()
    listing = parse(table)
    return () if listing.entry.cannot_draw else listing.models


def source_of(kind: type) -> str:
    """The text of the modules that make a provider or a vendor: its own, its parents', its helpers'."""
    found: dict[str, str] = {}
    waiting = [one.__module__ for one in kind.__mro__ if one.__module__.startswith("limner.")]
    while waiting:
        name = waiting.pop()
        if name in found or not is_vendors_own(name):
            continue
        found[name] = getsource(import_module(name))
        package = name.rpartition(".")[0]
        waiting += [
            f"{package}.{helper}" for helper in re.findall(rf"from {package}\.(\w+) import", found[name])
        ]
        waiting += [
            f"{package}.{helper.split()[0]}"
            for helpers in re.findall(rf"from {package} import (.+)", found[name])
            for helper in helpers.split(",")
        ]
    return "\n".join(found.values())


def is_vendors_own(module: str) -> bool:
    """Whether a module of the providers or the simulator belongs to one vendor, not to all."""
    package, _, name = module.rpartition(".")
    match package:
        case "limner.providers":
            return name not in ("base", "find", "answers", "orders", "masks")
        case "limner.simulator":
            return name not in simulators._CORE
        case _:
            return False


@cache
def plays(vendor: str, kind: Kind) -> bool:
    """Whether the stand-in has a part for a fault; those around the vendor's handler are played for all."""
    return kind in get_args(CoreKind) or f'"{kind}"' in _simulator_source(vendor)


@cache
def _simulator_source(vendor: str) -> str:
    return source_of(stand_ins()[vendor])


def ways(vendor: str) -> list[str | None]:
    """Models to draw by, so that the vendor is spoken to in all its ways; None is its default."""
    spoken = {
        repr(sorted(model.dialect.items())): model.id
        for model in models(vendor)
        if not (model.retired or model.open) and "generate" in model.operations
    }
    return [None, *spoken.values()]


@dataclass(frozen=True, slots=True)
class Scene:
    """Limner is running, and so are the vendors. `kinds` are the providers it has, by name."""

    limner: Limner
    sim: Simulator
    home: Path

    async def draw(self, vendor: str, prompt: str = "a red fox", **fields) -> Job:
        """One order at one vendor, to its end."""
        return await self.limner.draw(wanted(vendor, prompt, **fields))

    def check_money(self, vendor: str) -> None:
        """What the vendor billed is what the ledger says; what may have been billed stays reserved.

        Nothing billed is ever shown as free, and nothing is held that has been settled.
        """
        settled, held, unpriced = counted(self.home, vendor)
        lines = self.sim.bill.of(vendor)
        billed = sum(to_micros(line.usd) for line in lines)
        # Each line is rounded up to a whole micro-dollar, so that sums may differ by one for each.
        assert settled - len(lines) <= billed, (settled, billed)
        assert unpriced or billed <= settled + held + len(lines), (settled, held, billed)


def wanted(vendor: str | None, prompt: str = "a red fox", **fields) -> GenerateRequest:
    return GenerateRequest(**{"prompt": prompt, "provider": vendor, "seed": 7, "policy": PATIENT} | fields)


@asynccontextmanager
async def scene(
    home: Path,
    *vendors: str,
    accounts: Sequence[str] = (),
    timeout_s: float | None = None,
    speed: float = 500.0,
    **settings,
) -> AsyncIterator[Scene]:
    """The vendors of these names and a Limner that has accounts at them: one each, or those named, which are
    all at the first. `timeout_s` bounds one call; `speed` is the vendors'."""
    async with (
        simulator(*vendors, speed=speed) as sim,
        limner(home, sim, accounts=accounts, timeout_s=timeout_s, **settings) as app,
    ):
        yield Scene(app, sim, home)


@asynccontextmanager
async def simulator(*vendors: str, speed: float = 500.0) -> AsyncIterator[Simulator]:
    """The stand-ins of these vendors; a mistake of their own fails the test."""
    async with Simulator(seed=7, vendors=[stand_ins()[name] for name in vendors], speed=speed) as sim:
        yield sim
    assert sim.mistakes == []


def limner(
    home: Path, sim: Simulator, *, accounts: Sequence[str] = (), timeout_s: float | None = None, **settings
) -> Limner:
    """Limner with accounts at the vendors of the simulator and no other provider."""
    if not (home / "limner.db").exists():
        home.mkdir(exist_ok=True)
        (home / "limner.db").write_bytes(empty_journal())
    kinds = {name: hasty(installed()[name], timeout_s) for name in sim.vendors}
    named = {name: next(iter(kinds)) for name in accounts} or {name: name for name in kinds}
    tables = {name: account(sim, vendor) for name, vendor in named.items()}
    fields = {"home": home, "accounts": tables, "breaker_failures": 1000} | settings
    return Limner(Settings(**fields), providers=kinds)


@cache
def empty_journal() -> bytes:
    """The file of a Limner that was never used: making it anew for each scene takes longer than the scene."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "limner.db"
        database = Database(f"sqlite:///{path}")
        migrate(database)
        database.close()
        return path.read_bytes()


def account(sim: Simulator, vendor: str) -> AccountSettings:
    return AccountSettings(
        provider=vendor,
        url=sim.base(vendor),
        key=sim.key(vendor) or None,
        model=sim.vendors[vendor].any_model,
    )


def known_name(model: Model) -> str | None:
    """What a caller says to get this entry; None for one that takes any name, where the stand-in knows none
    beside those the catalog lists."""
    if not model.open:
        return model.id
    beside_catalog = stand_ins()[model.provider].any_model or model.ref
    return f"{model.provider}/{beside_catalog}" if beside_catalog else None


def hasty(kind: type[Provider], timeout_s: float | None) -> type[Provider]:
    """The provider with less patience: for one call, and for a vendor's list to show a lost order."""
    if timeout_s is None:
        timeout_s = 0.6 if kind.recovery is Recovery.TICKETED else kind.timeout_s
    return type(kind.__name__, (kind,), {"timeout_s": timeout_s, "lag_s": kind.lag_s / HASTE})


def counted(home: Path, vendor: str) -> tuple[int, int, int]:
    """Micro-dollars settled with a vendor; those that stay reserved as they may have been charged; and how
    many orders cost what nobody knows."""
    money = """
        SELECT COALESCE(SUM(CASE ledger.kind WHEN 'settle' THEN micros END), 0),
               COALESCE(SUM(CASE ledger.kind WHEN 'reserve' THEN micros WHEN 'release' THEN -micros END), 0)
        FROM ledger JOIN attempts ON attempts.id = ledger.attempt_id WHERE attempts.provider = ?
    """
    unpriced = """
        SELECT COUNT(*) FROM attempts
        WHERE provider = ? AND state != 'refused' AND price_reserved IS NULL AND price_actual IS NULL
    """
    with closing(sqlite3.connect(home / "limner.db")) as connection:
        settled, held = connection.execute(money, (vendor,)).fetchone()
        return settled, held, connection.execute(unpriced, (vendor,)).fetchone()[0]


def end(job: Job) -> str:
    """`succeeded`, or the code of what went wrong."""
    return job.error.code if job.error else job.state


def steps(job: Job) -> list[str]:
    """The state of each attempt."""
    return [attempt.state for attempt in job.receipt.attempts]


def look(data: bytes) -> Image.Image:
    """The picture, read to its last pixel."""
    picture = Image.open(BytesIO(data))
    picture.load()
    return picture
