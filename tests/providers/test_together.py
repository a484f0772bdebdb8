"""Together against its stand-in."""

import base64
import io
from decimal import Decimal

import pytest
from PIL import Image

from limner.catalog.load import shipped
from limner.catalog.price import estimate_usd
from limner.core.errors import (
    Malformed,
    ProviderError,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from limner.core.money import to_micros
from limner.providers.base import Done, Health
from limner.providers.together import Together
from limner.simulator.app import Simulator
from limner.simulator.together import Together as Stand
from tests.providers.wiring import at, call

FOX = 'a "red" fox\nin snow \U0001f98a'
CURRENT = [one for one in shipped() if one.provider == "together" and not one.retired and not one.open]
PRICED = [one.id for one in CURRENT if one.price is not None]


@pytest.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Stand], speed=200) as running:
        yield running
    assert running.mistakes == []


def size(data):
    return Image.open(io.BytesIO(data)).size


def square(colour):
    out = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(out, "PNG")
    return out.getvalue()


async def drawn(sim, prompt=FOX, **fields):
    async with at(sim, Together) as together:
        return await together.submit(call("together", prompt, **fields))


async def said(sim, prompt="a fox", timeout_s=10.0, **fields):
    """The error an order ends with."""
    async with at(sim, Together, timeout_s=timeout_s) as together:
        with pytest.raises(ProviderError) as caught:
            await together.submit(call("together", prompt, **fields))
    return caught.value


async def test_several_pictures_come_in_one_answer_and_differ(sim):
    done = await drawn(sim, count=3, width=640, height=512, seed=5)
    assert [size(image) for image in done.images] == [(640, 512)] * 3
    assert len(set(done.images)) == 3
    assert done == Done(done.images)
    assert (await drawn(sim, count=3, width=640, height=512, seed=5)).images == done.images


async def test_together_sees_pixels_steps_a_seed_and_asks_for_the_bytes_themselves(sim):
    await drawn(sim, count=2, width=640, height=512, seed=5, steps=3, style="comic")
    (asked,) = sim.requests("together")
    assert asked.path == "/together/v1/images/generations"
    assert asked.body == {
        "model": "black-forest-labs/FLUX.1-schnell",
        "prompt": f"{FOX}, comic style",
        "n": 2,
        "response_format": "base64",
        "steps": 3,
        "seed": 5,
        "width": 640,
        "height": 512,
    }


async def test_flux_2_is_asked_in_its_own_tongue_and_told_not_to_rewrite_the_prompt(sim):
    await drawn(
        sim, model="flux-2-dev", format="webp", guidance_scale=6, quality="quality", width=512, height=512
    )
    assert sim.requests("together")[0].body == {
        "model": "black-forest-labs/FLUX.2-dev",
        "prompt": FOX,
        "n": 1,
        "response_format": "base64",
        "steps": 28,
        "guidance": 6.0,
        "output_format": "jpeg",
        "width": 512,
        "height": 512,
        "prompt_upsampling": False,
    }


async def test_a_rewritten_prompt_is_had_by_asking_for_it(sim):
    plain = await drawn(sim, model="flux-2-pro", seed=1)
    rewritten = await drawn(sim, model="flux-2-pro", seed=1, options={"prompt_upsampling": True})
    assert plain.images != rewritten.images


async def test_negative_words_go_only_to_models_that_read_them(sim):
    await drawn(sim, model="qwen-image", negative_prompt="rain")
    await drawn(sim, model="flux-1-schnell", negative_prompt="rain")
    first, second = sim.requests("together")
    assert first.body["negative_prompt"] == "rain"
    assert "negative_prompt" not in second.body


async def test_kontext_edits_one_picture_and_is_told_a_shape(sim):
    source = (await drawn(sim)).images[0]
    edit = {"model": "flux-1-kontext-pro", "operation": "edit", "width": 1392, "height": 752}
    done = await drawn(sim, "make it blue", inputs=(source,), **edit)
    body = sim.requests("together")[1].body
    assert body["aspect_ratio"] == "16:9"
    assert body["image_url"].startswith("data:image/png;base64,")
    assert "width" not in body
    assert size(done.images[0]) == (1392, 752)


