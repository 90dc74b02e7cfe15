"""A state is kept on disk and gone on from: it must come back as it was, whatever happened before."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import consumer, consumer_account, data_connection, provider
from domain.consumer import AccountLinked, AccountUnlinked, Evidence
from domain.consumer_account import AccountDetails, Owner
from tests.domain.examples import (
    ADA,
    ALL,
    BAKERY,
    DIGEST,
    MONDAY,
    TUESDAY,
    a_reading,
    folded,
    stored,
)
from tests.domain.strategies import histories

IBAN = Evidence(kind="iban", digest=b"\x00\xff" * 16)
SYNCS = (data_connection.DataSync("s1", "BANK_ACCOUNT"),)
LATE = MONDAY + timedelta(days=180, microseconds=123_456)

#: Each aggregate, the shape of its states on disk, and facts that its history may be of, the first of them first.
AGGREGATES = {
    "provider": (
        provider,
        provider.Provider,
        [
            provider.CredentialsUpdated(reference="r1", fields=("domain",), fingerprint=b"\x00f"),
            provider.SettingsUpdated(auto_connect=True, refresh_interval_hours=6),
            provider.ProviderEnabled(),
            provider.ProviderDisabled(),
        ],
    ),
    "consumer": (
        consumer,
        consumer.Consumer,
        [
            consumer.ConsumerRegistered(type=consumer.NATURAL, details=ADA),
            consumer.ConsumerDetailsChanged(details=BAKERY),
            AccountLinked(account_id="a1", connection_id="c1", reference="1", evidence=IBAN),
            AccountLinked(
                account_id="a1", connection_id="c2", reference="2", evidence=IBAN,
                source_id="s2", currency="EUR", provider_user="7301",
            ),
            AccountLinked(
                account_id="a3", connection_id="c3", reference="3", evidence=Evidence(kind="none"),
                source_id="a3", currency="XXX", provider_user="7301",
            ),
            AccountUnlinked(account_id="a1", connection_id="c1", reference="1", reason="connection_deleted"),
            AccountUnlinked(
                account_id="a1", connection_id="c2", reference="2", reason=consumer.BY_REQUEST, source_id="s2"
            ),
            consumer.ConsumerRegistered(
                type=consumer.NATURAL, details=ADA, origin=consumer.STORAGE, client_id="x"
            ),
            consumer.ConsumerErased(),
        ],
    ),
    "data_connection": (
        data_connection,
        data_connection.DataConnection,
        [
            data_connection.ConnectionRequested(provider="budget_insight", data_types=ALL, automatic=True),
            data_connection.AuthorisationStarted(state_digest=DIGEST, expires_at=TUESDAY),
            data_connection.ConnectionConnected(reference="512", provider_user="7301"),
            data_connection.SyncRequested(sync_id="y1", data_syncs=SYNCS, attended=True),
            data_connection.SyncRequested(sync_id="y2", data_syncs=SYNCS, origin="schedule"),
            data_connection.SyncStarted(sync_id="y1", attempt=2),
            data_connection.SyncSucceeded(
                sync_id="y1", watermark=LATE, accounts=("1", "2"), origin="client", reconciled_at=MONDAY,
                reconciled_whole_at=MONDAY, fetched_at=LATE, consent_expires_at=LATE,
                failing_sources=("bug",), confirmed={"a1": MONDAY},
            ),
            data_connection.SyncFailed(sync_id="y2", status="AUTH_ERROR", reason="x", unreadable=True),
            data_connection.AuthorisationFailed(reason="sca_required"),
            data_connection.ConsentExpiring(expires_at=LATE, days_left=7),
            data_connection.ConnectionSilent(last_seen_at=MONDAY),
            data_connection.ReauthorisationRequested(),
            data_connection.RequestedDataTypesChanged(data_types=ALL[:1], skip_permissions=True),
            data_connection.ConnectionDisconnected(),
            data_connection.ConnectionDeleted(),
        ],
    ),
    "consumer_account": (
        consumer_account,
        consumer_account.ConsumerAccount,
        [
            consumer_account.AccountDiscovered(
                connection_id="c1", provider="budget_insight", reference="1", currency="EUR", exponent=2,
                details=AccountDetails(
                    name="Compte", owners=(Owner(full_name="Ada"),), fields={"loan": {"rate": "1.5"}, "n": [1]}
                ),
            ),
            consumer_account.AccountDetailsChanged(details=AccountDetails(kind="SAVINGS")),
            consumer_account.AccountDetailsChanged(details=AccountDetails(), currency="JPY", exponent=0),
            consumer_account.RetentionSet(until=LATE),
            a_reading(-(2**62), LATE, texts={"available": "0.001"}),
            consumer_account.TransactionsFetched(),
            consumer_account.BookingUndone(pending_id=b"p" * 16, pending_reference="p", booked_id=b"b" * 16),
            consumer_account.AccountClosed(reason="disabled"),
            consumer_account.AccountReopened(),
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", AGGREGATES)
@given(data=st.data())
def test_a_state_comes_back_as_it_was_and_goes_on_as_it_would_have(name, data):
    aggregate, shape, facts = AGGREGATES[name]
    history = data.draw(histories(st.sampled_from(facts), 12))
    state = folded(aggregate, *facts[: data.draw(st.integers(0, len(facts)))], *history)
    kept = stored(state, shape)
    assert kept == state and type(kept) is type(state)
    for fact in facts:
        assert folded(aggregate, fact, state=kept) == folded(aggregate, fact, state=state)


def test_what_a_state_says_is_all_kept():
    """None of the fields of a long history is at its default: each of them was stored."""
    _, shape, facts = AGGREGATES["data_connection"]
    state = folded(data_connection, *facts[:7], *facts[9:11])
    kept = stored(state, shape)
    assert kept.watermark == kept.fetched_at == kept.consent_expires_at == LATE
    assert kept.reconciled_at == kept.reconciled_whole_at == MONDAY
    assert (kept.accounts, kept.silent, kept.consent_notice) == (("1", "2"), True, 7)
    assert [sync.sync_id for sync in kept.pending] == ["y2"]
    assert kept.runs == state.runs > 0 and data_connection.is_undisturbed(kept, state.runs)


def test_links_and_what_is_past_are_kept():
    _, shape, facts = AGGREGATES["consumer"]
    kept = stored(folded(consumer, *facts[:6]), shape)
    assert kept.past == (("a1", "a1"),) and consumer.sources_of(kept, "a1") == ["a1", "s2"]
    assert [link.source for link in kept.links] == ["s2", "a3"]
