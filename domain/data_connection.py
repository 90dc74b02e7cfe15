"""DataConnection: a consumer's way to a provider, from the request to the end, and the syncs through it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from domain.data_types import ALL
from domain.fact import Erased, Fact
from domain.refusals import (
    ConnectionExists,
    LinkInvalid,
    NoConnectedProvider,
    NotFound,
    StatusChangeImpossible,
    SyncAlreadyRunning,
)

AUTH_REQUIRED = "AUTH_REQUIRED"
CONNECTING = "CONNECTING"
CONNECTED = "CONNECTED"
AUTH_ERROR = "AUTH_ERROR"
DISCONNECTED = "DISCONNECTED"

QUEUED = "QUEUED"
FETCHING = "FETCHING"
FETCH_ERROR = "FETCH_ERROR"
INTERNAL_ERROR = "INTERNAL_ERROR"
SUCCESS = "SUCCESS"
# A DataSync may also end as AUTH_ERROR.

CLIENT = "client"
INTERNAL = "internal"

#: The statuses in which the person may be sent to the bank, and so has a link.
OPENABLE = frozenset({AUTH_REQUIRED, CONNECTING, AUTH_ERROR})
#: Openings of the link that may be under way at once; the oldest is forgotten first.
OPENINGS_MAX = 8

# Facts


class DataSync(msgspec.Struct, frozen=True):
    """The fetching of one data type, as a client follows it."""

    id: str
    data_type: str


class ConnectionRequested(Fact, frozen=True):
    provider: str
    data_types: tuple[str, ...]
    skip_permissions: bool = False
    automatic: bool = False
    """Requested by the provider's `auto_connect`, so that a client's own request adopts it."""


class AuthorisationStarted(Fact, frozen=True):
    """The person opened the link. The `state` given to the bank is known by its digest alone."""

    state_digest: bytes
    expires_at: datetime


class ConnectionConnected(Fact, frozen=True):
    reference: str
    """The provider's id of the connection."""
    provider_user: str
    """The provider's id of the consumer; its token lies in the secret store."""


class AuthorisationFailed(Fact, frozen=True):
    reason: str
    state_digest: bytes = b""
    """The opening that failed; empty where a sync found out."""


class ReauthorisationRequested(Fact, frozen=True):
    pass


class ConsentExpiring(Fact, frozen=True):
    expires_at: datetime
    days_left: int


class ConnectionDisconnected(Fact, frozen=True):
    pass


class ConnectionDeleted(Fact, frozen=True):
    pass


class RequestedDataTypesChanged(Fact, frozen=True):
    data_types: tuple[str, ...]
    skip_permissions: bool | None = None
    """What a client asked for that adopted an automatic connection; None where nothing was said of it."""


class SyncRequested(Fact, frozen=True):
    sync_id: str
    data_syncs: tuple[DataSync, ...]
    origin: str = CLIENT


class SyncStarted(Fact, frozen=True):
    """A worker took the sync. A later attempt puts an end to what an earlier one may still be doing."""

    sync_id: str
    attempt: int


class SyncSucceeded(Fact, frozen=True):
    sync_id: str
    watermark: datetime | None = None
    """The newest `last_update` seen in a row, where the next increment starts from (with overlap)."""
    accounts: tuple[str, ...] = ()
    """The provider's ids of the accounts that were read; one that is new to this list is read in full."""


class SyncFailed(Fact, frozen=True):
    sync_id: str
    status: str
    """`AUTH_ERROR`, `FETCH_ERROR` or `INTERNAL_ERROR`."""
    reason: str


# States


class Unknown(msgspec.Struct, frozen=True, tag_field="state", tag=True):
    pass


class PendingSync(msgspec.Struct, frozen=True):
    sync_id: str
    data_syncs: tuple[DataSync, ...]
    origin: str
    attempt: int = 0


class Opening(msgspec.Struct, frozen=True):
    state_digest: bytes
    expires_at: datetime


class Requested(msgspec.Struct, frozen=True, tag_field="state", tag=True, kw_only=True):
    """A connection that exists, in any of its statuses."""

    provider: str
    data_types: tuple[str, ...]
    skip_permissions: bool
    automatic: bool
    status: str = AUTH_REQUIRED
    reference: str | None = None
    provider_user: str | None = None
    link_epoch: int = 1
    """Counts the times the connection was made or given up; a link of an earlier epoch is not valid any more."""
    openings: tuple[Opening, ...] = ()
    pending: tuple[PendingSync, ...] = ()
    watermark: datetime | None = None
    accounts: tuple[str, ...] = ()

    @property
    def ever_connected(self) -> bool:
        return self.reference is not None


class Deleted(msgspec.Struct, frozen=True, tag_field="state", tag=True):
    pass


DataConnection = Unknown | Requested | Deleted
initial: DataConnection = Unknown()

# Decisions: the connection


def existing(connection: DataConnection) -> Requested:
    """The connection, if there is one.

    Raises:
        NotFound: never requested, or deleted.
    """
    if not isinstance(connection, Requested):
        raise NotFound
    return connection


