"""Books: what insights are made of, put together from the rows of one consumer."""

from __future__ import annotations

from operator import itemgetter

import msgspec

from domain.categories.categorise import read_labels
from domain.consumer_account import CASH_KINDS, Owner
from domain.insights import books
from domain.insights.analysis import NOT_COUNTED
from domain.insights.books import Books, Reading, Row
from domain.insights.months import MONTH_MIN, first_day, month_of
from domain.row_details import PROCESSED, RowDetails
from projections import labelling, quality
from projections.accounts import ACCOUNTS, OBSERVED, Account, details_of, key_of
from projections.bodies import wording_in
from projections.cashflow import MONTHS
from projections.directory import CONSUMERS
from projections.health import HEALTH, Health
from projections.labels import label_root
from projections.pending import PENDING, Pending
from projections.ports import Rows
from projections.quality import LAST_DAY, Range
from projections.shown import ALL_TYPES, COUNTS, TRANSACTIONS, Transaction, booked_between
from projections.times import utc_day

#: How many months before that of the reference day are looked at, if nobody says.
MONTHS_BEFORE = 24
#: 1970-01-01: no reference day is earlier, so that there are days before it.
EPOCH_DAY = 0

_text = msgspec.json.Decoder(str | None).decode
_by_day = itemgetter(0, 1)


def books_of(
    rows: Rows, tenant: str, consumer: str, *, as_of: int | None = None, since: int | None = None
) -> Books | None:
    """The books of a consumer; None without the consumer. Takes as long as there are rows in them.

    The reference day is the day of the last reading, or the last day that something was booked on where nothing was
    ever read. They begin with the first day of the month 24 months before that.
    """
    known_at = _known_at(rows, tenant, consumer)
    if known_at is None:
        return None
    if as_of is None:
        as_of = _reference_day(rows, tenant, consumer, known_at)
    if since is None:
        since = default_since(as_of)
    accounts = list(rows.scan(ACCOUNTS, tenant, consumer))
    return Books(
        accounts=tuple(_account(account, rows, since) for account in accounts),
        as_of=as_of,
        known_at=known_at,
        since=since,
    )


def reference_day(rows: Rows, tenant: str, consumer: str) -> int | None:
    """The reference day of a consumer's books, if nobody says another; None without the consumer."""
    known_at = _known_at(rows, tenant, consumer)
    return None if known_at is None else _reference_day(rows, tenant, consumer, known_at)


def default_since(as_of: int) -> int:
    return first_day(max(month_of(as_of) - MONTHS_BEFORE, MONTH_MIN))


def _known_at(rows: Rows, tenant: str, consumer: str) -> int | None:
    """When the newest fact was recorded: of the accounts, or of a sync that found them as they were. None without the
    consumer."""
    observed = rows.get(OBSERVED, tenant, consumer)
    if observed is None:
        return None
    registered = rows.get(CONSUMERS, tenant, consumer)
    synced = (row.succeeded_at for row in rows.scan(HEALTH, tenant, consumer))
    known = (observed.recorded_at, None if registered is None else registered.created_at, *synced)
    return max((at for at in known if at is not None), default=0)


def _reference_day(rows: Rows, tenant: str, consumer: str, known_at: int) -> int:
    """A row that a bank dates ahead of its last reading does not move it."""
    accounts = list(rows.scan(ACCOUNTS, tenant, consumer))
    counted = [
        account for account in accounts if account.kind in CASH_KINDS and account.closed not in NOT_COUNTED
    ]
    for some in (counted, accounts):
        read = [utc_day(account.as_of) for account in some if account.as_of is not None]
        if read:
            return max(EPOCH_DAY, *read)
        booked = [days[1] for account in some if (days := quality.booked_days(rows, key_of(account.id)))]
        if booked:
            return max(EPOCH_DAY, *booked)
    return max(EPOCH_DAY, utc_day(known_at))


def booked_count(rows: Rows, tenant: str, consumer: str, since: int) -> int:
    """How many rows the books of a consumer hold from a day on, to the whole month."""
    return sum(
        row.count
        for account in rows.scan(ACCOUNTS, tenant, consumer)
        for row in rows.scan(COUNTS, key_of(account.id), ALL_TYPES, at_least=month_of(since))
    )


