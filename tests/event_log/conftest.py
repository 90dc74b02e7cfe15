"""Both logs, each over keys in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.event_log.mapper import SealedMapper
from adapters.event_log.memory import MemoryEventLog, MemoryLogSource
from adapters.event_log.sqlite import SqliteEventLog, SqliteLogSource
from tests.event_log.examples import MemoryKeys

Log = MemoryEventLog | SqliteEventLog
Source = MemoryLogSource | SqliteLogSource


@pytest.fixture
def keys() -> MemoryKeys:
    return MemoryKeys()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.sqlite3"


@pytest.fixture
def sqlite_log(path: Path, keys: MemoryKeys) -> Iterator[SqliteEventLog]:
    log = SqliteEventLog(path, SealedMapper(keys))
    yield log
    log.close()


@pytest.fixture(params=["memory", "sqlite"])
def log(request: pytest.FixtureRequest, keys: MemoryKeys) -> Log:
    if request.param == "memory":
        return MemoryEventLog(SealedMapper(keys))
    return request.getfixturevalue("sqlite_log")


@pytest.fixture
def source(log: Log, path: Path, keys: MemoryKeys) -> Iterator[Source]:
    if isinstance(log, MemoryEventLog):
        yield MemoryLogSource(log)
        return
    source = SqliteLogSource(path, SealedMapper(keys))
    yield source
    source.close()
