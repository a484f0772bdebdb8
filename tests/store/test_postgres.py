import asyncio
import sys
import threading
import time

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import text

from limner.core.errors import SetupError, StorageError
from limner.store import postgres as module
from limner.store.connections import Taken
from limner.store.postgres import Postgres, told
from tests import postgres

ADDRESS = "postgresql://me:***@db/limner"


@pytest.fixture
def name():
    with postgres.fresh(migrated=False) as name:
        postgres.server().ask(name, "CREATE TABLE word (text TEXT UNIQUE)")
        yield name


@pytest.fixture
def database(name):
    database = Postgres(postgres.server().url(name))
    database.start()
    yield database
    database.close()


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(module, "_WAITS_S", (0.0, 0.0, 0.0))


def add(word):
    return lambda connection: connection.execute(text("INSERT INTO word VALUES (:word)"), {"word": word})


def words(connection):
    return connection.execute(text("SELECT text FROM word ORDER BY text")).scalars().all()


def session(connection) -> int:
    return connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()


async def test_a_write_is_there_when_it_returns_and_one_that_stumbles_leaves_nothing(database):
    def stumble(connection):
        add("half")(connection)
        raise ValueError("stumbled")

    await database.write(add("one"))
    assert await database.read(words) == ["one"]
    with pytest.raises(ValueError, match="stumbled"):
        await database.write(stumble)
    with pytest.raises(Taken, match="word_text_key"):
        await database.write(add("one"))
    assert await database.read(words) == ["one"]


async def test_writes_on_the_drivers_cursor_alone_are_kept(database):
    def act(connection):
        cursor = connection.connection.cursor()
        cursor.execute("INSERT INTO word VALUES ('raw')")
        cursor.close()

    await database.write(act)
    assert await database.read(words) == ["raw"]


async def test_a_read_is_one_view_and_writes_nothing(database, name):
    def twice(connection):
        before = words(connection)
        postgres.server().ask(name, "INSERT INTO word VALUES ('meanwhile')")
        return before, words(connection)

    assert await database.read(twice) == ([], [])
    assert await database.read(words) == ["meanwhile"]
    with pytest.raises(StorageError, match="read-only"):
        await database.read(add("no"))


async def test_a_write_happens_even_if_its_caller_leaves_who_is_let_go_when_it_has(database, name):
    gate = threading.Event()

    def late(connection):
        gate.wait(10)
        add("late")(connection)

    writing = asyncio.ensure_future(database.write(late))
    await asyncio.sleep(0)
    writing.cancel()
    asyncio.get_running_loop().call_later(0.01, gate.set)
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert postgres.server().ask(name, "SELECT text FROM word") == [("late",)]


async def test_a_session_that_is_killed_in_the_middle_of_a_write_costs_nothing(database, name):
    killed = []

    def act(connection):
        add("once")(connection)
        if len(killed) < 2:
            killed.append(session(connection))
            postgres.server().ask("postgres", "SELECT pg_terminate_backend(%s)", killed[-1])
            time.sleep(0.05)
        add("twice")(connection)

    await database.write(act)
    assert len(set(killed)) == 2
    assert await database.read(words) == ["once", "twice"]


async def test_a_session_that_dies_at_its_commit_has_its_write_run_again(database, monkeypatch):
    whole, broken = module._transaction, []

    def breaking(engine, act):
        result = whole(engine, act)
        if not broken:
            broken.append(result)
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return result

    monkeypatch.setattr(module, "_transaction", breaking)
    with pytest.raises(Taken):  # the first one was committed; what that means is its caller's to know
        await database.write(add("one"))
    assert await database.read(words) == ["one"]


async def test_sessions_that_all_died_while_idle_are_not_noticed(database):
    await asyncio.gather(*(database.write(add(f"{n}")) for n in range(8)))
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
    postgres.server().ask("postgres", kill, database._engine.url.database)
    await asyncio.gather(*(database.write(add(f"again {n}")) for n in range(8)))
    assert len(await database.read(words)) == 16


async def test_two_writes_that_wait_for_each_other_both_happen(database, name):
    postgres.server().ask(name, "CREATE TABLE sum (id INT, n INT); INSERT INTO sum VALUES (1, 0), (2, 0)")
    met = threading.Barrier(2, timeout=10)
    first_time = {1: True, 2: True}

    def both(first, second):
        def act(connection):
            connection.execute(text("UPDATE sum SET n = n + 1 WHERE id = :id"), {"id": first})
            if first_time[first]:
                first_time[first] = False
                met.wait()
            connection.execute(text("UPDATE sum SET n = n + 1 WHERE id = :id"), {"id": second})

        return act

    await asyncio.gather(database.write(both(1, 2)), database.write(both(2, 1)))
    assert postgres.server().ask(name, "SELECT n FROM sum") == [(2,), (2,)]


async def test_a_process_that_froze_in_a_write_keeps_no_row_locked(name, monkeypatch):
    monkeypatch.setattr(module, "_SESSION", ("SET idle_in_transaction_session_timeout = '50ms'",))
    database = Postgres(postgres.server().url(name))
    frozen = []

    def act(connection):
        add("one")(connection)
        if not frozen:
            frozen.append(1)
            time.sleep(0.3)

    await database.write(act)
    assert await database.read(words) == ["one"]
    database.close()


