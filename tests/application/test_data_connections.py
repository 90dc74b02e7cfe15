"""Requesting, changing and deleting connections."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from application import data_connections, providers
from application.erasure import erase_consumer, finish_destructions
from application.execute import load
from application.ports import Append, Change, KeyDestroyed, ProviderUnreachable
from application.refusals import Unavailable
from domain import consumer_account, streams
from domain.consumer import AccountLinked
from domain.data_connection import (
    ConnectionConnected,
    ConnectionDeleted,
    ConnectionRequested,
    RequestedDataTypesChanged,
)
from domain.fact import Erased
from domain.refusals import (
    ConnectionExists,
    InvalidRequest,
    NotFound,
    ProviderNotAvailable,
    ProviderNotEnabled,
    StatusChangeImpossible,
    UnsupportedDataType,
)
from tests.application.world import BI, TENANT, World, conflict, outcome_of, unavailable

ALL = ("BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW", "CREDIT_INSIGHTS")


async def request(
    world: World, consumer_id: str, *data_types: str, key: str | None = None, **more: Any
) -> Any:
    return await data_connections.request(
        world.services,
        world.asks(key, str(data_types)),
        consumer_id,
        provider_name=more.pop("provider_name", BI),
        data_types=data_types,
        **more,
    )


async def change(world: World, consumer_id: str, connection_id: str, **changes: Any) -> Any:
    return await data_connections.change(world.services, world.asks(), consumer_id, connection_id, **changes)


async def delete(world: World, consumer_id: str, connection_id: str, key: str | None = None) -> Any:
    return await data_connections.delete(world.services, world.asks(key), consumer_id, connection_id)


# Requesting


async def test_a_connection_begins_as_one_to_be_authorised(any_world: World) -> None:
    await any_world.provider()
    outcome = await request(any_world, await any_world.consumer(), "CASHFLOW", "BANK_ACCOUNT", "CASHFLOW")
    state = await any_world.state(outcome.stream)
    assert (state.status, state.data_types) == ("AUTH_REQUIRED", ("BANK_ACCOUNT", "CASHFLOW"))


async def test_a_consumer_has_one_connection_to_a_unique_provider(world: World) -> None:
    await world.provider()
    consumer_id = await world.consumer()
    await request(world, consumer_id, "CASHFLOW")
    with pytest.raises(ConnectionExists):
        await request(world, consumer_id, "BANK_ACCOUNT")
    assert len(world.live()["data_connections"]) == 1


async def test_two_requests_at_once_end_in_one_connection(any_world: World) -> None:
    await any_world.provider()
    consumer_id = await any_world.consumer()
    any_world.log.yields = lambda: 2
    ended = await asyncio.gather(
        *(request(any_world, consumer_id, "CASHFLOW") for _ in range(4)), return_exceptions=True
    )
    assert sorted(type(end).__name__ for end in ended) == [*["ConnectionExists"] * 3, "Outcome"]
    assert len(any_world.live()["data_connections"]) == 1


async def test_a_repeated_request_is_the_same_connection(any_world: World) -> None:
    await any_world.provider()
    consumer_id = await any_world.consumer()
    first = await request(any_world, consumer_id, "CASHFLOW", key="one")
    assert outcome_of(await request(any_world, consumer_id, "CASHFLOW", key="one")) == outcome_of(first)


async def test_after_a_deletion_there_may_be_a_new_connection(any_world: World) -> None:
    await any_world.provider()
    consumer_id = await any_world.consumer()
    first = await any_world.connection(consumer_id)
    await delete(any_world, consumer_id, first)
    assert await any_world.connection(consumer_id) != first


async def test_a_request_adopts_the_automatic_connection_and_replaces_its_types(any_world: World) -> None:
    await any_world.provider(auto_connect=True)
    consumer_id = await any_world.consumer()
    (automatic,) = any_world.live()["data_connections"]
    outcome = await request(any_world, consumer_id, "BANK_ACCOUNT")
    assert streams.parse(outcome.stream).id == automatic.id
    (row,) = any_world.live()["data_connections"]
    assert row.data_types == "BANK_ACCOUNT"


async def test_it_may_be_adopted_again_until_it_was_connected(world: World) -> None:
    await world.provider(auto_connect=True)
    consumer_id = await world.consumer()
    adopted = await world.connection(consumer_id, "BANK_ACCOUNT")
    assert await world.connection(consumer_id, "BANK_ACCOUNT") == adopted
    await world.authorise(consumer_id, adopted)
    with pytest.raises(ConnectionExists):
        await request(world, consumer_id, "BANK_ACCOUNT")
    await change(world, consumer_id, adopted, status="DISCONNECTED")
    with pytest.raises(ConnectionExists):
        await request(world, consumer_id, "BANK_ACCOUNT")


async def test_who_adopts_a_connection_says_whether_permissions_are_shown(world: World) -> None:
    await world.provider(auto_connect=True)
    consumer_id = await world.consumer()
    for skipped in (True, True, False):
        outcome = await request(world, consumer_id, *ALL, skip_permissions=skipped)
        assert (await world.state(outcome.stream)).skip_permissions is skipped
    assert (await world.names(outcome.stream)).count("RequestedDataTypesChanged") == 2
    assert world.live() == world.rebuilt()


async def test_an_automatic_connection_that_was_given_up_can_be_made_by_who_adopts_it(world: World) -> None:
    await world.provider(auto_connect=True)
    consumer_id = await world.consumer()
    (automatic,) = world.live()["data_connections"]
    await change(world, consumer_id, automatic.id, status="DISCONNECTED")
    for _ in range(2):
        outcome = await request(world, consumer_id, *ALL)
    assert (await world.state(outcome.stream)).status == "AUTH_REQUIRED"
    assert (await world.names(outcome.stream)).count("ReauthorisationRequested") == 1


async def test_a_request_is_refused_for_what_is_wrong_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer_id = await world.consumer()
    with pytest.raises(ProviderNotEnabled):
        await request(world, consumer_id, "CASHFLOW")
    await world.provider()
    with pytest.raises(InvalidRequest):
        await request(world, consumer_id, "CASHFLOW", provider_name="evil")
    with pytest.raises(InvalidRequest):
        await request(world, consumer_id)
    with pytest.raises(UnsupportedDataType):
        await request(world, consumer_id, "CASHFLOW", "SHOE_SIZE")
    with pytest.raises(NotFound):
        await request(world, world.services.ids.uuid(), "CASHFLOW")
    with pytest.raises(NotFound):
        await request(world.of("rival"), consumer_id, "CASHFLOW")
    monkeypatch.setitem(providers.provider.CATALOGUE, BI, replace(providers.described(BI), available=False))
    with pytest.raises(ProviderNotAvailable):
        await request(world, consumer_id, "CASHFLOW")
    assert "data_connections" not in world.live()


async def test_a_request_that_meets_the_erasure_of_its_consumer_leaves_no_row(world: World) -> None:
    await world.provider()
    consumer_id = await world.consumer()

    async def erased() -> None:
        await erase_consumer(world.services, world.asks(), consumer_id)

    world.log.before(ConnectionRequested, erased)
    # The door answers 404 to either.
    with pytest.raises((NotFound, KeyDestroyed)):
        await request(world, consumer_id, "CASHFLOW")
    assert await world.read_models.consumer_gone(TENANT, consumer_id)


# Changing


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"status": "DISCONNECTED"}, ["ConnectionDisconnected"]),
        ({"status": "AUTH_REQUIRED"}, ["ReauthorisationRequested"]),
        ({"data_types": ["CASHFLOW"]}, ["RequestedDataTypesChanged"]),
        ({"data_types": [*reversed(ALL)]}, []),
        (
            {"status": "DISCONNECTED", "data_types": ["CASHFLOW"]},
            ["RequestedDataTypesChanged", "ConnectionDisconnected"],
        ),
        (
            {"status": "AUTH_REQUIRED", "data_types": ["BANK_ACCOUNT"]},
            ["RequestedDataTypesChanged", "ReauthorisationRequested"],
        ),
        ({}, []),
    ],
)
async def test_a_change_says_what_changes_and_said_twice_adds_nothing(
    world: World, changes: dict[str, Any], facts: list[str]
) -> None:
    consumer_id, connection_id, _ = await world.connected()
    stream = world.connection_stream(consumer_id, connection_id)
    before = len(await world.facts(stream))
    for _ in range(2):
        await change(world, consumer_id, connection_id, **changes)
    assert (await world.names(stream))[before:] == facts


async def test_both_halves_of_a_change_are_refused_together(world: World) -> None:
    consumer_id, connection_id, _ = await world.connected()
    head = world.lasting.source.head()
    with pytest.raises(StatusChangeImpossible):
        await change(world, consumer_id, connection_id, status="CONNECTED", data_types=["CASHFLOW"])
    with pytest.raises(UnsupportedDataType):
        await change(world, consumer_id, connection_id, status="DISCONNECTED", data_types=["SHOE_SIZE"])
    with pytest.raises(InvalidRequest):
        await change(world, consumer_id, connection_id, data_types=[])
    assert world.lasting.source.head() == head


async def test_a_change_that_meets_the_callback_keeps_what_the_callback_said(any_world: World) -> None:
    await any_world.provider()
    consumer_id = await any_world.consumer()
    connection_id = await any_world.connection(consumer_id)

    async def callback() -> None:
        await any_world.authorise(consumer_id, connection_id)

    any_world.log.before(RequestedDataTypesChanged, callback)
    await change(any_world, consumer_id, connection_id, data_types=["CASHFLOW"])
    state = await any_world.state(any_world.connection_stream(consumer_id, connection_id))
    assert (state.status, state.data_types) == ("CONNECTED", ("CASHFLOW",))


async def test_disconnecting_ends_what_is_being_fetched(world: World) -> None:
    consumer_id, connection_id, _ = await world.connected()
    stream, sync_id = await world.request_sync(consumer_id)
    await change(world, consumer_id, connection_id, status="DISCONNECTED")
    assert await world.ending(stream, sync_id) == "AUTH_ERROR disconnected"
    assert await world.read_models.pending_syncs() == []


async def test_what_is_not_there_can_be_neither_changed_nor_deleted(any_world: World) -> None:
    consumer_id, connection_id, _ = await any_world.connected()
    elsewhere = await any_world.consumer()
    for world, owner, connection in (
        (any_world, consumer_id, any_world.services.ids.uuid()),
        (any_world, elsewhere, connection_id),
        (any_world.of("rival"), consumer_id, connection_id),
    ):
        with pytest.raises(NotFound):
            await change(world, owner, connection, status="DISCONNECTED")
        with pytest.raises(NotFound):
            await delete(world, owner, connection)
    assert await any_world.keys.announced() == []


# Deleting


async def with_an_account(world: World, **account: Any) -> tuple[str, str, str]:
    """A consumer whose one account was fetched: consumer, connection, the account's stream."""
    consumer_id, connection_id, reference = await world.connected()
    world.bank.account(reference, "1", **account)
    world.bank.row("1", "r1")
    assert await world.sync(consumer_id) == "SUCCESS"
    return consumer_id, connection_id, await world.only_account(consumer_id)


