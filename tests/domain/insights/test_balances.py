"""Balances: each metric worked out by hand, and why one has no value."""

from __future__ import annotations

import pytest

from domain.consumer_account import DELETED_AT_BANK, NOT_SHOWN
from domain.insights.analysis import Analysis
from domain.insights.balances import METRICS
from domain.insights.figures import INSUFFICIENT_HISTORY, NOT_APPLICABLE, OK
from tests.domain.insights.books_of import account, books, figures, row, window

# The fortnight that most vectors are of. 2024-01-01 is a Monday. Read on the 14th: 15.00; walked back:
#
#     14 13 12          15.00   on the 12th  -5.00 was booked
#     11 10  9  8       20.00   on the  8th +40.00
#      7  6  5         -20.00   on the  5th -20.00
#      4  3              0.00   on the  3rd -30.00
#      2  1             30.00
FORTNIGHT = window("2024-01-01", "2024-01-14")
ROWS = [
    ("2024-01-03", -3000, "LOYER"),
    ("2024-01-05", -2000, "COURSES"),
    ("2024-01-08", 4000, "SALAIRE"),
    ("2024-01-12", -500, "CAFE"),
]
EODS = [3000, 3000, 0, 0, -2000, -2000, -2000, 2000, 2000, 2000, 2000, 1500, 1500, 1500]


def current(**more):
    given = {
        "rows": ROWS,
        "readings": [("2024-01-14", 1500)],
        "covered": ("2024-01-01", "2024-01-14"),
        **more,
    }
    return account("a", **given)


def told(id, *accounts, within=FORTNIGHT, as_of="2024-01-14", since="1990-01-01", **options):
    analysis = Analysis(books(*accounts, as_of=as_of, since=since), **options)
    return figures(METRICS, id, analysis, within)


def value(id, *accounts, of="a", **more):
    figure = told(id, *accounts, **more)[of]
    assert (figure.status, figure.reason) == (OK, None)
    return figure.value


def balances(*accounts, of="a", **more):
    return [one["balance"] for one in value("B3", *accounts, of=of, **more)]


def by_day(*accounts, of="a", **more):
    """The days of January that are known."""
    figure = told("B3", *accounts, **more)[of]
    return {int(one["day"][-2:]): one["balance"] for one in figure.value or []}


# What was read


def test_b1_is_the_latest_reading_as_it_was_given():
    # Given: balance 15.00, available 54.00, limit 40.00; reserved was not given.
    one = current(available=5400, limit=4000)
    assert value("B1", one) == {"balance": 1500, "available": 5400, "limit": 4000, "reserved": None}


def test_b2_is_what_available_has_too_much():
    # 54.00 - (15.00 + 40.00 - 2.00) = 1.00
    assert value("B2", current(available=5400, limit=4000, reserved=200)) == 100


@pytest.mark.parametrize("missing", ["available", "limit", "reserved", "balance"])
def test_b2_needs_all_four(missing):
    fields = {"available": 5400, "limit": 4000, "reserved": 200, missing: None}
    figure = told("B2", current(**fields))["a"]
    assert (figure.value, figure.status, figure.reason) == (None, NOT_APPLICABLE, "fields_missing")


@pytest.mark.parametrize("id", ["B1", "B2"])
def test_without_a_reading_there_is_no_latest_balance(id):
    figure = told(id, current(readings=[]))["a"]
    assert (figure.value, figure.status, figure.reason) == (None, INSUFFICIENT_HISTORY, "no_balance")


# The walk


def test_b3_walks_back_from_the_reading():
    # As above.
    found = told("B3", current())["a"]
    assert [one["balance"] for one in found.value] == EODS
    assert (found.value[0]["day"], found.value[-1]["day"]) == ("2024-01-01", "2024-01-14")
    assert (found.n, found.covered_days) == (4, 14)
    assert found.rows == (b"a-0001", b"a-0002", b"a-0003", b"a-0004")


