"""Requesting synchronisations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from application.data_connections import automatic_requests, connections_of
from application.execute import (
    VISIBLE_TIMEOUT,
    Loaded,
    Outcome,
    Plan,
    Services,
    execute,
    internal_context,
    is_enabled,
    load,
)
from application.ports import Context
from domain import consumer, data_connection, provider, streams
from domain.data_types import ALL, with_dependencies
from domain.fact import Recorded
from domain.refusals import NoConnectedProvider, ProviderNotEnabled, UnsupportedDataType


async def request(
    services: Services,
    context: Context,
    consumer_id: str,
    data_types: Sequence[str] | None,
    *,
    attended: bool = False,
) -> tuple[Outcome, list[Recorded]]:
    """Request a sync of these data types (all, if none are named) with what they are made from.

    `attended` says that the person is there: then the bank may ask them for something, and is asked however
    often it was asked before.

    Returns the outcome and the recorded `SyncRequested` facts, one per connection.

    Raises:
        SyncAlreadyRunning, NoConnectedProvider, ProviderNotEnabled, UnsupportedDataType, NotFound.
    """
    if data_types and set(data_types) - set(ALL):
        raise UnsupportedDataType(supported=list(ALL))
    await _request_missing(services, context.tenant, consumer_id)

    async def decide() -> Plan:
        consumer.registered((await load(services, streams.consumer(context.tenant, consumer_id))).state)
        changes: list[tuple[Loaded[Any], tuple[Any, ...]]] = []
        covered: set[str] = set()
        switched_off = False
        for loaded in await connections_of(services, context.tenant, consumer_id):
            wanted = _wanted(loaded.state, data_types)
            if wanted and not await is_enabled(services, context.tenant, loaded.state.provider):
                switched_off = True
            elif wanted:
                covered.update(wanted)
                data_syncs = tuple(
                    data_connection.DataSync(services.ids.uuid(), data_type) for data_type in wanted
                )
                facts = data_connection.request_sync(
                    loaded.state, sync_id=services.ids.uuid(), data_syncs=data_syncs, attended=attended
                )
                changes.append((loaded, facts))
        if switched_off and not changes:
            raise ProviderNotEnabled
        if not changes or set(data_types or ()) - covered:
            raise NoConnectedProvider(data_types=sorted(set(data_types or ALL) - covered))
        return Plan(changes[0][0], tuple(changes))

    outcome = await execute(services, context, decide)
    requested = await _requested_by(services, context, consumer_id, outcome)
    for recorded in requested:
        services.sync_requested(recorded.stream, recorded.fact.sync_id)
    return outcome, requested


def _wanted(connection: data_connection.DataConnection, asked: Sequence[str] | None) -> tuple[str, ...]:
    """Of what was asked for, what this connection is there for, with what that is made from."""
    match connection:
        case data_connection.Requested(status=data_connection.CONNECTED, data_types=requested):
            supplied = set(provider.CATALOGUE[connection.provider].data_types)
            wanted = set(requested) & (set(asked) if asked else supplied)
            return with_dependencies(wanted)
    return ()


async def _request_missing(services: Services, tenant: str, consumer_id: str) -> None:
    """A consumer older than `auto_connect` gets the automatic connection now."""
    owner = (await load(services, streams.consumer(tenant, consumer_id))).state
    consumer.registered(owner)
    prefix = streams.of_consumer(tenant, consumer_id, streams.DATA_CONNECTION)

    async def decide() -> Plan:
        head = await services.log.head()
        connections = await connections_of(services, tenant, consumer_id)
        changes = await automatic_requests(services, tenant, consumer_id, connections)
        subject = await load(services, streams.consumer(tenant, consumer_id))
        consumer.registered(subject.state)
        return Plan(subject, changes, unchanged_since=(prefix, head), unmoved=(subject,))

    if await automatic_requests(
        services, tenant, consumer_id, await connections_of(services, tenant, consumer_id)
    ):
        outcome = await execute(services, internal_context(services, tenant, "auto-connect"), decide)
        # The sync itself will be refused: whoever asks why is to see the connection that waits.
        await services.read_models.reach(outcome.position, VISIBLE_TIMEOUT)


async def _requested_by(
    services: Services, context: Context, consumer_id: str, outcome: Outcome
) -> list[Recorded]:
    """The facts that this command made: the same ones when it is repeated."""
    found = []
    prefix = streams.of_consumer(context.tenant, consumer_id, streams.DATA_CONNECTION)
    for stream in await services.log.streams(prefix):
        after = outcome.version - 1 if stream == outcome.stream else 0
        for recorded in await services.log.facts(stream, after=after):
            if recorded.command_id == context.command_id and isinstance(
                recorded.fact, data_connection.SyncRequested
            ):
                found.append(recorded)
    return found
