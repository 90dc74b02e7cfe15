"""The document is the truth: every route is in it, and every answer is of the shape it says."""

from __future__ import annotations

import re
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from adapters.http.app import create_app
from adapters.http.openapi import document
from adapters.http.routes import ROUTES
from adapters.http.services import Readiness, StalledConsumer
from projections import answers
from tests.http.conftest import CONNECTION, NOBODY, SYNC, Caller, connected, registered
from tests.http.world import World


def test_the_router_and_the_document_have_the_same_routes(world: World) -> None:
    app = create_app(world.http)
    routed = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    documented = {
        (method.upper(), path)
        for path, operations in document(ROUTES)["paths"].items()
        for method in operations
    }
    assert routed == documented == {(route.method, route.path) for route in ROUTES}


def test_the_document_holds_together() -> None:
    made = document(ROUTES)
    assert made["openapi"] == "3.1.0"
    text = msgspec.json.encode(made).decode()
    schemas = made["components"]["schemas"]
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) == set(schemas)
    for schema in schemas.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    operations = [operation for path in made["paths"].values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    for operation in operations:
        assert operation["responses"]
        for requirement in operation["security"]:
            assert set(requirement) <= set(made["components"]["securitySchemes"])
    assert "decimal" not in text
    assert schemas["BankTransaction"]["properties"]["amount"] == {
        "anyOf": [{"type": "number"}, {"type": "null"}]
    }
    assert schemas["Balances"]["properties"]["type"]["enum"] == ["BALANCES"]
    assert schemas["LegalUserBody"]["additionalProperties"] is False


def test_every_write_takes_an_idempotency_key() -> None:
    for route in ROUTES:
        is_no_command = "reports" in route.path or route.path.startswith("/webhooks/")
        is_no_command = is_no_command or route.path.endswith(("/list", "/categories/get"))
        assert route.writes == (route.method != "GET" and not is_no_command)
        operation = document(ROUTES)["paths"][route.path][route.method.lower()]
        headers = {p["name"] for p in operation.get("parameters", ()) if p["in"] == "header"}
        assert ("Idempotency-Key" in headers) == route.writes


async def test_the_document_is_served_to_everybody(anybody: Caller) -> None:
    status, served, response = await anybody("GET", "/openapi.json")
    assert status == 200
    assert served == msgspec.json.decode(msgspec.json.encode(document(ROUTES)))


def schema_of(made: dict[str, Any], method: str, path: str, status: int) -> dict[str, Any]:
    content = made["paths"][path][method.lower()]["responses"][str(status)]["content"]["application/json"]
    return {**content["schema"], "components": made["components"]}


async def test_answers_have_the_shapes_of_the_document(call: Caller, world: World) -> None:
    made = document(ROUTES)
    user, connection = await connected(call, world)
    asked: list[tuple[str, str, dict[str, str], Any]] = [
        ("GET", "/api/v6/providers", {}, None),
        ("GET", "/api/v6/providers/{name}", {"name": "budget_insight"}, None),
        ("GET", "/api/v6/providers/{name}", {"name": "x"}, None),
        ("PUT", "/api/v6/providers/{name}/settings", {"name": "budget_insight"}, {}),
        ("GET", "/api/v6/profile", {}, None),
        ("GET", "/api/v6/users", {}, None),
        ("GET", "/api/v6/users/{user_id}", {"user_id": user}, None),
        ("GET", "/api/v6/users/{user_id}", {"user_id": NOBODY}, None),
        ("POST", "/api/v6/users/{user_id}/sync", {"user_id": user}, msgspec.json.decode(SYNC)),
        ("POST", "/api/v6/users/{user_id}/sync", {"user_id": user}, None),
        ("GET", "/api/v6/users/{user_id}/sync", {"user_id": user}, None),
        ("GET", "/api/v6/users/{user_id}/sync/latest", {"user_id": user}, None),
        (
            "POST",
            "/api/v6/users/{user_id}/data-connections",
            {"user_id": user},
            msgspec.json.decode(CONNECTION),
        ),
        ("GET", "/api/v6/users/{user_id}/data-connections", {"user_id": user}, None),
        ("GET", "/api/v6/users/{user_id}/banking-accounts", {"user_id": user}, None),
        ("GET", "/api/v6/users/{user_id}/banking-cashflow", {"user_id": user}, None),
        ("GET", "/api/v6/users/{user_id}/banking-credit-insights", {"user_id": user}, None),
        ("POST", "/v1/api-keys", {}, None),
        ("GET", "/v1/providers/{name}/webhooks", {"name": "budget_insight"}, None),
        ("GET", "/v1/providers/{name}/webhooks", {"name": "x"}, None),
        ("GET", "/healthz", {}, None),
        ("GET", "/readyz", {}, None),
    ]
    for method, path, ids, body in asked:
        status, answer, _ = await call(method, path.format(**ids), body)
        jsonschema_rs.validate(schema_of(made, method, path, status), answer)


def test_the_names_of_transaction_types_are_those_of_the_answers() -> None:
    parameters = document(ROUTES)["paths"][
        "/api/v6/users/{user_id}/banking-accounts/{account_id}/transactions"
    ]
    found = next(p for p in parameters["get"]["parameters"] if p["name"] == "transaction_type")
    assert tuple(found["schema"]["enum"]) == answers.TRANSACTION_TYPES


async def test_the_page_of_the_document_needs_no_outside_address(anybody: Caller) -> None:
    _, page, response = await anybody("GET", "/docs")
    assert "http" not in page.decode()
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.decode())
    assert len(loaded) == 4
    for address in loaded:
        status, body, response = await anybody("GET", address)
        assert (status, bool(body)) == (200, True)
        if address.endswith(".css"):
            assert not re.findall(rb"url\((?!['\"]?data:)", body)
            assert b"@import" not in body
    _, start, _ = await anybody("GET", "/docs/start.js")
    assert b"http" not in start
    assert b"validatorUrl: null" in start
    assert (await anybody("GET", "/docs/LICENSE"))[0] == 404


