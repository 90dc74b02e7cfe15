"""What an account had at the end of each day: walked from its readings, day by day, over its booked rows.

A reading is a waypoint: the end of its day is what was read, and the rows of that day that were recorded after it.
Before a waypoint the walk goes back: a day's end less the day's rows is the end of the day before. It goes back until
the waypoint before it, which it starts again from. After the last waypoint it goes forward.

A step over a day takes all rows of that day: over one that is not covered, that has a row without an amount, or that
lies before the books begin there is none, and what lies behind it is not known until the next waypoint.

Source: balances over time as Plaid's asset reports walk them, waypoints as Sure has them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from domain.insights.books import Account, Row
from domain.insights.coverage import end_of


class Drift(NamedTuple):
    day: int
    amount: int
    """What was read, less what is walked back to from the next reading."""


class EndOfDay(NamedTuple):
    """By day from `first` on what there was at its end; None where it is not known."""

    first: int = 0
    balances: Sequence[int | None] = ()
    drifts: tuple[Drift, ...] = ()
    """One for each reading that can be walked back to from the next one, oldest first."""
    end: int | None = None
    """The last day of an account that is gone at its bank: with others it counts no later. None of one that goes on."""

    def on(self, day: int) -> int | None:
        place = day - self.first
        return self.balances[place] if 0 <= place < len(self.balances) else None

    def known(self, first: int, last: int) -> tuple[list[int], list[int]]:
        """The days of a range whose end is known, both ends included, and what there was."""
        begin = max(first - self.first, 0)
        within = self.balances[begin : max(last - self.first + 1, 0)]
        if None not in within:
            return list(range(self.first + begin, self.first + begin + len(within))), list(within)
        found = [(day, held) for day, held in enumerate(within, self.first + begin) if held is not None]
        return [day for day, _ in found], [held for _, held in found]


def rows_between(account: Account, first: int, last: int) -> tuple[Row, ...]:
    """The rows that were booked on these days, both included."""
    begin = bisect_left(account.rows, first, key=_day)
    return account.rows[begin : bisect_right(account.rows, last, lo=begin, key=_day)]


def _day(row: Row) -> int:
    return row.day


def end_of_day(account: Account, *, as_of: int, since: int) -> EndOfDay:
    """An account's days up to the reference day, those alone that are covered; rows before `since` are not held."""
    end = end_of(account)
    if not account.readings or not account.covered:
        return EndOfDay(end=end)
    first = max(min(account.covered[0][0], account.readings[0].day), since - 1)
    last = max(account.covered[-1][1], account.readings[-1].day)
    if account.readings[-1].day < first:
        # The rows between it and the first one that is held are not.
        return EndOfDay(end=end)
    booked = _booked(account)
    covered = _covered(account, first, last)
    complete = _complete(account, covered, first)
    waypoints = _waypoints(account)
    balances: list[int | None] = [None] * (last - first + 1)
    drifts: list[Drift] = []

    newest = account.readings[-1].day
    held: int | None = None
    for day in range(newest, first - 1, -1):
        if day in waypoints:
            read = waypoints[day]
            if held is not None:
                drifts.append(Drift(day, read - held))
            held = read
        if held is not None:
            balances[day - first] = held
            held = held - booked.get(day, 0) if complete[day - first] else None
    held = waypoints[newest]
    for day in range(newest + 1, min(last, as_of) + 1):
        if not complete[day - first]:
            break
        held += booked.get(day, 0)
        balances[day - first] = held

    shown = balances[: max(as_of - first + 1, 0)]
    if 0 in covered:
        shown = [held if counts else None for held, counts in zip(shown, covered, strict=False)]
    return EndOfDay(first, shown, tuple(reversed(drifts)), end)


def together(parts: Sequence[EndOfDay]) -> EndOfDay:
    """The sum of several accounts, on the days on which all of them are known that had not ended."""
    going_on = [part for part in parts if part.end is None]
    shown = [part for part in parts if part.balances]
    if not shown or not all(part.balances for part in going_on):
        return EndOfDay()
    first = max((part.first for part in going_on), default=min(part.first for part in shown))
    last = min((_last(part) for part in going_on), default=max(part.end or 0 for part in parts))
    columns = [_column(part, first, last) for part in parts if part.end is None or part.end >= first]
    return EndOfDay(first, [None if None in day else sum(day) for day in zip(*columns, strict=True)])


def _last(part: EndOfDay) -> int:
    return part.first + len(part.balances) - 1


def _column(part: EndOfDay, first: int, last: int) -> Sequence[int | None]:
    """What an account adds on each day from one to another: nothing after its end. One that goes on has all of them."""
    if part.end is None:
        return part.balances[first - part.first : max(last - part.first + 1, 0)]
    return [0 if day > part.end else part.on(day) for day in range(first, last + 1)]


def _booked(account: Account) -> dict[int, int]:
    """By day the sum of its rows."""
    found: dict[int, int] = {}
    for row in account.rows:
        found[row.day] = found.get(row.day, 0) + row.amount
    return found


def _waypoints(account: Account) -> dict[int, int]:
    """By day of a reading what there was at its end."""
    found: dict[int, int] = {}
    for reading in account.readings:
        later = sum(
            row.amount
            for row in rows_between(account, reading.day, reading.day)
            if row.seen_at > reading.recorded_at
        )
        found[reading.day] = reading.balance + later
    return found


def _covered(account: Account, first: int, last: int) -> bytearray:
    """By day from `first` on whether it is covered."""
    marks = bytearray(last - first + 1)
    for begin, end in account.covered:
        begin, end = max(begin, first), min(end, last)
        if begin <= end:
            marks[begin - first : end - first + 1] = b"\x01" * (end - begin + 1)
    return marks


def _complete(account: Account, covered: bytearray, first: int) -> bytearray:
    """By day from `first` on whether all its rows are held, each with an amount."""
    marks = bytearray(covered)
    for day in account.unknown_days:
        if 0 <= day - first < len(marks):
            marks[day - first] = 0
    return marks
