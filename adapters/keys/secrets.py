"""Secrets - provider credentials and tokens - each sealed under the key of the scope it belongs to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag

from adapters.keys.api_keys import TABLE as API_KEYS_TABLE
from adapters.keys.database import Database
from adapters.keys.keyring import NONCE_SIZE, SqliteKeyRing
from application.ports import LogUnavailable

REFERENCE_SIZE = 16

TABLES = (
    """CREATE TABLE IF NOT EXISTS secrets (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        reference TEXT NOT NULL UNIQUE,
        scope TEXT NOT NULL,
        name TEXT NOT NULL,
        key_id BLOB NOT NULL,
        sealed BLOB NOT NULL,
        created_at INTEGER NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS secrets_by_name ON secrets (scope, name)",
    API_KEYS_TABLE,
)
SELECT = "SELECT reference, scope, name, key_id, sealed FROM secrets"


def _place(reference: str, scope: str, name: str) -> bytes:
    # Neither a reference nor a scope holds a zero byte.
    return b"secret" + b"\0".join((reference.encode(), scope.encode(), name.encode()))


class SqliteSecretStore:
    """The secrets of one installation. `database` is shared with the API keys."""

    def __init__(
        self, path: Path, keys: SqliteKeyRing, *, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        """Open the secrets, or make the file.

        Raises:
            CannotOpen: see `Database`.
        """
        self._keys = keys
        self._random = random
        self.database = Database(path, TABLES)

    def close(self) -> None:
        self.database.close()

    async def put(self, scope: str, name: str, secret: bytes) -> str:
        """Seal a secret under a new reference, and return that.

        Raises:
            KeyDestroyed, LogUnavailable.
        """
        reference = self._random(REFERENCE_SIZE).hex()
        key_id, key = self._keys.for_writing(scope)
        nonce = self._random(NONCE_SIZE)
        sealed = nonce + key.encrypt(nonce, secret, _place(reference, scope, name))
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO secrets (reference, scope, name, key_id, sealed, created_at) VALUES (?, ?, ?, ?, ?, ?)",
                (reference, scope, name, key_id, sealed, time.time_ns() // 1_000),
            )
        return reference

    async def get(self, reference: str) -> bytes | None:
        return self._open(f"{SELECT} WHERE reference = ?", reference)

    async def find(self, scope: str, name: str) -> bytes | None:
        return self._open(
            f"{SELECT} WHERE scope = ? AND name = ? ORDER BY sequence DESC LIMIT 1", scope, name
        )

    async def references(self, name: str) -> Sequence[str]:
        rows = self.database.select("SELECT reference FROM secrets WHERE name = ? ORDER BY sequence", (name,))
        return [reference for (reference,) in rows]

    async def forget(self, reference: str) -> None:
        self._forget("reference = ?", reference)

    async def forget_others(self, scope: str, name: str, keep: str) -> None:
        self._forget("scope = ? AND name = ? AND reference <> ?", scope, name, keep)

    def _forget(self, which: str, *values: str) -> None:
        with self.database.transaction() as connection:
            forgotten = connection.execute(f"DELETE FROM secrets WHERE {which}", values)
        if forgotten.rowcount:
            self.database.wipe()

    def _open(self, statement: str, *values: str) -> bytes | None:
        for reference, scope, name, key_id, sealed in self.database.select(statement, values):
            key = self._keys.for_reading(key_id)
            if key is None:
                return None
            try:
                return key.decrypt(sealed[:NONCE_SIZE], sealed[NONCE_SIZE:], _place(reference, scope, name))
            except InvalidTag:
                raise LogUnavailable(f"the secret {name} of {scope} is damaged") from None
        return None
