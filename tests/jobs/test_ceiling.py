"""Never dearer than agreed: quotes that are accepted, and orders that ask before they are bought."""

import asyncio
import time
from decimal import Decimal
from types import SimpleNamespace

import pytest

from limner.app import Limner
from limner.core.errors import (
    Conflict,
    InvalidRequest,
    NoRoute,
    OverBudget,
    Refused,
    Rejected,
    TimedOut,
    Unavailable,
)
from limner.core.job import Attempt, Confirmation, Job, Receipt
from limner.core.quote import Note, PricePart, Route
from limner.core.request import Policy
from limner.jobs.ask import Ask
from limner.jobs.ceiling import after, instead, targets_for
from limner.jobs.walk import Failures
from limner.providers.base import Done, Recovery
from limner.quoting import SKEW_S
from tests.fakes import (
    Desk,
    kinds_of,
    limner,
    messages,
    model,
    png,
    receipt,
    request,
    rows,
    settings,
    target,
    until,
    vendor,
)
from tests.jobs.test_every_line import Death

DEAR = model("mural", "0.07")
CHEAP = model("easel", "0.04")
ABOVE = Policy(confirm_above_usd=Decimal("0.05"))


def charged(home) -> list[tuple[str, str, int]]:
    return rows(home, "SELECT tenant, kind, micros FROM ledger ORDER BY id")


def idle(home, kind):
    """A Limner that accepts and runs nothing."""
    return Limner(settings(home), providers={kind.name: kind}, models=[model(kind.name)], idle=True)


async def quoted(app, **changes):
    """A request that accepts the quote of the same request."""
    wanted = request(**changes)
    return wanted.model_copy(update={"quote": (await app.estimate(wanted)).token})


async def accepted_elsewhere(home, *kinds, models=None, **changes):
    """A request with a quote that was given for `models` on the same home before."""
    async with limner(home, *kinds, models=models) as app:
        return await quoted(app, **changes)


async def asking(app, wanted):
    """The job that waits for a person."""
    job = await app.draw(wanted)
    assert job.state == "needs_confirmation"
    return job


async def test_a_quote_that_is_accepted_is_drawn_at_its_price(home):
    desk = Desk()
    async with limner(home, vendor(desk), vendor(Desk(), "mural"), models=[CHEAP, DEAR]) as app:
        job = await app.draw(await quoted(app))
        assert await app.read(job.id) == job
    assert (job.state, job.ceiling_usd, job.receipt.cost_usd, job.receipt.notes) == (
        "succeeded",
        Decimal("0.04"),
        Decimal("0.04"),
        (),
    )
    assert receipt(job) == [("easel", "settled", "direct")]
    assert desk.calls[0].request.quote is None
    assert job.images[0].recipe.request.quote is None


async def test_what_was_quoted_is_asked_first_whatever_is_cheaper_by_now(home):
    easel, mural = vendor(Desk()), vendor(Desk(), "mural")
    wanted = await accepted_elsewhere(home, easel, models=[CHEAP])
    async with limner(home, easel, mural, models=[model("mural", "0.01"), CHEAP]) as app:
        job = await app.draw(wanted)
        unquoted = await app.draw(request())
    assert (receipt(job), receipt(unquoted)) == (
        [("easel", "settled", "direct")],
        [("mural", "settled", "direct")],
    )


async def test_one_quote_serves_several_jobs_and_each_keeps_to_it(home):
    async with limner(home, vendor(Desk())) as app:
        wanted = await quoted(app)
        jobs = [await app.draw(wanted) for _ in range(3)]
    assert [(job.state, job.ceiling_usd) for job in jobs] == [("succeeded", Decimal("0.04"))] * 3