async def test_a_deleted_connection_takes_the_accounts_that_only_it_feeds(any_world: World) -> None:
    consumer_id, connection_id, account = await with_an_account(any_world)
    await delete(any_world, consumer_id, connection_id)
    for stream in (account, any_world.connection_stream(consumer_id, connection_id)):
        assert {type(fact) for fact in await any_world.facts(stream)} == {Erased}
        assert stream not in any_world.services.states
    live = any_world.live()
    assert not {"accounts", "transactions", "data_connections", "data_syncs", "balances"} & set(live)
    assert len(live["consumers"]) == 1
    assert live == any_world.rebuilt()
    assert await any_world.keys.announced() == []


async def test_the_bank_is_told_of_the_deletion_beside_the_answer(world: World) -> None:
    consumer_id, connection_id, reference = await world.connected()
    await delete(world, consumer_id, connection_id)
    await world.jobs.close(1.0)
    assert world.bank.asked("delete_connection") == [["7301", reference]]
    assert world.bank.asked("delete_user") == []


async def test_an_account_that_another_connection_feeds_is_kept(any_world: World) -> None:
    consumer_id, connection_id, account = await with_an_account(any_world)
    other = await second_feed(any_world, consumer_id, account)
    await delete(any_world, consumer_id, connection_id)
    state = await any_world.state(account)
    assert isinstance(state, consumer_account.Open)
    assert list(await any_world.held(account)) == ["r1"]
    (row,) = any_world.live()["accounts"]
    assert row.connection == other


