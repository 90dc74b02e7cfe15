"""Rows in memory: for what a write answers, for a moment in the past, and for tests."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from projections.ports import Rows, StalePosition, Table

Key = tuple[Any, ...]


class MemoryTable:
    """A table's rows by key; the order of the keys is made when it is asked for."""

    def __init__(self, table: Table) -> None:
        fields = table.row._fields
        self.rows: dict[Key, tuple[Any, ...]] = {}
        self._sorted: list[Key] | None = []
        self._columns = {
            index.name: [fields.index(name) for name in index.columns] for index in table.indices
        }
        self._found: dict[str, dict[Key, dict[Key, None]]] = {name: {} for name in self._columns}

    def keys(self) -> list[Key]:
        if self._sorted is None:
            self._sorted = sorted(self.rows)
        return self._sorted

    def put(self, key: Key, row: tuple[Any, ...]) -> None:
        held = self.rows.get(key)
        if held is None:
            self._sorted = None
        else:
            self._unfind(key, held)
        self.rows[key] = row
        for name, columns in self._columns.items():
            self._found[name].setdefault(tuple(row[column] for column in columns), {})[key] = None

    def drop(self, key: Key) -> None:
        self._unfind(key, self.rows.pop(key))
        self._sorted = None

    def _unfind(self, key: Key, row: tuple[Any, ...]) -> None:
        for name, columns in self._columns.items():
            values = tuple(row[column] for column in columns)
            keys = self._found[name][values]
            del keys[key]
            if not keys:
                del self._found[name][values]

    def find(self, name: str, values: Key) -> list[Key]:
        found = self._found[name]
        if len(values) == len(self._columns[name]):
            return sorted(found.get(values, ()))
        size = len(values)
        return sorted(key for held, keys in found.items() if held[:size] == values for key in keys)


class MemoryRows:
    """`projections.ports.Rows`, with a way back to where the transaction began."""

    def __init__(self) -> None:
        self._tables: dict[str, MemoryTable] = {}
        self._undo: list[tuple[MemoryTable, Key, tuple[Any, ...] | None]] = []

    def _table(self, table: Table) -> MemoryTable:
        held = self._tables.get(table.name)
        if held is None:
            held = self._tables[table.name] = MemoryTable(table)
        return held

    def get(self, table: Table, *key: Any) -> Any | None:
        return self._table(table).rows.get(key)

    def put(self, table: Table, row: tuple[Any, ...]) -> None:
        held = self._table(table)
        key = tuple(row[: table.key])
        self._undo.append((held, key, held.rows.get(key)))
        held.put(key, table.row._make(row))

    def put_many(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        for row in rows:
            self.put(table, row)

    def delete(self, table: Table, *key: Any) -> None:
        held = self._table(table)
        for found in [key] if len(key) == table.key else self._range(held, key, None, None):
            row = held.rows.get(found)
            if row is not None:
                self._undo.append((held, found, row))
                held.drop(found)

    def scan(self, table: Table, *prefix: Any, at_least: Any = None, at_most: Any = None) -> Iterator[Any]:
        held = self._table(table)
        return iter([held.rows[key] for key in self._range(held, prefix, at_least, at_most)])

    def find(self, table: Table, index: str, *values: Any) -> Iterator[Any]:
        held = self._table(table)
        return iter([held.rows[key] for key in held.find(index, values)])

    def among(
        self, table: Table, *prefix: Any, values: Sequence[Any], index: str | None = None
    ) -> Iterator[Any]:
        held = self._table(table)
        wanted = dict.fromkeys((*prefix, value) for value in values)
        if index is not None:
            return iter([held.rows[key] for one in wanted for key in held.find(index, one)])
        return iter([held.rows[key] for one in wanted for key in self._range(held, one, None, None)])

    @staticmethod
    def _range(held: MemoryTable, prefix: Key, at_least: Any, at_most: Any) -> list[Key]:
        keys = held.keys()
        low = prefix if at_least is None else (*prefix, at_least)
        high = prefix if at_most is None else (*prefix, at_most)
        start = bisect_left(keys, low)
        return keys[start : bisect_right(keys, high, key=lambda key: key[: len(high)])]

    def undo(self) -> None:
        """Go back to where `settle` was called last."""
        while self._undo:
            table, key, row = self._undo.pop()
            if row is not None:
                table.put(key, row)
            elif key in table.rows:
                table.drop(key)

    def settle(self) -> None:
        self._undo.clear()


class MemoryGeneration:
    """`projections.ports.Generation` in memory."""

    def __init__(self) -> None:
        self.rows = MemoryRows()
        self._position = 0

    def checkpoint(self) -> int:
        return self._position

    def begin(self) -> Rows:
        self.rows.settle()
        return self.rows

    def commit(self, expected: int, position: int) -> None:
        if self._position != expected:
            self.rollback()
            raise StalePosition
        self._position = position
        self.rows.settle()

    def rollback(self) -> None:
        self.rows.undo()
