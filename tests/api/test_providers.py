from collections.abc import AsyncIterator

import httpx
import pytest

from limner.api.app import create_app
from limner.config import AccountSettings
from limner.core.errors import Unavailable
from limner.providers.base import Health
from tests.fakes import Desk, limner, model, vendor
from tests.test_accounts import kind


@pytest.fixture
async def http(home) -> AsyncIterator[httpx.AsyncClient]:
    kinds = [
        vendor(Desk(), "easel"),
        vendor(Desk(probe=Health(ok=False, reason="closed on Sundays")), "mural"),
        vendor(Desk(probe=Unavailable("cannot be reached")), "fresco"),
        kind("etching", key_env=("ETCHING_KEY",)),
    ]
    tables = {
        "home": AccountSettings(provider="easel", url="http://me:sk-hush@127.0.0.1:9"),
        "work": AccountSettings(provider="easel", key="sk-hush"),
    }
    models = [model("easel"), model("easel", id="second"), model("mural")]
    async with limner(home, *kinds, models=models, accounts=tables) as app:
        transport = httpx.ASGITransport(create_app(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client:
            yield client


async def test_every_account_is_listed_with_why_it_cannot_be_used(http):
    answer = await http.get("/v1/providers")
    assert answer.status_code == 200
    assert answer.json()["object"] == "list"
    told = [
        (one["name"], one["account"], one["available"], one["reason"], one["models"])
        for one in answer.json()["data"]
    ]
    assert told == [
        ("easel", "home", True, "Available", 2),
        ("easel", "work", True, "Available", 2),
        ("mural", "mural", False, "closed on Sundays", 1),
        ("fresco", "fresco", False, "cannot be reached", 0),
        ("etching", "etching", False, "No API key configured for etching: set ETCHING_KEY", 0),
    ]


async def test_no_secret_is_in_the_list(http):
    text = (await http.get("/v1/providers")).text
    assert "hush" not in text
    assert "http://127.0.0.1:9/" in text


async def test_only_get_is_known(http):
    assert (await http.post("/v1/providers")).status_code == 405
