"""Pushes: after each sync, and on demand - signed, and if asked for also doubled, out of order, late or forged.

An event has an address of its own, `{to}/{EVENT}`, as one registers them in the real console. Pushes bear the
machine's time whatever the simulated clock says, since whoever receives them has no other.
"""

import asyncio
import gzip
import hmac
import logging
import time
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp import web
from msgspec import UNSET, Struct, UnsetType

from adapters.budget_insight.simulator.accounts import account_object
from adapters.budget_insight.simulator.bank import Connection, User
from adapters.budget_insight.simulator.connections import connection_object
from adapters.budget_insight.simulator.edge import reply
from adapters.budget_insight.simulator.options import DEFAULT_EVENTS, WebhookOptions
from adapters.budget_insight.simulator.refusals import Refused
from adapters.budget_insight.simulator.render import encode
from adapters.budget_insight.simulator.transactions import transaction_object

REPLY_SECONDS = 10.0
FIRST_ID = 900_001
SENT_KEPT = 1_000

#: What is signed where the body is packed: nobody says which of the two it is.
Packing = Literal["no", "signed plain", "signed packed"]
Forgery = Literal["no", "unsigned", "secret", "body", "path", "date"]

log = logging.getLogger("passbook.simulator")

Body = TypeVar("Body")


class Registered(Struct, forbid_unknown_fields=True):
    """Where to push from now on. `copies`, `reverse` and `delay_seconds` are how unreliable the sender is."""

    to: str
    secret: str
    events: tuple[str, ...] = DEFAULT_EVENTS
    packing: Packing = "no"
    copies: int = 1
    reverse: bool = False
    delay_seconds: float = 0


class Wanted(Struct, forbid_unknown_fields=True):
    """One push, now. `id` is its `id_webhook_data`, null leaves that out; `raw` is sent in place of a body."""

    event: str = "CONNECTION_SYNCED"
    connection: int = 0
    user: int | None = None
    id: int | None | UnsetType = UNSET
    raw: str | None = None
    packing: Packing = "no"
    forge: Forgery = "no"
    age_seconds: float = 0
    copies: int = 1


class Sent(Struct):
    """A push as it went out, and what it was answered: None for as long as nothing was."""

    event: str
    address: str
    headers: dict[str, str]
    body: bytes
    status: int | None = None


