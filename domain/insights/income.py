"""Income (I): see `METRICS`. What of the credits is income, and what is something else, is decided row by row."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

from domain.categories.vocabulary import BENEFITS, WAGE_ADVANCES, WAGES
from domain.insights.analysis import Analysis
from domain.insights.balances import text_of
from domain.insights.books import BUSINESS, Row
from domain.insights.cadence import BIWEEKLY, MONTHLY, SEMI_MONTHLY, WEEKLY, rhythm_of
from domain.insights.cashflow import TIMES_A_MONTH, Flow, Told, each_currency
from domain.insights.figures import (
    EVENTS,
    INSUFFICIENT_HISTORY,
    MONEY,
    MONEY_PER_MONTH,
    MONTHS,
    NOT_APPLICABLE,
    RATIO,
    STREAMS,
    Metric,
    Window,
    deviation,
    mean,
    median,
    ratio,
    rounded,
)
from domain.insights.history import (
    HISTORY_TOO_SHORT,
    NO_COMPLETE_MONTH,
    complete_months,
    covers_recurrence,
    parts_of,
)
from domain.insights.months import month_of
from domain.insights.streams import MATURE, Stream, is_regular, varies
from domain.insights.wordings import names_a_firm

# Why a credit is no income: the keys of I1's `apart`.
OWN_TRANSFERS = "own_transfers"
RETURNED_PAYMENTS = "returned_payments"
REFUNDS = "refunds"
LOAN_DRAWDOWNS = "loan_drawdowns"
ADVANCES = "wage_advances"
CASH_DEPOSITS = "cash_deposits"
SAVINGS_WITHDRAWN = "savings_withdrawn"
SAID_TRANSFERS = "said_transfers"

#: What the labels of a credit make of it, the first that fits.
APART: dict[str, frozenset[str]] = {
    RETURNED_PAYMENTS: frozenset({"PAYMENT_REJECTION", "CHECK_REJECTION"}),
    REFUNDS: frozenset({"REFUND", "FEE_REVERSAL"}),
    LOAN_DRAWDOWNS: frozenset({"LOAN_DRAWDOWN"}),
    ADVANCES: WAGE_ADVANCES,
    CASH_DEPOSITS: frozenset({"CASH_DEPOSIT"}),
    SAVINGS_WITHDRAWN: frozenset({"DISSAVING"}),
    SAID_TRANSFERS: frozenset({"TRANSFER"}),
}
_REASONS = (OWN_TRANSFERS, *APART)
#: By label: none is in two of them.
_REASON_OF = {label: reason for reason, labels in APART.items() for label in labels}

NO_INCOME = "no_income"
TOO_FEW_MONTHS = "too_few_months"

#: I3: the cadences of a salary, and how often it came in so many days up to the reference day.
SALARY_CADENCES = frozenset({WEEKLY, BIWEEKLY, SEMI_MONTHLY, MONTHLY})
SALARY_ROWS_MIN, SALARY_DAYS = 3, 120
# What makes a salary of it: what its wordings say, or that one firm pays much the same to a person each time.
TEXT, COUNTERPARTY = "text", "counterparty"
#: Labels that do not say what a credit is for: with these alone it may still be a salary.
_UNTOLD = frozenset({"OTHER_ENTRY", "REGULAR_INCOME"})

#: I4: the months that are compared, and the least stability of each band.
STABILITY_MONTHS_MAX, STABILITY_MONTHS_MIN = 6, 3
BANDS = ((Fraction(85, 100), "high"), (Fraction(60, 100), "medium"), (Fraction(0), "low"))

#: I8: no stream is so frequent that a shorter gap could be a miss: six days, and three of tolerance.
_GAP_KEPT_MAX = 9


class MonthIncome(NamedTuple):
    """The income of a month that is wholly in a window and wholly covered."""

    month: int
    income: int
    rows: tuple[Row, ...]


def apart_of(analysis: Analysis, row: Row) -> str | None:
    """Why a credit is no income: a key of I1's `apart`; None where it is income."""
    if analysis.is_between_own(row):
        return OWN_TRANSFERS
    if row.id in analysis.refunds.debits:
        return REFUNDS
    reasons = [_REASON_OF[label.name] for label in row.labels if label.name in _REASON_OF]
    return min(reasons, key=_REASONS.index, default=None)


