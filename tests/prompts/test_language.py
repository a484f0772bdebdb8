"""The language model's client, in both shapes, against the simulator's servers and scripted ones."""

import json
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from limner.core.errors import Malformed, RateLimited, Rejected, Unauthorized, Unavailable
from limner.prompts.language import Delta, Language, Said, Tool, ToolCall, address_of
from limner.simulator.app import Simulator
from limner.simulator.groq import Groq
from limner.simulator.ollama import Ollama
from limner.wire import session

SAY = [Said(role="user", content="how are you?")]
DRAW = [Said(role="user", content="Draw a fox in snow, 512x512")]
TOOL = Tool(
    name="generate_image",
    description="Prepares a picture",
    parameters={"type": "object", "properties": {"prompt": {"type": "string"}, "size": {"type": "string"}}},
)
SHAPES = ("ollama", "ollama's v1", "groq")


@asynccontextmanager
async def models(*, vendors=(Ollama, Groq), speed=500):
    async with Simulator(seed=7, vendors=vendors, speed=speed) as sim, session() as http:
        ours = sim.base("ollama")
        yield (
            sim,
            {
                "ollama": Language(http, address=ours, model="gpt-oss:20b", api="ollama"),
                "ollama's v1": Language(http, address=f"{ours}v1", model="gpt-oss:20b", api="openai"),
                "groq": Language(
                    http,
                    address=f"{sim.base('groq')}openai/v1",
                    model="openai/gpt-oss-20b",
                    api="openai",
                    key=sim.key("groq"),
                ),
            },
        )
        assert sim.mistakes == []


@asynccontextmanager
async def saying(api, answer):
    """A model whose server gives this one answer: its status, its content type, its body."""
    status, kind, body = answer
    heard = []

    async def serve(request):
        heard.append((request.path, request.headers.get("Authorization"), await request.text()))
        return web.Response(status=status, content_type=kind, body=body)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", serve)
    async with TestServer(app) as server, session() as http:
        url = str(server.make_url("/v1" if api == "openai" else "/"))
        yield Language(http, address=url, model="m", api=api, key="secret"), heard


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_reply_is_whole(shape):
    async with models() as (_, found):
        said = await found[shape].reply(SAY, tools=[TOOL])
    assert said == Said(role="assistant", content="You said: how are you?")


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_reply_may_call_a_tool_and_go_on_with_its_answer(shape):
    async with models() as (_, found):
        said = await found[shape].reply(DRAW, tools=[TOOL])
        (call,) = said.tool_calls
        assert (call.name, call.arguments) == (
            "generate_image",
            {"prompt": "a fox in snow, 512x512", "size": "512x512"},
        )
        told = [*DRAW, said, Said(role="tool", content='{"ready": false}', tool_call_id=call.id)]
        after = await found[shape].reply(told, tools=[TOOL])
    assert after.content == "The picture is prepared; press the button to have it drawn."


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_stream_yields_text_as_it_comes_and_calls_when_they_are_whole(shape):
    async with models() as (_, found):
        said = [Said(role="user", content="one two three four five six seven")]
        async with found[shape].stream(said, tools=[TOOL]) as pieces:
            heard = [piece async for piece in pieces]
        assert all(isinstance(piece, Delta) for piece in heard)
        assert len(heard) > 1
        assert "".join(piece.text for piece in heard) == "You said: one two three four five six seven"
        async with found[shape].stream(DRAW, tools=[TOOL]) as pieces:
            (call,) = [piece async for piece in pieces]
    assert isinstance(call, ToolCall)
    assert call.arguments["size"] == "512x512"


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_model_that_is_there_is_ready(shape):
    async with models() as (_, found):
        assert await found[shape].probe() is None


async def test_a_model_that_is_not_installed_is_named_with_the_way_out():
    async with models() as (sim, _), session() as http:
        ours = Language(http, address=sim.base("ollama"), model="qwen3:8b", api="ollama")
        assert await ours.probe() == (
            f"{sim.base('ollama')} has no model qwen3:8b (`ollama pull qwen3:8b` installs it)"
        )
        with pytest.raises(Rejected, match="not found"):
            await ours.reply(SAY)
        latest = Language(http, address=sim.base("ollama"), model="llama3.2", api="ollama")
        assert await latest.probe() is None


@pytest.mark.parametrize("api", ["ollama", "openai"])
async def test_where_no_server_is_the_probe_says_so_and_a_reply_is_unavailable(api):
    async with session() as http:
        away = Language(http, address="http://127.0.0.1:9", model="m", api=api)
        assert "cannot be reached" in await away.probe()
        with pytest.raises(Unavailable, match="cannot be reached"):
            await away.reply(SAY)
        with pytest.raises(Unavailable, match="cannot be reached"):
            async with away.stream(SAY):
                pass


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("overloaded", Unavailable),
        ("error_before", Unavailable),
        ("rate_limited", RateLimited),
        ("cut_before", Unavailable),
        ("malformed", Malformed),
        ("empty", Malformed),
    ],
)
async def test_a_fault_is_the_error_that_says_what_next(shape, fault, error):
    async with models() as (sim, found):
        sim.fault(fault)
        with pytest.raises(error):
            await found[shape].reply(SAY)
        assert (await found[shape].reply(SAY, tools=[TOOL])).content == "You said: how are you?"


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("ollama", b'{"message":{"content":"a"},"done":false}\n'),
        ("ollama", b'{"message":{"content":"a"},"done":false}\n{"error":"runner crashed"}\n'),
        ("openai", b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'),
        ("openai", b'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"error":{"message":"x"}}\n\n'),
    ],
)
async def test_a_stream_that_breaks_off_is_unavailable_after_what_came(api, body):
    async with (
        saying(api, (200, "text/event-stream", body)) as (model, _),
        model.stream(SAY) as pieces,
    ):
        assert await anext(pieces) == Delta("a")
        with pytest.raises(Unavailable, match="broke off"):
            await anext(pieces)