async def test_flux_2_edits_with_several_pictures(sim):
    sources = square("red"), square("blue")
    done = await drawn(sim, "both in one", operation="edit", inputs=sources, width=512, height=512)
    shown = sim.requests("together")[0].body["reference_images"]
    assert [base64.b64decode(one.removeprefix("data:image/png;base64,")) for one in shown] == [*sources]
    assert size(done.images[0]) == (512, 512)


async def test_an_input_that_is_no_picture_is_rejected(sim):
    fault = await said(sim, "mend it", operation="edit", inputs=(b"\x89PNG\r\n\x1a\nno",))
    assert (type(fault), sim.bill.lines) == (Rejected, [])


@pytest.mark.parametrize("name", PRICED)
async def test_the_bill_is_the_quote_for_every_model_at_odd_sizes_and_most_steps(sim, name):
    model = next(one for one in CURRENT if one.id == name)
    for fields in ({}, {"width": 1200, "height": 400, "count": 2, "steps": 100, "seed": 2**63 - 2}):
        wanted = call("together", FOX, model=name, **fields)
        before = sim.bill.usd()
        async with at(sim, Together) as together:
            done = await together.submit(wanted)
        billed = sim.bill.usd() - before
        assert [size(image) for image in done.images] == [wanted.request.size] * wanted.request.count
        assert to_micros(billed) == to_micros(estimate_usd(wanted.request, model))


async def test_models_of_unknown_price_draw_too(sim):
    for model in CURRENT:
        if model.price is None:
            assert len((await drawn(sim, model=model.id)).images) == 1


async def test_more_steps_cost_more_where_together_says_so(sim):
    model = next(one for one in CURRENT if one.id == "flux-2-dev")
    few, many = (call("together", FOX, model=model.id, steps=steps) for steps in (5, 40))
    assert [estimate_usd(one.request, model) for one in (few, many)] == [Decimal("0.0154"), Decimal("0.0308")]


@pytest.mark.parametrize("word", ["no_type", "nulls"])
async def test_an_answer_is_read_by_what_is_in_it(sim, word):
    done = await drawn(sim, f"a fox [[together:{word}]]")
    assert size(done.images[0]) == (1024, 1024)


async def test_an_answer_by_address_is_left_for_others_to_fetch(sim):
    done = await drawn(sim, "a fox [[together:as_url]]", count=2)
    assert done == Done(links=done.links)
    assert all(link.startswith(f"{sim.url}/together/files/") for link in done.links)
    assert len(set(done.links)) == 2


async def test_an_answer_half_by_address_keeps_the_pictures_order(sim):
    done = await drawn(sim, "a fox [[together:mixed]]", count=2, seed=4)
    plain = await drawn(sim, "a fox", count=2, seed=4)
    first, second = done.links
    assert first.startswith(f"{sim.url}/together/files/")
    assert base64.b64decode(second.removeprefix("data:image/png;base64,")) == plain.images[1]


async def test_a_picture_blacked_out_by_the_vendors_own_checker_is_taken_as_it_comes(sim):
    done = await drawn(sim, "a fox [[together:black]]", model="sd-3-medium")
    assert Image.open(io.BytesIO(done.images[0])).getextrema() == ((0, 0),) * 3


async def test_bytes_that_cannot_be_read_may_have_been_charged(sim):
    fault = await said(sim, "a fox [[together:bad_base64]]")
    assert (type(fault), fault.billed, sim.bill.orders()) == (Malformed, "maybe", 1)


