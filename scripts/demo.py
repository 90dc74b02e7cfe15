"""`passbook demo`: the whole story, from a bank's login to a balances report, over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urljoin

import aiohttp
import msgspec
import typer
from rich.console import Console
from rich.table import Table

from scripts.options import stop, told_to_end

LOGIN, PASSWORD = "salaried", "1234"
DATA_TYPES = ["BANK_ACCOUNT", "BANK_TRANSACTION", "CASHFLOW", "CREDIT_INSIGHTS"]
READY_TIMEOUT = 30.0
SYNC_TIMEOUT = 60.0

console = Console(highlight=False)


class DemoFailed(Exception):
    """A step of the story did not answer as it should."""


def demo(
    exit_after: Annotated[bool, typer.Option("--exit", help="End after the story.")] = False,
) -> None:
    """Start the service and a simulated bank, drive the whole story, and leave both running until Ctrl-C."""
    folder = Path(tempfile.mkdtemp(prefix="passbook-demo-"))
    try:
        asyncio.run(_demo(folder, exit_after))
    except DemoFailed as error:
        stop(str(error))
    except KeyboardInterrupt:
        pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _demo(folder: Path, exit_after: bool) -> None:
    api_key = secrets.token_urlsafe(24)
    bank_port, port = _free_ports(2)
    bank, service = f"http://127.0.0.1:{bank_port}", f"http://127.0.0.1:{port}"
    environment = {
        **os.environ,
        "PASSBOOK_API_KEY": api_key,
        "PASSBOOK_BUDGET_INSIGHT_URL": bank,
        "PASSBOOK_WEBVIEW_URL": bank,
        "PASSBOOK_LOG_LEVEL": "WARNING",
    }
    async with (
        _command(folder / "bank.log", environment, "simulate", "--port", str(bank_port)),
        _command(
            folder / "service.log", environment, "serve", "--data", str(folder / "data"), "--port", str(port)
        ),
        aiohttp.ClientSession(headers={"X-API-KEY": api_key}) as session,
    ):
        await _wait_until_ready(session, service, folder)
        consumer_id = await _tell_the_story(session, service, api_key)
        if not exit_after:
            path = f"{service}/api/v6/users/{consumer_id}/banking-accounts"
            console.print(f"\n[bold]Try it yourself[/]\n  export PASSBOOK_KEY={api_key}", soft_wrap=True)
            console.print(f'  curl -H "X-API-KEY: $PASSBOOK_KEY" {path}', soft_wrap=True)
            console.print(f"  The API, described: {service}/docs")
            console.print(f"  The bank: {bank}\n\nBoth are running. Ctrl-C ends them.")
            await told_to_end().wait()


async def _tell_the_story(session: aiohttp.ClientSession, service: str, api_key: str) -> str:
    qard = f"{service}/api/v6"
    ask = _Teller(session)

    console.rule("Budget Insight is set up")
    credentials = {
        "domain": "BUDGET_INSIGHT_CUSTOM_DOMAIN",
        "client_id": "BUDGET_INSIGHT_CLIENT_ID",
        "client_secret": "BUDGET_INSIGHT_CLIENT_SECRET",
    }
    await ask("PUT", f"{qard}/providers/budget_insight/credentials", {"credentials": credentials})
    await ask("PUT", f"{qard}/providers/budget_insight/settings", {"auto_connect": True})
    await ask("PUT", f"{qard}/providers/budget_insight", {"enable": True})

    console.rule("A user connects the bank")
    user = await ask("POST", f"{qard}/users/natural", {"first_name": "Camille", "last_name": "Martin"})
    path = f"{qard}/users/{user['id']}"
    connection = await ask(
        "POST",
        f"{path}/data-connections",
        {"provider_name": "budget_insight", "requested_data_types": DATA_TYPES},
    )
    await _log_in(connection["redirect_url"])
    connection = await ask("GET", f"{path}/data-connections/{connection['id']}")
    _expect(connection["status"] == "CONNECTED", "the connection is not CONNECTED")

    console.rule("The data is synchronised")
    await ask("POST", f"{path}/sync", {"data_types": DATA_TYPES})
    await _wait_until_synced(session, path)
    await ask("GET", f"{path}/sync/latest")

    console.rule("The data is read")
    accounts = await ask("GET", f"{path}/banking-accounts")
    _expect(accounts["total"] > 0, "no account was found")
    account = accounts["result"][0]
    await ask(
        "GET", f"{path}/banking-accounts/{account['id']}/transactions?per_page=5", show=_show_transactions
    )
    await ask("GET", f"{path}/banking-credit-insights", show=_show_insights)
    await ask("GET", f"{path}/banking-cashflow", show=_show_cashflow)

    console.rule("The balances are reported")
    report = await ask(
        "POST",
        f"{service}/insights/v1/reports/balances/create",
        {"insights_consumer_id": user["id"]},
        headers={"Authorization": f"Token {api_key}"},
    )
    _expect(len(report["data"]["reports"]) == accounts["total"], "a report is missing")
    return user["id"]


class _Teller:
    """Asks, and shows what was asked and what came back."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def __call__(
        self, method: str, url: str, body: Any = None, *, headers: Any = None, show: Any = None
    ) -> Any:
        async with self._session.request(method, url, json=body, headers=headers) as response:
            raw = await response.read()
        console.print(
            f"\n[bold]{method}[/] {url.partition('://')[2].partition('/')[2] or '/'}", soft_wrap=True
        )
        if body is not None:
            console.print(
                f"  [dim]{_shortened(msgspec.json.encode(body).decode())}[/]", markup=True, soft_wrap=True
            )
        console.print(f"  → {response.status}")
        if not response.ok:
            raise DemoFailed(f"{method} {response.url.path} answered {response.status}: {raw.decode()[:400]}")
        answer = msgspec.json.decode(raw) if raw else None
        if show:
            show(answer)
        elif answer is not None:
            console.print_json(raw.decode())
        return answer


