from decimal import Decimal

import pytest
from sqlalchemy import select

from limner.core.errors import Conflict, NotFound
from limner.core.events import JobEvent
from limner.core.ids import uuid7
from limner.core.job import Confirmation, Decided, Failure
from limner.store.consent import Late
from limner.store.schema import ledger
from tests.store.test_store import attempt, event, new

ASKED = Confirmation(reason="dearer", message="dearer", choices=("accept", "cancel"), target="easel/m")


def yes(job_id, at=5.0):
    return JobEvent(job_id=job_id, seq=1, type="decided", state="queued", at=at, message="accepted")


async def asking(store, confirmation=ASKED):
    order = new(state="needs_confirmation", confirmation=confirmation)
    await store.enqueue(order, [event(order.job.id), event(order.job.id, 2, "asked", "needs_confirmation")])
    return order.job.id


async def test_a_job_that_asks_is_written_as_such_and_nobody_claims_it(store):
    job_id = await asking(store)
    found = await store.job(job_id)
    assert (found.state, found.confirmation, await store.claim(5, 15.0)) == ("needs_confirmation", ASKED, [])


async def test_an_accepted_price_is_the_new_ceiling_and_the_job_is_claimed_again(store):
    job_id = await asking(store)
    job = await store.accept_price(job_id, 70_000, yes(job_id), by="ann")
    assert (job.state, int(job.ceiling_usd * 1_000_000)) == ("queued", 70_000)
    assert job.confirmation == ASKED.model_copy(
        update={"decided": Decided(decision="accept", by="ann", at=5.0)}
    )
    assert [(one.seq, one.type) for one in await store.events(job_id, 2)] == [(3, "decided")]
    (work,) = await store.claim(5, 15.0)
    assert work.job.id == job_id
    assert work.left_s > 50


async def test_the_same_yes_said_twice_is_one_and_another_is_a_conflict(store):
    job_id = await asking(store)
    first = await store.accept_price(job_id, None, yes(job_id))
    for at in (5.0, 6.0):  # the same write once more, and the same person once more
        assert await store.accept_price(job_id, None, yes(job_id, at)) == first
    with pytest.raises(Conflict, match="asks for no price: it is queued; it was told: accept"):
        await store.accept_price(job_id, None, yes(job_id, 6.0), by="bob")
    assert len(await store.events(job_id, 0)) == 3


@pytest.mark.parametrize(
    "confirmation", [ASKED.model_copy(update={"reason": "unknown", "choices": ("pay_again",)}), None]
)
async def test_what_asks_for_no_price_takes_none(store, confirmation):
    job_id = await asking(store, confirmation)
    with pytest.raises(Conflict, match=f"job {job_id} asks for no price: it is needs_confirmation"):
        await store.accept_price(job_id, 1, yes(job_id))


async def test_an_unknown_job_cannot_be_agreed_with(store):
    with pytest.raises(NotFound):
        await store.accept_price(uuid7(), 1, yes("x"))


async def test_an_order_found_late_costs_its_caller_no_more_than_agreed(store):
    order = new(ceiling_usd=Decimal("0.04"))
    lost = attempt(order.job.id)
    await store.enqueue(order, [event(order.job.id)], lost, 15.0)
    await store.give_up(lost, 1, Failure(code="unknown", message="lost"), "maybe")
    job = await store.settle_late(Late(attempt=lost, images=(), notes=(), price=90_000, at=9.0))
    query = select(ledger.c.tenant, ledger.c.kind, ledger.c.micros).order_by(ledger.c.id)
    booked = [tuple(row) for row in await store._database.read(lambda c: c.execute(query).all())]
    assert booked == [
        ("me", "reserve", 40_000),
        ("me", "release", 40_000),
        ("me", "settle", 40_000),
        ("limner", "settle", 50_000),
    ]
    assert job.receipt.cost_usd == Decimal("0.04")
