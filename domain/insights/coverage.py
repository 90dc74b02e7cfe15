"""Which days the rows of several accounts are known for, together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from domain.insights.books import Account

Range = tuple[int, int]
"""The first day and the last, both included."""


def covered_together(accounts: Iterable[Account], since: int) -> tuple[Range, ...]:
    """The days on which at least one account is covered, and none that had begun is not, as ranges.

    An account begins with its first covered day. No day before `since` is covered: its rows are not held.
    """
    covered = [account.covered for account in accounts if account.covered]
    if not covered:
        return ()
    # Between two of these days nothing changes.
    edges = sorted({edge for ranges in covered for first, last in ranges for edge in (first, last + 1)})
    found: list[Range] = []
    for day, following in zip(edges, edges[1:], strict=False):
        begun = [ranges for ranges in covered if ranges[0][0] <= day]
        if all(any(first <= day <= last for first, last in ranges) for ranges in begun):
            if found and found[-1][1] == day - 1:
                found[-1] = (found[-1][0], following - 1)
            else:
                found.append((day, following - 1))
    return tuple((max(first, since), last) for first, last in found if last >= since)


def days_in(ranges: Iterable[Range], first: int, last: int) -> int:
    """How many days of these ranges lie between two days, both included."""
    spans = ((max(begin, first), min(end, last)) for begin, end in ranges)
    return sum(end - begin + 1 for begin, end in spans if begin <= end)


def clipped(ranges: Iterable[Range], first: int, last: int) -> list[Range]:
    """What of these ranges lies between two days, both included."""
    spans = ((max(begin, first), min(end, last)) for begin, end in ranges)
    return [(begin, end) for begin, end in spans if begin <= end]


def uncovered(ranges: Sequence[Range], first: int, last: int) -> list[Range]:
    """The days between two days, both included, that are in none of these ranges."""
    found: list[Range] = []
    for begin, end in clipped(ranges, first, last):
        if begin > first:
            found.append((first, begin - 1))
        first = end + 1
    return [*found, (first, last)] if first <= last else found
