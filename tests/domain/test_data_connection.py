from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import data_connection as dc
from domain.fact import Erased
from domain.refusals import (
    ConnectionExists,
    LinkInvalid,
    NoConnectedProvider,
    NotFound,
    Refused,
    StatusChangeImpossible,
    SyncAlreadyRunning,
)
from tests.domain.examples import ALL, DIGEST, MONDAY, TUESDAY, a_connection, connected, folded
from tests.domain.strategies import histories

SYNCS = (dc.DataSync("s1", "BANK_ACCOUNT"), dc.DataSync("s2", "BANK_TRANSACTION"))
STARTED = dc.AuthorisationStarted(state_digest=DIGEST, expires_at=TUESDAY)


def test_a_new_connection_waits_for_the_person():
    assert a_connection().status == dc.AUTH_REQUIRED


def test_opening_the_link_makes_it_connecting_and_the_bank_makes_it_connected():
    opened = a_connection(*dc.start_authorisation(a_connection(), state_digest=DIGEST, expires_at=TUESDAY))
    assert opened.status == dc.CONNECTING
    facts = dc.connect(opened, state_digest=DIGEST, now=MONDAY, reference="512", provider_user="7301")
    assert folded(dc, *facts, state=opened).status == dc.CONNECTED


def test_a_state_is_good_for_one_return():
    opened = a_connection(STARTED)
    done = folded(
        dc,
        *dc.connect(opened, state_digest=DIGEST, now=MONDAY, reference="512", provider_user="7301"),
        state=opened,
    )
    with pytest.raises(LinkInvalid):
        dc.connect(done, state_digest=DIGEST, now=MONDAY, reference="666", provider_user="7301")
    with pytest.raises(LinkInvalid):
        dc.fail_authorisation(done, state_digest=DIGEST, now=MONDAY, reason="access_denied")


@pytest.mark.parametrize(("digest", "now"), [(b"x" * 32, MONDAY), (DIGEST, TUESDAY), (b"", MONDAY)])
def test_a_foreign_or_expired_state_changes_nothing(digest, now):
    with pytest.raises(LinkInvalid):
        dc.connect(a_connection(STARTED), state_digest=digest, now=now, reference="1", provider_user="2")


def test_a_failed_authorisation_can_be_tried_again():
    opened = a_connection(STARTED)
    facts = dc.fail_authorisation(opened, state_digest=DIGEST, now=MONDAY, reason="access_denied")
    failed = folded(dc, *facts, state=opened)
    assert failed.status == dc.AUTH_ERROR and dc.may_be_opened(failed)


def test_openings_are_bounded():
    state = a_connection()
    for number in range(dc.OPENINGS_MAX + 3):
        state = folded(
            dc,
            dc.AuthorisationStarted(state_digest=bytes([number]) * 32, expires_at=TUESDAY),
            state=state,
        )
    assert len(state.openings) == dc.OPENINGS_MAX


def test_a_connected_connection_cannot_be_opened_by_an_old_link():
    assert not dc.may_be_opened(connected())
    assert connected().link_epoch > a_connection().link_epoch


def test_an_automatic_connection_is_adopted_until_it_was_connected():
    automatic = folded(dc, dc.ConnectionRequested(provider="budget_insight", data_types=ALL, automatic=True))
    facts = dc.adopt(automatic, ("BANK_ACCOUNT",))
    assert facts == (dc.RequestedDataTypesChanged(data_types=("BANK_ACCOUNT",), skip_permissions=False),)
    adopted = folded(dc, *facts, state=automatic)
    assert dc.adopt(adopted, ("BANK_ACCOUNT",)) == ()
    done = folded(dc, STARTED, dc.ConnectionConnected(reference="512", provider_user="7301"), state=adopted)
    with pytest.raises(ConnectionExists):
        dc.adopt(done, ("BANK_ACCOUNT",))


def test_adopting_brings_a_disconnected_connection_back():
    automatic = dc.ConnectionRequested(provider="budget_insight", data_types=ALL, automatic=True)
    given_up = folded(dc, automatic, dc.ConnectionDisconnected())
    adopted = folded(dc, *dc.adopt(given_up, ALL, skip_permissions=True), state=given_up)
    assert adopted.status == dc.AUTH_REQUIRED and adopted.skip_permissions
    assert dc.adopt(adopted, ALL, skip_permissions=True) == ()


def test_a_link_given_out_before_a_disconnection_stays_dead():
    before = a_connection()
    again = folded(dc, dc.ConnectionDisconnected(), dc.ReauthorisationRequested(), state=before)
    assert dc.may_be_opened(again) and again.link_epoch > before.link_epoch


