"""fal against its stand-in."""

import asyncio
import io
import json
from base64 import b64decode
from dataclasses import replace
from decimal import Decimal

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
)
from limner.providers.base import Done, Health, Pending, Recovery, Usage
from limner.providers.fal import Fal
from limner.simulator import fal as vendor
from limner.simulator.app import Simulator
from tests.providers.wiring import at, call, finish

AWKWARD = 'a "red" fox;\r\n{{x}} \\u0041 🦊 ' + "x" * 9_900
MODELS = parse(shipped_tables()["fal"]).models


@pytest.fixture
async def sim():
    async with Simulator(vendors=[vendor.Fal], speed=200) as running:
        yield running
    assert running.mistakes == []


@pytest.fixture
async def fal(sim):
    async with at(sim, Fal) as provider:
        yield provider


def order(prompt="a red fox", **fields):
    return call("fal", prompt, **fields)


def picture(width=96, height=64):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(file, "PNG")
    return file.getvalue()


async def seen(done):
    async with aiohttp.ClientSession() as http, http.get(done.links[0]) as answer:
        image = Image.open(io.BytesIO(await answer.read()))
        return image.format, image.size


def body(sim):
    return next(one.body for one in sim.requests("fal") if one.method == "POST")


def lines(sim):
    return [f"{one.method} {one.path}" for one in sim.requests("fal")]


async def test_an_order_goes_to_the_models_path_and_its_addresses_are_used_as_they_came(sim, fal):
    pending = await fal.submit(order(seed=7, count=2, width=512, height=640))
    done = await finish(fal, pending)
    assert body(sim) == {
        "prompt": "a red fox",
        "num_inference_steps": 4,
        "guidance_scale": 3.5,
        "seed": 7,
        "num_images": 2,
        "output_format": "png",
        "image_size": {"width": 512, "height": 640},
        "enable_safety_checker": True,
    }
    job = f"/fal/queue/fal-ai/flux/requests/{pending.ticket['status'].split('/')[-2]}"
    assert lines(sim)[0] == "POST /fal/queue/fal-ai/flux/schnell"
    assert set(lines(sim)[1:-1]) == {f"GET {job}/status"}
    assert lines(sim)[-1] == f"GET {job}"
    assert (len(done.links), done.seeds, done.usage) == (2, (), Usage(tokens={"megapixels": 2}))
    assert await seen(done) == ("PNG", (512, 640))
    assert sim.bill.usd() == Decimal("0.006")


async def test_one_picture_tells_its_seed_and_a_jpeg_is_a_jpeg(fal):
    done = await finish(fal, await fal.submit(order(seed=7, width=256, height=256, format="jpeg")))
    assert (done.seeds, await seen(done)) == ((7,), ("JPEG", (256, 256)))


@pytest.mark.parametrize("size", [(512, 512), (1024, 1024), (1536, 1024), (2048, 2048)])
@pytest.mark.parametrize("model", [one for one in MODELS if one.price and "generate" in one.operations])
async def test_the_quote_the_settled_price_and_the_bill_are_one_figure(sim, fal, model, size):
    wanted = order(model=model.ref, width=size[0], height=size[1], count=min(2, model.max_count))
    done = await finish(fal, await fal.submit(wanted))
    quoted = estimate_usd(wanted.request, model)
    settled = settled_usd(wanted.request, model, done.usage.tokens, None)
    assert (quoted, quoted if settled is None else settled) == (sim.bill.usd(), sim.bill.usd())


async def test_an_image_is_painted_over_in_its_own_size_and_paid_by_it(sim, fal):
    size = {"width": 1203, "height": 1001}  # Limner sets the input's size where none was asked for
    wanted = order(operation="image-to-image", inputs=(picture(**size),), strength=0.6, **size)
    done = await finish(fal, await fal.submit(wanted))
    model = next(one for one in MODELS if one.ref == wanted.model)
    assert estimate_usd(wanted.request, model) == sim.bill.usd()
    assert lines(sim)[0] == "POST /fal/queue/fal-ai/flux/dev/image-to-image"
    assert (body(sim)["strength"], "image_size" in body(sim)) == (0.6, False)
    assert (await seen(done), done.usage.tokens, sim.bill.usd()) == (
        ("PNG", (1203, 1001)),
        {"megapixels": 2},
        Decimal("0.06"),
    )


