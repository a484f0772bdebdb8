import asyncio

import pytest

from limner.engine.book import Book, Limits
from limner.engine.problems import Closing, Conflict, Full, NotReady, UnknownOrder
from limner.engine.protocol import Status
from tests.engine.conftest import order


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def step(book, id_="one", index=0, preview=lambda: b"sketch"):
    book.stepped(id_, index, step=1, fraction=0.25, seconds=0.1, preview=preview)


def drawn(book, id_, png=b"png"):
    book.submit(order(id=id_), steps=4)
    book.begun(id_, ())
    book.finished(id_, 0, png, 0.1)


def test_a_new_order_is_queued_and_tells_how_many_steps_it_takes():
    status, new = Book().submit(order(seeds=(1, 2)), steps=4)
    expected = Status(
        id="one", state="queued", version=1, step=0, steps=8, fraction=0, images=0, preview=0,
        queue_position=0, error=None, device="cpu", seconds=0, notes=(),
    )  # fmt: skip
    assert (status, new) == (expected, True)


def test_the_same_order_again_is_the_same_order():
    book = Book()
    book.submit(order(), steps=4)
    assert len(book.arrivals(wait=False)) == 1
    assert book.submit(order(), steps=4)[1] is False
    assert book.arrivals(wait=False) == []


def test_the_same_id_with_another_body_is_refused():
    book = Book()
    book.submit(order(), steps=4)
    with pytest.raises(Conflict, match="one is the id of another order"):
        book.submit(order(prompt="a blue fox"), steps=4)


def test_pictures_beyond_the_limit_are_refused_with_a_time_to_come_back():
    book = Book(Limits(pictures=2))
    book.submit(order(seeds=(1, 2)), steps=4)
    with pytest.raises(Full) as caught:
        book.submit(order(id="two"), steps=4)
    assert caught.value.headers == {"Retry-After": "1"}
    book.cancel("one")
    assert book.submit(order(id="two"), steps=4)[1]


def test_the_version_grows_at_each_change_and_progress_adds_up_over_the_pictures():
    book = Book()
    book.submit(order(seeds=(1, 2)), steps=4)
    book.begun("one", ("a note",))
    step(book, index=0)
    book.finished("one", 1, b"png", 0.4)
    status = book.status("one")
    assert (status.state, status.version, status.images, status.notes) == ("drawing", 4, 1, ("a note",))
    assert (status.step, status.steps, status.fraction, status.seconds) == (5, 8, 0.625, 0.5)
    book.finished("one", 0, b"png", 0.4)
    assert (book.status("one").state, book.status("one").fraction, book.status("one").step) == (
        "done",
        1.0,
        8,
    )


def test_queue_position_counts_the_pictures_of_earlier_orders_still_to_be_drawn():
    clock = Clock()
    book = Book(clock=clock)
    for i, id_ in enumerate(("one", "two", "three")):
        clock.now = i
        book.submit(order(id=id_, seeds=(1, 2)), steps=4)
    book.begun("one", ())
    book.finished("one", 0, b"png", 0.1)
    assert [book.status(id_).queue_position for id_ in ("one", "two", "three")] == [0, 1, 3]
    assert book.load() == (4, 1)


def test_a_picture_can_be_fetched_when_it_is_ready():
    book = Book()
    book.submit(order(seeds=(1, 2)), steps=4)
    book.finished("one", 1, b"png", 0.1)
    assert book.image("one", 1) == b"png"
    for index in (0, 2):
        with pytest.raises(NotReady):
            book.image("one", index)


def test_a_preview_is_drawn_only_when_asked_for_and_gives_way_to_the_picture():
    book, asked = Book(), []
    book.submit(order(), steps=4)
    with pytest.raises(NotReady):
        book.preview("one", 0)
    step(book, preview=lambda: asked.append(1) or b"sketch")
    assert asked == []
    assert (book.status("one").preview, book.preview("one", 0)) == (2, b"sketch")
    step(book, preview=None)
    assert (book.status("one").preview, book.preview("one", 0)) == (2, b"sketch")
    book.finished("one", 0, b"png", 0.1)
    assert book.preview("one", 0) == b"png"


def test_a_cancelled_order_stays_cancelled_whatever_the_painter_still_says():
    book = Book()
    book.submit(order(), steps=4)
    assert book.cancel("one").state == "canceled"
    step(book)
    book.finished("one", 0, b"png", 0.1)
    book.failed("one", "late")
    assert (book.status("one").state, book.status("one").version, book.is_open("one")) == (
        "canceled",
        2,
        False,
    )


def test_a_finished_order_cannot_be_cancelled():
    book = Book()
    drawn(book, "one")
    assert book.cancel("one").state == "done"


def test_finished_orders_are_forgotten_after_their_time():
    clock = Clock()
    book = Book(Limits(finished_s=10), clock=clock)
    drawn(book, "one")
    clock.now = 5
    drawn(book, "two")
    assert book.status("one").state == "done"
    clock.now = 11
    with pytest.raises(UnknownOrder, match="order it again"):
        book.status("one")
    assert book.status("two").state == "done"
    clock.now = 16
    with pytest.raises(UnknownOrder):
        book.status("two")


def test_the_oldest_finished_orders_are_forgotten_when_their_bytes_are_too_many():
    clock = Clock()
    book = Book(Limits(finished_bytes=10), clock=clock)
    for clock.now, id_ in enumerate(("one", "two", "three")):
        drawn(book, id_, b"12345")
    with pytest.raises(UnknownOrder):
        book.image("one", 0)
    assert book.image("two", 0) == book.image("three", 0) == b"12345"


def test_the_newest_picture_is_kept_even_if_it_alone_is_too_large():
    book = Book(Limits(finished_bytes=1))
    drawn(book, "one", b"12345")
    assert book.image("one", 0) == b"12345"


async def test_a_watcher_is_answered_at_the_first_change():
    book = Book()
    book.submit(order(), steps=4)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(book.watch("one", after=1, wait_s=30))
        await asyncio.sleep(0)
        await asyncio.to_thread(step, book)
    assert watching.result().version == 2


async def test_a_watcher_behind_the_present_version_is_answered_at_once():
    book = Book()
    book.submit(order(), steps=4)
    assert (await book.watch("one", after=0, wait_s=30)).version == 1


async def test_a_watcher_of_an_ended_order_is_answered_at_once():
    book = Book()
    drawn(book, "one")
    assert (await book.watch("one", after=99, wait_s=30)).state == "done"


async def test_a_watcher_is_answered_when_its_time_is_up():
    book = Book()
    book.submit(order(), steps=4)
    assert (await book.watch("one", after=1, wait_s=0.01)).version == 1


async def test_closing_answers_every_watcher_and_refuses_new_orders():
    book = Book()
    book.submit(order(), steps=4)
    async with asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(book.watch("one", after=1, wait_s=30))
        await asyncio.sleep(0)
        book.close()
    assert watching.result().version == 1
    with pytest.raises(Closing):
        book.submit(order(id="two"), steps=4)
    assert book.submit(order(), steps=4)[1] is False
