"""Transactions that recur: the streams of accounts (R1 to R7), by their cadence.

A group is a stream that is `MATURE`, or `MISSED` its last date, at the end of the window, and has a row in it. Streams
between own accounts, on evidence, are in none: they are neither income nor expense.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from domain.categories.tree import brand_of, categories_of
from domain.insights.analysis import Analysis
from domain.insights.books import Books, Row
from domain.insights.figures import Window
from domain.insights.streams import (
    BIMONTHLY,
    BIWEEKLY,
    MATURE,
    MISSED,
    MONTHLY,
    QUARTERLY,
    SEMI_ANNUAL,
    SEMI_MONTHLY,
    WEEKLY,
    YEARLY,
    Stream,
)
from domain.transactions import date_of
from projections.answers import Amount
from projections.reports.listing import CREDIT, DEBIT, category_names
from projections.reports.selection import Selection
from projections.reports.shapes import BrandName, RecurringInterval, TransactionGroup, given

#: From the most frequent to the rarest.
INTERVALS = (WEEKLY, BIWEEKLY, SEMI_MONTHLY, MONTHLY, BIMONTHLY, QUARTERLY, SEMI_ANNUAL, YEARLY)
#: How many days before the window are looked at: a yearly stream shows itself in two years.
DAYS_BEFORE = 760


class Recurring(NamedTuple):
    stream: Stream
    rows: Sequence[Row]
    """Those of the window, oldest first."""


def intervals(
    books: Books, selection: Selection, window: Window, names: Mapping[bytes, str]
) -> list[RecurringInterval]:
    """The groups of a window by cadence; `names` are the ids that a client knows its own rows by."""
    found = _recurring(books, selection, window)
    return [
        _interval(cadence, held, selection.currency, names)
        for cadence in INTERVALS
        if (held := [one for one in found if one.stream.cadence == cadence])
    ]


def _recurring(books: Books, selection: Selection, window: Window) -> list[Recurring]:
    """Credits first, then the largest average."""
    analysis = Analysis(books, accounts=frozenset(shown.account.id for shown in selection.accounts))
    found: list[Recurring] = []
    for stream in analysis.streams:
        rows = [row for row in stream.rows if window.holds(row.day)]
        if stream.status in (MATURE, MISSED) and rows and not all(map(analysis.is_between_own, rows)):
            found.append(Recurring(stream, rows))
    return sorted(
        found,
        key=lambda one: (one.stream.is_debit, -abs(one.stream.average), one.stream.label, one.stream.id),
    )


def _interval(
    cadence: str, found: Sequence[Recurring], currency: str, names: Mapping[bytes, str]
) -> RecurringInterval:
    def total(*, of_debits: bool) -> Amount:
        averages = [abs(one.stream.average) for one in found if one.stream.is_debit == of_debits]
        return Amount(sum(averages), currency)

    return RecurringInterval(
        interval=cadence,
        income_amount=total(of_debits=False),
        expense_amount=total(of_debits=True),
        transaction_groups=[_group(one, currency, names) for one in found],
    )


def _group(found: Recurring, currency: str, names: Mapping[bytes, str]) -> TransactionGroup:
    stream = found.stream
    earliest, latest = due_days_of(stream)
    brand = brand_of(stream.brand) if stream.brand else None
    return TransactionGroup(
        type=DEBIT if stream.is_debit else CREDIT,
        earliest_day=earliest,
        latest_day=latest,
        average_amount=Amount(abs(stream.average), currency),
        transaction_ids=[names.get(row.id) or str(UUID(bytes=row.id)) for row in found.rows],
        categories=category_names(categories_of(stream.labels)),
        brand=given(None if brand is None else BrandName(id=brand.id, name=brand.name)),
    )


def due_days_of(stream: Stream) -> tuple[int, int]:
    """The first and the last of the days that a stream comes on, in a circle: the widest gap lies outside them."""
    if stream.cadence in (WEEKLY, BIWEEKLY):
        size, days = 7, {date_of(row.day).isoweekday() for row in stream.rows}
    else:
        size, days = 31, {date_of(row.day).day for row in stream.rows}
    ordered = sorted(days)
    following = [*ordered[1:], ordered[0] + size]
    gaps = [after - day for day, after in zip(ordered, following, strict=True)]
    widest = gaps.index(max(gaps))
    return ordered[(widest + 1) % len(ordered)], ordered[widest]