@pytest.mark.parametrize(("model", "usd"), [(None, "0.04"), ("flux-1-kontext-max", "0.08")])
async def test_an_edit_shows_the_picture_as_a_data_url(sim, fal, model, usd):
    source = picture()
    done = await finish(fal, await fal.submit(order(operation="edit", model=model, inputs=(source,))))
    job = next(iter(sim.vendors["fal"].orders.values()))
    head, _, data = job.input.image_url.partition(",")
    assert (head, b64decode(data)) == ("data:image/png;base64", source)
    assert (await seen(done), sim.bill.usd()) == (("PNG", (96, 64)), Decimal(usd))


async def test_a_model_that_knows_shapes_only_is_told_the_nearest(sim, fal):
    done = await finish(fal, await fal.submit(order(model="flux-1.1-pro-ultra", width=1920, height=1080)))
    assert body(sim)["aspect_ratio"] == "16:9"
    assert await seen(done) == ("PNG", (2752, 1536))


async def test_any_model_can_be_named_by_its_path(sim, fal):
    wanted = replace(order(model="fal/fal-ai/qwen-image"), model="fal-ai/qwen-image")
    assert len((await finish(fal, await fal.submit(wanted))).links) == 1
    assert lines(sim)[0] == "POST /fal/queue/fal-ai/qwen-image"


async def test_awkward_words_and_a_huge_seed_arrive_as_they_are(sim, fal):
    await finish(fal, await fal.submit(order(AWKWARD, seed=2**63 - 1, width=256, height=256)))
    sent = next(iter(sim.vendors["fal"].orders.values())).input
    assert (sent.prompt, sent.seed) == (AWKWARD, (2**63 - 1) % 2**32)


async def test_a_ticket_survives_a_restart(sim, fal):
    ticket = json.loads(json.dumps((await fal.submit(order())).ticket))
    async with at(sim, Fal) as another:
        assert len((await finish(another, Pending(ticket))).links) == 1


async def test_an_order_that_is_not_finished_is_pending(sim, fal):
    sim.fault("never_ends")
    pending = await fal.submit(order())
    assert await fal.poll(pending.ticket) == Pending(pending.ticket, after_s=0.5)


async def test_a_ticket_that_leads_elsewhere_is_not_followed_with_our_key(sim, fal):
    ticket = (await fal.submit(order())).ticket | {"status": "http://127.0.0.2:9/status"}
    with pytest.raises(Malformed, match="the key stays here"):
        await fal.poll(ticket)


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("rate_limited", RateLimited, ("Too many concurrent", "no")),
        ("no_money", Unauthorized, ("Exhausted balance", "no")),
        ("bad_key", Unauthorized, ("No user found", "no")),
        ("overloaded", Unavailable, ("over capacity", "no")),
        ("error_before", TimedOut, ("Internal Server Error", "maybe")),
        ("html_502", TimedOut, ("502", "maybe")),
        ("cut_before", TimedOut, ("broke the connection", "maybe")),
        ("cut_after", TimedOut, ("broke the connection", "maybe")),
        ("malformed", Malformed, ("cannot read", "maybe")),
        ("empty", Malformed, ("cannot read", "maybe")),
    ],
)
async def test_each_answer_to_an_order_is_an_error_that_says_what_next(sim, fal, kind, error, told):
    sim.fault(kind)
    with pytest.raises(error, match=told[0]) as caught:
        await fal.submit(order())
    assert caught.value.billed == told[1]
    assert sim.bill.orders() == (1 if kind in ("cut_after", "malformed", "empty") else 0)


