"""Budgets on the way of a job: the next target that fits is asked, or nobody."""

import asyncio
from decimal import Decimal

import pytest

from limner.core.errors import OverBudget, OverLimit, Rejected, TimedOut, Unavailable
from limner.core.quote import PassedOver, Route
from limner.core.request import Policy
from limner.jobs.afford import without_first
from limner.jobs.walk import walk
from limner.providers.base import Recovery
from tests.fakes import Desk, done, ledger, limner, model, never, receipt, request, target, until, vendor
from tests.store.test_store import new

BLOCKED = {"budgets": {"easel": {"account": "easel", "day_usd": "0.03"}}}


def test_a_route_without_its_first_target_says_why_in_the_receipt():
    before = (PassedOver(target="a", reason="b"),)
    route = Route(targets=(target("easel"), target("mural")), passed_over=before)
    job, shorter = without_first(new(), route, "too dear")
    passed = (*before, PassedOver(target="easel/m", reason="too dear"))
    assert (shorter.targets, shorter.passed_over) == ((target("mural"),), passed)
    assert job.job.receipt.passed_over == passed


def test_a_route_of_one_target_ends_there():
    assert without_first(new(), Route(targets=(target("easel"),)), "too dear") is None


async def said(outcomes, policy=None):
    """Walk over these targets, each with what it comes to."""
    asked = []

    async def place(one, why, _followed):
        asked.append((one.provider, why))
        outcome = outcomes[one.provider]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    order = request(policy=policy or Policy())
    return await walk([target(name) for name in outcomes], order, place), asked


async def test_a_target_without_room_in_the_budget_is_walked_past():
    got, asked = await said({"easel": OverBudget("x"), "mural": "picture"})
    assert (got, asked) == (
        "picture",
        [("easel", "first choice"), ("mural", "fallback: easel/m: over_budget")],
    )


async def test_when_no_target_fits_the_first_refusal_is_raised():
    with pytest.raises(OverBudget, match="first"):
        await said({"easel": OverBudget("first"), "mural": OverBudget("second")})


async def test_what_a_vendor_said_is_told_when_the_rest_did_not_fit():
    got, _ = await said({"easel": Rejected("no"), "mural": OverBudget("x")})
    assert got.error.code == "rejected"


async def test_without_fallback_nobody_else_is_asked():
    with pytest.raises(OverBudget):
        await said({"easel": OverBudget("x"), "mural": "picture"}, Policy(fallback=False))


async def test_at_acceptance_the_next_that_fits_is_asked_and_the_receipt_says_why(home):
    easel, mural = Desk(), Desk()
    kinds, models = (vendor(easel), vendor(mural, "mural")), [model("easel"), model("mural")]
    async with limner(home, *kinds, models=models, **BLOCKED) as app:
        job = await app.draw(request())
    assert (job.state, receipt(job)) == ("succeeded", [("mural", "settled", "direct")])
    assert [(one.target, one.reason[:14]) for one in job.receipt.passed_over] == [
        ("easel/easel-model", "budget 'easel'")
    ]
    assert (len(easel.bill), len(mural.bill)) == (0, 1)


async def test_when_nothing_fits_the_order_is_refused_and_nothing_is_kept(home):
    desk = Desk()
    async with limner(home, vendor(desk), **BLOCKED) as app:
        with pytest.raises(OverBudget, match=r"budget 'easel' .account easel: \$0\.03 a day"):
            await app.draw(request())
        assert await app.jobs() == []
    assert (desk.bill, ledger(home)) == ([], [])


async def test_a_free_target_serves_when_the_budget_is_spent(home):
    paid, free = Desk(), Desk()
    kinds = (vendor(paid), vendor(free, "mural"))
    models = [model("easel"), model("mural", "0")]
    async with limner(home, *kinds, models=models, budgets={"none": {"day_usd": 0}}) as app:
        job = await app.draw(request(policy=Policy(prefer="listed", max_cost_usd=Decimal(1))))
    assert receipt(job) == [("mural", "settled", "direct")]
    assert (paid.bill, len(free.bill)) == ([], 1)


