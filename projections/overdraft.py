"""Days in hard overdraft: those that ended below the agreed limit.

They are counted over the whole history, month by month: of a month that can't have crossed the limit only its
sums are looked at, of another its days.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from projections.accounts import Account
from projections.cashflow import Day, Month, days_of, net_of
from projections.times import first_day, month_of, utc_day


class History(NamedTuple):
    """An account with the months in which something was booked, oldest first."""

    account: Account
    months: Sequence[Month]

    @property
    def last_day(self) -> int | None:
        """The day of the last reading, or of the last booked row if that is later."""
        read = () if self.account.as_of is None else (utc_day(self.account.as_of),)
        booked = (days_of(self.months[-1])[-1].day,) if self.months else ()
        return max((*read, *booked), default=None)


def hard_overdraft_days(history: History) -> int:
    """How many days of an account ended below minus its limit; a limit that is not known is 0.

    The days are those from the first booked row to the last day. The reading is the balance at the end of its
    day. A day's end is the reading less what was booked after that day and up to the reading, or plus what was
    booked after the reading and up to that day.
    """
    account, months = history
    floor = -(account.limit or 0)
    balance = account.balance - _net_until(utc_day(account.as_of), months)
    starts = [days_of(months[0])[0].day, *(first_day(month.month) for month in months[1:])]
    count = 0
    for month, (start, end) in zip(months, pairwise((*starts, history.last_day + 1)), strict=True):
        if balance + int(month.income) < floor:
            count += end - start
        elif balance + int(month.expense) < floor:
            count += _days_below(floor, balance, days_of(month), start, end)
        balance += net_of(month)
    return count


def _net_until(day: int, months: Iterable[Month]) -> int:
    """What was booked up to the end of a day."""
    of_day = month_of(day)
    before = sum(net_of(month) for month in months if month.month < of_day)
    within = (booked for month in months if month.month == of_day for booked in days_of(month))
    return before + sum(booked.net for booked in within if booked.day <= day)


def _days_below(floor: int, balance: int, days: Iterable[Day], start: int, end: int) -> int:
    """How many days of [start, end) end below the floor; the balance is that before the first of them."""
    count = 0
    for (day, net, _), (until, _, _) in pairwise((Day(start, 0, 0), *days, Day(end, 0, 0))):
        balance += net
        if balance < floor:
            count += until - day
    return count
