"""Vendors that call when an order is done, through Limner with scripted vendors."""

import asyncio
from dataclasses import replace

import pytest

from limner.config.settings import AccountSettings
from limner.core.errors import Lost, NotFound, TimedOut
from limner.core.request import Policy
from limner.jobs import hearing, inquiry
from limner.providers.base import Pending, Recovery
from tests.fakes import Desk, asked, done, ledger, limner, png, queued, receipt, request, rows, until, vendor

HERE = "http://127.0.0.1:8003"
LOST = TimedOut("no answer")


def caller(desk, recovery=Recovery.TICKETED, lag_s=0.0):
    """A vendor that calls, and tells the order's number in its call."""
    kind = vendor(desk, recovery=recovery)
    kind.webhooks, kind.lag_s = True, lag_s
    kind.told = staticmethod(lambda _model, body: {"id": body.decode()} if body else None)

    async def verify(self, headers, body, secret, now):
        return secret is None or headers.get("signed") == secret

    kind.verify = verify
    return kind


def hook(home) -> str:
    ((token,),) = rows(home, "SELECT hook FROM attempts ORDER BY id DESC LIMIT 1")
    return token


async def test_an_order_tells_its_vendor_an_address_of_its_own_that_is_on_disk_before(home):
    seen = []

    async def look(call):
        seen.append((call.webhook, hook(home)))
        return done()

    async with limner(home, caller(Desk(submits=[look])), public_url=HERE) as app:
        await app.draw(request())
        await app.draw(request())
    (first, one), (second, other) = seen
    assert (first, second) == (f"{HERE}/v1/hooks/easel/{one}", f"{HERE}/v1/hooks/easel/{other}")
    assert (len(one), one != other) == (48, True)


@pytest.mark.parametrize("url", ["", "http://10.0.0.7:8003"])
async def test_a_vendor_that_cannot_reach_us_is_told_no_address(home, url):
    desk = Desk()
    async with limner(home, caller(desk), public_url=url) as app:
        await app.draw(request())
    assert (desk.calls[0].webhook, hook(home)) == (None, None)


async def test_a_vendor_that_does_not_call_is_told_no_address(home):
    desk = Desk()
    async with limner(home, vendor(desk), public_url="https://we.example") as app:
        await app.draw(request())
    assert (desk.calls[0].webhook, hook(home)) == (None, None)


async def test_a_retry_and_a_job_that_waited_for_its_turn_tell_an_address_too(home):
    desk = Desk(submits=[LOST, done()])
    async with limner(home, caller(desk), public_url="https://we.example") as app:
        job = await app.draw(request())
    addresses = [call.webhook for call in desk.calls]
    assert [state for _, state, _ in receipt(job)] == ["refused", "settled"]
    assert len(set(addresses)) == 2
    assert all(one.startswith("https://we.example/v1/hooks/easel/") for one in addresses)


async def test_a_call_ends_the_wait_for_the_next_look(home):
    desk = Desk(submits=[Pending({"id": "7"}, after_s=600.0)])
    async with limner(home, caller(desk), public_url=HERE) as app:
        job = await app.generate(request())
        await until(lambda: app._now.means.hooks._waiting)
        await app.called("easel", hook(home), {}, b"")
        job = await app.wait(job.id)
    assert (job.state, receipt(job), len(desk.polled)) == ("succeeded", [("easel", "settled", "direct")], 1)


async def test_what_a_call_says_of_the_outcome_is_not_believed(home):
    desk = Desk(submits=[Pending({"id": "7"}, after_s=600.0)], polls=[Pending({"id": "7"}, after_s=600.0)])
    async with limner(home, caller(desk), public_url=HERE) as app:
        job = await app.generate(request())
        await until(lambda: app._now.means.hooks._waiting)
        for _ in range(3):
            polled = len(desk.polled)
            await app.called("easel", hook(home), {}, b'{"status": "succeeded"}')
            await until(lambda before=polled: len(desk.polled) > before)
        assert (await app.read(job.id)).state == "waiting"
        await app.cancel(job.id)


async def test_a_call_brings_the_ticket_of_a_lost_answer(home):
    desk = Desk(submits=[LOST])
    async with limner(home, caller(desk, Recovery.BLIND, lag_s=600.0), public_url=HERE) as app:
        job = await app.generate(request(policy=Policy(deadline_s=5.0)))
        await until(lambda: _put_back_for_good(app, job.id))
        await app.called("easel", hook(home), {}, b"8")
        job = await app.wait(job.id)
        assert job == await app.read(job.id)
    assert (job.state, receipt(job)) == ("succeeded", [("easel", "settled", "webhook")])
    assert (desk.polled, len(desk.bill)) == ([{"id": "8"}], 1)


async def _put_back_for_good(app, job_id):
    events = await app._now.store.events(job_id, 0)
    return [one.type for one in events].count("retrying") == 2


