"""Looking at a connection that no client asked about: what it leaves, and how it meets what clients ask for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from application import data_connections, providers
from application.authorisations import complete
from application.erasure import erase_consumer
from application.ports import AuthorisationNeeded, ProviderUnreachable, UnexpectedAnswer
from application.refusals import Unavailable
from application.synchronise import Synchroniser, run_refresh
from domain import streams
from domain.consumer_account import BalanceRefreshed
from domain.data_connection import CLIENT, SCHEDULE, WEBHOOK, SyncFailed, SyncSucceeded
from tests.application.stories import (
    ends,
    fetched_once,
    settled,
    the_banks_connection,
    the_connections_stream,
    with_rows,
)
from tests.application.world import BI, DAY, HOUR, MONDAY, World, unavailable

ORIGINS = pytest.mark.parametrize("origin", [SCHEDULE, WEBHOOK])


async def never_read(world: World, *rows: str) -> tuple[str, str]:
    """A connection that nobody looked at yet: consumer and the connection's stream."""
    consumer_id, connection_id, _ = await with_rows(world, *(rows or ("r1",)))
    return consumer_id, world.connection_stream(consumer_id, connection_id)


# What it leaves


@ORIGINS
async def test_a_refresh_that_finds_nothing_new_leaves_exactly_one_fact(
    any_world: World, origin: str
) -> None:
    await fetched_once(any_world)
    reference = the_banks_connection(any_world)
    for number in range(2, 12):
        any_world.bank.account(reference, str(number))
    stream = the_connections_stream(any_world)
    await any_world.refresh(stream, origin)
    for day in range(1, 4):
        any_world.clock.at = MONDAY + day * DAY
        for number in range(1, 12):
            any_world.bank.account(reference, str(number))
        head, appends = any_world.lasting.source.head(), len(any_world.log.appends)
        assert await any_world.refresh(stream, origin)
        (left,) = any_world.everything()[head:]
        assert len(any_world.log.appends) == appends + 1
        assert (left.stream, left.name, left.actor) == (stream, "SyncSucceeded.1", origin)
        assert left.fact.origin == origin
        assert set(left.fact.confirmed) == set(await any_world.accounts(streams.parse(stream).consumer))
        assert set(left.fact.confirmed.values()) == {any_world.clock.now()}
    assert "data_syncs" in any_world.live(), "those of the client"
    assert {row.status for row in any_world.live()["data_syncs"]} == {"SUCCESS"}
    assert any_world.live() == any_world.rebuilt()


@ORIGINS
async def test_what_a_refresh_brings_is_written_with_its_end_in_one_append(
    any_world: World, origin: str
) -> None:
    consumer_id, stream = await never_read(any_world)
    head = any_world.lasting.source.head()
    assert await any_world.refresh(stream, origin)
    names = [recorded.name.partition(".")[0] for recorded in any_world.everything()[head:]]
    assert names == [
        *("AccountLinked", "AccountDiscovered", "BalanceRefreshed", "TransactionsFetched", "SyncSucceeded")
    ]
    assert set(await any_world.held(await any_world.only_account(consumer_id))) == {"r1"}
    assert "data_syncs" not in any_world.live() and "pending_syncs" not in any_world.live()
    assert any_world.live() == any_world.rebuilt()


@ORIGINS
async def test_a_refresh_that_fails_leaves_one_fact_too(any_world: World, origin: str) -> None:
    _, stream = await never_read(any_world)
    any_world.bank.fail("accounts", ProviderUnreachable("timeout"))
    head = any_world.lasting.source.head()
    assert await any_world.refresh(stream, origin)
    (left,) = any_world.everything()[head:]
    assert left.fact == SyncFailed(
        sync_id=left.fact.sync_id, status="FETCH_ERROR", reason="timeout", origin=origin
    )
    assert (await any_world.state(stream)).status == "CONNECTED"
    assert any_world.live() == any_world.rebuilt()