async def second_feed(world: World, consumer_id: str, account: str) -> str:
    """Another connection that shows the same account, as a provider that is not unique would bring."""
    other = world.services.ids.uuid()
    stream = streams.consumer(TENANT, consumer_id)
    held = await load(world.services, stream)
    (link,) = held.state.links
    changes = (
        Change(
            stream,
            held.version,
            (
                AccountLinked(
                    account_id=link.account_id, connection_id=other, reference="9", evidence=link.evidence
                ),
            ),
        ),
        Change(
            world.connection_stream(consumer_id, other),
            0,
            (
                ConnectionRequested(provider=BI, data_types=ALL),
                ConnectionConnected(reference="599", provider_user="7301"),
            ),
        ),
    )
    await world.lasting.log.append(
        Append(
            context=world.asks(),
            recorded_at=world.clock.now(),
            changes=changes,
            subject=stream,
            subject_version=held.version + 1,
        )
    )
    return other


async def test_an_account_that_begins_to_be_fed_elsewhere_meanwhile_is_kept(world: World) -> None:
    consumer_id, connection_id, account = await with_an_account(world)

    async def fed_elsewhere() -> None:
        await second_feed(world, consumer_id, account)

    world.log.before(ConnectionDeleted, fed_elsewhere)
    await delete(world, consumer_id, connection_id)
    assert isinstance(await world.state(account), consumer_account.Open)
    # What was announced for it in vain is withdrawn by the next start.
    after = world.restarted()
    await finish_destructions(after.services)
    assert await after.keys.announced() == []
    assert isinstance(await after.state(account), consumer_account.Open)


