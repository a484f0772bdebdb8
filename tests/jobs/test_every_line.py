"""The process dies at a line of the journal, a new one opens the same home: what came of the order?

A death is played by a call that never returns, after which nothing of that Limner writes any more. The same
with real processes and `kill -9` is in `tests/crash`.
"""

import asyncio
import hashlib
from functools import cache
from io import BytesIO

import pytest
from PIL import Image

from limner.blobs.store import Blobs
from limner.jobs.janitor import Janitor
from limner.providers.base import Done, Recovery
from limner.store.store import Store
from tests.fakes import Desk, asked, limner, model, queued, request, rows, until, vendor

NAMED, TICKETED, BLIND = Recovery.NAMED, Recovery.TICKETED, Recovery.BLIND

EARLY = [("enqueue", "after"), ("submit", "before"), ("submit", "after")]
TICKET = [("hold", "before"), ("hold", "after"), ("poll", "before")]
KEEP = [("answered", "before"), ("answered", "after")]
PUT = [("put", "before"), ("put", "after")]
NAME = [("keep", "before"), ("keep", "after")]
"""Where the journal is a network away, the files of a large answer are named in storage first."""
END = [
    ("put", "before"),
    ("put", "after"),
    ("link", "before"),
    ("link", "after"),
    ("finish", "before"),
    ("finish", "after"),
]
END_LARGE = END[2:]


@cache
def picture(large: bool) -> bytes:
    out = BytesIO()
    side = 256 if large else 32
    Image.effect_noise((side, side), 90).convert("RGB").save(out, "PNG")
    assert (len(out.getvalue()) > 65_536) is large
    return out.getvalue()


class Death:
    """Comes once, at `line`; the vendor's lines are those of its desk."""

    def __init__(self, monkeypatch, line, when):
        self.reached = asyncio.Event()
        self._line, self._when, self._patch = line, when, monkeypatch
        for kind in (Store, Blobs):
            if hasattr(kind, line):
                self._meet(kind)
        self._silence("release")

    def meets(self, line, when):
        """True once, when the vendor has come to this line."""
        return not self.reached.is_set() and (line, when) == (self._line, self._when)

    async def come(self):
        self._stopped = asyncio.current_task()
        self.reached.set()
        await asyncio.Event().wait()

    def bury(self):
        """What waits for the dead waits no longer."""
        self._stopped.cancel()

    def _meet(self, kind):
        real = getattr(kind, self._line)

        async def fatal(*args, **kwargs):
            if self.reached.is_set():
                return await real(*args, **kwargs)
            if self._when == "after":
                await real(*args, **kwargs)
            return await self.come()

        self._patch.setattr(kind, self._line, fatal)

    def _silence(self, name):
        """The dead hand nothing over."""
        real = getattr(Store, name)

        async def silent(store):
            if not self.reached.is_set():
                await real(store)

        self._patch.setattr(Store, name, silent)


def desk_of(recovery, death, answer) -> Desk:
    """A vendor that works; it knows by their keys the orders it has taken."""
    desk, taken = Desk(), set()

    async def submit(call):
        if death.meets("submit", "before"):
            desk.bill.pop()
            await death.come()
        taken.add(call.key)
        if death.meets("submit", "after"):
            await death.come()
        return answer if recovery is BLIND else queued()

    async def poll(_ticket):
        if death.meets("poll", "before"):
            await death.come()
        return answer

    desk.submits, desk.polls = [submit], [poll]
    desk.taken = taken
    return desk


async def death_and_recovery(home, monkeypatch, recovery, line, *, usd="0.04", large=False):
    death = Death(monkeypatch, *line)
    desk = desk_of(recovery, death, Done((picture(large),)))
    kind = vendor(desk, recovery=recovery)

    async def find(self, call):
        return {"id": "7"} if call.key in desk.taken else None

    kind.find = find
    models = [model(usd=usd)]
    app = limner(home, kind, models=models)
    async with app:
        await app._now.store.renew(15.0, [])  # by then the first claim has ended
        await until(lambda: app._now.worker._slots.free == 4)
        accepting = asyncio.ensure_future(app.generate(request(), key="k"))
        await death.reached.wait()
        accepting.cancel()
        death.bury()
    async with limner(home, kind, models=models) as app:
        (job,) = await app.jobs()
        job = await app.wait(job.id)
        assert job == await app.read(job.id)
        again = await app.generate(request(), key="k")
        assert again == job
        for image in job.images:
            assert hashlib.sha256(await app.open(image)).hexdigest() == image.digest
        await Janitor(app._now.store, app._now.blobs).tidy(-1.0)
        assert rows(home, "SELECT count(*) FROM answers") == [(0,)]
    assert [path for path in (home / "storage").glob("answers/**/*") if path.is_file()] == []
    return job, desk


def assert_bought_once(home, job, desk):
    assert (job.state, len(job.images), len(set(desk.bill))) == ("succeeded", 1, 1)
    assert rows(home, "SELECT count(*) FROM artifacts") == [(1,)]
    assert rows(home, "SELECT n, state FROM attempts") == [(1, "settled")]
    assert rows(home, "SELECT kind, micros FROM ledger ORDER BY id") == [
        ("reserve", 40_000),
        ("release", 40_000),
        ("settle", 40_000),
    ]


