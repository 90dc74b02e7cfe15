"""Health says what the facts of a connection say, and what is due is what the rule says of all connections."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import data_connection, health
from domain.consumer import ConsumerErased
from domain.data_connection import (
    CLIENT,
    CONNECTED,
    SCHEDULE,
    SILENT_AFTER,
    WEBHOOK,
    AuthorisationFailed,
    ConnectionConnected,
    ConnectionDeleted,
    ConnectionDisconnected,
    ConnectionSilent,
    ConsentExpiring,
    ReauthorisationRequested,
    SyncFailed,
    SyncRequested,
    SyncSucceeded,
)
from domain.provider import ProviderDisabled, ProviderEnabled
from projections.directory import CONNECTIONS, CONSUMERS, PENDING_SYNCS, PROVIDERS
from projections.health import (
    TABLES,
    Standing,
    announcements_due,
    connections_of,
    consent_left,
    is_silent,
    next_refresh_at,
    refreshes_due,
    standing,
)
from projections.stalled import STALLED, Stalled
from projections.times import micros, moment
from tests.projections.examples import ADA, DAY, NOON, TENANT, of_connection, of_consumer, uuid
from tests.projections.told import (
    CONNECTED_NOW,
    HOUR,
    IDS,
    OTHER,
    PROVIDER,
    STARTED,
    Told,
    failed,
    steps,
    succeeded,
    tell,
)

# What a row says


def test_a_run_that_succeeds_says_what_it_found() -> None:
    told = Told().connected()
    success = succeeded(
        fetched_at=NOON + HOUR,
        consent_expires_at=NOON + 90 * DAY,
        failing_sources=("wrong_password", "bank_unavailable"),
        reconciled_at=NOON + 2 * HOUR,
    )
    row = told.at(NOON + 2 * HOUR, of_connection(), success).health()
    assert (row.status, row.origin, row.failures) == (CONNECTED, SCHEDULE, 0)
    assert moment(row.succeeded_at) == moment(row.looked_at) == moment(row.reconciled_at) == NOON + 2 * HOUR
    assert moment(row.fetched_at) == NOON + HOUR
    assert moment(row.consent_expires_at) == NOON + 90 * DAY
    assert row.failing_sources == "wrong_password bank_unavailable"


def test_failures_are_counted_until_one_succeeds_or_the_person_comes_back() -> None:
    told = Told().connected().at(NOON + DAY, of_connection(), succeeded(1), failed(2), failed(3, "timeout"))
    row = told.health()
    assert (row.failures, row.failure_status, row.failure_reason) == (2, "FETCH_ERROR", "timeout")
    assert moment(row.looked_at) == moment(row.failed_at) == moment(row.succeeded_at) == NOON + DAY
    assert told.at(NOON + 2 * DAY, of_connection(), CONNECTED_NOW).health().failures == 0
    told.at(NOON + 2 * DAY, of_connection(), failed(4), succeeded(5))
    row = told.health()
    # What was is still told.
    assert (row.failures, row.failure_reason, moment(row.failed_at)) == (
        0,
        "bank_unavailable",
        NOON + 2 * DAY,
    )


def test_what_a_run_does_not_say_stays() -> None:
    told = Told().connected()
    told.at(
        NOON, of_connection(), succeeded(fetched_at=NOON, consent_expires_at=NOON + DAY, reconciled_at=NOON)
    )
    row = told.at(NOON + DAY, of_connection(), succeeded(2, WEBHOOK)).health()
    assert (row.fetched_at, row.reconciled_at) == (micros(NOON), micros(NOON))
    assert (row.consent_expires_at, row.origin) == (micros(NOON + DAY), WEBHOOK)


def test_nothing_is_left_of_a_connection_that_is_deleted_or_of_whoever_is_erased() -> None:
    for ending in ((of_connection(), ConnectionDeleted()), (of_consumer(), ConsumerErased())):
        told = Told().enabled().connected()
        facts = succeeded(fetched_at=NOON, consent_expires_at=NOON + 9 * DAY), failed(2)
        told.at(NOON, of_connection(), *facts).at(NOON, *ending)
        for table in TABLES:
            assert list(told.rows.scan(table)) == []


# What is wrong, and what to do


def standing_of(told: Told, now: datetime) -> Standing:
    ((connection, held),) = connections_of(told.rows, TENANT, ADA)
    return standing(connection, held, now)


def test_the_gravest_reason_comes_first() -> None:
    told = Told().connected().at(NOON, of_connection(), succeeded(fetched_at=NOON))
    assert standing_of(told, NOON) == (None, health.NOTHING)
    told.at(NOON, of_connection(), succeeded(2, fetched_at=NOON, consent_expires_at=NOON + 20 * DAY))
    assert standing_of(told, NOON + 5 * DAY).reason == "silent"
    told.at(NOON + 7 * DAY, of_connection(), succeeded(3, fetched_at=NOON + 7 * DAY))
    assert standing_of(told, NOON + 7 * DAY) == ("consent_expiring", health.remedy_of("consent_expiring"))
    sources = {"failing_sources": ("rate_limited",), "fetched_at": NOON + 7 * DAY}
    told.at(NOON + 7 * DAY, of_connection(), succeeded(4, **sources))
    assert standing_of(told, NOON + 7 * DAY).reason == "rate_limited"
    told.at(NOON + 7 * DAY, of_connection(), failed(5, "list_moved"))
    assert standing_of(told, NOON + 7 * DAY) == ("list_moved", health.remedy_of("list_moved"))
    told.at(NOON + 7 * DAY, of_connection(), AuthorisationFailed(reason="sca_required"))
    assert standing_of(told, NOON + 7 * DAY) == ("sca_required", health.remedy_of("sca_required"))
    told.at(NOON + 7 * DAY, of_connection(), ReauthorisationRequested())
    assert standing_of(told, NOON + 7 * DAY) == (None, health.OF_STATUS["AUTH_REQUIRED"])


def test_silence_is_told_by_age_as_well_as_by_the_alarm() -> None:
    told = Told().connected().at(NOON, of_connection(), succeeded(fetched_at=NOON))
    assert not is_silent(told.health(), NOON + SILENT_AFTER - timedelta(seconds=1))
    assert is_silent(told.health(), NOON + SILENT_AFTER)
    told.at(NOON + 4 * DAY, of_connection(), ConnectionSilent(last_seen_at=NOON))
    assert moment(told.health().silent_since) == NOON + 4 * DAY
    # Looked at, and still nothing new.
    told.at(NOON + 5 * DAY, of_connection(), succeeded(2, fetched_at=NOON))
    assert told.health().silent_since is not None
    told.at(NOON + 6 * DAY, of_connection(), succeeded(3, fetched_at=NOON + 6 * DAY))
    assert told.health().silent_since is None and not is_silent(told.health(), NOON + 6 * DAY)
    # One that is not connected has a reason to say nothing.
    told.at(NOON + 6 * DAY, of_connection(), ConnectionDisconnected())
    assert not is_silent(told.health(), NOON + 60 * DAY)


# What is due


def due(told: Told, now: datetime) -> list[str]:
    return refreshes_due(told.rows, now)


def test_a_connection_is_due_once_its_last_look_is_older_than_the_interval() -> None:
    told = Told().enabled(hours=6).connected().at(NOON + HOUR, of_connection(), succeeded())
    assert due(told, NOON + 7 * HOUR - timedelta(seconds=1)) == []
    assert due(told, NOON + 7 * HOUR) == [of_connection()]
    assert moment(next_refresh_at(told.rows, told.health())) == NOON + 7 * HOUR


def test_one_that_was_never_looked_at_counts_from_when_it_was_connected() -> None:
    told = Told().enabled().connected()
    assert due(told, NOON + 23 * HOUR) == []
    assert due(told, NOON + 24 * HOUR) == [of_connection()]


def test_one_that_was_connected_again_is_looked_at_at_once_if_that_was_long_ago() -> None:
    told = Told().enabled().connected().at(NOON, of_connection(), succeeded())
    told.at(NOON + DAY, of_connection(), AuthorisationFailed(reason="sca_required"))
    assert due(told, NOON + 3 * DAY) == []
    told.at(NOON + 5 * DAY, of_connection(), STARTED, CONNECTED_NOW)
    assert due(told, NOON + 5 * DAY) == [of_connection()]


@pytest.mark.parametrize(
    ("failures", "hours"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 24), (7, 24), (60, 24)]
)
def test_a_failure_is_repeated_after_an_hour_doubled_up_to_the_interval(failures: int, hours: int) -> None:
    told = Told().enabled().connected()
    told.at(NOON, of_connection(), *(failed(number) for number in range(failures)))
    assert due(told, NOON + hours * HOUR - timedelta(seconds=1)) == []
    assert due(told, NOON + hours * HOUR) == [of_connection()]
    assert moment(next_refresh_at(told.rows, told.health())) == NOON + hours * HOUR


def test_nothing_is_due_that_nobody_may_look_at() -> None:
    later = NOON + 400 * DAY
    told = Told().connected().at(NOON, of_connection(), succeeded())
    assert due(told, later) == []
    assert due(told.enabled(hours=0), later) == []
    assert next_refresh_at(told.rows, told.health()) is None
    assert due(told.enabled(hours=1), later) == [of_connection()]
    told.at(NOON, PROVIDER, ProviderDisabled())
    assert due(told, later) == []
    told.at(NOON, PROVIDER, ProviderEnabled()).at(NOON, of_connection(), ConnectionDisconnected())
    assert due(told, later) == []


def test_one_with_a_sync_under_way_is_left_to_that() -> None:
    told = Told().enabled().connected().at(NOON, of_connection(), succeeded())
    told.at(NOON + DAY, of_connection(), SyncRequested(sync_id=uuid(4, 9), data_syncs=()))
    assert due(told, NOON + 2 * DAY) == []
    assert next_refresh_at(told.rows, told.health()) is None
    told.at(NOON + DAY, of_connection(), succeeded(9, CLIENT))
    assert due(told, NOON + 2 * DAY) == [of_connection()]


def test_a_clock_that_went_back_makes_it_due() -> None:
    told = Told().enabled().connected().at(NOON, of_connection(), succeeded())
    assert due(told, NOON) == []
    assert due(told, NOON - timedelta(seconds=1)) == [of_connection()]


def test_the_longest_waiting_is_first() -> None:
    told = Told().enabled().connected().connected(id=OTHER)
    told.at(NOON + 2 * HOUR, of_connection(), succeeded()).at(NOON + HOUR, of_connection(OTHER), succeeded())
    assert due(told, NOON + 3 * DAY) == [of_connection(OTHER), of_connection()]


def test_a_consumer_whose_rows_stand_still_is_left_alone() -> None:
    told = Told().enabled().connected().at(NOON, of_connection(), succeeded(fetched_at=NOON))
    told.rows.put(STALLED, Stalled(TENANT, ADA, 1, "seal_broken"))
    assert due(told, NOON + 9 * DAY) == announcements_due(told.rows, NOON + 9 * DAY) == []


def test_a_consent_is_announced_at_each_notice() -> None:
    told = Told().connected()
    told.at(NOON, of_connection(), succeeded(consent_expires_at=NOON + 90 * DAY))
    for days in (14, 7, 1):
        at = NOON + (90 - days) * DAY
        assert announcements_due(told.rows, at - timedelta(seconds=1)) == []
        assert announcements_due(told.rows, at) == [of_connection()]
        told.at(at, of_connection(), ConsentExpiring(expires_at=NOON + 90 * DAY, days_left=days))
        assert announcements_due(told.rows, at) == []
        assert told.health().consent_notice == days
    assert announcements_due(told.rows, NOON + 91 * DAY) == []
    assert consent_left(told.health(), NOON + 91 * DAY) < 0


# The laws


class Naive(NamedTuple):
    """A connection as its facts alone tell."""

    state: data_connection.DataConnection
    looked_at: datetime | None
    connected_at: datetime | None
    failures: int


def naive(told: Told, stream: str) -> Naive:
    state, looked_at, connected_at, failures = data_connection.initial, None, None, 0
    for recorded in told.recorded:
        fact, when = recorded.fact, recorded.recorded_at
        if recorded.stream == stream:
            state = data_connection.apply(state, fact)
            looked_at = when if isinstance(fact, SyncSucceeded | SyncFailed) else looked_at
            connected_at = when if isinstance(fact, ConnectionConnected) else connected_at
            failures += isinstance(fact, SyncFailed)
            failures *= not isinstance(fact, SyncSucceeded | ConnectionConnected)
    return Naive(state, looked_at, connected_at, failures)


@given(steps, st.sampled_from([0, 1, 24, 744]), st.integers(-48, 400))
def test_what_is_due_is_what_the_rule_says_of_each(told_steps: Any, hours: int, later: int) -> None:
    told, last = tell(told_steps, hours)
    now = last + later * HOUR
    expected = set()
    for stream in map(of_connection, IDS):
        one = naive(told, stream)
        if hours and data_connection.is_connected(one.state) and not one.state.pending:
            wait = min(hours, 2 ** (one.failures - 1)) if one.failures else hours
            since = one.looked_at or one.connected_at
            if now < since or now >= since + wait * HOUR:
                expected.add(stream)
    found = due(told, now)
    assert len(found) == len(set(found))
    assert set(found) == expected
    for id in IDS:
        held = told.health(id)
        at = None if held is None else next_refresh_at(told.rows, held)
        if at is not None and held.looked_at is not None and micros(now) >= held.looked_at:
            assert (moment(at) <= now) == (of_connection(id) in expected)


@given(steps, st.integers(0, 400))
def test_whatever_the_domain_would_announce_is_due_and_nothing_else(told_steps: Any, later: int) -> None:
    told, last = tell(told_steps, 24)
    now = last + later * HOUR
    expected = set()
    for stream in map(of_connection, IDS):
        if data_connection.announce_consent(naive(told, stream).state, now):
            expected.add(stream)
    assert set(announcements_due(told.rows, now)) == expected


@given(steps)
def test_a_row_says_what_its_connection_is(told_steps: Any) -> None:
    told, now = tell(told_steps, 24)
    for id in IDS:
        one, held = naive(told, of_connection(id)), told.health(id)
        if not isinstance(one.state, data_connection.Requested):
            assert held is None
            continue
        assert held.status == told.rows.get(CONNECTIONS, TENANT, ADA, id).status == one.state.status
        assert held.failures == one.failures
        assert (held.silent_since is not None) == one.state.silent
        assert held.consent_notice == one.state.consent_notice
        for row, state in (
            (held.fetched_at, one.state.fetched_at),
            (held.consent_expires_at, one.state.consent_expires_at),
            (held.looked_at, one.looked_at),
            (held.connected_at, one.connected_at),
        ):
            assert row == (None if state is None else micros(state))
    told.at(now, of_consumer(), ConsumerErased())
    assert not any(list(told.rows.scan(table)) for table in (*TABLES, PENDING_SYNCS))
    assert len(list(told.rows.scan(CONSUMERS))) == 1 and list(told.rows.scan(PROVIDERS))
