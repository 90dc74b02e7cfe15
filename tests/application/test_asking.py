"""How often a bank is asked to be fetched from, for whom, and what a run does that may not ask any more."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application import providers, syncs
from application.fetching import ASK_PAUSE, UNATTENDED_ASKS_MAX, UNATTENDED_PERIOD
from application.ports import AuthorisationNeeded, ProviderRefused, ProviderUnreachable, UnexpectedAnswer
from application.synchronise import Synchroniser, run_sync
from domain.data_connection import CLIENT, SCHEDULE, WEBHOOK
from tests.application.stories import (
    fetched_once,
    settled,
    the_banks_connection,
    the_connections_stream,
    with_rows,
)
from tests.application.world import BI, DAY, HOUR, MONDAY, World, in_memory


def asks(world: World) -> int:
    return len(world.bank.asked("refresh"))


async def attended_sync(world: World, consumer_id: str) -> str:
    _, (requested,) = await syncs.request(world.services, world.asks(), consumer_id, None, attended=True)
    await run_sync(world.services, requested.stream, requested.fact.sync_id)
    return await world.ending(requested.stream, requested.fact.sync_id)


def fetched_at(world: World, at: datetime | None) -> None:
    """Let the bank say when it was fetched from last."""
    world.bank.connections[the_banks_connection(world)].fetched_at = at


# The budget


async def test_a_bank_is_asked_so_often_while_nobody_is_there_and_read_all_the_same(any_world: World) -> None:
    consumer_id, account = await fetched_once(any_world)
    for number in range(UNATTENDED_ASKS_MAX + 2):
        any_world.bank.row("1", f"n{number}")
        assert await any_world.sync(consumer_id) == "SUCCESS"
        assert f"n{number}" in await any_world.held(account)
    assert asks(any_world) == UNATTENDED_ASKS_MAX


async def test_the_budget_comes_back_ask_by_ask(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    for _ in range(UNATTENDED_ASKS_MAX - 1):
        world.clock.at += HOUR
        await world.sync(consumer_id)
    world.clock.at = MONDAY + UNATTENDED_PERIOD - timedelta(seconds=1)
    await world.sync(consumer_id)
    assert asks(world) == UNATTENDED_ASKS_MAX
    world.clock.at += timedelta(seconds=1)
    for _ in range(2):
        await world.sync(consumer_id)
    assert asks(world) == UNATTENDED_ASKS_MAX + 1


async def test_a_restart_gives_no_budget_back(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    for _ in range(UNATTENDED_ASKS_MAX + 1):
        world = world.restarted()
        assert await world.sync(consumer_id) == "SUCCESS"
    assert asks(world) == UNATTENDED_ASKS_MAX


async def test_each_connection_has_a_budget_of_its_own(world: World) -> None:
    first, _ = await fetched_once(world)
    second = await world.consumer()
    reference = await world.authorise(second, await world.connection(second))
    world.bank.account(reference, "2")
    for _ in range(UNATTENDED_ASKS_MAX + 1):
        await world.sync(first)
        await world.sync(second)
    assert asks(world) == 2 * UNATTENDED_ASKS_MAX


async def test_whoever_is_there_is_always_asked_for_and_takes_nothing_of_the_budget(any_world: World) -> None:
    consumer_id, _ = await fetched_once(any_world)
    for _ in range(UNATTENDED_ASKS_MAX + 2):
        assert await attended_sync(any_world, consumer_id) == "SUCCESS"
    attended = any_world.bank.asked("refresh")[1:]
    assert len(attended) == UNATTENDED_ASKS_MAX + 2
    assert {said[-1] for said in attended} == {"attended"}
    for _ in range(UNATTENDED_ASKS_MAX):
        await any_world.sync(consumer_id)
    assert asks(any_world) == 2 * UNATTENDED_ASKS_MAX + 2
    assert await attended_sync(any_world, consumer_id) == "SUCCESS"
    assert asks(any_world) == 2 * UNATTENDED_ASKS_MAX + 3


async def test_that_somebody_is_there_is_known_after_a_restart(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    await syncs.request(world.services, world.asks(), consumer_id, None, attended=True)
    synchroniser = Synchroniser(world.restarted().services)
    await synchroniser.start()
    await settled(synchroniser)
    assert [said[-1] for said in world.bank.asked("refresh")] == ["attended"]


async def test_an_ask_whose_answer_was_lost_is_made_once_more(any_world: World) -> None:
    consumer_id, _, _ = await with_rows(any_world, "r1")
    any_world.bank.fail("refresh", ProviderUnreachable("timeout"))
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert asks(any_world) == 2 and any_world.clock.slept == [ASK_PAUSE]


async def test_where_it_is_lost_again_the_client_is_told(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    world.bank.fail("refresh", ProviderUnreachable("timeout"), times=2)
    assert await world.sync(consumer_id) == "FETCH_ERROR timeout"
    assert asks(world) == 2 and world.bank.asked("accounts") == []


async def test_who_is_to_come_back_much_later_is_not_waited_for(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    world.bank.fail("refresh", ProviderUnreachable("rate_limited", retry_after=30.0))
    assert await world.sync(consumer_id) == "SUCCESS" and world.clock.slept == [30.0]
    world.bank.fail("refresh", ProviderUnreachable("rate_limited", retry_after=600.0))
    assert await world.sync(consumer_id) == "FETCH_ERROR rate_limited" and world.clock.slept == [30.0]


async def test_asks_that_came_to_nothing_were_some(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    world.bank.fail("refresh", ProviderUnreachable("timeout"), times=UNATTENDED_ASKS_MAX)
    for _ in range(UNATTENDED_ASKS_MAX // 2):
        assert await world.sync(consumer_id) == "FETCH_ERROR timeout"
    assert await world.sync(consumer_id) == "SUCCESS"
    assert asks(world) == UNATTENDED_ASKS_MAX


async def test_an_ask_is_noted_before_it_is_made(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")

    async def dies() -> None:
        raise KeyboardInterrupt

    world.bank.during("refresh", dies)
    with pytest.raises(KeyboardInterrupt):
        await world.sync(consumer_id)
    assert len(world.lasting.asks.asks) == 1


async def test_a_clock_that_goes_back_a_little_gives_no_budget_back(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    for _ in range(UNATTENDED_ASKS_MAX):
        await world.sync(consumer_id)
        world.clock.at -= HOUR
    assert asks(world) == UNATTENDED_ASKS_MAX


async def test_a_clock_that_was_ahead_for_a_while_does_not_use_up_the_budget_for_ever(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    world.clock.at += 400 * DAY
    for _ in range(UNATTENDED_ASKS_MAX):
        await world.sync(consumer_id)
    world.clock.at -= 399 * DAY
    before = asks(world)
    assert await world.sync(consumer_id) == "SUCCESS"
    assert asks(world) == before + 1


# Who asks


async def test_a_push_and_a_refresh_of_what_is_fresh_ask_for_nothing(world: World) -> None:
    await fetched_once(world)
    stream, before = the_connections_stream(world), asks(world)
    for origin in (WEBHOOK, SCHEDULE):
        assert await world.refresh(stream, origin)
    assert asks(world) == before


@pytest.mark.parametrize("hours", [1, 24, 48])
async def test_a_scheduled_refresh_asks_where_the_banks_own_fetch_is_older_than_the_interval(
    world: World, hours: int
) -> None:
    await fetched_once(world)
    await providers.update_settings(world.services, world.asks(), BI, {"refresh_interval_hours": hours})
    stream, before = the_connections_stream(world), asks(world)
    world.clock.at += 3 * DAY
    fetched_at(world, world.clock.now() - hours * HOUR + timedelta(seconds=1))
    await world.refresh(stream)
    assert asks(world) == before
    world.clock.at += timedelta(seconds=1)
    await world.refresh(stream)
    assert asks(world) == before + 1


async def test_a_push_does_not_ask_however_old_the_banks_own_fetch_is(world: World) -> None:
    await fetched_once(world)
    fetched_at(world, MONDAY - 30 * DAY)
    before = asks(world)
    await world.refresh(the_connections_stream(world), WEBHOOK)
    assert asks(world) == before


async def test_refreshes_and_clients_share_the_budget(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    bank = world.bank.connections[the_banks_connection(world)]
    bank.fetched_at, bank.fetches = MONDAY - 30 * DAY, False
    for _ in range(UNATTENDED_ASKS_MAX):
        assert await world.refresh(the_connections_stream(world))
    assert await world.sync(consumer_id) == "SUCCESS"
    assert asks(world) == UNATTENDED_ASKS_MAX


# Where the ask fails


async def test_where_nobody_waits_what_the_provider_has_is_read_all_the_same(any_world: World) -> None:
    _, account = await fetched_once(any_world)
    fetched_at(any_world, MONDAY - 30 * DAY)
    any_world.bank.row("1", "r2")
    any_world.bank.fail("refresh", ProviderUnreachable("timeout"), times=2)
    await any_world.refresh(the_connections_stream(any_world))
    assert set(await any_world.held(account)) == {"r1", "r2"}


@pytest.mark.parametrize("origin", [CLIENT, SCHEDULE])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AuthorisationNeeded("webauth_required"), "AUTH_ERROR"),
        (ProviderRefused("not_found"), "AUTH_ERROR"),
        (ProviderRefused("credentials_refused"), "FETCH_ERROR"),
        (UnexpectedAnswer("unexpected_shape"), "FETCH_ERROR"),
    ],
)
async def test_an_ask_that_is_refused_ends_the_run(
    world: World, origin: str, error: Any, status: str
) -> None:
    consumer_id, _ = await fetched_once(world)
    fetched_at(world, MONDAY - 30 * DAY)
    world.bank.fail("refresh", error)
    before = len(world.bank.asked("accounts"))
    if origin == CLIENT:
        await world.sync(consumer_id)
    else:
        await world.refresh(the_connections_stream(world))
    failed = next(
        fact for fact in reversed(await world.facts(the_connections_stream(world))) if hasattr(fact, "status")
    )
    assert (failed.status, failed.reason, failed.origin) == (status, error.reason, origin)
    assert len(world.bank.asked("accounts")) == before


async def test_a_sync_outlasts_a_ledger_that_is_away(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    stream, sync_id = await world.request_sync(consumer_id)
    ledger, back = world.lasting.asks, world.clock.now() + timedelta(minutes=5)
    ledger.broken = True
    sleep = world.clock.sleep

    async def until_it_is_back(seconds: float) -> None:
        await sleep(seconds)
        ledger.broken = world.clock.now() < back

    world.clock.sleep = until_it_is_back  # type: ignore[method-assign]
    synchroniser = Synchroniser(world.services)
    synchroniser.take(stream, sync_id)
    await settled(synchroniser)
    assert await world.ending(stream, sync_id) == "SUCCESS"


# Whatever happens

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["client", "attended", "schedule", "webhook", "restart", "fails", "dies"]),
        st.integers(0, 30),
    ),
    max_size=60,
)


@given(steps=STEPS, stale=st.booleans())
async def test_no_day_has_more_asks_than_the_rules_allow(steps: list[tuple[str, int]], stale: bool) -> None:
    world = World(in_memory())
    consumer_id, _, reference = await with_rows(world, "r1")
    bank, made = world.bank, []
    if stale:
        bank.connections[reference].fetched_at = MONDAY - 30 * DAY
        bank.connections[reference].fetches = False
    original = bank.refresh

    async def refresh(*said: Any, attended: bool = False) -> None:
        if not attended:
            made.append(world.clock.now())
        await original(*said, attended=attended)

    bank.refresh = refresh  # type: ignore[method-assign]
    for step, hours in steps:
        world.clock.at += hours * HOUR / 4
        match step:
            case "client":
                await world.sync(consumer_id)
            case "attended":
                await attended_sync(world, consumer_id)
            case "schedule" | "webhook":
                await world.refresh(the_connections_stream(world), step)
            case "restart":
                world = world.restarted()
            case "fails":
                bank.fail("refresh", ProviderUnreachable("timeout"), times=1 + hours % 2)
                await world.sync(consumer_id)
            case "dies":
                await dies_and_is_repeated(world, consumer_id)
                world = world.restarted()
    for at in made:
        assert sum(at <= other < at + UNATTENDED_PERIOD for other in made) <= UNATTENDED_ASKS_MAX


async def dies_and_is_repeated(world: World, consumer_id: str) -> None:
    async def dies() -> None:
        raise KeyboardInterrupt

    stream, sync_id = await world.request_sync(consumer_id)
    world.bank.during("accounts", dies)
    # Unless it fails before.
    with suppress(KeyboardInterrupt):
        await run_sync(world.services, stream, sync_id)
    world.bank.during("accounts", lambda: asyncio.sleep(0))
    await run_sync(world.restarted().services, stream, sync_id)
