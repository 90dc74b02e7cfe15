"""The life of a key: absent, active, destroyed; and that destroyed is for good."""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from pathlib import Path

import pytest

from adapters.durable_file import PRAGMAS, CannotOpen
from adapters.event_log.mapper import SealedMapper
from adapters.keys.keyring import SqliteKeyRing
from adapters.keys.master import MasterKey, derive
from application.ports import KeyDestroyed, KeyMissing, LogUnavailable
from domain import consumer, streams
from domain.fact import Erased
from tests.event_log.examples import ADA, MONDAY, REGISTERED, context

SCOPES = ("acme", "acme/ada", "acme/ada/checking", "acme/ada/savings", "acme/adam", "acme/bob", "other/ada")


def wrapped_keys(data: Path, scope: str) -> list[bytes]:
    connection = sqlite3.connect(data / "keys.sqlite3")
    rows = connection.execute(
        "SELECT wrapped FROM keys WHERE scope = ? OR scope LIKE ? || '/%'", (scope, scope)
    )
    found = [wrapped for (wrapped,) in rows if wrapped]
    connection.close()
    return found


def test_a_scope_keeps_its_key(data: Path, master: MasterKey, keys: SqliteKeyRing):
    sealed = {}
    for scope in SCOPES:
        key_id, key = keys.for_writing(scope)
        assert len(key_id) == 16
        assert keys.for_writing(scope)[0] == key_id
        assert keys.scope_of(key_id) == scope
        sealed[scope] = key_id, key.encrypt(bytes(12), scope.encode(), None)
    assert len({key_id for key_id, _ in sealed.values()}) == len(SCOPES)
    keys.close()
    again = SqliteKeyRing(data / "keys.sqlite3", master)
    for scope, (key_id, text) in sealed.items():
        key = again.for_reading(key_id)
        assert key is not None
        assert key.decrypt(bytes(12), text, None) == scope.encode()
        assert again.for_writing(scope)[0] == key_id
    again.close()


def test_each_key_is_wrapped_by_the_one_above_it(data: Path, master: MasterKey, keys: SqliteKeyRing):
    for scope in SCOPES:
        keys.for_writing(scope)
    connection = sqlite3.connect(data / "keys.sqlite3")
    parents = dict(connection.execute("SELECT scope, parent FROM keys"))
    ids = dict(connection.execute("SELECT scope, key_id FROM keys"))
    sizes = {len(wrapped) for (wrapped,) in connection.execute("SELECT wrapped FROM keys")}
    connection.close()
    assert parents["acme"] == parents["acme/ada"] == parents["acme/bob"] == master.id
    assert parents["acme/ada/checking"] == parents["acme/ada/savings"] == ids["acme/ada"]
    assert sizes == {12 + 32 + 16}


@pytest.mark.parametrize("scope", ["", "/", "acme/", "a//b", "a/b/c/d"])
def test_what_is_no_scope_has_no_key(keys: SqliteKeyRing, scope: str):
    with pytest.raises(ValueError):
        keys.for_writing(scope)


def test_a_key_that_never_was_is_missing(keys: SqliteKeyRing):
    for ask in (keys.for_reading, keys.scope_of):
        with pytest.raises(KeyMissing):
            ask(bytes(16))


def test_a_wrapped_key_opens_only_in_its_own_row(data: Path, master: MasterKey, keys: SqliteKeyRing):
    adas, _ = keys.for_writing("acme/ada")
    keys.for_writing("acme/bob")
    keys.close()
    connection = sqlite3.connect(data / "keys.sqlite3")
    connection.execute(
        "UPDATE keys SET wrapped = (SELECT wrapped FROM keys WHERE scope = 'acme/bob') WHERE scope = 'acme/ada'"
    )
    connection.commit()
    connection.close()
    again = SqliteKeyRing(data / "keys.sqlite3", master)
    with pytest.raises(KeyMissing, match="damaged"):
        again.for_reading(adas)
    again.close()


