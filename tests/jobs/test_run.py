"""One job from acceptance to its end, through Limner with scripted vendors."""

import asyncio
import time
from decimal import Decimal

import pytest

from limner.core.errors import (
    Lost,
    Malformed,
    RateLimited,
    Refused,
    Rejected,
    StorageError,
    TimedOut,
    Unauthorized,
    Unavailable,
    Unknown,
)
from limner.core.events import Progress
from limner.core.job import Failure
from limner.core.quote import Note
from limner.core.request import Policy
from limner.imaging.sniff import sniff
from limner.providers.base import Done, Pending, Recovery
from limner.store.steps import Fenced
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
    queued,
    receipt,
    request,
    rows,
    states,
    until,
    vendor,
)

RESERVED = ("reserve", 40_000)
RELEASED = ("release", 40_000)
SETTLED = ("settle", 40_000)


async def test_the_attempt_is_on_disk_before_its_order_is_sent(home):
    found = []

    async def look(call):
        found.extend(rows(home, "SELECT id, state, price_reserved FROM attempts"))
        found.extend(ledger(home))
        assert found[0][0] == call.key
        return done()

    async with limner(home, vendor(Desk(submits=[look]))) as app:
        job = await app.draw(request())
    assert job.state == "succeeded"
    assert found == [(f"{job.id}-1", "submitting", 40_000), RESERVED]


async def test_the_ticket_is_on_disk_before_the_first_poll(home):
    found = []

    async def look(ticket):
        found.extend(rows(home, "SELECT a.state, a.ticket, j.state FROM attempts a, jobs j"))
        return done()

    async with limner(home, vendor(Desk(submits=[queued()], polls=[look]))) as app:
        await app.draw(request())
    assert found == [("accepted", '{"id":"7"}', "waiting")]


@pytest.mark.parametrize("size", [815, 200_000])
async def test_the_bytes_are_kept_before_anything_in_them_is_read(home, monkeypatch, size):
    found = []
    picture = png() + b"\0" * (size - len(png()))

    def look(data, *_):
        found.append(rows(home, "SELECT length(data) > 0 FROM answers")[0][0])
        found.append(len([path for path in (home / "storage").glob("answers/**/*") if path.is_file()]))
        raise StopAsyncIteration  # what the imaging does is no business of this test

    monkeypatch.setattr("limner.jobs.pictures.sniff", look)
    async with limner(home, vendor(Desk(submits=[Done((picture,))]))) as app:
        job = await app.draw(request())
    assert job.state == "failed"
    assert found == ([1, 0] if size < 65_536 else [0, 1])


async def test_bytes_that_are_no_picture_stay_kept_and_are_counted_as_charged(home):
    desk = Desk(submits=[Done((b"not a picture",), cost_usd="0.05")])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
    assert (asked(job), job.images) == (("needs_confirmation", "unknown", "malformed"), ())
    assert receipt(job) == [("easel", "unknown", "direct")]
    assert job.receipt.cost_usd == Decimal("0.04")
    assert ledger(home) == [RESERVED]
    ((kept,),) = rows(home, "SELECT data FROM answers")
    assert kept.endswith(b"not a picture")
    assert len(desk.bill) == 1


async def test_a_picture_that_is_cut_off_may_be_drawn_by_who_is_free(home):
    half, free = Desk(submits=[Done((png()[:100],))]), Desk()
    kinds = vendor(half), vendor(free, "mural")
    async with limner(home, *kinds, models=[model("easel"), model("mural", "0")]) as app:
        job = await app.draw(request(policy=Policy(prefer="listed")))
    assert receipt(job) == [("easel", "unknown", "direct"), ("mural", "settled", "direct")]
    assert (job.state, len(half.bill), ledger(home)) == ("succeeded", 1, [RESERVED])


async def test_a_picture_that_is_cut_off_is_bought_nowhere_else(home):
    half, other = Desk(submits=[Done((png()[:100],))]), Desk()
    async with limner(home, vendor(half), vendor(other, "mural")) as app:
        job = await app.draw(request(policy=Policy(prefer="listed")))
    assert (asked(job), len(half.bill), other.bill) == (("needs_confirmation", "unknown", "malformed"), 1, [])


