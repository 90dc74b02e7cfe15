"""A pending row through whole runs: seen, seen again, booked, dropped, back again - and what somebody says of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application import accounts, data_connections
from application.ports import ProviderUnreachable
from application.refusals import IdempotencyKeyReused, Unavailable
from domain import streams
from domain.consumer_account import BookingUndone, TransactionsFetched
from domain.data_connection import SyncSucceeded
from domain.refusals import NotFound
from tests.application.stories import (
    TODAY,
    fetched_once,
    the_banks_connection,
    the_connections_stream,
    with_rows,
)
from tests.application.world import DAY, HOUR, World, conflict, in_memory, outcome_of, unavailable


async def with_pending(world: World, *, booked_on: int = TODAY, **row: Any) -> tuple[str, str]:
    """A consumer whose bank shows one pending row and was read once: consumer, and the source's stream."""
    consumer_id, _, _ = await with_rows(world, "old")
    world.bank.row("1", "p1", pending=True, booked_on=booked_on, **row)
    assert await world.sync(consumer_id) == "SUCCESS"
    return consumer_id, await world.only_account(consumer_id)


async def next_day(world: World, consumer_id: str) -> None:
    """The bank reads the account anew, and a run reads the window."""
    world.clock.at += DAY
    world.bank.account(the_banks_connection(world), "1")
    assert await world.sync(consumer_id) == "SUCCESS"


def vanish(world: World, *references: str) -> None:
    """The bank does not show them any more, and says no word about it."""
    for reference in references:
        del world.bank.rows["1"][reference]


async def pending(world: World, source: str) -> set[str]:
    return {reference for reference, row in (await world.held(source)).items() if row.pending}


async def booked(world: World, source: str) -> set[str]:
    return {reference for reference, row in (await world.held(source)).items() if not row.pending}


async def pairs(world: World, source: str) -> list[tuple[str, str, str]]:
    """Which pending rows became which booked ones, and by which rule."""
    return [
        (said[1], said[3], fact.booked.rules[index])
        for fact in await world.facts(source)
        if isinstance(fact, TransactionsFetched)
        for index, said in enumerate(fact.booked.pairs())
    ]


async def expired(world: World, source: str) -> list[str]:
    return [
        reference
        for fact in await world.facts(source)
        if isinstance(fact, TransactionsFetched)
        for reference in fact.expired.references
    ]


async def ids(world: World, source: str) -> dict[str, bytes]:
    """The id that each row was given first."""
    return {
        row.reference: id
        for fact in reversed(await world.facts(source))
        if isinstance(fact, TransactionsFetched)
        for batch in (fact.added, fact.restored, fact.modified)
        for id, row in batch.rows()
    }


# Seen, and seen again


async def test_a_pending_row_is_held_and_counted_nowhere(any_world: World) -> None:
    _, source = await with_pending(any_world)
    assert await pending(any_world, source) == {"p1"}
    live = any_world.live()
    assert [row.reference for row in live["transactions"]] == ["old"]
    assert [row.reference for row in live["pending_transactions"]] == ["p1"]
    assert live == any_world.rebuilt()


async def test_one_that_is_seen_again_is_no_fact(world: World) -> None:
    consumer_id, source = await with_pending(world)
    for _ in range(3):
        await next_day(world, consumer_id)
        world.bank.row("1", "p1", pending=True, booked_on=TODAY)
    assert (await world.names(source)).count("TransactionsFetched") == 1


async def test_one_whose_amount_changes_is_the_same(world: World) -> None:
    consumer_id, source = await with_pending(world, amount=-50_00)
    before = await ids(world, source)
    world.bank.row("1", "p1", pending=True, booked_on=TODAY, amount=-55_00)
    await world.sync(consumer_id)
    assert (await world.held(source))["p1"].amount == -55_00
    assert await ids(world, source) == before


async def test_one_that_is_booked_under_its_own_id_is_the_same(any_world: World) -> None:
    consumer_id, source = await with_pending(any_world)
    before = await ids(any_world, source)
    any_world.bank.row("1", "p1", booked_on=TODAY + 1)
    await next_day(any_world, consumer_id)
    assert (await pending(any_world, source), await booked(any_world, source)) == (set(), {"old", "p1"})
    assert await ids(any_world, source) == before and await pairs(any_world, source) == []
    assert any_world.live() == any_world.rebuilt()


# Booked under another id


