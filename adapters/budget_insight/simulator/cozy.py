"""Operations that Budget Insight once recorded, and the invented ones of a demonstration, from the tests of
Cozy Banks: each account a login of its own.

A login bears the data's name of the account: `bnp-current`, `bnp-savings` and `sandbox-1` of `operations.csv`;
`demo-compteisa1` is the account `compteisa1` of `demo.json` in `fictional_persona_operations.csv`. An account
that had several ids at Budget Insight, one after each reconnection, is one account here.

What the data does not say:

* Balances. An account starts at nothing, so that its balance is the sum of its booked rows.
* Types of accounts. One whose name says so is a savings account, the others are checking accounts.
* Types of operations. They follow from how the wording begins, as they do at Budget Insight.
* When a row was touched: then Cozy imported it, or at noon of its own day where that was not kept either.

All values are in euros. Another currency beside one is that of the original amount, which was not kept.
A value that is missing stays missing, and a coming row stays coming. Categories are Budget Insight's; those
of Cozy are left out. Dates and wordings that are missing are filled from the row's own: the day of the order
with the day of booking, the bank's wording with Cozy's.
"""

import csv
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from msgspec.structs import replace

from adapters.budget_insight.simulator.render import to_minor
from adapters.budget_insight.simulator.statements import UNCATEGORISED, HeldAccount, Row, Statement
from adapters.budget_insight.simulator.wordings import powens_type

BANK = "Banque Douillet"
CURRENCY = "EUR"
NOON = "12:00:00"
OPERATIONS = "operations.csv"
PERSONAS = "fictional_persona_operations.csv"

SAVINGS = "savings"
Record = dict[str, str]


class CozyLogins:
    """Serves a folder with `operations.csv` and `fictional_persona_operations.csv`; read at the first login."""

    bank = BANK

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def recognises(folder: Path) -> bool:
        return all((folder / name).is_file() for name in (OPERATIONS, PERSONAS))

    def names(self) -> list[str]:
        return sorted(self._rows)

    def describes(self, name: str) -> str:
        rows = self._rows[name]
        return f"{len(rows)} operations, {rows[0].date} to {rows[-1].date}"

    def statement(self, name: str) -> Statement | None:
        if name not in self._rows:
            return None
        return Statement(login=name, bank=BANK, accounts=[self._account(name)])

    def _account(self, name: str) -> HeldAccount:
        rows = self._rows[name]
        account = HeldAccount(
            key="0",
            number=name,
            original_name=name,
            type="savings" if SAVINGS in name else "checking",
            currency=CURRENCY,
            balance=0,
            as_of=max(row.stamped for row in rows if row.stamped),
            rows={},
        )
        for row in rows:
            account.put(row)
        return account

    @cached_property
    def _rows(self) -> dict[str, list[Row]]:
        """The rows of each login, oldest day first, and of one day in the order of the file."""
        by_login: dict[str, dict[str, Row]] = {}
        for record in self._read(OPERATIONS):
            rows = by_login.setdefault(record["account"], {})
            put(rows, record["id"], recorded(record))
        for record in self._read(PERSONAS):
            login = f"{Path(record['file']).stem}-{record['account']}"
            put(by_login.setdefault(login, {}), "", invented(record))
        return {login: sorted(rows.values(), key=lambda row: row.date) for login, rows in by_login.items()}

    def _read(self, name: str) -> list[Record]:
        with (self._folder / name).open(newline="", encoding="utf-8") as lines:
            return list(csv.DictReader(lines))


def put(rows: dict[str, Row], id: str, row: Row) -> None:
    """Keep a row under its id; one without, or whose id was copied, gets its place in the account instead."""
    webid = id if id and id not in rows else f"N{len(rows)}"
    rows[webid] = replace(row, webid=webid)


def recorded(record: Record) -> Row:
    booked_on = date.fromisoformat(record["date"])
    wording = record["original_wording"] or record["label"]
    return Row(
        webid=record["id"],
        date=booked_on,
        rdate=day(record["rdate"]) or booked_on,
        vdate=day(record["vdate"]),
        application_date=day(record["application_date"]),
        value=minor(record["value"]),
        type=powens_type(wording),
        original_wording=wording,
        simplified_wording=record["label"],
        category=int(record["powens_category_id"] or UNCATEGORISED),
        coming=record["coming"] == "1",
        original_currency=record["currency"] if record["currency"] != CURRENCY else None,
        stamped=record["date_import"].replace("T", " ") or f"{record['date']} {NOON}",
    )


def invented(record: Record) -> Row:
    booked_on = date.fromisoformat(record["date"])
    return Row(
        webid="",
        date=booked_on,
        rdate=booked_on,
        value=minor(record["amount"]),
        type=powens_type(record["label"]),
        original_wording=record["label"],
        simplified_wording=record["label"],
        stamped=f"{record['date']} {NOON}",
    )


def day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def minor(text: str) -> int | None:
    return to_minor(Decimal(text), CURRENCY) if text else None
