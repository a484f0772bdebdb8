import threading

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event, text

from limner.core.errors import SetupError
from limner.store.migrate import migrate, revisions
from limner.store.postgres import Postgres
from limner.store.schema import metadata, tables
from tests import postgres

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"


@pytest.fixture
def name():
    with postgres.fresh(migrated=False) as name:
        yield name


def migrated(name, role="postgres"):
    database = Postgres(postgres.server().url(name).replace("postgres@", f"{role}@"))
    try:
        migrate(database)
        return database.begin(tables)
    finally:
        database.close()


def ask(name, sql):
    return postgres.server().ask(name, sql)


def test_a_new_database_gets_the_whole_schema_as_the_code_uses_it(name):
    assert migrated(name) == {*metadata.tables, "alembic_version"}
    assert ask(name, "SELECT version_num FROM alembic_version") == [(revisions()[-1],)]
    database = Postgres(postgres.server().url(name))
    found = database.begin(
        lambda connection: compare_metadata(
            MigrationContext.configure(connection, opts={"compare_type": True}), metadata
        )
    )
    database.close()
    assert found == []


def test_processes_that_start_at_once_migrate_once(name):
    together, faults = threading.Barrier(6, timeout=20), []

    def start():
        database = Postgres(postgres.server().url(name))
        try:
            database.begin(lambda connection: connection.execute(text("SELECT 1")))
            together.wait()
            migrate(database)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test shows it
            faults.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert ask(name, "SELECT version_num FROM alembic_version") == [(revisions()[-1],)]


def test_a_database_that_is_up_to_date_is_only_looked_at(name):
    migrated(name)
    database = Postgres(postgres.server().url(name))
    asked = []
    event.listen(database._engine, "before_cursor_execute", lambda *args: asked.append(args[2]))
    migrate(database)
    database.close()
    assert [
        one.split()[0] for one in asked if "advisory" in one or not one.startswith(("SELECT", "SHOW"))
    ] == []


def test_an_interrupted_first_start_is_finished_by_the_next(name):
    ask(name, "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    assert migrated(name) == {*metadata.tables, "alembic_version"}


def test_a_newer_limners_database_is_left_untouched(name):
    migrated(name)
    ask(name, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SetupError, match=r"written by a newer Limner \(schema 9999, .*upgrade Limner"):
        migrated(name)
    assert ask(name, "SELECT version_num FROM alembic_version") == [("9999",)]


@pytest.mark.parametrize("others", ["recipes", "recipes, alembic_version"])
def test_another_programs_database_is_left_untouched(name, others):
    for table in others.split(", "):
        ask(name, f"CREATE TABLE {table} (version_num TEXT)")
    before = ask(name, TABLES)
    with pytest.raises(SetupError, match=r"holds another program's tables \(recipes, .*LIMNER_DATABASE_URL"):
        migrated(name)
    assert ask(name, TABLES) == before


def test_a_schema_of_its_own_keeps_it_apart_from_other_programs(name):
    ask(name, "CREATE TABLE recipes (name TEXT); CREATE SCHEMA limner")
    database = Postgres(postgres.server().url(name) + "&options=-csearch_path%3Dlimner")
    migrate(database)
    assert database.begin(tables) == {*metadata.tables, "alembic_version"}
    database.close()
    assert ask(name, TABLES) == [("recipes",)]


def test_a_user_who_may_make_no_tables_is_told_the_way_out(name):
    ask(name, "CREATE ROLE guest LOGIN")
    with pytest.raises(SetupError, match=r"permission denied for schema public; .*GRANT CREATE"):
        migrated(name, role="guest")
    ask(name, "DROP ROLE guest")


def test_a_database_in_an_old_encoding_is_refused():
    with postgres.fresh(migrated=False) as name:
        old = f"{name}_latin"
        ask("postgres", f"CREATE DATABASE {old} ENCODING 'LATIN1' TEMPLATE template0")
        with pytest.raises(
            SetupError, match=r"is encoded as LATIN1; make one with CREATE DATABASE .* 'UTF8'"
        ):
            migrated(old)
        ask("postgres", f"DROP DATABASE {old}")


def test_an_old_server_is_refused(name, monkeypatch):
    monkeypatch.setattr("limner.store.migrate._OLDEST_POSTGRES", 99)
    with pytest.raises(SetupError, match="needs PostgreSQL 99 or newer; this is 1"):
        migrated(name)
    assert ask(name, TABLES) == []


def test_a_server_that_is_away_at_the_start_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("limner.store.postgres._WAITS_S", ())
    database = Postgres(f"postgresql://me@/limner?host={tmp_path}")
    with pytest.raises(SetupError, match="cannot be reached"):
        migrate(database)
    database.close()
