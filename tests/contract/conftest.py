"""The contract's lines are tried over whole houses; some of their parts are made elsewhere."""

from tests.store.conftest import address, database, shared, store

__all__ = ["address", "database", "shared", "store"]
