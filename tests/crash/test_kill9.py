"""`kill -9` of server and engine at random moments; the whole bar is `python -m tests.crash.full`."""

from pathlib import Path

import pytest

from tests.crash.havoc import wreak

pytestmark = [
    pytest.mark.crash,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the engine's process in /proc"),
]


def test_every_job_ends_well_exactly_once_whatever_is_killed_when(tmp_path):
    report = wreak(tmp_path / "home", seed=7, jobs=20, kills=10)
    assert report.faults == []
    assert sum(report.kills.values()) == 10
    assert min(report.kills.values()) >= 2
    assert report.kills_under_load >= 8
