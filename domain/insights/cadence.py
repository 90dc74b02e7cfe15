"""Cadence: how often something comes, how regularly, on which days of the month, and when it is due next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import NamedTuple

from domain.insights.figures import rounded
from domain.insights.months import first_day, last_day, month_of

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
#: How far a day of the month is from another, the last one being beside the first; no day is the 0th.
_APART = [
    [min(abs(one - other), _MONTH_DAYS - abs(one - other)) for other in range(_MONTH_DAYS + 1)]
    for one in range(_MONTH_DAYS + 1)
]
#: Twice the median gap, which is a whole number, where two fixed days of the month may take turns.
_SEMI_MONTHLY_TWICE = range(2 * BOUNDS[SEMI_MONTHLY][0], 2 * BOUNDS[SEMI_MONTHLY][1] + 1)
#: Else by twice the median gap the cadence within whose bounds it lies.
_CADENCES = {
    twice: cadence
    for cadence, (shortest, longest) in BOUNDS.items()
    if cadence != SEMI_MONTHLY
    for twice in range(2 * shortest, 2 * longest + 1)
}


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
    if not gaps:
        return Rhythm(OTHER, None, 0, (), None, TOLERANCE_MIN)
    ordered = sorted(gaps)
    twice = ordered[(len(gaps) - 1) // 2] + ordered[len(gaps) // 2]
    gap, tolerance = _gap_and_tolerance(twice)
    pair = _two_days(days, gaps) if twice in _SEMI_MONTHLY_TWICE else None
    cadence = SEMI_MONTHLY if pair else _CADENCES.get(twice, OTHER)
    if cadence == OTHER:
        return Rhythm(OTHER, gap, 0, (), None, tolerance)
    shortest, longest = BOUNDS[cadence]
    within = sum(1 for one in gaps if shortest <= one <= longest)
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
    months = [month_of(expected) + step for step in (-1, 0, 1)]
    due = [_day_in(month, due_day) for month in months for due_day in due_days]
    last_too_early = expected - ceil(gap)
    return min((day for day in due if day > last_too_early), key=lambda day: (abs(day - expected), day))


@lru_cache(maxsize=1_024)
def _gap_and_tolerance(twice: int) -> tuple[Fraction, int]:
    gap = Fraction(twice, 2)
    return gap, max(TOLERANCE_MIN, rounded(gap * TOLERANCE_SHARE))


def _day_in(month: int, due_day: int) -> int:
    """The due day of a month; its last day where it has no such day."""
    return min(first_day(month) + due_day - 1, last_day(month))


@lru_cache(maxsize=16_384)
def _day_of_month(day: int) -> int:
    return day - first_day(month_of(day)) + 1


def _due_day(days: Sequence[int]) -> int:
    """The day of the month that all are nearest to; of several the most frequent, then the first.

    The last day of a month is beside the first of the next: what is due then may come on either.
    """
    counts = Counter(map(_day_of_month, days))
    far = {day: sum(_APART[day][other] * n for other, n in counts.items()) for day in counts}
    return min(counts, key=lambda day: (far[day], -counts[day], day))


def _two_days(days: Sequence[int], gaps: Sequence[int]) -> tuple[int, ...] | None:
    """Two days of the month that all others are moved from; None where there are none.

    What comes every second week keeps its day of the week, and its day of the month wanders.
    """
    if len(days) < SEMI_MONTHLY_ROWS_MIN or 2 * sum(1 for gap in gaps if gap == 14) > len(gaps):
        return None
    # They take turns.
    turns = days[::2], days[1::2]
    # What wanders is soon seen to: two days that are moved from one are apart by as much as both at most.
    if any(_farthest(some, _day_of_month(some[0])) > 2 * DAYS_MOVED_MAX for some in turns):
        return None
    odd, even = map(_due_day, turns)
    if _APART[odd][even] < DAYS_APART_MIN:
        return None
    if max(_farthest(turns[0], odd), _farthest(turns[1], even)) > DAYS_MOVED_MAX:
        return None
    return tuple(sorted((odd, even)))


def _farthest(days: Sequence[int], due_day: int) -> int:
    """How far the one that is moved most is from a day of the month."""
    apart = _APART[due_day]
    return max(apart[_day_of_month(day)] for day in days)
