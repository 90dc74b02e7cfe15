"""Data that a client brings: accounts and rows that no bank was asked for, recorded as the same facts.

**Whose.** A client may choose the ids of consumers and accounts. A chosen id is personal, so it stands in the log in
sealed bodies alone; the stream is found by a keyed hash of it. What was erased under an id is not found again: the
next stream under that id is another one, so that an id can be used anew, and two first calls at once make one stream.

**No connection.** Such an account has no connection (`NO_CONNECTION`). One that was read from statements is linked on
evidence, as a bank's is: the same IBAN is the same account, and statements show the days before the bank does. One
from the storage is never linked: the client's id says which account it is.

**Rows** have the client's ids as references. One that is not processed is kept beside the pending ones: in no figure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec

from application.execute import Loaded, Outcome, Plan, Services, execute, follow, load
from application.ports import Context, KeyDestroyed
from application.recording import evidence_of
from application.refusals import Unavailable
from domain import consumer, consumer_account, streams
from domain.consumer import NO_CONNECTION, AccountLinked, Evidence
from domain.consumer_account import (
    STORAGE,
    AccountDetails,
    BalanceRefreshed,
    Known,
    Open,
    TransactionsFetched,
)
from domain.refusals import (
    InvalidRequest,
    NoSuchAccount,
    NoSuchConsumer,
    NoSuchTransaction,
    NotInStorage,
    TransactionExists,
)
from domain.transactions import Transaction

STATEMENT = "statement"

#: How long the read models may take to show what the log holds already. Seconds.
KNOWN_TIMEOUT = 10.0
#: Rows beyond which the columns are made in a thread, so that the loop stays free.
ROWS_INLINE_MAX = 500
#: Facts of a stream that are read at once, going back to what a row said last.
FACTS_READ = 50

Change = tuple[Loaded[Any], tuple[Any, ...]]
Edit = Callable[[Transaction], Transaction]


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it was brought."""

    provider: str
    """`STORAGE` or `STATEMENT`."""
    reference: str
    """The account's name at its source: the same one in the same currency is the same source. Of the storage it is
    the id that the client chose, or empty."""
    currency: str
    exponent: int
    details: AccountDetails
    reading: BalanceRefreshed | None = None
    client_id: str | None = None
    """The id that the client chose, of the storage only."""
    retention: timedelta | None = None
    """How long it is to be kept, of the storage only; None for good."""
    sets_retention: bool = False
    """The end is exactly then, also where that is earlier than it was; otherwise it is never earlier."""


# Whose data


async def consumer_of(services: Services, tenant: str, name: str) -> str:
    """The id of the consumer that has this id, or for whom a client chose it.

    Raises:
        NoSuchConsumer
    """
    loaded = await _consumer(services, tenant, name)
    if not isinstance(loaded.state, consumer.Registered):
        raise no_consumer()
    return streams.parse(loaded.stream).id


async def account_of(services: Services, tenant: str, consumer_id: str, name: str) -> str:
    """The id of the account of the storage that has this id, or for which a client chose it.

    Raises:
        NoSuchAccount: there is none, or its time is up.
        NotInStorage: a bank or statements feed it.
    """
    loaded = await _account(services, tenant, consumer_id, name)
    if not _is_kept(services, loaded):
        raise _no_account()
    _refuse_others(loaded, STORAGE)
    return streams.parse(loaded.stream).id


def no_consumer() -> NoSuchConsumer:
    return NoSuchConsumer(insights_consumer_id=[NoSuchConsumer.__doc__])


def _refuse_others(account: Loaded[Any], *providers: str) -> None:
    """
    Raises:
        NotInStorage: something else feeds the account, or fed it until it was closed.
    """
    if consumer_account.provider_of(account.state) not in providers:
        raise NotInStorage


def _no_account() -> NoSuchAccount:
    return NoSuchAccount(insights_account_id=[NoSuchAccount.__doc__])


async def _consumer(services: Services, tenant: str, name: str) -> Loaded[consumer.Consumer]:
    """The consumer of this id, chosen or not; one that is unknown as yet where there is none."""
    if streams.UUID.fullmatch(name.lower()):
        loaded = await load(services, streams.consumer(tenant, name.lower()))
        if isinstance(loaded.state, consumer.Registered):
            return loaded

    def stream_of(turn: int) -> str:
        return streams.consumer(tenant, _id_of(services, tenant, "client-consumer", name, turn))

    return await _latest(services, stream_of, lambda loaded: isinstance(loaded.state, consumer.Registered))


