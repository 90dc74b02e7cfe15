"""What is sent to the storage, and what it comes to: accounts and rows as a client states them.

A row keeps all that was stated of it under the names it was stated with, so that a later update can change one property
and leave the others. Amounts have no sign where `type` says which way they went; without it they have their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, model_validator

from adapters.http.fields import Body, Day, text
from adapters.http.insights.scope import Id, Ids
from adapters.http.problems import invalid
from application.uploads import STORAGE, Upload
from domain.consumer_account import (
    CHECKING,
    CREDIT_CARD,
    SAVINGS,
    UNKNOWN_KIND,
    AccountDetails,
    BalanceRefreshed,
    Owner,
)
from domain.money import MINOR_MAX, NO_CURRENCY, exponent_of
from domain.refusals import InvalidRequest
from domain.row_details import CANCELED, FAILED, PENDING, PROCESSED, UNKNOWN
from domain.transactions import Transaction, date_of, day_of
from projections.reports.listing import (
    AMOUNT,
    AMOUNT_WITH_TYPE,
    BRAND,
    CATEGORY,
    CREDIT,
    DATE,
    DEBIT,
    DEBIT_AND_ZERO,
)

RETENTION_MINUTES = 10
#: Ten years.
RETENTION_MINUTES_MAX = 10 * 365 * 24 * 60
ROWS_MAX = 10_000
PAGE_SIZE, PAGE_SIZE_MAX = 50, 1_000
DAYS = 62

#: The kinds of accounts that the contract names; an account without a type is a current account.
KINDS = {"DEFAULT": CHECKING, "SAVING": SAVINGS, "CREDITCARD": CREDIT_CARD, "DEPOT": UNKNOWN_KIND}
_METHODS = {"DIRECT_DEBIT": "order", "TRANSFER": "transfer", "INSTANT": "transfer"}
_EPOCH = date(1970, 1, 1)
SIGNED = "an amount has no sign where type says which way it went"

NewId = Annotated[str, text(128, 1)]
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
Number = Annotated[str, text(64)]
Name = Annotated[str, text(160)]
Wording = Annotated[str, text(4_096)]
Minor = Annotated[int, Field(ge=-MINOR_MAX, le=MINOR_MAX)]
BookedOn = Annotated[Day, Field(ge=_EPOCH)]
Labels = Annotated[dict[Annotated[str, text(128, 1)], Annotated[str, text(1_024)]], Field(max_length=100)]
CategoryIds = Annotated[list[NewId], Field(max_length=100)]
Minutes = Annotated[int, Field(ge=1, le=RETENTION_MINUTES_MAX)]
AccountType = Literal["DEFAULT", "SAVING", "CREDITCARD", "DEPOT"]
TransferType = Literal["NONE", "DOMESTIC", "FULL", "REFERENCE", "RESTRICTED"]
Method = Literal["TRANSFER", "DIRECT_DEBIT", "INSTANT", "UNKNOWN"]
State = Literal[PROCESSED, PENDING, CANCELED, FAILED]
AnyState = Literal[PROCESSED, PENDING, CANCELED, FAILED, UNKNOWN]


# Accounts


class HolderAddressBody(Body):
    country: Country | None = None


class BalancesOfAccount(Body):
    """What the account holds, in minor units of its currency, signed. The original contract has no such field."""

    balance: Minor | None = None
    available: Minor | None = None
    limit: Minor | None = None
    reserved: Minor | None = None


class AccountBody(Body):
    """An account. Without an id it gets one; without a currency it takes that of the first rows that have one."""

    insights_account_id: NewId | None = None
    iban: Number | None = None
    account_number: Number | None = None
    alias: Annotated[str, text(150)] | None = None
    bic: Number | None = None
    bank_code: Number | None = None
    holder_name: Name | None = None
    account_type: AccountType | None = None
    transfer_type: TransferType | None = None
    currency: Currency = NO_CURRENCY
    holder_address: HolderAddressBody | None = None
    labels: Labels | None = None
    balances: BalancesOfAccount | None = None


class CreateAccountBody(Body):
    """Without a consumer's id there is a new consumer. The account is kept for `data_retention_minutes`, 10 by default."""

    insights_consumer_id: NewId | None = None
    data_retention_minutes: Minutes | None = None
    account: AccountBody = AccountBody()


class PaginationBody(Body):
    size: Annotated[int, Field(ge=1, le=PAGE_SIZE_MAX)] = PAGE_SIZE
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class ListAccountsBody(Body):
    insights_consumer_id: Id
    pagination: PaginationBody = PaginationBody()


class DeleteAccountsBody(Body):
    insights_consumer_id: Id
    insights_account_ids: Ids


