"""Cadence: how often something comes, how regularly, on which days of the month, and when it is due next."""

from __future__ import annotations

from calendar import monthrange
from collections import Counter
from collections.abc import Sequence
from datetime import date
from fractions import Fraction
from typing import NamedTuple

from domain.insights.figures import median, rounded
from domain.transactions import date_of, day_of

# Cadences.
WEEKLY, BIWEEKLY, SEMI_MONTHLY, MONTHLY = "WEEKLY", "BIWEEKLY", "SEMI_MONTHLY", "MONTHLY"
BIMONTHLY, QUARTERLY, SEMI_ANNUAL, YEARLY, OTHER = "BIMONTHLY", "QUARTERLY", "SEMI_ANNUAL", "YEARLY", "OTHER"

#: The bounds of the median gap in days, both included; the gaps of a semi-monthly one are those of two fixed days.
BOUNDS: dict[str, tuple[int, int]] = {
    WEEKLY: (6, 8),
    BIWEEKLY: (13, 16),
    SEMI_MONTHLY: (10, 21),
    MONTHLY: (26, 35),
    BIMONTHLY: (56, 66),
    QUARTERLY: (84, 98),
    SEMI_ANNUAL: (175, 190),
    YEARLY: (350, 380),
}
#: What comes once a month or less often has one due day; semi-monthly has two.
_ONCE = frozenset({MONTHLY, BIMONTHLY, QUARTERLY, SEMI_ANNUAL, YEARLY})

#: A fixed day of the month moves by so many days at most, to the next working day or the one before.
DAYS_MOVED_MAX = 4
#: Two fixed days of a month are at least so far apart.
DAYS_APART_MIN = 9
#: Rows below these cannot tell two days of a month from every second week.
SEMI_MONTHLY_ROWS_MIN = 4
TOLERANCE_MIN = 3
#: Of the gap.
TOLERANCE_SHARE = Fraction(1, 5)
_MONTH_DAYS = 31


class Rhythm(NamedTuple):
    """How the days of a stream follow each other."""

    cadence: str
    gap: Fraction | None
    """The median gap in days; None of a single day."""
    regularity: int
    """The share of gaps within the cadence's bounds, 0 to 100, rounded half to even; 0 of `OTHER`."""
    due_days: tuple[int, ...]
    """Days of the month, ascending; empty where a cadence has none."""
    next_expected: int | None
    """None where the cadence is `OTHER`."""
    tolerance: int


def rhythm_of(days: Sequence[int]) -> Rhythm:
    """The rhythm of days in ascending order; a day that stands there twice is a gap of 0."""
    gaps = [later - day for day, later in zip(days, days[1:], strict=False)]
    gap = median(gaps)
    if gap is None:
        return Rhythm(OTHER, None, 0, (), None, TOLERANCE_MIN)
    tolerance = max(TOLERANCE_MIN, rounded(gap * TOLERANCE_SHARE))
    pair = _two_days(days, gaps) if _lies(gap, SEMI_MONTHLY) else None
    cadence = SEMI_MONTHLY if pair else _cadence_of(gap)
    if cadence == OTHER:
        return Rhythm(OTHER, gap, 0, (), None, tolerance)
    within = sum(1 for one in gaps if _lies(one, cadence))
    due_days = pair or ((_due_day(days),) if cadence in _ONCE else ())
    return Rhythm(
        cadence,
        gap,
        rounded(Fraction(100 * within, len(gaps))),
        due_days,
        next_after(days[-1], gap, due_days),
        tolerance,
    )


def next_after(day: int, gap: Fraction, due_days: Sequence[int]) -> int:
    """A day and a gap later, moved to the nearest due day."""
    expected = day + rounded(gap)
    if not due_days:
        return expected
    civil = date_of(expected)
    months = [civil.year * 12 + civil.month - 1 + step for step in (-1, 0, 1)]
    due = [_day_in(month, due_day) for month in months for due_day in due_days]
    return min((day for day in due if day > expected - gap), key=lambda day: (abs(day - expected), day))


def _cadence_of(gap: Fraction) -> str:
    return next((name for name in BOUNDS if name != SEMI_MONTHLY and _lies(gap, name)), OTHER)


def _lies(gap: Fraction | int, cadence: str) -> bool:
    shortest, longest = BOUNDS[cadence]
    return shortest <= gap <= longest


def _day_in(month: int, due_day: int) -> int:
    """The due day of a month; its last day where it has no such day."""
    year, index = divmod(month, 12)
    return day_of(date(year, index + 1, min(due_day, monthrange(year, index + 1)[1])))


def _due_day(days: Sequence[int]) -> int:
    """The day of the month that all are nearest to; of several the most frequent, then the first.

    The last day of a month is beside the first of the next: what is due then may come on either.
    """
    counts = Counter(date_of(day).day for day in days)
    far = {day: sum(_apart(day, other) * n for other, n in counts.items()) for day in counts}
    return min(counts, key=lambda day: (far[day], -counts[day], day))


def _apart(one: int, other: int) -> int:
    direct = abs(one - other)
    return min(direct, _MONTH_DAYS - direct)


def _two_days(days: Sequence[int], gaps: Sequence[int]) -> tuple[int, ...] | None:
    """Two days of the month that all others are moved from; None where there are none.

    What comes every second week keeps its day of the week, and its day of the month wanders.
    """
    if len(days) < SEMI_MONTHLY_ROWS_MIN or 2 * sum(1 for gap in gaps if gap == 14) > len(gaps):
        return None
    # They take turns.
    odd, even = _due_day(days[::2]), _due_day(days[1::2])
    if _apart(odd, even) < DAYS_APART_MIN:
        return None
    for place, day in enumerate(days):
        if _apart(date_of(day).day, even if place % 2 else odd) > DAYS_MOVED_MAX:
            return None
    return tuple(sorted((odd, even)))
