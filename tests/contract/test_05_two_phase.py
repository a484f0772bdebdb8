"""Contract 5, two-phase chat generation, over the catalog as it is shipped and stand-ins of the vendors.

Proven elsewhere, and not again here: the tool's arguments, results and failures in
`tests/chat/test_tool.py`; the stream event by event, refused chats and chats without a language model in
`tests/api/test_chat.py`; the press with all its fields, bearers, statuses, fallback and lost answers in
`tests/api/test_two_phase.py`; that every offer of every tier and size is charged as offered in
`tests/chat/test_prices.py`.
"""

import json
import re
from contextlib import asynccontextmanager
from datetime import datetime

import httpx
import pytest

from limner.api.app import create_app
from limner.app import Limner
from limner.chat.tool import GENERATE_IMAGE
from limner.cli.simulate import simulated
from limner.config import Settings
from limner.core.errors import Unavailable
from limner.router.policy import tier_of
from limner.simulator.app import Simulator
from tests.api.test_two_phase import door, press
from tests.chat.house import Scripted

TYPES = {
    "status",
    "delta",
    "tool_call_start",
    "tool_call_progress",
    "tool_call_result",
    "llm_request",
    "llm_response",
    "message_complete",
    "complete",
    "error",
}
GENERATION = {
    "id": str,
    "provider": str,
    "model": str,
    "modelKey": str,
    "cost": (int, float),
    "prompt": str,
    "size": str,
    "style": str,
    "qualityTier": str,
    "constraints": dict,
    "availableAlternatives": list,
    "status": str,
    "ready": bool,
    "message": str,
}
ANSWER = {
    "success": bool,
    "imageUrl": str,
    "provider": str,
    "model": str,
    "cost": (int, float),
    "fallbackUsed": bool,
    "originalProvider": str,
    "llmApiCall": dict,
    "metadata": dict,
}
CALL = {
    "id": str,
    "timestamp": str,
    "type": str,
    "provider": str,
    "model": str,
    "modelKey": str,
    "cost": (int, float),
    "duration": int,
    "durationMs": int,
    "success": bool,
    "fallbackUsed": bool,
    "originalProvider": str,
    "metadata": dict,
}


@asynccontextmanager
async def house(home):
    """Everything as it is shipped; the language model is simulated, too."""
    settings = Settings(home=home, disabled_providers=("local",))
    async with (
        Simulator(seed=7, speed=200) as sim,
        Limner(simulated(settings, sim)) as limner,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(create_app(limner)), base_url="http://limner.test"
        ) as client,
    ):
        yield client


async def talked(client, text):
    return await client.post("/chat", json={"messages": [{"role": "user", "content": text}]})


def events(answer):
    """As the clients' parser has them."""
    blocks = answer.content.decode().split("\n\n")
    assert blocks.pop() == "", "the last event ends with a blank line, too"
    found = []
    for block in blocks:
        kind, data = block.split("\n")
        assert (kind[:7], data[:6]) == ("event: ", "data: ")
        found.append((kind[7:], json.loads(data[6:])))
    return found


def check(values, wanted):
    """Every field is there with its type."""
    wrong = {
        name: values.get(name, "absent") for name, kind in wanted.items() if not _is(values.get(name), kind)
    }
    assert wrong == {}


def _is(value, kind):
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


async def test_the_bytes_of_the_stream_are_event_line_one_data_line_blank_line_without_returns(home):
    async with house(home) as client:
        answer = await talked(client, "Draw a fox \r\n with \u2028 odd \r line ends")
    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (
        200,
        "text/event-stream",
    )
    assert b"\r" not in answer.content
    found = events(answer)
    assert {kind for kind, _ in found} <= TYPES
    assert found[-1][0] == "complete"
    assert found[-1][1]["status"] == "success"
    assert isinstance(found[-1][1]["cost"], int | float)


async def test_the_first_example_of_the_prose_generate_a_photorealistic_sunset_is_offered_in_ultra(home):
    async with house(home) as client:
        found = events(await talked(client, "Generate a photorealistic sunset"))
    (complete,) = [data for kind, data in found if kind == "message_complete"]
    (offered,) = complete["imageGenerations"]
    check(offered, GENERATION)
    assert (offered["qualityTier"], offered["status"], offered["ready"]) == ("ultra", "pending", False)
    check(offered["constraints"], {"maxSize": str, "supportedSizes": list, "supportsStyle": bool})
    assert 0 < len(offered["availableAlternatives"]) <= 3
    for one in offered["availableAlternatives"]:
        check(one, {"provider": str, "model": str, "cost": (int, float), "capabilities": list})
    assert re.fullmatch(r"Generate Image for \$\d+\.\d{4}", f"Generate Image for ${offered['cost']:.4f}")