class DeleteConsumerBody(Body):
    insights_consumer_id: Id


def retention_of(minutes: int | None) -> timedelta:
    return timedelta(minutes=RETENTION_MINUTES if minutes is None else minutes)


def upload_of(body: CreateAccountBody, now: datetime) -> Upload:
    """The account that a body states."""
    account = body.account
    iban, number = (
        value and "".join(value.split()).upper() for value in (account.iban, account.account_number)
    )
    return Upload(
        provider=STORAGE,
        reference=account.insights_account_id or "",
        currency=account.currency,
        exponent=exponent_of(account.currency),
        details=AccountDetails(
            kind=KINDS[account.account_type or "DEFAULT"],
            name=account.alias,
            number=number,
            iban=iban,
            bic=account.bic,
            owners=() if account.holder_name is None else (Owner(full_name=account.holder_name),),
            fields=_said(account, _KEPT),
        ),
        reading=_reading(account.balances, now),
        client_id=account.insights_account_id,
        retention=retention_of(body.data_retention_minutes),
        sets_retention=body.data_retention_minutes is not None,
    )


#: What is stated of an account and has no place in `AccountDetails`.
_KEPT = ("bank_code", "account_type", "transfer_type", "holder_address", "labels")


def _reading(balances: BalancesOfAccount | None, now: datetime) -> BalanceRefreshed | None:
    said = {} if balances is None else balances.model_dump(exclude_none=True)
    return BalanceRefreshed(as_of=now, **said) if said else None


def _said(body: BaseModel, names: Iterable[str]) -> dict[str, Any]:
    """What was stated, under its own names, without what is null."""
    said = body.model_dump(include=set(names), exclude_none=True)
    return {name: said[name] for name in names if said.get(name) not in (None, {}, [])}


# Rows


class AmountBody(Body):
    """Minor units, and the currency: `XXX` is the account's."""

    amount: Minor
    currency: Currency = NO_CURRENCY


class CounterPartyBody(Body):
    iban: Number | None = None
    account_number: Number | None = None
    bic: Number | None = None
    bank_code: Number | None = None
    holder_name: Name | None = None
    holder_address: HolderAddressBody | None = None


class BankReferencesBody(Body):
    unstructured: Wording | None = None
    structured: Wording | None = None
    end_to_end: Wording | None = None


class BankTransactionCodeBody(Body):
    code: Number | None = None
    sub_code: Number | None = None
    description: Wording | None = None


class TransactionBody(Body):
    """A transaction. Without an id it gets one; without a date it is of today; without a state it is `PROCESSED`."""

    insights_transaction_id: NewId | None = None
    value_date: BookedOn | None = None
    booking_date: BookedOn | None = None
    amount: AmountBody | None = None
    type: Literal["DEBIT", "CREDIT"] | None = None
    state: State | None = None
    method: Method | None = None
    reference: Wording | None = None
    bank_references: BankReferencesBody | None = None
    bank_transaction_code: BankTransactionCodeBody | None = None
    counter_party: CounterPartyBody | None = None
    category_ids: CategoryIds | None = None
    category_tag_ids: CategoryIds | None = None
    labels: Labels | None = None

    @model_validator(mode="after")
    def _unsigned(self) -> TransactionBody:
        if self.type is not None and self.amount is not None and self.amount.amount < 0:
            raise ValueError(SIGNED)
        return self


class NamedTransactionBody(TransactionBody):
    """A transaction that is there already."""

    insights_transaction_id: NewId


class CreateTransactionsBody(Body):
    insights_consumer_id: Id
    insights_account_id: Id
    data_retention_minutes: Minutes | None = None
    transactions: Annotated[list[TransactionBody], Field(max_length=ROWS_MAX)]


class ChangeTransactionsBody(Body):
    insights_consumer_id: Id
    insights_account_id: Id
    transactions: Annotated[list[NamedTransactionBody], Field(max_length=ROWS_MAX)]


class TransactionsBody(Body):
    insights_consumer_id: Id
    insights_account_id: Id
    insights_transaction_ids: Annotated[list[Id], Field(max_length=ROWS_MAX)]


class UpsertLabelsBody(TransactionsBody):
    labels: Labels


class OrderBody(Body):
    order: Literal["ASC", "DESC"] = "ASC"
    field: Literal[AMOUNT, AMOUNT_WITH_TYPE, BRAND, CATEGORY, DATE]