async def test_an_answer_without_pictures_is_not_a_success(home):
    async with limner(home, vendor(Desk(submits=[Done(())]))) as app:
        job = await app.draw(request())
        assert job == await app.read(job.id)
    assert asked(job) == ("needs_confirmation", "unknown", "malformed")
    assert "it holds none" in job.confirmation.message


async def test_what_a_watcher_is_told_at_the_end_is_what_the_rows_say(home):
    desk = Desk(submits=[queued()], polls=[Done((png(), png(colour="navy")), (11, 12), "0.0312", "v9")])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request(count=3, steps=40))
        assert job == await app.read(job.id)
    assert [image.seed for image in job.images] == [11, 12]
    assert [image.recipe.engine for image in job.images] == ["v9", "v9"]
    assert job.receipt.cost_usd == Decimal("0.0312")
    assert job.receipt.notes == (
        Note(field="steps", message="40 lowered to 30"),
        Note(field="count", message="the provider sent 2 pictures, 1 fewer"),
    )
    assert ledger(home) == [("reserve", 120_000), ("release", 120_000), ("settle", 31_200)]


async def test_a_cost_that_cannot_be_read_never_fails_a_picture(home):
    async with limner(home, vendor(Desk(submits=[Done((png(),), cost_usd="a few cents")]))) as app:
        job = await app.draw(request())
    assert (job.state, job.receipt.cost_usd) == ("succeeded", Decimal("0.04"))
    assert ledger(home) == [RESERVED, RELEASED, SETTLED]


async def test_an_unknown_price_is_unknown_and_never_nothing(home):
    async with limner(home, vendor(Desk()), models=[model(usd=None)]) as app:
        job = await app.draw(request())
        assert job == await app.read(job.id)
    assert (job.state, job.receipt.cost_usd) == ("succeeded", None)
    assert ledger(home) == []


async def test_a_picture_comes_in_the_format_that_was_asked_for(home):
    async with limner(home, vendor(Desk())) as app:
        job = await app.draw(request(format="webp"))
        data = await app.open(job.images[0])
    assert (sniff(data).format, job.images[0].format, job.images[0].file[-5:]) == ("webp", "webp", ".webp")
    assert (home / "storage" / job.images[0].path.removeprefix("/storage/")).read_bytes() == data


async def test_a_picture_that_cannot_be_converted_is_kept_as_it_came_with_a_note(home):
    broken = png()[:45] + png()[50:]
    async with limner(home, vendor(Desk(submits=[Done((broken,))]))) as app:
        job = await app.draw(request(format="jpeg"))
        assert await app.open(job.images[0]) == broken
    assert (job.state, job.images[0].format) == ("succeeded", "png")
    assert [note.field for note in job.receipt.notes] == ["format"]


async def test_a_passing_fault_while_polling_does_not_order_again(home):
    desk = Desk(submits=[queued()], polls=[Unavailable("503"), RateLimited("429", 0.0), done()])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
    assert (job.state, len(desk.bill)) == ("succeeded", 1)


async def test_an_order_lost_at_a_free_target_is_placed_again_as_a_new_attempt(home):
    desk = Desk(submits=[queued("1"), queued("2")], polls=[Lost("who?"), done()])
    async with limner(home, vendor(desk), models=[model(usd="0")]) as app:
        job = await app.draw(request())
        heard = await states(app, job.id)
    assert receipt(job) == [("easel", "refused", "direct"), ("easel", "settled", "direct")]
    assert [one.why for one in job.receipt.attempts] == ["first choice", "again: lost"]
    assert desk.bill == [f"{job.id}-1", f"{job.id}-2"]
    assert heard == [
        "queued",
        "running",
        "accepted",
        "retrying",
        "running",
        "accepted",
        "storing",
        "succeeded",
    ]


async def test_an_order_lost_at_a_paid_target_is_charged_and_not_repeated(home):
    desk = Desk(submits=[queued()], polls=[Lost("who?")])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
    assert asked(job) == ("needs_confirmation", "unknown", "lost")
    assert (len(desk.bill), ledger(home)) == (1, [RESERVED])