def _shortened(text: str) -> str:
    return text if len(text) < 400 else text[:400] + " …"


def _show_transactions(page: Any) -> None:
    table = Table(
        "value date", "amount", "type", "description", title=f"{page['total']} transactions, newest first"
    )
    table.columns[1].justify = "right"
    for row in page["result"]:
        amount = f"{row['amount']:.2f} {row['currency']}"
        table.add_row(row["value_date"][:10], amount, row["transaction_type"], row["description"])
    console.print(table)


def _show_insights(insights: Any) -> None:
    table = Table("cash flow", "type", "total", "rows", title="The largest cash flows of the year")
    table.columns[2].justify = "right"
    for flow in insights["cash_flows"][:8]:
        table.add_row(flow["label_root"], flow["type"], flow["total_amount"], str(len(flow["transactions"])))
    console.print(table)
    console.print(f"  days in hard overdraft: {insights['risks']['overdraft']['duration']}")


def _show_cashflow(cashflow: Any) -> None:
    names = ("month", "income", "expense", "net", "opening_balance", "closing_balance")
    table = Table(*(name.replace("_", " ") for name in names), title=f"Cash flow, {cashflow['currency']}")
    for column in table.columns[1:]:
        column.justify = "right"
    for month in cashflow["months"]:
        table.add_row(month["month"], *(f"{month[name]:.2f}" for name in names[1:]))
    console.print(table)


async def _log_in(address: str) -> None:
    """Do what the person does: open the link, fill in the bank's form, and come back."""
    async with aiohttp.ClientSession() as browser:
        async with browser.get(address) as response:
            page, form_address = await response.text(), str(response.url)
        _expect(response.ok, "the link does not lead to the bank's page")
        action = re.search(r'<form[^>]*action="([^"]*)"', page)
        form_address = urljoin(form_address, unescape(action[1])) if action else form_address
        async with browser.post(form_address, data={"login": LOGIN, "password": PASSWORD}) as response:
            _expect(response.ok, "the bank's login did not lead back")
    console.print(f"\n[bold]The person[/] opens redirect_url, logs in as `{LOGIN}`, and is back.")


async def _wait_until_synced(session: aiohttp.ClientSession, path: str) -> None:
    async with asyncio.timeout(SYNC_TIMEOUT):
        while True:
            async with session.get(f"{path}/sync/latest") as response:
                statuses = {sync["status"] for sync in await response.json()}
            if statuses == {"SUCCESS"}:
                return
            _expect(statuses <= {"QUEUED", "FETCHING", "SUCCESS"}, f"the sync ended as {sorted(statuses)}")
            await asyncio.sleep(0.1)


async def _wait_until_ready(session: aiohttp.ClientSession, service: str, folder: Path) -> None:
    try:
        async with asyncio.timeout(READY_TIMEOUT):
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"{service}/readyz") as response:
                        if response.ok:
                            return
                await asyncio.sleep(0.05)
    except TimeoutError:
        said = "\n".join(path.read_text() for path in sorted(folder.glob("*.log")))
        raise DemoFailed(f"the service did not become ready:\n{said}") from None


@contextlib.asynccontextmanager
async def _command(log: Path, environment: dict[str, str], *arguments: str) -> AsyncIterator[None]:
    """One of our own commands, running in the background until the end of the block."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "scripts.cli", *arguments],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for the demo, which ends its commands in order.
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(process.wait, 10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _expect(claim: bool, otherwise: str) -> None:
    if not claim:
        raise DemoFailed(otherwise)
