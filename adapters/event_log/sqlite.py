"""The log in an SQLite file: `SqliteEventLog` for the service that writes it, `SqliteLogSource` for whoever reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eventsourcing.persistence import PersistenceError
from eventsourcing.sqlite import SQLiteCursor

from adapters.durable_file import CannotOpen, Lock
from adapters.event_log.database import DurableDatastore, connect_reader, refuse_unsafe_process
from adapters.event_log.mapper import GAP, SealedMapper, Unreadable, to_microseconds
from adapters.event_log.prepare import Prepared, prepare
from adapters.event_log.recorder import LogRecorder, check_schema
from adapters.event_log.rows import Row, Tally, opened
from adapters.event_log.writer import Writer, no_point
from application.ports import (
    Append,
    Appended,
    Command,
    Conflict,
    KeyDestroyed,
    LogError,
    LogUnavailable,
    Snapshot,
)
from domain.fact import Recorded
from projections import ports as projections

#: The bytes after which a read stops early. Opened they are some thirty times as much, and what no longer
#: fits the processor's caches is opened at half the speed.
READ_BYTES_MAX = 1024 * 1024

#: Sorts after every stream id that begins with what stands before it.
LAST = "\U0010ffff"

HEAD = "SELECT coalesce(max(position), 0) FROM events"
VERSION_OF = "SELECT coalesce(max(originator_version), 0) FROM events WHERE originator_id = ?"
# By position, since little was written since then; the plus keeps SQLite from taking the other index.
WRITTEN_SINCE = """SELECT 1 FROM events
    WHERE position > ? AND +originator_id >= ? AND +originator_id < ? LIMIT 1"""
INSERT_COMMAND = "INSERT INTO commands VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
SELECT_COMMAND = """SELECT input_digest, subject, version, first_position, last_position
    FROM commands WHERE tenant = ? AND command_id = ?"""
SELECT_FACTS = """SELECT originator_version, topic, state, position FROM events
    WHERE originator_id = ? AND originator_version > ? AND originator_version <= ? ORDER BY originator_version"""
# From one stream to the next, without looking at the facts of any.
SELECT_STREAMS = """WITH RECURSIVE stream (id) AS (
        SELECT min(originator_id) FROM events WHERE originator_id >= :first AND originator_id < :last
        UNION ALL
        SELECT (SELECT min(originator_id) FROM events WHERE originator_id > stream.id AND originator_id < :last)
        FROM stream WHERE stream.id IS NOT NULL)
    SELECT id FROM stream WHERE id IS NOT NULL"""
SELECT_POSITION = "SELECT position FROM events WHERE originator_id = ? AND originator_version = ?"
KEEP_SNAPSHOT = """INSERT INTO snapshots VALUES (?, ?, ?, ?)
    ON CONFLICT (stream) DO UPDATE SET version = excluded.version, name = excluded.name, state = excluded.state
    WHERE excluded.version >= snapshots.version"""
SELECT_SNAPSHOT = "SELECT version, name, state FROM snapshots WHERE stream = ?"
SELECT_ROWS = """SELECT position, originator_id, originator_version, topic, state, leaf
    FROM events LEFT JOIN leaves USING (position) WHERE position > ? ORDER BY position LIMIT ?"""
SELECT_TALLY = """SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM leaves),
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0)"""

VERSION_MAX = 2**63 - 1


class SqliteEventLog:
    """The log of the service that owns it, used from one event loop.

    Reads run inline on a connection of their own; writes go to the writer's thread. `on_commit` is called
    with the new head, in the event loop's thread, after each commit that wrote facts.
    """

    def __init__(
        self,
        path: Path,
        mapper: SealedMapper,
        *,
        point: Callable[[str], None] = no_point,
        writer: Callable[..., Writer] = Writer,
    ) -> None:
        """Open the log, or make it. `writer` makes what writes, given a datastore, `answered` and `point`.

        Raises:
            CannotOpen: another process has it, or the storage, its settings or its tables are not as they must be.
        """
        refuse_unsafe_process()
        self.on_commit: list[Callable[[int], None]] = []
        self._mapper = mapper
        self._lock = Lock(path)
        datastore = DurableDatastore(path)
        try:
            self._recorder = LogRecorder(datastore)
            self._recorder.create_table()
            self._reader = connect_reader(path)
        except BaseException as error:
            datastore.close()
            self._lock.release()
            if isinstance(error, sqlite3.Error | PersistenceError):
                raise CannotOpen(f"{path} cannot be opened: {error}") from None
            raise
        self._writer = writer(datastore, answered=self._tell, point=point)

    def close(self) -> None:
        """Write what is waiting, and let go of the log."""
        self._writer.close()
        self._reader.close()
        self._recorder.datastore.close()
        self._lock.release()

    # Reading

    async def facts(self, stream: str, *, after: int = 0, upto: int | None = None) -> Sequence[Recorded]:
        rows = self._select(SELECT_FACTS, (stream, after, VERSION_MAX if upto is None else upto))
        for expected, (version, name, *_) in enumerate(rows, after + 1):
            if version != expected:
                raise Unreadable(
                    stream, version, name, GAP, f"version {expected}, which was before it, is gone"
                )
        open = self._mapper.open
        return [open(stream, version, name, state, position) for version, name, state, position in rows]

    async def streams(self, prefix: str) -> Sequence[str]:
        return [id for (id,) in self._select(SELECT_STREAMS, {"first": prefix, "last": prefix + LAST})]

    async def head(self) -> int:
        return self._select(HEAD)[0][0]

    async def position_of(self, stream: str, version: int) -> int:
        """The position of a fact of a stream; 0 for version 0, which is before any.

        Raises:
            LogError: there is no such fact.
        """
        rows = self._select(SELECT_POSITION, (stream, version))
        if not rows and version:
            raise LogError(f"{stream} has no version {version}")
        return rows[0][0] if rows else 0

    async def command(self, tenant: str, command_id: bytes) -> Command | None:
        for digest, subject, version, first, last in self._select(SELECT_COMMAND, (tenant, command_id)):
            return Command(
                input_digest=digest,
                subject=subject,
                version=version,
                first_position=first,
                last_position=last,
            )
        return None

    async def snapshot(self, stream: str) -> Snapshot | None:
        for version, name, state in self._select(SELECT_SNAPSHOT, (stream,)):
            return self._mapper.open_snapshot(stream, version, name, state)
        return None

    def _select(self, statement: str, values: Any = ()) -> list[Any]:
        try:
            return self._reader.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise LogUnavailable(f"the log cannot be read: {error}") from None

    # Writing

    async def append(self, append: Append) -> Appended:
        """Write durably, and answer only then.

        Where nothing was to be written, `first_position` is one more than `last_position`: an empty range.

        Raises:
            Conflict, LogUnavailable, KeyMissing, KeyDestroyed
            Unwritable: a fact cannot be stored as it is.
        """
        prepared = prepare(append, self._mapper)
        return await self._writer.write(lambda cursor: self._write(cursor, prepared))

    async def keep_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot in place of an older one. Where that is impossible none is kept: facts do without."""
        try:
            state = self._mapper.seal_snapshot(snapshot)
            row = (snapshot.stream, snapshot.version, snapshot.name, state)
            await self._writer.write(lambda cursor: cursor.execute(KEEP_SNAPSHOT, row))
        except (KeyDestroyed, LogUnavailable):
            return

    def _write(self, cursor: SQLiteCursor, prepared: Prepared) -> Appended:
        append = prepared.append
        context = append.context
        if one(cursor, SELECT_COMMAND, context.tenant, context.command_id):
            raise Conflict("the command was stored meanwhile")
        if append.unchanged_since is not None:
            prefix, position = append.unchanged_since
            if one(cursor, WRITTEN_SINCE, position, prefix, prefix + LAST):
                raise Conflict(f"something below {prefix} came after {position}")
        reached: dict[str, int] = {}
        for change in append.changes:
            version = reached.get(change.stream)
            if version is None:
                (version,) = one(cursor, VERSION_OF, change.stream)
            if version != change.expected_version:
                raise Conflict(f"{change.stream} is at {version}, not at {change.expected_version}")
            reached[change.stream] = version + len(change.facts)
        positions = self._recorder._insert_events(cursor, prepared.events, leaves=prepared.leaves)
        if positions:
            appended = Appended(positions[0], positions[-1])
        else:
            (head,) = one(cursor, HEAD)
            appended = Appended(head + 1, head)
        if context.input_digest:
            command = (
                context.tenant,
                context.command_id,
                context.input_digest,
                append.subject,
                append.subject_version,
                appended.first_position,
                appended.last_position,
                to_microseconds(append.recorded_at),
            )
            cursor.execute(INSERT_COMMAND, command)
        return appended

    def _tell(self, outcomes: list[Any]) -> None:
        heads = [
            outcome.last_position
            for outcome in outcomes
            if isinstance(outcome, Appended) and outcome.first_position <= outcome.last_position
        ]
        if heads:
            for told in self.on_commit:
                told(max(heads))


