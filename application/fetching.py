"""Reading a connection from its provider: what is new, a window, or all of it; consistent, or not at all."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta

import msgspec

from application.execute import credentials_of, is_enabled, load
from application.ports import (
    AuthorisationNeeded,
    Credentials,
    LogUnavailable,
    ObservedAccount,
    ObservedConnection,
    ProviderGateway,
    ProviderRefused,
    ProviderUnreachable,
    ProviderUser,
)
from application.provider_users import provider_user, renew_provider_user
from application.sync_run import KNOWN_TIMEOUT, Failed, Overtaken, Run
from domain import consumer, consumer_account, data_connection, streams
from domain.consumer_account import Window
from domain.data_connection import AUTH_ERROR, CLIENT, FETCH_ERROR, SCHEDULE, WEBHOOK
from domain.transactions import Transaction, day_of

log = logging.getLogger("passbook.sync")

#: How far an increment reaches back behind the watermark: naive times are ambiguous for an hour, banks are late.
OVERLAP = timedelta(hours=24)
#: What claims to be later than this is not believed to be of any time: an increment after such a row would
#: reach back to a moment that is still to come. Less than the overlap, by the hour that is ambiguous.
AHEAD_MAX = timedelta(hours=22)
#: The days that a window reaches back.
WINDOW_DAYS = 90
#: How often, and for how long, to ask whether the provider has finished its own fetching. Seconds.
SETTLE_INTERVAL = 1.0
SETTLE_TIMEOUT = 20 * 60.0
#: What the gateway says of a token that is not valid, whoever's fault that is.
TOKEN_REFUSED = "token_refused"
#: How often a bank may be asked while the person is away, by the European rules on access to accounts.
UNATTENDED_ASKS_MAX = 4
UNATTENDED_PERIOD = timedelta(hours=24)
#: How often to ask for one fetch, and how long to wait in between, in seconds.
ASK_ATTEMPTS = 2
ASK_PAUSE = 5.0
ASK_PAUSE_MAX = 60.0
LEDGER_PAUSE = 10.0


class Fetched(msgspec.Struct):
    """What one run read."""

    observed: ObservedConnection
    accounts: Sequence[ObservedAccount]
    rows: dict[str, dict[str, Transaction]]
    """By the provider's ids of account and row; an account that is disabled or gone is not in it."""
    watermark: datetime | None
    windows: dict[str, Window] = {}
    """By the provider's id of the account: what was read of it without a gap."""
    failing_sources: tuple[str, ...] = ()
    reconciled_at: datetime | None = None
    reconciled_whole_at: datetime | None = None


class Source(msgspec.Struct, frozen=True):
    """A consumer at a provider, ready to be asked."""

    gateway: ProviderGateway
    credentials: Credentials
    user: ProviderUser
    reference: str
    """The provider's id of the connection."""

    async def refresh(self, *, attended: bool) -> None:
        with _connection_is_there():
            await self.gateway.refresh(self.credentials, self.user, self.reference, attended=attended)

    async def connection(self) -> ObservedConnection:
        with _connection_is_there():
            return await self.gateway.connection(self.credentials, self.user, self.reference)

    async def accounts(self) -> Sequence[ObservedAccount]:
        return await self.gateway.accounts(self.credentials, self.user, self.reference)


@contextmanager
def _connection_is_there() -> Iterator[None]:
    """A connection that the provider does not know any more is for the person to make anew."""
    try:
        yield
    except ProviderRefused as refused:
        if refused.reason != "not_found":
            raise
        raise Failed(AUTH_ERROR, refused.reason) from None


async def fetch(run: Run) -> Fetched:
    """Have the provider fetch, where that is called for, and read what it has.

    Raises:
        Failed: there is nothing to be read, for a reason of ours or of the bank's.
        ProviderError: the provider could not be read to the end.
        Overtaken: nobody is waiting any more.
    """
    connection = data_connection.existing((await run.connection()).state)
    source = await _source(run, connection)
    try:
        return await _fetch(run, source, connection)
    except AuthorisationNeeded as needed:
        if needed.reason != TOKEN_REFUSED:
            raise
        # A token may end without the person's doing; a second one that is refused is theirs to look at.
        whose = (run.services, run.tenant, run.consumer_id, connection.provider, source.credentials)
        user = await renew_provider_user(*whose)
        if user is None:
            raise
    return await _fetch(run, msgspec.structs.replace(source, user=user), connection)