async def test_a_row_locked_for_too_long_is_told(database, name, monkeypatch, impatient):
    postgres.server().ask(name, "INSERT INTO word VALUES ('one')")

    def wait(connection):
        connection.exec_driver_sql("SET LOCAL lock_timeout = '20ms'")
        connection.exec_driver_sql("SELECT * FROM word FOR UPDATE")

    with psycopg.connect(postgres.server().url(name)) as other:
        other.execute("SELECT * FROM word FOR UPDATE")
        with pytest.raises(StorageError, match="too busy with other writes; try again"):
            await database.write(wait)
    await database.write(wait)


async def test_closing_finishes_what_was_handed_over(name):
    database = Postgres(postgres.server().url(name))
    writes = [asyncio.ensure_future(database.write(add(str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    await asyncio.to_thread(database.close)
    await asyncio.gather(*writes)
    assert len(postgres.server().ask(name, "SELECT text FROM word")) == 20


async def test_a_server_that_is_not_there_is_told_without_the_password(tmp_path, impatient):
    database = Postgres(f"postgresql://me:secret@/limner?host={tmp_path}&password=secret")
    with pytest.raises(StorageError) as caught:
        await database.read(words)
    said = str(caught.value)
    assert said.startswith("postgresql://me:***@/limner cannot be reached: connection")
    assert said.endswith("LIMNER_DATABASE_URL names it, its user and its password")
    assert "secret" not in said
    database.close()


async def test_a_database_that_is_not_there_is_told_by_name(impatient):
    database = Postgres(postgres.server().url("nowhere"))
    with pytest.raises(StorageError, match='database "nowhere" does not exist'):
        await database.write(words)
    database.close()


async def test_a_standby_is_told(name):
    options = "&options=-c%20default_transaction_read_only%3Don"
    database = Postgres(postgres.server().url(name) + options)
    with pytest.raises(
        StorageError, match="is a read-only standby; let LIMNER_DATABASE_URL name the primary"
    ):
        await database.write(add("one"))
    database.close()


async def test_a_server_without_a_free_connection_is_told(name, impatient):
    server = postgres.server()
    server.ask(name, "CREATE ROLE crowd LOGIN CONNECTION LIMIT 0")
    database = Postgres(server.url(name).replace("postgres@", "crowd@"))
    with pytest.raises(StorageError, match="has no connection left; raise its max_connections"):
        await database.read(words)
    database.close()
    server.ask(name, "DROP ROLE crowd")


async def test_a_driver_that_is_missing_is_told_with_the_way_out(monkeypatch):
    for module_name in [one for one in sys.modules if one.split(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, module_name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SetupError, match=r"driver .* is missing .*pip install 'psycopg\[binary\]'"):
        Postgres("postgresql://db/limner")


@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (errors.UniqueViolation, Taken, "boom"),
        (errors.SerializationFailure, StorageError, "too busy with other writes"),
        (errors.DeadlockDetected, StorageError, "too busy with other writes"),
        (errors.LockNotAvailable, StorageError, "too busy with other writes"),
        (errors.DiskFull, StorageError, "free some space there"),
        (errors.TooManyConnections, StorageError, "max_connections"),
        (errors.ReadOnlySqlTransaction, StorageError, "name the primary"),
        (errors.InsufficientPrivilege, SetupError, "GRANT CREATE, USAGE ON SCHEMA public"),
        (errors.AdminShutdown, StorageError, "cannot be reached"),
        (errors.CannotConnectNow, StorageError, "cannot be reached"),
        (errors.ConnectionFailure, StorageError, "cannot be reached"),
        (errors.IdleInTransactionSessionTimeout, StorageError, "cannot be reached"),
        (psycopg.OperationalError, StorageError, "cannot be reached"),
        (psycopg.InterfaceError, StorageError, "cannot be reached"),
        (errors.QueryCanceled, StorageError, "the server's log says more"),
        (errors.OutOfMemory, StorageError, "the server's log says more"),
        (errors.IoError, StorageError, "the server's log says more"),
    ],
)
def test_postgres_faults_become_ours_by_their_code(fault, kind, said):
    error = told(fault("boom"), ADDRESS)
    assert type(error) is kind
    assert said in str(error)


@pytest.mark.parametrize("fault", [ValueError("x"), psycopg.DataError("x"), errors.UndefinedTable("x")])
def test_what_is_a_mistake_of_ours_stays_as_it_is(fault):
    assert told(fault, ADDRESS) is fault


async def test_a_server_that_stops_is_told_and_one_that_is_back_goes_on(impatient):
    server = postgres.Server(postgres.server().programs)
    try:
        server.start()
        server.ask("postgres", "CREATE TABLE word (text TEXT UNIQUE)")
        database = Postgres(server.url("postgres"))
        for how in ("fast", "immediate"):
            await database.write(add(how))
            server.stop(how)
            with pytest.raises(StorageError, match="cannot be reached"):
                await database.write(add("away"))
            with pytest.raises(StorageError, match="cannot be reached"):
                await database.read(words)
            server.start()
            assert "away" not in await database.read(words)
        await database.write(add("back"))
        assert "back" in await database.read(words)
        database.close()
    finally:
        server.end()
