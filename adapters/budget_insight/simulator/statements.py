"""The truth at the bank: what each login holds, before any aggregator has looked at it.

Rows are replaced, never changed in place, and each replacement takes the account's next revision; so a
sync knows what is new since it last looked, and a row that was seen keeps the face it had then.
"""

from datetime import date as Day
from typing import Any

import msgspec
from msgspec import Struct

from adapters.budget_insight.simulator.refusals import Refused

#: The category of a row that was not put into any.
UNCATEGORISED = 9998


class Counterparty(Struct, frozen=True):
    label: str
    account_scheme_name: str | None
    account_identification: str | None
    type: str


class Row(Struct, frozen=True, kw_only=True):
    """One operation; amounts are in the smallest unit of the account's currency.

    `webid` is the bank's own name for the row and unique within a login. `stamped` is the bookkeeping
    time of a data set; without it, a row bears the time of the sync that saw it. `application_date` is the
    day that people's own lists show it on, where that is another than `date`.
    """

    webid: str
    date: Day
    rdate: Day
    vdate: Day | None = None
    application_date: Day | None = None
    value: int | None
    type: str
    original_wording: str
    simplified_wording: str
    category: int = UNCATEGORISED
    coming: bool = False
    gone: bool = False
    card: str | None = None
    counterparty: Counterparty | None = None
    original_value: int | None = None
    original_currency: str | None = None
    stamped: str | None = None
    revision: int = 0


class Loan(Struct, frozen=True, kw_only=True):
    """A loan's schedule; amounts in the smallest unit, the rate in hundredths of a percent."""

    type: str
    total_amount: int
    rate: int
    subscription_date: Day
    start_repayment_date: Day
    maturity_date: Day
    next_payment_amount: int
    next_payment_date: Day
    last_payment_amount: int
    last_payment_date: Day
    nb_payments_done: int
    nb_payments_total: int
    account_label: str


class HeldAccount(Struct, kw_only=True):
    """An account as the bank keeps it.

    Attributes:
        key: the account's name within its login.
        balance: booked balance in the smallest unit, or None where the bank shows none.
        shows_coming: whether the bank gives a sum of pending rows even when there are none.
        as_of: the bookkeeping time of a data set's last reading; None means the time of each sync.
    """

    key: str
    number: str
    original_name: str
    type: str
    currency: str
    balance: int | None
    iban: str | None = None
    bic: str | None = None
    usage: str | None = "PRIV"
    ownership: str | None = "owner"
    company_name: str | None = None
    parent_key: str | None = None
    opening_date: Day | None = None
    loan: Loan | None = None
    shows_coming: bool = False
    closed: bool = False
    as_of: str | None = None
    rows: dict[str, Row] = {}
    revision: int = 0

    @property
    def coming(self) -> int | None:
        """Return the sum of the pending rows, which the balance does not hold."""
        pending = [row.value or 0 for row in self.rows.values() if row.coming and not row.gone]
        return sum(pending) if pending or self.shows_coming else None

    def put(self, row: Row) -> None:
        """Store a row under its `webid`, and move the balance by what it changes."""
        before = self.rows.get(row.webid)
        if self.balance is not None:
            self.balance += booked(row) - (booked(before) if before else 0)
        self.load(row)

    def load(self, row: Row) -> None:
        """Store a row which the balance already holds."""
        self.revision += 1
        self.rows[row.webid] = msgspec.structs.replace(row, revision=self.revision)

    def change(self, webid: str, changes: dict[str, Any]) -> Row:
        """Replace fields of a row; a touched account leaves its data set's days for the clock's."""
        self.as_of = None
        self.put(msgspec.structs.replace(self.rows[webid], stamped=None, **changes))
        return self.rows[webid]

    def add(self, row: Row) -> None:
        self.as_of = None
        self.put(row)


class Statement(Struct):
    """All that one login shows."""

    login: str
    bank: str
    accounts: list[HeldAccount]

    def account(self, key: str) -> HeldAccount:
        for account in self.accounts:
            if account.key == key:
                return account
        raise Refused("notFound", f"Login {self.login} has no account {key}.")

    def holder_of(self, webid: str) -> HeldAccount:
        for account in self.accounts:
            if webid in account.rows:
                return account
        raise Refused("notFound", f"Login {self.login} has no transaction {webid}.")

    def unused_webid(self) -> str:
        """Return a name for a new row; the same sequence of additions gives the same names."""
        taken = sum(len(account.rows) for account in self.accounts)
        while any(f"N{taken}" in account.rows for account in self.accounts):
            taken += 1
        return f"N{taken}"


def booked(row: Row) -> int:
    """Return what a row adds to the balance: nothing while it is pending, or once it is gone."""
    return 0 if row.coming or row.gone or row.value is None else row.value