# Accounts


def _account(account: Account, rows: Rows, since: int) -> books.Account:
    details = details_of(account)
    key = key_of(account.id)
    booked = booked_between(rows, key, since, LAST_DAY)
    first_booked = _first_booked(rows, key)
    held = [row for row in (_row(found, account.id) for found in booked) if row is not None]
    held.sort(key=_by_day)
    pending = [_pending(row, account.id) for row in rows.scan(PENDING, key_of(account.source))]
    health: Health | None = rows.get(HEALTH, account.tenant, account.consumer, account.connection)
    return books.Account(
        id=account.id,
        kind=account.kind,
        currency=account.currency,
        exponent=account.exponent,
        name=details.name,
        iban=details.iban,
        number=details.number,
        usage=details.usage,
        owners=tuple(name for owner in details.owners if (name := _name_of(owner))),
        closed=account.closed,
        balance=account.balance,
        available=account.available,
        limit=account.limit,
        reserved=account.reserved,
        balance_as_of=account.as_of,
        transactions_as_of=_transactions_as_of(health, held),
        readings=tuple(
            Reading(day, read.recorded_at, read.balance)
            for day, read in quality.readings_of(rows, account, since)
            if read.balance is not None
        ),
        # From the very first: what had begun before the books begin is told by it. To the very last: balances are walked
        # back from the newest reading, however late.
        covered=tuple(map(tuple, _covered(rows, account, Range(0, LAST_DAY), held, first_booked))),
        rows=tuple(held),
        pending=tuple(sorted((row for row in pending if row is not None), key=_by_day)),
        unknown_days=tuple(sorted({row.booked_on for row in booked if row.amount is None})),
        first_booked=first_booked,
    )


def _name_of(owner: Owner) -> str:
    return owner.full_name or " ".join(name for name in (owner.first_name, owner.last_name) if name)


def _transactions_as_of(health: Health | None, held: list[Row]) -> int | None:
    """When the provider fetched them last, or else when we read them; of rows that somebody brought, when the last
    of them came."""
    if health is not None:
        return health.fetched_at or health.succeeded_at
    return max((row.seen_at for row in held), default=None)


def _first_booked(rows: Rows, key: bytes) -> int | None:
    days = quality.booked_days(rows, key)
    if sum(month.count for month in rows.scan(MONTHS, key)) == quality.booked_count(rows, key):
        return None if days is None else days[0]
    # Rows without an amount are in no month.
    return min(row.booked_on for row in rows.scan(TRANSACTIONS, key))


def _covered(
    rows: Rows, account: Account, window: Range, held: list[Row], first_booked: int | None
) -> list[Range]:
    """Of an account that nobody ever read a balance of, its rows say what is known."""
    ranges, span = quality.coverage_of(rows, account, window)
    if span is not None or first_booked is None or not held:
        return ranges
    return quality.clipped([Range(first_booked, held[-1].day)], window)


# Rows


def _row(row: Transaction, account: str) -> Row | None:
    """A booked row; None where it has no amount, or is said not to have been carried out."""
    said = labelling.read(row.more)
    if row.amount is None or said.state not in (None, PROCESSED):
        return None
    return Row(
        row.booked_on,
        row.id,
        account,
        row.amount,
        -row.newest,
        row.kind,
        _text(wording_in(row.body)) or "",
        row.root,
        read_labels(row.labels),
        *_other(said),
        row.seen_at,
    )


def _pending(row: Pending, account: str) -> Row | None:
    said = labelling.read(row.more)
    if row.amount is None or said.was_dropped:
        return None
    return Row(
        row.booked_on,
        row.id,
        account,
        row.amount,
        row.value_day,
        row.kind,
        row.wording or "",
        label_root(row.wording),
        read_labels(row.labels),
        *_other(said),
    )


def _other(said: RowDetails) -> tuple[str, str, str]:
    """The other side's account, its name, and the reference from end to end."""
    side = said.counterparty
    if side is None:
        return "", "", said.end_to_end or ""
    return side.account, side.name or "", said.end_to_end or ""
