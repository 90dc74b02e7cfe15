"""What the doors need, put together once by the composition."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol, TypeVar

import msgspec

from application.execute import Services
from application.statement_files import StatementReader
from application.webhooks import Webhooks
from projections.health import ConnectionCounts
from projections.ports import Rows

T = TypeVar("T")


class Queries(Protocol):
    """The questions that the doors ask of the read models. Answered at once, in the event loop, but for `aside`."""

    def position(self) -> int:
        """The position of the log that the rows hold."""
        ...

    def provider(self, tenant: str, name: str) -> Any | None: ...

    def consumers(
        self, tenant: str, page: int, per_page: int, siren: str | None = None
    ) -> tuple[int, Sequence[Any]]:
        """All, or those with this company number."""
        ...

    def consumer(self, tenant: str, consumer_id: str) -> Any | None: ...

    def connections(
        self, tenant: str, consumer_id: str, page: int, per_page: int
    ) -> tuple[int, Sequence[Any]]: ...

    def connection(self, tenant: str, consumer_id: str, connection_id: str) -> Any | None: ...

    def data_syncs(
        self, tenant: str, consumer_id: str, page: int, per_page: int
    ) -> tuple[int, Sequence[Any]]:
        """Newest first."""
        ...

    def latest_data_syncs(self, tenant: str, consumer_id: str) -> Sequence[Any]: ...

    def banking_accounts(
        self, tenant: str, consumer_id: str, page: int, per_page: int
    ) -> tuple[int, Sequence[bytes]]: ...

    def transactions(
        self,
        tenant: str,
        consumer_id: str,
        account_id: str,
        page: int,
        per_page: int,
        from_day: int | None,
        to_day: int | None,
        type: str | None,
    ) -> tuple[int, Sequence[bytes]] | None:
        """The booked rows, newest first; None where the consumer has no such account."""
        ...

    def cashflow(self, tenant: str, consumer_id: str) -> bytes | None: ...

    def balances(self, tenant: str, consumer_id: str) -> Sequence[tuple[str, bool, bytes]]:
        """By account id: the account, whether its balance or available is known, and its encoded report."""
        ...

    def moment(self) -> AbstractContextManager[Rows]:
        """The rows as they are at one moment, for an answer that is made of several tables. Nothing is written."""
        ...

    async def aside(self, look: Callable[[Rows], T]) -> T:
        """What takes long to look at, so that others are answered meanwhile. Whatever `look` raises is raised."""
        ...

    def connection_counts(self, now: datetime) -> ConnectionCounts:
        """How many connections there are, of all tenants, and how they are."""
        ...


class StalledConsumer(msgspec.Struct, kw_only=True):
    """A consumer whose read models wait behind a fact that could not be projected."""

    consumer: str
    position: int
    reason: str


class Readiness(msgspec.Struct, kw_only=True):
    """Whether requests may be sent here, and what is missing if not, in words without internals."""

    ready: bool
    missing: list[str] = []
    stalled_consumers: list[StalledConsumer] = []
    """The first of them; a service with some is ready for all others."""


class HttpServices(msgspec.Struct, kw_only=True):
    """Everything the doors reach the service through."""

    services: Services
    read_models: Queries
    authenticate: Callable[[str], tuple[str, str] | None]
    """The tenant and the id of a key; None if there is no such key."""
    create_api_key: Callable[[str, bytes], str]
    """Make a key for a tenant under a command id, and return what its holder sends."""
    readiness: Callable[[], Awaitable[Readiness]]
    webhooks: Webhooks
    read_statements: StatementReader
    scratch: Callable[[], Rows]
    """An empty store of rows in memory, to fold the stream of a write's answer into."""
    large_bodies: asyncio.Semaphore = msgspec.field(default_factory=lambda: asyncio.Semaphore(8))
    """Bounds the memory that the bodies of pushes take; the others wait, unread."""
    statement_files: asyncio.Semaphore = msgspec.field(default_factory=lambda: asyncio.Semaphore(4))
    """Bounds the memory that statement files take while they are read; pushes do not wait for them."""
    in_flight_max: int = 256
    """Requests that one tenant may have under way at once."""
