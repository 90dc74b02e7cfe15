"""R1 to R8 by hand."""

from __future__ import annotations

import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.insights.analysis import Analysis
from domain.insights.figures import INSUFFICIENT_HISTORY
from domain.insights.recurring import METRICS
from domain.insights.streams import streams_in
from tests.domain.insights.books_of import account, books, day, row, window

BY_ID = {metric.id: metric for metric in METRICS}
HALF_YEAR = window("2024-01-01", "2024-06-30")
COVERED = ("2024-01-01", "2024-06-30")
SAVINGS = "FR7600000000000000000000202"


def figures(id, *accounts, over=HALF_YEAR, as_of="2024-06-30", **more):
    return list(BY_ID[id].compute(Analysis(books(*accounts, as_of=as_of), **more), over))


def figure(id, *accounts, **more):
    (found,) = figures(id, *accounts, **more)
    return found


def rent():
    """900.00 on 5 January, 5 February, 5 March, 5 April, 6 May, 5 June."""
    days = ("2024-01-05", "2024-02-05", "2024-03-05", "2024-04-05", "2024-05-06", "2024-06-05")
    return [row(one, -90_000, "PRLV LOYER", "RENT", id=f"rent-{one}-") for one in days]


def test_r1_to_r7_by_hand():
    """The rent above, looked at on 30 June.

    Gaps 31, 29, 31, 31, 30: median 31, mean 30.4, all within 26-35: MONTHLY, regularity 100. Due on the 5th. 5 June
    + 31 is 6 July, moved to 5 July; 20 % of 31 is 6.2: 6 days. 5 July + 6 is not before 30 June: MATURE. The first
    covered day is 1 January, + 31 is 1 February: it had begun before. 5 June + 31 is not before 30 June: goes on.
    """
    held = account("a", rent(), covered=COVERED)
    (stream,) = streams_in(held, day("2024-06-30"))
    whole = figure("R1", held)
    assert whole.value == [
        {
            "id": stream.id,
            "account": "a",
            "direction": "debit",
            "label_root": "PRLV LOYER",
            "label": "PRLV LOYER",
            "labels": ["RENT"],
            "brand": None,
            "cadence": "MONTHLY",
            "status": "MATURE",
            "next_expected": "2024-07-05",
            "tolerance": 6,
            "regularity": 100,
            "due_days": [5],
            "interval": {"min": 29, "max": 31},
            "mean_days": "30.40",
            "repartition": "NONE",
            "calendar": [{"month": f"2024-{month:02d}", "amount": -90_000} for month in range(1, 7)],
            "total": -540_000,
            "average": -90_000,
            "count": 6,
            # Sixteen bytes are shown as a UUID: `rent-2024-01-05-` is 72656e74 2d32 3032 342d 30312d30352d.
            "transactions": [
                "72656e74-2d32-3032-342d-30312d30352d",
                "72656e74-2d32-3032-342d-30322d30352d",
                "72656e74-2d32-3032-342d-30332d30352d",
                "72656e74-2d32-3032-342d-30342d30352d",
                "72656e74-2d32-3032-342d-30352d30362d",
                "72656e74-2d32-3032-342d-30362d30352d",
            ],
        }
    ]
    assert (whole.currency, whole.n, whole.covered_days, whole.status) == ("EUR", 6, 182, "ok")
    parts = {id: figure(id, held).value for id in ("R2", "R3", "R4", "R5", "R6", "R7")}
    assert parts == {
        "R2": [{"id": stream.id, "cadence": "MONTHLY"}],
        "R3": [{"id": stream.id, "status": "MATURE"}],
        "R4": [{"id": stream.id, "next_expected": "2024-07-05", "tolerance": 6}],
        "R5": [
            {
                "id": stream.id,
                "regularity": 100,
                "due_days": [5],
                "interval": {"min": 29, "max": 31},
                "mean_days": "30.40",
            }
        ],
        "R6": [{"id": stream.id, "repartition": "NONE"}],
        "R7": [{"id": stream.id, "calendar": whole.value[0]["calendar"]}],
    }


