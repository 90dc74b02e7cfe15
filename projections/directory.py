"""The directory: providers, consumers, data connections and DataSyncs, as they are now.

The rows are all that an answer needs, in whatever store: what a write answers is made by folding the one
stream that it changed into memory, and reading the row.
"""

from __future__ import annotations

from typing import NamedTuple

from domain import data_connection as connections
from domain import provider as providers
from domain import streams
from domain.consumer import ConsumerDetailsChanged, ConsumerRegistered, Details
from domain.data_connection import (
    AuthorisationFailed,
    AuthorisationStarted,
    ConnectionConnected,
    ConnectionDisconnected,
    ConnectionRequested,
    ReauthorisationRequested,
    RequestedDataTypesChanged,
    SyncFailed,
    SyncRequested,
    SyncStarted,
    SyncSucceeded,
)
from domain.fact import Recorded
from domain.provider import ProviderDisabled, ProviderEnabled, SettingsUpdated
from domain.streams import Stream
from projections import answers
from projections.answers import qard_time
from projections.erasure import forgotten, stream_of
from projections.ports import Index, Rows, Table
from projections.times import micros, moment


class Provider(NamedTuple):
    tenant: str
    name: str
    enabled: int
    auto_connect: int
    refresh_interval_hours: int
    """How old what is held of a connection may become before it is looked at again; 0 where nobody asked."""


class Consumer(NamedTuple):
    tenant: str
    id: str
    position: int
    """Where it was registered: the order of lists."""
    type: str
    name: str
    first_name: str | None
    last_name: str | None
    birthdate: str | None
    email: str | None
    siren: str | None
    postal_code: str | None
    ape_code: str | None
    country: str
    group: str
    return_url: str | None
    created_at: int
    updated_at: int


class DataConnection(NamedTuple):
    tenant: str
    consumer: str
    id: str
    position: int
    stream: str
    provider: str
    status: str
    reason: str | None
    data_types: str
    """Separated by spaces."""
    skip_permissions: int
    link_epoch: int
    """As `domain.data_connection.Requested.link_epoch`: a link of an earlier epoch is not valid any more."""
    created_at: int
    connected_at: int | None


class DataSync(NamedTuple):
    tenant: str
    consumer: str
    id: str
    position: int
    ordinal: int
    """Its place among the DataSyncs of one request."""
    connection: str
    provider: str
    data_type: str
    status: str
    reason: str | None
    requested_at: int
    completed_at: int | None


class LatestDataSync(NamedTuple):
    tenant: str
    consumer: str
    connection: str
    data_type: str
    id: str


class PendingSync(NamedTuple):
    tenant: str
    consumer: str
    connection: str
    sync: str
    position: int
    stream: str
    data_syncs: str
    """The ids of its DataSyncs, separated by spaces."""


PROVIDERS = Table("providers", Provider, key=2)
CONSUMERS = Table(
    "consumers",
    Consumer,
    key=2,
    indices=(Index("by_creation", ("tenant", "position")), Index("by_siren", ("tenant", "siren"))),
)
CONNECTIONS = Table(
    "data_connections",
    DataConnection,
    key=3,
    indices=(Index("by_creation", ("tenant", "consumer", "position")), Index("by_id", ("id",))),
)
DATA_SYNCS = Table(
    "data_syncs",
    DataSync,
    key=3,
    indices=(
        Index("by_creation", ("tenant", "consumer", "position", "ordinal")),
        Index("by_connection", ("tenant", "consumer", "connection")),
    ),
)
LATEST_DATA_SYNCS = Table("latest_data_syncs", LatestDataSync, key=4)
PENDING_SYNCS = Table("pending_syncs", PendingSync, key=4, indices=(Index("by_position", ("position",)),))
TABLES = (PROVIDERS, CONSUMERS, CONNECTIONS, DATA_SYNCS, LATEST_DATA_SYNCS, PENDING_SYNCS)

# Facts


def project(recorded: Recorded, rows: Rows) -> None:
    """Fold one fact into the directory."""
    gone = forgotten(recorded)
    if gone is not None:
        _forget(gone, rows)
        return
    stream = stream_of(recorded.stream)
    match stream.aggregate:
        case streams.PROVIDER:
            _project_provider(recorded, stream, rows)
        case streams.CONSUMER:
            _project_consumer(recorded, stream, rows)
        case streams.DATA_CONNECTION:
            _project_connection(recorded, stream, rows)


