"""Bad input at every door: a 4xx in the door's own shape, nothing echoed, nothing written."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aiohttp.test_utils import TestClient

from adapters.http.openapi import statuses
from adapters.http.problems import STATUS_OF
from adapters.http.routes import ROUTES
from application.ports import LogUnavailable
from application.refusals import Unavailable
from domain.refusals import Refused
from tests.http.conftest import NOBODY, OURS, TOKEN, Caller, enable, registered
from tests.http.world import World

CANARY = "Canary7f3a"


def subclasses(type: type) -> set[type]:
    return {found for child in type.__subclasses__() for found in ({child} | subclasses(child))}


def test_every_refusal_has_a_status() -> None:
    assert {refusal for refusal in subclasses(Refused) if not refusal.__module__.startswith("tests")} == set(
        STATUS_OF
    )


HOSTILE_BODIES = {
    "not JSON": b'{"name": ' + CANARY.encode(),
    "empty": b"",
    "null": b"null",
    "list": b"[]",
    "text": b'"Canary7f3a"',
    "number": b"1",
    "deep": b"[" * 30_000 + b"]" * 30_000,
    "deep inside": b'{"name":' + b'{"Canary7f3a":' * 3_000 + b"1" + b"}" * 3_001,
    "not UTF-8": b'{"name": "Canary7f3a\xff"}',
    "UTF-16": '{"name": "Canary7f3a"}'.encode("utf-16"),
    "byte order mark": b'\xef\xbb\xbf{"name": "Canary7f3a"}',
    "lone surrogate": b'{"name": "Canary7f3a\\ud800"}',
    "NUL": b'{"name": "Canary7f3a\\u0000"}',
    "line break": b'{"name": "Canary7f3a\\r\\nSet-Cookie: a=b"}',
    "escape": b'{"name": "Canary7f3a\\u001b[2J"}',
    "line separator": b'{"name": "Canary7f3a\\u2028"}',
    "NaN": b'{"name": "Canary7f3a", "siren": NaN}',
    "huge number": b'{"name": ' + b"9" * 60_000 + b"}",
    "huge exponent": b'{"name": 1e999999}',
    "key twice": b'{"name": "Canary7f3a", "name": "Canary7f3a"}',
    "many keys": b"{" + b",".join(b'"Canary7f3a%d":1' % i for i in range(3_000)) + b"}",
    "unknown field": b'{"name": "a", "Canary7f3a": 1}',
    "number for text": b'{"name": 5}',
    "too long": b'{"name": "' + b"a" * 256 + b'"}',
    "blank": b'{"name": ""}',
    "trailing": b'{"name": "a"} {"name": "b"}',
    "script for an address": b'{"name": "a", "return_url": "javascript:alert(1)"}',
    "somebody in an address": b'{"name": "a", "return_url": "https://Canary7f3a@evil.example/"}',
    "no host": b'{"name": "a", "return_url": "https:///Canary7f3a"}',
    "line break in an address": b'{"name": "a", "return_url": "https://a.example/\\r\\nX: y"}',
}


@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES)
async def test_a_hostile_body_is_refused_in_the_shape_of_the_door(
    body: bytes, call: Caller, world: World
) -> None:
    status, answer, _ = await call("POST", "/api/v6/users/legal", body)
    assert (status, answer["error_code"]) == (400, "VALIDATION_ERROR")
    assert set(answer) == {"error_code", "error_message", "error_details"}
    assert CANARY not in str(answer)
    assert world.log.recorded == []


@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES)
async def test_a_hostile_body_is_refused_at_the_insights_door(body: bytes, report: Caller) -> None:
    status, answer, response = await report("POST", "/insights/v1/reports/balances/create", body)
    assert (status, answer["code"]) == (400, "VALIDATION_ERROR")
    assert set(answer) == {"code", "message", "errors"}
    assert CANARY not in str(answer) + str(response.headers)


async def test_a_refusal_names_fields_and_says_why(call: Caller) -> None:
    body = {"first_name": 5, "birthdate": "10/12/1990", "email": "x", "country": "fr", CANARY: 1}
    _, answer, _ = await call("POST", "/api/v6/users/natural", body)
    assert answer["error_details"] == {
        "first_name": ["must be a string"],
        "last_name": ["is required"],
        "birthdate": ["must be a date, YYYY-MM-DD"],
        "email": ["is not of the expected form"],
        "country": ["is not of the expected form"],
        "body": ["holds a field that is not known"],
    }


async def test_credentials_are_never_repeated(call: Caller, world: World) -> None:
    good = {"domain": "mine", "client_id": "1", "client_secret": "s"}
    for wrong in (
        {**good, "domain": f"{CANARY}.evil.example"},
        {**good, CANARY: "1"},
        {**good, "client_secret": 5},
        {**good, "client_secret": f"{CANARY} with spaces"},
        {**good, "domain": "a" * 1_025},
        {CANARY * 40: "1"},
    ):
        status, answer, _ = await call(
            "PUT", "/api/v6/providers/budget_insight/credentials", {"credentials": wrong}
        )
        assert (status, answer["error_code"]) == (400, "VALIDATION_ERROR")
        assert CANARY not in str(answer)
    assert world.log.recorded == []


@pytest.mark.parametrize("size", [65_537, 1_000_000])
async def test_a_large_body_is_refused(size: int, call: Caller) -> None:
    status, answer, _ = await call("POST", "/api/v6/users/legal", b" " * size)
    assert (status, answer["error_code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_only_plain_json_is_read(call: Caller) -> None:
    for headers in (
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
        {"Content_Type": "application/json; charset=utf-16"},
        {"Content_Type": 'application/json; charset="x'},
        {"Content_Encoding": "gzip"},
        {"Content_Encoding": "br"},
    ):
        status, answer, _ = await call("POST", "/api/v6/users/legal", b'{"name":"a"}', **headers)
        assert (status, answer["error_code"]) == (415, "UNSUPPORTED_MEDIA_TYPE"), headers
    for content_type in ("application/json", "application/json; charset=UTF-8", ""):
        status, _, _ = await call("POST", "/api/v6/users/legal", b'{"name":"a"}', Content_Type=content_type)
        assert status == 201


QUERIES = (
    "page=0",
    "page=-1",
    "page=1.0",
    "page=x",
    "page=",
    "page=%201",
    "page=1_0",
    "page=%D9%A1",
    "page=9999999999",
    "per_page=0",
    "per_page=abc",
    "page=1&page=1",
    f"{CANARY}=1",
    f"page=1&{CANARY}={CANARY}",
    f"page={CANARY}",
    "page=%00",
    "page=%ff",
)


@pytest.mark.parametrize("query", QUERIES)
async def test_a_wrong_query_is_refused(query: str, call: Caller) -> None:
    status, answer, _ = await call("GET", f"/api/v6/users?{query}")
    assert (status, answer["error_code"]) == (400, "VALIDATION_ERROR")
    assert CANARY not in str(answer)
    assert (await call("GET", f"/api/v6/profile?{query}"))[0] == 400


async def test_pages(call: Caller) -> None:
    _, page, _ = await call("GET", "/api/v6/users")
    assert page == {"total": 0, "per_page": 20, "current_page": 1, "last_page": 1, "result": []}
    for number in range(3):
        await registered(call, siren=f"55210055{number}")
    _, page, _ = await call("GET", "/api/v6/users?per_page=2&page=2")
    assert (page["total"], page["last_page"], len(page["result"])) == (3, 2, 1)
    _, page, _ = await call("GET", "/api/v6/users?per_page=101&page=7")
    assert page == {"total": 3, "per_page": 100, "current_page": 7, "last_page": 1, "result": []}


async def test_a_transactions_query(call: Caller, world: World) -> None:
    user = await registered(call)
    account = NOBODY.replace("8000", "8001")
    world.read_models.accounts["ours", user] = [(account, True, b"{}", b'{"id":"x"}')]
    world.read_models.rows_of_account[account] = [b'{"n":1}', b'{"n":2}', b'{"n":3}']
    path = f"/api/v6/users/{user}/banking-accounts/{account}/transactions"
    _, page, _ = await call("GET", f"{path}?per_page=2")
    assert page == {
        "total": 3,
        "per_page": 2,
        "current_page": 1,
        "last_page": 2,
        "result": [{"n": 1}, {"n": 2}],
    }
    await call("GET", f"{path}?from_date=1970-01-02&to_date=1970-01-11&transaction_type=CARD")
    assert world.read_models.asked[-1] == (1, 10, "CARD")
    for query in (
        "from_date=2024-02-30",
        "from_date=20240101",
        "to_date=2024-1-1",
        "from_date=2024-01-01T00:00:00",
        "transaction_type=card",
        "transaction_type=DEPOSIT",
        "from_date=2024-02-01&to_date=2024-01-01",
    ):
        assert (await call("GET", f"{path}?{query}"))[0] == 400, query
    _, page, _ = await call("GET", f"/api/v6/users/{user}/banking-accounts")
    assert page["result"] == [{"id": "x"}]
    assert (await call("GET", path.replace(account, NOBODY)))[0] == 404


def operations() -> list[tuple[str, str]]:
    return [(route.method, route.path) for route in ROUTES if "_id}" in route.path]


@pytest.mark.parametrize(("method", "path"), operations())
async def test_what_is_no_id_is_as_unknown_as_an_id_nobody_has(
    method: str, path: str, call: Caller, world: World
) -> None:
    body = {"status": "DISCONNECTED"} if method == "PATCH" and "connections" in path else None
    if method == "PATCH" and body is None:
        body = {"name": "x"}
    if method == "POST" and "connections" in path:
        body = {"provider_name": "budget_insight", "requested_data_types": ["BANK_ACCOUNT"]}
    await enable(call)
    before = len(world.log.recorded)
    answers = []
    for id in (
        NOBODY,
        "x",
        "0",
        CANARY,
        "%00",
        "%2e%2e",
        "..%2f..",
        "a" * 2_000,
        "é",
        "%f0%9f",
        NOBODY + "%0a",
    ):
        filled = path.replace("{user_id}", id).replace("{account_id}", id).replace("{connection_id}", id)
        status, answer, _ = await call(method, filled, body)
        answers.append((status, answer))
    assert answers[0][0] == 404
    assert all(answer == answers[0] for answer in answers)
    assert len(world.log.recorded) == before


async def test_keys(client: TestClient) -> None:
    async def asked(path: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
        async with client.request(method, path, headers=headers) as response:
            return response.status, await response.json()

    wrong = ("", CANARY, "é", "k" * 5_000)
    for headers in ({}, TOKEN, *({"X-API-KEY": key} for key in wrong)):
        status, answer = await asked("/api/v6/users", **headers)
        assert (status, answer["error_code"]) == (401, "INVALID_API_KEY")
        assert CANARY not in str(answer)
    path = "/insights/v1/reports/balances/create"
    for headers in ({}, OURS, *({"Authorization": said} for said in ("key-of-ours", "Token", "Basic a"))):
        status, answer = await asked(path, "POST", **headers)
        assert (status, answer["code"]) == (401, "API_TOKEN_MISSING")
    for headers in (
        {"Authorization": f"Token {CANARY}"},
        {"Authorization": "Token é"},
        {"Authorization": "Bearer x"},
    ):
        status, answer = await asked(path, "POST", **headers)
        assert (status, answer["code"]) == (403, "API_TOKEN_INVALID")
        assert CANARY not in str(answer)
    for headers in (OURS, TOKEN, {"Authorization": "bearer key-of-ours"}):
        assert (await asked("/v1/api-keys", "POST", **headers))[0] == 201
    for headers in ({}, {"X-API-KEY": "x"}, {"Authorization": "Token x"}, {**TOKEN, "X-API-KEY": "x"}):
        status, answer = await asked("/v1/api-keys", "POST", **headers)
        assert (status, answer["code"]) == (401, "INVALID_API_KEY")


async def test_two_keys_are_no_key(client: TestClient) -> None:
    headers = [("X-API-KEY", "key-of-ours"), ("X-API-KEY", "key-of-theirs")]
    async with client.get("/api/v6/users", headers=headers) as response:
        assert response.status == 401


@pytest.mark.parametrize(
    ("path", "key", "code"),
    [
        (f"/api/v6/{CANARY}", "error_code", "NOT_FOUND"),
        ("/api/v6/", "error_code", "NOT_FOUND"),
        (f"/insights/v1/{CANARY}", "code", "PATH_NOT_FOUND"),
        (f"/v1/{CANARY}", "code", "NOT_FOUND"),
        (f"/{CANARY}", "code", "NOT_FOUND"),
        ("/docs/../../etc/passwd", "code", "NOT_FOUND"),
        ("/docs/..%2f..%2fetc%2fpasswd", "code", "NOT_FOUND"),
    ],
)
async def test_an_unknown_address(path: str, key: str, code: str, call: Caller) -> None:
    status, answer, _ = await call("GET", path)
    assert (status, answer[key]) == (404, code)
    assert CANARY not in str(answer)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_other_methods_are_refused_with_those_that_are_not(route: Any, call: Caller) -> None:
    path = route.path.replace("{name}", "budget_insight").replace("{asset}", "start.js")
    path = path.replace("{endpoint}", "e").replace("{event}", "CONNECTION_SYNCED").replace("{metric}", "B1")
    path = re.sub(r"{(\w+_id|connection)}", NOBODY, path)
    allowed = {other.method for other in ROUTES if other.path == route.path}
    if any(other.path == route.path and other.method == "GET" and other.head for other in ROUTES):
        allowed.add("HEAD")
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"} - allowed:
        status, _, response = await call(method, path)
        assert status == 405, method
        assert set(response.headers["Allow"].split(", ")) == allowed


async def test_head_is_get_without_its_body(call: Caller) -> None:
    _, _, got = await call("GET", "/api/v6/profile")
    status, body, headed = await call("HEAD", "/api/v6/profile")
    assert (status, body) == (200, b"")
    assert headed.headers["Content-Length"] == got.headers["Content-Length"]


async def test_a_body_where_none_is_taken_is_refused(call: Caller) -> None:
    user = await registered(call)
    status, answer, _ = await call("DELETE", f"/api/v6/users/{user}", {CANARY: 1})
    assert (status, answer["error_code"]) == (400, "VALIDATION_ERROR")
    assert (await call("GET", f"/api/v6/users/{user}"))[0] == 200


async def test_what_is_unavailable_says_when_to_come_back(call: Caller, report: Caller, world: World) -> None:
    world.log.unavailable = LogUnavailable("disk full at /secret/place")
    status, answer, response = await call("POST", "/api/v6/users/legal", {"name": "a"})
    assert (status, answer["error_code"], response.headers["Retry-After"]) == (
        503,
        "SERVICE_UNAVAILABLE",
        "1",
    )
    assert "secret" not in str(answer)
    world.read_models.broken = Unavailable("x", 7.0)
    _, _, response = await call("GET", "/api/v6/providers/budget_insight")
    assert response.headers["Retry-After"] == "7"


async def test_a_defect_is_told_without_its_words(
    call: Caller, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.read_models.broken = ZeroDivisionError(CANARY)
    status, answer, _ = await call("GET", "/api/v6/providers/budget_insight")
    assert (status, answer["error_code"]) == (500, "INTERNAL_ERROR")
    assert CANARY not in str(answer) + caplog.text
    assert [record.error for record in caplog.records if record.levelname == "ERROR"] == ["ZeroDivisionError"]


async def test_too_many_requests_at_once(call: Caller, theirs: Caller, world: World) -> None:
    world.http.in_flight_max = 0
    status, answer, response = await call("GET", "/api/v6/profile")
    assert (status, answer["error_code"], response.headers["Retry-After"]) == (429, "RATE_LIMITED", "1")
    world.http.in_flight_max = 1
    for _ in range(3):
        assert (await call("GET", "/api/v6/profile"))[0] == 200


async def test_every_answer_is_guarded(call: Caller, anybody: Caller) -> None:
    for path in (
        "/api/v6/profile",
        "/api/v6/x",
        "/healthz",
        "/connect/x",
        "/callback/budgea",
        "/nothing",
        "/docs",
    ):
        _, _, response = await call("GET", path)
        headers = response.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["Server"] == "passbook"
        assert len(headers["X-Request-Id"]) == 32


async def test_the_log_of_requests_tells_no_ids_and_no_keys(
    call: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "passbook.access")
    user = await registered(call)
    await call("GET", f"/api/v6/users/{user}?{CANARY}=1")
    await call("GET", f"/{CANARY}%0d%0aX")
    lines = [vars(record) for record in caplog.records if record.name == "passbook.access"]
    for secret in (user, CANARY, "key-of-ours"):
        assert secret not in str(lines) + caplog.text
    assert [(line["route"], line["status"], line.get("tenant")) for line in lines] == [
        ("POST /api/v6/users/legal", 201, "ours"),
        ("GET /api/v6/users/{user_id}", 400, "ours"),
        ("GET unknown", 404, None),
    ]


def test_every_documented_status_is_a_status() -> None:
    for route in ROUTES:
        assert all(200 <= status < 600 for status in statuses(route))
