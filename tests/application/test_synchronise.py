"""From a requested sync to facts, or to the reason why there are none."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from application import data_connections, providers
from application.erasure import erase_consumer
from application.fetching import AHEAD_MAX, OVERLAP, SETTLE_TIMEOUT
from application.ports import (
    AuthorisationNeeded,
    ProviderRefused,
    ProviderUnreachable,
    UnexpectedAnswer,
)
from application.refusals import Unavailable
from application.sync_run import start
from application.synchronise import ATTEMPTS_MAX, Synchroniser, run_sync
from domain import streams
from domain.consumer_account import BalanceRefreshed, TransactionsFetched
from domain.data_connection import SyncFailed, SyncStarted, SyncSucceeded
from projections import models
from tests.application.stories import (
    WHOLE,
    fetched_once,
    reads,
    settled,
    the_banks_connection,
    the_connections_stream,
    with_rows,
)
from tests.application.world import BI, DAY, HOUR, MONDAY, TENANT, World, conflict, unavailable

# What a run brings


async def test_a_first_sync_reads_everything_and_says_so_in_one_append(any_world: World) -> None:
    consumer_id, connection_id, _ = await with_rows(any_world, "r1", "r2", balance=12_34)
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert reads(any_world) == [("1", WHOLE)]
    account = await any_world.only_account(consumer_id)
    assert await any_world.names(account) == ["AccountDiscovered", "BalanceRefreshed", "TransactionsFetched"]
    last = any_world.log.appends[-1]
    assert {change.stream for change in last.changes if change.facts} == {
        streams.consumer(TENANT, consumer_id),
        account,
        any_world.connection_stream(consumer_id, connection_id),
    }
    assert {row.status for row in any_world.live()["data_syncs"]} == {"SUCCESS"}
    assert any_world.live() == any_world.rebuilt()


async def test_an_increment_asks_for_what_was_touched_since_the_watermark_with_overlap(
    any_world: World,
) -> None:
    consumer_id, account = await fetched_once(any_world)
    any_world.clock.at += 3 * HOUR
    any_world.bank.row("1", "r2")
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert reads(any_world)[1:] == [("1", MONDAY - OVERLAP)]
    assert list(await any_world.held(account)) == ["r1", "r2"]
    any_world.clock.at += HOUR
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert reads(any_world)[2:] == [("1", MONDAY + 3 * HOUR - OVERLAP)]


async def test_rows_of_the_overlap_are_recorded_once(world: World) -> None:
    consumer_id, account = await fetched_once(world, "r1", "r2")
    for _ in range(3):
        assert await world.sync(consumer_id) == "SUCCESS"
    assert list(await world.held(account)) == ["r1", "r2"]
    assert (await world.names(account)).count("TransactionsFetched") == 1


async def test_only_an_account_that_is_new_is_read_in_full(any_world: World) -> None:
    consumer_id, _ = await fetched_once(any_world)
    any_world.bank.account(the_banks_connection(any_world), "2")
    any_world.bank.row("2", "s1", updated=MONDAY - 400 * DAY)
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert reads(any_world)[1:] == [("1", MONDAY - OVERLAP), ("2", WHOLE)]
    assert len(await any_world.accounts(consumer_id)) == 2


async def test_the_watermark_does_not_go_back_and_is_the_newest_of_all_accounts(world: World) -> None:
    consumer_id, connection_id, reference = await with_rows(world, "r1")
    world.bank.account(reference, "2")
    world.bank.row("2", "s1", updated=MONDAY + HOUR)
    await world.sync(consumer_id)
    stream = world.connection_stream(consumer_id, connection_id)
    assert (await world.state(stream)).watermark == MONDAY + HOUR
    await world.sync(consumer_id)
    assert (await world.state(stream)).watermark == MONDAY + HOUR


async def test_without_any_row_the_next_sync_reads_in_full_again(world: World) -> None:
    consumer_id, _, _ = await with_rows(world)
    assert await world.sync(consumer_id) == "SUCCESS"
    assert await world.sync(consumer_id) == "SUCCESS"
    assert reads(world)[-1] == ("1", WHOLE)


async def test_a_bank_without_accounts_is_a_success_without_accounts(world: World) -> None:
    consumer_id, _, _ = await world.connected()
    assert await world.sync(consumer_id) == "SUCCESS"
    assert await world.accounts(consumer_id) == {}


async def test_an_amended_a_removed_and_a_returned_row_are_facts(any_world: World) -> None:
    consumer_id, account = await fetched_once(any_world, "r1", "r2")
    ids = {row.reference: row.id for row in any_world.live()["transactions"]}
    any_world.bank.row("1", "r1", amount=-99_00)
    any_world.bank.row("1", "r2", deleted=True)
    await any_world.sync(consumer_id)
    assert {k: row.amount for k, row in (await any_world.held(account)).items()} == {"r1": -99_00}
    any_world.bank.row("1", "r2")
    await any_world.sync(consumer_id)
    assert set(await any_world.held(account)) == {"r1", "r2"}
    assert {row.reference: row.id for row in any_world.live()["transactions"]} == ids
    assert any_world.live() == any_world.rebuilt()


async def test_a_row_that_was_taken_back_before_it_was_seen_is_none(world: World) -> None:
    consumer_id, _, _ = await with_rows(world)
    world.bank.row("1", "r1", deleted=True)
    await world.sync(consumer_id)
    assert "TransactionsFetched" not in await world.names(await world.only_account(consumer_id))


async def test_a_row_that_was_touched_without_a_change_is_no_fact(world: World) -> None:
    consumer_id, account = await fetched_once(world)
    world.bank.row("1", "r1", fields={"last_update": "2026-03-03 10:00:00"})
    await world.sync(consumer_id)
    assert (await world.names(account)).count("TransactionsFetched") == 1


async def test_pending_then_booked_under_one_id_is_one_row(world: World) -> None:
    consumer_id, _, _ = await with_rows(world)
    world.bank.row("1", "r1", pending=True)
    await world.sync(consumer_id)
    world.bank.row("1", "r1", pending=False)
    await world.sync(consumer_id)
    live = world.live()
    assert len(live["transactions"]) == 1
    assert "pending_transactions" not in live


async def test_two_genuine_twins_on_one_day_stay_two(world: World) -> None:
    consumer_id, account = await fetched_once(world, "r1", "twin of r1")
    await world.sync(consumer_id)
    assert len(await world.held(account)) == 2
    assert len(world.live()["transactions"]) == 2


async def test_many_rows_are_split_into_facts_of_bounded_size(any_world: World) -> None:
    consumer_id, _, _ = await with_rows(any_world)
    for number in range(2_500):
        any_world.bank.row("1", f"r{number}", booked_on=20_000 - number % 700)
    assert await any_world.sync(consumer_id) == "SUCCESS"
    account = await any_world.only_account(consumer_id)
    sizes = [len(f.added) for f in await any_world.facts(account) if isinstance(f, TransactionsFetched)]
    assert sizes == [1_000, 1_000, 500]
    assert len(await any_world.held(account)) == 2_500
    assert any_world.live() == any_world.rebuilt()
    await any_world.sync(consumer_id)
    assert len(await any_world.held(account)) == 2_500


async def test_a_balance_is_recorded_when_it_is_new_and_not_when_it_is_older(world: World) -> None:
    consumer_id, account = await fetched_once(world, balance=100_00)
    reference = the_banks_connection(world)
    await world.sync(consumer_id)
    world.bank.account(reference, "1", balance=75_00, as_of=MONDAY - DAY)
    await world.sync(consumer_id)
    world.clock.at += DAY
    world.bank.account(reference, "1", balance=80_00)
    await world.sync(consumer_id)
    readings = [fact.balance for fact in await world.facts(account) if isinstance(fact, BalanceRefreshed)]
    assert readings == [100_00, 80_00]


@pytest.mark.parametrize(
    ("ahead", "counts"), [(AHEAD_MAX, True), (AHEAD_MAX + HOUR, False), (400 * DAY, False)]
)
async def test_a_balance_of_a_time_that_is_still_to_come_is_none(
    world: World, ahead: timedelta, counts: bool
) -> None:
    """It would stand above all that come until then."""
    consumer_id, account = await fetched_once(world, balance=100_00)
    reference = the_banks_connection(world)
    world.bank.account(reference, "1", balance=75_00, as_of=MONDAY + ahead)
    await world.sync(consumer_id)
    world.clock.at += DAY
    world.bank.account(reference, "1", balance=80_00)
    await world.sync(consumer_id)
    readings = [fact.balance for fact in await world.facts(account) if isinstance(fact, BalanceRefreshed)]
    assert readings == ([100_00, 75_00, 80_00] if counts else [100_00, 80_00])


async def test_a_sync_that_finds_nothing_new_leaves_nothing_but_its_own_facts(any_world: World) -> None:
    consumer_id, _ = await fetched_once(any_world)
    head = any_world.lasting.source.head()
    await any_world.sync(consumer_id)
    after = [recorded.name for recorded in any_world.everything()[head:]]
    assert after == ["SyncRequested.1", "SyncStarted.1", "SyncSucceeded.1"]


# Waiting for the bank's own fetching


async def test_a_bank_that_is_still_fetching_is_asked_until_it_has_finished(world: World) -> None:
    consumer_id, _, reference = await with_rows(world, "r1")
    world.bank.connections[reference].unsettled = 5
    assert await world.sync(consumer_id) == "SUCCESS"
    assert world.clock.slept == [1.0] * 5
    names = [name for name, *_ in world.bank.calls]
    assert names[-9:] == ["refresh", *["connection"] * 6, "accounts", "transactions"]


async def test_a_bank_that_does_not_finish_is_given_up(world: World) -> None:
    consumer_id, _, reference = await with_rows(world, "r1")
    world.bank.connections[reference].unsettled = 10_000
    assert await world.sync(consumer_id) == "FETCH_ERROR provider_still_fetching"
    assert sum(world.clock.slept) == SETTLE_TIMEOUT


@pytest.mark.parametrize(
    ("needs_person", "status", "connection"),
    [(True, "AUTH_ERROR", "AUTH_ERROR"), (False, "FETCH_ERROR", "CONNECTED")],
)
async def test_the_state_of_the_banks_connection_is_the_end_of_the_sync(
    any_world: World, needs_person: bool, status: str, connection: str
) -> None:
    consumer_id, connection_id, reference = await with_rows(any_world, "r1")
    any_world.bank.connections[reference].reason = "wrong_password"
    any_world.bank.connections[reference].needs_person = needs_person
    assert await any_world.sync(consumer_id) == f"{status} wrong_password"
    assert any_world.bank.asked("accounts") == []
    (row,) = any_world.live()["data_connections"]
    assert (row.id, row.status) == (connection_id, connection)
    assert {row.status for row in any_world.live()["data_syncs"]} == {status}


# What goes wrong at the provider


@pytest.mark.parametrize("method", ["refresh", "connection", "accounts", "transactions"])
@pytest.mark.parametrize(
    ("error", "ending"),
    [
        (AuthorisationNeeded("webauth_required"), "AUTH_ERROR webauth_required"),
        (ProviderRefused("credentials_refused"), "FETCH_ERROR credentials_refused"),
        (ProviderUnreachable("timeout", retry_after=3_600.0), "FETCH_ERROR timeout"),
        (UnexpectedAnswer("unexpected_shape"), "FETCH_ERROR unexpected_shape"),
        (RuntimeError("a defect"), "INTERNAL_ERROR internal_error"),
    ],
)
async def test_what_the_provider_did_not_do_is_the_reason(
    world: World, method: str, error: Exception, ending: str
) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    world.bank.fail(method, error)
    assert await world.sync(consumer_id) == ending
    assert await world.accounts(consumer_id) == {}
    if not ending.startswith("AUTH_ERROR"):
        assert await world.sync(consumer_id) == "SUCCESS"


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("refresh", "AUTH_ERROR"),
        ("connection", "AUTH_ERROR"),
        ("accounts", "FETCH_ERROR"),
        ("transactions", "FETCH_ERROR"),
    ],
)
async def test_a_connection_that_the_provider_does_not_know_is_for_the_person_to_make_anew(
    world: World, method: str, status: str
) -> None:
    consumer_id, connection_id, _ = await with_rows(world, "r1")
    world.bank.fail(method, ProviderRefused("not_found"))
    assert await world.sync(consumer_id) == f"{status} not_found"
    (row,) = world.live()["data_connections"]
    assert row.status == ("AUTH_ERROR" if status == "AUTH_ERROR" else "CONNECTED")


# A token that is not valid any more


@pytest.mark.parametrize("method", ["refresh", "connection", "accounts", "transactions"])
async def test_a_token_that_ended_is_renewed_and_the_run_goes_on(any_world: World, method: str) -> None:
    consumer_id, _, _ = await with_rows(any_world, "r1")
    any_world.bank.fail(method, AuthorisationNeeded("token_refused"))
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert len(any_world.bank.asked("renew_user")) == 1
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert len(any_world.bank.asked("renew_user")) == 1
    assert set(await any_world.held(await any_world.only_account(consumer_id))) == {"r1"}


async def test_a_new_token_that_is_refused_too_is_for_the_person(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    world.bank.fail("accounts", AuthorisationNeeded("token_refused"), times=2)
    assert await world.sync(consumer_id) == "AUTH_ERROR token_refused"
    assert len(world.bank.asked("renew_user")) == 1
    assert (await world.state(the_connections_stream(world))).status == "AUTH_ERROR"


async def test_a_token_of_a_user_who_is_gone_is_for_the_person(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    world.bank.users.clear()
    world.bank.fail("connection", AuthorisationNeeded("token_refused"))
    assert await world.sync(consumer_id) == "AUTH_ERROR token_refused"
    assert len(world.bank.asked("create_user")) == 1, "nobody is made anew without the person"


async def test_a_token_that_cannot_be_renewed_now_is_no_word_about_the_person(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    world.bank.fail("accounts", AuthorisationNeeded("token_refused"))
    world.bank.fail("renew_user", ProviderUnreachable("timeout"))
    assert await world.sync(consumer_id) == "FETCH_ERROR timeout"
    assert (await world.state(the_connections_stream(world))).status == "CONNECTED"
    assert await world.sync(consumer_id) == "SUCCESS"


async def test_a_failure_midway_writes_no_row_and_keeps_the_watermark(any_world: World) -> None:
    consumer_id, account = await fetched_once(any_world)
    (row,) = any_world.live()["data_connections"]
    before = await any_world.state(row.stream)
    any_world.clock.at += DAY
    for number in range(250):
        any_world.bank.row("1", f"n{number}")
    any_world.bank.fail("transactions", ProviderUnreachable("timeout"), after_pages=1)
    assert await any_world.sync(consumer_id) == "FETCH_ERROR timeout"
    after = await any_world.state(row.stream)
    assert (after.watermark, after.accounts) == (before.watermark, before.accounts)
    assert list(await any_world.held(account)) == ["r1"]
    assert await any_world.sync(consumer_id) == "SUCCESS"
    assert len(await any_world.held(account)) == 251


async def test_a_sync_without_credentials_or_without_a_user_is_refused_by_name(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    kept = dict(world.secrets.held)
    for name in ("credentials", "user"):
        for reference in [r for r, held in kept.items() if held[1] == f"{BI}/{name}"]:
            world.secrets.held.pop(reference)
        ending = await world.sync(consumer_id)
        world.secrets.held.update(kept)
        assert (
            ending
            == {
                "credentials": "FETCH_ERROR credentials_missing",
                "user": "AUTH_ERROR not_authorised",
            }[name]
        )


async def test_a_provider_that_was_disabled_is_not_asked(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    stream, sync_id = await world.request_sync(consumer_id)
    await providers.set_enabled(world.services, world.asks(), BI, False)
    await run_sync(world.services, stream, sync_id)
    assert await world.ending(stream, sync_id) == "FETCH_ERROR provider_disabled"
    assert world.bank.asked("refresh") == []


async def test_a_failure_is_told_without_what_it_says(world: World, caplog: pytest.LogCaptureFixture) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    world.bank.fail("accounts", RuntimeError("Ada's IBAN"))
    with caplog.at_level(logging.INFO, logger="passbook"):
        await world.sync(consumer_id)
    (record,) = [record for record in caplog.records if record.name == "passbook.sync"]
    assert "Ada" not in record.getMessage()
    assert record.error == "RuntimeError"


# Crashes, and workers in each other's way


async def test_a_sync_that_a_crash_cut_short_is_taken_up_by_the_next_start(any_world: World) -> None:
    consumer_id, _, _ = await with_rows(any_world, "r1")
    stream, sync_id = await any_world.request_sync(consumer_id)
    reached, never = asyncio.Event(), asyncio.Event()

    async def crash() -> None:
        reached.set()
        await never.wait()

    any_world.bank.during("transactions", crash)
    synchroniser = Synchroniser(any_world.services)
    await synchroniser.start()
    await reached.wait()
    await synchroniser.stop()
    assert await any_world.ending(stream, sync_id) == "pending"

    after = any_world.restarted()
    synchroniser = Synchroniser(after.services)
    await synchroniser.start()
    for _ in range(3):
        synchroniser.take(stream, sync_id)
    while synchroniser._tasks:
        await asyncio.sleep(0.001)
    assert await after.ending(stream, sync_id) == "SUCCESS"
    attempts = [fact.attempt for fact in await after.facts(stream) if isinstance(fact, SyncStarted)]
    assert attempts == [1, 2]
    assert len(await after.held(await after.only_account(consumer_id))) == 1


async def test_a_sync_that_was_requested_is_run_without_a_start(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    synchroniser = Synchroniser(world.services)
    stream, sync_id = await world.request_sync(consumer_id)
    await settled(synchroniser)
    assert await world.ending(stream, sync_id) == "SUCCESS"


async def test_a_sync_that_processes_died_of_is_not_tried_for_ever(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    stream, sync_id = await world.request_sync(consumer_id)

    async def dies() -> None:
        raise asyncio.CancelledError

    for _ in range(ATTEMPTS_MAX):
        world.bank.during("accounts", dies)
        with pytest.raises(asyncio.CancelledError):
            await run_sync(world.services, stream, sync_id)
    assert await world.ending(stream, sync_id) == "pending"
    await run_sync(world.services, stream, sync_id)
    assert await world.ending(stream, sync_id) == "INTERNAL_ERROR too_many_attempts"


async def test_a_sync_that_has_ended_is_left_as_it_is(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    stream, sync_id = await world.request_sync(consumer_id)
    await run_sync(world.services, stream, sync_id)
    head, calls = world.lasting.source.head(), len(world.bank.calls)
    await run_sync(world.services, stream, sync_id)
    assert (world.lasting.source.head(), len(world.bank.calls)) == (head, calls)


async def test_of_two_workers_on_one_sync_one_writes_its_rows(any_world: World) -> None:
    consumer_id, _, _ = await with_rows(any_world, *(f"r{number}" for number in range(150)))
    stream, sync_id = await any_world.request_sync(consumer_id)
    other = any_world.restarted()
    await asyncio.gather(
        run_sync(any_world.services, stream, sync_id), run_sync(other.services, stream, sync_id)
    )
    assert await any_world.ending(stream, sync_id) == "SUCCESS"
    assert len(await any_world.held(await any_world.only_account(consumer_id))) == 150
    assert (await any_world.names(stream)).count("SyncSucceeded") == 1


async def test_a_worker_that_another_overtook_ends_nothing(any_world: World) -> None:
    consumer_id, _, _ = await with_rows(any_world, "r1")
    stream, sync_id = await any_world.request_sync(consumer_id)
    other = any_world.restarted()

    async def overtaken() -> None:
        await run_sync(other.services, stream, sync_id)

    any_world.bank.during("accounts", overtaken)
    await run_sync(any_world.services, stream, sync_id)
    assert (await any_world.names(stream)).count("SyncSucceeded") == 1
    assert len(await any_world.held(await any_world.only_account(consumer_id))) == 1


async def test_two_workers_that_begin_at_once_are_two_attempts(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    stream, sync_id = await world.request_sync(consumer_id)
    begun = []

    async def another_begins() -> None:
        begun.append(await start(world.restarted().services, stream, sync_id))

    world.log.after(SyncStarted, another_begins)
    begun.append(await start(world.services, stream, sync_id))
    attempts = [run.attempt for run in begun if run is not None]
    assert len(set(attempts)) == len(attempts)


async def test_the_failure_of_a_worker_that_another_overtook_does_not_end_the_sync(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    stream, sync_id = await world.request_sync(consumer_id)
    second_reads = asyncio.Event()

    async def comes_to_nothing() -> None:
        await second_reads.wait()
        raise ProviderUnreachable("timeout")

    world.bank.during("accounts", comes_to_nothing)
    first = asyncio.create_task(run_sync(world.services, stream, sync_id))
    while not world.bank.asked("accounts"):
        await asyncio.sleep(0)

    async def while_it_reads() -> None:
        second_reads.set()
        await first

    world.bank.during("transactions", while_it_reads)
    await run_sync(world.restarted().services, stream, sync_id)
    assert await world.ending(stream, sync_id) == "SUCCESS"


@pytest.mark.parametrize("moment", ["refresh", "connection", "accounts", "transactions"])
@pytest.mark.parametrize("what", ["deleted", "erased", "disconnected"])
async def test_what_is_deleted_during_the_fetch_gets_no_fact_any_more(
    any_world: World, moment: str, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    consumer_id, connection_id, _ = await with_rows(any_world, "r1")
    stream, sync_id = await any_world.request_sync(consumer_id)
    head = 0

    async def gone() -> None:
        nonlocal head
        services, asks = any_world.services, any_world.asks()
        match what:
            case "deleted":
                await data_connections.delete(services, asks, consumer_id, connection_id)
            case "erased":
                await erase_consumer(services, asks, consumer_id)
            case "disconnected":
                await data_connections.change(
                    services, asks, consumer_id, connection_id, status="DISCONNECTED"
                )
        head = any_world.lasting.source.head()

    any_world.bank.during(moment, gone)
    with caplog.at_level(logging.WARNING, logger="passbook"):
        await run_sync(any_world.services, stream, sync_id)
    assert any_world.lasting.source.head() == head
    assert not caplog.records
    assert await any_world.accounts(consumer_id) == {}
    assert any_world.live() == any_world.rebuilt()


@pytest.mark.parametrize("what", ["deleted", "erased"])
async def test_what_is_deleted_just_before_the_rows_are_written_gets_none(
    any_world: World, what: str
) -> None:
    consumer_id, connection_id, _ = await with_rows(any_world, "r1")
    stream, sync_id = await any_world.request_sync(consumer_id)

    async def gone() -> None:
        if what == "deleted":
            await data_connections.delete(any_world.services, any_world.asks(), consumer_id, connection_id)
        else:
            await erase_consumer(any_world.services, any_world.asks(), consumer_id)

    any_world.log.before(SyncSucceeded, gone)
    await run_sync(any_world.services, stream, sync_id)
    assert await any_world.accounts(consumer_id) == {}
    assert any_world.live() == any_world.rebuilt()


@pytest.mark.parametrize(
    "fact",
    [
        SyncStarted,
        SyncFailed,
    ],
)
async def test_what_is_erased_just_before_the_sync_says_something_ends_it_quietly(
    world: World, fact: type
) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    stream, sync_id = await world.request_sync(consumer_id)

    async def gone() -> None:
        await erase_consumer(world.services, world.asks(), consumer_id)

    world.log.before(fact, gone)
    world.bank.fail("accounts", ProviderUnreachable("timeout"))
    await run_sync(world.services, stream, sync_id)


async def test_a_conflict_decides_again_without_reading_the_bank_again(any_world: World) -> None:
    consumer_id, connection_id, _ = await with_rows(any_world, "r1")
    stream, sync_id = await any_world.request_sync(consumer_id)

    async def patched() -> None:
        await data_connections.change(
            any_world.services, any_world.asks(), consumer_id, connection_id, data_types=["CASHFLOW"]
        )

    any_world.log.before(SyncSucceeded, patched, conflict)
    await run_sync(any_world.services, stream, sync_id)
    assert await any_world.ending(stream, sync_id) == "SUCCESS"
    assert (await any_world.state(stream)).data_types == ("CASHFLOW",)
    for method in ("refresh", "accounts", "transactions"):
        assert len(any_world.bank.asked(method)) == 1


async def test_rows_that_another_sync_recorded_meanwhile_are_not_added_again(world: World) -> None:
    consumer_id, account = await fetched_once(world)
    world.bank.row("1", "r2")
    stream, sync_id = await world.request_sync(consumer_id, "BANK_ACCOUNT")
    other = world.restarted()

    async def meanwhile() -> None:
        await run_sync(other.services, stream, sync_id)

    world.log.before(SyncSucceeded, meanwhile)
    await run_sync(world.services, stream, sync_id)
    assert list(await world.held(account)) == ["r1", "r2"]


# When the log or the read models are away


async def test_a_sync_waits_for_read_models_that_are_behind(any_world: World) -> None:
    consumer_id, account = await fetched_once(any_world)
    any_world.bank.row("1", "r1", amount=-1_00)
    stream, sync_id = await any_world.request_sync(consumer_id)
    any_world.read_models.behind_until = any_world.clock.now() + timedelta(seconds=40)
    await run_sync(any_world.services, stream, sync_id)
    assert await any_world.ending(stream, sync_id) == "SUCCESS"
    assert (await any_world.held(account))["r1"].amount == -1_00


async def test_read_models_that_held_the_accounts_last_fact_already_are_not_waited_for(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    stream, sync_id = await world.request_sync(consumer_id)
    world.read_models.behind_until = world.clock.now() + DAY
    await run_sync(world.services, stream, sync_id)
    assert await world.ending(stream, sync_id) == "SUCCESS"


async def behind_their_accounts(world: World, wait: timedelta) -> tuple[str, str]:
    """Read models that did not see the account's last facts, and will not for a while: a sync to run."""
    consumer_id, _, _ = await with_rows(world, "r1")
    world.read_models.behind_until = world.clock.now() + wait
    assert await world.sync(consumer_id) == "SUCCESS"
    return await world.request_sync(consumer_id)


