"""Credit insights: thirteen months of cash flows that belong together, and the days in hard overdraft.

The months are that of the newest reading or booked row and the twelve before it, all from their first day on.
The answer holds every transaction of its months, so it is made when it is asked for: from the sums that are
kept of flows and months, and from the rows of these months alone. Loans, rejections, heavy failures and fees
have their final shape here and are not computed yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec

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
from projections.bodies import expand
from projections.cashflow import MONTHS
from projections.flows import FLOWS, Flow, flow_of, sums_of
from projections.overdraft import History, hard_overdraft_days
from projections.ports import Rows
from projections.shown import booked_between
from projections.times import MONTH_MIN, day_text, first_day, moment, month_of, month_text

#: How many months come before that of the last day.
MONTHS_BEFORE = 12
UNLABELLED = "UNLABELLED"


def document(rows: Rows, tenant: str, consumer: str) -> bytes | None:
    """`answers.CreditInsights` of a consumer in JSON; None without the consumer."""
    observed = rows.get(OBSERVED, tenant, consumer)
    if observed is None:
        return None
    return answers.encode(answer(cash_accounts(rows, tenant, consumer), rows, observed.recorded_at))


def answer(accounts: list[Account], rows: Rows, computed_at: int | None) -> answers.CreditInsights:
    """The insights of these accounts, over the months that end with what was last seen of them."""
    histories = [History(account, list(rows.scan(MONTHS, key_of(account.id)))) for account in accounts]
    last = max((day for history in histories if (day := history.last_day) is not None), default=None)
    first = None if last is None else first_day(max(month_of(last) - MONTHS_BEFORE, MONTH_MIN))
    flows: list[CashFlow] = []
    if first is not None and last is not None:
        for account in accounts:
            flows += _cash_flows(account, rows, first, last)
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


def _cash_flows(account: Account, rows: Rows, first: int, last: int) -> Iterator[CashFlow]:
    """The flows of an account with their rows, by type, root and direction."""
    key = key_of(account.id)
    calendars: defaultdict[Flow, dict[int, int]] = defaultdict(dict)
    for row in rows.scan(FLOWS, key, at_least=month_of(first), at_most=month_of(last)):
        for flow, total in sums_of(row):
            calendars[flow][row.month] = total
    found = [row for row in booked_between(rows, key, first, last) if row.amount is not None]
    transactions: defaultdict[Flow, list[bytes]] = defaultdict(list)
    for row, encoded in zip(found, expand(account, [row.body for row in found]), strict=True):
        transactions[flow_of(row.kind, row.root, row.amount)].append(encoded)
    for flow, calendar in sorted(calendars.items()):
        yield CashFlow(
            type=flow.type,
            category=UNLABELLED,
            label_root=flow.root,
            label=flow.root,
            currency=account.currency,
            total_amount=write(sum(calendar.values()), account.exponent),
            calendar=[
                CalendarMonth(month=month_text(month), amount=major(total, account.exponent))
                for month, total in calendar.items()
            ],
            transactions=msgspec.Raw(b"[%s]" % b",".join(transactions[flow])),
        )


def _order(flow: CashFlow) -> tuple[Decimal, str]:
    """The largest first. Accounts come by id and their flows by type, root and direction, and equals stay so."""
    return -abs(Decimal(flow.total_amount)), flow.label


# Overdraft


def overdraft(histories: Sequence[History]) -> Overdraft:
    """Days that ended below the agreed limit, summed over the accounts, from the first booked row on."""
    covered = [history for history in histories if history.months]
    if not covered or any(history.account.balance is None for history in covered):
        return Overdraft(status=INSUFFICIENT_HISTORY, duration=None, limit_assumed=None, fees=GROUP)
    return Overdraft(
        status=OK,
        duration=sum(map(hard_overdraft_days, covered)),
        limit_assumed=any(history.account.limit is None for history in covered),
        fees=GROUP,
    )
