"""What is asked of SQLite: pages that add up, lists in their order, nothing of anybody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.read_models import pointer
from adapters.read_models.memory import MemoryRows
from adapters.read_models.queries import SqliteReadModels
from adapters.read_models.sqlite import SqliteGeneration
from application.ports import Booking
from domain.consumer import ConsumerErased
from domain.data_connection import ConnectionRequested, DataSync, SyncRequested, SyncStarted, SyncSucceeded
from domain.pending import Pendings
from projections import answers, transactions
from projections.accounts import ACCOUNTS
from projections.catch_up import catch_up
from projections.credit_insights import document
from projections.directory import CONSUMERS
from projections.kinds import type_of
from projections.linking import SOURCES
from projections.models import fold
from projections.pending import BOOKINGS
from projections.ports import Rows
from projections.sources import sources_of
from tests.projections.examples import (
    ADA,
    ALL,
    BOB,
    CHECKING,
    CONNECTION,
    MARCH_1,
    SAVINGS,
    TENANT,
    History,
    ListSource,
    a_row,
    booked,
    discovered,
    fetched,
    histories,
    modified,
    of_account,
    of_connection,
    of_consumer,
    reading,
    registered,
    removed,
    row_id,
    uuid,
)


class Live:
    """A live generation that follows a history, and the questions about it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.history = History()
        self.generation = SqliteGeneration(pointer.path_of(directory, 1))
        pointer.switch(directory, 1)
        self.ask = SqliteReadModels(directory)

    def tell(self, stream: str, *facts: Any) -> Live:
        self.history.add(stream, *facts)
        catch_up(ListSource(self.history.recorded), self.generation)
        return self

    def close(self) -> None:
        self.ask.close()
        self.generation.close()


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Live]:
    live = Live(tmp_path)
    yield live
    live.close()


def an_account(live: Live, *facts: Any) -> Live:
    return live.tell(of_consumer(), registered()).tell(of_account(), discovered(), *facts)


# Paging of transactions

_rows = st.lists(
    st.tuples(
        st.integers(MARCH_1 - 100, MARCH_1),
        st.none() | st.integers(MARCH_1 - 130, MARCH_1 + 40),
        st.sampled_from(["card", "order", "loan_payment", "bank", "summary_card"]),
    ),
    max_size=60,
)
_day = st.none() | st.integers(MARCH_1 - 140, MARCH_1 + 50)


@settings(max_examples=80)
@given(
    _rows,
    st.sampled_from([1, 3, 7, 100]),
    _day,
    _day,
    st.none() | st.sampled_from(answers.TRANSACTION_TYPES),
)
def test_pages_one_after_the_other_are_all_rows_in_order(
    tmp_path_factory: pytest.TempPathFactory, rows: Any, per_page: int, from_day: Any, to_day: Any, type: Any
) -> None:
    live = Live(tmp_path_factory.mktemp("pages"))
    told = [
        a_row(number * 7919 % 1_009, booked_on, number, value_on=value_on, kind=kind)
        for number, (booked_on, value_on, kind) in enumerate(rows)
    ]
    an_account(live, fetched(*told))
    expected = [
        id
        for _, id in sorted(
            (-(t.booked_on if t.value_on is None else t.value_on), id)
            for id, t in told
            if type is None or type_of(t.kind) == type
        )
    ]
    days = {id: t.booked_on if t.value_on is None else t.value_on for id, t in told}
    expected = [
        id
        for id in expected
        if (from_day is None or days[id] >= from_day) and (to_day is None or days[id] <= to_day)
    ]
    found: list[bytes] = []
    page = 1
    while True:
        total, bodies = live.ask.transactions(TENANT, ADA, CHECKING, page, per_page, from_day, to_day, type)
        assert total == len(expected)
        ids = [msgspec.json.decode(body)["id"] for body in bodies]
        found += [bytes.fromhex(id.replace("-", "")) for id in ids]
        if page * per_page >= total:
            break
        assert len(bodies) == per_page
        page += 1
    assert found == expected
    assert live.ask.transactions(TENANT, ADA, CHECKING, page + 1, per_page, from_day, to_day, type) == (
        total,
        [],
    )
    live.close()


def test_pages_follow_edits_and_removals(live: Live) -> None:
    an_account(live, fetched(*(a_row(number, MARCH_1 - number, 5, kind="card") for number in range(40))))
    live.tell(of_account(), modified(a_row(39, MARCH_1 + 9, 5, kind="order")), removed(0, 1))
    total, bodies = live.ask.transactions(TENANT, ADA, CHECKING, 1, 2)
    assert total == 38
    assert [msgspec.json.decode(body)["value_date"][:10] for body in bodies] == ["2024-03-10", "2024-02-28"]
    assert live.ask.transactions(TENANT, ADA, CHECKING, 1, 100, type="ORDER")[0] == 1
    assert live.ask.transactions(TENANT, ADA, CHECKING, 1, 100, type="CARD")[0] == 37


