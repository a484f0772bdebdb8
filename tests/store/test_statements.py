import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import Delete, Insert, Select, Update

from limner.store import agree, books, consent, line, money, statements
from limner.store.prepared import Prepared

_ALL = {
    f"{module.__name__.rpartition('.')[2]}.{name}": value
    for module in (statements, line, consent, money, agree, books)
    for name, value in vars(module).items()
    if isinstance(value, Prepared | Select | Insert | Update | Delete) and name != "FENCE"  # a part of others
}


@pytest.mark.parametrize("name", sorted(_ALL))
def test_a_statement_is_text_for_sqlite_and_for_postgres(name):
    statement = _ALL[name]
    for dialect, clock in (
        (sqlite.dialect(), "julianday('now')"),
        (postgresql.dialect(), "clock_timestamp()"),
    ):
        if isinstance(statement, Prepared):
            text = statement._compiled(dialect).text
        else:
            text = str(statement.compile(dialect=dialect))
        assert text.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
        other = {"julianday('now')", "clock_timestamp()"} - {clock}
        assert not any(word in text for word in other)


@pytest.mark.parametrize("name", ["LOCK", "BEGUN", "LOCK_OVERDUE"])
def test_claims_skip_what_another_worker_has_locked_where_there_are_several(name):
    statement = getattr(line, name)
    assert "FOR UPDATE SKIP LOCKED" in str(statement.compile(dialect=postgresql.dialect()))
    assert "FOR UPDATE" not in str(statement.compile(dialect=sqlite.dialect()))
