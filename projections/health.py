"""Health of each connection: how its last runs ended, what is known of its consent, whether it is silent.

A connection that is to be looked at by schedule, or to be announced, stands in a table in the order of the moment
when that is due, so that nobody has to go through all of them. Status and reason are the directory's.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from domain import health, streams
from domain.data_connection import (
    CONNECTED,
    CONSENT_NOTICES,
    SILENT_AFTER,
    ConnectionConnected,
    ConnectionSilent,
    ConsentExpiring,
    SyncFailed,
    SyncSucceeded,
)
from domain.fact import Recorded
from domain.health import CONSENT_EXPIRING, SILENT, Remedy
from domain.streams import Stream
from projections.directory import CONNECTIONS, PENDING_SYNCS, PROVIDERS, DataConnection, Provider
from projections.erasure import forgotten, stream_of
from projections.ports import Index, Rows, Table
from projections.stalled import STALLED
from projections.times import MICROSECOND, micros

HOUR = timedelta(hours=1) // MICROSECOND
DAY = 24 * HOUR
SILENCE = SILENT_AFTER // MICROSECOND
#: A connection that failed is looked at again after an hour, doubled with each further failure.
RETRY_AFTER = HOUR
#: Doubled more often than this it is longer than any interval.
DOUBLINGS_MAX = 10

#: Kinds of announcements.
CONSENT = "consent"


class Health(NamedTuple):
    """Of one connection. Times are microseconds since 1970; None where there is nothing to tell yet."""

    tenant: str
    consumer: str
    connection: str
    stream: str
    provider: str
    status: str
    """As in the directory."""
    connected_at: int | None = None
    succeeded_at: int | None = None
    """When the last run that succeeded was recorded."""
    failed_at: int | None = None
    failure_status: str | None = None
    failure_reason: str | None = None
    failures: int = 0
    """Runs that failed since the last one that succeeded, and since the person authorised it last."""
    looked_at: int | None = None
    """When the last run ended, however."""
    origin: str | None = None
    """Why that was: `client`, `webhook` or `schedule`; None where it is not recorded."""
    fetched_at: int | None = None
    """When the provider fetched from the bank last, as it says."""
    failing_sources: str = ""
    """Reasons, separated by spaces."""
    consent_expires_at: int | None = None
    consent_notice: int | None = None
    """The last notice given of this expiry, in days ahead of it."""
    silent_since: int | None = None
    """When the alarm was raised that stands."""
    reconciled_at: int | None = None
    """When the recent window of every account was read last."""


class Waiting(NamedTuple):
    """A connection that is connected, at a moment from which follows when it is to be looked at."""

    tenant: str
    provider: str
    kind: str
    """`LOOKED`: `at` is `since`; `RETRY`: the last look failed, and is to be repeated then."""
    at: int
    consumer: str
    connection: str
    since: int
    """When it was looked at last, or else connected."""
    stream: str


class Announcement(NamedTuple):
    """What there is to be announced of a connection from a moment on, unless something comes before."""

    at: int
    tenant: str
    consumer: str
    connection: str
    kind: str
    until: int | None
    """From then on it is too late."""
    stream: str


class Tally(NamedTuple):
    status: str
    count: int
    """How many connections are in this status, of all tenants."""


LOOKED, RETRY = "looked", "retry"
#: Of a connection before its first fact.
NO_STATUS = ""

HEALTH = Table(
    "connection_health",
    Health,
    key=3,
    indices=(
        # Of each status, how many there are of which something is so.
        Index("by_failures", ("status", "failures")),
        Index("by_fetch", ("status", "fetched_at")),
        Index("by_consent", ("status", "consent_expires_at")),
    ),
)
WAITING = Table("waiting_connections", Waiting, key=6)
ANNOUNCEMENTS = Table("announcements", Announcement, key=5)
TALLIES = Table("connection_tallies", Tally, key=1)
TABLES = (HEALTH, WAITING, ANNOUNCEMENTS, TALLIES)

# Facts


def project(recorded: Recorded, rows: Rows) -> None:
    """Fold one fact into the health of its connection. The directory has folded it already."""
    gone = forgotten(recorded)
    if gone is not None:
        _forget(gone, rows)
        return
    stream = stream_of(recorded.stream)
    if stream.aggregate != streams.DATA_CONNECTION:
        return
    connection = rows.get(CONNECTIONS, stream.tenant, stream.consumer, stream.id)
    if connection is None:
        return
    before = rows.get(HEALTH, stream.tenant, stream.consumer, stream.id)
    if before is None:
        before = Health(*connection[:3], recorded.stream, connection.provider, NO_STATUS)
    after = _after(before, recorded)._replace(status=connection.status)
    if after != before:
        rows.put(HEALTH, after)
        _move(WAITING, _waiting(before), _waiting(after), rows)
        _move(ANNOUNCEMENTS, _announcements(before), _announcements(after), rows)
        _tally(before.status, after.status, rows)


def _after(held: Health, recorded: Recorded) -> Health:
    at = micros(recorded.recorded_at)
    match recorded.fact:
        case ConnectionConnected():
            return held._replace(
                connected_at=at,
                failures=0,
                fetched_at=None,
                silent_since=None,
                consent_expires_at=None,
                consent_notice=None,
            )
        case SyncSucceeded() as fact:
            return _succeeded(held, fact, at)
        case SyncFailed() as fact:
            return held._replace(
                failed_at=at,
                failure_status=fact.status,
                failure_reason=fact.reason,
                failures=held.failures + 1,
                looked_at=at,
                origin=fact.origin or None,
            )
        case ConsentExpiring(days_left=days_left):
            return held._replace(consent_notice=days_left)
        case ConnectionSilent():
            return held._replace(silent_since=at)
    return held


def _succeeded(held: Health, fact: SyncSucceeded, at: int) -> Health:
    fetched_at = _micros(fact.fetched_at)
    spoke = fetched_at is not None and (held.fetched_at is None or fetched_at > held.fetched_at)
    expires_at = _micros(fact.consent_expires_at)
    return held._replace(
        succeeded_at=at,
        failures=0,
        looked_at=at,
        origin=fact.origin or None,
        fetched_at=held.fetched_at if fetched_at is None else fetched_at,
        failing_sources=" ".join(fact.failing_sources),
        consent_expires_at=held.consent_expires_at if expires_at is None else expires_at,
        consent_notice=held.consent_notice if expires_at in (None, held.consent_expires_at) else None,
        silent_since=None if spoke else held.silent_since,
        reconciled_at=_micros(fact.reconciled_at) or held.reconciled_at,
    )


def _micros(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def _waiting(held: Health) -> list[Waiting]:
    """Where a connection stands among those that wait to be looked at."""
    since = held.connected_at if held.looked_at is None else held.looked_at
    if held.status != CONNECTED or since is None:
        return []
    moments = {LOOKED: since}
    if held.failures:
        moments[RETRY] = since + _retry_after(held.failures)
    return [
        Waiting(held.tenant, held.provider, kind, at, held.consumer, held.connection, since, held.stream)
        for kind, at in moments.items()
    ]


def _retry_after(failures: int) -> int:
    return RETRY_AFTER << min(failures - 1, DOUBLINGS_MAX)


def _announcements(held: Health) -> list[Announcement]:
    """What is to be announced of a connection, at the moments from which the domain would say so."""
    left = [days for days in CONSENT_NOTICES if held.consent_notice is None or days < held.consent_notice]
    if held.status != CONNECTED or held.consent_expires_at is None or not left:
        return []
    at = held.consent_expires_at - max(left) * DAY
    until = held.consent_expires_at
    return [Announcement(at, held.tenant, held.consumer, held.connection, CONSENT, until, held.stream)]


def _move(
    table: Table,
    before: list[Waiting] | list[Announcement],
    after: list[Waiting] | list[Announcement],
    rows: Rows,
) -> None:
    for row in before:
        if row not in after:
            rows.delete(table, *row[: table.key])
    for row in after:
        if row not in before:
            rows.put(table, row)


def _tally(before: str, after: str, rows: Rows) -> None:
    for status, change in ((before, -1), (after, 1)):
        if before != after and status != NO_STATUS:
            held = rows.get(TALLIES, status)
            count = change if held is None else held.count + change
            if count:
                rows.put(TALLIES, Tally(status, count))
            else:
                rows.delete(TALLIES, status)


def _forget(gone: Stream, rows: Rows) -> None:
    match gone.aggregate:
        case streams.CONSUMER:
            held = list(rows.scan(HEALTH, gone.tenant, gone.consumer))
            rows.delete(HEALTH, gone.tenant, gone.consumer)
        case streams.DATA_CONNECTION:
            held = [row] if (row := rows.get(HEALTH, gone.tenant, gone.consumer, gone.id)) else []
            rows.delete(HEALTH, gone.tenant, gone.consumer, gone.id)
        case _:
            return
    for row in held:
        _move(WAITING, _waiting(row), [], rows)
        _move(ANNOUNCEMENTS, _announcements(row), [], rows)
        _tally(row.status, NO_STATUS, rows)


# What is due


def refreshes_due(rows: Rows, now: datetime) -> list[str]:
    """As `application.ports.ReadModels.refreshes_due`. A connection that was never looked at counts from when it
    was connected. Consumers whose rows are not kept up to date are left out: of them nothing is known."""
    at = micros(now)
    due: dict[str, Waiting] = {}
    stalled = {row[:2] for row in rows.scan(STALLED)}
    for provider in list(rows.scan(PROVIDERS)):
        interval = provider.refresh_interval_hours * HOUR
        if provider.enabled and interval:
            key = (provider.tenant, provider.name)
            waiting = (
                *rows.scan(WAITING, *key, LOOKED, at_most=at - interval),
                *rows.scan(WAITING, *key, LOOKED, at_least=at + 1),
                *rows.scan(WAITING, *key, RETRY, at_most=at),
            )
            due.update((row.stream, row) for row in waiting)
    return [
        row.stream
        for row in sorted(due.values(), key=lambda row: (row.since, row.stream))
        if (row.tenant, row.consumer) not in stalled and not _is_pending(rows, row)
    ]


def _is_pending(rows: Rows, row: Waiting | Health) -> bool:
    pending = rows.scan(PENDING_SYNCS, row.tenant, row.consumer, row.connection)
    return next(iter(pending), None) is not None


def announcements_due(rows: Rows, now: datetime) -> list[str]:
    """As `application.ports.ReadModels.announcements_due`, those left out of which everything was said already."""
    at = micros(now)
    stalled = {row[:2] for row in rows.scan(STALLED)}
    due = [
        row.stream
        for row in rows.scan(ANNOUNCEMENTS, at_most=at)
        if (row.until is None or at < row.until) and (row.tenant, row.consumer) not in stalled
    ]
    return list(dict.fromkeys(due))


# What is asked


class Standing(NamedTuple):
    """What is wrong with a connection now, if anything is, and what to do."""

    reason: str | None
    remedy: Remedy


def connections_of(rows: Rows, tenant: str, consumer: str) -> Iterator[tuple[DataConnection, Health]]:
    """The connections of a consumer with their health, oldest first."""
    held = sorted(rows.scan(CONNECTIONS, tenant, consumer), key=lambda row: row.position)
    for connection in held:
        health_row = rows.get(HEALTH, tenant, consumer, connection.id)
        if health_row is not None:
            yield connection, health_row


def standing(connection: DataConnection, held: Health, now: datetime) -> Standing:
    """The reason that matters most: of the status, of the runs that failed, of silence, of a source, of the consent."""
    if connection.status != CONNECTED or connection.reason is not None:
        if connection.reason is None:
            return Standing(None, health.remedy_of_status(connection.status))
        return Standing(connection.reason, health.remedy_of(connection.reason))
    reasons = [
        held.failure_reason if held.failures else None,
        SILENT if is_silent(held, now) else None,
        *held.failing_sources.split(),
        CONSENT_EXPIRING if _consent_is_near(held, now) else None,
    ]
    reason = next((reason for reason in reasons if reason is not None), None)
    return Standing(reason, health.NOTHING if reason is None else health.remedy_of(reason))


def is_silent(held: Health, now: datetime) -> bool:
    """Whether a connection that is said to be well has shown nothing new for long, announced or not."""
    if held.status != CONNECTED:
        return False
    last = held.fetched_at
    return held.silent_since is not None or (last is not None and micros(now) - last >= SILENCE)


def _consent_is_near(held: Health, now: datetime) -> bool:
    left = consent_left(held, now)
    return left is not None and left <= health.CONSENT_NEAR // MICROSECOND


def consent_left(held: Health, now: datetime) -> int | None:
    """Microseconds until the consent ends, negative once it has; None where no end is known."""
    return None if held.consent_expires_at is None else held.consent_expires_at - micros(now)


def next_refresh_at(rows: Rows, held: Health) -> int | None:
    """When a connection is to be looked at by schedule; None where it is not, or waits for a sync already."""
    provider: Provider | None = rows.get(PROVIDERS, held.tenant, held.provider)
    if provider is None or not provider.enabled or not provider.refresh_interval_hours:
        return None
    moments = {row.kind: row.at for row in _waiting(held)}
    if not moments or _is_pending(rows, held):
        return None
    by_interval = moments[LOOKED] + provider.refresh_interval_hours * HOUR
    return min(by_interval, moments.get(RETRY, by_interval))


# How many there are


class ConnectionCounts(NamedTuple):
    by_status: dict[str, int]
    failing: int
    """Connected, and their last run failed."""
    silent: int
    """Connected, and nothing new was shown for `SILENT_AFTER`."""
    expiring: int
    """Connected, and their consent ends within the first notice."""