def request(
    connection: DataConnection,
    *,
    provider: str,
    data_types: tuple[str, ...],
    skip_permissions: bool = False,
    automatic: bool = False,
) -> tuple[ConnectionRequested, ...]:
    match connection:
        case Unknown():
            requested = ConnectionRequested(
                provider=provider,
                data_types=data_types,
                skip_permissions=skip_permissions,
                automatic=automatic,
            )
            return (requested,)
        case Requested():
            return ()
    raise NotFound


def adopt(
    connection: DataConnection, data_types: tuple[str, ...], *, skip_permissions: bool = False
) -> tuple[Fact, ...]:
    """Take over a connection that `auto_connect` requested, while nobody has ever connected it."""
    requested = existing(connection)
    if not requested.automatic or requested.ever_connected:
        raise ConnectionExists
    facts: tuple[Fact, ...] = ()
    if (requested.data_types, requested.skip_permissions) != (data_types, skip_permissions):
        facts = (RequestedDataTypesChanged(data_types=data_types, skip_permissions=skip_permissions),)
    if requested.status == DISCONNECTED:
        # Whoever asks for a connection wants one that can be made.
        return (*facts, ReauthorisationRequested())
    return facts


def change_data_types(
    connection: DataConnection, data_types: tuple[str, ...]
) -> tuple[RequestedDataTypesChanged, ...]:
    if existing(connection).data_types == data_types:
        return ()
    return (RequestedDataTypesChanged(data_types=data_types),)


def may_be_opened(connection: DataConnection) -> bool:
    """Whether the person may be sent to the bank."""
    return isinstance(connection, Requested) and connection.status in OPENABLE


def start_authorisation(
    connection: DataConnection, *, state_digest: bytes, expires_at: datetime
) -> tuple[AuthorisationStarted, ...]:
    if not may_be_opened(connection):
        raise LinkInvalid
    if any(opening.state_digest == state_digest for opening in existing(connection).openings):
        return ()
    return (AuthorisationStarted(state_digest=state_digest, expires_at=expires_at),)


def opening(connection: DataConnection, state_digest: bytes, now: datetime) -> Requested:
    """The connection, if this `state` was given out for it, is not used, and has not expired.

    Raises:
        LinkInvalid: otherwise.
    """
    if isinstance(connection, Requested):
        for candidate in connection.openings:
            if candidate.state_digest == state_digest and now < candidate.expires_at:
                return connection
    raise LinkInvalid


def connect(
    connection: DataConnection, *, state_digest: bytes, now: datetime, reference: str, provider_user: str
) -> tuple[ConnectionConnected, ...]:
    opening(connection, state_digest, now)
    return (ConnectionConnected(reference=reference, provider_user=provider_user),)


def fail_authorisation(
    connection: DataConnection, *, state_digest: bytes, now: datetime, reason: str
) -> tuple[AuthorisationFailed, ...]:
    opening(connection, state_digest, now)
    return (AuthorisationFailed(reason=reason, state_digest=state_digest),)


def request_reauthorisation(connection: DataConnection) -> tuple[ReauthorisationRequested, ...]:
    if existing(connection).status == AUTH_REQUIRED:
        return ()
    return (ReauthorisationRequested(),)


def disconnect(connection: DataConnection) -> tuple[Fact, ...]:
    """End the connection and what is being fetched through it; what was fetched stays."""
    requested = existing(connection)
    if requested.status == DISCONNECTED:
        return ()
    ended = tuple(
        SyncFailed(sync_id=sync.sync_id, status=AUTH_ERROR, reason="disconnected")
        for sync in requested.pending
    )
    return (*ended, ConnectionDisconnected())


def change_status(connection: DataConnection, status: str) -> tuple[Fact, ...]:
    """What a client may ask for: `DISCONNECTED`, or `AUTH_REQUIRED` to connect again."""
    if status == DISCONNECTED:
        return disconnect(connection)
    if status == AUTH_REQUIRED:
        return request_reauthorisation(connection)
    raise StatusChangeImpossible


def delete(connection: DataConnection) -> tuple[ConnectionDeleted, ...]:
    match connection:
        case Requested():
            return (ConnectionDeleted(),)
        case Deleted():
            return ()
    raise NotFound


# Decisions: the syncs


def request_sync(
    connection: DataConnection, *, sync_id: str, data_syncs: tuple[DataSync, ...], origin: str = CLIENT
) -> tuple[SyncRequested, ...]:
    requested = existing(connection)
    if any(sync.sync_id == sync_id for sync in requested.pending):
        return ()
    if requested.status != CONNECTED:
        raise NoConnectedProvider
    busy = busy_data_types(requested) & {sync.data_type for sync in data_syncs}
    if busy:
        raise SyncAlreadyRunning(data_types=[data_type for data_type in ALL if data_type in busy])
    return (SyncRequested(sync_id=sync_id, data_syncs=data_syncs, origin=origin),)


