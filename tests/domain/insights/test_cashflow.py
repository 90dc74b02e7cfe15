"""Cash flow: each metric worked out by hand, and why one has no value."""

from __future__ import annotations

from fractions import Fraction

import pytest

from domain.insights import streams
from domain.insights.analysis import Analysis
from domain.insights.cashflow import METRICS, quartile
from domain.insights.figures import INSUFFICIENT_HISTORY, NOT_APPLICABLE, OK
from domain.insights.refunds import Refunds
from domain.insights.streams import Stream
from domain.insights.transfers import Pair, Transfers
from tests.domain.insights.books_of import account, books, figures, row, window

# The quarter that most vectors are of, as of 2024-03-20. 2024-01-01 is a Monday.
#
#              in       out      net
#   January   +1000.00  -400.00  +600.00   complete
#   February  +1100.00  -900.00  +200.00   complete; -300.00 of it go to an own account
#   March      +500.00  -100.00  +400.00   up to the 20th
QUARTER = window("2024-01-01", "2024-03-20")
ROWS = [
    row("2024-01-02", 100_000, "SALAIRE", id="r1"),
    row("2024-01-10", -40_000, "LOYER", id="r2"),
    row("2024-02-02", 110_000, "SALAIRE", id="r3"),
    row("2024-02-10", -60_000, "LOYER", id="r4"),
    row("2024-02-15", -30_000, "VIREMENT LIVRET", id="r5"),
    row("2024-03-02", 50_000, "SALAIRE", id="r6"),
    row("2024-03-10", -10_000, "LOYER", id="r7"),
]
COVERED = ("2024-01-01", "2024-03-20")


def current(rows=ROWS, **more):
    return account("a", rows, **{"readings": [("2024-03-20", 200_000)], "covered": COVERED, **more})


def looked_at(*accounts, as_of="2024-03-20", own=("r5",), since="1990-01-01", **options):
    """An analysis that holds these rows for own transfers, and nothing for refunds or streams."""
    analysis = Analysis(books(*accounts, as_of=as_of, since=since), **options)
    analysis.transfers = Transfers(tuple(Pair(id.encode(), f"{id}'".encode(), "iban") for id in own))
    analysis.refunds = Refunds()
    analysis.streams = ()
    return analysis


def told(id, *accounts, within=QUARTER, **more):
    return figures(METRICS, id, looked_at(*accounts, **more), within)


def value(id, *accounts, of="EUR", **more):
    figure = told(id, *accounts, **more)[of]
    assert (figure.status, figure.reason) == (OK, None)
    return figure.value


def month(name, days, inflow, outflow, *, partial=False):
    return {
        "month": name,
        "partial": partial,
        "covered_days": days,
        "inflow": inflow,
        "outflow": outflow,
        "net": inflow + outflow,
    }


# By value day


def test_what_is_booked_after_the_reference_day_counts_on_no_day():
    # As of 20 March: 70.00 were booked on the 21st for the 19th; -8.00 on the 20th for the 21st; -9.00 on the 20th for
    # the 19th. By value day only the last of them counts: 2600.00 and -1400.00 - 9.00.
    rows = [
        *ROWS,
        row("2024-03-21", 7_000, value="2024-03-19"),
        row("2024-03-20", -800, value="2024-03-21"),
        row("2024-03-20", -900, value="2024-03-19"),
    ]
    found = value("C1", current(rows), date_basis="value")
    assert (found["inflow"], found["outflow"]) == (260_000, -140_900)
    found = value("C1", current(rows))
    assert (found["inflow"], found["outflow"]) == (260_000, -141_700)


# In, out, and what is left


def test_c1_inflow_outflow_and_net():
    # In all 1000 + 1100 + 500 and -400 - 900 - 100; on average over January and February alone 2100 / 2 and -1300 / 2.
    figure = told("C1", current())["EUR"]
    assert figure.value == {
        "inflow": 260_000,
        "outflow": -140_000,
        "net": 120_000,
        "average": {"inflow": 105_000, "outflow": -65_000, "net": 40_000, "months": 2},
        "months": [
            month("2024-01", 31, 100_000, -40_000),
            month("2024-02", 29, 110_000, -90_000),
            month("2024-03", 20, 50_000, -10_000, partial=True),
        ],
    }
    assert (figure.n, figure.covered_days) == (7, 80)
    assert figure.rows == (b"r1", b"r2", b"r3", b"r4", b"r5", b"r6", b"r7")


