"""Which facts leave nothing of a stream behind.

A read model that was kept up to date read the facts of a stream before its key was destroyed; one that is
rebuilt finds `Erased` in their place. Both must end with the same rows: none.
"""

from __future__ import annotations

from functools import lru_cache

from domain import streams
from domain.consumer import ConsumerErased
from domain.consumer_account import DESTROYING, AccountClosed
from domain.data_connection import ConnectionDeleted
from domain.fact import Erased, Recorded
from domain.streams import Stream

#: The stream that a fact belongs to, split.
stream_of = lru_cache(maxsize=4_096)(streams.parse)


def forgotten(recorded: Recorded) -> Stream | None:
    """The stream that nothing is left of after this fact; None if the fact erases nothing."""
    match recorded.fact:
        case Erased() | ConsumerErased() | ConnectionDeleted():
            return stream_of(recorded.stream)
        case AccountClosed(reason=reason) if reason in DESTROYING:
            return stream_of(recorded.stream)
    return None
