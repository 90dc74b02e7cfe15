"""The story of both seed documents, and what may go otherwise in it, over HTTP against the simulated bank."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest
import pytest_asyncio

from tests.acceptance.harness import DATA_TYPES, Client, PassbookProcess, product, simulated_bank

NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[Client, PassbookProcess, str]]:
    async with product(tmp_path_factory.mktemp("story")) as (client, process, bank):
        await client.set_up()
        yield client, process, bank


@pytest.fixture
def client(running: Any) -> Client:
    return running[0]


@pytest.fixture
def bank(running: Any) -> str:
    return running[2]


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_from_the_login_to_the_report(client: Client) -> None:
    user = await client.a_user(return_url="https://app.example/done?from=bank")
    connection = await client.a_connection(user)
    assert connection["status"] == "AUTH_REQUIRED"
    callback = await client.log_in(connection["redirect_url"], "salaried")
    state = await client.qard("GET", f"/users/{user}/data-connections/{connection['id']}")
    assert state["status"] == "CONNECTING"

    back = await client.come_back(callback)
    assert back.status in (302, 303)
    landed = urlsplit(back.headers["Location"])
    assert (landed.scheme, landed.netloc, landed.path) == ("https", "app.example", "/done")
    assert parse_qs(landed.query) == {
        "from": ["bank"], "data_connection_id": [connection["id"]], "status": ["CONNECTED"]
    }  # fmt: skip

    requested = await client.sync(user, wait=False)
    assert [sync["data_type"] for sync in requested] == DATA_TYPES
    assert {sync["status"] for sync in requested} == {"QUEUED"}
    assert all(sync["data_connection_id"] == connection["id"] for sync in requested)
    latest = await client.synced(user)
    assert {sync["status"] for sync in latest} == {"SUCCESS"}
    assert {sync["id"] for sync in latest} == {sync["id"] for sync in requested}

    # The first answers after SUCCESS are whole: nobody has to try again.
    accounts = (await client.qard("GET", f"/users/{user}/banking-accounts"))["result"]
    assert {account["account_type"] for account in accounts} >= {"CHECKING", "SAVINGS"}
    for account in accounts:
        path = f"/users/{user}/banking-accounts/{account['id']}/transactions"
        rows = await client.everything(path)
        days = [row["value_date"] for row in rows]
        assert rows and days == sorted(days, reverse=True)
    cashflow = await client.qard("GET", f"/users/{user}/banking-cashflow")
    assert cashflow["currency"] == "EUR" and len(cashflow["months"]) >= 12
    for before, after in zip(cashflow["months"], cashflow["months"][1:], strict=False):
        assert before["closing_balance"] == after["opening_balance"]
    assert sum(m["net"] for m in cashflow["months"]) == cashflow["net"]
    insights = await client.qard("GET", f"/users/{user}/banking-credit-insights")
    assert insights["cash_flows"] and isinstance(insights["cash_flows"][0]["total_amount"], str)

    reports = (await client.balances(user))["data"]["reports"]
    assert {report["insights_account_ids"][0] for report in reports} == {
        account["id"] for account in accounts
    }
    by_account = {report["insights_account_ids"][0]: report for report in reports}
    for account in accounts:
        assert by_account[account["id"]]["balance"] == {
            "amount": int(account["balance"] * 100), "currency": "EUR"
        }  # fmt: skip
        assert {"limit", "available"} & set(by_account[account["id"]]) == set(), "the source gives neither"


async def test_a_second_sync_of_nothing_new_changes_no_answer(client: Client) -> None:
    user = await client.a_user()
    await client.connect(user, "twins")
    await client.sync(user)
    paths = ("banking-accounts", "banking-credit-insights")
    before = [(await client.ask("GET", f"/api/v6/users/{user}/{path}")).body for path in paths]
    accounts = before[0]["result"]
    rows = [
        await client.everything(f"/users/{user}/banking-accounts/{a['id']}/transactions") for a in accounts
    ]
    await client.sync(user)
    after = [(await client.ask("GET", f"/api/v6/users/{user}/{path}")).body for path in paths]
    assert [a["balance"] for a in after[0]["result"]] == [a["balance"] for a in accounts]
    assert rows == [
        await client.everything(f"/users/{user}/banking-accounts/{a['id']}/transactions") for a in accounts
    ]
    assert before[1]["cash_flows"] == after[1]["cash_flows"]


async def test_twins_of_one_day_stay_two_and_the_bank_agrees(client: Client, bank: str) -> None:
    user = await client.a_user()
    await client.connect(user, "twins")
    await client.sync(user)
    async with client.session.get(f"{bank}/simulator/logins/twins") as response:
        truth = await response.json()
    held = 0
    for account in (await client.qard("GET", f"/users/{user}/banking-accounts"))["result"]:
        held += (await client.qard("GET", f"/users/{user}/banking-accounts/{account['id']}/transactions"))[
            "total"
        ]
    shown = [
        row
        for account in truth["accounts"]
        for row in account["transactions"]
        if not row["coming"] and not row["deleted"]
    ]
    assert held == len(shown)


async def test_pending_rows_are_not_counted(client: Client) -> None:
    user = await client.a_user()
    await client.connect(user, "pending")
    await client.sync(user)
    accounts = (await client.qard("GET", f"/users/{user}/banking-accounts"))["result"]
    reports = (await client.balances(user))["data"]["reports"]
    assert any("reserved" in report and report["reserved"]["amount"] > 0 for report in reports)
    assert accounts


async def test_two_currencies_are_never_mixed_and_a_null_balance_is_no_zero(client: Client) -> None:
    user = await client.a_user()
    await client.connect(user, "two_currencies")
    await client.sync(user)
    accounts = (await client.qard("GET", f"/users/{user}/banking-accounts"))["result"]
    unknown = [account["id"] for account in accounts if account["balance"] is None]
    yen = [account for account in accounts if account["currency"] == "JPY"]
    assert unknown and yen and yen[0]["balance"] == int(yen[0]["balance"])
    cashflow = await client.qard("GET", f"/users/{user}/banking-cashflow")
    assert {cashflow["currency"], *(other["currency"] for other in cashflow["other_currencies"])} == {
        "EUR",
        "JPY",
    }

    refused = await client.balances(user, expect=400)
    assert refused["code"] == "DATA_NOT_AVAILABLE"
    without = (await client.balances(user, excluded_insights_account_ids=unknown))["data"]["reports"]
    assert len(without) == len(accounts) - len(unknown)
    everything = (await client.balances(user, required_data_availability="NONE"))["data"]["reports"]
    blank = next(report for report in everything if report["insights_account_ids"] == unknown[:1])
    assert not {"balance", "available", "limit", "reserved"} & set(blank)
    yen_report = next(r for r in without if r["insights_account_ids"] == [yen[0]["id"]])
    assert yen_report["balance"] == {"amount": int(yen[0]["balance"]), "currency": "JPY"}


async def test_the_account_lists_of_a_report_exclude_each_other(client: Client) -> None:
    user = await client.a_user()
    await client.connect(user, "salaried")
    await client.sync(user)
    ids = [a["id"] for a in (await client.qard("GET", f"/users/{user}/banking-accounts"))["result"]]
    await client.balances(
        user, insights_account_ids=ids[:1], excluded_insights_account_ids=ids[1:2], expect=400
    )
    one = await client.balances(user, insights_account_ids=ids[:1], excluded_insights_account_ids=[])
    assert [report["insights_account_ids"] for report in one["data"]["reports"]] == [ids[:1]]
    for field in ("insights_account_ids", "excluded_insights_account_ids"):
        answer = await client.balances(user, **{field: [ids[0], "somebody-elses"]}, expect=404)
        assert answer["code"] == "ACCOUNT_NOT_FOUND"
    assert (await client.balances("6c03aff-8fa0046-ffae74-b0cbc-4d5fd1", expect=404))[
        "code"
    ] == "CONSUMER_NOT_FOUND"


async def test_only_one_connection_and_only_supported_types(client: Client) -> None:
    user = await client.a_user()
    await client.a_connection(user)
    body = {"provider_name": "budget_insight", "requested_data_types": ["BANK_ACCOUNT"]}
    refused = await client.qard("POST", f"/users/{user}/data-connections", body, expect=409)
    assert refused["error_code"] == "DATA_CONNECTION_EXISTS"
    other = await client.a_user()
    body["requested_data_types"] = ["BANK_ACCOUNT", "TAX_RETURN"]
    refused = await client.qard("POST", f"/users/{other}/data-connections", body, expect=400)
    assert refused["error_code"] == "UNSUPPORTED_DATA_TYPE"


async def test_a_person_who_gives_up_leaves_an_auth_error_and_may_try_again(client: Client) -> None:
    user = await client.a_user()
    connection = await client.a_connection(user)
    path = f"/users/{user}/data-connections/{connection['id']}"
    back = await client.come_back(await client.log_in(connection["redirect_url"], "salaried", cancel=True))
    assert back.status == 200, "without a return_url the person ends on a page of ours"
    failed = await client.qard("GET", path)
    assert (failed["status"], failed["status_reason"]) == ("AUTH_ERROR", "access_denied")
    await client.come_back(await client.log_in(failed["redirect_url"], "salaried"))
    assert (await client.qard("GET", path))["status"] == "CONNECTED"


async def test_a_callback_counts_once_and_only_for_its_own(client: Client) -> None:
    user = await client.a_user()
    connection = await client.a_connection(user)
    callback = await client.log_in(connection["redirect_url"], "salaried")
    for forged in (
        callback.replace("state=", "state=x"),
        callback.split("?")[0],
        callback.split("?")[0] + "?state=AAAA",
        callback.partition("&state")[0] + "&state=" + "A" * 64,
    ):
        assert (await client.come_back(forged)).status == 400
    assert (await client.qard("GET", f"/users/{user}/data-connections/{connection['id']}"))[
        "status"
    ] == "CONNECTING"
    assert (await client.come_back(callback)).status == 200
    assert (await client.come_back(callback)).status == 400
    async with client.session.get(connection["redirect_url"], allow_redirects=False) as response:
        assert response.status == 400, "a link is not valid any more once it led to a connection"


async def test_a_connection_of_somebody_else_at_the_bank_is_refused(client: Client) -> None:
    victim = await client.a_user()
    theirs = await client.log_in((await client.a_connection(victim))["redirect_url"], "salaried")
    foreign = parse_qs(urlsplit(theirs).query)["connection_id"][0]
    user = await client.a_user()
    connection = await client.a_connection(user)
    own = await client.log_in(connection["redirect_url"], "salaried")
    mine = parse_qs(urlsplit(own).query)["connection_id"][0]
    assert (
        await client.come_back(own.replace(f"connection_id={mine}", f"connection_id={foreign}"))
    ).status == 400
    assert (await client.come_back(own)).status == 200


async def test_a_sync_of_a_busy_type_is_409_and_dependencies_count(client: Client, bank: str) -> None:
    user = await client.a_user()
    await client.connect(user, "salaried")
    first = await client.ask("POST", f"/api/v6/users/{user}/sync", {"data_types": ["CASHFLOW"]}, expect=201)
    assert [sync["data_type"] for sync in first.body] == ["BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW"]
    second = await client.ask("POST", f"/api/v6/users/{user}/sync", {"data_types": ["BANK_ACCOUNT"]})
    assert second.status in (201, 409)
    if second.status == 409:
        assert second.body["error_code"] == "SYNC_ALREADY_RUNNING"
    await client.synced(user)


async def test_a_bank_that_wants_to_see_the_person_shows_everywhere(client: Client, bank: str) -> None:
    user = await client.a_user()
    identity = await client.connect(user, "freelancer")
    async with client.session.get(f"{bank}/simulator/connections") as response:
        connections = (await response.json())["connections"]
    ours = max(connection["id"] for connection in connections)
    async with client.session.post(
        f"{bank}/simulator/connections/{ours}/state", json={"state": "SCARequired"}
    ) as response:
        assert response.ok
    latest = await client.sync(user)
    assert {(sync["status"], sync["status_reason"]) for sync in latest} == {("AUTH_ERROR", "sca_required")}
    connection = await client.qard("GET", f"/users/{user}/data-connections/{identity}")
    assert connection["status"] == "AUTH_ERROR" and connection["redirect_url"]
    assert (await client.qard("GET", f"/users/{user}/banking-cashflow"))["currency"] is None, (
        "a failure is no empty success"
    )

    await client.come_back(await client.log_in(connection["redirect_url"], "freelancer"))
    assert {sync["status"] for sync in await client.sync(user)} == {"SUCCESS"}


async def test_disconnecting_keeps_the_data_and_deleting_takes_it(client: Client) -> None:
    user = await client.a_user()
    identity = await client.connect(user, "salaried")
    await client.sync(user)
    path = f"/users/{user}/data-connections/{identity}"
    off = await client.qard("PATCH", path, {"status": "DISCONNECTED"})
    assert off["status"] == "DISCONNECTED" and off["redirect_url"] is None
    assert (await client.qard("POST", f"/users/{user}/sync", expect=400))[
        "error_code"
    ] == "NO_CONNECTED_PROVIDER"
    assert (await client.qard("GET", f"/users/{user}/banking-accounts"))["total"] > 0
    again = await client.qard("PATCH", path, {"status": "AUTH_REQUIRED"})
    assert again["redirect_url"]
    await client.qard("DELETE", path, expect=204)
    await client.qard("GET", path, expect=404)
    assert (await client.qard("GET", f"/users/{user}/banking-accounts"))["total"] == 0
    assert (await client.qard("GET", f"/users/{user}/sync/latest")) == []
    assert (await client.qard("GET", f"/users/{user}/banking-cashflow"))["currency"] is None


async def test_an_erased_user_is_gone_at_every_door_and_at_the_bank(client: Client, bank: str) -> None:
    async def known_to_the_bank() -> int:
        async with client.session.get(f"{bank}/simulator/connections") as response:
            return len((await response.json())["connections"])

    before = await known_to_the_bank()
    user = await client.a_user()
    await client.connect(user, "loans")
    await client.sync(user)
    assert await known_to_the_bank() == before + 1
    await client.qard("DELETE", f"/users/{user}", expect=204)
    async with asyncio.timeout(10):
        while await known_to_the_bank() != before:
            await asyncio.sleep(0.02)
    for path in (
        "",
        "/data-connections",
        "/banking-accounts",
        "/banking-cashflow",
        "/banking-credit-insights",
        "/sync",
    ):
        await client.qard("GET", f"/users/{user}{path}", expect=404)
    await client.balances(user, expect=404)
    assert (await client.qard("DELETE", f"/users/{user}", expect=404))["error_code"] == "NOT_FOUND"


async def test_a_repeated_write_is_answered_from_the_facts_it_made(client: Client) -> None:
    headers = {"Idempotency-Key": "the-same-request"}
    body = {"name": "Boulangerie Test", "siren": "552100554"}
    first = await client.ask("POST", "/api/v6/users/legal", body, headers=headers, expect=201)
    await client.qard("PATCH", f"/users/{first.body['id']}", {"name": "Boulangerie Neuve"})
    again = await client.ask("POST", "/api/v6/users/legal", body, headers=headers, expect=201)
    assert again.raw == first.raw
    other = await client.ask("POST", "/api/v6/users/legal", {"name": "Autre"}, headers=headers)
    assert other.status == 422


async def test_auto_connect_requests_the_connection_and_a_client_adopts_it(tmp_path: Path) -> None:
    async with product(tmp_path) as (client, _, _):
        await client.set_up(auto_connect=False)
        early = await client.a_user()
        await client.qard("PUT", "/providers/budget_insight/settings", {"auto_connect": True})
        user = await client.a_user()
        (automatic,) = (await client.qard("GET", f"/users/{user}/data-connections"))["result"]
        assert automatic["status"] == "AUTH_REQUIRED" and automatic["requested_data_types"] == DATA_TYPES
        adopted = await client.a_connection(user, ["BANK_ACCOUNT"])
        assert adopted["id"] == automatic["id"] and adopted["requested_data_types"] == ["BANK_ACCOUNT"]
        await client.come_back(await client.log_in(adopted["redirect_url"], "salaried"))
        body = {"provider_name": "budget_insight", "requested_data_types": DATA_TYPES}
        await client.qard("POST", f"/users/{user}/data-connections", body, expect=409)

        assert (await client.qard("GET", f"/users/{early}/data-connections"))["total"] == 0
        await client.qard("POST", f"/users/{early}/sync", expect=400)
        (late,) = (await client.qard("GET", f"/users/{early}/data-connections"))["result"]
        assert late["status"] == "AUTH_REQUIRED"


async def test_money_in_is_money_out_also_where_floats_would_fail(client: Client) -> None:
    user = await client.a_user()
    await client.connect(user, "loans")
    await client.sync(user)
    cashflow = await client.qard("GET", f"/users/{user}/banking-cashflow")
    rows: list[Any] = []
    for account in cashflow["accounts"]:
        rows += await client.everything(f"/users/{user}/banking-accounts/{account}/transactions")
    assert sum((row["amount"] for row in rows if row["amount"] > 0), Decimal(0)) == cashflow["total_income"]
    assert sum((row["amount"] for row in rows if row["amount"] < 0), Decimal(0)) == cashflow["total_expense"]
    assert sum(month["transactions_count"] for month in cashflow["months"]) == len(rows)


async def test_nothing_crosses_between_tenants(tmp_path: Path) -> None:
    async with simulated_bank() as bank:
        process = PassbookProcess(tmp_path / "data", bank)
        made = process.command("api-keys", "create", "--tenant", "other")
        assert made.returncode == 0, made.stderr
        key = made.stdout.strip()
        process.launch()
        try:
            await process.ready()
            refused = process.command("api-keys", "create", "--tenant", "third")
            assert refused.returncode == 1 and "POST /v1/api-keys" in refused.stderr
            async with aiohttp.ClientSession() as session:
                ours, theirs = Client(session, process.address), Client(session, process.address, key)
                await ours.set_up()
                user = await ours.a_user()
                await ours.connect(user, "salaried")
                await ours.sync(user)
                assert (await theirs.qard("GET", "/users"))["total"] == 0
                assert (await theirs.qard("GET", "/providers/budget_insight"))["enabled"] is False
                for method, path in (
                    ("GET", ""), ("DELETE", ""), ("GET", "/data-connections"), ("POST", "/sync"),
                    ("GET", "/banking-accounts"), ("GET", "/banking-cashflow"), ("GET", "/sync/latest"),
                ):  # fmt: skip
                    foreign = await theirs.ask(method, f"/api/v6/users/{user}{path}")
                    unknown = await theirs.ask(method, f"/api/v6/users/{NOBODY}{path}")
                    assert foreign.status == 404 and foreign.raw == unknown.raw
                await theirs.balances(user, expect=404)
        finally:
            process.stop()


async def test_a_token_that_the_bank_has_revoked_is_renewed_without_the_person(tmp_path: Path) -> None:
    async with product(tmp_path) as (client, process, bank):
        await client.set_up()
        user = await client.a_user()
        identity = await client.connect(user, "salaried")
        await client.sync(user)
        # Whoever renews and revokes makes the token we hold a dead one.
        async with client.session.get(f"{bank}/simulator/connections") as response:
            (connection,) = (await response.json())["connections"]
        renewal = {
            "grant_type": "client_credentials", "client_id": "1", "client_secret": "2",
            "id_user": connection["id_user"], "revoke_previous": True,
        }  # fmt: skip
        async with client.session.post(f"{bank}/2.0/auth/renew", json=renewal) as response:
            assert response.ok, await response.text()
        assert {sync["status"] for sync in await client.sync(user)} == {"SUCCESS"}
        path = f"/users/{user}/data-connections/{identity}"
        assert (await client.qard("GET", path))["status"] == "CONNECTED"


async def test_a_company_is_found_by_its_number(client: Client) -> None:
    for name, siren in (("Une", "552100554"), ("Autre", "732829320"), ("Encore Une", "552100554")):
        await client.qard("POST", "/users/legal", {"name": name, "siren": siren}, expect=201)
    found = await client.qard("GET", "/users?siren=732829320")
    assert [user["name"] for user in found["result"]] == ["Autre"] and found["total"] == 1
    assert (await client.qard("GET", "/users?siren=000000000"))["result"] == []
    await client.qard("GET", "/users?siren=%00", expect=400)
