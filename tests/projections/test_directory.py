"""The directory says what the aggregates are, and its rows are enough for every answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given

from adapters.read_models.memory import MemoryRows
from domain import consumer, data_connection, provider, streams
from domain.data_connection import (
    AUTH_ERROR,
    CONNECTED,
    AuthorisationFailed,
    AuthorisationStarted,
    ConnectionConnected,
    ConnectionRequested,
    DataSync,
    SyncFailed,
    SyncRequested,
    SyncStarted,
    SyncSucceeded,
)
from projections import directory
from projections.directory import (
    CONNECTIONS,
    CONSUMERS,
    DATA_SYNCS,
    LATEST_DATA_SYNCS,
    PENDING_SYNCS,
    PROVIDERS,
)
from projections.models import fold
from tests.projections.examples import (
    ADA,
    ALL,
    CONNECTION,
    DAY,
    NOON,
    TENANT,
    History,
    histories,
    of_connection,
    of_consumer,
    registered,
    uuid,
)

REQUESTED = ConnectionRequested(provider="budget_insight", data_types=ALL)
STARTED = AuthorisationStarted(state_digest=b"d" * 32, expires_at=NOON + DAY)
SYNC = SyncRequested(
    sync_id=uuid(4, 1),
    data_syncs=(DataSync(uuid(5, 1), "BANK_ACCOUNT"), DataSync(uuid(5, 2), "BANK_TRANSACTION")),
)


def rows_of(history: History) -> MemoryRows:
    rows = MemoryRows()
    for recorded in history.recorded:
        directory.project(recorded, rows)
    return rows


def the_connection(*facts: Any) -> directory.DataConnection:
    return rows_of(History().add(of_connection(), REQUESTED, *facts)).get(
        CONNECTIONS, TENANT, ADA, CONNECTION
    )


def test_a_provider_that_nobody_set_up_is_described_and_not_enabled() -> None:
    answer = directory.provider_answer(provider.BUDGET_INSIGHT, None)
    assert (answer.enabled, answer.auto_connect, answer.available) == (False, False, True)
    assert answer.credentials_config == ["domain", "client_id", "client_secret"]
    assert answer.refresh_interval_hours == 24


def test_a_provider_is_as_its_tenant_set_it_up() -> None:
    stream = streams.provider(TENANT, "budget_insight")
    history = History().add(stream, provider.SettingsUpdated(auto_connect=True), provider.ProviderEnabled())
    row = rows_of(history).get(PROVIDERS, TENANT, "budget_insight")
    answer = directory.provider_answer(provider.BUDGET_INSIGHT, row)
    assert (answer.enabled, answer.auto_connect) == (True, True)
    assert (row.refresh_interval_hours, answer.refresh_interval_hours) == (24, 24)
    history.add(stream, provider.SettingsUpdated(auto_connect=True, refresh_interval_hours=0))
    row = rows_of(history).get(PROVIDERS, TENANT, "budget_insight")
    assert directory.provider_answer(provider.BUDGET_INSIGHT, row).refresh_interval_hours == 0
    history.add(stream, provider.ProviderDisabled())
    assert rows_of(history).get(PROVIDERS, TENANT, "budget_insight").enabled == 0


def test_a_user_is_answered_as_it_was_registered_and_changed() -> None:
    history = History().add(of_consumer(), registered())
    history.add(
        of_consumer(), consumer.ConsumerDetailsChanged(details=consumer.Details(name="Two", siren=None))
    )
    answer = directory.user_answer(rows_of(history).get(CONSUMERS, TENANT, ADA))
    assert (answer.id, answer.type, answer.name, answer.siren) == (ADA, "LEGAL", "Two", None)
    assert (answer.created_at, answer.updated_at) == ("2024-03-01 12:00:01", "2024-03-01 12:00:02")
    assert (answer.country, answer.group) == ("FR", "default")


def test_a_connection_that_failed_says_why_until_it_is_tried_again() -> None:
    failed = the_connection(STARTED, AuthorisationFailed(reason="wrong_password"))
    answer = directory.connection_answer(failed, "https://link")
    assert (answer.status, answer.status_reason) == (AUTH_ERROR, "wrong_password")
    assert (answer.redirect_url, answer.connected_at) == ("https://link", None)
    again = the_connection(STARTED, AuthorisationFailed(reason="wrong_password"), STARTED)
    assert (again.status, again.reason) == ("CONNECTING", None)


def test_a_connected_connection_says_since_when() -> None:
    row = the_connection(STARTED, ConnectionConnected(reference="512", provider_user="7301"))
    answer = directory.connection_answer(row, None)
    assert (answer.status, answer.connected_at, answer.redirect_url) == (
        CONNECTED,
        "2024-03-01 12:00:03",
        None,
    )
    assert answer.requested_data_types == list(ALL)
    assert (answer.user_id, answer.id) == (ADA, CONNECTION)


@given(histories(steps=40))
def test_a_row_follows_its_aggregate(told: Any) -> None:
    history, _ = told
    rows = rows_of(history)
    for stream in {recorded.stream for recorded in history.recorded}:
        tenant, owner, aggregate, id = streams.parse(stream)
        if aggregate != streams.DATA_CONNECTION:
            continue
        state = data_connection.initial
        for fact in history.facts_of(stream):
            state = data_connection.apply(state, fact)
        row = rows.get(CONNECTIONS, tenant, owner, id)
        erased = any(
            isinstance(r.fact, consumer.ConsumerErased) for r in history.recorded if owner in r.stream
        )
        if erased or not isinstance(state, data_connection.Requested):
            assert row is None
            continue
        assert (row.status, row.link_epoch) == (state.status, state.link_epoch)
        assert tuple(row.data_types.split()) == state.data_types
        pending = list(rows.scan(PENDING_SYNCS, tenant, owner, id))
        assert {sync.sync for sync in pending} == {sync.sync_id for sync in state.pending}


@pytest.mark.parametrize(
    ("facts", "status", "reason", "is_over"),
    [
        ((), "QUEUED", None, False),
        ((SyncStarted(sync_id=SYNC.sync_id, attempt=1),), "FETCHING", None, False),
        ((SyncSucceeded(sync_id=SYNC.sync_id),), "SUCCESS", None, True),
        (
            (SyncFailed(sync_id=SYNC.sync_id, status="FETCH_ERROR", reason="timeout"),),
            "FETCH_ERROR",
            "timeout",
            True,
        ),
        (
            (
                SyncFailed(sync_id=SYNC.sync_id, status="AUTH_ERROR", reason="x"),
                AuthorisationFailed(reason="x"),
            ),
            "AUTH_ERROR",
            "x",
            True,
        ),
    ],
)
def test_a_data_sync_per_type_follows_its_sync(facts: Any, status: str, reason: Any, is_over: bool) -> None:
    rows = rows_of(History().add(of_connection(), REQUESTED, SYNC, *facts))
    syncs = [directory.data_sync_answer(row) for row in rows.scan(DATA_SYNCS, TENANT, ADA)]
    assert [sync.data_type for sync in syncs] == ["BANK_ACCOUNT", "BANK_TRANSACTION"]
    for sync in syncs:
        assert (sync.status, sync.status_reason, sync.completed_at is not None) == (status, reason, is_over)
        assert (sync.requested_at, sync.data_connection_id) == ("2024-03-01 12:00:02", CONNECTION)
    assert bool(list(rows.scan(PENDING_SYNCS))) is not is_over


@pytest.mark.parametrize(
    "ending",
    [
        SyncSucceeded(sync_id=uuid(4, 7), origin="schedule"),
        SyncFailed(sync_id=uuid(4, 7), status="FETCH_ERROR", reason="timeout", origin="webhook"),
    ],
)
def test_a_refresh_that_nobody_requested_leaves_no_data_sync(ending: Any) -> None:
    rows = rows_of(History().add(of_connection(), REQUESTED, SYNC, ending))
    assert {row.id for row in rows.scan(DATA_SYNCS, TENANT, ADA)} == {uuid(5, 1), uuid(5, 2)}
    assert {row.status for row in rows.scan(DATA_SYNCS, TENANT, ADA)} == {"QUEUED"}
    assert [row.sync for row in rows.scan(PENDING_SYNCS)] == [SYNC.sync_id]


def test_the_latest_sync_of_a_type_replaces_the_one_before() -> None:
    later = msgspec.structs.replace(
        SYNC, sync_id=uuid(4, 2), data_syncs=(DataSync(uuid(5, 9), "BANK_ACCOUNT"),)
    )
    rows = rows_of(History().add(of_connection(), REQUESTED, SYNC, later))
    latest = {row.data_type: row.id for row in rows.scan(LATEST_DATA_SYNCS, TENANT, ADA)}
    assert latest == {"BANK_ACCOUNT": uuid(5, 9), "BANK_TRANSACTION": uuid(5, 2)}


def test_folding_everything_includes_the_directory() -> None:
    rows = MemoryRows()
    fold(History().add(of_consumer(), registered()).recorded, rows)
    assert rows.get(CONSUMERS, TENANT, ADA).name == "Boulangerie Test"
