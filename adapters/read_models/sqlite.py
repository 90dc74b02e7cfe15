"""A generation in one SQLite file: clear rows that can be made again, so it is fast and private, not precious.

Single rows wait in memory and are written in key order, many at a time, before they are scanned and when
the transaction ends; many rows at once are written at once. Erased data is overwritten, and the write-ahead log that held it is emptied.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from adapters.read_models.schema import (
    CHECKPOINT,
    ROWS_PER_INSERT,
    START,
    create_index,
    create_table,
    fingerprint,
    statements_of,
)
from projections.models import ALL_TABLES
from projections.ports import Rows, StalePosition, Table

Key = tuple[Any, ...]

#: Rows of one table that wait to be written.
WAITING_ROWS_MAX = 16_384
#: Rows of one table that are kept in memory while a generation is built.
KEPT_ROWS_MAX = 65_536
#: Values of one `IN`.
VALUES_MAX = 500
BUSY_SECONDS = 10.0


class SchemaDiffers(Exception):
    """The generation was made by another version of the read models: it is to be rebuilt."""


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, cached_statements=512, check_same_thread=False
    )
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


class TableBuffer:
    """One table: what waits to be written, and how it is written."""

    def __init__(self, table: Table, connection: sqlite3.Connection, *, keeping: bool) -> None:
        self.table = table
        self.sql = statements_of(table)
        self.connection = connection
        self.waiting: dict[Key, tuple[Any, ...] | None] = {}
        # While a generation is built nobody else writes to it, so that what was written need not be read.
        self.kept: dict[Key, tuple[Any, ...] | None] | None = {} if keeping else None
        self.has_indices = not keeping or not table.indices

    def get(self, key: Key) -> Any | None:
        for held in (self.waiting, self.kept):
            if held is not None and key in held:
                row = held[key]
                return None if row is None else self.table.row._make(row)
        row = self.connection.execute(self.sql.select, key).fetchone()
        if self.kept is not None:
            self._keep({key: row})
        return None if row is None else self.table.row._make(row)

    def put(self, row: tuple[Any, ...]) -> None:
        self.waiting[row[: self.table.key]] = row
        if len(self.waiting) > WAITING_ROWS_MAX:
            self.write()

    def put_many(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows at once, in the order given: that of their keys is the fastest."""
        self.write()
        if self.kept:
            self.kept.clear()
        self._insert(rows)

    def delete(self, key: Key) -> None:
        if len(key) == self.table.key:
            self.waiting[key] = None
            return
        self.write()
        if self.kept:
            self.kept.clear()
        self.connection.execute(self.sql.delete_prefix(len(key)), key)

    def write(self) -> None:
        """Write what waits, in key order."""
        if not self.waiting:
            return
        waiting, self.waiting = self.waiting, {}
        deleted = [key for key, row in waiting.items() if row is None]
        if deleted:
            self.connection.executemany(self.sql.delete, deleted)
        self._insert([row for key in sorted(waiting) if (row := waiting[key]) is not None])
        if self.kept is not None:
            self._keep(waiting)

    def _insert(self, rows: Sequence[tuple[Any, ...]]) -> None:
        whole = len(rows) - len(rows) % ROWS_PER_INSERT
        for start in range(0, whole, ROWS_PER_INSERT):
            values = list(chain.from_iterable(rows[start : start + ROWS_PER_INSERT]))
            self.connection.execute(self.sql.insert_many, values)
        if whole < len(rows):
            self.connection.executemany(self.sql.insert, rows[whole:])

    def _keep(self, rows: dict[Key, tuple[Any, ...] | None]) -> None:
        if len(self.kept) + len(rows) > KEPT_ROWS_MAX:
            self.kept.clear()
        if len(rows) <= KEPT_ROWS_MAX:
            self.kept.update(rows)

    def make_indices(self) -> None:
        if not self.has_indices:
            for index in self.table.indices:
                self.connection.execute(create_index(self.table, index))
            self.has_indices = True

    def forget(self) -> None:
        """Drop what waits: the transaction was undone."""
        self.waiting.clear()
        if self.kept is not None:
            self.kept.clear()
            # Indices that were made in it are undone as well.
            self.has_indices = not self.table.indices


