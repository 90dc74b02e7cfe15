"""Routes of accounts."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from aiohttp import web
from msgspec import Raw

from adapters.budget_insight.simulator.bank import Account, User
from adapters.budget_insight.simulator.edge import caller, flag, path_id, reply, sent, simulator, wants_all
from adapters.budget_insight.simulator.refusals import Refused
from adapters.budget_insight.simulator.render import currency_object, label, number
from adapters.budget_insight.simulator.statements import Loan

ID_OF_TYPE = {"checking": 2, "savings": 3, "livret_a": 8, "loan": 6, "card": 9, "unknown": 1}


async def list_accounts(request: web.Request) -> web.Response:
    user = caller(request)
    everything = wants_all(request)
    accounts = scope(request, user, everything=everything)
    if not everything:
        refuse_without_account(user)
    return reply(account_list(accounts))


async def get_account(request: web.Request) -> web.Response:
    user = caller(request)
    return reply(account_object(one_account(request, user, everything=wants_all(request))))


async def update_account(request: web.Request) -> web.Response:
    """Enable or disable one account, or several as `1234,4567`, and edit what the user may edit."""
    user = caller(request)
    body = await sent(request)
    bank = simulator(request).bank
    disabled = flag(body, "disabled")
    accounts = named_accounts(request, user, everything=wants_all(request))
    for account in accounts:
        if disabled is not None:
            (bank.disable if disabled else bank.enable)(account)
        edit(account, body)
        user.changed()
    if len(accounts) == 1:
        return reply(account_object(accounts[0]))
    return reply(account_list(accounts))


def edit(account: Account, body: dict[str, Any]) -> None:
    if isinstance(body.get("name"), str):
        account.name = body["name"]
    if body.get("usage") in ("PRIV", "ORGA", "ASSO"):
        account.usage = body["usage"]
    if (display := flag(body, "display")) is not None:
        account.display = display
    if (bookmarked := flag(body, "bookmarked")) is not None:
        account.bookmarked = int(bookmarked)


def scope(request: web.Request, user: User, *, everything: bool) -> list[Account]:
    """Return the accounts a list is about: of the user or of one connection, hidden ones by `all`.

    Raises:
        Refused: `notFound`, for a connection that is not the user's.
    """
    connection_id = path_id(request, "connection")
    if connection_id is not None and connection_id not in user.connections:
        raise Refused("notFound", "No such connection.")
    return [
        account
        for connection in user.connections.values()
        if connection_id in (None, connection.id)
        for account in connection.accounts.values()
        if everything or account.is_shown
    ]


def one_account(request: web.Request, user: User, *, everything: bool) -> Account:
    """Return the account that the path names; a hidden one is unknown without `all`."""
    account_id = path_id(request, "account")
    for account in scope(request, user, everything=everything):
        if account.id == account_id:
            return account
    raise Refused("notFound", "No such account.")


def named_accounts(request: web.Request, user: User, *, everything: bool) -> list[Account]:
    wanted = request.match_info["account"].split(",")
    known = {str(a.id): a for a in scope(request, user, everything=everything)}
    if not all(account_id in known for account_id in wanted):
        raise Refused("notFound", "No such account.")
    return [known[account_id] for account_id in wanted]


def refuse_without_account(user: User) -> None:
    """Lists are an error, not empty, for a user without any enabled account."""
    if not any(a.is_shown for c in user.connections.values() for a in c.accounts.values()):
        raise Refused("noAccount", "This user has no enabled account.")


def account_list(accounts: Iterable[Account]) -> dict[str, Any]:
    accounts = list(accounts)
    balances: dict[str, int] = {}
    coming_balances: dict[str, int] = {}
    for account in accounts:
        if account.is_shown and account.balance is not None:
            currency = account.held.currency
            balances[currency] = balances.get(currency, 0) + account.balance
            awaited = account.balance + (account.coming or 0)
            coming_balances[currency] = coming_balances.get(currency, 0) + awaited
    main = "EUR" if "EUR" in balances else next(iter(balances), None)
    return {
        "accounts": [account_object(account) for account in accounts],
        "balance": number(balances[main], main) if main else None,
        "balances": {currency: number(sum_, currency) for currency, sum_ in balances.items()},
        "coming_balances": {c: number(sum_, c) for c, sum_ in coming_balances.items()},
        "total": len(accounts),
    }


def account_object(account: Account) -> dict[str, Any]:
    held, connection = account.held, account.connection
    currency = held.currency
    expected = None
    if account.balance is not None:
        expected = account.balance + (account.coming or 0)
    parent = connection.current.get(held.parent_key) if held.parent_key else None
    return {
        "id": account.id,
        "id_connection": connection.id,
        "id_user": connection.user.id,
        "id_source": connection.source_id,
        "id_parent": parent.id if parent else None,
        "number": held.number,
        "iban": held.iban,
        "bic": held.bic,
        "original_name": held.original_name,
        "name": account.name,
        "balance": number(account.balance, currency),
        "coming": number(account.coming, currency),
        "coming_balance": number(expected, currency),
        "formatted_balance": label(account.balance, currency),
        "currency": currency_object(currency),
        "type": held.type,
        "id_type": ID_OF_TYPE.get(held.type, ID_OF_TYPE["unknown"]),
        "usage": account.usage,
        "ownership": held.ownership,
        "company_name": held.company_name,
        "display": account.display,
        "bookmarked": account.bookmarked,
        "opening_date": held.opening_date,
        "last_update": account.last_update,
        "disabled": account.disabled,
        "deleted": account.deleted,
        "error": None,
        "loan": loan_object(held.loan, account.balance, currency) if held.loan else None,
        "webid": f"{held.number}-{held.key}",
        "information": {},
    }


def loan_object(loan: Loan, balance: int | None, currency: str) -> dict[str, Any]:
    left = loan.nb_payments_total - loan.nb_payments_done
    return {
        "type": loan.type,
        "account_label": loan.account_label,
        "total_amount": number(loan.total_amount, currency),
        "available_amount": None,
        "used_amount": number(None if balance is None else -balance, currency),
        "rate": hundredths(loan.rate),
        "subscription_date": loan.subscription_date,
        "start_repayment_date": loan.start_repayment_date,
        "maturity_date": loan.maturity_date,
        "deferred": False,
        "next_payment_amount": number(loan.next_payment_amount, currency),
        "next_payment_date": loan.next_payment_date,
        "last_payment_amount": number(loan.last_payment_amount, currency),
        "last_payment_date": loan.last_payment_date,
        "nb_payments_done": loan.nb_payments_done,
        "nb_payments_left": left,
        "nb_payments_total": loan.nb_payments_total,
        "duration": months_between(loan.start_repayment_date, loan.maturity_date),
        "insurance_label": None,
        "insurance_amount": None,
        "insurance_rate": None,
    }


def hundredths(rate: int) -> Raw:
    return Raw(f"{rate // 100}.{rate % 100:02d}".encode())


def months_between(first: date, last: date) -> int:
    return (last.year - first.year) * 12 + last.month - first.month


ROUTES = tuple(
    route
    for prefix in ("/2.0/users/{user}", "/2.0/users/{user}/connections/{connection}")
    for route in (
        web.get(f"{prefix}/accounts", list_accounts),
        web.get(f"{prefix}/accounts/{{account}}", get_account),
        web.post(f"{prefix}/accounts/{{account}}", update_account),
        web.put(f"{prefix}/accounts/{{account}}", update_account),
    )
)