def test_c1_a_month_that_the_window_cuts_is_in_no_average():
    # From the 2nd of January on: nothing was booked before, yet January is not whole.
    found = value("C1", current(), within=window("2024-01-02", "2024-03-20"))
    assert found["months"][0] == month("2024-01", 30, 100_000, -40_000, partial=True)
    assert found["average"] == {"inflow": 110_000, "outflow": -90_000, "net": 20_000, "months": 1}


def test_c1_a_month_with_a_day_that_is_not_covered_is_in_no_average():
    gap = [("2024-01-01", "2024-02-19"), ("2024-02-21", "2024-03-20")]
    found = value("C1", current(covered=gap))
    assert found["months"][1] == month("2024-02", 28, 110_000, -90_000, partial=True)
    assert found["average"] == {"inflow": 100_000, "outflow": -40_000, "net": 60_000, "months": 1}
    assert found["net"] == 120_000


def test_c1_a_month_without_a_row_counts_as_nothing_came():
    found = value("C1", current(ROWS[:2]))
    assert found["months"][1] == month("2024-02", 29, 0, 0)
    assert found["average"] == {"inflow": 50_000, "outflow": -20_000, "net": 30_000, "months": 2}


def test_c1_ends_with_the_reference_day():
    # As of the 9th of March the rent of the 10th is not there, although the window goes on to the 31st.
    figure = told("C1", current(), within=window("2024-03-01", "2024-03-31"), as_of="2024-03-09")["EUR"]
    assert figure.value["months"] == [month("2024-03", 9, 50_000, 0, partial=True)]
    assert (figure.value["average"], figure.n) == (None, 1)


def test_c1_the_day_of_value_decides_where_that_is_asked_for():
    late = row("2024-02-01", 7_000, value="2024-01-31")
    by_booking, by_value = (value("C1", current([late]), date_basis=basis) for basis in ("booking", "value"))
    assert [one["inflow"] for one in by_booking["months"]] == [0, 7_000, 0]
    assert [one["inflow"] for one in by_value["months"]] == [7_000, 0, 0]


def test_c1_pending_rows_stand_apart():
    # Of the pending rows that of the 21st lies after the reference day.
    one = current(pending=[("2024-03-19", -500), ("2024-03-20", 200), ("2024-03-21", -900)])
    without, beside = value("C1", one), value("C1", one, include_pending=True)
    assert beside == {**without, "pending_inflow": 200, "pending_outflow": -500}
    assert "pending_inflow" not in without


def test_c1_says_that_rows_without_an_amount_are_left_out():
    figure = told("C1", current(unknown_days=["2024-02-03"]))["EUR"]
    assert (figure.status, figure.reason, figure.value["net"]) == (OK, "amount_missing", 120_000)


def test_c1_rows_before_the_books_are_no_history():
    # The books begin with February: nothing is known of January, covered or not.
    found = value("C1", current(ROWS[2:]), since="2024-02-01")
    nothing = {"inflow": None, "outflow": None, "net": None}
    assert found["months"][0] == month("2024-01", 0, 0, 0, partial=True) | nothing
    assert found["average"]["months"] == 1


def test_c2_leaves_own_transfers_out():
    # As C1, less the 300.00 of February: outflow -1100; on average (-400 - 600) / 2.
    figure = told("C2", current())["EUR"]
    assert figure.value == {
        "inflow": 260_000,
        "outflow": -110_000,
        "net": 150_000,
        "average": {"inflow": 105_000, "outflow": -50_000, "net": 55_000, "months": 2},
        "months": [
            month("2024-01", 31, 100_000, -40_000),
            month("2024-02", 29, 110_000, -60_000),
            month("2024-03", 20, 50_000, -10_000, partial=True),
        ],
    }
    assert (figure.n, b"r5" in figure.rows) == (6, False)
    assert figure.notes == {"own_transfers": {"inflow": 0, "outflow": -30_000, "net": -30_000}}


def test_c3_is_the_average_of_complete_months():
    # (1000 + 1100) / 2 and (-400 - 900) / 2. By calendar months: 2600 / 3 = 866.666…, -1400 / 3 = -466.666…, 1200 / 3.
    assert value("C3", current()) == {
        "inflow": 105_000,
        "outflow": -65_000,
        "net": 40_000,
        "months": 2,
        "per_calendar_month": {"inflow": 86_667, "outflow": -46_667, "net": 40_000},
    }


