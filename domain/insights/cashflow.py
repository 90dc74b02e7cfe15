"""Cash flow (C): what came in and what went out. See `METRICS`.

Rows belong to the day that `date_basis` says. A month is complete when the window holds all its days, none of them
lies after the reference day, and all are covered; any other is `partial`, and in no average.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import partial
from itertools import pairwise
from operator import attrgetter
from typing import Any, NamedTuple

from domain.categories.vocabulary import (
    ESSENTIAL,
    FEE,
    INCIDENT,
    LABELS,
    LOAN,
    NON_ESSENTIAL,
    OTHER,
    TAX,
    TRANSFER,
)
from domain.insights import streams
from domain.insights.analysis import Analysis
from domain.insights.balances import (
    AMOUNT_MISSING,
    FIRST_MONDAY,
    NO_HISTORY,
    not_ended,
    why_unknown_together,
)
from domain.insights.books import Account, Row
from domain.insights.coverage import clipped
from domain.insights.figures import (
    COUNT,
    INSUFFICIENT_HISTORY,
    MONEY,
    NOT_APPLICABLE,
    OK,
    RATIO,
    Figure,
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
    Part,
    covers_recurrence,
    parts_of,
)
from domain.insights.months import month_of, window_of

# Why a figure has no value.
BALANCE_UNKNOWN = "balance_unknown"
NO_INFLOW = "no_inflow"
TOO_FEW_DEBITS = "too_few_debits"

#: How often a month a stream of a cadence comes. One without a cadence does not recur.
TIMES_A_MONTH: dict[str, Fraction] = {
    streams.WEEKLY: Fraction(52, 12),
    streams.BIWEEKLY: Fraction(26, 12),
    streams.SEMI_MONTHLY: Fraction(2),
    streams.MONTHLY: Fraction(1),
    streams.BIMONTHLY: Fraction(1, 2),
    streams.QUARTERLY: Fraction(1, 3),
    streams.SEMI_ANNUAL: Fraction(1, 6),
    streams.YEARLY: Fraction(1, 12),
}
#: The whole months that net is told over.
NET_WINDOWS = {"two_months": "2m", "six_months": "6m", "twelve_months": "12m"}

OUTLIER_DAYS = 180
OUTLIER_DEBITS_MIN = 20
#: How many interquartile ranges above the third quartile a debit is an outlier.
OUTLIER_RANGES = 3

#: The classes of what goes out: the groups of labels that a debit may have, and none.
UNLABELLED = "unlabelled"
CLASSES = (ESSENTIAL, NON_ESSENTIAL, LOAN, TAX, FEE, INCIDENT, TRANSFER, OTHER, UNLABELLED)

_id = attrgetter("id")


class Told(NamedTuple):
    """What a metric comes to, and the rows that it counts."""

    value: Any
    rows: Sequence[Row] = ()
    status: str = OK
    reason: str | None = None
    notes: Mapping[str, Any] = {}


class Flow(NamedTuple):
    """The booked rows of a currency in a window, of which at least one day is covered."""

    analysis: Analysis
    currency: str
    window: Window
    """Up to the reference day."""
    rows: Sequence[Row]
    covered: int

    def day(self, row: Row) -> int:
        return self.analysis.day(row)


# Figures


def each_currency(measure: Callable[[Flow], Told], analysis: Analysis, window: Window) -> Iterator[Figure]:
    """A figure for each currency, of its accounts together."""
    held = window._replace(last=min(window.last, analysis.as_of))
    for currency in analysis.currencies:
        covered = analysis.covered_in(currency, window)
        told = Told(None, (), INSUFFICIENT_HISTORY, NO_HISTORY)
        if covered:
            told = measure(Flow(analysis, currency, held, analysis.rows(currency, window), covered))
        missing = _has_missing_amounts(analysis.of_currency(currency), held)
        yield Figure(
            value=told.value,
            window=window,
            currency=currency,
            n=len(told.rows),
            covered_days=covered,
            status=told.status,
            reason=told.reason or (AMOUNT_MISSING if missing else None),
            rows=tuple(map(_id, told.rows)),
            notes=told.notes,
        )


def _has_missing_amounts(accounts: Iterable[Account], window: Window) -> bool:
    return any(window.holds(day) for account in accounts for day in account.unknown_days)


class Sums(NamedTuple):
    inflow: int = 0
    outflow: int = 0
    """Not positive."""

    def as_field(self) -> dict[str, int]:
        return {"inflow": self.inflow, "outflow": self.outflow, "net": self.inflow + self.outflow}

    def by(self, number: int) -> dict[str, int]:
        """Each part by a number, rounded on its own."""
        return {name: rounded(Fraction(amount, number)) for name, amount in self.as_field().items()}


def sums_of(rows: Iterable[Row]) -> Sums:
    amounts = [row.amount for row in rows]
    return Sums(sum(one for one in amounts if one > 0), sum(one for one in amounts if one < 0))


def sums_by_month(flow: Flow, rows: Iterable[Row]) -> dict[int, Sums]:
    day_of = flow.analysis.day
    by_month: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        by_month[month_of(day_of(row))][row.amount < 0] += row.amount
    return {month: Sums(*held) for month, held in by_month.items()}


def sums_of_complete(months: Mapping[int, Sums], parts: Iterable[Part]) -> tuple[Sums, int]:
    """What came to complete months, and how many these are."""
    held = [months.get(part.month, Sums()) for part in parts if part.complete]
    return Sums(sum(one.inflow for one in held), sum(one.outflow for one in held)), len(held)


def sums_of_complete_months(flow: Flow) -> tuple[Sums, int]:
    parts = parts_of(flow.analysis, flow.currency, flow.window)
    return sums_of_complete(sums_by_month(flow, flow.rows), parts)


# In, out, and what is left


def _totals(flow: Flow, rows: Sequence[Row]) -> dict[str, Any]:
    months = sums_by_month(flow, rows)
    parts = parts_of(flow.analysis, flow.currency, flow.window)
    complete, count = sums_of_complete(months, parts)
    return {
        **sums_of(rows).as_field(),
        "average": {**complete.by(count), "months": count} if count else None,
        "months": [{**part.as_field(), **_sums_in(months, part)} for part in parts],
    }


def _sums_in(months: Mapping[int, Sums], part: Part) -> dict[str, int | None]:
    """What came to a month; of one that nothing is known of, nothing is known."""
    if part.month in months or part.covered_days:
        return months.get(part.month, Sums()).as_field()
    return dict.fromkeys(Sums().as_field())


def _all_flows(flow: Flow) -> Told:
    value = _totals(flow, flow.rows)
    if flow.analysis.include_pending:
        accounts = flow.analysis.of_currency(flow.currency)
        pending = sums_of(
            row for account in accounts for row in account.pending if flow.window.holds(flow.day(row))
        )
        value |= {"pending_inflow": pending.inflow, "pending_outflow": pending.outflow}
    return Told(value, flow.rows)


def _without_transfers(flow: Flow) -> Told:
    own = [row for row in flow.rows if flow.analysis.is_between_own(row)]
    rows = _others(flow) if own else flow.rows
    return Told(_totals(flow, rows), rows, notes={"own_transfers": sums_of(own).as_field()})


def _others(flow: Flow) -> list[Row]:
    """The rows that are no own transfers."""
    return [row for row in flow.rows if not flow.analysis.is_between_own(row)]


def _monthly_average(flow: Flow) -> Told:
    total, count = sums_of_complete_months(flow)
    parts = parts_of(flow.analysis, flow.currency, flow.window)
    if not count:
        return Told(None, (), INSUFFICIENT_HISTORY, NO_COMPLETE_MONTH)
    compatible = sums_of(flow.rows).by(len(parts))
    value = {**total.by(count), "months": count, "per_calendar_month": compatible}
    return Told(value, flow.rows)


def _daily_average(flow: Flow) -> Told:
    inflows = sum(1 for row in flow.rows if row.amount > 0)
    outflows = sum(1 for row in flow.rows if row.amount < 0)
    return Told(
        {
            **sums_of(flow.rows).by(flow.covered),
            "inflow_count": ratio(Fraction(inflows, flow.covered)),
            "outflow_count": ratio(Fraction(outflows, flow.covered)),
            "count": ratio(Fraction(len(flow.rows), flow.covered)),
        },
        flow.rows,
    )


def _distribution(flow: Flow) -> Told:
    inflows = [row.amount for row in flow.rows if row.amount > 0]
    outflows = [row.amount for row in flow.rows if row.amount < 0]
    return Told({"inflow": _spread(inflows), "outflow": _spread(outflows)}, flow.rows)


def _spread(amounts: Sequence[int]) -> dict[str, int | None]:
    return {
        "count": len(amounts),
        "sum": sum(amounts),
        "mean": _rounded(mean(amounts)),
        "median": _rounded(median(amounts)),
        "minimum": min(amounts, default=None),
        "maximum": max(amounts, default=None),
        "standard_deviation": _rounded(deviation(amounts)),
    }


def _rounded(value: Fraction | None) -> int | None:
    return None if value is None else rounded(value)


def _net_over_months(analysis: Analysis, window: Window) -> Iterator[Figure]:
    """Of the whole months before that of the reference day, whatever the window is."""
    return each_currency(_net, analysis, window_of("12m", analysis.as_of))


def _net(flow: Flow) -> Told:
    value: dict[str, Any] = {}
    months, months_less = sums_by_month(flow, flow.rows), sums_by_month(flow, _others(flow))
    for name, of in NET_WINDOWS.items():
        # The longest holds the others: their complete months are among its own.
        parts = parts_of(flow.analysis, flow.currency, window_of(of, flow.analysis.as_of))
        total, count = sums_of_complete(months, parts)
        less, _ = sums_of_complete(months_less, parts)
        value[name] = (
            {
                "months": count,
                "net": sum(total),
                "mean": rounded(Fraction(sum(total), count)),
                "net_less_transfers": sum(less),
                "mean_less_transfers": rounded(Fraction(sum(less), count)),
            }
            if count
            else None
        )
    if all(part is None for part in value.values()):
        return Told(None, (), INSUFFICIENT_HISTORY, NO_COMPLETE_MONTH)
    parts = parts_of(flow.analysis, flow.currency, flow.window)
    complete = {part.month for part in parts if part.complete}
    return Told(value, [row for row in flow.rows if month_of(flow.day(row)) in complete])


# How often


def _activity(flow: Flow) -> Told:
    ranges = flow.analysis.covered_ranges[flow.currency]
    within = clipped(ranges, flow.window.first, flow.window.last)
    days = sorted(flow.day(row) for row in flow.rows)
    active = set(days)
    months = []
    for part in parts_of(flow.analysis, flow.currency, flow.window):
        spans = clipped(within, part.first, part.last)
        gaps = [_longest_gap(active, first, last) for first, last in spans]
        months.append({**part.as_field(), "longest_gap": max(gaps, default=None)})
    weeks = [monday for first, last in within for monday in _mondays(first, last)]
    between = Fraction(days[-1] - days[0], len(days) - 1) if len(days) > 1 else None
    return Told(
        {
            "days_with_transactions": len(active),
            "days_without_transactions": sum(
                1 for first, last in within for day in range(first, last + 1) if day not in active
            ),
            "mean_days_between": None if between is None else ratio(between),
            "weeks": len(weeks),
            "weeks_without_transactions": sum(
                1 for monday in weeks if active.isdisjoint(range(monday, monday + 7))
            ),
            "months": months,
        },
        flow.rows,
    )


def _longest_gap(active: set[int], first: int, last: int) -> int:
    """The most days in a row of a range on which nothing was booked."""
    edges = [first - 1, *sorted(day for day in active if first <= day <= last), last + 1]
    return max(following - day - 1 for day, following in pairwise(edges))


def _mondays(first: int, last: int) -> range:
    """Those whose whole weeks lie in a range."""
    monday = first + (FIRST_MONDAY - first) % 7
    return range(monday, last - 5, 7)


# What recurs, and what stays


def _disposable(flow: Flow) -> Told:
    found = [
        stream
        for stream in flow.analysis.streams
        if stream.currency == flow.currency
        and stream.status == streams.MATURE
        and stream.cadence in TIMES_A_MONTH
        and 2 * sum(1 for row in stream.rows if flow.analysis.is_between_own(row)) <= stream.n
    ]
    if not found and not covers_recurrence(flow.analysis, flow.currency):
        return Told(None, (), INSUFFICIENT_HISTORY, HISTORY_TOO_SHORT)
    monthly = [
        (stream.is_debit, Fraction(stream.total, stream.n) * TIMES_A_MONTH[stream.cadence])
        for stream in found
    ]
    inflow = sum(amount for is_debit, amount in monthly if not is_debit)
    outflow = sum(amount for is_debit, amount in monthly if is_debit)
    return Told(
        {
            "inflow": rounded(inflow),
            "outflow": rounded(outflow),
            "disposable": rounded(inflow + outflow),
            "streams": len(found),
        },
        [row for stream in found for row in stream.rows],
    )


def _net_savings(flow: Flow) -> Told:
    ends = flow.analysis.end_of_days_together[flow.currency]
    parts = parts_of(flow.analysis, flow.currency, flow.window)
    months, complete = [], []
    for part in parts:
        before, after = ends.on(part.first - 1), ends.on(part.last)
        saved = after - before if part.whole and before is not None and after is not None else None
        months.append({**part.as_field(), "net_savings": saved})
        if part.complete and saved is not None:
            complete.append(saved)
    if all(month["net_savings"] is None for month in months):
        whole = any(part.whole for part in parts)
        return Told(None, (), INSUFFICIENT_HISTORY, BALANCE_UNKNOWN if whole else NO_COMPLETE_MONTH)
    average = {"net_savings": rounded(mean(complete)), "months": len(complete)} if complete else None
    return Told({"average": average, "months": months}, flow.rows)


# What it went to


def class_of(analysis: Analysis, row: Row) -> str:
    """What a debit counts as: by its first label, the most telling one."""
    if analysis.is_between_own(row):
        return TRANSFER
    if not row.labels:
        return UNLABELLED
    group = LABELS[row.labels[0].name].group
    return group if group in CLASSES else OTHER


def _classes(flow: Flow) -> Told:
    refunded = flow.analysis.refunded
    totals = dict.fromkeys(CLASSES, 0)
    counts = dict.fromkeys(CLASSES, 0)
    counted = []
    for row in flow.rows:
        if row.amount < 0:
            name = class_of(flow.analysis, row)
            counts[name] += 1
        elif row.id in refunded:
            name = class_of(flow.analysis, refunded[row.id])
        else:
            continue
        totals[name] += row.amount
        counted.append(row)
    inflow = sums_of(flow.rows).inflow
    value = {
        name: {
            "total": totals[name],
            "count": counts[name],
            "share": ratio(Fraction(-totals[name], inflow)) if inflow else None,
        }
        for name in CLASSES
    }
    return Told(value, counted)


def quartile(ordered: Sequence[int], quarter: int) -> Fraction:
    """By linear interpolation: at (k - 1) * quarter / 4 of the k values, counted from 0.

    Source: Hyndman and Fan, Sample Quantiles in Statistical Packages (1996), definition 7.
    """
    place = Fraction((len(ordered) - 1) * quarter, 4)
    below = place.numerator // place.denominator
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def _outliers(analysis: Analysis, window: Window) -> Iterator[Figure]:
    last = min(window.last, analysis.as_of)
    for account in analysis.accounts:
        covered = analysis.covered_days(account, window)
        looked_at = Window(last - OUTLIER_DAYS + 1, last)
        sizes = sorted(-row.amount for row in analysis.rows_of(account, looked_at) if row.amount < 0)
        told = Told(None, (), INSUFFICIENT_HISTORY, TOO_FEW_DEBITS if covered else NO_HISTORY)
        if covered and len(sizes) >= OUTLIER_DEBITS_MIN:
            first, third = quartile(sizes, 1), quartile(sizes, 3)
            threshold = third + OUTLIER_RANGES * (third - first)
            found = [row for row in analysis.rows_of(account, window) if -row.amount > threshold]
            value = {
                "count": len(found),
                "total": sum(row.amount for row in found),
                "threshold": rounded(threshold),
                "first_quartile": rounded(first),
                "third_quartile": rounded(third),
                "debits": len(sizes),
            }
            told = Told(value, found)
        yield Figure(
            value=told.value,
            window=window,
            currency=account.currency,
            account=account.id,
            n=len(told.rows),
            covered_days=covered,
            status=told.status,
            reason=told.reason,
            rows=tuple(row.id for row in told.rows),
        )


def _balance_to_inflow(flow: Flow) -> Told:
    _, balances = flow.analysis.end_of_days_together[flow.currency].known(flow.window.first, flow.window.last)
    if not balances:
        accounts = not_ended(flow.analysis.of_currency(flow.currency), flow.window)
        why = why_unknown_together(flow.analysis, accounts, flow.window, 0)
        return Told(None, (), INSUFFICIENT_HISTORY, why)
    total, count = sums_of_complete_months(flow)
    if not count:
        return Told(None, (), INSUFFICIENT_HISTORY, NO_COMPLETE_MONTH)
    if not total.inflow:
        return Told(None, (), NOT_APPLICABLE, NO_INFLOW)
    return Told(ratio(mean(balances) / Fraction(total.inflow, count)), flow.rows)


_ROWS = (
    "Per currency, over the booked rows of the accounts looked at whose day (`date_basis`) lies in the window and not "
    "after the reference day. Inflow is the sum of amounts above 0, outflow of those below 0 (so it is not positive), "
    "net the sum of both. "
)
_MONTHS = (
    "A month is complete if the window holds all its days, none lies after the reference day, and all are covered; "
    "others are marked `partial`, carry `covered_days` and are in no average. "
)
_NONE = (
    "No value (`no_history`) where no day of the window is covered; the reason `amount_missing` beside a value says "
    "that rows without an amount are left out."
)
_ROUNDED = "Each is computed exactly and rounded once, on its own, to the minor unit, half to even. "

METRICS: tuple[Metric, ...] = (
    Metric(
        id="C1",
        name="flows",
        title="Inflow, outflow and net",
        unit=MONEY,
        definition=_ROWS
        + _MONTHS
        + (
            "`inflow`, `outflow`, `net` of the window; `months`: the same of each month, oldest first, null where no day of "
            "it is covered; `average`: the "
            "sums over complete months by their number, which is `months` in it, and null without one. "
        )
        + _ROUNDED
        + (
            "With `include_pending` also `pending_inflow` and `pending_outflow`: the same sums over pending rows, "
            "which are in no other figure. "
        )
        + _NONE,
        source="Powens Advisory, `total_*` and `avg_*`",
        windows=("30d", "60d", "90d", "12m", "365d"),
        compute=partial(each_currency, _all_flows),
    ),
    Metric(
        id="C2",
        name="flows_less_transfers",
        title="Inflow, outflow and net, less own transfers",
        unit=MONEY,
        definition=_ROWS
        + _MONTHS
        + (
            "As C1, without the rows of transfers between own accounts on evidence, whether or not the other account "
            "is looked at; the note `own_transfers` tells what these come to. "
        )
        + _ROUNDED
        + _NONE,
        source="Mastercard Open Finance; Plaid, income excluding transfers",
        windows=("30d", "60d", "90d", "12m", "365d"),
        compute=partial(each_currency, _without_transfers),
    ),
    Metric(
        id="C3",
        name="average_monthly_flows",
        title="Monthly inflow, outflow and net",
        unit=MONEY,
        definition=_ROWS
        + _MONTHS
        + (
            "`inflow`, `outflow`, `net`: the sum over complete months by their number `months`. `per_calendar_month`: "
            "the sums over the whole window by the number of calendar months that it touches up to the reference day, "
            "complete or not, as others publish it. "
        )
        + _ROUNDED
        + "No value (`no_complete_month`) without a complete month. "
        + _NONE,
        source="ours; `per_calendar_month` is Plaid's",
        windows=("12m", "365d"),
        compute=partial(each_currency, _monthly_average),
    ),
    Metric(
        id="C4",
        name="average_daily_flows",
        title="Daily inflow, outflow, net and number of rows",
        unit=MONEY,
        definition=_ROWS
        + (
            "`inflow`, `outflow`, `net`, and the numbers of rows `inflow_count` (above 0), `outflow_count` (below 0) "
            "and `count` (all), each by the number of covered days. Money is rounded once, on its own, to the minor "
            "unit, numbers of rows are texts with four decimals, both half to even. "
        )
        + _NONE,
        source="Plaid, business report",
        compute=partial(each_currency, _daily_average),
    ),
    Metric(
        id="C5",
        name="flow_distribution",
        title="Distribution of inflows and outflows",
        unit=MONEY,
        definition=_ROWS
        + (
            "Of the rows above 0 (`inflow`) and of those below 0 (`outflow`, amounts stay negative, so `minimum` is "
            "the largest debit): `count`, `sum`, `mean`, `median`, `minimum`, `maximum` and `standard_deviation` (of "
            "the population); all but count and sum null of none. "
        )
        + _ROUNDED
        + _NONE,
        source="Mastercard Open Finance",
        windows=("30d", "60d", "90d", "12m", "365d"),
        compute=partial(each_currency, _distribution),
    ),
    Metric(
        id="C6",
        name="net_over_months",
        title="Net over 2, 6 and 12 months",
        unit=MONEY,
        definition=_ROWS
        + (
            "`two_months`, `six_months`, `twelve_months`: the last so many whole months before the month of the "
            "reference day, whatever window is asked for. Of each, over those of its months that are covered on all "
            "days: `months` (their number), `net` and its `mean` by that number, and both without the rows of own "
            "transfers on evidence (`net_less_transfers`, `mean_less_transfers`); null where there is no such month. Its "
            "rows are those of the covered months of the twelve. "
        )
        + _ROUNDED
        + "No value (`no_complete_month`) where all three are null. "
        + _NONE,
        source="Mastercard Open Finance",
        windows=("12m",),
        compute=_net_over_months,
    ),
    Metric(
        id="C7",
        name="activity",
        title="How often something is booked",
        unit=COUNT,
        definition=_ROWS
        + _MONTHS
        + (
            "`days_with_transactions`; `days_without_transactions`: covered days without a row; `mean_days_between`: "
            "the days from the first row to the last by the number of rows less 1, four decimals, half to even, null "
            "of fewer than two; `weeks`: ISO weeks (Monday to Sunday) of the window with all seven days covered, and "
            "`weeks_without_transactions` those of them without a row; `months`, each with `longest_gap`: the most "
            "covered days in a row, within the month and the window, without a row, null where none is covered. "
        )
        + _NONE,
        source="Plaid; Mastercard Open Finance",
        compute=partial(each_currency, _activity),
    ),
    Metric(
        id="C8",
        name="disposable_income",
        title="Disposable income",
        unit=MONEY,
        definition=(
            "Per currency, over the recurring streams (R1) of the accounts looked at that are MATURE at the reference "
            "day and have a cadence; the window plays no part but for its coverage. Of each the mean amount of its "
            "rows, times its occurrences a month: weekly 52/12, biweekly 26/12, semi-monthly 2, monthly 1, bimonthly "
            "1/2, quarterly 1/3, semi-annual 1/6, yearly 1/12. `inflow` sums credits, `outflow` debits (it is not "
            "positive), `disposable` both, `streams` is their number. Streams are left out if more than half of their "
            "rows are own transfers on evidence. "
        )
        + _ROUNDED
        + (
            "No value (`history_too_short`) where there is no such stream and fewer than 90 of the last 365 days are "
            "covered. "
        )
        + _NONE,
        source="Powens Advisory",
        compute=partial(each_currency, _disposable),
    ),
    Metric(
        id="C9",
        name="net_savings",
        title="Net savings by month",
        unit=MONEY,
        definition=(
            "Per currency, from the end-of-day balances of B3 of its accounts together. `months`, oldest first: those "
            "that the window touches up to the reference day; `net_savings`: the balance at the end of the month's "
            "last day less that at the end of the day before its first; null where either is not known or the window "
            "does not hold the whole month. `average`: the mean `net_savings` of complete months that have one, and "
            "their number `months`; null without any. "
        )
        + _MONTHS
        + _ROUNDED
        + (
            "No value where all months are null: `no_complete_month` where the window holds no whole month, else "
            "`balance_unknown`. "
        )
        + _NONE,
        source="Powens Advisory",
        windows=("12m", "365d"),
        compute=partial(each_currency, _net_savings),
    ),
    Metric(
        id="C10",
        name="outflow_by_class",
        title="Essential, non-essential and other outflow",
        unit=MONEY,
        definition=_ROWS
        + (
            "By class (`essential`, `non_essential`, `loan`, `tax`, `fee`, `incident`, `transfer`, `other`, "
            "`unlabelled`): `total`, the sum of its debits and of the refunds in the window of its debits, `count` of "
            "its debits, and `share`: minus the total by the inflow of C1, four decimals, half to even, null without "
            "inflow. The class of a debit is `transfer` if it is an own transfer on evidence, else the group of its "
            "first label (`other` where that is of income), else `unlabelled`. "
        )
        + _NONE,
        source="Plaid, EU insights",
        windows=("30d", "90d", "12m", "365d"),
        compute=partial(each_currency, _classes),
    ),
    Metric(
        id="C11",
        name="outliers",
        title="Debits that are unusually large",
        unit=MONEY,
        definition=(
            "Per account: `count` and `total` of the booked debits of the window (up to the reference day) whose size "
            "exceeds `threshold`: Q3 + 3 (Q3 - Q1) over the sizes of the account's `debits` debits of the 180 days "
            "that end with the window or, if earlier, the reference day. Quartiles are by linear interpolation "
            "(Hyndman and Fan's definition 7): of k sizes in ascending order, the one at (k - 1) / 4 or 3 (k - 1) / 4, "
            "counted from 0. Sizes are compared with the exact threshold; threshold and quartiles are shown rounded to "
            "the minor unit, half to even. No value with fewer than 20 debits (`too_few_debits`) or where no day of "
            "the window is covered (`no_history`)."
        ),
        source="concept: Plaid; threshold: ours",
        windows=("180d",),
        compute=_outliers,
    ),
    Metric(
        id="C12",
        name="balance_to_inflow",
        title="Average balance to monthly inflow",
        unit=RATIO,
        definition=(
            "Per currency: the exact average daily balance of B6 of its accounts together, by the exact average "
            "monthly inflow of C3, both over the window; four decimals, rounded once, half to even. No value where "
            "either has none, with its reason; `not_applicable` (`no_inflow`) where the inflow is 0."
        ),
        source="Heron, average balance to revenue",
        windows=("12m", "365d"),
        compute=partial(each_currency, _balance_to_inflow),
    ),
)
