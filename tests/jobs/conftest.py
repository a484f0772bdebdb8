import pytest


@pytest.fixture(autouse=True)
def _swift(swift):
    """Every test of this folder."""