def income_rows(analysis: Analysis, currency: str, window: Window) -> list[Row]:
    """The credits of a window that are income (I1), account by account, oldest first."""
    what = ("income", currency, *window[:2])
    return analysis.once(what, lambda: _income_rows(analysis, currency, window))


def _income_rows(analysis: Analysis, currency: str, window: Window) -> list[Row]:
    rows = analysis.rows(currency, window)
    return [row for row in rows if row.amount > 0 and apart_of(analysis, row) is None]


def monthly_income(analysis: Analysis, currency: str, window: Window) -> list[MonthIncome]:
    """I1 of every complete covered month of a window, oldest first; a month without income is 0."""
    what = ("monthly income", currency, *window[:2])
    return analysis.once(what, lambda: _monthly_income(analysis, currency, window))


def _monthly_income(analysis: Analysis, currency: str, window: Window) -> list[MonthIncome]:
    complete = [part.month for part in complete_months(analysis, currency, window)]
    by_month: dict[int, list[Row]] = {month: [] for month in complete}
    for row in income_rows(analysis, currency, window):
        month = month_of(analysis.day(row))
        if month in by_month:
            by_month[month].append(row)
    return [MonthIncome(month, _total(rows), tuple(rows)) for month, rows in by_month.items()]


def median_income(analysis: Analysis, currency: str, window: Window) -> Fraction | None:
    """I2's headline: the median of `monthly_income`; None without a complete covered month."""
    return median(month.income for month in monthly_income(analysis, currency, window))


def income_streams(analysis: Analysis, currency: str) -> list[Stream]:
    """The streams of credits of which more than half of the rows are income."""
    return analysis.once(("income streams", currency), lambda: _income_streams(analysis, currency))


def _income_streams(analysis: Analysis, currency: str) -> list[Stream]:
    return [
        stream
        for stream in analysis.streams
        if stream.currency == currency
        and not stream.is_debit
        and 2 * sum(1 for row in stream.rows if apart_of(analysis, row) is None) > stream.n
    ]


class Salary(NamedTuple):
    stream: Stream
    evidence: str | None
    """`TEXT` or `COUNTERPARTY`; None of a candidate: it is as regular, and nothing says what it is."""


def salaries_in(analysis: Analysis, currency: str) -> list[Salary]:
    """I3: salaries and candidates, in the order of streams. Two wages of a couple are two."""
    return [
        Salary(stream, _evidence_of(stream, analysis))
        for stream in income_streams(analysis, currency)
        if _is_like_a_salary(stream, analysis)
        and (stream.has_any(WAGES) or _UNTOLD.issuperset(stream.labels))
    ]


def _evidence_of(stream: Stream, analysis: Analysis) -> str | None:
    if stream.has_any(WAGES):
        return TEXT
    usage = analysis.account(stream.account).usage
    of_firms = sum(1 for row in stream.rows if names_a_firm(row.wording) or names_a_firm(row.other_name))
    # What a firm pays to a business is its turnover.
    is_wage = 2 * of_firms > stream.n and not varies([row.amount for row in stream.rows])
    return COUNTERPARTY if is_wage and usage not in BUSINESS else None


def _is_like_a_salary(stream: Stream, analysis: Analysis) -> bool:
    recent = sum(1 for row in stream.rows if row.day > analysis.as_of - SALARY_DAYS)
    return stream.status == MATURE and stream.cadence in SALARY_CADENCES and recent >= SALARY_ROWS_MIN


class Miss(NamedTuple):
    """An income stream entered MISSED."""

    stream: Stream
    expected: int
    day: int
    """The first day on which it was missed."""


def missed_deposits(analysis: Analysis, currency: str, window: Window) -> list[Miss]:
    """I8: what was missed on a day of a window, as it was seen then; by day, then in the order of streams."""
    what = ("missed deposits", currency, *window[:2])
    return analysis.once(what, lambda: _missed_deposits(analysis, currency, window))


def _missed_deposits(analysis: Analysis, currency: str, window: Window) -> list[Miss]:
    misses = [
        miss for stream in income_streams(analysis, currency) for miss in _misses_of(stream, analysis, window)
    ]
    return sorted(misses, key=lambda miss: (miss.day, miss.stream.account))


