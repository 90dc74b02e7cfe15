"""I1 to I8 by hand."""

from __future__ import annotations

import json
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.categories.vocabulary import LABELS
from domain.insights.analysis import Analysis
from domain.insights.figures import INSUFFICIENT_HISTORY, NOT_APPLICABLE
from domain.insights.income import APART, METRICS, income_rows, median_income, monthly_income
from tests.domain.insights.books_of import account, books, day, row, window

BY_ID = {metric.id: metric for metric in METRICS}
HALF_YEAR = window("2024-01-01", "2024-06-30")
COVERED = ("2024-01-01", "2024-06-30")
SAVINGS = "FR7600000000000000000000202"
NOTHING_APART = {
    "own_transfers": 0,
    "returned_payments": 0,
    "refunds": 0,
    "loan_drawdowns": 0,
    "wage_advances": 0,
    "cash_deposits": 0,
    "savings_withdrawn": 0,
    "said_transfers": 0,
}


def figures(id, *accounts, over=HALF_YEAR, as_of="2024-06-30", **more):
    return list(BY_ID[id].compute(Analysis(books(*accounts, as_of=as_of), **more), over))


def figure(id, *accounts, **more):
    (found,) = figures(id, *accounts, **more)
    return found


def wages(*amounts, wording="VIR SALAIRE ALPHA", label="WAGE", on=28, first=1):
    """One a month of 2024, from a month on."""
    labels = (label,) if label else ()
    return [
        row(f"2024-{month:02d}-{on:02d}", amount, wording, *labels)
        for month, amount in enumerate(amounts, first)
    ]


def held(rows, **more):
    return account("a", rows, **{"covered": COVERED, **more})


# I1


def test_no_label_has_two_reasons_to_be_apart():
    assert len(set().union(*APART.values())) == sum(map(len, APART.values()))


def test_income_and_what_is_apart_by_hand():
    """In January 1,000.00 of wage and 20.00 of a friend; in February 1,500.00 of wage. The rest is listed apart."""
    rows = [
        row("2024-01-05", 100_000, "VIR SALAIRE", "WAGE"),
        row("2024-01-06", 2_000, "VIR AMIE"),
        row("2024-02-05", 150_000, "VIR SALAIRE", "WAGE"),
        # 300.00 from the own savings account: the other side is found.
        row("2024-02-06", 30_000, "VIR RECU", other=SAVINGS),
        # 45.00 of the 60.00 that were paid to the shop, and a fee that the bank gave back.
        row("2024-02-07", -6_000, "CB BOUTIQUE PORT"),
        row("2024-02-20", 4_500, "AVOIR CB BOUTIQUE PORT"),
        row("2024-02-21", 800, "ANNUL FRAIS", "FEE_REVERSAL"),
        row("2024-02-22", 9_900, "REJET PRLV", "PAYMENT_REJECTION"),
        row("2024-02-23", 500_000, "VERSEMENT PRET", "LOAN_DRAWDOWN"),
        row("2024-02-24", 10_000, "ACOMPTE SUR SALAIRE", "WAGE_ADVANCE_PAYMENT", "WAGE"),
        row("2024-02-25", 7_000, "DEPOT ESPECES", "CASH_DEPOSIT"),
        row("2024-02-26", 40_000, "DE MON LIVRET", "DISSAVING"),
        row("2024-02-27", 5_000, "VIR DE COMPTE A COMPTE", "TRANSFER"),
    ]
    savings = account("b", [row("2024-02-05", -30_000)], covered=COVERED, kind="SAVINGS", iban=SAVINGS)
    found = figure("I1", held(rows), savings, over=window("2024-01-01", "2024-02-15", "45d"))
    assert found.value["apart"] == {**NOTHING_APART, "own_transfers": 30_000}
    assert found.value["months"] == [
        {"month": "2024-01", "partial": False, "covered_days": 31, "income": 102_000},
        {"month": "2024-02", "partial": True, "covered_days": 15, "income": 150_000},
    ]
    whole = figure("I1", held(rows), savings, over=window("2024-01-01", "2024-02-29"))
    assert whole.value["income"] == 252_000
    assert whole.value["apart"] == {
        "own_transfers": 30_000,
        "returned_payments": 9_900,
        "refunds": 5_300,
        "loan_drawdowns": 500_000,
        "wage_advances": 10_000,
        "cash_deposits": 7_000,
        "savings_withdrawn": 40_000,
        "said_transfers": 5_000,
    }
    assert whole.n == 3