def test_c3_needs_a_complete_month():
    figure = told("C3", current(), within=window("2024-02-02", "2024-03-20"))["EUR"]
    assert (figure.value, figure.status, figure.reason) == (None, INSUFFICIENT_HISTORY, "no_complete_month")


def test_c4_is_by_covered_days():
    # By 80 days: 260000 / 80 = 3250, -140000 / 80 = -1750, 120000 / 80 = 1500; 3 in, 4 out, 7 in all: 0.0375, 0.05 and
    # 0.0875.
    assert value("C4", current()) == {
        "inflow": 3_250,
        "outflow": -1_750,
        "net": 1_500,
        "inflow_count": "0.0375",
        "outflow_count": "0.0500",
        "count": "0.0875",
    }


def test_c5_distribution_of_inflows_and_outflows():
    # In: 500, 1000, 1100. Mean 866.666…; squares in hundreds 25 + 100 + 121 = 246, by 3 82, less 8.6667² = 75.1111
    # leaves 6.8889, whose root is 2.624669: 262.4669.
    # Out: -600, -400, -300, -100. Mean and median -350; squares 36 + 16 + 9 + 1 = 62, by 4 15.5, less 12.25 leaves 3.25,
    # whose root is 1.802776: 180.2776.
    assert value("C5", current()) == {
        "inflow": {
            "count": 3,
            "sum": 260_000,
            "mean": 86_667,
            "median": 100_000,
            "minimum": 50_000,
            "maximum": 110_000,
            "standard_deviation": 26_247,
        },
        "outflow": {
            "count": 4,
            "sum": -140_000,
            "mean": -35_000,
            "median": -35_000,
            "minimum": -60_000,
            "maximum": -10_000,
            "standard_deviation": 18_028,
        },
    }


def test_c5_of_none_there_is_no_mean():
    found = value("C5", current(ROWS[1:2]))["inflow"]
    assert (found.pop("count"), found.pop("sum"), set(found.values())) == (0, 0, {None})


def test_c6_net_of_whole_months_before_that_of_the_reference_day():
    # Before March: January +600 and February +200 (+500 without the own transfer); nothing is covered before.
    # Two months: 800, mean 400; less transfers 1100, mean 550. Six and twelve hold the same two.
    two = {
        "months": 2,
        "net": 80_000,
        "mean": 40_000,
        "net_less_transfers": 110_000,
        "mean_less_transfers": 55_000,
    }
    figure = told("C6", current(), within=window("2024-03-01", "2024-03-05"))["EUR"]
    assert figure.value == {"two_months": two, "six_months": two, "twelve_months": two}
    assert (figure.window, figure.n) == (window("2023-03-01", "2024-02-29", "12m"), 5)


def test_c6_tells_two_six_and_twelve_months_apart():
    # From April to June two, from January six, from July of the year before twelve: +1.00 each on the 5th of a month.
    months = [f"2023-{number:02d}-05" for number in range(7, 13)]
    months += [f"2024-{number:02d}-05" for number in range(1, 7)]
    one = current([(day, 100) for day in months], covered=("2023-07-01", "2024-07-10"))
    found = value("C6", one, as_of="2024-07-10")
    assert [(part["months"], part["net"], part["mean"]) for part in found.values()] == [
        (2, 200, 100),
        (6, 600, 100),
        (12, 1_200, 100),
    ]


def test_c6_names_the_rows_of_the_months_that_count():
    # One on the 5th of each of twelve months; December to the following April are covered, and April from the 10th on:
    # December to March and May and June count, six rows.
    months = [f"2023-{number:02d}-05" for number in range(7, 13)]
    months += [f"2024-{number:02d}-05" for number in range(1, 7)]
    covered = [("2023-12-01", "2024-04-02"), ("2024-04-10", "2024-07-10")]
    one = current([row(day, 100, id=day) for day in months], covered=covered)
    figure = told("C6", one, as_of="2024-07-10")["EUR"]
    assert (figure.value["twelve_months"]["months"], figure.value["twelve_months"]["net"]) == (6, 600)
    assert [id.decode()[:7] for id in figure.rows] == [
        "2023-12", "2024-01", "2024-02", "2024-03", "2024-05", "2024-06",
    ]  # fmt: skip
    assert figure.n == 6


