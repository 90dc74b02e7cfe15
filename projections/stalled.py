"""Consumers whose facts could not be read or folded any further, and where that began."""

from __future__ import annotations

from typing import NamedTuple

from domain.refusals import Corrupt
from projections.ports import Table

#: What a fact can do to whatever is made of it. Failures of the store are none of these.
POISON = (Corrupt, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class Stalled(NamedTuple):
    tenant: str
    consumer: str
    position: int
    """The fact that could not be projected. The consumer's later facts wait behind it."""
    reason: str
    """Machine-readable, without content."""


STALLED = Table("stalled", Stalled, key=2)
TABLES = (STALLED,)
