"""The log's file: opened by one service at a time, and only under settings that keep what is acknowledged."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventsourcing.persistence import OperationalError
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteTransaction,
)

from adapters import durable_file
from adapters.durable_file import BUSY_TIMEOUT_MS, CannotOpen, make_private, settle

STATEMENTS_CACHED = 256
WAL_SIZE_LIMIT = 64 * 1024 * 1024

#: What the log's writing connection must be set to, beside what every durable file is.
PRAGMAS: dict[str, str | int] = {
    **durable_file.PRAGMAS,
    # Otherwise REPLACE would delete without asking the triggers that refuse it.
    "recursive_triggers": 1,
    "journal_size_limit": WAL_SIZE_LIMIT,
}

#: A switch of the library's that makes readers miss events and loses tracking, on any store.
UNSAFE_SWITCH = "POSTGRES_ENABLE_DB_FUNCTIONS"


def refuse_unsafe_process() -> None:
    """Refuse a process in which what the log promises would not hold.

    Raises:
        CannotOpen
    """
    if sys.flags.optimize:
        raise CannotOpen("assertions are switched off: start without -O and without PYTHONOPTIMIZE")
    for name in os.environ:
        if name == UNSAFE_SWITCH or name.endswith(f"_{UNSAFE_SWITCH}"):
            raise CannotOpen(f"{name} is set, and makes readers miss events: unset it")


def connect_writer(path: Path) -> sqlite3.Connection:
    make_private(path)
    connection = sqlite3.connect(
        path,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_CACHED,
        timeout=BUSY_TIMEOUT_MS / 1_000,
    )
    try:
        settle(connection, PRAGMAS)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. It sees what was committed before each of its statements.

    Raises:
        CannotOpen: there is no such file.
    """
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS_CACHED,
            timeout=BUSY_TIMEOUT_MS / 1_000,
        )
    except sqlite3.Error:
        raise CannotOpen(f"{path} cannot be opened for reading") from None
    connection.execute("PRAGMA query_only=ON")
    connection.execute("PRAGMA trusted_schema=OFF")
    return connection


class ImmediateTransaction(SQLiteTransaction):
    """Takes the write lock at once: a transaction that reads first could not get it any more."""

    connection: DurableConnection

    def __enter__(self) -> SQLiteCursor:
        cursor = self.connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE" if self.commit else "BEGIN")
        except sqlite3.OperationalError as error:
            raise OperationalError(error) from error
        return cursor

    def __exit__(self, *exc: Any) -> None:
        try:
            super().__exit__(*exc)
        finally:
            # A commit that failed leaves its transaction open, and no other could begin.
            if self.connection.in_transaction:
                self.connection.rollback()


class DurableConnection(SQLiteConnection):
    @property
    def in_transaction(self) -> bool:
        return self._sqlite_conn.in_transaction

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        with ImmediateTransaction(self, commit=commit) as cursor, cursor:
            yield cursor


class DurablePool(SQLiteConnectionPool):
    def __init__(self, path: Path) -> None:
        super().__init__(db_name=str(path))
        self._path = path

    def _create_connection(self) -> SQLiteConnection:
        connection = connect_writer(self._path)
        connection.row_factory = sqlite3.Row
        return DurableConnection(connection, max_age=self.max_age)


class DurableDatastore(SQLiteDatastore):
    """The library's datastore over connections whose settings were read back. Ids are text."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), originator_id_type="text")
        self.pool = DurablePool(path)
