"""What every SQLite file that must not lose anything has in common: private, locked, and safely set.

The one module that sibling adapters share, since there must be one opinion of what is durable.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path

from application.ports import LogError

BUSY_TIMEOUT_MS = 5_000

#: What a writing connection must be set to, as SQLite says it when asked. Read back after it was set.
PRAGMAS: dict[str, str | int] = {
    "busy_timeout": BUSY_TIMEOUT_MS,
    "journal_mode": "wal",
    # 2 is FULL: the commit is on the disk before it is acknowledged.
    "synchronous": 2,
    "secure_delete": 1,
    "foreign_keys": 1,
    "trusted_schema": 0,
}


class CannotOpen(LogError):
    """The file may not be opened as things are. Says what to change; nothing was written."""


class Lock:
    """Holds a file for one service, until it is released or the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        # A file of its own: closing a second descriptor of the database would drop SQLite's own locks.
        self._file = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise CannotOpen(
                f"another process is using {path}: stop it, or ask the running service"
            ) from None

    def release(self) -> None:
        os.close(self._file)


def make_private(path: Path) -> None:
    """Make the file, if there is none, so that nobody else may read it. SQLite's WAL takes over its mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def settle(connection: sqlite3.Connection, pragmas: Mapping[str, str | int] = PRAGMAS) -> None:
    """Set a writing connection, and read back what it is set to.

    Raises:
        CannotOpen: naming the first setting that differs.
    """
    for name, value in pragmas.items():
        connection.execute(f"PRAGMA {name}={value}")
    read_back(connection, pragmas)


def read_back(connection: sqlite3.Connection, pragmas: Mapping[str, str | int] = PRAGMAS) -> None:
    for name, wanted in pragmas.items():
        (found,) = connection.execute(f"PRAGMA {name}").fetchone()
        if found != wanted:
            raise CannotOpen(f"SQLite's {name} must be {wanted}, and is {found}")
