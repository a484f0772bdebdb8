import asyncio
import time
from decimal import Decimal

import pytest

from limner.core.errors import Conflict, NotFound
from limner.core.events import JobEvent
from limner.core.ids import uuid7
from limner.core.job import Failure, Job
from limner.core.quote import Note, PassedOver
from limner.store.connections import Taken
from limner.store.rows import NewJob, OpenAttempt
from limner.store.schema import clock, jobs
from limner.store.steps import Fenced
from limner.store.store import Store
from tests.fakes import request, target

PAID, FREE = target("easel"), target("local", "0")


def new(key=None, priority=0, wanted=None, tenant="me", **changes) -> NewJob:
    wanted = wanted or request()
    job = Job(**{"id": uuid7(), "state": "queued", "request": wanted, "created_at": time.time()} | changes)
    return NewJob(job, tenant, key, wanted.fingerprint(), 60.0, priority)


def event(job_id, seq=1, kind="queued", state="queued"):
    return JobEvent(job_id=job_id, seq=seq, type=kind, state=state, at=0.0)


def attempt(job_id, n=1, wanted=PAID, **changes) -> OpenAttempt:
    return OpenAttempt(job_id, n, wanted, "first choice", 1.0, 61.0, **changes)


async def held(store, wanted=PAID, **changes):
    """A job claimed by this store, with an open attempt."""
    order = new(**changes)
    await store.enqueue(order, [event(order.job.id)])
    (work,) = await store.claim(1, 15.0)
    opened_ = attempt(order.job.id, wanted=wanted)
    await store.begin(opened_, work.epoch, [])
    return work, opened_


def ended(work, state="succeeded") -> Job:
    return work.job.model_copy(update={"state": state, "finished_at": work.job.created_at + 2.0})


async def entries(store):
    from sqlalchemy import select

    from limner.store.schema import ledger

    query = select(ledger.c.kind, ledger.c.micros).order_by(ledger.c.id)
    return [tuple(row) for row in await store._database.read(lambda c: c.execute(query).all())]


async def test_a_job_comes_back_as_it_was_written(store):
    order = new(wanted=request(negative_prompt="rain", project="zoo"))
    await store.enqueue(order, [event(order.job.id)])
    assert await store.job(order.job.id) == order.job
    assert await store.events(order.job.id, 0) == [event(order.job.id)]


async def test_notes_and_who_was_passed_over_come_back_too(store):
    told = {
        "notes": (Note(field="seed", message="ignored"),),
        "passed_over": (PassedOver(target="a/b", reason="c"),),
    }
    order = new()
    order = NewJob(
        order.job.model_copy(update={"receipt": order.job.receipt.model_copy(update=told)}),
        "me",
        None,
        "f",
        60.0,
    )
    await store.enqueue(order, [])
    assert (await store.job(order.job.id)).receipt == order.job.receipt


async def test_the_same_key_and_request_give_the_first_job(store):
    first = new("k")
    assert await store.enqueue(first, []) is None
    assert await store.enqueue(new("k"), []) == first.job
    assert await store.earlier("me", "k", request().fingerprint()) == first.job
    assert await store.earlier("me", "other", request().fingerprint()) is None


async def test_the_same_key_with_another_request_is_a_conflict_and_of_another_caller_is_not(store):
    await store.enqueue(new("k"), [])
    with pytest.raises(Conflict, match="idempotency key 'k'"):
        await store.enqueue(new("k", wanted=request(seed=8)), [])
    assert await store.enqueue(new("k", tenant="you"), []) is None


async def test_jobs_are_claimed_by_priority_then_by_age_and_only_once(store):
    orders = [new(priority=0), new(priority=5), new(priority=0)]
    for order in orders:
        await store.enqueue(order, [])
    ids = [order.job.id for order in orders]
    assert [work.job.id for work in await store.claim(2, 15.0)] == [ids[1], min(ids[0], ids[2])]
    assert len(await store.claim(9, 15.0)) == 1
    assert await store.claim(9, 15.0) == []


async def test_a_claim_raises_the_epoch_and_carries_what_is_open(store):
    work, opened_ = await held(store)
    await store.hold(opened_, work.epoch, {"id": "7"}, [event(work.job.id, 2, "accepted", "waiting")])
    await store.release()
    (again,) = await store.claim(1, 15.0)
    assert (work.epoch, again.epoch, again.seq) == (1, 3, 2)
    assert again.attempt == attempt(work.job.id, state="accepted", ticket={"id": "7"})