def test_a_connection_that_a_client_requested_is_not_adopted():
    with pytest.raises(ConnectionExists):
        dc.adopt(a_connection(), ALL)


def test_disconnecting_ends_what_is_being_fetched():
    busy = connected(dc.SyncRequested(sync_id="y1", data_syncs=SYNCS))
    facts = dc.disconnect(busy)
    assert [type(fact) for fact in facts] == [dc.SyncFailed, dc.ConnectionDisconnected]
    off = folded(dc, *facts, state=busy)
    assert off.status == dc.DISCONNECTED and off.pending == ()
    assert dc.disconnect(off) == ()
    with pytest.raises(NoConnectedProvider):
        dc.request_sync(off, sync_id="y2", data_syncs=SYNCS)


def test_a_disconnected_connection_can_be_authorised_again():
    off = connected(dc.ConnectionDisconnected())
    again = folded(dc, *dc.change_status(off, "AUTH_REQUIRED"), state=off)
    assert again.status == dc.AUTH_REQUIRED and dc.may_be_opened(again)
    assert again.reference == "512", "the bank's connection is reconnected, not made anew"
    assert dc.change_status(again, "AUTH_REQUIRED") == ()


@pytest.mark.parametrize("status", ["CONNECTED", "CONNECTING", "AUTH_ERROR", "", "connected"])
def test_a_client_may_not_claim_a_status(status):
    with pytest.raises(StatusChangeImpossible):
        dc.change_status(connected(), status)


def test_a_sync_of_a_busy_type_is_refused():
    busy = connected(dc.SyncRequested(sync_id="y1", data_syncs=SYNCS))
    with pytest.raises(SyncAlreadyRunning) as refused:
        dc.request_sync(busy, sync_id="y2", data_syncs=(dc.DataSync("s3", "BANK_ACCOUNT"),))
    assert refused.value.details["data_types"] == ["BANK_ACCOUNT"]


@pytest.mark.parametrize("origin", [dc.WEBHOOK, dc.SCHEDULE, "internal"])
def test_what_no_client_asked_for_makes_nobody_wait(origin):
    busy = connected(dc.SyncRequested(sync_id="y1", data_syncs=SYNCS, origin=origin))
    assert dc.request_sync(busy, sync_id="y2", data_syncs=SYNCS)


def test_whether_the_person_is_there_is_kept_until_the_sync_is_taken():
    there = folded(
        dc, *dc.request_sync(connected(), sync_id="y1", data_syncs=SYNCS, attended=True), state=connected()
    )
    assert dc.pending_sync(there, "y1").attended
    assert not dc.pending_sync(connected(dc.SyncRequested(sync_id="y1", data_syncs=SYNCS)), "y1").attended


def test_only_the_latest_attempt_may_end_a_sync():
    busy = connected(dc.SyncRequested(sync_id="y1", data_syncs=SYNCS))
    first = folded(dc, *dc.start_sync(busy, "y1"), state=busy)
    second = folded(dc, *dc.start_sync(first, "y1"), state=first)
    assert dc.is_current(first, "y1", 1, first.link_epoch)
    assert not dc.is_current(second, "y1", 1, second.link_epoch) and dc.is_current(
        second, "y1", 2, second.link_epoch
    )


def test_a_sync_ends_once():
    busy = connected(dc.SyncRequested(sync_id="y1", data_syncs=SYNCS))
    succeeded = dc.SyncSucceeded(sync_id="y1", watermark=MONDAY, accounts=("2318",), origin=dc.CLIENT)
    assert dc.succeed(busy, succeeded) == (succeeded,)
    done = folded(dc, succeeded, state=busy)
    assert done.watermark == MONDAY and done.accounts == ("2318",) and done.pending == ()
    assert dc.succeed(done, succeeded) == ()
    assert dc.fail(done, dc.SyncFailed(sync_id="y1", status=dc.FETCH_ERROR, reason="x")) == ()
    assert dc.start_sync(done, "y1") == ()


@pytest.mark.parametrize("origin", ["", dc.CLIENT, "internal", "WEBHOOK"])
def test_only_a_refresh_may_end_what_was_never_requested(origin):
    assert dc.succeed(connected(), dc.SyncSucceeded(sync_id="y9", origin=origin)) == ()
    failed = dc.SyncFailed(sync_id="y9", status=dc.AUTH_ERROR, reason="x", origin=origin)
    assert dc.fail(connected(), failed) == ()


