"""The prompt endpoints over the real Limner, with the simulator's language model."""

import json

import httpx
import pytest

from limner.api.app import create_app
from limner.prompts.styles import styles
from limner.simulator.app import Simulator
from limner.simulator.ollama import Ollama
from tests.fakes import Desk, limner, vendor
from tests.prompts.scripted import LONG

pytestmark = pytest.mark.usefixtures("swift")


@pytest.fixture
async def sim():
    async with Simulator(seed=7, vendors=[Ollama], speed=500) as running:
        yield running
    assert running.mistakes == []


@pytest.fixture
async def http(home, sim):
    desk = Desk()
    async with limner(
        home, vendor(desk), language_url=sim.base("ollama"), default_images_per_hour=None
    ) as app:
        transport = httpx.ASGITransport(create_app(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client:
            yield client


async def template(http, name="moody", text="{prompt}, {mood} light"):
    return await http.post("/v1/templates", json={"name": name, "text": text})


async def picture(http, **fields):
    """The id of a picture that was drawn."""
    answer = await http.post("/v1/images/generations", json={"prompt": "a fox"} | fields)
    assert answer.status_code == 200, answer.text
    job = await http.get(f"/v1/jobs/{answer.headers['x-limner-job']}")
    return job.json()["images"][0]["id"]


async def test_a_prompt_is_analysed(http):
    answer = await http.post("/v1/prompts/analyze", json={"prompt": "Red foxes run fast. They hide!"})
    told = answer.json()
    assert (answer.status_code, told["complexity_score"], told["readability_score"]) == (200, 51.0, 82.0)


async def test_a_long_prompt_is_shortened_and_that_is_counted(http):
    answer = await http.post("/v1/prompts/optimize", json={"prompt": LONG})
    told = answer.json()
    assert (answer.status_code, told["result"], told["optimized_length"] < 3000) == (200, "optimized", True)
    (count,) = (await http.get("/v1/prompts/metrics")).json()["data"]
    assert (count["step"], count["model"], count["outcome"]) == ("optimize", "gpt-oss:20b", "done")
    assert (count["characters_before"], count["characters_after"]) == (len(LONG), told["optimized_length"])


async def test_a_language_model_that_is_away_leaves_the_prompt_as_it_is(http, sim):
    sim.fault("overloaded", times=0)
    told = (await http.post("/v1/prompts/optimize", json={"prompt": LONG})).json()
    assert (told["success"], told["result"], told["optimized_prompt"]) == (False, "optimization_failed", LONG)
    assert "server busy" in told["error_message"]
    assert "down" not in told


async def test_the_language_model_is_told_with_whether_it_can_be_asked(http, sim):
    told = (await http.get("/v1/language")).json()
    assert told == {
        "model": "gpt-oss:20b",
        "provider": "ollama",
        "address": sim.base("ollama"),
        "available": True,
        "reason": None,
    }


async def test_all_styles_are_listed(http):
    told = (await http.get("/v1/styles")).json()["data"]
    assert [one["name"] for one in told] == [one.name for one in styles()]
    assert set(told[0]) == {"name", "also", "positive", "negative"}


async def test_a_template_is_kept_versioned_and_used(http):
    first = await template(http)
    assert first.status_code == 201
    assert (first.json()["version"], first.json()["variables"]) == (1, ["mood"])
    second = await template(http, text="{prompt} in {mood} light")
    assert second.json()["version"] == 2
    assert (await http.get("/v1/templates")).json()["data"] == [second.json()]
    assert (await http.get("/v1/templates/moody")).json() == second.json()
    assert (await http.get("/v1/templates/moody@1")).json() == first.json()
    versions = (await http.get("/v1/templates/moody/versions")).json()["data"]
    assert versions == [second.json(), first.json()]
    order = {"prompt": "a fox", "prompting": {"template": "moody", "variables": {"mood": "soft"}}}
    job = (await http.post("/v1/jobs", json=order)).json()
    assert job["request"]["prompt"] == "a fox in soft light"
    assert job["request"]["prompting"]["done"]["template"] == "moody@2"


async def test_openais_door_tells_the_prompt_that_was_sent_where_it_was_rewritten(http):
    order = {"prompt": "a fox", "prompting": {"enhance": True}, "response_format": "url"}
    for kind in ("url", "b64_json"):
        answer = await http.post("/v1/images/generations", json=order | {"response_format": kind})
        (item,) = answer.json()["data"]
        assert set(item) == {kind, "revised_prompt"}
        assert item["revised_prompt"] == "a fox, highly detailed, sharp focus"
        assert "was added" in answer.headers["x-limner-notes"]


async def test_openais_door_rewrites_nothing_unasked(http):
    answer = await http.post("/v1/images/generations", json={"prompt": LONG})
    assert set(answer.json()["data"][0]) == {"b64_json"}


async def test_what_a_user_keeps_is_noted_told_and_erased(http):
    for verdict in ("kept", "kept", "kept", "deleted"):
        image = await picture(http, prompting={"style_preset": "oil"})
        told = await http.post("/v1/preferences", json={"image": image, "verdict": verdict})
        assert told.status_code == 200
    mine = (await http.get("/v1/preferences")).json()
    assert (mine["user"], mine["judged"]) == ("local", 4)
    assert mine["styles"] == [{"kept": 3, "deleted": 1, "low": 0.3006, "high": 0.9544, "name": "oil"}]
    assert mine["suggestions"] == {"style_preset": "oil", "size": "64x64", "provider": "easel"}
    assert (await http.delete("/v1/preferences")).json() == {"erased": 4}
    assert (await http.get("/v1/preferences")).json()["judged"] == 0


async def test_a_test_of_templates_is_begun_read_and_ended(http):
    await template(http, "a", "{prompt}, plain")
    await template(http, "b", "{prompt}, grand")
    begun = await http.post("/v1/experiments", json={"name": "duel", "arms": ["a", "b@1"]})
    assert (begun.status_code, begun.json()["arms"]) == (201, ["a@1", "b@1"])
    image = await picture(http, prompting={"experiment": "duel"})
    await http.post("/v1/preferences", json={"image": image, "verdict": "kept"})
    result = (await http.get("/v1/experiments/duel")).json()
    assert sorted((arm["jobs"], arm["kept"]) for arm in result["results"]) == [(0, 0), (1, 1)]
    assert result["leader"] is None
    ended = (await http.post("/v1/experiments/duel/end")).json()
    assert ended["ended_at"] is not None
    assert (await http.get("/v1/experiments")).json() == {"data": [ended]}


async def test_a_test_of_that_name_is_begun_once(http):
    await template(http, "a", "{prompt}, plain")
    await template(http, "b", "{prompt}, grand")
    order = {"name": "duel", "arms": ["a", "b"]}
    assert (await http.post("/v1/experiments", json=order)).status_code == 201
    again = await http.post("/v1/experiments", json=order)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")


DEEP = {"prompt": "a fox", "prompting": {"done": {"prompt": "x", "steps": [{"step": "steal"}]}}}


REFUSED = [
    ("/v1/prompts/analyze", {}, "prompt"),
    ("/v1/prompts/analyze", {"prompt": 7}, "prompt"),
    ("/v1/prompts/analyze", {"prompt": "x" * 10_001}, "prompt"),
    ("/v1/prompts/analyze", {"prompt": "a\x00b"}, "prompt"),
    ("/v1/prompts/analyze", {"prompt": "a", "more": 1}, "more"),
    ("/v1/prompts/optimize", {"prompt": "a", "force": "yes"}, "force"),
    ("/v1/prompts/optimize", {"prompt": "x" * 10_001}, "prompt"),
    ("/v1/templates", {"name": "a"}, "text"),
    ("/v1/templates", {"name": "../a", "text": "{prompt}"}, "name"),
    ("/v1/templates", {"name": "A", "text": "{prompt}"}, "name"),
    ("/v1/templates", {"name": "a@1", "text": "{prompt}"}, "name"),
    ("/v1/templates", {"name": "a" * 64, "text": "{prompt}"}, "name"),
    ("/v1/templates", {"name": "a", "text": "no place for it"}, "text"),
    ("/v1/templates", {"name": "a", "text": "{prompt}" + "x" * 8000}, "text"),
    ("/v1/templates", {"name": "a", "text": "{prompt}\x00"}, "text"),
    ("/v1/experiments", {"name": "a", "arms": ["gone", "b"]}, "arms"),
    ("/v1/experiments", {"name": "a", "arms": ["b"]}, "arms"),
    ("/v1/experiments", {"name": "a", "arms": ["b;DROP TABLE", "c"]}, "arms.0"),
    ("/v1/experiments", {"name": "a", "arms": ["b@0", "c"]}, "arms.0"),
    ("/v1/preferences", {"image": "../../x", "verdict": "kept"}, "image"),
    ("/v1/preferences", {"image": "a1", "verdict": "loved"}, "verdict"),
    ("/v1/jobs", {"prompt": "a fox", "prompting": 1}, "prompting"),
    ("/v1/jobs", {"prompt": "a fox", "prompting": {"optimise": True}}, "prompting.optimise"),
    ("/v1/jobs", {"prompt": "a fox", "prompting": {"optimize": 1}}, "prompting.optimize"),
    ("/v1/jobs", {"prompt": "a fox", "prompting": {"context": ["x"] * 21}}, "prompting.context"),
    ("/v1/jobs", {"prompt": "a fox", "prompting": {"context": ["x" * 4001]}}, "prompting.context.0"),
    ("/v1/jobs", {"prompt": "a", "prompting": {"variables": {"A": "b"}}}, "prompting.variables.A.[key]"),
    ("/v1/jobs", {"prompt": "a fox", "prompting": {"style_preset": "zzz"}}, "prompting.style_preset"),
    ("/v1/jobs", {"prompt": "a fox", "prompting": {"template": "gone"}}, "prompting.template"),
    ("/v1/quotes", {"prompt": "a fox", "prompting": {"template": "gone"}}, "prompting.template"),
    ("/v1/jobs", DEEP, "prompting.done.steps.0.step"),
]
"""What is sent where, and the name that is found at fault."""


async def test_what_cannot_be_meant_is_refused_with_its_name_and_never_echoed(http):
    for path, body, field in REFUSED:
        content = json.dumps(body)
        answer = await http.post(path, content=content, headers={"Content-Type": "application/json"})
        told = answer.json()["error"]
        said = (path, answer.status_code, told["code"], told["field"])
        assert said == (path, 400, "invalid_request", field)
        assert len(answer.text) < 700


ABSENT = [
    "/v1/templates/gone",
    "/v1/templates/gone@3",
    "/v1/templates/%2e%2e",
    "/v1/templates/A",
    "/v1/templates/a%00b",
    "/v1/templates/a@99999999999999999999",
    "/v1/templates/gone/versions",
    "/v1/templates/" + "x" * 5000,
    "/v1/experiments/gone",
    "/v1/experiments/%27%20OR%201",
]


async def test_what_is_not_there_is_not_found(http):
    for path in ABSENT:
        answer = await http.get(path)
        assert (path, answer.status_code, answer.json()["error"]["code"]) == (path, 404, "not_found")
        assert len(answer.text) < 500


async def test_a_picture_that_is_not_there_cannot_be_judged(http):
    answer = await http.post("/v1/preferences", json={"image": "a1", "verdict": "kept"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_a_body_that_is_none_is_refused(http):
    bodies = [(b"", "application/json", 400), (b"[]", "application/json", 400), (b"{}", "text/plain", 415)]
    for path in ("/v1/prompts/analyze", "/v1/prompts/optimize", "/v1/templates", "/v1/experiments"):
        for content, kind, status in bodies:
            answer = await http.post(path, content=content, headers={"Content-Type": kind})
            assert (path, answer.status_code) == (path, status)


async def test_another_method_is_refused_with_those_that_are_allowed(http):
    answer = await http.put("/v1/preferences", json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE, GET, HEAD, POST")


async def test_every_endpoint_is_in_the_reference(http):
    paths = (await http.get("/openapi.json")).json()["paths"]
    documented = {(path, method) for path, one in paths.items() for method in one}
    assert documented >= {
        ("/v1/prompts/analyze", "post"),
        ("/v1/prompts/optimize", "post"),
        ("/v1/prompts/metrics", "get"),
        ("/v1/language", "get"),
        ("/v1/styles", "get"),
        ("/v1/templates", "get"),
        ("/v1/templates", "post"),
        ("/v1/templates/{ref}", "get"),
        ("/v1/templates/{name}/versions", "get"),
        ("/v1/experiments", "get"),
        ("/v1/experiments", "post"),
        ("/v1/experiments/{name}", "get"),
        ("/v1/experiments/{name}/end", "post"),
        ("/v1/preferences", "get"),
        ("/v1/preferences", "post"),
        ("/v1/preferences", "delete"),
    }