def assert_counted_as_charged(home, job, orders, desk):
    assert (asked(job), len(desk.bill)) == (("needs_confirmation", "unknown", "unknown"), orders)
    assert rows(home, "SELECT n, state FROM attempts") == [(1, "unknown")]
    assert rows(home, "SELECT kind, micros FROM ledger") == [("reserve", 40_000)]


@pytest.mark.parametrize("line", [*EARLY, *TICKET, *KEEP, *END], ids="-".join)
async def test_a_vendor_that_knows_our_id_draws_once_whatever_line_we_die_at(home, monkeypatch, line):
    job, desk = await death_and_recovery(home, monkeypatch, NAMED, line)
    assert_bought_once(home, job, desk)


@pytest.mark.parametrize("line", [("submit", "after"), *TICKET, *KEEP, *END], ids="-".join)
async def test_a_vendor_with_tickets_gets_one_order_whatever_line_we_die_at(home, monkeypatch, line):
    job, desk = await death_and_recovery(home, monkeypatch, TICKETED, line)
    assert_bought_once(home, job, desk)
    assert len(desk.bill) == 1


@pytest.mark.parametrize("line", [("enqueue", "after"), ("submit", "before")], ids="-".join)
async def test_an_order_that_was_never_sent_is_found_nowhere_and_sent_anew(home, monkeypatch, line):
    job, desk = await death_and_recovery(home, monkeypatch, TICKETED, line)
    assert (job.state, len(job.images), desk.bill) == ("succeeded", 1, [f"{job.id}-2"])
    assert rows(home, "SELECT n, state FROM attempts ORDER BY n") == [(1, "refused"), (2, "settled")]
    assert [kind for (kind,) in rows(home, "SELECT kind FROM ledger ORDER BY id")] == [
        "reserve",
        "release",
        "reserve",
        "release",
        "settle",
    ]


@pytest.mark.parametrize("line", [("answered", "after"), *END], ids="-".join)
async def test_a_blind_vendors_answer_that_reached_the_disk_is_never_lost(home, monkeypatch, line):
    job, desk = await death_and_recovery(home, monkeypatch, BLIND, line)
    assert_bought_once(home, job, desk)
    assert len(desk.bill) == 1


@pytest.mark.parametrize(
    ("line", "orders"),
    [
        (("enqueue", "after"), 0),
        (("submit", "before"), 0),
        (("submit", "after"), 1),
        (("answered", "before"), 1),
    ],
)
async def test_a_blind_vendors_lost_answer_counts_as_charged_and_is_not_bought_again(
    home, monkeypatch, line, orders
):
    job, desk = await death_and_recovery(home, monkeypatch, BLIND, line)
    assert_counted_as_charged(home, job, orders, desk)


def alone(*lines):
    """The journal is this process's own file."""
    return [(False, line) for line in lines]


def with_others(*lines):
    """Other processes work in the journal, and it is a network away."""
    return [(True, line) for line in lines]


def place(found):
    shared, (line, when) = found
    return f"{'with-others' if shared else 'alone'}-{line}-{when}"


@pytest.fixture
def line(request, monkeypatch):
    """Where it dies, in a journal of that kind."""
    shared, line = request.param
    monkeypatch.setattr(Store, "shared", shared)
    return line


@pytest.mark.parametrize(
    "line",
    [*alone(*PUT, *KEEP, *END_LARGE), *with_others(*PUT, *NAME, *KEEP, *END_LARGE)],
    ids=place,
    indirect=True,
)
async def test_a_large_answer_is_as_safe_as_a_small_one(home, monkeypatch, line):
    job, desk = await death_and_recovery(home, monkeypatch, TICKETED, line, large=True)
    assert_bought_once(home, job, desk)
    assert len(desk.bill) == 1


@pytest.mark.parametrize(
    "line",
    [*alone(("answered", "after"), *END_LARGE), *with_others(("keep", "after"), *KEEP, *END_LARGE)],
    ids=place,
    indirect=True,
)
async def test_a_blind_vendors_large_answer_is_safe_as_soon_as_its_files_are_named(home, monkeypatch, line):
    job, desk = await death_and_recovery(home, monkeypatch, BLIND, line, large=True)
    assert_bought_once(home, job, desk)
    assert len(desk.bill) == 1


@pytest.mark.parametrize(
    "line",
    [*alone(*PUT, ("answered", "before")), *with_others(*PUT, ("keep", "before"))],
    ids=place,
    indirect=True,
)
async def test_a_blind_vendors_large_answer_that_was_not_kept_counts_as_charged(home, monkeypatch, line):
    job, desk = await death_and_recovery(home, monkeypatch, BLIND, line, large=True)
    assert_counted_as_charged(home, job, 1, desk)


@pytest.mark.parametrize("line", [*EARLY, *TICKET, *KEEP, *END], ids="-".join)
async def test_a_free_picture_is_always_drawn(home, monkeypatch, line):
    recovery = TICKETED if line in TICKET else BLIND
    job, _desk = await death_and_recovery(home, monkeypatch, recovery, line, usd="0")
    assert (job.state, len(job.images)) == ("succeeded", 1)
    assert rows(home, "SELECT count(*) FROM artifacts") == [(1,)]
    assert rows(home, "SELECT count(*) FROM attempts WHERE state = 'settled'") == [(1,)]
    assert rows(home, "SELECT * FROM ledger") == []
