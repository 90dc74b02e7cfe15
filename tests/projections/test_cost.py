"""What is kept of a row costs no more where there are more of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest

from adapters.read_models.memory import MemoryRows
from domain.fact import Recorded
from projections import models
from projections.credit_insights import document
from projections.models import fold
from projections.ports import Rows, Table
from projections.shown import TRANSACTIONS
from tests.projections.examples import (
    ADA,
    MARCH_1,
    TENANT,
    History,
    a_row,
    discovered,
    fetched,
    modified,
    of_account,
    of_consumer,
    reading,
    registered,
    removed,
)


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


def fold_without_figures(facts: Iterable[Recorded], rows: Rows) -> None:
    """Figures look at the rows of 24 months, and at no others: see `test_insights`."""
    for recorded in facts:
        models.project(recorded, rows)
        for make in models.SMALL_DOCUMENTS:
            make(rows, TENANT, ADA)


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
        fold_without_figures(history.add(of_account(), NEW[place]).recorded[-1:], rows)
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
    # Once for what they say, and once for how they are sent.
    near = 2 * 20
    assert of_months <= rows.touched["transactions"] <= 2 * (of_months + near)
