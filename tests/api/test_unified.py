"""The unified API, as its contract says it: shapes, defaults, ranges and status codes."""

import asyncio
import json
from datetime import datetime
from uuid import UUID

import httpx
import pytest

from limner.api.app import create_app
from limner.api.unified_words import sides
from limner.catalog.model import Sizes
from limner.core.errors import Refused, Unavailable
from limner.providers.base import Done
from tests import fakes
from tests.fakes import Desk, model, never, png, until, vendor

PROJECT = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
ANY = Sizes(default=(64, 64), max_side=2048)
FULL = {"sizes": ANY, "max_count": 20, "styles": ("dynamic",)}


def body(**changes):
    return {"prompt": "a red fox", "project_id": PROJECT, "width": 128, "height": 128} | changes


def answer_of(call):
    """As many pictures as were ordered, in the size that was."""
    width, height = call.request.size
    return Done(tuple(png(width, height) for _ in range(call.request.count)))


async def drawn(call):
    return answer_of(call)


class House:
    """Limner with vendors called like the unified API's, and a client of it."""

    def __init__(self, home, **changes):
        self.leonardo, self.runware, self.comfyui = Desk([drawn]), Desk([drawn]), Desk([drawn])
        desks = {"leonardo": self.leonardo, "runware": self.runware, "comfyui": self.comfyui}
        prices = {"leonardo": "0.02", "runware": "0.04", "comfyui": "0"}
        kinds = [vendor(desk, name) for name, desk in desks.items()]
        models = [model(name, usd, **FULL) for name, usd in prices.items()]
        self.limner = fakes.limner(home, *kinds, models=models, **changes)
        self.app = create_app(self.limner, max_body_bytes=64 << 10)
        transport = httpx.ASGITransport(self.app)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://limner.test")

    @property
    def sent(self):
        """The only order, as its vendor got it."""
        (call,) = self.leonardo.calls + self.runware.calls + self.comfyui.calls
        return call.request

    async def generate(self, query="", **changes):
        answer = await self.http.post(f"/unified/generate{query}", json=body(**changes))
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
async def real(home):
    real = House(home)
    async with real.limner, real.http:
        yield real


async def test_an_answer_has_every_field_of_the_contract_and_a_picture_too(real):
    answer = await real.generate(seed=7, num_images=2, output_format="jpg")
    assert set(answer) == {
        *("generation_id", "provider", "status", "prompt", "project_id", "images", "total_images"),
        *("created_at", "completed_at", "cost", "error_message", "provider_response", "metadata"),
    }
    assert (answer["provider"], answer["status"], answer["prompt"]) == ("leonardo", "completed", "a red fox")
    assert (answer["project_id"], answer["total_images"], answer["cost"]) == (PROJECT, 2, 0.04)
    assert (answer["error_message"], answer["provider_response"]) == (None, None)
    assert datetime.fromisoformat(answer["created_at"]) <= datetime.fromisoformat(answer["completed_at"])
    first, second = answer["images"]
    assert [first.pop(name) for name in ("local_url", "local_path")] == [
        f"/storage/images/{PROJECT}/leonardo_ai/{first['id']}.jpg",
        f"storage/images/{PROJECT}/leonardo_ai/{first['id']}.jpg",
    ]
    assert first.pop("file_size") > 100
    assert set(first.pop("provider_metadata")) == {"model", "sha256", "engine"}
    assert first == {
        "id": first["id"],
        "provider_id": first["id"],
        "url": None,
        "seed": 7,
        "model_id": "leonardo/one",
        "width": 128,
        "height": 128,
        "format": "jpeg",
        "nsfw": False,
    }
    assert second["seed"] == 8


async def test_metadata_tells_time_model_prompt_and_validation_beside_created_at_total_images_and_cost(real):
    metadata = (await real.generate())["metadata"]
    assert metadata["generation_time"] >= 0
    assert (metadata["provider_model"], metadata["original_prompt"]) == ("leonardo/one", "a red fox")
    assert metadata["prompt_validation"] == {
        "original_length": 9,
        "optimized_length": 9,
        "optimization_time": None,
        "steps": [],
    }