def test_c6_of_months_that_are_not_covered_there_is_none():
    # Of the last six months January alone is covered on all days, of the last two as well; +600.
    found = value("C6", current(covered=("2023-12-15", "2024-02-20")))
    assert {part["months"] for part in found.values()} == {1}
    assert found["twelve_months"]["net"] == 60_000
    # February alone is covered, and the reference day is in it.
    figure = told("C6", current(covered=("2024-01-05", "2024-02-29")), as_of="2024-02-29")["EUR"]
    assert (figure.value, figure.status, figure.reason) == (None, INSUFFICIENT_HISTORY, "no_complete_month")


# How often


def test_c7_days_gaps_and_weeks():
    # Rows on the 2nd and the 10th of January, two on the 10th, one on the 25th; all of January is covered.
    # Without: 31 - 3 = 28 days. Between the first and the last of 4 rows lie 23 days: 23 / 3 = 7.6667. The longest gap is
    # from the 11th to the 24th: 14 days. Whole weeks begin on the 1st, 8th, 15th and 22nd (the last ends on the 28th);
    # nothing is booked in that of the 15th.
    rows = [("2024-01-02", 1), ("2024-01-10", -1), ("2024-01-10", -1), ("2024-01-25", -1)]
    within = window("2024-01-01", "2024-01-31")
    assert value("C7", current(rows), within=within) == {
        "days_with_transactions": 3,
        "days_without_transactions": 28,
        "mean_days_between": "7.6667",
        "weeks": 4,
        "weeks_without_transactions": 1,
        "months": [{"month": "2024-01", "partial": False, "covered_days": 31, "longest_gap": 14}],
    }


def test_c7_a_gap_ends_where_a_day_is_not_covered():
    # Covered on the 1st to the 10th and from the 16th to the 20th, nothing booked: 10 days, not 15 or 20. One whole week.
    one = current([], covered=[("2024-01-01", "2024-01-10"), ("2024-01-16", "2024-01-20")])
    found = value("C7", one, within=window("2024-01-01", "2024-02-29"))
    assert [part["longest_gap"] for part in found["months"]] == [10, None]
    assert (found["days_without_transactions"], found["mean_days_between"]) == (15, None)
    assert (found["weeks"], found["weeks_without_transactions"]) == (1, 1)


@pytest.mark.parametrize(("last", "weeks"), [("2024-01-13", 1), ("2024-01-14", 2)])
def test_c7_a_week_is_whole_with_its_sunday(last, weeks):
    found = value("C7", current([], covered=("2024-01-01", last)))
    assert (found["weeks"], found["weeks_without_transactions"]) == (weeks, weeks)


# What recurs, and what stays


def stream(cadence, *amounts, status=streams.MATURE, currency="EUR"):
    rows = tuple(
        row(f"2024-01-{place:02d}", amount, id=f"{cadence}{place}") for place, amount in enumerate(amounts, 1)
    )
    return Stream(
        id=cadence, account="a", currency=currency, is_debit=amounts[0] < 0, key=cadence, root="", label="", labels=(),
        brand="", rows=rows, cadence=cadence, status=status, next_expected=None, tolerance=3, regularity=100,
        due_days=(), gap_min=None, gap_max=None, gap_mean=None, repartition=streams.NONE, calendar=(),
        total=sum(amounts), average=round(Fraction(sum(amounts), len(amounts))),
    )  # fmt: skip


def disposable(*found, own=(), covered=COVERED):
    analysis = looked_at(current(covered=covered), own=own)
    analysis.streams = found
    return figures(METRICS, "C8", analysis, QUARTER)["EUR"]


def test_c8_is_what_recurs_each_month():
    # In: 1000.00 monthly. Out: 10.00 weekly, times 52 / 12 = 43.333…; 40.00 quarterly, by 3 = 13.333…; together 56.666….
    # 1000 - 56.666… = 943.333….
    found = disposable(
        stream(streams.MONTHLY, 100_000, 100_000, 100_000),
        stream(streams.WEEKLY, -1_000, -1_000, -1_000),
        stream(streams.QUARTERLY, -4_000, -4_000, -4_000),
    )
    assert found.value == {"inflow": 100_000, "outflow": -5_667, "disposable": 94_333, "streams": 3}
    assert found.n == 9


