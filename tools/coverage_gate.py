"""Pytest plugin: the packages that guard money and state are covered, each for itself.

A total would let a new, well-tested package hide a hole in an old one. Reads the report that
`--cov-report=json:build/coverage.json` writes; says its findings above pytest's closing line.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict

import pytest

REPORT = Path("build/coverage.json")
FLOORS = {"core": 95, "catalog": 95, "router": 95, "jobs": 95, "store": 95}
"""Percent of statements and branches, by package of limner."""


class Summary(TypedDict):
    """What coverage counts in one file."""

    covered_lines: int
    num_statements: int
    covered_branches: int
    num_branches: int


class File(TypedDict):
    """One file of the report."""

    summary: Summary


class Report(TypedDict):
    """The part of coverage's JSON report that is read here."""

    files: dict[str, File]


def percents(report: Report) -> dict[str, float]:
    """Percent covered of each package in `FLOORS`; 0 for one of which nothing was seen."""
    return {package: _percent(report, package) for package in FLOORS}


def shortfalls(found: Mapping[str, float]) -> list[str]:
    """A line for each package below its floor."""
    return [
        f"limner.{package} is covered to {found[package]:.1f} %; it needs {floor} %"
        for package, floor in FLOORS.items()
        if found[package] < floor
    ]


def _percent(report: Report, package: str) -> float:
    parts = [
        file["summary"]
        for name, file in report["files"].items()
        if f"/limner/{package}/" in f"/{name}".replace("\\", "/")
    ]
    covered = sum(part["covered_lines"] + part["covered_branches"] for part in parts)
    whole = sum(part["num_statements"] + part["num_branches"] for part in parts)
    return 100 * covered / whole if whole else 0.0


def pytest_sessionstart(session: pytest.Session) -> None:
    """An old report must not stand in for this run's."""
    if not hasattr(session.config, "workerinput"):
        REPORT.unlink(missing_ok=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail the run that passed its tests and not its coverage. Where several processes share the tests, the
    one that hands them out has the report."""
    if hasattr(session.config, "workerinput"):
        return
    if session.exitstatus == pytest.ExitCode.OK and shortfalls(_read()):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the packages and what they lack."""
    if not REPORT.exists():
        return  # the run broke off before anything was measured, and says so itself
    found = _read()
    terminalreporter.section("coverage by package")
    terminalreporter.line(", ".join(f"{package} {percent:.1f} %" for package, percent in found.items()))
    for line in shortfalls(found):
        terminalreporter.line(line, red=True)


def _read() -> dict[str, float]:
    if not REPORT.exists():
        return dict.fromkeys(FLOORS, 0.0)
    report: Report = json.loads(REPORT.read_bytes())
    return percents(report)