async def test_a_lease_that_has_run_out_is_taken_by_another_worker(store):
    work, opened_ = await held(store)
    other = Store(store._database, "other")
    assert await other.claim(1, 15.0) == []
    await store.renew(-1.0, [work.job.id])
    (taken,) = await other.claim(1, 15.0)
    assert (taken.job.id, taken.epoch, taken.attempt) == (work.job.id, 2, opened_)


async def test_a_clock_that_jumps_does_not_make_a_worker_take_from_itself(store):
    work, _ = await held(store)
    await store.renew(-1000.0, [work.job.id])
    assert await store.claim(9, 15.0, held=[work.job.id]) == []


async def test_a_stale_lease_can_write_nothing(store):
    work, opened_ = await held(store)
    await store.take_over()
    failure = Failure(code="lost", message="x")
    for writing in (
        store.begin(attempt(work.job.id, 2), work.epoch, []),
        store.hold(opened_, work.epoch, {}, []),
        store.answered(opened_, work.epoch, b"data", []),
        store.give_up(opened_, work.epoch, failure, billed="maybe"),
        store.finish(ended(work), work.epoch, opened_, 1, []),
        store.end(ended(work, "failed"), work.epoch, []),
        store.again(work.job, work.epoch, 0.0, []),
    ):
        with pytest.raises(Fenced, match="claimed by another worker"):
            await writing
    job = await store.job(work.job.id)
    assert (job.state, [one.state for one in job.receipt.attempts]) == ("running", ["submitting"])
    assert await store.answer(opened_.id) is None
    assert await entries(store) == [("reserve", 40_000)]


async def test_an_attempt_reserves_its_price_and_a_refusal_releases_it(store):
    work, opened_ = await held(store)
    assert await entries(store) == [("reserve", 40_000)]
    await store.give_up(opened_, work.epoch, Failure(code="rejected", message="no"), billed="no")
    assert await entries(store) == [("reserve", 40_000), ("release", 40_000)]
    (tried,) = (await store.job(work.job.id)).receipt.attempts
    assert (tried.state, tried.error) == ("refused", Failure(code="rejected", message="no"))


async def test_what_may_have_been_charged_keeps_its_reservation(store):
    work, opened_ = await held(store)
    await store.give_up(opened_, work.epoch, Failure(code="timed_out", message="?"), billed="maybe")
    assert await entries(store) == [("reserve", 40_000)]
    assert (await store.job(work.job.id)).receipt.cost_usd == Decimal("0.04")


async def test_what_is_free_or_of_unknown_price_leaves_no_ledger_row(store):
    for wanted in (FREE, target("fresco", None)):
        work, opened_ = await held(store, wanted)
        await store.finish(ended(work), work.epoch, opened_, None, [])
    assert await entries(store) == []


async def test_the_end_settles_at_the_vendors_figure(store):
    work, opened_ = await held(store)
    await store.finish(
        ended(work), work.epoch, opened_, 31_250, [event(work.job.id, 2, "succeeded", "succeeded")]
    )
    job = await store.job(work.job.id)
    assert (job.state, job.receipt.cost_usd, job.receipt.seconds) == ("succeeded", Decimal("0.03125"), 2.0)
    assert await entries(store) == [("reserve", 40_000), ("release", 40_000), ("settle", 31_250)]
    assert await store.open_jobs() == 0


async def test_a_job_put_back_is_not_claimed_before_its_time(store):
    work, _ = await held(store)
    await store.again(work.job.model_copy(update={"tries": 1}), work.epoch, 100.0, [])
    assert await store.claim(9, 15.0) == []
    await store.again(work.job.model_copy(update={"tries": 2}), work.epoch, -1.0, [])
    (again,) = await store.claim(9, 15.0)
    assert (again.job.tries, again.job.state) == (2, "queued")


async def test_a_waiting_job_is_cancelled_at_once_and_a_held_one_later(store):
    order = new()
    await store.enqueue(order, [event(order.job.id)])
    job = await store.request_cancel(order.job.id, 5.0)
    assert (job.state, job.cancel_requested, job.finished_at) == ("canceled", True, 5.0)
    assert [one.type for one in await store.events(job.id, 0)] == ["queued", "canceled"]
    assert await store.request_cancel(job.id, 6.0) == job
    work, _ = await held(store)
    job = await store.request_cancel(work.job.id, 5.0)
    assert (job.state, job.cancel_requested) == ("running", True)


