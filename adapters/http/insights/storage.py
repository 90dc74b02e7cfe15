"""The storage: a client brings accounts and transactions of its own, and gets the same insights.

What is brought is kept for a while, 10 minutes unless the client says otherwise, and then its key is destroyed. Each
create call keeps an account for at least so long from now; one that names `data_retention_minutes` sets the end exactly.
With the last of a consumer's accounts goes the consumer, if nothing else is known of them.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from adapters.http.doors import INSIGHTS
from adapters.http.insights import scope
from adapters.http.insights.storage_bodies import (
    DAYS,
    ChangeTransactionsBody,
    CreateAccountBody,
    CreateTransactionsBody,
    DeleteAccountsBody,
    DeleteConsumerBody,
    ListAccountsBody,
    ListTransactionsBody,
    PaginationBody,
    TransactionsBody,
    UpsertLabelsBody,
    currency_of,
    labelled,
    refuse_twins,
    retention_of,
    row_of,
    stated,
    updated,
    upload_of,
)
from adapters.http.problems import Problem
from adapters.http.routing import Answer, Asked, Route, ok
from adapters.http.writes import answered
from application import retention, uploads
from application.execute import Outcome
from domain import streams
from domain.categories.tree import with_descendants
from domain.consumer_account import CHECKING, CREDIT_CARD, SAVINGS
from domain.insights.figures import Window
from domain.money import exponent_of
from domain.row_details import CANCELED, FAILED, PENDING, PROCESSED, UNKNOWN
from domain.transactions import day_of
from projections import uploads as brought
from projections.accounts import details_of
from projections.answers import insights_time
from projections.reports.listing import Entry, Filters, Order, in_order, listed, page_of, shaped
from projections.reports.shapes import Transaction, given
from projections.times import micros as microseconds
from projections.times import moment, utc_day
from projections.uploads import Shown

TAG = "Insights storage"
#: The most bytes of a body with rows: some thousands of them.
ROWS_SIZE_MAX = 1_048_576
_ALL_STATES = frozenset({PROCESSED, PENDING, CANCELED, FAILED, UNKNOWN})
_TYPES = {CHECKING: "DEFAULT", SAVINGS: "SAVING", CREDIT_CARD: "CREDITCARD"}

# Answers


class Emptiness(msgspec.Struct):
    """An empty object."""


class StoredIds(msgspec.Struct, kw_only=True):
    insights_consumer_id: str
    insights_account_id: str


class StoredIdsAnswer(msgspec.Struct):
    data: StoredIds


class Pagination(msgspec.Struct, kw_only=True):
    size: int
    offset: int
    total: int
    """Of all pages."""


class StoredAddress(msgspec.Struct, kw_only=True):
    country: str | UnsetType = UNSET


class StoredAccount(msgspec.Struct, kw_only=True):
    """An account, whoever brought it. What was not stated is left out."""

    insights_account_id: str
    iban: str | UnsetType = UNSET
    account_number: str | UnsetType = UNSET
    alias: str | UnsetType = UNSET
    bic: str | UnsetType = UNSET
    bank_code: str | UnsetType = UNSET
    holder_name: str | UnsetType = UNSET
    account_type: Literal["DEFAULT", "SAVING", "CREDITCARD", "DEPOT"] | UnsetType = UNSET
    transfer_type: Literal["NONE", "DOMESTIC", "FULL", "REFERENCE", "RESTRICTED"] | UnsetType = UNSET
    currency: str
    holder_address: StoredAddress | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET
    refreshed_at: str
    expires_at: str | UnsetType = UNSET
    """The end of its retention; left out where it has none. The original contract has no such field."""


class StoredAccounts(msgspec.Struct, kw_only=True):
    accounts: list[StoredAccount]
    """In the order of their discovery."""
    pagination: Pagination


class StoredAccountsAnswer(msgspec.Struct):
    data: StoredAccounts


class StoredTransaction(Transaction, kw_only=True, gc=False):
    """A row, whoever brought it."""

    category_ids: list[str] | UnsetType = UNSET
    category_tag_ids: list[str] | UnsetType = UNSET
    labels: dict[str, str] | UnsetType = UNSET


class StoredTransactions(msgspec.Struct, kw_only=True):
    transactions: list[StoredTransaction]
    """The newest booking first, unless another order is asked for."""
    pagination: Pagination


class StoredTransactionsAnswer(msgspec.Struct):
    data: StoredTransactions


async def _empty(asked: Asked, outcome: Outcome) -> Answer:
    return await answered(asked, outcome, Emptiness())


# Accounts


async def create_stored_account(asked: Asked) -> Answer:
    body: CreateAccountBody = asked.body
    upload = upload_of(body, asked.now())
    outcome = await uploads.put_stored_account(
        asked.services, asked.context, body.insights_consumer_id, upload
    )
    stream = streams.parse(outcome.stream)
    ids = StoredIds(
        insights_consumer_id=body.insights_consumer_id or stream.consumer,
        insights_account_id=upload.client_id or stream.id,
    )
    return await answered(asked, outcome, StoredIdsAnswer(ids))


async def list_stored_accounts(asked: Asked) -> Answer:
    body: ListAccountsBody = asked.body
    with asked.http.read_models.moment() as rows:
        consumer = scope.consumer_of(asked, rows, body.insights_consumer_id)
        held = list(brought.accounts_of(rows, asked.tenant, consumer, asked.now()))
    page = page_of(held, body.pagination.size, body.pagination.offset)
    found = StoredAccounts(
        accounts=list(map(_account, page)), pagination=_pagination(body.pagination, len(held))
    )
    return ok(StoredAccountsAnswer(found))


def _account(shown: Shown) -> StoredAccount:
    account, details = shown.account, details_of(shown.account)
    said = {} if shown.stored is None else brought.stated_of(shown.stored)
    if shown.stored is None and account.kind in _TYPES:
        said["account_type"] = _TYPES[account.kind]
    owner = details.owners[0] if details.owners else None
    names = (owner.full_name or " ".join(filter(None, (owner.first_name, owner.last_name)))) if owner else ""
    until = None if shown.stored is None else shown.stored.until
    address: dict[str, Any] = said.pop("holder_address", {})
    return StoredAccount(
        insights_account_id=shown.name,
        iban=given(details.iban),
        account_number=given(details.number),
        alias=given(details.name),
        bic=given(details.bic),
        holder_name=given(names or None),
        currency=account.currency,
        holder_address=StoredAddress(**address) if address else UNSET,
        refreshed_at=insights_time(moment(account.discovered_at if account.as_of is None else account.as_of)),
        expires_at=given(None if until is None else insights_time(moment(until))),
        **said,
    )


def _pagination(asked: PaginationBody, total: int) -> Pagination:
    return Pagination(size=asked.size, offset=asked.offset, total=total)


async def delete_stored_accounts(asked: Asked) -> Answer:
    body: DeleteAccountsBody = asked.body
    outcome = await retention.delete_accounts(
        asked.services, asked.context, body.insights_consumer_id, body.insights_account_ids
    )
    return await _empty(asked, outcome)


async def delete_stored_consumer(asked: Asked) -> Answer:
    body: DeleteConsumerBody = asked.body
    outcome = await retention.delete_consumer(asked.services, asked.context, body.insights_consumer_id)
    return await _empty(asked, outcome)


# Transactions


async def create_stored_transactions(asked: Asked) -> Answer:
    body: CreateTransactionsBody = asked.body
    refuse_twins(body.transactions)
    currency, now = currency_of(body.transactions), asked.now()
    rows = [
        row_of(one.insights_transaction_id or asked.services.ids.uuid(), stated(one), now)
        for one in body.transactions
    ]
    outcome = await uploads.create_stored(
        asked.services,
        asked.context,
        body.insights_consumer_id,
        body.insights_account_id,
        rows,
        currency=currency,
        exponent=exponent_of(currency),
        retention=retention_of(body.data_retention_minutes),
        sets_retention=body.data_retention_minutes is not None,
    )
    return await _empty(asked, outcome)


async def update_stored_transactions(asked: Asked) -> Answer:
    body: ChangeTransactionsBody = asked.body
    edits = {one.insights_transaction_id: partial(updated, one, now=asked.now()) for one in body.transactions}
    return await _edited(asked, body, edits)


async def replace_stored_transactions(asked: Asked) -> Answer:
    body: ChangeTransactionsBody = asked.body
    now = asked.now()
    edits = {
        one.insights_transaction_id: lambda _, row=row_of(one.insights_transaction_id, stated(one), now): row
        for one in body.transactions
    }
    return await _edited(asked, body, edits)


async def _edited(asked: Asked, body: ChangeTransactionsBody, edits: dict[str, uploads.Edit]) -> Answer:
    refuse_twins(body.transactions)
    currency = currency_of(body.transactions)
    outcome = await uploads.edit_stored(
        asked.services,
        asked.context,
        body.insights_consumer_id,
        body.insights_account_id,
        edits,
        currency=currency,
        exponent=exponent_of(currency),
    )
    return await _empty(asked, outcome)


async def upsert_stored_labels(asked: Asked) -> Answer:
    body: UpsertLabelsBody = asked.body
    edit = partial(labelled, body.labels, now=asked.now())
    outcome = await uploads.edit_stored(
        asked.services,
        asked.context,
        body.insights_consumer_id,
        body.insights_account_id,
        dict.fromkeys(body.insights_transaction_ids, edit),
    )
    return await _empty(asked, outcome)


async def delete_stored_transactions(asked: Asked) -> Answer:
    body: TransactionsBody = asked.body
    outcome = await uploads.remove_stored(
        asked.services,
        asked.context,
        body.insights_consumer_id,
        body.insights_account_id,
        body.insights_transaction_ids,
    )
    return await _empty(asked, outcome)


async def list_stored_transactions(asked: Asked) -> Answer:
    body: ListTransactionsBody = asked.body
    filters = Filters(
        states=frozenset(body.states or _ALL_STATES),
        type=body.transaction_type,
        min_amount=body.min_amount,
        max_amount=body.max_amount,
        categories=with_descendants(body.category_ids or ()),
        brands=frozenset(body.brand_ids or ()),
    )
    with asked.http.read_models.moment() as rows:
        consumer = scope.consumer_of(asked, rows, body.insights_consumer_id)
        held = {shown.name: shown for shown in brought.accounts_of(rows, asked.tenant, consumer, asked.now())}
        names = body.insights_account_ids or list(held)
        if not held.keys() >= set(names):
            message = "The consumer has no such account."
            raise Problem(404, "ACCOUNT_NOT_FOUND", message, details={"insights_account_ids": [message]})
        entries = listed(rows, [held[name] for name in dict.fromkeys(names)], _window(asked, body), filters)
    orders = [Order(order.field, order.order == "DESC") for order in body.order or ()]
    page = page_of(in_order(entries, orders), body.pagination.size, body.pagination.offset)
    found = StoredTransactions(
        transactions=list(map(_transaction, page)), pagination=_pagination(body.pagination, len(entries))
    )
    return ok(StoredTransactionsAnswer(found))


def _window(asked: Asked, body: ListTransactionsBody) -> Window:
    today = utc_day(microseconds(asked.now()))
    last = today if body.to_date is None else day_of(body.to_date)
    first = last - (DAYS - 1 if body.days is None else body.days)
    return Window(first if body.from_date is None else day_of(body.from_date), last)


def _transaction(entry: Entry) -> StoredTransaction:
    row = shaped(entry)
    return StoredTransaction(
        insights_transaction_id=row.insights_transaction_id,
        insights_account_id=row.insights_account_id,
        value_date=row.value_date,
        booking_date=row.booking_date,
        amount=row.amount,
        type=row.type,
        state=row.state,
        method=row.method,
        reference=given(entry.said.reference) if _is_stored(entry) else row.reference,
        bank_references=row.bank_references,
        bank_transaction_code=row.bank_transaction_code,
        counter_party=row.counter_party,
        category_ids=given(list(entry.said.category_ids) or None),
        category_tag_ids=given(list(entry.said.category_tag_ids) or None),
        labels=row.labels,
    )


def _is_stored(entry: Entry) -> bool:
    return entry.account.stored is not None


def _route(path: str, handler: Any, body: Any, summary: str, answer: Any = Emptiness, **more: Any) -> Route:
    return Route(
        method="POST",
        path=f"/insights/v1/storage/{path}",
        door=INSIGHTS,
        handler=handler,
        tag=TAG,
        summary=summary,
        body=body,
        answers={200: answer},
        problems=(403, 404),
        **more,
    )


_write = partial(_route, writes=True)
_write_rows = partial(_write, body_max=ROWS_SIZE_MAX)

ROUTES = (
    _write(
        "accounts/create",
        create_stored_account,
        CreateAccountBody,
        "Bring an account; the consumer exists from then on",
        StoredIdsAnswer,
    ),
    _route(
        "accounts/list",
        list_stored_accounts,
        ListAccountsBody,
        "List a consumer's accounts",
        StoredAccountsAnswer,
    ),
    _write(
        "accounts/delete", delete_stored_accounts, DeleteAccountsBody, "Destroy accounts that were brought"
    ),
    _write(
        "consumers/delete",
        delete_stored_consumer,
        DeleteConsumerBody,
        "Erase a consumer, with all their data",
    ),
    _write_rows(
        "transactions/create", create_stored_transactions, CreateTransactionsBody, "Bring transactions"
    ),
    _route(
        "transactions/list",
        list_stored_transactions,
        ListTransactionsBody,
        "List transactions",
        StoredTransactionsAnswer,
    ),
    _write_rows(
        "transactions/update",
        update_stored_transactions,
        ChangeTransactionsBody,
        "Change properties of transactions, and leave the others as they are",
    ),
    _write_rows(
        "transactions/replace",
        replace_stored_transactions,
        ChangeTransactionsBody,
        "Put other transactions in place of these",
    ),
    _write("transactions/delete", delete_stored_transactions, TransactionsBody, "Take transactions out"),
    _write(
        "transactions/labels/upsert",
        upsert_stored_labels,
        UpsertLabelsBody,
        "Add labels to transactions, or change them",
    ),
)
