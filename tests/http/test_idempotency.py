"""A command said twice is carried out once and answered twice the same."""

from __future__ import annotations

import asyncio

import pytest

from tests.http.conftest import CONNECTION, CREDENTIALS, SYNC, Caller, connected, enable, registered
from tests.http.world import World

NEW = {"name": "Boulangerie"}


async def test_a_repeated_registration_answers_the_same(call: Caller, world: World) -> None:
    status, first, response = await call("POST", "/api/v6/users/legal", NEW, Idempotency_Key="a b"[:1])
    before = len(world.log.recorded)
    await call("PATCH", f"/api/v6/users/{first['id']}", {"name": "Changed"})
    world.clock.move(hours=3)
    status, again, repeated = await call("POST", "/api/v6/users/legal", NEW, Idempotency_Key="a")
    assert (status, again) == (201, first)
    assert repeated.headers["Log-Position"] == response.headers["Log-Position"] == str(before)
    assert len(world.log.recorded) == before + 1


async def test_other_input_under_one_key_is_refused(call: Caller, world: World, theirs: Caller) -> None:
    await call("POST", "/api/v6/users/legal", NEW, Idempotency_Key="k")
    for method, path, body in (
        ("POST", "/api/v6/users/legal", {"name": "Another"}),
        ("POST", "/api/v6/users/natural", {"first_name": "a", "last_name": "b"}),
    ):
        status, answer, _ = await call(method, path, body, Idempotency_Key="k")
        assert (status, answer["error_code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    # Keys are a tenant's own.
    assert (await theirs("POST", "/api/v6/users/legal", {"name": "Another"}, Idempotency_Key="k"))[0] == 201


async def test_a_request_that_was_refused_leaves_its_key_free(call: Caller) -> None:
    assert (await call("POST", "/api/v6/users/legal", {}, Idempotency_Key="k"))[0] == 400
    assert (await call("POST", "/api/v6/users/legal", NEW, Idempotency_Key="k"))[0] == 201


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "a" * 256, "a\tb"])
async def test_a_key_that_is_none_is_refused(key: str, call: Caller, world: World) -> None:
    status, answer, _ = await call("POST", "/api/v6/users/legal", NEW, Idempotency_Key=key)
    assert (status, answer["error_code"]) == (400, "VALIDATION_ERROR")
    assert list(answer["error_details"]) == ["Idempotency-Key"]
    assert world.log.recorded == []


async def test_without_a_key_nothing_is_repeated(call: Caller) -> None:
    assert await registered(call) != await registered(call)


async def test_repeated_connections_syncs_and_deletions(call: Caller, world: World) -> None:
    await enable(call)
    user = await registered(call)
    base = f"/api/v6/users/{user}"
    _, first, _ = await call("POST", f"{base}/data-connections", CONNECTION, Idempotency_Key="c")
    await call("GET", first["redirect_url"].removeprefix("http://passbook.example"))
    await call("GET", f"/callback/budgea?state={world.bank.states[-1]}&connection_id=7")
    world.clock.move(hours=1)
    assert (await call("POST", f"{base}/data-connections", CONNECTION, Idempotency_Key="c"))[:2] == (
        201,
        first,
    )

    status, queued, _ = await call("POST", f"{base}/sync", SYNC, Idempotency_Key="s")
    before = len(world.log.recorded)
    world.clock.move(hours=1)
    assert (await call("POST", f"{base}/sync", SYNC, Idempotency_Key="s"))[:2] == (201, queued)
    assert len(world.log.recorded) == before

    for path, key in ((f"{base}/data-connections/{first['id']}", "d"), (base, "e")):
        assert (await call("DELETE", path, Idempotency_Key=key))[0] == 204
        assert (await call("DELETE", path, Idempotency_Key=key))[0] == 204
        assert (await call("DELETE", path))[0] == 404
    # What is erased is not told again.
    assert (await call("POST", f"{base}/sync", SYNC, Idempotency_Key="s"))[0] == 404
    assert (await call("POST", f"{base}/data-connections", CONNECTION, Idempotency_Key="c"))[0] == 404


async def test_a_link_that_is_handed_out_anew_is_valid(call: Caller, world: World) -> None:
    await enable(call)
    await call("PUT", "/api/v6/providers/budget_insight/settings", {"auto_connect": True})
    user = await registered(call)
    world.clock.move(days=3)
    _, adopted, _ = await call(
        "POST", f"/api/v6/users/{user}/data-connections", CONNECTION, Idempotency_Key="c"
    )
    status, _, _ = await call("GET", adopted["redirect_url"].removeprefix("http://passbook.example"))
    assert status == 302


async def test_the_same_request_twice_at_once(call: Caller, world: World) -> None:
    asked = [call("POST", "/api/v6/users/legal", NEW, Idempotency_Key="k") for _ in range(8)]
    answers = await asyncio.gather(*asked)
    assert {status for status, _, _ in answers} <= {201, 409}
    made = {answer["id"] for status, answer, _ in answers if status == 201}
    assert len(made) == len(world.log.recorded) == 1


async def test_credentials_twice(call: Caller, world: World) -> None:
    for _ in range(2):
        status, _, response = await call(
            "PUT", "/api/v6/providers/budget_insight/credentials", CREDENTIALS, Idempotency_Key="k"
        )
        assert (status, response.headers["Log-Position"]) == (204, "1")
    assert len(world.log.recorded) == 1


async def test_the_actor_is_the_key_and_the_request_can_be_found(call: Caller, world: World) -> None:
    await registered(call)
    assert world.log.recorded[0].actor == "key:k1"
    assert len(world.log.recorded[0].command_id) == 16


async def test_reading_what_was_written(call: Caller, world: World) -> None:
    _, _, response = await call("POST", "/api/v6/users/legal", NEW)
    position = response.headers["Log-Position"]
    assert (await call("GET", "/api/v6/users", Log_Position=position))[0] == 200
    status, answer, response = await call("GET", "/api/v6/users", Log_Position="999")
    assert (status, answer["error_code"]) == (503, "SERVICE_UNAVAILABLE")
    assert int(response.headers["Retry-After"]) >= 1
    for wrong in ("-1", "x", "1.0", "", " 1 2", "9" * 30, "٣"):
        status, answer, _ = await call("GET", "/api/v6/users", Log_Position=wrong)
        assert (status, list(answer["error_details"])) == (400, ["Log-Position"]), wrong
    world.read_models.behind = True
    status, user, response = await call("POST", "/api/v6/users/legal", NEW)
    assert (status, user["name"], response.headers["Log-Position"]) == (201, "Boulangerie", "2")


async def test_a_users_stay_with_their_tenant_when_connected(
    call: Caller, theirs: Caller, world: World
) -> None:
    user, _ = await connected(call, world)
    assert (await theirs("POST", f"/api/v6/users/{user}/sync", SYNC, Idempotency_Key="x"))[0] == 404
