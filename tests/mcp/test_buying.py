"""The money of one session, where a client leaves or the server that holds the home is gone."""

from decimal import Decimal

import anyio
import pytest

from limner.core.errors import OverBudget, Unavailable
from limner.core.request import GenerateRequest
from limner.mcp.buying import Wanted, buy, refresh
from limner.mcp.purse import Purse
from tests.mcp.house import Easel

MARBLE = GenerateRequest(prompt="a bust", model="marble")


async def agreed(limner, request=MARBLE, key=None):
    return Wanted(request, "local", key, (await limner.estimate(request)).token)


async def test_an_order_whose_caller_leaves_while_it_is_placed_is_counted(limner):
    purse, wanted = Purse(Decimal(1)), await agreed(limner)

    class Slow:
        def __getattr__(self, name):
            return getattr(limner, name)

        async def generate(self, request, *, key, by):
            job = await limner.generate(request, key=key, by=by)
            leaving.cancel()
            await anyio.lowlevel.checkpoint()
            return job

    with anyio.CancelScope() as leaving:
        await buy(Slow(), wanted, purse)
    (job,) = await limner.jobs()
    assert purse.unsettled in ((job.id,), ())
    assert purse.spent == Decimal("0.60")


async def test_an_order_that_may_have_been_placed_is_counted(limner):
    class Gone:
        def __getattr__(self, name):
            return getattr(limner, name)

        async def generate(self, request, *, key, by):
            raise Unavailable("the Limner at http://127.0.0.1:1 does not answer")

    purse, wanted = Purse(Decimal(1)), await agreed(limner)
    with pytest.raises(Unavailable):
        await buy(Gone(), wanted, purse)
    with pytest.raises(OverBudget):
        await buy(limner, wanted, purse)
    assert Easel.orders == []


async def test_an_order_that_was_certainly_refused_is_not_counted(limner):
    purse, wanted = Purse(Decimal(1)), await agreed(limner)
    another = Wanted(wanted.request.model_copy(update={"prompt": "a tomb"}), "local", None, wanted.quote)
    with pytest.raises(Exception, match="another request"):
        await buy(limner, another, purse)
    assert purse.spent == 0


async def test_what_a_refused_order_did_not_cost_may_be_spent_again(limner):
    purse = Purse(Decimal(1))
    job = await buy(limner, await agreed(limner, MARBLE.model_copy(update={"prompt": "refused"})), purse)
    await limner.wait(job.id)
    await refresh(limner, purse)
    assert (purse.spent, purse.unsettled) == (0, ())


async def test_a_repeat_under_its_key_is_the_first_job_though_the_ceiling_is_used_up(limner):
    purse, wanted = Purse(Decimal("0.60")), await agreed(limner, key="k")
    first = await buy(limner, wanted, purse)
    assert (await buy(limner, wanted, purse)).id == first.id
    assert purse.spent == Decimal("0.60")


async def test_what_is_free_stays_free(limner):
    job = await buy(limner, Wanted(GenerateRequest(prompt="a fox"), "local", None, None), Purse(Decimal(1)))
    assert job.request.policy.max_cost_usd == 0
