"""What the reports look like: the shapes of `POST /insights/v1/reports/*/create`. Absent values are left out.

Amounts are whole minor units of their currency. Those of transactions and of what is made of them have no sign: `type`
says which way they went. Balances have one. Times are UTC, `YYYY-MM-DDThh:mm:ss.sssZ`.
"""

from __future__ import annotations

from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from projections.answers import Amount, Balances

T = TypeVar("T")


def given(value: T | None) -> T | UnsetType:
    """What is known, or nothing at all."""
    return UNSET if value is None else value


# What all of them have


class Report(msgspec.Struct, kw_only=True):
    """Of one account, or of several in one currency."""

    insights_consumer_id: str
    """As it was asked for."""
    insights_account_ids: list[str]
    refreshed_at: str
    """When the data was last refreshed; of several accounts, that of the one which waits the longest."""


class WindowReport(Report, kw_only=True):
    """Days are those of booking, both included."""

    from_date: str
    to_date: str


DataAvailability = Literal["COMPLETE", "PARTIAL", "NONE"]


class CategoryName(msgspec.Struct, kw_only=True):
    id: str
    name: str


class BrandName(msgspec.Struct, kw_only=True):
    id: str
    name: str


# One for each report


class DayBalance(msgspec.Struct, kw_only=True):
    date: str
    balance: Amount


class BalanceOverTime(WindowReport, kw_only=True, tag_field="type", tag="BALANCE_OVER_TIME"):
    balances: list[DayBalance]
    """At the end of each day, oldest first. Days whose balance is not known are left out."""


class AccountInfos(Report, kw_only=True, tag_field="type", tag="ACCOUNT_INFOS"):
    account_alias: str | UnsetType = UNSET
    holder_name: str | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    iban: str | UnsetType = UNSET
    account_number: str | UnsetType = UNSET
    bic: str | UnsetType = UNSET
    bank_code: str | UnsetType = UNSET
    bank_name: str | UnsetType = UNSET
    country: str | UnsetType = UNSET
    account_type: Literal["DEFAULT", "SAVING", "CREDITCARD", "DEPOT"] | UnsetType = UNSET
    transfer_type: Literal["NONE", "DOMESTIC", "FULL", "REFERENCE", "RESTRICTED"] | UnsetType = UNSET
    accounts_group_id: str | UnsetType = UNSET
    """The same for the accounts of one connection."""
    oldest_transaction_date: str | UnsetType = UNSET
    consent_expected_expiry_date: str | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET


class BankReferences(msgspec.Struct, kw_only=True):
    unstructured: str | UnsetType = UNSET
    structured: str | UnsetType = UNSET
    end_to_end: str | UnsetType = UNSET


class BankTransactionCode(msgspec.Struct, kw_only=True):
    code: str | UnsetType = UNSET
    sub_code: str | UnsetType = UNSET
    description: str | UnsetType = UNSET


class HolderAddress(msgspec.Struct, kw_only=True):
    country: str


class CounterParty(msgspec.Struct, kw_only=True):
    iban: str | UnsetType = UNSET
    account_number: str | UnsetType = UNSET
    bic: str | UnsetType = UNSET
    bank_code: str | UnsetType = UNSET
    holder_name: str | UnsetType = UNSET
    holder_address: HolderAddress | UnsetType = UNSET


class Transaction(msgspec.Struct, kw_only=True, gc=False):
    """What every answer that shows a row says of it. What was not stated is left out."""

    insights_transaction_id: str
    insights_account_id: str
    value_date: str
    booking_date: str
    amount: Amount | UnsetType = UNSET
    """Left out with `type` where the source gave none."""
    type: Literal["DEBIT", "CREDIT"] | UnsetType = UNSET
    """One of zero is a CREDIT."""
    state: Literal["PROCESSED", "PENDING", "CANCELED", "FAILED", "UNKNOWN"]
    method: Literal["TRANSFER", "DIRECT_DEBIT", "INSTANT", "UNKNOWN"]
    reference: str | UnsetType = UNSET
    bank_references: BankReferences | UnsetType = UNSET
    bank_transaction_code: BankTransactionCode | UnsetType = UNSET
    counter_party: CounterParty | UnsetType = UNSET


