"""Simulators served over real HTTP, and a small caller which knows nothing of the project's client."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import pytest

from adapters.budget_insight.simulator import SimulatorOptions, serve

NOW = datetime(2026, 3, 16, 8, 0, tzinfo=UTC)
CALLBACK = "http://127.0.0.1:9/callback"
CREDENTIALS = {"client_id": "1234", "client_secret": "not-a-secret"}


class Answer:
    """An answer as it came: `raw` bytes, and `body` with exact amounts."""

    def __init__(self, response: aiohttp.ClientResponse, raw: bytes) -> None:
        self.status = response.status
        self.headers = response.headers
        self.raw = raw
        self.text = raw.decode()

    @property
    def body(self) -> Any:
        return json.loads(self.raw, parse_float=Decimal)

    def written(self, key: str) -> list[str]:
        """Return the values of a key exactly as they were written."""
        return re.findall(rf'"{key}":(-?[\d.]+|null)', self.text)

    @property
    def code(self) -> str:
        return self.body["code"]

    @property
    def returned(self) -> dict[str, str]:
        """The parameters with which the person was sent back."""
        assert self.status == 302, self.text
        query = urlsplit(self.headers["Location"]).query
        return {name: values[0] for name, values in parse_qs(query).items()}


class Api:
    callback = CALLBACK
    credentials = CREDENTIALS

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self.session = session
        self.base = base

    async def call(self, method: str, path: str, token: str | None = None, **options: Any) -> Answer:
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        address = path if path.startswith("http") else self.base + path
        async with self.session.request(
            method, address, headers=headers, allow_redirects=False, **options
        ) as response:
            return Answer(response, await response.read())

    async def get(self, path: str, token: str | None = None, **options: Any) -> Answer:
        return await self.call("GET", path, token, **options)

    async def post(self, path: str, token: str | None = None, **options: Any) -> Answer:
        return await self.call("POST", path, token, **options)

    async def user(self) -> str:
        """Return the permanent token of a new user."""
        return (await self.post("/2.0/auth/init", json=CREDENTIALS)).body["auth_token"]

    async def code(self, token: str, kind: str = "singleAccess") -> str:
        return (await self.get(f"/2.0/auth/token/code?type={kind}", token)).body["code"]

    async def webview(self, flow: str, form: dict[str, str] | None = None, **query: str) -> Answer:
        """Open a page, or post the form when there is one."""
        params = {"domain": "demo.biapi.pro", "client_id": "1234", "redirect_uri": CALLBACK} | query
        if form is None:
            return await self.get(f"/en/{flow}", params=params)
        return await self.post(f"/en/{flow}", params=params, data=form)

    async def connect(self, token: str, login: str, **query: str) -> str:
        """Go through the form, and return the id of the connection."""
        code = await self.code(token)
        form = {"login": login, "password": "1234"}
        answer = await self.webview("connect", form, code=code, **query)
        return answer.returned["connection_id"]

    async def transactions(self, token: str, query: str = "") -> list[dict[str, Any]]:
        """Return every row of a list, page after page."""
        found: list[dict[str, Any]] = []
        address = f"/2.0/users/me/transactions?limit=1000{query}"
        while address:
            page = (await self.get(address, token)).body
            found += page["transactions"]
            address = page["_links"]["next"] and page["_links"]["next"]["href"]
        return found

    async def accounts(self, token: str, query: str = "") -> list[dict[str, Any]]:
        return (await self.get(f"/2.0/users/me/accounts{query}", token)).body["accounts"]


Served = Callable[..., Awaitable[Api]]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """Serve simulators with given options; the clock stands still at NOW unless told otherwise."""
    runners = []
    async with aiohttp.ClientSession() as session:

        async def start(*, faults: Any = (), **options: Any) -> Api:
            chosen = SimulatorOptions(**({"now": NOW} | options))
            runner, base = await serve(chosen, faults=faults)
            runners.append(runner)
            return Api(session, base)

        yield start
        for runner in runners:
            await runner.cleanup()


@pytest.fixture
async def api(served: Served) -> Api:
    return await served()
