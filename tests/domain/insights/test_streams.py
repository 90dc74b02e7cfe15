"""Recurring streams: what belongs together, and what is known of it."""

from __future__ import annotations

import random
from time import process_time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.insights.analysis import Analysis
from domain.insights.cadence import BIWEEKLY, MONTHLY, OTHER, YEARLY
from domain.insights.months import month_of
from domain.insights.streams import BEGUN, BOTH, EARLY, ENDED, MATURE, MISSED, NONE, STOPPED, streams_in
from tests.domain.insights.books_of import account, books, day, row


def monthly(amount, wording, *months, on=5, labels=(), **more):
    """A row on a day of each month of 2024."""
    return [row(f"2024-{month:02d}-{on:02d}", amount, wording, *labels, **more) for month in months]


def streams(*rows, as_of="2024-06-30", covered=("2024-01-01", "2024-06-30"), **more):
    return streams_in(account("a", rows, covered=covered, **more), day(as_of))


def told(found):
    """The amounts of each stream, in any order of streams."""
    return sorted([one.amount for one in stream.rows] for stream in found)


# What belongs together


def test_debits_and_credits_of_one_side_are_two_streams():
    found = streams(*monthly(-100, "VIR ALPHA", 1, 2, 3), *monthly(100, "VIR ALPHA", 1, 2, 3))
    assert [(stream.is_debit, stream.total) for stream in found] == [(False, 300), (True, -300)]


def test_the_account_of_the_other_side_tells_more_than_the_wording():
    rows = [
        row("2024-01-05", -90_000, "VIR LOYER JANVIER", other="FR1"),
        row("2024-02-05", -90_000, "VIREMENT DUPONT", other="FR1"),
        row("2024-03-05", -90_000, "VIREMENT DUPONT", other="FR2"),
    ]
    assert [(stream.key, stream.n) for stream in streams(*rows)] == [("FR1", 2), ("FR2", 1)]


def test_references_part_nothing():
    rows = [
        row("2024-01-05", -3_198, "PRLV FREE ECH/070518 ID EMETTEUR/FR83"),
        row("2024-02-05", -3_198, "PRLV FREE ECH/060218 ID EMETTEUR/FR83ZZZ4 MDT/81 REF/FHD 97"),
    ]
    (stream,) = streams(*rows)
    assert (stream.key, stream.root, stream.label) == ("PRLV FREE",) * 3


def test_rows_that_say_nothing_go_with_their_type():
    rows = [row("2024-01-05", -5, "", kind="withdrawal"), row("2024-01-06", -5, "12", kind="withdrawal")]
    assert [(stream.key, stream.n) for stream in streams(*rows)] == [("withdrawal", 2)]


def test_a_row_after_the_reference_day_is_in_none():
    assert [stream.n for stream in streams(*monthly(-100, "X", 1, 2, 3), as_of="2024-02-29")] == [2]


# Parting by amounts


def test_two_loans_of_one_lender_are_two_streams():
    """399.89 on the 26th and 343.45 on the 29th of each month: together gaps of 3, 28, 3, 28, 3 have no cadence."""
    rows = [
        *monthly(-39_989, "PRLV SEPA LENDER", 1, 2, 3, on=26),
        *monthly(-34_345, "PRLV SEPA LENDER", 1, 2, 3, on=29),
    ]
    found = streams(*rows)
    assert told(found) == [[-39_989] * 3, [-34_345] * 3]
    assert {(stream.cadence, stream.label) for stream in found} == {
        (MONTHLY, "PRLV SEPA LENDER 399.89"),
        (MONTHLY, "PRLV SEPA LENDER 343.45"),
    }
    assert len({stream.id for stream in found}) == 2


def test_two_loans_on_two_days_of_the_month_are_two_streams():
    """On the 5th and the 20th: together they would be one that comes twice a month."""
    rows = [*monthly(-20_000, "LENDER", 1, 2, 3, on=5), *monthly(-30_000, "LENDER", 1, 2, 3, on=20)]
    assert told(streams(*rows)) == [[-30_000] * 3, [-20_000] * 3]


def test_a_wage_twice_a_month_that_varies_is_one_stream():
    rows = [
        row(f"2024-{month:02d}-{on}", 100_000 + month * 7 + int(on), "SALAIRE")
        for month in (1, 2, 3)
        for on in ("05", "20")
    ]
    (stream,) = streams(*rows)
    assert (stream.cadence, stream.due_days) == ("SEMI_MONTHLY", (5, 20))


