import json

import pytest

from limner.api.app import create_app
from tests.api.fakes import FakeLimner


async def test_the_lifespan_enters_and_leaves_limner():
    limner = FakeLimner()
    app = create_app(limner)
    async with app.router.lifespan_context(app):
        assert limner.entered == 1
    assert limner.entered == 0


@pytest.fixture
async def document(http) -> dict:
    answer = await http.get("/openapi.json")
    assert answer.status_code == 200
    return answer.json()


async def test_every_endpoint_is_documented(document):
    assert {(way.upper(), path) for path, operations in document["paths"].items() for way in operations} == {
        ("POST", "/v1/images/generations"),
        ("POST", "/v1/images/edits"),
        ("POST", "/v1/images/variations"),
        ("POST", "/v1/moderations"),
        ("GET", "/v1/images/{image_id}"),
        ("GET", "/v1/images/{image_id}/file"),
        ("GET", "/v1/images/{image_id}/thumbnail"),
        ("GET", "/storage/images/{project}/{provider}/{file}"),
        ("GET", "/v1/models"),
        ("GET", "/v1/providers"),
        ("GET", "/v1/usage"),
        ("GET", "/v1/budgets"),
        ("GET", "/v1/audit"),
        ("POST", "/v1/inputs"),
        ("GET", "/v1/models/{model_id}"),
        ("POST", "/v1/quotes"),
        ("GET", "/v1/jobs"),
        ("POST", "/v1/jobs"),
        ("GET", "/v1/jobs/{job_id}"),
        ("GET", "/v1/jobs/{job_id}/events"),
        ("POST", "/v1/jobs/{job_id}/cancel"),
        ("POST", "/v1/jobs/{job_id}/decide"),
        ("GET", "/v1/reconcile"),
        ("PATCH", "/v1/providers/{provider}"),
        ("DELETE", "/v1/images/{image_id}"),
        ("POST", "/unified/generate"),
        ("POST", "/unified/generate/quick"),
        ("POST", "/unified/generate/batch"),
        ("POST", "/unified/validate-prompt"),
        ("POST", "/unified/prompt-stats"),
        ("GET", "/unified/prompt-validator/health"),
        ("GET", "/unified/providers"),
        ("GET", "/unified/providers/available"),
        ("GET", "/unified/models"),
        ("GET", "/unified/config"),
        ("GET", "/unified/health"),
        ("GET", "/unified/jobs"),
        ("GET", "/unified/jobs/{job_id}"),
        ("GET", "/projects/"),
        ("POST", "/projects/"),
        ("GET", "/projects/{project_id}"),
        ("DELETE", "/projects/{project_id}"),
        ("GET", "/health"),
        ("POST", "/chat"),
        ("GET", "/chat/models"),
        ("POST", "/generate-image"),
        ("GET", "/health-check/image-providers"),
        ("POST", "/v1/reconcile"),
        ("POST", "/v1/hooks/{provider}/{token}"),
        ("POST", "/models/{model}"),
        ("GET", "/models/{model}"),
        ("POST", "/hf-inference/models/{model}"),
        ("GET", "/hf-inference/models/{model}"),
        ("POST", "/sdapi/v1/txt2img"),
        ("POST", "/sdapi/v1/img2img"),
        ("POST", "/sdapi/v1/extra-single-image"),
        ("POST", "/sdapi/v1/png-info"),
        ("POST", "/sdapi/v1/interrupt"),
        ("POST", "/sdapi/v1/skip"),
        ("POST", "/sdapi/v1/options"),
        ("POST", "/sdapi/v1/refresh-checkpoints"),
        ("GET", "/sdapi/v1/loras"),
        ("GET", "/sdapi/v1/sd-vae"),
        ("GET", "/sdapi/v1/hypernetworks"),
        ("GET", "/sdapi/v1/face-restorers"),
        ("GET", "/sdapi/v1/realesrgan-models"),
        ("GET", "/sdapi/v1/latent-upscale-modes"),
        ("GET", "/sdapi/v1/embeddings"),
        ("GET", "/sdapi/v1/scripts"),
        ("GET", "/sdapi/v1/cmd-flags"),
        ("GET", "/sdapi/v1/options"),
        ("GET", "/sdapi/v1/sd-models"),
        ("GET", "/sdapi/v1/samplers"),
        ("GET", "/sdapi/v1/schedulers"),
        ("GET", "/sdapi/v1/upscalers"),
        ("GET", "/sdapi/v1/prompt-styles"),
        ("GET", "/sdapi/v1/memory"),
        ("GET", "/sdapi/v1/progress"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
    }


async def test_the_document_refers_to_nothing_it_lacks(document):
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert named - document["components"]["schemas"].keys() == set()
    assert "#/$defs" not in text
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert [one["operationId"] for one in operations if "422" in one["responses"]] == []


async def test_bodies_read_by_hand_are_documented_with_their_limits(document):
    schemas = document["components"]["schemas"]
    order = document["paths"]["/v1/jobs"]["post"]
    assert order["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/GenerateRequestInput"
    }
    assert [(parameter["name"], parameter["in"]) for parameter in order["parameters"]] == [
        ("Idempotency-Key", "header")
    ]
    assert schemas["GenerateRequestInput"]["required"] == ["prompt"]
    assert schemas["GenerateRequestInput"]["properties"]["count"] == {
        "default": 1,
        "maximum": 10,
        "minimum": 1,
        "title": "Count",
        "type": "integer",
    }
    assert schemas["ImagesBodyInput"]["required"] == ["prompt"]


async def test_every_status_of_an_order_is_documented(document):
    statuses = {
        path: sorted(document["paths"][path]["post"]["responses"])
        for path in ("/v1/images/generations", "/v1/jobs", "/v1/quotes")
    }
    assert statuses == {
        "/v1/images/generations": [
            "200", "400", "401", "402", "404", "408", "409", "413", "415", "421", "429", "500", "502", "503", "504",
            "507",
        ],
        "/v1/jobs": ["202", "400", "401", "402", "408", "409", "413", "415", "421", "429", "500", "503", "507"],
        "/v1/quotes": ["200", "400", "401", "402", "408", "413", "415", "421", "429", "500", "503", "507"],
    }  # fmt: skip
