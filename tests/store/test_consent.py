"""Decisions and late answers in the journal, on both databases."""

import asyncio
from dataclasses import replace
from decimal import Decimal

import pytest
from sqlalchemy import select

from limner.core.errors import Conflict, InvalidRequest, NotFound
from limner.core.events import JobEvent
from limner.core.job import Artifact, Confirmation, Decided, Failure, Recipe
from limner.core.quote import Note
from limner.core.request import MAX_COUNT
from limner.store.connections import Taken
from limner.store.consent import Late
from limner.store.schema import ledger
from tests.fakes import request
from tests.store.test_store import PAID, attempt, event, held

NO_ANSWER = Failure(code="timed_out", message="no answer")
QUESTION = Confirmation(
    reason="unknown", message="what now?", choices=("pay_again", "write_off", "delivered"), target="easel/m"
)
AT = 1_700_000_000.0


def said(decision, by="Ada") -> Decided:
    return Decided(decision=decision, by=by, at=AT)


async def money(store):
    query = select(ledger.c.kind, ledger.c.micros).order_by(ledger.c.id)
    return [tuple(row) for row in await store._database.read(lambda c: c.execute(query).all())]


async def lost(store, question=QUESTION, **changes):
    """A job that asks about its lost order."""
    work, opened = await held(store, **changes)
    await store.give_up(opened, work.epoch, NO_ANSWER, "maybe")
    job = (await store.job(work.job.id)).model_copy(
        update={"state": "needs_confirmation", "confirmation": question}
    )
    asked = JobEvent(job_id=job.id, seq=2, type="asked", state="needs_confirmation", at=0.0)
    await store.ask(job, work.epoch, [asked])
    return await store.job(job.id), opened


def picture(job, index=0, name="a"):
    recipe = Recipe(limner="1", prompt="p", request=request(), provider="easel", model="m")
    return Artifact(
        id=f"{name}{index}-{job.id[:30]}",
        job_id=job.id,
        index=index,
        digest="0" * 64,
        size_bytes=1,
        width=1,
        height=1,
        format="png",
        seed=1,
        project="default",
        provider="easel",
        model="m",
        file=f"{name}{index}{job.id}.png",
        created_at=1.0,
        recipe=recipe,
    )


def late(job, opened, *images, price=30_000, decided=None) -> Late:
    return Late(opened, images or (picture(job),), (Note(field="size", message="small"),), price, AT, decided)


async def test_a_lost_order_is_listed_with_its_job_until_it_is_settled(store):
    job, opened = await lost(store)
    (one,) = await store.lost()
    assert (one.attempt.id, one.job_state, one.prompt) == (opened.id, "needs_confirmation", "a red fox")
    assert (one.price, one.error, one.decided) == (40_000, NO_ANSWER, None)
    await store.settle_late(late(job, opened))
    assert await store.lost() == []


async def test_pay_again_puts_the_job_back_as_new_and_keeps_the_reservation(store):
    job, _ = await lost(store)
    again = await store.decide(job.id, said("pay_again"))
    assert (again.state, again.tries, again.error, again.finished_at) == ("queued", 0, None, None)
    assert again.receipt.attempts[0].decided == said("pay_again")
    assert again.confirmation == QUESTION.model_copy(update={"decided": said("pay_again")})
    assert await money(store) == [("reserve", 40_000)]
    (work,) = await store.claim(1, 15.0)
    assert (work.job.id, work.attempt) == (job.id, None)
    assert [(one.type, one.message) for one in await store.events(job.id, 2)] == [
        ("decided", "pay again, says Ada")
    ]


async def test_an_unpriced_loss_is_written_off_without_a_row_of_money(store):
    job, _ = await lost(store, wanted=PAID.model_copy(update={"price_usd": None}))
    ended = await store.decide(job.id, said("write_off"))
    assert (ended.receipt.attempts[0].state, ended.receipt.cost_usd, await money(store)) == (
        "written_off",
        None,
        [],
    )


