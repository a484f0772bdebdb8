import asyncio
import sqlite3

import pytest
from sqlalchemy import text

from limner.core.errors import SetupError, StorageError
from limner.store.database import Database, told
from limner.store.migrate import migrate


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'limner.db'}")
    migrate(database)
    database.begin(lambda connection: connection.exec_driver_sql("CREATE TABLE word (text TEXT UNIQUE)"))
    database.start()
    yield database
    database.close()


def add(word):
    return lambda connection: connection.execute(text("INSERT INTO word VALUES (:word)"), {"word": word})


def words(connection):
    return connection.execute(text("SELECT text FROM word ORDER BY text")).scalars().all()


async def test_a_write_that_fails_does_not_fail_its_neighbours(database):
    def stumble(connection):
        add("half")(connection)
        raise ValueError("stumbled")

    acts = [add("one"), stumble, add("two"), add("one"), add("three")]
    results = await asyncio.gather(*map(database.write, acts), return_exceptions=True)
    assert [type(result).__name__ for result in results] == [
        "CursorResult",
        "ValueError",
        "CursorResult",
        "Taken",
        "CursorResult",
    ]
    assert await database.read(words) == ["one", "three", "two"]


async def test_writes_that_wait_together_share_a_transaction(database):
    begun = []
    from sqlalchemy import event

    event.listen(database._engine, "begin", lambda _connection: begun.append(1))
    gate = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold(connection):
        asyncio.run_coroutine_threadsafe(_set(gate), loop)
        import time

        while database._writes.qsize() < 50:
            time.sleep(0.001)

    first = asyncio.ensure_future(database.write(hold))
    await gate.wait()
    await asyncio.gather(first, *(database.write(add(f"{n:02}")) for n in range(50)))
    assert len(begun) <= 3
    assert len(await database.read(words)) == 50


async def _set(gate):
    gate.set()


async def test_a_write_handed_over_happens_even_if_its_caller_leaves(database):
    writing = asyncio.ensure_future(database.write(add("late")))
    await asyncio.sleep(0)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    await database.write(lambda connection: None)
    assert await database.read(words) == ["late"]


async def test_a_read_sees_everything_committed_so_far(database):
    for number in range(5):
        await database.write(add(str(number)))
        assert len(await database.read(words)) == number + 1


async def test_a_full_disk_is_told_with_the_way_out_and_passes(database):
    pages = await database.read(
        lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    )

    def limit(count):
        return lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count={count}").scalar_one()

    await database.write(limit(pages))
    with pytest.raises(StorageError, match=r"the disk that holds .*limner\.db is full; free some space"):
        await database.write(add("x" * 1_000_000))
    await database.write(limit(1_000_000))
    await database.write(add("x" * 1_000_000))
    assert len(await database.read(words)) == 1


async def test_a_read_that_fails_is_told_too(database, tmp_path):
    with pytest.raises(Exception, match="no such table: nowhere"):
        await database.read(lambda connection: connection.exec_driver_sql("SELECT * FROM nowhere"))


async def test_money_rows_survive_a_power_cut(database):
    settings = await database.write(
        lambda connection: [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous")
        ]
    )
    assert settings == ["wal", 2]


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (sqlite3.SQLITE_FULL, StorageError, "free some space"),
        (sqlite3.SQLITE_READONLY, StorageError, "check the folder's permissions"),
        (sqlite3.SQLITE_IOERR_WRITE, StorageError, "check the folder's permissions"),
        (sqlite3.SQLITE_CANTOPEN, StorageError, "cannot be written"),
        (sqlite3.SQLITE_BUSY, StorageError, "locked by another program"),
        (sqlite3.SQLITE_LOCKED, StorageError, "locked by another program"),
        (sqlite3.SQLITE_CORRUPT, SetupError, "restore it from a backup"),
        (sqlite3.SQLITE_NOTADB, SetupError, "restore it from a backup"),
    ],
)
def test_sqlites_faults_become_ours_by_their_code(code, kind, said):
    fault = sqlite3.OperationalError("boom")
    fault.sqlite_errorcode = code
    error = told(fault, "/home/limner.db")
    assert type(error) is kind
    assert "/home/limner.db" in str(error)
    assert said in str(error)


def test_what_is_no_fault_of_the_disk_stays_as_it_is():
    other, logic = ValueError("x"), sqlite3.IntegrityError("UNIQUE")
    logic.sqlite_errorcode = sqlite3.SQLITE_CONSTRAINT
    assert (told(other, "u"), told(logic, "u")) == (other, logic)


async def test_closing_finishes_what_was_handed_over(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'limner.db'}")
    migrate(database)
    database.begin(lambda connection: connection.exec_driver_sql("CREATE TABLE word (text TEXT)"))
    database.start()
    writes = [asyncio.ensure_future(database.write(add(str(n)))) for n in range(20)]
    await asyncio.sleep(0)
    await asyncio.to_thread(database.close)
    assert len(await asyncio.gather(*writes)) == 20
    again = Database(database.url)
    assert len(again.begin(words)) == 20
    again.close()
