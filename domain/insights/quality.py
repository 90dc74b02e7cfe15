"""Data quality (Q): how far what is known can carry the other figures. See `METRICS`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from domain.insights.analysis import Analysis
from domain.insights.balances import NO_HISTORY, drifts_in, text_of, why_no_drift
from domain.insights.books import Account, Row
from domain.insights.coverage import Range, uncovered
from domain.insights.end_of_day import Drift, rows_between
from domain.insights.figures import (
    COUNT_PER_MONTH,
    DAYS,
    INSUFFICIENT_HISTORY,
    MONEY,
    NOT_APPLICABLE,
    OK,
    RATIO,
    SECONDS,
    TEXT,
    Figure,
    Metric,
    Window,
    ratio,
)
from domain.insights.history import NO_COMPLETE_MONTH
from domain.insights.months import month_of, months_in

# Why a figure has no value.
NO_ROWS = "no_rows"
NEVER_READ = "never_read"
NO_OUTFLOW = "no_outflow"

# Why days are not covered.
BEFORE_HISTORY = "before_history"
MISSING = "gap"
NOT_READ_YET = "not_read_yet"

# Confidence.
HIGH, MEDIUM, LOW = "high", "medium", "low"

MICROS = 1_000_000


# Of an account


def depth_of(analysis: Analysis, account: Account) -> int | None:
    """The days from the oldest booked row to the reference day."""
    first = account.first_booked
    return None if first is None or first > analysis.as_of else analysis.as_of - first


def _depth(analysis: Analysis, window: Window) -> Iterator[Figure]:
    for account in analysis.accounts:
        yield _of_account(analysis, window, account, depth_of(analysis, account), NO_ROWS)


def _last_gap(analysis: Analysis, window: Window) -> Iterator[Figure]:
    for account in analysis.accounts:
        days = [*(row.day for row in account.rows), *account.unknown_days]
        newest = max((day for day in days if day <= analysis.as_of), default=None)
        gap = None if newest is None else analysis.as_of - newest
        yield _of_account(analysis, window, account, gap, NO_ROWS)


def _frequency(analysis: Analysis, window: Window) -> Iterator[Figure]:
    for account in analysis.accounts:
        months = {
            month.month
            for month in months_in(window)
            if month.whole
            and month.last <= analysis.as_of
            and analysis.is_covered(account, month.first, month.last)
        }
        rows = [row for row in analysis.rows_of(account, window) if month_of(analysis.day(row)) in months]
        value = ratio(Fraction(len(rows), len(months))) if months else None
        why = NO_COMPLETE_MONTH if analysis.covered_days(account, window) else NO_HISTORY
        yield _of_account(analysis, window, account, value, why, rows, {"months": len(months)})


def _freshness(analysis: Analysis, window: Window) -> Iterator[Figure]:
    for account in analysis.accounts:
        ages = {
            "balance": _age(analysis, account.balance_as_of),
            "transactions": _age(analysis, account.transactions_as_of),
        }
        known = any(age is not None for age in ages.values())
        yield _of_account(analysis, window, account, ages if known else None, NEVER_READ)


def _age(analysis: Analysis, moment: int | None) -> int | None:
    """Whole seconds."""
    return None if moment is None else max(analysis.books.known_at - moment, 0) // MICROS


def largest(drifts: Sequence[Drift]) -> Drift | None:
    """The newest of those that are furthest from nothing."""
    return max(drifts, key=lambda drift: (abs(drift.amount), drift.day), default=None)


def _largest_drift(analysis: Analysis, window: Window) -> Iterator[Figure]:
    last = min(window.last, analysis.as_of)
    for account in analysis.accounts:
        found = largest(drifts_in(analysis, account, window))
        value = None if found is None else {"drift": found.amount, "day": text_of(found.day)}
        rows = rows_between(account, window.first, last)
        yield _of_account(analysis, window, account, value, why_no_drift(analysis, account, window), rows)


def _of_account(
    analysis: Analysis,
    window: Window,
    account: Account,
    value: Any,
    why: str,
    rows: Sequence[Row] = (),
    notes: dict[str, Any] | None = None,
) -> Figure:
    """`why` is the reason where there is no value."""
    return Figure(
        value=value,
        window=window,
        currency=account.currency,
        account=account.id,
        n=len(rows),
        covered_days=analysis.covered_days(account, window),
        status=INSUFFICIENT_HISTORY if value is None else OK,
        reason=why if value is None else None,
        rows=tuple(row.id for row in rows),
        notes=notes or {},
    )


# Of a currency


def coverage_of(analysis: Analysis, currency: str, window: Window) -> Fraction | None:
    """The share of the window's days, up to the reference day, that are covered."""
    days = min(window.last, analysis.as_of) - window.first + 1
    return Fraction(analysis.covered_in(currency, window), days) if days > 0 else None


