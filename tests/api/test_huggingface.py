"""Hugging Face's shape, for its own client and for whoever posts `inputs` and `parameters`."""

import base64
import io
import json

import pytest
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError

from limner.core.errors import NoRoute, OverBudget, RateLimited
from limner.core.job import Failure
from limner.core.quote import Note
from limner.core.request import GenerateRequest
from tests.api.fakes import png

MODEL = "/models/house"
FOX = {"inputs": "a red fox"}
PICTURE = png(8, 8, 3)


@pytest.mark.parametrize("path", ["/models/house", "/hf-inference/models/house", "/models/local/house-v1"])
async def test_inputs_become_bytes_under_the_classic_path_and_the_routers(http, limner, path):
    answer = await http.post(path, json=FOX)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert answer.content.startswith(b"\x89PNG")  # the fake writes nothing else
    assert answer.headers["x-limner-job"] == "job-0001"
    assert answer.headers["x-limner-cost-usd"] == "0.0040"


async def test_every_parameter_is_understood(http, limner):
    parameters = {
        "num_inference_steps": 12,
        "guidance_scale": 5.5,
        "negative_prompt": "blurry",
        "width": 256,
        "height": 128,
        "seed": 7,
        "scheduler": "DDIM",
    }
    answer = await http.post(MODEL, json=FOX | {"parameters": parameters}, headers={"accept": "image/png"})
    assert answer.status_code == 200
    assert limner.orders == [
        GenerateRequest(
            prompt="a red fox",
            negative_prompt="blurry",
            model="house",
            width=256,
            height=128,
            steps=12,
            guidance_scale=5.5,
            seed=7,
            options={"scheduler": "DDIM"},
        )
    ]


async def test_a_target_size_is_the_size(http, limner):
    await http.post(MODEL, json=FOX | {"parameters": {"target_size": {"width": 64, "height": 32}}})
    assert limner.orders[0].size == (64, 32)


@pytest.mark.parametrize(("sent", "drawn"), [(0, 1.0), (0.5, 1.0), (1, 1.0), (7.5, 7.5)])
async def test_no_guidance_is_no_guidance_however_it_is_written(http, limner, sent, drawn):
    await http.post(MODEL, json=FOX | {"parameters": {"guidance_scale": sent}})
    assert limner.orders[0].guidance_scale == drawn


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "image/jpeg"),
        ("*/*", "image/jpeg"),
        ("image/png", "image/png"),
        ("image/jpg", "image/jpeg"),
        ("text/html, image/webp;q=0.8, image/png;q=0.2", "image/webp"),
        ("image/png;q=0, image/webp;q=0.1", "image/webp"),
        ("image/png;q=much", "image/jpeg"),
        ("application/json", "image/jpeg"),
    ],
)
async def test_the_format_is_what_accept_prefers_else_jpeg(http, limner, accept, kind):
    headers = {} if accept is None else {"accept": accept}
    assert (await http.post(MODEL, json=FOX, headers=headers)).headers["content-type"] == kind


async def test_waiting_and_caching_headers_and_options_are_accepted(http, limner):
    body = FOX | {"options": {"wait_for_model": True, "use_cache": False}}
    answer = await http.post(MODEL, json=body, headers={"x-wait-for-model": "true", "x-use-cache": "false"})
    assert answer.status_code == 200
    assert "x-limner-ignored" not in answer.headers


async def test_what_is_not_used_or_bent_is_told(http, limner):
    limner.notes = (Note(field="model", message="house draws instead"),)
    answer = await http.post(MODEL, json=FOX | {"parameters": {"clip_skip": 2}, "task": "x"})
    assert answer.headers["x-limner-ignored"] == "task, clip_skip"
    assert json.loads(answer.headers["x-limner-notes"]) == [
        {"field": "model", "message": "house draws instead"}
    ]


async def test_a_known_name_that_stands_for_another_model_is_drawn(http, limner):
    assert (await http.post("/models/dall-e-3", json=FOX)).status_code == 200


@pytest.mark.parametrize("name", ["no/such", "a b", "x" * 300, "%F0%9F%A6%8A", "..%2f..%2fetc", "house/"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_model_is_their_404(http, limner, method, name):
    answer = await http.request(method, f"/models/{name}", json=FOX if method == "POST" else None)
    assert answer.status_code == 404
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith("Model ")
    assert len(answer.json()["error"]) < 300
    assert limner.orders == []


async def test_a_models_status_says_who_would_draw(http, limner):
    assert (await http.get("/models/house")).json() == {
        "id": "house",
        "loaded": True,
        "state": "Loadable",
        "pipeline_tag": "text-to-image",
        "providers": ["local"],
    }


async def test_a_picture_in_inputs_is_worked_on(http, limner):
    body = {
        "inputs": base64.b64encode(PICTURE).decode(),
        "parameters": {"prompt": "in winter", "strength": 0.3},
    }
    assert (await http.post(MODEL, json=body)).status_code == 200
    order = limner.orders[0]
    assert (order.operation, order.prompt, order.strength) == ("image-to-image", "in winter", 0.3)
    assert (limner.kept, len(order.inputs)) == ([PICTURE], 1)


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "application/json"])
async def test_a_bare_file_is_varied_however_it_is_declared(http, limner, kind):
    assert (await http.post(MODEL, content=PICTURE, headers={"content-type": kind})).status_code == 200
    assert (limner.orders[0].operation, limner.kept) == ("variation", [PICTURE])


