"""Credit insights: flows that belong together, loans and risks, counted by hand."""

from __future__ import annotations

import time
from datetime import date
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryRows
from domain.consumer_account import AccountClosed, AccountDetails, AccountDetailsChanged
from domain.insights.analysis import NOT_COUNTED
from domain.transactions import day_of
from projections import answers
from projections.accounts import cash_accounts, key_of
from projections.credit_insights import document, nothing
from projections.labels import label_root
from projections.models import fold
from projections.shown import booked_between
from tests.projections.examples import (
    ADA,
    BOB,
    MARCH_1,
    SAVINGS,
    TENANT,
    History,
    a_row,
    discovered,
    families,
    fetched,
    histories,
    of_account,
    of_consumer,
    reading,
    registered,
)


def a_history(*facts: Any) -> History:
    return History().add(of_consumer(), registered()).add(of_account(), discovered(), *facts)


def insights_of(history: History) -> answers.CreditInsights:
    rows = MemoryRows()
    fold(history.recorded, rows)
    return msgspec.json.decode(document(rows, TENANT, ADA), type=answers.CreditInsights)


def test_without_data_there_is_nothing_but_the_shape() -> None:
    insights = insights_of(History().add(of_consumer(), registered()))
    assert (insights.from_date, insights.to_date, insights.cash_flows, insights.computed_at) == (
        None,
        None,
        [],
        None,
    )
    assert (insights.status, insights.reasons) == ("not_applicable", ["no_checking_account"])
    assert (insights.currency, insights.other_currencies) == (None, [])
    assert insights.risks.overdraft.status == "insufficient_history"
    assert insights.risks.overdraft.duration is None
    assert insights.loans.repayments.status == "insufficient_history"
    assert insights.loans.repayments.total_amount is None
    assert insights.risks.incidents.check_rejections.total_fees_amount is None
    assert insights.risks.heavy_failures.bank_account_seizure.transactions == []
    assert msgspec.json.decode(nothing(), type=answers.CreditInsights) == insights


def test_a_consumer_of_whom_nothing_is_known_has_no_document() -> None:
    assert document(MemoryRows(), TENANT, ADA) is None


def test_the_months_end_with_the_last_reading_whatever_is_dated_ahead() -> None:
    insights = insights_of(a_history(fetched(a_row(1, MARCH_1 - 300, 5)), reading(0)))
    assert (insights.from_date, insights.to_date) == ("2023-03-01", "2024-03-01")
    insights = insights_of(a_history(fetched(a_row(1, date(2024, 4, 30), 5)), reading(0)))
    assert (insights.from_date, insights.to_date) == ("2023-03-01", "2024-03-01")
    assert insights.cash_flows == []
    insights = insights_of(a_history(fetched(a_row(1, date(2024, 4, 30), 5))))
    assert (insights.from_date, insights.to_date) == ("2023-04-01", "2024-04-30")


def test_flows_are_the_streams_of_the_accounts() -> None:
    insights = insights_of(
        a_history(
            fetched(
                a_row(1, date(2023, 12, 5), -30_00, kind="order", wording="PRLV EDF 12/23 REF 123"),
                a_row(2, date(2024, 1, 5), -30_00, kind="order", wording="PRLV EDF 01/24 REF 123"),
                a_row(3, date(2024, 2, 5), -31_50, kind="order", wording="Prlv EDF 02/24 ref 456"),
                a_row(4, date(2024, 2, 7), 2000_00, kind="transfer", wording="VIR SALAIRE"),
                a_row(5, date(2024, 2, 8), None, kind="card", wording="?"),
                a_row(6, date(2022, 2, 8), -9999_00, kind="card", wording="TOO OLD"),
                a_row(7, date(2024, 2, 8), -9999_00, kind="card", wording="PENDING", pending=True),
            ),
            reading(0),
        )
    )
    assert [
        (f.type, f.category, f.total_amount, [str(c.amount) for c in f.calendar]) for f in insights.cash_flows
    ] == [
        ("TRANSFER", "WAGE", "2000.00", ["2000.00"]),
        ("DIRECT_DEBIT", "POWER", "-91.50", ["-30.00", "-30.00", "-31.50"]),
    ]
    power = insights.cash_flows[1]
    assert (power.currency, power.total_rejected_amount) == ("EUR", "0.00")
    assert [month.month for month in power.calendar] == ["2023-12", "2024-01", "2024-02"]
    assert [t.value_date[:10] for t in power.transactions] == ["2023-12-05", "2024-01-05", "2024-02-05"]
    # Gaps of 31 and 31 days; the last is 25 days before the reading, and the next is due on the 5th.
    assert power.regularity == answers.Regularity(
        due_days=[5],
        interval=answers.Interval(min=31, max=31),
        mean_number_of_days_in_interval=Decimal("31.00"),
        accuracy=100,
        periodicity="MONTHLY",
        repartition=power.regularity.repartition,
        status="MATURE",
        next_expected="2024-03-05",
    )


