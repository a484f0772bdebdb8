"""A whole Limner under rules in any order: orders, vendors' whims, crashes, takeovers, cancels, decisions.

Between rules the event loop stands still. Threads write to the disk, so a run is not repeated to the
microsecond; what is asserted holds at every moment. A process dies in two ways: at any await, and at a
chosen write, just before or just after its commit.
"""

import hashlib
import sqlite3
from contextlib import closing
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from limner.core.errors import Conflict, InvalidRequest, NotFound, StorageError
from limner.core.request import Policy
from tests.fakes import png, request, rows
from tests.model.books import reading
from tests.model.house import House
from tests.model.world import LISTINGS, RECEPTIONS, RECOVERIES, World

PAUSES = st.sampled_from([0.0, 0.002, 0.02])
TARGETS = st.sampled_from([*RECOVERIES, None])
POLICIES = st.sampled_from(
    [
        Policy(),
        Policy(on_unknown="never"),
        Policy(on_unknown="auto", auto_usd=Decimal("0.06")),
        Policy(substitutes=True),
        Policy(fallback=False, on_unknown="auto", auto_usd=Decimal("0.06")),
    ]
)
JUMP_S = 1000.0
NOBODY = "no job"


class Clock:
    """The time as jobs count it."""

    def __init__(self, real):
        self._real = real
        self.ahead_s = 0.0

    def time(self):
        return self._real.time() + self.ahead_s

    def monotonic(self):
        return self._real.monotonic() + self.ahead_s


