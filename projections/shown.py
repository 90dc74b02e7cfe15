"""The booked rows that are shown of each account, in the order in which they are asked for, and how many there are.

The paged table holds them newest value day first. Whatever is made of them moves with them here: counts and
the months of `cashflow`. Pending rows are in none of these.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from operator import add, itemgetter
from typing import Any, NamedTuple

from domain.insights.months import month_of
from projections import cashflow
from projections.kinds import type_of
from projections.ports import Index, Rows, Table

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
    """The parts of the answer, between marks: see `bodies`."""
    seen_at: int
    """When it was recorded first, as microseconds since 1970 in UTC. An edit does not change that; a row that was
    removed and came back is new."""
    labels: str
    """What it is for, as `domain.categories.categorise.write_labels` has it."""
    more: bytes
    """`domain.row_details.RowDetails` as MessagePack; empty where it says nothing."""


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
COUNTS = Table("transaction_counts", Count, key=3)
STRAYS = Table("stray_transactions", Stray, key=4)
TABLES = (TRANSACTIONS, COUNTS, STRAYS)

_kind_and_newest = itemgetter(*map(Transaction._fields.index, ("kind", "newest")))
_amount_part = itemgetter(*map(Transaction._fields.index, ("booked_on", "amount")))
_newest = itemgetter(Transaction._fields.index("newest"))
_booked_on = itemgetter(Transaction._fields.index("booked_on"))


def move(came: Sequence[tuple[Any, ...]], went: Sequence[Transaction], key: bytes, rows: Rows) -> None:
    """Take rows of an account off, and put others in, with all that is counted of them.

    What came is written fastest in the order of the table's key. What went must be there.
    """
    for row in went:
        rows.delete(TRANSACTIONS, *row[:3])
        if _is_stray(row.booked_on, row.newest):
            rows.delete(STRAYS, key, row.booked_on, row.newest, row.id)
    if came:
        rows.put_many(TRANSACTIONS, came)
        if max(map(abs, map(add, map(_newest, came), map(_booked_on, came)))) > STRAY_DAYS:
            for _, newest, id, _, _, booked_on, *_ in came:
                if _is_stray(booked_on, newest):
                    rows.put(STRAYS, Stray(key, booked_on, newest, id))
    _count(came, went, key, rows)
    cashflow.move(map(_amount_part, came), map(_amount_part, went), key, rows)


def forget(key: bytes, rows: Rows) -> None:
    """Drop all that was shown of an account."""
    for table in (*TABLES, cashflow.MONTHS):
        rows.delete(table, key)


def _is_stray(booked_on: int, newest: int) -> bool:
    return abs(booked_on + newest) > STRAY_DAYS


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


def held(rows: Rows, key: bytes, references: Sequence[str]) -> list[Transaction]:
    """The booked rows of an account that have these references."""
    return list(rows.among(TRANSACTIONS, key, values=references, index="by_reference"))


def is_booked_since(rows: Rows, key: bytes, since: int | None) -> bool:
    """Whether any row of an account was booked on this day or later; None for ever."""
    if since is None:
        return next(iter(rows.scan(TRANSACTIONS, key)), None) is not None
    near = rows.scan(TRANSACTIONS, key, at_most=-(since - STRAY_DAYS))
    strays = rows.scan(STRAYS, key, at_least=since)
    return any(row.booked_on >= since for row in near) or next(iter(strays), None) is not None


def booked_between(rows: Rows, key: bytes, first: int, last: int) -> list[Transaction]:
    """The rows of an account that were booked in these days, newest value day first, then by id."""
    near = rows.scan(TRANSACTIONS, key, at_least=-(last + STRAY_DAYS), at_most=-(first - STRAY_DAYS))
    found = [row for row in near if first <= row.booked_on <= last]
    strays = list(rows.scan(STRAYS, key, at_least=first, at_most=last))
    if not strays:
        return found
    # Some of them may not be so far off that they were not met.
    return sorted({*found, *(rows.get(TRANSACTIONS, key, stray.newest, stray.id) for stray in strays)})
