"""Which loans there are, what they are repaid, and what was paid out."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.insights.analysis import Analysis
from domain.insights.books import Account, Row
from domain.insights.figures import Window
from domain.insights.history import complete_months
from domain.insights.loans import LOANS_MAX, Loan, drawdowns_in, loans_in, repayments_in
from tests.domain.insights.books_of import account, books, row, window

SUMMER = window("2024-05-24", "2024-08-21")
COVERED = ("2024-05-24", "2024-08-21")


def analysis_of(*accounts: Account, as_of: str = "2024-08-21", **more: Any) -> Analysis:
    return Analysis(books(*accounts, as_of=as_of), **more)


def loans(rows: list[Any], within: Window = SUMMER) -> tuple[Loan, ...]:
    return loans_in(analysis_of(account("a", rows, covered=COVERED)), "EUR", within)


def loan(on: str, amount: int, wording: str, brand: str = "", label: str = "PERSONAL", **more: Any) -> Row:
    return row(on, amount, wording, f"LOAN_REPAYMENT_{label}", brand=brand, **more)


TWO_LOANS = [
    loan("2024-05-26", -39989, "PRLV SEPA CREDIPAR 101M3323222", "Credipar"),
    loan("2024-05-29", -34345, "PRLV SEPA CREDIPAR 106002", "Credipar"),
    loan("2024-06-25", -39989, "PRLV SEPA CREDIPAR 101M3323222", "Credipar"),
    loan("2024-06-29", -34345, "PRLV SEPA CREDIPAR 106002", "Credipar"),
    row("2024-06-29", 34345, "REJET PRLV SEPA CREDIPAR", "PAYMENT_REJECTION"),
    loan("2024-07-23", -34345, "PRLV SEPA CREDIPAR 106002 REPRESENTATION", "Credipar"),
    loan("2024-07-27", -39989, "PRLV SEPA CREDIPAR 101M3323222", "Credipar"),
    loan("2024-07-30", -34345, "PRLV SEPA CREDIPAR 106002", "Credipar"),
]


def test_two_amounts_side_by_side_are_two_loans_and_what_was_returned_repays_none():
    # Given two loans of one lender in turn, one of whose instalments came back and was presented again a month later.
    one, other = loans(TWO_LOANS)
    # 3 times 399.89 = 1,199.67; 343.45 on 29 May, 23 July and 30 July = 1,030.35, that of 29 June came back.
    assert (one.lender, one.kind, one.count, one.total, one.usual) == (
        "Credipar",
        "unsecured",
        3,
        -119967,
        -39989,
    )
    assert (other.lender, other.count, other.total, len(other.returned)) == ("Credipar", 3, -103035, 1)
    # June and July are complete: 2 of three times 399.89, and none and two of 343.45, each by two months.
    assert one.monthly == -39989
    assert other.monthly == Fraction(-2 * 34345, 2)
    assert (one.first_day, one.last_day) == (window("2024-05-26", "2024-07-27")[:2])


def test_a_revolving_credit_that_varies_is_one_loan():
    (found,) = loans(
        [
            loan("2024-05-28", -6720, "PRELEVEMENT DE ADVANZIA BANK", "Advanzia", "REVOLVING"),
            loan("2024-06-30", -2912, "PRELEVEMENT DE ADVANZIA BANK", "Advanzia", "REVOLVING"),
            loan("2024-07-25", -3489, "PRELEVEMENT DE ADVANZIA BANK", "Advanzia", "REVOLVING"),
        ]
    )
    # 67.20 + 29.12 + 34.89 = 131.21; the median is 34.89.
    assert (found.count, found.total, found.usual) == (3, -13121, -3489)


def test_a_lender_s_revolving_credit_and_its_loans_are_apart():
    # Given 3 credits of one lender, all in turn, of which one varies.
    rows = [
        loan(day, amount, wording, "Advanzia", label)
        for month in (5, 6, 7)
        for day, amount, wording, label in (
            (f"2024-{month:02d}-25", -10167, "PRELEVEMENT CARTE ZERO FAST", "PERSONAL"),
            (f"2024-{month:02d}-26", -15000, "PRLV SEPA CARTE ZERO FSSI", "PERSONAL"),
            (f"2024-{month:02d}-28", -6720 + month * 500, "PRELEVEMENT DE ADVANZIA BANK FUBL", "REVOLVING"),
        )
    ]
    assert [found.count for found in loans(rows)] == [3, 3, 3]


def test_an_instalment_that_was_raised_is_of_the_same_loan():
    found = loans(
        [
            loan("2024-05-28", -10000, "PRET PERSONNEL"),
            loan("2024-06-28", -10000, "PRET PERSONNEL"),
            loan("2024-07-28", -11000, "PRET PERSONNEL"),
        ]
    )
    assert [one.count for one in found] == [3]


def test_wordings_that_differ_are_of_two_loans_though_they_take_turns():
    found = loans(
        [
            loan("2024-05-28", -10000, "COFIDIS VOITURE NEUVE", "Cofidis"),
            loan("2024-06-28", -20000, "COFIDIS TRAVAUX CUISINE", "Cofidis"),
        ]
    )
    assert len(found) == 2


def test_a_loan_with_one_repayment_is_a_loan():
    (found,) = loans([loan("2024-07-26", -12302, "PRET SOGEFINANC EXPRESSO")])
    assert (found.lender, found.count, found.usual) == ("PRET SOGEFINANC EXPRESSO", 1, -12302)


def test_the_month_in_a_wording_is_no_other_lender():
    months = ("JUNI", "JULI", "AUGUSTUS")
    found = loans(
        [
            loan(f"2024-{month:02d}-01", -80000 - month, f"INCASSO HYPOTHEEK {name}")
            for month, name in enumerate(months, 6)
        ]
    )
    assert [(one.lender, one.count) for one in found] == [("INCASSO HYPOTHEEK", 3)]


def test_each_kind_is_named():
    labels = {
        "SPLIT_PAYMENT": "bnpl",
        "LOAN_REPAYMENT_FAST": "hcstc",
        "DEBT_COLLECTION": "dca_dmp",
        "BAILIFF": "dca_dmp",
        "LOAN_REPAYMENT_REAL_ESTATE": "secured",
        "LOAN_REPAYMENT_PERSONAL": "unsecured",
        "LOAN_REPAYMENT_REVOLVING": "unsecured",
        "LOAN_REPAYMENT": "unknown",
    }
    rows = [row("2024-06-01", -100, f"LENDER {label}", label) for label in labels]
    assert {one.label: one.kind for one in loans(rows)} == labels


def test_payments_in_instalments_are_no_loan_repayments():
    analysis = analysis_of(
        account(
            "a",
            [
                row("2024-06-02", -12699, "3-4X CB ONEY", "SPLIT_PAYMENT", brand="Oney"),
                row("2024-06-24", -9413, "ONEY BANQUE ACCORD", "LOAN_REPAYMENT_PERSONAL", brand="Oney"),
            ],
            covered=COVERED,
        )
    )
    assert repayments_in(analysis, "EUR", SUMMER).total == -9413
    assert repayments_in(analysis, "EUR", SUMMER, frozenset({"SPLIT_PAYMENT"})).total == -12699
    assert [one.is_repayment for one in loans_in(analysis, "EUR", SUMMER)] == [False, True]


def test_the_insurance_of_a_loan_and_the_fee_of_its_return_repay_nothing():
    assert (
        loans(
            [
                row("2024-06-29", -1780, "ASSU CNP PRET HABITAT", "INSURANCE_LOAN", "LOAN_REPAYMENT"),
                row("2024-06-30", -2000, "FRAIS PRLV COFIDIS", "FEES_PAYMENT_REJECTION", "LOAN_REPAYMENT"),
                row("2024-06-30", -5000, "REJET VIR COFIDIS", "PAYMENT_REJECTION", "LOAN_REPAYMENT"),
            ]
        )
        == ()
    )


def test_an_unlabelled_row_of_a_loan_s_stream_repays_it():
    # Given a stream that goes to one account, whose last row has a wording that no rule knows.
    rows = [
        row(f"2024-{month:02d}-05", -9900, wording, *labels, other="FR76LENDER", brand=brand)
        for month, wording, labels, brand in (
            (5, "PRLV COFIDIS", ("LOAN_REPAYMENT_PERSONAL",), "Cofidis"),
            (6, "PRLV COFIDIS", ("LOAN_REPAYMENT_PERSONAL",), "Cofidis"),
            (7, "PRLV COFIDIS", ("LOAN_REPAYMENT_PERSONAL",), "Cofidis"),
            (8, "PRLV 0017", (), ""),
        )
    ]
    analysis = analysis_of(account("a", rows, covered=("2024-05-01", "2024-08-21")))
    (found,) = loans_in(analysis, "EUR", window("2024-05-01", "2024-08-21"))
    assert (found.lender, found.count) == ("Cofidis", 4)


def test_only_what_is_in_the_window_counts_and_the_first_day_is_that_of_the_books():
    one, _ = loans(TWO_LOANS, window("2024-07-01", "2024-07-31"))
    assert (one.count, one.total) == (1, -39989)
    assert one.first_day == window("2024-05-26", "2024-05-26").first


def test_a_lender_s_many_amounts_are_not_more_loans_than_there_may_be():
    rows = [loan("2024-06-01", -1000 - place, f"LENDER {place}", "Lender") for place in range(3 * LOANS_MAX)]
    assert len(loans(rows)) == LOANS_MAX
    assert sum(one.count for one in loans(rows)) == 3 * LOANS_MAX


def test_drawdowns_have_the_kind_of_the_loans_that_their_lender_is_repaid():
    # 5,500.00 of a lender who is repaid a personal loan, 800.00 of one who is not seen again.
    analysis = analysis_of(
        account(
            "a",
            [
                row(
                    "2024-06-20",
                    550000,
                    "VIREMENT SOGEFINANCE PRET",
                    "LOAN_DRAWDOWN",
                    brand="Sogefinancement",
                ),
                loan("2024-07-26", -12302, "PRET SOGEFINANC EXPRESSO", "Sogefinancement"),
                row("2024-07-27", 80000, "LOANS 2 GO", "LOAN_DRAWDOWN", brand="Loans 2 Go"),
                row("2024-07-28", -80000, "LOANS 2 GO", "LOAN_DRAWDOWN"),
            ],
            covered=COVERED,
        )
    )
    found = drawdowns_in(analysis, "EUR", SUMMER)
    assert (found.count, found.total, found.kinds) == (2, 630000, ("unsecured", "unknown"))
    # June and July are complete: 6,300.00 / 2.
    assert found.monthly == 315000


def test_months_are_complete_where_the_window_and_what_is_covered_hold_them():
    analysis = analysis_of(account("a", covered=[("2024-05-01", "2024-06-30"), ("2024-07-02", "2024-08-21")]))
    year = window("2024-01-01", "2024-12-31")
    assert [month.month % 12 + 1 for month in complete_months(analysis, "EUR", year)] == [5, 6]
    june = window("2024-06-02", "2024-08-31")
    assert complete_months(analysis, "EUR", june) == []


def test_another_currency_changes_nothing():
    euros = account("a", TWO_LOANS, covered=COVERED)
    pounds = account("b", [loan("2024-06-01", -100, "CREDIPAR", "Credipar")], covered=COVERED, currency="GBP")
    assert loans_in(analysis_of(euros, pounds), "EUR", SUMMER) == loans(TWO_LOANS)


@st.composite
def some_rows(draw: st.DrawFn) -> list[Row]:
    told = draw(
        st.lists(
            st.tuples(
                st.integers(0, 89),
                st.sampled_from([-30000, -20000, -10001, -10000, 10000, 20000]),
                st.sampled_from(["PRLV COFIDIS", "PRLV COFIDIS NEUF", "PRLV CREDIPAR"]),
            ),
            max_size=14,
        )
    )
    made = []
    for place, (day, amount, wording) in enumerate(told):
        label = "LOAN_REPAYMENT_PERSONAL" if amount < 0 else "PAYMENT_REJECTION"
        made.append(
            row(SUMMER.first + day, amount, wording, label, brand=wording.split()[1], id=f"{place:04d}")
        )
    return made


@given(some_rows(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows: list[Row], random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert loans(rows) == loans(shuffled)


@given(some_rows())
def test_each_debit_is_in_one_loan_and_repays_it_or_was_returned(rows: list[Row]):
    found = loans(rows)
    repaid = [one.id for held in found for one in held.rows]
    returned = [one.id for held in found for one in held.returned]
    assert sorted(repaid + returned) == sorted(one.id for one in rows if one.amount < 0)
    # No more comes back than there are rejections, and nothing that came back is counted.
    assert len(returned) <= sum(1 for one in rows if one.amount > 0)
    analysis = analysis_of(account("a", rows, covered=COVERED))
    assert not set(analysis.returned) & {one.id for one in repayments_in(analysis, "EUR", SUMMER).rows}