def test_the_first_and_the_last_days_of_the_calendar_can_be_asked_for(live: Live) -> None:
    an_account(live, fetched(a_row(1, MARCH_1, 5)))
    first, last = -719_162, 2_932_896
    assert live.ask.transactions(TENANT, ADA, CHECKING, 1, 20, first, last)[0] == 1
    assert live.ask.transactions(TENANT, ADA, CHECKING, 1, 20, last, first)[0] == 0


def test_a_page_steps_over_the_rows_of_one_month_at_most(live: Live) -> None:
    an_account(live)
    for month in range(48):
        rows = (a_row(month * 100 + n, MARCH_1 - 30 * month - n % 28, 5) for n in range(100))
        live.tell(of_account(), fetched(*rows))
    connection = live.ask._live()

    def steps(page: int) -> int:
        count = 0

        def step() -> None:
            nonlocal count
            count += 1

        connection.set_progress_handler(step, 10)
        live.ask.transactions(TENANT, ADA, CHECKING, page, 20)
        connection.set_progress_handler(None, 0)
        return count

    assert steps(240) < steps(1) + 150


@pytest.mark.parametrize(
    ("tenant", "consumer", "account"),
    [
        ("other", ADA, CHECKING),
        (TENANT, BOB, CHECKING),
        (TENANT, ADA, SAVINGS),
        (TENANT, ADA, "no id at all"),
    ],
)
def test_nobody_elses_account_is_there(live: Live, tenant: str, consumer: str, account: str) -> None:
    an_account(live, fetched(a_row(1, MARCH_1, 5)))
    assert live.ask.transactions(tenant, consumer, account, 1, 20) is None
    assert live.ask.account(tenant, consumer, account) is None
    assert live.ask.account(TENANT, ADA, CHECKING) is not None


# Lists


def test_lists_are_in_the_order_of_creation(live: Live) -> None:
    consumers = [uuid(1, 99 - number) for number in range(5)]
    for consumer_id in consumers:
        live.tell(of_consumer(consumer_id), registered(consumer_id))
    assert [row.id for row in live.ask.consumers(TENANT, 1, 3)[1]] == consumers[:3]
    total, rows = live.ask.consumers(TENANT, 2, 3)
    assert (total, [row.id for row in rows]) == (5, consumers[3:])
    assert live.ask.consumers("other", 1, 3) == (0, [])
    for number in (3, 1, 2):
        request = ConnectionRequested(provider="budget_insight", data_types=ALL)
        live.tell(of_connection(uuid(2, number)), request)
    assert [row.id for row in live.ask.connections(TENANT, ADA, 1, 9)[1]] == [uuid(2, n) for n in (3, 1, 2)]
    assert live.ask.connection(TENANT, BOB, uuid(2, 1)) is None


def test_the_newest_sync_stands_first_and_its_types_in_their_order(live: Live) -> None:
    live.tell(of_connection(), ConnectionRequested(provider="budget_insight", data_types=ALL))
    for number in (1, 2):
        data_syncs = tuple(DataSync(uuid(5, number * 10 + n), type) for n, type in enumerate(ALL[:2]))
        live.tell(of_connection(), SyncRequested(sync_id=uuid(4, number), data_syncs=data_syncs))
    total, rows = live.ask.data_syncs(TENANT, ADA, 1, 3)
    assert (total, [row.id for row in rows]) == (4, [uuid(5, 20), uuid(5, 21), uuid(5, 10)])
    assert [row.id for row in live.ask.latest_data_syncs(TENANT, ADA)] == [uuid(5, 20), uuid(5, 21)]


def test_banking_documents_are_there_once_the_consumer_is(live: Live) -> None:
    assert live.ask.cashflow(TENANT, ADA) is None
    live.tell(of_consumer(), registered())
    assert b'"months":[]' in live.ask.cashflow(TENANT, ADA)
    assert live.ask.banking_accounts(TENANT, ADA, 1, 20) == (0, []) and live.ask.balances(TENANT, ADA) == []
    live.tell(of_account(SAVINGS), discovered("SAVINGS"), reading(5)).tell(of_account(), discovered())
    reports = live.ask.balances(TENANT, ADA)
    assert [(account, available) for account, available, _ in reports] == [(SAVINGS, True), (CHECKING, False)]
    total, bodies = live.ask.banking_accounts(TENANT, ADA, 2, 1)
    assert (total, [msgspec.json.decode(body)["id"] for body in bodies]) == (2, [CHECKING])


