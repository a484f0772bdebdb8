import asyncio
import contextlib
import errno
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from limner.core.errors import SetupError, StorageError
from limner.store import writer
from limner.store.database import Database
from limner.store.faults import told
from limner.store.migrate import migrate
from tests.fakes import until


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


async def test_writes_that_wait_together_share_a_transaction(database, synced):
    said = []
    database._writer._driver.set_trace_callback(said.append)
    await asyncio.gather(*(database.write(add(f"{n:02}")) for n in range(50)))
    assert said.count("COMMIT") == 1
    assert synced.count == 1
    assert len(await database.read(words)) == 50


async def test_a_crowd_of_writes_is_cut_into_groups(database):
    said = []
    database._writer._driver.set_trace_callback(said.append)
    await asyncio.gather(*(database.write(add(f"{n:03}")) for n in range(200)))
    assert said.count("COMMIT") == 4
    assert len(await database.read(words)) == 200


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


def size(file):
    return Path(file).stat().st_size


class Synced:
    """What a power cut would leave: the files as they were when the log was synced last."""

    def __init__(self, place, after):
        self.count = 0
        self.broken = False
        self._place, self._after = place, after
        self._real = writer._fsync

    def __call__(self, file):
        if self.broken:
            raise OSError(errno.EIO, "Input/output error")
        self._real(file)
        for end in ("", "-wal"):
            shutil.copy(f"{self._place}{end}", f"{self._after}{end}")
        self.count += 1

    def words(self):
        """As found by who starts after the power cut."""
        with contextlib.closing(sqlite3.connect(self._after)) as found:
            return [word for (word,) in found.execute("SELECT text FROM word ORDER BY text")]


@pytest.fixture
def synced(database, tmp_path, monkeypatch):
    synced = Synced(database.place, tmp_path / "after.db")
    monkeypatch.setattr(writer, "_fsync", synced)
    return synced


async def test_what_was_written_survives_a_power_cut(database, synced):
    for n in range(20):
        await database.write(add(f"{n:02}"))
        assert synced.words() == [f"{m:02}" for m in range(n + 1)]


async def test_what_is_written_soon_is_not_waited_for_and_survives_the_death_of_the_process(
    database, synced, tmp_path
):
    await database.write(add("soon"), soon=True)
    assert synced.count == 0
    for end in ("", "-wal"):
        shutil.copy(f"{database.place}{end}", tmp_path / f"kernel.db{end}")
    with contextlib.closing(sqlite3.connect(tmp_path / "kernel.db")) as found:
        assert found.execute("SELECT text FROM word").fetchall() == [("soon",)]


async def test_what_is_written_soon_comes_to_disk_with_what_follows(database, synced):
    await database.write(add("a"), soon=True)
    await database.write(add("b"))
    assert synced.count == 1
    assert synced.words() == ["a", "b"]


async def test_what_is_written_soon_comes_to_disk_though_nothing_follows(database, synced):
    await database.write(add("alone"), soon=True)
    await until(lambda: synced.count)
    assert synced.words() == ["alone"]


async def test_closing_syncs_what_was_written_soon(database, synced):
    await database.write(add("last"), soon=True)
    database._writer.close()
    assert synced.words() == ["last"]
    database._writer = None


async def test_a_disk_that_does_not_take_it_is_told_and_nothing_more_is_written(database, synced):
    synced.broken = True
    with pytest.raises(StorageError, match=r"did not take what was written to .* again on a sound disk"):
        await database.write(add("lost"))
    synced.broken = False
    with pytest.raises(StorageError, match="nothing more is written"):
        await database.write(add("after"))
    assert await database.read(words) == ["lost"]


async def test_a_long_write_leaves_the_event_loop_to_others_and_later_writes_wait_for_it(database):
    began, go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold(connection):
        loop.call_soon_threadsafe(began.set)
        assert go.wait(10)
        add("long")(connection)

    long = asyncio.ensure_future(database.write(hold, long=True))
    await began.wait()
    short = asyncio.ensure_future(database.write(words))
    await asyncio.sleep(0.02)
    assert not short.done()
    go.set()
    assert await short == ["long"]
    await long


async def test_another_programs_lock_is_waited_for_outside_the_event_loop(database):
    other = sqlite3.connect(database.place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = [asyncio.ensure_future(database.write(add(word))) for word in ("one", "two")]
    await asyncio.sleep(0.05)
    writing.append(asyncio.ensure_future(database.write(add("three"))))
    assert not any(one.done() for one in writing)
    other.execute("ROLLBACK")
    await asyncio.gather(*writing)
    other.close()
    assert len(await database.read(words)) == 3


async def test_another_programs_lock_that_stays_is_told_with_the_way_out(database, monkeypatch):
    monkeypatch.setattr(writer, "_PATIENCE_MS", 20)
    other = sqlite3.connect(database.place, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked by another program; close it"):
        await database.write(add("one"))
    other.close()
    await database.write(add("two"))
    assert await database.read(words) == ["two"]


async def test_the_log_is_brought_into_the_file_as_it_grows(database, monkeypatch):
    monkeypatch.setattr(writer, "_CHECKPOINT_WRITES", 10)
    for n in range(200):
        await database.write(add(f"{n:03}" * 1000))
    assert size(f"{database.place}-wal") < 600_000 < size(database.place)
    assert len(await database.read(words)) == 200


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
