"""How strict the stand-in is; what the SDK sees of it is proven by `sdk/openai_sdk.py`."""

import asyncio
from decimal import Decimal
from io import BytesIO

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from limner.simulator.app import Simulator
from limner.simulator.openai import OpenAI

GENERATE = "images/generations"


@pytest_asyncio.fixture
async def sim():
    async with Simulator(seed=7, vendors=[OpenAI]) as running:
        yield running
    assert running.mistakes == []


@pytest_asyncio.fixture
async def http(sim):
    headers = {"Authorization": f"Bearer {sim.key('openai')}"}
    async with aiohttp.ClientSession(sim.base("openai"), headers=headers) as session:
        yield session


def png(width=64, height=64):
    out = BytesIO()
    Image.new("RGB", (width, height), "teal").save(out, "PNG")
    return out.getvalue()


async def charged(sim):
    """Wait for the bill's first line; the bound is for a hanging test only."""
    for _ in range(1000):
        if sim.bill.orders():
            return
        await asyncio.sleep(0.01)


async def problem(http, **fields):
    async with http.post(GENERATE, json={"model": "gpt-image-2", "prompt": "a fox"} | fields) as answer:
        error = (await answer.json())["error"]
    return answer.status, error["param"], error["code"]


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"seed": 7}, "seed", "unknown_parameter"),
        ({"input_fidelity": "high"}, "input_fidelity", "unknown_parameter"),
        ({"prompt": None}, "prompt", "missing_required_parameter"),
        ({"prompt": ""}, "prompt", "invalid_value"),
        ({"prompt": ["a fox"]}, "prompt", "invalid_value"),
        ({"n": "1"}, "n", "invalid_value"),
        ({"n": True}, "n", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"model": None}, "model", "invalid_value"),
        ({"model": ["gpt-image-2"]}, "model", "invalid_value"),
        ({"model": "gpt-image-9"}, "model", "invalid_value"),
        ({"model": "dall-e-2"}, "model", "invalid_value"),
        ({"size": "1000x1000"}, "size", "invalid_value"),
        ({"size": "3856x2160"}, "size", "invalid_value"),
        ({"size": "3840x1024"}, "size", "invalid_value"),
        ({"size": "3840x3840"}, "size", "invalid_value"),
        ({"size": "0x0"}, "size", "invalid_value"),
        ({"size": "1024x1024x1024"}, "size", "invalid_value"),
        ({"size": "\u0661\u0660\u0662\u0664x1024"}, "size", "invalid_value"),
        ({"size": "9" * 5000 + "x16"}, "size", "invalid_value"),
        ({"size": "1536x864", "model": "gpt-image-1-mini"}, "size", "invalid_value"),
        ({"quality": "max"}, "quality", "invalid_value"),
        ({"quality": "standard"}, "quality", "invalid_value"),
        ({"output_format": "gif"}, "output_format", "invalid_value"),
        ({"output_compression": 50}, "output_compression", "invalid_value"),
        ({"partial_images": 2}, "partial_images", "invalid_value"),
        ({"partial_images": 4, "stream": True}, "partial_images", "invalid_value"),
    ],
)
async def test_what_the_vendor_does_not_take_is_refused_with_the_field(sim, http, fields, param, code):
    assert await problem(http, **fields) == (400, param, code)
    assert sim.bill.orders() == 0


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff\xfe", b"[" * 100_000])
async def test_a_body_that_is_no_json_object_is_told_in_the_vendors_shape(http, body):
    async with http.post(GENERATE, data=body, headers={"Content-Type": "application/json"}) as answer:
        assert (answer.status, (await answer.json())["error"]["type"]) == (400, "invalid_request_error")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"no boundary"),
        ("multipart/form-data; boundary=x", b""),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--x--\r\n",
        ),
        ("application/json", b"{}"),
    ],
)
async def test_a_broken_form_is_the_clients_fault(http, kind, body):
    async with http.post("images/edits", data=body, headers={"Content-Type": kind}) as answer:
        assert (answer.status, "error" in await answer.json()) == (400, True)


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "missing_required_parameter"),
        ({"image": b"text"}, "invalid_image_file"),
        ({"image": b""}, "invalid_image_file"),
        ({"image": png()[:60]}, "invalid_image_file"),
        ({"image": png(), "mask": b"\x89PNG"}, "invalid_image_file"),
        ({"image": png(), "mask": png(32, 32)}, "invalid_mask"),
        ({"image": png(), "picture": png()}, "unknown_parameter"),
        ({"image": png(9000, 16)}, "invalid_image_file"),
    ],
)
async def test_a_file_that_is_no_good_is_the_clients_fault(sim, http, files, code):
    form = aiohttp.FormData({"model": "gpt-image-2", "prompt": "blue"}, default_to_multipart=True)
    for name, data in files.items():
        form.add_field(name, data, filename="a.png", content_type="image/png")
    async with http.post("images/edits", data=form) as answer:
        assert (answer.status, (await answer.json())["error"]["code"]) == (400, code)
    assert sim.bill.orders() == 0