@pytest.mark.parametrize(
    ("api", "body"),
    [
        ("ollama", b"<html>"),
        ("ollama", b'{"message":{"content":1},"done":true}'),
        ("ollama", b'{"message":{"content":"half"},"done":false}'),
        ("ollama", b'{"message":{"tool_calls":[{"function":{"name":"x","arguments":"{}"}}]},"done":true}'),
        ("openai", b"[]"),
        ("openai", b'{"choices":[]}'),
        ("openai", b'{"choices":[{"message":{"tool_calls":[{"function":{"name":"x","arguments":"["}}]}}]}'),
    ],
)
async def test_an_answer_that_cannot_be_read_is_malformed(api, body):
    async with saying(api, (200, "application/json", body)) as (model, _):
        with pytest.raises(Malformed):
            await model.reply(SAY)


@pytest.mark.parametrize("api", ["ollama", "openai"])
@pytest.mark.parametrize(
    ("status", "error"),
    [(400, Rejected), (401, Unauthorized), (404, Rejected), (429, RateLimited), (500, Unavailable)],
)
async def test_a_status_is_an_error_in_the_servers_words(api, status, error):
    told = {"error": "a reason"} if api == "ollama" else {"error": {"message": "a reason"}}
    async with saying(api, (status, "application/json", json.dumps(told).encode())) as (model, _):
        with pytest.raises(error, match="a reason"):
            await model.reply(SAY)


async def test_what_a_model_thinks_is_no_part_of_its_answer():
    body = json.dumps({"choices": [{"message": {"content": "<think>hm\nhm</think>\n\na fox"}}]}).encode()
    async with saying("openai", (200, "application/json", body)) as (model, _):
        assert (await model.reply(SAY)).content == "a fox"


async def test_ollama_is_asked_in_its_own_words():
    body = b'{"message":{"content":"a"},"done":true}'
    async with saying("ollama", (200, "application/json", body)) as (model, heard):
        call = ToolCall(id="c1", name="t", arguments={"a": 1})
        said = [
            *SAY,
            Said(role="assistant", tool_calls=(call,)),
            Said(role="tool", content="x", tool_call_id="c1"),
        ]
        await model.reply(said, tools=[TOOL], temperature=0.3, max_tokens=50)
    ((path, key, text),) = heard
    assert (path, key) == ("/api/chat", "Bearer secret")
    assert json.loads(text) == {
        "model": "m",
        "messages": [
            {"role": "user", "content": "how are you?"},
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "c1", "function": {"name": "t", "arguments": {"a": 1}}}],
            },
            {"role": "tool", "content": "x", "tool_call_id": "c1", "tool_name": "t"},
        ],
        "stream": False,
        "options": {"temperature": 0.3, "num_predict": 50},
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "generate_image",
                    "description": "Prepares a picture",
                    "parameters": TOOL.parameters,
                },
            }
        ],
    }


async def test_openai_is_asked_in_its_own_words():
    body = b'{"choices":[{"message":{"content":"a"}}]}'
    async with saying("openai", (200, "application/json", body)) as (model, heard):
        call = ToolCall(id="c1", name="t", arguments={"a": 1})
        await model.reply([Said(role="assistant", tool_calls=(call,))], max_tokens=50)
    ((path, key, text),) = heard
    assert (path, key) == ("/v1/chat/completions", "Bearer secret")
    assert json.loads(text) == {
        "model": "m",
        "messages": [
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "t", "arguments": '{"a": 1}'}}
                ],
            }
        ],
        "temperature": 0.3,
        "stream": False,
        "max_completion_tokens": 50,
    }


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("https://api.groq.com/openai/v1", "groq"),
        ("https://api.openai.com/v1", "openai"),
        ("http://127.0.0.1:8000/v1", "openai-compatible"),
    ],
)
async def test_a_model_says_whose_it_is(address, provider):
    async with session() as http:
        assert Language(http, address=address, model="m", api="openai").provider == provider


@pytest.mark.parametrize(
    ("api", "url", "ollama", "address"),
    [
        ("ollama", "", "", "http://127.0.0.1:11434"),
        ("ollama", "", "http://box:11434", "http://box:11434"),
        ("ollama", "http://a:1", "http://box:11434", "http://a:1"),
        ("openai", "", "http://box:11434", "https://api.openai.com/v1"),
        ("openai", "http://a:1", "", "http://a:1/v1"),
        ("openai", "https://api.groq.com/openai/v1", "", "https://api.groq.com/openai/v1"),
    ],
)
def test_where_the_model_is_follows_from_the_settings(api, url, ollama, address):
    assert address_of(api, url, ollama) == address
