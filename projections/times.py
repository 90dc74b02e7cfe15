"""Moments and civil days as whole numbers, and back to text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from domain.transactions import date_of

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MICROS_PER_DAY = 86_400_000_000

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
