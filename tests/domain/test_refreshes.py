"""Refreshes that nobody requested, what a run leaves behind, and how much the next one reads."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import data_connection as dc
from tests.domain.examples import ALL, DIGEST, MONDAY, TUESDAY, connected, folded
from tests.domain.strategies import histories

SYNCS = (dc.DataSync("s1", "BANK_ACCOUNT"), dc.DataSync("s2", "BANK_TRANSACTION"))
REQUESTED = dc.SyncRequested(sync_id="y1", data_syncs=SYNCS)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def succeeded(sync_id="r1", origin=dc.SCHEDULE, **more):
    return dc.SyncSucceeded(sync_id=sync_id, origin=origin, **{"accounts": ("2318",), **more})


def failed(sync_id="r1", origin=dc.SCHEDULE, status=dc.FETCH_ERROR, **more):
    return dc.SyncFailed(sync_id=sync_id, origin=origin, status=status, reason="website_unavailable", **more)


READ = succeeded(
    watermark=MONDAY, reconciled_at=MONDAY, reconciled_whole_at=MONDAY, fetched_at=MONDAY,
    consent_expires_at=MONDAY + 90 * DAY,
)  # fmt: skip

# One fact


@pytest.mark.parametrize("origin", [dc.WEBHOOK, dc.SCHEDULE])
def test_a_refresh_is_one_fact(origin):
    fact = succeeded(origin=origin, watermark=MONDAY)
    assert dc.succeed(connected(), fact) == (fact,)
    after = folded(dc, fact, state=connected())
    assert (after.watermark, after.accounts, after.pending) == (MONDAY, ("2318",), ())
    assert dc.pending_syncs(after) == () and dc.start_sync(after, "r1") == ()


@pytest.mark.parametrize("origin", [dc.WEBHOOK, dc.SCHEDULE])
def test_a_refresh_that_fails_is_one_fact(origin):
    fact = failed(origin=origin)
    assert dc.fail(connected(), fact) == (fact,)
    assert folded(dc, fact, state=connected(READ)).watermark == MONDAY


def test_a_refresh_that_finds_that_the_person_is_wanted_says_so_of_the_connection():
    fact = failed(status=dc.AUTH_ERROR)
    facts = dc.fail(connected(), fact)
    assert facts == (fact, dc.AuthorisationFailed(reason="website_unavailable"))
    assert folded(dc, *facts, state=connected()).status == dc.AUTH_ERROR


def test_a_refresh_leaves_a_sync_that_is_queued_in_the_queue():
    queued = connected(REQUESTED)
    for fact in (succeeded(), failed()):
        assert dc.pending_sync(folded(dc, fact, state=queued), "y1") is not None


@pytest.mark.parametrize("state", [dc.Deleted(), dc.initial])
def test_what_is_not_there_cannot_have_been_refreshed(state):
    assert dc.succeed(state, succeeded()) == ()
    assert dc.fail(state, failed()) == ()
    assert dc.fail(state, failed(status=dc.AUTH_ERROR)) == ()


# Overtaken


def test_a_refresh_of_a_connection_that_nothing_happened_to_may_be_recorded():
    state = connected(READ)
    assert dc.is_undisturbed(state, state.runs)
    assert not dc.is_undisturbed(state, state.runs - 1) and not dc.is_undisturbed(state, state.runs + 1)


@pytest.mark.parametrize(
    "facts",
    [
        (REQUESTED, dc.SyncStarted(sync_id="y1", attempt=1)),
        (REQUESTED, dc.SyncStarted(sync_id="y1", attempt=1), succeeded("y1", dc.CLIENT)),
        (succeeded("r2"),),
        (failed("r2"),),
        (failed("r2"), dc.AuthorisationFailed(reason="sca_required")),
        (dc.AuthorisationFailed(reason="sca_required"),),
        (dc.ConnectionDisconnected(),),
        (dc.ReauthorisationRequested(),),
        (dc.ReauthorisationRequested(), dc.AuthorisationStarted(state_digest=DIGEST, expires_at=TUESDAY)),
        (dc.ConnectionDeleted(),),
    ],
    ids=lambda facts: "+".join(type(fact).__name__ for fact in facts),
)
def test_a_refresh_is_overtaken_by_what_began_ended_or_was_given_up_meanwhile(facts):
    began = connected(READ)
    assert not dc.is_undisturbed(folded(dc, *facts, state=began), began.runs)


@pytest.mark.parametrize(
    "fact",
    [
        REQUESTED,
        dc.RequestedDataTypesChanged(data_types=ALL[:1]),
        dc.ConsentExpiring(expires_at=TUESDAY, days_left=1),
        dc.ConnectionSilent(last_seen_at=MONDAY),
    ],
    ids=lambda fact: type(fact).__name__,
)
def test_a_refresh_is_not_overtaken_by_what_reads_nothing(fact):
    began = connected(READ)
    assert dc.is_undisturbed(folded(dc, fact, state=began), began.runs)


@pytest.mark.parametrize("origin", [dc.WEBHOOK, dc.SCHEDULE])
def test_a_refresh_is_recorded_once(origin):
    began = connected(READ)
    for fact in (succeeded(origin=origin), failed(origin=origin)):
        assert not dc.is_undisturbed(folded(dc, fact, state=began), began.runs)


@pytest.mark.parametrize("user", ["7301", "9"])
def test_a_refresh_that_began_before_the_connection_was_made_anew_is_overtaken(user):
    """Its window is not what was to be read after a reconnection; and it may be another user's altogether."""
    began = connected(READ)
    again = folded(
        dc,
        dc.ReauthorisationRequested(),
        dc.AuthorisationStarted(state_digest=DIGEST, expires_at=TUESDAY),
        dc.ConnectionConnected(reference="512", provider_user=user),
        state=began,
    )
    assert not dc.is_undisturbed(again, began.runs)


