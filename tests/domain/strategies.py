"""Whatever a provider may show: rows, in all their fields."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from domain.transactions import Transaction
from tests.domain.examples import MONDAY

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
moments = st.integers(-600_000, 600_000).map(lambda minutes: MONDAY + timedelta(minutes=minutes))


def rows_with(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Transaction]:
    """Rows whose provider fields have these values."""
    return st.builds(
        Transaction,
        reference=st.integers(1, 12).map(str),
        booked_on=st.integers(19_990, 20_010),
        initiated_on=st.none() | st.integers(19_990, 20_010),
        value_on=st.none() | st.integers(19_990, 20_010),
        amount=st.none() | st.integers(-(2**62), 2**62),
        amount_text=st.none() | st.just("-19.989999999999998"),
        kind=st.sampled_from(["card", "transfer", "unknown"]),
        wording=st.none() | st.text(max_size=12),
        pending=st.booleans(),
        deleted=st.booleans(),
        fields=st.dictionaries(
            st.sampled_from(["vdate", "comment", "last_update", "counterparty", "webid"]), values, max_size=4
        ),
        seen_at=st.none() | moments,
        touched_at=st.none() | moments,
    )


rows = rows_with(st.sampled_from([None, True, 1, 1.0, "", "T-1", "T-2", [1], {"label": "X"}]))
"""For what becomes of rows; fields of all shapes cost more, and are for what keeps them."""


def histories(steps: st.SearchStrategy[Any], longest: int) -> st.SearchStrategy[list[Any]]:
    """Lists of all lengths alike: left to itself, chance makes nearly all of them short."""
    return st.integers(0, longest).flatmap(lambda size: st.lists(steps, min_size=size, max_size=size))
