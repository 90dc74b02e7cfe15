"""Forgetting a person: the fact first, then the key, then the rows; and finishing what a crash cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from application import farewell
from application.execute import Loaded, Outcome, Plan, Services, execute, forget_states, load
from application.ports import Context
from application.refusals import Unavailable
from domain import consumer, consumer_account, data_connection, streams
from domain.refusals import NotFound, Refused

#: How long a deletion may take until its rows are gone, in seconds.
ROWS_GONE_TIMEOUT = 10.0


async def erase_consumer(services: Services, context: Context, consumer_id: str) -> Outcome:
    """Erase a consumer: when this returns, the key is destroyed and no row of theirs is left.

    Raises:
        NotFound: there is no such consumer, or they are wholly gone.
        Unavailable: erased, but the rows could not be removed in time; ask again.
    """
    async with one_destruction(services, f"{context.tenant}/{consumer_id}"):
        return await _erase_consumer(services, context, consumer_id)


async def _erase_consumer(services: Services, context: Context, consumer_id: str) -> Outcome:
    tenant = context.tenant
    stream = streams.consumer(tenant, consumer_id)
    scope = f"{tenant}/{consumer_id}"
    connection_streams = await services.log.streams(
        streams.of_consumer(tenant, consumer_id, streams.DATA_CONNECTION)
    )
    finished = await finish_recorded(services, scope)
    left = await farewell.prepare(services, context, consumer_id, stream, connection_streams, user_too=True)

    async def decide() -> Plan:
        loaded: Loaded[consumer.Consumer] = await load(services, stream)
        facts = consumer.erase(loaded.state)
        if (
            not facts
            and scope not in finished
            and await services.read_models.consumer_gone(tenant, consumer_id)
        ):
            raise NotFound
        if facts:
            await services.keys.announce_destruction(scope)
        return Plan(loaded, ((loaded, facts),))

    try:
        outcome = await execute(services, context, decide)
    except Refused:
        await farewell.forget(services, left)
        await settle_announced(services, scope)
        raise
    await destroy_keys(services, [scope], [f"{scope}/"])
    await farewell.begin(services, stream)
    reached = await services.read_models.reach(outcome.position, ROWS_GONE_TIMEOUT)
    if not reached or not await services.read_models.consumer_gone(tenant, consumer_id):
        raise Unavailable("erasure_in_progress")
    return outcome


async def destroy_keys(services: Services, scopes: Sequence[str], prefixes: Sequence[str]) -> None:
    """Destroy keys, and drop what memory still holds of the streams under them."""
    for scope in scopes:
        await services.keys.destroy(scope)
    for prefix in prefixes:
        forget_states(services, prefix)


async def finish_destructions(services: Services) -> None:
    """At start: destroy the keys whose destruction was recorded, withdraw what was announced in vain."""
    await finish_recorded(services)
    for scope in await services.keys.announced():
        await services.keys.withdraw_announcement(scope)


async def settle_announced(services: Services, below: str) -> None:
    """After a refusal: destroy what is recorded to be destroyed, at a scope and beneath it, and take back what was
    announced in vain."""
    await finish_recorded(services, below)
    for scope in await services.keys.announced():
        if scope == below or scope.startswith(f"{below}/"):
            await services.keys.withdraw_announcement(scope)


def one_destruction(services: Services, scope: str) -> asyncio.Lock:
    """Destructions beneath a consumer go one after the other: what one announced, another must not take back."""
    return services.one_at_a_time.setdefault(f"destruction {scope}", asyncio.Lock())


async def finish_recorded(services: Services, below: str = "") -> list[str]:
    """Destroy the keys, at a scope and beneath it, whose destruction was recorded and not finished."""
    announced = [
        scope
        for scope in await services.keys.announced()
        if not below or scope == below or scope.startswith(f"{below}/")
    ]
    recorded = [scope for scope in announced if await _was_recorded(services, scope)]
    for scope in recorded:
        await destroy_keys(services, [scope], _prefixes(scope))
    return recorded


def _prefixes(scope: str) -> list[str]:
    """What the streams under a scope's key begin with."""
    match scope.split("/"):
        case [tenant, consumer_id, id]:
            return [
                f"{tenant}/{consumer_id}/{kind}/{id}"
                for kind in (streams.DATA_CONNECTION, streams.CONSUMER_ACCOUNT)
            ]
    return [f"{scope}/"]


async def _was_recorded(services: Services, scope: str) -> bool:
    match scope.split("/"):
        case [tenant, consumer_id]:
            loaded = await load(services, streams.consumer(tenant, consumer_id))
            return isinstance(loaded.state, consumer.Gone)
        case [tenant, consumer_id, id]:
            connection = await load(services, streams.data_connection(tenant, consumer_id, id))
            account = await load(services, streams.consumer_account(tenant, consumer_id, id))
            closed = account.state
            return (
                isinstance(connection.state, data_connection.Deleted)
                or isinstance(closed, consumer_account.Gone)
                or (
                    isinstance(closed, consumer_account.Closed)
                    and closed.reason in consumer_account.DESTROYING
                )
            )
    return False
