"""What the web UI tells about itself, its options and png-info."""

import base64

import pytest

from limner.core.errors import NoRoute
from limner.core.job import Recipe
from limner.core.request import GenerateRequest
from limner.imaging.metadata import embed
from limner.imaging.png import with_texts
from tests.api.fakes import FakeLimner, png

OPTIONS, TXT, INFO = "/sdapi/v1/options", "/sdapi/v1/txt2img", "/sdapi/v1/png-info"

LISTS = [
    (
        "sd-models",
        [
            {
                "title": "house",
                "model_name": "house",
                "hash": None,
                "sha256": None,
                "filename": "local/house-v1",
                "config": None,
            }
        ],
    ),
    ("samplers", [{"name": "Automatic", "aliases": [], "options": {}}]),
    (
        "schedulers",
        [
            {
                "name": "automatic",
                "label": "Automatic",
                "aliases": None,
                "default_rho": -1.0,
                "need_inner_model": False,
            }
        ],
    ),
    (
        "upscalers",
        [{"name": "None", "model_name": None, "model_path": None, "model_url": None, "scale": None}],
    ),
    (
        "prompt-styles",
        [
            {"name": "watercolor", "prompt": None, "negative_prompt": None},
            {"name": "pixel art", "prompt": None, "negative_prompt": None},
        ],
    ),
    ("options", {"sd_model_checkpoint": "house", "sd_checkpoint_hash": "", "samples_format": "png"}),
    ("loras", []),
    ("sd-vae", []),
    ("hypernetworks", []),
    ("face-restorers", []),
    ("realesrgan-models", []),
    ("latent-upscale-modes", []),
    ("embeddings", {"loaded": {}, "skipped": {}}),
    ("scripts", {"txt2img": [], "img2img": []}),
    ("cmd-flags", {"api": True}),
]


@pytest.fixture(autouse=True)
async def _nothing_stays_chosen(http):
    yield
    await http.post("/sdapi/v1/options", json={"sd_model_checkpoint": None})


@pytest.mark.parametrize(("name", "content"), LISTS)
async def test_lists_hold_what_is_true_here(http, limner, name, content):
    answer = await http.get(f"/sdapi/v1/{name}")
    assert (answer.status_code, answer.json()) == (200, content)
    assert (await http.head(f"/sdapi/v1/{name}")).status_code == 200


async def test_memory_adds_up(http, limner):
    said = (await http.get("/sdapi/v1/memory")).json()
    ram = said["ram"]
    assert ram["free"] + ram["used"] == ram["total"] > 0
    assert said["cuda"] == {"error": "unavailable"}


async def test_samplers_are_those_that_some_model_takes(http, limner, monkeypatch):
    option = {"type": "string"}
    able = limner.models()[0].model_copy(
        update={
            "options": {"sampler_name": option, "scheduler": option},
            "operations": frozenset({"generate", "upscale"}),
        }
    )
    monkeypatch.setattr(FakeLimner, "models", lambda self: (able,))
    names = [one["name"] for one in (await http.get("/sdapi/v1/samplers")).json()]
    assert names == ["Automatic", "Euler a", "Euler", "DPM++ 2M", "DPM++ SDE", "Heun", "DDIM", "UniPC"]
    names = [one["name"] for one in (await http.get("/sdapi/v1/schedulers")).json()]
    assert names == ["automatic", "uniform", "karras", "exponential", "sgm_uniform"]
    assert [one["name"] for one in (await http.get("/sdapi/v1/upscalers")).json()] == ["None", "house"]


async def test_the_chosen_checkpoint_draws_until_another_is_chosen(http, limner):
    chosen = await http.post(OPTIONS, json={"sd_model_checkpoint": "house-small [abc]"})
    assert (chosen.status_code, chosen.json()) == (200, None)
    assert (await http.get(OPTIONS)).json()["sd_model_checkpoint"] == "house-small"
    await http.post(TXT, json={"prompt": "a fox"})
    await http.post(TXT, json={"prompt": "a fox", "override_settings": {"sd_model_checkpoint": "house"}})
    await http.post(OPTIONS, json={"sd_model_checkpoint": None})
    await http.post(TXT, json={"prompt": "a fox"})
    assert [order.model for order in limner.orders] == ["house-small", "house", None]


