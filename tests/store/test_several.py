"""Several processes on one journal: as many stores as there would be processes, each with its connections."""

import asyncio
import threading
import time
from collections import Counter

import pytest

from limner.core.errors import Conflict
from limner.core.job import Confirmation, Failure
from limner.store.connections import Taken
from limner.store.postgres import Postgres
from limner.store.rows import Standing
from limner.store.steps import Fenced
from limner.store.store import Store
from tests import postgres
from tests.fakes import request
from tests.store.test_store import attempt, ended, entries, event, held, new

LOST = Failure(code="lost", message="x")


@pytest.fixture
async def stores(shared):
    """Three journals on one database."""
    databases = [Postgres(postgres.server().url(shared)) for _ in range(3)]
    yield [Store(database, owner) for database, owner in zip(databases, ("one", "two", "three"), strict=True)]
    for database in databases:
        database.close()


async def test_a_job_is_claimed_once_however_many_ask_at_once(stores):
    orders = [new(priority=n % 3) for n in range(60)]
    await asyncio.gather(*(stores[0].enqueue(order, []) for order in orders))

    async def drain(store) -> list[str]:
        taken: list[str] = []
        while works := await store.claim(4, 15.0):
            taken += [work.job.id for work in works]
        return taken

    rounds = await asyncio.gather(*(drain(store) for store in stores * 3))
    rest = await drain(stores[0])  # a round may end early: what the others had locked was skipped
    claimed = Counter(job for taken in (*rounds, rest) for job in taken)
    assert claimed == Counter(order.job.id for order in orders)


async def test_a_claim_waits_for_nobody(stores, shared):
    orders = [new(), new()]
    for order in orders:
        await stores[0].enqueue(order, [])
    first, second = sorted(order.job.id for order in orders)
    gate, locked = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(connection):
        connection.exec_driver_sql(f"SELECT 1 FROM jobs WHERE id = '{first}' FOR UPDATE")
        loop.call_soon_threadsafe(locked.set)
        gate.wait(10)

    holding = asyncio.ensure_future(stores[0]._database.write(hold))
    await locked.wait()
    assert [work.job.id for work in await stores[1].claim(9, 15.0)] == [second]
    gate.set()
    await holding
    assert [work.job.id for work in await stores[1].claim(9, 15.0)] == [first]


async def test_a_lease_keeps_the_others_off_until_it_runs_out(stores):
    one, two, _ = stores
    work, opened = await held(one)
    assert await two.claim(9, 15.0) == []
    await one.renew(-1.0, [work.job.id])
    (taken,) = await two.claim(9, 15.0)
    assert (taken.job.id, taken.epoch, taken.attempt) == (work.job.id, 2, opened)
    await one.renew(15.0, [work.job.id])  # too late: it is not its own any more
    await two.renew(-1.0, [work.job.id])
    assert len(await one.claim(9, 15.0)) == 1


async def test_a_worker_that_froze_can_write_nothing_about_what_another_has_taken(stores):
    one, two, _ = stores
    work, opened = await held(one)
    await one.renew(-1.0, [work.job.id])
    (taken,) = await two.claim(9, 15.0)
    for writing in (
        one.begin(attempt(work.job.id, 2), work.epoch, []),
        one.hold(opened, work.epoch, {}, []),
        one.answered(opened, work.epoch, b"data", []),
        one.give_up(opened, work.epoch, LOST, billed="maybe"),
        one.finish(ended(work), work.epoch, opened, 1, []),
        one.end(ended(work, "failed"), work.epoch, []),
        one.again(work.job, work.epoch, 0.0, []),
    ):
        with pytest.raises(Fenced):
            await writing
    assert await one.standing([work.job.id]) == {work.job.id: Standing(epoch=2, cancel_requested=False)}
    await two.finish(ended(work), taken.epoch, opened, 40_000, [])
    assert await entries(one) == [("reserve", 40_000), ("release", 40_000), ("settle", 40_000)]


