"""One run of a sync, and how it may end without data."""

from __future__ import annotations

import msgspec

from application.execute import Loaded, Plan, Services, execute, load
from application.ports import Context
from domain import data_connection, streams


class Run(msgspec.Struct, frozen=True):
    """A sync of a connection, and the attempt at it that this is."""

    services: Services
    stream: str
    sync_id: str
    attempt: int = 0

    @property
    def tenant(self) -> str:
        return streams.parse(self.stream).tenant

    @property
    def consumer_id(self) -> str:
        return streams.parse(self.stream).consumer

    @property
    def connection_id(self) -> str:
        return streams.parse(self.stream).id

    def context(self) -> Context:
        """Everything a sync does is found in the log under the sync's id."""
        return Context(
            tenant=self.tenant,
            actor="sync",
            command_id=self.services.ids.token(16),
            correlation_id=bytes.fromhex(self.sync_id.replace("-", "")),
        )

    async def connection(self) -> Loaded[data_connection.DataConnection]:
        return await load(self.services, self.stream)

    async def is_current(self) -> bool:
        """Whether this attempt may still end the sync: nobody deleted, disconnected or overtook it."""
        return data_connection.is_current((await self.connection()).state, self.sync_id, self.attempt)


class Failed(Exception):
    """The run ends without data."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Overtaken(Exception):
    """The sync has ended otherwise, or another attempt is at it: what this one brings counts no more."""


async def start(services: Services, stream: str, sync_id: str) -> Run | None:
    """Begin an attempt; None if the sync has ended."""
    run = Run(services, stream, sync_id)

    async def decide() -> Plan:
        loaded = await run.connection()
        return Plan(loaded, ((loaded, data_connection.start_sync(loaded.state, sync_id)),))

    await execute(services, run.context(), decide)
    pending = data_connection.pending_sync((await run.connection()).state, sync_id)
    return msgspec.structs.replace(run, attempt=pending.attempt) if pending else None


async def fail(run: Run, failed: Failed) -> None:
    """End the sync without data, if it is still this attempt's to end."""

    async def decide() -> Plan:
        loaded = await run.connection()
        if not data_connection.is_current(loaded.state, run.sync_id, run.attempt):
            return Plan(loaded, ())
        facts = data_connection.fail_sync(
            loaded.state, run.sync_id, status=failed.status, reason=failed.reason
        )
        return Plan(loaded, ((loaded, facts),))

    await execute(run.services, run.context(), decide)
