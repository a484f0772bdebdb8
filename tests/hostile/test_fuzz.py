"""Requests made up from the OpenAPI document, right ones and wrong ones, at every address it names."""

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.config import CacheConfig
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from limner.api.app import create_app
from limner.app import Limner
from limner.config import Settings
from tests.hostile.house import Net, serving

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))
"""Requests per operation and kind: `FUZZ_EXAMPLES=200` for an hour to spare."""
CONFIG = schemathesis.Config(cache=CacheConfig(enabled=False))
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    allow_header_conformance,
    negative_data_rejection,
]
IN_ITS_STREAM = "POST /chat"
"""Refuses with 200 and an event, as its clients read it."""


def _operations() -> dict[str, schemathesis.APIOperation]:
    """By method and path, those last that change what the others answer."""
    document = create_app(Limner(Settings(home=Path("never-entered")))).openapi()
    schema = schemathesis.openapi.from_dict(json.loads(json.dumps(document)), config=CONFIG)
    found = {one.ok().label: one.ok() for one in schema.get_all_operations()}
    return dict(sorted(found.items(), key=lambda one: one[0].startswith("PATCH ")))


OPERATIONS = _operations()


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[str]:
    """A server of its own: what is asked rightly here leaves pictures, projects and templates behind."""
    home = tmp_path_factory.mktemp("fuzz") / "home"
    with Net().cast() as net, serving(home) as (url, _limner):
        net.own.add(int(url.rpartition(":")[2]))
        yield url


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as kept:
        kept.trust_env = False
        yield kept


@pytest.mark.parametrize("mode", GenerationMode, ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_answer_is_documented(server, session, label, mode):
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=OPERATIONS[label].as_strategy(generation_mode=mode))
    def asked(case: Case) -> None:
        answer = case.call(base_url=server, session=session, timeout=60)
        assert answer.status_code != 500, answer.text
        assert answer.headers["x-request-id"]
        checks = [one for one in CHECKS if one is not negative_data_rejection or label != IN_ITS_STREAM]
        case.validate_response(answer, checks=checks)

    with suppress(Unsatisfiable):  # nothing can be wrong where anything is right, as in a name within a path
        asked()