async def test_a_paid_blind_order_with_a_lost_answer_is_charged_and_not_bought_elsewhere(home):
    blind, other = Desk(submits=[TimedOut("no answer")]), Desk()
    kinds = vendor(blind, "easel", Recovery.BLIND), vendor(other, "mural")
    async with limner(home, *kinds) as app:
        job = await app.draw(request())
        assert job == await app.read(job.id)
    assert asked(job) == ("needs_confirmation", "unknown", "timed_out")
    assert (receipt(job), job.receipt.cost_usd) == ([("easel", "unknown", "direct")], Decimal("0.04"))
    assert (len(blind.bill), other.bill, ledger(home)) == (1, [], [RESERVED])


async def test_a_free_target_may_draw_what_was_lost_and_the_loss_stays_counted(home):
    blind, free = Desk(submits=[TimedOut("no answer")]), Desk()
    kinds = vendor(blind, "easel", Recovery.BLIND), vendor(free, "mural")
    async with limner(home, *kinds, models=[model("easel"), model("mural", "0")]) as app:
        job = await app.draw(request(policy=Policy(prefer="listed")))
    assert (job.state, job.receipt.cost_usd) == ("succeeded", Decimal("0.04"))
    assert receipt(job) == [("easel", "unknown", "direct"), ("mural", "settled", "direct")]


async def test_a_retry_of_the_free_target_does_not_buy_the_lost_picture_again(home):
    blind, free = Desk(submits=[TimedOut("no answer")]), Desk(submits=[Unavailable("starting"), done()])
    kinds = vendor(blind, "easel", Recovery.BLIND), vendor(free, "mural")
    async with limner(home, *kinds, models=[model("easel"), model("mural", "0")]) as app:
        job = await app.draw(request(policy=Policy(prefer="listed")))
    assert (job.state, len(blind.bill), len(free.bill)) == ("succeeded", 1, 2)
    assert [provider for provider, _, _ in receipt(job)] == ["easel", "mural", "mural"]


async def test_an_answer_that_timed_out_at_a_vendor_that_knows_our_id_is_asked_for_by_it(home):
    desk = Desk(submits=[TimedOut("no answer"), done()])
    async with limner(home, vendor(desk, recovery=Recovery.NAMED)) as app:
        job = await app.draw(request())
    assert receipt(job) == [("easel", "settled", "same-key")]
    assert (desk.sought, desk.bill) == ([f"{job.id}-1"], [f"{job.id}-1", f"{job.id}-1"])
    assert ledger(home) == [RESERVED, RELEASED, SETTLED]


async def test_an_answer_that_timed_out_at_a_vendor_with_a_list_is_looked_for_there(home):
    desk = Desk(submits=[TimedOut("no answer")], polls=[done()], find={"id": "7"})
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
        assert job == await app.read(job.id)
    assert receipt(job) == [("easel", "settled", "list")]
    assert (len(desk.bill), desk.sought) == (1, [f"{job.id}-1"])


async def test_an_order_that_is_not_listed_never_arrived_and_is_bought_again(home):
    desk = Desk(submits=[TimedOut("no answer"), done()])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
        assert job == await app.read(job.id)
    assert receipt(job) == [("easel", "refused", "direct"), ("easel", "settled", "direct")]
    assert [one.why for one in job.receipt.attempts] == ["first choice", "again: unavailable"]
    assert ledger(home) == [RESERVED, RELEASED, RESERVED, RELEASED, SETTLED]


async def test_an_order_that_is_not_listed_yet_is_looked_for_again_once_it_must_be(home):
    desk = Desk(submits=[TimedOut("no answer")], polls=[done()])
    kind = vendor(desk)

    async def find(self, call):
        desk.sought.append(time.time())
        if len(desk.sought) > 1:
            return {"id": "7"}
        kind.lag_s = time.time() - call.at + 1.6
        return None

    kind.find = find
    async with limner(home, kind) as app:
        job = await app.draw(request(policy=Policy(deadline_s=1.5)))
        heard = await states(app, job.id)
    assert (receipt(job), len(desk.bill)) == ([("easel", "settled", "list")], 1)
    assert desk.sought[1] >= job.receipt.attempts[0].submitted_at + kind.lag_s
    assert heard.count("retrying") == 2


