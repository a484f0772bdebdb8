"""Vendors' calls over HTTP: a whole service, and Replicate's and fal's stand-ins that call it."""

import asyncio
import socket
import time
from contextlib import asynccontextmanager
from decimal import Decimal

import httpx
import pytest
import uvicorn

from limner.api.app import create_app
from limner.app import Limner
from limner.config import Settings
from limner.config.settings import AccountSettings
from limner.core.errors import Unavailable
from limner.core.request import GenerateRequest
from limner.providers.fal import Fal
from limner.providers.fal_calls import Keys
from limner.providers.leonardo import Leonardo
from limner.providers.replicate import Replicate
from limner.simulator import fal, leonardo, replicate
from limner.simulator.app import Simulator
from limner.simulator.replicate_work import SECRET
from tests.fakes import Desk, limner, rows, until, vendor


@asynccontextmanager
async def called(home, kind, stand_in, **account):
    """A service that the stand-in can call, with an account there."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with Simulator(seed=7, vendors=[stand_in], speed=500) as sim:
        name = stand_in.name
        table = AccountSettings(url=sim.base(name), key=sim.key(name), **account)
        settings = Settings(home=home, public_url=url, accounts={name: table})
        service = Limner(settings, providers={name: kind})
        server = uvicorn.Server(
            uvicorn.Config(create_app(service, public_url=url), log_config=None, ws="none")
        )
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await until(lambda: server.started)
        try:
            yield sim, service, url
        finally:
            server.should_exit = True
            await serving
            listening.close()
    assert sim.mistakes == []


@pytest.mark.parametrize("secret", [None, SECRET], ids=["unsigned", "signed"])
async def test_replicate_calls_when_a_prediction_is_done(home, monkeypatch, secret):
    asleep = asyncio.Event()

    async def sleep(_seconds, _canceled, *, waking):
        await asleep.wait()  # only the call ends it

    monkeypatch.setattr("limner.jobs.drive._pause", sleep)
    account = {} if secret is None else {"webhook_secret": secret}
    async with called(home, Replicate, replicate.Replicate, **account) as (_, service, _url):
        job = await service.draw(GenerateRequest(prompt="a red fox", model="flux-1-schnell"))
    assert (job.state, job.receipt.cost_usd) == ("succeeded", Decimal("0.003"))


async def test_a_lost_answer_comes_back_with_fals_call(home):
    async with called(home, Fal, fal.Fal) as (sim, service, _url):
        sim.fault("cut_after", "fal")
        job = await service.draw(GenerateRequest(prompt="a red fox", provider="fal"))
        (line,) = sim.bill.of("fal")
    (attempt,) = job.receipt.attempts
    assert (job.state, attempt.state, attempt.how) == ("succeeded", "settled", "webhook")
    assert attempt.price_usd == line.usd


async def test_fals_call_is_heard_only_when_it_is_signed_and_later_while_its_keys_are_away(home, monkeypatch):
    async with called(home, Fal, fal.Fal) as (sim, service, url):
        sim.fault("never_ends", "fal")
        job = await service.generate(GenerateRequest(prompt="a red fox", provider="fal"))
        hooks = service._now.means.hooks
        await until(lambda: hooks._waiting)
        ((token,),) = rows(home, "SELECT hook FROM attempts")
        woken = []
        monkeypatch.setattr(hooks, "called", woken.append)
        good = fal.sign("r1", str(int(time.time())), b"{}")
        forged = good | {"X-Fal-Webhook-Signature": "00" * 64}
        async with httpx.AsyncClient(base_url=url) as client:
            answers = []
            with monkeypatch.context() as away:
                away.setattr(Keys, "fit", _away)
                answers.append(await client.post(f"/v1/hooks/fal/{token}", content=b"{}", headers=good))
            answers.append(await client.post(f"/v1/hooks/fal/{token}", content=b"{}"))
            answers.append(await client.post(f"/v1/hooks/fal/{token}", content=b"{}", headers=forged))
            assert ([one.status_code for one in answers], woken) == ([503, 404, 404], [])
            assert answers[0].json()["error"]["code"] == "unavailable"
            answer = await client.post(f"/v1/hooks/fal/{token}", content=b"{}", headers=good)
        assert (answer.status_code, len(woken)) == (204, 1)
        await service.cancel(job.id)


async def test_leonardo_calls_one_address_about_all_orders_and_its_keys_are_told_to_nobody(
    home, monkeypatch, caplog
):
    asleep = asyncio.Event()

    async def sleep(_seconds, _canceled, *, waking):
        await asleep.wait()  # only the call ends it

    monkeypatch.setattr("limner.jobs.drive._pause", sleep)
    caplog.set_level("DEBUG")
    account = {"webhook_secret": "a-callback-secret"}
    async with called(home, Leonardo, leonardo.Leonardo, **account) as (sim, service, url):
        address = f"{url}/v1/hooks/leonardo"
        sim.vendors["leonardo"].callback = leonardo.Callback(address, account["webhook_secret"])
        job = await service.draw(GenerateRequest(prompt="a red fox", provider="leonardo"))
        async with httpx.AsyncClient() as client:
            body = {"data": {"object": {"id": "g1", "apiKey": {"key": sim.key("leonardo")}}}}
            forged = await client.post(address, json=body, headers={"authorization": "Bearer another"})
    assert (job.state, forged.status_code) == ("succeeded", 404)
    assert sim.key("leonardo") not in caplog.text
    assert "a-callback-secret" not in caplog.text


async def _away(_self, _headers, _body):
    raise Unavailable("the keys cannot be had")


@pytest.fixture
async def door(home):
    desk = Desk()
    kind = vendor(desk)
    kind.webhooks = True
    service = limner(home, kind, public_url="http://127.0.0.1:8003")
    app = create_app(service)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://limner.test") as client,
    ):
        await service.draw(GenerateRequest(prompt="a red fox"))
        yield client


async def test_a_call_is_answered_with_nothing_as_often_as_it_comes(home, door):
    ((token,),) = rows(home, "SELECT hook FROM attempts")
    for body in (b"", b"{}", b"\xff" * 1000, b'{"id": "7"}'):
        answer = await door.post(f"/v1/hooks/easel/{token}", content=body)
        assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/hooks/easel/0000",
        "/v1/hooks/nobody/{token}",
        "/v1/hooks/easel/{token}0",
        "/v1/hooks/easel/{token}/more",
        "/v1/hooks/easel/%00",
        "/v1/hooks/easel/" + "0" * 5000,
        "/v1/hooks/../easel",
    ],
)
async def test_a_call_about_nothing_is_not_found(home, door, path):
    ((token,),) = rows(home, "SELECT hook FROM attempts")
    answer = await door.post(path.format(token=token), content=b"{}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


async def test_a_call_is_bounded_and_is_no_question(home, door):
    ((token,),) = rows(home, "SELECT hook FROM attempts")
    large = await door.post(f"/v1/hooks/easel/{token}", content=b"x" * ((1 << 20) + 1))
    asked = await door.get(f"/v1/hooks/easel/{token}")
    assert (large.status_code, asked.status_code) == (413, 405)
