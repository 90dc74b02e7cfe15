"""What the metrics of one request have in common: which accounts and rows count, and what is found in them once."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import cached_property
from operator import attrgetter
from typing import Any, TypeVar

from domain.consumer_account import CASH_KINDS, CONNECTION_DELETED, DISABLED
from domain.insights.books import Account, Books, Row
from domain.insights.coverage import Range, clipped, covered_together, days_in
from domain.insights.end_of_day import EndOfDay, end_of_day, together
from domain.insights.figures import Window
from domain.insights.loans import Found, loans_of
from domain.insights.refunds import Refunds, refunds_in
from domain.insights.returns import returned_debits
from domain.insights.streams import Stream, streams_in
from domain.insights.transfers import Transfers, transfers_between

T = TypeVar("T")

BOOKING, VALUE = "booking", "value"
NOT_COUNTED = frozenset({DISABLED, CONNECTION_DELETED})


class Analysis:
    """One consumer's books, looked at in one way. Everything it finds is found when it is first asked for."""

    def __init__(
        self,
        books: Books,
        *,
        accounts: frozenset[str] | None = None,
        date_basis: str = BOOKING,
        include_pending: bool = False,
        parameters: Mapping[str, int] | None = None,
    ) -> None:
        """`accounts` are the ids to look at; without them, all checking and savings accounts that are not disabled."""
        self.books = books
        self.as_of = books.as_of
        self.date_basis = date_basis
        self.include_pending = include_pending
        self.parameters = dict(parameters or {})
        self.day: Callable[[Row], int] = attrgetter("value_day" if date_basis == VALUE else "day")
        """The day that decides where a row belongs."""
        self._chosen = accounts
        self._found: dict[Hashable, Any] = {}

    def once(self, what: Hashable, find: Callable[[], T]) -> T:
        """What is found for several metrics, found when the first of them asks."""
        if what not in self._found:
            self._found[what] = find()
        return self._found[what]

    # Accounts

    @cached_property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts that are looked at, by id."""
        if self._chosen is not None:
            return tuple(account for account in self.books.accounts if account.id in self._chosen)
        return tuple(
            account
            for account in self.books.accounts
            if account.kind in CASH_KINDS and account.closed not in NOT_COUNTED
        )

    @cached_property
    def currencies(self) -> tuple[str, ...]:
        """Those of the accounts, in alphabetical order: every figure is of one of them."""
        return tuple(sorted({account.currency for account in self.accounts}))

    def account(self, id: str) -> Account:
        """One of those that are looked at."""
        return self._accounts_by_id[id]

    @cached_property
    def _accounts_by_id(self) -> dict[str, Account]:
        return {account.id: account for account in self.accounts}

    def of_currency(self, currency: str) -> list[Account]:
        return [account for account in self.accounts if account.currency == currency]

    # Rows

    def rows(self, currency: str, window: Window) -> tuple[Row, ...]:
        """The booked rows of a currency in a window and up to the reference day, account by account, oldest first."""
        return self.once(("rows", currency, *window[:2]), lambda: tuple(self._rows(currency, window)))

    def _rows(self, currency: str, window: Window) -> Iterator[Row]:
        for account in self.of_currency(currency):
            yield from self.rows_of(account, window)

    def rows_of(self, account: Account, window: Window) -> Iterator[Row]:
        last = min(window.last, self.as_of)
        days = self._booked_on[account.id]
        if self.date_basis == VALUE:
            # What is booked after the reference day is not known on it, whatever day it is said to be of.
            booked = account.rows[: bisect_right(days, self.as_of)]
            return (row for row in booked if window.first <= row.value_day <= last)
        return iter(account.rows[bisect_left(days, window.first) : bisect_right(days, last)])

    def ordered(self, rows: Iterable[Row]) -> tuple[Row, ...]:
        """Oldest first, those of one day by account and id."""
        return tuple(sorted(rows, key=lambda row: (self.day(row), row.account, row.id)))

    @cached_property
    def _booked_on(self) -> dict[str, list[int]]:
        """By id of the account the days of its rows, which are in their order."""
        return {account.id: [row.day for row in account.rows] for account in self.books.accounts}

    def is_between_own(self, row: Row) -> bool:
        """Whether a row is one side of a transfer between own accounts, on evidence."""
        return row.id in self.transfers.ids

    # Coverage

    def covered_days(self, account: Account, window: Window) -> int:
        """How many days of a window are covered, none after the reference day nor before the books begin."""
        return days_in(account.covered, max(window.first, self.books.since), min(window.last, self.as_of))

    def is_covered(self, account: Account, first: int, last: int) -> bool:
        """Whether all days of a range are covered, none lying before the books begin nor after the reference day."""
        within = self.books.since <= first and last <= self.as_of
        return within and any(begin <= first and last <= end for begin, end in account.covered)

    def covered_in(self, currency: str, window: Window) -> int:
        """The days of a window on which every account of a currency that was there is covered; 0 without any."""
        return days_in(self.covered_ranges.get(currency, ()), window.first, window.last)

    @cached_property
    def covered_ranges(self) -> dict[str, tuple[Range, ...]]:
        """By currency the days of which that holds, as ranges, none of them after the reference day."""
        since = self.books.since
        return {
            currency: tuple(clipped(covered_together(self.of_currency(currency), since), since, self.as_of))
            for currency in self.currencies
        }

    # Balances

    @cached_property
    def end_of_days(self) -> dict[str, EndOfDay]:
        """By id of the account what it had at the end of each day, up to the reference day."""
        return {
            account.id: end_of_day(account, as_of=self.as_of, since=self.books.since)
            for account in self.accounts
        }

    @cached_property
    def end_of_days_together(self) -> dict[str, EndOfDay]:
        """By currency what its accounts had together, on the days on which all that had not ended are known."""
        return {
            currency: together([self.end_of_days[account.id] for account in self.of_currency(currency)])
            for currency in self.currencies
        }

    # What is found in them

    @cached_property
    def transfers(self) -> Transfers:
        """Transfers between any two of the consumer's accounts, also those that are not looked at."""
        return transfers_between(self.books.accounts, self.as_of)

    @cached_property
    def refunds(self) -> Refunds:
        """Which credits give back an earlier debit, over all the books."""
        rows = (row for account in self.books.accounts for row in account.rows if row.day <= self.as_of)
        return refunds_in(row for row in rows if row.id not in self.transfers.ids)

    @cached_property
    def refunded(self) -> dict[bytes, Row]:
        """By the id of each credit that gives back an earlier debit, that debit."""
        ids = set(self.refunds.debits.values())
        debits = {row.id: row for account in self.books.accounts for row in account.rows if row.id in ids}
        return {credit: debits[debit] for credit, debit in self.refunds.debits.items()}

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        """The recurring streams of the accounts that are looked at, over all the books up to the reference day."""
        return tuple(
            stream
            for account in self.accounts
            for stream in streams_in(account, self.as_of, since=self.books.since)
        )

    @cached_property
    def returned(self) -> dict[bytes, Row]:
        """By the id of each debit that was returned, the credit that gave it back, over all the books."""
        rows = (row for account in self.accounts for row in account.rows if row.day <= self.as_of)
        return returned_debits(rows)

    @cached_property
    def loans(self) -> tuple[Found, ...]:
        """The loans that the accounts which are looked at repay, over all the books up to the reference day."""
        return loans_of(self)
