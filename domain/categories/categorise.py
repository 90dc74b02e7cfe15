"""Which labels a row has, and the rule that gave each."""

from __future__ import annotations

from typing import NamedTuple


class Label(NamedTuple):
    """A label of a row."""

    name: str
    """One of `vocabulary.LABELS`."""
    rule: str
    """The rule that gave it, such as `fr.wage.salaire`; `stated` where whoever brought the row said so."""
    brand: str = ""
    """Whom the rule knows by name: a lender, a shop; empty where it knows the kind alone."""


def labels_of(
    wording: str | None, kind: str = "unknown", amount: int | None = None, counterparty: str = ""
) -> tuple[Label, ...]:
    """The labels of a row, the most telling one first; none is a value.

    `kind` is the provider's type, raw; `amount` is signed; `counterparty` is the name of the other side. Takes less
    than a millisecond, whatever the wording is.
    """
    raise NotImplementedError
