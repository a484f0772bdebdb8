"""Limner stops or loses an answer while an order is at the vendor: it is paid once and not forgotten."""

import asyncio

from limner.jobs import drive
from limner.providers.base import Provider, Recovery
from tests.conformance.scene import (
    PATIENT,
    Scene,
    drawing,
    end,
    limner,
    look,
    scene,
    simulator,
    steps,
    wanted,
)
from tests.fakes import until


async def checked(home, sim, vendor: str, job_id: str):
    """Limner opened again on the same home: the job's end, its picture whole, its money right."""
    async with limner(home, sim) as app:
        async with asyncio.timeout(30):
            job = await app.wait(job_id)
        for image in job.images:
            look(await app.open(image))
        Scene(app, sim, home).check_money(vendor)
    return job


async def test_an_accepted_order_is_asked_for_again_after_a_restart(vendor, home, monkeypatch):
    async with simulator(vendor) as sim:
        with monkeypatch.context() as patched:
            patched.setattr(drive, "_pause", asleep)
            async with limner(home, sim) as app:
                job = await app.generate(wanted(vendor))
                await until(lambda: settled_or_waiting(app, job.id))
                waited = (await app.read(job.id)).state == "waiting"
        ended = await checked(home, sim, vendor, job.id)
        assert (end(ended), steps(ended)) == ("succeeded", ["settled"])
        assert ended.receipt.attempts[0].how == ("resumed" if waited else "direct")
        assert len([one for one in sim.requests(vendor) if one.images]) == sim.bill.orders(vendor) <= 1


async def asleep(_seconds, _canceled, *, waking):
    """Between two polls, for as long as Limner lives."""
    await asyncio.Event().wait()


async def settled_or_waiting(app, job_id: str) -> bool:
    return (await app.read(job_id)).state in ("waiting", "succeeded", "failed")


async def test_an_order_without_an_answer_is_not_placed_twice_after_a_restart(vendor, home, held):
    async with simulator(vendor) as sim:
        sim.fault("slow", vendor)
        async with limner(home, sim) as app:
            job = await app.generate(wanted(vendor))
            free = (await app.estimate(wanted(vendor))).price_usd == 0
            await until(lambda: any(one.fault for one in sim.requests(vendor)))
        held.set()
        ended = await checked(home, sim, vendor, job.id)
    # The vendor has done what it was still about to do when nobody listened any more.
    Scene(app, sim, home).check_money(vendor)
    assert free or sim.bill.orders(vendor) <= 1
    match drawing()[vendor].recovery:
        case Recovery.NAMED:
            assert end(ended) == "succeeded"
        case Recovery.TICKETED:
            assert end(ended) in ("succeeded", "unknown")
        case Recovery.BLIND:
            assert end(ended) == ("succeeded" if free else "unknown")


async def test_an_order_whose_answer_was_lost_is_found_where_the_vendor_lets_us_look(vendor, home):
    kind = drawing()[vendor]
    async with simulator(vendor) as sim, limner(home, sim) as app:
        free = (await app.estimate(wanted(vendor))).price_usd == 0
        sim.fault("cut_after", vendor)
        job = await app.draw(wanted(vendor))
        Scene(app, sim, home).check_money(vendor)
    if free:
        assert end(job) == "succeeded"
    elif kind.find is Provider.find:
        assert (end(job), steps(job), sim.bill.orders(vendor)) == ("timed_out", ["unknown"], 1)
    else:
        assert (end(job), steps(job), sim.bill.orders(vendor)) == ("succeeded", ["settled"], 1)
        assert job.receipt.attempts[0].how in ("list", "same-key")


async def test_a_lost_order_waits_for_a_person_before_another_is_bought(vendor, home):
    asking = PATIENT.model_copy(update={"on_unknown": "ask"})
    async with scene(home, vendor) as now:
        request = wanted(vendor, policy=asking)
        free = (await now.limner.estimate(request)).price_usd == 0
        now.sim.fault("cut_after", vendor)
        job = await now.limner.draw(request)
        now.check_money(vendor)
        if free or drawing()[vendor].find is not Provider.find:
            assert end(job) == "succeeded"
        else:
            assert (job.state, steps(job), now.sim.bill.orders(vendor)) == (
                "needs_confirmation",
                ["unknown"],
                1,
            )
