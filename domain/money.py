"""Amounts: whole numbers of a currency's smallest unit, exact on the way in and on the way out."""

from __future__ import annotations

from decimal import MAX_EMAX, ROUND_HALF_EVEN, Decimal, localcontext
from typing import NamedTuple

#: ISO 4217 currencies whose smallest unit is not a hundredth. All others have two decimals.
EXPONENTS = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
EXPONENT_DEFAULT = 2
#: ISO 4217's code for "no currency", used where a source names none.
NO_CURRENCY = "XXX"
MINOR_MAX = 2**63 - 1
#: Whole digits of the largest amount.
DIGITS_MAX = 19


def exponent_of(currency: str) -> int:
    """How many decimals the currency has: EUR 2, JPY 0, KWD 3."""
    return EXPONENTS.get(currency, EXPONENT_DEFAULT)


class Reading(NamedTuple):
    """An amount as read: `minor` units, and the `text` of the source where it would not fit exactly."""

    minor: int
    text: str | None


def read(amount: Decimal, exponent: int) -> Reading:
    """Read an amount in major units as minor units, rounding half to even where it must.

    Raises:
        ValueError: the amount is not finite, or beyond 63 bits.
    """
    if not amount.is_finite():
        raise ValueError("an amount must be a finite number")
    if amount and amount.adjusted() + exponent > DIGITS_MAX:
        raise ValueError("an amount must fit into 63 bits of minor units")
    # Room for every digit there is: the context must not round before it is asked to.
    with localcontext(prec=len(amount.as_tuple().digits) + DIGITS_MAX, Emin=-MAX_EMAX, Emax=MAX_EMAX):
        scaled = amount.scaleb(exponent)
        minor = int(scaled.to_integral_value(ROUND_HALF_EVEN))
        exact = scaled == minor
    if abs(minor) > MINOR_MAX:
        raise ValueError("an amount must fit into 63 bits of minor units")
    return Reading(minor, None if exact else str(amount))


def write(minor: int, exponent: int) -> str:
    """Write minor units as the text of a decimal number in major units: (-1999, 2) is "-19.99"."""
    if exponent == 0:
        return str(minor)
    sign = "-" if minor < 0 else ""
    whole, part = divmod(abs(minor), 10**exponent)
    return f"{sign}{whole}.{part:0{exponent}d}"