def busy_data_types(connection: Requested) -> set[str]:
    """The types that are queued or being fetched because a client asked for them."""
    return {
        data_sync.data_type
        for sync in connection.pending
        if sync.origin == CLIENT
        for data_sync in sync.data_syncs
    }


def pending_sync(connection: DataConnection, sync_id: str) -> PendingSync | None:
    """The sync, unless it has ended."""
    if not isinstance(connection, Requested):
        return None
    return next((sync for sync in connection.pending if sync.sync_id == sync_id), None)


def pending_syncs(connection: DataConnection) -> tuple[PendingSync, ...]:
    """All that have not ended, the oldest first."""
    return connection.pending if isinstance(connection, Requested) else ()


def is_for_client(connection: DataConnection, sync_id: str) -> bool:
    """Whether a client asked for this sync, and is waiting for what the bank has now."""
    sync = pending_sync(connection, sync_id)
    return sync is not None and sync.origin == CLIENT


def start_sync(connection: DataConnection, sync_id: str) -> tuple[SyncStarted, ...]:
    """Begin an attempt. Unlike other decisions this one counts: each attempt is one more."""
    sync = pending_sync(connection, sync_id)
    return (SyncStarted(sync_id=sync_id, attempt=sync.attempt + 1),) if sync else ()


def is_current(connection: DataConnection, sync_id: str, attempt: int) -> bool:
    """Whether this attempt is still the one to end the sync."""
    sync = pending_sync(connection, sync_id)
    return sync is not None and sync.attempt == attempt


def succeed_sync(
    connection: DataConnection, sync_id: str, *, watermark: datetime | None, accounts: Sequence[str]
) -> tuple[SyncSucceeded, ...]:
    if pending_sync(connection, sync_id) is None:
        return ()
    return (SyncSucceeded(sync_id=sync_id, watermark=watermark, accounts=tuple(accounts)),)


def fail_sync(connection: DataConnection, sync_id: str, *, status: str, reason: str) -> tuple[Fact, ...]:
    """End a sync without data. Where the bank wants to see the person again, the connection says so too."""
    if pending_sync(connection, sync_id) is None:
        return ()
    failed = SyncFailed(sync_id=sync_id, status=status, reason=reason)
    if status == AUTH_ERROR and existing(connection).status == CONNECTED:
        return (failed, AuthorisationFailed(reason=reason))
    return (failed,)


# How a connection goes on


def apply(connection: DataConnection, fact: object) -> DataConnection:
    match fact:
        case ConnectionRequested():
            return Requested(
                provider=fact.provider,
                data_types=fact.data_types,
                skip_permissions=fact.skip_permissions,
                automatic=fact.automatic,
            )
        case ConnectionDeleted() | Erased():
            return Deleted()
    if not isinstance(connection, Requested):
        return connection
    match fact:
        case AuthorisationStarted():
            new = Opening(state_digest=fact.state_digest, expires_at=fact.expires_at)
            openings = (*connection.openings, new)[-OPENINGS_MAX:]
            return replace(connection, status=CONNECTING, openings=openings)
        case ConnectionConnected():
            # References, and how far they were read, are of one user at the provider.
            same = connection.provider_user in (None, fact.provider_user)
            return replace(
                connection,
                watermark=connection.watermark if same else None,
                accounts=connection.accounts if same else (),
                status=CONNECTED,
                reference=fact.reference,
                provider_user=fact.provider_user,
                link_epoch=connection.link_epoch + 1,
                openings=(),
            )
        case AuthorisationFailed():
            left = tuple(o for o in connection.openings if o.state_digest != fact.state_digest)
            return replace(connection, status=AUTH_ERROR, openings=left)
        case ReauthorisationRequested():
            return replace(connection, status=AUTH_REQUIRED)
        case ConnectionDisconnected():
            # The link that was given out before must not come back to life when another is asked for.
            epoch = connection.link_epoch + 1
            return replace(connection, status=DISCONNECTED, openings=(), link_epoch=epoch)
        case RequestedDataTypesChanged():
            skip = connection.skip_permissions if fact.skip_permissions is None else fact.skip_permissions
            return replace(connection, data_types=fact.data_types, skip_permissions=skip)
        case SyncRequested():
            pending = PendingSync(sync_id=fact.sync_id, data_syncs=fact.data_syncs, origin=fact.origin)
            return replace(connection, pending=(*connection.pending, pending))
        case SyncStarted():
            started = tuple(
                replace(sync, attempt=fact.attempt) if sync.sync_id == fact.sync_id else sync
                for sync in connection.pending
            )
            return replace(connection, pending=started)
        case SyncSucceeded():
            return replace(
                _without(connection, fact.sync_id),
                watermark=fact.watermark or connection.watermark,
                accounts=fact.accounts,
            )
        case SyncFailed():
            return _without(connection, fact.sync_id)
    return connection


def _without(connection: Requested, sync_id: str) -> Requested:
    return replace(connection, pending=tuple(s for s in connection.pending if s.sync_id != sync_id))