async def test_one_that_is_booked_under_another_id_becomes_that(any_world: World) -> None:
    consumer_id, source = await with_pending(any_world)
    vanish(any_world, "p1")
    any_world.bank.row("1", "b1", booked_on=TODAY + 1)
    await next_day(any_world, consumer_id)
    assert await pairs(any_world, source) == [("p1", "b1", "exact")]
    assert (await pending(any_world, source), await booked(any_world, source)) == (set(), {"old", "b1"})
    assert await expired(any_world, source) == []
    assert sorted(row.reference for row in any_world.live()["transactions"]) == ["b1", "old"]
    assert any_world.live() == any_world.rebuilt()


async def test_one_that_the_bank_says_is_gone_is_paired_without_waiting_for_the_window(world: World) -> None:
    consumer_id, source = await with_pending(world)
    world.clock.at += HOUR
    world.bank.row("1", "p1", pending=True, booked_on=TODAY, deleted=True)
    world.bank.row("1", "b1", booked_on=TODAY + 1)
    await world.sync(consumer_id)
    assert await pairs(world, source) == [("p1", "b1", "exact")]
    assert await pending(world, source) == set()


async def test_one_that_is_only_left_out_of_an_increment_is_not_gone(world: World) -> None:
    consumer_id, source = await with_pending(world)
    vanish(world, "p1")
    world.bank.row("1", "b1", booked_on=TODAY + 1)
    world.clock.at += HOUR
    await world.sync(consumer_id)
    assert await pending(world, source) == {"p1"}
    await next_day(world, consumer_id)
    assert await pairs(world, source) == [("p1", "b1", "exact")]


@pytest.mark.parametrize(
    ("was", "became", "rule"),
    [
        (
            {"fields": {"webid": "W1"}, "wording": "PAIEMENT CB EN COURS"},
            {"fields": {"webid": "W1"}, "wording": "ANOTHER", "amount": -1_00},
            "link",
        ),
        (
            {"amount": -40_00, "wording": "PAIEMENT CB RESTAURANT DU PORT"},
            {"amount": -44_00, "wording": "CB RESTAURANT DU PORT"},
            "scored",
        ),
        ({"amount": -40_00}, {"amount": -90_00, "wording": "VIREMENT LOYER"}, None),
        ({"amount": -40_00}, {"amount": 40_00}, None),
    ],
)
async def test_what_a_pair_rests_on_is_recorded(
    world: World, was: dict[str, Any], became: dict[str, Any], rule: str | None
) -> None:
    consumer_id, source = await with_pending(world, **was)
    vanish(world, "p1")
    world.bank.row("1", "b1", booked_on=TODAY + 1, **became)
    await next_day(world, consumer_id)
    assert await pairs(world, source) == ([] if rule is None else [("p1", "b1", rule)])
    assert await expired(world, source) == (["p1"] if rule is None else [])


async def test_one_that_is_shown_beside_a_booked_one_like_it_is_a_twin(world: World) -> None:
    consumer_id, source = await with_pending(world)
    world.bank.row("1", "b1", booked_on=TODAY)
    for _ in range(2):
        await next_day(world, consumer_id)
    assert (await pending(world, source), await booked(world, source)) == ({"p1"}, {"old", "b1"})


async def test_of_two_twins_each_becomes_one(world: World) -> None:
    consumer_id, source = await with_pending(world)
    world.bank.row("1", "p2", pending=True, booked_on=TODAY)
    await world.sync(consumer_id)
    vanish(world, "p1", "p2")
    world.bank.row("1", "b1", booked_on=TODAY + 1)
    world.bank.row("1", "b2", booked_on=TODAY + 1)
    await next_day(world, consumer_id)
    assert sorted(pair[:2] for pair in await pairs(world, source)) == [("p1", "b1"), ("p2", "b2")]


async def test_a_booked_row_that_one_became_is_not_what_another_becomes(world: World) -> None:
    consumer_id, source = await with_pending(world)
    vanish(world, "p1")
    world.bank.row("1", "b1", booked_on=TODAY + 1)
    await next_day(world, consumer_id)
    world.bank.row("1", "p2", pending=True, booked_on=TODAY + 1)
    await next_day(world, consumer_id)
    vanish(world, "p2")
    await next_day(world, consumer_id)
    assert await pairs(world, source) == [("p1", "b1", "exact")]
    assert await expired(world, source) == ["p2"]