async def _account(services: Services, tenant: str, consumer_id: str, name: str) -> Loaded[Any]:
    """The account of this id, chosen or not; one that is unknown as yet where there is none."""
    if streams.UUID.fullmatch(name.lower()):
        loaded = await load(services, streams.consumer_account(tenant, consumer_id, name.lower()))
        if _is_kept(services, loaded):
            return loaded
    return await _named_account(services, tenant, consumer_id, STORAGE, name)


async def _named_account(
    services: Services, tenant: str, consumer_id: str, provider: str, name: str
) -> Loaded[Any]:
    def stream_of(turn: int) -> str:
        id = _id_of(services, tenant, "client-account", f"{consumer_id}/{provider}/{name}", turn)
        return streams.consumer_account(tenant, consumer_id, id)

    return await _latest(services, stream_of, lambda loaded: _is_kept(services, loaded))


def _is_kept(services: Services, loaded: Loaded[Any]) -> bool:
    match loaded.state:
        case Open():
            return not consumer_account.is_expired(loaded.state, services.clock.now())
        case consumer_account.Closed(reason=reason):
            return reason not in consumer_account.DESTROYING
    return False


def _id_of(services: Services, tenant: str, purpose: str, name: str, turn: int) -> str:
    digest = services.keys.keyed_hash(tenant, purpose, f"{turn}/{name}".encode())
    return str(UUID(bytes=digest[:16], version=4))


async def _latest(
    services: Services, stream_of: Callable[[int], str], is_live: Callable[[Loaded[Any]], bool]
) -> Loaded[Any]:
    """The stream that is used under a name now, or the next one to be used. Of all turns only the last may be live,
    and none is left out, so that of very many only a few are looked at."""

    async def begun(turn: int) -> bool:
        return (await load(services, stream_of(turn))).version > 0

    unused = 1
    while await begun(unused - 1):
        unused *= 2
    # Turns from `unused - 1` on have not begun, those before half of that have.
    low, high = unused // 2, unused - 1
    while low < high:
        middle = (low + high) // 2
        if await begun(middle):
            low = middle + 1
        else:
            high = middle
    if high:
        last = await load(services, stream_of(high - 1))
        if is_live(last):
            return last
    return await load(services, stream_of(high))


# Accounts


async def put_account(
    services: Services,
    context: Context,
    consumer_id: str,
    upload: Upload,
    *,
    rows: Sequence[Transaction] = (),
    removed: Sequence[str] = (),
) -> Outcome:
    """Record an account of a consumer, or what is new about it, and its rows as `put_transactions` does: all of it
    in one append. The same upload again adds nothing.

    The outcome's stream is the ConsumerAccount: its id is what `put_transactions` takes.

    Raises:
        NoSuchConsumer
        InvalidRequest: the account counts in another currency, or holds amounts with other decimals.
        NotInStorage: the client's id is that of an account that something else feeds.
    """
    new_id = services.ids.uuid()

    async def decide() -> Plan:
        owner = await load(services, streams.consumer(context.tenant, consumer_id))
        if not isinstance(owner.state, consumer.Registered):
            raise no_consumer()
        links, change = await plan_account(services, owner, upload, new_id, rows, removed)
        return Plan(change[0], ((owner, links), change), unmoved=(owner,))

    return await _carry_out(services, context, decide)


async def put_stored_account(
    services: Services, context: Context, consumer_name: str | None, upload: Upload
) -> Outcome:
    """Record an account under the id that a client chose for its consumer, who exists from then on; without one the
    consumer is new.

    Raises:
        InvalidRequest, NotInStorage: as `put_account`.
    """
    new_consumer, new_id = services.ids.uuid(), services.ids.uuid()

    async def decide() -> Plan:
        if consumer_name is None:
            owner: Loaded[Any] = Loaded(streams.consumer(context.tenant, new_consumer), 0, consumer.initial)
        else:
            owner = await _consumer(services, context.tenant, consumer_name)
        registered = consumer.register_by_data(owner.state, consumer_name)
        known = msgspec.structs.replace(owner, state=follow(owner, registered))
        links, change = await plan_account(services, known, upload, new_id)
        return Plan(change[0], ((owner, registered + links), change), unmoved=(owner,))

    return await _carry_out(services, context, decide)


