"""Replicate against its stand-in."""

import asyncio
import io
import json
from base64 import b64decode
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from PIL import Image

from limner.catalog.load import parse, shipped_tables
from limner.catalog.price import estimate_usd, settled_usd
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
from limner.core.money import to_micros
from limner.providers.base import Health, Pending, Recovery
from limner.providers.replicate import Replicate
from limner.providers.replicate_inputs import Dialect
from limner.simulator import replicate as vendor
from limner.simulator.app import Simulator
from limner.simulator.replicate_models import MODELS
from limner.simulator.replicate_work import AS_OBJECT, EARLY, SECRET, WAITS, sign
from limner.wire import Wire
from tests.providers.wiring import at, call, finish

AWKWARD = 'a "red" fox\\ {};\r\n🦊 ' + "x" * 9_900
LISTED = [model for model in parse(shipped_tables()["replicate"]).models if not model.open]
VERSIONS = {model.name: model.version for model in MODELS}


@pytest.fixture
async def sim():
    async with Simulator(vendors=[vendor.Replicate]) as running:
        yield running
    assert running.mistakes == []


def order(prompt="a red fox", **fields):
    return call("replicate", prompt, **{"model": "flux-1-schnell", **fields})


def picture(width=96, height=64, noise=False):
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    if noise:
        image = Image.effect_noise((width, height), 90).convert("RGB")
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def job(sim):
    return sim.vendors["replicate"].jobs()[-1]


def posts(sim):
    return [one for one in sim.requests(path="/v1/predictions") if one.method == "POST"]


async def until(true):
    for _ in range(500):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to be")


async def made(sim, wanted):
    """The order placed and waited for."""
    async with at(sim, Replicate) as replicate:
        return await finish(replicate, await replicate.submit(wanted))


async def shown(done):
    """Format and size of each picture, fetched without a key."""
    seen = []
    async with aiohttp.ClientSession() as http:
        for link in done.links:
            answer = await http.get(link)
            image = Image.open(io.BytesIO(await answer.read()))
            seen.append((image.format, image.size))
    return seen


async def test_pictures_are_drawn_in_the_shape_nearest_to_the_size_asked_for(sim):
    done = await made(sim, order(seed=7, count=2, width=1920, height=1080, format="jpeg"))
    assert await shown(done) == [("JPEG", (1344, 768))] * 2
    assert (done.engine, done.usage.seconds) == (None, 1.0)
    assert posts(sim)[0].body == {
        "version": "black-forest-labs/flux-schnell",
        "input": {
            "prompt": "a red fox",
            "num_outputs": 2,
            "num_inference_steps": 4,
            "seed": 7,
            "output_format": "jpg",
            "aspect_ratio": "16:9",
            "megapixels": "1",
            "go_fast": False,
        },
    }
    assert (str(sim.bill.usd()), sim.bill.images()) == ("0.006000", 2)


async def test_a_small_size_is_a_quarter_of_a_megapixel(sim):
    done = await made(sim, order(width=512, height=512))
    assert await shown(done) == [("PNG", (512, 512))]
    assert job(sim)["input"]["megapixels"] == "0.25"


async def test_a_community_model_is_called_by_its_newest_version_and_tells_its_seconds(sim):
    wanted = order(model="sdxl", seed=3, steps=25, guidance_scale=5.5, negative_prompt="rain")
    done = await made(sim, wanted)
    version = VERSIONS["stability-ai/sdxl"]
    assert await shown(done) == [("PNG", (1024, 1024))]
    assert (done.engine, done.usage.seconds) == (version, pytest.approx(3.82144))
    assert posts(sim)[0].body == {
        "version": version,
        "input": {
            "prompt": "a red fox",
            "num_outputs": 1,
            "num_inference_steps": 25,
            "guidance_scale": 5.5,
            "seed": 3,
            "negative_prompt": "rain",
            "width": 1024,
            "height": 1024,
            "apply_watermark": False,
        },
    }
    assert str(sim.bill.usd()) == "0.003726"


@pytest.mark.parametrize("name", ["stability-ai/sdxl:latest", "replicate/sdxl", "stability-ai/sdxl"])
async def test_the_original_catalogues_names_of_sdxl_are_callable(sim, name):
    await made(sim, order(model=name))
    assert job(sim)["model"] == "stability-ai/sdxl"


