"""Together's stand-in: strict where Together is, its defaults, and lenient where Together is."""

import base64
import io
import json
from decimal import Decimal

import pytest
from PIL import Image

from limner.simulator.app import Simulator
from limner.simulator.together import Together
from limner.wire import session

SCHNELL, FLUX = "black-forest-labs/FLUX.1-schnell", "black-forest-labs/FLUX.2-pro"
KONTEXT = "black-forest-labs/FLUX.1-kontext-pro"
GOOGLE = "google/gemini-3-pro-image"


@pytest.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Together], speed=200) as running:
        yield running
    assert running.mistakes == []


async def asked(sim, body):
    """Status and answer."""
    data = body if isinstance(body, str) else json.dumps(body)
    async with session() as http:
        headers = {"Authorization": "Bearer tgp_v1_emu"}
        url = f"{sim.base('together')}images/generations"
        async with http.post(url, data=data, headers=headers) as answer:
            return answer.status, await answer.json()


def wish(model=SCHNELL, **fields):
    return {"model": model, "prompt": "a fox"} | fields


async def test_who_says_little_gets_one_large_jpeg_by_address_from_a_prompt_that_was_rewritten(sim):
    _, told = await asked(sim, wish(FLUX, seed=1))
    (item,) = told["data"]
    async with session() as http, http.get(item["url"]) as answer:
        rewritten = await answer.read()
    picture = Image.open(io.BytesIO(rewritten))
    assert (item["type"], picture.size, picture.format) == ("url", (1024, 1024), "JPEG")
    _, plain = await asked(sim, wish(FLUX, seed=1, prompt_upsampling=False, response_format="base64"))
    assert base64.b64decode(plain["data"][0]["b64_json"]) != rewritten


async def test_an_address_dies_after_an_hour_and_refuses_a_key(sim):
    _, told = await asked(sim, wish())
    async with session() as http:
        async with http.get(told["data"][0]["url"], headers={"Authorization": "Bearer tgp_v1_emu"}) as answer:
            assert answer.status == 403
        sim.advance(3601)
        async with http.get(told["data"][0]["url"]) as answer:
            assert answer.status == 404


@pytest.mark.parametrize(
    ("body", "status", "param", "said"),
    [
        ("{", 422, None, "Invalid JSON"),
        ({"model": SCHNELL}, 422, None, "prompt"),
        (wish(width="wide"), 422, None, "width"),
        (wish(prompt=""), 400, "prompt", "must not be empty"),
        (wish(n=0), 400, "n", "between 1 and 4"),
        (wish(n=5), 400, "n", "between 1 and 4"),
        (wish(steps=5), 400, "steps", "steps must be between 1 and 4"),
        (wish(FLUX, steps=5), 400, "steps", "not supported by this model"),
        (wish(response_format="b64_json"), 400, "response_format", "base64, url"),
        (wish(output_format="webp"), 400, "output_format", "jpeg, png"),
        (wish(width=255), 400, "width", "between 256 and 1920"),
        (wish(height=1936), 400, "height", "between 256 and 1920"),
        (wish(width=1000), 400, "width", "multiple of 16"),
        (wish(image_url="data:,"), 400, "image_url", "not supported by this model"),
        (wish(reference_images=["data:,"]), 400, "reference_images", "not supported by this model"),
        (wish(image_loras=[{}, {}, {}]), 400, "image_loras", "at most 2"),
        (wish(KONTEXT, width=1024), 400, "width", "use aspect_ratio"),
        (wish(KONTEXT, aspect_ratio="5:7"), 400, "aspect_ratio", "1:1, 4:3"),
        (wish(KONTEXT, image_url="data:image/png;base64,%%"), 422, None, "not base64"),
        (wish(GOOGLE, width=1000, height=1000), 400, "width", "1000x1000 is not supported"),
        (wish(SCHNELL.lower()), 404, "model", "Unable to access model"),
        (wish("stabilityai/stable-diffusion-xl-base-1.0"), 404, "model", "Unable to access model"),
    ],
)
async def test_what_together_refuses_is_refused_in_its_words_and_costs_nothing(
    sim, body, status, param, said
):
    got, told = await asked(sim, body)
    assert (got, told["error"]["param"], said in told["error"]["message"]) == (status, param, True)
    assert sim.bill.lines == []


async def test_fields_nobody_knows_are_ignored(sim):
    status, _ = await asked(sim, wish(no_such_field=1, negative_prompt="rain"))
    assert status == 200


async def test_all_pictures_of_an_order_are_one_line_of_the_bill(sim):
    await asked(sim, wish(n=3, width=512, height=512, steps=2))
    assert (sim.bill.orders(), sim.bill.images(), sim.bill.usd()) == (1, 3, Decimal("0.002124"))
