"""Vendors that call one address of an account about all its orders, and prove who they are by its secret."""

import json

import pytest

from limner.config.settings import AccountSettings
from limner.core.errors import NotFound, TimedOut
from limner.core.request import Policy
from limner.providers.base import Pending, Recovery
from tests.fakes import Desk, limner, receipt, request, rows, until, vendor

GOOD, BAD = {"secret": "s3"}, {"secret": "another"}
SLOW = Pending({"id": "7"}, after_s=600.0)


def caller(desk, **changes):
    kind = vendor(desk, recovery=Recovery.TICKETED)
    kind.standing_calls, kind.lag_s = True, 600.0
    kind.told = staticmethod(lambda _model, body: {"id": json.loads(body)} if body else None)

    async def verify(self, headers, body, secret, now):
        return headers.get("secret") == secret

    kind.verify = verify
    for name, value in changes.items():
        setattr(kind, name, value)
    return kind


def house(home, kind, secret="s3"):
    return limner(home, kind, accounts={"easel": AccountSettings(webhook_secret=secret)})


async def waiting(app):
    job = await app.generate(request())
    await until(lambda: rows(app.settings.home, "SELECT 1 FROM attempts WHERE state = 'accepted'"))
    return job


async def test_a_call_ends_the_wait_of_the_order_it_names(home):
    desk = Desk(submits=[SLOW])
    async with house(home, caller(desk)) as app:
        job = await waiting(app)
        await app.told("easel", GOOD, b'"7"')
        job = await app.wait(job.id)
    assert (job.state, receipt(job), len(desk.polled)) == ("succeeded", [("easel", "settled", "direct")], 1)


async def test_a_call_about_something_else_wakes_nobody(home):
    desk = Desk(submits=[SLOW])
    async with house(home, caller(desk)) as app:
        job = await waiting(app)
        for body in (b'"8"', b""):
            await app.told("easel", GOOD, body)
        assert (await app.read(job.id)).state == "waiting"
        assert desk.polled == []
        await app.cancel(job.id)


@pytest.mark.parametrize(
    ("changes", "secret", "provider", "headers"),
    [
        ({}, "s3", "easel", BAD),
        ({}, "s3", "easel", {}),
        ({}, None, "easel", GOOD),
        ({}, "s3", "nobody", GOOD),
        ({"standing_calls": False}, "s3", "easel", GOOD),
    ],
    ids=["another secret", "no secret sent", "no secret set", "no such provider", "it does not call so"],
)
async def test_a_call_that_is_not_the_vendors_gets_one_answer_whatever_is_wrong(
    home, changes, secret, provider, headers
):
    desk = Desk(submits=[SLOW])
    async with house(home, caller(desk, **changes), secret) as app:
        job = await waiting(app)
        with pytest.raises(NotFound, match=r"^no order waits for this call$"):
            await app.told(provider, headers, b'"7"')
        assert desk.polled == []
        await app.cancel(job.id)


async def test_calls_about_other_orders_cost_a_lost_one_no_try(home):
    desk = Desk(submits=[TimedOut("no answer")])
    async with house(home, caller(desk)) as app:
        job = await app.generate(request(policy=Policy(deadline_s=60.0)))
        await until(lambda: _put_back_for_its_time(app, job.id))
        tries = (await app.read(job.id)).tries
        for number in range(8):
            await app.told("easel", GOOD, json.dumps(f"other-{number}").encode())
        await app._now.store.renew(15.0, [])  # by then what was woken has been looked at
        assert ((await app.read(job.id)).tries, len(desk.bill)) == (tries, 1)
        desk.found = {"id": "9"}
        await app.cancel(job.id)


async def _put_back_for_its_time(app, job_id):
    return [one.type for one in await app._now.store.events(job_id, 0)].count("retrying") >= 2


async def test_every_account_with_the_secret_is_looked_at(home):
    desk = Desk(submits=[SLOW])
    secret = AccountSettings(provider="easel", webhook_secret="s3")
    two = {"easel": AccountSettings(webhook_secret="s3"), "another": secret}
    async with limner(home, caller(desk), accounts=two) as app:
        jobs = [await app.generate(request(seed=seed)) for seed in range(2)]
        await until(lambda: rows(home, "SELECT count(*) FROM attempts WHERE state = 'accepted'") == [(2,)])
        assert len(rows(home, "SELECT DISTINCT account FROM attempts")) == 2
        await app.told("easel", GOOD, b'"7"')
        ends = [(await app.wait(job.id)).state for job in jobs]
    assert ends == ["succeeded", "succeeded"]