async def test_the_original_catalogues_name_of_realistic_vision_is_callable(sim):
    done = await made(sim, order(model="saidachmiz/realistic-vision-v5-1:latest", seed=1))
    assert await shown(done) == [("PNG", (512, 512))]
    assert (job(sim)["model"], job(sim)["input"]["guidance"]) == ("lucataco/realistic-vision-v5.1", 5)


@pytest.mark.parametrize("model", ["flux-1-dev", "sd-3.5-large", "sdxl"])
async def test_painting_over_a_picture_sends_it_as_a_data_url_with_its_strength(sim, model):
    data = picture()
    done = await made(sim, order(model=model, operation="image-to-image", inputs=(data,), strength=0.4))
    assert await shown(done) == [("PNG", (96, 64))]
    sent = job(sim)["input"]
    assert (sent["image"].startswith("data:image/png;base64,iVBOR"), sent["prompt_strength"]) == (True, 0.4)


@pytest.mark.parametrize(("model", "usd"), [("flux-1-fill-pro", "0.050000"), ("sdxl", "0.006282")])
async def test_filling_a_hole_sends_a_mask_that_is_white_where_ours_is_clear(sim, model, usd):
    mask = Image.new("RGBA", (96, 64), "black")
    mask.paste((0, 0, 0, 0), (0, 0, 48, 64))
    file = io.BytesIO()
    mask.save(file, "PNG")
    wanted = order(model=model, operation="inpaint", inputs=(picture(),), mask=file.getvalue())
    done = await made(sim, wanted)
    assert await shown(done) == [("PNG", (96, 64))]
    head, _, text = job(sim)["input"]["mask"].partition(",")
    sent = Image.open(io.BytesIO(b64decode(text)))
    assert (head, sent.mode, sent.getpixel((0, 0)), sent.getpixel((95, 0))) == (
        "data:image/png;base64",
        "L",
        255,
        0,
    )
    assert str(sim.bill.usd()) == usd
    async with at(sim, Replicate) as replicate:
        assert await replicate.find(wanted) == {"id": job(sim)["id"]}


async def test_an_edit_keeps_the_shape_of_its_picture(sim):
    done = await made(
        sim, order("in snow", model="flux-1-kontext-pro", operation="edit", inputs=(picture(),))
    )
    assert await shown(done) == [("PNG", (96, 64))]
    sent = job(sim)["input"]
    assert (sent["aspect_ratio"], sent["input_image"][:10]) == ("match_input_image", "data:image")
    assert str(sim.bill.usd()) == "0.040000"


async def test_an_edit_with_several_pictures_sends_a_list(sim):
    await made(sim, order(model="flux-2-pro", operation="edit", inputs=(picture(), picture(64, 64))))
    assert len(job(sim)["input"]["input_images"]) == 2


async def test_a_large_picture_is_uploaded_first(sim):
    data = picture(400, 400, noise=True)
    done = await made(sim, order(model="flux-1-dev", operation="image-to-image", inputs=(data,)))
    assert len(data) > 192 * 1024
    assert await shown(done) == [("PNG", (400, 400))]
    address = job(sim)["input"]["image"]
    assert sim.vendors["replicate"].uploads == {address: data}
    assert len(sim.requests(path="/v1/files")) == 1


async def test_any_model_may_be_named_and_given_its_own_fields(sim):
    free = {"input": {"width": 640, "seed": 9}}
    name = "lucataco/ssd-1b"
    for asked in (f"replicate/{name}", f"replicate/{name}:{VERSIONS[name]}"):
        wanted = replace(order(model=asked, options=free), model=asked.removeprefix("replicate/"))
        assert len((await made(sim, wanted)).links) == 1
        assert job(sim)["input"] == {"prompt": "a red fox", "width": 640, "seed": 9}
    assert [one.body["version"] for one in posts(sim)] == [VERSIONS[name], f"{name}:{VERSIONS[name]}"]


async def test_an_official_model_that_the_catalog_does_not_know_is_called_by_its_name(sim):
    name = "ideogram-ai/ideogram-v3-quality"
    await made(sim, replace(order(model="replicate-any"), model=name))
    assert posts(sim)[0].body == {"version": name, "input": {"prompt": "a red fox"}}


async def test_awkward_words_arrive_as_they_are(sim):
    await made(sim, order(AWKWARD))
    assert job(sim)["input"]["prompt"] == AWKWARD