async def plan_account(
    services: Services,
    owner: Loaded[Any],
    upload: Upload,
    new_id: str,
    rows: Sequence[Transaction] = (),
    removed: Sequence[str] = (),
) -> tuple[tuple[AccountLinked, ...], Change]:
    """What an upload comes to: the links that are new of the consumer, and what is new about the account.

    `owner` is the consumer as they are once all is written that is decided already.
    """
    tenant, consumer_id, *_ = streams.parse(owner.stream)
    account = await load_uploaded(services, tenant, consumer_id, upload, new_id)
    facts = await _account_facts(services, account, upload)
    source_id = streams.parse(account.stream).id
    links = consumer.link_account(
        owner.state,
        connection_id=NO_CONNECTION,
        reference=source_id,
        evidence=_evidence(services, tenant, upload),
        currency=upload.currency,
        provider_user=upload.provider,
        new_id=source_id,
    )
    if rows or removed:
        state = follow(account, facts)
        facts += await _row_facts(services, msgspec.structs.replace(account, state=state), rows, removed)
    return links, (account, facts)


async def load_uploaded(
    services: Services, tenant: str, consumer_id: str, upload: Upload, new_id: str
) -> Loaded[Any]:
    if upload.provider != STORAGE:
        name = f"{upload.reference}/{upload.currency}"
        return await _named_account(services, tenant, consumer_id, upload.provider, name)
    if upload.client_id is None:
        return Loaded(streams.consumer_account(tenant, consumer_id, new_id), 0, consumer_account.initial)
    account = await _account(services, tenant, consumer_id, upload.client_id)
    if account.version:
        _refuse_others(account, STORAGE)
    return account


async def _account_facts(services: Services, account: Loaded[Any], upload: Upload) -> tuple[Any, ...]:
    facts: tuple[Any, ...] = ()

    def then(said: Sequence[Any]) -> None:
        nonlocal facts, account
        account = msgspec.structs.replace(account, state=follow(account, tuple(said)))
        facts += tuple(said)

    then(
        consumer_account.discover(
            account.state,
            connection_id=NO_CONNECTION,
            provider=upload.provider,
            reference=upload.reference,
            currency=upload.currency,
            exponent=upload.exponent,
            details=upload.details,
            client_id=upload.client_id,
        )
    )
    then(await _count_in(services, account, upload.currency, upload.exponent))
    if upload.reading is not None:
        then(consumer_account.refresh_balance(account.state, upload.reading))
    then(_retention_facts(services, account.state, upload.retention, upload.sets_retention))
    return facts


def _retention_facts(
    services: Services, state: Any, retention: timedelta | None, sets: bool
) -> tuple[Any, ...]:
    if retention is None:
        return ()
    until = services.clock.now() + retention
    if not sets and isinstance(state, Open) and state.until is not None:
        until = max(until, state.until)
    return consumer_account.keep_until(state, until)


def _evidence(services: Services, tenant: str, upload: Upload) -> Evidence:
    """What links an account to one of ours: of a statement as of a bank, and nothing of the storage."""
    if upload.provider == STORAGE:
        return Evidence(kind="none")
    return evidence_of(services, tenant, upload.details, upload.currency)


async def _carry_out(services: Services, context: Context, decide: Callable[[], Awaitable[Plan]]) -> Outcome:
    try:
        return await execute(services, context, decide)
    except KeyDestroyed:
        # What this was about was destroyed as it was decided: now it is unknown, or there is another one.
        return await execute(services, context, decide)


# Rows


async def put_transactions(
    services: Services,
    context: Context,
    consumer_id: str,
    account_id: str,
    rows: Sequence[Transaction],
    *,
    removed: Sequence[str] = (),
    reading: BalanceRefreshed | None = None,
) -> Outcome:
    """Record rows of an account that was uploaded, by `reference`: new ones are added, changed ones modified, equal
    ones add nothing; `removed` references are removed. Any number of them is one append.

    `account_id` is that of the stream that `put_account` came to.

    Raises:
        NoSuchAccount
        NotInStorage: the account is a bank's.
        Unavailable: what is held already cannot be read now; ask again.
    """

    async def decide() -> Plan:
        owner, loaded = await _existing(services, context.tenant, consumer_id, account_id)
        _refuse_others(loaded, STORAGE, STATEMENT)
        facts = await _row_facts(services, loaded, rows, removed)
        if reading is not None:
            facts = consumer_account.refresh_balance(loaded.state, reading) + facts
        return Plan(loaded, ((loaded, facts),), unmoved=(owner,))

    return await _carry_out(services, context, decide)


