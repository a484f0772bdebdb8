import asyncio
import json
from base64 import b64encode
from dataclasses import replace
from decimal import Decimal
from io import BytesIO

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from limner.catalog.load import parse, shipped_tables
from limner.catalog.price import estimate_usd
from limner.core.errors import (
    Lost,
    Malformed,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from limner.providers.base import Call, Done, Health, Pending
from limner.providers.bfl import Bfl
from limner.simulator.app import Simulator
from limner.simulator.bfl import Bfl as Vendor
from tests.providers.wiring import at, call, finish

MODELS = {model.id: model for model in parse(shipped_tables()["bfl"]).models}
TABLE = [(name, operation) for name, model in MODELS.items() for operation in sorted(model.operations)]


@pytest_asyncio.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Vendor], speed=200) as running:
        yield running
    assert running.mistakes == []


@pytest_asyncio.fixture
async def bfl(sim):
    async with at(sim, Bfl) as provider:
        yield provider


def png(width=640, height=384, colour="teal"):
    out = BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def clear_left(width=640, height=384):
    """A mask as ours are: the left half is to be painted anew."""
    mask, out = Image.new("RGBA", (width, height), "black"), BytesIO()
    mask.paste((0, 0, 0, 0), (0, 0, width // 2, height))
    mask.save(out, "PNG")
    return out.getvalue()


CLEAR_LEFT = clear_left()


def order(model="flux-2-pro", prompt="a red fox", operation="generate", **fields) -> Call:
    if operation != "generate":
        fields.setdefault("inputs", (png(),))
    if operation == "inpaint":
        fields["mask"] = CLEAR_LEFT
    inputs, mask = fields.pop("inputs", ()), fields.pop("mask", None)
    return call("bfl", prompt, model=model, operation=operation, inputs=inputs, mask=mask, **fields)


def sent(sim):
    return sim.requests(path="/v1/flux")[-1].body


async def picture(link: str) -> bytes:
    """Fetched as Limner does: without the key."""
    async with aiohttp.ClientSession() as http, http.get(link) as answer:
        assert answer.status == 200
        return await answer.read()


@pytest.mark.parametrize(("name", "operation"), TABLE)
async def test_every_model_does_all_it_is_said_to_at_the_price_it_quotes(sim, bfl, name, operation):
    asked = order(name, operation=operation, seed=9)
    quote = estimate_usd(asked.request, MODELS[name])
    done = await finish(bfl, await bfl.submit(asked))
    with Image.open(BytesIO(await picture(done.links[0]))) as drawn:
        # What is filled in keeps its size.
        assert drawn.size == ((640, 384) if operation == "inpaint" else asked.request.size)
    assert (done.seeds, Decimal(done.cost_usd), sim.bill.usd()) == ((9,), quote, quote)


@pytest.mark.parametrize(
    "size", [(64, 64), (1024, 1024), (1040, 1024), (2048, 1024), (2048, 2048), (4096, 1024)]
)
@pytest.mark.parametrize(("name", "operation"), [("flux-2-pro", "generate"), ("flux-2-max", "edit")])
async def test_each_megapixel_that_is_begun_costs_as_quoted(sim, bfl, name, operation, size):
    asked = order(name, operation=operation, width=size[0], height=size[1])
    await bfl.submit(asked)
    assert asked.request.size == size
    assert sim.bill.usd() == estimate_usd(asked.request, MODELS[name])


async def test_editing_with_flux_2_pro_is_dearer_than_drawing(sim, bfl):
    await bfl.submit(order())
    drawing = sim.bill.usd()
    await bfl.submit(order(operation="edit"))
    assert (drawing, sim.bill.usd() - drawing) == (Decimal("0.03"), Decimal("0.045"))


async def test_an_order_to_draw_says_everything_and_lets_nothing_be_rewritten(sim, bfl):
    await bfl.submit(order("flux-2-flex", seed=42, width=1024, height=768, steps=20, guidance_scale=3.0))
    assert sent(sim) == {
        "prompt": "a red fox",
        "width": 1024,
        "height": 768,
        "seed": 42,
        "steps": 20,
        "guidance": 3.0,
        "output_format": "png",
        "prompt_upsampling": False,
        "safety_tolerance": 2,
    }


async def test_shapes_are_named_where_a_model_takes_no_sizes(sim, bfl):
    wanted = order("flux-1.1-pro-ultra", width=1920, height=1080, format="jpeg", options={"raw": True})
    await bfl.submit(wanted)
    assert wanted.request.size == (2752, 1536)
    assert sent(sim) == {
        "prompt": "a red fox",
        "aspect_ratio": "16:9",
        "output_format": "jpeg",
        "prompt_upsampling": False,
        "safety_tolerance": 2,
        "raw": True,
    }


async def test_input_pictures_are_numbered_from_the_second_on(bfl, monkeypatch):
    seen = []

    async def noted(path, *, into, json):
        seen.append((path, json))
        return into(id="1", polling_url="https://api.eu.bfl.ai/v1/get_result?id=1")

    monkeypatch.setattr(bfl.wire, "post", noted)
    one, two = png(colour="red"), png(colour="blue")
    edit = await bfl.submit(order("flux-2-max", operation="edit", inputs=(one, two)))
    await bfl.submit(order("flux-1-fill-pro", operation="inpaint", inputs=(one,)))
    (path, edited), (fill, filled) = seen
    text = {data: b64encode(data).decode() for data in (one, two)}
    assert (path, edited["input_image"], edited["input_image_2"]) == ("v1/flux-2-max", text[one], text[two])
    assert (fill, filled["image"]) == ("v1/flux-pro-1.0-fill", text[one])
    assert {"width", "height", "aspect_ratio"}.isdisjoint(filled)
    assert edit == Pending({"url": "https://api.eu.bfl.ai/v1/get_result?id=1", "cost_usd": None}, 0.5)


async def test_only_what_the_mask_clears_is_painted_anew(bfl):
    done = await finish(bfl, await bfl.submit(order("flux-1-fill-pro", operation="inpaint")))
    with Image.open(BytesIO(await picture(done.links[0]))) as drawn:
        right = drawn.convert("RGB").crop((321, 0, 640, 384))
        left = drawn.convert("RGB").crop((0, 0, 319, 384))
    assert right.getcolors() == [(319 * 384, (0, 128, 128))]  # teal, as it was
    assert len(set(left.tobytes())) > 2


@pytest.mark.parametrize("prompt", ['he said "no"\n\\ \t{}', "🦊 狐狸 لون", "x" * 10_000, "<b>%00</b>"])
async def test_a_prompt_arrives_as_it_was_written(sim, bfl, prompt):
    await bfl.submit(order(prompt=prompt))
    assert sent(sim)["prompt"][:50] == prompt[:50]  # the journal cuts long ones


async def test_a_seed_too_large_for_the_vendor_is_brought_into_its_range(sim, bfl):
    await bfl.submit(order(seed=2**63 - 1))
    assert 0 <= sent(sim)["seed"] <= 4_294_967_295


async def test_a_ticket_is_the_address_that_came_back_and_survives_a_restart(sim, bfl):
    waiting = await bfl.submit(order())
    ticket = json.loads(json.dumps(waiting.ticket))
    assert ticket["cost_usd"] == "0.03"
    assert ticket["url"].startswith(sim.vendors["bfl"].world.twin_url)
    assert "bfl-emu" not in json.dumps(ticket)
    async with at(sim, Bfl) as another:
        done = await finish(another, Pending(ticket))
    assert (len(done.links), sim.bill.orders()) == (1, 1)


async def test_an_address_made_up_from_the_id_finds_nothing(sim, bfl):
    waiting = await bfl.submit(order())
    made_up = f"v1/get_result?id={waiting.ticket['url'].rpartition('=')[2]}"
    with pytest.raises(Lost, match="Task not found"):
        await bfl.poll({"url": made_up})


@pytest.mark.parametrize(
    "url", ["https://api.bfl.ai.evil.example/v1/x", "http://api.eu.bfl.ai/v1/x", "https://evilbfl.ai/v1/x"]
)
async def test_the_key_is_not_sent_where_it_does_not_belong(bfl, url):
    with pytest.raises(Malformed, match="the key stays here"):
        await bfl.poll({"url": url, "cost_usd": None})


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("no_money", Unauthorized, "402: .*Insufficient credits"),
        ("bad_key", Unauthorized, "403: .*Not authenticated"),
        ("rate_limited", RateLimited, "429: .*rate_limit_exceeded"),
        ("overloaded", Unavailable, "503"),
        ("error_before", TimedOut, "500"),
        ("html_502", TimedOut, "502"),
        ("malformed", Malformed, "cannot read"),
        ("empty", Malformed, "cannot read"),
    ],
)
async def test_what_goes_wrong_with_an_order_is_told_by_its_class(sim, bfl, fault, error, said):
    sim.fault(fault)
    with pytest.raises(error, match=said) as caught:
        await bfl.submit(order())
    charged = fault in ("malformed", "empty")
    assert sim.bill.orders() == (1 if charged else 0)
    assert not (charged and caught.value.billed == "no")