async def test_a_deletion_that_met_conflicts_happens_once(world: World) -> None:
    consumer_id, connection_id, _ = await with_an_account(world)
    world.log.before(ConnectionDeleted, conflict, conflict)
    await delete(world, consumer_id, connection_id)
    assert world.live() == world.rebuilt()


async def test_deleting_again_finds_nothing(any_world: World) -> None:
    consumer_id, connection_id, _ = await with_an_account(any_world)
    await delete(any_world, consumer_id, connection_id)
    with pytest.raises(NotFound):
        await delete(any_world, consumer_id, connection_id)


async def test_a_repeated_deletion_is_answered_as_the_first(any_world: World) -> None:
    consumer_id, connection_id, _ = await with_an_account(any_world)
    first = await delete(any_world, consumer_id, connection_id, key="one")
    assert outcome_of(await delete(any_world, consumer_id, connection_id, key="one")) == outcome_of(first)


async def test_a_deletion_that_was_written_before_a_crash_is_finished_at_the_start(any_world: World) -> None:
    consumer_id, connection_id, account = await with_an_account(any_world)
    any_world.log.after(ConnectionDeleted, unavailable)
    with pytest.raises(Unavailable):
        await delete(any_world, consumer_id, connection_id)
    after = any_world.restarted()
    await finish_destructions(after.services)
    assert {type(fact) for fact in await after.facts(account)} == {Erased}
    assert await after.keys.announced() == []
    assert after.live() == after.rebuilt()


async def test_a_deletion_that_was_not_written_is_withdrawn_at_the_start(any_world: World) -> None:
    consumer_id, connection_id, account = await with_an_account(any_world)
    any_world.log.before(ConnectionDeleted, unavailable)
    with pytest.raises(Unavailable):
        await delete(any_world, consumer_id, connection_id)
    after = any_world.restarted()
    await finish_destructions(after.services)
    assert isinstance(await after.state(account), consumer_account.Open)
    assert await after.keys.announced() == []
    await delete(after, consumer_id, connection_id)
    assert {type(fact) for fact in await after.facts(account)} == {Erased}


async def test_the_repetition_of_a_deletion_whose_answer_was_lost_destroys_the_keys(any_world: World) -> None:
    consumer_id, connection_id, account = await with_an_account(any_world)
    any_world.log.after(ConnectionDeleted, unavailable)
    with pytest.raises(Unavailable):
        await delete(any_world, consumer_id, connection_id, key="one")
    await delete(any_world, consumer_id, connection_id, key="one")
    assert {type(fact) for fact in await any_world.facts(account)} == {Erased}


async def test_an_account_that_is_closed_already_goes_with_its_connection_too(any_world: World) -> None:
    consumer_id, connection_id, _ = await with_an_account(any_world)
    reference = next(iter(any_world.bank.connections))
    any_world.bank.change(reference, "1", disabled=True)
    assert await any_world.sync(consumer_id) == "SUCCESS"
    await delete(any_world, consumer_id, connection_id)
    assert "transactions" not in any_world.live()
    assert any_world.live() == any_world.rebuilt()


async def test_the_key_of_a_closed_account_is_destroyed_after_a_crash_too(world: World) -> None:
    consumer_id, connection_id, account = await with_an_account(world)
    world.bank.change(next(iter(world.bank.connections)), "1", disabled=True)
    assert await world.sync(consumer_id) == "SUCCESS"
    world.log.after(ConnectionDeleted, unavailable)
    with pytest.raises(Unavailable):
        await delete(world, consumer_id, connection_id)
    after = world.restarted()
    await finish_destructions(after.services)
    assert {type(fact) for fact in await after.facts(account)} == {Erased}


async def test_a_bank_that_cannot_be_reached_does_not_keep_a_connection_alive(world: World) -> None:
    consumer_id, connection_id, _ = await with_an_account(world)
    world.bank.fail("delete_connection", ProviderUnreachable("timeout"))
    await delete(world, consumer_id, connection_id)
    await world.jobs.close(1.0)
    assert "data_connections" not in world.live()