# Dropped, and back


async def test_one_that_the_bank_drops_expires_and_comes_back_under_its_id(any_world: World) -> None:
    consumer_id, source = await with_pending(any_world)
    before = await ids(any_world, source)
    kept = any_world.bank.rows["1"]["p1"]
    vanish(any_world, "p1")
    await next_day(any_world, consumer_id)
    assert (await expired(any_world, source), await pending(any_world, source)) == (["p1"], set())
    await next_day(any_world, consumer_id)
    assert await expired(any_world, source) == ["p1"], "once"
    any_world.bank.rows["1"]["p1"] = kept
    await next_day(any_world, consumer_id)
    assert await pending(any_world, source) == {"p1"}
    assert await ids(any_world, source) == before
    assert any_world.live() == any_world.rebuilt()


async def test_one_that_was_booked_and_is_pending_again_ends_the_pair(world: World) -> None:
    consumer_id, source = await with_pending(world)
    kept = world.bank.rows["1"]["p1"]
    vanish(world, "p1")
    world.bank.row("1", "b1", booked_on=TODAY + 1)
    await next_day(world, consumer_id)
    world.bank.rows["1"]["p1"] = kept
    await next_day(world, consumer_id)
    assert (await pending(world, source), await booked(world, source)) == ({"p1"}, {"old", "b1"})
    with pytest.raises(NotFound):
        await undo(world, consumer_id, source, "p1")
    vanish(world, "p1")
    await next_day(world, consumer_id)
    assert [pair[:2] for pair in await pairs(world, source)] == [("p1", "b1")] * 2


@pytest.mark.parametrize("way", ["older than the window", "reading not newer", "no reading"])
async def test_one_is_not_gone_where_nothing_shows_that_it_is(world: World, way: str) -> None:
    consumer_id, source = await with_pending(world, booked_on=TODAY - (200 if way.startswith("older") else 0))
    vanish(world, "p1")
    reference = the_banks_connection(world)
    world.clock.at += DAY
    if way == "older than the window":
        world.bank.account(reference, "1")
    if way == "no reading":
        world.bank.change(reference, "1", reading=None)
    assert await world.sync(consumer_id) == "SUCCESS"
    assert await pending(world, source) == {"p1"}


async def test_one_older_than_the_window_is_gone_once_the_whole_was_read(world: World) -> None:
    consumer_id, source = await with_pending(world, booked_on=TODAY - 200)
    vanish(world, "p1")
    world.clock.at += 30 * DAY
    await next_day(world, consumer_id)
    assert await expired(world, source) == ["p1"]


@pytest.mark.parametrize("method", ["accounts", "transactions"])
async def test_a_run_that_fails_drops_none(world: World, method: str) -> None:
    consumer_id, source = await with_pending(world)
    for number in range(150):
        world.bank.row("1", f"n{number}", booked_on=TODAY)
    vanish(world, "p1")
    world.clock.at += DAY
    world.bank.account(the_banks_connection(world), "1")
    world.bank.fail(method, ProviderUnreachable("timeout"), after_pages=int(method == "transactions"))
    assert await world.sync(consumer_id) == "FETCH_ERROR timeout"
    assert await pending(world, source) == {"p1"}


@pytest.mark.parametrize("gone", ["disabled", "deleted"])
async def test_those_of_an_account_that_is_not_read_stay(world: World, gone: str) -> None:
    consumer_id, source = await with_pending(world)
    reference = the_banks_connection(world)
    world.bank.account(reference, "2")
    world.bank.change(reference, "1", **{gone: True})
    vanish(world, "p1")
    world.clock.at += DAY
    assert await world.sync(consumer_id) == "SUCCESS"
    assert await pending(world, source) == {"p1"}


async def test_many_are_dropped_in_facts_of_bounded_size(world: World) -> None:
    consumer_id, source = await with_pending(world)
    for number in range(1_200):
        world.bank.row("1", f"m{number}", pending=True, booked_on=TODAY, amount=-number - 1, wording=None)
    await world.sync(consumer_id)
    vanish(world, *[f"m{number}" for number in range(1_200)])
    await next_day(world, consumer_id)
    assert len(await expired(world, source)) == 1_200
    sizes = [len(fact.expired) for fact in await world.facts(source) if isinstance(fact, TransactionsFetched)]
    assert [size for size in sizes if size] == [1_000, 200]


