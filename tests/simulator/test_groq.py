"""Groq's stand-in: chat for work on prompts, and nothing that draws."""

import json

import pytest

from limner.simulator.app import Simulator
from limner.simulator.groq import Groq
from limner.wire import session

FOX = 'a "red" fox\nin snow \U0001f98a'


@pytest.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Groq], speed=200) as running:
        yield running
    assert running.mistakes == []


async def asked(sim, path, body):
    async with session() as http:
        headers = {"Authorization": "Bearer gsk_emu"}
        async with http.post(f"{sim.base('groq')}openai/v1/{path}", json=body, headers=headers) as answer:
            return answer.status, await answer.json()


def rewrite(words, **fields):
    """An order for a better prompt, as JSON."""
    message = {"role": "user", "content": words}
    form = {"type": "json_object"}
    return {"model": "openai/gpt-oss-20b", "messages": [message], "response_format": form} | fields


async def test_a_prompt_is_rewritten_and_no_picture_is_billed(sim):
    status, told = await asked(sim, "chat/completions", rewrite(FOX))
    (choice,) = told["choices"]
    assert (status, choice["finish_reason"]) == (200, "stop")
    assert json.loads(choice["message"]["content"])["prompt"].startswith(f"{FOX}, ")
    assert (sim.bill.orders(), sim.bill.images()) == (1, 0)
    assert sim.bill.usd() > 0


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "llama-3.3-70b-versatile"}, 400, "model_decommissioned"),
        ({"model": "x"}, 404, "model_not_found"),
        ({"n": 2}, 400, None),
        ({"invented": 1}, 400, None),
        (
            {"messages": [{"role": "user", "content": "[[groq:json_validate_failed]]"}]},
            400,
            "json_validate_failed",
        ),
        ({"messages": [{"role": "user", "content": "[[groq:capacity_498]]"}]}, 498, "capacity_exceeded"),
    ],
)
async def test_what_groq_refuses_is_refused_in_its_words_and_costs_nothing(sim, fields, status, code):
    said, told = await asked(sim, "chat/completions", rewrite(FOX, **fields))
    assert (said, told["error"].get("code"), sim.bill.lines) == (status, code, [])


async def test_there_is_nothing_that_draws(sim):
    status, told = await asked(sim, "images/generations", {"model": "x", "prompt": FOX})
    assert (status, told["error"]["code"]) == (404, "unknown_url")


async def test_thinking_can_end_up_in_the_text_and_a_low_limit_cuts_it(sim):
    _, told = await asked(sim, "chat/completions", rewrite("[[groq:think]] a fox"))
    assert told["choices"][0]["message"]["content"].startswith("<think>")
    _, told = await asked(sim, "chat/completions", rewrite(FOX, max_completion_tokens=2))
    assert (len(told["choices"][0]["message"]["content"]), told["choices"][0]["finish_reason"]) == (
        8,
        "length",
    )


async def test_a_stream_says_the_same_in_pieces_and_ends(sim):
    _, told = await asked(sim, "chat/completions", rewrite(FOX))
    async with session() as http:
        headers = {"Authorization": "Bearer gsk_emu"}
        url = f"{sim.base('groq')}openai/v1/chat/completions"
        async with http.post(url, json=rewrite(FOX, stream=True), headers=headers) as answer:
            lines = (await answer.text()).removesuffix("\n\n").split("\n\n")
    chunks = [json.loads(line.removeprefix("data: "))["choices"][0] for line in lines[:-1]]
    assert lines[-1] == "data: [DONE]"
    said = "".join(chunk["delta"].get("content", "") for chunk in chunks)
    assert (said, chunks[-1]["finish_reason"]) == (told["choices"][0]["message"]["content"], "stop")
