"""What is known of each bank account: who it is, what feeds it, its last reading.

No answer is made of this alone. The other models read it, so they come before it: what is being forgotten
is still listed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from domain import streams
from domain.consumer import AccountLinked, AccountUnlinked, ConsumerRegistered
from domain.consumer_account import (
    CASH_KINDS,
    AccountClosed,
    AccountDetails,
    AccountDetailsChanged,
    AccountDiscovered,
    AccountReopened,
    BalanceRefreshed,
)
from domain.fact import Recorded
from domain.money import MINOR_MAX
from domain.refusals import Corrupt
from domain.streams import Stream
from projections.erasure import forgotten, stream_of
from projections.ports import Rows, Table
from projections.times import micros


class Account(NamedTuple):
    tenant: str
    consumer: str
    id: str
    position: int
    """Where it was discovered: the order of lists."""
    provider: str
    discovered_through: str
    """The connection it was first seen through."""
    connection: str
    """The connection that feeds it now."""
    currency: str
    exponent: int
    kind: str
    details: bytes
    """`AccountDetails` as MessagePack, the provider's own fields left out."""
    discovered_at: int
    closed: str | None
    """Why it is closed."""
    as_of: int | None
    """When the provider read the amounts below; None before the first reading."""
    balance: int | None
    available: int | None
    limit: int | None
    reserved: int | None


class Link(NamedTuple):
    tenant: str
    consumer: str
    account: str
    position: int
    connection: str
    reference: str


class Observed(NamedTuple):
    tenant: str
    consumer: str
    recorded_at: int | None
    """When the newest fact about the consumer's accounts was recorded."""


ACCOUNTS = Table("accounts", Account, key=3)
LINKS = Table("account_links", Link, key=4)
OBSERVED = Table("observed", Observed, key=2)
TABLES = (ACCOUNTS, LINKS, OBSERVED)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(AccountDetails).decode


def key_of(account_id: str) -> bytes:
    """The 16 bytes of an account's id, under which its transactions are kept."""
    return bytes.fromhex(account_id.replace("-", ""))


def details_of(account: Account) -> AccountDetails:
    return _decode(account.details)


def cash_accounts(rows: Rows, tenant: str, consumer: str) -> list[Account]:
    """The consumer's checking and savings accounts, by id."""
    return [row for row in rows.scan(ACCOUNTS, tenant, consumer) if row.kind in CASH_KINDS]


def keys_of(gone: Stream, rows: Rows) -> Iterator[bytes]:
    """The keys of the accounts that a forgotten stream takes with it."""
    match gone.aggregate:
        case streams.CONSUMER:
            for row in rows.scan(ACCOUNTS, gone.tenant, gone.consumer):
                yield key_of(row.id)
        case streams.CONSUMER_ACCOUNT:
            yield key_of(gone.id)


def project(recorded: Recorded, rows: Rows) -> None:
    """Fold one fact into what is known of accounts."""
    stream = stream_of(recorded.stream)
    gone = forgotten(recorded)
    if gone is not None:
        _forget(gone, rows)
    match stream.aggregate:
        case streams.CONSUMER if gone is None:
            _project_consumer(recorded, stream, rows)
        case streams.CONSUMER_ACCOUNT:
            if gone is None:
                _project_account(recorded, stream, rows)
            # Also what is left of an erased fact tells when it was recorded.
            rows.put(OBSERVED, Observed(stream.tenant, stream.consumer, micros(recorded.recorded_at)))


def _project_consumer(recorded: Recorded, stream: Stream, rows: Rows) -> None:
    match recorded.fact:
        case ConsumerRegistered():
            rows.put(OBSERVED, Observed(stream.tenant, stream.consumer, None))
            return
        case AccountLinked(account_id=account_id, connection_id=connection_id, reference=reference):
            rows.put(
                LINKS,
                Link(stream.tenant, stream.consumer, account_id, recorded.position, connection_id, reference),
            )
        case AccountUnlinked(account_id=account_id, connection_id=connection_id, reference=reference):
            for link in list(rows.scan(LINKS, stream.tenant, stream.consumer, account_id)):
                if (link.connection, link.reference) == (connection_id, reference):
                    rows.delete(LINKS, *link[:4])
        case _:
            return
    rows.put(OBSERVED, Observed(stream.tenant, stream.consumer, micros(recorded.recorded_at)))
    account = rows.get(ACCOUNTS, stream.tenant, stream.consumer, account_id)
    if account is not None:
        rows.put(ACCOUNTS, account._replace(connection=_fed_by(account, rows)))


def _fed_by(account: Account, rows: Rows) -> str:
    """The connection of the newest link, else the one the account was discovered through."""
    links = list(rows.scan(LINKS, *account[:3]))
    return links[-1].connection if links else account.discovered_through


def _project_account(recorded: Recorded, stream: Stream, rows: Rows) -> None:
    fact = recorded.fact
    held = rows.get(ACCOUNTS, stream.tenant, stream.consumer, stream.id)
    if isinstance(fact, AccountDiscovered):
        if held is None:
            account = Account(
                tenant=stream.tenant,
                consumer=stream.consumer,
                id=stream.id,
                position=recorded.position,
                provider=fact.provider,
                discovered_through=fact.connection_id,
                connection=fact.connection_id,
                currency=fact.currency,
                exponent=fact.exponent,
                kind=fact.details.kind,
                details=_encode(replace(fact.details, fields={})),
                discovered_at=micros(recorded.recorded_at),
                closed=None,
                as_of=None,
                balance=None,
                available=None,
                limit=None,
                reserved=None,
            )
            rows.put(ACCOUNTS, account._replace(connection=_fed_by(account, rows)))
        return
    if held is None:
        return
    match fact:
        case AccountDetailsChanged(details=details):
            kept = _encode(replace(details, fields={}))
            rows.put(ACCOUNTS, held._replace(kind=details.kind, details=kept))
        case BalanceRefreshed():
            rows.put(
                ACCOUNTS,
                held._replace(
                    as_of=micros(fact.as_of),
                    balance=_bounded(fact.balance),
                    available=_bounded(fact.available),
                    limit=_bounded(fact.limit),
                    reserved=_bounded(fact.reserved),
                ),
            )
        case AccountClosed(reason=reason):
            rows.put(ACCOUNTS, held._replace(closed=reason))
        case AccountReopened():
            rows.put(ACCOUNTS, held._replace(closed=None))


def _bounded(minor: int | None) -> int | None:
    if minor is not None and abs(minor) > MINOR_MAX:
        raise Corrupt("an amount needs more than 63 bits")
    return minor


def _forget(gone: Stream, rows: Rows) -> None:
    match gone.aggregate:
        case streams.CONSUMER:
            for table in TABLES:
                rows.delete(table, gone.tenant, gone.consumer)
        case streams.CONSUMER_ACCOUNT:
            rows.delete(ACCOUNTS, gone.tenant, gone.consumer, gone.id)
            rows.delete(LINKS, gone.tenant, gone.consumer, gone.id)
