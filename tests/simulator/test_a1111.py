"""The web UI stand-in, asked by a plain HTTP client that knows nothing of Limner."""

import asyncio
import base64
import io
import json

import aiohttp
import pytest
from PIL import Image

from limner.simulator.a1111 import A1111
from limner.simulator.app import Simulator

TASK = "task(fox)"
PAINTER = {"Authorization": f"Basic {base64.b64encode(b'painter:easel').decode()}"}


class Client:
    """Says what a person with curl would."""

    def __init__(self, http, base):
        self.http, self.base = http, base

    async def post(self, path, body, **more):
        async with self.http.post(self.base + path, json=body, **more) as answer:
            return answer.status, await answer.json()

    async def get(self, path):
        async with self.http.get(f"{self.base}sdapi/v1/{path}") as answer:
            return await answer.json()

    async def draw(self, **fields):
        return await self.post("sdapi/v1/txt2img", {"prompt": "a red fox", "seed": 5} | fields)

    async def progress(self, task):
        return (await self.post("internal/progress", {"id_task": task}))[1]


@pytest.fixture
async def sim():
    async with Simulator(vendors=[A1111]) as running:
        yield running
    assert running.mistakes == []


@pytest.fixture
async def webui(sim):
    async with aiohttp.ClientSession(headers=PAINTER) as http:
        yield Client(http, sim.base("a1111"))


async def until(question, wanted):
    """Each question is a round trip, which is wait enough."""
    while not wanted(answer := await question()):
        pass
    return answer


async def test_what_is_left_out_is_the_servers_default(webui):
    status, body = await webui.draw()
    info = json.loads(body["info"])
    picture = Image.open(io.BytesIO(base64.b64decode(body["images"][0])))
    assert (status, picture.size, info["steps"], info["all_seeds"]) == (200, (512, 512), 50, [5])
    assert body["parameters"]["prompt"] == "a red fox"


async def test_a_grid_comes_first_where_grids_are_on(sim, webui):
    body = (await webui.draw(n_iter=2))[1]
    assert (len(body["images"]), json.loads(body["info"])["index_of_first_image"]) == (3, 1)
    sim.vendors["a1111"].grids = False
    body = (await webui.draw(batch_size=2))[1]
    assert (len(body["images"]), json.loads(body["info"])["index_of_first_image"]) == (2, 0)


async def test_an_unknown_checkpoint_is_ignored_without_a_word(webui):
    body = (await webui.draw(override_settings={"sd_model_checkpoint": "gone"}))[1]
    assert json.loads(body["info"])["sd_model_name"] == "v1-5-pruned-emaonly"


async def test_an_override_lasts_for_the_order_alone_unless_it_is_to_stay(webui):
    named = {"override_settings": {"sd_model_checkpoint": "dreamshaper_8"}}
    body = (await webui.draw(**named))[1]
    assert json.loads(body["info"])["sd_model_hash"] == "879db523c3"
    assert (await webui.get("options"))["sd_model_checkpoint"].startswith("v1-5-pruned-emaonly")
    await webui.draw(**named, override_settings_restore_afterwards=False)
    assert (await webui.get("options"))["sd_model_checkpoint"].startswith("dreamshaper_8")


async def test_the_model_is_switched_for_everybody_and_an_unknown_one_is_an_error(webui):
    assert await webui.post("sdapi/v1/options", {"sd_model_checkpoint": "dreamshaper_8"}) == (200, None)
    assert (await webui.post("sdapi/v1/options", {"sd_model_checkpoint": "gone"}))[0] == 500


async def test_progress_is_of_whatever_is_drawn_and_of_a_task_that_is_named(sim, webui):
    sim.vendors["a1111"].endless = True
    first = asyncio.ensure_future(webui.draw(force_task_id=TASK))
    await until(lambda: webui.get("progress"), lambda told: told["progress"] == 1.0)
    second = asyncio.ensure_future(webui.draw(force_task_id="task(other)"))
    told = await until(lambda: webui.progress("task(other)"), lambda one: one["queued"])
    assert (told["active"], told["completed"], told["textinfo"]) == (False, False, "Waiting...")
    assert (await webui.progress(TASK))["active"] is True
    assert (await webui.get("progress"))["state"]["job"] == TASK
    sim.vendors["a1111"].endless = False
    assert await webui.post("sdapi/v1/interrupt", {}) == (200, {})
    assert [status for status, _ in await asyncio.gather(first, second)] == [200, 200]
    assert (await webui.progress(TASK))["completed"] is True
    assert (await webui.get("progress"))["progress"] == 0.0


async def test_who_leaves_is_drawn_for_all_the_same(sim, webui):
    sim.vendors["a1111"].endless = True
    leaving = asyncio.ensure_future(webui.post("sdapi/v1/txt2img", {}))
    await until(lambda: webui.get("progress"), lambda told: told["state"]["job_count"] == 1)
    leaving.cancel()
    sim.vendors["a1111"].endless = False
    await until(lambda: webui.get("progress"), lambda told: told["state"]["job_count"] == 0)
    assert sim.bill.images() == 1


@pytest.mark.parametrize("forge", [False, True])
async def test_errors_have_the_shape_of_their_server(sim, webui, forge):
    sim.vendors["a1111"].forge = forge
    status, body = await webui.post("sdapi/v1/img2img", {"prompt": "x"})
    assert (status, body) == (
        404,
        {"detail": "Init image not found"}
        if forge
        else {"error": "HTTPException", "detail": "Init image not found", "body": "", "errors": ""},
    )
    status, body = await webui.draw(width="wide")
    assert (status, body["detail"][0]["loc"]) == (422, ["body", "width"])


async def test_a_picture_too_large_for_its_gpu_is_out_of_memory(webui):
    status, body = await webui.draw(width=16384, height=16384)
    assert (status, body["error"]) == (500, "OutOfMemoryError")


async def test_without_its_api_there_is_nothing_there(sim, webui):
    sim.vendors["a1111"].api = False
    assert await webui.draw() == (404, {"detail": "Not Found"})
    assert await webui.get("sd-models") == {"detail": "Not Found"}


async def test_a_stranger_is_asked_for_a_password(sim):
    async with aiohttp.ClientSession() as http, http.get(sim.base("a1111") + "sdapi/v1/memory") as answer:
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Basic")
        assert (await answer.json())["detail"] == "Incorrect username or password"


async def test_the_lists_it_gives(webui):
    models = {one["model_name"]: one["title"] for one in await webui.get("sd-models")}
    assert models["sd_xl_base_1.0"] == "sd_xl_base_1.0.safetensors [31e35c80fc]"
    assert models["flux1-dev-fp8"] == "flux1-dev-fp8.safetensors"
    for path, name in (("samplers", "Euler a"), ("schedulers", "karras"), ("upscalers", "Lanczos")):
        assert name in [one["name"] for one in await webui.get(path)]
