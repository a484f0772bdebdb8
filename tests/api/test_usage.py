"""The doors about money, over the real Limner with a vendor that charges."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import openai
import pytest
from sqlalchemy import text

from limner.api.app import create_app
from limner.core.ids import uuid7
from tests.fakes import Desk, limner, model, request, vendor

FOX = {"prompt": "a red fox", "seed": 7}


@asynccontextmanager
async def served(home, desk=None, models=None, **changes) -> AsyncIterator[tuple]:
    """Limner and a client of its doors."""
    app = limner(home, vendor(desk or Desk()), models=models, **changes)
    doors = create_app(app)
    async with doors.router.lifespan_context(doors):
        transport = httpx.ASGITransport(doors)
        async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as http:
            yield app, http


def today() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d")


def group(name, **more):
    sums = {"estimated_usd": 0.04, "actual_usd": 0.04, "reserved_usd": 0.0, "unknown_usd": 0.0}
    return {"group": name, "orders": 1, "pictures": 1, "unpriced": 0} | sums | more


async def test_usage_is_told_with_its_total(home):
    async with served(home) as (app, http):
        await app.draw(request())
        day = today()
        answer = await http.get(f"/v1/usage?from={day}&to={day}&by=provider")
    assert answer.status_code == 200
    assert answer.json() == {
        "first_day": day,
        "last_day": day,
        "by": "provider",
        "data": [group("easel")],
        "total": group("total"),
    }


async def test_without_days_it_is_this_month_by_day(home):
    async with served(home) as (app, http):
        await app.draw(request())
        told = (await http.get("/v1/usage")).json()
    assert (told["first_day"][8:], told["by"], [one["group"] for one in told["data"]]) == (
        "01",
        "day",
        [told["last_day"]],
    )


CSV = (
    "account,orders,pictures,estimated_usd,actual_usd,reserved_usd,unknown_usd,unpriced\r\n"
    "easel,1,1,0.04,0.04,0,0,0\r\n"
)


@pytest.mark.parametrize(
    ("query", "accept", "kind"),
    [
        ("&format=csv", "*/*", "text/csv"),
        ("&format=csv", "application/json", "text/csv"),
        ("", "text/csv", "text/csv"),
        ("", "text/html, TEXT/CSV;q=0.5", "text/csv"),
        ("", "application/json;q=0.1, text/csv; q=0.9", "text/csv"),
        ("&format=json", "text/csv", "application/json"),
        ("", "application/json, text/csv", "application/json"),
        ("", "text/csv;q=0", "application/json"),
        ("", "text/csv;q=0.1, application/json", "application/json"),
        ("", "*/*", "application/json"),
        ("", ";;;,,q=9,\u00ff", "application/json"),
    ],
)
async def test_csv_is_given_to_whoever_asks_for_it(home, query, accept, kind):
    async with served(home) as (app, http):
        await app.draw(request())
        headers = {"accept": accept.encode("latin-1")}
        answer = await http.get(f"/v1/usage?by=account{query}", headers=headers)
    assert answer.headers["content-type"].split(";")[0] == kind
    assert answer.headers["vary"].startswith("accept")
    if kind == "text/csv":
        assert answer.text == CSV
        assert answer.headers["content-disposition"].startswith('attachment; filename="usage-account-')


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-13-01", "from"),
        ("from=2026-11-21&to=2026-11-20", "from"),
        ("to=1700000000", "to"),
        ("to=%00", "to"),
        ("to=" + "9" * 10_000, "to"),
        ("from=", "from"),
        ("by=prompt", "by"),
        ("by=tenant%27--", "by"),
        ("format=xml", "format"),
    ],
)
async def test_what_cannot_be_meant_is_refused_by_name(home, query, field):
    async with served(home) as (_, http):
        answer = await http.get(f"/v1/usage?{query}")
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_the_widest_span_there_is_is_answered(home):
    async with served(home) as (_, http):
        answer = await http.get("/v1/usage?from=0001-01-01&to=9999-12-31&by=month")
    assert (answer.status_code, answer.json()["data"]) == (200, [])


async def test_budgets_and_limits_tell_what_is_left(home):
    tables = {
        "budgets": {"easel": {"account": "easel", "day_usd": "0.50", "month_usd": "0.05"}},
        "limits": {"all": {"images_per_day": 3}},
    }
    async with served(home, **tables) as (app, http):
        await app.draw(request())
        told = (await http.get("/v1/budgets")).json()
    resets = [one.pop("resets_at") for one in told["budgets"]]
    assert resets[0] % 86_400 == resets[1] % 86_400 == 0
    whom = {"name": "easel", "user": None, "project": None, "account": "easel"}
    sums = {"spent_usd": 0.04, "reserved_usd": 0.0}
    assert told == {
        "budgets": [
            whom | sums | {"period": "day", "limit_usd": 0.5, "left_usd": 0.46},
            whom | sums | {"period": "month", "limit_usd": 0.05, "left_usd": 0.01},
        ],
        "limits": [
            {"name": "all", "user": None, "project": None, "period": "day", "limit": 3, "used": 1, "left": 2}
        ],
    }


async def test_an_audit_tells_what_does_not_agree(home):
    async with served(home) as (app, http):
        job = await app.draw(request())
        assert (await http.get("/v1/audit")).json()["mismatches"] == []
        spoilt = text("DELETE FROM ledger WHERE kind = 'settle'")
        await app._now.store._database.write(lambda connection: connection.execute(spoilt))
        told = (await http.get("/v1/audit")).json()
    assert (told["orders"], len(told["mismatches"])) == (1, 1)
    assert told["mismatches"][0].startswith(f"order {job.id}-1 (settled) should have")


POOR = {"budgets": {"team": {"day_usd": "0.05"}}}
TEAM = (
    "budget 'team' (everybody: $0.05 a day): $0.04 is spent or reserved, and easel/easel-model costs $0.04; "
)


async def test_over_budget_is_402_in_each_doors_shape_and_nothing_is_bought(home):
    desk = Desk()
    async with served(home, desk, **POOR) as (app, http):
        await app.draw(request())
        own = await http.post("/v1/jobs", json=FOX)
        theirs = await http.post("/v1/images/generations", json=FOX | {"model": "easel-model"})
    assert own.status_code == theirs.status_code == 402
    assert own.json()["error"]["code"] == "over_budget"
    assert own.json()["error"]["message"].startswith(TEAM)
    assert theirs.json()["error"]["code"] == "over_budget"
    assert theirs.json()["error"]["type"] == "insufficient_quota"
    assert len(desk.bill) == 1


async def test_over_limit_is_429_in_each_doors_shape_and_says_when(home):
    desk = Desk()
    async with served(home, desk, limits={"few": {"images_per_hour": 1}}) as (app, http):
        await app.draw(request())
        own = await http.post("/v1/jobs", json=FOX)
        theirs = await http.post("/v1/images/generations", json=FOX | {"model": "easel-model"})
    assert own.status_code == theirs.status_code == 429
    assert own.json()["error"]["code"] == "over_limit"
    assert theirs.json()["error"]["code"] == "rate_limit_exceeded"
    assert 3590 <= int(own.headers["retry-after"]) <= 3600
    assert len(desk.bill) == 1


async def test_an_unmodified_client_sees_its_own_errors(home):
    async with served(home, limits={"few": {"images_per_hour": 1}}, **POOR) as (app, http):
        client = openai.AsyncOpenAI(
            base_url="http://limner.test/v1", api_key="unused", http_client=http, max_retries=0
        )
        await app.draw(request())
        with pytest.raises(openai.RateLimitError):
            await client.images.generate(model="easel-model", prompt="a red fox")


async def test_a_replay_is_answered_by_a_door_that_would_accept_nothing_new(home):
    desk = Desk()
    async with served(home, desk, limits={"few": {"images_per_hour": 1}}, **POOR) as (app, http):
        key = {"idempotency-key": uuid7()}
        first = await http.post("/v1/jobs", json=FOX, headers=key)
        again = await http.post("/v1/jobs", json=FOX, headers=key)
        other = await http.post("/v1/jobs", json=FOX)
        await app.wait(first.json()["id"])
    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 429)
    assert again.json()["id"] == first.json()["id"]
    assert len(desk.bill) == 1


async def test_an_unknown_price_is_refused_where_a_budget_is_set(home):
    desk = Desk()
    async with served(home, desk, [model("easel", None)], **POOR) as (_, http):
        answer = await http.post("/v1/jobs", json=FOX)
    assert answer.status_code == 402
    assert "the price of easel/easel-model is unknown" in answer.json()["error"]["message"]
    assert desk.bill == []
