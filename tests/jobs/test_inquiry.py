"""What is learnt of lost orders when their vendors are asked, through Limner with scripted vendors."""

import asyncio
from decimal import Decimal

import pytest

from limner.app import Limner
from limner.core.errors import (
    Lost,
    Refused,
    Rejected,
    StorageError,
    TimedOut,
    Unavailable,
    Unknown,
)
from limner.core.lost import Finding
from limner.core.quote import Note
from limner.core.request import MAX_COUNT, Policy
from limner.jobs import late
from limner.providers.base import Done, Recovery
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
    png,
    queued,
    receipt,
    request,
    rows,
    settings,
    states,
    until,
    vendor,
)

RESERVED, RELEASED, SETTLED = ("reserve", 40_000), ("release", 40_000), ("settle", 40_000)
FOUND_BY_TICKET = Note(
    field="attempts", message="what attempt 1 at easel/easel-model had lost was found later"
)


def forgetful(*polls, **fields):
    """A vendor that takes the order and has lost it at the first poll."""
    desk = Desk(submits=[queued()], polls=[Lost("who?"), *polls])
    return desk, vendor(desk, **fields)


async def test_a_journal_that_cannot_be_written_is_told_once_all_are_asked(home, monkeypatch):
    desk, kind = forgetful(Rejected("no such order"))

    async def full(*_):
        raise StorageError("the disk is full")

    async with limner(home, kind) as app:
        for _ in range(3):
            desk.polls.insert(0, Lost("who?"))
            await app.draw(request())
        desk.polled.clear()
        with monkeypatch.context() as now:
            now.setattr(app._now.store, "clear", full)
            with pytest.raises(StorageError, match="the disk is full"):
                await app.reconcile()
        assert len(desk.polled) == 3
        assert len(await app.lost()) == 3


async def test_a_lost_picture_that_turns_up_ends_the_job_with_the_vendors_figure(home):
    desk, kind = forgetful(Done((png(),), cost_usd="0.03"))
    async with limner(home, kind) as app:
        job = await app.draw(request())
        assert asked(job) == ("needs_confirmation", "unknown", "lost")
        reconciled = await app.reconcile()
        job = await app.wait(job.id)
        assert job == await app.read(job.id)
        assert kinds_of(await messages(app, job.id))[-2:] == ["succeeded", "end"]
    assert reconciled.findings == (Finding(job_id=job.id, n=1, outcome="found", message="1 pictures"),)
    assert reconciled.left == ()
    assert (job.state, receipt(job)) == ("succeeded", [("easel", "settled", "resumed")])
    assert FOUND_BY_TICKET in job.receipt.notes
    assert (job.receipt.cost_usd, job.confirmation, len(desk.bill)) == (Decimal("0.03"), None, 1)
    assert ledger(home) == [RESERVED, RELEASED, ("settle", 30_000)]


async def test_whoever_still_watches_is_told_when_a_lost_picture_turns_up(home):
    _, kind = forgetful(done())
    async with limner(home, kind) as app:
        job = await app.draw(request(policy=Policy(on_unknown="never")))
        with app._now.hub.subscribe(job.id) as heard:
            await app.reconcile()
            assert (await heard.next()).type == "queued"


async def test_a_picture_at_an_address_is_fetched_when_it_turns_up(home, monkeypatch):
    desk, kind = forgetful(Done(links=("https://cdn.example/1.png",)))

    async def fetch(_fetcher, link, _host):
        return png(colour="navy")

    monkeypatch.setattr("limner.building.Fetcher.fetch", fetch)
    async with limner(home, kind) as app:
        job = await app.draw(request())
        await app.reconcile()
        job = await app.wait(job.id)
        assert (await app.open(job.images[0]))[:8] == png()[:8]
    assert (job.state, len(desk.bill), ledger(home)) == ("succeeded", 1, [RESERVED, RELEASED, SETTLED])
    assert not [path for path in (home / "storage").glob("answers/**/*") if path.is_file()]


async def test_a_vendor_that_is_still_at_work_leaves_the_question_open(home):
    _, kind = forgetful(queued())
    async with limner(home, kind) as app:
        job = await app.draw(request())
        (finding,) = (await app.reconcile()).findings
        assert await app.read(job.id) == job
    assert (finding.outcome, finding.message) == ("working", "the vendor is still at work on it")


