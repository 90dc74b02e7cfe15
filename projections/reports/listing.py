"""The rows that a report is of: those of some accounts in a window, filtered, put in order and cut into pages.

Booked rows are `PROCESSED`; those that a bank has not booked, and those that whoever brought them calls something
else, are listed only where their state is asked for. The window is one of booking days.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from domain.categories.categorise import read_labels
from domain.categories.tree import Brand, Category, brand_of, categories_of
from domain.insights.figures import Window
from domain.row_details import PENDING as PENDING_STATE
from domain.row_details import PROCESSED, UNKNOWN, RowDetails
from projections import labelling, pending, shown, uploads
from projections.accounts import Account, key_of
from projections.answers import Amount
from projections.bodies import wording_in
from projections.kinds import type_of
from projections.ports import Rows
from projections.reports.shapes import (
    BankReferences,
    BankTransactionCode,
    BrandName,
    CategorizedTransaction,
    CategoryName,
    CounterParty,
    HolderAddress,
    given,
)
from projections.times import day_text
from projections.uploads import Shown

DEBIT, CREDIT = "DEBIT", "CREDIT"
#: A filter: debits, and what moved nothing.
DEBIT_AND_ZERO = "DEBIT_AND_ZERO"

# What rows are put in order by.
AMOUNT, AMOUNT_WITH_TYPE, DATE, CATEGORY, BRAND = "AMOUNT", "AMOUNT_WITH_TYPE", "DATE", "CATEGORY", "BRAND"

#: By the contract's type of a row its method, where that was not stated.
_METHODS = {"ORDER": "DIRECT_DEBIT", "TRANSFER": "TRANSFER"}

_text = msgspec.json.Decoder(str | None).decode


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows are listed. What is empty or None asks for nothing."""

    states: frozenset[str] = frozenset({PROCESSED})
    only_main_category: bool = False
    """Of each row its first category counts alone, and is shown alone."""
    type: str | None = None
    """`DEBIT`, `CREDIT` or `DEBIT_AND_ZERO`."""
    min_amount: int | None = None
    """In minor units, without sign, as is the next one."""
    max_amount: int | None = None
    ids: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    """With all that belong to them: a row with one of them is listed."""
    excluded_categories: frozenset[str] = frozenset()
    """The same: a row with one of them is not."""
    brands: frozenset[str] = frozenset()
    labels: Mapping[str, frozenset[str]] = {}
    """By key the values, one of which it must have."""
    excluded_labels: Mapping[str, frozenset[str]] = {}
    """By key the values, none of which it may have."""

    def let_pass(self, entry: Entry) -> bool:
        ids = {category.id for category in entry.categories}
        return (
            entry.state in self.states
            and (self.type is None or self._is_of_type(entry))
            and (
                self.min_amount is None or (entry.amount is not None and abs(entry.amount) >= self.min_amount)
            )
            and (
                self.max_amount is None or (entry.amount is not None and abs(entry.amount) <= self.max_amount)
            )
            and (not self.ids or entry.name in self.ids)
            and (not self.categories or not ids.isdisjoint(self.categories))
            and ids.isdisjoint(self.excluded_categories)
            and (not self.brands or (entry.brand is not None and entry.brand.id in self.brands))
            and all(entry.labels.get(key) in values for key, values in self.labels.items())
            and not any(entry.labels.get(key) in values for key, values in self.excluded_labels.items())
        )

    def _is_of_type(self, entry: Entry) -> bool:
        return entry.type == self.type or (
            self.type == DEBIT_AND_ZERO and (entry.type == DEBIT or entry.amount == 0)
        )


class Order(NamedTuple):
    field: str
    descending: bool = False


class Entry(NamedTuple):
    """A row that may be listed."""

    account: Shown
    id: bytes
    name: str
    """The id that a client knows it by."""
    booked_on: int
    value_on: int
    amount: int | None
    kind: str
    state: str
    categories: tuple[Category, ...]
    brand: Brand | None
    said: RowDetails
    body: bytes

    @property
    def type(self) -> str | None:
        """One of zero is a credit: a filter asks for debits with what is zero, and so that is none of them."""
        if self.amount is None:
            return None
        return DEBIT if self.amount < 0 else CREDIT

    @property
    def labels(self) -> Mapping[str, str]:
        """What a client calls it."""
        return self.said.labels


def listed(rows: Rows, accounts: Iterable[Shown], window: Window, filters: Filters) -> list[Entry]:
    """The rows of accounts that pass, the newest booking first, then by id."""
    found = [
        entry
        for account in accounts
        for entry in _entries(rows, account, window, filters)
        if filters.let_pass(entry)
    ]
    found.sort(key=lambda entry: (-entry.booked_on, entry.id))
    return found


