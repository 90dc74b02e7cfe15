"""Exact JSON: amounts are integers of the smallest unit until they are written as number text."""

from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Raw

from adapters.budget_insight.simulator.refusals import Refused

encode = msgspec.json.Encoder().encode

DIGITS_MAX = 20


class Currency(msgspec.Struct, frozen=True):
    id: str
    name: str
    symbol: str
    prefix: bool
    precision: int


CURRENCIES = {
    currency.id: currency
    for currency in (
        Currency("EUR", "Euro", "€", False, 2),
        Currency("CHF", "Swiss franc", "CHF", False, 2),
        Currency("CZK", "Czech koruna", "Kč", False, 2),
        Currency("GBP", "Pound sterling", "£", True, 2),
        Currency("JPY", "Japanese yen", "¥", True, 0),
        Currency("KWD", "Kuwaiti dinar", "KD", False, 3),
        Currency("USD", "US dollar", "$", True, 2),
    )
}


def digits(minor: int, precision: int) -> str:
    """Write `-6490` at precision 2 as `-64.90`; no float is ever involved."""
    if precision == 0:
        return str(minor)
    units, rest = divmod(abs(minor), 10**precision)
    return f"{'-' if minor < 0 else ''}{units}.{rest:0{precision}d}"


def number(minor: int | None, currency: str) -> Raw | None:
    """Return an amount as JSON number text, or null."""
    if minor is None:
        return None
    return Raw(digits(minor, CURRENCIES[currency].precision).encode())


def label(minor: int | None, currency: str) -> str | None:
    """Write an amount for people, as the API does in its `formatted_…` keys."""
    if minor is None:
        return None
    known = CURRENCIES[currency]
    units, _, rest = digits(abs(minor), known.precision).partition(".")
    grouped = f"{int(units):,}".replace(",", "\N{NO-BREAK SPACE}")
    amount = f"{'-' if minor < 0 else ''}{grouped}{',' + rest if rest else ''}"
    return f"{amount}\N{NO-BREAK SPACE}{known.symbol}"


def to_minor(amount: Decimal, currency: str) -> int:
    """Turn an exact amount into its smallest unit.

    Raises:
        Refused: it is no amount of this currency: too many decimals, absurdly large, or no number.
    """
    refused = Refused("invalidValue", f"Not an amount in {currency}.")
    # Within these bounds decimal arithmetic is exact, so nothing is rounded unseen.
    if not amount.is_finite() or len(amount.as_tuple().digits) > DIGITS_MAX:
        raise refused
    if abs(amount.adjusted()) > DIGITS_MAX:
        raise refused
    scaled = amount.scaleb(CURRENCIES[currency].precision)
    if scaled != scaled.to_integral_value():
        raise refused
    return int(scaled)


def currency_object(currency: str) -> dict[str, Any]:
    return msgspec.structs.asdict(CURRENCIES[currency])
