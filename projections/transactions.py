"""Transactions of each account, in the order in which they are asked for, and how many there are.

The paged table holds booked rows, newest value day first. A row's answer is kept as its variable parts
between marks, since the rest is the same for all rows of an account: `expand` fills it in. Pending rows are
kept apart and counted nowhere; of a removed row its reference stays, so that it can come back under its id.
What is booked is also summed by `flows`.
"""

from __future__ import annotations

from binascii import hexlify
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import itemgetter, sub
from struct import Struct
from typing import Any, NamedTuple

import msgspec

from domain.consumer_account import TransactionsFetched
from domain.fact import Recorded
from domain.transactions import DIGEST_SIZE, ID_SIZE, Batch
from projections import flows
from projections.accounts import ACCOUNTS, Account, key_of, keys_of
from projections.erasure import forgotten, stream_of
from projections.kinds import type_of
from projections.labels import label_root
from projections.ports import Index, Rows, Table
from projections.times import day_text, month_of

#: A row whose value day lies further from its booking is found by `STRAYS`.
STRAY_DAYS = 31
#: In `COUNTS`, the row for all types.
ALL_TYPES = ""


class Transaction(NamedTuple):
    """A booked row."""

    account: bytes
    newest: int
    """Minus the value day: a forward scan gives the newest day first, and ids ascending."""
    id: bytes
    reference: str
    digest: bytes
    booked_on: int
    amount: int | None
    kind: str
    root: str
    """What its wording has in common with others: `labels.label_root`."""
    body: bytes
    """The parts of the answer, between marks."""


class Pending(NamedTuple):
    account: bytes
    reference: str
    id: bytes
    digest: bytes
    value_day: int
    booked_on: int
    amount: int | None
    kind: str
    body: bytes


class Removed(NamedTuple):
    account: bytes
    reference: str
    id: bytes
    digest: bytes


class Count(NamedTuple):
    account: bytes
    type: str
    month: int
    """The month of the value day, counted from year 0."""
    count: int


class Stray(NamedTuple):
    """A booked row whose value day is far from its booking: all others that were booked in some days are a
    range of `TRANSACTIONS`."""

    account: bytes
    booked_on: int
    newest: int
    id: bytes


TRANSACTIONS = Table(
    "transactions", Transaction, key=3, indices=(Index("by_reference", ("account", "reference")),)
)
PENDING = Table("pending_transactions", Pending, key=2)
REMOVED = Table("removed_transactions", Removed, key=2)
COUNTS = Table("transaction_counts", Count, key=3)
STRAYS = Table("stray_transactions", Stray, key=4)
TABLES = (TRANSACTIONS, PENDING, REMOVED, COUNTS, STRAYS)

#: The parts of an answer that differ from row to row; `expand` writes what stands at the marks.
_BODY = b"%s-%s-%s-%s-%s\x01%s\x02%s\x03%s\x04%s\x05%s"
_UUID_PARTS = Struct("8s4s4s4s12s")

_kind_and_newest = itemgetter(*map(Transaction._fields.index, ("kind", "newest")))
_flow_part = itemgetter(*map(Transaction._fields.index, ("booked_on", "amount", "kind", "root")))
_json = msgspec.json.Encoder().encode


# Facts


def project(recorded: Recorded, rows: Rows) -> None:
    """Fold one fact into the transactions."""
    gone = forgotten(recorded)
    if gone is not None:
        for key in keys_of(gone, rows):
            for table in (*TABLES, *flows.TABLES):
                rows.delete(table, key)
        return
    fact = recorded.fact
    if not isinstance(fact, TransactionsFetched):
        return
    stream = stream_of(recorded.stream)
    account = rows.get(ACCOUNTS, stream.tenant, stream.consumer, stream.id)
    if account is None:
        return
    key = key_of(account.id)
    came, went = _add(fact.added, key, account, rows), []
    if fact.modified:
        went += _take(fact.modified.references, key, rows)
        came += _add(fact.modified, key, account, rows)
    if fact.removed:
        went += _remove(fact, key, rows)
    _count(came, went, key, rows)
    flows.move(map(_flow_part, came), map(_flow_part, went), key, rows)


