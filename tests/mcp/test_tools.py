"""The tools as a client sees them: the same over every version of the protocol."""

import base64
import json
from decimal import Decimal
from io import BytesIO

import anyio
import jsonschema
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from PIL import Image

from limner.mcp.answers import ERROR
from limner.mcp.server import one_session
from tests.api.fakes import png
from tests.mcp.house import Easel, hosted

NAMES = ["list_models", "quote", "generate", "edit", "job", "cancel", "search"]
OIL = {"prompt": "a red fox", "model": "oil", "seed": 3}


@pytest.fixture(params=["auto", "legacy"])
async def client(limner, request):
    async with hosted(Client(one_session(limner, "local", Decimal(1)), mode=request.param)) as talking:
        yield talking


async def ordered(client, name="generate", **arguments):
    """Order what is not free: ask, then agree."""
    asked = await client.call_tool(name, arguments)
    assert asked.structured_content["status"] == "needs_confirmation"
    quote = asked.structured_content["quote"]["quote"]
    return await client.call_tool(name, arguments | {"confirm": True, "quote": quote})


async def test_every_tool_says_what_it_takes_what_it_answers_and_what_it_does(client):
    tools = (await client.list_tools()).tools
    assert [tool.name for tool in tools] == NAMES
    for tool in tools:
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        jsonschema.Draft202012Validator.check_schema(tool.output_schema)
        assert tool.input_schema["type"] == tool.output_schema["type"] == "object"
        assert tool.input_schema["additionalProperties"] is False
        assert all(one["description"] for one in tool.input_schema["properties"].values())
        assert tool.description
        assert tool.title
    hints = {tool.name: tool.annotations for tool in tools}
    assert [name for name in NAMES if hints[name].read_only_hint] == ["list_models", "quote", "job", "search"]
    assert [name for name in NAMES if hints[name].destructive_hint] == ["cancel"]
    assert not hints["generate"].idempotent_hint
    assert not hints["search"].open_world_hint


async def test_the_tools_together_are_short_enough_for_a_models_context(client):
    tools = (await client.list_tools()).tools
    told = sum(len(json.dumps(tool.input_schema)) + len(tool.description) for tool in tools)
    assert told < 15_000


async def test_what_is_free_is_drawn_at_once_and_shown_small_with_a_link_to_the_whole(client):
    told = await client.call_tool(
        "generate", {"prompt": "a red fox", "model": "sketch", "width": 512, "height": 512}
    )
    said, small, link = told.content
    answer = told.structured_content
    assert not told.is_error
    assert said.text == "Drawn: 1 for free. Each link below is the whole picture."
    assert (small.mime_type, Image.open(BytesIO(base64.b64decode(small.data))).size) == (
        "image/webp",
        (256, 256),
    )
    assert len(small.data) < 40_000
    assert (link.uri, link.mime_type) == (answer["images"][0]["uri"], "image/png")
    assert {name: answer[name] for name in ("status", "cost_usd", "provider", "model", "notes")} == {
        "status": "succeeded",
        "cost_usd": 0.0,
        "provider": "easel",
        "model": "sketch",
        "notes": [],
    }
    assert answer["session"] == {"ceiling_usd": 1.0, "spent_usd": 0.0, "left_usd": 1.0}


async def test_whatever_is_not_free_is_quoted_first_and_nothing_is_ordered(client):
    told = await client.call_tool("generate", OIL)
    answer = told.structured_content
    assert not told.is_error
    assert (answer["status"], answer["job_id"], answer["images"]) == ("needs_confirmation", None, [])
    assert (answer["quote"]["price_usd"], answer["quote"]["model"]) == (0.04, "oil")
    assert Easel.orders == []


async def test_confirm_without_a_quote_is_no_agreement_to_a_price(client):
    told = await client.call_tool("generate", OIL | {"confirm": True})
    assert told.structured_content["status"] == "needs_confirmation"
    assert Easel.orders == []


async def test_a_quote_without_confirm_is_no_agreement_either(client):
    quote = (await client.call_tool("quote", OIL)).structured_content["quote"]
    told = await client.call_tool("generate", OIL | {"quote": quote})
    assert told.structured_content["status"] == "needs_confirmation"
    assert Easel.orders == []


