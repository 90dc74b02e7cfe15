"""Refunds: credits that give back an earlier debit of the same counterparty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from domain.insights.books import Row

#: The most days between a debit and its refund.
DAYS_MAX = 90


class Refunds(msgspec.Struct, frozen=True):
    debits: Mapping[bytes, bytes] = {}
    """By the id of the credit that of the debit."""


def refunds_in(rows: Iterable[Row]) -> Refunds:
    """Match credits to earlier debits that are at least as large."""
    raise NotImplementedError
