"""Credit insights: flows that belong together, and days in hard overdraft, counted by hand."""

from __future__ import annotations

import time
from datetime import date
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.read_models.memory import MemoryRows
from domain.consumer_account import AccountDetails, AccountDetailsChanged
from domain.transactions import day_of
from projections import answers
from projections.credit_insights import document
from projections.labels import label_root
from projections.models import fold
from tests.projections.examples import (
    ADA,
    MARCH_1,
    SAVINGS,
    TENANT,
    History,
    a_row,
    discovered,
    fetched,
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
    assert insights.risks.overdraft.status == "insufficient_history"
    assert insights.risks.overdraft.duration is None
    assert insights.loans.repayments.status == "not_computed"
    assert insights.risks.incidents.check_rejections.total_fees_amount is None
    assert insights.risks.heavy_failures.bank_account_seizure.transactions == []


def test_a_consumer_of_whom_nothing_is_known_has_no_document() -> None:
    assert document(MemoryRows(), TENANT, ADA) is None


def test_the_months_end_with_what_was_seen_last() -> None:
    insights = insights_of(a_history(fetched(a_row(1, MARCH_1 - 300, 5)), reading(0)))
    assert (insights.from_date, insights.to_date) == ("2023-03-01", "2024-03-01")
    insights = insights_of(a_history(fetched(a_row(1, date(2024, 4, 30), 5)), reading(0)))
    assert (insights.from_date, insights.to_date) == ("2023-04-01", "2024-04-30")


def test_the_calendar_has_no_month_before_its_first() -> None:
    insights = insights_of(a_history(fetched(a_row(1, date(1, 2, 3), 5))))
    assert (insights.from_date, insights.to_date) == ("0001-01-01", "0001-02-03")


def test_flows_are_grouped_by_direction_type_and_wording() -> None:
    insights = insights_of(
        a_history(
            fetched(
                a_row(1, date(2024, 1, 5), -30_00, kind="order", wording="PRLV EDF 01/24 REF 123"),
                a_row(2, date(2024, 2, 5), -31_50, kind="order", wording="Prlv EDF 02/24 ref 456"),
                a_row(3, date(2024, 2, 6), 31_50, kind="order", wording="PRLV EDF 02/24 REF 456"),
                a_row(4, date(2024, 2, 7), 2000_00, kind="transfer", wording="VIR SALAIRE"),
                a_row(5, date(2024, 2, 8), None, kind="card", wording="?"),
                a_row(6, date(2022, 2, 8), -9999_00, kind="card", wording="TOO OLD"),
                a_row(7, date(2024, 2, 8), -9999_00, kind="card", wording="PENDING", pending=True),
            ),
            reading(0),
        )
    )
    flows = [
        (f.type, f.label_root, f.total_amount, [str(c.amount) for c in f.calendar])
        for f in insights.cash_flows
    ]
    assert flows == [
        ("TRANSFER", "VIR SALAIRE", "2000.00", ["2000.00"]),
        ("DIRECT_DEBIT", "PRLV EDF REF", "-61.50", ["-30.00", "-31.50"]),
        ("ORDER", "PRLV EDF REF", "31.50", ["31.50"]),
    ]
    edf = insights.cash_flows[1]
    assert (edf.category, edf.currency, edf.label) == ("UNLABELLED", "EUR", "PRLV EDF REF")
    assert [month.month for month in edf.calendar] == ["2024-01", "2024-02"]
    assert [t.value_date[:10] for t in edf.transactions] == ["2024-02-05", "2024-01-05"]
    assert edf.transactions[0].transaction_type == "ORDER"


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


# Overdraft

DAY_0 = MARCH_1 - 20


def overdraft_of(*facts: Any) -> tuple[str, int | None, bool | None]:
    overdraft = insights_of(a_history(*facts)).risks.overdraft
    return overdraft.status, overdraft.duration, overdraft.limit_assumed


def test_days_below_the_limit_are_counted_from_the_first_row_to_the_reading() -> None:
    # Ends of days: -50 from day 0, -150 from day 5, +50 from day 8 to the reading on day 20.
    rows = fetched(a_row(1, DAY_0, -10_00), a_row(2, DAY_0 + 5, -100_00), a_row(3, DAY_0 + 8, 200_00))
    assert overdraft_of(rows, reading(50_00, limit=100_00)) == ("ok", 3, False)
    assert overdraft_of(rows, reading(50_00)) == ("ok", 8, True)
    assert overdraft_of(rows, reading(50_00, limit=150_00)) == ("ok", 0, False)


def test_the_day_of_the_reading_counts_and_rows_booked_after_it_are_added() -> None:
    assert overdraft_of(fetched(a_row(1, MARCH_1, -10_00)), reading(-1)) == ("ok", 1, True)
    rows = fetched(a_row(1, MARCH_1, 5_00), a_row(2, MARCH_1 + 2, -20_00))
    # +10 on the day of the reading and the next, -10 on the day after.
    assert overdraft_of(rows, reading(10_00)) == ("ok", 1, True)


def test_the_months_do_not_bound_the_overdraft() -> None:
    assert overdraft_of(fetched(a_row(1, MARCH_1 - 999, -10_00)), reading(-1_00))[1] == 1_000


def test_without_rows_or_without_a_balance_there_is_no_figure() -> None:
    assert overdraft_of(reading(-5)) == ("insufficient_history", None, None)
    assert overdraft_of(fetched(a_row(1, MARCH_1, 1))) == ("insufficient_history", None, None)
    assert overdraft_of(fetched(a_row(1, MARCH_1, 1)), reading(None)) == ("insufficient_history", None, None)


def test_the_days_of_accounts_are_summed() -> None:
    history = a_history(fetched(a_row(1, MARCH_1 - 1, -1_00)), reading(-1_00, limit=0))
    history.add(
        of_account(SAVINGS), discovered("SAVINGS"), fetched(a_row(2, MARCH_1 - 2, -1_00)), reading(-5)
    )
    overdraft = insights_of(history).risks.overdraft
    assert (overdraft.duration, overdraft.limit_assumed) == (2 + 3, True)


_moves = st.lists(st.tuples(st.integers(0, 40), st.integers(-50, 50)), min_size=1, max_size=12)


@given(_moves, st.integers(-99, 99), st.integers(0, 60))
def test_hard_overdraft_is_what_a_walk_day_by_day_counts(
    pairs: list[tuple[int, int]], balance: int, limit: int
) -> None:
    rows = [a_row(number, DAY_0 + day, amount) for number, (day, amount) in enumerate(pairs)]
    last = max(MARCH_1, max(DAY_0 + day for day, _ in pairs))
    ends = {MARCH_1: balance}
    for day in range(MARCH_1, DAY_0 - 1, -1):
        ends[day - 1] = ends[day] - sum(a for d, a in pairs if DAY_0 + d == day)
    for day in range(MARCH_1 + 1, last + 1):
        ends[day] = ends[day - 1] + sum(a for d, a in pairs if DAY_0 + d == day)
    first = min(DAY_0 + day for day, _ in pairs)
    expected = sum(ends[day] < -limit for day in range(first, last + 1))
    assert overdraft_of(fetched(*rows), reading(balance, limit=limit))[1] == expected


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
