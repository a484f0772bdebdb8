"""Stability against its stand-in."""

import io

import aiohttp
import pytest
from PIL import Image

from limner.catalog.load import parse, shipped_tables
from limner.catalog.price import estimate_usd
from limner.core.errors import (
    Malformed,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from limner.providers.base import Health, Recovery
from limner.providers.stability import Stability
from limner.simulator import stability as vendor
from limner.simulator.app import Simulator
from tests.providers.wiring import at, call

LISTED = parse(shipped_tables()["stability"]).models
AWKWARD = 'a "red" fox;\r\n--boundary\r\nContent-Type: x\n🦊 ' + "x" * 9_900


@pytest.fixture
async def sim():
    async with Simulator(vendors=[vendor.Stability]) as running:
        yield running
    assert running.mistakes == []


def order(prompt="a red fox", **fields):
    return call("stability", prompt, **fields)


def picture(kind="PNG", width=256, height=192):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((width, height)).convert("RGB").save(file, kind)
    return file.getvalue()


def seen(done):
    image = Image.open(io.BytesIO(done.images[0]))
    return image.format, image.size


def fields(sim):
    return sim.vendors["stability"].jobs()[-1]


async def test_a_picture_is_drawn_in_the_shape_asked_for_with_the_seed_told(sim):
    async with at(sim, Stability) as stability:
        done = await stability.submit(order(seed=7, width=1920, height=1080, negative_prompt="rain"))
    assert (seen(done), done.seeds) == (("PNG", (1344, 768)), (7,))
    assert fields(sim) == {
        "path": "/stability/v2beta/stable-image/generate/core",
        "prompt": "a red fox",
        "negative_prompt": "rain",
        "seed": "7",
        "output_format": "png",
        "aspect_ratio": "16:9",
    }
    assert sim.requests()[0].headers["Accept"] == "image/*"
    assert (str(sim.bill.usd()), sim.bill.orders()) == ("0.03", 1)


async def test_a_model_behind_a_shared_path_is_named_in_the_form_with_its_guidance(sim):
    async with at(sim, Stability) as stability:
        done = await stability.submit(order(model="sd-3.5-medium", seed=1, guidance_scale=6.5, format="webp"))
    assert seen(done) == ("PNG", (1024, 1024))
    assert fields(sim) == {
        "path": "/stability/v2beta/stable-image/generate/sd3",
        "prompt": "a red fox",
        "seed": "1",
        "output_format": "png",
        "model": "sd3.5-medium",
        "mode": "text-to-image",
        "cfg_scale": "6.5",
        "aspect_ratio": "1:1",
    }
    assert str(sim.bill.usd()) == "0.035"


async def test_a_style_is_sent_in_the_vendors_spelling_and_a_format_it_has_as_asked(sim):
    async with at(sim, Stability) as stability:
        done = await stability.submit(order(style="Neon-Punk", format="webp"))
    assert seen(done) == ("WEBP", (1024, 1024))
    assert (fields(sim)["style_preset"], fields(sim)["output_format"]) == ("neon-punk", "webp")


@pytest.mark.parametrize("model", ["stable-image-ultra", "sd-3.5-large", "sd-3.5-large-turbo"])
async def test_painting_over_a_picture_sends_it_with_its_strength_and_no_shape(sim, model):
    async with at(sim, Stability) as stability:
        done = await stability.submit(
            order(model=model, operation="image-to-image", inputs=(picture(),), strength=0.25)
        )
        await stability.submit(order(model=model, operation="image-to-image", inputs=(picture(),)))
    assert seen(done) == ("PNG", (256, 192))
    first, second = sim.vendors["stability"].jobs()
    assert ("aspect_ratio" in first, first["strength"], second["strength"]) == (False, "0.25", "0.6")


async def test_the_fast_upscaler_needs_no_words_and_makes_sides_four_times_longer(sim):
    async with at(sim, Stability) as stability:
        done = await stability.submit(
            order(
                "",
                operation="upscale",
                model="stable-upscale-fast",
                inputs=(picture("JPEG"),),
                scale=4,
            )
        )
    assert seen(done) == ("PNG", (1024, 768))
    assert fields(sim) == {"path": "/stability/v2beta/stable-image/upscale/fast", "output_format": "png"}
    assert str(sim.bill.usd()) == "0.02"


async def test_the_conservative_upscaler_reads_words_and_its_option(sim):
    wanted = order(
        operation="upscale",
        model="stable-upscale-conservative",
        inputs=(picture(),),
        seed=3,
        options={"creativity": 0.3},
    )
    async with at(sim, Stability) as stability:
        done = await stability.submit(wanted)
    assert seen(done) == ("PNG", (2365, 1774))
    assert (fields(sim)["prompt"], fields(sim)["creativity"]) == ("a red fox", "0.3")
    assert str(sim.bill.usd()) == "0.4"


@pytest.mark.parametrize(
    ("model", "said"),
    [("stable-upscale-fast", "enlarges 4 times"), ("stable-upscale-conservative", "chooses the size itself")],
)
async def test_a_factor_the_upscaler_has_not_is_refused_before_anything_is_sent(sim, model, said):
    async with at(sim, Stability) as stability:
        with pytest.raises(Rejected, match=said):
            await stability.submit(order(operation="upscale", model=model, inputs=(picture(),), scale=2))
    assert sim.requests() == []


@pytest.mark.parametrize("model", [one for one in LISTED if one.price], ids=lambda one: one.id)
async def test_the_bill_is_what_the_catalog_says(sim, model):
    enlarging = {"operation": "upscale", "inputs": (picture(),)} if "upscale" in model.operations else {}
    wanted = order(model=model.id, **enlarging)
    async with at(sim, Stability) as stability:
        await stability.submit(wanted)
    assert estimate_usd(wanted.request, model) == sim.bill.usd()


def test_every_size_the_catalog_lists_is_a_shape_of_the_vendors():
    for model in LISTED:
        sizes = {f"{width}x{height}" for width, height in model.sizes.listed}
        assert set(model.dialect.get("ratios", {})) == sizes


async def test_seed_nought_is_a_seed_of_its_own(sim):
    async with at(sim, Stability) as stability:
        first = await stability.submit(order(seed=0))
        second = await stability.submit(order(seed=0))
    assert first == second
    assert first.seeds == (4294967294,)


async def test_awkward_words_arrive_as_they_are(sim):
    async with at(sim, Stability) as stability:
        await stability.submit(order(AWKWARD))
    assert fields(sim)["prompt"] == AWKWARD


@pytest.mark.parametrize(
    ("fault", "error", "said", "billed"),
    [
        ("refused", Refused, "403: content_moderation: Your request was flagged", "no"),
        ("no_money", Unauthorized, "402: payment_required", "no"),
        ("bad_key", Unauthorized, "401: unauthorized", "no"),
        ("rate_limited", RateLimited, "429: rate_limit_exceeded", "no"),
        ("overloaded", Unavailable, "503: service_unavailable", "no"),
        ("error_before", TimedOut, "500: internal_error", "maybe"),
        ("error_after", TimedOut, "500: internal_error", "maybe"),
        ("html_502", TimedOut, "502: <html>", "maybe"),
        ("cut_before", TimedOut, "broke the connection", "maybe"),
        ("cut_after", TimedOut, "broke the connection", "maybe"),
        ("empty", Malformed, "the answer is no picture", "maybe"),
        ("empty_success", Malformed, "the answer is no picture", "maybe"),
        ("not_an_image", Malformed, "the answer is no picture: this is not a picture", "maybe"),
        ("unknown_word", Malformed, "unknown finish-reason 'PONDERING'", "maybe"),
        ("huge", Malformed, "bytes long", "maybe"),
    ],
)
async def test_each_fault_says_what_next_and_whether_it_may_have_been_charged(
    sim, fault, error, said, billed
):
    sim.fault(fault)
    async with at(sim, Stability) as stability:
        with pytest.raises(error, match=said) as caught:
            await stability.submit(order())
    assert (type(caught.value), caught.value.billed) == (error, billed)
    assert len(sim.requests()) == 1


async def test_nothing_is_heard_of_an_order_that_is_charged_after_we_left(sim):
    sim.fault("never_ends")
    async with at(sim, Stability, timeout_s=1.0) as stability:
        with pytest.raises(TimedOut, match="did not answer in 1 s"):
            await stability.submit(order())
    assert str(sim.bill.usd()) == "0.03"


async def test_a_blurred_picture_is_a_refusal_that_may_be_charged(sim):
    async with at(sim, Stability) as stability:
        with pytest.raises(Refused, match="CONTENT_FILTERED") as caught:
            await stability.submit(order(f"something {vendor.FILTERED}"))
    assert (caught.value.billed, str(sim.bill.usd())) == ("maybe", "0.03")


async def test_too_many_requests_rest_the_account_for_as_long_as_is_said_else_a_minute(sim):
    sim.fault("rate_limited", after_s=7)
    async with at(sim, Stability) as stability:
        with pytest.raises(RateLimited) as caught:
            await stability.submit(order())
    assert caught.value.after_s == 7.0
    assert Stability.classify(429, {}, b"").after_s == 60.0


@pytest.mark.parametrize("fault", ["slow", "slow_body", "wrong_type", "wrong_size"])
async def test_an_answer_that_is_late_or_odd_but_holds_a_picture_is_kept(sim, fault):
    sim.fault(fault, after_s=0.05)
    async with at(sim, Stability) as stability:
        done = await stability.submit(order(seed=3))
    assert done.images[0].startswith(b"\x89PNG")
    assert str(sim.bill.usd()) == "0.03"


async def test_a_name_that_is_no_longer_served_is_rejected(sim):
    async with at(sim, Stability) as stability:
        wanted = order()
        gone = {"path": "generate/sd3"}
        with pytest.raises(Rejected, match="400: bad_request: model: must be one of"):
            await stability.submit(
                type(wanted)(key="k", model="sd3-large", request=wanted.request, dialect=gone)
            )


async def test_a_probe_tells_an_empty_purse_and_a_wrong_key(sim):
    key = sim.key("stability")
    async with at(sim, Stability) as stability:
        assert await stability.probe() == Health(ok=True)
    async with at(sim, Stability, f"{key}-nocredit") as stability:
        assert await stability.probe() == Health(ok=False, reason="no credits are left")
    async with at(sim, Stability, "sk-wrong") as stability:
        with pytest.raises(Unauthorized):
            await stability.probe()
    assert sim.bill.orders() == 0


@pytest.mark.parametrize(
    ("status", "name", "error"),
    [
        (400, "bad_request", Rejected),
        (413, "payload_too_large", Rejected),
        (422, "invalid_language", Rejected),
        (403, "content_moderation", Refused),
        (403, "permission_denied", Unauthorized),
    ],
)
def test_errors_are_read_by_their_name(status, name, error):
    body = f'{{"id":"a1","name":"{name}","errors":["why"]}}'.encode()
    fault = Stability.classify(status, {}, body)
    assert (type(fault), str(fault)) == (error, f"{status}: {name}: why")


def test_the_older_shape_of_a_wrong_key_is_read_too():
    body = b'{"id":"a1","name":"unauthorized","message":"Incorrect API key provided"}'
    assert "Incorrect API key provided" in str(Stability.classify(401, {}, body))
    assert Stability.classify(200, {}, b"") is None
    assert Stability.recovery is Recovery.BLIND


@pytest.mark.parametrize(
    ("path", "form", "said"),
    [
        ("generate/core", {"prompt": "x", "width": "512"}, "width: unexpected field"),
        ("generate/core", {"prompt": ""}, "prompt: required"),
        ("generate/core", {"prompt": "x", "aspect_ratio": "4:3"}, "aspect_ratio: must be one of"),
        ("generate/core", {"prompt": "x", "seed": "-1"}, "seed: must be between"),
        ("generate/core", {"prompt": "x", "seed": "many"}, "seed: must be a number"),
        ("generate/core", {"prompt": "x", "style_preset": "cubist"}, "style_preset: must be one of"),
        ("generate/sd3", {"prompt": "x", "output_format": "webp"}, "output_format: must be one of"),
        ("generate/sd3", {"prompt": "x", "mode": "image-to-image"}, "image: required when mode"),
        ("upscale/fast", {"output_format": "png"}, "image: required"),
    ],
)
async def test_the_stand_in_is_as_strict_as_the_vendor(sim, path, form, said):
    with aiohttp.MultipartWriter("form-data") as parts:
        for name, value in form.items():
            parts.append(value).set_content_disposition("form-data", name=name)
    headers = {"Authorization": f"Bearer {sim.key('stability')}"}
    async with aiohttp.ClientSession(sim.base("stability"), headers=headers) as http:
        answer = await http.post(f"v2beta/stable-image/{path}", data=parts)
        body = await answer.json()
    assert (answer.status, body["name"], body["errors"][0].startswith(said)) == (400, "bad_request", True)
    assert sim.bill.orders() == 0


@pytest.mark.parametrize("data", [b"", b"no picture", picture()[:200]])
async def test_the_stand_in_refuses_what_is_no_whole_picture(sim, data):
    async with at(sim, Stability) as stability:
        with pytest.raises(Rejected, match="400: bad_request: image: required"):
            await stability.submit(order(operation="upscale", inputs=(data,)))


async def test_the_stand_in_survives_a_form_that_is_none(sim):
    headers = {"Authorization": f"Bearer {sim.key('stability')}", "Content-Type": "multipart/form-data"}
    async with aiohttp.ClientSession(sim.base("stability"), headers=headers) as http:
        answer = await http.post("v2beta/stable-image/generate/core", data=b"prompt=x")
    assert answer.status == 400


async def test_the_stand_in_wants_a_form_and_answers_with_json_when_asked(sim):
    headers = {"Authorization": f"Bearer {sim.key('stability')}", "Accept": "application/json"}
    path = "v2beta/stable-image/generate/core"
    async with aiohttp.ClientSession(sim.base("stability"), headers=headers) as http:
        answer = await http.post(path, json={"prompt": "x"})
        assert (answer.status, (await answer.json())["errors"]) == (
            400,
            ["content-type: must be multipart/form-data"],
        )
        form = aiohttp.FormData({"prompt": "x", "seed": "3"}, default_to_multipart=True)
        answer = await http.post(path, data=form)
        assert answer.headers["Content-Type"] == "application/json; type=image/png"
        body = await answer.json(content_type=None)
    assert (sorted(body), body["finish_reason"], body["seed"]) == (
        ["finish_reason", "image", "seed"],
        "SUCCESS",
        3,
    )


async def test_the_stand_in_blocks_who_asks_too_often(sim):
    stand_in = sim.vendors["stability"]
    stand_in.recent.extend([stand_in.world.now()] * 150)
    async with at(sim, Stability) as stability:
        with pytest.raises(RateLimited):
            await stability.submit(order())
        sim.advance(30)
        with pytest.raises(RateLimited):
            await stability.submit(order())
        sim.advance(40)
        await stability.submit(order())
    assert sim.bill.orders() == 1
