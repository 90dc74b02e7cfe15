"""A file of keys or secrets: durable, wiped where something is deleted, and used by one service at a time."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Any

from adapters.durable_file import BUSY_TIMEOUT_MS, CannotOpen, Lock, make_private, settle
from application.ports import LogUnavailable

SCHEMA = 1
META = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    f"INSERT INTO meta VALUES ('schema', {SCHEMA}) ON CONFLICT DO NOTHING",
)


class Database:
    """An SQLite file and the one connection to it. Any thread may use it; they wait for one another."""

    def __init__(self, path: Path, tables: Sequence[str], *, read_only: bool = False) -> None:
        """Open the file, or make it with these tables.

        Raises:
            CannotOpen: another process writes it, it is not there to be read, or not as it must be.
        """
        self.path = path
        self._mutex = RLock()
        self._lock: Lock | None = None
        if read_only:
            self.connection = self._connect(f"{path.resolve().as_uri()}?mode=ro")
            self._check_schema()
            return
        self._lock = Lock(path)
        try:
            make_private(path)
            self.connection = self._connect(path.resolve().as_uri())
            self._check_schema()
            settle(self.connection)
            with self.transaction():
                for statement in (*META, *tables):
                    self.connection.execute(statement)
        except BaseException:
            self._lock.release()
            raise

    def close(self) -> None:
        with self._mutex:
            self.connection.close()
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    def select(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._mutex:
            try:
                return self.connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise LogUnavailable(f"{self.path.name} cannot be read: {error}") from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Everything done in it is on the disk when it ends, or nothing."""
        with self._mutex:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self.connection
                    self.connection.execute("COMMIT")
                except BaseException:
                    if self.connection.in_transaction:
                        self.connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise LogUnavailable(f"{self.path.name} cannot be written: {error}") from None

    def wipe(self) -> None:
        """Bring everything from the WAL into the file, where what was deleted is overwritten, and empty the WAL.

        Raises:
            LogUnavailable: a reader was in the way all the time.
        """
        with self._mutex:
            ((busy, *_),) = self.select("PRAGMA wal_checkpoint(TRUNCATE)")
            if busy:
                raise LogUnavailable(f"{self.path.name} is being read, so that its WAL cannot be emptied")

    def holds(self, traces: Sequence[bytes]) -> bool:
        """Whether any of these bytes is anywhere in the file or its WAL."""
        for path in (self.path, self.path.with_name(f"{self.path.name}-wal")):
            content = path.read_bytes() if path.exists() else b""
            if any(trace in content for trace in traces):
                return True
        return False

    def _connect(self, uri: str) -> sqlite3.Connection:
        try:
            return sqlite3.connect(
                uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1_000
            )
        except sqlite3.Error:
            raise CannotOpen(f"{self.path} cannot be opened") from None

    def _check_schema(self) -> None:
        try:
            if not self.select("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
                return
            found = self.select("SELECT value FROM meta WHERE name = 'schema'")
        except LogUnavailable as error:
            raise CannotOpen(str(error)) from None
        if found != [(SCHEMA,)]:
            raise CannotOpen(f"the tables of {self.path} are not of the version this program knows")
