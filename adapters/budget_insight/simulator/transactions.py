"""Routes of transactions."""

from datetime import date
from typing import Any, NamedTuple

from aiohttp import web

from adapters.budget_insight.simulator.accounts import one_account, refuse_without_account, scope
from adapters.budget_insight.simulator.bank import Account, Transaction, User
from adapters.budget_insight.simulator.clock import paris_text
from adapters.budget_insight.simulator.edge import caller, flag, path_id, reply, sent, simulator, wants_all
from adapters.budget_insight.simulator.listing import (
    LIMIT_MAX,
    OFFSET_MAX,
    Filters,
    Page,
    count,
    cut,
    read_filters,
    select,
)
from adapters.budget_insight.simulator.refusals import Refused
from adapters.budget_insight.simulator.render import currency_object, label, number
from adapters.budget_insight.simulator.statements import Counterparty

LISTS_KEPT_MAX = 8


async def list_transactions(request: web.Request) -> web.Response:
    user = caller(request)
    limit = count(request.query, "limit", most=LIMIT_MAX)
    if limit == 0:
        raise Refused("invalidValue", "limit is zero.")
    offset = count(request.query, "offset", most=OFFSET_MAX, default=0)
    filters = read_filters(request.query)
    accounts = accounts_of_list(request, user, everything=filters.everything)
    selected = selection(user, accounts, filters)
    page = cut(selected.transactions, limit=limit, offset=offset, cursor=request.query.get("cursor"))
    shown = [t.row.date for t in page.transactions]
    return reply(
        {
            "transactions": [transaction_object(t) for t in page.transactions],
            "first_date": selected.first_date,
            "last_date": selected.last_date,
            "result_min_date": min(shown, default=None),
            "result_max_date": max(shown, default=None),
            "total": len(selected.transactions),
            "_links": links(request, page),
        }
    )


async def get_transaction(request: web.Request) -> web.Response:
    return reply(transaction_object(one_transaction(request, caller(request))))


async def update_transaction(request: web.Request) -> web.Response:
    """Edit what the user may edit: nothing that the bank said."""
    user = caller(request)
    transaction = one_transaction(request, user)
    body = await sent(request)
    if isinstance(body.get("wording"), str):
        transaction.wording = body["wording"]
    if isinstance(body.get("comment"), str):
        transaction.comment = body["comment"]
    if "application_date" in body:
        filters = read_filters({"min_date": str(body["application_date"])})
        transaction.application_date = filters.min_date
    if (active := flag(body, "active")) is not None:
        transaction.active = active
    transaction.last_update = paris_text(simulator(request).clock.now())
    user.changed()
    return reply(transaction_object(transaction))


def accounts_of_list(request: web.Request, user: User, *, everything: bool) -> list[Account]:
    if "account" in request.match_info:
        return [one_account(request, user, everything=everything)]
    accounts = scope(request, user, everything=everything)
    refuse_without_account(user)
    return accounts


class Selection(NamedTuple):
    """The rows of a list in order, and the days between which its accounts have any at all."""

    transactions: list[Transaction]
    first_date: date | None
    last_date: date | None


def selection(user: User, accounts: list[Account], filters: Filters) -> Selection:
    """Put a list together, once for all its pages as long as nothing changes."""
    key = (tuple(account.id for account in accounts), filters)
    found = user.lists.get(key)
    if not isinstance(found, Selection):
        rows = [t for account in accounts for t in account.transactions.values()]
        days = [transaction.row.date for transaction in rows]
        found = Selection(select(rows, filters), min(days, default=None), max(days, default=None))
        if len(user.lists) >= LISTS_KEPT_MAX:
            user.lists.clear()
        user.lists[key] = found
    return found


def one_transaction(request: web.Request, user: User) -> Transaction:
    """Return the transaction that the path names; a deleted one is unknown without `all`."""
    everything = wants_all(request)
    named = "account" in request.match_info
    accounts = scope(request, user, everything=everything)
    if named:
        accounts = [one_account(request, user, everything=everything)]
    transaction_id = path_id(request, "transaction")
    for account in accounts:
        for transaction in account.transactions.values():
            if transaction.id == transaction_id and (everything or transaction.deleted is None):
                return transaction
    raise Refused("notFound", "No such transaction.")


def links(request: web.Request, page: Page) -> dict[str, Any]:
    return {
        "self": {"href": f"{origin(request)}{request.rel_url}"},
        "prev": link(request, page.before),
        "next": link(request, page.after),
    }


def link(request: web.Request, cursor: str | None) -> dict[str, str] | None:
    """Return the address of a neighbour page: the same filters, from a place instead of an offset."""
    if cursor is None:
        return None
    query = [(n, v) for n, v in request.query.items() if n not in ("offset", "cursor")]
    address = request.rel_url.with_query([*query, ("cursor", cursor)])
    return {"href": f"{origin(request)}{address}"}


def origin(request: web.Request) -> str:
    return f"{request.scheme}://{request.host}"


def transaction_object(transaction: Transaction) -> dict[str, Any]:
    row, account = transaction.row, transaction.account
    currency = account.held.currency
    original = row.original_currency
    return {
        "id": transaction.id,
        "id_account": account.id,
        "application_date": transaction.application_date or row.application_date or row.date,
        "date": row.date,
        "datetime": None,
        "rdate": row.rdate,
        "rdatetime": None,
        "vdate": row.vdate,
        "vdatetime": None,
        "bdate": row.vdate,
        "bdatetime": None,
        "value": number(row.value, currency),
        "gross_value": None,
        "formatted_value": label(row.value, currency),
        "type": row.type,
        "original_wording": row.original_wording,
        "simplified_wording": row.simplified_wording,
        "stemmed_wording": row.simplified_wording,
        "wording": transaction.wording or row.simplified_wording,
        "id_category": row.category,
        "state": "parsed",
        "date_scraped": transaction.date_scraped,
        "coming": row.coming,
        "active": transaction.active,
        "id_cluster": None,
        "comment": transaction.comment,
        "last_update": transaction.last_update,
        "deleted": transaction.deleted,
        "original_value": number(row.original_value, original) if original else None,
        "original_gross_value": None,
        "original_currency": currency_object(original) if original else None,
        "commission": None,
        "commission_currency": None,
        "country": None,
        "card": row.card,
        "counterparty": counterparty_object(row.counterparty),
        "webid": row.webid,
        "details": None,
        "documents_count": 0,
        "informations": {},
    }


def counterparty_object(counterparty: Counterparty | None) -> dict[str, Any] | None:
    if counterparty is None:
        return None
    return {
        "label": counterparty.label,
        "account_scheme_name": counterparty.account_scheme_name,
        "account_identification": counterparty.account_identification,
        "type": counterparty.type,
    }


ROUTES = tuple(
    route
    for prefix in (
        "/2.0/users/{user}",
        "/2.0/users/{user}/connections/{connection}",
        "/2.0/users/{user}/accounts/{account}",
        "/2.0/users/{user}/connections/{connection}/accounts/{account}",
    )
    for route in (
        web.get(f"{prefix}/transactions", list_transactions),
        web.get(f"{prefix}/transactions/{{transaction}}", get_transaction),
        web.post(f"{prefix}/transactions/{{transaction}}", update_transaction),
        web.put(f"{prefix}/transactions/{{transaction}}", update_transaction),
    )
)
