"""The web UI's orders: txt2img, img2img, extra-single-image, progress and interrupt."""

import asyncio
import base64
import io
import json

import httpx
import pytest
from PIL import Image

from limner.api.app import create_app
from limner.app import Limner
from limner.config import AccountSettings
from limner.core.errors import NoRoute, OverBudget
from limner.core.job import Failure
from limner.core.quote import Note
from limner.core.request import GenerateRequest
from limner.providers.a1111 import A1111
from tests import fakes
from tests.api.fakes import png

TXT, IMG, BIG = "/sdapi/v1/txt2img", "/sdapi/v1/img2img", "/sdapi/v1/extra-single-image"
FOX = {"prompt": "a red fox"}
SOURCE = png(16, 8, 3)


@pytest.fixture(autouse=True)
async def _nothing_stays_chosen(http):
    yield
    await http.post("/sdapi/v1/options", json={"sd_model_checkpoint": None})


def coded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def painted(mask: bytes) -> list[int]:
    """Where a mask as Limner reads them says that is to be painted: 1 for each such pixel."""
    return [int(alpha < 128) for alpha in Image.open(io.BytesIO(mask)).getchannel("A").tobytes()]


def a_mask(mode: str, *pixels) -> str:
    image = Image.new(mode, (len(pixels), 1))
    for x, value in enumerate(pixels):
        image.putpixel((x, 0), value)
    out = io.BytesIO()
    image.save(out, "PNG")
    return coded(out.getvalue())


async def test_the_answer_is_pictures_what_was_asked_and_info_as_json_in_a_string(http, limner):
    body = FOX | {
        "negative_prompt": "blur",
        "seed": 42,
        "steps": 8,
        "width": 64,
        "height": 32,
        "batch_size": 2,
    }
    answer = await http.post(TXT, json=body)
    said = answer.json()
    assert list(said) == ["images", "parameters", "info"]
    assert [base64.b64decode(one) for one in said["images"]] == [png(64, 32, 42), png(64, 32, 43)]
    assert said["parameters"] == body
    info = json.loads(said["info"])
    known = (
        "prompt",
        "negative_prompt",
        "seed",
        "all_seeds",
        "width",
        "height",
        "steps",
        "index_of_first_image",
    )
    assert [info[name] for name in known] == ["a red fox", "blur", 42, [42, 43], 64, 32, 8, 0]
    assert info["infotexts"][1] == (
        "a red fox\nNegative prompt: blur\nSteps: 8, Seed: 43, Size: 64x32, "
        "Model: house, Provider: local, Version: Limner 0.1.0"
    )
    assert info["limner"] == {"job": "job-0001", "provider": "local", "model": "house", "cost_usd": "0.0040"}
    assert answer.headers["x-limner-cost-usd"] == "0.0040"


async def test_every_field_is_understood(http, limner):
    body = {
        "prompt": "a red fox",
        "negative_prompt": "blurry",
        "styles": ["watercolor"],
        "seed": 7,
        "steps": 20,
        "cfg_scale": 7,
        "width": 256,
        "height": 128,
        "batch_size": 2,
        "n_iter": 3,
        "sampler_name": "Euler a",
        "scheduler": "karras",
        "override_settings": {"sd_model_checkpoint": "house-small"},
    }
    assert (await http.post(TXT, json=body)).status_code == 200
    assert limner.orders == [
        GenerateRequest(
            prompt="a red fox",
            negative_prompt="blurry",
            model="house-small",
            count=6,
            width=256,
            height=128,
            steps=20,
            guidance_scale=7,
            seed=7,
            style="watercolor",
            options={"sampler_name": "Euler a", "scheduler": "karras"},
        )
    ]


async def test_what_is_left_open_is_the_web_uis_512_and_a_seed_of_our_own(http, limner):
    await http.post(TXT, json=FOX | {"seed": -1, "steps": None, "sampler_name": None, "styles": []})
    assert limner.orders == [GenerateRequest(prompt="a red fox", width=512, height=512)]