async def create_stored(
    services: Services,
    context: Context,
    consumer_name: str,
    account_name: str,
    rows: Sequence[Transaction],
    *,
    currency: str,
    exponent: int,
    retention: timedelta,
    sets_retention: bool = False,
) -> Outcome:
    """Add rows to an account of the storage, and keep it for longer. A row that is held as it is adds nothing.

    Raises:
        NoSuchConsumer, NoSuchAccount, NotInStorage
        TransactionExists: another row is held under the id of one of these.
        InvalidRequest: `currency` is not the account's.
    """

    async def change(loaded: Loaded[Any]) -> tuple[Any, ...]:
        counted = await _count_in(services, loaded, currency, exponent)
        known = await _known(services, loaded, [row.reference for row in rows])
        for row in rows:
            held = known.get(row.reference)
            if held is not None and not held.removed and held.digest != row.digest():
                raise TransactionExists(transactions=["holds an id that another transaction has"])
        kept = _retention_facts(services, loaded.state, retention, sets_retention)
        return counted + await _recorded(services, rows, known) + kept

    return await _change_stored(services, context, consumer_name, account_name, change)


async def edit_stored(
    services: Services,
    context: Context,
    consumer_name: str,
    account_name: str,
    edits: Mapping[str, Edit],
    *,
    currency: str = "",
    exponent: int = 0,
) -> Outcome:
    """Change rows of an account of the storage: each by what its edit makes of it as it is held.

    Raises:
        NoSuchConsumer, NoSuchAccount, NotInStorage
        NoSuchTransaction: one of the rows is not there.
        InvalidRequest: `currency` is not the account's, or an edit raises it.
    """

    async def change(loaded: Loaded[Any]) -> tuple[Any, ...]:
        counted = await _count_in(services, loaded, currency, exponent) if currency else ()
        known = await _present(services, loaded, list(edits))
        held = await _rows_held(services, loaded, list(edits))
        rows = [edit(held[reference]) for reference, edit in edits.items()]
        return counted + await _recorded(services, rows, known)

    return await _change_stored(services, context, consumer_name, account_name, change)


async def remove_stored(
    services: Services, context: Context, consumer_name: str, account_name: str, references: Sequence[str]
) -> Outcome:
    """Take rows out of an account of the storage.

    Raises:
        NoSuchConsumer, NoSuchAccount, NotInStorage
        NoSuchTransaction: one of the rows is not there.
    """

    async def change(loaded: Loaded[Any]) -> tuple[Any, ...]:
        known = await _present(services, loaded, references)
        return await _recorded(services, [_gone(reference) for reference in references], known)

    return await _change_stored(services, context, consumer_name, account_name, change)


async def _change_stored(
    services: Services,
    context: Context,
    consumer_name: str,
    account_name: str,
    change: Callable[[Loaded[Any]], Awaitable[tuple[Any, ...]]],
) -> Outcome:
    tenant = context.tenant

    async def decide() -> Plan:
        consumer_id = await consumer_of(services, tenant, consumer_name)
        account_id = await account_of(services, tenant, consumer_id, account_name)
        owner, loaded = await _existing(services, tenant, consumer_id, account_id)
        return Plan(loaded, ((loaded, await change(loaded)),), unmoved=(owner,))

    return await _carry_out(services, context, decide)


async def _existing(
    services: Services, tenant: str, consumer_id: str, account_id: str
) -> tuple[Loaded[Any], Loaded[Any]]:
    """A consumer and an account of theirs. Who is erased meanwhile must have nothing written beside that."""
    owner = await load(services, streams.consumer(tenant, consumer_id))
    if not isinstance(owner.state, consumer.Registered):
        raise no_consumer()
    if not streams.UUID.fullmatch(account_id):
        raise _no_account()
    loaded = await load(services, streams.consumer_account(tenant, consumer_id, account_id))
    if not _is_kept(services, loaded):
        raise _no_account()
    return owner, loaded