def _misses_of(stream: Stream, analysis: Analysis, window: Window) -> Iterator[Miss]:
    account = analysis.account(stream.account)
    days = sorted({row.day for row in stream.rows})
    for place, (day, following) in enumerate(pairwise([*days, analysis.as_of + 1]), 1):
        if following - day <= _GAP_KEPT_MAX or following <= window.first:
            continue
        rhythm = rhythm_of(days[:place])
        if rhythm.next_expected is None or not is_regular(rhythm.cadence, rhythm.regularity, place):
            continue
        missed = rhythm.next_expected + rhythm.tolerance + 1
        # On days that nobody read it may have come.
        was_read = analysis.is_covered(account, rhythm.next_expected, missed - 1)
        if missed < following and window.holds(missed) and was_read:
            yield Miss(stream, rhythm.next_expected, missed)


# Metrics


def _total(rows: list[Row]) -> int:
    return sum(row.amount for row in rows)


def _income(flow: Flow) -> Told:
    income: list[Row] = []
    apart: dict[str, list[Row]] = {reason: [] for reason in _REASONS}
    months: dict[int, int] = {}
    for row in flow.rows:
        if row.amount <= 0:
            continue
        reason = apart_of(flow.analysis, row)
        if reason is not None:
            apart[reason].append(row)
            continue
        income.append(row)
        month = month_of(flow.day(row))
        months[month] = months.get(month, 0) + row.amount
    value = {
        "income": _total(income),
        "apart": {reason: _total(rows) for reason, rows in apart.items()},
        "months": [
            # What is not covered at all is not known to be nothing.
            {**part.as_field(), "income": months.get(part.month, 0 if part.covered_days else None)}
            for part in parts_of(flow.analysis, flow.currency, flow.window)
        ],
    }
    return Told(value, income)


def _monthly(flow: Flow) -> Told:
    months = monthly_income(flow.analysis, flow.currency, flow.window)
    middle, average = median(month.income for month in months), mean(month.income for month in months)
    if middle is None or average is None:
        return Told(None, (), INSUFFICIENT_HISTORY, NO_COMPLETE_MONTH)
    value = {"median": rounded(middle), "mean": rounded(average), "months": len(months)}
    return Told(value, [row for month in months for row in month.rows])


def _salary(flow: Flow) -> Told:
    found = salaries_in(flow.analysis, flow.currency)
    if not found and not covers_recurrence(flow.analysis, flow.currency):
        return Told(None, (), INSUFFICIENT_HISTORY, HISTORY_TOO_SHORT)
    value = {
        "salaries": [_as_salary(one.stream, evidence=one.evidence) for one in found if one.evidence],
        "salary_candidates": [_as_salary(one.stream) for one in found if not one.evidence],
    }
    return Told(value, [row for one in found for row in one.stream.rows])


def _as_salary(stream: Stream, **more: str) -> dict[str, Any]:
    amounts = [row.amount for row in stream.rows]
    return {
        **more,
        "stream": stream.id,
        "account": stream.account,
        "label": stream.label,
        "labels": list(stream.labels),
        "cadence": stream.cadence,
        "count": stream.n,
        "median": rounded(median(amounts) or 0),
        "average": stream.average,
        "last": amounts[-1],
        "last_day": text_of(stream.last_day),
        "monthly": rounded(Fraction(stream.total, stream.n) * TIMES_A_MONTH[stream.cadence]),
    }


def _stability(flow: Flow) -> Told:
    months = _months_up_to(flow)[-STABILITY_MONTHS_MAX:]
    incomes = [month.income for month in months]
    middle, spread = mean(incomes), deviation(incomes, sample=True)
    if middle is None or spread is None or len(months) < STABILITY_MONTHS_MIN:
        return Told(None, (), INSUFFICIENT_HISTORY, TOO_FEW_MONTHS)
    if not middle:
        return Told(None, (), NOT_APPLICABLE, NO_INCOME)
    stability = max(Fraction(0), 1 - spread / middle)
    band = next(name for least, name in BANDS if stability >= least)
    value = {"stability": ratio(stability), "band": band, "months": len(months)}
    return Told(value, [row for month in months for row in month.rows])


def _months_up_to(flow: Flow) -> list[MonthIncome]:
    """The complete covered months up to the last day of the window, as far back as the books go."""
    covered = flow.analysis.covered_ranges[flow.currency]
    return monthly_income(flow.analysis, flow.currency, Window(covered[0][0], flow.window.last))


