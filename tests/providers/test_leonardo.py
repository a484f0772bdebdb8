"""Leonardo against its stand-in."""

import io
import json
import time
from dataclasses import replace
from decimal import Decimal

import aiohttp
import pytest
from PIL import Image

from limner.core.errors import (
    Lost,
    Malformed,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
    Unknown,
)
from limner.providers.base import Done, Health, Pending, Recovery
from limner.providers.leonardo import Leonardo
from limner.simulator import leonardo as vendor
from limner.simulator.app import Simulator
from limner.wire import Wire
from tests.providers.wiring import at, call, finish

AWKWARD = 'a "red" fox;\r\n{{x}} \\u0041 🦊 ' + "x" * 1_460
DYNAMIC = "111dc692-d470-4eec-b791-3475abac4c46"
PLAIN = "556c1ee5-ec38-42e8-955a-1e82dad0ffa1"


@pytest.fixture
async def sim():
    async with Simulator(vendors=[vendor.Leonardo], speed=200) as running:
        yield running
    assert running.mistakes == []


@pytest.fixture
async def leonardo(sim):
    async with at(sim, Leonardo) as provider:
        yield provider


def order(prompt="a red fox", **fields):
    return call("leonardo", prompt, **fields)


def kino(prompt="a red fox", **fields):
    return order(prompt, model="kino-xl", **fields)


def picture(kind="PNG"):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(file, kind)
    return file.getvalue()


async def seen(done):
    async with aiohttp.ClientSession() as http, http.get(done.links[0]) as answer:
        image = Image.open(io.BytesIO(await answer.read()))
        return image.format, image.size


def body(sim):
    return sim.requests("leonardo", path="v1/generations")[0].body


def bodies(sim, path):
    return [one.body for one in sim.requests("leonardo", path=path) if one.method == "POST"]


async def test_an_order_at_v1_says_everything_that_costs(sim, leonardo):
    done = await finish(
        leonardo,
        await leonardo.submit(order(seed=7, style="DYNAMIC", negative_prompt="rain", quality="fast")),
    )
    assert bodies(sim, "v1/generations") == [
        {
            "modelId": "de7d3faf-762f-48e0-b3b7-9d0ac3a3fcf3",
            "prompt": "a red fox",
            "negative_prompt": "rain",
            "width": 256,
            "height": 256,
            "num_images": 1,
            "num_inference_steps": 10,
            "guidance_scale": 7.0,
            "seed": 7,
            "alchemy": False,
            "public": False,
            "contrast": 3.5,
            "enhancePrompt": False,
            "transparency": "disabled",
            "styleUUID": DYNAMIC,
        }
    ]
    assert (done.seeds, done.cost_usd, len(done.links)) == ((7,), "0.009", 1)
    assert await seen(done) == ("JPEG", (256, 256))
    assert sim.bill.usd() == Decimal("0.009")


async def test_an_order_at_v2_has_its_parameters_and_the_slug(sim, leonardo):
    done = await finish(leonardo, await leonardo.submit(kino(seed=7, width=896, height=896, count=2)))
    assert bodies(sim, "v2/generations") == [
        {
            "model": "kino-xl",
            "public": False,
            "parameters": {
                "prompt": "a red fox",
                "width": 896,
                "height": 896,
                "seed": 7,
                "quantity": 2,
                "style_ids": [PLAIN],
                "mode": "FAST",
                "prompt_enhance": "OFF",
            },
        }
    ]
    assert (done.seeds, done.cost_usd, len(done.links)) == ((), "0.0090", 2)
    assert sim.bill.usd() == Decimal("0.009")


async def test_v2_may_leave_its_wrapper_out(sim, leonardo):
    sim.vendors["leonardo"].wraps = False
    assert (await finish(leonardo, await leonardo.submit(kino()))).cost_usd == "0.0045"


@pytest.mark.parametrize("style", ["DYNAMIC", "CREATIVE", "PHOTOGRAPHY", "SKETCH_BW", None])
@pytest.mark.parametrize("model", ["phoenix-1.0", "lucid-origin", "vision-xl", "flux-1-dev"])
async def test_the_styles_of_existing_clients_are_taken_by_every_model_of_v1(leonardo, model, style):
    done = await finish(leonardo, await leonardo.submit(order(model=model, style=style)))
    assert len(done.links) == 1


async def test_a_model_of_the_older_kind_gets_its_style_as_a_word_with_the_pipeline_that_draws_it(
    sim, leonardo
):
    await leonardo.submit(order(model="vision-xl"))
    assert (body(sim)["presetStyle"], body(sim)["alchemy"]) == ("NONE", True)