async def test_a_fallback_within_the_quote_is_taken_and_told(home):
    broken = vendor(Desk(submits=[Rejected("no")]))
    async with limner(home, broken, vendor(Desk(), "mural")) as app:
        job = await app.draw(await quoted(app, provider=None))
    assert receipt(job) == [("easel", "refused", "direct"), ("mural", "settled", "direct")]
    assert (job.receipt.notes, job.receipt.cost_usd) == (
        (Note(field="quote", message="easel/easel-model was quoted; mural/mural-model draws instead"),),
        Decimal("0.04"),
    )


@pytest.mark.parametrize("failed", [Rejected("no"), Unavailable("down")])
async def test_when_all_within_the_quote_fail_the_job_asks_and_buys_nothing_dearer(home, failed):
    dear = Desk()
    easel, mural = vendor(Desk(submits=[failed])), vendor(dear, "mural")
    async with limner(home, easel, mural, models=[CHEAP, DEAR], breaker_failures=3) as app:
        job = await asking(app, await quoted(app, policy=Policy(deadline_s=1)))
        assert dear.bill == []
        assert (job.confirmation.reason, job.confirmation.target, job.confirmation.price_usd) == (
            "dearer",
            "mural/mural-model",
            Decimal("0.07"),
        )
        assert job.confirmation.choices == ("accept", "cancel")
        assert job.confirmation.message.startswith(
            "nobody draws it for the agreed $0.04 any more; mural/mural-model would: $0.07. Accept that, or "
            "cancel; nothing is bought before. ("
        )
        await app.decide(job.id, "accept", by="ann")
        ended = await app.wait(job.id)
    assert (ended.state, ended.ceiling_usd, ended.receipt.cost_usd) == (
        "succeeded",
        Decimal("0.07"),
        Decimal("0.07"),
    )
    assert (ended.confirmation.decided.decision, ended.confirmation.decided.by) == ("accept", "ann")
    assert receipt(ended)[-1] == ("mural", "settled", "direct")


async def test_a_price_that_was_raised_since_the_quote_is_asked_about_before_anything_is_bought(home):
    desk = Desk()
    wanted = await accepted_elsewhere(home, vendor(desk))
    async with limner(home, vendor(desk), models=[model("easel", "0.06")]) as app:
        job = await app.generate(wanted)
        assert job.confirmation == Confirmation(
            reason="dearer",
            message=(
                "nobody draws it for the agreed $0.04 any more; easel/easel-model would: $0.06. Accept that, "
                "or cancel; nothing is bought before. (easel/easel-model: costs $0.06, above $0.04)"
            ),
            choices=("accept", "cancel"),
            target="easel/easel-model",
            price_usd=Decimal("0.06"),
        )
        assert (job.state, desk.bill, charged(home)) == ("needs_confirmation", [], [])
        heard = await messages(app, job.id)
        assert (kinds_of(heard), heard[-1].job) == (["queued", "asked", "end"], job)
        assert await app.read(job.id) == job

        await app.decide(job.id, "accept", by="ann")
        ended = await app.wait(job.id)
    assert (ended.state, ended.ceiling_usd) == ("succeeded", Decimal("0.06"))
    assert charged(home) == [
        ("local", "reserve", 60_000),
        ("local", "release", 60_000),
        ("local", "settle", 60_000),
    ]


async def test_a_quote_that_cannot_be_kept_can_be_cancelled_for_nothing(home):
    desk = Desk()
    wanted = await accepted_elsewhere(home, vendor(desk))
    async with limner(home, vendor(desk), models=[model("easel", "0.06")]) as app:
        job = await app.generate(wanted)
        await app.decide(job.id, "cancel", by="ann")
        ended = await app.wait(job.id)
        with pytest.raises(Conflict):
            await app.decide(job.id, "accept", by="ann")
    assert (ended.state, desk.bill, charged(home)) == ("canceled", [], [])


