"""Their dates and times.

Facts about Powens, written down here and nowhere else:

* A civil date (`date`, `rdate`, `vdate`) has no zone. It is never shifted.
* A time of theirs (`last_update`, `access_expire`, ...) is `YYYY-MM-DD HH:MM:SS`, carries no offset, and
  means Europe/Paris. Some carry an offset all the same, or a `T`: then that stands.
* The hour that Paris lives twice each October is ambiguous. It is read as the first of the two, so that
  a reading or a watermark is an hour too early at worst, and nothing is missed by it.
* The hour that Paris skips each March does not exist. A time in it is read with the offset from before
  the change, which is what a clock shows that was not put forward.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from domain.transactions import date_of, day_of

PARIS = ZoneInfo("Europe/Paris")

_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})[ T](\d{2}:\d{2}:\d{2})(\.\d{1,6})?\d* ?(?:(Z)|([+-]\d{2}):?(\d{2}))?", re.ASCII
)
_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})(?:[ T]00:00:00)?", re.ASCII)


def to_utc(text: str) -> datetime:
    """Read a time of theirs.

    Raises:
        ValueError: it is none.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError("not a time")
    day, clock, fraction, zulu, hours, minutes = found.groups()
    time = datetime.fromisoformat(f"{day} {clock}")
    if fraction:
        time = time.replace(microsecond=int(fraction[1:].ljust(6, "0")))
    if zulu:
        return time.replace(tzinfo=UTC)
    try:
        if hours:
            return datetime.fromisoformat(f"{time.isoformat()}{hours}:{minutes}").astimezone(UTC)
        return time.replace(tzinfo=PARIS, fold=0).astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside the calendar") from None


def to_paris(time: datetime) -> str:
    """Write a time as their query parameters take it. `time` must know its zone.

    The hour that Paris lives twice is written without saying which; whoever reads increments overlaps
    them by more than that.
    """
    if time.tzinfo is None:
        raise ValueError("a time without a zone")
    return time.astimezone(PARIS).replace(tzinfo=None).isoformat(" ", "seconds")


def from_day(day: int) -> str:
    """Write days since 1970-01-01 as a civil date of theirs."""
    return date_of(day).isoformat()


def to_day(text: str) -> int:
    """Read a civil date of theirs as days since 1970-01-01.

    Raises:
        ValueError: it is none.
    """
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError("not a date")
    return day_of(date.fromisoformat(found[1]))
