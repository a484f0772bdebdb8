import asyncio

import pytest

from limner.core.errors import StorageError
from limner.core.events import Ended, JobEvent
from limner.core.job import Job
from limner.jobs.hub import Hub
from limner.jobs.others import Others
from limner.store.rows import Standing
from tests.fakes import request, until


def event(seq, job_id="one"):
    return JobEvent(job_id=job_id, seq=seq, type="running", state="running", at=0.0)


def ended(job_id="one"):
    return Job(id=job_id, state="succeeded", request=request(), created_at=0.0)


class Journal:
    """What the others wrote; `asked` is what was looked for."""

    def __init__(self):
        self.events, self.ended, self.found, self.asked = [], [], {}, []

    async def news(self, seen):
        self.asked.append(dict(seen))
        return [one for one in self.events if one.seq > seen[one.job_id]], self.ended

    async def standing(self, held):
        self.asked.append(sorted(held))
        return self.found


class Hands:
    """A worker that holds `jobs`."""

    def __init__(self, *jobs):
        self.jobs, self.heeded = frozenset(jobs), []

    def held(self):
        return self.jobs

    def heed(self, standing):
        self.heeded.append(standing)


async def test_who_watches_a_job_that_runs_elsewhere_hears_each_event_once_and_then_the_end():
    journal, hub = Journal(), Hub()
    others = Others(journal, Hands(), hub)
    with hub.subscribe("one") as watcher:
        journal.events = [event(1), event(2)]
        await others.look()
        journal.events.append(event(3))
        await others.look()
        journal.ended = [ended()]
        await others.look()
        assert [await watcher.next() for _ in range(4)] == [event(1), event(2), event(3), Ended(ended())]
    assert journal.asked == [{"one": 0}, {"one": 2}, {"one": 3}]


async def test_what_nobody_watches_is_not_asked_for_and_what_runs_here_tells_itself():
    journal, hub, hands = Journal(), Hub(), Hands("one")
    others = Others(journal, hands, hub)
    await others.look()
    with hub.subscribe("one"):
        await others.look()
    assert journal.asked == [["one"], ["one"]]


async def test_the_worker_heeds_what_became_of_its_jobs():
    journal, hands = Journal(), Hands("one")
    journal.found = {"one": Standing(epoch=3, cancel_requested=False)}
    await Others(journal, hands, Hub()).look()
    assert hands.heeded == [journal.found]


async def test_a_journal_that_is_away_for_a_while_ends_nothing(monkeypatch):
    monkeypatch.setattr("limner.jobs.others._EVERY_S", 0.001)
    journal, hub = Journal(), Hub()
    news, refusals = journal.news, []

    async def refuse(seen):
        refusals.append(seen)
        if len(refusals) < 3:
            raise StorageError("away")
        return await news(seen)

    journal.news, journal.ended = refuse, [ended()]
    with hub.subscribe("one") as watcher:
        working = asyncio.ensure_future(Others(journal, Hands(), hub).work())
        assert await watcher.next() == Ended(ended())
        await until(lambda: len(refusals) > 3)
    working.cancel()
    with pytest.raises(asyncio.CancelledError):
        await working