async def test_destroying_a_key_destroys_all_beneath_it(keys: SqliteKeyRing):
    ids = {scope: keys.for_writing(scope)[0] for scope in SCOPES}
    await keys.destroy("acme/ada")
    gone = {"acme/ada", "acme/ada/checking", "acme/ada/savings"}
    for scope, key_id in ids.items():
        assert (keys.for_reading(key_id) is None) == (scope in gone)
        assert keys.scope_of(key_id) == scope
    for scope in (*gone, "acme/ada/never was"):
        with pytest.raises(KeyDestroyed):
            keys.for_writing(scope)
    assert keys.for_writing("acme/adam")[0] == ids["acme/adam"]


async def test_destroying_an_account_leaves_its_consumer(keys: SqliteKeyRing):
    account, _ = keys.for_writing("acme/ada/checking")
    ada, _ = keys.for_writing("acme/ada")
    await keys.destroy("acme/ada/checking")
    assert keys.for_reading(account) is None
    assert keys.for_reading(ada) is not None
    keys.for_writing("acme/ada/savings")


async def test_destroying_a_tenant_destroys_its_consumers(keys: SqliteKeyRing):
    ids = [keys.for_writing(scope)[0] for scope in SCOPES]
    await keys.destroy("acme")
    assert [keys.for_reading(key_id) is None for key_id in ids] == [True] * 6 + [False]
    with pytest.raises(KeyDestroyed):
        keys.for_writing("acme/new")
    with pytest.raises(KeyDestroyed):
        keys.keyed_hash("acme", "purpose", b"data")


async def test_what_was_destroyed_is_never_made_again(data: Path, master: MasterKey, keys: SqliteKeyRing):
    key_id, _ = keys.for_writing("acme/ada")
    await keys.destroy("acme/ada")
    await keys.destroy("acme/ada")
    await keys.destroy("acme/never was")
    keys.close()
    again = SqliteKeyRing(data / "keys.sqlite3", master)
    assert again.for_reading(key_id) is None
    for scope in ("acme/ada", "acme/ada/checking", "acme/never was", "acme/never was/account"):
        with pytest.raises(KeyDestroyed):
            again.for_writing(scope)
    again.close()


async def test_no_byte_of_a_destroyed_key_is_left(data: Path, keys: SqliteKeyRing):
    for index in range(300):
        keys.for_writing(f"acme/c{index}/account")
    traces = [trace for index in range(0, 300, 7) for trace in wrapped_keys(data, f"acme/c{index}")]
    content = b"".join(path.read_bytes() for path in data.iterdir())
    assert len(traces) == 86
    assert all(trace in content for trace in traces)
    for index in range(0, 300, 7):
        await keys.destroy(f"acme/c{index}")
    content = b"".join(path.read_bytes() for path in data.iterdir())
    assert not any(trace in content for trace in traces)
    assert all(trace in content for trace in wrapped_keys(data, "acme/c1"))


async def test_traces_left_in_free_space_are_found_and_wiped(data: Path, keys: SqliteKeyRing):
    """As a page that was split would leave them."""
    keys.for_writing("acme/ada")
    (trace,) = wrapped_keys(data, "acme/ada")
    with keys._database.transaction() as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        connection.execute("CREATE TABLE copy AS SELECT wrapped FROM keys")
        connection.execute("DROP TABLE copy")
    keys._database.wipe()
    assert (data / "keys.sqlite3").read_bytes().count(trace) == 2
    await keys.destroy("acme/ada")
    assert trace not in (data / "keys.sqlite3").read_bytes()


async def test_a_destruction_that_was_cut_short_is_remembered(
    data: Path, master: MasterKey, keys: SqliteKeyRing
):
    await keys.announce_destruction("acme/ada")
    await keys.announce_destruction("acme/ada")
    await keys.announce_destruction("acme/bob")
    keys.close()
    again = SqliteKeyRing(data / "keys.sqlite3", master)
    assert await again.announced() == ["acme/ada", "acme/bob"]
    await again.withdraw_announcement("acme/bob")
    await again.destroy("acme/ada")
    assert await again.announced() == []
    again.for_writing("acme/bob")
    again.close()


