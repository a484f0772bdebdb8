"""Many orders at one vendor at once, equal to the letter, with everything going wrong now and then."""

import asyncio
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from limner.simulator.faults import Kind
from tests.conformance.scene import end, look, scene, steps, wanted

TROUBLES: tuple[Kind, ...] = (
    "cut_after",
    "error_after",
    "cut_before",
    "rate_limited",
    "overloaded",
    "malformed",
    "html_502",
    "slow",
)
ORDERS = 12


def tickets(home: Path) -> list[str]:
    with closing(sqlite3.connect(home / "limner.db")) as connection:
        return [one for (one,) in connection.execute("SELECT ticket FROM attempts WHERE ticket IS NOT NULL")]


async def test_equal_orders_at_once_each_get_their_own_picture_and_the_bill_adds_up(vendor, home):
    async with scene(home, vendor) as now:
        for trouble in TROUBLES:
            now.sim.fault(trouble, vendor, after_s=0.01)
        async with asyncio.TaskGroup() as drawing:
            orders = [drawing.create_task(now.limner.draw(wanted(vendor))) for _ in range(ORDERS)]
        jobs = [one.result() for one in orders]
        now.check_money(vendor)
        for job in jobs:
            for image in job.images:
                look(await now.limner.open(image))
    assert Counter(end(job) for job in jobs)["succeeded"] >= ORDERS - len(TROUBLES)
    assert {state for job in jobs for state in steps(job)} <= {"settled", "refused", "unknown"}
    twice = [ticket for ticket, times in Counter(tickets(home)).items() if times > 1]
    assert twice == []