async def test_read_models_that_are_too_far_behind_leave_the_sync_pending(world: World) -> None:
    stream, sync_id = await behind_their_accounts(world, HOUR)
    synchroniser = Synchroniser(world.services)
    synchroniser.take(stream, sync_id)
    while world.clock.now() < MONDAY + timedelta(seconds=90):
        await asyncio.sleep(0)
    assert await world.ending(stream, sync_id) == "pending"
    await synchroniser.stop()


async def test_a_sync_outlasts_read_models_that_are_behind_for_long(world: World) -> None:
    stream, sync_id = await behind_their_accounts(world, HOUR)
    synchroniser = Synchroniser(world.services)
    synchroniser.take(stream, sync_id)
    await settled(synchroniser)
    assert await world.ending(stream, sync_id) == "SUCCESS"


@pytest.mark.parametrize("fact", [SyncStarted, SyncSucceeded])
@pytest.mark.parametrize("written", [True, False])
async def test_a_sync_outlasts_a_log_that_cannot_be_written(
    any_world: World, fact: type, written: bool
) -> None:
    consumer_id, _, _ = await with_rows(any_world, "r1")
    stream, sync_id = await any_world.request_sync(consumer_id)
    if written:
        any_world.log.after(fact, unavailable)
    else:
        any_world.log.before(fact, unavailable, unavailable)
    synchroniser = Synchroniser(any_world.services)
    synchroniser.take(stream, sync_id)
    while synchroniser._tasks:
        await asyncio.sleep(0.001)
    assert await any_world.ending(stream, sync_id) == "SUCCESS"
    assert len(await any_world.held(await any_world.only_account(consumer_id))) == 1


