"""One run of a sync that a client requested, or of a refresh that nobody did; and how it may end without data."""

from __future__ import annotations

import msgspec

from application.execute import Loaded, Plan, Services, execute, follow, is_enabled, load
from application.ports import Context
from domain import data_connection, streams
from domain.data_connection import CLIENT, REFRESHES, SyncFailed

#: How long the read models may take to show what the log holds already. Seconds.
KNOWN_TIMEOUT = 60.0


class Run(msgspec.Struct, frozen=True):
    """A run at a connection: an attempt at a sync, or a refresh."""

    services: Services
    stream: str
    sync_id: str
    origin: str = CLIENT
    attempt: int = 0
    """Of a sync: which attempt this is."""
    link_epoch: int = 0
    """Of a sync: the connection's as the attempt began."""
    runs: int = 0
    """Of a refresh: the connection's count of runs as it began."""
    attended: bool = False

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
        """Everything a run does is found in the log under the sync's id."""
        return Context(
            tenant=self.tenant,
            actor="sync" if self.origin not in REFRESHES else self.origin,
            command_id=self.services.ids.token(16),
            correlation_id=bytes.fromhex(self.sync_id.replace("-", "")),
        )

    async def connection(self) -> Loaded[data_connection.DataConnection]:
        return await load(self.services, self.stream)

    def may_end(self, connection: data_connection.DataConnection) -> bool:
        """Whether this run may still be recorded: nobody deleted, disconnected or overtook it."""
        if self.origin in REFRESHES:
            return data_connection.is_undisturbed(connection, self.runs)
        return data_connection.is_current(connection, self.sync_id, self.attempt, self.link_epoch)

    async def is_current(self) -> bool:
        return self.may_end((await self.connection()).state)

    async def is_latest(self) -> bool:
        """Whether no other attempt was made at the sync, and it has not ended."""
        pending = data_connection.pending_sync((await self.connection()).state, self.sync_id)
        return pending is not None and pending.attempt == self.attempt


class Failed(Exception):
    """The run ends without data. `unreadable` where the provider said what makes no sense."""

    def __init__(self, status: str, reason: str, *, unreadable: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.unreadable = unreadable


class Overtaken(Exception):
    """The sync has ended otherwise, or another run is at it: what this one brings counts no more."""


async def start(services: Services, stream: str, sync_id: str) -> Run | None:
    """Begin an attempt at a sync; None if it has ended."""
    run = Run(services, stream, sync_id)
    attempt = 0

    async def decide() -> Plan:
        nonlocal attempt
        loaded = await run.connection()
        facts = data_connection.start_sync(loaded.state, sync_id)
        # Ours, whoever begins another before we look again.
        attempt = facts[0].attempt if facts else 0
        return Plan(loaded, ((loaded, facts),))

    await execute(services, run.context(), decide)
    state = (await run.connection()).state
    pending = data_connection.pending_sync(state, sync_id)
    if pending is None or not attempt:
        return None
    return msgspec.structs.replace(
        run,
        origin=pending.origin,
        attempt=attempt,
        link_epoch=data_connection.existing(state).link_epoch,
        attended=pending.attended,
    )


async def start_refresh(services: Services, stream: str, origin: str) -> Run | None:
    """Begin a refresh, which leaves no fact until it ends; None if there is nothing to be looked at.

    A sync that is queued will see whatever there is to be seen.
    """
    state = (await load(services, stream)).state
    if not data_connection.is_connected(state) or data_connection.pending_syncs(state):
        return None
    if not await is_enabled(services, streams.parse(stream).tenant, state.provider):
        return None
    return Run(services, stream, services.ids.uuid(), origin=origin, runs=state.runs)


async def fail(run: Run, failed: Failed) -> None:
    """End the run without data.

    Raises:
        Overtaken: it is not this run's to end any more.
    """
    fact = SyncFailed(
        sync_id=run.sync_id,
        status=failed.status,
        reason=failed.reason,
        origin=run.origin,
        unreadable=failed.unreadable,
    )

    async def decide() -> Plan:
        loaded = await run.connection()
        if not run.may_end(loaded.state):
            raise Overtaken
        facts = data_connection.fail(loaded.state, fact)
        facts += data_connection.announce_silence(follow(loaded, facts), run.services.clock.now())
        return Plan(loaded, ((loaded, facts),))

    await execute(run.services, run.context(), decide)
