"""What the unified API says of itself, and prompts before they are ordered."""

import httpx
import pytest

from limner.api.app import create_app
from limner.providers.base import Health
from tests.api.test_unified import body
from tests.fakes import Desk, limner, model, until, vendor


@pytest.fixture
async def house(home):
    """Runware is up, Gemini is away; nobody is called Leonardo or ComfyUI here."""
    away = Desk(probe=Health(ok=False, reason="away"))
    kinds = (vendor(Desk(), "runware"), vendor(away, "gemini"), vendor(Desk(), "easel"))
    models = [model("runware", max_count=20), model("gemini", takes_seed=False, max_count=1), model("easel")]
    house = limner(home, *kinds, models=models, language_url="http://127.0.0.1:9")
    async with house:
        yield house


@pytest.fixture
async def http(house):
    transport = httpx.ASGITransport(create_app(house))
    async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client:
        yield client


async def read(http, path, status=200):
    answer = await http.get(path)
    assert answer.status_code == status
    return answer.json()


async def test_every_provider_says_what_it_can_do_and_an_unusable_one_why_not(http):
    found = await read(http, "/unified/providers")
    assert (list(found["providers"])[:4], found["total_available"]) == (
        ["leonardo", "runware", "gemini", "comfyui"],
        2,
    )
    assert found["providers"]["runware"] == {
        "name": "runware",
        "available": True,
        "description": found["providers"]["runware"]["description"],
        "max_images": 20,
        "supported_formats": ["jpg", "png", "webp"],
        "supports_negative_prompt": True,
        "supports_seed": True,
    }
    gemini = found["providers"]["gemini"]
    assert (gemini["available"], gemini["error"], gemini["supports_seed"]) == (False, "away", False)
    assert found["providers"]["leonardo"]["available"] is False


async def test_available_providers_are_names_and_their_count(http):
    assert await read(http, "/unified/providers/available") == {"providers": ["runware", "easel"], "count": 2}


async def test_models_are_listed_by_provider_under_the_providers_own_ids(http):
    assert (await read(http, "/unified/models"))["runware"] == [
        {"id": "runware/one", "name": "Runware", "description": "A model of a test."}
    ]


async def test_the_configuration_has_capabilities_and_defaults(http):
    found = await read(http, "/unified/config")
    assert found["defaults"] == {
        "width": 512,
        "height": 512,
        "num_images": 1,
        "output_format": "png",
        "guidance_scale": 7.5,
        "steps": 30,
    }
    assert found["providers"]["gemini"]["max_images"] == 1


async def test_health_of_the_unified_api_names_who_can_draw(http):
    assert await read(http, "/unified/health") == {
        "status": "healthy",
        "providers_available": 2,
        "providers": ["runware", "easel"],
        "service": "Unified Image Generation",
    }


async def test_health_is_healthy_and_503_when_nobody_can_serve(house, http):
    assert (await read(http, "/health"))["status"] == "healthy"
    for provider in ("runware", "gemini", "easel"):
        await house.switch(provider, enabled=False)
    sick = await read(http, "/health", 503)
    assert (sick["status"], sick["service"]) == ("unhealthy", "Limner")
    assert "Image generation disabled for runware" in sick["detail"]


async def test_the_validators_health_is_always_200(http):
    assert await read(http, "/unified/prompt-validator/health") == {
        "available": False,
        "service": "Ollama Prompt Validator",
        "url": "http://127.0.0.1:9/",
        "status": "unavailable",
    }


async def test_a_short_prompt_is_valid_as_it_is(http):
    answer = await http.post("/unified/validate-prompt", json={"prompt": "a red fox"})
    found = answer.json()
    analysis = found.pop("metadata")["analysis"]
    assert answer.status_code == 200
    assert found == {
        "success": True,
        "result": "valid",
        "original_prompt": "a red fox",
        "optimized_prompt": "a red fox",
        "original_length": 9,
        "optimized_length": 9,
        "size_reduction": 0,
        "reduction_percentage": 0.0,
        "optimization_time": None,
        "error_message": None,
    }
    assert (analysis["keywords"], analysis["target_length"]) == (["red", "fox"], 2800)


