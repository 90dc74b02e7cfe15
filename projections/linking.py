"""Sources and links: what is known of each provider account by itself, and which account of ours it belongs to.

A source is one ConsumerAccount stream. An account is one source, nearly always; how several are shown as one is
told in `merging`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from domain import streams
from domain.consumer import BY_REQUEST, AccountLinked, AccountUnlinked
from domain.consumer_account import (
    AccountClosed,
    AccountDetailsChanged,
    AccountDiscovered,
    AccountReopened,
    BalanceRefreshed,
)
from domain.fact import Recorded
from domain.money import MINOR_MAX
from domain.refusals import Corrupt
from domain.streams import Stream
from projections.ports import Index, Rows, Table
from projections.times import micros


class Source(NamedTuple):
    tenant: str
    consumer: str
    id: str
    account: str
    """The account that it belongs to."""
    linked: int
    """Where it was linked to that, 0 for the one it began with: the order in which an account's sources came."""
    apart: int
    """1 if its booked rows are kept beside those that are shown, since its account is more than this source."""
    position: int
    """Where it was discovered."""
    provider: str
    discovered_through: str
    """The connection it was first seen through."""
    connection: str
    """The connection that feeds it now, or fed it last."""
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
    source: str
    position: int
    account: str
    connection: str
    reference: str
    evidence: str
    """What kind of evidence there was: `iban`, `number_and_bank` or `none`."""
    ended: int
    """1 if the connection is gone: nothing comes from it any more, and what came stays."""


SOURCES = Table("account_sources", Source, key=3, indices=(Index("by_id", ("tenant", "id")),))
LINKS = Table("account_links", Link, key=4)
TABLES = (SOURCES, LINKS)

_encode = msgspec.msgpack.Encoder().encode


# Facts


def link(fact: AccountLinked, stream: Stream, position: int, rows: Rows) -> set[str]:
    """Let a source belong to an account; the ids of the accounts whose sources are others now."""
    key = (stream.tenant, stream.consumer, fact.source)
    for held in list(rows.scan(LINKS, *key)):
        if held.account != fact.account_id:
            rows.delete(LINKS, *held[: LINKS.key])
    rows.put(
        LINKS,
        Link(
            *key,
            position=position,
            account=fact.account_id,
            connection=fact.connection_id,
            reference=fact.reference,
            evidence=fact.evidence.kind,
            ended=0,
        ),
    )
    return _follow_links(*key, rows)


def unlink(fact: AccountUnlinked, stream: Stream, rows: Rows) -> set[str]:
    """Let nothing come through a link any more. By request the source leaves the account, too."""
    key = (stream.tenant, stream.consumer, fact.source)
    for held in list(rows.scan(LINKS, *key)):
        if fact.reason == BY_REQUEST and held.account == fact.account_id:
            rows.delete(LINKS, *held[: LINKS.key])
        elif (held.connection, held.reference) == (fact.connection_id, fact.reference):
            rows.put(LINKS, held._replace(ended=1))
    return _follow_links(*key, rows)


def _follow_links(tenant: str, consumer: str, id: str, rows: Rows) -> set[str]:
    held = rows.get(SOURCES, tenant, consumer, id)
    if held is None:
        return set()
    rows.put(SOURCES, source := _linked(held, rows))
    return {held.account, source.account}


def _linked(source: Source, rows: Rows) -> Source:
    """A source as its links say: without any it is an account of its own."""
    links = list(rows.scan(LINKS, *source[: SOURCES.key]))
    feeding = [link.connection for link in links if not link.ended]
    account = links[0].account if links else source.id
    return source._replace(
        account=account,
        linked=0 if account == source.id else links[0].position,
        connection=feeding[-1] if feeding else source.discovered_through,
    )


def discover(fact: AccountDiscovered, recorded: Recorded, stream: Stream, apart: bool, rows: Rows) -> bool:
    """Make a source known; False if it was."""
    if rows.get(SOURCES, stream.tenant, stream.consumer, stream.id) is not None:
        return False
    source = Source(
        tenant=stream.tenant,
        consumer=stream.consumer,
        id=stream.id,
        account=stream.id,
        linked=0,
        apart=int(apart),
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
    rows.put(SOURCES, _linked(source, rows))
    return True


def change(fact: object, source: Source) -> Source:
    """A source after a fact of its own."""
    match fact:
        case AccountDetailsChanged(details=details):
            changed = source._replace(kind=details.kind, details=_encode(replace(details, fields={})))
            return (
                changed._replace(currency=fact.currency, exponent=fact.exponent) if fact.currency else changed
            )
        case BalanceRefreshed():
            return source._replace(
                as_of=micros(fact.as_of),
                balance=_bounded(fact.balance),
                available=_bounded(fact.available),
                limit=_bounded(fact.limit),
                reserved=_bounded(fact.reserved),
            )
        case AccountClosed(reason=reason):
            return source._replace(closed=reason)
        case AccountReopened():
            return source._replace(closed=None)
    return source


def _bounded(minor: int | None) -> int | None:
    if minor is not None and abs(minor) > MINOR_MAX:
        raise Corrupt("an amount needs more than 63 bits")
    return minor


def forget(gone: Stream, rows: Rows) -> None:
    """Drop a source with its links, or all of a consumer."""
    key = (gone.tenant, gone.consumer)
    if gone.aggregate == streams.CONSUMER_ACCOUNT:
        key = (*key, gone.id)
    rows.delete(SOURCES, *key)
    rows.delete(LINKS, *key)


# What others ask


def source_by_id(rows: Rows, tenant: str, id: str) -> Source | None:
    """A source whose consumer is not known."""
    return next(iter(rows.find(SOURCES, "by_id", tenant, id)), None)


def members_of(rows: Rows, tenant: str, consumer: str, account: str) -> list[Source]:
    """The sources of an account, by id."""
    return [source for source in rows.scan(SOURCES, tenant, consumer) if source.account == account]


def links_of(rows: Rows, source: Source) -> Iterator[Link]:
    """The links of a source to its account, oldest first."""
    return rows.scan(LINKS, *source[: SOURCES.key])
