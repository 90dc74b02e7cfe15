"""Data quality: each metric worked out by hand, and why one has no value."""

from __future__ import annotations

from fractions import Fraction

import pytest

from domain.consumer_account import DELETED_AT_BANK, NOT_SHOWN
from domain.insights.analysis import Analysis
from domain.insights.figures import INSUFFICIENT_HISTORY, NOT_APPLICABLE, OK
from domain.insights.quality import METRICS, confidence
from tests.domain.insights.books_of import account, books, figures, row, window

# As of 2024-01-31; 31 days.
JANUARY = window("2024-01-01", "2024-01-31")
ROWS = [
    row("2024-01-05", -6_000, "LOYER", "RENT"),
    row("2024-01-10", 9_000, "SALAIRE"),
    row("2024-01-20", -2_000, "???"),
]


def current(rows=ROWS, **more):
    given = {"readings": [("2024-01-31", 5_000)], "covered": ("2024-01-01", "2024-01-31"), **more}
    return account("a", rows, **given)


def told(id, *accounts, within=JANUARY, as_of="2024-01-31", known_at=None, **options):
    analysis = Analysis(books(*accounts, as_of=as_of, known_at=known_at), **options)
    return figures(METRICS, id, analysis, within)


def only(id, *accounts, of="a", **more):
    figure = told(id, *accounts, **more)[of]
    return figure.value, figure.status, figure.reason


# Of an account


def test_q1_counts_from_the_oldest_row_however_old():
    # From the 5th to the 31st.
    assert only("Q1", current()) == (26, OK, None)
    # The books need not hold it: from 2023-01-31 on a year.
    assert only("Q1", current(first_booked=19_388)) == (365, OK, None)


def test_q1_needs_a_row_up_to_the_reference_day():
    assert only("Q1", current([])) == (None, INSUFFICIENT_HISTORY, "no_rows")
    assert only("Q1", current(), as_of="2024-01-04") == (None, INSUFFICIENT_HISTORY, "no_rows")
    assert only("Q1", current(), as_of="2024-01-05") == (0, OK, None)


def test_q2_counts_from_the_newest_row():
    # From the 20th to the 31st; as of the 19th the newest is that of the 10th.
    assert only("Q2", current()) == (11, OK, None)
    assert only("Q2", current(), as_of="2024-01-19") == (9, OK, None)


def test_q2_also_counts_from_a_row_without_an_amount():
    assert only("Q2", current(unknown_days=["2024-01-25"])) == (6, OK, None)


def test_q2_needs_a_row():
    assert only("Q2", current([])) == (None, INSUFFICIENT_HISTORY, "no_rows")


def test_q4_is_rows_by_complete_month():
    # Three rows in January and one in February, both complete: 4 / 2. That of December is in a month that is not covered
    # on all days.
    rows = [*ROWS, row("2024-02-07", -1), row("2023-12-30", -1)]
    one = current(rows, covered=("2023-12-15", "2024-02-29"))
    figure = told("Q4", one, within=window("2023-12-01", "2024-02-29"), as_of="2024-02-29")["a"]
    assert (figure.value, figure.n, figure.notes) == ("2.0000", 4, {"months": 2})


def test_q4_needs_a_complete_month():
    cut = window("2024-01-02", "2024-01-31")
    assert only("Q4", current(), within=cut) == (None, INSUFFICIENT_HISTORY, "no_complete_month")
    assert only("Q4", current(), as_of="2024-01-30") == (None, INSUFFICIENT_HISTORY, "no_complete_month")
    assert only("Q4", current(covered=())) == (None, INSUFFICIENT_HISTORY, "no_history")


def test_q5_is_the_age_of_what_was_read():
    # Read at 20:00 and at 20:30 of the 31st, known up to 21:00:30: an hour and 30 seconds, and half an hour and 30 seconds.
    one = current(transactions_as_of=19_753 * 86_400_000_000 + 73_800_000_000)
    assert only("Q5", one, known_at="2024-01-31 21:00:30") == (
        {"balance": 3_630, "transactions": 1_830},
        OK,
        None,
    )


def test_q5_is_never_negative_and_null_where_nothing_was_read():
    early = "2024-01-31 19:00"
    assert only("Q5", current(transactions_as_of=None), known_at=early) == (
        {"balance": 0, "transactions": None},
        OK,
        None,
    )
    assert only("Q5", current(readings=[])) == (None, INSUFFICIENT_HISTORY, "never_read")