@pytest.mark.parametrize(
    "moment",
    [
        "to start",
        pytest.param("to see how it started"),
        pytest.param("the connection"),
        pytest.param("the provider"),
        "what to record",
    ],
)
async def test_a_sync_outlasts_a_log_that_cannot_be_read(world: World, moment: str) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    stream, sync_id = await world.request_sync(consumer_id)

    async def fails() -> None:
        world.log.fail_read("/")

    match moment:
        case "to start":
            world.log.fail_read("data_connection")
        case "to see how it started":
            world.log.after(SyncStarted, fails)
        case "the provider":
            world.log.fail_read("provider")
        case "the connection":

            async def fails_later() -> None:
                world.log.fail_read("data_connection", skip=1)

            world.log.after(SyncStarted, fails_later)
        case "what to record":
            world.bank.during("transactions", fails)
    synchroniser = Synchroniser(world.services)
    synchroniser.take(stream, sync_id)
    await settled(synchroniser)
    assert await world.ending(stream, sync_id) == "SUCCESS"


async def test_rows_are_not_added_again_while_the_consumers_read_models_are_stalled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer_id, account = await fetched_once(world)
    project = models.project

    def poisoned(recorded: Any, rows: Any) -> None:
        if isinstance(recorded.fact, TransactionsFetched):
            raise ValueError
        project(recorded, rows)

    monkeypatch.setattr(models, "project", poisoned)
    world.bank.row("1", "r2")
    assert await world.sync(consumer_id) == "SUCCESS"
    stream, sync_id = await world.request_sync(consumer_id)
    with suppress(Unavailable):
        await run_sync(world.services, stream, sync_id)
    assert list(await world.held(account)) == ["r1", "r2"]


