"""Forgetting a person: the fact, then the key, then the rows."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from datetime import timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from application import consumers, data_connections
from application.erasure import ROWS_GONE_TIMEOUT, erase_consumer, finish_destructions
from application.ports import KeyDestroyed, LogUnavailable, ProviderUnreachable
from application.provider_users import provider_user
from application.refusals import Unavailable
from application.synchronise import run_sync
from domain import consumer, registry, streams
from domain.consumer import ConsumerErased
from domain.data_connection import ConnectionDeleted, ConnectionRequested, SyncSucceeded
from domain.fact import Erased
from domain.refusals import NotFound
from tests.application.bank import credentials
from tests.application.world import BI, TENANT, World, conflict, on_disk, outcome_of, unavailable


async def with_everything(world: World) -> tuple[str, str]:
    """A consumer with a connection, an account and rows, beside another one: consumer, connection."""
    other = await world.consumer("Another")
    consumer_id, connection_id, reference = await world.connected()
    world.bank.account(reference, "1")
    world.bank.row("1", "r1")
    assert await world.sync(consumer_id) == "SUCCESS"
    assert other != consumer_id
    return consumer_id, connection_id


async def erase(world: World, consumer_id: str, key: str | None = None) -> Any:
    return await erase_consumer(world.services, world.asks(key), consumer_id)


async def facts_left(world: World, consumer_id: str) -> list[Any]:
    """What can still be read of a consumer's facts."""
    return [
        recorded.fact
        for recorded in world.everything()
        if streams.parse(recorded.stream).consumer == consumer_id and not isinstance(recorded.fact, Erased)
    ]


async def test_when_it_returns_the_key_is_destroyed_and_no_row_is_left(any_world: World) -> None:
    consumer_id, _ = await with_everything(any_world)
    outcome = await erase(any_world, consumer_id)
    assert await facts_left(any_world, consumer_id) == [ConsumerErased()]
    assert await any_world.read_models.consumer_gone(TENANT, consumer_id)
    assert not [stream for stream in any_world.services.states if consumer_id in stream]
    assert await provider_user(any_world.services, TENANT, consumer_id, BI, credentials()) is None
    assert await any_world.keys.announced() == []
    assert outcome.stream == streams.consumer(TENANT, consumer_id)
    live = any_world.live()
    assert [row.name for row in live["consumers"]] == ["Another"]
    assert live == any_world.rebuilt()


async def test_the_fact_comes_first_then_the_key(world: World) -> None:
    consumer_id, _ = await with_everything(world)
    seen: list[Any] = []

    async def look() -> None:
        seen.append((await world.keys.announced(), world.keys.is_destroyed(f"{TENANT}/{consumer_id}")))

    world.log.before(ConsumerErased, look)
    world.log.after(ConsumerErased, look)
    await erase(world, consumer_id)
    assert seen == [([f"{TENANT}/{consumer_id}"], False)] * 2
    assert world.keys.is_destroyed(f"{TENANT}/{consumer_id}")


async def test_the_fact_itself_stays_readable_after_the_key_is_gone(any_world: World) -> None:
    consumer_id, _ = await with_everything(any_world)
    await erase(any_world, consumer_id)
    last = (await any_world.lasting.log.facts(streams.consumer(TENANT, consumer_id)))[-1]
    assert (last.name, last.fact) == (registry.CONSUMER_ERASED, ConsumerErased())


async def test_who_is_unknown_anothers_or_wholly_gone_is_not_found(any_world: World) -> None:
    consumer_id, _ = await with_everything(any_world)
    with pytest.raises(NotFound):
        await erase(any_world, any_world.services.ids.uuid())
    with pytest.raises(NotFound):
        await erase(any_world.of("rival"), consumer_id)
    assert await any_world.keys.announced() == []
    await erase(any_world, consumer_id)
    with pytest.raises(NotFound):
        await erase(any_world, consumer_id)


async def test_a_repeated_erasure_is_answered_as_the_first(any_world: World) -> None:
    consumer_id, _ = await with_everything(any_world)
    first = await erase(any_world, consumer_id, key="one")
    assert outcome_of(await erase(any_world, consumer_id, key="one")) == outcome_of(first)
    assert outcome_of(await erase(any_world.restarted(), consumer_id, key="one")) == outcome_of(first)


async def test_two_erasures_at_once_record_it_once(any_world: World) -> None:
    consumer_id, _ = await with_everything(any_world)
    any_world.log.yields = lambda: 2
    ended = await asyncio.gather(*(erase(any_world, consumer_id) for _ in range(2)), return_exceptions=True)
    assert {type(end).__name__ for end in ended} <= {"Outcome", "NotFound"}
    names = await any_world.names(streams.consumer(TENANT, consumer_id))
    assert names.count("ConsumerErased") == 1


