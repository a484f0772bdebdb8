"""Requests made up from the OpenAPI document, right ones and wrong ones, at every address it names."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.config import CacheConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from limner.api.app import create_app
from limner.app import Limner
from limner.config import Settings
from tests.hostile.house import Net, serving

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
"""Requests per operation and kind."""
CHECKS = (
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


CONFIG = schemathesis.Config(cache=CacheConfig(enabled=False))


def _operations() -> dict[str, schemathesis.APIOperation]:
    """By method and path."""
    document = json.loads(json.dumps(create_app(Limner(Settings())).openapi()))
    schema = schemathesis.openapi.from_dict(document, config=CONFIG)
    return {found.ok().label: found.ok() for found in schema.get_all_operations()}


OPERATIONS = _operations()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """A server of its own: what is asked rightly here leaves pictures, projects and templates behind."""
    home = tmp_path_factory.mktemp("fuzz") / "home"
    with Net().cast() as net, serving(home) as (url, _limner):
        net.own.add(int(url.rpartition(":")[2]))
        yield url


@pytest.mark.parametrize("mode", GenerationMode)
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_documented(server, label, mode):
    operation = OPERATIONS[label]

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def asked(case: Case) -> None:
        answer = case.call(base_url=server, timeout=60)
        assert answer.status_code != 500, answer.text
        assert answer.headers["x-request-id"]
        case.validate_response(answer, checks=list(CHECKS))

    with suppress(Unsatisfiable):  # nothing can be wrong where anything is right, as in a name within a path
        asked()