def _coverage(analysis: Analysis, window: Window) -> Iterator[Figure]:
    last = min(window.last, analysis.as_of)
    for currency in analysis.currencies:
        covered = analysis.covered_in(currency, window)
        ranges = analysis.covered_ranges[currency]
        found = [
            {"first": text_of(first), "last": text_of(end), "reason": _why_uncovered(ranges, (first, end))}
            for first, end in uncovered(ranges, window.first, last)
        ]
        share = coverage_of(analysis, currency, window)
        value = {"coverage": ratio(share), "uncovered": found} if covered and share is not None else None
        yield Figure(
            value=value,
            window=window,
            currency=currency,
            covered_days=covered,
            status=OK if covered else INSUFFICIENT_HISTORY,
            reason=None if covered else NO_HISTORY,
            notes={} if covered else {"uncovered": found},
        )


def _why_uncovered(ranges: Sequence[Range], days: Range) -> str:
    if not ranges:
        return NEVER_READ
    if days[0] > ranges[-1][1]:
        return NOT_READ_YET
    return BEFORE_HISTORY if days[1] < ranges[0][0] else MISSING


def unlabelled_share(debits: Sequence[Row]) -> Fraction | None:
    """What of these debits no label is known for; None without any."""
    total = sum(row.amount for row in debits)
    return Fraction(sum(row.amount for row in debits if not row.labels), total) if total else None


def _unlabelled(analysis: Analysis, window: Window) -> Iterator[Figure]:
    for currency in analysis.currencies:
        covered = analysis.covered_in(currency, window)
        debits = [row for row in analysis.rows(currency, window) if row.amount < 0] if covered else []
        share = unlabelled_share(debits)
        status, reason = OK, None
        if share is None:
            status = NOT_APPLICABLE if covered else INSUFFICIENT_HISTORY
            reason = NO_OUTFLOW if covered else NO_HISTORY
        yield Figure(
            value=None if share is None else ratio(share),
            window=window,
            currency=currency,
            n=len(debits),
            covered_days=covered,
            status=status,
            reason=reason,
            rows=tuple(row.id for row in debits),
        )


def _confidence(analysis: Analysis, window: Window) -> Iterator[Figure]:
    for currency in analysis.currencies:
        covered = analysis.covered_in(currency, window)
        rows = tuple(analysis.rows(currency, window)) if covered else ()
        yield Figure(
            value=_judged(analysis, currency, window, rows) if covered else None,
            window=window,
            currency=currency,
            n=len(rows),
            covered_days=covered,
            status=OK if covered else INSUFFICIENT_HISTORY,
            reason=None if covered else NO_HISTORY,
            rows=tuple(row.id for row in rows),
        )


def _judged(analysis: Analysis, currency: str, window: Window, rows: Sequence[Row]) -> dict[str, Any]:
    accounts = analysis.of_currency(currency)
    depths = [depth for account in accounts if (depth := depth_of(analysis, account)) is not None]
    depth = min(depths, default=None)
    coverage = coverage_of(analysis, currency, window)
    found = largest([drift for account in accounts for drift in drifts_in(analysis, account, window)])
    drift = None if found is None else abs(found.amount)
    unlabelled = unlabelled_share([row for row in rows if row.amount < 0])
    return {
        "confidence": confidence(depth, coverage, drift, unlabelled),
        "depth": depth,
        "coverage": ratio(coverage),
        "drift": drift,
        "unlabelled": None if unlabelled is None else ratio(unlabelled),
    }


def confidence(depth: int | None, coverage: Fraction, drift: int | None, unlabelled: Fraction | None) -> str:
    """The band of these. A drift that is not known is not none; without outflow nothing is unlabelled."""
    depth = -1 if depth is None else depth
    labelled = unlabelled is None or unlabelled <= Fraction(10, 100)
    if depth >= 180 and coverage >= Fraction(98, 100) and drift == 0 and labelled:
        return HIGH
    return MEDIUM if depth >= 90 and coverage >= Fraction(90, 100) else LOW