async def test_the_file_is_served_at_local_url_with_its_type_by_either_name_of_the_folder(real):
    (image,) = (await real.generate())["images"]
    for folder in ("leonardo_ai", "leonardo"):
        served = await real.http.get(image["local_url"].replace("leonardo_ai", folder))
        assert (served.status_code, served.headers["content-type"]) == (200, "image/png")
        assert len(served.content) == image["file_size"]


async def test_on_disk_the_folders_are_called_as_in_storage(real, home):
    (image,) = (await real.generate(provider="runware"))["images"]
    assert (home / image["local_path"]).read_bytes().startswith(b"\x89PNG")
    assert image["local_path"] == f"storage/images/{PROJECT}/runware_ai/{image['id']}.png"


async def test_what_is_left_out_has_the_contracts_defaults(real):
    answer = await real.http.post("/unified/generate", json={"prompt": "a red fox", "project_id": PROJECT})
    assert answer.json()["status"] == "completed"
    sent = real.sent
    assert (sent.size, sent.count, sent.steps, sent.guidance_scale) == ((512, 512), 1, 30, 7.5)
    assert (sent.style, sent.format, sent.negative_prompt) == ("DYNAMIC", "png", None)


async def test_null_is_the_default_size_and_the_models_own_steps_and_guidance(real):
    await real.generate(width=None, height=None, steps=None, guidance_scale=None, preset_style=None)
    assert (real.sent.size, real.sent.steps, real.sent.guidance_scale) == ((512, 512), 12, 4.0)
    assert real.sent.style is None


@pytest.mark.parametrize(
    ("ratio", "size"),
    [
        ("1:1", (512, 512)),
        ("16:9", (512, 288)),
        ("9:16", (288, 512)),
        ("4:3", (512, 384)),
        ("3:4", (384, 512)),
    ],
)
def test_an_aspect_ratio_is_512_on_its_longer_side_in_multiples_of_8(ratio, size):
    assert sides(ratio) == size


async def test_an_aspect_ratio_overrides_width_and_height(real):
    (image,) = (await real.generate(aspect_ratio="16:9"))["images"]
    assert (image["width"], image["height"]) == (512, 288)


@pytest.mark.parametrize("name", ["runware", "runware_ai"])
async def test_both_spellings_of_a_provider_are_taken_and_the_short_one_is_told(real, name):
    answer = await real.generate(provider=name)
    assert (answer["provider"], real.sent.prompt) == ("runware", "a red fox")


async def test_twenty_pictures_are_one_order_and_one_generation(real):
    answer = await real.generate(num_images=20)
    assert (answer["total_images"], len(real.leonardo.bill)) == (20, 1)


async def test_a_style_the_model_does_not_know_is_left_out_and_told(real):
    notes = (await real.generate(preset_style="SKETCH_BW"))["metadata"]["notes"]
    assert real.sent.style is None
    assert {
        "field": "preset_style",
        "message": "SKETCH_BW is left out: the model has no such style",
    } in notes


async def test_provider_params_reach_the_model_as_its_options(home):
    desk = Desk([drawn])
    option = {"workflow_overrides": {"type": "object"}}
    real = House(home)
    real.limner = fakes.limner(
        home, vendor(desk, "comfyui"), models=[model("comfyui", "0", **FULL, options=option)]
    )
    transport = httpx.ASGITransport(create_app(real.limner))
    async with real.limner, httpx.AsyncClient(transport=transport, base_url="http://limner.test") as http:
        overrides = {"workflow_overrides": {"3": {"cfg": 2}}}
        answer = await http.post("/unified/generate", json=body(provider_params=overrides))
    assert answer.json()["status"] == "completed"
    assert desk.calls[0].request.options == overrides


async def test_a_model_is_named_by_the_providers_own_id(real):
    assert (await real.generate(model_id="runware/one"))["provider"] == "runware"


async def test_names_the_contract_does_not_know_are_ignored_and_told(real):
    notes = (await real.generate(colour="red"))["metadata"]["notes"]
    assert {"field": "colour", "message": "ignored: not known here"} in notes


# -- who is asked ----------------------------------------------------------------------------------------


async def test_providers_are_asked_in_the_fixed_order_and_the_next_when_one_fails(real):
    real.leonardo.submits = [Unavailable("leonardo is down")]
    answer = await real.generate()
    assert (answer["provider"], answer["status"], answer["cost"]) == ("runware", "completed", 0.04)
    assert [one["provider"] for one in answer["metadata"]["attempts"]] == ["leonardo", "runware"]


