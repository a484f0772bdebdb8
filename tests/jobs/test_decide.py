"""Orders whose answer is lost, and what people say about them, through Limner with scripted vendors."""

import asyncio
import time
from decimal import Decimal

import pytest

from limner.core.errors import Conflict, InvalidRequest, NotFound, Refused, TimedOut, Unavailable
from limner.core.job import Decided
from limner.core.quote import Note
from limner.core.request import Policy
from limner.providers.base import Recovery
from tests.fakes import (
    Desk,
    asked,
    done,
    kinds_of,
    ledger,
    limner,
    messages,
    model,
    never,
    png,
    receipt,
    request,
    rows,
    states,
    until,
    vendor,
)

RESERVED, RELEASED, SETTLED = ("reserve", 40_000), ("release", 40_000), ("settle", 40_000)
LOST = TimedOut("no answer")


def blind(*answers, name="easel"):
    """A vendor that loses its first answer for good."""
    desk = Desk(submits=[LOST, *answers])
    return desk, vendor(desk, name, Recovery.BLIND)


async def test_a_lost_answer_is_one_charge_and_one_question_and_nothing_is_bought_elsewhere(home):
    desk, kind = blind()
    other = Desk()
    async with limner(home, kind, vendor(other, "mural")) as app:
        job = await app.draw(request())
        assert job == await app.read(job.id) == await app.wait(job.id)
        heard = await messages(app, job.id)
    assert asked(job) == ("needs_confirmation", "unknown", "timed_out")
    assert kinds_of(heard) == ["queued", "running", "asked", "end"]
    assert (len(desk.bill), other.bill, ledger(home)) == (1, [], [RESERVED])
    assert (job.receipt.cost_usd, job.choices) == (Decimal("0.04"), ("pay_again", "write_off", "delivered"))
    assert heard[-2].message == job.confirmation.message


async def test_a_question_outlives_the_process_and_is_not_asked_again(home):
    desk, kind = blind()
    async with limner(home, kind) as app:
        job = await app.draw(request())
    async with limner(home, kind) as app:
        assert await app.wait(job.id) == job
    assert len(desk.bill) == 1


async def test_pay_again_buys_one_more_and_the_loss_stays_counted(home):
    desk, kind = blind(done())
    async with limner(home, kind) as app:
        job = await app.draw(request())
        agreed = await app.decide(job.id, "pay_again", by="Ada")
        assert agreed.state in ("queued", "running")
        job = await app.wait(job.id)
        assert job == await app.read(job.id)
        heard = await states(app, job.id)
    assert receipt(job) == [("easel", "unknown", "direct"), ("easel", "settled", "direct")]
    assert job.receipt.attempts[1].why == "again: Ada agreed to pay again"
    decided = job.receipt.attempts[0].decided
    assert (decided.decision, decided.by) == ("pay_again", "Ada")
    assert (len(desk.bill), job.receipt.cost_usd) == (2, Decimal("0.08"))
    assert ledger(home) == [RESERVED, RESERVED, RELEASED, SETTLED]
    assert heard == ["queued", "running", "asked", "decided", "running", "storing", "succeeded"]


async def test_the_deadline_begins_afresh_when_somebody_agrees_to_pay_again(home):
    desk, kind = blind(Unavailable("503"), done())
    async with limner(home, kind) as app:
        job = await app.draw(request(policy=Policy(deadline_s=0.5)))
        await asyncio.sleep(0.5)
        await app.decide(job.id, "pay_again")
        job = await app.wait(job.id)
    assert (job.state, len(desk.bill)) == ("succeeded", 3)


async def test_what_is_lost_again_is_asked_about_again(home):
    desk, kind = blind(LOST, done())
    async with limner(home, kind) as app:
        job = await app.draw(request())
        for _ in range(2):
            await app.decide(job.id, "pay_again")
            job = await app.wait(job.id)
    assert [state for _, state, _ in receipt(job)] == ["unknown", "unknown", "settled"]
    assert (len(desk.bill), job.receipt.cost_usd) == (3, Decimal("0.12"))


