"""Credit insights: thirteen months of cash flows that belong together, loans, and risks.

The months are that of the reference day and the twelve before it, all from their first day on. All of it is the
catalogue's: cash flows are its recurring streams (R), loans its K8 and K9, risks its K1, K2, K5 to K7 and B9. The answer
holds every transaction of its months, so it is made when it is asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

import msgspec

from domain.categories.vocabulary import LOAN_REPAYMENTS, WAGE_ADVANCES
from domain.consumer_account import CHECKING
from domain.insights.analysis import NOT_COUNTED, Analysis
from domain.insights.books import Books, Row
from domain.insights.catalogue import METRICS
from domain.insights.figures import Window, rounded
from domain.insights.history import complete_months
from domain.insights.incidents import (
    Group,
    Incidents,
    heavy_failures_in,
    intervention_fees_in,
    labelled,
    overdraft_fees_in,
    rejections_in,
)
from domain.insights.loans import (
    DCA_DMP,
    KIND_OF_LABEL,
    SPLIT_PAYMENTS,
    Loan,
    drawdowns_in,
    per_month,
    repayments_in,
)
from domain.insights.months import MONTH_MIN, first_day, month_of, month_text
from domain.insights.obligations import BUSINESS, GAMBLING, GAMBLING_GAIN
from domain.insights.streams import MATURE, MISSED, OTHER, Stream
from domain.money import NO_CURRENCY, exponent_of, write
from projections import answers
from projections.accounts import ACCOUNTS, OBSERVED, key_of
from projections.answers import (
    INSUFFICIENT_HISTORY,
    NOT_APPLICABLE,
    OK,
    CalendarMonth,
    CashFlow,
    CurrencyInsights,
    Gambling,
    HeavyFailures,
    Interval,
    LoanFlows,
    Loans,
    Overdraft,
    Regularity,
    RejectionDetail,
    Risks,
    TransactionsGroupDetail,
    major,
    qard_time,
)
from projections.bodies import expand
from projections.books import books_of, reference_day
from projections.kinds import type_of
from projections.ports import Rows
from projections.shown import booked_between
from projections.times import day_text, moment

#: How many months come before that of the last day.
MONTHS_BEFORE = 12
#: The fewest transactions that a checking account must show for an analysis. Source: Algoan, whose insights these are.
TRANSACTIONS_MIN = 20
UNLABELLED = "UNLABELLED"
OWN_TRANSFER = "TRANSFER"
#: What a debit is called that the other side ordered.
DIRECT_DEBIT = "DIRECT_DEBIT"
COLLECTED = frozenset(label for label, kind in KIND_OF_LABEL.items() if kind == DCA_DMP)

# Why an analysis does not fit, or what is to be minded.
NO_CHECKING_ACCOUNT = "no_checking_account"
NO_PERSONAL_CHECKING_ACCOUNT = "no_personal_checking_account"
NOT_ENOUGH_TRANSACTIONS = "not_enough_transactions"


def document(rows: Rows, tenant: str, consumer: str) -> bytes | None:
    """`answers.CreditInsights` of a consumer in JSON; None without the consumer."""
    observed = rows.get(OBSERVED, tenant, consumer)
    last = reference_day(rows, tenant, consumer)
    if observed is None or last is None:
        return None
    window = Window(first_day(max(month_of(last) - MONTHS_BEFORE, MONTH_MIN)), last)
    books = books_of(rows, tenant, consumer, as_of=last, since=window.first)
    assert books is not None
    bodies = dict(_bodies(rows, tenant, consumer, window))
    computed_at = None if observed.recorded_at is None else qard_time(moment(observed.recorded_at))
    return answers.encode(answer(books, window, bodies, computed_at))


def nothing() -> bytes:
    """The document of a consumer of whom nothing was recorded yet."""
    books = Books(accounts=(), as_of=0, known_at=0, since=0)
    return answers.encode(answer(books, Window(0, 0), {}, None))


def _bodies(rows: Rows, tenant: str, consumer: str, window: Window) -> Iterator[tuple[bytes, bytes]]:
    """The transactions of a window as they are sent, by id."""
    for account in list(rows.scan(ACCOUNTS, tenant, consumer)):
        booked = booked_between(rows, key_of(account.id), window.first, window.last)
        yield from zip((row.id for row in booked), expand(account, [row.body for row in booked]), strict=True)


def answer(
    books: Books, window: Window, bodies: dict[bytes, bytes], computed_at: str | None
) -> answers.CreditInsights:
    """The insights of the books that begin with a window; `bodies` are the transactions as they are sent, by id."""
    analysis = Analysis(books)
    counts = Counter(account.currency for account in analysis.accounts for _ in account.rows)
    currencies = sorted(analysis.currencies, key=lambda currency: (-counts[currency], currency))
    found = [_of_currency(_View(analysis, currency, window, bodies)) for currency in currencies]
    main = found[0] if found else _of_currency(_View(analysis, NO_CURRENCY, window, bodies))
    status, reasons = _fitness(books)
    begun = any(account.balance_as_of or account.first_booked is not None for account in analysis.accounts)
    return answers.CreditInsights(
        **msgspec.structs.asdict(main) | ({} if found else {"currency": None}),
        status=status,
        reasons=reasons,
        from_date=day_text(window.first) if begun else None,
        to_date=day_text(window.last) if begun else None,
        cash_flows=_cash_flows(analysis, bodies),
        other_currencies=found[1:],
        computed_at=computed_at,
    )


def _fitness(books: Books) -> tuple[str, list[str]]:
    """Whether there is enough to analyse, and of the right kind."""
    checking = [
        account
        for account in books.accounts
        if account.kind == CHECKING and account.closed not in NOT_COUNTED
    ]
    if not checking:
        return NOT_APPLICABLE, [NO_CHECKING_ACCOUNT]
    reasons = []
    if all(account.usage in BUSINESS for account in checking):
        reasons.append(NO_PERSONAL_CHECKING_ACCOUNT)
    most = max(sum(row.day <= books.as_of for row in account.rows) for account in checking)
    if most < TRANSACTIONS_MIN:
        reasons.append(NOT_ENOUGH_TRANSACTIONS)
        return INSUFFICIENT_HISTORY, reasons
    return OK, reasons


# Cash flows


def _cash_flows(analysis: Analysis, bodies: dict[bytes, bytes]) -> list[CashFlow]:
    """The largest first. Streams come in a fixed order, and equals stay so."""
    exponents = {account.id: account.exponent for account in analysis.accounts}
    flows = [_cash_flow(stream, analysis, exponents[stream.account], bodies) for stream in analysis.streams]
    flows.sort(key=lambda flow: (-abs(Decimal(flow.total_amount)), flow.label))
    return flows


def _cash_flow(stream: Stream, analysis: Analysis, exponent: int, bodies: dict[bytes, bytes]) -> CashFlow:
    types = Counter(_type_of(row) for row in stream.rows)
    rejected = sum(row.amount for row in stream.rows if row.id in analysis.returned)
    return CashFlow(
        account_id=stream.account,
        type=min(types, key=lambda type: (-types[type], type)),
        category=_category(stream, analysis),
        categories=list(stream.labels),
        label_root=stream.root,
        label=stream.label,
        currency=stream.currency,
        total_amount=write(stream.total, exponent),
        total_rejected_amount=write(rejected, exponent),
        calendar=[
            CalendarMonth(month=month_text(month), amount=major(amount, exponent))
            for month, amount in stream.calendar
        ],
        regularity=Regularity(
            due_days=list(stream.due_days),
            interval=Interval(min=stream.gap_min, max=stream.gap_max),
            mean_number_of_days_in_interval=None if stream.gap_mean is None else Decimal(stream.gap_mean),
            accuracy=stream.regularity,
            periodicity=stream.cadence,
            repartition=stream.repartition,
            status=stream.status,
            next_expected=None if stream.next_expected is None else day_text(stream.next_expected),
        ),
        transactions=_sent(stream.rows, bodies),
    )


def _category(stream: Stream, analysis: Analysis) -> str:
    """Its most telling label; without any, that it is regular, if it is."""
    if all(analysis.is_between_own(row) for row in stream.rows):
        return OWN_TRANSFER
    if stream.labels:
        return stream.labels[0]
    if stream.cadence == OTHER or stream.status not in (MATURE, MISSED):
        return UNLABELLED
    return "REGULAR_EXPENSE" if stream.is_debit else "REGULAR_INCOME"


def _type_of(row: Row) -> str:
    type = type_of(row.kind)
    return DIRECT_DEBIT if type == "ORDER" and row.amount < 0 else type


def _sent(rows: Sequence[Row], bodies: dict[bytes, bytes]) -> msgspec.Raw:
    return msgspec.Raw(b"[%s]" % b",".join(bodies[row.id] for row in rows))


# Loans and risks


class _View(NamedTuple):
    """The accounts of one currency in a window."""

    analysis: Analysis
    currency: str
    window: Window
    bodies: dict[bytes, bytes]

    @property
    def asked(self) -> tuple[Analysis, str, Window]:
        return self.analysis, self.currency, self.window

    @property
    def is_covered(self) -> bool:
        """Whether anything is known of a day of the window: without that nothing is no zero."""
        return self.analysis.covered_in(self.currency, self.window) > 0

    @property
    def status(self) -> str:
        return OK if self.is_covered else INSUFFICIENT_HISTORY

    @property
    def exponent(self) -> int:
        held = [account.exponent for account in self.analysis.of_currency(self.currency)]
        return max(held, default=exponent_of(self.currency))

    def count(self, rows: Sequence[Row]) -> int | None:
        return len(rows) if self.is_covered else None

    def money(self, minor: int | Fraction | None) -> Decimal | None:
        if minor is None or not self.is_covered:
            return None
        return major(rounded(minor), self.exponent)

    def sent(self, rows: Sequence[Row]) -> msgspec.Raw:
        return _sent(rows, self.bodies)


def _of_currency(view: _View) -> CurrencyInsights:
    return CurrencyInsights(currency=view.currency, loans=_loans(view), risks=_risks(view))


def _loans(view: _View) -> Loans:
    drawdowns = drawdowns_in(*view.asked)
    advances = labelled(*view.asked, WAGE_ADVANCES).rows
    monthly_advances = per_month(view.analysis, advances, complete_months(*view.asked))
    return Loans(
        repayments=_repayments(view, LOAN_REPAYMENTS),
        split_payments=_repayments(view, SPLIT_PAYMENTS),
        debt_collection=_repayments(view, COLLECTED),
        drawdowns=_loan_flows(view, drawdowns.rows, drawdowns.monthly),
        wage_advances=_loan_flows(view, advances, monthly_advances),
    )


def _repayments(view: _View, labels: frozenset[str]) -> answers.Repayments:
    found = repayments_in(*view.asked, labels)
    flows = _loan_flows(view, found.rows, found.monthly)
    return answers.Repayments(
        **msgspec.structs.asdict(flows), loans=[_loan(view, loan) for loan in found.loans]
    )


def _loan_flows(view: _View, rows: Sequence[Row], monthly: Fraction | None) -> LoanFlows:
    return LoanFlows(
        status=view.status,
        total_amount=view.money(sum(row.amount for row in rows)),
        monthly_average=view.money(monthly),
        count=view.count(rows),
        transactions=view.sent(rows),
    )


def _loan(view: _View, loan: Loan) -> answers.Loan:
    return answers.Loan(
        lender=loan.lender,
        category=loan.label,
        type=loan.kind,
        account_id=loan.account,
        usual_amount=major(loan.usual, view.exponent),
        total_amount=major(loan.total, view.exponent),
        monthly_average=view.money(loan.monthly),
        count=loan.count,
        rejected_count=len(loan.returned),
        first_date=day_text(loan.first_day),
        last_date=day_text(loan.last_day),
    )


def _risks(view: _View) -> Risks:
    rejections = rejections_in(*view.asked)
    failures = heavy_failures_in(*view.asked)
    fees = [row for incidents in failures.values() for row in incidents.fees.rows]
    return Risks(
        incidents=answers.Incidents(
            payment_rejections=_rejections(view, rejections.payments),
            check_rejections=_rejections(view, rejections.checks),
        ),
        overdraft=_overdraft(view),
        heavy_failures=HeavyFailures(
            **{name: _group(view, incidents.events.rows) for name, incidents in failures.items()},
            fees=_group(view, fees),
        ),
        gambling=Gambling(
            outgoing=_group(view, _of_sign(labelled(*view.asked, GAMBLING), -1)),
            incoming=_group(view, _of_sign(labelled(*view.asked, GAMBLING_GAIN | GAMBLING), 1)),
        ),
    )


def _of_sign(group: Group, sign: int) -> list[Row]:
    return [row for row in group.rows if row.amount * sign > 0]


def _group(view: _View, rows: Sequence[Row]) -> TransactionsGroupDetail:
    return TransactionsGroupDetail(
        status=view.status,
        total_amount=view.money(sum(row.amount for row in rows)),
        count=view.count(rows),
        transactions=view.sent(rows),
    )


def _rejections(view: _View, incidents: Incidents) -> RejectionDetail:
    return RejectionDetail(
        status=view.status,
        total_amount=view.money(incidents.events.size),
        total_fees_amount=view.money(incidents.fees.total),
        count=view.count(incidents.events.rows),
        transactions=view.sent(incidents.events.rows),
        fees_transactions=view.sent(incidents.fees.rows),
    )


def _overdraft(view: _View) -> Overdraft:
    """The hard days of B9, summed over the accounts."""
    accounts = {account.id for account in view.analysis.of_currency(view.currency)}
    found = [
        figure for figure in METRICS["B9"].compute(view.analysis, view.window) if figure.account in accounts
    ]
    known = bool(found) and all(figure.status == OK for figure in found)
    return Overdraft(
        status=OK if known else INSUFFICIENT_HISTORY,
        duration=sum(figure.value["hard"] for figure in found) if known else None,
        limit_assumed=any(figure.notes["limit_assumed"] for figure in found) if known else None,
        fees=_group(view, overdraft_fees_in(*view.asked).rows),
        intervention_fees=_group(view, intervention_fees_in(*view.asked).rows),
    )
