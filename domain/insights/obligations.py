"""Risk and obligations: gambling, loans, rent, what is left of the income, alerts. See `METRICS`.

Amounts are from the holder's view: what leaves an account is negative, repayments and rent included.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from domain.categories.vocabulary import LOAN_REPAYMENTS, OWN_TRANSFERS, WAGE_ADVANCES
from domain.insights import incidents
from domain.insights.books import BUSINESS, Group, Row
from domain.insights.figures import (
    EVENTS,
    INSUFFICIENT_HISTORY,
    MONEY,
    MONEY_PER_MONTH,
    NOT_APPLICABLE,
    RATIO,
    Figure,
    Metric,
    Window,
    median,
    ratio,
    rounded,
    scaled,
)
from domain.insights.history import HISTORY_TOO_SHORT, NO_COMPLETE_MONTH, complete_months
from domain.insights.incidents import (
    NSF_FEES,
    REJECTIONS,
    figure,
    group,
    horizon,
    labelled,
    metric_of,
    sums,
    unknown,
)
from domain.insights.income import (
    income_rows,
    income_streams,
    median_income,
    missed_deposits,
    monthly_income,
)
from domain.insights.loans import (
    KINDS,
    SPLIT_PAYMENTS,
    Repayments,
    drawdowns_in,
    per_month,
    repayments_in,
    rows_of_months,
)
from domain.insights.months import month_text, months_in
from domain.insights.recurring import knows_no_recurrence, recurrent_rows
from domain.insights.streams import (
    BIMONTHLY,
    EARLY,
    ENDED,
    MATURE,
    MISSED,
    MONTHLY,
    QUARTERLY,
    SEMI_ANNUAL,
    SEMI_MONTHLY,
    YEARLY,
    Stream,
    following_expected,
)
from domain.transactions import date_of

if TYPE_CHECKING:
    from domain.insights.analysis import Analysis

GAMBLING = frozenset({"GAMBLING"})
GAMBLING_GAIN = frozenset({"GAMBLING_GAIN"})
RENT = frozenset({"RENT"})
CASH = frozenset({"CASH_WITHDRAWAL"})
#: The provider's type of a cash withdrawal.
WITHDRAWAL_KINDS = frozenset({"withdrawal"})
#: The rolling windows of K9.
HORIZONS = (30, 60, 90, 180, 365)
#: A loan or an income is new where the days before it are covered: so many, that a monthly one would have shown.
DAYS_BEFORE_NEW = 35
#: The days of a month, on average over 400 years, to the thousandth.
_MONTH = Fraction(30_437, 1_000)

#: A charge comes by itself, at least twice a month and at most once a year.
CHARGE_CADENCES = frozenset({SEMI_MONTHLY, MONTHLY, BIMONTHLY, QUARTERLY, SEMI_ANNUAL, YEARLY})
#: What recurs and is no charge: own transfers, what is counted elsewhere, and what a person goes and buys.
NO_CHARGES = (
    LOAN_REPAYMENTS
    | RENT
    | OWN_TRANSFERS
    | CASH
    | GAMBLING
    | REJECTIONS
    | frozenset(
        {"CHECK", "CARD_SETTLEMENT", "GROCERIES", "FUEL", "RESTAURANT", "SHOPPING", "TOBACCO", "TRAVEL"}
    )
)

#: What K18 is told by default, in hundredths of the currency.
ALERTS: Mapping[str, int] = {"balance_below": 10_000, "deposit_above": 500_000}


# Gambling


def _gambling(analysis: Analysis, currency: str, window: Window) -> Figure:
    spent = _of_sign(labelled(analysis, currency, window, GAMBLING), -1)
    won = _of_sign(labelled(analysis, currency, window, GAMBLING_GAIN), 1)
    income = sum(row.amount for row in income_rows(analysis, currency, window))
    last = max((analysis.day(row) for row in spent.rows), default=None)
    value = {
        "outgoing": sums(spent),
        "incoming": sums(won),
        "ratio": ratio(Fraction(-spent.total, income)) if income else None,
        "days_since_last": None if last is None else min(window.last, analysis.as_of) - last,
        "months": [
            {"month": month, "outgoing": outgoing, "incoming": incoming}
            for (month, outgoing), (_, incoming) in zip(
                _by_month(analysis, currency, window, spent.rows),
                _by_month(analysis, currency, window, won.rows),
                strict=True,
            )
        ],
    }
    return figure(currency, window, value, group(analysis, (*spent.rows, *won.rows)).rows)


def _by_month(
    analysis: Analysis, currency: str, window: Window, rows: Iterable[Row]
) -> list[tuple[str, int | None]]:
    """The sum of each month; None where no day of it is covered and no row is in it."""
    held = list(rows)
    found = []
    for month in months_in(window):
        amounts = [row.amount for row in held if month.first <= analysis.day(row) <= month.last]
        known = amounts or analysis.covered_in(currency, Window(month.first, month.last))
        found.append((month_text(month.month), sum(amounts) if known else None))
    return found


def _of_sign(held: Group, sign: int) -> Group:
    return Group(tuple(row for row in held.rows if row.amount * sign > 0))


# Loans


def _loan_repayments(analysis: Analysis, currency: str, window: Window) -> Figure:
    repaid = repayments_in(analysis, currency, window)
    split = repayments_in(analysis, currency, window, SPLIT_PAYMENTS)
    value = {
        **_repaid(repaid),
        "lenders": len({loan.lender for loan in repaid.loans}),
        "loans": _each_loan(repaid),
        "split_payments": {**_repaid(split), "loans": _each_loan(split)},
    }
    months = len(complete_months(analysis, currency, window))
    return figure(currency, window, value, repaid.rows, notes={"months": months})


def _repaid(repaid: Repayments) -> dict[str, Any]:
    return {"total": repaid.total, "count": repaid.count, "monthly": _whole(repaid.monthly)}


def _each_loan(repaid: Repayments) -> list[dict[str, Any]]:
    return [
        {
            "lender": loan.lender,
            "label": loan.label,
            "type": loan.kind,
            "account": loan.account,
            "total": loan.total,
            "count": loan.count,
            "monthly": _whole(loan.monthly),
            "usual": loan.usual,
            "returned": len(loan.returned),
            "first": date_of(loan.first_day).isoformat(),
            "last": date_of(loan.last_day).isoformat(),
        }
        for loan in repaid.loans
    ]


def _loans_opened(analysis: Analysis, currency: str, window: Window) -> Figure:
    found = [
        _opened_within(analysis, currency, horizon(window, analysis.as_of, days), days) for days in HORIZONS
    ]
    rows = {row for _, held in found for row in held}
    return figure(currency, window, {"rolling": [told for told, _ in found]}, group(analysis, rows).rows)


def _opened_within(
    analysis: Analysis, currency: str, window: Window, days: int
) -> tuple[dict[str, Any], list[Row]]:
    covered = analysis.covered_in(currency, window)
    drawn = drawdowns_in(analysis, currency, window)
    opened = [
        loan
        for loan in analysis.loans
        if loan.currency == currency
        and window.holds(loan.rows[0].day)
        and _is_seen_to_begin(analysis, loan.account, loan.rows[0].day)
    ]
    kinds = {
        kind: {
            "drawdowns": sum(1 for of_kind in drawn.kinds if of_kind == kind),
            "drawn": sum(row.amount for row, of in zip(drawn.rows, drawn.kinds, strict=True) if of == kind),
            "opened": sum(1 for loan in opened if loan.kind == kind),
        }
        for kind in KINDS
    }
    told = {
        "days": days,
        "covered_days": covered,
        "drawdowns": drawn.count if covered else None,
        "drawn": drawn.total if covered else None,
        "opened": len(opened) if covered else None,
        "types": kinds if covered else None,
    }
    return told, [*drawn.rows, *(loan.rows[0] for loan in opened)]


def _is_seen_to_begin(analysis: Analysis, account_id: str, day: int) -> bool:
    """Whether an account was looked at for long enough before a day to know that something began on it."""
    first = day - DAYS_BEFORE_NEW
    return first >= analysis.books.since and analysis.is_covered(analysis.account(account_id), first, day)


def _leverage(analysis: Analysis, currency: str, window: Window) -> Figure:
    repaid = repayments_in(analysis, currency, window)
    rows = recurrent_rows(analysis, currency, window)["income"]
    income = sum(row.amount for row in rows)
    if not income and knows_no_recurrence(analysis, currency):
        return unknown(currency, window, INSUFFICIENT_HISTORY, HISTORY_TOO_SHORT)
    if not income:
        return unknown(currency, window, NOT_APPLICABLE, "no_recurrent_income")
    notes = {"repaid": repaid.total, "recurrent_income": income}
    value = ratio(Fraction(-repaid.total, income))
    return figure(currency, window, value, group(analysis, (*repaid.rows, *rows)).rows, notes=notes)


def _debt_to_income(analysis: Analysis, currency: str, window: Window) -> Figure:
    repaid = repayments_in(analysis, currency, window)
    income = median_income(analysis, currency, window)
    if income is None or repaid.monthly is None:
        return unknown(currency, window, INSUFFICIENT_HISTORY, NO_COMPLETE_MONTH)
    if income <= 0:
        return unknown(currency, window, NOT_APPLICABLE, "no_income")
    notes = {"loans": _whole(repaid.monthly), "income": _whole(income)}
    months = complete_months(analysis, currency, window)
    repayments = rows_of_months(analysis, repaid.rows, months)
    rows = group(analysis, (*_median_rows(analysis, currency, window), *repayments)).rows
    return figure(currency, window, ratio(-repaid.monthly / income), rows, notes=notes)


def _median_rows(analysis: Analysis, currency: str, window: Window) -> list[Row]:
    """The income of the months that I2's median is of."""
    return [row for month in monthly_income(analysis, currency, window) for row in month.rows]


