"""Pushes at the door: who is let in, and how little anybody else is told."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hmac
from typing import Any

import msgspec
import pytest

from adapters.http.openapi import document
from adapters.http.routes import ROUTES
from application.ports import PUSH_SIZE_MAX
from tests.http.conftest import ENABLE, Caller, connected
from tests.http.world import World

SECRET = "hush"
CANARY = "Canary7f3a"
CREDENTIALS = {"domain": "demo", "client_id": "1", "client_secret": "2"}


async def set_up(call: Caller, **more: str) -> str:
    """A provider with these credentials too: the path of the tenant's endpoint."""
    body = {"credentials": {**CREDENTIALS, **more}}
    assert (await call("PUT", "/api/v6/providers/budget_insight/credentials", body))[0] == 204
    assert (await call("PUT", "/api/v6/providers/budget_insight", ENABLE))[0] == 200
    _, found, _ = await call("GET", "/v1/providers/budget_insight/webhooks")
    return f"/webhooks/budget_insight/{found['endpoint']}"


def signed(world: World, path: str, body: bytes, **more: Any) -> dict[str, str]:
    date = more.get("date", world.clock.now().isoformat())
    said = b"POST." + path.encode() + b"." + date.encode() + b"." + body
    mac = hmac.digest(more.get("secret", SECRET).encode(), said, "sha256")
    return {"BI_Signature": base64.b64encode(mac).decode(), "BI_Signature_Date": date}


async def push(call: Caller, world: World, path: str, body: bytes, **headers: str) -> int:
    status, _, _ = await call("POST", path, body, **{**signed(world, path, body), **headers})
    for _ in range(20):
        await asyncio.sleep(0)
    return status


@pytest.fixture
async def endpoint(call: Caller, world: World) -> str:
    """Of a tenant with a connection, 7 of user 5 at the bank."""
    await connected(call, world)
    return await set_up(call, webhook_secret=SECRET)


def synced(number: int = 1, connection: int = 7) -> bytes:
    body = {"id_webhook_data": number, "user": {"id": 5}, "connection": {"id": connection, "id_user": 5}}
    return msgspec.json.encode(body)


async def settled(world: World) -> None:
    while tasks := list(world.webhooks._looking.values()):
        await asyncio.gather(*tasks)


def requested(world: World) -> list[str]:
    """Why connections were looked at: none of these looks leaves a request."""
    assert not [r for r in world.log.recorded if r.name == "SyncRequested.1"]
    return [origin for _, origin in world.refreshed]


async def test_a_tenant_reads_its_addresses_and_never_the_secret(call: Caller, theirs: Caller) -> None:
    path = await set_up(call)
    status, found, _ = await call("GET", "/v1/providers/budget_insight/webhooks")
    assert (status, found["webhook_secret_set"]) == (200, False)
    assert found["addresses"]["CONNECTION_SYNCED"] == f"http://passbook.example{path}/CONNECTION_SYNCED"
    assert {"ACCOUNT_SYNCED", "CONNECTION_DELETED", "USER_DELETED"} <= set(found["addresses"])
    assert await set_up(call, webhook_secret=CANARY) == path
    _, found, response = await call("GET", "/v1/providers/budget_insight/webhooks")
    assert found["webhook_secret_set"] and CANARY not in str(found)
    _, other, _ = await theirs("GET", "/v1/providers/budget_insight/webhooks")
    assert other["endpoint"] != found["endpoint"] and not other["webhook_secret_set"]
    assert (await call("GET", "/v1/providers/x/webhooks"))[0] == 404


async def test_the_secret_is_optional_and_listed_nowhere(call: Caller) -> None:
    await set_up(call)
    for wrong in ("", " ", "é", "x" * 256):
        body = {"credentials": {**CREDENTIALS, "webhook_secret": wrong}}
        status, answer, _ = await call("PUT", "/api/v6/providers/budget_insight/credentials", body)
        assert status == 400, wrong
    body = {"credentials": {"webhook_secret": SECRET}}
    status, answer, _ = await call("PUT", "/api/v6/providers/budget_insight/credentials", body)
    assert (status, set(answer["error_details"])) == (400, {f"credentials.{name}" for name in CREDENTIALS})
    _, provider, _ = await call("GET", "/api/v6/providers/budget_insight")
    assert provider["credentials_config"] == list(CREDENTIALS)


async def test_a_push_is_answered_at_once_and_leads_to_a_look(
    endpoint: str, anybody: Caller, world: World
) -> None:
    path = f"{endpoint}/CONNECTION_SYNCED"
    status, answer, response = await anybody("POST", path, synced(), **signed(world, path, synced()))
    assert (status, answer) == (204, b"")
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    await settled(world)
    assert requested(world) == ["webhook"]
    assert await push(anybody, world, path, synced()) == 204
    await settled(world)
    assert requested(world) == ["webhook"]


async def test_whatever_it_is_called_and_however_it_is_packed(
    endpoint: str, anybody: Caller, world: World
) -> None:
    path = f"{endpoint}/CONNECTION_SYNCED"
    packed = gzip.compress(synced())
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "", "*/*"):
        assert await push(anybody, world, path, synced(), Content_Type=content_type) == 204
    assert await push(anybody, world, path, packed, Content_Encoding="gzip") == 204
    headers = signed(world, path, synced())
    status, _, _ = await anybody("POST", path, packed, Content_Encoding="gzip", **headers)
    assert status == 204
    await settled(world)
    assert requested(world) == ["webhook"], "it is one notification all the while"


