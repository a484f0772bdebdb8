"""Who is next, and how many orders an account bears."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import update

from limner.core.job import Failure
from limner.store.line import Full, Lane, Line
from limner.store.schema import clock, jobs
from limner.store.store import Store
from tests import postgres
from tests.fakes import target
from tests.store.conftest import connect
from tests.store.test_store import attempt, event, new


async def line_up(store, *names, tenant="me", account=None, **changes):
    for name in names:
        order = replace(new(id=name, tenant=tenant, **changes), account=account)
        await store.enqueue(order, [event(name)])


async def claimed(store, limit):
    return [work.job.id for work in await store.claim(limit, 15.0)]


async def begun(store, name, account="easel"):
    """Claimed, and its order placed at the account."""
    (work,) = [one for one in await store.claim(1, 15.0) if one.job.id == name]
    opened = attempt(name, wanted=target(account))
    await store.begin(opened, work.epoch, [])
    return work, opened


async def aged(store, name, **columns):
    def act(connection):
        connection.execute(update(jobs).where(jobs.c.id == name).values(**columns))

    await store._database.write(act)


async def test_tenants_take_turns_within_one_claim(store):
    await line_up(store, "a1", "a2", "a3", tenant="ann")
    await line_up(store, "b1", "b2", tenant="bob")
    await line_up(store, "c1", tenant="cy")
    assert await claimed(store, 5) == ["a1", "b1", "c1", "a2", "b2"]
    assert await claimed(store, 5) == ["a3"]


async def test_a_tenant_with_fewer_jobs_under_way_comes_first(store):
    await line_up(store, "a1", "a2", "a3", tenant="ann")
    await begun(store, "a1")
    await line_up(store, "b1", "b2", tenant="bob")
    assert await claimed(store, 2) == ["b1", "a2"]


async def test_priority_comes_before_turns_and_age(store):
    await line_up(store, "a1", tenant="ann", priority=-1)
    await line_up(store, "b1", "b2", "b3", tenant="bob")
    await line_up(store, "b0", tenant="bob", priority=3)
    assert await claimed(store, 4) == ["b0", "b1", "b2", "b3"]
    assert await claimed(store, 4) == ["a1"]


async def test_what_was_begun_and_left_comes_before_all_that_wait(store):
    await line_up(store, "z1")
    await begun(store, "z1")
    await line_up(store, "a1", priority=9)
    await store.release()
    assert await claimed(store, 1) == ["z1"]


@pytest.fixture
def capped(database):
    """A journal where the account `easel` takes two orders at once."""
    return Store(database, owner="me", caps={"easel": 2})


async def test_jobs_that_wait_for_a_full_account_let_others_pass(capped):
    await line_up(capped, "a1", "a2", "a3", account="easel")
    await line_up(capped, "a4", account="loom")
    await line_up(capped, "a5")
    assert await claimed(capped, 9) == ["a1", "a2", "a4", "a5"]
    for name in ("a1", "a2"):
        await capped.begin(attempt(name), 1, [])
    assert await claimed(capped, 9) == []


async def test_a_job_with_an_order_of_its_own_at_a_full_account_is_claimed(capped):
    await line_up(capped, "a1", "a2", account="easel")
    first, _ = await begun(capped, "a1")
    await begun(capped, "a2")
    await capped.again(first.job, first.epoch, 0.0, [])
    assert await claimed(capped, 9) == ["a1"]


async def test_no_order_is_begun_at_a_full_account_and_one_is_when_an_answer_has_come(capped):
    await line_up(capped, "a1", "a2", "a3", account="loom")
    first, opened = await begun(capped, "a1")
    await begun(capped, "a2")
    (third,) = await capped.claim(1, 15.0)
    with pytest.raises(Full, match="easel has 2 orders under way and takes 2 at once"):
        await capped.begin(attempt("a3"), third.epoch, [event("a3", 2, "running", "running")])
    assert await capped.job("a3") == third.job
    await capped.answered(opened, first.epoch, b"x", [])
    await capped.begin(attempt("a3"), third.epoch, [event("a3", 2, "running", "running")])
    assert (await capped.job("a3")).state == "running"


async def test_an_order_that_is_written_twice_takes_one_place(capped):
    await line_up(capped, "a1")
    (work,) = await capped.claim(1, 15.0)
    for _ in range(3):
        await capped.begin(attempt("a1"), work.epoch, [event("a1", 2, "running", "running")])
    await line_up(capped, "a2")
    await begun(capped, "a2")


async def test_a_job_is_not_written_with_an_order_that_has_no_place(capped):
    for name in ("a1", "a2"):
        await capped.enqueue(new(id=name), [event(name)], attempt(name), 15.0)
    with pytest.raises(Full):
        await capped.enqueue(new(id="a3"), [event("a3")], attempt("a3"), 15.0)
    await line_up(capped, "a3", account="easel")
    assert await claimed(capped, 9) == []


async def test_several_processes_never_pass_an_accounts_bound(shared):
    databases = [connect(postgres.server().url(shared)) for _ in range(4)]
    stores = [Store(database, f"{n}", caps={"easel": 3}) for n, database in enumerate(databases)]
    names = [f"j{n:02}" for n in range(24)]
    await line_up(stores[0], *names)
    most = 0

    async def work(store):
        nonlocal most
        for held in await store.claim(6, 15.0):
            opened = attempt(held.job.id)
            try:
                await store.begin(opened, held.epoch, [])
            except Full:
                await store.again(held.job, held.epoch, 0.0, [])
                continue
            most = max(most, await under_way(store))
            await store.give_up(opened, held.epoch, Failure(code="x", message="x"), "no")
            await store.end(held.job.model_copy(update={"state": "failed"}), held.epoch, [])

    while await stores[0].open_jobs():
        await asyncio.gather(*(work(store) for store in stores))
    assert 1 <= most <= 3
    for database in databases:
        database.close()


async def under_way(store):
    from limner.store.line import LOADS

    found = await store._database.read(lambda connection: connection.execute(LOADS).all())
    return sum(row.orders for row in found)


async def test_what_waited_past_its_deadline_ends_and_says_so(store):
    await line_up(store, "a1", "a2")
    await aged(store, "a1", expires_at=clock() - 1.0)
    ((job, told),) = await store.expire(9, 2.0)
    message = (
        "no order could be placed within 60 s; order again when less is waiting, or allow more time "
        "(policy.deadline_s)"
    )
    assert (job.state, job.error) == ("failed", Failure(code="deadline", message=message))
    assert await store.job("a1") == job
    assert told == (await store.events("a1", 1))[0]
    assert (told.seq, told.type, told.state, told.at) == (2, "failed", "failed", 2.0)
    assert await store.expire(9, 2.0) == []
    assert await claimed(store, 9) == ["a2"]


async def test_what_is_held_or_has_had_orders_is_not_ended_unseen(store):
    await line_up(store, "a1", "a2")
    work, opened = await begun(store, "a1")
    await store.give_up(opened, work.epoch, Failure(code="x", message="x"), "no")
    await store.again(work.job, work.epoch, 0.0, [])
    await aged(store, "a1", expires_at=clock() - 1.0, lease_until=clock() + 60)
    await store.claim(1, 15.0)
    await aged(store, "a2", expires_at=clock() - 1.0)
    assert await store.expire(9, 2.0) == []


async def test_an_overdue_job_is_claimed_though_its_account_is_full(capped):
    await line_up(capped, "a1", "a2", "a3", account="easel")
    for name in ("a1", "a2"):
        await begun(capped, name)
    await aged(capped, "a3", expires_at=clock() - 1.0)
    assert await claimed(capped, 9) == ["a3"]


async def test_the_time_a_job_has_left_is_told_by_the_database(store):
    await line_up(store, "a1")
    (work,) = await store.claim(1, 15.0)
    assert work.left_s is not None
    assert 0 < work.left_s <= 60.0
    await aged(store, "a1", expires_at=clock() + 1.0)
    await store.begin(attempt("a1"), work.epoch, [])
    await store.release()
    (again,) = await store.claim(1, 15.0)
    assert again.left_s is not None
    assert again.left_s > 1.0  # it counts from the first order


async def test_leases_and_deadlines_move_with_the_clock(store):
    await line_up(store, "a1", "a2")
    (work,) = await store.claim(1, 15.0)
    await store.shift(-3600.0)
    (taken, *_) = await store.claim(9, 15.0)
    assert taken.job.id == work.job.id
    assert taken.left_s is not None
    assert taken.left_s < -3000.0


async def test_a_renewal_tells_which_jobs_are_still_held(store):
    await line_up(store, "a1", "a2")
    works = await store.claim(2, 15.0)
    await store.end(works[1].job.model_copy(update={"state": "failed"}), works[1].epoch, [])
    assert await store.renew(15.0, ["a1", "a2"]) == {"a1": 1}
    await store.release()
    assert await store.renew(15.0, ["a1", "a2"]) == {}


async def test_the_line_is_told_as_it_stands(store):
    await line_up(store, "a1", "a2", tenant="ann", account="easel")
    await begun(store, "a1")
    await line_up(store, "b1", "b2", "b3", tenant="bob", priority=2)
    await aged(store, "b3", not_before=clock() + 30)
    line = await store.places(["a1", "a2", "b3"])
    assert replace(line, places=()) == Line(
        (Lane("ann", 0, "easel", 1, "a2"), Lane("bob", 2, None, 3, "b1")), {"ann": 1}, ()
    )
    places = {one.id: one for one in line.places}
    assert {name: (one.tenant, one.rank) for name, one in places.items()} == {
        "a2": ("ann", 0),
        "b3": ("bob", 2),
    }
    assert places["a2"].wait_s < 0 < places["b3"].wait_s
