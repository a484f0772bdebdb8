"""Lost orders and decisions over HTTP, with the real Limner and a vendor scripted in this process."""

from contextlib import asynccontextmanager

import httpx
import pytest
from openai import APIStatusError, AsyncOpenAI

from limner.api.app import create_app
from limner.core.errors import TimedOut, Unknown
from limner.core.job import Job
from limner.core.lost import LostOrder, Reconciled
from limner.providers.base import Recovery
from tests.fakes import Desk, done, ledger, limner, png, vendor

LOST = TimedOut("no answer")
ORDER = {"prompt": "a red fox", "seed": 7}


@asynccontextmanager
async def house(home, desk, recovery=Recovery.BLIND):
    app = create_app(limner(home, vendor(desk, recovery=recovery)), max_body_bytes=4096)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client,
    ):
        yield client


async def asking(client) -> str:
    """The id of a job that asks."""
    answer = await client.post("/v1/images/generations", json={"prompt": "a red fox", "seed": 7})
    assert answer.status_code == 504
    return answer.headers["x-limner-job"]


async def test_a_lost_answer_is_told_at_once_with_the_job_and_the_ways_out(home):
    desk = Desk(submits=[LOST])
    async with house(home, desk) as client:
        answer = await client.post("/v1/images/generations", json=ORDER)
        streamed = await client.post("/v1/images/generations", json={**ORDER, "stream": True})
    error = answer.json()["error"]
    job_id = answer.headers["x-limner-job"]
    assert (answer.status_code, error["code"], error["param"]) == (504, "outcome_unknown", None)
    assert answer.headers["x-should-retry"] == "false"
    assert "easel/easel-model took the order and its answer is lost (no answer). $0.04" in error["message"]
    assert f"POST /v1/jobs/{job_id}/decide: pay_again or write_off or delivered" in error["message"]
    assert '"code":"outcome_unknown"' in streamed.text.splitlines()[-2]
    assert len(desk.bill) == 2


async def test_openais_own_client_does_not_send_the_order_again(home):
    desk = Desk(submits=[LOST])
    app = create_app(limner(home, vendor(desk, recovery=Recovery.BLIND)))
    async with app.router.lifespan_context(app):
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app))
        async with AsyncOpenAI(api_key="none", base_url="http://limner.test/v1", http_client=http) as client:
            with pytest.raises(APIStatusError) as told:
                await client.images.generate(prompt="a red fox")
    assert (told.value.status_code, told.value.code, len(desk.bill)) == (504, "outcome_unknown", 1)


async def test_the_events_of_a_job_end_with_the_question(home):
    async with house(home, Desk(submits=[LOST])) as client:
        job_id = await asking(client)
        text = (await client.get(f"/v1/jobs/{job_id}/events")).text
    blocks = [dict(line.split(": ", 1) for line in one.split("\n")) for one in text.split("\n\n") if one]
    assert [one["event"] for one in blocks] == ["queued", "running", "asked", "end"]
    job = Job.model_validate_json(blocks[-1]["data"])
    assert (job.state, job.confirmation.choices) == (
        "needs_confirmation",
        ("pay_again", "write_off", "delivered"),
    )


async def test_lost_orders_are_listed_asked_about_and_decided(home):
    desk = Desk(submits=[LOST, done()], find=Unknown("2 orders look like this one"))
    async with house(home, desk, Recovery.TICKETED) as client:
        assert (await client.get("/v1/reconcile")).json() == {"data": []}
        job_id = await asking(client)
        (lost,) = (await client.get("/v1/reconcile")).json()["data"]
        assert LostOrder.model_validate(lost).job_id == job_id
        assert (lost["amount_usd"], lost["asked_by"]) == (0.04, "list")
        asked = Reconciled.model_validate_json((await client.post("/v1/reconcile")).content)
        assert [one.outcome for one in asked.findings] == ["silent"]
        assert [one.job_id for one in asked.left] == [job_id]
        answer = await client.post(f"/v1/jobs/{job_id}/decide", json={"decision": "write_off", "by": "Ada"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (200, "written_off")
        again = await client.post(f"/v1/jobs/{job_id}/decide", json={"decision": "pay_again"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    assert "was decided before: write_off by Ada at" in again.json()["error"]["message"]
    assert ledger(home) == [("reserve", 40_000), ("release", 40_000), ("settle", 40_000)]


async def test_a_delivered_picture_is_named_by_its_digest(home):
    async with house(home, Desk(submits=[LOST])) as client:
        job_id = await asking(client)
        digest = (await client.post("/v1/inputs", content=png())).json()["digest"]
        wish = {"decision": "delivered", "picture": digest}
        job = Job.model_validate_json((await client.post(f"/v1/jobs/{job_id}/decide", json=wish)).content)
        picture = await client.get(job.images[0].path)
    assert (job.state, picture.status_code, picture.content[:8]) == ("succeeded", 200, png()[:8])


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 400, "decision"),
        ({"decision": "maybe"}, 400, "decision"),
        ({"decision": "accept"}, 400, "decision"),
        ({"decision": ["pay_again"]}, 400, "decision"),
        ({"decision": "pay_again", "by": ""}, 400, "by"),
        ({"decision": "pay_again", "by": "x" * 201}, 400, "by"),
        ({"decision": "pay_again", "by": "\x00"}, 400, "by"),
        ({"decision": "pay_again", "usd": 1}, 400, "usd"),
        ({"decision": "delivered"}, 400, "picture"),
        ({"decision": "delivered", "picture": "../../etc/passwd"}, 400, "picture"),
        ({"decision": "delivered", "picture": "0" * 64}, 404, None),
        ({"decision": "write_off", "picture": "0" * 64}, 404, None),
        ({"decision": "pay_again", "by": "x" * 8000}, 413, None),
    ],
)
async def test_what_is_no_decision_is_refused_and_decides_nothing(home, body, status, field):
    desk = Desk(submits=[LOST])
    async with house(home, desk) as client:
        job_id = await asking(client)
        answer = await client.post(f"/v1/jobs/{job_id}/decide", json=body)
        job = (await client.get(f"/v1/jobs/{job_id}")).json()
    assert (answer.status_code, answer.json()["error"].get("field")) == (status, field)
    assert (job["state"], len(desk.bill)) == ("needs_confirmation", 1)


async def test_nothing_is_decided_of_a_job_that_is_not_there(home):
    async with house(home, Desk()) as client:
        answer = await client.post("/v1/jobs/0/decide", json={"decision": "pay_again"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
        assert (await client.post("/v1/jobs/0/decide", content=b"no")).status_code == 400
        assert (await client.get("/v1/jobs/0/decide")).status_code == 405
