"""Contract 2, the unified HTTP API, as a client from before sees it.

Proven elsewhere, and not again here: fields left out, ranges, statuses, fallback, batch, quick, jobs,
storage and idempotency in `tests/api/test_unified.py`; providers, models, config, health, `/validate-prompt`
and `/prompt-stats` in `tests/api/test_unified_info.py`; projects in `tests/api/test_projects.py`; how long
prompts are made shorter (temperature, 120 s, two retries) in `tests/prompts/test_optimise.py`; CORS and
faults of ours in `tests/api/test_middleware.py`; what is sent to each vendor in `tests/providers/`.
"""

import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest

from limner.api.app import create_app
from limner.config import Settings
from limner.core.errors import StorageError
from tests import fakes
from tests.api.test_unified import PROJECT, House, body
from tests.conformance import scene
from tests.prompts.scripted import DOWN, Scripted

IMAGE = {
    "id": str,
    "provider_id": str,
    "url": (str, type(None)),
    "local_url": (str, type(None)),
    "local_path": str,
    "seed": (int, type(None)),
    "model_id": str,
    "width": int,
    "height": int,
    "format": str,
    "file_size": int,
    "nsfw": bool,
    "provider_metadata": dict,
}
ANSWER = {
    "generation_id": str,
    "provider": str,
    "status": str,
    "prompt": str,
    "project_id": str,
    "images": list,
    "total_images": int,
    "created_at": (str, type(None)),
    "completed_at": (str, type(None)),
    "cost": (float, int, type(None)),
    "error_message": (str, type(None)),
    "provider_response": (dict, type(None)),
    "metadata": dict,
}
METADATA = {
    "generation_time": (float, type(None)),
    "provider_model": (str, type(None)),
    "original_prompt": str,
    "prompt_validation": dict,
}
VALIDATION = {"original_length": int, "optimized_length": int, "optimization_time": (float, type(None))}
JOB = {
    "id": str,
    "generation_id": str,
    "provider": str,
    "status": str,
    "prompt": str,
    "created_at": str,
    "completed_at": (str, type(None)),
    "error_message": (str, type(None)),
    "result_images": list,
}
CHECK = {
    "success": bool,
    "result": str,
    "original_prompt": str,
    "optimized_prompt": str,
    "original_length": int,
    "optimized_length": int,
    "size_reduction": int,
    "reduction_percentage": float,
    "optimization_time": (float, type(None)),
    "error_message": (str, type(None)),
    "metadata": dict,
}
FOUR = ("leonardo", "runware", "gemini", "comfyui")
DEFAULTS = {
    "leonardo": "de7d3faf-762f-48e0-b3b7-9d0ac3a3fcf3",
    "runware": "runware:100@1",
    "gemini": "gemini-nano-banana-2.1",
    "comfyui": "flux1-dev-fp8.safetensors",
}
"""Gemini's of the contract, gemini-2.5-flash-image, is served by this one since Google retired it."""


def check(values, wanted):
    """Every field is there, and of a type the contract allows."""
    wrong = {name: values.get(name, "absent") for name, kind in wanted.items() if not _is(values, name, kind)}
    assert wrong == {}


def _is(values, name, kind):
    value = values.get(name, ...)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))


def check_answer(answer):
    check(answer, ANSWER)
    check(answer["metadata"], METADATA)
    check(answer["metadata"]["prompt_validation"], VALIDATION)
    for image in answer["images"]:
        check(image, IMAGE)
    assert str(UUID(answer["project_id"])) == answer["project_id"]
    assert answer["status"] in ("pending", "processing", "completed", "failed")
    for name in ("created_at", "completed_at"):
        if answer[name] is not None:
            assert datetime.fromisoformat(answer[name]).utcoffset() == datetime.now(UTC).utcoffset()


@pytest.fixture
async def real(home):
    real = House(home)
    async with real.limner, real.http:
        yield real


@asynccontextmanager
async def shipped(home, *vendors):
    """The catalog as it is shipped, over simulated vendors, and a client."""
    async with scene.scene(home, *vendors) as house:
        transport = httpx.ASGITransport(create_app(house.limner))
        async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as http:
            yield http


# -- where it is ----------------------------------------------------------------------------------------


def test_port_8003_at_127_0_0_1_unless_told_otherwise():
    assert (Settings().host, Settings().port) == ("127.0.0.1", 8003)


