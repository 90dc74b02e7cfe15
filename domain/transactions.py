"""Bank transactions: one row, and a batch of rows kept column by column.

A batch is what `TransactionsFetched` stores. To the domain it is one value that can be read row by row or
column by column; on disk it is small, because a column compresses and a constant column is one value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from hashlib import blake2b
from typing import Any

import msgspec

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
ID_SIZE = 16
DIGEST_SIZE = 8

#: Provider fields that say when a row was touched, not what it is: a change of these alone is no edit.
BOOKKEEPING_FIELDS = frozenset({"last_update", "date_scraped", "last_seen", "datetime_scraped"})

_encode = msgspec.msgpack.Encoder(order="deterministic").encode


def day_of(value: date) -> int:
    """A civil day as days since 1970-01-01."""
    return value.toordinal() - EPOCH_ORDINAL


def date_of(day: int) -> date:
    return date.fromordinal(day + EPOCH_ORDINAL)


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as the provider shows it. Days are civil dates, as days since 1970-01-01."""

    reference: str
    """The provider's id."""
    booked_on: int
    initiated_on: int | None = None
    value_on: int | None = None
    amount: int | None = None
    """Signed minor units of the account's currency; None where the source gave none."""
    amount_text: str | None = None
    """The source's own text, where minor units would not hold it exactly."""
    kind: str = "unknown"
    """The provider's type, raw."""
    wording: str | None = None
    pending: bool = False
    deleted: bool = False
    """The bank took it back."""
    fields: Mapping[str, Any] = {}
    """Everything else the provider gave, under its own names."""
    seen_at: datetime | None = None
    """When the provider first saw the row; not part of what it says."""
    touched_at: datetime | None = None
    """When the provider last touched the row; not part of what it says."""

    def digest(self) -> bytes:
        """A digest of what the row says: equal rows have equal digests, bookkeeping aside."""
        said = (
            self.booked_on,
            self.initiated_on,
            self.value_on,
            self.amount,
            self.amount_text,
            self.kind,
            self.wording,
            self.pending,
            {name: value for name, value in self.fields.items() if name not in BOOKKEEPING_FIELDS},
        )
        return blake2b(_encode(said), digest_size=DIGEST_SIZE).digest()


class Batch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Rows column by column, sorted by `booked_on`."""

    ids: bytes = b""
    """Our ids, 16 bytes each."""
    digests: bytes = b""
    """`Transaction.digest`, 8 bytes each."""
    references: list[str] = []
    booked_on: list[int] = []
    initiated_on: list[int | None] = []
    value_on: list[int | None] = []
    amounts: list[int | None] = []
    amount_texts: dict[int, str] = {}
    kinds: list[str] = []
    wordings: list[str | None] = []
    pending: list[int] = []
    """The indices of the rows that are pending."""
    fields: dict[str, list[Any]] = {}
    """A column per provider field; one with a single value holds for all rows."""
    absent: dict[str, list[int]] = {}
    """The indices of the rows that a provider field was not given for."""
    pending_times: dict[int, tuple[datetime | None, datetime | None]] = {}
    """Of pending rows, by index: when the provider first saw and last touched each."""

    def __len__(self) -> int:
        return len(self.references)

    def id(self, index: int) -> bytes:
        return self.ids[index * ID_SIZE : (index + 1) * ID_SIZE]

    def digest(self, index: int) -> bytes:
        return self.digests[index * DIGEST_SIZE : (index + 1) * DIGEST_SIZE]

    def rows(self) -> Iterator[tuple[bytes, Transaction]]:
        """Each row with our id of it."""
        pending = frozenset(self.pending)
        absent = {name: frozenset(indices) for name, indices in self.absent.items()}
        size = len(self)
        columns = {
            name: column if len(column) == size else column * size for name, column in self.fields.items()
        }
        for index in range(size):
            fields = {
                name: column[index]
                for name, column in columns.items()
                if name not in absent or index not in absent[name]
            }
            seen_at, touched_at = self.pending_times.get(index, (None, None))
            yield (
                self.id(index),
                Transaction(
                    reference=self.references[index],
                    booked_on=self.booked_on[index],
                    initiated_on=self.initiated_on[index],
                    value_on=self.value_on[index],
                    amount=self.amounts[index],
                    amount_text=self.amount_texts.get(index),
                    kind=self.kinds[index],
                    wording=self.wordings[index],
                    pending=index in pending,
                    fields=fields,
                    seen_at=seen_at,
                    touched_at=touched_at,
                ),
            )


EMPTY = Batch()


class Bookings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Pending rows that the bank booked under other ids, column by column."""

    pending_ids: bytes = b""
    pending_references: list[str] = []
    booked_ids: bytes = b""
    booked_references: list[str] = []
    rules: list[str] = []
    """What each pair rests on: a name of `domain.pending`."""
    scores: list[int] = []
    """How sure that is, from 0 to 100."""

    def __len__(self) -> int:
        return len(self.rules)

    def pairs(self) -> Iterator[tuple[bytes, str, bytes, str]]:
        """The id and reference of each pending row, and of the booked one it became."""
        for index in range(len(self)):
            at = slice(index * ID_SIZE, (index + 1) * ID_SIZE)
            yield (
                self.pending_ids[at],
                self.pending_references[index],
                self.booked_ids[at],
                self.booked_references[index],
            )


def batch_of(rows: Sequence[tuple[bytes, Transaction]]) -> Batch:
    """Put rows, each with our id, into columns."""
    rows = sorted(rows, key=lambda row: row[1].booked_on)
    transactions = [transaction for _, transaction in rows]
    names = sorted({name for transaction in transactions for name in transaction.fields})
    fields: dict[str, list[Any]] = {}
    absent: dict[str, list[int]] = {}
    for name in names:
        column = [transaction.fields.get(name) for transaction in transactions]
        missing = [index for index, transaction in enumerate(transactions) if name not in transaction.fields]
        if missing:
            absent[name] = missing
        fields[name] = column[:1] if _is_constant(column) else column
    return Batch(
        ids=b"".join(id for id, _ in rows),
        digests=b"".join(transaction.digest() for transaction in transactions),
        references=[transaction.reference for transaction in transactions],
        booked_on=[transaction.booked_on for transaction in transactions],
        initiated_on=[transaction.initiated_on for transaction in transactions],
        value_on=[transaction.value_on for transaction in transactions],
        amounts=[transaction.amount for transaction in transactions],
        amount_texts={
            index: transaction.amount_text
            for index, transaction in enumerate(transactions)
            if transaction.amount_text is not None
        },
        kinds=[transaction.kind for transaction in transactions],
        wordings=[transaction.wording for transaction in transactions],
        pending=[index for index, transaction in enumerate(transactions) if transaction.pending],
        fields=fields,
        absent=absent,
        pending_times={
            index: (transaction.seen_at, transaction.touched_at)
            for index, transaction in enumerate(transactions)
            if transaction.pending and (transaction.seen_at or transaction.touched_at)
        },
    )


def _is_constant(column: list[Any]) -> bool:
    first = column[0]
    # 1, 1.0 and True are equal to Python and different to a reader of the log.
    return all(value == first and type(value) is type(first) for value in column)
