"""The story of the first seed document, its bodies sent to the letter."""

from __future__ import annotations

from tests.http.conftest import (
    CONNECTION,
    CREDENTIALS,
    ENABLE,
    SETTINGS,
    SYNC,
    Caller,
    connected,
    enable,
    registered,
)
from tests.http.world import World


async def test_a_provider_is_set_up_with_the_bodies_of_the_contract(call: Caller) -> None:
    base = "/api/v6/providers/budget_insight"
    status, body, response = await call("PUT", f"{base}/credentials", CREDENTIALS)
    assert (status, body) == (204, b"")
    assert response.headers["Log-Position"] == "1"
    status, body, _ = await call("PUT", f"{base}/settings", SETTINGS)
    assert (status, body["auto_connect"], body["enabled"]) == (200, True, False)
    status, body, _ = await call("PUT", base, ENABLE)
    assert (status, body["enabled"], body["name"]) == (200, True, "budget_insight")
    assert body["credentials_config"] == ["domain", "client_id", "client_secret"]
    assert (await call("GET", base))[1] == body
    status, page, _ = await call("GET", "/api/v6/providers")
    assert page == {"total": 1, "per_page": 20, "current_page": 1, "last_page": 1, "result": [body]}
    assert (await call("PUT", base, {"enable": False}))[1]["enabled"] is False


async def test_enabling_needs_credentials_first(call: Caller) -> None:
    status, body, _ = await call("PUT", "/api/v6/providers/budget_insight", ENABLE)
    assert (status, body["error_code"]) == (409, "PROVIDER_CREDENTIALS_MISSING")
    assert body["error_details"] == {"credentials": ["client_id", "client_secret", "domain"]}


async def test_users_are_registered_changed_and_erased(call: Caller) -> None:
    status, user, response = await call(
        "POST",
        "/api/v6/users/legal",
        {
            "name": "Boulangerie Test",
            "siren": "552100554",
            "country": "",
            "return_url": "https://app.example/done",
        },
    )
    assert status == 201
    assert user["type"] == "LEGAL"
    assert (user["country"], user["group"]) == ("FR", "default")
    assert user["created_at"] == user["updated_at"] == "2026-03-02 12:00:00"
    path = f"/api/v6/users/{user['id']}"
    assert (await call("GET", path, Log_Position=response.headers["Log-Position"]))[1] == user
    status, changed, _ = await call("PATCH", path, {"name": "Boulangerie Neuve", "siren": None})
    assert (status, changed["name"], changed["siren"]) == (200, "Boulangerie Neuve", None)
    status, natural, _ = await call(
        "POST",
        "/api/v6/users/natural",
        {"first_name": "Ada", "last_name": "Test", "birthdate": "1990-12-10", "email": "ada@example.org"},
    )
    assert (status, natural["type"], natural["name"]) == (201, "NATURAL", "Ada Test")
    assert natural["birthdate"] == "1990-12-10"
    _, page, _ = await call("GET", "/api/v6/users?per_page=1&page=2")
    assert (page["total"], page["last_page"], page["result"]) == (2, 2, [natural])
    assert (await call("DELETE", path))[0] == 204
    assert (await call("GET", path))[0] == 404
    assert (await call("DELETE", path))[0] == 404


async def test_a_change_of_another_types_field_is_refused(call: Caller) -> None:
    user = await registered(call)
    status, body, _ = await call("PATCH", f"/api/v6/users/{user}", {"first_name": "Ada"})
    assert (status, body["error_code"]) == (400, "VALIDATION_ERROR")
    status, body, _ = await call("PATCH", f"/api/v6/users/{user}", {"siren": "12"})
    assert body["error_details"] == {"siren": ["must have nine digits where the country is FR"]}


async def test_the_profile_names_the_tenant(call: Caller) -> None:
    for name in ("profile", "clients"):
        assert (await call("GET", f"/api/v6/{name}"))[:2] == (200, {"name": "ours", "email": None})


