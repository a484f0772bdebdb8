import sqlite3
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from limner.core.errors import SetupError
from limner.store.database import Database
from limner.store.migrate import migrate, revisions
from limner.store.schema import metadata, tables


@pytest.fixture
def file(tmp_path):
    return tmp_path / "limner.db"


def migrated(file):
    database = Database(f"sqlite:///{file}")
    try:
        migrate(database)
        return database.begin(tables)
    finally:
        database.close()


def sql(file, text):
    with closing(sqlite3.connect(file)) as connection, connection:
        return connection.execute(text).fetchall()


def test_a_new_file_gets_the_whole_schema(file):
    assert migrated(file) == {*metadata.tables, "alembic_version"}
    assert sql(file, "SELECT version_num FROM alembic_version") == [(revisions()[-1],)]


def test_the_migrations_lead_to_the_schema_the_code_uses(file):
    migrated(file)
    database = Database(f"sqlite:///{file}")
    found = database.begin(
        lambda connection: compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), metadata
        )
    )
    database.close()
    assert found == []


def test_a_file_that_is_up_to_date_is_left_as_it_is(file):
    migrated(file)
    sql(
        file,
        "INSERT INTO jobs (id, tenant, project, state, request, fingerprint, cancel_requested, "
        "created_at, deadline_s) VALUES ('a', 't', 'p', 'failed', '{}', 'f', 0, 0, 0)",
    )
    migrated(file)
    assert sql(file, "SELECT id FROM jobs") == [("a",)]


def test_an_interrupted_first_start_is_finished_by_the_next(file):
    sql(file, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    assert migrated(file) == {*metadata.tables, "alembic_version"}


def test_every_revision_is_one_step_from_the_last():
    assert revisions() == sorted(set(revisions()))
    assert revisions()[0] == "0001"


def test_a_newer_limners_file_is_left_untouched(file):
    migrated(file)
    sql(file, "UPDATE alembic_version SET version_num = '9999'")
    before = file.read_bytes()
    with pytest.raises(SetupError, match=r"written by a newer Limner \(schema 9999, .*upgrade Limner"):
        migrated(file)
    assert file.read_bytes() == before


def test_another_programs_file_is_left_untouched(file):
    sql(file, "CREATE TABLE recipes (name TEXT)")
    with pytest.raises(SetupError, match=r"holds another program's tables \(recipes, .*LIMNER_DATABASE_URL"):
        migrated(file)
    assert sql(file, "SELECT name FROM sqlite_master") == [("recipes",)]


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_told_and_left_untouched(file, content):
    file.write_bytes(content)
    with pytest.raises(SetupError, match=r"not a sound Limner database.*restore it from a backup"):
        migrated(file)
    assert file.read_bytes() == content


def test_a_damaged_file_is_told_before_anything_is_written(file):
    migrated(file)
    sql(file, "PRAGMA journal_mode=DELETE")
    with file.open("r+b") as damaged:
        damaged.seek(4096 * 3)
        damaged.write(b"\xa5" * 4096 * 4)
    with pytest.raises(SetupError, match=r"limner\.db is (damaged|not a sound)"):
        migrated(file)


def test_a_large_file_is_not_read_through_at_every_start(file, monkeypatch):
    migrated(file)
    monkeypatch.setattr("limner.store.migrate._SOUND_CHECK_BYTES", 0)
    asked = []
    from sqlalchemy import event

    database = Database(f"sqlite:///{file}")
    event.listen(database._engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    migrate(database)
    database.close()
    assert not any("quick_check" in one for one in asked)


def test_a_file_that_cannot_be_made_says_where(tmp_path):
    with pytest.raises(SetupError, match=r"nowhere/limner\.db cannot be written"):
        migrated(tmp_path / "nowhere" / "limner.db")