async def test_an_unknown_checkpoint_is_refused_and_the_choice_stays(http, limner):
    refused = await http.post(OPTIONS, json={"sd_model_checkpoint": "nope"})
    assert (refused.status_code, refused.json()["error"]) == (404, "model_not_found")
    assert (await http.get(OPTIONS)).json()["sd_model_checkpoint"] == "house"


async def test_other_options_are_left_out_and_told(http, limner):
    sent = {"CLIP_stop_at_last_layers": 2, "samples_format": "png"}
    answer = await http.post(OPTIONS, json=sent)
    assert (answer.status_code, answer.headers["x-limner-ignored"]) == (200, "CLIP_stop_at_last_layers")


async def test_nothing_that_can_draw_is_an_empty_checkpoint(http, limner):
    limner.refuse = NoRoute("nobody")
    assert (await http.get(OPTIONS)).json()["sd_model_checkpoint"] == ""


async def test_refreshing_does_no_harm(http, limner):
    assert (await http.post("/sdapi/v1/refresh-checkpoints")).json() == {}


async def test_a_picture_of_ours_tells_how_it_was_made(http, limner):
    request = GenerateRequest(
        prompt="a fox, red", negative_prompt="blur", width=8, height=8, steps=4, seed=3, model="house"
    )
    recipe = Recipe(limner="0.1.0", prompt=request.prompt, request=request, provider="local", model="a: b")
    picture = base64.b64encode(embed(png(8, 8, 3), recipe)).decode()
    text = (
        "a fox, red\nNegative prompt: blur\n"
        'Steps: 4, Seed: 3, Size: 8x8, Model: "a: b", Provider: local, Version: Limner 0.1.0'
    )
    assert (await http.post(INFO, json={"image": f"data:image/png;base64,{picture}"})).json() == {
        "info": text,
        "items": {},
        "parameters": {
            "Prompt": "a fox, red",
            "Negative prompt": "blur",
            "Steps": "4",
            "Seed": "3",
            "Size": "8x8",
            "Model": '"a: b"',
            "Provider": "local",
            "Version": "Limner 0.1.0",
        },
    }


async def test_a_picture_that_says_nothing_tells_nothing(http, limner):
    answer = await http.post(INFO, json={"image": base64.b64encode(png(8, 8, 3)).decode()})
    assert answer.json() == {"info": "", "items": {}, "parameters": {}}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (INFO, b"{}"),
        (INFO, b'{"image": 7}'),
        (INFO, b'{"image": "not base64!"}'),
        (INFO, b'{"image": "aGVsbG8="}'),
        (INFO, b'{"image": "/etc/passwd"}'),
        (OPTIONS, b"[]"),
        (OPTIONS, b'{"sd_model_checkpoint": 7}'),
        (OPTIONS, b'{"sd_model_checkpoint": "x", "sd_model_checkpoint": "y"}'),
        (OPTIONS, b"\xff"),
    ],
)
async def test_bad_input_is_refused_in_the_web_uis_shape(http, limner, path, body):
    answer = await http.post(path, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (400, ["error", "detail", "body", "errors"])
    assert len(answer.text) < 600


async def test_a_wrong_query_is_refused_in_the_web_uis_shape(http, limner):
    answer = await http.get("/sdapi/v1/progress?skip_current_image=perhaps")
    assert (answer.status_code, list(answer.json())) == (400, ["error", "detail", "body", "errors"])


@pytest.mark.parametrize("text", ["Steps: " + "a:" * 200_000, 'Steps: "' * 50_000])
async def test_the_settings_line_of_a_hostile_picture_is_cut(http, limner, text):
    picture = base64.b64encode(with_texts(png(8, 8, 3), {"parameters": text})).decode()
    answer = await http.post(INFO, json={"image": picture})
    assert answer.json()["info"] == text
    assert len(str(answer.json()["parameters"])) < 20_000


async def test_what_is_not_there_says_so_in_the_web_uis_shape(http, limner):
    answer = await http.get("/sdapi/v1/interrogate")
    assert (answer.status_code, list(answer.json())) == (404, ["error", "detail", "body", "errors"])
