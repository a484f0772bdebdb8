"""A short stay in the laboratory; the long one is `limner lab --kills 1000 --jobs 5000`."""

import asyncio
from pathlib import Path

import pytest

from limner.core.errors import SetupError
from limner.lab.matrix import matrix
from limner.lab.orders import Mix
from limner.lab.postgres import programs
from limner.lab.run import Plan, experiment
from limner.lab.scenarios import SCENARIOS, play
from limner.lab.week import Chances, week

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="kills processes the way Linux does"),
]

SMALL = 8
WAITING = ("breaker", "provider-recovers", "all-down", "clock")
QUICK = Mix(kinds=tuple(kind for kind in Mix().kinds if kind not in ("hang", "never_ends")))
"""Without faults that are told from slowness by waiting."""


def _has_postgres() -> bool:
    try:
        programs()
    except SetupError:
        return False
    return True


async def test_every_promise_holds_whatever_is_killed_when(tmp_path):
    figures = await experiment(Plan(seed=11, jobs=60, kills=10, mix=QUICK), tmp_path)
    assert figures.violations == ()
    assert sum(figures.kills.values()) == 10
    assert sum(figures.jobs.values()) >= 50


@pytest.mark.skipif(not _has_postgres(), reason="PostgreSQL is not installed (apt install postgresql)")
async def test_two_servers_and_two_workers_on_one_database_keep_every_promise(tmp_path):
    figures = await experiment(Plan(seed=12, jobs=60, kills=12, mix=QUICK, database="postgres"), tmp_path)
    assert figures.violations == ()
    assert sum(figures.kills.values()) == 12
    assert sum(figures.jobs.values()) >= 50


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in WAITING])
async def test_a_scenario_ends_as_it_must(name, tmp_path):
    figures = await play(name, seed=13, jobs=SMALL, folder=tmp_path)
    assert figures.violations == ()
    assert sum(figures.jobs.values()) >= SMALL


async def test_the_scenarios_that_mostly_wait_end_as_they_must_side_by_side(tmp_path):
    async def played(name):
        folder = tmp_path / name
        folder.mkdir()
        return await play(name, seed=13, jobs=SMALL, folder=folder)

    figures = dict(zip(WAITING, await asyncio.gather(*map(played, WAITING)), strict=True))
    assert {name: one.violations for name, one in figures.items()} == dict.fromkeys(WAITING, ())
    assert min(sum(one.jobs.values()) for one in figures.values()) >= SMALL


async def test_a_provider_that_is_broken_in_every_way_harms_nobody():
    figures = await matrix(seed=14, only="together")
    assert figures.violations == ()
    assert sum(figures.faults.values()) == 2 * len(figures.faults) == 54


def test_a_simulated_day_of_outages_is_lived_through():
    figures = week(seed=15, chances=Chances(every_s=120.0, up_s=6 * 3600.0), length_s=86_400.0)
    assert figures.violations == ()
    assert figures.jobs["succeeded"] > 500


def test_the_week_knows_when_it_is_a_bad_one():
    hopeless = Chances(every_s=600.0, up_s=60.0, down_s=7200.0)
    figures = week(seed=15, chances=hopeless, length_s=86_400.0)
    assert figures.jobs["failed"] > 10
    assert len(figures.violations) == 1
