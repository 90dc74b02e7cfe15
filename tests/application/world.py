"""A whole service in one process: a real log, keys, a scripted bank, and a clock that only sleeping moves.

What lasts is `Lasting`; a `World` is one life of the service over it, and `restarted` is the next.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.event_log.mapper import SealedMapper
from adapters.event_log.memory import MemoryEventLog, MemoryLogSource
from adapters.event_log.sqlite import SqliteEventLog, SqliteLogSource
from adapters.jobs.in_process import InProcessJobs
from adapters.keys.keyring import SqliteKeyRing
from adapters.keys.master import open_master_key
from adapters.keys.secrets import SqliteSecretStore
from adapters.read_models.memory import MemoryGeneration
from application import authorisations, consumers, data_connections, providers, syncs
from application.execute import Outcome, Services, load
from application.ports import (
    Append,
    Appended,
    Booking,
    Conflict,
    Context,
    KeyDestroyed,
    KeyMissing,
    LogUnavailable,
)
from application.synchronise import run_refresh, run_sync
from domain import consumer, streams
from domain.consumer_account import BookingUndone, Known, TransactionsFetched
from domain.data_connection import SCHEDULE
from domain.fact import Recorded
from domain.pending import Pendings
from domain.provider import BUDGET_INSIGHT
from domain.transactions import Transaction
from projections import catch_up as projecting
from projections import directory, health, transactions, uploads
from projections.models import ALL_TABLES
from projections.stalled import STALLED
from tests.application.bank import ScriptedBank, credentials
from tests.application.inbox import MemoryInbox

BI = BUDGET_INSIGHT.name
TENANT = "acme"
MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PUBLIC_URL = "https://passbook.test"
Step = Callable[[], Awaitable[Any]]

_OF_CONSUMER = [
    table for table in ALL_TABLES if table.row._fields[:2] in (("tenant", "consumer"), ("tenant", "id"))
]


async def conflict() -> None:
    """What happens to an append that is too late."""
    raise Conflict("another was quicker")


async def unavailable() -> None:
    """What happens to an append, or its answer, when the storage is away."""
    raise LogUnavailable("the disk is away")


class VirtualClock:
    def __init__(self, at: datetime = MONDAY) -> None:
        self.at = at
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class SeededIds:
    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def uuid(self) -> str:
        return str(UUID(int=self._random.getrandbits(128), version=4))

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)


class MemoryKeyRing:
    """Keys without a file: what is destroyed is destroyed with all beneath it, and is never made again."""

    def __init__(self) -> None:
        self._active: dict[str, tuple[bytes, AESGCM]] = {}
        self._scopes: dict[bytes, str] = {}
        self._destroyed: set[str] = set()
        self._announced: dict[str, None] = {}
        self._failures = 0

    def fail_destructions(self, times: int = 1) -> None:
        self._failures = times

    def is_destroyed(self, scope: str) -> bool:
        parts = scope.split("/")
        return any("/".join(parts[:count]) in self._destroyed for count in range(1, len(parts) + 1))

    def for_writing(self, scope: str) -> tuple[bytes, AESGCM]:
        if self.is_destroyed(scope):
            raise KeyDestroyed(scope)
        if scope not in self._active:
            key_id = os.urandom(16)
            self._active[scope] = key_id, AESGCM(os.urandom(32))
            self._scopes[key_id] = scope
        return self._active[scope]

    def for_reading(self, key_id: bytes) -> AESGCM | None:
        if key_id not in self._scopes:
            raise KeyMissing("there is no such key")
        scope = self._scopes[key_id]
        return None if self.is_destroyed(scope) else self._active[scope][1]

    def scope_of(self, key_id: bytes) -> str:
        return self._scopes[key_id]

    def keyed_hash(self, tenant: str, purpose: str, data: bytes) -> bytes:
        return hmac.digest(f"{tenant} {purpose}".encode(), data, "sha256")

    async def announce_destruction(self, scope: str) -> None:
        self._announced[scope] = None

    async def destroy(self, scope: str) -> None:
        if self._failures:
            self._failures -= 1
            raise LogUnavailable("the keys cannot be written")
        self._destroyed.add(scope)
        self._announced.pop(scope, None)

    async def announced(self) -> Sequence[str]:
        return sorted(self._announced)

    async def withdraw_announcement(self, scope: str) -> None:
        self._announced.pop(scope, None)


class MemorySecrets:
    def __init__(self, keys: MemoryKeyRing) -> None:
        self._keys = keys
        self.held: dict[str, tuple[str, str, bytes]] = {}

    async def put(self, scope: str, name: str, secret: bytes) -> str:
        self._keys.for_writing(scope)
        reference = f"secret-{os.urandom(8).hex()}"
        self.held[reference] = scope, name, secret
        return reference

    async def get(self, reference: str) -> bytes | None:
        scope, _, secret = self.held.get(reference, ("", "", None))
        return None if secret is None or self._keys.is_destroyed(scope) else secret

    async def find(self, scope: str, name: str) -> bytes | None:
        for reference in reversed(self.held):
            if self.held[reference][:2] == (scope, name):
                return await self.get(reference)
        return None

    async def references(self, name: str) -> Sequence[str]:
        return [reference for reference, held in self.held.items() if held[1] == name]

    async def forget(self, reference: str) -> None:
        self.held.pop(reference, None)

    async def forget_others(self, scope: str, name: str, keep: str) -> None:
        for reference in [r for r, held in self.held.items() if held[:2] == (scope, name) and r != keep]:
            del self.held[reference]


class ScriptedLog:
    """The log, with what a test lets happen before and after it is written or read."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._before: list[tuple[type, Step]] = []
        self._after: list[tuple[type, Step]] = []
        self._failing_reads: list[tuple[str, int]] = []
        self.yields: Callable[[], int] = lambda: 0
        self.trouble: Callable[[], Step | None] = lambda: None
        self.lost: Callable[[Append], bool] = lambda append: False
        self.facts_read = 0
        self.appends: list[Append] = []

    def before(self, fact: type, *steps: Step) -> None:
        """Let something else happen, once, between the decision and the append of such a fact."""
        self._before += [(fact, step) for step in steps]

    def after(self, fact: type, step: Step) -> None:
        """Let something else happen, once, after such a fact is written and before that is known."""
        self._after.append((fact, step))

    def fail_read(self, of: str, *, skip: int = 0) -> None:
        """The next reading of a stream whose id contains this fails, or the one that many later."""
        self._failing_reads.append((of, skip))

    async def append(self, append: Append) -> Appended:
        for _ in range(self.yields()):
            await asyncio.sleep(0)
        if (trouble := self.trouble()) is not None:
            await trouble()
        await _happen(self._before, append)
        appended = await self._log.append(append)
        self.appends.append(append)
        if self.lost(append):
            raise LogUnavailable("the answer was lost")
        await _happen(self._after, append)
        return appended

    async def facts(self, stream: str, *, after: int = 0, upto: int | None = None) -> Sequence[Recorded]:
        for index, (of, skip) in enumerate(self._failing_reads):
            if of in stream:
                del self._failing_reads[index]
                if skip == 0:
                    raise LogUnavailable("the disk is away")
                self._failing_reads.insert(index, (of, skip - 1))
        facts = await self._log.facts(stream, after=after, upto=upto)
        self.facts_read += len(facts)
        return facts

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