def _add(batch: Batch, key: bytes, account: Account, rows: Rows) -> list[tuple[Any, ...]]:
    """Put rows into the tables, and return those that are booked."""
    if not batch.references:
        return []
    days = value_days(batch)
    booked = _rows(batch, days, key, account.exponent)
    if batch.pending:
        pending = frozenset(batch.pending)
        rows.put_many(PENDING, [_pending(booked[index]) for index in sorted(pending)])
        booked = [row for index, row in enumerate(booked) if index not in pending]
    # A batch is sorted by day; the table's key runs the other way.
    booked.reverse()
    rows.put_many(TRANSACTIONS, booked)
    if max(map(abs, map(sub, days, batch.booked_on))) > STRAY_DAYS:
        for _, newest, id, _, _, booked_on, *_ in booked:
            if _is_stray(booked_on, newest):
                rows.put(STRAYS, Stray(key, booked_on, newest, id))
    if next(iter(rows.scan(REMOVED, key)), None) is not None:
        for reference in batch.references:
            rows.delete(REMOVED, key, reference)
    return booked


def _pending(row: tuple[Any, ...]) -> Pending:
    key, newest, id, reference, digest, booked_on, amount, kind, _, body = row
    return Pending(key, reference, id, digest, -newest, booked_on, amount, kind, body)


def value_days(batch: Batch) -> list[int]:
    """The value day of each row: the day it was booked where the source gives none."""
    if not any(day is not None for day in batch.value_on):
        return batch.booked_on
    return [
        booked if value is None else value
        for value, booked in zip(batch.value_on, batch.booked_on, strict=True)
    ]


def _is_stray(booked_on: int, newest: int) -> bool:
    return abs(booked_on + newest) > STRAY_DAYS


def _take(references: Sequence[str], key: bytes, rows: Rows) -> list[Transaction]:
    """Take rows out of the tables, as if they had never been there, and return those that were booked."""
    taken = held(rows, key, references)
    for row in taken:
        rows.delete(TRANSACTIONS, *row[:3])
        if _is_stray(row.booked_on, row.newest):
            rows.delete(STRAYS, key, row.booked_on, row.newest, row.id)
    for reference in references:
        rows.delete(PENDING, key, reference)
    return taken


def _remove(fact: TransactionsFetched, key: bytes, rows: Rows) -> list[Transaction]:
    removed = fact.removed
    digests = {row.reference: row.digest for row in held(rows, key, removed.references)}
    for index, reference in enumerate(removed.references):
        pending = rows.get(PENDING, key, reference)
        digest = digests.get(reference, b"" if pending is None else pending.digest)
        id = removed.ids[index * ID_SIZE : (index + 1) * ID_SIZE]
        rows.put(REMOVED, Removed(key, reference, id, digest))
    return _take(removed.references, key, rows)


def _count(came: Sequence[tuple[Any, ...]], went: Sequence[Transaction], key: bytes, rows: Rows) -> None:
    by_kind_and_day = Counter(map(_kind_and_newest, came))
    by_kind_and_day.subtract(map(_kind_and_newest, went))
    changes: defaultdict[tuple[str, int], int] = defaultdict(int)
    for (kind, newest), change in by_kind_and_day.items():
        changes[type_of(kind), month_of(-newest)] += change
    for (_, month), change in list(changes.items()):
        changes[ALL_TYPES, month] += change
    for (type, month), change in changes.items():
        if change == 0:
            continue
        row = rows.get(COUNTS, key, type, month)
        count = change if row is None else row.count + change
        if count == 0:
            rows.delete(COUNTS, key, type, month)
        else:
            rows.put(COUNTS, Count(key, type, month, count))


# What others ask


def held(rows: Rows, key: bytes, references: Iterable[str]) -> list[Transaction]:
    """The booked rows of an account that have these references."""
    return [
        row for reference in references for row in rows.find(TRANSACTIONS, "by_reference", key, reference)
    ]