async def _fetch(run: Run, source: Source, connection: data_connection.Requested) -> Fetched:
    now = run.services.clock.now()
    if await _asks(run, source, connection, now):
        await _ask(run, source)
    observed = await _settled(run, source)
    if observed.reason is not None:
        raise Failed(AUTH_ERROR if observed.needs_person else FETCH_ERROR, observed.reason)

    accounts = [_believed(account, now) for account in await source.accounts()]
    if not accounts and connection.accounts:
        # All of them are listed, also those that are gone: a list without any is no answer.
        raise Failed(FETCH_ERROR, "accounts_missing", unreadable=True)
    usable = [account for account in accounts if not account.disabled and not account.deleted]
    fetched = Fetched(observed, accounts, {account.reference: {} for account in usable}, connection.watermark)
    failing = {*observed.failing_sources, *(account.failing for account in usable if account.failing)}
    fetched.failing_sources = tuple(sorted(failing))
    if data_connection.whole_is_due(connection, now):
        followed: dict[str, str] = {}
        fetched.reconciled_whole_at = now
    else:
        followed = await _followed(run, connection, usable, observed.provider_user)
    await _read_all(run, source, connection, usable, followed, fetched, now)
    return fetched


def _believed(account: ObservedAccount, now: datetime) -> ObservedAccount:
    """An account without a reading that is still to come: it would stand above all that come until then."""
    if account.reading is not None and account.reading.as_of > now + AHEAD_MAX:
        return msgspec.structs.replace(account, reading=None)
    return account


async def _source(run: Run, connection: data_connection.Requested) -> Source:
    services, tenant = run.services, run.tenant
    if not await is_enabled(services, tenant, connection.provider):
        raise Failed(FETCH_ERROR, "provider_disabled")
    credentials = await credentials_of(services, tenant, connection.provider)
    if credentials is None:
        raise Failed(FETCH_ERROR, "credentials_missing")
    user = await provider_user(services, tenant, run.consumer_id, connection.provider, credentials)
    if user is None or connection.reference is None or connection.provider_user != user.reference:
        raise Failed(AUTH_ERROR, "not_authorised")
    return Source(services.gateways[connection.provider], credentials, user, connection.reference)


# Asking the bank


async def _asks(run: Run, source: Source, connection: data_connection.Requested, now: datetime) -> bool:
    """Whether the provider is to fetch from the bank, rather than to show what it has."""
    if run.origin == WEBHOOK:
        # It has just fetched, and to ask would lead to the next push.
        return False
    if run.origin == SCHEDULE:
        settings = (await load(run.services, streams.provider(run.tenant, connection.provider))).state
        fetched_at = (await source.connection()).fetched_at
        return fetched_at is None or now - fetched_at >= timedelta(hours=settings.refresh_interval_hours)
    return True


async def _ask(run: Run, source: Source) -> None:
    """Ask, and ask again where the answer was lost, unless the bank was asked often enough while nobody was
    there: then what the provider has must do."""
    for attempt in range(ASK_ATTEMPTS):
        if not await _may_ask(run):
            log.info("the bank was asked often enough", extra={"sync_id": run.sync_id})
            return
        try:
            return await source.refresh(attended=run.attended)
        except ProviderUnreachable as error:
            log.warning("the provider did not fetch", extra={"sync_id": run.sync_id, "reason": error.reason})
            last = attempt == ASK_ATTEMPTS - 1 or (error.retry_after or 0.0) > ASK_PAUSE_MAX
            if last and run.origin == CLIENT:
                # Somebody waits for what the bank has now: anything older must not look like it.
                raise
            if last:
                return
            await run.services.clock.sleep(error.retry_after or ASK_PAUSE)


async def _may_ask(run: Run) -> bool:
    """Note that the bank is asked once more, if it may be."""
    if run.attended:
        return True
    while True:
        try:
            return await _note_ask(run)
        except LogUnavailable:
            # Without the ledger nobody may say that the bank was not asked too often.
            log.warning("the ledger is away", extra={"sync_id": run.sync_id})
            await run.services.clock.sleep(LEDGER_PAUSE)


async def _note_ask(run: Run) -> bool:
    now, asks = run.services.clock.now(), run.services.asks
    asked = await asks.asks_since(run.stream, now - UNATTENDED_PERIOD)
    # Those of a clock that was far ahead are of no day that is counted.
    if sum(at <= now + UNATTENDED_PERIOD for at in asked) >= UNATTENDED_ASKS_MAX:
        return False
    await asks.note_ask(run.stream, now)
    return True


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