METRICS: tuple[Metric, ...] = (
    Metric(
        id="Q1",
        name="historical_depth",
        title="Historical depth",
        unit=DAYS,
        definition=(
            "Per account: the reference day minus the day of the oldest booked row, however old that is. The window "
            "plays no part. No value (`no_rows`) without a row up to the reference day."
        ),
        source="Algoan",
        compute=_depth,
    ),
    Metric(
        id="Q2",
        name="last_transaction_gap",
        title="Days since the last transaction",
        unit=DAYS,
        definition=(
            "Per account: the reference day minus the day of the newest row booked up to it, also of one without an "
            "amount. The window plays no part. No value (`no_rows`) where the books hold no such row."
        ),
        source="Algoan",
        compute=_last_gap,
    ),
    Metric(
        id="Q3",
        name="coverage",
        title="Coverage",
        unit=RATIO,
        definition=(
            "Per currency. A day is covered if at least one account is covered on it and none is not that had begun "
            "and not ended: an account begins with its first covered day, and one that is deleted at its bank, or "
            "that the bank shows no more, ends with its last. `coverage`: covered days by the days of the window up "
            "to the reference day, four decimals, half to even; `uncovered`: the other days as ranges, `first` and "
            "`last` included, oldest first, each with the reason `before_history`, `gap`, `not_read_yet` or "
            "`never_read`. No value (`no_history`) without a covered day; the ranges are then a note."
        ),
        source="ours",
        compute=_coverage,
    ),
    Metric(
        id="Q4",
        name="transaction_frequency",
        title="Transactions a month",
        unit=COUNT_PER_MONTH,
        definition=(
            "Per account: the number of booked rows in the calendar months that lie wholly in the window, not after "
            "the reference day, and are covered on all days, by the number of these months (the note `months`); four "
            "decimals, half to even. No value without such a month: `no_history` where no day of the window is "
            "covered, else `no_complete_month`."
        ),
        source="Algoan",
        compute=_frequency,
    ),
    Metric(
        id="Q5",
        name="freshness",
        tells_freshness=True,
        title="Age of what was read",
        unit=SECONDS,
        definition=(
            "Per account: whole seconds from when the balance was read (`balance`) and from when the transactions were "
            "looked at last (`transactions`) to the moment up to which facts are known (`known_at`); 0 at least, null "
            "where it never was. The window plays no part. No value (`never_read`) where both are null."
        ),
        source="Klarna Account Insights, `refreshed_at`",
        compute=_freshness,
    ),
    Metric(
        id="Q6",
        name="largest_drift",
        title="Largest drift",
        unit=MONEY,
        definition=(
            "Per account: the `drift` of B4 in the window that is furthest from 0, with its sign, and its `day`; of "
            "several the newest. No value where B4 has none, with its reason."
        ),
        source="ours",
        compute=_largest_drift,
    ),
    Metric(
        id="Q7",
        name="unlabelled_share",
        title="Share of outflow without a label",
        unit=RATIO,
        definition=(
            "Per currency: of the booked debits in the window, up to the reference day, the sum of those without any "
            "label by the sum of all; four decimals, half to even. No value (`no_history`) where no day of the window "
            "is covered; `not_applicable` (`no_outflow`) without a debit."
        ),
        source="ours; policy of Kontomatik",
        compute=_unlabelled,
    ),
    Metric(
        id="Q8",
        name="confidence",
        title="Confidence",
        unit=TEXT,
        definition=(
            "Per currency, from `depth` (the least Q1 of its accounts that have rows), `coverage` (Q3), `drift` (the "
            "largest size of Q6 of its accounts, null where none is known) and `unlabelled` (Q7). `confidence` is "
            "`high` if depth >= 180, coverage >= 0.98, drift = 0 and unlabelled <= 0.10; `medium` if depth >= 90 and "
            "coverage >= 0.90; else `low`. Exact values are compared. An unknown drift is not 0; without outflow "
            "nothing is unlabelled. No value (`no_history`) where no day of the window is covered."
        ),
        source="ours; Moneyhub reports a confidence",
        compute=_confidence,
    ),
)
