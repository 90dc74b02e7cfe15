"""Stored facts as they lie in a log, and how they are handed to projections."""

from __future__ import annotations

from typing import NamedTuple

from adapters.event_log.mapper import KEY_MISSING, SealedMapper, Unreadable
from application.ports import KeyMissing
from domain.fact import Recorded
from projections import ports as projections


class Row(NamedTuple):
    """A stored fact as it lies there, for whoever audits it."""

    position: int
    stream: str
    version: int
    name: str
    state: bytes
    leaf: bytes | None
    """As it was stored with the fact; None if it is gone."""


class Tally(NamedTuple):
    """How much there is. In a whole log all three are equal: positions have no gaps."""

    events: int
    leaves: int
    last_position: int
    """The last position ever given out, also if what stood there is gone."""


def opened(mapper: SealedMapper, row: Row) -> Recorded | projections.Unreadable:
    """A fact for projections, which go on behind one that cannot be read."""
    try:
        return mapper.open(row.stream, row.version, row.name, row.state, row.position)
    except Unreadable as error:
        reason = error.reason
    except KeyMissing:
        reason = KEY_MISSING
    return projections.Unreadable(
        stream=row.stream, version=row.version, position=row.position, name=row.name, reason=reason
    )
