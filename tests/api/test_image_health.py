"""`GET /health-check/image-providers` (contract 7)."""

from contextlib import asynccontextmanager
from datetime import datetime

import httpx
import pytest
from pydantic import SecretStr

from limner.api.app import create_app
from limner.api.image_health import HealthLayers, ImageHealth, layers_of, reason
from limner.core.errors import Refused, Rejected, Unavailable
from limner.router.breaker import Breaker
from tests.chat.house import KEY, Scripted, open_house

CLOSED = {"hasApiKey": True, "enabled": True, "circuitState": "CLOSED", "circuitAvailable": True}


@asynccontextmanager
async def door(home, **how):
    async with open_house(home, **how) as limner:
        transport = httpx.ASGITransport(create_app(limner))
        async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client:
            yield limner, client


async def check(client):
    answer = await client.get("/health-check/image-providers")
    assert answer.status_code == 200
    return answer.json()


async def test_all_four_are_named_with_reasons_and_layers_and_nobody_is_asked(tmp_path):
    async with door(tmp_path, keyed=("openai", "gemini"), disabled_providers=("gemini",)) as (_, client):
        said = await check(client)
    assert Scripted.orders == []
    assert set(said) == {"timestamp", "providers", "summary"}
    assert said["summary"] == {"total": 4, "available": 1, "unavailable": 3}
    assert {name: (one["available"], one["reason"]) for name, one in said["providers"].items()} == {
        "openai": (True, "Available"),
        "together": (False, "No API key configured for together"),
        "gemini": (False, "Image generation disabled for gemini"),
        "replicate": (False, "No API key configured for replicate"),
    }
    assert {name: one["details"] for name, one in said["providers"].items()} == {
        "openai": CLOSED,
        "together": {"hasApiKey": False},
        "gemini": {"hasApiKey": True, "enabled": False},
        "replicate": {"hasApiKey": False},
    }
    openai = said["providers"]["openai"]
    assert openai == {
        "provider": "openai",
        "available": True,
        "reason": "Available",
        "circuitBreakerState": "CLOSED",
        "details": CLOSED,
        "circuit": {
            "state": "CLOSED",
            "failureCount": 0,
            "available": True,
            "threshold": 5,
            "timeoutMs": 600_000,
        },
        "lastCheck": openai["lastCheck"],
    }
    for at in (said["timestamp"], openai["lastCheck"]):
        assert datetime.fromisoformat(at).tzinfo is not None


async def test_it_needs_no_key_of_ours(tmp_path):
    async with door(tmp_path, api_keys=SecretStr(f"anna={KEY}")) as (_, client):
        await check(client)


async def test_it_is_200_when_nobody_is_available(tmp_path):
    async with door(tmp_path, keyed=()) as (_, client):
        assert (await check(client))["summary"] == {"total": 4, "available": 0, "unavailable": 4}


async def test_a_provider_that_is_switched_off_while_it_runs_is_seen_at_once(tmp_path):
    async with door(tmp_path) as (limner, client):
        assert (await check(client))["providers"]["openai"]["available"] is True
        await limner.switch("openai", enabled=False)
        off = (await check(client))["providers"]["openai"]
        await limner.switch("openai", enabled=True)
        on = (await check(client))["providers"]["openai"]
    assert (off["reason"], off["details"]) == (
        "Image generation disabled for openai",
        {"hasApiKey": True, "enabled": False},
    )
    assert on["reason"] == "Available"


async def press(client):
    body = {"prompt": "a fox", "provider": "openai", "model": "fine", "quality": "high"}
    return await client.post("/generate-image", json=body)


async def test_a_circuit_that_opens_is_seen_at_once(tmp_path):
    async with door(tmp_path, breaker_failures=2) as (_, client):
        before = (await check(client))["providers"]["openai"]
        Scripted.fails["openai"] = Unavailable("openai: 503")
        await press(client)
        once = (await check(client))["providers"]["openai"]
        await press(client)
        after = (await check(client))["providers"]["openai"]
    assert before["available"] is True
    assert (once["available"], once["circuit"]["failureCount"]) == (True, 1)
    assert (after["available"], after["reason"]) == (False, "Circuit breaker OPEN for openai")
    assert after["circuitBreakerState"] == after["circuit"]["state"] == "OPEN"
    assert after["details"] == CLOSED | {"circuitState": "OPEN", "circuitAvailable": False}
    circuit = after["circuit"]
    assert (circuit["failureCount"], circuit["threshold"], circuit["available"]) == (2, 2, False)
    assert 0 < circuit["recoveryIn"] <= circuit["timeoutMs"] == 600_000
    assert circuit["lastFailure"] > 1_000_000_000_000


@pytest.mark.parametrize("error", [Rejected("openai: bad size"), Refused("openai: not that")])
async def test_a_callers_mistake_is_no_failure_of_the_provider(tmp_path, error):
    async with door(tmp_path, breaker_failures=1) as (_, client):
        Scripted.fails["openai"] = error
        await press(client)
        openai = (await check(client))["providers"]["openai"]
    assert (openai["available"], openai["circuit"]["failureCount"]) == (True, 0)


async def test_an_answer_is_kept_for_five_minutes_unless_something_changes(tmp_path):
    at = [1000.0]
    kept = []
    async with open_house(tmp_path) as limner:
        health = ImageHealth(limner, lambda: at[0])
        for later in (0.0, 299.0, 2.0):
            at[0] += later
            await health.check()
            kept.append(health._checked["openai"].at)
        await limner.switch("openai", enabled=False)
        at[0] += 1.0
        await health.check()
        kept.append(health._checked["openai"].at)
    assert kept == [1000.0, 1000.0, 1301.0, 1302.0]


def test_the_layers_stop_at_the_first_that_failed():
    open_ = Breaker(threshold=1).failed(0.0).record(1.0, 1.0)
    half = Breaker(threshold=1).failed(0.0).record(601.0, 1.0)
    assert layers_of(has_key=False, enabled=False, circuit=open_) == HealthLayers(has_api_key=False)
    assert layers_of(has_key=True, enabled=False, circuit=open_) == HealthLayers(
        has_api_key=True, enabled=False
    )
    last = layers_of(has_key=True, enabled=True, circuit=open_)
    assert (last.circuit_state, last.circuit_available) == ("OPEN", False)
    assert reason("x", layers_of(has_key=True, enabled=True, circuit=half)) is None
    assert half.state == "HALF_OPEN"
