"""K1 to K6 and K16, worked out by hand."""

from __future__ import annotations

from time import process_time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.insights.analysis import Analysis
from domain.insights.books import Account, Row
from domain.insights.figures import INSUFFICIENT_HISTORY, NOT_APPLICABLE, OK, Figure
from domain.insights.incidents import heavy_failures_in, is_direct_debit, nsf_fees_in, rejections_in
from domain.insights.obligations import METRICS
from tests.domain.insights.books_of import account, books, row, window

BY_ID = {metric.id: metric for metric in METRICS}
YEAR = window("2024-01-01", "2024-12-31")
COVERED = ("2024-01-01", "2024-12-31")


def figures(id: str, *accounts: Account, within=YEAR, **more: Any) -> list[Figure]:
    return list(BY_ID[id].compute(Analysis(books(*accounts, as_of=within.last), **more), within))


def told(total: int, *ids: str) -> dict[str, Any]:
    """A total with the rows that it is of; ids of tests are shown in hexadecimal digits, since they are no UUIDs."""
    return {"total": total, "count": len(ids), "transactions": [id.encode().hex() for id in ids]}


def figure(id: str, rows: list[Any], within=YEAR) -> Figure:
    """Of one account that is covered all year."""
    (found,) = figures(id, account("a", rows, covered=COVERED), within=within)
    return found


REJECTED = [
    ("2024-06-29", -34345, "PRLV SEPA CREDIPAR", "LOAN_REPAYMENT_PERSONAL"),
    ("2024-06-29", 34345, "REJET PRLV SEPA CREDIPAR", "PAYMENT_REJECTION"),
    ("2024-07-13", 999, "REJET PRLV SPOTIFY", "PAYMENT_REJECTION"),
    ("2024-07-27", -2000, "F FRAIS PRLV IMP 343,45EUR", "FEES_PAYMENT_REJECTION"),
    ("2024-07-27", -2000, "F FRAIS PRLV IMP 9,99EUR", "FEES_PAYMENT_REJECTION"),
]


def test_k1_counts_what_was_returned_and_its_fees_apart():
    # 343.45 + 9.99 = 353.44 came back in two rows; two fees of 20.00 were taken.
    found = figure("K1", REJECTED)
    assert found.value == {**told(35344, "a-0002", "a-0003"), "fees": told(-4000, "a-0004", "a-0005")}
    assert found.rows == (b"a-0002", b"a-0003", b"a-0004", b"a-0005")
    assert (found.n, found.covered_days, found.status) == (4, 366, OK)


def test_k1_counts_a_payment_to_the_holder_that_was_taken_back():
    # 50.00 had come in and was taken back; 9.99 of the holder's own came back: 59.99 by size.
    found = figure(
        "K1",
        [
            ("2024-02-01", -5000, "REJET VIREMENT RECU", "PAYMENT_REJECTION"),
            ("2024-02-02", 999, "REJET PRLV", "PAYMENT_REJECTION"),
        ],
    )
    assert found.value["total"] == 5999


def test_k1_counts_no_fee_as_a_rejection():
    # A wording such as "FRAIS REJET PRELEVEMENT" may have both labels.
    found = figure(
        "K1", [("2024-02-01", -2000, "FRAIS REJET PRLV", "FEES_PAYMENT_REJECTION", "PAYMENT_REJECTION")]
    )
    assert found.value == {**told(0), "fees": told(-2000, "a-0001")}


def test_k2_counts_cheques_as_k1_does_payments():
    # 47.88 came back, for 19.50; the returned payment of 9.99 is K1's.
    found = figure(
        "K2",
        [
            ("2024-07-24", -4788, "CHQ. N.1239208", "CHECK"),
            ("2024-07-26", 4788, "REJET CHEQUE 1239208", "CHECK_REJECTION"),
            ("2024-08-07", -1950, "FRAIS CHEQUE REJETE", "FEES_CHECK_REJECTION"),
            ("2024-08-11", 999, "IMPAYE - PRLV SEPA", "PAYMENT_REJECTION"),
        ],
    )
    assert found.value == {**told(4788, "a-0002"), "fees": told(-1950, "a-0003")}


