"""The whole product, started as an operator starts it, and asked as a client asks it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from adapters.budget_insight.simulator import SimulatorOptions
from adapters.budget_insight.simulator import serve as serve_bank

API_KEY = "acceptance-tests-key-0123456789"
DATA_TYPES = ["BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW", "CREDIT_INSIGHTS"]
CREDENTIALS = {"domain": "demo-sandbox", "client_id": "84213", "client_secret": "a-secret-of-the-tenant"}
READY_TIMEOUT = 20.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def simulated_bank(**options: Any) -> AsyncIterator[str]:
    """A bank in this process, over real HTTP. Yields its address."""
    runner, address = await serve_bank(SimulatorOptions(**options))
    try:
        yield address
    finally:
        await runner.cleanup()


class PassbookProcess:
    """`passbook serve` as a process, to be stopped, killed and started again on the same data and port."""

    def __init__(self, data: Path, bank: str, **environment: str) -> None:
        self.data = data
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.log = data.parent / f"{data.name}.log"
        self._environment = {
            **os.environ,
            "PASSBOOK_API_KEY": API_KEY,
            "PASSBOOK_BUDGET_INSIGHT_URL": bank,
            "PASSBOOK_WEBVIEW_URL": bank,
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def launch(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "scripts.cli",
                    "serve",
                    "--data",
                    str(self.data),
                    "--port",
                    str(self.port),
                ],
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    async def ready(self, timeout: float = READY_TIMEOUT) -> float:
        """Wait until `/readyz` answers 200; return how long that took, in seconds."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        async with aiohttp.ClientSession() as session:
            while loop.time() - started < timeout:
                if self._process is not None and self._process.poll() is not None:
                    break
                with contextlib.suppress(aiohttp.ClientError, ConnectionError):
                    async with session.get(f"{self.address}/readyz") as response:
                        if response.status == 200:
                            return loop.time() - started
                await asyncio.sleep(0.01)
        raise AssertionError(f"the service is not ready:\n{self.log.read_text()[-4_000:]}")

    def kill(self) -> None:
        """End it as a power cut of the process would: no handler runs."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another of our commands on the same data."""
        return subprocess.run(
            [sys.executable, "-m", "scripts.cli", *arguments, "--data", str(self.data)],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=100,
        )


@contextlib.asynccontextmanager
async def passbook(data: Path, bank: str, **environment: str) -> AsyncIterator[PassbookProcess]:
    process = PassbookProcess(data, bank, **environment)
    process.launch()
    try:
        await process.ready()
        yield process
    finally:
        process.stop()


class Answer(msgspec.Struct):
    status: int
    body: Any
    headers: Any
    raw: bytes


