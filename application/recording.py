"""Writing what a run read: everything in one append, with the fact that ends the sync.

Nothing is half done, and success is never seen before its rows.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec

from application.execute import Loaded, Plan, Services, execute, follow, load
from application.fetching import Fetched
from application.ports import ObservedAccount
from application.refusals import Unavailable
from application.sync_run import KNOWN_TIMEOUT, Failed, Overtaken, Run
from domain import consumer, consumer_account, data_connection, streams
from domain.consumer import Evidence
from domain.consumer_account import DELETED_AT_BANK, DISABLED, NOT_SHOWN, AccountDetails, Known, Window
from domain.data_connection import FETCH_ERROR, INTERNAL_ERROR, SyncSucceeded
from domain.money import NO_CURRENCY, exponent_of
from domain.pending import Pendings
from domain.transactions import Transaction

#: Rows beyond which the columns are made in a thread, so that the loop stays free.
ROWS_INLINE_MAX = 500

#: Why a source ended whose rows the provider shows under other names.
RENAMED = "renamed"

Changes = dict[str, tuple[Loaded[Any], tuple[Any, ...]]]
"""By stream: the state it is in, and what is to be written."""


async def record(run: Run, fetched: Fetched) -> None:
    """Write it, deciding again, without reading the bank again, if a stream moved on.

    Raises:
        Unavailable: the log or the read models are away. Repeating it is safe.
        Failed: the read models cannot say what is known already, or an account is not what it was.
        Overtaken: another run was quicker.
    """
    new_ids = {account.reference: run.services.ids.uuid() for account in fetched.accounts}

    async def decide() -> Plan:
        loaded = await run.connection()
        if not run.may_end(loaded.state):
            raise Overtaken
        connection = data_connection.existing(loaded.state)
        owner = await load(run.services, streams.consumer(run.tenant, run.consumer_id))
        links, sources = await _linked(run, owner, fetched, new_ids)
        changes: Changes = {}
        shown = Counter(source_id for _, source_id in sources)
        for account, source_id in sources:
            account = _newest_known(account, connection.confirmed.get(source_id))
            # Where two of them are one source, what one of them does not show is not gone.
            window = fetched.windows.get(account.reference) if shown[source_id] == 1 else None
            await _change_source(run, connection.provider, account, source_id, fetched, window, changes)
        await _close_others(run, owner, shown.keys(), changes)
        ended = data_connection.succeed(
            loaded.state, _success(run, fetched, _confirmed(run, sources, changes))
        )
        now = run.services.clock.now()
        ended += data_connection.announce_silence(follow(loaded, ended), now)
        return Plan(loaded, ((owner, links), *changes.values(), (loaded, ended)), unmoved=(owner,))

    await execute(run.services, run.context(), decide)


def _confirmed(
    run: Run, sources: Sequence[tuple[ObservedAccount, str]], changes: Changes
) -> dict[str, datetime]:
    """The sources whose balance was read anew and is what it was, and when that was."""
    confirmed = {}
    for account, source_id in sources:
        held, facts = changes[_stream_of(run, source_id)]
        if account.reading is not None and consumer_account.confirms(follow(held, facts), account.reading):
            confirmed[source_id] = account.reading.as_of
    return confirmed


def _success(run: Run, fetched: Fetched, confirmed: Mapping[str, datetime]) -> SyncSucceeded:
    return SyncSucceeded(
        sync_id=run.sync_id,
        watermark=fetched.watermark,
        accounts=tuple(sorted(fetched.rows)),
        origin=run.origin,
        reconciled_at=fetched.reconciled_at,
        reconciled_whole_at=fetched.reconciled_whole_at,
        fetched_at=fetched.observed.fetched_at,
        consent_expires_at=fetched.observed.consent_expires_at,
        failing_sources=fetched.failing_sources,
        confirmed=confirmed,
    )


async def _linked(
    run: Run, owner: Loaded[consumer.Consumer], fetched: Fetched, new_ids: Mapping[str, str]
) -> tuple[tuple[Any, ...], list[tuple[ObservedAccount, str]]]:
    """Which source each of the provider's accounts is, and the links that say so for the first time."""
    links: tuple[Any, ...] = ()
    sources: list[tuple[ObservedAccount, str]] = []
    fed: set[str] = set()
    # Those that are there before those that are gone: what one of them feeds stays open.
    for account in sorted(fetched.accounts, key=lambda account: account.reference not in fetched.rows):
        usable = account.reference in fetched.rows
        if usable:
            links += await _link(run, follow(owner, links), account, fetched, new_ids[account.reference])
        link = _link_of(run, follow(owner, links), account, fetched)
        if link is not None and (usable or link.source not in fed):
            sources.append((_in_currency_of(link, account), link.source))
            if usable:
                fed.add(link.source)
    return links, sources


def _in_currency_of(link: consumer.AccountLinked, account: ObservedAccount) -> ObservedAccount:
    """An account whose currency is missing this once counts in the one that it is known by.

    Raises:
        Failed: that has other decimals than were read.
    """
    if account.currency != NO_CURRENCY or link.currency in ("", NO_CURRENCY):
        return account
    if exponent_of(link.currency) != account.exponent:
        raise Failed(FETCH_ERROR, "exponent_changed", unreadable=True)
    return msgspec.structs.replace(account, currency=link.currency)


def _link_of(
    run: Run, owner: consumer.Consumer, account: ObservedAccount, fetched: Fetched
) -> consumer.AccountLinked | None:
    return consumer.link_of(
        consumer.registered(owner),
        run.connection_id,
        account.reference,
        currency=account.currency,
        provider_user=fetched.observed.provider_user,
    )


