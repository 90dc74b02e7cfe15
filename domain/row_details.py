"""What a row says beside its amount, its days and its wording: the other side, references, what its bringer stated.

A fact keeps these under the names that its source gave them, in `Transaction.fields`. Here they have one name each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

#: The states that a client may give a row that it brings. One that is not processed is in no figure.
PROCESSED, PENDING, CANCELED, FAILED, UNKNOWN = "PROCESSED", "PENDING", "CANCELED", "FAILED", "UNKNOWN"


class Counterparty(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The other side of a row, as far as it is given."""

    iban: str | None = None
    number: str | None = None
    bic: str | None = None
    bank_code: str | None = None
    name: str | None = None
    country: str | None = None

    @property
    def account(self) -> str:
        """An IBAN, or else a number, in capitals and without spaces; empty where there is neither."""
        return "".join((self.iban or self.number or "").split()).upper()


class RowDetails(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    counterparty: Counterparty | None = None
    reference: str | None = None
    """What the bank sends on as the purpose, where it is kept apart from the wording."""
    unstructured: str | None = None
    structured: str | None = None
    end_to_end: str | None = None
    code: str | None = None
    sub_code: str | None = None
    code_description: str | None = None
    method: str | None = None
    """`TRANSFER`, `DIRECT_DEBIT`, `INSTANT` or `UNKNOWN`, as it was stated."""
    state: str | None = None
    """As it was stated."""
    category_ids: tuple[str, ...] = ()
    """As they were stated."""
    labels: Mapping[str, str] = {}
    """What a client calls it."""


NOTHING = RowDetails()


def details_in(fields: Mapping[str, Any]) -> RowDetails:
    """What the provider's fields of a row say; `NOTHING` where they say none of it."""
    raise NotImplementedError