async def test_max_retries_is_how_many_providers_are_tried_in_all(real):
    real.leonardo.submits = [Unavailable("down")]
    real.runware.submits = [Unavailable("down")]
    answer = await real.generate()
    assert (answer["status"], real.comfyui.bill) == ("failed", [])
    answer = await real.generate("?max_retries=3")
    assert (answer["status"], answer["provider"]) == ("completed", "comfyui")


async def test_without_fallback_one_provider_is_asked_once(real):
    real.leonardo.submits = [Unavailable("down")]
    answer = await real.generate("?enable_fallback=false")
    assert (answer["status"], len(real.leonardo.bill), real.runware.bill) == ("failed", 1, [])


async def test_a_provider_that_is_named_is_asked_first_and_who_draws_instead_is_told(real):
    real.runware.submits = [Unavailable("down")]
    answer = await real.generate(provider="runware")
    assert answer["provider"] == "leonardo"
    assert {"field": "provider", "message": "runware failed; leonardo has drawn it"} in answer["metadata"][
        "notes"
    ]


async def test_what_was_asked_of_a_free_provider_is_never_bought_elsewhere(real):
    real.comfyui.submits = [Unavailable("down")]
    answer = await real.generate("?max_retries=3", provider="comfyui")
    assert (answer["status"], real.leonardo.bill, real.runware.bill) == ("failed", [], [])


async def test_a_highest_price_is_kept(real):
    answer = await real.generate("?max_retries=3", provider="runware", max_cost_usd=0.03)
    assert (answer["provider"], answer["cost"]) == ("leonardo", 0.02)


async def test_a_refused_prompt_is_shown_to_no_other_provider(real):
    real.leonardo.submits = [Refused("leonardo: no")]
    answer = await real.generate()
    assert (answer["status"], real.runware.bill) == ("failed", [])


async def test_when_every_provider_failed_the_answer_is_200_failed_with_the_reason(real):
    for desk in (real.leonardo, real.runware, real.comfyui):
        desk.submits = [Unavailable("out of paint")]
    answer = await real.generate("?max_retries=9")
    assert (answer["status"], answer["images"], answer["total_images"]) == ("failed", [], 0)
    assert "out of paint" in answer["error_message"]


async def test_when_nobody_can_do_it_the_answer_is_200_failed_with_the_reason(real):
    answer = await real.generate(model_id="nobody-has-it")
    assert (answer["status"], answer["images"]) == ("failed", [])
    assert "nobody-has-it" in answer["error_message"]


# -- quick and batch ------------------------------------------------------------------------------------


async def test_quick_takes_few_fields_from_a_body_or_from_the_query(real):
    quick = body(num_images=2, seed=3)
    by_body = (await real.http.post("/unified/generate/quick", json=quick)).json()
    by_query = (await real.http.post("/unified/generate/quick", params=quick)).json()
    for answer in (by_body, by_query):
        assert (answer["status"], [one["seed"] for one in answer["images"]]) == ("completed", [3, 4])
    too_many = await real.http.post("/unified/generate/quick", json=body(num_images=9))
    assert too_many.status_code == 422


async def test_a_batch_is_a_bare_array_in_its_order_and_one_failure_is_one_element(real):
    orders = [body(prompt="one"), body(prompt="two", model_id="none-such"), body(prompt="three")]
    answer = await real.http.post("/unified/generate/batch", json={"requests": orders})
    assert [(one["prompt"], one["status"]) for one in answer.json()] == [
        ("one", "completed"),
        ("two", "failed"),
        ("three", "completed"),
    ]


async def test_at_most_three_of_a_batch_run_at_once(home):
    real, most, now = House(home, concurrency=10), 0, 0

    async def counted(call):
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return answer_of(call)

    real.leonardo.submits = [counted]
    async with real.limner, real.http:
        orders = {"requests": [body(prompt=f"number {n}") for n in range(8)]}
        answer = await real.http.post("/unified/generate/batch", json=orders)
    assert (len(answer.json()), most <= 3) == (8, True)


@pytest.mark.parametrize("count", [0, 11])
async def test_an_empty_batch_and_one_of_more_than_ten_are_400(http, count):
    answer = await http.post("/unified/generate/batch", json={"requests": [body()] * count})
    assert (answer.status_code, answer.json()) == (
        400,
        {"detail": f"a batch holds 1 to 10 requests, not {count}"},
    )


