"""One fact of every name, with every field set, and the place and key they are stored under for ever."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.event_log.mapper import SealedMapper
from domain import consumer, consumer_account, data_connection, provider, registry, streams
from domain.fact import Fact, Recorded
from domain.transactions import Bookings, Transaction, batch_of

FOLDER = Path(__file__).parent

KEY = bytes(range(32))
KEY_ID = bytes(range(16))
NONCE = bytes(range(12))
VERSION = 3
RECORDED_AT = datetime(2026, 11, 20, 9, 30, 15, 123456, UTC)
ACTOR = "key:0123456789abcdef"
COMMAND_ID = bytes(range(16, 32))
CORRELATION_ID = bytes(range(32, 48))
CAUSATION_ID = bytes(range(48, 64))

TENANT = "default"
CONSUMER = "11111111-1111-4111-8111-111111111111"
CONNECTION = "22222222-2222-4222-8222-222222222222"
ACCOUNT = "33333333-3333-4333-8333-333333333333"
SOURCE = "55555555-5555-4555-8555-555555555555"
STREAMS = {
    "provider": streams.provider(TENANT, "budget_insight"),
    "consumer": streams.consumer(TENANT, CONSUMER),
    "data_connection": streams.data_connection(TENANT, CONSUMER, CONNECTION),
    "consumer_account": streams.consumer_account(TENANT, CONSUMER, ACCOUNT),
}

DETAILS = consumer.Details(
    name="Lefèvre",
    first_name="Amélie",
    last_name="Lefèvre",
    birthdate=date(1984, 2, 29),
    email="amelie@example.org",
    siren="732829320",
    postal_code="75011",
    ape_code="62.01Z",
    country="BE",
    group="vip",
    return_url="https://example.org/back",
)
ACCOUNT_DETAILS = consumer_account.AccountDetails(
    kind=consumer_account.CHECKING,
    name="Compte chèque",
    number="00012345678",
    iban="FR7630006000011234567890189",
    bic="AGRIFRPP",
    bank_name="Crédit Exemple",
    usage="PRIV",
    owners=(consumer_account.Owner(first_name="Amélie", last_name="Lefèvre", full_name="Amélie Lefèvre"),),
    fields={"id_type": 2, "company_name": None, "calculated": ["coming"], "information": {"a": 1.5}},
)


def transaction(index: int) -> Transaction:
    """A row of its own kind: pending or not, with and without amount, dates, text and fields."""
    fields: dict[str, Any] = {
        "id_account": 7,
        "original_wording": f"CB ACHAT {index}",
        "coming": index % 2 == 0,
    }
    if index % 3:
        fields["counterparty"] = {"label": f"Épicerie {index}"}
    return Transaction(
        reference=str(1_000 + index),
        booked_on=20_000 + index // 2,
        initiated_on=None if index % 4 == 0 else 19_999 + index // 2,
        value_on=20_001 + index // 2 if index % 5 else None,
        amount=None if index == 3 else -199 * index,
        amount_text="-0.0199" if index == 4 else None,
        kind="card" if index % 2 else "transfer",
        wording=None if index == 6 else f"achat {index}",
        pending=index % 7 == 0,
        fields=fields,
        seen_at=datetime(2026, 11, 1, index % 24, tzinfo=UTC) if index == 7 else None,
        touched_at=datetime(2026, 11, 2, index % 24, tzinfo=UTC) if index in (0, 7) else None,
    )


FACTS: tuple[Fact, ...] = (
    provider.CredentialsUpdated(
        reference="a1b2c3", fields=("client_id", "client_secret", "domain"), fingerprint=bytes(range(32))
    ),
    provider.SettingsUpdated(auto_connect=True, refresh_interval_hours=6),
    provider.ProviderEnabled(),
    provider.ProviderDisabled(),
    consumer.ConsumerRegistered(
        type=consumer.NATURAL, details=DETAILS, origin=consumer.STORAGE, client_id="client-7"
    ),
    consumer.ConsumerDetailsChanged(details=DETAILS),
    consumer.AccountLinked(
        account_id=ACCOUNT,
        connection_id=CONNECTION,
        reference="42",
        evidence=consumer.Evidence(kind="iban", digest=bytes(range(32))),
        source_id=SOURCE,
        currency="EUR",
        provider_user="7301",
    ),
    consumer.AccountUnlinked(
        account_id=ACCOUNT,
        connection_id=CONNECTION,
        reference="42",
        reason="connection_deleted",
        source_id=SOURCE,
    ),
    consumer.ConsumerErased(),
    data_connection.ConnectionRequested(
        provider="budget_insight",
        data_types=("BANK_ACCOUNT", "BANK_TRANSACTION"),
        skip_permissions=True,
        automatic=True,
    ),
    data_connection.AuthorisationStarted(
        state_digest=bytes(range(32)), expires_at=datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    ),
    data_connection.ConnectionConnected(reference="17", provider_user="5"),
    data_connection.AuthorisationFailed(reason="access_denied", state_digest=bytes(range(32))),
    data_connection.ReauthorisationRequested(),
    data_connection.ConsentExpiring(expires_at=datetime(2027, 5, 1, tzinfo=UTC), days_left=7),
    data_connection.ConnectionDisconnected(),
    data_connection.ConnectionDeleted(),
    data_connection.RequestedDataTypesChanged(data_types=("BANK_ACCOUNT",), skip_permissions=True),
    data_connection.SyncRequested(
        sync_id="44444444-4444-4444-8444-444444444444",
        data_syncs=(data_connection.DataSync("55555555-5555-4555-8555-555555555555", "BANK_ACCOUNT"),),
        origin="internal",
        attended=True,
    ),
    data_connection.SyncStarted(sync_id="44444444-4444-4444-8444-444444444444", attempt=2),
    data_connection.SyncSucceeded(
        sync_id="44444444-4444-4444-8444-444444444444",
        watermark=datetime(2026, 11, 20, 9, 30, 1, 500000, UTC),
        accounts=("42", "43"),
        origin=data_connection.SCHEDULE,
        reconciled_at=datetime(2026, 11, 20, 9, 30, 2, tzinfo=UTC),
        reconciled_whole_at=datetime(2026, 11, 20, 9, 30, 3, tzinfo=UTC),
        fetched_at=datetime(2026, 11, 20, 9, 29, tzinfo=UTC),
        consent_expires_at=datetime(2027, 5, 1, tzinfo=UTC),
        failing_sources=("bank_unavailable",),
        confirmed={SOURCE: datetime(2026, 11, 20, 9, 29, tzinfo=UTC)},
    ),
    data_connection.SyncFailed(
        sync_id="44444444-4444-4444-8444-444444444444",
        status=data_connection.FETCH_ERROR,
        reason="unreachable",
        origin=data_connection.WEBHOOK,
        unreadable=True,
    ),
    data_connection.ConnectionSilent(last_seen_at=datetime(2026, 11, 16, 9, 29, tzinfo=UTC)),
    consumer_account.AccountDiscovered(
        connection_id=CONNECTION,
        provider="budget_insight",
        reference="42",
        currency="EUR",
        exponent=2,
        details=ACCOUNT_DETAILS,
        client_id="account-9",
    ),
    consumer_account.AccountDetailsChanged(details=ACCOUNT_DETAILS, currency="JPY", exponent=3),
    consumer_account.RetentionSet(until=datetime(2026, 11, 20, 9, 40, 15, tzinfo=UTC)),
    consumer_account.BalanceRefreshed(
        as_of=datetime(2026, 11, 20, 8, 0, 0, 1, UTC),
        balance=-123_456,
        available=2**63 - 1,
        limit=50_000,
        reserved=-1,
        texts={"balance": "-1234.5678"},
    ),
    consumer_account.TransactionsFetched(
        added=batch_of([(index.to_bytes(16, "big"), transaction(index)) for index in range(40)]),
        modified=batch_of([(index.to_bytes(16, "big"), transaction(index)) for index in (3, 4)]),
        removed=consumer_account.Removed(ids=bytes(32), references=["900", "901"]),
        restored=batch_of([(index.to_bytes(16, "big"), transaction(index)) for index in (7, 9)]),
        booked=Bookings(
            pending_ids=bytes(32),
            pending_references=["902", "903"],
            booked_ids=bytes(range(32)),
            booked_references=["912", "913"],
            rules=["link", "scored"],
            scores=[100, 81],
        ),
        expired=consumer_account.Removed(ids=bytes(16), references=["904"]),
    ),
    consumer_account.BookingUndone(
        pending_id=bytes(range(16)), pending_reference="902", booked_id=bytes(range(16, 32))
    ),
    consumer_account.AccountClosed(reason="connection_deleted"),
    consumer_account.AccountReopened(),
)


class OneKey:
    """The key that all golden files are sealed under."""

    def for_writing(self, scope: str) -> tuple[bytes, AESGCM]:
        return KEY_ID, AESGCM(KEY)

    def for_reading(self, key_id: bytes) -> AESGCM:
        assert key_id == KEY_ID
        return AESGCM(KEY)

    def scope_of(self, key_id: bytes) -> str:
        raise AssertionError("no golden file is of a destroyed key")


def mapper() -> SealedMapper:
    return SealedMapper(OneKey(), random=lambda size: NONCE[:size])


def recorded(fact: Fact) -> Recorded:
    return Recorded(
        stream=STREAMS[type(fact).__module__.rpartition(".")[2]],
        version=VERSION,
        position=0,
        name=registry.NAMES[type(fact)],
        recorded_at=RECORDED_AT,
        actor=ACTOR,
        fact=fact,
        command_id=COMMAND_ID,
        correlation_id=CORRELATION_ID,
        causation_id=CAUSATION_ID,
    )