def _longevity(flow: Flow) -> Told:
    months = _months_up_to(flow)
    if not months:
        return Told(None, (), INSUFFICIENT_HISTORY, NO_COMPLETE_MONTH)
    longest = run = 0
    before: int | None = None
    for month in months:
        goes_on = before is None or month.month == before + 1
        run = 0 if month.income <= 0 else run + 1 if goes_on else 1
        longest = max(longest, run)
        before = month.month
    value = {"longest": longest, "current": run, "months_available": len(months)}
    notes = {"since": text_of(flow.analysis.books.since)}
    return Told(value, [row for month in months for row in month.rows], notes=notes)


def _concentration(flow: Flow) -> Told:
    income = income_rows(flow.analysis, flow.currency, flow.window)
    if not income:
        return Told(None, (), NOT_APPLICABLE, NO_INCOME)
    counted = {row.id for row in income}
    shares = [
        (sum(row.amount for row in stream.rows if row.id in counted), stream)
        for stream in flow.analysis.streams
        if stream.currency == flow.currency and not stream.is_debit
    ]
    largest, stream = max(shares, key=lambda share: share[0])
    notes = {"stream": stream.id, "label": stream.label, "amount": largest}
    return Told(ratio(Fraction(largest, _total(income))), income, notes=notes)


def _allowances(flow: Flow) -> Told:
    income = income_rows(flow.analysis, flow.currency, flow.window)
    if not income:
        return Told(None, (), NOT_APPLICABLE, NO_INCOME)
    benefits = _total([row for row in income if row.has_any(BENEFITS)])
    return Told(ratio(Fraction(benefits, _total(income))), income, notes={"benefits": benefits})


def _missed(flow: Flow) -> Told:
    if not covers_recurrence(flow.analysis, flow.currency) and not any(
        stream.status == MATURE for stream in income_streams(flow.analysis, flow.currency)
    ):
        return Told(None, (), INSUFFICIENT_HISTORY, HISTORY_TOO_SHORT)
    misses = missed_deposits(flow.analysis, flow.currency, flow.window)
    events = [
        {
            "day": text_of(miss.day),
            "stream": miss.stream.id,
            "account": miss.stream.account,
            "label": miss.stream.label,
            "expected": text_of(miss.expected),
            "average": miss.stream.average,
        }
        for miss in misses
    ]
    streams = {miss.stream.id: miss.stream for miss in misses}
    return Told(events, [row for stream in streams.values() for row in stream.rows])


_ROWS = (
    "Per currency, over the booked credits of the accounts looked at whose day (`date_basis`) lies in the window and "
    "not after the reference day. "
)
_COMPLETE = "A month is complete if the window holds all its days, none lies after the reference day, and all are covered. "
_NONE = "No value (`no_history`) where no day of the window is covered. "

