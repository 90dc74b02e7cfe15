"""What is known of each bank account as it is shown: who it is, what feeds it, its last reading.

An account shows what its leading source says: see `merging`. No answer is made of this alone; the other models
read it.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from domain import streams
from domain.consumer import AccountLinked, AccountUnlinked, ConsumerRegistered
from domain.consumer_account import CASH_KINDS, AccountDetails
from domain.fact import Recorded
from projections.confirmed import read_at
from projections.erasure import forgotten, stream_of
from projections.linking import Source
from projections.ports import Rows, Table
from projections.times import micros


class Account(NamedTuple):
    tenant: str
    consumer: str
    id: str
    position: int
    """Where the first of its sources was discovered: the order of lists."""
    source: str
    """The source that leads: what is shown here, and the pending rows, are its own."""
    provider: str
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


class Observed(NamedTuple):
    tenant: str
    consumer: str
    recorded_at: int | None
    """When the newest fact about the consumer's accounts was recorded."""


ACCOUNTS = Table("accounts", Account, key=3)
OBSERVED = Table("observed", Observed, key=2)
TABLES = (ACCOUNTS, OBSERVED)

_decode = msgspec.msgpack.Decoder(AccountDetails).decode


def key_of(account_id: str) -> bytes:
    """The 16 bytes of an account's or a source's id, under which its transactions are kept."""
    return bytes.fromhex(account_id.replace("-", ""))


def details_of(account: Account) -> AccountDetails:
    return _decode(account.details)


def account_of(source: Source, position: int, rows: Rows) -> Account:
    """An account that this source leads."""
    return Account(
        tenant=source.tenant,
        consumer=source.consumer,
        id=source.account,
        position=position,
        source=source.id,
        provider=source.provider,
        connection=source.connection,
        currency=source.currency,
        exponent=source.exponent,
        kind=source.kind,
        details=source.details,
        discovered_at=source.discovered_at,
        closed=source.closed,
        as_of=read_at(source, rows),
        balance=source.balance,
        available=source.available,
        limit=source.limit,
        reserved=source.reserved,
    )


def cash_accounts(rows: Rows, tenant: str, consumer: str) -> list[Account]:
    """The consumer's checking and savings accounts, by id."""
    return [row for row in rows.scan(ACCOUNTS, tenant, consumer) if row.kind in CASH_KINDS]


def project(recorded: Recorded, rows: Rows) -> None:
    """Fold one fact into when something was last heard of a consumer's accounts; the accounts are `merging`'s."""
    stream = stream_of(recorded.stream)
    gone = forgotten(recorded)
    if gone is not None and gone.aggregate == streams.CONSUMER:
        for table in TABLES:
            rows.delete(table, gone.tenant, gone.consumer)
    elif stream.aggregate == streams.CONSUMER_ACCOUNT or isinstance(
        recorded.fact, AccountLinked | AccountUnlinked
    ):
        # Also what is left of an erased fact tells when it was recorded.
        rows.put(OBSERVED, Observed(stream.tenant, stream.consumer, micros(recorded.recorded_at)))
    elif isinstance(recorded.fact, ConsumerRegistered):
        rows.put(OBSERVED, Observed(stream.tenant, stream.consumer, None))