def test_a_month_without_a_covered_day_is_no_zero():
    found = figure("I1", held(wages(0, 0, 100), covered=("2024-03-01", "2024-06-30")))
    assert [month["income"] for month in found.value["months"]] == [None, None, 100, 0, 0, 0]


def test_a_look_alike_stays_income():
    """500.00 leave the savings account on the day on which an employer pays 500.00."""
    savings = account("b", [row("2024-02-05", -50_000)], covered=COVERED, kind="SAVINGS", iban=SAVINGS)
    found = figure("I1", held([row("2024-02-05", 50_000, "VIR PAIE", "WAGE")]), savings)
    assert found.value["income"] == 50_000


# I2


def test_monthly_income_by_hand():
    """January to June 1,000.00, 1,000.00, 1,000.00, 1,200.00, 0 and 2,500.00: of the six 1,000.00 and 1,000.00 are
    in the middle; the mean is 6,700.00 / 6 = 1,116.67."""
    rows = wages(100_000, 100_000, 100_000, 120_000, 0, 250_000)
    found = figure("I2", held(rows))
    assert found.value == {"median": 100_000, "mean": 111_667, "months": 6}


def test_a_month_that_is_not_whole_is_in_no_average():
    """Covered from 15 January to 20 June: February to May are whole. 1,200.00 and 1,300.00 are in the middle."""
    rows = wages(900_000, 110_000, 120_000, 130_000, 140_000, 900_000)
    found = figure("I2", held(rows, covered=("2024-01-15", "2024-06-20")), as_of="2024-06-20")
    assert found.value == {"median": 125_000, "mean": 125_000, "months": 4}
    assert found.n == 4


def test_the_helpers_tell_the_same():
    analysis = Analysis(books(held(wages(100, 200, 400)), as_of="2024-03-31"))
    over = window("2024-01-01", "2024-03-31")
    assert [row.amount for row in income_rows(analysis, "EUR", over)] == [100, 200, 400]
    assert [month.income for month in monthly_income(analysis, "EUR", over)] == [100, 200, 400]
    assert median_income(analysis, "EUR", over) == 200
    assert median_income(analysis, "EUR", window("2024-01-02", "2024-01-31")) is None


# I3


def test_a_salary_by_hand():
    """Three wages are enough. 2,000.00, 2,100.00 and 2,050.00: the median is 2,050.00, the mean 6,150.00 / 3."""
    rows = wages(200_000, 210_000, 205_000, first=4)
    (salary,) = figure("I3", held(rows)).value["salaries"]
    assert salary | {"stream": ""} == {
        "evidence": "text",
        "stream": "",
        "account": "a",
        "label": "VIR SALAIRE ALPHA",
        "labels": ["WAGE"],
        "cadence": "MONTHLY",
        "count": 3,
        "median": 205_000,
        "average": 205_000,
        "last": 205_000,
        "last_day": "2024-06-28",
        "monthly": 205_000,
    }


def test_what_comes_weekly_is_52_twelfths_a_month():
    """300.00 a week is 1,300.00 a month."""
    rows = [row(day("2024-06-28") - 7 * week, 30_000, "VIR SALAIRE", "WAGE") for week in range(8)]
    (salary,) = figure("I3", held(rows)).value["salaries"]
    assert (salary["cadence"], salary["monthly"]) == ("WEEKLY", 130_000)


def test_two_wages_of_a_couple_are_two():
    rows = [
        *wages(*[238_643] * 6, wording="VIR RON PAYE"),
        *wages(*[204_256] * 6, wording="VIR HERMIONE PAYE"),
    ]
    found = figure("I3", held(rows)).value
    assert sorted(one["monthly"] for one in found["salaries"]) == [204_256, 238_643]


def test_a_firm_that_pays_a_person_much_the_same_is_evidence():
    (salary,) = figure("I3", held(wages(*[200_000] * 6, wording="VIR ALPHA SAS", label=None))).value[
        "salaries"
    ]
    assert salary["evidence"] == "counterparty"


