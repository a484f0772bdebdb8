"""Orders within a session's ceiling: the price is agreed first, then held, then ordered."""

from dataclasses import dataclass
from decimal import Decimal

import anyio

from limner.core.errors import InvalidRequest, ProviderError
from limner.core.job import Job
from limner.core.request import GenerateRequest
from limner.mcp.answers import Quoted, quoted
from limner.mcp.purse import Purse
from limner.mcp.verbs import Verbs
from limner.quoting import agreed


@dataclass(frozen=True, slots=True)
class Wanted:
    """An order as the model gave it."""

    request: GenerateRequest
    by: str
    key: str | None
    quote: str | None
    """The token that was agreed to, None when nothing was."""


async def buy(limner: Verbs, wanted: Wanted, purse: Purse) -> Job | Quoted:
    """The job, or the price that has to be agreed to first. What is free needs no agreement.

    Raises `OverBudget` for what the session's ceiling does not allow, and as `generate` does.
    """
    if wanted.quote is not None:
        return await _at_the_price(limner, wanted, purse, wanted.quote)
    offer = await limner.estimate(wanted.request)
    if offer.price_usd != 0:
        purse.check(offer.price_usd)
        return quoted(offer, purse)
    # Not by the quote: a repeat under the same key must be the same request, and each quote is another.
    policy = wanted.request.policy.model_copy(update={"max_cost_usd": Decimal(0)})
    free = wanted.request.model_copy(update={"policy": policy})
    return await limner.generate(free, key=wanted.key, by=wanted.by)


async def _at_the_price(limner: Verbs, wanted: Wanted, purse: Purse, token: str) -> Job:
    request = wanted.request.model_copy(update={"quote": token})
    try:
        # Read before it is proven: the desk refuses a quote that was tampered with.
        promised = agreed(request)
        price = None if promised is None else promised.price_usd
        async with purse.lock:
            await refresh(limner, purse)
            if not purse.knows(wanted.key):
                purse.check(price)
            return await _order(limner, request, wanted, purse, price)
    except InvalidRequest as error:
        if error.field != "quote":
            raise
        said = str(error).partition(";")[0]
        raise InvalidRequest(
            f"{said}; call once more without quote and confirm for a new one", "quote"
        ) from None


async def _order(
    limner: Verbs, request: GenerateRequest, wanted: Wanted, purse: Purse, price: Decimal | None
) -> Job:
    with anyio.CancelScope(shield=True):  # who leaves now must not leave an order that is not counted
        try:
            job = await limner.generate(request, key=wanted.key, by=wanted.by)
        except ProviderError:  # the server that holds the home did not answer: it may have ordered
            purse.hold_for_good(price)
            raise
        purse.hold(job.id, price, wanted.key)
        purse.settle(job)
    return job


async def refresh(limner: Verbs, purse: Purse) -> None:
    """Count what earlier orders really cost."""
    for job_id in purse.unsettled:
        purse.settle(await limner.read(job_id))
