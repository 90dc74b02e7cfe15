"""Transactions: rows where they are asked for, exact answers, counts that follow every change."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryRows
from domain.insights.months import month_of
from domain.transactions import Transaction, batch_of, day_of
from projections import answers
from projections.accounts import ACCOUNTS, key_of
from projections.bodies import expand
from projections.kinds import kinds_of, type_of
from projections.labels import label_root
from projections.models import fold
from projections.pending import PENDING, REMOVED
from projections.shown import ALL_TYPES, COUNTS, STRAYS, TRANSACTIONS, booked_between
from tests.projections.examples import (
    ADA,
    CHECKING,
    CONNECTION,
    MARCH_1,
    TENANT,
    History,
    a_row,
    discovered,
    fetched,
    histories,
    modified,
    of_account,
    removed,
)

KEY = key_of(CHECKING)


def rows_after(*facts: Any, account: Any = None) -> MemoryRows:
    rows = MemoryRows()
    fold(History().add(of_account(), account or discovered(), *facts).recorded, rows)
    return rows


def answers_of(rows: MemoryRows) -> list[answers.BankTransaction]:
    account = rows.get(ACCOUNTS, TENANT, ADA, CHECKING)
    bodies = expand(account, [row.body for row in rows.scan(TRANSACTIONS, KEY)])
    return [msgspec.json.decode(body, type=answers.BankTransaction) for body in bodies]


def counts_of(rows: MemoryRows) -> dict[tuple[str, int], int]:
    return {(row.type, row.month): row.count for row in rows.scan(COUNTS, KEY)}


def test_a_row_is_answered_in_full() -> None:
    rows = rows_after(
        fetched(
            a_row(
                1,
                date(2024, 3, 2),
                -1999,
                value_on=day_of(date(2024, 3, 4)),
                initiated_on=day_of(date(2024, 3, 1)),
                kind="deferred_card",
                wording='CB "CAFÉ"\n\\',
            )
        )
    )
    assert answers_of(rows) == [
        answers.BankTransaction(
            id="00000009-0000-0000-0000-000000000001",
            account_id=CHECKING,
            amount=Decimal("-19.99"),
            currency="EUR",
            initiated_at="2024-03-01 00:00:00",
            value_date="2024-03-04 00:00:00",
            description='CB "CAFÉ"\n\\',
            transaction_type="CARD",
            provider_name="budget_insight",
            data_connection_id=CONNECTION,
        )
    ]


def test_what_is_kept_expands_to_the_very_bytes_of_the_contract() -> None:
    rows = rows_after(fetched(a_row(1, 19_000, None), a_row(2, 19_001, 5, wording="x", initiated_on=18_999)))
    account = rows.get(ACCOUNTS, TENANT, ADA, CHECKING)
    expanded = expand(account, [row.body for row in rows.scan(TRANSACTIONS, KEY)])
    assert expanded == [answers.encode(answer) for answer in answers_of(rows)]


@pytest.mark.parametrize(
    ("amount", "exponent", "number"),
    [
        (0, 2, "0.00"),
        (5, 2, "0.05"),
        (-5, 2, "-0.05"),
        (-1999, 2, "-19.99"),
        (123456, 2, "1234.56"),
        (1500, 0, "1500"),
        (-1500, 0, "-1500"),
        (-1, 3, "-0.001"),
        (12345, 4, "1.2345"),
        (2**63 - 1, 2, "92233720368547758.07"),
    ],
)
def test_an_amount_has_exactly_its_currencys_decimals(amount: int, exponent: int, number: str) -> None:
    rows = rows_after(fetched(a_row(1, 19_000, amount)), account=discovered("CHECKING", "XXX", exponent))
    body = next(rows.scan(TRANSACTIONS, KEY)).body
    assert body.split(b"\x01")[1].split(b"\x02")[0] == number.encode()


@pytest.mark.parametrize(
    ("kind", "type"),
    [
        ("transfer", "TRANSFER"),
        ("payback", "TRANSFER"),
        ("order", "ORDER"),
        ("check", "CHECK"),
        ("withdrawal", "WITHDRAWAL"),
        ("bank", "BANK"),
        ("card", "CARD"),
        ("deferred_card", "CARD"),
        ("summary_card", "CARD"),
        ("card_summary", "CARD"),
        ("deposit", "BANK"),
        ("loan_payment", "BANK"),
        ("market_order", "BANK"),
        ("", "BANK"),
    ],
)
def test_a_kind_without_a_name_in_the_contract_answers_bank(kind: str, type: str) -> None:
    assert type_of(kind) == type
    assert (kind in kinds_of(type)) is (type != "BANK")


def test_newest_value_day_first_then_by_id() -> None:
    rows = rows_after(fetched(a_row(3, 10, 1), a_row(1, 12, 1), a_row(2, 12, 1), a_row(9, 5, 1, value_on=40)))
    assert [row.reference for row in rows.scan(TRANSACTIONS, KEY)] == ["9", "1", "2", "3"]


def test_a_pending_row_is_kept_apart_and_counted_nowhere() -> None:
    rows = rows_after(fetched(a_row(1, 19_000, -100, pending=True)))
    assert list(rows.scan(TRANSACTIONS)) == [] and list(rows.scan(COUNTS)) == []
    assert [row.reference for row in rows.scan(PENDING, KEY)] == ["1"]


def test_a_pending_row_that_is_booked_moves_over() -> None:
    rows = rows_after(fetched(a_row(1, 19_000, -100, pending=True)), modified(a_row(1, 19_001, -100)))
    assert [row.booked_on for row in rows.scan(TRANSACTIONS, KEY)] == [19_001]
    assert list(rows.scan(PENDING)) == []


def test_an_edited_row_moves_with_its_counts() -> None:
    january, march = day_of(date(2024, 1, 5)), day_of(date(2024, 3, 5))
    rows = rows_after(
        fetched(a_row(1, january, -100, kind="card"), a_row(2, january, -5, kind="card")),
        modified(a_row(1, march, -250, kind="order")),
    )
    assert [(row.reference, row.amount) for row in rows.scan(TRANSACTIONS, KEY)] == [("1", -250), ("2", -5)]
    assert counts_of(rows) == {
        ("ORDER", month_of(march)): 1,
        ("CARD", month_of(january)): 1,
        (ALL_TYPES, month_of(march)): 1,
        (ALL_TYPES, month_of(january)): 1,
    }


def test_a_removed_row_leaves_its_reference_and_comes_back_under_its_id() -> None:
    rows = rows_after(fetched(a_row(1, 19_000, -100)), removed(1))
    assert list(rows.scan(TRANSACTIONS)) == [] and list(rows.scan(COUNTS)) == []
    (tombstone,) = rows.scan(REMOVED, KEY)
    assert (tombstone.reference, tombstone.id) == ("1", a_row(1, 0, 0)[0])
    assert tombstone.digest == a_row(1, 19_000, -100)[1].digest()
    rows = rows_after(fetched(a_row(1, 19_000, -100)), removed(1), fetched(a_row(1, 19_002, -100)))
    assert list(rows.scan(REMOVED)) == []
    assert [row.id for row in rows.scan(TRANSACTIONS, KEY)] == [a_row(1, 0, 0)[0]]


def test_rows_whose_value_day_is_far_from_their_booking_are_listed() -> None:
    facts = fetched(
        a_row(1, 100, 1, value_on=68), a_row(2, 100, 1, value_on=69), a_row(3, 100, 1, value_on=131),
        a_row(4, 100, 1, value_on=132), a_row(5, 100, 1), a_row(6, 100, 1, value_on=900, pending=True),
    )  # fmt: skip
    assert [(row.booked_on, row.newest) for row in rows_after(facts).scan(STRAYS)] == [
        (100, -132),
        (100, -68),
    ]
    rows = rows_after(facts, modified(a_row(1, 100, 1, value_on=70)), removed(4))
    assert list(rows.scan(STRAYS)) == []


@given(histories(), st.integers(MARCH_1 - 950, MARCH_1 + 50), st.integers(0, 400))
def test_the_rows_booked_in_some_days_are_found_wherever_their_value_days_lie(
    told: Any, first: int, size: int
) -> None:
    rows = MemoryRows()
    fold(told[0].recorded, rows)
    for account in rows.scan(ACCOUNTS):
        key = key_of(account.id)
        expected = [row for row in rows.scan(TRANSACTIONS, key) if first <= row.booked_on <= first + size]
        assert booked_between(rows, key, first, first + size) == expected
    held = [row for row in rows.scan(TRANSACTIONS) if abs(row.booked_on + row.newest) > 31]
    assert set(rows.scan(STRAYS)) == {(row.account, row.booked_on, row.newest, row.id) for row in held}


def test_facts_of_an_account_that_is_not_there_leave_nothing() -> None:
    rows = MemoryRows()
    fold(History().add(of_account(), fetched(a_row(1, 19_000, -100))).recorded, rows)
    assert list(rows.scan(TRANSACTIONS)) == []


def test_a_row_has_the_root_of_its_wording() -> None:
    rows = rows_after(fetched(a_row(1, 19_000, 1, wording="CB N°12 é 03/24"), a_row(2, 18_000, 1)))
    assert [row.root for row in rows.scan(TRANSACTIONS, KEY)] == [label_root("CB N°12 é 03/24"), ""]


@given(histories())
def test_counts_are_the_counts_of_the_rows(told: Any) -> None:
    rows = MemoryRows()
    fold(told[0].recorded, rows)
    counted: Counter[tuple[bytes, str, int]] = Counter()
    for row in rows.scan(TRANSACTIONS):
        counted[row.account, type_of(row.kind), month_of(-row.newest)] += 1
        counted[row.account, ALL_TYPES, month_of(-row.newest)] += 1
    assert {row[:3]: row.count for row in rows.scan(COUNTS)} == counted


@given(st.permutations(range(8)))
def test_the_order_of_rows_in_a_batch_changes_nothing(order: list[int]) -> None:
    # Twins of one day, which a batch keeps in the order given.
    of_number = [a_row(number, 19_000 + number % 2, number - 3, kind="card") for number in range(8)]
    assert_same_rows(
        rows_after(fetched(*of_number)), rows_after(fetched(*(of_number[number] for number in order)))
    )


def assert_same_rows(first: MemoryRows, second: MemoryRows) -> None:
    from projections.digest import first_difference

    assert first_difference(first, second) is None


def test_a_batch_is_read_as_its_rows_are() -> None:
    rows = [
        a_row(number, 19_000 + number, number * 7, value_on=None if number % 2 else 19_010)
        for number in range(5)
    ]
    batch = batch_of(rows)
    kept = {row.id: row for row in rows_after(fetched(*rows)).scan(TRANSACTIONS, KEY)}
    for id, transaction in batch.rows():
        assert isinstance(transaction, Transaction)
        assert -kept[id].newest == (
            transaction.booked_on if transaction.value_on is None else transaction.value_on
        )
        assert kept[id].digest == transaction.digest()
