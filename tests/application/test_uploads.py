"""What clients bring: whose it is under which id, and the facts that it comes to."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from application import consumers, statements, uploads
from application.erasure import erase_consumer
from application.execute import Outcome
from application.ports import LogUnavailable
from application.refusals import Unavailable
from application.statement_files import CAMT_053, StatedAccount, Statement, StatementFile
from application.uploads import STATEMENT, STORAGE, Upload
from domain import consumer, streams
from domain.consumer import AccountLinked, ConsumerRegistered
from domain.consumer_account import (
    CHECKING,
    AccountDetails,
    AccountDiscovered,
    BalanceRefreshed,
    RetentionSet,
    TransactionsFetched,
)
from domain.refusals import (
    InvalidRequest,
    NoSuchAccount,
    NoSuchConsumer,
    NoSuchTransaction,
    NotInStorage,
    TransactionExists,
)
from domain.transactions import Transaction
from projections.accounts import ACCOUNTS, key_of
from projections.pending import PENDING
from projections.shown import TRANSACTIONS
from tests.application.stories import fetched_once, the_banks_connection
from tests.application.world import MONDAY, TENANT, World, conflict, in_memory, on_disk

MINUTE = timedelta(minutes=1)
IBAN = "FR7630006000011234567890189"
DAY_ONE = 20_500


def an_upload(client_id: str | None = "acc-1", **more: Any) -> Upload:
    details = AccountDetails(kind=CHECKING, name=more.pop("name", "Giro"), iban=more.pop("iban", None))
    given = {"currency": "EUR", "exponent": 2, "retention": 10 * MINUTE, **more}
    return Upload(provider=STORAGE, reference=client_id or "", details=details, client_id=client_id, **given)


def a_statement(reference: str = IBAN, **more: Any) -> Upload:
    details = AccountDetails(kind=CHECKING, iban=more.pop("iban", IBAN))
    given = {"currency": "EUR", "exponent": 2, **more}
    return Upload(provider=STATEMENT, reference=reference, details=details, **given)


def a_row(reference: str, amount: int = -100, day: int = DAY_ONE, **more: Any) -> Transaction:
    return Transaction(reference=reference, booked_on=day, amount=amount, **more)


async def stored(world: World, name: str | None = "cust-1", upload: Upload | None = None) -> tuple[str, str]:
    """Bring an account: consumer and account."""
    outcome = await uploads.put_stored_account(world.services, world.asks(), name, upload or an_upload())
    stream = streams.parse(outcome.stream)
    return stream.consumer, stream.id


async def create(world: World, *rows: Transaction, account: str = "acc-1", **more: Any) -> Outcome:
    given = {"currency": "EUR", "exponent": 2, "retention": 10 * MINUTE, **more}
    return await uploads.create_stored(world.services, world.asks(), "cust-1", account, rows, **given)


async def edit(world: World, reference: str, **change: Any) -> Outcome:
    edits = {reference: lambda row: replace(row, **change)}
    return await uploads.edit_stored(world.services, world.asks(), "cust-1", "acc-1", edits)


async def remove(world: World, *references: str) -> Outcome:
    return await uploads.remove_stored(world.services, world.asks(), "cust-1", "acc-1", references)


def account_stream(consumer_id: str, account_id: str) -> str:
    return streams.consumer_account(TENANT, consumer_id, account_id)


def shown(world: World, account_id: str) -> dict[str, int | None]:
    """The booked rows that are shown of an account, by reference: their amounts."""
    return {
        row.reference: row.amount for row in world.read_models.rows.scan(TRANSACTIONS, key_of(account_id))
    }


# Whose it is


async def test_what_is_brought_becomes_the_same_facts(any_world: World) -> None:
    reading = BalanceRefreshed(as_of=MONDAY, balance=5_00)
    consumer_id, account_id = await stored(any_world, upload=an_upload(reading=reading))
    await create(any_world, a_row("r1"))
    registered, linked = await any_world.facts(streams.consumer(TENANT, consumer_id))
    assert registered == ConsumerRegistered(
        type=consumer.NATURAL,
        details=consumer.Details(name=""),
        origin=consumer.STORAGE,
        client_id="cust-1",
    )
    assert (linked.account_id, linked.source, linked.connection_id) == (account_id, account_id, "")
    assert linked.evidence.kind == "none"
    discovered, read, kept, fetched = await any_world.facts(account_stream(consumer_id, account_id))
    assert (discovered.provider, discovered.connection_id, discovered.client_id) == (STORAGE, "", "acc-1")
    assert (read, kept) == (reading, RetentionSet(until=MONDAY + 10 * MINUTE))
    assert [row.reference for _, row in fetched.added.rows()] == ["r1"]
    assert shown(any_world, account_id) == {"r1": -100}
    assert any_world.live() == any_world.rebuilt()


async def test_said_again_it_adds_nothing(any_world: World) -> None:
    await stored(any_world)
    await create(any_world, a_row("r1"), a_row("r2", 5))
    before = len(any_world.everything())
    await stored(any_world)
    await create(any_world, a_row("r1"), a_row("r2", 5))
    assert len(any_world.everything()) == before


async def test_ids_that_clients_choose_stand_nowhere_in_clear(tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = World(on_disk(tmp_path, stack))
        upload = an_upload("acc-of-amelie", iban=IBAN)
        await stored(world, "amelie@example.org", upload)
        for file in (tmp_path / "data").iterdir():
            held = file.read_bytes()
            for said in (b"amelie@example.org", b"acc-of-amelie", IBAN.encode()):
                assert said not in held, file.name


async def test_an_id_of_ours_is_the_consumer_that_has_it(world: World) -> None:
    held = await world.consumer()
    consumer_id, account_id = await stored(world, held)
    assert consumer_id == held
    assert await uploads.consumer_of(world.services, TENANT, held) == held
    assert await uploads.account_of(world.services, TENANT, held, account_id) == account_id
    assert await uploads.account_of(world.services, TENANT, held, "acc-1") == account_id


async def test_without_ids_there_are_a_new_consumer_and_a_new_account_each_time(world: World) -> None:
    first = await stored(world, None, an_upload(None))
    second = await stored(world, None, an_upload(None))
    assert len({*first, *second}) == 4
    assert await uploads.consumer_of(world.services, TENANT, first[0]) == first[0]


async def test_a_chosen_id_is_the_tenants_own(world: World) -> None:
    await stored(world)
    with pytest.raises(NoSuchConsumer):
        await uploads.consumer_of(world.services, "rival", "cust-1")


async def test_the_same_account_id_of_another_consumer_is_another_account(world: World) -> None:
    first, second = await stored(world, "cust-1"), await stored(world, "cust-2")
    assert first[1] != second[1]


async def test_two_first_calls_at_once_make_one_consumer_and_one_account(any_world: World) -> None:
    any_world.log.yields = lambda: 3
    made = await asyncio.gather(*(stored(any_world) for _ in range(4)))
    assert len(set(made)) == 1
    names = [recorded.name for recorded in any_world.everything()]
    assert names.count("ConsumerRegistered.1") == names.count("AccountDiscovered.1") == 1
    assert names.count("AccountLinked.1") == 1


async def test_a_call_that_met_another_is_decided_again(world: World) -> None:
    world.log.before(ConsumerRegistered, conflict)
    world.log.before(AccountDiscovered, conflict)
    await stored(world)
    assert [recorded.name for recorded in world.everything()].count("ConsumerRegistered.1") == 1


async def test_an_id_can_be_used_anew_after_an_erasure_however_often(world: World) -> None:
    seen = []
    for turn in range(9):
        consumer_id, account_id = await stored(world)
        seen += [consumer_id, account_id]
        assert await uploads.consumer_of(world.services, TENANT, "cust-1") == consumer_id, turn
        await erase_consumer(world.services, world.asks(), consumer_id)
        with pytest.raises(NoSuchConsumer):
            await uploads.consumer_of(world.services, TENANT, "cust-1")
    assert len(set(seen)) == 18


async def test_a_repeated_command_is_answered_as_the_first(any_world: World) -> None:
    async def said() -> Outcome:
        context = any_world.asks("k1", "said")
        return await uploads.put_stored_account(any_world.services, context, None, an_upload(None))

    first, second = await said(), await said()
    assert (first.stream, first.version) == (second.stream, second.version)
    assert second.repeated


async def test_a_consumer_without_a_name_can_be_given_one(world: World) -> None:
    consumer_id, _ = await stored(world)
    await consumers.change(world.services, world.asks(), consumer_id, {"group": "vip"})
    state = await world.state(streams.consumer(TENANT, consumer_id))
    assert (state.details.name, state.details.group) == ("", "vip")
    await consumers.change(world.services, world.asks(), consumer_id, {"first_name": "Amélie"})
    assert (await world.state(streams.consumer(TENANT, consumer_id))).details.name == "Amélie"


# Accounts of others


async def test_an_account_of_the_storage_is_kept_apart_from_a_banks_with_its_iban(world: World) -> None:
    consumer_id, _, reference = await world.connected()
    world.bank.account(reference, "1", iban=IBAN)
    assert await world.sync(consumer_id) == "SUCCESS"
    _, account_id = await stored(world, consumer_id, an_upload(iban=IBAN))
    assert len(list(world.read_models.rows.scan(ACCOUNTS, TENANT, consumer_id))) == 2
    assert account_id in {row.id for row in world.read_models.rows.scan(ACCOUNTS, TENANT, consumer_id)}


async def test_nothing_is_stored_in_a_banks_account(world: World) -> None:
    consumer_id, _, reference = await world.connected()
    world.bank.account(reference, "1")
    assert await world.sync(consumer_id) == "SUCCESS"
    account_id = streams.parse(await world.only_account(consumer_id)).id
    with pytest.raises(NotInStorage):
        await stored(world, consumer_id, an_upload(account_id))
    with pytest.raises(NotInStorage):
        await uploads.remove_stored(world.services, world.asks(), consumer_id, account_id, ["x"])


@pytest.mark.parametrize("gone", ["deleted", "disabled"])
async def test_nothing_is_stored_in_a_banks_account_that_is_closed(world: World, gone: str) -> None:
    consumer_id, stream = await fetched_once(world)
    account_id = streams.parse(stream).id
    world.bank.change(the_banks_connection(world), "1", **{gone: True})
    assert await world.sync(consumer_id) == "SUCCESS"
    whose, before = (world.services, world.asks(), consumer_id, account_id), world.everything()
    with pytest.raises(NotInStorage):
        await stored(world, consumer_id, an_upload(account_id))
    with pytest.raises(NotInStorage):
        await uploads.create_stored(*whose, [a_row("x")], currency="EUR", exponent=2, retention=MINUTE)
    with pytest.raises(NotInStorage):
        await uploads.edit_stored(*whose, {"r1": lambda row: row})
    with pytest.raises(NotInStorage):
        await uploads.remove_stored(*whose, ["r1"])
    assert world.everything() == before


async def test_rows_are_put_into_no_banks_account(world: World) -> None:
    consumer_id, stream = await fetched_once(world)
    account_id, before = streams.parse(stream).id, world.everything()
    for closed in (False, True):
        if closed:
            world.bank.change(the_banks_connection(world), "1", deleted=True)
            assert await world.sync(consumer_id) == "SUCCESS"
            before = world.everything()
        with pytest.raises(NotInStorage):
            await uploads.put_transactions(
                world.services, world.asks(), consumer_id, account_id, [a_row("x")]
            )
        assert world.everything() == before


async def test_a_statement_is_a_source_of_the_banks_account_with_its_iban(world: World) -> None:
    consumer_id, _, reference = await world.connected()
    world.bank.account(reference, "1", iban=IBAN)
    world.bank.row("1", "r1")
    assert await world.sync(consumer_id) == "SUCCESS"
    account_id = streams.parse(await world.only_account(consumer_id)).id
    (before,) = shown(world, account_id)
    first_day = next(iter(world.read_models.rows.scan(TRANSACTIONS, key_of(account_id)))).booked_on
    outcome = await uploads.put_account(
        world.services, world.asks(), consumer_id, a_statement(),
        rows=[a_row("s1", day=first_day - 5), a_row("s2", day=first_day)],
    )  # fmt: skip
    source_id = streams.parse(outcome.stream).id
    assert source_id != account_id
    # The bank leads: of the statement the days before its first row are shown.
    assert set(shown(world, account_id)) == {before, "s1"}
    await uploads.put_transactions(
        world.services, world.asks(), consumer_id, source_id, [a_row("s0", day=first_day - 9)]
    )
    assert set(shown(world, account_id)) == {before, "s1", "s0"}
    assert world.live() == world.rebuilt()


async def test_a_statement_of_the_same_account_is_the_same_source(world: World) -> None:
    consumer_id = await world.consumer()

    async def brought(upload: Upload) -> str:
        return (await uploads.put_account(world.services, world.asks(), consumer_id, upload)).stream

    assert await brought(a_statement()) == await brought(a_statement()) != await brought(a_statement("x"))
    assert await brought(a_statement(currency="USD")) != await brought(a_statement())
    with pytest.raises(NoSuchConsumer):
        await uploads.put_account(world.services, world.asks(), world.services.ids.uuid(), a_statement())


# Rows


async def test_rows_are_added_changed_and_removed_by_reference(world: World) -> None:
    consumer_id, account_id = await stored(world)

    async def put(rows: list[Transaction], removed: tuple[str, ...] = ()) -> Outcome:
        return await uploads.put_transactions(
            world.services, world.asks(), consumer_id, account_id, rows, removed=removed
        )

    await put([a_row("a", 1), a_row("b", 2)])
    before = len(world.everything())
    await put([a_row("a", 1)])
    assert len(world.everything()) == before
    await put([a_row("a", 3), a_row("c", 4)], removed=("b", "unknown"))
    assert shown(world, account_id) == {"a": 3, "c": 4}
    await put([a_row("b", 9)])
    assert shown(world, account_id) == {"a": 3, "b": 9, "c": 4}


async def test_thousands_of_rows_are_one_append(world: World) -> None:
    consumer_id, account_id = await stored(world)
    await create(world, *(a_row(f"r{number}", number) for number in range(2_500)))
    facts = await world.facts(account_stream(consumer_id, account_id))
    assert [len(fact.added) for fact in facts if isinstance(fact, TransactionsFetched)] == [1_000, 1_000, 500]
    assert len(world.log.appends[-1].changes) > 0
    assert len(shown(world, account_id)) == 2_500


async def test_another_row_under_an_id_that_is_taken_is_refused_as_a_whole(world: World) -> None:
    consumer_id, account_id = await stored(world)
    await create(world, a_row("r1"))
    with pytest.raises(TransactionExists):
        await create(world, a_row("r2"), a_row("r1", 7))
    assert shown(world, account_id) == {"r1": -100}
    await remove(world, "r1")
    await create(world, a_row("r1", 7))
    assert shown(world, account_id) == {"r1": 7}


async def test_an_edit_is_of_the_row_as_it_was_said_last(world: World) -> None:
    consumer_id, account_id = await stored(world)
    await create(world, a_row("r1", wording="bakery", fields={"state": "PROCESSED", "x": 1}), a_row("r2"))
    await edit(world, "r1", amount=-250)
    await edit(world, "r1", value_on=DAY_ONE + 1)
    await remove(world, "r2")
    held = await world.held(account_stream(consumer_id, account_id))
    assert held == {
        "r1": a_row("r1", -250, wording="bakery", value_on=DAY_ONE + 1, fields={"state": "PROCESSED", "x": 1})
    }
    for of in ("r2", "r3"):
        with pytest.raises(NoSuchTransaction):
            await edit(world, of, amount=1)
        with pytest.raises(NoSuchTransaction):
            await remove(world, of)


async def test_rows_far_back_are_found(world: World) -> None:
    await stored(world)
    await create(world, a_row("r0", 1, wording="first"))
    for number in range(1, 2 * uploads.FACTS_READ):
        await create(world, a_row(f"r{number}", number))
    await edit(world, "r0", amount=2)
    (fact,) = [change.facts[0] for change in world.log.appends[-1].changes if change.facts]
    ((_, row),) = fact.modified.rows()
    assert (row.amount, row.wording) == (2, "first")


async def test_what_is_not_processed_is_in_no_figure(world: World) -> None:
    _, account_id = await stored(world)
    await create(world, a_row("r1"), a_row("r2", pending=True, fields={"state": "CANCELED"}))
    assert shown(world, account_id) == {"r1": -100}
    await edit(world, "r2", pending=False, fields={"state": "PROCESSED"})
    assert shown(world, account_id) == {"r1": -100, "r2": -100}
    await edit(world, "r1", pending=True, fields={"state": "FAILED"})
    assert shown(world, account_id) == {"r2": -100}
    assert [row.reference for row in world.read_models.rows.scan(PENDING)] == ["r1"]
    assert world.live() == world.rebuilt()


async def test_a_pending_row_that_is_removed_is_not_taken_for_one_that_was_booked(world: World) -> None:
    consumer_id, account_id = await stored(world)
    await create(world, a_row("p", pending=True))
    await uploads.put_transactions(
        world.services, world.asks(), consumer_id, account_id, [a_row("b")], removed=["p"]
    )
    facts = await world.facts(account_stream(consumer_id, account_id))
    assert not any(fact.booked for fact in facts if isinstance(fact, TransactionsFetched))
    assert shown(world, account_id) == {"b": -100}


async def test_an_account_takes_the_currency_of_its_first_rows(world: World) -> None:
    consumer_id, account_id = await stored(world, upload=an_upload(currency="XXX"))
    await create(world, a_row("r1"), currency="XXX")
    await create(world, a_row("r2"))
    assert (await world.state(account_stream(consumer_id, account_id))).currency == "EUR"
    assert world.read_models.rows.get(ACCOUNTS, TENANT, consumer_id, account_id).currency == "EUR"
    for currency in ("USD", "JPY"):
        with pytest.raises(InvalidRequest):
            await create(world, a_row("r3"), currency=currency)
        with pytest.raises(InvalidRequest):
            await stored(world, upload=an_upload(currency=currency))
    await create(world, a_row("r4"), currency="XXX")
    assert world.live() == world.rebuilt()


async def test_rows_that_are_held_keep_an_account_from_a_currency_with_other_decimals(world: World) -> None:
    await stored(world, upload=an_upload(currency="XXX"))
    await create(world, a_row("r1"), currency="XXX")
    with pytest.raises(InvalidRequest):
        await create(world, a_row("r2"), currency="JPY", exponent=0)
    consumer_id, account_id = await stored(world, upload=an_upload("acc-2", currency="XXX"))
    await create(world, a_row("r2"), account="acc-2", currency="JPY", exponent=0)
    assert (await world.state(account_stream(consumer_id, account_id))).exponent == 0


async def test_what_is_held_keeps_an_account_from_being_said_to_have_other_decimals(world: World) -> None:
    """An account counts 12.34, or reads so: in a currency without decimals that would be 1234."""
    await stored(world, upload=an_upload("rows", currency="XXX"))
    await create(world, a_row("r1", 12_34), account="rows", currency="XXX")
    reading = BalanceRefreshed(as_of=MONDAY, balance=12_34)
    await stored(world, upload=an_upload("reading", currency="XXX", reading=reading))
    before = world.everything()
    for account in ("rows", "reading"):
        with pytest.raises(InvalidRequest):
            await stored(world, upload=an_upload(account, currency="JPY", exponent=0))
    with pytest.raises(InvalidRequest):
        await create(world, a_row("r2"), account="reading", currency="JPY", exponent=0)
    assert world.everything() == before
    for account in ("rows", "reading"):
        ids = await stored(world, upload=an_upload(account, currency="EUR"))
        assert (await world.state(account_stream(*ids))).currency == "EUR"


async def test_an_account_that_holds_nothing_takes_a_currency_with_other_decimals(world: World) -> None:
    await stored(world, upload=an_upload(currency="XXX"))
    reading = BalanceRefreshed(as_of=MONDAY, balance=500)
    ids = await stored(world, upload=an_upload(currency="JPY", exponent=0, reading=reading))
    state = await world.state(account_stream(*ids))
    assert (state.currency, state.exponent, state.reading) == ("JPY", 0, reading)


async def test_what_cannot_be_compared_is_not_recorded(world: World) -> None:
    await stored(world)
    world.read_models.behind_until = world.clock.now() + timedelta(minutes=2)
    await create(world, a_row("r1"))
    before = len(world.log.appends)
    with pytest.raises(Unavailable):
        await create(world, a_row("r1"))
    assert len(world.log.appends) == before


async def test_what_came_too_late_for_an_erasure_is_not_recorded(any_world: World) -> None:
    consumer_id, _ = await stored(any_world)

    async def erased() -> None:
        await erase_consumer(any_world.services, any_world.asks(), consumer_id)

    any_world.log.before(TransactionsFetched, erased)
    with pytest.raises(NoSuchConsumer):
        await create(any_world, a_row("r1"))
    assert await any_world.read_models.consumer_gone(TENANT, consumer_id)


async def test_nothing_is_written_beside_an_erasure_whose_key_is_still_there(world: World) -> None:
    consumer_id, account_id = await stored(world)

    async def erased() -> None:
        world.keys.fail_destructions()
        with pytest.raises(LogUnavailable):
            await erase_consumer(world.services, world.asks(), consumer_id)

    for number in range(2):
        world.log.before(TransactionsFetched, erased)
        with pytest.raises(NoSuchConsumer):
            if number:
                await uploads.put_transactions(
                    world.services, world.asks(), consumer_id, account_id, [a_row("r1")]
                )
            else:
                await create(world, a_row("r1"))
        consumer_id, account_id = await stored(world)


async def test_an_unknown_account_is_unknown(world: World) -> None:
    with pytest.raises(NoSuchConsumer):
        await create(world, a_row("r1"))
    await stored(world)
    with pytest.raises(NoSuchAccount):
        await create(world, a_row("r1"), account="acc-2")
    with pytest.raises(NoSuchAccount):
        await create(world, a_row("r1"), account=world.services.ids.uuid())


# What it costs


async def test_a_file_of_many_accounts_costs_as_much_for_each(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each link is followed twice: for the account after it, and as the log is read afterwards."""
    consumer_id, followed, accounts = await world.consumer(), 0, 60
    apply = consumer.apply

    def counted(state: Any, fact: object) -> Any:
        nonlocal followed
        followed += isinstance(fact, AccountLinked)
        return apply(state, fact)

    monkeypatch.setattr(consumer, "apply", counted)
    named = [StatedAccount(number=f"{number:05}", bank_id="30006") for number in range(accounts)]
    file = StatementFile(
        format=CAMT_053,
        statements=tuple(
            Statement(line=number, account=account, currency="EUR") for number, account in enumerate(named)
        ),
    )
    _, effects = await statements.record(world.services, world.asks(), consumer_id, file)
    assert len({effect.target.account_id for effect in effects}) == accounts
    assert followed <= 2 * accounts


