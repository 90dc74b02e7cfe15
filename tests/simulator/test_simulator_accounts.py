"""Connections and accounts: their states, their life, and what is shown of them."""

import pytest

ACCOUNTS = "/2.0/users/me/accounts"
CONNECTIONS = "/2.0/users/me/connections"


async def by_credentials(api, token, login="salaried", password="1234"):
    (connector, *_) = (await api.get("/2.0/connectors")).body["connectors"]
    body = {"connector_uuid": connector["uuid"], "login": login, "password": password}
    return await api.post(CONNECTIONS, token, json=body)


async def test_a_user_without_an_enabled_account_gets_an_error_and_no_empty_list(api):
    token = await api.user()
    for path in (ACCOUNTS, "/2.0/users/me/transactions?limit=5"):
        answer = await api.get(path, token)
        assert (answer.status, answer.code) == (409, "noAccount")
    assert (await api.get(f"{ACCOUNTS}?all=", token)).body["accounts"] == []


async def test_the_status_of_no_account_is_an_option(served):
    api = await served(no_account_status=400)
    answer = await api.get(ACCOUNTS, await api.user())
    assert (answer.status, answer.code) == (400, "noAccount")


async def test_by_credentials_accounts_are_found_disabled(api):
    token = await api.user()
    created = await by_credentials(api, token)
    assert created.status == 201
    assert (await api.get(ACCOUNTS, token)).code == "noAccount"
    first, second = await api.accounts(token, "?all=")
    assert first["disabled"] == "2026-03-16 09:00:00"
    assert first["balance"] is None
    assert (await api.get(f"{ACCOUNTS}/{first['id']}", token)).status == 404
    assert (await api.get(f"{ACCOUNTS}/{first['id']}?all", token)).status == 200

    path = f"{CONNECTIONS}/{created.body['id']}/accounts/{first['id']},{second['id']}?all="
    enabled = (await api.call("PUT", path, token, json={"disabled": False})).body["accounts"]
    assert [account["disabled"] for account in enabled] == [None, None]
    assert {row["id_account"] for row in await api.transactions(token)} == {
        first["id"],
        second["id"],
    }


async def test_disabling_an_account_erases_its_rows(api):
    token = await api.user()
    await api.connect(token, "salaried")
    first, second = await api.accounts(token)
    await api.post(f"{ACCOUNTS}/{second['id']}", token, json={"disabled": True})
    assert {row["id_account"] for row in await api.transactions(token)} == {first["id"]}
    await api.post(f"{ACCOUNTS}/{second['id']}?all=", token, json={"disabled": False})
    assert second["id"] in {row["id_account"] for row in await api.transactions(token)}


async def test_a_wrong_password_keeps_nothing(api):
    token = await api.user()
    answer = await by_credentials(api, token, password="0000")
    assert (answer.status, answer.code) == (400, "wrongpass")
    assert (await api.get(CONNECTIONS, token)).body == {"connections": [], "total": 0}


async def test_a_bank_may_show_no_balance(api):
    token = await api.user()
    await api.connect(token, "two_currencies")
    answer = await api.get(ACCOUNTS, token)
    assert answer.written("balance").count("null") == 1
    assert set(answer.body["balances"]) == {"EUR", "JPY"}


async def test_a_list_of_accounts_sums_up_by_currency(api):
    token = await api.user()
    await api.connect(token, "salaried")
    body = (await api.get(ACCOUNTS, token)).body
    assert body["balances"]["EUR"] == sum(a["balance"] for a in body["accounts"])
    assert body["total"] == 2


async def test_loans_show_their_schedule(api):
    token = await api.user()
    await api.connect(token, "loans")
    joint, home, car = await api.accounts(token)
    assert joint["ownership"] == "co-owner"
    assert (home["type"], home["loan"]["type"]) == ("loan", "mortgage")
    assert home["balance"] == -home["loan"]["used_amount"]
    assert str(home["loan"]["rate"]) == "1.85"
    assert car["loan"]["next_payment_date"] > "2026-03-16"
    assert home["iban"] is None


