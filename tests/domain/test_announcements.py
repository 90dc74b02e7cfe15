"""What is announced of a connection: that its consent ends, and that it fell silent."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import data_connection as dc
from tests.domain.examples import MONDAY, connected, folded
from tests.domain.strategies import histories

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
END = MONDAY + 90 * DAY


def consented(expires_at=END, **more):
    return dc.SyncSucceeded(
        sync_id="r1", origin=dc.SCHEDULE, accounts=("2318",), consent_expires_at=expires_at, **more
    )


def heard(at, sync_id="r1"):
    return dc.SyncSucceeded(sync_id=sync_id, origin=dc.SCHEDULE, accounts=("2318",), fetched_at=at)


def round_at(state, now):
    """The state after a round, and the days that were announced in it."""
    facts = dc.announce_consent(state, now)
    assert all(fact.expires_at == state.consent_expires_at for fact in facts)
    return folded(dc, *facts, state=state), [fact.days_left for fact in facts]


# The consent


@pytest.mark.parametrize(
    ("left", "announced"),
    [
        (14 * DAY + SECOND, []),
        (14 * DAY, [14]),
        (7 * DAY + SECOND, [14]),
        (7 * DAY, [7]),
        (DAY + SECOND, [7]),
        (DAY, [1]),
        (SECOND, [1]),
        (timedelta(), []),
        (-DAY, []),
    ],
)
def test_the_end_of_a_consent_is_announced_ahead_of_it_and_not_after(left, announced):
    state, days = round_at(connected(consented()), END - left)
    assert days == announced
    assert round_at(state, END - left)[1] == []


def test_each_notice_is_given_once_however_often_somebody_goes_round():
    state, given_days = connected(consented()), []
    for hour in range(24 * 20):
        state, days = round_at(state, END - 16 * DAY + hour * timedelta(hours=1))
        given_days += days
    assert given_days == [14, 7, 1]


def test_a_notice_that_was_missed_gives_way_to_the_next():
    state, days = round_at(connected(consented()), END - 20 * DAY)
    assert days == []
    state, days = round_at(state, END - 3 * DAY)
    assert days == [7]
    assert round_at(state, END - 2 * DAY)[1] == []


def test_a_clock_that_goes_back_repeats_no_notice():
    state, days = round_at(connected(consented()), END - DAY)
    assert days == [1]
    for left in (7, 10, 14, 30):
        assert round_at(state, END - left * DAY)[1] == []


def test_the_same_consent_said_again_is_not_announced_again():
    state, _ = round_at(connected(consented()), END - 7 * DAY)
    for again in (
        consented(),
        consented(None),
        dc.SyncFailed(sync_id="r2", status="FETCH_ERROR", reason="x"),
    ):
        assert round_at(folded(dc, again, state=state), END - 6 * DAY)[1] == []


def test_a_consent_that_was_renewed_is_announced_when_its_own_time_comes():
    state, _ = round_at(connected(consented()), END - DAY)
    renewed = folded(dc, consented(END + 180 * DAY), state=state)
    assert round_at(renewed, END)[1] == []
    for days in (14, 7, 1):
        renewed, announced = round_at(renewed, END + (180 - days) * DAY)
        assert announced == [days]


def test_a_consent_that_was_cut_short_is_announced():
    state, _ = round_at(connected(consented()), END - 14 * DAY)
    assert round_at(folded(dc, consented(END - 11 * DAY), state=state), END - 14 * DAY)[1] == [7]


def test_a_reconnection_forgets_the_old_consent_until_the_new_one_is_known():
    state, _ = round_at(connected(consented()), END - DAY)
    again = folded(dc, dc.ConnectionConnected(reference="512", provider_user="7301"), state=state)
    assert round_at(again, END - DAY)[1] == []
    again = folded(dc, consented(END), state=again)
    assert round_at(again, END - DAY)[1] == [1], "it was not renewed after all"


@pytest.mark.parametrize(
    "fact",
    [dc.AuthorisationFailed(reason="x"), dc.ReauthorisationRequested(), dc.ConnectionDisconnected()],
    ids=lambda fact: type(fact).__name__,
)
def test_nothing_is_announced_of_a_connection_that_needs_the_person_anyway(fact):
    state = connected(consented(), heard(MONDAY), fact)
    assert dc.announce_consent(state, END - DAY) == dc.announce_silence(state, END - DAY) == ()


@pytest.mark.parametrize(
    "state", [dc.initial, dc.Deleted(), connected()], ids=["unknown", "deleted", "unsaid"]
)
def test_nothing_is_announced_of_what_is_not_known(state):
    assert dc.announce_consent(state, END) == dc.announce_silence(state, END) == ()


@given(histories(st.tuples(st.integers(-24 * 5, 24 * 20), st.sampled_from([None, None, 0, 0, 40])), 30))
def test_no_consent_is_announced_more_often_than_there_are_notices(rounds):
    """Whatever the clock does, and whatever is said in between."""
    state, end, now, announced = connected(consented()), END, END - 16 * DAY, {}
    for hours, said in rounds:
        now += hours * timedelta(hours=1)
        if said is not None:
            end += said * DAY
            state = folded(dc, consented(end), state=state)
        state, days = round_at(state, now)
        announced.setdefault(end, []).extend(days)
    for days in announced.values():
        assert days == sorted(set(days), reverse=True) and set(days) <= set(dc.CONSENT_NOTICES)


# Silence


@pytest.mark.parametrize(
    ("passed", "silent"), [(3 * DAY - SECOND, False), (3 * DAY, True), (300 * DAY, True), (-DAY, False)]
)
def test_a_connection_without_anything_new_for_three_days_is_silent(passed, silent):
    facts = dc.announce_silence(connected(heard(MONDAY)), MONDAY + passed)
    assert facts == ((dc.ConnectionSilent(last_seen_at=MONDAY),) if silent else ())


def silent_since_monday():
    state = connected(heard(MONDAY))
    return folded(dc, *dc.announce_silence(state, MONDAY + 3 * DAY), state=state)


def test_a_silence_is_announced_once():
    state = silent_since_monday()
    assert state.silent
    for days in range(3, 400, 7):
        assert dc.announce_silence(state, MONDAY + days * DAY) == ()


@pytest.mark.parametrize(
    "fact",
    [
        heard(MONDAY, "r2"),
        heard(MONDAY - DAY, "r2"),
        heard(None, "r2"),
        dc.SyncFailed(sync_id="r2", status=dc.FETCH_ERROR, reason="x", origin=dc.SCHEDULE),
    ],
    ids=["the same", "older", "unsaid", "failed"],
)
def test_a_silence_goes_on_until_there_is_something_newer(fact):
    state = folded(dc, fact, state=silent_since_monday())
    assert state.silent and dc.announce_silence(state, MONDAY + 9 * DAY) == ()


def test_after_something_new_the_next_silence_is_another():
    state = folded(dc, heard(MONDAY + 4 * DAY, "r2"), state=silent_since_monday())
    assert not state.silent
    assert dc.announce_silence(state, MONDAY + 5 * DAY) == ()
    assert dc.announce_silence(state, MONDAY + 7 * DAY) == (
        dc.ConnectionSilent(last_seen_at=MONDAY + 4 * DAY),
    )  # fmt: skip


def test_a_reconnection_ends_a_silence():
    again = dc.ConnectionConnected(reference="512", provider_user="7301")
    assert not folded(dc, again, state=silent_since_monday()).silent


def test_a_connection_that_was_just_made_anew_has_not_fallen_silent_yet():
    """It was away because the person was wanted; nobody has looked at it since."""
    again = dc.ConnectionConnected(reference="512", provider_user="7301")
    state = connected(heard(MONDAY), dc.AuthorisationFailed(reason="sca_required"), again)
    assert dc.announce_silence(state, MONDAY + 10 * DAY) == ()
    state = folded(dc, heard(MONDAY, "r2"), state=state)
    assert dc.announce_silence(state, MONDAY + 10 * DAY) != (), "the provider has had nothing since, even so"