async def test_a_price_that_is_accepted_twice_is_accepted_once(home):
    wanted = await accepted_elsewhere(home, vendor(Desk()))
    desk = Desk()
    async with limner(home, vendor(desk), models=[model("easel", "0.06")]) as app:
        job = await app.generate(wanted)
        await app.decide(job.id, "accept", by="ann")
        job = await app.wait(job.id)
        assert await app.decide(job.id, "accept", by="ann") == job
        with pytest.raises(Conflict, match="accept by ann"):
            await app.decide(job.id, "accept", by="bob")
    assert (job.state, len(desk.bill)) == ("succeeded", 1)


async def test_a_price_nobody_knows_any_more_is_asked_about_and_may_be_accepted(home):
    wanted = await accepted_elsewhere(home, vendor(Desk()))
    async with limner(home, vendor(Desk()), models=[model("easel", None)]) as app:
        job = await app.generate(wanted)
        assert (job.confirmation.reason, job.confirmation.price_usd) == ("dearer", None)
        await app.decide(job.id, "accept", by="ann")
        ended = await app.wait(job.id)
    assert (ended.state, ended.ceiling_usd) == ("succeeded", None)


async def test_the_callers_own_limit_stands_above_a_dearer_price(home):
    wanted = await accepted_elsewhere(home, vendor(Desk()))
    limited = wanted.model_copy(update={"policy": Policy(max_cost_usd=Decimal("0.05"))})
    async with limner(home, vendor(Desk()), models=[model("easel", "0.06")]) as app:
        with pytest.raises(OverBudget, match=r"costs \$0.06, above \$0.05"):
            await app.generate(limited)


async def test_the_lower_of_quote_and_limit_counts(home):
    easel, mural = vendor(Desk()), vendor(Desk(), "mural")
    wanted = await accepted_elsewhere(home, easel)
    limited = wanted.model_copy(update={"policy": Policy(max_cost_usd=Decimal("0.02"))})
    async with limner(home, easel, mural, models=[CHEAP, model("mural", "0.01")]) as app:
        job = await app.draw(limited)
    assert receipt(job) == [("mural", "settled", "direct")]


async def test_a_quote_of_an_unknown_price_promises_who_draws_and_no_price(home):
    easel, mural = vendor(Desk()), vendor(Desk(), "mural")
    wanted = await accepted_elsewhere(home, easel, models=[model("easel", None)])
    async with limner(home, easel, mural, models=[model("easel", None), model("mural", "0.01")]) as app:
        job = await app.draw(wanted)
    assert (job.state, job.ceiling_usd, receipt(job)) == ("succeeded", None, [("easel", "settled", "direct")])


async def test_without_fallback_a_failed_quote_is_the_end_and_asks_nothing(home):
    easel, mural = vendor(Desk(submits=[Rejected("no")])), vendor(Desk(), "mural")
    async with limner(home, easel, mural, models=[CHEAP, DEAR]) as app:
        job = await app.draw(await quoted(app, policy=Policy(fallback=False)))
    assert (job.state, job.error.code) == ("failed", "rejected")


async def test_a_refusal_is_not_taken_elsewhere_for_more(home):
    easel, mural = vendor(Desk(submits=[Refused("no")])), vendor(Desk(), "mural")
    async with limner(home, easel, mural, models=[CHEAP, DEAR]) as app:
        job = await app.draw(await quoted(app))
    assert (job.state, job.error.code) == ("failed", "refused")


async def test_nothing_of_another_kind_is_offered_in_place_of_what_failed(home):
    easel, mural = vendor(Desk(submits=[Rejected("no")])), vendor(Desk(), "mural")
    models = [CHEAP, model("mural", "0.07", tier="ultra")]
    async with limner(home, easel, mural, models=models) as app:
        job = await app.draw(await quoted(app))
    assert (job.state, job.error.code) == ("failed", "rejected")


async def test_a_quote_is_checked_before_anything_is_written(home):
    async with limner(home, vendor(Desk())) as app:
        for given in ("nonsense", (await quoted(app, prompt="a blue fox")).quote):
            with pytest.raises(InvalidRequest) as caught:
                await app.generate(request(quote=given))
            assert caught.value.field == "quote"
        assert await app.jobs() == []