@ORIGINS
async def test_where_the_bank_wants_to_see_the_person_the_connection_says_so(
    world: World, origin: str
) -> None:
    _, stream = await never_read(world)
    world.bank.fail("accounts", AuthorisationNeeded("webauth_required"))
    assert await world.refresh(stream, origin)
    assert (await world.names(stream))[-2:] == ["SyncFailed", "AuthorisationFailed"]
    (row,) = world.live()["data_connections"]
    assert (row.status, row.reason) == ("AUTH_ERROR", "webauth_required")
    calls = len(world.bank.calls)
    assert await world.refresh(stream, origin)
    assert len(world.bank.calls) == calls, "nobody looks until the person was there"


@pytest.mark.parametrize("what", ["disabled", "disconnected", "queued", "deleted", "unknown"])
async def test_where_there_is_nothing_to_be_looked_at_nobody_is_asked(world: World, what: str) -> None:
    consumer_id, stream = await never_read(world)
    services, connection_id = world.services, streams.parse(stream).id
    match what:
        case "disabled":
            await providers.set_enabled(services, world.asks(), BI, False)
        case "disconnected":
            await data_connections.change(
                services, world.asks(), consumer_id, connection_id, status="DISCONNECTED"
            )
        case "queued":
            await world.request_sync(consumer_id)
        case "deleted":
            await data_connections.delete(services, world.asks(), consumer_id, connection_id)
        case "unknown":
            stream = world.connection_stream(consumer_id, services.ids.uuid())
    head, calls = world.lasting.source.head(), len(world.bank.calls)
    assert await world.refresh(stream)
    assert (world.lasting.source.head(), len(world.bank.calls)) == (head, calls)


async def test_what_the_bank_says_of_itself_is_kept_with_the_end(world: World) -> None:
    _, stream = await never_read(world)
    bank = world.bank.connections[the_banks_connection(world)]
    bank.fetched_at, bank.consent_expires_at = MONDAY - HOUR, MONDAY + 90 * DAY
    bank.failing_sources = ("website_unavailable",)
    assert await world.refresh(stream)
    (end,) = ends(world, stream)
    assert (end.fetched_at, end.consent_expires_at) == (bank.fetched_at, bank.consent_expires_at)
    assert end.failing_sources == ("website_unavailable",)
    state = await world.state(stream)
    assert (state.status, state.consent_expires_at) == ("CONNECTED", MONDAY + 90 * DAY)


# Balances that are what they were


async def test_a_balance_that_is_what_it_was_is_confirmed_and_a_changed_one_is_a_fact(world: World) -> None:
    _, account = await fetched_once(world, balance=100_00)
    stream, reference = the_connections_stream(world), the_banks_connection(world)
    readings: list[tuple[int | None, bool]] = []
    for hours, balance in ((0, 100_00), (1, 100_00), (2, 90_00), (3, 90_00), (2, 90_00)):
        world.bank.account(reference, "1", balance=balance, as_of=MONDAY + hours * HOUR)
        await world.refresh(stream)
        said = [fact for fact in await world.facts(account) if isinstance(fact, BalanceRefreshed)]
        readings.append((said[-1].balance, bool(ends(world, stream)[-1].confirmed)))
    assert readings == [(100_00, False), (100_00, True), (90_00, False), (90_00, True), (90_00, False)]
    assert [f.as_of for f in said] == [MONDAY, MONDAY + 2 * HOUR]


# Meeting what clients ask for


async def test_a_client_that_meets_a_refresh_is_not_refused_and_waits_for_it(any_world: World) -> None:
    consumer_id, stream = await never_read(any_world)
    synchroniser = Synchroniser(any_world.services)
    requested: list[tuple[str, str]] = []

    async def a_client_comes() -> None:
        requested.append(await any_world.request_sync(consumer_id))
        for _ in range(30):
            await asyncio.sleep(0)
        assert len(any_world.bank.asked("accounts")) == 1

    any_world.bank.during("accounts", a_client_comes)
    assert await synchroniser.refresh(stream, SCHEDULE)
    while synchroniser._tasks:
        await asyncio.sleep(0.001)
    assert await any_world.ending(*requested[0]) == "SUCCESS"
    assert [end.origin for end in ends(any_world, stream)] == [SCHEDULE, CLIENT]
    assert set(await any_world.held(await any_world.only_account(consumer_id))) == {"r1"}