async def test_the_document_is_at_openapi_json_and_the_reference_at_docs(real):
    assert (await real.http.get("/openapi.json")).json()["openapi"].startswith("3.")
    docs = await real.http.get("/docs")
    assert (docs.status_code, docs.headers["content-type"]) == (200, "text/html; charset=utf-8")


@pytest.mark.parametrize(
    "path",
    ["generate", "generate/quick", "generate/batch", "validate-prompt", "prompt-stats"],
)
async def test_cors_is_open(real, path):
    asked = {
        "origin": "https://studio.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    answer = await real.http.options(f"/unified/{path}", headers=asked)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, "*")
    assert "content-type" in answer.headers["access-control-allow-headers"].lower()


async def test_every_endpoint_of_the_table_is_there(real):
    document = (await real.http.get("/openapi.json")).json()["paths"]
    assert {
        *("/unified/generate", "/unified/generate/quick", "/unified/generate/batch"),
        *("/unified/validate-prompt", "/unified/prompt-stats", "/unified/providers"),
        *("/unified/providers/available", "/unified/jobs", "/unified/jobs/{job_id}"),
        *("/unified/prompt-validator/health", "/unified/health", "/unified/models", "/unified/config"),
        *("/health", "/projects/", "/projects/{project_id}"),
    } <= set(document)


async def test_the_query_is_enable_fallback_true_and_max_retries_2(real):
    document = (await real.http.get("/openapi.json")).json()["paths"]["/unified/generate"]["post"]
    query = {
        one["name"]: one["schema"].get("default") for one in document["parameters"] if one["in"] == "query"
    }
    assert query == {"enable_fallback": True, "max_retries": 2}


# -- the request ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 128, "height": 128},
        {"width": 2048, "height": 128},
        {"num_images": 1},
        {"num_images": 20},
        {"seed": 1},
        {"seed": 2**63 - 1},
        {"seed": None},
        {"preset_style": "CREATIVE"},
        {"preset_style": "PHOTOGRAPHY"},
        {"preset_style": "SKETCH_BW"},
        {"guidance_scale": 1},
        {"guidance_scale": 1.0},
        {"guidance_scale": 30.0},
        {"steps": 10},
        {"steps": 100},
        {"output_format": "jpg"},
        {"output_format": "jpeg"},
        {"output_format": "png"},
        {"output_format": "webp"},
        {"provider": None},
        {"provider": "leonardo_ai"},
        {"provider_params": None},
        {"provider_params": {}},
        {"scene_id": None},
        {"scene_id": "3fa85f64-5717-4562-b3fc-2c963f66afa7"},
        {"negative_prompt": None},
        {"negative_prompt": ""},
        {"negative_prompt": "x" * 10_000},
        {"prompt": "x"},
        {"prompt": "x" * 3_000},
        {"aspect_ratio": None},
        {"model_id": None},
    ],
    ids=str,
)
async def test_what_the_contract_allows_is_taken_to_the_edge_of_its_range(real, changes):
    answer = await real.generate(**changes)
    check_answer(answer)
    assert answer["status"] == "completed", answer["error_message"]


@pytest.mark.parametrize(
    ("asked", "said"), [("jpg", "jpeg"), ("jpeg", "jpeg"), ("png", "png"), ("webp", "webp")]
)
async def test_formats_in_responses_are_jpeg_png_webp_and_files_have_that_type(real, asked, said):
    (image,) = (await real.generate(output_format=asked))["images"]
    served = await real.http.get(image["local_url"])
    assert (image["format"], served.headers["content-type"]) == (said, f"image/{said}")
    assert len(served.content) == image["file_size"]


@pytest.mark.parametrize("length", [3_001, 10_000])
@pytest.mark.parametrize("path", ["generate", "generate/quick"])
async def test_a_prompt_up_to_10000_is_accepted_and_used_as_it_is_when_the_optimiser_is_down(
    real, path, length
):
    sent = {"prompt": "x" * length, "project_id": PROJECT}
    answer = (await real.http.post(f"/unified/{path}", json=sent)).json()
    assert (answer["status"], answer["prompt"], real.sent.prompt) == ("completed", "x" * length, "x" * length)


# -- the response ---------------------------------------------------------------------------------------


async def test_an_answer_has_the_contracts_types_when_it_is_completed(real):
    answer = await real.generate(num_images=2)
    check_answer(answer)
    assert (answer["status"], type(answer["cost"]), len(answer["images"])) == ("completed", float, 2)


