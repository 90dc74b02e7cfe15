"""Their JSON, as far as we read it. Everything else in a row is kept as it came.

Numbers are exact: an integer is an integer, a number with a fraction or an exponent becomes the Decimal
of its very digits, and no float exists on the way. One msgspec decoder does it (`float_hook`), which also
refuses NaN, lone surrogates, text that is not UTF-8 and deep nesting. A page of 1,000 rows of 40 fields,
0.9 MB, takes it 2 ms, against 4 ms of the standard library's `parse_float=Decimal`, which accepts all four.

They are lenient with types, so we are: an id is a number or its text, a flag 0, 1 or a boolean, an amount
a number or its text, `type` a word or an object, and `disabled` and `deleted` are times that are either
set or not. A state or an error that is missing may be null or empty text.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from application.ports import UnexpectedAnswer

#: Beyond these powers of ten nobody's number is meant: a double ends there, and so do we.
NUMBER_POWER_MAX = 308
#: How deep a field of a row may nest. Deeper ones would break whoever stores them.
DEPTH_MAX = 16

INT64_MIN, UINT64_MAX = -(2**63), 2**64 - 1

Identifier = int | str
T = TypeVar("T")


class User(msgspec.Struct, kw_only=True):
    id: Identifier


class InitialisedUser(msgspec.Struct, kw_only=True):
    """Of `POST auth/init`. A temporary token has to be made permanent within half an hour."""

    auth_token: str
    id_user: Identifier
    type: str | None = None


class AccessToken(msgspec.Struct, kw_only=True):
    """Of `POST auth/token/access` and `auth/renew`; some guides show `token`."""

    access_token: str | None = None
    token: str | None = None


class TemporaryCode(msgspec.Struct, kw_only=True):
    code: str


class Source(msgspec.Struct, kw_only=True):
    """One of the ways in which a connection reads a bank."""

    id_connection: Identifier | None = None
    state: Any = None
    last_update: str | None = None
    disabled: Any = None
    access_expire: str | None = None


class Connector(msgspec.Struct, kw_only=True):
    name: str | None = None


class Connection(msgspec.Struct, kw_only=True):
    id: Identifier
    id_user: Identifier | None = None
    state: Any = None
    error: Any = None
    """A copy of `state`, and its only place in older answers."""
    last_update: str | None = None
    active: Any = None
    connector: Connector | None = None
    sources: list[Source] | None = None


class Currency(msgspec.Struct, kw_only=True):
    id: str | None = None
    precision: Any = None


class Account(msgspec.Struct, kw_only=True):
    id: Identifier
    id_connection: Identifier | None = None
    id_user: Identifier | None = None
    number: Any = None
    iban: str | None = None
    bic: str | None = None
    name: str | None = None
    original_name: str | None = None
    usage: str | None = None
    balance: Any = None
    coming: Any = None
    currency: Any = None
    type: Any = None
    last_update: str | None = None
    disabled: Any = None
    deleted: Any = None


class Transaction(msgspec.Struct, kw_only=True):
    id: Identifier
    id_account: Identifier | None = None
    date: str | None = None
    rdate: str | None = None
    vdate: str | None = None
    value: Any = None
    type: Any = None
    original_wording: str | None = None
    coming: Any = None
    deleted: Any = None
    date_scraped: str | None = None
    last_update: str | None = None


class Page(msgspec.Struct, kw_only=True):
    """A page of a list: its rows as they came, where it goes on, how many rows there are in all."""

    rows: list[dict[str, Any]]
    linked: bool
    """The list pages by links; `next` is None on its last page."""
    next: Any = None
    total: int | None = None


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if abs(number.adjusted()) > NUMBER_POWER_MAX:
        raise ValueError("a number beyond any double")
    return number


_decode = msgspec.json.Decoder(Any, float_hook=_number).decode


def decode(body: bytes) -> Any:
    """Read JSON with exact numbers.

    Raises:
        UnexpectedAnswer: it is not JSON, or not of this world.
    """
    try:
        return _decode(body)
    except (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError):
        # What was refused stays out of the error: it may be personal, or a secret.
        pass
    raise UnexpectedAnswer("malformed")


def lift(kind: type[T], content: Any) -> T:
    """The known fields of an object of theirs.

    Raises:
        UnexpectedAnswer: it lacks what it must have, or has it in another form.
    """
    try:
        return msgspec.convert(content, kind)
    except (msgspec.MsgspecError, RecursionError):
        pass
    raise UnexpectedAnswer("unexpected_shape")


def page_of(content: Any, name: str) -> Page:
    """A page of the list `name`."""
    if not isinstance(content, dict):
        raise UnexpectedAnswer("unexpected_shape")
    rows, links, total = content.get(name), content.get("_links"), content.get("total")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnexpectedAnswer("unexpected_shape")
    if not isinstance(links, dict | None):
        raise UnexpectedAnswer("unexpected_shape")
    following = None if links is None else links.get("next")
    return Page(
        rows=rows,
        linked=links is not None,
        next=following.get("href") if isinstance(following, dict) else following,
        total=total if type(total) is int else None,
    )


def reference_of(id: Identifier) -> str:
    """An id of theirs, as the text that we keep."""
    reference = str(id)
    if not is_reference(reference):
        raise UnexpectedAnswer("unexpected_shape")
    return reference


def is_reference(text: str) -> bool:
    """Their ids are positive integers: nothing else is put into a path."""
    return re.fullmatch(r"[1-9][0-9]{0,19}", text, re.ASCII) is not None


def secret_of(text: str | None) -> str:
    """A token or code of theirs: something that a header can carry."""
    if text is None or not re.fullmatch(r"[!-~]{1,4096}", text, re.ASCII):
        raise UnexpectedAnswer("unexpected_shape")
    return text


def amount_of(value: Any) -> Decimal | None:
    """An amount, exact."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        return value
    if type(value) is int:
        return Decimal(value)
    if isinstance(value, str) and re.fullmatch(
        r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?", value, re.ASCII
    ):
        return Decimal(value)
    raise UnexpectedAnswer("unexpected_shape")


def is_set(flag: Any) -> bool:
    """Whether a flag is on, or a time is there."""
    return flag not in (None, False, 0, "", "0", "false", "0000-00-00", "0000-00-00 00:00:00")


def word_of(value: Any) -> str | None:
    """A word that is given as text, or as an object with a name."""
    if isinstance(value, dict):
        value = value.get("name")
    return value if isinstance(value, str) and value else None


def exact_text(number: Decimal) -> str:
    """All digits of a number, without an exponent."""
    return format(number, "f")


def kept(value: Any, depth: int = DEPTH_MAX) -> Any:
    """A field as it is stored: what MessagePack and JSON both hold and give back unchanged.

    A number with a fraction, or beyond 64 bits, becomes the text of its digits.
    """
    if value is None or type(value) in (str, bool):
        return value
    match value:
        case Decimal():
            return exact_text(value)
        case int() if not INT64_MIN <= value <= UINT64_MAX:
            return str(value)
        case dict() | list() if depth == 0:
            raise UnexpectedAnswer("unexpected_shape")
        case dict():
            return {name: kept(inner, depth - 1) for name, inner in value.items()}
        case list():
            return [kept(inner, depth - 1) for inner in value]
    return value
