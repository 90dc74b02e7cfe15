"""Several sources shown as one account: a pure function of their rows, kept up to date.

The leading source shows all its rows; the days before the first of them are left to the next source, and so on.
A row keeps the id that the same row of an earlier source had. An account that is one source costs nothing here:
its rows are those that are shown. Of any other the sources' rows are kept here, and what is shown is made of them:
as a whole when it is made of other sources or of other days, else as far as it is touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from heapq import merge
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from domain import streams
from domain.consumer import AccountLinked, AccountUnlinked
from domain.consumer_account import (
    AccountClosed,
    AccountDetailsChanged,
    AccountDiscovered,
    AccountReopened,
    BalanceRefreshed,
)
from domain.data_connection import CONNECTED, SyncFailed, SyncRequested, SyncStarted, SyncSucceeded
from domain.fact import Recorded
from domain.streams import Stream
from projections import linking, shown
from projections.accounts import ACCOUNTS, account_of, key_of
from projections.bodies import under, wording_in
from projections.directory import CONNECTIONS
from projections.erasure import forgotten, stream_of
from projections.linking import SOURCES, Source
from projections.ports import Index, Rows, Table
from projections.shown import TRANSACTIONS, Transaction


class Told(NamedTuple):
    """A booked row of a source that shares its account with others."""

    source: bytes
    booked_on: int
    id: bytes
    newest: int
    reference: str
    digest: bytes
    amount: int | None
    kind: str
    root: str
    body: bytes
    seen_at: int
    labels: str
    more: bytes
    said: bytes
    """A digest of what makes it the same as a row of another source."""


class Part(NamedTuple):
    """What a source contributes to an account."""

    source: str
    linked: int
    until: int | None
    """The day from which on the sources before it are shown; None for the one that leads."""


class Merge(NamedTuple):
    """An account that is not just the source it began with."""

    tenant: str
    consumer: str
    account: str
    parts: bytes
    """A `Part` of each source, the leading one first, as JSON."""


TOLD = Table(
    "source_transactions",
    Told,
    key=3,
    indices=(Index("by_reference", ("source", "reference")), Index("by_said", ("source", "said"))),
)
MERGES = Table("merged_accounts", Merge, key=3)
TABLES = (TOLD, MERGES)

#: Facts of a connection that say nothing about its status.
_SYNCS = (SyncRequested, SyncStarted, SyncSucceeded, SyncFailed)
_SAID_SIZE = 16

Key = tuple[str, str, str]
"""Tenant, consumer and account."""
Said = Mapping[bytes, Sequence[Told]]
"""Rows that say the same, by the key of their source."""

_booked_on = attrgetter("booked_on")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[Part]).decode


# The rule


def leading_first(members: Iterable[Source], connected: frozenset[str]) -> list[Source]:
    """The sources of an account in the order in which they are shown.

    The open ones whose connection is among the `connected` come first, then the open ones, then the rest; of these
    the one that was linked last.
    """

    def rank(source: Source) -> tuple[int, int]:
        if source.closed is not None:
            return 2, -source.linked
        return (0 if source.connection in connected else 1), -source.linked

    return sorted(members, key=rank)


def parts_of(order: Iterable[tuple[str, int]], first_days: Mapping[str, int | None]) -> list[Part]:
    """What each source, given with where it was linked, contributes: the days before the first day of all that are
    before it.

    One without rows contributes none, and leaves all days to the next.
    """
    parts: list[Part] = []
    until: int | None = None
    for source, linked in order:
        parts.append(Part(source, linked, until))
        first = first_days[source]
        if first is not None and (until is None or first < until):
            until = first
    return parts


def shown_of(said: Said, parts: Sequence[Part], key: bytes) -> list[Transaction]:
    """Which of the rows that say the same are shown in an account, in the order of their references, each under
    the id of its like of the earliest source that has one."""
    for part in parts:
        own = _in_order(said.get(key_of(part.source), ()))
        # They say the same, so that they are of one day.
        if own and (part.until is None or own[0].booked_on < part.until):
            earlier = [
                _in_order(said[its])
                for other in sorted(parts, key=lambda other: other.linked)
                if other.linked < part.linked and (its := key_of(other.source)) in said
            ]
            likes = [[told, *(row[n] for row in earlier if n < len(row))] for n, told in enumerate(own)]
            return [_as_shown(told, its, key) for told, its in zip(own, likes, strict=True)]
    return []


def _in_order(told: Sequence[Told]) -> list[Told]:
    return sorted(told, key=lambda row: _order(row.reference))


def _order(reference: str) -> tuple[int, int, str]:
    """Numbers as numbers, and before any text."""
    if reference.isascii() and reference.isdecimal():
        return 0, int(reference), reference
    return 1, 0, reference


# Facts


def project(recorded: Recorded, rows: Rows) -> None:
    """Fold one fact into the sources and the accounts that they are shown as."""
    stream, fact = stream_of(recorded.stream), recorded.fact
    owner, gone = stream[:2], forgotten(recorded)
    match stream.aggregate:
        case streams.CONSUMER:
            if gone is not None:
                linking.forget(gone, rows)
                rows.delete(MERGES, gone.tenant, gone.consumer)
            elif isinstance(fact, AccountLinked):
                settle(*owner, linking.link(fact, stream, recorded.position, rows), rows)
            elif isinstance(fact, AccountUnlinked):
                settle(*owner, linking.unlink(fact, stream, rows), rows)
        case streams.CONSUMER_ACCOUNT if gone is not None:
            held = rows.get(SOURCES, *_key(stream))
            linking.forget(gone, rows)
            if held is not None:
                settle(*owner, {held.account}, rows)
        case streams.CONSUMER_ACCOUNT:
            _project_source(recorded, stream, rows)
        case streams.DATA_CONNECTION if may_move(recorded):
            merged = {row.account for row in rows.scan(MERGES, *owner)}
            settle(*owner, merged, rows)
            if gone is not None:
                # What it confirmed is forgotten with it.
                for source in list(rows.scan(SOURCES, *owner)):
                    _tell(source, rows)
        case streams.DATA_CONNECTION if isinstance(fact, SyncSucceeded):
            for id in fact.confirmed:
                source = rows.get(SOURCES, *owner, id)
                if source is not None:
                    _tell(source, rows)


def may_move(recorded: Recorded) -> bool:
    """Whether a fact of a connection may let another source lead: a mere sync does not."""
    aggregate = stream_of(recorded.stream).aggregate
    return aggregate == streams.DATA_CONNECTION and not isinstance(recorded.fact, _SYNCS)


def _project_source(recorded: Recorded, stream: Stream, rows: Rows) -> None:
    fact, owner = recorded.fact, stream[:2]
    match fact:
        case AccountDiscovered():
            # What an account shows before its own stream begins is others'.
            apart = rows.get(MERGES, *_key(stream)) is not None
            if linking.discover(fact, recorded, stream, apart, rows):
                settle(*owner, {rows.get(SOURCES, *_key(stream)).account}, rows)
        case AccountDetailsChanged() | BalanceRefreshed() | AccountClosed() | AccountReopened():
            held = rows.get(SOURCES, *_key(stream))
            if held is None:
                return
            source = linking.change(fact, held)
            rows.put(SOURCES, source)
            if source.apart and source.closed != held.closed:
                settle(*owner, {source.account}, rows)
            else:
                _tell(source, rows)


def _key(stream: Stream) -> tuple[str, str, str]:
    return stream.tenant, stream.consumer, stream.id


def _tell(source: Source, rows: Rows) -> None:
    """Show what changed of a source, if it is the one that leads its account."""
    if not source.apart:
        rows.put(ACCOUNTS, account_of(source, source.position, rows))
        return
    account = rows.get(ACCOUNTS, source.tenant, source.consumer, source.account)
    if account is not None and account.source == source.id:
        rows.put(ACCOUNTS, account_of(source, account.position, rows))


# Accounts as a whole


def settle(tenant: str, consumer: str, accounts: set[str], rows: Rows) -> None:
    """Show these accounts of a consumer as their sources are now."""
    if not accounts:
        return
    members: dict[str, list[Source]] = {account: [] for account in sorted(accounts)}
    for source in list(rows.scan(SOURCES, tenant, consumer)):
        if source.account in members:
            members[source.account].append(source)
    # A source's rows are put aside before anything else is shown where they are.
    for account, its in members.items():
        if not _is_plain(account, its):
            members[account] = [_put_aside(source, rows) for source in its]
    for account, its in members.items():
        _show((tenant, consumer, account), its, rows)


def _is_plain(account: str, members: Sequence[Source]) -> bool:
    return [source.id for source in members] == [account]


def _put_aside(source: Source, rows: Rows) -> Source:
    """Keep the rows of a source beside those that are shown."""
    if source.apart:
        return source
    key = key_of(source.id)
    rows.put_many(TOLD, sorted(told_of(row) for row in rows.scan(TRANSACTIONS, key)))
    source = source._replace(apart=1)
    rows.put(SOURCES, source)
    return source


def _show(key: Key, members: Sequence[Source], rows: Rows) -> None:
    account = key[-1]
    order = leading_first(members, _connected(members, rows))
    if not order:
        rows.delete(ACCOUNTS, *key)
        rows.delete(MERGES, *key)
        _exchange(rows.scan(TRANSACTIONS, key_of(account)), {}, key_of(account), rows)
        return
    rows.put(ACCOUNTS, account_of(order[0], min(source.position for source in members), rows))
    if _is_plain(account, members):
        (source,) = members
        if source.apart:
            _show_whole(key, [Part(source.id, source.linked, None)], rows)
            rows.delete(MERGES, *key)
            for told in list(rows.scan(TOLD, key_of(account))):
                rows.delete(TOLD, *told[: TOLD.key])
            rows.put(SOURCES, source._replace(apart=0))
        return
    _show_parts(key, _parts_now([(source.id, source.linked) for source in order], rows), rows)


def _parts_now(order: Sequence[tuple[str, int]], rows: Rows) -> list[Part]:
    return parts_of(order, {source: _first_day(source, rows) for source, _ in order})


def _show_parts(key: Key, parts: list[Part], rows: Rows) -> None:
    row = Merge(*key, _encode(parts))
    if rows.get(MERGES, *key) != row:
        rows.put(MERGES, row)
        _show_whole(key, parts, rows)


def _connected(members: Iterable[Source], rows: Rows) -> frozenset[str]:
    """Which of the connections of these sources are connected."""
    held = [rows.get(CONNECTIONS, *source[:2], source.connection) for source in members]
    return frozenset(row.id for row in held if row is not None and row.status == CONNECTED)


def _first_day(source: str, rows: Rows) -> int | None:
    first = next(iter(rows.scan(TOLD, key_of(source))), None)
    return None if first is None else first.booked_on


def _show_whole(key: Key, parts: Sequence[Part], rows: Rows) -> None:
    account, wanted = key_of(key[-1]), {}
    told = merge(*(rows.scan(TOLD, key_of(part.source)) for part in parts), key=_booked_on)
    for _, of_day in groupby(told, _booked_on):
        wanted |= _shown_by_key(of_day, parts, account)
    _exchange(rows.scan(TRANSACTIONS, account), wanted, account, rows)


def _shown_by_key(told: Iterable[Told], parts: Sequence[Part], account: bytes) -> dict[Any, Transaction]:
    """What is shown of rows, where all are given that say the same as any of them."""
    return {row[:3]: row for said in _by_said(told) for row in shown_of(said, parts, account)}


def _by_said(told: Iterable[Told]) -> Iterable[Said]:
    same: defaultdict[bytes, defaultdict[bytes, list[Told]]] = defaultdict(lambda: defaultdict(list))
    for row in told:
        same[row.said][row.source].append(row)
    return same.values()


def _exchange(
    before: Iterable[Transaction], wanted: dict[Any, Transaction], account: bytes, rows: Rows
) -> None:
    """Show the `wanted` rows, by key, in place of others; those that stay as they are are not touched."""
    went: list[Transaction] = []
    for row in before:
        if wanted.get(row[:3]) == row:
            del wanted[row[:3]]
        else:
            went.append(row)
    shown.move(sorted(wanted.values()), went, account, rows)


# Rows of one source


def bring(source: Source, came: Iterable[Told], went: Sequence[Told], rows: Rows) -> None:
    """Exchange rows of a source that is kept apart, and show what that changes in its account."""
    came = sorted(came)
    if not came and not went:
        return
    key = (source.tenant, source.consumer, source.account)
    parts, account = parts_in(rows, *key), key_of(source.account)
    touched = sorted({row.said for row in (*came, *went)})
    before = _shown_by_key(_saying(touched, parts, rows), parts, account)
    for row in went:
        rows.delete(TOLD, *row[: TOLD.key])
    if came:
        rows.put_many(TOLD, came)
    parts_now = _parts_now([part[:2] for part in parts], rows)
    if parts_now != parts:
        _show_parts(key, parts_now, rows)
    else:
        wanted = _shown_by_key(_saying(touched, parts, rows), parts, account)
        _exchange(before.values(), wanted, account, rows)


def _saying(said: Sequence[bytes], parts: Iterable[Part], rows: Rows) -> Iterator[Told]:
    """The rows of an account's sources that say one of these things."""
    for part in parts:
        yield from rows.among(TOLD, key_of(part.source), values=said, index="by_said")


