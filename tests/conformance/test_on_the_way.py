"""While an order is under way: it can be stopped, and tells how far it is."""

import asyncio

from limner.core.events import Progress
from limner.providers.base import Provider
from tests.conformance.scene import drawing, end, plays, scene, source_of, steps, wanted
from tests.fakes import until


async def test_a_cancelled_order_ends_and_what_came_of_it_is_charged(vendor, home, held):
    asks = drawing()[vendor].poll is not Provider.poll
    kind = "never_ends" if asks and plays(vendor, "never_ends") else "slow"
    async with scene(home, vendor, timeout_s=30.0) as now:
        now.sim.fault(kind, vendor)
        job = await now.limner.generate(wanted(vendor))
        await until(lambda: any(one.fault for one in now.sim.requests(vendor)))
        await now.limner.cancel(job.id)
        held.set()
        async with asyncio.timeout(20):
            ended = await now.limner.wait(job.id)
        assert (ended.state, ended.cancel_requested) == ("canceled", True)
        assert set(steps(ended)) <= {"settled", "unknown", "refused"}
        assert (len(ended.images) == 1) == (steps(ended) == ["settled"])
        now.check_money(vendor)


async def test_a_cancelled_job_that_no_vendor_has_seen_costs_nothing(vendor, home, held):
    async with scene(home, vendor, concurrency=1, timeout_s=30.0) as now:
        now.sim.fault("slow", vendor)
        first = await now.limner.generate(wanted(vendor))
        await until(lambda: any(one.fault for one in now.sim.requests(vendor)))
        second = await now.limner.generate(wanted(vendor, "a blue fox"))
        canceled = await now.limner.cancel(second.id)
        assert (canceled.state, canceled.receipt.attempts) == ("canceled", ())
        held.set()
        assert end(await now.limner.wait(first.id)) == "succeeded"
        now.check_money(vendor)


async def test_how_far_it_is_runs_from_0_to_1_and_never_back(vendor, home):
    kinds = drawing()
    copied = set(kinds[vendor].__mro__[1:]) & set(kinds.values())
    tells = "fraction=" in source_of(kinds[vendor]) and not copied
    async with scene(home, vendor, speed=2.0 if tells else 500.0) as now:
        job = await now.limner.generate(wanted(vendor, partial_images=2))
        async with now.limner.watch(job.id) as messages:
            heard = [one.fraction async for one in messages if isinstance(one, Progress)]
        assert end(await now.limner.read(job.id)) == "succeeded"
        assert heard == sorted(heard)
        assert all(0 <= one <= 1 for one in heard)
        assert heard or not tells
