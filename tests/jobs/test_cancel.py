"""Stopping the order, wherever the job stands: what was bought by then is kept and charged."""

import asyncio
import time

from limner.core.errors import Lost, TimedOut
from limner.providers.base import Done, Recovery
from tests.fakes import Desk, done, ledger, limner, png, queued, receipt, request, until, vendor

RESERVED, RELEASED, SETTLED = ("reserve", 40_000), ("release", 40_000), ("settle", 40_000)


async def test_while_the_order_is_being_sent_its_answer_is_awaited_and_the_vendor_told(home):
    gate = asyncio.Event()

    async def take(_call):
        await gate.wait()
        return queued()

    desk = Desk(submits=[take], polls=[Lost("stopped")])
    async with limner(home, vendor(desk)) as app:
        job = await app.generate(request())
        await until(lambda: desk.bill)
        assert (await app.cancel(job.id)).state == "running"
        gate.set()
        job = await app.wait(job.id)
    assert (job.state, desk.canceled) == ("canceled", [{"id": "7"}])
    assert (receipt(job), ledger(home)) == ([("easel", "unknown", "direct")], [RESERVED])


async def test_while_the_pictures_are_fetched_they_are_kept_and_charged(home, monkeypatch):
    gate = asyncio.Event()

    async def fetch(_fetcher, _link, _host):
        await gate.wait()
        return png()

    monkeypatch.setattr("limner.building.Fetcher.fetch", fetch)
    desk = Desk(submits=[Done(links=("https://cdn.example/1.png",))])
    async with limner(home, vendor(desk)) as app:
        job = await app.generate(request())
        await until(lambda: _stands_at(app, job.id, "storing"))
        await app.cancel(job.id)
        gate.set()
        job = await app.wait(job.id)
    assert (job.state, len(job.images), receipt(job)) == ("canceled", 1, [("easel", "settled", "direct")])
    assert ledger(home) == [RESERVED, RELEASED, SETTLED]


async def _stands_at(app, job_id, state):
    return (await app.read(job_id)).state == state


async def test_while_a_lost_order_may_still_turn_up_in_the_list_it_is_looked_for_first(home):
    desk = Desk(submits=[TimedOut("no answer")], polls=[done()])
    kind = vendor(desk)

    async def find(_vendor, call):
        desk.sought.append(call.key)
        if len(desk.sought) > 1:
            return {"id": "7"}
        kind.lag_s = time.time() - call.at + 1.0
        return None

    kind.find = find
    async with limner(home, kind) as app:
        job = await app.generate(request())
        await until(lambda: desk.sought)
        assert (await app.cancel(job.id)).state != "canceled"
        job = await app.wait(job.id)
    assert (job.state, len(job.images), desk.canceled) == ("canceled", 1, [{"id": "7"}])
    assert ledger(home) == [RESERVED, RELEASED, SETTLED]


async def test_a_lost_order_that_never_arrived_is_not_bought_again_for_nobody(home):
    desk = Desk(submits=[TimedOut("no answer"), done()])
    kind = vendor(desk)
    kind.lag_s = 0.3
    async with limner(home, kind) as app:
        job = await app.generate(request())
        await until(lambda: desk.sought)
        await app.cancel(job.id)
        job = await app.wait(job.id)
    assert (job.state, receipt(job), len(desk.bill)) == ("canceled", [("easel", "refused", "direct")], 1)
    assert ledger(home) == [RESERVED, RELEASED]


async def test_a_cancelled_job_is_not_asked_about_though_its_policy_would_pay_again(home):
    gate = asyncio.Event()

    async def lose(_call):
        await gate.wait()
        raise TimedOut("no answer")

    desk = Desk(submits=[lose, done()])
    async with limner(home, vendor(desk, recovery=Recovery.BLIND)) as app:
        job = await app.generate(request(policy={"on_unknown": "auto", "auto_usd": 1}))
        await until(lambda: desk.bill)
        await app.cancel(job.id)
        gate.set()
        job = await app.wait(job.id)
        (lost,) = await app.lost()
    assert (job.state, len(desk.bill), lost.choices) == ("canceled", 1, ("write_off", "delivered"))