def test_q6_is_the_drift_furthest_from_nothing():
    # Read on the 12th 90.00, on the 15th 95.00, on the 31st 50.00. From the 31st one walks back to 70.00 on the 15th: 25.00
    # too much; from there to 95.00 on the 12th: 5.00 too little.
    readings = [("2024-01-12", 9_000), ("2024-01-15", 9_500), ("2024-01-31", 5_000)]
    assert only("Q6", current(readings=readings)) == ({"drift": 2_500, "day": "2024-01-15"}, OK, None)


def test_q6_of_two_alike_is_the_newest_with_its_sign():
    # On the 12th 10.00 too much, on the 15th 10.00 too little.
    readings = [("2024-01-12", 7_000), ("2024-01-15", 6_000), ("2024-01-31", 5_000)]
    assert only("Q6", current(readings=readings)) == ({"drift": -1_000, "day": "2024-01-15"}, OK, None)


def test_q6_that_there_is_none_is_a_zero():
    readings = [("2024-01-15", 7_000), ("2024-01-31", 5_000)]
    assert only("Q6", current(readings=readings)) == ({"drift": 0, "day": "2024-01-15"}, OK, None)
    assert only("Q6", current()) == (None, INSUFFICIENT_HISTORY, "too_few_readings")


# Of a currency


def test_q3_is_the_share_of_covered_days_and_tells_the_others():
    # Covered: 3 to 12 and 16 to 29, 10 + 14 of 31: 0.774193….
    one = current(covered=[("2024-01-03", "2024-01-12"), ("2024-01-16", "2024-01-29")])
    figure = told("Q3", one)["EUR"]
    assert figure.value == {
        "coverage": "0.7742",
        "uncovered": [
            {"first": "2024-01-01", "last": "2024-01-02", "reason": "before_history"},
            {"first": "2024-01-13", "last": "2024-01-15", "reason": "gap"},
            {"first": "2024-01-30", "last": "2024-01-31", "reason": "not_read_yet"},
        ],
    }
    assert figure.covered_days == 24


def test_q3_knows_of_no_day_after_the_reference_day():
    # As of the 14th 3 to 12 are covered, 10 of 14: 0.714285…. That 16 to 29 will be makes no gap of the 13th and 14th.
    one = current(covered=[("2024-01-03", "2024-01-12"), ("2024-01-16", "2024-01-29")])
    figure = told("Q3", one, as_of="2024-01-14")["EUR"]
    assert figure.value == {
        "coverage": "0.7143",
        "uncovered": [
            {"first": "2024-01-01", "last": "2024-01-02", "reason": "before_history"},
            {"first": "2024-01-13", "last": "2024-01-14", "reason": "not_read_yet"},
        ],
    }
    assert figure.covered_days == 10


def test_no_day_after_the_reference_day_is_covered():
    analysis = Analysis(books(current(), as_of="2024-01-20"))
    first, reference, last = (window(text, text).first for text in ("2024-01-01", "2024-01-20", "2024-01-31"))
    assert analysis.covered_ranges == {"EUR": ((first, reference),)}
    assert analysis.covered_days(analysis.accounts[0], window(first, last)) == 20
    assert analysis.covered_in("EUR", window(first, last)) == 20
    assert analysis.is_covered(analysis.accounts[0], first, reference)
    assert not analysis.is_covered(analysis.accounts[0], first, reference + 1)


def test_q3_needs_every_account_that_had_begun():
    # The second began on the 11th, and is covered for five days.
    other = account("b", covered=("2024-01-11", "2024-01-15"))
    figure = told("Q3", current(), other)["EUR"]
    assert figure.covered_days == 15
    assert figure.value["uncovered"] == [
        {"first": "2024-01-16", "last": "2024-01-31", "reason": "not_read_yet"}
    ]


@pytest.mark.parametrize("reason", [DELETED_AT_BANK, NOT_SHOWN])
def test_q3_an_account_that_is_gone_at_its_bank_ends_with_its_last_covered_day(reason):
    # Its gap, the 14th, counts for it; after the 15th it is read no more, and need not be.
    covered = [("2024-01-11", "2024-01-13"), ("2024-01-15", "2024-01-15")]
    figure = told("Q3", current(), account("b", covered=covered, closed=reason))["EUR"]
    assert figure.covered_days == 30
    assert figure.value["uncovered"] == [{"first": "2024-01-14", "last": "2024-01-14", "reason": "gap"}]
    # Where it is the only one, nothing is known later.
    alone = told("Q3", account("b", covered=covered, closed=reason))["EUR"]
    assert (alone.covered_days, alone.value["uncovered"][-1]["first"]) == (4, "2024-01-16")


def test_q3_days_after_the_reference_day_are_no_days_of_the_window():
    # 1 to 10, all of them covered.
    figure = told("Q3", current(), as_of="2024-01-10")["EUR"]
    assert figure.value == {"coverage": "1.0000", "uncovered": []}