async def _happen(steps: list[tuple[type, Step]], append: Append) -> None:
    said = {type(fact) for change in append.changes for fact in change.facts}
    for entry in steps:
        if entry[0] in said:
            steps.remove(entry)
            await entry[1]()
            return


class FoldedReadModels:
    """`ReadModels` by folding each commit at once, unless it is told to be behind until some moment."""

    def __init__(self, source: Any, clock: VirtualClock) -> None:
        self._source = source
        self._clock = clock
        self.generation = MemoryGeneration()
        self.behind_until = datetime.min.replace(tzinfo=UTC)
        self.asked_known: list[list[str]] = []

    def catch_up(self) -> None:
        if self._clock.now() >= self.behind_until:
            projecting.catch_up(self._source, self.generation)

    @property
    def rows(self) -> Any:
        self.catch_up()
        return self.generation.rows

    async def reach(self, position: int, timeout: float) -> bool:
        self.catch_up()
        if self.generation.checkpoint() < position:
            left = (self.behind_until - self._clock.now()).total_seconds()
            await self._clock.sleep(min(timeout, left))
            self.catch_up()
        return self.generation.checkpoint() >= position

    async def is_stalled(self, tenant: str, consumer_id: str) -> bool:
        return self.rows.get(STALLED, tenant, consumer_id) is not None

    async def known(self, tenant: str, source_id: str, references: Sequence[str]) -> Mapping[str, Known]:
        self.asked_known.append(list(references))
        return transactions.known(self.rows, tenant, source_id, references)

    async def holds_booked(self, tenant: str, source_id: str, since: int | None) -> bool:
        return transactions.holds_booked(self.rows, tenant, source_id, since)

    async def pendings(self, tenant: str, source_id: str) -> Pendings:
        return transactions.pendings(self.rows, tenant, source_id)

    async def booking(self, tenant: str, source_id: str, pending_id: bytes) -> Booking | None:
        row = transactions.booking(self.rows, tenant, source_id, pending_id)
        return row and Booking(row.pending_id, row.pending_reference, row.booked_id)

    async def refreshes_due(self, now: datetime) -> Sequence[str]:
        return health.refreshes_due(self.rows, now)

    async def announcements_due(self, now: datetime) -> Sequence[str]:
        return health.announcements_due(self.rows, now)

    async def expiries_due(self, now: datetime) -> Sequence[tuple[str, str]]:
        return uploads.expiries_due(self.rows, now)

    async def pending_syncs(self) -> Sequence[tuple[str, str]]:
        pending = sorted(self.rows.scan(directory.PENDING_SYNCS), key=lambda row: row.position)
        return [(row.stream, row.sync) for row in pending]

    async def stream_of_connection(self, connection_id: str) -> str | None:
        row = next(iter(self.rows.find(directory.CONNECTIONS, "by_id", connection_id)), None)
        return row.stream if row else None

    async def consumer_gone(self, tenant: str, consumer_id: str) -> bool:
        return not any(next(iter(self.rows.scan(table, tenant, consumer_id)), None) for table in _OF_CONSUMER)


