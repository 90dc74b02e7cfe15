"""Which generation is live: a file named `current`, replaced in one step, that readers look at per request.

A generation is one file, `generation-N.sqlite3`. The live one has one predecessor, kept for a rollback.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

CURRENT = "current"
#: What SQLite keeps beside a database.
COMPANIONS = ("", "-wal", "-shm", "-journal")

_NAME = re.compile(r"generation-([1-9][0-9]*)\.sqlite3", re.ASCII)


def path_of(directory: Path, number: int) -> Path:
    return directory / f"generation-{number}.sqlite3"


def numbers(directory: Path) -> list[int]:
    """The generations that are there, live or not, oldest first."""
    found = (_NAME.fullmatch(path.name) for path in directory.iterdir()) if directory.is_dir() else ()
    return sorted(int(match[1]) for match in found if match)


def current(directory: Path) -> int | None:
    """The number of the live generation."""
    try:
        match = _NAME.fullmatch((directory / CURRENT).read_text().strip())
    except FileNotFoundError:
        return None
    return None if match is None else int(match[1])


def switch(directory: Path, number: int) -> None:
    """Make a generation the live one, durably: whoever looks sees the old one or the new one."""
    new = directory / f"{CURRENT}.new"
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, f"{path_of(directory, number).name}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.replace(directory / CURRENT)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(directory: Path, number: int) -> None:
    """Remove a generation with all that lies beside it."""
    path = path_of(directory, number)
    for companion in COMPANIONS:
        path.with_name(path.name + companion).unlink(missing_ok=True)


class Pointer:
    """The live generation, read again only when the file was replaced."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._file = os.fspath(directory / CURRENT)
        self._seen: tuple[int, int] | None = None
        self._number: int | None = None

    def number(self) -> int | None:
        try:
            status = os.stat(self._file)
        except FileNotFoundError:
            self._seen = None
            return None
        seen = (status.st_ino, status.st_mtime_ns)
        if seen != self._seen:
            self._number = current(self._directory)
            self._seen = seen
        return self._number
