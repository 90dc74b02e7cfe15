"""Credit insights as they are defined: made of all the rows that facts have brought, and of nothing that is kept."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from domain.consumer_account import CASH_KINDS
from domain.money import write
from domain.transactions import Transaction, date_of
from projections import answers
from projections.accounts import ACCOUNTS, OBSERVED, Account
from projections.answers import CalendarMonth, CashFlow, Overdraft, major, qard_day
from projections.credit_insights import GROUP, answer
from projections.kinds import type_of
from projections.labels import label_root
from projections.ports import Rows
from projections.times import utc_day
from tests.projections import naive_merging
from tests.projections.examples import History


class Statement(NamedTuple):
    account: Account
    rows: list[tuple[bytes, Transaction]]
    """The booked rows with an amount."""

    @property
    def last_day(self) -> int | None:
        days = [row.booked_on for _, row in self.rows]
        if self.account.as_of is not None:
            days.append(utc_day(self.account.as_of))
        return max(days, default=None)


def insights(history: History, rows: Rows, tenant: str, consumer: str) -> answers.CreditInsights:
    """`rows` says which accounts there are; transactions are read from the facts alone."""
    statements = [
        Statement(account, _booked(history, account))
        for account in rows.scan(ACCOUNTS, tenant, consumer)
        if account.kind in CASH_KINDS
    ]
    computed_at = rows.get(OBSERVED, tenant, consumer).recorded_at
    document = answer([], rows, computed_at)
    document.risks.overdraft = _overdraft(statements)
    last = max((day for s in statements if (day := s.last_day) is not None), default=None)
    if last is not None:
        end = date_of(last)
        first = end.replace(year=end.year - 1, day=1)
        document.from_date, document.to_date = first.isoformat(), end.isoformat()
        document.cash_flows = [flow for s in statements for flow in _flows(s, document.from_date)]
        document.cash_flows.sort(key=lambda flow: (-abs(Decimal(flow.total_amount)), flow.label))
    return document


def _booked(history: History, account: Account) -> list[tuple[bytes, Transaction]]:
    shown = naive_merging.accounts_of(history, account.consumer)[account.id].shown
    return [(id, row) for id, row in shown if row.amount is not None]


def _flows(statement: Statement, from_date: str) -> list[CashFlow]:
    account = statement.account
    groups: defaultdict[tuple[str, str, bool], list[tuple[int, bytes, Transaction]]] = defaultdict(list)
    for id, row in statement.rows:
        if date_of(row.booked_on).isoformat() >= from_date:
            type = type_of(row.kind)
            type = "DIRECT_DEBIT" if type == "ORDER" and row.amount < 0 else type
            value_day = row.booked_on if row.value_on is None else row.value_on
            groups[type, label_root(row.wording), row.amount < 0].append((-value_day, id, row))
    flows: list[CashFlow] = []
    for (type, root, _), group in sorted(groups.items()):
        group.sort(key=lambda member: member[:2])
        months: defaultdict[str, int] = defaultdict(int)
        for _, _, row in group:
            months[f"{date_of(row.booked_on):%Y-%m}"] += row.amount
        flows.append(
            CashFlow(
                type=type,
                category="UNLABELLED",
                label_root=root,
                label=root,
                currency=account.currency,
                total_amount=write(sum(months.values()), account.exponent),
                calendar=[
                    CalendarMonth(month=month, amount=major(months[month], account.exponent))
                    for month in sorted(months)
                ],
                transactions=[_answer(account, -newest, id, row) for newest, id, row in group],
            )
        )
    return flows


def _answer(account: Account, value_day: int, id: bytes, row: Transaction) -> answers.BankTransaction:
    return answers.BankTransaction(
        id=str(UUID(bytes=id)),
        account_id=account.id,
        amount=major(row.amount, account.exponent),
        currency=account.currency,
        initiated_at=None if row.initiated_on is None else qard_day(row.initiated_on),
        value_date=qard_day(value_day),
        description=row.wording,
        transaction_type=type_of(row.kind),
        provider_name=account.provider,
        data_connection_id=account.connection,
    )


def _overdraft(statements: list[Statement]) -> Overdraft:
    covered = [statement for statement in statements if statement.rows]
    if not covered or any(statement.account.balance is None for statement in covered):
        return Overdraft(status="insufficient_history", duration=None, limit_assumed=None, fees=GROUP)
    return Overdraft(
        status="ok",
        duration=sum(map(days_below, covered)),
        limit_assumed=any(statement.account.limit is None for statement in covered),
        fees=GROUP,
    )


def days_below(statement: Statement) -> int:
    """Day by day, the balance at its end reckoned from the reading."""
    account, rows = statement
    read_on = utc_day(account.as_of)
    nets: defaultdict[int, int] = defaultdict(int)
    for _, row in rows:
        nets[row.booked_on] += row.amount
    first, last = min(nets), statement.last_day
    end = account.balance - sum(net for day, net in nets.items() if day <= read_on)
    count = 0
    for day in range(first, last + 1):
        end += nets[day]
        count += end < -(account.limit or 0)
    return count
