"""The balance history of an account: computed backwards from the last reading, as the real API does."""

from calendar import monthrange
from datetime import date, timedelta
from typing import Any, NamedTuple

from aiohttp import web

from adapters.budget_insight.simulator.accounts import one_account
from adapters.budget_insight.simulator.bank import Account
from adapters.budget_insight.simulator.edge import caller, reply, simulator, wants_all
from adapters.budget_insight.simulator.listing import bound
from adapters.budget_insight.simulator.render import CURRENCIES, number
from adapters.budget_insight.simulator.statements import booked

DAYS_MAX = 3_660


async def list_balances(request: web.Request) -> web.Response:
    """Answer one period: the dates asked for with its days, or the current month without."""
    account = one_account(request, caller(request), everything=wants_all(request))
    today = simulator(request).clock.today()
    asked = bool(request.query.get("min_date") or request.query.get("max_date"))
    last = asked_day(request, "max_date") or today.replace(day=monthrange(today.year, today.month)[1])
    first = asked_day(request, "min_date") or last.replace(day=1)
    known = [t.row.date for t in account.transactions.values() if t.deleted is None]
    days = walk(account, first, last)
    period = balance_period(account, first, last, days)
    if asked:
        period["daily_balances"] = [
            {"date": day.date, **summary(account, day.balance, day.values)} for day in days
        ]
    return reply(
        {
            "balances": [period],
            "first_date": min(known, default=None),
            "last_date": max(known, default=None),
            "result_min_date": first,
            "result_max_date": last,
            "total": 1,
        }
    )


def asked_day(request: web.Request, name: str) -> date | None:
    text = bound(request.query, name, first=name == "min_date")
    return date.fromisoformat(text) if text else None


class Day(NamedTuple):
    """A day's booked amounts, and the balance they left."""

    date: date
    balance: int | None
    values: list[int]


def walk(account: Account, first: date, last: date) -> list[Day]:
    """Return the days from `first` to `last` on which the account has a known balance.

    Before its first row nothing is known; after its last one nothing has changed.
    """
    flows: dict[date, list[int]] = {}
    for transaction in account.transactions.values():
        if transaction.deleted is None and (value := booked(transaction.row)):
            flows.setdefault(transaction.row.date, []).append(value)
    if not flows:
        return []
    start = max(first, min(flows))
    stop = min(last, max(flows), start + timedelta(days=DAYS_MAX))
    balance = account.balance
    if balance is not None:
        balance -= sum(sum(values) for day, values in flows.items() if day >= start)
    days = []
    for count in range((stop - start).days + 1):
        day = start + timedelta(days=count)
        values = flows.get(day, [])
        balance = None if balance is None else balance + sum(values)
        days.append(Day(day, balance, values))
    return days


def balance_period(account: Account, first: date, last: date, days: list[Day]) -> dict[str, Any]:
    currency = account.held.currency
    closing = days[-1].balance if days else account.balance
    figures = summary(account, closing, [value for day in days for value in day.values])
    return {
        "min_date": first,
        "max_date": last,
        "currencies": [{"id": currency, "symbol": CURRENCIES[currency].symbol, **figures}],
        "n_overdraft": sum(day.balance is not None and day.balance < 0 for day in days),
        **figures,
    }


def summary(account: Account, balance: int | None, values: list[int]) -> dict[str, Any]:
    currency = account.held.currency
    return {
        "balance": number(balance, currency),
        "expenses": number(sum(value for value in values if value < 0), currency),
        "incomes": number(sum(value for value in values if value > 0), currency),
        "remains": number(sum(values), currency),
    }


ROUTES = tuple(
    web.get(f"{prefix}/accounts/{{account}}/balances", list_balances)
    for prefix in ("/2.0/users/{user}", "/2.0/users/{user}/connections/{connection}")
)