@pytest.mark.parametrize(
    "error", [Lost("who?"), Unavailable("down"), Rejected("no"), Refused("not this", billed="maybe")]
)
async def test_a_vendor_that_tells_nothing_leaves_the_question_open(home, error):
    if isinstance(error, Rejected):
        error.billed = "maybe"
    _, kind = forgetful(error)
    async with limner(home, kind) as app:
        job = await app.draw(request())
        (finding,) = (await app.reconcile()).findings
        assert await app.read(job.id) == job
    assert (finding.outcome, finding.message, ledger(home)) == ("silent", str(error), [RESERVED])


async def test_an_answer_without_pictures_leaves_the_question_open(home):
    _, kind = forgetful(Done(()))
    async with limner(home, kind) as app:
        job = await app.draw(request())
        (finding,) = (await app.reconcile()).findings
        assert await app.read(job.id) == job
    assert (finding.outcome, finding.message) == ("silent", "what came cannot be taken: it holds none")


async def test_what_somebody_else_has_learnt_meanwhile_is_not_learnt_again(home, monkeypatch):
    async def nothing(*_):
        return None

    _, kind = forgetful(Rejected("it failed"))
    async with limner(home, kind) as app:
        await app.draw(request())
        monkeypatch.setattr(app._now.store, "clear", nothing)
        (finding,) = (await app.reconcile()).findings
    assert (finding.outcome, finding.message) == ("silent", "somebody else has settled it meanwhile")


async def test_an_order_that_failed_for_nothing_is_released_and_the_job_goes_on(home):
    desk, kind = forgetful(Rejected("it failed"))
    desk.submits = [queued(), done()]
    async with limner(home, kind) as app:
        job = await app.draw(request(policy=Policy(deadline_s=5.0)))
        (finding,) = (await app.reconcile()).findings
        job = await app.wait(job.id)
    assert (finding.outcome, finding.message) == ("not_charged", "it failed")
    assert receipt(job) == [("easel", "refused", "direct"), ("easel", "settled", "direct")]
    assert (job.state, ledger(home)) == ("succeeded", [RESERVED, RELEASED, RESERVED, RELEASED, SETTLED])


async def test_an_order_that_certainly_never_arrived_is_released_and_bought_after_all(home):
    desk = Desk(submits=[TimedOut("no answer"), done()], find=Unknown("2 orders look like this one"))
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
        assert asked(job) == ("needs_confirmation", "unknown", "unknown")
        desk.found = None
        (finding,) = (await app.reconcile()).findings
        job = await app.wait(job.id)
        assert job == await app.read(job.id)
    assert finding.outcome == "not_charged"
    assert (job.state, len(desk.bill), job.receipt.cost_usd) == ("succeeded", 2, Decimal("0.04"))


async def test_a_failed_job_whose_order_never_arrived_stays_failed_and_owes_nothing(home):
    desk = Desk(submits=[TimedOut("no answer")], find=Unknown("2 orders look like this one"))
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request(policy=Policy(on_unknown="never")))
        desk.found = None
        await app.reconcile()
        job = await app.read(job.id)
    assert (job.state, job.receipt.cost_usd, len(desk.bill)) == ("failed", 0, 1)
    assert ledger(home) == [RESERVED, RELEASED]


async def test_an_order_that_may_still_turn_up_in_the_list_is_not_released(home):
    desk = Desk(submits=[TimedOut("no answer")], find=Unknown("2 orders look like this one"))
    kind = vendor(desk)
    async with limner(home, kind) as app:
        await app.draw(request())
        desk.found, kind.lag_s = None, 1000.0
        (finding,) = (await app.reconcile()).findings
    assert (finding.outcome, ledger(home)) == ("silent", [RESERVED])
    assert finding.message == "easel does not list the order yet; ask again in a minute"


async def test_an_order_found_in_the_list_is_taken_by_its_ticket(home):
    desk = Desk(submits=[TimedOut("no answer")], find=Unknown("2 orders look like this one"))
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
        desk.found = {"id": "7"}
        await app.reconcile()
        job = await app.wait(job.id)
    assert (receipt(job), desk.polled) == ([("easel", "settled", "list")], [{"id": "7"}])


async def test_a_vendor_that_goes_by_our_id_and_has_forgotten_it_proves_nothing(home):
    desk = Desk(submits=[TimedOut("no answer")], find=Unavailable("down"))
    async with limner(home, vendor(desk, recovery=Recovery.NAMED)) as app:
        await app.draw(request(policy=Policy(deadline_s=0.2)))
        desk.found = None
        (lost,) = await app.lost()
        (finding,) = (await app.reconcile()).findings
    assert (lost.asked_by, finding.outcome, ledger(home)) == ("id", "silent", [RESERVED])