def test_k3_nets_fees_that_were_paid_back_in_the_same_window():
    # Fees: 10 January 20.00 (paid back on 15 January), 20 November 20.00, 20 December 15.00 (20.00 back on the 30th pays
    # back no fee of 15.00, but the one of 20 November). Of 2024: 3 - 2 = 1, 55.00 - 40.00 = 15.00.
    # Last 30 days (2 December on): 1 charged, nothing of 15.00 back: 1. Last 60 days (2 November on): 2 - 1 = 1. Last 90
    # days (3 October on): the same.
    found = figure(
        "K3",
        [
            ("2024-01-10", -2000, "FRAIS", "FEES_PAYMENT_REJECTION"),
            ("2024-01-15", 2000, "REMBOURSEMENT FRAIS", "FEE_REVERSAL"),
            ("2024-11-20", -2000, "FRAIS", "FEES_PAYMENT_REJECTION"),
            ("2024-12-20", -1500, "FRAIS", "FEES_CHECK_REJECTION"),
            ("2024-12-30", 2000, "REMBOURSEMENT FRAIS", "FEE_REVERSAL"),
        ],
    )
    assert found.value == {
        "count": 1,
        "total": -1500,
        "charged": 3,
        "reversed": 2,
        "rolling": [
            {"days": 30, "covered_days": 30, "count": 1},
            {"days": 60, "covered_days": 60, "count": 1},
            {"days": 90, "covered_days": 90, "count": 1},
        ],
    }


def test_k3_a_fee_that_is_paid_back_after_the_window_was_not_paid_back_in_it():
    # The fee of 10 January came back on 15 January: it counts to a window that ends on the 12th.
    rows = [
        ("2024-01-10", -2000, "FRAIS", "FEES_PAYMENT_REJECTION"),
        ("2024-01-15", 2000, "REMBOURSEMENT FRAIS", "FEE_REVERSAL"),
    ]
    assert figure("K3", rows, window("2024-01-01", "2024-01-12")).value["count"] == 1
    assert figure("K3", rows, window("2024-01-01", "2024-01-31")).value["count"] == 0


def test_k3_many_fees_take_no_long():
    # 12,000 fees of 1,000 amounts over 300 days, and as many credits that pay back every second one, a day later: the
    # others are of an amount that no fee has.
    first = YEAR.first
    fees = [
        row(first + place % 300, -1000 - place % 1000, "FRAIS", "FEES_PAYMENT_REJECTION")
        for place in range(12_000)
    ]
    credits = [
        row(
            first + 1 + place % 300, 1000 + place % 1000 + 5000 * (place % 2), "REMBOURSEMENT", "FEE_REVERSAL"
        )
        for place in range(12_000)
    ]
    made = account("a", [*fees, *credits], covered=COVERED)
    analysis = Analysis(books(made, as_of=YEAR.last))
    before = process_time()
    charged, reversed_ = nsf_fees_in(analysis, "EUR", YEAR)
    assert process_time() - before < 1.5
    assert (charged.count, reversed_.count) == (12_000, 6_000)


def test_k3_a_fee_may_be_paid_back_on_its_day_but_not_before():
    # 20.00 came back on the day of the second fee; the one of 15.00 had no fee before it.
    found = figure(
        "K3",
        [
            ("2024-01-09", 1500, "REMBOURSEMENT FRAIS", "FEE_REVERSAL"),
            ("2024-01-10", -1500, "FRAIS", "FEES_PAYMENT_REJECTION"),
            ("2024-01-11", -2000, "FRAIS", "FEES_PAYMENT_REJECTION"),
            ("2024-01-11", 2000, "REMBOURSEMENT FRAIS", "FEE_REVERSAL"),
        ],
    )
    assert (found.value["charged"], found.value["reversed"], found.value["total"]) == (2, 1, -1500)


def test_k3_a_rolling_window_without_a_covered_day_is_null():
    # Covered are January to October: none of the last 30 and 60 days, and of the last 90 (3 October on) 29.
    (found,) = figures("K3", account("a", covered=("2024-01-01", "2024-10-31")))
    assert [(one["days"], one["covered_days"], one["count"]) for one in found.value["rolling"]] == [
        (30, 0, None),
        (60, 0, None),
        (90, 29, 0),
    ]


