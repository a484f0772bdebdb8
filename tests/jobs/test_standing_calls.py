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


async def test_an_order_whose_answer_was_lost_is_looked_for_when_its_vendor_calls(home):
    desk = Desk(submits=[TimedOut("no answer")], find={"id": "9"})
    async with house(home, caller(desk)) as app:
        job = await app.generate(request(policy=Policy(deadline_s=60.0)))
        await until(lambda: _put_back(app, job.id))
        await app.told("easel", GOOD, b'"9"')
        job = await app.wait(job.id)
    assert (job.state, receipt(job)) == ("succeeded", [("easel", "settled", "list")])
    assert (desk.polled, len(desk.bill)) == ([{"id": "9"}], 1)


async def _put_back(app, job_id):
    return "retrying" in [one.type for one in await app._now.store.events(job_id, 0)]
