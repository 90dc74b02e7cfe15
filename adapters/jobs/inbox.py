"""The inbox of pushes as a small SQLite file: what came, what it may be about, and what is still to be done.

Beside it, the same file remembers when the provider was asked: what comes unasked and what was asked for.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock as Mutex
from typing import Any, TypeVar

from adapters.durable_file import BUSY_TIMEOUT_MS, CannotOpen, Lock, make_private, settle
from application.ports import LogUnavailable

#: How long a push is remembered, and an ask. A push that is older than a day is refused anyway, and no rule about asks
#: looks further back.
KEPT = timedelta(days=3)

TABLES = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO meta VALUES ('schema', 1) ON CONFLICT DO NOTHING",
    """CREATE TABLE IF NOT EXISTS endpoints (
        endpoint BLOB PRIMARY KEY, tenant TEXT NOT NULL, provider TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS connections (
        name BLOB NOT NULL, stream TEXT NOT NULL, PRIMARY KEY (name, stream)) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS pushes (
        endpoint BLOB NOT NULL, mark BLOB NOT NULL, at INTEGER NOT NULL,
        PRIMARY KEY (endpoint, mark)) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS pushes_by_age ON pushes (at)",
    "CREATE TABLE IF NOT EXISTS waiting (stream TEXT PRIMARY KEY) WITHOUT ROWID",
    # Two asks of one moment are two asks: there is no key.
    "CREATE TABLE IF NOT EXISTS asks (stream TEXT NOT NULL, at INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS asks_by_stream ON asks (stream, at)",
    "CREATE INDEX IF NOT EXISTS asks_by_age ON asks (at)",
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Result = TypeVar("Result")


class SqliteInbox:
    """Implements `application.ports.Inbox` and `AskLedger`. Every call runs in a thread: a commit waits for the disk."""

    def __init__(self, path: Path) -> None:
        """Open the inbox, or make the file.

        Raises:
            CannotOpen: another process has it, or it cannot be used.
        """
        lock = Lock(path)
        self._lock: Lock | None = lock
        self._mutex = Mutex()
        try:
            make_private(path)
            self._connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1_000
            )
            settle(self._connection)
            for statement in TABLES:
                self._connection.execute(statement)
        except sqlite3.Error:
            lock.release()
            raise CannotOpen(f"{path} cannot be used; removed, it is made again at the next start") from None
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        with self._mutex:
            self._connection.close()
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    async def open_endpoint(self, endpoint: bytes, tenant: str, provider: str) -> None:
        # Looked at first: it is asked for often, and new once.
        if await self.tenant_of(endpoint, provider) is None:
            await self._write(
                "INSERT OR REPLACE INTO endpoints VALUES (?, ?, ?)", (endpoint, tenant, provider)
            )

    async def tenant_of(self, endpoint: bytes, provider: str) -> str | None:
        statement = "SELECT tenant FROM endpoints WHERE endpoint = ? AND provider = ?"
        return next((tenant for (tenant,) in await self._read(statement, endpoint, provider)), None)

    async def index(self, stream: str, names: Sequence[bytes]) -> None:
        rows = [(name, stream) for name in names]
        await self._write("INSERT OR IGNORE INTO connections VALUES (?, ?)", *rows)

    async def streams_of(self, name: bytes) -> Sequence[str]:
        rows = await self._read("SELECT stream FROM connections WHERE name = ? ORDER BY stream", name)
        return [stream for (stream,) in rows]

    async def take(self, endpoint: bytes, mark: bytes, streams: Sequence[str], at: datetime) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            connection.execute("DELETE FROM pushes WHERE at < ?", (_micros(at - KEPT),))
            new = connection.execute(
                "INSERT OR IGNORE INTO pushes VALUES (?, ?, ?)", (endpoint, mark, _micros(at))
            )
            if not new.rowcount:
                return False
            connection.executemany(
                "INSERT OR IGNORE INTO waiting VALUES (?)", [(stream,) for stream in streams]
            )
            return True

        return await asyncio.to_thread(self._in_transaction, work)

    async def waiting(self) -> Sequence[str]:
        return [stream for (stream,) in await self._read("SELECT stream FROM waiting ORDER BY stream")]

    async def done(self, stream: str) -> None:
        await self._write("DELETE FROM waiting WHERE stream = ?", (stream,))

    async def asks_since(self, stream: str, since: datetime) -> Sequence[datetime]:
        statement = "SELECT at FROM asks WHERE stream = ? AND at > ? ORDER BY at"
        return [_at(micros) for (micros,) in await self._read(statement, stream, _micros(since))]

    async def note_ask(self, stream: str, at: datetime) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM asks WHERE at < ?", (_micros(at - KEPT),))
            connection.execute("INSERT INTO asks VALUES (?, ?)", (stream, _micros(at)))

        await asyncio.to_thread(self._in_transaction, work)

    async def is_indexed(self) -> bool:
        return bool(await self._read("SELECT 1 FROM meta WHERE name = 'indexed'"))

    async def set_indexed(self) -> None:
        await self._write("INSERT OR IGNORE INTO meta VALUES ('indexed', 1)", ())

    async def _read(self, statement: str, *values: Any) -> list[Any]:
        def work(connection: sqlite3.Connection) -> list[Any]:
            return connection.execute(statement, values).fetchall()

        return await asyncio.to_thread(self._guarded, work)

    async def _write(self, statement: str, *rows: tuple[Any, ...]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(statement, rows)

        await asyncio.to_thread(self._in_transaction, work)

    def _in_transaction(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        def transacted(connection: sqlite3.Connection) -> Result:
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

        return self._guarded(transacted)

    def _guarded(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        with self._mutex:
            try:
                return work(self._connection)
            except sqlite3.Error as error:
                raise LogUnavailable(f"the inbox cannot be used: {type(error).__name__}") from None


def _micros(at: datetime) -> int:
    """Microseconds since 1970-01-01 UTC."""
    return (at - EPOCH) // timedelta(microseconds=1)


def _at(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)
