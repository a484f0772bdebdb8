"""The simulator's language model: the same words get the same answer, on every server that has it."""

import json

import pytest

from limner.simulator.app import Simulator
from limner.simulator.groq import Groq
from limner.simulator.ollama import Ollama
from limner.simulator.openai import OpenAI
from limner.simulator.openai_compatible import OpenAICompatible
from limner.wire import session

LIMIT = "Rewrite the user's prompt in fewer than 200 characters; aim for 160."
SHORTEN = (
    f"You shorten prompts for image generators.\n{LIMIT}\nKeep each of these terms word for word: fox; 4k"
)
LONG = "A very really red fox. " + " ".join(f"Filler clause number {n}." for n in range(40)) + " In 4k."
TOOL = {
    "type": "function",
    "function": {
        "name": "generate_image",
        "description": "",
        "parameters": {"type": "object", "properties": {"prompt": {}, "size": {}, "quality": {}}},
    },
}
DOORS = {
    "ollama": ("ollama", "api/chat", "gpt-oss:20b"),
    "ollama's v1": ("ollama", "v1/chat/completions", "gpt-oss:20b"),
    "openai": ("openai", "chat/completions", "gpt-5-mini"),
    "openai-compatible": ("openai-compatible", "chat/completions", "any"),
    "groq": ("groq", "openai/v1/chat/completions", "openai/gpt-oss-20b"),
}


@pytest.fixture
async def sim():
    vendors = [Ollama, OpenAI, OpenAICompatible, Groq]
    async with Simulator(seed=7, vendors=vendors, speed=500) as running:
        yield running
    assert running.mistakes == []


async def asked(sim, door, *messages, tools=(), stream=False):
    """The message that comes back; in a stream its parts put together again."""
    vendor, path, model = DOORS[door]
    body = {"model": model, "messages": list(messages), "stream": stream}
    headers = {"Authorization": f"Bearer {sim.key(vendor)}"} if sim.key(vendor) else {}
    async with session() as http:
        address = sim.base(vendor) + path
        offered = {"tools": list(tools)} if tools else {}
        async with http.post(address, json=body | offered, headers=headers) as answer:
            text = await answer.text()
            assert answer.status == 200, text
    if stream:
        return _joined(text)
    whole = json.loads(text)
    return whole["message"] if "message" in whole else whole["choices"][0]["message"]


def _joined(text):
    words, calls = "", []
    for line in filter(None, text.splitlines()):
        if line == "data: [DONE]":
            break
        part = json.loads(line.removeprefix("data: "))
        message = part["message"] if "message" in part else part["choices"][0]["delta"]
        words += message.get("content") or ""
        for call in message.get("tool_calls", ()):
            if isinstance(call["function"].get("arguments"), dict):
                calls.append(call)
            elif "id" in call:
                calls.append({"id": call["id"], "function": dict(call["function"])})
            else:
                calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
    return {"content": words} | ({"tool_calls": calls} if calls else {})


def said(role, content):
    return {"role": role, "content": content}


def called(message):
    """Name and arguments of the one call."""
    (call,) = message["tool_calls"]
    arguments = call["function"]["arguments"]
    return call["function"]["name"], json.loads(arguments) if isinstance(arguments, str) else arguments


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("door", DOORS)
async def test_told_to_shorten_it_drops_filler_and_keeps_the_terms(sim, door, stream):
    found = await asked(sim, door, said("system", SHORTEN), said("user", LONG), stream=stream)
    text = found["content"]
    assert text.startswith("A red fox, ")
    assert 100 < len(text) < 200
    assert text.endswith("In 4k")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("door", DOORS)
async def test_asked_for_a_picture_it_calls_the_tool_that_is_offered(sim, door, stream):
    wish = "Please draw me a picture of a fox, 512x512, high quality"
    found = await asked(sim, door, said("user", wish), tools=[TOOL], stream=stream)
    arguments = {"prompt": "a fox, 512x512, high quality", "size": "512x512", "quality": "high"}
    assert called(found) == ("generate_image", arguments)


@pytest.mark.parametrize("door", DOORS)
async def test_it_gives_the_tool_no_argument_that_it_does_not_take(sim, door):
    narrow = {"type": "object", "properties": {"prompt": {"type": "string"}}}
    tool = {"type": "function", "function": TOOL["function"] | {"parameters": narrow}}
    found = await asked(sim, door, said("user", "paint an owl, 256x256"), tools=[tool])
    assert called(found)[1] == {"prompt": "an owl, 256x256"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("door", DOORS)
async def test_asked_for_no_picture_it_only_talks(sim, door, stream):
    found = await asked(sim, door, said("user", "how are you?"), tools=[TOOL], stream=stream)
    assert (found["content"], found.get("tool_calls")) == ("You said: how are you?", None)


@pytest.mark.parametrize("door", DOORS)
async def test_without_the_tool_it_calls_nothing(sim, door):
    other = {"type": "function", "function": {"name": "weather", "parameters": {}}}
    found = await asked(sim, door, said("user", "draw a fox"), tools=[other])
    assert (found["content"], found.get("tool_calls")) == ("You said: draw a fox", None)


async def test_the_same_words_get_the_same_answer(sim):
    twice = [await asked(sim, "ollama", said("user", "draw a fox"), tools=[TOOL]) for _ in range(2)]
    assert twice[0] == twice[1]


async def test_told_to_improve_it_adds_and_told_to_sum_up_it_joins(sim):
    improve = said("system", "You improve short prompts for image generators.")
    better = await asked(sim, "ollama", improve, said("user", "a red fox."))
    assert better["content"].startswith("a red fox, ")
    sum_up = said("system", "You turn a conversation about a picture into one whole prompt.")
    whole = await asked(sim, "ollama", sum_up, said("user", "Earlier:\n- a fox\n- ok\nNow: make it blue"))
    assert whole["content"] == "a fox, make it blue"


@pytest.mark.parametrize(
    ("fault", "check"),
    [
        ("refused", lambda text: text == "I'm sorry, but I can't help with that."),
        ("empty_success", lambda text: text == ""),
        ("huge", lambda text: len(text) > 1600),
        ("not_an_image", lambda text: "fox" not in text),
    ],
)
async def test_a_fault_spoils_what_it_says(sim, fault, check):
    sim.fault(fault, vendor="ollama")
    spoilt = await asked(sim, "ollama", said("system", SHORTEN), said("user", LONG))
    assert check(spoilt["content"])
    assert len((await asked(sim, "ollama", said("system", SHORTEN), said("user", LONG)))["content"]) < 200


async def test_it_costs_nothing_where_one_runs_it_oneself(sim):
    for door in ("ollama", "ollama's v1", "openai-compatible"):
        await asked(sim, door, said("system", SHORTEN), said("user", LONG))
    assert (sim.bill.usd(), sim.bill.images()) == (0, 0)