async def test_an_agreed_price_is_ordered_and_counted(client):
    told = await ordered(client, **OIL)
    answer = told.structured_content
    assert (answer["status"], answer["cost_usd"], answer["seed"]) == ("succeeded", 0.04, 3)
    assert answer["session"] == {"ceiling_usd": 1.0, "spent_usd": 0.04, "left_usd": 0.96}


async def test_the_quote_tool_gives_the_token_that_generate_takes(client):
    quote = (await client.call_tool("quote", OIL)).structured_content
    told = await client.call_tool("generate", OIL | {"confirm": True, "quote": quote["quote"]})
    assert (quote["price_usd"], told.structured_content["status"]) == (0.04, "succeeded")


@pytest.mark.parametrize("bent", [{"prompt": "another"}, {"count": 2}, {"model": "marble"}])
async def test_a_quote_for_another_order_is_refused(client, bent):
    quote = (await client.call_tool("quote", OIL)).structured_content["quote"]
    told = await client.call_tool("generate", OIL | bent | {"confirm": True, "quote": quote})
    assert told.is_error
    assert told.content[0].text == (
        "quote was given for another request; call once more without quote and confirm for a new one"
    )
    assert Easel.orders == []


async def test_a_forged_quote_buys_nothing_and_counts_nothing(client):
    quote = (await client.call_tool("quote", OIL)).structured_content["quote"]
    version, terms, seal = quote.split(".")
    cheap = base64.urlsafe_b64decode(terms + "==").replace(b"40000", b"1")
    forged = f"{version}.{base64.urlsafe_b64encode(cheap).rstrip(b'=').decode()}.{seal}"
    for token in (forged, "q1.x.y", "nonsense", quote[:-1]):
        told = await client.call_tool("generate", OIL | {"confirm": True, "quote": token})
        assert told.is_error
        assert told.meta[ERROR]["field"] == "quote"
    assert Easel.orders == []
    assert (await client.call_tool("quote", OIL)).structured_content["session"]["spent_usd"] == 0


async def test_the_ceiling_refuses_what_is_left_no_money_for(client):
    first = await ordered(client, prompt="a bust", model="marble")
    assert first.structured_content["session"]["left_usd"] == 0.4
    told = await client.call_tool("generate", {"prompt": "a bust", "model": "marble"})
    assert told.is_error
    assert told.meta[ERROR] == {
        "code": "over_budget",
        "message": (
            "this costs $0.60, and $0.40 of this session's ceiling of $1.00 are left; choose something "
            "cheaper, or ask the person who runs Limner to raise mcp_session_usd"
        ),
    }
    assert len(Easel.orders) == 1


async def test_the_ceiling_holds_when_calls_come_at_once(client):
    quote = (await client.call_tool("quote", {"prompt": "a bust", "model": "marble"})).structured_content[
        "quote"
    ]
    order = {"prompt": "a bust", "model": "marble", "confirm": True, "quote": quote}
    told = []

    async def call():
        told.append(await client.call_tool("generate", order))

    async with anyio.create_task_group() as calls:
        for _ in range(8):
            calls.start_soon(call)
    assert sorted(one.is_error for one in told) == [False] + [True] * 7
    assert len(Easel.orders) == 1


async def test_a_price_that_nobody_knows_is_not_bought_under_a_ceiling(client):
    told = await client.call_tool("generate", {"prompt": "a moor", "model": "fog"})
    assert told.is_error
    assert told.meta[ERROR]["code"] == "over_budget"
    assert Easel.orders == []


async def test_the_callers_own_limit_refuses_too(client):
    told = await client.call_tool("generate", OIL | {"max_cost_usd": 0.01})
    assert told.is_error
    assert told.meta[ERROR]["code"] in ("over_budget", "no_route")
    assert Easel.orders == []


