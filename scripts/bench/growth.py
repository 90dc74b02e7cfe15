"""What a history costs: bringing one new transaction to a short and to a long one, and turning to its last page."""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from adapters.clock import RandomIds, SystemClock
from adapters.jobs.in_process import InProcessJobs
from adapters.jobs.inbox import SqliteInbox
from adapters.read_models.generations import open_live, rebuild
from adapters.read_models.queries import SqliteReadModels
from adapters.storage import INBOX_FILE
from application.execute import Plan, Services, execute, internal_context, load
from domain.consumer_account import BalanceRefreshed, record_transactions, refresh_balance
from projections import credit_insights
from projections.catch_up import catch_up
from scripts.bench.folder import Folder
from scripts.bench.measure import Benchmark, Case, Figure, Line, Sample
from scripts.bench.statements import (
    AS_OF,
    DAYS,
    FIRST_DAY,
    SEED,
    TENANT,
    Account,
    fetched,
    person,
    transaction,
)

NAME = "growth"
SUMMARY = (
    "a sync that brings one transaction, and pages, on an account of 100 and of 100,000 transactions,"
    " also where they came one a day"
)

SHORT = 100
LONG = 100_000
LONG_QUICK = 10_000
#: About as many as there may be for figures to be kept: these are made of the rows of 24 months out of 60.
WIDEST = 11_500
SYNCS = 10
PAGES = 200
PER_PAGE = 100
DOCUMENTS = 5
#: Facts of one append while a history that came one a day is made.
FACTS_AT_ONCE = 1_000
MILLISECONDS = 1_000
MICROSECONDS = 1_000_000


class World:
    """The use cases over a log, and a generation that follows it, in one process."""

    def __init__(self, path: Path, stack: ExitStack, long: int) -> None:
        self._runner = stack.enter_context(asyncio.Runner())
        self._folder = Folder(path)
        stack.callback(self._folder.close)
        self._random = Random(SEED)
        # One consumer each: what is answered is made anew for a consumer as a whole.
        self.short, self.widest, self.long = (
            self._runner.run(self._account(count)) for count in (SHORT, WIDEST, long)
        )
        self.daily = self._runner.run(self._daily_account(long))
        self._source = self._folder.source()
        stack.callback(self._source.close)
        rebuild(self._source, self._folder.read_models)
        generation = open_live(self._folder.read_models)
        if generation is None:
            raise RuntimeError("the generation that was just built is not there")
        stack.callback(generation.close)
        self._generation = generation
        self._read_models = SqliteReadModels(self._folder.read_models)
        stack.callback(self._read_models.close)
        inbox = SqliteInbox(path / INBOX_FILE)
        stack.callback(inbox.close)
        self._services = Services(
            log=self._folder.log,
            keys=self._folder.vault.keys,
            secrets=self._folder.vault.secrets,
            gateways={},
            read_models=self._read_models,
            jobs=InProcessJobs(),
            clock=SystemClock(),
            ids=RandomIds(),
            asks=inbox,
            public_url="",
        )
        self._syncs = 0

    async def _account(self, count: int) -> Account:
        someone = person(self._random, 1)
        await self._folder.begin(self._random, [someone])
        (account,) = someone.accounts
        for fact in fetched(self._random, count):
            await self._folder.append(account.stream, (fact,))
        return account

    async def _daily_account(self, count: int) -> Account:
        """As many rows, each with a fact and a reading of its own, as they come to a service that runs for years."""
        someone = person(self._random, 1)
        await self._folder.begin(self._random, [someone])
        (account,) = someone.accounts
        facts: list[Any] = []
        for number, fact in enumerate(fetched(self._random, count, batch=1)):
            reading = BalanceRefreshed(as_of=AS_OF - timedelta(minutes=count - number), balance=number)
            facts += (fact, reading)
            if len(facts) >= FACTS_AT_ONCE or number == count - 1:
                await self._folder.append(account.stream, tuple(facts))
                facts.clear()
        return account

    def cold(self, account: Account) -> Sample:
        """The state of an account in a process that has just started, and its size."""
        self._runner.run(load(self._services, account.stream))
        started = time.perf_counter()
        for _ in range(SYNCS):
            self._services.states.clear()
            loaded = self._runner.run(load(self._services, account.stream))
        took = time.perf_counter() - started
        return {
            "load": took / SYNCS * MILLISECONDS,
            "state": float(len(msgspec.msgpack.encode(loaded.state))),
        }

    def sync(self, account: Account) -> Sample:
        """What is left of a sync once the bank has answered: look up, decide, append, project."""
        appending = projecting = 0.0
        for _ in range(SYNCS):
            started = time.perf_counter()
            self._runner.run(self._append(account))
            appended = time.perf_counter()
            catch_up(self._source, self._generation)
            appending += appended - started
            projecting += time.perf_counter() - appended
        return {
            "append": appending / SYNCS * MILLISECONDS,
            "project": projecting / SYNCS * MILLISECONDS,
            "both": (appending + projecting) / SYNCS * MILLISECONDS,
        }

    async def _append(self, account: Account) -> None:
        self._syncs += 1
        number = self._syncs
        row = transaction(self._random, f"new-{number}", FIRST_DAY + DAYS)
        reading = BalanceRefreshed(as_of=AS_OF + timedelta(seconds=number), balance=number)

        async def decide() -> Plan:
            loaded = await load(self._services, account.stream)
            known = await self._read_models.known(TENANT, account.id, [row.reference])
            pendings = await self._read_models.pendings(TENANT, account.id)
            facts = (
                *refresh_balance(loaded.state, reading),
                *record_transactions([row], known, lambda: self._random.randbytes(16), pendings),
            )
            return Plan(loaded, ((loaded, facts),))

        await execute(self._services, internal_context(self._services, TENANT, "sync"), decide)

    def pages(self, account: Account, *, last: bool) -> Sample:
        """The same page again and again, as the door asks for it."""
        ask = self._read_models.transactions
        total, _ = ask(TENANT, account.consumer, account.id, 1, PER_PAGE)
        page = total // PER_PAGE if last else 1
        started = time.perf_counter()
        for _ in range(PAGES):
            _, rows = ask(TENANT, account.consumer, account.id, page, PER_PAGE)
        took = time.perf_counter() - started
        if len(rows) != PER_PAGE:
            raise RuntimeError(f"page {page} has {len(rows)} rows")
        return {"page": took / PAGES * MICROSECONDS}

    def insights(self, account: Account) -> Sample:
        """The document that lists all transactions of its months, made when it is asked for."""
        started = time.perf_counter()
        for _ in range(DOCUMENTS):
            with self._read_models.moment() as rows:
                credit_insights.document(rows, TENANT, account.consumer)
        return {"document": (time.perf_counter() - started) / DOCUMENTS * MILLISECONDS}


