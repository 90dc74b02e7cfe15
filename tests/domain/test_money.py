from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import money


@given(st.integers(-(10**18), 10**18), st.sampled_from([0, 2, 3, 4]))
def test_what_is_written_is_read_again(minor, exponent):
    text = money.write(minor, exponent)
    assert money.read(Decimal(text), exponent) == (minor, None)
    assert ("." in text) == (exponent > 0)


@pytest.mark.parametrize(
    ("text", "exponent", "minor", "kept"),
    [
        ("-19.989999999999998", 2, -1999, "-19.989999999999998"),
        ("12345678901234567.89", 2, 1234567890123456789, None),
        ("1500", 0, 1500, None),
        ("0.5", 0, 0, "0.5"),
        ("1.5", 0, 2, "1.5"),
        ("1.234", 3, 1234, None),
        ("1E+3", 2, 100_000, None),
        ("-0", 2, 0, None),
        ("0.005", 2, 0, "0.005"),
        ("0.015", 2, 2, "0.015"),
        ("1." + "0" * 80 + "1", 2, 100, "1." + "0" * 80 + "1"),
        ("1E-400", 2, 0, "1E-400"),
        ("0E+400", 2, 0, None),
    ],
)
def test_amounts_are_exact_and_say_where_they_are_not(text, exponent, minor, kept):
    assert money.read(Decimal(text), exponent) == (minor, kept)


@pytest.mark.parametrize(
    "text", ["NaN", "Infinity", "-Infinity", "1E+30", "92233720368547758.08", "1E+999999", "-1E+400"]
)
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(ValueError):
        money.read(Decimal(text), 2)


@pytest.mark.parametrize(
    ("currency", "exponent"), [("EUR", 2), ("JPY", 0), ("KWD", 3), ("CZK", 2), ("XXX", 2)]
)
def test_each_currency_has_its_own_smallest_unit(currency, exponent):
    assert money.exponent_of(currency) == exponent