async def _count_in(services: Services, loaded: Loaded[Any], currency: str, exponent: int) -> tuple[Any, ...]:
    """Say what an account counts in whose currency is not known yet.

    Raises:
        InvalidRequest: it counts in another one, or holds amounts with other decimals.
    """
    facts = consumer_account.count_in(loaded.state, currency, exponent)
    if facts and exponent != loaded.state.exponent and await _holds_amounts(services, loaded):
        raise InvalidRequest("an account has one currency", currency=["is not the account's"])
    return facts


async def _holds_amounts(services: Services, loaded: Loaded[Any]) -> bool:
    """Whether anything was said in minor units, and with the decimals of then."""
    return any(
        isinstance(recorded.fact, TransactionsFetched | BalanceRefreshed)
        for recorded in await services.log.facts(loaded.stream)
    )


async def _present(services: Services, loaded: Loaded[Any], references: Sequence[str]) -> Mapping[str, Known]:
    known = await _known(services, loaded, references)
    if any(reference not in known or known[reference].removed for reference in references):
        raise NoSuchTransaction(insights_transaction_ids=[NoSuchTransaction.__doc__])
    return known


def _gone(reference: str) -> Transaction:
    return Transaction(reference=reference, booked_on=0, deleted=True)


async def _row_facts(
    services: Services, loaded: Loaded[Any], rows: Sequence[Transaction], removed: Sequence[str]
) -> tuple[Any, ...]:
    said = [*rows, *map(_gone, removed)]
    return await _recorded(services, said, await _known(services, loaded, [row.reference for row in said]))


async def _recorded(
    services: Services, rows: Sequence[Transaction], known: Mapping[str, Known]
) -> tuple[Any, ...]:
    """The facts that these rows come to. No pending row is paired with a booked one: who brings rows names them."""

    def decide() -> tuple[Any, ...]:
        return consumer_account.record_transactions(rows, known, lambda: UUID(services.ids.uuid()).bytes)

    return decide() if len(rows) <= ROWS_INLINE_MAX else await asyncio.to_thread(decide)


async def _known(services: Services, loaded: Loaded[Any], references: Sequence[str]) -> Mapping[str, Known]:
    """What is held of these rows, from an index at or past the stream's version."""
    if not loaded.version or not references:
        return {}
    await reach(services, loaded)
    tenant, _, _, source_id = streams.parse(loaded.stream)
    return await services.read_models.known(tenant, source_id, references)


async def reach(services: Services, loaded: Loaded[Any]) -> None:
    """Wait until the index shows all that a stream of an account holds: what is asked of it before is not all there is.

    Raises:
        Unavailable: it is too far behind, or does not go on for this consumer.
    """
    tenant, consumer_id, *_ = streams.parse(loaded.stream)
    position = await services.log.position_of(loaded.stream, loaded.version)
    if not await services.read_models.reach(position, KNOWN_TIMEOUT):
        raise Unavailable("read_models_behind", 5.0)
    if await services.read_models.is_stalled(tenant, consumer_id):
        # What is missing there would be taken for new, and be in the log twice for ever.
        raise Unavailable("read_models_stalled", 60.0)


async def _rows_held(
    services: Services, loaded: Loaded[Any], references: Sequence[str]
) -> Mapping[str, Transaction]:
    """What these rows said last, from the newest fact back to where all of them were met."""
    wanted, found = set(references), {}
    upto = loaded.version
    while wanted and upto:
        facts = await services.log.facts(loaded.stream, after=max(0, upto - FACTS_READ), upto=upto)
        for recorded in reversed(facts):
            if isinstance(recorded.fact, TransactionsFetched):
                for row in _said_in(recorded.fact, wanted):
                    found[row.reference] = row
                wanted -= found.keys()
        upto = max(0, upto - FACTS_READ)
        # Of a long stream others need not wait for all.
        await services.clock.sleep(0)
    return found


def _said_in(fact: TransactionsFetched, wanted: set[str]) -> list[Transaction]:
    return [
        row
        for batch in (fact.added, fact.restored, fact.modified)
        if not wanted.isdisjoint(batch.references)
        for _, row in batch.rows()
        if row.reference in wanted
    ]
