"""The simulator's only source of time: real, shifted, or standing still until it is moved."""

import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

PARIS = ZoneInfo("Europe/Paris")
# Far enough from the ends of the calendar for every consent and schedule to fit in.
FIRST_YEAR, LAST_YEAR = 1900, 2200


class Clock:
    """A clock given `start` stands still there; without one it follows the machine's.

    Either can be advanced, so that a test lives through weeks in a second.
    """

    def __init__(self, start: datetime | None = None) -> None:
        self._stands_at = None if start is None else in_utc(start)
        self._ahead = timedelta()

    @property
    def runs(self) -> bool:
        return self._stands_at is None

    def now(self) -> datetime:
        """Return the moment in UTC."""
        if self._stands_at is not None:
            return self._stands_at
        return datetime.fromtimestamp(time.time(), UTC) + self._ahead

    def today(self) -> date:
        """Return the civil day in Paris, where this bank lives."""
        return self.now().astimezone(PARIS).date()

    def stand_at(self, moment: datetime) -> None:
        self._stands_at = in_utc(moment)

    def follow_the_machine(self) -> None:
        self._stands_at = None
        self._ahead = timedelta()

    def advance(self, by: timedelta) -> None:
        """Move the clock, backwards too.

        Raises:
            ValueError, OverflowError: that is no moment of this clock.
        """
        moved = in_utc(self.now() + by)
        if self._stands_at is None:
            self._ahead += by
        else:
            self._stands_at = moved


def in_utc(moment: datetime) -> datetime:
    """Read a moment without an offset as Paris time, like every time of this protocol.

    Raises:
        ValueError: it lies before FIRST_YEAR or after LAST_YEAR.
    """
    if not FIRST_YEAR <= moment.year <= LAST_YEAR:
        raise ValueError(f"The clock knows the years {FIRST_YEAR} to {LAST_YEAR}.")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=PARIS)
    return moment.astimezone(UTC)


def paris_text(moment: datetime) -> str:
    """Write a moment the way the protocol does: naive, to the second, meaning Paris."""
    return moment.astimezone(PARIS).replace(tzinfo=None).isoformat(" ", "seconds")
