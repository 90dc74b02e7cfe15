"""Recurring streams: rows of an account that belong together, and how regular they are."""

from __future__ import annotations

import msgspec

from domain.insights.books import Account, Row

# Cadences, with the bounds of the median gap in days.
WEEKLY, BIWEEKLY, SEMI_MONTHLY, MONTHLY = "WEEKLY", "BIWEEKLY", "SEMI_MONTHLY", "MONTHLY"
BIMONTHLY, QUARTERLY, SEMI_ANNUAL, YEARLY, OTHER = "BIMONTHLY", "QUARTERLY", "SEMI_ANNUAL", "YEARLY", "OTHER"

# Statuses.
EARLY, MATURE, MISSED, ENDED = "EARLY", "MATURE", "MISSED", "ENDED"

# Repartitions.
BOTH, BEGUN, STOPPED, NONE = "BOTH", "BEGUN", "STOPPED", "NONE"


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """R1 to R7 of one group of rows. Amounts are minor units of the account's currency."""

    id: str
    """Of account, direction, key and cluster: the same as long as these are."""
    account: str
    currency: str
    is_debit: bool
    key: str
    """What its rows have in common: the other side's account, or the root of their wording."""
    root: str
    """The common root of the wordings."""
    label: str
    """As the root, with more where one root is split into two streams."""
    labels: tuple[str, ...]
    """The names of the labels that most of its rows have, the most telling first."""
    brand: str
    rows: tuple[Row, ...]
    """Oldest first."""
    cadence: str
    status: str
    next_expected: int | None
    tolerance: int
    """Days after which what was expected is missed."""
    regularity: int
    """The share of gaps within the cadence's bounds, 0 to 100."""
    due_days: tuple[int, ...]
    """Days of the month that it comes on, ascending."""
    gap_min: int | None
    gap_max: int | None
    gap_mean: str | None
    """With two decimals."""
    repartition: str
    calendar: tuple[tuple[int, int], ...]
    """Month and sum, oldest first; months without a row are left out."""
    total: int
    average: int
    """Rounded half to even."""

    @property
    def n(self) -> int:
        return len(self.rows)

    @property
    def first_day(self) -> int:
        return self.rows[0].day

    @property
    def last_day(self) -> int:
        return self.rows[-1].day

    def has_any(self, names: frozenset[str]) -> bool:
        return not names.isdisjoint(self.labels)


def streams_in(account: Account, as_of: int) -> tuple[Stream, ...]:
    """All groups of rows up to the reference day, also those that came once; in a fixed order."""
    raise NotImplementedError