def _project_provider(recorded: Recorded, stream: Stream, rows: Rows) -> None:
    row = rows.get(PROVIDERS, stream.tenant, stream.id)
    if row is None:
        row = Provider(stream.tenant, stream.id, 0, 0, providers.REFRESH_INTERVAL_HOURS)
    match recorded.fact:
        case SettingsUpdated(auto_connect=auto_connect, refresh_interval_hours=hours):
            row = row._replace(auto_connect=int(auto_connect), refresh_interval_hours=hours)
        case ProviderEnabled():
            row = row._replace(enabled=1)
        case ProviderDisabled():
            row = row._replace(enabled=0)
    rows.put(PROVIDERS, row)


def _project_consumer(recorded: Recorded, stream: Stream, rows: Rows) -> None:
    at = micros(recorded.recorded_at)
    match recorded.fact:
        case ConsumerRegistered(type=type, details=details):
            row = _consumer(stream, recorded.position, type, details, created_at=at, updated_at=at)
            rows.put(CONSUMERS, row)
        case ConsumerDetailsChanged(details=details):
            held = rows.get(CONSUMERS, stream.tenant, stream.id)
            if held is not None:
                row = _consumer(
                    stream, held.position, held.type, details, created_at=held.created_at, updated_at=at
                )
                rows.put(CONSUMERS, row)


def _consumer(
    stream: Stream, position: int, type: str, details: Details, *, created_at: int, updated_at: int
) -> Consumer:
    return Consumer(
        tenant=stream.tenant,
        id=stream.id,
        position=position,
        type=type,
        name=details.name,
        first_name=details.first_name,
        last_name=details.last_name,
        birthdate=None if details.birthdate is None else details.birthdate.isoformat(),
        email=details.email,
        siren=details.siren,
        postal_code=details.postal_code,
        ape_code=details.ape_code,
        country=details.country,
        group=details.group,
        return_url=details.return_url,
        created_at=created_at,
        updated_at=updated_at,
    )


def _project_connection(recorded: Recorded, stream: Stream, rows: Rows) -> None:
    fact = recorded.fact
    if isinstance(fact, ConnectionRequested):
        rows.put(
            CONNECTIONS,
            DataConnection(
                tenant=stream.tenant,
                consumer=stream.consumer,
                id=stream.id,
                position=recorded.position,
                stream=recorded.stream,
                provider=fact.provider,
                status=connections.AUTH_REQUIRED,
                reason=None,
                data_types=" ".join(fact.data_types),
                skip_permissions=int(fact.skip_permissions),
                link_epoch=1,
                created_at=micros(recorded.recorded_at),
                connected_at=None,
            ),
        )
        return
    row = rows.get(CONNECTIONS, stream.tenant, stream.consumer, stream.id)
    if row is None:
        return
    match fact:
        case AuthorisationStarted():
            rows.put(CONNECTIONS, row._replace(status=connections.CONNECTING, reason=None))
        case ConnectionConnected():
            rows.put(
                CONNECTIONS,
                row._replace(
                    status=connections.CONNECTED,
                    reason=None,
                    link_epoch=row.link_epoch + 1,
                    connected_at=micros(recorded.recorded_at),
                ),
            )
        case AuthorisationFailed(reason=reason):
            rows.put(CONNECTIONS, row._replace(status=connections.AUTH_ERROR, reason=reason))
        case ReauthorisationRequested():
            rows.put(CONNECTIONS, row._replace(status=connections.AUTH_REQUIRED, reason=None))
        case ConnectionDisconnected():
            epoch = row.link_epoch + 1
            rows.put(
                CONNECTIONS, row._replace(status=connections.DISCONNECTED, reason=None, link_epoch=epoch)
            )
        case RequestedDataTypesChanged(data_types=data_types, skip_permissions=skip):
            skip = row.skip_permissions if skip is None else int(skip)
            rows.put(CONNECTIONS, row._replace(data_types=" ".join(data_types), skip_permissions=skip))
        case SyncRequested():
            _request_sync(recorded, fact, row, rows)
        case SyncStarted(sync_id=sync_id):
            _move_sync(row, sync_id, rows, status=connections.FETCHING)
        case SyncSucceeded(sync_id=sync_id):
            _end_sync(recorded, row, sync_id, rows, status=connections.SUCCESS, reason=None)
        case SyncFailed(sync_id=sync_id, status=status, reason=reason):
            _end_sync(recorded, row, sync_id, rows, status=status, reason=reason)


