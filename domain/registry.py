"""The closed list of names that facts have on disk, and how to read what earlier versions wrote.

A name is permanent: `TransactionsFetched.1` never depends on where its class lives. To change a shape,
add `.2` here, keep `.1` in `UPCASTERS`, and add a golden file; never edit what was released.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from domain import consumer, consumer_account, data_connection, provider
from domain.fact import Fact

#: The current name of every fact.
NAMES: dict[type[Fact], str] = {
    provider.CredentialsUpdated: "CredentialsUpdated.1",
    provider.SettingsUpdated: "SettingsUpdated.1",
    provider.ProviderEnabled: "ProviderEnabled.1",
    provider.ProviderDisabled: "ProviderDisabled.1",
    consumer.ConsumerRegistered: "ConsumerRegistered.1",
    consumer.ConsumerDetailsChanged: "ConsumerDetailsChanged.1",
    consumer.AccountLinked: "AccountLinked.1",
    consumer.AccountUnlinked: "AccountUnlinked.1",
    consumer.ConsumerErased: "ConsumerErased.1",
    data_connection.ConnectionRequested: "ConnectionRequested.1",
    data_connection.AuthorisationStarted: "AuthorisationStarted.1",
    data_connection.ConnectionConnected: "ConnectionConnected.1",
    data_connection.AuthorisationFailed: "AuthorisationFailed.1",
    data_connection.ReauthorisationRequested: "ReauthorisationRequested.1",
    data_connection.ConsentExpiring: "ConsentExpiring.1",
    data_connection.ConnectionSilent: "ConnectionSilent.1",
    data_connection.ConnectionDisconnected: "ConnectionDisconnected.1",
    data_connection.ConnectionDeleted: "ConnectionDeleted.1",
    data_connection.RequestedDataTypesChanged: "RequestedDataTypesChanged.1",
    data_connection.SyncRequested: "SyncRequested.1",
    data_connection.SyncStarted: "SyncStarted.1",
    data_connection.SyncSucceeded: "SyncSucceeded.1",
    data_connection.SyncFailed: "SyncFailed.1",
    consumer_account.AccountDiscovered: "AccountDiscovered.1",
    consumer_account.AccountDetailsChanged: "AccountDetailsChanged.1",
    consumer_account.RetentionSet: "RetentionSet.1",
    consumer_account.BalanceRefreshed: "BalanceRefreshed.1",
    consumer_account.TransactionsFetched: "TransactionsFetched.1",
    consumer_account.BookingUndone: "BookingUndone.1",
    consumer_account.AccountClosed: "AccountClosed.1",
    consumer_account.AccountReopened: "AccountReopened.1",
}
TYPES: dict[str, type[Fact]] = {name: type for type, name in NAMES.items()}

#: From an earlier name to the next one: plain stored fields in, plain stored fields out.
UPCASTERS: dict[str, tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = {}

#: The name whose fact is sealed with the tenant's key, since the consumer's is destroyed with it.
CONSUMER_ERASED = NAMES[consumer.ConsumerErased]

if len(TYPES) != len(NAMES):
    raise RuntimeError("two facts share a name")