async def test_a_destruction_that_cannot_be_finished_stays_announced(
    data: Path, keys: SqliteKeyRing, monkeypatch: pytest.MonkeyPatch
):
    key_id, _ = keys.for_writing("acme/ada")
    await keys.announce_destruction("acme/ada")
    reader = sqlite3.connect(data / "keys.sqlite3", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT * FROM keys").fetchall()
    keys._database.connection.execute("PRAGMA busy_timeout=50")
    with pytest.raises(LogUnavailable):
        await keys.destroy("acme/ada")
    assert keys.for_reading(key_id) is None
    assert await keys.announced() == ["acme/ada"]
    reader.close()
    await keys.destroy("acme/ada")
    assert await keys.announced() == []


async def test_another_process_notices_a_destruction(data: Path, master: MasterKey, keys: SqliteKeyRing):
    event = SealedMapper(keys).seal(ADA, 1, REGISTERED, MONDAY, context())
    elsewhere = SqliteKeyRing(data / "keys.sqlite3", master, read_only=True)
    mapper = SealedMapper(elsewhere)
    assert mapper.to_domain_event(event).fact == REGISTERED
    await keys.destroy("acme/ada")
    assert mapper.to_domain_event(event).fact == Erased("ConsumerRegistered.1")
    elsewhere.close()


async def test_another_process_sees_new_keys_and_makes_none(
    data: Path, master: MasterKey, keys: SqliteKeyRing
):
    elsewhere = SqliteKeyRing(data / "keys.sqlite3", master, read_only=True)
    with pytest.raises(KeyMissing):
        elsewhere.for_writing("acme/ada")
    key_id, _ = keys.for_writing("acme/ada/checking")
    assert elsewhere.for_reading(key_id) is not None
    with pytest.raises(LogUnavailable):
        await elsewhere.announce_destruction("acme/ada")
    elsewhere.close()


def test_a_second_service_is_refused(data: Path, master: MasterKey, keys: SqliteKeyRing):
    with pytest.raises(CannotOpen, match="another process is using"):
        SqliteKeyRing(data / "keys.sqlite3", master)


def test_keys_of_a_later_version_are_refused(data: Path, master: MasterKey, keys: SqliteKeyRing):
    keys._database.connection.execute("UPDATE meta SET value = 2 WHERE name = 'schema'")
    keys.close()
    with pytest.raises(CannotOpen, match="version"):
        SqliteKeyRing(data / "keys.sqlite3", master)


def test_the_connection_is_safe(keys: SqliteKeyRing):
    found = {name: keys._database.select(f"PRAGMA {name}")[0][0] for name in PRAGMAS}
    assert found == PRAGMAS
    assert (found["synchronous"], found["secure_delete"]) == (2, 1)


def test_a_keyed_hash_depends_on_tenant_purpose_and_data(data: Path, master: MasterKey, keys: SqliteKeyRing):
    said = keys.keyed_hash("acme", "idempotency", b"data")
    assert len(said) == 32
    assert keys.keyed_hash("acme", "idempotency", b"data") == said
    others = [
        ("other", "idempotency", b"data"),
        ("acme", "account", b"data"),
        ("acme", "idempotency", b"datum"),
    ]
    assert said not in [keys.keyed_hash(*other) for other in others]
    keys.close()
    again = SqliteKeyRing(data / "keys.sqlite3", master)
    assert again.keyed_hash("acme", "idempotency", b"data") == said
    _, raw = again._active("acme")
    assert said == hmac.digest(derive(raw, b"keyed hash idempotency"), b"data", "sha256")
    again.close()


def test_derived_keys_are_hkdf_by_the_book():
    """RFC 5869, written out again with the standard library alone."""
    key, info = bytes(range(32)), b"passbook keyed hash x"
    extracted = hmac.digest(bytes(32), key, hashlib.sha256)
    assert derive(key, b"keyed hash x") == hmac.digest(extracted, info + b"\x01", hashlib.sha256)


async def test_nothing_sealed_for_an_erased_consumer_opens_again(keys: SqliteKeyRing):
    mapper = SealedMapper(keys)
    named = consumer.ConsumerDetailsChanged(details=consumer.Details(name="Ada"))
    event = mapper.seal(streams.consumer("acme", "ada"), 1, named, MONDAY, context())
    await keys.destroy("acme/ada")
    assert mapper.to_domain_event(event).fact == Erased("ConsumerDetailsChanged.1")