async def test_an_answer_has_the_contracts_types_when_it_failed(real):
    real.leonardo.submits = real.runware.submits = [fakes.ProviderError("no paint")]
    answer = await real.generate("?enable_fallback=false")
    check_answer(answer)
    nobody = await real.generate(model_id="nobody-has-it")
    check_answer(nobody)
    assert [one["status"] for one in (answer, nobody)] == ["failed", "failed"]
    assert [type(one["error_message"]) for one in (answer, nobody)] == [str, str]


async def test_quick_and_batch_answer_the_same_object(real):
    quick = await real.http.post("/unified/generate/quick", json={"prompt": "a fox", "project_id": PROJECT})
    check_answer(quick.json())
    batch = await real.http.post("/unified/generate/batch", json={"requests": [body(), body()]})
    assert isinstance(batch.json(), list)
    for one in batch.json():
        check_answer(one)


async def test_a_local_picture_costs_0(real):
    assert (await real.generate(provider="comfyui"))["cost"] == 0


async def test_a_listed_job_has_the_contracts_types(real):
    made = await real.generate()
    (listed,) = (await real.http.get("/unified/jobs")).json()
    check(listed, JOB)
    for image in listed["result_images"]:
        check(image, IMAGE)
    assert (await real.http.get(f"/unified/jobs/{made['generation_id']}")).json() == listed


async def test_jobs_are_fifty_at_most_when_nobody_says_how_many(real):
    document = (await real.http.get("/openapi.json")).json()["paths"]["/unified/jobs"]["get"]
    limits = [one["schema"]["default"] for one in document["parameters"] if one["name"] == "limit"]
    assert limits == [50]


# -- prompts before they are ordered --------------------------------------------------------------------


async def validated(real, monkeypatch, *answers, **sent):
    """With a language model that gives these answers."""
    monkeypatch.setattr(real.limner._now.rewriter, "_language", Scripted(*answers))
    answer = await real.http.post("/unified/validate-prompt", json=sent)
    return answer.status_code, answer.json()


async def test_a_prompt_that_is_short_enough_is_valid(real):
    answer = (await real.http.post("/unified/validate-prompt", json={"prompt": "a red fox"})).json()
    check(answer, CHECK)
    assert (answer["result"], answer["optimized_prompt"]) == ("valid", "a red fox")


async def test_one_above_3000_is_optimized_and_what_was_saved_is_told(real, monkeypatch):
    prompt = "a red fox in deep snow, " * 150
    short = "a red fox in deep snow"
    status, answer = await validated(real, monkeypatch, short, prompt=prompt)
    check(answer, CHECK)
    assert (status, answer["success"], answer["result"]) == (200, True, "optimized")
    assert (answer["original_prompt"], answer["optimized_prompt"]) == (prompt, short)
    assert (answer["original_length"], answer["optimized_length"], answer["size_reduction"]) == (
        3600,
        22,
        3578,
    )
    assert answer["reduction_percentage"] == round(100 * 3578 / 3600, 2)
    assert answer["optimization_time"] >= 0


async def test_where_the_optimiser_only_fails_to_help_the_answer_is_200_optimization_failed(
    real, monkeypatch
):
    prompt = "a red fox in deep snow, " * 150
    status, answer = await validated(real, monkeypatch, "y" * 9_000, prompt=prompt)
    check(answer, CHECK)
    assert (status, answer["success"], answer["result"]) == (200, False, "optimization_failed")
    assert (answer["optimized_prompt"], answer["size_reduction"], answer["reduction_percentage"]) == (
        prompt,
        0,
        0,
    )
    assert isinstance(answer["error_message"], str)


async def test_where_it_is_down_the_answer_is_503(real, monkeypatch):
    status, answer = await validated(real, monkeypatch, DOWN, prompt="x" * 3_001)
    assert (status, set(answer)) == (503, {"detail"})


async def test_force_optimize_asks_for_a_short_one_too_and_only_where_it_is_said(real, monkeypatch):
    sent = "a red fox, a red fox, in deep snow"
    _, forced = await validated(real, monkeypatch, "a red fox in deep snow", prompt=sent, force_optimize=True)
    assert (forced["result"], forced["optimized_prompt"]) == ("optimized", "a red fox in deep snow")
    _, left = await validated(real, monkeypatch, DOWN, prompt=sent)
    assert (left["result"], left["optimized_prompt"]) == ("valid", sent)


async def test_of_a_prompt_above_10000_nothing_is_answered_but_400(real):
    answer = await real.http.post("/unified/validate-prompt", json={"prompt": "x" * 10_001})
    assert (answer.status_code, set(answer.json())) == (400, {"detail"})