def test_a_failed_sync_keeps_the_watermark():
    busy = connected(
        dc.SyncRequested(sync_id="y0", data_syncs=SYNCS),
        dc.SyncSucceeded(sync_id="y0", watermark=MONDAY, accounts=("2318",)),
        dc.SyncRequested(sync_id="y1", data_syncs=SYNCS),
    )
    fact = dc.SyncFailed(sync_id="y1", status=dc.FETCH_ERROR, reason="rate_limited")
    failed = folded(dc, *dc.fail(busy, fact), state=busy)
    assert (failed.watermark, failed.accounts, failed.status) == (MONDAY, ("2318",), dc.CONNECTED)


def test_a_bank_that_wants_to_see_the_person_makes_an_auth_error():
    busy = connected(dc.SyncRequested(sync_id="y1", data_syncs=SYNCS))
    failed = dc.SyncFailed(sync_id="y1", status=dc.AUTH_ERROR, reason="sca_required")
    facts = dc.fail(busy, failed)
    assert facts == (failed, dc.AuthorisationFailed(reason="sca_required"))
    after = folded(dc, *facts, state=busy)
    assert after.status == dc.AUTH_ERROR and dc.may_be_opened(after)


@pytest.mark.parametrize("status", [dc.FETCH_ERROR, dc.INTERNAL_ERROR])
def test_a_failure_that_is_not_the_persons_leaves_the_connection_connected(status):
    busy = connected(dc.SyncRequested(sync_id="y1", data_syncs=SYNCS))
    failed = dc.SyncFailed(sync_id="y1", status=status, reason="x")
    assert dc.fail(busy, failed) == (failed,)
    assert folded(dc, failed, state=busy).status == dc.CONNECTED


def test_a_connection_that_waits_for_the_person_already_is_not_failed_again():
    busy = connected(dc.SyncRequested(sync_id="y1", data_syncs=SYNCS), dc.ReauthorisationRequested())
    failed = dc.SyncFailed(sync_id="y1", status=dc.AUTH_ERROR, reason="sca_required")
    assert dc.fail(busy, failed) == (failed,)
    assert folded(dc, failed, state=busy).status == dc.AUTH_REQUIRED


def test_a_deleted_connection_is_gone():
    gone = folded(dc, *dc.delete(connected()), state=connected())
    assert dc.delete(gone) == ()
    for decision in (
        lambda: dc.disconnect(gone),
        lambda: dc.change_data_types(gone, ALL),
        lambda: dc.request_sync(gone, sync_id="y", data_syncs=SYNCS),
    ):
        with pytest.raises(NotFound):
            decision()
    assert dc.succeed(gone, dc.SyncSucceeded(sync_id="y1")) == ()
    assert folded(dc, Erased("ConnectionRequested.1"), Erased("ConnectionDeleted.1")) == dc.Deleted()


DECISIONS = [
    lambda s: dc.request(s, provider="budget_insight", data_types=ALL),
    lambda s: dc.adopt(s, ("BANK_ACCOUNT",)),
    lambda s: dc.change_data_types(s, ("BANK_ACCOUNT", "CASHFLOW")),
    lambda s: dc.start_authorisation(s, state_digest=DIGEST, expires_at=TUESDAY),
    lambda s: dc.connect(s, state_digest=DIGEST, now=MONDAY, reference="512", provider_user="7301"),
    lambda s: dc.fail_authorisation(s, state_digest=DIGEST, now=MONDAY, reason="access_denied"),
    lambda s: dc.request_reauthorisation(s),
    lambda s: dc.disconnect(s),
    lambda s: dc.request_sync(s, sync_id="y1", data_syncs=SYNCS),
    lambda s: dc.succeed(s, dc.SyncSucceeded(sync_id="y1", watermark=TUESDAY, accounts=("2318",))),
    lambda s: dc.succeed(
        s,
        dc.SyncSucceeded(
            sync_id="y1", fetched_at=MONDAY - timedelta(4), consent_expires_at=TUESDAY, reconciled_at=MONDAY
        ),
    ),
    lambda s: dc.fail(s, dc.SyncFailed(sync_id="y1", status=dc.AUTH_ERROR, reason="wrong_password")),
    lambda s: dc.fail(s, dc.SyncFailed(sync_id="y1", status=dc.FETCH_ERROR, reason="x", unreadable=True)),
    lambda s: dc.announce_consent(s, MONDAY),
    lambda s: dc.announce_silence(s, MONDAY),
    lambda s: dc.delete(s),
]


@given(histories(st.sampled_from(DECISIONS), 12), st.sampled_from(DECISIONS))
def test_a_request_said_twice_adds_nothing(history, decision):
    state = dc.initial
    for step in history:
        try:
            state = folded(dc, *step(state), state=state)
        except Refused:
            continue
    try:
        facts = decision(state)
    except Refused:
        return
    after = folded(dc, *facts, state=state)
    try:
        assert decision(after) == ()
    except Refused:
        pass
