"""Reading a connection from its provider: all of it, or an increment; complete, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from application.execute import credentials_of, is_enabled
from application.ports import Credentials, ObservedAccount, ObservedConnection, ProviderGateway, ProviderUser
from application.provider_users import provider_user
from application.sync_run import Failed, Overtaken, Run
from domain import data_connection
from domain.data_connection import AUTH_ERROR, FETCH_ERROR
from domain.transactions import Transaction

#: How far an increment reaches back behind the watermark: naive times are ambiguous for an hour, banks are late.
OVERLAP = timedelta(hours=24)
#: How often, and for how long, to ask whether the provider has finished its own fetching. Seconds.
SETTLE_INTERVAL = 1.0
SETTLE_TIMEOUT = 20 * 60.0


class Fetched(msgspec.Struct):
    """What one run read."""

    accounts: Sequence[ObservedAccount]
    rows: dict[str, list[Transaction]]
    """By the provider's id of the account; an account that is disabled or gone is not in it."""
    watermark: datetime | None


class Source(msgspec.Struct, frozen=True):
    """A consumer at a provider, ready to be asked."""

    gateway: ProviderGateway
    credentials: Credentials
    user: ProviderUser
    reference: str
    """The provider's id of the connection."""

    async def refresh(self) -> None:
        await self.gateway.refresh(self.credentials, self.user, self.reference)

    async def connection(self) -> ObservedConnection:
        return await self.gateway.connection(self.credentials, self.user, self.reference)

    async def accounts(self) -> Sequence[ObservedAccount]:
        return await self.gateway.accounts(self.credentials, self.user, self.reference)


async def fetch(run: Run) -> Fetched:
    """Have the provider fetch, and read what it has.

    Raises:
        Failed: there is nothing to be read, for a reason of ours or of the bank's.
        ProviderError: the provider could not be read to the end.
        Overtaken: nobody is waiting any more.
    """
    connection = data_connection.existing((await run.connection()).state)
    source = await _source(run, connection)
    if data_connection.is_for_client(connection, run.sync_id):
        # Nobody is waiting for the others: they read what the provider has fetched by itself. A push leads to
        # one of them, and to ask the bank again would lead to the next push.
        await source.refresh()
    observed = await _settled(run, source)
    if observed.reason is not None:
        raise Failed(AUTH_ERROR if observed.needs_person else FETCH_ERROR, observed.reason)

    accounts = await source.accounts()
    usable = [account for account in accounts if not account.disabled and not account.deleted]
    fetched = Fetched(accounts, {account.reference: [] for account in usable}, connection.watermark)
    known = set(connection.accounts) if connection.watermark else set()
    increments = [account for account in usable if account.reference in known]
    in_full = [account for account in usable if account.reference not in known]
    if increments and connection.watermark:
        await _read(source, increments, connection.watermark - OVERLAP, fetched)
    if in_full:
        await _read(source, in_full, None, fetched)
    return fetched


async def _source(run: Run, connection: data_connection.Requested) -> Source:
    services, tenant = run.services, run.tenant
    if not await is_enabled(services, tenant, connection.provider):
        raise Failed(FETCH_ERROR, "provider_disabled")
    credentials = await credentials_of(services, tenant, connection.provider)
    if credentials is None:
        raise Failed(FETCH_ERROR, "credentials_missing")
    user = await provider_user(services, tenant, run.consumer_id, connection.provider, credentials)
    if user is None or connection.reference is None:
        raise Failed(AUTH_ERROR, "not_authorised")
    return Source(services.gateways[connection.provider], credentials, user, connection.reference)


async def _settled(run: Run, source: Source) -> ObservedConnection:
    """The connection once the provider has finished its own fetching."""
    waited = 0.0
    while True:
        observed = await source.connection()
        if observed.settled:
            return observed
        if waited >= SETTLE_TIMEOUT:
            raise Failed(FETCH_ERROR, "provider_still_fetching")
        await run.services.clock.sleep(SETTLE_INTERVAL)
        waited += SETTLE_INTERVAL
        if not await run.is_current():
            raise Overtaken


async def _read(
    source: Source, accounts: Sequence[ObservedAccount], since: datetime | None, fetched: Fetched
) -> None:
    pages = source.gateway.transactions(
        source.credentials, source.user, accounts=accounts, updated_since=since
    )
    async for page in pages:
        for account, row in page.rows:
            fetched.rows[account].append(row)
        if page.last_update and (fetched.watermark is None or page.last_update > fetched.watermark):
            fetched.watermark = page.last_update
