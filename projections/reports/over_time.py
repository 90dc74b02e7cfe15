"""Balances over time: what accounts had at the end of each day of a window (B3)."""

from __future__ import annotations

from domain.insights.analysis import Analysis
from domain.insights.books import Books
from domain.insights.figures import Window
from projections.answers import Amount
from projections.reports.selection import Selection
from projections.reports.shapes import DayBalance
from projections.times import day_text


def balances(books: Books, selection: Selection, window: Window) -> list[DayBalance]:
    """Of several accounts the sum, on the days on which all of them are known."""
    analysis = Analysis(books, accounts=frozenset(shown.account.id for shown in selection.accounts))
    ends = analysis.end_of_days_together[selection.currency]
    days, held = ends.known(window.first, window.last)
    return [
        DayBalance(date=day_text(day), balance=Amount(balance, selection.currency))
        for day, balance in zip(days, held, strict=True)
    ]