def test_k4_counts_distinct_days_without_what_was_paid_back():
    # 29 June and 13 July something came back, 27 July two fees: three days. The fee of 1 August was paid back.
    rows = [
        *REJECTED,
        ("2024-08-01", -1500, "FRAIS", "FEES_CHECK_REJECTION"),
        ("2024-08-02", 1500, "REMBOURSEMENT FRAIS", "FEE_REVERSAL"),
    ]
    found = figure("K4", rows)
    assert found.value == 3
    assert found.rows == (b"a-0002", b"a-0003", b"a-0004", b"a-0005")


def test_k4_a_payer_without_funds_is_not_the_holder():
    assert figure("K4", [("2024-02-01", -5000, "CHEQUE IMPAYE", "CHECK_REJECTION")]).value == 0


def test_k5_sums_overdraft_and_intervention_fees():
    # 89.89 interest and twice 8.00 for an intervention: 105.89.
    found = figure(
        "K5",
        [
            ("2024-03-31", -8989, "INT/FRAIS TX DEBIT", "FEES_OVERDRAFT"),
            ("2024-03-31", -800, "COMMISSION D'INTERVENTION", "FEES_INTERVENTION"),
            ("2024-04-02", -800, "COMMISSION D'INTERVENTION", "FEES_INTERVENTION"),
            ("2024-04-03", -499, "COTISATION", "BANK_FEES"),
        ],
    )
    assert found.value == {
        "total": -10589,
        "count": 3,
        "overdraft": told(-8989, "a-0001"),
        "intervention": told(-1600, "a-0002", "a-0003"),
    }


def test_k6_tells_seizures_from_direct_recovery_and_their_fees():
    # A seizure of 478.56 for 110.80, and 75.00 set aside for a recovery and then 75.00 recovered.
    found = figure(
        "K6",
        [
            ("2024-07-17", -47856, "BLOCAGE SAISIE ADM TIERS DET", "ACCOUNT_SEIZURE"),
            ("2024-07-30", -11080, "FRAIS SAISIE SUR COMPTE", "FEES_ACCOUNT_SEIZURE"),
            ("2024-08-01", -7500, "PROVISION", "PROVISION_DIRECT_DEBT_RECOVERY"),
            ("2024-08-09", -7500, "RECOUVREMENT", "DIRECT_DEBT_RECOVERY"),
        ],
    )
    assert found.value == {
        "total": -62856,
        "count": 3,
        "fees": {"total": -11080, "count": 1},
        "bank_account_seizure": {**told(-47856, "a-0001"), "fees": told(-11080, "a-0002")},
        "direct_recovery_of_debt": {**told(-15000, "a-0003", "a-0004"), "fees": told(0)},
        "preventive_seizure": {**told(0), "fees": told(0)},
    }


def test_k16_is_what_came_back_of_all_that_was_collected():
    # Of four direct debits one came back: 1 / (1 + 3). The card payment and the fee are none.
    found = figure(
        "K16",
        [
            ("2024-06-01", -1000, "PRLV SEPA EDF", "POWER"),
            ("2024-06-02", -2000, "PRELEVEMENT DE FREE", "TELECOM"),
            row("2024-06-03", -3000, "FREE SAS 12", "TELECOM", kind="order"),
            ("2024-06-29", -34345, "PRLV SEPA CREDIPAR", "LOAN_REPAYMENT_PERSONAL"),
            ("2024-06-29", 34345, "REJET PRLV SEPA CREDIPAR", "PAYMENT_REJECTION"),
            ("2024-06-30", -500, "CB CARREFOUR", "GROCERIES"),
            ("2024-07-27", -2000, "FRAIS PRLV IMP", "FEES_PAYMENT_REJECTION"),
        ],
    )
    assert found.value == "0.2500"
    assert found.notes == {"returned": 1, "executed": 3}


def test_k16_is_not_applicable_without_a_direct_debit():
    found = figure("K16", [("2024-06-30", -500, "CB CARREFOUR", "GROCERIES")])
    assert (found.value, found.status, found.reason) == (None, NOT_APPLICABLE, "no_direct_debit")


