"""Runware against its stand-in."""

import asyncio
import base64
import io
import json
from dataclasses import replace
from decimal import Decimal

import aiohttp
import orjson
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
)
from limner.providers.base import Health, Pending
from limner.providers.runware import Runware
from limner.simulator.app import Simulator
from limner.simulator.runware import Runware as Vendor
from tests.providers.wiring import at, call, finish

AWKWARD = 'a "red" fox;\r\n{"taskType": "x"} 🦊 ' + "x" * 2_900


@pytest.fixture
async def sim():
    async with Simulator(vendors=[Vendor]) as running:
        yield running
    assert running.mistakes == []


def order(prompt="a red fox", **fields):
    return call("runware", prompt, **fields)


def picture(color="green", size=(256, 192)):
    file = io.BytesIO()
    Image.new("RGB", size, color).save(file, "PNG")
    return file.getvalue()


def mask(size=(256, 192)):
    """Opaque, with a clear square in the middle."""
    image = Image.new("RGBA", size, "black")
    image.paste((0, 0, 0, 0), (64, 64, 128, 128))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def tasks(sim, kind="imageInference"):
    return [one.body[0] for one in sim.requests() if one.body and one.body[0]["taskType"] == kind]


async def drawn(sim, asked):
    async with at(sim, Runware) as runware:
        return await finish(runware, await runware.submit(asked))


async def seen(links):
    """Format and size of each picture, fetched without a key."""
    async with aiohttp.ClientSession() as http:
        images = [Image.open(io.BytesIO(await (await http.get(link)).read())) for link in links]
    return [(image.format, image.size) for image in images]


async def test_an_order_is_named_by_us_accepted_and_then_asked_for(sim):
    asked = order(seed=7, count=2, width=512, height=768, format="jpeg", model="sdxl", negative_prompt="rain")
    done = await drawn(sim, asked)
    assert tasks(sim) == [
        {
            "taskType": "imageInference",
            "taskUUID": asked.uuid,
            "model": "civitai:101055@128078",
            "outputType": "URL",
            "outputFormat": "JPG",
            "includeCost": True,
            "deliveryMethod": "async",
            "positivePrompt": "a red fox",
            "negativePrompt": "rain",
            "width": 512,
            "height": 768,
            "steps": 30,
            "CFGScale": 7.5,
            "seed": 7,
            "numberResults": 2,
        }
    ]
    assert tasks(sim, "getResponse")[0] == {"taskType": "getResponse", "taskUUID": asked.uuid}
    assert (done.seeds, done.cost_usd) == ((7, 8), "0.0048")
    assert await seen(done.links) == [("JPEG", (512, 768))] * 2
    assert (sim.bill.usd(), sim.bill.images()) == (Decimal("0.0048"), 2)


async def test_no_characters_of_a_prompt_are_lost(sim):
    await drawn(sim, order(AWKWARD))
    assert [task["positivePrompt"] for task in sim.vendors["runware"].jobs()] == [AWKWARD]


async def test_pictures_go_beside_the_prompt_or_below_inputs_as_the_model_wants(sim):
    older = order("in snow", operation="image-to-image", model="flux-1-dev", inputs=[picture()], strength=0.5)
    await drawn(sim, older)
    newer = order(
        "in snow", key="2", operation="edit", model="flux-2-dev", inputs=[picture(), picture("red")]
    )
    await drawn(sim, newer)
    first, second = tasks(sim)
    assert first["seedImage"].startswith("data:image/png;base64,")
    assert (first["strength"], "inputs" in first) == (0.5, False)
    assert [image[:22] for image in second["inputs"]["referenceImages"]] == ["data:image/png;base64,"] * 2
    assert "seedImage" not in second


@pytest.mark.parametrize(("model", "below"), [("flux-1-dev", False), ("flux-1-fill-dev", True)])
async def test_what_is_clear_in_our_mask_is_white_in_theirs(sim, model, below):
    await drawn(sim, order("a pond", operation="inpaint", model=model, inputs=[picture()], mask=mask()))
    (task,) = sim.vendors["runware"].jobs()
    sent = task["inputs"]["maskImage"] if below else task["maskImage"]
    theirs = Image.open(io.BytesIO(base64.b64decode(sent.partition("base64,")[2])))
    assert (theirs.mode, theirs.getpixel((0, 0)), theirs.getpixel((100, 100))) == ("L", 0, 255)