# What somebody says of it


async def undo(world: World, consumer_id: str, source: str, name: str, key: str | None = None) -> Any:
    id = str(UUID(bytes=(await ids(world, source))[name]))
    account_id = streams.parse(source).id
    return await accounts.undo_booking(world.services, world.asks(key, name), consumer_id, account_id, id)


async def paired(world: World) -> tuple[str, str]:
    """One pending row that is said to have become a booked one: consumer, and the source's stream."""
    consumer_id, source = await with_pending(world)
    vanish(world, "p1")
    world.bank.row("1", "b1", booked_on=TODAY + 1)
    await next_day(world, consumer_id)
    assert await pairs(world, source) == [("p1", "b1", "exact")]
    return consumer_id, source


async def test_a_pair_that_is_undone_is_two_rows_and_stays_so(any_world: World) -> None:
    consumer_id, source = await paired(any_world)
    await undo(any_world, consumer_id, source, "p1")
    assert (await pending(any_world, source), await booked(any_world, source)) == ({"p1"}, {"old", "b1"})
    assert any_world.live() == any_world.rebuilt()
    for _ in range(2):
        await next_day(any_world, consumer_id)
    assert len(await pairs(any_world, source)) == 1, "never the same two again"
    assert await expired(any_world, source) == ["p1"]
    assert any_world.live() == any_world.rebuilt()


async def test_after_it_was_undone_it_may_become_another(world: World) -> None:
    consumer_id, source = await paired(world)
    await undo(world, consumer_id, source, "p1")
    world.bank.row("1", "b2", booked_on=TODAY + 2)
    await next_day(world, consumer_id)
    assert [pair[:2] for pair in await pairs(world, source)] == [("p1", "b1"), ("p1", "b2")]


async def test_undone_again_there_is_nothing_to_undo_and_a_repetition_is_answered_as_the_first(
    any_world: World,
) -> None:
    consumer_id, source = await paired(any_world)
    first = await undo(any_world, consumer_id, source, "p1", key="one")
    again = await undo(any_world, consumer_id, source, "p1", key="one")
    assert again.repeated and outcome_of(again) == outcome_of(first)
    with pytest.raises(NotFound):
        await undo(any_world, consumer_id, source, "p1")
    with pytest.raises(IdempotencyKeyReused):
        await undo(any_world, consumer_id, source, "b1", key="one")
    assert (await any_world.names(source)).count("BookingUndone") == 1


async def test_what_is_not_there_cannot_be_undone(world: World) -> None:
    consumer_id, source = await paired(world)
    other, services = await world.consumer("Another"), world.services
    account_id, id = streams.parse(source).id, str(UUID(bytes=(await ids(world, source))["p1"]))
    for owner, account, row in (
        (other, account_id, id),
        (services.ids.uuid(), account_id, id),
        (consumer_id, services.ids.uuid(), id),
        (consumer_id, account_id, services.ids.uuid()),
        (consumer_id, account_id, str(UUID(bytes=(await ids(world, source))["b1"]))),
    ):
        with pytest.raises(NotFound):
            await accounts.undo_booking(services, world.asks(), owner, account, row)
    with pytest.raises(NotFound):
        rival = world.of("rival")
        await accounts.undo_booking(rival.services, rival.asks(), consumer_id, account_id, id)
    assert "BookingUndone" not in await world.names(source)


async def test_an_id_that_cannot_be_one_is_unknown(world: World) -> None:
    consumer_id, source = await paired(world)
    with pytest.raises(NotFound):
        await accounts.undo_booking(
            world.services, world.asks(), consumer_id, streams.parse(source).id, "no uuid"
        )


@pytest.mark.parametrize("step", [conflict, unavailable])
async def test_a_pair_is_undone_once_whatever_the_log_does(any_world: World, step: Any) -> None:
    consumer_id, source = await paired(any_world)
    any_world.log.before(BookingUndone, step)
    try:
        await undo(any_world, consumer_id, source, "p1", key="one")
    except Unavailable:
        await undo(any_world, consumer_id, source, "p1", key="one")
    assert (await any_world.names(source)).count("BookingUndone") == 1


async def test_read_models_that_are_behind_undo_nothing_twice(world: World) -> None:
    consumer_id, source = await paired(world)
    world.read_models.catch_up()
    world.read_models.behind_until = world.clock.now() + timedelta(seconds=20)
    await undo(world, consumer_id, source, "p1")
    try:
        await undo(world, consumer_id, source, "p1")
    except (NotFound, Unavailable):
        pass
    assert (await world.names(source)).count("BookingUndone") == 1


