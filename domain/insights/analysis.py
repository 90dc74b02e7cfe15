"""What the metrics of one request have in common: which accounts and rows count, and what is found in them once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property

from domain.consumer_account import CASH_KINDS, CONNECTION_DELETED, DISABLED
from domain.insights.books import Account, Books, Row
from domain.insights.figures import Window
from domain.insights.refunds import Refunds, refunds_in
from domain.insights.streams import Stream, streams_in
from domain.insights.transfers import Transfers, transfers_between

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
        self._chosen = accounts

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

    def of_currency(self, currency: str) -> list[Account]:
        return [account for account in self.accounts if account.currency == currency]

    # Rows

    def day(self, row: Row) -> int:
        """The day that decides where a row belongs."""
        return row.value_day if self.date_basis == VALUE else row.day

    def rows(self, currency: str, window: Window) -> Iterator[Row]:
        """The booked rows of a currency in a window and up to the reference day, account by account, oldest first."""
        for account in self.of_currency(currency):
            yield from self.rows_of(account, window)

    def rows_of(self, account: Account, window: Window) -> Iterator[Row]:
        last = min(window.last, self.as_of)
        return (row for row in account.rows if window.first <= self.day(row) <= last)

    def is_between_own(self, row: Row) -> bool:
        """Whether a row is one side of a transfer between own accounts, on evidence."""
        return row.id in self.transfers.ids

    # Coverage

    def covered_days(self, account: Account, window: Window) -> int:
        """How many days of a window are covered, none after the reference day."""
        last = min(window.last, self.as_of)
        spans = ((max(first, window.first), min(end, last)) for first, end in account.covered)
        return sum(end - first + 1 for first, end in spans if first <= end)

    def is_covered(self, account: Account, first: int, last: int) -> bool:
        """Whether all days of a range are covered."""
        return any(begin <= first and last <= end for begin, end in account.covered)

    def covered_in(self, currency: str, window: Window) -> int:
        """The days of a window on which every account of a currency that had begun is covered; 0 without any."""
        last = min(window.last, self.as_of)
        return sum(1 for day in range(window.first, last + 1) if self.is_day_covered(currency, day))

    def is_day_covered(self, currency: str, day: int) -> bool:
        """Whether at least one account of a currency is covered on a day, and none that had begun is not."""
        held = [
            any(first <= day <= last for first, last in account.covered)
            for account in self.of_currency(currency)
            if account.covered and account.covered[0][0] <= day
        ]
        return bool(held) and all(held)

    # What is found in them

    @cached_property
    def transfers(self) -> Transfers:
        """Transfers between any two of the consumer's accounts, also those that are not looked at."""
        return transfers_between(self.books.accounts)

    @cached_property
    def refunds(self) -> Refunds:
        """Which credits give back an earlier debit, over all the books."""
        rows = (row for account in self.books.accounts for row in account.rows if row.day <= self.as_of)
        return refunds_in(row for row in rows if row.id not in self.transfers.ids)

    @cached_property
    def streams(self) -> tuple[Stream, ...]:
        """The recurring streams of the accounts that are looked at, over all the books up to the reference day."""
        return tuple(stream for account in self.accounts for stream in streams_in(account, self.as_of))
