import asyncio
import time
from dataclasses import replace

import pytest

from limner.core.errors import (
    Lost,
    Malformed,
    RateLimited,
    Refused,
    Rejected,
    TimedOut,
    Unauthorized,
    Unavailable,
)
from limner.jobs.drive import Order, drive
from limner.providers.base import Call, Pending
from tests.fakes import Desk, done, queued, request, until, vendor

CALL = Call(key="job-1", model="easel/one", request=request())


def order(desk, deadline_s=5.0, ticket=None, paid=True) -> Order:
    return Order(vendor(desk)(None), CALL, time.time() + deadline_s, asyncio.Event(), ticket, paid)


class Told:
    """What `save` and `report` were given, in one line of time with the desk's polls."""

    def __init__(self, desk=None):
        self.saved = []
        self.polls_before = []
        self.reported = []
        self._desk = desk

    async def save(self, ticket):
        self.saved.append(ticket)
        if self._desk:
            self.polls_before.append(len(self._desk.polled))

    def report(self, pending):
        self.reported.append(pending.fraction)


async def test_an_answer_at_once_needs_no_ticket_and_no_poll():
    desk, told = Desk(submits=[done()]), Told()
    assert await drive(order(desk), told.save, told.report) == done()
    assert (told.saved, told.reported, desk.bill, desk.polled) == ([], [], ["job-1"], [])


async def test_the_ticket_is_saved_before_the_first_poll_and_once():
    desk = Desk(submits=[queued()], polls=[queued(fraction=0.5), done()])
    told = Told(desk)
    assert await drive(order(desk), told.save, told.report) == done()
    assert (told.saved, told.polls_before) == ([{"id": "7"}], [0])
    assert told.reported == [None, 0.5]


async def test_a_ticket_that_changes_on_the_way_is_saved_again():
    desk, told = Desk(submits=[queued("7")], polls=[queued("8"), done()]), Told()
    await drive(order(desk), told.save, told.report)
    assert told.saved == [{"id": "7"}, {"id": "8"}]
    assert desk.polled == [{"id": "7"}, {"id": "8"}]


@pytest.mark.parametrize(
    "fault", [Unavailable("503"), RateLimited("429", 0.001), TimedOut("slow"), Unauthorized("401")]
)
async def test_a_passing_fault_while_polling_does_not_order_again(fault):
    desk, told = Desk(submits=[queued()], polls=[fault, fault, done()]), Told()
    assert await drive(order(desk), told.save, told.report) == done()
    assert (desk.bill, len(desk.polled)) == (["job-1"], 3)


async def test_a_paid_order_is_asked_for_until_its_deadline_however_often_the_vendor_fails():
    desk, told = Desk(submits=[queued()], polls=[*[Unavailable("503")] * 20, done()]), Told()
    assert await drive(order(desk), told.save, told.report) == done()
    assert (desk.bill, len(desk.polled)) == (["job-1"], 21)


async def test_a_free_order_is_given_up_after_eight_faults_in_a_row():
    desk, told = Desk(submits=[queued()], polls=[Unavailable("gone")]), Told()
    with pytest.raises(Unavailable, match="gone"):
        await drive(order(desk, paid=False), told.save, told.report)
    assert len(desk.polled) == 8


async def test_a_fault_that_says_what_became_of_the_order_ends_it():
    desk, told = Desk(submits=[queued()], polls=[Rejected("no such colour")]), Told()
    with pytest.raises(Rejected, match="no such colour"):
        await drive(order(desk), told.save, told.report)
    assert len(desk.polled) == 1


async def test_an_order_that_outlives_its_deadline_is_stopped_and_counts_as_timed_out():
    desk, told = Desk(submits=[queued()], polls=[queued()]), Told()
    with pytest.raises(TimedOut, match="deadline"):
        await drive(order(desk, deadline_s=0.05), told.save, told.report)
    assert desk.canceled == [{"id": "7"}]