def _residual_income(analysis: Analysis, currency: str, window: Window) -> Figure:
    months = complete_months(analysis, currency, window)
    income = median_income(analysis, currency, window)
    if income is None or not months:
        return unknown(currency, window, INSUFFICIENT_HISTORY, NO_COMPLETE_MONTH)
    if knows_no_recurrence(analysis, currency):
        return unknown(currency, window, INSUFFICIENT_HISTORY, HISTORY_TOO_SHORT)
    repaid = repayments_in(analysis, currency, window).rows
    rent = [row for stream in rents_in(analysis, currency) for row in _paid(analysis, stream, window)]
    charges = _charges(analysis, currency, window)
    parts = [
        rounded(income),
        *(_whole(per_month(analysis, rows, months)) for rows in (repaid, rent, charges)),
    ]
    exact = income + sum(per_month(analysis, rows, months) for rows in (repaid, rent, charges))
    value = {
        **dict(zip(("income", "loans", "rent", "other_charges"), parts, strict=True)),
        "residual": rounded(exact),
    }
    obligations = rows_of_months(analysis, {*repaid, *rent, *charges}, months)
    rows = group(analysis, (*_median_rows(analysis, currency, window), *obligations)).rows
    return figure(currency, window, value, rows, notes={"months": len(months)})


