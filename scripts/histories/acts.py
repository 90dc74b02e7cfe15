"""What happens at the bank, as opposed to what is said about it: rows, accounts, states, people and pushes.

Each act picks its object with the generator and says whether it found one; those of the catalogue are counted
when they happened. The bank does nothing of its own accord: `follow` gives it a clock, and what is then due is
done at the next request or by `catch_up`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from adapters.budget_insight.simulator.bank import Account, Bank, Connection, Transaction, User
from adapters.budget_insight.simulator.banks import CONNECTORS
from adapters.budget_insight.simulator.clock import Clock, in_utc
from adapters.budget_insight.simulator.simulation import Simulation
from adapters.budget_insight.simulator.statements import HeldAccount, Row, Statement
from scripts.histories.holdings import (
    ShownAccount,
    TrueAccount,
    TrueRow,
    make_row,
    make_statement,
    true_account,
)
from scripts.histories.pushes import Push, Pushes

__all__ = ["Acts", "Push", "ShownAccount", "TrueAccount", "TrueRow"]

#: States that pass by themselves, and states that only the person resolves, beside those of the catalogue.
OTHER_STATES = ("bug", "rateLimiting", "notSupported", "validating")
OTHER_PERSON_STATES = ("additionalInformationNeeded", "actionNeeded", "passwordExpired")
UNKNOWN_STATE = "quantumEntangled"
SOURCE_STATES = ("bug", "websiteUnavailable", "SCARequired")

Which = Callable[[Row], bool]


class Stranger:
    """Another user of the provider, whom our service knows nothing of."""

    def __init__(self, bank: Bank, user: User) -> None:
        self._bank = bank
        self.user = user
        self.own = bank.issue(user, "permanent").value
        self.handed_out: list[str] = []

    def token(self) -> str:
        """A token of theirs that somebody else is given."""
        self.handed_out.append(self._bank.issue(self.user, "permanent").value)
        return self.handed_out[-1]

    def path(self, path: str) -> str:
        """The address of theirs that corresponds to one of somebody else."""
        connection = next(iter(self.user.connections.values()))
        account = next(iter(connection.accounts))
        parts = path.split("/")
        for place, name in enumerate(parts[:-1]):
            if name in ("connections", "accounts"):
                parts[place + 1] = str(connection.id if name == "connections" else account)
        return "/".join(parts)


class FollowingClock(Clock):
    """Shows the time of somebody else's clock."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        super().__init__()
        self._theirs = now

    def now(self) -> datetime:
        return in_utc(self._theirs())