async def test_a_key_that_is_repeated_after_its_quote_has_ended_gives_the_job(home, monkeypatch):
    async with limner(home, vendor(Desk()), quote_valid_s=1.0) as app:
        wanted = await quoted(app)
        job = await app.draw(wanted, key="k")
        late = time.time() + 1.0 + SKEW_S + 5
        monkeypatch.setattr("limner.app.time.time", lambda: late)
        with pytest.raises(InvalidRequest, match="quote has ended"):
            await app.generate(wanted)
        assert (await app.generate(wanted, key="k")).id == job.id


async def test_a_job_that_waited_for_a_slot_keeps_to_its_quote_when_prices_rise(home):
    """It was accepted at one price, and is begun by a process whose catalog has another."""
    desk = Desk()
    async with idle(home, vendor(desk)) as app:
        job = await app.generate(await quoted(app))
        assert (job.state, job.ceiling_usd) == ("queued", Decimal("0.04"))
    async with limner(home, vendor(desk), models=[model("easel", "0.05")]) as app:
        asked = await app.wait(job.id)
    assert (asked.state, asked.confirmation.reason, desk.bill) == ("needs_confirmation", "dearer", [])


async def test_a_quoted_vendor_that_is_gone_is_no_question_when_nobody_else_can_serve(home):
    easel = vendor(Desk())
    wanted = await accepted_elsewhere(home, easel)
    async with limner(
        home, vendor(Desk(), "mural"), models=[DEAR.model_copy(update={"max_count": 0})]
    ) as app:
        with pytest.raises((NoRoute, InvalidRequest)):
            await app.generate(wanted)


@pytest.mark.parametrize("recovery", [Recovery.BLIND, Recovery.TICKETED])
@pytest.mark.parametrize("bill", ["0.09", "0.04", "0.01"])
async def test_what_a_vendor_takes_beyond_the_quote_is_the_operators_loss(home, recovery, bill):
    desk = Desk(submits=[Done((png(),), cost_usd=bill)])
    async with limner(home, vendor(desk, recovery=recovery)) as app:
        job = await app.draw(await quoted(app))
        assert await app.read(job.id) == job
    pays = min(Decimal(bill), Decimal("0.04"))
    assert (job.receipt.cost_usd, job.receipt.attempts[0].price_usd) == (pays, pays)
    over = int((Decimal(bill) - pays) * 1_000_000)
    assert charged(home) == [
        ("local", "reserve", 40_000),
        ("local", "release", 40_000),
        ("local", "settle", int(pays * 1_000_000)),
        *([("limner", "settle", over)] if over else []),
    ]
    said = "the vendor charged $0.09; $0.04 was agreed, and the operator bears the rest"
    assert job.receipt.notes == ((Note(field="price", message=said),) if over else ())


async def test_without_a_quote_the_vendors_figure_is_the_callers(home):
    desk = Desk(submits=[Done((png(),), cost_usd="0.09")])
    async with limner(home, vendor(desk)) as app:
        job = await app.draw(request())
    assert (job.receipt.cost_usd, job.receipt.notes) == (Decimal("0.09"), ())


# -- asking above a limit ---------------------------------------------------------------------------------


async def test_an_order_above_the_limit_asks_before_anything_is_bought(home):
    desk = Desk()
    async with limner(home, vendor(desk), models=[DEAR.model_copy(update={"provider": "easel"})]) as app:
        job = await asking(app, request(policy=ABOVE))
        assert (desk.bill, charged(home), job.receipt.attempts) == ([], [], ())
        assert job.confirmation == Confirmation(
            reason="above_ceiling",
            message=(
                "easel/mural-model: $0.07; what costs more than $0.05 waits for a yes. Accept to order it, "
                "or cancel; nothing is bought before."
            ),
            choices=("accept", "cancel"),
            target="easel/mural-model",
            price_usd=Decimal("0.07"),
        )
        await app.decide(job.id, "accept", by="ann")
        ended = await app.wait(job.id)
    assert (ended.state, ended.ceiling_usd, len(desk.bill)) == ("succeeded", Decimal("0.07"), 1)


