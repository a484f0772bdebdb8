import time

from limner.jobs.deadline import Deadline
from limner.store.rows import Work


def work(left_s):
    return Work(None, epoch=1, seq=1, deadline_s=60.0, left_s=left_s)


def test_what_is_left_is_what_the_database_said_and_all_of_it_where_it_said_nothing(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    assert [Deadline(work(one)).left_s for one in (-5.0, 7.0, None)] == [-5.0, 7.0, 60.0]


def test_an_order_that_others_could_follow_leaves_them_a_third_of_what_is_left(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(time, "time", lambda: 5000.0)
    deadline = Deadline(work(30.0))
    assert [deadline.of_order(followed=one) for one in (True, False)] == [5020.0, 5030.0]
    assert Deadline(work(-5.0)).of_order(followed=True) == 4995.0


def test_a_first_order_starts_the_time_and_a_clock_that_is_set_changes_nothing(monkeypatch):
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    monkeypatch.setattr(time, "time", lambda: 5000.0)
    deadline = Deadline(work(1.0))
    deadline.restart()
    monkeypatch.setattr(time, "time", lambda: 1400.0)
    assert (deadline.left_s, deadline.at) == (60.0, 1460.0)
