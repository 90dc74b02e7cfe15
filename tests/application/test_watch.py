"""What time brings: refreshes by schedule and announcements, each once, whatever dies meanwhile."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from application import data_connections, providers
from application.authorisations import complete
from application.erasure import erase_consumer
from application.execute import load
from application.ports import KeyMissing, LogUnavailable, ProviderUnreachable
from application.refusals import Unavailable
from application.synchronise import Synchroniser
from application.watch import ROUND, Watch, announce
from domain import streams
from domain.consumer_account import TransactionsFetched
from domain.data_connection import (
    SCHEDULE,
    SILENT_AFTER,
    ConnectionSilent,
    ConsentExpiring,
    SyncRequested,
)
from projections import models
from tests.application.stories import (
    ends,
    fetched_once,
    settled,
    the_banks_connection,
    the_connections_stream,
    with_rows,
)
from tests.application.world import BI, DAY, HOUR, MONDAY, World, unavailable

MINUTE = timedelta(minutes=1)


async def once_round(world: World, watch: Watch | None = None) -> None:
    """A round, and the refreshes that it starts."""
    watch = watch or Watch(world.services)
    await watch.round()
    await asyncio.gather(*watch._refreshing.values())


async def watched(world: World, *, days: float, every: timedelta = HOUR) -> None:
    """Let time pass, with a round now and then."""
    watch, until = Watch(world.services), world.clock.now() + days * DAY
    while world.clock.now() < until:
        world.clock.at += every
        await once_round(world, watch)


def scheduled(world: World, stream: str) -> int:
    """How often a connection was looked at by schedule."""
    return sum(end.origin == SCHEDULE for end in ends(world, stream))


async def notices(world: World, stream: str) -> list[int]:
    """The notices that were given of the end of a consent, in days ahead."""
    return [fact.days_left for fact in await world.facts(stream) if isinstance(fact, ConsentExpiring)]


async def alarms(world: World, stream: str) -> int:
    """How often a connection was called silent."""
    return sum(isinstance(fact, ConnectionSilent) for fact in await world.facts(stream))


async def reconnect(world: World, consumer_id: str, stream: str) -> None:
    args = (world.services, world.asks(), consumer_id, streams.parse(stream).id)
    await data_connections.change(*args, status="AUTH_REQUIRED")
    state = await world.opened(consumer_id, streams.parse(stream).id)
    await complete(world.services, {"state": state, "connection_id": the_banks_connection(world)})


# Refreshes by schedule


@pytest.mark.parametrize("hours", [1, 24, 24 * 31])
async def test_a_connection_is_looked_at_when_the_last_look_is_older_than_the_interval(
    any_world: World, hours: int
) -> None:
    await fetched_once(any_world)
    stream = the_connections_stream(any_world)
    await providers.update_settings(
        any_world.services, any_world.asks(), BI, {"refresh_interval_hours": hours}
    )
    any_world.clock.at = MONDAY + hours * HOUR - timedelta(seconds=1)
    await once_round(any_world)
    assert scheduled(any_world, stream) == 0
    any_world.clock.at += timedelta(seconds=1)
    for _ in range(3):
        await once_round(any_world)
    assert scheduled(any_world, stream) == 1
    any_world.clock.at += hours * HOUR
    await once_round(any_world)
    assert scheduled(any_world, stream) == 2


async def test_a_day_without_news_costs_one_fact_each_and_nothing_else(any_world: World) -> None:
    await fetched_once(any_world)
    head = any_world.lasting.source.head()
    await watched(any_world, days=5)
    assert {recorded.name for recorded in any_world.everything()[head:]} == {"SyncSucceeded.1"}
    assert any_world.lasting.source.head() == head + 5


async def test_whatever_looks_at_it_puts_the_next_look_off(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    stream = the_connections_stream(world)
    for _ in range(3):
        await watched(world, days=0.9)
        await world.sync(consumer_id)
        await watched(world, days=0.9)
        await world.refresh(stream, "webhook")
    assert scheduled(world, stream) == 0


async def test_one_that_nobody_looked_at_counts_from_when_it_was_connected(world: World) -> None:
    consumer_id, connection_id, _ = await with_rows(world, "r1")
    stream = world.connection_stream(consumer_id, connection_id)
    world.clock.at = MONDAY + DAY - MINUTE
    await once_round(world)
    assert scheduled(world, stream) == 0
    world.clock.at += MINUTE
    await once_round(world)
    assert scheduled(world, stream) == 1
    assert set(await world.held(await world.only_account(consumer_id))) == {"r1"}


@pytest.mark.parametrize(
    "what", ["never", "disabled", "disconnected", "deleted", "erased", "queued", "failed"]
)
async def test_some_are_not_looked_at(world: World, what: str) -> None:
    consumer_id, _ = await fetched_once(world)
    stream, services = the_connections_stream(world), world.services
    connection_id = streams.parse(stream).id
    match what:
        case "never":
            await providers.update_settings(services, world.asks(), BI, {"refresh_interval_hours": 0})
        case "disabled":
            await providers.set_enabled(services, world.asks(), BI, False)
        case "disconnected":
            args = (services, world.asks(), consumer_id, connection_id)
            await data_connections.change(*args, status="DISCONNECTED")
        case "deleted":
            await data_connections.delete(services, world.asks(), consumer_id, connection_id)
        case "erased":
            await erase_consumer(services, world.asks(), consumer_id)
        case "queued":
            await world.request_sync(consumer_id)
        case "failed":
            world.bank.connections[the_banks_connection(world)].reason = "wrong_password"
            world.bank.connections[the_banks_connection(world)].needs_person = True
            await world.sync(consumer_id)
    head, calls = world.lasting.source.head(), len(world.bank.calls)
    await watched(world, days=2)
    assert (world.lasting.source.head(), len(world.bank.calls)) == (head, calls)


async def test_a_restart_forgets_none_and_repeats_none(any_world: World) -> None:
    await fetched_once(any_world)
    stream = the_connections_stream(any_world)
    any_world.clock.at += DAY
    for _ in range(3):
        any_world = any_world.restarted()
        await once_round(any_world)
    assert scheduled(any_world, stream) == 1


async def test_after_a_long_sleep_each_is_looked_at_once(world: World) -> None:
    await fetched_once(world)
    world.clock.at += 400 * DAY
    for _ in range(3):
        await once_round(world)
    assert scheduled(world, the_connections_stream(world)) == 1


async def test_a_look_that_failed_is_repeated_after_an_hour_then_two_and_in_time_after_the_interval(
    world: World,
) -> None:
    await fetched_once(world)
    stream = the_connections_stream(world)
    world.bank.fail("accounts", ProviderUnreachable("timeout"), times=1_000)
    begun, failures = MONDAY + DAY, []
    world.clock.at = begun
    await once_round(world)
    for _ in range(24 * 60 * 4 // 10):
        world.clock.at += 10 * MINUTE
        before = scheduled(world, stream)
        await once_round(world)
        if scheduled(world, stream) > before:
            failures.append((world.clock.now() - begun) / HOUR)
    gaps = [later - earlier for earlier, later in zip([0.0, *failures], failures, strict=False)]
    assert gaps[:6] == pytest.approx([1, 2, 4, 8, 16, 24], abs=0.2)
    assert len(failures) <= 8


async def jumps(world: World, jump: timedelta) -> tuple[int, int]:
    """How often a connection is looked at in the days after a jump of the clock: in all, and in the last two."""
    await fetched_once(world)
    stream = the_connections_stream(world)
    world.clock.at += jump
    await watched(world, days=1.5)
    before = scheduled(world, stream)
    await watched(world, days=2)
    return scheduled(world, stream), scheduled(world, stream) - before


@pytest.mark.parametrize("jump", [-400 * DAY, -2 * DAY, -HOUR, HOUR, 2 * DAY, 400 * DAY])
async def test_a_clock_that_jumps_stops_no_schedule(world: World, jump: timedelta) -> None:
    _, in_the_end = await jumps(world, jump)
    assert in_the_end >= 1


@pytest.mark.parametrize("jump", [-HOUR, HOUR, 400 * DAY])
async def test_a_clock_that_jumps_leads_to_no_more_looks_than_days(world: World, jump: timedelta) -> None:
    in_all, _ = await jumps(world, jump)
    assert in_all <= 5


@pytest.mark.parametrize("jump", [-400 * DAY, -2 * DAY])
async def test_where_the_clock_went_back_a_connection_rests_between_two_looks(
    world: World, jump: timedelta
) -> None:
    """Times in its stream stay ahead until then, so that it is due all the time: half an hour is the least."""
    await fetched_once(world)
    world.clock.at += jump
    watch, stream, before = Watch(world.services), the_connections_stream(world), world.clock.now()
    while world.clock.now() < before + 6 * HOUR:
        world.clock.at += MINUTE
        await once_round(world, watch)
    assert 1 <= scheduled(world, stream) <= 12


async def test_one_that_is_being_looked_at_is_not_looked_at_twice(world: World) -> None:
    await fetched_once(world)
    world.clock.at += DAY
    hang, watch = asyncio.Event(), Watch(world.services)
    world.bank.during("accounts", hang.wait)
    for _ in range(5):
        await watch.round()
        await asyncio.sleep(0)
    assert len(watch._refreshing) == 1
    hang.set()
    await asyncio.gather(*watch._refreshing.values())
    await asyncio.sleep(0)
    assert watch._refreshing == {}
    assert scheduled(world, the_connections_stream(world)) == 1


async def several(world: World, count: int) -> list[str]:
    """Connections that are due in a day: their streams."""
    await world.provider()
    found = []
    for _ in range(count):
        consumer_id = await world.consumer()
        connection_id = await world.connection(consumer_id)
        reference = await world.authorise(consumer_id, connection_id)
        world.bank.account(reference, reference)
        found.append(world.connection_stream(consumer_id, connection_id))
        world.clock.at += MINUTE
    return found


async def test_those_that_wait_longest_come_first_and_all_come(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("application.watch.WAITING_MAX", 2)
    all_of_them, looked, refresh = await several(world, 5), [], world.services.refresh

    async def noted(stream: str, origin: str) -> bool:
        looked.append(stream)
        return await refresh(stream, origin)

    world.services.refresh = noted
    world.clock.at += DAY
    watch = Watch(world.services)
    for _ in range(3):
        await once_round(world, watch)
        await asyncio.sleep(0)
    assert looked == all_of_them


async def test_a_look_that_fails_for_a_defect_keeps_nobody_else_from_theirs(world: World) -> None:
    poisoned, *others = await several(world, 3)
    refresh = world.services.refresh

    async def poison(stream: str, origin: str) -> bool:
        if stream == poisoned:
            raise KeyMissing("there is no such key")
        return await refresh(stream, origin)

    world.services.refresh = poison
    world.clock.at += DAY
    await once_round(world)
    assert [scheduled(world, stream) for stream in others] == [1, 1]


async def test_nothing_is_looked_at_again_and_again_of_which_the_read_models_know_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer_id, _ = await fetched_once(world)
    project = models.project

    def poisoned(recorded: Any, rows: Any) -> None:
        if isinstance(recorded.fact, TransactionsFetched):
            raise ValueError
        project(recorded, rows)

    monkeypatch.setattr(models, "project", poisoned)
    world.bank.row("1", "r2")
    await world.sync(consumer_id)
    head = world.lasting.source.head()
    await watched(world, days=3)
    assert world.lasting.source.head() <= head + 1


async def test_read_models_that_are_behind_lead_to_no_second_look(world: World) -> None:
    await fetched_once(world)
    world.clock.at += DAY
    world.read_models.behind_until = world.clock.now() + 2 * HOUR
    watch = Watch(world.services)
    for _ in range(60):
        world.clock.at += MINUTE
        try:
            await once_round(world, watch)
        except Exception as error:
            assert type(error).__name__ in ("Unavailable", "LogUnavailable")
    assert scheduled(world, the_connections_stream(world)) <= 1


# Rounds


async def test_rounds_go_on_until_they_are_stopped(world: World) -> None:
    await fetched_once(world)
    watch = Watch(world.services)
    await watch.start()
    for _ in range(30_000):
        await asyncio.sleep(0)
        if scheduled(world, the_connections_stream(world)) == 2:
            break
    assert scheduled(world, the_connections_stream(world)) == 2
    assert set(world.clock.slept) == {ROUND}
    await watch.stop()
    slept = len(world.clock.slept)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(world.clock.slept) == slept and watch._refreshing == {}


async def test_what_is_under_way_when_it_stops_is_due_at_the_next_start(any_world: World) -> None:
    await fetched_once(any_world)
    any_world.clock.at += DAY
    stream = the_connections_stream(any_world)
    reached = asyncio.Event()

    async def hang() -> None:
        reached.set()
        await asyncio.Event().wait()

    any_world.bank.during("accounts", hang)
    watch = Watch(any_world.services)
    await watch.start()
    await reached.wait()
    await watch.stop()
    assert scheduled(any_world, stream) == 0
    await once_round(any_world.restarted())
    assert scheduled(any_world, stream) == 1


@pytest.mark.parametrize("error", [LogUnavailable("the disk is away"), RuntimeError("a defect")])
async def test_a_round_that_fails_is_not_the_last(
    world: World, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    await fetched_once(world)
    world.clock.at += DAY
    refreshes_due, failures = world.read_models.refreshes_due, 2

    async def failing(now: Any) -> Any:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise error
        return await refreshes_due(now)

    world.read_models.refreshes_due = failing  # type: ignore[method-assign]
    watch = Watch(world.services)
    with caplog.at_level(logging.WARNING, logger="passbook"):
        await watch.start()
        while not scheduled(world, the_connections_stream(world)):
            await asyncio.sleep(0)
        await watch.stop()
    records = [record for record in caplog.records if record.name == "passbook.watch"]
    assert [record.error for record in records] == [type(error).__name__] * 2
    assert not any("disk" in record.getMessage() or "defect" in record.getMessage() for record in records)


async def test_a_log_that_cannot_be_written_puts_a_look_off(world: World) -> None:
    await fetched_once(world)
    world.clock.at += DAY
    world.log.fail_read("data_connection")
    await once_round(world)
    await once_round(world)
    assert scheduled(world, the_connections_stream(world)) == 1


async def test_a_sync_whose_acknowledgement_was_lost_is_run_all_the_same(world: World) -> None:
    """The client gave no key, and does not come back: it must not block those after it for ever."""
    consumer_id, _ = await fetched_once(world)
    synchroniser = Synchroniser(world.services)
    world.log.after(SyncRequested, unavailable)
    with pytest.raises(Exception, match="storage_unavailable"):
        await world.request_sync(consumer_id)
    await watched(world, days=0.1)
    await settled(synchroniser)
    assert await world.read_models.pending_syncs() == []


# Announcements: the consent


async def with_consent(world: World, days: float) -> tuple[str, str]:
    """A connection that was read once, whose consent ends in so many days: consumer and stream."""
    consumer_id, connection_id, reference = await with_rows(world, "r1")
    world.bank.connections[reference].consent_expires_at = MONDAY + days * DAY
    await world.sync(consumer_id)
    return consumer_id, world.connection_stream(consumer_id, connection_id)


async def test_the_end_of_a_consent_is_announced_14_7_and_1_days_ahead_each_once(any_world: World) -> None:
    _, stream = await with_consent(any_world, 20)
    seen = []
    while any_world.clock.now() < MONDAY + 22 * DAY:
        any_world.clock.at += 6 * HOUR
        await once_round(any_world)
        seen.append(((any_world.clock.now() - MONDAY) / DAY, len(await notices(any_world, stream))))
    assert await notices(any_world, stream) == [14, 7, 1]
    at = [next(day for day, count in seen if count == number) for number in (1, 2, 3)]
    assert at == [6.0, 13.0, 19.0]
    assert any_world.live() == any_world.rebuilt()


async def test_a_notice_that_was_missed_gives_way_to_the_next(world: World) -> None:
    _, stream = await with_consent(world, 20)
    world.clock.at = MONDAY + 14 * DAY
    for _ in range(3):
        await once_round(world.restarted())
    assert await notices(world, stream) == [7]
    world.clock.at = MONDAY + 21 * DAY
    await once_round(world)
    assert await notices(world, stream) == [7], "what is over is not announced"


async def test_a_consent_that_is_short_from_the_first_is_announced_at_once(world: World) -> None:
    _, stream = await with_consent(world, 5)
    await once_round(world)
    assert await notices(world, stream) == [7]


async def test_a_consent_that_was_renewed_is_announced_anew(world: World) -> None:
    consumer_id, stream = await with_consent(world, 10)
    await once_round(world)
    world.bank.connections[the_banks_connection(world)].consent_expires_at = MONDAY + 190 * DAY
    await reconnect(world, consumer_id, stream)
    await once_round(world)
    assert await notices(world, stream) == [14]
    await world.sync(consumer_id)
    await watched(world, days=20)
    assert await notices(world, stream) == [14]
    await watched(world, days=160, every=DAY)
    assert await notices(world, stream) == [14, 14]


async def test_a_connection_that_is_not_connected_is_not_announced(world: World) -> None:
    consumer_id, stream = await with_consent(world, 10)
    args = (world.services, world.asks(), consumer_id, streams.parse(stream).id)
    await data_connections.change(*args, status="DISCONNECTED")
    await watched(world, days=12)
    assert await notices(world, stream) == []


@pytest.mark.parametrize("written", [True, False])
async def test_an_announcement_is_made_once_whatever_the_log_does(any_world: World, written: bool) -> None:
    _, stream = await with_consent(any_world, 10)
    if written:
        any_world.log.after(ConsentExpiring, unavailable)
    else:
        any_world.log.before(ConsentExpiring, unavailable)
    for _ in range(3):
        try:
            await once_round(any_world)
        except Exception as error:
            assert "storage_unavailable" in str(error)
    assert await notices(any_world, stream) == [14]


async def test_two_processes_announce_once(any_world: World) -> None:
    _, stream = await with_consent(any_world, 10)
    await asyncio.gather(once_round(any_world), once_round(any_world.restarted()))
    assert await notices(any_world, stream) == [14]


async def test_read_models_that_are_behind_lead_to_no_second_announcement(world: World) -> None:
    _, stream = await with_consent(world, 10)
    world.read_models.catch_up()
    world.read_models.behind_until = world.clock.now() + 2 * HOUR
    for _ in range(5):
        world.clock.at += MINUTE
        with suppress(Unavailable):
            await once_round(world)
    assert await notices(world, stream) == [14]


async def test_what_is_deleted_just_before_it_is_announced_is_not(any_world: World) -> None:
    consumer_id, stream = await with_consent(any_world, 10)

    async def deleted() -> None:
        await data_connections.delete(
            any_world.services, any_world.asks(), consumer_id, streams.parse(stream).id
        )

    any_world.log.before(ConsentExpiring, deleted)
    await once_round(any_world)
    assert any_world.live() == any_world.rebuilt()


async def test_one_that_cannot_be_announced_keeps_nobody_else_from_theirs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await several(world, 3)
    for held in world.bank.connections.values():
        held.consent_expires_at = world.clock.now() + 10 * DAY
    for stream in found:
        await world.refresh(stream)
    due = await world.read_models.announcements_due(world.clock.now())

    async def poisoned(services: Any, stream: str) -> Any:
        if stream == due[0]:
            raise KeyMissing("there is no such key")
        return await load(services, stream)

    monkeypatch.setattr("application.watch.load", poisoned)
    watch = Watch(world.services)
    await watch.start()
    for _ in range(300):
        await asyncio.sleep(0)
    await watch.stop()
    assert [await notices(world, stream) for stream in due[1:]] == [[14], [14]]


# Announcements: silence


async def silent(world: World) -> tuple[str, str]:
    """A connection whose provider does not fetch any more: consumer and stream."""
    consumer_id, _ = await fetched_once(world)
    bank = world.bank.connections[the_banks_connection(world)]
    bank.fetched_at, bank.fetches = MONDAY, False
    return consumer_id, the_connections_stream(world)


async def test_a_provider_that_has_nothing_new_for_long_raises_one_alarm(any_world: World) -> None:
    _, stream = await silent(any_world)
    await watched(any_world, days=SILENT_AFTER / DAY - 0.1)
    assert await alarms(any_world, stream) == 0
    await watched(any_world, days=5)
    assert await alarms(any_world, stream) == 1
    (alarm,) = [fact for fact in await any_world.facts(stream) if isinstance(fact, ConnectionSilent)]
    assert alarm.last_seen_at == MONDAY
    assert any_world.live() == any_world.rebuilt()


async def test_the_alarm_is_over_when_the_provider_speaks_and_the_next_silence_is_another(
    world: World,
) -> None:
    _, stream = await silent(world)
    await watched(world, days=4)
    assert (await world.state(stream)).silent
    world.bank.connections[the_banks_connection(world)].fetched_at = world.clock.now()
    await world.refresh(stream)
    assert not (await world.state(stream)).silent
    await watched(world, days=SILENT_AFTER / DAY - 0.1)
    assert await alarms(world, stream) == 1
    await watched(world, days=1)
    assert await alarms(world, stream) == 2


async def test_looking_alone_ends_no_silence(world: World) -> None:
    consumer_id, stream = await silent(world)
    await watched(world, days=4)
    await world.sync(consumer_id)
    assert (await world.state(stream)).silent
    await watched(world.restarted(), days=3)
    assert await alarms(world, stream) == 1


async def test_a_provider_that_fails_all_the_time_is_silent_too(world: World) -> None:
    await fetched_once(world)
    stream = the_connections_stream(world)
    world.bank.fail("accounts", ProviderUnreachable("timeout"), times=1_000)
    await watched(world, days=5)
    assert await alarms(world, stream) == 1


async def test_a_connection_that_was_just_made_is_not_silent(world: World) -> None:
    consumer_id, stream = await silent(world)
    args = (world.services, world.asks(), consumer_id, streams.parse(stream).id)
    await data_connections.change(*args, status="DISCONNECTED")
    world.clock.at += 30 * DAY
    world.bank.connections[the_banks_connection(world)].consent_expires_at = world.clock.now() + 10 * DAY
    await reconnect(world, consumer_id, stream)
    state = await world.state(stream)
    await announce(world.services, stream)
    assert state.status == "CONNECTED"
    assert await alarms(world, stream) == 0


@pytest.mark.parametrize("way", ["a long interval", "a long stop", "a provider that is switched off"])
async def test_where_nobody_looked_nobody_is_silent(world: World, way: str) -> None:
    consumer_id, _ = await fetched_once(world)
    stream = the_connections_stream(world)
    if way == "a long interval":
        await providers.update_settings(world.services, world.asks(), BI, {"refresh_interval_hours": 24 * 7})
        await watched(world, days=20)
    elif way == "a provider that is switched off":
        await providers.set_enabled(world.services, world.asks(), BI, False)
        await watched(world, days=5)
    else:
        world.clock.at += 5 * DAY
        await watched(world.restarted(), days=1)
    assert await alarms(world, stream) == 0
