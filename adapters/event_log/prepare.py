"""What is done of an append before it comes to writing: numbering, sealing, hashing."""

from __future__ import annotations

from typing import NamedTuple

from eventsourcing.persistence import StoredEvent

from adapters.event_log.mapper import SealedMapper
from adapters.event_log.recorder import leaf_of
from application.ports import Append


class Prepared(NamedTuple):
    """An append with its facts sealed for their places, in order, and their leaves."""

    append: Append
    events: list[StoredEvent]
    leaves: list[bytes]


def prepare(append: Append, mapper: SealedMapper) -> Prepared:
    """Seal the facts of an append.

    Raises:
        Unwritable, KeyDestroyed, LogUnavailable.
    """
    events = [
        mapper.seal(change.stream, version, fact, append.recorded_at, append.context)
        for change in append.changes
        for version, fact in enumerate(change.facts, change.expected_version + 1)
    ]
    return Prepared(append, events, [leaf_of(event) for event in events])
