"""API keys: `pb_<id>_<secret>`, shown once, and stored so that whoever steals the file can't use them."""

from __future__ import annotations

import hmac
import os
import re
import time

from adapters.keys.database import Database
from adapters.keys.master import MasterKey

ID_SIZE = 8
SECRET_SIZE = 32

KEY = re.compile(rf"pb_([0-9a-f]{{{2 * ID_SIZE}}})_[0-9a-f]{{{2 * SECRET_SIZE}}}", re.ASCII)
TABLE = """CREATE TABLE IF NOT EXISTS api_keys (
    id TEXT PRIMARY KEY, tenant TEXT NOT NULL, digest BLOB NOT NULL, created_at INTEGER NOT NULL) WITHOUT ROWID"""


class ApiKeys:
    """The API keys of all tenants, in the file of the secrets."""

    def __init__(self, database: Database, master: MasterKey) -> None:
        self._database = database
        self._pepper = master.pepper

    def create(self, tenant: str, command_id: bytes = b"") -> str:
        """Make a key for a tenant. It is returned here and never again, unless the same command asks again.

        A key is derived from its command, so that a repetition makes the same one and not another.
        """
        said = b"api key\0" + tenant.encode() + b"\0" + (command_id or os.urandom(SECRET_SIZE))
        derived = hmac.digest(self._pepper, said, "sha512")
        id = derived[SECRET_SIZE : SECRET_SIZE + ID_SIZE].hex()
        key = f"pb_{id}_{derived[:SECRET_SIZE].hex()}"
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO api_keys VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                (id, tenant, self._digest(key), time.time_ns() // 1_000),
            )
        return key

    def tenant_of(self, key: str) -> tuple[str, str] | None:
        """Whose key it is, and the key's id. None for whatever is no key of ours, however odd."""
        match = KEY.fullmatch(key)
        if match is None:
            return None
        for tenant, digest in self._database.select(
            "SELECT tenant, digest FROM api_keys WHERE id = ?", (match[1],)
        ):
            if hmac.compare_digest(digest, self._digest(key)):
                return tenant, match[1]
        return None

    def count(self) -> int:
        return self._database.select("SELECT count(*) FROM api_keys")[0][0]

    def _digest(self, key: str) -> bytes:
        return hmac.digest(self._pepper, key.encode(), "sha256")
