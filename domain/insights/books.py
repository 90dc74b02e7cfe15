"""Books: what insights are made of. One consumer's accounts with their booked rows, as of one moment.

Amounts are signed minor units of the account's currency, from the holder's view: what is owed is negative. Days are
civil days since 1970-01-01, moments are microseconds since 1970 in UTC.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from domain.categories.categorise import Label

#: The provider's usages of an account that is not a person's own.
BUSINESS = frozenset({"ORGA", "PRO"})


class Row(NamedTuple):
    """A booked row that has an amount."""

    day: int
    """The day it was booked on: what decides where it belongs."""
    id: bytes
    account: str
    amount: int
    value_day: int
    kind: str
    """The provider's type, raw: `transfer`, `order`, `card`, `withdrawal`, …, `unknown`."""
    wording: str
    root: str
    """What its wording has in common with others: capitals, without dates, digits and punctuation."""
    labels: tuple[Label, ...] = ()
    other: str = ""
    """The other side's account: an IBAN or a number, without spaces, in capitals; empty where it is not given."""
    other_name: str = ""
    end_to_end: str = ""
    """The reference that goes from end to end; empty where it is not given."""
    seen_at: int = 0
    """When it was recorded first."""

    def has(self, name: str) -> bool:
        return any(label.name == name for label in self.labels)

    def has_any(self, names: frozenset[str]) -> bool:
        # Asked of every row again and again: a loop takes half the time of `any`.
        for label in self.labels:
            if label.name in names:
                return True
        return False

    @property
    def brand(self) -> str:
        for label in self.labels:
            if label.brand:
                return label.brand
        return ""


class Group(msgspec.Struct, frozen=True):
    """Rows that count together, oldest first."""

    rows: tuple[Row, ...] = ()

    @property
    def count(self) -> int:
        return len(self.rows)

    @property
    def total(self) -> int:
        """Signed."""
        return sum(row.amount for row in self.rows)

    @property
    def size(self) -> int:
        """What the amounts come to whatever their signs."""
        return sum(abs(row.amount) for row in self.rows)

    @property
    def ids(self) -> tuple[bytes, ...]:
        return tuple(row.id for row in self.rows)


class Reading(NamedTuple):
    """What an account was read to have."""

    day: int
    """The UTC day of the reading."""
    recorded_at: int
    balance: int


class Account(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    kind: str
    """`CHECKING`, `SAVINGS`, `CREDIT_CARD`, `LOAN` or `UNKNOWN`."""
    currency: str
    exponent: int
    name: str | None = None
    iban: str | None = None
    number: str | None = None
    usage: str | None = None
    owners: tuple[str, ...] = ()
    """Names of holders."""
    closed: str | None = None
    balance: int | None = None
    """The latest reading, each part as it was given."""
    available: int | None = None
    limit: int | None = None
    reserved: int | None = None
    balance_as_of: int | None = None
    """When that was read."""
    transactions_as_of: int | None = None
    """When its rows were last looked at."""
    readings: tuple[Reading, ...] = ()
    """The readings that have a balance, one a day, oldest first; the last is the latest."""
    covered: tuple[tuple[int, int], ...] = ()
    """The days whose rows are known to be complete: ranges, both ends included, that neither overlap nor touch."""
    rows: tuple[Row, ...] = ()
    """By day, then by id. All that were booked from `Books.since` on, also those after the reference day."""
    pending: tuple[Row, ...] = ()
    unknown_days: tuple[int, ...] = ()
    """The days of booked rows that have no amount."""
    first_booked: int | None = None
    """The day of the oldest booked row, however old."""


class Books(msgspec.Struct, frozen=True, kw_only=True):
    """One consumer's accounts."""

    accounts: tuple[Account, ...]
    """By id."""
    as_of: int
    """The reference day D: no row booked later counts."""
    known_at: int
    """When the newest fact that they hold was recorded."""
    since: int
    """Rows booked before this day are not in them."""
