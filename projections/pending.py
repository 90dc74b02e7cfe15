"""Pending rows of each source, what became of those that are gone, and what was removed.

They are counted nowhere. Of a row that is gone its reference stays, so that it can come back under its id; of one
that was booked under another id all of it stays, so that the pair can be undone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from domain.consumer_account import BookingUndone, link_of
from domain.pending import Held, Pendings
from domain.transactions import ID_SIZE, Batch, Bookings
from projections.ports import Index, Rows, Table
from projections.times import micros, moment

#: How far from the pending rows that are held, in days, a pair is still looked for when it is asked which
#: booked rows are taken. Those that two pending rows could both have become lie far closer together.
TAKEN_DAYS = 92


class Pending(NamedTuple):
    source: bytes
    reference: str
    id: bytes
    digest: bytes
    value_day: int
    booked_on: int
    amount: int | None
    kind: str
    wording: str | None
    link: str | None
    """The bank's own name of the row, where the provider hands it on."""
    seen_at: int | None
    """When the provider first saw the row."""
    touched_at: int | None
    """When the provider last touched the row."""
    body: bytes
    """The parts of the answer, between marks: see `bodies`."""
    labels: str
    more: bytes
    """As of a booked row: see `shown.Transaction`."""


class Removed(NamedTuple):
    source: bytes
    reference: str
    id: bytes
    digest: bytes


class Booking(NamedTuple):
    """A pending row that is gone, because the bank booked it under another id."""

    source: bytes
    pending_on: int
    """The day that the pending row was said to be booked on."""
    pending_id: bytes
    pending_reference: str
    booked_id: bytes
    booked_reference: str
    rule: str
    """What the pair rests on: a name of `domain.pending`."""
    score: int
    """How sure that is, from 0 to 100."""
    was: bytes
    """The pending row as it was: the rest of a `Pending`, as MessagePack."""


class Apart(NamedTuple):
    """Two rows that somebody said are not the same: they are never paired again."""

    source: bytes
    pending_id: bytes
    booked_id: bytes


PENDING = Table("pending_transactions", Pending, key=2)
REMOVED = Table("removed_transactions", Removed, key=2)
BOOKINGS = Table("bookings", Booking, key=3, indices=(Index("by_pending", ("source", "pending_id")),))
APART = Table("apart_transactions", Apart, key=3)
TABLES = (PENDING, REMOVED, BOOKINGS, APART)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.decode


# Facts


def hold(batch: Batch, rows_of_batch: Sequence[tuple[Any, ...]], rows: Rows) -> None:
    """Keep the pending rows of a batch, given with the others as rows of `shown.TRANSACTIONS`."""
    # At once, so that a number no store holds is met here and not when all is written.
    rows.put_many(PENDING, [_pending(batch, index, rows_of_batch[index]) for index in batch.pending])


def _pending(batch: Batch, index: int, row: tuple[Any, ...]) -> Pending:
    key, newest, id, reference, digest, booked_on, amount, kind, _, body, _, labels, more = row
    seen_at, touched_at = batch.pending_times.get(index, (None, None))
    return Pending(
        source=key,
        reference=reference,
        id=id,
        digest=digest,
        value_day=-newest,
        booked_on=booked_on,
        amount=amount,
        kind=kind,
        wording=batch.wordings[index],
        link=link_of({"webid": _field(batch, "webid", index)}),
        seen_at=_micros(seen_at),
        touched_at=_micros(touched_at),
        body=body,
        labels=labels,
        more=more,
    )


def _field(batch: Batch, name: str, index: int) -> Any:
    """What a row of a batch has in a provider's field; None where it has none."""
    column = batch.fields.get(name, [None])
    return column[index if len(column) == len(batch) else 0]


def come_back(references: Sequence[str], key: bytes, rows: Rows) -> None:
    """These rows of a source are there: they are not removed, and no pair is made of them, if they were."""
    if next(iter(rows.scan(REMOVED, key)), None) is None:
        return
    for removed in list(rows.among(REMOVED, key, values=references)):
        rows.delete(REMOVED, key, removed.reference)
        _unpair(removed.id, key, rows)


