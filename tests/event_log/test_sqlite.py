"""What the log in a file promises beyond the contract: settings, refusals, and what it does when the disk fails."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.durable_file import CannotOpen, read_back
from adapters.event_log import sqlite as module
from adapters.event_log.database import PRAGMAS, connect_writer
from adapters.event_log.layout import leaf
from adapters.event_log.mapper import SealedMapper, Unreadable
from adapters.event_log.sqlite import SqliteEventLog, SqliteLogSource, Tally
from application.ports import Appended, Conflict, LogUnavailable
from projections import ports as projections
from tests.event_log.examples import (
    ADA,
    ADAS_ACCOUNT,
    BOB,
    CHANGED,
    CLOSED,
    REGISTERED,
    MemoryKeys,
    append_of,
    context,
    transactions,
)


@pytest.fixture
def insider(sqlite_log: SqliteEventLog, path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody with the file and SQLite, and no keys."""
    connection = sqlite3.connect(path, isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture
def source(sqlite_log: SqliteEventLog, path: Path, keys: MemoryKeys) -> Iterator[SqliteLogSource]:
    source = SqliteLogSource(path, SealedMapper(keys))
    yield source
    source.close()


# Opening


async def test_the_writers_own_connection_is_safe(sqlite_log: SqliteEventLog):
    def read(cursor) -> dict:
        found = {}
        for name in PRAGMAS:
            cursor.execute(f"PRAGMA {name}")
            found[name] = cursor.fetchone()[0]
        return found

    found = await sqlite_log._writer.write(read)
    assert found == PRAGMAS
    assert (found["journal_mode"], found["synchronous"], found["secure_delete"]) == ("wal", 2, 1)


@pytest.mark.parametrize(
    "setting",
    [
        "synchronous=NORMAL",
        "secure_delete=FAST",
        "foreign_keys=OFF",
        "trusted_schema=ON",
        "journal_mode=DELETE",
    ],
)
def test_a_setting_that_differs_is_refused_by_name(path: Path, setting: str):
    connection = connect_writer(path)
    connection.execute(f"PRAGMA {setting}")
    with pytest.raises(CannotOpen, match=setting.partition("=")[0]):
        read_back(connection, PRAGMAS)
    connection.close()


def test_storage_that_cannot_have_a_wal_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("adapters.event_log.database.PRAGMAS", PRAGMAS | {"synchronous": 3})
    connect = sqlite3.connect

    class Deaf(sqlite3.Connection):
        def execute(self, statement: str, *values):
            return super().execute(
                "PRAGMA user_version" if statement == "PRAGMA synchronous=3" else statement, *values
            )

    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, factory=Deaf, **options))
    with pytest.raises(CannotOpen, match="synchronous must be 3, and is 2"):
        SqliteEventLog(path, SealedMapper(MemoryKeys()))


def test_a_second_service_is_refused_and_the_next_is_not(path: Path, keys: MemoryKeys):
    first = SqliteEventLog(path, SealedMapper(keys))
    with pytest.raises(CannotOpen, match="another process is using"):
        SqliteEventLog(path, SealedMapper(keys))
    first.close()
    SqliteEventLog(path, SealedMapper(keys)).close()


