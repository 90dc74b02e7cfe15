"""The keys: one per tenant, consumer, account and connection, each wrapped by the one above it.

A key is absent, active or destroyed. It is made only where it is absent; destroyed is for ever, and so is
everything beneath it. A key id that is not there at all is a fault, never an erasure.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.keys.database import Database
from adapters.keys.master import KEY_ID_SIZE, KEY_SIZE, MasterKey, MasterKeyRefused, derive
from application.ports import KeyDestroyed, KeyMissing, LogUnavailable

NONCE_SIZE = 12
#: Keys held in memory, of either direction, before all are dropped and read again.
CACHED_MAX = 65_536

# Rows are only ever appended and overwritten in place, so that no page is split and copied with a key on it.
TABLES = (
    """CREATE TABLE IF NOT EXISTS keys (
        sequence INTEGER PRIMARY KEY,
        key_id BLOB NOT NULL UNIQUE,
        scope TEXT NOT NULL UNIQUE,
        parent BLOB NOT NULL,
        wrapped BLOB,
        state TEXT NOT NULL CHECK (state IN ('active', 'destroyed')),
        created_at INTEGER NOT NULL,
        destroyed_at INTEGER,
        CHECK ((state = 'active') = (wrapped IS NOT NULL)))""",
    """CREATE TABLE IF NOT EXISTS announced (
        scope TEXT PRIMARY KEY, announced_at INTEGER NOT NULL) WITHOUT ROWID""",
)
SELECT_BY_SCOPE = "SELECT key_id, scope, parent, wrapped FROM keys WHERE scope = ?"
SELECT_BY_ID = "SELECT key_id, scope, parent, wrapped FROM keys WHERE key_id = ?"
INSERT = (
    "INSERT INTO keys (key_id, scope, parent, wrapped, state, created_at) VALUES (?, ?, ?, ?, 'active', ?)"
)
SELECT_BENEATH = """SELECT wrapped FROM keys
    WHERE (scope = ?1 OR (scope > ?1 || '/' AND scope < ?1 || '0')) AND state = 'active'"""
DESTROY_BENEATH = """UPDATE keys SET wrapped = NULL, state = 'destroyed', destroyed_at = ?2
    WHERE (scope = ?1 OR (scope > ?1 || '/' AND scope < ?1 || '0')) AND state = 'active'"""
INSERT_TOMBSTONE = """INSERT INTO keys (key_id, scope, parent, wrapped, state, created_at, destroyed_at)
    VALUES (?, ?, ?, NULL, 'destroyed', ?, ?)"""

Row = tuple[bytes, str, bytes, bytes | None]


def _now() -> int:
    """Microseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000


def _above(scope: str) -> list[str]:
    """The scopes above a scope, the highest first."""
    parts = scope.split("/")
    if not all(parts) or len(parts) > 3:
        raise ValueError("a scope is `tenant`, `tenant/consumer` or `tenant/consumer/uuid`")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _place(key_id: bytes, scope: str) -> bytes:
    return b"key" + key_id + scope.encode()