async def test_a_press_with_what_was_offered_as_the_clients_send_it_costs_what_was_offered(home):
    async with house(home) as client:
        found = events(await talked(client, "Draw a detailed fox in the snow"))
        (offered,) = next(data for kind, data in found if kind == "message_complete")["imageGenerations"]
        sent = {name: offered[name] for name in ("prompt", "provider", "model", "modelKey", "size", "style")}
        body = sent | {"quality": offered["qualityTier"], "accessToken": ""}
        answer = await client.post("/generate-image", json=body)
        picture = await client.get(answer.json()["imageUrl"])
    said = answer.json()
    assert answer.status_code == 200, said
    check(said, ANSWER)
    check(said["llmApiCall"], CALL)
    assert (said["cost"], said["provider"], said["fallbackUsed"]) == (
        offered["cost"],
        offered["provider"],
        False,
    )
    assert said["imageUrl"].startswith("http://")
    assert (picture.status_code, picture.headers["content-type"][:6]) == (200, "image/")
    call = said["llmApiCall"]
    assert (call["type"], call["id"][:4], call["duration"]) == (
        "image_generation",
        "img_",
        call["durationMs"],
    )
    assert datetime.fromisoformat(call["timestamp"]).tzinfo is not None
    assert {"size", "width", "height", "style", "quality", "prompt", "originalPrompt"} <= set(
        said["metadata"]
    )


async def test_what_the_clients_do_not_know_they_send_as_empty_strings(home):
    names = ("modelKey", "size", "quality", "style", "accessToken")
    sent = {"prompt": "a fox", "provider": "openai", "model": "gpt-image-2"} | dict.fromkeys(names, "")
    async with house(home) as client:
        answer = await client.post("/generate-image", json=sent)
    said = answer.json()
    assert (answer.status_code, said["model"], said["metadata"]["size"]) == (200, "gpt-image-2", "1024x1024")
    assert (said["metadata"]["quality"], said["metadata"]["style"]) == ("standard", "natural")


@pytest.mark.parametrize(
    ("prompt", "tier"),
    [
        ("a photorealistic sunset", "ultra"),
        ("ULTRA wide", "ultra"),
        ("in 4K", "ultra"),
        ("a professional photograph, quick", "ultra"),
        ("of the highest quality", "ultra"),
        ("high quality", "high"),
        ("a detailed, simple thing", "high"),
        ("artistic", "high"),
        ("realistic", "high"),
        ("a standard poodle, fast", "standard"),
        ("a normal day", "standard"),
        ("the regular bus", "standard"),
        ("an illustration", "standard"),
        ("a fast car", "fast"),
        ("a quick fox", "fast"),
        ("a draft", "fast"),
        ("a sketch", "fast"),
        ("a simple house", "fast"),
        ("a fox", "standard"),
    ],
)
def test_the_tier_of_a_prompt_is_the_first_whose_keyword_occurs_else_standard(prompt, tier):
    assert tier_of(prompt) == tier


def test_the_tool_is_called_generate_image():
    assert GENERATE_IMAGE.name == "generate_image"


# -- refusals: the clients show `error`, and else look at the status alone


@pytest.mark.parametrize(
    ("changes", "status", "said"),
    [
        ({"prompt": ""}, 400, "prompt is required"),
        ({"provider": None}, 400, "provider is required"),
        ({"model": " "}, 400, "model is required"),
        ({"provider": "nobody"}, 400, "Unknown provider 'nobody'"),
        ({"model": "no-such"}, 400, "unknown model 'no-such'"),
    ],
)
async def test_a_refusal_has_error_and_success_false(tmp_path, changes, status, said):
    async with door(tmp_path) as (_, client):
        answer = await press(client, **changes)
    found = answer.json()
    assert (answer.status_code, found["success"], said in found["error"]) == (status, False, True)


async def test_when_nobody_is_available_it_is_503_and_says_who_and_why_and_what_was_tried(tmp_path):
    async with door(tmp_path, keyed=("openai",)) as (_, client):
        Scripted.fails["openai"] = Unavailable("openai: 503")
        answer = await press(client)
    said = answer.json()
    assert (answer.status_code, said["success"], said["primaryProvider"]) == (503, False, "openai")
    assert (said["attemptedFallback"], type(said["primaryReason"]), type(said["fallbackResult"])) == (
        True,
        str,
        str,
    )