async def test_the_mark_of_a_provider_is_a_picture(call: Caller) -> None:
    _, provider, _ = await call("GET", "/api/v6/providers/budget_insight")
    status, picture, response = await call("GET", provider["logo_url"])
    assert (status, response.content_type, picture[:8]) == (200, "image/png", b"\x89PNG\r\n\x1a\n")


# Beside the doors


async def test_health_and_readiness(anybody: Caller, world: World) -> None:
    assert (await anybody("GET", "/healthz"))[:2] == (200, {"status": "ok"})
    assert (await anybody("GET", "/readyz"))[:2] == (
        200,
        {"ready": True, "missing": [], "stalled_consumers": []},
    )
    stalled = StalledConsumer(consumer=NOBODY, position=7, reason="seal_broken")
    world.readiness = Readiness(ready=False, missing=["projections are behind"], stalled_consumers=[stalled])
    status, answer, response = await anybody("GET", "/readyz")
    assert (status, response.headers["Retry-After"]) == (503, "1")
    assert answer == {
        "ready": False,
        "missing": ["projections are behind"],
        "stalled_consumers": [{"consumer": NOBODY, "position": 7, "reason": "seal_broken"}],
    }


async def test_metrics(call: Caller, anybody: Caller) -> None:
    await registered(call)
    await anybody("GET", f"/api/v6/users/{NOBODY}")
    _, text, response = await anybody("GET", "/metrics")
    lines = text.decode().splitlines()
    assert response.content_type == "text/plain"
    assert 'passbook_requests_total{route="POST /api/v6/users/legal",status="201"} 1' in lines
    assert 'passbook_requests_total{route="GET /api/v6/users/{user_id}",status="401"} 1' in lines
    assert {"passbook_log_head 1", "passbook_projection_position 1", "passbook_pending_syncs 0"} <= set(lines)


@pytest.mark.parametrize("key", ["X-API-KEY", "Authorization"])
async def test_a_key_is_made_for_the_callers_tenant(key: str, anybody: Caller, world: World) -> None:
    anybody.headers = {key: "key-of-theirs" if key == "X-API-KEY" else "Token key-of-theirs"}
    status, made, response = await anybody("POST", "/v1/api-keys", Idempotency_Key="k")
    assert (status, made["tenant"], response.headers["Cache-Control"]) == (201, "theirs", "no-store")
    assert made["api_key"].startswith("pb_")
    await anybody("POST", "/v1/api-keys", Idempotency_Key="k")
    await anybody("POST", "/v1/api-keys")
    assert world.made_keys[0] == world.made_keys[1] != world.made_keys[2]
    status, answer, _ = await anybody("POST", "/v1/api-keys", {"tenant": "ours"})
    assert (status, answer["code"]) == (400, "VALIDATION_ERROR")