def take(references: Iterable[str], key: bytes, rows: Rows) -> None:
    """Take pending rows out, as if they had never been there."""
    for reference in references:
        rows.delete(PENDING, key, reference)


def remove(
    ids: bytes, references: Sequence[str], digests: Mapping[str, bytes], key: bytes, rows: Rows
) -> None:
    """Take rows out and keep their references; `digests` are those of the booked ones, by reference."""
    for index, reference in enumerate(references):
        held = rows.get(PENDING, key, reference)
        digest = digests.get(reference, b"" if held is None else held.digest)
        rows.put(REMOVED, Removed(key, reference, ids[index * ID_SIZE : (index + 1) * ID_SIZE], digest))
    take(references, key, rows)


def book(bookings: Bookings, key: bytes, rows: Rows) -> None:
    """Take out pending rows that were booked under other ids, and keep what they were."""
    for index, (id, reference, booked_id, booked_reference) in enumerate(bookings.pairs()):
        held = rows.get(PENDING, key, reference)
        if held is None:
            continue
        rows.delete(PENDING, key, reference)
        rows.put(REMOVED, Removed(key, reference, id, held.digest))
        rows.put(
            BOOKINGS,
            Booking(
                source=key,
                pending_on=held.booked_on,
                pending_id=id,
                pending_reference=reference,
                booked_id=booked_id,
                booked_reference=booked_reference,
                rule=bookings.rules[index],
                score=bookings.scores[index],
                was=_encode(held[1:]),
            ),
        )


def undo(fact: BookingUndone, key: bytes, rows: Rows) -> None:
    """Let a pending row be pending again, as it was, and keep the two apart from now on."""
    rows.put(APART, Apart(key, fact.pending_id, fact.booked_id))
    held = booking(rows, key, fact.pending_id)
    if held is not None and held.booked_id == fact.booked_id:
        rows.put(PENDING, Pending(key, *_decode(held.was)))
        rows.delete(REMOVED, key, held.pending_reference)
        rows.delete(BOOKINGS, *held[: BOOKINGS.key])


def _unpair(id: bytes, key: bytes, rows: Rows) -> None:
    held = booking(rows, key, id)
    if held is not None:
        rows.delete(BOOKINGS, *held[: BOOKINGS.key])


def forget(key: bytes, rows: Rows) -> None:
    """Drop all that is kept of a source here."""
    for table in TABLES:
        rows.delete(table, key)


# What others ask


def booking(rows: Rows, key: bytes, pending_id: bytes) -> Booking | None:
    """The pair that a pending row of a source is in."""
    return next(iter(rows.find(BOOKINGS, "by_pending", key, pending_id)), None)


def pendings(rows: Rows, key: bytes) -> Pendings:
    """The pending rows of a source, and what a new pair of theirs must not be made of.

    Taken are the booked rows of pairs whose pending row lay within `TAKEN_DAYS` of one that is held.
    """
    held = list(rows.scan(PENDING, key))
    if not held:
        return Pendings()
    days = [row.booked_on for row in held]
    near = rows.scan(BOOKINGS, key, at_least=min(days) - TAKEN_DAYS, at_most=max(days) + TAKEN_DAYS)
    return Pendings(
        rows=tuple(map(_held, held)),
        taken=frozenset(row.booked_id for row in near),
        apart=frozenset((row.pending_id, row.booked_id) for row in rows.scan(APART, key)),
    )


def _held(row: Pending) -> Held:
    return Held(
        id=row.id,
        reference=row.reference,
        booked_on=row.booked_on,
        amount=row.amount,
        wording=row.wording,
        link=row.link,
        seen_at=_moment(row.seen_at),
        touched_at=_moment(row.touched_at),
        digest=row.digest,
    )


def _micros(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def _moment(at: int | None) -> datetime | None:
    return None if at is None else moment(at)
