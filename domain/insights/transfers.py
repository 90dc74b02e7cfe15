"""Transfers between a consumer's own accounts: on evidence, or merely alike."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec

from domain.categories.categorise import LETTERS_MAX, RULES, is_transfer
from domain.categories.vocabulary import OWN_TRANSFERS
from domain.categories.words import words_of
from domain.consumer_account import SAVINGS
from domain.insights.books import Account, Row

#: The most days between the bookings of both sides.
DAYS_MAX = 3

# What a pair rests on. The last is no evidence, and excludes nothing.
IBAN = "iban"
END_TO_END = "end_to_end"
WORDINGS = "wordings"
LOOK_ALIKE = "amount_and_date"

#: An IBAN has so many letters and digits at least: nothing else in a wording is taken for one. Source: ISO 13616.
_IBAN_MIN = 15
#: A holder is known by so many names at least: a family's alone is also a shop's.
_NAMES_MIN = 2
#: What stands in the field of an end-to-end reference where there is none. Source: ISO 20022.
_NO_REFERENCES = frozenset({"", "NOTPROVIDED", "NOT PROVIDED", "NONE"})


class Pair(NamedTuple):
    out: bytes
    """The row that leaves one account."""
    into: bytes
    """The row that comes into another."""
    evidence: str


class Transfers(msgspec.Struct, frozen=True, dict=True):
    pairs: tuple[Pair, ...] = ()
    suggestions: tuple[Pair, ...] = ()
    """Pairs of which only amount and date agree: they are never left out of a figure."""

    @cached_property
    def ids(self) -> frozenset[bytes]:
        """The rows of both sides of all pairs."""
        return frozenset(id for pair in self.pairs for id in pair[:2])


class _Side(NamedTuple):
    """A row that may be one side of a transfer."""

    row: Row
    amount: tuple[str, int]
    """The currency, and how much of it."""
    target: str | None
    """The other account of the consumer that the row names as the other side."""
    names_outsider: bool
    """Whether the row names an account as the other side that is not the consumer's, as far as is known."""
    says_so: bool
    """Whether the row says that it is between own accounts."""


#: What two sides must share to be a pair; None of a side that cannot be in one.
_Key = Callable[[_Side], Hashable | None]


def transfers_between(accounts: Sequence[Account], as_of: int | None = None) -> Transfers:
    """Pair rows of different accounts that are each other's opposite, in one currency, up to `DAYS_MAX` days apart.

    Each row is in one pair at most. The strongest evidence goes first: both sides name the other's account, one
    does and the other nobody's, one does and the other an outsider's, both bear one end-to-end reference, both say
    that they are between own accounts. Within one the nearest days go first, then the order of ids; so the order of
    rows and accounts does not matter. Rows after `as_of` are not looked at.
    """
    if sum(bool(account.rows) for account in accounts) < 2:
        return Transfers()
    sides = list(_sides(accounts, as_of))
    outs = [side for side in sides if side.row.amount < 0]
    ins = [side for side in sides if side.row.amount > 0]
    taken: set[bytes] = set()
    found: list[Pair] = []
    for evidence, key_of_out, key_of_in in _RULES:
        leaving = _by_key(outs, key_of_out, taken)
        coming = _by_key(ins, key_of_in, taken)
        pairs = [
            pair
            for key in leaving.keys() & coming.keys()
            for pair in _matched(evidence, leaving[key], coming[key])
        ]
        taken.update(id for pair in pairs for id in pair[:2])
        found += pairs
    return Transfers(
        pairs=tuple(sorted(pair for pair in found if pair.evidence != LOOK_ALIKE)),
        suggestions=tuple(sorted(pair for pair in found if pair.evidence == LOOK_ALIKE)),
    )


def _sides(accounts: Sequence[Account], as_of: int | None) -> Iterator[_Side]:
    """The rows that have an opposite: most amounts come only once, and only one way."""
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for account in accounts:
        for name in (account.iban, account.number):
            if name:
                owners[_plain(name)].add(account.id)
    holders = _holders(accounts)
    amounts = {(account.currency, row.amount) for account in accounts for row in account.rows}
    for account in accounts:
        for row in account.rows:
            if not row.amount or (account.currency, -row.amount) not in amounts:
                continue
            if as_of is None or row.day <= as_of:
                yield _Side(
                    row=row,
                    amount=(account.currency, abs(row.amount)),
                    target=_target_of(row, owners),
                    names_outsider=bool(row.other) and _plain(row.other) not in owners,
                    says_so=_says_so(row, account, holders),
                )