async def test_an_open_webui_order_is_drawn(http, limner):
    options = (await http.get("/sdapi/v1/options")).json()
    options["sd_model_checkpoint"] = "house"
    assert (await http.post("/sdapi/v1/options", json=options)).json() is None
    body = {
        "prompt": "a red fox",
        "batch_size": 1,
        "width": 512,
        "height": 512,
        "steps": 50,
        "negative_prompt": "",
        "cfg_scale": 7.0,
        "sampler_name": "Euler a",
        "scheduler": "Automatic",
    }
    answer = await http.post(TXT, json=body, headers={"authorization": "Basic YW55OnRoaW5n"})
    assert (answer.status_code, limner.orders[0].model) == (200, "house")
    assert "x-limner-ignored" not in answer.headers


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"save_images": True, "do_not_save_grid": True, "force_task_id": "task(1)"}, None),
        ({"hr_scale": 2, "hr_upscaler": "Latent", "denoising_strength": 0.7, "enable_hr": False}, None),
        ({"alwayson_scripts": {"ADetailer": {"args": [False]}}, "subseed": -1, "tiling": False}, None),
        ({"enable_hr": True, "hr_scale": 2}, "enable_hr, hr_scale"),
        ({"alwayson_scripts": {"ControlNet": {"args": [{"enabled": True}]}}}, "alwayson_scripts"),
        (
            {"tiling": True, "override_settings": {"CLIP_stop_at_last_layers": 2}},
            "tiling, CLIP_stop_at_last_layers",
        ),
    ],
)
async def test_only_what_would_have_changed_the_picture_is_told_as_ignored(http, limner, extra, told):
    answer = await http.post(TXT, json=FOX | extra)
    assert (answer.status_code, answer.headers.get("x-limner-ignored")) == (200, told)


async def test_a_size_is_cut_to_eights_and_that_is_told_in_both_places(http, limner):
    limner.notes = (Note(field="style", message="bent"),)
    answer = await http.post(TXT, json=FOX | {"width": 101, "height": 64})
    notes = [
        {"field": "size", "message": "101x64 was cut to 96x64, multiples of 8"},
        {"field": "style", "message": "bent"},
    ]
    assert limner.orders[0].size == (96, 64)
    assert json.loads(answer.headers["x-limner-notes"]) == notes
    assert json.loads(answer.json()["info"])["notes"] == notes


async def test_no_pictures_are_sent_when_none_are_wanted(http, limner):
    answer = await http.post(TXT, json=FOX | {"send_images": False})
    assert (answer.json()["images"], limner.opened) == ([], 0)


@pytest.mark.parametrize("title", ["house", "house [abcd1234]", "house.safetensors [abcd]", "local/house-v1"])
async def test_a_checkpoints_title_means_its_model(http, limner, title):
    settings = {"sd_model_checkpoint": title}
    assert (await http.post(TXT, json=FOX | {"override_settings": settings})).status_code == 200


async def test_an_unknown_checkpoint_is_refused_and_nothing_draws_in_its_place(http, limner):
    answer = await http.post(TXT, json=FOX | {"override_settings": {"sd_model_checkpoint": "nope"}})
    said = "sd_model_checkpoint: no model is called 'nope'; GET /sdapi/v1/sd-models lists them"
    assert answer.status_code == 404
    assert answer.json() == {"error": "model_not_found", "detail": said, "body": "", "errors": said}
    assert limner.orders == []


async def test_previews_are_asked_for_only_where_they_are_free(http, limner):
    await http.post(TXT, json=FOX)  # a quote without a route promises nothing
    assert limner.orders[0].partial_images == 0


@pytest.mark.parametrize("head", ["", "data:image/png;base64,"])
async def test_a_picture_is_painted_over(http, limner, head):
    body = FOX | {"init_images": [head + coded(SOURCE)], "denoising_strength": 0.4, "width": 64, "height": 32}
    answer = await http.post(IMG, json=body)
    order = limner.orders[0]
    assert (order.operation, order.strength, order.size) == ("image-to-image", 0.4, (64, 32))
    assert limner.kept == [SOURCE]
    assert "init_images" not in answer.json()["parameters"]


async def test_a_picture_keeps_its_size_and_three_quarters_of_the_way_is_gone_when_nothing_is_said(
    http, limner
):
    await http.post(IMG, json=FOX | {"init_images": [coded(SOURCE)]})
    assert (limner.orders[0].size, limner.orders[0].strength) == (None, 0.75)


@pytest.mark.parametrize(
    ("mask", "invert", "where"),
    [
        (a_mask("L", 0, 255, 200, 90), None, [0, 1, 1, 0]),
        (a_mask("L", 0, 255, 200, 90), 0, [0, 1, 1, 0]),
        (a_mask("L", 0, 255, 200, 90), 1, [1, 0, 0, 1]),
        (a_mask("L", 0, 255, 200, 90), True, [1, 0, 0, 1]),
        (a_mask("RGB", (0, 0, 0), (255, 255, 255)), None, [0, 1]),
        (a_mask("RGBA", (0, 0, 0, 255), (0, 0, 0, 0)), None, [1, 0]),
        (a_mask("RGBA", (0, 0, 0, 255), (255, 255, 255, 255)), None, [0, 1]),
        ("data:image/png;base64," + a_mask("L", 255, 0), None, [1, 0]),
    ],
)
async def test_a_mask_is_painted_where_it_is_white_or_where_its_alpha_is_opaque(
    http, limner, mask, invert, where
):
    body = FOX | {"init_images": [coded(SOURCE)], "mask": mask, "inpainting_mask_invert": invert}
    assert (await http.post(IMG, json=body)).status_code == 200
    assert limner.orders[0].operation == "inpaint"
    assert painted(limner.kept[1]) == where