def test_b3_walks_on_after_the_last_reading():
    # Read on the 4th: 0.00. On the 5th -20.00, on the 8th +40.00, on the 12th -5.00: as above.
    assert balances(current(readings=[("2024-01-04", 0)])) == EODS


def test_b3_starts_again_from_each_reading():
    # Also read on the 4th: 2.50, where the walk from the 14th comes to 0.00. The 4th and what lies before have 2.50 more.
    one = current(readings=[("2024-01-04", 250), ("2024-01-14", 1500)])
    assert balances(one) == [3250, 3250, 250, 250, *EODS[4:]]


def test_b3_adds_rows_of_the_day_that_were_recorded_after_its_reading():
    # Read on the 14th at 20:00: 15.00. A row of -3.00 of that day was recorded at 21:00, one of -1.00 at 19:00: the day
    # ends at 15.00 - 3.00 = 12.00, and the day before at 12.00 + 3.00 + 1.00 = 16.00.
    rows = [
        row("2024-01-14", -300, seen="2024-01-14 21:00"),
        row("2024-01-14", -100, seen="2024-01-14 19:00"),
    ]
    assert balances(current(rows=rows))[-2:] == [1600, 1200]


def test_b3_a_row_that_was_recorded_together_with_the_reading_is_in_it():
    rows = [row("2024-01-14", -300, seen="2024-01-14 20:00")]
    assert balances(current(rows=rows))[-2:] == [1800, 1500]


def test_b3_goes_up_to_the_reference_day():
    # The reading of the 14th is known, yet the days after the 9th are not asked about.
    assert balances(current(), as_of="2024-01-09") == EODS[:9]


def test_b3_takes_booked_days_whatever_the_basis():
    rows = [row("2024-01-10", -1000, value="2024-01-02")]
    one = current(rows=rows)
    assert balances(one, date_basis="value") == balances(one) == [2500] * 9 + [1500] * 5


def test_b3_does_not_step_over_a_day_that_is_not_covered():
    # Covered to the 4th and from the 8th on; read on the 14th alone. What was booked on the 5th to the 7th is not
    # known, so neither is any day before the 7th; the 7th itself is not covered.
    gap = [("2024-01-01", "2024-01-04"), ("2024-01-08", "2024-01-14")]
    one = current(covered=gap)
    figure = told("B3", one)["a"]
    assert by_day(one) == dict(zip(range(8, 15), EODS[7:], strict=True))
    assert (figure.status, figure.reason, figure.covered_days) == (OK, "gap", 7)


def test_b3_finds_its_way_again_at_an_older_reading():
    # As before, but also read on the 3rd: 1.00; before the 3rd 1.00 + 30.00. The 4th can't be walked back to.
    gap = [("2024-01-01", "2024-01-04"), ("2024-01-08", "2024-01-14")]
    one = current(covered=gap, readings=[("2024-01-03", 100), ("2024-01-14", 1500)])
    assert by_day(one) == {1: 3100, 2: 3100, 3: 100, **dict(zip(range(8, 15), EODS[7:], strict=True))}


def test_b3_does_not_step_over_a_row_without_an_amount():
    # On the 5th something was booked, and not how much. The 5th ends at -20.00; the 4th is not known.
    one = current(unknown_days=["2024-01-05"])
    figure = told("B3", one)["a"]
    assert by_day(one) == dict(zip(range(5, 15), EODS[4:], strict=True))
    assert (figure.status, figure.reason, figure.covered_days) == (OK, "amount_missing", 10)


def test_b3_does_not_step_forward_over_a_row_without_an_amount():
    one = current(readings=[("2024-01-04", 0)], unknown_days=["2024-01-08"])
    assert by_day(one) == dict(zip(range(1, 8), EODS[:7], strict=True))


def test_b3_a_reading_of_the_day_stands_beside_a_row_without_an_amount():
    one = current(unknown_days=["2024-01-14"])
    assert by_day(one) == {14: 1500}