@pytest.mark.parametrize(
    ("usd", "limit", "asks"),
    [
        ("0.04", "0.04", False),
        ("0.04", "0.039999", True),
        ("0", "0", False),
        ("0.000001", "0", True),
        (None, "9", True),
    ],
)
async def test_what_costs_more_than_the_limit_or_nobody_knows_how_much_is_asked_about(home, usd, limit, asks):
    async with limner(home, vendor(Desk()), models=[model("easel", usd)]) as app:
        job = await app.draw(request(policy=Policy(confirm_above_usd=Decimal(limit))))
    assert job.state == ("needs_confirmation" if asks else "succeeded")


async def test_an_unknown_price_that_was_accepted_is_not_asked_about_again(home):
    async with limner(home, vendor(Desk()), models=[model("easel", None)]) as app:
        job = await asking(app, request(policy=ABOVE))
        await app.decide(job.id, "accept", by="ann")
        ended = await app.wait(job.id)
    assert (ended.state, ended.receipt.cost_usd, ended.confirmation.price_usd) == ("succeeded", None, None)


async def test_a_quote_is_a_yes_to_its_price(home):
    async with limner(home, vendor(Desk()), models=[model("easel", "0.09")]) as app:
        job = await app.draw(await quoted(app, policy=ABOVE))
    assert job.state == "succeeded"


async def test_a_fallback_above_the_limit_asks_too(home):
    easel, mural = vendor(Desk(submits=[Rejected("no")])), vendor(dear := Desk(), "mural")
    policy = Policy(confirm_above_usd=Decimal("0.05"), max_cost_usd=Decimal(1))
    async with limner(home, easel, mural, models=[CHEAP, DEAR]) as app:
        job = await asking(app, request(policy=policy))
        assert (job.confirmation.target, dear.bill) == ("mural/mural-model", [])
        assert receipt(job) == [("easel", "refused", "direct")]
        await app.decide(job.id, "accept", by="ann")
        ended = await app.wait(job.id)
    assert (ended.state, receipt(ended)[-1]) == ("succeeded", ("mural", "settled", "direct"))


async def test_who_waits_for_a_job_that_asks_is_told_at_once_and_may_watch_it_again(home):
    async with limner(home, vendor(Desk()), models=[model("easel", "0.09")]) as app:
        job = await asyncio.wait_for(app.draw(request(policy=ABOVE)), 10)
        assert kinds_of(await messages(app, job.id)) == ["queued", "asked", "end"]
        await app.decide(job.id, "accept", by="ann")
        await until(lambda: _ended(app, job.id))
        heard = kinds_of(await messages(app, job.id))
    assert heard[:4] == ["queued", "asked", "decided", "running"]
    assert heard[-2:] == ["succeeded", "end"]


async def test_a_job_that_asks_survives_a_restart_and_is_never_begun_by_itself(home):
    desk = Desk()
    entry = model("easel", "0.09")
    async with limner(home, vendor(desk), models=[entry]) as app:
        job = await asking(app, request(policy=ABOVE))
    async with limner(home, vendor(desk), models=[entry]) as app:
        other = await app.draw(request(prompt="another", policy=Policy()))
        assert (other.state, len(desk.bill)) == ("succeeded", 1)
        assert (await app.read(job.id)).state == "needs_confirmation"
        assert (await app.cancel(job.id)).state == "canceled"
    assert len(desk.bill) == 1


async def test_the_same_key_gives_the_job_that_asks(home):
    async with limner(home, vendor(Desk()), models=[model("easel", "0.09")]) as app:
        first = await app.generate(request(policy=ABOVE), key="k")
        second = await app.draw(request(policy=ABOVE), key="k")
    assert (first.id, second.state) == (second.id, "needs_confirmation")