async def test_without_a_picture_there_is_nothing_to_paint_over(http, limner):
    answer = await http.post(IMG, json=FOX)
    assert (answer.status_code, answer.json()["detail"]) == (404, "Init image not found")


@pytest.mark.parametrize(
    ("upscaler", "model", "options"),
    [("None", None, {}), (None, None, {}), ("R-ESRGAN 4x+", None, {"upscaler": "R-ESRGAN 4x+"})],
)
async def test_a_picture_is_enlarged(http, limner, upscaler, model, options):
    body = {
        "image": coded(SOURCE),
        "upscaling_resize": 3,
        "upscaler_1": upscaler,
        "show_extras_results": True,
    }
    answer = await http.post(BIG, json=body)
    assert (answer.status_code, list(answer.json())) == (200, ["html_info", "image"])
    order = limner.orders[0]
    assert (order.operation, order.scale, order.model, order.options) == ("upscale", 3, model, options)


async def test_the_same_key_buys_once(http, limner):
    headers = {"idempotency-key": "k1"}
    first, second = [await http.post(TXT, json=FOX, headers=headers) for _ in range(2)]
    other = await http.post(TXT, json={"prompt": "a cat"}, headers=headers)
    assert first.json() == second.json()
    assert (other.status_code, len(limner.orders)) == (409, 1)


@pytest.mark.parametrize(("error", "status"), [(NoRoute("nobody"), 503), (OverBudget("too dear"), 402)])
async def test_a_refusal_is_in_the_web_uis_shape(http, limner, error, status):
    limner.refuse = error
    answer = await http.post(TXT, json=FOX)
    said = {"error": error.code, "detail": str(error), "body": "", "errors": str(error)}
    assert (answer.status_code, answer.json()) == (status, said)


async def test_a_job_that_came_to_nothing_is_never_an_empty_list(http, limner):
    limner.end_as, limner.fail = "failed", Failure(code="rejected", message="not that")
    answer = await http.post(TXT, json=FOX)
    assert (answer.status_code, answer.json()["detail"]) == (400, "not that")


async def test_nothing_under_way_is_no_progress(http, limner):
    answer = (await http.get("/sdapi/v1/progress")).json()
    assert (answer["progress"], answer["eta_relative"], answer["current_image"]) == (0.0, 0.0, None)
    assert (answer["state"]["job"], answer["state"]["job_count"]) == ("", 0)
    assert (await http.post("/sdapi/v1/interrupt")).json() == {}


@pytest.mark.usefixtures("swift")
async def test_our_own_client_of_the_web_ui_draws_at_it(server, limner, home):
    settings = fakes.settings(home, accounts={"a1111": AccountSettings(url=server)})
    async with Limner(settings, providers={"a1111": A1111}) as app:
        job = await app.draw("a red fox", model="loaded", width=128, height=64, seed=5, steps=4, count=2)
        assert (job.state, [image.seed for image in job.images]) == ("succeeded", [5, 6])
    order = limner.orders[0]
    assert (order.prompt, order.size, order.seed, order.count) == ("a red fox", (128, 64), 5, 2)


PREVIEW = fakes.png(8, 8)


@pytest.fixture
async def endless(home):
    """A real Limner whose vendor shows a preview half-way and draws until it is stopped."""
    halfway = fakes.Pending({"id": "7"}, after_s=0.01, fraction=0.5, step=4, preview=PREVIEW)
    kind = fakes.vendor(fakes.Desk([halfway], [halfway]))
    models = [fakes.model("easel", "0")]
    async with fakes.limner(
        home, kind, models=models, api_keys="ann=ann-key-0123456789,bob=bob-key-0123456789"
    ) as app:
        transport = httpx.ASGITransport(create_app(app))
        async with (
            httpx.AsyncClient(
                transport=transport, base_url="http://l", auth=("", "ann-key-0123456789")
            ) as ann,
            httpx.AsyncClient(
                transport=transport, base_url="http://l", auth=("", "bob-key-0123456789")
            ) as bob,
        ):
            yield ann, bob