def one(cursor: SQLiteCursor, statement: str, *values: Any) -> Any:
    cursor.execute(statement, values)
    return cursor.fetchone()


class SqliteLogSource:
    """The log for another process than the one that writes it, in order, on a connection that cannot write."""

    def __init__(self, path: Path, mapper: SealedMapper) -> None:
        """Open a log that exists.

        Raises:
            CannotOpen: there is none, or its tables are of a version that is not known.
        """
        refuse_unsafe_process()
        self._mapper = mapper
        self._reader = connect_reader(path)
        try:
            check_schema(self._select("SELECT value FROM meta WHERE name = 'schema'")[0])
        except (LogUnavailable, IndexError):
            self._reader.close()
            raise CannotOpen(f"{path} is no log") from None

    def close(self) -> None:
        self._reader.close()

    def head(self) -> int:
        return self._select(HEAD)[0][0]

    def read(self, after: int, limit: int) -> Sequence[Recorded | projections.Unreadable]:
        """The facts after a position, oldest first; `limit` at most, fewer where they are large.

        One that cannot be read is `Unreadable` in its place.
        """
        return [self.open(row) for row in self.raw(after, limit)]

    def open(self, row: Row) -> Recorded | projections.Unreadable:
        """Open what `raw` gave."""
        return opened(self._mapper, row)

    def raw(self, after: int, limit: int) -> Sequence[Row]:
        """What lies there after a position, unopened."""
        rows: list[Row] = []
        size = 0
        try:
            cursor = self._reader.execute(SELECT_ROWS, (after, limit))
            for values in cursor:
                row = Row._make(values)
                rows.append(row)
                size += len(row.state)
                if size >= READ_BYTES_MAX:
                    # An open cursor would keep the writer from resetting the WAL.
                    cursor.close()
                    break
        except sqlite3.Error as error:
            raise LogUnavailable(f"the log cannot be read: {error}") from None
        return rows

    def tally(self) -> Tally:
        return Tally._make(self._select(SELECT_TALLY)[0])

    def _select(self, statement: str, values: Any = ()) -> list[Any]:
        try:
            return self._reader.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise LogUnavailable(f"the log cannot be read: {error}") from None
