"""Balances (B): what there was at the end of each day, and what follows from it. See `METRICS`.

Most are told twice: of each account, and of all accounts of a currency together, whose day counts when every one of
them is known. Rows are those that were booked on the days of the window, whatever `date_basis` says: a balance moves on
the day of booking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache, partial
from math import ceil
from typing import Any, NamedTuple

from domain.insights.analysis import Analysis
from domain.insights.books import Account
from domain.insights.coverage import end_of
from domain.insights.end_of_day import Drift, EndOfDay, rows_between
from domain.insights.figures import (
    DAYS,
    INSUFFICIENT_HISTORY,
    MONEY,
    MONEY_PER_DAY,
    MONEY_PER_MONTH,
    NOT_APPLICABLE,
    OK,
    RATIO,
    WEEKS,
    Figure,
    Metric,
    Window,
    deviation,
    mean,
    median,
    ratio,
    rounded,
    scaled,
    sum_of_products,
)
from domain.transactions import date_of

# Why a figure has no value, or why fewer days are known than are covered.
NO_HISTORY = "no_history"
NO_BALANCE = "no_balance"
AMOUNT_MISSING = "amount_missing"
GAP = "gap"
FIELDS_MISSING = "fields_missing"
TOO_FEW_READINGS = "too_few_readings"
TOO_FEW_DAYS = "too_few_days"
TOO_FEW_WEEKS = "too_few_weeks"
NEVER_NEGATIVE = "never_negative"
NO_LIMIT = "no_limit"

#: The trend is told of so many days.
TREND_DAYS = 30
#: A balance below this is low, where nothing else is asked for.
LOW_BALANCE = 10_000
#: 1970-01-05 was a Monday: days minus this, by seven, are ISO weeks.
FIRST_MONDAY = 4


class Known(NamedTuple):
    """The days of a window whose end is known, at least one, of one account or of several together."""

    days: Sequence[int]
    balances: Sequence[int]
    limit: int
    """The overdraft that is agreed, 0 where that is not known."""
    limit_assumed: bool
    exponent: int
    as_of: int
    parameters: Mapping[str, int]


class Told(NamedTuple):
    """What a metric comes to."""

    value: Any
    status: str = OK
    reason: str | None = None
    notes: Mapping[str, Any] = {}


class _Held(NamedTuple):
    """What one account had in a window, or all of a currency together."""

    known: Known | None
    """None without a day that is known."""
    currency: str
    why: str | None
    """Why not all covered days are known; None where they are."""
    rows: tuple[bytes, ...]
    """The ids of the rows that were booked on its days."""


# Figures


def each_account(measure: Callable[[Known], Told], analysis: Analysis, window: Window) -> Iterator[Figure]:
    """A figure for each account, by id."""
    for account in analysis.accounts:
        yield _figure(measure, _held_by(analysis, account, window), window, account.id)


def each_currency(measure: Callable[[Known], Told], analysis: Analysis, window: Window) -> Iterator[Figure]:
    """A figure for each currency, of its accounts together."""
    for currency in analysis.currencies:
        what = ("balances together", currency, *window[:2])
        held = analysis.once(what, partial(_together, analysis, currency, window))
        yield _figure(measure, held, window, None)


def _held_by(analysis: Analysis, account: Account, window: Window) -> _Held:
    what = ("balances", account.id, *window[:2])
    return analysis.once(what, lambda: _alone(analysis, account, window))


def _alone(analysis: Analysis, account: Account, window: Window) -> _Held:
    last = min(window.last, analysis.as_of)
    known = _known(analysis, analysis.end_of_days[account.id], [account], window)
    why = why_unknown(analysis, account, window, len(known.days) if known else 0)
    rows = tuple(row.id for row in rows_between(account, window.first, last))
    return _Held(known, account.currency, why, rows)


def _together(analysis: Analysis, currency: str, window: Window) -> _Held:
    accounts = not_ended(analysis.of_currency(currency), window)
    known = _known(analysis, analysis.end_of_days_together[currency], accounts, window)
    each = [_held_by(analysis, account, window) for account in accounts]
    why = next((one.why for one in each if one.why), None if known else NO_HISTORY)
    return _Held(known, currency, why, tuple(id for one in each for id in one.rows))


def _known(analysis: Analysis, ends: EndOfDay, accounts: Sequence[Account], window: Window) -> Known | None:
    days, balances = ends.known(window.first, min(window.last, analysis.as_of))
    if not days:
        return None
    return Known(
        days=days,
        balances=balances,
        limit=sum(one.limit or 0 for one in accounts),
        limit_assumed=any(one.limit is None for one in accounts),
        exponent=accounts[0].exponent,
        as_of=analysis.as_of,
        parameters=analysis.parameters,
    )


def not_ended(accounts: Sequence[Account], window: Window) -> Sequence[Account]:
    """The accounts that had not ended before a window; all of them where all had."""
    held = [one for one in accounts if (end := end_of(one)) is None or end >= window.first]
    return held or accounts


def both(measure: Callable[[Known], Told], analysis: Analysis, window: Window) -> Iterator[Figure]:
    """A figure for each account, then one for each currency."""
    yield from each_account(measure, analysis, window)
    yield from each_currency(measure, analysis, window)


def _figure(measure: Callable[[Known], Told], held: _Held, window: Window, account: str | None) -> Figure:
    known = held.known
    told = Told(None, INSUFFICIENT_HISTORY, held.why) if known is None else measure(known)
    return Figure(
        value=told.value,
        window=window,
        currency=held.currency,
        account=account,
        n=len(held.rows),
        covered_days=0 if known is None else len(known.days),
        status=told.status,
        reason=told.reason or held.why,
        rows=held.rows,
        notes=told.notes,
    )


def why_unknown(analysis: Analysis, account: Account, window: Window, known: int) -> str | None:
    """Why not all covered days of a window are known; None where they are."""
    covered = analysis.covered_days(account, window)
    if not covered:
        return NO_HISTORY
    if known == covered:
        return None
    if not account.readings:
        return NO_BALANCE
    return AMOUNT_MISSING if any(day >= window.first for day in account.unknown_days) else GAP


def why_unknown_together(
    analysis: Analysis, accounts: Sequence[Account], window: Window, known: int
) -> str | None:
    """The first reason of any of the accounts; without one, that no day is covered for all of them."""
    last = min(window.last, analysis.as_of)
    for account in accounts:
        days, _ = analysis.end_of_days[account.id].known(window.first, last)
        why = why_unknown(analysis, account, window, len(days))
        if why is not None:
            return why
    return None if known else NO_HISTORY


@lru_cache(maxsize=16_384)
def text_of(day: int) -> str:
    """`YYYY-MM-DD`."""
    return date_of(day).isoformat()


# What was read


def _latest(analysis: Analysis, window: Window) -> Iterator[Figure]:
    for account in analysis.accounts:
        fields = {
            "balance": account.balance,
            "available": account.available,
            "limit": account.limit,
            "reserved": account.reserved,
        }
        was_read = any(value is not None for value in fields.values())
        yield _read_figure(analysis, window, account, fields if was_read else None)


def _reconciliation_gap(analysis: Analysis, window: Window) -> Iterator[Figure]:
    for account in analysis.accounts:
        fields = (account.available, account.balance, account.limit, account.reserved)
        if None not in fields:
            available, balance, limit, reserved = fields
            yield _read_figure(analysis, window, account, available - (balance + limit - reserved))
        elif fields == (None, None, None, None):
            yield _read_figure(analysis, window, account, None)
        else:
            yield _read_figure(analysis, window, account, None, NOT_APPLICABLE, FIELDS_MISSING)


def _read_figure(
    analysis: Analysis,
    window: Window,
    account: Account,
    value: Any,
    status: str = INSUFFICIENT_HISTORY,
    reason: str = NO_BALANCE,
) -> Figure:
    """A figure of the latest reading; the status and the reason are those of one without a value."""
    return Figure(
        value=value,
        window=window,
        currency=account.currency,
        account=account.id,
        covered_days=analysis.covered_days(account, window),
        status=status if value is None else OK,
        reason=reason if value is None else None,
    )


def drifts_in(analysis: Analysis, account: Account, window: Window) -> list[Drift]:
    """The drift at each reading of a window that can be compared with the next one, oldest first."""
    last = min(window.last, analysis.as_of)
    return [drift for drift in analysis.end_of_days[account.id].drifts if window.first <= drift.day <= last]


def why_no_drift(analysis: Analysis, account: Account, window: Window) -> str:
    """Why there is no drift to be told in a window."""
    last = min(window.last, analysis.as_of)
    compared = [day for day, *_ in account.readings[:-1] if window.first <= day <= last]
    if not compared:
        return TOO_FEW_READINGS
    return AMOUNT_MISSING if any(day > compared[0] for day in account.unknown_days) else GAP


def _drift(analysis: Analysis, window: Window) -> Iterator[Figure]:
    last = min(window.last, analysis.as_of)
    for account in analysis.accounts:
        found = drifts_in(analysis, account, window)
        rows = tuple(row.id for row in rows_between(account, window.first, last))
        yield Figure(
            value=[{"day": text_of(drift.day), "drift": drift.amount} for drift in found] or None,
            window=window,
            currency=account.currency,
            account=account.id,
            n=len(rows),
            covered_days=analysis.covered_days(account, window),
            status=OK if found else INSUFFICIENT_HISTORY,
            reason=None if found else why_no_drift(analysis, account, window),
            rows=rows,
        )


# What there was at the end of each day


def _day_by_day(known: Known) -> Told:
    pairs = zip(known.days, known.balances, strict=True)
    return Told([{"day": text_of(day), "balance": balance} for day, balance in pairs])


def _statistics(known: Known) -> Told:
    ordered = sorted(known.balances)
    return Told(
        {
            "minimum": ordered[0],
            "maximum": ordered[-1],
            "mean": rounded(mean(ordered)),
            "median": rounded(median(ordered)),
            "standard_deviation": rounded(deviation(ordered)),
        }
    )


def _average(known: Known) -> Told:
    return Told(rounded(mean(known.balances)))


def _negative_days(known: Known) -> Told:
    return Told(sum(1 for balance in known.balances if balance < 0))


def _negative_episodes(known: Known) -> Told:
    runs: list[list[int]] = []
    for day, balance in zip(known.days, known.balances, strict=True):
        if balance >= 0:
            continue
        if runs and runs[-1][1] == day - 1:
            runs[-1][1] = day
            runs[-1][2] = min(runs[-1][2], balance)
        else:
            runs.append([day, day, balance])
    return Told(
        [
            {"start": text_of(start), "end": text_of(end), "days": end - start + 1, "minimum": minimum}
            for start, end, minimum in runs
        ]
    )


def _overdraft_days(known: Known) -> Told:
    hard = sum(1 for balance in known.balances if balance < -known.limit)
    arranged = sum(1 for balance in known.balances if -known.limit <= balance < 0)
    return Told({"arranged": arranged, "hard": hard}, notes={"limit_assumed": known.limit_assumed})


def _minimum(known: Known) -> Told:
    return Told(min(known.balances))


def _days_since_negative(known: Known) -> Told:
    pairs = zip(known.days, known.balances, strict=True)
    last = max((day for day, balance in pairs if balance < 0), default=None)
    return Told(None, NOT_APPLICABLE, NEVER_NEGATIVE) if last is None else Told(known.as_of - last)


def _utilisation(known: Known) -> Told:
    if known.limit <= 0:
        return Told(None, NOT_APPLICABLE, NO_LIMIT)
    return Told(ratio(mean(max(0, -balance) for balance in known.balances) / known.limit))


def _low_days(known: Known) -> Told:
    # A balance is a whole number: it is below the threshold where it is below the next whole number.
    threshold = ceil(scaled(known.parameters.get("threshold", LOW_BALANCE), known.exponent))
    return Told(sum(1 for balance in known.balances if 0 <= balance < threshold))


def _trend(known: Known) -> Told:
    count = len(known.days)
    if count < 2:
        return Told(None, INSUFFICIENT_HISTORY, TOO_FEW_DAYS)
    places = [day - known.days[0] for day in known.days]
    above = count * sum_of_products(places, known.balances) - sum(places) * sum(known.balances)
    below = count * sum_of_products(places, places) - sum(places) ** 2
    return Told(rounded(Fraction(above, below) * TREND_DAYS))


def _rising_weeks(known: Known) -> Told:
    weeks: dict[int, list[int]] = {}
    for day, balance in zip(known.days, known.balances, strict=True):
        weeks.setdefault((day - FIRST_MONDAY) // 7, []).append(balance)
    # All are of seven days, so that their sums compare as their means do.
    sums = {week: sum(held) for week, held in weeks.items() if len(held) == 7}
    compared = [week for week in sums if week - 1 in sums]
    if not compared:
        return Told(None, INSUFFICIENT_HISTORY, TOO_FEW_WEEKS)
    rising = sum(1 for week in compared if sums[week] > sums[week - 1])
    return Told(rising, notes={"weeks_compared": len(compared)})


_END = (
    "eod is the end-of-day balance of B3, over the days of the window, up to the reference day, on which it is known "
    "(`covered_days` of them); of a currency, the sum of eod over its accounts, on the days on which it is known for "
    "all of them, without those that had ended (B3). No value without such a day: `no_history` where no day of the "
    "window is covered, `no_balance` where no balance was ever read, `amount_missing` where a row without an amount "
    "lies between the days and the next reading, `gap` where days that are not covered do. Where only some covered "
    "days are unknown, the reason says why. "
)
_WINDOWS = ("current_month", "30d", "60d", "90d", "180d", "365d", "2m", "6m", "12m")

METRICS: tuple[Metric, ...] = (
    Metric(
        id="B1",
        name="latest_balance",
        title="Latest balance",
        unit=MONEY,
        definition=(
            "Per account, of the latest reading that is known: `balance`, `available`, `limit` (agreed overdraft) and "
            "`reserved`, each as it was given, null where it was not. The window plays no part. No value "
            "(`no_balance`) where none of them was ever read."
        ),
        source="Klarna Account Insights; Plaid",
        compute=_latest,
    ),
    Metric(
        id="B2",
        name="reconciliation_gap",
        title="Gap between available and balance",
        unit=MONEY,
        definition=(
            "Per account: available - (balance + limit - reserved) of B1. `not_applicable` (`fields_missing`) unless "
            "all four were given; no value (`no_balance`) where none was. The window plays no part."
        ),
        source="ours, from the example of Klarna Account Insights",
        compute=_reconciliation_gap,
    ),
    Metric(
        id="B3",
        name="end_of_day_balances",
        title="End-of-day balances",
        unit=MONEY_PER_DAY,
        definition=(
            "eod(d), a list of `day` and `balance`, oldest first; per account, and per currency the sum over its "
            "accounts on the days on which all are known: an account that is deleted at its bank, or that the bank "
            "shows no more, ends with its last covered day, and from then on neither counts nor needs to be known. "
            "It starts at the latest reading: eod(d - 1) = eod(d) less the rows booked on d. On a day w with a "
            "reading, eod(w) is that reading plus the rows booked on w that were recorded after it, and the walk "
            "goes on from there; after the last reading it goes forward: eod(d) = eod(d - 1) plus the rows booked on "
            "d. Known on covered days up to the reference day. There is no step over a day that is not covered or "
            "has a row without an amount: what lies behind it is not known until the next reading. No value without "
            "a known day: `no_history`, `no_balance`, `amount_missing` or `gap`. `date_basis` plays no part."
        ),
        source="Plaid, historical balances; waypoints as in Sure",
        compute=partial(both, _day_by_day),
    ),
    Metric(
        id="B4",
        name="balance_drift",
        title="Drift between readings and rows",
        unit=MONEY,
        definition=(
            "Per account a list of `day` and `drift`: at each reading in the window, up to the reference day, that has "
            "a next newer one, eod of B3 on its day minus what the next one walks back to: its eod minus all rows "
            "booked after the first day up to its own. Readings with a day in between that can't be stepped over are "
            "left out. No value where none is left: `too_few_readings`, `amount_missing` or `gap`."
        ),
        source="ours",
        compute=_drift,
    ),
    Metric(
        id="B5",
        name="balance_statistics",
        title="Minimum, maximum, mean, median and deviation of the balance",
        unit=MONEY,
        definition=_END
        + (
            "`minimum`, `maximum`, `mean`, `median` (of an even number of days, the mean of the two in the middle) and "
            "`standard_deviation` (of the population) of eod; each computed exactly and rounded once to the minor "
            "unit, half to even."
        ),
        source="Mastercard Open Finance; Setu",
        windows=_WINDOWS,
        compute=partial(both, _statistics),
    ),
    Metric(
        id="B6",
        name="average_daily_balance",
        title="Average daily balance",
        unit=MONEY,
        definition=_END
        + "The sum of eod by the number of those days, rounded once to the minor unit, half to even.",
        source="Plaid; Mastercard Open Finance",
        compute=partial(both, _average),
    ),
    Metric(
        id="B7",
        name="negative_days",
        title="Days that ended below zero",
        unit=DAYS,
        definition=_END
        + (
            "The number of those days with eod < 0. The figure of a currency, which names no account, counts the days "
            "on which the sum over its accounts is negative; it is not the sum of the accounts' figures."
        ),
        source="Plaid; Mastercard Open Finance",
        compute=partial(both, _negative_days),
    ),
    Metric(
        id="B8",
        name="negative_episodes",
        title="Runs of days below zero",
        unit=DAYS,
        definition=_END
        + (
            "The longest possible runs of consecutive days with eod < 0, oldest first: `start` and `end` (both "
            "included), `days` and `minimum`, the lowest eod in minor units. A run is cut by the window, and by a day "
            "whose end is not known. An empty list where there is none."
        ),
        source="Plaid; Moneyhub",
        compute=partial(both, _negative_episodes),
    ),
    Metric(
        id="B9",
        name="overdraft_days",
        title="Days in overdraft, arranged and hard",
        unit=DAYS,
        definition=_END
        + (
            "`arranged`: days with -limit <= eod < 0; `hard`: days with eod < -limit. The limit is that of B1, of "
            "today for all days; where it was not given, 0 is assumed and the note `limit_assumed` is true. Of a "
            "currency, the sum of eod against the sum of the limits, without those of accounts that had ended (B3) "
            "before the window."
        ),
        source="Moneyhub; `hard` is Qard's overdraft duration",
        compute=partial(both, _overdraft_days),
    ),
    Metric(
        id="B10",
        name="minimum_balance",
        title="Lowest balance reached",
        unit=MONEY,
        definition=_END + "The smallest eod.",
        source="Algoan; Plaid",
        compute=partial(both, _minimum),
    ),
    Metric(
        id="B11",
        name="days_since_negative",
        title="Days since the balance was last negative",
        unit=DAYS,
        definition=_END
        + (
            "The reference day minus the last of those days with eod < 0: 0 where that is the reference day. "
            "`not_applicable` (`never_negative`) where there is none in the window."
        ),
        source="Plaid",
        compute=partial(both, _days_since_negative),
    ),
    Metric(
        id="B12",
        name="overdraft_utilisation",
        title="Use of the agreed overdraft",
        unit=RATIO,
        definition=_END
        + (
            "Per account alone: the mean of max(0, -eod), by the limit of B1; four decimals, rounded once, half to "
            "even. It exceeds 1 where the limit was. `not_applicable` (`no_limit`) where the limit was not given or "
            "is 0."
        ),
        source="ours",
        compute=partial(each_account, _utilisation),
    ),
    Metric(
        id="B13",
        name="low_balance_days",
        title="Days with little left",
        unit=DAYS,
        definition=_END
        + (
            "The number of those days with 0 <= eod < `threshold`. The threshold is given in hundredths and counts as "
            "that many hundredths of any currency: 10000 is 100.00 euros, and 100 yen."
        ),
        source="Heron; the threshold is that of Plaid's alert",
        parameters={"threshold": LOW_BALANCE},
        compute=partial(both, _low_days),
    ),
    Metric(
        id="B14",
        name="balance_trend",
        title="Trend of the balance",
        unit=MONEY_PER_MONTH,
        definition=_END
        + (
            "The slope of the least-squares line through eod by day, (k sum(xy) - sum(x) sum(y)) / (k sum(x^2) - "
            "sum(x)^2) over k days x with eod y, times 30; exact, rounded once to the minor unit, half to even. No "
            "value (`too_few_days`) of a single day."
        ),
        source="ours; named by Flinks",
        compute=partial(both, _trend),
    ),
    Metric(
        id="B15",
        name="rising_weeks",
        title="Weeks with a higher balance than the week before",
        unit=WEEKS,
        definition=_END
        + (
            "The number of ISO weeks (Monday to Sunday) whose mean eod exceeds that of the week before. A week counts "
            "only if all its seven days are among those days; the note `weeks_compared` tells how many were compared. "
            "No value (`too_few_weeks`) where no two weeks follow each other."
        ),
        source="Mastercard Open Finance",
        compute=partial(both, _rising_weeks),
    ),
)
