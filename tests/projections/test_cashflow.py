"""Cash flow: figures computed by hand, and the laws that hold for any history."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given

from adapters.read_models.memory import MemoryRows
from domain.consumer_account import AccountClosed
from projections import answers
from projections.accounts import key_of
from projections.cashflow import CASHFLOWS, MONTHS, Day, days_of
from projections.models import fold
from tests.projections.examples import (
    ADA,
    CHECKING,
    CONNECTION,
    MARCH_1,
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


def test_what_is_booked_after_the_reading_comes_on_top_of_it() -> None:
    """
    Read on 1 March: 100.00. Of that day -3.00 are in it. -10.00 on 5 March and -77.00 on 2 April are not: at the end of
    March there are 90.00, at the end of April 13.00. March began with 100.00 + 3.00, as February ended.
    """
    history = a_history(
        fetched(
            a_row(1, date(2024, 2, 5), 1_00),
            a_row(2, MARCH_1, -3_00),
            a_row(3, MARCH, -10_00),
            a_row(4, date(2024, 4, 2), -77_00),
        ),
        reading(100_00),
    )
    assert closings(history) == [
        ("2024-02", "102.00", "103.00"),
        ("2024-03", "103.00", "90.00"),
        ("2024-04", "90.00", "13.00"),
    ]


def test_each_account_goes_on_from_its_own_reading() -> None:
    """
    50.00 read on 1 February, -20.00 booked on 10 January (in it) and -5.00 on 10 February: 45.00 from then on. And
    1000.00 read on 1 March, after 1.00 of 20 February: 999.00 before. Together at the ends of January to March:
    50 + 999, 45 + 1000, 45 + 1000.
    """
    history = a_history(
        fetched(a_row(1, JANUARY, -20_00), a_row(2, date(2024, 2, 10), -5_00)), reading(50_00, day=-29)
    )
    history.add(
        of_account(SAVINGS),
        discovered("SAVINGS"),
        fetched(a_row(3, date(2024, 2, 20), 1_00)),
        reading(1_000_00),
    )
    assert closings(history) == [
        ("2024-01", "1069.00", "1049.00"),
        ("2024-02", "1049.00", "1045.00"),
        ("2024-03", "1045.00", "1045.00"),
    ]


def closings(history: History) -> list[tuple[str, str, str]]:
    months = cashflow_of(history).months
    return [(month.month, str(month.opening_balance), str(month.closing_balance)) for month in months]


def test_a_balance_that_is_not_known_makes_the_balances_null() -> None:
    history = a_history(fetched(a_row(1, MARCH, 5_00)), reading(None))
    assert [(m.opening_balance, m.closing_balance) for m in cashflow_of(history).months] == [(None, None)]
    history.add(of_account(SAVINGS), discovered("SAVINGS"))
    history.add(of_account(), reading(7_00, day=1))
    assert cashflow_of(history).months[0].closing_balance is None
    history.add(of_account(SAVINGS), reading(3_00))
    # Read on 2 March; the 5.00 of 5 March come on top: 7 + 5 + 3.
    assert cashflow_of(history).months[0].closing_balance == Decimal("15.00")


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
    # Read on 1 March, and 1500 went out on the 5th.
    assert str(flow.months[-1].closing_balance) == "88500"
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
        a_history(fetched(a_row(1, MARCH, biggest), a_row(2, MARCH, biggest)), reading(-biggest, day=9))
    )
    assert flow.net == Decimal(2 * biggest) / 100
    assert flow.months[0].opening_balance == Decimal(-3 * biggest) / 100


def test_own_transfers_are_told_also_where_an_account_is_disabled() -> None:
    """-50.00 went to the own savings on 5 February and came there: told before the savings were disabled, and after,
    and where both accounts are."""
    theirs = {"label": "Me", "account_scheme_name": "iban", "account_identification": "FR762"}
    to_savings = a_row(1, date(2024, 2, 5), -50_00, wording="VIR", fields={"counterparty": theirs})
    history = a_history(fetched(to_savings, a_row(2, JANUARY, 90_00)), reading(1_00))
    history.add(
        of_account(SAVINGS),
        discovered("SAVINGS", iban="FR762"),
        fetched(a_row(11, date(2024, 2, 5), 50_00, wording="VIR RECU")),
        reading(5_00),
    )
    told = [("2024-01", "0.00", "0.00"), ("2024-02", "50.00", "-50.00"), ("2024-03", "0.00", "0.00")]
    assert transferred(history) == told
    assert transferred(history.add(of_account(SAVINGS), AccountClosed(reason="disabled"))) == told
    assert transferred(history.add(of_account(), AccountClosed(reason="disabled"))) == told


def transferred(history: History) -> list[tuple[str, str, str]]:
    months = cashflow_of(history).months
    return [(month.month, str(month.own_transfers_in), str(month.own_transfers_out)) for month in months]


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