def prepare(stack: ExitStack, scratch: Path, *, quick: bool) -> Benchmark:
    long = LONG_QUICK if quick else LONG
    world = World(scratch / NAME, stack, long)
    short_sync, long_sync = f"{NAME}: sync onto {SHORT:,}", f"{NAME}: sync onto {long:,}"
    daily_sync = f"{NAME}: sync onto {long:,} that came one a day"
    widest_sync = f"{NAME}: sync onto {WIDEST:,}"
    short_cold, daily_cold = f"{NAME}: state of {SHORT:,}", f"{NAME}: state of {long:,} that came one a day"
    short_document, long_document = f"{NAME}: insights of {SHORT:,}", f"{NAME}: insights of {long:,}"
    first, last = f"{NAME}: first page", f"{NAME}: last page"
    of = f"{long:,} transactions against {SHORT:,}"
    return Benchmark(
        NAME,
        cases=(
            Case(short_sync, lambda: world.sync(world.short)),
            Case(long_sync, lambda: world.sync(world.long)),
            Case(daily_sync, lambda: world.sync(world.daily)),
            Case(widest_sync, lambda: world.sync(world.widest)),
            Case(short_cold, lambda: world.cold(world.short)),
            Case(daily_cold, lambda: world.cold(world.daily)),
            Case(short_document, lambda: world.insights(world.short)),
            Case(long_document, lambda: world.insights(world.long)),
            Case(first, lambda: world.pages(world.long, last=False)),
            Case(last, lambda: world.pages(world.long, last=True)),
        ),
        lines=(
            *(
                Line(
                    f"one new transaction, {what}: {of}",
                    "ms",
                    Figure(long_sync, name),
                    Figure(short_sync, name),
                )
                for what, name in (("decide and append", "append"), ("project", "project"), ("both", "both"))
            ),
            Line(
                f"one new transaction, both: {long:,} that came one a day against {SHORT:,}",
                "ms",
                Figure(daily_sync, "both"),
                Figure(short_sync, "both"),
            ),
            Line(
                f"one new transaction, both: {WIDEST:,}, the most with figures kept, against {SHORT:,}",
                "ms",
                Figure(widest_sync, "both"),
                Figure(short_sync, "both"),
            ),
            Line(
                f"an account's state after a start: {long:,} that came one a day against {SHORT:,}",
                "ms",
                Figure(daily_cold, "load"),
                Figure(short_cold, "load"),
            ),
            Line(
                f"an account's state in memory: {long:,} that came one a day against {SHORT:,}",
                "bytes",
                Figure(daily_cold, "state"),
                Figure(short_cold, "state"),
            ),
            Line(
                f"credit insights, which list thirteen months: {of}",
                "ms",
                Figure(long_document, "document"),
                Figure(short_document, "document"),
            ),
            Line(
                f"a page of {PER_PAGE}: last of {long:,} transactions against first",
                "µs",
                Figure(last, "page"),
                Figure(first, "page"),
            ),
        ),
    )