async def test_how_long_to_stay_away_is_said_in_the_body(sim, bfl):
    sim.fault("rate_limited", after_s=7.5)
    with pytest.raises(RateLimited) as caught:
        await bfl.submit(order())
    assert caught.value.after_s == 7.5
    assert Bfl.classify(429, {"Retry-After": "3"}, b"slow down").after_s == 3.0
    assert Bfl.classify(429, {}, b"slow down").after_s == 5.0
    assert Bfl.classify(200, {}, b"{}") is None


async def test_a_lost_answer_may_have_been_charged_and_is_sent_once(sim, bfl):
    sim.fault("cut_after")
    with pytest.raises(TimedOut) as caught:
        await bfl.submit(order())
    assert (caught.value.billed, await bfl.find(order())) == ("maybe", None)
    assert (sim.bill.orders(), len(sim.requests())) == (1, 1)


@pytest.mark.parametrize(
    ("fault", "error", "said", "charged"),
    [
        ("refused", Refused, "Content Moderated: .*Sensitive", True),
        ("job_fails", Rejected, "Error", False),
        ("lost", Lost, "Task not found", True),
        ("empty_success", Malformed, "ready without a picture", True),
    ],
)
async def test_an_order_that_is_queued_can_still_go_wrong(sim, fault, error, said, charged):
    sim.fault(fault)
    async with at(sim, Bfl) as bfl:
        with pytest.raises(error, match=said) as caught:
            await finish(bfl, await bfl.submit(order()))
    assert (sim.bill.orders() == 1, caught.value.billed != "no") == (charged, charged)