async def test_an_output_of_any_shape_is_read(sim):
    assert len((await made(sim, order(model="flux-1.1-pro"))).links) == 1
    assert len((await made(sim, order(f"a fox {AS_OBJECT}", count=3))).links) == 3


async def test_output_shown_before_the_end_is_not_the_end(sim):
    async with at(sim, Replicate) as replicate:
        outcome, seen = await replicate.submit(order(f"a fox {EARLY}")), set()
        while isinstance(outcome, Pending):
            await asyncio.sleep(0.01)
            outcome = await replicate.poll(outcome.ticket)
            seen.add((job(sim)["status"], job(sim)["output"] is None))
    assert ("processing", False) in seen
    assert [link.startswith(sim.url) for link in outcome.links] == [True]


async def test_a_ticket_survives_json_and_another_process(sim):
    async with at(sim, Replicate) as replicate:
        pending = await replicate.submit(order())
    assert pending.ticket == {"id": job(sim)["id"]}
    async with at(sim, Replicate) as another:
        done = await finish(another, Pending(json.loads(json.dumps(pending.ticket))))
    assert (len(done.links), len(posts(sim))) == (1, 1)


@pytest.mark.parametrize("fault", ["cut_after", "error_after", "malformed", "empty"])
async def test_an_order_with_a_lost_answer_is_found_by_its_input(sim, fault):
    await made(sim, order(seed=1))
    sim.fault(fault, path="/v1/predictions")
    wanted = order(seed=2)
    async with at(sim, Replicate) as replicate:
        with pytest.raises(TimedOut):
            await replicate.submit(wanted)
        ticket = await replicate.find(wanted)
        assert ticket == {"id": job(sim)["id"]}
        assert len((await finish(replicate, Pending(ticket))).links) == 1
        assert await replicate.find(order(seed=3)) is None
        with pytest.raises(Unknown, match="from before it by our clock"):
            await replicate.find(replace(wanted, at=wanted.at + 3600))
    assert (len(posts(sim)), str(sim.bill.usd())) == (2, "0.006000")


async def test_an_order_is_found_behind_a_hundred_later_ones(sim):
    wanted = order(f"a fox {WAITS}", seed=1)
    later = order(f"a fox {WAITS}", seed=2)
    async with at(sim, Replicate) as replicate:
        pending = await replicate.submit(wanted)
        for _ in range(120):
            await replicate.submit(later)
        assert await replicate.find(wanted) == pending.ticket
    assert len(sim.requests(path="/v1/predictions")) == 123


async def test_of_several_orders_alike_none_is_taken_for_ours(sim):
    wanted = order(seed=2)
    async with at(sim, Replicate) as replicate:
        await replicate.submit(wanted)
        await replicate.submit(wanted)
        with pytest.raises(Unknown, match="2 orders in the vendor's list look like this one"):
            await replicate.find(wanted)


async def test_an_earlier_order_of_the_same_job_is_not_taken_for_this_one(sim):
    wanted = order(seed=2)
    async with at(sim, Replicate) as replicate:
        first = await replicate.submit(wanted)
        alone = replace(wanted, others=frozenset({first.ticket["id"]}))
        assert await replicate.find(alone) is None
        second = await replicate.submit(wanted)
        assert (await replicate.find(alone))["id"] == second.ticket["id"]


async def test_a_list_that_does_not_reach_back_to_the_order_says_nothing(sim, monkeypatch):
    monkeypatch.setattr("limner.providers.replicate_inputs._PAGES", 1)
    async with at(sim, Replicate) as replicate:
        for seed in range(110):
            await replicate.submit(order(f"a fox {WAITS}", seed=seed))
        with pytest.raises(Unknown, match="does not reach back"):
            await replicate.find(order(seed=1000))


async def test_an_edit_is_found_without_its_pictures(sim):
    wanted = order(model="flux-1-kontext-pro", operation="edit", inputs=(picture(),), seed=4)
    async with at(sim, Replicate) as replicate:
        await replicate.submit(wanted)
        assert await replicate.find(replace(wanted, inputs=())) == {"id": job(sim)["id"]}