@pytest.mark.parametrize(
    ("rows", "more"),
    [
        pytest.param(wages(*[200_000] * 6, wording="VIR ALPHA", label=None), {}, id="no firm"),
        pytest.param(
            wages(*[200_000] * 6, wording="VIR ALPHA SAS", label=None), {"usage": "ORGA"}, id="to a business"
        ),
        # Mean 1,500.00, deviation 1,000.00: a coefficient of 0.67.
        pytest.param(
            wages(*[50_000, 250_000] * 3, wording="VIR ALPHA SAS", label=None), {}, id="other each time"
        ),
    ],
)
def test_without_evidence_it_is_a_candidate(rows, more):
    found = figure("I3", held(rows, **more)).value
    assert (len(found["salaries"]), len(found["salary_candidates"])) == (0, 1)


@pytest.mark.parametrize("label", ["RETIREMENT_PENSION", "ALLOWANCE_FAMILY", "RENTAL_INCOME", "INTEREST"])
def test_a_pension_or_an_allowance_is_neither(label):
    found = figure("I3", held(wages(*[200_000] * 6, label=label))).value
    assert found == {"salaries": [], "salary_candidates": []}


@pytest.mark.parametrize(
    ("rows", "as_of"),
    [
        pytest.param(wages(200_000, 200_000, first=5), "2024-06-30", id="twice"),
        pytest.param(wages(*[200_000] * 3), "2024-06-30", id="it ended"),
        # 28 January, February, March and May: on 3 July still MATURE, and only two since 6 March.
        pytest.param(
            [*wages(*[200_000] * 3), *wages(200_000, first=5)], "2024-07-03", id="twice in 120 days"
        ),
        pytest.param(
            [row(f"202{year}-06-28", 200_000, "PRIME", "WAGE") for year in (2, 3, 4)],
            "2024-06-30",
            id="yearly",
        ),
        pytest.param(wages(*[200_000] * 6, label="LOAN_DRAWDOWN"), "2024-06-30", id="no income"),
    ],
)
def test_no_salary(rows, as_of):
    found = figure("I3", held(rows), as_of=as_of).value
    assert found == {"salaries": [], "salary_candidates": []}


# I4


@pytest.mark.parametrize(
    ("amounts", "stability", "band"),
    [
        # m = 100, s = 0.
        ([100] * 6, "1.0000", "high"),
        # m = 100, squares 3 x 225 + 3 x 225 = 1,350, by 5 is 270, s = 16.4317: 1 - 0.164317.
        ([85, 115] * 3, "0.8357", "medium"),
        # Of the last six, so the first 9,000 is not in it: m = 100, squares 6 x 1,600 / 5 = 1,920, s = 43.8178.
        ([9_000, 60, 140, 60, 140, 60, 140], "0.5618", "low"),
        # m = 100, squares 4 x 10,000 + 40,000 + 0 ... 500, 0, 0, 0, 0, 100: 160,000 + 4 x 10,000 + 0 = 200,000, by
        # 5 is 40,000, s = 200: 1 - 2 is below 0.
        ([500, 0, 0, 0, 0, 100], "0.0000", "low"),
    ],
)
def test_stability_by_hand(amounts, stability, band):
    last = {6: "2024-06-30", 7: "2024-07-31"}[len(amounts)]
    found = figure(
        "I4", held(wages(*amounts), covered=("2024-01-01", last)), as_of=last, over=window(last, last)
    )
    assert found.value == {"stability": stability, "band": band, "months": 6}


def test_bands_are_of_the_exact_value():
    """Three months 90, 100, 110: m = 100, s = 10, so 0.9; 60, 100, 140: s = 40, so exactly 0.60, which is medium."""
    short = {"covered": ("2024-04-01", "2024-06-30")}
    assert figure("I4", held(wages(90, 100, 110, first=4), **short)).value["band"] == "high"
    assert figure("I4", held(wages(60, 100, 140, first=4), **short)).value == {
        "stability": "0.6000",
        "band": "medium",
        "months": 3,
    }
    assert figure("I4", held(wages(59, 100, 141, first=4), **short)).value["band"] == "low"


def test_no_stability_of_two_months_or_of_nothing():
    short = figure("I4", held(wages(1, 1, first=5), covered=("2024-05-01", "2024-06-30")))
    assert (short.value, short.status, short.reason) == (None, INSUFFICIENT_HISTORY, "too_few_months")
    nothing = figure("I4", held([]))
    assert (nothing.value, nothing.status, nothing.reason) == (None, NOT_APPLICABLE, "no_income")