async def test_what_a_stopped_order_came_to_is_asked_once_more():
    desk, told = Desk(submits=[queued()], polls=[done()]), Told()
    assert await drive(order(desk, deadline_s=-1.0), told.save, told.report) == done()
    assert (desk.canceled, desk.polled) == ([{"id": "7"}], [{"id": "7"}])


@pytest.mark.parametrize(
    ("said", "billed"),
    [
        (queued(), "maybe"),
        (Lost("cancelled at work, which is charged"), "maybe"),
        (Unavailable("503"), "maybe"),
        (Rejected("cancelled before it started; nothing was charged"), "no"),
    ],
)
async def test_a_stopped_order_may_be_charged_unless_the_vendor_says_otherwise(said, billed):
    desk, told = Desk(submits=[queued()], polls=[said]), Told()
    with pytest.raises(TimedOut, match="by its deadline and was stopped") as caught:
        await drive(order(desk, deadline_s=-1.0), told.save, told.report)
    assert (caught.value.billed, len(desk.polled)) == (billed, 1)


async def test_a_refusal_of_a_stopped_order_is_a_refusal_and_taken_to_nobody_else():
    desk, told = Desk(submits=[queued()], polls=[Refused("not this")]), Told()
    with pytest.raises(Refused, match="not this"):
        await drive(order(desk, deadline_s=-1.0), told.save, told.report)


async def test_an_order_taken_up_again_is_asked_for_even_when_its_deadline_has_passed():
    desk, told = Desk(polls=[done()]), Told()
    assert await drive(order(desk, deadline_s=-3600, ticket={"id": "7"}), told.save, told.report) == done()
    assert (desk.bill, desk.canceled, told.saved) == ([], [], [])


async def test_a_wait_never_lasts_beyond_the_deadline():
    desk, told = Desk(submits=[Pending({"id": "7"}, after_s=3600)], polls=[done()]), Told()
    assert await drive(order(desk, deadline_s=0.05), told.save, told.report) == done()


async def test_a_wish_to_cancel_ends_the_wait_tells_the_vendor_once_and_awaits_what_comes():
    desk = Desk(submits=[Pending({"id": "7"}, after_s=3600)], polls=[queued(), queued(), done()])
    told, wanted = Told(), order(desk)
    driving = asyncio.ensure_future(drive(wanted, told.save, told.report))
    await until(lambda: told.saved)
    wanted.canceled.set()
    assert await driving == done()
    assert (desk.canceled, len(desk.polled)) == ([{"id": "7"}], 3)


async def test_a_vendor_that_cannot_be_told_to_stop_is_still_awaited():
    desk, told = Desk(submits=[queued()], polls=[done()]), Told()
    kind = vendor(desk)

    async def cancel(self, ticket):
        raise Malformed("what is a cancel?")

    kind.cancel = cancel
    wanted = Order(kind(None), CALL, time.time() + 5, asyncio.Event())
    wanted.canceled.set()
    assert await drive(wanted, told.save, told.report) == done()


async def test_cancelling_the_task_leaves_the_vendors_order_alone():
    desk, told = Desk(submits=[queued()], polls=[queued()]), Told()
    driving = asyncio.ensure_future(drive(order(desk), told.save, told.report))
    await until(lambda: desk.polled)
    driving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await driving
    assert desk.canceled == []


async def test_a_vendors_call_ends_the_wait_for_the_next_look():
    called = asyncio.Event()

    async def look(_ticket):
        called.set()
        return Pending({"id": "7"}, after_s=600.0)

    desk, told = Desk(submits=[queued()], polls=[look, look, done()]), Told()
    assert await drive(replace(order(desk), called=called), told.save, told.report) == done()
    assert (len(desk.polled), called.is_set()) == (3, False)


async def test_where_the_vendor_does_not_call_the_wait_is_as_long_as_it_said():
    desk, told = Desk(submits=[queued()], polls=[queued(), done()]), Told()
    await drive(replace(order(desk), called=asyncio.Event()), told.save, told.report)
    assert len(desk.polled) == 2