def test_q3_without_a_covered_day_there_is_no_share():
    figure = told("Q3", current(covered=()))["EUR"]
    assert (figure.value, figure.status, figure.reason) == (None, INSUFFICIENT_HISTORY, "no_history")
    assert figure.notes == {
        "uncovered": [{"first": "2024-01-01", "last": "2024-01-31", "reason": "never_read"}]
    }


def test_q7_is_the_share_of_outflow_without_a_label():
    # 20.00 of 80.00; what came in plays no part.
    figure = told("Q7", current())["EUR"]
    assert (figure.value, figure.n) == ("0.2500", 2)


def test_q7_needs_an_outflow():
    assert only("Q7", current(ROWS[1:2]), of="EUR") == (None, NOT_APPLICABLE, "no_outflow")
    assert only("Q7", current(covered=()), of="EUR") == (None, INSUFFICIENT_HISTORY, "no_history")


def test_q8_tells_its_terms():
    # 26 days deep, all 31 covered, 10.00 too little on the 15th, a quarter unlabelled: too short for any but low.
    readings = [("2024-01-15", 6_000), ("2024-01-31", 5_000)]
    assert only("Q8", current(readings=readings), of="EUR")[0] == {
        "confidence": "low",
        "depth": 26,
        "coverage": "1.0000",
        "drift": 1_000,
        "unlabelled": "0.2500",
    }


def test_q8_takes_the_worst_of_all_accounts():
    # The second begins on the 21st, 10 days deep, and has no second reading; the third has no row, so no depth.
    other = account("b", [("2024-01-21", -1)], [("2024-01-31", 1)], ("2024-01-21", "2024-01-31"))
    empty = account("c", [], [("2024-01-10", 3), ("2024-01-31", 0)], ("2024-01-10", "2024-01-31"))
    found = only("Q8", current(), other, empty, of="EUR")[0]
    assert (found["depth"], found["drift"], found["coverage"]) == (10, 3, "1.0000")


def test_q8_a_long_clean_history_is_high():
    # A year covered, first row on 2023-02-01 (364 days), all labelled, read twice without a drift.
    rows = [row("2023-02-01", -100, "LOYER", "RENT")]
    readings = [("2023-06-01", 900), ("2024-01-31", 900)]
    one = current(rows, readings=readings, covered=("2023-02-01", "2024-01-31"))
    found = only("Q8", one, within=window("2023-02-01", "2024-01-31"), of="EUR")[0]
    assert found == {
        "confidence": "high",
        "depth": 364,
        "coverage": "1.0000",
        "drift": 0,
        "unlabelled": "0.0000",
    }


@pytest.mark.parametrize(
    ("depth", "coverage", "drift", "unlabelled", "band"),
    [
        (180, "0.98", 0, "0.10", "high"),
        (180, "0.98", 0, None, "high"),
        (179, "0.98", 0, "0.10", "medium"),
        (180, "0.9799", 0, "0.10", "medium"),
        (180, "0.98", 1, "0.10", "medium"),
        (180, "0.98", None, "0.10", "medium"),
        (180, "0.98", 0, "0.1001", "medium"),
        (90, "0.90", 1, "1", "medium"),
        (89, "0.90", 0, "0", "low"),
        (90, "0.8999", 0, "0", "low"),
        (None, "1", 0, "0", "low"),
    ],
)
def test_q8_bands(depth, coverage, drift, unlabelled, band):
    share = None if unlabelled is None else Fraction(unlabelled)
    assert confidence(depth, Fraction(coverage), drift, share) == band


def test_of_an_account_or_of_a_currency():
    other = account("b", covered=("2024-01-01", "2024-01-31"), currency="USD")
    named = {metric.id: list(told(metric.id, other, current())) for metric in METRICS}
    assert named == {
        **dict.fromkeys(("Q1", "Q2", "Q4", "Q5", "Q6"), ["a", "b"]),
        **dict.fromkeys(("Q3", "Q7", "Q8"), ["EUR", "USD"]),
    }


@pytest.mark.parametrize("id", ["Q3", "Q7", "Q8"])
def test_a_window_after_the_reference_day_has_no_history(id):
    within = window("2024-02-01", "2024-02-29")
    assert only(id, current(), within=within, of="EUR") == (None, INSUFFICIENT_HISTORY, "no_history")


def test_there_is_no_figure_without_an_account():
    assert all(told(metric.id) == {} for metric in METRICS)


def test_the_metrics_are_all_there_each_defined():
    assert [metric.id for metric in METRICS] == [f"Q{number}" for number in range(1, 9)]
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.definition.endswith(".") and metric.source and metric.title for metric in METRICS)
