"""What a run costs: the same however much history there is, and however it came."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from application.execute import SNAPSHOT_EVERY, load
from application.synchronise import run_refresh, run_sync
from domain import streams
from tests.application.stories import TODAY, fetched_once, the_banks_connection, the_connections_stream
from tests.application.world import DAY, HOUR, TENANT, World


class Cost(msgspec.Struct, frozen=True):
    """Of one run that brings one new row."""

    facts_read: int
    facts_written: int
    rows_asked_about: int
    rows_sent: int
    """By the bank."""


async def a_day(world: World, stream: str, day: int, *, rows: int = 1) -> None:
    """A day on which rows come, and a refresh finds them."""
    world.clock.at += DAY
    world.bank.account(the_banks_connection(world), "1", balance=day)
    for number in range(rows):
        world.bank.row("1", f"d{day}-{number}", booked_on=TODAY + day)
    assert await world.refresh(stream)


async def cost_of_one_row(world: World, consumer_id: str, name: str, *, refresh: bool) -> Cost:
    """What a run reads and writes that a service does which has nothing in memory."""
    world.clock.at += HOUR
    world.bank.row("1", name, booked_on=TODAY)
    # What the simulated bank sends is what the rows of the last day are; older ones are not asked for.
    world = world.restarted()
    sent = 0
    original = world.bank.transactions

    async def transactions(*said: Any, **more: Any) -> Any:
        nonlocal sent
        async for page in original(*said, **more):
            sent += len(page.rows)
            yield page

    world.bank.transactions = transactions  # type: ignore[method-assign]
    asked, head = len(world.read_models.asked_known), world.lasting.source.head()
    stream = the_connections_stream(world)
    if refresh:
        world.log.facts_read = 0
        assert await run_refresh(world.services, stream, "webhook")
    else:
        _, sync_id = await world.request_sync(consumer_id)
        world.log.facts_read = 0
        await run_sync(world.services, stream, sync_id)
    del world.bank.transactions
    return Cost(
        facts_read=world.log.facts_read,
        facts_written=world.lasting.source.head() - head,
        rows_asked_about=sum(map(len, world.read_models.asked_known[asked:])),
        rows_sent=sent,
    )


@pytest.mark.parametrize("refresh", [True, False])
async def test_one_new_row_costs_the_same_on_a_history_that_came_a_row_a_day(
    world: World, refresh: bool
) -> None:
    consumer_id, account = await fetched_once(world)
    stream, costs = the_connections_stream(world), []
    for day in range(1, 401):
        await a_day(world, stream, day)
        if day in (60, 200, 400):
            costs.append(await cost_of_one_row(world, consumer_id, f"n{day}", refresh=refresh))
            await world.refresh(stream)
    early, *later = costs
    assert len(await world.held(account)) == 1 + 400 + 3
    for cost in later:
        assert cost.rows_asked_about <= early.rows_asked_about + 2
        assert cost.rows_sent <= early.rows_sent + 2
        assert cost.facts_written == early.facts_written
        # Of each stream at most what came since its snapshot: connection, consumer, provider and account.
        assert cost.facts_read <= 4 * SNAPSHOT_EVERY
    assert early.rows_sent <= 4


async def test_one_new_row_costs_the_same_on_a_history_that_came_at_once(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    stream, costs = the_connections_stream(world), []
    for day, rows in ((1, 10), (2, 3_000)):
        await a_day(world, stream, day, rows=rows)
        world.clock.at += 2 * DAY
        world.bank.row("1", f"tick{day}", booked_on=TODAY + day)
        await world.refresh(stream)
        world.clock.at += DAY
        world.bank.row("1", f"tock{day}", booked_on=TODAY + day)
        assert await world.sync(consumer_id) == "SUCCESS"
        costs.append(await cost_of_one_row(world, consumer_id, f"n{day}", refresh=False))
    few, many = costs
    assert (many.rows_asked_about, many.rows_sent, many.facts_written) == (
        *(few.rows_asked_about, few.rows_sent, few.facts_written),
    )
    assert many.facts_read <= few.facts_read + 10


async def test_the_memory_of_an_account_does_not_grow_with_its_rows(world: World) -> None:
    consumer_id, account = await fetched_once(world)
    stream, sizes = the_connections_stream(world), []
    for day in range(1, 121):
        await a_day(world, stream, day, rows=3)
        if day in (30, 120):
            states = [
                (await load(world.services, each)).state
                for each in (account, stream, streams.consumer(TENANT, consumer_id))
            ]
            sizes.append(len(msgspec.msgpack.encode(states)))
    assert sizes[1] <= sizes[0] + 64


async def test_a_month_of_syncs_asks_about_the_rows_of_a_day_and_once_a_day_of_the_window(
    world: World,
) -> None:
    consumer_id, _ = await fetched_once(world)
    for number in range(400):
        world.bank.row("1", f"w{number}", booked_on=TODAY - number % 80)
    await world.sync(consumer_id)
    for day in range(10):
        before = len(world.read_models.asked_known)
        world.clock.at += DAY
        world.bank.row("1", f"x{before}", booked_on=TODAY)
        for _ in range(4):
            world.clock.at += HOUR
            await world.sync(consumer_id)
        asked = [len(references) for references in world.read_models.asked_known[before:]]
        # What came at once is within the overlap for a day longer.
        if day >= 2:
            large = [count for count in asked if count > 4]
            assert large and len(large) <= 2 and asked[-3:] == [1, 1, 1]


async def test_the_fact_of_a_refresh_that_found_nothing_is_small(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    for number in range(2, 7):
        world.bank.account(the_banks_connection(world), str(number))
    stream = the_connections_stream(world)
    await world.refresh(stream)
    for _ in range(2):
        world.clock.at += DAY
        for number in range(1, 7):
            world.bank.account(the_banks_connection(world), str(number))
        await world.refresh(stream)
    fact = (await world.facts(stream))[-1]
    assert len(fact.confirmed) == 6
    assert len(msgspec.msgpack.encode(fact)) < 1_000