def _target_of(row: Row, owners: Mapping[str, set[str]]) -> str | None:
    """The other account of the consumer that a row names: as the other side, else by an IBAN in its wording."""
    if row.other:
        named = owners.get(_plain(row.other), set())
    else:
        wording = _plain(row.wording[:LETTERS_MAX])
        ibans = (ids for name, ids in owners.items() if len(name) >= _IBAN_MIN and name in wording)
        named = set().union(*ibans) - {row.account}
    # A number that two accounts bear names neither.
    target = next(iter(named)) if len(named) == 1 else None
    return None if target == row.account else target


def _holders(accounts: Iterable[Account]) -> set[frozenset[str]]:
    """The names of each holder, titles left out."""
    found = (
        frozenset(name for name in words_of(owner) if len(name) > 1 and name not in RULES.titles)
        for account in accounts
        for owner in account.owners
    )
    return {names for names in found if len(names) >= _NAMES_MIN}


def _says_so(row: Row, account: Account, holders: Iterable[frozenset[str]]) -> bool:
    """Whether a row says that it is between own accounts: by its label, or because it names a holder in full.

    A transfer of a savings account says so too, unless it is known to be something else: such an account pays nobody.
    """
    if row.has_any(OWN_TRANSFERS):
        return True
    if not row.labels and account.kind == SAVINGS and is_transfer(row.wording, row.kind):
        return True
    if not holders:
        return False
    said = frozenset(words_of(f"{row.wording[:LETTERS_MAX]} {row.other_name}"))
    return any(names <= said for names in holders)


def _plain(name: str) -> str:
    return "".join(name.split()).upper()


# What both sides must share, by evidence


def _named_out(side: _Side) -> Hashable | None:
    return (side.amount, side.row.account, side.target) if side.target else None


def _named_in(side: _Side) -> Hashable | None:
    return (side.amount, side.target, side.row.account) if side.target else None


def _towards_target(side: _Side) -> Hashable | None:
    return (side.amount, side.target) if side.target else None


def _names_nobody(side: _Side) -> Hashable | None:
    return None if side.target or side.names_outsider else (side.amount, side.row.account)


def _names_outsider(side: _Side) -> Hashable | None:
    return (side.amount, side.row.account) if side.names_outsider else None


def _with_reference(side: _Side) -> Hashable | None:
    reference = side.row.end_to_end.strip().upper()
    return None if reference in _NO_REFERENCES else (side.amount, reference)


def _with_wording(side: _Side) -> Hashable | None:
    return side.amount if side.says_so else None


def _with_amount(side: _Side) -> Hashable | None:
    return side.amount


_RULES: tuple[tuple[str, _Key, _Key], ...] = (
    (IBAN, _named_out, _named_in),
    (IBAN, _towards_target, _names_nobody),
    (IBAN, _names_nobody, _towards_target),
    (IBAN, _towards_target, _names_outsider),
    (IBAN, _names_outsider, _towards_target),
    (END_TO_END, _with_reference, _with_reference),
    (WORDINGS, _with_wording, _with_wording),
    (LOOK_ALIKE, _with_amount, _with_amount),
)


def _by_key(sides: Iterable[_Side], key_of: _Key, taken: set[bytes]) -> dict[Hashable, list[Row]]:
    groups: defaultdict[Hashable, list[Row]] = defaultdict(list)
    for side in sides:
        if side.row.id not in taken and (key := key_of(side)) is not None:
            groups[key].append(side.row)
    return groups


def _matched(evidence: str, outs: Iterable[Row], ins: Iterable[Row]) -> Iterator[Pair]:
    """Pair rows that share a key."""
    coming = _Coming(ins)
    leaving = sorted(outs, key=lambda row: row.id)
    for distance in range(DAYS_MAX + 1):
        left = []
        for out in leaving:
            into = coming.take(out, distance)
            if into is None:
                left.append(out)
            else:
                yield Pair(out.id, into.id, evidence)
        leaving = left


class _Coming:
    """The rows that come in, by day and account: few looks per row, however many are alike."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._days: dict[int, dict[str, deque[Row]]] = {}
        for row in sorted(rows, key=lambda row: row.id):
            self._days.setdefault(row.day, {}).setdefault(row.account, deque()).append(row)

    def take(self, out: Row, distance: int) -> Row | None:
        """The first by id of those so many days apart from a row, on another account."""
        heads = [
            rows
            for day in {out.day - distance, out.day + distance}
            for account, rows in self._days.get(day, {}).items()
            if rows and account != out.account
        ]
        return min(heads, key=lambda rows: rows[0].id).popleft() if heads else None