async def test_an_erasure_that_met_conflicts_happens_once(world: World) -> None:
    consumer_id, _ = await with_everything(world)
    world.log.before(ConsumerErased, conflict, conflict)
    await erase(world, consumer_id)
    assert await facts_left(world, consumer_id) == [ConsumerErased()]


async def test_a_change_that_came_too_late_for_an_erasure_is_refused(world: World) -> None:
    consumer_id, _ = await with_everything(world)

    async def erased() -> None:
        await erase(world, consumer_id)

    world.log.before(consumer.ConsumerDetailsChanged, erased)
    with pytest.raises((NotFound, KeyDestroyed)):
        await consumers.change(world.services, world.asks(), consumer_id, {"name": "Nobody"})
    assert await facts_left(world, consumer_id) == [ConsumerErased()]


# The rows


async def test_rows_that_are_not_gone_in_time_make_the_answer_wait_for_a_repetition(any_world: World) -> None:
    consumer_id, _ = await with_everything(any_world)
    any_world.read_models.behind_until = any_world.clock.now() + timedelta(seconds=ROWS_GONE_TIMEOUT + 5)
    with pytest.raises(Unavailable) as waiting:
        await erase(any_world, consumer_id)
    assert waiting.value.reason == "erasure_in_progress"
    # The person is forgotten already; only the rows are not.
    assert await facts_left(any_world, consumer_id) == [ConsumerErased()]
    await erase(any_world, consumer_id)
    assert await any_world.read_models.consumer_gone(TENANT, consumer_id)


async def test_rows_that_are_gone_in_time_are_waited_for(world: World) -> None:
    consumer_id, _ = await with_everything(world)
    world.read_models.behind_until = world.clock.now() + timedelta(seconds=ROWS_GONE_TIMEOUT - 1)
    await erase(world, consumer_id)
    assert await world.read_models.consumer_gone(TENANT, consumer_id)


@pytest.mark.parametrize("fact", [SyncSucceeded, ConnectionRequested])
async def test_an_erasure_beside_something_that_is_just_written_ends_with_no_row(
    tmp_path: Path, fact: type
) -> None:
    """Both appends wait for the writer at once, so that neither sees the other."""
    begun, go_on, busy = Event(), Event(), False

    def point(name: str) -> None:
        if busy and name == "begin":
            begun.set()
            go_on.wait(5.0)

    with ExitStack() as stack:
        world = World(on_disk(tmp_path, stack, point=point))
        consumer_id, connection_id = await with_everything(world)
        other = await world.consumer("Third")
        waiting: list[asyncio.Task[Any]] = []

        async def erased_meanwhile() -> None:
            """The writer is within a commit of somebody else's; the erasure waits for the next one."""
            nonlocal busy
            busy = True
            change = consumers.change(world.services, world.asks(), other, {"group": "bakers"})
            waiting.append(asyncio.create_task(change))
            while not begun.is_set():
                await asyncio.sleep(0.001)
            waiting.append(asyncio.create_task(erase(world, consumer_id)))
            while not await world.keys.announced():
                await asyncio.sleep(0.001)
            busy = False
            # What asked for this is appended as soon as we return.
            asyncio.get_running_loop().call_later(0.02, go_on.set)

        if fact is SyncSucceeded:
            world.bank.row("1", "r2")
            stream, sync_id = await world.request_sync(consumer_id)
            world.log.before(fact, erased_meanwhile)
            await run_sync(world.services, stream, sync_id)
        else:
            await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
            world.log.before(fact, erased_meanwhile)
            with suppress(NotFound, KeyDestroyed):
                await world.connection(consumer_id)
        await asyncio.gather(*waiting)
        assert await facts_left(world, consumer_id) == [ConsumerErased()]
        assert await world.read_models.consumer_gone(TENANT, consumer_id)
        assert world.live() == world.rebuilt()


# Crashes


async def test_announced_and_not_written_it_is_withdrawn_at_the_start(any_world: World) -> None:
    consumer_id, _ = await with_everything(any_world)
    any_world.log.before(ConsumerErased, unavailable)
    with pytest.raises(Unavailable):
        await erase(any_world, consumer_id)
    assert await any_world.keys.announced() == [f"{TENANT}/{consumer_id}"]
    after = any_world.restarted()
    await finish_destructions(after.services)
    assert await after.keys.announced() == []
    assert len(await facts_left(after, consumer_id)) > 5
    await erase(after, consumer_id)