class SqliteKeyRing:
    """The keys of one installation.

    Read-only it is for another process than the service's: it makes and destroys nothing, and notices what
    the service destroys.
    """

    def __init__(
        self,
        path: Path,
        master: MasterKey,
        *,
        read_only: bool = False,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        """Open the keys, or make the file.

        Raises:
            MasterKeyRefused: the keys are wrapped by another master key.
            CannotOpen: see `Database`.
        """
        self._master = master
        self._read_only = read_only
        self._random = random
        if path.exists():
            self._check(path)
        self._database = Database(path, TABLES, read_only=read_only)
        if not read_only:
            with self._database.transaction() as connection:
                connection.execute(
                    "INSERT INTO meta VALUES ('master', ?) ON CONFLICT DO NOTHING", (master.check,)
                )
            # What a destruction that was cut short left in the WAL.
            self._database.wipe()
        self._writing: dict[str, tuple[bytes, AESGCM]] = {}
        self._reading: dict[bytes, AESGCM | None] = {}
        self._hashing: dict[tuple[str, str], bytes] = {}
        self._data_version = self._read_data_version() if read_only else 0

    def close(self) -> None:
        self._forget()
        self._database.close()

    # What sealing needs

    def for_writing(self, scope: str) -> tuple[bytes, AESGCM]:
        """The id and the key of a scope. One that never was is made, and is on the disk when this returns.

        Raises:
            KeyDestroyed: it was destroyed, or one above it.
            LogUnavailable: it could not be made.
        """
        known = self._writing.get(scope)
        if known is None:
            key_id, raw = self._active(scope)
            if len(self._writing) >= CACHED_MAX:
                self._writing.clear()
            known = self._writing[scope] = key_id, AESGCM(raw)
        return known

    def for_reading(self, key_id: bytes) -> AESGCM | None:
        """The key; None if it was destroyed.

        Raises:
            KeyMissing: there never was such a key.
        """
        if self._read_only and (version := self._read_data_version()) != self._data_version:
            self._forget()
            self._data_version = version
        if key_id in self._reading:
            return self._reading[key_id]
        row = self._row(SELECT_BY_ID, key_id)
        if row is None:
            raise KeyMissing("there is no such key")
        key = None if row[3] is None else AESGCM(self._unwrap(row))
        if len(self._reading) >= CACHED_MAX:
            self._reading.clear()
        self._reading[key_id] = key
        return key

    def scope_of(self, key_id: bytes) -> str:
        """The scope of a key, destroyed or not.

        Raises:
            KeyMissing: there never was such a key.
        """
        row = self._row(SELECT_BY_ID, key_id)
        if row is None:
            raise KeyMissing("there is no such key")
        return row[1]

    # The port of the use cases

    def keyed_hash(self, tenant: str, purpose: str, data: bytes) -> bytes:
        """HMAC-SHA-256 under HKDF(the tenant's key, purpose).

        Raises:
            KeyDestroyed, LogUnavailable.
        """
        key = self._hashing.get((tenant, purpose))
        if key is None:
            _, raw = self._active(tenant)
            key = self._hashing[tenant, purpose] = derive(raw, b"keyed hash " + purpose.encode())
        return hmac.digest(key, data, "sha256")

    async def announce_destruction(self, scope: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("INSERT INTO announced VALUES (?, ?) ON CONFLICT DO NOTHING", (scope, _now()))

    async def announced(self) -> Sequence[str]:
        return [scope for (scope,) in self._database.select("SELECT scope FROM announced ORDER BY scope")]

    async def withdraw_announcement(self, scope: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM announced WHERE scope = ?", (scope,))

    async def destroy(self, scope: str) -> None:
        """Destroy the key and all beneath it. When this returns, none of their bytes is left in the file.

        Raises:
            LogUnavailable: it is to be repeated; what was announced stays announced until it is finished.
        """
        _above(scope)
        traces = self._bury(scope)
        # Emptying the WAL waits for readers.
        await asyncio.to_thread(self._wipe, traces)
        await self.withdraw_announcement(scope)

    def _bury(self, scope: str) -> list[bytes]:
        """Put tombstones in place of the key and all beneath it. What they were wrapped as is returned."""
        now = _now()
        with self._database.transaction() as connection:
            traces = [wrapped for (wrapped,) in connection.execute(SELECT_BENEATH, (scope,))]
            connection.execute(DESTROY_BENEATH, (scope, now))
            if connection.execute(SELECT_BY_SCOPE, (scope,)).fetchone() is None:
                # It never was, and never may be.
                tombstone = (self._random(KEY_ID_SIZE), scope, self._master.id, now, now)
                connection.execute(INSERT_TOMBSTONE, tombstone)
        self._forget()
        return traces

    def _wipe(self, traces: Sequence[bytes]) -> None:
        self._database.wipe()
        if self._database.holds(traces):
            self._database.select("VACUUM")
            self._database.wipe()
            if self._database.holds(traces):
                raise LogUnavailable("a destroyed key is still to be found in its file")

    # Within

    def _active(self, scope: str) -> tuple[bytes, bytes]:
        """The id and the bytes of a scope's key, made if there never was one."""
        row = self._row(SELECT_BY_SCOPE, scope)
        if row is None:
            return self._make(scope)
        if row[3] is None:
            raise KeyDestroyed(f"the key of {scope} was destroyed")
        return row[0], self._unwrap(row)

    def _make(self, scope: str) -> tuple[bytes, bytes]:
        if self._read_only:
            raise KeyMissing(f"there is no key of {scope}, and none may be made here")
        above = _above(scope)
        for higher in above:
            row = self._row(SELECT_BY_SCOPE, higher)
            if row is not None and row[3] is None:
                raise KeyDestroyed(f"the key of {higher} was destroyed")
        if len(above) == 2:
            parent_id, parent = self.for_writing(above[-1])
        else:
            parent_id, parent = self._master.id, self._master.wrapping
        key_id, key, nonce = map(self._random, (KEY_ID_SIZE, KEY_SIZE, NONCE_SIZE))
        wrapped = nonce + parent.encrypt(nonce, key, _place(key_id, scope))
        with self._database.transaction() as connection:
            connection.execute(INSERT, (key_id, scope, parent_id, wrapped, _now()))
        return key_id, key

    def _unwrap(self, row: Row) -> bytes:
        key_id, scope, parent_id, wrapped = row
        parent = self._master.wrapping if parent_id == self._master.id else self.for_reading(parent_id)
        if parent is None or wrapped is None:
            raise KeyDestroyed(f"the key of {scope} was destroyed")
        try:
            return parent.decrypt(wrapped[:NONCE_SIZE], wrapped[NONCE_SIZE:], _place(key_id, scope))
        except InvalidTag:
            raise KeyMissing(f"the key of {scope} is damaged") from None

    def _row(self, statement: str, value: str | bytes) -> Row | None:
        rows = self._database.select(statement, (value,))
        return rows[0] if rows else None

    def _forget(self) -> None:
        self._writing.clear()
        self._reading.clear()
        self._hashing.clear()

    def _read_data_version(self) -> int:
        return self._database.select("PRAGMA data_version")[0][0]

    def _check(self, path: Path) -> None:
        """Before anything is written: is this the master key that the keys were wrapped by?"""
        database = Database(path, (), read_only=True)
        try:
            if not database.select("SELECT 1 FROM sqlite_master WHERE name = 'meta'"):
                return
            for (check,) in database.select("SELECT value FROM meta WHERE name = 'master'"):
                if not hmac.compare_digest(check, self._master.check):
                    raise MasterKeyRefused(f"{path} was made under another master key")
        finally:
            database.close()
