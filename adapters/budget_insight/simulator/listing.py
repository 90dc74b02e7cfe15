"""Which transactions a list holds, in which order, and where a page begins and ends."""

import base64
import binascii
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Literal

import msgspec
from msgspec import Struct

from adapters.budget_insight.simulator.bank import Transaction
from adapters.budget_insight.simulator.clock import paris_text
from adapters.budget_insight.simulator.edge import flag
from adapters.budget_insight.simulator.refusals import Refused
from adapters.budget_insight.simulator.render import CURRENCIES

LIMIT_MAX = 1000
OFFSET_MAX = 2**63 - 1

# Newest day first, then the smallest id: the order of the API's own cursors.
Place = tuple[int, int]


class Filters(Struct, frozen=True):
    """What a list leaves out. Two equal filters on unchanged data select the same rows."""

    by_date: Literal["date", "application_date"] = "application_date"
    min_date: str | None = None
    max_date: str | None = None
    updated_after: str | None = None
    everything: bool = False
    deleted: bool | None = None
    income: bool | None = None
    min_value: Decimal | None = None
    max_value: Decimal | None = None
    words: str | None = None

    def admit(self, transaction: Transaction) -> bool:
        row = transaction.row
        if transaction.deleted is not None and not (self.everything or self.deleted):
            return False
        if self.deleted is not None and self.deleted is not (transaction.deleted is not None):
            return False
        if self.updated_after is not None and transaction.last_update <= self.updated_after:
            return False
        if self.min_date or self.max_date:
            day = shown_day(transaction, self.by_date)
            if (self.min_date and day < self.min_date) or (self.max_date and day > self.max_date):
                return False
        if self.income is not None and self.income is not ((row.value or 0) > 0):
            return False
        if self.min_value is not None or self.max_value is not None:
            if row.value is None:
                return False
            precision = CURRENCIES[transaction.account.held.currency].precision
            value = Decimal(row.value).scaleb(-precision)
            if self.min_value is not None and value < self.min_value:
                return False
            if self.max_value is not None and value > self.max_value:
                return False
        return self.words is None or self.words in row.original_wording.casefold()


class Page(Struct, frozen=True):
    """One page; `before` and `after` are cursors to its neighbours, None at either end."""

    transactions: list[Transaction]
    before: str | None
    after: str | None


def read_filters(query: Mapping[str, str]) -> Filters:
    """Read the filters of a query; parameters that are not filters are ignored, as the API does."""
    by_date = query.get("filter") or "application_date"
    if by_date not in ("date", "application_date"):
        raise Refused("invalidValue", "filter is neither date nor application_date.")
    words = query.get("search") or query.get("wording")
    return Filters(
        by_date="date" if by_date == "date" else "application_date",
        min_date=bound(query, "min_date", first=True),
        max_date=bound(query, "max_date", first=False),
        updated_after=moment(query, "last_update"),
        everything=bool(flag(query, "all")),
        deleted=flag(query, "deleted"),
        income=flag(query, "income"),
        min_value=amount(query, "min_value"),
        max_value=amount(query, "max_value"),
        words=words.casefold() if words else None,
    )


def select(transactions: Iterable[Transaction], filters: Filters) -> list[Transaction]:
    return sorted((t for t in transactions if filters.admit(t)), key=place)


def cut(selected: list[Transaction], *, limit: int, offset: int, cursor: str | None) -> Page:
    """Cut a page out of a list. A cursor holds its place when rows come and go; an offset does not."""
    start = min(offset, len(selected))
    stop = start + limit
    if cursor is not None:
        side, at = read_cursor(cursor)
        if side == "after":
            start = bisect_right(selected, at, key=place)
            stop = start + limit
        else:
            stop = bisect_left(selected, at, key=place)
            start = max(0, stop - limit)
    page = selected[start:stop]
    return Page(
        transactions=page,
        before=write_cursor("before", page[0]) if page and start > 0 else None,
        after=write_cursor("after", page[-1]) if page and stop < len(selected) else None,
    )


def place(transaction: Transaction) -> Place:
    return (-transaction.row.date.toordinal(), transaction.id)


def write_cursor(side: str, transaction: Transaction) -> str:
    text = msgspec.json.encode([side, *place(transaction)])
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[str, Place]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        read = msgspec.json.decode(raw, type=tuple[Literal["before", "after"], int, int])
    except (binascii.Error, ValueError, msgspec.DecodeError):
        raise Refused("invalidValue", "The cursor is not one of this API.") from None
    side, day, transaction_id = read
    return side, (day, transaction_id)


def shown_day(transaction: Transaction, by_date: str) -> str:
    row = transaction.row
    if by_date == "date":
        return row.date.isoformat()
    return transaction.application_date or (row.application_date or row.date).isoformat()


def bound(query: Mapping[str, str], name: str, *, first: bool) -> str | None:
    """Read `YYYY-MM-DD`, `YYYY-MM` or `YYYY`, both ends inclusive; a time of day is ignored."""
    text = query.get(name)
    if not text:
        return None
    parts = text[:10].split("-")
    try:
        if not all(part.isascii() and part.isdigit() for part in parts) or len(parts) > 3:
            raise ValueError(text)
        year = int(parts[0])
        month = int(parts[1]) if len(parts) > 1 else (1 if first else 12)
        last = 1 if first else monthrange(year, month)[1]
        return date(year, month, int(parts[2]) if len(parts) > 2 else last).isoformat()
    except (ValueError, IndexError):
        raise Refused("invalidValue", f"{name} is not a date.") from None


def moment(query: Mapping[str, str], name: str) -> str | None:
    """Read a bookkeeping time as naive Paris text; one with an offset is moved to Paris."""
    text = query.get(name)
    if not text:
        return None
    try:
        read = datetime.fromisoformat(text)
        if read.tzinfo is not None:
            return paris_text(read)
        return read.isoformat(" ", "seconds")
    except (ValueError, OverflowError):
        raise Refused("invalidValue", f"{name} is not a date and time.") from None


def amount(query: Mapping[str, str], name: str) -> Decimal | None:
    text = query.get(name)
    if not text:
        return None
    try:
        read = Decimal(text)
    except InvalidOperation:
        read = Decimal("NaN")
    if not read.is_finite():
        raise Refused("invalidValue", f"{name} is not a number.")
    return read


def count(query: Mapping[str, str], name: str, *, most: int, default: int | None = None) -> int:
    """Read a count; more than `most` is `most`."""
    text = query.get(name)
    if text is None or text == "":
        if default is None:
            raise Refused("missingParameter", f"{name} is missing.")
        return default
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        raise Refused("invalidValue", f"{name} is not a count.")
    return min(int(text), most)