async def test_write_off_charges_what_was_reserved_and_ends_the_job(home):
    desk, kind = blind()
    async with limner(home, kind) as app:
        job = await app.draw(request())
        job = await app.decide(job.id, "write_off", by="Ada")
        assert job == await app.read(job.id) == await app.wait(job.id)
        assert await app.lost() == ()
        assert await states(app, job.id) == ["queued", "running", "asked", "decided"]
    assert (job.state, job.error.code, job.choices) == ("failed", "written_off", ())
    assert job.error.message == "Ada gave the order at easel/easel-model up as charged: no picture came"
    assert (receipt(job), len(desk.bill)) == ([("easel", "written_off", "direct")], 1)
    assert (ledger(home), job.receipt.cost_usd) == ([RESERVED, RELEASED, SETTLED], Decimal("0.04"))


async def test_a_picture_that_came_by_another_way_is_hung_like_any_other(home):
    desk, kind = blind()
    async with limner(home, kind) as app:
        job = await app.draw(request())
        job = await app.decide(job.id, "delivered", by="Ada", picture=png())
        assert job == await app.read(job.id)
        (image,) = job.images
        assert (image.recipe.prompt, image.index, image.model) == ("a red fox", 0, "easel-model")
        assert (await app.open(image))[:8] == png()[:8]
    assert (job.state, receipt(job), len(desk.bill)) == ("succeeded", [("easel", "settled", "person")], 1)
    assert (ledger(home), job.receipt.cost_usd) == ([RESERVED, RELEASED, SETTLED], Decimal("0.04"))
    said = "what attempt 1 at easel/easel-model had lost was brought by Ada"
    assert Note(field="attempts", message=said) in job.receipt.notes
    assert rows(home, "SELECT count(*) FROM answers") == [(0,)]


async def test_what_is_delivered_must_be_a_picture(home):
    _, kind = blind()
    async with limner(home, kind) as app:
        job = await app.draw(request())
        with pytest.raises(InvalidRequest, match="is no picture"):
            await app.decide(job.id, "delivered", picture=b"<html>")
        with pytest.raises(InvalidRequest, match="needs the picture"):
            await app.decide(job.id, "delivered")
        with pytest.raises(InvalidRequest, match="takes no picture"):
            await app.decide(job.id, "write_off", picture=png())
        assert (await app.read(job.id)) == job


@pytest.mark.parametrize(("verb", "found"), [("lost", []), ("settle_late", None)])
async def test_a_picture_handed_in_for_what_was_settled_meanwhile_is_refused(home, monkeypatch, verb, found):
    async def meanwhile(*_):
        return found

    _, kind = blind()
    async with limner(home, kind) as app:
        job = await app.draw(request())
        monkeypatch.setattr(app._now.store, verb, meanwhile)
        with pytest.raises(Conflict, match="the lost order was settled meanwhile"):
            await app.decide(job.id, "delivered", picture=png())


@pytest.mark.parametrize("first", ["pay_again", "write_off", "delivered"])
async def test_the_first_decision_holds_and_the_second_is_told_what_it_was(home, first):
    _, kind = blind(done())
    async with limner(home, kind) as app:
        job = await app.draw(request())
        await app.decide(job.id, first, by="Ada", picture=png() if first == "delivered" else None)
        await app.wait(job.id)
        money = ledger(home)
        for word in ("pay_again", "write_off"):
            with pytest.raises(Conflict, match=f"was decided before: {first} by Ada at"):
                await app.decide(job.id, word, by="Bob")
    assert ledger(home) == money


@pytest.mark.parametrize("word", ["pay_again", "write_off", "delivered"])
async def test_who_did_not_hear_the_answer_says_it_again_and_nothing_more_happens(home, word):
    desk, kind = blind(done())
    async with limner(home, kind) as app:
        job = await app.draw(request())
        picture = png() if word == "delivered" else None
        await app.decide(job.id, word, by="Ada", picture=picture)
        job = await app.wait(job.id)
        money, bill = ledger(home), len(desk.bill)
        assert await app.decide(job.id, word, by="Ada", picture=picture) == job
    assert (ledger(home), len(desk.bill)) == (money, bill)


async def test_a_decision_is_for_one_question_and_the_next_is_asked_anew(home):
    desk, kind = blind(LOST, done())
    async with limner(home, kind) as app:
        job = await app.draw(request())
        for bought in (2, 3):
            await app.decide(job.id, "pay_again", by="Ada")
            job = await app.wait(job.id)
            assert len(desk.bill) == bought
    assert job.state == "succeeded"


