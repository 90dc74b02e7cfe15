"""Requesting, changing and deleting a consumer's connections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from application import farewell
from application.erasure import destroy_keys, finish_recorded, one_destruction, settle_announced
from application.execute import Loaded, Outcome, Plan, Services, execute, is_enabled, load
from application.ports import Context
from domain import consumer, consumer_account, data_connection, provider, streams
from domain.data_types import ALL
from domain.refusals import (
    InvalidRequest,
    ProviderNotAvailable,
    ProviderNotEnabled,
    Refused,
    UnsupportedDataType,
)

Change = tuple[Loaded[Any], tuple[Any, ...]]


async def connections_of(
    services: Services, tenant: str, consumer_id: str
) -> list[Loaded[data_connection.DataConnection]]:
    """All connections of a consumer, deleted ones too."""
    prefix = streams.of_consumer(tenant, consumer_id, streams.DATA_CONNECTION)
    return [await load(services, stream) for stream in await services.log.streams(prefix)]


def existing_with(
    connections: Sequence[Loaded[data_connection.DataConnection]], provider_name: str
) -> Loaded[data_connection.DataConnection] | None:
    for loaded in connections:
        if isinstance(loaded.state, data_connection.Requested) and loaded.state.provider == provider_name:
            return loaded
    return None


async def automatic_requests(
    services: Services, tenant: str, consumer_id: str, connections: Sequence[Loaded[Any]] = ()
) -> tuple[Change, ...]:
    """The connections that `auto_connect` asks for and the consumer has not: all types, to be authorised."""
    changes = []
    for description in provider.CATALOGUE.values():
        setup = (await load(services, streams.provider(tenant, description.name))).state
        if setup.enabled and setup.auto_connect and not existing_with(connections, description.name):
            stream = streams.data_connection(tenant, consumer_id, services.ids.uuid())
            facts = data_connection.request(
                data_connection.initial,
                provider=description.name,
                data_types=description.data_types,
                automatic=True,
            )
            changes.append((Loaded(stream, 0, data_connection.initial), facts))
    return tuple(changes)


async def request(
    services: Services,
    context: Context,
    consumer_id: str,
    *,
    provider_name: str,
    data_types: Sequence[str],
    skip_permissions: bool = False,
) -> Outcome:
    """Request a connection, or adopt the one that `auto_connect` requested."""
    tenant = context.tenant
    description = provider.CATALOGUE.get(provider_name)
    if description is None:
        raise InvalidRequest("there is no such provider", provider_name=["is not a known provider"])
    if not description.available:
        raise ProviderNotAvailable
    wanted = _supported(data_types, description)
    new_stream = streams.data_connection(tenant, consumer_id, services.ids.uuid())
    prefix = streams.of_consumer(tenant, consumer_id, streams.DATA_CONNECTION)

    async def decide() -> Plan:
        owner = await load(services, streams.consumer(tenant, consumer_id))
        consumer.registered(owner.state)
        if not await is_enabled(services, tenant, provider_name):
            raise ProviderNotEnabled
        head = await services.log.head()
        held = existing_with(await connections_of(services, tenant, consumer_id), provider_name)
        if held is not None and description.unique:
            facts = data_connection.adopt(held.state, wanted, skip_permissions=skip_permissions)
            return Plan(held, ((held, facts),))
        new = Loaded(new_stream, 0, data_connection.initial)
        requested = data_connection.request(
            new.state, provider=provider_name, data_types=wanted, skip_permissions=skip_permissions
        )
        return Plan(new, ((new, requested),), unchanged_since=(prefix, head), unmoved=(owner,))

    return await execute(services, context, decide)


def _supported(data_types: Sequence[str], description: provider.Description) -> tuple[str, ...]:
    """The types in their own order, each once."""
    if not data_types:
        raise InvalidRequest("no data type is requested", requested_data_types=["must name at least one"])
    if set(data_types) - set(description.data_types):
        raise UnsupportedDataType(supported=list(description.data_types))
    return tuple(data_type for data_type in ALL if data_type in data_types)


async def change(
    services: Services,
    context: Context,
    consumer_id: str,
    connection_id: str,
    *,
    status: str | None = None,
    data_types: Sequence[str] | None = None,
) -> Outcome:
    """Disconnect, ask for a new authorisation, or replace the requested types; both at once if both are given."""
    stream = streams.data_connection(context.tenant, consumer_id, connection_id)

    async def decide() -> Plan:
        loaded = await load(services, stream)
        state = data_connection.existing(loaded.state)
        facts: tuple[Any, ...] = ()
        if data_types is not None:
            wanted = _supported(data_types, provider.CATALOGUE[state.provider])
            facts += data_connection.change_data_types(state, wanted)
        if status is not None:
            facts += data_connection.change_status(state, status)
        return Plan(loaded, ((loaded, facts),))

    return await execute(services, context, decide)


async def delete(services: Services, context: Context, consumer_id: str, connection_id: str) -> Outcome:
    """Delete a connection with the accounts that only it feeds: their keys are destroyed."""
    async with one_destruction(services, f"{context.tenant}/{consumer_id}"):
        return await _delete(services, context, consumer_id, connection_id)


async def _delete(services: Services, context: Context, consumer_id: str, connection_id: str) -> Outcome:
    tenant = context.tenant
    stream = streams.data_connection(tenant, consumer_id, connection_id)
    doomed: list[str] = []
    # An earlier try may have been recorded without knowing it.
    await finish_recorded(services, f"{tenant}/{consumer_id}")
    left = await farewell.prepare(services, context, consumer_id, stream, [stream])

    async def decide() -> Plan:
        loaded = await load(services, stream)
        data_connection.existing(loaded.state)
        owner = await load(services, streams.consumer(tenant, consumer_id))
        known = consumer.registered(owner.state)
        fed = {link.account_id for link in known.links if link.connection_id == connection_id}
        elsewhere = {link.account_id for link in known.links if link.connection_id != connection_id}
        closing = [
            await load(services, streams.consumer_account(tenant, consumer_id, source_id))
            for account_id in sorted(fed - elsewhere)
            for source_id in consumer.sources_of(known, account_id)
        ]
        doomed[:] = [stream, *(account.stream for account in closing)]
        for scope in map(streams.scope_of, doomed):
            await services.keys.announce_destruction(scope)
        reason = consumer_account.CONNECTION_DELETED
        return Plan(
            loaded,
            (
                (owner, consumer.unlink_connection(owner.state, connection_id, reason)),
                *((account, consumer_account.close(account.state, reason)) for account in closing),
                (loaded, data_connection.delete(loaded.state)),
            ),
        )

    try:
        outcome = await execute(services, context, decide)
    except Refused:
        await farewell.forget(services, left)
        await settle_announced(services, f"{tenant}/{consumer_id}")
        raise
    await destroy_keys(services, [streams.scope_of(stream) for stream in doomed], doomed)
    await farewell.begin(services, stream)
    return outcome