async def test_an_idempotency_key_buys_once_at_every_ordering_door(real):
    key = {"idempotency-key": "once"}
    for path, sent in (
        ("generate", body()),
        ("generate/quick", body()),
        ("generate/batch", {"requests": [body(), body()]}),
    ):
        before = len(real.leonardo.bill)
        first = (await real.http.post(f"/unified/{path}", json=sent, headers=key)).json()
        again = (await real.http.post(f"/unified/{path}", json=sent, headers=key)).json()
        assert again == first
        bought = len(real.leonardo.bill) - before
        assert bought == {"generate": 1, "generate/quick": 0, "generate/batch": 2}[path]
    other = await real.http.post("/unified/generate", json=body(seed=9), headers=key)
    assert other.status_code == 409


# -- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": "  "}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt"),
        ({"negative_prompt": 7}, "negative_prompt"),
        ({"width": 127}, "width"),
        ({"width": 2049}, "width"),
        ({"height": "512"}, "height"),
        ({"height": 512.5}, "height"),
        ({"aspect_ratio": "2:1"}, "aspect_ratio"),
        ({"num_images": 0}, "num_images"),
        ({"num_images": 21}, "num_images"),
        ({"num_images": True}, "num_images"),
        ({"seed": 0}, "seed"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": 2**63 - 1, "num_images": 2}, None),
        ({"steps": 9}, "steps"),
        ({"steps": 101}, "steps"),
        ({"guidance_scale": 0.9}, "guidance_scale"),
        ({"guidance_scale": 30.1}, "guidance_scale"),
        ({"output_format": "gif"}, "output_format"),
        ({"provider": "nobody"}, "provider"),
        ({"provider": ["leonardo"]}, "provider"),
        ({"provider_params": []}, "provider_params"),
        ({"provider_params": {"x" * 300: 1}}, "provider_params"),
        ({"project_id": "../../etc"}, "project_id"),
        ({"project_id": None}, "project_id"),
        ({"scene_id": "x"}, "scene_id"),
        ({"model_id": "x" * 201}, "model_id"),
    ],
)
async def test_a_wrong_type_or_range_is_422_with_a_list_of_findings(limner, http, changes, field):
    answer = await http.post("/unified/generate", content=json.dumps(body(**changes)))
    found = answer.json()["detail"]
    assert answer.status_code == 422
    assert {"type", "loc", "msg"} == set(found[0])
    assert found[0]["loc"][:2] == (["body"] if field is None else ["body", field])
    assert (len(answer.content) < 1500, limner.orders) == (True, [])


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"", 422),
        (b"{", 422),
        (b"[]", 422),
        (b'"x"', 422),
        (b'{"prompt": "\xff"}', 422),
        (b'{"prompt": "a", "prompt": "b"}', 422),
        (b'{"seed": 1' + b"0" * 5000 + b"}", 422),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 422),
        (b'{"prompt": NaN}', 422),
        (b'{"prompt": "' + b"x" * (70 << 10) + b'"}', 413),
    ],
)
@pytest.mark.parametrize("path", ["generate", "generate/batch", "validate-prompt", "prompt-stats"])
async def test_a_body_that_is_no_json_object_is_refused_in_the_doors_shape(http, path, sent, status):
    answer = await http.post(f"/unified/{path}", content=sent)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    assert len(answer.content) < 1000


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("generate", body(prompt="x" * 10_001)),
        ("generate", body(negative_prompt="x" * 10_001)),
        ("generate/quick", body(prompt="x" * 10_001)),
        ("generate/batch", {"requests": [body(), body(prompt="x" * 10_001)]}),
        ("validate-prompt", {"prompt": "x" * 10_001}),
        ("prompt-stats", {"prompt": "x" * 10_001}),
    ],
)
async def test_a_prompt_over_10000_characters_is_400_at_every_endpoint(limner, http, path, sent):
    answer = await http.post(f"/unified/{path}", json=sent)
    assert answer.status_code == 400
    assert answer.json() == {"detail": "the prompt is 10,001 characters long; at most 10,000 are accepted"}
    assert limner.orders == []


