"""Consumers whose facts could not be read or folded any further, and where that began."""

from __future__ import annotations

from typing import NamedTuple

from projections.ports import Table


class Stalled(NamedTuple):
    tenant: str
    consumer: str
    position: int
    """The fact that could not be projected. The consumer's later facts wait behind it."""
    reason: str
    """Machine-readable, without content."""


STALLED = Table("stalled", Stalled, key=2)
TABLES = (STALLED,)
