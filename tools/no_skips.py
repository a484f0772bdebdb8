"""Pytest plugin: where CI is set, a skipped test is a failure: what it lacks, the machine should have."""

import os
from collections.abc import Generator
from typing import TypeVar

import pytest

R = TypeVar("R", pytest.TestReport, pytest.CollectReport)


def in_ci() -> bool:
    """True when CI says so."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def refused(report: R) -> R:
    """The report, as a failure with its reason when it was a skip. An expected failure stays one."""
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} must not be left out here: {reason}"
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tests that are skipped, by a mark or while they run."""
    report = yield
    return refused(report) if in_ci() else report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Files that are skipped whole."""
    report = yield
    return refused(report) if in_ci() else report
