"""Which days the rows of several accounts are known for, together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.consumer_account import DELETED_AT_BANK, NOT_SHOWN
from domain.insights.books import Account

Range = tuple[int, int]
"""The first day and the last, both included."""

#: Why an account is closed whose bank has nothing more to tell of it.
GONE_AT_BANK = frozenset({DELETED_AT_BANK, NOT_SHOWN})
#: The end of an account of which no day was ever covered.
BEFORE_ALL_DAYS = -1


def end_of(account: Account) -> int | None:
    """The last covered day of an account that is gone at its bank, and is read no more; None of one that goes on."""
    if account.closed not in GONE_AT_BANK:
        return None
    return account.covered[-1][1] if account.covered else BEFORE_ALL_DAYS


def covered_together(accounts: Iterable[Account], since: int) -> tuple[Range, ...]:
    """The days on which at least one account is covered, and none is not that had begun and not ended, as ranges.

    An account begins with its first covered day; one that is gone at its bank ends with its last. No day before `since`
    is covered: its rows are not held.
    """
    covered = [(account.covered, end_of(account)) for account in accounts if account.covered]
    # Between two of these days nothing changes.
    edges = sorted({edge for ranges, _ in covered for first, last in ranges for edge in (first, last + 1)})
    found: list[Range] = []
    for day, following in zip(edges, edges[1:], strict=False):
        there = [ranges for ranges, end in covered if ranges[0][0] <= day and (end is None or day <= end)]
        if there and all(any(first <= day <= last for first, last in ranges) for ranges in there):
            if found and found[-1][1] == day - 1:
                found[-1] = (found[-1][0], following - 1)
            else:
                found.append((day, following - 1))
    return tuple((max(first, since), last) for first, last in found if last >= since)


def days_in(ranges: Iterable[Range], first: int, last: int) -> int:
    """How many days of these ranges lie between two days, both included."""
    return sum(max(0, min(end, last) - max(begin, first) + 1) for begin, end in ranges)


def clipped(ranges: Iterable[Range], first: int, last: int) -> list[Range]:
    """What of these ranges lies between two days, both included."""
    if first > last:
        return []
    return [(max(begin, first), min(end, last)) for begin, end in ranges if begin <= last and first <= end]


def uncovered(ranges: Sequence[Range], first: int, last: int) -> list[Range]:
    """The days between two days, both included, that are in none of these ranges."""
    found: list[Range] = []
    for begin, end in clipped(ranges, first, last):
        if begin > first:
            found.append((first, begin - 1))
        first = end + 1
    return [*found, (first, last)] if first <= last else found
