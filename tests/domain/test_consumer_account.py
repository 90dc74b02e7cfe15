from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import consumer_account as ca
from domain.consumer_account import AccountDetails, Known, TransactionsFetched, record_transactions
from domain.fact import Erased
from domain.transactions import Batch, Transaction, batch_of
from tests.domain.examples import (
    MONDAY,
    TUESDAY,
    a_reading,
    a_transaction,
    an_account,
    folded,
    ids,
    known_after,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=4,
)
rows = st.builds(
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
        st.sampled_from(["vdate", "comment", "last_update", "counterparty"]), json_values, max_size=4
    ),
)


def test_a_reading_no_newer_than_ours_is_ignored():
    given = an_account(a_reading(9_000, TUESDAY))
    assert ca.refresh_balance(given, a_reading(7_500, MONDAY)) == ()
    assert ca.refresh_balance(given, a_reading(9_000, TUESDAY)) == ()


def test_the_same_balance_read_later_is_news():
    given = an_account(a_reading(9_000, MONDAY))
    assert ca.refresh_balance(given, a_reading(9_000, TUESDAY)) == (a_reading(9_000, TUESDAY),)


def test_a_reading_corrected_within_its_moment_is_news():
    given = an_account(a_reading(9_000, MONDAY))
    assert ca.refresh_balance(given, a_reading(9_001, MONDAY))


def test_details_are_recorded_when_they_change():
    request = {
        "connection_id": "c1",
        "provider": "budget_insight",
        "reference": "2318",
        "currency": "EUR",
        "exponent": 2,
    }
    first = ca.discover(ca.initial, **request, details=AccountDetails(name="A"))
    given = folded(ca, *first)
    assert ca.discover(given, **request, details=AccountDetails(name="A")) == ()
    assert ca.discover(given, **request, details=AccountDetails(name="B")) == (
        ca.AccountDetailsChanged(details=AccountDetails(name="B")),
    )


def test_a_closed_account_reopens_when_it_is_seen_again():
    closed = an_account(ca.AccountClosed(reason="disabled"))
    assert ca.close(closed, "disabled") == ()
    facts = ca.discover(
        closed, connection_id="c1", provider="budget_insight", reference="2318", currency="EUR", exponent=2,
        details=AccountDetails(kind="CHECKING", name="Compte courant"),
    )  # fmt: skip
    assert facts == (ca.AccountReopened(),)
    assert folded(ca, *facts, state=closed) == an_account()


def test_a_closed_account_can_still_lose_its_connection():
    closed = an_account(ca.AccountClosed(reason="disabled"))
    facts = ca.close(closed, ca.CONNECTION_DELETED)
    assert facts == (ca.AccountClosed(reason=ca.CONNECTION_DELETED),)
    gone = folded(ca, *facts, state=closed)
    assert ca.close(gone, ca.CONNECTION_DELETED) == () and ca.close(gone, "disabled") == ()


def test_an_account_whose_key_was_destroyed_takes_nothing():
    gone = folded(ca, Erased("AccountDiscovered.1"))
    assert ca.refresh_balance(gone, a_reading(1)) == () and ca.close(gone, "x") == ()


def test_twins_of_one_day_stay_two():
    facts = record_transactions([a_transaction("1"), a_transaction("2")], {}, ids())
    assert sum(len(fact.added) for fact in facts) == 2


def test_an_edit_a_removal_and_a_return_keep_the_id():
    first = record_transactions([a_transaction("1")], {}, ids())
    known = known_after(first)
    edited = record_transactions([a_transaction("1", amount=-1)], known, ids())
    assert edited[0].modified.id(0) == known["1"].id and not edited[0].added
    known = known_after(edited, known)
    taken_back = record_transactions([a_transaction("1", amount=-1, deleted=True)], known, ids())
    assert taken_back[0].removed.references == ["1"]
    known = known_after(taken_back, known)
    assert record_transactions([a_transaction("1", deleted=True)], known, ids()) == ()
    back = record_transactions([a_transaction("1", amount=-1)], known, ids())
    assert back[0].added.id(0) == known["1"].id


def test_a_row_that_was_taken_back_before_we_saw_it_is_nothing():
    assert record_transactions([a_transaction(deleted=True)], {}, ids()) == ()


def test_a_touched_row_that_says_the_same_is_no_edit():
    known = known_after(record_transactions([a_transaction(fields={"last_update": "a"})], {}, ids()))
    assert record_transactions([a_transaction(fields={"last_update": "b"})], known, ids()) == ()


def test_a_fact_holds_a_thousand_transactions_at_most():
    many = [a_transaction(str(number), booked_on=20_000 + number % 30) for number in range(2_500)]
    facts = record_transactions(many, {}, ids())
    assert [len(fact.added) for fact in facts] == [1_000, 1_000, 500]
    days = [day for fact in facts for day in fact.added.booked_on]
    assert days == sorted(days)


@given(st.lists(rows, max_size=14), st.lists(rows, max_size=14))
def test_a_fetch_said_twice_adds_nothing(before, fetched):
    known = known_after(record_transactions(before, {}, ids()))
    facts = record_transactions(fetched, known, ids())
    assert record_transactions(fetched, known_after(facts, known), ids()) == ()


@given(st.lists(rows, max_size=14))
def test_what_is_held_is_what_the_bank_shows(fetched):
    """Money in equals money out: the last word on every reference, and nothing else."""
    shown = {row.reference: row for row in fetched if True}
    expected = {reference: row for reference, row in shown.items() if not row.deleted}
    facts = record_transactions(fetched, {}, ids())
    held = {row.reference: row for fact in facts for _, row in fact.added.rows()}
    assert held == {
        reference: msgspec.structs.replace(row, deleted=False) for reference, row in expected.items()
    }
    assert sum(row.amount or 0 for row in held.values()) == sum(row.amount or 0 for row in expected.values())


@given(st.lists(rows, max_size=14, unique_by=lambda row: row.reference))
def test_columns_give_back_the_rows(transactions):
    transactions = [msgspec.structs.replace(row, deleted=False) for row in transactions]
    new_id = ids()
    given_rows = [(new_id(), row) for row in transactions]
    batch = batch_of(given_rows)
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(batch), type=Batch)
    assert stored == batch
    back = list(stored.rows())
    assert sorted(back, key=lambda row: row[0]) == given_rows
    assert [row.booked_on for _, row in back] == sorted(row.booked_on for row in transactions)
    assert [stored.digest(index) for index in range(len(stored))] == [row.digest() for _, row in back]


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


@pytest.mark.parametrize("known", [Known(b"i" * 16, b"", removed=True)])
def test_facts_are_empty_only_where_nothing_is_new(known):
    assert record_transactions([a_transaction("1")], {"1": known}, ids()) != ()
    assert TransactionsFetched().added == Batch()