# I5


@pytest.mark.parametrize(
    ("amounts", "longest", "current"),
    [([1] * 6, 6, 6), ([1, 1, 1, 0, 1, 1], 3, 2), ([1, 1, 0, 0, 1, 0], 2, 0), ([0] * 6, 0, 0)],
)
def test_longevity_by_hand(amounts, longest, current):
    found = figure("I5", held(wages(*amounts)))
    assert found.value == {"longest": longest, "current": current, "months_available": 6}


def test_a_month_that_is_not_known_ends_a_run():
    covered = [("2024-01-01", "2024-02-29"), ("2024-03-15", "2024-06-30")]
    found = figure("I5", held(wages(*[1] * 6), covered=covered))
    assert found.value == {"longest": 3, "current": 3, "months_available": 5}


def test_longevity_tells_from_which_day_on_it_looked():
    """The books begin on 1 March: of January to June four months are left, though all six are covered."""
    analysis = Analysis(books(held(wages(*[1] * 6)), as_of="2024-06-30", since="2024-03-01"))
    (found,) = BY_ID["I5"].compute(analysis, HALF_YEAR)
    assert found.value == {"longest": 4, "current": 4, "months_available": 4}
    assert found.notes == {"since": "2024-03-01"}


# By value day


def test_what_is_booked_after_the_reference_day_is_no_income_yet():
    """
    As of 30 June, by value day: a wage of 3,000.00 was booked on 2 July for 30 June, and 1,000.00 from the own savings
    on 1 July for 30 June. Nothing has come in but 20.00, all of it from one side.
    """
    rows = [
        row("2024-06-10", 2_000, "VIR BETA"),
        row("2024-07-02", 300_000, "VIR SALAIRE", "WAGE", value="2024-06-30"),
        row("2024-07-01", 100_000, "VIR RECU", value="2024-06-30", other=SAVINGS),
    ]
    own = account(
        "s",
        [row("2024-07-01", -100_000, "VIR", value="2024-06-29", other="FR76CURRENT")],
        covered=COVERED,
        kind="SAVINGS",
        iban=SAVINGS,
    )
    current = held(rows, iban="FR76CURRENT")
    june = window("2024-06-01", "2024-06-30")
    (income,) = figures("I1", current, own, over=june, date_basis="value")
    assert (income.value["income"], income.value["apart"]) == (2_000, NOTHING_APART)
    (share,) = figures("I6", current, own, over=june, date_basis="value")
    assert (share.value, share.notes["amount"]) == ("1.0000", 2_000)
    (nothing,) = figures("I6", held(rows[1:]), over=june, date_basis="value")
    assert (nothing.value, nothing.reason) == (None, "no_income")


# I6, I7


def test_concentration_by_hand():
    """4,500.00 of 6,000.00 come from one employer."""
    rows = [*wages(150_000, 150_000, 150_000), *wages(50_000, 100_000, wording="VIR BETA", on=3)]
    found = figure("I6", held(rows))
    assert found.value == "0.7500"
    assert (found.notes["label"], found.notes["amount"]) == ("VIR SALAIRE ALPHA", 450_000)


def test_allowances_by_hand():
    """300.00 of 1,800.00; a pension is income, and no allowance."""
    rows = [
        row("2024-01-05", 20_000, "CAF", "ALLOWANCE_FAMILY"),
        row("2024-01-06", 10_000, "CAF", "STATE_SUBSIDY"),
        row("2024-01-07", 150_000, "CARSAT", "RETIREMENT_PENSION"),
    ]
    assert figure("I7", held(rows)).value == "0.1667"


@pytest.mark.parametrize("id", ["I6", "I7"])
def test_no_share_of_nothing(id):
    found = figure(id, held([row("2024-01-05", -100)]))
    assert (found.value, found.status, found.reason) == (None, NOT_APPLICABLE, "no_income")


# I8


def test_a_missed_deposit_by_hand():
    """Wages on 28 January, February, March: gaps 31 and 29, median 30, tolerance 6, due on the 28th: expected on 27
    April, moved to 28 April, missed on 5 May. It comes again on 28 May and goes on in June."""
    rows = [*wages(100, 100, 100), *wages(100, 100, first=5)]
    found = figure("I8", held(rows))
    assert [(event["day"], event["expected"], event["average"]) for event in found.value] == [
        ("2024-05-05", "2024-04-28", 100)
    ]
    assert figure("I8", held(rows), over=window("2024-05-06", "2024-06-30")).value == []
    assert figure("I8", held(rows), over=window("2024-05-05", "2024-05-05")).value == found.value