async def test_who_cannot_be_asked_and_who_is_not_set_up_any_more_says_nothing(home):
    desk = Desk(submits=[TimedOut("no answer")])
    async with limner(home, vendor(desk, recovery=Recovery.BLIND)) as app:
        await app.draw(request())
        (blind,) = (await app.reconcile()).findings
    async with limner(home, vendor(Desk(), "mural")) as app:
        (lost,) = await app.lost()
        (gone,) = (await app.reconcile()).findings
    assert blind.message == "easel cannot be asked about an order whose answer is lost"
    assert (lost.asked_by, gone.message) == (
        "nothing",
        "easel/easel-model: the account easel is not set up here any more",
    )


async def test_an_answer_that_was_kept_is_taken_once_it_can_be_read(home):
    desk = Desk(submits=[Done((b"not a picture",))])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
        (finding,) = (await app.reconcile()).findings
        assert (finding.outcome, "cannot be taken" in finding.message) == ("silent", True)
        await app._now.blobs.keep(f"{job.id}-1", b"")  # the journal has it, not the folder
        (again,) = (await app.reconcile()).findings
    assert (again.outcome, desk.polled) == ("silent", [])


async def test_a_lost_picture_found_after_another_was_drawn_is_one_more(home):
    desk, free = Desk(submits=[queued()], polls=[Lost("who?"), done()]), Desk()
    models = [model("easel"), model("mural", "0")]
    async with limner(home, vendor(desk), vendor(free, "mural"), models=models) as app:
        job = await app.draw(request(policy=Policy(prefer="listed")))
        before = await states(app, job.id)
        await app.reconcile()
        job = await app.read(job.id)
        assert await states(app, job.id) == [*before, "storing"]
    assert [(one.index, one.provider) for one in job.images] == [(0, "mural"), (1, "easel")]
    assert (job.state, job.receipt.notes[-1]) == ("succeeded", FOUND_BY_TICKET)
    assert (job.receipt.cost_usd, ledger(home)) == (Decimal("0.04"), [RESERVED, RELEASED, SETTLED])


async def test_a_lost_picture_found_after_the_job_was_cancelled_is_kept(home):
    _, kind = forgetful(done())
    async with limner(home, kind) as app:
        job = await app.draw(request())
        await app.cancel(job.id)
        await app.reconcile()
        job = await app.read(job.id)
    assert (job.state, len(job.images), ledger(home)) == ("canceled", 1, [RESERVED, RELEASED, SETTLED])


async def test_a_lost_picture_found_before_the_second_order_is_placed_saves_its_price(home):
    desk, kind = forgetful(done())
    async with limner(home, kind) as app:
        job = await app.draw(request())
    async with Limner(settings(home), providers={"easel": kind}, models=[model()], idle=True) as app:
        await app.decide(job.id, "pay_again")
        await app.reconcile()
    async with limner(home, kind) as app:
        job = await app.wait(job.id)
    assert (job.state, len(desk.bill), job.receipt.cost_usd) == ("succeeded", 1, Decimal("0.04"))


async def test_a_lost_picture_found_while_the_second_order_is_out_is_kept_beside_its_own(home):
    gate = asyncio.Event()

    async def wait(_call):
        await gate.wait()
        return done()

    desk = Desk(submits=[queued(), wait], polls=[Lost("who?"), Done((png(colour="navy"),))])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
        await app.decide(job.id, "pay_again")
        await until(lambda: len(desk.bill) == 2)
        (finding,) = (await app.reconcile()).findings
        gate.set()
        await app.wait(job.id)
        job = await app.read(job.id)
    assert (finding.outcome, job.state, job.receipt.cost_usd) == ("found", "succeeded", Decimal("0.08"))
    assert [one.index for one in job.images] == [0, MAX_COUNT]
    assert receipt(job) == [("easel", "settled", "resumed"), ("easel", "settled", "direct")]


async def test_a_lost_order_is_taken_once_however_often_it_is_asked_about(home):
    _, kind = forgetful(done())
    async with limner(home, kind) as app:
        job = await app.draw(request())
        both = await asyncio.gather(app.reconcile(), app.reconcile())
        job = await app.read(job.id)
    assert sorted(one.findings[0].outcome for one in both) == ["found", "silent"]
    assert (len(job.images), ledger(home)) == (1, [RESERVED, RELEASED, SETTLED])


# -- late answers ----------------------------------------------------------------------------------------