async def test_no_more_syncs_run_at_once_than_there_are_places(world: World) -> None:
    await world.provider()
    running = most = 0

    async def count_running() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1

    original = world.bank.accounts

    async def accounts(*said: Any) -> Any:
        await count_running()
        return await original(*said)

    world.bank.accounts = accounts  # type: ignore[method-assign]
    synchroniser = Synchroniser(world.services, concurrency=2)
    for _ in range(6):
        consumer_id = await world.consumer()
        reference = await world.authorise(consumer_id, await world.connection(consumer_id))
        world.bank.account(reference, consumer_id[:8], iban=None)
        await world.request_sync(consumer_id)
    await settled(synchroniser)
    assert most == 2
    assert {row.status for row in world.live()["data_syncs"]} == {"SUCCESS"}


async def test_a_stopped_synchroniser_leaves_nothing_running(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    stream, sync_id = await world.request_sync(consumer_id)
    never = asyncio.Event()
    world.bank.during("refresh", never.wait)
    synchroniser = Synchroniser(world.services)
    synchroniser.take(stream, sync_id)
    await asyncio.sleep(0)
    await synchroniser.stop()
    await asyncio.sleep(0)
    assert synchroniser._tasks == {}
    assert await world.ending(stream, sync_id) == "pending"


async def test_an_unknown_stream_is_no_sync(world: World) -> None:
    stream = world.connection_stream(world.services.ids.uuid(), world.services.ids.uuid())
    await run_sync(world.services, stream, world.services.ids.uuid())
    assert world.everything() == []
