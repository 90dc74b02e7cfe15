"""Secrets can be put, read, replaced; they lie sealed, and go with the key of their scope."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from adapters.durable_file import CannotOpen
from adapters.keys.keyring import SqliteKeyRing
from adapters.keys.secrets import SqliteSecretStore
from application.ports import KeyDestroyed, LogUnavailable

SECRET = b"client_secret=correct horse battery staple"


async def test_a_secret_is_found_by_reference_and_by_name(secrets: SqliteSecretStore):
    reference = await secrets.put("acme", "credentials", SECRET)
    assert await secrets.get(reference) == SECRET
    assert await secrets.find("acme", "credentials") == SECRET
    assert await secrets.find("acme", "token") is None
    assert await secrets.find("other", "credentials") is None
    assert await secrets.get("no such reference") is None


async def test_the_newest_of_a_name_counts_and_the_others_can_be_forgotten(secrets: SqliteSecretStore):
    first = await secrets.put("acme", "credentials", b"first")
    second = await secrets.put("acme", "credentials", b"second")
    other = await secrets.put("acme", "token", b"other")
    assert first != second
    assert await secrets.find("acme", "credentials") == b"second"
    assert await secrets.get(first) == b"first"
    await secrets.forget_others("acme", "credentials", second)
    await secrets.forget_others("acme", "credentials", second)
    assert await secrets.get(first) is None
    assert (await secrets.get(second), await secrets.get(other)) == (b"second", b"other")


async def test_a_secret_survives_the_process(data: Path, keys: SqliteKeyRing, secrets: SqliteSecretStore):
    reference = await secrets.put("acme", "credentials", SECRET)
    secrets.close()
    again = SqliteSecretStore(data / "secrets.sqlite3", keys)
    assert await again.get(reference) == SECRET
    again.close()


async def test_no_secret_is_in_clear(data: Path, secrets: SqliteSecretStore):
    await secrets.put("acme", "credentials", SECRET)
    assert all(SECRET not in path.read_bytes() for path in data.iterdir())


async def test_a_forgotten_secret_leaves_no_bytes(data: Path, secrets: SqliteSecretStore):
    await secrets.put("acme", "credentials", SECRET)
    ((sealed,),) = secrets.database.select("SELECT sealed FROM secrets")
    second = await secrets.put("acme", "credentials", b"second")
    await secrets.forget_others("acme", "credentials", second)
    assert all(sealed not in path.read_bytes() for path in data.iterdir())


async def test_a_secret_goes_with_its_key(keys: SqliteKeyRing, secrets: SqliteSecretStore):
    reference = await secrets.put("acme/ada", "provider_user", SECRET)
    await keys.destroy("acme/ada")
    assert await secrets.get(reference) is None
    assert await secrets.find("acme/ada", "provider_user") is None
    with pytest.raises(KeyDestroyed):
        await secrets.put("acme/ada", "provider_user", SECRET)


@pytest.mark.parametrize("column", ["name", "reference", "scope"])
async def test_a_sealed_secret_opens_only_in_its_place(data: Path, secrets: SqliteSecretStore, column: str):
    await secrets.put("acme", "credentials", SECRET)
    connection = sqlite3.connect(data / "secrets.sqlite3")
    connection.execute(f"UPDATE secrets SET {column} = 'elsewhere'")
    connection.commit()
    place = connection.execute("SELECT scope, name FROM secrets").fetchone()
    connection.close()
    with pytest.raises(LogUnavailable, match="damaged"):
        await secrets.find(*place)


def test_a_second_service_is_refused(data: Path, keys: SqliteKeyRing, secrets: SqliteSecretStore):
    with pytest.raises(CannotOpen, match="another process is using"):
        SqliteSecretStore(data / "secrets.sqlite3", keys)
