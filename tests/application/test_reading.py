"""What the bank's rows are asked for and when, and what must not be believed of an answer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from application import data_connections
from application.authorisations import complete
from application.fetching import AHEAD_MAX, OVERLAP, WINDOW_DAYS
from application.ports import AuthorisationNeeded, ObservedPage, ProviderUnreachable, UnexpectedAnswer
from domain import streams
from domain.data_connection import CONNECTED, RECONCILE_AFTER, RECONCILE_WHOLE_AFTER, SyncFailed
from domain.transactions import Transaction
from tests.application.stories import (
    TODAY,
    WHOLE,
    ends,
    fetched_once,
    reads,
    the_banks_connection,
    the_connections_stream,
    with_rows,
)
from tests.application.world import DAY, HOUR, MONDAY, World

#: What an increment asks for as long as the only row there is was touched on Monday.
INCREMENT = ("1", MONDAY - OVERLAP)


def window(day: int) -> tuple[str, int]:
    """What is asked for when the window is read on a day, counted from Monday."""
    return ("1", TODAY + day - WINDOW_DAYS)


async def read_next(world: World, consumer_id: str, *, after: timedelta = timedelta()) -> list[Any]:
    """What another sync asks the bank for."""
    world.clock.at += after
    before = len(reads(world))
    assert await world.sync(consumer_id) == "SUCCESS"
    return reads(world)[before:]


# Increments, windows, and the whole


async def test_the_first_run_reads_the_whole_and_nothing_twice(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    assert reads(world) == [("1", WHOLE)]
    (end,) = ends(world, the_connections_stream(world))
    assert end.reconciled_at == end.reconciled_whole_at == MONDAY
    assert await read_next(world, consumer_id) == [INCREMENT]


async def test_the_window_is_read_once_a_day(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    just = timedelta(seconds=1)
    assert await read_next(world, consumer_id, after=RECONCILE_AFTER - just) == [INCREMENT]
    assert await read_next(world, consumer_id, after=just) == [INCREMENT, window(1)]
    assert await read_next(world, consumer_id, after=RECONCILE_AFTER - just) == [INCREMENT]
    assert await read_next(world, consumer_id, after=just) == [INCREMENT, window(2)]


async def test_the_whole_is_read_every_month(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    for day in range(1, RECONCILE_WHOLE_AFTER.days):
        assert await read_next(world, consumer_id, after=DAY) == [INCREMENT, window(day)]
    assert await read_next(world, consumer_id, after=DAY) == [("1", WHOLE)]
    assert await read_next(world, consumer_id, after=HOUR) == [INCREMENT]
    assert await read_next(world, consumer_id, after=DAY) == [
        INCREMENT,
        window(RECONCILE_WHOLE_AFTER.days + 1),
    ]


async def test_refreshes_and_syncs_share_what_was_read_when(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    stream = the_connections_stream(world)
    world.clock.at += DAY
    assert await world.refresh(stream, "schedule")
    assert reads(world)[1:] == [INCREMENT, window(1)]
    assert await read_next(world, consumer_id, after=HOUR) == [INCREMENT]
    assert await world.refresh(stream, "webhook")
    assert reads(world)[-1] == INCREMENT


async def test_what_was_edited_without_a_sign_is_found_by_the_window(world: World) -> None:
    consumer_id, account = await fetched_once(world)
    world.bank.row("1", "r1", booked_on=TODAY, updated=MONDAY)
    await world.sync(consumer_id)
    world.bank.row("1", "r1", booked_on=TODAY, amount=-1_00, updated=MONDAY - 3 * DAY)
    await world.sync(consumer_id)
    assert (await world.held(account))["r1"].amount == -42_35
    world.clock.at += DAY
    await world.sync(consumer_id)
    assert (await world.held(account))["r1"].amount == -1_00


async def test_what_was_edited_long_ago_without_a_sign_is_found_by_the_month(world: World) -> None:
    consumer_id, account = await fetched_once(world, "r1", "r2")
    world.bank.row("1", "r1", amount=-1_00, updated=MONDAY - 3 * DAY)
    for _ in range(RECONCILE_WHOLE_AFTER.days - 1):
        world.clock.at += DAY
        await world.sync(consumer_id)
    assert (await world.held(account))["r1"].amount == -42_35
    world.clock.at += DAY
    await world.sync(consumer_id)
    assert (await world.held(account))["r1"].amount == -1_00


async def test_after_a_reconnect_the_window_is_read(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    await reconnect(world, consumer_id, the_banks_connection(world))
    assert await read_next(world, consumer_id) == [INCREMENT, window(0)]
    assert await read_next(world, consumer_id) == [INCREMENT]


async def reconnect(world: World, consumer_id: str, reference: str) -> None:
    connection_id = streams.parse(the_connections_stream(world)).id
    args = (world.services, world.asks(), consumer_id, connection_id)
    await data_connections.change(*args, status="AUTH_REQUIRED")
    state = await world.opened(consumer_id, connection_id)
    await complete(world.services, {"state": state, "connection_id": reference})


@pytest.mark.parametrize("method", ["refresh", "connection", "accounts", "transactions"])
async def test_after_a_failure_the_window_is_read(world: World, method: str) -> None:
    consumer_id, _ = await fetched_once(world)
    world.bank.fail(method, ProviderUnreachable("timeout", retry_after=3_600.0))
    assert await world.sync(consumer_id) == "FETCH_ERROR timeout"
    assert await read_next(world, consumer_id) == [INCREMENT, window(0)]
    assert await read_next(world, consumer_id) == [INCREMENT]


@pytest.mark.parametrize("method", ["connection", "accounts", "transactions"])
async def test_after_an_answer_that_could_not_be_read_the_whole_is_read(world: World, method: str) -> None:
    consumer_id, _ = await fetched_once(world)
    world.bank.fail(method, UnexpectedAnswer("unexpected_shape"))
    assert await world.sync(consumer_id) == "FETCH_ERROR unexpected_shape"
    assert await read_next(world, consumer_id) == [("1", WHOLE)]
    assert await read_next(world, consumer_id) == [INCREMENT]


async def test_what_is_due_after_a_failure_stays_due_until_a_run_succeeds(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    world.bank.fail("accounts", UnexpectedAnswer("unexpected_shape"))
    await world.sync(consumer_id)
    world.bank.fail("transactions", ProviderUnreachable("timeout"), times=2)
    for _ in range(2):
        assert await world.sync(consumer_id) == "FETCH_ERROR timeout"
    assert await read_next(world.restarted(), consumer_id) == [("1", WHOLE)]


async def test_a_connection_that_was_given_up_and_made_again_reads_the_window(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    connection_id = streams.parse(the_connections_stream(world)).id
    args = (world.services, world.asks(), consumer_id, connection_id)
    await data_connections.change(*args, status="DISCONNECTED")
    await reconnect(world, consumer_id, the_banks_connection(world))
    assert await read_next(world, consumer_id) == [INCREMENT, window(0)]


async def test_an_account_that_is_enabled_is_read_whole_and_the_others_are_not(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    reference = the_banks_connection(world)
    world.bank.account(reference, "2", disabled=True)
    world.bank.row("2", "s1", booked_on=TODAY - 4_000, updated=MONDAY - 4_000 * DAY)
    assert await read_next(world, consumer_id) == [INCREMENT]
    world.bank.change(reference, "2", disabled=False)
    assert await read_next(world, consumer_id) == [INCREMENT, ("2", WHOLE)]
    assert await read_next(world, consumer_id) == [("1 2", MONDAY - OVERLAP)]
    assert await read_next(world, consumer_id, after=DAY) == [
        ("1 2", MONDAY - OVERLAP),
        ("1 2", TODAY + 1 - WINDOW_DAYS),
    ]


async def test_an_account_that_is_new_on_the_day_of_the_window_is_read_whole_only(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    world.bank.account(the_banks_connection(world), "2")
    assert await read_next(world, consumer_id, after=DAY) == [INCREMENT, window(1), ("2", WHOLE)]


async def test_a_run_that_failed_over_a_new_account_reads_it_whole_again(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    world.bank.account(the_banks_connection(world), "2")
    world.bank.fail("transactions", ProviderUnreachable("timeout"))
    assert await world.sync(consumer_id) == "FETCH_ERROR timeout"
    assert await read_next(world, consumer_id) == [INCREMENT, window(0), ("2", WHOLE)]


@pytest.mark.parametrize("jump", [-400 * DAY, 400 * DAY])
async def test_a_clock_that_jumps_puts_off_no_window(world: World, jump: timedelta) -> None:
    consumer_id, _ = await fetched_once(world)
    world.clock.at += jump
    assert await read_next(world, consumer_id) == [("1", WHOLE)]
    assert await read_next(world, consumer_id) == [INCREMENT]


async def test_a_clock_that_goes_back_a_little_reads_no_window_for_it(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    world.clock.at -= 5 * HOUR
    assert await read_next(world, consumer_id) == [INCREMENT]


# What must not be believed


def listing(*pages: Sequence[tuple[Transaction, datetime]]) -> Any:
    """A bank that lists these rows of account 1, page by page, whatever it is asked for."""

    async def transactions(*_: Any, accounts: Any, **__: Any) -> Any:
        for page in pages:
            yield ObservedPage(rows=[("1", replace(row, touched_at=at)) for row, at in page])

    return transactions


def row(amount: int = -42_35, **more: Any) -> Transaction:
    return Transaction(reference="r1", booked_on=TODAY, amount=amount, **more)


@pytest.mark.parametrize(
    "other",
    [row(-1_00), row(deleted=True), row(pending=True), row(fields={"category": 7}), row(wording="ANOTHER")],
)
async def test_a_row_that_says_two_things_of_one_moment_fails_the_run_and_nothing_is_recorded(
    world: World, other: Transaction
) -> None:
    consumer_id, account = await fetched_once(world, "r0")
    head = world.lasting.source.head()
    world.bank.transactions = listing([(row(), MONDAY)], [(other, MONDAY)])  # type: ignore[method-assign]
    assert await world.sync(consumer_id) == "FETCH_ERROR conflicting_rows"
    del world.bank.transactions
    written = [recorded.name for recorded in world.everything()[head:]]
    assert written == ["SyncRequested.1", "SyncStarted.1", "SyncFailed.1"]
    assert set(await world.held(account)) == {"r0"}
    assert await read_next(world, consumer_id) == [("1", WHOLE)]


async def test_a_row_that_says_the_same_thing_twice_is_one(world: World) -> None:
    consumer_id, account = await fetched_once(world, "r0")
    again = row(fields={"last_update": "2026-03-02 10:00:00"})
    world.bank.transactions = listing([(row(), MONDAY)], [(again, MONDAY), (row(), MONDAY)])  # type: ignore[method-assign]
    assert await world.sync(consumer_id) == "SUCCESS"
    assert set(await world.held(account)) == {"r0", "r1"}


@pytest.mark.parametrize("order", [1, -1])
async def test_of_a_row_that_was_amended_while_it_was_read_the_newer_counts(world: World, order: int) -> None:
    consumer_id, account = await fetched_once(world, "r0")
    told = [[(row(-1), MONDAY)], [(row(-2), MONDAY + HOUR)], [(row(-1), MONDAY)]][::order]
    world.bank.transactions = listing(*told)  # type: ignore[method-assign]
    assert await world.sync(consumer_id) == "SUCCESS"
    assert (await world.held(account))["r1"].amount == -2


async def test_a_row_that_is_amended_between_increment_and_window_is_the_newer(world: World) -> None:
    consumer_id, account = await fetched_once(world)
    world.clock.at += DAY
    world.bank.row("1", "r2", booked_on=TODAY, amount=-1)
    original = world.bank.transactions

    async def transactions(*said: Any, **more: Any) -> Any:
        if more.get("booked_since") is not None:
            world.bank.row(
                "1", "r2", booked_on=TODAY, amount=-2, updated=world.clock.now() + timedelta(seconds=1)
            )
        async for page in original(*said, **more):
            yield page

    world.bank.transactions = transactions  # type: ignore[method-assign]
    assert await world.sync(consumer_id) == "SUCCESS"
    assert (await world.held(account))["r2"].amount == -2


# The watermark


async def watermark(world: World) -> datetime | None:
    return (await world.state(the_connections_stream(world))).watermark


@pytest.mark.parametrize(
    ("ahead", "counts"),
    [(AHEAD_MAX, True), (AHEAD_MAX + timedelta(seconds=1), False), (400 * DAY, False), (-HOUR, True)],
)
async def test_a_row_from_too_far_ahead_says_nothing_of_how_far_was_read(
    world: World, ahead: timedelta, counts: bool
) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    world.bank.row("1", "r1", updated=MONDAY - 2 * DAY)
    world.bank.row("1", "ahead", updated=MONDAY + ahead)
    assert await world.sync(consumer_id) == "SUCCESS"
    assert await watermark(world) == (MONDAY + ahead if counts else MONDAY - 2 * DAY)
    assert len(await world.held(await world.only_account(consumer_id))) == 2


async def test_what_comes_after_a_row_from_far_ahead_is_not_missed(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    world.bank.row("1", "ahead", updated=MONDAY + 400 * DAY)
    await world.sync(consumer_id)
    account = await world.only_account(consumer_id)
    for number in range(3):
        world.clock.at += 2 * HOUR
        world.bank.row("1", f"n{number}")
        assert await world.sync(consumer_id) == "SUCCESS"
        assert f"n{number}" in await world.held(account)


async def test_a_row_from_ahead_counts_once_its_time_has_come(world: World) -> None:
    consumer_id, _, _ = await with_rows(world, "r1")
    world.bank.row("1", "ahead", updated=MONDAY + 2 * DAY)
    await world.sync(consumer_id)
    assert await watermark(world) == MONDAY
    world.clock.at += 2 * DAY
    await world.sync(consumer_id)
    assert await watermark(world) == MONDAY + 2 * DAY


async def test_the_watermark_of_a_window_counts_and_never_goes_back(world: World) -> None:
    consumer_id, _ = await fetched_once(world)
    world.bank.row("1", "r1", updated=MONDAY - 3 * DAY)
    world.clock.at += DAY
    await world.sync(consumer_id)
    assert await watermark(world) == MONDAY
    world.bank.row("1", "r2", booked_on=TODAY)
    await world.sync(consumer_id)
    assert await watermark(world) == MONDAY + DAY


@pytest.mark.parametrize(
    "error", [ProviderUnreachable("timeout"), UnexpectedAnswer("list_moved"), RuntimeError()]
)
async def test_a_run_that_fails_midway_moves_no_watermark_and_marks_nothing_as_read(
    world: World, error: Exception
) -> None:
    consumer_id, account = await fetched_once(world)
    world.clock.at += DAY
    for number in range(250):
        world.bank.row("1", f"n{number}", booked_on=TODAY)
    world.bank.fail("transactions", error, after_pages=1)
    assert not (await world.sync(consumer_id)).startswith("SUCCESS")
    assert await watermark(world) == MONDAY
    assert set(await world.held(account)) == {"r1"}
    failed = ends(world, the_connections_stream(world))[-1]
    assert isinstance(failed, SyncFailed) and failed.unreadable is isinstance(error, UnexpectedAnswer)
    assert await world.sync(consumer_id) == "SUCCESS"
    assert len(await world.held(account)) == 251


async def test_no_watermark_is_ahead_of_the_rows_it_was_taken_from(world: World) -> None:
    """The bank goes on while it is read: what came after a list was read is found by the overlap."""
    consumer_id, account = await fetched_once(world)
    world.bank.account(the_banks_connection(world), "2")
    original = world.bank.transactions

    async def transactions(*said: Any, accounts: Any, **more: Any) -> Any:
        if accounts[0].reference == "2":
            # The list of account 1 was read already.
            world.bank.row("1", "late", updated=world.clock.now())
            world.clock.at += timedelta(minutes=5)
            world.bank.row("2", "s1", updated=world.clock.now())
        async for page in original(*said, accounts=accounts, **more):
            yield page

    world.bank.transactions = transactions  # type: ignore[method-assign]
    await world.sync(consumer_id)
    assert "late" not in await world.held(account)
    del world.bank.transactions
    await world.sync(consumer_id)
    assert "late" in await world.held(account)


# A reconnect meanwhile


@pytest.mark.parametrize("origin", ["client", "schedule"])
async def test_a_run_that_began_before_a_reconnect_does_not_count_as_one_after_it(
    world: World, origin: str
) -> None:
    consumer_id, _ = await fetched_once(world)
    world.clock.at += DAY

    calls = 0

    async def meanwhile() -> None:
        nonlocal calls
        await reconnect(world, consumer_id, the_banks_connection(world))
        calls = len(world.bank.calls)

    world.bank.during("transactions", meanwhile)
    if origin == "client":
        await world.sync(consumer_id)
    else:
        await world.refresh(the_connections_stream(world), origin)
    await world.sync(consumer_id)
    after = world.bank.calls[calls:]
    begun_after = after[[name for name, *_ in after].index("accounts") :]
    assert ("transactions", ["1"], None, window(1)[1]) in begun_after


@pytest.mark.parametrize("origin", ["client", "schedule"])
async def test_what_a_run_found_wrong_before_a_reconnect_is_not_wrong_after_it(
    world: World, origin: str
) -> None:
    consumer_id, _ = await fetched_once(world)

    async def meanwhile() -> None:
        await reconnect(world, consumer_id, the_banks_connection(world))
        raise AuthorisationNeeded("webauth_required")

    world.bank.during("accounts", meanwhile)
    if origin == "client":
        await world.sync(consumer_id)
    else:
        await world.refresh(the_connections_stream(world), origin)
    assert (await world.state(the_connections_stream(world))).status == CONNECTED


async def test_a_sync_whose_failure_counts_no_more_is_run_again(world: World) -> None:
    consumer_id, _ = await fetched_once(world)

    async def meanwhile() -> None:
        await reconnect(world, consumer_id, the_banks_connection(world))
        raise AuthorisationNeeded("webauth_required")

    world.bank.during("accounts", meanwhile)
    assert await world.sync(consumer_id) == "SUCCESS"
    assert await world.read_models.pending_syncs() == []


@pytest.mark.parametrize("origin", ["client", "schedule"])
async def test_what_was_read_of_the_bank_before_is_not_read_of_the_one_after(
    world: World, origin: str
) -> None:
    consumer_id, _ = await fetched_once(world)

    async def meanwhile() -> None:
        """The person adds the bank anew: another connection of the bank's."""
        user = world.bank.asked("authorisation_url")[-1][0]
        reference = world.bank.connect(user)
        world.bank.account(reference, "2")
        await reconnect(world, consumer_id, reference)

    world.bank.during("transactions", meanwhile)
    if origin == "client":
        await world.sync(consumer_id)
    else:
        await world.refresh(the_connections_stream(world), origin)
    begun_before, *after = ends(world, the_connections_stream(world))
    assert begun_before.accounts == ("1",)
    assert all(getattr(end, "accounts", ("2",)) == ("2",) for end in after)