def _charges(analysis: Analysis, currency: str, window: Window) -> list[Row]:
    """Recurring charges beside loans and rent. A row that is a loan's or was returned is none."""
    counted = {row.id for loan in analysis.loans if loan.label in LOAN_REPAYMENTS for row in loan.rows}
    return [
        row
        for stream in analysis.streams
        if stream.is_debit and stream.currency == currency and _is_charge(stream)
        for row in _paid(analysis, stream, window)
        if row.id not in counted and not analysis.is_between_own(row) and not row.has_any(NO_CHARGES)
    ]


def _is_charge(stream: Stream) -> bool:
    return stream.status != EARLY and stream.cadence in CHARGE_CADENCES and not stream.has_any(NO_CHARGES)


def _paid(analysis: Analysis, stream: Stream, window: Window) -> list[Row]:
    """The rows of a stream in a window, without those that were returned."""
    last = min(window.last, analysis.as_of)
    return [
        row
        for row in stream.rows
        if window.first <= analysis.day(row) <= last and row.id not in analysis.returned
    ]


# Rent


def rents_in(analysis: Analysis, currency: str) -> list[Stream]:
    """The debit streams that are labelled rent, also those that came once."""
    return [
        stream
        for stream in analysis.streams
        if stream.is_debit and stream.currency == currency and stream.has_any(RENT)
    ]


