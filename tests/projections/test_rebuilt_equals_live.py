"""However the log is read, the rows are the same: in any batches, into any store, before a key was destroyed or after."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryGeneration
from adapters.read_models.sqlite import SqliteGeneration
from domain.consumer import AccountLinked, ConsumerErased, Evidence
from domain.consumer_account import CONNECTION_DELETED, AccountClosed
from domain.data_connection import ConnectionDeleted, ConnectionRequested, DataSync, SyncRequested
from projections.accounts import key_of
from projections.catch_up import catch_up
from projections.digest import digest, first_difference
from projections.erasure import forgotten
from projections.models import ALL_TABLES
from projections.ports import Rows
from tests.projections.examples import (
    ADA,
    ALL,
    BOB,
    CHECKING,
    CONNECTION,
    History,
    ListSource,
    a_row,
    discovered,
    families,
    fetched,
    histories,
    of_account,
    of_connection,
    of_consumer,
    reading,
    registered,
    removed,
    uuid,
)


def live(history: History, facts_max: int = 1) -> Rows:
    """As a projector keeps it: the documents are made with every transaction."""
    generation = MemoryGeneration()
    catch_up(ListSource(history.recorded), generation, facts_max=facts_max)
    return generation.rows


def rebuilt(history: History, facts_max: int = 100) -> Rows:
    generation = MemoryGeneration()
    catch_up(ListSource(history.recorded), generation, facts_max=facts_max, building=True)
    return generation.rows


def assert_same(first: Rows, second: Rows) -> None:
    assert first_difference(first, second) is None
    assert digest(first) == digest(second)


@settings(max_examples=100)
@given(histories() | families(), st.integers(1, 30))
def test_the_size_of_a_batch_changes_nothing(told: Any, facts_max: int) -> None:
    history, _ = told
    assert_same(live(history), live(history, facts_max))
    assert_same(live(history), rebuilt(history, facts_max))


@settings(max_examples=150)
@given(histories(steps=40) | families())
def test_what_was_erased_later_is_as_if_it_had_never_been_readable(told: Any) -> None:
    history, destroyed = told
    assert_same(live(history, 3), rebuilt(history.after_destroying(destroyed)))


@settings(max_examples=60)
@given(histories(steps=40) | families(), st.integers(1, 40))
def test_a_key_may_be_destroyed_while_the_projector_is_behind(told: Any, seen: int) -> None:
    history, destroyed = told
    generation = MemoryGeneration()
    catch_up(ListSource(history.recorded[:seen]), generation, facts_max=4)
    catch_up(ListSource(history.after_destroying(destroyed).recorded), generation, facts_max=4)
    assert_same(generation.rows, live(history))


@settings(max_examples=40)
@given(histories() | families(), st.integers(1, 30))
def test_memory_and_sqlite_hold_the_same(told: Any, facts_max: int) -> None:
    history, _ = told
    with tempfile.TemporaryDirectory() as directory:
        for building in (False, True):
            path = Path(directory) / f"{building}.sqlite3"
            generation = SqliteGeneration(path, building=building)
            catch_up(ListSource(history.recorded), generation, facts_max=facts_max, building=building)
            if building:
                generation.finish_building()
                generation = SqliteGeneration(path)
            assert_same(live(history), generation.snapshot())
            generation.close()


@settings(max_examples=60)
@given(histories(steps=40) | families(), st.data())
def test_a_stalled_consumer_is_forgotten_all_the_same(told: Any, data: Any) -> None:
    history, destroyed = told
    stalling = data.draw(st.integers(1, len(history.recorded)))
    stream = history.recorded[stalling - 1].stream
    # One that erases and can't be read erases nothing: it may have been tampered with.
    assume(forgotten(history.recorded[stalling - 1]) is None)
    broken = History()
    for recorded in history.recorded[: stalling - 1]:
        broken.add(recorded.stream, recorded.fact)
    broken.unreadable(stream)
    for recorded in history.recorded[stalling:]:
        broken.add(recorded.stream, recorded.fact)
    assert_same(live(broken), rebuilt(broken, 7))
    assert_same(live(broken, 5), rebuilt(broken.after_destroying(destroyed), 7))


@settings(max_examples=40)
@given(histories(steps=40) | families())
def test_an_erased_consumer_leaves_no_row_in_any_table(told: Any) -> None:
    history, _ = told
    for consumer_id in (ADA, BOB):
        history.add(of_consumer(consumer_id), ConsumerErased())
    rows = live(history, 10)
    assert [table.name for table in ALL_TABLES if list(rows.scan(table))] == []


def test_a_connection_is_deleted_with_the_accounts_that_only_it_feeds() -> None:
    history = History().add(of_consumer(), registered(), a_link())
    history.add(
        of_account(), discovered(), fetched(a_row(1, 19_000, -100), a_row(2, 19_000, 1, pending=True))
    )
    history.add(of_account(), removed(1), reading(5))
    history.add(of_connection(), ConnectionRequested(provider="budget_insight", data_types=ALL))
    history.add(
        of_connection(), SyncRequested(sync_id=uuid(4, 1), data_syncs=(DataSync(uuid(5, 1), ALL[0]),))
    )
    held = values_of(live(history))
    assert {CHECKING, CONNECTION, key_of(CHECKING), uuid(4, 1), uuid(5, 1)} <= held
    history.add(of_account(), AccountClosed(reason=CONNECTION_DELETED))
    history.add(of_connection(), ConnectionDeleted())
    held = values_of(live(history))
    assert not {CHECKING, CONNECTION, key_of(CHECKING), uuid(4, 1), uuid(5, 1)} & held
    assert ADA in held


def a_link() -> AccountLinked:
    return AccountLinked(
        account_id=CHECKING, connection_id=CONNECTION, reference="1", evidence=Evidence(kind="none")
    )


def values_of(rows: Rows) -> set[Any]:
    return {value for table in ALL_TABLES for row in rows.scan(table) for value in row}


@pytest.mark.parametrize("reason", ["disabled", "deleted_at_bank"])
def test_an_account_that_is_closed_keeps_its_data(reason: str) -> None:
    closed = AccountClosed(reason=reason)
    history = History().add(of_account(), discovered(), fetched(a_row(1, 19_000, -100)), closed)
    names = {table.name for table in ALL_TABLES if list(live(history).scan(table))}
    assert {"transactions", "accounts", "balances", "cashflows"} <= names