@pytest.mark.parametrize(
    ("fault", "error", "said", "billed"),
    [
        ("no_money", Unauthorized, "402: Insufficient credit You have insufficient credit", "no"),
        ("bad_key", Unauthorized, "401: Unauthenticated You did not pass a valid", "no"),
        ("rate_limited", RateLimited, "429: .*throttled", "no"),
        ("overloaded", Unavailable, "503: .*temporarily unavailable", "no"),
        ("error_before", TimedOut, "500: .*Internal server error", "maybe"),
        ("html_502", TimedOut, "502: .*<html>", "maybe"),
        ("cut_before", TimedOut, "broke the connection", "maybe"),
        ("malformed", TimedOut, "taken, but cannot read", "maybe"),
        ("empty", TimedOut, "taken, but cannot read", "maybe"),
    ],
)
async def test_each_fault_of_an_order_says_what_next(sim, fault, error, said, billed):
    sim.fault(fault)
    async with at(sim, Replicate) as replicate:
        with pytest.raises(error, match=said) as caught:
            await replicate.submit(order())
    assert (type(caught.value), caught.value.billed, len(posts(sim))) == (error, billed, 1)


@pytest.mark.parametrize(
    ("fault", "error", "said", "billed"),
    [
        ("refused", Refused, "failed: NSFW content detected", ("no", "maybe")),
        ("job_fails", Rejected, "failed: CUDA out of memory", ("no", "maybe")),
        ("unknown_word", Malformed, "cannot read status", ("maybe", "maybe")),
        ("empty_success", Malformed, "succeeded without a picture", ("maybe", "maybe")),
        ("lost", Lost, "404: .*could not be found", ("maybe", "maybe")),
    ],
)
async def test_each_bad_end_says_what_next_and_is_charged_as_it_says(sim, fault, error, said, billed):
    for model, charged in zip(("flux-1-schnell", "sdxl"), billed, strict=True):
        sim.reset()
        sim.fault(fault, path="/v1/predictions")
        async with at(sim, Replicate) as replicate:
            with pytest.raises(error, match=said) as caught:
                await finish(replicate, await replicate.submit(order(model=model)))
        await asyncio.sleep(0.5)  # a forgotten order is worked on all the same
        assert (type(caught.value), caught.value.billed) == (error, charged)
        assert (model, sim.bill.orders()) == (model, 0 if charged == "no" else 1)


@pytest.mark.parametrize(
    "fault", ["wrong_size", "foreign_url", "fewer_images", "not_an_image", "expired_url"]
)
async def test_what_is_odd_about_the_pictures_is_left_to_who_fetches_them(sim, fault):
    sim.fault(fault)
    done = await made(sim, order(count=2))
    assert (len(done.links), sim.foreign_asks) == (1 if fault == "fewer_images" else 2, 0)
    assert sim.bill.images() == 2


async def test_a_finished_order_is_lost_after_an_hour(sim):
    async with at(sim, Replicate) as replicate:
        pending = await replicate.submit(order())
        await finish(replicate, pending)
        sim.advance(3601)
        with pytest.raises(Lost, match="kept for one hour"):
            await replicate.poll(pending.ticket)


async def test_progress_is_read_from_the_logs(sim):
    async with at(sim, Replicate) as replicate:
        pending = await replicate.submit(order(f"a fox {EARLY}", model="flux-1-dev"))
        fractions = set()
        while isinstance(pending, Pending):
            await asyncio.sleep(0.01)
            pending = await replicate.poll(pending.ticket)
            fractions.add(getattr(pending, "fraction", 1.0))
    assert {0.5, 1.0} <= fractions <= {None, 0.5, 1.0}


async def test_stopping_an_order_in_the_queue_is_free(sim):
    async with at(sim, Replicate) as replicate:
        pending = await replicate.submit(order(f"a fox {WAITS}"))
        await replicate.cancel(pending.ticket)
        with pytest.raises(Rejected, match="before it started") as caught:
            await replicate.poll(pending.ticket)
    assert (caught.value.billed, sim.bill.orders()) == ("no", 0)


async def test_stopping_an_order_at_work_is_charged(sim):
    sim.fault("never_ends")
    async with at(sim, Replicate) as replicate:
        pending = await replicate.submit(order())
        await until(lambda: job(sim)["status"] == "processing")
        await replicate.cancel(pending.ticket)
        with pytest.raises(Lost, match="charged") as caught:
            await replicate.poll(pending.ticket)
        await replicate.cancel(pending.ticket)
    assert (caught.value.billed, str(sim.bill.usd())) == ("maybe", "0.003000")


