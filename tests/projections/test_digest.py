"""A digest sees every byte, and the first difference is named without its values."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryRows
from projections.digest import digest, first_difference
from projections.models import ALL_TABLES, fold
from tests.projections.examples import (
    CHECKING,
    MARCH_1,
    History,
    a_row,
    discovered,
    fetched,
    histories,
    of_account,
    of_consumer,
    reading,
    registered,
)

ROOT = Path(__file__).parent.parent.parent


def a_history() -> History:
    rows = (a_row(number, MARCH_1 - number, 100 * number - 350, wording=f"w{number}") for number in range(8))
    return (
        History()
        .add(of_consumer(), registered())
        .add(of_account(), discovered(), fetched(*rows), reading(5_00))
    )


def rows_of(history: History) -> MemoryRows:
    rows = MemoryRows()
    fold(history.recorded, rows)
    return rows


def test_one_cent_is_seen_and_named() -> None:
    first, second = rows_of(a_history()), rows_of(a_history())
    table = next(table for table in ALL_TABLES if table.name == "transactions")
    row = next(second.scan(table))
    second.put(table, row._replace(amount=row.amount + 1))
    assert digest(first).whole != digest(second).whole
    changed = {name for name, held in digest(first).tables.items() if held != digest(second).tables[name]}
    assert changed == {"transactions"}
    difference = first_difference(first, second)
    assert (difference.table, difference.columns, difference.presence) == (
        "transactions",
        ("amount",),
        "both",
    )
    assert difference.key == row[:3]
    assert str(difference) == f"transactions {row.account.hex()}/{row.newest}/{row.id.hex()}: amount"


def test_a_row_that_only_one_side_has_is_named() -> None:
    first, second = rows_of(a_history()), rows_of(a_history())
    table = next(table for table in ALL_TABLES if table.name == "accounts")
    second.delete(table, *next(second.scan(table))[:3])
    assert first_difference(first, second).presence == "only_first"
    assert first_difference(second, first).presence == "only_second"
    assert CHECKING in str(first_difference(first, second))


@given(histories(steps=40), st.data())
def test_any_change_of_any_value_is_seen(told: Any, data: Any) -> None:
    history, _ = told
    first, second = rows_of(history), rows_of(history)
    filled = [table for table in ALL_TABLES if next(first.scan(table), None) is not None]
    assume(filled)
    table = data.draw(st.sampled_from(filled))
    row = data.draw(st.sampled_from(list(first.scan(table))))
    column = data.draw(st.sampled_from(table.row._fields[table.key :] or table.row._fields[-1:]))
    value = getattr(row, column)
    other = {int: lambda: value + 1, str: lambda: value + "x", bytes: lambda: value + b"x"}
    second.put(table, row._replace(**{column: other.get(type(value), lambda: "x")()}))
    assert digest(first) != digest(second)
    assert first_difference(first, second).table == table.name


SCRIPT = """
from tests.projections.test_digest import a_history, rows_of
from projections.digest import digest
print(digest(rows_of(a_history())).whole)
"""


@pytest.mark.parametrize(("seed", "zone"), [("1", "Pacific/Kiritimati"), ("2", "America/Los_Angeles")])
def test_neither_the_hash_seed_nor_the_time_zone_matters(seed: str, zone: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone}
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stdout.strip() == digest(rows_of(a_history())).whole
