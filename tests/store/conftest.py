"""The journal's tests run on both databases."""

import pytest

from limner.store.database import Database
from limner.store.migrate import migrate
from limner.store.postgres import Postgres
from limner.store.store import Store
from tests import postgres


@pytest.fixture
def shared():
    """The name of a PostgreSQL database with the journal's tables."""
    with postgres.fresh() as name:
        yield name


@pytest.fixture(params=["sqlite", "postgres"])
def address(request, tmp_path):
    """The address of a database, whichever it is."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'limner.db'}"
    return postgres.server().url(request.getfixturevalue("shared"))


def connect(address):
    return (Postgres if address.startswith("postgresql") else Database)(address)


@pytest.fixture
def database(address):
    """A database that is ready to be written to."""
    database = connect(address)
    try:
        migrate(database)
        database.start()
        yield database
    finally:
        database.close()


@pytest.fixture
def store(database):
    """A journal without a worker."""
    return Store(database, owner="me")