# What is due


def test_all_is_due_at_first():
    assert dc.reconcile_is_due(connected(), MONDAY) and dc.whole_is_due(connected(), MONDAY)


@pytest.mark.parametrize(
    ("passed", "window", "whole"),
    [
        (timedelta(), False, False),
        (24 * HOUR - timedelta(microseconds=1), False, False),
        (24 * HOUR, True, False),
        (30 * DAY - timedelta(microseconds=1), True, False),
        (30 * DAY, True, True),
        # A clock that goes back by little waits; one that goes back by much must not make it wait for years.
        (-HOUR, False, False),
        (-24 * HOUR, True, False),
        (-30 * DAY, True, True),
        (-3650 * DAY, True, True),
    ],
)
def test_windows_are_read_daily_and_histories_monthly_whichever_way_the_clock_went(passed, window, whole):
    state = connected(READ)
    assert dc.reconcile_is_due(state, MONDAY + passed) == window
    assert dc.whole_is_due(state, MONDAY + passed) == whole


def test_an_increment_does_not_put_the_window_off():
    state = connected(READ, succeeded("r2", watermark=TUESDAY))
    assert (state.reconciled_at, state.reconciled_whole_at, state.watermark) == (MONDAY, MONDAY, TUESDAY)


def test_a_window_does_not_put_the_whole_off():
    state = connected(READ, succeeded("r2", reconciled_at=TUESDAY))
    assert (state.reconciled_at, state.reconciled_whole_at) == (TUESDAY, MONDAY)


def test_after_a_reconnection_the_window_is_due():
    again = folded(dc, dc.ConnectionConnected(reference="512", provider_user="7301"), state=connected(READ))
    assert dc.reconcile_is_due(again, MONDAY) and not dc.whole_is_due(again, MONDAY)
    assert (again.watermark, again.accounts) == (MONDAY, ("2318",))


def test_another_user_of_the_provider_is_read_from_the_start():
    other = folded(dc, dc.ConnectionConnected(reference="9", provider_user="9"), state=connected(READ))
    assert (other.watermark, other.accounts) == (None, ())
    assert dc.reconcile_is_due(other, MONDAY)


@pytest.mark.parametrize("origin", ["", dc.CLIENT, dc.WEBHOOK, dc.SCHEDULE])
def test_after_a_failure_the_window_is_due(origin):
    state = connected(READ, failed(origin=origin))
    assert dc.reconcile_is_due(state, MONDAY) and not dc.whole_is_due(state, MONDAY)


def test_after_an_answer_that_could_not_be_read_everything_is_due():
    state = connected(READ, failed(unreadable=True))
    assert dc.reconcile_is_due(state, MONDAY) and dc.whole_is_due(state, MONDAY)
    healed = folded(dc, succeeded("r3", reconciled_at=TUESDAY, reconciled_whole_at=TUESDAY), state=state)
    assert not dc.reconcile_is_due(healed, TUESDAY) and not dc.whole_is_due(healed, TUESDAY)


