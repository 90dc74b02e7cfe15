"""The reports beside the balances: windows, accounts, availability, filters, and several at once.

Today is Monday, 2 March 2026. The checking account was first read at noon of that day, with 1 000.00; its rows were
recorded an hour before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest

from domain.categories.tree import UNCATEGORISED, brand_of, category_of
from projections.times import micros
from projections.uploads import STORED
from tests.http.conftest import NOBODY, THEIRS, Caller, registered
from tests.http.told_accounts import Teller, account_id, row, row_name
from tests.http.world import NOON, World

A, B, C, EMPTY = account_id(1), account_id(2), account_id(3), account_id(4)
TODAY = date(2026, 3, 2)
#: Days of which all is known of the checking account.
KNOWN = {"from_date": "2026-02-01", "to_date": "2026-03-02"}
WINDOWED = (
    "balance-over-time",
    "categorization",
    "groupy-by-category",
    "group-by-category",
    "recurring-transactions",
    "expense-category",
)
PATHS = (*WINDOWED, "account-info", "balances")
TYPES = {
    "balances": "BALANCES",
    "balance-over-time": "BALANCE_OVER_TIME",
    "account-info": "ACCOUNT_INFOS",
    "categorization": "CATEGORIZED_TRANSACTIONS",
    "groupy-by-category": "GROUP_BY_CATEGORY",
    "group-by-category": "GROUP_BY_CATEGORY",
    "recurring-transactions": "RECURRING_TRANSACTIONS",
    "expense-category": "EXPENSE_CATEGORIES",
}

Asking = Callable[..., Awaitable[Any]]


@pytest.fixture
async def user(call: Caller, world: World) -> str:
    user = await registered(call)
    told = Teller(world, user)
    told.account(1, name="Compte courant", iban="FR7630006000011234567890189")
    told.rows(
        A,
        row(1, "2026-02-27", -4_210, "CB CARREFOUR", "GROCERIES", kind="card", value="2026-02-28"),
        row(2, "2026-02-28", 250_000, "SALAIRE", "WAGE", kind="transfer"),
        row(3, "2026-02-05", -80_000, "LOYER", "RENT", kind="order"),
        row(4, "2026-02-10", -4_910, "CB LECLERC", "GROCERIES", kind="card"),
        row(5, "2026-01-15", 0, "INFORMATION"),
        row(6, "2026-02-20", None, "SANS MONTANT"),
        row(
            *(7, "2026-02-26", -1_200, "FRAIS DE REJET", "FEES_PAYMENT_REJECTION", "PAYMENT_REJECTION"),
            kind="bank",
            fields={
                "counter_party": {
                    "iban": "FR76",
                    "holder_name": "Banque",
                    "holder_address": {"country": "FR"},
                },
                "bank_references": {"unstructured": "frais", "end_to_end": "E2E-7"},
                "bank_transaction_code": {"code": "PMNT", "sub_code": "RDDT"},
                "reference": "Frais",
                "method": "INSTANT",
                "labels": {"cost_centre": "7", "mood": "bad"},
            },
        ),
        row(8, "2026-03-01", -999, "CB EN ATTENTE", kind="card", pending=True),
    )
    told.reading(A, 100_000, available=90_000)
    told.account(2, "SAVINGS")
    told.rows(
        B, row(21, "2026-02-15", 30_000, "VIREMENT"), row(22, "2025-06-01", 500, "INTERETS", "INTEREST")
    )
    told.reading(B, 70_000)
    told.account(3, "CHECKING", "JPY")
    told.rows(C, row(31, "2026-02-20", -777, "SHOP", kind="card"))
    told.finish()
    return user


@pytest.fixture
def ask(report: Caller, user: str) -> Asking:
    """Ask for reports of the user; what is answered, or the code and the locations of what is wrong."""

    async def asked(path: str, **body: Any) -> Any:
        return await ask_for(report, path, {"insights_consumer_id": user, **body})

    return asked


async def ask_for(report: Caller, path: str, body: dict[str, Any]) -> Any:
    if path == "balances":
        # In this world these alone are not made from rows; in a bulk they are.
        one = {"type": "BALANCES", **body}
        status, answer, _ = await report("POST", "/insights/v1/reports/bulk/create", {"reports": [one]})
        found = answer["data"]["reports"][0] if status == 200 else None
    else:
        status, answer, _ = await report("POST", f"/insights/v1/reports/{path}/create", body)
        found = answer["data"]["reports"] if status == 200 else None
    if found is not None:
        return found
    return status, answer["code"], [error["location"] for error in answer["errors"]]


@pytest.fixture
def only(ask: Asking) -> Asking:
    """The one report of the checking account."""

    async def asked(path: str, **body: Any) -> Any:
        (found,) = await ask(path, insights_account_ids=[A], **body)
        return found

    return asked


def ids(report: dict[str, Any]) -> list[int]:
    """The numbers of the rows that are listed."""
    return [int(one["insights_transaction_id"][-12:], 16) for one in report["transactions"]]


def category(label: str) -> str:
    return category_of(label).id


# Whose, and which accounts


async def test_every_report_begins_the_same(user: str, ask: Asking) -> None:
    for path in PATHS:
        more = {"required_data_availability": "NONE"} if path == "balances" else {}
        found = await ask(path, **more)
        assert [one["insights_account_ids"] for one in found] == [[A], [B], [C]], path
        assert {one["insights_consumer_id"] for one in found} == {user}
        assert {one["type"] for one in found} == {TYPES[path]}
        # The third account was never read: it is as fresh as its discovery.
        assert [one["refreshed_at"] for one in found] == [
            "2026-03-02T12:00:00.250Z",
            "2026-03-02T12:00:00.250Z",
            "2026-03-02T10:00:00.250Z",
        ]
        assert (("from_date" in found[0]), ("to_date" in found[0])) == (path in WINDOWED,) * 2


async def test_accounts_are_named_or_excluded(ask: Asking) -> None:
    named, excluded = "insights_account_ids", "excluded_insights_account_ids"
    for path in (*WINDOWED, "account-info"):

        async def accounts(path: str = path, **lists: Any) -> Any:
            found = await ask(path, **lists)
            return [one["insights_account_ids"] for one in found] if isinstance(found, list) else found[:2]

        assert await accounts(**{named: [B, A, B]}) == [[A], [B]]
        assert await accounts(**{named: [], excluded: [B]}) == [[A], [C]]
        assert await accounts(**{excluded: [A, B, C]}) == []
        assert await accounts(**{named: [A], excluded: [B]}) == (400, "VALIDATION_ERROR")
        for unknown in (NOBODY, "acc-9", ""):
            assert await accounts(**{named: [A, unknown]}) == (404, "ACCOUNT_NOT_FOUND")
            assert await accounts(**{excluded: [unknown]}) == (404, "ACCOUNT_NOT_FOUND")


async def test_unknown_consumers(user: str, report: Caller, client: Any) -> None:
    foreign = Caller(client, {"Authorization": f"Token {THEIRS['X-API-KEY']}"})
    for path in PATHS:
        address = f"/insights/v1/reports/{path}/create"
        for unknown in (NOBODY, "cust-42", ""):
            status, answer, _ = await report("POST", address, {"insights_consumer_id": unknown})
            assert (status, answer["code"]) == (404, "CONSUMER_NOT_FOUND")
            assert answer["errors"][0]["location"] == "insights_consumer_id"
        assert (await foreign("POST", address, {"insights_consumer_id": user}))[0] == 404
        assert (await report("POST", address, {}))[1]["errors"] == [
            {"code": "VALIDATION_ERROR", "message": "is required", "location": "insights_consumer_id"}
        ]


async def test_a_consumer_without_accounts_has_no_reports(call: Caller, report: Caller) -> None:
    consumer = await registered(call)
    for path in PATHS:
        body: dict[str, Any] = {"insights_consumer_id": consumer}
        for more in ({}, {"combine_accounts": "ALL"} if path in WINDOWED else {}):
            found = await report("POST", f"/insights/v1/reports/{path}/create", {**body, **more})
            assert found[:2] == (200, {"data": {"reports": []}})


async def test_the_ids_that_a_client_chose(call: Caller, report: Caller, world: World) -> None:
    # Given an account that a client brought under its own id, with a row of its own id
    consumer = await registered(call)
    told = Teller(world, consumer)
    told.account(5, provider="storage", client_id="my account", connection_id="")
    told.rows(account_id(5), row(51, "2026-03-01", -100, "X"))
    told.reading(account_id(5), 5)
    told.finish()
    # When it is asked for under that id
    body = {"insights_consumer_id": consumer.upper(), "insights_account_ids": ["my account"]}
    for path in PATHS:
        (found,) = await ask_for(report, path, body)
        # Then it is answered under the ids that were used
        assert found["insights_account_ids"] == ["my account"], path
        assert found["insights_consumer_id"] == consumer.upper()
        if path == "categorization":
            assert [one["insights_transaction_id"] for one in found["transactions"]] == ["51"]
            assert found["transactions"][0]["insights_account_id"] == "my account"


# Which days


async def test_windows(only: Asking) -> None:
    async def days(**body: Any) -> list[tuple[str, str]]:
        found = [await only(path, **body) for path in WINDOWED]
        return list({(one["from_date"], one["to_date"]) for one in found})

    # Both days are included: 62 days up to 2 March are 1 March back to 31 December.
    assert await days() == [("2025-12-31", "2026-03-02")]
    assert await days(report_days=1) == [("2026-03-02", "2026-03-02")]
    assert await days(report_days=3, from_date=None) == [("2026-02-28", "2026-03-02")]
    assert await days(from_date="2026-02-01") == [("2026-02-01", "2026-03-02")]
    assert await days(to_date="2026-01-31") == [("2025-12-01", "2026-01-31")]
    assert await days(from_date="2026-02-27", to_date="2026-02-27") == [("2026-02-27", "2026-02-27")]
    # A day that is still to come may be asked for.
    assert await days(from_date="2026-03-05", to_date="2026-03-06") == [("2026-03-05", "2026-03-06")]
    # The calendar begins with year 1.
    assert await days(to_date="0001-01-05") == [("0001-01-01", "0001-01-05")]
    assert await days(from_date="9999-12-01", to_date="9999-12-31") == [("9999-12-01", "9999-12-31")]


async def test_windows_that_cannot_be(ask: Asking) -> None:
    twice = {"report_days": 3}
    for path in WINDOWED:
        for body, location in (
            ({**twice, "from_date": "2026-02-01"}, "report_days"),
            ({**twice, "to_date": "2026-02-01"}, "report_days"),
            ({"from_date": "2026-02-02", "to_date": "2026-02-01"}, "from_date"),
            ({"from_date": "2026-03-03"}, "from_date"),
            ({"from_date": (TODAY - timedelta(days=3_660)).isoformat()}, "from_date"),
            ({"report_days": 0}, "report_days"),
            ({"report_days": 3_661}, "report_days"),
            ({"report_days": "3"}, "report_days"),
            ({"from_date": "2026-02-30"}, "from_date"),
            ({"to_date": 5}, "to_date"),
            ({"to_date": "2026-02-01T00:00:00Z"}, "to_date"),
            ({"combine_accounts": "SOME"}, "combine_accounts"),
        ):
            assert await ask(path, **body) == (400, "VALIDATION_ERROR", [location]), (path, body)
    longest = (TODAY - timedelta(days=3_659)).isoformat()
    (found,) = await ask("categorization", insights_account_ids=[B], from_date=longest)
    assert ids(found) == [21, 22]
    for path in ("account-info", "balances"):
        assert (await ask(path, report_days=3))[:2] == (400, "VALIDATION_ERROR")


async def test_the_window_is_one_of_booking_days(only: Asking) -> None:
    # Row 1 was booked on the 27th, and is of value on the 28th.
    assert ids(await only("categorization", from_date="2026-02-27", to_date="2026-02-27")) == [1]
    assert ids(await only("categorization", from_date="2026-02-28", to_date="2026-02-28")) == [2]


# Several accounts together


async def test_combined_accounts_are_one_report_for_each_currency(ask: Asking) -> None:
    for path in WINDOWED:
        found = await ask(path, combine_accounts="ALL")
        assert [one["insights_account_ids"] for one in found] == [[A, B], [C]], path
        assert [one["refreshed_at"][11:13] for one in found] == ["12", "10"]
    euros, yen = await ask("categorization", combine_accounts="ALL", **KNOWN)
    assert ids(euros) == [2, 1, 7, 6, 21, 4, 3]
    assert {one["insights_account_id"] for one in euros["transactions"]} == {A, B}
    assert [one["amount"] for one in yen["transactions"]] == [{"amount": 777, "currency": "JPY"}]
    oldest = await ask("balance-over-time", combine_accounts="ALL", report_days=1)
    # 1 000.00 and 700.00
    assert oldest[0]["balances"] == [
        {"date": "2026-03-02", "balance": {"amount": 170_000, "currency": "EUR"}}
    ]


# How much is known


async def test_data_availability(only: Asking, ask: Asking) -> None:
    # The first reading knows all from the oldest row on: 15 January to 2 March.
    windows = {
        "COMPLETE": {"from_date": "2026-01-15", "to_date": "2026-03-02"},
        "PARTIAL": {"from_date": "2026-01-14", "to_date": "2026-03-02"},
        "NONE": {"from_date": "2025-12-01", "to_date": "2026-01-14"},
    }
    order = list(windows)
    reports = [path for path in WINDOWED if path != "balance-over-time"]
    for found, window in windows.items():
        for required in order:
            for path in reports:
                body = {"required_data_availability": required, **window}
                if order.index(found) <= order.index(required):
                    assert (await only(path, **body))["data_availability"] == found
                else:
                    assert await ask(path, insights_account_ids=[A], **body) == (
                        *(400, "DATA_NOT_AVAILABLE"),
                        ["insights_account_ids"],
                    )
    # Of days that are still to come nobody can know; they take nothing from the others.
    ahead = {"from_date": "2026-03-01", "to_date": "2026-03-09"}
    assert (await only("categorization", **ahead))["data_availability"] == "COMPLETE"
    ahead = {"from_date": "2026-03-03", "to_date": "2026-03-09"}
    assert (await only("categorization", **ahead))["data_availability"] == "NONE"


async def test_every_account_must_have_what_is_required(user: str, ask: Asking, report: Caller) -> None:
    body = {"insights_consumer_id": user, "required_data_availability": "COMPLETE", **KNOWN}
    for more in ({}, {"combine_accounts": "ALL"}):
        status, answer, _ = await report(
            "POST", "/insights/v1/reports/categorization/create", {**body, **more}
        )
        assert (status, answer["code"]) == (400, "DATA_NOT_AVAILABLE")
        # Nobody ever read the third account: its one row knows its own day.
        assert answer["errors"] == [
            {
                "code": "COMPLETE_MISSING",
                "message": f"less than COMPLETE of the days is known for account {C}",
                "location": "insights_account_ids",
            }
        ]
    together = await ask("categorization", combine_accounts="ALL", from_date="2025-12-01")
    assert [one["data_availability"] for one in together] == ["PARTIAL", "PARTIAL"]
    # Before the oldest row of the first account nothing is known of it, and all of the second.
    early = {"from_date": "2025-12-01", "to_date": "2026-01-14", "insights_account_ids": [A, B]}
    (both,) = await ask("categorization", combine_accounts="ALL", **early)
    assert both["data_availability"] == "PARTIAL"
    for required in ("PARTIAL", "COMPLETE"):
        body = {"insights_consumer_id": user, "required_data_availability": required, **early}
        address = "/insights/v1/reports/categorization/create"
        _, answer, _ = await report("POST", address, {**body, "combine_accounts": "ALL"})
        assert [error["message"][-len(A) :] for error in answer["errors"]] == [A]
    found = await ask(
        "categorization", insights_account_ids=[C], from_date="2026-02-20", to_date="2026-02-20"
    )
    assert found[0]["data_availability"] == "COMPLETE"
    assert (await ask("balance-over-time", required_data_availability="NONE"))[0] == 400
    assert (await ask("categorization", required_data_availability="ALL"))[0] == 400


# BALANCE_OVER_TIME


async def test_balances_over_time(only: Asking, ask: Asking) -> None:
    found = await only("balance-over-time", from_date="2026-02-18", to_date="2026-03-05")
    # Back from 1 000.00 on 2 March: 2 500.00 came on 28 February, 42.10 went on the 27th, 12.00 on the 26th. A row of
    # the 20th has no amount, so that nothing is known of the days before. What is pending counts nowhere.
    assert [(one["date"][5:], one["balance"]["amount"]) for one in found["balances"]] == [
        *(("02-20", -144_590), ("02-21", -144_590), ("02-22", -144_590), ("02-23", -144_590)),
        *(("02-24", -144_590), ("02-25", -144_590), ("02-26", -145_790), ("02-27", -150_000)),
        *(("02-28", 100_000), ("03-01", 100_000), ("03-02", 100_000)),
    ]
    assert {one["balance"]["currency"] for one in found["balances"]} == {"EUR"}
    (never_read,) = await ask("balance-over-time", insights_account_ids=[C])
    assert never_read["balances"] == []


# ACCOUNT_INFOS


async def test_account_infos(call: Caller, report: Caller, user: str, ask: Asking, world: World) -> None:
    found = await ask("account-info")
    assert found[0] == {
        "type": "ACCOUNT_INFOS",
        "insights_consumer_id": user,
        "insights_account_ids": [A],
        "refreshed_at": "2026-03-02T12:00:00.250Z",
        "account_alias": "Compte courant",
        "currency": "EUR",
        "iban": "FR7630006000011234567890189",
        "country": "FR",
        "account_type": "DEFAULT",
        "accounts_group_id": "c1",
        "oldest_transaction_date": "2026-01-15",
    }
    assert [one["account_type"] for one in found] == ["DEFAULT", "SAVING", "DEFAULT"]
    told = Teller(world, user)
    fields = {"transfer_type": "FULL", "account_type": "DEPOT", "bank_code": "88888888", "labels": {"k": "v"}}
    told.account(4, "LOAN", provider="storage", connection_id="", fields=fields)
    (brought,) = await ask("account-info", insights_account_ids=[EMPTY])
    assert {name: brought.get(name) for name in fields} == fields
    assert "accounts_group_id" not in brought
    assert "oldest_transaction_date" not in brought


# CATEGORIZED_TRANSACTIONS


async def test_the_parts_of_a_transaction(only: Asking) -> None:
    found = {
        id: one
        for one in (await only("categorization"))["transactions"]
        for id in ids({"transactions": [one]})
    }
    assert found[7] == {
        "insights_transaction_id": row_name(7),
        "insights_account_id": A,
        "value_date": "2026-02-26",
        "booking_date": "2026-02-26",
        "amount": {"amount": 1_200, "currency": "EUR"},
        "type": "DEBIT",
        "state": "PROCESSED",
        "method": "INSTANT",
        "reference": "Frais",
        "bank_references": {"unstructured": "frais", "end_to_end": "E2E-7"},
        "bank_transaction_code": {"code": "PMNT", "sub_code": "RDDT"},
        "counter_party": {"iban": "FR76", "holder_name": "Banque", "holder_address": {"country": "FR"}},
        "categories": [
            {"id": category("FEES_PAYMENT_REJECTION"), "name": "Fee of a returned payment"},
            {"id": category("PAYMENT_REJECTION"), "name": "Returned payment"},
        ],
        "labels": {"cost_centre": "7", "mood": "bad"},
    }
    assert found[1] == {
        "insights_transaction_id": row_name(1),
        "insights_account_id": A,
        "value_date": "2026-02-28",
        "booking_date": "2026-02-27",
        "amount": {"amount": 4_210, "currency": "EUR"},
        "type": "DEBIT",
        "state": "PROCESSED",
        "method": "UNKNOWN",
        "reference": "CB CARREFOUR",
        "categories": [{"id": category("GROCERIES"), "name": "Groceries"}],
    }
    assert (found[2]["type"], found[2]["method"]) == ("CREDIT", "TRANSFER")
    assert found[3]["method"] == "DIRECT_DEBIT"
    # What has no amount has no direction either; what moves nothing is a credit.
    assert {"amount", "type"}.isdisjoint(found[6])
    assert (found[5]["amount"]["amount"], found[5]["type"]) == (0, "CREDIT")
    assert found[6]["categories"] == [{"id": UNCATEGORISED.id, "name": "Uncategorised"}]


async def test_filters(only: Asking) -> None:
    async def listed(**body: Any) -> list[int]:
        return sorted(ids(await only("categorization", **body)))

    everything = [1, 2, 3, 4, 5, 6, 7]
    assert await listed() == everything
    assert await listed(transaction_type="DEBIT") == [1, 3, 4, 7]
    assert await listed(transaction_type="CREDIT") == [2, 5]
    assert await listed(transaction_type="DEBIT_AND_ZERO") == [1, 3, 4, 5, 7]
    # Both bounds are included, and amounts have no sign.
    assert await listed(min_amount=4_210) == [1, 2, 3, 4]
    assert await listed(max_amount=4_210) == [1, 5, 7]
    assert await listed(min_amount=4_211, max_amount=80_000) == [3, 4]
    assert await listed(min_amount=0) == [1, 2, 3, 4, 5, 7]
    assert await listed(states=["PROCESSED"]) == await listed(states=[]) == everything
    assert await listed(states=["PENDING"]) == [8]
    assert await listed(states=["PROCESSED", "PENDING", "CANCELED", "FAILED", "UNKNOWN"]) == [*everything, 8]
    assert await listed(states=["CANCELED"]) == []
    assert await listed(insights_transaction_ids=[row_name(1), row_name(3), NOBODY, "x"]) == [1, 3]
    assert await listed(insights_transaction_ids=[]) == everything
    assert await listed(category_ids=[category("GROCERIES")]) == [1, 4]
    # One that others belong to asks for these as well.
    (income,) = category_of("WAGE").parents
    assert await listed(category_ids=[income, category("RENT").upper()]) == [2, 3]
    assert await listed(category_ids=[UNCATEGORISED.id]) == [5, 6]
    assert await listed(category_ids=[category("PAYMENT_REJECTION")]) == [7]
    # Of main categories alone, the second one of a row does not count.
    main = await only(
        "categorization", category_ids=[category("FEES_PAYMENT_REJECTION")], only_main_category=True
    )
    assert [len(one["categories"]) for one in main["transactions"]] == [1]
    assert await listed(category_ids=[category("PAYMENT_REJECTION")], only_main_category=True) == []
    assert await listed(labels=[{"key": "mood", "value": "bad"}]) == [7]
    assert await listed(labels=[{"key": "mood", "value": "good"}, {"key": "mood", "value": "bad"}]) == [7]
    assert await listed(labels=[{"key": "mood", "value": "bad"}, {"key": "cost_centre", "value": "8"}]) == []
    assert await listed(excluded_labels=[{"key": "mood", "value": "bad"}]) == [1, 2, 3, 4, 5, 6]
    assert await listed(excluded_labels=[{"key": "mood", "value": "good"}]) == everything
    assert await listed(brand_ids=[brand_of("Nobody").id]) == []


async def test_what_a_client_says_of_the_state_of_a_row(user: str, world: World, ask: Asking) -> None:
    # Rows that are not processed are kept beside those that a bank has not booked.
    told = Teller(world, user)
    told.account(4, provider="storage", connection_id="")
    told.rows(
        EMPTY,
        *(
            row(40 + number, "2026-02-01", -100, "X", pending=state != "PROCESSED", fields={"state": state})
            for number, state in enumerate(("PROCESSED", "PENDING", "CANCELED", "FAILED", "UNKNOWN"))
        ),
    )
    for state in ("PROCESSED", "PENDING", "CANCELED", "FAILED", "UNKNOWN"):
        (found,) = await ask("categorization", insights_account_ids=[EMPTY], states=[state])
        assert [one["state"] for one in found["transactions"]] == [state]
        (grouped,) = await ask("group-by-category", insights_account_ids=[EMPTY], states=[state, "PROCESSED"])
        ((group,),) = [period["categories"] for period in grouped["periods"]]
        assert group["count"] == (1 if state == "PROCESSED" else 2)


async def test_filters_that_cannot_be(ask: Asking) -> None:
    for body, location in (
        ({"min_amount": -1}, "min_amount"),
        ({"max_amount": 2**63}, "max_amount"),
        ({"min_amount": 2, "max_amount": 1}, "min_amount"),
        ({"size": 0}, "size"),
        ({"size": 1.5}, "size"),
        ({"offset": -1}, "offset"),
        ({"transaction_type": "ZERO"}, "transaction_type"),
        ({"states": ["BOOKED"]}, "states.0"),
        ({"states": "PENDING"}, "states"),
        ({"only_main_category": "yes"}, "only_main_category"),
        ({"category_ids": [NOBODY]}, "category_ids"),
        ({"category_ids": [5]}, "category_ids.0"),
        ({"labels": [{"key": "", "value": "v"}]}, "labels.0.key"),
        ({"labels": [{"key": "k"}]}, "labels.0.value"),
        ({"excluded_labels": {"k": "v"}}, "excluded_labels"),
        ({"order": [{"field": "SIZE"}]}, "order.0.field"),
        ({"order": [{"field": "DATE", "order": "UP"}]}, "order.0.order"),
        ({"split_by": "MONTH"}, "body"),
    ):
        assert await ask("categorization", **body) == (400, "VALIDATION_ERROR", [location]), body
    for path in ("groupy-by-category", "expense-category"):
        for body, location in (
            ({"excluded_categories": ["x"]}, "excluded_categories"),
            ({"split_by": "YEAR"}, "split_by"),
            ({"split_by": "MONTH", "split_by_month_adjusted_day": 32}, "split_by_month_adjusted_day"),
            ({"split_by_month_adjusted_day": 5}, "split_by_month_adjusted_day"),
            ({"order": [{"field": "DATE"}]}, "order.0.field"),
            ({"size": 3}, "body"),
        ):
            assert await ask(path, **body) == (400, "VALIDATION_ERROR", [location]), body


async def test_order(only: Asking) -> None:
    async def listed(*order: dict[str, str], **body: Any) -> list[int]:
        return ids(await only("categorization", order=list(order), **body))

    # The newest booking first; what is left open stays so.
    assert await listed() == [2, 1, 7, 6, 4, 3, 5]
    assert await listed({"field": "DATE"}) == [5, 3, 4, 6, 7, 1, 2]
    assert await listed({"field": "DATE", "order": "DESC"}) == [2, 1, 7, 6, 4, 3, 5]
    # What has no amount comes last, in either direction.
    assert await listed({"field": "AMOUNT"}) == [5, 7, 1, 4, 3, 2, 6]
    assert await listed({"field": "AMOUNT", "order": "DESC"}) == [2, 3, 4, 1, 7, 5, 6]
    assert await listed({"field": "AMOUNT_WITH_TYPE", "order": "ASC"}) == [3, 4, 1, 7, 5, 2, 6]
    # Fee of …, Groceries, Groceries, Rent, Uncategorised, Uncategorised, Wage
    assert await listed({"field": "CATEGORY"}) == [7, 1, 4, 3, 6, 5, 2]
    assert await listed({"field": "CATEGORY"}, {"field": "AMOUNT", "order": "DESC"}) == [7, 4, 1, 3, 5, 6, 2]
    assert await listed({"field": "BRAND"}) == [2, 1, 7, 6, 4, 3, 5]


async def test_pages_put_together_are_the_whole(only: Asking) -> None:
    whole = ids(await only("categorization", order=[{"field": "AMOUNT"}]))
    for size in (1, 2, 3, 7, 100):
        pages = [
            ids(await only("categorization", order=[{"field": "AMOUNT"}], size=size, offset=offset))
            for offset in range(0, 9, size)
        ]
        assert [id for page in pages for id in page] == whole
        assert all(len(page) <= size for page in pages)
    assert ids(await only("categorization", offset=5)) == [3, 5]


# GROUP_BY_CATEGORY and EXPENSE_CATEGORIES


async def test_groups(only: Asking) -> None:
    found = await only("groupy-by-category", only_main_category=True, **KNOWN)
    (period,) = found["periods"]
    assert (period["from_date"], period["to_date"]) == ("2026-02-01", "2026-03-02")
    assert [(one["name"], one["transaction_type"], one["count"]) for one in period["categories"]] == [
        ("Wage", "CREDIT", 1),
        ("Rent", "DEBIT", 1),
        ("Groceries", "DEBIT", 2),
        ("Fee of a returned payment", "DEBIT", 1),
    ]
    # 42.10 and 49.10: 91.20 in all, 45.60 each
    assert period["categories"][2] == {
        "id": category("GROCERIES"),
        "name": "Groceries",
        "transaction_type": "DEBIT",
        "count": 2,
        "sum": {"amount": 9_120, "currency": "EUR"},
        "average": {"amount": 4_560, "currency": "EUR"},
        "min": {"amount": 4_210, "currency": "EUR"},
        "max": {"amount": 4_910, "currency": "EUR"},
    }
    same = await only("group-by-category", only_main_category=True, **KNOWN)
    assert same == found


async def test_a_row_of_two_categories_counts_in_both(only: Asking) -> None:
    async def groups(**body: Any) -> dict[str, int]:
        (period,) = (await only("group-by-category", **KNOWN, **body))["periods"]
        return {one["name"]: one["sum"]["amount"] for one in period["categories"]}

    fees = {"Fee of a returned payment": 1_200, "Returned payment": 1_200}
    assert await groups(max_amount=1_200) == fees
    assert await groups(category_ids=list(category_of("PAYMENT_REJECTION").parents)) == fees
    # Where categories are asked for, others that its rows have are not groups.
    assert await groups(category_ids=[category("PAYMENT_REJECTION")]) == {"Returned payment": 1_200}
    assert await groups(excluded_categories=[category("PAYMENT_REJECTION")]) == {
        "Wage": 250_000,
        "Rent": 80_000,
        "Groceries": 9_120,
    }
    assert await groups(transaction_type="CREDIT") == {"Wage": 250_000}
    assert await groups(min_amount=80_000, transaction_type="DEBIT") == {"Rent": 80_000}
    assert await groups(excluded_labels=[{"key": "mood", "value": "bad"}], transaction_type="DEBIT") == {
        "Rent": 80_000,
        "Groceries": 9_120,
    }
    assert await groups(states=["PENDING"]) == {"Uncategorised": 999}
    by_name = [{"field": "CATEGORY"}]
    assert list(await groups(order=by_name)) == sorted(await groups())
    signed = await groups(order=[{"field": "AMOUNT_WITH_TYPE"}], only_main_category=True)
    assert list(signed) == ["Rent", "Groceries", "Fee of a returned payment", "Wage"]


async def test_the_sums_of_categories_are_those_of_the_rows(only: Asking, ask: Asking) -> None:
    for body in ({}, {"combine_accounts": "ALL"}, {"min_amount": 1_000}, {"transaction_type": "DEBIT"}):
        rows = await ask("categorization", only_main_category=True, report_days=365, **body)
        grouped = await ask("group-by-category", only_main_category=True, report_days=365, **body)
        split = await ask(
            *("group-by-category",), only_main_category=True, report_days=365, split_by="MONTH", **body
        )
        for listed, whole, months in zip(rows, grouped, split, strict=True):
            expected: dict[tuple[str, str], int] = {}
            for one in listed["transactions"]:
                if "amount" in one:
                    key = one["categories"][0]["id"], one["type"]
                    expected[key] = expected.get(key, 0) + one["amount"]["amount"]
            for report in (whole, months):
                found: dict[tuple[str, str], int] = {}
                for period in report["periods"]:
                    for group in period["categories"]:
                        key = group["id"], group["transaction_type"]
                        found[key] = found.get(key, 0) + group["sum"]["amount"]
                assert found == expected


async def test_months(only: Asking) -> None:
    async def cut(path: str = "group-by-category", **body: Any) -> list[tuple[str, str, list[str]]]:
        found = await only(path, only_main_category=True, **body)
        return [
            (one["from_date"], one["to_date"], [group["name"] for group in one["categories"]])
            for one in found["periods"]
        ]

    days = {"from_date": "2026-01-20", "to_date": "2026-03-02", "transaction_type": "DEBIT"}
    months = [
        ("2026-01-20", "2026-01-31", []),
        ("2026-02-01", "2026-02-28", ["Rent", "Groceries", "Fee of a returned payment"]),
        ("2026-03-01", "2026-03-02", []),
    ]
    assert await cut(split_by="MONTH", **days) == months
    assert await cut(split_by="MONTH", split_by_month_adjusted_day=1, **days) == months
    # From the 27th of one month to the 26th of the next.
    assert await cut(split_by="MONTH", split_by_month_adjusted_day=27, **days) == [
        ("2026-01-20", "2026-01-26", []),
        ("2026-01-27", "2026-02-26", ["Rent", "Groceries", "Fee of a returned payment"]),
        ("2026-02-27", "2026-03-02", ["Groceries"]),
    ]
    # February has no 31st: its month begins on the 28th.
    last = await cut(split_by="MONTH", split_by_month_adjusted_day=31, **days)
    assert [one[:2] for one in last] == [
        ("2026-01-20", "2026-01-30"),
        ("2026-01-31", "2026-02-27"),
        ("2026-02-28", "2026-03-02"),
    ]
    del days["transaction_type"]
    assert await cut("expense-category", split_by="MONTH", **days) == months


async def test_expenses(only: Asking) -> None:
    found = await only("expense-category", **KNOWN)
    assert [(one["name"], one["count"], one["sum"]["amount"]) for one in found["categories"]] == [
        ("Rent", 1, 80_000),
        ("Groceries", 2, 9_120),
        ("Fee of a returned payment", 1, 1_200),
        ("Returned payment", 1, 1_200),
    ]
    assert "periods" not in found
    assert set(found["categories"][0]) == {"id", "name", "count", "sum"}
    assert (await only("expense-category", states=["PENDING"]))["categories"][0]["sum"]["amount"] == 999


# RECURRING_TRANSACTIONS


@pytest.fixture
def recurring(user: str, world: World) -> Teller:
    """A wage of 2 000.00 and a rent of 700.00 to 720.00 of six months, and a bill that came twice."""
    told = Teller(world, user)
    told.account(4)
    rows = []
    for index, month in enumerate(("2025-10", "2025-11", "2025-12", "2026-01", "2026-02")):
        rows.append(row(60 + index, f"{month}-28", 200_000, "VIR SALAIRE DUPONT", "WAGE", kind="transfer"))
        rows.append(
            row(70 + index, f"{month}-{3 + index % 2:02}", -70_000 - 1_000 * (index % 2), "LOYER", "RENT")
        )
    rows += [row(80, "2026-01-10", -5_000, "ONCE"), row(81, "2026-02-10", -5_000, "ONCE")]
    told.rows(EMPTY, *rows)
    told.reading(EMPTY, 10_000)
    return told


async def test_recurring_transactions(recurring: Teller, ask: Asking) -> None:
    (found,) = await ask("recurring-transactions", insights_account_ids=[EMPTY], report_days=62)
    (monthly,) = found["intervals"]
    assert monthly["interval"] == "MONTHLY"
    # 2 000.00; and (3 x 700.00 + 2 x 710.00) / 5 = 704.00
    assert monthly["income_amount"] == {"amount": 200_000, "currency": "EUR"}
    assert monthly["expense_amount"] == {"amount": 70_400, "currency": "EUR"}
    assert monthly["transaction_groups"] == [
        {
            "type": "CREDIT",
            "earliest_day": 28,
            "latest_day": 28,
            "average_amount": {"amount": 200_000, "currency": "EUR"},
            "transaction_ids": [row_name(63), row_name(64)],
            "categories": [{"id": category("WAGE"), "name": "Wage"}],
        },
        {
            "type": "DEBIT",
            "earliest_day": 3,
            "latest_day": 4,
            "average_amount": {"amount": 70_400, "currency": "EUR"},
            "transaction_ids": [row_name(73), row_name(74)],
            "categories": [{"id": category("RENT"), "name": "Rent"}],
        },
    ]


async def test_what_recurs_is_told_as_of_the_end_of_the_window(recurring: Teller, ask: Asking) -> None:
    async def labels(**window: Any) -> list[str]:
        (found,) = await ask("recurring-transactions", insights_account_ids=[EMPTY], **window)
        return [
            group["categories"][0]["name"]
            for one in found["intervals"]
            for group in one["transaction_groups"]
        ]

    # Two wages and two rents had come until November: nobody could say that they recur.
    assert await labels(to_date="2025-12-01") == []
    assert await labels(to_date="2025-12-04") == ["Rent"]
    assert await labels(from_date="2026-02-20", to_date="2026-02-28") == ["Wage"]
    assert await labels(from_date="2026-02-20", to_date="2026-02-27") == []


async def test_transfers_between_own_accounts_are_neither_income_nor_expense(
    user: str, world: World, ask: Asking
) -> None:
    # Given 300.00 that go to the own savings account each month, known by its number, and a rent
    savings = "FR7630006000010000000000002"
    told = Teller(world, user)
    told.account(4)
    told.account(5, "SAVINGS", iban=savings)
    months = ("2025-11", "2025-12", "2026-01", "2026-02")
    to_savings = {"fields": {"counter_party": {"iban": savings}}}
    told.rows(
        EMPTY,
        *(row(60 + i, f"{m}-05", -30_000, "VIR EPARGNE", **to_savings) for i, m in enumerate(months)),
        *(row(70 + i, f"{m}-03", -70_000, "LOYER", "RENT") for i, m in enumerate(months)),
    )
    told.rows(account_id(5), *(row(80 + i, f"{m}-05", 30_000, "VIR") for i, m in enumerate(months)))
    # Then the rent alone is told of
    for body in ({}, {"combine_accounts": "ALL"}):
        found = await ask("recurring-transactions", insights_account_ids=[EMPTY, account_id(5)], **body)
        (monthly,) = found[0]["intervals"]
        assert [one["categories"][0]["name"] for one in monthly["transaction_groups"]] == ["Rent"]
        assert [monthly[f"{side}_amount"]["amount"] for side in ("income", "expense")] == [0, 70_000]
        assert all(one["intervals"] == [] for one in found[1:])


# Several at once


async def test_a_bulk_is_what_each_is_alone(user: str, ask: Asking, report: Caller) -> None:
    wanted: list[tuple[str, dict[str, Any]]] = [
        (path, {"insights_account_ids": [A], **({"report_days": 40} if path in WINDOWED else {})})
        for path in (*PATHS, "categorization")
        if path != "group-by-category"
    ]
    wanted[-1][1]["size"] = 1
    body = {"reports": [{"type": TYPES[path], "insights_consumer_id": user, **more} for path, more in wanted]}
    status, answer, _ = await report("POST", "/insights/v1/reports/bulk/create", body)
    assert status == 200
    for (path, more), reports in zip(wanted, answer["data"]["reports"], strict=True):
        assert reports == await ask(path, **more)
        assert path != "balances" or reports[0]["balance"] == {"amount": 100_000, "currency": "EUR"}


async def test_a_bulk_is_answered_as_a_whole_or_not_at_all(user: str, report: Caller) -> None:
    good = {"type": "ACCOUNT_INFOS", "insights_consumer_id": user}

    async def wrong(*reports: Any) -> tuple[int, str, list[str]]:
        status, answer, _ = await report(
            "POST", "/insights/v1/reports/bulk/create", {"reports": [good, *reports]}
        )
        return status, answer.get("code"), [error["location"] for error in answer.get("errors", ())]

    assert (await wrong())[0] == 200
    listing = {"type": "CATEGORIZED_TRANSACTIONS", "insights_consumer_id": user}
    for one, status, code, location in (
        ({**good, "insights_consumer_id": NOBODY}, 404, "CONSUMER_NOT_FOUND", ".insights_consumer_id"),
        ({**good, "insights_account_ids": ["x"]}, 404, "ACCOUNT_NOT_FOUND", ".insights_account_ids"),
        (
            {"type": "BALANCES", "insights_consumer_id": user},
            400,
            "DATA_NOT_AVAILABLE",
            ".insights_account_ids",
        ),
        (
            {**listing, "required_data_availability": "COMPLETE"},
            *(400, "DATA_NOT_AVAILABLE", ".insights_account_ids"),
        ),
        ({**listing, "report_days": 0}, 400, "VALIDATION_ERROR", ".report_days"),
        ({**listing, "report_days": 1, "to_date": "2026-01-01"}, 400, "VALIDATION_ERROR", ".report_days"),
        ({**listing, "labels": [{"key": "k"}]}, 400, "VALIDATION_ERROR", ".labels.0.value"),
        ({**good, "report_days": 1}, 400, "VALIDATION_ERROR", ""),
        ({"type": "ACCOUNT_INFOS"}, 400, "VALIDATION_ERROR", ".insights_consumer_id"),
        ({"insights_consumer_id": user}, 400, "VALIDATION_ERROR", ".type"),
        ({**good, "type": "INCOME"}, 400, "VALIDATION_ERROR", ".type"),
        ({**good, "type": ["BALANCES"]}, 400, "VALIDATION_ERROR", ".type"),
        ("ACCOUNT_INFOS", 400, "VALIDATION_ERROR", ""),
        (None, 400, "VALIDATION_ERROR", ""),
        ([], 400, "VALIDATION_ERROR", ""),
    ):
        found = await wrong(good, one)
        assert found[:2] == (status, code), one
        assert set(found[2]) == {f"reports[2]{location}"}, one


async def test_the_list_of_a_bulk(user: str, report: Caller) -> None:
    one = {"type": "ACCOUNT_INFOS", "insights_consumer_id": user}
    path = "/insights/v1/reports/bulk/create"
    status, answer, _ = await report("POST", path, {"reports": [one] * 20})
    assert (status, len(answer["data"]["reports"])) == (200, 20)
    for body in ({}, {"reports": []}, {"reports": [one] * 21}, {"reports": one}, {"reports": None}):
        status, answer, _ = await report("POST", path, body)
        assert (status, answer["code"]) == (400, "VALIDATION_ERROR")
        assert [error["location"] for error in answer["errors"]] == ["reports"]
    raw = b'{"reports": [{"type": "ACCOUNT_INFOS", "insights_consumer_id": 1e999}]}'
    assert (await report("POST", path, raw))[0] == 400
    raw = b'{"reports": [{"type": "ACCOUNT_INFOS", "insights_consumer_id": 9%s}]}' % (b"9" * 400)
    assert (await report("POST", path, raw))[0] == 400


# The category list


async def test_the_category_list(report: Caller) -> None:
    for body in (None, {}):
        status, answer, _ = await report("POST", "/insights/v1/categories/get", body)
        assert status == 200
        by_name = {one["name"]: one for one in answer["data"]}
        assert by_name["Income"] == {
            "id": "86d85b62-b946-49ff-b882-fd609ec71f61",
            "name": "Income",
            "parents": [],
        }
        assert by_name["Wage"]["parents"] == [by_name["Income"]["id"]]
        assert len(by_name["Fee of a returned payment"]["parents"]) == 2
    assert (await report("POST", "/insights/v1/categories/get", {"page": 1}))[0] == 400
    assert (await Caller(report.client, {})("POST", "/insights/v1/categories/get"))[0] == 401


async def test_a_report_can_wait_for_what_was_written(user: str, report: Caller) -> None:
    for path in PATHS:
        body = {"insights_consumer_id": user}
        address = f"/insights/v1/reports/{path}/create"
        assert (await report("POST", address, body, Log_Position="99"))[0] == 503


async def test_expired_accounts_are_unknown(user: str, ask: Asking, world: World) -> None:
    told = Teller(world, user)
    told.account(4, provider="storage", connection_id="", client_id="mine")
    held = world.read_models.rows
    stored = held.get(STORED, "ours", user, EMPTY)
    held.put(STORED, stored._replace(until=micros(NOON)))
    told.finish()
    for path in (*WINDOWED, "account-info", "balances"):
        more = {"required_data_availability": "NONE"} if path == "balances" else {}
        assert (await ask(path, insights_account_ids=["mine"]))[:2] == (404, "ACCOUNT_NOT_FOUND")
        assert (await ask(path, insights_account_ids=[EMPTY]))[:2] == (404, "ACCOUNT_NOT_FOUND")
        assert len(await ask(path, **more)) == 3
    held.put(STORED, stored._replace(until=micros(NOON) + 1))
    assert len(await ask("account-info", insights_account_ids=["mine"])) == 1
