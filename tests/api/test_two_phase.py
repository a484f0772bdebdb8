"""`POST /generate-image` and the catalogue (contracts 5 and 6), over a real Limner and scripted vendors."""

import json
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from pydantic import SecretStr

from limner.api.app import create_app
from limner.chat.tool import generate_image, told
from limner.core.errors import (
    Malformed,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from tests.chat.house import KEY, MODELS, Scripted, model, open_house

PRESS = {"prompt": "a fox", "provider": "openai", "model": "maker/fine", "quality": "high"}


@asynccontextmanager
async def door(home, **how):
    async with open_house(home, **how) as limner:
        app = create_app(limner, max_body_bytes=64 << 10)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client:
            yield limner, client


async def press(client, headers=None, **body):
    return await client.post("/generate-image", json=PRESS | body, headers=headers or {})


async def test_a_press_answers_with_all_the_fields_of_the_contract(tmp_path):
    async with door(tmp_path) as (limner, client):
        answer = await press(client, modelKey="fine", size="1792x1024", style="natural", prompt="f" * 120)
        picture = await client.get(answer.json()["imageUrl"])
        job = (await limner.jobs())[0]
    said = answer.json()
    assert (answer.status_code, picture.content[:4]) == (200, b"\x89PNG")
    image = job.images[0]
    metadata = said.pop("metadata")
    call = said.pop("llmApiCall")
    assert said == {
        "success": True,
        "imageUrl": f"http://limner.test{image.path}",
        "provider": "openai",
        "model": "maker/fine",
        "modelKey": "fine",
        "cost": 0.08,
        "fallbackUsed": False,
        "originalProvider": "openai",
    }
    duration = call["duration"]
    assert metadata == {
        "size": "1792x1024",
        "width": 1792,
        "height": 1024,
        "style": "natural",
        "quality": "high",
        "prompt": "f" * 120,
        "originalPrompt": "f" * 120,
        "duration": duration,
        "timestamp": call["timestamp"],
        "seed": image.seed,
        "jobId": job.id,
        "charged": 0.08,
        "notes": [],
    }
    assert call == {
        "id": f"img_{image.id}",
        "timestamp": metadata["timestamp"],
        "type": "image_generation",
        "provider": "openai",
        "model": "maker/fine",
        "modelKey": "fine",
        "cost": 0.08,
        "duration": duration,
        "durationMs": duration,
        "success": True,
        "fallbackUsed": False,
        "originalProvider": "openai",
        "metadata": metadata | {"prompt": "f" * 100 + "...", "steps": None, "revisedPrompt": None},
    }
    assert isinstance(duration, int)


@pytest.mark.parametrize(
    ("prompt", "size", "quality"),
    [
        ("a detailed fox", "1024x1024", None),
        ("a detailed fox", "1792x1024", None),
        ("a detailed fox", "1024x1792", None),
        ("a photorealistic fox", "1024x1024", None),
        ("a fox", "256x256", "standard"),
        ("a fox", "512x512", "fast"),
    ],
)
async def test_the_price_offered_is_the_price_charged_for_the_offer_and_each_alternative(
    tmp_path, prompt, size, quality
):
    async with door(tmp_path) as (limner, client):
        arguments = {"prompt": prompt, "size": size} | ({"quality": quality} if quality else {})
        offer = json.loads(told(await generate_image(limner, arguments)))
        for one in (offer, *offer["availableAlternatives"]):
            body = {
                "provider": one["provider"],
                "model": one["model"],
                "modelKey": one["modelKey"],
                "size": offer["size"],
                "quality": offer["qualityTier"],
                "style": "",
            }
            said = (await press(client, prompt=prompt, **body)).json()
            assert (said["cost"], said["metadata"]["charged"]) == (one["cost"], one["cost"])
            assert (said["provider"], said["model"], said["fallbackUsed"]) == (
                one["provider"],
                one["model"],
                False,
            )
            assert said["metadata"]["size"] == offer["size"]


async def test_a_vendor_that_charges_more_than_was_offered_is_not_paid_for_by_the_caller(tmp_path):
    async with door(tmp_path) as (_, client):
        Scripted.costs["openai"] = "0.5"
        said = (await press(client)).json()
    assert (said["cost"], said["metadata"]["charged"]) == (0.04, 0.04)
    assert "the operator bears the rest" in said["metadata"]["notes"][0]


async def test_a_vendor_that_charges_less_is_told_beside_the_price_offered(tmp_path):
    async with door(tmp_path) as (_, client):
        Scripted.costs["openai"] = "0.01"
        said = (await press(client)).json()
    assert (said["cost"], said["metadata"]["charged"]) == (0.04, 0.01)
    assert said["metadata"]["notes"] == ["$0.04 was offered; the vendor's own count came to $0.01"]


# -- what the client sends


@pytest.mark.parametrize("name", ["prompt", "provider", "model"])
@pytest.mark.parametrize("value", [None, "", "  "])
async def test_what_is_missing_is_said_in_the_contracts_words(tmp_path, name, value):
    async with door(tmp_path) as (limner, client):
        body = {key: one for key, one in PRESS.items() if key != name} | (
            {} if value is None else {name: value}
        )
        answer = await client.post("/generate-image", json=body)
        assert await limner.jobs() == []
    assert answer.status_code == 400
    assert answer.json()["error"] == f"{name} is required"
    assert answer.json()["success"] is False


async def test_an_empty_string_is_the_same_as_none(tmp_path):
    async with door(tmp_path) as (limner, client):
        answer = await press(client, modelKey="", size="", quality="", style="", accessToken="")
        request = (await limner.jobs())[0].request
    assert (answer.status_code, request.size, request.style) == (200, (1024, 1024), None)
    assert answer.json()["metadata"]["quality"] == "standard"
    assert answer.json()["metadata"]["notes"] == []


async def test_the_key_in_the_catalogue_counts_where_the_provider_knows_it(tmp_path):
    async with door(tmp_path) as (_, client):
        assert (await press(client, modelKey="grand", model="maker/fine")).json()["model"] == "maker/grand"
        assert (await press(client, modelKey="nonsense")).json()["model"] == "maker/fine"


async def test_a_quality_that_the_model_has_not_is_told(tmp_path):
    async with door(tmp_path) as (_, client):
        fast = (await press(client, quality="fast")).json()
        odd = (await press(client, quality="superb")).json()
    assert fast["cost"] == odd["cost"] == 0.04
    assert fast["metadata"]["notes"] == [
        "quality: fast is not what fine is: it draws as a model of the tier high"
    ]
    assert odd["metadata"]["notes"] == ["quality: the word is not known and changes nothing"]


@pytest.mark.parametrize("quality", ["hd", "ultra"])
async def test_dall_e_3_at_hd_is_the_ultra_entry_and_its_successor_draws(tmp_path, quality):
    async with door(tmp_path) as (_, client):
        said = (await press(client, model="dall-e-3", quality=quality)).json()
        plain = (await press(client, model="dall-e-3", quality="high")).json()
    assert (said["model"], said["cost"]) == ("maker/grand", 0.12)
    assert said["metadata"]["notes"][0].startswith("model: dall-e-3-hd was retired by openai on 2026-05-12")
    assert (plain["model"], plain["cost"]) == ("maker/fine", 0.04)


async def test_a_retired_name_is_drawn_by_its_successor_and_told(tmp_path):
    async with door(tmp_path) as (_, client):
        said = (await press(client, model="dall-e-3", style="vivid")).json()
    assert said["metadata"]["notes"] == [
        "style: ignored: the model has no styles",
        "model: dall-e-3 was retired by openai on 2026-05-12; fine draws instead",
    ]


async def test_names_that_are_not_known_here_are_ignored_and_told_in_a_header(tmp_path):
    async with door(tmp_path) as (_, client):
        answer = await press(client, modelKey="fine", accessToken="t", temperature=1)
    assert answer.headers["x-limner-ignored"] == "temperature"


async def test_what_may_be_paid_at_most_is_held_to(tmp_path):
    async with door(tmp_path) as (limner, client):
        answer = await press(client, maxCost=0.039)
        assert await limner.jobs() == []
    assert (answer.status_code, answer.json()["code"]) == (402, "OVER_BUDGET")
    assert (answer.json()["provider"], answer.json()["model"]) == ("openai", "maker/fine")


# -- whose it is

CALLERS = {"api_keys": SecretStr(f"anna={KEY}")}


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({}, KEY),
        ({"authorization": f"Bearer {KEY}"}, None),
        ({"authorization": f"Bearer {KEY}"}, ""),
        ({"authorization": f"Bearer {KEY}"}, KEY),
    ],
)
async def test_the_bearer_comes_in_the_body_in_the_header_or_in_both(tmp_path, headers, token):
    async with door(tmp_path, **CALLERS) as (_, client):
        answer = await press(client, headers, **({} if token is None else {"accessToken": token}))
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("headers", "token"), [({}, None), ({}, ""), ({}, "wrong"), ({"authorization": "Bearer wrong"}, None)]
)
async def test_a_missing_or_bad_token_is_401_unauthorized_when_keys_are_configured(tmp_path, headers, token):
    async with door(tmp_path, **CALLERS) as (limner, client):
        answer = await press(client, headers, **({} if token is None else {"accessToken": token}))
        assert await limner.jobs() == []
    assert (answer.status_code, answer.json()["code"], answer.json()["success"]) == (
        401,
        "UNAUTHORIZED",
        False,
    )


