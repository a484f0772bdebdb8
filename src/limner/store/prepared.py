"""Statements of the hot path: composed in SQLAlchemy, compiled once per dialect, run on the driver.

SQLAlchemy's `execute` costs some 60 microseconds a statement, ten times what SQLite needs for it. What is
compiled here is the same Core statement, so PostgreSQL gets its own text from the same source.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.sql.dml import Insert, Update


@dataclass(frozen=True, slots=True)
class _Text:
    """What the driver gets: its text, parameters by position or by name, and those the statement sets."""

    text: str
    order: tuple[str, ...] | None
    fixed: Mapping[str, Any]


class Prepared:
    """An insert or update whose parameters are plain numbers, text and bytes, and which returns no rows.

    `columns` are the columns an insert sets besides those its own `values` compute.
    """

    def __init__(self, statement: Insert | Update, columns: Iterable[str] = ()) -> None:
        self._statement = statement
        self._columns = list(columns) or None
        self._texts: dict[str, _Text] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> int:
        """Execute inside the connection's transaction; how many rows it touched. Raises `KeyError` for a
        value that is missing."""
        compiled = self._compiled(connection.dialect)
        given = {**compiled.fixed, **values}
        # Both drivers execute on their connection; SQLAlchemy's way to a cursor costs as much as a statement.
        driver: Any = connection.connection.driver_connection
        ordered = given if compiled.order is None else [given[name] for name in compiled.order]
        return int(driver.execute(compiled.text, ordered).rowcount)

    def _compiled(self, dialect: Dialect) -> _Text:
        if dialect.name not in self._texts:
            compiled = self._statement.compile(dialect=dialect, column_keys=self._columns)
            fixed = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
            order = compiled.positiontup
            self._texts[dialect.name] = _Text(str(compiled), None if order is None else tuple(order), fixed)
        return self._texts[dialect.name]