async def test_cancelling_a_claimed_job_before_its_first_order_fences_its_worker(store):
    order = new()
    await store.enqueue(order, [])
    (work,) = await store.claim(1, 15.0)
    assert (await store.request_cancel(order.job.id, 5.0)).state == "canceled"
    with pytest.raises(Fenced):
        await store.begin(attempt(order.job.id), work.epoch, [])
    assert await entries(store) == []


async def test_two_attempts_of_one_number_cannot_be(store):
    work, opened_ = await held(store)
    with pytest.raises(Taken, match="attempts"):
        await store.begin(opened_, work.epoch, [])
    assert await entries(store) == [("reserve", 40_000)]


async def test_jobs_are_listed_newest_first_by_page_state_and_project(store):
    orders = [new(wanted=request(project="zoo" if n % 2 else "art")) for n in range(6)]
    for order in orders:
        await store.enqueue(order, [])
    ids = sorted((order.job.id for order in orders), reverse=True)
    await store.request_cancel(ids[0], 1.0)
    assert [job.id for job in await store.jobs(None, None, 4, None)] == ids[:4]
    assert [job.id for job in await store.jobs(None, None, 4, ids[3])] == ids[4:]
    assert [job.id for job in await store.jobs("canceled", None, 9, None)] == ids[:1]
    zoo = sorted((order.job.id for order in orders if order.job.request.project == "zoo"), reverse=True)
    assert [job.id for job in await store.jobs(None, "zoo", 9, None)] == zoo
    assert await store.jobs("failed", None, 9, None) == []


async def test_a_listed_job_is_the_job_as_it_is_read(store):
    work, opened_ = await held(store)
    await store.give_up(opened_, work.epoch, Failure(code="lost", message="x"), billed="maybe")
    assert await store.jobs(None, None, 9, None) == [await store.job(work.job.id)]


async def test_what_is_not_there_is_said_so_by_name(store):
    with pytest.raises(NotFound, match="no job 'nobody'"):
        await store.job("nobody")
    with pytest.raises(NotFound, match="no job 'nobody'"):
        await store.request_cancel("nobody", 0.0)
    with pytest.raises(NotFound, match="no picture 'nothing'"):
        await store.image("nothing")
    with pytest.raises(NotFound, match=r"no picture 'a/b/c\.png'"):
        await store.image_at("a", "b", "c.png")
    with pytest.raises(NotFound) as caught:
        await store.job("x" * 5000)
    assert len(str(caught.value)) < 300
    assert await store.events("nobody", 0) == []
    assert await store.answer("nothing") is None


async def test_a_raw_answer_is_held_until_its_pictures_are_safe(store):
    work, opened_ = await held(store)
    await store.answered(opened_, work.epoch, b"raw", [])
    assert await store.answer(opened_.id) == b"raw"
    assert await store.settled_answers(-10.0, 9) == []
    await store.finish(ended(work), work.epoch, opened_, None, [])
    assert await store.settled_answers(-10.0, 9) == [(opened_.id, ())]
    assert await store.settled_answers(1e6, 9) == []
    await store.forget_answers([opened_.id])
    assert await store.answer(opened_.id) is None


async def test_fifty_equal_orders_at_once_are_one_job(store):
    found = await asyncio.gather(*(store.enqueue(new("k"), []) for _ in range(50)))
    assert len([one for one in found if one is None]) == 1
    assert len({one.id for one in found if one is not None}) == 1
    assert await store.open_jobs() == 1


async def test_the_databases_clock_is_unix_time(store):
    from sqlalchemy import select

    now = await store._database.read(lambda connection: connection.execute(select(clock())).scalar_one())
    assert abs(now - time.time()) < 60


def test_postgres_gets_its_own_clock():
    from sqlalchemy import select
    from sqlalchemy.dialects import postgresql

    text = str(select(jobs.c.id).where(jobs.c.not_before <= clock()).compile(dialect=postgresql.dialect()))
    assert "extract(epoch from clock_timestamp())" in text


async def test_an_accounts_orders_that_are_under_way_or_unknown_are_told(store):
    _, sent = await held(store)
    work, lost = await held(store)
    await store.give_up(lost, work.epoch, Failure(code="unknown", message="no answer"), "maybe")
    work, refused = await held(store)
    await store.give_up(refused, work.epoch, Failure(code="rejected", message="no"), "no")
    await held(store, FREE)
    assert {one.id for one in await store.unsettled(PAID.account)} == {sent.id, lost.id}
    assert await store.unsettled("nobody") == []