async def test_the_quality_preset_asks_for_alchemy(sim, leonardo):
    await leonardo.submit(order(quality="quality"))
    assert (body(sim)["alchemy"], body(sim)["num_inference_steps"]) == (True, 30)


@pytest.mark.parametrize(("strength", "kept"), [(None, 0.5), (0.3, 0.7), (0.0, 0.9), (1.0, 0.1)])
async def test_an_input_is_uploaded_to_the_store_without_our_key(sim, leonardo, strength, kept):
    wish = order(operation="image-to-image", inputs=(picture(),), strength=strength)
    done = await finish(leonardo, await leonardo.submit(wish))
    upload = sim.requests("leonardo", path="/s3/")[0]
    assert (upload.status, upload.carried_key) == (204, False)
    assert bodies(sim, "init-image") == [{"extension": "png"}]
    sent = bodies(sim, "v1/generations")[0]
    assert (sent["init_image_id"], sent["init_strength"]) == (upload.path.rpartition("/")[2], kept)
    assert (await seen(done), sim.bill.orders()) == (("JPEG", (1024, 1024)), 1)


async def test_an_edit_at_v2_shows_all_its_inputs(sim, leonardo):
    wish = order(
        operation="edit", inputs=(picture(), picture("WEBP")), options={"reference_strength": "HIGH"}
    )
    done = await finish(leonardo, await leonardo.submit(wish))
    ids = [one.path.rpartition("/")[2] for one in sim.requests("leonardo", path="/s3/")]
    parameters = bodies(sim, "v2/generations")[0]["parameters"]
    assert parameters["guidances"]["image_reference"] == [
        {"image": {"id": one, "type": "UPLOADED"}, "strength": "HIGH"} for one in ids
    ]
    assert "reference_strength" not in parameters
    assert (len(ids), len(done.links)) == (2, 1)


async def test_a_picture_of_a_kind_it_does_not_take_is_rejected_before_anything_is_ordered(sim, leonardo):
    with pytest.raises(Rejected, match="invalid file extension"):
        await leonardo.submit(order(operation="image-to-image", inputs=(b"GIF89a...",)))
    assert sim.bill.orders() == 0


async def test_a_store_that_does_not_answer_costs_nothing_and_may_be_asked_again(sim, leonardo):
    sim.fault("error_before", path="/s3/")
    with pytest.raises(Unavailable):
        await leonardo.submit(order(operation="image-to-image", inputs=(picture(),)))
    assert sim.bill.orders() == 0


async def test_our_files_go_to_no_address_without_tls_that_is_not_the_accounts_own(sim, leonardo):
    with pytest.raises(Malformed, match="not safe"):
        await leonardo.wire.upload("http://127.0.0.2:9/s3/1", [])
    with pytest.raises(Unavailable, match="does not take our file: 403"):
        await leonardo.wire.upload(f"{sim.url}/leonardo/s3/nobody", [])


async def test_awkward_words_and_a_huge_seed_arrive_as_they_are(sim, leonardo):
    await finish(leonardo, await leonardo.submit(order(AWKWARD, seed=2**63 - 1)))
    assert sim.vendors["leonardo"].generations.popitem()[1].wish.prompt == AWKWARD
    assert body(sim)["seed"] == (2**63 - 1) % 9999999999


async def test_a_ticket_survives_a_restart(sim, leonardo):
    ticket = json.loads(json.dumps((await leonardo.submit(kino())).ticket))
    async with at(sim, Leonardo) as another:
        assert (await finish(another, Pending(ticket))).cost_usd == "0.0045"


async def test_an_order_that_is_not_finished_is_pending_without_progress(sim, leonardo):
    sim.fault("never_ends")
    pending = await leonardo.submit(kino())
    assert await leonardo.poll(pending.ticket) == Pending(pending.ticket)


@pytest.mark.parametrize("wish", [order, kino])
@pytest.mark.parametrize("kind", ["cut_after", "error_after"])
async def test_an_order_whose_answer_was_lost_is_found_in_the_list(sim, leonardo, wish, kind):
    await leonardo.submit(wish("another fox", seed=7))
    await leonardo.submit(wish(seed=8))
    sim.fault(kind)
    wanted = wish(seed=7)
    with pytest.raises(TimedOut):
        await leonardo.submit(wanted)
    ticket = await leonardo.find(wanted)
    assert ticket["cost_usd"] is None
    assert len((await finish(leonardo, Pending(ticket))).links) == 1
    assert sim.bill.orders() == 3


async def test_an_order_that_was_never_taken_is_not_found(sim, leonardo):
    sim.fault("cut_before")
    wanted = order(seed=7)
    with pytest.raises(TimedOut):
        await leonardo.submit(wanted)
    assert await leonardo.find(wanted) is None
    assert sim.bill.orders() == 0