def test_a_row_is_of_the_month_it_was_booked_in_wherever_its_value_day_lies() -> None:
    first = day_of(date(2023, 3, 1))
    history = a_history(
        fetched(
            a_row(1, first, 1_00, value_on=first - 700, wording="IN"),
            a_row(2, first - 1, 2_00, value_on=MARCH_1, wording="OUT"),
            a_row(3, MARCH_1, 3_00, value_on=MARCH_1 + 90, wording="IN TOO"),
        ),
        reading(0),
    )
    assert {flow.label for flow in insights_of(history).cash_flows} == {"IN", "IN TOO"}


def test_an_account_of_another_kind_has_no_flows_until_it_is_one_again() -> None:
    history = a_history(fetched(a_row(1, MARCH_1, 5, wording="CB")), reading(0))
    history.add(of_account(), AccountDetailsChanged(details=AccountDetails(kind="CREDIT_CARD")))
    assert insights_of(history).cash_flows == []
    history.add(of_account(), AccountDetailsChanged(details=AccountDetails(kind="SAVINGS")))
    assert [flow.label for flow in insights_of(history).cash_flows] == ["CB"]


@given(histories(steps=40) | families())
def test_every_booked_row_of_the_months_is_in_one_flow_and_flows_are_their_rows(told: Any) -> None:
    rows = MemoryRows()
    fold(told[0].recorded, rows)
    for consumer in (ADA, BOB):
        body = document(rows, TENANT, consumer)
        if body is None:
            continue
        insights = msgspec.json.decode(body, type=answers.CreditInsights)
        listed = [sent for flow in insights.cash_flows for sent in flow.transactions]
        assert len({sent.id for sent in listed}) == len(listed)
        for flow in insights.cash_flows:
            total = sum((sent.amount for sent in flow.transactions), Decimal())
            assert total == Decimal(flow.total_amount) == sum(month.amount for month in flow.calendar)
        if insights.to_date is None:
            assert not listed
            continue
        counted = (account for account in cash_accounts(rows, TENANT, consumer))
        wanted = {
            str(UUID(bytes=row.id))
            for account in counted
            if account.closed not in NOT_COUNTED
            for row in booked_between(
                rows, key_of(account.id), day(insights.from_date), day(insights.to_date)
            )
            # What is nothing neither comes nor goes.
            if row.amount
        }
        assert {sent.id for sent in listed} == wanted


def day(text: str) -> int:
    return day_of(date.fromisoformat(text))


# Whether there is enough


def test_an_analysis_needs_twenty_transactions_on_a_checking_account() -> None:
    told = [a_row(number, MARCH_1 - number, -1_00) for number in range(20)]
    assert fitness_of(a_history(fetched(*told), reading(0))) == ("ok", [])
    few = a_history(fetched(*told[1:]), reading(0))
    assert fitness_of(few) == ("insufficient_history", ["not_enough_transactions"])
    savings = History().add(of_consumer(), registered())
    savings.add(of_account(SAVINGS), discovered("SAVINGS"), fetched(*told), reading(0))
    assert fitness_of(savings) == ("not_applicable", ["no_checking_account"])


def test_an_account_that_is_not_counted_makes_no_analysis_fit() -> None:
    """Twenty transactions on an account that is disabled, nineteen on another one, and then on none that counts."""
    told = [a_row(number, MARCH_1 - number, -1_00) for number in range(40)]
    history = a_history(fetched(*told[:20]), reading(0), AccountClosed(reason="disabled"))
    assert fitness_of(history) == ("not_applicable", ["no_checking_account"])
    history.add(of_account(SAVINGS), discovered(), fetched(*told[20:39]), reading(0))
    assert fitness_of(history) == ("insufficient_history", ["not_enough_transactions"])
    history.add(of_account(SAVINGS), fetched(told[39]))
    assert fitness_of(history) == ("ok", [])
    # What the bank closed was an account all the same.
    history.add(of_account(SAVINGS), AccountClosed(reason="deleted_at_bank"))
    assert fitness_of(history) == ("ok", [])