@pytest.mark.parametrize(
    ("cadence", "monthly"),
    [
        (streams.WEEKLY, 5_200),
        (streams.BIWEEKLY, 2_600),
        (streams.SEMI_MONTHLY, 2_400),
        (streams.MONTHLY, 1_200),
        (streams.BIMONTHLY, 600),
        (streams.QUARTERLY, 400),
        (streams.SEMI_ANNUAL, 200),
        (streams.YEARLY, 100),
    ],
)
def test_c8_brings_each_cadence_to_a_month(cadence, monthly):
    # Of 12.00 on average: 11, 12 and 13.
    assert disposable(stream(cadence, 1_100, 1_200, 1_300)).value["inflow"] == monthly


def test_c8_takes_mature_streams_with_a_cadence_of_its_currency():
    found = disposable(
        stream(streams.MONTHLY, 500, 500, 500),
        stream(streams.WEEKLY, 500, 500, 500, status=streams.MISSED),
        stream(streams.BIWEEKLY, 500, 500, status=streams.EARLY),
        stream(streams.OTHER, 500, 500, 500),
        stream(streams.YEARLY, 500, 500, currency="USD"),
    )
    assert found.value == {"inflow": 500, "outflow": 0, "disposable": 500, "streams": 1}


def test_c8_leaves_out_streams_that_are_mostly_own_transfers():
    saved = stream(streams.MONTHLY, -500, -500, -500, -500)
    assert disposable(saved, own=("MONTHLY1", "MONTHLY2")).value["streams"] == 1
    assert disposable(saved, own=("MONTHLY1", "MONTHLY2", "MONTHLY3"), covered=("2023-12-01", "2024-03-20")).value == {
        "inflow": 0, "outflow": 0, "disposable": 0, "streams": 0,
    }  # fmt: skip


def test_c8_that_nothing_recurs_says_nothing_of_a_short_history():
    # 2023-12-22 to 2024-03-20 are 90 days.
    assert disposable(covered=("2023-12-22", "2024-03-20")).value["disposable"] == 0
    found = disposable(covered=("2023-12-23", "2024-03-20"))
    assert (found.value, found.status, found.reason) == (None, INSUFFICIENT_HISTORY, "history_too_short")


def test_c9_is_what_a_month_ends_with_more_than_the_one_before():
    # 2000.00 on March 20: less +400 that is 1600 at the end of February, less +200 1400 at the end of January, less +600
    # 800 at the end of December, of which the 31st is covered too.
    found = value("C9", current(covered=("2023-12-31", "2024-03-20")))
    assert found == {
        "average": {"net_savings": 40_000, "months": 2},
        "months": [
            {"month": "2024-01", "partial": False, "covered_days": 31, "net_savings": 60_000},
            {"month": "2024-02", "partial": False, "covered_days": 29, "net_savings": 20_000},
            {"month": "2024-03", "partial": True, "covered_days": 20, "net_savings": None},
        ],
    }


def test_c9_needs_the_end_of_the_month_before():
    # The end of December is not covered: of January there is no telling.
    found = value("C9", current())
    assert [one["net_savings"] for one in found["months"]] == [None, 20_000, None]
    assert found["average"] == {"net_savings": 20_000, "months": 1}


def test_c9_needs_balances_and_whole_months():
    blind = told("C9", current(readings=[]))["EUR"]
    assert (blind.value, blind.status, blind.reason) == (None, INSUFFICIENT_HISTORY, "balance_unknown")
    cut = told("C9", current(), within=window("2024-03-01", "2024-03-20"))["EUR"]
    assert (cut.value, cut.status, cut.reason) == (None, INSUFFICIENT_HISTORY, "no_complete_month")


# What it went to


def classes(*rows, refunds=None, own=(), within=QUARTER):
    analysis = looked_at(current(rows), own=own)
    analysis.refunds = Refunds(refunds or {})
    return figures(METRICS, "C10", analysis, within)["EUR"]


