"""Pushes of Budget Insight: whether they are theirs and of now, and which connections they may be about.

Bytes in, ids out. Nothing of what a push tells is taken over: its ids say where to look. The signature is
base64(HMAC-SHA-256(secret, "POST." + path + "." + date + "." + body)) over the bytes as they were sent; whether a
compressed body is signed before or after it was compressed is not documented, so that both are let pass.
"""

from __future__ import annotations

import hmac
import re
import zlib
from base64 import b64encode
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar

import msgspec
from msgspec import Raw

from adapters.budget_insight.payloads import is_reference
from application.ports import PUSH_SIZE_MAX, Delivery, Push, PushForged, PushTooLarge, PushUnreadable

SIGNATURE = "bi-signature"
DATE = "bi-signature-date"
AGE_MAX = timedelta(hours=24)
#: How far ahead of ours their clock may be.
AHEAD_MAX = timedelta(minutes=5)
#: Connections that one push may name.
CONNECTIONS_MAX = 100
HEADER_MAX = 256
GZIP = ("gzip", "x-gzip")

_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,9})?(?:Z|[+-][0-9]{2}:?[0-9]{2})",
    re.ASCII,
)
_NUMBER = re.compile(rb'"?([0-9]{1,20})"?')
#: Records of the French bank format, which a setting of theirs sends in place of JSON.
_CFONB = re.compile(rb"0[1457][0-9 ]{9}")

Read = TypeVar("Read")

#: Where the ids lie in the body of each event. Others are let pass.
_OF_CONNECTION = ("CONNECTION_SYNCED", "ACCOUNTS_FETCHED")
_CONNECTION_ITSELF = ("CONNECTION_DELETED",)
_OF_ACCOUNT = (
    "ACCOUNT_FOUND", "ACCOUNT_SYNCED", "ACCOUNT_ENABLED", "ACCOUNT_DISABLED", "ACCOUNT_CATEGORIZED",
)  # fmt: skip
_OF_USER = ("USER_SYNCED",)
_USER_ITSELF = ("USER_DELETED",)
EVENTS = (*_OF_CONNECTION, *_CONNECTION_ITSELF, *_OF_ACCOUNT, *_OF_USER, *_USER_ITSELF)

_NONE = Raw(b"null")


class _Object(msgspec.Struct):
    id: Raw = _NONE
    id_user: Raw = _NONE
    id_connection: Raw = _NONE


class _Body(_Object):
    id_webhook_data: Raw = _NONE
    user: Raw = _NONE
    connection: Raw = _NONE
    connections: Raw = _NONE


class BudgetInsightPushes:
    """Implements `application.ports.PushReader`."""

    events: Sequence[str] = EVENTS

    def read(self, delivery: Delivery, secret: str) -> Push:
        signature, date = _one(delivery, SIGNATURE), _one(delivery, DATE)
        if signature is None or date is None:
            raise PushForged("unsigned")
        _check_age(date, delivery.received_at)
        codings = _values(delivery, "content-encoding") or ["identity"]
        coding = ",".join(codings).strip().lower()
        body = delivery.body
        signed = _is_signed(signature, secret, delivery.path, date, body)
        if coding in GZIP:
            try:
                body = _unpacked(body)
            except (PushTooLarge, PushUnreadable):
                if signed:
                    raise
                raise PushForged("signature") from None
            signed = signed or _is_signed(signature, secret, delivery.path, date, body)
        if not signed:
            raise PushForged("signature")
        if coding not in ("identity", *GZIP):
            raise PushUnreadable("unknown_encoding")
        return _push(delivery.event, body)


# Whether it is theirs


def _values(delivery: Delivery, name: str) -> list[str]:
    return [value for named, value in delivery.headers if named.lower() == name]


def _one(delivery: Delivery, name: str) -> str | None:
    """The value of a header that is given once, in plain letters."""
    values = _values(delivery, name)
    return values[0] if len(values) == 1 and values[0].isascii() and len(values[0]) <= HEADER_MAX else None


def _check_age(date: str, now: datetime) -> None:
    try:
        if not _DATE.fullmatch(date):
            raise ValueError
        age = now - datetime.fromisoformat(date)
    except (ValueError, OverflowError):
        raise PushForged("date") from None
    if age > AGE_MAX:
        raise PushForged("too_old")
    if age < -AHEAD_MAX:
        raise PushForged("too_new")


def _is_signed(signature: str, secret: str, path: str, date: str, body: bytes) -> bool:
    """In constant time, and as it is written: one MAC could be written in base64 in more than one way."""
    mac = hmac.new(secret.encode(), f"POST.{path}.{date}.".encode(), "sha256")
    mac.update(body)
    return hmac.compare_digest(b64encode(mac.digest()), signature.encode())


def _unpacked(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        plain = unpacking.decompress(packed, PUSH_SIZE_MAX + 1)
    except zlib.error:
        raise PushUnreadable("not_gzip") from None
    if len(plain) > PUSH_SIZE_MAX:
        raise PushTooLarge
    if not unpacking.eof or unpacking.unused_data:
        raise PushUnreadable("not_gzip")
    return plain


# What it may be about


def _push(event: str, body: bytes) -> Push:
    if event not in EVENTS:
        return Push(mark=_mark(body, _NONE))
    try:
        said = msgspec.json.decode(body, type=_Body)
    except RecursionError:
        raise PushUnreadable("too_deep") from None
    except (msgspec.MsgspecError, UnicodeError):
        raise PushUnreadable("cfonb" if _CFONB.match(body) else "not_json") from None
    mark = _mark(body, said.id_webhook_data)
    if event in _OF_ACCOUNT:
        return Push(mark=mark, connections=_ids(said.id_connection), user=_id(said.id_user))
    if event in _CONNECTION_ITSELF:
        return Push(mark=mark, connections=_ids(said.id), user=_id(said.id_user))
    if event in _USER_ITSELF:
        return Push(mark=mark, user=_id(said.id), whole_user=True)
    user = _id(_read(said.user, _Object, _Object()).id)
    if event in _OF_USER:
        named = _read(said.connections, list[_Object], [])[:CONNECTIONS_MAX]
        return Push(mark=mark, connections=_ids(*(each.id for each in named)), user=user)
    connection = _read(said.connection, _Object, _Object())
    return Push(mark=mark, connections=_ids(connection.id), user=_id(connection.id_user) or user)


def _mark(body: bytes, id: Raw) -> bytes:
    """Old installations send no id: then the same bytes are the same push."""
    found = _NUMBER.fullmatch(id)
    return sha256(b"id " + found[1]).digest() if found else sha256(b"body " + body).digest()


def _ids(*raws: Raw) -> tuple[str, ...]:
    return tuple(dict.fromkeys(found for raw in raws if (found := _id(raw)) is not None))


def _id(raw: Raw) -> str | None:
    found = _NUMBER.fullmatch(raw)
    text = found[1].decode() if found else ""
    return text if is_reference(text) else None


def _read(raw: Raw, kind: type[Read], otherwise: Read) -> Read:
    """What is of another shape says nothing to us."""
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return otherwise