def test_the_window_and_a_parameter_choose_what_is_listed():
    twice = [row(f"2024-01-{on}", -500, "CB SHOP") for on in ("07", "19")]
    held = account("a", [*rent(), *twice], covered=COVERED)
    july = window("2024-06-06", "2024-06-30")
    assert [one["count"] for one in figure("R1", held).value] == [6]
    assert [one["count"] for one in figure("R1", held, parameters={"occurrences_min": 2}).value] == [2, 6]
    assert figure("R1", held, over=july).value == []


def test_r8_by_hand():
    """In May and June: the rent -900.00 twice, a wage 2,000.00 twice; groceries have no cadence and are in neither.

    The order to the own savings account is a stream too, and no outcome: 2 x -100.00 stay out.
    """
    wages = [row(f"2024-0{month}-28", 200_000, "VIR SALAIRE", "WAGE") for month in range(1, 7)]
    shop = [
        row(f"2024-0{1 + place // 2}-{place * 2 + 3:02d}", -700 - place, "CB SHOP") for place in range(10)
    ]
    orders = [row(f"2024-0{month}-10", -10_000, "VIR EPARGNE", other=SAVINGS) for month in range(1, 7)]
    saved = [row(f"2024-0{month}-10", 10_000, "VIR RECU") for month in range(1, 7)]
    accounts = (
        account("a", [*rent(), *wages, *shop, *orders], covered=COVERED),
        account("b", saved, covered=COVERED, kind="SAVINGS", iban=SAVINGS),
    )
    found = figure("R8", *accounts, over=window("2024-05-01", "2024-06-30"))
    assert found.value == {
        "income": {"total": 400_000, "count": 2},
        "outcome": {"total": -180_000, "count": 2},
    }
    assert found.n == 4


# No value


@pytest.mark.parametrize("id", list(BY_ID))
def test_nothing_covered_is_no_history(id):
    held = account("a", rent(), covered=[])
    found = figure(id, held)
    assert (found.value, found.status, found.reason) == (None, INSUFFICIENT_HISTORY, "no_history")


@pytest.mark.parametrize("id", list(BY_ID))
def test_that_nothing_recurs_within_89_days_says_nothing(id):
    short = account("a", [row("2024-06-01", -1)], covered=("2024-04-03", "2024-06-30"))
    assert (figure(id, short).value, figure(id, short).reason) == (None, "history_too_short")
    longer = account("a", [row("2024-06-01", -1)], covered=("2024-04-02", "2024-06-30"))
    assert figure(id, longer).value in (
        [],
        {name: {"total": 0, "count": 0} for name in ("income", "outcome")},
    )


@pytest.mark.parametrize("id", list(BY_ID))
def test_a_figure_per_currency_in_alphabetical_order(id):
    euros = account("a", rent(), covered=COVERED)
    francs = account("b", rent(), covered=COVERED, currency="CHF")
    found = figures(id, euros, francs)
    assert [one.currency for one in found] == ["CHF", "EUR"]
    assert found[1].value == figure(id, euros).value


# Laws

ROWS = st.lists(
    st.builds(
        row,
        st.integers(19_700, 19_900),
        st.integers(-20, 20).map(lambda amount: amount * 1_000),
        st.sampled_from(["PRLV ALPHA", "VIR BETA", "CB 99"]),
        st.sampled_from(["RENT", "WAGE"]),
    ),
    max_size=30,
)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_and_values_are_plain(rows, chance: random.Random):
    held = account("a", rows, covered=(19_700, 19_900))
    mixed = msgspec.structs.replace(held, rows=tuple(chance.sample(held.rows, len(held.rows))))
    over = window(19_700, 19_900)
    for metric in METRICS:
        (one,) = metric.compute(Analysis(books(held, as_of=19_900)), over)
        (other,) = metric.compute(Analysis(books(mixed, as_of=19_900)), over)
        assert one.value == other.value == json.loads(json.dumps(one.value))


@given(ROWS)
def test_streams_sum_to_their_rows(rows):
    held = account("a", rows, covered=(19_700, 19_900))
    found = figure("R1", held, over=window(19_700, 19_900), as_of=19_900, parameters={"occurrences_min": 1})
    assert sum(one["total"] for one in found.value) == sum(one.amount for one in held.rows)
    assert sum(one["count"] for one in found.value) == sum(1 for one in held.rows if one.amount)