async def test_of_two_who_decide_at_once_one_is_heard(home):
    desk, kind = blind(done())
    async with limner(home, kind) as app:
        job = await app.draw(request())
        both = await asyncio.gather(
            *(app.decide(job.id, "pay_again", by=name) for name in ("Ada", "Bob")), return_exceptions=True
        )
        await app.wait(job.id)
    assert sorted(type(one).__name__ for one in both) == ["Conflict", "Job"]
    assert len(desk.bill) == 2


async def test_nothing_is_decided_about_a_job_that_asks_nothing_or_is_not_there(home):
    gate = Desk(submits=[never])
    async with limner(home, vendor(Desk()), vendor(gate, "mural")) as app:
        drawn = await app.draw(request(provider="easel"))
        with pytest.raises(Conflict, match="asks nothing: it is succeeded"):
            await app.decide(drawn.id, "write_off")
        running = await app.generate(request(provider="mural"))
        await until(lambda: gate.bill)
        with pytest.raises(Conflict, match="asks nothing: it is running"):
            await app.decide(running.id, "pay_again")
        with pytest.raises(NotFound):
            await app.decide("0", "write_off")


async def test_a_word_that_is_no_answer_to_the_question_is_told_the_choices(home):
    _, kind = blind()
    async with limner(home, kind) as app:
        job = await app.draw(request())
        for word in ("accept", "cancel"):
            with pytest.raises(InvalidRequest, match="choose one of pay_again, write_off, delivered"):
                await app.decide(job.id, word)


# -- by policy -------------------------------------------------------------------------------------------


async def test_a_caller_who_wants_no_question_gets_a_failure(home):
    desk, kind = blind()
    async with limner(home, kind) as app:
        job = await app.draw(request(policy=Policy(on_unknown="never")))
        assert job == await app.read(job.id)
    assert (job.state, job.error.code, len(desk.bill)) == ("failed", "timed_out", 1)
    assert (ledger(home), job.choices) == ([RESERVED], ("pay_again", "write_off", "delivered"))


@pytest.mark.parametrize(("word", "state"), [("pay_again", "succeeded"), ("write_off", "failed")])
async def test_a_job_that_failed_over_a_lost_answer_can_be_decided_on_later(home, word, state):
    _, kind = blind(done())
    async with limner(home, kind) as app:
        job = await app.draw(request(policy=Policy(on_unknown="never")))
        await app.decide(job.id, word)
        job = await app.wait(job.id)
        assert job == await app.read(job.id)
    assert (job.state, job.error and job.error.code) == (
        state,
        None if state == "succeeded" else "written_off",
    )


async def test_a_policy_that_pays_again_does_so_within_its_money_and_asks_beyond(home):
    desk, kind = blind(LOST, LOST, done())
    auto = Policy(on_unknown="auto", auto_usd=Decimal("0.08"))
    async with limner(home, kind) as app:
        job = await app.draw(request(policy=auto))
        assert asked(job) == ("needs_confirmation", "unknown", "timed_out")
        assert (len(desk.bill), ledger(home)) == (3, [RESERVED] * 3)
        assert [one.why for one in job.receipt.attempts] == [
            "first choice",
            "again: the policy pays up to $0.08 again",
            "again: the policy pays up to $0.08 again",
        ]
        await app.decide(job.id, "pay_again")
        assert (await app.wait(job.id)).state == "succeeded"


async def test_a_policy_that_pays_again_takes_the_best_that_it_has_money_for(home):
    desk, kind = blind()
    dear, cheap = Desk(), Desk()
    kinds = kind, vendor(dear, "mural"), vendor(cheap, "fresco")
    models = [model("easel", "0.06"), model("mural", "0.20"), model("fresco", "0.05")]
    async with limner(home, *kinds, models=models) as app:
        policy = Policy(prefer="listed", on_unknown="auto", auto_usd=Decimal("0.05"))
        job = await app.draw(request(policy=policy))
    assert receipt(job) == [("easel", "unknown", "direct"), ("fresco", "settled", "direct")]
    assert (len(desk.bill), dear.bill, job.receipt.cost_usd) == (1, [], Decimal("0.11"))


