"""What is answered: the shapes of both doors, as they are sent.

The Qard door's are those of its `/api/v6` contract, the Insights door's those of
`POST /insights/v1/reports/balances/create`. Read models keep them encoded; the OpenAPI document is
assembled from them. Amounts of the Qard door are exact decimals in major units, those of the Insights door
whole minor units. Times of the Qard door are UTC, `YYYY-MM-DD HH:MM:SS`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, get_args

import msgspec

from domain.money import write
from domain.transactions import date_of

#: Encodes every answer: decimals as JSON numbers with exactly their digits.
encode = msgspec.json.Encoder(decimal_format="number").encode


def qard_time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def qard_day(day: int) -> str:
    """A civil day (days since 1970-01-01) where the contract has a datetime: midnight, of no zone."""
    return f"{date_of(day):%Y-%m-%d} 00:00:00"


def insights_time(moment: datetime) -> str:
    """`YYYY-MM-DDThh:mm:ss.sssZ`, cut to the millisecond."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def major(minor: int, exponent: int) -> Decimal:
    return Decimal(write(minor, exponent))


# Qard: the directory


class Provider(msgspec.Struct, kw_only=True):
    name: str
    logo_url: str
    enabled: bool
    available: bool
    unique: bool
    auth_required: bool
    auto_connect: bool
    refresh_interval_hours: int
    """How old what is held of a connection may become before it is looked at again; 0 is never."""
    settings: list[str]
    credentials_config: list[str]
    data_types: list[str]


class User(msgspec.Struct, kw_only=True):
    id: str
    type: str
    name: str
    first_name: str | None
    last_name: str | None
    birthdate: str | None
    email: str | None
    siren: str | None
    postal_code: str | None
    ape_code: str | None
    country: str
    group: str
    return_url: str | None
    created_at: str
    updated_at: str


class DataConnection(msgspec.Struct, kw_only=True):
    id: str
    user_id: str
    provider_name: str
    status: str
    status_reason: str | None
    """Machine-readable; why the status is AUTH_ERROR."""
    requested_data_types: list[str]
    skip_permissions: bool
    redirect_url: str | None
    """Where to send the person; null where nothing is to be authorised."""
    created_at: str
    connected_at: str | None


class DataSync(msgspec.Struct, kw_only=True):
    id: str
    data_type: str
    provider_name: str
    status: str
    status_reason: str | None
    """Machine-readable; why the sync failed."""
    data_connection_id: str
    requested_at: str
    completed_at: str | None


# Qard: banking


class BankAccountOwner(msgspec.Struct, kw_only=True):
    first_name: str | None
    last_name: str | None
    full_name: str | None
    last_update: str | None


class BankAccount(msgspec.Struct, kw_only=True):
    id: str
    name: str | None
    account_number: str | None
    account_type: str
    balance: Decimal | None
    currency: str
    iban: str | None
    bic: str | None
    bank_name: str | None
    last_update: str | None
    last_transaction: str | None
    provider_name: str
    data_connection_id: str | None
    """Null where the data was brought and not fetched."""
    owners: list[BankAccountOwner]


TransactionType = Literal["BANK", "CARD", "CHECK", "ORDER", "TRANSFER", "WITHDRAWAL"]


class BankTransaction(msgspec.Struct, kw_only=True):
    id: str
    account_id: str
    amount: Decimal | None
    currency: str
    initiated_at: str | None
    value_date: str
    description: str | None
    transaction_type: TransactionType
    provider_name: str
    data_connection_id: str | None
    """Null where the data was brought and not fetched."""


class PendingTransaction(BankTransaction, kw_only=True):
    """A row that the bank has not booked yet: counted nowhere, and not sure to be booked as it stands."""

    pending: Literal[True] = True


#: The names the contract has for transactions; what has none of them answers BANK.
TRANSACTION_TYPES = get_args(TransactionType)


# Qard: cash flow


class CashflowMonth(msgspec.Struct, kw_only=True):
    month: str
    income: Decimal
    expense: Decimal
    net: Decimal
    opening_balance: Decimal | None
    closing_balance: Decimal | None
    transactions_count: int
    own_transfers_in: Decimal | None
    """Of the income: what came from the consumer's other accounts, on evidence; null where that was not looked at."""
    own_transfers_out: Decimal | None
    """Of the expense."""


class CurrencyCashflow(msgspec.Struct, kw_only=True):
    """The cash flow of the checking and savings accounts of one currency; null where there is no data."""

    currency: str | None
    from_month: str | None
    to_month: str | None
    total_income: Decimal | None
    total_expense: Decimal | None
    net: Decimal | None
    months: list[CashflowMonth]
    accounts: list[str]


class Cashflow(CurrencyCashflow, kw_only=True):
    """The currency with the most transactions first, the rest under `other_currencies`."""

    other_currencies: list[CurrencyCashflow]
    computed_at: str | None
    provider_name: str | None
    data_connection_id: str | None


# Qard: credit insights


# A document may have tens of thousands of these: the collector of cycles need not go through them.


class CalendarMonth(msgspec.Struct, kw_only=True, gc=False):
    month: str
    amount: Decimal


class Interval(msgspec.Struct, kw_only=True, gc=False):
    """The shortest and the longest gap between two transactions, in days; null with fewer than two."""

    min: int | None
    max: int | None


