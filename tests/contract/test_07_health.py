"""Contract 7, health and circuit: layers, numbers and times.

The endpoint over a real Limner, its cache and what counts as a failure are proven in
`tests/api/test_image_health.py`; the breaker alone in `tests/router/test_breaker.py`.
"""

import json

import pytest

from limner.api.image_health import HealthLayers, ImageHealth, layers_of, reason
from limner.config import Settings
from limner.core.errors import Unavailable
from limner.router.breaker import Breaker
from tests.api.test_image_health import check, door, press
from tests.chat.house import NAMES, Scripted, open_house

WINDOW_S = 600.0
LAYERS = ("hasApiKey", "enabled", "circuitState", "circuitAvailable")


def failed(*times, breaker=None):
    breaker = breaker or Breaker()
    for now in times:
        breaker = breaker.failed(now)
    return breaker


def test_it_opens_at_5_failures_within_600000_ms():
    settings = Settings()
    assert (settings.breaker_failures, settings.breaker_window_s) == (5, WINDOW_S)
    assert failed(0, 1, 2, 3).state(3) == "CLOSED"
    assert failed(0, 1, 2, 3, 599.999).state(599.999) == "OPEN"
    assert failed(0, 1, 2, 3, 600.0).state(600.0) == "CLOSED", "the first no longer counts"


def test_it_stays_open_600000_ms_and_then_admits_one_test_request():
    breaker = failed(0, 0, 0, 0, 0)
    assert [breaker.state(at) for at in (0, 599.999, 600.0)] == ["OPEN", "OPEN", "HALF_OPEN"]
    assert [breaker.admits(at) for at in (0, 599.999, 600.0)] == [False, False, True]
    assert breaker.probe(600.0).admits(600.1) is False


def test_a_success_closes_it_and_a_failure_opens_it_again_for_the_whole_time():
    half = failed(0, 0, 0, 0, 0).probe(600.0)
    assert half.succeeded().state(600.0) == "CLOSED"
    again = half.failed(601.0)
    assert [again.state(at) for at in (601.0, 1200.999, 1201.0)] == ["OPEN", "OPEN", "HALF_OPEN"]


def test_a_success_while_closed_clears_the_failures():
    breaker = failed(0, 1, 2, 3).succeeded()
    assert (breaker.record(4.0, 4.0).failure_count, breaker.failed(5.0).state(5.0)) == (0, "CLOSED")


def test_the_record_tells_recovery_only_while_it_is_open():
    breaker = failed(10, 10, 10, 10, 10)
    record = breaker.record(110.0, 1_000_110.0)
    assert (record.state, record.failure_count, record.threshold) == ("OPEN", 5, 5)
    assert (record.timeout_ms, record.recovery_in_ms) == (600_000, 500_000)
    assert (record.last_failure, record.available) == (1_000_010.0, False)
    assert breaker.record(610.0, 0.0).recovery_in_ms is None


async def test_names_and_fields_are_the_contracts(tmp_path):
    async with door(tmp_path) as (_, client):
        said = await check(client)
    assert list(said) == ["timestamp", "providers", "summary"]
    assert set(said["providers"]) == set(NAMES) == {"openai", "together", "gemini", "replicate"}
    for name, one in said["providers"].items():
        assert {"provider", "available", "reason", "details", "lastCheck", "circuitBreakerState"} <= set(one)
        assert (one["provider"], tuple(one["details"])) == (name, LAYERS)


@pytest.mark.parametrize(
    ("has_key", "enabled", "depth", "said"),
    [
        (False, False, 1, "No API key configured for openai"),
        (False, True, 1, "No API key configured for openai"),
        (True, False, 2, "Image generation disabled for openai"),
        (True, True, 4, "Circuit breaker OPEN for openai"),
    ],
)
def test_layers_are_asked_in_order_and_details_stop_at_the_first_that_failed(has_key, enabled, depth, said):
    circuit = failed(0, 0, 0, 0, 0).record(1.0, 1.0)
    found = layers_of(has_key=has_key, enabled=enabled, circuit=circuit)
    assert tuple(found.model_dump(by_alias=True, exclude_none=True)) == LAYERS[:depth]
    assert reason("openai", found) == said


def test_nothing_failed_is_no_reason():
    closed = HealthLayers(has_api_key=True, enabled=True, circuit_state="CLOSED", circuit_available=True)
    assert reason("openai", closed) is None


async def test_an_answer_is_300_seconds_old_at_most_by_the_clock_that_is_given(tmp_path):
    now = [0.0]
    async with open_house(tmp_path) as limner:
        health = ImageHealth(limner, lambda: now[0])

        async def checked_at():
            said = json.loads((await health.check()).body)
            return health._checked["openai"].at, said["providers"]["openai"]["lastCheck"]

        first = await checked_at()
        now[0] = 300.0
        assert await checked_at() == first
        now[0] = 300.1
        assert (await checked_at())[0] == 300.1


async def test_differs_an_opened_circuit_is_seen_at_once_and_a_kept_answer_is_dropped(tmp_path):
    async with door(tmp_path, keyed=("openai",)) as (_, client):
        before = (await check(client))["providers"]["openai"]
        Scripted.fails["openai"] = Unavailable("openai: 503")
        for _ in range(5):
            await press(client)
        after = (await check(client))["providers"]["openai"]
    assert (before["available"], after["available"]) == (True, False)
    assert after["reason"] == "Circuit breaker OPEN for openai"
    assert after["circuit"]["failureCount"] == 5
