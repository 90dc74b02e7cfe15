"""How many decimals a currency has: what ISO 4217 says, where it knows the currency, and else the provider.

An amount comes in whole units and is kept in the smallest, so a precision that is wrong, or right on one day and wrong
on the next, would shift it by a power of ten.
"""

from __future__ import annotations

from domain import money

#: The most decimals that are believed of a currency that ISO does not know.
PRECISION_MAX = 18

#: Currencies of ISO 4217 with two decimals; the others are in `money.EXPONENTS`.
TWO_DECIMALS = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW
    CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR
    ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV
    MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD
    SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
    """.split()
)


def exponent_of(code: str, precision: object) -> int:
    """The decimals of a currency, of which the provider says that it has `precision`."""
    if code in TWO_DECIMALS or code in money.EXPONENTS:
        return money.exponent_of(code)
    if type(precision) is int and 0 <= precision <= PRECISION_MAX:
        return precision
    return money.exponent_of(code)
