"""Looks at a journal while others write it."""

import asyncio
from types import TracebackType
from typing import Any, Self

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

OPEN = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running', 'waiting', 'storing')"


class Peek:
    """`with Peek(url) as peek:`; before there are tables it sees nothing."""

    def __init__(self, database: str) -> None:
        url = make_url(database)
        if url.get_backend_name() == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        self._engine = create_engine(url, poolclass=NullPool)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._engine.dispose()

    async def number(self, sql: str) -> int:
        """The first number of the first row; 0 when there is none."""
        rows = await self.rows(sql)
        return int(rows[0][0]) if rows else 0

    async def rows(self, sql: str) -> list[Any]:
        """All rows."""
        return await asyncio.to_thread(self._rows, sql)

    def _rows(self, sql: str) -> list[Any]:
        try:
            with self._engine.connect() as connection:
                return list(connection.execute(text(sql)))
        except DBAPIError:
            return []  # no tables yet, or just being made
