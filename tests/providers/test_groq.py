"""Groq draws nothing, and is asked for nothing."""

import pytest

from limner.catalog.load import shipped_listings
from limner.core.errors import RateLimited, Rejected, Unauthorized, Unavailable
from limner.providers.base import Call, Health
from limner.providers.groq import Groq
from limner.simulator.app import Simulator
from limner.simulator.groq import Groq as Stand
from tests.fakes import request
from tests.providers.wiring import at


@pytest.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Stand], speed=200) as running:
        yield running
    assert running.mistakes == []


async def test_an_order_is_rejected_before_anything_is_asked(sim):
    async with at(sim, Groq) as groq:
        with pytest.raises(Rejected, match="groq cannot draw: its API has no image generation") as caught:
            await groq.submit(Call("k", "any", request()))
    assert (caught.value.billed, caught.value.trips, caught.value.fallback) == ("no", False, True)
    assert sim.requests() == []


def test_the_catalog_lists_it_with_the_reason_and_no_model():
    (listing,) = [one for one in shipped_listings() if one.provider == "groq"]
    assert listing.models == ()
    assert listing.entry.cannot_draw.startswith("Groq has no image generation")


async def test_a_probe_is_free_and_shows_a_bad_key(sim):
    async with at(sim, Groq) as groq:
        assert await groq.probe() == Health(ok=True)
    async with at(sim, Groq, key="gsk_wrong") as groq:
        with pytest.raises(Unauthorized, match="invalid_api_key: Invalid API Key"):
            await groq.probe()
    assert sim.bill.lines == []


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"error": {"message": "spend limit", "code": "blocked_api_access"}}', Unauthorized),
        (400, b'{"error": {"message": "gone", "code": "model_decommissioned"}}', Rejected),
        (498, b'{"error": {"message": "flex is full"}}', Rejected),
        (503, b"<html>busy</html>", Unavailable),
    ],
)
def test_each_answer_says_what_next(status, body, error):
    assert type(Groq.classify(status, {}, body)) is error


def test_too_many_requests_wait_as_long_as_the_header_says():
    body = b'{"error": {"message": "slow down", "type": "tokens", "code": "rate_limit_exceeded"}}'
    fault = Groq.classify(429, {"Retry-After": "4"}, body)
    assert (type(fault), fault.after_s) == (RateLimited, 4.0)
    assert Groq.classify(200, {}, b"{}") is None
