"""What the hostile tests have in common: the documented shape of a refusal, the head of the log, raw sockets, and
a service with two tenants that each have a synced user."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec
from yarl import URL

from adapters.storage import LOG_FILE, SECRETS_FILE
from tests.acceptance.harness import CREDENTIALS, Client, PassbookProcess, simulated_bank

CANARY = "Canary7f3aQ9"
NOBODY = "3f2c9b1a-7d54-4e0b-9a63-5c1de8f00b42"
SOMEBODY_ELSE = "9b8e4d27-1c3f-4a5e-8d0c-6f7a2b9e1d04"
METHODS = ("get", "put", "post", "patch", "delete")


class Operation(msgspec.Struct, kw_only=True):
    """One operation of the live OpenAPI document."""

    method: str
    path: str
    document: dict[str, Any]

    @property
    def name(self) -> str:
        return self.document["operationId"]

    @property
    def door(self) -> str:
        for prefix in ("/api/v6", "/insights/v1", "/v1", "/connect", "/callback"):
            if self.path.startswith(prefix):
                return prefix
        return ""

    @property
    def statuses(self) -> set[int]:
        return {int(status) for status in self.document["responses"]}

    @property
    def ids(self) -> list[str]:
        return re.findall(r"{(\w+)}", self.path)

    @property
    def takes_body(self) -> bool:
        return "application/json" in self.document.get("requestBody", {}).get("content", {})

    @property
    def takes_bytes(self) -> bool:
        """Takes a signed push, or a file: any bytes, and has tests of its own."""
        return self.path.startswith("/webhooks/") or ("requestBody" in self.document and not self.takes_body)

    @property
    def has_key(self) -> bool:
        return bool(self.document["security"])

    def parameters(self, where: str) -> list[str]:
        return [p["name"] for p in self.document.get("parameters", ()) if p["in"] == where]

    def at(self, ids: Mapping[str, str]) -> str:
        path = self.path
        for name in self.ids:
            path = path.replace("{" + name + "}", ids[name])
        return path


def operations(document: Mapping[str, Any]) -> list[Operation]:
    return [
        Operation(method=method.upper(), path=path, document=operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if method in METHODS
    ]


class Got(msgspec.Struct):
    """An answer as bytes, and its headers without what differs from one request to the next."""

    status: int
    raw: bytes
    headers: list[tuple[str, str]]

    @property
    def comparable(self) -> tuple[int, bytes, list[tuple[str, str]]]:
        own = ("date", "x-request-id", "klarna-correlation-id")
        return self.status, self.raw, sorted((n, v) for n, v in self.headers if n.lower() not in own)

    def repeats(self, canary: str = CANARY) -> bool:
        said = self.raw.decode("utf-8", "replace") + str(self.headers)
        return canary.lower() in said.lower()


def misshapen(door: str, got: Got) -> str | None:
    """What is wrong with a refusal, as its door should have put it; None if nothing is."""
    kind = dict(got.headers).get("Content-Type", "")
    if door in ("/connect", "/callback"):
        page = got.raw.decode()
        fine = (
            kind == "text/html; charset=utf-8"
            and page.startswith("<!doctype html>")
            and "<script" not in page
        )
        return None if fine else f"no plain page: {kind} {got.raw[:80]!r}"
    if kind != "application/json; charset=utf-8":
        return f"Content-Type {kind}"
    try:
        body = msgspec.json.decode(got.raw)
    except msgspec.DecodeError:
        return f"no JSON: {got.raw[:80]!r}"
    fields = {
        "/api/v6": {"error_code": str, "error_message": str, "error_details": dict},
        "/insights/v1": {"code": str, "message": str, "errors": list},
    }.get(door, {"code": str, "message": str, "details": dict})
    if not isinstance(body, dict) or {name: type(value) for name, value in body.items()} != fields:
        return f"not the shape of {door or 'the open door'}: {got.raw[:120]!r}"
    for detail in body.get("errors", ()):
        if {name: type(value) for name, value in detail.items()} != dict.fromkeys(
            ("code", "message", "location"), str
        ):
            return f"a detail of another shape: {detail}"
    return None


async def send(
    session: aiohttp.ClientSession, method: str, address: str, *, timeout: float = 20.0, **more: Any
) -> Got:
    async with session.request(
        # Encoded already: a client that tidies addresses up would hide what is tried.
        method,
        URL(address, encoded=True),
        allow_redirects=False,
        timeout=aiohttp.ClientTimeout(total=timeout),
        **more,
    ) as response:
        return Got(response.status, await response.read(), list(response.headers.items()))


def read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(
        f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )


class Witness:
    """Reads the log beside the service, to tell whether anything was written."""

    def __init__(self, data: Path) -> None:
        self._log = read_only(data / LOG_FILE)
        self._secrets = read_only(data / SECRETS_FILE)

    def close(self) -> None:
        self._log.close()
        self._secrets.close()

    def head(self) -> tuple[int, ...]:
        """Changes with any fact, command or secret that is stored, also if it is removed again."""
        one = "SELECT (SELECT count(*) FROM events), (SELECT max(position) FROM events), (SELECT count(*) FROM commands)"
        two = """SELECT (SELECT count(*) FROM secrets), (SELECT count(*) FROM api_keys),
            (SELECT seq FROM sqlite_sequence WHERE name = 'secrets')"""
        return (*self._log.execute(one).fetchone(), *self._secrets.execute(two).fetchone())

    def facts(self, stream_part: str) -> list[str]:
        """The names of the facts of the streams whose id holds this, in their order."""
        rows = self._log.execute(
            "SELECT topic FROM events WHERE originator_id LIKE ? ORDER BY position", (f"%{stream_part}%",)
        )
        return [topic.rpartition(".")[0] for (topic,) in rows]


class Tenant(msgspec.Struct, kw_only=True):
    """A tenant's client, and what its first user has: synced, and a second one whose bank is not connected."""

    client: Client
    user: str
    connection: str
    account: str
    other_user: str
    other_connection: str
    other_link: str

    @property
    def ids(self) -> dict[str, str]:
        return {
            "user_id": self.user,
            "consumer_id": self.user,
            "connection_id": self.connection,
            "account_id": self.account,
        }

    @classmethod
    async def prepare(cls, client: Client, login: str | None) -> Tenant:
        """With no login nothing is connected or synced."""
        await client.set_up()
        user, other = await client.a_user(), await client.a_user()
        connection = account = NOBODY
        if login is not None:
            connection = await client.connect(user, login)
            assert {sync["status"] for sync in await client.sync(user)} == {"SUCCESS"}
            account = (await client.qard("GET", f"/users/{user}/banking-accounts"))["result"][0]["id"]
        waiting = await client.a_connection(other)
        return cls(
            client=client,
            user=user,
            connection=connection,
            account=account,
            other_user=other,
            other_connection=waiting["id"],
            other_link=waiting["redirect_url"],
        )