def told_of(row: Transaction) -> Told:
    """A row as it is kept of a source that is kept apart."""
    key, newest, id, reference, digest, booked_on, amount, kind, root, body, seen_at, labels, more = row
    said = f"{booked_on} {newest} {amount} ".encode() + wording_in(body)
    said = blake2b(said, digest_size=_SAID_SIZE).digest()
    return Told(
        *(
            key,
            booked_on,
            id,
            newest,
            reference,
            digest,
            amount,
            kind,
            root,
            body,
            seen_at,
            labels,
            more,
            said,
        )
    )


def _as_shown(row: Told, likes: Sequence[Told], key: bytes) -> Transaction:
    """A row under the id of the first of its likes of earlier sources, itself without any, and as seen when the first
    of all was."""
    id = likes[1].id if len(likes) > 1 else row.id
    return Transaction(
        account=key,
        newest=row.newest,
        id=id,
        reference=row.reference,
        digest=row.digest,
        booked_on=row.booked_on,
        amount=row.amount,
        kind=row.kind,
        root=row.root,
        body=row.body if id == row.id else under(id, row.body),
        seen_at=min(like.seen_at for like in likes),
        labels=row.labels,
        more=row.more,
    )


def held(rows: Rows, key: bytes, references: Sequence[str]) -> list[Told]:
    """The booked rows, with these references, of a source that is kept apart."""
    return list(rows.among(TOLD, key, values=references, index="by_reference"))


# What others ask


def parts_in(rows: Rows, tenant: str, consumer: str, account: str) -> list[Part]:
    """What each source contributes to a merged account, the leading one first; none of an account that is not one."""
    row = rows.get(MERGES, tenant, consumer, account)
    return [] if row is None else _decode(row.parts)


def shown_ids(rows: Rows, source: Source, references: Sequence[str]) -> dict[str, bytes]:
    """The ids under which booked rows of a source that is kept apart are shown in its account, by reference.

    Where another source shows the day, that is the id of the row that says the same; a row without one is left out.
    """
    parts = parts_in(rows, source.tenant, source.consumer, source.account)
    key, account, found = key_of(source.id), key_of(source.account), {}
    asked = sorted({row.said for row in held(rows, key, references)})
    for said in _by_said(_saying(asked, parts, rows)):
        ids = [row.id for row in shown_of(said, parts, account)]
        found.update(zip((row.reference for row in _in_order(said[key])), ids, strict=False))
    return {reference: found[reference] for reference in references if reference in found}


def forget(key: bytes, rows: Rows) -> None:
    """Drop what is kept here of a source."""
    rows.delete(TOLD, key)