def test_c10_sums_by_class_with_their_share_of_inflow():
    # Of 2000.00 in: rent 600 and groceries 100 (0.35), restaurant 50 (0.025), loan 200 (0.1), tax 30 (0.015), fees 5
    # (0.0025), a rejection 20 (0.01), to savings 300 (0.15), cash 80 (0.04), and 15 of which nothing is known (0.0075).
    found = classes(
        row("2024-01-01", 200_000, "SALAIRE", "WAGE"),
        row("2024-01-02", -60_000, "LOYER", "RENT"),
        row("2024-01-03", -10_000, "COURSES", "GROCERIES", "SHOPPING"),
        row("2024-01-04", -5_000, "RESTO", "RESTAURANT"),
        row("2024-01-05", -20_000, "PRET", "LOAN_REPAYMENT"),
        row("2024-01-06", -3_000, "IMPOT", "INCOME_TAX"),
        row("2024-01-07", -500, "FRAIS", "BANK_FEES"),
        row("2024-01-08", -2_000, "REJET", "PAYMENT_REJECTION"),
        row("2024-01-09", -30_000, "VIR LIVRET", "RENT", id="own"),
        row("2024-01-10", -8_000, "RETRAIT", "CASH_WITHDRAWAL"),
        row("2024-01-11", -1_500, "???"),
        own=("own",),
    )
    assert found.value == {
        "essential": {"total": -70_000, "count": 2, "share": "0.3500"},
        "non_essential": {"total": -5_000, "count": 1, "share": "0.0250"},
        "loan": {"total": -20_000, "count": 1, "share": "0.1000"},
        "tax": {"total": -3_000, "count": 1, "share": "0.0150"},
        "fee": {"total": -500, "count": 1, "share": "0.0025"},
        "incident": {"total": -2_000, "count": 1, "share": "0.0100"},
        "transfer": {"total": -30_000, "count": 1, "share": "0.1500"},
        "other": {"total": -8_000, "count": 1, "share": "0.0400"},
        "unlabelled": {"total": -1_500, "count": 1, "share": "0.0075"},
    }
    assert found.n == 10


def test_c10_a_refund_makes_its_class_smaller():
    # 100.00 of shopping, of which 30.00 came back; in came 30.00: -(-100 + 30) / 30 = 2.3333.
    found = classes(
        row("2024-01-02", -10_000, "VESTES", "SHOPPING", id="bought"),
        row("2024-01-20", 3_000, "VESTES", "REFUND", id="back"),
        refunds={b"back": b"bought"},
    )
    assert found.value["non_essential"] == {"total": -7_000, "count": 1, "share": "2.3333"}
    assert found.rows == (b"bought", b"back")


def test_c10_a_refund_of_what_was_bought_before_the_window():
    found = classes(
        row("2024-01-02", -10_000, "VESTES", "SHOPPING", id="bought"),
        row("2024-02-20", 3_000, "VESTES", "REFUND", id="back"),
        refunds={b"back": b"bought"},
        within=window("2024-02-01", "2024-02-29"),
    )
    assert found.value["non_essential"] == {"total": 3_000, "count": 0, "share": "-1.0000"}


def test_c10_without_inflow_there_is_no_share():
    found = classes(row("2024-01-02", -10_000, "VESTES", "SHOPPING"))
    assert found.value["non_essential"] == {"total": -10_000, "count": 1, "share": None}


def test_c10_a_debit_that_is_labelled_as_income_is_of_another_kind():
    assert classes(row("2024-01-02", -100, "ANNULATION SALAIRE", "WAGE")).value["other"]["count"] == 1


DEBITS = [row("2024-01-01", -amount) for amount in range(100, 2_000, 100)]


def test_c11_debits_far_above_the_others():
    # 1.00, 2.00, … 19.00 and one of 60.00: 20 sizes. Q1 lies at 19 / 4 = 4.75: 5.00 + 0.75 * 1.00 = 5.75; Q3 at 14.25:
    # 15.00 + 0.25 = 15.25. The threshold is 15.25 + 3 * 9.50 = 43.75.
    figure = told("C11", current([*DEBITS, row("2024-03-01", -6_000, id="big")]))["a"]
    assert figure.value == {
        "count": 1,
        "total": -6_000,
        "threshold": 4_375,
        "first_quartile": 575,
        "third_quartile": 1_525,
        "debits": 20,
    }
    assert (figure.n, figure.rows) == (1, (b"big",))


def test_c11_the_threshold_itself_is_not_above_it():
    assert value("C11", current([*DEBITS, row("2024-03-01", -4_375)]), of="a")["count"] == 0
    assert value("C11", current([*DEBITS, row("2024-03-01", -4_376)]), of="a")["count"] == 1