async def test_written_and_not_destroyed_it_is_finished_at_the_start(any_world: World) -> None:
    consumer_id, _ = await with_everything(any_world)
    any_world.log.after(ConsumerErased, unavailable)
    with pytest.raises(Unavailable):
        await erase(any_world, consumer_id)
    assert len(await facts_left(any_world, consumer_id)) > 5
    after = any_world.restarted()
    await finish_destructions(after.services)
    assert await after.keys.announced() == []
    assert await facts_left(after, consumer_id) == [ConsumerErased()]
    assert after.live() == after.rebuilt()


async def test_destroyed_and_still_announced_it_is_finished_at_the_start(any_world: World) -> None:
    consumer_id, connection_id = await with_everything(any_world)
    scopes = [f"{TENANT}/{consumer_id}", f"{TENANT}/{consumer_id}/{connection_id}"]
    await erase(any_world, consumer_id)
    for scope in scopes:
        await any_world.keys.announce_destruction(scope)
    after = any_world.restarted()
    for _ in range(2):
        await finish_destructions(after.services)
    assert await after.keys.announced() == []
    assert await facts_left(after, consumer_id) == [ConsumerErased()]


async def test_what_was_announced_of_a_whole_tenant_or_of_nobody_is_withdrawn(world: World) -> None:
    consumer_id, _ = await with_everything(world)
    for scope in (TENANT, f"{TENANT}/{world.services.ids.uuid()}", f"{TENANT}/{consumer_id}/{consumer_id}"):
        await world.keys.announce_destruction(scope)
    await finish_destructions(world.services)
    assert await world.keys.announced() == []
    assert len(await facts_left(world, consumer_id)) > 5


async def test_the_repetition_of_an_erasure_whose_answer_was_lost_finishes_it(any_world: World) -> None:
    consumer_id, _ = await with_everything(any_world)
    any_world.log.after(ConsumerErased, unavailable)
    with pytest.raises(Unavailable):
        await erase(any_world, consumer_id, key="one")
    await erase(any_world, consumer_id, key="one")
    assert await facts_left(any_world, consumer_id) == [ConsumerErased()]


async def test_an_erasure_whose_key_could_not_be_destroyed_is_finished_by_repeating_it(world: World) -> None:
    consumer_id, _ = await with_everything(world)
    world.keys.fail_destructions()
    with pytest.raises(LogUnavailable):
        await erase(world, consumer_id)
    await erase(world, consumer_id)
    assert await facts_left(world, consumer_id) == [ConsumerErased()]


async def test_a_deletion_whose_keys_could_not_be_destroyed_is_finished_by_repeating_it(world: World) -> None:
    consumer_id, connection_id = await with_everything(world)
    stream = world.connection_stream(consumer_id, connection_id)
    world.keys.fail_destructions()
    for _ in range(2):
        try:
            await data_connections.delete(world.services, world.asks("one"), consumer_id, connection_id)
        except LogUnavailable:
            continue
    assert {type(fact) for fact in await world.facts(stream)} == {Erased}


# The bank's side


async def test_the_bank_forgets_the_user_too_beside_the_answer(world: World) -> None:
    consumer_id, _ = await with_everything(world)
    await erase(world, consumer_id)
    await world.jobs.close(1.0)
    assert world.bank.users == {}
    assert world.bank.connections == {}


async def test_the_bank_forgets_a_user_whose_connections_were_deleted_before(world: World) -> None:
    consumer_id, connection_id = await with_everything(world)
    await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
    await erase(world, consumer_id)
    await world.jobs.close(1.0)
    assert world.bank.users == {}


async def test_a_connection_that_the_bank_does_not_delete_does_not_keep_its_user(world: World) -> None:
    consumer_id, _ = await with_everything(world)
    world.bank.fail("delete_connection", ProviderUnreachable("timeout"))
    await erase(world, consumer_id)
    await world.jobs.close(1.0)
    assert world.bank.users == {}


async def test_nothing_is_asked_of_the_bank_for_an_erasure_that_was_not_recorded(world: World) -> None:
    consumer_id, connection_id = await with_everything(world)
    world.log.before(ConsumerErased, unavailable)
    world.log.before(ConnectionDeleted, unavailable)
    with pytest.raises(Unavailable):
        await erase(world, consumer_id)
    with pytest.raises(Unavailable):
        await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
    await world.jobs.close(1.0)
    assert world.bank.asked("delete_connection") == world.bank.asked("delete_user") == []


async def test_a_consumer_without_credentials_or_connections_is_erased_without_the_bank(world: World) -> None:
    consumer_id = await world.consumer()
    await erase(world, consumer_id)
    await world.jobs.close(1.0)
    assert world.bank.calls == []
