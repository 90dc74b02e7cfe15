"""The data folder: what lies where, and how it is opened, to be written or beside a running service."""

from __future__ import annotations

from pathlib import Path

from adapters.event_log.mapper import SealedMapper
from adapters.event_log.sqlite import SqliteLogSource
from adapters.keys.api_keys import ApiKeys
from adapters.keys.keyring import SqliteKeyRing
from adapters.keys.master import KEYS_FILE, MasterKey, open_master_key
from adapters.keys.secrets import SqliteSecretStore
from adapters.settings import Settings
from application.ports import LogError

LOG_FILE = "log.sqlite3"
SECRETS_FILE = "secrets.sqlite3"
INBOX_FILE = "inbox.sqlite3"
READ_MODELS_FOLDER = "read_models"


class Vault:
    """The data folder, open: for the one service that writes it, or for a command beside it that reads."""

    def __init__(self, data: Path, master: MasterKey) -> None:
        self.data = data
        self.keys = SqliteKeyRing(data / KEYS_FILE, master)
        self.secrets = SqliteSecretStore(data / SECRETS_FILE, self.keys)
        self.api_keys = ApiKeys(self.secrets.database, master)

    def close(self) -> None:
        self.secrets.close()
        self.keys.close()


def open_vault(settings: Settings) -> Vault:
    """Open keys and secrets for writing; make the folder and the master key at the very first start.

    Raises:
        MasterKeyRefused: the master key is missing, wrong, or not kept as it must be.
        LogError: another process has the folder, or a file in it cannot be used.
    """
    master = open_master_key(settings.data, settings.master_key_file)
    settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Also where somebody else made it: nobody but the service has business in here.
    settings.data.chmod(0o700)
    return Vault(settings.data, master)


def open_source(settings: Settings) -> SqliteLogSource:
    """The log, to be read beside a running service.

    Raises:
        MasterKeyRefused, LogError: there is no log to be read, or no key to it.
    """
    if not (settings.data / LOG_FILE).exists():
        raise LogError(f"there is no log in {settings.data}")
    master = open_master_key(settings.data, settings.master_key_file)
    keys = SqliteKeyRing(settings.data / KEYS_FILE, master, read_only=True)
    return SqliteLogSource(settings.data / LOG_FILE, SealedMapper(keys))