def test_a_payment_that_varies_every_month_is_one_stream():
    """67.20, 29.12, 34.89, 60.10, 20.00, 70.00: their mean is 46.885 and their deviation 19.6, a coefficient of 0.42,
    above 0.35; two parts (20, 29.12, 34.89 and 60.10, 67.20, 70) vary by about 5.3, which is less than half. But it
    is steady as a whole."""
    amounts = (-6_720, -2_912, -3_489, -6_010, -2_000, -7_000)
    rows = [row(f"2024-{month:02d}-05", amount, "REVOLVING") for month, amount in enumerate(amounts, 1)]
    (stream,) = streams(*rows)
    assert (stream.n, stream.cadence, stream.regularity) == (6, MONTHLY, 100)


def test_amounts_that_vary_too_much_are_split_where_both_are_tight():
    """An employer pays 2,000.00 to 2,020.00 at the end of the month, and gives back expenses of 80.00 to 90.00 now
    and then. Mean 1,046, deviation about 962: a coefficient of 0.92; two parts vary by about 7 and 4."""
    wages = [row(f"2024-0{month}-28", 200_000 + 400 * month, "VIR EMPLOYER") for month in range(1, 6)]
    expenses = [
        row(booked, amount, "VIR EMPLOYER")
        for booked, amount in (
            ("2024-01-09", 8_000),
            ("2024-02-02", 8_300),
            ("2024-02-19", 9_000),
            ("2024-04-03", 8_100),
            ("2024-05-17", 8_700),
        )
    ]
    found = streams(*wages, *expenses)
    assert told(found) == [
        [8_000, 8_300, 9_000, 8_100, 8_700],
        [200_400, 200_800, 201_200, 201_600, 202_000],
    ]
    assert {stream.cadence for stream in found if stream.average > 10_000} == {MONTHLY}


def test_amounts_that_vary_without_two_tight_parts_are_one_stream():
    """20, 30, 40, 50, 60, 60, 60, 90: mean 51.25, sum of squares around it 3,287.5, so a deviation of 20.27 and a
    coefficient of 0.40. The best two parts are the first three (200) and the others (920): 1,120 is more than a
    quarter of 3,287.5, so the coefficient is not halved."""
    days = (0, 1, 17, 23, 51, 52, 90, 101)
    amounts = (60, 20, 90, 30, 60, 50, 40, 60)
    rows = [row(19_800 + one, -100 * amount, "SHOP") for one, amount in zip(days, amounts, strict=True)]
    assert [stream.n for stream in streams(*rows)] == [8]


def test_a_part_has_three_rows_at_least():
    """Two large bills among irregular small ones stay with them."""
    days = ("2024-01-02", "2024-01-09", "2024-02-20", "2024-02-25", "2024-05-01")
    rows = [row(one, -1_000, "SHOP") for one in days]
    rows += [row("2024-03-01", -90_000, "SHOP"), row("2024-03-02", -90_000, "SHOP")]
    assert [stream.n for stream in streams(*rows)] == [7]


def test_a_fixed_amount_that_is_steady_is_told_from_the_rest():
    """A subscription of 9.99 at a shop where other things are bought too."""
    rows = monthly(-999, "CB SHOP", 1, 2, 3, 4)
    rows += [
        row(booked, amount, "CB SHOP") for booked, amount in (("2024-01-07", -1_250), ("2024-02-20", -760))
    ]
    rows += [row("2024-02-21", -1_100, "CB SHOP"), row("2024-03-30", -1_300, "CB SHOP")]
    assert told(streams(*rows)) == [[-1_250, -760, -1_100, -1_300], [-999] * 4]


def test_a_new_price_goes_on_with_the_stream():
    """9.99 for three months and then 11.99, at a shop where other things are bought too."""
    rows = [*monthly(-999, "CB SHOP", 1, 2, 3), *monthly(-1_199, "CB SHOP", 4, 5, 6)]
    rows += [
        row(booked, -1_000 - place, "CB SHOP") for place, booked in enumerate(("2024-01-07", "2024-01-09"))
    ]
    rows += [
        row(booked, -1_050 - place, "CB SHOP") for place, booked in enumerate(("2024-03-09", "2024-05-21"))
    ]
    assert [-999] * 3 + [-1_199] * 3 in told(streams(*rows))


def test_prices_that_take_turns_are_one_monthly_stream():
    rows = [*monthly(-5_000, "EDF", 1, 3, 5), *monthly(-6_000, "EDF", 2, 4, 6)]
    assert [stream.cadence for stream in streams(*rows)] == [MONTHLY]


# Status and what is next