async def test_write_off_settles_at_what_was_reserved(store):
    job, _ = await lost(store)
    ended = await store.decide(job.id, said("write_off"))
    assert (ended.state, ended.error.code, ended.finished_at) == ("failed", "written_off", AT)
    assert ended.receipt.attempts[0].error == NO_ANSWER
    assert (await money(store), ended.receipt.cost_usd) == (
        [("reserve", 40_000), ("release", 40_000), ("settle", 40_000)],
        Decimal("0.04"),
    )


@pytest.mark.parametrize("first", ["pay_again", "write_off"])
async def test_a_second_decision_is_told_the_first(store, first):
    job, _ = await lost(store)
    await store.decide(job.id, said(first))
    before = await money(store)
    with pytest.raises(Conflict, match=f"was decided before: {first} by Ada at 2023-11-14 22:13:20 UTC"):
        await store.decide(job.id, said("pay_again", "Bob"))
    assert await money(store) == before


@pytest.mark.parametrize("word", ["pay_again", "write_off"])
async def test_the_same_decision_said_once_more_is_answered_and_changes_nothing(store, word):
    job, _ = await lost(store)
    first = await store.decide(job.id, said(word))
    before = await money(store), await store.events(job.id, 0)
    assert await store.decide(job.id, said(word).model_copy(update={"at": AT + 60})) == first
    assert (await money(store), await store.events(job.id, 0)) == before


async def test_of_many_who_decide_at_once_one_is_heard(store):
    job, _ = await lost(store)
    words = ["pay_again", "write_off"] * 8
    heard = await asyncio.gather(
        *(store.decide(job.id, said(word, f"p{n}")) for n, word in enumerate(words)), return_exceptions=True
    )
    assert [one for one in heard if not isinstance(one, Conflict)] == [
        one for one in heard if not isinstance(one, Exception)
    ]
    assert sum(not isinstance(one, Exception) for one in heard) == 1


async def test_cancel_ends_a_job_that_asks_about_a_price(store):
    asked = QUESTION.model_copy(update={"reason": "dearer", "choices": ("accept", "cancel")})
    job, _ = await lost(store, asked)
    with pytest.raises(InvalidRequest, match="choose one of accept, cancel"):
        await store.decide(job.id, said("write_off"))
    ended = await store.decide(job.id, said("cancel"))
    assert (ended.state, ended.finished_at, ended.confirmation.decided) == ("canceled", AT, said("cancel"))


async def test_what_is_decided_elsewhere_is_not_decided_here(store):
    job, _ = await lost(store)
    with pytest.raises(NotFound):
        await store.decide("0", said("pay_again"))
    with pytest.raises(ValueError, match="delivered is not a decision that ends here"):
        await store.decide(job.id, said("delivered"))
    assert (await store.job(job.id)) == job


async def test_a_late_answer_ends_the_job_that_asks_and_books_the_vendors_figure(store):
    job, opened = await lost(store)
    ended = await store.settle_late(late(job, opened))
    assert ended == await store.job(job.id)
    assert (ended.state, ended.images, ended.confirmation) == ("succeeded", (picture(job),), None)
    assert [note.message for note in ended.receipt.notes] == [
        "small",
        "what attempt 1 at easel/m had lost was found later",
    ]
    assert await money(store) == [("reserve", 40_000), ("release", 40_000), ("settle", 30_000)]
    assert await store.settle_late(late(job, opened, picture(job, name="b"))) is None
    assert await store.claim(1, 15.0) == []


async def test_a_late_answer_fences_whoever_is_about_to_buy_again(store):
    job, opened = await lost(store)
    await store.decide(job.id, said("pay_again"))
    ended = await store.settle_late(late(job, opened))
    assert (ended.state, await store.claim(1, 15.0)) == ("succeeded", [])


