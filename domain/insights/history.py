"""How much of the past is known: month by month, and whether it is enough to say what recurs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from domain.insights.figures import Window
from domain.insights.months import month_text, months_in

if TYPE_CHECKING:
    from domain.insights.analysis import Analysis

# Why a figure has no value.
NO_COMPLETE_MONTH = "no_complete_month"
HISTORY_TOO_SHORT = "history_too_short"

#: With fewer covered days in the last year, that nothing recurs says nothing.
RECURRING_DAYS_MIN = 90


class Part(NamedTuple):
    """A month, as far as a window up to the reference day holds it."""

    month: int
    first: int
    last: int
    whole: bool
    """The window holds all its days."""
    covered_days: int

    @property
    def complete(self) -> bool:
        """Whether the window holds all its days, and all are covered: what averages are of."""
        return self.whole and self.covered_days == self.last - self.first + 1

    def as_field(self) -> dict[str, Any]:
        return {
            "month": month_text(self.month),
            "partial": not self.complete,
            "covered_days": self.covered_days,
        }


def parts_of(analysis: Analysis, currency: str, window: Window) -> list[Part]:
    """The months that a window touches, none that begins after the reference day, oldest first."""
    held = window._replace(last=min(window.last, analysis.as_of))
    return analysis.once(("parts", currency, *held[:2]), lambda: _parts(analysis, currency, held))


def _parts(analysis: Analysis, currency: str, held: Window) -> list[Part]:
    return [
        Part(*month, analysis.covered_in(currency, Window(month.first, month.last)))
        for month in (months_in(held) if held.days > 0 else ())
    ]


def complete_months(analysis: Analysis, currency: str, window: Window) -> list[Part]:
    """Those of these months that are complete."""
    return [part for part in parts_of(analysis, currency, window) if part.complete]


def covers_recurrence(analysis: Analysis, currency: str) -> bool:
    """Whether enough of the last year is covered for something monthly to have come three times."""
    last_year = Window(analysis.as_of - 364, analysis.as_of)
    return analysis.covered_in(currency, last_year) >= RECURRING_DAYS_MIN