async def test_expanding_shows_what_belongs_to_a_connection(api):
    token = await api.user()
    connection = await api.connect(token, "salaried")
    await api.post(f"{ACCOUNTS}/{(await api.accounts(token))[1]['id']}", token, json={"disabled": True})
    expand = "expand=connector,sources,accounts[transactions],all_accounts"
    shown = (await api.get(f"{CONNECTIONS}/{connection}?{expand}", token)).body
    assert shown["connector"]["name"] == "Banque de l'Horizon"
    assert shown["sources"][0]["access_expire"].startswith("2026-09-12")
    assert (len(shown["accounts"]), len(shown["all_accounts"])) == (1, 2)
    assert "connector" not in (await api.get(f"{CONNECTIONS}/{connection}", token)).body


async def test_a_second_sync_at_once_is_a_conflict_where_an_interval_is_set(served):
    api = await served(min_sync_interval=600)
    token = await api.user()
    path = f"{CONNECTIONS}/{await api.connect(token, 'salaried')}"
    answer = await api.call("PUT", path, token, json={"psu_requested": False})
    assert (answer.status, answer.code) == (409, "conflict")
    await api.post("/simulator/clock", json={"advance_seconds": 600})
    synced = await api.call("PUT", path, token)
    assert (synced.status, synced.body["last_update"]) == (200, "2026-03-16 09:10:00")


async def test_a_connection_in_need_of_its_owner_shows_what_it_saw_last(api):
    token = await api.user()
    connection = await api.connect(token, "salaried")
    (before, _) = await api.accounts(token)
    state = {"state": "SCARequired", "error_message": "Confirm in your app."}
    await api.post(f"/simulator/connections/{connection}/state", json=state)
    await api.call("PATCH", "/simulator/logins/salaried/accounts/0", json={"balance": "5.00"})

    path = f"{CONNECTIONS}/{connection}"
    shown = await api.call("PUT", path, token, json={"psu_requested": True})
    assert shown.status == 202
    assert (shown.body["state"], shown.body["error"]) == ("SCARequired", "SCARequired")
    assert shown.body["next_try"] is None
    assert (await api.accounts(token))[0]["balance"] == before["balance"]

    assert (await api.post(path, token)).body["state"] is None
    assert str((await api.accounts(token))[0]["balance"]) == "5.00"


async def test_each_state_has_its_own_remedy(api):
    token = await api.user()
    connection = await api.connect(token, "salaried")
    path = f"{CONNECTIONS}/{connection}"

    async def answer(state, body):
        await api.post(f"/simulator/connections/{connection}/state", json={"state": state})
        shown = await api.get(path, token)
        return shown.body, (await api.post(path, token, json=body)).body["state"]

    shown, state = await answer("additionalInformationNeeded", {"otp": "1234"})
    assert (shown["fields"][0]["name"], state) == ("otp", None)
    assert (await answer("additionalInformationNeeded", {"otp": "9"}))[1] == "wrongpass"
    assert (await answer("decoupled", {}))[1] == "decoupled"
    assert (await answer("decoupled", {"resume": True}))[1] is None
    assert (await answer("wrongpass", {"password": "1234"}))[1] is None
    assert (await answer("webauthRequired", {}))[1] == "webauthRequired"
    assert (await answer("websiteUnavailable", {}))[1] == "websiteUnavailable"


async def test_a_state_may_end_by_itself(api):
    token = await api.user()
    connection = await api.connect(token, "salaried")
    state = {"state": "websiteUnavailable", "until": "2026-03-16T12:00:00Z"}
    await api.post(f"/simulator/connections/{connection}/state", json=state)
    path = f"{CONNECTIONS}/{connection}"
    assert (await api.get(path, token)).body["next_try"] == "2026-03-16 11:00:00"
    await api.post("/simulator/clock", json={"now": "2026-03-16T12:00:00Z"})
    healed = (await api.get(path, token)).body
    assert (healed["state"], healed["last_update"]) == (None, "2026-03-16 13:00:00")


async def test_consent_ends_after_180_days(api):
    token = await api.user()
    connection = await api.connect(token, "salaried")
    await api.post("/simulator/clock", json={"advance_seconds": 180 * 86_400})
    shown = (await api.get(f"{CONNECTIONS}/{connection}", token)).body
    assert shown["state"] == "SCARequired"


async def test_a_connection_refreshes_itself_every_day(api):
    token = await api.user()
    connection = await api.connect(token, "salaried")
    await api.post("/simulator/clock", json={"advance_seconds": 86_400})
    shown = (await api.get(f"{CONNECTIONS}/{connection}", token)).body
    assert shown["last_update"] == "2026-03-17 09:00:00"