class Regularity(msgspec.Struct, kw_only=True, gc=False):
    """How regular a cash flow is. Source: metrics R2 to R6 of the catalogue."""

    due_days: list[int]
    """Days of the month."""
    interval: Interval
    mean_number_of_days_in_interval: Decimal | None
    accuracy: int
    """The share of gaps that fit the periodicity, 0 to 100."""
    periodicity: str
    repartition: str
    status: str
    """`EARLY`, `MATURE`, `MISSED` or `ENDED`."""
    next_expected: str | None


class CashFlow(msgspec.Struct, kw_only=True, gc=False):
    """Transactions of one account that belong together: a recurring stream, or what came once."""

    account_id: str
    type: str
    category: str
    """The most telling label; `UNLABELLED` without any."""
    categories: list[str]
    """All labels that most of its transactions have."""
    label_root: str
    label: str
    currency: str
    total_amount: str
    """The contract has a string here: an exact decimal in major units, rejected transactions included."""
    total_rejected_amount: str
    """Of it what was returned."""
    calendar: list[CalendarMonth]
    regularity: Regularity
    transactions: list[BankTransaction]


class TransactionsGroupDetail(msgspec.Struct, kw_only=True):
    status: str
    total_amount: Decimal | None
    count: int | None
    transactions: list[BankTransaction]


class RejectionDetail(msgspec.Struct, kw_only=True):
    status: str
    total_amount: Decimal | None
    """What was returned, by size."""
    total_fees_amount: Decimal | None
    count: int | None
    transactions: list[BankTransaction]
    fees_transactions: list[BankTransaction]


class LoanFlows(msgspec.Struct, kw_only=True):
    status: str
    total_amount: Decimal | None
    monthly_average: Decimal | None
    """Over complete covered months; null without any."""
    count: int | None
    transactions: list[BankTransaction]


class Loan(msgspec.Struct, kw_only=True, gc=False):
    """One loan, as its repayments show it."""

    lender: str
    """The lender's name where it is known; else what the wordings have in common."""
    category: str
    type: str
    """`bnpl`, `hcstc`, `dca_dmp`, `secured`, `unsecured` or `unknown`."""
    account_id: str
    usual_amount: Decimal
    total_amount: Decimal
    monthly_average: Decimal | None
    count: int
    rejected_count: int
    first_date: str
    last_date: str


class Repayments(LoanFlows, kw_only=True):
    """Without those that were rejected."""

    loans: list[Loan]


class Loans(msgspec.Struct, kw_only=True):
    repayments: Repayments
    """Of loans proper."""
    split_payments: Repayments
    """Of purchases that are paid in instalments."""
    debt_collection: Repayments
    """To collectors of debts and bailiffs."""
    drawdowns: LoanFlows
    wage_advances: LoanFlows


class Incidents(msgspec.Struct, kw_only=True):
    payment_rejections: RejectionDetail
    check_rejections: RejectionDetail


class Overdraft(msgspec.Struct, kw_only=True):
    status: str
    duration: int | None
    """Days of the months that ended below the agreed limit, summed over the accounts; the limit is 0 where none is
    known."""
    limit_assumed: bool | None
    fees: TransactionsGroupDetail
    intervention_fees: TransactionsGroupDetail


class HeavyFailures(msgspec.Struct, kw_only=True):
    direct_recovery_of_debt: TransactionsGroupDetail
    bank_account_seizure: TransactionsGroupDetail
    preventive_seizure: TransactionsGroupDetail
    fees: TransactionsGroupDetail


class Gambling(msgspec.Struct, kw_only=True):
    outgoing: TransactionsGroupDetail
    incoming: TransactionsGroupDetail


class Risks(msgspec.Struct, kw_only=True):
    incidents: Incidents
    overdraft: Overdraft
    heavy_failures: HeavyFailures
    gambling: Gambling


class CurrencyInsights(msgspec.Struct, kw_only=True):
    """Loans and risks of the accounts of one currency."""

    currency: str | None
    loans: Loans
    risks: Risks


class CreditInsights(CurrencyInsights, kw_only=True):
    """The currency with the most transactions first, the rest under `other_currencies`; cash flows are of all."""

    status: str
    """`ok`; `insufficient_history` where too little is known for an analysis; `not_applicable` where there is no
    account to analyse."""
    reasons: list[str]
    """Machine-readable: why an analysis does not fit, or what is to be minded."""
    from_date: str | None
    to_date: str | None
    cash_flows: list[CashFlow]
    other_currencies: list[CurrencyInsights]
    computed_at: str | None


#: Statuses of a figure.
OK = "ok"
INSUFFICIENT_HISTORY = "insufficient_history"
NOT_APPLICABLE = "not_applicable"


# Insights


class Amount(msgspec.Struct):
    amount: int
    currency: str


class Balances(msgspec.Struct, kw_only=True, tag_field="type", tag="BALANCES"):
    """One account's report. What the source does not give is left out."""

    insights_consumer_id: str
    insights_account_ids: list[str]
    balance: Amount | msgspec.UnsetType = msgspec.UNSET
    available: Amount | msgspec.UnsetType = msgspec.UNSET
    limit: Amount | msgspec.UnsetType = msgspec.UNSET
    reserved: Amount | msgspec.UnsetType = msgspec.UNSET
    refreshed_at: str