@settings(max_examples=40)
@given(histories(steps=40))
def test_credit_insights_are_made_of_sqlite_as_of_memory(
    tmp_path_factory: pytest.TempPathFactory, told: Any
) -> None:
    live, rows = Live(tmp_path_factory.mktemp("insights")), MemoryRows()
    live.history = told[0]
    catch_up(ListSource(live.history.recorded), live.generation, facts_max=7)
    fold(live.history.recorded, rows)
    for consumer_id in (ADA, BOB):
        with live.ask.moment() as held:
            assert document(held, TENANT, consumer_id) == document(rows, TENANT, consumer_id)
    live.close()


async def test_what_takes_long_is_looked_at_aside_while_others_are_answered(live: Live) -> None:
    live.tell(of_consumer(), registered())
    asked, answered = threading.Event(), threading.Event()

    def look(rows: Rows) -> str | None:
        asked.set()
        # Only the loop can let it go on.
        assert answered.wait(5)
        held = rows.get(CONSUMERS, TENANT, ADA)
        return None if held is None else held.id

    looking = asyncio.create_task(live.ask.aside(look))
    while not asked.is_set():
        await asyncio.sleep(0.001)
    assert live.ask.consumer(TENANT, ADA) is not None
    answered.set()
    assert await looking == ADA


async def test_what_a_look_aside_raises_is_raised(live: Live) -> None:
    def look(rows: Rows) -> None:
        raise LookupError

    for _ in range(5):
        with pytest.raises(LookupError):
            await live.ask.aside(look)


# What the use cases ask


async def test_what_is_known_of_rows(live: Live) -> None:
    rows = [a_row(1, MARCH_1, 5), a_row(2, MARCH_1, 5, pending=True), a_row(3, MARCH_1, 5)]
    an_account(live, fetched(*rows), removed(3))
    known = await live.ask.known(TENANT, CHECKING, ["1", "2", "3", "4", *map(str, range(1_000, 3_000))])
    assert {reference: (held.id, held.removed) for reference, held in known.items()} == {
        "1": (row_id(1), False),
        "2": (row_id(2), False),
        "3": (row_id(3), True),
    }
    assert known["1"].digest == rows[0][1].digest() and known["2"].digest == rows[1][1].digest()
    assert await live.ask.known(TENANT, SAVINGS, ["1"]) == {}
    assert await live.ask.known("other", CHECKING, ["1"]) == {}


async def test_what_is_held_of_pending_rows_and_what_they_became(live: Live) -> None:
    an_account(live, fetched(a_row(1, MARCH_1, 5, pending=True), a_row(2, MARCH_1, 5)))
    held = await live.ask.pendings(TENANT, CHECKING)
    assert [row.id for row in held.rows] == [row_id(1)]
    assert await live.ask.booking(TENANT, CHECKING, row_id(1)) is None
    live.tell(of_account(), booked((1, 2)))
    assert await live.ask.pendings(TENANT, CHECKING) == Pendings()
    assert await live.ask.booking(TENANT, CHECKING, row_id(1)) == Booking(row_id(1), "1", row_id(2))
    assert await live.ask.booking("other", CHECKING, row_id(1)) is None


@settings(max_examples=40)
@given(histories(steps=50))
def test_the_use_cases_are_answered_from_sqlite_as_from_memory(
    tmp_path_factory: pytest.TempPathFactory, told: Any
) -> None:
    live, rows = Live(tmp_path_factory.mktemp("known")), MemoryRows()
    live.history = told[0]
    catch_up(ListSource(live.history.recorded), live.generation, facts_max=7)
    fold(live.history.recorded, rows)
    references = [*map(str, range(31)), "x", "y", "none"]

    async def ask() -> None:
        for source in rows.scan(SOURCES):
            known = transactions.known(rows, TENANT, source.id, references)
            assert await live.ask.known(TENANT, source.id, references) == known
            assert await live.ask.pendings(TENANT, source.id) == transactions.pendings(
                rows, TENANT, source.id
            )
        for row in rows.scan(BOOKINGS):
            source_id = str(UUID(bytes=row.source))
            held = await live.ask.booking(TENANT, source_id, row.pending_id)
            assert held == Booking(row.pending_id, row.pending_reference, row.booked_id)

    asyncio.run(ask())
    with live.ask.moment() as held:
        for account in rows.scan(ACCOUNTS):
            assert transactions.pending_rows(held, account) == transactions.pending_rows(rows, account)
            assert transactions.bookings_of(held, account) == transactions.bookings_of(rows, account)
            assert sources_of(held, *account[:3]) == sources_of(rows, *account[:3])
    live.close()


