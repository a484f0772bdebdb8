"""What our provider never asks for; `sdk/huggingface_sdk.py` drives the vendor's own client."""

import aiohttp
import pytest
import pytest_asyncio

from limner.simulator.app import Simulator
from limner.simulator.huggingface import HuggingFace

SCHNELL = "black-forest-labs/FLUX.1-schnell"
DEV = "black-forest-labs/FLUX.1-dev"
QWEN = "/router/replicate/v1/models/qwen/qwen-image-2512/predictions"


@pytest_asyncio.fixture
async def sim():
    async with Simulator(seed=7, vendors=[HuggingFace], speed=200) as running:
        yield running
    assert running.mistakes == []


async def ask(sim, method, path, key="hf_emu", json=None, **headers):
    carried = {"Authorization": f"Bearer {key}"} if key else {}
    async with (
        aiohttp.ClientSession(headers=carried | headers) as http,
        http.request(method, f"{sim.url}/huggingface{path}", json=json) as answer,
    ):
        return answer.status, await answer.json(content_type=None)


def live(partner, name):
    return {"provider": partner, "providerId": name, "status": "live", "task": "text-to-image"}


async def test_the_hub_tells_who_serves_a_model_as_a_list(sim):
    status, said = await ask(sim, "GET", f"/hub/api/models/{SCHNELL}?expand=inferenceProviderMapping")
    assert (status, said["id"]) == (200, SCHNELL)
    assert said["inferenceProviderMapping"] == [
        live("fal-ai", "fal-ai/flux/schnell"),
        live("together", SCHNELL),
        live("nscale", SCHNELL),
    ]


async def test_the_hub_still_tells_it_as_an_object_for_some(sim):
    _, said = await ask(sim, "GET", f"/hub/api/models/{DEV}")
    assert said["inferenceProviderMapping"] == {
        "fal-ai": {"providerId": "fal-ai/flux/dev", "status": "live", "task": "text-to-image"},
        "wavespeed": {"providerId": "wavespeed-ai/flux-dev", "status": "live", "task": "text-to-image"},
    }


async def test_what_the_hub_does_not_know_is_not_found(sim):
    assert await ask(sim, "GET", "/hub/api/models/x/y") == (404, {"error": "Repository not found"})


async def test_the_host_there_was_before_the_router_points_to_it(sim):
    status, said = await ask(sim, "POST", f"/models/{SCHNELL}", json={"inputs": "a red fox"})
    assert status == 410
    assert said["error"].startswith("https://api-inference.huggingface.co is no longer supported.")


async def test_no_token_and_a_wrong_one_are_told_apart(sim):
    assert await ask(sim, "GET", "/hub/api/whoami-v2", key=None) == (
        401,
        {"error": "Invalid credentials in Authorization header"},
    )
    assert await ask(sim, "GET", "/hub/api/whoami-v2", key="hf_wrong") == (
        401,
        {"error": "Invalid username or password."},
    )


@pytest.mark.parametrize("prefer", ["", "wait=0", "wait=100", "later"])
async def test_replicate_ignores_a_wait_it_does_not_understand(sim, prefer):
    sim.vendors["huggingface"].queues.desk.world.seconds = lambda typical: 60.0
    status, said = await ask(sim, "POST", QWEN, json={"input": {"prompt": "a red fox"}}, Prefer=prefer)
    assert (status, said["status"], said["output"]) == (201, "processing", None)


async def test_what_a_partner_does_not_know_is_refused_and_not_charged(sim):
    for path, body, status in (
        (f"/router/hf-inference/models/{SCHNELL}", {"inputs": "x"}, 400),
        ("/router/hf-inference/models/x/y", {"inputs": "x"}, 404),
        ("/router/fal-ai/fal-ai/flux/schnell", {"prompt": "x", "width": 512}, 422),
        ("/router/fal-ai/fal-ai/none", {"prompt": "x"}, 404),
        ("/router/together/v1/images/generations", {"model": SCHNELL, "prompt": "x", "size": "1x1"}, 400),
        ("/router/together/v1/images/generations", {"model": "x", "prompt": "x"}, 404),
        ("/router/nscale/v1/images/generations", {"model": SCHNELL, "prompt": "x", "steps": 4}, 422),
        ("/router/nscale/v1/images/generations", {"model": "x", "prompt": "x"}, 404),
        (QWEN, {"input": {"width": 512}}, 422),
        (QWEN.replace("qwen-image", "none"), {"input": {"prompt": "x"}}, 404),
        ("/router/wavespeed/api/v3/wavespeed-ai/flux-dev", {"prompt": "x", "size": "1x1"}, 400),
        ("/router/wavespeed/api/v3/none", {"prompt": "x"}, 404),
        ("/router/zai-org/api/paas/v4/async/images/generations", {"model": "glm-image"}, 400),
        ("/router/zai-org/api/paas/v4/async/images/generations", {"model": "none", "prompt": "x"}, 400),
    ):
        assert (path, (await ask(sim, "POST", path, json=body))[0]) == (path, status)
    assert sim.bill.orders() == 0


async def test_a_body_that_is_no_object_is_refused(sim):
    for path in ("/router/fal-ai/fal-ai/flux/schnell", QWEN, "/router/together/v1/images/generations"):
        assert (await ask(sim, "POST", path, json=["a red fox"]))[0] == 400


async def test_together_gives_addresses_unless_base64_is_asked_for(sim):
    body = {"model": SCHNELL, "prompt": "a red fox", "width": 256, "height": 256}
    _, said = await ask(sim, "POST", "/router/together/v1/images/generations", json=body)
    (item,) = said["data"]
    assert item["url"].startswith(f"{sim.url}/huggingface/files/")


@pytest.mark.parametrize("fault", ["foreign_url", "wrong_size", "not_an_image", "expired_url"])
async def test_a_picture_can_be_spoilt_and_is_charged_all_the_same(sim, fault):
    sim.fault(fault)
    _, said = await ask(sim, "POST", "/router/fal-ai/fal-ai/flux/schnell", json={"prompt": "a red fox"})
    (item,) = said["images"]
    assert sim.bill.orders() == 1
    assert item["url"].startswith(sim.url) == (fault != "foreign_url")
    async with aiohttp.ClientSession() as http, http.get(item["url"]) as answer:
        assert answer.status == (404 if fault == "expired_url" else 200)
