"""How often something comes, and when it is due next."""

from __future__ import annotations

from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.insights.cadence import (
    BIMONTHLY,
    BIWEEKLY,
    BOUNDS,
    MONTHLY,
    OTHER,
    QUARTERLY,
    SEMI_ANNUAL,
    SEMI_MONTHLY,
    WEEKLY,
    YEARLY,
    rhythm_of,
)
from domain.insights.figures import median
from domain.transactions import date_of
from tests.domain.insights.books_of import day

START = day("2024-01-03")


def every(gap, times=4, start=START):
    return [start + gap * place for place in range(times)]


@pytest.mark.parametrize(
    ("cadence", "shortest", "longest"),
    [
        (WEEKLY, 6, 8),
        (BIWEEKLY, 13, 16),
        (MONTHLY, 26, 35),
        (BIMONTHLY, 56, 66),
        (QUARTERLY, 84, 98),
        (SEMI_ANNUAL, 175, 190),
        (YEARLY, 350, 380),
    ],
)
def test_the_bounds_of_a_cadence_are_included(cadence, shortest, longest):
    # Two gaps each: more that are equal would be two days of a month.
    for gap, found in ((shortest - 1, OTHER), (shortest, cadence), (longest, cadence), (longest + 1, OTHER)):
        assert rhythm_of(every(gap, 3)).cadence == found


def test_a_gap_of_half_a_day_lies_between():
    # Gaps 35 and 36: their median is 35.5, which is above 35.
    assert rhythm_of([0, 35, 71]) == (OTHER, Fraction(71, 2), 0, (), None, 7)


def test_one_day_has_no_rhythm():
    assert rhythm_of([START]) == (OTHER, None, 0, (), None, 3)


def test_a_month_by_hand():
    """A salary on 28 March, 29 April (Monday), 28 May, 28 June.

    Gaps 32, 29, 31: median 31, MONTHLY, all three within 26-35, so 100. The day of the month nearest to all is 28
    (distances 0, 1, 0, 0). Expected 28 June + 31 = 29 July, moved to the nearest 28th: 28 July. 20 % of 31 is 6.2,
    rounded 6.
    """
    days = [day(text) for text in ("2024-03-28", "2024-04-29", "2024-05-28", "2024-06-28")]
    assert rhythm_of(days) == (MONTHLY, Fraction(31), 100, (28,), day("2024-07-28"), 6)


def test_a_due_day_that_a_month_has_not():
    """On the last day of January, March (31) and, as February has no 31st, on 29 February 2024: due on 31, so next on
    30 April. Gaps 29 and 31: median 30; 31 March + 30 is 30 April; the nearest due day is the 30th, its last."""
    days = [day(text) for text in ("2024-01-31", "2024-02-29", "2024-03-31")]
    rhythm = rhythm_of(days)
    assert (rhythm.due_days, date_of(rhythm.next_expected)) == ((31,), date(2024, 4, 30))


def test_the_end_of_a_month_is_beside_the_begin_of_the_next():
    # 1 July, 31 July, 30 August, 1 October, 31 October: nearest to all is 31 (1+0+1+1+0), not the mean of 18.8.
    days = [day(text) for text in ("2024-07-01", "2024-07-31", "2024-08-30", "2024-10-01", "2024-10-31")]
    assert rhythm_of(days).due_days == (31,)


def test_two_days_of_a_month():
    """On the 5th and the 20th, moved from weekends: 5 Jan, 22 Jan, 5 Feb, 20 Feb, 5 March, 20 March.

    Gaps 17, 14, 15, 14, 15: median 15. The next is 20 March + 15 = 4 April, and the nearest due day the 5th.
    """
    texts = ("2024-01-05", "2024-01-22", "2024-02-05", "2024-02-20", "2024-03-05", "2024-03-20")
    rhythm = rhythm_of([day(text) for text in texts])
    assert rhythm == (SEMI_MONTHLY, Fraction(15), 100, (5, 20), day("2024-04-05"), 3)


def test_every_second_week_is_not_two_days_of_a_month():
    rhythm = rhythm_of(every(14, 8))
    assert (rhythm.cadence, rhythm.regularity, rhythm.due_days) == (BIWEEKLY, 100, ())
    assert rhythm.next_expected == START + 8 * 14


def test_four_weeks_of_every_second_week_are_not_either():
    """5 and 19 January, 2 and 16 February: three days off at most, and yet always a Friday."""
    rhythm = rhythm_of(every(14, 4, day("2024-01-05")))
    assert (rhythm.cadence, rhythm.due_days) == (BIWEEKLY, ())


def test_two_days_that_are_moved_by_four_days_both_ways():
    texts = ("2024-01-01", "2024-01-17", "2024-02-05", "2024-02-21", "2024-03-09", "2024-03-25")
    rhythm = rhythm_of([day(text) for text in texts])
    assert (rhythm.cadence, rhythm.due_days) == (SEMI_MONTHLY, (5, 21))


def test_days_that_wander_together_are_moved_from_no_two_days():
    """The first ones, 1 Jan to 10 April, lie nine days apart, which no due day is within four days of."""
    texts = ("2024-01-01", "2024-01-17", "2024-02-03", "2024-02-19", "2024-03-06", "2024-03-20", "2024-04-10")
    rhythm = rhythm_of([day(text) for text in texts])
    assert (rhythm.cadence, rhythm.due_days) == (BIWEEKLY, ())


@given(st.lists(st.integers(0, 400), min_size=1, max_size=9))
def test_the_median_gap_lies_within_the_bounds_of_the_cadence(gaps):
    rhythm = rhythm_of([START + sum(gaps[:place]) for place in range(len(gaps) + 1)])
    fitting = {name for name, (shortest, longest) in BOUNDS.items() if shortest <= rhythm.gap <= longest}
    assert rhythm.gap == median(gaps)
    # What comes twice a month must take turns besides.
    assert rhythm.cadence in (fitting - {SEMI_MONTHLY} or {OTHER}) | (fitting & {SEMI_MONTHLY})


def test_regularity_is_the_share_of_gaps_within_bounds():
    # Gaps 31, 60, 31, 30, 31, 30: the median is 31; 5 of 6 lie within 26-35; 83.33 is 83.
    days = [0, 31, 91, 122, 152, 183, 213]
    assert rhythm_of(days).regularity == 83


@given(
    st.integers(1, 28),
    st.integers(3, 24),
    st.lists(st.integers(-1, 2), min_size=24, max_size=24),
)
def test_what_is_due_on_a_day_of_the_month_is_monthly_and_expected_near_it(due, times, moved):
    first = date(2023, 1, 1)
    months = [date(first.year + place // 12, place % 12 + 1, due) for place in range(times + 1)]
    days = [day((one + timedelta(moved[place])).isoformat()) for place, one in enumerate(months[:-1])]
    rhythm = rhythm_of(days)
    assert rhythm.cadence == MONTHLY
    assert abs(rhythm.next_expected - day(months[-1].isoformat())) <= 3


@given(st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_what_is_expected_lies_ahead(gaps):
    days = [START]
    for gap in gaps:
        days.append(days[-1] + gap)
    rhythm = rhythm_of(days)
    assert rhythm.next_expected is None or rhythm.next_expected > days[-1]
    assert 0 <= rhythm.regularity <= 100
    assert rhythm.tolerance >= 3
