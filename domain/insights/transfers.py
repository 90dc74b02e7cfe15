"""Transfers between a consumer's own accounts: on evidence, or merely alike."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec

from domain.insights.books import Account

#: The most days between the bookings of both sides.
DAYS_MAX = 3

# What a pair rests on. The last is no evidence, and excludes nothing.
IBAN = "iban"
END_TO_END = "end_to_end"
WORDINGS = "wordings"
LOOK_ALIKE = "amount_and_date"


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


def transfers_between(accounts: Sequence[Account]) -> Transfers:
    """Pair the rows of different accounts that are each other's opposite."""
    raise NotImplementedError
