"""Users, tokens and codes."""

import pytest


async def test_with_credentials_a_user_is_permanent(api):
    answer = await api.post("/2.0/auth/init", json=api.credentials)
    assert answer.status == 200
    assert answer.body["type"] == "permanent"
    assert answer.body["expires_in"] is None

    user = await api.get("/2.0/users/me", answer.body["auth_token"])
    assert user.body["id"] == answer.body["id_user"]
    assert user.headers["X-Request-Id"]


async def test_without_credentials_a_user_is_purged_after_half_an_hour(api):
    answer = await api.post("/2.0/auth/init")
    token = answer.body["auth_token"]
    assert (answer.body["type"], answer.body["expires_in"]) == ("temporary", 1800)
    assert (await api.get("/2.0/users/me", token)).status == 200

    await api.post("/simulator/clock", json={"advance_seconds": 1800})
    late = await api.get("/2.0/users/me", token)
    assert (late.status, late.code) == (401, "invalidToken")


async def test_a_temporary_token_becomes_permanent_once(api):
    start = (await api.post("/2.0/auth/init")).body
    exchange = {**api.credentials, "code": start["auth_token"]}
    token = (await api.post("/2.0/auth/token/access", json=exchange)).body["access_token"]

    await api.post("/simulator/clock", json={"advance_seconds": 86_400})
    assert (await api.get("/2.0/users/me", token)).body["id"] == start["id_user"]
    again = await api.post("/2.0/auth/token/access", json=exchange)
    assert (again.status, again.code) == (400, "invalidValue")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_code_names_its_access_and_lives_half_an_hour(api, method):
    token = await api.user()
    answer = await api.call(method, "/2.0/auth/token/code?type=singleAccess", token)
    assert answer.body["access"] == "single"
    assert answer.body["type"] == "temporary"
    assert answer.body["expires_in"] == 1800
    standard = await api.call(method, "/2.0/auth/token/code", token)
    assert standard.body["access"] == "standard"


async def test_a_single_code_serves_one_call_only(api):
    code = await api.code(await api.user())
    assert (await api.get("/2.0/users/me", code)).status == 200
    assert (await api.get("/2.0/users/me", code)).status == 401


async def test_a_standard_code_serves_many_calls(api):
    code = await api.code(await api.user(), "requestAccess")
    assert (await api.get("/2.0/users/me", code)).status == 200
    assert (await api.get("/2.0/users/me", code)).status == 200


async def test_renewing_can_revoke_what_was_given_before(api):
    start = (await api.post("/2.0/auth/init", json=api.credentials)).body
    renewal = {
        **api.credentials,
        "grant_type": "client_credentials",
        "id_user": start["id_user"],
    }
    second = (await api.post("/2.0/auth/renew", json=renewal)).body["access_token"]
    assert (await api.get("/2.0/users/me", start["auth_token"])).status == 200

    third = (await api.post("/2.0/auth/renew", json={**renewal, "revoke_previous": True})).body
    assert (await api.get("/2.0/users/me", second)).status == 401
    assert (await api.get("/2.0/users/me", third["access_token"])).status == 200


async def test_a_revoked_token_is_dead(api):
    token = await api.user()
    assert (await api.call("DELETE", "/2.0/auth/token", token)).status == 204
    assert (await api.get("/2.0/users/me", token)).status == 401


async def test_a_deleted_user_leaves_nothing(api):
    token = await api.user()
    assert (await api.call("DELETE", "/2.0/users/me", token)).status == 204
    assert (await api.get("/2.0/users/me/connections", token)).status == 401


async def test_no_token_and_another_users_data_are_different_refusals(api):
    start = (await api.post("/2.0/auth/init", json=api.credentials)).body
    other = await api.user()
    path = f"/2.0/users/{start['id_user']}/connections"

    missing = await api.get(path)
    assert (missing.status, missing.code) == (401, "unauthorized")
    foreign = await api.get(path, other)
    assert (foreign.status, foreign.code) == (403, "forbidden")
    assert (await api.get(path, start["auth_token"])).status == 200


async def test_a_refusal_comes_in_the_protocols_envelope(api):
    answer = await api.get("/2.0/nowhere")
    assert answer.status == 404
    assert set(answer.body) == {"code", "description", "message", "request_id"}
    assert answer.body["request_id"] == answer.headers["X-Request-Id"]
    assert (await api.call("PATCH", "/2.0/auth/init")).code == "methodNotAllowed"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"\xff\xfe", b'"text"', b'{"client_id": [1]}', b'{"a":' * 5000]
)
async def test_a_malformed_body_is_an_error_of_the_caller(api, body):
    headers = {"Content-Type": "application/json"}
    answer = await api.post("/2.0/auth/init", data=body, headers=headers)
    assert answer.status == 400


async def test_a_flat_form_is_read_like_json(api):
    answer = await api.post("/2.0/auth/init", data=api.credentials)
    assert answer.body["type"] == "permanent"


async def test_a_strict_simulator_knows_one_client(served):
    api = await served(client_id="1234", client_secret="right")
    wrong = await api.post("/2.0/auth/init", json=api.credentials)
    assert (wrong.status, wrong.code) == (403, "forbidden")
    right = {"client_id": "1234", "client_secret": "right"}
    assert (await api.post("/2.0/auth/init", json=right)).status == 200
    missing = await api.post("/2.0/auth/init", json={"client_id": "1234"})
    assert (missing.status, missing.code) == (400, "missingParameter")
