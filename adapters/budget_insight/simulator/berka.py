"""The accounts of a Czech bank from 1993 to 1998 (PKDD'99), each one a login.

The file's balance column is the truth: amounts and balances were rounded apart, so a sum of amounts may
drift from it by less than a koruna. Every row and reading bears noon of its own day in Paris, whatever
the clock says, because a reading is only true for the day it was taken.
"""

import csv
import gzip
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from functools import cached_property
from pathlib import Path

from adapters.budget_insight.simulator.render import to_minor
from adapters.budget_insight.simulator.statements import Counterparty, HeldAccount, Row, Statement

BANK = "Česká cvičná banka"
CURRENCY = "CZK"
NOON = "12:00:00"
ADDS = "PRIJEM"

TYPE_OF_SYMBOL = {"UROK": "bank", "SANKC. UROK": "bank", "SLUZBY": "bank", "UVER": "loan_repayment"}
TYPE_OF_OPERATION = {
    "VKLAD": "deposit",
    "VYBER": "withdrawal",
    "VYBER KARTOU": "card",
    "PREVOD Z UCTU": "transfer",
    "PREVOD NA UCET": "transfer",
}
# Household payments, insurance and leasing leave by permanent order.
ORDERED_SYMBOLS = {"SIPO", "POJISTNE", "LEASING"}


class BerkaLogins:
    """Serves a folder with `account.csv` and `transactions.csv.gz`; read at the first login."""

    bank = BANK

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def recognises(folder: Path) -> bool:
        return all((folder / name).is_file() for name in ("account.csv", "transactions.csv.gz"))

    def names(self) -> list[str]:
        """Return the account ids, smallest first."""
        return sorted(self._opened, key=int)

    def describes(self, name: str) -> str:
        return f"account {name} of a Czech bank, opened {self._opened[name]}"

    def statement(self, name: str) -> Statement | None:
        if name not in self._opened:
            return None
        return Statement(login=name, bank=BANK, accounts=[self._account(name)])

    def _account(self, name: str) -> HeldAccount:
        records = list(csv.DictReader([self._header, *self._lines.get(name, ())]))
        records.sort(key=lambda record: (record["date"], int(record["seq"])))
        opened = self._opened[name]
        account = HeldAccount(
            key="0",
            number=name,
            original_name=f"Běžný účet {name}",
            type="checking",
            currency=CURRENCY,
            # An account outside the slices has no reading at all.
            balance=minor(records[-1]["balance"]) if records else None,
            opening_date=date.fromisoformat(opened),
            as_of=f"{records[-1]['date'] if records else opened} {NOON}",
            rows={},
        )
        for record in records:
            account.load(row(record))
        return account

    @cached_property
    def _opened(self) -> dict[str, str]:
        with (self._folder / "account.csv").open(newline="", encoding="utf-8") as lines:
            return {record["account_id"]: record["date"] for record in csv.DictReader(lines)}

    @cached_property
    def _lines(self) -> dict[str, list[str]]:
        """Index the lines by account, unparsed: a row becomes objects only when it is asked for."""
        lines = self._read()
        account_column = next(lines).split(",").index("account_id")
        by_account: dict[str, list[str]] = {}
        for line in lines:
            account_id = line.split(",", account_column + 1)[account_column]
            by_account.setdefault(account_id, []).append(line)
        return by_account

    @cached_property
    def _header(self) -> str:
        return next(self._read())

    def _read(self) -> Iterator[str]:
        path = self._folder / "transactions.csv.gz"
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            yield from lines


def row(record: dict[str, str]) -> Row:
    booked_on = date.fromisoformat(record["date"])
    amount = minor(record["amount"])
    codes = [record["operation"] or record["type"], record["k_symbol"]]
    partner = [record["bank"], record["partner_account"]]
    return Row(
        webid=record["trans_id"],
        date=booked_on,
        rdate=booked_on,
        value=amount if record["type"] == ADDS else -amount,
        type=powens_type(record["operation"], record["k_symbol"]),
        original_wording=" ".join(filter(None, codes + partner)),
        simplified_wording=" ".join(filter(None, codes)),
        counterparty=counterparty(record),
        stamped=f"{record['date']} {NOON}",
    )


def powens_type(operation: str, symbol: str) -> str:
    if symbol in TYPE_OF_SYMBOL:
        return TYPE_OF_SYMBOL[symbol]
    if operation == "PREVOD NA UCET" and symbol in ORDERED_SYMBOLS:
        return "order"
    return TYPE_OF_OPERATION.get(operation, "unknown")


def counterparty(record: dict[str, str]) -> Counterparty | None:
    if not record["partner_account"]:
        return None
    return Counterparty(
        label=" ".join(filter(None, [record["bank"], record["partner_account"]])),
        account_scheme_name="bban",
        account_identification=record["partner_account"],
        type="debtor" if record["type"] == ADDS else "creditor",
    )


def minor(text: str) -> int:
    return to_minor(Decimal(text), CURRENCY)
