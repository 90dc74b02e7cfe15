"""Moments, civil days and months as whole numbers, and back to text."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from domain.transactions import date_of, day_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MICROS_PER_DAY = 86_400_000_000
#: January of year 1: the calendar has no month before it.
MONTH_MIN = 12

# A column of days repeats itself; ten years have some 3,650 of them.
_DAYS_MAX = 16_384


def micros(moment: datetime) -> int:
    """A moment as microseconds since 1970 in UTC."""
    return (moment - EPOCH) // MICROSECOND


def moment(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def utc_day(micros: int) -> int:
    """The UTC day of a moment, as days since 1970-01-01."""
    return micros // MICROS_PER_DAY


@lru_cache(maxsize=_DAYS_MAX)
def day_text(day: int) -> str:
    """`YYYY-MM-DD`."""
    return date_of(day).isoformat()


@lru_cache(maxsize=_DAYS_MAX)
def month_of(day: int) -> int:
    """The month of a civil day, counted from year 0: 2024-03 is 2024 * 12 + 2."""
    civil = date_of(day)
    return civil.year * 12 + civil.month - 1


def month_text(month: int) -> str:
    """`YYYY-MM`."""
    return f"{month // 12:04d}-{month % 12 + 1:02d}"


def first_day(month: int) -> int:
    return day_of(date(month // 12, month % 12 + 1, 1))


def last_day(month: int) -> int:
    return first_day(month) + monthrange(month // 12, month % 12 + 1)[1] - 1