async def test_who_stops_hands_over_and_the_next_goes_on_at_once(stores):
    one, two, three = stores
    work, opened = await held(one)
    await held(three)
    await one.release()
    (taken,) = await two.claim(9, 15.0)
    assert (taken.job.id, taken.epoch, taken.attempt) == (work.job.id, 3, opened)
    with pytest.raises(Fenced):
        await one.end(ended(work, "failed"), work.epoch, [])


async def test_a_job_whose_claim_went_unheard_is_claimed_again_when_its_lease_has_run_out(stores):
    one, _, _ = stores
    order = new()
    await one.enqueue(order, [])
    await one.claim(1, 0.05)  # committed, and the answer lost on its way
    await one.renew(15.0, [])
    await asyncio.sleep(0.06)
    (work,) = await one.claim(1, 15.0, held=[])
    assert (work.job.id, work.epoch) == (order.job.id, 2)


async def test_one_key_at_every_door_at_once_is_one_job(stores):
    orders = [new("k") for _ in range(30)]
    found = await asyncio.gather(*(stores[n % 3].enqueue(order, []) for n, order in enumerate(orders)))
    (winner,) = [order.job for order, earlier in zip(orders, found, strict=True) if earlier is None]
    assert [earlier for earlier in found if earlier is not None] == [winner] * 29
    assert await stores[0].open_jobs() == 1


async def test_one_key_for_two_requests_at_once_is_one_job_and_one_conflict(stores):
    for number in range(20):
        found = await asyncio.gather(
            stores[0].enqueue(new(f"k{number}"), []),
            stores[1].enqueue(new(f"k{number}", wanted=request(seed=8)), []),
            return_exceptions=True,
        )
        assert sorted(type(one).__name__ for one in found) == ["Conflict", "NoneType"]
        assert any(isinstance(one, Conflict) for one in found)


async def test_a_cancel_and_a_first_order_at_once_never_lose_the_order(stores):
    one, two, _ = stores
    for _ in range(30):
        order = new()
        await one.enqueue(order, [])
        (work,) = await one.claim(1, 15.0)
        begun, job = await asyncio.gather(
            one.begin(attempt(order.job.id), work.epoch, []),
            two.request_cancel(order.job.id, time.time()),
            return_exceptions=True,
        )
        tried = (await two.job(order.job.id)).receipt.attempts
        if isinstance(begun, Fenced):
            assert (job.state, tried) == ("canceled", ())
        else:
            assert (begun, job.state, job.cancel_requested, len(tried)) == (None, "running", True, 1)


async def test_a_picture_sent_in_at_two_doors_at_once_is_remembered(stores):
    for number in range(20):
        await asyncio.gather(*(store.remember_input(f"{number}", 3) for store in stores))
    assert await stores[0].referenced(["0", "19", "20"]) == {"0", "19"}


async def test_news_are_what_others_wrote_and_who_ended(stores):
    one, two, _ = stores
    work, opened = await held(one)
    other, _ = await held(one)
    accepted = event(work.job.id, 2, "accepted", "waiting")
    await one.hold(opened, work.epoch, {"id": "7"}, [accepted])
    seen = {work.job.id: 1, other.job.id: 1}
    assert await two.news(seen) == ([accepted], [])
    last = event(work.job.id, 3, "succeeded", "succeeded")
    await one.finish(ended(work), work.epoch, opened, None, [last])
    assert await two.news(seen | {work.job.id: 2}) == ([last], [await two.job(work.job.id)])


# -- a write whose answer was lost is written again: on both databases ------------------------------------


async def test_an_order_accepted_twice_is_one_job(store):
    for key in (None, "k"):
        order = new(key)
        opened = attempt(order.job.id)
        for _ in range(2):
            assert await store.enqueue(order, [event(order.job.id)], opened, 15.0) is None
    assert await store.open_jobs() == 2
    assert await entries(store) == [("reserve", 40_000)] * 2


