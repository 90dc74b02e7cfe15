"""Flows: the booked rows of an account that belong together by direction, type and wording, summed by month.

A month's flows are one row, so that what a sync brings changes a row or two, however long the history is.
The sums are exact and of all accounts; rows without an amount are in none. `transactions` keeps them: it
knows which rows came and which went.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec

from projections.kinds import type_of
from projections.ports import Rows, Table
from projections.times import month_of

#: What a debit is called that the other side ordered.
DIRECT_DEBIT = "DIRECT_DEBIT"


class Flow(NamedTuple):
    type: str
    root: str
    """What its wordings have in common: `labels.label_root`."""
    is_debit: bool


class FlowMonth(NamedTuple):
    account: bytes
    month: int
    """The month the rows were booked in, counted from year 0."""
    sums: bytes
    """Type, root, whether it is a debit, sum in minor units and count of each flow, as JSON, in that order."""


FLOWS = Table("flows", FlowMonth, key=2)
TABLES = (FLOWS,)

Part = tuple[int, int | None, str, str]
"""Of a row: the day it was booked on, its amount, its raw kind and the root of its wording."""

# An account's flows come back every month.
_FLOWS_MAX = 16_384

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[tuple[str, str, bool, int, int]]).decode


def flow_of(kind: str, root: str, amount: int) -> Flow:
    """The flow that a row with an amount belongs to."""
    return _flow(kind, root, amount < 0)


@lru_cache(maxsize=_FLOWS_MAX)
def _flow(kind: str, root: str, is_debit: bool) -> Flow:
    type = type_of(kind)
    return Flow(DIRECT_DEBIT if type == "ORDER" and is_debit else type, root, is_debit)


def sums_of(row: FlowMonth) -> Iterator[tuple[Flow, int]]:
    """The flows of a month, each with its sum."""
    for type, root, is_debit, total, _ in _decode(row.sums):
        yield Flow(type, root, is_debit), total


def move(came: Iterable[Part], went: Iterable[Part], key: bytes, rows: Rows) -> None:
    """Add booked rows of an account to the sums, and take others off."""
    moved: defaultdict[tuple[int, str, str, bool], list[int]] = defaultdict(lambda: [0, 0])
    for parts, sign in ((came, 1), (went, -1)):
        for booked_on, amount, kind, root in parts:
            if amount is not None:
                sums = moved[month_of(booked_on), kind, root, amount < 0]
                sums[0] += sign * amount
                sums[1] += sign
    months: defaultdict[int, list[tuple[Flow, int, int]]] = defaultdict(list)
    for (month, kind, root, is_debit), (total, count) in moved.items():
        months[month].append((_flow(kind, root, is_debit), total, count))
    for month, changes in months.items():
        _merge(changes, key, month, rows)


def _merge(changes: list[tuple[Flow, int, int]], key: bytes, month: int, rows: Rows) -> None:
    row = rows.get(FLOWS, key, month)
    sums = {} if row is None else {summed[:3]: list(summed[3:]) for summed in _decode(row.sums)}
    for flow, total, count in changes:
        held = sums.setdefault(flow, [0, 0])
        held[0] += total
        held[1] += count
    kept = [(*flow, total, count) for flow, (total, count) in sorted(sums.items()) if count]
    if kept:
        rows.put(FLOWS, FlowMonth(key, month, _encode(kept)))
    else:
        rows.delete(FLOWS, key, month)