async def test_a_call_that_is_faster_than_the_answer_it_is_about_is_remembered(home):
    gate = asyncio.Event()

    async def lose(_call):
        await gate.wait()
        raise LOST

    desk = Desk(submits=[lose])
    async with limner(home, caller(desk, Recovery.BLIND, lag_s=600.0), public_url=HERE) as app:
        job = await app.generate(request())
        await until(lambda: desk.bill)
        await app.called("easel", hook(home), {}, b"8")
        gate.set()
        job = await app.wait(job.id)
    assert (receipt(job), desk.polled) == ([("easel", "settled", "webhook")], [{"id": "8"}])


async def test_the_answers_own_ticket_is_better_than_the_calls(home):
    gate = asyncio.Event()

    async def take(_call):
        await gate.wait()
        return queued("7")

    desk = Desk(submits=[take])
    async with limner(home, caller(desk, Recovery.BLIND), public_url=HERE) as app:
        job = await app.generate(request())
        await until(lambda: desk.bill)
        await app.called("easel", hook(home), {}, b"forged")
        gate.set()
        job = await app.wait(job.id)
    assert (receipt(job), desk.polled) == ([("easel", "settled", "direct")], [{"id": "7"}])


async def test_where_nobody_calls_the_order_is_unknown_once_a_call_would_have_come(home):
    desk = Desk(submits=[LOST])
    async with limner(home, caller(desk, Recovery.BLIND, lag_s=0.05), public_url=HERE) as app:
        job = await app.draw(request())
    assert asked(job) == ("needs_confirmation", "unknown", "unknown")
    assert ledger(home) == [("reserve", 40_000)]


async def test_a_late_call_beats_unknown(home):
    desk = Desk(submits=[LOST])
    async with limner(home, caller(desk, Recovery.BLIND), public_url=HERE) as app:
        job = await app.draw(request())
        assert job.state == "needs_confirmation"
        await app.called("easel", hook(home), {}, b"8")
        await until(lambda: _over(app, job.id))
        job = await app.read(job.id)
        await app.called("easel", hook(home), {}, b"8")
        assert await app.read(job.id) == job
    assert (job.state, receipt(job)) == ("succeeded", [("easel", "settled", "webhook")])
    assert ledger(home) == [("reserve", 40_000), ("release", 40_000), ("settle", 40_000)]


async def _over(app, job_id):
    return (await app.read(job_id)).final


async def test_a_call_after_the_end_changes_nothing(home):
    desk = Desk()
    async with limner(home, caller(desk), public_url=HERE) as app:
        job = await app.draw(request())
        await app.called("easel", hook(home), {}, b"8")
        assert await app.read(job.id) == job
    assert desk.polled == []


async def test_a_call_that_tells_no_ticket_of_an_order_without_one_changes_nothing(home):
    desk = Desk(submits=[LOST])
    async with limner(home, caller(desk, Recovery.BLIND), public_url=HERE) as app:
        job = await app.draw(request())
        await app.called("easel", hook(home), {}, b"")
        assert await app.read(job.id) == job
    assert desk.polled == []


async def test_a_call_about_nothing_is_refused(home):
    desk = Desk()
    async with limner(home, caller(desk), vendor(Desk(), "mural"), public_url=HERE) as app:
        await app.draw(request(provider="easel"))
        for provider, token in (("easel", "0" * 48), ("mural", hook(home))):
            with pytest.raises(NotFound, match="no order waits for this call"):
                await app.called(provider, token, {}, b"8")


async def test_where_the_vendor_signs_a_call_without_its_signature_is_refused(home, caplog):
    caplog.set_level("INFO")  # whatever a command that ran before has set
    desk = Desk(submits=[LOST])
    tables = {"easel": AccountSettings(webhook_secret="whsec_x")}
    kind = caller(desk, Recovery.BLIND)
    async with limner(home, kind, public_url=HERE, accounts=tables) as app:
        job = await app.draw(request())
        for headers in ({}, {"signed": "otherwise"}):
            with pytest.raises(NotFound, match="no order waits for this call"):
                await app.called("easel", hook(home), headers, b"8")
        assert await app.read(job.id) == job
        await app.called("easel", hook(home), {"signed": "whsec_x"}, b"8")
        await until(lambda: _over(app, job.id))
    assert "is not signed as easel signs" in caplog.text


async def test_a_call_whose_order_cannot_be_looked_up_breaks_nothing(home, monkeypatch, caplog):
    async def broken(*_):
        raise RuntimeError("a mistake")

    desk = Desk(submits=[queued()], polls=[Lost("who?"), done()])
    async with limner(home, caller(desk), public_url=HERE) as app:
        job = await app.draw(request())
        with monkeypatch.context() as patched:
            patched.setattr(inquiry, "ask", broken)
            await app.called("easel", hook(home), {}, b"")
            await until(lambda: "could not be looked up" in caplog.text)
        (lost,) = await app._now.store.lost()
        await hearing.look_up(app._now.means, replace(lost.attempt, ticket={"id": "7"}))
        job = await app.read(job.id)
        assert (await app.open(job.images[0]))[:8] == png()[:8]
    assert receipt(job) == [("easel", "settled", "webhook")]