def test_that_all_checking_accounts_are_a_business_is_said() -> None:
    told = [a_row(number, MARCH_1 - number, -1_00) for number in range(20)]
    history = a_history(fetched(*told), reading(0))
    history.add(of_account(), AccountDetailsChanged(details=AccountDetails(kind="CHECKING", usage="ORGA")))
    assert fitness_of(history) == ("ok", ["no_personal_checking_account"])


def fitness_of(history: History) -> tuple[str, list[str]]:
    insights = insights_of(history)
    return insights.status, insights.reasons


# Loans and risks


def test_loans_and_risks_are_told_with_their_rows() -> None:
    """
    Of one lender 100.00 on the 5th of three months, the second of which came back on the 7th and was taken again on
    the 10th: three repayments, 300.00, and one that was rejected. Complete covered months are those from the first
    row's on that were read to their end: January and February have 100.00 each, so that the mean is 100.00.
    """
    wording = "PRLV SEPA COFIDIS"
    insights = insights_of(
        a_history(
            fetched(
                a_row(0, date(2023, 12, 1), 1_00, wording="VIR DIVERS"),
                a_row(1, date(2023, 12, 5), -100_00, kind="order", wording=wording),
                a_row(2, date(2024, 1, 5), -100_00, kind="order", wording=wording),
                a_row(3, date(2024, 1, 7), 100_00, kind="order", wording=f"REJET {wording}"),
                a_row(4, date(2024, 1, 8), -20_00, kind="bank", wording="FRAIS PRLV IMPAYE"),
                a_row(5, date(2024, 1, 10), -100_00, kind="order", wording=wording),
                a_row(6, date(2024, 2, 5), -100_00, kind="order", wording=wording),
                a_row(
                    7, date(2024, 2, 6), 500_00, kind="transfer", wording="VERSEMENT PRET PERSONNEL COFIDIS"
                ),
                a_row(8, date(2024, 2, 7), -15_00, kind="card", wording="CB WINAMAX"),
                a_row(9, date(2024, 2, 8), -50_00, kind="bank", wording="SAISIE ATTRIBUTION"),
            ),
            reading(0),
        )
    )
    repayments = insights.loans.repayments
    assert (repayments.status, repayments.total_amount, repayments.count) == ("ok", Decimal("-300.00"), 3)
    assert repayments.monthly_average == Decimal("-100.00")
    (loan,) = repayments.loans
    assert (loan.lender, loan.usual_amount, loan.count, loan.rejected_count) == (
        "Cofidis",
        Decimal("-100.00"),
        3,
        1,
    )
    assert (loan.first_date, loan.last_date) == ("2023-12-05", "2024-02-05")
    assert insights.loans.drawdowns.total_amount == Decimal("500.00")
    assert insights.loans.split_payments.count == 0
    rejections = insights.risks.incidents.payment_rejections
    assert (rejections.count, rejections.total_amount) == (1, Decimal("100.00"))
    assert rejections.total_fees_amount == Decimal("-20.00")
    assert [sent.description for sent in rejections.fees_transactions] == ["FRAIS PRLV IMPAYE"]
    assert insights.risks.gambling.outgoing.total_amount == Decimal("-15.00")
    assert insights.risks.heavy_failures.bank_account_seizure.count == 1
    (flow,) = [flow for flow in insights.cash_flows if flow.category.startswith("LOAN_REPAYMENT")]
    assert (flow.total_amount, flow.total_rejected_amount) == ("-400.00", "-100.00")


def test_each_currency_has_its_own_loans_and_risks() -> None:
    history = a_history(fetched(a_row(1, MARCH_1, -5_00), a_row(2, MARCH_1, -5_00)), reading(0))
    history.add(
        of_account(SAVINGS),
        discovered("SAVINGS", currency="USD"),
        fetched(a_row(3, MARCH_1 - 1, -7_00, wording="CB WINAMAX")),
        reading(0),
    )
    insights = insights_of(history)
    assert insights.currency == "EUR"
    assert insights.risks.gambling.outgoing.total_amount == Decimal("0.00")
    (dollars,) = insights.other_currencies
    assert (dollars.currency, dollars.risks.gambling.outgoing.total_amount) == ("USD", Decimal("-7.00"))


