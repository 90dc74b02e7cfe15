"""DataConnection: a consumer's way to a provider, from the request to the end, and the syncs through it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

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
#: Origins of a refresh, which no client asked for.
WEBHOOK = "webhook"
SCHEDULE = "schedule"
REFRESHES = frozenset({WEBHOOK, SCHEDULE})

#: How old the last reading of a window, or of whole histories, may become. Edits and deletions that no
#: increment shows are found by the one; what a bank said wrongly of an old row, by the other.
RECONCILE_AFTER = timedelta(hours=24)
RECONCILE_WHOLE_AFTER = timedelta(days=30)
#: Days ahead of its end at which the end of a consent is announced.
CONSENT_NOTICES = (14, 7, 1)
#: Without anything new from the provider for this long, a connection is silent.
SILENT_AFTER = timedelta(days=3)

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


class ConnectionSilent(Fact, frozen=True):
    """The provider has had nothing new for long, and says no word about why."""

    last_seen_at: datetime | None = None


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
    attended: bool = False
    """The person is there, so that the bank may ask them for something."""


class SyncStarted(Fact, frozen=True):
    """A worker took the sync. A later attempt puts an end to what an earlier one may still be doing."""

    sync_id: str
    attempt: int


class SyncSucceeded(Fact, frozen=True):
    """A sync that was requested has ended well, or a refresh that nobody requested: then nothing precedes this."""

    sync_id: str
    watermark: datetime | None = None
    """The newest `last_update` seen in a row, where the next increment starts from (with overlap)."""
    accounts: tuple[str, ...] = ()
    """The provider's ids of the accounts that were read; one that is new to this list is read in full."""
    origin: str = ""
    """`client`, `webhook` or `schedule`; empty where it was requested before this was said."""
    reconciled_at: datetime | None = None
    """When this run read the whole recent window of every account; None if it read an increment."""
    reconciled_whole_at: datetime | None = None
    """When this run read the whole history of every account."""
    fetched_at: datetime | None = None
    """When the provider fetched from the bank last, as it says."""
    consent_expires_at: datetime | None = None
    failing_sources: tuple[str, ...] = ()
    """Why sources of the connection are in error, although the connection itself is not."""
    confirmed: Mapping[str, datetime] = {}
    """The provider's new reading, by source, where it found the balance as it was: no fact of its own."""


class SyncFailed(Fact, frozen=True):
    sync_id: str
    status: str
    """`AUTH_ERROR`, `FETCH_ERROR` or `INTERNAL_ERROR`."""
    reason: str
    origin: str = ""
    unreadable: bool = False
    """An answer of the provider's made no sense: what it said before may not have been so either."""


# States


class Unknown(msgspec.Struct, frozen=True, tag_field="state", tag=True):
    pass


class PendingSync(msgspec.Struct, frozen=True):
    sync_id: str
    data_syncs: tuple[DataSync, ...]
    origin: str
    attempt: int = 0
    attended: bool = False


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
    runs: int = 0
    """Counts what was begun or ended: a refresh that finds another number than it began with is overtaken."""
    reconciled_at: datetime | None = None
    reconciled_whole_at: datetime | None = None
    fetched_at: datetime | None = None
    silent: bool = False
    confirmed: Mapping[str, datetime] = {}
    """When the balance of a source was last found as it was."""
    consent_expires_at: datetime | None = None
    consent_notice: int | None = None
    """The last notice given of this expiry, in days ahead of it."""

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
    connection: DataConnection, *, sync_id: str, data_syncs: tuple[DataSync, ...], attended: bool = False
) -> tuple[SyncRequested, ...]:
    requested = existing(connection)
    if any(sync.sync_id == sync_id for sync in requested.pending):
        return ()
    if requested.status != CONNECTED:
        raise NoConnectedProvider
    busy = busy_data_types(requested) & {sync.data_type for sync in data_syncs}
    if busy:
        raise SyncAlreadyRunning(data_types=[data_type for data_type in ALL if data_type in busy])
    return (SyncRequested(sync_id=sync_id, data_syncs=data_syncs, attended=attended),)


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


def is_connected(connection: DataConnection) -> bool:
    return isinstance(connection, Requested) and connection.status == CONNECTED


def is_due(last: datetime | None, now: datetime, every: timedelta) -> bool:
    """Whether it is time again. A clock that went back is no reason to wait until it is there again."""
    return last is None or abs(now - last) >= every


def reconcile_is_due(connection: Requested, now: datetime) -> bool:
    """Whether a run reads the recent window of every account, besides what is new."""
    return is_due(connection.reconciled_at, now, RECONCILE_AFTER)


def whole_is_due(connection: Requested, now: datetime) -> bool:
    """Whether a run reads the whole history of every account."""
    return is_due(connection.reconciled_whole_at, now, RECONCILE_WHOLE_AFTER)


def start_sync(connection: DataConnection, sync_id: str) -> tuple[SyncStarted, ...]:
    """Begin an attempt. Unlike other decisions this one counts: each attempt is one more."""
    sync = pending_sync(connection, sync_id)
    return (SyncStarted(sync_id=sync_id, attempt=sync.attempt + 1),) if sync else ()