METRICS: tuple[Metric, ...] = (
    Metric(
        id="I1",
        name="income",
        title="Income",
        unit=MONEY,
        definition=_ROWS
        + (
            "`income`: their sum, without what `apart` lists, each credit once, under the first that fits: "
            "`own_transfers`: own transfers on evidence; `refunds`: matched to an earlier debit of the same account and "
            "counterparty, at most 90 days before and not smaller than what is given back in all; by label: "
            "`returned_payments` PAYMENT_REJECTION, CHECK_REJECTION; `refunds` also REFUND, FEE_REVERSAL; "
            "`loan_drawdowns` LOAN_DRAWDOWN; `wage_advances` WAGE_ADVANCE_PAYMENT, WAGE_SALARY_ADVANCE; `cash_deposits` "
            "CASH_DEPOSIT; `savings_withdrawn` DISSAVING; `said_transfers` TRANSFER, said to be between own accounts "
            "with no other side found. `months`: the income of each month that the window touches, null where no day of it "
            "is covered; incomplete ones are marked `partial`. "
        )
        + _NONE,
        source="classes: Tink; wage advances: Algoan",
        windows=("30d", "90d", "365d"),
        compute=partial(each_currency, _income),
    ),
    Metric(
        id="I2",
        name="monthly_income",
        title="Monthly income",
        unit=MONEY_PER_MONTH,
        definition="Per currency, over I1 of each complete month of the window: `median` (the headline) and `mean`, "
        "rounded half to even, and the number of `months`; a month without income is 0. "
        + _COMPLETE
        + "No value (`no_complete_month`) without one. "
        + _NONE,
        source="median: Moneyhub; mean: Powens",
        compute=partial(each_currency, _monthly),
    ),
    Metric(
        id="I3",
        name="salary_streams",
        title="Salaries",
        unit=STREAMS,
        definition=(
            "Per currency, streams (R1) of credits, more than half of them income (I1), that are MATURE, come weekly to "
            "monthly, and came at least 3 times in the 120 days up to the reference day. `salaries`, with their `evidence`: "
            "`text` where most rows are labelled WAGE or WAGE_BONUS, by their text or as it was stated; `counterparty` "
            "where no label says what they are, most rows name a firm by its legal form, their coefficient of variation "
            "is not above 0.35, and the account is not that of a business (ORGA, PRO). `salary_candidates`: the others of "
            "which no label says what they are. A pension or an allowance is neither. Of "
            "each `median`, `average` and `last` amount, and `monthly`: the mean amount times its occurrences a month "
            "(weekly 52/12, biweekly 26/12, semi-monthly 2, monthly 1), rounded half to even. No value "
            "(`history_too_short`) where there is none and fewer than 90 of the last 365 days are covered. "
        )
        + _NONE,
        source="features: Tink; rule ours",
        compute=partial(each_currency, _salary),
    ),
    Metric(
        id="I4",
        name="income_stability",
        title="Stability of income",
        unit=RATIO,
        definition=(
            "Per currency, `stability`: max(0, 1 - s/m), m the mean and s the sample deviation of I1 over the last 6 "
            "complete months up to the last day of the window, at least 3; four decimals, half to even. `band`: high "
            "from 0.85, medium from 0.60, else low, of the exact value. No value: `too_few_months`, or `no_income` where "
            "m is 0. "
        )
        + _NONE,
        source="Moneyhub `amountConsistency`; formula ours",
        compute=partial(each_currency, _stability),
    ),
    Metric(
        id="I5",
        name="income_longevity",
        title="Longevity of income",
        unit=MONTHS,
        definition=(
            "Per currency, over the complete months from the day that the books begin with (the note `since`) up to "
            "the last day of the window: `longest` run of consecutive months with I1 above 0, `current`: the run that "
            "the last of them ends, and `months_available`: their number. The books begin with the first day of the "
            "month 24 months before that of the reference day, or with that of the window's first month if it is "
            "earlier; a run that may be longer ends there. A month that is not complete ends a run. No value "
            "(`no_complete_month`) without one. "
        )
        + _NONE,
        source="Moneyhub",
        compute=partial(each_currency, _longevity),
    ),
    Metric(
        id="I6",
        name="income_concentration",
        title="Concentration of income",
        unit=RATIO,
        definition=(
            "Per currency, the largest sum of income rows (I1) of the window in one stream (R1, of whatever length), by "
            "I1; the notes name the stream. No value (`no_income`) where I1 is 0. "
        )
        + _NONE,
        source="ours",
        compute=partial(each_currency, _concentration),
    ),
    Metric(
        id="I7",
        name="allowances_ratio",
        title="Share of allowances",
        unit=RATIO,
        definition=(
            "Per currency, the income rows (I1) of the window that are labelled a benefit (ALLOWANCE, ALLOWANCE_*, "
            "STATE_SUBSIDY), by I1. No value (`no_income`) where I1 is 0. "
        )
        + _NONE,
        source="Algoan `allowancesRatio`",
        compute=partial(each_currency, _allowances),
    ),
    Metric(
        id="I8",
        name="missed_deposits",
        title="Expected deposits missed",
        unit=EVENTS,
        definition=(
            "Per currency, each time that a stream of credits (R1), more than half of them income, entered MISSED (R3) on "
            "a day of the window, judged by the rows before: `day` is the day after the `expected` one and its tolerance "
            "(R4), without a row until then, where the account is covered from the expected day to the end of the "
            "tolerance. No value (`history_too_short`) where no such stream is MATURE and fewer than "
            "90 of the last 365 days are covered. "
        )
        + _NONE,
        source="Plaid",
        compute=partial(each_currency, _missed),
    ),
)
