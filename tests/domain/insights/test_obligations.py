"""K7 to K15, K17 and K18, worked out by hand."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from domain.insights.analysis import Analysis
from domain.insights.books import Account, Row
from domain.insights.figures import INSUFFICIENT_HISTORY, NOT_APPLICABLE, OK, Figure
from domain.insights.obligations import METRICS
from tests.domain.insights.books_of import account, books, day, row, window

BY_ID = {metric.id: metric for metric in METRICS}
COVERED = ("2024-01-01", "2024-06-30")
HALF = window(*COVERED)
MONTHS = (1, 2, 3, 4, 5, 6)


def figures(id: str, *accounts: Account, within=HALF, **more: Any) -> list[Figure]:
    return list(BY_ID[id].compute(Analysis(books(*accounts, as_of=within.last), **more), within))


def figure(
    id: str, rows: list[Any], within=HALF, parameters: dict[str, int] | None = None, **more: Any
) -> Figure:
    """Of one account that is covered from January to June 2024."""
    made = account("a", rows, covered=COVERED, **more)
    (found,) = figures(id, made, within=within, parameters=parameters)
    return found


def monthly(
    day_of_month: int, amount: int, wording: str, *labels: str, months=MONTHS, **more: Any
) -> list[Row]:
    return [row(f"2024-{month:02d}-{day_of_month:02d}", amount, wording, *labels, **more) for month in months]


WAGE = monthly(28, 200000, "VIR SALAIRE ALGOAN", "WAGE")
LOAN = monthly(5, -30000, "PRLV COFIDIS", "LOAN_REPAYMENT_PERSONAL", brand="Cofidis")
RENT = monthly(3, -60000, "VIR LOYER AGENCE", "RENT")
POWER = monthly(10, -6000, "PRLV EDF", "POWER")


def test_the_catalogue_has_all_of_them_in_order():
    assert [metric.id for metric in METRICS] == [f"K{number}" for number in range(1, 19)]
    assert len({metric.name for metric in METRICS}) == 18


def test_k7_puts_what_was_staked_against_income():
    # Staked 300.00 + 50.00 = 350.00 in January and March, won 20.00 in March. Income is 6 times 2,000.00 and what was
    # won: 350 / 12,020 = 0.02912. From 30 March to 30 June: 1 + 30 + 31 + 30 = 92 days.
    found = figure(
        "K7",
        [
            *WAGE,
            ("2024-01-05", -30000, "ZETURF", "GAMBLING"),
            ("2024-03-30", -5000, "WINAMAX", "GAMBLING"),
            ("2024-03-31", 2000, "FDJ GAINS", "GAMBLING_GAIN"),
        ],
    )
    assert found.value == {
        "outgoing": {"total": -35000, "count": 2},
        "incoming": {"total": 2000, "count": 1},
        "ratio": "0.0291",
        "days_since_last": 92,
        "months": [
            {"month": "2024-01", "outgoing": -30000, "incoming": 0},
            {"month": "2024-02", "outgoing": 0, "incoming": 0},
            {"month": "2024-03", "outgoing": -5000, "incoming": 2000},
            {"month": "2024-04", "outgoing": 0, "incoming": 0},
            {"month": "2024-05", "outgoing": 0, "incoming": 0},
            {"month": "2024-06", "outgoing": 0, "incoming": 0},
        ],
    }
    assert found.n == 3


def test_k7_without_income_has_no_ratio():
    value = figure("K7", [("2024-01-05", -30000, "ZETURF", "GAMBLING")]).value
    assert value["ratio"] is None
    assert figure("K7", []).value["days_since_last"] is None


def test_k8_sums_what_was_repaid_without_what_came_back():
    # Six of 300.00, of which that of May came back: 5 times 300.00 = 1,500.00; by six complete months 250.00.
    # An instalment of 49.33 is apart.
    found = figure(
        "K8",
        [
            *LOAN,
            row("2024-05-07", 30000, "REJET PRLV COFIDIS", "PAYMENT_REJECTION"),
            row("2024-06-08", -4933, "COFIDIS POUR AMAZON", "SPLIT_PAYMENT", brand="Cofidis"),
        ],
    )
    assert (found.value["total"], found.value["count"], found.value["monthly"]) == (-150000, 5, -25000)
    assert found.value["lenders"] == 1
    assert found.value["loans"] == [
        {
            "lender": "Cofidis",
            "label": "LOAN_REPAYMENT_PERSONAL",
            "type": "unsecured",
            "account": "a",
            "total": -150000,
            "count": 5,
            "monthly": -25000,
            "usual": -30000,
            "returned": 1,
            "first": "2024-01-05",
            "last": "2024-06-05",
        }
    ]
    split = found.value["split_payments"]
    assert (split["total"], split["count"], split["loans"][0]["type"]) == (-4933, 1, "bnpl")
    assert found.notes == {"months": 6}
    assert found.n == 5


def test_k8_has_no_mean_without_a_complete_month():
    found = figure("K8", LOAN, window("2024-01-02", "2024-01-31"))
    assert (found.value["total"], found.value["monthly"]) == (-30000, None)


def test_k9_tells_what_was_paid_out_and_what_began():
    # On 30 June: 800.00 paid out on 20 June, in all windows. A loan that is repaid from 5 May on began 56 days before
    # the 30th (31 - 5 + 30), so in the last 60 and not in the last 30; one that is repaid from 5 January on may have begun
    # before the books did; the first instalment of 10 June is new.
    found = figure(
        "K9",
        [
            *LOAN,
            *monthly(5, -8000, "LOANS 2 GO", "LOAN_REPAYMENT_FAST", months=(5, 6), brand="Loans 2 Go"),
            row("2024-06-20", 80000, "LOANS 2 GO", "LOAN_DRAWDOWN", brand="Loans 2 Go"),
            row("2024-06-10", -4933, "SEQURA", "SPLIT_PAYMENT", brand="Sequra"),
        ],
    )
    told = {one["days"]: one for one in found.value["rolling"]}
    assert [(days, one["covered_days"]) for days, one in told.items()] == [
        (30, 30),
        (60, 60),
        (90, 90),
        (180, 180),
        (365, 182),
    ]
    assert [(one["drawdowns"], one["drawn"], one["opened"]) for one in told.values()] == [
        (1, 80000, 1),
        (1, 80000, 2),
        (1, 80000, 2),
        (1, 80000, 2),
        (1, 80000, 2),
    ]
    assert told[60]["types"]["hcstc"] == {"drawdowns": 1, "drawn": 80000, "opened": 1}
    assert told[60]["types"]["bnpl"] == {"drawdowns": 0, "drawn": 0, "opened": 1}
    assert told[365]["types"]["unsecured"] == {"drawdowns": 0, "drawn": 0, "opened": 0}
    assert found.n == 3


def test_k9_is_null_where_no_day_is_covered():
    (found,) = figures("K9", account("a", covered=("2024-01-01", "2024-05-31")))
    assert [one["opened"] for one in found.value["rolling"]] == [None, 0, 0, 0, 0]


def test_k10_is_what_is_repaid_of_recurrent_income():
    # 6 times 300.00 of 6 times 2,000.00: 0.15. A present of 100.00 comes once and is no recurrent income.
    found = figure("K10", [*WAGE, *LOAN, ("2024-03-03", 10000, "VIR GRAND MERE")])
    assert found.value == "0.1500"
    assert found.notes == {"repaid": -180000, "recurrent_income": 1200000}
    without = figure("K10", LOAN)
    assert (without.value, without.status, without.reason) == (None, NOT_APPLICABLE, "no_recurrent_income")


def test_k11_is_a_month_s_repayments_of_a_month_s_income():
    # 300.00 of a median of 2,000.00, which a bonus of 5,000.00 in June does not move.
    found = figure("K11", [*WAGE, *LOAN, ("2024-06-29", 500000, "VIR PRIME", "WAGE_BONUS")])
    assert found.value == "0.1500"
    assert found.notes == {"loans": -30000, "income": 200000}


def test_k11_has_a_reason_for_having_no_value():
    assert figure("K11", LOAN).reason == "no_income"
    short = figure("K11", [*WAGE, *LOAN], window("2024-01-02", "2024-01-31"))
    assert (short.status, short.reason) == (INSUFFICIENT_HISTORY, "no_complete_month")


def test_k12_takes_loans_rent_and_other_charges_from_income():
    # 2,000.00 - 300.00 - 600.00 - 60.00 = 1,040.00. Groceries and cash every month are no charges. Made of six wages, six
    # repayments, six rents and six bills: 24 rows.
    found = figure(
        "K12",
        [
            *WAGE,
            *LOAN,
            *RENT,
            *POWER,
            *monthly(15, -25000, "CB CARREFOUR", "GROCERIES"),
            *monthly(16, -10000, "RETRAIT DAB", "CASH_WITHDRAWAL"),
        ],
    )
    assert found.value == {
        "income": 200000,
        "loans": -30000,
        "rent": -60000,
        "other_charges": -6000,
        "residual": 104000,
    }
    assert found.n == 24


def test_k11_and_k12_are_made_of_the_rows_of_complete_covered_months():
    # Given that January is covered from the 10th on: its wage, its loan, its rent and its bill count nowhere. From
    # February to June five wages of 2,000.00 and five repayments of 300.00 (10 rows): 300 / 2,000; and with five rents of
    # 600.00 and five bills of 60.00 (20 rows) 2,000 - 300 - 600 - 60 = 1,040.00.
    rows = [*WAGE, *LOAN, *RENT, *POWER]
    made = account("a", rows, covered=("2024-01-10", "2024-06-30"))
    counted = {row.id: row for row in made.rows if row.day >= day("2024-02-01")}
    (ratio,) = figures("K11", made)
    assert (ratio.value, ratio.n) == ("0.1500", 10)
    assert set(ratio.rows) == {
        id for id, row in counted.items() if row.has_any(frozenset({"WAGE", "LOAN_REPAYMENT_PERSONAL"}))
    }
    (residual,) = figures("K12", made)
    assert (residual.value["residual"], residual.n, residual.notes) == (104000, 20, {"months": 5})
    assert set(residual.rows) == set(counted)


def test_k12_a_loan_is_no_other_charge_though_its_stream_has_no_label():
    # A loan that came back in May is not taken away as a charge: (2,000.00 x 6 - 300.00 x 5) / 6 = 1,750.00.
    found = figure("K12", [*WAGE, *LOAN, ("2024-05-07", 30000, "REJET PRLV COFIDIS", "PAYMENT_REJECTION")])
    assert (found.value["loans"], found.value["other_charges"], found.value["residual"]) == (
        -25000,
        0,
        175000,
    )


def test_k13_names_the_rent():
    # Six of 600.00 on the third; all five gaps are of a month.
    found = figure("K13", RENT)
    assert (found.value["amount"], found.value["missed"], found.value["candidates"]) == (-60000, 0, 0)
    (stream,) = found.value["streams"]
    assert (stream["total"], stream["count"], stream["regularity"], stream["due_days"]) == (
        -360000,
        6,
        100,
        [3],
    )
    assert stream["status"] == "MATURE"


def test_k13_leaves_out_a_rent_that_came_back():
    # Six of 600.00, of which that of May came back.
    found = figure("K13", [*RENT, ("2024-05-06", 60000, "REJET VIR LOYER AGENCE", "PAYMENT_REJECTION")])
    assert (found.value["streams"][0]["total"], found.n) == (-300000, 5)


def test_k13_counts_the_months_without_a_payment():
    # Nothing was paid in April: the gap from 3 March to 3 May is of two months.
    found = figure("K13", monthly(3, -60000, "VIR LOYER AGENCE", "RENT", months=(1, 2, 3, 5, 6)))
    assert found.value["missed"] == 1


def test_k13_a_month_whose_rent_came_back_is_missed():
    # Seven of 600.00 from January to July. Where that of April came back, two that stood are two months apart: one is
    # missed. Where the first one came back, or the last two, nothing was paid in these months: one, and two; the rent goes
    # on being asked for, so that nothing more is missing at the end.
    seven = ("2024-01-01", "2024-07-31")
    for months, missed in (((4,), 1), ((1,), 1), ((6, 7), 2), ((2, 4, 5), 3)):
        back = monthly(6, 60000, "REJET VIR LOYER AGENCE", "PAYMENT_REJECTION", months=months)
        made = account(
            "a", [*monthly(3, -60000, "VIR LOYER AGENCE", "RENT", months=range(1, 8)), *back], covered=seven
        )
        (found,) = figures("K13", made, within=window(*seven))
        (stream,) = found.value["streams"]
        assert (stream["missed"], stream["status"]) == (missed, "MATURE"), months
        assert (found.value["missed"], stream["count"]) == (missed, 7 - len(months)), months


def test_k13_a_rent_that_was_asked_for_again_in_its_month_is_paid():
    # That of April came back on the 6th and stood on the 12th: from 3 March on 40 days, to 3 May 21: a month each.
    again = [
        row("2024-04-06", 60000, "REJET VIR LOYER AGENCE", "PAYMENT_REJECTION"),
        row("2024-04-12", -60000, "VIR LOYER AGENCE", "RENT"),
    ]
    found = figure("K13", [*RENT, *again])
    assert (found.value["missed"], found.value["streams"][0]["count"]) == (0, 6)


def test_k13_misses_nothing_on_days_that_nobody_read():
    # Paid from January to April: expected on 3 May with six days of tolerance (a fifth of 30), so by the 9th, and on
    # 3 June. Another account was read up to the end of June.
    other = account("b", readings=[("2024-06-30", 100)], covered=COVERED)
    paid = monthly(3, -60000, "VIR LOYER AGENCE", "RENT", months=(1, 2, 3, 4))

    def told(*covered: tuple[str, str]) -> tuple[int, int, str]:
        value = figures("K13", account("a", paid, covered=covered), other)[0].value
        return value["amount"], value["missed"], value["streams"][0]["status"]

    assert told(("2024-01-01", "2024-04-30")) == (-60000, 0, "MATURE")
    assert told(("2024-01-01", "2024-05-08")) == (-60000, 0, "MATURE")
    assert told(("2024-01-01", "2024-05-09")) == (-60000, 1, "MISSED")
    assert told(("2024-01-01", "2024-06-08")) == (-60000, 1, "MISSED")
    assert told(("2024-01-01", "2024-06-09")) == (0, 2, "ENDED")
    # What was due in the days between is not known; in June nothing came.
    assert told(("2024-01-01", "2024-05-02"), ("2024-05-20", "2024-06-30")) == (-60000, 1, "MISSED")


def test_k13_a_month_that_nobody_read_between_two_payments_is_not_missed():
    # Nothing of April is covered, and no rent of it is known.
    rows = monthly(3, -60000, "VIR LOYER AGENCE", "RENT", months=(1, 2, 3, 5, 6))
    made = account("a", rows, covered=[("2024-01-01", "2024-03-31"), ("2024-05-01", "2024-06-30")])
    assert figures("K13", made)[0].value["missed"] == 0


def test_k13_a_rent_that_came_twice_is_a_candidate():
    found = figure("K13", monthly(3, -60000, "VIR LOYER AGENCE", "RENT", months=(5, 6)))
    assert (found.value["amount"], found.value["missed"], found.value["candidates"]) == (None, None, 1)
    assert (found.value["streams"][0]["candidate"], found.value["streams"][0]["amount"]) == (True, -60000)


def test_k13_a_rent_that_did_not_come_is_missed_and_one_that_ended_is_no_more():
    # Of January to May, expected on 3 June and by the 9th: missed once. Of January to April, expected on 3 May and 3 June:
    # ended, with two that were missed.
    missed = figure("K13", monthly(3, -60000, "VIR LOYER AGENCE", "RENT", months=(1, 2, 3, 4, 5))).value
    assert (missed["amount"], missed["missed"], missed["streams"][0]["status"]) == (-60000, 1, "MISSED")
    ended = figure("K13", monthly(3, -60000, "VIR LOYER AGENCE", "RENT", months=(1, 2, 3, 4))).value
    assert (ended["amount"], ended["missed"], ended["streams"][0]["status"]) == (0, 2, "ENDED")


def test_what_recurs_is_not_known_of_a_few_days():
    # Given 59 covered days in which nothing recurs; then no rent is not a rent of 0.
    short = account(
        "a", [("2024-05-28", 200000, "VIR SALAIRE", "WAGE")], covered=("2024-05-01", "2024-06-30")
    )
    for id in ("K10", "K12", "K13"):
        (found,) = figures(id, short)
        assert (found.value, found.status, found.reason) == (None, INSUFFICIENT_HISTORY, "history_too_short")


def test_k14_is_cash_of_all_that_was_spent_but_own_transfers():
    # 100.00 by label and 50.00 by type of 600.00. 400.00 went to the holder's own savings, by IBAN.
    checking = account(
        "a",
        [
            row("2024-02-01", -10000, "RETRAIT DAB", "CASH_WITHDRAWAL"),
            row("2024-02-02", -5000, "GAB 0017", kind="withdrawal"),
            row("2024-02-03", -45000, "CB BOULANGER", "SHOPPING"),
            row("2024-02-04", -40000, "VIR LIVRET", "SAVING", other="OWN-SAVINGS"),
        ],
        covered=COVERED,
        iban="OWN-CHECKING",
    )
    savings = account(
        "b",
        [row("2024-02-04", 40000, "VIR", other="OWN-CHECKING")],
        covered=COVERED,
        kind="SAVINGS",
        iban="OWN-SAVINGS",
    )
    (found,) = figures("K14", checking, savings)
    assert found.value == "0.2500"
    assert found.notes == {"withdrawals": -15000, "outflow": -60000}
    assert figure("K14", []).reason == "no_outflow"


def test_k15_sums_wages_paid_ahead():
    # 500.00 of a third party and 200.00 of the employer.
    found = figure(
        "K15",
        [
            ("2024-02-05", 50000, "AVANCE VK02", "WAGE_ADVANCE_PAYMENT"),
            ("2024-03-05", 20000, "ACOMPTE SALAIRE", "WAGE_SALARY_ADVANCE"),
            ("2024-03-28", 180000, "SALAIRE", "WAGE"),
        ],
    )
    assert (found.value, found.n) == ({"total": 70000, "count": 2}, 2)


def test_k17_is_what_a_business_has_left_to_serve_its_debt():
    # 10,000.00 in, 7,000.00 out of which 1,000.00 repay a loan: (10,000 - 6,000) / 1,000 = 4.
    rows = [
        ("2024-02-01", 1000000, "VIR CLIENT", "SALES"),
        ("2024-02-02", -600000, "FOURNISSEUR", "SUPPLIER"),
        ("2024-02-05", -100000, "PRET PRO", "LOAN_REPAYMENT"),
    ]
    for usage in ("PRO", "ORGA"):
        assert figure("K17", rows, usage=usage).value == "4.0000"
    private = figure("K17", rows, usage="PRIV")
    assert (private.value, private.status, private.reason) == (None, NOT_APPLICABLE, "no_business_account")
    assert figure("K17", rows[:2], usage="PRO").reason == "no_loan_repayments"


def test_k17_looks_at_business_accounts_alone():
    business = account(
        "a",
        [("2024-02-01", 300000, "CLIENT", "SALES"), ("2024-02-05", -100000, "PRET PRO", "LOAN_REPAYMENT")],
        covered=COVERED,
        usage="PRO",
    )
    private = account("b", [*WAGE, *LOAN], covered=COVERED, usage="PRIV")
    (found,) = figures("K17", business, private)
    assert found.value == "3.0000"


def test_k18_tells_what_happened_day_by_day():
    # 5,900.00 on 30 June, 900.00 on the 20th, -5,100.00 on the 19th, -5,109.99 on the 10th, -4,809.99 on the 9th and on
    # all days before: one run below 100.00, from the first day that is looked at to the deposit of the 20th.
    found = figure(
        "K18",
        [
            row("2024-06-10", -30000, "PRLV COFIDIS", "LOAN_REPAYMENT_PERSONAL", id="loan"),
            row("2024-06-11", 999, "REJET PRLV SPOTIFY", "PAYMENT_REJECTION", id="nsf"),
            row("2024-06-20", 600000, "VENTE VOITURE", id="car"),
            row("2024-06-21", 500000, "VIR", id="no-more-than-the-limit"),
        ],
        readings=[("2024-06-30", 590000)],
    )
    assert [(one["day"], one["type"], one["amount"]) for one in found.value["events"]] == [
        ("2024-01-01", "balance_below", -480999),
        ("2024-06-10", "new_loan_payment", -30000),
        ("2024-06-11", "insufficient_funds", 999),
        ("2024-06-20", "deposit_above", 600000),
    ]
    assert found.value["count"] == 4
    assert found.value["types"] == {
        "balance_below": 1,
        "deposit_above": 1,
        "insufficient_funds": 1,
        "new_loan_payment": 1,
    }
    assert found.rows == (b"loan", b"nsf", b"car")
    assert found.notes == {"balance_below": 10000, "deposit_above": 500000}


def test_k18_thresholds_are_the_tenant_s():
    rows = [("2024-06-20", 600000, "VENTE VOITURE"), ("2024-06-21", -5000, "CB LIDL")]
    told = figure("K18", rows, parameters={"balance_below": 0, "deposit_above": 600000}).value
    assert told["events"] == []
    told = figure("K18", rows, parameters={"deposit_above": 599999}).value
    assert [one["type"] for one in told["events"]] == ["deposit_above"]


def test_k18_each_run_below_the_threshold_is_told_once():
    # 150.00, then 50.00 on 2 and 3 June, 150.00 on the 4th, 99.99 from the 5th on; 100.00 is not below 100.00.
    found = figure(
        "K18",
        [
            ("2024-06-02", -10000, "CB LIDL"),
            ("2024-06-04", 10000, "VIR"),
            ("2024-06-05", -5000, "CB LIDL"),
            ("2024-06-07", -1, "CB LIDL"),
        ],
        readings=[("2024-06-30", 9999)],
    )
    assert [(one["day"], one["amount"]) for one in found.value["events"]] == [
        ("2024-06-02", 5000),
        ("2024-06-07", 9999),
    ]


def test_k18_a_run_that_began_before_the_window_is_not_told():
    rows = [("2024-06-02", -10000, "CB LIDL"), ("2024-06-04", 10000, "VIR"), ("2024-06-05", -7000, "CB LIDL")]
    june = window("2024-06-03", "2024-06-30")
    found = figure("K18", rows, within=june, readings=[("2024-06-30", 8000)])
    assert [(one["day"], one["amount"]) for one in found.value["events"]] == [("2024-06-05", 8000)]


def test_k18_a_threshold_may_lie_between_two_amounts():
    # 1.5 yen: 2 are more, and 1 is less.
    yen = {"currency": "JPY", "exponent": 0, "parameters": {"balance_below": 150, "deposit_above": 150}}
    rows = [("2024-06-20", 1, "VIR"), ("2024-06-21", 2, "VIR"), ("2024-06-22", -2, "CB LIDL")]
    found = figure("K18", rows, readings=[("2024-06-30", 3)], **yen)
    assert [(one["type"], one["amount"]) for one in found.value["events"]] == [("deposit_above", 2)]
    found = figure("K18", rows, readings=[("2024-06-30", 1)], **yen)
    assert [(one["day"], one["type"], one["amount"]) for one in found.value["events"]] == [
        ("2024-01-01", "balance_below", 0),
        ("2024-06-21", "deposit_above", 2),
        ("2024-06-22", "balance_below", 1),
    ]


def test_k18_tells_new_income_and_income_that_did_not_come():
    # A wage from 28 February on is new, since January and February were looked at. That of January to April stopped.
    begun = figure("K18", monthly(28, 200000, "VIR SALAIRE ALGOAN", "WAGE", months=(2, 3, 4, 5, 6)))
    assert [(one["day"], one["type"]) for one in begun.value["events"]] == [
        ("2024-02-28", "new_income_stream")
    ]
    # Expected on 28 May, with six days of tolerance (a fifth of 30): missed on 4 June.
    missed = figure("K18", monthly(28, 200000, "VIR SALAIRE ALGOAN", "WAGE", months=(1, 2, 3, 4)))
    assert [(one["day"], one["type"]) for one in missed.value["events"]] == [("2024-06-04", "missed_deposit")]


def test_k18_tells_of_no_missed_deposit_on_days_that_nobody_read():
    # As above, but the account was read up to 2 June: the tolerance of what was expected on 28 May ends on the 3rd.
    other = account("b", covered=COVERED)
    wages = monthly(28, 200000, "VIR SALAIRE ALGOAN", "WAGE", months=(1, 2, 3, 4))
    for last, events in (("2024-06-02", []), ("2024-06-03", [("2024-06-04", "missed_deposit")])):
        (found,) = figures("K18", account("a", wages, covered=("2024-01-01", last)), other)
        assert [(one["day"], one["type"]) for one in found.value["events"]] == events


def test_none_of_them_says_zero_where_no_day_is_covered():
    for id in BY_ID:
        (found,) = figures(id, account("a", covered=()))
        assert (found.value, found.status, found.reason) == (None, INSUFFICIENT_HISTORY, "no_history")


def test_nothing_happened_is_a_zero_where_days_are_covered():
    for id in ("K8", "K15"):
        found = figure(id, [])
        assert (found.value["total"], found.value["count"], found.status) == (0, 0, OK)
    assert figure("K13", []).value == {"amount": 0, "missed": 0, "candidates": 0, "streams": []}
    assert figure("K18", []).value == {"events": [], "count": 0, "types": {}}


LABELS = (
    "WAGE",
    "LOAN_REPAYMENT_PERSONAL",
    "SPLIT_PAYMENT",
    "LOAN_DRAWDOWN",
    "PAYMENT_REJECTION",
    "RENT",
    "GAMBLING",
    "CASH_WITHDRAWAL",
    "POWER",
)


@st.composite
def some_rows(draw: st.DrawFn) -> list[Row]:
    told = draw(
        st.lists(
            st.tuples(
                st.integers(0, 181),
                st.sampled_from([-60000, -30000, -1000, 1000, 30000, 600000]),
                st.sampled_from(["COFIDIS", "EDF", "AGENCE", "ALGOAN"]),
                st.sampled_from(LABELS),
            ),
            max_size=14,
        )
    )
    return [
        row(HALF.first + after, amount, wording, label, id=f"{place:04d}")
        for place, (after, amount, wording, label) in enumerate(told)
    ]


@given(some_rows(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(rows: list[Row], random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    more = {"readings": [("2024-06-30", 100000)], "usage": "PRO"}
    for id in BY_ID:
        assert figure(id, rows, **more) == figure(id, shuffled, **more)


@given(some_rows(), some_rows())
def test_another_currency_changes_nothing(rows: list[Row], others: list[Row]):
    euros = account("a", rows, covered=COVERED, readings=[("2024-06-30", 100000)])
    foreign = [one._replace(id=b"gbp" + one.id) for one in others]
    pounds = account("b", foreign, covered=COVERED, readings=[("2024-06-30", 5)], currency="GBP")
    for id in BY_ID:
        (alone,) = figures(id, euros)
        both = figures(id, euros, pounds)
        assert [one.currency for one in both] == ["EUR", "GBP"]
        assert both[0] == alone


@given(some_rows())
def test_k8_comes_to_the_rows_that_it_names_and_each_loan_to_its_part(rows: list[Row]):
    amounts = {one.id: one.amount for one in rows}
    found = figure("K8", rows)
    assert found.value["total"] == sum(amounts[id] for id in found.rows)
    assert found.value["total"] == sum(loan["total"] for loan in found.value["loans"])
    assert found.value["count"] == sum(loan["count"] for loan in found.value["loans"]) == found.n


@given(some_rows())
def test_a_debit_that_came_back_repays_nothing(rows: list[Row]):
    analysis = Analysis(books(account("a", rows, covered=COVERED), as_of=HALF.last))
    (found,) = BY_ID["K8"].compute(analysis, HALF)
    assert not set(found.rows) & set(analysis.returned)


def test_the_days_are_those_of_value_where_these_are_asked_for():
    # Booked on 30 June, valued on 1 July: out of the window by value.
    rows = [row("2024-06-30", 50000, "AVANCE", "WAGE_ADVANCE_PAYMENT", value=day("2024-07-01"))]
    made = account("a", rows, covered=COVERED)
    assert figures("K15", made)[0].value["count"] == 1
    assert figures("K15", made, date_basis="value")[0].value["count"] == 0