def test_b3_does_not_step_before_the_books():
    # Rows before the 8th are not in the books: the end of the 7th is the last that they tell.
    kept = [one for one in ROWS if one[0] >= "2024-01-08"]
    one = current(rows=kept)
    assert by_day(one, since="2024-01-08") == dict(zip(range(7, 15), EODS[6:], strict=True))


def test_b3_a_reading_before_the_books_leads_nowhere():
    one = current(rows=ROWS[-1:], readings=[("2024-01-03", 0)])
    figure = told("B3", one, since="2024-01-10", within=window("2024-01-10", "2024-01-14"))["a"]
    assert (figure.value, figure.status, figure.reason) == (None, INSUFFICIENT_HISTORY, "gap")


def test_b4_is_what_was_read_less_what_is_walked_back_to():
    # Read on the 4th 2.50, where the 14th walks back to 0.00; on the 9th 19.00, where it walks back to 20.00. Of the
    # 14th there is no next reading. From the 9th one walks back to 19.00 - 40.00 + 20.00 = -1.00 on the 4th: 3.50.
    one = current(readings=[("2024-01-04", 250), ("2024-01-09", 1900), ("2024-01-14", 1500)])
    assert value("B4", one) == [
        {"day": "2024-01-04", "drift": 350},
        {"day": "2024-01-09", "drift": -100},
    ]


def test_b4_also_tells_that_there_is_none():
    one = current(readings=[("2024-01-04", 0), ("2024-01-14", 1500)])
    assert value("B4", one) == [{"day": "2024-01-04", "drift": 0}]


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"readings": [("2024-01-14", 1500)]}, "too_few_readings"),
        ({"readings": []}, "too_few_readings"),
        ({"unknown_days": ["2024-01-10"]}, "amount_missing"),
        ({"covered": [("2024-01-01", "2024-01-09"), ("2024-01-11", "2024-01-14")]}, "gap"),
    ],
)
def test_b4_needs_two_readings_and_a_way_between(more, reason):
    one = current(**{"readings": [("2024-01-04", 0), ("2024-01-14", 1500)], **more})
    figure = told("B4", one)["a"]
    assert (figure.value, figure.status, figure.reason) == (None, INSUFFICIENT_HISTORY, reason)


# What follows from it


def test_b5_minimum_maximum_mean_median_and_deviation():
    # The sum is 2 * 3000 + 2 * 0 - 3 * 2000 + 4 * 2000 + 3 * 1500 = 12500; by 14 days 892.857…: 893.
    # In order -2000 (3), 0 (2), 1500 (3), 2000 (4), 3000 (2): the 7th and the 8th are 1500.
    # The squares come to 3 * 4 + 3 * 2.25 + 4 * 4 + 2 * 9 = 52.75 million, by 14 3767857.14; less 892.857² = 797193.88
    # that is 2970663.27, whose root is 1723.56: 1724.
    assert value("B5", current()) == {
        "minimum": -2000,
        "maximum": 3000,
        "mean": 893,
        "median": 1500,
        "standard_deviation": 1724,
    }


def test_b5_rounds_half_to_even():
    # 0 and 5 end two days: the mean and the median are 2.5, the deviation too. All are rounded to 2.
    one = account(
        "a", rows=[("2024-01-02", 5)], readings=[("2024-01-02", 5)], covered=("2024-01-01", "2024-01-02")
    )
    assert value("B5", one, as_of="2024-01-02") == {
        "minimum": 0,
        "maximum": 5,
        "mean": 2,
        "median": 2,
        "standard_deviation": 2,
    }


def test_b6_is_the_mean_over_days():
    # 12500 by 14 days.
    assert value("B6", current()) == 893


def test_b7_counts_days_below_zero():
    # The 5th, the 6th and the 7th; the 3rd and the 4th end at 0, which is not below it.
    assert value("B7", current()) == 3