@pytest.mark.parametrize("sent", [{"prompt": "x" * 3001}, {"prompt": "a red fox", "force_optimize": True}])
async def test_where_the_optimiser_is_needed_and_down_the_answer_is_503(http, sent):
    answer = await http.post("/unified/validate-prompt", json=sent)
    assert (answer.status_code, list(answer.json())) == (503, ["detail"])


async def test_force_optimize_is_honoured_also_when_it_says_no(http):
    answer = await http.post("/unified/validate-prompt", json={"prompt": "x" * 3000, "force_optimize": False})
    assert (answer.status_code, answer.json()["result"]) == (200, "valid")


@pytest.mark.parametrize(
    ("length", "needs", "reduction"),
    [(9, False, 0), (3000, False, 200), (3001, True, 201), (10_000, True, 7200)],
)
async def test_prompt_stats_count_against_the_limits(http, length, needs, reduction):
    answer = await http.post("/unified/prompt-stats", json={"prompt": "x" * length})
    wanted = {
        "character_count": length,
        "word_count": 1,
        "needs_optimization": needs,
        "exceeds_maximum": False,
        "optimization_threshold": 3000,
        "maximum_length": 10000,
        "estimated_reduction_needed": reduction,
    }
    found = answer.json()
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize("sent", [{}, {"prompt": ""}, {"prompt": 7}, {"prompt": "a", "force_optimize": "no"}])
@pytest.mark.parametrize("path", ["validate-prompt", "prompt-stats"])
async def test_a_wrong_prompt_is_422(http, path, sent):
    assert (await http.post(f"/unified/{path}", json=sent)).status_code == 422


async def test_a_prompt_of_3001_to_10000_characters_is_drawn_as_it_is_when_the_optimiser_is_down(http):
    prompt = "a red fox, " * 300
    answer = (await http.post("/unified/generate", json=body(prompt=prompt, provider="easel"))).json()
    assert (answer["status"], answer["prompt"]) == ("completed", prompt)
    assert answer["metadata"]["prompt_validation"]["original_length"] == len(prompt)


# -- switches --------------------------------------------------------------------------------------------


async def test_a_provider_is_switched_off_and_on_while_limner_runs(http):
    off = await http.patch("/v1/providers/runware", json={"enabled": False})
    (account,) = off.json()["data"]
    assert (off.status_code, account["available"], account["enabled"], account["reason"]) == (
        200,
        False,
        False,
        "Image generation disabled for runware",
    )
    refused = (
        await http.post("/unified/generate?enable_fallback=false", json=body(provider="runware"))
    ).json()
    assert refused["status"] == "failed"
    assert "Image generation disabled for runware" in refused["error_message"]
    await http.patch("/v1/providers/runware_ai", json={"enabled": True})
    assert "runware" in (await read(http, "/unified/providers/available"))["providers"]


async def test_the_table_is_the_truth_whoever_writes_it(house, http):
    def flip(connection):
        connection.exec_driver_sql(
            "UPDATE provider_configs SET is_enabled = false WHERE provider = 'runware'"
        )

    await house._now.store.connections.write(flip)

    async def gone():
        return "runware" not in (await read(http, "/unified/providers/available"))["providers"]

    await until(gone)


async def test_a_provider_that_the_settings_disable_stays_off(home):
    house = limner(home, vendor(Desk(), "runware"), vendor(Desk(), "easel"), disabled_providers=("runware",))
    transport = httpx.ASGITransport(create_app(house))
    async with house, httpx.AsyncClient(transport=transport, base_url="http://limner.test") as http:
        answer = await http.patch("/v1/providers/runware", json={"enabled": True})
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
        assert (await read(http, "/unified/providers"))["providers"]["runware"]["error"] == (
            "Image generation disabled for runware"
        )


@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("nobody", {"enabled": True}, 404),
        ("runware", {}, 400),
        ("runware", {"enabled": "no"}, 400),
        ("runware", {"enabled": True, "why": "x"}, 400),
        ("..%2f..", {"enabled": True}, 404),
    ],
)
async def test_a_switch_that_is_none_is_refused(http, path, sent, status):
    answer = await http.patch(f"/v1/providers/{path}", json=sent)
    assert (answer.status_code, "error" in answer.json()) == (status, True)
