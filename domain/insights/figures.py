"""Figures: what a metric comes to, why it does not, and how it is rounded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from fractions import Fraction
from operator import mul
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from domain.insights.analysis import Analysis

# Statuses. A value that is None is never a zero.
OK = "ok"
INSUFFICIENT_HISTORY = "insufficient_history"
NOT_APPLICABLE = "not_applicable"

# Units. All money is in minor units of the figure's currency.
MONEY = "money"
MONEY_PER_MONTH = "money/month"
MONEY_PER_DAY = "money/day"
COUNT = "count"
COUNT_PER_MONTH = "count/month"
SECONDS = "seconds"
DAYS = "days"
WEEKS = "weeks"
MONTHS = "months"
RATIO = "ratio"
PERCENT = "percent"
DATE = "date"
TEXT = "text"
STREAMS = "streams"
EVENTS = "events"


class Window(NamedTuple):
    """Days, both included."""

    first: int
    last: int
    name: str = "custom"
    """As it was asked for: `30d`, `6m`, `current_month`, or `custom`."""

    @property
    def days(self) -> int:
        return self.last - self.first + 1

    def holds(self, day: int) -> bool:
        return self.first <= day <= self.last


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one metric. Money is a whole number of minor units, a ratio is a text with four decimals."""

    value: Any = None
    """A number, a text, a list or a mapping of these; None where there is no telling."""
    window: Window
    currency: str | None = None
    account: str | None = None
    """Of one account alone; None where it is of all of them together."""
    n: int = 0
    """How many rows it counts."""
    covered_days: int = 0
    status: str = OK
    reason: str | None = None
    """Machine-readable: why it has no value, or what was assumed."""
    rows: tuple[bytes, ...] = ()
    """The ids of the rows that it counts."""
    notes: Mapping[str, Any] = {}
    """What goes with the value: `limit_assumed`, the months that an average is of, …"""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of the catalogue."""

    id: str
    """Such as `B5`."""
    name: str
    """Such as `balance_statistics`: the formula is `name@version`."""
    version: int = 1
    title: str
    unit: str
    definition: str
    """Exact: what is counted, over which days, how it is rounded, and when there is no value."""
    source: str
    """Who else publishes it, or `ours`."""
    windows: tuple[str, ...] = ("365d",)
    """The windows that it is made for where none is asked for."""
    parameters: Mapping[str, int] = {}
    """By name the default; money is in minor units of a currency with two decimals."""
    tells_freshness: bool = False
    """It changes with the moment at which the books were looked at, and not with what they say alone."""
    compute: Callable[[Analysis, Window], Iterable[Figure]]
    """Its figures in a window: one per currency, or one per account, in a fixed order."""


def rounded(value: Fraction | int) -> int:
    """The nearest whole number, half to even: the one place where an amount is rounded."""
    return round(value)


def scaled(amount: int, exponent: int) -> Fraction:
    """An amount that is given in hundredths, such as a parameter, in the minor units of another currency."""
    return amount * Fraction(10) ** (exponent - 2)


def ratio(value: Fraction | int) -> str:
    """Four decimals, half to even: `0.3333`."""
    parts = round(Fraction(value.numerator * 10_000, value.denominator))
    sign, size = ("-" if parts < 0 else ""), abs(parts)
    return f"{sign}{size // 10_000}.{size % 10_000:04d}"


def mean(values: Iterable[int]) -> Fraction | None:
    """None of nothing."""
    held = list(values)
    return Fraction(sum(held), len(held)) if held else None


def median(values: Iterable[int]) -> Fraction | None:
    held = sorted(values)
    if not held:
        return None
    middle = len(held) // 2
    return Fraction(held[middle]) if len(held) % 2 else Fraction(held[middle - 1] + held[middle], 2)


def root(value: Fraction, digits: int = 12) -> Fraction:
    """The square root of a number that is not negative, exact to more digits than are ever shown."""
    with localcontext(prec=60):
        text = (Decimal(value.numerator) / Decimal(value.denominator)).sqrt()
        return Fraction(text.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN))


def sum_of_products(some: Iterable[int], others: Iterable[int]) -> int:
    return sum(map(mul, some, others))


def deviation(values: Iterable[int], *, sample: bool = False) -> Fraction | None:
    """The standard deviation: of a population, or of a sample; None of too few."""
    held = list(values)
    if len(held) <= (1 if sample else 0):
        return None
    count = len(held)
    squares = count * sum_of_products(held, held) - sum(held) ** 2
    return root(Fraction(squares, count * (count - 1 if sample else count)))