async def test_a_late_picture_stands_behind_those_an_open_order_may_bring(store):
    job, opened = await lost(store)
    await store.decide(job.id, said("pay_again"))
    (work,) = await store.claim(1, 15.0)
    second = attempt(job.id, 2)
    await store.begin(second, work.epoch, [])
    kept = await store.settle_late(late(job, opened, picture(job, 0), picture(job, 1)))
    assert (kept.state, [one.index for one in kept.images]) == ("running", [MAX_COUNT, MAX_COUNT + 1])
    ended = kept.model_copy(
        update={
            "state": "succeeded",
            "finished_at": AT,
            "images": (picture(job, 0, "c"), picture(job, 1, "c")),
        }
    )
    await store.finish(ended, work.epoch, second, 40_000, [event(job.id, 4, "succeeded", "succeeded")])
    assert [one.index for one in (await store.job(job.id)).images] == [0, 1, MAX_COUNT, MAX_COUNT + 1]


async def test_a_delivered_picture_needs_a_question_and_answers_it(store):
    job, opened = await lost(store)
    await store.decide(job.id, said("write_off"))
    with pytest.raises(Conflict, match="was decided before: write_off"):
        await store.settle_late(late(job, opened, price=40_000, decided=said("delivered", "Bob")))


async def test_an_order_that_was_not_charged_is_released_and_its_job_goes_on(store):
    job, opened = await lost(store)
    never = Failure(code="rejected", message="no such order")
    again = await store.clear(opened, never, AT)
    assert (again.state, again.confirmation, again.receipt.attempts[0].error) == ("queued", None, never)
    assert await money(store) == [("reserve", 40_000), ("release", 40_000)]
    assert await store.clear(opened, never, AT) is None
    assert [one.id for one in (work.job for work in await store.claim(1, 15.0))] == [job.id]


async def test_what_was_agreed_stays_with_an_order_that_is_settled_later(store):
    job, opened = await lost(store)
    await store.decide(job.id, said("pay_again"))
    await store.settle_late(late(job, opened))
    assert (await store.job(job.id)).receipt.attempts[0].decided == said("pay_again")


async def test_an_order_is_found_by_the_word_in_its_vendors_call(store):
    work, opened = await held(store)
    named = attempt(work.job.id, 2, hook="t" * 48)
    await store.give_up(opened, work.epoch, NO_ANSWER, "no")
    await store.begin(named, work.epoch, [])
    assert (await store.hooked("t" * 48)).id == named.id
    assert await store.hooked("u" * 48) is None
    third = attempt(work.job.id, 3, hook="t" * 48)
    with pytest.raises(Taken):
        await store.begin(third, work.epoch, [])


async def test_a_ticket_from_a_call_wakes_a_job_that_waits_and_is_kept(store):
    work, opened = await held(store)
    await store.again(work.job, work.epoch, 600.0, [])
    assert await store.claim(1, 15.0) == []
    await store.hint(opened, {"id": "8"})
    (taken,) = await store.claim(1, 15.0)
    assert (taken.attempt.ticket, await store.ticket(opened.id)) == ({"id": "8"}, {"id": "8"})
    assert await store.ticket("nobody-1") is None


async def test_a_ticket_from_a_call_never_takes_the_place_of_the_answers_own(store):
    work, opened = await held(store)
    await store.hold(opened, work.epoch, {"id": "7"}, [])
    await store.hint(opened, {"id": "8"})
    assert await store.ticket(opened.id) == {"id": "7"}


async def test_the_jobs_other_orders_are_known_by_their_tickets(store):
    work, first = await held(store)
    await store.hold(first, work.epoch, {"id": 7, "more": "x"}, [])
    assert await store.others(first) == frozenset()
    assert await store.others(replace(first, n=2)) == frozenset({"7"})
    await store.hold(first, work.epoch, {"elsewhere": "x"}, [])
    assert await store.others(replace(first, n=2)) == frozenset()


@pytest.mark.parametrize("called_meanwhile", [False, True])
async def test_a_job_put_back_without_a_ticket_waits_unless_its_vendor_has_called_meanwhile(
    store, called_meanwhile
):
    work, opened = await held(store)
    if called_meanwhile:
        await store.hint(opened, {"id": "7"})
    await store.again(work.job, work.epoch, 60.0, [], without_ticket=opened)
    claimed = await store.claim(1, 60.0)
    assert [one.job.id for one in claimed] == ([work.job.id] if called_meanwhile else [])
