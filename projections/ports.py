"""What projections need: facts in order, and a place for rows.

A table is described by the type of its rows: a `NamedTuple` whose first `key` fields are its key. Stores
make their schema from that, so a read model is written once and kept in memory, SQLite or PostgreSQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from domain.fact import Recorded


class Index(NamedTuple):
    """A second way into a table. It is built last when a generation is built."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False


class Table(NamedTuple):
    """A table of a read model. Column types are str, int, bytes, or one of these with None."""

    name: str
    row: type[NamedTuple]
    key: int
    """How many leading fields are the key."""
    indices: tuple[Index, ...] = ()


class Rows(Protocol):
    """The rows of a generation, within one transaction. What was put is seen by the next `get` or `scan`."""

    def get(self, table: Table, *key: Any) -> Any | None:
        """The row with this key, or None."""
        ...

    def put(self, table: Table, row: tuple[Any, ...]) -> None:
        """Keep a row in place of the one with its key."""
        ...

    def put_many(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> None: ...

    def delete(self, table: Table, *key: Any) -> None:
        """Drop the row with this key, or all rows whose key begins so."""
        ...

    def scan(self, table: Table, *prefix: Any, at_least: Any = None, at_most: Any = None) -> Iterator[Any]:
        """The rows whose key begins with `prefix`, in key order, bounded by the next key field, inclusive."""
        ...

    def among(
        self, table: Table, *prefix: Any, values: Sequence[Any], index: str | None = None
    ) -> Iterator[Any]:
        """The rows whose key - or whose columns of an index - begins with `prefix` and goes on with one of `values`.

        In any order.
        """
        ...

    def find(self, table: Table, index: str, *values: Any) -> Iterator[Any]:
        """The rows whose leading columns of an index have these values, in key order."""
        ...


class Unreadable(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that is there and cannot be read: a missing key, a broken seal, an unknown name."""

    stream: str
    version: int
    position: int
    name: str
    reason: str
    """Ours and machine-readable: `key_missing`, `seal_broken`, `unknown_name`, `malformed`. No content."""


class Source(Protocol):
    """The log, read in order."""

    def read(self, after: int, limit: int) -> Sequence[Recorded | Unreadable]:
        """The facts after a position, oldest first; `limit` at most, fewer where they are large.

        One that cannot be read is delivered as `Unreadable` in its place. One whose key was destroyed is
        no such case: it is a `Recorded` whose fact is `Erased`.
        """
        ...

    def head(self) -> int: ...


class StalePosition(Exception):
    """Another worker has moved the checkpoint: what was done is undone, and is to be read again."""


class Generation(Protocol):
    """One set of all read models with one checkpoint."""

    def checkpoint(self) -> int: ...

    def begin(self) -> Rows:
        """Open a transaction."""
        ...

    def commit(self, expected: int, position: int) -> None:
        """Write the rows and move the checkpoint from `expected` to `position`, together.

        Raises:
            StalePosition: the checkpoint was not at `expected`; nothing was written.
        """
        ...

    def rollback(self) -> None: ...