def _storage_bodies() -> dict[str, dict[str, Any]]:
    """Of the storage, about a consumer whom nobody else asks about."""
    consumer = {"insights_consumer_id": "brought-1"}
    account = {**consumer, "insights_account_id": "account-1"}
    row = {"insights_transaction_id": "row-1", "amount": {"amount": 5}, "type": "DEBIT"}
    return {
        "create_stored_account": {**consumer, "account": {"insights_account_id": "account-1"}},
        "list_stored_accounts": consumer,
        "delete_stored_accounts": {**consumer, "insights_account_ids": ["account-2"]},
        "delete_stored_consumer": {"insights_consumer_id": "brought-2"},
        "list_stored_transactions": consumer,
        "delete_stored_transactions": {**account, "insights_transaction_ids": ["row-2"]},
        "upsert_stored_labels": {**account, "insights_transaction_ids": ["row-1"], "labels": {"a": "b"}},
        **{
            f"{act}_stored_transactions": {**account, "transactions": [row]}
            for act in ("create", "update", "replace")
        },
    }


class Scene(msgspec.Struct, kw_only=True):
    process: PassbookProcess
    session: aiohttp.ClientSession
    bank: str
    ours: Tenant
    theirs: Tenant
    witness: Witness
    operations: list[Operation]

    def keys(self, operation: Operation, tenant: Tenant | None = None) -> dict[str, str]:
        """The header that opens the door of an operation."""
        key = (tenant or self.ours).client.key
        match operation.door:
            case "/api/v6" | "/v1":
                return {"X-API-KEY": key}
            case "/insights/v1":
                return {"Authorization": f"Token {key}"}
        return {}

    def ids(self) -> dict[str, str]:
        """Ids with which every operation could succeed."""
        return {
            **self.ours.ids,
            "name": "budget_insight",
            "asset": "start.js",
            "endpoint": "0" * 48,
            "event": "CONNECTION_SYNCED",
            "metric": "C1",
            "connection": self.ours.other_connection,
            # Nothing was pending here.
            "pending_id": NOBODY,
        }

    def good_body(self, operation: Operation) -> dict[str, Any] | None:
        """A body that would be accepted, so that only what the test adds can be what is refused."""
        if not operation.takes_body:
            return None
        return {
            "set_enabled": {"enable": True},
            "update_credentials": {"credentials": CREDENTIALS},
            "update_settings": {"auto_connect": True},
            "register_legal": {"name": "A", "siren": "552100554"},
            "register_natural": {"first_name": "A", "last_name": "B"},
            "change_user": {"first_name": "Changed"},
            "request_connection": {
                "provider_name": "budget_insight",
                "requested_data_types": ["BANK_ACCOUNT"],
            },
            "change_connection": {"requested_data_types": ["BANK_ACCOUNT"]},
            "request_sync": {"data_types": ["BANK_ACCOUNT"]},
            **{
                f"create_{report}_report": {"insights_consumer_id": self.ours.user}
                for report in (
                    *("balances", "balance_over_time", "account_info", "categorization"),
                    *(
                        "groupy_by_category",
                        "group_by_category",
                        "recurring_transactions",
                        "expense_category",
                    ),
                )
            },
            "create_bulk_report": {"reports": [{"type": "BALANCES", "insights_consumer_id": self.ours.user}]},
            "get_categories": {},
            **_storage_bodies(),
            "create_api_key": {},
            "unlink_source": {},
        }[operation.name]

    async def send(self, method: str, path: str, **more: Any) -> Got:
        return await send(self.session, method, f"{self.process.address}{path}", **more)

    async def exchange(self, sent: bytes, *, timeout: float = 4.0) -> bytes:
        """Send bytes as they are; what comes back until the connection closes, an answer is whole, or time is up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.process.port)
        received = b""
        try:
            writer.write(sent)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            async with asyncio.timeout(timeout):
                while chunk := await reader.read(65_536):
                    received += chunk
                    if _whole(received):
                        break
        except TimeoutError:
            received = received or b"TIMEOUT"
        except ConnectionError:
            pass
        finally:
            writer.close()
        return received


def _whole(received: bytes) -> bool:
    head, _, body = received.partition(b"\r\n\r\n")
    found = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return found is not None and len(body) >= int(found[1])


def status_of(received: bytes) -> int:
    """The status of a raw answer; 0 if the connection was closed without one."""
    parts = received.split(b" ", 2)
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0


@contextlib.asynccontextmanager
async def two_tenants(folder: Path, *, public: str | None = None) -> AsyncIterator[Scene]:
    """With a public address the way to the bank leads over it, and so nothing is connected yet."""
    bound = (f"{public}/callback/budgea",) if public else ()
    async with simulated_bank(scheduled_syncs=False, redirect_uris=bound) as bank:
        environment = {"PASSBOOK_PUBLIC_URL": public} if public else {}
        process = PassbookProcess(folder / "data", bank, **environment)
        made = process.command("api-keys", "create", "--tenant", "other")
        assert made.returncode == 0, made.stderr
        process.launch()
        try:
            await process.ready()
            async with aiohttp.ClientSession() as session:
                logins = (None, None) if public else ("salaried", "freelancer")
                ours = await Tenant.prepare(Client(session, process.address), logins[0])
                theirs = await Tenant.prepare(
                    Client(session, process.address, made.stdout.strip()), logins[1]
                )
                document = (await ours.client.ask("GET", "/openapi.json", expect=200)).body
                witness = Witness(process.data)
                yield Scene(
                    process=process,
                    session=session,
                    bank=bank,
                    ours=ours,
                    theirs=theirs,
                    witness=witness,
                    operations=operations(document),
                )
                witness.close()
        finally:
            process.stop()


def outbound(pid: int, port: int) -> Iterator[str]:
    """The remote ends of the connections that a process has opened by itself."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            inodes.add(str(entry.readlink()).removeprefix("socket:[").rstrip("]"))
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            columns = line.split()
            if columns[9] in inodes and int(columns[1].rpartition(":")[2], 16) != port:
                yield f"{table} {columns[2]}"


def memory(pid: int) -> int:
    """Resident memory, in bytes."""
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) * 1024  # type: ignore[index]


def link_parts(link: str) -> tuple[str, str]:
    """The path of a connect link, and its token."""
    parts = urlsplit(link)
    return parts.path, parse_qs(parts.query)["token"][0]
