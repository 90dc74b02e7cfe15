"""The aggregator's state: users, their tokens, their connections, and what syncs have seen.

What a bank holds (`statements`) and what the API shows are two things. A sync copies the first into the
second under ids of its own; a connection that needs its owner goes on showing what it saw last.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from random import Random
from string import ascii_letters, digits
from typing import Literal

from msgspec import Struct, field

from adapters.budget_insight.simulator.banks import Connector
from adapters.budget_insight.simulator.clock import Clock, paris_text
from adapters.budget_insight.simulator.logins import PASSWORD, Logins
from adapters.budget_insight.simulator.options import SimulatorOptions
from adapters.budget_insight.simulator.refusals import Refused
from adapters.budget_insight.simulator.statements import HeldAccount, Row, Statement

CODE_LIFE = timedelta(minutes=30)
CONSENT_LIFE = timedelta(days=180)
SYNC_EVERY = timedelta(days=1)
RETRY_AFTER = timedelta(hours=2)
TOKEN_LENGTH = 64

# States that only the person can resolve: nothing is tried again until then.
PERSON_STATES = frozenset(
    {
        "SCARequired",
        "webauthRequired",
        "additionalInformationNeeded",
        "decoupled",
        "actionNeeded",
        "passwordExpired",
        "wrongpass",
    }
)
OTP_FIELD = "otp"

#: What happened, to whose data, and to which connection of theirs.
Told = Callable[[str, "User", "Connection | None"], None]

Kind = Literal["permanent", "temporary", "standard", "single"]


class User(Struct):
    """`expires_at` is set for a user who is anonymous, and purged if that does not change."""

    id: int
    signin: str
    expires_at: datetime | None
    connections: "dict[int, Connection]" = field(default_factory=dict)
    lists: "dict[object, object]" = field(default_factory=dict)

    def changed(self) -> None:
        """Forget the lists that were put together for this user's last requests."""
        self.lists.clear()


class Credential(Struct):
    """A token or a code. A single code dies with its first use, all but permanent ones with time."""

    value: str
    user: User
    kind: Kind
    expires_at: datetime | None


class Transaction(Struct):
    """A row as the API shows it; what the user edited lies over what the bank said."""

    id: int
    account: "Account"
    row: Row
    date_scraped: str
    last_update: str
    deleted: str | None = None
    wording: str | None = None
    application_date: str | None = None
    comment: str | None = None
    active: bool = True


class Account(Struct):
    """An account as the API shows it: the reading of its last sync, under the API's id."""

    id: int
    connection: "Connection"
    held: HeldAccount
    name: str
    disabled: str | None
    deleted: str | None = None
    last_update: str | None = None
    balance: int | None = None
    coming: int | None = None
    usage: str | None = None
    display: bool = True
    bookmarked: int = 0
    seen_revision: int = 0
    transactions: dict[str, Transaction] = field(default_factory=dict)

    @property
    def is_shown(self) -> bool:
        """Whether the account appears without `all`."""
        return self.disabled is None and self.deleted is None


class Connection(Struct):
    """A user's link to one login.

    Attributes:
        last_update: bookkeeping time of the last good sync; None until the first one ended.
        synced_at: when that was on the clock; a data set's `last_update` lies in its own days.
        state_until: when a scripted state ends by itself.
        source_state: a state of the source alone, under a connection that looks well.
        accounts: every account ever seen; `current` names the one in use for each the bank holds.
    """

    id: int
    user: User
    connector: Connector
    statement: Statement
    source_id: int
    created: str
    consent_until: datetime
    next_try: datetime | None
    enables_found: bool
    active: bool = True
    state: str | None = None
    error_message: str | None = None
    state_until: datetime | None = None
    source_state: str | None = None
    last_update: str | None = None
    synced_at: datetime | None = None
    expire: str | None = None
    accounts: dict[int, Account] = field(default_factory=dict)
    current: dict[str, Account] = field(default_factory=dict)