async def test_several_orders_that_could_be_ours_leave_it_unknown(home):
    desk = Desk(submits=[TimedOut("no answer")], find=Unknown("2 orders look like this one"))
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
    assert asked(job) == ("needs_confirmation", "unknown", "unknown")
    assert (receipt(job), len(desk.bill), ledger(home)) == ([("easel", "unknown", "direct")], 1, [RESERVED])


async def test_a_list_that_cannot_be_read_leaves_nothing_bought_twice(home):
    desk = Desk(submits=[TimedOut("no answer")], find=Malformed("gibberish"))
    async with limner(home, vendor(desk), vendor(Desk(), "mural")) as app:
        job = await app.draw(request())
    assert (asked(job), len(desk.bill)) == (("needs_confirmation", "unknown", "unknown"), 1)
    assert "cannot be asked about the order: gibberish" in job.confirmation.message


async def test_a_list_that_is_away_is_asked_again_until_the_deadline(home):
    desk = Desk(submits=[TimedOut("no answer")], find=Unavailable("down"))
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request(policy=Policy(deadline_s=0.2)))
    assert (asked(job), len(desk.bill)) == (("needs_confirmation", "unknown", "unknown"), 1)
    assert (len(desk.sought) > 1, ledger(home)) == (True, [RESERVED])


async def test_fallback_goes_on_after_what_was_not_charged_and_the_receipt_tells_the_story(home):
    easel, mural, fresco = Desk(submits=[Rejected("no foxes")]), Desk(submits=[Unavailable("503")]), Desk()
    kinds = vendor(easel), vendor(mural, "mural"), vendor(fresco, "fresco")
    async with limner(home, *kinds) as app:
        job = await app.draw(request())
    assert receipt(job) == [
        ("easel", "refused", "direct"),
        ("mural", "refused", "direct"),
        ("fresco", "settled", "direct"),
    ]
    assert [one.why for one in job.receipt.attempts] == [
        "first choice",
        "fallback: easel/easel-model: rejected",
        "fallback: mural/mural-model: unavailable",
    ]
    assert job.receipt.cost_usd == Decimal("0.04")
    assert ledger(home) == [RESERVED, RELEASED, RESERVED, RELEASED, RESERVED, RELEASED, SETTLED]


async def test_an_order_that_never_ends_leaves_time_for_who_is_free(home, monkeypatch):
    monkeypatch.setattr("limner.jobs.deadline._SHARE", 0.01)
    endless, free = Desk(submits=[queued()], polls=[queued()]), Desk()
    kinds = vendor(endless), vendor(free, "mural")
    async with limner(home, *kinds, models=[model("easel"), model("mural", "0")]) as app:
        job = await app.draw(request(policy=Policy(prefer="listed", deadline_s=20.0)))
    assert receipt(job) == [("easel", "unknown", "direct"), ("mural", "settled", "direct")]
    assert (job.state, endless.canceled, ledger(home)) == ("succeeded", [{"id": "7"}], [RESERVED])


async def test_nobody_is_asked_once_the_time_is_up(home):
    class Slow(vendor(Desk())):
        async def submit(self, call):
            self.desk.bill.append(call.key)
            held = time.monotonic() + 0.3
            await until(lambda: time.monotonic() > held)
            raise Unavailable("too busy")

    other = Desk()
    async with limner(home, Slow, vendor(other, "mural")) as app:
        job = await app.draw(request(policy=Policy(prefer="listed", deadline_s=0.2)))
    assert (job.state, job.error.code, other.bill) == ("failed", "exhausted", [])
    assert "mural/mural-model: not asked: the job's time is up" in job.error.message


async def test_a_refusal_ends_the_job_and_costs_nothing(home):
    other = Desk()
    async with limner(home, vendor(Desk(submits=[Refused("not this")])), vendor(other, "mural")) as app:
        job = await app.draw(request())
    assert (job.state, job.error) == ("failed", Failure(code="refused", message="not this"))
    assert (other.bill, job.receipt.cost_usd, ledger(home)) == ([], Decimal(0), [RESERVED, RELEASED])


