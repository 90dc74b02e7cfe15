"""When a master key is made, read and refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from adapters.keys.keyring import SqliteKeyRing
from adapters.keys.master import MasterKey, MasterKeyRefused, open_master_key

FIXED = bytes(range(32))


def key_beside(data: Path) -> Path:
    return data.with_name("data.master-key")


def key_file(path: Path, content: bytes = FIXED, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def with_data(data: Path) -> Path:
    """As a service has left it."""
    master = open_master_key(data)
    data.mkdir()
    SqliteKeyRing(data / "keys.sqlite3", master).close()
    return data


def what_is_there(data: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in data.iterdir()}


@pytest.mark.parametrize("there", [False, True], ids=["absent", "empty"])
def test_it_is_made_together_with_the_data(data: Path, there: bool):
    if there:
        data.mkdir()
    first = open_master_key(data)
    made = key_beside(data)
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert made.stat().st_size == 32
    assert open_master_key(data).id == first.id


def test_it_may_be_a_file_of_somebodys_choosing(data: Path, tmp_path: Path):
    chosen = key_file(tmp_path / "chosen")
    assert open_master_key(data, chosen).id == MasterKey(FIXED).id
    assert not key_beside(data).exists()


def test_no_key_is_made_where_its_folder_is_missing(data: Path, tmp_path: Path):
    with pytest.raises(MasterKeyRefused, match="there is no folder"):
        open_master_key(data, tmp_path / "not-mounted" / "key")
    assert not (tmp_path / "not-mounted").exists()


def test_data_without_its_key_is_refused(data: Path):
    with_data(data)
    key_beside(data).unlink()
    before = what_is_there(data)
    with pytest.raises(MasterKeyRefused, match="no master key"):
        open_master_key(data)
    assert not key_beside(data).exists()
    assert what_is_there(data) == before


def test_data_without_its_keys_is_refused(data: Path):
    with_data(data)
    (data / "log.sqlite3").write_bytes(b"a log")
    (data / "keys.sqlite3").unlink()
    with pytest.raises(MasterKeyRefused, match="keys.sqlite3"):
        open_master_key(data)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_key_that_others_may_read_is_refused(data: Path, tmp_path: Path, mode: int):
    with pytest.raises(MasterKeyRefused, match="chmod 600"):
        open_master_key(data, key_file(tmp_path / "key", mode=mode))


@pytest.mark.parametrize("size", [0, 16, 31, 33, 64])
def test_a_key_of_another_size_is_refused(data: Path, tmp_path: Path, size: int):
    with pytest.raises(MasterKeyRefused, match="32 bytes"):
        open_master_key(data, key_file(tmp_path / "key", bytes(size)))


def test_a_key_inside_the_data_is_refused(data: Path, tmp_path: Path):
    data.mkdir()
    inside = key_file(data / "key")
    (tmp_path / "link").symlink_to(inside)
    for path in (inside, tmp_path / "link", data / ".." / "data" / "new"):
        with pytest.raises(MasterKeyRefused, match="inside"):
            open_master_key(data, path)


def test_a_folder_is_no_key(data: Path, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(MasterKeyRefused):
        open_master_key(data, tmp_path / "folder")


@pytest.mark.parametrize("read_only", [False, True])
def test_another_key_is_noticed_before_anything_is_written(data: Path, read_only: bool):
    with_data(data)
    before = what_is_there(data)
    with pytest.raises(MasterKeyRefused, match="another master key"):
        SqliteKeyRing(data / "keys.sqlite3", MasterKey(os.urandom(32)), read_only=read_only)
    after = what_is_there(data)
    assert after["keys.sqlite3"] == before["keys.sqlite3"]


def test_what_is_derived_is_pinned():
    """Stored data depends on these for ever."""
    master = MasterKey(FIXED)
    assert master.id.hex() == "3a474614bd7c9d283bc2b9e3fc7ded6a"
    assert master.check.hex() == "01fb4ba6a781e8dd64b6407b4b1ff0b765d91e5f1954e16dfeacdc2f7139af30"
    assert master.pepper.hex() == "bec55281036771c15ed51e2a51a6dfe52bf53ce70d4280490b0b7a408f2c15f4"
    nonce = bytes(12)
    assert master.wrapping.encrypt(nonce, b"", b"").hex() == "eae2632eae5acd3e130dcacab0ba27c8"