# Overdraft


def overdraft_of(*facts: Any) -> tuple[str, int | None, bool | None]:
    overdraft = insights_of(a_history(*facts)).risks.overdraft
    return overdraft.status, overdraft.duration, overdraft.limit_assumed


def test_days_below_the_limit_are_counted_from_the_first_row_to_the_reading() -> None:
    # Ends of days: -50 from day 0, -150 from day 5, +50 from day 8 to the reading on day 20.
    first = MARCH_1 - 20
    rows = fetched(a_row(1, first, -10_00), a_row(2, first + 5, -100_00), a_row(3, first + 8, 200_00))
    assert overdraft_of(rows, reading(50_00, limit=100_00)) == ("ok", 3, False)
    assert overdraft_of(rows, reading(50_00)) == ("ok", 8, True)
    assert overdraft_of(rows, reading(50_00, limit=150_00)) == ("ok", 0, False)


def test_without_a_balance_there_is_no_overdraft_to_tell() -> None:
    assert overdraft_of(fetched(a_row(1, MARCH_1, 1))) == ("insufficient_history", None, None)
    assert overdraft_of(fetched(a_row(1, MARCH_1, 1)), reading(None)) == ("insufficient_history", None, None)


def test_the_days_of_accounts_are_summed() -> None:
    history = a_history(fetched(a_row(1, MARCH_1 - 1, -1_00)), reading(-1_00, limit=0))
    history.add(
        of_account(SAVINGS), discovered("SAVINGS"), fetched(a_row(2, MARCH_1 - 2, -1_00)), reading(-5)
    )
    overdraft = insights_of(history).risks.overdraft
    assert (overdraft.duration, overdraft.limit_assumed) == (2 + 3, True)


# Labels


@pytest.mark.parametrize(
    ("wording", "root"),
    [
        (None, ""),
        ("", ""),
        ("CB Carrefour Paris 12/03/24 4974XXXXXXXX1234", "CB CARREFOUR PARIS"),
        ("CARTE 1234 **** **** 5678 FNAC", "CARTE FNAC"),
        ("PAIEMENT CB XXXX1234 BOULANGERIE XXL", "PAIEMENT CB BOULANGERIE XXL"),
        ("PRLV SEPA EDF  clients-particuliers  2024-03-05", "PRLV SEPA EDF CLIENTS PARTICULIERS"),
        ("VIR DE M. Dupont 5 MARS 2024", "VIR DE M DUPONT"),
        ("VIR SALAIRE 03JAN24", "VIR SALAIRE"),
        ("L'Oréal & H&M n°12", "L'ORÉAL H&M N"),
        ("1234", ""),
        ("CHQ 000123", "CHQ"),
    ],
)
def test_the_root_of_a_wording_has_no_dates_digits_masks_or_punctuation(
    wording: str | None, root: str
) -> None:
    assert label_root(wording) == root


@given(st.text(max_size=60))
def test_a_root_is_words_in_capitals_one_space_apart(wording: str) -> None:
    root = label_root(wording)
    assert not any(character.isdecimal() for character in root)
    assert root == " ".join(root.split())


@pytest.mark.parametrize("part", ["X", "*", "1", "1X", "1 JAN ", "A'", "12/", "X*1 ", "é"])
def test_a_long_wording_takes_time_in_proportion(part: str) -> None:
    started = time.perf_counter()
    label_root(part * (200_000 // len(part)))
    assert time.perf_counter() - started < 2.0


@given(st.text("0123456789Xx*/ .-JANMAR é'", max_size=40), st.randoms(use_true_random=False))
def test_it_does_not_matter_which_digits_a_wording_has(wording: str, random: Random) -> None:
    other = "".join(random.choice("0123456789") if c.isascii() and c.isdigit() else c for c in wording)
    assert label_root(other) == label_root(wording)


def test_days_are_civil_days() -> None:
    assert MARCH_1 == day_of(date(2024, 3, 1))
