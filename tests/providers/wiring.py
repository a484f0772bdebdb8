"""A provider at the simulator, and calls fitted to its catalog as Limner would send them."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from limner.catalog.fit import Fitted, fit
from limner.catalog.load import parse, shipped_tables
from limner.core.request import GenerateRequest
from limner.providers.base import Call, Done, Pending, Provider, unheard
from limner.wire import Wire, session

DIGEST = "0" * 64


@asynccontextmanager
async def at(
    sim, kind: type[Provider], key: str | None = None, timeout_s: float = 10.0
) -> AsyncIterator[Provider]:
    """The provider, talking to its stand-in with the good key or another."""
    async with session() as http:
        headers = kind.auth(sim.key(kind.name) if key is None else key)
        yield kind(
            Wire(
                http,
                sim.base(kind.name),
                headers,
                classify=kind.classify,
                timeout_s=timeout_s,
                hosts=kind.hosts,
            )
        )


def call(
    provider: str, prompt="a red fox", *, key="job-1", inputs=(), mask=None, report=unheard, **fields
) -> Call:
    """An order as it would be sent to the first current model of the provider that does the operation, or
    to `model`."""
    if inputs:
        fields["inputs"] = (DIGEST,) * len(inputs)
    if mask is not None:
        fields["mask"] = DIGEST
    wanted = GenerateRequest(prompt=prompt, **fields)
    for model in parse(shipped_tables()[provider]).models:
        if wanted.model and not model.known_as(wanted.model):
            continue
        if wanted.model is None and model.retired:
            continue
        fitted = fit(wanted, model)
        if isinstance(fitted, Fitted):
            return Call(
                key=key,
                model=model.ref,
                request=fitted.request,
                dialect=model.dialect,
                inputs=tuple(inputs),
                mask=mask,
                at=time.time(),
                report=report,
            )
    raise AssertionError(f"no model of {provider} takes {wanted}")


async def finish(provider: Provider, outcome: Pending | Done, polls: int = 200) -> Done:
    """Poll without waiting long until the order is finished."""
    import asyncio

    for _ in range(polls):
        if isinstance(outcome, Done):
            return outcome
        await asyncio.sleep(min(outcome.after_s, 0.05))
        outcome = await provider.poll(outcome.ticket)
    raise AssertionError(f"never finished: {outcome}")
