"""`POST /chat` (contract 5): the stream, event by event, over a real Limner and a scripted language model."""

import json
from contextlib import asynccontextmanager

import httpx
import pytest
from pydantic import SecretStr

from limner.api.app import create_app
from limner.app import Limner
from limner.chat.talk import MOST_ROUNDS
from limner.core.errors import Unavailable
from tests.chat.house import KEY, Scripted, Speaker, calls, open_house, says


class Spoken(Limner):
    """With a language model of the test's own."""

    speaker = Speaker()

    @property
    def language(self):
        return self.speaker


@asynccontextmanager
async def door(home, *lines, **how):
    async with open_house(home, kind=Spoken, **how) as limner:
        limner.speaker = Speaker(*lines)
        transport = httpx.ASGITransport(create_app(limner, max_body_bytes=64 << 10))
        async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client:
            yield limner, client


async def chat(client, text="hello", headers=None, **body):
    said = {"messages": [{"role": "user", "content": text}]} | body
    return await client.post("/chat", json=said, headers=headers or {})


def heard(answer):
    """What the clients' own parser makes of it: no event without `event:`, one data line, split at blank
    lines."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert "\r" not in answer.text
    found = []
    for block in answer.text.split("\n\n"):
        lines = block.split("\n")
        kinds = [line[7:] for line in lines if line.startswith("event: ")]
        data = [line[6:] for line in lines if line.startswith("data: ")]
        if kinds:
            assert (len(lines), len(kinds), len(data)) == (2, 1, 1)
            found.append((kinds[0], json.loads(data[0])))
    return found


def of(found, kind):
    return [data for name, data in found if name == kind]


async def test_an_answer_in_words_is_told_event_by_event_and_complete_is_last(tmp_path):
    async with door(tmp_path, says("Hel|lo\n|you")) as (_, client):
        found = heard(await chat(client))
    response = of(found, "llm_response")[0]
    assert [name for name, _ in found] == [
        "status",
        "llm_request",
        "delta",
        "delta",
        "delta",
        "llm_response",
        "message_complete",
        "complete",
    ]
    assert found[0][1] == {
        "status": "processing",
        "model": "parrot",
        "provider": "ollama",
        "hasTools": True,
    }
    assert found[1][1] == {
        "iteration": 1,
        "model": "parrot",
        "provider": "ollama",
        "messageCount": 2,
        "tools": ["generate_image"],
    }
    assert [data["content"] for data in of(found, "delta")] == ["Hel", "lo\n", "you"]
    assert found[-2][1] == {"role": "assistant", "content": "Hello\nyou", "llmApiCalls": [response]}
    assert found[-1][1] == {
        "status": "success",
        "messages": [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": "Hello\nyou"},
        ],
        "iterations": 1,
        "cost": 0.0,
    }


async def test_a_picture_is_offered_and_not_drawn(tmp_path):
    call = calls(prompt="a detailed fox", size="1792x1024")
    async with door(tmp_path, (call,), says("Press it.")) as (limner, client):
        found = heard(await chat(client, "draw me a fox"))
        assert await limner.jobs() == []
        second = limner.speaker.heard[1][0][-2:]
    assert Scripted.orders == []
    assert [name for name, _ in found] == [
        "status",
        "llm_request",
        "llm_response",
        "tool_call_start",
        "tool_call_progress",
        "tool_call_result",
        "llm_request",
        "delta",
        "llm_response",
        "message_complete",
        "complete",
    ]
    start, progress, result = found[3][1], found[4][1], found[5][1]
    assert (start["id"], start["name"]) == ("call_1", "generate_image")
    assert json.loads(start["arguments"]) == {"prompt": "a detailed fox", "size": "1792x1024"}
    assert progress == {
        "id": "call_1",
        "name": "generate_image",
        "status": "Looking for a model and its price",
    }
    offer = json.loads(result["content"])
    assert set(result) == {"id", "name", "content"}
    assert [one.role for one in second] == ["assistant", "tool"]
    assert (second[1].content, second[1].tool_call_id) == (result["content"], "call_1")
    complete = found[-2][1]
    assert complete["toolResults"] == [result]
    assert complete["imageGenerations"] == [
        {"id": "call_1"}
        | {name: value for name, value in offer.items() if name != "capabilities"}
        | {"status": "pending"}
    ]
    assert (offer["cost"], offer["ready"]) == (0.08, False)
    assert found[-1][1]["iterations"] == 2
    assert [one["role"] for one in found[-1][1]["messages"]] == ["user", "assistant", "tool", "assistant"]


async def test_without_pictures_there_is_no_list_of_them(tmp_path):
    async with door(tmp_path, says("Hi")) as (_, client):
        assert "imageGenerations" not in of(heard(await chat(client)), "message_complete")[0]


async def test_the_words_go_on_when_the_picture_fails(tmp_path):
    call = calls(prompt="a fox", quality="ultra")
    async with door(tmp_path, (call,), says("Nobody can."), keyed=()) as (_, client):
        found = heard(await chat(client))
    result = of(found, "tool_call_result")[0]
    assert result["error"] == json.loads(result["content"])["error"]
    assert result["error"] == "No models available for quality tier: ultra"
    complete = of(found, "message_complete")[0]
    assert (complete["content"], "imageGenerations" in complete) == ("Nobody can.", False)
    assert found[-1][0] == "complete"


async def test_a_tool_that_is_not_ours_is_answered_with_an_error_and_the_talk_goes_on(tmp_path):
    async with door(tmp_path, (calls("search_web", query="x"),), says("Well.")) as (_, client):
        found = heard(await chat(client))
    result = of(found, "tool_call_result")[0]
    assert result["error"] == "there is no tool 'search_web' here; there is: generate_image"
    assert found[-1][0] == "complete"


async def test_the_rounds_are_bounded_and_the_last_has_no_tools(tmp_path):
    lines = [(calls(identity=f"c{n}", prompt="a fox"),) for n in range(MOST_ROUNDS)]
    async with door(tmp_path, *lines) as (limner, client):
        found = heard(await chat(client))
        tools = [names for _, names in limner.speaker.heard]
    assert found[-1][1]["iterations"] == MOST_ROUNDS
    assert tools == [("generate_image",)] * (MOST_ROUNDS - 1) + [()]
    assert len(of(found, "message_complete")[0]["imageGenerations"]) == MOST_ROUNDS - 1


async def test_a_call_without_an_id_gets_one_that_stays(tmp_path):
    async with door(tmp_path, (calls(identity="", prompt="a fox"),), says("ok")) as (_, client):
        found = heard(await chat(client))
    identity = of(found, "tool_call_start")[0]["id"]
    assert identity.startswith("call_")
    assert of(found, "message_complete")[0]["imageGenerations"][0]["id"] == identity


async def test_what_the_client_says_of_manner_is_passed_on(tmp_path):
    async with door(tmp_path, says("a"), says("b")) as (limner, client):
        await chat(client, temperature=0, max_tokens=7, model="gpt-4", stream=True)
        await chat(client)
        assert limner.speaker.asked == [(0, 7), (0.7, None)]


async def test_the_clients_own_system_message_stands(tmp_path):
    said = [{"role": "system", "content": "Speak like a pirate."}, {"role": "user", "content": "hello"}]
    async with door(tmp_path, says("Arr")) as (limner, client):
        await chat(client, messages=said)
        assert [one.content for one in limner.speaker.heard[0][0]] == ["Speak like a pirate.", "hello"]


async def test_earlier_calls_and_parts_of_messages_are_read_as_text(tmp_path):
    said = [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image_url", "url": "x"}]},
        {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
        {"role": "tool", "content": "{}", "tool_call_id": "1"},
        {"role": "assistant", "content": "There."},
        {"role": "user", "content": "thanks"},
    ]
    async with door(tmp_path, says("ok")) as (limner, client):
        heard(await chat(client, messages=said))
        told = [(one.role, one.content) for one in limner.speaker.heard[0][0][1:]]
    assert told == [("user", "hi"), ("assistant", "There."), ("user", "thanks")]


async def test_a_list_of_tools_without_ours_switches_pictures_off(tmp_path):
    other = [{"type": "function", "function": {"name": "search_web"}}]
    own = [{"type": "function", "function": {"name": "generate_image"}}]
    async with door(tmp_path, says("a"), says("b"), says("c")) as (_, client):
        shown = [heard(await chat(client, tools=tools))[0][1]["hasTools"] for tools in (other, own, [])]
    assert shown == [False, True, True]


# -- refused


async def test_a_chat_without_a_key_is_200_with_an_error_that_signs_out(tmp_path):
    async with door(tmp_path, api_keys=SecretStr(f"anna={KEY}")) as (limner, client):
        for headers, body in (({}, {}), ({"authorization": "Bearer x"}, {}), ({}, {"messages": 7})):
            found = heard(await chat(client, headers=headers, **body))
            assert [(name, data["code"]) for name, data in found] == [("error", "UNAUTHORIZED")]
            assert "Authentication" in found[0][1]["error"]
        assert limner.speaker.heard == []


@pytest.mark.parametrize("place", ["header", "body"])
async def test_a_chat_with_a_key_is_answered(tmp_path, place):
    headers = {"authorization": f"Bearer {KEY}"} if place == "header" else {}
    body = {"accessToken": KEY} if place == "body" else {}
    async with door(tmp_path, says("hi"), api_keys=SecretStr(f"anna={KEY}")) as (_, client):
        assert heard(await chat(client, headers=headers, **body))[-1][0] == "complete"


BAD = [
    b"",
    b"{",
    b"[]",
    b"\xff",
    b"{}",
    b'{"messages": []}',
    b'{"messages": "hello"}',
    b'{"messages": [{"role": "king", "content": "x"}]}',
    b'{"messages": [{"role": "user", "content": ""}]}',
    b'{"messages": [{"role": "user", "content": 7}]}',
    b'{"messages": [{"role": "user"}]}',
    b'{"messages": [{"role": "assistant", "content": "x"}]}',
    b'{"messages": [{"role": "user", "content": "a\\u0000b"}]}',
    b'{"messages": [{"role": "user", "content": "\\ud800 x"}]}',
    b'{"messages": [{"role": "user", "content": "x"}], "messages": []}',
    b'{"messages": [{"role": "user", "content": "x"}], "temperature": 9}',
    b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}',
    b'{"messages": [{"role": "user", "content": "x"}], "max_tokens": 0}',
    b'{"messages": [{"role": "user", "content": "x"}], "tools": 7}',
    b"[" * 50_000,
    b" " * (65 << 10),
    json.dumps({"messages": [{"role": "user", "content": "x"}] * 501}).encode(),
]


async def test_what_cannot_be_meant_is_200_with_an_error_event(tmp_path):
    async with door(tmp_path, says("hi")) as (limner, client):
        for body in BAD:
            answer = await client.post("/chat", content=body, headers={"content-type": "application/json"})
            found = heard(answer)
            assert [(name, data["code"]) for name, data in found] == [("error", "INVALID_REQUEST")], body[:99]
            assert 0 < len(found[0][1]["error"]) <= 1_000, body[:99]
        form = await client.post("/chat", data={"messages": "x"})
        assert heard(form)[0][1]["code"] == "INVALID_REQUEST"
        assert limner.speaker.heard == []
        assert heard(await chat(client))[-1][0] == "complete"


async def test_another_method_says_which_there_is(tmp_path):
    async with door(tmp_path) as (_, client):
        answer = await client.get("/chat")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# -- without a language model

DOWN = Unavailable("http://127.0.0.1:11434 refused the connection; Authentication was not asked")


async def test_a_language_model_that_is_down_is_a_configuration_error_and_nobody_is_signed_out(tmp_path):
    async with door(tmp_path, DOWN) as (_, client):
        found = heard(await chat(client, "what is the capital of France?"))
    assert [name for name, _ in found] == ["status", "llm_request", "error"]
    assert found[-1][1]["code"] == "CONFIGURATION_ERROR"
    assert "refused the connection" in found[-1][1]["error"]
    assert "uthentication" not in found[-1][1]["error"]


async def test_words_that_plainly_ask_for_a_picture_are_offered_one_all_the_same(tmp_path):
    async with door(tmp_path, DOWN) as (limner, client):
        found = heard(await chat(client, "Please draw a detailed fox in the snow"))
        assert await limner.jobs() == []
    assert [name for name, _ in found][2:] == [
        "status",
        "tool_call_start",
        "tool_call_progress",
        "tool_call_result",
        "delta",
        "message_complete",
        "complete",
    ]
    complete = found[-2][1]
    assert complete["imageGenerations"][0]["prompt"] == "a detailed fox in the snow"
    assert complete["imageGenerations"][0]["status"] == "pending"
    assert "No language model answers here" in complete["content"]


async def test_a_model_that_breaks_off_in_the_middle_is_an_error_after_what_was_said(tmp_path):
    async with door(tmp_path, (*says("Once upon"), Unavailable("gone"))) as (_, client):
        found = heard(await chat(client, "draw a fox"))
    assert [name for name, _ in found] == ["status", "llm_request", "delta", "error"]
    assert found[-1][1]["code"] == "CONFIGURATION_ERROR"


async def test_a_comment_that_keeps_the_stream_alive_is_passed_over_by_the_clients_parser(tmp_path):
    async with door(tmp_path, says("hi")) as (_, client):
        answer = await chat(client)
        told = heard(answer)
        commented = httpx.Response(200, headers=answer.headers, text=": keep-alive\n\n" + answer.text)
    assert heard(commented) == told
