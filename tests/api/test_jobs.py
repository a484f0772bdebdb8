import json

import pytest

from limner.core.errors import Conflict, NoRoute, StorageError
from limner.core.job import Job
from limner.core.quote import Quote
from limner.core.request import GenerateRequest


def events(text: str) -> list[dict[str, str]]:
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in text.split("\n\n") if block]


async def test_a_quote_is_answered_and_nothing_ordered(http, limner):
    answer = await http.post("/v1/quotes", json={"prompt": "a red fox", "count": 2})
    assert answer.status_code == 200
    assert Quote.model_validate_json(answer.content) == await limner.estimate(
        GenerateRequest(prompt="a red fox", count=2)
    )
    assert limner.orders == []


async def test_an_order_is_accepted_with_the_jobs_address(http, limner):
    wish = {
        "prompt": "a red fox",
        "width": 64,
        "height": 64,
        "policy": {"max_cost_usd": 0.05, "strict": True},
    }
    answer = await http.post("/v1/jobs", json=wish)
    assert (answer.status_code, answer.headers["location"]) == (202, "/v1/jobs/job-0001")
    assert limner.orders == [GenerateRequest.model_validate(wish)]
    read = await http.get(answer.headers["location"])
    assert read.json() == answer.json()
    assert answer.json()["images"][0]["path"] == "/storage/images/default/local/job-0001-0.png"
    assert answer.json()["receipt"]["cost_usd"] == 0.004


async def test_the_same_key_orders_once(http, limner):
    answers = [
        await http.post("/v1/jobs", json={"prompt": "a red fox"}, headers={"idempotency-key": "k"})
        for _ in range(3)
    ]
    assert {answer.json()["id"] for answer in answers} == {"job-0001"}
    assert len(limner.orders) == 1


async def test_jobs_are_listed_newest_first_in_pages(http):
    for prompt in ("one", "two", "three"):
        await http.post("/v1/jobs", json={"prompt": prompt})
    first = (await http.get("/v1/jobs", params={"limit": 2})).json()
    second = (await http.get("/v1/jobs", params={"limit": 2, "before": first["data"][-1]["id"]})).json()
    assert [
        ([job["request"]["prompt"] for job in page["data"]], page["has_more"]) for page in (first, second)
    ] == [
        (["three", "two"], True),
        (["one"], False),
    ]


async def test_jobs_are_filtered_by_state_and_project(http):
    await http.post("/v1/jobs", json={"prompt": "one", "project": "fables"})
    await http.post("/v1/jobs", json={"prompt": "two"})
    shown = [
        [job["request"]["prompt"] for job in (await http.get(f"/v1/jobs?{query}")).json()["data"]]
        for query in ("project=fables", "state=succeeded", "state=failed")
    ]
    assert shown == [["one"], ["two", "one"], []]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("limit=٣", "limit"),
        ("state=sleeping", "state"),
        ("project=../etc", "project"),
        ("project=a%0a", "project"),
        ("before=%00", "before"),
    ],
)
async def test_a_bad_filter_is_400_and_named(http, query, field):
    answer = await http.get(f"/v1/jobs?{query}")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["field"]) == ("invalid_request", field)


async def test_a_cancelled_job_is_answered_as_it_stands(http):
    await http.post("/v1/jobs", json={"prompt": "a red fox"})
    answer = await http.post("/v1/jobs/job-0001/cancel")
    assert answer.status_code == 200
    assert Job.model_validate_json(answer.content).cancel_requested is True


async def test_events_are_replayed_with_ids_and_end_with_the_job(http):
    job = (await http.post("/v1/jobs", json={"prompt": "a red fox"})).json()
    answer = await http.get("/v1/jobs/job-0001/events")
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    told = events(answer.text)
    assert [(e.get("id"), e["event"]) for e in told] == [
        ("1", "queued"),
        ("2", "running"),
        (None, "progress"),
        (None, "progress"),
        (None, "progress"),
        (None, "progress"),
        ("3", "succeeded"),
        (None, "end"),
    ]
    assert json.loads(told[0]["data"]) == {
        "job_id": "job-0001",
        "seq": 1,
        "type": "queued",
        "state": "queued",
        "at": 1_795_132_800.0,
        "message": None,
    }
    assert json.loads(told[2]["data"]) == {
        "job_id": "job-0001",
        "fraction": 0.25,
        "step": 1,
        "steps": 4,
        "eta_s": 3.0,
    }
    assert json.loads(told[-1]["data"]) == job


@pytest.mark.parametrize(
    ("query", "headers"),
    [("?after=2", {}), ("", {"last-event-id": "2"}), ("?after=0", {"last-event-id": "2"})],
)
async def test_a_broken_stream_resumes_after_the_last_event_seen(http, query, headers):
    await http.post("/v1/jobs", json={"prompt": "a red fox"})
    answer = await http.get(f"/v1/jobs/job-0001/events{query}", headers=headers)
    assert [e["id"] for e in events(answer.text) if "id" in e] == ["3"]


@pytest.mark.parametrize("seen", ["", "-1", "two", "1e3", "9" * 11, "4294967296", "²"])
async def test_a_last_event_id_that_is_none_is_400(http, seen):
    await http.post("/v1/jobs", json={"prompt": "a red fox"})
    answer = await http.get("/v1/jobs/job-0001/events", headers={"last-event-id": seen.encode("latin-1")})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "Last-Event-ID")


async def test_a_watch_that_breaks_ends_with_an_error_event(http, limner):
    limner.breaks = StorageError("the database is gone")
    await http.post("/v1/jobs", json={"prompt": "a red fox"})
    told = events((await http.get("/v1/jobs/job-0001/events")).text)
    assert told[-1]["event"] == "error"
    assert json.loads(told[-1]["data"]) == {"error": {"code": "storage", "message": "the database is gone"}}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/jobs/job-404"),
        ("GET", "/v1/jobs/job-404/events"),
        ("POST", "/v1/jobs/job-404/cancel"),
    ],
)
async def test_an_unknown_job_is_404(http, method, path):
    answer = await http.request(method, path)
    assert (answer.status_code, answer.json()) == (
        404,
        {"error": {"code": "not_found", "message": "no job 'job-404'"}},
    )


async def test_refusals_have_limners_own_shape(http, limner):
    limner.refuse = NoRoute("easel/x: no key", {"easel/x": "no key"})
    no_route = await http.post("/v1/jobs", json={"prompt": "a red fox"})
    limner.refuse = Conflict("the job has ended")
    conflict = await http.post("/v1/quotes", json={"prompt": "a red fox"})
    assert [(answer.status_code, answer.json()["error"]) for answer in (no_route, conflict)] == [
        (503, {"code": "no_route", "message": "easel/x: no key", "details": {"easel/x": "no key"}}),
        (409, {"code": "conflict", "message": "the job has ended"}),
    ]


async def test_a_field_nobody_knows_is_refused_by_name(http, limner):
    answer = await http.post("/v1/jobs", json={"prompt": "a red fox", "policy": {"cheap": True}})
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        {
            "code": "invalid_request",
            "message": "policy.cheap: is not known here; remove it",
            "field": "policy.cheap",
        },
    )
    assert limner.orders == []
