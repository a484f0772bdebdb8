import asyncio

import pytest

from limner.core.errors import StorageError
from limner.jobs.means import Means
from limner.jobs.worker import Worker
from tests.fakes import Desk, done, limner, never, request, rows, until, vendor


async def test_a_lease_is_renewed_for_as_long_as_the_job_runs(home, monkeypatch):
    desk = Desk(submits=[never])
    async with limner(home, vendor(desk)) as app:
        monkeypatch.setattr(app._now.worker, "_lease_s", 0.03)
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
        monkeypatch.setattr(app._now.worker, "_lease_s", 0.01)
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
        job = await app.generate(request())
        await until(lambda: app._now.worker._wishes)
        await app._now.store.take_over()
        gate.set()
        await until(lambda: not app._now.worker._wishes)
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
            await until(lambda: app._now.worker._free == 0)
            await until(lambda: app._now.worker._free == 1)
        assert (await app.draw(request(seed=8))).state == "succeeded"


def test_a_worker_that_was_not_started_takes_nothing():
    worker = Worker(object.__new__(Means), concurrency=1, lease_s=1.0)
    assert worker.reserve() is False
    with pytest.raises(RuntimeError, match="not started"):
        worker.take(None)


async def test_a_worker_that_has_stopped_takes_nothing_more(home):
    desk = Desk()
    app = limner(home, vendor(desk))
    async with app:
        worker = app._now.worker
        await worker.stop()
        assert worker.reserve() is False
        worker.take(None)
        job = await app.generate(request())
    assert (job.state, desk.bill) == ("queued", [])