class Machine(RuleBasedStateMachine):
    jobs = Bundle("jobs")

    def __init__(self, folder, clock):
        super().__init__()
        home = folder() / "home"
        self.clock = clock
        self.world = World(home)
        self.house = House(home, self.world)
        self.by_key = {}
        self.seen = set()

    # -- what clients do ---------------------------------------------------------------------------------

    @rule(target=jobs, provider=TARGETS, policy=POLICIES, key=st.sampled_from([None, "a", "b"]), pause=PAUSES)
    def orders(self, provider, policy, key, pause):
        wanted = request(provider=provider, policy=policy)
        before = self.by_key.get(key)
        try:
            job = self.house.run(self.house.app.generate(wanted, key=key))
        except StorageError:
            self.house.go_on(0.0)
            return None  # nobody has told us its id
        except Conflict:
            assert before is not None
            assert before[1] != wanted
            return before[0]
        if key is not None:
            assert self.by_key.setdefault(key, (job.id, wanted)) == (job.id, wanted)
        if policy.on_unknown == "auto":
            self.world.agreed[job.id] = 1
        self.house.go_on(pause)
        return job.id

    @rule(provider=TARGETS, pause=PAUSES)
    def waits_for_a_picture(self, provider, pause):
        self.house.draw(self.house.app.draw(request(provider=provider)))
        self.house.go_on(pause)

    @rule(pause=PAUSES)
    def clients_leave(self, pause):
        self.house.leave()
        self.house.go_on(pause)

    @rule(job=jobs, pause=PAUSES)
    def a_user_cancels(self, job, pause):
        self._try(self.house.app.cancel(job or NOBODY))
        self.house.go_on(pause)

    @rule(job=jobs, choice=st.integers(0, 2), pause=PAUSES)
    def a_person_decides(self, job, choice, pause):
        asked = self._try(self.house.app.read(job or NOBODY))
        if asked is None or not asked.choices:
            return
        decision = asked.choices[choice % len(asked.choices)]
        self.world.agreed[job] += decision == "pay_again"
        picture = png(colour="red") if decision == "delivered" else None
        self._try(self.house.app.decide(job, decision, picture=picture))
        self.house.go_on(pause)

    @rule(pause=PAUSES)
    def somebody_asks_the_vendors(self, pause):
        self._try(self.house.app.reconcile())
        self.house.go_on(pause)

    # -- what vendors do ---------------------------------------------------------------------------------

    @rule(reception=st.sampled_from(RECEPTIONS))
    def the_next_order_is_received(self, reception):
        self.world.reception = reception

    @rule(listing=st.sampled_from(LISTINGS), slow=st.booleans(), forgetful=st.booleans())
    def vendors_change(self, listing, slow, forgetful):
        self.world.listing, self.world.slow, self.world.forgetful = listing, slow, forgetful

    @rule(pause=PAUSES)
    def what_hangs_is_answered(self, pause):
        self.house.run(self._release())
        self.house.go_on(pause)

    @rule(which=st.integers(0, 5), pause=PAUSES)
    def a_vendor_calls(self, which, pause):
        if self.world.hooks:
            provider, token = self.world.hooks[which % len(self.world.hooks)]
            self._try(self.house.app.called(provider, token, {}, b"{}"))
        self.house.go_on(pause)

    # -- what befalls the machine ------------------------------------------------------------------------

    @rule()
    def the_process_dies(self):
        self.house.crash()

    @rule(nth=st.integers(1, 6), when=st.sampled_from(["before", "after"]))
    def the_process_will_die_at_a_write(self, nth, when):
        self.house.mortal.die_at(nth, when)

    @rule()
    def it_is_restarted(self):
        self.house.restart()

    @rule(pause=PAUSES)
    def leases_are_lost(self, pause):
        if not self._is_dead():
            self.house.rob()
        self.house.go_on(pause)

    @rule(pause=PAUSES)
    def deadlines_pass(self, pause):
        self.clock.ahead_s += JUMP_S
        with closing(sqlite3.connect(self.world.home / "limner.db", timeout=10)) as connection, connection:
            connection.execute("UPDATE jobs SET expires_at = expires_at - ?", (JUMP_S,))
        self.house.go_on(pause)

    # -- what always holds -------------------------------------------------------------------------------

    @invariant()
    def vendors_saw_nothing_wrong(self):
        assert self.world.broken == []
        assert {key: times for key, times in self.world.bill.items() if times > 1} == {}

    @invariant()
    def the_journal_agrees_with_itself_and_with_the_bill(self):
        books = reading(self.world.home)
        books.check_jobs()
        books.check_money()
        books.check_bill(self.world.bill, self.world.barren)

    @invariant()
    def pictures_can_be_read(self):
        for digest, size in rows(self.world.home, "SELECT digest, size_bytes FROM artifacts"):
            if digest not in self.seen:
                data = self.house.run(self.house.app._now.blobs.get(digest))
                assert (hashlib.sha256(data).hexdigest(), len(data)) == (digest, size)
                self.seen.add(digest)

    def teardown(self):
        """In the end all is well again: everything comes to rest, and what was bought is there or told."""
        try:
            self._settled()
        finally:
            self.house.close()

    def _settled(self):
        self.house.crash()
        self.house.run(self._heal())
        self.house.settle()
        self.house.run(self.house.app.reconcile())
        self.house.settle()
        self.vendors_saw_nothing_wrong()
        self.the_journal_agrees_with_itself_and_with_the_bill()
        self.pictures_can_be_read()
        reading(self.world.home).check_rest(self.world.bill)
        assert self.house.run(self.house.app.audit()).mismatches == ()

    # -- inside ------------------------------------------------------------------------------------------

    def _try(self, act):
        """The answer; None where the process died meanwhile, or the act does not fit any more."""
        try:
            return self.house.run(act)
        except (StorageError, Conflict, InvalidRequest, NotFound):
            return None
        except ExceptionGroup as died:  # several were asked at once
            if died.split(StorageError)[1] is not None:
                raise
            return None

    def _is_dead(self):
        return self.house.mortal.dead

    async def _release(self):
        self.world.release()

    async def _heal(self):
        self.world.heal()


@pytest.fixture
def folders(tmp_path_factory):
    return lambda: tmp_path_factory.mktemp("machine")


def test_no_order_of_events_loses_a_picture_or_buys_one_twice(swift, monkeypatch, folders):
    import time

    clock = Clock(time)
    monkeypatch.setattr("limner.jobs.deadline.time", clock)
    monkeypatch.setattr("limner.jobs.drive.time", clock)
    run_state_machine_as_test(
        lambda: Machine(folders, clock),
        settings=settings(
            max_examples=25,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            database=None,
            print_blob=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
