"""Pushes of the simulated bank, as a receiver that knows nothing of it but the protocol sees them."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner

from adapters.budget_insight.simulator import WebhookOptions
from scripts.cli import build
from tests.simulator.conftest import Served

SECRET = "hush"


class Receiver:
    def __init__(self) -> None:
        self.got: list[tuple[str, bytes, Any]] = []
        self.status = 204
        self.address = ""

    async def take(self, request: web.Request) -> web.Response:
        self.got.append((request.path, await request.read(), request.headers))
        return web.Response(status=self.status)

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.got) < count:
                await asyncio.sleep(0.01)

    @property
    def events(self) -> list[str]:
        return [path.rpartition("/")[2] for path, _, _ in self.got]

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body, _ in self.got]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    # What is sent compressed is to be seen as it came.
    app = web.Application(client_max_size=2**24)
    app.router.add_post("/hooks/{event}", receiver.take)
    runner = web.AppRunner(app, access_log=None, auto_decompress=False)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.address = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks"
    yield receiver
    await runner.cleanup()


def is_signed(path: str, body: bytes, headers: Any) -> bool:
    said = b"POST." + path.encode() + b"." + headers["BI-Signature-Date"].encode() + b"." + body
    mac = base64.b64encode(hmac.digest(SECRET.encode(), said, "sha256")).decode()
    return headers.get("BI-Signature") == mac


async def test_a_sync_is_pushed_with_what_is_new(served: Served, receiver: Receiver) -> None:
    api = await served(webhooks=WebhookOptions(to=receiver.address, secret=SECRET))
    token = await api.user()
    connection = int(await api.connect(token, "salaried"))
    accounts = await api.accounts(token)
    await receiver.wait_for(len(accounts) + 1)
    assert set(receiver.events) == {"ACCOUNT_SYNCED", "CONNECTION_SYNCED"}
    assert receiver.events[-1] == "CONNECTION_SYNCED"
    assert all(is_signed(*got) for got in receiver.got)
    ids = [body["id_webhook_data"] for body in receiver.bodies]
    assert len(set(ids)) == len(ids)
    last = receiver.bodies[-1]
    assert last["connection"]["id"] == connection and last["user"]["id"] == last["connection"]["id_user"]
    assert last["connection"]["accounts"][0]["transactions"]
    _, _, headers = receiver.got[-1]
    age = datetime.now(UTC) - datetime.fromisoformat(headers["BI-Signature-Date"])
    assert abs(age) < timedelta(minutes=1), "of the machine's time, although the clock stands"

    count = len(receiver.got)
    await api.post(f"/simulator/connections/{connection}/state", json={"state": "SCARequired"})
    await receiver.wait_for(count + 1)
    failed = receiver.bodies[-1]["connection"]
    assert (failed["state"], failed["accounts"]) == ("SCARequired", [])
    await api.call("DELETE", f"/2.0/users/me/connections/{connection}", token)
    await api.call("DELETE", "/2.0/users/me", token)
    await receiver.wait_for(count + 3)
    assert sorted(receiver.events[-2:]) == ["CONNECTION_DELETED", "USER_DELETED"]
    shown = (await api.get("/simulator/webhooks")).body
    assert {sent["status"] for sent in shown["sent"]} == {204}


async def test_as_unreliable_as_it_is_told_to_be(served: Served, receiver: Receiver) -> None:
    api = await served()
    token = await api.user()
    connection = await api.connect(token, "salaried")
    accounts = await api.accounts(token)
    assert receiver.got == []
    told = {
        "to": receiver.address, "secret": SECRET, "copies": 2, "reverse": True, "packing": "signed packed",
        "delay_seconds": 0.05,
    }  # fmt: skip
    assert (await api.post("/simulator/webhooks", json=told)).status == 204
    await api.post(f"/simulator/connections/{connection}/sync")
    await receiver.wait_for(2 * len(accounts) + 2)
    assert receiver.events[:2] == ["CONNECTION_SYNCED"] * 2 and receiver.events[-1] == "ACCOUNT_SYNCED"
    assert receiver.got[0][1] == receiver.got[1][1]
    for path, body, headers in receiver.got:
        assert is_signed(path, body, headers) and headers["Content-Encoding"] == "gzip"
        assert "id_webhook_data" in json.loads(gzip.decompress(body))
    await api.call("DELETE", "/simulator/webhooks")
    count = len(receiver.got)
    await api.post(f"/simulator/connections/{connection}/sync")
    await asyncio.sleep(0.1)
    assert len(receiver.got) == count


async def test_one_push_on_demand(served: Served, receiver: Receiver) -> None:
    api = await served()
    assert (await api.post("/simulator/webhooks/send", json={})).status == 409
    await api.post("/simulator/webhooks", json={"to": receiver.address, "secret": SECRET})

    async def sent(**wanted: Any) -> bool:
        wanted = {"connection": 5, "user": 7, **wanted}
        assert (await api.post("/simulator/webhooks/send", json=wanted)).body == {
            "statuses": [receiver.status]
        }
        path, body, headers = receiver.got[-1]
        plain = gzip.decompress(body) if "Content-Encoding" in headers else body
        return is_signed(path, plain if wanted.get("packing") == "signed plain" else body, headers)

    assert await sent() and receiver.bodies[-1]["connection"] == {
        "id": 5, "id_user": 7, "state": None, "accounts": [],
    }  # fmt: skip
    assert await sent(id=42) and receiver.bodies[-1]["id_webhook_data"] == 42
    assert await sent(id=None) and "id_webhook_data" not in receiver.bodies[-1]
    assert await sent(raw="no JSON") and receiver.got[-1][1] == b"no JSON"
    assert await sent(packing="signed plain") and await sent(packing="signed packed")
    for forge in ("unsigned", "secret", "body", "path", "date"):
        assert not await sent(forge=forge), forge
    receiver.status = 500
    assert await sent(age_seconds=3_600)
    date = datetime.fromisoformat(receiver.got[-1][2]["BI-Signature-Date"])
    assert timedelta(minutes=59) < datetime.now(UTC) - date < timedelta(minutes=61)
    assert (await api.post("/simulator/webhooks/send", json={"forge": "else"})).status == 400
    await api.post("/simulator/webhooks", json={"to": "http://127.0.0.1:1/hooks", "secret": SECRET})
    assert (await api.post("/simulator/webhooks/send", json={})).body == {"statuses": [None]}
    await api.post("/simulator/reset")
    assert (await api.get("/simulator/webhooks")).body == {"registered": False, "sent": []}


def test_an_address_and_a_secret_go_together() -> None:
    for given in (["--webhooks-to", "http://127.0.0.1:1"], ["--webhook-secret", SECRET]):
        done = CliRunner().invoke(build(), ["simulate", "--list", *given])
        assert done.exit_code == 1 and "go together" in done.output
    both = ["--webhooks-to", "http://127.0.0.1:1/", "--webhook-secret", SECRET]
    assert CliRunner().invoke(build(), ["simulate", "--list", *both]).exit_code == 0