async def test_an_order_stopped_by_the_vendors_deadline_costs_nothing(sim):
    headers = {"Authorization": f"Bearer {sim.key('replicate')}", "Cancel-After": "1m"}
    body = {"version": "black-forest-labs/flux-schnell", "input": {"prompt": WAITS}}
    async with aiohttp.ClientSession(sim.base("replicate") + "v1/", headers=headers) as http:
        answer = await (await http.post("predictions", json=body)).json()
    sim.advance(61)
    async with at(sim, Replicate) as replicate:
        with pytest.raises(Rejected, match="deadline was over"):
            await replicate.poll({"id": answer["id"]})
    assert (job(sim)["status"], sim.bill.orders()) == ("aborted", 0)


async def test_a_poor_account_is_told_when_to_come_again(sim):
    async with at(sim, Replicate, "r8_emu-poor") as replicate:
        await replicate.submit(order())
        with pytest.raises(RateLimited) as caught:
            await replicate.submit(order())
        assert caught.value.after_s == 10.0
        sim.advance(11)
        await replicate.submit(order())


async def test_a_wait_is_read_from_the_words_where_there_is_nothing_else(sim):
    sim.fault("rate_limited", after_s=30)
    async with at(sim, Replicate) as replicate:
        with pytest.raises(RateLimited) as caught:
            await replicate.submit(order())
    assert caught.value.after_s == 30.0


@pytest.mark.parametrize(
    ("model", "options", "said"),
    [
        ("nobody/nothing", {}, "404: .*could not be found"),
        ("stability-ai/sdxl:" + "0" * 64, {}, "422: Invalid version or not permitted"),
        ("lucataco/ssd-1b", {"input": {"colour": "red"}}, "422: Input validation failed - input: .*'colour'"),
        ("lucataco/ssd-1b", {"input": {"width": 9999}}, "422: Input validation failed - input.width: 9999"),
    ],
)
async def test_what_the_vendor_does_not_have_is_rejected_in_its_words(sim, model, options, said):
    wanted = replace(order(model="replicate/any/model", options=options), model=model)
    async with at(sim, Replicate) as replicate:
        with pytest.raises(Rejected, match=said):
            await replicate.submit(wanted)
    assert sim.bill.orders() == 0


async def test_a_fault_before_the_order_is_no_lost_order(sim):
    large = picture(400, 400, noise=True)
    for fault, path, wanted in (
        ("error_before", "/v1/models", order(model="sdxl")),
        ("malformed", "/v1/models", order(model="sdxl")),
        ("html_502", "/v1/files", order(model="flux-1-dev", operation="image-to-image", inputs=(large,))),
    ):
        sim.fault(fault, path=path)
        async with at(sim, Replicate) as replicate:
            with pytest.raises(Unavailable):
                await replicate.submit(wanted)
    assert posts(sim) == []


def test_a_proxys_503_says_nothing_about_the_order():
    assert type(Replicate.classify(503, {}, b"<html>")) is TimedOut
    assert Replicate.classify(200, {}, b"") is None


@pytest.mark.parametrize(
    "link",
    ["data:image/png;base64,%%%", "data:image/png;base64,AAAA", "https://elsewhere.example/a.png", "x"],
)
async def test_the_stand_in_refuses_what_is_no_picture(sim, link):
    any_dev = replace(order(model="flux-1-dev"), dialect={"official": True, "drawing": {"image": link}})
    async with at(sim, Replicate) as replicate:
        with pytest.raises(Rejected, match="cannot identify image file"):
            await replicate.submit(any_dev)


async def test_a_private_model_does_not_rest_the_account(sim):
    async with at(sim, Replicate, f"{sim.key('replicate')}-forbidden") as replicate:
        with pytest.raises(Rejected, match="403"):
            await replicate.submit(order())


async def test_a_probe_asks_whose_key_it_is(sim):
    async with at(sim, Replicate) as replicate:
        assert await replicate.probe() == Health(ok=True)
    async with at(sim, Replicate, "r8_wrong") as replicate:
        with pytest.raises(Unauthorized, match="valid authentication token"):
            await replicate.probe()
    assert Replicate.recovery is Recovery.TICKETED


async def test_the_key_is_never_sent_where_the_pictures_are(sim):
    done = await made(sim, order())
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {sim.key('replicate')}"}) as http:
        assert (await http.get(done.links[0])).status == 403


