import json
import re

import pytest

from limner.api.app import create_app
from tests.api.fakes import FakeLimner

ANYWHERE = {"401", "421", "431", "500"}
"""What stands before every door can answer these."""
STATUSES = {
    "POST /v1/images/generations": "200 400 402 404 408 409 413 415 429 502 503 504 507",
    "POST /v1/images/edits": "200 400 402 404 408 409 413 415 429 502 503 504 507",
    "POST /v1/images/variations": "200 400 402 404 408 409 413 415 429 502 503 504 507",
    "POST /v1/moderations": "200 400 408 413 415 429 502 503 504",
    "POST /models/{model}": "200 400 402 404 408 409 413 415 429 502 503 504 507",
    "GET /models/{model}": "200 404",
    "POST /hf-inference/models/{model}": "200 400 402 404 408 409 413 415 429 502 503 504 507",
    "GET /hf-inference/models/{model}": "200 404",
    "POST /sdapi/v1/txt2img": "200 400 402 404 408 409 413 415 429 502 503 504 507",
    "POST /sdapi/v1/img2img": "200 400 402 404 408 409 413 415 429 502 503 504 507",
    "POST /sdapi/v1/extra-single-image": "200 400 402 404 408 409 413 415 429 502 503 504 507",
    "GET /sdapi/v1/progress": "200 400",
    "POST /sdapi/v1/interrupt": "200 507",
    "POST /sdapi/v1/skip": "200 507",
    "GET /sdapi/v1/options": "200",
    "POST /sdapi/v1/options": "200 400 404 408 413 415",
    "GET /sdapi/v1/sd-models": "200",
    "GET /sdapi/v1/samplers": "200",
    "GET /sdapi/v1/schedulers": "200",
    "GET /sdapi/v1/upscalers": "200",
    "GET /sdapi/v1/prompt-styles": "200",
    "GET /sdapi/v1/memory": "200",
    "GET /sdapi/v1/loras": "200",
    "GET /sdapi/v1/sd-vae": "200",
    "GET /sdapi/v1/hypernetworks": "200",
    "GET /sdapi/v1/face-restorers": "200",
    "GET /sdapi/v1/realesrgan-models": "200",
    "GET /sdapi/v1/latent-upscale-modes": "200",
    "GET /sdapi/v1/embeddings": "200",
    "GET /sdapi/v1/scripts": "200",
    "GET /sdapi/v1/cmd-flags": "200",
    "POST /sdapi/v1/png-info": "200 400 408 413 415",
    "POST /sdapi/v1/refresh-checkpoints": "200",
    "GET /v1/models": "200",
    "GET /v1/models/{model_id}": "200 404",
    "GET /v1/providers": "200",
    "PATCH /v1/providers/{provider}": "200 400 404 408 409 413 415 507",
    "POST /unified/generate": "200 400 402 404 408 409 413 415 422 429 502 503 507",
    "POST /unified/generate/quick": "200 400 402 404 408 409 413 415 422 429 502 503 507",
    "POST /unified/generate/batch": "200 400 402 404 408 409 413 415 422 429 502 503 507",
    "GET /unified/jobs": "200 422 507",
    "GET /unified/jobs/{job_id}": "200 404 507",
    "GET /unified/providers": "200",
    "GET /unified/providers/available": "200",
    "GET /unified/models": "200",
    "GET /unified/config": "200",
    "GET /unified/health": "200",
    "POST /unified/validate-prompt": "200 400 408 413 415 422 503 507",
    "POST /unified/prompt-stats": "200 400 408 413 415 422",
    "GET /unified/prompt-validator/health": "200",
    "GET /projects/": "200 507",
    "POST /projects/": "200 400 408 413 415 422 507",
    "GET /projects/{project_id}": "200 404 422 507",
    "DELETE /projects/{project_id}": "200 404 409 422 507",
    "GET /v1/usage": "200 400 507",
    "GET /v1/budgets": "200 507",
    "GET /v1/audit": "200 507",
    "POST /v1/inputs": "201 400 408 413 415 507",
    "POST /v1/prompts/analyze": "200 400 408 413 415",
    "POST /v1/prompts/optimize": "200 400 408 413 415 507",
    "GET /v1/prompts/metrics": "200 507",
    "GET /v1/language": "200 507",
    "GET /v1/styles": "200 507",
    "GET /v1/templates": "200 507",
    "POST /v1/templates": "201 400 408 413 415 507",
    "GET /v1/templates/{ref}": "200 404 507",
    "GET /v1/templates/{name}/versions": "200 404 507",
    "GET /v1/experiments": "200 507",
    "POST /v1/experiments": "201 400 408 409 413 415 507",
    "GET /v1/experiments/{name}": "200 404 507",
    "POST /v1/experiments/{name}/end": "200 404 507",
    "GET /v1/preferences": "200 507",
    "POST /v1/preferences": "200 400 404 408 413 415 507",
    "DELETE /v1/preferences": "200 507",
    "POST /v1/quotes": "200 400 402 408 413 415 429 503 507",
    "POST /v1/jobs": "202 400 402 408 409 413 415 429 503 507",
    "GET /v1/jobs": "200 400 507",
    "GET /v1/jobs/{job_id}": "200 404 507",
    "GET /v1/jobs/{job_id}/events": "200 400 404 507",
    "POST /v1/jobs/{job_id}/cancel": "200 404 409 507",
    "POST /v1/jobs/{job_id}/decide": "200 400 404 408 409 413 415 507",
    "GET /v1/reconcile": "200 507",
    "POST /v1/reconcile": "200 507",
    "POST /v1/hooks/{provider}": "204 404 408 413 415 429 502 503 504 507",
    "POST /v1/hooks/{provider}/{token}": "204 404 408 413 415 429 502 503 504 507",
    "GET /v1/images/{image_id}": "200 404 507",
    "DELETE /v1/images/{image_id}": "200 404 507",
    "GET /v1/images/{image_id}/file": "200 304 404 507",
    "GET /v1/images/{image_id}/thumbnail": "200 304 400 404 507",
    "GET /storage/images/{project}/{provider}/{file}": "200 304 404 507",
    "POST /chat": "200",
    "POST /generate-image": "200 400 402 408 409 413 415 429 503 507",
    "GET /chat/models": "200",
    "GET /health-check/image-providers": "200",
    "GET /healthz": "200",
    "GET /readyz": "200 503",
    "GET /health": "200 503",
}
"""Every address, with what else it can answer."""


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


