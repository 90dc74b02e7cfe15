"""API keys: whose one is, what is stored of it, and that odd input is just no key."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.keys.api_keys import ApiKeys
from adapters.keys.master import MasterKey
from adapters.keys.secrets import SqliteSecretStore


@pytest.fixture
def api_keys(secrets: SqliteSecretStore, master: MasterKey) -> ApiKeys:
    return ApiKeys(secrets.database, master)


def test_a_key_belongs_to_its_tenant(api_keys: ApiKeys):
    assert api_keys.count() == 0
    acme, other = api_keys.create("acme"), api_keys.create("other")
    assert api_keys.count() == 2
    assert api_keys.tenant_of(acme) == ("acme", acme.split("_")[1])
    assert api_keys.tenant_of(other) == ("other", other.split("_")[1])


def test_a_key_is_not_stored(data: Path, api_keys: ApiKeys, secrets: SqliteSecretStore):
    key = api_keys.create("acme")
    _, _, secret = key.split("_")
    for path in data.iterdir():
        content = path.read_bytes()
        assert secret.encode() not in content
        assert bytes.fromhex(secret) not in content


def test_what_is_stored_is_no_key(api_keys: ApiKeys, secrets: SqliteSecretStore):
    api_keys.create("acme")
    ((id, digest),) = secrets.database.select("SELECT id, digest FROM api_keys")
    for guess in (id, digest.hex(), f"pb_{id}_{digest.hex()}"):
        assert api_keys.tenant_of(guess) is None


def test_another_master_key_knows_none_of_them(api_keys: ApiKeys, secrets: SqliteSecretStore):
    assert ApiKeys(secrets.database, MasterKey(bytes(32))).tenant_of(api_keys.create("acme")) is None


def test_every_character_counts(api_keys: ApiKeys):
    key = api_keys.create("acme")
    for index, character in enumerate(key):
        other = "0" if character != "0" else "1"
        assert api_keys.tenant_of(key[:index] + other + key[index + 1 :]) is None
    for odd in (key + "\n", " " + key, key.upper(), key[:-1], key + "0"):
        assert api_keys.tenant_of(odd) is None


def test_no_input_is_too_odd(api_keys: ApiKeys):
    @given(st.text() | st.text(alphabet="pb_0123456789abcdef\udc80é\0٣", max_size=120))
    def try_it(key: str) -> None:
        assert api_keys.tenant_of(key) is None

    try_it()
    for key in ("", "é", "\udcff", "pb_" + "٣" * 16 + "_" + "0" * 64, "pb__", "x" * 1_000_000):
        assert api_keys.tenant_of(key) is None