def _entries(rows: Rows, account: Shown, window: Window, filters: Filters) -> Iterator[Entry]:
    held = account.account
    for row in shown.booked_between(rows, key_of(held.id), window.first, window.last):
        yield _entry(row, -row.newest, PROCESSED, account, filters)
    if filters.states != {PROCESSED}:
        for row in rows.scan(pending.PENDING, key_of(held.source)):
            if window.holds(row.booked_on):
                yield _entry(row, row.value_day, PENDING_STATE, account, filters)


def _entry(row: Any, value_on: int, state: str, account: Shown, filters: Filters) -> Entry:
    said, labels = labelling.read(row.more), read_labels(row.labels)
    categories = categories_of((label.name for label in labels), said.category_ids)
    brand = next((label.brand for label in labels if label.brand), "")
    return Entry(
        account=account,
        id=row.id,
        name=name_of(account.account, row.id, row.reference),
        booked_on=row.booked_on,
        value_on=value_on,
        amount=row.amount,
        kind=row.kind,
        state=said.state or state,
        categories=categories[:1] if filters.only_main_category else categories,
        brand=brand_of(brand) if brand else None,
        said=said,
        body=row.body,
    )


def name_of(account: Account, id: bytes, reference: str) -> str:
    """The id that a client knows a row by: its own of what it brought, ours of all others."""
    return reference if account.provider == uploads.PROVIDER else str(UUID(bytes=id))


# Order


_KEYS: Mapping[str, Callable[[Entry], Any]] = {
    AMOUNT: lambda entry: None if entry.amount is None else abs(entry.amount),
    AMOUNT_WITH_TYPE: lambda entry: entry.amount,
    DATE: lambda entry: entry.booked_on,
    CATEGORY: lambda entry: entry.categories[0].name,
    BRAND: lambda entry: None if entry.brand is None else entry.brand.name,
}


def in_order(entries: Sequence[Entry], orders: Sequence[Order]) -> list[Entry]:
    """Put rows in order, the first of `orders` first; what it leaves open stays as it was. Rows without a value come
    last, in either direction."""
    return sort_by(entries, orders, _KEYS)


def sort_by(
    items: Sequence[Any], orders: Sequence[Order], keys: Mapping[str, Callable[[Any], Any]]
) -> list[Any]:
    found = list(items)
    for order in reversed(orders):
        key = keys[order.field]
        found = [
            *sorted((item for item in found if key(item) is not None), key=key, reverse=order.descending),
            *(item for item in found if key(item) is None),
        ]
    return found


def page_of(entries: Sequence[Entry], size: int | None, offset: int) -> Sequence[Entry]:
    """`size` rows after the first `offset`; without a size all of them."""
    return entries[offset:] if size is None else entries[offset : offset + size]


# Answers


def shaped(entry: Entry) -> CategorizedTransaction:
    said = entry.said
    return CategorizedTransaction(
        insights_transaction_id=entry.name,
        insights_account_id=entry.account.name,
        value_date=day_text(entry.value_on),
        booking_date=day_text(entry.booked_on),
        amount=given(
            None if entry.amount is None else Amount(abs(entry.amount), entry.account.account.currency)
        ),
        type=given(entry.type),
        state=entry.state,
        method=said.method or _METHODS.get(type_of(entry.kind), UNKNOWN),
        reference=given(said.reference or _text(wording_in(entry.body)) or None),
        bank_references=_references(said),
        bank_transaction_code=_code(said),
        counter_party=_counter_party(said),
        categories=category_names(entry.categories),
        brand=given(None if entry.brand is None else BrandName(id=entry.brand.id, name=entry.brand.name)),
        labels=given(dict(said.labels) or None),
    )


def category_names(categories: Iterable[Category]) -> list[CategoryName]:
    return [CategoryName(id=category.id, name=category.name) for category in categories]


def _references(said: RowDetails) -> BankReferences | msgspec.UnsetType:
    if not (said.unstructured or said.structured or said.end_to_end):
        return msgspec.UNSET
    return BankReferences(
        unstructured=given(said.unstructured),
        structured=given(said.structured),
        end_to_end=given(said.end_to_end),
    )


def _code(said: RowDetails) -> BankTransactionCode | msgspec.UnsetType:
    if not (said.code or said.sub_code or said.code_description):
        return msgspec.UNSET
    return BankTransactionCode(
        code=given(said.code), sub_code=given(said.sub_code), description=given(said.code_description)
    )


def _counter_party(said: RowDetails) -> CounterParty | msgspec.UnsetType:
    side = said.counterparty
    if side is None:
        return msgspec.UNSET
    return CounterParty(
        iban=given(side.iban),
        account_number=given(side.number),
        bic=given(side.bic),
        bank_code=given(side.bank_code),
        holder_name=given(side.name),
        holder_address=given(None if side.country is None else HolderAddress(country=side.country)),
    )
