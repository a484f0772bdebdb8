"""Several Limners on one PostgreSQL journal: each is what one process would be."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import pytest

from limner.core.errors import Conflict
from limner.core.events import Ended
from limner.providers.base import Pending
from tests import postgres
from tests.fakes import (
    Desk,
    done,
    kinds_of,
    limner,
    messages,
    model,
    never,
    queued,
    request,
    settings,
    until,
    vendor,
)

pytestmark = pytest.mark.usefixtures("swift")


@pytest.fixture(autouse=True)
def _prompt(monkeypatch):
    """What others do is seen at once."""
    monkeypatch.setattr("limner.jobs.others._EVERY_S", 0.01)
    monkeypatch.setattr("limner.jobs.worker._POLL_S", 0.02)


@pytest.fixture
def journal():
    with postgres.fresh() as name:
        yield name


def at(home, journal, *kinds, **changes):
    return limner(home, *kinds, database_url=postgres.server().url(journal), **changes)


def ask(journal, sql):
    return postgres.server().ask(journal, sql)


def watcher(home, journal, *kinds):
    """One that runs nothing itself."""
    app = at(home, journal, *kinds)
    app._idle = True
    return app


async def test_every_job_of_several_processes_ends_once(home, journal):
    desk = Desk(submits=[queued()], polls=[done()])
    async with AsyncExitStack() as stack:
        apps = [
            await stack.enter_async_context(at(home, journal, vendor(desk), concurrency=2)) for _ in range(3)
        ]
        jobs = await asyncio.gather(*(apps[n % 3].draw(request(seed=n)) for n in range(45)))
        assert {job.state for job in jobs} == {"succeeded"}
        assert Counter(desk.bill) == Counter(f"{job.id}-1" for job in jobs)
        assert [await apps[0].read(job.id) for job in jobs] == list(jobs)
    assert ask(journal, "SELECT kind, count(*), sum(micros) FROM ledger GROUP BY kind ORDER BY kind") == [
        ("release", 45, 1_800_000),
        ("reserve", 45, 1_800_000),
        ("settle", 45, 1_800_000),
    ]
    assert ask(journal, "SELECT count(*) FROM jobs WHERE lease_owner IS NOT NULL") == [(0,)]


async def test_who_waits_here_sees_a_job_that_runs_elsewhere_to_its_end(home, journal):
    gate = asyncio.Event()

    async def wait(_ticket):
        return done() if gate.is_set() else Pending({"id": "7"}, after_s=0.01)

    desk = Desk(submits=[queued()], polls=[wait])
    async with watcher(home, journal, vendor(desk)) as here, at(home, journal, vendor(desk)):
        drawing = asyncio.ensure_future(here.draw(request(), key="k"))
        await until(lambda: desk.polled)
        (job,) = await here.jobs()
        following = asyncio.ensure_future(messages(here, job.id))
        again = asyncio.ensure_future(here.draw(request(), key="k"))
        await until(lambda: len(here._now.hub._watchers.get(job.id, ())) == 3)
        gate.set()
        heard = await following
        assert kinds_of(heard) == ["queued", "running", "accepted", "storing", "succeeded", "end"]
        assert heard[-1] == Ended(await here.read(job.id))
        assert await drawing == await again == await here.read(job.id)
    assert desk.bill == [f"{job.id}-1"]


async def test_a_cancel_here_stops_an_order_that_runs_elsewhere(home, journal):
    desk = Desk(submits=[queued()], polls=[Pending({"id": "7"}, after_s=0.01)])

    class Stoppable(vendor(desk)):
        async def cancel(self, ticket):
            self.desk.canceled.append(ticket)
            self.desk.polls = [done()]

    async with watcher(home, journal, Stoppable) as here, at(home, journal, Stoppable):
        job = await here.generate(request())
        await until(lambda: desk.polled)
        assert (await here.cancel(job.id)).cancel_requested
        ended = await here.wait(job.id)
    assert (ended.state, desk.canceled, len(ended.images)) == ("canceled", [{"id": "7"}], 1)


async def test_a_job_that_waits_is_cancelled_for_those_who_watch_it_elsewhere(home, journal):
    kind = vendor(Desk())
    async with watcher(home, journal, kind) as here, watcher(home, journal, kind) as there:
        job = await here.generate(request())
        following = asyncio.ensure_future(messages(there, job.id))
        await until(there._now.hub.watched)
        await here.cancel(job.id)
        assert kinds_of(await following) == ["queued", "canceled", "end"]


async def test_who_stops_hands_over_and_the_order_is_asked_for_not_placed_again(home, journal):
    desk = Desk(submits=[queued()], polls=[Pending({"id": "7"}, after_s=0.01)])
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(at(home, journal, vendor(desk)))
        job = await first.generate(request())
        await until(lambda: desk.polled)
        second = await stack.enter_async_context(at(home, journal, vendor(desk)))
        await first.__aexit__(None, None, None)
        desk.polls = [done()]
        ended = await second.wait(job.id)
    assert (ended.state, desk.bill) == ("succeeded", [f"{job.id}-1"])
    assert [one.how for one in ended.receipt.attempts] == ["resumed"]


async def test_who_starts_takes_nothing_from_those_who_live(home, journal):
    desk = Desk(submits=[never])
    async with at(home, journal, vendor(desk)) as first:
        job = await first.generate(request())
        await until(lambda: desk.bill)
        before = ask(journal, "SELECT lease_owner, lease_epoch FROM jobs")
        async with at(home, journal, vendor(desk)) as second:
            await until(lambda: second._now.worker._loops)
            await asyncio.sleep(0.1)
            assert ask(journal, "SELECT lease_owner, lease_epoch FROM jobs") == before
        assert len(first._now.worker.held()) == 1
    assert desk.bill == [f"{job.id}-1"]


async def test_a_worker_that_lost_its_lease_lets_go_of_what_costs_nothing(home, journal):
    frozen, desk = Desk(submits=[queued()], polls=[never]), Desk(polls=[done()])
    free = [model(usd="0")]
    async with at(home, journal, vendor(frozen), models=free) as first:
        job = await first.generate(request())
        await until(lambda: frozen.polled)
        ask(journal, "UPDATE jobs SET lease_until = 0")  # it froze for longer than its lease
        async with at(home, journal, vendor(desk), models=free) as second:
            assert (await second.wait(job.id)).state == "succeeded"
            await until(lambda: not first._now.worker.held())
            assert await first.wait(job.id) == await second.read(job.id)
    assert (frozen.bill, desk.bill) == ([f"{job.id}-1"], [])


async def test_a_worker_that_lost_its_lease_still_waits_for_what_may_be_bought(home, journal):
    gate = asyncio.Event()

    async def wait(_ticket):
        await gate.wait()
        return done()

    frozen, desk = Desk(submits=[queued()], polls=[wait]), Desk(polls=[done()])
    async with at(home, journal, vendor(frozen)) as first:
        job = await first.generate(request())
        await until(lambda: frozen.polled)
        ask(journal, "UPDATE jobs SET lease_until = 0")
        async with at(home, journal, vendor(desk)) as second:
            ended = await second.wait(job.id)
            assert first._now.worker.held() == {job.id}
            gate.set()
            await until(lambda: not first._now.worker.held())
            assert await first.read(job.id) == ended
    assert (ended.state, frozen.bill, desk.bill) == ("succeeded", [f"{job.id}-1"], [])


async def test_one_key_at_two_doors_at_once_is_one_job(home, journal):
    desk = Desk(submits=[queued()], polls=[done()])
    async with at(home, journal, vendor(desk)) as one, at(home, journal, vendor(desk)) as two:
        for number in range(10):
            wanted = request(seed=number)
            first, second = await asyncio.gather(
                one.draw(wanted, key=f"k{number}"), two.draw(wanted, key=f"k{number}")
            )
            assert first == second
            with pytest.raises(Conflict):
                await two.generate(request(seed=99), key=f"k{number}")
    assert len(desk.bill) == 10


async def test_a_database_that_crashes_under_load_costs_neither_a_job_nor_a_second_order(home):
    server = postgres.Server(postgres.server().programs)
    desk = Desk(submits=[queued()], polls=[Pending({"id": "7"}, after_s=0.01), done()])
    try:
        server.start()
        url = server.url("postgres")
        async with (
            limner(home, vendor(desk), database_url=url, deadline_s=60.0) as one,
            limner(home, vendor(desk), database_url=url, deadline_s=60.0) as two,
        ):
            jobs = [await (one, two)[n % 2].generate(request(seed=n)) for n in range(20)]
            for how in ("immediate", "fast"):
                await asyncio.to_thread(server.stop, how)
                await asyncio.sleep(0.1)
                await asyncio.to_thread(server.start)
            ended = [await one.wait(job.id) for job in jobs]
        assert {job.state for job in ended} == {"succeeded"}
        assert Counter(desk.bill) == Counter(f"{job.id}-1" for job in jobs)
    finally:
        server.end()


async def test_a_shared_journal_locks_no_home(home, journal):
    kind = vendor(Desk())
    async with at(home, journal, kind) as one, at(home, journal, kind):
        one.serving("http://127.0.0.1:8003")
        assert not (home / "limner.lock").exists()


def test_the_address_of_a_shared_journal_says_so(home):
    assert settings(home, database_url="postgres://me@db/limner").database_url == "postgresql://me@db/limner"
    assert settings(home, database_url="postgres://me@db/limner").shared
    assert not settings(home).shared