@pytest.mark.parametrize(("as_of", "missed"), [("2024-05-04", 0), ("2024-05-05", 1)])
def test_a_deposit_is_missed_when_its_tolerance_is_over(as_of, missed):
    assert len(figure("I8", held(wages(100, 100, 100)), as_of=as_of).value) == missed


@pytest.mark.parametrize(
    ("covered", "missed"),
    [
        ([("2024-01-01", "2024-05-03")], 0),
        ([("2024-01-01", "2024-05-04")], 1),
        # It may have come on the first of May.
        ([("2024-01-01", "2024-04-30"), ("2024-05-02", "2024-06-30")], 0),
    ],
)
def test_a_deposit_is_missed_on_days_that_were_read_alone(covered, missed):
    """Expected on 28 April, with a tolerance of six days, so by 4 May. The other account was read all the time."""
    other = account("b", covered=COVERED)
    assert len(figure("I8", held(wages(100, 100, 100), covered=covered), other).value) == missed


def test_what_comes_on_the_day_after_its_tolerance_is_not_missed():
    rows = [*wages(100, 100, 100), row("2024-05-05", 100, "VIR SALAIRE ALPHA", "WAGE")]
    assert figure("I8", held(rows), over=window("2024-05-01", "2024-05-10")).value == []


def test_a_loan_or_a_debit_that_does_not_come_is_no_missed_deposit():
    rows = [
        *wages(100, 100, 100, label="LOAN_DRAWDOWN"),
        *wages(-100, -100, -100, wording="LOYER", label="RENT"),
    ]
    assert figure("I8", held(rows)).value == []


# No value


@pytest.mark.parametrize("id", list(BY_ID))
def test_nothing_covered_is_no_history(id):
    found = figure(id, held(wages(1, 1, 1), covered=[]))
    assert (found.value, found.status, found.reason) == (None, INSUFFICIENT_HISTORY, "no_history")


@pytest.mark.parametrize("id", ["I3", "I8"])
def test_that_nothing_recurs_within_89_days_says_nothing(id):
    found = figure(id, held([], covered=("2024-04-03", "2024-06-30")))
    assert (found.value, found.reason) == (None, "history_too_short")
    assert figure(id, held([], covered=("2024-04-02", "2024-06-30"))).value is not None


def test_no_month_is_whole():
    found = figure("I2", held(wages(1, 1), covered=("2024-01-02", "2024-02-28")), as_of="2024-02-28")
    assert (found.value, found.reason) == (None, "no_complete_month")


# Laws

ROWS = st.lists(
    st.builds(
        row,
        st.integers(19_700, 19_900),
        st.integers(-20, 20).map(lambda amount: amount * 1_000),
        st.sampled_from(["PRLV ALPHA", "VIR BETA", "CB 99"]),
        st.sampled_from([name for name, kind in LABELS.items() if kind.direction != "debit"]),
    ),
    max_size=30,
)


@given(ROWS)
def test_income_and_what_is_apart_are_all_credits(rows):
    one = account("a", rows, covered=(19_700, 19_900))
    value = figure("I1", one, over=window(19_700, 19_900), as_of=19_900).value
    credits = sum(row.amount for row in one.rows if row.amount > 0)
    assert value["income"] + sum(value["apart"].values()) == credits
    assert sum(month["income"] for month in value["months"]) == value["income"]


@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_order_and_another_currency_change_nothing_and_values_are_plain(rows, others, chance: random.Random):
    one = account("a", rows, covered=(19_700, 19_900))
    mixed = msgspec.structs.replace(one, rows=tuple(chance.sample(one.rows, len(one.rows))))
    francs = account("b", others, covered=(19_700, 19_900), currency="CHF")
    for id in BY_ID:
        over = window(19_700, 19_900)
        alone = figure(id, one, over=over, as_of=19_900)
        _, together = figures(id, mixed, francs, over=over, as_of=19_900)
        assert together.value == alone.value == json.loads(json.dumps(alone.value))
