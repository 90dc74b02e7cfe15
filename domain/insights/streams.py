"""Recurring streams: rows of an account that belong together, and how regular they are.

Rows belong together that go the same way and name the same other side: its account, or else the words of the
wording that are the same every month. What one side takes for two things is then told apart by its amounts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import pairwise
from operator import itemgetter
from typing import NamedTuple

import msgspec

from domain.insights.books import Account, Row
from domain.insights.cadence import (
    BIMONTHLY,
    BIWEEKLY,
    BOUNDS,
    MONTHLY,
    OTHER,
    QUARTERLY,
    SEMI_ANNUAL,
    SEMI_MONTHLY,
    WEEKLY,
    YEARLY,
    Rhythm,
    next_after,
    rhythm_of,
)
from domain.insights.figures import rounded
from domain.insights.months import month_of
from domain.insights.wordings import stream_root
from domain.money import write

__all__ = [
    "BEGUN",
    "BIMONTHLY",
    "BIWEEKLY",
    "BOTH",
    "EARLY",
    "ENDED",
    "MATURE",
    "MISSED",
    "MONTHLY",
    "NONE",
    "OTHER",
    "QUARTERLY",
    "SEMI_ANNUAL",
    "SEMI_MONTHLY",
    "STOPPED",
    "WEEKLY",
    "YEARLY",
    "Stream",
    "following_expected",
    "is_regular",
    "root_of",
    "streams_in",
    "varies",
]

# Statuses.
EARLY, MATURE, MISSED, ENDED = "EARLY", "MATURE", "MISSED", "ENDED"

# Repartitions.
BOTH, BEGUN, STOPPED, NONE = "BOTH", "BEGUN", "STOPPED", "NONE"

#: Days that make a stream mature, and those that do where it is yearly.
DAYS_MIN, DAYS_MIN_YEARLY = 3, 2
#: So many hundredths of the gaps lie within the cadence's bounds at least, or a stream is not regular.
REGULARITY_MIN = 50
#: With so many, amounts do not part a stream.
REGULARITY_STEADY = 75
#: The coefficient of variation above which a group is parted by amount, squared: 0.35².
VARIATION_MAX = Fraction(49, 400)
#: A part has so many rows at least: one large bill is no stream.
PART_MIN = 3


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


class _Part(NamedTuple):
    """Rows of a group that are a stream of their own."""

    rows: list[Row]
    """By day, then by id."""
    cluster: str
    """How it was parted from the group; empty where it is the whole group, or what is left of it."""
    amount: int
    """What tells it from the others of its group: the amount in the middle, or the fixed one."""


def streams_in(account: Account, as_of: int, *, since: int = 0) -> tuple[Stream, ...]:
    """All groups of rows up to the reference day, also those that came once; in a fixed order.

    Of rows booked before `since` nothing is known: the books do not hold them.
    Each row that is not of zero is in exactly one. The order is that of direction (credits first), key and cluster.
    """
    groups: defaultdict[tuple[bool, str], list[Row]] = defaultdict(list)
    for row in account.rows:
        if row.day <= as_of and row.amount:
            groups[row.amount < 0, _key_of(row)].append(row)
    return tuple(
        _stream(account, as_of, since, is_debit, key, part)
        for (is_debit, key), rows in sorted(groups.items())
        for part in sorted(_parts(sorted(rows)), key=lambda part: part.cluster)
    )


def _key_of(row: Row) -> str:
    """Whom a row goes to or comes from. A row that says nothing goes with others of its type."""
    return row.other or root_of(row) or row.kind


def root_of(row: Row) -> str:
    """What its wording has in common with those of other months; else with any others."""
    return stream_root(row.wording) or row.root


# Parting a group by its amounts


def _parts(rows: list[Row]) -> list[_Part]:
    """The streams of a group: one, or two that go by their amounts, and so on in each of these.

    What is steady as a whole is one stream, whatever its amounts: a bill that varies, a new price. It is two only
    where two fixed amounts take turns within the month, as two loans of one lender may. Anything else is split where
    amounts vary too much; and each fixed amount that is steady by itself is told from what is left.
    """
    return [part for name, split in _split(rows, "") for part in _peeled(split, name)]


def _split(rows: list[Row], path: str) -> list[tuple[str, list[Row]]]:
    """Split rows in two, smaller amounts first, where they vary by more than `VARIATION_MAX` and this halves it.

    What is halved is the coefficient of variation: the root of the mean square distance to the own part's mean,
    against the mean of all. Again within each part.
    """
    if len(rows) < 2 * PART_MIN or _is_steady(_rhythm_of(rows)):
        return [(path, rows)]
    sizes = sorted(abs(row.amount) for row in rows)
    if not varies(sizes):
        return [(path, rows)]
    border = _border(sizes)
    small = [row for row in rows if abs(row.amount) < border]
    large = [row for row in rows if abs(row.amount) >= border]
    within = sum(_variance([abs(row.amount) for row in part]) for part in (small, large) if part)
    if min(len(small), len(large)) < PART_MIN or 4 * within > _variance(sizes):
        return [(path, rows)]
    return [*_split(small, path + "1"), *_split(large, path + "2")]


def varies(sizes: Sequence[int]) -> bool:
    """Whether the coefficient of variation (of the population) of sizes above 0 is above 0.35."""
    return _variance(sizes) > VARIATION_MAX * sum(sizes) ** 2 / len(sizes)


def _variance(sizes: Sequence[int]) -> Fraction:
    """The sum of the squared distances to the mean."""
    total = sum(sizes)
    return Fraction(len(sizes) * sum(size * size for size in sizes) - total * total, len(sizes))


def _border(sizes: Sequence[int]) -> int:
    """The least of the larger part, where two parts vary least around their own means. Sizes are in order."""
    count, total = len(sizes), sum(sizes)
    best, best_of, border, below = 0, 1, sizes[-1], 0
    for place, (size, following) in enumerate(pairwise(sizes), 1):
        below += size
        if size == following:
            continue
        # The sum of squares is the same for all; least of it is left within the parts where most lies between them.
        # That is this quotient, by `count`. Whole numbers are compared: there is one for each size.
        between, of = (below * count - total * place) ** 2, place * (count - place)
        if between * best_of > best * of:
            best, best_of, border = between, of, following
    return border


def _peeled(rows: list[Row], name: str) -> list[_Part]:
    """The fixed amounts that are steady by themselves, and what is left of rows that are not steady together."""
    whole = [_Part(rows, f"split {name}" if name else "", _middle(rows))]
    if len(rows) <= PART_MIN:
        return whole
    counts = Counter(row.amount for row in rows)
    fixed = sorted(amount for amount, count in counts.items() if count >= PART_MIN)
    if not fixed or len(counts) == 1:
        return whole
    chains = _chains(rows, fixed)
    if not chains:
        return whole
    rhythm = _rhythm_of(rows)
    if _is_steady(rhythm) and not _take_turns(rows, chains, rhythm):
        return whole
    parts = [_Part(chain, f"amount {abs(chain[0].amount):020d}", chain[0].amount) for chain in chains]
    taken = {row.id for chain in chains for row in chain}
    left = [row for row in rows if row.id not in taken]
    if len(parts) == 1 and not left:
        return whole
    return [*parts, whole[0]._replace(rows=left, amount=_middle(left))] if left else parts


def _rhythm_of(rows: Iterable[Row]) -> Rhythm:
    return rhythm_of([row.day for row in rows])


def _is_steady(rhythm: Rhythm) -> bool:
    return rhythm.cadence != OTHER and rhythm.regularity >= REGULARITY_STEADY


def _chains(rows: Sequence[Row], fixed: Iterable[int]) -> list[list[Row]]:
    """The fixed amounts that are steady; one that goes on where another ends, in its rhythm, is its new price."""
    by_amount: defaultdict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_amount[row.amount].append(row)
    steady: list[tuple[list[Row], str]] = []
    for amount in fixed:
        rhythm = _rhythm_of(by_amount[amount])
        if _is_steady(rhythm):
            steady.append((by_amount[amount], rhythm.cadence))
    chains: list[list[Row]] = []
    # By cadence and last day the chains that end so, in their order, as places in `chains`.
    ends: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
    for of_amount, cadence in sorted(steady, key=lambda found: (found[0][0].day, found[0][0].id)):
        shortest, longest = BOUNDS[cadence]
        begins = of_amount[0].day
        last_days = ((cadence, begins - gap) for gap in range(shortest, longest + 1))
        ending = [ends[last_day] for last_day in last_days if ends.get(last_day)]
        if ending:
            place = heappop(min(ending, key=itemgetter(0)))
            chains[place] += of_amount
        else:
            place = len(chains)
            chains.append(list(of_amount))
        heappush(ends[cadence, of_amount[-1].day], place)
    return chains


def _take_turns(rows: Sequence[Row], chains: Sequence[Sequence[Row]], rhythm: Rhythm) -> bool:
    """Whether rows that come twice a month are all of one of two amounts that come once a month each."""
    return (
        rhythm.cadence in (SEMI_MONTHLY, BIWEEKLY)
        and len(chains) == 2
        and sum(map(len, chains)) == len(rows)
        and all(_rhythm_of(chain).cadence == MONTHLY for chain in chains)
    )


def _middle(rows: Sequence[Row]) -> int:
    amounts = sorted(row.amount for row in rows)
    return amounts[len(amounts) // 2]


# What is known of a stream


def is_regular(cadence: str, regularity: int, days: int) -> bool:
    """Whether there is enough to call a stream recurring: days it came on, a cadence, and gaps that keep to it."""
    enough = days >= (DAYS_MIN_YEARLY if cadence == YEARLY else DAYS_MIN)
    return enough and cadence != OTHER and regularity >= REGULARITY_MIN


def status_of(rhythm: Rhythm, days: int, as_of: int) -> str:
    """R3. What has no regular cadence stays `EARLY`, however often it came."""
    if not is_regular(rhythm.cadence, rhythm.regularity, days):
        return EARLY
    expected = rhythm.next_expected
    if expected is None or rhythm.gap is None or expected + rhythm.tolerance >= as_of:
        return MATURE
    following = next_after(expected, rhythm.gap, rhythm.due_days)
    return ENDED if following + rhythm.tolerance < as_of else MISSED


def following_expected(stream: Stream) -> int | None:
    """The day that R3 expects a row on after the next one; None where the cadence is `OTHER`."""
    rhythm = rhythm_of(sorted({row.day for row in stream.rows}))
    if rhythm.next_expected is None or rhythm.gap is None:
        return None
    return next_after(rhythm.next_expected, rhythm.gap, rhythm.due_days)


def _stream(account: Account, as_of: int, since: int, is_debit: bool, key: str, part: _Part) -> Stream:
    rows = tuple(part.rows)
    # Two rows of one day came at once.
    days = list(dict.fromkeys(row.day for row in rows))
    gaps = [later - day for day, later in pairwise(days)]
    rhythm = rhythm_of(days)
    total = sum(row.amount for row in rows)
    root = _common_root(rows) or key
    return Stream(
        id=_id_of(account.id, "debit" if is_debit else "credit", key, part.cluster),
        account=account.id,
        currency=account.currency,
        is_debit=is_debit,
        key=key,
        root=root,
        label=f"{root} {write(abs(part.amount), account.exponent)}" if part.cluster else root,
        labels=_labels_of(rows),
        brand=_most_frequent(row.brand for row in rows if row.brand),
        rows=rows,
        cadence=rhythm.cadence,
        status=status_of(rhythm, len(days), as_of),
        next_expected=rhythm.next_expected,
        tolerance=rhythm.tolerance,
        regularity=rhythm.regularity,
        due_days=rhythm.due_days,
        gap_min=min(gaps, default=None),
        gap_max=max(gaps, default=None),
        gap_mean=_hundredths(Fraction(sum(gaps), len(gaps))) if gaps else None,
        repartition=_repartition(account, days, rhythm, as_of, since),
        calendar=tuple(_calendar(rows)),
        total=total,
        average=rounded(Fraction(total, len(rows))),
    )


def _id_of(*parts: str) -> str:
    return blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()


def _common_root(rows: Sequence[Row]) -> str:
    return _most_frequent(root_of(row) for row in rows)


def _most_frequent(texts: Iterable[str]) -> str:
    """The most frequent one, then the first in alphabetical order; empty where there is none."""
    counts = Counter(texts)
    return min(counts, key=lambda text: (-counts[text], text), default="")


def _labels_of(rows: Sequence[Row]) -> tuple[str, ...]:
    counts: Counter[str] = Counter()
    places: dict[str, int] = {}
    # Most rows of a stream have the same labels.
    for labels, times in Counter(row.labels for row in rows).items():
        for place, name in enumerate(dict.fromkeys(label.name for label in labels)):
            counts[name] += times
            places[name] = places.get(name, 0) + place * times
    most = [name for name, count in counts.items() if 2 * count > len(rows)]
    return tuple(sorted(most, key=lambda name: (Fraction(places[name], counts[name]), name)))


def _hundredths(value: Fraction) -> str:
    return write(rounded(value * 100), 2)


def _repartition(account: Account, days: Sequence[int], rhythm: Rhythm, as_of: int, since: int) -> str:
    """R6: whether it began after the days that are known did, and stopped before the reference day."""
    if rhythm.gap is None:
        return NONE
    has_begun = bool(account.covered) and days[0] - max(account.covered[0][0], since) > rhythm.gap
    has_stopped = as_of - days[-1] > rhythm.gap
    match has_begun, has_stopped:
        case True, True:
            return BOTH
        case True, False:
            return BEGUN
        case False, True:
            return STOPPED
        case _:
            return NONE


def _calendar(rows: Sequence[Row]) -> Iterator[tuple[int, int]]:
    sums: dict[int, int] = {}
    for row in rows:
        month = month_of(row.day)
        sums[month] = sums.get(month, 0) + row.amount
    return iter(sums.items())