@pytest.mark.parametrize(
    ("kind", "error", "billed", "lines"),
    [
        ("refused", Refused, "no", 0),
        ("unknown_word", Malformed, "maybe", 1),
        ("empty_success", Malformed, "maybe", 1),
        ("fewer_images", Malformed, "maybe", 1),
        ("huge", Malformed, "maybe", 1),
        ("never_ends", TimedOut, "maybe", 1),
        ("malformed", Malformed, "maybe", 1),
        ("empty", Malformed, "maybe", 1),
        ("cut_before", TimedOut, "maybe", 0),
        ("cut_after", TimedOut, "maybe", 1),
        ("error_before", TimedOut, "maybe", 0),
        ("html_502", TimedOut, "maybe", 0),
        ("overloaded", Unavailable, "no", 0),
        ("rate_limited", RateLimited, "no", 0),
        ("no_money", Unauthorized, "no", 0),
        ("bad_key", Unauthorized, "no", 0),
    ],
)
async def test_every_fault_is_an_error_that_says_what_next(sim, kind, error, billed, lines):
    sim.fault(kind, "together")
    fault = await said(sim, timeout_s=0.5 if kind == "never_ends" else 10.0)
    assert (type(fault), fault.billed, len(sim.bill.lines)) == (error, billed, lines)
    assert len(sim.requests("together")) == 1


@pytest.mark.parametrize(
    ("word", "error"),
    [("gone_400", Rejected), ("timeout_524", TimedOut), ("overloaded_529", Unavailable)],
)
async def test_a_gateways_page_and_a_vanished_model_are_told_apart(sim, word, error):
    assert type(await said(sim, f"a fox [[together:{word}]]")) is error


async def test_too_many_requests_are_waited_for_as_long_as_together_says(sim):
    sim.fault("rate_limited", "together", after_s=7.0)
    fault = await said(sim)
    assert fault.after_s == 7.0
    assert str(fault).startswith("429: model_rate_limit: You have reached the rate limit specific to this")


async def test_a_retired_name_is_rejected_with_togethers_words(sim):
    fault = await said(sim, model="stable-diffusion-xl", width=512, height=512)
    assert type(fault) is Rejected
    assert "Unable to access model stabilityai/stable-diffusion-xl-base-1.0" in str(fault)
    assert sim.bill.lines == []


@pytest.mark.parametrize(
    ("key", "ref", "price"),
    [
        ("stable-diffusion-xl", "stabilityai/stable-diffusion-xl-base-1.0", "0.002"),
        ("stable-diffusion-2-1", "stabilityai/stable-diffusion-2-1", "0.001"),
        ("playground-v2-5", "playgroundai/playground-v2.5-1024px-aesthetic", "0.003"),
    ],
)
def test_the_names_of_earlier_clients_are_known_by_key_id_and_provider(key, ref, price):
    (model,) = [one for one in shipped() if one.provider == "together" and one.ref == ref]
    assert all(model.known_as(name) for name in (key, ref, f"together/{key}"))
    assert (model.price.usd, model.successor in {one.id for one in CURRENT}) == (Decimal(price), True)


async def test_a_probe_is_free_and_shows_a_bad_key(sim):
    async with at(sim, Together) as together:
        assert await together.probe() == Health(ok=True)
    async with at(sim, Together, key="tgp_wrong") as together:
        with pytest.raises(Unauthorized, match="invalid_api_key"):
            await together.probe()
    assert sim.bill.lines == []


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (403, "Input is too long for this model", Rejected),
        (422, "NSFW content detected", Refused),
        (400, "Flagged by our content Moderation", Refused),
        (422, "prompt: field required", Rejected),
        (400, "steps must be between 1 and 4", Rejected),
    ],
)
def test_refusals_are_told_by_their_text_and_nothing_else_is(status, message, error):
    body = f'{{"error": {{"message": "{message}", "type": "invalid_request_error", "code": null}}}}'.encode()
    assert type(Together.classify(status, {}, body)) is error


def test_an_error_page_is_judged_by_its_status():
    assert Together.classify(200, {}, b"<html>") is None
    assert type(Together.classify(503, {}, b"<html>busy</html>")) is Unavailable