def test_an_increment_after_a_failure_leaves_the_window_due():
    state = connected(READ, failed(unreadable=True), succeeded("r3", watermark=TUESDAY))
    assert dc.reconcile_is_due(state, TUESDAY) and dc.whole_is_due(state, TUESDAY)


def test_a_sync_that_was_ended_by_disconnecting_makes_the_window_due():
    busy = connected(READ, REQUESTED)
    assert dc.reconcile_is_due(folded(dc, *dc.disconnect(busy), state=busy), MONDAY)


# What a run leaves behind


def test_what_a_run_does_not_say_is_what_it_was():
    state = connected(READ, succeeded("r2"))
    assert (state.watermark, state.fetched_at) == (MONDAY, MONDAY)
    assert state.consent_expires_at == MONDAY + 90 * DAY


def test_the_accounts_are_those_of_the_last_run():
    """One that is new to this list is read in full: also one that was away in between."""
    assert connected(READ, succeeded("r2", accounts=("2319",))).accounts == ("2319",)


def test_facts_from_before_all_this_still_end_a_sync():
    early = dc.SyncSucceeded(sync_id="y1", watermark=MONDAY, accounts=("2318",))
    state = connected(REQUESTED, dc.SyncStarted(sync_id="y1", attempt=1), early)
    assert (state.pending, state.watermark, state.accounts) == ((), MONDAY, ("2318",))
    assert dc.reconcile_is_due(state, MONDAY) and dc.whole_is_due(state, MONDAY)
    late = folded(dc, dc.SyncFailed(sync_id="y2", status=dc.FETCH_ERROR, reason="x"), state=state)
    assert late.watermark == MONDAY


def test_what_ends_nothing_known_is_harmless_at_a_connection_that_is_gone():
    for fact in (READ, failed(), dc.ConnectionSilent(), dc.ConsentExpiring(expires_at=MONDAY, days_left=1)):
        assert folded(dc, fact, state=dc.Deleted()) == dc.Deleted()
        assert folded(dc, fact) == dc.initial


moments = st.integers(0, 60).map(lambda days: MONDAY + days * DAY)
facts = st.one_of(
    st.builds(
        succeeded,
        sync_id=st.sampled_from(["y1", "r1", "r2"]),
        origin=st.sampled_from(["", dc.CLIENT, dc.WEBHOOK, dc.SCHEDULE]),
        watermark=st.none() | moments,
        reconciled_at=st.none() | moments,
        reconciled_whole_at=st.none() | moments,
        fetched_at=st.none() | moments,
        consent_expires_at=st.none() | moments,
    ),
    st.builds(failed, sync_id=st.sampled_from(["y1", "r1"]), unreadable=st.booleans()),
    st.sampled_from(
        [
            REQUESTED,
            dc.SyncStarted(sync_id="y1", attempt=1),
            dc.AuthorisationFailed(reason="sca_required"),
            dc.ReauthorisationRequested(),
            dc.ConnectionConnected(reference="512", provider_user="7301"),
            dc.ConnectionDisconnected(),
            dc.RequestedDataTypesChanged(data_types=ALL),
            dc.ConsentExpiring(expires_at=MONDAY, days_left=7),
            dc.ConnectionSilent(last_seen_at=MONDAY),
        ]
    ),
)


@given(histories(facts, 20))
def test_how_far_was_read_moves_with_success_alone(history):
    state = connected()
    for fact in history:
        before, state = state, folded(dc, fact, state=state)
        if isinstance(fact, dc.SyncSucceeded):
            assert state.watermark == (fact.watermark or before.watermark)
            assert state.accounts == fact.accounts
        else:
            assert (state.watermark, state.accounts) == (before.watermark, before.accounts)
            assert state.reconciled_at in (None, before.reconciled_at)
            assert state.reconciled_whole_at in (None, before.reconciled_whole_at)
        ends = isinstance(fact, dc.SyncSucceeded | dc.SyncFailed | dc.SyncStarted)
        assert before.runs + ends <= state.runs <= before.runs + 1
        assert len(state.pending) <= len(before.pending) + isinstance(fact, dc.SyncRequested)