async def test_every_endpoint_and_every_status_is_documented(document):
    told = {
        f"{way.upper()} {path}": set(operation["responses"])
        for path, operations in document["paths"].items()
        for way, operation in operations.items()
    }
    assert told == {
        name: set(statuses.split()) | (ANYWHERE - {"401"} if name == "POST /chat" else ANYWHERE)
        for name, statuses in STATUSES.items()
    }


async def test_every_route_is_documented_but_for_pages_and_twins(house, document):
    """Not in the document: HEAD beside its GET, projects with and without a slash, and what people read."""
    mounted = {
        f"{way} {re.sub(':[a-z]+}', '}', route.path)}"
        for route in house[1].routes
        for way in (getattr(route, "methods", None) or ())
    }
    assert {name for name in mounted - STATUSES.keys() if not name.startswith("HEAD ")} == {
        "GET /",
        "GET /docs",
        "GET /openapi.json",
        "GET /projects",
        "POST /projects",
        "GET /projects/{project_id}/",
        "DELETE /projects/{project_id}/",
    }
    assert STATUSES.keys() - mounted == set()


async def test_the_document_refers_to_nothing_it_lacks(document):
    text = json.dumps(document)
    named = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert named - document["components"]["schemas"].keys() == set()
    assert "#/$defs" not in text
    assert "HTTPValidationError" not in text


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
        "maximum": 20,
        "minimum": 1,
        "title": "Count",
        "type": "integer",
    }
    assert schemas["ImagesBodyInput"]["required"] == ["prompt"]
