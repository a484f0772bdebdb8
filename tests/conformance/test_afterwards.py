"""What a fault means for the orders that come after it, at the same vendor and at others."""

from decimal import Decimal

import pytest

from limner.catalog.model import Model
from limner.core.errors import NoRoute
from limner.core.request import Policy
from limner.providers.base import Recovery
from limner.simulator.faults import Kind
from tests.conformance.scene import PATIENT, Scene, drawing, end, known_name, models, scene, steps, wanted

TWO = ("first", "second")
"""Two accounts at one vendor: the second is a fallback that costs as much and draws the same."""

HASTY = PATIENT.model_copy(update={"deadline_s": 0.2})
EITHER = Policy(on_unknown="never", deadline_s=20)


def shared_models() -> list[str]:
    """Ids of models that at least two vendors draw at known prices."""
    return sorted({model.id for name in drawing() for model in models(name) if len(servers(model.id)) > 1})


def servers(model: str) -> list[str]:
    """The vendors that draw a model at a known price."""
    return [name for name in drawing() if any(one.id == model and draws(one) for one in models(name))]


def draws(model: Model) -> bool:
    return bool("generate" in model.operations and model.price and not model.retired and not model.open)


async def obstacle(now: Scene, vendor: str) -> str:
    """What keeps the vendor from being asked; asks nobody."""
    try:
        await now.limner.estimate(wanted(vendor))
    except NoRoute as error:
        return str(error)
    return "none"


@pytest.mark.parametrize("word", ["bad_key", "no_money"])
async def test_an_account_without_a_key_or_credit_rests_and_is_asked_no_more(vendor, word: Kind, home):
    async with scene(home, vendor) as now:
        now.sim.fault(word, vendor, times=0)
        job = await now.draw(vendor)
        sent = len(now.sim.requests(vendor))
        assert "rests for" in await obstacle(now, vendor)
        with pytest.raises(NoRoute, match="rests for"):
            await now.draw(vendor)
        assert len(now.sim.requests(vendor)) == sent
        assert (end(job), steps(job), now.sim.bill.orders(vendor)) == ("unauthorized", ["refused"], 0)
        now.check_money(vendor)


async def test_an_account_that_is_too_fast_rests_and_buys_nothing(vendor, home):
    async with scene(home, vendor) as now:
        now.sim.fault("rate_limited", vendor, times=0, after_s=3000.0)
        job = await now.draw(vendor, policy=HASTY)
        assert (job.state, set(steps(job)), now.sim.bill.orders(vendor)) == ("failed", {"refused"}, 0)
        # Where the vendor does not say for how long, the rest may be over by now.
        assert vendor in now.limner._now.accounts._pulse._rests
        now.check_money(vendor)


async def test_a_vendor_that_is_down_trips_the_breaker(vendor, home):
    async with scene(home, vendor, breaker_failures=1) as now:
        now.sim.fault("html_502", vendor, times=0)
        await now.draw(vendor, policy=HASTY)
        assert "Circuit breaker OPEN" in await obstacle(now, vendor)
        now.check_money(vendor)


async def test_another_account_is_asked_where_the_first_is_out_of_credit(vendor, home):
    async with scene(home, vendor, accounts=TWO) as now:
        now.sim.fault("no_money", vendor)
        job = await now.draw(vendor, model=some_model(vendor), policy=EITHER)
        first, second = job.receipt.attempts
        assert (end(job), first.state, second.state) == ("succeeded", "refused", "settled")
        assert {first.account, second.account} == set(TWO)
        assert (second.why, first.error.code) == (
            f"fallback: {vendor}/{first.model}: unauthorized",
            "unauthorized",
        )
        now.check_money(vendor)


async def test_what_one_declines_is_taken_to_nobody_else(vendor, home, seen):
    async with scene(home, vendor, accounts=TWO) as now:
        now.sim.fault("refused", vendor)
        job = await now.draw(vendor, model=some_model(vendor), policy=EITHER)
        assert end(job) == ("refused" if "refused" in seen else "succeeded")
        assert len(job.receipt.attempts) == 1
        assert await obstacle(now, vendor) == "none"
        now.check_money(vendor)


async def test_nothing_is_bought_elsewhere_in_place_of_what_may_have_been_bought(vendor, home):
    async with scene(home, vendor, accounts=TWO) as now:
        request = wanted(vendor, model=some_model(vendor), policy=EITHER)
        free = (await now.limner.estimate(request)).price_usd == 0
        now.sim.fault("cut_after", vendor)
        job = await now.limner.draw(request)
        if free or drawing()[vendor].recovery is not Recovery.BLIND:
            assert end(job) in ("succeeded", "unknown")
        else:
            assert (end(job), steps(job)) == ("timed_out", ["unknown"])
        assert free or now.sim.bill.orders(vendor) == 1
        now.check_money(vendor)


def some_model(vendor: str) -> str:
    """A model with a price, by a name that two accounts can be asked for."""
    priced = [one for one in models(vendor) if one.price and "generate" in one.operations and not one.retired]
    return next(name for one in priced if (name := known_name(one)))


@pytest.mark.parametrize("model", shared_models())
async def test_a_model_that_two_vendors_serve_is_drawn_by_the_other_when_one_is_too_busy(model, home):
    request = wanted(None, model=model, policy=EITHER.model_copy(update={"max_cost_usd": Decimal(2)}))
    async with scene(home, *servers(model)) as now:
        first = (await now.limner.estimate(request)).provider
        marked = request.model_copy(update={"prompt": f"a red fox [[emu:{first}:rate_limited]]"})
        job = await now.limner.draw(marked)
        (one, other) = job.receipt.attempts
        assert (one.provider, one.model, one.state) == (first, model, "refused")
        assert (other.provider != first, other.model, other.state) == (True, model, "settled")
        for vendor in servers(model):
            now.check_money(vendor)
