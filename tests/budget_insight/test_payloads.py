"""Their JSON is read exactly, or refused by name."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.budget_insight import payloads
from application.ports import UnexpectedAnswer


@pytest.mark.parametrize(
    "digits",
    [
        *("0", "-0", "12345678901234567.89", "-19.989999999999998", "0.1", "1.10", "1e2", "2.50E-3"),
        *("123456789012345678901234567890", "0.000000000000000000000000001", "1" * 60 + "." + "9" * 60),
    ],
)
def test_a_number_keeps_its_digits(digits: str) -> None:
    (number,) = payloads.decode(f"[{digits}]".encode())
    assert not isinstance(number, float)
    assert Decimal(number) == Decimal(digits)
    assert payloads.amount_of(number) == Decimal(digits)
    assert payloads.amount_of(digits) == Decimal(digits)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_any_amount_survives_as_a_number_and_as_text(amount: Decimal) -> None:
    text = f"{amount:f}"
    given_both = payloads.decode(f'{{"number": {text}, "text": "{text}"}}'.encode())
    assert payloads.amount_of(given_both["number"]) == payloads.amount_of(given_both["text"]) == amount
    assert payloads.kept(given_both["number"]) == text


UNREADABLE = {
    "truncated": b'{"transactions": [{"id": 1',
    "nothing": b" ",
    "NaN": b'{"value": NaN}',
    "infinite": b'{"value": -Infinity}',
    "beyond any double": b'{"value": 1e400}',
    "far beyond": b'{"value": 1e99999999999999999999}',
    "below any double": b'{"value": 1.5e-400}',
    "digits for ever": b'{"value": ' + b"9" * 5_000 + b"}",
    "depth 10^4": b"[" * 10_000 + b"]" * 10_000,
    "depth 10^6": b'{"a":' * 1_000_000,
    "invalid UTF-8": b'{"wording": "caf\xe9 au lait"}',
    "UTF-16": '{"id": 1}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"id": 1}',
    "a lone surrogate": b'{"wording": "\\ud800 and more text"}',
    "single quotes": b"{'id': 1}",
    "two documents": b"{} {}",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_what_is_not_json_is_refused_by_name_and_not_repeated(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer) as refused:
        payloads.decode(body)
    assert refused.value.reason == "malformed"
    assert refused.value.__context__ is None


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        payloads.decode(body)
    except UnexpectedAnswer:
        pass


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.decimals(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_a_kept_field_is_the_same_after_messagepack_and_after_json(value: Any) -> None:
    kept = payloads.kept(value)
    assert msgspec.msgpack.decode(msgspec.msgpack.Encoder(order="deterministic").encode(kept)) == kept
    assert json.loads(msgspec.json.encode(kept)) == kept


def test_a_field_that_nests_too_deep_to_be_stored_is_refused() -> None:
    assert payloads.kept([[1]]) == [[1]]
    with pytest.raises(UnexpectedAnswer):
        payloads.kept(payloads.decode(b"[" * 100 + b"]" * 100))


@pytest.mark.parametrize("flag", [None, False, 0, "", "0", "false", "0000-00-00 00:00:00"])
def test_a_flag_is_off(flag: Any) -> None:
    assert not payloads.is_set(flag)


@pytest.mark.parametrize("flag", [True, 1, "1", "2026-03-01 06:12:44", Decimal(1)])
def test_a_flag_is_on(flag: Any) -> None:
    assert payloads.is_set(flag)


@pytest.mark.parametrize("id", [0, -1, "", "01", "1a", "../../x", "1\n", "1/2", "²", 10**20])
def test_what_is_no_id_of_theirs_is_refused(id: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        payloads.reference_of(id)


@pytest.mark.parametrize("value", ["", "abc", "1,5", "NaN", "1_000", "١", " 1", "1e9999", True, [], {}])
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(UnexpectedAnswer):
        payloads.amount_of(value)