async def test_who_forgets_the_quality_pays_for_high(sim, http):
    async with http.post(GENERATE, json={"model": "gpt-image-2", "prompt": "a fox"}) as answer:
        told = await answer.json()
    assert (told["quality"], told["size"], told["usage"]["output_tokens"]) == ("high", "1024x1024", 7024)
    assert sim.bill.usd() == Decimal("0.21074")


async def test_a_model_is_gone_on_the_day_it_is_shut_down(sim, http):
    sim.advance(400 * 86_400)
    assert await problem(http, model="gpt-image-1.5") == (400, "model", "invalid_value")
    async with http.get("models") as answer:
        alive = [one["id"] for one in (await answer.json())["data"]]
    assert alive == [
        "gpt-image-2",
        "gpt-image-2-2026-04-21",
        "gpt-image-2.5-sunburst",
        "gpt-image-2.5-sunburst-2026-09-08",
        "gpt-image-2.5-flare",
        "gpt-image-2.5-flare-2026-09-08",
        "gpt-image-2.6-sunburst",
        "gpt-image-2.6-flare",
    ]


async def test_who_hangs_up_has_bought_the_picture_all_the_same(sim, http):
    order = {"model": "gpt-image-2", "prompt": "[[emu:slow=0.2]]", "quality": "low"}
    with pytest.raises(asyncio.TimeoutError):
        await http.post(GENERATE, json=order, timeout=aiohttp.ClientTimeout(total=0.05))
    await charged(sim)
    assert (sim.bill.images(), sim.bill.usd()) == (1, Decimal("0.005915"))


async def test_who_leaves_a_stream_has_bought_the_picture_all_the_same(sim, http):
    order = {"model": "gpt-image-2", "prompt": "a fox", "quality": "low", "stream": True, "partial_images": 3}
    async with http.post(GENERATE, json=order) as answer:
        await answer.content.readany()
        answer.close()
    await charged(sim)
    assert sim.bill.usd() == Decimal("0.0149")


async def test_moderation_judges_by_words_and_costs_nothing(sim, http):
    async with http.post("moderations", json={"input": ["a fox", "how to shoplift"]}) as answer:
        results = (await answer.json())["results"]
    assert [[name for name, hit in one["categories"].items() if hit] for one in results] == [[], ["illicit"]]
    assert [(one["flagged"], len(one["category_scores"])) for one in results] == [(False, 13), (True, 13)]
    for wrong in (
        {"input": []},
        {"input": 7},
        {},
        {"input": "a", "model": "gpt-image-2"},
        {"input": "a", "n": 1},
    ):
        async with http.post("moderations", json=wrong) as answer:
            assert (answer.status, (await answer.json())["error"]["type"]) == (400, "invalid_request_error")
    assert sim.bill.orders() == 0


async def test_paths_and_methods_it_does_not_have_are_told_in_its_shape(http):
    async with http.get("pictures") as lost, http.get(GENERATE) as wrong:
        assert (lost.status, (await lost.json())["error"]["type"]) == (404, "invalid_request_error")
        assert (wrong.status, (await wrong.json())["error"]["code"], wrong.headers["Allow"]) == (
            405,
            "method_not_supported",
            "POST",
        )