async def test_syncs_that_have_not_ended_are_pending_oldest_first(live: Live) -> None:
    live.tell(of_connection(), ConnectionRequested(provider="budget_insight", data_types=ALL))
    for number in (2, 1, 3):
        request = SyncRequested(sync_id=uuid(4, number), data_syncs=(DataSync(uuid(5, number), ALL[0]),))
        live.tell(of_connection(), request)
    live.tell(of_connection(), SyncStarted(sync_id=uuid(4, 2), attempt=1), SyncSucceeded(sync_id=uuid(4, 1)))
    assert await live.ask.pending_syncs() == [(of_connection(), uuid(4, 2)), (of_connection(), uuid(4, 3))]
    assert await live.ask.stream_of_connection(CONNECTION) == of_connection()
    assert await live.ask.stream_of_connection(uuid(2, 77)) is None


async def test_a_consumer_is_gone_when_no_row_is_left(live: Live) -> None:
    assert await live.ask.consumer_gone(TENANT, ADA)
    an_account(live, fetched(a_row(1, MARCH_1, 5)))
    assert not await live.ask.consumer_gone(TENANT, ADA)
    assert await live.ask.consumer_gone("other", ADA)
    live.tell(of_consumer(), ConsumerErased())
    assert await live.ask.consumer_gone(TENANT, ADA)


async def test_erased_data_is_in_no_file_any_more(live: Live) -> None:
    secret = "Zanzibar Import-Export"
    an_account(
        live, fetched(*(a_row(n, MARCH_1 - n, 5, wording=f"{secret} {n}") for n in range(500))), reading(7)
    )
    live.tell(of_consumer(BOB), registered(secret)).tell(of_consumer(BOB), ConsumerErased())
    assert any(secret.encode() in path.read_bytes() for path in live.directory.iterdir())
    live.tell(of_consumer(), ConsumerErased())
    assert live.generation.has_erased
    live.generation.wipe()
    assert not live.generation.has_erased
    assert [path.name for path in live.directory.iterdir() if secret.encode() in path.read_bytes()] == []


# Generations and waiting


async def test_before_there_is_a_generation_everything_is_empty(tmp_path: Path) -> None:
    ask = SqliteReadModels(tmp_path / "nowhere")
    assert (ask.position(), ask.consumers(TENANT, 1, 20), ask.stalled()) == (0, (0, []), [])
    assert ask.provider(TENANT, "budget_insight") is None
    assert await ask.consumer_gone(TENANT, ADA)
    ask.close()


def test_readers_find_the_generation_that_was_switched_to(live: Live) -> None:
    live.tell(of_consumer(), registered())
    assert live.ask.position() == 1
    other = SqliteGeneration(pointer.path_of(live.directory, 2))
    history = History().add(of_consumer(BOB), registered()).add(of_consumer(BOB), ConsumerErased())
    catch_up(ListSource(history.recorded), other)
    assert live.ask.position() == 1
    pointer.switch(live.directory, 2)
    assert live.ask.position() == 2 and live.ask.consumer(TENANT, ADA) is None
    pointer.switch(live.directory, 1)
    assert live.ask.consumer(TENANT, ADA) is not None
    other.close()


def test_a_generation_of_another_version_is_as_none(live: Live) -> None:
    live.tell(of_consumer(), registered())
    live.generation._connection.execute("UPDATE checkpoint SET schema = 'older'")
    pointer.switch(live.directory, 1)
    assert live.ask.position() == 0


async def test_waiting_ends_when_the_position_is_reached_or_the_time_is_over(live: Live) -> None:
    assert await live.ask.reach(0, 0.0)
    assert not await live.ask.reach(1, 0.01)
    waiting = asyncio.create_task(live.ask.reach(1, 5.0))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    live.tell(of_consumer(), registered())
    live.ask.notify(1)
    assert await waiting


async def test_a_notice_of_a_position_is_not_taken_at_its_word(live: Live) -> None:
    live.ask.notify(99)
    assert not await live.ask.reach(99, 0.02)


async def test_time_may_be_simulated(tmp_path: Path) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    ask = SqliteReadModels(tmp_path, sleep)
    assert not await ask.reach(1, 2.0)
    assert sum(slept) == pytest.approx(2.0)
    ask.close()


def test_readers_cannot_write(live: Live) -> None:
    import sqlite3

    live.tell(of_consumer(), registered())
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        live.ask._live().execute("DELETE FROM consumers")


def test_an_id_of_another_tenant_leads_to_nothing(live: Live) -> None:
    live.tell(of_consumer(ADA), registered("Ada"))
    assert live.ask.consumer(TENANT, ADA) is not None
    assert live.ask.consumer("other", ADA) is None