async def test_a_prompt_that_is_declined_counts_as_charged_since_nobody_says_that_it_is_not(sim, bfl):
    sim.fault("refused")
    with pytest.raises(Refused, match="Request Moderated") as caught:
        await finish(bfl, await bfl.submit(order(options={"safety_tolerance": 0})))
    assert (caught.value.billed, sim.bill.orders()) == ("maybe", 1)


async def test_a_word_nobody_has_heard_of_is_a_word_for_waiting(sim, bfl):
    sim.fault("unknown_word")
    sim.vendors["bfl"].world.seconds = lambda typical: 60.0
    waiting = await bfl.submit(order())
    assert await bfl.poll(waiting.ticket) == waiting
    sim.advance(60)
    assert isinstance(await bfl.poll(waiting.ticket), Done)


async def test_an_order_that_never_ends_stays_pending(sim, bfl):
    sim.fault("never_ends")
    waiting = await bfl.submit(order())
    sim.advance(3600)
    assert await bfl.poll(waiting.ticket) == waiting


async def test_a_picture_dies_after_ten_minutes_and_wants_no_key(sim, bfl):
    (link,) = (await finish(bfl, await bfl.submit(order()))).links
    async with aiohttp.ClientSession() as http:
        async with http.get(link, headers=Bfl.auth("bfl-emu")) as answer:
            assert answer.status == 403
        sim.advance(601)
        async with http.get(link) as answer:
            assert answer.status == 404


async def test_a_value_the_vendor_refuses_is_rejected_in_its_words(sim, bfl):
    good = order()
    for update, said in (
        ({"width": 1000}, "multiple_of"),
        ({"options": {"safety_tolerance": 9}}, "less_than_equal"),
        ({"options": {"size": "large"}}, "extra_forbidden"),
    ):
        bad = replace(good, request=good.request.model_copy(update=update))
        with pytest.raises(Rejected, match=said):
            await bfl.submit(bad)
    with pytest.raises(Rejected, match=r"404: .*Not Found"):
        await bfl.submit(replace(good, model="flux-9"))
    with pytest.raises(Rejected, match=r"400: .*neither base64 nor a picture"):
        await bfl.submit(order("flux-2-max", operation="edit", inputs=(b"no picture",)))
    assert sim.bill.orders() == 0


async def test_the_twenty_fifth_task_has_to_wait(sim, bfl):
    sim.fault("never_ends", times=24)
    await asyncio.gather(*(bfl.submit(order()) for _ in range(24)))
    with pytest.raises(RateLimited, match="more than 24 active tasks") as caught:
        await bfl.submit(order())
    assert caught.value.after_s == 5.0


async def test_a_probe_tells_a_bad_key_and_orders_nothing(sim, bfl):
    assert await bfl.probe() == Health(ok=True)
    async with at(sim, Bfl, key="wrong") as stranger:
        with pytest.raises(Unauthorized, match="Not authenticated"):
            await stranger.probe()
    assert [one.path for one in sim.requests()] == ["/bfl/v1/credits"] * 2
