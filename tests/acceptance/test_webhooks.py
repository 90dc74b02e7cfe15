"""Pushes over real processes: the bank tells that something is new, and Passbook shows it although nobody asked for
a sync. What is forged, replayed, late or of strangers changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import aiohttp

from tests.acceptance.harness import CREDENTIALS, Client, PassbookProcess, passbook, simulated_bank
from tests.acceptance.hostile import Witness

SECRET = "shared-with-the-bank-only"
LOGIN = "salaried"
WAIT = 15.0
PAUSE = 0.4


class Bank:
    """The bank's control door."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(method, f"{self._address}/simulator/{path}", json=body) as response:
            assert response.status < 300, await response.text()
            return await response.json() if response.status != 204 else None

    async def account(self) -> str:
        return (await self.ask("GET", f"logins/{LOGIN}"))["accounts"][0]["account"]

    async def book(self, wording: str) -> None:
        row = {"date": "2026-03-02", "value": -12.34, "wording": wording, "type": "card"}
        await self.ask("POST", f"logins/{LOGIN}/accounts/{await self.account()}/transactions", row)

    async def send(self, **wanted: Any) -> list[int]:
        return (await self.ask("POST", "webhooks/send", wanted))["statuses"]

    async def statuses(self) -> list[int]:
        return [sent["status"] for sent in (await self.ask("GET", "webhooks"))["sent"]]


async def descriptions(client: Client, user: str) -> list[str]:
    found = []
    for account in await client.everything(f"/users/{user}/banking-accounts"):
        rows = await client.everything(f"/users/{user}/banking-accounts/{account['id']}/transactions")
        found += [str(row) for row in rows]
    return found


async def shown(client: Client, user: str, wording: str) -> int:
    """How many rows show it, once any does."""
    async with asyncio.timeout(WAIT):
        while not (rows := [row for row in await descriptions(client, user) if wording in row]):
            await asyncio.sleep(0.1)
    return len(rows)


async def quiet(witness: Witness, process: PassbookProcess) -> tuple[int, ...]:
    """The head of the log, once nothing is under way any more."""
    head = witness.head()
    async with asyncio.timeout(WAIT):
        while True:
            await asyncio.sleep(PAUSE + 0.7)
            if witness.head() == head:
                return head
            head = witness.head()


async def test_a_push_brings_what_is_new_and_a_false_one_nothing(tmp_path: Path) -> None:
    async with (
        simulated_bank(scheduled_syncs=False) as address,
        passbook(tmp_path / "data", address, PASSBOOK_WEBHOOK_PAUSE=str(PAUSE)) as process,
        aiohttp.ClientSession() as session,
    ):
        client, bank = Client(session, process.address), Bank(session, address)
        await client.set_up()
        credentials = {"credentials": {**CREDENTIALS, "webhook_secret": SECRET}}
        await client.qard("PUT", "/providers/budget_insight/credentials", credentials, expect=204)
        registered = (await client.ask("GET", "/v1/providers/budget_insight/webhooks", expect=200)).body
        assert registered["webhook_secret_set"]
        to = registered["addresses"]["CONNECTION_SYNCED"].removesuffix("/CONNECTION_SYNCED")
        user = await client.a_user()
        await client.connect(user, LOGIN)
        await client.sync(user)
        connection = (await bank.ask("GET", "connections"))["connections"][0]
        whose = {"connection": connection["id"], "user": connection["id_user"]}

        # Unreliable, and true.
        unreliable = {"to": to, "secret": SECRET, "copies": 3, "reverse": True, "packing": "signed plain"}
        await bank.ask("POST", "webhooks", unreliable)
        await bank.book("PUSHED ONE")
        assert await shown(client, user, "PUSHED ONE") == 1
        await bank.ask("POST", "webhooks", {"to": to, "secret": SECRET, "packing": "signed packed"})
        await bank.book("PUSHED TWO")
        assert await shown(client, user, "PUSHED TWO") == 1
        assert set(await bank.statuses()) == {204}

        # A client's sync makes the bank push: one more look, and no more than that.
        with contextlib.closing(Witness(process.data)) as witness:
            await client.sync(user)
            await quiet(witness, process)
            names = witness.facts("data_connection")
            assert names.count("SyncSucceeded") == 5 and names.count("SyncRequested") == 2

            head = await quiet(witness, process)
            for forge in ("unsigned", "secret", "body", "path", "date"):
                assert await bank.send(**whose, forge=forge) == [401], forge
            assert await bank.send(**whose, age_seconds=86_500) == [401]
            assert await bank.send(**whose, age_seconds=-400) == [401]
            # Signed well, and of no use.
            assert await bank.send(**whose, id=900_001) == [204], "the bank's first one again"
            assert await bank.send(connection=1, user=whose["user"], copies=3) == [204] * 3
            assert await bank.send(connection=whose["connection"], user=1) == [204]
            assert await bank.send(event="USER_DELETED", user=1) == [204]
            assert await bank.send(**whose, event="SUBSCRIPTION_FOUND") == [204]
            assert await bank.send(**whose, raw="0130004    00001EUR2") == [204]
            await bank.ask("POST", "webhooks", {"to": f"{to[:-48]}{'0' * 48}", "secret": SECRET})
            assert await bank.send(**whose) == [404]
            assert await quiet(witness, process) == head

            # Late, and for the first time; then again after a restart.
            await bank.ask("POST", "webhooks", {"to": to, "secret": SECRET})
            assert await bank.send(**whose, id=77, age_seconds=86_000, copies=2) == [204, 204]
            moved = await quiet(witness, process)
            assert moved != head
            process.kill()
            process.launch()
            await process.ready()
            assert await bank.send(**whose, id=77) == [204]
            assert await quiet(witness, process) == moved
        audit = process.command("replay-audit")
        assert audit.returncode == 0, audit.stdout + audit.stderr
        said = process.log.read_text()
        assert SECRET not in said and to not in said and "Traceback" not in said