@pytest.mark.parametrize("query", ["?enable_fallback=maybe", "?max_retries=0", "?max_retries=x"])
async def test_a_wrong_query_is_422_too(http, query):
    answer = await http.post(f"/unified/generate{query}", json=body())
    assert (answer.status_code, answer.json()["detail"][0]["loc"][0]) == (422, "query")


async def test_another_method_is_405_with_those_allowed(http):
    answer = await http.get("/unified/generate")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


# -- jobs ------------------------------------------------------------------------------------------------


async def test_jobs_are_a_bare_array_newest_first_with_the_contracts_fields(real):
    first, second = await real.generate(prompt="one"), await real.generate(prompt="two", provider="comfyui")
    listed = (await real.http.get("/unified/jobs")).json()
    assert [one["prompt"] for one in listed] == ["two", "one"]
    assert listed[1] == {
        "id": first["generation_id"],
        "generation_id": first["generation_id"],
        "provider": "leonardo",
        "status": "completed",
        "prompt": "one",
        "created_at": first["created_at"],
        "completed_at": first["completed_at"],
        "error_message": None,
        "result_images": first["images"],
    }
    one = await real.http.get(f"/unified/jobs/{second['generation_id']}")
    assert one.json() == listed[0]


async def test_jobs_are_chosen_by_project_provider_status_and_limit(real):
    await real.generate()
    await real.generate(provider="runware", project_id=str(UUID(int=5)))
    real.leonardo.submits = [Unavailable("down")]
    await real.generate("?enable_fallback=false")
    chosen = {
        f"project_id={PROJECT}": ["failed", "completed"],
        f"project_id={UUID(int=9)}": [],
        "provider=runware_ai": ["completed"],
        "provider=leonardo": ["failed", "completed"],
        "status=failed": ["failed"],
        "status=pending": [],
        "limit=1": ["failed"],
    }
    for query, states in chosen.items():
        listed = (await real.http.get(f"/unified/jobs?{query}")).json()
        assert (query, [one["status"] for one in listed]) == (query, states)


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "status=done", "provider=nobody", "project_id=7"])
async def test_a_wrong_choice_of_jobs_is_422(http, query):
    answer = await http.get(f"/unified/jobs?{query}")
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["query", query.split("=")[0]])


@pytest.mark.parametrize("job_id", ["nope", "01a1f9df-f8d0-78a4-bc1f-5221b14f6754", "x" * 300, "%00"])
async def test_an_unknown_job_is_404(real, job_id):
    answer = await real.http.get(f"/unified/jobs/{job_id}")
    assert (answer.status_code, list(answer.json()), len(answer.content) < 400) == (404, ["detail"], True)


async def test_a_job_that_waits_for_a_person_is_pending_so_that_nobody_orders_it_again(real):
    job = await real.limner.generate(
        "a red fox", project=PROJECT, provider="leonardo", policy={"confirm_above_usd": 0}
    )
    listed = (await real.http.get(f"/unified/jobs/{job.id}")).json()
    assert (listed["status"], listed["provider"]) == ("pending", "leonardo")
    assert listed["error_message"].startswith(f"waits for a person at POST /v1/jobs/{job.id}/decide")


async def test_a_job_under_way_is_processing(real):
    real.leonardo.submits = [never]
    job = await real.limner.generate("a red fox", project=PROJECT, provider="leonardo")
    await until(lambda: real.leonardo.bill)
    listed = (await real.http.get(f"/unified/jobs/{job.id}")).json()
    assert (listed["status"], listed["completed_at"], listed["result_images"]) == ("processing", None, [])


async def test_another_callers_jobs_are_not_seen(home):
    real = House(home, api_keys="ann=" + "a" * 16 + ",bob=" + "b" * 16)
    async with real.limner, real.http:
        ann, bob = ({"authorization": f"Bearer {letter * 16}"} for letter in "ab")
        answer = await real.http.post("/unified/generate", json=body(), headers=ann)
        path = f"/unified/jobs/{answer.json()['generation_id']}"
        assert (await real.http.get(path, headers=ann)).status_code == 200
        assert (await real.http.get(path, headers=bob)).status_code == 404
        assert (await real.http.get("/unified/jobs", headers=bob)).json() == []
        assert (await real.http.post("/unified/generate", json=body(), headers=bob)).status_code == 404
        assert (await real.http.post("/unified/generate", json=body())).status_code == 401