async def test_the_receipt_explains_each_price_also_after_the_catalog_has_changed(home):
    async with limner(home, vendor(Desk())) as app:
        job = await app.draw(request(count=2))
    async with limner(home, vendor(Desk()), models=[model("easel", "9")]) as app:
        read, (listed,) = await app.read(job.id), await app.jobs()
    priced = read.receipt.attempts[0].priced
    assert priced.parts == (PricePart(what="pictures", unit="image", usd=Decimal("0.04"), amount=Decimal(2)),)
    assert (priced.total_usd, priced.source) == (Decimal("0.08"), "a test")
    assert [one.receipt.attempts[0].priced for one in (job, listed)] == [priced, priced]


async def _ended(app, job_id) -> bool:
    return (await app.read(job_id)).final


# -- with orders that are lost ----------------------------------------------------------------------------


async def test_a_lost_order_is_asked_about_before_any_price_is(home):
    """What is left is dearer than agreed: but first somebody must say what became of the money."""
    easel = vendor(Desk(submits=[TimedOut("silence")]), recovery=Recovery.BLIND)
    dear = Desk()
    async with limner(home, easel, vendor(dear, "mural"), models=[CHEAP, DEAR]) as app:
        job = await asking(app, await quoted(app))
    assert (job.confirmation.reason, dear.bill) == ("unknown", [])


async def test_an_order_that_is_paid_again_keeps_to_the_quote_too(home):
    desk = Desk(submits=[TimedOut("silence"), Done((png(),), cost_usd="0.06")])
    easel = vendor(desk, recovery=Recovery.BLIND)
    async with limner(home, easel) as app:
        job = await asking(app, await quoted(app))
        await app.decide(job.id, "pay_again", by="ann")
        ended = await app.wait(job.id)
    assert [one.price_usd for one in ended.receipt.attempts] == [Decimal("0.04")] * 2
    assert charged(home)[-2:] == [("local", "settle", 40_000), ("limner", "settle", 20_000)]


async def test_paying_again_above_the_quote_is_asked_about(home):
    lost, dear = Desk(submits=[TimedOut("silence")]), Desk()
    async with limner(home, vendor(lost, recovery=Recovery.BLIND)) as app:
        job = await asking(app, await quoted(app))
    async with limner(home, vendor(dear), models=[model("easel", "0.05")]) as app:
        await app.decide(job.id, "pay_again", by="ann")
        await until(lambda: _asks(app, job.id, "dearer"))
        assert dear.bill == []
        await app.decide(job.id, "accept", by="ann")
        ended = await app.wait(job.id)
    assert (ended.state, [one.price_usd for one in ended.receipt.attempts]) == (
        "succeeded",
        [Decimal("0.04"), Decimal("0.05")],
    )


async def test_nobody_is_asked_when_all_are_away_until_the_deadline(home):
    policy = Policy(deadline_s=1)
    async with limner(home, vendor(Desk(submits=[Unavailable("down")])), breaker_failures=2) as app:
        job = await app.draw(await quoted(app, policy=policy))
    assert (job.state, job.error.code) == ("failed", "no_route")


async def _asks(app, job_id, reason) -> bool:
    job = await app.read(job_id)
    return job.state == "needs_confirmation" and job.confirmation.reason == reason


# -- the decisions alone ----------------------------------------------------------------------------------


def means(*routes):
    """Plans in turn: an error is raised, targets are a route."""
    planned = list(routes)

    def plan(_request, _seed, _ceiling):
        route = planned.pop(0)
        if isinstance(route, Exception):
            raise route
        return Route(targets=route)

    return SimpleNamespace(plan=plan)


def a_job(*attempts, **changes):
    fields = {"id": "j", "state": "running", "request": request(), "created_at": 0.0}
    fields |= {"ceiling_usd": Decimal("0.04"), "receipt": Receipt(attempts=attempts)}
    return Job(**fields | changes)