async def test_a_refusal_after_a_failure_is_not_followed_by_asking_the_first_judge_again(home):
    first, second = Desk(submits=[Unavailable("503"), done()]), Desk(submits=[Refused("not this")])
    async with limner(home, vendor(first), vendor(second, "mural")) as app:
        job = await app.draw(request())
    assert (job.state, len(first.bill), job.error.code) == ("failed", 1, "exhausted")


async def test_when_everybody_fails_the_error_has_a_line_for_each(home):
    easel, mural = Desk(submits=[Rejected("no")]), Desk(submits=[Unauthorized("bad key")])
    async with limner(home, vendor(easel), vendor(mural, "mural")) as app:
        job = await app.draw(request())
    assert job.error == Failure(
        code="exhausted",
        message="easel/easel-model: no; mural/mural-model: bad key",
        details={"easel/easel-model": "no", "mural/mural-model": "bad key"},
    )


async def test_a_paid_target_that_stays_away_is_tried_seven_times_in_all(home):
    desk = Desk(submits=[Unavailable("503")])
    async with limner(home, vendor(desk), breaker_failures=1000) as app:
        job = await app.draw(request())
    assert (job.state, job.tries, len(desk.bill)) == ("failed", 6, 7)
    assert job.receipt.cost_usd == 0


async def test_a_free_target_that_stays_away_is_tried_until_the_deadline(home):
    desk = Desk(submits=[Unavailable("starting")])
    async with limner(home, vendor(desk), models=[model(usd="0")], breaker_failures=1000) as app:
        job = await app.draw(request(policy=Policy(deadline_s=2.0)))
    assert (job.state, job.error.code, len(desk.bill) > 7) == ("failed", "unavailable", True)


async def test_a_job_waits_for_an_open_breaker_until_the_deadline(home):
    desk = Desk(submits=[Unavailable("503")])
    async with limner(home, vendor(desk), models=[model(usd="0")], breaker_failures=1) as app:
        job = await app.draw(request(policy=Policy(deadline_s=1.0)))
    assert (job.state, job.error.code, len(desk.bill)) == ("failed", "no_route", 1)
    assert job.error.details == {"easel/easel-model": "Circuit breaker OPEN for easel"}


async def test_a_mistake_in_a_providers_code_ends_the_job_and_counts_the_order_as_charged(home):
    async def stumble(_call):
        raise KeyError("previews")

    async with limner(home, vendor(Desk(submits=[stumble]))) as app:
        job = await app.draw(request())
        assert job == await app.read(job.id)
        assert (await app.draw(request())).state == "failed"
    assert (job.state, job.error.code, job.receipt.cost_usd) == ("failed", "error", Decimal("0.04"))
    assert "KeyError" in job.error.message
    assert receipt(job) == [("easel", "unknown", "direct")]


# -- watching --------------------------------------------------------------------------------------------


async def test_a_watch_tells_the_whole_story_and_ends(home):
    gate = asyncio.Event()

    async def wait(_ticket):
        await gate.wait()
        return Pending({"id": "7"}, 0.0, 0.5, 6, 12, b"preview")

    desk = Desk(submits=[queued()], polls=[wait, done()])
    async with limner(home, vendor(desk)) as app:
        job = await app.generate(request())
        following = asyncio.ensure_future(messages(app, job.id))
        await until(lambda: desk.polled)
        gate.set()
        heard = await following
        last = await app.read(job.id)
    assert kinds_of(heard) == ["queued", "running", "accepted", "storing", "succeeded", "end"]
    assert [event.seq for event in heard if not isinstance(event, Progress) and event is not heard[-1]] == [
        1,
        2,
        3,
        4,
        5,
    ]
    (progress,) = [one for one in heard if isinstance(one, Progress)]
    assert (progress.fraction, progress.step, progress.steps, progress.preview) == (0.5, 6, 12, b"preview")
    assert heard[-1].job == last


async def test_a_watch_resumes_after_any_event_and_ends_with_the_end(home):
    async with limner(home, vendor(Desk(submits=[queued()]))) as app:
        job = await app.draw(request())
        for after in range(6):
            heard = await messages(app, job.id, after)
            assert [one.seq for one in heard[:-1]] == list(range(after + 1, 6))
            assert heard[-1].job == job