def _request_sync(recorded: Recorded, fact: SyncRequested, connection: DataConnection, rows: Rows) -> None:
    for ordinal, data_sync in enumerate(fact.data_syncs):
        rows.put(
            DATA_SYNCS,
            DataSync(
                tenant=connection.tenant,
                consumer=connection.consumer,
                id=data_sync.id,
                position=recorded.position,
                ordinal=ordinal,
                connection=connection.id,
                provider=connection.provider,
                data_type=data_sync.data_type,
                status=connections.QUEUED,
                reason=None,
                requested_at=micros(recorded.recorded_at),
                completed_at=None,
            ),
        )
        rows.put(LATEST_DATA_SYNCS, LatestDataSync(*connection[:3], data_sync.data_type, data_sync.id))
    ids = " ".join(data_sync.id for data_sync in fact.data_syncs)
    rows.put(
        PENDING_SYNCS,
        PendingSync(*connection[:3], fact.sync_id, recorded.position, recorded.stream, ids),
    )


def _move_sync(
    connection: DataConnection,
    sync_id: str,
    rows: Rows,
    *,
    status: str,
    reason: str | None = None,
    completed_at: int | None = None,
) -> None:
    pending = rows.get(PENDING_SYNCS, *connection[:3], sync_id)
    if pending is None:
        return
    for id in pending.data_syncs.split():
        row = rows.get(DATA_SYNCS, connection.tenant, connection.consumer, id)
        rows.put(DATA_SYNCS, row._replace(status=status, reason=reason, completed_at=completed_at))


def _end_sync(
    recorded: Recorded,
    connection: DataConnection,
    sync_id: str,
    rows: Rows,
    *,
    status: str,
    reason: str | None,
) -> None:
    # A refresh was never requested: no DataSync follows it.
    if rows.get(PENDING_SYNCS, *connection[:3], sync_id) is not None:
        at = micros(recorded.recorded_at)
        _move_sync(connection, sync_id, rows, status=status, reason=reason, completed_at=at)
        rows.delete(PENDING_SYNCS, *connection[:3], sync_id)


def _forget(gone: Stream, rows: Rows) -> None:
    match gone.aggregate:
        case streams.PROVIDER:
            rows.delete(PROVIDERS, gone.tenant, gone.id)
        case streams.CONSUMER:
            for table in (CONSUMERS, CONNECTIONS, DATA_SYNCS, LATEST_DATA_SYNCS, PENDING_SYNCS):
                rows.delete(table, gone.tenant, gone.consumer)
        case streams.DATA_CONNECTION:
            key = (gone.tenant, gone.consumer, gone.id)
            for row in list(rows.find(DATA_SYNCS, "by_connection", *key)):
                rows.delete(DATA_SYNCS, *row[:3])
            for table in (CONNECTIONS, LATEST_DATA_SYNCS, PENDING_SYNCS):
                rows.delete(table, *key)


# Answers


def provider_answer(description: providers.Description, row: Provider | None) -> answers.Provider:
    """A provider as its tenant set it up; `row` is None where nobody has."""
    return answers.Provider(
        name=description.name,
        logo_url=description.logo_url,
        enabled=bool(row and row.enabled),
        available=description.available,
        unique=description.unique,
        auth_required=description.auth_required,
        auto_connect=bool(row and row.auto_connect),
        refresh_interval_hours=row.refresh_interval_hours if row else providers.REFRESH_INTERVAL_HOURS,
        settings=list(description.settings),
        credentials_config=list(description.credentials),
        data_types=list(description.data_types),
    )


def user_answer(row: Consumer) -> answers.User:
    return answers.User(
        id=row.id,
        type=row.type,
        name=row.name,
        first_name=row.first_name,
        last_name=row.last_name,
        birthdate=row.birthdate,
        email=row.email,
        siren=row.siren,
        postal_code=row.postal_code,
        ape_code=row.ape_code,
        country=row.country,
        group=row.group,
        return_url=row.return_url,
        created_at=qard_time(moment(row.created_at)),
        updated_at=qard_time(moment(row.updated_at)),
    )


def connection_answer(row: DataConnection, redirect_url: str | None) -> answers.DataConnection:
    """A connection; `redirect_url` is the caller's, who alone can sign a link."""
    return answers.DataConnection(
        id=row.id,
        user_id=row.consumer,
        provider_name=row.provider,
        status=row.status,
        status_reason=row.reason,
        requested_data_types=row.data_types.split(),
        skip_permissions=bool(row.skip_permissions),
        redirect_url=redirect_url,
        created_at=qard_time(moment(row.created_at)),
        connected_at=_time(row.connected_at),
    )


def data_sync_answer(row: DataSync) -> answers.DataSync:
    return answers.DataSync(
        id=row.id,
        data_type=row.data_type,
        provider_name=row.provider,
        status=row.status,
        status_reason=row.reason,
        data_connection_id=row.connection,
        requested_at=qard_time(moment(row.requested_at)),
        completed_at=_time(row.completed_at),
    )


def _time(micros: int | None) -> str | None:
    return None if micros is None else qard_time(moment(micros))