@pytest.mark.parametrize("model", ["sketch", "oil"])
async def test_the_same_key_gives_the_first_job_again(client, model):
    order = {"prompt": "a red fox", "model": model, "idempotency_key": "k"}
    if model == "oil":
        quote = (await client.call_tool("quote", {"prompt": "a red fox", "model": "oil"})).structured_content
        order |= {"confirm": True, "quote": quote["quote"]}
    first, second = [(await client.call_tool("generate", order)).structured_content for _ in range(2)]
    assert first["job_id"] == second["job_id"]
    assert first["session"] == second["session"]
    assert len(Easel.orders) == 1


async def test_the_same_key_with_another_order_is_a_conflict(client):
    order = {"prompt": "a red fox", "model": "sketch", "idempotency_key": "k"}
    await client.call_tool("generate", order)
    told = await client.call_tool("generate", order | {"prompt": "a blue fox"})
    assert told.is_error
    assert told.meta[ERROR]["code"] == "conflict"


async def test_progress_is_told_and_only_grows(client):
    heard = []

    async def hear(progress, total, message):
        heard.append((progress, total, message))

    await client.call_tool("generate", {"prompt": "a red fox", "model": "sketch"}, progress_callback=hear)
    fractions = [fraction for fraction, _, _ in heard]
    assert fractions
    assert fractions == sorted(set(fractions))
    assert {total for _, total, _ in heard} == {1.0}


async def test_a_long_order_is_answered_as_running_and_waited_for_or_cancelled_by_its_id(client):
    told = await client.call_tool("generate", {"prompt": "endless", "model": "sketch", "wait_s": 0})
    job = told.structured_content["job_id"]
    assert told.structured_content["status"] == "running"
    assert (await client.call_tool("job", {"job_id": job})).structured_content["status"] == "running"
    await client.call_tool("cancel", {"job_id": job})
    ended = await client.call_tool("job", {"job_id": job, "wait_s": 20})
    assert ended.structured_content["status"] == "canceled"


async def test_leaving_a_call_leaves_the_order(client, limner):
    with anyio.move_on_after(0.5):
        await client.call_tool("generate", {"prompt": "endless", "model": "sketch", "wait_s": 60})
    (job,) = await limner.jobs()
    assert not job.cancel_requested
    assert not job.final
    await limner.cancel(job.id)


async def test_a_failed_order_is_an_error_with_its_job(client):
    told = await client.call_tool("generate", {"prompt": "refused", "model": "sketch"})
    assert told.is_error
    assert told.structured_content["status"] == "failed"
    assert "draws no such thing" in told.content[0].text


async def test_a_picture_is_edited_by_its_id_its_address_its_digest_and_its_bytes(client):
    made = (await client.call_tool("generate", {"prompt": "a fox", "model": "sketch"})).structured_content
    picture = made["images"][0]
    data = base64.b64encode(png(64, 64, 9)).decode()
    for given in (picture["id"], picture["uri"], picture["digest"], data, f"data:image/png;base64,{data}"):
        told = await client.call_tool("edit", {"prompt": "bluer", "model": "sketch", "images": [given]})
        assert told.structured_content["status"] == "succeeded"
    digests = [call.request.inputs for call in Easel.orders[1:4]]
    assert digests == [(picture["digest"],)] * 3


async def test_an_edit_that_is_not_free_is_confirmed_like_any_order(client):
    data = base64.b64encode(png(64, 64, 9)).decode()
    told = await ordered(client, "edit", prompt="bluer", model="oil", images=[data])
    assert told.structured_content["status"] == "succeeded"


async def test_pictures_are_found_by_words_project_and_model_newest_first(client):
    for prompt, project in (("a red fox", "wood"), ("a blue FOX at night", "wood"), ("an owl", "barn")):
        await client.call_tool("generate", {"prompt": prompt, "model": "sketch", "project": project})

    async def found(**wanted):
        told = await client.call_tool("search", wanted)
        return [one["prompt"] for one in told.structured_content["images"]]

    assert await found() == ["an owl", "a blue FOX at night", "a red fox"]
    assert await found(words="fox") == ["a blue FOX at night", "a red fox"]
    assert await found(words="night fox") == ["a blue FOX at night"]
    assert await found(project="barn") == ["an owl"]
    assert await found(model="oil") == []
    assert await found(words="%") == []
    first = (await client.call_tool("search", {"limit": 1})).structured_content
    rest = (await client.call_tool("search", {"before": first["next"]})).structured_content
    assert [one["prompt"] for one in rest["images"]] == ["a blue FOX at night", "a red fox"]
    assert rest["next"] is None