class Lasting:
    """What a service leaves when it dies: log, keys, secrets, read models - and the bank, the clock, chance."""

    def __init__(self, log: Any, source: Any, keys: Any, secrets: Any, *, seed: int = 1) -> None:
        self.log, self.source, self.keys, self.secrets = log, source, keys, secrets
        self.clock = VirtualClock()
        self.ids = SeededIds(seed)
        self.bank = ScriptedBank(self.clock)
        self.asks = MemoryInbox()
        self.read_models = FoldedReadModels(source, self.clock)
        log.on_commit.append(lambda position: self.read_models.catch_up())


def in_memory(*, seed: int = 1) -> Lasting:
    keys = MemoryKeyRing()
    log = MemoryEventLog(SealedMapper(keys))
    return Lasting(log, MemoryLogSource(log), keys, MemorySecrets(keys), seed=seed)


def on_disk(folder: Path, stack: ExitStack, **more: Any) -> Lasting:
    data = folder / "data"
    master = open_master_key(data)
    data.mkdir()
    keys = SqliteKeyRing(data / "keys.sqlite3", master)
    stack.callback(keys.close)
    secrets = SqliteSecretStore(data / "secrets.sqlite3", keys)
    stack.callback(secrets.close)
    mapper = SealedMapper(keys)
    log = SqliteEventLog(data / "log.sqlite3", mapper, **more)
    stack.callback(log.close)
    source = SqliteLogSource(data / "log.sqlite3", mapper)
    stack.callback(source.close)
    return Lasting(log, source, keys, secrets)