async def frozen(app, home, desk, gate, act):
    """A job whose worker holds an answer that comes only after `act` was done to its row by somebody else."""
    job = await app.generate(request())
    await until(lambda: desk.bill)
    await act(job)
    gate.set()
    await until(lambda: not app._now.worker.held())
    return await app.read(job.id)


def slow():
    gate = asyncio.Event()

    async def wait(_call):
        await gate.wait()
        return done()

    desk = Desk(submits=[wait])
    return gate, desk, vendor(desk, recovery=Recovery.BLIND)


async def test_a_worker_that_lost_its_lease_hands_in_what_was_given_up_as_unknown(home):
    gate, desk, kind = slow()
    async with limner(home, kind) as app:

        async def take_over(job):
            def act(connection):
                connection.exec_driver_sql("UPDATE jobs SET state = 'failed', lease_epoch = lease_epoch + 1")
                connection.exec_driver_sql("UPDATE attempts SET state = 'unknown'")

            await app._now.store._database.write(act)

        job = await frozen(app, home, desk, gate, take_over)
    assert (job.state, len(job.images), receipt(job)) == ("succeeded", 1, [("easel", "settled", "direct")])
    assert ledger(home) == [RESERVED, RELEASED, SETTLED]


async def test_an_answer_that_came_too_late_is_kept_for_whoever_has_the_job_now(home):
    gate, desk, kind = slow()
    async with limner(home, kind) as app:

        async def take_over(job):
            def act(connection):
                connection.exec_driver_sql(
                    "UPDATE jobs SET lease_epoch = lease_epoch + 1, lease_until = 1e12"
                )

            await app._now.store._database.write(act)

        job = await frozen(app, home, desk, gate, take_over)
        assert (job.state, receipt(job)) == ("running", [("easel", "submitting", "direct")])
    assert rows(home, "SELECT state FROM attempts") == [("submitting",)]
    async with limner(home, kind) as app:
        job = await app.wait(job.id)
    assert (job.state, len(desk.bill), receipt(job)) == ("succeeded", 1, [("easel", "settled", "direct")])


async def test_a_late_answer_that_cannot_be_taken_breaks_nothing(home, monkeypatch):
    gate, desk, kind = slow()

    async def full(*_):
        raise Fenced("not now")

    async with limner(home, kind) as app:
        monkeypatch.setattr(late, "take", full)

        async def take_over(job):
            def act(connection):
                connection.exec_driver_sql(
                    "UPDATE jobs SET lease_epoch = lease_epoch + 1, lease_until = 1e12"
                )

            await app._now.store._database.write(act)

        job = await frozen(app, home, desk, gate, take_over)
    assert receipt(job) == [("easel", "submitting", "direct")]


async def test_what_the_list_denied_and_the_answer_proves_is_settled_without_a_second_release(home):
    desk = Desk(submits=[TimedOut("no answer")], find=Unknown("2 orders look like this one"))
    async with limner(home, vendor(desk)) as app:
        await app.draw(request(policy=Policy(on_unknown="never")))
        (lost,) = await app._now.store.lost()
        desk.found = None
        await app.reconcile()
        job = await late.take(app._now.means, lost.attempt, done())
        assert job == await app.read(job.id)
        assert await late.take(app._now.means, lost.attempt, done()) is None
    assert (job.state, len(job.images)) == ("succeeded", 1)
    assert ledger(home) == [RESERVED, RELEASED, SETTLED]


async def test_a_lost_order_is_not_taken_for_an_earlier_one_of_its_job(home):
    desk = Desk(submits=[queued("first"), TimedOut("no answer")], polls=[Lost("gone")])
    kind, others = vendor(desk), []

    async def find(self, call):
        others.append(call.others)
        raise Unknown("several look like this one")

    kind.find = find
    async with limner(home, kind, models=[model()]) as app:
        job = await app.draw(request())
        await app.decide(job.id, "pay_again")
        job = await app.wait(job.id)
        await app.reconcile()
    assert others[-1] == frozenset({"first"})


async def test_an_order_that_was_found_in_the_list_is_known_to_the_next_of_its_job(home):
    desk = Desk(submits=[TimedOut("no answer"), TimedOut("no answer")], polls=[Lost("gone")])
    kind, others, found = vendor(desk), [], [{"id": "first"}]

    async def find(self, call):
        others.append(call.others)
        if found:
            return found.pop()
        raise Unknown("several look like this one")

    kind.find = find
    async with limner(home, kind, models=[model()]) as app:
        job = await app.draw(request())
        await app.decide(job.id, "pay_again")
        await app.wait(job.id)
    assert (others[0], others[-1]) == (frozenset(), frozenset({"first"}))
