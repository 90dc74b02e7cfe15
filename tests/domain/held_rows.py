"""What a reader of the facts holds of one source's rows: the plain model that the tests compare with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from domain.consumer_account import (
    BookingUndone,
    Known,
    Removed,
    TransactionsFetched,
    Window,
    link_of,
    record_transactions,
)
from domain.pending import Held, Pendings
from domain.transactions import Batch, Transaction
from tests.domain.examples import ids


class HeldRows:
    """Rows by the provider's id, each with ours; it refuses a fact that cannot follow on those before."""

    def __init__(self) -> None:
        self.shown: dict[str, tuple[bytes, Transaction]] = {}
        self.gone: dict[str, tuple[bytes, Transaction]] = {}
        self.bookings: dict[bytes, bytes] = {}
        """The booked row's id by the pending one's, as far as it stands."""
        self.apart: set[tuple[bytes, bytes]] = set()
        self._new_id = ids()

    # What a decision asks

    def known(self) -> Mapping[str, Known]:
        shown = {reference: Known(id, row.digest()) for reference, (id, row) in self.shown.items()}
        gone = {
            reference: Known(id, row.digest(), removed=True) for reference, (id, row) in self.gone.items()
        }
        return {**shown, **gone}

    def pendings(self) -> Pendings:
        return Pendings(
            rows=[held_of(id, row) for id, row in self.shown.values() if row.pending],
            taken=frozenset(self.bookings.values()),
            apart=frozenset(self.apart),
        )

    def record(
        self, transactions: Iterable[Transaction], window: Window | None = None
    ) -> tuple[TransactionsFetched, ...]:
        """Decide what is new about these rows, and hold it."""
        facts = record_transactions(transactions, self.known(), self._new_id, self.pendings(), window)
        self.take(*facts)
        return facts

    # What a fact says

    def take(self, *facts: Any) -> None:
        for fact in facts:
            if isinstance(fact, BookingUndone):
                self._undo(fact)
                continue
            self._put(fact.added, new=True)
            self._put(fact.restored, back=True)
            self._put(fact.modified)
            self._drop(fact.removed)
            for pending_id, pending, booked_id, booked in fact.booked.pairs():
                id, row = self.shown.pop(pending)
                assert id == pending_id and row.pending
                assert self.shown[booked][0] == booked_id and not self.shown[booked][1].pending
                assert booked_id not in self.bookings.values(), "one booked row was two pending ones"
                assert (pending_id, booked_id) not in self.apart, "somebody said that they are not the same"
                self.gone[pending] = (id, row)
                self.bookings[pending_id] = booked_id
            self._drop(fact.expired, pending=True)

    def _put(self, batch: Batch, *, new: bool = False, back: bool = False) -> None:
        for id, row in batch.rows():
            if new:
                assert row.reference not in self.shown and row.reference not in self.gone
            elif back:
                assert self.gone.pop(row.reference)[0] == id
                self.bookings.pop(id, None)
            else:
                assert self.shown[row.reference][0] == id
            self.shown[row.reference] = (id, row)

    def _drop(self, rows: Removed, *, pending: bool = False) -> None:
        for index, reference in enumerate(rows.references):
            id, row = self.shown.pop(reference)
            assert id == rows.ids[index * 16 : index * 16 + 16]
            assert row.pending or not pending, "only a pending row expires"
            self.gone[reference] = (id, row)

    def _undo(self, fact: BookingUndone) -> None:
        assert self.bookings.pop(fact.pending_id) == fact.booked_id
        self.apart.add((fact.pending_id, fact.booked_id))
        self.shown[fact.pending_reference] = self.gone.pop(fact.pending_reference)

    # What the tests ask

    def rows(self) -> dict[str, Transaction]:
        return {reference: said(row) for reference, (_, row) in self.shown.items()}

    def ids(self) -> dict[str, bytes]:
        return {reference: id for reference, (id, _) in {**self.shown, **self.gone}.items()}


def said(row: Transaction) -> Transaction:
    """The row without the times at which the provider saw and touched it: they are not part of what it says."""
    return msgspec.structs.replace(row, seen_at=None, touched_at=None)


def held_of(id: bytes, row: Transaction) -> Held:
    return Held(
        id=id,
        reference=row.reference,
        booked_on=row.booked_on,
        amount=row.amount,
        wording=row.wording,
        link=link_of(row.fields),
        seen_at=row.seen_at,
        touched_at=row.touched_at,
        digest=row.digest(),
    )
