"""Leaving a provider: what is deleted here is deleted there too, tried until it is done.

What is still to be deleted is a secret, since it holds a token. It lies under the tenant's key, because the
consumer's is destroyed by then, and is gone as soon as the provider has let go.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from application.execute import Services, credentials_of, find_repeated, load
from application.ports import (
    AuthorisationNeeded,
    Context,
    LogError,
    ProviderError,
    ProviderRefused,
    ProviderUser,
)
from application.provider_users import provider_user
from application.refusals import Unavailable
from domain import consumer, data_connection, streams

log = logging.getLogger("passbook.farewell")

FAREWELL = "farewell"
#: Seconds between two tries: doubled each time, up to the longest.
PAUSE_FIRST = 30.0
PAUSE_LONGEST = 6 * 3_600.0

_encode = msgspec.msgpack.Encoder().encode


class Farewell(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be deleted at one provider, once the deletion of `subject` is recorded here."""

    tenant: str
    provider: str
    user: ProviderUser
    connections: tuple[str, ...]
    user_too: bool
    subject: str


async def prepare(
    services: Services,
    context: Context,
    consumer_id: str,
    subject: str,
    connection_streams: Sequence[str],
    *,
    user_too: bool = False,
) -> list[str]:
    """Keep what is needed, while the token can still be read. Nothing is deleted before `begin`.

    Returns the references of what was kept: nothing, where the command was carried out before.

    Raises:
        IdempotencyKeyReused
    """
    if await find_repeated(services, context) is not None:
        return []
    tenant = context.tenant
    references: dict[str, list[str]] = {}
    for stream in connection_streams:
        state = (await load(services, stream)).state
        if isinstance(state, data_connection.Requested) and state.reference:
            references.setdefault(state.provider, []).append(state.reference)
    # Who deleted their connections before has a user there still.
    names = set(references) | (set(services.gateways) if user_too else set())
    kept = []
    for name in sorted(names):
        credentials = await credentials_of(services, tenant, name)
        user = await provider_user(services, tenant, consumer_id, name, credentials) if credentials else None
        if user is not None:
            farewell = Farewell(
                tenant=tenant,
                provider=name,
                user=user,
                connections=tuple(references.get(name, ())),
                user_too=user_too,
                subject=subject,
            )
            kept.append(await services.secrets.put(tenant, FAREWELL, _encode(farewell)))
    return kept


async def forget(services: Services, references: Sequence[str]) -> None:
    """The deletion did not come to pass."""
    for reference in references:
        await services.secrets.forget(reference)


async def begin(services: Services, subject: str) -> None:
    """Start to delete at the provider what was kept for this deletion, also by a try whose answer was lost.

    It goes on beside the answer, and after a restart. With a consumer go the connections that somebody began to
    delete before: nobody can say that again.
    """
    for reference in await services.secrets.references(FAREWELL):
        farewell = await _kept(services, reference)
        if farewell is not None and _goes_with(farewell.subject, subject):
            _start(services, reference)


def _goes_with(prepared: str, deleted: str) -> bool:
    whose, what = streams.parse(prepared), streams.parse(deleted)
    return prepared == deleted or (what.aggregate == streams.CONSUMER and whose[:2] == what[:2])


async def resume(services: Services) -> None:
    """At start: go on with what was recorded, forget what was prepared in vain."""
    for reference in await services.secrets.references(FAREWELL):
        farewell = await _kept(services, reference)
        if farewell is not None and await _was_recorded(services, farewell.subject):
            _start(services, reference)
        else:
            await services.secrets.forget(reference)


def _start(services: Services, reference: str) -> None:
    if reference not in services.leaving:
        services.leaving.add(reference)
        services.jobs.start("leave the provider", _leave(services, reference))


async def _was_recorded(services: Services, subject: str) -> bool:
    state = (await load(services, subject)).state
    return isinstance(state, consumer.Gone | data_connection.Deleted)


async def _kept(services: Services, reference: str) -> Farewell | None:
    sealed = await services.secrets.get(reference)
    return None if sealed is None else msgspec.msgpack.decode(sealed, type=Farewell)


async def _leave(services: Services, reference: str) -> None:
    pause = PAUSE_FIRST
    while not await _left(services, reference):
        await services.clock.sleep(pause)
        pause = min(pause * 2, PAUSE_LONGEST)
    services.leaving.discard(reference)


async def _left(services: Services, reference: str) -> bool:
    """Try once: whether the provider has let go, and what was kept for it is forgotten."""
    try:
        farewell = await _kept(services, reference)
        if farewell is not None:
            await _delete(services, farewell)
            await services.secrets.forget(reference)
        return True
    except ProviderError as error:
        log.warning("the provider has not let go yet", extra={"reason": error.reason})
    except (LogError, Unavailable) as error:
        log.warning("the storage is away", extra={"error": type(error).__name__})
    return False


async def _delete(services: Services, farewell: Farewell) -> None:
    """Delete at the provider; what is gone there already is deleted."""
    credentials = await credentials_of(services, farewell.tenant, farewell.provider)
    if credentials is None:
        raise ProviderRefused("credentials_missing")
    gateway, user = services.gateways[farewell.provider], farewell.user
    for connection in farewell.connections:
        try:
            await gateway.delete_connection(credentials, user, connection)
        except AuthorisationNeeded:
            try:
                user = await gateway.renew_user(credentials, user)
            except ProviderRefused as refused:
                if refused.reason == "not_found":
                    return
                raise
            await gateway.delete_connection(credentials, user, connection)
    if farewell.user_too:
        await gateway.delete_user(credentials, user)