@pytest.mark.parametrize(
    ("as_of", "status"),
    [
        # Gaps 31 and 29: median 30, tolerance 6; 5 March + 30 is 4 April, moved to 5 April. 11 April is the last
        # day in time. A month on it is 5 May, and 11 May the last day before two are missed.
        ("2024-03-05", MATURE),
        ("2024-04-11", MATURE),
        ("2024-04-12", MISSED),
        ("2024-05-11", MISSED),
        ("2024-05-12", ENDED),
    ],
)
def test_status_by_hand(as_of, status):
    (stream,) = streams(*monthly(-999, "X", 1, 2, 3), as_of=as_of)
    assert (stream.next_expected, stream.tolerance, stream.status) == (day("2024-04-05"), 6, status)


def test_two_rows_are_early_and_mature_where_they_are_a_year_apart():
    rows = [row("2023-02-01", -20_000, "INSURANCE"), row("2024-02-01", -20_000, "INSURANCE")]
    (yearly,) = streams(*rows)
    assert (yearly.cadence, yearly.status) == (YEARLY, MATURE)
    (twice,) = streams(*monthly(-999, "X", 5, 6))
    assert (twice.cadence, twice.status) == (MONTHLY, EARLY)


def test_what_comes_without_a_cadence_is_early_however_often():
    days = ("2024-01-02", "2024-01-03", "2024-01-23", "2024-03-20", "2024-03-25", "2024-05-10")
    (stream,) = streams(*[row(one, -1_000 - place, "SHOP") for place, one in enumerate(days)])
    assert (stream.cadence, stream.status, stream.next_expected) == (OTHER, EARLY, None)


def test_a_median_that_fits_alone_is_no_cadence_kept():
    """Gaps 14, 2, 14, 40, 25: the median is 14, and 2 of 5 gaps are 13 to 16: 40 of 100."""
    days = [0, 14, 16, 30, 70, 95]
    found = streams(*[row(19_800 + one, -1_000 - one, "SHOP") for one in days])
    assert [(stream.cadence, stream.regularity, stream.status) for stream in found] == [(BIWEEKLY, 40, EARLY)]


def test_two_rows_of_one_day_came_at_once():
    """Two like loans, paid on one day each month."""
    rows = [*monthly(-5_000, "LENDER", 1, 2, 3), *monthly(-5_000, "LENDER", 1, 2, 3)]
    (stream,) = streams(*rows)
    assert (stream.n, stream.cadence, stream.regularity, stream.total) == (6, MONTHLY, 100, -30_000)


# The other parts


def test_the_parts_of_a_stream_by_hand():
    """5 January 10.00, 5 February 11.00 and 12.00, 7 March 12.00.

    Days that it came on: 5 Jan, 5 Feb, 7 March: gaps 31, 31. Total -45.00, by 4 rows -11.25. February is -23.00.
    Two of four rows are labelled TELECOM, which is not more than half; three are POWER.
    """
    rows = [
        row("2024-01-05", -1_000, "PRLV X", "POWER", "TELECOM", brand="Alpha"),
        row("2024-02-05", -1_100, "PRLV X", "POWER", "TELECOM", brand="Alpha"),
        row("2024-02-05", -1_200, "PRLV X", "POWER", brand="Beta"),
        row("2024-03-07", -1_200, "PRLV X"),
    ]
    (stream,) = streams(*rows)
    assert (stream.labels, stream.brand) == (("POWER",), "Alpha")
    assert (stream.gap_min, stream.gap_max, stream.gap_mean) == (31, 31, "31.00")
    months = [month_of(day(text)) for text in ("2024-01-01", "2024-02-01", "2024-03-01")]
    assert stream.calendar == tuple(zip(months, (-1_000, -2_300, -1_200), strict=True))
    assert (stream.total, stream.average, stream.n) == (-4_500, -1_125, 4)


@pytest.mark.parametrize(
    ("months", "as_of", "repartition"),
    [
        # The first covered day is 1 January and the median gap 31 or 30 days: 5 January is no begin, 5 March is. At
        # the end of June the 5th of June is 25 days ago, the 5th of April 86.
        ((1, 2, 3, 4, 5, 6), "2024-06-30", NONE),
        ((3, 4, 5, 6), "2024-06-30", BEGUN),
        ((1, 2, 3, 4), "2024-06-30", STOPPED),
        ((2, 3, 4), "2024-06-30", BOTH),
        # 1 January + 29 is 30 January: 5 February is after it.
        ((2, 3), "2024-03-31", BEGUN),
        ((1,), "2024-06-30", NONE),
    ],
)
def test_repartition_by_hand(months, as_of, repartition):
    (stream,) = streams(*monthly(-999, "X", *months), as_of=as_of)
    assert stream.repartition == repartition


