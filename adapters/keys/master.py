"""The master key: 32 random bytes in a file outside the data directory, made only together with the data."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_SIZE = 32
KEY_ID_SIZE = 16
KEYS_FILE = "keys.sqlite3"

READABLE_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class MasterKeyRefused(Exception):
    """The service may not start with the master key as it is. Says what is wrong; nothing was written."""


def derive(key: bytes, purpose: bytes) -> bytes:
    """A key of 32 bytes for one purpose, from which neither `key` nor that of another purpose follows."""
    return HKDF(SHA256(), KEY_SIZE, salt=None, info=b"passbook " + purpose).derive(key)


class MasterKey:
    """What is derived from the master key. The key itself is not kept."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise MasterKeyRefused(f"a master key has {KEY_SIZE} bytes")
        self.id = derive(key, b"master key id")[:KEY_ID_SIZE]
        self.check = derive(key, b"master key check")
        """Stored with the keys: another master key is noticed before anything is written."""
        self.wrapping = AESGCM(derive(key, b"key wrapping"))
        self.pepper = derive(key, b"api key pepper")


def open_master_key(data_dir: Path, master_key_file: Path | None = None) -> MasterKey:
    """Read the master key; make it where there is no data yet.

    By default it lies beside the data directory, as `<data>.master-key`.

    Raises:
        MasterKeyRefused: there is data and no key for it, or the file is not as a key file must be.
    """
    data_dir = data_dir.resolve()
    path = master_key_file or data_dir.with_name(f"{data_dir.name}.master-key")
    if path.resolve().is_relative_to(data_dir):
        raise MasterKeyRefused(f"{path} lies inside the data directory: keep the master key elsewhere")
    if not path.exists():
        if _holds_data(data_dir):
            raise MasterKeyRefused(f"there is data in {data_dir}, and no master key at {path}")
        if master_key_file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.parent.is_dir():
            # The place where secrets are mounted is not there: a key made now would go with the container.
            raise MasterKeyRefused(f"there is no folder {path.parent} to keep the master key in")
        _make(path)
    elif _holds_data(data_dir) and not (data_dir / KEYS_FILE).exists():
        raise MasterKeyRefused(f"there is data in {data_dir}, and no {KEYS_FILE}: restore it")
    return MasterKey(_read(path))


def _holds_data(data_dir: Path) -> bool:
    # A lock alone is no data: it is taken before anything is made.
    return data_dir.is_dir() and any(entry.suffix != ".lock" for entry in data_dir.iterdir())


def _make(path: Path) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(file, "wb") as writer:
        writer.write(os.urandom(KEY_SIZE))
        writer.flush()
        os.fsync(file)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read(path: Path) -> bytes:
    try:
        # Without O_NONBLOCK the opening of a pipe would wait for somebody to write.
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise MasterKeyRefused(f"the master key at {path} cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            raise MasterKeyRefused(f"{path} is no file")
        if status.st_mode & READABLE_BY_OTHERS:
            raise MasterKeyRefused(f"others may read {path}: chmod 600 it")
        key = os.read(file, KEY_SIZE + 1)
    finally:
        os.close(file)
    if len(key) != KEY_SIZE:
        raise MasterKeyRefused(f"{path} must hold exactly {KEY_SIZE} bytes")
    return key
