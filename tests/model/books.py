"""The journal at one moment, and what must hold of it whatever happened."""

import sqlite3
from collections import defaultdict
from contextlib import closing

from limner.core.job import FINAL
from limner.providers.base import Recovery
from tests.model.world import RECOVERIES, charged

OPEN = ("submitting", "accepted", "answered")


def reading(home):
    """The books of a home, straight from its file."""
    with closing(sqlite3.connect(home / "limner.db", timeout=10)) as connection:
        connection.execute("BEGIN")
        return Books(connection)


class Books:
    """The journal at one moment."""

    def __init__(self, connection):
        self.jobs, self.attempts, self.ledger, self.events, self.artifacts = (
            _rows(connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2"))
            for table in ("jobs", "attempts", "ledger", "events", "artifacts")
        )

    def check_jobs(self):
        events = _by(self.events, "job_id")
        pictures = _by(self.artifacts, "job_id")
        open_ = {one["job_id"] for one in self.attempts if one["state"] in OPEN}
        for job in self.jobs:
            told = events[job["id"]]
            assert [one["seq"] for one in told] == list(range(1, len(told) + 1))
            assert told[-1]["state"] == job["state"]
            if job["state"] in FINAL:
                assert (job["lease_owner"], job["lease_until"]) == (None, 0.0)
                assert job["id"] not in open_
            if job["state"] == "succeeded":
                assert pictures[job["id"]]
        keys = [(job["tenant"], job["client_key"]) for job in self.jobs if job["client_key"]]
        assert len(set(keys)) == len(keys)

    def check_money(self):
        """The sums of an order are those of its state."""
        booked = _by(self.ledger, "attempt_id")
        for one in self.attempts:
            found = {"reserve": 0, "release": 0, "settle": 0}
            for row in booked[one["id"]]:
                found[row["kind"]] += row["micros"]
            reserved = one["price_reserved"]
            wanted = {"reserve": reserved, "release": 0, "settle": 0}
            if one["state"] in ("refused", "settled", "written_off"):
                wanted["release"] = reserved
            if one["state"] in ("settled", "written_off"):
                wanted["settle"] = one["price_actual"]
            assert found == wanted, one

    def check_bill(self, bill, barren):
        """What is said of an order is what its vendor would say."""
        pictures = _by(self.artifacts, "attempt_id")
        for one in self.attempts:
            if one["provider"] == "free":
                assert one["state"] not in ("unknown", "written_off")
            elif one["state"] == "refused":
                assert bill[one["id"]] == 0, one
            elif one["state"] == "settled" and one["decided"] is None:
                fruitless = one["id"] in barren
                said = one["price_reserved"] if fruitless else charged(one["provider"])
                assert (bill[one["id"]], one["price_actual"]) == (1, said)
                assert bool(pictures[one["id"]]) is not fruitless

    def check_rest(self, bill):
        """Nothing is open; a charge has its pictures, or is told, or a person has dealt with it."""
        assert [one for one in self.attempts if one["state"] in OPEN] == []
        assert [one for one in self.jobs if one["lease_owner"] is not None] == []
        attempts = {one["id"]: one for one in self.attempts}
        assert set(bill) <= set(attempts)
        for key in bill:
            one = attempts[key]
            settled = one["state"] == "settled"
            if RECOVERIES[one["provider"]] is Recovery.BLIND:
                assert settled or one["state"] in ("unknown", "written_off"), one
            else:
                assert settled or one["decided"] is not None, one


def _rows(cursor):
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _by(found, column):
    groups = defaultdict(list)
    for one in found:
        groups[one[column]].append(one)
    return groups