@pytest.mark.parametrize("model", [one for one in LISTED if one.price], ids=lambda one: one.id)
async def test_the_bill_is_what_the_catalog_says(sim, model):
    filling = {"operation": "inpaint", "inputs": (picture(),), "mask": picture()}
    more = {} if "generate" in model.operations else filling
    wanted = order(model=model.id, count=model.max_count, width=800, height=600, **more)
    done = await made(sim, wanted)
    quoted = estimate_usd(wanted.request, model)
    settled = settled_usd(wanted.request, model, {}, done.usage.seconds) or quoted
    assert (to_micros(quoted), to_micros(settled)) == (to_micros(sim.bill.usd()),) * 2


def test_every_size_the_catalog_lists_has_its_shape():
    for model in LISTED:
        shapes = Dialect.model_validate(model.dialect).shapes
        assert not shapes or set(shapes) == {f"{width}x{height}" for width, height in model.sizes.listed}


async def test_webhooks_are_signed_and_only_the_wanted_events_are_sent(sim):
    heard = []

    async def hook(request):
        heard.append((request.headers, await request.read()))
        return web.Response(status=500 if len(heard) == 1 else 200)

    app = web.Application()
    app.router.add_post("/hook", hook)
    async with TestServer(app) as server:
        headers = {"Authorization": f"Token {sim.key('replicate')}", "Prefer": "wait=5"}
        body = {
            "version": "black-forest-labs/flux-schnell",
            "input": {"prompt": "a fox"},
            "webhook": str(server.make_url("/hook")),
            "webhook_events_filter": ["completed"],
        }
        async with aiohttp.ClientSession(sim.base("replicate") + "v1/", headers=headers) as http:
            answer = await (await http.post("predictions", json=body)).json()
        await until(lambda: len(heard) == 2)
    assert answer["status"] == "succeeded"
    (first, raw), (second, _) = heard
    assert first["webhook-id"] == second["webhook-id"]
    assert json.loads(raw)["id"] == answer["id"]
    sent = float(first["webhook-timestamp"])
    assert await signed(first, raw, SECRET, sent + 1)


async def signed(*call):
    """By Replicate? It asks nobody."""
    return await Replicate(Wire(None, Replicate.base_url, {})).verify(*call)


@pytest.mark.parametrize(
    ("change", "body", "late_s", "good"),
    [
        ({}, b"{}", 0, True),
        ({}, b"{}", 299, True),
        ({}, b"{}", 301, False),
        ({}, b"{ }", 0, False),
        ({"webhook-id": "other"}, b"{}", 0, False),
        ({"webhook-signature": "v1,not-base64!"}, b"{}", 0, False),
        ({"webhook-signature": ""}, b"{}", 0, False),
        ({"webhook-timestamp": "soon"}, b"{}", 0, False),
        ({"webhook-timestamp": "9" * 5000}, b"{}", 0, False),
        ({"webhook-id": "\udcff", "webhook-signature": "v1,\udcff"}, b"{}", 0, False),
    ],
)
async def test_a_webhook_is_believed_only_with_its_signature_and_when_fresh(change, body, late_s, good):
    headers = {"webhook-id": "m", "webhook-timestamp": "1000", "webhook-signature": sign("m", "1000", b"{}")}
    assert await signed(headers | change, body, SECRET, 1000 + late_s) is good
    headers["webhook-signature"] = "v1,AAAA " + headers["webhook-signature"]
    assert await signed(headers | change, body, SECRET, 1000 + late_s) is good


async def test_an_order_says_where_to_call_when_it_is_done(sim):
    async with at(sim, Replicate) as replicate:
        await replicate.submit(replace(order(), webhook="https://127.0.0.1:9/v1/hooks/replicate/abc1"))
        await replicate.submit(order())
    called, silent = posts(sim)
    assert called.body["webhook"] == "https://127.0.0.1:9/v1/hooks/replicate/abc1"
    assert called.body["webhook_events_filter"] == ["completed"]
    assert "webhook" not in silent.body


def test_a_call_tells_the_id_of_a_lost_order_and_nonsense_tells_none():
    assert Replicate.told("m", b'{"id": "p1", "status": "succeeded"}') == {"id": "p1"}
    assert Replicate.told("m", b'{"status": "succeeded"}') is None
    assert Replicate.told("m", b"\xff") is None


async def test_a_secret_that_is_none_proves_nothing():
    assert await signed({"webhook-timestamp": "1000"}, b"{}", "whsec_not-base64", 1000) is False


async def test_without_a_secret_nobody_can_tell_whose_a_call_is():
    assert await signed({}, b"{}", None, 1000) is True
