"""What is kept of flows is what all rows say, and costs no more where there are more of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryGeneration, MemoryRows
from domain.transactions import date_of
from projections import answers
from projections.accounts import OBSERVED
from projections.catch_up import catch_up
from projections.credit_insights import document
from projections.flows import FLOWS, flow_of, sums_of
from projections.models import fold
from projections.ports import Rows, Table
from projections.shown import TRANSACTIONS
from tests.projections import naive_insights
from tests.projections.examples import (
    ADA,
    BOB,
    MARCH_1,
    TENANT,
    History,
    ListSource,
    a_row,
    discovered,
    families,
    fetched,
    histories,
    modified,
    of_account,
    of_consumer,
    reading,
    registered,
    removed,
)


def assert_as_naive(history: History, rows: Rows) -> None:
    for consumer_id in (ADA, BOB):
        found = document(rows, TENANT, consumer_id)
        if rows.get(OBSERVED, TENANT, consumer_id) is None:
            assert found is None
        else:
            assert found == answers.encode(naive_insights.insights(history, rows, TENANT, consumer_id))


@settings(max_examples=150)
@given(histories(steps=40) | families(), st.integers(1, 40), st.integers(1, 30), st.booleans())
def test_the_document_is_what_all_rows_say_at_every_moment(
    told: Any, seen: int, facts_max: int, building: bool
) -> None:
    history, _ = told
    generation = MemoryGeneration()
    for upto in (min(seen, len(history.recorded)), len(history.recorded)):
        so_far = History()
        so_far.recorded = history.recorded[:upto]
        catch_up(ListSource(so_far.recorded), generation, facts_max=facts_max, building=building)
        assert_as_naive(so_far, generation.rows)


@given(histories(steps=40))
def test_flows_are_the_sums_of_the_rows_of_all_accounts(told: Any) -> None:
    rows = MemoryRows()
    fold(told[0].recorded, rows)
    summed: defaultdict[Any, int] = defaultdict(int)
    for row in rows.scan(TRANSACTIONS):
        if row.amount is not None:
            day = date_of(row.booked_on)
            flow = flow_of(row.kind, row.root, row.amount)
            summed[row.account, day.year * 12 + day.month - 1, *flow] += row.amount
    kept = {
        (row.account, row.month, *flow): total for row in rows.scan(FLOWS) for flow, total in sums_of(row)
    }
    assert kept == summed


def flows_after(*facts: Any) -> list[tuple[str, str, int]]:
    rows = MemoryRows()
    fold(History().add(of_account(), discovered(), *facts).recorded, rows)
    return [(flow.type, flow.root, total) for row in rows.scan(FLOWS) for flow, total in sums_of(row)]


def test_a_row_that_is_edited_removed_or_booked_moves_between_flows() -> None:
    added = fetched(
        a_row(1, MARCH_1, -5, kind="order", wording="EDF"), a_row(2, MARCH_1, -7, wording="CB", pending=True)
    )
    assert flows_after(added) == [("DIRECT_DEBIT", "EDF", -5)]
    assert flows_after(added, modified(a_row(1, MARCH_1, 6, kind="order", wording="EDF"))) == [
        ("ORDER", "EDF", 6)
    ]
    assert flows_after(added, modified(a_row(2, MARCH_1 + 1, -8, wording="CB 2"))) == [
        ("BANK", "CB", -8),
        ("DIRECT_DEBIT", "EDF", -5),
    ]
    assert flows_after(added, removed(1)) == []
    assert flows_after(added, removed(1), fetched(a_row(1, MARCH_1, -5, wording="EDF"))) == [
        ("BANK", "EDF", -5)
    ]


def test_rows_that_come_to_nothing_are_a_flow_all_the_same() -> None:
    both = fetched(a_row(1, MARCH_1, 0, wording="CB"), a_row(2, MARCH_1, 0, wording="CB"))
    assert flows_after(both, removed(1)) == [("BANK", "CB", 0)]


_moves = st.lists(st.tuples(st.integers(-700, 30), st.integers(-50, 50)), min_size=1, max_size=40)


@given(_moves, st.integers(-120, 120), st.none() | st.integers(0, 60))
def test_hard_overdraft_over_many_months_is_what_a_walk_day_by_day_counts(
    moves: list[tuple[int, int]], balance: int, limit: int | None
) -> None:
    told = [a_row(number, MARCH_1 + day, amount) for number, (day, amount) in enumerate(moves)]
    history = History().add(of_consumer(), registered())
    history.add(of_account(), discovered(), fetched(*told), reading(balance, limit=limit))
    rows = MemoryRows()
    fold(history.recorded, rows)
    assert_as_naive(history, rows)


# What it costs


class CountingRows(MemoryRows):
    """Counts the rows that are read and written."""

    def __init__(self) -> None:
        super().__init__()
        self.touched: defaultdict[str, int] = defaultdict(int)

    def get(self, table: Table, *key: Any) -> Any | None:
        self.touched[table.name] += 1
        return super().get(table, *key)

    def put(self, table: Table, row: tuple[Any, ...]) -> None:
        self.touched[table.name] += 1
        super().put(table, row)

    def scan(self, table: Table, *prefix: Any, at_least: Any = None, at_most: Any = None) -> Iterator[Any]:
        for row in super().scan(table, *prefix, at_least=at_least, at_most=at_most):
            self.touched[table.name] += 1
            yield row

    def find(self, table: Table, index: str, *values: Any) -> Iterator[Any]:
        for row in super().find(table, index, *values):
            self.touched[table.name] += 1
            yield row

    def among(
        self, table: Table, *prefix: Any, values: Sequence[Any], index: str | None = None
    ) -> Iterator[Any]:
        for row in super().among(table, *prefix, values=values, index=index):
            self.touched[table.name] += 1
            yield row


def a_long_history(each_month: int) -> History:
    """Five years with so many rows in each thirty days."""
    told = [
        a_row(100 + month * each_month + number, MARCH_1 - 30 * month, -number, wording=f"CB {number % 3}")
        for month in range(60)
        for number in range(each_month)
    ]
    history = History().add(of_consumer(), registered()).add(of_account(), discovered(), reading(5))
    return history.add(of_account(), *(fetched(*told[at : at + 500]) for at in range(0, len(told), 500)))


NEW = (
    fetched(a_row(1, MARCH_1 + 1, -5, wording="CB")),
    modified(a_row(1, MARCH_1 + 1, -6, wording="CB")),
    fetched(a_row(2, MARCH_1 + 1, -5, pending=True)),
    modified(a_row(2, MARCH_1 + 2, -5)),
    removed(1),
)


@pytest.mark.parametrize("place", range(len(NEW)))
def test_projecting_one_row_touches_as_many_rows_after_a_long_history(place: int) -> None:
    touched = []
    for each_month in (1, 50):
        history, rows = a_long_history(each_month).add(of_account(), *NEW[:place]), CountingRows()
        fold(history.recorded, rows)
        rows.touched.clear()
        fold(history.add(of_account(), NEW[place]).recorded[-1:], rows)
        touched.append(dict(rows.touched))
    assert touched[0] == touched[1]
    # The newest row is looked at for the list of accounts, and those that are named.
    assert touched[1]["transactions"] <= 6


def test_reading_the_document_touches_the_rows_of_its_months_and_no_others() -> None:
    rows = CountingRows()
    fold(a_long_history(20).recorded, rows)
    rows.touched.clear()
    assert document(rows, TENANT, ADA) is not None
    of_months = sum(row.booked_on >= MARCH_1 - 366 for row in MemoryRows.scan(rows, TRANSACTIONS))
    near = 2 * 20
    assert of_months <= rows.touched["transactions"] <= of_months + near
    assert rows.touched["flows"] <= 13
