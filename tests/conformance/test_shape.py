"""A provider is a few small files that lie where their name says: nothing lists them."""

from pathlib import Path
from statistics import median

import limner
from limner.catalog.load import shipped_tables
from limner.providers import find as providers
from limner.simulator import find as simulators

ROOT = Path(limner.__file__).parent
TESTS = Path(__file__).parents[1]
MOST_LINES = 200
MEDIAN_LINES = 130


def vendors() -> list[str]:
    return sorted(name for name in providers.installed() if name != "local")


def lines() -> dict[str, int]:
    """Lines of the providers' files by module name, what they share included."""
    return {
        path.stem: len(path.read_text().splitlines())
        for path in (ROOT / "providers").glob("*.py")
        if path.stem not in ("__init__", "base", "find")
    }


def test_every_provider_is_named_like_its_module():
    named = {name: kind.__module__.rpartition(".")[2] for name, kind in providers.installed().items()}
    assert named == {name: name.replace("-", "_") for name in named}


def test_every_provider_has_a_catalog_a_stand_in_and_tests():
    simulated, catalogs = simulators.installed(), shipped_tables()
    missing = [
        (name, what)
        for name in vendors()
        for what, there in (
            ("catalog", name in catalogs),
            ("simulator", name in simulated),
            ("tests", any((TESTS / "providers").glob(f"test_{name.replace('-', '_')}*.py"))),
        )
        if not there
    ]
    assert missing == []


def test_every_stand_in_and_every_catalog_has_its_provider():
    known = set(providers.installed())
    assert set(simulators.installed()) <= known
    assert set(shipped_tables()) <= known


def test_no_file_of_a_provider_is_long():
    assert {name: n for name, n in lines().items() if n >= MOST_LINES} == {}


def test_files_of_providers_are_short_in_the_median():
    mains = {name.replace("-", "_") for name in providers.installed()}
    found = lines()
    assert median(n for name, n in found.items() if name in mains) < MEDIAN_LINES, found
    assert median(found.values()) < MEDIAN_LINES, found