# Reading rows


async def _followed(
    run: Run,
    connection: data_connection.Requested,
    usable: Sequence[ObservedAccount],
    provider_user: str,
) -> dict[str, str]:
    """The accounts that the last run read, and that were open ever since, each with its source: of these an
    increment is enough."""
    if connection.watermark is None:
        return {}
    owner = (await load(run.services, streams.consumer(run.tenant, run.consumer_id))).state
    followed = {}
    for account in usable:
        link = consumer.link_of(
            consumer.registered(owner),
            run.connection_id,
            account.reference,
            currency=account.currency,
            provider_user=provider_user,
        )
        if link is not None and account.reference in connection.accounts:
            stream = streams.consumer_account(run.tenant, run.consumer_id, link.source)
            if isinstance((await load(run.services, stream)).state, consumer_account.Open):
                followed[account.reference] = link.source
    return followed


async def _read_all(
    run: Run,
    source: Source,
    connection: data_connection.Requested,
    usable: Sequence[ObservedAccount],
    followed: Mapping[str, str],
    fetched: Fetched,
    now: datetime,
) -> None:
    in_part = [account for account in usable if account.reference in followed]
    in_full = [account for account in usable if account.reference not in followed]
    if in_part and connection.watermark:
        await _read(source, in_part, fetched, now, updated_since=connection.watermark - OVERLAP)
    if data_connection.reconcile_is_due(connection, now) or fetched.reconciled_whole_at:
        in_window = in_part
        fetched.reconciled_at = now
    else:
        in_window = [
            account
            for account in in_part
            if await _may_be_renamed(run, followed[account.reference], fetched.rows[account.reference])
        ]
    since = day_of(now.date()) - WINDOW_DAYS
    await _read(source, in_window, fetched, now, booked_since=since)
    fetched.windows.update({account.reference: _window(account, since) for account in in_window})
    await _read(source, in_full, fetched, now)
    fetched.windows.update({account.reference: _window(account, None) for account in in_full})


async def _may_be_renamed(run: Run, source_id: str, shown: Mapping[str, Transaction]) -> bool:
    """Whether the provider may have given all rows of a source other names, as it does when an account was disabled
    and enabled between two looks: an increment shows rows, and none that is known, though it reaches back behind one.
    Its window tells. The first row for a while, of an account beside a busier one, costs no more than that."""
    if all(row.deleted or row.pending for row in shown.values()):
        return False
    services, read_models = run.services, run.services.read_models
    held = await load(services, streams.consumer_account(run.tenant, run.consumer_id, source_id))
    position = await services.log.position_of(held.stream, held.version)
    if not await read_models.reach(position, KNOWN_TIMEOUT):
        return True
    return not await read_models.known(run.tenant, source_id, list(shown))


def _window(account: ObservedAccount, since: int | None) -> Window:
    return Window(since, account.reading.as_of if account.reading else None)


async def _read(
    source: Source,
    accounts: Sequence[ObservedAccount],
    fetched: Fetched,
    now: datetime,
    *,
    updated_since: datetime | None = None,
    booked_since: int | None = None,
) -> None:
    if not accounts:
        return
    pages = source.gateway.transactions(
        source.credentials,
        source.user,
        accounts=accounts,
        updated_since=updated_since,
        booked_since=booked_since,
    )
    async for page in pages:
        for account, row in page.rows:
            rows = fetched.rows[account]
            if row.touched_at is not None and row.touched_at > now + AHEAD_MAX:
                row = msgspec.structs.replace(row, touched_at=None)
            rows[row.reference] = _newer(rows.get(row.reference), row)
            if row.touched_at is not None:
                fetched.watermark = max(fetched.watermark or row.touched_at, row.touched_at)


def _newer(held: Transaction | None, row: Transaction) -> Transaction:
    """Of a row that was shown twice, what was said of it last; said of one moment, it must be the same."""
    if held is None or held.touched_at is None or row.touched_at is None:
        return row
    if held.touched_at == row.touched_at:
        if (held.deleted, held.digest()) != (row.deleted, row.digest()):
            raise Failed(FETCH_ERROR, "conflicting_rows", unreadable=True)
        return held
    return row if row.touched_at > held.touched_at else held