def test_the_provider_s_type_says_what_a_direct_debit_is_where_it_gives_one():
    assert is_direct_debit(row("2024-01-01", -1, "SOMETHING", kind="order"))
    assert not is_direct_debit(row("2024-01-01", -1, "PRLV", kind="card"))
    assert not is_direct_debit(row("2024-01-01", 1, "PRLV"))
    for wording in ("NWI HOME INSURANCE - D/D", "RECIBO COFIDIS", "SEPA INCASSO ALPHABET", "Prélèvement EDF"):
        assert is_direct_debit(row("2024-01-01", -1, wording))
    assert not is_direct_debit(row("2024-01-01", -1, "CARTE X2518 SPOTIFY"))


def test_nothing_happened_is_a_zero_only_where_days_are_covered():
    for id in ("K1", "K2", "K3", "K4", "K5", "K6"):
        quiet = figure(id, [])
        assert quiet.status == OK
        assert (quiet.value if id == "K4" else quiet.value["count"]) == 0
        (unknown,) = figures(id, account("a", covered=()))
        assert (unknown.value, unknown.status, unknown.reason) == (None, INSUFFICIENT_HISTORY, "no_history")


def test_a_row_without_an_amount_in_the_window_is_told():
    (found,) = figures("K1", account("a", covered=COVERED, unknown_days=["2024-03-01"]))
    assert (found.status, found.reason) == (OK, "amount_missing")


def test_another_currency_has_its_own_figure():
    euros = account("a", REJECTED, covered=COVERED)
    pounds = account(
        "b",
        [("2024-06-29", 500, "RETURNED DIRECT DEBIT", "PAYMENT_REJECTION")],
        covered=COVERED,
        currency="GBP",
    )
    both = figures("K1", euros, pounds)
    assert [found.currency for found in both] == ["EUR", "GBP"]
    assert both[0] == figure("K1", REJECTED)
    assert both[1].value["total"] == 500


LABELS = (
    "PAYMENT_REJECTION",
    "CHECK_REJECTION",
    "FEES_PAYMENT_REJECTION",
    "FEES_CHECK_REJECTION",
    "FEE_REVERSAL",
    "FEES_OVERDRAFT",
    "FEES_INTERVENTION",
    "ACCOUNT_SEIZURE",
    "DIRECT_DEBT_RECOVERY",
    "LOAN_REPAYMENT_PERSONAL",
    "SALES",
)


@st.composite
def some_rows(draw: st.DrawFn) -> list[Row]:
    told = draw(
        st.lists(
            st.tuples(
                st.integers(0, 365),
                st.sampled_from([-2000, -1500, -100, 100, 1500, 2000]),
                st.sampled_from(["PRLV COFIDIS", "PRLV EDF", "CB LIDL"]),
                st.sampled_from(LABELS),
            ),
            max_size=12,
        )
    )
    first = window("2024-01-01", "2024-01-01").first
    return [
        row(first + day, amount, wording, label, id=f"{place:04d}")
        for place, (day, amount, wording, label) in enumerate(told)
    ]


@given(some_rows(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows: list[Row], random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    for id in ("K1", "K2", "K3", "K4", "K5", "K6", "K16"):
        assert figure(id, rows) == figure(id, shuffled)


@given(some_rows())
def test_what_k1_and_k2_come_to_are_the_rows_that_they_name(rows: list[Row]):
    amounts = {one.id: one.amount for one in rows}
    for id in ("K1", "K2"):
        found = figure(id, rows)
        events, fees = found.rows[: found.value["count"]], found.rows[found.value["count"] :]
        assert found.value["total"] == sum(abs(amounts[one]) for one in events)
        assert found.value["fees"] == told(sum(amounts[one] for one in fees), *(one.decode() for one in fees))


@given(some_rows())
def test_k3_never_pays_back_more_than_was_charged(rows: list[Row]):
    value = figure("K3", rows).value
    assert 0 <= value["reversed"] <= value["charged"]
    assert value["total"] <= 0


def test_the_helpers_hand_over_the_rows():
    analysis = Analysis(books(account("a", REJECTED, covered=COVERED), as_of="2024-12-31"))
    found = rejections_in(analysis, "EUR", YEAR)
    assert [one.id for one in found.payments.events.rows] == [b"a-0002", b"a-0003"]
    assert found.payments.fees.total == -4000
    assert found.checks.events.count == 0
    assert set(heavy_failures_in(analysis, "EUR", YEAR)) == {
        "bank_account_seizure",
        "direct_recovery_of_debt",
        "preventive_seizure",
    }
