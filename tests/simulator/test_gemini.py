"""Gemini's stand-in is as strict as Google: what it lets pass is what Google lets pass."""

import base64
import io
import json
import re

import pytest

from limner.simulator.app import Simulator
from limner.simulator.gemini import Gemini
from limner.wire import session

NANO, LITE = "gemini-nano-banana-2.1", "gemini-3.1-flash-lite-image"
FOX = {"contents": [{"parts": [{"text": "a fox"}]}]}
HIDDEN = {"inlineData": {"mimeType": "text/plain", "data": "eA=="}}
NOTHING = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"nothing").decode()}}


@pytest.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Gemini], speed=200) as running:
        yield running
    assert running.mistakes == []


async def asked(
    sim, body=b"", *, method="POST", path=f"v1beta/models/{NANO}:generateContent", key="AIza-emu"
):
    """Status and answer."""
    data = body if isinstance(body, (str, bytes)) else json.dumps(body)
    async with session() as http:
        headers = {"x-goog-api-key": key} if key else {}
        sent = io.BytesIO(data.encode() if isinstance(data, str) else data)
        async with http.request(method, f"{sim.base('gemini')}{path}", data=sent, headers=headers) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else text


def drawing(model, version="v1beta"):
    return f"{version}/models/{model}:generateContent"


def with_config(**fields):
    return FOX | {"generationConfig": fields}


@pytest.mark.parametrize("version", ["v1", "v1beta"])
async def test_both_versions_and_both_spellings_are_served(sim, version):
    config = {"response_modalities": ["IMAGE"], "image_config": {"aspect_ratio": "9:16", "image_size": "1K"}}
    status, told = await asked(sim, FOX | {"generation_config": config}, path=drawing(NANO, version))
    (candidate,) = told["candidates"]
    (part,) = candidate["content"]["parts"]
    assert (status, candidate["finishReason"], part["inlineData"]["mimeType"]) == (200, "STOP", "image/png")
    assert told["usageMetadata"] == {
        "promptTokenCount": 2,
        "candidatesTokenCount": 1120,
        "thoughtsTokenCount": 600,
        "totalTokenCount": 1722,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
    }


async def test_who_does_not_ask_for_pictures_only_gets_words_too(sim):
    _, told = await asked(sim, FOX)
    assert [list(part) for part in told["candidates"][0]["content"]["parts"]] == [
        ["text"],
        ["inlineData", "thoughtSignature"],
    ]


@pytest.mark.parametrize(
    ("body", "model", "said"),
    [
        ("", NANO, "Invalid JSON payload received. Expected an object."),
        ("[]", NANO, "Invalid JSON payload received. Invalid value at ''"),
        ({}, NANO, "Invalid value at 'contents': Field required"),
        ({"contents": []}, NANO, "contents is not specified"),
        ({"contents": [{"parts": [{"text": " "}]}]}, NANO, "contents is not specified"),
        (FOX | {"foo": 1}, NANO, 'Unknown name "foo": Cannot find field.'),
        (with_config(foo=1), NANO, "Unknown name \"foo\" at 'generation_config': Cannot find field."),
        (with_config(imageConfig={"width": 8}), NANO, "\"width\" at 'generation_config.image_config'"),
        (with_config(seed=2**31), NANO, "Invalid value at 'generation_config.seed'"),
        (with_config(candidateCount=2), NANO, "Multiple candidates is not enabled"),
        (with_config(responseModalities=["AUDIO"]), NANO, "response modalities"),
        (with_config(responseMimeType="application/json"), NANO, "JSON mode is not enabled"),
        (with_config(imageConfig={"aspectRatio": "7:5"}), NANO, "aspect_ratio must be one of"),
        (with_config(imageConfig={"aspectRatio": "8:1"}), LITE, "aspect_ratio must be one of"),
        (with_config(imageConfig={"imageSize": "512"}), NANO, "image_size must be 1K, 2K, 4K, not 512"),
        (with_config(imageConfig={"imageSize": "1k"}), NANO, "image_size must be 1K, 2K, 4K, not 1k"),
        (with_config(imageConfig={"imageSize": "1K"}), LITE, "image_size must be left out, not 1K"),
        (with_config(thinkingConfig={"thinkingLevel": "deep"}), NANO, "thinking_level"),
        (with_config(thinkingConfig={"thinkingLevel": "high"}), LITE, "Thinking level is not supported"),
        (FOX | {"tools": [{"googleSearch": {}}]}, NANO, "Tool use is not supported"),
        (FOX | {"safetySettings": [{"category": "RUDE", "threshold": "OFF"}]}, NANO, "safety_settings"),
        ({"contents": [{"parts": [HIDDEN]}]}, NANO, "Unsupported MIME type: text/plain"),
        ({"contents": [{"parts": [NOTHING]}]}, NANO, "Unable to process input image."),
        ({"contents": [{"parts": [NOTHING] * 4}]}, LITE, "Number of images in the request exceeds 3"),
        ({"contents": [{"parts": [{"text": "x" * 21_000_000}]}]}, NANO, "payload size exceeds the limit"),
    ],
)  # fmt: skip
async def test_what_google_refuses_is_refused_in_its_words_and_costs_nothing(sim, body, model, said):
    status, told = await asked(sim, body, path=drawing(model))
    error = told["error"]
    assert (status, error["code"], error["status"]) == (400, 400, "INVALID_ARGUMENT")
    assert re.search(re.escape(said), error["message"])
    assert sim.bill.lines == []


@pytest.mark.parametrize(
    "model", ["gemini-2.5-flash-image", "imagen-4.0-generate-001", "gemini-3-pro-image-preview"]
)
async def test_models_that_are_gone_are_not_found(sim, model):
    status, told = await asked(sim, FOX, path=drawing(model))
    assert (status, told["error"]["status"]) == (404, "NOT_FOUND")
    assert f"models/{model} is not found for API version v1beta" in told["error"]["message"]


async def test_models_are_listed_by_the_page(sim):
    _, first = await asked(sim, method="GET", path="v1beta/models?pageSize=2")
    _, second = await asked(sim, method="GET", path=f"v1beta/models?pageToken={first['nextPageToken']}")
    names = [model["name"] for page in (first, second) for model in page["models"]]
    assert names == [f"models/{name}" for name in (NANO, "gemini-3-pro-image", LITE)]
    assert "nextPageToken" not in second
    status, _ = await asked(sim, method="GET", path="v1beta/models?pageSize=many")
    assert status == 400


async def test_a_key_may_come_as_a_parameter_and_stays_out_of_the_journal(sim):
    status, told = await asked(sim, method="GET", path=f"v1/models/{NANO}?key=AIza-emu", key=None)
    assert (status, told["name"]) == (200, f"models/{NANO}")
    assert sim.requests()[0].query == {"key": "***"}
    assert (await asked(sim, FOX, key=None))[0] == 403


async def test_what_is_no_path_gets_googles_page(sim):
    status, page = await asked(sim, method="GET", path="v3/models")
    assert (status, page) == (404, "<title>Error 404 (Not Found)!!1</title>")
