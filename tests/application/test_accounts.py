"""What somebody says of accounts that were put together: that they are not the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from application import accounts, data_connections
from application.erasure import erase_consumer
from application.refusals import IdempotencyKeyReused, Unavailable
from domain import consumer, streams
from domain.consumer import AccountUnlinked
from domain.data_connection import SyncSucceeded
from domain.fact import Erased
from domain.refusals import NotFound, NotLinked
from tests.application.stories import IBAN, fetched_once, the_banks_connection, the_connections_stream
from tests.application.world import TENANT, World, conflict, outcome_of, unavailable


async def merged(world: World, more: int = 1) -> tuple[str, str, list[str]]:
    """An account of several sources, through one connection: consumer, account, and the other sources."""
    consumer_id, source = await fetched_once(world, iban=IBAN)
    for number in range(2, 2 + more):
        world.bank.account(the_banks_connection(world), str(number), iban=IBAN)
        world.bank.row(str(number), f"s{number}")
        assert await world.sync(consumer_id) == "SUCCESS"
    account_id = streams.parse(source).id
    sources = (await fed(world, consumer_id))[account_id]
    return consumer_id, account_id, [source for source in sources if source != account_id]


async def fed(world: World, consumer_id: str) -> dict[str, list[str]]:
    """The sources that feed each account."""
    found: dict[str, list[str]] = {}
    for link in (await world.state(streams.consumer(TENANT, consumer_id))).links:
        found.setdefault(link.account_id, []).append(link.source)
    return found


async def unlink(
    world: World, consumer_id: str, account_id: str, source: str | None = None, **more: Any
) -> Any:
    context = world.asks(more.get("key"), f"{account_id} {source}")
    return await accounts.unlink(world.services, context, consumer_id, account_id, source)


async def test_a_source_leaves_with_its_history_and_stays_away(any_world: World) -> None:
    consumer_id, account_id, (other,) = await merged(any_world)
    outcome, taken = await unlink(any_world, consumer_id, account_id)
    assert taken == other and outcome.stream == streams.consumer(TENANT, consumer_id)
    assert await fed(any_world, consumer_id) == {account_id: [account_id], other: [other]}
    for number in range(3):
        any_world.bank.row("1", f"r{number}")
        any_world.bank.row("2", f"t{number}")
        assert await any_world.sync(consumer_id) == "SUCCESS"
    assert await fed(any_world, consumer_id) == {account_id: [account_id], other: [other]}
    held = {id: set(await any_world.held(stream(consumer_id, id))) for id in (account_id, other)}
    assert held == {account_id: {"r1", "r0", "r2"}, other: {"s2", "t0", "t1", "t2"}}
    assert any_world.live() == any_world.rebuilt()


def stream(consumer_id: str, source_id: str) -> str:
    return streams.consumer_account(TENANT, consumer_id, source_id)


async def test_unlinked_is_as_never_linked(world: World) -> None:
    """The streams of both say nothing of each other, so that all that is told of them is what it would be."""
    consumer_id, account_id, (other,) = await merged(world)
    before = {id: await world.facts(stream(consumer_id, id)) for id in (account_id, other)}
    await unlink(world, consumer_id, account_id)
    assert {id: await world.facts(stream(consumer_id, id)) for id in (account_id, other)} == before


async def test_the_one_linked_last_leaves_first_unless_another_is_named(world: World) -> None:
    consumer_id, account_id, others = await merged(world, 3)
    assert (await unlink(world, consumer_id, account_id, others[0]))[1] == others[0]
    for left in (others[2], others[1]):
        assert (await unlink(world, consumer_id, account_id))[1] == left
    with pytest.raises(NotLinked):
        await unlink(world, consumer_id, account_id)
    assert await fed(world, consumer_id) == {id: [id] for id in (account_id, *others)}


@pytest.mark.parametrize(
    ("asked", "refused"),
    [
        (lambda consumer_id, account_id, other: (consumer_id, account_id, account_id), NotLinked),
        (lambda consumer_id, account_id, other: (consumer_id, other, None), NotFound),
        (lambda consumer_id, account_id, other: (consumer_id, account_id, "no such"), NotFound),
        (lambda consumer_id, account_id, other: (consumer_id, "no such", None), NotFound),
        (lambda consumer_id, account_id, other: ("no such", account_id, None), NotFound),
    ],
)
async def test_what_cannot_be_taken_out_is_refused_and_leaves_no_fact(
    world: World, asked: Callable[..., Any], refused: type[Exception]
) -> None:
    consumer_id, account_id, (other,) = await merged(world)
    head = world.lasting.source.head()
    with pytest.raises(refused):
        await unlink(world, *asked(consumer_id, account_id, other))
    with pytest.raises(NotFound):
        await unlink(world.of("rival"), *asked(consumer_id, account_id, other))
    assert world.lasting.source.head() == head


async def test_an_account_of_one_source_cannot_be_unlinked(world: World) -> None:
    consumer_id, source = await fetched_once(world)
    with pytest.raises(NotLinked):
        await unlink(world, consumer_id, streams.parse(source).id)


async def test_of_somebody_erased_nothing_is_unlinked(world: World) -> None:
    consumer_id, account_id, _ = await merged(world)
    await erase_consumer(world.services, world.asks(), consumer_id)
    with pytest.raises(NotFound):
        await unlink(world, consumer_id, account_id)


async def test_a_repetition_is_answered_as_the_first(any_world: World) -> None:
    consumer_id, account_id, others = await merged(any_world, 2)
    first, taken = await unlink(any_world, consumer_id, account_id, key="one")
    for world in (any_world, any_world.restarted()):
        again, repeated = await unlink(world, consumer_id, account_id, key="one")
        assert (again.repeated, repeated) == (True, taken)
        assert outcome_of(again) == outcome_of(first)
    assert (await any_world.names(first.stream)).count("AccountUnlinked") == 1
    with pytest.raises(IdempotencyKeyReused):
        await unlink(any_world, consumer_id, account_id, others[0], key="one")


@pytest.mark.parametrize("written", [True, False])
async def test_whatever_the_log_does_it_happens_once(any_world: World, written: bool) -> None:
    consumer_id, account_id, (other,) = await merged(any_world)
    any_world.log.before(AccountUnlinked, conflict)
    if written:
        any_world.log.after(AccountUnlinked, unavailable)
    else:
        any_world.log.before(AccountUnlinked, unavailable)
    with pytest.raises(Unavailable):
        await unlink(any_world, consumer_id, account_id, key="one")
    _, taken = await unlink(any_world, consumer_id, account_id, key="one")
    assert taken == other
    assert (await any_world.names(streams.consumer(TENANT, consumer_id))).count("AccountUnlinked") == 1


async def test_of_two_at_once_each_takes_another(any_world: World) -> None:
    consumer_id, account_id, others = await merged(any_world, 2)
    any_world.log.yields = lambda: 2
    ended = await asyncio.gather(*(unlink(any_world, consumer_id, account_id) for _ in range(2)))
    assert {taken for _, taken in ended} == set(others)


async def test_a_run_that_records_meanwhile_sees_it(any_world: World) -> None:
    consumer_id, account_id, (other,) = await merged(any_world)

    async def unlinked() -> None:
        await unlink(any_world, consumer_id, account_id)

    any_world.bank.row("2", "t1")
    any_world.log.before(SyncSucceeded, unlinked)
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert await fed(any_world, consumer_id) == {account_id: [account_id], other: [other]}
    assert set(await any_world.held(stream(consumer_id, other))) == {"s2", "t1"}
    assert any_world.live() == any_world.rebuilt()


async def test_what_left_stays_away_when_the_bank_disables_and_enables_it(world: World) -> None:
    consumer_id, account_id, (other,) = await merged(world)
    await unlink(world, consumer_id, account_id)
    for disabled in (True, False):
        world.bank.change(the_banks_connection(world), "2", disabled=disabled)
        assert await world.sync(consumer_id) == "SUCCESS"
    feeding = await fed(world, consumer_id)
    assert set(feeding) == {account_id, other} and feeding[account_id] == [account_id]


async def readable(world: World, consumer_id: str) -> list[str]:
    """The sources of which anything can be read still."""
    prefix = streams.of_consumer(TENANT, consumer_id, streams.CONSUMER_ACCOUNT)
    return [
        streams.parse(stream).id
        for stream in await world.lasting.log.streams(prefix)
        if not all(isinstance(fact, Erased) for fact in await world.facts(stream))
    ]


async def test_what_left_goes_with_the_connection_too(any_world: World) -> None:
    consumer_id, account_id, _ = await merged(any_world, 2)
    await unlink(any_world, consumer_id, account_id)
    connection_id = streams.parse(the_connections_stream(any_world)).id
    await data_connections.delete(any_world.services, any_world.asks(), consumer_id, connection_id)
    assert await readable(any_world, consumer_id) == []
    assert any_world.live() == any_world.rebuilt()


async def renewed(world: World) -> tuple[str, str, str]:
    """An account whose only source was disabled and enabled: consumer, account, and the source that feeds it."""
    consumer_id, source = await fetched_once(world, iban=IBAN)
    for disabled in (True, False):
        world.bank.change(the_banks_connection(world), "1", disabled=disabled)
        assert await world.sync(consumer_id) == "SUCCESS"
    ((account_id, (feeding,)),) = (await fed(world, consumer_id)).items()
    assert account_id == streams.parse(source).id != feeding
    return consumer_id, account_id, feeding


async def test_the_history_of_an_account_goes_with_its_connection_after_its_only_source_left(
    world: World,
) -> None:
    consumer_id, account_id, feeding = await renewed(world)
    try:
        await unlink(world, consumer_id, account_id)
    except NotLinked:
        pass
    connection_id = streams.parse(the_connections_stream(world)).id
    await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
    assert await readable(world, consumer_id) == []


async def test_the_history_of_an_account_stays_with_its_connection_after_its_only_source_left(
    world: World,
) -> None:
    consumer_id, account_id, feeding = await renewed(world)
    with suppress(NotLinked):
        await unlink(world, consumer_id, account_id)
    assert set(await readable(world, consumer_id)) == {account_id, feeding}


async def test_what_is_past_is_history_of_the_account_it_was_of(world: World) -> None:
    consumer_id, account_id, feeding = await renewed(world)
    owner = await world.state(streams.consumer(TENANT, consumer_id))
    assert consumer.sources_of(owner, account_id) == [account_id, feeding]