class Bank:
    """Everything the API remembers. No network here, and no time or chance but what is handed in."""

    def __init__(self, options: SimulatorOptions, clock: Clock) -> None:
        self.options = options
        self.clock = clock
        self.logins = Logins(options)
        self.users: dict[int, User] = {}
        self.tell: Told = lambda event, user, connection: None
        self._credentials: dict[str, Credential] = {}
        self._token_rng = Random(f"{options.seed}:tokens")
        # Ids of different kinds lie far apart, so that a mixed-up id is unknown rather than wrong.
        starts = Random(f"{options.seed}:ids")
        self._next_user = 7_000 + starts.randrange(1_000)
        self._next_connection = 500_000 + starts.randrange(10_000)
        self._next_source = 700_000 + starts.randrange(10_000)
        self._next_account = 2_000_000 + starts.randrange(100_000)
        self._next_transaction = 91_000_000 + starts.randrange(1_000_000)

    # Users, tokens and codes.

    def create_user(self, *, permanent: bool) -> User:
        now = self.clock.now()
        expires_at = None if permanent else now + CODE_LIFE
        user = User(id=self._next_user, signin=paris_text(now), expires_at=expires_at)
        self._next_user += 1
        self.users[user.id] = user
        return user

    def issue(self, user: User, kind: Kind) -> Credential:
        value = "".join(self._token_rng.choices(ascii_letters + digits, k=TOKEN_LENGTH))
        expires_at = None if kind == "permanent" else self.clock.now() + CODE_LIFE
        self._credentials[value] = credential = Credential(value, user, kind, expires_at)
        return credential

    def credential(self, value: str) -> Credential | None:
        """Return a token or code that is still good, without using it up."""
        self._purge_anonymous_users()
        found = self._credentials.get(value)
        if found is not None and found.expires_at and found.expires_at <= self.clock.now():
            del self._credentials[value]
            return None
        return found

    def authenticate(self, value: str) -> User | None:
        """Return whose token this is; a single code is used up by it."""
        found = self.credential(value)
        if found is None:
            return None
        self.use_up(found)
        return found.user

    def use_up(self, credential: Credential) -> None:
        if credential.kind == "single":
            self.revoke(credential.value)

    def exchange(self, code: str) -> Credential:
        """Turn a code or a temporary token into a permanent token; it cannot be done twice."""
        found = self.credential(code)
        if found is None or found.kind == "permanent":
            raise Refused("invalidValue", "The code is unknown, used or expired.")
        self.revoke(code)
        found.user.expires_at = None
        return self.issue(found.user, "permanent")

    def revoke(self, value: str) -> None:
        self._credentials.pop(value, None)

    def revoke_all_of(self, user: User) -> None:
        kept = {v: c for v, c in self._credentials.items() if c.user is not user}
        self._credentials = kept

    def delete_user(self, user: User) -> None:
        self.revoke_all_of(user)
        if self.users.pop(user.id, None) is not None:
            self.tell("USER_DELETED", user, None)

    def _purge_anonymous_users(self) -> None:
        now = self.clock.now()
        for user in [u for u in self.users.values() if u.expires_at and u.expires_at <= now]:
            self.delete_user(user)

    # Connections.

    def log_in(self, login: str, password: str) -> Statement | None:
        """Return what a login holds, or None if its name or password is wrong."""
        statement = self.logins.statement(login.strip(), self.clock.today())
        return statement if password == PASSWORD else None

    def connect(self, user: User, statement: Statement, connector: Connector, *, enable: bool) -> Connection:
        """Make a new connection, always: a login that is connected already gets a second one."""
        now = self.clock.now()
        connection = Connection(
            id=self._next_connection,
            user=user,
            connector=connector,
            statement=statement,
            source_id=self._next_source,
            created=paris_text(now),
            consent_until=now + CONSENT_LIFE,
            next_try=now + timedelta(seconds=self.options.first_sync_seconds),
            enables_found=enable,
        )
        self._next_connection += 1
        self._next_source += 1
        user.connections[connection.id] = connection
        self._discover(connection)
        self.catch_up(user)
        return connection

    def reconnect(self, connection: Connection) -> None:
        """The person proved who they are: a new consent, and a sync."""
        connection.state = connection.error_message = connection.state_until = None
        connection.consent_until = self.clock.now() + CONSENT_LIFE
        self.sync(connection)

    def resume(self, connection: Connection, answers: dict[str, object]) -> None:
        """Give a waiting connection what its state asks for, if `answers` holds it, and sync."""
        given = answers.get("password", answers.get(OTP_FIELD))
        match connection.state:
            case "SCARequired":
                self.reconnect(connection)
            case "decoupled" if answers.get("resume") in (True, "true", 1):
                self.reconnect(connection)
            case "additionalInformationNeeded" | "wrongpass" | "passwordExpired" if given:
                if given == PASSWORD:
                    self.reconnect(connection)
                else:
                    self.script(connection, "wrongpass")
            case _:
                self.sync(connection)

    def script(
        self,
        connection: Connection,
        state: str | None,
        *,
        error_message: str | None = None,
        until: datetime | None = None,
    ) -> None:
        """Put a connection into a state, until somebody resolves it or the time has come."""
        connection.state = state
        connection.error_message = error_message
        connection.state_until = until
        self.sync(connection)

    def delete_connection(self, connection: Connection) -> None:
        if connection.user.connections.pop(connection.id, None) is not None:
            self.tell("CONNECTION_DELETED", connection.user, connection)
        connection.user.changed()

    def connections(self) -> Iterator[Connection]:
        for user in self.users.values():
            yield from user.connections.values()

    # Syncs.

    def catch_up(self, user: User) -> None:
        """Do the syncs that fell due while nobody asked."""
        now = self.clock.now()
        for connection in user.connections.values():
            is_first = connection.last_update is None and connection.state is None
            is_due = connection.next_try is not None and connection.next_try <= now
            consent_ended = connection.state is None and connection.consent_until <= now
            if consent_ended or (is_due and (is_first or self.options.scheduled_syncs)):
                self.sync(connection)

    def force_sync(self, connection: Connection) -> None:
        """Sync because somebody asked.

        Raises:
            Refused: `conflict`, when the last sync is less than the minimum interval ago.
        """
        pause = timedelta(seconds=self.options.min_sync_interval)
        if connection.synced_at and self.clock.now() < connection.synced_at + pause:
            text = f"Can't force synchronization of connection {connection.id}."
            raise Refused("conflict", text)
        self.sync(connection)

    def sync(self, connection: Connection) -> None:
        """Read the bank, unless the connection's state forbids it."""
        if not connection.active:
            return
        now = self.clock.now()
        connection.user.changed()
        if connection.state_until is not None and connection.state_until <= now:
            connection.state = connection.error_message = connection.state_until = None
        if connection.state is None and connection.consent_until <= now:
            connection.state = "SCARequired"
        if connection.state is not None:
            waits = connection.state in PERSON_STATES and connection.state_until is None
            retry = min(now + RETRY_AFTER, connection.state_until or now + RETRY_AFTER)
            connection.next_try = None if waits else retry
            self.tell("CONNECTION_SYNCED", connection.user, connection)
            return
        self._discover(connection)
        for account in connection.accounts.values():
            self._fetch(account)
        connection.last_update = reading_time(connection, paris_text(now))
        connection.synced_at = now
        connection.next_try = now + SYNC_EVERY
        self.tell("CONNECTION_SYNCED", connection.user, connection)

    def bank_changed(self, statement: Statement) -> None:
        """Let the connections of a login see a change, as their next scheduled sync would."""
        for connection in list(self.connections()):
            if connection.statement is statement and connection.last_update is not None:
                self.sync(connection)

    def enable(self, account: Account) -> None:
        if account.disabled is not None:
            account.disabled = None
            if account.connection.last_update is not None and account.connection.state is None:
                self._fetch(account)
            account.connection.user.changed()

    def disable(self, account: Account) -> None:
        """Stop reading an account; its transactions are erased."""
        if account.disabled is None:
            account.disabled = paris_text(self.clock.now())
            account.transactions.clear()
            account.seen_revision = 0
            account.connection.user.changed()

    def recreate(self, connection: Connection, *, enable: bool) -> None:
        """Let every account come back under a new id, as some connectors do after an outage."""
        now = paris_text(self.clock.now())
        for account in connection.current.values():
            account.deleted = account.deleted or now
        connection.current.clear()
        connection.enables_found = enable
        self.sync(connection)
        connection.user.changed()

    def _discover(self, connection: Connection) -> None:
        now = paris_text(self.clock.now())
        for held in connection.statement.accounts:
            account = connection.current.get(held.key)
            if account is not None:
                account.deleted = (account.deleted or now) if held.closed else None
            elif not held.closed:
                account = Account(
                    id=self._next_account,
                    connection=connection,
                    held=held,
                    name=held.original_name,
                    disabled=None if connection.enables_found else now,
                    usage=held.usage,
                )
                self._next_account += 1
                connection.accounts[account.id] = connection.current[held.key] = account

    def _fetch(self, account: Account) -> None:
        """Bring an account up to what the bank holds; each row that changed bears the time of it."""
        if not account.is_shown:
            return
        held = account.held
        now = paris_text(self.clock.now())
        if account.seen_revision < held.revision:
            for row in held.rows.values():
                if row.revision > account.seen_revision:
                    self._see(account, row, row.stamped or now)
        account.seen_revision = held.revision
        account.balance = held.balance
        account.coming = held.coming
        account.last_update = held.as_of or now

    def _see(self, account: Account, row: Row, when: str) -> None:
        known = account.transactions.get(row.webid)
        if known is not None:
            known.row = row
            known.last_update = when
            known.deleted = (known.deleted or when) if row.gone else None
        elif not row.gone:
            seen = Transaction(self._next_transaction, account, row, when, when)
            self._next_transaction += 1
            account.transactions[row.webid] = seen


def reading_time(connection: Connection, now: str) -> str:
    """Return the latest day of a data set that stands still, else now."""
    readings = [account.as_of for account in connection.statement.accounts]
    if any(reading is None for reading in readings):
        return now
    return max((reading for reading in readings if reading), default=now)