def test_c11_needs_twenty_debits_of_the_last_180_days():
    # Credits are none, nor is what was booked on 2023-09-22, 181 days before 2024-03-20 with that day counted.
    rows = [*DEBITS, row("2024-02-01", 5_000), row("2023-09-22", -100)]
    figure = told("C11", current(rows, covered=("2023-09-01", "2024-03-20")))["a"]
    assert (figure.value, figure.status, figure.reason) == (None, INSUFFICIENT_HISTORY, "too_few_debits")
    rows[-1] = row("2023-09-23", -100)
    assert value("C11", current(rows, covered=("2023-09-01", "2024-03-20")), of="a")["debits"] == 20


@pytest.mark.parametrize(
    ("quarter", "expected"), [(1, Fraction(7, 4)), (2, Fraction(5, 2)), (3, Fraction(13, 4))]
)
def test_quartiles_are_interpolated(quarter, expected):
    # 1, 2, 3, 4: at 0.75, 1.5 and 2.25, counted from 0.
    assert quartile([1, 2, 3, 4], quarter) == expected


def test_c12_is_the_average_balance_by_monthly_inflow():
    # In February alone: it ends at 1600.00 from the 15th to the 29th (15 days), at 1900 from the 10th to the 14th (5), at
    # 2500 from the 2nd to the 9th (8) and at 1400 on the 1st. (15 * 1600 + 5 * 1900 + 8 * 2500 + 1400) / 29 = 54900 / 29 =
    # 1893.1034; by 1100.00 that came in: 1.72100.
    assert value("C12", current(), within=window("2024-02-01", "2024-02-29")) == "1.7210"


def test_c12_needs_an_inflow_a_month_and_a_balance():
    february = window("2024-02-01", "2024-02-29")
    none = told("C12", current(ROWS[1:2]), within=february)["EUR"]
    assert (none.value, none.status, none.reason) == (None, NOT_APPLICABLE, "no_inflow")
    cut = told("C12", current(), within=window("2024-02-02", "2024-02-29"))["EUR"]
    assert (cut.value, cut.status, cut.reason) == (None, INSUFFICIENT_HISTORY, "no_complete_month")
    blind = told("C12", current(readings=[]), within=february)["EUR"]
    assert (blind.value, blind.status, blind.reason) == (None, INSUFFICIENT_HISTORY, "no_balance")


# Several accounts, and none


def test_a_day_is_covered_when_all_accounts_that_had_begun_are():
    # The second account began on February 10 and is covered up to March 10.
    other = account("b", [("2024-02-12", 100)], covered=("2024-02-10", "2024-03-10"))
    found = value("C1", current(), other)
    assert [one["covered_days"] for one in found["months"]] == [31, 29, 10]
    assert found["inflow"] == 260_100


def test_each_currency_has_a_figure_of_its_own():
    dollars = account("b", [("2024-01-05", 700)], covered=COVERED, currency="USD")
    found = told("C1", dollars, current())
    assert list(found) == ["EUR", "USD"]
    assert (found["EUR"].value["net"], found["USD"].value["net"]) == (120_000, 700)


@pytest.mark.parametrize("id", [metric.id for metric in METRICS])
def test_too_little_history_is_never_a_zero(id):
    # Nothing is covered, although there are rows.
    for figure in told(id, current(covered=())).values():
        assert (figure.value, figure.status, figure.reason) == (None, INSUFFICIENT_HISTORY, "no_history")
        assert (figure.n, figure.rows, figure.covered_days) == (0, (), 0)


@pytest.mark.parametrize("id", [metric.id for metric in METRICS])
def test_a_window_after_the_reference_day_has_no_history(id):
    for figure in told(id, current(), within=window("2024-04-01", "2024-04-30")).values():
        assert figure.reason in ("no_history", None)
        assert (figure.value is None) == (id != "C6"), "C6 is of the months before the reference day"


def test_there_is_no_figure_without_an_account():
    assert all(told(metric.id) == {} for metric in METRICS)


def test_the_metrics_are_all_there_each_defined():
    assert [metric.id for metric in METRICS] == [f"C{number}" for number in range(1, 13)]
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert all(metric.definition.endswith(".") and metric.source and metric.title for metric in METRICS)
