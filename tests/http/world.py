"""A small world behind the doors: a log and rows in memory, a bank that says yes, and a clock that stands."""

from __future__ import annotations

import hmac
import itertools
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from adapters.budget_insight import translate
from adapters.budget_insight.webhooks import BudgetInsightPushes
from adapters.http import HttpServices, Readiness
from adapters.read_models.memory import MemoryRows
from adapters.statements.reader import read
from application.execute import Services
from application.ports import (
    Append,
    Appended,
    Booking,
    Command,
    Conflict,
    ObservedConnection,
    ProviderError,
    ProviderUser,
    Returned,
    Snapshot,
)
from application.statement_files import StatementFile
from application.webhooks import Webhooks
from domain import registry
from domain.consumer import ConsumerErased
from domain.fact import Erased, Recorded
from domain.pending import Pendings
from projections import directory, health, models, transactions, uploads
from projections.health import HEALTH, ConnectionCounts
from projections.ports import Rows
from projections.times import micros
from tests.application.inbox import MemoryInbox

NOON = datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=UTC)
KEYS = {"key-of-ours": ("ours", "k1"), "key-of-theirs": ("theirs", "k2")}


class MemoryLog:
    def __init__(self) -> None:
        self.recorded: list[Recorded] = []
        self.commands: dict[tuple[str, bytes], Command] = {}
        self.unavailable: Exception | None = None
        self.told: Callable[[Recorded], None] = lambda recorded: None

    async def facts(self, stream: str, *, after: int = 0, upto: int | None = None) -> list[Recorded]:
        self._check()
        return [
            recorded
            for recorded in self.recorded
            if recorded.stream == stream and after < recorded.version <= (upto or 10**9)
        ]

    async def streams(self, prefix: str) -> list[str]:
        return sorted({recorded.stream for recorded in self.recorded if recorded.stream.startswith(prefix)})

    async def head(self) -> int:
        self._check()
        return len(self.recorded)

    async def position_of(self, stream: str, version: int) -> int:
        return next(r.position for r in self.recorded if (r.stream, r.version) == (stream, version))

    async def append(self, append: Append) -> Appended:
        self._check()
        context = append.context
        if (context.tenant, context.command_id) in self.commands:
            raise Conflict
        first = len(self.recorded) + 1
        for change in append.changes:
            version = len(await self.facts(change.stream))
            if version != change.expected_version:
                raise Conflict
            for offset, fact in enumerate(change.facts, 1):
                recorded = Recorded(
                    stream=change.stream,
                    version=version + offset,
                    position=len(self.recorded) + 1,
                    name=registry.NAMES[type(fact)],
                    recorded_at=append.recorded_at,
                    actor=context.actor,
                    fact=fact,
                    command_id=context.command_id,
                )
                self.recorded.append(recorded)
                self.told(recorded)
        last = len(self.recorded)
        if context.input_digest:
            self.commands[context.tenant, context.command_id] = Command(
                input_digest=context.input_digest,
                subject=append.subject,
                version=append.subject_version,
                first_position=first,
                last_position=last,
            )
        return Appended(first, last)

    async def command(self, tenant: str, command_id: bytes) -> Command | None:
        return self.commands.get((tenant, command_id))

    async def snapshot(self, stream: str) -> Snapshot | None:
        return None

    async def keep_snapshot(self, snapshot: Snapshot) -> None: ...

    def forget(self, prefix: str) -> None:
        for index, recorded in enumerate(self.recorded):
            if recorded.stream.startswith(prefix) and not isinstance(recorded.fact, ConsumerErased):
                self.recorded[index] = Recorded(
                    stream=recorded.stream,
                    version=recorded.version,
                    position=recorded.position,
                    name=recorded.name,
                    recorded_at=recorded.recorded_at,
                    actor=recorded.actor,
                    fact=Erased(recorded.name),
                )

    def _check(self) -> None:
        if self.unavailable is not None:
            raise self.unavailable


