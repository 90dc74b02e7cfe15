"""Operations that Budget Insight recorded, through the whole product, against figures computed without it."""

from __future__ import annotations

import asyncio
import csv
from collections import Counter, defaultdict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

from tests.acceptance.harness import Client, product

CONCURRENCY = 8


class Line(NamedTuple):
    """A row as the data has it. Days are `YYYY-MM-DD`."""

    booked_on: str
    initiated_on: str
    value_on: str
    amount: Decimal | None
    wording: str
    coming: bool


class Month(NamedTuple):
    count: int
    income: Decimal
    expense: Decimal
    net: Decimal


def lines_of(folder: Path) -> dict[str, list[Line]]:
    """All lines by login. What is missing is read from the row's own, as the bank's loader says."""
    lines: dict[str, list[Line]] = defaultdict(list)
    for row in rows_of(folder / "operations.csv"):
        line = Line(
            booked_on=row["date"],
            initiated_on=row["rdate"] or row["date"],
            value_on=row["vdate"] or row["date"],
            amount=Decimal(row["value"]) if row["value"] else None,
            wording=row["original_wording"] or row["label"],
            coming=row["coming"] == "1",
        )
        lines[row["account"]].append(line)
    for row in rows_of(folder / "fictional_persona_operations.csv"):
        login = f"{row['file'].removesuffix('.json')}-{row['account']}"
        day = row["date"]
        lines[login].append(Line(day, day, day, Decimal(row["amount"]), row["label"], coming=False))
    return lines


def rows_of(path: Path) -> Iterable[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def expected_months(folder: Path) -> dict[str, dict[str, Month]]:
    """By account and month: the booked rows that have an amount, by `date`."""
    months: dict[str, dict[str, Month]] = defaultdict(dict)
    for row in rows_of(folder / "expected" / "monthly.csv"):
        inflow, outflow, net = (Decimal(row[name]) for name in ("inflow", "outflow", "net"))
        months[row["account"]][row["month"]] = Month(int(row["n"]), inflow, -outflow, net)
    return months


def summed_months(lines: Iterable[Line]) -> dict[str, Month]:
    """The same for an account that the expected figures leave out."""
    amounts: dict[str, list[Decimal]] = defaultdict(list)
    for line in lines:
        if line.amount is not None and not line.coming:
            amounts[line.booked_on[:7]].append(line.amount)
    return {
        month: Month(
            count=len(found),
            income=sum((amount for amount in found if amount > 0), Decimal()),
            expense=sum((amount for amount in found if amount < 0), Decimal()),
            net=sum(found, Decimal()),
        )
        for month, found in amounts.items()
    }


async def test_the_months_of_every_account_agree_to_the_cent(tmp_path: Path, cozy: Path) -> None:
    lines, expected = lines_of(cozy), expected_months(cozy)
    assert set(expected) <= set(lines)
    async with product(tmp_path, data_set=cozy) as (client, _, _):
        await client.set_up()
        slots = asyncio.Semaphore(CONCURRENCY)

        async def check(login: str) -> list[str]:
            async with slots:
                months = expected.get(login) or summed_months(lines[login])
                return await differences(client, login, lines[login], months)

        found = await asyncio.gather(*map(check, lines))
    assert [difference for of_login in found for difference in of_login] == []


async def differences(client: Client, login: str, lines: list[Line], months: dict[str, Month]) -> list[str]:
    """Connect, sync twice and compare. Returns what differs, a line each."""
    user = await client.a_user()
    await client.connect(user, login)
    for _ in range(2):
        latest = await client.sync(user)
        if {sync["status"] for sync in latest} != {"SUCCESS"}:
            return [f"{login}: the sync ended as {latest}"]
    cashflow = await client.qard("GET", f"/users/{user}/banking-cashflow")
    (account,) = await client.everything(f"/users/{user}/banking-accounts")
    shown = await client.everything(f"/users/{user}/banking-accounts/{account['id']}/transactions")
    pairs = [
        *compared_months(cashflow, months),
        *compared_rows(shown, [line for line in lines if not line.coming]),
    ]
    return [f"{login}: {what} is {seen}, expected {wanted}" for what, seen, wanted in pairs if seen != wanted]


def compared_months(cashflow: Any, months: dict[str, Month]) -> list[tuple[str, Any, Any]]:
    seen = {
        month["month"]: Month(month["transactions_count"], month["income"], month["expense"], month["net"])
        for month in cashflow["months"]
        if month["transactions_count"]
    }
    return [
        ("currency", cashflow["currency"], "EUR"),
        ("months that have transactions", sorted(seen), sorted(months)),
        # The bank's balance is the sum of what was booked, so that walking back from it ends at nothing.
        ("first opening balance", [month["opening_balance"] for month in cashflow["months"][:1]], [0]),
        *((name, seen.get(name), wanted) for name, wanted in months.items()),
    ]


def compared_rows(shown: list[Any], lines: list[Line]) -> list[tuple[str, Any, Any]]:
    """Every row, also one without an amount, which no sum would miss."""
    seen = Counter(
        (row["initiated_at"][:10], row["value_date"][:10], row["amount"], row["description"] or "")
        for row in shown
    )
    wanted = Counter((line.initiated_on, line.value_on, line.amount, line.wording) for line in lines)
    return [
        ("number of rows", len(shown), len(lines)),
        ("rows too many", list((seen - wanted).elements())[:3], []),
        ("rows missing", list((wanted - seen).elements())[:3], []),
    ]