def booked_between(rows: Rows, key: bytes, first: int, last: int) -> list[Transaction]:
    """The rows of an account that were booked in these days, newest value day first, then by id."""
    near = rows.scan(TRANSACTIONS, key, at_least=-(last + STRAY_DAYS), at_most=-(first - STRAY_DAYS))
    found = [row for row in near if first <= row.booked_on <= last]
    strays = list(rows.scan(STRAYS, key, at_least=first, at_most=last))
    if not strays:
        return found
    # Some of them may not be so far off that they were not met.
    return sorted({*found, *(rows.get(TRANSACTIONS, key, stray.newest, stray.id) for stray in strays)})


# The answer of a row


def _rows(batch: Batch, days: list[int], key: bytes, exponent: int) -> list[tuple[Any, ...]]:
    """A batch as rows of `TRANSACTIONS`. A rebuild spends its time here, so columns are read as they are."""
    ids = [batch.ids[start : start + ID_SIZE] for start in range(0, len(batch.ids), ID_SIZE)]
    digests = [batch.digests[at : at + DIGEST_SIZE] for at in range(0, len(batch.digests), DIGEST_SIZE)]
    return [
        (
            key,
            -day,
            id,
            reference,
            digest,
            booked_on,
            amount,
            kind,
            root,
            _BODY % (*name, number, initiated, value, wording, type),
        )
        for (
            id,
            day,
            reference,
            digest,
            booked_on,
            amount,
            kind,
            root,
            name,
            number,
            initiated,
            value,
            wording,
            type,
        ) in zip(
            ids,
            days,
            batch.references,
            digests,
            batch.booked_on,
            batch.amounts,
            batch.kinds,
            map(label_root, batch.wordings),
            _UUID_PARTS.iter_unpack(hexlify(batch.ids)),
            _numbers(batch.amounts, exponent),
            map(_quoted_time, batch.initiated_on),
            map(_day_text, days),
            map(_json, batch.wordings),
            map(_type_text, batch.kinds),
            strict=True,
        )
    ]


@lru_cache(maxsize=16_384)
def _day_text(day: int) -> bytes:
    return day_text(day).encode()


@lru_cache(maxsize=16_384)
def _quoted_time(day: int | None) -> bytes:
    return b"null" if day is None else b'"%s 00:00:00"' % day_text(day).encode()


@lru_cache(maxsize=1_024)
def _type_text(kind: str) -> bytes:
    return type_of(kind).encode()


def _numbers(amounts: list[int | None], exponent: int) -> list[bytes]:
    """Amounts as JSON numbers in major units, with exactly the currency's decimals."""
    if exponent == 0:
        return [b"null" if amount is None else b"%d" % amount for amount in amounts]
    # A digit before the point, and the sign.
    credit, debit = b"%%0%dd" % (exponent + 1), b"%%0%dd" % (exponent + 2)
    return [
        b"null"
        if amount is None
        else (text := (credit if amount >= 0 else debit) % amount)[:-exponent] + b"." + text[-exponent:]
        for amount in amounts
    ]


def expand(account: Account, bodies: Sequence[bytes]) -> list[bytes]:
    """The answers of rows of an account: `answers.BankTransaction` as JSON."""
    if not bodies:
        return []
    # No control character stands in JSON text, so that marks can't be mistaken.
    text = b"\x00".join(bodies)
    text = text.replace(b"\x01", b'","account_id":%s,"amount":' % _json(account.id))
    text = text.replace(b"\x02", b',"currency":%s,"initiated_at":' % _json(account.currency))
    text = text.replace(b"\x03", b',"value_date":"')
    text = text.replace(b"\x04", b' 00:00:00","description":')
    text = text.replace(b"\x05", b',"transaction_type":"')
    tail = b'","provider_name":%s,"data_connection_id":%s}' % (
        _json(account.provider),
        _json(account.connection),
    )
    text = text.replace(b"\x00", tail + b'\x00{"id":"')
    return (b'{"id":"' + text + tail).split(b"\x00")
