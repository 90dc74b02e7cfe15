"""Refunds: credits that give back an earlier debit of the same counterparty."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from domain.categories.vocabulary import BENEFIT, INCIDENT, INCOME, LABELS, LOAN, TRANSFER
from domain.insights.books import Row
from domain.insights.wordings import counterparty_root

#: The most days between a debit and its refund.
DAYS_MAX = 90
#: A shorter name is the name of nobody.
LETTERS_MIN = 3
#: No more debits are looked at per credit: a shop may have thousands of both.
LOOKS_MAX = 256

#: Credits of these labels are something else, whoever they come from: a wage from the shop one buys at, a gain.
_NO_REFUNDS = frozenset(
    {name for name, kind in LABELS.items() if kind.group in (INCOME, BENEFIT, LOAN, TRANSFER, INCIDENT)}
    | {"CASH_DEPOSIT", "CHECK_DEPOSIT", "GAMBLING_GAIN"}
)
#: Debits that nobody refunds: what was taken out in cash, or put aside.
_NOT_REFUNDED = frozenset({"CASH_WITHDRAWAL", "CHECK", "SAVING", "TRANSFER"})


_Key = tuple[str | int, ...]
"""The account, what tells the other side, and perhaps an amount."""


class Refunds(msgspec.Struct, frozen=True):
    debits: Mapping[bytes, bytes] = {}
    """By the id of the credit that of the debit."""


def refunds_in(rows: Iterable[Row]) -> Refunds:
    """Match credits to earlier debits of the same account and counterparty, up to `DAYS_MAX` days before.

    The same counterparty is the same account of the other side, or the same brand, or the same name in the wording,
    the surest first. Of several debits one of equal amount goes first, then the latest, then the last by id. A debit
    may be given back in parts, and no more than it was. The order of rows does not matter.
    """
    held = sorted(rows, key=lambda row: (row.day, row.id))
    debits: defaultdict[_Key, list[Row]] = defaultdict(list)
    left: dict[bytes, int] = {}
    for row in held:
        if row.amount < 0 and not row.has_any(_NOT_REFUNDED):
            left[row.id] = -row.amount
            for key in _keys(row):
                debits[key].append(row)
                debits[*key, -row.amount].append(row)
    found: dict[bytes, bytes] = {}
    for credit in held:
        if credit.amount > 0 and not credit.has_any(_NO_REFUNDS):
            debit = _debit_of(credit, debits, left)
            if debit is not None:
                left[debit.id] -= credit.amount
                found[credit.id] = debit.id
    return Refunds(found)


def _debit_of(credit: Row, debits: Mapping[_Key, list[Row]], left: Mapping[bytes, int]) -> Row | None:
    for key in _keys(credit):
        for candidates in (debits.get((*key, credit.amount), ()), debits.get(key, ())):
            debit = _latest(candidates, credit, left)
            if debit is not None:
                return debit
    return None


def _latest(debits: Sequence[Row], credit: Row, left: Mapping[bytes, int]) -> Row | None:
    """The latest debit up to the day of a credit of which so much is left."""
    end = bisect_right(debits, credit.day, key=lambda row: row.day)
    for debit in reversed(debits[max(0, end - LOOKS_MAX) : end]):
        if credit.day - debit.day > DAYS_MAX:
            return None
        if left[debit.id] >= credit.amount:
            return debit
    return None


def _keys(row: Row) -> Iterator[_Key]:
    """What tells the other side of a row, the surest first."""
    if row.other:
        yield row.account, "other", row.other
    brand = row.brand
    if brand:
        yield row.account, "brand", brand
    name = counterparty_root(row.wording)
    if len(name) - name.count(" ") >= LETTERS_MIN:
        yield row.account, "name", name
