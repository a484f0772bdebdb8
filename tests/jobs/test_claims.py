"""Bounds of accounts, slots, the line and its deadlines, through the whole of Limner."""

import asyncio
import time

from limner.config import AccountSettings
from limner.core.events import Ended, JobEvent
from limner.core.job import Waiting
from tests.fakes import Desk, done, limner, messages, never, queued, receipt, request, rows, until, vendor


class Counting:
    """A vendor that says how many orders it had under way at once; each ends when `gate` opens."""

    def __init__(self):
        self.under_way = self.most = 0
        self.gate = asyncio.Event()
        self.desk = Desk(submits=[self.submit])

    async def submit(self, _call):
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await self.gate.wait()
        self.under_way -= 1
        return done()


async def at_rest(app):
    await app._now.store.renew(15.0, [])
    await until(lambda: app._now.worker._slots.free == app._now.worker._slots.total)


async def test_an_account_has_no_more_orders_under_way_than_it_takes(home):
    counting = Counting()
    bound = {"easel": AccountSettings(concurrency=2)}
    async with limner(home, vendor(counting.desk), accounts=bound, concurrency=16) as app:
        ordered = [await app.generate(request(seed=seed)) for seed in range(7)]
        await until(lambda: counting.under_way == 2)
        standing = [(await app.read(job.id)).state for job in ordered]
        counting.gate.set()
        ended = [await app.wait(job.id) for job in ordered]
    assert (sorted(standing), counting.most) == (["queued"] * 5 + ["running"] * 2, 2)
    assert [(job.state, receipt(job)) for job in ended] == [
        ("succeeded", [("easel", "settled", "direct")])
    ] * 7


async def test_a_provider_says_how_much_its_accounts_take_unless_the_settings_do(home):
    counting = Counting()
    kind = vendor(counting.desk)
    kind.concurrency = 1
    several = {"easel": AccountSettings(), "wide": AccountSettings(provider="easel", concurrency=3)}
    async with limner(home, kind, accounts=several, concurrency=16) as app:
        await at_rest(app)
        ordered = [await app.generate(request(seed=seed)) for seed in range(9)]
        await until(lambda: counting.under_way == 4)
        counting.gate.set()
        ended = [await app.wait(job.id) for job in ordered]
    assert (counting.most, {job.state for job in ended}) == (4, {"succeeded"})
    assert {one.account for job in ended for one in job.receipt.attempts} == {"easel", "wide"}


async def test_a_job_that_finds_its_account_full_at_the_last_moment_waits_in_line_and_says_nothing(
    home, monkeypatch
):
    counting, put_back = Counting(), []
    monkeypatch.setattr("limner.store.line._room", lambda *_: {})  # as when others order at the same moment
    async with limner(home, vendor(counting.desk), accounts={"easel": AccountSettings(concurrency=1)}) as app:
        again = app._now.store.again

        async def seen(*args):
            put_back.append(args[2:])
            await again(*args)

        app._now.store.again = seen
        await app.generate(request())
        await until(lambda: counting.under_way == 1)
        job = await app.generate(request(seed=8))
        await until(lambda: put_back)
        counting.gate.set()
        ended = await app.wait(job.id)
        told = [one.type for one in await app._now.store.events(job.id, 0)]
    assert (ended.state, ended.tries, counting.most) == ("succeeded", 0, 1)
    assert {tuple(map(repr, one)) for one in put_back} == {("0.0", "[]", "'easel'")}
    assert told == ["queued", "running", "storing", "succeeded"]


async def test_a_job_that_may_go_to_several_full_accounts_looks_at_them_again_soon(home, monkeypatch):
    counting, put_back = Counting(), []
    monkeypatch.setattr("limner.store.line._room", lambda *_: {})
    monkeypatch.setattr("limner.jobs.run.FULL_WAIT_S", 0.01)
    both = {"easel": AccountSettings(concurrency=1), "wide": AccountSettings(provider="easel", concurrency=1)}
    async with limner(home, vendor(counting.desk), accounts=both) as app:
        again = app._now.store.again

        async def seen(*args):
            put_back.append(args[2:])
            await again(*args)

        app._now.store.again = seen
        jobs = [await app.generate(request(seed=seed)) for seed in range(3)]
        await until(lambda: put_back)
        counting.gate.set()
        ended = [(await app.wait(job.id)).state for job in jobs]
    assert (ended, counting.most) == (["succeeded"] * 3, 2)
    assert put_back[0] == (0.01, [], None)


