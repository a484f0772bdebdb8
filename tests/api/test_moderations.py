"""`POST /v1/moderations`: OpenAI's judgement or none; never an invented one."""

import httpx
import pytest

from limner.api.app import create_app
from limner.app import Limner
from limner.config import AccountSettings, Settings
from limner.core.errors import NoRoute, RateLimited, Unauthorized
from limner.moderating import Judged
from limner.simulator.app import Simulator
from tests.api.fakes import JUDGEMENT

URL = "/v1/moderations"
PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize(
    "what",
    [
        "a red fox",
        ["a red fox", "a blue fox"],
        [{"type": "text", "text": "a fox"}, {"type": "image_url", "image_url": {"url": PIXEL}}],
    ],
)
async def test_what_is_to_be_judged_goes_on_as_it_came_and_the_judgement_comes_back(http, limner, what):
    answer = await http.post(URL, json={"input": what})
    assert (answer.status_code, answer.json()) == (200, JUDGEMENT.model_dump(mode="json"))
    assert limner.judged[0].model_dump(mode="json") == {"input": what, "model": "omni-moderation-latest"}


async def test_a_named_model_goes_on_and_unknown_names_are_told(http, limner):
    answer = await http.post(URL, json={"input": "a fox", "model": "omni-moderation-2024-09-26", "x": 1})
    assert limner.judged == [Judged(input="a fox", model="omni-moderation-2024-09-26")]
    assert answer.headers["x-limner-ignored"] == "x"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (NoRoute("nothing here judges"), (503, "no_route", "false")),
        (RateLimited("slow down", 3), (429, "rate_limit_exceeded", "true")),
        (Unauthorized("bad key"), (502, "upstream_unauthorized", "false")),
    ],
)
async def test_without_a_judgement_there_is_an_error_and_no_answer(http, limner, error, told):
    limner.refuse = error
    answer = await http.post(URL, json={"input": "a fox"})
    assert (answer.status_code, answer.json()["error"]["code"], answer.headers["x-should-retry"]) == told


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"input": None},
        {"input": 5},
        {"input": []},
        {"input": [5]},
        {"input": ["a"] * 1001},
        {"input": [{"type": "text"}]},
        {"input": [{"type": "video", "text": "a"}]},
        {"input": [{"type": "image_url", "image_url": "u"}]},
        {"input": ["a", {"type": "text", "text": "a"}]},
        {"input": "a", "model": ""},
        {"input": "a", "model": 5},
    ],
)
async def test_what_cannot_be_judged_is_refused_in_openais_shape(http, limner, body):
    answer = await http.post(URL, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert limner.judged == []


async def asked(home, what, **accounts):
    """The answer of the real house, with these accounts."""
    app = create_app(Limner(Settings(home=home, accounts=accounts), idle=True))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://limner.test") as http,
    ):
        return await http.post(URL, json={"input": what})


async def test_an_account_at_openai_judges(tmp_path):
    async with Simulator(seed=7) as simulator:
        openai = AccountSettings(url=f"{simulator.url}/openai/v1", key="sk-emu")
        answer = await asked(tmp_path, ["a fox", "[[sexual]] a fox"], openai=openai)
        assert simulator.mistakes == []
    body = answer.json()
    assert (answer.status_code, body["model"], len(body["results"])) == (200, "omni-moderation-latest", 2)
    assert {len(one["category_scores"]) for one in body["results"]} == {13}


async def test_a_bad_key_at_openai_judges_nothing(tmp_path):
    async with Simulator(seed=7) as simulator:
        openai = AccountSettings(url=f"{simulator.url}/openai/v1", key="sk-wrong")
        answer = await asked(tmp_path, "a fox", openai=openai)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_unauthorized")


async def test_without_an_account_nothing_is_judged_and_the_way_out_is_told(tmp_path):
    answer = await asked(tmp_path, "a fox")
    assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
    assert answer.json()["error"] == {
        "message": "nothing here judges text or pictures; set OPENAI_API_KEY: "
        "OpenAI's moderation costs nothing",
        "type": "service_unavailable_error",
        "param": None,
        "code": "no_route",
    }