class World:
    """One life of the service, and the requests that a test makes of it."""

    def __init__(self, lasting: Lasting, *, tenant: str = TENANT) -> None:
        self.lasting = lasting
        self.tenant = tenant
        self.keys, self.secrets = lasting.keys, lasting.secrets
        self.clock, self.bank, self.read_models = lasting.clock, lasting.bank, lasting.read_models
        self.log = ScriptedLog(lasting.log)
        self.jobs = InProcessJobs()
        self.requested: list[tuple[str, str]] = []
        self.services = Services(
            log=self.log,
            keys=lasting.keys,
            secrets=lasting.secrets,
            gateways={BI: lasting.bank},
            read_models=lasting.read_models,
            jobs=self.jobs,
            clock=lasting.clock,
            ids=lasting.ids,
            asks=lasting.asks,
            public_url=PUBLIC_URL,
            sync_requested=lambda stream, sync_id: self.requested.append((stream, sync_id)),
            refresh=self.refresh,
        )

    def restarted(self) -> World:
        """The next life, after this one died: nothing that was only in memory is left."""
        return World(self.lasting, tenant=self.tenant)

    def of(self, tenant: str) -> World:
        """The same service, asked by another tenant."""
        other = World(self.lasting, tenant=tenant)
        other.services = self.services
        return other

    def asks(self, key: str | None = None, said: str = "") -> Context:
        """A request's context: with an Idempotency-Key and what was said under it, or without."""
        if key is None:
            command_id, digest = self.services.ids.token(16), b""
        else:
            command_id, digest = sha256(key.encode()).digest()[:16], sha256(said.encode()).digest()
        return Context(tenant=self.tenant, actor="key:test", command_id=command_id, input_digest=digest)

    # Requests, by the names of a story

    async def provider(self, *, auto_connect: bool = False, domain: str = "acme-sandbox") -> None:
        await providers.update_credentials(self.services, self.asks(), BI, credentials(domain))
        if auto_connect:
            await providers.update_settings(self.services, self.asks(), BI, {"auto_connect": True})
        await providers.set_enabled(self.services, self.asks(), BI, True)

    async def consumer(self, name: str = "Boulangerie Test", **fields: Any) -> str:
        outcome = await consumers.register(
            self.services, self.asks(), type=consumer.LEGAL, fields={"name": name, **fields}
        )
        return streams.parse(outcome.stream).id

    async def connection(self, consumer_id: str, *data_types: str) -> str:
        outcome = await data_connections.request(
            self.services, self.asks(), consumer_id, provider_name=BI,
            data_types=data_types or BUDGET_INSIGHT.data_types,
        )  # fmt: skip
        return streams.parse(outcome.stream).id

    async def link(self, consumer_id: str, connection_id: str) -> str:
        """The token of a link that is handed out now."""
        state = await self.state(self.connection_stream(consumer_id, connection_id))
        address = authorisations.link(
            self.services, self.tenant, connection_id, state.link_epoch, self.clock.now()
        )
        return address.partition("?token=")[2]

    async def opened(self, consumer_id: str, connection_id: str) -> str:
        """Open the link: the `state` that goes to the bank."""
        token = await self.link(consumer_id, connection_id)
        return state_in(await authorisations.open_link(self.services, connection_id, token))

    async def authorise(self, consumer_id: str, connection_id: str) -> str:
        """Through the bank's page and back: the bank's connection."""
        state = await self.opened(consumer_id, connection_id)
        user = self.bank.asked("authorisation_url")[-1][0]
        reference = self.bank.connect(user)
        await authorisations.complete(self.services, {"state": state, "connection_id": reference})
        return reference

    async def connected(self) -> tuple[str, str, str]:
        """A consumer with a connection to the bank: consumer, connection, the bank's connection."""
        await self.provider()
        consumer_id = await self.consumer()
        connection_id = await self.connection(consumer_id)
        return consumer_id, connection_id, await self.authorise(consumer_id, connection_id)

    async def request_sync(self, consumer_id: str, *data_types: str) -> tuple[str, str]:
        """Stream and id of a sync that waits to be run."""
        _, (requested, *_) = await syncs.request(self.services, self.asks(), consumer_id, data_types)
        return requested.stream, requested.fact.sync_id

    async def sync(self, consumer_id: str, *data_types: str) -> str:
        """Request a sync and run it to its end: how it ended."""
        stream, sync_id = await self.request_sync(consumer_id, *data_types)
        await run_sync(self.services, stream, sync_id)
        return await self.ending(stream, sync_id)

    async def refresh(self, stream: str, origin: str = SCHEDULE) -> bool:
        """Look at a connection that nobody asked about."""
        return await run_refresh(self.services, stream, origin)

    # What came of it

    def connection_stream(self, consumer_id: str, connection_id: str) -> str:
        return streams.data_connection(self.tenant, consumer_id, connection_id)

    async def state(self, stream: str) -> Any:
        return (await load(self.services, stream)).state

    async def facts(self, stream: str) -> list[Any]:
        return [recorded.fact for recorded in await self.lasting.log.facts(stream)]

    async def names(self, stream: str) -> list[str]:
        return [recorded.name.partition(".")[0] for recorded in await self.lasting.log.facts(stream)]

    def everything(self) -> list[Recorded]:
        """The whole log, in order."""
        return list(self.lasting.source.read(0, 1_000_000))

    async def ending(self, stream: str, sync_id: str) -> str:
        """`SUCCESS`, or status and reason, or `pending`."""
        for fact in reversed(await self.facts(stream)):
            if getattr(fact, "sync_id", None) == sync_id:
                match type(fact).__name__:
                    case "SyncSucceeded":
                        return "SUCCESS"
                    case "SyncFailed":
                        return f"{fact.status} {fact.reason}"
        return "pending"

    async def accounts(self, consumer_id: str) -> dict[str, Any]:
        """The states of a consumer's accounts, by id."""
        prefix = streams.of_consumer(self.tenant, consumer_id, streams.CONSUMER_ACCOUNT)
        return {
            streams.parse(stream).id: await self.state(stream)
            for stream in await self.lasting.log.streams(prefix)
        }

    async def only_account(self, consumer_id: str) -> str:
        (account_id,) = await self.accounts(consumer_id)
        return streams.consumer_account(self.tenant, consumer_id, account_id)

    async def held(self, source_stream: str) -> dict[str, Transaction]:
        """A source's rows as the log alone tells them, by reference. What cannot follow upon what was said is a defect."""
        rows: dict[str, Transaction] = {}
        gone: dict[str, Transaction] = {}
        for fact in await self.facts(source_stream):
            match fact:
                case TransactionsFetched():
                    for _, row in fact.added.rows():
                        assert row.reference not in rows | gone, f"{row.reference} was added twice"
                        rows[row.reference] = row
                    for _, row in fact.restored.rows():
                        del gone[row.reference]
                        rows[row.reference] = row
                    for _, row in fact.modified.rows():
                        assert row.reference in rows, f"{row.reference} was modified and is not there"
                        rows[row.reference] = row
                    for reference in (
                        *fact.removed.references,
                        *fact.booked.pending_references,
                        *fact.expired.references,
                    ):
                        gone[reference] = rows.pop(reference)
                case BookingUndone():
                    rows[fact.pending_reference] = gone.pop(fact.pending_reference)
        return rows

    def live(self) -> dict[str, list[Any]]:
        """All rows of the live read models, by table."""
        return _rows_of(self.read_models.rows)

    def rebuilt(self) -> dict[str, list[Any]]:
        """All rows that the log alone gives today."""
        generation = MemoryGeneration()
        projecting.catch_up(self.lasting.source, generation)
        return _rows_of(generation.rows)


def _rows_of(rows: Any) -> dict[str, list[Any]]:
    return {table.name: found for table in ALL_TABLES if (found := list(rows.scan(table)))}


def state_in(address: str) -> str:
    (state,) = parse_qs(urlsplit(address).query)["state"]
    return state


def outcome_of(outcome: Outcome) -> tuple[str, int, int]:
    """What a repetition must come to again."""
    return outcome.stream, outcome.version, outcome.position