async def test_a_later_order_that_does_not_fit_falls_to_the_next_that_does(home):
    """The second target's budget is spent, the third's is not."""
    desks = {name: Desk() for name in ("easel", "mural", "fresco")}
    desks["easel"].submits = [Rejected("no such thing")]
    kinds = [vendor(desk, name) for name, desk in desks.items()]
    models = [model(name) for name in desks]
    tables = {"budgets": {"mural": {"account": "mural", "day_usd": "0.03"}}}
    async with limner(home, *kinds, models=models, **tables) as app:
        job = await app.draw(request())
    assert receipt(job) == [("easel", "refused", "direct"), ("fresco", "settled", "direct")]
    assert job.receipt.attempts[1].why == "fallback: mural/mural-model: over_budget"
    assert desks["mural"].bill == []


async def test_a_queued_job_whose_budget_was_spent_meanwhile_ends_over_budget(home):
    """What is only queued reserves nothing: both were accepted while there was room for one."""
    go_on = asyncio.Event()

    async def wait(_call):
        await go_on.wait()
        return done()

    desk = Desk([wait])
    async with limner(home, vendor(desk), concurrency=1, budgets={"all": {"day_usd": "0.08"}}) as app:
        jobs = [await app.generate(request(seed=seed)) for seed in range(3)]
        go_on.set()
        ended = [await app.wait(job.id) for job in jobs]
    assert sorted(job.state for job in ended) == ["failed", "succeeded", "succeeded"]
    (failed,) = (job for job in ended if job.state == "failed")
    assert (failed.error.code, failed.receipt.attempts) == ("over_budget", ())
    assert r"$0.08 is spent or reserved" in failed.error.message
    assert len(desk.bill) == 2


async def test_a_job_that_failed_and_is_tried_again_is_bounded_again(home):
    desk = Desk([Unavailable("away"), done()])
    async with limner(home, vendor(desk), budgets={"all": {"day_usd": "0.04"}}) as app:
        job = await app.draw(request())
    assert receipt(job) == [("easel", "refused", "direct"), ("easel", "settled", "direct")]


async def test_identified_users_have_the_usual_bounds_and_the_local_user_has_none(home):
    desk = Desk()
    tables = {"default_day_usd": "0.05", "default_images_per_hour": 2}
    async with limner(home, vendor(desk), **tables) as app:
        await app.draw(request(), by="ann")
        with pytest.raises(OverBudget, match=r"budget 'usual' .user ann: \$0\.05 a day"):
            await app.draw(request(), by="ann")
        await app.draw(request(), by="bob")
        with pytest.raises(OverLimit, match="no room for 2 more now"):
            await app.draw(request(count=2), by="bob")
        for _ in range(3):
            await app.draw(request())


async def test_64_callers_at_once_buy_what_the_budget_allows_and_no_more(home):
    desk = Desk()
    async with limner(home, vendor(desk), concurrency=64, budgets={"all": {"day_usd": "1.00"}}) as app:
        orders = (app.draw(request(seed=n)) for n in range(64))
        ended = await asyncio.gather(*orders, return_exceptions=True)
        standings = await app.standings()
        audit = await app.audit()
    refused = [one for one in ended if isinstance(one, OverBudget)]
    drawn = [one for one in ended if not isinstance(one, Exception) and one.state == "succeeded"]
    assert (len(drawn), len(refused), len(desk.bill)) == (25, 39, 25)
    assert standings.budgets[0].spent_usd == Decimal("1.00")
    assert audit.mismatches == ()


async def test_what_is_lost_keeps_its_place_in_the_budget(home):
    desk = Desk([TimedOut("no answer")])
    policy = Policy(on_unknown="never")
    kind = vendor(desk, recovery=Recovery.BLIND)
    async with limner(home, kind, budgets={"all": {"day_usd": "0.05"}}) as app:
        lost = await app.draw(request(policy=policy))
        with pytest.raises(OverBudget):
            await app.draw(request(policy=policy))
        (standing,) = (await app.standings()).budgets
    assert (receipt(lost)[0][1], standing.reserved_usd) == ("unknown", Decimal("0.04"))


async def test_an_order_under_way_keeps_its_place_in_the_budget(home):
    desk = Desk([never])
    async with limner(home, vendor(desk), budgets={"all": {"day_usd": "0.05"}}) as app:
        await app.generate(request())
        await until(lambda: desk.bill)
        with pytest.raises(OverBudget):
            await app.generate(request())