async def test_what_cannot_be_read_or_is_not_known_is_let_pass(
    endpoint: str, anybody: Caller, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    head = len(world.log.recorded)
    for event, body in (
        ("CONNECTION_SYNCED", b"0130004    00001EUR2 " + CANARY.encode()),
        ("CONNECTION_SYNCED", b'{"a":' * 100_000 + CANARY.encode()),
        ("CONNECTION_SYNCED", synced(connection=8)),
        ("SOMETHING_NEW", synced(2)),
        ("PAYMENT_STATE_UPDATED", synced(3)),
        ("CONNECTION_SYNCED", b""),
    ):
        assert await push(anybody, world, f"{endpoint}/{event}", body) == 204, (event, body[:20])
    await settled(world)
    assert len(world.log.recorded) == head
    reasons = [r.reason for r in caplog.records if r.name == "passbook.webhooks"]
    assert reasons == ["cfonb", "too_deep", "not_json"]
    assert CANARY not in caplog.text and endpoint not in caplog.text
    routes = {r.route for r in caplog.records if r.name == "passbook.access"}
    assert routes == {"POST /webhooks/budget_insight/{endpoint}/{event}"}


async def test_nothing_is_said_to_a_forger(endpoint: str, anybody: Caller, world: World) -> None:
    path, body = f"{endpoint}/CONNECTION_SYNCED", synced()
    good = signed(world, path, body)
    head, answers = len(world.log.recorded), []
    for headers, sent in (
        ({}, body),
        ({"BI_Signature": good["BI_Signature"]}, body),
        ({"BI_Signature_Date": good["BI_Signature_Date"]}, body),
        ({**good, "BI_Signature": "é"}, body),
        ({**good, "BI_Signature_Date": CANARY}, body),
        (good, body + b" "),
        (good, b""),
        (signed(world, path, body, secret="other"), body),
        (signed(world, path + "/", body), body),
        (signed(world, path, body, date="2026-03-01T11:59:59Z"), body),
        (signed(world, path, body, date="2026-03-02T12:06:00Z"), body),
        ({**good, "Content_Encoding": "gzip"}, gzip.compress(b" " * 20_000_000)),
        ({"Authorization": "Bearer token"}, body),
        ({"X_API_KEY": "key-of-ours"}, body),
    ):
        status, answer, _ = await anybody("POST", path, sent, **headers)
        assert status == 401
        answers.append(answer)
    assert all(answer == answers[0] for answer in answers)
    assert answers[0] == {"code": "UNAUTHORIZED", "message": "The request is not accepted.", "details": {}}
    await settled(world)
    assert len(world.log.recorded) == head and world.inbox.pushes == {}


async def test_an_event_cannot_be_turned_into_another(endpoint: str, anybody: Caller, world: World) -> None:
    headers = signed(world, f"{endpoint}/SOMETHING_NEW", synced())
    status, _, _ = await anybody("POST", f"{endpoint}/CONNECTION_SYNCED", synced(), **headers)
    assert status == 401


async def test_without_a_secret_nothing_is_accepted(call: Caller, anybody: Caller, world: World) -> None:
    path = f"{await set_up(call)}/CONNECTION_SYNCED"
    for secret in ("", "None", SECRET):
        headers = signed(world, path, synced(), secret=secret)
        assert (await anybody("POST", path, synced(), **headers))[0] == 401


async def test_an_endpoint_that_is_nobodys(
    endpoint: str, anybody: Caller, theirs: Caller, world: World
) -> None:
    _, other, _ = await theirs("GET", "/v1/providers/budget_insight/webhooks")
    answers = []
    own = endpoint.rpartition("/")[2]
    for unknown in ("0" * 48, "x", own[:-1], own.upper(), own + "0", "%00", "..%2f" + own, "é", CANARY * 50):
        path = f"/webhooks/budget_insight/{unknown}/CONNECTION_SYNCED"
        status, answer, _ = await anybody("POST", path, b"x" * 100_000)
        assert status == 404, unknown
        answers.append(answer)
    assert all(answer == answers[0] for answer in answers)
    for path in (
        f"{endpoint}/",
        endpoint,
        f"{endpoint}/CONNECTION_SYNCED/",
        f"{endpoint}/%00",
        f"{endpoint}/a.b",
    ):
        assert (await anybody("POST", path, synced(), **signed(world, path, synced())))[0] == 404
    # Another tenant's endpoint has another secret.
    path = f"/webhooks/budget_insight/{other['endpoint']}/CONNECTION_SYNCED"
    assert await push(anybody, world, path, synced()) == 401


async def test_large_bodies(endpoint: str, anybody: Caller, world: World) -> None:
    path, start = f"{endpoint}/CONNECTION_SYNCED", synced()
    largest = start + b" " * (PUSH_SIZE_MAX - len(start))
    assert await push(anybody, world, path, largest) == 204
    await settled(world)
    assert requested(world) == ["webhook"]
    assert await push(anybody, world, path, largest + b" ") == 413
    bomb = gzip.compress(largest + b" ")
    assert await push(anybody, world, path, bomb, Content_Encoding="gzip") == 413
    # No other route takes more than before.
    assert (await anybody("POST", "/api/v6/users/legal", b" " * 65_537, X_API_KEY="key-of-ours"))[0] == 413


async def test_an_inbox_that_is_away_lets_it_come_again(endpoint: str, anybody: Caller, world: World) -> None:
    path = f"{endpoint}/CONNECTION_SYNCED"
    world.inbox.broken = True
    status, _, response = await anybody("POST", path, synced(), **signed(world, path, synced()))
    assert (status, response.headers["Retry-After"]) == (503, "1")
    world.inbox.broken = False
    assert await push(anybody, world, path, synced()) == 204


def test_the_document_tells_of_it() -> None:
    operation = document(ROUTES)["paths"]["/webhooks/budget_insight/{endpoint}/{event}"]["post"]
    assert operation["tags"] == ["Webhooks"] and operation["security"] == []
    assert {"204", "401", "404", "413", "503"} <= set(operation["responses"])
