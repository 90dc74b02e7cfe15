"""Appending 500 transactions: the log as it is, against a bare insert of the same bytes under the same durability."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from random import Random

from application.ports import Append
from scripts.bench.folder import Folder
from scripts.bench.measure import Benchmark, Case, Figure, Line, Sample
from scripts.bench.statements import BATCH, SEED, Account, fetched, person

NAME = "append"
SUMMARY = "appends of 500 transactions, against a raw insert of the same bytes with the same durability"

ACCOUNTS = 20
APPENDS = 400
APPENDS_QUICK = 100
#: How many callers append at once, in the second pair of cases.
TOGETHER = 10
#: Facts that are made beforehand, and appended over and over to other streams and versions.
FACTS = 40

# As the log's own table of events, without what makes it more than one.
TABLE = """CREATE TABLE events (position INTEGER PRIMARY KEY, stream TEXT NOT NULL, version INTEGER NOT NULL,
    name TEXT NOT NULL, state BLOB NOT NULL, UNIQUE (stream, version))"""
INSERT = "INSERT INTO events (stream, version, name, state) VALUES (?, ?, ?, ?)"

Row = tuple[str, int, str, bytes]


class Ours:
    """The log: sealing, leaf, command, fsync, and one commit for all who wait."""

    def __init__(self, path: Path, runner: asyncio.Runner) -> None:
        self._commits = 0
        self._folder = Folder(path, point=self._count)
        self._runner = runner
        random = Random(SEED)
        someone = person(random, ACCOUNTS)
        self.facts = list(fetched(random, FACTS * BATCH))
        self.accounts: Sequence[Account] = someone.accounts
        runner.run(self._folder.begin(random, [someone]))
        self.close = self._folder.close

    def sealed(self) -> list[bytes]:
        """What the facts are stored as."""
        stream = self.accounts[0].stream
        prepared = [self._folder.append_of(stream, (fact,)) for fact in self.facts]
        self._folder.versions[stream] -= len(self.facts)
        seal = self._folder.mapper.seal
        return [
            seal(stream, append.subject_version, fact, append.recorded_at, append.context).state
            for append, fact in zip(prepared, self.facts, strict=True)
        ]

    def append(self, count: int, together: int) -> Sample:
        streams = [account.stream for account in islice(cycle(self.accounts), count)]
        appends = [
            self._folder.append_of(stream, (fact,))
            for stream, fact in zip(streams, cycle(self.facts), strict=False)
        ]
        self._commits = 0
        return self._runner.run(self._timed(appends, together))

    async def _timed(self, appends: Sequence[Append], together: int) -> Sample:
        append = self._folder.log.append
        started = time.perf_counter()
        if together == 1:
            for one in appends:
                await append(one)
        else:
            for start in range(0, len(appends), together):
                await asyncio.gather(*map(append, appends[start : start + together]))
        took = time.perf_counter() - started
        return {"rate": len(appends) * BATCH / took, "per commit": len(appends) / self._commits}

    def _count(self, point: str) -> None:
        self._commits += point == "committed"


class Raw:
    """One table and bytes that are ready."""

    def __init__(self, path: Path, states: Sequence[bytes], streams: Sequence[str], name: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(TABLE)
        self._states = states
        self._streams = streams
        self._name = name
        self._version = 0
        self.close = self._connection.close

    def insert(self, count: int, together: int) -> Sample:
        rows = list(islice(self._rows(), count))
        execute, executemany = self._connection.execute, self._connection.executemany
        started = time.perf_counter()
        for start in range(0, count, together):
            execute("BEGIN IMMEDIATE")
            executemany(INSERT, rows[start : start + together])
            execute("COMMIT")
        return {"rate": count * BATCH / (time.perf_counter() - started)}

    def _rows(self) -> list[Row]:
        rows = []
        states = cycle(self._states)
        while len(rows) < APPENDS:
            self._version += 1
            rows += [(stream, self._version, self._name, next(states)) for stream in self._streams]
        return rows


def prepare(stack: ExitStack, scratch: Path, *, quick: bool) -> Benchmark:
    count = APPENDS_QUICK if quick else APPENDS
    runner = stack.enter_context(asyncio.Runner())
    ours = Ours(scratch / "append", runner)
    stack.callback(ours.close)
    streams = [account.stream for account in ours.accounts]
    raw = Raw(scratch / "append-raw.sqlite3", ours.sealed(), streams, "TransactionsFetched.1")
    stack.callback(raw.close)
    one, ten = f"{NAME}: log, one at a time", f"{NAME}: log, {TOGETHER} at once"
    raw_one, raw_ten = f"{NAME}: raw, 1 per commit", f"{NAME}: raw, {TOGETHER} per commit"
    return Benchmark(
        NAME,
        cases=(
            Case(one, lambda: ours.append(count, 1)),
            Case(raw_one, lambda: raw.insert(count, 1)),
            Case(ten, lambda: ours.append(count, TOGETHER)),
            Case(raw_ten, lambda: raw.insert(count, TOGETHER)),
        ),
        lines=(
            Line(
                f"append {BATCH} rows, 1 per commit",
                "transactions/s",
                Figure(one, "rate"),
                Figure(raw_one, "rate"),
            ),
            Line(
                f"append {BATCH} rows, {TOGETHER} at once against {TOGETHER} per commit",
                "transactions/s",
                Figure(ten, "rate"),
                Figure(raw_ten, "rate"),
            ),
            Line(
                f"of {TOGETHER} at once, appends that shared a commit",
                "appends/commit",
                Figure(ten, "per commit"),
            ),
        ),
    )
