"""How stories begin, and what the bank was asked meanwhile."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from application.execute import internal_context
from application.ports import Append, Change
from application.synchronise import Synchroniser
from domain.data_connection import SyncFailed, SyncSucceeded
from domain.transactions import day_of
from tests.application.world import MONDAY, World

IBAN = "FR7630006000011234567890189"
#: The day of `MONDAY`.
TODAY = day_of(MONDAY.date())
WHOLE = "whole"


async def with_rows(world: World, *rows: str, **account: Any) -> tuple[str, str, str]:
    """A connected consumer whose bank shows one account with these rows: consumer, connection, the bank's."""
    consumer_id, connection_id, reference = await world.connected()
    world.bank.account(reference, "1", **account)
    for row in rows:
        world.bank.row("1", row)
    return consumer_id, connection_id, reference


async def fetched_once(world: World, *rows: str, **account: Any) -> tuple[str, str]:
    """A consumer whose bank was read once: consumer, and the stream of their account."""
    consumer_id, _, _ = await with_rows(world, *(rows or ("r1",)), **account)
    assert await world.sync(consumer_id) == "SUCCESS"
    return consumer_id, await world.only_account(consumer_id)


def the_banks_connection(world: World) -> str:
    return next(iter(world.bank.connections))


def the_connections_stream(world: World) -> str:
    """The stream of the only connection there is."""
    (row,) = world.live()["data_connections"]
    return row.stream


def reads(world: World) -> list[tuple[str, datetime | int | str]]:
    """Which rows the bank was asked for: of which accounts, and those touched since a moment, those booked
    since a day, or the `WHOLE`."""
    return [
        (" ".join(accounts), since[0] if since else touched or WHOLE)
        for accounts, touched, *since in world.bank.asked("transactions")
    ]


def ends(world: World, stream: str) -> list[SyncSucceeded | SyncFailed]:
    """How the runs at a connection ended."""
    return [
        recorded.fact
        for recorded in world.everything()
        if recorded.stream == stream and isinstance(recorded.fact, SyncSucceeded | SyncFailed)
    ]


async def say(world: World, stream: str, *facts: Any) -> None:
    """Let a stream hold facts that nothing of today would write."""
    loaded = await world.log.facts(stream)
    version = loaded[-1].version if loaded else 0
    await world.log.append(
        Append(
            context=internal_context(world.services, world.tenant, "earlier"),
            recorded_at=world.clock.now(),
            changes=(Change(stream, version, facts),),
            subject=stream,
            subject_version=version + len(facts),
        )
    )


async def settled(synchroniser: Synchroniser) -> None:
    """Until everything that was taken has ended."""
    for _ in range(10_000):
        if not synchroniser._tasks:
            return
        await asyncio.sleep(0)
    raise AssertionError("a sync does not end")