def tried(state):
    return Attempt(
        n=1,
        state=state,
        provider="easel",
        account="easel",
        model="m",
        why="first choice",
        how="direct",
        price_usd=None,
        submitted_at=0.0,
    )


def test_nobody_may_be_asked_while_an_order_is_lost_and_only_something_dearer_is_left():
    plans = OverBudget("dear"), (target("mural", "0.07"),)
    assert targets_for(means(*plans), a_job(tried("unknown"))) == ()
    with pytest.raises(Ask):
        targets_for(means(*plans), a_job(tried("refused")))


@pytest.mark.parametrize(
    "plans",
    [
        [(target("easel"),)],
        [NoRoute("away", passing=True), NoRoute("away", passing=True)],
        [OverBudget("dear"), OverBudget("above the caller's own limit")],
    ],
)
def test_at_the_deadline_nothing_is_asked_when_somebody_serves_or_nobody_may(plans):
    assert instead(means(*plans), a_job(), NoRoute("away", passing=True)) is None


def test_at_the_deadline_the_dearer_one_is_offered_unless_money_may_be_gone():
    plans = NoRoute("away", passing=True), (target("mural", "0.07"),)
    error = NoRoute("away", passing=True)
    assert instead(means(*plans), a_job(tried("refused")), error).target == "mural/m"
    assert instead(means(*plans), a_job(tried("unknown")), error) is None
    assert instead(means(*plans), a_job(), Rejected("no")) is None


FAILED = Failures(((target("easel"), Rejected("no")),))


@pytest.mark.parametrize("error", [NoRoute("nobody"), OverBudget("limit")])
def test_what_nobody_else_can_serve_is_not_offered(error):
    assert after(means(error), a_job(tried("refused")), FAILED) is None


def test_another_model_at_the_account_that_failed_is_not_offered():
    elsewhere = target("mural", "0.07")
    there = elsewhere.model_copy(update={"account": "easel"})
    assert after(means((there,)), a_job(tried("refused")), FAILED) is None
    assert after(means((there, elsewhere)), a_job(tried("refused")), FAILED).target == "mural/m"
    assert after(means((elsewhere,)), a_job(tried("settled")), FAILED) is None


# -- and when the process dies there ----------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_death_at_the_question_leaves_a_job_that_asks_and_nothing_bought(home, monkeypatch, when):
    death, dear = Death(monkeypatch, "ask", when), Desk()
    easel, mural = vendor(Desk(submits=[Rejected("no")])), vendor(dear, "mural")
    async with limner(home, easel, mural, models=[CHEAP, DEAR]) as app:
        job = await app.generate(await quoted(app))
        await death.reached.wait()
    death.bury()
    async with limner(home, easel, mural, models=[CHEAP, DEAR]) as app:
        await until(lambda: _asks(app, job.id, "dearer"))
        assert dear.bill == []
        await app.decide(job.id, "accept", by="ann")
        ended = await app.wait(job.id)
    assert (ended.state, len(dear.bill), ended.receipt.cost_usd) == ("succeeded", 1, Decimal("0.07"))


@pytest.mark.parametrize(("when", "bought"), [("before", 0), ("after", 1)])
async def test_a_death_at_the_yes_leaves_it_said_or_not(home, monkeypatch, when, bought):
    desk, entry = Desk(), model("easel", "0.09")
    death = Death(monkeypatch, "accept_price", when)
    async with limner(home, vendor(desk), models=[entry]) as app:
        job = await asking(app, request(policy=ABOVE))
        saying = asyncio.create_task(app.decide(job.id, "accept", by="ann"))
        await death.reached.wait()
        saying.cancel()
    async with limner(home, vendor(desk), models=[entry]) as app:
        state = "succeeded" if bought else "needs_confirmation"
        await until(lambda: _is(app, job.id, state))
    assert len(desk.bill) == bought


async def _is(app, job_id, state) -> bool:
    return (await app.read(job_id)).state == state