def is_rent_for_certain(stream: Stream) -> bool:
    """Whether a stream came monthly for long enough; one that has ended did too."""
    return stream.status != EARLY and stream.cadence == MONTHLY


def _rent(analysis: Analysis, currency: str, window: Window) -> Figure:
    rents = [(stream, _paid(analysis, stream, window)) for stream in rents_in(analysis, currency)]
    paid = [(stream, rows) for stream, rows in rents if rows]
    if not paid and knows_no_recurrence(analysis, currency):
        return unknown(currency, window, INSUFFICIENT_HISTORY, HISTORY_TOO_SHORT)
    told = [_each_rent(analysis, stream, rows) for stream, rows in paid]
    certain = [one for one in told if not one["candidate"]]
    is_open = bool(told) and not certain
    value = {
        "amount": None if is_open else sum(one["amount"] for one in certain if one["status"] != ENDED),
        "missed": None if is_open else sum(one["missed"] for one in certain),
        "candidates": len(told) - len(certain),
        "streams": told,
    }
    return figure(currency, window, value, group(analysis, (row for _, rows in paid for row in rows)).rows)


def _each_rent(analysis: Analysis, stream: Stream, rows: list[Row]) -> dict[str, Any]:
    at_end = _missed_at_end(analysis, stream)
    return {
        "stream": stream.id,
        "amount": rounded(median(row.amount for row in rows)),
        "total": sum(row.amount for row in rows),
        "count": len(rows),
        "regularity": stream.regularity,
        "due_days": list(stream.due_days),
        "missed": _missed_among(analysis, stream) + at_end,
        "status": stream.status if stream.status == EARLY else (MATURE, MISSED, ENDED)[at_end],
        "candidate": not is_rent_for_certain(stream),
    }


def _missed_among(analysis: Analysis, stream: Stream) -> int:
    """How many months passed without a payment that stood, from the first row to the last; one at least stood."""
    stood = [row.day for row in stream.rows if row.id not in analysis.returned]
    # The first row and the last are no payments where they were returned: their own months are missing too.
    before = _months_after(stream.first_day, stood[0])
    after = _months_after(stood[-1], stream.last_day)
    missing = [
        *(stood[0] - days for days in before),
        *(day + days for day, later in pairwise(stood) for days in _months_after(day, later)[:-1]),
        *(stood[-1] + days for days in after),
    ]
    return sum(1 for expected in missing if _is_read_for(analysis, stream, expected))


def _months_after(first: int, last: int) -> list[int]:
    """The days that one month, two and so on are, up to those that lie between two days."""
    return [rounded(months * _MONTH) for months in range(1, round((last - first) / _MONTH) + 1)]


def _missed_at_end(analysis: Analysis, stream: Stream) -> int:
    """How many of the payments are missing that R3 expects after the last row: one if MISSED, two if ENDED."""
    late = {MISSED: (stream.next_expected,), ENDED: (stream.next_expected, following_expected(stream))}
    expected = late.get(stream.status, ())
    return sum(1 for day in expected if day is not None and _is_read_for(analysis, stream, day))


def _is_read_for(analysis: Analysis, stream: Stream, expected: int) -> bool:
    """Whether it is known what came from an expected day to the end of the tolerance."""
    return analysis.is_covered(analysis.account(stream.account), expected, expected + stream.tolerance)


# Cash and advances


