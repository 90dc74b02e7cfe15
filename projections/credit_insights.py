"""Credit insights: a year of cash flows that belong together, and the days in hard overdraft.

The year ends on the day of the newest reading or booked row. Loans, rejections, heavy failures and fees have
their final shape here and are not computed yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

import msgspec

from domain.fact import Recorded
from domain.money import write
from projections import answers
from projections.accounts import OBSERVED, Account, cash_accounts, key_of
from projections.answers import (
    INSUFFICIENT_HISTORY,
    NOT_COMPUTED,
    OK,
    CalendarMonth,
    CashFlow,
    HeavyFailures,
    Incidents,
    LoanFlows,
    Loans,
    Overdraft,
    RejectionDetail,
    Risks,
    TransactionsGroupDetail,
    major,
    qard_time,
)
from projections.cashflow import Day, days_of
from projections.labels import label_root
from projections.ports import Rows, Table
from projections.times import day_text, moment, month_of, month_text, utc_day
from projections.transactions import SHIFTS, TRANSACTIONS, Transaction, expand, type_of, wording_of

WINDOW_DAYS = 365
DIRECT_DEBIT = "DIRECT_DEBIT"
UNLABELLED = "UNLABELLED"


class CreditInsights(NamedTuple):
    tenant: str
    consumer: str
    body: bytes
    """`answers.CreditInsights`."""


CREDIT_INSIGHTS = Table("credit_insights", CreditInsights, key=2)
TABLES = (CREDIT_INSIGHTS,)


class History(NamedTuple):
    """An account with the days on which something was booked."""

    account: Account
    days: list[Day]

    @property
    def last_day(self) -> int | None:
        """The day of the last reading, or of the last booked row if that is later."""
        read = () if self.account.as_of is None else (utc_day(self.account.as_of),)
        booked = (self.days[-1].day,) if self.days else ()
        return max((*read, *booked), default=None)


def project(recorded: Recorded, rows: Rows) -> None:
    """Nothing: the document is made of accounts, months and transactions, in `finish`."""


def finish(rows: Rows, tenant: str, consumer: str) -> None:
    """Write down what is answered about a consumer."""
    observed = rows.get(OBSERVED, tenant, consumer)
    if observed is None:
        rows.delete(CREDIT_INSIGHTS, tenant, consumer)
        return
    accounts = cash_accounts(rows, tenant, consumer)
    body = answers.encode(answer(accounts, rows, observed.recorded_at))
    row = CreditInsights(tenant, consumer, body)
    if rows.get(CREDIT_INSIGHTS, tenant, consumer) != row:
        rows.put(CREDIT_INSIGHTS, row)


def answer(accounts: list[Account], rows: Rows, computed_at: int | None) -> answers.CreditInsights:
    """The insights of these accounts, over the year that ends with what was last seen of them."""
    histories = [History(account, list(days_of(rows, account.id))) for account in accounts]
    last = max((day for history in histories if (day := history.last_day) is not None), default=None)
    first = None if last is None else last - WINDOW_DAYS + 1
    flows: list[CashFlow] = []
    if first is not None and last is not None:
        for account in accounts:
            flows += _cash_flows(account, _window(account, rows, first, last))
    flows.sort(key=_order)
    return answers.CreditInsights(
        from_date=None if first is None else day_text(first),
        to_date=None if last is None else day_text(last),
        cash_flows=flows,
        loans=Loans(repayments=LOAN_FLOWS, drawdowns=LOAN_FLOWS),
        risks=Risks(
            incidents=Incidents(payment_rejections=REJECTIONS, check_rejections=REJECTIONS),
            overdraft=overdraft(histories),
            heavy_failures=HeavyFailures(direct_recovery_of_debt=GROUP, bank_account_seizure=GROUP),
        ),
        computed_at=None if computed_at is None else qard_time(moment(computed_at)),
    )


GROUP = TransactionsGroupDetail(status=NOT_COMPUTED, total_amount=None, count=None, transactions=[])
REJECTIONS = RejectionDetail(
    status=NOT_COMPUTED,
    total_amount=None,
    total_fees_amount=None,
    count=None,
    transactions=[],
    fees_transactions=[],
)
LOAN_FLOWS = LoanFlows(
    status=NOT_COMPUTED, total_amount=None, monthly_average=None, count=None, transactions=[]
)


# Cash flows


def _window(account: Account, rows: Rows, first: int, last: int) -> list[Transaction]:
    """The rows with an amount that were booked in these days, newest value day first."""
    key = key_of(account.id)
    shift = rows.get(SHIFTS, key)
    slack = 0 if shift is None else shift.days
    return [
        row
        for row in rows.scan(TRANSACTIONS, key, at_least=-(last + slack), at_most=-(first - slack))
        if first <= row.booked_on <= last and row.amount is not None
    ]


def _cash_flows(account: Account, transactions: Sequence[Transaction]) -> list[CashFlow]:
    groups: defaultdict[tuple[str, str, bool], list[int]] = defaultdict(list)
    for index, row in enumerate(transactions):
        is_debit = row.amount < 0
        type = type_of(row.kind)
        if type == "ORDER" and is_debit:
            type = DIRECT_DEBIT
        groups[type, label_root(wording_of(row)), is_debit].append(index)
    encoded = expand(account, [row.body for row in transactions])
    flows: list[CashFlow] = []
    for (type, root, _), indices in sorted(groups.items()):
        calendar: defaultdict[int, int] = defaultdict(int)
        for index in indices:
            calendar[month_of(transactions[index].booked_on)] += transactions[index].amount
        flows.append(
            CashFlow(
                type=type,
                category=UNLABELLED,
                label_root=root,
                label=root,
                currency=account.currency,
                total_amount=write(sum(calendar.values()), account.exponent),
                calendar=[
                    CalendarMonth(month=month_text(month), amount=major(calendar[month], account.exponent))
                    for month in sorted(calendar)
                ],
                transactions=[msgspec.Raw(encoded[index]) for index in indices],
            )
        )
    return flows


def _order(flow: CashFlow) -> tuple[Decimal, str]:
    """The largest first. Accounts come by id and their flows by type, root and sign, and equals stay so."""
    return -abs(Decimal(flow.total_amount)), flow.label


# Overdraft


def overdraft(histories: Sequence[History]) -> Overdraft:
    """Days that ended below the agreed limit, summed over the accounts, from the first booked row on."""
    covered = [history for history in histories if history.days]
    if not covered or any(history.account.balance is None for history in covered):
        return Overdraft(status=INSUFFICIENT_HISTORY, duration=None, limit_assumed=None, fees=GROUP)
    return Overdraft(
        status=OK,
        duration=sum(hard_overdraft_days(history) for history in covered),
        limit_assumed=any(history.account.limit is None for history in covered),
        fees=GROUP,
    )


def hard_overdraft_days(history: History) -> int:
    """How many days of an account ended below minus its limit; a limit that is not known is 0.

    The reading is the balance at the end of its day. A day's end is the reading less what was booked after
    that day and up to the reading, or plus what was booked after the reading and up to that day.
    """
    account, days = history
    read_on = utc_day(account.as_of)
    floor = -(account.limit or 0)
    balance = account.balance - sum(day.net for day in days if day.day <= read_on)
    count = 0
    ends = [day.day for day in days[1:]] + [history.last_day + 1]
    for (day, net, _), end in zip(days, ends, strict=True):
        balance += net
        if balance < floor:
            count += end - day
    return count