@pytest.mark.usefixtures("swift")
@pytest.mark.parametrize("word", ["interrupt", "skip"])
async def test_progress_and_interrupt_are_each_callers_own(endless, word):
    ann, bob = endless
    async with asyncio.TaskGroup() as tasks:
        order = FOX | {"width": 64, "height": 64, "steps": 8}
        drawing = tasks.create_task(ann.post(TXT, json=order))
        seen = {}

        async def shown():
            seen.update((await ann.get("/sdapi/v1/progress")).json())
            return seen["current_image"]

        await fakes.until(shown)
        assert (seen["progress"], seen["current_image"]) == (0.5, coded(PREVIEW))
        state = seen["state"]
        assert (state["job_count"], state["sampling_step"], state["sampling_steps"]) == (1, 4, 8)
        without = await ann.get("/sdapi/v1/progress", params={"skip_current_image": "true"})
        assert without.json()["current_image"] is None
        assert (await bob.get("/sdapi/v1/progress")).json()["state"]["job_count"] == 0
        await bob.post(f"/sdapi/v1/{word}")
        assert (await ann.get("/sdapi/v1/progress")).json()["state"]["interrupted"] is False
        assert (await ann.post(f"/sdapi/v1/{word}")).json() == {}
    answer = drawing.result()
    assert (answer.status_code, answer.json()["error"]) == (409, "canceled")
    assert (await ann.get("/sdapi/v1/progress")).json()["state"]["job_count"] == 0


BAD = [
    (TXT, b""),
    (TXT, b"null"),
    (TXT, b'{"prompt": 7}'),
    (TXT, b'{"prompt": ""}'),
    (TXT, b"{}"),
    (TXT, b'{"prompt": "x", "prompt": "y"}'),
    (TXT, b'{"prompt": "a\\u0000b"}'),
    (TXT, b'{"prompt": "\\udfff"}'),
    (TXT, b'{"prompt": "x", "steps": "20"}'),
    (TXT, b'{"prompt": "x", "steps": 0}'),
    (TXT, b'{"prompt": "x", "cfg_scale": -1}'),
    (TXT, b'{"prompt": "x", "cfg_scale": Infinity}'),
    (TXT, b'{"prompt": "x", "batch_size": 0}'),
    (TXT, b'{"prompt": "x", "batch_size": 1000}'),
    (TXT, b'{"prompt": "x", "batch_size": 99999999999, "n_iter": 99999999999}'),
    (TXT, b'{"prompt": "x", "width": -8}'),
    (TXT, b'{"prompt": "x", "width": 0}'),
    (TXT, b'{"prompt": "x", "height": 99999}'),
    (TXT, b'{"prompt": "x", "seed": 99999999999999999999}'),
    (TXT, b'{"prompt": "x", "styles": ["flat", "watercolor"]}'),
    (TXT, b'{"prompt": "x", "styles": "flat"}'),
    (TXT, b'{"prompt": "x", "override_settings": {"sd_model_checkpoint": 7}}'),
    (TXT, b'{"prompt": "x", "override_settings": []}'),
    (TXT, json.dumps({"prompt": "x" * 10_001}).encode()),
    (IMG, b'{"prompt": "x", "init_images": "abc"}'),
    (IMG, b'{"prompt": "x", "init_images": ["not base64!"]}'),
    (IMG, b'{"prompt": "x", "init_images": ["aGVsbG8="]}'),
    (IMG, b'{"prompt": "x", "init_images": ["a", "b"]}'),
    (IMG, json.dumps({"prompt": "x", "init_images": [coded(SOURCE)], "mask": "aGVsbG8="}).encode()),
    (IMG, json.dumps({"prompt": "x", "init_images": [coded(SOURCE)], "denoising_strength": 1.5}).encode()),
    (BIG, b"{}"),
    (BIG, b'{"image": ""}'),
    (BIG, b'{"image": "http://127.0.0.1/a.png"}'),
    (BIG, json.dumps({"image": coded(SOURCE), "upscaling_resize": 99}).encode()),
    (BIG, json.dumps({"image": coded(SOURCE), "resize_mode": 1}).encode()),
]


@pytest.mark.parametrize(("path", "body"), BAD)
async def test_bad_input_is_refused_in_the_web_uis_shape_and_shortly(http, limner, path, body):
    answer = await http.post(path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (400, ["error", "detail", "body", "errors"])
    assert len(answer.text) < 800
    assert limner.orders == []


async def test_a_body_beyond_the_limit_is_not_read_into_memory(http, limner):
    answer = await http.post(TXT, json={"prompt": "x", "more": "y" * (65 << 10)})
    assert (answer.status_code, answer.json()["error"]) == (413, "body_too_large")


@pytest.mark.parametrize(("field", "value"), [("steps", 1000), ("cfg_scale", 99), ("batch_size", 1000)])
async def test_field_names_in_refusals_are_the_web_uis(http, limner, field, value):
    answer = await http.post(TXT, json=FOX | {field: value})
    assert answer.json()["detail"].startswith(f"{field}: ")
