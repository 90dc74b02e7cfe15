"""Refunds: which credit gives back which debit, and what is none."""

from __future__ import annotations

import random
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.insights.refunds import refunds_in
from tests.domain.insights.books_of import account, row

SHOP = "CARTE 12/03 BOUTIQUE DU PORT"
GIVEN_BACK = "REMBOURSEMENT CB BOUTIQUE DU PORT"


def refunds(*rows, id="a"):
    """By the credit's id that of the debit."""
    found = refunds_in(account(id, rows).rows).debits
    return {credit.decode(): debit.decode() for credit, debit in found.items()}


def debit(booked="2024-03-01", amount=-10_000, wording=SHOP, *labels, id="debit", **more):
    return row(booked, amount, wording, *labels, id=id, **more)


def credit(booked="2024-03-20", amount=10_000, wording=GIVEN_BACK, *labels, id="credit", **more):
    return row(booked, amount, wording, *labels, id=id, **more)


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param((debit(), credit()), id="the same name, however it was paid"),
        pytest.param(
            (debit(wording="X", other="FR76"), credit(wording="Y", other="FR76")), id="the same account"
        ),
        pytest.param(
            (
                row("2024-03-01", -10_000, "PRLV ZAL", "SHOPPING", id="debit", brand="Zalando"),
                row("2024-03-20", 10_000, "VIR ZALANDO SE", "OTHER_ENTRY", id="credit", brand="Zalando"),
            ),
            id="the same brand",
        ),
        pytest.param((debit(), credit(amount=4_000)), id="a part"),
        pytest.param((debit(), credit("2024-03-01")), id="on the day itself"),
        pytest.param((debit(), credit("2024-05-30")), id="90 days later"),
    ],
)
def test_a_refund(pair):
    assert refunds(*pair) == {"credit": "debit"}


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param((debit(), credit(amount=10_001)), id="more than was paid"),
        pytest.param((debit(), credit("2024-05-31")), id="91 days later"),
        pytest.param((debit("2024-03-21"), credit()), id="before the debit"),
        pytest.param((debit(), credit(wording="VIR AUTRE MAGASIN")), id="of another name"),
        pytest.param((debit(wording="CARTE 1"), credit(wording="VIREMENT 2")), id="of no name"),
        pytest.param((debit(), credit("2024-03-20", 10_000, SHOP, "WAGE")), id="a wage"),
        pytest.param(
            (debit(), credit("2024-03-20", 10_000, SHOP, "PAYMENT_REJECTION")), id="a returned payment"
        ),
        pytest.param((debit(), credit("2024-03-20", 10_000, SHOP, "GAMBLING_GAIN")), id="a gain"),
        pytest.param((debit(), credit("2024-03-20", 10_000, SHOP, "LOAN_DRAWDOWN")), id="a loan"),
    ],
)
def test_no_refund(pair):
    assert refunds(*pair) == {}


def test_no_refund_on_another_account():
    rows = [*account("a", [debit()]).rows, *account("b", [credit()]).rows]
    assert refunds_in(rows).debits == {}


def test_the_debit_of_equal_amount_goes_first_then_the_latest():
    equal, larger = debit(id="equal"), debit("2024-03-10", -20_000, id="larger")
    assert refunds(equal, larger, credit()) == {"credit": "equal"}
    assert refunds(debit(id="old"), debit("2024-03-10", id="new"), credit()) == {"credit": "new"}


def test_a_debit_is_given_back_in_parts_and_no_more_than_it_was():
    """100.00 was paid: 60.00 and 40.00 come back, and then a last 10.00 is of nothing."""
    parts = [
        credit("2024-03-10", 6_000, id="1"),
        credit("2024-03-11", 4_000, id="2"),
        credit("2024-03-12", 1_000, id="3"),
    ]
    assert refunds(debit(), *parts) == {"1": "debit", "2": "debit"}


NAMES = st.sampled_from(["CB ALPHA", "AVOIR ALPHA", "VIR BETA", "PRLV BETA SARL", "CB 12"])
ROWS = st.lists(
    st.builds(
        row,
        st.integers(19_000, 19_120),
        st.sampled_from([-300, -200, -100, 100, 150, 200]),
        NAMES,
        other=st.sampled_from(["", "", "FR1"]),
    ),
    max_size=25,
)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows, chance: random.Random):
    held = account("a", rows).rows
    assert refunds_in(chance.sample(held, len(held))) == refunds_in(held)


@given(ROWS)
def test_no_debit_is_given_back_by_more_than_it_was(rows):
    held = {one.id: one for one in account("a", rows).rows}
    given_back: dict[bytes, int] = {}
    for credit_id, debit_id in refunds_in(held.values()).debits.items():
        one, other = held[credit_id], held[debit_id]
        assert one.amount > 0 > other.amount
        assert 0 <= one.day - other.day <= 90
        given_back[debit_id] = given_back.get(debit_id, 0) + one.amount
    assert all(amount <= -held[id].amount for id, amount in given_back.items())


def test_a_shop_with_thousands_of_both_takes_no_long():
    rows = [row(19_000 + place % 90, -100, "CB ALPHA", id=f"d{place}") for place in range(5_000)]
    rows += [row(19_090, 101, "CB ALPHA", id=f"c{place}") for place in range(5_000)]
    held = account("a", rows).rows
    before = process_time()
    assert refunds_in(held).debits == {}
    assert process_time() - before < 5