def test_the_unsafe_switch_of_the_library_is_refused(
    path: Path, keys: MemoryKeys, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("POSTGRES_ENABLE_DB_FUNCTIONS", "n")
    with pytest.raises(CannotOpen, match="POSTGRES_ENABLE_DB_FUNCTIONS"):
        SqliteEventLog(path, SealedMapper(keys))
    assert not path.exists()


def test_a_process_without_assertions_is_refused():
    program = "from adapters.event_log.database import refuse_unsafe_process; refuse_unsafe_process()"
    done = subprocess.run([sys.executable, "-O", "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "start without -O" in done.stderr


async def test_a_log_of_a_later_version_is_refused(path: Path, keys: MemoryKeys):
    SqliteEventLog(path, SealedMapper(keys)).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = 2 WHERE name = 'schema'")
    connection.commit()
    connection.close()
    with pytest.raises(CannotOpen, match="version 2"):
        SqliteEventLog(path, SealedMapper(keys))
    with pytest.raises(CannotOpen, match="version 2"):
        SqliteLogSource(path, SealedMapper(keys))


def test_what_is_no_log_is_refused(path: Path, keys: MemoryKeys):
    with pytest.raises(CannotOpen):
        SqliteLogSource(path, SealedMapper(keys))
    path.write_bytes(b"this is no database, and longer than a header of one" * 100)
    for opening in (SqliteEventLog, SqliteLogSource):
        with pytest.raises(CannotOpen):
            opening(path, SealedMapper(keys))


async def test_nobody_else_may_read_the_files(sqlite_log: SqliteEventLog, path: Path):
    await sqlite_log.append(append_of((ADA, 0, [REGISTERED])))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file.name


async def test_a_closed_log_is_read_again(path: Path, keys: MemoryKeys):
    log = SqliteEventLog(path, SealedMapper(keys))
    await log.append(append_of((ADA, 0, [REGISTERED])))
    log.close()
    with pytest.raises(LogUnavailable):
        await log.append(append_of((ADA, 1, [CHANGED])))
    source = SqliteLogSource(path, SealedMapper(keys))
    assert [recorded.fact for recorded in source.read(0, 10)] == [REGISTERED]
    source.close()
    again = SqliteEventLog(path, SealedMapper(keys))
    assert await again.append(append_of((ADA, 1, [CHANGED]))) == Appended(2, 2)
    again.close()


# Nothing is changed


@pytest.mark.parametrize("table", ["events", "leaves", "commands"])
async def test_what_is_written_is_never_changed(
    sqlite_log: SqliteEventLog, insider: sqlite3.Connection, table: str
):
    await sqlite_log.append(append_of((ADA, 0, [REGISTERED]), said=context(input_digest=b"i")))
    column = {"events": "state", "leaves": "leaf", "commands": "input_digest"}[table]
    before = insider.execute(f"SELECT * FROM {table}").fetchall()
    for statement in (f"UPDATE {table} SET {column} = x'00'", f"DELETE FROM {table}"):
        with pytest.raises(sqlite3.IntegrityError, match="never changed"):
            insider.execute(statement)
    assert insider.execute(f"SELECT * FROM {table}").fetchall() == before


async def test_nor_by_the_writer_replacing(sqlite_log: SqliteEventLog):
    await sqlite_log.append(append_of((ADA, 0, [REGISTERED])))
    replace = "INSERT OR REPLACE INTO events VALUES (1, ?, 1, 't', x'00')"
    with pytest.raises(LogUnavailable, match="never changed"):
        await sqlite_log._writer.write(lambda cursor: cursor.execute(replace, (ADA,)))
    assert [recorded.fact for recorded in await sqlite_log.facts(ADA)] == [REGISTERED]


async def test_a_moved_or_damaged_fact_is_named(
    sqlite_log: SqliteEventLog, insider: sqlite3.Connection, source: SqliteLogSource
):
    await sqlite_log.append(append_of((ADA, 0, [REGISTERED, CHANGED]), (BOB, 0, [REGISTERED])))
    insider.execute("DROP TRIGGER events_refuse_update")
    insider.execute(
        "UPDATE events SET state = (SELECT state FROM events WHERE position = 3) WHERE position = 1"
    )
    with pytest.raises(Unreadable, match=f"{ADA} version 1"):
        await sqlite_log.facts(ADA)
    assert source.read(0, 1) == [
        projections.Unreadable(
            stream=ADA, version=1, position=1, name="ConsumerRegistered.1", reason="seal_broken"
        )
    ]
    assert [recorded.position for recorded in source.read(1, 10)] == [2, 3]
    first, *others = source.raw(0, 10)
    assert leaf(first.stream, first.version, first.name, first.state) != first.leaf
    assert all(leaf(row.stream, row.version, row.name, row.state) == row.leaf for row in others)


async def test_a_missing_fact_is_noticed(
    sqlite_log: SqliteEventLog, insider: sqlite3.Connection, source: SqliteLogSource
):
    await sqlite_log.append(append_of((ADA, 0, [REGISTERED, CHANGED, CHANGED])))
    assert source.tally() == Tally(events=3, leaves=3, last_position=3)
    insider.execute("DROP TRIGGER events_refuse_delete")
    insider.execute("DELETE FROM events WHERE position = 3")
    assert source.tally() == Tally(events=2, leaves=3, last_position=3)
    insider.execute("DELETE FROM events WHERE position = 1")
    with pytest.raises(Unreadable, match="version 1, which was before it, is gone"):
        await sqlite_log.facts(ADA)


# Reading from elsewhere


async def test_a_read_is_bounded_by_bytes(
    sqlite_log: SqliteEventLog, source: SqliteLogSource, monkeypatch: pytest.MonkeyPatch
):
    await sqlite_log.append(append_of((ADAS_ACCOUNT, 0, [transactions(200)] * 5)))
    size = len(source.raw(0, 1)[0].state)
    monkeypatch.setattr(module, "READ_BYTES_MAX", int(2.5 * size))
    assert [recorded.position for recorded in source.read(0, 10)] == [1, 2, 3]
    monkeypatch.setattr(module, "READ_BYTES_MAX", 1)
    assert [recorded.position for recorded in source.read(3, 10)] == [4]


async def test_a_reader_elsewhere_sees_each_commit_and_cannot_write(
    sqlite_log: SqliteEventLog, source: SqliteLogSource
):
    for version in range(3):
        await sqlite_log.append(append_of((ADAS_ACCOUNT, version, [CLOSED])))
        assert source.head() == version + 1
    with pytest.raises(sqlite3.OperationalError):
        source._reader.execute("INSERT INTO meta VALUES ('a', 1)")


# Writing together


async def test_appends_that_wait_share_a_commit(path: Path, keys: MemoryKeys):
    points: list[str] = []
    log = SqliteEventLog(path, SealedMapper(keys), point=points.append)
    streams = [f"acme/c{index}/consumer/c{index}" for index in range(100)]
    await asyncio.gather(*(log.append(append_of((stream, 0, [REGISTERED]))) for stream in streams))
    assert points.count("insert") == 100
    assert points.count("commit") < 50
    log.close()


async def test_a_conflict_hurts_nobody_else(sqlite_log: SqliteEventLog):
    appends = [append_of((stream, 0, [REGISTERED])) for stream in (ADA, ADA, BOB, ADA, ADAS_ACCOUNT)]
    answers = await asyncio.gather(*(sqlite_log.append(append) for append in appends), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Appended, Conflict, Appended, Conflict, Appended]
    assert await sqlite_log.head() == 3


async def test_a_caller_that_gives_up_takes_nothing_back(sqlite_log: SqliteEventLog):
    task = asyncio.create_task(sqlite_log.append(append_of((ADA, 0, [REGISTERED]))))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await sqlite_log.append(append_of((BOB, 0, [REGISTERED])))
    assert len(await sqlite_log.facts(ADA)) == 1


async def test_closing_writes_what_waits(path: Path, keys: MemoryKeys):
    log = SqliteEventLog(path, SealedMapper(keys))
    appends = [append_of((ADAS_ACCOUNT, 0, [CLOSED])), append_of((BOB, 0, [REGISTERED]))]
    tasks = [asyncio.create_task(log.append(append)) for append in appends]
    await asyncio.sleep(0)
    log.close()
    assert await asyncio.gather(*tasks) == [Appended(1, 1), Appended(2, 2)]


# When the storage fails


async def test_a_full_disk_refuses_writes_and_nothing_else(sqlite_log: SqliteEventLog):
    def limit(pages: int):
        return sqlite_log._writer.write(lambda cursor: cursor.execute(f"PRAGMA max_page_count = {pages}"))

    await sqlite_log.append(append_of((ADA, 0, [REGISTERED])))
    await limit(1)  # SQLite makes it the pages there are.
    acknowledged = 0
    with pytest.raises(LogUnavailable, match="full"):
        while True:
            await sqlite_log.append(append_of((ADAS_ACCOUNT, acknowledged, [transactions(20)])))
            acknowledged += 1
    assert len(await sqlite_log.facts(ADA)) == 1
    assert len(await sqlite_log.facts(ADAS_ACCOUNT)) == acknowledged
    with pytest.raises(LogUnavailable):
        await sqlite_log.append(append_of((ADAS_ACCOUNT, acknowledged, [transactions(200)])))
    await limit(100_000)
    await sqlite_log.append(append_of((ADAS_ACCOUNT, acknowledged, [transactions(200)])))
    assert await sqlite_log.head() == acknowledged + 2


@pytest.mark.parametrize("pages", range(0, 40, 3))
async def test_wherever_the_disk_becomes_full_an_append_is_whole_or_not_there(
    sqlite_log: SqliteEventLog, pages: int
):
    def there(cursor) -> int:
        cursor.execute("PRAGMA page_count")
        return cursor.fetchone()[0]

    limit = await sqlite_log._writer.write(there) + pages
    await sqlite_log._writer.write(lambda cursor: cursor.execute(f"PRAGMA max_page_count = {limit}"))
    said = context(input_digest=b"i")
    append = append_of((ADAS_ACCOUNT, 0, [transactions(500)]), (ADA, 0, [REGISTERED] * 20), said=said)
    try:
        await sqlite_log.append(append)
        written = True
    except LogUnavailable:
        written = False
    assert await sqlite_log.head() == (21 if written else 0)
    assert (await sqlite_log.command("acme", said.command_id) is not None) == written
    assert len(await sqlite_log.facts(ADA)) == (20 if written else 0)


async def test_storage_that_became_read_only_refuses_writes_and_recovers(sqlite_log: SqliteEventLog):
    def query_only(value: str):
        connection = next(iter(sqlite_log._recorder.datastore.pool._in_use.values()))
        connection._sqlite_conn.execute(f"PRAGMA query_only={value}")

    await sqlite_log.append(append_of((ADA, 0, [REGISTERED])))
    query_only("ON")
    with pytest.raises(LogUnavailable):
        await sqlite_log.append(append_of((ADA, 1, [CHANGED])))
    assert len(await sqlite_log.facts(ADA)) == 1
    query_only("OFF")
    await sqlite_log.append(append_of((ADA, 1, [CHANGED])))


async def test_a_commit_that_fails_leaves_the_next_one_free(sqlite_log: SqliteEventLog):
    """A deferred foreign key is found at the commit, which fails and leaves its transaction open."""

    def orphan(cursor) -> None:
        cursor.execute("PRAGMA defer_foreign_keys=ON")
        cursor.execute("INSERT INTO leaves VALUES (99, x'00')")

    with pytest.raises(LogUnavailable):
        await sqlite_log._writer.write(orphan)
    assert await sqlite_log.append(append_of((ADA, 0, [REGISTERED]))) == Appended(1, 1)


async def test_too_many_waiting_are_turned_away(sqlite_log: SqliteEventLog, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("adapters.event_log.writer.WAITING_MAX", 0)
    with pytest.raises(LogUnavailable, match="waiting"):
        await sqlite_log.append(append_of((ADA, 0, [REGISTERED])))
