"""Cash flow: what came in and went out of each account by month, and what is answered of it.

The sums are exact and of all accounts; the answer takes the checking and savings accounts, per currency.
Closing balances are those at the end of a month. What was booked after the day of an account's last reading comes on
top of it; from the newest month they walk back: opening = closing - net, and the closing of the month before is that
opening.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from domain.insights.months import first_day, month_of, month_text
from projections import answers, own_transfers
from projections.accounts import OBSERVED, Account, cash_accounts, key_of
from projections.answers import CashflowMonth, CurrencyCashflow, major, qard_time
from projections.ports import Rows, Table
from projections.times import moment, utc_day


class Month(NamedTuple):
    """The booked rows of an account that have an amount, by the month they were booked in."""

    account: bytes
    month: int
    income: str
    """Minor units, as text: a sum may need more than 63 bits."""
    expense: str
    count: int
    days: bytes
    """Day of the month, net and count of each day that has rows, as JSON, oldest first."""


class Cashflow(NamedTuple):
    tenant: str
    consumer: str
    body: bytes
    """`answers.Cashflow`."""


MONTHS = Table("account_months", Month, key=2)
CASHFLOWS = Table("cashflows", Cashflow, key=2)
TABLES = (MONTHS, CASHFLOWS)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[tuple[int, int, int]]).decode


class Day(NamedTuple):
    day: int
    net: int
    count: int


Part = tuple[int, int | None]
"""Of a row: the day it was booked on, and its amount."""


def move(came: Iterable[Part], went: Iterable[Part], key: bytes, rows: Rows) -> None:
    """Add booked rows of an account to its months, and take others off."""
    moved: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    for parts, sign in ((came, 1), (went, -1)):
        for day, amount in parts:
            if amount is not None:
                # Income, expense, count.
                sums = moved[day]
                sums[amount < 0] += amount * sign
                sums[2] += sign
    _merge(moved, key, rows)


def _merge(moved: dict[int, list[int]], key: bytes, rows: Rows) -> None:
    months: defaultdict[int, list[int]] = defaultdict(list)
    for day in moved:
        months[month_of(day)].append(day)
    for month, days in months.items():
        row = rows.get(MONTHS, key, month) or Month(key, month, "0", "0", 0, b"[]")
        first = first_day(month)
        by_day = {day: [net, count] for day, net, count in _decode(row.days)}
        income, expense, count = int(row.income), int(row.expense), row.count
        for day in days:
            came, went, number = moved[day]
            sums = by_day.setdefault(day - first + 1, [0, 0])
            sums[0] += came + went
            sums[1] += number
            income += came
            expense += went
            count += number
        if count == 0:
            rows.delete(MONTHS, key, month)
            continue
        kept = [(day, net, number) for day, (net, number) in sorted(by_day.items()) if number]
        rows.put(MONTHS, Month(key, month, str(income), str(expense), count, _encode(kept)))


def days_of(month: Month) -> list[Day]:
    """The days on which something was booked, oldest first, with their net."""
    before = first_day(month.month) - 1
    return [Day(before + day, net, count) for day, net, count in _decode(month.days)]


def net_of(month: Month) -> int:
    return int(month.income) + int(month.expense)


# The answer


def finish(rows: Rows, tenant: str, consumer: str) -> None:
    """Write down what is answered about a consumer."""
    observed = rows.get(OBSERVED, tenant, consumer)
    if observed is None:
        rows.delete(CASHFLOWS, tenant, consumer)
        return
    accounts = cash_accounts(rows, tenant, consumer)
    body = answers.encode(answer(accounts, rows, observed.recorded_at))
    row = Cashflow(tenant, consumer, body)
    if rows.get(CASHFLOWS, tenant, consumer) != row:
        rows.put(CASHFLOWS, row)


def answer(accounts: list[Account], rows: Rows, computed_at: int | None) -> answers.Cashflow:
    """The cash flow of these accounts, the currency with the most transactions first."""
    by_currency: defaultdict[str, list[Account]] = defaultdict(list)
    for account in accounts:
        by_currency[account.currency].append(account)
    day = max((account.as_of for account in accounts if account.as_of is not None), default=None)
    reference_month = None if day is None else month_of(utc_day(day))
    flows = [
        (sum(month.transactions_count for month in flow.months), flow)
        for flow in (
            _currency(currency, of_currency, rows, reference_month)
            for currency, of_currency in by_currency.items()
        )
    ]
    flows.sort(key=lambda counted: (-counted[0], counted[1].currency))
    main = flows[0][1] if flows else NOTHING
    source = by_currency[main.currency][0] if flows else None
    return answers.Cashflow(
        **msgspec.structs.asdict(main),
        other_currencies=[flow for _, flow in flows[1:]],
        computed_at=None if computed_at is None else qard_time(moment(computed_at)),
        provider_name=None if source is None else source.provider,
        data_connection_id=None if source is None else source.connection or None,
    )


NOTHING = CurrencyCashflow(
    currency=None,
    from_month=None,
    to_month=None,
    total_income=None,
    total_expense=None,
    net=None,
    months=[],
    accounts=[],
)


def _currency(
    currency: str, accounts: list[Account], rows: Rows, reference_month: int | None
) -> CurrencyCashflow:
    exponent = max(account.exponent for account in accounts)
    nothing = msgspec.structs.replace(
        NOTHING, currency=currency, accounts=[account.id for account in accounts]
    )
    sums: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    between: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    between_since: int | None = 0
    for account in accounts:
        scale = 10 ** (exponent - account.exponent)
        found = own_transfers.known_of(account, rows)
        between_since = None if None in (between_since, found.since) else max(between_since, found.since)
        for number, (came, went) in found.months.items():
            between[number][0] += came * scale
            between[number][1] += went * scale
        for row in rows.scan(MONTHS, key_of(account.id)):
            month = sums[row.month]
            month[0] += int(row.income) * scale
            month[1] += int(row.expense) * scale
            month[2] += row.count
    if not sums:
        return nothing
    first, last = min(sums), max(sums)
    if reference_month is not None:
        last = max(last, reference_month)
    closing = _closing(accounts, rows, exponent)
    months: list[CashflowMonth] = []
    for month in range(last, first - 1, -1):
        income, expense, count = sums.get(month, (0, 0, 0))
        net = income + expense
        opening = None if closing is None else closing - net
        is_known = between_since is not None and month >= between_since
        months.append(
            CashflowMonth(
                month=month_text(month),
                income=major(income, exponent),
                expense=major(expense, exponent),
                net=major(net, exponent),
                opening_balance=None if opening is None else major(opening, exponent),
                closing_balance=None if closing is None else major(closing, exponent),
                transactions_count=count,
                own_transfers_in=major(between[month][0], exponent) if is_known else None,
                own_transfers_out=major(between[month][1], exponent) if is_known else None,
            )
        )
        closing = opening
    months.reverse()
    total_income = sum(income for income, _, _ in sums.values())
    total_expense = sum(expense for _, expense, _ in sums.values())
    return msgspec.structs.replace(
        nothing,
        from_month=month_text(first),
        to_month=month_text(last),
        total_income=major(total_income, exponent),
        total_expense=major(total_expense, exponent),
        net=major(total_income + total_expense, exponent),
        months=months,
    )


def _closing(accounts: list[Account], rows: Rows, exponent: int) -> int | None:
    """What the accounts hold together after all that is booked; None where the balance of one is not known."""
    closing = 0
    for account in accounts:
        if account.balance is None or account.as_of is None:
            return None
        held = account.balance + _booked_after(utc_day(account.as_of), account, rows)
        closing += held * 10 ** (exponent - account.exponent)
    return closing


def _booked_after(day: int, account: Account, rows: Rows) -> int:
    """The net of what was booked after a day: a reading holds what was booked up to its own."""
    months = rows.scan(MONTHS, key_of(account.id), at_least=month_of(day))
    return sum(booked.net for month in months for booked in days_of(month) if booked.day > day)