@pytest.mark.parametrize(
    ("kind", "error", "told"),
    [
        ("refused", Refused, ("flagged by a content checker", "no")),
        ("job_fails", Rejected, ("runner_disconnected", "no")),
        ("unknown_word", Malformed, ("PONDERING", "maybe")),
        ("empty_success", Malformed, ("has no picture", "maybe")),
        ("lost", Lost, ("Request not found", "maybe")),
    ],
)
async def test_each_end_of_an_order_is_an_error_that_says_what_next(sim, fal, kind, error, told):
    sim.fault(kind)
    with pytest.raises(error, match=told[0]) as caught:
        await finish(fal, await fal.submit(order()))
    assert caught.value.billed == told[1]


async def test_black_pictures_are_a_refusal_that_was_billed(sim, fal):
    with pytest.raises(Refused, match="blacked out every picture") as caught:
        await finish(fal, await fal.submit(order(f"a fox {vendor.BLACK}", count=2)))
    assert (caught.value.billed, sim.bill.usd()) == ("yes", Decimal("0.006"))


async def test_of_several_pictures_the_black_ones_are_left_out_and_paid(sim, fal):
    done = await finish(fal, await fal.submit(order(f"a fox {vendor.ONE_BLACK}", count=3)))
    assert (len(done.links), done.usage.tokens, sim.bill.usd()) == (2, {"megapixels": 3}, Decimal("0.009"))


async def test_without_the_checker_nothing_is_black(fal):
    wanted = order(f"a fox {vendor.BLACK}", options={"enable_safety_checker": False})
    assert len((await finish(fal, await fal.submit(wanted))).links) == 1


@pytest.mark.parametrize(
    ("kind", "met"),
    [
        ("expired_url", (404, b"ther")),
        ("not_an_image", (200, b"<htm")),
        ("foreign_url", (200, b"\x89PNG")),
        ("wrong_size", (200, b"\x89PNG")),
    ],
)
async def test_what_is_wrong_with_a_picture_is_met_where_it_is_fetched(sim, fal, kind, met):
    sim.fault(kind)
    done = await finish(fal, await fal.submit(order(width=1280, height=1024)))
    async with aiohttp.ClientSession() as http, http.get(done.links[0]) as answer:
        assert (answer.status, (await answer.read())[:4]) == met
    megapixels = 1 if kind == "wrong_size" else 2
    assert (sim.foreign_asks, done.usage.tokens) == (
        1 if kind == "foreign_url" else 0,
        {"megapixels": megapixels},
    )
    assert sim.bill.usd() == Decimal("0.003") * megapixels


async def test_fewer_pictures_are_settled_by_what_came(sim, fal):
    sim.fault("fewer_images")
    done = await finish(fal, await fal.submit(order(count=3)))
    assert (len(done.links), done.usage.tokens, sim.bill.usd()) == (2, {"megapixels": 2}, Decimal("0.006"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 13}, "less than or equal to 12"),
        ({"count": 5}, "less than or equal to 4"),
        ({"options": {"colour": "red"}}, "Extra inputs are not permitted"),
        ({"prompt": ""}, "at least 1 character"),
    ],
)
async def test_what_the_model_calls_invalid_is_rejected_in_its_words(sim, fal, change, said):
    wanted = order()
    pending = await fal.submit(replace(wanted, request=wanted.request.model_copy(update=change)))
    with pytest.raises(Rejected, match=said):
        await finish(fal, pending)
    assert sim.bill.orders() == 0


async def test_a_model_that_is_not_there_is_rejected(fal):
    with pytest.raises(Rejected, match="Application 'fal-ai/nothing' not found"):
        await fal.submit(replace(order(), model="fal-ai/nothing"))


async def test_a_fault_of_the_vendor_while_polling_is_a_passing_one(sim, fal):
    pending = await fal.submit(order())
    sim.fault("error_before", path="/status")
    with pytest.raises(TimedOut):
        await fal.poll(pending.ticket)
    assert len((await finish(fal, pending)).links) == 1


