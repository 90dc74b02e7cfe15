"""Small logins, made from a seed, and what they truly hold in a form that can be compared."""

from __future__ import annotations

import random
from datetime import date, timedelta

import msgspec

from adapters.budget_insight.simulator.banks import PERSONAS_BANK
from adapters.budget_insight.simulator.french_accounts import iban
from adapters.budget_insight.simulator.statements import HeldAccount, Row, Statement

ROWS_MIN, ROWS_MAX = 5, 30
#: How far back the rows of a new login go: beyond what a window of 90 days shows.
DAYS_BACK = 120
BANK_CODE, BRANCH_CODE = 99_173, 4_022
TYPES = ("card", "transfer", "order", "check", "withdrawal", "bank")
SHOPS = ("EPICERIE DU COIN", "BOULANGERIE PAUL M", "LIBRAIRIE L'ENCRE", "GARE EXPRESS", "LOYER", "SALAIRE")


class TrueRow(msgspec.Struct, frozen=True, order=True):
    """A row as the bank holds it: `value` in minor units, `webid` the bank's own name of it."""

    date: date
    vdate: date | None
    value: int | None
    wording: str
    webid: str


class TrueAccount(msgspec.Struct, frozen=True):
    """An account as the bank holds it; amounts in minor units, rows sorted."""

    key: str
    number: str
    iban: str | None
    currency: str
    type: str
    closed: bool
    balance: int | None
    booked: list[TrueRow]
    pending: list[TrueRow]


class ShownAccount(msgspec.Struct, frozen=True):
    """An account of the API: which of its login's it is, and whether its rows can be read."""

    key: str
    enabled: bool
    deleted: bool


def make_statement(login: str, rng: random.Random, today: date) -> Statement:
    """Two accounts, the first with more rows; some have no IBAN, and some another currency."""
    accounts = []
    for key, kind, most in (("main", "checking", ROWS_MAX), ("savings", "savings", ROWS_MIN)):
        number = rng.randrange(10**10)
        held = HeldAccount(
            key=key,
            number=f"{number:011d}",
            original_name=f"Compte {key}",
            type=kind,
            currency="EUR" if key == "main" or rng.random() < 0.8 else "USD",
            balance=rng.randrange(-50_000, 500_000),
            iban=iban(BANK_CODE, BRANCH_CODE, number) if rng.random() < 0.7 else None,
            rows={},
        )
        accounts.append(held)
        for place in range(rng.randrange(ROWS_MIN, most + 1)):
            day = today - timedelta(days=rng.randrange(DAYS_BACK))
            held.load(make_row(rng, f"{key[0].upper()}{place}", day))
    return Statement(login, PERSONAS_BANK, accounts)


def make_row(rng: random.Random, webid: str, day: date, *, coming: bool = False) -> Row:
    wording = f"{rng.choice(SHOPS)} {rng.randrange(100):02d}"
    return Row(
        webid=webid,
        date=day,
        rdate=day - timedelta(days=rng.randrange(3)),
        vdate=None if coming else day,
        value=rng.choice((-1, -1, -1, 1)) * rng.randrange(1, 50_000),
        type=rng.choice(TYPES),
        original_wording=wording,
        simplified_wording=wording,
        coming=coming,
    )


def true_account(held: HeldAccount) -> TrueAccount:
    rows = [row for row in held.rows.values() if not row.gone]
    return TrueAccount(
        key=held.key,
        number=held.number,
        iban=held.iban,
        currency=held.currency,
        type=held.type,
        closed=held.closed,
        balance=held.balance,
        booked=sorted(true_row(row) for row in rows if not row.coming),
        pending=sorted(true_row(row) for row in rows if row.coming),
    )


def true_row(row: Row) -> TrueRow:
    return TrueRow(row.date, row.vdate, row.value, row.original_wording, row.webid)
