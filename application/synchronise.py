"""The sync process: from a requested sync to facts, or to the reason why there are none.

A sync is pending until the log says otherwise, so a crash forgets none. What a run brings is written in one
append, together with the fact that ends the sync: nothing is half done, and success is never seen before
its rows. Two workers cannot both end one, because both would extend the same stream.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from application.execute import (
    Loaded,
    Plan,
    Services,
    credentials_of,
    execute,
    follow,
    internal_context,
    load,
)
from application.ports import (
    AuthorisationNeeded,
    Credentials,
    KeyDestroyed,
    LogUnavailable,
    ObservedAccount,
    ObservedConnection,
    ProviderError,
    ProviderGateway,
    ProviderUser,
)
from application.provider_users import provider_user
from application.refusals import Unavailable
from domain import consumer, consumer_account, data_connection, streams
from domain.consumer import Evidence
from domain.consumer_account import Known
from domain.data_connection import AUTH_ERROR, FETCH_ERROR, INTERNAL_ERROR
from domain.refusals import NotFound
from domain.transactions import Transaction

log = logging.getLogger("passbook.sync")

#: Syncs that may run at once.
CONCURRENCY = 4
#: How far an increment reaches back behind the watermark: naive times are ambiguous for an hour, banks are late.
OVERLAP = timedelta(hours=24)
#: How often, and for how long, to ask whether the provider has finished its own fetching. Seconds.
SETTLE_INTERVAL = 1.0
SETTLE_TIMEOUT = 20 * 60.0
#: A sync that a process died of this often is not tried again.
ATTEMPTS_MAX = 5
#: How long the read models may take to show what the log holds already. Seconds.
KNOWN_TIMEOUT = 60.0
#: Rows beyond which the columns are made in a thread, so that the loop stays free.
ROWS_INLINE_MAX = 500


class Fetched(msgspec.Struct):
    """What one run read from the provider, complete or not at all."""

    accounts: Sequence[ObservedAccount]
    rows: dict[str, list[Transaction]]
    watermark: datetime | None


class Failed(Exception):
    """The run ends without data."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Synchroniser:
    """Runs the pending syncs, a few at a time."""

    def __init__(self, services: Services, *, concurrency: int = CONCURRENCY) -> None:
        self._services = services
        self._slots = asyncio.Semaphore(concurrency)
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        services.sync_requested = self.take

    async def start(self) -> None:
        """Take every sync that the log says is pending."""
        for stream, sync_id in await self._services.read_models.pending_syncs():
            self.take(stream, sync_id)

    def take(self, stream: str, sync_id: str) -> None:
        mark = (stream, sync_id)
        if mark not in self._tasks:
            task = asyncio.create_task(self._run(stream, sync_id), name=f"sync {sync_id}")
            self._tasks[mark] = task
            task.add_done_callback(lambda _: self._tasks.pop(mark, None))

    async def stop(self) -> None:
        """Leave what is running; the log keeps it pending, and the next start takes it up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, stream: str, sync_id: str) -> None:
        async with self._slots:
            while True:
                try:
                    return await run_sync(self._services, stream, sync_id)
                except Unavailable as error:
                    # The log or the read models are away: the sync stays pending until they are back.
                    log.warning("sync waits", extra={"sync_id": sync_id, "reason": error.reason})
                    await self._services.clock.sleep(error.retry_after)


async def run_sync(services: Services, stream: str, sync_id: str) -> None:
    """Carry out one sync to its end. One that has ended already is left as it is.

    Raises:
        Unavailable: the log or the read models are away.
    """
    try:
        await _run_sync(services, stream, sync_id)
    except KeyDestroyed:
        log.info("sync abandoned", extra={"sync_id": sync_id})
    except LogUnavailable as error:
        raise Unavailable("storage_unavailable") from error


async def _run_sync(services: Services, stream: str, sync_id: str) -> None:
    tenant, consumer_id, _, _ = streams.parse(stream)
    attempt = await _start(services, stream, sync_id)
    if attempt is None:
        return
    try:
        if attempt > ATTEMPTS_MAX:
            raise Failed(INTERNAL_ERROR, "too_many_attempts")
        connection = (await load(services, stream)).state
        fetched = await _fetch(services, tenant, consumer_id, connection)
        await _record_in_time(services, stream, sync_id, attempt, fetched)
    except Failed as failed:
        await _fail(services, stream, sync_id, attempt, failed.status, failed.reason)
    except ProviderError as error:
        status = AUTH_ERROR if isinstance(error, AuthorisationNeeded) else FETCH_ERROR
        await _fail(services, stream, sync_id, attempt, status, error.reason)
    except (KeyDestroyed, NotFound):
        # The consumer or the connection was deleted meanwhile: there is nothing left to say.
        log.info("sync abandoned", extra={"sync_id": sync_id})
    except (Unavailable, LogUnavailable):
        raise
    except Exception as error:
        log.error("sync failed", extra={"sync_id": sync_id, "error": type(error).__name__}, exc_info=True)
        await _fail(services, stream, sync_id, attempt, INTERNAL_ERROR, "internal_error")


async def _start(services: Services, stream: str, sync_id: str) -> int | None:
    tenant = streams.parse(stream).tenant

    async def decide() -> Plan:
        loaded = await load(services, stream)
        return Plan(loaded, ((loaded, data_connection.start_sync(loaded.state, sync_id)),))

    await execute(services, internal_context(services, tenant, "sync"), decide)
    pending = data_connection.pending_sync((await load(services, stream)).state, sync_id)
    return pending.attempt if pending else None


async def _fail(
    services: Services, stream: str, sync_id: str, attempt: int, status: str, reason: str
) -> None:
    tenant = streams.parse(stream).tenant

    async def decide() -> Plan:
        loaded = await load(services, stream)
        if not data_connection.is_current(loaded.state, sync_id, attempt):
            return Plan(loaded, ())
        facts = data_connection.fail_sync(loaded.state, sync_id, status=status, reason=reason)
        return Plan(loaded, ((loaded, facts),))

    try:
        await execute(services, internal_context(services, tenant, "sync"), decide)
    except KeyDestroyed:
        log.info("sync abandoned", extra={"sync_id": sync_id})


# Reading from the provider


async def _fetch(
    services: Services, tenant: str, consumer_id: str, connection: data_connection.DataConnection
) -> Fetched:
    connection = data_connection.existing(connection)
    if not (await load(services, streams.provider(tenant, connection.provider))).state.enabled:
        raise Failed(FETCH_ERROR, "provider_disabled")
    credentials = await credentials_of(services, tenant, connection.provider)
    if credentials is None:
        raise Failed(FETCH_ERROR, "credentials_missing")
    user = await provider_user(services, tenant, consumer_id, connection.provider, credentials)
    if user is None or connection.reference is None:
        raise Failed(AUTH_ERROR, "not_authorised")
    gateway = services.gateways[connection.provider]

    await gateway.refresh(credentials, user, connection.reference)
    observed = await _settled(services, gateway, credentials, user, connection.reference)
    if observed.reason is not None:
        raise Failed(AUTH_ERROR if observed.needs_person else FETCH_ERROR, observed.reason)

    accounts = await gateway.accounts(credentials, user, connection.reference)
    usable = [account for account in accounts if not account.disabled and not account.deleted]
    known = set(connection.accounts) if connection.watermark else set()
    fetched = Fetched(accounts, {account.reference: [] for account in usable}, connection.watermark)
    increments = [account for account in usable if account.reference in known]
    in_full = [account for account in usable if account.reference not in known]
    if increments and connection.watermark:
        since = connection.watermark - OVERLAP
        await _read(gateway, credentials, user, increments, since, fetched)
    if in_full:
        await _read(gateway, credentials, user, in_full, None, fetched)
    return fetched


async def _settled(
    services: Services,
    gateway: ProviderGateway,
    credentials: Credentials,
    user: ProviderUser,
    reference: str,
) -> ObservedConnection:
    waited = 0.0
    while True:
        observed = await gateway.connection(credentials, user, reference)
        if observed.settled:
            return observed
        if waited >= SETTLE_TIMEOUT:
            raise Failed(FETCH_ERROR, "provider_still_fetching")
        await services.clock.sleep(SETTLE_INTERVAL)
        waited += SETTLE_INTERVAL


async def _read(
    gateway: ProviderGateway,
    credentials: Credentials,
    user: ProviderUser,
    accounts: Sequence[ObservedAccount],
    since: datetime | None,
    fetched: Fetched,
) -> None:
    async for page in gateway.transactions(credentials, user, accounts=accounts, updated_since=since):
        for account, row in page.rows:
            fetched.rows[account].append(row)
        if page.last_update and (fetched.watermark is None or page.last_update > fetched.watermark):
            fetched.watermark = page.last_update


# Writing what was read


async def _record_in_time(
    services: Services, stream: str, sync_id: str, attempt: int, fetched: Fetched
) -> None:
    """Write what was read, however long log and read models are away: waiting is no new attempt."""
    while True:
        try:
            return await _record(services, stream, sync_id, attempt, fetched)
        except Unavailable as error:
            log.warning("sync waits", extra={"sync_id": sync_id, "reason": error.reason})
            await services.clock.sleep(error.retry_after)


async def _record(services: Services, stream: str, sync_id: str, attempt: int, fetched: Fetched) -> None:
    """Write everything in one append; decide again, without reading the bank again, if a stream moved on."""
    tenant, consumer_id, _, connection_id = streams.parse(stream)
    new_ids = {account.reference: services.ids.uuid() for account in fetched.accounts}

    async def decide() -> Plan:
        loaded = await load(services, stream)
        if not data_connection.is_current(loaded.state, sync_id, attempt):
            return Plan(loaded, ())
        connection = data_connection.existing(loaded.state)
        owner = await load(services, streams.consumer(tenant, consumer_id))
        changes: dict[str, tuple[Loaded[Any], tuple[Any, ...]]] = {}
        links: tuple[Any, ...] = ()
        fed: set[str] = set()
        # Those that are there before those that are gone: what one of them feeds stays open.
        for account in sorted(fetched.accounts, key=lambda account: account.reference not in fetched.rows):
            evidence = _evidence(services, tenant, account)
            known = consumer.registered(follow(owner, links))
            account_id = consumer.account_for(known, connection_id, account.reference, evidence)
            if account_id is None and account.reference not in fetched.rows:
                continue
            account_id = account_id or new_ids[account.reference]
            links += consumer.link_account(
                known,
                account_id=account_id,
                connection_id=connection_id,
                reference=account.reference,
                evidence=evidence,
            )
            # Two accounts of the provider may be one of ours: the second goes on from the first.
            if account.reference in fetched.rows:
                fed.add(account_id)
            elif account_id in fed:
                continue
            account_stream = streams.consumer_account(tenant, consumer_id, account_id)
            held, before = changes.get(account_stream) or (await load(services, account_stream), ())
            seen = follow(held, before)
            rows = fetched.rows.get(account.reference)
            facts = _account_facts(connection_id, connection.provider, seen, account, rows is not None)
            if rows:
                facts += await _transaction_facts(services, rows, await _known(services, held, rows))
            changes[account_stream] = (held, before + facts)
        ended = data_connection.succeed_sync(
            loaded.state, sync_id, watermark=fetched.watermark, accounts=sorted(fetched.rows)
        )
        return Plan(loaded, ((owner, links), *changes.values(), (loaded, ended)), unmoved=(owner,))

    await execute(services, internal_context(services, tenant, "sync"), decide)


def _evidence(services: Services, tenant: str, account: ObservedAccount) -> Evidence:
    details = account.details
    if details.iban:
        kind, said = "iban", f"{details.iban}|{account.currency}"
    elif details.number and details.bank_name:
        kind, said = "number_and_bank", f"{details.number}|{details.bank_name}|{account.currency}"
    else:
        return Evidence(kind="none")
    return Evidence(kind=kind, digest=services.keys.keyed_hash(tenant, "account-evidence", said.encode()))


def _account_facts(
    connection_id: str,
    provider_name: str,
    state: consumer_account.ConsumerAccount,
    account: ObservedAccount,
    usable: bool,
) -> tuple[Any, ...]:
    """What is new about the account itself and its balance."""
    if not usable:
        return consumer_account.close(state, "deleted_at_bank" if account.deleted else "disabled")
    facts: tuple[Any, ...] = consumer_account.discover(
        state,
        connection_id=connection_id,
        provider=provider_name,
        reference=account.reference,
        currency=account.currency,
        exponent=account.exponent,
        details=account.details,
    )
    if account.reading is not None:
        for fact in facts:
            state = consumer_account.apply(state, fact)
        facts += consumer_account.refresh_balance(state, account.reading)
    return facts


async def _known(services: Services, loaded: Loaded[Any], rows: Sequence[Transaction]) -> Mapping[str, Known]:
    """What is held of these rows, read from an index that is at or past the stream's version."""
    if loaded.version == 0:
        return {}
    position = await services.log.position_of(loaded.stream, loaded.version)
    if not await services.read_models.reach(position, KNOWN_TIMEOUT):
        raise Unavailable("read_models_behind", 5.0)
    tenant, consumer_id, _, account_id = streams.parse(loaded.stream)
    if await services.read_models.is_stalled(tenant, consumer_id):
        # What is missing there would be taken for new, and be in the log twice for ever.
        raise Failed(INTERNAL_ERROR, "read_models_stalled")
    return await services.read_models.known(tenant, account_id, [row.reference for row in rows])


async def _transaction_facts(
    services: Services, rows: Sequence[Transaction], known: Mapping[str, Known]
) -> tuple[Any, ...]:
    def new_id() -> bytes:
        return UUID(services.ids.uuid()).bytes

    if len(rows) <= ROWS_INLINE_MAX:
        return consumer_account.record_transactions(rows, known, new_id)
    return await asyncio.to_thread(consumer_account.record_transactions, rows, known, new_id)