def test_b8_tells_runs_of_days_below_zero():
    # From 10.00: on the 2nd -15.00 (-5.00), on the 4th -3.00 (-8.00), on the 5th +20.00 (12.00), on the 9th -13.00
    # (-1.00) until the end of the window.
    rows = [("2024-01-02", -1500), ("2024-01-04", -300), ("2024-01-05", 2000), ("2024-01-09", -1300)]
    one = account("a", rows, [("2024-01-10", -100)], ("2024-01-01", "2024-01-10"))
    assert value("B8", one, within=window("2024-01-01", "2024-01-10"), as_of="2024-01-10") == [
        {"start": "2024-01-02", "end": "2024-01-04", "days": 3, "minimum": -800},
        {"start": "2024-01-09", "end": "2024-01-10", "days": 2, "minimum": -100},
    ]


def test_b8_is_cut_by_the_window():
    assert value("B8", current(), within=window("2024-01-06", "2024-01-14")) == [
        {"start": "2024-01-06", "end": "2024-01-07", "days": 2, "minimum": -2000}
    ]


def test_b8_is_empty_where_no_day_is_below_zero():
    assert value("B8", current(), within=window("2024-01-08", "2024-01-14")) == []


def test_b9_tells_arranged_from_hard_overdraft():
    # Agreed: 5.00. The days end at -4.00, -5.00 (still arranged), -5.01 (hard) and 0.00 (none).
    rows = [("2024-01-02", -100), ("2024-01-03", -1), ("2024-01-04", 501)]
    one = account("a", rows, [("2024-01-04", 0)], ("2024-01-01", "2024-01-04"), limit=500)
    figure = told("B9", one, within=window("2024-01-01", "2024-01-04"), as_of="2024-01-04")["a"]
    assert figure.value == {"arranged": 2, "hard": 1}
    assert figure.notes == {"limit_assumed": False}


def test_b9_assumes_that_nothing_is_agreed_where_it_is_not_said():
    figure = told("B9", current())["a"]
    assert figure.value == {"arranged": 0, "hard": 3}
    assert figure.notes == {"limit_assumed": True}


def test_b10_is_the_lowest_end_of_a_day():
    assert value("B10", current()) == -2000


def test_b11_counts_from_the_last_day_below_zero():
    # The 7th to the 14th.
    assert value("B11", current()) == 7


def test_b11_is_zero_today():
    assert value("B11", current(), as_of="2024-01-07") == 0


def test_b11_is_null_where_no_day_is_below_zero():
    figure = told("B11", current(), within=window("2024-01-08", "2024-01-14"))["a"]
    assert (figure.value, figure.status, figure.reason) == (None, NOT_APPLICABLE, "never_negative")


def test_b12_is_the_mean_use_of_the_limit():
    # 20.00 on three days of 14: 428.571…, by 4000 0.10714….
    assert value("B12", current(limit=4000)) == "0.1071"


@pytest.mark.parametrize("limit", [None, 0])
def test_b12_needs_a_limit(limit):
    figure = told("B12", current(limit=limit))["a"]
    assert (figure.value, figure.status, figure.reason) == (None, NOT_APPLICABLE, "no_limit")


def test_b12_is_told_of_accounts_alone():
    assert list(told("B12", current(limit=4000))) == ["a"]


def test_b13_counts_days_with_little_left():
    # Below 100.00 are all but the three that are below zero.
    assert value("B13", current()) == 11


def test_b13_the_threshold_itself_is_not_below_it():
    # Below 20.00: the 3rd and the 4th at 0.00, the 12th to the 14th at 15.00; 20.00 is not.
    assert value("B13", current(), parameters={"threshold": 2000}) == 5


def test_b13_the_threshold_is_given_in_hundredths():
    # 20.00 are 20 yen: only the 3rd and the 4th are below.
    assert value("B13", current(currency="JPY", exponent=0), parameters={"threshold": 2000}) == 2


def test_b13_a_threshold_may_lie_between_two_balances():
    # 1500.5 yen: the 12th to the 14th at 1500 are below it, too.
    assert value("B13", current(currency="JPY", exponent=0), parameters={"threshold": 150_050}) == 5


