"""What of each account's months is transfers between the consumer's own accounts, on evidence.

It is found with the figures, in the months that these look back to, and told beside income and expense: a transfer is in
both of them, so that opening balance plus net is closing balance.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from domain.consumer_account import CASH_KINDS
from domain.insights.analysis import Analysis
from domain.insights.months import month_of
from projections.accounts import Account
from projections.ports import Rows, Table


class Transferred(NamedTuple):
    tenant: str
    consumer: str
    account: str
    since: int
    """The month from which on it is known."""
    months: bytes
    """Month, what came and what went in minor units, of each month that has any, as JSON."""


TRANSFERRED = Table("own_transfers", Transferred, key=3)
TABLES = (TRANSFERRED,)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[tuple[int, int, int]]).decode


def keep(rows: Rows, tenant: str, consumer: str, analysis: Analysis | None) -> None:
    """Write down what was found in all checking and savings accounts, also those that the figures leave out: the cash
    flow is of them too. Nothing of others, nor without an analysis."""
    wanted = {} if analysis is None else {row.account: row for row in _found(tenant, consumer, analysis)}
    for row in list(rows.scan(TRANSFERRED, tenant, consumer)):
        if wanted.get(row.account) == row:
            del wanted[row.account]
        elif row.account not in wanted:
            rows.delete(TRANSFERRED, *row[: TRANSFERRED.key])
    for row in wanted.values():
        rows.put(TRANSFERRED, row)


def _found(tenant: str, consumer: str, analysis: Analysis) -> Iterator[Transferred]:
    since = month_of(analysis.books.since)
    cash = (account for account in analysis.books.accounts if account.kind in CASH_KINDS)
    for account in cash:
        months: defaultdict[int, list[int]] = defaultdict(lambda: [0, 0])
        for row in account.rows:
            if analysis.is_between_own(row):
                months[month_of(row.day)][row.amount < 0] += row.amount
        found = [(month, came, went) for month, (came, went) in sorted(months.items())]
        yield Transferred(tenant, consumer, account.id, since, _encode(found))


class Known(NamedTuple):
    since: int | None
    """The month from which on it is known; None where it never was."""
    months: dict[int, tuple[int, int]]


def known_of(account: Account, rows: Rows) -> Known:
    held = rows.get(TRANSFERRED, account.tenant, account.consumer, account.id)
    if held is None:
        return Known(None, {})
    return Known(held.since, {month: (came, went) for month, came, went in _decode(held.months)})
