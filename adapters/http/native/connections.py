"""How a consumer's connections are, and what to do about it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from adapters.http.doors import NATIVE
from adapters.http.native.consumers import age_seconds, of_consumer, time_text
from adapters.http.routing import Answer, Asked, Route, ok
from domain import health as remedies
from projections import health
from projections.answers import insights_time
from projections.directory import DataConnection
from projections.health import DAY, Health
from projections.ports import Rows


class Remedy(msgspec.Struct, kw_only=True):
    """What to do: a word of a closed list, and the same for a person."""

    action: Literal[remedies.ACTIONS]
    text: str


class FailingSource(msgspec.Struct, kw_only=True):
    """A source of the connection that is in error, although the connection itself is not."""

    reason: str
    remedy: Remedy


class SyncFailure(msgspec.Struct, kw_only=True):
    """How a run ended without data."""

    status: str
    reason: str
    remedy: Remedy
    at: str


class ConnectionHealth(msgspec.Struct, kw_only=True):
    """Times are RFC 3339, in UTC."""

    id: str
    provider_name: str
    status: str
    reason: str | None
    """Machine-readable: what is wrong now, the gravest first; null where nothing is, or the status says it all."""
    remedy: Remedy
    failing_sources: list[FailingSource]
    last_success_at: str | None
    last_failure: SyncFailure | None
    consecutive_failures: int
    """Runs that failed since the last success, or since the person authorised the connection last."""
    last_run_at: str | None
    last_run_origin: str | None
    """`client`, `webhook` or `schedule`."""
    fetched_at: str | None
    """When the provider fetched from the bank last, as it says."""
    fetched_age_seconds: int | None
    silent: bool
    """Connected, and the provider has had nothing new for three days."""
    silent_since: str | None
    """When the alarm about that was raised."""
    consent_expires_at: str | None
    consent_days_left: int | None
    """Whole days; 0 on the last day, and after it."""
    consent_notice_days: int | None
    """The last notice given, in days ahead of the end: 14, 7 or 1."""
    reconciled_at: str | None
    """When the recent window of every account was read last, rather than what is new alone."""
    next_refresh_at: str | None
    """When it is looked at by schedule; null where it is not, or where a sync is waiting already."""


class ConnectionsHealth(msgspec.Struct, kw_only=True):
    """The connections of a consumer, oldest first."""

    as_of: str
    connections: list[ConnectionHealth]


async def list_connection_health(asked: Asked) -> Answer:
    now = asked.now()
    with of_consumer(asked) as (rows, key):
        found = [_health(asked, *row, rows, now) for row in health.connections_of(rows, *key)]
    return ok(ConnectionsHealth(as_of=insights_time(now), connections=found))


def _health(
    asked: Asked, connection: DataConnection, held: Health, rows: Rows, now: datetime
) -> ConnectionHealth:
    standing = health.standing(connection, held, now)
    left = health.consent_left(held, now)
    return ConnectionHealth(
        id=connection.id,
        provider_name=connection.provider,
        status=connection.status,
        reason=standing.reason,
        remedy=shown(standing.remedy),
        failing_sources=[
            FailingSource(reason=reason, remedy=shown(remedies.remedy_of(reason)))
            for reason in held.failing_sources.split()
        ],
        last_success_at=time_text(held.succeeded_at),
        last_failure=failure_of(held),
        consecutive_failures=held.failures,
        last_run_at=time_text(held.looked_at),
        last_run_origin=held.origin,
        fetched_at=time_text(held.fetched_at),
        fetched_age_seconds=age_seconds(asked, held.fetched_at),
        silent=health.is_silent(held, now),
        silent_since=time_text(held.silent_since),
        consent_expires_at=time_text(held.consent_expires_at),
        consent_days_left=None if left is None else max(0, left // DAY),
        consent_notice_days=held.consent_notice,
        reconciled_at=time_text(held.reconciled_at),
        next_refresh_at=time_text(health.next_refresh_at(rows, held)),
    )


def shown(remedy: remedies.Remedy) -> Remedy:
    return Remedy(action=remedy.action, text=remedy.text)


def failure_of(held: Health) -> SyncFailure | None:
    """How the last run that failed ended."""
    if held.failed_at is None:
        return None
    return SyncFailure(
        status=held.failure_status,
        reason=held.failure_reason,
        remedy=shown(remedies.remedy_of(held.failure_reason)),
        at=time_text(held.failed_at),
    )


_EXAMPLE = ConnectionsHealth(
    as_of="2026-03-02T12:00:00.000Z",
    connections=[
        ConnectionHealth(
            id="0b8f3c52-8a3f-4e0d-93a1-3f6f0c1b9d11",
            provider_name="budget_insight",
            status="CONNECTED",
            reason="bank_unavailable",
            remedy=shown(remedies.remedy_of("bank_unavailable")),
            failing_sources=[],
            last_success_at="2026-03-01T05:12:44.120Z",
            last_failure=SyncFailure(
                status="FETCH_ERROR",
                reason="bank_unavailable",
                remedy=shown(remedies.remedy_of("bank_unavailable")),
                at="2026-03-02T05:12:51.008Z",
            ),
            consecutive_failures=1,
            last_run_at="2026-03-02T05:12:51.008Z",
            last_run_origin="schedule",
            fetched_at="2026-03-01T05:12:31.000Z",
            fetched_age_seconds=110849,
            silent=False,
            silent_since=None,
            consent_expires_at="2026-06-14T22:00:00.000Z",
            consent_days_left=104,
            consent_notice_days=None,
            reconciled_at="2026-03-01T05:12:44.120Z",
            next_refresh_at="2026-03-02T06:12:51.008Z",
        )
    ],
)

ROUTES = (
    Route(
        method="GET",
        path="/v1/consumers/{consumer_id}/connections",
        door=NATIVE,
        handler=list_connection_health,
        tag="Health",
        summary="Read how a consumer's connections are, and what to do",
        answers={200: ConnectionsHealth},
        problems=(404,),
        example=_EXAMPLE,
    ),
)
