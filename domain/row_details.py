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
    category_tag_ids: tuple[str, ...] = ()
    """As they were stated; listed, and used for nothing."""
    labels: Mapping[str, str] = {}
    """What a client calls it."""

    @property
    def was_dropped(self) -> bool:
        """It was said that it will never be booked: it is listed to whoever brought it, and to nobody else."""
        return self.state in (CANCELED, FAILED)


NOTHING = RowDetails()
NOBODY = Counterparty()


#: The fields that say any of it: Budget Insight's first, then those that a client brings rows under.
FIELDS = (
    "counterparty",
    "counter_party",
    "bank_references",
    "bank_transaction_code",
    "reference",
    "method",
    "state",
    "category_ids",
    "category_tag_ids",
    "labels",
)
STATES = frozenset({PROCESSED, PENDING, CANCELED, FAILED, UNKNOWN})

#: How Budget Insight names the kinds of account numbers that are not IBANs. Those of cards are no accounts.
_NUMBER_SCHEMES = frozenset({"bban", "sort_code_account_number"})
#: What banks send where there is no reference from end to end: it says nothing.
_NO_REFERENCE = frozenset({"NOTPROVIDED", "NOT PROVIDED", "NONREF", "NONE"})


def details_in(fields: Mapping[str, Any]) -> RowDetails:
    """What the provider's fields of a row say; `NOTHING` where they say none of it.

    Whatever is not of the shape that is expected is left out.
    """
    references, code = _mapping(fields.get("bank_references")), _mapping(fields.get("bank_transaction_code"))
    state = _text(fields.get("state"))
    end_to_end = _text(references.get("end_to_end"))
    return RowDetails(
        counterparty=_counterparty(fields),
        reference=_text(fields.get("reference")),
        unstructured=_text(references.get("unstructured")),
        structured=_text(references.get("structured")),
        end_to_end=None if end_to_end is None or end_to_end.upper() in _NO_REFERENCE else end_to_end,
        code=_text(code.get("code")),
        sub_code=_text(code.get("sub_code")),
        code_description=_text(code.get("description")),
        method=_text(fields.get("method")),
        # Budget Insight has a field of this name that says something else.
        state=state if state in STATES else None,
        category_ids=_texts(fields.get("category_ids")),
        category_tag_ids=_texts(fields.get("category_tag_ids")),
        labels={
            name: value
            for name, value in _mapping(fields.get("labels")).items()
            if isinstance(name, str) and isinstance(value, str)
        },
    )


def _counterparty(fields: Mapping[str, Any]) -> Counterparty | None:
    """As a client gives it, or else as Budget Insight does; None where neither says anything."""
    brought = _mapping(fields.get("counter_party"))
    given = _mapping(fields.get("counterparty"))
    scheme, account = _text(given.get("account_scheme_name")), _text(given.get("account_identification"))
    scheme = "" if scheme is None else scheme.lower()
    found = Counterparty(
        iban=_text(brought.get("iban")) or (account if scheme == "iban" else None),
        number=_text(brought.get("account_number")) or (account if scheme in _NUMBER_SCHEMES else None),
        bic=_text(brought.get("bic")),
        bank_code=_text(brought.get("bank_code")),
        name=_text(brought.get("holder_name")) or _text(given.get("label")),
        country=_text(_mapping(brought.get("holder_address")).get("country")),
    )
    return None if found == NOBODY else found


def _mapping(given: Any) -> Mapping[Any, Any]:
    return given if isinstance(given, Mapping) else {}


def _text(given: Any) -> str | None:
    """Text, where there is some."""
    return given.strip() or None if isinstance(given, str) else None


def _texts(given: Any) -> tuple[str, ...]:
    texts = map(_text, given) if isinstance(given, list | tuple) else ()
    return tuple(text for text in texts if text is not None)
