import asyncio

from limner.core.events import JobEvent, Progress
from limner.jobs.hub import Hub


def event(seq):
    return JobEvent(job_id="one", seq=seq, type="running", state="running", at=0.0)


async def test_a_watcher_hears_what_is_published_while_it_watches_and_nothing_of_other_jobs():
    hub = Hub()
    hub.publish("one", event(1))
    with hub.subscribe("one") as first, hub.subscribe("one") as second:
        hub.publish("two", event(9))
        hub.publish("one", event(2))
        assert [await first.next(), await second.next()] == [event(2), event(2)]


async def test_a_watcher_that_falls_behind_misses_progress_and_never_a_state():
    hub = Hub()
    with hub.subscribe("one") as slow:
        for step in range(1000):
            hub.publish("one", Progress("one", step / 1000))
        hub.publish("one", event(1))
        hub.publish("one", Progress("one", 0.1))
        hub.publish("one", Progress("one", 0.2))
        heard = [await slow.next() for _ in range(3)]
    assert heard == [Progress("one", 0.999), event(1), Progress("one", 0.2)]


async def test_a_message_wakes_a_watcher_that_waits():
    hub = Hub()
    with hub.subscribe("one") as watcher:
        waiting = asyncio.ensure_future(watcher.next())
        await asyncio.sleep(0)
        hub.publish("one", event(1))
        assert await waiting == event(1)


def test_when_nobody_watches_nothing_is_kept():
    hub = Hub()
    with hub.subscribe("one"):
        assert list(hub._watchers) == ["one"]
    assert hub._watchers == {}