async def test_a_connection_is_requested_authorised_synced_and_deleted(call: Caller, world: World) -> None:
    await enable(call)
    user = await registered(call, return_url="https://app.example/done?a=1#top")
    base = f"/api/v6/users/{user}/data-connections"
    status, connection, _ = await call("POST", base, CONNECTION)
    assert (status, connection["status"], connection["user_id"]) == (201, "AUTH_REQUIRED", user)
    assert connection["redirect_url"].startswith(f"http://passbook.example/connect/{connection['id']}?token=")
    assert connection["connected_at"] is None
    one = f"{base}/{connection['id']}"

    status, _, _ = await call("POST", f"/api/v6/users/{user}/sync", SYNC)
    assert status == 400

    status, _, response = await call(
        "GET", connection["redirect_url"].removeprefix("http://passbook.example")
    )
    assert status == 302
    assert response.headers["Location"].startswith("https://webview.example/connect?")
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in response.headers
    assert (await call("GET", one))[1]["status"] == "CONNECTING"

    status, _, response = await call(
        "GET", f"/callback/budgea?state={world.bank.states[0]}&connection_id=7&connector=x"
    )
    assert status == 303
    assert response.headers["Location"] == (
        f"https://app.example/done?a=1&data_connection_id={connection['id']}&status=CONNECTED#top"
    )
    _, shown, _ = await call("GET", one)
    assert (shown["status"], shown["redirect_url"], shown["connected_at"]) == (
        "CONNECTED",
        None,
        "2026-03-02 12:00:00",
    )

    status, queued, _ = await call("POST", f"/api/v6/users/{user}/sync", SYNC)
    assert status == 201
    assert [sync["data_type"] for sync in queued] == [
        "BANK_ACCOUNT",
        "BANK_TRANSACTION",
        "CASHFLOW",
        "CREDIT_INSIGHTS",
    ]
    assert {sync["status"] for sync in queued} == {"QUEUED"}
    assert {sync["data_connection_id"] for sync in queued} == {connection["id"]}
    status, body, _ = await call("POST", f"/api/v6/users/{user}/sync")
    assert (status, body["error_code"]) == (409, "SYNC_ALREADY_RUNNING")
    assert "BANK_ACCOUNT" in body["error_details"]["data_types"]
    _, page, _ = await call("GET", f"/api/v6/users/{user}/sync")
    assert page["total"] == 4
    _, latest, _ = await call("GET", f"/api/v6/users/{user}/sync/latest")
    assert sorted(latest, key=str) == sorted(queued, key=str)

    status, changed, _ = await call("PATCH", one, {"status": "DISCONNECTED"})
    assert (status, changed["status"]) == (200, "DISCONNECTED")
    status, changed, _ = await call(
        "PATCH", one, {"status": "AUTH_REQUIRED", "requested_data_types": ["BANK_ACCOUNT"]}
    )
    assert changed["requested_data_types"] == ["BANK_ACCOUNT"]
    assert changed["redirect_url"]
    status, body, _ = await call("PATCH", one, {"status": "CONNECTED"})
    assert (status, body["error_code"]) == (400, "STATUS_CHANGE_IMPOSSIBLE")
    status, body, _ = await call("POST", base, CONNECTION)
    assert (status, body["error_code"]) == (409, "DATA_CONNECTION_EXISTS")
    assert (await call("DELETE", one))[0] == 204
    assert (await call("GET", one))[0] == 404
    assert (await call("GET", base))[1]["result"] == []


async def test_an_unsupported_data_type_is_refused(call: Caller) -> None:
    await enable(call)
    user = await registered(call)
    status, body, _ = await call(
        "POST",
        f"/api/v6/users/{user}/data-connections",
        {"provider_name": "budget_insight", "requested_data_types": ["TAX_RETURN"]},
    )
    assert (status, body["error_code"]) == (400, "UNSUPPORTED_DATA_TYPE")
    status, body, _ = await call("POST", f"/api/v6/users/{user}/sync", {"data_types": ["TAX_RETURN"]})
    assert (status, body["error_code"]) == (400, "UNSUPPORTED_DATA_TYPE")


async def test_without_a_sync_the_figures_are_null(call: Caller) -> None:
    user = await registered(call)
    _, cashflow, _ = await call("GET", f"/api/v6/users/{user}/banking-cashflow")
    assert cashflow["net"] is None
    assert cashflow["months"] == cashflow["other_currencies"] == []
    _, insights, _ = await call("GET", f"/api/v6/users/{user}/banking-credit-insights")
    assert insights["cash_flows"] == []
    assert insights["risks"]["overdraft"]["duration"] is None


async def test_two_tenants_see_nothing_of_each_other(call: Caller, theirs: Caller, world: World) -> None:
    user, connection = await connected(call, world)
    before = len(world.log.recorded)
    base = f"/api/v6/users/{user}"
    for method, path, body in (
        ("GET", base, None),
        ("PATCH", base, {"name": "x"}),
        ("DELETE", base, None),
        ("GET", f"{base}/data-connections", None),
        ("POST", f"{base}/data-connections", CONNECTION),
        ("GET", f"{base}/data-connections/{connection}", None),
        ("PATCH", f"{base}/data-connections/{connection}", {"status": "DISCONNECTED"}),
        ("DELETE", f"{base}/data-connections/{connection}", None),
        ("POST", f"{base}/sync", None),
        ("GET", f"{base}/sync", None),
        ("GET", f"{base}/sync/latest", None),
        ("GET", f"{base}/banking-accounts", None),
        ("GET", f"{base}/banking-accounts/{connection}/transactions", None),
        ("GET", f"{base}/banking-cashflow", None),
        ("GET", f"{base}/banking-credit-insights", None),
    ):
        status, answer, _ = await theirs(method, path, body)
        assert (status, answer["error_code"]) == (404, "NOT_FOUND"), (method, path)
    assert (await theirs("GET", "/api/v6/users"))[1]["total"] == 0
    assert len(world.log.recorded) == before