async def test_the_optimiser_is_gpt_oss_20b_at_localhost_11434(real):
    language = real.limner.language
    assert (language.name, language.address) == ("gpt-oss:20b", "http://127.0.0.1:11434/")


# -- status codes ---------------------------------------------------------------------------------------


async def test_a_fault_of_our_own_is_500_with_a_detail(real, monkeypatch):
    def broken(*_args):
        raise RuntimeError("a secret")

    monkeypatch.setattr(real.limner, "models", broken)
    answer = await real.http.post("/unified/generate", json=body())
    assert (answer.status_code, set(answer.json())) == (500, {"detail"})
    assert "secret" not in answer.text


async def test_a_disk_that_is_full_is_no_answer_about_pictures(real, monkeypatch):
    async def full(*_args, **_how):
        raise StorageError("the disk is full")

    monkeypatch.setattr(real.limner, "draw", full)
    answer = await real.http.post("/unified/generate", json=body())
    assert (answer.status_code, answer.json()) == (507, {"detail": "the disk is full"})


@pytest.mark.parametrize(
    "path",
    [
        "/unified/jobs/0195b3a0-0000-7000-8000-000000000000",
        "/projects/3fa85f64-5717-4562-b3fc-2c963f66af00",
        f"/storage/images/{PROJECT}/leonardo_ai/0195b3a0.png",
        "/unified/nothing",
    ],
)
async def test_what_is_unknown_is_404_with_a_detail(real, path):
    answer = await real.http.get(path)
    assert (answer.status_code, set(answer.json())) == (404, {"detail"})


# -- the catalog as it is shipped -----------------------------------------------------------------------


@pytest.mark.parametrize("provider", FOUR)
async def test_without_a_model_each_provider_draws_with_its_default_model(home, provider):
    async with shipped(home, provider) as http:
        sent = {"prompt": "a red fox", "project_id": PROJECT, "provider": provider}
        answer = (await http.post("/unified/generate?enable_fallback=false", json=sent)).json()
    check_answer(answer)
    assert (answer["status"], answer["metadata"]["provider_model"]) == ("completed", DEFAULTS[provider])
    assert answer["images"][0]["model_id"] == DEFAULTS[provider]


@pytest.mark.parametrize("provider", FOUR)
async def test_a_file_lies_under_project_and_the_long_name_of_its_provider(home, provider):
    folder = {"leonardo": "leonardo_ai", "runware": "runware_ai"}.get(provider, provider)
    async with shipped(home, provider) as http:
        answer = (
            await http.post("/unified/generate", json=body(provider=provider, width=512, height=512))
        ).json()
        (image,) = answer["images"]
        served = await http.get(image["local_url"])
    assert re.fullmatch(rf"/storage/images/{PROJECT}/{folder}/[^/]+\.png", image["local_url"])
    assert image["local_path"] == image["local_url"][1:]
    assert answer["provider"] == provider
    assert (served.status_code, served.headers["content-type"]) == (200, "image/png")


async def test_the_limits_that_clients_know_hold_of_the_shipped_catalog(home):
    async with shipped(home, *FOUR) as http:
        found = (await http.get("/unified/providers")).json()["providers"]
        models = (await http.get("/unified/models")).json()
    assert {name: found[name]["max_images"] for name in FOUR} == {
        "leonardo": 8,
        "runware": 20,
        "gemini": 1,
        "comfyui": 4,
    }
    assert {name: found[name]["supports_negative_prompt"] for name in FOUR} == {
        "leonardo": True,
        "runware": True,
        "gemini": False,
        "comfyui": True,
    }
    assert {name: models[name][0]["id"] for name in FOUR} == DEFAULTS
    for one in (*found.values(), *(model for some in models.values() for model in some)):
        assert all(value is not None for value in one.values())


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("flux1-dev-fp8.safetensors", "comfyui"),
        ("flux-dev", "comfyui"),
        ("runware:100@1", "runware"),
        ("de7d3faf-762f-48e0-b3b7-9d0ac3a3fcf3", "leonardo"),
        ("gemini-2.5-flash-image", "gemini"),
    ],
)
async def test_the_names_of_the_default_models_are_taken_as_model_id(home, name, drawn):
    async with shipped(home, drawn) as http:
        sent = {"prompt": "a fox", "project_id": PROJECT, "model_id": name, "provider": drawn}
        answer = (await http.post("/unified/generate", json=sent)).json()
    assert (answer["status"], answer["provider"]) == ("completed", drawn), answer["error_message"]
