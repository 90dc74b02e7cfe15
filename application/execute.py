"""How every command runs: fold the streams, decide, append; again if somebody else was quicker.

A command ends ok, refused (`domain.refusals.Refused`) or unknown (`Unavailable`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

import msgspec

from application import ports
from application.ports import Append, Change, Conflict, Context, Credentials, LogUnavailable, Snapshot
from application.refusals import IdempotencyKeyInFlight, IdempotencyKeyReused, Unavailable
from domain import consumer, consumer_account, data_connection, provider, streams
from domain.refusals import Refused

ATTEMPTS_MAX = 12
#: A state is snapshot once this many facts came since it was, so that no start folds more of a stream again.
SNAPSHOT_EVERY = 100
STATES_KEPT_MAX = 4_096
#: How long an answer waits until what was written can be read, in seconds.
VISIBLE_TIMEOUT = 2.0
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

State = TypeVar("State")


class Aggregate(Protocol[State]):
    """A module of `domain`: how a stream begins, and how it goes on."""

    initial: State

    def apply(self, state: State, fact: object, /) -> State: ...


#: The shape of each state on disk. A changed state needs a new name: an unknown one is no snapshot.
_AGGREGATES: dict[str, tuple[Aggregate[Any], str, Any]] = {
    streams.PROVIDER: (provider, "provider.2", provider.Provider),
    streams.CONSUMER: (consumer, "consumer.3", consumer.Consumer),
    streams.DATA_CONNECTION: (data_connection, "data_connection.2", data_connection.DataConnection),
    streams.CONSUMER_ACCOUNT: (consumer_account, "consumer_account.2", consumer_account.ConsumerAccount),
}


class Loaded(msgspec.Struct, Generic[State], frozen=True):
    """A state, and the version of the stream it is of."""

    stream: str
    version: int
    state: State
    recorded_at: datetime = LONG_AGO
    kept: int = 0
    """The version of its newest snapshot."""


class Outcome(msgspec.Struct, frozen=True):
    """What a command came to: the stream it was about, at the version it left, visible at `position`."""

    stream: str
    version: int
    position: int
    repeated: bool = False


class Plan(msgspec.Struct, frozen=True):
    """What a command wants to write: facts by stream, and the stream that the answer is about."""

    subject: Loaded[Any]
    changes: tuple[tuple[Loaded[Any], tuple[Any, ...]], ...]
    unchanged_since: tuple[str, int] | None = None
    unmoved: tuple[Loaded[Any], ...] = ()
    """Streams without a change that the decision rests on: it conflicts if one moved on."""


async def _nothing(*_: str) -> None:
    pass


async def _not_looked(stream: str, origin: str) -> bool:
    return False


class Services(msgspec.Struct, kw_only=True):
    """Everything the use cases need, put together once by the composition."""

    log: ports.EventLog
    keys: ports.KeyRing
    secrets: ports.SecretStore
    gateways: Mapping[str, ports.ProviderGateway]
    read_models: ports.ReadModels
    jobs: ports.Jobs
    clock: ports.Clock
    ids: ports.Ids
    asks: ports.AskLedger
    public_url: str
    sync_requested: Callable[[str, str], None] = lambda stream, sync_id: None
    """Told of every sync that is requested; the synchroniser puts itself here."""
    refresh: Callable[[str, str], Awaitable[bool]] = _not_looked
    """Looks at a connection without being requested to, for an origin; False if it is to be asked again. The
    synchroniser puts itself here."""
    connecting: Callable[[str, str, str, str], Awaitable[None]] = _nothing
    """Told of stream, provider, and the provider's ids of connection and user, before it is recorded that a
    connection was made; whoever looks connections up by these ids puts itself here."""
    states: OrderedDict[str, Loaded[Any]] = msgspec.field(default_factory=OrderedDict)
    in_flight: set[tuple[str, bytes]] = msgspec.field(default_factory=set)
    leaving: set[str] = msgspec.field(default_factory=set)
    """What is being deleted at a provider at this moment, by the reference it is kept under."""
    one_at_a_time: WeakValueDictionary[str, asyncio.Lock] = msgspec.field(default_factory=WeakValueDictionary)
    """Locks by name, for what must not happen twice at once and has no stream to conflict on."""


async def load(services: Services, stream: str) -> Loaded[Any]:
    """Fold a stream, from the state we kept of it, or from its snapshot, or from the start."""
    aggregate, name, shape = _AGGREGATES[streams.parse(stream).aggregate]
    known = services.states.get(stream)
    if known is None:
        known = await _from_snapshot(services, stream, name, shape) or Loaded(stream, 0, aggregate.initial)
    facts = await services.log.facts(stream, after=known.version)
    if facts:
        state = known.state
        for recorded in facts:
            state = aggregate.apply(state, recorded.fact)
        known = Loaded(stream, facts[-1].version, state, facts[-1].recorded_at, known.kept)
        if known.version - known.kept >= SNAPSHOT_EVERY:
            await _keep_snapshot(services, known, name)
            known = msgspec.structs.replace(known, kept=known.version)
    services.states[stream] = known
    services.states.move_to_end(stream)
    while len(services.states) > STATES_KEPT_MAX:
        services.states.popitem(last=False)
    return known


async def _from_snapshot(services: Services, stream: str, name: str, shape: Any) -> Loaded[Any] | None:
    snapshot = await services.log.snapshot(stream)
    if snapshot is None or snapshot.name != name:
        return None
    state = msgspec.msgpack.decode(snapshot.state, type=shape)
    return Loaded(stream, snapshot.version, state, snapshot.recorded_at, snapshot.version)


async def _keep_snapshot(services: Services, loaded: Loaded[Any], name: str) -> None:
    snapshot = Snapshot(
        stream=loaded.stream,
        version=loaded.version,
        name=name,
        recorded_at=loaded.recorded_at,
        state=msgspec.msgpack.encode(loaded.state),
    )
    await services.log.keep_snapshot(snapshot)


def forget_states(services: Services, prefix: str) -> None:
    """Drop what is kept in memory of the streams below a prefix: their key is about to go."""
    for stream in [stream for stream in services.states if stream.startswith(prefix)]:
        del services.states[stream]


async def execute(services: Services, context: Context, decide: Callable[[], Awaitable[Plan]]) -> Outcome:
    """Run a command to its end. `decide` is asked again whenever a stream moved on meanwhile.

    Raises:
        Refused: what `decide` raises, or a misused Idempotency-Key. Nothing was written.
        Unavailable: the outcome is unknown.
    """
    mark = (context.tenant, context.command_id)
    if mark in services.in_flight:
        raise IdempotencyKeyInFlight
    services.in_flight.add(mark)
    try:
        return await _run(services, context, decide)
    except LogUnavailable as error:
        raise Unavailable("storage_unavailable") from error
    finally:
        services.in_flight.discard(mark)


async def _run(services: Services, context: Context, decide: Callable[[], Awaitable[Plan]]) -> Outcome:
    for _ in range(ATTEMPTS_MAX):
        repeated = await find_repeated(services, context)
        if repeated is not None:
            return repeated
        try:
            plan = await decide()
        except Refused:
            # Another process may have carried it out since we looked: then it is what stands in its own way.
            repeated = await find_repeated(services, context)
            if repeated is None:
                raise
            return repeated
        try:
            return await _append(services, context, plan)
        except Conflict:
            continue
    raise Unavailable("too_busy")


async def find_repeated(services: Services, context: Context) -> Outcome | None:
    """The outcome of the same command, if it was carried out before."""
    if not context.input_digest:
        return None
    stored = await services.log.command(context.tenant, context.command_id)
    if stored is None:
        return None
    if stored.input_digest != context.input_digest:
        raise IdempotencyKeyReused
    return Outcome(stored.subject, stored.version, stored.last_position, repeated=True)


async def _append(services: Services, context: Context, plan: Plan) -> Outcome:
    written = [(loaded, facts) for loaded, facts in plan.changes if facts]
    version = plan.subject.version + sum(
        len(facts) for loaded, facts in written if loaded.stream == plan.subject.stream
    )
    if not written and not context.input_digest:
        return Outcome(plan.subject.stream, version, await services.log.head())
    # Within a stream time does not go back, whatever the machine's clock does.
    recorded_at = max([services.clock.now(), *(loaded.recorded_at for loaded, _ in written)])
    appended = await services.log.append(
        Append(
            context=context,
            recorded_at=recorded_at,
            changes=(
                *(Change(loaded.stream, loaded.version, ()) for loaded in plan.unmoved),
                *(Change(loaded.stream, loaded.version, tuple(facts)) for loaded, facts in written),
            ),
            subject=plan.subject.stream,
            subject_version=version,
            unchanged_since=plan.unchanged_since,
        )
    )
    return Outcome(plan.subject.stream, version, appended.last_position)


def follow(loaded: Loaded[Any], facts: tuple[Any, ...]) -> Any:
    """The state once these facts are written."""
    aggregate, _, _ = _AGGREGATES[streams.parse(loaded.stream).aggregate]
    state = loaded.state
    for fact in facts:
        state = aggregate.apply(state, fact)
    return state


def internal_context(services: Services, tenant: str, actor: str) -> Context:
    """The context of what nobody asked for by name: a sync, a browser's step."""
    command_id = services.ids.token(16)
    return Context(tenant=tenant, actor=actor, command_id=command_id, correlation_id=command_id)


async def is_enabled(services: Services, tenant: str, name: str) -> bool:
    """Whether the tenant lets this provider be asked at all."""
    return (await load(services, streams.provider(tenant, name))).state.enabled


async def credentials_of(services: Services, tenant: str, name: str) -> Credentials | None:
    """The tenant's credentials for a provider, out of the secret store."""
    loaded = await load(services, streams.provider(tenant, name))
    reference = loaded.state.credentials_reference
    sealed = await services.secrets.get(reference) if reference else None
    return msgspec.msgpack.decode(sealed, type=dict[str, str]) if sealed else None
