"""The sources of an account, as they are told: where its rows come from, and which of them are shown."""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

from projections import linking, merging
from projections.accounts import ACCOUNTS, key_of
from projections.cashflow import MONTHS, days_of
from projections.linking import Link
from projections.merging import TOLD, Part
from projections.ports import Rows
from projections.shown import ALL_TYPES, COUNTS, TRANSACTIONS


class Source(NamedTuple):
    id: str
    """The same as the account's for the source that it began with, which nothing can be taken out of."""
    connection: str
    """The connection that feeds it, or fed it last."""
    reference: str
    """A digest of the provider's reference: it tells two of them apart and shows neither. Empty without a link."""
    linked: int
    """Where in the log it was linked to the account; where it was discovered, without a link."""
    evidence: str
    """Why it was linked: `iban`, `number_and_bank` or `none`."""
    is_fed: bool
    """A connection brings its rows still."""
    closed: str | None
    """Why it is closed; None if it is open."""
    is_leading: bool
    first_day: int | None
    """The first day on which a row of its own was booked, since 1970-01-01; None without rows."""
    last_day: int | None
    shown: int
    """How many of its booked rows are shown."""


def sources_of(rows: Rows, tenant: str, consumer: str, account: str) -> list[Source]:
    """The sources of an account in the order in which they are shown, the leading one first; none without the account.

    Of an account with several sources their rows are counted anew, so that it takes longer the more there are.
    """
    held = rows.get(ACCOUNTS, tenant, consumer, account)
    if held is None:
        return []
    members = {source.id: source for source in linking.members_of(rows, tenant, consumer, account)}
    parts = merging.parts_in(rows, tenant, consumer, account) or [Part(account, 0, None)]
    return [_source(rows, members[part.source], part, held.source) for part in parts]


def _source(rows: Rows, source: linking.Source, part: Part, leading: str) -> Source:
    links = list(linking.links_of(rows, source))
    first: Link | None = links[0] if links else None
    first_day, last_day, shown = (_of_apart if source.apart else _of_plain)(rows, key_of(source.id), part)
    return Source(
        id=source.id,
        connection=source.connection,
        reference="" if not links else _digest(links[-1].reference),
        linked=source.position if first is None else first.position,
        evidence="none" if first is None else first.evidence,
        is_fed=any(not link.ended for link in links),
        closed=source.closed,
        is_leading=source.id == leading,
        first_day=first_day,
        last_day=last_day,
        shown=shown,
    )


def _digest(reference: str) -> str:
    return blake2b(reference.encode(), digest_size=8).hexdigest()


def _of_plain(rows: Rows, key: bytes, part: Part) -> tuple[int | None, int | None, int]:
    """First day, last day and number of the rows of a source that is all of its account."""
    total = sum(row.count for row in rows.scan(COUNTS, key, ALL_TYPES))
    months = list(rows.scan(MONTHS, key))
    if sum(month.count for month in months) == total:
        days = [days_of(month) for month in months]
        return (days[0][0].day, days[-1][-1].day, total) if days else (None, None, 0)
    # Rows without an amount are in no month.
    booked = [row.booked_on for row in rows.scan(TRANSACTIONS, key)]
    return min(booked), max(booked), total


def _of_apart(rows: Rows, key: bytes, part: Part) -> tuple[int | None, int | None, int]:
    booked = [row.booked_on for row in rows.scan(TOLD, key)]
    shown = sum(part.until is None or day < part.until for day in booked)
    return (booked[0], booked[-1], shown) if booked else (None, None, 0)