class Acts:
    """
    Attributes:
        at_once: the chance that connections see a change at once; else they do at their next sync.
    """

    def __init__(self, simulation: Simulation, rng: random.Random, tried: Counter[str]) -> None:
        self.simulation = simulation
        self.tried = tried
        self.at_once = 0.6
        self._rng = rng
        self._bank = simulation.bank
        self._statements: dict[str, Statement] = {}
        self._stranger: Stranger | None = None
        self._hidden: list[tuple[Account, Transaction]] = []
        self._pushes = Pushes(rng, lambda: simulation.clock.now(), tried)
        simulation.listener = self._told

    # Time

    def follow(self, now: Callable[[], datetime]) -> None:
        """From now on the bank's time is `now()`, which knows its zone."""
        self.simulation.clock = self._bank.clock = FollowingClock(now)

    def advance(self, to: datetime) -> None:
        """Let the bank's clock stand there, and do what fell due until then. Without `follow`."""
        self.simulation.clock.stand_at(to)
        self.catch_up()

    def catch_up(self) -> None:
        """The provider's own scheduled syncs, as far as they are due."""
        for user in list(self._bank.users.values()):
            self._bank.catch_up(user)

    # Who is there

    def add_login(self) -> str:
        """A new name to log in with; the password is that of all."""
        return self._add(f"person{len(self._statements) + 1}")

    @property
    def logins(self) -> list[str]:
        return list(self._statements)

    def truth(self, login: str) -> list[TrueAccount]:
        """What the bank holds now, whatever anybody has seen of it."""
        return [true_account(held) for held in self._statements[login].accounts]

    def login_of(self, connection: int) -> str:
        return self._connection(connection).statement.login

    def shown(self, connection: int) -> dict[str, ShownAccount]:
        """The accounts that the API has of a connection, by their ids; deleted and disabled ones too."""
        return {
            str(account.id): ShownAccount(
                account.held.key, account.disabled is None, account.deleted is not None
            )
            for account in self._connection(connection).accounts.values()
        }

    def connections(self, login: str | None = None) -> list[int]:
        """The ids of all connections, or of those to a login; a stranger's are not among them."""
        return [
            connection.id
            for connection in self._bank.connections()
            if login in (None, connection.statement.login) and not self._is_strangers(connection.user)
        ]

    def users(self) -> list[int]:
        return [user.id for user in self._bank.users.values() if not self._is_strangers(user)]

    # Rows of a login

    def new_rows(self, login: str) -> bool:
        """One, or a few."""
        held = self._open_account(login)
        return held is not None and self._add_rows(self._statements[login], held)

    def twin(self, login: str) -> bool:
        """Another one with the same day, amount and wording: the same coffee twice."""
        found = self._row(login, is_booked)
        if found is None:
            return False
        held, row = found
        held.add(replace(row, webid=self._statements[login].unused_webid()))
        return self._changed(login)

    def pending_row(self, login: str) -> bool:
        held = self._open_account(login)
        if held is None:
            return False
        day = self.simulation.clock.today() + timedelta(days=self._rng.randrange(4))
        held.add(make_row(self._rng, self._statements[login].unused_webid(), day, coming=True))
        return self._changed(login)

    def book_pending(self, login: str) -> bool:
        """The bank books it under the name it has, and the provider under the id it has."""
        found = self._row(login, is_pending)
        if found is None:
            return False
        held, row = found
        held.change(row.webid, self._booking(row))
        return self._changed(login)

    def book_under_new_id(self, login: str) -> bool:
        """P22. The pending one is marked deleted, or dropped without a word; or the bank's name of it stays the same
        and only the provider takes it for another."""
        found = self._row(login, is_pending)
        if found is None:
            return False
        held, row = found
        self.show_hidden()
        match self._rng.randrange(3):
            case 0:
                self._forget(held, row.webid)
                held.change(row.webid, self._booking(row))
            case how:
                if how == 1:
                    self._forget(held, row.webid)
                held.change(row.webid, {"gone": True})
                webid = self._statements[login].unused_webid()
                held.add(replace(row, webid=webid, **self._booking(row)))
        self.tried["P22"] += 1
        return self._changed(login)

    def drop_pending(self, login: str) -> bool:
        """It is never booked: marked deleted, or gone without a word."""
        found = self._row(login, is_pending)
        if found is None:
            return False
        held, row = found
        if self._rng.random() < 0.5:
            self._forget(held, row.webid)
        held.change(row.webid, {"gone": True})
        return self._changed(login)

    def improve_wording(self, login: str) -> bool:
        return self._amend(login, lambda row: self._wording(row))

    def correct_amount(self, login: str) -> bool:
        return self._amend(login, lambda row: {"value": (row.value or 0) + self._rng.randrange(-999, 1_000)})

    def redate(self, login: str) -> bool:
        return self._amend(login, lambda row: self._other_day(row))

    def delete_row(self, login: str) -> bool:
        """P21."""
        found = self._row(login, is_booked)
        if found is None:
            return False
        held, row = found
        held.change(row.webid, {"gone": True})
        self.tried["P21"] += 1
        return self._changed(login)

    def undelete_row(self, login: str) -> bool:
        found = self._row(login, lambda row: row.gone)
        if found is None:
            return False
        held, row = found
        held.change(row.webid, {"gone": False})
        return self._changed(login)

    def _amend(self, login: str, changes: Callable[[Row], dict[str, Any]]) -> bool:
        found = self._row(login, lambda row: not row.gone)
        if found is None:
            return False
        held, row = found
        held.change(row.webid, changes(row))
        return self._changed(login)

    def _booking(self, row: Row) -> dict[str, Any]:
        """What booking changes: the days, and often the words."""
        day = min(row.date, self.simulation.clock.today()) + timedelta(days=self._rng.randrange(3))
        booked: dict[str, Any] = {"coming": False, "date": day, "vdate": day}
        return booked | (self._wording(row) if self._rng.random() < 0.4 else {})

    def _wording(self, row: Row) -> dict[str, Any]:
        better = f"{row.original_wording.partition(' *')[0]} *{self._rng.randrange(10_000):04d}"
        return {"original_wording": better, "simplified_wording": better}

    def _other_day(self, row: Row) -> dict[str, Any]:
        day = row.date + timedelta(days=self._rng.choice((-20, -3, -1, 1)))
        return {"date": day, "vdate": None if row.coming else day}

    # Accounts

    def close_account(self, login: str) -> bool:
        return self._set_closed(login, True)

    def reopen_account(self, login: str) -> bool:
        return self._set_closed(login, False)

    def _set_closed(self, login: str, closed: bool) -> bool:
        found = [held for held in self._statements[login].accounts if held.closed is not closed]
        if not found:
            return False
        self._rng.choice(found).closed = closed
        return self._changed(login)

    def recreate_accounts(self, connection: int) -> bool:
        """P24: all accounts of a connection vanish, and come back under other ids: enabled, or not."""
        recreated = self._connection(connection)
        if not is_well(recreated):
            return False
        self.show_hidden()
        self._bank.recreate(recreated, enable=self._rng.random() < 0.7)
        self.tried["P24"] += 1
        return True

    def account_vanishes(self, connection: int) -> bool:
        """P24, its first half: one account is not there any more."""
        found = self._connection(connection)
        open_ones = [held for held in found.statement.accounts if not held.closed]
        if not is_well(found) or len(open_ones) < 2:
            return False
        self._rng.choice(open_ones).closed = True
        return self._seen(found.statement)

    def account_returns(self, connection: int) -> bool:
        """P24, its second half: one that was gone is there again, for this connection under another id."""
        found = self._connection(connection)
        gone = [
            held
            for held in found.statement.accounts
            if held.closed and held.key in found.current and found.current[held.key].deleted is not None
        ]
        if not is_well(found) or not gone:
            return False
        held = self._rng.choice(gone)
        held.closed = False
        del found.current[held.key]
        found.enables_found = self._rng.random() < 0.7
        self.tried["P24"] += 1
        return self._seen(found.statement)

    def disable_account(self, connection: int) -> bool:
        """The person does not want it to be read any more: its rows are erased."""
        return self._switch(connection, self._bank.disable, lambda account: account.is_shown)

    def enable_account(self, connection: int) -> bool:
        """Its rows are read again, under other ids."""
        return self._switch(
            connection,
            self._bank.enable,
            lambda account: account.disabled is not None and not account.deleted,
        )

    def _switch(
        self, connection: int, switch: Callable[[Account], None], which: Callable[[Account], bool]
    ) -> bool:
        found = [account for account in self._connection(connection).current.values() if which(account)]
        if not found:
            return False
        self.show_hidden()
        switch(self._rng.choice(found))
        return True

    # States of a connection

    def needs_sca(self, connection: int) -> bool:
        """P10."""
        return self._script(connection, "SCARequired", "P10")

    def needs_webauth(self, connection: int) -> bool:
        """P11."""
        return self._script(connection, "webauthRequired", "P11")

    def decoupled(self, connection: int) -> bool:
        """P12: waits for the person's other device, and has its answer after some minutes."""
        return self._script(connection, "decoupled", "P12", timedelta(minutes=self._rng.randrange(1, 90)))

    def wrong_password(self, connection: int) -> bool:
        """P13."""
        return self._script(connection, "wrongpass", "P13")

    def website_down(self, connection: int) -> bool:
        """P14."""
        return self._script(
            connection, "websiteUnavailable", "P14", timedelta(hours=self._rng.randrange(20, 150))
        )

    def unknown_state(self, connection: int) -> bool:
        return self._script(connection, UNKNOWN_STATE, None, timedelta(hours=self._rng.randrange(1, 50)))

    def other_state(self, connection: int) -> bool:
        if self._rng.random() < 0.5:
            return self._script(connection, self._rng.choice(OTHER_PERSON_STATES), None)
        state = self._rng.choice(OTHER_STATES)
        # Nobody waits for long until a login is checked.
        minutes = 5 if state == "validating" else self._rng.randrange(10, 2_000)
        return self._script(connection, state, None, timedelta(minutes=minutes))

    def failing_source(self, connection: int) -> bool:
        """Something is wrong with the source; the connection looks well."""
        found = self._connection(connection)
        if not is_well(found) or found.source_state is not None:
            return False
        found.source_state = self._rng.choice(SOURCE_STATES)
        return True

    def source_recovers(self, connection: int) -> bool:
        found = self._connection(connection)
        had, found.source_state = found.source_state, None
        return had is not None

    def shorten_consent(self, connection: int) -> bool:
        """It ends within hours or weeks."""
        found = self._connection(connection)
        found.consent_until = self.simulation.clock.now() + timedelta(hours=self._rng.randrange(1, 400))
        return True

    def freeze(self, connection: int) -> bool:
        """Nothing is read from the bank any more, though all looks well but for that."""
        found = self._connection(connection)
        was, found.active = found.active, False
        return was

    def person_returns(self, connection: int) -> bool:
        """As at the end of the reconnect page: a new consent, and a sync."""
        self.show_hidden()
        self._bank.reconnect(self._connection(connection))
        return True

    def _script(self, connection: int, state: str, kind: str | None, lasts: timedelta | None = None) -> bool:
        found = self._connection(connection)
        if found.state is not None or not found.active:
            return False
        until = None if lasts is None else self.simulation.clock.now() + lasts
        self._bank.script(found, state, until=until)
        if kind is not None:
            self.tried[kind] += 1
        return True

    # Syncs, connections and users

    def sync(self, connection: int) -> bool:
        """The provider's own, now."""
        self._bank.sync(self._connection(connection))
        return True

    def delete_connection(self, connection: int) -> bool:
        """By the person, at the provider."""
        self._bank.delete_connection(self._connection(connection))
        return True

    def delete_user(self, user: int) -> bool:
        """P37."""
        if user not in self._bank.users:
            return False
        self._bank.delete_user(self._bank.users[user])
        self.tried["P37"] += 1
        return True

    def second_connection(self, connection: int) -> int:
        """The same user connects the same login once more: all its accounts are there twice, under other ids."""
        first = self._connection(connection)
        second = self._bank.connect(
            first.user, first.statement, first.connector, enable=self._rng.random() < 0.8
        )
        return second.id

    def heal(self) -> None:
        """No connection needs anything any more, and all of them have seen what the bank holds."""
        self.show_hidden()
        now = self.simulation.clock.now()
        for connection in list(self._bank.connections()):
            connection.active = True
            connection.state = connection.error_message = connection.state_until = None
            connection.source_state = None
            connection.consent_until = max(connection.consent_until, now + timedelta(days=90))
            self._bank.sync(connection)

    # Pushes

    def push_to(self, prefix: str, secret: str) -> None:
        """The path of an event is `{prefix}/{EVENT}`; that and the secret are what pushes are signed with."""
        self._pushes.register(prefix, secret)

    def pushes(self, now: datetime) -> Sequence[Push]:
        """Those that are due, taken out, in the order in which they arrive."""
        return self._pushes.take(now)

    def push_mishap(self) -> bool:
        """P35: something happens to a push that is waiting, or one comes too early."""
        found = self._any_connection()
        mishaps = [self._pushes.lose, self._pushes.double, self._pushes.delay, self._pushes.reorder]
        if found is not None:
            mishaps.append(lambda: self._pushes.early(found.user, found))
        return self._rng.choice(mishaps)()

    def forge_push(self) -> bool:
        """P36."""
        found = self._any_connection()
        return found is not None and self._pushes.forge(found.user, found)

    def _any_connection(self) -> Connection | None:
        found = self.connections()
        return self._connection(self._rng.choice(found)) if found else None

    def _told(self, event: str, user: User, connection: Connection | None) -> None:
        self._pushes.told(event, user, connection)

    # What lies need

    def accounts_of(self, token: str) -> list[Account]:
        """The accounts that a token reads and whose bank is being read."""
        credential = self._bank.credential(token)
        connections = credential.user.connections.values() if credential else ()
        return [
            account
            for connection in connections
            if is_well(connection)
            for account in connection.accounts.values()
            if account.is_shown
        ]

    def rows_come_to(self, account: Account) -> bool:
        before = len(account.transactions)
        statement = account.connection.statement
        return self._add_rows(statement, account.held, at_once=True) and len(account.transactions) > before

    def drop_shown(self, shown: Transaction) -> bool:
        """A pending row is gone without a word."""
        held = shown.account.held
        self._forget(held, shown.row.webid)
        held.change(shown.row.webid, {"gone": True})
        return self._seen(shown.account.connection.statement)

    def amend_shown(self, shown: Transaction) -> bool:
        held, row = shown.account.held, held_row(shown)
        if row.gone:
            return False
        changes = self._rng.choice(
            (self._other_day, self._wording, lambda row: {"value": (row.value or 0) - 1})
        )
        held.change(row.webid, changes(row))
        return self._seen(shown.account.connection.statement)

    def hide(self, shown: Transaction) -> bool:
        """A row is not shown, until `show_hidden`. At the bank nothing has happened."""
        shown.account.transactions.pop(shown.row.webid)
        shown.account.connection.user.changed()
        self._hidden.append((shown.account, shown))
        return True

    def show_hidden(self) -> None:
        for account, row in self._hidden:
            if account.disabled is None:
                account.transactions[row.row.webid] = row
                account.connection.user.changed()
        self._hidden.clear()

    def revoke(self, token: str) -> None:
        self._bank.revoke(token)

    def stranger(self) -> Stranger:
        """Another user, with a connection and rows of their own."""
        if self._stranger is None or self._stranger.user.id not in self._bank.users:
            user = self._bank.create_user(permanent=True)
            self._stranger = Stranger(self._bank, user)
            login = "stranger"
            statement = self._bank.logins.statement(self._add(login), self.simulation.clock.today())
            del self._statements[login]
            assert statement is not None
            first = next(iter(self._bank.connections()), None)
            connector = CONNECTORS[0] if first is None else first.connector
            self._bank.connect(user, statement, connector, enable=True)
        return self._stranger

    def revoke_strangers(self) -> None:
        """Tokens of a stranger that somebody else was given."""
        if self._stranger is not None:
            for token in self._stranger.handed_out:
                self._bank.revoke(token)
            self._stranger.handed_out.clear()

    # Parts

    def _add(self, login: str) -> str:
        statement = make_statement(login, self._rng, self.simulation.clock.today())
        self._statements[login] = statement
        self._bank.logins.add(statement)
        return login

    def _connection(self, id: int) -> Connection:
        for user in self._bank.users.values():
            if id in user.connections:
                return user.connections[id]
        raise KeyError(id)

    def _is_strangers(self, user: User) -> bool:
        return self._stranger is not None and user is self._stranger.user

    def _open_account(self, login: str) -> HeldAccount | None:
        found = [held for held in self._statements[login].accounts if not held.closed]
        # Most happens on the first account, as in life.
        return (found[0] if self._rng.random() < 0.7 else self._rng.choice(found)) if found else None

    def _row(self, login: str, which: Which) -> tuple[HeldAccount, Row] | None:
        found = [
            (held, row)
            for held in self._statements[login].accounts
            if not held.closed
            for row in held.rows.values()
            if which(row)
        ]
        return self._rng.choice(found) if found else None

    def _add_rows(self, statement: Statement, held: HeldAccount, *, at_once: bool = False) -> bool:
        for _ in range(self._rng.choice((1, 1, 1, 2, 5))):
            day = self.simulation.clock.today() - timedelta(days=self._rng.choice((0, 0, 1, 1, 2, 9)))
            held.add(make_row(self._rng, statement.unused_webid(), day))
        return self._seen(statement) if at_once else self._changed(statement.login)

    def _forget(self, held: HeldAccount, webid: str) -> None:
        """The provider does not show the row any more, nor says that it is deleted."""
        for connection in self._bank.connections():
            if is_well(connection):
                for account in connection.accounts.values():
                    if account.held is held and account.transactions.pop(webid, None) is not None:
                        connection.user.changed()

    def _changed(self, login: str) -> bool:
        # A row that changed while it is hidden would be taken for another one.
        self.show_hidden()
        if self._rng.random() < self.at_once:
            self._seen(self._statements[login])
        return True

    def _seen(self, statement: Statement) -> bool:
        self.show_hidden()
        self._bank.bank_changed(statement)
        return True


def is_well(connection: Connection) -> bool:
    """Whether what happens at the bank is seen through it."""
    return connection.active and connection.state is None and connection.last_update is not None


def is_booked(row: Row) -> bool:
    return not row.gone and not row.coming


def is_pending(row: Row) -> bool:
    return not row.gone and row.coming


def held_row(shown: Transaction) -> Row:
    """The row as the bank has it now."""
    return shown.account.held.rows[shown.row.webid]
