"""A data directory with its master key, and the keys and secrets in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.keys.keyring import SqliteKeyRing
from adapters.keys.master import MasterKey, open_master_key
from adapters.keys.secrets import SqliteSecretStore


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def master(data: Path) -> MasterKey:
    master = open_master_key(data)
    data.mkdir(exist_ok=True)
    return master


@pytest.fixture
def keys(data: Path, master: MasterKey) -> Iterator[SqliteKeyRing]:
    keys = SqliteKeyRing(data / "keys.sqlite3", master)
    yield keys
    keys.close()


@pytest.fixture
def secrets(data: Path, keys: SqliteKeyRing) -> Iterator[SqliteSecretStore]:
    secrets = SqliteSecretStore(data / "secrets.sqlite3", keys)
    yield secrets
    secrets.close()
