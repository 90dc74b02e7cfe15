"""Readings that found a balance as it was. They are told by the connection, and forgotten with it."""

from __future__ import annotations

from typing import NamedTuple

from domain import streams
from domain.data_connection import SyncSucceeded
from domain.fact import Recorded
from projections.erasure import forgotten, stream_of
from projections.linking import Source
from projections.ports import Rows, Table
from projections.times import micros, utc_day


class Confirmed(NamedTuple):
    """A later reading found the balance as it was."""

    tenant: str
    consumer: str
    source: str
    newest: int
    """Minus the UTC day on which it was recorded, as days since 1970-01-01: a forward scan gives the newest first."""
    connection: str
    """The connection that said so: with that it is forgotten."""
    as_of: int
    recorded_at: int


CONFIRMED = Table("source_confirmed", Confirmed, key=5)
TABLES = (CONFIRMED,)


def project(recorded: Recorded, rows: Rows) -> None:
    """Fold one fact into the confirmations."""
    stream, gone = stream_of(recorded.stream), forgotten(recorded)
    if gone is None:
        if isinstance(recorded.fact, SyncSucceeded):
            at = micros(recorded.recorded_at)
            day = -utc_day(at)
            for source, as_of in recorded.fact.confirmed.items():
                rows.put(CONFIRMED, Confirmed(*stream[:2], source, day, stream.id, micros(as_of), at))
        return
    match gone.aggregate:
        case streams.CONSUMER:
            rows.delete(CONFIRMED, gone.tenant, gone.consumer)
        case streams.CONSUMER_ACCOUNT:
            rows.delete(CONFIRMED, gone.tenant, gone.consumer, gone.id)
        case streams.DATA_CONNECTION:
            for row in list(rows.scan(CONFIRMED, gone.tenant, gone.consumer)):
                if row.connection == gone.id:
                    rows.delete(CONFIRMED, *row[: CONFIRMED.key])


def read_at(source: Source, rows: Rows) -> int | None:
    """When the provider read the balance of a source last, whether it had moved or not; None before it ever did."""
    newest = next(iter(rows.scan(CONFIRMED, source.tenant, source.consumer, source.id)), None)
    return max((at for at in (source.as_of, newest and newest.as_of) if at is not None), default=None)