def is_current(connection: DataConnection, sync_id: str, attempt: int, link_epoch: int) -> bool:
    """Whether this attempt is still the one to end the sync, at the connection as it was when it began."""
    sync = pending_sync(connection, sync_id)
    same = isinstance(connection, Requested) and connection.link_epoch == link_epoch
    return same and sync is not None and sync.attempt == attempt


def is_undisturbed(connection: DataConnection, runs: int) -> bool:
    """Whether a refresh that began at this count may still be recorded: nothing was begun or ended since then."""
    return isinstance(connection, Requested) and connection.status == CONNECTED and connection.runs == runs


def succeed(connection: DataConnection, succeeded: SyncSucceeded) -> tuple[SyncSucceeded, ...]:
    """End a sync that is pending, or a refresh that was never requested."""
    if not isinstance(connection, Requested):
        return ()
    if succeeded.origin not in REFRESHES and pending_sync(connection, succeeded.sync_id) is None:
        return ()
    return (succeeded,)


def fail(connection: DataConnection, failed: SyncFailed) -> tuple[Fact, ...]:
    """End it without data. Where the bank wants to see the person again, the connection says so too."""
    if not isinstance(connection, Requested):
        return ()
    if failed.origin not in REFRESHES and pending_sync(connection, failed.sync_id) is None:
        return ()
    if failed.status == AUTH_ERROR and existing(connection).status == CONNECTED:
        return (failed, AuthorisationFailed(reason=failed.reason))
    return (failed,)


# Decisions: what is to be announced


def announce_consent(connection: DataConnection, now: datetime) -> tuple[ConsentExpiring, ...]:
    """Announce the end of the consent, once at each notice; a notice that was missed gives way to the next."""
    if not isinstance(connection, Requested) or connection.consent_expires_at is None:
        return ()
    left = connection.consent_expires_at - now
    reached = [days for days in CONSENT_NOTICES if timedelta() < left <= timedelta(days=days)]
    if not reached or connection.status != CONNECTED:
        return ()
    if connection.consent_notice is not None and connection.consent_notice <= min(reached):
        return ()
    return (ConsentExpiring(expires_at=connection.consent_expires_at, days_left=min(reached)),)


def announce_silence(connection: DataConnection, now: datetime) -> tuple[ConnectionSilent, ...]:
    """Raise the alarm, once for each silence."""
    if not is_connected(connection) or existing(connection).silent:
        return ()
    last = existing(connection).fetched_at
    if last is None or now - last < SILENT_AFTER:
        return ()
    return (ConnectionSilent(last_seen_at=last),)


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
            # References, and how far they were read, are of one connection of one user at the provider.
            before = (connection.reference, connection.provider_user)
            same = before in ((None, None), (fact.reference, fact.provider_user))
            return replace(
                connection,
                watermark=connection.watermark if same else None,
                accounts=connection.accounts if same else (),
                # Whatever happened meanwhile, no increment is sure to show it.
                reconciled_at=None,
                # Silence begins anew: nobody expected the provider to fetch while it could not.
                fetched_at=None,
                silent=False,
                consent_expires_at=None,
                consent_notice=None,
                status=CONNECTED,
                reference=fact.reference,
                provider_user=fact.provider_user,
                link_epoch=connection.link_epoch + 1,
                # What was being read is of the connection as it was before.
                runs=connection.runs + 1,
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
            pending = PendingSync(
                sync_id=fact.sync_id, data_syncs=fact.data_syncs, origin=fact.origin, attended=fact.attended
            )
            return replace(connection, pending=(*connection.pending, pending))
        case SyncStarted():
            started = tuple(
                replace(sync, attempt=fact.attempt) if sync.sync_id == fact.sync_id else sync
                for sync in connection.pending
            )
            return replace(connection, pending=started, runs=connection.runs + 1)
        case SyncSucceeded():
            return _succeeded(_without(connection, fact.sync_id), fact)
        case SyncFailed():
            # What went wrong may have hidden anything: the next run looks at the whole window again, and
            # after an answer that was no answer, at everything.
            whole = None if fact.unreadable else connection.reconciled_whole_at
            return replace(_without(connection, fact.sync_id), reconciled_at=None, reconciled_whole_at=whole)
        case ConsentExpiring():
            return replace(connection, consent_notice=fact.days_left)
        case ConnectionSilent():
            return replace(connection, silent=True)
    return connection


def _succeeded(connection: Requested, fact: SyncSucceeded) -> Requested:
    spoke = fact.fetched_at is not None and (
        connection.fetched_at is None or fact.fetched_at > connection.fetched_at
    )
    same_consent = fact.consent_expires_at in (None, connection.consent_expires_at)
    return replace(
        connection,
        watermark=fact.watermark or connection.watermark,
        accounts=fact.accounts,
        reconciled_at=fact.reconciled_at or connection.reconciled_at,
        reconciled_whole_at=fact.reconciled_whole_at or connection.reconciled_whole_at,
        fetched_at=fact.fetched_at or connection.fetched_at,
        silent=connection.silent and not spoke,
        confirmed={**connection.confirmed, **fact.confirmed},
        consent_expires_at=fact.consent_expires_at or connection.consent_expires_at,
        consent_notice=connection.consent_notice if same_consent else None,
    )


def _without(connection: Requested, sync_id: str) -> Requested:
    pending = tuple(sync for sync in connection.pending if sync.sync_id != sync_id)
    return replace(connection, pending=pending, runs=connection.runs + 1)
