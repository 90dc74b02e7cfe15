"""Transactions grouped by category and direction, for all days of a window or for each of its months.

A transaction of several categories counts in each of them; of its main category alone, where that is asked for: then
the sums of all groups are the sum of all transactions. One without an amount counts in none.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any, NamedTuple

from domain.categories.tree import Category
from domain.insights.figures import Window, rounded
from domain.transactions import date_of, day_of
from projections.answers import Amount
from projections.reports.listing import (
    AMOUNT,
    AMOUNT_WITH_TYPE,
    CATEGORY,
    DEBIT,
    Entry,
    Filters,
    Order,
    sort_by,
)
from projections.reports.selection import days_of
from projections.reports.shapes import CategoryFigures, CategoryPeriod, ExpenseCategory, ExpensePeriod


class Group(NamedTuple):
    """Amounts have no sign."""

    category: Category
    type: str
    amounts: Sequence[int]

    @property
    def sum(self) -> int:
        return sum(self.amounts)


_KEYS: Mapping[str, Any] = {
    AMOUNT: lambda group: group.sum,
    AMOUNT_WITH_TYPE: lambda group: -group.sum if group.type == DEBIT else group.sum,
    CATEGORY: lambda group: group.category.name,
}


def groups(entries: Iterable[Entry], filters: Filters, orders: Sequence[Order] = ()) -> list[Group]:
    """The groups of rows that are listed: where categories are asked for, of these alone. The largest sum first,
    unless they are put in order by `orders`."""
    amounts: dict[tuple[Category, str], list[int]] = {}
    for entry in entries:
        if entry.amount is None:
            continue
        for category in entry.categories:
            if not filters.categories or category.id in filters.categories:
                amounts.setdefault((category, entry.type), []).append(abs(entry.amount))
    found = [Group(category, type, held) for (category, type), held in amounts.items()]
    found.sort(key=lambda group: (-group.sum, group.category.name, group.type, group.category.id))
    return sort_by(found, orders, _KEYS)


def periods(window: Window, month_starts_on: int | None) -> list[Window]:
    """The window as it is, or cut into months that begin on a day of the month: on its last where it has no such day.
    What of the first and the last month is not in the window is not in them."""
    if month_starts_on is None:
        return [window]
    starts = [day for day in _month_starts(window, month_starts_on) if window.first < day <= window.last]
    edges = [window.first, *starts, window.last + 1]
    return [Window(first, after - 1) for first, after in zip(edges, edges[1:], strict=False)]


def _month_starts(window: Window, starts_on: int) -> Iterator[int]:
    first, last = date_of(window.first), date_of(window.last)
    for month in range(first.year * 12 + first.month - 1, last.year * 12 + last.month):
        year, index = divmod(month, 12)
        yield day_of(date(year, index + 1, min(starts_on, monthrange(year, index + 1)[1])))


def within(entries: Iterable[Entry], period: Window) -> Iterator[Entry]:
    return (entry for entry in entries if period.holds(entry.booked_on))


# Answers


def category_period(period: Window, found: Iterable[Group], currency: str) -> CategoryPeriod:
    return CategoryPeriod(**days_of(period), categories=[_figures(group, currency) for group in found])


def _figures(group: Group, currency: str) -> CategoryFigures:
    return CategoryFigures(
        id=group.category.id,
        name=group.category.name,
        transaction_type=group.type,
        count=len(group.amounts),
        sum=Amount(group.sum, currency),
        average=Amount(rounded(Fraction(group.sum, len(group.amounts))), currency),
        min=Amount(min(group.amounts), currency),
        max=Amount(max(group.amounts), currency),
    )


def expense_period(period: Window, found: Iterable[Group], currency: str) -> ExpensePeriod:
    return ExpensePeriod(**days_of(period), categories=expense_categories(found, currency))


def expense_categories(found: Iterable[Group], currency: str) -> list[ExpenseCategory]:
    return [
        ExpenseCategory(
            id=group.category.id,
            name=group.category.name,
            count=len(group.amounts),
            sum=Amount(group.sum, currency),
        )
        for group in found
    ]
