from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from adapters.http import create_app
from adapters.http.server import Runner
from tests.http.world import World

OURS = {"X-API-KEY": "key-of-ours"}
THEIRS = {"X-API-KEY": "key-of-theirs"}
TOKEN = {"Authorization": "Token key-of-ours"}
NOBODY = "00000000-0000-4000-8000-000000000000"

CREDENTIALS = b"""{
"credentials": {
"domain": "BUDGET_INSIGHT_CUSTOM_DOMAIN",
"client_id": "BUDGET_INSIGHT_CLIENT_ID",
"client_secret": "BUDGET_INSIGHT_CLIENT_SECRET"
}
}"""
SETTINGS = b"""{
"auto_connect": true
}"""
ENABLE = b"""{
"enable": true
}"""
CONNECTION = b"""{
"provider_name": "budget_insight",
"requested_data_types": [
"BANK_ACCOUNT",
"BANK_TRANSACTION",
"CASHFLOW",
"CREDIT_INSIGHTS"
]
}"""
SYNC = b"""{
"data_types": [
"BANK_ACCOUNT",
"BANK_TRANSACTION",
"CASHFLOW",
"CREDIT_INSIGHTS"
]
}"""


class Served(TestServer):
    """The application as the composition serves it."""

    async def _make_runner(self, **options: Any) -> Runner:
        return Runner(self.app, **options)


class Caller:
    """Somebody with a key, who sends bytes or objects and reads the answer whole."""

    def __init__(self, client: TestClient, headers: dict[str, str]) -> None:
        self.client = client
        self.headers = headers

    async def __call__(
        self, method: str, path: str, body: object = None, **headers: str
    ) -> tuple[int, Any, ClientResponse]:
        data = body if isinstance(body, bytes | None) else msgspec.json.encode(body)
        sent = {**self.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        response = await self.client.request(
            method, path, data=data, headers=sent, allow_redirects=False, skip_auto_headers=("Content-Type",)
        )
        raw = await response.read()
        is_json = response.content_type == "application/json" and raw
        return response.status, msgspec.json.decode(raw) if is_json else raw, response


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def client(world: World) -> AsyncIterator[TestClient]:
    async with TestClient(Served(create_app(world.http))) as client:
        yield client


@pytest.fixture
def call(client: TestClient) -> Caller:
    return Caller(client, OURS)


@pytest.fixture
def theirs(client: TestClient) -> Caller:
    return Caller(client, THEIRS)


@pytest.fixture
def anybody(client: TestClient) -> Caller:
    return Caller(client, {})


@pytest.fixture
def report(client: TestClient) -> Caller:
    return Caller(client, TOKEN)


async def enable(call: Caller) -> None:
    assert (await call("PUT", "/api/v6/providers/budget_insight/credentials", CREDENTIALS))[0] == 204
    assert (await call("PUT", "/api/v6/providers/budget_insight", ENABLE))[0] == 200


async def registered(call: Caller, **fields: str) -> str:
    status, user, _ = await call("POST", "/api/v6/users/legal", {"name": "Boulangerie", **fields})
    assert status == 201
    return user["id"]


async def connected(call: Caller, world: World, **fields: str) -> tuple[str, str]:
    """A user with a connection that they have authorised."""
    await enable(call)
    user = await registered(call, **fields)
    _, connection, _ = await call("POST", f"/api/v6/users/{user}/data-connections", CONNECTION)
    path = connection["redirect_url"].removeprefix(world.services.public_url)
    assert (await call("GET", path))[0] == 302
    status, _, _ = await call("GET", f"/callback/budgea?state={world.bank.states[-1]}&connection_id=7")
    assert status in (200, 303)
    return user, connection["id"]
