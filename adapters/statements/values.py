"""Days, amounts and account numbers as statement files write them."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation

from domain import money
from domain.money import exponent_of
from domain.transactions import day_of

#: What banks write where a reference is not given.
NO_REFERENCES = frozenset({"", "NONREF", "NOTPROVIDED", "NOT PROVIDED", "NONE"})
TEXT_MAX = 4_000
#: The years that a row of a statement may be of.
YEARS = (1970, 2100)

_DAY = re.compile(r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})", re.ASCII)
_AMOUNT = re.compile(r"[+-]?(?:[0-9]{1,40}(?:[.,][0-9]{0,20})?|[.,][0-9]{1,20})", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)
_IBAN = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", re.ASCII)
_SPACE = re.compile(r"\s+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def day_in(text: str | None) -> int | None:
    """The civil day that a date or a moment begins with, as it is written there; None where there is none."""
    found = _DAY.match(text.strip()) if text else None
    if found is None:
        return None
    return day_from(int(found[1]), int(found[2]), int(found[3]))


def day_from(year: int, month: int, day: int) -> int | None:
    """A civil day; None where there is none such, or no bank was there to write it."""
    try:
        return day_of(date(year, month, day)) if YEARS[0] <= year <= YEARS[1] else None
    except ValueError:
        return None


def amount_in(text: str | None) -> Decimal | None:
    """A number with a point or a comma before its decimals; None where it is none, or beyond what is counted here."""
    stripped = text.strip() if text else ""
    if not _AMOUNT.fullmatch(stripped):
        return None
    try:
        amount = Decimal(stripped.replace(",", "."))
        money.read(amount, max(exponent_of("EUR"), 4))
    except (InvalidOperation, ValueError):
        return None
    return amount


def currency_in(text: str | None) -> str | None:
    """A currency's code by ISO 4217."""
    stripped = text.strip().upper() if text else ""
    return stripped if _CURRENCY.fullmatch(stripped) else None


def iban_in(text: str | None) -> str | None:
    """An IBAN with a right check number, without spaces."""
    packed = _SPACE.sub("", text).upper() if text else ""
    if not _IBAN.fullmatch(packed):
        return None
    turned = packed[4:] + packed[:4]
    return packed if int("".join(str(int(each, 36)) for each in turned)) % 97 == 1 else None


def words_in(*parts: str | None) -> str | None:
    """Texts in one line, each once; None where there is nothing."""
    said: list[str] = []
    for part in parts:
        words = _SPACE.sub(" ", _CONTROL.sub(" ", part)).strip() if part else ""
        if words and not any(words in earlier for earlier in said):
            said.append(words)
    return " ".join(said)[:TEXT_MAX].rstrip() or None


def reference_in(text: str | None) -> str | None:
    """A reference; None for the words that stand for none."""
    words = words_in(text)
    return None if words is None or words.upper() in NO_REFERENCES else words