async def test_progress_estimates_the_time_left(home):
    async def half(_ticket):
        await asyncio.sleep(0.02)
        return queued(fraction=0.5)

    desk = Desk(submits=[queued(fraction=0.25)], polls=[half, half, done()])
    async with limner(home, vendor(desk)) as app:
        job = await app.generate(request())
        heard = [one for one in await messages(app, job.id) if isinstance(one, Progress)]
    assert heard[-1].eta_s is not None
    assert heard[-1].eta_s > 0


# -- cancelling, in its three senses ---------------------------------------------------------------------


async def test_stopping_to_wait_stops_nothing_else(home):
    gate = asyncio.Event()

    async def wait(_call):
        await gate.wait()
        return done()

    desk = Desk(submits=[wait])
    async with limner(home, vendor(desk)) as app:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await app.draw(request())
        gate.set()
        (job,) = await app.jobs()
        assert (await app.wait(job.id)).state == "succeeded"
    assert desk.canceled == []


async def test_stopping_to_work_leaves_the_order_and_hands_the_lease_over(home):
    desk = Desk(submits=[queued()], polls=[never])
    async with limner(home, vendor(desk)) as app:
        job = await app.generate(request())
        await until(lambda: desk.polled)
    assert rows(home, "SELECT state, lease_owner, lease_until FROM jobs") == [("waiting", None, 0.0)]
    desk.polls = [done()]
    async with limner(home, vendor(desk)) as app:
        job = await app.wait(job.id)
    assert (job.state, receipt(job)) == ("succeeded", [("easel", "settled", "resumed")])
    assert (len(desk.bill), desk.canceled) == (1, [])


async def test_stopping_the_order_asks_the_vendor_and_charges_what_came(home):
    desk = Desk(submits=[queued()], polls=[queued()])
    async with limner(home, vendor(desk)) as app:
        job = await app.generate(request())
        await until(lambda: desk.polled)
        assert (await app.cancel(job.id)).state in ("running", "waiting")
        await until(lambda: desk.canceled)
        desk.polls[:] = [done()]
        job = await app.wait(job.id)
        assert job == await app.read(job.id)
    assert (job.state, job.cancel_requested, len(job.images)) == ("canceled", True, 1)
    assert (desk.canceled, ledger(home)) == ([{"id": "7"}], [RESERVED, RELEASED, SETTLED])


async def test_an_order_stopped_in_time_costs_nothing_and_is_not_placed_elsewhere(home):
    desk, other = Desk(submits=[queued()], polls=[queued()]), Desk()
    async with limner(home, vendor(desk), vendor(other, "mural")) as app:
        job = await app.generate(request())
        await until(lambda: desk.polled)
        await app.cancel(job.id)
        await until(lambda: desk.canceled)
        desk.polls[:] = [Rejected("stopped, not charged")]
        job = await app.wait(job.id)
    assert (job.state, job.images, job.error) == ("canceled", (), None)
    assert (other.bill, ledger(home)) == ([], [RESERVED, RELEASED])


async def test_a_queued_job_is_cancelled_at_once_and_for_free(home):
    desk = Desk(submits=[never])
    async with limner(home, vendor(desk), concurrency=1) as app:
        await app.generate(request())
        await until(lambda: desk.bill)
        waiting = await app.generate(request(seed=8))
        following = asyncio.ensure_future(messages(app, waiting.id))
        await asyncio.sleep(0.05)
        canceled = await app.cancel(waiting.id)
        heard = await following
        assert await app.cancel(waiting.id) == canceled
    assert (canceled.state, canceled.cancel_requested, canceled.receipt.attempts) == ("canceled", True, ())
    assert kinds_of(heard) == ["queued", "canceled", "end"]
    assert len(desk.bill) == 1


async def test_a_wish_to_cancel_survives_a_restart(home):
    desk = Desk(submits=[queued()], polls=[never])
    async with limner(home, vendor(desk)) as app:
        job = await app.generate(request())
        await until(lambda: desk.polled)
        await app._now.store.request_cancel(job.id, 0.0)
    desk.polls = [queued(), done()]
    async with limner(home, vendor(desk)) as app:
        job = await app.wait(job.id)
    assert (job.state, desk.canceled, len(job.images)) == ("canceled", [{"id": "7"}], 1)