async def test_an_enlargement_is_a_task_of_its_own(sim):
    asked = order("", operation="upscale", inputs=[picture()], scale=4)
    done = await drawn(sim, asked)
    (task,) = tasks(sim, "upscale")
    assert (task["model"], task["upscaleFactor"], "numberResults" in task) == ("runware:500@1", 4, False)
    assert await seen(done.links) == [("PNG", (1024, 768))]
    assert done.cost_usd == "0.0038"


async def test_the_options_of_a_model_are_sent_as_they_are(sim):
    lora = [{"model": "civitai:1@2", "weight": 0.5}]
    await drawn(sim, order(options={"scheduler": "Euler", "lora": lora}))
    (task,) = tasks(sim)
    assert (task["scheduler"], task["lora"]) == ("Euler", lora)


async def test_results_that_come_again_with_each_answer_are_counted_once(sim):
    async with at(sim, Runware) as runware:
        outcome = await runware.submit(order(count=4))
        fractions = []
        while isinstance(outcome, Pending):
            fractions.append(outcome.fraction)
            await asyncio.sleep(0.02)
            outcome = await runware.poll(outcome.ticket)
    assert fractions == sorted(fractions)
    assert len(set(outcome.links)) == 4


async def test_a_ticket_is_good_after_a_restart(sim):
    async with at(sim, Runware) as runware:
        outcome = await runware.submit(order(count=2))
    kept = json.loads(json.dumps(outcome.ticket))
    async with at(sim, Runware) as runware:
        done = await finish(runware, Pending(kept))
    assert len(done.links) == 2


@pytest.mark.parametrize("named", [True, False])
async def test_an_acknowledgement_may_say_nothing(sim, named):
    sim.vendors["runware"].acknowledge = named
    done = await drawn(sim, order())
    assert len(done.links) == 1


@pytest.mark.parametrize("fault", ["cut_after", "error_after"])
async def test_sent_again_after_a_lost_answer_the_order_is_found_and_charged_once(sim, fault):
    sim.fault(fault)
    asked = order()
    async with at(sim, Runware) as runware:
        with pytest.raises(TimedOut):
            await runware.submit(asked)
        again = await runware.submit(asked)
        assert again == Pending({"id": asked.uuid, "count": 1})
        done = await finish(runware, again)
    assert (done.cost_usd, sim.bill.usd(), sim.bill.orders()) == ("0.0013", Decimal("0.0013"), 1)


@pytest.mark.parametrize("fault", ["malformed", "empty", "wrong_type"])
async def test_an_acknowledgement_that_cannot_be_read_loses_nothing(sim, fault):
    sim.fault(fault)
    done = await drawn(sim, order())
    assert (len(done.links), sim.bill.orders(), len(tasks(sim))) == (1, 1, 1)


async def test_an_order_is_found_by_its_name(sim):
    sim.fault("cut_after")
    asked = order()
    async with at(sim, Runware) as runware:
        with pytest.raises(TimedOut):
            await runware.submit(asked)
        assert await runware.find(asked) == {"id": asked.uuid, "count": 1}
        assert await runware.find(order(key="another")) is None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("cut_before", TimedOut),
        ("error_before", TimedOut),
        ("html_502", TimedOut),
        ("rate_limited", RateLimited),
        ("no_money", Unauthorized),
        ("bad_key", Unauthorized),
        ("overloaded", Unavailable),
    ],
)
async def test_a_fault_before_the_order_costs_nothing(sim, fault, error):
    sim.fault(fault)
    async with at(sim, Runware) as runware:
        with pytest.raises(error):
            await runware.submit(order())
    assert sim.bill.orders() == 0


@pytest.mark.parametrize(
    ("fault", "error", "charged"),
    [
        ("refused", Refused, 0),
        ("job_fails", Rejected, 0),
        ("lost", Lost, 1),
        ("unknown_word", Malformed, 1),
        ("empty_success", Malformed, 1),
    ],
)
async def test_how_an_accepted_order_may_end_badly(sim, fault, error, charged):
    sim.fault(fault)
    with pytest.raises(error) as caught:
        await drawn(sim, order())
    assert (caught.value.billed == "no", sim.bill.orders()) == (charged == 0, charged)


