"""What facts say of transactions: which rows came, which went, which are pending and what became of them.

The booked rows of an account are in `shown`, those that are not booked in `pending`. Answers are put together here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from domain import streams
from domain.consumer_account import BookingUndone, Known, TransactionsFetched
from domain.fact import Recorded
from domain.pending import Pendings
from domain.streams import Stream
from domain.transactions import DIGEST_SIZE, ID_SIZE, Batch
from projections import labelling, merging, pending, shown
from projections.accounts import Account, key_of
from projections.bodies import bodies, expand, value_days
from projections.erasure import forgotten, stream_of
from projections.labels import label_root
from projections.linking import SOURCES, Source, members_of, source_by_id
from projections.pending import BOOKINGS, PENDING, REMOVED
from projections.ports import Rows
from projections.times import micros

# Facts


def project(recorded: Recorded, rows: Rows) -> None:
    """Fold one fact into the transactions of a source, and of the account that it is shown in."""
    gone = forgotten(recorded)
    if gone is not None:
        _forget(gone, rows)
        return
    fact = recorded.fact
    if not isinstance(fact, TransactionsFetched | BookingUndone):
        return
    stream = stream_of(recorded.stream)
    source = rows.get(SOURCES, stream.tenant, stream.consumer, stream.id)
    if source is None:
        return
    key = key_of(source.id)
    if isinstance(fact, BookingUndone):
        pending.undo(fact, key, rows)
        return
    went = booked_rows(rows, source, (*fact.modified.references, *fact.removed.references))
    came = _fold(fact, went, micros(recorded.recorded_at), key, source.exponent, rows)
    if source.apart:
        merging.bring(source, map(merging.told_of, came), went, rows)
    else:
        shown.move(came, went, key, rows)


def _forget(gone: Stream, rows: Rows) -> None:
    """Drop the rows of a source, or of all sources of a consumer, and what they were shown as. An account that has
    other sources is put together without this one afterwards."""
    match gone.aggregate:
        case streams.CONSUMER:
            sources = list(rows.scan(SOURCES, gone.tenant, gone.consumer))
        case streams.CONSUMER_ACCOUNT:
            source = rows.get(SOURCES, gone.tenant, gone.consumer, gone.id)
            sources = [] if source is None else [source]
        case _:
            return
    for account in {source.account for source in sources}:
        shown.forget(key_of(account), rows)
    for source in sources:
        pending.forget(key_of(source.id), rows)
        merging.forget(key_of(source.id), rows)


def _fold(
    fact: TransactionsFetched, went: Sequence[Any], seen_at: int, key: bytes, exponent: int, rows: Rows
) -> list[tuple[Any, ...]]:
    """Fold a fact into what is kept of a source's rows that are not booked, and return those that are.

    `went` are the booked rows that it takes out.
    """
    came: list[tuple[Any, ...]] = []
    digests = {row.reference: row.digest for row in went}
    # What is edited was seen when it first came.
    seen = {row.reference: row.seen_at for row in went}
    for batch in (fact.added, fact.restored, fact.modified):
        if batch.references:
            # Earlier facts have rows that came back among the added ones.
            pending.come_back(batch.references, key, rows)
            if batch is fact.modified:
                pending.take(batch.references, key, rows)
            of_edited = seen if batch is fact.modified else {}
            came += _booked(batch, of_edited, seen_at, key, exponent, rows)
    if fact.removed:
        pending.remove(fact.removed.ids, fact.removed.references, digests, key, rows)
    if fact.booked:
        pending.book(fact.booked, key, rows)
    if fact.expired:
        pending.remove(fact.expired.ids, fact.expired.references, {}, key, rows)
    return came


def _booked(
    batch: Batch, seen: Mapping[str, int], seen_at: int, key: bytes, exponent: int, rows: Rows
) -> list[tuple[Any, ...]]:
    """The booked rows of a batch, in the order of their table's key; its pending rows are kept.

    `seen` says by reference when rows were seen first; those that are not in it are seen now.
    """
    told = _rows(batch, seen, seen_at, key, exponent)
    if batch.pending:
        pending.hold(batch, told, rows)
        apart = frozenset(batch.pending)
        told = [row for index, row in enumerate(told) if index not in apart]
    # A batch is sorted by day; the table's key runs the other way.
    told.reverse()
    return told


def _rows(
    batch: Batch, seen: Mapping[str, int], seen_at: int, key: bytes, exponent: int
) -> list[tuple[Any, ...]]:
    """A batch as rows of `TRANSACTIONS`. A rebuild spends its time here, so columns are read as they are."""
    days = value_days(batch)
    ids = [batch.ids[start : start + ID_SIZE] for start in range(0, len(batch.ids), ID_SIZE)]
    digests = [batch.digests[at : at + DIGEST_SIZE] for at in range(0, len(batch.digests), DIGEST_SIZE)]
    details = labelling.details_of(batch)
    return [
        (key, -day, id, reference, digest, booked_on, amount, kind, root, body, at, labels, more)
        for day, id, reference, digest, booked_on, amount, kind, root, body, at, labels, more in zip(
            days,
            ids,
            batch.references,
            digests,
            batch.booked_on,
            batch.amounts,
            batch.kinds,
            map(label_root, batch.wordings),
            bodies(batch, days, exponent),
            [seen.get(reference, seen_at) for reference in batch.references],
            labelling.labels_of(batch, details),
            map(labelling.written, details),
            strict=True,
        )
    ]


# What the use cases ask


def booked_rows(rows: Rows, source: Source, references: Sequence[str]) -> Sequence[Any]:
    """The booked rows of a source that have these references, wherever they are kept: `shown.Transaction` or
    `merging.Told`."""
    if not references:
        return []
    if source.apart:
        return merging.held(rows, key_of(source.id), references)
    return shown.held(rows, key_of(source.id), references)


def known(rows: Rows, tenant: str, source_id: str, references: Sequence[str]) -> Mapping[str, Known]:
    """What is held of these rows of a source; rows never recorded are left out."""
    source = source_by_id(rows, tenant, source_id)
    if source is None:
        return {}
    key = key_of(source_id)
    # A row stands in one of these only.
    found = {
        row.reference: Known(row.id, row.digest, removed=True)
        for row in rows.among(REMOVED, key, values=references)
    }
    for held in (rows.among(PENDING, key, values=references), booked_rows(rows, source, references)):
        found.update((row.reference, Known(row.id, row.digest)) for row in held)
    return found


def holds_booked(rows: Rows, tenant: str, source_id: str, since: int | None) -> bool:
    """Whether a source holds any row that was booked on `since` or later; None for ever."""
    source = source_by_id(rows, tenant, source_id)
    if source is None:
        return False
    key = key_of(source_id)
    if source.apart:
        return next(iter(rows.scan(merging.TOLD, key, at_least=since)), None) is not None
    return shown.is_booked_since(rows, key, since)


def pendings(rows: Rows, tenant: str, source_id: str) -> Pendings:
    """What is held of the pending rows of a source, and what they must not be paired with."""
    if source_by_id(rows, tenant, source_id) is None:
        return Pendings()
    return pending.pendings(rows, key_of(source_id))


def booking(rows: Rows, tenant: str, source_id: str, pending_id: bytes) -> pending.Booking | None:
    """The pair of a pending row of a source and the booked one that it is said to have become."""
    if source_by_id(rows, tenant, source_id) is None:
        return None
    return pending.booking(rows, key_of(source_id), pending_id)


# What the doors ask


class Booked(NamedTuple):
    """A booked row that is shown, and the pending one that is said to have become it."""

    source: str
    """The source that had both: what the pair can be undone in."""
    booked_id: bytes
    """As it is shown."""
    pending_id: bytes
    rule: str
    """What the pair rests on: a name of `domain.pending`."""
    score: int
    """How sure that is, from 0 to 100."""


def pending_rows(rows: Rows, account: Account) -> list[bytes]:
    """The pending rows of an account, which are those of its leading source, as `answers.PendingTransaction` in JSON:
    newest value day first, then by id.

    They are counted nowhere, and their days may change until they are booked.
    """
    rows_of_source = rows.scan(PENDING, key_of(account.source))
    waiting = [row for row in rows_of_source if not labelling.read(row.more).was_dropped]
    held = sorted(waiting, key=lambda row: (-row.value_day, row.id))
    return expand(account, [row.body for row in held], more=b',"pending":true')


def bookings_of(rows: Rows, account: Account) -> list[Booked]:
    """The booked rows of an account that were pending under another id, source by source, by the day of the pending
    row. What is not shown is left out."""
    found: list[Booked] = []
    for source in members_of(rows, account.tenant, account.consumer, account.id):
        pairs = list(rows.scan(BOOKINGS, key_of(source.id)))
        ids = _shown_ids(rows, source, [pair.booked_reference for pair in pairs])
        found += [
            Booked(source.id, ids[pair.booked_reference], pair.pending_id, pair.rule, pair.score)
            for pair in pairs
            if pair.booked_reference in ids
        ]
    return found


def _shown_ids(rows: Rows, source: Source, references: Sequence[str]) -> Mapping[str, bytes]:
    """Under which ids the booked rows of a source are shown, by reference; those that are not shown are left out."""
    if source.apart:
        return merging.shown_ids(rows, source, references)
    return {row.reference: row.id for row in booked_rows(rows, source, references)}
