"""The native door: how connections are, how good the data is, and what accounts are made of."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest

from adapters.http.openapi import document
from adapters.http.routes import ROUTES
from application.ports import Append, Change, Context
from domain import streams
from domain.consumer import AccountLinked, Evidence
from domain.consumer_account import (
    AccountDetails,
    AccountDiscovered,
    BalanceRefreshed,
    TransactionsFetched,
)
from domain.data_connection import ConnectionSilent, ConsentExpiring, SyncFailed, SyncSucceeded
from domain.transactions import Bookings, Transaction, batch_of, day_of
from tests.http.conftest import NOBODY, SETTINGS, SYNC, Caller, connected, enable, registered
from tests.http.world import NOON, World

FIRST = "10000000-0000-4000-8000-000000000001"
SECOND = "20000000-0000-4000-8000-000000000002"
PENDING, BOOKED = UUID(int=77), UUID(int=78)
TODAY = day_of(date(2026, 3, 2))
DAY = timedelta(days=1)


async def tell(world: World, *facts: tuple[str, Any], at: datetime = NOON) -> None:
    """Record facts as one run."""
    told: Counter[str] = Counter()
    changes = []
    for stream, fact in facts:
        changes.append(Change(stream, len(await world.log.facts(stream)) + told[stream], (fact,)))
        told[stream] += 1
    await world.log.append(
        Append(
            context=Context(tenant="ours", actor="sync", command_id=world.services.ids.token(16)),
            recorded_at=at,
            changes=tuple(changes),
            subject=facts[0][0],
            subject_version=0,
        )
    )


def row(number: int, day: int, amount: int | None, **more: Any) -> tuple[bytes, Transaction]:
    more = {"wording": "CB BOULANGERIE", "kind": "card", **more}
    return UUID(int=number).bytes, Transaction(reference=str(number), booked_on=day, amount=amount, **more)


class Someone:
    """A consumer with a connection, whose runs a test tells."""

    def __init__(self, world: World, user: str, connection: str) -> None:
        self.world, self.user, self.connection = world, user, connection
        self.path = f"/v1/consumers/{user}"
        self.of_connection = streams.data_connection("ours", user, connection)
        self.of_consumer = streams.consumer("ours", user)

    def of_account(self, id: str = FIRST) -> str:
        return streams.consumer_account("ours", self.user, id)

    async def connection_says(self, *facts: Any, at: datetime = NOON) -> None:
        await tell(self.world, *((self.of_connection, fact) for fact in facts), at=at)

    async def has_account(self, id: str = FIRST, account: str = FIRST, reference: str = "1") -> None:
        link = AccountLinked(
            account_id=account,
            connection_id=self.connection,
            reference=reference,
            evidence=Evidence(kind="iban", digest=b"d"),
            source_id=id,
        )
        discovered = AccountDiscovered(
            connection_id=self.connection,
            provider="budget_insight",
            reference=reference,
            currency="EUR",
            exponent=2,
            details=AccountDetails(kind="CHECKING"),
        )
        await tell(self.world, (self.of_consumer, link), (self.of_account(id), discovered))

    async def account_says(self, *facts: Any, id: str = FIRST, at: datetime = NOON) -> None:
        await tell(self.world, *((self.of_account(id), fact) for fact in facts), at=at)


@pytest.fixture
async def someone(call: Caller, world: World) -> Someone:
    return Someone(world, *await connected(call, world))


def succeeded(**more: Any) -> SyncSucceeded:
    return SyncSucceeded(sync_id=NOBODY, **{"origin": "schedule", **more})


# Health


async def test_a_connection_that_is_well_says_so(call: Caller, someone: Someone) -> None:
    await someone.connection_says(
        succeeded(
            fetched_at=NOON - DAY, reconciled_at=NOON, consent_expires_at=NOON + 30 * DAY + timedelta(hours=5)
        )
    )
    status, answer, response = await call("GET", f"{someone.path}/connections")
    assert (status, response.headers["Cache-Control"]) == (200, "no-store")
    assert answer["as_of"] == "2026-03-02T12:00:00.250Z"
    (found,) = answer["connections"]
    assert found == {
        "id": someone.connection,
        "provider_name": "budget_insight",
        "status": "CONNECTED",
        "reason": None,
        "remedy": {"action": "none", "text": "Nothing is to be done."},
        "failing_sources": [],
        "last_success_at": "2026-03-02T12:00:00.250Z",
        "last_failure": None,
        "consecutive_failures": 0,
        "last_run_at": "2026-03-02T12:00:00.250Z",
        "last_run_origin": "schedule",
        "fetched_at": "2026-03-01T12:00:00.250Z",
        "fetched_age_seconds": 86_400,
        "silent": False,
        "silent_since": None,
        "consent_expires_at": "2026-04-01T17:00:00.250Z",
        "consent_days_left": 30,
        "consent_notice_days": None,
        "reconciled_at": "2026-03-02T12:00:00.250Z",
        "next_refresh_at": "2026-03-03T12:00:00.250Z",
    }


async def test_what_is_wrong_comes_with_what_to_do(call: Caller, someone: Someone) -> None:
    await someone.connection_says(
        succeeded(fetched_at=NOON, failing_sources=("wrong_password",)),
        SyncFailed(sync_id=NOBODY, status="FETCH_ERROR", reason="bank_unavailable", origin="webhook"),
    )
    (found,) = (await call("GET", f"{someone.path}/connections"))[1]["connections"]
    assert (found["reason"], found["remedy"]["action"]) == ("bank_unavailable", "wait")
    assert [(one["reason"], one["remedy"]["action"]) for one in found["failing_sources"]] == [
        ("wrong_password", "reconnect")
    ]
    assert found["last_failure"]["at"] == found["last_run_at"] == "2026-03-02T12:00:00.250Z"
    assert (found["last_failure"]["status"], found["consecutive_failures"]) == ("FETCH_ERROR", 1)
    assert found["next_refresh_at"] == "2026-03-02T13:00:00.250Z"


async def test_silence_and_a_consent_that_ends_are_told(call: Caller, world: World, someone: Someone) -> None:
    await someone.connection_says(succeeded(fetched_at=NOON, consent_expires_at=NOON + 6 * DAY))
    await someone.connection_says(ConsentExpiring(expires_at=NOON + 6 * DAY, days_left=7))
    world.clock.move(days=3)
    (found,) = (await call("GET", f"{someone.path}/connections"))[1]["connections"]
    assert (found["silent"], found["silent_since"], found["reason"]) == (True, None, "silent")
    assert found["remedy"]["action"] == "sync_attended"
    assert (found["consent_days_left"], found["consent_notice_days"]) == (3, 7)
    await someone.connection_says(ConnectionSilent(last_seen_at=NOON), at=world.clock.now())
    world.clock.move(days=9)
    (found,) = (await call("GET", f"{someone.path}/connections"))[1]["connections"]
    assert (found["silent_since"], found["consent_days_left"]) == ("2026-03-05T12:00:00.250Z", 0)


async def test_a_connection_that_waits_for_its_person_says_so(call: Caller, world: World) -> None:
    await enable(call)
    user = await registered(call)
    body = {"provider_name": "budget_insight", "requested_data_types": ["BANK_ACCOUNT"]}
    await call("POST", f"/api/v6/users/{user}/data-connections", body)
    (found,) = (await call("GET", f"/v1/consumers/{user}/connections"))[1]["connections"]
    assert (found["status"], found["reason"]) == ("AUTH_REQUIRED", None)
    assert (found["remedy"]["action"], found["next_refresh_at"]) == ("reconnect", None)


# Quality


async def test_the_quality_of_an_account(call: Caller, someone: Someone) -> None:
    await someone.has_account()
    await someone.account_says(
        BalanceRefreshed(as_of=NOON - 10 * DAY, balance=100_00),
        TransactionsFetched(added=batch_of([row(1, TODAY - 60, 5_00), row(2, TODAY - 20, 1_00)])),
        at=NOON - 10 * DAY,
    )
    await someone.account_says(
        BalanceRefreshed(as_of=NOON - 2 * DAY, balance=90_00),
        TransactionsFetched(added=batch_of([row(3, TODAY - 4, -7_00), row(4, TODAY - 2, -1, pending=True)])),
        at=NOON - 2 * DAY,
    )
    await someone.connection_says(succeeded(fetched_at=NOON - 2 * DAY))
    status, answer, _ = await call("GET", f"{someone.path}/quality?window_days=100")
    assert (status, answer["window"]) == (200, {"from": "2025-11-23", "to": "2026-03-02", "days": 100})
    (found,) = answer["accounts"]
    assert found == {
        "account_id": FIRST,
        "source_id": FIRST,
        "data_connection_id": someone.connection,
        "closed": None,
        "balance_as_of": "2026-02-28T12:00:00.250Z",
        "balance_age_seconds": 172_800,
        "transactions_as_of": "2026-02-28T12:00:00.250Z",
        "transactions_age_seconds": 172_800,
        "oldest_booked_on": "2026-01-01",
        "history_days": 60,
        "newest_booked_on": "2026-02-26",
        "gap_days": 4,
        "booked_count": 3,
        "pending_count": 1,
        "last_failure": None,
        "coverage": {
            "covered_days": 59,
            "ratio": "0.5900",
            "uncovered": [
                {"from": "2025-11-23", "to": "2025-12-31", "days": 39, "reason": "before_history"},
                {"from": "2026-03-01", "to": "2026-03-02", "days": 2, "reason": "not_read_yet"},
            ],
        },
        "drift": {
            "status": "ok",
            "currency": "EUR",
            "readings": 2,
            "net": 3_00,
            "largest": 3_00,
            "largest_on": "2026-02-20",
        },
    }


async def test_the_last_failure_is_shown_until_something_succeeds(call: Caller, someone: Someone) -> None:
    await someone.has_account()
    failure = SyncFailed(sync_id=NOBODY, status="FETCH_ERROR", reason="timeout", origin="schedule")
    await someone.connection_says(succeeded(), failure)
    (found,) = (await call("GET", f"{someone.path}/quality"))[1]["accounts"]
    assert (found["last_failure"]["reason"], found["last_failure"]["remedy"]["action"]) == ("timeout", "wait")
    assert found["coverage"]["uncovered"][0]["reason"] == "never_read"
    assert (found["coverage"]["ratio"], found["drift"]["status"]) == ("0.0000", "too_few_readings")
    assert found["drift"]["net"] is found["oldest_booked_on"] is found["balance_as_of"] is None
    await someone.connection_says(succeeded())
    (found,) = (await call("GET", f"{someone.path}/quality"))[1]["accounts"]
    assert found["last_failure"] is None


@pytest.mark.parametrize("window", ["0", "3661", "x", "-1", "1.5", "", "99999999999"])
async def test_a_window_that_is_none_is_refused(window: str, call: Caller, someone: Someone) -> None:
    status, answer, _ = await call("GET", f"{someone.path}/quality?window_days={window}")
    assert (status, answer["code"], set(answer["details"])) == (400, "VALIDATION_ERROR", {"window_days"})


# Accounts


async def linked(someone: Someone) -> None:
    """One account of two sources, the second of which leads."""
    await someone.has_account()
    await someone.account_says(TransactionsFetched(added=batch_of([row(1, TODAY - 60, 5_00)])))
    await someone.has_account(SECOND, FIRST, "2")
    await someone.account_says(
        TransactionsFetched(added=batch_of([row(2, TODAY - 3, 6_00), row(3, TODAY, -1_00, pending=True)])),
        id=SECOND,
    )


async def test_the_sources_of_an_account_are_listed(call: Caller, someone: Someone) -> None:
    await linked(someone)
    status, answer, _ = await call("GET", f"{someone.path}/accounts")
    (account,) = answer["accounts"]
    assert (status, account["account_id"]) == (200, FIRST)
    assert [(source["source_id"], source["leading"]) for source in account["sources"]] == [
        (SECOND, True),
        (FIRST, False),
    ]
    leading, first = account["sources"]
    assert (leading["data_connection_id"], leading["evidence"]) == (someone.connection, "iban")
    assert (first["first_booked_on"], first["shown_count"], first["closed"]) == ("2026-01-01", 1, None)
    assert leading["reference"] != first["reference"] and len(leading["reference"]) == 16


async def test_pending_rows_are_those_of_the_leading_source(call: Caller, someone: Someone) -> None:
    await linked(someone)
    status, page, _ = await call("GET", f"{someone.path}/accounts/{FIRST}/pending")
    assert (status, page["total"], page["last_page"]) == (200, 1, 1)
    (found,) = page["result"]
    assert (found["pending"], found["amount"], found["account_id"]) == (True, -1.0, FIRST)
    assert (await call("GET", f"{someone.path}/accounts/{FIRST}/pending?page=2"))[1]["result"] == []


async def booked(someone: Someone) -> None:
    """A pending row that is said to have become a booked one."""
    pending = (PENDING.bytes, Transaction(reference="77", booked_on=TODAY, amount=-5, pending=True))
    became = (BOOKED.bytes, Transaction(reference="78", booked_on=TODAY, amount=-5))
    await someone.has_account()
    await someone.account_says(TransactionsFetched(added=batch_of([pending])))
    await someone.account_says(
        TransactionsFetched(added=batch_of([became])),
        TransactionsFetched(
            booked=Bookings(
                pending_ids=PENDING.bytes,
                pending_references=["77"],
                booked_ids=BOOKED.bytes,
                booked_references=["78"],
                rules=["exact"],
                scores=[95],
            )
        ),
    )


async def test_a_booking_can_be_undone(call: Caller, someone: Someone) -> None:
    await booked(someone)
    path = f"{someone.path}/accounts/{FIRST}"
    status, page, _ = await call("GET", f"{path}/bookings")
    assert (status, page["result"]) == (
        200,
        [{"pending_id": str(PENDING), "booked_id": str(BOOKED), "rule": "exact", "score": 95}],
    )
    undo = f"{path}/bookings/{PENDING}/undo"
    for _ in range(2):
        status, body, response = await call("POST", undo, Idempotency_Key="undo")
        assert (status, body) == (204, b"")
        assert response.headers["Log-Position"] == str(len(someone.world.log.recorded))
    assert [r.name for r in someone.world.log.recorded].count("BookingUndone.1") == 1
    assert (await call("GET", f"{path}/bookings"))[1]["result"] == []
    assert [one["id"] for one in (await call("GET", f"{path}/pending"))[1]["result"]] == [str(PENDING)]
    # Nothing is paired any more.
    status, answer, _ = await call("POST", undo)
    assert (status, answer["code"]) == (404, "NOT_FOUND")
    assert (await call("POST", undo, {"rule": "exact"}))[0] == 400


@pytest.mark.parametrize(
    "body", [None, {}, {"source_id": None}, {"source_id": SECOND}, {"source_id": SECOND.upper()}]
)
async def test_a_source_is_unlinked(body: Any, call: Caller, someone: Someone) -> None:
    await linked(someone)
    path = f"{someone.path}/accounts/{FIRST}/unlink"
    expected = {
        "account": {"account_id": FIRST, "source_ids": [FIRST]},
        "unlinked": {"account_id": SECOND, "source_ids": [SECOND]},
    }
    status, answer, response = await call("POST", path, body, Idempotency_Key="apart")
    assert (status, answer) == (200, expected)
    head = len(someone.world.log.recorded)
    assert response.headers["Log-Position"] == str(head)
    # Said twice it is answered twice the same.
    assert (await call("POST", path, body, Idempotency_Key="apart"))[:2] == (200, expected)
    assert len(someone.world.log.recorded) == head
    _, listed, _ = await call("GET", f"{someone.path}/accounts")
    assert {account["account_id"]: len(account["sources"]) for account in listed["accounts"]} == {
        FIRST: 1,
        SECOND: 1,
    }
    status, answer, _ = await call("POST", path, {})
    assert (status, answer["code"], answer["details"]) == (409, "NOT_LINKED", {})
    assert (await call("POST", path, {"source_id": NOBODY}, Idempotency_Key="apart"))[0] == 422


async def test_what_cannot_be_unlinked_is_refused(call: Caller, someone: Someone) -> None:
    await linked(someone)
    path = f"{someone.path}/accounts/{FIRST}/unlink"
    for body, status in (
        ({"source_id": FIRST}, 409),
        ({"source_id": NOBODY}, 404),
        ({"source_id": "x"}, 400),
        ({"source_id": 5}, 400),
        ({"source": SECOND}, 400),
    ):
        assert (await call("POST", path, body))[0] == status, body
    assert (await call("POST", f"{someone.path}/accounts/{NOBODY}/unlink"))[0] == 404


# Whose it is

READS = ("connections", "quality", "accounts", f"accounts/{FIRST}/pending", f"accounts/{FIRST}/bookings")
WRITES = (f"accounts/{FIRST}/unlink", f"accounts/{FIRST}/bookings/{PENDING}/undo")


async def test_nobody_sees_or_changes_what_is_another_tenants(
    call: Caller, theirs: Caller, anybody: Caller, someone: Someone
) -> None:
    await linked(someone)
    head = len(someone.world.log.recorded)
    for method, names in (("GET", READS), ("POST", WRITES)):
        for name in names:
            path = f"{someone.path}/{name}"
            status, answer, _ = await theirs(method, path)
            assert (status, answer["code"]) == (404, "NOT_FOUND"), name
            assert (await anybody(method, path))[0] == 401
    assert len(someone.world.log.recorded) == head
    assert (await call("GET", f"{someone.path}/accounts"))[0] == 200


async def test_nothing_is_left_of_whoever_is_erased(call: Caller, someone: Someone) -> None:
    await linked(someone)
    assert (await call("DELETE", f"/api/v6/users/{someone.user}"))[0] == 204
    for method, names in (("GET", READS), ("POST", WRITES)):
        for name in names:
            assert (await call(method, f"{someone.path}/{name}"))[0] == 404, name


async def test_an_account_is_looked_for_with_its_own_consumer(call: Caller, someone: Someone) -> None:
    await linked(someone)
    other = await registered(call)
    for name in READS[3:]:
        assert (await call("GET", f"/v1/consumers/{other}/{name}"))[0] == 404
    for name in READS[:3]:
        status, answer, _ = await call("GET", f"/v1/consumers/{other}/{name}")
        assert (status, [value for value in answer.values() if isinstance(value, list)]) == (200, [[]])


async def test_both_kinds_of_keys_open_it(call: Caller, report: Caller, someone: Someone) -> None:
    for caller in (call, report):
        assert (await caller("GET", f"{someone.path}/connections"))[0] == 200


# The document


async def test_answers_have_the_shapes_of_the_document(call: Caller, someone: Someone) -> None:
    await linked(someone)
    await someone.connection_says(succeeded(fetched_at=NOON, failing_sources=("rate_limited",)))
    made = document(ROUTES)
    for name in READS:
        path = f"/v1/consumers/{{consumer_id}}/{name.replace(FIRST, '{account_id}')}"
        content = made["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]
        _, answer, _ = await call("GET", f"{someone.path}/{name}")
        jsonschema_rs.validate({**content["schema"], "components": made["components"]}, answer)


def test_every_example_is_one() -> None:
    made, tried = document(ROUTES), 0
    for operations in made["paths"].values():
        for operation in operations.values():
            bodies = [operation["requestBody"]] if "requestBody" in operation else []
            for described in (*operation["responses"].values(), *bodies):
                for content in described.get("content", {}).values():
                    if "example" in content:
                        schema = {**content["schema"], "components": made["components"]}
                        jsonschema_rs.validate(schema, content["example"])
                        tried += 1
    assert tried >= 7


# What the Qard door says of it


async def test_the_interval_is_a_setting(call: Caller, theirs: Caller) -> None:
    await enable(call)
    path = "/api/v6/providers/budget_insight/settings"
    for hours in (0, 744, 6):
        status, answer, _ = await call("PUT", path, {"refresh_interval_hours": hours})
        assert (status, answer["refresh_interval_hours"], answer["auto_connect"]) == (200, hours, False)
    # What is not named stays.
    _, answer, _ = await call("PUT", path, SETTINGS)
    assert (answer["refresh_interval_hours"], answer["auto_connect"]) == (6, True)
    _, answer, _ = await call("GET", "/api/v6/providers/budget_insight")
    assert (answer["refresh_interval_hours"], answer["auto_connect"]) == (6, True)
    assert answer["settings"] == ["auto_connect", "refresh_interval_hours"]
    _, answer, _ = await theirs("GET", "/api/v6/providers/budget_insight")
    assert (answer["refresh_interval_hours"], answer["auto_connect"]) == (24, False)
    for wrong in (-1, 745, 1.5, "6", True, None):
        status, answer, _ = await call("PUT", path, {"refresh_interval_hours": wrong})
        assert (status, set(answer["error_details"])) == (400, {"refresh_interval_hours"}), wrong


@pytest.mark.parametrize(
    ("sent", "attended"),
    [({}, False), ({"PSU_Requested": "true"}, True), ({"PSU_Requested": "False"}, False)],
)
async def test_a_sync_says_whether_the_person_is_there(
    sent: dict[str, str], attended: bool, call: Caller, someone: Someone
) -> None:
    assert (await call("POST", f"/api/v6/users/{someone.user}/sync", SYNC, **sent))[0] == 201
    (requested,) = [r.fact for r in someone.world.log.recorded if r.name == "SyncRequested.1"]
    assert requested.attended is attended


async def test_whether_the_person_is_there_is_part_of_what_is_asked(call: Caller, someone: Someone) -> None:
    path = f"/api/v6/users/{someone.user}/sync"
    assert (await call("POST", path, SYNC, Idempotency_Key="s", PSU_Requested="true"))[0] == 201
    assert (await call("POST", path, SYNC, Idempotency_Key="s", PSU_Requested="true"))[0] == 201
    assert (await call("POST", path, SYNC, Idempotency_Key="s"))[0] == 422
    status, answer, _ = await call("POST", path, SYNC, PSU_Requested="maybe")
    assert (status, answer["error_details"]) == (400, {"PSU-Requested": ["must be true or false"]})
    parameters = document(ROUTES)["paths"]["/api/v6/users/{user_id}/sync"]["post"]["parameters"]
    (header,) = [each for each in parameters if each["name"] == "PSU-Requested"]
    assert (header["in"], header["schema"]["enum"]) == ("header", ["true", "false"])


# Metrics


async def test_connections_are_counted_without_naming_any(
    call: Caller, anybody: Caller, world: World, someone: Someone
) -> None:
    await someone.connection_says(succeeded(fetched_at=NOON, consent_expires_at=NOON + 10 * DAY))
    await someone.connection_says(SyncFailed(sync_id=NOBODY, status="FETCH_ERROR", reason="timeout"))
    world.clock.move(days=4)
    text = (await anybody("GET", "/metrics"))[1].decode()
    assert {
        'passbook_connections{status="CONNECTED"} 1',
        'passbook_connections{status="AUTH_ERROR"} 0',
        "passbook_connections_failing 1",
        "passbook_connections_silent 1",
        "passbook_consents_expiring 1",
    } <= set(text.splitlines())
    assert someone.user not in text and someone.connection not in text