def _cash_ratio(analysis: Analysis, currency: str, window: Window) -> Figure:
    spent = [
        row for row in analysis.rows(currency, window) if row.amount < 0 and not analysis.is_between_own(row)
    ]
    outflow = sum(row.amount for row in spent)
    if not outflow:
        return unknown(currency, window, NOT_APPLICABLE, "no_outflow")
    cash = group(analysis, (row for row in spent if row.has_any(CASH) or row.kind in WITHDRAWAL_KINDS))
    notes = {"withdrawals": cash.total, "outflow": outflow}
    return figure(currency, window, ratio(Fraction(cash.total, outflow)), cash.rows, notes=notes)


def _wage_advances(analysis: Analysis, currency: str, window: Window) -> Figure:
    held = _of_sign(labelled(analysis, currency, window, WAGE_ADVANCES), 1)
    return figure(currency, window, sums(held), held.rows)


# Business


def _debt_service(analysis: Analysis, currency: str, window: Window) -> Figure:
    accounts = {account.id for account in analysis.of_currency(currency) if account.usage in BUSINESS}
    if not accounts:
        return unknown(currency, window, NOT_APPLICABLE, "no_business_account")
    repaid = [row for row in repayments_in(analysis, currency, window).rows if row.account in accounts]
    service = sum(row.amount for row in repaid)
    if not service:
        return unknown(currency, window, NOT_APPLICABLE, "no_loan_repayments")
    counted = {row.id for row in repaid}
    rows = [
        row
        for row in analysis.rows(currency, window)
        if row.account in accounts and not analysis.is_between_own(row)
    ]
    inflow = sum(row.amount for row in rows if row.amount > 0)
    operating = sum(row.amount for row in rows if row.amount < 0 and row.id not in counted)
    notes = {"inflow": inflow, "operating_outflow": operating, "loan_repayments": service}
    value = ratio(Fraction(inflow + operating, -service))
    return figure(currency, window, value, group(analysis, rows).rows, notes=notes)


# Alerts


def _alerts(analysis: Analysis, currency: str, window: Window) -> Figure:
    last = min(window.last, analysis.as_of)
    events: list[dict[str, Any]] = []
    rows: list[Row] = []

    def tell(day: int, kind: str, account: str, amount: int | None, row: Row | None = None) -> None:
        if window.first <= day <= last:
            told = {"day": date_of(day).isoformat(), "type": kind, "account": account, "amount": amount}
            events.append(told)
            if row is not None:
                rows.append(row)

    for day, account, amount in _low_balances(analysis, currency, window):
        tell(day, "balance_below", account, amount)
    for account in analysis.of_currency(currency):
        # Amounts are whole numbers, and so are the limits that they pass.
        limit = floor(scaled(_parameter(analysis, "deposit_above"), account.exponent))
        for row in analysis.rows_of(account, window):
            if row.amount > limit and not analysis.is_between_own(row):
                tell(analysis.day(row), "deposit_above", row.account, row.amount, row)
    for row in labelled(analysis, currency, window, NSF_FEES | REJECTIONS).rows:
        if _is_nsf(row):
            tell(analysis.day(row), "insufficient_funds", row.account, row.amount, row)
    for loan in analysis.loans:
        if loan.currency == currency and _is_seen_to_begin(analysis, loan.account, loan.rows[0].day):
            tell(loan.rows[0].day, "new_loan_payment", loan.account, loan.rows[0].amount, loan.rows[0])
    for stream in income_streams(analysis, currency):
        first = stream.rows[0]
        if stream.status == MATURE and _is_seen_to_begin(analysis, stream.account, first.day):
            tell(first.day, "new_income_stream", stream.account, first.amount, first)
    for miss in missed_deposits(analysis, currency, window):
        tell(miss.day, "missed_deposit", miss.stream.account, miss.stream.average)
    events.sort(key=lambda event: (event["day"], event["type"], event["account"], event["amount"]))
    notes = {name: _parameter(analysis, name) for name in ALERTS}
    return figure(
        currency, window, {"events": events, **_counts(events)}, _each_once(analysis, rows), notes=notes
    )


