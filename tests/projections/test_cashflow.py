"""Cash flow: figures computed by hand, and the laws that hold for any history."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given

from adapters.read_models.memory import MemoryRows
from projections import answers
from projections.accounts import key_of
from projections.cashflow import CASHFLOWS, MONTHS, Day, days_of
from projections.models import fold
from tests.projections.examples import (
    ADA,
    CHECKING,
    CONNECTION,
    SAVINGS,
    TENANT,
    History,
    a_row,
    discovered,
    fetched,
    histories,
    modified,
    of_account,
    of_consumer,
    reading,
    registered,
    removed,
    uuid,
)

JANUARY, MARCH = date(2024, 1, 10), date(2024, 3, 5)


def cashflow_of(history: History, consumer_id: str = ADA) -> answers.Cashflow:
    rows = MemoryRows()
    fold(history.recorded, rows)
    return decoded(rows.get(CASHFLOWS, TENANT, consumer_id).body)


def decoded(body: bytes) -> answers.Cashflow:
    return msgspec.json.decode(body, type=answers.Cashflow)


def a_history(*facts: Any) -> History:
    history = History().add(of_consumer(), registered()).add(of_account(), discovered(), *facts)
    return history


def test_without_any_account_there_is_nothing_but_the_shape() -> None:
    flow = cashflow_of(History().add(of_consumer(), registered()))
    assert (flow.currency, flow.from_month, flow.net, flow.months, flow.accounts) == (
        None,
        None,
        None,
        [],
        [],
    )
    assert (flow.computed_at, flow.provider_name, flow.other_currencies) == (None, None, [])


def test_without_transactions_figures_are_null_and_never_zero() -> None:
    flow = cashflow_of(a_history(reading(100_00)))
    assert (flow.currency, flow.accounts) == ("EUR", [CHECKING])
    assert (flow.total_income, flow.total_expense, flow.net, flow.months) == (None, None, None, [])


def test_months_walk_back_from_the_last_reading_and_none_is_left_out() -> None:
    flow = cashflow_of(
        a_history(
            fetched(a_row(1, JANUARY, 2600_00), a_row(2, JANUARY, -2100_05), a_row(3, MARCH, -10_50)),
            reading(1000_00, day=40),
        )
    )
    assert (flow.from_month, flow.to_month) == ("2024-01", "2024-04")
    assert [
        (
            m.month,
            str(m.income),
            str(m.expense),
            str(m.net),
            str(m.opening_balance),
            str(m.closing_balance),
            m.transactions_count,
        )
        for m in flow.months
    ] == [
        ("2024-01", "2600.00", "-2100.05", "499.95", "510.55", "1010.50", 2),
        ("2024-02", "0.00", "0.00", "0.00", "1010.50", "1010.50", 0),
        ("2024-03", "0.00", "-10.50", "-10.50", "1010.50", "1000.00", 1),
        ("2024-04", "0.00", "0.00", "0.00", "1000.00", "1000.00", 0),
    ]
    assert (str(flow.total_income), str(flow.total_expense), str(flow.net)) == (
        "2600.00",
        "-2110.55",
        "489.45",
    )
    assert (flow.provider_name, flow.data_connection_id) == ("budget_insight", CONNECTION)
    assert flow.computed_at == "2024-03-01 12:00:04"


def test_a_balance_that_is_not_known_makes_the_balances_null() -> None:
    history = a_history(fetched(a_row(1, MARCH, 5_00)), reading(None))
    assert [(m.opening_balance, m.closing_balance) for m in cashflow_of(history).months] == [(None, None)]
    history.add(of_account(SAVINGS), discovered("SAVINGS"))
    history.add(of_account(), reading(7_00, day=1))
    assert cashflow_of(history).months[0].closing_balance is None
    history.add(of_account(SAVINGS), reading(3_00))
    assert cashflow_of(history).months[0].closing_balance == Decimal("10.00")


def test_cards_and_loans_are_left_out() -> None:
    history = a_history(fetched(a_row(1, MARCH, 5_00)))
    history.add(of_account(SAVINGS), discovered("CREDIT_CARD"), fetched(a_row(2, MARCH, -90_00)))
    flow = cashflow_of(history)
    assert (flow.accounts, str(flow.net)) == ([CHECKING], "5.00")


def test_an_account_that_turns_out_to_be_a_card_is_left_out_from_then_on() -> None:
    from domain.consumer_account import AccountDetails, AccountDetailsChanged

    history = a_history(fetched(a_row(1, MARCH, 5_00)))
    history.add(of_account(), AccountDetailsChanged(details=AccountDetails(kind="CREDIT_CARD")))
    assert cashflow_of(history).accounts == []


def test_each_currency_has_its_own_figures_the_busiest_first() -> None:
    history = a_history(fetched(a_row(1, MARCH, 5_00)), reading(10_00))
    history.add(
        of_account(SAVINGS),
        discovered("SAVINGS", "JPY", 0),
        fetched(a_row(2, MARCH, -1500), a_row(3, JANUARY, 3)),
        reading(90_000),
    )
    flow = cashflow_of(history)
    assert (flow.currency, flow.accounts, str(flow.net)) == ("JPY", [SAVINGS], "-1497")
    assert str(flow.months[-1].closing_balance) == "90000"
    (euros,) = flow.other_currencies
    assert (euros.currency, str(euros.net), euros.from_month) == ("EUR", "5.00", "2024-03")


def test_currencies_with_as_many_transactions_stand_in_alphabetical_order() -> None:
    history = a_history(fetched(a_row(1, MARCH, 5_00)))
    history.add(of_account(SAVINGS), discovered("SAVINGS", "CHF"), fetched(a_row(2, MARCH, 1)))
    flow = cashflow_of(history)
    assert (flow.currency, [other.currency for other in flow.other_currencies]) == ("CHF", ["EUR"])


def test_rows_without_an_amount_and_pending_rows_count_nowhere() -> None:
    flow = cashflow_of(
        a_history(
            fetched(a_row(1, JANUARY, None), a_row(2, MARCH, 5_00), a_row(3, JANUARY, 7_00, pending=True))
        )
    )
    assert [(month.month, month.transactions_count) for month in flow.months] == [("2024-03", 1)]


def test_an_edited_row_and_a_removed_row_leave_no_trace_in_the_months() -> None:
    flow = cashflow_of(
        a_history(
            fetched(a_row(1, JANUARY, 10_00), a_row(2, MARCH, 1_00), a_row(3, MARCH, -7_77)),
            modified(a_row(1, MARCH, 4_00)),
            removed(3),
        )
    )
    assert [(m.month, str(m.income), str(m.expense), m.transactions_count) for m in flow.months] == [
        ("2024-03", "5.00", "0.00", 2)
    ]


def days_in(rows: MemoryRows, account_id: str) -> list[Day]:
    return [day for month in rows.scan(MONTHS, key_of(account_id)) for day in days_of(month)]


def test_a_day_whose_rows_are_all_gone_is_no_day_of_the_account() -> None:
    rows = MemoryRows()
    history = a_history(fetched(a_row(1, MARCH, 1_00), a_row(2, MARCH, -1_00), a_row(3, date(2024, 3, 1), 5)))
    fold(history.recorded, rows)
    # Two rows that come to nothing are rows all the same.
    assert [(day.net, day.count) for day in days_in(rows, CHECKING)] == [(5, 1), (0, 2)]
    rows = MemoryRows()
    fold(history.add(of_account(), removed(3)).recorded, rows)
    assert [(day.net, day.count) for day in days_in(rows, CHECKING)] == [(0, 2)]


def test_sums_are_exact_beyond_63_bits() -> None:
    biggest = 2**63 - 1
    flow = cashflow_of(
        a_history(fetched(a_row(1, MARCH, biggest), a_row(2, MARCH, biggest)), reading(-biggest))
    )
    assert flow.net == Decimal(2 * biggest) / 100
    assert flow.months[0].opening_balance == Decimal(-3 * biggest) / 100


@given(histories(steps=40))
def test_months_sum_to_totals_and_opening_plus_net_is_closing(told: Any) -> None:
    rows = MemoryRows()
    fold(told[0].recorded, rows)
    for document in rows.scan(CASHFLOWS):
        flow = decoded(document.body)
        for part in (flow, *flow.other_currencies):
            if not part.months:
                assert part.net is None
                continue
            assert part.total_income == sum(month.income for month in part.months)
            assert part.total_expense == sum(month.expense for month in part.months)
            assert part.net == part.total_income + part.total_expense
            for before, after in zip(part.months, part.months[1:], strict=False):
                assert before.closing_balance == after.opening_balance
            for month in part.months:
                assert month.net == month.income + month.expense and month.income >= 0 >= month.expense
                if month.opening_balance is not None:
                    assert month.opening_balance + month.net == month.closing_balance
            assert [month.month for month in part.months] == sorted({month.month for month in part.months})


@given(histories(steps=40))
def test_days_sum_to_months(told: Any) -> None:
    rows = MemoryRows()
    fold(told[0].recorded, rows)
    for number in (1, 2, 3, 11, 12, 13):
        account_id = uuid(3, number)
        days = days_in(rows, account_id)
        assert [day.day for day in days] == sorted({day.day for day in days})
        months = list(rows.scan(MONTHS, key_of(account_id)))
        assert sum(day.net for day in days) == sum(int(m.income) + int(m.expense) for m in months)
        assert sum(day.count for day in days) == sum(m.count for m in months)
