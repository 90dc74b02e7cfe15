"""Writing what a run read: everything in one append, with the fact that ends the sync.

Nothing is half done, and success is never seen before its rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from application.execute import Loaded, Plan, Services, execute, follow, load
from application.fetching import Fetched
from application.ports import ObservedAccount
from application.refusals import Unavailable
from application.sync_run import Failed, Run
from domain import consumer, consumer_account, data_connection, streams
from domain.consumer import Evidence
from domain.consumer_account import Known
from domain.data_connection import INTERNAL_ERROR
from domain.transactions import Transaction

#: How long the read models may take to show what the log holds already. Seconds.
KNOWN_TIMEOUT = 60.0
#: Rows beyond which the columns are made in a thread, so that the loop stays free.
ROWS_INLINE_MAX = 500

Changes = dict[str, tuple[Loaded[Any], tuple[Any, ...]]]


async def record(run: Run, fetched: Fetched) -> None:
    """Write it, deciding again, without reading the bank again, if a stream moved on.

    Raises:
        Unavailable: the log or the read models are away. Repeating it is safe.
        Failed: the read models cannot say what is known already.
    """
    new_ids = {account.reference: run.services.ids.uuid() for account in fetched.accounts}

    async def decide() -> Plan:
        loaded = await run.connection()
        if not data_connection.is_current(loaded.state, run.sync_id, run.attempt):
            return Plan(loaded, ())
        provider_name = data_connection.existing(loaded.state).provider
        owner = await load(run.services, streams.consumer(run.tenant, run.consumer_id))
        links, accounts = _linked(run, owner, fetched, new_ids)
        changes: Changes = {}
        for account, account_id in accounts:
            await _change_account(run, provider_name, account, account_id, fetched, changes)
        ended = data_connection.succeed_sync(
            loaded.state, run.sync_id, watermark=fetched.watermark, accounts=sorted(fetched.rows)
        )
        return Plan(loaded, ((owner, links), *changes.values(), (loaded, ended)), unmoved=(owner,))

    await execute(run.services, run.context(), decide)


def _linked(
    run: Run, owner: Loaded[consumer.Consumer], fetched: Fetched, new_ids: Mapping[str, str]
) -> tuple[tuple[Any, ...], list[tuple[ObservedAccount, str]]]:
    """Which account of ours each of the provider's is, and the links that say so for the first time."""
    links: tuple[Any, ...] = ()
    accounts: list[tuple[ObservedAccount, str]] = []
    fed: set[str] = set()
    # Those that are there before those that are gone: what one of them feeds stays open.
    for account in sorted(fetched.accounts, key=lambda account: account.reference not in fetched.rows):
        evidence = _evidence(run.services, run.tenant, account)
        known = consumer.registered(follow(owner, links))
        account_id = consumer.account_for(known, run.connection_id, account.reference, evidence)
        usable = account.reference in fetched.rows
        if account_id is None and not usable:
            continue
        account_id = account_id or new_ids[account.reference]
        links += consumer.link_account(
            known,
            account_id=account_id,
            connection_id=run.connection_id,
            reference=account.reference,
            evidence=evidence,
        )
        if usable or account_id not in fed:
            accounts.append((account, account_id))
        if usable:
            fed.add(account_id)
    return links, accounts


async def _change_account(
    run: Run,
    provider_name: str,
    account: ObservedAccount,
    account_id: str,
    fetched: Fetched,
    changes: Changes,
) -> None:
    """Add to `changes` what is new about an account. Two of the provider's may be one of ours: the second goes
    on from where the first left it."""
    stream = streams.consumer_account(run.tenant, run.consumer_id, account_id)
    held, before = changes.get(stream) or (await load(run.services, stream), ())
    rows = fetched.rows.get(account.reference)
    facts = _account_facts(run.connection_id, provider_name, follow(held, before), account, rows is not None)
    if rows:
        known = await _known(run.services, held, rows)
        facts += await _transaction_facts(run.services, rows, known)
    changes[stream] = (held, before + facts)


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
