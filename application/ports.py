"""What the use cases need from outside, in our own words, with what may go wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import msgspec

from domain.consumer_account import AccountDetails, BalanceRefreshed, Known
from domain.fact import Recorded
from domain.pending import Pendings
from domain.transactions import Transaction

# The log


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, for which tenant, and under which command id."""

    tenant: str
    actor: str
    """`key:{id}`, `browser`, `sync`, `webhook` or `auto-connect`: never a person's name."""
    command_id: bytes
    """16 bytes: a keyed hash of the client's `Idempotency-Key`, or random."""
    input_digest: bytes = b""
    """A keyed hash of what was asked; empty where the client gave no key, so that nothing is repeated."""
    correlation_id: bytes = b""
    causation_id: bytes = b""


class Change(msgspec.Struct, frozen=True):
    """Facts for one stream, which must be at `expected_version` still."""

    stream: str
    expected_version: int
    facts: tuple[Any, ...]


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """A command that ended well: what it was about, and the facts it made (none, if it changed nothing)."""

    input_digest: bytes
    subject: str
    """The stream that the answer is about."""
    version: int
    """The version of that stream after the command."""
    first_position: int
    last_position: int


class Append(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one command changes: all of it is written, or nothing.

    The command is stored with it iff `context.input_digest` is not empty. `unchanged_since` names a
    prefix of stream ids and a position: the append conflicts if anything below the prefix came later.
    """

    context: Context
    recorded_at: datetime
    changes: tuple[Change, ...]
    subject: str
    subject_version: int
    """The version of the subject's stream once this is written."""
    unchanged_since: tuple[str, int] | None = None


class Appended(msgspec.Struct, frozen=True):
    """`last_position` is the log's head as the append found it where nothing was written."""

    first_position: int
    last_position: int


class Snapshot(msgspec.Struct, frozen=True):
    """A state as it was at a version of its stream. `name` tells its shape: an unknown one is no snapshot."""

    stream: str
    version: int
    name: str
    recorded_at: datetime
    state: bytes


class LogError(Exception):
    """The log could not do what was asked."""


class Conflict(LogError):
    """A stream has moved on, or the same command was stored meanwhile: decide again. Nothing was written."""


class LogUnavailable(LogError):
    """The log cannot be written or read now. Whether the command was written is unknown: ask again with its key."""


class KeyMissing(LogError):
    """A key that must exist does not. That is a fault of the installation, never an erasure."""


class KeyDestroyed(LogError):
    """The key of this stream was destroyed: nothing can be written to it any more."""


class EventLog(Protocol):
    """The append-only log."""

    async def facts(self, stream: str, *, after: int = 0, upto: int | None = None) -> Sequence[Recorded]:
        """The facts of a stream, oldest first, `after` a version and `upto` one, both by number."""
        ...

    async def streams(self, prefix: str) -> Sequence[str]:
        """The ids of the streams that begin with `prefix`, sorted."""
        ...

    async def head(self) -> int:
        """The position of the newest fact; 0 if there is none."""
        ...

    async def position_of(self, stream: str, version: int) -> int:
        """The position of a fact of a stream; 0 for version 0, which is before any.

        Raises:
            LogError: there is no such fact.
        """
        ...

    async def append(self, append: Append) -> Appended:
        """Write durably, and answer only then.

        Raises:
            Conflict, LogUnavailable, KeyMissing, KeyDestroyed.
        """
        ...

    async def command(self, tenant: str, command_id: bytes) -> Command | None:
        """The command that was stored under this id."""
        ...

    async def snapshot(self, stream: str) -> Snapshot | None:
        """The newest snapshot of a stream that can still be opened."""
        ...

    async def keep_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot in place of the older ones of its stream."""
        ...


# Keys and secrets


class KeyRing(Protocol):
    """Keys by scope: `tenant`, `tenant/consumer`, `tenant/consumer/uuid` of an account or connection."""

    def keyed_hash(self, tenant: str, purpose: str, data: bytes) -> bytes:
        """HMAC-SHA-256 under a key of the tenant's, made for the purpose. 32 bytes."""
        ...

    async def announce_destruction(self, scope: str) -> None:
        """Note durably that the key is about to be destroyed, so that a crash in between is finished."""
        ...

    async def destroy(self, scope: str) -> None:
        """Destroy the key and all beneath it, for good. Repeating it changes nothing."""
        ...

    async def announced(self) -> Sequence[str]:
        """The scopes whose destruction was announced and not finished."""
        ...

    async def withdraw_announcement(self, scope: str) -> None:
        """The destruction did not come to pass: nothing was recorded that asks for it."""
        ...


class SecretStore(Protocol):
    """Secrets, sealed under the key of the scope they belong to. They can be replaced, never listed."""

    async def put(self, scope: str, name: str, secret: bytes) -> str:
        """Seal a secret under a new reference, and return that."""
        ...

    async def get(self, reference: str) -> bytes | None:
        """The secret; None if there is none, or its key was destroyed."""
        ...

    async def find(self, scope: str, name: str) -> bytes | None:
        """The newest secret of that name."""
        ...

    async def references(self, name: str) -> Sequence[str]:
        """The references of all secrets of that name, of whatever scope, oldest first."""
        ...

    async def forget(self, reference: str) -> None:
        """Remove a secret. Repeating it changes nothing."""
        ...

    async def forget_others(self, scope: str, name: str, keep: str) -> None:
        """Remove the secrets of that name except the one under `keep`."""
        ...


# The bank's side


class ProviderUser(msgspec.Struct, frozen=True):
    """A consumer at the provider, and the token that reads their data. The token is a secret."""

    reference: str
    token: str


class ObservedConnection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as the provider shows it."""

    reference: str
    provider_user: str
    settled: bool
    """The provider has finished its own fetching, with whatever outcome."""
    reason: str | None = None
    """Our name of what is wrong; None if nothing is."""
    needs_person: bool = False
    """Only the person can put it right."""
    consent_expires_at: datetime | None = None
    bank_name: str | None = None
    fetched_at: datetime | None = None
    """When the provider fetched from the bank last, with whatever outcome for each source."""
    failing_sources: tuple[str, ...] = ()
    """Our names of what is wrong with single sources, while others are well; `reason` is None then."""


class Returned(msgspec.Struct, frozen=True):
    """What the bank's page came back with: the connection that was made, or why there is none."""

    connection: str | None
    failure: str | None
    """Our name of what went wrong; None if nothing did."""


class ObservedAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account as the provider shows it."""

    reference: str
    connection: str
    """The provider's id of the connection it is seen through."""
    currency: str
    exponent: int
    details: AccountDetails
    reading: BalanceRefreshed | None
    disabled: bool = False
    deleted: bool = False
    failing: str | None = None
    """Our name of what is wrong with this account alone."""


class ObservedPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of transactions: pairs of the provider's account id and the row."""

    rows: Sequence[tuple[str, Transaction]]


class ProviderError(Exception):
    """The provider did not do what was asked. `reason` is ours and machine-readable; no text of theirs is kept."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class AuthorisationNeeded(ProviderError):
    """The person must authorise again, or the token is not valid any more."""


class ProviderRefused(ProviderError):
    """The provider refuses the tenant's credentials, or does not know the thing asked for."""


class ProviderUnreachable(ProviderError):
    """Worth trying later."""


class UnexpectedAnswer(ProviderError):
    """The answer could not be read. Nothing of it may be recorded."""


Credentials = Mapping[str, str]


class ProviderGateway(Protocol):
    """A provider of bank data. Every method may raise the subclasses of `ProviderError`."""

    async def create_user(self, credentials: Credentials) -> ProviderUser:
        """Make a user at the provider. Never retried: each call makes one more."""
        ...

    async def renew_user(self, credentials: Credentials, user: ProviderUser) -> ProviderUser:
        """A new token for a user whose token is not valid any more; `ProviderRefused` if there is no such user."""
        ...

    async def authorisation_url(
        self,
        credentials: Credentials,
        user: ProviderUser,
        *,
        redirect_uri: str,
        state: str,
        connection: str | None = None,
        languages: Sequence[str] = (),
    ) -> str:
        """Where to send the person: to connect a bank, or to reconnect `connection`. Valid for minutes.

        The page is in the first of `languages` that it has."""
        ...

    def returned(self, query: Mapping[str, str]) -> Returned:
        """What the query means that the person comes back with; an impossible one is an `UnexpectedAnswer`."""
        ...

    async def connection(
        self, credentials: Credentials, user: ProviderUser, connection: str
    ) -> ObservedConnection:
        """Read a connection. One that belongs to another user is a `ProviderRefused`."""
        ...

    async def refresh(
        self, credentials: Credentials, user: ProviderUser, connection: str, *, attended: bool = False
    ) -> None:
        """Ask the provider to fetch from the bank now. That it has just done so is no error.

        `attended` says that the person is there: the bank may ask them for something."""
        ...

    async def accounts(
        self, credentials: Credentials, user: ProviderUser, connection: str
    ) -> Sequence[ObservedAccount]:
        """All accounts of a connection, also disabled and deleted ones."""
        ...

    def transactions(
        self,
        credentials: Credentials,
        user: ProviderUser,
        *,
        accounts: Sequence[ObservedAccount],
        updated_since: datetime | None = None,
        booked_since: int | None = None,
    ) -> AsyncIterator[ObservedPage]:
        """The transactions of these accounts, deleted ones too: those touched since then, or those booked since
        a day, or all. Each row says when it was touched, as `Transaction.touched_at`.

        A list that may not be the whole is an error, by the end of it at the latest."""
        ...

    async def delete_connection(self, credentials: Credentials, user: ProviderUser, connection: str) -> None:
        """Delete a connection at the provider. That there is none is no error."""
        ...

    async def delete_user(self, credentials: Credentials, user: ProviderUser) -> None:
        """Delete a user at the provider with all they have there. That there is none is no error."""
        ...


# What a provider sends by itself

#: The most bytes of a push, as it came and unpacked: the first of a connection may hold its whole history.
PUSH_SIZE_MAX = 16 * 1024 * 1024


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A push as it came: nothing of it is known to be true."""

    path: str
    """The path it was registered for, as the sender knows it."""
    event: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    received_at: datetime


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified push may be about. It is a hint to look, and never data."""

    mark: bytes
    """The same for each delivery of one notification. 32 bytes."""
    connections: tuple[str, ...] = ()
    """The provider's ids of connections."""
    user: str | None = None
    """The provider's id of their user."""
    whole_user: bool = False
    """It is about whatever connections the user has."""


class PushForged(Exception):
    """It does not show that it comes from the provider, and now. `reason` is for our log alone."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PushTooLarge(Exception):
    """It unpacks to more than `PUSH_SIZE_MAX`."""


class PushUnreadable(Exception):
    """The provider sent it, and it cannot be read: nothing is done about it, and it need not come again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PushReader(Protocol):
    """A provider's pushes."""

    @property
    def events(self) -> Sequence[str]:
        """The events that lead to anything; each is registered with an address of its own."""
        ...

    def read(self, delivery: Delivery, secret: str) -> Push:
        """Verify a push, and read what it may be about. Takes a while for a large one, and no I/O.

        Raises:
            PushForged, PushTooLarge, PushUnreadable.
        """
        ...


class Inbox(Protocol):
    """Where pushes arrive, and what is still to be done about them. It outlives the process.

    All of it can be lost: endpoints and connections are found again in secrets and log at the next start, and
    a push that comes a second time leads to one more look.
    """

    async def open_endpoint(self, endpoint: bytes, tenant: str, provider: str) -> None:
        """`endpoint` is a digest of what is in the address."""
        ...

    async def tenant_of(self, endpoint: bytes, provider: str) -> str | None: ...

    async def index(self, stream: str, names: Sequence[bytes]) -> None:
        """Find this connection by these names too; `names` are keyed hashes."""
        ...

    async def streams_of(self, name: bytes) -> Sequence[str]:
        """The connections that have or had this name."""
        ...

    async def take(self, endpoint: bytes, mark: bytes, streams: Sequence[str], at: datetime) -> bool:
        """Note durably that a push came and which connections are to be looked at. False if it came before."""
        ...

    async def waiting(self) -> Sequence[str]:
        """The connections that are still to be looked at."""
        ...

    async def done(self, stream: str) -> None: ...

    async def is_indexed(self) -> bool:
        """Whether all that the log holds was put into the index once."""
        ...

    async def set_indexed(self) -> None: ...


# What was projected


class ReadModels(Protocol):
    """What a use case asks of the read models: how far they are, what is known, what is pending."""

    async def reach(self, position: int, timeout: float) -> bool:
        """Wait until the read models hold the log up to `position`. False if that took too long."""
        ...

    async def known(self, tenant: str, source_id: str, references: Sequence[str]) -> Mapping[str, Known]:
        """What is held of these rows of a source; rows never recorded are left out."""
        ...

    async def holds_booked(self, tenant: str, source_id: str, since: int | None) -> bool:
        """Whether a source holds any row that was booked on `since` or later; None for ever."""
        ...

    async def pendings(self, tenant: str, source_id: str) -> Pendings:
        """What is held of the pending rows of a source, and what they became."""
        ...

    async def booking(self, tenant: str, source_id: str, pending_id: bytes) -> Booking | None:
        """The booked row that a pending one is said to have become."""
        ...

    async def is_stalled(self, tenant: str, consumer_id: str) -> bool:
        """The rows of this consumer are not kept up to date: what is known of them is not all there is."""
        ...

    async def pending_syncs(self) -> Sequence[tuple[str, str]]:
        """Stream and sync id of every sync that has not ended, oldest first."""
        ...

    async def refreshes_due(self, now: datetime) -> Sequence[str]:
        """The streams of the connections that are to be looked at by schedule, the longest waiting first.

        Connected, of an enabled provider, nothing pending, and last looked at longer ago than the provider's
        interval; where the last look failed, after an hour, doubled with each failure up to the interval. A last look
        that lies ahead of `now` is one that is due: the clock went back.
        """
        ...

    async def announcements_due(self, now: datetime) -> Sequence[str]:
        """The streams of the connected connections of whose consent something is to be announced."""
        ...

    async def expiries_due(self, now: datetime) -> Sequence[tuple[str, str]]:
        """Tenant and consumer of the accounts whose retention has ended, the longest waiting first."""
        ...

    async def stream_of_connection(self, connection_id: str) -> str | None:
        """The stream of a connection, whose tenant and consumer a browser does not know."""
        ...

    async def consumer_gone(self, tenant: str, consumer_id: str) -> bool:
        """No row of this consumer is left."""
        ...


class Booking(msgspec.Struct, frozen=True):
    """A pending row, and the booked one that it is said to have become."""

    pending_id: bytes
    pending_reference: str
    booked_id: bytes


# What the bank was asked


class AskLedger(Protocol):
    """When the provider was asked to fetch from the bank, kept longer than the process and no longer than needed.

    It can be lost: then the asks of one day count no more.
    """

    async def asks_since(self, stream: str, since: datetime) -> Sequence[datetime]:
        """The unattended asks for a connection after a moment, oldest first."""
        ...

    async def note_ask(self, stream: str, at: datetime) -> None:
        """Note durably that the provider is about to be asked."""
        ...


# Work that goes on after the answer


class Jobs(Protocol):
    """Work beside the requests. It may be lost with the process, unless the log asks for it again."""

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Run something to its end; a failure is logged under `name`, without its text."""
        ...


# Time and chance


class Clock(Protocol):
    def now(self) -> datetime:
        """The present, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Ids(Protocol):
    def uuid(self) -> str:
        """A random UUID as text."""
        ...

    def token(self, size: int) -> bytes:
        """Random bytes that nobody can guess."""
        ...
