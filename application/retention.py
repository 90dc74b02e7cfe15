"""Forgetting what clients brought: when its time is up, or when they say so, by destroying its key.

What is due follows from the log, so that a restart forgets none. Whoever was there only through what is destroyed is
erased with the last of it; whoever had a connection as well, once that is deleted, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from application import farewell
from application.data_connections import connections_of
from application.erasure import erase_consumer, finish_recorded, one_destruction, settle_announced
from application.execute import (
    Loaded,
    Outcome,
    Plan,
    Services,
    execute,
    find_repeated,
    internal_context,
    load,
)
from application.ports import Context, KeyDestroyed, LogError
from application.refusals import Unavailable
from application.uploads import account_of, consumer_of, no_consumer
from domain import consumer, consumer_account, data_connection, streams
from domain.consumer_account import DELETED, EXPIRED
from domain.refusals import NotFound, Refused

log = logging.getLogger("passbook.retention")

ACTOR = "retention"
#: Seconds between two looks at what is due.
ROUND = 1.0

Chosen = Callable[[consumer.Registered], Awaitable[Sequence[Loaded[Any]]]]


async def delete_accounts(
    services: Services, context: Context, consumer_name: str, names: Sequence[str]
) -> Outcome:
    """Destroy accounts of the storage, for good. With the last of them goes whoever existed through them alone.

    Raises:
        NoSuchConsumer, NoSuchAccount, NotInStorage
    """
    tenant = context.tenant
    repeated = await find_repeated(services, context)
    if repeated is not None:
        consumer_id = streams.parse(repeated.stream).consumer
    else:
        consumer_id = await consumer_of(services, tenant, consumer_name)

    async def named(known: consumer.Registered) -> Sequence[Loaded[Any]]:
        ids = [await account_of(services, tenant, consumer_id, name) for name in names]
        return [
            await load(services, streams.consumer_account(tenant, consumer_id, id))
            for id in dict.fromkeys(ids)
        ]

    return await _destroy(services, context, consumer_id, named, DELETED)


async def delete_consumer(services: Services, context: Context, consumer_name: str) -> Outcome:
    """Erase the consumer of this id, chosen or not, as `erasure.erase_consumer` does.

    Raises:
        NoSuchConsumer
        Unavailable: erased, but the rows could not be removed in time; ask again.
    """
    repeated = await find_repeated(services, context)
    if repeated is not None:
        consumer_id = streams.parse(repeated.stream).consumer
    else:
        consumer_id = await consumer_of(services, context.tenant, consumer_name)
    try:
        return await erase_consumer(services, context, consumer_id)
    except NotFound:
        raise no_consumer() from None


async def expire(services: Services, tenant: str, consumer_id: str) -> Outcome:
    """Destroy the accounts of a consumer whose time is up, and erase them if they were there through such alone.

    Raises:
        NotFound: they were erased meanwhile.
    """

    async def due(known: consumer.Registered) -> Sequence[Loaded[Any]]:
        now = services.clock.now()
        held = [
            await load(services, streams.consumer_account(tenant, consumer_id, link.source))
            for link in known.links
            if link.connection_id == consumer.NO_CONNECTION
        ]
        return [loaded for loaded in held if consumer_account.is_expired(loaded.state, now)]

    return await _destroy(services, internal_context(services, tenant, ACTOR), consumer_id, due, EXPIRED)


async def _destroy(
    services: Services, context: Context, consumer_id: str, choose: Chosen, reason: str
) -> Outcome:
    tenant, scope = context.tenant, f"{context.tenant}/{consumer_id}"
    owner = streams.consumer(tenant, consumer_id)
    kept: list[str] = []

    async def decide() -> Plan:
        plan, erases = await _plan(services, tenant, consumer_id, choose, reason)
        if erases and not kept:
            # Their connections are deleted, and a provider has a user still.
            kept.extend(await farewell.prepare(services, context, consumer_id, owner, (), user_too=True))
        return plan

    async with one_destruction(services, scope):
        await finish_recorded(services, scope)
        try:
            outcome = await execute(services, context, decide)
        except Refused:
            await _settle(services, owner, kept)
            raise
        await _settle(services, owner, kept)
        return outcome


async def _settle(services: Services, owner: str, kept: Sequence[str] = ()) -> None:
    """Finish what was recorded, here and at the providers, and take back what another try of the decision announced,
    and what it kept."""
    tenant, consumer_id, *_ = streams.parse(owner)
    await settle_announced(services, f"{tenant}/{consumer_id}")
    if isinstance((await load(services, owner)).state, consumer.Gone):
        await farewell.begin(services, owner)
    else:
        await farewell.forget(services, kept)


async def _plan(
    services: Services, tenant: str, consumer_id: str, choose: Chosen, reason: str
) -> tuple[Plan, bool]:
    """What is to be written, and whether that erases the consumer."""
    head = await services.log.head()
    owner = await load(services, streams.consumer(tenant, consumer_id))
    known = consumer.registered(owner.state)
    closing = await choose(known)
    ids = {streams.parse(loaded.stream).id for loaded in closing}
    if not consumer.is_left(known, ids) and not await _has_connections(services, tenant, consumer_id):
        await services.keys.announce_destruction(f"{tenant}/{consumer_id}")
        connections = streams.of_consumer(tenant, consumer_id, streams.DATA_CONNECTION)
        erased = consumer.erase(owner.state)
        return Plan(owner, ((owner, erased),), unchanged_since=(connections, head)), True
    for loaded in closing:
        await services.keys.announce_destruction(streams.scope_of(loaded.stream))
    closed = ((loaded, consumer_account.close(loaded.state, reason)) for loaded in closing)
    return Plan(owner, ((owner, consumer.unlink_sources(owner.state, ids, reason)), *closed)), False


async def _has_connections(services: Services, tenant: str, consumer_id: str) -> bool:
    """Whether they have a connection that is not deleted."""
    held = await connections_of(services, tenant, consumer_id)
    return not all(isinstance(loaded.state, data_connection.Deleted) for loaded in held)


class Retention:
    """Looks again and again at what is due, and destroys it."""

    def __init__(self, services: Services, *, pause: float = ROUND) -> None:
        self._services = services
        self._pause = pause
        self._unfinished: set[str] = set()
        self._rounds: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._rounds = asyncio.create_task(self._go_round(), name="retention")

    async def stop(self) -> None:
        """Leave what is under way; the next start finds what was recorded, and what is due."""
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.gather(self._rounds, return_exceptions=True)

    async def _go_round(self) -> None:
        while True:
            try:
                await self.round()
            except Exception as error:
                # Whatever it is, the data that it is not about must not be kept for it.
                log.error("a round failed", extra={"error": type(error).__name__}, exc_info=True)
            await self._services.clock.sleep(self._pause)

    async def round(self) -> None:
        """Destroy what is due, and finish what an earlier round could not."""
        for scope in sorted(self._unfinished):
            await self._attempt(scope, self._finish(scope))
        for tenant, consumer_id in await self._services.read_models.expiries_due(self._services.clock.now()):
            await self._attempt(f"{tenant}/{consumer_id}", expire(self._services, tenant, consumer_id))

    async def _finish(self, scope: str) -> None:
        async with one_destruction(self._services, scope):
            await _settle(self._services, streams.consumer(*scope.split("/")))

    async def _attempt(self, scope: str, work: Awaitable[Any]) -> None:
        self._unfinished.discard(scope)
        try:
            await work
        except (NotFound, KeyDestroyed):
            log.info("what was due is gone already", extra={"reason": "deleted"})
        except (Unavailable, LogError) as error:
            # It may be recorded already, and then nobody else would destroy the key before the next start.
            self._unfinished.add(scope)
            log.warning("a destruction waits", extra={"error": type(error).__name__})
        except Exception as error:
            self._unfinished.add(scope)
            log.error("a destruction failed", extra={"error": type(error).__name__})