class SqliteRows:
    """`projections.ports.Rows` of one connection."""

    def __init__(
        self, connection: sqlite3.Connection, tables: Sequence[Table] = ALL_TABLES, *, building: bool = False
    ) -> None:
        self._buffers = {table.name: TableBuffer(table, connection, keeping=building) for table in tables}
        self._connection = connection
        self.has_erased = False

    def get(self, table: Table, *key: Any) -> Any | None:
        return self._buffers[table.name].get(key)

    def put(self, table: Table, row: tuple[Any, ...]) -> None:
        self._buffers[table.name].put(row)

    def put_many(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        self._buffers[table.name].put_many(rows)

    def delete(self, table: Table, *key: Any) -> None:
        # Only what is forgotten goes by the beginning of its key.
        self.has_erased |= len(key) < table.key
        self._buffers[table.name].delete(key)

    def scan(self, table: Table, *prefix: Any, at_least: Any = None, at_most: Any = None) -> Iterator[Any]:
        buffer = self._buffers[table.name]
        buffer.write()
        bounds = [bound for bound in (at_least, at_most) if bound is not None]
        sql = buffer.sql.scan(len(prefix), low=at_least is not None, high=at_most is not None)
        return map(table.row._make, self._connection.execute(sql, (*prefix, *bounds)))

    def find(self, table: Table, index: str, *values: Any) -> Iterator[Any]:
        buffer = self._buffers[table.name]
        buffer.write()
        # Built last, unless it is needed earlier.
        buffer.make_indices()
        sql = buffer.sql.find(index, len(values))
        return map(table.row._make, self._connection.execute(sql, values).fetchall())

    def among(
        self, table: Table, *prefix: Any, values: Sequence[Any], index: str | None = None
    ) -> Iterator[Any]:
        buffer = self._buffers[table.name]
        buffer.write()
        if index is not None:
            buffer.make_indices()
        wanted = list(dict.fromkeys(values))
        found: list[Any] = []
        for start in range(0, len(wanted), VALUES_MAX):
            some = wanted[start : start + VALUES_MAX]
            found += self._connection.execute(
                buffer.sql.among(len(prefix), len(some), index), (*prefix, *some)
            ).fetchall()
        return map(table.row._make, found)

    def write(self) -> None:
        for buffer in self._buffers.values():
            buffer.write()

    def make_indices(self) -> None:
        for buffer in self._buffers.values():
            buffer.make_indices()

    def forget(self) -> None:
        for buffer in self._buffers.values():
            buffer.forget()


class SqliteGeneration:
    """`projections.ports.Generation` in a file of its own."""

    def __init__(self, path: Path, tables: Sequence[Table] = ALL_TABLES, *, building: bool = False) -> None:
        """Open a generation, and make it if there is none.

        Raises:
            SchemaDiffers: another version of the read models made it.
        """
        self.path = path
        self._building = building
        self._tables = tables
        is_new = _create_file(path)
        self._connection = connect(path)
        execute = self._connection.execute
        if building:
            # Nobody reads it, and a build that was cut off begins anew.
            execute("PRAGMA locking_mode = EXCLUSIVE")
            execute("PRAGMA journal_mode = MEMORY")
            execute("PRAGMA synchronous = OFF")
            execute("PRAGMA cache_size = -262144")
        else:
            execute("PRAGMA journal_mode = WAL")
            execute("PRAGMA synchronous = NORMAL")
            execute("PRAGMA cache_size = -65536")
        if is_new or execute("SELECT count(*) FROM sqlite_schema").fetchone()[0] == 0:
            self._create()
        elif self._schema() != fingerprint():
            self._connection.close()
            raise SchemaDiffers(path.name)
        self._rows = SqliteRows(self._connection, tables, building=building)
        self.has_erased = bool(execute("SELECT erasing FROM checkpoint").fetchone()[0])
        """Something was erased, and what else may hold it is not cleaned yet."""

    def _create(self) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        execute(CHECKPOINT)
        for table in self._tables:
            execute(create_table(table))
            if not self._building:
                for index in table.indices:
                    execute(create_index(table, index))
        execute(START, (fingerprint(),))
        execute("COMMIT")

    def _schema(self) -> str | None:
        try:
            return self._connection.execute("SELECT schema FROM checkpoint").fetchone()[0]
        except sqlite3.OperationalError:
            return None

    def checkpoint(self) -> int:
        return self._connection.execute("SELECT position FROM checkpoint").fetchone()[0]

    def begin(self) -> Rows:
        self._connection.execute("BEGIN IMMEDIATE")
        return self._rows

    def commit(self, expected: int, position: int) -> None:
        self._rows.write()
        moved = self._connection.execute(
            "UPDATE checkpoint SET position = ?, erasing = max(erasing, ?) WHERE position = ?",
            (position, int(self._rows.has_erased), expected),
        )
        if moved.rowcount != 1:
            self.rollback()
            raise StalePosition
        self._connection.execute("COMMIT")
        self.has_erased |= self._rows.has_erased
        self._rows.has_erased = False

    def rollback(self) -> None:
        self._rows.forget()
        self._rows.has_erased = False
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def finish_building(self) -> None:
        """Make the indices, put all on disk, and let others in."""
        self._rows.make_indices()
        execute = self._connection.execute
        # What was erased long ago was never in these files.
        execute("UPDATE checkpoint SET erasing = 0")
        execute("PRAGMA locking_mode = NORMAL")
        execute("PRAGMA synchronous = FULL")
        execute("PRAGMA journal_mode = WAL")
        self._connection.close()
        for path in (self.path, self.path.parent):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def wipe(self) -> None:
        """Drop what the files still hold of erased rows. Readers may put it off until another time.

        `secure_delete` overwrites what is deleted, but not the copies that stay in the gaps of pages when rows
        are moved between them: only writing all pages anew does. Takes as long as the file is large.
        """
        try:
            self._connection.execute("VACUUM")
        except sqlite3.OperationalError:
            return
        busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            self._connection.execute("UPDATE checkpoint SET erasing = 0")
            self.has_erased = False

    def snapshot(self) -> Rows:
        """Begin to read one moment; `rollback` ends it."""
        self._connection.execute("BEGIN")
        self.checkpoint()
        return self._rows

    def close(self) -> None:
        self._connection.close()


def _create_file(path: Path) -> bool:
    """Make an empty file that only its owner may read; False if there is one."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return False
    return True
