"""Books hold what was recorded, and when it was: rows, readings, the days that are known, and the day that they are of."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings

from adapters.read_models.memory import MemoryRows
from domain.consumer import AccountLinked, ConsumerErased, Evidence
from domain.consumer_account import AccountClosed, BalanceRefreshed, Owner
from domain.insights.books import Account, Books, Reading
from domain.transactions import day_of
from projections import models
from projections.accounts import OBSERVED
from projections.books import booked_count, books_of, reference_day
from projections.ports import Rows
from projections.shown import TRANSACTIONS
from projections.times import micros
from tests.projections.examples import (
    ADA,
    BOB,
    CHECKING,
    CONNECTION,
    DAY,
    MARCH_1,
    NOON,
    SAVINGS,
    TENANT,
    History,
    a_row,
    discovered,
    expired,
    families,
    fetched,
    histories,
    modified,
    of_account,
    of_connection,
    of_consumer,
    reading,
    registered,
    removed,
    restored,
    row_id,
    uuid,
)
from tests.projections.test_quality import Told, at
from tests.projections.told import CONNECTED_NOW, REQUESTED, STARTED, succeeded

HOUR = timedelta(hours=1)


def rows_of(history: History) -> MemoryRows:
    rows = MemoryRows()
    models.fold(history.recorded, rows)
    return rows


def someone(*facts: Any, **more: Any) -> History:
    return History().add(of_consumer(), registered()).add(of_account(), discovered(**more), *facts)


def books(rows: Rows, **asked: Any) -> Books:
    found = books_of(rows, TENANT, ADA, **asked)
    assert found is not None
    return found


def account_of(rows: Rows, id: str = CHECKING, **asked: Any) -> Account:
    return next(account for account in books(rows, **asked).accounts if account.id == id)


def recorded_at(history: History, number: int) -> int:
    return micros(history.recorded[number].recorded_at)


# When a row was seen first


def test_an_edit_keeps_when_a_row_was_seen_and_a_row_that_comes_back_is_new() -> None:
    history = someone(fetched(a_row(1, MARCH_1, -5), a_row(2, MARCH_1, -6)))
    first = recorded_at(history, -1)
    history.add(of_account(), modified(a_row(1, MARCH_1, -7)))
    seen = {row.id: (row.amount, row.seen_at) for row in account_of(rows_of(history)).rows}
    assert seen == {row_id(1): (-7, first), row_id(2): (-6, first)}
    history.add(of_account(), removed(1), restored(a_row(1, MARCH_1, -7)))
    seen = {row.id: (row.amount, row.seen_at) for row in account_of(rows_of(history)).rows}
    assert seen == {row_id(1): (-7, recorded_at(history, -1)), row_id(2): (-6, first)}


def test_a_pending_row_is_seen_when_it_is_booked() -> None:
    # No balance of booked rows had it before.
    history = someone(fetched(a_row(1, MARCH_1, -5, pending=True)), modified(a_row(1, MARCH_1, -5)))
    (row,) = account_of(rows_of(history)).rows
    assert row.seen_at == recorded_at(history, -1)


def test_a_row_of_two_sources_was_seen_when_the_first_of_them_had_it() -> None:
    second = of_account(uuid(3, 4))
    link = AccountLinked(
        account_id=CHECKING,
        connection_id=CONNECTION,
        reference="9",
        evidence=Evidence(kind="iban"),
        source_id=uuid(3, 4),
    )
    history = someone(fetched(a_row(1, MARCH_1, -5, wording="A"), a_row(2, MARCH_1 + 1, -5, wording="A")))
    first = recorded_at(history, -1)
    history.add(second, discovered()).add(of_consumer(), link)
    history.add(second, fetched(a_row(11, MARCH_1 + 1, -5, wording="A"), a_row(12, MARCH_1 + 2, -6)))
    rows = account_of(rows_of(history)).rows
    assert [(row.id, row.seen_at) for row in rows] == [
        (row_id(1), first),
        (row_id(2), first),
        (row_id(12), recorded_at(history, -1)),
    ]


# Rows


def test_rows_say_all_that_there_is() -> None:
    side = {"label": "Ada", "account_scheme_name": "iban", "account_identification": "fr76 3000"}
    rent = "95cc6d01-1abb-49e7-80e7-25217ed29690"
    history = someone(
        fetched(
            a_row(
                1,
                MARCH_1,
                -70_000,
                value_on=MARCH_1 + 1,
                kind="transfer",
                wording='VIR "x" 12/03',
                fields={"counterparty": side, "bank_references": {"end_to_end": "E2E"}},
            ),
            # A client says what it is for, and is believed.
            a_row(2, MARCH_1, -9, wording="CB", fields={"category_ids": [rent], "state": "PROCESSED"}),
            a_row(3, MARCH_1, -8, fields={"state": "CANCELED"}),
            a_row(4, MARCH_1 - 2, None),
            a_row(5, MARCH_1, -7, wording="PRLV EDF", pending=True),
        )
    )
    account = account_of(rows_of(history))
    first, second = account.rows
    assert (first.day, first.value_day, first.amount, first.kind) == (
        MARCH_1,
        MARCH_1 + 1,
        -70_000,
        "transfer",
    )
    assert (first.wording, first.root) == ('VIR "x" 12/03', "VIR X")
    assert (first.other, first.other_name, first.end_to_end) == ("FR763000", "Ada", "E2E")
    assert [label[:2] for label in second.labels] == [("RENT", "stated")]
    assert account.unknown_days == (MARCH_1 - 2,)
    assert account.first_booked == MARCH_1 - 2
    ((row),) = account.pending
    assert (row.id, row.amount, row.wording, row.seen_at) == (row_id(5), -7, "PRLV EDF", 0)


def test_rows_are_in_order_from_the_first_day_on_also_after_the_reference_day() -> None:
    days = {1: MARCH_1 + 9, 2: MARCH_1 - 40, 3: MARCH_1, 4: MARCH_1, 5: MARCH_1 - 41}
    # One whose value day lies far off is found all the same.
    rows = [a_row(n, day, -n, value_on=day - 400 if n == 4 else None) for n, day in days.items()]
    account = account_of(rows_of(someone(fetched(*rows), reading(5))), since=MARCH_1 - 40)
    assert [row.id for row in account.rows] == [row_id(n) for n in (2, 3, 4, 1)]
    assert account.first_booked == MARCH_1 - 41


# The day


@pytest.mark.parametrize(
    ("facts", "day"),
    [
        ((reading(5, day=-3), fetched(a_row(1, MARCH_1 - 9, 1))), MARCH_1 - 3),
        # A bank may date ahead; that does not make it tomorrow.
        ((reading(5, day=-3), fetched(a_row(1, MARCH_1 + 9, 1))), MARCH_1 - 3),
        ((fetched(a_row(1, MARCH_1 - 9, 1), a_row(2, MARCH_1 + 9, 1)),), MARCH_1 + 9),
        ((fetched(a_row(1, MARCH_1 - 9, 1, pending=True)),), MARCH_1),
        ((), MARCH_1),
    ],
)
def test_the_reference_day_is_that_of_the_last_reading_or_row(facts: Any, day: int) -> None:
    rows = rows_of(someone(*facts))
    assert books(rows).as_of == reference_day(rows, TENANT, ADA) == day
    assert books(rows).since == day_of(date(2022, 3, 1)) or day != MARCH_1
    assert books(rows, as_of=MARCH_1 - 100).as_of == MARCH_1 - 100


def test_accounts_that_are_not_looked_at_do_not_move_the_day_unless_there_are_no_others() -> None:
    history = someone(reading(5, day=-3))
    history.add(of_account(SAVINGS), discovered("LOAN"), reading(-9, day=20))
    assert books(rows_of(history)).as_of == MARCH_1 - 3
    history.add(of_account(), AccountClosed(reason="disabled"))
    assert books(rows_of(history)).as_of == MARCH_1 + 20


def test_before_1970_there_is_no_reference_day() -> None:
    assert books(rows_of(someone(fetched(a_row(1, -9_000, 5))))).as_of == 0


def test_without_the_consumer_there_are_no_books() -> None:
    rows = rows_of(someone(reading(5)))
    assert books_of(rows, TENANT, BOB) is None
    models.fold(History().add(of_consumer(), ConsumerErased()).recorded, rows)
    assert books_of(rows, TENANT, ADA) is None and reference_day(rows, TENANT, ADA) is None


def test_what_is_known_is_as_old_as_the_newest_fact_that_says_anything() -> None:
    history = History().add(of_consumer(), registered())
    assert books(rows_of(history)).known_at == recorded_at(history, -1)
    history.add(of_account(), discovered(), reading(5))
    assert books(rows_of(history)).known_at == recorded_at(history, -1)
    # A sync that finds nothing says that nothing has changed.
    history.add(of_connection(), REQUESTED, STARTED, CONNECTED_NOW, succeeded(fetched_at=NOON - DAY))
    found = books(rows_of(history))
    assert found.known_at == recorded_at(history, -1)
    assert found.accounts[0].transactions_as_of == micros(NOON - DAY)


# Readings and coverage


def test_readings_say_when_they_were_recorded_so_that_later_rows_are_told_apart() -> None:
    told = Told().read(MARCH_1, 100_00, fetched(a_row(1, MARCH_1, 100_00)))
    told.confirmed(MARCH_1 + 1, fetched(a_row(2, MARCH_1, -5)))
    told.read(MARCH_1 + 3, None).read(MARCH_1 + 4, 95_00)
    account = account_of(told.rows)
    moments = [micros(at(MARCH_1 + day) + HOUR) for day in (0, 1, 4)]
    assert account.readings == (
        Reading(MARCH_1, moments[0], 100_00),
        Reading(MARCH_1 + 1, moments[1], 100_00),
        Reading(MARCH_1 + 4, moments[2], 95_00),
    )
    # What one run brings is of one moment: the row is in the reading.
    assert [row.seen_at for row in account.rows] == moments[:2]
    assert (account.balance, account.balance_as_of) == (95_00, micros(at(MARCH_1 + 4)))


def test_of_two_readings_for_one_day_the_one_that_was_recorded_last_counts() -> None:
    told = Told().read(MARCH_1, 1)
    late = BalanceRefreshed(as_of=at(MARCH_1) + HOUR / 2, balance=2)
    told.run((of_account(), late), day=MARCH_1 + 1)
    assert [reading.balance for reading in account_of(told.rows).readings] == [2]


def test_covered_are_the_days_that_were_read_and_without_any_reading_those_with_rows() -> None:
    rows = [a_row(n, MARCH_1 - n * 100, -n) for n in range(4)]
    read = rows_of(someone(fetched(*rows), reading(5, day=2)))
    assert account_of(read).covered == ((MARCH_1 - 300, MARCH_1 + 2),)
    assert account_of(rows_of(someone(fetched(*rows)))).covered == ((MARCH_1 - 300, MARCH_1),)
    # Also those after the reference day: balances are walked back over them.
    assert account_of(read, as_of=MARCH_1 - 50).covered == ((MARCH_1 - 300, MARCH_1 + 2),)
    brought = rows_of(someone(fetched(*rows)))
    assert account_of(brought, as_of=MARCH_1 - 50).covered == ((MARCH_1 - 300, MARCH_1),)
    assert account_of(rows_of(someone())).covered == ()


def test_an_account_says_who_it_is() -> None:
    owners = (Owner(full_name="Ada Lovelace"), Owner(first_name="Grace", last_name="Hopper"), Owner())
    details = {"name": "Compte", "iban": "FR76", "number": "1", "usage": "PRIV", "owners": owners}
    account = account_of(rows_of(someone(reading(5, limit=300, reserved=2), **details)))
    assert (account.name, account.iban, account.number, account.usage) == ("Compte", "FR76", "1", "PRIV")
    assert account.owners == ("Ada Lovelace", "Grace Hopper")
    assert (account.balance, account.available, account.limit, account.reserved) == (5, None, 300, 2)
    assert (account.kind, account.currency, account.exponent, account.closed) == ("CHECKING", "EUR", 2, None)


# Laws


@settings(max_examples=60)
@given(histories(steps=40) | families())
def test_books_hold_each_row_that_is_shown_once_and_in_order(told: Any) -> None:
    history, _ = told
    rows = MemoryRows()
    for recorded in history.recorded:
        models.project(recorded, rows)
    for consumer in (ADA, BOB):
        found = books_of(rows, TENANT, consumer, since=0)
        if found is None:
            assert rows.get(OBSERVED, TENANT, consumer) is None
            continue
        for account in found.accounts:
            key = bytes.fromhex(account.id.replace("-", ""))
            shown = {row.id for row in rows.scan(TRANSACTIONS, key) if row.amount is not None}
            assert [row.id for row in account.rows if row.id in shown] == [row.id for row in account.rows]
            assert {row.id for row in account.rows} == shown
            assert list(account.rows) == sorted(account.rows, key=lambda row: (row.day, row.id))
            days = [reading.day for reading in account.readings]
            assert days == sorted(set(days))
            edges = [day for days in account.covered for day in days]
            assert edges == sorted(edges) and all(
                after > before + 1 for before, after in zip(edges[1::2], edges[2::2], strict=False)
            )
        assert booked_count(rows, TENANT, consumer, 0) >= sum(len(account.rows) for account in found.accounts)


def test_a_row_that_never_came_is_in_no_books() -> None:
    history = someone(fetched(a_row(1, MARCH_1, -5, pending=True)), expired(1))
    assert account_of(rows_of(history)).rows == account_of(rows_of(history)).pending == ()