async def test_pictures_that_came_are_kept_when_others_failed(sim):
    sim.fault("fewer_images")
    done = await drawn(sim, order(count=3))
    assert (len(done.links), done.cost_usd, sim.bill.usd()) == (2, "0.0026", Decimal("0.0026"))


async def test_an_order_that_never_ends_stays_pending(sim):
    sim.fault("never_ends")
    async with at(sim, Runware) as runware:
        outcome = await runware.submit(order())
        sim.advance(3600)
        assert await runware.poll(outcome.ticket) == Pending(outcome.ticket, fraction=0.0)


def classified(code, status=400, **headers):
    body = orjson.dumps({"errors": [{"code": code, "message": "words", "parameter": ["a", "b"]}]})
    return type(Runware.classify(status, headers, body)), Runware.classify(status, headers, body).billed


@pytest.mark.parametrize(
    ("code", "status", "error", "billed"),
    [
        ("invalidApiKey", 401, Unauthorized, "no"),
        ("missingApiKey", 401, Unauthorized, "no"),
        ("tokenExpired", 401, Unauthorized, "no"),
        ("accountSuspended", 403, Unauthorized, "no"),
        ("insufficientCredits", 402, Unauthorized, "no"),
        ("thirdPartyInsufficientCredits", 400, Rejected, "no"),
        ("rateLimitExceeded", 429, RateLimited, "no"),
        ("providerRateLimitExceeded", 429, RateLimited, "no"),
        ("invalidProviderContent", 400, Refused, "no"),
        ("providerContentPolicyViolation", 400, Refused, "no"),
        ("nsfwContentDetected", 400, Refused, "no"),
        ("promptBlocked", 400, Refused, "no"),
        ("invalidWidth", 400, Rejected, "no"),
        ("unknownParameter", 400, Rejected, "no"),
        ("invalidModel", 400, Rejected, "no"),
        ("modelNotFound", 404, Lost, "maybe"),
        ("noAvailableServer", 503, Unavailable, "no"),
        ("modelNotReady", 503, Unavailable, "no"),
        ("inferenceError", 500, TimedOut, "maybe"),
        ("providerError", 500, TimedOut, "maybe"),
        ("internalServerError", 500, TimedOut, "maybe"),
        ("timeoutProvider", 504, TimedOut, "maybe"),
    ],
)
def test_errors_are_told_apart_by_the_shape_of_their_code(code, status, error, billed):
    assert classified(code, status) == (error, billed)


def test_a_bare_error_and_one_without_words_are_read_too():
    bare = Runware.classify(
        402, {}, b'{"error":{"code":"insufficientCredits","message":"Empty."},"taskUUID":"x"}'
    )
    assert (type(bare), str(bare)) == (Unauthorized, "insufficientCredits: Empty.")
    assert type(Runware.classify(503, {}, b"<html>busy</html>")) is Unavailable
    limited = Runware.classify(429, {"Retry-After": "7"}, b'{"errors":[{"code":"rateLimitExceeded"}]}')
    assert limited.after_s == 7.0


async def test_a_model_that_is_gone_is_a_rejection_that_names_it(sim):
    async with at(sim, Runware) as runware:
        with pytest.raises(Rejected, match="No model is known as 'runware:9999@1'"):
            await runware.submit(replace(order(), model="runware:9999@1"))


async def test_another_vendors_model_may_want_credit_of_its_own_which_says_nothing_of_the_account(sim):
    sim.vendors["runware"].third_party = False
    async with at(sim, Runware) as runware:
        with pytest.raises(Rejected, match="thirdPartyInsufficientCredits") as caught:
            await runware.submit(order(model="flux-1.1-pro"))
    assert caught.value.rests is False


async def test_the_probe_costs_nothing_and_shows_a_bad_key(sim):
    async with at(sim, Runware) as runware:
        assert await runware.probe() == Health(ok=True)
    async with at(sim, Runware, key="wrong") as runware:
        with pytest.raises(Unauthorized, match="Invalid API key"):
            await runware.probe()
    assert sim.bill.orders() == 0


async def test_an_account_without_credit_may_look_and_not_order(sim):
    async with at(sim, Runware, key="runware-emu-nocredit") as runware:
        assert await runware.probe() == Health(ok=True)
        with pytest.raises(Unauthorized, match="insufficientCredits"):
            await runware.submit(order())
