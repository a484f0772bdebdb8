"""`limner lab`: real processes, simulated vendors, and everything that can go wrong."""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path

from rich.table import Table

from limner.cli import FAILED, view, words
from limner.core.errors import InvalidRequest
from limner.lab.matrix import matrix
from limner.lab.report import Figures, lines
from limner.lab.run import Backend, Plan, experiment
from limner.lab.scenarios import SCENARIOS, play
from limner.lab.week import week

NAMES = ("havoc", "week", "matrix", *SCENARIOS)


def run(*, scenario: str, jobs: int, kills: int, seed: int, database: str, as_json: bool) -> int:
    """Run one scenario; 1 when a promise was broken. Raises `InvalidRequest` and `SetupError`."""
    if scenario not in NAMES:
        raise InvalidRequest(f"--scenario must be one of {', '.join(NAMES)}, not {scenario!r}", "scenario")
    if jobs < 1 or kills < 0:
        raise InvalidRequest("--jobs must be at least 1 and --kills at least 0", "jobs")
    plan = Plan(seed, jobs, kills, _backend(database))
    with tempfile.TemporaryDirectory(prefix="limner-lab-", ignore_cleanup_errors=True) as folder:
        figures = _figures(scenario, plan, Path(folder), quiet=as_json)
    if as_json:
        words.print_json(figures.model_dump(mode="json"))
    else:
        _show(figures)
    return 0 if figures.ok else FAILED


def _figures(scenario: str, plan: Plan, folder: Path, *, quiet: bool) -> Figures:
    def tell(said: str) -> None:
        if not quiet:
            view.err().print(said, markup=False)

    match scenario:
        case "week":
            return week(plan.seed)
        case "matrix":
            return _done(matrix(plan.seed, tell=tell))
        case "havoc":
            return _done(experiment(plan, folder, tell))
        case _:
            return _done(play(scenario, plan.seed, plan.jobs, folder, tell))


def _done(work: Coroutine[None, None, Figures]) -> Figures:
    return asyncio.run(work)


def _backend(database: str) -> Backend:
    match database:
        case "sqlite" | "postgres":
            return database
        case _:
            raise InvalidRequest(f"--database must be sqlite or postgres, not {database!r}", "database")


def _show(figures: Figures) -> None:
    out = view.out()
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in lines(figures):
        table.add_row(name, value)
    out.print(table)
    for one in figures.violations:
        out.print(f"BROKEN: {one}", markup=False)
    end = "every promise held" if figures.ok else f"{len(figures.violations)} promises were broken"
    out.print(f"{figures.name}, seed {figures.seed}, {figures.database}: {end}", markup=False)
