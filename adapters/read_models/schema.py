"""The SQL of a generation, made from the tables of the read models."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from types import NoneType
from typing import get_args, get_type_hints

from domain.insights import catalogue
from projections.models import ALL_TABLES
from projections.ports import Index, Table

#: Counts the meanings of the rows: raise it when a fold changes, so that older generations are rebuilt.
MEANING = 5

_SQL_TYPES = {str: "TEXT", int: "INTEGER", bytes: "BLOB"}
#: Rows of one INSERT.
ROWS_PER_INSERT = 100

#: `erasing` is 1 from the commit that erased something until no file holds it any more.
CHECKPOINT = """
CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    position INTEGER NOT NULL,
    erasing INTEGER NOT NULL,
    schema TEXT NOT NULL
)
"""
START = "INSERT INTO checkpoint VALUES (1, 0, 0, ?)"


def create_table(table: Table) -> str:
    """A table clustered by its key: a scan by key needs no second index."""
    columns = []
    for name, annotation in get_type_hints(table.row).items():
        types = get_args(annotation) or (annotation,)
        (type,) = (part for part in types if part is not NoneType)
        columns.append(f'"{name}" {_SQL_TYPES[type]}{"" if NoneType in types else " NOT NULL"}')
    key = ", ".join(f'"{name}"' for name in table.row._fields[: table.key])
    return f'CREATE TABLE "{table.name}" ({", ".join(columns)}, PRIMARY KEY ({key})) WITHOUT ROWID'


def create_index(table: Table, index: Index) -> str:
    unique = "UNIQUE " if index.unique else ""
    columns = ", ".join(f'"{name}"' for name in index.columns)
    return f'CREATE {unique}INDEX IF NOT EXISTS {index_name(table.name, index.name)} ON "{table.name}" ({columns})'


def index_name(table: str, index: str) -> str:
    return f'"{table}_{index}"'


@cache
def fingerprint() -> str:
    """Names the shape and the meaning of all tables, and the formulas of the figures that are kept. A generation of
    another one is to be rebuilt."""
    statements = [create_table(table) for table in ALL_TABLES]
    statements += [create_index(table, index) for table in ALL_TABLES for index in table.indices]
    return sha256("\n".join([str(MEANING), catalogue.VERSION, *statements]).encode()).hexdigest()


class Statements:
    """The statements of one table."""

    def __init__(self, table: Table) -> None:
        self.table = table.name
        self.name = f'"{table.name}"'
        self.columns = tuple(f'"{name}"' for name in table.row._fields)
        self.key = self.columns[: table.key]
        self.order = ", ".join(self.key)
        self.select = f"SELECT * FROM {self.name} WHERE {_equal(self.key)}"
        values = f"({', '.join('?' * len(self.columns))})"
        self.insert = f"INSERT OR REPLACE INTO {self.name} VALUES {values}"
        self.insert_many = (
            f"INSERT OR REPLACE INTO {self.name} VALUES {', '.join([values] * ROWS_PER_INSERT)}"
        )
        self.delete = f"DELETE FROM {self.name} WHERE {_equal(self.key)}"
        self._columns_of = {
            index.name: tuple(f'"{name}"' for name in index.columns) for index in table.indices
        }

    def delete_prefix(self, size: int) -> str:
        return f"DELETE FROM {self.name}" + (f" WHERE {_equal(self.key[:size])}" if size else "")

    def scan(self, size: int, *, low: bool, high: bool) -> str:
        conditions = [f"{column} = ?" for column in self.key[:size]]
        if low:
            conditions.append(f"{self.key[size]} >= ?")
        if high:
            conditions.append(f"{self.key[size]} <= ?")
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return f"SELECT * FROM {self.name}{where} ORDER BY {self.order}"

    def find(self, index: str, size: int) -> str:
        columns = self._columns_of[index][:size]
        return f"SELECT * FROM {self._by(index)} WHERE {_equal(columns)} ORDER BY {self.order}"

    def among(self, size: int, values: int, index: str | None) -> str:
        columns = self.key if index is None else self._columns_of[index]
        source = self.name if index is None else self._by(index)
        conditions = [f"{column} = ?" for column in columns[:size]]
        conditions.append(f"{columns[size]} IN ({', '.join('?' * values)})")
        return f"SELECT * FROM {source} WHERE {' AND '.join(conditions)}"

    def _by(self, index: str) -> str:
        # Left to itself, SQLite takes the clustered key where both begin alike, and reads all that is below.
        return f"{self.name} INDEXED BY {index_name(self.table, index)}"


#: The statements of a table are the same for all who ask.
statements_of = cache(Statements)


def _equal(columns: tuple[str, ...]) -> str:
    return " AND ".join(f"{column} = ?" for column in columns)