async def test_an_order_that_is_in_the_way_of_another_is_not_taken_for_it(store):
    order = new()
    opened = attempt(order.job.id)
    await store.enqueue(order, [], opened, 15.0)
    other = new()
    with pytest.raises(Taken):
        await store.enqueue(other, [], opened, 15.0)  # its attempt has the other's number
    assert await store.open_jobs() == 1


async def test_every_line_of_a_job_may_be_written_twice(store):
    order = new()
    await store.enqueue(order, [event(order.job.id)])
    (work,) = await store.claim(1, 15.0)
    epoch, opened, refused = work.epoch, attempt(order.job.id, 2), attempt(order.job.id, 1)
    lines = [
        lambda: store.begin(refused, epoch, [event(order.job.id, 2, "running", "running")]),
        lambda: store.give_up(refused, epoch, LOST, billed="yes"),
        lambda: store.begin(opened, epoch, [event(order.job.id, 3, "running", "running")]),
        lambda: store.hold(opened, epoch, {"id": "7"}, [event(order.job.id, 4, "accepted", "waiting")]),
        lambda: store.answered(opened, epoch, b"raw", [event(order.job.id, 5, "storing", "storing")]),
        lambda: store.finish(
            ended(work), epoch, opened, 31_250, [event(order.job.id, 6, "succeeded", "succeeded")]
        ),
        lambda: store.forget_answers([opened.id]),
    ]
    for line in lines:
        await line()
        once = (await store.job(order.job.id), await entries(store), await store.events(order.job.id, 0))
        await line()
        assert once == (
            await store.job(order.job.id),
            await entries(store),
            await store.events(order.job.id, 0),
        )
    assert await entries(store) == [
        ("reserve", 40_000),
        ("release", 40_000),
        ("settle", 40_000),
        ("reserve", 40_000),
        ("release", 40_000),
        ("settle", 31_250),
    ]


async def test_the_other_ends_may_be_written_twice_too(store):
    work, _ = await held(store)
    retrying = event(work.job.id, 2, "retrying", "queued")
    failed = event(work.job.id, 3, "failed", "failed")
    for _ in range(2):
        await store.again(work.job.model_copy(update={"tries": 1}), work.epoch, 0.0, [retrying])
    for _ in range(2):
        await store.end(ended(work, "failed"), work.epoch, [failed])
    assert await store.events(work.job.id, 1) == [retrying, failed]
    order = new()
    await store.enqueue(order, [])
    first = await store.request_cancel(order.job.id, 5.0)
    assert await store.request_cancel(order.job.id, 6.0) == first


async def test_a_question_may_be_asked_twice_and_is_one(store):
    work, _ = await held(store)
    asked = Confirmation(reason="unknown", message="again?", choices=("pay_again", "write_off"))
    job = work.job.model_copy(update={"state": "needs_confirmation", "confirmation": asked})
    told = event(work.job.id, 2, "asked", "needs_confirmation")
    for _ in range(2):
        await store.ask(job, work.epoch, [told])
    assert await store.events(work.job.id, 1) == [told]
    assert (await store.job(work.job.id)).confirmation == asked


async def test_what_another_wrote_is_not_taken_for_ones_own(store):
    work, opened = await held(store)
    await store.hold(opened, work.epoch, {"id": "7"}, [event(work.job.id, 2, "accepted", "waiting")])
    with pytest.raises(Taken):
        await store.answered(opened, work.epoch, b"raw", [event(work.job.id, 2, "storing", "storing")])
    assert await store.answer(opened.id) is None


async def test_a_message_with_what_a_database_cannot_hold_is_kept_all_the_same(store):
    order = new()
    told = event(order.job.id).model_copy(update={"message": "a\x00b"})
    await store.enqueue(order, [told])
    assert [one.message for one in await store.events(order.job.id, 0)] == ["a\ufffdb"]
