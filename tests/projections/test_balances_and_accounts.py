"""Balances and banking accounts: what the source gave, in the shapes of the two contracts."""

from __future__ import annotations

from typing import Any

import msgspec

from adapters.read_models.memory import MemoryRows
from domain.consumer import AccountLinked, AccountUnlinked, Evidence
from domain.consumer_account import (
    AccountClosed,
    AccountDetails,
    AccountDetailsChanged,
    AccountReopened,
    Owner,
)
from projections import answers
from projections.accounts import ACCOUNTS
from projections.balances import BALANCES
from projections.banking_accounts import BANKING_ACCOUNTS
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
    of_account,
    of_consumer,
    reading,
    registered,
    removed,
    uuid,
)

OTHER_CONNECTION = uuid(2, 2)


def rows_of(history: History) -> MemoryRows:
    rows = MemoryRows()
    fold(history.recorded, rows)
    return rows


def a_history(*facts: Any, **more: Any) -> History:
    return History().add(of_consumer(), registered()).add(of_account(), discovered(**more), *facts)


def report_of(*facts: Any) -> tuple[int, dict[str, Any]]:
    (row,) = rows_of(a_history(*facts)).scan(BALANCES, TENANT, ADA)
    return row.available, msgspec.json.decode(row.body)


def account_of(history: History) -> answers.BankAccount:
    row = next(rows_of(history).scan(BANKING_ACCOUNTS, TENANT, ADA))
    return msgspec.json.decode(row.body, type=answers.BankAccount)


def test_a_report_shows_every_amount_as_given() -> None:
    assert report_of(reading(100000, available=120000, limit=30000, reserved=10000)) == (
        1,
        {
            "type": "BALANCES",
            "insights_consumer_id": ADA,
            "insights_account_ids": [CHECKING],
            "balance": {"amount": 100000, "currency": "EUR"},
            "available": {"amount": 120000, "currency": "EUR"},
            "limit": {"amount": 30000, "currency": "EUR"},
            "reserved": {"amount": 10000, "currency": "EUR"},
            "refreshed_at": "2024-03-01T12:00:00.000Z",
        },
    )


def test_what_the_source_does_not_give_is_left_out() -> None:
    available, report = report_of(reading(None, limit=5))
    assert (available, set(report)) == (
        0,
        {"type", "insights_consumer_id", "insights_account_ids", "limit", "refreshed_at"},
    )
    assert report_of(reading(None, available=5))[0] == 1


def test_an_account_without_a_reading_is_as_old_as_its_discovery() -> None:
    available, report = report_of()
    assert (available, report["refreshed_at"]) == (0, "2024-03-01T12:00:02.000Z")
    assert set(report) == {"type", "insights_consumer_id", "insights_account_ids", "refreshed_at"}


def test_reports_and_accounts_stand_in_the_order_of_discovery() -> None:
    history = History().add(of_account(SAVINGS), discovered("SAVINGS")).add(of_account(), discovered())
    rows = rows_of(history)
    assert [row.account for row in rows.scan(BALANCES, TENANT, ADA)] == [SAVINGS, CHECKING]
    assert [row.account for row in rows.scan(BANKING_ACCOUNTS, TENANT, ADA)] == [SAVINGS, CHECKING]


def test_an_account_is_answered_in_full() -> None:
    details = AccountDetails(
        kind="SAVINGS",
        name="Livret A",
        number="00012345678",
        iban="FR7630006000011234567890189",
        bic="AGRIFRPP",
        bank_name="Banque Test",
        owners=(Owner(first_name="Ada", last_name="Test", full_name="Ada Test"),),
        fields={"id_type": 7},
    )
    history = a_history(
        AccountDetailsChanged(details=details),
        reading(1523_42),
        fetched(a_row(1, 19_780, 5), a_row(2, 19_782, 5)),
    )
    assert msgspec.to_builtins(account_of(history), builtin_types=(int,)) == {
        "id": CHECKING,
        "name": "Livret A",
        "account_number": "00012345678",
        "account_type": "SAVINGS",
        "balance": "1523.42",
        "currency": "EUR",
        "iban": "FR7630006000011234567890189",
        "bic": "AGRIFRPP",
        "bank_name": "Banque Test",
        "last_update": "2024-03-01 12:00:00",
        "last_transaction": "2024-02-29 00:00:00",
        "provider_name": "budget_insight",
        "data_connection_id": CONNECTION,
        "owners": [
            {
                "first_name": "Ada",
                "last_name": "Test",
                "full_name": "Ada Test",
                "last_update": "2024-03-01 12:00:00",
            }
        ],
    }


def test_the_balance_is_a_number_with_the_currencys_decimals() -> None:
    rows = rows_of(History().add(of_account(), discovered("CHECKING", "JPY", 0), reading(1500)))
    assert b'"balance":1500,' in next(rows.scan(BANKING_ACCOUNTS)).body
    assert account_of(a_history(reading(None))).balance is None


def test_the_last_transaction_goes_back_when_it_is_removed() -> None:
    history = a_history(fetched(a_row(1, 19_000, 5), a_row(2, 19_100, 5)), removed(2))
    assert account_of(history).last_transaction == "2022-01-08 00:00:00"
    assert account_of(history.add(of_account(), removed(1))).last_transaction is None


def test_an_account_is_fed_by_the_newest_link() -> None:
    def link(connection_id: str, reference: str) -> AccountLinked:
        return AccountLinked(
            account_id=CHECKING,
            connection_id=connection_id,
            reference=reference,
            evidence=Evidence(kind="none"),
        )

    history = History().add(of_consumer(), registered(), link(CONNECTION, "1"))
    history.add(of_account(), discovered())
    assert account_of(history).data_connection_id == CONNECTION
    history.add(of_consumer(), link(OTHER_CONNECTION, "2"))
    assert account_of(history).data_connection_id == OTHER_CONNECTION
    unlinked = AccountUnlinked(
        account_id=CHECKING, connection_id=OTHER_CONNECTION, reference="2", reason="corrected"
    )
    assert account_of(history.add(of_consumer(), unlinked)).data_connection_id == CONNECTION


def test_a_closed_account_is_listed_still() -> None:
    history = a_history(reading(5), AccountClosed(reason="disabled"))
    assert rows_of(history).get(ACCOUNTS, TENANT, ADA, CHECKING).closed == "disabled"
    assert account_of(history).id == CHECKING
    assert (
        rows_of(history.add(of_account(), AccountReopened())).get(ACCOUNTS, TENANT, ADA, CHECKING).closed
        is None
    )


def test_only_what_changed_is_written_again() -> None:
    rows = rows_of(a_history(reading(5)))
    before = list(rows.scan(BALANCES))
    rows.settle()
    fold([], rows)
    from projections import models

    models.finish(rows, [(TENANT, ADA)])
    assert rows._undo == [] and list(rows.scan(BALANCES)) == before