class Pushes:
    def __init__(self, options: WebhookOptions | None) -> None:
        self._options = options
        self._tasks: set[asyncio.Task[None]] = set()
        self.reset()

    def reset(self) -> None:
        options = self._options
        self.registered = options and Registered(options.to, options.secret, options.events)
        self.sent: list[Sent] = []
        self._next_id = FIRST_ID

    def told(self, event: str, user: User, connection: Connection | None) -> None:
        """Something happened: tell whoever registered for it. A user without a permanent token is not told of."""
        registered = self.registered
        if registered is None or user.expires_at is not None:
            return
        pushes = [
            self._push(registered, named, body)
            for named, body in bodies(event, user, connection)
            if named in registered.events
        ]
        pushes = [push for push in pushes for _ in range(registered.copies)]
        if registered.reverse:
            pushes.reverse()
        if pushes:
            task = asyncio.create_task(self._send_all(pushes, registered.delay_seconds))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def send(self, wanted: Wanted) -> list[Sent]:
        if self.registered is None:
            raise Refused("conflict", "No address is registered.")
        user = wanted.user
        body: dict[str, Any] = {"id": wanted.connection, "id_user": user}
        if wanted.event not in ("CONNECTION_DELETED", "USER_DELETED"):
            body = {
                "user": {"id": user},
                "id_user": user,
                "id_connection": wanted.connection,
                "connection": {"id": wanted.connection, "id_user": user, "state": None, "accounts": []},
            }
        if wanted.event == "USER_DELETED":
            body = {"id": user}
        push = self._push(self.registered, wanted.event, body, wanted)
        pushes = [push, *(msgspec.structs.replace(push) for _ in range(wanted.copies - 1))]
        await self._send_all(pushes, 0)
        return pushes

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _push(
        self, registered: Registered, event: str, body: dict[str, Any], wanted: Wanted | None = None
    ) -> Sent:
        wanted = wanted or Wanted(packing=registered.packing)
        if isinstance(wanted.id, UnsetType):
            body = {"id_webhook_data": self._next_id, **body}
            self._next_id += 1
        elif wanted.id is not None:
            body = {"id_webhook_data": wanted.id, **body}
        plain = encode(body) if wanted.raw is None else wanted.raw.encode()
        packed = gzip.compress(plain) if wanted.packing != "no" else plain
        address = f"{registered.to}/{event}"
        at = datetime.fromtimestamp(time.time() - wanted.age_seconds, UTC)
        date = at.isoformat(timespec="microseconds").replace("+00:00", "Z")
        secret = "not the secret" if wanted.forge == "secret" else registered.secret
        path = urlsplit(address).path + ("/x" if wanted.forge == "path" else "")
        signed = plain if wanted.packing == "signed plain" else packed
        headers = {"Content-Type": "application/json", "BI-Signature-Date": date}
        if wanted.forge != "unsigned":
            headers["BI-Signature"] = signature(secret, path, date, signed)
        if wanted.forge == "date":
            headers["BI-Signature-Date"] = date.replace("Z", "+00:00")
        if wanted.packing != "no":
            headers["Content-Encoding"] = "gzip"
        return Sent(event, address, headers, packed + b" " if wanted.forge == "body" else packed)

    async def _send_all(self, pushes: list[Sent], delay: float) -> None:
        await asyncio.sleep(delay)
        timeout = aiohttp.ClientTimeout(total=REPLY_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            for push in pushes:
                self.sent.append(push)
                del self.sent[:-SENT_KEPT]
                try:
                    async with session.post(push.address, data=push.body, headers=push.headers) as response:
                        push.status = response.status
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    log.info("a push of %s failed: %s", push.event, type(error).__name__)


def signature(secret: str, path: str, date: str, body: bytes) -> str:
    mac = hmac.new(secret.encode(), f"POST.{path}.{date}.".encode() + body, "sha256")
    return b64encode(mac.digest()).decode()


def bodies(event: str, user: User, connection: Connection | None) -> list[tuple[str, dict[str, Any]]]:
    """The events that one thing that happened is told by, in the order of the real ones, without their ids."""
    if connection is None:
        return [(event, {"id": user.id, "signin": user.signin})]
    if event != "CONNECTION_SYNCED":
        return [(event, connection_object(connection, frozenset()))]
    whose = {"id": user.id, "signin": user.signin}
    shown = connection_object(connection, frozenset({"connector", "sources"}))
    accounts: list[dict[str, Any]] = []
    if connection.state is None:
        for account in connection.accounts.values():
            if account.is_shown:
                new = [t for t in account.transactions.values() if t.last_update == account.last_update]
                accounts.append(
                    {**account_object(account), "transactions": [transaction_object(t) for t in new]}
                )
    told: list[tuple[str, dict[str, Any]]] = [
        ("ACCOUNT_SYNCED", {**account, "id_connection": connection.id, "id_user": user.id})
        for account in accounts
    ]
    return [*told, (event, {"user": whose, "connection": {**shown, "accounts": accounts}})]


PUSHES = web.AppKey("pushes", Pushes)


async def show(request: web.Request) -> web.Response:
    pushes = request.config_dict[PUSHES]
    shown = [{"event": sent.event, "status": sent.status} for sent in pushes.sent]
    return reply({"registered": pushes.registered is not None, "sent": shown})


async def register(request: web.Request) -> web.Response:
    request.config_dict[PUSHES].registered = await read(request, Registered)
    return web.Response(status=204)


async def unregister(request: web.Request) -> web.Response:
    request.config_dict[PUSHES].registered = None
    return web.Response(status=204)


async def send(request: web.Request) -> web.Response:
    sent = await request.config_dict[PUSHES].send(await read(request, Wanted))
    return reply({"statuses": [push.status for push in sent]})


async def read(request: web.Request, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode((await request.read()).strip() or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refused("invalidValue", str(error)) from None


async def closing(app: web.Application) -> None:
    await app[PUSHES].close()


ROUTES = (
    web.get("/simulator/webhooks", show),
    web.post("/simulator/webhooks", register),
    web.delete("/simulator/webhooks", unregister),
    web.post("/simulator/webhooks/send", send),
)
