"""Whether two generations hold the same rows, and where they first differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from projections.models import ALL_TABLES
from projections.ports import Rows, Table

_ROWS_PER_CHUNK = 1_000

_encode = msgspec.msgpack.Encoder().encode


class Digest(NamedTuple):
    """Of all tables, and of each."""

    whole: str
    tables: Mapping[str, str]


class Difference(NamedTuple):
    """The first row that differs, without its values: they are somebody's."""

    table: str
    key: tuple[Any, ...]
    columns: tuple[str, ...]
    """The columns that differ; empty if one side has no such row."""
    presence: str
    """`both`, `only_first` or `only_second`."""

    def __str__(self) -> str:
        key = "/".join(part.hex() if isinstance(part, bytes) else str(part) for part in self.key)
        match self.presence:
            case "only_first":
                return f"{self.table} {key}: the row is in the first only"
            case "only_second":
                return f"{self.table} {key}: the row is in the second only"
        return f"{self.table} {key}: {', '.join(self.columns)}"


def digest(rows: Rows, tables: Sequence[Table] = ALL_TABLES) -> Digest:
    """SHA-256 over the canonical dump: tables by name, rows in the order of their keys, MessagePack."""
    digests = {table.name: _table_digest(rows, table) for table in sorted(tables, key=lambda t: t.name)}
    return Digest(sha256(_encode(list(digests.items()))).hexdigest(), digests)


def _table_digest(rows: Rows, table: Table) -> str:
    hash = sha256(_encode(list(table.row._fields)))
    remaining = rows.scan(table)
    while chunk := list(islice(remaining, _ROWS_PER_CHUNK)):
        for encoded in map(_encode, chunk):
            hash.update(encoded)
    return hash.hexdigest()


def first_difference(first: Rows, second: Rows, tables: Sequence[Table] = ALL_TABLES) -> Difference | None:
    """The first row, by table and key, that the two do not share."""
    for table in sorted(tables, key=lambda t: t.name):
        difference = _first_in(table, first.scan(table), second.scan(table))
        if difference is not None:
            return difference
    return None


def _first_in(table: Table, first: Iterator[Any], second: Iterator[Any]) -> Difference | None:
    while True:
        one, other = next(first, None), next(second, None)
        if one is None and other is None:
            return None
        if one == other:
            continue
        if other is None or (one is not None and one[: table.key] < other[: table.key]):
            return Difference(table.name, tuple(one[: table.key]), (), "only_first")
        if one is None or other[: table.key] < one[: table.key]:
            return Difference(table.name, tuple(other[: table.key]), (), "only_second")
        columns = tuple(name for name, a, b in zip(table.row._fields, one, other, strict=True) if a != b)
        return Difference(table.name, tuple(one[: table.key]), columns, "both")