async def test_a_refusal_that_may_have_been_charged_is_a_refusal_and_no_question(home):
    desk = Desk(submits=[Refused("not this", billed="maybe")])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
        (lost,) = await app.lost()
    assert (job.state, job.error.code) == ("failed", "refused")
    assert (lost.message, lost.choices) == ("not this", ("pay_again", "write_off", "delivered"))


async def test_a_loss_whose_picture_was_drawn_for_nothing_can_still_be_written_off(home):
    _, kind = blind()
    async with limner(
        home, kind, vendor(Desk(), "mural"), models=[model("easel"), model("mural", "0")]
    ) as app:
        job = await app.draw(request(policy=Policy(prefer="listed")))
        assert (job.state, job.choices) == ("succeeded", ("write_off", "delivered"))
        with pytest.raises(InvalidRequest, match="choose one of write_off, delivered"):
            await app.decide(job.id, "pay_again")
        written = await app.decide(job.id, "write_off")
        assert written == await app.read(job.id)
    assert (written.state, written.images, written.error) == ("succeeded", job.images, None)
    assert ledger(home) == [RESERVED, RELEASED, SETTLED]


async def test_a_picture_delivered_to_a_job_that_has_its_own_is_one_more(home):
    _, kind = blind()
    async with limner(
        home, kind, vendor(Desk(), "mural"), models=[model("easel"), model("mural", "0")]
    ) as app:
        job = await app.draw(request(policy=Policy(prefer="listed")))
        job = await app.decide(job.id, "delivered", picture=png(colour="navy"))
        assert job == await app.read(job.id)
    assert [(one.index, one.provider) for one in job.images] == [(0, "mural"), (1, "easel")]
    assert job.state == "succeeded"


# -- cancelling ------------------------------------------------------------------------------------------


async def test_cancelling_a_job_that_asks_ends_it_and_the_loss_stays_listed(home):
    desk, kind = blind()
    async with limner(home, kind) as app:
        job = await app.draw(request())
        job = await app.cancel(job.id)
        assert (job.state, job.choices) == ("canceled", ("write_off", "delivered"))
        (lost,) = await app.lost()
        assert (lost.job_id, lost.job_state, lost.amount_usd) == (job.id, "canceled", Decimal("0.04"))
        assert ledger(home) == [RESERVED]
        written = await app.decide(job.id, "write_off")
    assert (written.state, len(desk.bill), ledger(home)) == ("canceled", 1, [RESERVED, RELEASED, SETTLED])


async def test_a_job_cancelled_while_its_blind_order_is_out_ends_without_a_question(home):
    gate = asyncio.Event()

    async def lose(_call):
        await gate.wait()
        raise LOST

    desk = Desk(submits=[lose])
    async with limner(home, vendor(desk, recovery=Recovery.BLIND)) as app:
        job = await app.generate(request())
        await until(lambda: desk.bill)
        await app.cancel(job.id)
        gate.set()
        job = await app.wait(job.id)
    assert (job.state, receipt(job)) == ("canceled", [("easel", "unknown", "direct")])
    assert ledger(home) == [RESERVED]


# -- the list --------------------------------------------------------------------------------------------


async def test_the_list_says_what_is_lost_since_when_and_what_can_be_done(home):
    _, kind = blind()
    began = time.time()
    async with limner(home, kind) as app:
        job = await app.draw(request(prompt="a red fox " * 20))
        (lost,) = await app.lost()
        assert began <= lost.submitted_at <= time.time()
        await app.decide(job.id, "pay_again", by="Ada")
        await app.wait(job.id)
        again, second = await app.lost()
    assert lost.model_dump(exclude={"submitted_at"}) == {
        "job_id": job.id,
        "n": 1,
        "job_state": "needs_confirmation",
        "provider": "easel",
        "account": "easel",
        "model": "easel-model",
        "amount_usd": Decimal("0.04"),
        "prompt": ("a red fox " * 20)[:80],
        "message": "no answer",
        "asked_by": "nothing",
        "choices": ("pay_again", "write_off", "delivered"),
        "decided": None,
    }
    assert again.decided == Decided(decision="pay_again", by="Ada", at=again.decided.at)
    assert (again.choices, second.n) == ((), 2)
