"""What one report is about, and how much of its window is known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from domain.insights.figures import Window
from projections import quality
from projections.accounts import key_of
from projections.answers import insights_time
from projections.ports import Rows
from projections.quality import Range
from projections.times import day_text, moment
from projections.uploads import Shown

COMPLETE, PARTIAL, NONE = "COMPLETE", "PARTIAL", "NONE"


class Selection(NamedTuple):
    consumer: str
    """The id that it was asked for under."""
    accounts: Sequence[Shown]
    """One, or several in one currency."""

    @property
    def currency(self) -> str:
        return self.accounts[0].account.currency

    @property
    def head(self) -> dict[str, Any]:
        """What every report begins with."""
        return {
            "insights_consumer_id": self.consumer,
            "insights_account_ids": [shown.name for shown in self.accounts],
            "refreshed_at": insights_time(moment(min(map(_refreshed_at, self.accounts)))),
        }


def _refreshed_at(shown: Shown) -> int:
    """Without a reading it is as old as the account's discovery."""
    account = shown.account
    return account.discovered_at if account.as_of is None else account.as_of


def selections(consumer: str, accounts: Iterable[Shown], *, combine: bool) -> list[Selection]:
    """One for each account in their order; combined, one for each currency, in alphabetical order: amounts of two
    currencies have no sum."""
    if not combine:
        return [Selection(consumer, [account]) for account in accounts]
    by_currency: dict[str, list[Shown]] = {}
    for shown in accounts:
        by_currency.setdefault(shown.account.currency, []).append(shown)
    return [Selection(consumer, by_currency[currency]) for currency in sorted(by_currency)]


def days_of(window: Window) -> dict[str, str]:
    return {"from_date": day_text(window.first), "to_date": day_text(window.last)}


# Availability


def availability(rows: Rows, accounts: Iterable[Shown], window: Window, today: int) -> str:
    """How many of the days of a window, up to today, are covered (Q3): all of each account, some, or none."""
    whole = Range(window.first, min(window.last, today))
    if whole.last < whole.first:
        return NONE
    covered = [quality.count_days(covered_days(rows, shown, whole)) for shown in accounts]
    if all(days == whole.last - whole.first + 1 for days in covered):
        return COMPLETE
    return PARTIAL if any(covered) else NONE


def covered_days(rows: Rows, shown: Shown, window: Range) -> list[Range]:
    """The days of a window that an account is covered for. Of one that nobody ever read a balance of, as of what a
    client brought, its rows say what is known: the days from the oldest to the newest."""
    ranges, span = quality.coverage_of(rows, shown.account, window)
    booked = quality.booked_days(rows, key_of(shown.account.id)) if span is None else None
    return ranges if booked is None else quality.clipped([Range(*booked)], window)


def is_met(found: str, required: str) -> bool:
    """Whether what is available is at least what is required."""
    order = (NONE, PARTIAL, COMPLETE)
    return order.index(found) >= order.index(required)
