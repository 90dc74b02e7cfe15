"""Requesting synchronisations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from application import data_connections, providers, syncs
from application.authorisations import complete
from application.refusals import IdempotencyKeyReused
from application.synchronise import run_sync
from domain.data_connection import SyncRequested
from domain.refusals import (
    NoConnectedProvider,
    NotFound,
    ProviderNotEnabled,
    SyncAlreadyRunning,
    UnsupportedDataType,
)
from tests.application.world import BI, World, conflict, outcome_of

ALL = ("BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW", "CREDIT_INSIGHTS")


async def request(world: World, consumer_id: str, *data_types: str, key: str | None = None) -> Any:
    return await syncs.request(
        world.services, world.asks(key, str(data_types)), consumer_id, data_types or None
    )


async def requested_types(world: World, consumer_id: str, *data_types: str) -> list[str]:
    _, (recorded,) = await request(world, consumer_id, *data_types)
    return [data_sync.data_type for data_sync in recorded.fact.data_syncs]


async def test_no_type_means_all(any_world: World) -> None:
    consumer_id, _, _ = await any_world.connected()
    assert await requested_types(any_world, consumer_id) == list(ALL)
    rows = any_world.live()["data_syncs"]
    assert {row.status for row in rows} == {"QUEUED"}
    assert [row.data_type for row in sorted(rows, key=lambda row: row.ordinal)] == list(ALL)


@pytest.mark.parametrize(
    ("asked", "requested"),
    [
        (["BANK_ACCOUNT"], ["BANK_ACCOUNT"]),
        (["BANK_TRANSACTION"], ["BANK_ACCOUNT", "BANK_TRANSACTION"]),
        (["CREDIT_INSIGHTS"], ["BANK_ACCOUNT", "BANK_TRANSACTION", "CREDIT_INSIGHTS"]),
        (["CASHFLOW", "CASHFLOW"], ["BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW"]),
    ],
)
async def test_a_type_brings_those_it_is_made_from(
    world: World, asked: list[str], requested: list[str]
) -> None:
    consumer_id, _, _ = await world.connected()
    assert await requested_types(world, consumer_id, *asked) == requested


async def test_the_synchroniser_is_told_of_what_was_requested(world: World) -> None:
    consumer_id, _, _ = await world.connected()
    stream, sync_id = await world.request_sync(consumer_id)
    assert world.requested == [(stream, sync_id)]
    assert list(await world.read_models.pending_syncs()) == [(stream, sync_id)]


async def test_a_type_that_is_queued_or_fetched_is_refused_with_what_depends_on_it(world: World) -> None:
    consumer_id, _, _ = await world.connected()
    await request(world, consumer_id, "BANK_TRANSACTION")
    with pytest.raises(SyncAlreadyRunning) as refused:
        await request(world, consumer_id, "CASHFLOW")
    assert refused.value.details == {"data_types": ["BANK_ACCOUNT", "BANK_TRANSACTION"]}
    with pytest.raises(SyncAlreadyRunning):
        await request(world, consumer_id, "BANK_ACCOUNT")
    (pending,) = await world.read_models.pending_syncs()
    await run_sync(world.services, *pending)
    assert await requested_types(world, consumer_id, "BANK_ACCOUNT") == ["BANK_ACCOUNT"]


async def test_of_two_requests_at_once_one_is_refused(any_world: World) -> None:
    consumer_id, _, _ = await any_world.connected()
    any_world.log.yields = lambda: 2
    ended = await asyncio.gather(*(request(any_world, consumer_id) for _ in range(2)), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ended) == ["SyncAlreadyRunning", "tuple"]
    assert len(any_world.live()["pending_syncs"]) == 1


async def test_a_refresh_that_nobody_asked_for_is_no_reason_to_refuse(world: World) -> None:
    consumer_id, connection_id, _ = await world.connected()
    requested: list[str] = []

    async def meanwhile() -> None:
        requested.extend(await requested_types(world, consumer_id))

    world.bank.during("accounts", meanwhile)
    await world.refresh(world.connection_stream(consumer_id, connection_id))
    assert requested == list(ALL)


async def test_a_type_that_the_connection_is_not_there_for_is_refused(world: World) -> None:
    await world.provider()
    consumer_id = await world.consumer()
    connection_id = await world.connection(consumer_id, "BANK_ACCOUNT", "CASHFLOW")
    await world.authorise(consumer_id, connection_id)
    with pytest.raises(NoConnectedProvider) as refused:
        await request(world, consumer_id, "CASHFLOW", "CREDIT_INSIGHTS")
    assert refused.value.details == {"data_types": ["CREDIT_INSIGHTS"]}
    assert await requested_types(world, consumer_id) == ["BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW"]


async def test_a_type_that_does_not_exist_is_refused(world: World) -> None:
    consumer_id, _, _ = await world.connected()
    with pytest.raises(UnsupportedDataType):
        await request(world, consumer_id, "SHOE_SIZE")


async def test_through_a_provider_that_was_disabled_nothing_is_requested(world: World) -> None:
    consumer_id, _, _ = await world.connected()
    await providers.set_enabled(world.services, world.asks(), BI, False)
    with pytest.raises(ProviderNotEnabled):
        await request(world, consumer_id)
    await providers.set_enabled(world.services, world.asks(), BI, True)
    assert await requested_types(world, consumer_id) == list(ALL)


@pytest.mark.parametrize("way", ["none", "to be authorised", "failed", "disconnected", "deleted"])
async def test_without_a_connected_provider_there_is_nothing_to_sync(world: World, way: str) -> None:
    await world.provider()
    consumer_id = await world.consumer()
    if way != "none":
        connection_id = await world.connection(consumer_id)
    match way:
        case "failed":
            state = await world.opened(consumer_id, connection_id)
            await complete(world.services, {"state": state, "error": "access_denied"})
        case "disconnected":
            await world.authorise(consumer_id, connection_id)
            await data_connections.change(
                world.services, world.asks(), consumer_id, connection_id, status="DISCONNECTED"
            )
        case "deleted":
            await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
    with pytest.raises(NoConnectedProvider):
        await request(world, consumer_id)


async def test_nobody_syncs_who_is_unknown_or_anothers(any_world: World) -> None:
    consumer_id, _, _ = await any_world.connected()
    with pytest.raises(NotFound):
        await request(any_world, any_world.services.ids.uuid())
    with pytest.raises(NotFound):
        await request(any_world.of("rival"), consumer_id)


async def test_a_consumer_older_than_auto_connect_gets_its_connection_with_the_next_sync(
    any_world: World,
) -> None:
    await any_world.provider()
    consumer_id = await any_world.consumer()
    await providers.update_settings(any_world.services, any_world.asks(), BI, {"auto_connect": True})
    for _ in range(2):
        with pytest.raises(NoConnectedProvider):
            await request(any_world, consumer_id)
    (row,) = any_world.live()["data_connections"]
    assert (row.status, row.consumer) == ("AUTH_REQUIRED", consumer_id)


async def test_two_syncs_at_once_bring_one_automatic_connection(any_world: World) -> None:
    await any_world.provider()
    consumer_id = await any_world.consumer()
    await providers.update_settings(any_world.services, any_world.asks(), BI, {"auto_connect": True})
    any_world.log.yields = lambda: 2
    ended = await asyncio.gather(*(request(any_world, consumer_id) for _ in range(3)), return_exceptions=True)
    assert {type(end) for end in ended} == {NoConnectedProvider}
    assert len(any_world.live()["data_connections"]) == 1


async def test_auto_connect_leaves_alone_who_has_a_connection(world: World) -> None:
    consumer_id, _, _ = await world.connected()
    await providers.update_settings(world.services, world.asks(), BI, {"auto_connect": True})
    await request(world, consumer_id)
    assert len(world.live()["data_connections"]) == 1


async def test_a_repeated_request_returns_the_same_data_syncs(any_world: World) -> None:
    consumer_id, _, _ = await any_world.connected()
    first, recorded = await request(any_world, consumer_id, "CASHFLOW", key="one")
    again, repeated = await request(any_world, consumer_id, "CASHFLOW", key="one")
    assert outcome_of(again) == outcome_of(first)
    assert repeated == recorded
    await run_sync(any_world.services, recorded[0].stream, recorded[0].fact.sync_id)
    _, later = await request(any_world.restarted(), consumer_id, "CASHFLOW", key="one")
    assert later == recorded
    with pytest.raises(IdempotencyKeyReused):
        await request(any_world, consumer_id, "BANK_ACCOUNT", key="one")


async def test_a_request_that_met_a_conflict_is_one_sync(world: World) -> None:
    consumer_id, _, _ = await world.connected()
    world.log.before(SyncRequested, conflict, conflict)
    await request(world, consumer_id)
    assert len(world.live()["pending_syncs"]) == 1


async def test_a_sync_is_not_requested_through_a_connection_that_is_disconnected_meanwhile(
    world: World,
) -> None:
    consumer_id, connection_id, _ = await world.connected()

    async def disconnected() -> None:
        await data_connections.change(
            world.services, world.asks(), consumer_id, connection_id, status="DISCONNECTED"
        )

    world.log.before(SyncRequested, disconnected)
    with pytest.raises(NoConnectedProvider):
        await request(world, consumer_id)