class ListTransactionsBody(Body):
    """The rows that were booked in a window: the last 62 days, unless it is stated."""

    insights_consumer_id: Id
    insights_account_ids: Ids | None = None
    days: Annotated[int, Field(ge=0, le=36_600)] | None = None
    from_date: Day | None = None
    to_date: Day | None = None
    max_amount: Minor | None = None
    min_amount: Minor | None = None
    transaction_type: Literal[DEBIT, CREDIT, DEBIT_AND_ZERO] | None = None
    states: list[AnyState] | None = None
    category_ids: CategoryIds | None = None
    brand_ids: CategoryIds | None = None
    order: Annotated[list[OrderBody], Field(max_length=10)] | None = None
    pagination: PaginationBody = PaginationBody()

    @model_validator(mode="after")
    def _one_window(self) -> ListTransactionsBody:
        if self.days is not None and (self.from_date or self.to_date):
            raise ValueError("state days, or from_date and to_date, not both")
        if self.from_date and self.to_date and self.from_date > self.to_date:
            raise ValueError("from_date must not be after to_date")
        return self


#: What a row keeps under its own name.
_FIELDS = (
    "type",
    "state",
    "method",
    "reference",
    "bank_references",
    "bank_transaction_code",
    "counter_party",
    "category_ids",
    "category_tag_ids",
    "labels",
)


def currency_of(bodies: Iterable[TransactionBody]) -> str:
    """The one currency that these rows state; `XXX` where none does.

    Raises:
        Problem: 400; they state several.
    """
    stated = {body.amount.currency for body in bodies if body.amount is not None} - {NO_CURRENCY}
    if len(stated) > 1:
        raise invalid("An account has one currency.", transactions=["are in several currencies"])
    return next(iter(stated), NO_CURRENCY)


def refuse_twins(bodies: Iterable[TransactionBody]) -> None:
    """
    Raises:
        Problem: 400; an id is given twice.
    """
    ids = [body.insights_transaction_id for body in bodies if body.insights_transaction_id is not None]
    if len(set(ids)) < len(ids):
        raise invalid("The body is not valid.", transactions=["hold an id twice"])


def stated(body: TransactionBody) -> dict[str, Any]:
    """What a body states of a row, by name: what it does not mention is not there, what it takes away is None."""
    said = {name: value for name, value in body.model_dump(exclude_unset=True).items() if name in _FIELDS}
    for name, value in said.items():
        if isinstance(value, dict):
            said[name] = {key: part for key, part in value.items() if part is not None} or None
    for name in ("booking_date", "value_date"):
        if name in body.model_fields_set:
            said[name] = getattr(body, name)
    if "amount" in body.model_fields_set:
        said["amount"] = None if body.amount is None else body.amount.amount
    return said


def row_of(reference: str, said: Mapping[str, Any], now: datetime) -> Transaction:
    """The row that these properties come to; today is its day where they name none."""
    fields = {name: said[name] for name in _FIELDS if said.get(name) not in (None, {}, [])}
    fields.setdefault("state", PROCESSED)
    booked, value = said.get("booking_date"), said.get("value_date")
    amount = said.get("amount")
    return Transaction(
        reference=reference,
        booked_on=day_of(booked or value or now.astimezone(UTC).date()),
        value_on=None if value is None else day_of(value),
        amount=-amount if amount is not None and said.get("type") == DEBIT else amount,
        kind=_METHODS.get(fields.get("method", UNKNOWN), "unknown"),
        wording=fields.get("reference") or fields.get("bank_references", {}).get("unstructured"),
        pending=fields["state"] != PROCESSED,
        fields=fields,
    )


def stated_by(row: Transaction) -> dict[str, Any]:
    """The properties that came to this row."""
    has_sign = row.amount is not None and row.fields.get("type") == DEBIT
    return {
        **row.fields,
        "booking_date": date_of(row.booked_on),
        "value_date": None if row.value_on is None else date_of(row.value_on),
        "amount": -row.amount if has_sign else row.amount,
    }


def updated(body: TransactionBody, row: Transaction, now: datetime) -> Transaction:
    """A row with what a body states in place of what it was, and all else as it was.

    Raises:
        InvalidRequest: the amount has a sign, and the row a type that says which way it went.
    """
    change = stated(body)
    said = {**stated_by(row), **change}
    has_type, is_negative = said.get("type") is not None, (said["amount"] or 0) < 0
    if not has_type and "amount" not in change:
        # Nothing else says any more which way it went.
        said["amount"] = row.amount
    elif has_type and is_negative and "amount" in change:
        raise InvalidRequest("The body is not valid.", transactions=[SIGNED])
    elif has_type and is_negative:
        # Its own sign said so until now.
        said["amount"] = -said["amount"]
    return row_of(row.reference, said, now)


def labelled(labels: Mapping[str, str], row: Transaction, now: datetime) -> Transaction:
    said = stated_by(row)
    return row_of(row.reference, {**said, "labels": {**said.get("labels", {}), **labels}}, now)
