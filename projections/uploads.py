"""What clients brought: the ids that they chose for consumers and accounts, and until when each account is kept.

What is to be destroyed stands in a table in the order of the moment when that is due. Until it is done, whoever asks is
told that there is no such account. Whoever is there through what was brought alone is due themselves as soon as they
have neither an account nor a connection any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from domain import streams
from domain.consumer import STORAGE, ConsumerDetailsChanged, ConsumerRegistered
from domain.consumer_account import AccountDetails, AccountDetailsChanged, AccountDiscovered, RetentionSet
from domain.data_connection import ConnectionRequested
from domain.fact import Recorded
from domain.streams import Stream
from projections.accounts import ACCOUNTS, Account
from projections.directory import CONNECTIONS, CONSUMERS
from projections.erasure import forgotten, stream_of
from projections.ports import Index, Rows, Table
from projections.times import micros

#: The provider of accounts that clients brought through the storage.
PROVIDER = "storage"


class Brought(NamedTuple):
    """A consumer whom a client brought data of."""

    tenant: str
    consumer: str
    name: str
    """The id that the client chose; their own id where it chose none."""
    only: int
    """1 while nothing else was said of them: they are there as long as their accounts are."""


class Stored(NamedTuple):
    """An account that a client brought."""

    tenant: str
    consumer: str
    account: str
    name: str
    """The id that the client chose; its own id where it chose none."""
    until: int | None
    """The end of its retention."""
    stated: bytes
    """What the client stated of it under the names of the storage, as MessagePack."""


class Expiry(NamedTuple):
    until: int
    """`AT_ONCE` for a consumer."""
    tenant: str
    consumer: str
    account: str
    """Empty for a consumer of whom nothing else is left."""


AT_ONCE = 0


BROUGHT = Table("brought_consumers", Brought, key=2, indices=(Index("by_name", ("tenant", "name")),))
STORED = Table("stored_accounts", Stored, key=3)
EXPIRIES = Table("expiries", Expiry, key=4)
TABLES = (BROUGHT, STORED, EXPIRIES)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.decode

# Facts


def project(recorded: Recorded, rows: Rows) -> None:
    """Fold one fact into what clients brought."""
    gone, stream = forgotten(recorded), stream_of(recorded.stream)
    if gone is not None:
        _forget(gone, rows)
        _look_who_is_left(gone, rows)
        return
    match recorded.fact:
        case ConsumerRegistered(origin=origin, client_id=name) if origin == STORAGE:
            rows.put(BROUGHT, Brought(*stream[:2], stream.id if name is None else name, 1))
        case ConsumerDetailsChanged():
            held = rows.get(BROUGHT, *stream[:2])
            if held is not None:
                rows.put(BROUGHT, held._replace(only=0))
                _look_who_is_left(stream, rows)
        case ConnectionRequested():
            _look_who_is_left(stream, rows)
        case AccountDiscovered(provider=provider, client_id=name, details=details):
            if provider == PROVIDER:
                name = stream.id if name is None else name
                rows.put(STORED, Stored(*_key(stream), name, None, _stated(details)))
            _look_who_is_left(stream, rows)
        case AccountDetailsChanged(details=details):
            stored = rows.get(STORED, *_key(stream))
            if stored is not None:
                rows.put(STORED, stored._replace(stated=_stated(details)))
        case RetentionSet(until=until):
            stored = rows.get(STORED, *_key(stream))
            if stored is not None:
                _expire(stored, rows)
                rows.put(STORED, stored._replace(until=micros(until)))
                rows.put(EXPIRIES, Expiry(micros(until), *_key(stream)))


def _key(stream: Stream) -> tuple[str, str, str]:
    return stream.tenant, stream.consumer, stream.id


def _stated(details: AccountDetails) -> bytes:
    return _encode(details.fields)


def _expire(stored: Stored, rows: Rows) -> None:
    """Take an account out of what is to be destroyed at its time."""
    if stored.until is not None:
        rows.delete(EXPIRIES, stored.until, *stored[:3])


def _look_who_is_left(stream: Stream, rows: Rows) -> None:
    """Let a consumer be due while nothing is left of what they were there through."""
    owner = (stream.tenant, stream.consumer)
    brought = rows.get(BROUGHT, *owner)
    if brought is None:
        return
    if brought.only and not _has_any(ACCOUNTS, *owner, rows) and not _has_any(CONNECTIONS, *owner, rows):
        rows.put(EXPIRIES, Expiry(AT_ONCE, *owner, ""))
    else:
        rows.delete(EXPIRIES, AT_ONCE, *owner)


def _has_any(table: Table, tenant: str, consumer: str, rows: Rows) -> bool:
    return next(iter(rows.scan(table, tenant, consumer)), None) is not None


def _forget(gone: Stream, rows: Rows) -> None:
    match gone.aggregate:
        case streams.CONSUMER:
            rows.delete(BROUGHT, gone.tenant, gone.consumer)
            rows.delete(EXPIRIES, AT_ONCE, gone.tenant, gone.consumer)
            for stored in list(rows.scan(STORED, gone.tenant, gone.consumer)):
                _expire(stored, rows)
            rows.delete(STORED, gone.tenant, gone.consumer)
        case streams.CONSUMER_ACCOUNT:
            stored = rows.get(STORED, *_key(gone))
            if stored is not None:
                _expire(stored, rows)
                rows.delete(STORED, *_key(gone))


# What the use cases ask


def expiries_due(rows: Rows, now: datetime) -> list[tuple[str, str]]:
    """Tenant and consumer of the accounts whose time is up, the longest waiting first; before them the consumers of
    whom nothing is left."""
    due = rows.scan(EXPIRIES, at_most=micros(now))
    return list(dict.fromkeys((row.tenant, row.consumer) for row in due))


# What the doors ask


class Shown(NamedTuple):
    """An account under the id that its client knows it by."""

    name: str
    account: Account
    stored: Stored | None
    """None where it is fed by a bank or by statements."""


def consumer_named(rows: Rows, tenant: str, name: str, now: datetime) -> str | None:
    """The id of the consumer that has this id, or for whom a client chose it; None where there is none, or only
    accounts whose time is up."""
    found = [name.lower()] if rows.get(CONSUMERS, tenant, name.lower()) is not None else []
    found += [row.consumer for row in rows.find(BROUGHT, "by_name", tenant, name)]
    return next((id for id in found if _is_there(rows, tenant, id, now)), None)


def _is_there(rows: Rows, tenant: str, consumer: str, now: datetime) -> bool:
    brought = rows.get(BROUGHT, tenant, consumer)
    if brought is None or not brought.only:
        return True
    if any(True for _ in accounts_of(rows, tenant, consumer, now)):
        return True
    return _has_any(CONNECTIONS, tenant, consumer, rows)


def name_of_consumer(rows: Rows, tenant: str, consumer: str) -> str:
    """The id that a client knows a consumer by."""
    brought = rows.get(BROUGHT, tenant, consumer)
    return consumer if brought is None else brought.name


def accounts_of(rows: Rows, tenant: str, consumer: str, now: datetime) -> Iterator[Shown]:
    """The accounts of a consumer in the order in which they were discovered, without those whose time is up."""
    stored = {row.account: row for row in rows.scan(STORED, tenant, consumer)}
    for account in sorted(rows.scan(ACCOUNTS, tenant, consumer), key=lambda account: account.position):
        its = stored.get(account.id)
        if its is None or its.until is None or its.until > micros(now):
            yield Shown(account.id if its is None else its.name, account, its)


def stated_of(stored: Stored) -> dict[str, Any]:
    """What the client stated of an account, under the names of the storage."""
    return _decode(stored.stated)
