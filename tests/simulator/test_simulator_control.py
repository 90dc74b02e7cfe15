"""The test's own door: time, truth at the bank, counts, and beginning again."""

import logging

from aiohttp import web


async def test_the_clock_stands_still_and_is_moved(api):
    shown = (await api.get("/simulator/clock")).body
    expected = {"now": "2026-03-16T08:00:00Z", "paris": "2026-03-16 09:00:00", "runs": False}
    assert shown == expected
    moved = await api.post("/simulator/clock", json={"now": "2026-10-25T00:30:00Z"})
    assert moved.body["paris"] == "2026-10-25 02:30:00"
    later = await api.post("/simulator/clock", json={"advance_seconds": 3600})
    # The hour that Paris lives twice.
    assert later.body["paris"] == "2026-10-25 02:30:00"
    assert (await api.post("/simulator/clock", json={"now": None})).body["runs"] is True
    for bad in ({"advance_seconds": 1e300}, {"advance": 5}, {"now": "noon"}, {"now": "0001-01-01"}):
        assert (await api.post("/simulator/clock", json=bad)).status == 400


async def test_calls_are_counted_by_route(api):
    await api.connect(await api.user(), "salaried")
    calls = (await api.get("/simulator/calls")).body
    assert calls["calls"] == {
        "GET /2.0/auth/token/code": 1,
        "POST /2.0/auth/init": 1,
        "POST /{lang}/{flow}": 1,
    }
    assert calls["total"] == 3
    await api.call("DELETE", "/simulator/calls")
    assert (await api.get("/simulator/calls")).body == {"calls": {}, "total": 0}


async def test_the_truth_is_what_a_sync_shows(api):
    token = await api.user()
    await api.connect(token, "rejected")
    truth = (await api.get("/simulator/logins/rejected")).body["accounts"][0]
    (account,) = await api.accounts(token)
    assert truth["balance"] == account["balance"]
    seen = {row["webid"]: row["value"] for row in await api.transactions(token)}
    assert {row["webid"]: row["value"] for row in truth["transactions"]} == seen


async def test_a_booked_row_moves_the_balance_and_a_set_balance_moves_no_row(api):
    token = await api.user()
    await api.connect(token, "twins")
    (before,) = await api.accounts(token)
    path = "/simulator/logins/twins/accounts/0"
    row = {"date": "2026-03-16", "value": "-12.34", "wording": "CARTE", "webid": "mine"}
    assert (await api.post(f"{path}/transactions", json=row)).status == 201
    (after,) = await api.accounts(token)
    assert str(before["balance"] - after["balance"]) == "12.34"
    assert (await api.post(f"{path}/transactions", json=row)).status == 409

    await api.call("PATCH", path, json={"balance": None})
    (unknown,) = await api.accounts(token)
    assert unknown["balance"] is None


async def test_resetting_begins_again(api):
    token = await api.user()
    await api.connect(token, "salaried")
    first = (await api.get("/simulator/connections")).body["connections"][0]["id"]
    await api.post("/simulator/clock", json={"advance_seconds": 60})
    assert (await api.post("/simulator/reset")).status == 204
    assert (await api.get("/2.0/users/me", token)).status == 401
    assert (await api.get("/simulator/clock")).body["paris"] == "2026-03-16 09:00:00"
    assert await api.user() == token
    assert int(await api.connect(token, "salaried")) == first


async def test_what_is_not_there_is_not_found(api):
    for method, path in (
        ("GET", "/simulator/logins/nobody"),
        ("PATCH", "/simulator/logins/salaried/accounts/9"),
        ("DELETE", "/simulator/logins/salaried/transactions/none"),
        ("POST", "/simulator/connections/1/state"),
    ):
        assert (await api.call(method, path)).status == 404, path


async def test_faults_reach_the_protocol_but_not_the_tests_own_door(served):
    @web.middleware
    async def refuse(request, handler):
        return web.Response(status=503, text="<html>maintenance</html>")

    api = await served(faults=[refuse])
    assert (await api.get("/2.0/connectors")).status == 503
    assert (await api.get("/simulator/clock")).status == 200


async def test_the_log_has_one_line_a_request_and_no_secret(api, caplog):
    with caplog.at_level(logging.INFO):
        token = await api.user()
        code = await api.code(token)
        await api.webview("connect", {"login": "salaried", "password": "1234"}, code=code)
    lines = [r.getMessage() for r in caplog.records if r.name == "passbook.simulator"]
    assert len(lines) == 3
    assert not any(secret in caplog.text for secret in (token, code, "not-a-secret", "salaried"))
