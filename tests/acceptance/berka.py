"""The Berka accounts, through the whole product, against the figures that were computed without it."""

from __future__ import annotations

import asyncio
import csv
import gzip
from collections import defaultdict
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.acceptance.harness import Client

CONCURRENCY = 8


def expected_totals(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "expected" / "account_totals.csv").open() as file:
        return {row["account_id"]: row for row in csv.DictReader(file)}


def expected_months(folder: Path) -> dict[str, dict[str, dict[str, str]]]:
    months: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    with gzip.open(folder / "expected" / "account_monthly.csv.gz", "rt") as file:
        for row in csv.DictReader(file):
            months[row["account_id"]][row["month"]] = row
    return months


async def check_accounts(
    client: Client, folder: Path, accounts: Sequence[str], progress: Callable[[], None] = lambda: None
) -> list[str]:
    """Connect, sync and compare each account. Returns what differs, a line each."""
    totals, months = expected_totals(folder), expected_months(folder)
    slots = asyncio.Semaphore(CONCURRENCY)
    differences: list[str] = []

    async def check(account: str) -> None:
        async with slots:
            differences.extend(await _check(client, account, totals[account], months[account]))
            progress()

    async with asyncio.TaskGroup() as group:
        for account in accounts:
            group.create_task(check(account))
    return differences


async def _check(
    client: Client, account: str, totals: dict[str, str], months: dict[str, dict[str, str]]
) -> list[str]:
    user = await client.a_user()
    await client.connect(user, account)
    latest = await client.sync(user)
    if {sync["status"] for sync in latest} != {"SUCCESS"}:
        return [f"{account}: the sync ended as {latest}"]
    cashflow = await client.qard("GET", f"/users/{user}/banking-cashflow")
    report = (await client.balances(user))["data"]["reports"]
    return [
        f"{account}: {what} is {seen}, expected {wanted}"
        for what, seen, wanted in _compared(cashflow, report, totals, months)
        if seen != wanted
    ]


def _compared(
    cashflow: Any, report: Any, totals: dict[str, str], months: dict[str, dict[str, str]]
) -> list[tuple[str, Any, Any]]:
    final = Decimal(totals["final_balance"])
    seen_months = {month["month"]: month for month in cashflow["months"]}
    pairs: list[tuple[str, Any, Any]] = [
        ("reports", len(report), 1),
        ("final balance", report[0]["balance"], {"amount": int(final * 100), "currency": "CZK"}),
        ("currency", cashflow["currency"], "CZK"),
        ("first month", cashflow["from_month"], min(months)),
        ("last month", cashflow["to_month"], max(months)),
        ("total income", cashflow["total_income"], Decimal(totals["inflow"])),
        ("total expense", cashflow["total_expense"], -Decimal(totals["outflow"])),
        ("last closing balance", cashflow["months"][-1]["closing_balance"], final),
        ("months that have transactions", sorted(m for m in seen_months if seen_months[m]["transactions_count"]), sorted(months)),
    ]  # fmt: skip
    for name, wanted in months.items():
        month = seen_months.get(name, {})
        pairs += [
            (f"{name} income", month.get("income"), Decimal(wanted["inflow"])),
            (f"{name} expense", month.get("expense"), -Decimal(wanted["outflow"])),
            (f"{name} transactions_count", month.get("transactions_count"), int(wanted["n"])),
        ]
    # The bank rounds on its own: walking back from the last reading, its drift ends in the first opening.
    pairs.append(
        ("first opening balance", cashflow["months"][0]["opening_balance"], Decimal(totals["rounding_drift"]))
    )
    return pairs
