"""How every command runs: once, however often it is said; again, if somebody else was quicker."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from application import consumers, data_connections, execute
from application.erasure import erase_consumer
from application.execute import SNAPSHOT_EVERY, Loaded, Outcome, Plan, load
from application.ports import Append, Change, LogUnavailable, Snapshot
from application.refusals import IdempotencyKeyInFlight, IdempotencyKeyReused, Unavailable
from domain import consumer, consumer_account, data_connection, streams
from domain.consumer import ConsumerDetailsChanged, ConsumerRegistered
from domain.consumer_account import AccountDetails, AccountDiscovered, BalanceRefreshed
from domain.data_connection import ConnectionRequested, RequestedDataTypesChanged
from domain.provider import ProviderDisabled, ProviderEnabled
from domain.refusals import NotFound
from tests.application.world import (
    BI,
    DAY,
    HOUR,
    MONDAY,
    TENANT,
    World,
    conflict,
    in_memory,
    outcome_of,
    unavailable,
)
from tests.projections.examples import History, histories

ALL = ("BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW", "CREDIT_INSIGHTS")


async def register(world: World, key: str | None = None, name: str = "Boulangerie") -> Outcome:
    return await consumers.register(
        world.services, world.asks(key, name), type=consumer.LEGAL, fields={"name": name}
    )


async def rename(world: World, consumer_id: str, name: str, key: str | None = None) -> Outcome:
    return await consumers.change(world.services, world.asks(key, name), consumer_id, {"name": name})


def registrations(world: World) -> int:
    return sum(recorded.name == "ConsumerRegistered.1" for recorded in world.everything())


# Said twice


async def test_one_key_is_one_command_in_this_life_and_the_next(any_world: World) -> None:
    first = await register(any_world, key="one")
    again = await register(any_world, key="one")
    later = await register(any_world.restarted(), key="one")
    assert outcome_of(first) == outcome_of(again) == outcome_of(later)
    assert (first.repeated, again.repeated, later.repeated) == (False, True, True)
    assert registrations(any_world) == 1


async def test_a_repetition_is_answered_as_of_then_although_the_stream_moved_on(any_world: World) -> None:
    consumer_id = streams.parse((await register(any_world)).stream).id
    first = await rename(any_world, consumer_id, "Pâtisserie", key="one")
    await rename(any_world, consumer_id, "Brasserie")
    again = await rename(any_world, consumer_id, "Pâtisserie", key="one")
    assert outcome_of(again) == outcome_of(first)
    assert (await any_world.state(first.stream)).details.name == "Brasserie"


async def test_another_request_under_one_key_is_refused(any_world: World) -> None:
    await register(any_world, key="one", name="Boulangerie")
    with pytest.raises(IdempotencyKeyReused):
        await register(any_world, key="one", name="Pâtisserie")
    with pytest.raises(IdempotencyKeyReused):
        await register(any_world.restarted(), key="one", name="Pâtisserie")
    assert registrations(any_world) == 1


async def test_one_key_of_two_tenants_is_two_commands(any_world: World) -> None:
    await register(any_world, key="one")
    await register(any_world.of("rival"), key="one")
    assert registrations(any_world) == 2


async def test_without_a_key_every_request_is_one_of_its_own(any_world: World) -> None:
    await register(any_world)
    await register(any_world)
    assert registrations(any_world) == 2


async def test_a_key_that_is_in_flight_is_refused_and_free_afterwards(any_world: World) -> None:
    any_world.log.yields = lambda: 3
    ended = await asyncio.gather(*(register(any_world, key="one") for _ in range(3)), return_exceptions=True)
    assert sorted(type(end).__name__ for end in ended) == [*["IdempotencyKeyInFlight"] * 2, "Outcome"]
    assert (await register(any_world, key="one")).repeated
    assert registrations(any_world) == 1


async def test_a_key_in_flight_is_refused_whatever_else_is_said_under_it(world: World) -> None:
    async def same_key() -> None:
        with pytest.raises(IdempotencyKeyInFlight):
            await register(world, key="one", name="Pâtisserie")

    world.log.before(ConsumerRegistered, same_key)
    await register(world, key="one")


async def test_two_services_that_run_one_command_at_once_write_it_once(any_world: World) -> None:
    other = any_world.restarted()

    async def there() -> None:
        await register(other, key="one")

    any_world.log.before(ConsumerRegistered, there)
    assert (await register(any_world, key="one")).repeated
    assert registrations(any_world) == 1


async def test_a_refused_command_leaves_its_key_free(any_world: World) -> None:
    with pytest.raises(NotFound):
        await rename(any_world, any_world.services.ids.uuid(), "Nobody", key="one")
    assert not (await register(any_world, key="one", name="Nobody")).repeated


async def test_a_command_that_changed_nothing_is_stored_too(any_world: World) -> None:
    consumer_id = streams.parse((await register(any_world)).stream).id
    head = any_world.lasting.source.head()
    first = await rename(any_world, consumer_id, "Boulangerie", key="one")
    assert any_world.lasting.source.head() == head == first.position
    await rename(any_world, consumer_id, "Pâtisserie")
    again = await rename(any_world, consumer_id, "Boulangerie", key="one")
    assert (again.repeated, again.version) == (True, 1)
    with pytest.raises(IdempotencyKeyReused):
        await rename(any_world, consumer_id, "Brasserie", key="one")


async def test_a_command_without_key_or_change_writes_nothing_at_all(world: World) -> None:
    consumer_id = streams.parse((await register(world)).stream).id
    outcome = await rename(world, consumer_id, "Boulangerie")
    assert outcome.position == 1
    assert len(world.log.appends) == 1


# Others, and a storage that is away


async def test_a_command_that_is_too_late_decides_again(any_world: World) -> None:
    any_world.log.before(ConsumerRegistered, conflict, conflict, conflict)
    await register(any_world)
    assert registrations(any_world) == 1


async def test_a_command_that_is_always_too_late_is_given_up_as_unknown(world: World) -> None:
    world.log.before(ConsumerRegistered, *[conflict] * execute.ATTEMPTS_MAX)
    with pytest.raises(Unavailable) as unknown:
        await register(world, key="one")
    assert unknown.value.reason == "too_busy"
    assert not (await register(world, key="one")).repeated


@pytest.mark.parametrize("written", [True, False])
async def test_an_unknown_outcome_is_settled_by_the_same_key(any_world: World, written: bool) -> None:
    if written:
        any_world.log.after(ConsumerRegistered, unavailable)
    else:
        any_world.log.before(ConsumerRegistered, unavailable)
    with pytest.raises(Unavailable) as unknown:
        await register(any_world, key="one")
    assert unknown.value.reason == "storage_unavailable"
    assert (await register(any_world, key="one")).repeated is written
    assert registrations(any_world) == 1


async def test_a_log_that_cannot_be_read_makes_the_outcome_unknown(world: World) -> None:
    consumer_id = streams.parse((await register(world)).stream).id
    world.log.fail_read("consumer")
    with pytest.raises(Unavailable):
        await rename(world, consumer_id, "Pâtisserie")


async def test_a_defect_in_a_decision_leaves_its_key_free(world: World) -> None:
    async def decide() -> Plan:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await execute.execute(world.services, world.asks("one"), decide)
    assert world.services.in_flight == set()


async def test_of_many_changes_at_once_every_one_is_recorded(any_world: World) -> None:
    consumer_id = streams.parse((await register(any_world)).stream).id
    any_world.log.yields = lambda: 1
    await asyncio.gather(*(rename(any_world, consumer_id, f"Name {number}") for number in range(8)))
    names = [f.details.name for f in (await any_world.facts(streams.consumer(TENANT, consumer_id)))[1:]]
    assert sorted(names) == [f"Name {number}" for number in range(8)]


# Time


async def test_recorded_times_do_not_go_back_when_the_clock_does(any_world: World) -> None:
    consumer_id = streams.parse((await register(any_world)).stream).id
    any_world.clock.at = MONDAY - DAY
    await rename(any_world, consumer_id, "Pâtisserie")
    after = any_world.restarted()
    after.clock.at = MONDAY - 2 * DAY
    await rename(after, consumer_id, "Brasserie")
    other = await register(after)
    after.clock.at = MONDAY + HOUR
    await rename(after, consumer_id, "Boulangerie")
    times = [
        recorded.recorded_at for recorded in await after.log.facts(streams.consumer(TENANT, consumer_id))
    ]
    assert times == [MONDAY, MONDAY, MONDAY, MONDAY + HOUR]
    (recorded,) = await after.log.facts(other.stream)
    assert recorded.recorded_at == MONDAY - 2 * DAY


async def test_a_command_on_several_streams_is_not_before_any_of_them(any_world: World) -> None:
    consumer_id, _, reference = await any_world.connected()
    any_world.bank.account(reference, "1")
    any_world.clock.at = MONDAY + HOUR
    await rename(any_world, consumer_id, "Pâtisserie")
    any_world.clock.at = MONDAY
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert {change.stream for change in any_world.log.appends[-1].changes} >= {
        streams.consumer(TENANT, consumer_id)
    }
    assert any_world.log.appends[-1].recorded_at == MONDAY + HOUR


# What is kept of a stream


async def written(world: World, stream: str, *facts: Any) -> None:
    """Facts in a stream, as commands over time would leave them."""
    version = len(await world.lasting.log.facts(stream))
    await world.lasting.log.append(
        Append(
            context=world.asks(),
            recorded_at=world.clock.now(),
            changes=(Change(stream, version, facts),),
            subject=stream,
            subject_version=version + len(facts),
        )
    )


def named(count: int) -> list[consumer.Details]:
    return [consumer.describe(consumer.LEGAL, {"name": f"Name {number}"}) for number in range(count)]


def changed(details: consumer.Details) -> ConsumerDetailsChanged:
    return ConsumerDetailsChanged(details=details)


def long_history(world: World, aggregate: str) -> tuple[str, list[Any]]:
    """A stream, and more facts of it than a snapshot waits for."""
    consumer_id, id = world.services.ids.uuid(), world.services.ids.uuid()
    times = range(SNAPSHOT_EVERY // 2 + 10)
    match aggregate:
        case "provider":
            return streams.provider(TENANT, BI), [
                fact() for _ in times for fact in (ProviderEnabled, ProviderDisabled)
            ]
        case "consumer":
            details = named(2 * len(times))
            return streams.consumer(TENANT, consumer_id), [
                ConsumerRegistered(type=consumer.LEGAL, details=details[0]),
                consumer.AccountLinked(
                    account_id=id, connection_id=id, reference="1",
                    evidence=consumer.Evidence(kind="iban", digest=b"d" * 32),
                ),
                *map(changed, details[1:]),
            ]  # fmt: skip
        case "data_connection":
            return streams.data_connection(TENANT, consumer_id, id), [
                ConnectionRequested(provider=BI, data_types=ALL),
                data_connection.AuthorisationStarted(state_digest=b"s" * 32, expires_at=MONDAY),
                data_connection.SyncRequested(
                    sync_id="s1", data_syncs=(data_connection.DataSync("d1", "CASHFLOW"),)
                ),
                data_connection.SyncSucceeded(sync_id="s0", watermark=MONDAY, accounts=("1", "2")),
                *(
                    RequestedDataTypesChanged(data_types=ALL[: 1 + number % 4])
                    for number in range(2 * len(times))
                ),
            ]
    return streams.consumer_account(TENANT, consumer_id, id), [
        AccountDiscovered(
            connection_id="c1", provider=BI, reference="1", currency="EUR", exponent=2,
            details=AccountDetails(iban="FR76", owners=(consumer_account.Owner(full_name="Ada"),), fields={"a": [1]}),
        ),
        *(
            BalanceRefreshed(as_of=MONDAY + number * HOUR, balance=number, texts={"limit": "1e-9"})
            for number in range(2 * len(times))
        ),
    ]  # fmt: skip


@pytest.mark.parametrize("aggregate", ["provider", "consumer", "data_connection", "consumer_account"])
async def test_a_long_stream_is_gone_on_with_from_its_snapshot(any_world: World, aggregate: str) -> None:
    stream, facts = long_history(any_world, aggregate)
    await written(any_world, stream, *facts)
    full = await load(any_world.services, stream)
    assert (await any_world.lasting.log.snapshot(stream)).version == len(facts)

    after = any_world.restarted()
    assert await load(after.services, stream) == full
    assert after.log.facts_read == 0
    await written(after, stream, facts[-1])
    one_more = await load(after.services, stream)
    assert (one_more.version, after.log.facts_read) == (len(facts) + 1, 1)


async def test_a_short_stream_has_no_snapshot(world: World) -> None:
    stream, facts = long_history(world, "provider")
    await written(world, stream, *facts[: SNAPSHOT_EVERY - 1])
    await load(world.services, stream)
    assert await world.lasting.log.snapshot(stream) is None


async def test_a_snapshot_of_an_unknown_shape_is_none(world: World) -> None:
    stream, facts = long_history(world, "provider")
    await written(world, stream, *facts)
    full = await load(world.services, stream)
    await world.lasting.log.keep_snapshot(
        Snapshot(stream, full.version, "provider.0", MONDAY, msgspec.msgpack.encode({"other": 1}))
    )
    after = world.restarted()
    assert await load(after.services, stream) == full
    assert after.log.facts_read == full.version


async def test_a_snapshot_goes_with_the_key_of_its_stream(any_world: World) -> None:
    consumer_id = streams.parse((await register(any_world)).stream).id
    stream = streams.consumer(TENANT, consumer_id)
    await written(any_world, stream, *map(changed, named(SNAPSHOT_EVERY)))
    after = any_world.restarted()
    await load(after.services, stream)
    await erase_consumer(after.services, after.asks(), consumer_id)
    assert await any_world.lasting.log.snapshot(stream) is None
    assert isinstance(await any_world.restarted().state(stream), consumer.Gone)


async def test_time_does_not_go_back_behind_a_snapshot_either(world: World) -> None:
    consumer_id = streams.parse((await register(world)).stream).id
    stream = streams.consumer(TENANT, consumer_id)
    await written(world, stream, *map(changed, named(SNAPSHOT_EVERY)))
    await load(world.restarted().services, stream)
    after = world.restarted()
    after.clock.at = MONDAY - DAY
    await rename(after, consumer_id, "Boulangerie")
    assert (await after.log.facts(stream))[-1].recorded_at == MONDAY


@given(histories())
def test_every_state_is_the_same_after_a_snapshot(told: tuple[History, set[str]]) -> None:
    history, _ = told
    states: dict[str, Any] = {}
    for recorded in history.recorded:
        aggregate, _, shape = execute._AGGREGATES[streams.parse(recorded.stream).aggregate]
        state = aggregate.apply(states.get(recorded.stream, aggregate.initial), recorded.fact)
        states[recorded.stream] = state
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(state), type=shape) == state


@given(st.lists(st.sampled_from("abcdef"), max_size=40))
async def test_the_states_in_memory_are_bounded_and_the_last_used_stay(used: list[str]) -> None:
    world = World(in_memory())
    kept_max, execute.STATES_KEPT_MAX = execute.STATES_KEPT_MAX, 3
    try:
        for name in used:
            await load(world.services, streams.provider(TENANT, name))
    finally:
        execute.STATES_KEPT_MAX = kept_max
    last = list(dict.fromkeys(reversed(used)))[:3]
    assert set(world.services.states) == {streams.provider(TENANT, name) for name in last}


async def test_a_state_that_was_forgotten_is_folded_again(world: World) -> None:
    consumer_id = streams.parse((await register(world)).stream).id
    stream = streams.consumer(TENANT, consumer_id)
    before = await load(world.services, stream)
    execute.forget_states(world.services, f"{TENANT}/")
    assert world.services.states == {}
    assert await load(world.services, stream) == before


# Who did it


async def test_every_fact_says_who_asked_and_under_which_command(any_world: World) -> None:
    consumer_id, _, reference = await any_world.connected()
    any_world.bank.account(reference, "1")
    await any_world.sync(consumer_id)
    actors = {recorded.name.partition(".")[0]: recorded.actor for recorded in any_world.everything()}
    assert actors == {
        "CredentialsUpdated": "key:test",
        "ProviderEnabled": "key:test",
        "ConsumerRegistered": "key:test",
        "ConnectionRequested": "key:test",
        "AuthorisationStarted": "browser",
        "ConnectionConnected": "browser",
        "SyncRequested": "key:test",
        "SyncStarted": "sync",
        "AccountLinked": "sync",
        "AccountDiscovered": "sync",
        "BalanceRefreshed": "sync",
        "SyncSucceeded": "sync",
    }
    for recorded in any_world.everything():
        assert len(recorded.command_id) == 16


async def test_nothing_personal_is_in_a_stream_id(world: World) -> None:
    consumer_id, _, _ = await world.connected()
    for recorded in world.everything():
        assert streams.parse(recorded.stream).tenant == TENANT
        assert "Boulangerie" not in recorded.stream
    assert streams.UUID.fullmatch(consumer_id)


async def test_what_a_plan_names_without_facts_is_not_written(world: World) -> None:
    stream = streams.provider(TENANT, BI)

    async def decide() -> Plan:
        loaded: Loaded[Any] = await load(world.services, stream)
        return Plan(loaded, ((loaded, ()), (loaded, (ProviderEnabled(),))))

    outcome = await execute.execute(world.services, world.asks(), decide)
    assert (outcome.version, outcome.position) == (1, 1)


async def test_a_deletion_says_when_the_keys_cannot_be_reached(world: World) -> None:
    """The door answers 503 to it, like to any `LogUnavailable`; what was announced is finished later."""
    consumer_id, connection_id, _ = await world.connected()
    world.keys.fail_destructions()
    with pytest.raises(LogUnavailable):
        await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
    assert await world.keys.announced() == [f"{TENANT}/{consumer_id}/{connection_id}"]
