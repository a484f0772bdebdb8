"""A journal in memory that can be photographed and put back."""

import sqlite3

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from limner.store.schema import metadata


class Memory:
    """The real statements on SQLite in memory; `gate` is asked before every write, and again after it."""

    shared = False
    place = "memory"

    def __init__(self):
        self._raw = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._engine = create_engine("sqlite://", creator=lambda: self._raw, poolclass=StaticPool)
        metadata.create_all(self._engine)
        self._connection = self._engine.connect()
        self.gate = None

    def photograph(self):
        """All that is on disk."""
        return self._raw.serialize()

    def restore(self, picture):
        """As it was then."""
        self._raw.deserialize(picture)

    def execute(self, sql, *values):
        """Straight at the rows."""
        return self._raw.execute(sql, values)

    def close(self):
        """Forget everything."""
        self._connection.close()
        self._engine.dispose()
        self._raw.close()

    async def write(self, act, **_how):
        """In a transaction of its own."""
        if self.gate is not None:
            await self.gate("before a commit")
        self._raw.execute("BEGIN IMMEDIATE")
        try:
            result = act(self._connection)
            self._raw.execute("COMMIT")
        except BaseException:
            self._raw.execute("ROLLBACK")
            raise
        finally:
            self._connection.rollback()
        if self.gate is not None:
            await self.gate("after a commit")
        return result

    async def read(self, act):
        """What is committed."""
        try:
            return act(self._connection)
        finally:
            self._connection.rollback()
