"""People in Budget Insight's own format, `BUDGET_INSIGHT_V2_0`: each file of a folder is a login, named by its path.

`fr/harry_potter` is the file `fr/harry_potter.json`. The accounts of all its connections are those of one login. An
operation's day is the UTC day of its `date`, or of its `rdate` where that is missing; ids repeat in these files, so
that a row is named by the places of its account and of itself. Types of operations follow from their wordings.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cached_property
from json import loads
from pathlib import Path
from typing import Any

from adapters.budget_insight.simulator.clock import paris_text
from adapters.budget_insight.simulator.render import to_minor
from adapters.budget_insight.simulator.statements import HeldAccount, Row, Statement
from adapters.budget_insight.simulator.wordings import powens_type

BANK = "Banque des Personnages"
FORMAT = "BUDGET_INSIGHT_V2_0"
CURRENCY = "EUR"
#: What a file of any size must hold near its beginning to be one of these.
HEAD_SIZE = 256


class PersonaFileLogins:
    """Serves a folder of persona files, also in folders below it."""

    bank = BANK

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @staticmethod
    def recognises(folder: Path) -> bool:
        return any(map(is_persona, folder.rglob("*.json")))

    def names(self) -> list[str]:
        return sorted(self._files)

    def describes(self, name: str) -> str:
        accounts = self._read(name)
        rows = sum(len(account["transactions"]) for account in accounts)
        return f"{len(accounts)} accounts, {rows} operations"

    def statement(self, name: str) -> Statement | None:
        if name not in self._files:
            return None
        accounts = [held_account(place, account) for place, account in enumerate(self._read(name))]
        return Statement(login=name, bank=BANK, accounts=accounts)

    def _read(self, name: str) -> list[dict[str, Any]]:
        """The accounts of a file; numbers are decimals, as they are written."""
        content = loads(self._files[name].read_bytes(), parse_float=Decimal)
        return [account for connection in content["connections"] for account in connection["accounts"]]

    @cached_property
    def _files(self) -> dict[str, Path]:
        found = filter(is_persona, self._folder.rglob("*.json"))
        return {path.relative_to(self._folder).with_suffix("").as_posix(): path for path in found}


def is_persona(path: Path) -> bool:
    with path.open("rb") as content:
        return FORMAT.encode() in content.read(HEAD_SIZE)


def held_account(place: int, account: dict[str, Any]) -> HeldAccount:
    currency = (account.get("currency") or {}).get("id") or CURRENCY
    held = HeldAccount(
        key=str(place),
        number=str(account.get("number") or account.get("iban") or account["id"]),
        original_name=account.get("name") or f"Compte {place + 1}",
        type=account["type"],
        currency=currency,
        balance=minor(account["balance"], currency),
        iban=account.get("iban"),
        bic=account.get("bic"),
        usage=account.get("usage"),
        ownership=account.get("ownership"),
        as_of=paris_text(moment(account["last_update"])),
        rows={},
    )
    for number, operation in enumerate(account["transactions"]):
        held.load(row(f"{place}-{number}", operation, currency))
    return held


def row(webid: str, operation: dict[str, Any], currency: str) -> Row:
    wording = operation["original_wording"]
    booked_at = moment(operation.get("date") or operation["rdate"])
    return Row(
        webid=webid,
        date=booked_at.date(),
        rdate=day(operation.get("rdate")) or booked_at.date(),
        value=minor(operation["value"], currency),
        type=operation.get("type") or powens_type(wording),
        original_wording=wording,
        simplified_wording=operation.get("wording") or wording,
        coming=bool(operation.get("coming")),
        original_currency=operation["currency"]
        if operation.get("currency") not in (None, currency)
        else None,
        stamped=paris_text(booked_at),
    )


def moment(text: str) -> datetime:
    """A time with or without a zone, or a day alone; UTC where it does not say."""
    read = datetime.fromisoformat(text)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def day(text: str | None) -> date | None:
    return moment(text).date() if text else None


def minor(value: Decimal | int | None, currency: str) -> int | None:
    return None if value is None else to_minor(Decimal(value), currency)
