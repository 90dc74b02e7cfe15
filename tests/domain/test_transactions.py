from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.transactions import BOOKKEEPING_FIELDS, EMPTY, Batch, Bookings, batch_of
from tests.domain.examples import MONDAY, TUESDAY, a_booked_row, a_pending_row, a_transaction, ids, stored
from tests.domain.strategies import json_values, moments, rows, rows_with


@given(st.lists(rows_with(json_values), max_size=9, unique_by=lambda row: row.reference))
def test_columns_give_back_the_rows(transactions):
    """All of each row; of a booked one nobody asks any more when the provider saw and touched it."""
    new_id = ids()
    given_rows = [(new_id(), msgspec.structs.replace(row, deleted=False)) for row in transactions]
    batch = batch_of(given_rows)
    kept = stored(batch, Batch)
    assert kept == batch
    back = list(kept.rows())
    assert sorted(back, key=lambda row: row[0]) == [
        (id, row if row.pending else msgspec.structs.replace(row, seen_at=None, touched_at=None))
        for id, row in given_rows
    ]
    assert [row.booked_on for _, row in back] == sorted(row.booked_on for row in transactions)
    assert [kept.digest(index) for index in range(len(kept))] == [row.digest() for _, row in back]


def test_a_constant_column_is_one_value_and_keeps_its_type():
    batch = batch_of(
        [
            (b"a" * 16, a_transaction("1", fields={"f": 1})),
            (b"b" * 16, a_transaction("2", fields={"f": True})),
        ]
    )
    assert batch.fields["f"] == [1, True]
    batch = batch_of(
        [(b"a" * 16, a_transaction("1", fields={"f": 1})), (b"b" * 16, a_transaction("2", fields={"f": 1}))]
    )
    assert batch.fields["f"] == [1]


# The times of pending rows


def test_times_are_kept_of_pending_rows_alone_at_their_own_places():
    new_id = ids()
    batch = batch_of(
        [
            (new_id(), a_pending_row("p2", booked_on=20_009, seen_at=MONDAY, touched_at=TUESDAY)),
            (new_id(), a_booked_row("b1", booked_on=20_005)),
            (new_id(), a_pending_row("p3", booked_on=20_007, seen_at=None, touched_at=None)),
            (new_id(), a_pending_row("p1", booked_on=20_001, seen_at=None, touched_at=MONDAY)),
        ]
    )
    assert batch.references == ["p1", "b1", "p3", "p2"] and batch.pending == [0, 2, 3]
    assert batch.pending_times == {0: (None, MONDAY), 3: (MONDAY, TUESDAY)}
    times = {row.reference: (row.seen_at, row.touched_at) for _, row in stored(batch, Batch).rows()}
    assert times == {
        "p1": (None, MONDAY), "p2": (MONDAY, TUESDAY), "p3": (None, None), "b1": (None, None)
    }  # fmt: skip


def test_without_pending_rows_a_batch_takes_no_more_room_than_before():
    batch = batch_of([(b"a" * 16, a_booked_row("1")), (b"b" * 16, a_booked_row("2"))])
    assert batch.pending_times == {}
    assert b"pending_times" not in msgspec.msgpack.encode(batch)


def test_a_batch_stored_before_times_were_kept_is_read_without_them():
    batch = batch_of([(b"a" * 16, a_pending_row())])
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(batch))
    del fields["pending_times"]
    ((_, row),) = stored(fields, Batch).rows()
    assert row == a_pending_row(seen_at=None, touched_at=None)


# Digests


@given(rows, st.none() | moments, st.none() | moments, st.text(max_size=8))
def test_when_a_row_was_seen_and_touched_is_not_what_it_says(row, seen_at, touched_at, reference):
    said = row.digest()
    assert msgspec.structs.replace(row, seen_at=seen_at, touched_at=touched_at).digest() == said
    assert msgspec.structs.replace(row, reference=reference).digest() == said
    bookkeeping = dict.fromkeys(BOOKKEEPING_FIELDS, "2026-03-02 09:00:00")
    assert msgspec.structs.replace(row, fields={**row.fields, **bookkeeping}).digest() == (
        msgspec.structs.replace(
            row, fields={name: value for name, value in row.fields.items() if name not in BOOKKEEPING_FIELDS}
        ).digest()
    )


@pytest.mark.parametrize(
    "change",
    [
        {"booked_on": 20_001}, {"initiated_on": 19_999}, {"value_on": 20_002}, {"amount": -4236},
        {"amount": None}, {"amount_text": "-42.350000000000001"}, {"kind": "transfer"}, {"wording": "X"},
        {"wording": None}, {"pending": True}, {"fields": {"comment": ""}}, {"fields": {"comment": None}},
    ],
    ids=str,
)  # fmt: skip
def test_whatever_a_row_says_is_in_its_digest(change):
    assert a_transaction(**change).digest() != a_transaction().digest()


@given(st.dictionaries(st.text(max_size=4), st.integers(-(2**63), 2**63), max_size=5))
def test_the_order_in_which_fields_are_given_says_nothing(fields):
    backwards = dict(reversed(fields.items()))
    assert a_transaction(fields=fields).digest() == a_transaction(fields=backwards).digest()


# Bookings


def test_bookings_give_back_the_pairs():
    one, two, three, four = (bytes([number]) * 16 for number in range(4))
    bookings = Bookings(
        pending_ids=one + two,
        pending_references=["p1", "p2"],
        booked_ids=three + four,
        booked_references=["b1", "b2"],
        rules=["link", "scored"],
        scores=[100, 71],
    )
    kept = stored(bookings, Bookings)
    assert kept == bookings and len(kept) == 2
    assert list(kept.pairs()) == [(one, "p1", three, "b1"), (two, "p2", four, "b2")]


def test_nothing_takes_no_room():
    assert (len(EMPTY), len(Bookings()), list(EMPTY.rows()), list(Bookings().pairs())) == (0, 0, [], [])
    assert msgspec.msgpack.encode(EMPTY) == msgspec.msgpack.encode(Bookings()) == b"\x80"