class Client:
    """A client of both doors. Numbers come back as exact as they were sent."""

    def __init__(self, session: aiohttp.ClientSession, address: str, key: str = API_KEY) -> None:
        self.session = session
        self.address = address
        self.key = key

    async def ask(
        self, method: str, path: str, body: Any = None, *, expect: int | None = None, **more: Any
    ) -> Answer:
        headers = {"X-API-KEY": self.key, **more.pop("headers", {})}
        async with self.session.request(
            method, f"{self.address}{path}", json=body, headers=headers, allow_redirects=False, **more
        ) as response:
            raw = await response.read()
        parsed = None
        if raw and response.content_type == "application/json":
            parsed = decode_exactly(raw)
        answer = Answer(response.status, parsed, response.headers, raw)
        if expect is not None:
            assert answer.status == expect, f"{method} {path}: {answer.status} {raw[:600]!r}"
        return answer

    async def qard(self, method: str, path: str, body: Any = None, *, expect: int = 200, **more: Any) -> Any:
        return (await self.ask(method, f"/api/v6{path}", body, expect=expect, **more)).body

    async def balances(self, consumer: str, *, expect: int = 200, **more: Any) -> Any:
        answer = await self.ask(
            "POST",
            "/insights/v1/reports/balances/create",
            {"insights_consumer_id": consumer, **more},
            headers={"Authorization": f"Token {self.key}"},
            expect=expect,
        )
        return answer.body

    async def set_up(self, *, auto_connect: bool = False) -> None:
        await self.qard(
            "PUT", "/providers/budget_insight/credentials", {"credentials": CREDENTIALS}, expect=204
        )
        await self.qard("PUT", "/providers/budget_insight/settings", {"auto_connect": auto_connect})
        await self.qard("PUT", "/providers/budget_insight", {"enable": True})

    async def a_user(self, **more: Any) -> str:
        body = {"first_name": "Camille", "last_name": "Martin", **more}
        return (await self.qard("POST", "/users/natural", body, expect=201))["id"]

    async def a_connection(self, user: str, data_types: list[str] | None = None) -> Any:
        body = {"provider_name": "budget_insight", "requested_data_types": data_types or DATA_TYPES}
        return await self.qard("POST", f"/users/{user}/data-connections", body, expect=201)

    async def log_in(
        self, redirect_url: str, login: str, password: str = "1234", *, cancel: bool = False
    ) -> str:
        """Do what the person does. Returns the address that the bank's page leads back to."""
        async with aiohttp.ClientSession() as browser:
            async with browser.get(redirect_url) as response:
                assert response.status == 200, await response.text()
                form = response.url
            data = {"cancel": "1"} if cancel else {"login": login, "password": password}
            async with browser.post(form, data=data, allow_redirects=False) as response:
                assert response.status in (302, 303), await response.text()
                return response.headers["Location"]

    async def come_back(self, callback: str) -> Answer:
        async with self.session.get(callback, allow_redirects=False) as response:
            return Answer(response.status, None, response.headers, await response.read())

    async def connect(self, user: str, login: str) -> str:
        """Connect a user's bank; return the connection's id."""
        connection = await self.a_connection(user)
        answer = await self.come_back(await self.log_in(connection["redirect_url"], login))
        assert answer.status < 400, answer.raw
        return connection["id"]

    async def sync(self, user: str, *, wait: bool = True, timeout: float = 60.0) -> Any:
        requested = await self.qard("POST", f"/users/{user}/sync", expect=201)
        return await self.synced(user, timeout=timeout) if wait else requested

    async def synced(self, user: str, timeout: float = 60.0) -> Any:
        """Wait until no sync is pending, and return the latest ones."""
        async with asyncio.timeout(timeout):
            while True:
                latest = await self.qard("GET", f"/users/{user}/sync/latest")
                if not {sync["status"] for sync in latest} & {"QUEUED", "FETCHING"}:
                    return latest
                await asyncio.sleep(0.02)

    async def everything(self, path: str) -> list[Any]:
        """All rows of a paged list."""
        rows: list[Any] = []
        page = 1
        while True:
            joined = "&" if "?" in path else "?"
            answer = await self.qard("GET", f"{path}{joined}per_page=100&page={page}")
            rows += answer["result"]
            if page >= answer["last_page"]:
                assert len(rows) == answer["total"]
                return rows
            page += 1


def decode_exactly(raw: bytes) -> Any:
    return json.loads(raw, parse_float=Decimal)


@contextlib.asynccontextmanager
async def product(tmp_path: Path, **options: Any) -> AsyncIterator[tuple[Client, PassbookProcess, str]]:
    """A bank, the service on fresh data, and a client of it."""
    async with (
        simulated_bank(**options) as bank,
        passbook(tmp_path / "data", bank) as process,
        aiohttp.ClientSession() as session,
    ):
        yield Client(session, process.address), process, bank


def digest_of_an_audit(process: PassbookProcess) -> str:
    """The digest of the read models, once the audit has found nothing."""
    audit = process.command("replay-audit")
    assert audit.returncode == 0, audit.stdout + audit.stderr
    return re.findall(r"[0-9a-f]{64}", audit.stdout)[-1]


def children_of(pid: int) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    yield int(entry.name)
