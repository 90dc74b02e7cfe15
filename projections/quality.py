"""Data quality: when each source was read, and whether its balances and its rows agree.

**Readings.** Of each source the last reading of its balance on each day of ours is kept, and so is that a later one
found it as it was: a connection says so, and what a deleted connection said is gone. Beside them the exact sum of the
booked rows that came on a day, and of the corrections of a day: what is said later of rows that were held, or of days
that were read long before.

**Coverage** (Q3). A reading covers its day and the `BANK_HISTORY_DAYS` before it: further back a bank need not have
shown what happened since the reading before. The first reading covers the days from the oldest booked row on, and no
later one a day before the first. Of an account with several sources each covers the days that it is shown for.

**Drift** (Q6 of B4). At each reading but the last: its balance, minus what follows from the next one's balance and the
rows that came with it or after it, before yet another. A correction counts with the first reading of its own day or
later, so that neither late history nor an edit moves a balance that it was part of. `net` is the sum over all readings:
what the balances moved, and no row explains. Of a row that was shown late, and is then edited or taken back, it is not
known when it was part of the balance: two neighbouring readings may be off by its amount, and their sum right.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from domain import streams
from domain.consumer_account import BalanceRefreshed, TransactionsFetched
from domain.fact import Recorded
from domain.streams import Stream
from domain.transactions import Batch
from projections import merging
from projections.accounts import Account, key_of
from projections.cashflow import MONTHS, days_of
from projections.confirmed import CONFIRMED
from projections.erasure import forgotten, stream_of
from projections.linking import SOURCES
from projections.merging import TOLD
from projections.ports import Rows, Table
from projections.shown import ALL_TYPES, COUNTS
from projections.times import micros, utc_day
from projections.transactions import booked_rows

#: What a bank shows without asking the person again, by the European rules on access to accounts.
BANK_HISTORY_DAYS = 90
#: 9999-12-31: no day is later.
LAST_DAY = 2_932_896
#: A row that is shown so many days after the day it is booked on may still be new to the balance.
LATE_DAYS = 10

# Why days are not covered.
NEVER_READ = "never_read"
BEFORE_HISTORY = "before_history"
GAP = "gap"
NOT_READ_YET = "not_read_yet"
REASONS = (NEVER_READ, BEFORE_HISTORY, GAP, NOT_READ_YET)

# Why there is no drift to be told.
OK = "ok"
TOO_FEW_READINGS = "too_few_readings"
BALANCE_MISSING = "balance_missing"
AMOUNT_MISSING = "amount_missing"
DRIFT_STATUSES = (OK, TOO_FEW_READINGS, BALANCE_MISSING, AMOUNT_MISSING)


class Reading(NamedTuple):
    tenant: str
    consumer: str
    source: str
    newest: int
    """Minus the UTC day on which it was recorded, as days since 1970-01-01: a forward scan gives the newest first."""
    as_of: int
    balance: int | None
    recorded_at: int
    """Rows that were recorded by then are in it."""


class First(NamedTuple):
    tenant: str
    consumer: str
    source: str
    day: int
    """The UTC day of the first reading. What is of that day or before it, and is corrected, is compared with nothing."""


class Moved(NamedTuple):
    tenant: str
    consumer: str
    source: str
    kind: str
    """`NEW` by the day of its recording, `CORRECTED` by the day that the rows are booked on."""
    day: int
    booked: str
    """An exact sum in minor units: it may need more than 63 bits."""
    unknown: int
    """How many rows in it have no amount."""


NEW, CORRECTED = "new", "corrected"

READINGS = Table("source_readings", Reading, key=4)
FIRST = Table("source_first_readings", First, key=3)
MOVED = Table("source_moved", Moved, key=5)
TABLES = (READINGS, FIRST, MOVED)

Key = tuple[str, str, str]
"""Tenant, consumer and source."""

# Facts


def project(recorded: Recorded, rows: Rows) -> None:
    """Fold one fact into the readings. The transactions still have the rows that it changes."""
    gone = forgotten(recorded)
    if gone is not None:
        _forget(gone, rows)
        return
    stream, today = stream_of(recorded.stream), utc_day(micros(recorded.recorded_at))
    key = (stream.tenant, stream.consumer, stream.id)
    match recorded.fact:
        case BalanceRefreshed(as_of=as_of, balance=balance):
            at = micros(recorded.recorded_at)
            rows.put(READINGS, Reading(*key, -today, micros(as_of), balance, at))
            if rows.get(FIRST, *key) is None:
                rows.put(FIRST, First(*key, utc_day(micros(as_of))))
        case TransactionsFetched() as fact:
            _note_rows(fact, key, today, rows)


def _forget(gone: Stream, rows: Rows) -> None:
    match gone.aggregate:
        case streams.CONSUMER:
            for table in TABLES:
                rows.delete(table, gone.tenant, gone.consumer)
        case streams.CONSUMER_ACCOUNT:
            for table in TABLES:
                rows.delete(table, gone.tenant, gone.consumer, gone.id)


class Sum(NamedTuple):
    """Of rows: what they come to, and how many have no amount."""

    booked: int = 0
    unknown: int = 0

    def plus(self, amount: int | None, sign: int = 1) -> Sum:
        """With one row more, or one less."""
        if amount is None:
            return Sum(self.booked, self.unknown + sign)
        return Sum(self.booked + sign * amount, self.unknown)


def _note_rows(fact: TransactionsFetched, key: Key, today: int, rows: Rows) -> None:
    first = rows.get(FIRST, *key)
    if first is None:
        return
    before = _before(fact, key, rows)
    new, corrections = _told(fact, today, before)
    _move(key, NEW, today, new, rows)
    for day, moved in sorted(corrections.items()):
        if day > first.day:
            _move(key, CORRECTED, day, moved, rows)


def _before(fact: TransactionsFetched, key: Key, rows: Rows) -> dict[str, tuple[int, int | None]]:
    """Day and amount of the booked rows that a fact changes or takes away, by reference."""
    references = (*fact.modified.references, *fact.removed.references)
    source = rows.get(SOURCES, *key) if references else None
    held = () if source is None else booked_rows(rows, source, references)
    return {row.reference: (row.booked_on, row.amount) for row in held}


def _told(
    fact: TransactionsFetched, today: int, before: dict[str, tuple[int, int | None]]
) -> tuple[Sum, dict[int, Sum]]:
    """What is new to the balance, and by day what is a correction."""
    new, corrections = Sum(), {}
    for day, amount in before.values():
        corrections[day] = corrections.get(day, Sum()).plus(amount, -1)
    for batch in (fact.added, fact.modified, fact.restored):
        for reference, day, amount in _booked(batch):
            if batch is not fact.restored and reference not in before and day >= today - LATE_DAYS:
                new = new.plus(amount)
            else:
                corrections[day] = corrections.get(day, Sum()).plus(amount)
    return new, corrections


def _booked(batch: Batch) -> Iterator[tuple[str, int, int | None]]:
    """Reference, day and amount of the booked rows of a batch."""
    pending = frozenset(batch.pending)
    columns = zip(batch.references, batch.booked_on, batch.amounts, strict=True)
    return (row for index, row in enumerate(columns) if index not in pending)


def _move(key: Key, kind: str, day: int, moved: Sum, rows: Rows) -> None:
    if moved != Sum():
        held = rows.get(MOVED, *key, kind, day) or Moved(*key, kind, day, "0", 0)
        booked, unknown = str(int(held.booked) + moved.booked), held.unknown + moved.unknown
        rows.put(MOVED, held._replace(booked=booked, unknown=unknown))


# What was booked


def booked_days(rows: Rows, key: bytes) -> tuple[int, int] | None:
    """The oldest and the newest day that something was booked on in an account, as far as it has an amount."""
    months = list(rows.scan(MONTHS, key))
    return (days_of(months[0])[0].day, days_of(months[-1])[-1].day) if months else None


def booked_count(rows: Rows, key: bytes) -> int:
    """How many booked rows an account shows."""
    return sum(row.count for row in rows.scan(COUNTS, key, ALL_TYPES))


def last_read_at(rows: Rows, key: Key) -> int | None:
    """When the provider read the balance of a source last, whether it had moved or not; None before it ever did."""
    newest = (next(iter(rows.scan(table, *key)), None) for table in (READINGS, CONFIRMED))
    return max((row.as_of for row in newest if row is not None), default=None)


# Coverage


class Range(NamedTuple):
    """Days, both included."""

    first: int
    last: int


class Uncovered(NamedTuple):
    first: int
    last: int
    reason: str


class Coverage(NamedTuple):
    """The days of a window that a source was read for, and all days from the first to the last that it ever was."""

    ranges: list[Range]
    span: Range


def coverage(rows: Rows, key: Key, window: Range, oldest: int | None) -> Coverage | None:
    """What a source was read for; `oldest` is the day of its oldest booked row. None where it never was."""
    first = rows.get(FIRST, *key)
    if first is None:
        return None
    begins = first.day if oldest is None else min(oldest, first.day)
    found = [Range(begins, first.day)]
    # One that was recorded before the window was made before it, and covers nothing of it.
    for row in (
        *rows.scan(READINGS, *key, at_most=-window.first),
        *rows.scan(CONFIRMED, *key, at_most=-window.first),
    ):
        day = utc_day(row.as_of)
        if day > first.day:
            found.append(Range(max(first.day, day - BANK_HISTORY_DAYS), day))
    return Coverage(joined(clipped(found, window)), Range(begins, utc_day(last_read_at(rows, key))))


def coverage_of(rows: Rows, account: Account, window: Range) -> tuple[list[Range], Range | None]:
    """The days of a window that an account is covered for, and all from the first to the last that it ever was.

    Of each source the days count for which it may be shown.
    """
    ranges: list[Range] = []
    spans: list[Range] = []
    for source, until, oldest in _sources(rows, account):
        found = coverage(rows, (account.tenant, account.consumer, source), window, oldest)
        if found is not None:
            shown_for = Range(found.span.first, found.span.last if until is None else until - 1)
            ranges += clipped(found.ranges, shown_for)
            spans += clipped([found.span], shown_for)
    if not spans:
        return [], None
    return joined(ranges), Range(min(days.first for days in spans), max(days.last for days in spans))


def _sources(rows: Rows, account: Account) -> list[tuple[str, int | None, int | None]]:
    """The sources of an account, each with the day from which on others are shown, and that of its oldest row."""
    parts = merging.parts_in(rows, account.tenant, account.consumer, account.id)
    if not parts:
        booked = booked_days(rows, key_of(account.source))
        return [(account.source, None, booked[0] if booked else None)]
    first_rows = [next(iter(rows.scan(TOLD, key_of(part.source))), None) for part in parts]
    return [
        (part.source, part.until, None if row is None else row.booked_on)
        for part, row in zip(parts, first_rows, strict=True)
    ]


def clipped(ranges: Iterable[Range], window: Range) -> list[Range]:
    """What of these ranges lies in a window."""
    cut = (Range(max(days.first, window.first), min(days.last, window.last)) for days in ranges)
    return [days for days in cut if days.first <= days.last]


def joined(ranges: Iterable[Range]) -> list[Range]:
    """The same days in ranges that neither overlap nor touch."""
    found: list[Range] = []
    for days in sorted(ranges):
        if found and days.first <= found[-1].last + 1:
            found[-1] = Range(found[-1].first, max(found[-1].last, days.last))
        else:
            found.append(days)
    return found


def uncovered(ranges: Sequence[Range], window: Range, span: Range | None) -> list[Uncovered]:
    """The days of a window that are not in these joined ranges, each with the reason; `span` goes from the first to
    the last day that was ever covered."""
    edges = [window.first - 1, *(day for days in ranges for day in days), window.last + 1]
    between = (Range(after + 1, before - 1) for after, before in zip(edges[::2], edges[1::2], strict=True))
    return [Uncovered(*days, _reason(days, span)) for days in between if days.first <= days.last]


def _reason(days: Range, span: Range | None) -> str:
    if span is None:
        return NEVER_READ
    if days.first > span.last:
        return NOT_READ_YET
    return BEFORE_HISTORY if days.last < span.first else GAP


def count_days(ranges: Iterable[Range]) -> int:
    return sum(days.last - days.first + 1 for days in ranges)


# Drift


class Balance(NamedTuple):
    """What a source was read to have at the end of a day of ours, and the rows that this is the first to include."""

    day: int
    """The UTC day of the reading."""
    balance: int | None
    booked: int
    unknown: int


def balances_between(rows: Rows, key: Key, window: Range) -> list[Balance]:
    """The readings of a source that were recorded on these days, oldest first."""
    on = _read_on(rows, key, window)
    recorded, days = sorted(on), [utc_day(on[day][0]) for day in sorted(on)]
    sums = [Sum() for _ in recorded]
    if recorded:
        for moved in rows.scan(MOVED, *key, NEW, at_least=recorded[0], at_most=window.last):
            _include(moved, bisect_right(recorded, moved.day) - 1, sums)
        for moved in rows.scan(MOVED, *key, CORRECTED, at_least=days[0] + 1, at_most=window.last):
            _include(moved, min(bisect_left(days, moved.day), len(days) - 1), sums)
    return [
        Balance(day, on[at][1], included.booked, included.unknown)
        for day, at, included in zip(days, recorded, sums, strict=True)
    ]


def _include(moved: Moved, index: int, sums: list[Sum]) -> None:
    sums[index] = Sum(sums[index].booked + int(moved.booked), sums[index].unknown + moved.unknown)


class Read(NamedTuple):
    """The last reading of a source that was recorded on a day."""

    as_of: int
    balance: int | None
    recorded_at: int


def _read_on(rows: Rows, key: Key, window: Range) -> dict[int, Read]:
    """By the day of its recording the last reading of each."""
    days = {"at_least": -window.last, "at_most": -window.first}
    on = {-row.newest: Read(*row[-3:]) for row in rows.scan(READINGS, *key, **days)}
    confirmed = sorted(
        (-row.newest, row.as_of, row.recorded_at) for row in rows.scan(CONFIRMED, *key, **days)
    )
    own = sorted(on)
    earlier = next(iter(rows.scan(READINGS, *key, at_least=-(window.first - 1))), None)
    for day, as_of, recorded_at in confirmed:
        index = bisect_right(own, day) - 1
        if index >= 0:
            again = Read(as_of, on[own[index]].balance, recorded_at)
            on[day] = max(on.get(day, again), again, key=lambda one: one.as_of)
        elif earlier is not None:
            on[day] = Read(as_of, earlier.balance, recorded_at)
    return on


def readings_of(rows: Rows, account: Account, since: int) -> list[tuple[int, Read]]:
    """The readings of an account from a day on, one for each day that it was read for, oldest first: the one that was
    recorded last. Of each source the days count for which it may be shown, as in `coverage_of`."""
    found: dict[int, Read] = {}
    for source, until, _ in reversed(_sources(rows, account)):
        on = _read_on(rows, (account.tenant, account.consumer, source), Range(since, LAST_DAY))
        for _, read in sorted(on.items()):
            day = utc_day(read.as_of)
            if day >= since and (until is None or day < until):
                found[day] = read
    return sorted(found.items())


class Drift(NamedTuple):
    """`status` says why the rest is None, where it is. Amounts are minor units, observed minus reconstructed."""

    status: str
    readings: int
    net: int | None = None
    largest: int | None = None
    day: int | None = None
    """The day of the reading with the largest one, the newest of several."""


def drift(readings: Sequence[Balance]) -> Drift:
    """The drift between readings, oldest first. Those without a balance are passed over with their rows."""
    known = [index for index, reading in enumerate(readings) if reading.balance is not None]
    if len(known) < 2:
        return Drift(TOO_FEW_READINGS if len(readings) < 2 else BALANCE_MISSING, len(known))
    found: list[tuple[int, int]] = []
    for index, following in zip(known, known[1:], strict=False):
        came = readings[index + 1 : following + 1]
        if any(reading.unknown for reading in came):
            return Drift(AMOUNT_MISSING, len(known))
        reconstructed = readings[following].balance - sum(reading.booked for reading in came)
        found.append((readings[index].balance - reconstructed, readings[index].day))
    largest, day = max(found, key=lambda one: (abs(one[0]), one[1]))
    return Drift(OK, len(known), sum(amount for amount, _ in found), largest, day)
