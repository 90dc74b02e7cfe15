"""Rebuilding all read models from the log, against a bare insert of the largest table's rows, ready made."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from random import Random
from typing import Any

from adapters.event_log.sqlite import SqliteLogSource
from adapters.read_models import pointer
from adapters.read_models.generations import rebuild
from adapters.read_models.schema import ROWS_PER_INSERT, create_index, create_table
from projections.accounts import key_of
from projections.shown import TRANSACTIONS
from scripts.bench.folder import Folder
from scripts.bench.measure import Benchmark, Case, Figure, Line, Sample
from scripts.bench.statements import BATCH, SEED, Account, fetched, person

NAME = "rebuild"
SUMMARY = "rebuilding all read models, against a raw multi-row insert of the ready rows of transactions"

PEOPLE = 10
ACCOUNTS_EACH = 2
TRANSACTIONS_EACH = 10_000
TRANSACTIONS_EACH_QUICK = 1_000

#: How a generation is built, too: nobody reads it until it is whole.
PRAGMAS = ("locking_mode = EXCLUSIVE", "journal_mode = MEMORY", "synchronous = OFF", "cache_size = -262144")


class Ours:
    """The command's own function, from a log to a generation that is switched to."""

    def __init__(self, source: SqliteLogSource, directory: Path, count: int) -> None:
        self._source = source
        self._directory = directory
        self._count = count

    def rebuild(self) -> Sample:
        shutil.rmtree(self._directory, ignore_errors=True)
        started = time.perf_counter()
        rebuild(self._source, self._directory)
        return {"rate": self._count / (time.perf_counter() - started)}

    def rows(self) -> list[tuple[Any, ...]]:
        """The rows of transactions, in the order of their key."""
        self.rebuild()
        (number,) = pointer.numbers(self._directory)
        with closing(sqlite3.connect(pointer.path_of(self._directory, number))) as connection:
            return connection.execute(
                f"SELECT * FROM {TRANSACTIONS.name} ORDER BY account, newest, id"
            ).fetchall()


class Raw:
    """The same table and index, filled from lists of values that are ready to be bound."""

    def __init__(self, path: Path, rows: Sequence[tuple[Any, ...]]) -> None:
        self._path = path
        self._count = len(rows)
        self._values = [
            [value for row in rows[start : start + ROWS_PER_INSERT] for value in row]
            for start in range(0, len(rows), ROWS_PER_INSERT)
        ]
        marks = f"({', '.join('?' * len(TRANSACTIONS.row._fields))})"
        self._insert = f"INSERT INTO {TRANSACTIONS.name} VALUES {', '.join([marks] * ROWS_PER_INSERT)}"

    def insert(self) -> Sample:
        self._path.unlink(missing_ok=True)
        started = time.perf_counter()
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
            connection.execute("BEGIN")
            connection.execute(create_table(TRANSACTIONS))
            for values in self._values:
                connection.execute(self._insert, values)
            for index in TRANSACTIONS.indices:
                connection.execute(create_index(TRANSACTIONS, index))
            connection.execute("COMMIT")
        file = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        return {"rate": self._count / (time.perf_counter() - started)}


def prepare(stack: ExitStack, scratch: Path, *, quick: bool) -> Benchmark:
    each = TRANSACTIONS_EACH_QUICK if quick else TRANSACTIONS_EACH
    accounts = asyncio.run(_fill(scratch / NAME, each))
    total = len(accounts) * each
    folder = Folder(scratch / NAME)
    stack.callback(folder.close)
    source = folder.source()
    stack.callback(source.close)
    ours = Ours(source, folder.read_models, total)
    raw = Raw(scratch / "rebuild-raw.sqlite3", _as_they_came(ours.rows(), accounts))
    first, second = f"{NAME}: all read models", f"{NAME}: raw rows"
    return Benchmark(
        NAME,
        cases=(Case(first, ours.rebuild), Case(second, raw.insert)),
        lines=(
            Line(
                f"rebuild of {total:,} transactions on {len(accounts)} accounts",
                "transactions/s",
                Figure(first, "rate"),
                Figure(second, "rate"),
            ),
        ),
    )


async def _fill(path: Path, each: int) -> list[Account]:
    """Make a log in which the accounts' batches take turns, as they do where they are synchronised together."""
    random = Random(SEED)
    people = [person(random, ACCOUNTS_EACH) for _ in range(PEOPLE)]
    accounts = [account for someone in people for account in someone.accounts]
    folder = Folder(path)
    try:
        await folder.begin(random, people)
        for batch in zip(*(fetched(random, each) for _ in accounts), strict=True):
            appends = zip(accounts, batch, strict=True)
            await asyncio.gather(*(folder.append(account.stream, (fact,)) for account, fact in appends))
    finally:
        folder.close()
    return accounts


def _as_they_came(rows: Sequence[tuple[Any, ...]], accounts: Sequence[Account]) -> list[tuple[Any, ...]]:
    """The rows batch by batch, as the log has them, each batch in the order of the key."""
    turn = {key_of(account.id): number for number, account in enumerate(accounts)}
    reference = TRANSACTIONS.row._fields.index("reference")
    first = min(int(row[reference]) for row in rows)
    return sorted(rows, key=lambda row: ((int(row[reference]) - first) // BATCH, turn[row[0]]))