async def test_an_order_still_in_the_queue_is_stopped_and_costs_nothing(sim, fal):
    sim.fault("never_ends")
    pending = await fal.submit(order())
    await fal.cancel(pending.ticket)
    with pytest.raises(Rejected, match="request_cancelled"):
        await fal.poll(pending.ticket)
    assert sim.bill.orders() == 0


async def test_stopping_an_order_that_has_ended_changes_nothing(sim, fal):
    pending = await fal.submit(order())
    await finish(fal, pending)
    await fal.cancel(pending.ticket)
    assert (len((await finish(fal, pending)).links), sim.bill.orders()) == (1, 1)


@pytest.mark.parametrize("key", ["someone-else", "", "fal-emu-forbidden"])
async def test_a_bad_key_shows_in_a_probe(sim, key):
    async with at(sim, Fal, key=key) as fal:
        with pytest.raises(Unauthorized):
            await fal.probe()


async def test_a_good_key_shows_in_a_probe_which_costs_nothing(sim, fal):
    assert await fal.probe() == Health(ok=True)
    assert sim.bill.orders() == 0


def test_a_lost_order_of_fal_cannot_be_found():
    assert (Fal.recovery, Fal.key_env, Fal.auth("k")) == (
        Recovery.BLIND,
        ("FAL_KEY",),
        {"Authorization": "Key k"},
    )


@pytest.mark.parametrize(
    ("status", "text", "error"),
    [
        (200, b"{}", None),
        (500, b'{"detail":"x","error_type":"generation_timeout"}', Rejected),
        (504, b"<html>", TimedOut),
        (403, b'{"detail":"User is locked. Reason: Exhausted balance."}', Unauthorized),
        (422, b'{"detail":"text"}', Rejected),
        (400, b'{"detail":[{"loc":["body"],"msg":"m","type":"downstream_service_error"}]}', Rejected),
    ],
)
def test_the_type_decides_what_an_error_is(status, text, error):
    assert type(Fal.classify(status, {}, text)) is (type(None) if error is None else error)


async def test_an_order_says_where_to_call_when_it_is_done(sim, fal):
    await fal.submit(replace(order(), webhook="https://127.0.0.1:9/v1/hooks/fal/abc1?a&b"))
    await fal.submit(order())
    asked = [one.query for one in sim.requests("fal") if one.method == "POST"]
    assert asked == [{"fal_webhook": "https://127.0.0.1:9/v1/hooks/fal/abc1?a&b"}, {}]


async def test_a_call_tells_the_ticket_of_a_lost_order(sim, fal):
    wanted = order()
    await fal.submit(wanted)
    (job,) = sim.vendors["fal"].orders
    ticket = Fal.told(wanted.model, b'{"request_id": "%s", "status": "OK"}' % job.encode())
    assert isinstance(await fal.poll(ticket), Pending | Done)
    assert Fal.told(wanted.model, b'{"request_id": "../../etc"}') is None
    assert Fal.told(wanted.model, b"[]") is None


@pytest.mark.parametrize("fault", [None, "job_fails"])
async def test_the_vendor_calls_until_it_is_heard(sim, fal, fault):
    heard = []

    async def hook(request):
        heard.append(await request.json())
        return web.Response(status=500 if len(heard) == 1 else 204)

    app = web.Application()
    app.router.add_post("/hook", hook)
    if fault:
        sim.fault(fault)
    async with TestServer(app) as server:
        await fal.submit(replace(order(), webhook=str(server.make_url("/hook"))))
        for _ in range(1000):
            if len(heard) == 2:
                break
            await asyncio.sleep(0.01)
    first, second = heard
    assert first == second
    assert first["status"] == ("ERROR" if fault else "OK")
    assert len(first["payload"].get("images", ())) == (0 if fault else 1)
