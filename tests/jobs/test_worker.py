import asyncio
import time

import pytest

from limner.core.errors import StorageError
from limner.jobs.means import Means
from limner.jobs.slots import Slots
from limner.jobs.worker import Worker
from tests.fakes import Desk, done, limner, never, queued, receipt, request, rows, until, vendor


async def at_rest(app):
    """The first claim has ended: what is ordered now is begun at once."""
    await app._now.store.renew(15.0, [])
    await until(lambda: app._now.worker._slots.free == app._now.worker._slots.total)


async def test_a_lease_is_renewed_for_as_long_as_the_job_runs(home, monkeypatch):
    desk = Desk(submits=[never])
    async with limner(home, vendor(desk)) as app:
        monkeypatch.setattr("limner.jobs.worker._RENEWALS", 1500)
        app._now.worker._loops[1].cancel()
        app._now.worker._loops.append(app._now.desk._tasks.create_task(app._now.worker._renewing()))
        await app.generate(request())
        before = rows(home, "SELECT lease_until FROM jobs")
        await until(lambda: rows(home, "SELECT lease_until FROM jobs") not in (before, []))


async def test_leases_that_cannot_be_renewed_and_jobs_that_cannot_be_claimed_end_nothing(home, monkeypatch):
    desk = Desk()
    async with limner(home, vendor(desk), concurrency=1) as app:
        store, refused = app._now.store, []
        claim = store.claim

        async def refuse(*args):
            refused.append(args)
            raise StorageError("locked by another program")

        monkeypatch.setattr(store, "claim", refuse)
        monkeypatch.setattr(store, "renew", refuse)
        monkeypatch.setattr("limner.jobs.worker._RENEWALS", 1500)
        app._now.worker._loops[1].cancel()
        app._now.worker._loops.append(app._now.desk._tasks.create_task(app._now.worker._renewing()))
        app._now.worker.wake()
        desk.submits = [lambda call: _later(refused, 4)]
        first = asyncio.ensure_future(app.draw(request()))
        await until(lambda: len(refused) > 3)
        monkeypatch.setattr(store, "claim", claim)
        assert (await first).state == "succeeded"
        assert (await app.draw(request())).state == "succeeded"


async def _later(refused, count):
    await until(lambda: len(refused) > count)
    return done()


async def test_a_lease_that_cannot_be_handed_over_runs_out_by_itself(home, monkeypatch):
    desk = Desk(submits=[never])
    async with limner(home, vendor(desk)) as app:
        await app.generate(request())
        await until(lambda: desk.bill)

        async def refuse():
            raise StorageError("gone")

        monkeypatch.setattr(app._now.store, "release", refuse)
    ((owner,),) = rows(home, "SELECT lease_owner FROM jobs")
    assert owner is not None


async def test_a_job_whose_lease_was_lost_is_left_to_its_new_owner(home):
    gate = asyncio.Event()

    async def wait(_call):
        await gate.wait()
        return done()

    async with limner(home, vendor(Desk(submits=[wait]))) as app:
        await at_rest(app)
        job = await app.generate(request())
        await until(lambda: app._now.worker._held)
        await app._now.store.take_over()
        gate.set()
        await until(lambda: not app._now.worker._held)
        assert (await app.read(job.id)).state == "running"


async def test_a_job_that_cannot_even_be_ended_frees_its_slot(home, monkeypatch):
    async def stumble(_call):
        raise KeyError("x")

    async with limner(home, vendor(Desk(submits=[stumble, done()])), concurrency=1) as app:

        async def refuse(*_args, **_kwargs):
            raise RuntimeError("nothing works")

        with monkeypatch.context() as patch:
            patch.setattr(app._now.store, "give_up", refuse)
            await app.generate(request())
            await until(lambda: app._now.worker._slots.free == 0)
            await until(lambda: app._now.worker._slots.free == 1)
        assert (await app.draw(request(seed=8))).state == "succeeded"


def test_a_worker_that_was_not_started_takes_nothing():
    worker = Worker(object.__new__(Means), Slots(1, 0), lease_s=1.0)
    assert worker.reserve() is False
    with pytest.raises(RuntimeError, match="not started"):
        worker.take(None, 0.0)


async def test_a_worker_that_has_stopped_takes_nothing_more(home):
    desk = Desk()
    app = limner(home, vendor(desk))
    async with app:
        worker = app._now.worker
        await worker.stop()
        assert worker.reserve() is False
        worker.take(None, 0.0)
        job = await app.generate(request())
    assert (job.state, desk.bill) == ("queued", [])


async def test_an_order_is_not_sent_by_a_worker_that_stood_still_for_longer_than_its_lease(home, monkeypatch):
    desk = Desk()
    async with limner(home, vendor(desk)) as app:
        begin, stood_still = app._now.store.begin, []

        async def begin_and_stand_still(attempt, epoch, events):
            await begin(attempt, epoch, events)
            if not stood_still:
                stood_still.append(attempt.id)
                (held,) = app._now.worker._held.values()
                held.slot.held_until = time.monotonic() - 1.0

        monkeypatch.setattr(app._now.store, "begin", begin_and_stand_still)
        monkeypatch.setattr(app._now.worker, "reserve", lambda: False)
        job = await app.generate(request())
        monkeypatch.undo()
        monkeypatch.setattr(app._now.store, "begin", begin_and_stand_still)
        app._now.worker.wake()
        job = await app.wait(job.id)
    assert (receipt(job), desk.bill) == (
        [("easel", "refused", "direct"), ("easel", "settled", "direct")],
        [f"{job.id}-2"],
    )
    assert job.receipt.attempts[0].error.message == (
        "not sent: this process stood still for longer than its lease"
    )


async def test_a_renewed_lease_lets_orders_be_sent_for_as_long_again(home):
    async with limner(home, vendor(Desk(submits=[never])), lease_s=60.0) as app:
        await at_rest(app)
        job = await app.generate(request())
        held = app._now.worker._held[job.id]
        held.slot.held_until = 0.0
        await app._now.worker._renew()
        assert not held.slot.overslept
        held.slot.held_until = 0.0
        await app._now.store.take_over()
        await app._now.worker._renew()
        assert held.slot.overslept


@pytest.mark.parametrize("by_s", [3600.0, -3600.0])
async def test_a_clock_that_is_set_ends_no_order_and_keeps_none(home, monkeypatch, by_s):
    gate = asyncio.Event()

    async def poll(_ticket):
        await gate.wait()
        return done()

    real = time.time
    desk = Desk(submits=[queued()], polls=[queued(), poll])
    async with limner(home, vendor(desk), deadline_s=60.0) as app:
        job = await app.generate(request())
        await until(lambda: len(desk.polled) > 1)
        monkeypatch.setattr(time, "time", lambda: real() + by_s)
        gate.set()
        job = await app.wait(job.id)
    assert (job.state, receipt(job), len(desk.bill)) == ("succeeded", [("easel", "settled", "direct")], 1)


async def test_deadlines_of_those_who_wait_move_with_a_clock_that_is_set(home, monkeypatch):
    real = time.time
    async with limner(home, vendor(Desk(submits=[never])), concurrency=1) as app:
        await app.generate(request())
        waiting = await app.generate(request(seed=8))
        query = f"SELECT expires_at FROM jobs WHERE id = '{waiting.id}'"
        ((before,),) = rows(home, query)
        monkeypatch.setattr(time, "time", lambda: real() + 3600.0)
        await app._now.worker._mind_the_clock()
        await app._now.worker._mind_the_clock()
        ((after,),) = rows(home, query)
    assert after - before == pytest.approx(3600.0, abs=60.0)