async def test_what_is_undone_while_a_run_records_stays_undone(world: World) -> None:
    consumer_id, source = await paired(world)
    world.clock.at += DAY
    world.bank.account(the_banks_connection(world), "1")
    world.bank.row("1", "r9", booked_on=TODAY, amount=-7_00)

    async def undone() -> None:
        await undo(world, consumer_id, source, "p1")

    world.log.before(SyncSucceeded, undone)
    assert await world.sync(consumer_id) == "SUCCESS"
    await next_day(world, consumer_id)
    assert len(await pairs(world, source)) == 1
    assert await booked(world, source) == {"old", "b1", "r9"}
    assert world.live() == world.rebuilt()


async def test_of_a_deleted_connection_nothing_is_undone(world: World) -> None:
    consumer_id, source = await paired(world)
    id = str(UUID(bytes=(await ids(world, source))["p1"]))
    connection_id = streams.parse(the_connections_stream(world)).id
    await data_connections.delete(world.services, world.asks(), consumer_id, connection_id)
    with pytest.raises(NotFound):
        await accounts.undo_booking(world.services, world.asks(), consumer_id, streams.parse(source).id, id)


# Whatever the bank does

BANK = st.lists(
    st.tuples(
        st.sampled_from(
            ["add", "hold", "book", "rebook", "rebook loudly", "drop", "amend", "take back", "give back"]
            + ["sync", "sync", "refresh", "day", "fail", "undo"]
        ),
        st.integers(0, 5),
    ),
    max_size=40,
)


@given(steps=BANK)
async def test_in_the_end_what_is_held_is_what_the_bank_shows(steps: list[tuple[str, int]]) -> None:
    world = World(in_memory())
    consumer_id, source = await fetched_once(world, "old")
    bank, shown = world.bank, world.bank.rows["1"]
    for number, (step, slot) in enumerate(steps):
        world.clock.at += timedelta(minutes=1)
        now = {name: row for name, (row, _) in shown.items() if name != "old"}
        held = [name for name, row in now.items() if row.pending and not row.deleted]
        some = held[slot % len(held)] if held else None
        any_of_them = list(now)[slot % len(now)] if now else None
        match step:
            case "add" | "hold":
                bank.row(
                    "1",
                    f"n{number}",
                    booked_on=TODAY - slot,
                    amount=-1_00 * (1 + slot % 3),
                    pending=step == "hold",
                )
            case "book" if some:
                bank.row("1", some, booked_on=TODAY, amount=now[some].amount)
            case "rebook" | "rebook loudly" | "drop" if some:
                if step == "rebook loudly":
                    bank.row("1", some, booked_on=TODAY, pending=True, deleted=True)
                else:
                    vanish(world, some)
                if step != "drop":
                    bank.row("1", f"b{number}", booked_on=TODAY, amount=now[some].amount)
            case "amend" if any_of_them:
                said = now[any_of_them]
                bank.row("1", any_of_them, booked_on=said.booked_on, amount=-7 - number, pending=said.pending)
            case "take back" | "give back" if any_of_them and not now[any_of_them].pending:
                bank.row("1", any_of_them, booked_on=TODAY, deleted=step == "take back")
            case "sync":
                await world.sync(consumer_id)
            case "refresh":
                await world.refresh(the_connections_stream(world))
            case "day":
                await next_day(world, consumer_id)
            case "fail":
                bank.fail("transactions", ProviderUnreachable("timeout"))
                await world.sync(consumer_id)
            case "undo" if found := await pairs(world, source):
                try:
                    await undo(world, consumer_id, source, found[slot % len(found)][0])
                except NotFound:
                    continue
    world.bank._failures.clear()
    await next_day(world, consumer_id)
    truth = {name: row for name, (row, _) in shown.items() if not row.deleted}
    told = await world.held(source)
    assert set(told) == set(truth)
    assert {name: row.digest() for name, row in told.items()} == {
        name: row.digest() for name, row in truth.items()
    }
    assert world.live() == world.rebuilt()
    head = world.lasting.source.head()
    await world.sync(consumer_id)
    assert world.lasting.source.head() == head + 3, "and nothing more is to be said"