async def test_a_refresh_that_meets_a_sync_comes_after_it(world: World) -> None:
    consumer_id, stream = await never_read(world)
    synchroniser = Synchroniser(world.services)
    await world.request_sync(consumer_id)
    while not world.bank.asked("accounts"):
        await asyncio.sleep(0)
    assert await synchroniser.refresh(stream, SCHEDULE)
    await settled(synchroniser)
    assert [end.origin for end in ends(world, stream)] == [CLIENT, SCHEDULE]


@pytest.mark.parametrize("moment", ["connection", "accounts", "transactions"])
async def test_a_refresh_that_another_process_overtook_leaves_nothing(any_world: World, moment: str) -> None:
    consumer_id, account = await fetched_once(any_world)
    other, stream = any_world.restarted(), the_connections_stream(any_world)
    left = 0

    async def overtaken() -> None:
        nonlocal left
        any_world.bank.row("1", "r2")
        assert await other.sync(consumer_id) == "SUCCESS"
        left = any_world.lasting.source.head()

    any_world.bank.during(moment, overtaken)
    assert await run_refresh(any_world.services, stream, WEBHOOK) is False
    assert any_world.lasting.source.head() == left
    assert set(await any_world.held(account)) == {"r1", "r2"}


async def test_a_refresh_that_failed_while_it_was_overtaken_leaves_nothing(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    other, stream = world.restarted(), the_connections_stream(world)

    async def overtaken() -> None:
        assert await other.sync(consumer_id) == "SUCCESS"
        raise UnexpectedAnswer("unexpected_shape")

    world.bank.during("accounts", overtaken)
    await run_refresh(world.services, stream, WEBHOOK)
    assert [type(end) for end in ends(world, stream)] == [SyncSucceeded, SyncSucceeded]
    assert (await world.state(stream)).reconciled_whole_at is not None


async def test_of_two_processes_that_refresh_at_once_both_leave_the_rows_once(any_world: World) -> None:
    consumer_id, stream = await never_read(any_world, *(f"r{number}" for number in range(150)))
    other = any_world.restarted()
    ended = await asyncio.gather(*(run_refresh(w.services, stream, SCHEDULE) for w in (any_world, other)))
    assert sorted(ended) == [False, True]
    assert len(ends(any_world, stream)) == 1
    assert len(await any_world.held(await any_world.only_account(consumer_id))) == 150


@pytest.mark.parametrize("moment", ["connection", "accounts", "transactions", "the append"])
@pytest.mark.parametrize("what", ["deleted", "erased", "disconnected"])
async def test_what_is_deleted_during_a_refresh_gets_no_fact_any_more(
    any_world: World, moment: str, what: str
) -> None:
    consumer_id, _ = await fetched_once(any_world)
    stream = the_connections_stream(any_world)
    head = 0

    async def gone() -> None:
        nonlocal head
        services, asks, connection_id = any_world.services, any_world.asks(), streams.parse(stream).id
        match what:
            case "deleted":
                await data_connections.delete(services, asks, consumer_id, connection_id)
            case "erased":
                await erase_consumer(services, asks, consumer_id)
            case "disconnected":
                args = (services, asks, consumer_id, connection_id)
                await data_connections.change(*args, status="DISCONNECTED")
        head = any_world.lasting.source.head()

    any_world.bank.row("1", "r2")
    if moment == "the append":
        any_world.log.before(SyncSucceeded, gone)
    else:
        any_world.bank.during(moment, gone)
    await any_world.refresh(stream)
    assert any_world.lasting.source.head() == head
    assert any_world.live() == any_world.rebuilt()


async def test_a_refresh_that_was_disconnected_and_connected_again_meanwhile_leaves_nothing(
    world: World,
) -> None:
    consumer_id, _ = await fetched_once(world)
    stream, reference = the_connections_stream(world), the_banks_connection(world)
    connection_id = streams.parse(stream).id

    async def off_and_on() -> None:
        for status in ("DISCONNECTED", "AUTH_REQUIRED"):
            args = (world.services, world.asks(), consumer_id, connection_id)
            await data_connections.change(*args, status=status)
        state = await world.opened(consumer_id, connection_id)
        await complete(world.services, {"state": state, "connection_id": reference})

    world.bank.during("accounts", off_and_on)
    assert await world.refresh(stream) is False
    assert len(ends(world, stream)) == 1


# When the log is away


async def test_a_refresh_waits_with_what_it_read_for_a_log_that_is_away(any_world: World) -> None:
    consumer_id, stream = await never_read(any_world)
    any_world.log.before(SyncSucceeded, unavailable, unavailable)
    assert await any_world.refresh(stream)
    assert len(any_world.bank.asked("accounts")) == 1
    assert set(await any_world.held(await any_world.only_account(consumer_id))) == {"r1"}
    assert len(ends(any_world, stream)) == 1


async def test_a_refresh_whose_answer_was_lost_is_written_once(any_world: World) -> None:
    consumer_id, stream = await never_read(any_world)
    any_world.log.after(SyncSucceeded, unavailable)
    await any_world.refresh(stream)
    assert len(ends(any_world, stream)) == 1
    assert set(await any_world.held(await any_world.only_account(consumer_id))) == {"r1"}


async def test_a_refresh_that_cannot_begin_says_so(world: World) -> None:
    _, stream = await never_read(world)
    world.log.fail_read("data_connection")
    with pytest.raises(Unavailable):
        await world.refresh(stream)


async def test_a_refresh_that_a_crash_cut_short_leaves_nothing(any_world: World) -> None:
    _, stream = await never_read(any_world)
    head = any_world.lasting.source.head()
    reached = asyncio.Event()

    async def hang() -> None:
        reached.set()
        await asyncio.Event().wait()

    any_world.bank.during("transactions", hang)
    synchroniser = Synchroniser(any_world.services)
    task = asyncio.create_task(synchroniser.refresh(stream, SCHEDULE))
    await reached.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert any_world.lasting.source.head() == head
    assert await any_world.restarted().refresh(stream)
    assert len(ends(any_world, stream)) == 1


async def test_a_refresh_waits_for_a_bank_that_is_still_fetching_and_no_longer_than_that(
    world: World,
) -> None:
    _, stream = await never_read(world)
    bank = world.bank.connections[the_banks_connection(world)]
    bank.unsettled = 5
    assert await world.refresh(stream)
    assert world.clock.now() < MONDAY + timedelta(minutes=1)
    bank.unsettled = 100_000
    assert await world.refresh(stream)
    assert ends(world, stream)[-1].reason == "provider_still_fetching"


# Clients first


async def test_a_client_does_not_wait_for_refreshes_of_other_connections(world: World) -> None:
    await world.provider()
    synchroniser = Synchroniser(world.services, concurrency=4)
    original, hung = world.bank.accounts, set()

    async def accounts(credentials: object, user: object, connection: str) -> object:
        if connection in hung:
            await asyncio.Event().wait()
        return await original(credentials, user, connection)

    world.bank.accounts = accounts  # type: ignore[method-assign]
    waiting = []
    for _ in range(8):
        consumer_id = await world.consumer()
        connection_id = await world.connection(consumer_id)
        hung.add(await world.authorise(consumer_id, connection_id))
        stream = world.connection_stream(consumer_id, connection_id)
        waiting.append(asyncio.create_task(synchroniser.refresh(stream, SCHEDULE)))
    consumer_id = await world.consumer()
    world.bank.account(await world.authorise(consumer_id, await world.connection(consumer_id)), "1")
    stream, sync_id = await world.request_sync(consumer_id)
    for _ in range(500):
        await asyncio.sleep(0)
    ending = await world.ending(stream, sync_id)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await synchroniser.stop()
    assert ending == "SUCCESS"
