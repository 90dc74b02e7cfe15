"""The balances report, as the second seed document has it."""

from __future__ import annotations

import msgspec
import pytest

from projections.answers import Amount, Balances, encode
from tests.http.conftest import NOBODY, THEIRS, Caller, registered
from tests.http.world import World

PATH = "/insights/v1/reports/balances/create"
FIRST = "10000000-0000-4000-8000-000000000000"
SECOND = "20000000-0000-4000-8000-000000000000"


def report_of(user: str, account: str, **amounts: int) -> bytes:
    return encode(
        Balances(
            insights_consumer_id=user,
            insights_account_ids=[account],
            refreshed_at="2021-06-15T09:22:02.523Z",
            **{name: Amount(amount, "EUR") for name, amount in amounts.items()},
        )
    )


@pytest.fixture
async def user(call: Caller, world: World) -> str:
    """A consumer with two accounts; nothing is known of the second one's balances."""
    user = await registered(call)
    known = report_of(user, FIRST, balance=100_000, available=120_000, limit=30_000, reserved=10_000)
    world.read_models.accounts["ours", user] = [
        (SECOND, False, report_of(user, SECOND), b""),
        (FIRST, True, known, b""),
    ]
    return user


def reports(answer: object) -> list[dict]:
    return msgspec.convert(answer, dict)["data"]["reports"]


async def test_the_report_of_the_contract(user: str, report: Caller) -> None:
    status, answer, response = await report(
        "POST",
        PATH,
        {"insights_consumer_id": user, "insights_account_ids": [FIRST]},
        Content_Type="application/json; charset=utf-8",
    )
    assert status == 200
    assert answer == {
        "data": {
            "reports": [
                {
                    "type": "BALANCES",
                    "insights_consumer_id": user,
                    "insights_account_ids": [FIRST],
                    "balance": {"amount": 100000, "currency": "EUR"},
                    "available": {"amount": 120000, "currency": "EUR"},
                    "limit": {"amount": 30000, "currency": "EUR"},
                    "reserved": {"amount": 10000, "currency": "EUR"},
                    "refreshed_at": "2021-06-15T09:22:02.523Z",
                }
            ]
        }
    }
    assert response.headers["Klarna-Correlation-Id"]


async def test_unknown_balances_are_refused_excluded_or_left_out(user: str, report: Caller) -> None:
    for data in (
        {},
        {"required_data_availability": "BALANCE_OR_AVAILABLE"},
        {"required_data_availability": None},
    ):
        status, answer, _ = await report("POST", PATH, {"insights_consumer_id": user, **data})
        assert (status, answer["code"]) == (400, "DATA_NOT_AVAILABLE")
        assert [error["code"] for error in answer["errors"]] == ["BALANCE_OR_AVAILABLE_MISSING"]
    status, answer, _ = await report(
        "POST", PATH, {"insights_consumer_id": user, "excluded_insights_account_ids": [SECOND]}
    )
    assert [row["insights_account_ids"] for row in reports(answer)] == [[FIRST]]
    _, answer, _ = await report(
        "POST", PATH, {"insights_consumer_id": user, "required_data_availability": "NONE"}
    )
    assert [row["insights_account_ids"] for row in reports(answer)] == [[FIRST], [SECOND]]
    assert set(reports(answer)[1]) == {"type", "insights_consumer_id", "insights_account_ids", "refreshed_at"}


async def test_lists_of_accounts(user: str, report: Caller) -> None:
    async def asked(**lists: object) -> tuple[int, object]:
        status, answer, _ = await report(
            "POST", PATH, {"insights_consumer_id": user, "required_data_availability": "NONE", **lists}
        )
        if status == 200:
            return status, [row["insights_account_ids"][0] for row in reports(answer)]
        return status, answer["code"]

    named, excluded = "insights_account_ids", "excluded_insights_account_ids"
    assert await asked(**{named: [SECOND, FIRST, SECOND]}) == (200, [FIRST, SECOND])
    assert await asked(**{named: [], excluded: []}) == (200, [FIRST, SECOND])
    assert await asked(**{named: None, excluded: None}) == (200, [FIRST, SECOND])
    assert await asked(**{named: [], excluded: [FIRST]}) == (200, [SECOND])
    assert await asked(**{named: [SECOND], excluded: []}) == (200, [SECOND])
    assert await asked(**{excluded: [FIRST, SECOND]}) == (200, [])
    assert await asked(**{named: [FIRST], excluded: [SECOND]}) == (400, "VALIDATION_ERROR")
    for unknown in (NOBODY, "acc-9", "", "é" * 127, "x" * 127):
        assert await asked(**{named: [FIRST, unknown]}) == (404, "ACCOUNT_NOT_FOUND")
        assert await asked(**{excluded: [unknown]}) == (404, "ACCOUNT_NOT_FOUND")
    for wrong in ("x" * 129, 5, None, [FIRST]):
        assert await asked(**{named: [wrong]}) == (400, "VALIDATION_ERROR")
    for wrong in ("ALL", "none", 1, True, [], {}):
        assert await asked(required_data_availability=wrong) == (400, "VALIDATION_ERROR")


async def test_unknown_consumers(user: str, report: Caller, client, world: World) -> None:
    for unknown in (NOBODY, "cust-42", "", "6c03aff-8fa0046-ffae74-b0cbc-4d5fd1"):
        status, answer, _ = await report("POST", PATH, {"insights_consumer_id": unknown})
        assert (status, answer["code"]) == (404, "CONSUMER_NOT_FOUND")
        assert answer["errors"][0]["location"] == "insights_consumer_id"
        assert not unknown or unknown not in str(answer)
    foreign = Caller(client, {"Authorization": f"Token {THEIRS['X-API-KEY']}"})
    assert (await foreign("POST", PATH, {"insights_consumer_id": user}))[0] == 404
    assert (await report("POST", PATH, {"insights_consumer_id": 5}))[0] == 400
    assert (await report("POST", PATH, {}))[1]["errors"] == [
        {"code": "VALIDATION_ERROR", "message": "is required", "location": "insights_consumer_id"}
    ]


async def test_a_consumer_without_accounts_has_no_reports(call: Caller, report: Caller) -> None:
    status, answer, _ = await report("POST", PATH, {"insights_consumer_id": await registered(call)})
    assert (status, answer) == (200, {"data": {"reports": []}})


async def test_the_correlation_id_is_echoed_if_it_is_sane(user: str, report: Caller) -> None:
    for given, echoed in (("abc-1", True), ("a b", False), ("é", False), ("x" * 200, False), ("", False)):
        for body in ({"insights_consumer_id": user}, {}):
            _, _, response = await report("POST", PATH, body, Klarna_Correlation_Id=given)
            found = response.headers["Klarna-Correlation-Id"]
            assert found == given if echoed else found == response.headers["X-Request-Id"]


async def test_a_report_can_wait_for_what_was_written(user: str, report: Caller) -> None:
    assert (await report("POST", PATH, {"insights_consumer_id": user}, Log_Position="99"))[0] == 503