async def test_a_job_that_is_cancelled_while_it_waits_for_a_retry_ends(home):
    desk = Desk(submits=[Unavailable("503")])
    async with limner(home, vendor(desk), models=[model(usd="0")], breaker_failures=1000) as app:
        job = await app.generate(request())
        await until(lambda: len(desk.bill) > 2)
        await app.cancel(job.id)
        job = await app.wait(job.id)
    assert (job.state, job.error) == ("canceled", None)


# -- storage that refuses --------------------------------------------------------------------------------


async def test_a_running_job_outlasts_a_full_disk_and_new_orders_are_told(home, monkeypatch):
    gate = asyncio.Event()

    async def wait(_ticket):
        await gate.wait()
        return done()

    desk = Desk(submits=[queued()], polls=[wait])
    async with limner(home, vendor(desk)) as app:
        job = await app.generate(request())
        await until(lambda: desk.polled)
        database = app._now.store._database
        write, full = database.write, True

        async def refuse(act, **how):
            if full:
                raise StorageError("the disk is full; free some space and try again")
            return await write(act, **how)

        monkeypatch.setattr(database, "write", refuse)
        gate.set()
        with pytest.raises(StorageError, match="free some space"):
            await app.generate(request(seed=8))
        await asyncio.sleep(0.05)
        assert (await app.read(job.id)).state == "waiting"
        full = False
        job = await app.wait(job.id)
        assert (await app.draw(request(seed=8))).state == "succeeded"
    assert (job.state, len(desk.polled), desk.bill.count(f"{job.id}-1")) == ("succeeded", 2, 1)


async def test_a_picture_folder_that_refuses_delays_the_end_and_loses_nothing(home, monkeypatch):
    desk = Desk()
    async with limner(home, vendor(desk)) as app:
        put, refusals = app._now.blobs.put, []

        async def refuse(*args, **kwargs):
            if len(refusals) < 3:
                refusals.append(1)
                raise StorageError("full")
            return await put(*args, **kwargs)

        monkeypatch.setattr(app._now.blobs, "put", refuse)
        job = await app.draw(request())
    assert (job.state, len(refusals), len(desk.bill)) == ("succeeded", 3, 1)


async def test_free_work_tells_of_a_disk_that_stays_full_and_goes_on_once_there_is_room(home, monkeypatch):
    monkeypatch.setattr("limner.jobs.holding.FREE_PATIENCE_S", 0.0)
    monkeypatch.setattr("limner.jobs.run._STARVED_WAIT_S", 0.01)
    easel = vendor(Desk())
    async with limner(home, easel, models=[model(usd="0")]) as app:
        put, full = app._now.blobs.put, True

        async def refuse(*args, **kwargs):
            if full:
                raise StorageError("no room at /pictures; free some space there")
            return await put(*args, **kwargs)

        monkeypatch.setattr(app._now.blobs, "put", refuse)
        told = await app.draw(request())
        full = False
        job = await app.wait(told.id)
    assert (told.state, told.error.code) == ("failed", "storage")
    assert told.error.message == (
        "no room at /pictures; free some space there (the job is kept, and goes on once there is room)"
    )
    assert (job.state, len(job.receipt.attempts)) == ("succeeded", 1)


async def test_a_lease_lost_while_the_disk_was_full_ends_nothing_twice(home, monkeypatch):
    monkeypatch.setattr("limner.jobs.holding.FREE_PATIENCE_S", 0.0)
    async with limner(home, vendor(Desk()), models=[model(usd="0")]) as app:

        async def refuse(*_args, **_kwargs):
            raise StorageError("no room")

        async def fenced(*_args, **_kwargs):
            raise Fenced("claimed by another worker")

        monkeypatch.setattr(app._now.blobs, "put", refuse)
        monkeypatch.setattr(app._now.store, "again", fenced)
        told = await app.draw(request())
        await until(lambda: not app._now.worker._running)
        assert (await app.read(told.id)).state == "storing"
    assert (told.state, told.error.code) == ("failed", "storage")
