"""The power goes: what is left is what was synced. The journal is copied at each sync, as of that sync, and a
new Limner opens the copy; of the pictures nothing is left that can be made again."""

import asyncio
import hashlib
import shutil
import sqlite3
from contextlib import closing

import pytest

from limner.jobs.janitor import Janitor
from limner.providers.base import Done, Recovery
from limner.store import writer
from tests.fakes import Desk, asked, done, limner, queued, request, rows, vendor

JOBS = 8


class Disk:
    """What is on it, after each sync; and what the vendor had been asked for by the next one."""

    def __init__(self, home, desk):
        self.cuts = []
        self.writer = None
        self._home, self._desk = home, desk
        self._real = writer._fsync

    def __call__(self, log):
        if self.writer is None or log != self.writer._log_file:
            self._real(log)
            return
        with self.writer._turn:  # nothing is committed between the sync and the copy
            self._real(log)
            cut = self._home.parent / f"cut-{len(self.cuts)}"
            cut.mkdir()
            for name in ("limner.db", "limner.db-wal"):
                shutil.copy(self._home / name, cut / name)
        self.cuts.append((cut, len(self._desk.bill)))

    def found(self, sql, *values):
        """In what a power cut would leave now."""
        with closing(sqlite3.connect(self.cuts[-1][0] / "limner.db")) as connection:
            return connection.execute(sql, values).fetchall()

    def homes(self):
        """Each copy, with how many orders the vendor had at most before the next sync."""
        later = [billed for _, billed in self.cuts[1:]] + [len(self._desk.bill)]
        return [(cut, billed) for (cut, _), billed in zip(self.cuts, later, strict=True)]


@pytest.fixture
def desk():
    return Desk()


@pytest.fixture
def disk(home, desk, monkeypatch):
    disk = Disk(home, desk)
    monkeypatch.setattr(writer, "_fsync", disk)
    return disk


def house(home, desk, recovery):
    kind = vendor(desk, recovery=recovery)
    known = set(desk.bill)

    async def find(self, call):
        return {"id": call.key} if call.key in known else None

    kind.find = find
    return limner(home, kind)


async def bought(home, desk, disk, recovery):
    """Several jobs side by side, each told as soon as the caller is told."""
    async with house(home, desk, recovery) as app:
        disk.writer = app._now.store._database._writer

        async def buy(n):
            job = await app.generate(request(seed=n), key=f"k{n}")
            assert disk.found("SELECT count(*) FROM jobs WHERE id = ?", job.id) == [(1,)]
            job = await app.wait(job.id)
            assert disk.found("SELECT state FROM jobs WHERE id = ?", job.id) == [("succeeded",)]
            kept = "SELECT count(*) FROM answers JOIN attempts ON id = attempt_id WHERE job_id = ?"
            assert disk.found(kept, job.id) == [(1,)]

        await asyncio.gather(*(buy(n) for n in range(JOBS)))


def on_disk_first(desk, disk, answer):
    """A vendor that looks whether its order, and then its ticket, had been synced when it was asked."""

    async def submit(call):
        assert disk.found("SELECT state FROM attempts WHERE id = ?", call.key) == [("submitting",)]
        await asyncio.sleep(0.002)
        return answer if isinstance(answer, Done) else queued(call.key)

    async def poll(ticket):
        assert disk.found("SELECT count(*) FROM attempts WHERE ticket LIKE ?", f"%{ticket['id']}%") == [(1,)]
        return done()

    desk.submits, desk.polls = [submit], [poll]


@pytest.mark.parametrize("recovery", [Recovery.BLIND, Recovery.TICKETED])
async def test_what_is_told_and_what_is_sent_had_been_synced_before(home, desk, disk, recovery):
    on_disk_first(desk, disk, done() if recovery is Recovery.BLIND else queued())
    await bought(home, desk, disk, recovery)
    assert len(set(desk.bill)) == JOBS


async def test_after_a_power_cut_at_any_sync_nothing_is_bought_twice_or_lost(home, desk, disk):
    on_disk_first(desk, disk, queued())
    await bought(home, desk, disk, Recovery.NAMED)
    disk.writer = None
    cuts = disk.homes()
    for cut, billed in cuts[:: max(1, len(cuts) // 12)]:
        again = Desk(submits=[queued()])
        again.bill = desk.bill[:billed]
        async with house(cut, again, Recovery.NAMED) as app:
            jobs = [await app.wait(job.id) for job in await app.jobs()]
            assert [job.state for job in jobs] == ["succeeded"] * len(jobs)
            await Janitor(app._now.store, app._now.blobs).tidy(-1.0)
            for image in (image for job in jobs for image in job.images):
                assert hashlib.sha256(await app.open(image)).hexdigest() == image.digest
        assert {key.rpartition("-")[2] for key in again.bill} <= {"1"}  # no second order of any job
        assert len(again.bill) == len(set(again.bill))


async def test_after_a_power_cut_a_blind_vendors_answer_is_there_or_counted_as_charged(home, desk, disk):
    on_disk_first(desk, disk, done())
    await bought(home, desk, disk, Recovery.BLIND)
    disk.writer = None
    cuts = disk.homes()
    for cut, billed in cuts[:: max(1, len(cuts) // 12)]:
        again = Desk()
        async with house(cut, again, Recovery.BLIND) as app:
            jobs = [await app.wait(job.id) for job in await app.jobs()]
        ends = [asked(job) for job in jobs]
        lost = ("needs_confirmation", "unknown", "unknown")
        assert set(ends) <= {("succeeded", None, None), lost}
        assert not {*again.bill} & {*desk.bill[:billed]}
        counted = {
            key for (key,) in rows(cut, "SELECT id FROM attempts WHERE state IN ('settled', 'unknown')")
        }
        assert {*desk.bill[:billed]} <= counted
