import pytest
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql import ClauseElement

from limner.store import statements
from limner.store.prepared import Prepared

_ALL = {
    name: value
    for name, value in vars(statements).items()
    if name.isupper() and isinstance(value, Prepared | ClauseElement) and name not in ("JOB", "KEY", "FENCE")
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
        assert text.split()[0] in ("SELECT", "INSERT", "UPDATE")
        other = {"julianday('now')", "clock_timestamp()"} - {clock}
        assert not any(word in text for word in other)


def test_claims_skip_what_another_worker_has_locked_where_there_are_several():
    assert "FOR UPDATE SKIP LOCKED" in str(statements.CLAIMABLE.compile(dialect=postgresql.dialect()))
    assert "FOR UPDATE" not in str(statements.CLAIMABLE.compile(dialect=sqlite.dialect()))
