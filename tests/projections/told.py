"""Connections and their runs at chosen moments, folded into rows as they are told."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from adapters.read_models.memory import MemoryRows
from domain import registry, streams
from domain.data_connection import (
    CLIENT,
    SCHEDULE,
    SILENT_AFTER,
    WEBHOOK,
    AuthorisationFailed,
    AuthorisationStarted,
    ConnectionConnected,
    ConnectionDeleted,
    ConnectionDisconnected,
    ConnectionRequested,
    ConnectionSilent,
    ConsentExpiring,
    ReauthorisationRequested,
    SyncFailed,
    SyncRequested,
    SyncStarted,
    SyncSucceeded,
)
from domain.fact import Recorded
from domain.provider import ProviderEnabled, SettingsUpdated
from projections import models
from projections.health import HEALTH, Health
from tests.projections.examples import (
    ADA,
    ALL,
    BOB,
    CONNECTION,
    DAY,
    NOON,
    TENANT,
    of_connection,
    of_consumer,
    registered,
    uuid,
)

HOUR = timedelta(hours=1)
PROVIDER = streams.provider(TENANT, "budget_insight")
REQUESTED = ConnectionRequested(provider="budget_insight", data_types=ALL)
STARTED = AuthorisationStarted(state_digest=b"d" * 32, expires_at=NOON + 900 * DAY)
CONNECTED_NOW = ConnectionConnected(reference="512", provider_user="7301")
OTHER = uuid(2, 2)


def succeeded(number: int = 1, origin: str = SCHEDULE, **more: Any) -> SyncSucceeded:
    return SyncSucceeded(sync_id=uuid(4, number), origin=origin, **more)


def failed(number: int = 1, reason: str = "bank_unavailable", **more: Any) -> SyncFailed:
    more = {"status": "FETCH_ERROR", "origin": SCHEDULE, **more}
    return SyncFailed(sync_id=uuid(4, number), reason=reason, **more)


class Told:
    """Facts with their moments, folded into rows and states as they are told."""

    def __init__(self) -> None:
        self.rows = MemoryRows()
        self.recorded: list[Recorded] = []
        self.at(NOON, of_consumer(), registered()).at(NOON, of_consumer(BOB), registered())

    def at(self, when: datetime, stream: str, *facts: Any) -> Told:
        for fact in facts:
            recorded = Recorded(
                stream=stream,
                version=1 + sum(told.stream == stream for told in self.recorded),
                position=len(self.recorded) + 1,
                name=registry.NAMES[type(fact)],
                recorded_at=when,
                actor="sync",
                fact=fact,
            )
            self.recorded.append(recorded)
            models.project(recorded, self.rows)
        return self

    def enabled(self, hours: int = 24) -> Told:
        return self.at(NOON, PROVIDER, SettingsUpdated(auto_connect=False, refresh_interval_hours=hours)).at(
            NOON, PROVIDER, ProviderEnabled()
        )

    def connected(self, when: datetime = NOON, id: str = CONNECTION) -> Told:
        return self.at(when, of_connection(id), REQUESTED, STARTED, CONNECTED_NOW)

    def health(self, id: str = CONNECTION) -> Health:
        return self.rows.get(HEALTH, TENANT, ADA, id)


# Random ones

IDS = (CONNECTION, OTHER, uuid(2, 3))
_later = st.integers(0, 40).map(lambda hours: hours * HOUR) | st.just(SILENT_AFTER) | st.just(13 * DAY)
_sync = st.integers(1, 3)
_ends = st.none() | st.integers(0, 16).map(lambda days: NOON + days * DAY)
_facts = st.one_of(
    st.just(CONNECTED_NOW),
    st.just(CONNECTED_NOW),
    st.builds(AuthorisationFailed, reason=st.just("sca_required")),
    st.just(ReauthorisationRequested()),
    st.just(ConnectionDisconnected()),
    st.just(ConnectionDeleted()),
    st.builds(
        succeeded,
        _sync,
        st.sampled_from([CLIENT, WEBHOOK, SCHEDULE]),
        fetched_at=_ends,
        consent_expires_at=_ends,
        reconciled_at=st.none() | st.just(NOON),
    ),
    st.builds(failed, _sync),
    st.builds(failed, _sync),
    st.builds(lambda sync: SyncRequested(sync_id=uuid(4, sync), data_syncs=()), _sync),
    st.builds(lambda sync: SyncStarted(sync_id=uuid(4, sync), attempt=1), _sync),
    st.builds(lambda days: ConsentExpiring(expires_at=NOON, days_left=days), st.sampled_from([14, 7, 1])),
    st.just(ConnectionSilent()),
)
#: Of a random history: how much later, of which connection, and what.
steps = st.lists(st.tuples(_later, st.sampled_from(IDS), _facts), max_size=25)


def tell(told_steps: Iterable[tuple[timedelta, str, Any]], hours: int) -> tuple[Told, datetime]:
    told, now = Told().enabled(hours), NOON
    for id in IDS:
        told.at(now, of_connection(id), REQUESTED)
    for later, id, fact in told_steps:
        now += later
        told.at(now, of_connection(id), fact)
    return told, now
