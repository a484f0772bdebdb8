"""Ollama's stand-in: what its client proves is not repeated here, but OpenAI's shapes and odd requests."""

import base64
import io
import json

import aiohttp
import pytest
from PIL import Image

from limner.simulator.app import Simulator
from limner.simulator.ollama import Ollama


@pytest.fixture
async def sim():
    async with Simulator(vendors=[Ollama]) as running:
        yield running
    assert running.mistakes == []


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


async def post(sim, http, path, **body):
    async with http.post(f"{sim.url}/ollama{path}", json=body) as answer:
        return answer.status, await answer.text()


def asked(text, **more):
    return {"model": "llama3.2", "messages": [{"role": "user", "content": text}], "stream": False} | more


def content(said):
    return json.loads(said[1])["message"]["content"]


async def test_it_is_there_for_eyes_too(sim, http):
    async with http.get(f"{sim.url}/ollama/") as answer:
        assert await answer.text() == "Ollama is running"
    async with http.head(f"{sim.url}/ollama/") as answer:
        assert answer.status == 200
    async with http.get(f"{sim.url}/ollama/api/nothing") as answer:
        assert (answer.status, await answer.text()) == (404, "404 page not found")


async def test_a_picture_in_openais_shape_has_the_size_asked_for_or_the_default(sim, http):
    for size, found in (("512x256", (512, 256)), ("large", (1024, 1024))):
        body = {"model": "x/z-image-turbo", "prompt": "a red fox", "size": size, "n": 3, "quality": "hd"}
        status, said = await post(sim, http, "/v1/images/generations", **body)
        (one,) = json.loads(said)["data"]
        image = Image.open(io.BytesIO(base64.b64decode(one["b64_json"])))
        assert (status, image.format, image.size) == (200, "PNG", found)


async def test_what_fails_while_drawing_is_an_empty_answer_in_openais_shape(sim, http):
    sim.fault("job_fails")
    assert await post(sim, http, "/v1/images/generations", model="x/z-image-turbo", prompt="a") == (200, "")


async def test_errors_in_openais_shape(sim, http):
    status, said = await post(sim, http, "/v1/images/generations", model="x/z-image-turbo")
    error = {"message": "prompt is required", "type": "invalid_request_error", "param": None, "code": None}
    assert (status, json.loads(said)) == (400, {"error": error})
    status, said = await post(sim, http, "/v1/chat/completions", model="none", messages=[])
    assert (status, json.loads(said)["error"]["type"]) == (404, "not_found_error")


async def test_a_later_server_has_no_pictures_in_openais_shape_at_all(sim, http):
    assert await post(sim, http, "/__emu/version", version="0.32.6") == (200, '{"version": "0.32.6"}')
    said = await post(sim, http, "/v1/images/generations", model="x/z-image-turbo", prompt="a")
    assert said == (404, "404 page not found")
    sim.reset()
    async with http.get(f"{sim.url}/ollama/api/version") as answer:
        assert await answer.json() == {"version": "0.32.5"}


async def test_words_in_openais_shape_whole_and_as_events(sim, http):
    body = asked("a cat")
    whole = json.loads((await post(sim, http, "/v1/chat/completions", **body))[1])
    (choice,) = whole["choices"]
    assert choice["message"]["content"].startswith("a cat, ")
    _, stream = await post(sim, http, "/v1/chat/completions", **body | {"stream": True})
    *events, last, _ = stream.split("\n\n")
    pieces = [json.loads(event.removeprefix("data: "))["choices"][0] for event in events]
    assert last == "data: [DONE]"
    assert "".join(one["delta"]["content"] for one in pieces) == choice["message"]["content"]
    assert [one["finish_reason"] for one in pieces][-2:] == [None, "stop"]


async def test_the_same_words_get_the_same_answer(sim, http):
    first, again = [await post(sim, http, "/api/chat", **asked("a cat")) for _ in range(2)]
    assert content(first) == content(again)


async def test_a_long_prompt_comes_back_shorter_and_begins_as_it_did(sim, http):
    said = content(await post(sim, http, "/api/chat", **asked("Prompt: " + "a very long tale " * 500)))
    assert said.startswith("a very long tale a very long tale")
    assert 2_000 < len(said) <= 2_800


async def test_an_answer_has_the_shape_that_was_asked_for(sim, http):
    schema = {
        "type": "object",
        "properties": {
            "prompt": {"type": "string", "maxLength": 12},
            "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}, "minItems": 2},
            "score": {"type": "integer", "minimum": 1},
            "unsafe": {"type": "boolean"},
            "style": {"anyOf": [{"type": "null"}, {"enum": ["photo", "drawing"]}]},
        },
        "$defs": {"Tag": {"type": "object", "properties": {"name": {"const": "x"}}}},
    }
    said = json.loads(content(await post(sim, http, "/api/chat", **asked("a cat", format=schema))))
    assert said == {
        "prompt": "a cat, soft ",
        "tags": [{"name": "x"}, {"name": "x"}],
        "score": 1,
        "unsafe": False,
        "style": "photo",
    }
    wrapped = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    _, whole = await post(sim, http, "/v1/chat/completions", **asked("a cat", response_format=wrapped))
    assert json.loads(json.loads(whole)["choices"][0]["message"]["content"]) == said


async def test_no_words_load_the_model(sim, http):
    _, said = await post(sim, http, "/api/chat", model="llama3.2", messages=[], stream=False)
    assert (json.loads(said)["done_reason"], json.loads(said)["message"]["content"]) == ("load", "")


async def test_a_refusal_is_words_too(sim, http):
    assert content(await post(sim, http, "/api/chat", **asked("x [[decline]]"))).startswith("I'm sorry")


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/api/chat", {}, "model is required"),
        ("/api/chat", {"model": "llama3.2", "messages": "hello"}, "messages"),
        ("/api/chat", {"model": "llama3.2", "messages": [1]}, "messages"),
        ("/api/generate", {"model": "x/z-image-turbo", "prompt": 1}, "prompt"),
        ("/api/generate", {"model": "x/z-image-turbo", "prompt": "a", "width": "wide"}, "width"),
        ("/api/generate", {"model": "x/flux2-klein", "prompt": "a", "images": ["?"]}, "illegal base64 data"),
        ("/api/generate", {"model": "x/flux2-klein", "prompt": "a", "options": 1}, "options"),
        ("/v1/chat/completions", {"model": "llama3.2", "response_format": 1}, "response_format"),
    ],
)
async def test_odd_requests_are_refused(sim, http, path, body, words):
    status, said = await post(sim, http, path, **body)
    assert (status, words in said) == (400, True)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
async def test_a_body_that_is_no_object_is_refused(sim, http, body):
    async with http.post(f"{sim.url}/ollama/api/generate", data=body) as answer:
        said = await answer.json()
    assert (answer.status, said["error"] == "missing request body") == (400, body == b"")
