"""What clients brought is forgotten when its time is up: the fact, then the key, then the rows."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from application import consumers, data_connections, retention, uploads
from application.erasure import finish_destructions
from application.farewell import FAREWELL
from application.ports import KeyDestroyed
from application.refusals import Unavailable
from application.retention import Retention
from domain import provider, streams
from domain.consumer import NO_CONNECTION, AccountLinked, ConsumerErased, Evidence
from domain.consumer_account import EXPIRED, AccountClosed, Open, RetentionSet, TransactionsFetched
from domain.fact import Erased
from domain.provider import BUDGET_INSIGHT
from domain.refusals import NoSuchAccount, NoSuchConsumer, NotFound, NotInStorage
from tests.application.stories import fetched_once, say, the_banks_connection
from tests.application.test_uploads import (
    MINUTE,
    a_row,
    a_statement,
    account_stream,
    an_upload,
    create,
    stored,
)
from tests.application.world import BI, TENANT, World, unavailable


async def round_after(world: World, time: timedelta) -> None:
    world.clock.at += time
    await Retention(world.services).round()


async def until_of(world: World, consumer_id: str, account_id: str) -> timedelta:
    """How long an account is kept from now."""
    return (await world.state(account_stream(consumer_id, account_id))).until - world.clock.now()


def names_left(world: World) -> list[str]:
    """The facts that can still be read, by name."""
    return [recorded.name for recorded in world.everything() if not isinstance(recorded.fact, Erased)]


# How long


@pytest.mark.parametrize(
    ("minutes", "sets", "left"), [(10, False, 20), (30, False, 30), (10, True, 10), (30, True, 30)]
)
async def test_a_call_keeps_an_account_for_longer_and_for_less_only_if_it_says_so(
    world: World, minutes: int, sets: bool, left: int
) -> None:
    ids = await stored(world, upload=an_upload(retention=25 * MINUTE))
    world.clock.at += 5 * MINUTE
    await create(world, a_row("r1"), retention=minutes * MINUTE, sets_retention=sets)
    assert await until_of(world, *ids) == left * MINUTE
    world.clock.at += MINUTE
    await stored(world, upload=an_upload(retention=minutes * MINUTE, sets_retention=sets))
    expected = minutes if sets else max(minutes, left - 1)
    assert await until_of(world, *ids) == expected * MINUTE


async def test_other_changes_leave_it_as_it_is(world: World) -> None:
    ids = await stored(world)
    await create(world, a_row("r1"))
    world.clock.at += 4 * MINUTE
    edits = {"r1": lambda row: a_row("r1", 5)}
    await uploads.edit_stored(world.services, world.asks(), "cust-1", "acc-1", edits)
    await uploads.remove_stored(world.services, world.asks(), "cust-1", "acc-1", ["r1"])
    assert await until_of(world, *ids) == 6 * MINUTE


# When it is up


async def test_the_last_account_goes_with_whoever_was_there_through_it(any_world: World) -> None:
    consumer_id, account_id = await stored(any_world)
    await create(any_world, a_row("r1"))
    await round_after(any_world, 10 * MINUTE - timedelta(microseconds=1))
    assert len(names_left(any_world)) == 5
    await round_after(any_world, timedelta(microseconds=1))
    assert names_left(any_world) == ["ConsumerErased.1"]
    assert await any_world.read_models.consumer_gone(TENANT, consumer_id)
    assert await any_world.keys.announced() == []
    assert any_world.live() == any_world.rebuilt() == {}
    with pytest.raises(NoSuchConsumer):
        await uploads.consumer_of(any_world.services, TENANT, "cust-1")
    assert (await stored(any_world))[0] != consumer_id


async def test_one_of_two_accounts_goes_alone_by_its_key(any_world: World) -> None:
    consumer_id, first = await stored(any_world)
    _, second = await stored(any_world, upload=an_upload("acc-2", retention=60 * MINUTE))
    await round_after(any_world, 11 * MINUTE)
    facts = await any_world.facts(account_stream(consumer_id, first))
    assert {type(fact) for fact in facts} == {Erased}
    assert (await any_world.names(account_stream(consumer_id, first)))[-1] == "AccountClosed"
    assert RetentionSet in {type(fact) for fact in await any_world.facts(account_stream(consumer_id, second))}
    with pytest.raises(KeyDestroyed):
        any_world.keys.for_writing(f"{TENANT}/{consumer_id}/{first}")
    with pytest.raises(NoSuchAccount):
        await uploads.account_of(any_world.services, TENANT, consumer_id, "acc-1")
    assert any_world.live() == any_world.rebuilt()
    assert (await stored(any_world))[0] == consumer_id
    assert await uploads.account_of(any_world.services, TENANT, consumer_id, "acc-1") != first


async def test_an_account_is_unknown_from_the_moment_its_time_is_up(world: World) -> None:
    consumer_id, account_id = await stored(world)
    await create(world, a_row("r1"))
    world.clock.at += 10 * MINUTE
    with pytest.raises(NoSuchAccount):
        await create(world, a_row("r2"))
    # It is not brought back to life either: what is brought now is another account of the consumer.
    again = await stored(world)
    assert again[0] == consumer_id and again[1] != account_id
    await round_after(world, timedelta())
    assert {type(fact) for fact in await world.facts(account_stream(consumer_id, account_id))} == {Erased}
    assert await uploads.account_of(world.services, TENANT, consumer_id, "acc-1") == again[1]
    assert world.live() == world.rebuilt()


async def test_who_has_anything_else_stays(world: World) -> None:
    registered = await world.consumer()
    await stored(world, registered)
    with_statement, _ = await stored(world, "cust-2")
    await uploads.put_account(world.services, world.asks(), with_statement, a_statement())
    named, _ = await stored(world, "cust-3")
    await consumers.change(world.services, world.asks(), named, {"first_name": "Amélie"})
    await world.provider()
    connected, _ = await stored(world, "cust-4")
    await data_connections.request(
        world.services, world.asks(), connected, provider_name=BI, data_types=BUDGET_INSIGHT.data_types
    )
    alone, _ = await stored(world, "cust-5")
    await round_after(world, 11 * MINUTE)
    for consumer_id in (registered, with_statement, named, connected):
        assert await uploads.consumer_of(world.services, TENANT, consumer_id) == consumer_id
        assert [
            state
            for state in (await world.accounts(consumer_id)).values()
            if state.__class__.__name__ == "Gone"
        ]
    assert await world.read_models.consumer_gone(TENANT, alone)
    assert world.live() == world.rebuilt()


async def test_what_banks_and_statements_bring_has_no_end(world: World) -> None:
    consumer_id, _, reference = await world.connected()
    world.bank.account(reference, "1")
    assert await world.sync(consumer_id) == "SUCCESS"
    await uploads.put_account(world.services, world.asks(), consumer_id, a_statement())
    before = names_left(world)
    await round_after(world, timedelta(days=20_000))
    assert names_left(world) == before


async def test_nothing_but_what_the_storage_brought_has_an_end_whatever_the_log_says(world: World) -> None:
    """A log may hold facts that nothing of today would write: a bank's account that was stored in, and one that was
    read from statements, each with an end of its own."""
    consumer_id, banks = await fetched_once(world)
    outcome = await uploads.put_account(
        world.services, world.asks(), consumer_id, a_statement(), rows=[a_row("s1")]
    )
    link = AccountLinked(
        account_id=streams.parse(banks).id,
        connection_id=NO_CONNECTION,
        reference=streams.parse(banks).id,
        evidence=Evidence(kind="none"),
        source_id=streams.parse(banks).id,
    )
    await say(world, streams.consumer(TENANT, consumer_id), link)
    for stream in (banks, outcome.stream):
        await say(world, stream, RetentionSet(until=world.clock.now() + 5 * MINUTE))
    _, account_id = await stored(world, consumer_id)
    await round_after(world, 11 * MINUTE)
    assert {type(fact) for fact in await world.facts(account_stream(consumer_id, account_id))} == {Erased}
    for stream in (banks, outcome.stream):
        assert isinstance(await world.state(stream), Open)
        assert not any(isinstance(fact, Erased) for fact in await world.facts(stream))
    for stream in (banks, outcome.stream):
        with pytest.raises(NotInStorage):
            await stored(world, consumer_id, an_upload(streams.parse(stream).id))


async def test_no_retention_is_set_of_what_is_read_from_statements(world: World) -> None:
    consumer_id = await world.consumer()
    upload = a_statement(retention=10 * MINUTE)
    outcome = await uploads.put_account(world.services, world.asks(), consumer_id, upload)
    assert (await world.state(outcome.stream)).until is None


# Whoever had a connection


async def brought_and_connected(world: World) -> tuple[str, str]:
    """Somebody who is there through an account of ten minutes, and a bank: consumer and connection."""
    await world.provider()
    consumer_id, _ = await stored(world)
    connection_id = await world.connection(consumer_id)
    reference = await world.authorise(consumer_id, connection_id)
    world.bank.account(reference, "1")
    world.bank.row("1", "r1")
    assert await world.sync(consumer_id) == "SUCCESS"
    return consumer_id, connection_id


async def delete_connection(world: World, consumer_id: str, connection_id: str) -> None:
    await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)


async def assert_forgotten(world: World, consumer_id: str) -> None:
    """Nothing is left of them here, nor at the provider."""
    left = [recorded.name for recorded in world.everything() if not isinstance(recorded.fact, Erased)]
    assert [name for name in left if not name.startswith(("Credentials", "Provider"))] == ["ConsumerErased.1"]
    assert await world.read_models.consumer_gone(TENANT, consumer_id)
    assert await world.keys.announced() == []
    await world.jobs.close(5.0)
    assert world.bank.users == {} and await world.secrets.references(FAREWELL) == []
    assert world.live() == world.rebuilt()
    before = len(world.log.appends)
    await Retention(world.services).round()
    assert len(world.log.appends) == before


async def test_a_connection_that_was_deleted_keeps_nobody(any_world: World) -> None:
    consumer_id, connection_id = await brought_and_connected(any_world)
    await delete_connection(any_world, consumer_id, connection_id)
    await round_after(any_world, timedelta())
    assert await uploads.consumer_of(any_world.services, TENANT, "cust-1") == consumer_id
    await round_after(any_world, 11 * MINUTE)
    await assert_forgotten(any_world, consumer_id)


@pytest.mark.parametrize("by_request", [False, True])
async def test_who_stayed_for_a_connection_goes_once_it_is_deleted(
    any_world: World, by_request: bool
) -> None:
    consumer_id, connection_id = await brought_and_connected(any_world)
    if by_request:
        await retention.delete_accounts(any_world.services, any_world.asks(), "cust-1", ["acc-1"])
    await round_after(any_world, 11 * MINUTE)
    assert await uploads.consumer_of(any_world.services, TENANT, "cust-1") == consumer_id
    assert len(any_world.bank.users) == 1 and await any_world.secrets.references(FAREWELL) == []
    await delete_connection(any_world, consumer_id, connection_id)
    # What is due follows from the log, also in another life.
    after = any_world.restarted()
    await round_after(after, timedelta())
    await assert_forgotten(after, consumer_id)


async def test_who_has_another_connection_or_comes_back_stays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(provider.CATALOGUE, BI, replace(BUDGET_INSIGHT, unique=False))
    consumer_id, first = await brought_and_connected(world)
    second = await world.connection(consumer_id)
    await delete_connection(world, consumer_id, first)
    await round_after(world, 11 * MINUTE)
    assert await uploads.consumer_of(world.services, TENANT, "cust-1") == consumer_id
    await delete_connection(world, consumer_id, second)
    # Something is brought of them before anybody looks.
    assert (await stored(world))[0] == consumer_id
    await round_after(world, timedelta())
    assert await uploads.consumer_of(world.services, TENANT, "cust-1") == consumer_id
    third = await world.connection(consumer_id)
    await round_after(world, 11 * MINUTE)
    assert await uploads.consumer_of(world.services, TENANT, "cust-1") == consumer_id
    assert len(world.bank.users) == 1
    await delete_connection(world, consumer_id, third)
    await consumers.change(world.services, world.asks(), consumer_id, {"first_name": "Amélie"})
    await round_after(world, 11 * MINUTE)
    assert await uploads.consumer_of(world.services, TENANT, "cust-1") == consumer_id
    assert world.live() == world.rebuilt()


async def test_a_key_that_was_not_destroyed_keeps_no_user_at_the_provider(world: World) -> None:
    consumer_id, connection_id = await brought_and_connected(world)
    await delete_connection(world, consumer_id, connection_id)
    world.clock.at += 11 * MINUTE
    going = Retention(world.services)
    world.keys.fail_destructions()
    await going.round()
    await going.round()
    await assert_forgotten(world, consumer_id)


async def test_an_end_whose_answer_was_lost_is_told_the_provider_by_the_next_round(world: World) -> None:
    consumer_id, connection_id = await brought_and_connected(world)
    await delete_connection(world, consumer_id, connection_id)
    world.clock.at += 11 * MINUTE
    world.log.after(ConsumerErased, unavailable)
    going = Retention(world.services)
    await going.round()
    await going.round()
    await assert_forgotten(world, consumer_id)


async def test_what_was_prepared_for_an_end_that_did_not_come_is_forgotten(world: World) -> None:
    consumer_id, connection_id = await brought_and_connected(world)
    await delete_connection(world, consumer_id, connection_id)
    of_the_connection = set(await world.secrets.references(FAREWELL))
    world.clock.at += 11 * MINUTE

    async def another() -> None:
        await stored(world, upload=an_upload("acc-2"))

    world.log.before(ConsumerErased, another)
    await Retention(world.services).round()
    assert await uploads.account_of(world.services, TENANT, consumer_id, "acc-2")
    assert set(await world.secrets.references(FAREWELL)) <= of_the_connection
    assert len(world.bank.users) == 1


# Crashes and races


async def test_a_restart_forgets_none(any_world: World) -> None:
    consumer_id, _ = await stored(any_world)
    await stored(any_world, "cust-2", an_upload(retention=20 * MINUTE))
    any_world.clock.at += 15 * MINUTE
    after = any_world.restarted()
    await Retention(after.services).round()
    assert await after.read_models.consumer_gone(TENANT, consumer_id)
    assert await uploads.consumer_of(after.services, TENANT, "cust-2")


async def test_recorded_and_not_destroyed_it_is_finished_by_the_next_round(world: World) -> None:
    consumer_id, _ = await stored(world)
    world.clock.at += 15 * MINUTE
    going = Retention(world.services)
    world.keys.fail_destructions()
    await going.round()
    assert "ConsumerRegistered.1" in names_left(world)
    await going.round()
    assert names_left(world) == ["ConsumerErased.1"]


@pytest.mark.parametrize("fact", [ConsumerErased, AccountClosed])
async def test_written_and_not_known_it_is_finished_at_the_start(any_world: World, fact: type) -> None:
    consumer_id, account_id = await stored(any_world)
    if fact is AccountClosed:
        await stored(any_world, upload=an_upload("acc-2", retention=60 * MINUTE))
    any_world.clock.at += 15 * MINUTE
    any_world.log.after(fact, unavailable)
    await Retention(any_world.services).round()
    after = any_world.restarted()
    await finish_destructions(after.services)
    assert await after.keys.announced() == []
    facts = await after.facts(account_stream(consumer_id, account_id))
    assert {type(fact) for fact in facts} == {Erased}
    assert after.live() == after.rebuilt()


async def test_a_failure_of_one_keeps_no_other_from_its_end(world: World) -> None:
    first, _ = await stored(world)
    second, _ = await stored(world, "cust-2")
    world.clock.at += 15 * MINUTE
    world.log.before(ConsumerErased, unavailable)
    going = Retention(world.services)
    await going.round()
    gone = [await world.read_models.consumer_gone(TENANT, id) for id in (first, second)]
    assert sorted(gone) == [False, True]
    await going.round()
    assert await world.read_models.consumer_gone(TENANT, first)
    assert await world.keys.announced() == []


async def test_a_destruction_that_met_a_new_account_spares_it(any_world: World) -> None:
    consumer_id, account_id = await stored(any_world)
    any_world.clock.at += 10 * MINUTE

    async def another() -> None:
        assert (await stored(any_world, upload=an_upload("acc-2")))[0] == consumer_id

    any_world.log.before(ConsumerErased, another)
    await Retention(any_world.services).round()
    assert await uploads.consumer_of(any_world.services, TENANT, "cust-1") == consumer_id
    assert await uploads.account_of(any_world.services, TENANT, consumer_id, "acc-2")
    facts = await any_world.facts(account_stream(consumer_id, account_id))
    assert {type(fact) for fact in facts} == {Erased}
    assert await any_world.keys.announced() == []


async def test_who_gets_a_connection_meanwhile_is_not_erased(world: World) -> None:
    await world.provider()
    consumer_id, _ = await stored(world)
    world.clock.at += 10 * MINUTE

    async def connection() -> None:
        await world.connection(consumer_id)

    world.log.before(ConsumerErased, connection)
    await Retention(world.services).round()
    assert await uploads.consumer_of(world.services, TENANT, "cust-1") == consumer_id
    assert await world.keys.announced() == []


async def test_rows_that_come_as_their_account_is_destroyed_are_refused(world: World) -> None:
    ids = await stored(world)
    await stored(world, upload=an_upload("acc-2", retention=60 * MINUTE))

    async def expired() -> None:
        world.clock.at += 10 * MINUTE
        await Retention(world.services).round()

    world.log.before(TransactionsFetched, expired)
    with pytest.raises(NoSuchAccount):
        await create(world, a_row("r1"))
    assert {type(fact) for fact in await world.facts(account_stream(*ids))} == {Erased}


async def test_it_goes_round_until_it_is_stopped(world: World) -> None:
    consumer_id, _ = await stored(world)
    going = Retention(world.services, pause=60.0)
    await going.start()
    for _ in range(60):
        await asyncio.sleep(0)
    await going.stop()
    assert await world.read_models.consumer_gone(TENANT, consumer_id)


async def test_a_log_that_is_away_ends_no_rounds(world: World) -> None:
    async def broken(now: Any) -> Any:
        world.read_models.expiries_due = found
        raise Unavailable("away")

    found, world.read_models.expiries_due = world.read_models.expiries_due, broken  # type: ignore[method-assign]
    consumer_id, _ = await stored(world, upload=an_upload(retention=timedelta(seconds=1)))
    going = Retention(world.services)
    await going.start()
    for _ in range(40):
        await asyncio.sleep(0)
    await going.stop()
    assert await world.read_models.consumer_gone(TENANT, consumer_id)


# By request


async def test_accounts_are_destroyed_by_request(any_world: World) -> None:
    consumer_id, first = await stored(any_world)
    await stored(any_world, upload=an_upload("acc-2"))

    async def delete(*names: str, key: str | None = None) -> Any:
        context = any_world.asks(key, "said")
        return await retention.delete_accounts(any_world.services, context, "cust-1", names)

    with pytest.raises(NoSuchAccount):
        await delete("acc-1", "acc-3")
    assert await any_world.keys.announced() == []
    outcome = await delete("acc-1", key="k1")
    assert {type(fact) for fact in await any_world.facts(account_stream(consumer_id, first))} == {Erased}
    repeated = await delete("acc-1", key="k1")
    assert (repeated.stream, repeated.version, repeated.repeated) == (outcome.stream, outcome.version, True)
    with pytest.raises(NoSuchAccount):
        await delete("acc-1")
    await delete("acc-2", key="k2")
    assert names_left(any_world) == ["ConsumerErased.1"]
    # The answer was lost, and is asked for again.
    assert (await delete("acc-2", key="k2")).repeated
    with pytest.raises(NoSuchConsumer):
        await delete("acc-2")
    assert any_world.live() == any_world.rebuilt() == {}


async def test_a_statement_is_not_the_storages_to_delete(world: World) -> None:
    consumer_id = await world.consumer()
    outcome = await uploads.put_account(world.services, world.asks(), consumer_id, a_statement())
    account_id = streams.parse(outcome.stream).id
    with pytest.raises(NotInStorage):
        await retention.delete_accounts(world.services, world.asks(), consumer_id, [account_id])


async def test_a_banks_account_that_is_closed_is_not_the_storages_to_delete(world: World) -> None:
    consumer_id, stream = await fetched_once(world)
    world.bank.change(the_banks_connection(world), "1", deleted=True)
    assert await world.sync(consumer_id) == "SUCCESS"
    with pytest.raises(NotInStorage):
        await retention.delete_accounts(world.services, world.asks(), consumer_id, [streams.parse(stream).id])
    assert await world.keys.announced() == []


async def test_a_consumer_is_erased_by_the_id_that_was_chosen(any_world: World) -> None:
    consumer_id, _ = await stored(any_world)

    async def delete(key: str | None = None) -> Any:
        return await retention.delete_consumer(any_world.services, any_world.asks(key, "said"), "cust-1")

    first = await delete("k1")
    assert names_left(any_world) == ["ConsumerErased.1"]
    assert (await delete("k1")).version == first.version
    with pytest.raises(NoSuchConsumer):
        await delete()


async def test_the_reason_of_an_end_is_said(world: World) -> None:
    consumer_id, account_id = await stored(world)
    await stored(world, upload=an_upload("acc-2", retention=60 * MINUTE))
    world.keys.fail_destructions()
    world.clock.at += 10 * MINUTE
    await Retention(world.services).round()
    assert (await world.facts(account_stream(consumer_id, account_id)))[-1] == AccountClosed(reason=EXPIRED)


async def test_nobody_is_found_whose_expiry_came_too_late(world: World) -> None:
    consumer_id, _ = await stored(world)
    await retention.delete_consumer(world.services, world.asks(), "cust-1")
    with pytest.raises(NotFound):
        await retention.expire(world.services, TENANT, consumer_id)
    assert await world.keys.announced() == []
