"""Months and windows. A month is counted from year 0: 2024-03 is 2024 * 12 + 2."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from domain.insights.figures import Window
from domain.transactions import date_of, day_of

#: January of year 1: the calendar has no month before it.
MONTH_MIN = 12
#: Of a hundred years.
_MONTHS_KEPT = 1_200


@lru_cache(maxsize=16_384)
def month_of(day: int) -> int:
    civil = date_of(day)
    return civil.year * 12 + civil.month - 1


@lru_cache(maxsize=_MONTHS_KEPT)
def first_day(month: int) -> int:
    return day_of(date(month // 12, month % 12 + 1, 1))


@lru_cache(maxsize=_MONTHS_KEPT)
def last_day(month: int) -> int:
    return first_day(month) + monthrange(month // 12, month % 12 + 1)[1] - 1


@lru_cache(maxsize=_MONTHS_KEPT)
def month_text(month: int) -> str:
    """`YYYY-MM`."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


class Month(NamedTuple):
    """The part of a calendar month that lies in a window."""

    month: int
    first: int
    last: int
    whole: bool
    """The window holds all its days."""


def months_in(window: Window) -> Iterator[Month]:
    """The months that a window touches, oldest first."""
    for month in range(month_of(window.first), month_of(window.last) + 1):
        first, last = first_day(month), last_day(month)
        within = first >= window.first and last <= window.last
        yield Month(month, max(first, window.first), min(last, window.last), within)


@lru_cache(maxsize=1_024)
def window_of(name: str, as_of: int) -> Window:
    """A window by its name: `90d` is the last 90 days up to the reference day, `6m` the six whole months before its
    month, `current_month` its month up to it.

    Raises:
        ValueError: there is no such window.
    """
    if name == "current_month":
        return Window(first_day(month_of(as_of)), as_of, name)
    unit, number = name[-1:], name[:-1]
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= 3_660):
        raise ValueError("no such window")
    if unit == "d":
        return Window(as_of - int(number) + 1, as_of, name)
    if unit == "m" and int(number) <= 120:
        month = month_of(as_of)
        return Window(first_day(max(month - int(number), MONTH_MIN)), first_day(month) - 1, name)
    raise ValueError("no such window")