async def _link(
    run: Run, owner: consumer.Consumer, account: ObservedAccount, fetched: Fetched, new_id: str
) -> tuple[Any, ...]:
    """The link of an account that is shown for the first time, or that was disabled and begins anew."""
    link = _link_of(run, owner, account, fetched)
    if link is None:
        return consumer.link_account(
            owner,
            connection_id=run.connection_id,
            reference=account.reference,
            evidence=evidence_of(run.services, run.tenant, account.details, account.currency),
            currency=account.currency,
            provider_user=fetched.observed.provider_user,
            new_id=new_id,
        )
    state = (await load(run.services, _stream_of(run, link.source))).state
    if isinstance(state, consumer_account.Closed) and state.reason == DISABLED:
        # Who disables an account at the provider erases its rows there: enabled again, they have other names.
        return consumer.renew_source(owner, link, new_id, DISABLED)
    if await _is_renamed(run, link.source, fetched, account):
        return consumer.renew_source(owner, link, new_id, RENAMED)
    return ()


async def _is_renamed(run: Run, source_id: str, fetched: Fetched, account: ObservedAccount) -> bool:
    """Whether the provider gave all rows other names, as it does when an account was disabled in between: of a
    window that we hold rows of, it shows rows, and none that we know."""
    window, shown = fetched.windows.get(account.reference), fetched.rows[account.reference]
    held = await load(run.services, _stream_of(run, source_id))
    if window is None or held.version == 0 or all(row.deleted or row.pending for row in shown.values()):
        return False
    await _reach(run.services, held)
    read_models = run.services.read_models
    if await read_models.known(run.tenant, source_id, list(shown)):
        return False
    return await read_models.holds_booked(run.tenant, source_id, window.since)


def _stream_of(run: Run, source_id: str) -> str:
    return streams.consumer_account(run.tenant, run.consumer_id, source_id)


async def _change_source(
    run: Run,
    provider_name: str,
    account: ObservedAccount,
    source_id: str,
    fetched: Fetched,
    window: Window | None,
    changes: Changes,
) -> None:
    """Add to `changes` what is new about a source. Two of the provider's accounts were one source once: the
    second goes on from where the first left it."""
    stream = _stream_of(run, source_id)
    held, before = changes.get(stream) or (await load(run.services, stream), ())
    rows = fetched.rows.get(account.reference)
    state = follow(held, before)
    if rows is not None and isinstance(state, consumer_account.Open | consumer_account.Closed):
        was = state if isinstance(state, consumer_account.Open) else state.was
        if was.exponent != account.exponent:
            # Its amounts would be read as others than they are.
            raise Failed(FETCH_ERROR, "exponent_changed", unreadable=True)
    facts = _account_facts(run.connection_id, provider_name, state, account, rows is not None)
    if rows or (window and held.version):
        facts += await _transaction_facts(run.services, held, list((rows or {}).values()), window)
    changes[stream] = (held, before + facts)


def _newest_known(account: ObservedAccount, confirmed: datetime | None) -> ObservedAccount:
    """An account without a reading that is older than one which found the balance as it was."""
    if account.reading is not None and confirmed is not None and account.reading.as_of < confirmed:
        return msgspec.structs.replace(account, reading=None)
    return account


async def _close_others(
    run: Run, owner: Loaded[consumer.Consumer], shown: Set[str], changes: Changes
) -> None:
    """Close what this connection fed and does not show any more under the name it had."""
    for link in consumer.registered(owner.state).links:
        stream = _stream_of(run, link.source)
        if link.connection_id == run.connection_id and link.source not in shown and stream not in changes:
            held = await load(run.services, stream)
            changes[stream] = held, consumer_account.close(held.state, NOT_SHOWN)


def evidence_of(services: Services, tenant: str, details: AccountDetails, currency: str) -> Evidence:
    """What tells that an account is one that is known already, whoever shows it."""
    if details.iban:
        kind, said = "iban", f"{details.iban}|{currency}"
    elif details.number and details.bank_name:
        kind, said = "number_and_bank", f"{details.number}|{details.bank_name}|{currency}"
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
        return consumer_account.close(state, DELETED_AT_BANK if account.deleted else DISABLED)
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


async def _transaction_facts(
    services: Services, held: Loaded[Any], rows: Sequence[Transaction], window: Window | None
) -> tuple[Any, ...]:
    """What is new about these rows against what is held, read from an index at or past the stream's version."""
    known: Mapping[str, Known] = {}
    pendings = Pendings()
    if held.version:
        await _reach(services, held)
        tenant, _, _, source_id = streams.parse(held.stream)
        known = await services.read_models.known(tenant, source_id, [row.reference for row in rows])
        pendings = await services.read_models.pendings(tenant, source_id)

    def new_id() -> bytes:
        return UUID(services.ids.uuid()).bytes

    decide = partial(consumer_account.record_transactions, rows, known, new_id, pendings, window)
    return decide() if len(rows) <= ROWS_INLINE_MAX else await asyncio.to_thread(decide)


async def _reach(services: Services, held: Loaded[Any]) -> None:
    position = await services.log.position_of(held.stream, held.version)
    if not await services.read_models.reach(position, KNOWN_TIMEOUT):
        raise Unavailable("read_models_behind", 5.0)
    tenant, consumer_id, _, _ = streams.parse(held.stream)
    if await services.read_models.is_stalled(tenant, consumer_id):
        # What is missing there would be taken for new, and be in the log twice for ever.
        raise Failed(INTERNAL_ERROR, "read_models_stalled")