async def test_without_configured_keys_any_token_will_do(tmp_path):
    async with door(tmp_path) as (_, client):
        assert (await press(client, accessToken="ya29.something")).status_code == 200


# -- falling back


async def fallen(client, **body):
    answer = await press(client, **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(
    "error",
    [
        Unauthorized("openai: bad key"),
        Rejected("openai: no such parameter"),
        Unavailable("openai: 503"),
        RateLimited("openai: slow down", 60.0),
    ],
)
async def test_a_failure_that_bought_nothing_is_fallen_back_from_within_the_tier(tmp_path, error):
    async with door(tmp_path) as (_, client):
        Scripted.fails["openai"] = error
        with anyio.fail_after(20):
            said = await fallen(client)
    # together/dear comes first by its priority, but costs more than was offered
    assert (said["provider"], said["model"], said["cost"]) == ("gemini", "maker/clear", 0.04)
    assert (said["fallbackUsed"], said["originalProvider"]) == (True, "openai")
    assert said["fallbackReason"] == str(error)
    assert (said["llmApiCall"]["fallbackUsed"], said["llmApiCall"]["originalProvider"]) == (True, "openai")


async def test_where_nobody_else_can_draw_who_was_asked_is_asked_again(tmp_path):
    async with door(tmp_path, keyed=("openai",)) as (_, client):
        Scripted.first["openai"] = [Unavailable("openai: 503"), Unavailable("openai: 503")]
        said = await fallen(client)
        assert len(Scripted.orders) == 3
    assert (said["provider"], said["fallbackUsed"]) == ("openai", False)


async def test_nobody_waits_for_ever_for_a_provider_that_stays_away(tmp_path):
    async with door(tmp_path, keyed=("openai",)) as (limner, client):
        Scripted.fails["openai"] = Unavailable("openai: 503")
        answer = await press(client)
        assert [job.state for job in await limner.jobs()] == ["canceled"]
    assert (answer.status_code, answer.json()["primaryReason"]) == (503, "openai: 503")


async def test_the_lowest_priority_comes_first_whatever_else_is_cheaper(tmp_path):
    async with door(tmp_path) as (_, client):
        Scripted.fails["openai"] = Unauthorized("openai: bad key")
        assert (await fallen(client, size="1792x1024"))["model"] == "maker/clear"
        assert (await fallen(client, maxCost=0.1))["model"] == "maker/dear"


async def test_only_other_providers_are_fallen_back_to_and_once(tmp_path):
    async with door(tmp_path) as (_, client):
        for name in ("openai", "gemini"):
            Scripted.fails[name] = Rejected(f"{name}: no")
        answer = await press(client)
        assert [name for name, _ in Scripted.orders] == ["openai", "gemini"]
    assert answer.status_code == 503
    assert {key: one for key, one in answer.json().items() if key != "jobId"} == {
        "success": False,
        "error": "No image provider is available. openai: openai: no. gemini: gemini: no",
        "code": "NO_ROUTE",
        "provider": "openai",
        "model": "maker/fine",
        "primaryProvider": "openai",
        "primaryReason": "openai: no",
        "attemptedFallback": True,
        "fallbackResult": "gemini: gemini: no",
    }


async def test_quality_is_the_tier_that_is_fallen_back_within(tmp_path):
    async with door(tmp_path) as (_, client):
        Scripted.fails["openai"] = Rejected("openai: no")
        assert (await fallen(client, quality="fast"))["model"] == "maker/swift"


@pytest.mark.parametrize("quality", ["", "hd", "superb"])
async def test_for_hd_and_other_words_it_is_the_models_own_tier(tmp_path, quality):
    async with door(tmp_path) as (_, client):
        Scripted.fails["openai"] = Rejected("openai: no")
        assert (await fallen(client, quality=quality))["model"] == "maker/clear"


async def test_an_unknown_provider_is_400(tmp_path):
    async with door(tmp_path) as (limner, client):
        answer = await press(client, provider="acme" * 100)
        assert await limner.jobs() == []
    assert answer.status_code == 400
    assert "known: gemini, openai, replicate, together" in answer.json()["error"]
    assert len(answer.json()["error"]) < 300


async def test_an_unknown_model_is_400(tmp_path):
    async with door(tmp_path) as (_, client):
        answer = await press(client, model="nonsense")
    assert (answer.status_code, answer.json()["model"]) == (400, "nonsense")


async def test_a_known_provider_without_a_key_falls_back(tmp_path):
    async with door(tmp_path, keyed=("together", "replicate")) as (_, client):
        said = await fallen(client)
    assert (said["model"], said["cost"], said["fallbackUsed"]) == ("maker/bright", 0.03, True)
    assert "No API key configured for openai" in said["fallbackReason"]


async def test_a_known_provider_without_a_key_and_nobody_else_is_503(tmp_path):
    async with door(tmp_path, keyed=()) as (limner, client):
        answer = await press(client)
        assert await limner.jobs() == []
    said = answer.json()
    assert (answer.status_code, said["primaryProvider"], said["attemptedFallback"]) == (503, "openai", True)
    assert "No API key configured for openai" in said["primaryReason"]
    assert said["fallbackResult"] == "no other provider draws at the quality high for the price"


async def test_a_provider_that_is_switched_off_falls_back(tmp_path):
    async with door(tmp_path, disabled_providers=("openai",)) as (_, client):
        said = (await press(client)).json()
    # its prices are not known here, so only what is free might stand in: nobody
    assert (said["primaryReason"], said["success"]) == ("Image generation disabled for openai", False)


async def test_an_open_circuit_falls_back(tmp_path):
    async with door(tmp_path, breaker_failures=1) as (_, client):
        Scripted.fails["openai"] = Unavailable("openai: 503")
        await fallen(client)
        Scripted.orders.clear()
        said = await fallen(client)
        assert [name for name, _ in Scripted.orders] == ["gemini"]
    assert "Circuit breaker OPEN for openai" in said["fallbackReason"]


async def test_a_refused_picture_is_not_taken_to_a_laxer_judge(tmp_path):
    async with door(tmp_path) as (_, client):
        Scripted.fails["openai"] = Refused("openai: not that")
        answer = await press(client)
        assert [name for name, _ in Scripted.orders] == ["openai"]
    assert (answer.status_code, answer.json()["code"], answer.json()["provider"]) == (
        400,
        "REFUSED",
        "openai",
    )


@pytest.mark.parametrize("error", [TimedOut("openai: no answer"), Malformed("openai: half a sentence")])
async def test_a_lost_answer_buys_nothing_else_and_says_how_to_find_the_picture(tmp_path, error):
    async with door(tmp_path) as (limner, client):
        Scripted.fails["openai"] = error
        answer = await press(client)
        job = (await limner.jobs())[0]
        found = await client.get(answer.json()["jobUrl"])
        assert [name for name, _ in Scripted.orders] == ["openai"]
    said = answer.json()
    assert (answer.status_code, said["provider"], said["model"]) == (500, "openai", "maker/fine")
    assert said["jobUrl"] == f"/v1/jobs/{job.id}"
    assert said["error"].startswith("The order was sent and its answer was lost")
    assert (found.status_code, found.json()["state"]) == (200, "needs_confirmation")


# -- sent twice


async def test_the_same_key_draws_once(tmp_path):
    async with door(tmp_path) as (_, client):
        first, again = [await press(client, {"idempotency-key": "k"}) for _ in range(2)]
        other = await press(client, {"idempotency-key": "k"}, prompt="an owl")
        assert len(Scripted.orders) == 1
    assert first.json()["imageUrl"] == again.json()["imageUrl"]
    assert (other.status_code, other.json()["success"]) == (409, False)


@pytest.mark.parametrize("error", [Rejected("openai: no"), Unavailable("openai: 503")])
async def test_the_same_key_finds_the_picture_that_somebody_else_drew(tmp_path, error):
    async with door(tmp_path) as (_, client):
        Scripted.fails["openai"] = error
        first = await press(client, {"idempotency-key": "k"})
        Scripted.fails.clear()
        orders = len(Scripted.orders)
        again = await press(client, {"idempotency-key": "k"})
        assert len(Scripted.orders) == orders
    assert (first.json()["provider"], first.json()["imageUrl"]) == ("gemini", again.json()["imageUrl"])
    assert again.json()["fallbackUsed"] is True


async def test_the_same_key_finds_it_when_who_was_asked_is_back(tmp_path):
    async with open_house(tmp_path / "a", keyed=("gemini",)) as limner:
        pass
    async with door(tmp_path, keyed=("gemini",)) as (limner, client):
        first = await press(client, {"idempotency-key": "k"})
        assert (first.json()["provider"], len(await limner.jobs())) == ("gemini", 1)
    async with door(tmp_path) as (limner, client):
        again = await press(client, {"idempotency-key": "k"})
        assert len(await limner.jobs()) == 1
    assert again.json()["imageUrl"] == first.json()["imageUrl"]


# -- hostile bodies


HOSTILE = [
    (b"", 400),
    (b"[]", 400),
    (b"{", 400),
    (b"\xff\xfe", 400),
    (b'{"prompt": "a", "prompt": "b"}', 400),
    (b"[" * 50_000, 400),
    (json.dumps(PRESS | {"prompt": 7}).encode(), 400),
    (json.dumps(PRESS | {"prompt": "a\x00fox"}).encode(), 400),
    (json.dumps(PRESS | {"prompt": "a \ud800"}).encode(), 400),
    (json.dumps(PRESS | {"prompt": "x" * 10_001}).encode(), 400),
    (json.dumps(PRESS | {"size": "big"}).encode(), 400),
    (json.dumps(PRESS | {"size": "0x0"}).encode(), 400),
    (json.dumps(PRESS | {"size": "99999x99999"}).encode(), 400),
    (json.dumps(PRESS | {"size": "\uff11\uff10\uff12\uff14x\uff11"}).encode(), 400),
    (json.dumps(PRESS | {"maxCost": -1}).encode(), 400),
    (json.dumps(PRESS | {"maxCost": "1"}).encode(), 400),
    (json.dumps(PRESS | {"model": "../../etc/passwd"}).encode(), 400),
    (json.dumps(PRESS | {"model": "m\r\nx-evil: 1"}).encode(), 400),
    (json.dumps(PRESS | {"model": "m" * 5_000}).encode(), 400),
    (json.dumps(PRESS | {"accessToken": {"a": 1}}).encode(), 400),
    (b" " * (65 << 10), 413),
]


async def test_a_body_that_cannot_be_meant_is_refused_in_this_doors_shape(tmp_path):
    headers = {"content-type": "application/json"}
    async with door(tmp_path) as (limner, client):
        for body, status in HOSTILE:
            answer = await client.post("/generate-image", content=body, headers=headers)
            said = answer.json()
            assert (answer.status_code, said["success"]) == (status, False), body[:200]
            assert 0 < len(said["error"]) <= 1_000, body[:200]
            assert len(answer.content) < 3_000, body[:200]
            assert await limner.jobs() == [], body[:200]
        assert (await press(client)).status_code == 200


async def test_another_content_type_and_another_method_are_refused(tmp_path):
    async with door(tmp_path) as (_, client):
        form = await client.post("/generate-image", data=PRESS)
        got = await client.get("/generate-image")
    assert (form.status_code, form.json()["success"]) == (415, False)
    assert (got.status_code, got.headers["allow"], got.json()["success"]) == (405, "POST", False)


# -- the catalogue


async def test_the_catalogue_has_the_contracts_shape(tmp_path):
    async with door(tmp_path, keyed=("openai",)) as (_, client):
        image = (await client.get("/chat/models")).json()["image"]
    assert set(image) == {"description", "providers", "qualityTiers"}
    openai = image["providers"]["openai"]
    assert {"name", "type", "apiBase", "supportsStyles", "models"} == set(openai)
    assert openai["models"]["fine"] == {
        "id": "maker/fine",
        "type": "image",
        "qualityTier": "high",
        "contextWindow": 10_000,
        "supportedSizes": ["1024x1024", "1792x1024"],
        "pricing": {"unit": "per_image", "default": 0.04, "free": False, "1024": 0.04, "1792": 0.08},
        "capabilities": ["text-to-image"],
        "fallbackPriority": 1,
        "available": True,
        "deprecated": False,
    }
    assert openai["models"]["dall-e-3"]["note"] == "Retired on 2026-05-12; maker/fine draws in its place."
    assert (openai["models"]["dall-e-3"]["available"], openai["models"]["dall-e-3"]["deprecated"]) == (
        False,
        True,
    )
    assert image["providers"]["gemini"]["models"]["clear"]["available"] is False


async def test_the_tiers_have_their_keywords_costs_and_recommended_models(tmp_path):
    async with door(tmp_path) as (_, client):
        tiers = (await client.get("/chat/models")).json()["image"]["qualityTiers"]
    assert {name: (one["keywords"], one["typicalCost"]) for name, one in tiers.items()} == {
        "ultra": (["photorealistic", "ultra", "4k", "professional", "highest quality"], 0.12),
        "high": (["high quality", "detailed", "artistic", "realistic"], 0.04),
        "standard": (["standard", "normal", "regular", "illustration"], 0.002),
        "fast": (["fast", "quick", "draft", "sketch", "simple"], 0.001),
    }
    assert tiers["high"]["recommendedModels"] == ["openai:fine", "together:dear", "gemini:clear"]


async def test_a_model_of_any_name_is_asked_for_by_it(tmp_path):
    anything = model("replicate", "any", "standard", "0.001", 99, ref="", open=True)
    async with door(tmp_path, models=(*MODELS, anything)) as (_, client):
        said = (await press(client, provider="replicate", model="maker/odd", quality="")).json()
    assert (said["success"], said["model"]) == (True, "maker/odd")