async def test_a_job_that_only_waits_for_its_vendor_leaves_its_slot_to_another(home):
    gate = asyncio.Event()

    async def poll(_ticket):
        await gate.wait()
        return done()

    desk = Desk(submits=[queued("1"), queued("2"), done()], polls=[poll])
    async with limner(home, vendor(desk), concurrency=1) as app:
        first = [await app.generate(request(seed=seed)) for seed in (1, 2)]
        third = await app.draw(request(seed=3))
        waiting = {(await app.read(job.id)).state for job in first}
        gate.set()
        ended = [await app.wait(job.id) for job in first]
        await at_rest(app)
    assert (third.state, waiting) == ("succeeded", {"waiting"})
    assert [job.state for job in ended] == ["succeeded", "succeeded"]


async def test_no_more_jobs_wait_without_a_slot_than_the_settings_allow(home):
    desk = Desk(submits=[queued()], polls=[never])
    async with limner(home, vendor(desk), concurrency=1, waiting=1) as app:
        jobs = [await app.generate(request(seed=seed)) for seed in range(3)]
        await until(lambda: len(desk.polled) == 2)
        await until(lambda: app._now.worker._slots.free == 0)
        states = sorted([(await app.read(job.id)).state for job in jobs])
    assert (states, len(desk.bill)) == (["queued", "waiting", "waiting"], 2)


async def test_what_draws_on_our_own_machines_keeps_its_slot(home):
    desk = Desk(submits=[queued()], polls=[never])
    kind = vendor(desk)
    kind.self_hosted = True
    async with limner(home, kind, concurrency=1, accounts={"easel": AccountSettings(url="http://e")}) as app:
        jobs = [await app.generate(request(seed=seed)) for seed in range(2)]
        await until(lambda: desk.polled)
        states = sorted([(await app.read(job.id)).state for job in jobs])
    assert states == ["queued", "waiting"]


async def test_jobs_that_wait_without_a_slot_are_handed_over_and_cancelled_like_others(home):
    desk = Desk(submits=[queued("1"), queued("2")], polls=[never])
    kind = vendor(desk)
    async with limner(home, kind, concurrency=1) as app:
        jobs = [await app.generate(request(seed=seed)) for seed in range(2)]
        await until(lambda: len(desk.polled) == 2)
    assert rows(home, "SELECT lease_owner FROM jobs") == [(None,), (None,)]
    desk.polls = [queued("1"), queued("2")]
    async with limner(home, kind, concurrency=1) as app:
        await until(lambda: len(app._now.worker.held()) == 2)
        await until(lambda: app._now.worker._slots.free == 1)
        await app.cancel(jobs[0].id)
        await until(lambda: desk.canceled)
        desk.polls = [done()]
        ended = [await app.wait(job.id) for job in jobs]
    assert ([job.state for job in ended], len(desk.bill)) == (["canceled", "succeeded"], 2)


async def test_a_queued_job_tells_where_it_stands(home):
    desk = Desk(submits=[never])
    async with limner(home, vendor(desk), concurrency=1) as app:
        await at_rest(app)
        running = await app.generate(request())
        jobs = [
            await app.generate(request(seed=seed), by=by) for seed, by in ((1, "ann"), (2, "ann"), (3, "bob"))
        ]
        told = [(await app._now.store.events(job.id, 0))[0].message for job in jobs]
        standing = [(await app.read(job.id)).waiting for job in jobs]
        listed = {job.id: job.waiting for job in await app.jobs()}
    assert told == ["position 1", "position 2", "position 2"]
    assert [one.position for one in standing] == [1, 3, 2]
    assert listed == {running.id: None} | {job.id: one for job, one in zip(jobs, standing, strict=True)}
    assert [job.waiting for job in jobs] == [Waiting(position=n, expected_s=None) for n in (1, 2, 2)]


async def test_a_job_whose_deadline_passes_in_line_ends_and_those_who_wait_are_told(home):
    desk = Desk(submits=[never])
    async with limner(home, vendor(desk), concurrency=1) as app:
        await at_rest(app)
        await app.generate(request())
        late = await app.generate(request(seed=8, policy={"deadline_s": 0.05}))
        heard = await messages(app, late.id)
    ended = heard[-1]
    assert isinstance(ended, Ended)
    assert (ended.job.state, ended.job.error.code, ended.job.receipt.cost_usd) == ("failed", "deadline", None)
    assert [one.type for one in heard if isinstance(one, JobEvent)] == ["queued", "failed"]
    assert len(desk.bill) == 1


async def test_a_job_that_is_claimed_too_late_is_not_ordered(home, monkeypatch):
    desk = Desk()
    async with limner(home, vendor(desk)) as app:

        async def nobody(*_args):
            return []

        monkeypatch.setattr(app._now.store, "expire", nobody)
        monkeypatch.setattr(app._now.worker, "reserve", lambda: False)
        late = await app.generate(request(policy={"deadline_s": 0.01}))
        began = time.monotonic()
        await until(lambda: time.monotonic() > began + 0.02)
        monkeypatch.undo()
        app._now.worker.wake()
        late = await app.wait(late.id)
    assert (late.state, late.error.code, desk.bill) == ("failed", "deadline", [])
