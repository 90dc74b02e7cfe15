"""What the tests of the log share: keys in memory, appends, facts."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from application.ports import Append, Change, Context, KeyDestroyed, KeyMissing
from domain import consumer, consumer_account, streams
from domain.transactions import Transaction, batch_of

MONDAY = datetime(2026, 3, 2, 9, 0, 0, 123456, UTC)
ADA = streams.consumer("acme", "ada")
ADAS_ACCOUNT = streams.consumer_account("acme", "ada", "checking")
BOB = streams.consumer("acme", "bob")

REGISTERED = consumer.ConsumerRegistered(type=consumer.LEGAL, details=consumer.Details(name="Ada"))
CHANGED = consumer.ConsumerDetailsChanged(details=consumer.Details(name="Ada L."))
ERASED = consumer.ConsumerErased()
CLOSED = consumer_account.AccountClosed(reason="test")


class MemoryKeys:
    """Keys without a file, and without wrapping."""

    def __init__(self) -> None:
        self._ids: dict[str, bytes] = {}
        self._scopes: dict[bytes, str] = {}
        self._keys: dict[bytes, AESGCM | None] = {}

    def for_writing(self, scope: str) -> tuple[bytes, AESGCM]:
        if scope not in self._ids:
            key_id = self._ids[scope] = os.urandom(16)
            self._scopes[key_id] = scope
            self._keys[key_id] = AESGCM(os.urandom(32))
        key = self._keys[self._ids[scope]]
        if key is None:
            raise KeyDestroyed(scope)
        return self._ids[scope], key

    def for_reading(self, key_id: bytes) -> AESGCM | None:
        if key_id not in self._keys:
            raise KeyMissing("no such key")
        return self._keys[key_id]

    def scope_of(self, key_id: bytes) -> str:
        return self._scopes[key_id]

    def destroy(self, scope: str) -> None:
        """The key of a scope and those beneath it."""
        for below, key_id in self._ids.items():
            if below == scope or below.startswith(f"{scope}/"):
                self._keys[key_id] = None

    def lose(self, scope: str) -> None:
        """As if the file of the keys were not the one that belongs to the log."""
        del self._keys[self._ids.pop(scope)]


def context(command_id: bytes | None = None, input_digest: bytes = b"") -> Context:
    return Context(
        tenant="acme",
        actor="key:1",
        command_id=command_id or os.urandom(16),
        input_digest=input_digest,
        correlation_id=b"correlation",
        causation_id=b"causation",
    )


def append_of(
    *changes: tuple[str, int, Any],
    said: Context | None = None,
    unchanged_since: tuple[str, int] | None = None,
    subject: str = ADA,
    subject_version: int = 1,
) -> Append:
    """An append of (stream, expected version, facts)."""
    return Append(
        context=said or context(),
        recorded_at=MONDAY,
        changes=tuple(Change(stream, version, tuple(facts)) for stream, version, facts in changes),
        subject=subject,
        subject_version=subject_version,
        unchanged_since=unchanged_since,
    )


def transactions(count: int) -> consumer_account.TransactionsFetched:
    rows = [
        (
            index.to_bytes(16, "big"),
            Transaction(
                reference=str(index),
                booked_on=20_000 + index,
                amount=-100 * index,
                kind="card",
                wording=f"achat {index * 7919 % 997}",
                fields={"id_account": 7, "simplified_wording": f"achat {index}"},
            ),
        )
        for index in range(count)
    ]
    return consumer_account.TransactionsFetched(added=batch_of(rows))