def _counts(events: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    counted = Counter(event["type"] for event in events)
    return {"count": counted.total(), "types": dict(sorted(counted.items()))}


def _each_once(analysis: Analysis, rows: Iterable[Row]) -> tuple[Row, ...]:
    return group(analysis, set(rows)).rows


def _low_balances(analysis: Analysis, currency: str, window: Window) -> Iterator[tuple[int, str, int]]:
    """The first day of each run of days that end below the threshold, and what there was."""
    last = min(window.last, analysis.as_of)
    for account in analysis.of_currency(currency):
        limit = ceil(scaled(_parameter(analysis, "balance_below"), account.exponent))
        # The run may have begun on the day before the window.
        days, balances = analysis.end_of_days[account.id].known(window.first - 1, last)
        last_low: int | None = None
        for day, held in zip(days, balances, strict=True):
            if held < limit:
                if last_low != day - 1 and day >= window.first:
                    yield day, account.id, held
                last_low = day


def _is_nsf(row: Row) -> bool:
    """An own payment that came back, or the fee for one."""
    if row.has_any(NSF_FEES):
        return row.amount < 0
    return row.amount > 0 and row.has_any(REJECTIONS)


def _parameter(analysis: Analysis, name: str) -> int:
    return analysis.parameters.get(name, ALERTS[name])


def _whole(value: Fraction | None) -> int | None:
    return None if value is None else rounded(value)


METRICS: tuple[Metric, ...] = tuple(
    sorted(
        (
            *incidents.METRICS,
            metric_of(
                "K7",
                "gambling",
                "Gambling",
                MONEY,
                "`outgoing`: `total`, negative, and `count` of debits labelled GAMBLING; `incoming`: of "
                "credits labelled GAMBLING_GAIN; `ratio`: size of the outgoing total / I1, null where I1 is "
                "0; `days_since_last`: from the last debit to the window's last day, null without one; "
                "`months`: both totals of each calendar month that the window touches, null where no day of it is "
                "covered. No value without a "
                "covered day.",
                "Powens `gambling_ratio`; Plaid (there of all inflows)",
                _gambling,
            ),
            metric_of(
                "K8",
                "loan_repayments",
                "Loan repayments",
                MONEY,
                "Debits labelled LOAN_REPAYMENT or LOAN_REPAYMENT_*, and unlabelled debits of a MATURE "
                "stream so labelled, without those that were returned: a credit labelled a rejection, of "
                "the same amount, on the same account, up to 10 days after, with the same brand or a "
                "distinctive word in common. `total`, negative; `count`; `monthly`, the mean of the "
                "complete covered months, null without one; `lenders`; and each loan in `loans`. A lender's "
                "debits are one loan where they repay the same amount, or where their wordings share 60 % "
                "of their words and they never come within 20 days of each other. Payments in instalments "
                "are apart, in `split_payments`. No value without a covered day.",
                "Qard, Algoan; which debits are one loan: ours",
                _loan_repayments,
            ),
            metric_of(
                "K9",
                "loans_opened",
                "Loans paid out and begun",
                MONEY,
                "In each of the last 30, 60, 90, 180 and 365 days of the window: `drawdowns` and `drawn`, "
                "the count and the total of credits labelled LOAN_DRAWDOWN, own transfers left out; "
                "`opened`, the loans whose first repayment lies in them, where the 35 days before it are "
                "covered; and all three by type: bnpl (SPLIT_PAYMENT), hcstc (LOAN_REPAYMENT_FAST), dca_dmp "
                "(DEBT_COLLECTION, BAILIFF), secured (LOAN_REPAYMENT_REAL_ESTATE), unsecured "
                "(LOAN_REPAYMENT_PERSONAL, LOAN_REPAYMENT_REVOLVING), else unknown. A drawdown has the type "
                "of the loans which its lender is repaid, where there is one. Null where none of the days "
                "is covered.",
                "Qard, Algoan; types: Moneyhub",
                _loans_opened,
            ),
            metric_of(
                "K10",
                "leverage_ratio",
                "Leverage ratio",
                RATIO,
                "Size of K8's total / total of R8's recurrent income. Not applicable without such income "
                "(`no_recurrent_income`); no value (`history_too_short`) where nothing is MATURE and fewer "
                "than 90 of the last 365 days are covered.",
                "Powens `leverage_ratio`",
                _leverage,
            ),
            metric_of(
                "K11",
                "debt_to_income",
                "Debt to income",
                RATIO,
                "Size of K8's monthly mean / I2's median, both of the complete covered months. Not "
                "applicable where the median is 0; no value without such a month. Its rows are the income and "
                "the repayments of these months.",
                "Algoan `debtToIncome`; formula ours",
                _debt_to_income,
            ),
            metric_of(
                "K12",
                "residual_income",
                "Residual income",
                MONEY_PER_MONTH,
                "I2's median + K8 + rent + other recurring charges, these three as monthly means of the "
                "complete covered months, and negative. Rent: all rows of K13's streams. Charges: debit "
                "streams that are not EARLY, come at least twice a month and at most once a year and are "
                "neither own transfers, loans, rent, cash, cheques, card settlements, gambling nor "
                "groceries, fuel, restaurants, shopping, tobacco or travel. Each part is rounded apart from "
                "the sum. Its rows are those of the complete covered months. No value without such a month, nor "
                "(`history_too_short`) as K10.",
                "Algoan `residualIncome`; formula ours",
                _residual_income,
            ),
            metric_of(
                "K13",
                "rent",
                "Rent",
                MONEY,
                "Debit streams labelled RENT with a row in the window. One that is monthly and not EARLY is "
                "rent for certain; another is a candidate. What came back counts nowhere. `amount`: of "
                "those for certain that have not ENDED, the sum of each one's median payment in the window, "
                "null where there are candidates alone; of each stream `regularity` (R5), `due_days`, "
                "`total`, `count`, `status` (R3), and `missed`: months without a payment that stood from the "
                "stream's first row to its last, returned or not, and after that one for status MISSED, two "
                "for ENDED. What was expected is missing only where the account is covered from that day to "
                "the end of the tolerance (R4), else it counts as if it had come, to the status too. 0 where "
                "no rent was paid; no value without a covered day, nor (`history_too_short`) without rent as "
                "K10.",
                "label: Kontomatik; formula ours",
                _rent,
            ),
            metric_of(
                "K14",
                "cash_ratio",
                "Cash withdrawals to outflow",
                RATIO,
                "Debits labelled CASH_WITHDRAWAL or of the provider's type `withdrawal` / all debits, own "
                "transfers left out of both. Not applicable without a debit.",
                "Tink `atmExpensesRatio`",
                _cash_ratio,
            ),
            metric_of(
                "K15",
                "wage_advances",
                "Wage advances",
                MONEY,
                "Credits labelled WAGE_ADVANCE_PAYMENT or WAGE_SALARY_ADVANCE: `total` and `count`. No "
                "value without a covered day.",
                "Algoan",
                _wage_advances,
            ),
            metric_of(
                "K17",
                "debt_service_coverage",
                "Debt-service coverage",
                RATIO,
                "Of accounts of the usage ORGA or PRO alone: (credits + debits that repay no loan) / size "
                "of K8, own transfers left out. Not applicable without such an account, or without a "
                "repayment from one.",
                "inputs: Plaid, Heron; formula ours",
                _debt_service,
            ),
            metric_of(
                "K18",
                "alerts",
                "Alerts",
                EVENTS,
                "What happened in the window, by day: `balance_below`, the first day of each run of days "
                "that end below the parameter; `deposit_above`, a credit above the parameter, own transfers "
                "left out; `new_loan_payment`, the first repayment of a loan of any type of K9, and "
                "`new_income_stream`, the first row of a MATURE stream of income, where the 35 days before "
                "it are covered; `insufficient_funds`, an own payment that came back, or a fee for one; "
                "`missed_deposit`, as I8. Its rows are those that the events tell of. No value without a "
                "covered day.",
                "Plaid",
                _alerts,
                parameters=ALERTS,
            ),
        ),
        key=lambda metric: int(metric.id[1:]),
    )
)