def test_b14_is_the_slope_by_thirty_days():
    # x from 0 to 13: sum 91, of squares 819; y sums to 12500; xy to 1 * 3000 - (4 + 5 + 6) * 2000 +
    # (7 + 8 + 9 + 10) * 2000 + (11 + 12 + 13) * 1500 = 95000.
    # (14 * 95000 - 91 * 12500) / (14 * 819 - 91²) = 192500 / 3185 = 60.4396; times 30 that is 1813.19.
    assert value("B14", current()) == 1813


def test_b14_needs_two_days():
    figure = told("B14", current(), within=window("2024-01-14", "2024-01-14"))["a"]
    assert (figure.value, figure.status, figure.reason) == (None, INSUFFICIENT_HISTORY, "too_few_days")


def test_b15_counts_weeks_above_the_one_before():
    # The first week comes to 6000 - 6000 = 0, the second to 8000 + 4500 = 12500.
    figure = told("B15", current())["a"]
    assert (figure.value, figure.notes) == (1, {"weeks_compared": 1})


def test_b15_a_week_like_the_one_before_does_not_rise():
    one = account("a", readings=[("2024-01-14", 700)], covered=("2024-01-01", "2024-01-14"))
    assert value("B15", one) == 0


def test_b15_takes_whole_weeks():
    # From the 2nd on, the first week is not whole, and there is none to compare the second with.
    figure = told("B15", current(), within=window("2024-01-02", "2024-01-14"))["a"]
    assert (figure.value, figure.status, figure.reason) == (None, INSUFFICIENT_HISTORY, "too_few_weeks")


# Several accounts

BOTH = ("B3", "B5", "B6", "B7", "B8", "B9", "B10", "B11", "B13", "B14", "B15")
ALONE = ("B1", "B2", "B4", "B12")


def savings(balance=1000, **more):
    """Holds the same all the time; began on the 3rd."""
    return account("b", readings=[("2024-01-14", balance)], covered=("2024-01-03", "2024-01-14"), **more)


@pytest.mark.parametrize("id", BOTH)
def test_accounts_come_first_then_currencies(id):
    dollars = account("c", readings=[("2024-01-14", 5)], covered=FORTNIGHT[:2], currency="USD")
    assert list(told(id, dollars, savings(), current())) == ["a", "b", "c", "EUR", "USD"]


@pytest.mark.parametrize("id", ALONE)
def test_what_is_of_one_account_names_it(id):
    assert list(told(id, savings(), current())) == ["a", "b"]


def test_together_a_day_counts_when_all_accounts_are_known():
    # From the 3rd on, 10.00 more than the first account alone.
    figure = told("B3", current(), savings())["EUR"]
    assert [one["balance"] for one in figure.value] == [one + 1000 for one in EODS[2:]]
    assert (figure.value[0]["day"], figure.covered_days, figure.n) == ("2024-01-03", 12, 4)


def test_together_negative_days_are_those_of_the_sum():
    # -20.00 and 25.00 are not below zero together; -20.00 and 10.00 are.
    rich, poor = told("B7", current(), savings(2500)), told("B7", current(), savings(1000))
    assert (rich["a"].value, rich["b"].value, rich["EUR"].value) == (3, 0, 0)
    assert poor["EUR"].value == 3


def test_together_limits_are_added():
    # -20.00 and 10.00 against 4.00 and 5.00: -10.00 is below -9.00.
    figure = told("B9", current(limit=400), savings(limit=500))["EUR"]
    assert (figure.value, figure.notes) == ({"arranged": 0, "hard": 3}, {"limit_assumed": False})
    assert told("B9", current(limit=400), savings())["EUR"].notes == {"limit_assumed": True}


def test_together_one_account_without_a_balance_leaves_nothing_to_tell():
    blind = account("b", covered=("2024-01-01", "2024-01-14"))
    found = told("B5", current(), blind)
    assert found["a"].value["minimum"] == -2000
    assert (found["EUR"].value, found["EUR"].reason) == (None, "no_balance")


