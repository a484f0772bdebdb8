"""What no client of ours sends; `tests/providers/test_bfl.py` drives the rest."""

from base64 import b64encode
from decimal import Decimal
from io import BytesIO

import aiohttp
import pytest
import pytest_asyncio
from PIL import Image

from limner.simulator.app import Simulator
from limner.simulator.bfl import Bfl


@pytest_asyncio.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Bfl], speed=200) as running:
        yield running
    assert running.mistakes == []


async def ask(sim, path, json=None, method="POST", key="bfl-emu"):
    carried = {"x-key": key} if key else {}
    async with (
        aiohttp.ClientSession(headers=carried) as http,
        http.request(method, f"{sim.url}/bfl{path}", json=json) as answer,
    ):
        return answer.status, await answer.json()


def text(width, height):
    out = BytesIO()
    Image.new("RGB", (width, height)).save(out, "PNG")
    return b64encode(out.getvalue()).decode()


async def drawn(sim, endpoint, body):
    """The size of the picture that an order comes to."""
    _, accepted = await ask(sim, f"/v1/{endpoint}", body)
    sim.advance(60)
    async with aiohttp.ClientSession() as http:
        async with http.get(accepted["polling_url"], headers={"x-key": "bfl-emu"}) as answer:
            link = (await answer.json())["result"]["sample"]
        async with http.get(link) as answer:
            with Image.open(BytesIO(await answer.read())) as picture:
                return picture.format, picture.size


@pytest.mark.parametrize(
    ("endpoint", "body", "size"),
    [
        ("flux-pro-1.1", {}, (1024, 768)),
        ("flux-pro-1.1-ultra", {}, (2752, 1536)),
        ("flux-pro-1.1-ultra", {"aspect_ratio": "9:21"}, (1344, 3136)),
        ("flux-kontext-pro", {}, (1024, 1024)),
        ("flux-kontext-pro", {"input_image": text(1600, 900)}, (1392, 752)),
        ("flux-kontext-pro", {"input_image": text(900, 1600)}, (752, 1392)),
        ("flux-kontext-pro", {"input_image": text(900, 1600), "aspect_ratio": "3:2"}, (1248, 832)),
        ("flux-pro-1.0-fill", {"image": text(123, 77)}, (123, 77)),
        ("flux-2-pro", {"input_image": f"data:image/png;base64,{text(64, 64)}"}, (1024, 1024)),
    ],
)
async def test_what_is_not_said_is_the_vendors_default(sim, endpoint, body, size):
    assert await drawn(sim, endpoint, {"prompt": "a red fox"} | body) == ("JPEG", size)


async def test_a_task_is_told_with_its_cost(sim):
    status, said = await ask(sim, "/v1/flux-2-pro", {"prompt": "a red fox", "width": 2048, "height": 1024})
    assert status == 200
    assert said == {
        "id": said["id"],
        "polling_url": f"{sim.vendors['bfl'].world.twin_url}/bfl/v1/get_result?id={said['id']}",
        "cost": 4.5,
        "input_mp": 0.0,
        "output_mp": 2.1,
    }
    assert sim.bill.usd() == Decimal("0.045")
    assert sim.vendors["bfl"].jobs()[0]["id"] == said["id"]


@pytest.mark.parametrize(
    ("body", "where", "kind"),
    [
        ({"width": 1000}, "width", "multiple_of"),
        ({"height": 32}, "height", "greater_than_equal"),
        ({"width": "wide"}, "width", "int_parsing"),
        ({"n": 2}, "n", "extra_forbidden"),
        ({"safety_tolerance": 6}, "safety_tolerance", "less_than_equal"),
        ({"output_format": "webp"}, "output_format", "literal_error"),
        ({"seed": -1}, "seed", "greater_than_equal"),
    ],
)
async def test_a_wrong_field_is_named(sim, body, where, kind):
    status, said = await ask(sim, "/v1/flux-2-pro", {"prompt": "a red fox"} | body)
    assert (status, [(one["loc"], one["type"]) for one in said["detail"]]) == (422, [(["body", where], kind)])
    assert sim.bill.orders() == 0


async def test_more_than_four_megapixels_are_too_many(sim):
    status, said = await ask(sim, "/v1/flux-2-pro", {"prompt": "x", "width": 4096, "height": 2048})
    assert (status, said["detail"][0]["msg"]) == (422, "Value error, more than 4 MP")


async def test_a_mask_has_the_size_of_its_picture(sim):
    body = {"prompt": "x", "image": text(64, 64), "mask": text(64, 32)}
    assert await ask(sim, "/v1/flux-pro-1.0-fill", body) == (
        400,
        {"detail": "mask and image are not of one size"},
    )


async def test_keys_paths_and_bodies_that_are_wrong_get_the_vendors_answers(sim):
    assert await ask(sim, "/v1/flux-2-pro", {}, key=None) == (403, {"detail": "Not authenticated"})
    assert (await ask(sim, "/v1/flux-2-pro", {}, key="bfl-emu-forbidden"))[0] == 403
    assert (await ask(sim, "/v1/flux-2-pro", {}, key="bfl-emu-nocredit"))[0] == 402
    assert await ask(sim, "/v1/flux-1-pro", {}) == (404, {"detail": "Not Found"})
    assert await ask(sim, "/v2/nothing", {}) == (404, {"detail": "Not Found"})
    assert (await ask(sim, "/v1/flux-2-pro", ["a red fox"]))[0] == 422


async def test_kontext_max_takes_six_tasks_at_a_time(sim):
    sim.fault("never_ends", times=6)
    for _ in range(6):
        assert (await ask(sim, "/v1/flux-kontext-max", {"prompt": "x"}))[0] == 200
    status, said = await ask(sim, "/v1/flux-kontext-max", {"prompt": "x"})
    assert (status, said["error"], said["retry_after"]) == (429, "rate_limit_exceeded", 5.0)
    assert (await ask(sim, "/v1/flux-kontext-pro", {"prompt": "x"}))[0] == 200


@pytest.mark.parametrize("fault", ["foreign_url", "wrong_size", "not_an_image", "expired_url"])
async def test_a_picture_can_be_spoilt_and_is_charged_all_the_same(sim, fault):
    sim.fault(fault)
    _, accepted = await ask(sim, "/v1/flux-2-pro", {"prompt": "x", "width": 256, "height": 128})
    sim.advance(60)
    async with aiohttp.ClientSession() as http:
        async with http.get(accepted["polling_url"], headers={"x-key": "bfl-emu"}) as answer:
            link = (await answer.json())["result"]["sample"]
        async with http.get(link) as answer:
            assert answer.status == (404 if fault == "expired_url" else 200)
    assert sim.bill.orders() == 1
    assert link.startswith(sim.url) == (fault != "foreign_url")