@pytest.mark.parametrize(
    ("since", "repartition"),
    [
        # The account is covered from 2020 on, and the first row that is held is of 5 March. From the books' first day,
        # 1 March, + 31 is 1 April: it is no begin. From 1 February + 31 is 3 March: nothing came on 5 February, and it is.
        ("2024-03-01", NONE),
        ("2024-02-01", BEGUN),
        # Without a day that the books begin with, 1 January 2020 counts.
        (0, BEGUN),
    ],
)
def test_nothing_begins_on_the_day_that_the_books_begin_with(since, repartition):
    held = account("a", monthly(-999, "X", 3, 4, 5, 6), covered=("2020-01-01", "2024-06-30"))
    (stream,) = streams_in(held, day("2024-06-30"), since=day(since))
    assert stream.repartition == repartition


def test_books_that_begin_after_their_accounts_tell_no_begin():
    # As above: R6 of the catalogue knows the first day of its books.
    held = account("a", monthly(-999, "X", 3, 4, 5, 6), covered=("2020-01-01", "2024-06-30"))
    (stream,) = Analysis(books(held, as_of="2024-06-30", since="2024-03-01")).streams
    assert stream.repartition == NONE
    (stream,) = Analysis(books(held, as_of="2024-06-30", since="2024-02-01")).streams
    assert stream.repartition == BEGUN


def test_the_id_stays_when_rows_come():
    (early,) = streams(*monthly(-999, "X", 1, 2))
    (later,) = streams(*monthly(-999, "X", 1, 2, 3, 4))
    (other,) = streams_in(account("b", monthly(-999, "X", 1, 2)), day("2024-06-30"))
    assert early.id == later.id != other.id


# Laws

ROWS = st.lists(
    st.builds(
        row,
        st.integers(19_700, 19_900),
        st.integers(-400, 400).map(lambda amount: amount * 25),
        st.sampled_from(["PRLV ALPHA 12", "PRLV ALPHA 13", "VIR BETA", "CB 99"]),
        st.sampled_from(["RENT", "TELECOM", "WAGE"]),
        other=st.sampled_from(["", "", "FR1"]),
    ),
    max_size=40,
)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows, chance: random.Random):
    held = account("a", rows)
    mixed = msgspec.structs.replace(held, rows=tuple(chance.sample(held.rows, len(held.rows))))
    assert streams_in(mixed, 19_900) == streams_in(held, 19_900)


@given(ROWS, st.integers(19_700, 19_900))
def test_each_row_is_in_exactly_one_stream(rows, as_of):
    held = account("a", rows)
    found = streams_in(held, as_of)
    ids = [one.id for stream in found for one in stream.rows]
    assert sorted(ids) == sorted(one.id for one in held.rows if one.day <= as_of and one.amount)
    assert sum(stream.total for stream in found) == sum(one.amount for one in held.rows if one.day <= as_of)
    assert len({stream.id for stream in found}) == len(found)
    for stream in found:
        assert stream.total == sum(amount for _, amount in stream.calendar)
        assert {one.amount < 0 for one in stream.rows} == {stream.is_debit}
        assert list(stream.rows) == sorted(stream.rows)


@given(ROWS, ROWS)
def test_rows_of_another_side_change_nothing(rows, others):
    named = [one._replace(other="FR9", id=b"other%04d" % place) for place, one in enumerate(others)]
    alone = streams_in(account("a", rows, covered=("2023-12-01", "2024-06-30")), 19_900)
    together = streams_in(account("a", [*rows, *named], covered=("2023-12-01", "2024-06-30")), 19_900)
    assert [stream for stream in together if stream.key != "FR9"] == list(alone)


def test_a_year_of_rows_takes_no_long():
    """A few milliseconds for a hundred rows; a test of the growth, not of the machine."""
    chance = random.Random(7)
    rows = [
        row(
            19_000 + chance.randrange(3_650),
            -chance.randrange(1, 90_000),
            f"CB SHOP {chance.choice('ABCDEFGH') * 4}",
        )
        for _ in range(10_000)
    ]
    held = account("a", rows)
    before = process_time()
    found = streams_in(held, 23_000)
    assert process_time() - before < 5
    assert sum(stream.n for stream in found) == 10_000


def test_many_amounts_of_one_wording_take_no_long():
    """24,000 rows of 6,000 amounts: each amount looked for among all rows would be 144,000,000 looks."""
    chance = random.Random(1)
    rows = [
        row(19_000 + chance.randrange(700), -chance.randrange(1_000, 7_000), "PAIEMENT CB")
        for _ in range(24_000)
    ]
    held = account("a", rows)
    before = process_time()
    found = streams_in(held, 20_000)
    assert process_time() - before < 1.5
    assert sum(stream.n for stream in found) == 24_000