def closed(reason=DELETED_AT_BANK, **more):
    """Held 10.00 from the 3rd to the 6th, and is read no more."""
    given = {"readings": [("2024-01-06", 1000)], "covered": ("2024-01-03", "2024-01-06"), **more}
    return account("b", closed=reason, **given)


@pytest.mark.parametrize("reason", [DELETED_AT_BANK, NOT_SHOWN])
def test_together_an_account_that_is_gone_at_its_bank_counts_to_its_last_covered_day(reason):
    # From the 3rd to the 6th 10.00 more than the first account; then as much as that.
    figure = told("B3", current(), closed(reason))["EUR"]
    assert [one["balance"] for one in figure.value] == [one + 1000 for one in EODS[2:6]] + EODS[6:]
    assert (figure.value[0]["day"], figure.covered_days, figure.reason) == ("2024-01-03", 12, None)
    # Alone there is nothing after the 6th, whatever was read later.
    for readings in ([("2024-01-06", 1000)], [("2024-01-06", 1000), ("2024-01-09", 0)]):
        alone = told("B3", closed(reason, readings=readings))["EUR"]
        assert [one["day"][-2:] for one in alone.value] == ["03", "04", "05", "06"]


def test_together_an_account_that_is_gone_at_its_bank_is_nothing_to_what_comes_later():
    # In the second week: the three days of -20.00 on the 7th and before are over; no limit is added, and none is missing.
    second = {"within": window("2024-01-08", "2024-01-14")}
    for gone in (closed(limit=500), closed(), closed(readings=())):
        figure = told("B9", current(limit=400), gone, **second)["EUR"]
        assert (figure.value, figure.reason) == ({"arranged": 0, "hard": 0}, None)
        assert (figure.covered_days, figure.notes) == (7, {"limit_assumed": False})


def test_together_an_account_that_is_gone_at_its_bank_without_a_balance_hides_its_days_alone():
    # Covered from the 3rd to the 6th, never read.
    figure = told("B3", current(), closed(readings=()))["EUR"]
    assert [one["balance"] for one in figure.value] == EODS[6:]
    assert figure.reason == "no_balance"
    # One that was never covered neither is known on any day nor hides one.
    figure = told("B3", current(), closed(readings=(), covered=()))["EUR"]
    assert [one["balance"] for one in figure.value] == EODS
    assert told("B3", closed(readings=(), covered=()))["EUR"].reason == "no_history"


def test_accounts_that_are_not_looked_at_count_nowhere():
    card = account("b", readings=[("2024-01-14", -9000)], covered=FORTNIGHT[:2], kind="CREDIT_CARD")
    assert list(told("B7", current(), card)) == ["a", "EUR"]
    assert told("B7", current(), card)["EUR"].value == 3


# Why there is no value


@pytest.mark.parametrize("id", BOTH)
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"covered": ()}, "no_history"),
        ({"covered": ("2023-01-01", "2023-12-31")}, "no_history"),
        ({"readings": []}, "no_balance"),
        ({"readings": [("2024-01-16", 1)], "unknown_days": ["2024-01-15"], "covered": ("2024-01-01", "2024-01-16")}, "amount_missing"),
        ({"readings": [("2024-01-16", 1)]}, "gap"),
    ],
)  # fmt: skip
def test_too_little_history_is_never_a_zero(id, more, reason):
    found = told(id, current(**more))
    for of in ("a", "EUR"):
        figure = found[of]
        assert (figure.value, figure.status, figure.reason) == (None, INSUFFICIENT_HISTORY, reason)
        assert figure.covered_days == 0


def test_there_is_no_figure_without_an_account():
    assert all(told(metric.id) == {} for metric in METRICS)


def test_the_metrics_are_all_there_each_defined():
    assert [metric.id for metric in METRICS] == [f"B{number}" for number in range(1, 16)]
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.definition.endswith(".") and metric.source and metric.title for metric in METRICS)