class CategorizedTransaction(Transaction, kw_only=True, gc=False):
    categories: list[CategoryName]
    """The most telling one first; what has none is `Uncategorised`."""
    brand: BrandName | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET


class CategorizedTransactions(WindowReport, kw_only=True, tag_field="type", tag="CATEGORIZED_TRANSACTIONS"):
    transactions: list[CategorizedTransaction]
    data_availability: DataAvailability


class CategoryFigures(msgspec.Struct, kw_only=True):
    """What the transactions of one category and direction come to."""

    id: str
    name: str
    transaction_type: Literal["DEBIT", "CREDIT"]
    count: int
    sum: Amount
    average: Amount
    """Rounded half to even."""
    min: Amount
    max: Amount


class CategoryPeriod(msgspec.Struct, kw_only=True):
    from_date: str
    to_date: str
    categories: list[CategoryFigures]


class GroupedByCategory(WindowReport, kw_only=True, tag_field="type", tag="GROUP_BY_CATEGORY"):
    periods: list[CategoryPeriod]
    """One for all days, unless they are split. Transactions without an amount are in none."""
    data_availability: DataAvailability


class ExpenseCategory(msgspec.Struct, kw_only=True):
    id: str
    name: str
    count: int
    sum: Amount


class ExpensePeriod(msgspec.Struct, kw_only=True):
    from_date: str
    to_date: str
    categories: list[ExpenseCategory]


class ExpenseCategories(WindowReport, kw_only=True, tag_field="type", tag="EXPENSE_CATEGORIES"):
    categories: list[ExpenseCategory]
    """Of all days together."""
    periods: list[ExpensePeriod] | UnsetType = UNSET
    """The same of each period, where the days are split."""
    data_availability: DataAvailability


class TransactionGroup(msgspec.Struct, kw_only=True):
    """Transactions that recur."""

    type: Literal["DEBIT", "CREDIT"]
    earliest_day: int
    """The day of the month that they come on, 1 to 31; of weekly ones that of the week, Monday is 1."""
    latest_day: int
    """Smaller than `earliest_day` where that lies in the next month."""
    average_amount: Amount
    transaction_ids: list[str]
    """Those of the window, oldest first."""
    categories: list[CategoryName]
    brand: BrandName | UnsetType = UNSET


class RecurringInterval(msgspec.Struct, kw_only=True):
    interval: str
    income_amount: Amount
    """What comes each time: the sum of the averages of its credits."""
    expense_amount: Amount
    transaction_groups: list[TransactionGroup]


class RecurringTransactions(WindowReport, kw_only=True, tag_field="type", tag="RECURRING_TRANSACTIONS"):
    intervals: list[RecurringInterval]
    """From the most frequent to the rarest; those without a group are left out."""
    data_availability: DataAvailability


AnyReport = (
    AccountInfos
    | BalanceOverTime
    | Balances
    | CategorizedTransactions
    | ExpenseCategories
    | GroupedByCategory
    | RecurringTransactions
)


# Answers


class Reports(msgspec.Struct, Generic[T]):
    reports: list[T]


class ReportsAnswer(msgspec.Struct, Generic[T]):
    data: Reports[T]


class BulkReports(msgspec.Struct):
    reports: list[list[AnyReport]]
    """One list for each request, in their order."""


class BulkAnswer(msgspec.Struct):
    data: BulkReports


class CategoryOfList(msgspec.Struct, kw_only=True):
    id: str
    name: str
    parents: list[str]
    """The ids of what it belongs to; none of a root."""


class CategoriesAnswer(msgspec.Struct):
    data: list[CategoryOfList]


def answer_of(reports: list[Any]) -> ReportsAnswer[Any]:
    return ReportsAnswer(Reports(reports))