class MemoryReadModels:
    """All as it is projected, but of the Qard door's banking whatever a test puts there."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.rows = MemoryRows()
        self.behind = False
        self.broken: Exception | None = None
        self.accounts: dict[tuple[str, str], list[tuple[str, bool, bytes, bytes]]] = {}
        self.rows_of_account: dict[str, list[bytes]] = {}
        self.asked: list[tuple[Any, ...]] = []
        log.told = lambda recorded: models.project(recorded, self.rows)

    # application.ports.ReadModels

    async def reach(self, position: int, timeout: float) -> bool:
        return not self.behind and position <= len(self.log.recorded)

    async def pending_syncs(self) -> list[tuple[str, str]]:
        return [(row.stream, row.sync) for row in self.rows.scan(directory.PENDING_SYNCS)]

    async def is_stalled(self, tenant: str, consumer_id: str) -> bool:
        return False

    async def known(self, tenant: str, account_id: str, references: Sequence[str]) -> Mapping[str, Any]:
        return transactions.known(self.rows, tenant, account_id, references)

    async def pendings(self, tenant: str, source_id: str) -> Pendings:
        return transactions.pendings(self.rows, tenant, source_id)

    async def booking(self, tenant: str, source_id: str, pending_id: bytes) -> Booking | None:
        held = transactions.booking(self.rows, tenant, source_id, pending_id)
        return None if held is None else Booking(held.pending_id, held.pending_reference, held.booked_id)

    async def refreshes_due(self, now: datetime) -> Sequence[str]:
        return health.refreshes_due(self.rows, now)

    async def announcements_due(self, now: datetime) -> Sequence[str]:
        return health.announcements_due(self.rows, now)

    async def expiries_due(self, now: datetime) -> Sequence[tuple[str, str]]:
        return uploads.expiries_due(self.rows, now)

    async def stream_of_connection(self, connection_id: str) -> str | None:
        return next(
            (row.stream for row in self.rows.find(directory.CONNECTIONS, "by_id", connection_id)), None
        )

    async def consumer_gone(self, tenant: str, consumer_id: str) -> bool:
        return self.consumer(tenant, consumer_id) is None

    # adapters.http.services.Queries

    def position(self) -> int:
        return len(self.log.recorded)

    def provider(self, tenant: str, name: str) -> Any:
        if self.broken:
            raise self.broken
        return self.rows.get(directory.PROVIDERS, tenant, name)

    def consumers(self, tenant: str, page: int, per_page: int, siren: str | None = None) -> Any:
        held = [row for row in self.rows.scan(directory.CONSUMERS, tenant) if siren in (None, row.siren)]
        return _page(sorted(held, key=_position), page, per_page)

    def consumer(self, tenant: str, consumer_id: str) -> Any:
        return self.rows.get(directory.CONSUMERS, tenant, consumer_id)

    def connections(self, tenant: str, consumer: str, page: int, per_page: int) -> Any:
        rows = sorted(self.rows.scan(directory.CONNECTIONS, tenant, consumer), key=_position)
        return _page(rows, page, per_page)

    def connection(self, tenant: str, consumer: str, connection: str) -> Any:
        return self.rows.get(directory.CONNECTIONS, tenant, consumer, connection)

    def data_syncs(self, tenant: str, consumer: str, page: int, per_page: int) -> Any:
        rows = sorted(self.rows.scan(directory.DATA_SYNCS, tenant, consumer), key=_position, reverse=True)
        return _page(rows, page, per_page)

    def latest_data_syncs(self, tenant: str, consumer: str) -> Any:
        return [
            self.rows.get(directory.DATA_SYNCS, tenant, consumer, latest.id)
            for latest in self.rows.scan(directory.LATEST_DATA_SYNCS, tenant, consumer)
        ]

    def banking_accounts(self, tenant: str, consumer: str, page: int, per_page: int) -> Any:
        return _page([row[3] for row in self.accounts.get((tenant, consumer), [])], page, per_page)

    def transactions(
        self, tenant: str, consumer: str, account: str, page: int, per_page: int, *filters: Any
    ) -> Any:
        self.asked.append(filters)
        if account not in {row[0] for row in self.accounts.get((tenant, consumer), [])}:
            return None
        return _page(self.rows_of_account.get(account, []), page, per_page)

    def cashflow(self, tenant: str, consumer: str) -> bytes | None:
        return None

    def balances(self, tenant: str, consumer: str) -> Any:
        return sorted(row[:3] for row in self.accounts.get((tenant, consumer), []))

    @contextmanager
    def moment(self) -> Iterator[Rows]:
        yield self.rows

    async def aside(self, look: Callable[[Rows], Any]) -> Any:
        return look(self.rows)

    def connection_counts(self, now: datetime) -> ConnectionCounts:
        return counted(self.rows, now)


def counted(rows: Rows, now: datetime) -> ConnectionCounts:
    """The same by going through all of them."""
    held = list(rows.scan(HEALTH))
    connected = [row for row in held if row.status == "CONNECTED"]
    left = [health.consent_left(row, now) for row in connected]
    return ConnectionCounts(
        by_status=dict(Counter(row.status for row in held)),
        failing=sum(row.failures > 0 for row in connected),
        silent=sum(
            row.fetched_at is not None and micros(now) - row.fetched_at >= health.SILENCE for row in connected
        ),
        expiring=sum(days is not None and 0 <= days <= 14 * health.DAY for days in left),
    )


def _position(row: Any) -> tuple[int, int]:
    return row.position, -getattr(row, "ordinal", 0)


def _page(rows: Sequence[Any], page: int, per_page: int) -> tuple[int, Sequence[Any]]:
    return len(rows), rows[(page - 1) * per_page : page * per_page]


class MemoryKeys:
    def __init__(self, log: MemoryLog) -> None:
        self.log = log

    def keyed_hash(self, tenant: str, purpose: str, data: bytes) -> bytes:
        return hmac.digest(f"{tenant}/{purpose}".encode(), data, "sha256")

    async def announce_destruction(self, scope: str) -> None: ...

    async def destroy(self, scope: str) -> None:
        self.log.forget(f"{scope}/")

    async def announced(self) -> Sequence[str]:
        return ()

    async def withdraw_announcement(self, scope: str) -> None: ...


class MemorySecrets:
    def __init__(self) -> None:
        self.held: dict[str, tuple[str, str, bytes]] = {}

    async def put(self, scope: str, name: str, secret: bytes) -> str:
        reference = f"s{len(self.held)}"
        self.held[reference] = (scope, name, secret)
        return reference

    async def get(self, reference: str) -> bytes | None:
        return self.held[reference][2] if reference in self.held else None

    async def find(self, scope: str, name: str) -> bytes | None:
        return next(
            (s for where, named, s in reversed(self.held.values()) if (where, named) == (scope, name)), None
        )

    async def references(self, name: str) -> Sequence[str]:
        return [reference for reference, held in self.held.items() if held[1] == name]

    async def forget(self, reference: str) -> None:
        self.held.pop(reference, None)

    async def forget_others(self, scope: str, name: str, keep: str) -> None: ...


class AgreeableBank:
    """Opens its page for everybody, and says that connection 7 is theirs."""

    def __init__(self) -> None:
        self.failing: ProviderError | None = None
        self.states: list[str] = []

    async def create_user(self, credentials: Mapping[str, str]) -> ProviderUser:
        if self.failing:
            raise self.failing
        return ProviderUser("5", "token")

    async def authorisation_url(
        self, credentials: Any, user: Any, *, state: str, languages: Sequence[str] = (), **_: Any
    ) -> str:
        self.states.append(state)
        self.languages = list(languages)
        return f"https://webview.example/connect?state={state}&code=c"

    def returned(self, query: Mapping[str, str]) -> Returned:
        return translate.returned(query)

    async def connection(self, credentials: Any, user: ProviderUser, connection: str) -> ObservedConnection:
        return ObservedConnection(
            reference=connection, provider_user=user.reference if connection == "7" else "666", settled=True
        )

    async def delete_connection(self, *_: Any) -> None: ...

    async def delete_user(self, *_: Any) -> None: ...


class NoJobs:
    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        work.close()


class StandingClock:
    def __init__(self) -> None:
        self.time = NOON

    def now(self) -> datetime:
        return self.time

    def move(self, **by: int) -> None:
        self.time += timedelta(**by)

    async def sleep(self, seconds: float) -> None: ...


class CountedIds:
    def __init__(self) -> None:
        self.count = itertools.count(1)

    def uuid(self) -> str:
        return str(UUID(int=next(self.count) << 64 | 7, version=4))

    def token(self, size: int) -> bytes:
        return hmac.digest(b"ids", str(next(self.count)).encode(), "sha256")[:size]


class World:
    def __init__(self, public_url: str = "http://passbook.example") -> None:
        self.log = MemoryLog()
        self.read_models = MemoryReadModels(self.log)
        self.bank = AgreeableBank()
        self.clock = StandingClock()
        self.secrets = MemorySecrets()
        self.refreshed: list[tuple[str, str]] = []
        self.made_keys: list[tuple[str, bytes]] = []
        self.readiness = Readiness(ready=True)
        self.inbox = MemoryInbox()
        self.services = Services(
            log=self.log,
            keys=MemoryKeys(self.log),
            secrets=self.secrets,
            gateways={"budget_insight": self.bank},  # type: ignore[dict-item]
            read_models=self.read_models,
            jobs=NoJobs(),
            clock=self.clock,
            ids=CountedIds(),
            asks=self.inbox,
            public_url=public_url,
            refresh=self._refresh,
        )
        self.webhooks = Webhooks(self.services, self.inbox, {"budget_insight": BudgetInsightPushes()})
        self.http = HttpServices(
            services=self.services,
            read_models=self.read_models,
            authenticate=KEYS.get,
            create_api_key=self._make_key,
            readiness=self._readiness,
            webhooks=self.webhooks,
            read_statements=self._read_statement,
            scratch=MemoryRows,
        )

    async def _refresh(self, stream: str, origin: str) -> bool:
        self.refreshed.append((stream, origin))
        return True

    async def _read_statement(self, content: bytes, format: str | None = None) -> StatementFile:
        return read(content, format)

    async def _readiness(self) -> Readiness:
        return self.readiness

    def _make_key(self, tenant: str, command_id: bytes) -> str:
        self.made_keys.append((tenant, command_id))
        return f"pb_{command_id.hex()}"
