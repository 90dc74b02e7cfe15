"""What is answered about a row, kept as its variable parts between marks.

The rest is the same for all rows of an account: `expand` fills it in.
"""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from uuid import UUID

import msgspec

from domain.transactions import Batch
from projections.accounts import Account
from projections.kinds import type_of
from projections.times import day_text

#: The parts of an answer that differ from row to row; `expand` writes what stands at the marks.
_BODY = b"%s-%s-%s-%s-%s\x01%s\x02%s\x03%s\x04%s\x05%s"
_UUID_PARTS = Struct("8s4s4s4s12s")
_UUID_SIZE = 36

_json = msgspec.json.Encoder().encode


def value_days(batch: Batch) -> list[int]:
    """The value day of each row: the day it was booked where the source gives none."""
    if not any(day is not None for day in batch.value_on):
        return batch.booked_on
    return [
        booked if value is None else value
        for value, booked in zip(batch.value_on, batch.booked_on, strict=True)
    ]


def bodies(batch: Batch, days: list[int], exponent: int) -> list[bytes]:
    """The body of each row of a batch with these value days. A rebuild spends its time here, so columns are read
    as they are."""
    return [
        _BODY % (*name, number, initiated, value, wording, type)
        for name, number, initiated, value, wording, type in zip(
            _UUID_PARTS.iter_unpack(hexlify(batch.ids)),
            _numbers(batch.amounts, exponent),
            map(_quoted_time, batch.initiated_on),
            map(_day_text, days),
            map(_json, batch.wordings),
            map(_type_text, batch.kinds),
            strict=True,
        )
    ]


@lru_cache(maxsize=16_384)
def _day_text(day: int) -> bytes:
    return day_text(day).encode()


@lru_cache(maxsize=16_384)
def _quoted_time(day: int | None) -> bytes:
    return b"null" if day is None else b'"%s 00:00:00"' % day_text(day).encode()


@lru_cache(maxsize=1_024)
def _type_text(kind: str) -> bytes:
    return type_of(kind).encode()


def _numbers(amounts: list[int | None], exponent: int) -> list[bytes]:
    """Amounts as JSON numbers in major units, with exactly the currency's decimals."""
    if exponent == 0:
        return [b"null" if amount is None else b"%d" % amount for amount in amounts]
    # A digit before the point, and the sign.
    credit, debit = b"%%0%dd" % (exponent + 1), b"%%0%dd" % (exponent + 2)
    return [
        b"null"
        if amount is None
        else (text := (credit if amount >= 0 else debit) % amount)[:-exponent] + b"." + text[-exponent:]
        for amount in amounts
    ]


def under(id: bytes, body: bytes) -> bytes:
    """The body of the same row under another id."""
    return str(UUID(bytes=id)).encode() + body[_UUID_SIZE:]


def wording_in(body: bytes) -> bytes:
    """The wording of a row, as JSON."""
    return body[body.index(b"\x04") + 1 : body.index(b"\x05")]


def expand(account: Account, bodies: Sequence[bytes], more: bytes = b"") -> list[bytes]:
    """The answers of rows of an account: `answers.BankTransaction` as JSON, with `more` members at their end."""
    if not bodies:
        return []
    # No control character stands in JSON text, so that marks can't be mistaken.
    text = b"\x00".join(bodies)
    text = text.replace(b"\x01", b'","account_id":%s,"amount":' % _json(account.id))
    text = text.replace(b"\x02", b',"currency":%s,"initiated_at":' % _json(account.currency))
    text = text.replace(b"\x03", b',"value_date":"')
    text = text.replace(b"\x04", b' 00:00:00","description":')
    text = text.replace(b"\x05", b',"transaction_type":"')
    tail = b'","provider_name":%s,"data_connection_id":%s%s}' % (
        _json(account.provider),
        _json(account.connection or None),
        more,
    )
    text = text.replace(b"\x00", tail + b'\x00{"id":"')
    return (b'{"id":"' + text + tail).split(b"\x00")
