"""A bank that does what banks do to their rows, and knows what is true."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from domain.transactions import Transaction
from tests.domain.examples import MONDAY, a_transaction

MINUTE = timedelta(minutes=1)
CHANGES = [
    *("spend", "spend", "post", "twin", "book", "book anew", "book anew", "drop", "bring back"),
    *("edit", "make pending", "delete", "undelete", "older rows"),
]
AMOUNTS = [-4235, -4235, -4300, -100, 4235, 0]


class Bank:
    """Its clock counts minutes from Monday; every change takes one."""

    def __init__(self) -> None:
        self.rows: dict[str, Transaction] = {}
        self.dropped: dict[str, Transaction] = {}
        self.booked: set[str] = set()
        """Rows that were booked at some time: such a one is taken back by name, and not dropped."""
        self.made = 0
        self.minute = 0

    @property
    def now(self) -> datetime:
        return MONDAY + self.minute * MINUTE

    def show(self, **fields) -> None:
        self.made += 1
        self.put(a_transaction(str(self.made), seen_at=self.now, **fields))

    def put(self, row: Transaction, **changes) -> None:
        row = msgspec.structs.replace(row, touched_at=self.now, **changes)
        self.rows[row.reference] = row
        if not row.pending:
            self.booked.add(row.reference)

    def drop(self, row: Transaction) -> None:
        if row.reference in self.booked:
            self.put(row, deleted=True)
        else:
            self.dropped[row.reference] = self.rows.pop(row.reference)

    def nth(self, number: int, *, pending: bool | None = None, deleted: bool = False) -> Transaction | None:
        fitting = [
            row
            for row in self.rows.values()
            if row.deleted == deleted and pending in (None, row.pending)
        ]  # fmt: skip
        return fitting[number % len(fitting)] if fitting else None

    def do(self, what: str, number: int, day: int, amount: int) -> None:
        self.minute += 1
        wording = ("EPICERIE DU COIN", "SNCF", "PAIEMENT EN COURS SNCF", None)[number % 4]
        webid = {"webid": f"T{number % 3}"} if number % 5 == 0 else {}
        match what:
            case "spend" | "post":
                pending = what == "spend"
                self.show(booked_on=day, amount=amount, wording=wording, pending=pending, fields=webid)
            case "twin" if row := self.nth(number):
                self.show(
                    booked_on=row.booked_on, amount=row.amount, wording=row.wording,
                    pending=row.pending, fields=row.fields,
                )  # fmt: skip
            case "book" if row := self.nth(number, pending=True):
                self.put(row, pending=False, booked_on=row.booked_on + 1)
            case "book anew" if row := self.nth(number, pending=True):
                if number % 2:
                    self.put(row, deleted=True)
                else:
                    self.drop(row)
                self.show(
                    booked_on=row.booked_on + number % 13,
                    amount=row.amount if number % 3 else amount,
                    wording=row.wording if number % 4 else wording,
                    fields=row.fields,
                )
            case "drop" if row := self.nth(number, pending=True):
                self.drop(row)
            case "bring back" if self.dropped:
                self.put(self.dropped.pop(sorted(self.dropped)[number % len(self.dropped)]))
            case "edit" if row := self.nth(number):
                self.put(row, amount=amount, wording=wording)
            case "make pending" if row := self.nth(number, pending=False):
                self.put(row, pending=True)
            case "delete" if row := self.nth(number):
                self.put(row, deleted=True)
            case "undelete" if row := self.nth(number, deleted=True):
                self.put(row, deleted=False, booked_on=day)
            case "older rows":
                self.show(booked_on=day, amount=amount, wording=wording)
                oldest = self.rows[str(self.made)]
                self.rows[oldest.reference] = msgspec.structs.replace(oldest, touched_at=MONDAY)