async def test_the_first_sync_may_take_its_time(served):
    api = await served(first_sync_seconds=30)
    token = await api.user()
    connection = await api.connect(token, "salaried")
    path = f"{CONNECTIONS}/{connection}"
    early = (await api.get(path, token)).body
    assert (early["state"], early["last_update"]) == (None, None)
    assert await api.transactions(token) == []
    await api.post("/simulator/clock", json={"advance_seconds": 30})
    assert (await api.get(path, token)).body["last_update"] == "2026-03-16 09:00:30"
    assert await api.transactions(token)


async def test_a_source_may_fail_under_a_connection_that_looks_well(api):
    token = await api.user()
    connection = await api.connect(token, "salaried")
    await api.post(f"/simulator/connections/{connection}/state", json={"source_state": "bug"})
    path = f"{CONNECTIONS}/{connection}"
    assert (await api.get(path, token)).body["state"] is None
    assert (await api.get(f"{path}/sources", token)).body["sources"][0]["state"] == "bug"


async def test_connecting_twice_makes_two_of_everything(api):
    token = await api.user()
    first = await api.connect(token, "twins")
    second = await api.connect(token, "twins")
    assert first != second
    accounts = await api.accounts(token)
    assert len({a["id"] for a in accounts}) == 2
    assert len({a["iban"] for a in accounts}) == 1
    assert (await api.call("DELETE", f"{CONNECTIONS}/{first}", token)).status == 204
    assert (await api.get(f"{CONNECTIONS}/{first}", token)).status == 404
    assert len(await api.accounts(token)) == 1


async def test_accounts_may_come_back_under_new_ids(api):
    token = await api.user()
    connection = await api.connect(token, "twins")
    (old,) = await api.accounts(token)
    await api.post(f"/simulator/connections/{connection}/recreate", json={"enabled": True})
    (new,) = await api.accounts(token)
    assert new["id"] != old["id"]
    assert new["iban"] == old["iban"]
    gone, _ = await api.accounts(token, "?all=")
    assert (gone["id"], gone["deleted"]) == (old["id"], "2026-03-16 09:00:00")


async def test_a_closed_account_hides_and_may_reopen(api):
    token = await api.user()
    await api.connect(token, "salaried")
    path = "/simulator/logins/salaried/accounts/1"
    await api.call("PATCH", path, json={"closed": True})
    assert len(await api.accounts(token)) == 1
    assert (await api.accounts(token, "?all="))[1]["deleted"]
    await api.call("PATCH", path, json={"closed": False})
    assert len(await api.accounts(token)) == 2


@pytest.mark.parametrize("unknown", ["1", "0", "99999999999999999999", "x", "-1"])
async def test_unknown_ids_are_not_found(api, unknown):
    token = await api.user()
    await api.connect(token, "salaried")
    for path in (
        f"{ACCOUNTS}/{unknown}",
        f"{CONNECTIONS}/{unknown}",
        f"{CONNECTIONS}/{unknown}/accounts",
        f"{ACCOUNTS}/{unknown}/transactions?limit=5",
        f"/2.0/users/me/transactions/{unknown}",
        f"/2.0/connectors/{unknown}",
    ):
        answer = await api.get(path, token)
        assert (answer.status, answer.code) == (404, "notFound"), path


async def test_balances_walk_back_from_the_last_reading(api):
    token = await api.user()
    await api.connect(token, "freelancer")
    (account,) = await api.accounts(token)
    path = f"{ACCOUNTS}/{account['id']}/balances"
    rows = await api.transactions(token)
    answer = await api.get(f"{path}?min_date=2026-02-01&max_date=2026-02-28", token)
    (period,) = answer.body["balances"]
    later = sum(row["value"] for row in rows if row["date"] > "2026-02-28")
    assert period["balance"] == account["balance"] - later
    assert period["remains"] == period["incomes"] + period["expenses"]
    days = period["daily_balances"]
    assert [len(days), days[-1]["balance"]] == [28, period["balance"]]
    assert period["n_overdraft"] == sum(day["balance"] < 0 for day in days)
    current = (await api.get(path, token)).body["balances"][0]
    assert (current["min_date"], "daily_balances" in current) == ("2026-03-01", False)