async def test_two_orders_that_look_alike_are_not_told_apart_nor_is_an_older_one(leonardo):
    wanted = order(seed=7)
    await leonardo.submit(wanted)
    with pytest.raises(Unknown, match="from before it by our clock"):
        await leonardo.find(replace(wanted, at=time.time() + 60))
    await leonardo.submit(wanted)
    with pytest.raises(Unknown, match="2 orders in the vendor's list look like this one"):
        await leonardo.find(wanted)


async def test_an_earlier_order_of_the_same_job_is_not_taken_for_this_one(leonardo):
    wanted = order(seed=7)
    first = await leonardo.submit(wanted)
    alone = replace(wanted, others=frozenset({first.ticket["id"]}))
    assert await leonardo.find(alone) is None
    second = await leonardo.submit(wanted)
    assert (await leonardo.find(alone))["id"] == second.ticket["id"]


async def test_an_order_placed_by_a_clock_that_was_seconds_ahead_is_found(leonardo):
    wanted = order(seed=7)
    placed = await leonardo.submit(wanted)
    found = await leonardo.find(replace(wanted, at=time.time() + 20))
    assert found["id"] == placed.ticket["id"]


async def test_a_list_that_does_not_reach_back_to_the_order_says_nothing(leonardo):
    wanted = order(seed=7)
    for seed in range(100):
        await leonardo.submit(kino(seed=100 + seed))
    with pytest.raises(Unknown, match="does not reach back"):
        await leonardo.find(replace(wanted, at=wanted.at - 60))


async def test_an_order_on_a_later_page_of_the_list_is_found(leonardo):
    wanted = kino(seed=7)
    await leonardo.submit(wanted)
    for seed in range(30):
        await leonardo.submit(kino(seed=100 + seed))
    assert (await leonardo.find(wanted)) is not None


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("refused", Refused, ("content moderation filter: nude", "no")),
        ("rate_limited", RateLimited, ("Too many requests", "no")),
        ("no_money", Unauthorized, ("credit balance", "no")),
        ("bad_key", Unauthorized, ("Authentication hook", "no")),
        ("overloaded", Unavailable, ("Service Error", "no")),
        ("error_before", TimedOut, ("Service Error", "maybe")),
        ("html_502", TimedOut, ("502", "maybe")),
        ("cut_before", TimedOut, ("broke the connection", "maybe")),
        ("malformed", Malformed, ("cannot read", "maybe")),
        ("empty", Malformed, ("cannot read", "maybe")),
    ],
)
async def test_each_answer_to_an_order_is_an_error_that_says_what_next(sim, leonardo, kind, error, told):
    sim.fault(kind)
    with pytest.raises(error, match=told[0]) as caught:
        await leonardo.submit(order())
    assert caught.value.billed == told[1]


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("job_fails", Rejected, ("gives no reason", "no")),
        ("unknown_word", Malformed, ("MARINATING", "maybe")),
        ("empty_success", Refused, ("without a picture", "maybe")),
        ("lost", Lost, ("does not know", "maybe")),
    ],
)
@pytest.mark.parametrize("wish", [order, kino])
async def test_each_end_of_an_order_is_an_error_that_says_what_next(sim, wish, kind, error, told):
    sim.fault(kind)
    async with at(sim, Leonardo) as leonardo:
        with pytest.raises(error, match=told[0]) as caught:
            await finish(leonardo, await leonardo.submit(wish()))
    assert caught.value.billed == told[1]
    assert sim.bill.orders() == (0 if kind == "job_fails" else 1)


@pytest.mark.parametrize(
    ("kind", "met"),
    [
        ("expired_url", (404, b"ther")),
        ("not_an_image", (200, b"<htm")),
        ("foreign_url", (200, b"\xff\xd8\xff\xe0")),
        ("wrong_size", (200, b"\xff\xd8\xff\xe0")),
    ],
)
async def test_what_is_wrong_with_a_picture_is_met_where_it_is_fetched(sim, leonardo, kind, met):
    sim.fault(kind)
    done = await finish(leonardo, await leonardo.submit(kino(width=256, height=256)))
    async with aiohttp.ClientSession() as http, http.get(done.links[0]) as answer:
        assert (answer.status, (await answer.read())[:4]) == met
    assert (sim.foreign_asks, sim.bill.usd()) == (1 if kind == "foreign_url" else 0, Decimal("0.0045"))
    assert kind != "wrong_size" or await seen(done) == ("JPEG", (64, 64))


async def test_fewer_pictures_cost_what_was_told_when_they_were_ordered(sim, leonardo):
    sim.fault("fewer_images")
    done = await finish(leonardo, await leonardo.submit(kino(count=3)))
    assert (len(done.links), Decimal(done.cost_usd)) == (2, sim.bill.usd())