async def test_the_same_key_buys_once(http, limner):
    headers = {"idempotency-key": "k1"}
    first, second = [await http.post(MODEL, json=FOX, headers=headers) for _ in range(2)]
    other = await http.post(MODEL, json={"inputs": "a cat"}, headers=headers)
    assert first.headers["x-limner-job"] == second.headers["x-limner-job"]
    assert (other.status_code, len(limner.orders)) == (409, 1)


@pytest.mark.parametrize(
    ("error", "status"),
    [(NoRoute("nobody"), 503), (OverBudget("too dear"), 402), (RateLimited("slowly", 7), 429)],
)
async def test_a_refusal_is_one_sentence(http, limner, error, status):
    limner.refuse = error
    answer = await http.post(MODEL, json=FOX)
    assert (answer.status_code, answer.json()) == (status, {"error": str(error)})


async def test_a_job_that_came_to_nothing_is_never_an_empty_picture(http, limner):
    limner.end_as, limner.fail = "failed", Failure(code="refused", message="not that")
    answer = await http.post(MODEL, json=FOX)
    assert (answer.status_code, answer.json()) == (400, {"error": "not that"})


BAD = [
    (b"", 400),
    (b"[]", 400),
    (b'{"inputs": 7}', 400),
    (b'{"inputs": ""}', 400),
    (b'{"inputs": "x", "inputs": "y"}', 400),
    (b'{"inputs": "a\\u0000b"}', 400),
    (b'{"inputs": "\\ud800"}', 400),
    (b'{"inputs": "x", "parameters": []}', 400),
    (b'{"inputs": "x", "parameters": {"width": 64}}', 400),
    (b'{"inputs": "x", "parameters": {"width": "64", "height": 64}}', 400),
    (b'{"inputs": "x", "parameters": {"width": 0, "height": 64}}', 400),
    (b'{"inputs": "x", "parameters": {"seed": -1}}', 400),
    (b'{"inputs": "x", "parameters": {"num_inference_steps": 0}}', 400),
    (b'{"inputs": "x", "parameters": {"guidance_scale": -1}}', 400),
    (b'{"inputs": "x", "parameters": {"guidance_scale": NaN}}', 400),
    (b'{"inputs": "not base64!", "parameters": {"prompt": "y"}}', 400),
    (b'{"inputs": "aGVsbG8=", "parameters": {"prompt": "y"}}', 400),
    (b'{"inputs": "iVBORw0KGgo"}', 400),
    (b"\x89PNG but no picture", 400),
    (json.dumps({"inputs": "x" * 10_001}).encode(), 400),
]


@pytest.mark.parametrize(("body", "status"), BAD)
async def test_bad_input_is_refused_in_one_short_sentence(http, limner, body, status):
    answer = await http.post(MODEL, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert len(answer.text) < 400
    assert limner.orders == []


async def test_a_form_is_no_order(http, limner):
    answer = await http.post(MODEL, data={"inputs": "a fox"})
    assert (answer.status_code, list(answer.json())) == (415, ["error"])


async def test_field_names_in_refusals_are_theirs(http, limner):
    answer = await http.post(MODEL, json=FOX | {"parameters": {"num_inference_steps": 1000}})
    assert answer.json()["error"].startswith("num_inference_steps: ")


def test_their_own_client_draws_and_changes_pictures(server, limner):
    client = InferenceClient(base_url=f"{server}/models/house", api_key="hf_unused")
    image = client.text_to_image("a red fox", width=64, height=32, num_inference_steps=4, seed=9)
    assert (image.format, image.size) == ("PNG", (64, 32))
    assert client.image_to_image(PICTURE, prompt="in winter").format == "PNG"
    assert client.image_to_image(PICTURE).format == "PNG"
    assert [order.operation for order in limner.orders] == ["generate", "image-to-image", "variation"]
    assert [order.format for order in limner.orders] == ["png"] * 3


def test_their_own_client_reads_the_refusal(server, limner):
    client = InferenceClient(api_key="hf_unused")
    with pytest.raises(HfHubHTTPError, match="Model no/such does not exist here"):
        client.text_to_image("a fox", model=f"{server}/hf-inference/models/no/such")


def test_the_picture_is_whole(server, limner):
    client = InferenceClient(base_url=f"{server}/models/house", api_key="hf_unused")
    out = io.BytesIO()
    client.text_to_image("a fox", width=16, height=16, seed=5).save(out, "PNG")
    assert out.getvalue().startswith(b"\x89PNG")