# Laws

_some_rows = st.lists(
    st.builds(
        a_row,
        st.integers(0, 9).map(str),
        st.integers(-500, 500),
        st.integers(DAY_ONE, DAY_ONE + 40),
        pending=st.booleans(),
        wording=st.sampled_from(["bakery", None]),
    ),
    unique_by=lambda row: row.reference,
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(_some_rows, st.lists(st.integers(0, 8), max_size=3))
def test_rows_in_any_batches_come_to_the_same_as_at_once(rows: list[Transaction], cuts: list[int]) -> None:
    def of(batches: list[list[Transaction]]) -> Any:
        async def told() -> Any:
            world = World(in_memory())
            consumer_id, account_id = await stored(world)
            for batch in batches:
                await create(world, *batch)
                await create(world, *batch)
            assert world.live() == world.rebuilt()
            held = await world.held(account_stream(consumer_id, account_id))
            facts = await world.facts(account_stream(consumer_id, account_id))
            added = sum(len(fact.added) for fact in facts if isinstance(fact, TransactionsFetched))
            return held, added, shown(world, account_id)

        return asyncio.run(told())

    places = sorted({0, *cuts, len(rows)})
    batches = [rows[first:last] for first, last in zip(places, places[1:], strict=False)] or [rows]
    assert of([rows]) == of(batches)