async def test_models_are_listed_with_prices_and_found_by_words(client):
    told = (await client.call_tool("list_models", {})).structured_content
    assert [(one["id"], one["price"]) for one in told["models"]] == [
        ("sketch", "free"),
        ("oil", "$0.04 by image"),
        ("marble", "$0.60 by image"),
        ("fog", "unknown"),
    ]
    told = (await client.call_tool("list_models", {"words": "OIL easel"})).structured_content
    assert [one["id"] for one in told["models"]] == ["oil"]
    told = (await client.call_tool("list_models", {"limit": 1})).structured_content
    assert (len(told["models"]), told["more"]) == (1, 3)


async def test_an_unknown_tool_is_an_error_of_the_protocol(client):
    with pytest.raises(MCPError, match=r"Unknown tool 'paint'; there are list_models, quote"):
        await client.call_tool("paint", {})


@pytest.mark.parametrize(
    ("name", "given", "field"),
    [
        ("generate", {}, "prompt"),
        ("generate", {"prompt": ""}, "prompt"),
        ("generate", {"prompt": "x" * 10_001}, "prompt"),
        ("generate", {"prompt": "nul \x00 byte"}, "prompt"),
        ("generate", {"prompt": ["a"]}, "prompt"),
        ("generate", {"prompt": "a", "count": 0}, "count"),
        ("generate", {"prompt": "a", "count": 10**30}, "count"),
        ("generate", {"prompt": "a", "width": 64}, None),
        ("generate", {"prompt": "a", "seed": -1}, "seed"),
        ("generate", {"prompt": "a", "project": "../etc"}, "project"),
        ("generate", {"prompt": "a", "format": "gif"}, "format"),
        ("generate", {"prompt": "a", "wait_s": 10**9}, "wait_s"),
        ("generate", {"prompt": "a", "idempotency_key": "caf\u00e9"}, "idempotency_key"),
        ("generate", {"prompt": "a", "max_cost_usd": -1}, "max_cost_usd"),
        ("generate", {"prompt": "a", "policy": {"on_unknown": "auto"}}, "policy"),
        ("generate", {"prompt": "a", "model": "nobody"}, "model"),
        ("edit", {"prompt": "a", "images": []}, "images"),
        ("edit", {"prompt": "a", "images": ["http://example.com/a.png"]}, "images"),
        ("edit", {"prompt": "a", "images": ["/etc/passwd"]}, "images"),
        ("edit", {"prompt": "a", "images": ["limner://images/../../etc"]}, "images"),
        ("edit", {"prompt": "a", "images": ["%%%"]}, "images"),
        ("edit", {"prompt": "a", "images": ["aGVsbG8="]}, "inputs"),
        ("edit", {"prompt": "a", "images": ["0" * 64]}, "inputs"),
        ("edit", {"prompt": "a", "operation": "generate", "images": ["0" * 64]}, "operation"),
        ("quote", {"prompt": "a", "strength": 2}, "strength"),
        ("job", {"job_id": "../1"}, "job_id"),
        ("job", {"job_id": "nobody-1"}, None),
        ("cancel", {"job_id": "nobody-1"}, None),
        ("search", {"limit": 1000}, "limit"),
        ("search", {"before": "'; drop"}, "before"),
        ("list_models", {"words": "x" * 201}, "words"),
    ],
)
async def test_bad_arguments_are_refused_with_a_sentence_that_names_them(limner, name, given, field):
    async with Client(one_session(limner, "local", Decimal(1))) as client:
        told = await client.call_tool(name, given)
        assert told.is_error
        assert told.meta[ERROR].get("field", "").partition(".")[0] == (field or "")
        assert 0 < len(told.content[0].text) <= 600
        assert Easel.orders == []
        assert await limner.jobs() == []