async def test_a_flagged_picture_is_a_picture(leonardo):
    assert len((await finish(leonardo, await leonardo.submit(order(f"a fox {vendor.NSFW}")))).links) == 1


@pytest.mark.parametrize("as_list", [True, False])
async def test_a_bad_field_at_v2_is_rejected_in_both_of_its_forms(sim, leonardo, as_list):
    sim.vendors["leonardo"].lists_faults = as_list
    wanted = kino()
    strange = wanted.request.model_copy(update={"options": {"colour": "red"}})
    with pytest.raises(Rejected, match="'colour' is not allowed"):
        await leonardo.submit(replace(wanted, request=strange))
    assert sim.bill.orders() == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "00000000-0000-4000-8000-000000000000"}, "not supported within the Production API"),
        ({"count": 5}, "num_images must be between 1 and 4"),
        ({"options": {}}, "contrast is required for Phoenix"),
        ({"width": 1000, "height": 1001}, "invalid dimensions"),
        ({"prompt": "x" * 1501}, "maximum length of 1500 characters"),
        ({"options": {"sd_Version": "v2", "contrast": 3.5}}, "Unexpected variable sd_Version"),
    ],
)
async def test_what_the_vendor_calls_invalid_is_rejected_in_its_words(sim, leonardo, change, said):
    wanted = order()
    model = change.pop("model", wanted.model)
    with pytest.raises(Rejected, match=said):
        await leonardo.submit(replace(wanted, model=model, request=wanted.request.model_copy(update=change)))
    assert sim.bill.orders() == 0


async def test_an_account_with_too_many_jobs_is_rate_limited(sim, leonardo):
    sim.vendors["leonardo"].most_open = 1
    sim.fault("never_ends")
    await leonardo.submit(order())
    with pytest.raises(RateLimited, match="Too many pending"):
        await leonardo.submit(order())


@pytest.mark.parametrize(
    "key", ["not-a-uuid", "11111111-2222-4333-8444-555555555555", "", f"{vendor.Leonardo.key}-forbidden"]
)
async def test_a_bad_key_shows_in_a_probe_even_where_the_vendor_calls_it_a_server_error(sim, key):
    async with at(sim, Leonardo, key=key) as leonardo:
        with pytest.raises(Unauthorized):
            await leonardo.probe()


async def test_a_good_key_shows_in_a_probe_which_costs_nothing(sim, leonardo):
    assert await leonardo.probe() == Health(ok=True)
    assert sim.bill.orders() == 0


@pytest.mark.parametrize(
    ("cost", "told"),
    [
        ({"amount": "0.0045", "unit": "DOLLARS"}, "0.0045"),
        ({"amount": "8", "unit": "CREDITS"}, None),
        ({"amount": 0.5, "unit": "DOLLARS"}, "0.5"),
        ({"coins": 3}, None),
        (None, None),
    ],
)
async def test_an_odd_price_never_loses_the_order(leonardo, monkeypatch, cost, told):
    monkeypatch.setattr(vendor, "_receipt", lambda job: {"generationId": job.id, "cost": cost})
    pending = await leonardo.submit(order())
    assert pending.ticket["cost_usd"] == told
    assert isinstance(await finish(leonardo, pending), Done)


def test_it_is_found_again_by_its_ticket_and_named_by_its_key():
    assert (Leonardo.recovery, Leonardo.key_env) == (Recovery.TICKETED, ("LEONARDO_API_KEY",))
    assert Leonardo.base_url == "https://cloud.leonardo.ai/api/rest/"


@pytest.mark.parametrize(
    ("headers", "secret", "good"),
    [
        ({"authorization": "Bearer s3"}, "s3", True),
        ({"authorization": "Bearer s4"}, "s3", False),
        ({"authorization": "s3"}, "s3", False),
        ({"authorization": "Bearer \udcff"}, "s3", False),
        ({}, "s3", False),
        ({"authorization": "Bearer None"}, None, False),
        ({"authorization": "Bearer "}, "", False),
    ],
)
async def test_a_call_is_leonardos_when_it_has_the_secret_of_the_dashboard(headers, secret, good):
    assert await Leonardo(Wire(None, Leonardo.base_url, {})).verify(headers, b"", secret, 0.0) is good


@pytest.mark.parametrize(
    ("body", "ticket"),
    [
        (b'{"data": {"object": {"id": "8b3f-1"}}}', {"id": "8b3f-1", "cost_usd": None}),
        (b'{"data": {"object": {"id": "../me"}}}', None),
        (b'{"data": []}', None),
        (b"\xff", None),
    ],
)
def test_a_call_tells_which_generation_it_is_about(body, ticket):
    assert Leonardo.told("m", body) == ticket
